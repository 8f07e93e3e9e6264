/* What a schedule was: its revisions, one brought back, and the log of what was done to it. */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/refusals.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/schedules/schedules.h"

#define NUMBER_CHARACTERS_MAX 9u

Tocsin__Schedule *revision_get(const struct machine_store *view, uint64_t schedule_id, uint32_t revision,
                               ProtobufCAllocator *allocator)
{
    struct walk walk = walk_under_backward(view, TABLE_SCHEDULE_REVISION, schedule_id);

    while (walk_next(&walk)) {
        if (span_number(walk.key, 2) == revision) {
            return record_unpack(&tocsin__schedule__descriptor, walk.value, allocator);
        }
    }
    return NULL;
}

json_t *render_revision(struct http_request *request, const struct machine_store *view,
                        const Tocsin__Schedule *revision)
{
    return json_pack("{s:I, s:o, s:o, s:o}", "revision", (json_int_t)revision->revision, "created_at",
                     json_time(revision->revised_at_ms), "created_by",
                     reference_actor(request, view, revision->revised_by, 0), "restored_from",
                     revision->restored_from != 0 ? json_integer(revision->restored_from) : json_null());
}

bool revision_number(struct field_reader *reader, const char *name, const char *text, uint32_t *number)
{
    *number = 0;
    if (text != NULL && strlen(text) <= NUMBER_CHARACTERS_MAX && strspn(text, "0123456789") == strlen(text)) {
        *number = (uint32_t)strtoul(text, NULL, 10);
    }
    if (*number == 0) {
        field_error(reader, "'%s' must be the number of a revision", name);
    }
    return *number != 0;
}

/* ---------------------------------------------------------------- list */

struct list_call {
    uint64_t schedule_id;
    struct page page;
};

static bool schedule_is_there(const struct machine_store *view, uint64_t schedule_id)
{
    struct key key = key_1(schedule_id);
    struct span found;

    return view->get(view->context, TABLE_SCHEDULE, key_span(&key), &found);
}

/* Rows under the schedule of the path, newest first, on the page that was asked for. */
static void answer_newest_first(struct http_request *request, const struct machine_store *view,
                                enum machine_table table, const ProtobufCMessageDescriptor *descriptor,
                                const char *plural,
                                json_t *(*render)(struct http_request *, const struct machine_store *, const void *))
{
    struct list_call *state = api_call_of(request)->data;

    if (!schedule_is_there(view, state->schedule_id)) {
        api_not_found(request);
        return;
    }
    json_t *list = json_array(), *answer = json_object();
    struct walk walk = walk_under_backward(view, table, state->schedule_id);
    while (!page_done(&state->page) && walk_next(&walk)) {
        if (page_take(&state->page)) {
            void *record = record_unpack(descriptor, walk.value, NULL);
            json_array_append_new(list, render(request, view, record));
            protobuf_c_message_free_unpacked(record, NULL);
        }
    }
    json_object_set_new(answer, plural, list);
    page_finish(&state->page, answer);
    api_json(request, 200, answer);
}

static void list(struct http_request *request, api_on_read on_read)
{
    struct list_call *state = http_alloc(request, sizeof *state);

    if (path_id(request, 0, &state->schedule_id) && page_parse(request, &state->page)) {
        api_call_of(request)->data = state;
        api_read(request, on_read);
    }
}

static json_t *render_row(struct http_request *request, const struct machine_store *view, const void *record)
{
    return render_revision(request, view, record);
}

static void on_read_revisions(struct http_request *request, const struct machine_store *view)
{
    answer_newest_first(request, view, TABLE_SCHEDULE_REVISION, &tocsin__schedule__descriptor, "revisions", render_row);
}

void revisions_list(struct http_request *request)
{
    list(request, on_read_revisions);
}

/* ---------------------------------------------------------------- log */

