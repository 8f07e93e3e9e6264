/*
 * healthchecks' management API, version 3, over heartbeats: /api/v3/checks/... with X-Api-Key.
 *
 * Whoever may read and no more is not shown what a check is pinged by: `unique_key` stands for it, as with healthchecks'
 * read-only keys, and opens the same reads.
 *
 * One field is ours: `service`, the id of the service whose people are paged. Without it the only service there is is
 * taken. OnCalendar schedules and filters by keyword are refused, not ignored: a check that is judged by another rule
 * than its owner thinks is worse than none.
 */
#include <nettle/sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/heartbeats/check_schedule.h"
#include "node/api/heartbeats/heartbeats.h"
#include "node/api/render.h"
#include "node/api/resource.h"
#include "node/api/roles.h"
#include "node/api/router.h"

#define HEALTHCHECKS_TIMEOUT_S 86400u
#define HEALTHCHECKS_GRACE_S 3600u
#define LISTED_MAX 10000u /* healthchecks' list has no pages; a longer one says where it goes on, by `next` */

#define UNIQUE_KEY_DIGITS (2 * SHA1_DIGEST_SIZE)

/* ---------------------------------------------------------------- who may see the secret */

/* Whoever may change checks, by role and by the token's scopes: a UUID is all that it takes to ping. */
static bool may_know_uuid(struct http_request *request)
{
    const struct principal *principal = &api_call_of(request)->principal;

    return principal->permission >= PERMISSION_CONFIGURE &&
           (principal->scopes_count == 0 || scope_among(principal->scopes, principal->scopes_count, "heartbeats.write"));
}

/* As healthchecks has it: SHA-1 of the first half of the UUID, so that the other half stays unknown. */
static void unique_key(const Tocsin__Heartbeat *heartbeat, char text[UNIQUE_KEY_DIGITS + 1])
{
    struct sha1_ctx context;
    uint8_t digest[SHA1_DIGEST_SIZE];
    unsigned digits = 0;

    sha1_init(&context);
    for (const char *at = heartbeat->key; *at != '\0' && digits < 16; at++) {
        if (*at != '-') {
            sha1_update(&context, 1, (const uint8_t *)at);
            digits++;
        }
    }
    sha1_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
}

/* What names the check to whoever asks, in the request's memory. */
static const char *name_of_check(struct http_request *request, const Tocsin__Heartbeat *heartbeat)
{
    char key[UNIQUE_KEY_DIGITS + 1];

    if (may_know_uuid(request)) {
        return heartbeat->key;
    }
    unique_key(heartbeat, key);
    return http_strdup(request, key);
}

static uint64_t find_unique_key(const struct machine_store *view, const char *text)
{
    struct walk walk = walk_all(view, TABLE_HEARTBEAT);
    uint64_t id = 0;

    while (id == 0 && strlen(text) == UNIQUE_KEY_DIGITS && walk_next(&walk)) {
        char key[UNIQUE_KEY_DIGITS + 1];
        Tocsin__Heartbeat *heartbeat = record_unpack(&tocsin__heartbeat__descriptor, walk.value, NULL);
        if (heartbeat == NULL) {
            abort();
        }
        unique_key(heartbeat, key);
        id = strcmp(key, text) == 0 ? heartbeat->id : 0;
        tocsin__heartbeat__free_unpacked(heartbeat, NULL);
    }
    return id;
}

/* By its UUID, or for reading by its unique key; 0: there is none. */
static uint64_t find_check(struct http_request *request, const struct machine_store *view, const char *name)
{
    const char *uuid = uuid_take(request, name);

    if (uuid != NULL) {
        return heartbeat_find_key(view, uuid);
    }
    return router_is_read(request) ? find_unique_key(view, name) : 0;
}

/* ---------------------------------------------------------------- rendering */

