/* A night on call: Alice and Bob take turns of an hour in one schedule, of a machine in memory. Bob has this hour. */
#ifndef TESTS_SUPPORT_NIGHT_H
#define TESTS_SUPPORT_NIGHT_H

#include "tests/support/machine_fixture.h"

#define NIGHT_KEY "0123456789abcdef0123456789abcdef"
#define NIGHT_HOUR (60 * FIXTURE_MINUTE_MS)

struct night {
    struct machine_fixture *fixture;
    uint64_t alice, bob, schedule;
};

/* Setup and teardown of a story. */
int night_begin(void **state);
int night_end(void **state);

/* Somebody with a telephone for text messages. */
uint64_t night_person(struct machine_fixture *f, const char *name, const char *telephone);

/* Shifts of an hour each, by turns, from `since_ms` on; `second` may be 0, for nobody. The bytes live until the next. */
ProtobufCBinaryData night_hourly(uint64_t since_ms, size_t count, uint64_t first, uint64_t second);

/* Both people in one layer, with these shifts. */
const Tocsin__Reply *night_put(struct night *night, uint64_t id, uint32_t base_revision, ProtobufCBinaryData shifts);
const Tocsin__Reply *night_extend(struct night *night, uint32_t revision, ProtobufCBinaryData shifts);
/* One; its part of the reply. */
const Tocsin__Reply *night_override(struct night *night, uint64_t start_ms, uint64_t end_ms, uint64_t user_id);
const Tocsin__Reply *night_override_delete(struct night *night, uint64_t id);
const Tocsin__Reply *night_schedule_delete(struct night *night);
const Tocsin__Reply *night_user_delete(struct night *night, uint64_t id);
/* A service whose policy has one level: the schedule; `then` is the second level, 0 for none. Its integration has
 * NIGHT_KEY. */
void night_watch(struct night *night, uint32_t delay_minutes, uint64_t then);

uint64_t night_on_call_at(struct night *night, uint64_t at_ms);
/* This person gets a text message, and nobody anything else. */
void night_expect_told(struct machine_fixture *f, const char *name);

/* protobuf-c's fields are not const; nothing writes through them. */
char *night_text(const char *text);

#endif
