/* A peer made of a plain socket, which says what no transport would say. Each call asserts that it went well. */
#ifndef TESTS_SUPPORT_STRANGER_H
#define TESTS_SUPPORT_STRANGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/transport/frame.h"

/* A descriptor connected to the port on loopback; the caller closes it. */
int stranger_connect(unsigned port);
void stranger_says(int descriptor, const void *data, size_t size_bytes);
void stranger_says_hello(int descriptor, struct hello hello);
/* A raft frame that holds a number. */
void stranger_says_number(int descriptor, uint64_t number);
/* True when the other side has closed. */
bool stranger_is_turned_away(int descriptor);

#endif