Tocsin__HeartbeatState *heartbeat_state_read(struct http_request *request, const struct machine_store *view,
                                             uint64_t id)
{
    Tocsin__HeartbeatState *state = heartbeat_state_get(view, id, request_memory(request));

    if (state == NULL) { /* every heartbeat has one; a state with a fault says so elsewhere */
        state = http_alloc(request, sizeof *state);
        tocsin__heartbeat_state__init(state);
    }
    return state;
}

/* When the next ping is expected: null while none is. */
static uint64_t next_ping_ms(const struct machine_store *view, const Tocsin__Heartbeat *heartbeat,
                             const Tocsin__HeartbeatState *state)
{
    if (state->status != TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP) {
        return 0;
    }
    if (heartbeat->schedule[0] != '\0') {
        return state->expected_ms;
    }
    Tocsin__Settings *settings = settings_get(view, NULL);
    uint64_t minute_ms = settings != NULL ? settings->minute_ms : DEFAULT_MINUTE_MS;
    if (settings != NULL) {
        tocsin__settings__free_unpacked(settings, NULL);
    }
    return state->last_ping_ms + heartbeat->period_s * minute_ms / 60;
}

static const char *status_word(struct http_request *request, const Tocsin__HeartbeatState *state, uint64_t expected_ms)
{
    static const char *const words[] = {"new", "up", "down", "paused"};

    if (expected_ms != 0 && api_cluster_ms(request) > expected_ms) {
        return "grace";
    }
    return words[state->status];
}

/* By what a check is pinged and changed, or what stands for it. */
static void add_names(struct http_request *request, const Tocsin__Heartbeat *heartbeat, json_t *check)
{
    if (!may_know_uuid(request)) {
        json_object_set_new(check, "unique_key", json_string(name_of_check(request, heartbeat)));
        return;
    }
    json_object_set_new(check, "uuid", json_string(heartbeat->key));
    json_object_set_new(check, "ping_url", render_self(request, "/ping/%s", heartbeat->key));
    json_object_set_new(check, "update_url", render_self(request, "/api/v3/checks/%s", heartbeat->key));
    json_object_set_new(check, "pause_url", render_self(request, "/api/v3/checks/%s/pause", heartbeat->key));
    json_object_set_new(check, "resume_url", render_self(request, "/api/v3/checks/%s/resume", heartbeat->key));
    json_object_set_new(check, "channels", json_string(""));
}

static json_t *render_check(struct http_request *request, const struct machine_store *view,
                            const Tocsin__Heartbeat *heartbeat)
{
    const Tocsin__HeartbeatState *state = heartbeat_state_read(request, view, heartbeat->id);
    uint64_t expected_ms = next_ping_ms(view, heartbeat, state);
    json_t *check =
        json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:s, s:b, s:o, s:o, s:b, s:s}", "name", heartbeat->name, "slug",
                  heartbeat->slug, "tags", heartbeat->tags, "desc", heartbeat->description, "grace",
                  (int)heartbeat->grace_s, "n_pings", (json_int_t)state->pings, "status",
                  status_word(request, state, expected_ms), "started", state->last_start_ms != 0, "last_ping",
                  json_time(state->last_ping_ms), "next_ping", json_time(expected_ms), "manual_resume",
                  heartbeat->manual_resume, "methods", heartbeat->post_only ? "POST" : "");
    static const char *const keywords[] = {"subject", "subject_fail", "start_kw", "success_kw", "failure_kw"};
    static const char *const filters[] = {"filter_subject", "filter_body", "filter_http_body", "filter_default_fail"};

    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        json_object_set_new(check, keywords[i], json_string(""));
    }
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        json_object_set_new(check, filters[i], json_false());
    }
    if (state->has_duration) {
        json_object_set_new(check, "last_duration", json_integer((json_int_t)(state->last_duration_ms / 1000)));
    }
    add_names(request, heartbeat, check);
    json_object_set_new(check, "badge_url", json_null());
    if (heartbeat->schedule[0] != '\0') {
        json_object_set_new(check, "schedule", json_string(heartbeat->schedule));
        json_object_set_new(check, "tz", json_string(heartbeat->time_zone));
    } else {
        json_object_set_new(check, "timeout", json_integer(heartbeat->period_s));
    }
    json_object_set_new(check, "service", json_id(heartbeat->service_id));
    return check;
}

