/*
 * Pings that are noted by their time alone say as much as those that go the long way.
 *
 * Twins live the same random hours: the first one's plain pings may be quick, the other's carry a body and never are.
 * Whatever happens to both, outages and cut-off nodes too, they stay alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/heartbeats/quick_pings.h"
#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define SEEDS 12u
#define STEPS 60u
#define AT_ONCE 200u
#define SECOND_MS 1000ull
#define STATUS(name) TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_##name
#define KIND(name) TOCSIN__PING_KIND__PING_##name

static char run[] = "aaaaaaaa-0000-4000-8000-000000000001";
static uint8_t body[] = "ok";

struct story {
    struct machine_fixture *f;
    uint64_t service, made, random, quick_pings;
};

static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->f = fixture_new();
    uint64_t alice = fixture_user(story->f, "Alice");
    struct fixture_level levels[] = {{30, {alice}}};
    uint64_t policy = fixture_policy(story->f, 1, 1, levels);
    story->service = fixture_service(story->f, policy, TOCSIN__URGENCY__URGENCY_HIGH, 0, 0);
    *state = story;
    return 0;
}

static int end(void **state)
{
    struct story *story = *state;
    fixture_free(story->f);
    free(story);
    return 0;
}

static uint64_t chance(struct story *story, uint64_t below)
{
    story->random ^= story->random << 13; /* xorshift64: G. Marsaglia, "Xorshift RNGs", 2003 */
    story->random ^= story->random >> 7;
    story->random ^= story->random << 17;
    return story->random % below;
}

/* ---------------------------------------------------------------- steps */

static const Tocsin__Reply *apply(struct story *story, Tocsin__Command__BodyCase body_case, void *message)
{
    Tocsin__Command command = fixture_command();
    command.body_case = body_case;
    command.ping = message; /* every body is a pointer at the same place */
    return fixture_apply(story->f, &command);
}

static uint64_t heartbeat(struct story *story, uint32_t period_s, uint32_t grace_s)
{
    char key[40], name[32];
    snprintf(key, sizeof key, "00000000-0000-4000-8000-%012llu", (unsigned long long)++story->made);
    snprintf(name, sizeof name, "job %llu", (unsigned long long)story->made);
    Tocsin__Heartbeat given = TOCSIN__HEARTBEAT__INIT;
    given.key = key;
    given.name = name;
    given.service_id = story->service;
    given.period_s = period_s;
    given.grace_s = grace_s;
    Tocsin__HeartbeatPut put = TOCSIN__HEARTBEAT_PUT__INIT;
    put.heartbeat = &given;
    const Tocsin__Reply *reply = apply(story, TOCSIN__COMMAND__BODY_HEARTBEAT_PUT, &put);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    return reply->ids[0];
}

static void ping(struct story *story, uint64_t id, Tocsin__PingKind kind, bool with_run, bool with_body)
{
    Tocsin__Ping ping = TOCSIN__PING__INIT;
    ping.heartbeat_id = id;
    ping.kind = kind;
    ping.run = with_run ? run : ping.run;
    ping.body = (ProtobufCBinaryData){.len = with_body ? 2 : 0, .data = body};
    story->quick_pings += kind == KIND(SUCCESS) && !with_run && !with_body && quick_is(&story->f->store, id);
    assert_int_equal(apply(story, TOCSIN__COMMAND__BODY_PING, &ping)->status, TOCSIN__STATUS__STATUS_OK);
}

/* `field` of the heartbeat alone is changed. */
static void change(struct story *story, uint64_t id, const char *field, Tocsin__Heartbeat *heartbeat)
{
    Tocsin__HeartbeatPut put = TOCSIN__HEARTBEAT_PUT__INIT;
    put.id = id;
    put.fields = (uint64_t)1
                 << protobuf_c_message_descriptor_get_field_by_name(&tocsin__heartbeat__descriptor, field)->id;
    heartbeat->service_id = story->service;
    put.heartbeat = heartbeat;
    assert_int_equal(apply(story, TOCSIN__COMMAND__BODY_HEARTBEAT_PUT, &put)->status, TOCSIN__STATUS__STATUS_OK);
}

