/*
 * Cluster time: what the leader stamps on entries, in milliseconds since the Unix epoch.
 *
 * It never goes backwards, and one wrong wall clock neither fires nor freezes anything: time runs on from the last
 * stamp by the monotonic clock of whichever node leads. Every node notes when (CLOCK_BOOTTIME) it saw a stamp arrive
 * live. Wall clocks only slew it, at CLUSTER_CLOCK_SLEW_PPM, towards the median of the members' clocks while a majority
 * of members agree within CLUSTER_CLOCK_AGREEMENT_MS; a node that has seen no live stamp since it started (all have
 * restarted) sets it to that median, or its own wall clock while it knows no other, but never below the last stamp.
 *
 * Pure: time comes in as arguments.
 */
#ifndef CONSENSUS_CLUSTER_CLOCK_H
#define CONSENSUS_CLUSTER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLUSTER_CLOCK_SLEW_PPM 5000
#define CLUSTER_CLOCK_AGREEMENT_MS 1000
#define CLUSTER_CLOCK_PEERS_MAX 16
#define CLUSTER_CLOCK_OPINION_MS 10000 /* a peer's report counts this long */
#define CLUSTER_CLOCK_WALL_MS_MAX 253402300799999u /* the year 9999: a report beyond it is none */

struct cluster_clock {
    uint64_t self;
    unsigned members; /* voters, this node included */
    uint64_t last_stamp_ms;    /* the highest known, live or not: the floor */
    bool seen_live;            /* a stamp arrived live since this start */
    uint64_t seen_stamp_ms;    /* the last that did */
    uint64_t seen_boottime_ms; /* when */
    uint64_t slew_fraction;    /* of a millisecond, in millionths: allowed, and too little to be taken yet */
    struct {
        uint64_t id;
        uint64_t wall_ms;  /* the peer's wall clock in its last report */
        int64_t offset_ms; /* the peer's wall clock less ours, when its report arrived */
        uint64_t at_boottime_ms;
    } peers[CLUSTER_CLOCK_PEERS_MAX];
    unsigned peers_count;
};

void cluster_clock_init(struct cluster_clock *clock, uint64_t self, unsigned members);
void cluster_clock_set_members(struct cluster_clock *clock, unsigned members);

/* The last stamp in the state at the start: a floor, not a live sighting. */
void cluster_clock_floor(struct cluster_clock *clock, uint64_t stamp_ms);

/*
 * An entry with this stamp arrived live (was appended here while following, or stamped here while leading). Only
 * entries of the leader's own term are: what it sends of older terms may have been stamped hours ago. A stamp no later
 * than the last one seen is passed over.
 */
void cluster_clock_saw(struct cluster_clock *clock, uint64_t stamp_ms, uint64_t boottime_ms);

/* A peer reported its wall clock. */
void cluster_clock_peer(struct cluster_clock *clock, uint64_t peer, uint64_t peer_wall_ms, uint64_t wall_ms,
                        uint64_t boottime_ms);

/* The stamp for an entry proposed now; also notes it as seen. */
uint64_t cluster_clock_stamp(struct cluster_clock *clock, uint64_t wall_ms, uint64_t boottime_ms);
/* What it would be, without noting it: to know whether a deadline is due. */
uint64_t cluster_clock_now(const struct cluster_clock *clock, uint64_t wall_ms, uint64_t boottime_ms);

/* The offset last reported by a peer; false when it is unknown or too old. */
bool cluster_clock_offset(const struct cluster_clock *clock, uint64_t peer, uint64_t boottime_ms, int64_t *offset_ms);
/* True while a majority agrees. */
bool cluster_clock_agreed(const struct cluster_clock *clock, uint64_t boottime_ms);

#endif
