/*
 * Page-delivery drills: what falls due begins, is sent once and never marked, ends with one of four words, and only the provider's own
 * failures are told.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/model/model_internal.h"

static uint64_t seconds_ms(const struct model *model, uint64_t seconds)
{
    return seconds * model->minute_ms / 60;
}

static struct drill *drill_find(const struct model *model, uint64_t id)
{
    for (size_t i = 0; i < model->drills.count; i++) {
        if (model->drills.items[i]->id == id) {
            return model->drills.items[i];
        }
    }
    return NULL;
}

/* As the state calls it, but for the channel that follows: of each drill one is told at a time. */
static void key_of(const struct drill *drill, char *key, size_t size)
{
    char id[16];
    id_format(drill->id, id);
    (void)snprintf(key, size, "drill/%s/", id);
}

static void tell(struct model *model, struct drill *drill, bool wrong)
{
    char key[40];
    key_of(drill, key, sizeof key);
    model_incident_of_drill(model, key, wrong);
    drill->told = wrong;
    model->counts.drills_told += wrong ? 1 : 0;
}

/* ---------------------------------------------------------------- a run */

/* The run that the drill is waiting for; NULL: none. */
static struct drill_run *run_of(const struct model *model, const struct drill *drill)
{
    return drill->under_way ? &model->drill_runs.items[drill->run] : NULL;
}

static void grant(struct model *model, struct drill *drill)
{
    struct drill_run *run = run_of(model, drill);
    if (model->node == 0) {
        drill->state = PAGE_OWED;
        drill->look_ms = 0;
        return;
    }
    drill->state = PAGE_CLAIMED;
    drill->claimed_ms = model->now_ms;
    drill->look_ms = model->now_ms + CLAIM_LAPSE_MS;
    drill->term = model->term;
    drill->node = model->node;
    drill->boot = model->boot;
    run->grants++;
}

static void begin(struct model *model, struct drill *drill, bool by_hand)
{
    drill->under_way = true;
    drill->run = model->drill_runs.count;
    struct drill_run *run = list_add(&model->drill_runs);
    run->drill_id = drill->id;
    run->channel = drill->channel;
    run->address = model_copy(drill->address);
    drill->begun_ms = model->now_ms;
    drill->patience_ends_ms = model->now_ms + (uint64_t)DRILL_PATIENCE_OBJECTIVES * drill->objective_ms;
    drill->by_hand = by_hand;
    drill->failures = 0;
    model->counts.drills++;
    grant(model, drill);
}

/* Forgets what has left the window, then says how many of the others could be bad, and are. */
static bool budget_is_spent(const struct model *model, struct drill *drill)
{
    uint64_t good = 0, bad = 0, could_be = drill->window_days * 86400ull / drill->interval_s;
    for (size_t i = 0; i < drill->ends.count; i++) {
        const struct drill_end *ended = &drill->ends.items[i];
        if (ended->at_ms + seconds_ms(model, drill->window_days * 86400ull) <= model->now_ms) {
            list_remove(&drill->ends, i);
            i--;
            continue;
        }
        good += ended->how == DRILL_ENDED_WELL;
        bad += ended->how == DRILL_ENDED_LATE || ended->how == DRILL_ENDED_BADLY;
    }
    could_be = good + bad > could_be ? good + bad : could_be;
    return bad > could_be * (1000 - drill->target_permille) / 1000;
}

static void end(struct model *model, struct drill *drill, enum drill_how how)
{
    struct drill_end *ended = list_add(&drill->ends);
    ended->at_ms = model->now_ms;
    ended->how = how;
    drill->under_way = false;
    bool spent = budget_is_spent(model, drill);
    if (how == DRILL_ENDED_BADLY || (how == DRILL_ENDED_LATE && spent)) {
        tell(model, drill, true);
    } else if (how == DRILL_ENDED_WELL && drill->told) {
        tell(model, drill, false);
    }
}

static void stop(struct model *model, struct drill *drill)
{
    drill->under_way = false;
    if (drill->told) {
        tell(model, drill, false);
    }
}

