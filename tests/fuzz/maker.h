/*
 * Messages of the schema, made field by field as an input says: ids mostly of things that are there, times mostly near now,
 * rows and hashes mostly of the right shape, texts that mean something in some field.
 */
#ifndef TESTS_FUZZ_MAKER_H
#define TESTS_FUZZ_MAKER_H

#include <protobuf-c/protobuf-c.h>

#include "consensus/machine/base/arena.h"
#include "tests/support/machine_fixture.h"

struct fuzz_input;

struct maker {
    struct fuzz_input *input;
    const struct machine_fixture *world;
    struct arena arena; /* what is made lives there */
};

char *maker_text(struct maker *maker);
ProtobufCMessage *maker_message(struct maker *maker, const ProtobufCMessageDescriptor *descriptor);

#endif
