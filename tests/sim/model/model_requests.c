/* Requests that left, each explained by a page and a claim of its own; and the end, when nothing may be owed any more.
 * */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_internal.h"

/* Clocks of nodes run a little faster or slower than true time. */
#define CLOCK_SLACK_MS 100u

/* ---------------------------------------------------------------- what the text says */

struct message {
    uint64_t number; /* 0: none */
    bool to_guardian, marked, calls;
    unsigned level; /* 0: not said */
};

/* Where the message itself speaks, after the title of the incident, which may say anything. */
static unsigned level_read(const char *text)
{
    bool is_long = strchr(text, '\n') != NULL;
    const char *before = is_long ? "\n\nService: " : " - service ",
               *level = is_long ? "\nEscalation level: " : ", level ";
    const char *facts = text;
    for (const char *found; (found = strstr(facts, before)) != NULL;) {
        facts = found + strlen(before);
    }
    const char *found = strstr(facts, level);
    return found != NULL ? (unsigned)strtoul(found + strlen(level), NULL, 10) : 0;
}

static struct message message_read(const char *text)
{
    struct message message = {0};
    const char *number = strstr(text, "[#");
    if (number != NULL) {
        char *rest;
        message.number = strtoull(number + 2, &rest, 10);
        message.to_guardian = strncmp(rest, " NOBODY ANSWERED", strlen(" NOBODY ANSWERED")) == 0;
        message.calls = strncmp(rest, " HELP WANTED", strlen(" HELP WANTED")) == 0;
    }
    message.marked = strstr(text, "(possibly repeated)") != NULL;
    message.level = level_read(text);
    return message;
}

/* ---------------------------------------------------------------- to whom it goes */

static bool is_telephone(const struct way *way, const char *to)
{
    char number[64];
    if (way->address[0] == '+') {
        return strcmp(way->address, to) == 0;
    }
    (void)snprintf(number, sizeof number, "+%" PRIu32 "%s", way->country_code, way->address);
    return strcmp(number, to) == 0 || strcmp(way->address, to) == 0;
}

static const char *topic_of(const char *address)
{
    const char *slash = strrchr(address, '/');
    return slash != NULL ? slash + 1 : address;
}

static bool is_addressed(const struct page *page, const struct model_request *request)
{
    const struct way *way = &page->to;
    if (way->channel != request->channel) {
        return false;
    }
    switch (way->channel) {
    case TOCSIN__CHANNEL__CHANNEL_SMS:
    case TOCSIN__CHANNEL__CHANNEL_VOICE:
        return is_telephone(way, request->to);
    case TOCSIN__CHANNEL__CHANNEL_PUSH:
        return strcmp(topic_of(way->address), topic_of(request->to)) == 0;
    default:
        return strcmp(way->address, request->to) == 0;
    }
}

/* ---------------------------------------------------------------- by which leave */

/* What is wrong with a request, and with a claim for it: the higher, the less. */
enum miss { MISS_PAGE, MISS_ADDRESS, MISS_LEVEL, MISS_CLAIMANT, MISS_CLOCK, MISS_USED, MISS_MARK, MISS_NONE };

static enum miss claim_miss(const struct model_request *request, const struct message *message,
                            const struct claim *claim)
{
    if (claim->node != request->node || claim->boot != request->boot) {
        return MISS_CLAIMANT;
    }
    if (request->boottime_ms < claim->boottime_ms || request->boottime_ms > claim->boottime_ms + CLAIM_VALID_MS) {
        return MISS_CLOCK;
    }
    if (claim->used) {
        return MISS_USED;
    }
    return claim->marked != message->marked ? MISS_MARK : MISS_NONE;
}

/* The same node claimed it anew in a later term: it no longer leads in the claim's own. */
static bool is_superseded(const struct page *page, size_t claim)
{
    const struct claim *old = &page->claims[claim];
    for (size_t i = claim + 1; i < page->claims_count; i++) {
        const struct claim *later = &page->claims[i];
        if (later->node == old->node && later->boot == old->boot && later->term > old->term) {
            return true;
        }
    }
    return false;
}

