/* The model's ear: entries, commands, repeats, and answers held against its own judgement. */
#include "tests/sim/model/model.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_internal.h"

/* What may still come of a closed incident, or of a page of an earlier assignment, comes within this time. */
#define KEPT_TRUE_MS 300000u
#define SWEEP_TRUE_MS 10000u

/* ---------------------------------------------------------------- small things */

void *model_list_room(void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count == *capacity) {
        *capacity = *capacity == 0 ? 8 : *capacity * 2;
        items = reallocarray(items, *capacity, item_size);
        if (items == NULL) {
            abort();
        }
    }
    memset((char *)items + count * item_size, 0, item_size);
    return items;
}

void model_list_close_gap(void *items, size_t *count, size_t index, size_t item_size)
{
    assert(index < *count);
    char *gap = (char *)items + index * item_size;
    memmove(gap, gap + item_size, (*count - index - 1) * item_size);
    --*count;
}

char *model_copy(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) {
        abort();
    }
    return copy;
}

void model_broken(struct model *model, const char *format, ...)
{
    char sentence[1024];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    model->violation(model->context, sentence);
}

uint64_t model_minutes_ms(const struct model *model, uint32_t minutes)
{
    return (uint64_t)minutes * model->minute_ms;
}

const char *model_clock(const struct model *model, uint64_t time_ms)
{
    static char texts[8][32];
    static unsigned next;
    char *text = texts[next++ % 8];
    uint64_t ms = time_ms - model->start_ms;
    (void)snprintf(text, sizeof texts[0], "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64, ms / 3600000,
                   ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    return text;
}

struct model *model_new(void (*violation)(void *context, const char *sentence), void *context)
{
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        abort();
    }
    model->violation = violation;
    model->context = context;
    model->minute_ms = DEFAULT_MINUTE_MS;
    model_suppression_begin(model);
    return model;
}

static void incident_free(struct incident *incident)
{
    for (size_t i = 0; i < incident->pages.count; i++) {
        model_page_free(incident->pages.items[i]);
    }
    free(incident->pages.items);
    free(incident->plans.items);
    free(incident->people.items);
    free(incident->acknowledged_by.items);
    free(incident->helpers.items);
    free(incident->key);
    model_alerts_forget(incident);
    free(incident);
}

void model_free(struct model *model)
{
    if (model == NULL) {
        return;
    }
    for (size_t i = 0; i < model->incidents.count; i++) {
        incident_free(model->incidents.items[i]);
    }
    for (size_t i = 0; i < model->origins.count; i++) {
        free(model->origins.items[i].seen);
    }
    for (size_t i = 0; i < model->promises.count; i++) {
        free(model->promises.items[i].key);
    }
    free(model->incidents.items);
    free(model->origins.items);
    free(model->promises.items);
    for (size_t i = 0; i < model->conditions.count; i++) {
        free(model->conditions.items[i]);
    }
    free(model->conditions.items);
    free(model->grants.items);
    model_company_forget(model);
    model_groups_forget(model);
    model_suppression_forget(model);
    free(model);
}

uint64_t model_time_ms(const struct model *model)
{
    return model->now_ms;
}

void model_healed(struct model *model, uint64_t true_ms)
{
    model->healed = true;
    model->healed_true_ms = true_ms;
    model->healed_ms = model->now_ms + (true_ms > model->true_ms ? true_ms - model->true_ms : 0);
}

void model_troubled(struct model *model)
{
    model->healed = false;
}

struct model_counts model_counts(const struct model *model)
{
    struct model_counts counts = model->counts;
    for (size_t i = 0; i < model->incidents.count; i++) {
        counts.open_incidents += model->incidents.items[i]->status != RESOLVED ? 1 : 0;
    }
    return counts;
}

/* ---------------------------------------------------------------- answers */

bool model_accepted(struct model *model, const Tocsin__Reply *reply, bool lawful, const char *what)
{
    if (reply == NULL) {
        return lawful;
    }
    if (reply->status == TOCSIN__STATUS__STATUS_OK) {
        if (!lawful) {
            model_broken(model, "entry %" PRIu64 ": %s was accepted, though it must be refused", model->index, what);
        }
        return true;
    }
    bool of_shape =
        reply->reason == TOCSIN__REASON__REASON_BAD_VALUE || reply->reason == TOCSIN__REASON__REASON_TOO_MANY;
    if (lawful && !of_shape) {
        model_broken(model, "entry %" PRIu64 ": %s was refused without need: %s", model->index, what, reply->message);
    }
    if (reply->message[0] == '\0') {
        model_broken(model, "entry %" PRIu64 ": %s was refused without a word", model->index, what);
    }
    return false;
}

uint64_t model_named(const Tocsin__Reply *reply)
{
    return reply != NULL && reply->n_ids > 0 ? reply->ids[0] : 0;
}

/* ---------------------------------------------------------------- repeats */

