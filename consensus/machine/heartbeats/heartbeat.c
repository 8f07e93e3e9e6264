/*
 * Heartbeats as people define them, and the pings of jobs (contracts/heartbeats.md, "Effect on the check").
 *
 *              success                  failure, or silence beyond period and grace
 *     new ───────────────> up ─────────────────────────────────────────────────────> down
 *                          ^ └── pause ──> paused ── success, failure, resume ──>      │
 *                          └──────────────────────── success ──────────────────────────┘
 */
#include "consensus/machine/heartbeats/heartbeats.h"

#include <string.h>

#include "consensus/machine/base/text.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/heartbeats/quick_pings.h"
#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/planted.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define STATUS(name) TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_##name

static const struct span nothing = {.data = "", .size_bytes = 0};

/* ---------------------------------------------------------------- checks */

static const char *const heartbeat_fields[] = {"key",         "name",       "slug",     "tags",
                                               "description", "service_id", "period_s", "grace_s",
                                               "manual_resume", "post_only",  "schedule", "time_zone",
                                               "alert_message", "alert_labels", NULL};
static const char *const changeable_fields[] = {"name",     "slug",    "tags",          "description", "service_id",
                                                "period_s", "grace_s", "manual_resume", "post_only",   "schedule",
                                                "time_zone", "alert_message", "alert_labels", NULL};

static bool is_uuid(const char *text)
{
    for (size_t i = 0; i < RUN_CHARACTERS; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (dash ? text[i] != '-' : !digit) {
            return false;
        }
    }
    return text[RUN_CHARACTERS] == '\0';
}

static bool is_slug(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_")] == '\0';
}

static bool check_seconds(struct apply *apply, Tocsin__Reply *reply, const char *what, uint32_t seconds)
{
    if (seconds < LIMIT_HEARTBEAT_SECONDS_MIN || seconds > LIMIT_HEARTBEAT_SECONDS_MAX) {
        reply_refuse(apply, reply, INVALID, "%s must be %u to %u seconds.", what, LIMIT_HEARTBEAT_SECONDS_MIN,
                     LIMIT_HEARTBEAT_SECONDS_MAX);
        return false;
    }
    return true;
}

/* Without a service: the only one there is, beside the cluster's own. */
static uint64_t sole_service(struct apply *apply)
{
    uint64_t found = 0;
    struct walk walk = walk_all(apply->store, TABLE_SERVICE);
    while (walk_next(&walk)) {
        const Tocsin__Service *service = record_unpack(&tocsin__service__descriptor, walk.value, apply->arena);
        if (service == NULL || service->built_in) {
            continue;
        }
        if (found != 0) {
            return 0;
        }
        found = service->id;
    }
    return found;
}

static bool check_service(struct apply *apply, Tocsin__Reply *reply, Tocsin__Heartbeat *heartbeat)
{
    if (heartbeat->service_id == 0) {
        heartbeat->service_id = sole_service(apply);
    }
    if (heartbeat->service_id == 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_SERVICE,
                     "A heartbeat must have a service, whose people are paged when it falls silent: give its id.");
        return false;
    }
    if (service_get(apply->store, heartbeat->service_id, apply->arena) == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_SERVICE,
                     "The service of the heartbeat does not exist.");
        return false;
    }
    return true;
}

static void defaults(Tocsin__Heartbeat *heartbeat)
{
    if (heartbeat->period_s == 0) {
        heartbeat->period_s = DEFAULT_HEARTBEAT_PERIOD_S;
    }
    if (heartbeat->grace_s == 0) {
        uint64_t grace_s = (uint64_t)heartbeat->period_s * DEFAULT_HEARTBEAT_GRACE_PERIODS;
        grace_s = grace_s > DEFAULT_HEARTBEAT_GRACE_S_MIN ? grace_s : DEFAULT_HEARTBEAT_GRACE_S_MIN;
        heartbeat->grace_s = (uint32_t)(grace_s < LIMIT_HEARTBEAT_SECONDS_MAX ? grace_s : LIMIT_HEARTBEAT_SECONDS_MAX);
    }
}

