/*
 * Jobs that say now and then that they live, and times in which nobody could have heard them.
 *
 * A job that was heard is down when it has been silent for its period and its grace, not counting the time in which
 * the cluster could not hear. Of gaps too short to lose a patient sender's request no more than one grace is left out;
 * an outage is left out whole. Whoever had to ping during an outage, and may have failed for it, is waited for until
 * the next time that a ping is expected, no longer than a period and a grace after the outage, unless the grace is so
 * long that it covers that anyway. A node that is away may have been the only one that a job knows, if that was not
 * heard since: its absence is left out like a short gap.
 *
 * A job with a schedule is expected at the moments that fit it, each minute looked at by itself. A moment that an outage
 * may have swallowed, or the time that it is waited for, is passed over, and people are told; the first one behind the outage counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/model/model_internal.h"

static struct heartbeat *heartbeat_find(const struct model *model, uint64_t id)
{
    for (size_t i = 0; i < model->heartbeats.count; i++) {
        if (model->heartbeats.items[i].id == id) {
            return &model->heartbeats.items[i];
        }
    }
    return NULL;
}

static uint64_t seconds_ms(const struct model *model, uint32_t seconds)
{
    return (uint64_t)seconds * model->minute_ms / 60;
}

/* ---------------------------------------------------------------- gaps */

static uint64_t tick_ms(const struct model *model)
{
    uint64_t second_ms = model->minute_ms / 60;
    return second_ms < TICK_MS_MIN ? TICK_MS_MIN : second_ms;
}

