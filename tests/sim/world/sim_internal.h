/* Inside the simulator: what its parts share. */
#ifndef TESTS_SIM_WORLD_SIM_INTERNAL_H
#define TESTS_SIM_WORLD_SIM_INTERNAL_H

#include "node/engine/engine.h"
#include "tests/sim/clients/workload.h"
#include "tests/sim/model/model.h"
#include "tests/sim/world/disk.h"
#include "tests/sim/world/events.h"
#include "tests/sim/world/providers.h"
#include "tests/sim/world/sim.h"
#include "tests/support/decoded_rows.h"
#include "tests/support/raft_checks.h"

struct profile {
    const char *name;
    uint32_t election_timeout_ms, heartbeat_ms, minute_ms, request_wait_ms;
    uint64_t chaos_ms, calm_ms;          /* how long things go wrong; how long nothing does, afterwards */
    uint64_t pause_least_ms, pause_most_ms; /* between two things that go wrong */
    uint64_t fault_least_ms, fault_most_ms; /* how long one lasts */
    uint32_t last_gasp_after_ms;
    bool calm_work;                         /* some events an hour, not one each second */
};

/* Clocks of one node: each runs from a point of its own, at a speed of its own. */
struct node_clock {
    uint64_t since_ms;        /* true time at which the readings below were taken */
    uint64_t monotonic_ms, boottime_ms;
    int64_t wall_offset_ms;   /* wall clock less true time, then */
    int64_t drift_ppm;
};

#define ASK_HEADERS_MAX 8

struct ask;
struct transfer;

struct node {
    struct sim *sim;
    uint64_t id;
    struct config config;
    struct disk *disk;
    uint64_t boot, recovering_index; /* kept on disk */
    bool claimed;
    uint8_t *last_gasp; /* kept on disk */
    size_t last_gasp_size_bytes;
    bool joining;  /* kept on disk: not seen as a learner yet */
    uint32_t machine_version, next_version; /* of the program that runs or ran last, and of the one that is started next */
    uint64_t member_since_ms;
    bool member;   /* operators were told that it is taken in, and have not been told that it goes */
    bool leaving;  /* operators want it gone */
    bool off;      /* for good */
    bool removed;  /* kept on disk: was told so */
    bool told;     /* operators saw that it is gone */
    struct node_clock clock;

    bool up;
    bool knows_time; /* its process: it led and stamped, or somebody who knew has told it the cluster's time */
    uint64_t process; /* counts starts: what an older one began is nobody's */
    struct engine *engine;
    struct api api;
    struct ask *asks;
    uint64_t turn_ms; /* true time of the next turn that is set; UINT64_MAX: none */
    bool frozen, asleep; /* asleep: its monotonic clock stands still too */
    uint64_t frozen_until_ms, asleep_monotonic_ms;
    struct transfer *transfers; /* requests to providers, those of earlier processes included */
    uint64_t turns_in_place, last_turn_ms;
};

struct message;

/* From one node to another: a session at a time, in order within it. */
struct link {
    bool open;
    bool wanted; /* by the dialling engine */
    bool cut;
    uint64_t session, opened_ms;
    uint64_t last_arrival_ms;
    size_t queued_bytes;
    struct message *waiting, **waiting_end; /* came through, and wait for the way to be open and the receiver to move */
    uint64_t slow_ms;                   /* added to each delay */
};

#define SIM_COUNTS_MAX 256
struct sim_counter {
    const char *name;
    uint64_t times;
};

struct sim {
    uint64_t seed, random[4];
    const struct profile *profile;
    bool traced;
    uint64_t now_ms;
    struct events events;
    char violation[1024];
    struct sim_counter counts[SIM_COUNTS_MAX];
    unsigned counts_count;
    bool troubled, finished;
    char token[64]; /* the cluster's admin token */

    unsigned nodes_count, first_nodes_count;
    uint32_t newest_version, version_in_force; /* of programs; of the rules, as seen so far */
    unsigned orders; /* of operators, not carried out yet */
    struct node nodes[SIM_NODES_MAX + 1]; /* by id */
    struct link links[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1];
    struct raft_checks *checks;
    uint64_t highest_index; /* that the model has heard of */
    uint64_t leaders_seen;  /* the highest term in which one was seen */
    uint64_t led_since_ms;  /* when it was seen first */

    struct gasp_judge *gasp;
    struct providers *providers;
    struct model *model;
    struct decoded_rows *decoded; /* of the invariants */
    struct workload *workload;
};

/* ---- sim.c */
void sim_seed(struct sim *sim, uint64_t seed);
void sim_run_until(struct sim *sim, uint64_t end_ms);

/* ---- story.c */
void story_of_entry(struct sim *sim, uint64_t index, uint64_t term, struct span data, const struct machine_output *output);

/* ---- nodes.c */
void nodes_open(struct sim *sim);
void nodes_close(struct sim *sim);
void node_start(struct node *node);
/* A new one, the next after all others: it starts and waits to be taken in. */
void node_join(struct sim *sim, uint64_t id);
/* It and its disk are not seen again. */
void node_switch_off(struct node *node);
void node_stop(struct node *node, enum disk_end end);
/* It does nothing for so long, and its clocks run on; `asleep`: its monotonic clock does not. */
void node_freeze(struct node *node, uint64_t duration_ms, bool asleep);
void node_thaw(struct node *node);
/* Something happened to it: a turn follows. */
void node_wake(struct node *node);
uint64_t node_wall_ms(const struct node *node);
void node_shift_wall(struct node *node, int64_t shift_ms);
void node_set_drift(struct node *node, int64_t drift_ppm);
/* Nothing piles up beyond what clients can have caused; `at_rest`: nothing waits any more. */
void nodes_check_queues(struct sim *sim, bool at_rest);
/* The node that leads in the highest term, 0 when none does. */
uint64_t nodes_leader(struct sim *sim);

/* ---- network.c */
void network_open(struct sim *sim);
void network_close(struct sim *sim);
bool network_send(struct sim *sim, uint64_t from, uint64_t to, enum frame_type type, struct span head, struct span tail);
bool network_connected(const struct sim *sim, uint64_t from, uint64_t to);
void network_set_peers(struct sim *sim, uint64_t from, const uint64_t *ids, size_t count);
void network_node_stopped(struct sim *sim, uint64_t id);
void network_node_thawed(struct sim *sim, uint64_t id);
/* Nothing arrives from one at the other, one way. */
void network_cut(struct sim *sim, uint64_t from, uint64_t to, bool cut);
/* The connection breaks: what is under way is lost; it is made again soon. */
void network_break(struct sim *sim, uint64_t from, uint64_t to);
void network_slow(struct sim *sim, uint64_t from, uint64_t to, uint64_t slow_ms);

/* ---- growth.c */
void growth_add(struct sim *sim);
void growth_remove(struct sim *sim);
void growth_lose_disk(struct sim *sim);
/* A lost node is not replaced yet. */
bool growth_replaces(const struct sim *sim);
/* One more node gets the next version's program when it is started again: true with its number. */
bool growth_upgrade(struct sim *sim, uint64_t *upgraded);
/* Every node that takes part runs the newest program. */
bool growth_is_upgraded(const struct sim *sim);
/* The rules that a node follows: a later version than known so far must have found everybody ready. */
void growth_saw_version(struct sim *sim, uint32_t version);
void growth_check_end(struct sim *sim, uint64_t leader);

/* ---- chaos.c */
void chaos_start(struct sim *sim, uint64_t until_ms);
/* Heals everything and starts everybody. */
void chaos_end(struct sim *sim);

#endif
