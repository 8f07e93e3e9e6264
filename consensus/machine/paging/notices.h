/*
 * News that belong to no incident: a shift begins, somebody asks for a swap. They are notifications like any other
 * (owed, claimed, sent, with receipts and further contact methods when one fails), but nobody acknowledges them: they end
 * when they were sent, or when they are no news any more.
 *
 *     TABLE_OUTBOX ──sent, failed, too late──> TABLE_NOTICE, the last ones of each person
 */
#ifndef CONSENSUS_MACHINE_PAGING_NOTICES_H
#define CONSENSUS_MACHINE_PAGING_NOTICES_H

#include "consensus/machine/apply.h"

/* Tells the person by this method; by 0 on the best one for something that can wait: e-mail, push, text message, webhook,
 * call. Without any the person is not told. `notice` is copied into the notification by reference. */
void notice_tell(struct apply *, uint64_t user_id, uint64_t contact_method_id, Tocsin__Why, Tocsin__Notice *notice);

/* ---- for outbox.c */

/* Why nobody needs it any more, WHY_NONE when it is to be sent. */
Tocsin__Why notice_why_not(struct apply *, const Tocsin__Notification *);
/* An attempt has ended: there is no timeline to say how, so the notification does. */
void notice_attempt(Tocsin__Notification *, const Tocsin__Receipt *);
/* Stays with the person, as one of the last. */
void notice_keep(struct apply *, const Tocsin__Notification *);
/* The person's next contact method, when there is one. */
void notice_next_method(struct apply *, const Tocsin__Notification *failed);

/* The person goes away. */
void notices_user_deleted(struct apply *, uint64_t user_id);

/* It tells nobody: claimed in the entry that made it, ended by the sender without a request. */
bool probe_is(const Tocsin__Notification *notification);

#endif