static bool check_heartbeat(struct apply *apply, Tocsin__Reply *reply, Tocsin__Heartbeat *heartbeat)
{
    if (!check_line(apply, reply, "The name", heartbeat->name, 0, LIMIT_HEARTBEAT_NAME_CHARACTERS) ||
        !check_line(apply, reply, "The slug", heartbeat->slug, 0, LIMIT_SLUG_CHARACTERS) ||
        !check_line(apply, reply, "The list of tags", heartbeat->tags, 0, LIMIT_TAGS_CHARACTERS) ||
        !check_line(apply, reply, "The schedule", heartbeat->schedule, 0, LIMIT_CRON_CHARACTERS) ||
        !check_line(apply, reply, "The time zone", heartbeat->time_zone, 0, LIMIT_NAME_CHARACTERS) ||
        !check_lines(apply, reply, "The description", heartbeat->description, 0, LIMIT_DESCRIPTION_CHARACTERS) ||
        !check_line(apply, reply, "The alert message", heartbeat->alert_message, 0, LIMIT_HEARTBEAT_ALERT_CHARACTERS) ||
        !labels_check(apply, heartbeat->alert_labels, reply) ||
        !check_seconds(apply, reply, "The period", heartbeat->period_s) ||
        !check_seconds(apply, reply, "The grace", heartbeat->grace_s) || !check_service(apply, reply, heartbeat)) {
        return false;
    }
    if (!is_slug(heartbeat->slug)) {
        reply_refuse(apply, reply, INVALID, "The slug has letters a to z, digits, - and _ only.");
        return false;
    }
    if (!is_uuid(heartbeat->key)) {
        reply_refuse(apply, reply, INVALID, "The key of a heartbeat must be a UUID in lower case.");
        return false;
    }
    return true;
}

/* What has a schedule comes with its next moments. */
static bool check_moments(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Heartbeat *heartbeat,
                          const Tocsin__HeartbeatPut *put, bool given)
{
    return !given || !heartbeat_has_schedule(heartbeat) ||
           heartbeat_moments_check(apply, reply, put->moments_s, put->n_moments_s);
}

/* ---------------------------------------------------------------- records and indexes */

static void listed_put(struct apply *apply, const Tocsin__Heartbeat *heartbeat)
{
    const struct machine_store *store = apply->store;
    struct key by_slug = key_and_1(key_1_hash(heartbeat->service_id, heartbeat->slug), heartbeat->id);
    struct key by_name = key_and_1(key_hash(heartbeat->name), heartbeat->id);
    store->put(store->context, TABLE_HEARTBEAT_BY_SLUG, key_span(&by_slug), nothing);
    store->put(store->context, TABLE_HEARTBEAT_BY_NAME, key_span(&by_name), nothing);
}

static void listed_delete(struct apply *apply, const Tocsin__Heartbeat *heartbeat)
{
    row_delete(apply, TABLE_HEARTBEAT_BY_SLUG,
               key_and_1(key_1_hash(heartbeat->service_id, heartbeat->slug), heartbeat->id));
    row_delete(apply, TABLE_HEARTBEAT_BY_NAME, key_and_1(key_hash(heartbeat->name), heartbeat->id));
}

static Tocsin__HeartbeatState *state_of(struct apply *apply, uint64_t id)
{
    Tocsin__HeartbeatState *state = heartbeat_state_get(apply->store, id, apply->arena);
    if (state == NULL) {
        state = apply_alloc(apply, sizeof *state);
        tocsin__heartbeat_state__init(state);
    }
    return state;
}

