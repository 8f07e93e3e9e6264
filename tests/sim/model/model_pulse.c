/* What is due, in the order of its time: people are told before anything else that is due at the same instant. */
#include <inttypes.h>
#include <stdio.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_internal.h"

/* In the order in which things of one instant are done. */
enum due_kind { DUE_NONE, DUE_PLAN, DUE_PAGE, DUE_NEXT_LEVEL, DUE_ACKNOWLEDGEMENT, DUE_GUARDIANS, DUE_AUTO_RESOLVE, DUE_HELD, DUE_SNOOZE, DUE_DRILL };

struct due {
    uint64_t due_ms;
    enum due_kind kind;
    uint64_t object, sub_object; /* among equals: the older one first */
    struct incident *incident;
    struct page *page;
    struct drill *drill; /* of the attempt or the run that is due; NULL: it is an incident's */
    size_t plan;
    struct held_due held;
};

static bool is_before(const struct due *a, const struct due *b)
{
    if (b->kind == DUE_NONE || a->due_ms != b->due_ms) {
        return b->kind == DUE_NONE || a->due_ms < b->due_ms;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind;
    }
    return a->object != b->object ? a->object < b->object : a->sub_object < b->sub_object;
}

static void consider(struct due *first, struct due candidate)
{
    if (candidate.due_ms != 0 && is_before(&candidate, first)) {
        *first = candidate;
    }
}

static void consider_incident(struct due *first, struct incident *incident)
{
    const struct due timers[] = {
        {.kind = DUE_NEXT_LEVEL, .due_ms = incident->next_level_ms, .object = incident->id, .incident = incident},
        {.kind = DUE_ACKNOWLEDGEMENT,
         .due_ms = incident->acknowledgement_ends_ms,
         .object = incident->id,
         .incident = incident},
        {.kind = DUE_GUARDIANS, .due_ms = incident->guardians_ms, .object = incident->id, .incident = incident},
        {.kind = DUE_AUTO_RESOLVE, .due_ms = incident->auto_resolve_ms, .object = incident->id, .incident = incident},
        {.kind = DUE_SNOOZE, .due_ms = incident->snooze_ends_ms, .object = incident->id, .incident = incident},
    };
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
        consider(first, timers[i]);
    }
    for (size_t i = 0; i < incident->plans.count; i++) {
        const struct plan *plan = &incident->plans.items[i];
        consider(first, (struct due){.kind = DUE_PLAN,
                                     .due_ms = plan->due_ms,
                                     .object = incident->id,
                                     .sub_object = plan->sequence,
                                     .incident = incident,
                                     .plan = i});
    }
    for (size_t i = 0; i < incident->pages.count; i++) {
        struct page *page = incident->pages.items[i];
        consider(first, (struct due){.kind = DUE_PAGE,
                                     .due_ms = model_page_under_way(page) ? page->due_ms : 0,
                                     .object = page->id != 0 ? page->id : UINT64_MAX,
                                     .sub_object = page->sequence,
                                     .incident = incident,
                                     .page = page});
    }
}

static void consider_held(struct due *first, const struct model *model)
{
    struct held_due held = model_held_first(model);
    consider(first, (struct due){.kind = DUE_HELD, .due_ms = held.due_ms, .held = held});
}

static void consider_drill(struct due *first, const struct model *model, struct drill *drill)
{
    uint64_t look_ms = drill->under_way ? drill->look_ms : 0;
    consider(first, (struct due){.kind = DUE_DRILL, .due_ms = drill->next_ms, .object = drill->id, .drill = drill});
    consider(first, (struct due){.kind = DUE_PAGE,
                                 .due_ms = look_ms,
                                 .object = look_ms != 0 ? model->drill_runs.items[drill->run].id : 0,
                                 .drill = drill});
}

/* The very first thing to be done; kind DUE_NONE when there is nothing at all. */
static struct due first_due(const struct model *model)
{
    struct due first = {.kind = DUE_NONE};
    for (size_t i = 0; i < model->incidents.count; i++) {
        consider_incident(&first, model->incidents.items[i]);
    }
    consider_held(&first, model);
    for (size_t i = 0; i < model->drills.count; i++) {
        consider_drill(&first, model, model->drills.items[i]);
    }
    return first;
}

static const char *what_is_due(const struct due *due)
{
    switch (due->kind) {
    case DUE_PAGE:
        return "is to be sent again";
    case DUE_NEXT_LEVEL:
        return "goes to the next level";
    case DUE_ACKNOWLEDGEMENT:
        return "is triggered again, because its acknowledgement ran out";
    case DUE_GUARDIANS:
        return "is brought before the guardians";
    case DUE_AUTO_RESOLVE:
        return "resolves itself";
    case DUE_SNOOZE:
        return "is triggered again, because it was snoozed only until then";
    default:
        return "is nothing";
    }
}

static bool is_void(const struct due *due)
{
    return due->kind == DUE_PLAN && (due->incident->status != TRIGGERED ||
                                     due->incident->plans.items[due->plan].assignment != due->incident->assignment);
}

