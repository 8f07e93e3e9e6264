/* Swaps of shifts: offered, taken, undone. Whoever asks acts for himself; who may configure schedules, for anybody. */
#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/schedules/schedules.h"

#define TIME_CHARACTERS_MAX 64

static const struct word words_swap_state[] = {
    {TOCSIN__SWAP_STATE__SWAP_OFFERED, "offered"},
    {TOCSIN__SWAP_STATE__SWAP_TAKEN, "taken"},
    {TOCSIN__SWAP_STATE__SWAP_UNDONE, "undone"},
    {TOCSIN__SWAP_STATE__SWAP_EXPIRED, "expired"},
    {0, NULL},
};

static json_t *user_or_nobody(struct http_request *request, const struct machine_store *view, uint64_t user_id)
{
    return user_id != 0 ? reference_user(request, view, user_id) : json_null();
}

static json_t *render_swap(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Swap *swap = record;
    json_t *overrides = json_array();
    json_t *back = swap->return_end_ms == 0
                       ? json_null()
                       : json_pack("{s:o, s:o}", "start", json_time(swap->return_start_ms), "end",
                                   json_time(swap->return_end_ms));

    for (size_t i = 0; i < swap->n_override_ids; i++) {
        json_array_append_new(overrides, json_id(swap->override_ids[i]));
    }
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", json_id(swap->id),
                     "type", "shift_swap", "schedule", reference_schedule(request, view, swap->schedule_id), "user",
                     reference_user(request, view, swap->user_id), "start", json_time(swap->start_ms), "end",
                     json_time(swap->end_ms), "asked", user_or_nobody(request, view, swap->asked_user_id),
                     "in_return_for", back, "note", json_text(swap->note), "status",
                     json_word(words_swap_state, (int)swap->state), "taken_by",
                     user_or_nobody(request, view, swap->taken_by), "created_at", json_time(swap->created_at_ms),
                     "overrides", overrides);
}

/* ?status[]=offered; without: what is offered, and what is taken and not over. */
static bool swap_matches(struct http_request *request, const void *record)
{
    const Tocsin__Swap *swap = record;
    if (query_given(request, "status")) {
        return query_has(request, "status", word_of(words_swap_state, (int)swap->state));
    }
    uint64_t last_ms = swap->end_ms > swap->return_end_ms ? swap->end_ms : swap->return_end_ms;
    return swap->state <= TOCSIN__SWAP_STATE__SWAP_TAKEN && last_ms > api_cluster_ms(request);
}

static const struct resource resource_swap = {
    .name = "swap",
    .plural = "swaps",
    .table = TABLE_SWAP,
    .descriptor = &tocsin__swap__descriptor,
    .matches = swap_matches,
    .render = render_swap,
};

/* ---------------------------------------------------------------- who acts */

/* Whose hand it is: the body's `user`, otherwise whoever asks. False: answered. */
static bool acting_user(struct http_request *request, struct field_reader *reader, uint64_t *user_id)
{
    const struct principal *principal = &api_call_of(request)->principal;
    bool present = false;

    *user_id = principal->user_id;
    if (reader->object != NULL && field_reference(reader, "user", user_id, &present) && !present) {
        *user_id = principal->user_id;
    }
    if (*user_id == 0) {
        field_error(reader, "'user' can't be blank for a token that belongs to nobody");
    }
    if (!fields_finish(reader)) {
        return false;
    }
    return role_require(request, *user_id == principal->user_id ? PERMISSION_RESPOND : PERMISSION_CONFIGURE);
}

static void take_span(struct field_reader *reader, uint64_t *start_ms, uint64_t *end_ms)
{
    const char *names[] = {"start", "end"};
    uint64_t *slots[] = {start_ms, end_ms};

    for (size_t i = 0; i < 2; i++) {
        const char *text = NULL;
        bool present = false;
        if (!field_string(reader, names[i], TIME_CHARACTERS_MAX, &text, &present)) {
            continue;
        }
        if (!present || !schedule_time_parse(text, slots[i]) || *slots[i] < 1000) {
            field_error(reader, "'%s%s' must be a time in ISO 8601 format", reader->prefix, names[i]);
            continue;
        }
        *slots[i] -= *slots[i] % 1000;
    }
}

