/* Between raft_harness.c and raft_network.c. */
#ifndef TESTS_SUPPORT_RAFT_HARNESS_INTERNAL_H
#define TESTS_SUPPORT_RAFT_HARNESS_INTERNAL_H

#include <stddef.h>

#include "tests/support/raft_harness.h"

void *harness_zeroed(size_t count, size_t size_bytes);
struct entry *harness_log_at(const struct harness_log *log, uint64_t index);

uint64_t harness_write_due_ms(const struct harness_node *node);
void harness_write_complete(struct harness_node *node);
void harness_install_complete(struct harness_node *node);

void harness_network_send(struct harness_node *node, uint64_t peer, const struct raft_message *message,
                          struct entry *const *entries);
void harness_network_send_snapshot(struct harness_node *node, uint64_t peer, uint64_t term);
void harness_network_close(struct harness *harness);

#endif
