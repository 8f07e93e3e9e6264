/* Inside the crash tests: what a node finds at its start, held against what it had promised. Each leaves a complaint or
 * none. */
#ifndef TESTS_CRASH_CRASH_NODE_CHECK_H
#define TESTS_CRASH_CRASH_NODE_CHECK_H

#include "node/host/data_dir.h"
#include "tests/crash/crash_node.h"

#define CLUSTER_NAME "crash"
#define NODE_ID 1u

void crash_node_complain(struct crash_node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Enters the data directory: it has not forgotten whose it is, nor how often the node was started. */
void crash_node_check_directory(struct crash_node *node, const struct promise *promise, bool *fresh);

/* Opens the log. It is one of the models that the promise allows, entry by entry. */
void crash_node_check_log(struct crash_node *node, const struct promise *promise);

/* Opens the state, and a new one in the place of one that was damaged on purpose. Its position lies within the
 * promise, the log continues it, and its tables are those of that index. */
void crash_node_check_state(struct crash_node *node, const struct promise *promise);

/* Nothing is left of a snapshot under way, the finished ones are whole; what the node must catch up on before it
 * votes. */
void crash_node_check_rest(struct crash_node *node, const struct promise *promise, uint64_t *recovering_index);

/* Position and tables are those of the ledger, at the index that the node has submitted. */
void crash_node_check_tables(struct crash_node *node);

#endif
