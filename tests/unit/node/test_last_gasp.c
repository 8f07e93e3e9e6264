/* The majority is gone: who speaks, to whom, how often, and what becomes of it. Nodes that hear each other, on one clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/limits.h"
#include "node/last_gasp/last_gasp.h"
#include "tests/support/machine_fixture.h"

#define AFTER_MS 90000u
#define NODES 3
#define SENT_MAX 4096

#define REACH_SMS (1u << GASP_ANY_CHANNEL | 1u << TOCSIN__CHANNEL__CHANNEL_SMS)
#define REACH_EMAIL (1u << GASP_ANY_CHANNEL | 1u << TOCSIN__CHANNEL__CHANNEL_EMAIL)

static const char KEY[] = "0123456789abcdef0123456789abcdef";

struct world;

struct node {
    struct world *world;
    uint64_t id;
    struct last_gasp *gasp;
    struct gasp_sight sight;
    struct notify_settings settings;
    bool off;
    uint8_t *record;
    size_t record_size_bytes;
    uint64_t remembered_ms; /* until the machine boots */
    bool disk_full;
    Tocsin__LastGaspReport *reported;
    char report_key[128];
};

struct sent {
    uint64_t by, transfer_id;
    char *request; /* address and text, as the provider gets it */
    bool answered;
};

struct world {
    struct machine_fixture *fixture;
    uint64_t now_ms;
    struct node nodes[NODES + 1];
    bool hear[NODES + 1][NODES + 1];
    struct sent sent[SENT_MAX];
    size_t sent_count;
    uint64_t alice, bob, policy, service;
};

/* ---- ports */

static uint64_t port_boottime_ms(void *context) { return ((struct node *)context)->world->now_ms; }
static uint64_t port_cluster_ms(void *context) { return ((struct node *)context)->world->fixture->now_ms; }

static void port_look(void *context, void (*with)(void *argument, const struct machine_store *view), void *argument) {
    with(argument, &((struct node *)context)->world->fixture->store);
}

static void port_transfer(void *context, uint64_t transfer_id, const struct outgoing *outgoing) {
    struct node *node = context;
    struct world *world = node->world;
    assert_true(world->sent_count < SENT_MAX);
    assert_true((transfer_id & LAST_GASP_TRANSFER) != 0);
    struct sent *sent = &world->sent[world->sent_count++];
    *sent = (struct sent){.by = node->id, .transfer_id = transfer_id};
    sent->request = malloc(outgoing->body_size_bytes + 1);
    assert_non_null(sent->request);
    memcpy(sent->request, outgoing->body, outgoing->body_size_bytes);
    sent->request[outgoing->body_size_bytes] = '\0';
}

static void port_tell(void *context, struct span item) {
    struct node *node = context;
    for (unsigned id = 1; id <= NODES; id++)
        if (id != node->id && node->world->hear[node->id][id] && !node->world->nodes[id].off) last_gasp_told(node->world->nodes[id].gasp, item);
}

static bool port_keep(void *context, struct span record) {
    struct node *node = context;
    if (node->disk_full) return false;
    free(node->record);
    node->record = malloc(record.size_bytes + 1);
    assert_non_null(node->record);
    memcpy(node->record, record.data, record.size_bytes);
    node->record_size_bytes = record.size_bytes;
    return true;
}

static void port_remember(void *context, uint64_t boottime_ms) { ((struct node *)context)->remembered_ms = boottime_ms; }

static void port_report(void *context, const Tocsin__LastGaspReport *report, const char *key) {
    struct node *node = context;
    assert_null(node->reported);
    size_t size_bytes = tocsin__last_gasp_report__get_packed_size(report);
    uint8_t *packed = malloc(size_bytes + 1);
    tocsin__last_gasp_report__pack(report, packed);
    node->reported = tocsin__last_gasp_report__unpack(NULL, size_bytes, packed);
    free(packed);
    snprintf(node->report_key, sizeof node->report_key, "%s", key);
}

/* ---- the world */

static void node_begin(struct node *node) {
    struct last_gasp_ports ports = {.context = node, .boottime_ms = port_boottime_ms, .cluster_ms = port_cluster_ms, .look = port_look,
                                    .transfer = port_transfer, .tell = port_tell, .keep = port_keep, .report = port_report,
                                    .remember = port_remember};
    struct last_gasp_options options = {.id = node->id, .after_ms = AFTER_MS, .settings = &node->settings,
                                        .record = {node->record, node->record_size_bytes}, .remembered_ms = node->remembered_ms};
    node->gasp = last_gasp_new(&options, &ports);
}

static void say(const struct node *from, struct node *to) {
    struct gasp_said said = {.leader = from->sight.leader, .may_speak = last_gasp_may_speak(from->gasp), .applied_index = from->sight.applied_index,
                             .reach = from->sight.reach};
    last_gasp_heard(to->gasp, from->id, &said);
}

/* A second for everybody who is on: peers say what they are, then each has its turn. */
static void second(struct world *world) {
    world->now_ms += 1000;
    world->fixture->now_ms += 1000;
    for (unsigned from = 1; from <= NODES; from++)
        for (unsigned to = 1; to <= NODES; to++)
            if (from != to && world->hear[from][to] && !world->nodes[from].off && !world->nodes[to].off) say(&world->nodes[from], &world->nodes[to]);
    for (unsigned id = 1; id <= NODES; id++)
        if (!world->nodes[id].off) (void)last_gasp_turn(world->nodes[id].gasp, &world->nodes[id].sight);
}

