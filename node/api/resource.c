/* Reading, listing, saving and deleting, the same for every resource. */
#include "node/api/resource.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Lives in call->data while a resource function has the request. */
struct resource_call {
    const struct resource *resource, *of_parent;
    uint64_t parent, id;
    unsigned status;
    struct page page;
};

static struct resource_call *begin(struct http_request *request, const struct resource *resource)
{
    struct resource_call *state = http_alloc(request, sizeof *state);

    state->resource = resource;
    api_call_of(request)->data = state;
    return state;
}

static void *arena_allocate(void *request, size_t size_bytes)
{
    return http_alloc(request, size_bytes);
}

static void arena_keep(void *request, void *memory)
{
    (void)request;
    (void)memory;
}

ProtobufCAllocator *request_memory(struct http_request *request)
{
    ProtobufCAllocator *allocator = http_alloc(request, sizeof *allocator);

    *allocator = (ProtobufCAllocator){.alloc = arena_allocate, .free = arena_keep, .allocator_data = request};
    return allocator;
}

void api_not_found(struct http_request *request)
{
    api_error(request, 404, 2100, "Not Found", NULL);
}

/* ---------------------------------------------------------------- one */

static struct key key_of(uint64_t parent, uint64_t id)
{
    return parent != 0 ? key_2(parent, id) : key_1(id);
}

static void on_read_one(struct http_request *request, const struct machine_store *view)
{
    const struct resource_call *state = api_call_of(request)->data;
    const struct resource *resource = state->resource;
    const void *record = record_get(view, resource->table, key_of(state->parent, state->id), resource->descriptor,
                                    request_memory(request));
    if (record == NULL) {
        api_not_found(request);
        return;
    }
    json_t *objects = json_array();
    json_array_append_new(objects, resource->render(request, view, record));
    if (resource->complete != NULL) {
        resource->complete(request, view, objects);
    }
    json_t *answer = json_object();
    json_object_set(answer, resource->name, json_array_get(objects, 0));
    json_decref(objects);
    api_json(request, state->status, answer);
}

void resource_get(struct http_request *request, const struct resource *resource, uint64_t parent, uint64_t id)
{
    struct resource_call *state = begin(request, resource);

    state->parent = parent;
    state->id = id;
    state->status = 200;
    api_read(request, on_read_one);
}

/* ---------------------------------------------------------------- many */

static void take_row(struct http_request *request, const struct machine_store *view, struct resource_call *state,
                     struct span value, json_t *objects)
{
    const struct resource *resource = state->resource;
    void *record = record_unpack(resource->descriptor, value, NULL);

    assert(record != NULL); /* the machine wrote it */
    if ((resource->matches == NULL || resource->matches(request, record)) &&
        (resource->admits == NULL || resource->admits(request, view, record)) &&
        (state->of_parent != NULL || page_take(&state->page))) {
        json_array_append_new(objects, resource->render(request, view, record));
    }
    protobuf_c_message_free_unpacked(record, NULL);
}

static json_t *collect(struct http_request *request, const struct machine_store *view, struct resource_call *state)
{
    const struct resource *resource = state->resource;
    json_t *objects = json_array(), *answer = json_object();
    struct walk walk =
        state->of_parent != NULL ? walk_under(view, resource->table, state->parent) : walk_all(view, resource->table);

    while (!page_done(&state->page) && walk_next(&walk)) {
        take_row(request, view, state, walk.value, objects);
    }
    if (resource->complete != NULL) {
        resource->complete(request, view, objects);
    }
    json_object_set_new(answer, resource->plural, objects);
    return answer;
}

static void on_read_list(struct http_request *request, const struct machine_store *view)
{
    struct resource_call *state = api_call_of(request)->data;
    json_t *answer = collect(request, view, state);

    page_finish(&state->page, answer);
    api_json(request, 200, answer);
}

void resource_list(struct http_request *request, const struct resource *resource)
{
    struct resource_call *state = begin(request, resource);

    if (page_parse(request, &state->page)) {
        api_read(request, on_read_list);
    }
}

static void on_read_list_under(struct http_request *request, const struct machine_store *view)
{
    struct resource_call *state = api_call_of(request)->data;
    struct key key = key_1(state->parent);
    struct span value;

    if (!view->get(view->context, state->of_parent->table, key_span(&key), &value)) {
        api_not_found(request);
        return;
    }
    api_json(request, 200, collect(request, view, state));
}

void resource_list_under(struct http_request *request, const struct resource *resource,
                         const struct resource *of_parent, uint64_t parent)
{
    struct resource_call *state = begin(request, resource);

    state->of_parent = of_parent;
    state->parent = parent;
    api_read(request, on_read_list_under);
}

/* ---------------------------------------------------------------- writing */

void warn_on_call(struct http_request *request, const Tocsin__Reply *reply)
{
    char before[16] = "nobody", after[16] = "nobody", text[128];

    if (!reply->on_call_changed) {
        return;
    }
    if (reply->on_call_before != 0) {
        id_format(reply->on_call_before, before);
    }
    if (reply->on_call_after != 0) {
        id_format(reply->on_call_after, after);
    }
    (void)snprintf(text, sizeof text, "299 tocsin \"This changed who is on call now: %s, who was %s\"", after, before);
    http_response_header(request, "Warning", text);
}