void model_heartbeats_gap(struct model *model, uint64_t since_ms)
{
    uint64_t gap_ms = model->now_ms - since_ms, long_ms = BLIND_LONG_TICKS * tick_ms(model);
    if (model->heartbeats.count == 0 || 2 * gap_ms <= 3 * tick_ms(model)) {
        return;
    }
    struct gap *gap = list_add(&model->gaps);
    *gap = (struct gap){.from_ms = since_ms, .until_ms = model->now_ms};
    *(gap_ms < long_ms ? &gap->short_ms : &gap->outage_ms) = gap_ms;
    if (model->gaps.count > LIMIT_BLIND_INTERVALS) { /* the oldest two are remembered as one */
        struct gap *first = &model->gaps.items[0], *second = &model->gaps.items[1];
        second->from_ms = first->from_ms;
        second->short_ms += first->short_ms;
        second->outage_ms += first->outage_ms;
        list_remove(&model->gaps, 0);
    }
    if (gap_ms >= long_ms && gap_ms >= model_minutes_ms(model, BLIND_PAGE_MINUTES)) {
        model->blindness_untold = true;
    }
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

/* How much of it lies after `since_ms`: of one that had begun before, no more than what came after. */
static uint64_t left_of(uint64_t blind_ms, const struct gap *gap, uint64_t since_ms)
{
    if (gap->until_ms <= since_ms) {
        return 0;
    }
    return gap->from_ms < since_ms ? at_most(blind_ms, gap->until_ms - since_ms) : blind_ms;
}

/* The end of the latest outage that touches this time; 0: none does. */
static uint64_t outage_in(const struct model *model, uint64_t from_ms, uint64_t until_ms)
{
    uint64_t end_ms = 0;
    for (size_t i = 0; i < model->gaps.count; i++) {
        const struct gap *gap = &model->gaps.items[i];
        if (gap->outage_ms > 0 && gap->from_ms < until_ms && gap->until_ms > from_ms) {
            end_ms = gap->until_ms;
        }
    }
    return end_ms;
}

/* A sign of life, and since when the next one is missed. */
struct waiting {
    uint64_t heard_ms, since_ms;
};

static uint64_t absent_ms(const struct model *model, struct waiting waiting)
{
    uint64_t absent_ms = 0;
    for (size_t i = 0; i < model->absences.count; i++) {
        const struct absence *absence = &model->absences.items[i];
        if (waiting.heard_ms > absence->told_ms || absence->until_ms <= waiting.since_ms) {
            continue; /* by way of another node */
        }
        absent_ms += absence->until_ms - (absence->from_ms > waiting.since_ms ? absence->from_ms : waiting.since_ms);
    }
    return absent_ms;
}

/* When silence since then is to be believed. */
static uint64_t believed_ms(const struct model *model, struct waiting waiting, uint64_t period_ms, uint64_t grace_ms)
{
    uint64_t since_ms = waiting.since_ms, short_ms = absent_ms(model, waiting), outage_ms = 0;
    for (size_t i = 0; i < model->gaps.count; i++) {
        short_ms += left_of(model->gaps.items[i].short_ms, &model->gaps.items[i], since_ms);
        outage_ms += left_of(model->gaps.items[i].outage_ms, &model->gaps.items[i], since_ms);
    }
    uint64_t plain_ms = since_ms + period_ms + grace_ms + outage_ms + at_most(short_ms, grace_ms);
    uint64_t around_ms = grace_ms / 4, expected_ms = since_ms + period_ms;
    if (grace_ms >= 2 * period_ms) {
        return plain_ms;
    }
    uint64_t lost_until_ms = 0;
    for (unsigned times = 0; times < 3; times++) { /* no more: then the job is held to be dead */
        uint64_t found_ms = outage_in(model, expected_ms - around_ms, expected_ms + around_ms);
        if (found_ms == 0) {
            break;
        }
        lost_until_ms = found_ms;
        while (expected_ms < lost_until_ms + around_ms) {
            expected_ms += period_ms;
        }
    }
    if (lost_until_ms == 0) {
        return plain_ms;
    }
    uint64_t next_ms = at_most(expected_ms, lost_until_ms + period_ms) + grace_ms;
    return next_ms > plain_ms ? next_ms : plain_ms;
}

/* ---------------------------------------------------------------- moments of a schedule */

/* The first that the log has told; 0: none. */
static uint64_t moment_from(const struct heartbeat *heartbeat, uint64_t from_ms)
{
    uint64_t moment_ms = plain_cron_next_ms(&heartbeat->cron, from_ms);
    return moment_ms <= heartbeat->told_until_ms ? moment_ms : 0;
}

/* A sign of life now is the one of the moment before, or of none: the next one is waited for. */
static void expect(const struct model *model, struct heartbeat *heartbeat)
{
    bool waits = heartbeat->has_cron && heartbeat->life == LIFE_UP;
    heartbeat->expected_ms = waits ? moment_from(heartbeat, model->now_ms + 1) : 0;
}

/* When nobody waits for it any longer; of what was not told, when to look whether it is by then. */
static uint64_t moment_believed_ms(const struct model *model, const struct heartbeat *heartbeat)
{
    if (heartbeat->expected_ms == 0) {
        return model->now_ms + model->minute_ms;
    }
    return believed_ms(model, (struct waiting){heartbeat->heard_ms, heartbeat->expected_ms}, 0, seconds_ms(model, heartbeat->grace_s));
}

/* Elections and what was lost on the way are over by then. */
#define HEALED_FOR_MS 30000u

/* What may have been said while nobody listened is passed over, and the next one behind the outage waited for. */
static void moments_pass(struct model *model, struct heartbeat *heartbeat)
{
    if (!heartbeat->has_cron || heartbeat->life != LIFE_UP) {
        return;
    }
    if (heartbeat->expected_ms == 0) {
        expect(model, heartbeat);
        if (heartbeat->expected_ms == 0 && model->healed && model->true_ms > model->healed_true_ms + HEALED_FOR_MS) {
            model_broken(model, "everything is whole, and nobody knows when heartbeat %" PRIu64 " is expected", heartbeat->id);
        }
        return;
    }
    uint64_t expected_ms = heartbeat->expected_ms, believed_at_ms, heard_again_ms;
    while (heartbeat->expected_ms != 0 && (believed_at_ms = moment_believed_ms(model, heartbeat)) <= model->now_ms &&
           (heard_again_ms = outage_in(model, heartbeat->expected_ms, believed_at_ms)) != 0) {
        heartbeat->expected_ms = moment_from(heartbeat, heard_again_ms);
    }
    if (heartbeat->expected_ms != expected_ms) {
        model->counts.moments_passed++;
        model_incident_of_blindness(model);
    }
}

/* All from the one that is next on, and none beside them. */
static void moments_hear(struct model *model, struct heartbeat *heartbeat, const uint64_t *moments_s, size_t count)
{
    uint64_t next_ms = plain_cron_next_ms(&heartbeat->cron, model->now_ms + 1);
    bool right = count > 0;
    for (size_t i = 0; right && i < count; i++) {
        bool follows = i == 0 || moments_s[i] * 1000 == plain_cron_next_ms(&heartbeat->cron, moments_s[i - 1] * 1000 + 1);
        right = follows && plain_cron_fits(&heartbeat->cron, moments_s[i] * 1000);
    }
    if (!right || moments_s[0] * 1000 > next_ms) {
        model_broken(model, "entry %" PRIu64 ": heartbeat %" PRIu64 " is next expected at %s, and the moments that are told are others, from %s on",
                     model->index, heartbeat->id, model_clock(model, next_ms),
                     count > 0 ? model_clock(model, moments_s[0] * 1000) : "never");
    }
    heartbeat->told_until_ms = count > 0 ? moments_s[count - 1] * 1000 : 0;
    model->counts.moments_told++;
}

static void cron_set(struct model *model, struct heartbeat *heartbeat, const Tocsin__HeartbeatPut *put)
{
    const Tocsin__Heartbeat *asked = put->heartbeat;
    heartbeat->has_cron = asked->schedule[0] != '\0';
    if (heartbeat->has_cron && !plain_cron_read(asked->schedule, asked->time_zone, &heartbeat->cron)) {
        model_broken(model, "entry %" PRIu64 ": the model does not know the schedule %s of %s", model->index, asked->schedule, asked->time_zone);
        heartbeat->has_cron = false;
    }
    if (heartbeat->has_cron) {
        moments_hear(model, heartbeat, put->moments_s, put->n_moments_s);
    }
    expect(model, heartbeat);
}

/* ---------------------------------------------------------------- when it goes down */

/* When it goes down if nothing is heard; 0: not by silence. */
static uint64_t goes_down_ms(const struct model *model, const struct heartbeat *heartbeat)
{
    uint64_t grace_ms = seconds_ms(model, heartbeat->grace_s), period_ms = seconds_ms(model, heartbeat->period_s);
    uint64_t heard_ms = heartbeat->heard_ms, started_ms = heartbeat->started_ms, next_ms = 0;
    if (heartbeat->life == LIFE_UP) {
        next_ms = heartbeat->has_cron ? moment_believed_ms(model, heartbeat)
                                      : believed_ms(model, (struct waiting){heard_ms, heard_ms}, period_ms, grace_ms);
    }
    if (heartbeat->life == LIFE_DOWN || heartbeat->started_ms == 0) {
        return next_ms;
    }
    /* It runs, and is to end within the grace; an outage may have swallowed that word of it, and then the schedule
     * tells. */
    uint64_t run_ms = believed_ms(model, (struct waiting){started_ms, started_ms}, 0, grace_ms);
    if (next_ms == 0) {
        return run_ms;
    }
    return outage_in(model, heartbeat->started_ms, run_ms) != 0 ? next_ms : at_most(run_ms, next_ms);
}

/* It is looked at no later than that. Once a look is set it stays, though a ping may have come: it is put off when its
 * time comes. */
static void look_set(const struct model *model, struct heartbeat *heartbeat)
{
    if (heartbeat->life == LIFE_DOWN && heartbeat->look_ms != 0) {
        return; /* nobody was told yet */
    }
    uint64_t down_ms = goes_down_ms(model, heartbeat);
    if (down_ms == 0) {
        heartbeat->look_ms = 0;
    } else if (heartbeat->look_ms == 0 || heartbeat->look_ms > down_ms) {
        heartbeat->look_ms = down_ms;
    }
}

/* Down, and nobody knows, because nobody was to be asked then: it is told now. */
static void tell_if_untold(const struct model *model, struct heartbeat *heartbeat)
{
    if (heartbeat->life == LIFE_DOWN && heartbeat->look_ms == 0 && !model_is_told_of(model, heartbeat->id)) {
        heartbeat->look_ms = model->now_ms;
    }
}

/* There are never so many that they would be looked at one part after the other. */
void model_heartbeats_service_enabled(struct model *model, uint64_t service_id)
{
    for (size_t i = 0; i < model->heartbeats.count; i++) {
        if (model->heartbeats.items[i].service_id == service_id) {
            tell_if_untold(model, &model->heartbeats.items[i]);
        }
    }
}

/* ---------------------------------------------------------------- up and down */

static void goes_down(struct model *model, struct heartbeat *heartbeat)
{
    heartbeat->life = LIFE_DOWN;
    heartbeat->look_ms = heartbeat->expected_ms = 0;
    model_incident_of_cluster(model, heartbeat->id, heartbeat->service_id, true);
}

static void is_heard(struct model *model, struct heartbeat *heartbeat)
{
    heartbeat->heard_ms = model->now_ms;
    if (heartbeat->life != LIFE_UP) { /* whatever it was meanwhile: what was wrong before is over */
        model_incident_of_cluster(model, heartbeat->id, heartbeat->service_id, false);
    }
    heartbeat->life = LIFE_UP;
    expect(model, heartbeat);
}

static void run_ends(struct heartbeat *heartbeat, const Tocsin__Ping *ping)
{
    if (strcmp(heartbeat->run, ping->run) == 0 || ping->run[0] == '\0' ||
        ping->kind == TOCSIN__PING_KIND__PING_FAIL) {
        heartbeat->started_ms = 0;
        heartbeat->run[0] = '\0';
    }
}

static void ping(struct model *model, const Tocsin__Ping *ping, const Tocsin__Reply *reply)
{
    struct heartbeat *heartbeat = heartbeat_find(model, ping->heartbeat_id);
    if (ping->create != NULL) {
        model_broken(model, "entry %" PRIu64 ": the model does not know pings that make heartbeats", model->index);
        return;
    }
    if (!model_accepted(model, reply, heartbeat != NULL, "a ping") || heartbeat == NULL) {
        return;
    }
    bool failed = ping->has_exit_status && ping->exit_status > 0;
    if ((heartbeat->life == LIFE_PAUSED && heartbeat->manual_resume) ||
        (heartbeat->post_only && !ping->posted && !failed)) {
        return;
    }
    model->counts.pings++;
    if (ping->kind == TOCSIN__PING_KIND__PING_START) {
        heartbeat->started_ms = model->now_ms;
        (void)snprintf(heartbeat->run, sizeof heartbeat->run, "%s", ping->run);
    } else if (ping->kind == TOCSIN__PING_KIND__PING_SUCCESS) {
        run_ends(heartbeat, ping);
        is_heard(model, heartbeat);
    } else if (ping->kind == TOCSIN__PING_KIND__PING_FAIL) {
        run_ends(heartbeat, ping);
        heartbeat->heard_ms = model->now_ms;
        goes_down(model, heartbeat);
    }
    look_set(model, heartbeat);
}

/* ---------------------------------------------------------------- what people define */

static uint32_t grace_for(uint32_t period_s)
{
    uint64_t grace_s = (uint64_t)period_s * DEFAULT_HEARTBEAT_GRACE_PERIODS;
    grace_s = grace_s < DEFAULT_HEARTBEAT_GRACE_S_MIN ? DEFAULT_HEARTBEAT_GRACE_S_MIN : grace_s;
    return (uint32_t)at_most(grace_s, LIMIT_HEARTBEAT_SECONDS_MAX);
}

static void heartbeat_define(struct model *model, const Tocsin__HeartbeatPut *put, const Tocsin__Reply *reply)
{
    const Tocsin__Heartbeat *asked = put->heartbeat;
    bool creation = put->id == 0;
    struct heartbeat *heartbeat = heartbeat_find(model, put->id);
    bool lawful = asked != NULL && (creation || heartbeat != NULL) &&
                  (!model_given(creation, put->fields, 7) || model_service(model, asked->service_id) != NULL);
    if (put->unique_fields != 0) {
        model_broken(model, "entry %" PRIu64 ": the model does not know unique fields of heartbeats", model->index);
        return;
    }
    if (!model_accepted(model, reply, lawful, "a heartbeat") || !lawful) {
        return;
    }
    if (creation) {
        heartbeat = list_add(&model->heartbeats);
        heartbeat->id = model_named(reply);
        (void)snprintf(heartbeat->key, sizeof heartbeat->key, "%s", asked->key);
    }
    uint64_t service_id = heartbeat->service_id;
    heartbeat->service_id = model_given(creation, put->fields, 7) ? asked->service_id : service_id;
    heartbeat->period_s = model_given(creation, put->fields, 8) ? asked->period_s : heartbeat->period_s;
    heartbeat->period_s = heartbeat->period_s == 0 ? DEFAULT_HEARTBEAT_PERIOD_S : heartbeat->period_s;
    heartbeat->grace_s = model_given(creation, put->fields, 9) ? asked->grace_s : heartbeat->grace_s;
    heartbeat->grace_s = heartbeat->grace_s == 0 ? grace_for(heartbeat->period_s) : heartbeat->grace_s;
    heartbeat->manual_resume = model_given(creation, put->fields, 10) ? asked->manual_resume : heartbeat->manual_resume;
    heartbeat->post_only = model_given(creation, put->fields, 11) ? asked->post_only : heartbeat->post_only;
    if (model_given(creation, put->fields, 13)) {
        cron_set(model, heartbeat, put);
    }
    look_set(model, heartbeat);
    if (heartbeat->service_id != service_id) {
        tell_if_untold(model, heartbeat);
    }
}

static void heartbeat_remove(struct model *model, const Tocsin__HeartbeatDelete *delete, const Tocsin__Reply *reply)
{
    struct heartbeat *heartbeat = heartbeat_find(model, delete->id);
    if (model_accepted(model, reply, heartbeat != NULL, "the deletion of a heartbeat") && heartbeat != NULL) {
        model_incident_of_cluster(model, heartbeat->id, heartbeat->service_id, false);
        list_remove(&model->heartbeats, (size_t)(heartbeat - model->heartbeats.items));
    }
}

/* What is open stays open. After a pause it begins anew. */
static void heartbeat_rest(struct model *model, const Tocsin__HeartbeatPause *pause, const Tocsin__Reply *reply)
{
    struct heartbeat *heartbeat = heartbeat_find(model, pause->id);
    bool lawful = heartbeat != NULL && (!pause->resume || heartbeat->life == LIFE_PAUSED);
    if (!model_accepted(model, reply, lawful, "a pause of a heartbeat") || !lawful) {
        return;
    }
    heartbeat->life = pause->resume ? LIFE_NEW : LIFE_PAUSED;
    heartbeat->started_ms = heartbeat->expected_ms = 0;
    look_set(model, heartbeat);
}

/* Refused when somebody was quicker, which is no harm. */
static void moments_extend(struct model *model, const Tocsin__HeartbeatExtend *extend, const Tocsin__Reply *reply)
{
    struct heartbeat *heartbeat = heartbeat_find(model, extend->heartbeat_id);
    if (reply->status == TOCSIN__STATUS__STATUS_OK && heartbeat != NULL && heartbeat->has_cron) {
        moments_hear(model, heartbeat, extend->moments_s, extend->n_moments_s);
    }
}

static bool is_absent(const Tocsin__Tick *tick, uint64_t node)
{
    bool found = false;
    for (size_t i = 0; i < tick->n_unheard; i++) {
        found |= tick->unheard[i]->id == node;
    }
    return found;
}

static void absences_note(struct model *model, const Tocsin__Tick *tick)
{
    for (size_t i = 0; i < model->absences.count; i++) {
        struct absence *absence = &model->absences.items[i];
        absence->until_ms = absence->goes_on ? model->now_ms : absence->until_ms;
        absence->goes_on = absence->goes_on && is_absent(tick, absence->node);
    }
    for (size_t i = 0; i < tick->n_unheard; i++) {
        bool known = false;
        for (size_t a = 0; a < model->absences.count; a++) {
            known |= model->absences.items[a].goes_on && model->absences.items[a].node == tick->unheard[i]->id;
        }
        if (known) {
            continue;
        }
        struct absence *absence = list_add(&model->absences);
        *absence = (struct absence){.node = tick->unheard[i]->id,
                                    .from_ms = model->now_ms - tick->unheard[i]->silent_ms,
                                    .told_ms = model->now_ms,
                                    .until_ms = model->now_ms,
                                    .goes_on = true};
        if (model->absences.count > LIMIT_CUT_OFFS) {
            size_t oldest = 0;
            while (model->absences.items[oldest].goes_on) {
                oldest++;
            }
            list_remove(&model->absences, oldest);
        }
    }
}

/* The second in which all is well, but for nodes that are away; an outage is told when the next one has come. */
static void tick(struct model *model, const Tocsin__Tick *tick)
{
    absences_note(model, tick);
    if (model->blindness_untold) {
        model->blindness_untold = false;
        model_incident_of_blindness(model);
    }
}

bool model_heartbeats_command(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
    switch (command->body_case) {
    case TOCSIN__COMMAND__BODY_PING:
        ping(model, command->ping, reply);
        return true;
    case TOCSIN__COMMAND__BODY_TICK:
        tick(model, command->tick);
        return true;
    case TOCSIN__COMMAND__BODY_HEARTBEAT_PUT:
        heartbeat_define(model, command->heartbeat_put, reply);
        return true;
    case TOCSIN__COMMAND__BODY_HEARTBEAT_DELETE:
        heartbeat_remove(model, command->heartbeat_delete, reply);
        return true;
    case TOCSIN__COMMAND__BODY_HEARTBEAT_PAUSE:
        heartbeat_rest(model, command->heartbeat_pause, reply);
        return true;
    case TOCSIN__COMMAND__BODY_HEARTBEAT_EXTEND:
        moments_extend(model, command->heartbeat_extend, reply);
        return true;
    default:
        return false;
    }
}

bool model_service_has_heartbeats(const struct model *model, uint64_t service_id)
{
    for (size_t i = 0; i < model->heartbeats.count; i++) {
        if (model->heartbeats.items[i].service_id == service_id) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- silence */

/* The first one to be looked at; of several at one instant the older. */
static struct heartbeat *first_look(const struct model *model)
{
    struct heartbeat *first = NULL;
    for (size_t i = 0; i < model->heartbeats.count; i++) {
        struct heartbeat *heartbeat = &model->heartbeats.items[i];
        bool sooner = first == NULL || heartbeat->look_ms < first->look_ms ||
                      (heartbeat->look_ms == first->look_ms && heartbeat->id < first->id);
        if (heartbeat->look_ms != 0 && sooner) {
            first = heartbeat;
        }
    }
    return first;
}

static void judge_lateness(struct model *model, const struct heartbeat *heartbeat, uint64_t down_ms)
{
    uint64_t from_ms = down_ms > model->healed_ms ? down_ms : model->healed_ms;
    if (model->healed && model->now_ms > from_ms + MODEL_LEAVES_WITHIN_MS) {
        model_broken(model, "heartbeat %" PRIu64 " was silent for too long at %s, and nobody said so before %s",
                     heartbeat->id, model_clock(model, down_ms), model_clock(model, model->now_ms));
    }
}

void model_tell_silence(struct model *model, void (*silent)(void *context, const char *key), void *context)
{
    model->silent = silent;
    model->silent_context = context;
}

void model_heartbeats_due(struct model *model, uint32_t limit)
{
    while (limit > 0) {
        struct heartbeat *heartbeat = first_look(model);
        if (heartbeat == NULL || heartbeat->look_ms > model->now_ms) {
            return;
        }
        heartbeat->look_ms = 0;
        if (heartbeat->life == LIFE_DOWN) {
            goes_down(model, heartbeat);
            limit--;
            continue;
        }
        moments_pass(model, heartbeat);
        uint64_t down_ms = goes_down_ms(model, heartbeat);
        if (down_ms != 0 && down_ms <= model->now_ms) {
            judge_lateness(model, heartbeat, down_ms);
            model->counts.heartbeats_silent++;
            if (model->silent != NULL) {
                model->silent(model->silent_context, heartbeat->key);
            }
            goes_down(model, heartbeat);
            limit--;
        } else {
            look_set(model, heartbeat);
        }
    }
}

bool model_heartbeats_overdue(const struct model *model, uint64_t until_ms, char *sentence, size_t size)
{
    for (size_t i = 0; i < model->heartbeats.count; i++) {
        const struct heartbeat *heartbeat = &model->heartbeats.items[i];
        uint64_t down_ms = heartbeat->life == LIFE_DOWN ? heartbeat->look_ms : goes_down_ms(model, heartbeat);
        if (down_ms != 0 && down_ms <= until_ms) {
            (void)snprintf(sentence, size, "heartbeat %" PRIu64 " was silent for too long at %s, and by %s nobody said so",
                           heartbeat->id, model_clock(model, down_ms), model_clock(model, model->now_ms));
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- against a state */

bool model_heartbeats_compare(const struct model *model, const struct machine_store *view, char *sentence, size_t size)
{
    uint64_t found_count = view->count(view->context, TABLE_HEARTBEAT);
    if (found_count != model->heartbeats.count) {
        (void)snprintf(sentence, size, "there should be %zu heartbeats, and there are %" PRIu64, model->heartbeats.count,
                       found_count);
        return false;
    }
    for (size_t i = 0; i < model->heartbeats.count; i++) {
        const struct heartbeat *expected = &model->heartbeats.items[i];
        Tocsin__HeartbeatState *found = heartbeat_state_get(view, expected->id, NULL);
        bool agrees = found != NULL && found->status == (Tocsin__HeartbeatStatus)expected->life &&
                      (expected->life != LIFE_UP || found->last_ping_ms == expected->heard_ms) &&
                      found->last_start_ms == expected->started_ms && found->filed_ms == expected->look_ms &&
                      found->expected_ms == expected->expected_ms;
        if (!agrees) {
            (void)snprintf(sentence, size,
                           "heartbeat %" PRIu64 " is otherwise: expected status %d, heard at %" PRIu64 ", started at %" PRIu64
                           ", to be looked at %" PRIu64 ", waited for at %" PRIu64 "; found %d, %" PRIu64 ", %" PRIu64 ", %" PRIu64
                           ", %" PRIu64,
                           expected->id, (int)expected->life, expected->heard_ms, expected->started_ms,
                           expected->look_ms, expected->expected_ms, found != NULL ? (int)found->status : -1,
                           found != NULL ? found->last_ping_ms : 0, found != NULL ? found->last_start_ms : 0,
                           found != NULL ? found->filed_ms : 0, found != NULL ? found->expected_ms : 0);
        }
        tocsin__heartbeat_state__free_unpacked(found, NULL);
        if (!agrees) {
            return false;
        }
    }
    return true;
}
