/*
 * A maintenance window is about to end: whoever made it hears of it, and when alerts fire that will page then, so do those
 * whom the pages would go to. A window that somebody forgot to lengthen should not be found out by a page at night.
 */
#include "consensus/machine/suppression/suppression.h"

#include "consensus/machine/paging/notices.h"
#include "consensus/machine/schedules/schedules.h"

struct warning {
    struct apply *apply;
    const Tocsin__MaintenanceWindow *window;
    uint64_t end_ms;
    uint64_t firing;   /* alerts that will open incidents */
    bool more;         /* ... and further ones, which were not looked at */
    uint64_t user_ids[LIMIT_WARNING_PEOPLE];
    size_t users_count;
    uint64_t last_service_id;
};

static void add_user(struct warning *warning, uint64_t user_id)
{
    for (size_t i = 0; i < warning->users_count; i++) {
        if (warning->user_ids[i] == user_id) {
            return;
        }
    }
    if (user_id != 0 && warning->users_count < LIMIT_WARNING_PEOPLE) {
        warning->user_ids[warning->users_count++] = user_id;
    }
}

/* Everybody on it when the window ends: whose turn it will be is not known. True: somebody is. */
static bool add_level(struct warning *warning, const Tocsin__EscalationLevel *level)
{
    bool found = level->n_user_ids > 0;
    for (size_t i = 0; i < level->n_user_ids; i++) {
        add_user(warning, level->user_ids[i]);
    }
    for (size_t i = 0; i < level->n_schedule_ids; i++) {
        uint64_t user_id = schedule_on_call(warning->apply->store, level->schedule_ids[i], warning->end_ms).user_id;
        add_user(warning, user_id);
        found = found || user_id != 0;
    }
    return found;
}

static void add_on_call(struct warning *warning, const Tocsin__Service *service)
{
    const Tocsin__EscalationPolicy *policy =
        escalation_policy_get(warning->apply->store, service->escalation_policy_id, warning->apply->arena);
    bool found = policy == NULL;
    for (size_t i = 0; !found && i < policy->n_levels; i++) {
        found = add_level(warning, policy->levels[i]);
    }
}

/* An alert of a service that is still there, and in no other window by then. */
static void look_at(struct warning *warning, uint64_t alert_id)
{
    struct apply *apply = warning->apply;
    uint64_t until_ms;
    const Tocsin__Alert *alert = alert_get(apply->store, 0, alert_id, apply->arena);
    const Tocsin__Service *service = alert != NULL ? service_get(apply->store, alert->service_id, apply->arena) : NULL;
    if (service == NULL || service->disabled ||
        maintenance_of_service(apply->store, service->id, warning->end_ms, &until_ms) != 0) {
        return;
    }
    warning->firing++;
    if (service->id != warning->last_service_id) { /* alerts of one service often stand together */
        warning->last_service_id = service->id;
        add_on_call(warning, service);
    }
}

static void look_at_held(struct warning *warning)
{
    struct walk walk = walk_under(warning->apply->store, TABLE_HELD, warning->window->id);
    for (unsigned looked = 0; walk_next(&walk); looked++) {
        if (looked == LIMIT_WARNING_ALERTS) {
            warning->more = true;
            return;
        }
        look_at(warning, span_number(walk.key, 1));
    }
}

static char *note_of(const struct warning *warning)
{
    bool one = warning->firing == 1 && !warning->more;
    if (warning->firing == 0 && !warning->more) {
        return apply_strdup(warning->apply, "No alert fires under it.");
    }
    return apply_printf(warning->apply, "%s%llu alert%s still fire%s and will page then.",
                        warning->more ? "At least " : "", (unsigned long long)warning->firing, one ? "" : "s",
                        one ? "s" : "");
}

void maintenance_warn(struct apply *apply, const Tocsin__MaintenanceWindow *window)
{
    struct warning *warning = apply_alloc(apply, sizeof *warning);
    *warning = (struct warning){.apply = apply, .window = window, .end_ms = window->spans[0]->end_ms};
    add_user(warning, window->created_by_id);
    look_at_held(warning);
    Tocsin__Notice *notice = apply_alloc(apply, sizeof *notice);
    tocsin__notice__init(notice);
    notice->kind = TOCSIN__NOTICE_KIND__NOTICE_MAINTENANCE_ENDS;
    notice->schedule_name = apply_strdup(apply, window->description[0] != '\0' ? window->description : "No description");
    notice->start_ms = window->spans[0]->start_ms;
    notice->end_ms = notice->valid_until_ms = warning->end_ms;
    notice->other_name = window->created_by_name;
    notice->note = note_of(warning);
    for (size_t i = 0; i < warning->users_count; i++) {
        notice_tell(apply, warning->user_ids[i], 0, TOCSIN__WHY__WHY_MAINTENANCE_ENDS, notice);
    }
}
