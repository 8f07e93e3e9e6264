/*
 * Operators who let the cluster grow and shrink while things go wrong, replace nodes whose disks were lost, and upgrade them one by one.
 *
 *     an order: asked of any node over HTTP until it is taken (202), and after it until the list shows that a removed node is gone
 *
 * A number is never given twice; a node that is gone is switched off for good, or left running: then it must be told.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/members.h"
#include "tests/sim/world/sim_internal.h"

#define ASK_AGAIN_LEAST_MS 300u
#define ASK_AGAIN_MOST_MS 3000u
#define MEMBERS_MOST 7u
#define MEMBERS_LEAST 3u
/* The rules of a version are noticed by looking now and then: who was taken in after they were raised is not meant. */
#define JUST_NOW_MS 3000u

enum order_kind { ORDER_ADD, ORDER_REMOVE, ORDER_WATCH };

struct order {
    struct sim *sim;
    enum order_kind kind;
    uint64_t id;
    uint64_t replaced; /* ordered out once this one is in; 0: none */
    bool may_be_refused;
};

static void give_order(void *context);

static void again(struct order *order) {
    struct sim *sim = order->sim;
    sim_at(sim, sim->now_ms + sim_between(sim, ASK_AGAIN_LEAST_MS, ASK_AGAIN_MOST_MS), give_order, order);
}

static void begin(struct sim *sim, struct order fields) {
    struct order *order = malloc(sizeof *order);
    if (order == NULL) abort();
    *order = fields;
    order->sim = sim;
    sim->orders++;
    sim_at(sim, sim->now_ms, give_order, order);
}

static void end(struct order *order) {
    order->sim->orders--;
    free(order);
}

/* ---- answers */

static bool is_stale(const struct sim_answer *answer) {
    for (const char *const *header = answer->headers; *header != NULL; header++)
        if (strncmp(*header, "Tocsin-Stale", 12) == 0) return true;
    return false;
}

static bool lists(const struct sim_answer *answer, uint64_t id) {
    json_t *body = json_loads(answer->body, 0, NULL), *member;
    size_t i;
    bool found = body == NULL; /* no list at all says nothing */
    json_array_foreach(json_object_get(body, "members"), i, member) {
        found = found || (uint64_t)json_integer_value(json_object_get(member, "id")) == id;
    }
    json_decref(body);
    return found;
}

static void is_gone(struct order *order) {
    struct sim *sim = order->sim;
    struct node *node = &sim->nodes[order->id];
    sim_tell(sim, "node %" PRIu64 " is gone", order->id);
    sim_count(sim, "nodes removed", 1);
    node->told = true;
    if (!node->off && sim_chance(sim, 500)) node_switch_off(node);
    end(order);
}

static void added(struct order *order) {
    struct sim *sim = order->sim;
    sim->nodes[order->id].member = true;
    sim->nodes[order->id].member_since_ms = sim->now_ms;
    if (order->replaced != 0) begin(sim, (struct order){.kind = ORDER_REMOVE, .id = order->replaced});
    end(order);
}

static void watch(struct order *order) {
    order->sim->nodes[order->id].member = false;
    order->kind = ORDER_WATCH;
    again(order);
}

static void refused(struct order *order, const struct sim_answer *answer) {
    struct sim *sim = order->sim;
    if (order->kind == ORDER_REMOVE && answer->status == 404) { /* asked twice, and done already */
        watch(order);
        return;
    }
    bool full = strstr(answer->body, "There cannot be more") != NULL;
    bool for_now = full || strstr(answer->body, "try again") != NULL || (strstr(answer->body, "Fewer than") != NULL && !order->may_be_refused);
    if (full && order->replaced != 0) { /* another one was taken in meanwhile: then the lost one makes room first */
        begin(sim, (struct order){.kind = ORDER_REMOVE, .id = order->replaced});
        order->replaced = 0;
    }
    if (for_now) {
        again(order);
        return;
    }
    if (!order->may_be_refused)
        sim_violation(sim, "an operator's order about node %" PRIu64 " is refused with %u: %.200s", order->id, answer->status, answer->body);
    sim->nodes[order->id].leaving = false;
    end(order);
}

static void on_answer(void *context, const struct sim_answer *answer) {
    struct order *order = context;
    if (answer->status == 0 || answer->status >= 500 || answer->status == 401 || is_stale(answer)) {
        again(order);
    } else if (order->kind == ORDER_WATCH) {
        if (answer->status == 200 && !lists(answer, order->id)) is_gone(order);
        else again(order);
    } else if (answer->status != 202) {
        refused(order, answer);
    } else if (order->kind == ORDER_ADD) {
        added(order);
    } else {
        watch(order);
    }
}

static void give_order(void *context) {
    static const char *const methods[] = {[ORDER_ADD] = "POST", [ORDER_REMOVE] = "DELETE", [ORDER_WATCH] = "GET"};
    struct order *order = context;
    struct sim *sim = order->sim;
    char target[64] = "/cluster/members", body[96];
    if (order->kind == ORDER_REMOVE) snprintf(target, sizeof target, "/cluster/members/%" PRIu64, order->id);
    snprintf(body, sizeof body, "{\"id\": %" PRIu64 ", \"address\": \"node-%" PRIu64 ":7000\"}", order->id, order->id);
    sim_ask_with(sim, 1 + sim_random(sim, sim->nodes_count), methods[order->kind], target, NULL, order->kind == ORDER_ADD ? body : NULL, on_answer,
                 order);
}

/* ---- what operators do */

/* As they are to be when all orders have been carried out. */
static unsigned members_to_be(const struct sim *sim) {
    unsigned count = 0;
    for (unsigned id = 1; id <= sim->nodes_count; id++) count += !sim->nodes[id].leaving;
    return count;
}