/* A new one of these fields; NULL, with the reply refused. */
static Tocsin__Heartbeat *create(struct apply *apply, const Tocsin__HeartbeatPut *put, Tocsin__Reply *reply)
{
    const Tocsin__Heartbeat *given = put->heartbeat;
    Tocsin__Heartbeat *heartbeat = apply_alloc(apply, sizeof *heartbeat);
    tocsin__heartbeat__init(heartbeat);
    record_patch(&heartbeat->base, &given->base, true, 0, heartbeat_fields);
    defaults(heartbeat);
    uint64_t count = apply->store->count(apply->store->context, TABLE_HEARTBEAT);
    if (!check_heartbeat(apply, reply, heartbeat) || !check_moments(apply, reply, heartbeat, put, true) ||
        !check_room(apply, reply, "heartbeats", count, LIMIT_HEARTBEATS)) {
        return NULL;
    }
    if (heartbeat_find_key(apply->store, heartbeat->key) != 0) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_BAD_VALUE, "This key is another heartbeat's.");
        return NULL;
    }
    heartbeat->id = apply_new_id(apply);
    heartbeat->created_at_ms = apply->time_ms;
    heartbeat_put(apply->store, heartbeat);
    heartbeat_state_put(apply, heartbeat, state_of(apply, heartbeat->id));
    index_put(apply, TABLE_HEARTBEAT_BY_KEY, key_hash(heartbeat->key), heartbeat->id);
    listed_put(apply, heartbeat);
    if (heartbeat_has_schedule(heartbeat)) {
        heartbeat_moments_put(apply, heartbeat->id, put->moments_s, put->n_moments_s);
    }
    reply->reason = TOCSIN__REASON__REASON_CREATED;
    reply_id(apply, reply, heartbeat->id);
    return heartbeat;
}

static void change(struct apply *apply, Tocsin__Heartbeat *heartbeat, const Tocsin__HeartbeatPut *put,
                   Tocsin__Reply *reply)
{
    Tocsin__Heartbeat before = *heartbeat;
    bool rescheduled = field_given(put->fields, heartbeat->base.descriptor, "schedule");
    record_patch(&heartbeat->base, &put->heartbeat->base, false, put->fields, changeable_fields);
    if (!check_heartbeat(apply, reply, heartbeat) || !check_moments(apply, reply, heartbeat, put, rescheduled)) {
        return;
    }
    listed_delete(apply, &before);
    listed_put(apply, heartbeat);
    heartbeat_put(apply->store, heartbeat);
    Tocsin__HeartbeatState *state = state_of(apply, heartbeat->id);
    if (rescheduled) {
        heartbeat_moments_delete(apply, heartbeat->id);
        if (heartbeat_has_schedule(heartbeat)) {
            heartbeat_moments_put(apply, heartbeat->id, put->moments_s, put->n_moments_s);
        }
        heartbeat_expect(apply, heartbeat, state);
    }
    heartbeat_file(apply, heartbeat, state);
    if (heartbeat->service_id != before.service_id) {
        heartbeat_tell_if_untold(apply, heartbeat, state);
    }
    heartbeat_state_put(apply, heartbeat, state);
    reply_id(apply, reply, heartbeat->id);
}

/* ---------------------------------------------------------------- requests */

static bool same(const Tocsin__Heartbeat *a, const Tocsin__Heartbeat *b, uint64_t fields)
{
    const ProtobufCMessageDescriptor *descriptor = &tocsin__heartbeat__descriptor;
    return a->service_id == b->service_id &&
           (!field_given(fields, descriptor, "name") || strcmp(a->name, b->name) == 0) &&
           (!field_given(fields, descriptor, "slug") || strcmp(a->slug, b->slug) == 0) &&
           (!field_given(fields, descriptor, "tags") || strcmp(a->tags, b->tags) == 0) &&
           (!field_given(fields, descriptor, "period_s") || a->period_s == b->period_s) &&
           (!field_given(fields, descriptor, "grace_s") || a->grace_s == b->grace_s);
}

