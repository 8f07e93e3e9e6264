/*
 * Inside the machine: what keeps an alert that fires from opening an incident for a time, and what brings it out again.
 *
 *     trigger ── rule says suppress? ── maintenance? ── pause? ── mutes? ──> no: incident
 *                        │                  │             │         │
 *                        └──────────────────┴──────┬──────┴─────────┘ yes
 *                                                  v
 *             held: Alert without incident, with its Hold; a row in TABLE_HELD under whatever holds it
 *                                                  │
 *         resolved: recorded, no incident <────────┤ the edge: window, mute or pause is over
 *                                                  v
 *                                      looked at anew, from the left
 *
 * Nothing that fires is lost: a held alert has a deadline ahead, its own or that of the window or mute under which it is
 * listed. What many alerts are listed under lets them go one deadline at a time (DEADLINE_HOLD_DRAIN), so that a pulse
 * stays as short as any other.
 *
 * Whether a mute fits is found out by the leader, for expressions are not evaluated here: while mutes are in force a
 * new alert waits for its answer, MUTE_ANSWER_MS at most, and then opens its incident as if none fitted.
 */
#ifndef CONSENSUS_MACHINE_SUPPRESSION_SUPPRESSION_H
#define CONSENSUS_MACHINE_SUPPRESSION_SUPPRESSION_H

#include "consensus/machine/apply.h"

/* ---- hold.c */

/* What an event rule asks for the alert that its event triggers; all zero: nothing. */
struct hold_request {
    bool suppress;       /* no incident, however long it fires */
    uint32_t pause_s;    /* no incident, if it is resolved within this time */
    uint64_t rule_id;    /* which rule says so, */
    const char *text;    /* and what it is called: for people; may be NULL */
};

/* A held alert is listed under this number while it waits for the leader's answer on mutes. */
#define HELD_FOR_ANSWER 0u

/*
 * What holds back an alert that triggers on the service now; NULL: nothing, and it opens an incident. `request` may be
 * NULL. From the arena, to be given to hold_begin.
 */
Tocsin__Hold *hold_judge(struct apply *, const Tocsin__Service *, const struct hold_request *request);
/* Keeps a new alert, which has its id and incident 0: its row, its index, its place among the held. False, with the
 * reply refused, when LIMIT_HELD_ALERTS is reached. */
bool hold_begin(struct apply *, Tocsin__Alert *, Tocsin__Hold *, Tocsin__Reply *);
/* Whether a held alert is from now on what an event says that triggers it again, with a higher severity or not: yes, unless
 * rules suppress the event and not the alert; while the leader looks whether a mute fits, only when it is worse. */
bool hold_follows(const Tocsin__Alert *, const struct hold_request *request, bool worse);
/* It triggers again while it is held, and says by now what it says. What was suppressed by a rule, which now says otherwise, is
 * looked at anew, and so is what mutes hold when it has become worse; else the record is stored as it is. */
void hold_trigger(struct apply *, Tocsin__Alert *, const struct hold_request *request, bool worse);
/* It is resolved while it is held: recorded, and no incident. */
void hold_resolve(struct apply *, Tocsin__Alert *);
/* What is listed under this number is looked at anew, from this moment on, in small steps. */
void hold_drain(struct apply *, uint64_t place);
/* DEADLINE_HOLD_END: an alert's own time is over; of one that is resolved, the time for which it is kept. */
void hold_due(struct apply *, uint64_t alert_id);
/* DEADLINE_HOLD_DRAIN: the next one after `after_id` listed under `place`. */
void hold_drain_due(struct apply *, uint64_t place, uint64_t after_id);
/* The leader's answer for one that waits for it: the mute that fits, 0 for none. False when the alert does not wait, or has
 * become worse since it was looked at: then the leader looks again. */
bool hold_answer(struct apply *, const Tocsin__MuteVerdict *);

/* ---- maintenance.c */

/* The window in which the service is at this moment, 0 for none; *until_ms: when it ends. Of several the one that ends last. */
uint64_t maintenance_of_service(const struct machine_store *, uint64_t service_id, uint64_t at_ms, uint64_t *until_ms);
/* DEADLINE_MAINTENANCE_END, of a row that is filed for `due_ms`. */
void maintenance_end_due(struct apply *, uint64_t window_id, uint64_t due_ms);
/* DEADLINE_MAINTENANCE_WARNING, likewise. */
void maintenance_warning_due(struct apply *, uint64_t window_id, uint64_t due_ms);
/* The service is deleted: no window has it any more. */
void maintenance_service_deleted(struct apply *, uint64_t service_id);

/* ---- maintenance_warning.c */

/* The window's first span is about to end: tells whoever made it, and those who will be paged then. */
void maintenance_warn(struct apply *, const Tocsin__MaintenanceWindow *);

/* ---- mutes.c */

/* True when a mute is in force at this moment. */
bool mutes_in_force(const struct machine_store *, uint64_t at_ms);
/* DEADLINE_MUTE_END, of a row that is filed for `due_ms`. */
void mute_end_due(struct apply *, uint64_t mute_id, uint64_t due_ms);

#endif
