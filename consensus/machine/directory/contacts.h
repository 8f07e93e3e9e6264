/*
 * Whether messages arrive where people say that they can be reached. Never asked when somebody is to be paged: what nobody
 * has verified is paged like the rest, and listed as a hole.
 *
 *     a code is sent there ──given back──> verified, answered        a page is answered from there ──> the same
 *
 * Whoever takes answers in (replies, signed links) says so with contact_answered.
 */
#ifndef CONSENSUS_MACHINE_DIRECTORY_CONTACTS_H
#define CONSENSUS_MACHINE_DIRECTORY_CONTACTS_H

#include "consensus/machine/apply.h"

/* A code came back, or a page was answered from this contact method of the person. Writes once a day. */
void contact_answered(struct apply *, uint64_t user_id, uint64_t contact_method_id, Tocsin__ProofKind);
/* The person acknowledges the incident: an answer, by whichever way, when a page of it went out to the person before. Writes
 * once a day. */
void contact_page_answered(struct apply *, uint64_t incident_id, uint64_t user_id);
/* Another address, or none any more: what was known of it goes. How many codes the person was sent stays. */
void contact_forget(struct apply *, uint64_t user_id, uint64_t contact_method_id);

/* A message that asks for a code has gone out, or may have: from now on that code counts, if it is the latest. */
void contact_code_sent(struct apply *, const Tocsin__Notification *, const Tocsin__Receipt *);

#endif