static void answer_all(struct world *world, const struct answer *answer) {
    for (size_t i = 0; i < world->sent_count; i++) {
        if (world->sent[i].answered) continue;
        world->sent[i].answered = true;
        last_gasp_answered(world->nodes[world->sent[i].by].gasp, world->sent[i].transfer_id, answer);
    }
}

static const struct answer not_sent = {.kind = ANSWER_NOT_SENT, .retry_after_s = -1, .body = "", .error = "the name could not be resolved"};

/* Providers answer everything in the same way. */
static void run_answered(struct world *world, unsigned seconds, const struct answer *answer) {
    for (unsigned i = 0; i < seconds; i++) {
        second(world);
        answer_all(world, answer);
    }
}

/* They take everything. */
static void run(struct world *world, unsigned seconds) {
    struct answer taken = {.kind = ANSWER_RESPONSE, .status = 201, .retry_after_s = -1, .body = "{\"sid\": \"SM1\"}", .body_size_bytes = 14};
    run_answered(world, seconds, &taken);
}

static void lead_all(struct world *world, bool leader) {
    for (unsigned id = 1; id <= NODES; id++) world->nodes[id].sight.leader = world->nodes[id].sight.current = leader;
}

static void hear_all(struct world *world, bool hear) {
    for (unsigned a = 1; a <= NODES; a++)
        for (unsigned b = 1; b <= NODES; b++) world->hear[a][b] = hear;
}

/* Given Alice, then Bob after five minutes, a guardian, an incident that nobody has acknowledged, and a cluster that is well. */
static int set_up(void **state) {
    struct notify_settings settings = {
        .twilio = {.base_url = "https://api.twilio.com", .account_sid = "AC1", .auth_token = "secret", .from = "+15550100", .validity_s = 3600}};
    struct world *world = calloc(1, sizeof *world);
    struct machine_fixture *fixture = world->fixture = fixture_new();
    world->now_ms = 5000000;
    fixture_guardian(fixture, "Grace", TOCSIN__CHANNEL__CHANNEL_SMS, "+15550190");
    world->alice = fixture_user(fixture, "Alice");
    fixture_method(fixture, world->alice, TOCSIN__CHANNEL__CHANNEL_SMS, "5550101");
    world->bob = fixture_user(fixture, "Bob");
    fixture_method(fixture, world->bob, TOCSIN__CHANNEL__CHANNEL_SMS, "5550102");
    struct fixture_level levels[] = {{5, {world->alice}}, {5, {world->bob}}};
    world->policy = fixture_policy(fixture, 0, 2, levels);
    world->service = fixture_service(fixture, world->policy, TOCSIN__URGENCY__URGENCY_HIGH, 0, 0);
    fixture_integration(fixture, world->service, KEY);
    for (unsigned id = 1; id <= NODES; id++) {
        world->nodes[id] = (struct node){.world = world, .id = id, .settings = settings, .sight = {.applied_index = 100, .reach = REACH_SMS}};
        node_begin(&world->nodes[id]);
    }
    hear_all(world, true);
    lead_all(world, true);
    run(world, 3);
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    for (unsigned id = 1; id <= NODES; id++) {
        last_gasp_free(world->nodes[id].gasp);
        free(world->nodes[id].record);
        if (world->nodes[id].reported != NULL) tocsin__last_gasp_report__free_unpacked(world->nodes[id].reported, NULL);
    }
    for (size_t i = 0; i < world->sent_count; i++) free(world->sent[i].request);
    fixture_deliver_all(world->fixture);
    fixture_free(world->fixture);
    free(world);
    return 0;
}

/* Requests of this node (0: of any) that hold the text. */
static size_t sent_with(const struct world *world, uint64_t by, const char *text) {
    size_t count = 0;
    for (size_t i = 0; i < world->sent_count; i++) count += (by == 0 || world->sent[i].by == by) && strstr(world->sent[i].request, text) != NULL;
    return count;
}

static enum gasp_standing standing(const struct world *world, uint64_t id) { return last_gasp_status(world->nodes[id].gasp).standing; }

/* Node 3 is left alone with the state of the last moment. */
static void leave_alone(struct world *world) {
    world->nodes[1].off = world->nodes[2].off = true;
    lead_all(world, false);
}

static Tocsin__Actor alice(const struct world *world) {
    Tocsin__Actor actor = TOCSIN__ACTOR__INIT;
    actor.kind = TOCSIN__ACTOR_KIND__ACTOR_USER;
    actor.id = world->alice;
    actor.name = (char *)(uintptr_t)"Alice";
    return actor;
}

static void heal(struct world *world) {
    world->nodes[1].off = world->nodes[2].off = false;
    lead_all(world, true);
    run(world, 2);
}

static void start_again(struct node *node) {
    last_gasp_free(node->gasp);
    node_begin(node);
}

/* As the log would: the command, its reply, and what the reporter hears. */
static void commit_report(struct world *world, struct node *node) {
    assert_non_null(node->reported);
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_LAST_GASP_REPORT;
    command.last_gasp_report = node->reported;
    command.idempotency_key = node->report_key;
    assert_int_equal(TOCSIN__STATUS__STATUS_OK, fixture_apply(world->fixture, &command)->status);
    tocsin__last_gasp_report__free_unpacked(node->reported, NULL);
    node->reported = NULL;
}

/* ---- who speaks, and when */

