/*
 * Who has an incident, and what comes next.
 *
 * An incident is given to the people of a level, or to people by hand. Each is told by his or her rules. When a level's
 * time is over without an acknowledgement, or nobody there can be told, the next level has it; after the last level of
 * the last pass the guardians are told, again and again. An acknowledgement stops all of it for a while, resolving
 * stops it for good.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_internal.h"

/* People who were given an incident by hand have as long as this many levels. */
#define LEVELS_BY_HAND 4u

/* ---------------------------------------------------------------- looking */

struct incident *model_incident_find(const struct model *model, uint64_t number)
{
    for (size_t i = 0; i < model->incidents.count; i++) {
        if (model->incidents.items[i]->number == number) {
            return model->incidents.items[i];
        }
    }
    return NULL;
}

struct incident *model_incident_find_id(const struct model *model, uint64_t id)
{
    for (size_t i = 0; id != 0 && i < model->incidents.count; i++) {
        if (model->incidents.items[i]->id == id) {
            return model->incidents.items[i];
        }
    }
    return NULL;
}

static bool is_among(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

bool model_incident_has(const struct incident *incident, uint64_t person_id)
{
    return is_among(incident->people.items, incident->people.count, person_id);
}

static bool anything_under_way(const struct incident *incident)
{
    for (size_t i = 0; i < incident->pages.count; i++) {
        if (model_page_under_way(incident->pages.items[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < incident->plans.count; i++) {
        if (incident->status == TRIGGERED && incident->plans.items[i].assignment == incident->assignment) {
            return true;
        }
    }
    return false;
}

/* Of the present assignment, to a person and not to a guardian: a page, or what a call for help became. */
static bool is_of_present(const struct incident *incident, const struct page *page, uint64_t call)
{
    return page->assignment == incident->assignment && page->to.guardian == NULL && page->call == call;
}

static bool somebody_was_told(const struct incident *incident)
{
    for (size_t i = 0; i < incident->pages.count; i++) {
        const struct page *page = incident->pages.items[i];
        if (is_of_present(incident, page, 0) && page->state == PAGE_SENT) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- telling a person */

struct intent {
    const struct way *way;
    uint32_t delay_minutes;
};
#define INTENTS_MAX 256u

static void intend(struct intent *intents, size_t *count, const struct way *way, uint32_t delay_minutes)
{
    for (size_t i = 0; i < *count; i++) {
        if (intents[i].way == way && intents[i].delay_minutes == delay_minutes) {
            return; /* nobody is told twice by one way at one instant */
        }
    }
    assert(*count < INTENTS_MAX);
    intents[(*count)++] = (struct intent){.way = way, .delay_minutes = delay_minutes};
}

/* By all the person's ways of this channel. */
static void intend_channel(struct model *model, uint64_t person_id, Tocsin__Channel channel, uint32_t delay_minutes,
                           struct intent *intents, size_t *count)
{
    for (size_t i = 0; i < model->ways.count; i++) {
        if (model->ways.items[i].person_id == person_id && model->ways.items[i].channel == channel) {
            intend(intents, count, &model->ways.items[i], delay_minutes);
        }
    }
}

/* High urgency, no rule: push and text at once and two calls; who has none of these, e-mail and webhook at once. */
static void intend_high(struct model *model, uint64_t person_id, struct intent *intents, size_t *count)
{
    intend_channel(model, person_id, TOCSIN__CHANNEL__CHANNEL_PUSH, 0, intents, count);
    intend_channel(model, person_id, TOCSIN__CHANNEL__CHANNEL_SMS, 0, intents, count);
    intend_channel(model, person_id, TOCSIN__CHANNEL__CHANNEL_VOICE, DEFAULT_CALL_FIRST_MINUTES, intents, count);
    intend_channel(model, person_id, TOCSIN__CHANNEL__CHANNEL_VOICE, DEFAULT_CALL_SECOND_MINUTES, intents, count);
    if (*count == 0) {
        intend_channel(model, person_id, TOCSIN__CHANNEL__CHANNEL_EMAIL, 0, intents, count);
        intend_channel(model, person_id, TOCSIN__CHANNEL__CHANNEL_WEBHOOK, 0, intents, count);
    }
}

/* Low urgency, no rule: the quietest channel that the person has. */
static void intend_low(struct model *model, uint64_t person_id, struct intent *intents, size_t *count)
{
    static const Tocsin__Channel QUIET_FIRST[] = {TOCSIN__CHANNEL__CHANNEL_EMAIL, TOCSIN__CHANNEL__CHANNEL_PUSH,
                                                  TOCSIN__CHANNEL__CHANNEL_SMS, TOCSIN__CHANNEL__CHANNEL_WEBHOOK,
                                                  TOCSIN__CHANNEL__CHANNEL_VOICE};
    for (size_t i = 0; *count == 0 && i < sizeof QUIET_FIRST / sizeof QUIET_FIRST[0]; i++) {
        intend_channel(model, person_id, QUIET_FIRST[i], 0, intents, count);
    }
}

static size_t intents_of(struct model *model, uint64_t person_id, bool low, struct intent *intents)
{
    size_t count = 0;
    for (size_t i = 0; i < model->rules.count; i++) {
        const struct rule *rule = &model->rules.items[i];
        if (rule->person_id == person_id && rule->low == low) {
            intend(intents, &count, model_way(model, person_id, rule->way_id), rule->delay_minutes);
        }
    }
    if (count == 0) {
        (low ? intend_low : intend_high)(model, person_id, intents, &count);
    }
    return count;
}

bool model_person_can_be_told(struct model *model, uint64_t person_id, bool low)
{
    struct intent intents[INTENTS_MAX];
    return intents_of(model, person_id, low, intents) > 0;
}

/* True when there is a way to at least one of those who have it. */
static bool people_tell(struct model *model, struct incident *incident)
{
    bool told = false;
    for (size_t p = 0; p < incident->people.count; p++) {
        uint64_t person_id = incident->people.items[p];
        struct intent intents[INTENTS_MAX];
        size_t count = intents_of(model, person_id, incident->low, intents);
        for (size_t i = 0; i < count; i++) {
            if (intents[i].delay_minutes == 0) {
                model_page_owe(model, incident, intents[i].way, model_person_name(model, person_id), "at once");
                continue;
            }
            struct plan *plan = list_add(&incident->plans);
            plan->due_ms = model->now_ms + model_minutes_ms(model, intents[i].delay_minutes);
            plan->sequence = ++model->last_sequence;
            plan->person_id = person_id;
            plan->way_id = intents[i].way->id;
            plan->assignment = incident->assignment;
            plan->delay_minutes = intents[i].delay_minutes;
        }
        told = told || count > 0;
    }
    return told;
}

void model_incident_call(struct model *model, struct incident *incident, uint64_t person_id, uint64_t call)
{
    struct intent intents[INTENTS_MAX];
    size_t count = intents_of(model, person_id, incident->low, intents);
    uint32_t first_minutes = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        first_minutes = intents[i].delay_minutes < first_minutes ? intents[i].delay_minutes : first_minutes;
    }
    for (size_t i = 0; i < count; i++) {
        if (intents[i].delay_minutes == first_minutes) {
            model_page_owe(model, incident, intents[i].way, model_person_name(model, person_id), "to help")->call = call;
        }
    }
}

/* ---------------------------------------------------------------- guardians */

static bool guardian_is_being_told(const struct incident *incident, const struct way *way)
{
    for (size_t i = 0; i < incident->pages.count; i++) {
        const struct page *page = incident->pages.items[i];
        if (page->to.guardian != NULL && page->assignment == incident->assignment && model_page_under_way(page) &&
            page->to.channel == way->channel && strcmp(page->to.address, way->address) == 0) {
            return true;
        }
    }
    return false;
}

/* E-mail, push, text, webhook, call: a guardian who has one of these is not told by those that follow. */
static bool guardian_has_quieter(const struct model *model, const struct way *way)
{
    static const Tocsin__Channel QUIET_FIRST[] = {TOCSIN__CHANNEL__CHANNEL_EMAIL, TOCSIN__CHANNEL__CHANNEL_PUSH,
                                                  TOCSIN__CHANNEL__CHANNEL_SMS, TOCSIN__CHANNEL__CHANNEL_WEBHOOK};
    for (size_t q = 0; q < sizeof QUIET_FIRST / sizeof QUIET_FIRST[0] && QUIET_FIRST[q] != way->channel; q++) {
        for (size_t i = 0; i < model->guardians.count; i++) {
            const struct way *other = &model->guardians.items[i];
            if (other->channel == QUIET_FIRST[q] && strcmp(other->guardian, way->guardian) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void guardians_tell(struct model *model, struct incident *incident)
{
    for (size_t i = 0; i < model->guardians.count; i++) {
        const struct way *way = &model->guardians.items[i];
        bool waits = incident->low && guardian_has_quieter(model, way);
        if (!waits && !guardian_is_being_told(incident, way)) {
            model_page_owe(model, incident, way, way->guardian, "as a guardian");
            model->counts.guardian_pages++;
        }
    }
    bool daily = incident->low && model->guardians.count > 0;
    incident->guardians_ms = model->now_ms + model_minutes_ms(model, daily ? 24 * 60 : GUARDIANS_REPEAT_MINUTES);
}

/* ---------------------------------------------------------------- giving it to somebody */

static void escalation_stop(struct incident *incident)
{
    incident->next_level_ms = 0;
    incident->guardians_ms = 0;
}

/* What an earlier assignment began has no effect any more. */
static void assignment_begin(struct model *model, struct incident *incident)
{
    incident->assignment++;
    incident->status_since_ms = incident->status != TRIGGERED ? model->now_ms : incident->status_since_ms;
    incident->status = TRIGGERED;
    incident->exhausted = false;
    incident->acknowledged_by.count = 0;
    incident->acknowledgement_ends_ms = 0;
    incident->snooze_ends_ms = 0;
    escalation_stop(incident);
    model_pages_withdraw(model, incident, 0);
}

static void give(struct model *model, struct incident *incident, const uint64_t *people, size_t count)
{
    assignment_begin(model, incident);
    incident->people.count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!model_incident_has(incident, people[i]) && model_person(model, people[i]) != NULL) {
            *list_add(&incident->people) = people[i];
        }
    }
}

/* Its people, and whoever is on call in its schedules at this moment. */
size_t model_level_people(const struct model *model, const struct policy *policy, unsigned level, uint64_t *people)
{
    size_t count = 0;
    for (unsigned i = 0; i < policy->levels[level - 1].people_count; i++) {
        people[count++] = policy->levels[level - 1].people[i];
    }
    for (unsigned i = 0; i < policy->levels[level - 1].schedules_count; i++) {
        uint64_t person_id = model_schedule_person(model, policy->levels[level - 1].schedules[i]);
        if (person_id != 0) {
            people[count++] = person_id;
        }
    }
    return count;
}

/* The escalation is over without anyone. */
static void exhaust(struct model *model, struct incident *incident)
{
    if (incident->status != TRIGGERED) {
        assignment_begin(model, incident);
    }
    incident->exhausted = true;
    incident->next_level_ms = 0;
    guardians_tell(model, incident);
}

/* They have it now, and this long. */
static void wait_begin(struct model *model, struct incident *incident, const struct policy *policy)
{
    if (incident->low && (incident->level == 0 || !policy->low_moves)) {
        return; /* low urgency escalates by time only where the policy says so */
    }
    if (incident->level > 0) {
        incident->next_level_ms =
            model->now_ms + model_minutes_ms(model, policy->levels[incident->level - 1].delay_minutes);
    } else {
        incident->guardians_ms = model->now_ms + model_minutes_ms(model, DEFAULT_LEVEL_DELAY_MINUTES * LEVELS_BY_HAND);
    }
}

/* There is no level to go to: it stays on the last one that had it. */
static void levels_end(struct model *model, struct incident *incident, bool all_were_told)
{
    incident->level -= incident->level > 1 ? 1 : 0;
    if (all_were_told && incident->low) {
        incident->exhausted = true; /* nothing for which guardians are woken */
    } else {
        exhaust(model, incident);
    }
}

/* All of the level, or the one whose turn it is. */
static size_t people_of_walk(struct model *model, const struct incident *incident, struct policy *policy, uint64_t *people)
{
    if (!policy->levels[incident->level - 1].by_turns) {
        return model_level_people(model, policy, incident->level, people);
    }
    people[0] = model_turn_next(model, incident, policy, incident->level);
    return people[0] != 0 ? 1 : 0;
}

/* From the incident's level on, the first level with somebody who can be told has it; a whole round without one is the
 * end. */
static void walk_levels(struct model *model, struct incident *incident, bool by_time)
{
    struct policy *policy = model_policy(model, incident->policy_id);
    unsigned levels_count = policy != NULL ? policy->levels_count : 0;
    for (unsigned tried = 0; tried < levels_count; tried++) {
        if (incident->level > levels_count) {
            if (incident->pass >= policy->repeats) {
                by_time = by_time && tried == 0;
                levels_end(model, incident, by_time);
                return;
            }
            incident->pass++;
            incident->level = 1;
        }
        uint64_t people[MODEL_PEOPLE_OF_LEVEL];
        give(model, incident, people, people_of_walk(model, incident, policy, people));
        if (people_tell(model, incident)) {
            wait_begin(model, incident, policy);
            return;
        }
        incident->level++;
    }
    levels_end(model, incident, false);
}

void model_incident_walk_levels(struct model *model, struct incident *incident)
{
    walk_levels(model, incident, false);
}

void model_incident_begin_policy(struct model *model, struct incident *incident, unsigned level)
{
    incident->level = level;
    incident->pass = 0;
    model_incident_walk_levels(model, incident);
}

static void next_level(struct model *model, struct incident *incident, bool by_time)
{
    model->counts.escalations++;
    if (incident->level == 0) {
        exhaust(model, incident);
        return;
    }
    incident->level++;
    walk_levels(model, incident, by_time);
}

void model_incident_give_by_hand(struct model *model, struct incident *incident, const uint64_t *people, size_t count)
{
    incident->level = 0;
    incident->pass = 0;
    give(model, incident, people, count);
}

void model_incident_tell_by_hand(struct model *model, struct incident *incident)
{
    if (people_tell(model, incident)) {
        wait_begin(model, incident, NULL);
    } else {
        exhaust(model, incident);
    }
}

/* The same people hear of it anew. */
void model_incident_tell_again(struct model *model, struct incident *incident)
{
    const struct policy *policy = model_policy(model, incident->policy_id);
    bool level_is_gone = policy == NULL || incident->level > policy->levels_count;
    if (incident->level > 0 && (incident->exhausted || level_is_gone)) {
        model_incident_begin_policy(model, incident, 1);
        return;
    }
    assignment_begin(model, incident);
    if (people_tell(model, incident)) {
        wait_begin(model, incident, policy);
    } else {
        next_level(model, incident, false);
    }
}

void model_incident_settle(struct model *model, struct incident *incident)
{
    if (incident->status == TRIGGERED && !incident->exhausted && !anything_under_way(incident) &&
        !somebody_was_told(incident)) {
        next_level(model, incident, false);
    }
}

/* ---------------------------------------------------------------- acknowledge, resolve */

static void pages_are_over(struct model *model, struct incident *incident)
{
    model_pages_withdraw(model, incident, 0);
    for (size_t i = 0; i < incident->pages.count; i++) {
        struct page *page = incident->pages.items[i];
        if (page->over_true_ms == 0 && !model_page_wanted(model, incident, page)) {
            page->over_true_ms = model->true_ms;
        }
    }
}

void model_incident_acknowledge(struct model *model, struct incident *incident, uint64_t person_id)
{
    bool was_acknowledged = incident->status == ACKNOWLEDGED;
    bool adds =
        person_id != 0 && !is_among(incident->acknowledged_by.items, incident->acknowledged_by.count, person_id);
    if (was_acknowledged && !adds) {
        return;
    }
    if (adds) {
        *list_add(&incident->acknowledged_by) = person_id;
    }
    if (!was_acknowledged) {
        incident->status = ACKNOWLEDGED;
        incident->status_since_ms = model->now_ms;
        escalation_stop(incident);
        pages_are_over(model, incident);
        model->counts.acknowledgements++;
    }
    const struct service *service = model_service(model, incident->service_id);
    uint64_t timeout_s = service != NULL ? service->acknowledgement_timeout_s : DEFAULT_ACKNOWLEDGEMENT_TIMEOUT_S;
    bool ends = timeout_s > 0 && incident->snooze_ends_ms == 0; /* a snooze lasts until its own end */
    incident->acknowledgement_ends_ms = ends ? model->now_ms + timeout_s * model->minute_ms / 60 : 0;
}

void model_incident_resolve(struct model *model, struct incident *incident)
{
    incident->status = RESOLVED;
    escalation_stop(incident);
    incident->acknowledgement_ends_ms = 0;
    incident->snooze_ends_ms = 0;
    incident->auto_resolve_ms = 0;
    incident->closed_true_ms = model->true_ms;
    model_alerts_forget(incident);
    pages_are_over(model, incident);
}

/* ---------------------------------------------------------------- what is due */

static bool is_told_at_this_instant(const struct model *model, const struct incident *incident, uint64_t way_id)
{
    for (size_t i = 0; i < incident->pages.count; i++) {
        const struct page *page = incident->pages.items[i];
        if (is_of_present(incident, page, 0) && model_page_under_way(page) && page->to.id == way_id &&
            page->owed_ms == model->now_ms) {
            return true;
        }
    }
    return false;
}

void model_incident_plan_due(struct model *model, struct incident *incident, struct plan plan)
{
    if (incident->status != TRIGGERED || plan.assignment != incident->assignment) {
        return;
    }
    const struct way *way = model_way(model, plan.person_id, plan.way_id);
    if (way != NULL && model_incident_has(incident, plan.person_id) &&
        !is_told_at_this_instant(model, incident, way->id)) {
        struct page *page =
            model_page_owe(model, incident, way, model_person_name(model, plan.person_id), "after a delay");
        page->delay_minutes = plan.delay_minutes;
    }
    model_incident_settle(model, incident);
}

void model_incident_next_level_due(struct model *model, struct incident *incident)
{
    if (incident->status == TRIGGERED) {
        next_level(model, incident, true);
    }
}

void model_incident_acknowledgement_ends(struct model *model, struct incident *incident)
{
    if (incident->status == ACKNOWLEDGED) {
        model_incident_tell_again(model, incident);
    }
}

/* It begins anew; who was given it by hand has it again. */
void model_incident_snooze_ends(struct model *model, struct incident *incident)
{
    model->counts.snoozes_ended++;
    if (incident->level > 0) {
        model_incident_begin_policy(model, incident, 1);
    } else {
        model_incident_tell_again(model, incident);
    }
}

void model_incident_guardians_due(struct model *model, struct incident *incident)
{
    if (incident->status == TRIGGERED) {
        (incident->exhausted ? guardians_tell : exhaust)(model, incident);
    }
}

/* Counted from the last word of its senders. */
void model_incident_auto_resolve_due(struct model *model, struct incident *incident)
{
    const struct service *service = model_service(model, incident->service_id);
    if (service == NULL || service->auto_resolve_timeout_s == 0) {
        return;
    }
    uint64_t due_ms = model_alerts_heard_ms(incident) + (uint64_t)service->auto_resolve_timeout_s * model->minute_ms / 60;
    if (due_ms > model->now_ms) {
        incident->auto_resolve_ms = due_ms;
    } else {
        model_incident_resolve(model, incident);
    }
}

/* ---------------------------------------------------------------- a way is closed */

static bool way_is_used(const struct incident *incident, const struct page *failed, uint64_t way_id)
{
    if (way_id == failed->to.id || is_among(failed->failed_ways, failed->failed_ways_count, way_id)) {
        return true;
    }
    for (size_t i = 0; i < incident->pages.count; i++) {
        const struct page *page = incident->pages.items[i];
        if (is_of_present(incident, page, failed->call) && page->to.id == way_id) {
            return true;
        }
    }
    return false;
}

/* Another channel first, then another address of the one that failed. */
static const struct way *way_next(struct model *model, const struct incident *incident, const struct page *failed)
{
    static const Tocsin__Channel LOUD_FIRST[] = {TOCSIN__CHANNEL__CHANNEL_SMS, TOCSIN__CHANNEL__CHANNEL_PUSH,
                                                 TOCSIN__CHANNEL__CHANNEL_VOICE, TOCSIN__CHANNEL__CHANNEL_EMAIL,
                                                 TOCSIN__CHANNEL__CHANNEL_WEBHOOK};
    size_t channels = sizeof LOUD_FIRST / sizeof LOUD_FIRST[0];
    for (size_t c = 0; c <= channels; c++) {
        Tocsin__Channel channel = c < channels ? LOUD_FIRST[c] : failed->to.channel;
        for (size_t i = 0; i < model->ways.count; i++) {
            const struct way *way = &model->ways.items[i];
            if (way->person_id == failed->to.person_id && way->channel == channel &&
                (c == channels || channel != failed->to.channel) && !way_is_used(incident, failed, way->id)) {
                return way;
            }
        }
    }
    return NULL;
}

void model_incident_way_failed(struct model *model, struct incident *incident, const struct page *failed)
{
    if (failed->to.guardian != NULL || (failed->call == 0 && !model_incident_has(incident, failed->to.person_id))) {
        return;
    }
    const struct way *way = way_next(model, incident, failed);
    if (way == NULL) {
        return;
    }
    struct page *page = model_page_owe(model, incident, way, failed->name, "because another way failed");
    page->call = failed->call;
    for (size_t i = 0; i < failed->failed_ways_count && i < MODEL_WAYS_PER_PERSON; i++) {
        page->failed_ways[page->failed_ways_count++] = failed->failed_ways[i];
    }
    page->failed_ways[page->failed_ways_count++] = failed->to.id;
}

/* ---------------------------------------------------------------- somebody leaves */

static void person_leaves(struct model *model, struct incident *incident, uint64_t person_id)
{
    for (size_t i = incident->people.count; i-- > 0;) {
        if (incident->people.items[i] == person_id) {
            list_remove(&incident->people, i);
        }
    }
    model_pages_withdraw(model, incident, person_id);
    if (incident->people.count > 0) {
        model_incident_settle(model, incident);
    } else if (incident->status == ACKNOWLEDGED) {
        model_incident_tell_again(model, incident); /* who had it is gone */
    } else if (!incident->exhausted) {
        next_level(model, incident, false);
    }
}

void model_incident_person_deleted(struct model *model, uint64_t person_id)
{
    for (size_t i = 0; i < model->incidents.count; i++) {
        struct incident *incident = model->incidents.items[i];
        if (incident->status != RESOLVED && model_incident_has(incident, person_id)) {
            person_leaves(model, incident, person_id);
        }
    }
}