static uint64_t some_member(struct sim *sim) {
    uint64_t id = 1 + sim_random(sim, sim->nodes_count);
    const struct node *node = &sim->nodes[id];
    return node->member && !node->leaving ? id : 0;
}

static bool can_grow(const struct sim *sim) { return sim->nodes_count < SIM_NODES_MAX && members_to_be(sim) < MEMBERS_MOST; }

static uint64_t new_node(struct sim *sim) {
    uint64_t id = sim->nodes_count + 1;
    sim_tell(sim, "node %" PRIu64 " is new", id);
    node_join(sim, id);
    return id;
}

void growth_add(struct sim *sim) {
    if (!can_grow(sim)) return;
    sim_count(sim, "nodes added", 1);
    begin(sim, (struct order){.kind = ORDER_ADD, .id = new_node(sim)});
}

void growth_remove(struct sim *sim) {
    uint64_t leader = nodes_leader(sim), id = leader != 0 && sim_chance(sim, 400) ? leader : some_member(sim);
    if (id == 0 || !sim->nodes[id].member || sim->nodes[id].leaving || members_to_be(sim) <= MEMBERS_LEAST) return;
    sim_tell(sim, "node %" PRIu64 " is to go", id);
    sim->nodes[id].leaving = true;
    begin(sim, (struct order){.kind = ORDER_REMOVE, .id = id, .may_be_refused = true});
}

/* One at a time: a majority's disks must not be lost. */
bool growth_replaces(const struct sim *sim) {
    for (unsigned id = 1; id <= sim->nodes_count; id++)
        if (sim->nodes[id].off && !sim->nodes[id].told) return true;
    return false;
}

void growth_lose_disk(struct sim *sim) {
    uint64_t id = some_member(sim);
    if (id == 0 || growth_replaces(sim) || sim->nodes_count == SIM_NODES_MAX) return;
    sim_count(sim, "disks lost", 1);
    sim_tell(sim, "the disk of node %" PRIu64 " is lost", id);
    node_switch_off(&sim->nodes[id]);
    bool full = members_to_be(sim) == MEMBERS_MOST;
    sim->nodes[id].leaving = true;
    if (full) begin(sim, (struct order){.kind = ORDER_REMOVE, .id = id});
    else begin(sim, (struct order){.kind = ORDER_ADD, .id = new_node(sim), .replaced = id});
}

/* ---- upgrades */

bool growth_upgrade(struct sim *sim, uint64_t *upgraded) {
    uint64_t id = some_member(sim);
    struct node *node = &sim->nodes[id];
    if (id == 0 || node->next_version > MACHINE_VERSION) return false;
    if (sim->newest_version == MACHINE_VERSION) sim_tell(sim, "upgrades begin");
    sim->newest_version = node->next_version = MACHINE_VERSION + 1;
    sim_count(sim, "nodes upgraded", 1);
    sim_tell(sim, "node %" PRIu64 " is upgraded", id);
    *upgraded = id;
    return true;
}

bool growth_is_upgraded(const struct sim *sim) {
    for (unsigned id = 1; id <= sim->nodes_count; id++)
        if (sim->nodes[id].member && !sim->nodes[id].off && sim->nodes[id].machine_version < sim->newest_version) return false;
    return true;
}

void growth_saw_version(struct sim *sim, uint32_t version) {
    if (version <= sim->version_in_force) return;
    sim_tell(sim, "the rules of version %u are in force", version);
    sim_count(sim, "versions raised", 1);
    sim->version_in_force = version;
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        const struct node *node = &sim->nodes[id];
        bool counts = node->member && !node->leaving && !node->off && sim->now_ms - node->member_since_ms > JUST_NOW_MS;
        if (counts && node->machine_version < version)
            sim_violation(sim, "the rules of version %u came into force, and node %u follows version %u", version, id, node->machine_version);
    }
}

/* ---- the end */

/* It lost its state, with the members in it, and those of its configuration file are gone: it finds nobody, and nobody looks for it. */
static bool knows_nobody(const struct sim *sim, const struct node *node) {
    for (unsigned id = 1; id <= sim->first_nodes_count; id++)
        if (sim->nodes[id].member) return false;
    return node->recovering_index != 0;
}

static void check_member(struct sim *sim, const struct node *node, const struct raft_configuration *configuration) {
    const struct raft_server *server = members_find(configuration, node->id);
    if (node->member && (server == NULL || server->role != RAFT_VOTER))
        sim_violation(sim, "everything is whole, and node %" PRIu64 ", which was added, does not vote", node->id);
    if (!node->member && server != NULL) sim_violation(sim, "everything is whole, and node %" PRIu64 ", which was removed, is a member", node->id);
    if (node->member || !node->up || knows_nobody(sim, node)) return;
    const char *failure = engine_status(node->engine).failure;
    if (failure == NULL || strstr(failure, "was removed") == NULL)
        sim_violation(sim, "everything is whole, and node %" PRIu64 " has not been told that it was removed", node->id);
}

void growth_check_end(struct sim *sim, uint64_t leader) {
    if (sim->orders > 0) {
        sim_violation(sim, "everything is whole, and %u orders of operators are not carried out", sim->orders);
        return;
    }
    if (sim->version_in_force != sim->newest_version && growth_is_upgraded(sim))
        sim_violation(sim, "everything is whole, every node follows version %u, and version %u is in force", sim->newest_version, sim->version_in_force);
    const struct raft_configuration *configuration = engine_configuration(sim->nodes[leader].engine);
    for (unsigned id = 1; id <= sim->nodes_count; id++) check_member(sim, &sim->nodes[id], configuration);
}
