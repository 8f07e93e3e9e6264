/*
 * Calendar feeds: the shifts of a schedule or of a person under a secret URL, for calendar programs, which carry no
 * token.
 *
 *     POST /schedules/{id}/calendar_feed ──> the URL, shown once; another POST makes a new one, and the old one is gone
 *     GET  /calendars/{secret}.ics       ──> RFC 5545
 *
 * Of the secret only a SHA-256 is kept, which is also how it is found: the comparison tells nobody how near a guess was.
 */
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/schedules/schedules.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/schedules/ics.h"
#include "node/api/schedules/schedules.h"

#define SECRET_CHARACTERS 40u
#define SUFFIX ".ics"
#define DAY_MS (24ull * 3600 * 1000)
#define PAST_MS (30 * DAY_MS)
#define FUTURE_MS (90 * DAY_MS)
/* Shifts are followed this far beyond both ends, so that the first and the last are whole. */
#define FOLLOWED_MS (60 * DAY_MS)
#define EVENTS_MAX 5000u
/* Schedules that a person's feed looks through. */
#define SCHEDULES_MAX 2000u

static void hash_of(const char *secret, uint8_t hash[SHA256_DIGEST_SIZE])
{
    struct sha256_ctx context;

    sha256_init(&context);
    sha256_update(&context, strlen(secret), (const uint8_t *)secret);
    sha256_digest(&context, SHA256_DIGEST_SIZE, hash);
}

/* ---------------------------------------------------------------- making and taking away */

struct feed_call {
    uint64_t owner_id;
    bool of_schedule;
    char *secret; /* of a new one */
    uint8_t hash[SHA256_DIGEST_SIZE]; /* of the secret */
};

static json_t *render_feed(struct http_request *request, const struct machine_store *view,
                           const struct feed_call *state, const Tocsin__CalendarFeed *feed)
{
    json_t *owner = state->of_schedule ? reference_schedule(request, view, state->owner_id)
                                       : reference_user(request, view, state->owner_id);
    json_t *object = json_pack("{s:o, s:s, s:o, s:o}", "id", json_id(feed->id), "type", "calendar_feed", "created_at",
                               json_time(feed->created_at_ms), state->of_schedule ? "schedule" : "user", owner);

    if (state->secret != NULL) {
        json_object_set_new(object, "url",
                            render_self(request, "/calendars/%s" SUFFIX, state->secret));
    }
    return object;
}

/* With an Idempotency-Key the new one may be that of an earlier request, whose secret nobody has any more. */
static void on_read_feed(struct http_request *request, const struct machine_store *view)
{
    const struct feed_call *state = api_call_of(request)->data;
    const Tocsin__CalendarFeed *feed = record_get(view, TABLE_CALENDAR_FEED, key_1(state->owner_id),
                                                  &tocsin__calendar_feed__descriptor, request_memory(request));

    if (feed == NULL) {
        api_not_found(request);
        return;
    }
    if (state->secret != NULL && (feed->hash.len != sizeof state->hash || memcmp(feed->hash.data, state->hash, sizeof state->hash) != 0)) {
        api_error(request, 409, 2001, "Invalid Input Provided",
                  json_pack("[s]", "This calendar feed was made by another request; its URL is shown only once"));
        return;
    }
    api_json(request, state->secret != NULL ? 201 : 200,
             json_pack("{s:o}", "calendar_feed", render_feed(request, view, state, feed)));
}

static void on_made(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    api_read(request, on_read_feed);
}

/* A person's feed is his own affair; a schedule's is made by whoever may respond. */
static struct feed_call *take_owner(struct http_request *request, bool of_schedule, bool writes)
{
    struct feed_call *state = http_alloc(request, sizeof *state);

    state->of_schedule = of_schedule;
    api_call_of(request)->data = state;
    if (!path_id(request, 0, &state->owner_id)) {
        return NULL;
    }
    if (!writes) {
        return state;
    }
    return (of_schedule ? role_require(request, PERMISSION_RESPOND) : role_require_own(request, state->owner_id))
               ? state
               : NULL;
}