static void nobody_speaks_before_the_bound(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 90);
    assert_int_equal(GASP_WAITING, standing(world, 3));
    assert_int_equal(0, world->sent_count);
    run(world, 7); /* what peers said of a leader counted for five more */
    assert_int_equal(GASP_SPEAKS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 3, "5550101"));
    assert_int_equal(1, sent_with(world, 3, "5550190"));
    assert_int_equal(world->sent_count, sent_with(world, 3, "DEGRADED"));
    assert_int_equal(world->sent_count, sent_with(world, 3, "possibly+repeated") + sent_with(world, 3, "possibly%20repeated"));
}

static void a_leader_in_between_starts_the_wait_anew(void **state) {
    struct world *world = *state;
    leave_alone(world);
    run(world, 80);
    world->nodes[3].sight.leader = true;
    run(world, 1);
    world->nodes[3].sight.leader = false;
    run(world, 80);
    assert_int_equal(GASP_WAITING, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

static void one_that_was_behind_stays_silent(void **state) {
    struct world *world = *state;
    world->nodes[3].sight.current = false; /* it hears the leader, and lags */
    run(world, 61);
    leave_alone(world);
    run(world, 100);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_non_null(strstr(last_gasp_status(world->nodes[3].gasp).why, "not current"));
    assert_int_equal(0, world->sent_count);
}

static void one_whose_machine_has_booted_stays_silent(void **state) {
    struct world *world = *state;
    world->nodes[3].remembered_ms = 0;
    start_again(&world->nodes[3]);
    leave_alone(world);
    run(world, 200);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

static void one_that_was_away_for_less_than_a_minute_knows_how_old_its_state_is(void **state) {
    struct world *world = *state;
    (void)fixture_trigger(world->fixture, KEY, "disk");
    fixture_deliver_all(world->fixture);
    world->nodes[3].off = true;
    leave_alone(world); /* whatever the others did, they did it in this minute */
    run(world, 50);
    world->nodes[3].off = false;
    start_again(&world->nodes[3]);
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 3, "5550101"));
    start_again(&world->nodes[3]); /* while it speaks: nobody is told twice */
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 3, "5550101"));
}