void model_drill_due(struct model *model, struct drill *drill)
{
    uint64_t interval_ms = seconds_ms(model, drill->interval_s);
    if (!drill->under_way) {
        begin(model, drill, false);
    }
    while (drill->next_ms <= model->now_ms) {
        drill->next_ms += interval_ms;
    }
}

void model_drill_looked_at(struct model *model, struct drill *drill)
{
    if (drill->state == PAGE_WAITING && model->now_ms < drill->patience_ends_ms) {
        grant(model, drill);
    } else {
        end(model, drill, DRILL_ENDED_UNSEEN);
    }
}

static struct drill *drill_of_notification(const struct model *model, uint64_t id)
{
    for (size_t i = 0; i < model->drills.count; i++) {
        const struct drill_run *run = run_of(model, model->drills.items[i]);
        if (run != NULL && run->id == id) {
            return model->drills.items[i];
        }
    }
    return NULL;
}

static struct drill_run *run_find(const struct model *model, uint64_t id)
{
    for (size_t i = 0; id != 0 && i < model->drill_runs.count; i++) {
        if (model->drill_runs.items[i].id == id) {
            return &model->drill_runs.items[i];
        }
    }
    return NULL;
}

bool model_drills_receipt(struct model *model, const Tocsin__Receipt *receipt)
{
    struct drill_run *run = run_find(model, receipt->notification_id);
    struct drill *drill = drill_of_notification(model, receipt->notification_id);
    if (drill == NULL || drill->state != PAGE_CLAIMED || run->grants != receipt->attempt ||
        receipt->outcome == TOCSIN__OUTCOME__OUTCOME_NONE) {
        return run != NULL;
    }
    uint64_t took_ms = drill->claimed_ms + receipt->elapsed_ms - drill->begun_ms;
    if (receipt->outcome == TOCSIN__OUTCOME__OUTCOME_SENT) {
        if (run->requests == 0) {
            model_broken(model, "drill %" PRIu64 " is said to be delivered, and no request ever left", drill->id);
        }
        end(model, drill, took_ms <= drill->objective_ms ? DRILL_ENDED_WELL : DRILL_ENDED_LATE);
        return true;
    }
    bool again = receipt->outcome == TOCSIN__OUTCOME__OUTCOME_RETRY && ++drill->failures < NOTIFICATION_FAILURES_MAX &&
                 model->now_ms + receipt->retry_after_ms < drill->patience_ends_ms;
    if (!again) {
        end(model, drill, DRILL_ENDED_BADLY);
        return true;
    }
    run->refusals++;
    drill->state = PAGE_WAITING;
    drill->look_ms = model->now_ms + receipt->retry_after_ms;
    return true;
}

bool model_drills_claim(struct model *model, uint64_t id, bool *granted)
{
    struct drill *drill = drill_of_notification(model, id);
    *granted = false;
    if (drill == NULL) {
        return run_find(model, id) != NULL; /* nobody waits for its end any more */
    }
    bool own = drill->term == model->term && drill->node == model->node && drill->boot == model->boot;
    bool claimed = drill->state == PAGE_CLAIMED;
    if ((claimed && !own && drill->term >= model->term) ||
        (drill->state == PAGE_WAITING && drill->look_ms > model->now_ms)) {
        return true;
    }
    if (model->now_ms >= drill->patience_ends_ms || (claimed && drill->term < model->term)) {
        end(model, drill, DRILL_ENDED_UNSEEN);
        return true;
    }
    grant(model, drill);
    *granted = true;
    return true;
}

/* ---------------------------------------------------------------- what leaves */

void model_drills_handed_over(struct model *model, const Tocsin__Notification *notification)
{
    struct drill_run *run = run_find(model, notification->id);
    for (size_t i = 0; run == NULL && i < model->drill_runs.count; i++) {
        struct drill_run *candidate = &model->drill_runs.items[i];
        run = candidate->id == 0 && candidate->drill_id == notification->notice->drill_id ? candidate : NULL;
    }
    if (run == NULL || run->told == run->grants || notification->possibly_repeated ||
        run->channel != notification->channel || strcmp(run->address, notification->address) != 0) {
        model_broken(model, "entry %" PRIu64 " hands over a drill to %s%s, and none is to be sent so", model->index,
                     notification->address, notification->possibly_repeated ? " as a repeat" : "");
        return;
    }
    run->id = notification->id;
    run->told++;
}