/* The one that is like `given` in these fields, NULL for none. */
static Tocsin__Heartbeat *find_same(struct apply *apply, const Tocsin__Heartbeat *given, uint64_t fields)
{
    bool by_name = field_given(fields, given->base.descriptor, "name");
    for (uint64_t id = 0;;) {
        id = by_name ? heartbeat_next_by_name(apply->store, given->name, id)
                     : heartbeat_next_by_slug(apply->store, given->service_id, given->slug, id);
        Tocsin__Heartbeat *heartbeat = id != 0 ? heartbeat_get(apply->store, id, apply->arena) : NULL;
        if (heartbeat == NULL || same(heartbeat, given, fields)) {
            return heartbeat;
        }
    }
}

static bool check_unique(struct apply *apply, Tocsin__Reply *reply, uint64_t fields)
{
    const ProtobufCMessageDescriptor *descriptor = &tocsin__heartbeat__descriptor;
    if (!field_given(fields, descriptor, "name") && !field_given(fields, descriptor, "slug")) {
        reply_refuse(apply, reply, INVALID, "Name or slug must be among the fields that make a heartbeat unique.");
        return false;
    }
    return true;
}

void apply_heartbeat_put(struct apply *apply, const Tocsin__HeartbeatPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->heartbeat)) {
        return;
    }
    Tocsin__Heartbeat *heartbeat = NULL;
    if (put->id != 0) {
        heartbeat = heartbeat_get(apply->store, put->id, apply->arena);
        if (heartbeat == NULL) {
            refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "heartbeat", put->id);
            return;
        }
    } else if (put->unique_fields != 0) {
        defaults(put->heartbeat);
        if (!check_unique(apply, reply, put->unique_fields) || !check_service(apply, reply, put->heartbeat)) {
            return;
        }
        heartbeat = find_same(apply, put->heartbeat, put->unique_fields);
    }
    if (heartbeat != NULL) {
        change(apply, heartbeat, put, reply);
    } else {
        (void)create(apply, put, reply);
    }
}

void apply_heartbeat_delete(struct apply *apply, const Tocsin__HeartbeatDelete *delete, Tocsin__Reply *reply)
{
    static const enum machine_table LISTS[] = {TABLE_HEARTBEAT_PING, TABLE_HEARTBEAT_FLIP};
    const Tocsin__Heartbeat *heartbeat = heartbeat_get(apply->store, delete->id, apply->arena);
    if (heartbeat == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "heartbeat", delete->id);
        return;
    }
    heartbeat_over(apply, heartbeat, TOCSIN__WHY__WHY_HEARTBEAT_DELETED);
    heartbeat_unfile(apply, heartbeat, state_of(apply, heartbeat->id));
    heartbeat_moments_delete(apply, heartbeat->id);
    for (size_t i = 0; i < sizeof LISTS / sizeof LISTS[0]; i++) {
        struct walk walk = walk_under(apply->store, LISTS[i], heartbeat->id);
        while (walk_next(&walk)) {
            row_delete(apply, LISTS[i], walk.position);
        }
    }
    listed_delete(apply, heartbeat);
    row_delete(apply, TABLE_HEARTBEAT_BY_KEY, key_hash(heartbeat->key));
    quick_forget(apply, heartbeat->id);
    row_delete(apply, TABLE_HEARTBEAT_STATE, key_1(heartbeat->id));
    row_delete(apply, TABLE_HEARTBEAT, key_1(heartbeat->id));
    reply_id(apply, reply, heartbeat->id);
}