static void one_that_was_away_for_longer_stays_silent(void **state) {
    struct world *world = *state;
    world->nodes[3].off = true;
    leave_alone(world);
    run(world, 70);
    world->nodes[3].off = false;
    start_again(&world->nodes[3]);
    run(world, 200);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

/* For an hour it hears a leader through a peer alone: its state is of then, whenever it starts again. */
static void one_that_heard_a_leader_through_a_peer_alone_does_not_pass_for_current(void **state) {
    struct world *world = *state;
    world->nodes[3].sight.leader = world->nodes[3].sight.current = false;
    run(world, 3600);
    assert_int_equal(GASP_LED, standing(world, 3));
    start_again(&world->nodes[3]);
    leave_alone(world);
    run(world, 200);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

static void of_two_that_both_started_again_one_speaks(void **state) {
    struct world *world = *state;
    (void)fixture_trigger(world->fixture, KEY, "disk");
    fixture_deliver_all(world->fixture);
    lead_all(world, false);
    world->nodes[1].off = true;
    run(world, 10);
    start_again(&world->nodes[2]);
    start_again(&world->nodes[3]);
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(GASP_DEFERS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 0, "5550101"));
}

static void one_that_is_barred_stays_silent(void **state) {
    struct world *world = *state;
    leave_alone(world);
    world->nodes[3].sight.barred = "it was removed from the cluster";
    run(world, 200);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_string_equal("it was removed from the cluster", last_gasp_status(world->nodes[3].gasp).why);
    assert_int_equal(0, world->sent_count);
}

/* It slept for an hour, with a state of then; whether there is a leader it does not know yet. */
static void one_that_slept_waits_anew_and_is_not_current(void **state) {
    struct world *world = *state;
    leave_alone(world);
    world->now_ms += 3600000;
    run(world, 80);
    assert_int_equal(GASP_WAITING, standing(world, 3));
    run(world, 20);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

static void a_leader_that_a_peer_or_anybody_sees_keeps_all_silent(void **state) {
    struct world *world = *state;
    world->nodes[1].sight.leader = true; /* it leads, and hears enough others; node 3 does not hear it by raft */
    world->nodes[2].off = true;
    world->nodes[3].sight.leader = false;
    run(world, 200);
    assert_int_equal(GASP_LED, standing(world, 3));
    /* The connection between them is cut, too; what a public address tells is enough. */
    hear_all(world, false);
    for (unsigned i = 0; i < 60; i++) {
        last_gasp_leader_elsewhere(world->nodes[3].gasp);
        run(world, 3);
    }
    assert_int_equal(GASP_LED, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

/* With some dozens of conditions told it is longer than an answer may be: what is cut off is no reason to page. */
static void a_leader_is_seen_in_an_answer_that_was_cut(void **state) {
    (void)state;
    assert_int_equal(2, last_gasp_leader_in("{\"id\":1,\"cluster\":\"main\",\"leader\":2,\"members\":[{\"id\":1},{\"id\""));
    assert_int_equal(2, last_gasp_leader_in("{\"leader\": 2}"));
    assert_int_equal(0, last_gasp_leader_in("{\"id\":1,\"leader\":null,\"members\":[]}"));
    assert_int_equal(0, last_gasp_leader_in("{\"id\":1,\"cluster\":\"\\\"leader\\\":7\"}"));
    assert_int_equal(0, last_gasp_leader_in(""));
}

/* ---- several */

static void of_those_that_hear_each_other_the_furthest_speaks(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    world->nodes[2].sight.applied_index = 101;
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(GASP_DEFERS, standing(world, 1));
    assert_int_equal(GASP_DEFERS, standing(world, 3));
    assert_int_equal(world->sent_count, sent_with(world, 2, "DEGRADED"));
    assert_int_equal(1, sent_with(world, 0, "5550101"));
    /* It dies: of equals the first goes on, and tells nobody of what was told. */
    world->nodes[2].off = true;
    run(world, 310);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    assert_int_equal(GASP_DEFERS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 0, "5550101"));
    assert_int_equal(1, sent_with(world, 1, "5550102"));
}

static void nodes_that_hear_nobody_each_send_once(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    hear_all(world, false);
    run(world, 3600);
    for (unsigned id = 1; id <= NODES; id++) {
        assert_int_equal(GASP_SPEAKS, standing(world, id));
        assert_int_equal(1, sent_with(world, id, "5550101"));
        assert_int_equal(1, sent_with(world, id, "5550102"));
        assert_int_equal(2, sent_with(world, id, "5550190")); /* of the majority, and of the incident that nobody answered */
    }
}

/* ---- to whom */

static void what_wakes_nobody_is_left_alone(void **state) {
    struct world *world = *state;
    uint64_t low = fixture_service(world->fixture, world->policy, TOCSIN__URGENCY__URGENCY_LOW, 0, 0);
    const char *key = "abcdefabcdefabcdefabcdefabcdef00";
    fixture_integration(world->fixture, low, key);
    fixture_trigger(world->fixture, key, "slow");
    uint64_t known = fixture_trigger(world->fixture, KEY, "known");
    fixture_set_status(world->fixture, known, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    leave_alone(world);
    run(world, 1000);
    assert_int_equal(0, sent_with(world, 0, "5550101"));
    assert_int_equal(1, sent_with(world, 0, "5550190"));
    assert_int_equal(1, world->sent_count);
}

static void the_next_level_hears_unless_somebody_answers(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    fixture_trigger(world->fixture, KEY, "power");
    leave_alone(world);
    run(world, 100);
    assert_int_equal(2, sent_with(world, 0, "5550101"));
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    run(world, 301);
    assert_int_equal(1, sent_with(world, 0, "5550102"));
    run(world, 301);
    assert_int_equal(2, sent_with(world, 0, "5550190"));
}

static void an_answer_to_one_silences_the_other(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    run(world, 1000);
    assert_int_equal(0, sent_with(world, 0, "5550102"));
}

static void a_flood_is_capped(void **state) {
    struct world *world = *state;
    char key[16];
    world->fixture->unchecked = true;
    for (unsigned i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "disk-%u", i);
        fixture_trigger(world->fixture, KEY, key);
    }
    leave_alone(world);
    run(world, 2000);
    assert_int_equal(LAST_GASP_INCIDENTS_PER_PERSON, sent_with(world, 0, "5550101"));
    assert_int_equal(LAST_GASP_INCIDENTS_PER_PERSON, sent_with(world, 0, "5550102"));
    assert_true(world->sent_count <= LAST_GASP_PAGES_MAX);
    assert_true(sent_with(world, 0, "5550190") > 0);
}

/* What nobody ever resolved does not take the place of what has just begun. */
static void the_newest_are_told_first(void **state) {
    struct world *world = *state;
    char title[24];
    world->fixture->unchecked = true;
    for (unsigned i = 0; i < 25; i++) {
        snprintf(title, sizeof title, "Stale%uX", i);
        fixture_trigger(world->fixture, KEY, title);
    }
    uint64_t newest = fixture_trigger(world->fixture, KEY, "power");
    char id[16];
    id_format(newest, id);
    leave_alone(world);
    run(world, 100);
    assert_int_equal(LAST_GASP_INCIDENTS_PER_PERSON, sent_with(world, 0, "5550101"));
    assert_int_equal(1, sent_with(world, 0, id));
    assert_non_null(strstr(world->sent[1].request, id)); /* before the others; the guardian hears of the majority */
}

/* ---- refused triggers */

static Tocsin__Event trigger(char *dedup_key, char *summary) {
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.routing_key = (char *)(uintptr_t)KEY;
    event.dedup_key = dedup_key;
    event.summary = summary;
    event.severity = TOCSIN__SEVERITY__SEVERITY_CRITICAL;
    return event;
}

static void refused_triggers_are_told_once_and_capped(void **state) {
    struct world *world = *state;
    char key[24], summary[24];
    hear_all(world, true);
    lead_all(world, false);
    run(world, 100);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "flood-%u", i % 50);
        snprintf(summary, sizeof summary, "Water%uX", i % 50);
        Tocsin__Event event = trigger(key, summary);
        last_gasp_refused(world->nodes[1 + i % 3].gasp, &event); /* whichever node was asked: only one speaks */
        run(world, 1);
    }
    assert_int_equal(LAST_GASP_TRIGGERS_MAX, sent_with(world, 0, "5550101"));
    assert_int_equal(1, sent_with(world, 0, "Water0X"));
    assert_int_equal(world->sent_count, sent_with(world, 1, "DEGRADED"));
}

static void refuse(struct world *world, uint64_t node, Tocsin__Event event) { last_gasp_refused(world->nodes[node].gasp, &event); }

/* Warnings, services that are switched off, keys of nobody: the next critical one is what people must hear of. */
static void what_pages_nobody_takes_no_place(void **state) {
    struct world *world = *state;
    char other[] = "abcdefabcdefabcdefabcdefabcdef00", unknown[] = "00000000000000000000000000000000", key[24], summary[24] = "Water";
    fixture_integration(world->fixture, fixture_service(world->fixture, world->policy, TOCSIN__URGENCY__URGENCY_SEVERITY_BASED, 0, 0), other);
    leave_alone(world);
    run(world, 100);
    for (unsigned i = 0; i < 3 * LAST_GASP_TRIGGERS_MAX; i++) {
        snprintf(key, sizeof key, "flood-%u", i);
        Tocsin__Event event = trigger(key, summary);
        event.routing_key = i % 2 != 0 ? other : unknown;
        event.severity = TOCSIN__SEVERITY__SEVERITY_WARNING;
        refuse(world, 3, event);
    }
    run(world, 1);
    assert_int_equal(0, sent_with(world, 0, "Water"));
    assert_int_equal(1, last_gasp_status(world->nodes[3].gasp).items); /* the guardian's page */
    char last[] = "last";
    Tocsin__Event event = trigger(last, summary);
    event.routing_key = other;
    refuse(world, 3, event);
    run(world, 1);
    assert_int_equal(1, sent_with(world, 3, "Water"));
}

/* A sender without keys, which tries again each half minute: the API makes another key of each try. */
static void a_trigger_without_a_key_of_its_own_is_known_by_its_words(void **state) {
    struct world *world = *state;
    char key[40], water[] = "Water", fire[] = "Fire";
    leave_alone(world);
    run(world, 100);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "%032x", 77 + i);
        refuse(world, 3, trigger(key, water));
        run(world, 30);
    }
    refuse(world, 3, trigger(key, fire));
    run(world, 1);
    assert_int_equal(1, sent_with(world, 0, "Water"));
    assert_int_equal(1, sent_with(world, 0, "Fire"));
}

