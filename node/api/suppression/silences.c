/*
 * Alertmanager's silences: another face of mutes, for amtool, Grafana and Karma (contracts/alertmanager.md).
 *
 * A silence's id is the mute's in the shape of a UUID, which its clients expect.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/suppression/suppression.h"
#include "node/suppression/mute_match.h"

#define UUID_HEAD "00000000-0000-4000-8000-"
#define UUID_CHARACTERS 36u
/* So long Alertmanager shows those that are over. */
#define EXPIRED_SHOWN_MS (5ull * 24 * 3600 * 1000)
#define TIME_CHARACTERS_MAX 64u
#define MUTES_SEEN_MAX 20000u        /* of a list, the newest; at most LIMIT_MUTES are not over */
#define FILTER_STEPS_MAX 2000000u    /* of all filters' expressions, for one request: some 20 ms */

/* ---------------------------------------------------------------- ids */

json_t *json_silence_id(uint64_t id)
{
    return json_format(UUID_HEAD "%012" PRIx64, id);
}

/* 0 for what is no silence's id. */
static uint64_t uuid_parse(const char *text)
{
    size_t head = strlen(UUID_HEAD);

    if (strlen(text) != UUID_CHARACTERS || strncmp(text, UUID_HEAD, head) != 0 ||
        strspn(text + head, "0123456789abcdef") != UUID_CHARACTERS - head) {
        return 0;
    }
    return strtoull(text + head, NULL, 16);
}

static void answer_unknown(struct http_request *request)
{
    api_error(request, 404, 0, "silence not found", NULL);
}

/* ---------------------------------------------------------------- rendering */

static json_t *render_silence(struct http_request *request, const Tocsin__Mute *mute)
{
    static const char *const STATES[] = {
        [MUTE_PENDING] = "pending", [MUTE_ACTIVE] = "active", [MUTE_EXPIRED] = "expired"};
    json_t *matchers = json_array();

    for (size_t i = 0; i < mute->n_matchers; i++) {
        const Tocsin__Matcher *matcher = mute->matchers[i];
        json_array_append_new(matchers, json_pack("{s:s, s:s, s:b, s:b}", "name", matcher->name, "value", matcher->value,
                                                  "isRegex", matcher->is_regex, "isEqual", !matcher->is_negative));
    }
    return json_pack("{s:o, s:{s:s}, s:o, s:o, s:o, s:o, s:s, s:s, s:{}}", "id", json_silence_id(mute->id), "status", "state",
                     STATES[mute_state(request, mute)], "updatedAt", json_time(mute->updated_at_ms), "matchers", matchers,
                     "startsAt", json_time(mute->start_ms), "endsAt", json_time(mute->end_ms), "createdBy",
                     mute->created_by, "comment", mute->reason, "annotations");
}

/* ---------------------------------------------------------------- list */

/* The filters of the query, each name="value" and so on. */
struct filters {
    Tocsin__Matcher matchers[LIMIT_MATCHERS_PER_MUTE];
    struct label_test *tests[LIMIT_MATCHERS_PER_MUTE]; /* while a list is made */
    size_t count;
    uint64_t steps_left;
};

/* False: answered. */
static bool take_filters(struct http_request *request, struct filters *filters)
{
    char error[PATTERN_ERROR_SIZE_BYTES];

    for (size_t i = 0; i < request->query_count; i++) {
        if (!query_is(&request->query[i], "filter")) {
            continue;
        }
        if (filters->count == LIMIT_MATCHERS_PER_MUTE) {
            api_error(request, 400, 0, "too many filters (maximum is 32)", NULL);
            return false;
        }
        Tocsin__Matcher *matcher = &filters->matchers[filters->count++];
        if (!matcher_parse(request, request->query[i].value, matcher) || !matcher_is_sound(matcher, error)) {
            api_error(request, 400, 0, "bad matcher format", NULL);
            return false;
        }
    }
    return true;
}

static void filters_open(struct filters *filters)
{
    filters->steps_left = FILTER_STEPS_MAX;
    for (size_t i = 0; i < filters->count; i++) {
        filters->tests[i] = label_test_new(&filters->matchers[i]);
    }
}

static void filters_close(struct filters *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        label_test_free(filters->tests[i]);
    }
}

/* As Alertmanager does it: the silence's own matchers are the labels that are looked at, whatever their operators. */
static bool filter_admits(struct filters *filters, size_t which, const Tocsin__Mute *mute)
{
    const Tocsin__Matcher *filter = &filters->matchers[which];
    const char *value = NULL;

    for (size_t i = 0; i < mute->n_matchers; i++) {
        value = strcmp(mute->matchers[i]->name, filter->name) == 0 ? mute->matchers[i]->value : value;
    }
    if (filter->value[0] == '\0') {
        return (value != NULL) == filter->is_negative;
    }
    return (value != NULL || filter->is_negative) &&
           label_test_holds(filters->tests[which], value != NULL ? value : "", &filters->steps_left);
}

static bool wanted(struct http_request *request, const char *name)
{
    const char *text = http_query(request, name);

    return text == NULL || strcmp(text, "false") != 0;
}