static void on_saved(struct http_request *request, const Tocsin__Reply *reply)
{
    struct resource_call *state = api_call_of(request)->data;

    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    assert(reply->n_ids > 0);
    state->id = reply->ids[0];
    warn_on_call(request, reply);
    api_read(request, on_read_one);
}

void resource_save(struct http_request *request, const struct resource *resource, uint64_t parent, unsigned status)
{
    struct resource_call *state = begin(request, resource);

    state->parent = parent;
    state->status = status;
    api_submit(request, on_saved);
}

void resource_saved(struct http_request *request, const struct resource *resource, uint64_t parent, unsigned status,
                    const Tocsin__Reply *reply)
{
    struct resource_call *state = begin(request, resource);

    state->parent = parent;
    state->status = status;
    on_saved(request, reply);
}

static void on_deleted(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    api_no_content(request);
}

void resource_delete(struct http_request *request)
{
    api_submit(request, on_deleted);
}

/* ---------------------------------------------------------------- path and body */

bool path_id(struct http_request *request, unsigned n, uint64_t *id)
{
    *id = id_parse(api_call_of(request)->parameters[n]);
    if (*id == 0) {
        api_not_found(request);
        return false;
    }
    return true;
}

/* go-pagerduty sends teams, integrations and windows that it changes without their wrapper. Then what only the object itself has is there. */
static bool body_is_bare(const json_t *body, const char *wrapper)
{
    return json_object_get(body, wrapper) == NULL &&
           (json_is_string(json_object_get(body, "name")) || json_is_string(json_object_get(body, "type")));
}

json_t *body_object(json_t *body, const char *wrapper)
{
    return body_is_bare(body, wrapper) ? body : json_object_get(body, wrapper);
}

bool body_open(struct http_request *request, const char *wrapper, struct field_reader *reader)
{
    struct field_reader whole = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    json_t *object = body_object(whole.object, wrapper);

    if (object == NULL || json_is_null(object)) {
        field_error(&whole, "The body must hold an object named '%s'", wrapper);
    } else if (!json_is_object(object)) {
        field_error(&whole, "'%s' must be an object", wrapper);
    }
    if (!fields_finish(&whole)) {
        return false;
    }
    *reader = (struct field_reader){.request = request, .object = object, .prefix = ""};
    return true;
}

uint64_t field_bit(const ProtobufCMessageDescriptor *descriptor, const char *record_field)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(descriptor, record_field);

    assert(field != NULL && field->id < 64);
    return UINT64_C(1) << field->id;
}

bool field_null(const struct field_reader *reader, const char *name)
{
    return json_is_null(json_object_get(reader->object, name));
}

void target_mark(const struct field_target *target, const char *record_field)
{
    *target->fields |= field_bit(target->descriptor, record_field);
}

void target_text(const struct field_target *target, const char *name, size_t characters_max, const char *record_field,
                 char **slot)
{
    const char *text = "";
    bool present = false;

    if (field_string(target->reader, name, characters_max, &text, &present) &&
        (present || field_null(target->reader, name))) {
        *slot = http_strdup(target->reader->request, text);
        target_mark(target, record_field);
    }
}

void target_name(const struct field_target *target, const char *name, size_t characters_max, const char *record_field,
                 bool required, char **slot)
{
    const char *text = "";
    bool present = false;

    if (!field_string(target->reader, name, characters_max, &text, &present)) {
        return;
    }
    if (!present && !field_null(target->reader, name) && !required) {
        return;
    }
    if (text[strspn(text, " \t\r\n")] == '\0') {
        field_error(target->reader, "%c%s can't be blank", toupper((unsigned char)name[0]), name + 1);
        return;
    }
    *slot = http_strdup(target->reader->request, text);
    target_mark(target, record_field);
}

/* ---------------------------------------------------------------- query */

bool query_is(const struct http_parameter *parameter, const char *name)
{
    size_t size = strlen(name);

    return strncmp(parameter->name, name, size) == 0 &&
           (parameter->name[size] == '\0' || strcmp(parameter->name + size, "[]") == 0);
}

bool query_has(const struct http_request *request, const char *name, const char *value)
{
    for (unsigned i = 0; i < request->query_count; i++) {
        if (query_is(&request->query[i], name) && strcmp(request->query[i].value, value) == 0) {
            return true;
        }
    }
    return false;
}

bool query_given(const struct http_request *request, const char *name)
{
    for (unsigned i = 0; i < request->query_count; i++) {
        if (query_is(&request->query[i], name)) {
            return true;
        }
    }
    return false;
}

bool query_admits_id(const struct http_request *request, const char *name, uint64_t id)
{
    bool given = false;

    for (unsigned i = 0; i < request->query_count; i++) {
        if (query_is(&request->query[i], name)) {
            given = true;
            if (id_parse(request->query[i].value) == id) {
                return true;
            }
        }
    }
    return !given;
}
