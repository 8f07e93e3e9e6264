/*
 * Hand-offs: people hear that a shift of theirs begins or ends, as long before as their rules say.
 *
 *     shifts and overrides ──> hand-offs of the next month ──┬─ a rule's advance is reached, not announced yet ──> news
 *                                  (looked at anew each time) ├─ announced, and not true any more ───────────────> news
 *                                                             └─ the next advance to come: the row is filed there
 *
 * Nothing is computed ahead: the row of a schedule that falls due, or that a change brings up at once, looks at the shifts
 * as they are by then, so that no override and no edited layer makes a stale announcement. What was announced is
 * remembered until it took place. At least daily a schedule is looked at, because the horizon moves on.
 */
#include "consensus/machine/schedules/handoffs.h"

#include "consensus/machine/checks.h"
#include "consensus/machine/paging/notices.h"
#include "consensus/machine/schedules/course.h"
#include "consensus/machine/schedules/schedules.h"

#define MS_PER_DAY (24ull * 3600 * 1000)

/* One change of hands; 0 is nobody. */
struct handoff {
    uint64_t at_ms, before, after, until_ms; /* until the next one, 0 when that is not known */
};

/* What a look at one schedule needs. */
struct look {
    struct apply *apply;
    const Tocsin__Schedule *schedule;
    Tocsin__Handoffs *state;
    struct handoff *list;
    size_t count;
    unsigned told;    /* news made by this look */
    uint64_t next_ms; /* when to look again */
};

/* ---------------------------------------------------------------- filing */

static void state_file(struct apply *apply, Tocsin__Handoffs *state, uint64_t due_ms)
{
    if (state->filed_ms != 0) {
        row_delete(apply, TABLE_HANDOFF_DUE, key_2(state->filed_ms, state->schedule_id));
    }
    state->filed_ms = due_ms;
    struct key key = key_2(due_ms, state->schedule_id);
    apply->store->put(apply->store->context, TABLE_HANDOFF_DUE, key_span(&key), (struct span){.data = "", .size_bytes = 0});
    record_put(apply->store, TABLE_HANDOFFS, key_1(state->schedule_id), &state->base);
}

static Tocsin__Handoffs *state_get(struct apply *apply, uint64_t schedule_id)
{
    return record_get(apply->store, TABLE_HANDOFFS, key_1(schedule_id), &tocsin__handoffs__descriptor, apply->arena);
}

void handoffs_touch(struct apply *apply, uint64_t schedule_id)
{
    Tocsin__Handoffs *state = state_get(apply, schedule_id);
    if (state == NULL) {
        state = apply_alloc(apply, sizeof *state);
        tocsin__handoffs__init(state);
        state->schedule_id = schedule_id;
        state->looked_ms = apply->time_ms - 1; /* what begins at this moment is news */
    }
    if (state->filed_ms == 0 || state->filed_ms > apply->time_ms) {
        state_file(apply, state, apply->time_ms);
    }
}

void handoffs_forget(struct apply *apply, uint64_t schedule_id)
{
    const Tocsin__Handoffs *state = state_get(apply, schedule_id);
    if (state != NULL) {
        row_delete(apply, TABLE_HANDOFF_DUE, key_2(state->filed_ms, schedule_id));
        row_delete(apply, TABLE_HANDOFFS, key_1(schedule_id));
    }
}

void handoffs_touch_policy(struct apply *apply, uint64_t policy_id)
{
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(apply->store, policy_id, apply->arena);
    for (size_t i = 0; policy != NULL && i < policy->n_levels; i++) {
        for (size_t j = 0; j < policy->levels[i]->n_schedule_ids; j++) {
            handoffs_touch(apply, policy->levels[i]->schedule_ids[j]);
        }
    }
}

/* ---------------------------------------------------------------- who changes hands when */

static void find_handoffs(struct look *look, uint64_t from_ms, uint64_t until_ms)
{
    struct course course = course_of(look->apply, look->schedule, from_ms, until_ms);
    look->list = apply_alloc(look->apply, course.count * sizeof *look->list);
    for (size_t i = 1; i < course.count; i++) {
        look->list[look->count++] =
            (struct handoff){.at_ms = course.steps[i].at_ms,
                             .before = course.steps[i - 1].user_id,
                             .after = course.steps[i].user_id,
                             .until_ms = i + 1 < course.count ? course.steps[i + 1].at_ms : 0};
    }
}

