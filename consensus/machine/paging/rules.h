/*
 * How a person wants to be told: the notification rules, or the defaults for who has none. For the machine, and from a
 * read-only store for whoever else tells people.
 */
#ifndef CONSENSUS_MACHINE_PAGING_RULES_H
#define CONSENSUS_MACHINE_PAGING_RULES_H

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"

/* Each rule once, and each line of the defaults for every method. */
#define PERSON_DEFAULT_LINES 16u
#define PERSON_PLANS_MAX (LIMIT_NOTIFICATION_RULES_PER_USER + LIMIT_CONTACT_METHODS_PER_USER * PERSON_DEFAULT_LINES)

struct person {
    const Tocsin__User *user;
    const Tocsin__ContactMethod *methods[LIMIT_CONTACT_METHODS_PER_USER];
    size_t methods_count;
    struct person_plan {
        const Tocsin__ContactMethod *method;
        uint32_t delay_minutes;
        uint64_t rule_id; /* 0: the defaults */
    } plans[PERSON_PLANS_MAX];
    size_t plans_count;
};

/* The user and its contact methods, from `arena`; false when there is no such user. */
bool person_load(const struct machine_store *store, ProtobufCAllocator *arena, uint64_t user_id, struct person *person);
/* NULL when the person has no such method. */
const Tocsin__ContactMethod *person_method(const struct person *person, uint64_t contact_method_id);
/* Plans by which methods the person is told of an incident of this urgency, and how long after its beginning; none when there is
 * no way. True when the defaults were taken, because no rule is there for the urgency. */
bool person_plan(const struct machine_store *store, ProtobufCAllocator *arena, struct person *person, Tocsin__Urgency urgency);

/* How much a channel disturbs, by the defaults of low urgency: the quietest first; UINT_MAX for one that they do not know. */
unsigned channel_loudness(Tocsin__Channel channel);

#endif
