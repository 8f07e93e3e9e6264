/*
 * Inside the machine: what the parts that keep objects (people.c, catalog.c, access.c) have in common. A check that
 * fails has refused the reply and returns false.
 */
#ifndef CONSENSUS_MACHINE_CHECKS_H
#define CONSENSUS_MACHINE_CHECKS_H

#include "consensus/machine/apply.h"

/* ---- records */

/* Whether `fields` of a *_put names the field of this name. */
bool field_given(uint64_t fields, const ProtobufCMessageDescriptor *descriptor, const char *name);

/*
 * Takes the fields named in `names` (ended by NULL) over from `given`, of the same kind: for a creation all, for a
 * change those in `fields`. Texts and parts are shared with `given`, not copied.
 */
void record_patch(ProtobufCMessage *record, const ProtobufCMessage *given, bool creation, uint64_t fields,
                  const char *const *names);

/* ---- refusals */

/* The command names an object that is not there, or brings none where it must. */
void refuse_unknown(struct apply *, Tocsin__Reply *, Tocsin__Reason, const char *what, uint64_t id);
bool check_given(struct apply *, Tocsin__Reply *, const void *record);

/* A text of one line, or of any number of lines, of `min` to `max` characters. `what` begins the sentence, as in
 * "The name". */
bool check_line(struct apply *, Tocsin__Reply *, const char *what, const char *text, size_t min, size_t max);
bool check_lines(struct apply *, Tocsin__Reply *, const char *what, const char *text, size_t min, size_t max);

/* One more may be added to `count` objects. */
bool check_room(struct apply *, Tocsin__Reply *, const char *what, uint64_t count, uint64_t limit);
uint64_t rows_under(struct apply *, enum machine_table, uint64_t parent);

/* Brings defaults of the channel into the record, then checks it. Of a person and of a guardian. */
bool check_contact_method(struct apply *, Tocsin__Reply *, Tocsin__ContactMethod *);

/* ---- escalation policies */

/* Whether a level names the user; schedules aside. */
bool policy_has_target(const Tocsin__EscalationPolicy *policy, uint64_t user_id);

/* ---- indexes from a unique text to the id of one object */

/* The id that has the key, 0 for none. */
uint64_t index_find(struct apply *, enum machine_table, struct key key);
void index_put(struct apply *, enum machine_table, struct key key, uint64_t id);
void row_delete(struct apply *, enum machine_table, struct key key);

#endif