static void what_rules_decided_of_a_refused_trigger_counts(void **state) {
    struct world *world = *state;
    char keys[][8] = {"a", "b", "c", "d", "e"}, summary[] = "Water", low_key[] = "abcdefabcdefabcdefabcdefabcdef00";
    uint64_t low = fixture_service(world->fixture, world->policy, TOCSIN__URGENCY__URGENCY_LOW, 0, 0);
    fixture_integration(world->fixture, low, low_key);
    leave_alone(world);
    run(world, 100);
    Tocsin__EventDecision suppressed = TOCSIN__EVENT_DECISION__INIT, made_low = TOCSIN__EVENT_DECISION__INIT, dropped = TOCSIN__EVENT_DECISION__INIT,
                          made_high = TOCSIN__EVENT_DECISION__INIT, suspended = TOCSIN__EVENT_DECISION__INIT;
    suppressed.suppress = made_low.urgency_low = made_high.urgency_high = true;
    dropped.disposition = TOCSIN__DISPOSITION__DISPOSITION_DROPPED;
    suspended.suspend_s = 120;
    Tocsin__EventDecision *none[] = {&suppressed, &made_low, &dropped};
    for (unsigned i = 0; i < 3; i++) {
        Tocsin__Event event = trigger(keys[i], summary);
        event.decision = none[i];
        refuse(world, 3, event);
    }
    run(world, 1);
    assert_int_equal(0, sent_with(world, 0, "Water"));
    Tocsin__Event high = trigger(keys[3], summary), later = trigger(keys[4], summary);
    high.routing_key = low_key;
    high.decision = &made_high;
    later.decision = &suspended;
    refuse(world, 3, high);
    refuse(world, 3, later);
    run(world, 100);
    assert_int_equal(1, sent_with(world, 0, "Water"));
    run(world, 30);
    assert_int_equal(2, sent_with(world, 0, "Water"));
}

static void in_maintenance_a_refused_trigger_pages_nobody(void **state) {
    struct world *world = *state;
    Tocsin__MaintenanceWindow window = TOCSIN__MAINTENANCE_WINDOW__INIT;
    Tocsin__MaintenanceWindowPut put = TOCSIN__MAINTENANCE_WINDOW_PUT__INIT;
    window.start_ms = world->fixture->now_ms;
    window.end_ms = window.start_ms + 3600000;
    window.service_ids = &world->service;
    window.n_service_ids = 1;
    put.window = &window;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_PUT;
    command.maintenance_window_put = &put;
    assert_int_equal(TOCSIN__STATUS__STATUS_OK, fixture_apply(world->fixture, &command)->status);
    char key[] = "flood", summary[] = "Water";
    leave_alone(world);
    run(world, 100);
    refuse(world, 3, trigger(key, summary));
    run(world, 10);
    assert_int_equal(0, sent_with(world, 0, "Water"));
}