void model_drills_all_handed_over(struct model *model)
{
    for (size_t i = 0; i < model->drill_runs.count; i++) {
        struct drill_run *run = &model->drill_runs.items[i];
        if (run->told != run->grants) {
            run->told = run->grants;
            model_broken(model, "entry %" PRIu64 ": drill %" PRIu64 " is to be sent, and was handed to nobody", model->index,
                         run->drill_id);
        }
    }
}

/* Once, and once more for each refusal that the log knows of. */
bool model_drills_request(struct model *model, const struct model_request *request)
{
    struct drill_run *run = run_find(model, request->page_id);
    if (run == NULL) {
        return false;
    }
    if (++run->requests > 1 + run->refusals) {
        model_broken(model, "node %" PRIu64 " sends drill %" PRIu64 " to %s for the %u. time after %u refusals", request->node,
                     run->drill_id, request->to, run->requests, run->refusals);
    }
    if (strstr(request->text, "[Drill]") == NULL || strstr(request->text, "possibly repeated") != NULL) {
        model_broken(model, "node %" PRIu64 " sends a drill to %s that does not say so, or says that it is a repeat: \"%.200s\"",
                     request->node, request->to, request->text);
    }
    return true;
}

/* ---------------------------------------------------------------- requests */

static void take_fields(struct drill *drill, const Tocsin__Drill *given, bool creation, uint64_t fields)
{
    if (model_given(creation, fields, 3)) {
        free(drill->address);
        drill->address = model_copy(given->contact_method->address);
        drill->channel = given->contact_method->channel;
    }
    drill->interval_s = model_given(creation, fields, 4) ? given->interval_s : drill->interval_s;
    drill->objective_ms = model_given(creation, fields, 5) ? given->delivery_objective_ms : drill->objective_ms;
    drill->target_permille = model_given(creation, fields, 6) ? given->target_permille : drill->target_permille;
    drill->window_days = model_given(creation, fields, 7) ? given->window_days : drill->window_days;
    drill->disabled = model_given(creation, fields, 8) ? given->disabled : drill->disabled;
}

static void put(struct model *model, const Tocsin__DrillPut *asked, const Tocsin__Reply *reply)
{
    struct drill *drill = drill_find(model, asked->id);
    bool lawful = asked->drill != NULL && (asked->id == 0 || drill != NULL);
    if (!model_accepted(model, reply, lawful, "a drill") || !lawful) {
        return;
    }
    bool creation = asked->id == 0, was_off = creation || drill->disabled;
    uint32_t interval_s = creation ? 0 : drill->interval_s;
    char *address = creation ? NULL : model_copy(drill->address);
    Tocsin__Channel channel = creation ? TOCSIN__CHANNEL__CHANNEL_NONE : drill->channel;
    if (creation) {
        drill = calloc(1, sizeof *drill);
        if (drill == NULL) {
            abort();
        }
        drill->id = model_named(reply);
        *list_add(&model->drills) = drill;
    }
    take_fields(drill, asked->drill, creation, asked->fields);
    bool moved = !creation && (channel != drill->channel || strcmp(address, drill->address) != 0);
    free(address);
    if ((!was_off && drill->disabled) || moved) {
        stop(model, drill);
    }
    if (drill->disabled) {
        drill->next_ms = 0;
    } else if (was_off || interval_s != drill->interval_s) {
        drill->next_ms = model->now_ms + (was_off ? 0 : seconds_ms(model, drill->interval_s));
    }
}

static void drill_free(struct drill *drill)
{
    free(drill->address);
    free(drill->ends.items);
    free(drill);
}

static void delete(struct model *model, uint64_t id, const Tocsin__Reply *reply)
{
    struct drill *drill = drill_find(model, id);
    if (!model_accepted(model, reply, drill != NULL, "the deletion of a drill") || drill == NULL) {
        return;
    }
    stop(model, drill);
    for (size_t i = 0; i < model->drills.count; i++) {
        if (model->drills.items[i] == drill) {
            list_remove(&model->drills, i);
            break;
        }
    }
    drill_free(drill);
}

