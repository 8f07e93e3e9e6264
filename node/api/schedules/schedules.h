/*
 * Inside the handlers of schedules: reading definitions, putting shifts together, rendering.
 *
 *     schedules.c        create, read, list, change, delete, preview
 *     schedule_fields.c  body ──> definition ──> shifts ──> command
 *     schedule_render.c  definition, stored shifts, overrides ──> JSON
 *     overrides.c        overrides
 *     oncalls.c          who is on call: in a schedule, in policies
 *     revisions.c        what the schedule was: list, read, restore; what was done to it
 *     compare.c          two revisions side by side
 *     swaps.c            shifts that are given away
 *     feeds.c, ics.c     calendars of shifts, for calendar programs
 *     calendar_layers.c  calendars from outside as layers; calendar_import.c reads them
 */
#ifndef NODE_API_SCHEDULES_SCHEDULES_H
#define NODE_API_SCHEDULES_SCHEDULES_H

#include "consensus/machine/oncall/render.h"
#include "node/api/resource.h"
#include "node/host/zones.h"

/* A span of time that a query asks for. */
struct window {
    bool given;
    uint64_t since_ms, until_ms;
};

/* since and until of the query: neither, or one, which makes it two weeks, or both. False: answered with 400. */
bool window_parse(struct http_request *request, struct window *window);

/* ---- schedules.c */

extern const struct resource resource_schedule;

/* The command that makes or changes a schedule, its shifts rendered, under call->command. False: answered with 400. */
bool schedule_command(struct http_request *request, uint64_t id, Tocsin__Schedule *schedule, uint32_t base_revision);

/* ---- revisions.c */
void revisions_list(struct http_request *request);
void revision_read(struct http_request *request);
void revision_restore(struct http_request *request);
void schedule_log_list(struct http_request *request);
/* That revision as it is kept, NULL when it is not. */
Tocsin__Schedule *revision_get(const struct machine_store *view, uint64_t schedule_id, uint32_t revision,
                               ProtobufCAllocator *allocator);
/* When, by whom, from what. */
json_t *render_revision(struct http_request *request, const struct machine_store *view,
                        const Tocsin__Schedule *revision);
/* A revision's number in a text; false, with the error noted, for what is none. */
bool revision_number(struct field_reader *reader, const char *name, const char *text, uint32_t *number);

/* ---- swaps.c */
void swaps_list(struct http_request *request);
void swap_read(struct http_request *request);
void swap_offer(struct http_request *request);
void swap_take(struct http_request *request);
void swap_undo(struct http_request *request);

/* ---- calendar_layers.c */
void calendar_layer_create(struct http_request *request);
void calendar_layer_replace(struct http_request *request);

/* ---- compare.c */
void revisions_compare(struct http_request *request);

/* ---- schedule_fields.c */

/* Also as Go prints a time: "2015-11-06 20:00:00 +0000 UTC". */
bool schedule_time_parse(const char *text, uint64_t *time_ms);
/* "08:00:00", or without seconds. */
bool time_of_day_parse(const char *text, uint32_t *second);

struct schedule_given {
    bool name, description, time_zone, layers, teams; /* which the body has */
    Tocsin__Schedule *schedule;
};

/* False: answered with 400. A new one must have a time zone and layers. */
bool schedule_take(struct http_request *request, bool creation, struct schedule_given *given);

/* The zone of that name; false: answered with 400. The caller frees it. */
bool schedule_zone(struct http_request *request, const char *name, struct zone **zone);

/* ---- schedule_render.c */

/* Who is on call in [since, until): the past as it was, the future as far as it is stored, and beyond that as it will
 * be rendered; overrides apart. Appended to the lists. */
void schedule_shifts_of(const struct machine_store *view, const Tocsin__Schedule *schedule, uint64_t since_ms,
                        uint64_t until_ms, struct shifts *layers, struct shifts *overrides);
/* ... with overrides. */
void schedule_final(const struct machine_store *view, const Tocsin__Schedule *schedule, uint64_t since_ms,
                    uint64_t until_ms, struct shifts *final);

/* "2015-03-06T15:28:51-05:00"; NULL: UTC. */
json_t *json_time_in(const struct zone *zone, uint64_t time_ms);

/* False, and answered with 400, when the window has more entries than an answer may. */
bool schedule_shows(struct http_request *request, const Tocsin__Schedule *schedule, const struct window *window);
/* One that is stored, with who is on call in the window. */
json_t *render_shown(struct http_request *request, const struct machine_store *view, const Tocsin__Schedule *schedule,
                     const struct window *window);
/* ... without a window, as `render` of struct resource. */
json_t *render_schedule(struct http_request *request, const struct machine_store *view, const void *schedule);
/* One that is not. */
json_t *render_preview(struct http_request *request, const struct machine_store *view, const Tocsin__Schedule *schedule,
                       const struct zone *zone, const struct window *window);
/* The policies that name the schedules of an answer. */
void complete_policies(struct http_request *request, const struct machine_store *view, json_t *schedules);

/* ---- overrides.c */
void overrides_list(struct http_request *request);
void overrides_create(struct http_request *request);
void override_remove(struct http_request *request);

/* ---- oncalls.c */
void oncalls_list(struct http_request *request);
void schedule_users(struct http_request *request);
void schedule_on_call_read(struct http_request *request);

#endif