/* ---------------------------------------------------------------- which one */

/* What is done with the heartbeat of the path once it is found. */
typedef void (*on_found)(struct http_request *request, const struct machine_store *view,
                         const Tocsin__Heartbeat *heartbeat);

struct check_call {
    on_found on_found;
    unsigned status;
};

static void on_view(struct http_request *request, const struct machine_store *view)
{
    struct api_call *call = api_call_of(request);
    const struct check_call *state = call->data;
    uint64_t id = find_check(request, view, call->parameters[0]);
    const Tocsin__Heartbeat *heartbeat = id != 0 ? heartbeat_get(view, id, request_memory(request)) : NULL;

    if (heartbeat == NULL) {
        api_error(request, 404, 2100, "not found", NULL);
        return;
    }
    call->id = id;
    state->on_found(request, view, heartbeat);
}

static void find(struct http_request *request, on_found found)
{
    struct check_call *state = http_alloc(request, sizeof *state);

    state->on_found = found;
    api_call_of(request)->data = state;
    api_read(request, on_view);
}

/* ---------------------------------------------------------------- after a command */

static void on_saved_view(struct http_request *request, const struct machine_store *view)
{
    const struct api_call *call = api_call_of(request);
    const struct check_call *state = call->data;
    const Tocsin__Heartbeat *heartbeat = heartbeat_get(view, call->id, request_memory(request));

    if (heartbeat == NULL) { /* deleted meanwhile */
        api_error(request, 404, 2100, "not found", NULL);
        return;
    }
    api_json(request, state->status, render_check(request, view, heartbeat));
}

static void refused(struct http_request *request, const Tocsin__Reply *reply)
{
    unsigned status = reply->status == TOCSIN__STATUS__STATUS_NOT_FOUND  ? 404
                      : reply->status == TOCSIN__STATUS__STATUS_CONFLICT ? 409
                      : reply->status == TOCSIN__STATUS__STATUS_LIMIT    ? 403
                                                                         : 400;
    api_error(request, status, 2001, reply->message, NULL);
}

static void on_saved(struct http_request *request, const Tocsin__Reply *reply)
{
    struct check_call *state = api_call_of(request)->data;

    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        refused(request, reply);
        return;
    }
    state->status = reply->reason == TOCSIN__REASON__REASON_CREATED ? 201 : 200;
    api_call_of(request)->id = reply->ids[0];
    api_read(request, on_saved_view);
}

/* ---------------------------------------------------------------- the body */

static const struct {
    const char *name, *record_field;
} unique_names[] = {
    {"name", "name"}, {"slug", "slug"}, {"tags", "tags"}, {"timeout", "period_s"}, {"grace", "grace_s"},
};

static void take_unique(struct field_reader *reader, uint64_t *fields)
{
    json_t *names = NULL, *name;
    size_t i;

    if (!field_array(reader, "unique", sizeof unique_names / sizeof *unique_names, &names) || names == NULL) {
        return;
    }
    json_array_foreach(names, i, name)
    {
        uint64_t bit = 0;
        for (size_t j = 0; j < sizeof unique_names / sizeof *unique_names && json_is_string(name); j++) {
            if (strcmp(json_string_value(name), unique_names[j].name) == 0) {
                bit = field_bit(&tocsin__heartbeat__descriptor, unique_names[j].record_field);
            }
        }
        if (bit == 0) {
            field_error(reader, "unique has an unexpected value");
        }
        *fields |= bit;
    }
}