static void pause_or_resume(struct story *story, uint64_t id, bool resume)
{
    Tocsin__HeartbeatPause pause = TOCSIN__HEARTBEAT_PAUSE__INIT;
    pause.id = id;
    pause.resume = resume;
    apply(story, TOCSIN__COMMAND__BODY_HEARTBEAT_PAUSE, &pause); /* refused of one that is not paused */
}

static void tick(struct story *story, uint64_t away_node)
{
    Tocsin__UnheardMember unheard = TOCSIN__UNHEARD_MEMBER__INIT, *members[] = {&unheard};
    unheard.id = away_node;
    unheard.silent_ms = 3 * SECOND_MS;
    Tocsin__Tick tick = TOCSIN__TICK__INIT;
    tick.n_unheard = away_node != 0;
    tick.unheard = members;
    apply(story, TOCSIN__COMMAND__BODY_TICK, &tick);
    while (machine_next_deadline_ms(&story->f->store) <= story->f->now_ms) {
        fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
    }
}

static void pass(struct story *story, uint64_t seconds, uint64_t away_node)
{
    for (uint64_t i = 0; i < seconds; i++) {
        fixture_advance(story->f, SECOND_MS);
        tick(story, away_node);
    }
}

static Tocsin__HeartbeatState *state_of(struct story *story, uint64_t id)
{
    Tocsin__HeartbeatState *state = heartbeat_state_get(&story->f->store, id, NULL);
    assert_non_null(state);
    return state;
}

static bool is_alike(struct story *story, uint64_t a, uint64_t b)
{
    Tocsin__HeartbeatState *one = state_of(story, a), *other = state_of(story, b);
    bool alike = one->status == other->status && one->last_ping_ms == other->last_ping_ms &&
                 one->last_start_ms == other->last_start_ms && one->pings == other->pings &&
                 one->filed_ms == other->filed_ms && one->flips == other->flips &&
                 one->has_duration == other->has_duration && strcmp(one->run, other->run) == 0;
    tocsin__heartbeat_state__free_unpacked(one, NULL);
    tocsin__heartbeat_state__free_unpacked(other, NULL);
    return alike;
}

/* ---------------------------------------------------------------- stories */

static void step(struct story *story, const uint64_t twins[2])
{
    Tocsin__Heartbeat changed = TOCSIN__HEARTBEAT__INIT;
    uint64_t what = chance(story, 40), value = LIMIT_HEARTBEAT_SECONDS_MIN + chance(story, 100);
    changed.period_s = changed.grace_s = (uint32_t)value;
    changed.post_only = value % 2;
    for (unsigned i = 0; i < 2; i++) {
        switch (what) {
        case 0: ping(story, twins[i], KIND(START), value % 2, false); break;
        case 1: ping(story, twins[i], KIND(FAIL), value % 2, false); break;
        case 2: ping(story, twins[i], KIND(LOG), false, false); break;
        case 3: ping(story, twins[i], KIND(SUCCESS), true, false); break;
        case 4: change(story, twins[i], "period_s", &changed); break;
        case 5: change(story, twins[i], "grace_s", &changed); break;
        case 6: change(story, twins[i], "post_only", &changed); break;
        case 7: pause_or_resume(story, twins[i], value % 2); break;
        default: ping(story, twins[i], KIND(SUCCESS), false, i == 1); break;
        }
    }
    switch (chance(story, 12)) {
    case 0: fixture_advance(story->f, value * 5 * SECOND_MS); tick(story, 0); break; /* an outage */
    case 1: fixture_advance(story->f, 4 * SECOND_MS); tick(story, 0); break;         /* a leader is lost */
    case 2: pass(story, value / 4, 2); break;
    case 3: pass(story, value * 2, 0); break; /* silence */
    default: pass(story, value / 8, 0); break;
    }
}

