/*
 * A machine with its store in memory, driven by commands at a time that the test moves: the ground of the machine's
 * tests.
 *
 * Every entry is applied twice, by two machines to two stores, and both must say the same and end equal (promise P4).
 * After every entry each open incident is looked at: it has a deadline to come, a notification in the outbox or a
 * recorded reason why neither is there (promise P1), and its counters agree with the rows.
 */
#ifndef TESTS_SUPPORT_MACHINE_FIXTURE_H
#define TESTS_SUPPORT_MACHINE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/machine.h"
#include "consensus/machine/records.h"

#define FIXTURE_MINUTE_MS 60000ull

struct machine_fixture {
    struct memory_store *memory, *twin_memory;
    struct machine_store store, twin_store;
    struct machine *machine, *twin;
    struct machine_output output, twin_output;
    uint64_t now_ms, boottime_ms;
    uint64_t term, proposer, boot; /* of the leader that proposes; proposer 0: nobody claims */
    uint64_t sequence;
    Tocsin__Actor actor; /* of the next commands; the cluster itself at the start */
    bool unchecked;      /* for storms: do not look at every incident after every entry */
    Tocsin__Reply *reply; /* of the last command */
    Tocsin__Notification **sends; /* handed to the leader's dispatcher and not yet taken */
    size_t sends_count, sends_capacity;
    void **records; /* read through the fixture, freed with it */
    size_t records_count, records_capacity;
};

struct machine_fixture *fixture_new(void);
/* Compares the two stores, too. */
void fixture_free(struct machine_fixture *);

/* ---- commands */

/* Applies one entry with this command by fixture->actor; the reply lives until the next. */
const Tocsin__Reply *fixture_apply(struct machine_fixture *, Tocsin__Command *);
/* The command without a body, to be filled. */
Tocsin__Command fixture_command(void);
/* Applies one entry with these packed commands. */
void fixture_apply_entry(struct machine_fixture *, size_t count, ProtobufCBinaryData *commands);
ProtobufCBinaryData fixture_pack(struct machine_fixture *, Tocsin__Command *);

/* Moves the time without a pulse. */
void fixture_advance(struct machine_fixture *, uint64_t ms);
/* Proposes one pulse now. */
void fixture_pulse(struct machine_fixture *, uint32_t limit);
/* Moves the time on, with a pulse at each deadline on the way. What is handed over meanwhile stays in `sends`. */
void fixture_run(struct machine_fixture *, uint64_t ms);
/* Another node leads from now on, in the next term. */
void fixture_new_leader(struct machine_fixture *, uint64_t node);
void fixture_act_as_user(struct machine_fixture *, uint64_t user_id, const char *name);

/* ---- people and the catalog: the ids of what was made */

uint64_t fixture_user(struct machine_fixture *, const char *name);
uint64_t fixture_method(struct machine_fixture *, uint64_t user_id, Tocsin__Channel, const char *address);
uint64_t fixture_rule(struct machine_fixture *, uint64_t user_id, uint64_t method_id, Tocsin__Urgency,
                      uint32_t delay_minutes);
struct fixture_level {
    uint32_t delay_minutes;
    uint64_t user_ids[4]; /* ended by 0 */
};
uint64_t fixture_policy(struct machine_fixture *, uint32_t num_loops, size_t levels_count,
                        const struct fixture_level *levels);
uint64_t fixture_service(struct machine_fixture *, uint64_t policy_id, Tocsin__Urgency,
                         uint32_t acknowledgement_timeout_s, uint32_t auto_resolve_timeout_s);
/* `key` has 32 characters. */
uint64_t fixture_integration(struct machine_fixture *, uint64_t service_id, const char *key);
void fixture_guardian(struct machine_fixture *, const char *name, Tocsin__Channel, const char *address);
struct fixture_way {
    Tocsin__Channel channel;
    const char *address;
};
/* One guardian with at most four ways. */
void fixture_guardian_ways(struct machine_fixture *fixture, const char *name, size_t count, const struct fixture_way *ways);

/* ---- events, requests, receipts */

const Tocsin__Reply *fixture_event(struct machine_fixture *, const char *routing_key, Tocsin__EventAction,
                                   const char *dedup_key, Tocsin__Severity);
/* Triggers and returns the incident's id. */
uint64_t fixture_trigger(struct machine_fixture *, const char *routing_key, const char *dedup_key);
/* One change; the reply is its part. */
const Tocsin__Reply *fixture_change(struct machine_fixture *, Tocsin__IncidentChange);
Tocsin__IncidentChange fixture_change_of(uint64_t incident_id);
const Tocsin__Reply *fixture_set_status(struct machine_fixture *, uint64_t incident_id, Tocsin__IncidentStatus);
const Tocsin__Reply *fixture_claim(struct machine_fixture *, uint64_t notification_id);
/* The dispatcher's answer to what was handed over. */
void fixture_receipt(struct machine_fixture *, const Tocsin__Notification *, Tocsin__Outcome, uint32_t retry_after_ms);

/* ---- what came of it */

/* Takes the oldest notification handed over; fails the test when there is none. Freed with the fixture. */
const Tocsin__Notification *fixture_take_send(struct machine_fixture *);
/* Takes one and checks to whom it goes. */
const Tocsin__Notification *fixture_expect_send(struct machine_fixture *, const char *user_name, Tocsin__Channel);
/* The same, and the provider takes it; the id of its incident. */
uint64_t fixture_paged(struct machine_fixture *, const char *user_name, Tocsin__Channel);
void fixture_expect_silence(struct machine_fixture *);
/* Answers SENT to everything handed over; the number. */
size_t fixture_deliver_all(struct machine_fixture *);

/* The record now; freed with the fixture. */
Tocsin__Incident *fixture_incident(struct machine_fixture *, uint64_t id);
Tocsin__Notification *fixture_notification(struct machine_fixture *, uint64_t incident_id, uint64_t id);
/* Entries of the type, and of the reason unless that is WHY_NONE. */
size_t fixture_log_count(struct machine_fixture *, uint64_t incident_id, Tocsin__LogType, Tocsin__Why);
size_t fixture_rows_under(struct machine_fixture *, enum machine_table, uint64_t parent);
uint64_t fixture_rows(struct machine_fixture *, enum machine_table);

/* P1 and the counters, for every open incident. */
void fixture_check_promises(struct machine_fixture *);

Tocsin__HeartbeatStatus fixture_heartbeat_status(struct machine_fixture *, uint64_t heartbeat_id);

#endif