/* True when it is given; null is as good as nothing. */
static bool take_seconds(const struct field_target *target, const char *name, const char *record_field, uint32_t *slot)
{
    int64_t seconds = 0;
    bool present = false;

    if (field_integer(target->reader, name, LIMIT_HEARTBEAT_SECONDS_MIN, LIMIT_HEARTBEAT_SECONDS_MAX, &seconds,
                      &present) &&
        present) {
        *slot = (uint32_t)seconds;
        target_mark(target, record_field);
    }
    return present;
}

static void take_service(const struct field_target *target, uint64_t *slot)
{
    const char *text = NULL;
    bool present = false;

    if (!field_string(target->reader, "service", LIMIT_NAME_CHARACTERS, &text, &present) || !present) {
        return;
    }
    *slot = id_parse(text);
    if (*slot == 0) {
        field_error(target->reader, "'service' must be the id of a service");
    }
    target_mark(target, "service_id");
}

static void take_switches(const struct field_target *target, Tocsin__Heartbeat *heartbeat)
{
    const char *methods = "";
    bool manual = false, present = false;

    if (field_boolean(target->reader, "manual_resume", &manual, &present) && present) {
        heartbeat->manual_resume = manual;
        target_mark(target, "manual_resume");
    }
    if (field_string(target->reader, "methods", LIMIT_NAME_CHARACTERS, &methods, &present) && present) {
        if (methods[0] != '\0' && strcmp(methods, "POST") != 0) {
            field_error(target->reader, "'methods' must be \"\" or \"POST\"");
        }
        heartbeat->post_only = methods[0] != '\0';
        target_mark(target, "post_only");
    }
}

/* What healthchecks has and this does not: refused when it would change how the check is judged. */
static void refuse_unsupported(struct field_reader *reader)
{
    static const char *const names[] = {"subject",    "subject_fail",   "start_kw",    "success_kw",
                                        "failure_kw", "filter_subject", "filter_body", "filter_http_body",
                                        "filter_default_fail"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *value = json_object_get(reader->object, names[i]);
        bool empty = value == NULL || json_is_false(value) || json_is_null(value) ||
                     (json_is_string(value) && json_string_length(value) == 0);
        if (!empty) {
            field_error(reader, "'%s' is not supported: pings are not filtered by keywords", names[i]);
        }
    }
}

/* The command from the body, for a new check when `known` is NULL; false: answered. */
static bool check_command(struct http_request *request, const struct machine_store *view, const Tocsin__Heartbeat *known)
{
    const Tocsin__Counters *counters = counters_get(view, request_memory(request));
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    Tocsin__HeartbeatPut *put = api_command(request, TOCSIN__COMMAND__BODY_HEARTBEAT_PUT)->heartbeat_put;
    Tocsin__Heartbeat *heartbeat = http_alloc(request, sizeof *heartbeat);
    struct field_target target = {&reader, &tocsin__heartbeat__descriptor, &put->fields};

    tocsin__heartbeat__init(heartbeat);
    put->id = known != NULL ? known->id : 0;
    put->heartbeat = heartbeat;
    heartbeat->key = uuid_make(request);
    heartbeat->period_s = HEALTHCHECKS_TIMEOUT_S;
    heartbeat->grace_s = HEALTHCHECKS_GRACE_S;
    target_text(&target, "name", LIMIT_HEARTBEAT_NAME_CHARACTERS, "name", &heartbeat->name);
    target_text(&target, "slug", LIMIT_SLUG_CHARACTERS, "slug", &heartbeat->slug);
    target_text(&target, "tags", LIMIT_TAGS_CHARACTERS, "tags", &heartbeat->tags);
    target_text(&target, "desc", LIMIT_DESCRIPTION_CHARACTERS, "description", &heartbeat->description);
    bool has_timeout = take_seconds(&target, "timeout", "period_s", &heartbeat->period_s);
    (void)take_seconds(&target, "grace", "grace_s", &heartbeat->grace_s);
    take_service(&target, &heartbeat->service_id);
    take_switches(&target, heartbeat);
    check_schedule_take(&target, known, has_timeout, counters != NULL ? counters->last_time_ms : 0, put);
    refuse_unsupported(&reader);
    if (known == NULL) {
        take_unique(&reader, &put->unique_fields);
    }
    if (reader.errors == NULL) {
        return true;
    }
    api_error(request, 400, 2001, "json validation error", reader.errors);
    return false;
}

