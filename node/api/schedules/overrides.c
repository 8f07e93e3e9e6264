/* Overrides of a schedule: several in one request, each judged on its own; or one, as older clients send it. */
#include <assert.h>
#include <stdio.h>

#include "consensus/machine/limits.h"
#include "node/api/refusals.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/schedules/schedules.h"

#define TIME_CHARACTERS_MAX 64

/* ---------------------------------------------------------------- rendering */

static json_t *render_override(struct http_request *request, const struct machine_store *view, const struct zone *zone,
                               const Tocsin__Override *override)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "id", json_id(override->id), "start",
                     json_time_in(zone, override->start_ms), "end", json_time_in(zone, override->end_ms), "user",
                     reference_user(request, view, override->user_id));
}

/* The zone in which a schedule's times are shown; NULL, which is UTC, when it cannot be had. */
static struct zone *zone_of(const struct machine_store *view, uint64_t schedule_id)
{
    Tocsin__Schedule *schedule = schedule_get(view, schedule_id, NULL);
    struct zone *zone = schedule != NULL ? zones_load(schedule->time_zone) : NULL;

    tocsin__schedule__free_unpacked(schedule, NULL);
    return zone;
}

/* ---------------------------------------------------------------- list */

struct list_call {
    uint64_t schedule_id;
    struct window window;
};

static void on_read_list(struct http_request *request, const struct machine_store *view)
{
    const struct list_call *state = api_call_of(request)->data;
    json_t *overrides = json_array();
    uint64_t since_ms = state->window.since_ms;
    struct key key = key_1(state->schedule_id);
    struct span found;

    if (!view->get(view->context, TABLE_SCHEDULE, key_span(&key), &found)) {
        json_decref(overrides);
        api_not_found(request);
        return;
    }
    if (http_query(request, "editable") != NULL) { /* what is over cannot be changed */
        uint64_t now_ms = api_cluster_ms(request);
        since_ms = since_ms > now_ms ? since_ms : now_ms;
    }
    struct zone *zone = zone_of(view, state->schedule_id);
    struct walk walk = walk_under_from(view, TABLE_OVERRIDE, state->schedule_id, since_ms + 1);
    while (walk_next(&walk)) {
        Tocsin__Override *override = record_unpack(&tocsin__override__descriptor, walk.value, NULL);
        assert(override != NULL); /* the machine wrote it */
        if (override->start_ms < state->window.until_ms) {
            json_array_append_new(overrides, render_override(request, view, zone, override));
        }
        tocsin__override__free_unpacked(override, NULL);
    }
    zone_free(zone);
    api_json(request, 200, json_pack("{s:o}", "overrides", overrides));
}

void overrides_list(struct http_request *request)
{
    struct list_call *state = http_alloc(request, sizeof *state);
    struct field_reader reader = {.request = request, .prefix = ""};

    if (!path_id(request, 0, &state->schedule_id) || !window_parse(request, &state->window)) {
        return;
    }
    if (http_query(request, "since") == NULL || http_query(request, "until") == NULL) {
        field_error(&reader, "Since and until can't be blank");
        (void)fields_finish(&reader);
        return;
    }
    api_call_of(request)->data = state;
    api_read(request, on_read_list);
}

/* ---------------------------------------------------------------- create */

struct create_call {
    uint64_t schedule_id;
    bool single; /* {"override": {...}} */
    /* Both are freed with the body, of which they are part. */
    json_t *elements;
    json_t *errors; /* of each element: an array of texts, null while there is nothing against it */
    uint64_t *ids;  /* of each that was made */
    size_t sent_count;
};

static bool is_refused(const struct create_call *state, size_t i)
{
    return json_is_array(json_array_get(state->errors, i));
}

static void take_time(struct field_reader *reader, const char *name, uint64_t *slot)
{
    const char *text = NULL;
    bool present = false;

    if (!field_string(reader, name, TIME_CHARACTERS_MAX, &text, &present)) {
        return;
    }
    if (!present || !schedule_time_parse(text, slot) || *slot < 1000) {
        field_error(reader, "'%s' must be a time in ISO 8601 format", name);
    }
    *slot -= *slot % 1000;
}

/* NULL, with the errors, for what is not an override. */
static Tocsin__Override *take_override(struct http_request *request, json_t *element, json_t **errors)
{
    struct field_reader reader = {.request = request, .object = element, .prefix = ""};
    Tocsin__Override *override = http_alloc(request, sizeof *override);
    bool present = false;

    tocsin__override__init(override);
    if (!json_is_object(element)) {
        field_error(&reader, "An override must be an object");
    } else {
        take_time(&reader, "start", &override->start_ms);
        take_time(&reader, "end", &override->end_ms);
        if (field_reference(&reader, "user", &override->user_id, &present) && !present) {
            field_error(&reader, "'user' can't be blank");
        }
    }
    *errors = reader.errors;
    return reader.errors == NULL ? override : NULL;
}

static json_t *one_error(const Tocsin__Reply *part)
{
    const struct refusal *refusal = refusal_for(part->status, part->reason);
    json_t *errors = json_array();

    json_array_append_new(errors, json_string(refusal->error_text != NULL ? refusal->error_text : part->message));
    return errors;
}