/* Sent again while its alert is open: the incident speaks for itself, and somebody has this one. */
static void a_refused_trigger_of_an_open_alert_is_no_news(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    fixture_set_status(world->fixture, disk, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    char key[] = "disk", summary[] = "Water";
    leave_alone(world);
    run(world, 100);
    refuse(world, 3, trigger(key, summary));
    run(world, 10);
    assert_int_equal(0, sent_with(world, 0, "Water"));
}

static void who_comes_to_speak_tells_of_the_triggers_that_it_heard_of(void **state) {
    struct world *world = *state;
    char flood[] = "flood", water[] = "Water", oven[] = "oven", fire[] = "Fire";
    lead_all(world, false);
    run(world, 100);
    refuse(world, 2, trigger(flood, water));
    run(world, 2);
    assert_int_equal(1, sent_with(world, 1, "Water"));
    refuse(world, 3, trigger(oven, fire));
    run_answered(world, 2, &not_sent);
    world->nodes[1].off = true; /* it dies: of the one somebody knows, of the other nobody */
    run(world, 100);
    assert_int_equal(0, sent_with(world, 2, "Water"));
    assert_int_equal(1, sent_with(world, 2, "Fire"));
}

static void before_the_bound_a_refused_trigger_is_its_senders(void **state) {
    struct world *world = *state;
    leave_alone(world);
    run(world, 10);
    char key[] = "flood", summary[] = "Water";
    Tocsin__Event event = trigger(key, summary);
    last_gasp_refused(world->nodes[3].gasp, &event);
    run(world, 100);
    assert_int_equal(0, sent_with(world, 0, "Water"));
}

/* ---- providers */

static void what_was_not_taken_is_tried_again_what_may_have_been_is_not(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    for (unsigned i = 0; i < 97; i++) second(world);
    assert_int_equal(2, world->sent_count);
    struct answer busy = {.kind = ANSWER_RESPONSE, .status = 503, .retry_after_s = -1, .body = "", .error = ""};
    struct answer lost = {.kind = ANSWER_NO_ANSWER, .retry_after_s = -1, .body = "", .error = "timeout"};
    world->sent[0].answered = world->sent[1].answered = true;
    last_gasp_answered(world->nodes[3].gasp, world->sent[0].transfer_id, &busy);
    last_gasp_answered(world->nodes[3].gasp, world->sent[1].transfer_id, &lost);
    run(world, 60);
    assert_int_equal(3, world->sent_count);
    assert_string_equal(world->sent[0].request, world->sent[2].request);
}


/* The usual reason why a node is alone: its uplink is gone, and comes back an hour later. */
static void what_nobody_took_is_tried_until_the_way_out_is_back(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run_answered(world, 97 + 3600, &not_sent);
    size_t tried = sent_with(world, 3, "5550101");
    assert_in_range(tried, 55, 65); /* a few times soon, then each minute */
    run(world, 90);
    assert_int_equal(tried + 1, sent_with(world, 3, "5550101"));
    assert_true(sent_with(world, 3, "5550190") > 0);
    size_t all = world->sent_count;
    run(world, 3600);
    assert_int_equal(all, world->sent_count);
    heal(world);
    commit_report(world, &world->nodes[3]);
    /* Of each of three: that it was in vain at first, and that it was not. */
    assert_int_equal(6, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_LAST_GASP));
}

static void what_nobody_took_is_no_page_for_a_peer_or_after_a_restart(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    run_answered(world, 200, &not_sent);
    assert_true(sent_with(world, 1, "5550101") > 0);
    world->nodes[1].off = true; /* given its record, the peer goes on */
    run(world, 10);
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(1, sent_with(world, 2, "5550101"));
}

static void after_a_restart_what_nobody_took_is_tried_again(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run_answered(world, 200, &not_sent);
    size_t tried = sent_with(world, 3, "5550101");
    start_again(&world->nodes[3]);
    run(world, 200);
    assert_int_equal(tried + 1, sent_with(world, 3, "5550101"));
}

static void an_answer_ends_the_attempts(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run_answered(world, 200, &not_sent);
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    size_t tried = sent_with(world, 3, "5550101");
    run(world, 200);
    assert_int_equal(tried, sent_with(world, 3, "5550101"));
}

static void a_provider_says_when_and_is_not_asked_for_ever(void **state) {
    struct world *world = *state;
    struct answer later = {.kind = ANSWER_RESPONSE, .status = 429, .retry_after_s = 120, .body = "", .error = ""};
    leave_alone(world);
    run_answered(world, 97 + 110, &later);
    assert_int_equal(1, world->sent_count);
    run_answered(world, 20, &later);
    assert_int_equal(2, world->sent_count);
    run_answered(world, 4 * 3600, &later);
    assert_int_equal(LAST_GASP_REFUSALS_MAX, world->sent_count);
}

static void one_that_reaches_no_provider_lets_another_speak(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    world->nodes[3].off = true;
    world->nodes[1].sight.applied_index = 101;
    world->nodes[1].sight.reach = 0;
    run(world, 100);
    assert_int_equal(GASP_DEFERS, standing(world, 1));
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(1, sent_with(world, 2, "5550101"));
    world->nodes[1].sight.reach = REACH_SMS; /* its way out is back: nobody is told again */
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    assert_int_equal(1, sent_with(world, 0, "5550101"));
    world->nodes[1].sight.reach = world->nodes[2].sight.reach = 0; /* when nobody has one, one of them tries all the same */
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    assert_int_equal(GASP_DEFERS, standing(world, 2));
}

/* Node 1 has no Twilio, node 2 no mail: each says what it can, and nothing twice. */
static void by_each_channel_speaks_one_that_can_send_by_it(void **state) {
    struct world *world = *state;
    fixture_guardian(world->fixture, "Gus", TOCSIN__CHANNEL__CHANNEL_EMAIL, "gus@example.org");
    fixture_trigger(world->fixture, KEY, "disk");
    world->nodes[1].settings = (struct notify_settings){.smtp = {.url = "smtp://mail.example.org", .from = "pager@example.org"}};
    start_again(&world->nodes[1]);
    world->nodes[1].sight.reach = REACH_EMAIL;
    run(world, 3);
    lead_all(world, false);
    run(world, 400);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(GASP_DEFERS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 1, "gus@example.org"));
    assert_int_equal(1, sent_with(world, 2, "5550101"));
    assert_int_equal(1, sent_with(world, 2, "5550102"));
    assert_int_equal(world->sent_count, sent_with(world, 1, "gus@") + sent_with(world, 2, "555010") + sent_with(world, 2, "5550190"));
}