/* ---------------------------------------------------------------- one check */

static void render_found(struct http_request *request, const struct machine_store *view,
                         const Tocsin__Heartbeat *heartbeat)
{
    api_json(request, 200, render_check(request, view, heartbeat));
}

static void check_read(struct http_request *request)
{
    find(request, render_found);
}

static void on_read_for_creation(struct http_request *request, const struct machine_store *view)
{
    if (check_command(request, view, NULL)) {
        api_call_of(request)->data = http_alloc(request, sizeof(struct check_call));
        api_submit(request, on_saved);
    }
}

static void check_create(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        api_read(request, on_read_for_creation);
    }
}

static void update_found(struct http_request *request, const struct machine_store *view,
                         const Tocsin__Heartbeat *heartbeat)
{
    if (check_command(request, view, heartbeat)) {
        api_submit(request, on_saved);
    }
}

static void check_update(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        find(request, update_found);
    }
}

static void pause_or_resume(struct http_request *request, uint64_t id, bool resume)
{
    Tocsin__HeartbeatPause *pause = api_command(request, TOCSIN__COMMAND__BODY_HEARTBEAT_PAUSE)->heartbeat_pause;

    pause->id = id;
    pause->resume = resume;
    api_submit(request, on_saved);
}

static void pause_found(struct http_request *request, const struct machine_store *view,
                        const Tocsin__Heartbeat *heartbeat)
{
    (void)view;
    pause_or_resume(request, heartbeat->id, false);
}

static void resume_found(struct http_request *request, const struct machine_store *view,
                         const Tocsin__Heartbeat *heartbeat)
{
    (void)view;
    pause_or_resume(request, heartbeat->id, true);
}

static void check_pause(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        find(request, pause_found);
    }
}

static void check_resume(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        find(request, resume_found);
    }
}

static void on_deleted(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        refused(request, reply);
        return;
    }
    api_json(request, 200, json_incref(api_call_of(request)->body));
}

static void delete_found(struct http_request *request, const struct machine_store *view,
                         const Tocsin__Heartbeat *heartbeat)
{
    json_decref(api_call_of(request)->body);
    api_call_of(request)->body = render_check(request, view, heartbeat); /* as it was; let go with the call */
    api_command(request, TOCSIN__COMMAND__BODY_HEARTBEAT_DELETE)->heartbeat_delete->id = heartbeat->id;
    api_submit(request, on_deleted);
}

static void check_delete(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        find(request, delete_found);
    }
}

/* ---------------------------------------------------------------- all checks */

/* Tags are words with spaces between. */
static bool has_tag(const char *tags, const char *wanted)
{
    size_t wanted_size = strlen(wanted);

    while (*tags != '\0') {
        size_t size = strcspn(tags, " ");
        if (size == wanted_size && memcmp(tags, wanted, size) == 0) {
            return true;
        }
        tags += size;
        tags += strspn(tags, " ");
    }
    return false;
}

/* Each tag that is asked for is among those of the heartbeat; one without a character asks for nothing. */
static bool has_tags(const struct http_request *request, const char *tags)
{
    for (unsigned i = 0; i < request->query_count; i++) {
        const char *wanted = request->query[i].value;
        if (strcmp(request->query[i].name, "tag") == 0 && wanted[0] != '\0' && !has_tag(tags, wanted)) {
            return false;
        }
    }
    return true;
}