/* "incident 12: Alice (sms +15550001) was to be paged at 00:03:20.000 (level 1, after 2 min)" */
static void describe(const struct model *model, const struct due *due, char *out, size_t size)
{
    const struct incident *incident = due->incident;
    if (due->kind == DUE_HELD) {
        model_held_describe(model, &due->held, out, size);
    } else if (due->drill != NULL) {
        (void)snprintf(out, size, "drill %" PRIu64 " %s at %s", due->drill->id,
                       due->kind == DUE_DRILL ? "is to be run" : "is looked at again", model_clock(model, due->due_ms));
    } else if (due->kind == DUE_PLAN) {
        const struct plan *plan = &incident->plans.items[due->plan];
        const struct way *way = model_way(model, plan->person_id, plan->way_id);
        (void)snprintf(out, size,
                       "incident %" PRIu64 ": %s (%s) was to be paged at %s (level %u, after %" PRIu32 " min)",
                       incident->number, model_person_name(model, plan->person_id),
                       way != NULL ? way->address : "a way that is gone", model_clock(model, due->due_ms),
                       incident->level, plan->delay_minutes);
    } else if (due->kind == DUE_PAGE) {
        char page[256];
        model_page_describe(incident, due->page, page, sizeof page);
        (void)snprintf(out, size, "%s %s at %s", page, what_is_due(due), model_clock(model, due->due_ms));
    } else {
        (void)snprintf(out, size, "incident %" PRIu64 " %s at %s", incident->number, what_is_due(due),
                       model_clock(model, due->due_ms));
    }
}

bool model_overdue(const struct model *model, uint64_t until_ms, char *sentence, size_t size)
{
    struct due first = {.kind = DUE_NONE};
    for (size_t i = 0; i < model->incidents.count; i++) {
        struct due of_incident = {.kind = DUE_NONE};
        consider_incident(&of_incident, model->incidents.items[i]);
        if (of_incident.kind != DUE_NONE && !is_void(&of_incident) && is_before(&of_incident, &first)) {
            first = of_incident;
        }
    }
    consider_held(&first, model);
    for (size_t i = 0; i < model->drills.count; i++) {
        consider_drill(&first, model, model->drills.items[i]);
    }
    if (first.kind == DUE_NONE || first.due_ms > until_ms) {
        return false;
    }
    char what[512];
    describe(model, &first, what, sizeof what);
    (void)snprintf(sentence, size, "%s, and by %s nothing was done about it", what, model_clock(model, model->now_ms));
    return true;
}

/* Since everything is whole, nothing waits for its pulse for long. */
static void judge_lateness(struct model *model, const struct due *due)
{
    uint64_t from_ms = due->due_ms > model->healed_ms ? due->due_ms : model->healed_ms;
    if (model->healed && !is_void(due) && model->now_ms > from_ms + MODEL_LEAVES_WITHIN_MS) {
        char what[512];
        describe(model, due, what, sizeof what);
        model_broken(model, "%s, and its turn came only at %s", what, model_clock(model, model->now_ms));
    }
}

static void handle(struct model *model, const struct due *due)
{
    struct incident *incident = due->incident;
    switch (due->kind) {
    case DUE_PLAN: {
        struct plan plan = incident->plans.items[due->plan];
        list_remove(&incident->plans, due->plan);
        model_incident_plan_due(model, incident, plan);
        break;
    }
    case DUE_PAGE:
        if (due->drill != NULL) {
            model_drill_looked_at(model, due->drill);
        } else {
            model_page_due(model, incident, due->page);
        }
        break;
    case DUE_DRILL:
        model_drill_due(model, due->drill);
        break;
    case DUE_NEXT_LEVEL:
        incident->next_level_ms = 0;
        model_incident_next_level_due(model, incident);
        break;
    case DUE_ACKNOWLEDGEMENT:
        incident->acknowledgement_ends_ms = 0;
        model_incident_acknowledgement_ends(model, incident);
        break;
    case DUE_GUARDIANS:
        incident->guardians_ms = 0;
        model_incident_guardians_due(model, incident);
        break;
    case DUE_AUTO_RESOLVE:
        incident->auto_resolve_ms = 0;
        model_incident_auto_resolve_due(model, incident);
        break;
    case DUE_SNOOZE:
        incident->snooze_ends_ms = 0;
        model_incident_snooze_ends(model, incident);
        break;
    case DUE_HELD:
        model_held_do(model, &due->held);
        break;
    case DUE_NONE:
        break;
    }
}

void model_pulse(struct model *model, const Tocsin__Pulse *asked)
{
    uint32_t limit = asked->limit < LIMIT_PULSE_DEADLINES ? asked->limit : LIMIT_PULSE_DEADLINES;
    uint32_t done = 0;
    for (; done < limit; done++) {
        struct due due = first_due(model);
        if (due.kind == DUE_NONE || due.due_ms > model->now_ms) {
            break;
        }
        judge_lateness(model, &due);
        handle(model, &due);
    }
    model_heartbeats_due(model, limit - done); /* escalations come first */
}
