/*
 * From the local state to pages: who has an open incident now, who would have it next if nobody answers, and the guardians.
 *
 *     incident, triggered, high urgency ── its assignees, each by the person's rules ── after the level's delay: the next level's people ── ...
 *                                                                                        after the last: the guardians
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/arena.h"
#include "consensus/machine/paging/rules.h"
#include "consensus/machine/schedules/schedules.h"
#include "consensus/machine/services/support_hours.h"
#include "consensus/machine/suppression/suppression.h"
#include "node/last_gasp/last_gasp_internal.h"
#include "node/log.h"

/* Of one look at the state. */
struct planner {
    const struct last_gasp *gasp;
    const struct machine_store *view;
    struct arena kept;  /* what lasts for the look */
    struct arena arena; /* of one incident: there may be a million */
    struct gasp_pages *pages;
    struct person *person;
    uint64_t now_ms, cluster_ms;
    uint64_t trigger; /* whose pages are planned; 0: those of the state */
    const Tocsin__Settings *settings;
    struct told {
        uint64_t user_id, incident_id;
    } *told; /* whom, of what */
    size_t told_count, told_capacity;
};

static void planner_open(struct planner *planner, const struct last_gasp *gasp, const struct machine_store *view, uint64_t now_ms,
                         struct gasp_pages *pages) {
    *planner = (struct planner){.gasp = gasp, .view = view, .pages = pages, .now_ms = now_ms,
                                .cluster_ms = gasp->ports.cluster_ms(gasp->ports.context)};
    arena_init(&planner->kept);
    arena_init(&planner->arena);
    planner->person = malloc(sizeof *planner->person);
    if (planner->person == NULL) abort();
    planner->settings = settings_get(view, &planner->kept.allocator);
}

static void planner_close(struct planner *planner) {
    free(planner->told);
    free(planner->person);
    arena_close(&planner->arena);
    arena_close(&planner->kept);
}

static uint64_t minutes_ms(const struct planner *planner, uint32_t minutes) {
    return (uint64_t)minutes * (planner->settings != NULL ? planner->settings->minute_ms : DEFAULT_MINUTE_MS);
}

/* ---- one page */

/* By a later rule, or on a later level: the person is told once, however long the first attempt takes. */
static bool is_planned(const struct planner *planner, const Tocsin__Notification *notification) {
    for (size_t i = 0; i < planner->pages->count; i++) {
        const struct gasp_page *page = &planner->pages->pages[i];
        const Tocsin__Notification *other = page->notification;
        if (page->paged == NULL && !page->stopped && page->trigger == planner->trigger && other->incident_id == notification->incident_id &&
            other->user_id == notification->user_id && other->channel == notification->channel && strcmp(other->address, notification->address) == 0)
            return true;
    }
    return false;
}

static void add(struct planner *planner, Tocsin__Notification *notification, const Tocsin__ContactMethod *method, uint64_t after_ms) {
    struct gasp_pages *pages = planner->pages;
    if (pages->planned == LAST_GASP_PAGES_MAX) {
        if (!pages->full_told) log_error("last gasp: more than %u pages would be sent; the rest is left out", LAST_GASP_PAGES_MAX);
        pages->full_told = true;
        return;
    }
    notification->contact_method_id = method->id;
    notification->channel = method->channel;
    notification->address = method->address;
    notification->country_code = method->country_code;
    notification->degraded = notification->possibly_repeated = true;
    notification->claim_node = planner->gasp->id;
    if (gasp_record_was_told(planner->gasp, notification, planner->trigger) || is_planned(planner, notification)) return;
    gasp_pages_add(planner->gasp, pages, notification, planner->trigger, planner->now_ms + after_ms);
    pages->planned++;
}

/* ---- one person */

static bool may_tell(struct planner *planner, uint64_t user_id, uint64_t incident_id) {
    size_t of_person = 0;
    for (size_t i = 0; i < planner->told_count; i++) {
        of_person += planner->told[i].user_id == user_id;
        if (planner->told[i].user_id == user_id && planner->told[i].incident_id == incident_id) return false;
    }
    if (of_person >= LAST_GASP_INCIDENTS_PER_PERSON) return false;
    if (planner->told_count == planner->told_capacity) {
        planner->told_capacity = planner->told_capacity != 0 ? planner->told_capacity * 2 : 64;
        planner->told = realloc(planner->told, planner->told_capacity * sizeof *planner->told);
        if (planner->told == NULL) abort();
    }
    planner->told[planner->told_count++] = (struct told){user_id, incident_id};
    return true;
}

