/* Nodes that hear each other or do not, on one clock, without a majority: what the tests of the last gasp share. */
#ifndef TESTS_UNIT_NODE_GASP_WORLD_H
#define TESTS_UNIT_NODE_GASP_WORLD_H

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

static inline uint64_t port_boottime_ms(void *context) { return ((struct node *)context)->world->now_ms; }
static inline uint64_t port_cluster_ms(void *context) { return ((struct node *)context)->world->fixture->now_ms; }

static inline void port_look(void *context, void (*with)(void *argument, const struct machine_store *view), void *argument) {
    with(argument, &((struct node *)context)->world->fixture->store);
}

static inline void port_transfer(void *context, uint64_t transfer_id, const struct outgoing *outgoing) {
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

static inline void port_tell(void *context, struct span item) {
    struct node *node = context;
    for (unsigned id = 1; id <= NODES; id++)
        if (id != node->id && node->world->hear[node->id][id] && !node->world->nodes[id].off) last_gasp_told(node->world->nodes[id].gasp, item);
}

static inline bool port_keep(void *context, struct span record) {
    struct node *node = context;
    if (node->disk_full) return false;
    free(node->record);
    node->record = malloc(record.size_bytes + 1);
    assert_non_null(node->record);
    memcpy(node->record, record.data, record.size_bytes);
    node->record_size_bytes = record.size_bytes;
    return true;
}

static inline void port_remember(void *context, uint64_t boottime_ms) { ((struct node *)context)->remembered_ms = boottime_ms; }

static inline void port_report(void *context, const Tocsin__LastGaspReport *report, const char *key) {
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

static inline void node_begin(struct node *node) {
    struct last_gasp_ports ports = {.context = node, .boottime_ms = port_boottime_ms, .cluster_ms = port_cluster_ms, .look = port_look,
                                    .transfer = port_transfer, .tell = port_tell, .keep = port_keep, .report = port_report,
                                    .remember = port_remember};
    struct last_gasp_options options = {.id = node->id, .after_ms = AFTER_MS, .settings = &node->settings,
                                        .record = {node->record, node->record_size_bytes}, .remembered_ms = node->remembered_ms};
    node->gasp = last_gasp_new(&options, &ports);
}

static inline void say(const struct node *from, struct node *to) {
    struct gasp_said said = {.leader = from->sight.leader, .may_speak = last_gasp_may_speak(from->gasp), .applied_index = from->sight.applied_index,
                             .reach = from->sight.reach};
    last_gasp_heard(to->gasp, from->id, &said);
}

/* A second for everybody who is on: peers say what they are, then each has its turn. */
static inline void second(struct world *world) {
    world->now_ms += 1000;
    world->fixture->now_ms += 1000;
    for (unsigned from = 1; from <= NODES; from++)
        for (unsigned to = 1; to <= NODES; to++)
            if (from != to && world->hear[from][to] && !world->nodes[from].off && !world->nodes[to].off) say(&world->nodes[from], &world->nodes[to]);
    for (unsigned id = 1; id <= NODES; id++)
        if (!world->nodes[id].off) (void)last_gasp_turn(world->nodes[id].gasp, &world->nodes[id].sight);
}

static inline void answer_all(struct world *world, const struct answer *answer) {
    for (size_t i = 0; i < world->sent_count; i++) {
        if (world->sent[i].answered) continue;
        world->sent[i].answered = true;
        last_gasp_answered(world->nodes[world->sent[i].by].gasp, world->sent[i].transfer_id, answer);
    }
}

static const struct answer not_sent = {.kind = ANSWER_NOT_SENT, .retry_after_s = -1, .body = "", .error = "the name could not be resolved"};

/* Providers answer everything in the same way. */
static inline void run_answered(struct world *world, unsigned seconds, const struct answer *answer) {
    for (unsigned i = 0; i < seconds; i++) {
        second(world);
        answer_all(world, answer);
    }
}

/* They take everything. */
static inline void run(struct world *world, unsigned seconds) {
    struct answer taken = {.kind = ANSWER_RESPONSE, .status = 201, .retry_after_s = -1, .body = "{\"sid\": \"SM1\"}", .body_size_bytes = 14};
    run_answered(world, seconds, &taken);
}

static inline void lead_all(struct world *world, bool leader) {
    for (unsigned id = 1; id <= NODES; id++) world->nodes[id].sight.leader = world->nodes[id].sight.current = leader;
}

static inline void hear_all(struct world *world, bool hear) {
    for (unsigned a = 1; a <= NODES; a++)
        for (unsigned b = 1; b <= NODES; b++) world->hear[a][b] = hear;
}

/* Given Alice, then Bob after five minutes, a guardian, an incident that nobody has acknowledged, and a cluster that is well. */
static inline int set_up(void **state) {
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

static inline int tear_down(void **state) {
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
static inline size_t sent_with(const struct world *world, uint64_t by, const char *text) {
    size_t count = 0;
    for (size_t i = 0; i < world->sent_count; i++) count += (by == 0 || world->sent[i].by == by) && strstr(world->sent[i].request, text) != NULL;
    return count;
}

static inline enum gasp_standing standing(const struct world *world, uint64_t id) { return last_gasp_status(world->nodes[id].gasp).standing; }

/* Node 3 is left alone with the state of the last moment. */
static inline void leave_alone(struct world *world) {
    world->nodes[1].off = world->nodes[2].off = true;
    lead_all(world, false);
}

static inline Tocsin__Actor alice(const struct world *world) {
    Tocsin__Actor actor = TOCSIN__ACTOR__INIT;
    actor.kind = TOCSIN__ACTOR_KIND__ACTOR_USER;
    actor.id = world->alice;
    actor.name = (char *)(uintptr_t)"Alice";
    return actor;
}

static inline void heal(struct world *world) {
    world->nodes[1].off = world->nodes[2].off = false;
    lead_all(world, true);
    run(world, 2);
}

static inline void start_again(struct node *node) {
    last_gasp_free(node->gasp);
    node_begin(node);
}

/* As the log would: the command, its reply, and what the reporter hears. */
static inline void commit_report(struct world *world, struct node *node) {
    assert_non_null(node->reported);
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_LAST_GASP_REPORT;
    command.last_gasp_report = node->reported;
    command.idempotency_key = node->report_key;
    assert_int_equal(TOCSIN__STATUS__STATUS_OK, fixture_apply(world->fixture, &command)->status);
    tocsin__last_gasp_report__free_unpacked(node->reported, NULL);
    node->reported = NULL;
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