static void make(struct http_request *request, bool of_schedule)
{
    static const char DIGITS[] = "0123456789abcdefghijklmnopqrstuv"; /* 32: every byte's low bits are one */
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    struct feed_call *state = take_owner(request, of_schedule, true);
    uint8_t random[SECRET_CHARACTERS];

    if (state == NULL) {
        return;
    }
    ports->random(ports->context, random, sizeof random);
    state->secret = http_alloc(request, SECRET_CHARACTERS + 1);
    for (size_t i = 0; i < SECRET_CHARACTERS; i++) {
        state->secret[i] = DIGITS[random[i] % 32];
    }
    hash_of(state->secret, state->hash);
    Tocsin__CalendarFeed *feed = http_alloc(request, sizeof *feed);
    tocsin__calendar_feed__init(feed);
    feed->hash = (ProtobufCBinaryData){.len = sizeof state->hash, .data = state->hash};
    *(of_schedule ? &feed->schedule_id : &feed->user_id) = state->owner_id;
    api_command(request, TOCSIN__COMMAND__BODY_CALENDAR_FEED_PUT)->calendar_feed_put->feed = feed;
    api_submit(request, on_made);
}

static void take_away(struct http_request *request, bool of_schedule)
{
    const struct feed_call *state = take_owner(request, of_schedule, true);

    if (state != NULL) {
        Tocsin__CalendarFeedDelete *delete =
            api_command(request, TOCSIN__COMMAND__BODY_CALENDAR_FEED_DELETE)->calendar_feed_delete;
        *(of_schedule ? &delete->schedule_id : &delete->user_id) = state->owner_id;
        resource_delete(request);
    }
}

static void show(struct http_request *request, bool of_schedule)
{
    if (take_owner(request, of_schedule, false) != NULL) {
        api_read(request, on_read_feed);
    }
}

static void schedule_feed_make(struct http_request *request)
{
    make(request, true);
}

static void schedule_feed_read(struct http_request *request)
{
    show(request, true);
}

static void schedule_feed_remove(struct http_request *request)
{
    take_away(request, true);
}

static void user_feed_make(struct http_request *request)
{
    make(request, false);
}

static void user_feed_read(struct http_request *request)
{
    show(request, false);
}

static void user_feed_remove(struct http_request *request)
{
    take_away(request, false);
}

/* ---------------------------------------------------------------- reading */

struct reading {
    const struct machine_store *view;
    struct ics ics;
    uint64_t now_ms, user_id; /* user 0: everybody's shifts */
    unsigned events;
};

static bool has_user(const struct machine_store *view, const Tocsin__Schedule *schedule, uint64_t user_id,
                     uint64_t since_ms)
{
    for (size_t i = 0; i < schedule->n_layers; i++) {
        for (size_t j = 0; j < schedule->layers[i]->n_user_ids; j++) {
            if (schedule->layers[i]->user_ids[j] == user_id) {
                return true;
            }
        }
    }
    struct walk walk = walk_under_from(view, TABLE_OVERRIDE, schedule->id, since_ms);
    return walk_next(&walk); /* looked at more closely when it is rendered */
}

static void add_shift(struct reading *reading, const Tocsin__Schedule *schedule, const struct shift *shift)
{
    Tocsin__User *user = user_get(reading->view, shift->user_id, NULL);
    const char *name = user != NULL ? user->name : "Somebody";
    char uid[96], schedule_id[16], user_id[16], summary[1024];

    id_format(schedule->id, schedule_id);
    id_format(shift->user_id, user_id);
    (void)snprintf(uid, sizeof uid, "%s-%s-%llu@tocsin", schedule_id, user_id,
                   (unsigned long long)(shift->start_ms / 1000));
    (void)snprintf(summary, sizeof summary, "%s on call: %s", name, schedule_called(schedule));
    ics_add(&reading->ics, &(struct ics_event){.uid = uid,
                                               .summary = summary,
                                               .description = schedule->description,
                                               .start_ms = shift->start_ms,
                                               .end_ms = shift->end_ms,
                                               .changed_ms = schedule->revised_at_ms});
    reading->events++;
    tocsin__user__free_unpacked(user, NULL);
}