static struct origin *origin_of(struct model *model, uint64_t node)
{
    for (size_t i = 0; i < model->origins.count; i++) {
        if (model->origins.items[i].node == node) {
            return &model->origins.items[i];
        }
    }
    struct origin *origin = list_add(&model->origins);
    origin->node = node;
    origin->seen = calloc(LIMIT_ORIGIN_WINDOW, sizeof *origin->seen);
    if (origin->seen == NULL) {
        abort();
    }
    return origin;
}

/* True when this very command was in the log before, or may have been. */
static bool is_repeated(struct model *model, const Tocsin__Origin *given)
{
    struct origin *origin = origin_of(model, given->node);
    if (given->boot < origin->boot) {
        return true;
    }
    if (given->boot > origin->boot) {
        memset(origin->seen, 0, LIMIT_ORIGIN_WINDOW * sizeof *origin->seen);
        origin->boot = given->boot;
        origin->highest = 0;
    }
    uint64_t *place = &origin->seen[given->sequence % LIMIT_ORIGIN_WINDOW];
    if (given->sequence + LIMIT_ORIGIN_WINDOW <= origin->highest || *place == given->sequence) {
        return true;
    }
    *place = given->sequence;
    if (given->sequence > origin->highest) {
        origin->highest = given->sequence;
    }
    return false;
}