static void start(struct model *model, uint64_t id, const Tocsin__Reply *reply)
{
    struct drill *drill = drill_find(model, id);
    bool just_now = drill != NULL && drill->by_hand && model->now_ms < drill->begun_ms + model_minutes_ms(model, DRILL_BY_HAND_MINUTES);
    bool lawful = drill != NULL && !drill->under_way && !just_now;
    if (model_accepted(model, reply, lawful, "a drill by hand") && lawful) {
        begin(model, drill, true);
    }
}

bool model_drills_command(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
    switch (command->body_case) {
    case TOCSIN__COMMAND__BODY_DRILL_PUT:
        put(model, command->drill_put, reply);
        return true;
    case TOCSIN__COMMAND__BODY_DRILL_DELETE:
        delete(model, command->drill_delete->id, reply);
        return true;
    case TOCSIN__COMMAND__BODY_DRILL_START:
        start(model, command->drill_start->id, reply);
        return true;
    default:
        return false;
    }
}

/* ---------------------------------------------------------------- what the machine made of it */

static uint64_t ended_so(const struct drill *drill, enum drill_how how)
{
    uint64_t count = 0;
    for (size_t i = 0; i < drill->ends.count; i++) {
        count += drill->ends.items[i].how == how;
    }
    return count;
}

bool model_drills_compare(const struct model *model, const struct machine_store *view, char *sentence, size_t size)
{
    for (size_t i = 0; i < model->drills.count; i++) {
        const struct drill *drill = model->drills.items[i];
        Tocsin__DrillState *found = drill_state_get(view, drill->id, NULL);
        bool agrees = found != NULL && found->next_due_ms == drill->next_ms &&
                      (found->notification_id != 0) == drill->under_way && found->delivered == ended_so(drill, DRILL_ENDED_WELL) &&
                      found->late == ended_so(drill, DRILL_ENDED_LATE) && found->failed == ended_so(drill, DRILL_ENDED_BADLY) &&
                      found->lost == ended_so(drill, DRILL_ENDED_UNSEEN) && (found->failing != 0) == drill->told;
        if (!agrees) {
            (void)snprintf(sentence, size,
                           "drill %" PRIu64 " should have %" PRIu64 " runs in time, %" PRIu64 " late, %" PRIu64 " failed, %" PRIu64
                           " lost, be %s, %s and due %" PRIu64 ", and has %u, %u, %u, %u, is %s, %s and due %" PRIu64,
                           drill->id, ended_so(drill, DRILL_ENDED_WELL), ended_so(drill, DRILL_ENDED_LATE),
                           ended_so(drill, DRILL_ENDED_BADLY), ended_so(drill, DRILL_ENDED_UNSEEN),
                           drill->under_way ? "under way" : "at rest", drill->told ? "told" : "not told", drill->next_ms,
                           found != NULL ? found->delivered : 0, found != NULL ? found->late : 0, found != NULL ? found->failed : 0,
                           found != NULL ? found->lost : 0, found != NULL && found->notification_id != 0 ? "under way" : "at rest",
                           found != NULL && found->failing ? "told" : "not told", found != NULL ? found->next_due_ms : 0);
        }
        tocsin__drill_state__free_unpacked(found, NULL);
        if (!agrees) {
            return false;
        }
    }
    uint64_t count = view->count(view->context, TABLE_DRILL);
    if (count != model->drills.count) {
        (void)snprintf(sentence, size, "%zu drills should be there, and %" PRIu64 " are", model->drills.count, count);
    }
    return count == model->drills.count;
}

void model_drills_forget(struct model *model)
{
    for (size_t i = 0; i < model->drills.count; i++) {
        drill_free(model->drills.items[i]);
    }
    for (size_t i = 0; i < model->drill_runs.count; i++) {
        free(model->drill_runs.items[i].address);
    }
    free(model->drills.items);
    free(model->drill_runs.items);
}