static void on_list_view(struct http_request *request, const struct machine_store *view)
{
    const char *slug = http_query(request, "slug");
    json_t *checks = json_array();
    const char *after = http_query(request, "after"), *last_name = NULL;
    uint64_t after_id = after != NULL ? find_check(request, view, after) : 0;
    struct walk walk = walk_all(view, TABLE_HEARTBEAT);

    if (after != NULL && after_id == 0) {
        json_decref(checks);
        api_error(request, 400, 2001, "'after' must be the uuid or the unique_key of a check", NULL);
        return;
    }
    if (after_id != 0) {
        walk.started = true;
        walk.position = key_1(after_id);
    }
    while (json_array_size(checks) < LISTED_MAX && walk_next(&walk)) {
        Tocsin__Heartbeat *heartbeat = record_unpack(&tocsin__heartbeat__descriptor, walk.value, NULL);
        if (heartbeat == NULL) {
            abort();
        }
        if ((slug == NULL || strcmp(slug, heartbeat->slug) == 0) && has_tags(request, heartbeat->tags)) {
            json_array_append_new(checks, render_check(request, view, heartbeat));
            if (json_array_size(checks) == LISTED_MAX) {
                last_name = http_strdup(request, name_of_check(request, heartbeat));
            }
        }
        tocsin__heartbeat__free_unpacked(heartbeat, NULL);
    }
    json_t *answer = json_pack("{s:o}", "checks", checks);
    if (last_name != NULL) {
        json_object_set_new(answer, "next", render_self(request, "/api/v3/checks/?after=%s", last_name));
    }
    api_json(request, 200, answer);
}

static void checks_list(struct http_request *request)
{
    api_read(request, on_list_view);
}

/* ---------------------------------------------------------------- what it did */

static json_t *render_ping(struct http_request *request, const Tocsin__Heartbeat *heartbeat,
                           const Tocsin__HeartbeatPing *ping)
{
    static const char *const words[] = {"success", "start", "fail", "log"};
    json_t *object = json_pack("{s:s, s:o, s:I, s:s, s:s, s:s}", "type", words[ping->kind], "date",
                               json_time(ping->at_ms), "n", (json_int_t)ping->number, "remote_addr",
                               ping->remote_address, "method", ping->posted ? "POST" : "GET", "ua", ping->user_agent);

    json_object_set_new(object, "rid", json_text(ping->run));
    if (ping->has_duration) {
        json_object_set_new(object, "duration", json_real((double)ping->duration_ms / 1000.0));
    }
    if (ping->has_exit_status) {
        json_object_set_new(object, "exitstatus", json_integer(ping->exit_status));
    }
    json_object_set_new(object, "body_url",
                        ping->body.len > 0 ? render_self(request, "/api/v3/checks/%s/pings/%llu/body",
                                                         name_of_check(request, heartbeat),
                                                         (unsigned long long)ping->number)
                                           : json_null());
    return object;
}

/* The n-th newest of `count` rows that were written modulo `kept`. */
static uint64_t newest(uint64_t count, uint64_t kept, uint64_t n)
{
    return (count - 1 - n) % kept;
}

static Tocsin__HeartbeatPing *ping_read(struct http_request *request, const struct machine_store *view, uint64_t id,
                                        const Tocsin__HeartbeatState *state, uint64_t n)
{
    return record_get(view, TABLE_HEARTBEAT_PING, key_2(id, newest(state->recorded, LIMIT_PINGS_KEPT, n)),
                      &tocsin__heartbeat_ping__descriptor, request_memory(request));
}

static uint64_t kept_of(uint64_t count, uint64_t kept)
{
    return count < kept ? count : kept;
}