/* What was answered under this key less than a day ago; NULL: nothing. */
static struct promise *promise_find(struct model *model, const Tocsin__Command *command)
{
    for (size_t i = 0; i < model->promises.count; i++) {
        struct promise *promise = &model->promises.items[i];
        if (model->now_ms - promise->at_ms >= IDEMPOTENCY_KEPT_MS) {
            free(promise->key);
            list_remove(&model->promises, i);
            i--;
        } else if (promise->actor_kind == model->actor->kind && promise->actor_id == model->actor->id &&
                   strcmp(promise->key, command->idempotency_key) == 0) {
            return promise;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- commands */

static void hand_over(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
    switch (command->body_case) {
    case TOCSIN__COMMAND__BODY_EVENT:
        model_incident_event(model, command->event, reply);
        break;
    case TOCSIN__COMMAND__BODY_INCIDENT_CREATE:
        model_incident_create(model, command->incident_create, reply);
        break;
    case TOCSIN__COMMAND__BODY_INCIDENT_UPDATE:
        model_incident_update(model, command->incident_update, reply);
        break;
    case TOCSIN__COMMAND__BODY_LAST_GASP_REPORT:
        model_incident_report(model, command->last_gasp_report);
        break;
    case TOCSIN__COMMAND__BODY_CLUSTER_NOTICE:
        model_incident_of_condition(model, command->cluster_notice);
        break;
    case TOCSIN__COMMAND__BODY_PULSE:
        model_pulse(model, command->pulse);
        break;
    case TOCSIN__COMMAND__BODY_CLAIM:
        model_pages_claim(model, command->claim, reply);
        break;
    case TOCSIN__COMMAND__BODY_RECEIPT:
        model_pages_receipt(model, command->receipt);
        break;
    case TOCSIN__COMMAND__BODY_NOTE_CREATE: /* tells nobody, opens no door */
    case TOCSIN__COMMAND__BODY_TOKEN_PUT:
    case TOCSIN__COMMAND__BODY_TOKEN_DELETE:
    case TOCSIN__COMMAND__BODY_TOKEN_USE:
    case TOCSIN__COMMAND__BODY_MEMBERS_BEGIN: /* who takes part changes nothing of what is owed */
    case TOCSIN__COMMAND__BODY_MEMBER_ADD:
    case TOCSIN__COMMAND__BODY_MEMBER_REMOVE:
    case TOCSIN__COMMAND__BODY_MEMBER_GONE:
    case TOCSIN__COMMAND__BODY_VERSION_RAISE: /* to rules that are the same */
        break;
    default:
        if (!model_heartbeats_command(model, command, reply) && !model_schedules_command(model, command, reply) &&
            !model_handling_command(model, command, reply) && !model_windows_command(model, command, reply) &&
            !model_drills_command(model, command, reply) && !model_mutes_command(model, command, reply)) {
            model_company_command(model, command, reply);
        }
    }
}

/* A request with an idempotency key is done once; what was refused may be tried again. */
static void hand_over_once(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
    struct promise *before = promise_find(model, command);
    if (before != NULL) {
        (void)model_accepted(model, reply, before->body == command->body_case,
                             "a request under a used idempotency key");
        return;
    }
    hand_over(model, command, reply);
    if (reply == NULL || reply->status != TOCSIN__STATUS__STATUS_OK) {
        return;
    }
    struct promise *promise = list_add(&model->promises);
    promise->actor_kind = model->actor->kind;
    promise->actor_id = model->actor->id;
    promise->key = model_copy(command->idempotency_key);
    promise->body = command->body_case;
    promise->at_ms = model->now_ms;
}

/* `answers_taken` counts the machine's answers that were looked at: they come in the order of the commands. */
static void command_hear(struct model *model, const Tocsin__Command *command, const struct machine_output *output,
                         size_t *answers_taken)
{
    static const Tocsin__Actor CLUSTER = TOCSIN__ACTOR__INIT;
    const Tocsin__Origin *origin = command->origin;
    bool routed = origin != NULL && origin->node != 0;
    bool repeated = routed && is_repeated(model, origin);
    Tocsin__Reply *reply = NULL;
    if (routed) {
        if (*answers_taken == output->replies_count) {
            model_broken(model, "entry %" PRIu64 ": a command of node %" PRIu64 " has no answer", model->index,
                         origin->node);
            return;
        }
        const struct machine_reply *answer = &output->replies[(*answers_taken)++];
        if (answer->node != origin->node || answer->boot != origin->boot || answer->sequence != origin->sequence ||
            answer->repeated != repeated) {
            model_broken(model,
                         "entry %" PRIu64 ": command %" PRIu64 " of node %" PRIu64 " (boot %" PRIu64
                         ") is %s, and the machine says otherwise",
                         model->index, origin->sequence, origin->node, origin->boot, repeated ? "a repeat" : "new");
            return;
        }
        if (!repeated) {
            reply = tocsin__reply__unpack(NULL, answer->packed.size_bytes, answer->packed.data);
        }
    }
    if (!repeated) {
        model->actor = command->actor != NULL ? command->actor : &CLUSTER;
        (command->idempotency_key[0] == '\0' ? hand_over : hand_over_once)(model, command, reply);
        tocsin__reply__free_unpacked(reply, NULL);
    }
}

/* ---------------------------------------------------------------- forgetting */

/* A page of which nothing can come any more. Those of the present assignment tell which ways were used. */
static bool page_is_history(const struct model *model, const struct incident *incident, const struct page *page)
{
    bool present =
        page->assignment == incident->assignment && incident->status != RESOLVED && page->to.guardian == NULL;
    return !present && !model_page_under_way(page) && model->true_ms >= page->ended_true_ms + KEPT_TRUE_MS;
}

static void sweep(struct model *model)
{
    for (size_t i = 0; i < model->incidents.count; i++) {
        struct incident *incident = model->incidents.items[i];
        for (size_t p = 0; p < incident->pages.count; p++) {
            if (page_is_history(model, incident, incident->pages.items[p])) {
                model_page_free(incident->pages.items[p]);
                list_remove(&incident->pages, p);
                p--;
            }
        }
        if (incident->status == RESOLVED && incident->pages.count == 0 && incident->plans.count == 0 &&
            model->true_ms >= incident->closed_true_ms + KEPT_TRUE_MS) {
            incident_free(incident);
            list_remove(&model->incidents, i);
            i--;
        }
    }
    model->swept_true_ms = model->true_ms;
}

/* ---------------------------------------------------------------- entries */

void model_entry(struct model *model, const struct model_applied *applied)
{
    Tocsin__Entry *entry = tocsin__entry__unpack(NULL, applied->data.size_bytes, applied->data.data);
    if (entry == NULL) {
        model_broken(model, "entry %" PRIu64 " was committed and applied, and does not decode", applied->index);
        return;
    }
    if (applied->index <= model->index) {
        model_broken(model, "entry %" PRIu64 " came after entry %" PRIu64, applied->index, model->index);
    }
    model->index = applied->index;
    model->term = applied->term;
    model->true_ms = applied->true_ms;
    uint64_t last_ms = model->now_ms;
    model->now_ms = entry->time_ms > last_ms ? entry->time_ms : last_ms;
    model_heartbeats_gap(model, last_ms);
    model->start_ms = model->start_ms == 0 ? model->now_ms : model->start_ms;
    model->node = entry->proposer;
    model->boot = entry->proposer_boot;
    model->boottime_ms = entry->proposed_boottime_ms;
    model->grants.count = 0;
    size_t answers_taken = 0;
    for (size_t i = 0; i < entry->n_commands; i++) {
        Tocsin__Command *command = tocsin__command__unpack(NULL, entry->commands[i].len, entry->commands[i].data);
        if (command == NULL) {
            model_broken(model, "entry %" PRIu64 ": a command does not decode", model->index);
            continue;
        }
        command_hear(model, command, applied->output, &answers_taken);
        model->actor = NULL;
        tocsin__command__free_unpacked(command, NULL);
    }
    model_incidents_name(model, applied->names);
    model_held_name(model, applied->names);
    model_pages_handed_over(model, applied->output);
    model_former_ways_end(model);
    tocsin__entry__free_unpacked(entry, NULL);
    if (model->true_ms >= model->swept_true_ms + SWEEP_TRUE_MS) {
        sweep(model);
    }
}
