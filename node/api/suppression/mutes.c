/*
 * Mutes: no incident for what matchers fit, for an hour or as long as is said, a day at most.
 *
 *     POST /mutes {"mute": {"matchers": ["service=db", "summary=~disk.*"], "reason": "ticket 7", "duration": 3600}}
 *
 * `end_time` may stand in place of `duration` (seconds). DELETE ends one; it stays to be read.
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/suppression/suppression.h"

#define TIME_CHARACTERS_MAX 64u

static const struct word words_state[] = {
    {MUTE_PENDING, "pending"}, {MUTE_ACTIVE, "active"}, {MUTE_EXPIRED, "expired"}, {0, NULL}};

enum mute_state mute_state(struct http_request *request, const Tocsin__Mute *mute)
{
    uint64_t now_ms = api_cluster_ms(request);

    return mute->end_ms <= now_ms ? MUTE_EXPIRED : mute->start_ms <= now_ms ? MUTE_ACTIVE : MUTE_PENDING;
}

/* How many alerts it keeps quiet at present: who forgot a mute sees what it costs. */
static json_int_t count_held(const struct machine_store *view, uint64_t mute_id)
{
    json_int_t count = 0;
    struct walk walk = walk_under(view, TABLE_HELD, mute_id);

    while (walk_next(&walk)) {
        count++;
    }
    return count;
}

static json_t *render_mute(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Mute *mute = record;
    json_t *matchers = json_array();
    char id[16];

    id_format(mute->id, id);
    for (size_t i = 0; i < mute->n_matchers; i++) {
        json_array_append_new(matchers, json_matcher(mute->matchers[i]));
    }
    json_t *object = render_head(mute->id, "mute", mute->reason, render_self(request, "/mutes/%s", id));
    json_object_set_new(object, "status", json_word(words_state, (int)mute_state(request, mute)));
    json_object_set_new(object, "matchers", matchers);
    json_object_set_new(object, "reason", json_text(mute->reason));
    json_object_set_new(object, "start_time", json_time(mute->start_ms));
    json_object_set_new(object, "end_time", json_time(mute->end_ms));
    json_object_set_new(object, "created_by", json_text(mute->created_by));
    json_object_set_new(object, "user",
                        mute->created_by_id != 0 ? reference_user(request, view, mute->created_by_id) : json_null());
    json_object_set_new(object, "created_at", json_time(mute->created_at_ms));
    json_object_set_new(object, "updated_at", json_time(mute->updated_at_ms));
    json_object_set_new(object, "alerts_held", json_integer(count_held(view, mute->id)));
    return object;
}

/* ?status[]=; without, those that are not over. */
static bool mute_matches(struct http_request *request, const void *record)
{
    enum mute_state state = mute_state(request, record);

    return query_given(request, "status") ? query_has(request, "status", word_of(words_state, (int)state))
                                          : state != MUTE_EXPIRED;
}

static const struct resource resource_mute = {
    .name = "mute",
    .plural = "mutes",
    .table = TABLE_MUTE,
    .descriptor = &tocsin__mute__descriptor,
    .matches = mute_matches,
    .render = render_mute,
};

/* ---------------------------------------------------------------- the body */

static void take_time(struct field_reader *reader, const char *name, uint64_t *slot)
{
    const char *text = NULL;
    bool present = false;

    if (field_string(reader, name, TIME_CHARACTERS_MAX, &text, &present) && present && !time_parse(text, slot)) {
        field_error(reader, "'%s' must be a time in ISO 8601 format", name);
    }
}

static bool take_mute(struct http_request *request, uint64_t id, Tocsin__Mute *mute)
{
    struct field_reader reader;
    const char *reason = NULL;
    bool present = false;
    int64_t duration_s = 0;

    if (!body_open(request, "mute", &reader)) {
        return false;
    }
    Tocsin__MutePut *put = api_command(request, TOCSIN__COMMAND__BODY_MUTE_PUT)->mute_put;
    put->id = id;
    put->mute = mute;
    take_matchers(&reader, mute);
    if (mute->n_matchers == 0 && reader.errors == NULL) {
        field_error(&reader, "'matchers' can't be blank");
    }
    if (field_string(&reader, "reason", LIMIT_DESCRIPTION_CHARACTERS, &reason, &present) && present) {
        mute->reason = http_strdup(request, reason);
    }
    if (mute->reason[strspn(mute->reason, " \t\r\n")] == '\0') {
        field_error(&reader, "'reason' can't be blank: others will ask why it is quiet");
    }
    take_time(&reader, "start_time", &mute->start_ms);
    take_time(&reader, "end_time", &mute->end_ms);
    if (field_integer(&reader, "duration", 1, LIMIT_MUTE_SECONDS, &duration_s, &present) && present) {
        put->lasts_s = (uint32_t)duration_s;
        mute->end_ms = 0;
    }
    return fields_finish(&reader);
}

/* ---------------------------------------------------------------- handlers */

void mutes_list(struct http_request *request)
{
    if (query_words(request, "status", words_state)) {
        resource_list(request, &resource_mute);
    }
}

void mute_read(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_mute, 0, id);
    }
}

void mute_create(struct http_request *request)
{
    Tocsin__Mute *mute = http_alloc(request, sizeof *mute);

    tocsin__mute__init(mute);
    if (take_mute(request, 0, mute)) {
        resource_save(request, &resource_mute, 0, 201);
    }
}

/* What the body does not have stays as it is. */
static void on_read_for_update(struct http_request *request, const struct machine_store *view)
{
    uint64_t id = api_call_of(request)->id;
    Tocsin__Mute *mute = mute_get(view, id, request_memory(request));

    if (mute == NULL) {
        api_not_found(request);
    } else if (take_mute(request, id, mute)) {
        resource_save(request, &resource_mute, 0, 200);
    }
}

void mute_update(struct http_request *request)
{
    if (path_id(request, 0, &api_call_of(request)->id)) {
        api_read(request, on_read_for_update);
    }
}

void mute_remove(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_MUTE_END)->mute_end->id = id;
        resource_delete(request);
    }
}
