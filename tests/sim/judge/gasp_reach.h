/*
 * When a node can be held to know a leader: not at the moment when one comes into reach, but when one has been there for long enough.
 *
 *     out of reach ── in reach: since_ms ── GASP_SEEN_MS and the way's own delay ── known_ms, as long as it lasts ── out of reach
 */
#ifndef TESTS_SIM_JUDGE_GASP_REACH_H
#define TESTS_SIM_JUDGE_GASP_REACH_H

#include <stdbool.h>
#include <stdint.h>

/* A node may take so long to see what is true: looks, clocks that are told every second, timeouts of elections. */
#define GASP_SEEN_MS 2500u

/* From a leader to the node. */
struct gasp_way {
    bool open;
    uint64_t lag_ms; /* what is sent now arrives after so long */
};

struct gasp_reach {
    uint64_t since_ms; /* 0: out of reach */
    uint64_t known_ms; /* when the node was last held to know; 0: never */
};

static inline void gasp_reach_look(struct gasp_reach *reach, struct gasp_way way, uint64_t now_ms) {
    if (!way.open) {
        reach->since_ms = 0;
        return;
    }
    if (reach->since_ms == 0) reach->since_ms = now_ms;
    if (now_ms - reach->since_ms >= GASP_SEEN_MS + way.lag_ms) reach->known_ms = now_ms;
}

/* A page of its own is too early: a leader was known less than the bound ago, however slowly its loss was seen. */
static inline bool gasp_reach_forbids(const struct gasp_reach *reach, uint64_t now_ms, uint64_t after_ms) {
    return now_ms - reach->known_ms + GASP_SEEN_MS < after_ms;
}

#endif