/* True when there is a way to tell the person, now or before. */
static bool tell_person(struct planner *planner, const Tocsin__Notification *about, uint64_t user_id, uint64_t after_ms) {
    ProtobufCAllocator *arena = &planner->arena.allocator;
    if (!person_load(planner->view, arena, user_id, planner->person)) return false;
    (void)person_plan(planner->view, arena, planner->person, TOCSIN__URGENCY__URGENCY_HIGH);
    if (planner->person->plans_count == 0) return false;
    if (!may_tell(planner, user_id, about->incident_id)) return true;
    for (size_t i = 0; i < planner->person->plans_count; i++) {
        const struct person_plan *plan = &planner->person->plans[i];
        Tocsin__Notification notification = *about;
        notification.user_id = user_id;
        notification.user_name = planner->person->user->name;
        add(planner, &notification, plan->method, after_ms + minutes_ms(planner, plan->delay_minutes));
    }
    return true;
}

static void tell_guardians(struct planner *planner, const Tocsin__Notification *about, uint64_t after_ms) {
    for (size_t g = 0; planner->settings != NULL && g < planner->settings->n_guardians; g++) {
        const Tocsin__Guardian *guardian = planner->settings->guardians[g];
        for (size_t m = 0; m < guardian->n_contact_methods; m++) {
            Tocsin__Notification notification = *about;
            notification.guardian = true;
            notification.user_name = guardian->name;
            add(planner, &notification, guardian->contact_methods[m], after_ms);
        }
    }
}

/* ---- one level, at the moment when it would begin */

static bool tell_level(struct planner *planner, Tocsin__Notification *about, const Tocsin__EscalationLevel *level, uint32_t number, uint64_t after_ms) {
    bool told = false;
    about->level = number;
    for (size_t i = 0; i < level->n_user_ids; i++) told |= tell_person(planner, about, level->user_ids[i], after_ms);
    for (size_t i = 0; i < level->n_schedule_ids; i++) {
        Tocsin__OnCall on_call = schedule_on_call(planner->view, level->schedule_ids[i], planner->cluster_ms + after_ms);
        if (on_call.user_id != 0) told |= tell_person(planner, about, on_call.user_id, after_ms);
    }
    return told;
}

static uint64_t level_delay_ms(const struct planner *planner, const Tocsin__EscalationLevel *level) {
    return minutes_ms(planner, level->delay_minutes != 0 ? level->delay_minutes : DEFAULT_LEVEL_DELAY_MINUTES);
}

/* From this level (counted from 1) on; a level of nobody takes no time. The guardians at the end. */
static void tell_from_level(struct planner *planner, Tocsin__Notification *about, const Tocsin__EscalationPolicy *policy, uint32_t level, uint64_t after_ms) {
    for (; policy != NULL && level <= policy->n_levels; level++)
        if (tell_level(planner, about, policy->levels[level - 1], level, after_ms)) after_ms += level_delay_ms(planner, policy->levels[level - 1]);
    about->level = 0;
    tell_guardians(planner, about, after_ms);
}

/* ---- everything */

static void plan_incident(struct planner *planner, const Tocsin__Incident *incident) {
    ProtobufCAllocator *arena = &planner->arena.allocator;
    const Tocsin__Service *service = service_get(planner->view, incident->service_id, arena);
    Tocsin__Notification about = TOCSIN__NOTIFICATION__INIT;
    about.incident_id = incident->id;
    about.incident_number = incident->number;
    about.title = incident->title;
    if (service != NULL) about.service_name = service->name;
    about.urgency = incident->urgency;
    about.level = incident->level;
    bool told = false;
    for (size_t i = 0; i < incident->n_assignments; i++) told |= tell_person(planner, &about, incident->assignments[i]->user_id, 0);
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(planner->view, incident->escalation_policy_id, arena);
    /* Given to people by hand, it has no level to go on from. */
    uint32_t level = incident->level != 0 ? incident->level : policy != NULL ? (uint32_t)policy->n_levels : 0;
    uint64_t after_ms = 0;
    if (told) after_ms = policy != NULL && level >= 1 && level <= policy->n_levels ? level_delay_ms(planner, policy->levels[level - 1]) : minutes_ms(planner, DEFAULT_LEVEL_DELAY_MINUTES);
    tell_from_level(planner, &about, policy, level + 1, after_ms);
}

static bool wakes_people(const Tocsin__Incident *incident) {
    bool ticket = incident != NULL && incident->details != NULL && incident->details->category == TOCSIN__INCIDENT_CATEGORY__CATEGORY_TICKET;
    return incident != NULL && !ticket && incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED && incident->urgency == TOCSIN__URGENCY__URGENCY_HIGH;
}

static void tell_guardians_of_the_loss(struct planner *planner, uint64_t open_incidents) {
    char title[160];
    snprintf(title, sizeof title, "The pager's cluster %.60s has no majority. Incidents that nobody has acknowledged: %llu",
             planner->settings != NULL ? planner->settings->cluster_name : "", (unsigned long long)open_incidents);
    Tocsin__Notification about = TOCSIN__NOTIFICATION__INIT;
    about.title = title;
    about.urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    tell_guardians(planner, &about, 0);
}

