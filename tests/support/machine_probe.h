/*
 * A machine over a memory store, asked one command at a time.
 *
 * Every question is also a check: a command that is refused must have changed nothing but the memory of its origin.
 * For stories that take days and are told to people, machine_fixture.h has more.
 */
#ifndef TESTS_SUPPORT_MACHINE_PROBE_H
#define TESTS_SUPPORT_MACHINE_PROBE_H

#include "consensus/machine/machine.h"
#include "consensus/machine/records.h"
#include "tests/support/memory_store.h"

struct machine_probe {
    struct memory_store *memory;
    struct machine_store store;
    struct machine *machine;
    struct machine_output output; /* of the last entry */
    uint64_t time_ms;             /* of the next entry; for the test to move */
    uint64_t sequence;
    Tocsin__Reply *reply; /* of the last question */
};

/* Setup and teardown of a cmocka test whose state is a probe. */
int probe_setup(void **state);
int probe_teardown(void **state);

void probe_open(struct machine_probe *probe);
void probe_close(struct machine_probe *probe);

/* Applies an entry of these commands at `time_ms` as they are. */
enum machine_error probe_apply(struct machine_probe *probe, uint64_t time_ms, Tocsin__Command **commands, size_t count);
/* Applies an entry of commands that are packed already. */
enum machine_error probe_apply_packed(struct machine_probe *probe, uint64_t time_ms, const ProtobufCBinaryData *packed,
                                      size_t count);

/* Gives the command an origin, applies it and answers its reply, which stays until the next question. */
const Tocsin__Reply *probe_ask(struct machine_probe *probe, Tocsin__Command *command);

/* The command was done; the id it answered, 0 for none. */
uint64_t probe_done(struct machine_probe *probe, Tocsin__Command *command);
/* The command was refused for this reason, with a sentence that says so. */
void probe_refused(struct machine_probe *probe, Tocsin__Command *command, Tocsin__Status status,
                   Tocsin__Reason reason);

/* A command around the body, a variable of the test: COMMAND(USER_DELETE, user_delete, deletion). */
#define COMMAND(NAME, name_, body)                                                                                    \
    ((Tocsin__Command){.base = PROTOBUF_C_MESSAGE_INIT(&tocsin__command__descriptor),                                 \
                       .idempotency_key = probe_text(""),                                                             \
                       .body_case = TOCSIN__COMMAND__BODY_##NAME,                                                     \
                       .name_ = &(body)})

/* protobuf-c's texts are not const, though packing does not write to them. */
char *probe_text(const char *literal);

/* The bit of a field in `fields` of a *_put. */
uint64_t probe_field(const ProtobufCMessageDescriptor *descriptor, const char *name);

uint64_t probe_rows(const struct machine_probe *probe, enum machine_table table);

/* What most stories begin with. Each answers the new id. */
uint64_t probe_user(struct machine_probe *probe, const char *name, const char *email);
uint64_t probe_email(struct machine_probe *probe, uint64_t user_id, const char *address);
uint64_t probe_policy(struct machine_probe *probe, const char *name, uint64_t user_id);
uint64_t probe_service(struct machine_probe *probe, const char *name, uint64_t policy_id);
uint64_t probe_integration(struct machine_probe *probe, uint64_t service_id, const char *key);
/* The incident that a trigger opens. */
uint64_t probe_trigger(struct machine_probe *probe, const char *routing_key, const char *dedup_key);

#endif