static enum miss page_miss(struct page *page, const struct model_request *request, const struct message *message,
                           struct claim **claim)
{
    if (!is_addressed(page, request) || (page->to.guardian != NULL) != message->to_guardian ||
        (page->call != 0) != message->calls) {
        return MISS_ADDRESS;
    }
    if (page->to.guardian == NULL && page->call == 0 && page->level != message->level) {
        return MISS_LEVEL;
    }
    enum miss nearest = MISS_CLAIMANT;
    for (size_t i = 0; i < page->claims_count; i++) {
        if (is_superseded(page, i)) {
            continue;
        }
        enum miss miss = claim_miss(request, message, &page->claims[i]);
        if (miss >= nearest) { /* the latest one, where several would do */
            nearest = miss;
            *claim = &page->claims[i];
        }
    }
    return nearest;
}

static const char *miss_sentence(enum miss miss)
{
    static const char *const SENTENCES[] = {
        [MISS_PAGE] = "nobody is owed that page",
        [MISS_ADDRESS] = "nobody is owed that page there",
        [MISS_LEVEL] = "it speaks of another level than the page",
        [MISS_CLAIMANT] = "the sender has no claim of it",
        [MISS_CLOCK] = "the sender's claim was not valid then",
        [MISS_USED] = "the claim had been used for a request before",
        [MISS_MARK] = "its word about being repeated is wrong",
        [MISS_NONE] = "",
    };
    return SENTENCES[miss];
}

/* ---------------------------------------------------------------- a second time */

/* Why the page may be sent once more; false when nothing in the log says so. */
static bool repeat_is_explained(const struct page *page, const struct claim *claim)
{
    /* The later one was sent first and said that it may be a repeat: this is what it repeats, by a leader that does not know yet that it was
     * deposed. */
    if (claim->term < page->last_request.term && page->last_request.marked) {
        return true;
    }
    switch (page->last_outcome) {
    case TOCSIN__OUTCOME__OUTCOME_RETRY:
        return true;
    case TOCSIN__OUTCOME__OUTCOME_UNKNOWN:
        return claim->marked;
    case TOCSIN__OUTCOME__OUTCOME_NONE:
        return claim->marked && (page->lapsed_since || claim->term > page->last_request.term);
    default:
        return false;
    }
}

static void judge_repeat(struct model *model, const struct incident *incident, const struct page *page,
                         const struct claim *claim)
{
    if (page->requests == 0) {
        return;
    }
    model->counts.repeats++;
    if (!repeat_is_explained(page, claim)) {
        char text[256];
        model_page_describe(incident, page, text, sizeof text);
        model_broken(model,
                     "%s was sent by node %" PRIu64 " in term %" PRIu64 " and again by node %" PRIu64
                     " in term %" PRIu64 " without a reason in the log",
                     text, page->last_request.node, page->last_request.term, claim->node, claim->term);
    }
}

static void judge_lateness(struct model *model, const struct incident *incident, const struct page *page,
                           uint64_t true_ms)
{
    if (page->requests > 0 || !model->healed) {
        return;
    }
    uint64_t from_ms = page->owed_true_ms > model->healed_true_ms ? page->owed_true_ms : model->healed_true_ms;
    uint64_t late_ms = true_ms > from_ms ? true_ms - from_ms : 0;
    if (late_ms > model->counts.leaves_after_ms_max) {
        model->counts.leaves_after_ms_max = late_ms;
    }
    if (late_ms > MODEL_LEAVES_WITHIN_MS) {
        char text[256];
        model_page_describe(incident, page, text, sizeof text);
        model_broken(model, "%s, owed at %s, left %" PRIu64 " ms after everything was whole", text,
                     model_clock(model, page->owed_ms), late_ms);
    }
}

