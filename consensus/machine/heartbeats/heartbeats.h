/*
 * Inside the machine: heartbeats, their silence, and the cluster's own blindness.
 *
 *     apply_ping ──> quick_ping             one that is up goes on: writes "last ping" alone
 *                └──> HeartbeatState         all else; neither moves a deadline that is early enough
 *     pulse.c ──> heartbeats_due ──> still alive by its last ping? filed again : down ──> event.c (incident, pages)
 *     each entry ──> blindness_look         a gap since the last entry: blind time, which no heartbeat is charged for
 *
 * When a heartbeat is judged, with L its last ping:
 *
 *     goes down at  L + period + grace + blind time since L
 *
 * Blind time of short gaps (a leader was lost; requests survived by waiting) counts up to one grace, so that flapping
 * leaders cannot hide a dead job. An outage counts in full. When a ping was due during an outage, and the grace is less
 * than two periods, the job may have tried in vain, and it is judged by its next occurrence after the outage: at most
 * period and grace after it.
 *
 * A single node that is cut off is a short gap for whoever was not heard since: it may know no other address.
 *
 * With a schedule the moments at which a ping is expected are data (HeartbeatMoments): a ping sets the next one, and what
 * an outage overlaps, from that moment to the end of its grace, is told and judged by the first moment after the outage.
 */
#ifndef CONSENSUS_MACHINE_HEARTBEATS_HEARTBEATS_H
#define CONSENSUS_MACHINE_HEARTBEATS_HEARTBEATS_H

#include "consensus/machine/apply.h"

/* ---- heartbeat_due.c */

/* There are heartbeats, or alerts that end when they are not sent again: then the leader ticks. */
bool signs_awaited(const struct machine_store *);

/* When it goes down if nothing is heard of it, as far as blindness is known by now; 0: never as it stands. */
uint64_t heartbeat_goes_down_ms(struct apply *, const Tocsin__Heartbeat *, const Tocsin__HeartbeatState *);

/* Makes sure that it is looked at no later than it goes down; a row that is filed too early stays. Changes the state
 * in memory only, as the next three do. */
void heartbeat_file(struct apply *, const Tocsin__Heartbeat *, Tocsin__HeartbeatState *);
/* Down, and told to nobody, because its service was disabled or is another now: it is told by the next pulse. */
void heartbeat_tell_if_untold(struct apply *, const Tocsin__Heartbeat *, Tocsin__HeartbeatState *);
/* Takes its row away. */
void heartbeat_unfile(struct apply *, const Tocsin__Heartbeat *, Tocsin__HeartbeatState *);

/* Down since `at_ms`: its incident opens, or is triggered again. False, with the reply refused and nothing changed,
 * when it cannot. */
bool heartbeat_down(struct apply *, const Tocsin__Heartbeat *, Tocsin__HeartbeatState *, uint64_t at_ms, Tocsin__Why,
                    const char *summary, Tocsin__Reply *);
/* Its open incident is over. */
void heartbeat_over(struct apply *, const Tocsin__Heartbeat *, Tocsin__Why);
void heartbeat_flip(struct apply *, const Tocsin__Heartbeat *, Tocsin__HeartbeatState *, uint64_t at_ms, bool up);

/* The service is enabled again: its heartbeats that went down meanwhile are told, LIMIT_PULSE_HEARTBEATS looked at now, and the
 * others by DEADLINE_HEARTBEATS_UNTOLD. */
void heartbeats_service_enabled(struct apply *, uint64_t service_id);
void heartbeats_untold_due(struct apply *, uint64_t service_id, const Tocsin__Deadline *);

/* How people are told of it: by name, or by its id when it has none. */
const char *heartbeat_name(struct apply *, const Tocsin__Heartbeat *);

/* quick_pings.c */
void heartbeat_state_put(struct apply *, const Tocsin__Heartbeat *, const Tocsin__HeartbeatState *);

/* Looks at heartbeats that are due, at most LIMIT_PULSE_HEARTBEATS, and lets at most `left` go down; answers what is
 * left of that: 0, too, when more may be due. */
uint32_t heartbeats_due(struct apply *, uint32_t left);

/* ---- heartbeat_schedule.c */

bool heartbeat_has_schedule(const Tocsin__Heartbeat *);
/* The moments that came with a definition or the leader; false, with the reply refused, when they are none. */
bool heartbeat_moments_check(struct apply *, Tocsin__Reply *, const uint64_t *moments_s, size_t count);
void heartbeat_moments_put(struct apply *, uint64_t id, const uint64_t *moments_s, size_t count);
void heartbeat_moments_delete(struct apply *, uint64_t id);

/* The next ping of one that is up is expected at its next moment. Changes the state in memory only. */
void heartbeat_expect(struct apply *, const Tocsin__Heartbeat *, Tocsin__HeartbeatState *);
/* When the expected moment is judged; while it is not known, when to look again. */
uint64_t heartbeat_moment_judged_ms(struct apply *, const Tocsin__Heartbeat *, const Tocsin__HeartbeatState *);
/* Before it is judged: what an outage may have hidden is expected at the next moment behind it, and people hear so. */
void heartbeat_pass_hidden(struct apply *, const Tocsin__Heartbeat *, Tocsin__HeartbeatState *);
/* What an outage hid of schedules, as the end of a sentence; "" for nothing. */
const char *heartbeat_hidden_text(struct apply *, uint64_t from_ms, uint64_t until_ms);

/* ---- blindness.c */

/* At the beginning of each entry: notes the gap since the last one, stamped `last_ms`, when it is one. The next tick
 * tells of it when it was long. */
void blindness_look(struct apply *, uint64_t last_ms);

/* Silence since `since_ms`, when a sign is expected within `period_ms` (0: at once) and waited for `grace_ms` longer;
 * `heard_ms`: when there was the last one. */
struct silence {
    uint64_t heard_ms, since_ms, period_ms, grace_ms;
};

/* The moment at which it is judged. */
uint64_t blindness_judged_ms(struct apply *, const struct silence *);
/* The end of the last outage that overlaps the time; 0 when none does. */
uint64_t blindness_outage_end_ms(struct apply *, uint64_t from_ms, uint64_t until_ms);
/* Tells people, on the one page about blindness. */
void blindness_page(struct apply *, const char *summary);

/* The service for what the cluster has to tell of itself, made when it is first needed. */
uint64_t service_of_cluster(struct apply *);

uint64_t tick_interval_ms(const Tocsin__Settings *);

#endif
