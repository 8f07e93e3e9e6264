/*
 * What every resource of PagerDuty's REST API has in common: a wrapper name, a table, a way to be rendered.
 *
 *     GET one       resource_get ──> read ──> render                          200, or 404
 *     GET list      resource_list ──> read ──> walk, match, page, render      200
 *     POST, PUT     command ──> resource_save ──> reply ──> read ──> render   201 or 200
 *     DELETE        command ──> resource_delete ──> reply                     204
 *
 * Each of the five functions takes the request over; a handler does nothing more after it. They use call->data.
 */
#ifndef NODE_API_RESOURCE_H
#define NODE_API_RESOURCE_H

#include "node/api/api.h"

struct resource {
    const char *name;         /* of the wrapper of one: "user" */
    const char *plural;       /* of the wrapper of many */
    enum machine_table table; /* keyed by id, or by parent and id */
    const ProtobufCMessageDescriptor *descriptor;
    /* Whether a record belongs to the list that the query asks for; NULL: each does. Called once for each row: cheap.
     */
    bool (*matches)(struct http_request *request, const void *record);
    /* The same for what only other records tell; NULL: each does. Asked only of what matches. */
    bool (*admits)(struct http_request *request, const struct machine_store *view, const void *record);
    json_t *(*render)(struct http_request *request, const struct machine_store *view, const void *record);
    /* Adds to all objects of an answer what would be dear one by one; NULL: nothing. */
    void (*complete)(struct http_request *request, const struct machine_store *view, json_t *objects);
};

/* `parent` is 0 for a resource without one. */
void resource_get(struct http_request *request, const struct resource *resource, uint64_t parent, uint64_t id);
/* All rows, paged. */
void resource_list(struct http_request *request, const struct resource *resource);
/* All rows under a parent, on one page as PagerDuty gives them; 404 without the parent. */
void resource_list_under(struct http_request *request, const struct resource *resource,
                         const struct resource *of_parent, uint64_t parent);
/* Submits call->command and answers with the object as it then stands. */
void resource_save(struct http_request *request, const struct resource *resource, uint64_t parent, unsigned status);
/* What resource_save does with the reply: for handlers that submit by themselves. */
void resource_saved(struct http_request *request, const struct resource *resource, uint64_t parent, unsigned status,
                    const Tocsin__Reply *reply);
/* Adds a warning to the answer when the command changed who is on call now. */
void warn_on_call(struct http_request *request, const Tocsin__Reply *reply);
/* Submits call->command and answers 204. */
void resource_delete(struct http_request *request);

/* ---- what handlers need before that; false: already answered */

void api_not_found(struct http_request *request);
/* The n-th {...} of the path as an id; what is no id cannot be there: 404. */
bool path_id(struct http_request *request, unsigned n, uint64_t *id);
/* What is under the wrapper's name in the body, or the body itself when it is an object without wrapper; NULL when there is neither.
 * It is the body's. Whoever judges a body before its handler reads it must look here, too, lest it see another object. */
json_t *body_object(json_t *body, const char *wrapper);
/* ... as an object to read fields of. */
bool body_open(struct http_request *request, const char *wrapper, struct field_reader *reader);

/* ---- fields of a *_put command: the record's slot and its bit in the mask, each only when the body has the field */

struct field_target {
    struct field_reader *reader;
    const ProtobufCMessageDescriptor *descriptor; /* of the record */
    uint64_t *fields;                             /* the mask */
};
/* The bit of a field in a mask of its record: 1 << its number. */
uint64_t field_bit(const ProtobufCMessageDescriptor *descriptor, const char *record_field);
/* True when the body has the field and it is null. */
bool field_null(const struct field_reader *reader, const char *name);
void target_mark(const struct field_target *target, const char *record_field);
/* Text; null clears it. */
void target_text(const struct field_target *target, const char *name, size_t characters_max, const char *record_field,
                 char **slot);
/* A name that can be neither missing (when `required`), null nor blank. */
void target_name(const struct field_target *target, const char *name, size_t characters_max, const char *record_field,
                 bool required, char **slot);

/* ---- query parameters */

/* True when this is name[] or name. */
bool query_is(const struct http_parameter *parameter, const char *name);
/* True when name[]=value (or name=value) is among the query's parameters. */
bool query_has(const struct http_request *request, const char *name, const char *value);
/* True when name[] (or name) occurs at all. */
bool query_given(const struct http_request *request, const char *name);
/* True when name[] (or name) does not occur, or one of its values is this id. */
bool query_admits_id(const struct http_request *request, const char *name, uint64_t id);

/* Memory of the request for records that are read; frees nothing before the request ends. */
ProtobufCAllocator *request_memory(struct http_request *request);

#endif
