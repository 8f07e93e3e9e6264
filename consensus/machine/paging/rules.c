/* How a person wants to be told: see rules.h. */
#include "consensus/machine/paging/rules.h"

#include <assert.h>
#include <limits.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/*
 * For a person without a rule for the urgency: the first group in which the person has a method is taken, and of it
 * all lines. This is the documented table of the defaults (README.md of this folder).
 */
static const struct default_rule {
    Tocsin__Urgency urgency;
    unsigned group;
    Tocsin__Channel channel;
    uint32_t delay_minutes;
} DEFAULT_RULES[] = {
    {TOCSIN__URGENCY__URGENCY_HIGH, 1, TOCSIN__CHANNEL__CHANNEL_PUSH, 0},
    {TOCSIN__URGENCY__URGENCY_HIGH, 1, TOCSIN__CHANNEL__CHANNEL_SMS, 0},
    {TOCSIN__URGENCY__URGENCY_HIGH, 1, TOCSIN__CHANNEL__CHANNEL_VOICE, DEFAULT_CALL_FIRST_MINUTES},
    {TOCSIN__URGENCY__URGENCY_HIGH, 1, TOCSIN__CHANNEL__CHANNEL_VOICE, DEFAULT_CALL_SECOND_MINUTES},
    {TOCSIN__URGENCY__URGENCY_HIGH, 2, TOCSIN__CHANNEL__CHANNEL_EMAIL, 0},
    {TOCSIN__URGENCY__URGENCY_HIGH, 2, TOCSIN__CHANNEL__CHANNEL_WEBHOOK, 0},
    {TOCSIN__URGENCY__URGENCY_LOW, 1, TOCSIN__CHANNEL__CHANNEL_EMAIL, 0},
    {TOCSIN__URGENCY__URGENCY_LOW, 2, TOCSIN__CHANNEL__CHANNEL_PUSH, 0},
    {TOCSIN__URGENCY__URGENCY_LOW, 3, TOCSIN__CHANNEL__CHANNEL_SMS, 0},
    {TOCSIN__URGENCY__URGENCY_LOW, 4, TOCSIN__CHANNEL__CHANNEL_WEBHOOK, 0},
    {TOCSIN__URGENCY__URGENCY_LOW, 5, TOCSIN__CHANNEL__CHANNEL_VOICE, 0},
};
_Static_assert(COUNT_OF(DEFAULT_RULES) <= PERSON_DEFAULT_LINES, "a person's plans must hold each line of the defaults");

bool person_load(const struct machine_store *store, ProtobufCAllocator *arena, uint64_t user_id, struct person *person)
{
    person->methods_count = person->plans_count = 0;
    person->user = user_get(store, user_id, arena);
    if (person->user == NULL) {
        return false;
    }
    struct walk walk = walk_under(store, TABLE_CONTACT_METHOD, user_id);
    while (person->methods_count < LIMIT_CONTACT_METHODS_PER_USER && walk_next(&walk)) {
        const Tocsin__ContactMethod *method =
            record_unpack(&tocsin__contact_method__descriptor, walk.value, arena);
        if (method != NULL) {
            person->methods[person->methods_count++] = method;
        }
    }
    return true;
}

const Tocsin__ContactMethod *person_method(const struct person *person, uint64_t contact_method_id)
{
    for (size_t i = 0; i < person->methods_count; i++) {
        if (person->methods[i]->id == contact_method_id) {
            return person->methods[i];
        }
    }
    return NULL;
}

/* Nobody is told twice by the same method at the same instant. */
static void plan_add(struct person *person, const Tocsin__ContactMethod *method, uint32_t delay_minutes, uint64_t rule_id)
{
    for (size_t i = 0; i < person->plans_count; i++) {
        if (person->plans[i].method == method && person->plans[i].delay_minutes == delay_minutes) {
            return;
        }
    }
    assert(person->plans_count < PERSON_PLANS_MAX);
    person->plans[person->plans_count++] =
        (struct person_plan){.method = method, .delay_minutes = delay_minutes, .rule_id = rule_id};
}

static void plan_rules(const struct machine_store *store, ProtobufCAllocator *arena, struct person *person, Tocsin__Urgency urgency)
{
    struct walk walk = walk_under(store, TABLE_NOTIFICATION_RULE, person->user->id);
    for (size_t i = 0; i < LIMIT_NOTIFICATION_RULES_PER_USER && walk_next(&walk); i++) {
        const Tocsin__NotificationRule *rule =
            record_unpack(&tocsin__notification_rule__descriptor, walk.value, arena);
        if (rule == NULL || (rule->urgency != urgency && rule->urgency != TOCSIN__URGENCY__URGENCY_NONE)) {
            continue;
        }
        const Tocsin__ContactMethod *method = person_method(person, rule->contact_method_id);
        if (method != NULL) {
            plan_add(person, method, rule->start_delay_minutes, rule->id);
        }
    }
}

static void plan_defaults(struct person *person, Tocsin__Urgency urgency)
{
    unsigned group = 0;
    for (size_t i = 0; i < COUNT_OF(DEFAULT_RULES); i++) {
        const struct default_rule *rule = &DEFAULT_RULES[i];
        if (rule->urgency != urgency || (group != 0 && rule->group != group)) {
            continue;
        }
        for (size_t m = 0; m < person->methods_count; m++) {
            if (person->methods[m]->channel == rule->channel) {
                plan_add(person, person->methods[m], rule->delay_minutes, 0);
                group = rule->group;
            }
        }
    }
}

bool person_plan(const struct machine_store *store, ProtobufCAllocator *arena, struct person *person, Tocsin__Urgency urgency)
{
    plan_rules(store, arena, person, urgency);
    bool by_default = person->plans_count == 0;
    if (by_default) {
        plan_defaults(person, urgency);
    }
    return by_default;
}

unsigned channel_loudness(Tocsin__Channel channel)
{
    for (size_t i = 0; i < COUNT_OF(DEFAULT_RULES); i++) {
        if (DEFAULT_RULES[i].urgency == TOCSIN__URGENCY__URGENCY_LOW && DEFAULT_RULES[i].channel == channel) {
            return DEFAULT_RULES[i].group;
        }
    }
    return UINT_MAX;
}
