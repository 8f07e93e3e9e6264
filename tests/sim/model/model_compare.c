/* The model's picture held against a state that has applied the same entries. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "consensus/machine/records.h"
#include "tests/sim/model/model_internal.h"

struct comparison {
    const struct incident *expected;
    const Tocsin__Incident *found;
    char *sentence;
    size_t size;
};

static bool __attribute__((format(printf, 2, 3))) differs(const struct comparison *comparison, const char *format, ...)
{
    char what[512];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(what, sizeof what, format, list);
    va_end(list);
    (void)snprintf(comparison->sentence, comparison->size, "incident %" PRIu64 ": %s", comparison->expected->number,
                   what);
    return false;
}

static bool numbers_agree(const struct comparison *comparison)
{
    const struct incident *expected = comparison->expected;
    const Tocsin__Incident *found = comparison->found;
    const struct {
        const char *what;
        uint64_t expected, found;
    } NUMBERS[] = {
        {"its id", expected->id, found->id},
        {"the service", expected->service_id, found->service_id},
        {"the policy", expected->policy_id, found->escalation_policy_id},
        {"the status (1 triggered, 2 acknowledged)", expected->status == ACKNOWLEDGED ? 2 : 1, found->status},
        {"the urgency (1 high, 2 low)", expected->low ? 2 : 1, found->urgency},
        {"the level", expected->level, found->level},
        {"the pass", expected->pass, found->pass},
        {"the assignment", expected->assignment, found->generation},
        {"that its escalation ended", expected->exhausted, found->exhausted},
        {"the time of the next level", expected->next_level_ms, found->escalate_due_ms},
        {"the end of the acknowledgement", expected->acknowledgement_ends_ms, found->acknowledgement_due_ms},
        {"the time for guardians", expected->guardians_ms, found->guardians_due_ms},
        {"the time at which it resolves itself", expected->auto_resolve_ms, found->auto_resolve_due_ms},
        {"the end of its snooze", expected->snooze_ends_ms, found->snooze_due_ms},
        {"the number of its open alerts", model_alerts_open(expected), found->alerts_triggered},
        {"the number of its alerts", expected->alerts.count, found->alerts_triggered + found->alerts_resolved},
        {"the number of those who have it", expected->people.count, found->n_assignments},
        {"the number of those who acknowledged", expected->acknowledged_by.count, found->n_acknowledgements},
    };
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        if (NUMBERS[i].expected != NUMBERS[i].found) {
            return differs(comparison, "%s should be %" PRIu64 " and is %" PRIu64, NUMBERS[i].what, NUMBERS[i].expected,
                           NUMBERS[i].found);
        }
    }
    return true;
}

static bool people_agree(const struct comparison *comparison)
{
    const struct incident *expected = comparison->expected;
    for (size_t i = 0; i < expected->people.count; i++) {
        if (expected->people.items[i] != comparison->found->assignments[i]->user_id) {
            return differs(comparison, "user %" PRIu64 " should have it, and user %" PRIu64 " does",
                           expected->people.items[i], comparison->found->assignments[i]->user_id);
        }
    }
    for (size_t i = 0; i < expected->acknowledged_by.count; i++) {
        if (expected->acknowledged_by.items[i] != comparison->found->acknowledgements[i]->user_id) {
            return differs(comparison, "user %" PRIu64 " acknowledged it, and user %" PRIu64 " is said to have",
                           expected->acknowledged_by.items[i], comparison->found->acknowledgements[i]->user_id);
        }
    }
    return true;
}

static size_t pages_under_way(const struct incident *incident)
{
    size_t count = 0;
    for (size_t i = 0; i < incident->pages.count; i++) {
        count += model_page_under_way(incident->pages.items[i]) ? 1 : 0;
    }
    return count;
}

static size_t plans_alive(const struct incident *incident)
{
    size_t count = 0;
    for (size_t i = 0; i < incident->plans.count; i++) {
        count += incident->status == TRIGGERED && incident->plans.items[i].assignment == incident->assignment ? 1 : 0;
    }
    return count;
}

static bool page_agrees(const struct comparison *comparison, const struct page *page, const struct machine_store *view)
{
    Tocsin__Notification *row = notification_get(view, comparison->found->id, page->id, NULL);
    static const Tocsin__NotificationState STATES[] = {
        [PAGE_OWED] = TOCSIN__NOTIFICATION_STATE__NOTIFICATION_OWED,
        [PAGE_CLAIMED] = TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED,
        [PAGE_WAITING] = TOCSIN__NOTIFICATION_STATE__NOTIFICATION_WAITING,
    };
    bool agrees = row != NULL && row->state == STATES[page->state] && row->due_at_ms == page->due_ms &&
                  row->attempt == page->attempt && row->failures == page->failures &&
                  (row->possibly_repeated != 0) == page->possibly_repeated;
    if (!agrees) {
        char text[256];
        model_page_describe(comparison->expected, page, text, sizeof text);
        (void)snprintf(comparison->sentence, comparison->size,
                       "%s is otherwise: expected state %d, attempt %u, %u failures, due %" PRIu64
                       "; found state %d, attempt %u, %u failures, due %" PRIu64,
                       text, (int)STATES[page->state], page->attempt, page->failures, page->due_ms,
                       row != NULL ? (int)row->state : -1, row != NULL ? row->attempt : 0,
                       row != NULL ? row->failures : 0, row != NULL ? row->due_at_ms : 0);
    }
    tocsin__notification__free_unpacked(row, NULL);
    return agrees;
}

static bool pages_agree(const struct comparison *comparison, const struct machine_store *view)
{
    const struct incident *expected = comparison->expected;
    size_t under_way = pages_under_way(expected), alive = plans_alive(expected);
    if (under_way != comparison->found->n_pending_notification_ids ||
        under_way + alive != comparison->found->notifications_pending) {
        return differs(comparison, "%zu pages should be on their way and %zu wait for a delay; %zu are, and %zu do",
                       under_way, alive, comparison->found->n_pending_notification_ids,
                       comparison->found->notifications_pending - comparison->found->n_pending_notification_ids);
    }
    for (size_t i = 0; i < expected->pages.count; i++) {
        const struct page *page = expected->pages.items[i];
        if (model_page_under_way(page) && page->id != 0 && !page_agrees(comparison, page, view)) {
            return false;
        }
    }
    return true;
}

bool model_compare(const struct model *model, const struct machine_store *view, char *sentence, size_t size)
{
    uint64_t open = 0;
    for (size_t i = 0; i < model->incidents.count; i++) {
        const struct incident *incident = model->incidents.items[i];
        if (incident->status == RESOLVED) {
            continue;
        }
        open++;
        Tocsin__Incident *found = incident_get_by_number(view, incident->number, NULL);
        struct comparison comparison = {.expected = incident, .found = found, .sentence = sentence, .size = size};
        bool agrees = found != NULL && found->status != TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
        agrees =
            agrees ? numbers_agree(&comparison) && people_agree(&comparison) && pages_agree(&comparison, view)
                   : differs(&comparison, "it should be open, and %s", found == NULL ? "is not there" : "is resolved");
        tocsin__incident__free_unpacked(found, NULL);
        if (!agrees) {
            return false;
        }
    }
    uint64_t found_open = view->count(view->context, TABLE_INCIDENT_OPEN);
    if (found_open != open) {
        (void)snprintf(sentence, size, "%" PRIu64 " incidents should be open, and %" PRIu64 " are", open, found_open);
        return false;
    }
    return model_held_compare(model, view, sentence, size) && model_heartbeats_compare(model, view, sentence, size) &&
           model_schedules_compare(model, view, sentence, size) && model_drills_compare(model, view, sentence, size);
}
