/*
 * Raft configurations as bytes: who is a member, and in which role. libraft's own decoder trusts its input, so whatever
 * came from a peer or a disk is looked over here first.
 */
#ifndef CONSENSUS_MEMBERS_H
#define CONSENSUS_MEMBERS_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Far more than a cluster of three or five voters with a few learners needs. */
#define MEMBERS_MAX 32u

/* Whether the bytes are one whole configuration that libraft's decoder can read without leaving them. */
bool members_valid(const void *data, size_t size_bytes);

/* False when the bytes are not valid; on success the caller closes *out with raft_configuration_close. */
bool members_decode(const void *data, size_t size_bytes, struct raft_configuration *out);

/* NULL when there is no such member. */
const struct raft_server *members_find(const struct raft_configuration *configuration, uint64_t id);

unsigned members_voters(const struct raft_configuration *configuration);

bool members_is_voter(const struct raft_configuration *configuration, uint64_t id);

#endif