/* ---------------------------------------------------------------- what was announced */

static bool is_same(const Tocsin__Announced *announced, const Tocsin__Announced *other)
{
    return announced->at_ms == other->at_ms && announced->user_id == other->user_id &&
           announced->rule_id == other->rule_id && announced->begins == other->begins;
}

static bool was_announced(const struct look *look, const Tocsin__Announced *announced)
{
    for (size_t i = 0; i < look->state->n_announced; i++) {
        if (is_same(look->state->announced[i], announced)) {
            return true;
        }
    }
    return false;
}

static bool is_true_still(const struct look *look, const Tocsin__Announced *announced)
{
    for (size_t i = 0; i < look->count; i++) {
        const struct handoff *handoff = &look->list[i];
        if (handoff->at_ms == announced->at_ms &&
            announced->user_id == (announced->begins ? handoff->after : handoff->before)) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- news */

static Tocsin__Notice *notice_of(const struct look *look, Tocsin__NoticeKind kind, uint64_t valid_until_ms)
{
    Tocsin__Notice *notice = apply_alloc(look->apply, sizeof *notice);
    tocsin__notice__init(notice);
    notice->kind = kind;
    notice->schedule_id = look->schedule->id;
    notice->schedule_name = look->schedule->name;
    notice->valid_until_ms = valid_until_ms;
    return notice;
}

static uint64_t method_of_rule(struct apply *apply, const Tocsin__Announced *announced)
{
    const Tocsin__HandoffRule *rule =
        record_get(apply->store, TABLE_HANDOFF_RULE, key_2(announced->user_id, announced->rule_id),
                   &tocsin__handoff_rule__descriptor, apply->arena);
    return rule != NULL ? rule->contact_method_id : 0;
}

/* What a person was told will not be: the person hears it on the same way. */
static void take_back(struct look *look, const Tocsin__Announced *announced)
{
    Tocsin__Notice *notice = notice_of(look, TOCSIN__NOTICE_KIND__NOTICE_SHIFT_CHANGED, announced->at_ms);
    notice->start_ms = announced->begins ? announced->at_ms : 0;
    notice->end_ms = announced->begins ? 0 : announced->at_ms;
    uint64_t method_id = method_of_rule(look->apply, announced);
    notice_tell(look->apply, announced->user_id, method_id,
                announced->rule_id != 0 ? TOCSIN__WHY__WHY_HANDOFF_RULE : TOCSIN__WHY__WHY_HANDOFF_DEFAULT, notice);
    look->told++;
}

/* What took place is forgotten, and so is what will not, which is taken back. */
static void review(struct look *look)
{
    Tocsin__Handoffs *state = look->state;
    size_t kept = 0;
    for (size_t i = 0; i < state->n_announced; i++) {
        Tocsin__Announced *announced = state->announced[i];
        if (announced->at_ms <= look->apply->time_ms && announced->at_ms <= state->looked_ms) {
            continue;
        }
        if (is_true_still(look, announced)) {
            state->announced[kept++] = announced;
        } else if (announced->at_ms > look->apply->time_ms) {
            take_back(look, announced);
        }
    }
    state->n_announced = kept;
}

static void announce(struct look *look, const struct handoff *handoff, const Tocsin__Announced *what,
                     uint64_t contact_method_id)
{
    struct apply *apply = look->apply;
    Tocsin__Handoffs *state = look->state;
    uint64_t late_ms = apply_minutes_ms(apply, HANDOFF_LATE_MINUTES);
    Tocsin__NoticeKind kind =
        what->begins ? TOCSIN__NOTICE_KIND__NOTICE_SHIFT_BEGINS : TOCSIN__NOTICE_KIND__NOTICE_SHIFT_ENDS;
    Tocsin__Notice *notice = notice_of(look, kind, handoff->at_ms + late_ms);
    uint64_t other_id = what->begins ? handoff->before : handoff->after;
    const Tocsin__User *other = other_id != 0 ? user_get(apply->store, other_id, apply->arena) : NULL;
    notice->start_ms = what->begins ? handoff->at_ms : 0;
    notice->end_ms = what->begins ? handoff->until_ms : handoff->at_ms;
    notice->other_name = other != NULL ? other->name : notice->other_name;
    notice_tell(apply, what->user_id, contact_method_id,
                what->rule_id != 0 ? TOCSIN__WHY__WHY_HANDOFF_RULE : TOCSIN__WHY__WHY_HANDOFF_DEFAULT, notice);
    Tocsin__Announced *announced = apply_alloc(apply, sizeof *announced);
    *announced = *what;
    state->announced[state->n_announced++] = announced;
    look->told++;
}

static void consider(struct look *look, const struct handoff *handoff, uint64_t user_id, bool begins,
                     const Tocsin__HandoffRule *rule)
{
    uint64_t advance_ms = apply_minutes_ms(look->apply, rule->advance_minutes), now_ms = look->apply->time_ms;
    uint64_t due_ms = handoff->at_ms > advance_ms ? handoff->at_ms - advance_ms : 0;
    Tocsin__Announced what = TOCSIN__ANNOUNCED__INIT;
    what.at_ms = handoff->at_ms;
    what.user_id = user_id;
    what.rule_id = rule->id;
    what.begins = begins;
    bool of_this_kind = rule->type == TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH ||
                        (rule->type == TOCSIN__HANDOFF_TYPE__HANDOFF_ONCALL) == begins;
    if (!of_this_kind || was_announced(look, &what)) {
        return;
    }
    if (due_ms > now_ms) {
        look->next_ms = due_ms < look->next_ms ? due_ms : look->next_ms;
    } else if (look->told >= LIMIT_HANDOFF_NEWS_PER_LOOK) {
        look->next_ms = now_ms + 1; /* the rest with the next pulse */
    } else if (look->state->n_announced < LIMIT_ANNOUNCED_PER_SCHEDULE) {
        announce(look, handoff, &what, rule->contact_method_id);
    }
}

/* Whoever has no rule hears by e-mail when it happens, if there is an address. */
static void consider_default(struct look *look, const struct handoff *handoff, uint64_t user_id, bool begins)
{
    struct walk walk = walk_under(look->apply->store, TABLE_CONTACT_METHOD, user_id);
    while (walk_next(&walk)) {
        const Tocsin__ContactMethod *method =
            record_unpack(&tocsin__contact_method__descriptor, walk.value, look->apply->arena);
        if (method != NULL && method->channel == TOCSIN__CHANNEL__CHANNEL_EMAIL) {
            Tocsin__HandoffRule rule = TOCSIN__HANDOFF_RULE__INIT;
            rule.contact_method_id = method->id;
            consider(look, handoff, user_id, begins, &rule);
            return;
        }
    }
}

static void consider_user(struct look *look, const struct handoff *handoff, uint64_t user_id, bool begins)
{
    bool has_rules = false;
    struct walk walk = walk_under(look->apply->store, TABLE_HANDOFF_RULE, user_id);
    while (user_id != 0 && walk_next(&walk)) {
        const Tocsin__HandoffRule *rule =
            record_unpack(&tocsin__handoff_rule__descriptor, walk.value, look->apply->arena);
        has_rules = true;
        if (rule != NULL) {
            consider(look, handoff, user_id, begins, rule);
        }
    }
    if (user_id != 0 && !has_rules) {
        consider_default(look, handoff, user_id, begins);
    }
}

/* ---------------------------------------------------------------- one schedule */

static void announced_grow(struct look *look)
{
    Tocsin__Announced **list = apply_alloc(look->apply, LIMIT_ANNOUNCED_PER_SCHEDULE * sizeof(Tocsin__Announced *));
    for (size_t i = 0; i < look->state->n_announced; i++) {
        list[i] = look->state->announced[i];
    }
    look->state->announced = list;
}

/* `wanted`: a policy wants hand-offs of this schedule told. */
static void look_at(struct apply *apply, const Tocsin__Schedule *schedule, Tocsin__Handoffs *state, bool wanted)
{
    uint64_t now_ms = apply->time_ms, late_ms = apply_minutes_ms(apply, HANDOFF_LATE_MINUTES);
    uint64_t from_ms = state->looked_ms + late_ms > now_ms ? state->looked_ms : now_ms - late_ms;
    uint64_t reach_ms = apply_minutes_ms(apply, LIMIT_HANDOFF_ADVANCE_MINUTES) + 2 * MS_PER_DAY;
    struct look look = {.apply = apply, .schedule = schedule, .state = state, .next_ms = now_ms + MS_PER_DAY};
    if (wanted) {
        find_handoffs(&look, from_ms, now_ms + reach_ms);
        announced_grow(&look);
        review(&look);
        for (size_t i = 0; i < look.count; i++) {
            if (look.list[i].at_ms > now_ms && look.list[i].at_ms < look.next_ms) {
                look.next_ms = look.list[i].at_ms; /* whoever has got an address by then hears of it */
            }
            consider_user(&look, &look.list[i], look.list[i].before, false);
            consider_user(&look, &look.list[i], look.list[i].after, true);
        }
    }
    bool more = look.next_ms == now_ms + 1;
    state->looked_ms = more ? from_ms : now_ms;
    state_file(apply, state, look.next_ms);
}

/* ---------------------------------------------------------------- which are due */

struct due {
    uint64_t schedule_id;
    bool wanted;
};

/* A policy that wants them told only when it has services. */
struct asked {
    uint64_t policy_id;
    struct due *due;
};

static void ask_policy(const Tocsin__EscalationPolicy *policy, struct due *due, size_t count, struct asked *asked,
                       size_t *asked_count)
{
    for (size_t i = 0; i < policy->n_levels; i++) {
        for (size_t j = 0; j < policy->levels[i]->n_schedule_ids; j++) {
            for (size_t k = 0; k < count; k++) {
                if (due[k].schedule_id != policy->levels[i]->schedule_ids[j]) {
                    continue;
                }
                due[k].wanted = due[k].wanted || policy->on_call_handoff_always;
                if (!due[k].wanted && *asked_count < LIMIT_PULSE_HANDOFF_POLICIES) {
                    asked[(*asked_count)++] = (struct asked){policy->id, &due[k]};
                }
            }
        }
    }
}

static void ask_services(struct apply *apply, const struct asked *asked, size_t count)
{
    struct walk walk = walk_all(apply->store, TABLE_SERVICE);
    while (count > 0 && walk_next(&walk)) {
        Tocsin__Service *service = record_unpack(&tocsin__service__descriptor, walk.value, NULL);
        for (size_t i = 0; service != NULL && i < count; i++) {
            asked[i].due->wanted = asked[i].due->wanted || service->escalation_policy_id == asked[i].policy_id;
        }
        tocsin__service__free_unpacked(service, NULL);
    }
}

/* No index leads from a schedule to its policies and on to services: one walk along each for all that are due. */
static void ask_policies(struct apply *apply, struct due *due, size_t count)
{
    struct asked *asked = apply_alloc(apply, LIMIT_PULSE_HANDOFF_POLICIES * sizeof *asked);
    size_t asked_count = 0;
    struct walk walk = walk_all(apply->store, TABLE_ESCALATION_POLICY);
    while (walk_next(&walk)) {
        Tocsin__EscalationPolicy *policy = record_unpack(&tocsin__escalation_policy__descriptor, walk.value, NULL);
        if (policy != NULL) {
            ask_policy(policy, due, count, asked, &asked_count);
        }
        tocsin__escalation_policy__free_unpacked(policy, NULL);
    }
    ask_services(apply, asked, asked_count);
}

uint32_t handoffs_due(struct apply *apply, uint32_t left)
{
    struct due due[LIMIT_PULSE_HANDOFFS];
    size_t count = 0;
    struct walk walk = walk_all(apply->store, TABLE_HANDOFF_DUE);
    while (count < LIMIT_PULSE_HANDOFFS && count < left && walk_next(&walk) &&
           span_number(walk.key, 0) <= apply->time_ms) {
        due[count++] = (struct due){.schedule_id = span_number(walk.key, 1)};
    }
    if (count > 0) {
        ask_policies(apply, due, count);
    }
    for (size_t i = 0; i < count; i++) {
        const Tocsin__Schedule *schedule = schedule_get(apply->store, due[i].schedule_id, apply->arena);
        Tocsin__Handoffs *state = state_get(apply, due[i].schedule_id);
        if (schedule != NULL && state != NULL) {
            look_at(apply, schedule, state, due[i].wanted);
        }
    }
    return left - (uint32_t)count;
}