static json_t *user_or_nobody(struct http_request *request, const struct machine_store *view, uint64_t user_id)
{
    return user_id != 0 ? reference_user(request, view, user_id) : json_null();
}

static json_t *render_line(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__LogEntry *entry = record;
    bool changed = entry->n_on_call == 2;

    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "id", json_id(entry->id), "type",
                     json_word(words_log_type, (int)entry->type), "summary", entry->text, "created_at",
                     json_time(entry->at_ms), "agent", reference_actor(request, view, entry->agent, 0),
                     "on_call_before",
                     changed ? user_or_nobody(request, view, entry->on_call[0]->user_id) : json_null(),
                     "on_call_after",
                     changed ? user_or_nobody(request, view, entry->on_call[1]->user_id) : json_null());
}

static void on_read_log(struct http_request *request, const struct machine_store *view)
{
    answer_newest_first(request, view, TABLE_SCHEDULE_LOG, &tocsin__log_entry__descriptor, "log_entries", render_line);
}

void schedule_log_list(struct http_request *request)
{
    list(request, on_read_log);
}

/* ---------------------------------------------------------------- one */

struct revision_call {
    uint64_t schedule_id;
    uint32_t revision, base_revision;
};

static struct revision_call *take_revision(struct http_request *request)
{
    struct revision_call *state = http_alloc(request, sizeof *state);
    struct field_reader reader = {.request = request, .prefix = ""};

    if (!path_id(request, 0, &state->schedule_id)) {
        return NULL;
    }
    (void)revision_number(&reader, "revision", api_call_of(request)->parameters[1], &state->revision);
    if (!fields_finish(&reader)) {
        return NULL;
    }
    api_call_of(request)->data = state;
    return state;
}

static void on_read_revision(struct http_request *request, const struct machine_store *view)
{
    const struct revision_call *state = api_call_of(request)->data;
    const Tocsin__Schedule *revision =
        revision_get(view, state->schedule_id, state->revision, request_memory(request));

    if (revision == NULL) {
        api_not_found(request);
        return;
    }
    json_t *object = render_revision(request, view, revision);
    json_object_set_new(object, "schedule", render_schedule(request, view, revision));
    api_json(request, 200, json_pack("{s:o}", "revision", object));
}

void revision_read(struct http_request *request)
{
    if (take_revision(request) != NULL) {
        api_read(request, on_read_revision);
    }
}

/* ---------------------------------------------------------------- restore */

static void on_restored(struct http_request *request, const Tocsin__Reply *reply)
{
    resource_saved(request, &resource_schedule, 0, 200, reply);
}

/* A new revision like the old one. Of a layer that is over, people may be gone; of any other, apply refuses them. */
static void on_read_for_restore(struct http_request *request, const struct machine_store *view)
{
    const struct revision_call *state = api_call_of(request)->data;
    const Tocsin__Schedule *now = schedule_get(view, state->schedule_id, request_memory(request));
    Tocsin__Schedule *then = revision_get(view, state->schedule_id, state->revision, request_memory(request));

    if (now == NULL || then == NULL) {
        api_not_found(request);
        return;
    }
    then->restored_from = state->revision;
    uint32_t base_revision = state->base_revision != 0 ? state->base_revision : now->revision;
    if (schedule_command(request, state->schedule_id, then, base_revision)) {
        api_submit(request, on_restored);
    }
}

/* The query's base_revision says what the caller has seen: another one in force is refused. */
void revision_restore(struct http_request *request)
{
    struct field_reader reader = {.request = request, .prefix = ""};
    const char *base = http_query(request, "base_revision");
    struct revision_call *state;

    if (!role_require(request, PERMISSION_CONFIGURE) || (state = take_revision(request)) == NULL) {
        return;
    }
    if (base != NULL) {
        (void)revision_number(&reader, "base_revision", base, &state->base_revision);
    }
    if (fields_finish(&reader)) {
        api_read(request, on_read_for_restore);
    }
}