/* Newest first. Of pings that said no more than "alive" only the last is shown: the others are counted. */
static void pings_found(struct http_request *request, const struct machine_store *view,
                        const Tocsin__Heartbeat *heartbeat)
{
    const Tocsin__HeartbeatState *state = heartbeat_state_read(request, view, heartbeat->id);
    json_t *pings = json_array();

    for (uint64_t n = 0; n < kept_of(state->recorded, LIMIT_PINGS_KEPT); n++) {
        const Tocsin__HeartbeatPing *ping = ping_read(request, view, heartbeat->id, state, n);
        if (ping == NULL) {
            continue;
        }
        if (n == 0 && ping->number < state->pings) {
            json_array_append_new(pings, json_pack("{s:s, s:o, s:I}", "type", "success", "date",
                                                   json_time(state->last_ping_ms), "n", (json_int_t)state->pings));
        }
        json_array_append_new(pings, render_ping(request, heartbeat, ping));
    }
    api_json(request, 200, json_pack("{s:o}", "pings", pings));
}

static void check_pings(struct http_request *request)
{
    find(request, pings_found);
}

static void body_found(struct http_request *request, const struct machine_store *view,
                       const Tocsin__Heartbeat *heartbeat)
{
    const Tocsin__HeartbeatState *state = heartbeat_state_read(request, view, heartbeat->id);
    uint64_t number = strtoull(api_call_of(request)->parameters[1], NULL, 10);

    for (uint64_t n = 0; n < kept_of(state->recorded, LIMIT_PINGS_KEPT); n++) {
        const Tocsin__HeartbeatPing *ping = ping_read(request, view, heartbeat->id, state, n);
        if (ping != NULL && ping->number == number && ping->body.len > 0) {
            api_text(request, 200, (const char *)ping->body.data, ping->body.len);
            return;
        }
    }
    api_error(request, 404, 2100, "not found", NULL);
}

static void check_ping_body(struct http_request *request)
{
    find(request, body_found);
}

static void flips_found(struct http_request *request, const struct machine_store *view,
                        const Tocsin__Heartbeat *heartbeat)
{
    const Tocsin__HeartbeatState *state = heartbeat_state_read(request, view, heartbeat->id);
    json_t *flips = json_array();

    for (uint64_t n = 0; n < kept_of(state->flips, LIMIT_FLIPS_KEPT); n++) {
        const Tocsin__HeartbeatFlip *flip =
            record_get(view, TABLE_HEARTBEAT_FLIP, key_2(heartbeat->id, newest(state->flips, LIMIT_FLIPS_KEPT, n)),
                       &tocsin__heartbeat_flip__descriptor, request_memory(request));
        if (flip != NULL) {
            json_array_append_new(flips, json_pack("{s:o, s:i}", "timestamp", json_time(flip->at_ms), "up", flip->up));
        }
    }
    api_json(request, 200, json_pack("{s:o}", "flips", flips));
}

static void check_flips(struct http_request *request)
{
    find(request, flips_found);
}

const struct route routes_checks[] = {
    {"GET", "/api/v3/checks", checks_list, FAMILY_CHECKS, 0},
    {"POST", "/api/v3/checks", check_create, FAMILY_CHECKS, ROUTE_JSON_BODY},
    {"GET", "/api/v3/checks/{}", check_read, FAMILY_CHECKS, 0},
    {"POST", "/api/v3/checks/{}", check_update, FAMILY_CHECKS, ROUTE_JSON_BODY},
    {"DELETE", "/api/v3/checks/{}", check_delete, FAMILY_CHECKS, 0},
    {"POST", "/api/v3/checks/{}/pause", check_pause, FAMILY_CHECKS, 0},
    {"POST", "/api/v3/checks/{}/resume", check_resume, FAMILY_CHECKS, 0},
    {"GET", "/api/v3/checks/{}/pings", check_pings, FAMILY_CHECKS, 0},
    {"GET", "/api/v3/checks/{}/pings/{}/body", check_ping_body, FAMILY_CHECKS, 0},
    {"GET", "/api/v3/checks/{}/flips", check_flips, FAMILY_CHECKS, 0},
    {0},
};
