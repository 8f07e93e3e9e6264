/*
 * A real machine in memory and the model beside it, for the model's tests: each entry goes to both, what the machine
 * hands over waits here until the test sends it, and after each entry the two are compared and the state's invariants
 * looked at.
 */
#ifndef TESTS_SIM_MODEL_MODEL_STAND_H
#define TESTS_SIM_MODEL_MODEL_STAND_H

#include "consensus/machine/machine.h"
#include "tests/sim/model/model.h"
#include "tests/support/decoded_rows.h"

#define STAND_MINUTE_MS 60000u

/* A notification in the hands of its leader's dispatcher. */
struct stand_send {
    Tocsin__Notification *notification;
    uint64_t node, boot, term;
    bool requested;
};

struct stand {
    struct memory_store *memory;
    struct machine_store store;
    struct machine *machine;
    struct machine_output output;
    struct model *model;
    struct decoded_rows *decoded; /* of the invariants */
    uint64_t true_ms, index, term, node, boot; /* node and boot: the leader's */
    uint64_t stamp_lag_ms; /* how far the leader's stamp lags behind true time */
    uint64_t sequence;
    Tocsin__Actor actor; /* of the next commands; an account-level token at the start */
    Tocsin__Reply *reply; /* of the last command that had one */
    struct stand_send *sends;
    size_t sends_count, sends_capacity;
    unsigned violations;
    char first_violation[1024];
    const char *component; /* that the next events are about; NULL: they do not say */
    bool by_turns, low_moves; /* of the next policies: on each level one at a time; low urgency goes on to the next level, too */
    bool compares; /* after each entry; the default */
    bool dispatches; /* what is handed over again takes the place of what waits, as a dispatcher does it */
    void (*doctor)(struct stand *); /* for tests: spoils the machine's output before the model hears of it */
    uint8_t *last_command; /* packed, for repeats */
    size_t last_command_size_bytes;
};

struct stand *stand_new(void);
void stand_free(struct stand *);
/* The teardown of a story whose state is a stand. */
int stand_close(void **state);

uint64_t stand_boottime_ms(const struct stand *, uint64_t node);

/* One entry with this command by the leader; its reply. */
const Tocsin__Reply *stand_do(struct stand *, Tocsin__Command *);
/* ... which must be done; the new id. */
uint64_t stand_done(struct stand *, Tocsin__Command *);
/* One entry with commands that are packed already. */
void stand_apply(struct stand *, ProtobufCBinaryData *commands, size_t count);
/* The very same bytes again. */
void stand_repeat(struct stand *);
ProtobufCBinaryData stand_pack(struct stand *, Tocsin__Command *);

/* Moves time; with a pulse at each deadline on the way. */
void stand_advance(struct stand *, uint64_t ms);
void stand_run(struct stand *, uint64_t ms);
void stand_pulse(struct stand *, uint32_t limit);
/* Another node leads, in the next term; what the old one was handed stays with it. */
void stand_new_leader(struct stand *, uint64_t node);
/* The leader claims everything that is owed, or was claimed in older terms. */
void stand_reclaim(struct stand *);
void stand_claim(struct stand *, uint64_t notification_id);

/* ---- dispatchers */

/* The request as its dispatcher makes it, now; text and address are the stand's until the next. */
struct model_request stand_request_of(struct stand *, const struct stand_send *);
void stand_request(struct stand *, struct stand_send *);
void stand_receipt(struct stand *, const struct stand_send *, Tocsin__Outcome, uint32_t retry_after_ms);
void stand_forget(struct stand *, size_t send);
/* Requests and receipts for all that is handed over, until nothing is; forgets what belongs to older terms. */
void stand_deliver(struct stand *);
/* As stand_run, delivering on the way. */
void stand_run_delivering(struct stand *, uint64_t ms);

/* ---- the company */

uint64_t stand_user(struct stand *, const char *name);
uint64_t stand_method(struct stand *, uint64_t user_id, Tocsin__Channel, const char *address);
uint64_t stand_rule(struct stand *, uint64_t user_id, uint64_t method_id, Tocsin__Urgency, uint32_t delay_minutes);
struct stand_level {
    uint32_t delay_minutes;
    uint64_t user_ids[4]; /* ended by 0 */
};
uint64_t stand_policy(struct stand *, uint64_t id, uint32_t num_loops, size_t levels_count, const struct stand_level *);
uint64_t stand_service(struct stand *, uint64_t policy_id, Tocsin__Urgency, uint32_t acknowledgement_timeout_s,
                       uint32_t auto_resolve_timeout_s);
uint64_t stand_integration(struct stand *, uint64_t service_id, const char *key);
void stand_guardians(struct stand *, unsigned count, uint32_t minute_ms);

/* Another grouping of its alerts (NULL: none), and time for them to pass by themselves. */
void stand_service_rules(struct stand *, uint64_t service_id, Tocsin__AlertGrouping *, uint32_t pause_s);

/* ---- what happens */

uint64_t stand_event(struct stand *, const char *key, Tocsin__EventAction, const char *dedup_key, Tocsin__Severity);
/* One change; true when it was done. */
bool stand_change(struct stand *, Tocsin__IncidentChange);
Tocsin__IncidentChange stand_change_of(uint64_t incident_id);
bool stand_set_status(struct stand *, uint64_t incident_id, Tocsin__IncidentStatus);

/* ---- the verdict */

/* No promise was seen broken so far. */
void stand_expect_peace(const struct stand *);
/* One was, and the first sentence contains this. */
void stand_expect_broken(const struct stand *, const char *part);

#endif