static json_t *render_made(struct http_request *request, const struct machine_store *view, const struct zone *zone,
                           uint64_t schedule_id, uint64_t id)
{
    struct walk walk = walk_under(view, TABLE_OVERRIDE, schedule_id);

    while (walk_next(&walk)) {
        if (span_number(walk.key, 2) == id) {
            return render_override(request, view, zone,
                                   record_unpack(&tocsin__override__descriptor, walk.value, request_memory(request)));
        }
    }
    return json_null(); /* deleted again meanwhile */
}

static void on_read_made(struct http_request *request, const struct machine_store *view)
{
    const struct create_call *state = api_call_of(request)->data;
    struct zone *zone = zone_of(view, state->schedule_id);
    json_t *answer = json_array();

    for (size_t i = 0; i < json_array_size(state->elements); i++) {
        if (!is_refused(state, i)) {
            json_array_append_new(answer,
                                  json_pack("{s:i, s:o}", "status", 201, "override",
                                            render_made(request, view, zone, state->schedule_id, state->ids[i])));
        } else {
            json_array_append_new(answer, json_pack("{s:i, s:O, s:O}", "status", 400, "errors",
                                                    json_array_get(state->errors, i), "override",
                                                    json_array_get(state->elements, i)));
        }
    }
    zone_free(zone);
    if (state->single) {
        json_t *single = json_pack("{s:O}", "override", json_object_get(json_array_get(answer, 0), "override"));
        json_decref(answer);
        answer = single;
    }
    api_json(request, 201, answer);
}

static void on_created(struct http_request *request, const Tocsin__Reply *reply)
{
    struct create_call *state = api_call_of(request)->data;

    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    if (reply->n_parts != state->sent_count) { /* under a repeated Idempotency-Key, from a node that read the same body otherwise */
        api_error(request, 409, 2001, "Invalid Input Provided", json_pack("[s]", "This Idempotency-Key was used for another request"));
        return;
    }
    for (size_t i = 0, part = 0; i < json_array_size(state->elements); i++) {
        if (is_refused(state, i)) {
            continue; /* was not sent */
        }
        const Tocsin__Reply *answer = reply->parts[part++];
        if (answer->status != TOCSIN__STATUS__STATUS_OK && state->single) {
            api_refused(request, answer);
            return;
        }
        if (answer->status == TOCSIN__STATUS__STATUS_OK) {
            state->ids[i] = answer->ids[0];
        } else {
            json_array_set_new(state->errors, i, one_error(answer));
        }
    }
    warn_on_call(request, reply);
    api_read(request, on_read_made);
}

/* The elements of either form; false: answered. */
static bool take_elements(struct http_request *request, struct create_call *state)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    json_t *single = NULL, *many = NULL;

    if (field_object(&reader, "override", &single) &&
        field_array(&reader, "overrides", LIMIT_OVERRIDES_PER_REQUEST, &many) && single == NULL &&
        json_array_size(many) == 0) {
        field_error(&reader, "The body must hold an array named 'overrides'");
    }
    if (!fields_finish(&reader)) {
        return false;
    }
    state->single = single != NULL;
    state->elements = many;
    if (single != NULL) {
        state->elements = json_array();
        json_array_append(state->elements, single);
        json_object_set_new(reader.object, "overrides", state->elements);
    }
    state->errors = json_array();
    json_object_set_new(reader.object, "errors", state->errors);
    return true;
}

void overrides_create(struct http_request *request)
{
    struct create_call *state = http_alloc(request, sizeof *state);

    if (!role_require(request, PERMISSION_RESPOND) || !path_id(request, 0, &state->schedule_id) ||
        !take_elements(request, state)) {
        return;
    }
    size_t count = json_array_size(state->elements);
    state->ids = http_alloc(request, count * sizeof *state->ids);
    Tocsin__OverridesCreate *create = api_command(request, TOCSIN__COMMAND__BODY_OVERRIDES_CREATE)->overrides_create;
    create->schedule_id = state->schedule_id;
    create->overrides = http_alloc(request, count * sizeof *create->overrides);
    for (size_t i = 0; i < count; i++) {
        json_t *errors;
        Tocsin__Override *override = take_override(request, json_array_get(state->elements, i), &errors);
        if (override == NULL && state->single) {
            api_error(request, 400, 2001, "Invalid Input Provided", errors);
            return;
        }
        if (override != NULL) {
            create->overrides[create->n_overrides++] = override;
        }
        json_array_append_new(state->errors, override != NULL ? json_null() : errors);
    }
    state->sent_count = create->n_overrides;
    api_call_of(request)->data = state;
    api_submit(request, on_created);
}

/* ---------------------------------------------------------------- delete */

/* One that had begun only ends now: then it is still there, and the answer is 200. */
static void on_deleted(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    warn_on_call(request, reply);
    if (reply->n_ids > 0) {
        api_json(request, 200, json_object());
    } else {
        api_no_content(request);
    }
}

void override_remove(struct http_request *request)
{
    uint64_t schedule_id, id;

    if (role_require(request, PERMISSION_RESPOND) && path_id(request, 0, &schedule_id) && path_id(request, 1, &id)) {
        Tocsin__OverrideDelete *delete = api_command(request, TOCSIN__COMMAND__BODY_OVERRIDE_DELETE)->override_delete;
        delete->schedule_id = schedule_id;
        delete->id = id;
        api_submit(request, on_deleted);
    }
}