/* ---------------------------------------------------------------- handlers */

void swaps_list(struct http_request *request)
{
    uint64_t schedule_id;

    if (path_id(request, 0, &schedule_id)) {
        resource_list_under(request, &resource_swap, &resource_schedule, schedule_id);
    }
}

void swap_read(struct http_request *request)
{
    uint64_t schedule_id, id;

    if (path_id(request, 0, &schedule_id) && path_id(request, 1, &id)) {
        resource_get(request, &resource_swap, schedule_id, id);
    }
}

void swap_offer(struct http_request *request)
{
    struct field_reader reader;
    uint64_t schedule_id, user_id;
    json_t *back = NULL;
    const char *note = "";

    if (!path_id(request, 0, &schedule_id) || !body_open(request, "swap", &reader) ||
        !acting_user(request, &reader, &user_id)) {
        return;
    }
    Tocsin__Swap *swap = http_alloc(request, sizeof *swap);
    tocsin__swap__init(swap);
    swap->schedule_id = schedule_id;
    swap->user_id = user_id;
    take_span(&reader, &swap->start_ms, &swap->end_ms);
    (void)field_reference(&reader, "asked", &swap->asked_user_id, NULL);
    if (field_string(&reader, "note", LIMIT_SWAP_NOTE_CHARACTERS, &note, NULL)) {
        swap->note = http_strdup(request, note);
    }
    if (field_object(&reader, "in_return_for", &back) && back != NULL) {
        struct field_reader inner = {request, back, "in_return_for.", reader.errors};
        take_span(&inner, &swap->return_start_ms, &swap->return_end_ms);
        reader.errors = inner.errors;
    }
    if (fields_finish(&reader)) {
        api_command(request, TOCSIN__COMMAND__BODY_SWAP_OFFER)->swap_offer->swap = swap;
        resource_save(request, &resource_swap, schedule_id, 201);
    }
}

/* Schedule, swap and person of a request to take or undo; the body may name the person. False: answered. */
static bool take_swap(struct http_request *request, uint64_t *schedule_id, uint64_t *id, uint64_t *user_id)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};

    return path_id(request, 0, schedule_id) && path_id(request, 1, id) && acting_user(request, &reader, user_id);
}

void swap_take(struct http_request *request)
{
    uint64_t schedule_id, id, user_id;

    if (take_swap(request, &schedule_id, &id, &user_id)) {
        Tocsin__SwapTake *take = api_command(request, TOCSIN__COMMAND__BODY_SWAP_TAKE)->swap_take;
        take->schedule_id = schedule_id;
        take->id = id;
        take->user_id = user_id;
        resource_save(request, &resource_swap, schedule_id, 200);
    }
}

/* Whoever may configure schedules undoes any; everybody else what is his. To apply, nobody is whoever may configure. */
void swap_undo(struct http_request *request)
{
    const struct principal *principal = &api_call_of(request)->principal;
    bool configures = principal->permission >= PERMISSION_CONFIGURE;
    uint64_t schedule_id, id;

    if (!configures && principal->user_id == 0) {
        role_refuse(request);
        return;
    }
    if (role_require(request, PERMISSION_RESPOND) && path_id(request, 0, &schedule_id) && path_id(request, 1, &id)) {
        Tocsin__SwapUndo *undo = api_command(request, TOCSIN__COMMAND__BODY_SWAP_UNDO)->swap_undo;
        undo->schedule_id = schedule_id;
        undo->id = id;
        undo->user_id = configures ? 0 : principal->user_id;
        resource_save(request, &resource_swap, schedule_id, 200);
    }
}
