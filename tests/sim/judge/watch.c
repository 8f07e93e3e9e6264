/* See watch.h. */
#include "tests/sim/judge/watch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/world/disk_internal.h"
#include "tests/sim/world/sim_internal.h"

#define LOOK_MS 500u
/* Within which a leader takes up what is due. */
#define HANDLED_MS 5000u
/* A claim's validity, one attempt, and time for the receipt; before the claim lapses. */
#define ENDED_MS (CLAIM_VALID_MS + ATTEMPT_DEADLINE_MS + 2000u)
/* One transfer, and the clock of the node may run slow. */
#define TRANSFERS 2u
/* Readings of two leaders: the later one may have seen the last stamp later than it was made, never earlier. */
#define AHEAD_MS 15000u
/* A node tells the time when a connection is made, and then each second. */
#define TELLING_MS 50u
/* Walls that come to agree move it at once by as much as they may have since the last stamp, some minutes ago. */
#define SLEW_MS 5000

_Static_assert(ENDED_MS + LOOK_MS < CLAIM_LAPSE_MS, "a claim that lies must be seen before it lapses");

struct watch {
    struct sim *sim;
    struct reading {
        uint64_t node, process, term; /* whose; node 0: none yet */
        uint64_t true_ms, cluster_ms;
        uint64_t processes[SIM_NODES_MAX + 1]; /* that ran then and knew cluster time; 0: none */
    } last;
    uint64_t since_ms; /* the node of the last reading leads since then, and moves */
    uint64_t transferring_since_ms; /* it lets another one lead; UINT64_MAX: it does not */
    struct recovery {
        uint64_t process, term; /* 0: whole; the term in which it was seen to recover */
    } recoveries[SIM_NODES_MAX + 1];
};

/* The leader of the highest term, once it has taken up its duties; NULL when there is none. */
static struct node *on_duty(struct sim *sim, struct engine_status *status) {
    uint64_t id = nodes_leader(sim);
    if (id == 0) return NULL;
    struct node *node = &sim->nodes[id];
    *status = engine_status(node->engine);
    return !node->frozen && status->duties_term == status->driver.term ? node : NULL;
}

/* ---- one clock */

/* Somebody knew cluster time at the last reading, knows it still, and had a way to the node that leads now before that led. Who is to
 * go, or is gone, may not be heard any more. */
static bool somebody_tells(const struct sim *sim, const struct reading *last, const struct reading *now) {
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        const struct link *link = &sim->links[id][now->node];
        bool knows = id != now->node && last->processes[id] == now->processes[id] && now->processes[id] != 0;
        bool told = link->open && !link->cut && link->slow_ms == 0 && link->opened_ms + TELLING_MS < sim->led_since_ms;
        if (knows && sim->nodes[id].member && !sim->nodes[id].leaving && !sim->nodes[id].frozen && told) return true;
    }
    return false;
}

/* Wall clocks may slew it by half a percent since the last stamp, and nodes drift. */
static void check_clock(struct sim *sim, const struct reading *last, const struct reading *now) {
    int64_t passed_ms = (int64_t)(now->true_ms - last->true_ms), ran_ms = (int64_t)(now->cluster_ms - last->cluster_ms);
    int64_t allowed_ms = passed_ms / 100 + SLEW_MS;
    bool stayed = last->processes[now->node] == now->process;
    bool same = stayed && last->processes[now->node] != 0 && now->node == last->node && now->term == last->term;
    if (same && (ran_ms < passed_ms - allowed_ms || ran_ms > passed_ms + allowed_ms))
        sim_violation(sim, "cluster time ran %" PRId64 " ms in %" PRId64 " ms while node %" PRIu64 " led", ran_ms, passed_ms, now->node);
    int64_t limit_ms = passed_ms + allowed_ms + (int64_t)AHEAD_MS;
    if (!same && (stayed || somebody_tells(sim, last, now)) && ran_ms > limit_ms)
        sim_violation(sim, "cluster time ran %" PRId64 " ms in %" PRId64 " ms from leader %" PRIu64 " to leader %" PRIu64, ran_ms, passed_ms,
                      last->node, now->node);
}

/* ---- what is due, what is claimed */

static void check_deadlines(struct sim *sim, const struct node *node, const struct machine_store *view, uint64_t cluster_ms) {
    uint64_t due_ms = machine_next_deadline_ms(view);
    if (due_ms < UINT64_MAX - HANDLED_MS && due_ms + HANDLED_MS < cluster_ms)
        sim_violation(sim, "something is due for %" PRIu64 " ms, and node %" PRIu64 ", which leads, does nothing", cluster_ms - due_ms, node->id);
}

static bool dispatcher_waits_for_room(const struct node *node) {
    json_t *cluster = node->api.ports.cluster(node->api.ports.context);
    bool waits = json_integer_value(json_object_get(json_object_get(cluster, "notifications"), "waiting")) > 0;
    json_decref(cluster);
    return waits;
}

static void check_claims(struct sim *sim, const struct node *node, const struct machine_store *view, uint64_t term, uint64_t cluster_ms) {
    struct walk walk = walk_all(view, TABLE_OUTBOX);
    while (walk_next(&walk)) {
        Tocsin__Notification *notification = record_unpack(&tocsin__notification__descriptor, walk.value, NULL);
        if (notification == NULL) abort();
        bool own = notification->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED && notification->claim_node == node->id &&
                   notification->claim_boot == node->boot && notification->claim_term == term;
        /* Its deadline is the claim's lapse. */
        if (own && cluster_ms + CLAIM_LAPSE_MS > notification->due_at_ms + ENDED_MS && !dispatcher_waits_for_room(node))
            sim_violation(sim, "incident %" PRIu64 ": notification %" PRIu64 " is claimed by node %" PRIu64 ", which leads and does nothing about it",
                          notification->incident_number, notification->id, node->id);
        tocsin__notification__free_unpacked(notification, NULL);
    }
}