/* An incident that is open stays so: a pause does not say that all is well. */
void apply_heartbeat_pause(struct apply *apply, const Tocsin__HeartbeatPause *pause, Tocsin__Reply *reply)
{
    const Tocsin__Heartbeat *heartbeat = heartbeat_get(apply->store, pause->id, apply->arena);
    if (heartbeat == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "heartbeat", pause->id);
        return;
    }
    Tocsin__HeartbeatState *state = state_of(apply, heartbeat->id);
    if (pause->resume && state->status != STATUS(PAUSED)) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_NOT_PAUSED, "The heartbeat is not paused.");
        return;
    }
    /* Resumed it is as new: nothing is expected before the next ping. */
    state->status = pause->resume ? STATUS(NEW) : STATUS(PAUSED);
    state->last_start_ms = 0;
    state->expected_ms = 0;
    if (pause->resume) {
        state->last_ping_ms = 0;
    }
    heartbeat_file(apply, heartbeat, state);
    heartbeat_state_put(apply, heartbeat, state);
    reply_id(apply, reply, heartbeat->id);
}

/* ---------------------------------------------------------------- pings */

static bool check_ping(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Ping *ping)
{
    if (ping->run[0] != '\0' && !is_uuid(ping->run)) {
        reply_refuse(apply, reply, INVALID, "A run's id must be a UUID in lower case.");
        return false;
    }
    if (ping->body.len > LIMIT_PING_BODY_SIZE_BYTES || ping->exit_status > 255) {
        reply_refuse(apply, reply, INVALID, "The ping is out of bounds.");
        return false;
    }
    return check_line(apply, reply, "The user agent", ping->user_agent, 0, LIMIT_USER_AGENT_CHARACTERS) &&
           check_line(apply, reply, "The remote address", ping->remote_address, 0, LIMIT_REMOTE_ADDRESS_CHARACTERS);
}

/* The one that it is for; NULL, with the reply refused. */
static Tocsin__Heartbeat *addressee(struct apply *apply, const Tocsin__Ping *ping, Tocsin__Reply *reply)
{
    uint64_t id = ping->heartbeat_id;
    if (id == 0 && ping->create != NULL && ping->create->slug[0] != '\0') {
        id = heartbeat_next_by_slug(apply->store, ping->create->service_id, ping->create->slug, 0);
        if (id == 0) {
            Tocsin__HeartbeatPut put = TOCSIN__HEARTBEAT_PUT__INIT;
            put.heartbeat = ping->create;
            return create(apply, &put, reply);
        }
        if (heartbeat_next_by_slug(apply->store, ping->create->service_id, ping->create->slug, id) != 0) {
            reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_AMBIGUOUS_SLUG,
                         "More than one heartbeat has this slug.");
            return NULL;
        }
    }
    Tocsin__Heartbeat *heartbeat = heartbeat_get(apply->store, id, apply->arena);
    if (heartbeat == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "heartbeat", id);
        return NULL;
    }
    reply_id(apply, reply, id);
    return heartbeat;
}

/* What says no more than "alive" is counted and not listed: the list is for people who look for what happened. */
static bool is_telling(const Tocsin__Ping *ping, Tocsin__HeartbeatStatus before)
{
    return ping->kind != TOCSIN__PING_KIND__PING_SUCCESS || ping->body.len > 0 || ping->run[0] != '\0' ||
           before != STATUS(UP);
}

static void record(struct apply *apply, uint64_t id, const Tocsin__Ping *ping, Tocsin__HeartbeatState *state,
                   bool has_duration)
{
    Tocsin__HeartbeatPing row = TOCSIN__HEARTBEAT_PING__INIT;
    row.number = state->pings;
    row.at_ms = apply->time_ms;
    row.kind = ping->kind;
    row.has_exit_status = ping->has_exit_status;
    row.exit_status = ping->exit_status;
    row.run = ping->run;
    row.body = ping->body;
    row.posted = ping->posted;
    row.remote_address = ping->remote_address;
    row.user_agent = ping->user_agent;
    row.has_duration = has_duration;
    row.duration_ms = has_duration ? state->last_duration_ms : 0;
    record_put(apply->store, TABLE_HEARTBEAT_PING, key_2(id, state->recorded++ % LIMIT_PINGS_KEPT), &row.base);
}