static void twins_stay_alike(void **state)
{
    uint64_t quick_pings = 0;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct story *story = *state;
        story->random = seed * 0x9e3779b97f4a7c15u;
        uint64_t twins[] = {heartbeat(story, 60, 60), heartbeat(story, 60, 60)};
        for (unsigned i = 0; i < STEPS; i++) {
            step(story, twins);
            if (!is_alike(story, twins[0], twins[1])) {
                fail_msg("seed %u: the twins differ after step %u", seed, i);
            }
        }
        quick_pings += story->quick_pings;
        end(state);
        begin(state);
    }
    assert_true(quick_pings > SEEDS * STEPS / 4); /* or this says nothing */
}

static void a_quick_ping_writes_its_place_alone(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60), neighbour = heartbeat(story, 60, 60);
    /* given one that is up */
    ping(story, job, KIND(SUCCESS), false, false);
    assert_true(quick_is(&story->f->store, job));
    assert_false(quick_is(&story->f->store, neighbour));
    struct key key = key_1(job);
    struct span before, after;
    const struct machine_store *store = &story->f->store;
    assert_true(store->get(store->context, TABLE_HEARTBEAT_STATE, key_span(&key), &before));
    void *copy = test_malloc(before.size_bytes);
    memcpy(copy, before.data, before.size_bytes);
    size_t size_bytes = before.size_bytes;
    /* when it pings again */
    pass(story, 30, 0);
    ping(story, job, KIND(SUCCESS), false, false);
    /* then its record is as it was, and the ping counts */
    assert_true(store->get(store->context, TABLE_HEARTBEAT_STATE, key_span(&key), &after));
    assert_int_equal(after.size_bytes, size_bytes);
    assert_memory_equal(after.data, copy, size_bytes);
    test_free(copy);
    Tocsin__HeartbeatState *now = state_of(story, job);
    assert_int_equal(now->pings, 2);
    assert_int_equal(now->last_ping_ms, story->f->now_ms);
    tocsin__heartbeat_state__free_unpacked(now, NULL);
    assert_int_equal(fixture_rows(story->f, TABLE_HEARTBEAT_QUICK), 1);
}

static void more_pings_than_a_place_counts_are_counted(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60), pings = 70000; /* a place counts to 65,535 */
    Tocsin__Ping ping = TOCSIN__PING__INIT;
    ping.heartbeat_id = job;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_PING;
    command.ping = &ping;
    for (uint64_t sent = 0; sent < pings;) {
        ProtobufCBinaryData commands[AT_ONCE];
        for (unsigned i = 0; i < AT_ONCE; i++, sent++) {
            commands[i] = fixture_pack(story->f, &command);
        }
        fixture_apply_entry(story->f, AT_ONCE, commands);
        for (unsigned i = 0; i < AT_ONCE; i++) {
            free(commands[i].data);
        }
    }
    Tocsin__HeartbeatState *now = state_of(story, job);
    assert_int_equal(now->pings, pings);
    tocsin__heartbeat_state__free_unpacked(now, NULL);
}

static void one_that_is_deleted_leaves_no_place(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    ping(story, job, KIND(SUCCESS), false, false);
    Tocsin__HeartbeatDelete delete = TOCSIN__HEARTBEAT_DELETE__INIT;
    delete.id = job;
    assert_int_equal(apply(story, TOCSIN__COMMAND__BODY_HEARTBEAT_DELETE, &delete)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(fixture_rows(story->f, TABLE_HEARTBEAT_QUICK), 0);
    Tocsin__Ping late = TOCSIN__PING__INIT;
    late.heartbeat_id = job;
    assert_int_equal(apply(story, TOCSIN__COMMAND__BODY_PING, &late)->status, TOCSIN__STATUS__STATUS_NOT_FOUND);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(twins_stay_alike),
        STORY(a_quick_ping_writes_its_place_alone),
        STORY(more_pings_than_a_place_counts_are_counted),
        STORY(one_that_is_deleted_leaves_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
