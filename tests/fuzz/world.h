/*
 * The company of company.h with incidents under way, as a state to try entries on: made once, copied for each input.
 *
 * Two machines apply each entry to two copies: both must say the same and end equal (promise P4). What the fixture of
 * the machine's unit tests checks after each entry is checked here too.
 */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H

#include "tests/support/machine_fixture.h"
#include "tests/support/memory_store.h"

/* Ids in it are below this. */
#define WORLD_IDS_MAX 128u

struct machine_fixture *world_new(void);
void world_free(struct machine_fixture *world);

/* Applies bytes as they are. On an error nothing may have changed. */
enum machine_error world_apply(struct machine_fixture *world, const void *data, size_t size_bytes);
/* Applies an entry of one command, whose origin is filled in, and gives its reply, which lives until the next. One that
 * is refused may have changed nothing. NULL when the entry is none that a machine takes. */
const Tocsin__Reply *world_ask(struct machine_fixture *world, Tocsin__Command *command);

/* What must hold after every entry; with world->unchecked only what holds when nobody stood at the door, too: shape and
 * bounds of texts are not the machine's business. */
void world_check(struct machine_fixture *world);

#endif