static void request_take(struct model *model, const struct incident *incident, struct page *page, struct claim *claim,
                         const struct model_request *request)
{
    if (page->over_true_ms != 0 && request->true_ms > page->over_true_ms + CLAIM_VALID_MS + CLOCK_SLACK_MS) {
        char text[256];
        model_page_describe(incident, page, text, sizeof text);
        model_broken(model, "%s left %" PRIu64 " ms after the incident was acknowledged or resolved", text,
                     request->true_ms - page->over_true_ms);
    }
    judge_repeat(model, incident, page, claim);
    judge_lateness(model, incident, page, request->true_ms);
    claim->used = true;
    page->requests++;
    page->last_request = *claim;
    page->last_outcome = TOCSIN__OUTCOME__OUTCOME_NONE;
    page->lapsed_since = false;
    model->counts.pages_sent++;
}

static void request_unexplained(struct model *model, const struct model_request *request,
                                const struct incident *incident, const char *why)
{
    model_broken(
        model, "incident %" PRIu64 ": node %" PRIu64 " (boot %" PRIu64 ") sent a message to %s, and %s: \"%.200s\"",
        incident != NULL ? incident->number : 0, request->node, request->boot, request->to, why, request->text);
}

static struct page *page_of(const struct incident *incident, uint64_t id)
{
    for (size_t i = 0; i < incident->pages.count; i++) {
        if (incident->pages.items[i]->id == id) {
            return incident->pages.items[i];
        }
    }
    return NULL;
}

void model_request(struct model *model, const struct model_request *request)
{
    if (model_news_request(model, request) || model_drills_request(model, request)) {
        return;
    }
    struct message message = message_read(request->text);
    struct incident *incident = model_incident_find(model, message.number);
    if (incident == NULL) {
        request_unexplained(model, request, NULL, "it speaks of no incident that is known");
        return;
    }
    struct claim *claim = NULL;
    struct page *page = page_of(incident, request->page_id);
    enum miss miss = page != NULL ? page_miss(page, request, &message, &claim) : MISS_PAGE;
    if (miss == MISS_NONE) {
        request_take(model, incident, page, claim, request);
    } else {
        request_unexplained(model, request, incident, miss_sentence(miss));
    }
}

/* ---------------------------------------------------------------- the end */

/* Owed long enough, still wanted, and neither a request nor a word in the log. */
static bool page_is_missing(const struct model *model, const struct incident *incident, const struct page *page, uint64_t due_until_ms)
{
    return model_page_under_way(page) && model_page_wanted(model, incident, page) && page->requests == 0 &&
           page->receipts == 0 && page->owed_ms <= due_until_ms;
}

/* Somebody must hear of it some time: a level to come, a page on its way, an acknowledgement that ends or was said not
 * to. */
static bool is_forgotten(const struct incident *incident)
{
    if (incident->status != TRIGGERED || incident->low) {
        return false;
    }
    return incident->next_level_ms == 0 && incident->guardians_ms == 0;
}

void model_finish(struct model *model, uint64_t due_until_ms)
{
    char sentence[768];
    if (model_overdue(model, due_until_ms, sentence, sizeof sentence) ||
        model_heartbeats_overdue(model, due_until_ms, sentence, sizeof sentence)) {
        model_broken(model, "%s", sentence);
    }
    model_conditions_finish(model);
    for (size_t i = 0; i < model->incidents.count; i++) {
        const struct incident *incident = model->incidents.items[i];
        for (size_t p = 0; p < incident->pages.count; p++) {
            const struct page *page = incident->pages.items[p];
            if (page_is_missing(model, incident, page, due_until_ms)) {
                char text[256];
                model_page_describe(incident, page, text, sizeof text);
                model_broken(model, "%s was owed at %s and had not left by %s", text, model_clock(model, page->owed_ms),
                             model_clock(model, model->now_ms));
            }
        }
        if (is_forgotten(incident)) {
            model_broken(model, "incident %" PRIu64 " is triggered, and nobody will ever hear of it again",
                         incident->number);
        }
    }
}