static bool is_shown(struct http_request *request, struct filters *filters, const Tocsin__Mute *mute)
{
    static const char *const FLAGS[] = {
        [MUTE_PENDING] = "pending", [MUTE_ACTIVE] = "active", [MUTE_EXPIRED] = "expired"};
    enum mute_state state = mute_state(request, mute);
    bool shown = wanted(request, FLAGS[state]) &&
                 (state != MUTE_EXPIRED || mute->end_ms + EXPIRED_SHOWN_MS > api_cluster_ms(request));

    for (size_t i = 0; i < filters->count && shown; i++) {
        shown = filter_admits(filters, i, mute);
    }
    return shown;
}

static void on_read_list(struct http_request *request, const struct machine_store *view)
{
    struct filters *filters = api_call_of(request)->data;
    json_t *silences = json_array();
    struct walk walk = walk_all_backward(view, TABLE_MUTE);

    filters_open(filters);
    for (unsigned seen = 0; seen < MUTES_SEEN_MAX && filters->steps_left > 0 && walk_next(&walk); seen++) {
        Tocsin__Mute *mute = record_unpack(&tocsin__mute__descriptor, walk.value, NULL);
        if (mute != NULL && is_shown(request, filters, mute)) {
            json_array_append_new(silences, render_silence(request, mute));
        }
        tocsin__mute__free_unpacked(mute, NULL);
    }
    filters_close(filters);
    if (filters->steps_left == 0) {
        json_decref(silences);
        api_error(request, 400, 0, "the filters ask for too much: leave out expressions, or those that are over (expired=false)",
                  NULL);
        return;
    }
    api_json(request, 200, silences);
}

void silences_list(struct http_request *request)
{
    struct filters *filters = http_alloc(request, sizeof *filters);

    api_call_of(request)->data = filters;
    if (take_filters(request, filters)) {
        api_read(request, on_read_list);
    }
}

/* ---------------------------------------------------------------- one */

static void on_read_one(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Mute *mute = mute_get(view, api_call_of(request)->id, request_memory(request));

    if (mute == NULL) {
        answer_unknown(request);
        return;
    }
    api_json(request, 200, render_silence(request, mute));
}

void silence_read(struct http_request *request)
{
    struct api_call *call = api_call_of(request);

    call->id = uuid_parse(call->parameters[0]);
    api_read(request, on_read_one);
}

static void take_time(struct field_reader *reader, const char *name, uint64_t *slot)
{
    const char *text = NULL;
    bool present = false;

    if (field_string(reader, name, TIME_CHARACTERS_MAX, &text, &present) && (!present || !time_parse(text, slot))) {
        field_error(reader, "%s must be a time in RFC 3339 format", name);
    }
}

static void take_text(struct field_reader *reader, const char *name, size_t characters_max, char **slot)
{
    const char *text = NULL;
    bool present = false;

    if (field_string(reader, name, characters_max, &text, &present)) {
        if (present && text[0] != '\0') {
            *slot = http_strdup(reader->request, text);
        } else {
            field_error(reader, "invalid silence: %s missing", name);
        }
    }
}

static void on_saved(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status == TOCSIN__STATUS__STATUS_OK) {
        api_json(request, 200, json_pack("{s:o}", "silenceID", json_silence_id(reply->ids[0])));
    } else if (reply->status == TOCSIN__STATUS__STATUS_NOT_FOUND) {
        answer_unknown(request);
    } else {
        api_refused(request, reply);
    }
}

/* With an id it changes that one; what is over becomes a new one. */
void silence_save(struct http_request *request)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    const char *id = NULL;
    bool present = false;
    Tocsin__MutePut *put = api_command(request, TOCSIN__COMMAND__BODY_MUTE_PUT)->mute_put;
    Tocsin__Mute *mute = put->mute = http_alloc(request, sizeof *mute);

    tocsin__mute__init(mute);
    if (field_string(&reader, "id", LIMIT_NAME_CHARACTERS, &id, &present) && present && id[0] != '\0') {
        put->id = uuid_parse(id);
        if (put->id == 0) {
            json_decref(reader.errors);
            answer_unknown(request);
            return;
        }
    }
    take_matchers(&reader, mute);
    if (mute->n_matchers == 0 && reader.errors == NULL) {
        field_error(&reader, "invalid silence: at least one matcher required");
    }
    take_time(&reader, "startsAt", &mute->start_ms);
    take_time(&reader, "endsAt", &mute->end_ms);
    take_text(&reader, "createdBy", LIMIT_NAME_CHARACTERS, &mute->created_by);
    take_text(&reader, "comment", LIMIT_DESCRIPTION_CHARACTERS, &mute->reason);
    if (fields_finish(&reader)) {
        api_submit(request, on_saved);
    }
}

static void on_expired(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status == TOCSIN__STATUS__STATUS_OK) {
        api_text(request, 200, "", 0);
    } else if (reply->status == TOCSIN__STATUS__STATUS_NOT_FOUND) {
        answer_unknown(request);
    } else {
        api_error(request, 500, 0, "silence already expired", NULL); /* Alertmanager's own answer; its clients know no other */
    }
}

void silence_expire(struct http_request *request)
{
    const char *parameter = api_call_of(request)->parameters[0];

    api_command(request, TOCSIN__COMMAND__BODY_MUTE_END)->mute_end->id = uuid_parse(parameter);
    api_submit(request, on_expired);
}