static void add_schedule(struct reading *reading, const Tocsin__Schedule *schedule)
{
    uint64_t since_ms = reading->now_ms - PAST_MS, until_ms = reading->now_ms + FUTURE_MS;
    struct shifts shifts = {0};

    schedule_final(reading->view, schedule, since_ms - FOLLOWED_MS, until_ms + FOLLOWED_MS, &shifts);
    for (size_t i = 0; i < shifts.count && reading->events < EVENTS_MAX; i++) {
        const struct shift *shift = &shifts.list[i];
        if (shift->end_ms > since_ms && shift->start_ms < until_ms &&
            (reading->user_id == 0 || shift->user_id == reading->user_id)) {
            add_shift(reading, schedule, shift);
        }
    }
    shifts_free(&shifts);
}

static void add_schedules_of_user(struct reading *reading)
{
    struct walk walk = walk_all(reading->view, TABLE_SCHEDULE);

    for (unsigned i = 0; i < SCHEDULES_MAX && walk_next(&walk); i++) {
        Tocsin__Schedule *schedule = record_unpack(&tocsin__schedule__descriptor, walk.value, NULL);
        if (schedule != NULL &&
            has_user(reading->view, schedule, reading->user_id, reading->now_ms - PAST_MS - FOLLOWED_MS)) {
            add_schedule(reading, schedule);
        }
        tocsin__schedule__free_unpacked(schedule, NULL);
    }
}

static void answer_feed(struct http_request *request, struct reading *reading, const Tocsin__CalendarFeed *feed)
{
    const char *name = "On call";

    if (feed->schedule_id != 0) {
        const Tocsin__Schedule *schedule =
            schedule_get(reading->view, feed->schedule_id, request_memory(request));
        ics_begin(&reading->ics, schedule != NULL && schedule->name[0] != '\0' ? schedule->name : name);
        if (schedule != NULL) {
            add_schedule(reading, schedule);
        }
    } else {
        const Tocsin__User *user = user_get(reading->view, feed->user_id, request_memory(request));
        reading->user_id = feed->user_id;
        ics_begin(&reading->ics, user != NULL ? user->name : name);
        add_schedules_of_user(reading);
    }
    ics_end(&reading->ics);
    api_body(request, 200, "text/calendar; charset=utf-8", reading->ics.text, reading->ics.size_bytes);
}

/* The secret in the path, without the suffix; NULL when it cannot be one. */
static const char *secret_of(struct http_request *request)
{
    char *secret = http_strdup(request, api_call_of(request)->parameters[0]);
    size_t length = strlen(secret), suffix = strlen(SUFFIX);

    if (length > suffix && strcmp(secret + length - suffix, SUFFIX) == 0) {
        secret[length - suffix] = '\0';
    }
    return strlen(secret) == SECRET_CHARACTERS ? secret : NULL;
}

static void on_read_calendar(struct http_request *request, const struct machine_store *view)
{
    const char *secret = secret_of(request);
    struct reading reading = {.view = view, .now_ms = api_cluster_ms(request) / 1000 * 1000};
    const Tocsin__CalendarFeed *feed = NULL;
    uint8_t hash[SHA256_DIGEST_SIZE];
    struct span owner;

    if (secret != NULL) {
        hash_of(secret, hash);
        struct key key = key_bytes(hash, sizeof hash);
        if (view->get(view->context, TABLE_CALENDAR_FEED_BY_HASH, key_span(&key), &owner)) {
            feed = record_get(view, TABLE_CALENDAR_FEED, key_1(span_number(owner, 0)),
                              &tocsin__calendar_feed__descriptor, request_memory(request));
        }
    }
    if (feed == NULL) {
        api_not_found(request);
        return;
    }
    answer_feed(request, &reading, feed);
}

static void calendar_read(struct http_request *request)
{
    api_read(request, on_read_calendar);
}

const struct route routes_feeds[] = {
    {"GET", "/calendars/{}", calendar_read, FAMILY_REST, ROUTE_PUBLIC},
    {"GET", "/schedules/{}/calendar_feed", schedule_feed_read, FAMILY_REST, 0},
    {"POST", "/schedules/{}/calendar_feed", schedule_feed_make, FAMILY_REST, 0},
    {"DELETE", "/schedules/{}/calendar_feed", schedule_feed_remove, FAMILY_REST, 0},
    {"GET", "/users/{}/calendar_feed", user_feed_read, FAMILY_REST, 0},
    {"POST", "/users/{}/calendar_feed", user_feed_make, FAMILY_REST, 0},
    {"DELETE", "/users/{}/calendar_feed", user_feed_remove, FAMILY_REST, 0},
    {0},
};
