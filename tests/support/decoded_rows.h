/*
 * Records of a state that is looked at again and again: a row whose bytes are what they were at the last look is not
 * decoded again. Whoever looks meets every record each time.
 */
#ifndef TESTS_SUPPORT_DECODED_ROWS_H
#define TESTS_SUPPORT_DECODED_ROWS_H

#include "consensus/machine/records.h"

struct decoded_rows;

struct decoded_rows *decoded_rows_new(void);
void decoded_rows_free(struct decoded_rows *rows);

/* The record in these bytes, valid until the row is met with others; NULL when they do not decode. */
const void *decoded_row(struct decoded_rows *rows, enum machine_table table, struct span key, struct span value,
                        const ProtobufCMessageDescriptor *descriptor);

#endif