void gasp_plan(const struct last_gasp *gasp, const struct machine_store *view, uint64_t now_ms, struct gasp_pages *pages) {
    struct planner planner;
    planner_open(&planner, gasp, view, now_ms, pages);
    ProtobufCAllocator *arena = &planner.arena.allocator;
    uint64_t open = 0;
    struct walk count = walk_all(view, TABLE_INCIDENT_OPEN);
    while (walk_next(&count)) {
        open += wakes_people(incident_get(view, span_number(count.key, 0), arena));
        arena_reset(&planner.arena);
    }
    tell_guardians_of_the_loss(&planner, open);
    /* The newest first: what nobody looked at for a week must not take the place of what began a minute ago. */
    struct walk walk = walk_all_backward(view, TABLE_INCIDENT_OPEN);
    while (pages->planned < LAST_GASP_PAGES_MAX && walk_next(&walk)) {
        const Tocsin__Incident *incident = incident_get(view, span_number(walk.key, 0), arena);
        if (wakes_people(incident) && !gasp_record_is_answered(gasp, incident->id)) plan_incident(&planner, incident);
        arena_reset(&planner.arena);
    }
    planner_close(&planner);
}

/* As the machine would have judged it. */
static bool is_urgent(const struct planner *planner, const Tocsin__Service *service, const Tocsin__GaspTrigger *trigger) {
    if (trigger->urgency != TOCSIN__URGENCY__URGENCY_NONE) return trigger->urgency == TOCSIN__URGENCY__URGENCY_HIGH;
    Tocsin__Urgency urgency = service->urgency;
    if (service->urgency_by_support_hours)
        urgency = support_hours_at(planner->view, service->id, planner->cluster_ms) ? service->urgency_during : service->urgency_outside;
    bool minor = trigger->severity == TOCSIN__SEVERITY__SEVERITY_WARNING || trigger->severity == TOCSIN__SEVERITY__SEVERITY_INFO;
    return urgency != TOCSIN__URGENCY__URGENCY_LOW && !(urgency == TOCSIN__URGENCY__URGENCY_SEVERITY_BASED && minor);
}

/* What is open already has its incident, which is planned as such, or is held back. */
static bool is_open(struct planner *planner, uint64_t source_id, const Tocsin__GaspTrigger *trigger) {
    return alert_get_open(planner->view, source_id, trigger->dedup_key, &planner->arena.allocator) != NULL;
}

static void tell_of_service(struct planner *planner, const Tocsin__Service *service, const Tocsin__GaspTrigger *trigger) {
    uint64_t until_ms, after_ms = (uint64_t)trigger->suspend_s * 1000;
    if (service->disabled || !is_urgent(planner, service, trigger)) return;
    if (maintenance_of_service(planner->view, service->id, planner->cluster_ms, &until_ms) != 0) return;
    Tocsin__Notification about = TOCSIN__NOTIFICATION__INIT;
    about.title = trigger->summary;
    about.service_name = service->name;
    about.urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(planner->view, trigger->escalation_policy_id, &planner->arena.allocator);
    if (policy == NULL) policy = escalation_policy_get(planner->view, service->escalation_policy_id, &planner->arena.allocator);
    bool told = false;
    for (uint32_t level = 1; policy != NULL && level <= policy->n_levels && !told; level++)
        told = tell_level(planner, &about, policy->levels[level - 1], level, after_ms);
    if (!told) tell_guardians(planner, &about, after_ms);
}

/* Whose it is, rules would have said. */
static void tell_of_unsorted(struct planner *planner, const Tocsin__GaspTrigger *trigger) {
    Tocsin__Notification about = TOCSIN__NOTIFICATION__INIT;
    about.title = trigger->summary;
    about.service_name = (char *)(uintptr_t)"not known: events of this key are sorted by rules";
    about.urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    tell_guardians(planner, &about, 0);
}

void gasp_plan_trigger(const struct last_gasp *gasp, const struct machine_store *view, const struct gasp_trigger *refused, uint64_t now_ms,
                       struct gasp_pages *pages) {
    struct planner planner;
    planner_open(&planner, gasp, view, now_ms, pages);
    planner.trigger = refused->id;
    const Tocsin__GaspTrigger *trigger = refused->trigger;
    ProtobufCAllocator *arena = &planner.arena.allocator;
    const Tocsin__Integration *own = integration_get_by_key(view, trigger->routing_key, arena);
    const Tocsin__OrchestrationIntegration *shared = own == NULL ? orchestration_integration_get_by_key(view, trigger->routing_key, arena) : NULL;
    uint64_t source_id = own != NULL ? own->id : shared != NULL ? shared->id : 0;
    if (source_id != 0 && !is_open(&planner, source_id, trigger)) {
        const Tocsin__Service *service = service_get(view, own != NULL ? own->service_id : trigger->service_id, arena);
        if (service != NULL)
            tell_of_service(&planner, service, trigger);
        else if (shared != NULL)
            tell_of_unsorted(&planner, trigger);
    }
    planner_close(&planner);
}