/* Whoever answers may send back what it was sent, and the record goes to peers, into the log and the state. */
static void no_secret_is_recorded(void **state) {
    struct world *world = *state;
    const char body[] = "{\"code\": 21211, \"message\": \"AC1:secret is wrong\"}";
    struct answer refused = {.kind = ANSWER_RESPONSE, .status = 400, .retry_after_s = -1, .body = body, .body_size_bytes = sizeof body - 1};
    leave_alone(world);
    run_answered(world, 97, &refused);
    const struct node *node = &world->nodes[3];
    assert_int_equal(1, last_gasp_status(node->gasp).items);
    assert_null(memmem(node->record, node->record_size_bytes, "secret is", 9));
    assert_non_null(memmem(node->record, node->record_size_bytes, "withheld", 8));
}

static void header_of(const struct world *world, size_t at, const char *name, char out[160]) {
    const char *start = strstr(world->sent[at].request, name);
    assert_non_null(start);
    snprintf(out, 160, "%.*s", (int)strcspn(start, "\r"), start);
}

static void when_paged(void *context, const Tocsin__Notification *notification, const char *provider, Tocsin__Outcome outcome, const char *detail) {
    (void)context, (void)notification, (void)provider, (void)outcome, (void)detail;
}

/* Mailboxes drop the second mail with an id that they have seen; a repeat of one page is to have the same. */
static void each_page_has_an_id_and_a_time_of_its_own(void **state) {
    struct world *world = *state;
    char first[160], second_one[160], repeat[160], date[160];
    struct node *node = &world->nodes[3];
    node->settings.smtp.url = "smtp://mail.example.org";
    node->settings.smtp.from = "pager@example.org";
    fixture_guardian(world->fixture, "Gus", TOCSIN__CHANNEL__CHANNEL_EMAIL, "gus@example.org");
    leave_alone(world);
    run_answered(world, 110, &not_sent);
    assert_int_equal(2, world->sent_count);
    header_of(world, 0, "Message-ID: ", first);
    header_of(world, 1, "Message-ID: ", repeat);
    header_of(world, 0, "Date: ", date);
    assert_string_equal(first, repeat);
    assert_null(strstr(date, "1970"));
    /* By hand, too. */
    Tocsin__Notification page = TOCSIN__NOTIFICATION__INIT;
    page.channel = TOCSIN__CHANNEL__CHANNEL_EMAIL;
    page.address = (char *)(uintptr_t)"gus@example.org";
    page.by_hand = true;
    for (unsigned i = 0; i < 2; i++) last_gasp_page(node->gasp, &page, when_paged, NULL);
    header_of(world, 2, "Message-ID: ", second_one);
    header_of(world, 3, "Message-ID: ", repeat);
    header_of(world, 2, "Date: ", date);
    assert_string_not_equal(first, second_one);
    assert_string_not_equal(second_one, repeat);
    assert_null(strstr(date, "1970"));
    answer_all(world, &not_sent);
}

/* ---- what becomes of it */

static void healed_the_cluster_knows_what_was_sent_and_heard(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk"), power = fixture_trigger(world->fixture, KEY, "power");
    leave_alone(world);
    run(world, 100);
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    assert_true(last_gasp_answer(world->nodes[3].gasp, power, true, &actor));
    /* The node restarts meanwhile: what it kept is on its disk. */
    last_gasp_free(world->nodes[3].gasp);
    node_begin(&world->nodes[3]);
    assert_int_equal(5, last_gasp_status(world->nodes[3].gasp).items);
    heal(world);
    fixture_deliver_all(world->fixture);
    commit_report(world, &world->nodes[3]);
    assert_int_equal(TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED, fixture_incident(world->fixture, disk)->status);
    assert_int_equal(TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED, fixture_incident(world->fixture, power)->status);
    assert_int_equal(1, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_LAST_GASP));
    assert_int_equal(1, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_ACKNOWLEDGE, TOCSIN__WHY__WHY_LAST_GASP));
    assert_int_equal(1, fixture_log_count(world->fixture, power, TOCSIN__LOG_TYPE__LOG_RESOLVE, TOCSIN__WHY__WHY_LAST_GASP));
    /* The reply is lost: reported again, it happens once. */
    last_gasp_reported(world->nodes[3].gasp, false);
    run(world, 12);
    commit_report(world, &world->nodes[3]);
    assert_int_equal(1, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_LAST_GASP));
    last_gasp_reported(world->nodes[3].gasp, true);
    run(world, 20);
    assert_null(world->nodes[3].reported);
    assert_int_equal(0, world->nodes[3].record_size_bytes);
}

/* The others had a majority all the time, and went on: an old answer does not silence a page of now. */
static void an_answer_that_comes_too_late_is_written_down_only(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 100);
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    fixture_deliver_all(world->fixture);
    run(world, 5);
    fixture_set_status(world->fixture, disk, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    run(world, 5);
    Tocsin__IncidentChange again = fixture_change_of(disk);
    again.escalation_policy_id = world->policy;
    fixture_change(world->fixture, again);
    heal(world);
    commit_report(world, &world->nodes[3]);
    assert_int_equal(TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED, fixture_incident(world->fixture, disk)->status);
    assert_int_equal(1, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_ANNOTATE, TOCSIN__WHY__WHY_LAST_GASP));
}