/* The end of a run, if it is the one that started last. True when its duration is known. */
static bool run_ends(struct apply *apply, const Tocsin__Ping *ping, Tocsin__HeartbeatState *state)
{
    bool matches = state->last_start_ms != 0 && strcmp(state->run, ping->run) == 0;
    state->has_duration = matches;
    state->last_duration_ms = matches ? apply->time_ms - state->last_start_ms : 0;
    if (matches || ping->run[0] == '\0' || ping->kind == TOCSIN__PING_KIND__PING_FAIL) {
        state->last_start_ms = 0;
        state->run = apply_strdup(apply, "");
    }
    return matches;
}

static void succeed(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state)
{
    if (state->status == STATUS(UP) && planted(PING_NOT_NOTED)) {
        return;
    }
    state->last_ping_ms = apply->time_ms;
    if (state->status == STATUS(UP)) {
        heartbeat_expect(apply, heartbeat, state);
        return;
    }
    heartbeat_over(apply, heartbeat, TOCSIN__WHY__WHY_HEARTBEAT_BACK); /* new after a pause it may have been down before */
    heartbeat_flip(apply, heartbeat, state, apply->time_ms, true);
    state->status = STATUS(UP);
    heartbeat_expect(apply, heartbeat, state);
}

static bool fail(struct apply *apply, const Tocsin__Heartbeat *heartbeat, const Tocsin__Ping *ping,
                 Tocsin__HeartbeatState *state, Tocsin__Reply *reply)
{
    const char *status = ping->has_exit_status ? apply_printf(apply, " (exit status %u)", ping->exit_status) : "";
    Tocsin__Reply opened = TOCSIN__REPLY__INIT;
    state->last_ping_ms = apply->time_ms;
    if (!heartbeat_down(apply, heartbeat, state, apply->time_ms, TOCSIN__WHY__WHY_HEARTBEAT_FAILED,
                        apply_printf(apply, "%s reports a failure%s", heartbeat_name(apply, heartbeat), status),
                        &opened)) {
        *reply = opened;
        return false;
    }
    return true;
}

void apply_ping(struct apply *apply, const Tocsin__Ping *ping, Tocsin__Reply *reply)
{
    if (!check_ping(apply, reply, ping)) {
        return;
    }
    if (quick_ping(apply, ping)) {
        reply_id(apply, reply, ping->heartbeat_id);
        return;
    }
    const Tocsin__Heartbeat *heartbeat = addressee(apply, ping, reply);
    if (heartbeat == NULL) {
        return;
    }
    Tocsin__HeartbeatState *state = state_of(apply, heartbeat->id);
    bool failed_run = ping->has_exit_status && ping->exit_status > 0;
    bool ignored = (state->status == STATUS(PAUSED) && heartbeat->manual_resume) ||
                   (heartbeat->post_only && !ping->posted && !failed_run);
    if (ignored) {
        return;
    }
    Tocsin__HeartbeatStatus before = state->status;
    bool has_duration = false;
    state->pings++;
    switch (ping->kind) {
    case TOCSIN__PING_KIND__PING_START:
        state->last_start_ms = apply->time_ms;
        state->run = ping->run;
        break;
    case TOCSIN__PING_KIND__PING_FAIL:
        has_duration = run_ends(apply, ping, state);
        if (!fail(apply, heartbeat, ping, state, reply)) {
            return;
        }
        break;
    case TOCSIN__PING_KIND__PING_SUCCESS:
        has_duration = run_ends(apply, ping, state);
        succeed(apply, heartbeat, state);
        break;
    case TOCSIN__PING_KIND__PING_LOG:
    default:
        break;
    }
    if (is_telling(ping, before)) {
        record(apply, heartbeat->id, ping, state, has_duration);
    }
    heartbeat_file(apply, heartbeat, state);
    heartbeat_state_put(apply, heartbeat, state);
}