/* ---- who lets another one lead */

/* Proposes nothing meanwhile, and that has an end: the other one leads, or an election's timeout has passed. */
static bool is_transferring(struct watch *watch, const struct engine_status *status, bool same) {
    struct sim *sim = watch->sim;
    if (!same || !status->driver.transferring) watch->transferring_since_ms = UINT64_MAX;
    if (!status->driver.transferring) return false;
    if (watch->transferring_since_ms == UINT64_MAX) watch->transferring_since_ms = sim->now_ms;
    uint64_t passed_ms = sim->now_ms - watch->transferring_since_ms;
    if (passed_ms > TRANSFERS * (uint64_t)sim->profile->election_timeout_ms + LOOK_MS)
        sim_violation(sim, "a leader lets another node lead for %" PRIu64 " ms, and proposes nothing", passed_ms);
    return true;
}

/* ---- who lost what it had acknowledged */

/* Until its state covers that again it must not help to elect anyone. */
static void check_recovering(struct sim *sim, struct recovery *recovery, const struct node *node) {
    if (!node->up || node->recovering_index == 0) {
        *recovery = (struct recovery){0};
        return;
    }
    const struct log_bounds *vote = &node->disk->bounds;
    if (recovery->process == 0) *recovery = (struct recovery){node->process, vote->term};
    if (vote->voted_for != 0 && vote->term > recovery->term)
        sim_violation(sim, "node %" PRIu64 " has lost entries that it had acknowledged, and votes in term %" PRIu64, node->id, (uint64_t)vote->term);
}

static void look(void *context) {
    struct watch *watch = context;
    struct sim *sim = watch->sim;
    for (unsigned id = 1; id <= sim->nodes_count; id++) check_recovering(sim, &watch->recoveries[id], &sim->nodes[id]);
    sim_at(sim, sim->now_ms + LOOK_MS, look, watch);
    struct engine_status status;
    struct node *node = on_duty(sim, &status);
    if (node == NULL) {
        watch->since_ms = watch->transferring_since_ms = UINT64_MAX;
        return;
    }
    struct reading now = {.node = node->id, .process = node->process, .term = status.driver.term, .true_ms = sim->now_ms,
                          .cluster_ms = engine_cluster_ms(node->engine)};
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        if (sim->nodes[id].up && sim->nodes[id].knows_time) now.processes[id] = sim->nodes[id].process;
    }
    bool same = watch->last.process == now.process && watch->last.node == now.node && watch->last.term == now.term;
    if (watch->last.node != 0) check_clock(sim, &watch->last, &now);
    watch->last = now;
    if (is_transferring(watch, &status, same) || !same || watch->since_ms == UINT64_MAX) watch->since_ms = sim->now_ms;
    /* With something in flight it may be waiting for the others. */
    bool idle = status.driver.inflight_entries == 0 && status.applied_index == status.driver.commit_index;
    if (!idle || sim->now_ms - watch->since_ms < HANDLED_MS) return;
    uint64_t applied_index;
    struct machine_store view = rows_view(disk_applied(node->disk, &applied_index));
    check_deadlines(sim, node, &view, now.cluster_ms);
    check_claims(sim, node, &view, now.term, now.cluster_ms);
}

void watch_start(struct sim *sim) {
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) abort();
    *watch = (struct watch){.sim = sim, .since_ms = UINT64_MAX, .transferring_since_ms = UINT64_MAX};
    sim_at(sim, sim->now_ms + LOOK_MS, look, watch); /* as long as the run: its memory is the process's */
}

/* ---- reasons */

/* A level is left in the instant in which it is entered only because nobody there can be told, or somebody wants it so. */
static bool is_left_at_once(const Tocsin__LogEntry *entry) {
    return entry->why == TOCSIN__WHY__WHY_NOBODY_ON_LEVEL || entry->why == TOCSIN__WHY__WHY_REQUEST ||
           entry->why == TOCSIN__WHY__WHY_USER_DELETED || entry->why == TOCSIN__WHY__WHY_LOW_URGENCY;
}

void watch_finish(struct sim *sim) {
    uint64_t applied_index, incident_id = 0, assigned_ms = 0;
    struct machine_store view = rows_view(disk_applied(sim->nodes[nodes_leader(sim)].disk, &applied_index));
    struct walk walk = walk_all(&view, TABLE_LOG_ENTRY);
    while (walk_next(&walk)) {
        Tocsin__LogEntry *entry = record_unpack(&tocsin__log_entry__descriptor, walk.value, NULL);
        if (entry == NULL) abort();
        bool escalates = entry->type == TOCSIN__LOG_TYPE__LOG_ESCALATE;
        bool at_once = entry->incident_id == incident_id && entry->at_ms == assigned_ms;
        if (escalates && at_once && !is_left_at_once(entry))
            sim_violation(sim, "the timeline of incident id %" PRIu64 " gives no reason for passing over a level: %s", entry->incident_id, entry->text);
        if (escalates || entry->type == TOCSIN__LOG_TYPE__LOG_ASSIGN) {
            incident_id = entry->incident_id;
            assigned_ms = entry->at_ms;
        }
        tocsin__log_entry__free_unpacked(entry, NULL);
    }
}