static void what_cannot_be_kept_is_not_promised(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 100);
    world->nodes[3].disk_full = true;
    Tocsin__Actor actor = alice(world);
    assert_false(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
}

/* A script acknowledges again and again: the first of another incident still has its place. */
static void a_repeated_answer_takes_no_room(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk"), power = fixture_trigger(world->fixture, KEY, "power");
    leave_alone(world);
    run(world, 100);
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    size_t items = last_gasp_status(world->nodes[3].gasp).items;
    for (unsigned i = 0; i < 2 * LAST_GASP_ITEMS_MAX; i++) assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    assert_int_equal(items, last_gasp_status(world->nodes[3].gasp).items);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, true, &actor)); /* that it is over is more */
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    assert_int_equal(items + 1, last_gasp_status(world->nodes[3].gasp).items);
    assert_true(last_gasp_answer(world->nodes[3].gasp, power, false, &actor));
    assert_int_equal(items + 2, last_gasp_status(world->nodes[3].gasp).items);
}

/* What was not kept the first time is not promised the second time because it is known. */
static void a_repeated_answer_is_promised_when_it_is_kept(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 100);
    Tocsin__Actor actor = alice(world);
    world->nodes[3].disk_full = true;
    assert_false(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    assert_false(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    world->nodes[3].disk_full = false;
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
}

static void a_damaged_record_is_said_and_left(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 100);
    struct node *node = &world->nodes[3];
    last_gasp_free(node->gasp);
    node->record[node->record_size_bytes - 1] ^= 1;
    node_begin(node);
    assert_int_equal(0, last_gasp_status(node->gasp).items);
    last_gasp_free(node->gasp);
    node->record_size_bytes = 5;
    node_begin(node);
    assert_int_equal(0, last_gasp_status(node->gasp).items);
}

static void count_page(void *context, const Tocsin__Notification *notification, uint64_t after_ms, const char *unusable) {
    (void)after_ms;
    assert_true(notification->degraded);
    assert_null(unusable);
    ++*(size_t *)context;
}

static void a_rehearsal_sends_nothing(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    size_t pages = 0;
    last_gasp_rehearse(world->nodes[2].gasp, count_page, &pages);
    assert_int_equal(4, pages); /* the guardian twice, Alice, Bob */
    run(world, 10);
    assert_int_equal(0, world->sent_count);
    assert_int_equal(0, last_gasp_status(world->nodes[2].gasp).items);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(nobody_speaks_before_the_bound),
        STORY(a_leader_in_between_starts_the_wait_anew),
        STORY(one_that_was_behind_stays_silent),
        STORY(one_whose_machine_has_booted_stays_silent),
        STORY(one_that_was_away_for_less_than_a_minute_knows_how_old_its_state_is),
        STORY(one_that_was_away_for_longer_stays_silent),
        STORY(one_that_heard_a_leader_through_a_peer_alone_does_not_pass_for_current),
        STORY(of_two_that_both_started_again_one_speaks),
        STORY(one_that_is_barred_stays_silent),
        STORY(one_that_slept_waits_anew_and_is_not_current),
        STORY(a_leader_that_a_peer_or_anybody_sees_keeps_all_silent),
        STORY(a_leader_is_seen_in_an_answer_that_was_cut),
        STORY(of_those_that_hear_each_other_the_furthest_speaks),
        STORY(nodes_that_hear_nobody_each_send_once),
        STORY(what_wakes_nobody_is_left_alone),
        STORY(the_next_level_hears_unless_somebody_answers),
        STORY(an_answer_to_one_silences_the_other),
        STORY(a_flood_is_capped),
        STORY(the_newest_are_told_first),
        STORY(refused_triggers_are_told_once_and_capped),
        STORY(what_pages_nobody_takes_no_place),
        STORY(a_trigger_without_a_key_of_its_own_is_known_by_its_words),
        STORY(what_rules_decided_of_a_refused_trigger_counts),
        STORY(in_maintenance_a_refused_trigger_pages_nobody),
        STORY(a_refused_trigger_of_an_open_alert_is_no_news),
        STORY(who_comes_to_speak_tells_of_the_triggers_that_it_heard_of),
        STORY(before_the_bound_a_refused_trigger_is_its_senders),
        STORY(what_was_not_taken_is_tried_again_what_may_have_been_is_not),
        STORY(what_nobody_took_is_tried_until_the_way_out_is_back),
        STORY(what_nobody_took_is_no_page_for_a_peer_or_after_a_restart),
        STORY(after_a_restart_what_nobody_took_is_tried_again),
        STORY(an_answer_ends_the_attempts),
        STORY(a_provider_says_when_and_is_not_asked_for_ever),
        STORY(one_that_reaches_no_provider_lets_another_speak),
        STORY(by_each_channel_speaks_one_that_can_send_by_it),
        STORY(no_secret_is_recorded),
        STORY(each_page_has_an_id_and_a_time_of_its_own),
        STORY(healed_the_cluster_knows_what_was_sent_and_heard),
        STORY(an_answer_that_comes_too_late_is_written_down_only),
        STORY(what_cannot_be_kept_is_not_promised),
        STORY(a_repeated_answer_takes_no_room),
        STORY(a_repeated_answer_is_promised_when_it_is_kept),
        STORY(a_damaged_record_is_said_and_left),
        STORY(a_rehearsal_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
