/*
 * Pages: owed, claimed, sent or not.
 *
 * Each request needs a claim of its own, and a claim is granted only while somebody still has to be told.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_internal.h"

bool model_page_under_way(const struct page *page)
{
    return page->state == PAGE_OWED || page->state == PAGE_CLAIMED || page->state == PAGE_WAITING;
}

/* Who is called to help need not have it, and is called until she answers. */
static bool call_is_wanted(const struct model *model, const struct incident *incident, const struct page *page)
{
    return incident->status != RESOLVED && model_person(model, page->to.person_id) != NULL &&
           model_helper_is_awaited(incident, page->to.person_id);
}

bool model_page_wanted(const struct model *model, const struct incident *incident, const struct page *page)
{
    if (page->call != 0) {
        return call_is_wanted(model, incident, page);
    }
    return incident->status == TRIGGERED && page->assignment == incident->assignment &&
           (page->to.guardian != NULL || model_incident_has(incident, page->to.person_id));
}

static const char *channel_word(Tocsin__Channel channel)
{
    static const char *const WORDS[] = {"nothing", "email", "sms", "voice", "push", "webhook"};
    return (size_t)channel < sizeof WORDS / sizeof WORDS[0] ? WORDS[channel] : "?";
}

void model_page_describe(const struct incident *incident, const struct page *page, char *out, size_t size)
{
    char when[64];
    if (page->delay_minutes > 0) {
        (void)snprintf(when, sizeof when, "after %" PRIu32 " min", page->delay_minutes);
    } else {
        (void)snprintf(when, sizeof when, "%s", page->reason);
    }
    (void)snprintf(out, size, "incident %" PRIu64 ": the page to %s (%s %s, level %u, pass %u, %s)", incident->number,
                   page->name, channel_word(page->to.channel), page->to.address, page->level, page->pass, when);
}

void model_page_free(struct page *page)
{
    free(page->to.address);
    free(page->to.guardian);
    free(page->name);
    free(page);
}

static void page_end(struct model *model, struct page *page, enum page_state state)
{
    page->state = state;
    page->due_ms = 0;
    page->ended_true_ms = model->true_ms;
}

/* ---------------------------------------------------------------- owing and claiming */

/* The proposer of the entry may send it once. */
static void grant(struct model *model, struct incident *incident, struct page *page)
{
    if (model->node == 0) {
        page->state = PAGE_OWED;
        page->due_ms = 0;
        return;
    }
    page->state = PAGE_CLAIMED;
    page->due_ms = model->now_ms + CLAIM_LAPSE_MS;
    page->attempt++;
    if (page->claims_count == MODEL_CLAIMS_KEPT) {
        memmove(page->claims, page->claims + 1, (MODEL_CLAIMS_KEPT - 1) * sizeof page->claims[0]);
        page->claims_count--;
    }
    page->claims[page->claims_count++] = (struct claim){.index = model->index,
                                                        .term = model->term,
                                                        .node = model->node,
                                                        .boot = model->boot,
                                                        .boottime_ms = model->boottime_ms,
                                                        .attempt = page->attempt,
                                                        .marked = page->possibly_repeated};
    *list_add(&model->grants) = (struct grant){.incident = incident, .page = page, .attempt = page->attempt};
}

struct page *model_page_owe(struct model *model, struct incident *incident, const struct way *way, const char *name,
                            const char *reason)
{
    struct page *page = calloc(1, sizeof *page);
    if (page == NULL) {
        abort();
    }
    *list_add(&incident->pages) = page;
    page->sequence = ++model->last_sequence;
    page->to = *way;
    page->to.address = model_copy(way->address);
    page->to.guardian = way->guardian != NULL ? model_copy(way->guardian) : NULL;
    page->name = model_copy(name);
    page->assignment = incident->assignment;
    page->level = incident->level;
    page->pass = incident->pass;
    page->reason = reason;
    page->owed_ms = model->now_ms;
    page->owed_true_ms = model->true_ms;
    model->counts.pages_owed++;
    grant(model, incident, page);
    return page;
}

void model_pages_withdraw(struct model *model, struct incident *incident, uint64_t person_id)
{
    for (size_t i = 0; i < incident->pages.count; i++) {
        struct page *page = incident->pages.items[i];
        bool concerned = person_id == 0 ? page->call == 0 || !model_page_wanted(model, incident, page) : (page->to.guardian == NULL && page->to.person_id == person_id);
        if (concerned && (page->state == PAGE_OWED || page->state == PAGE_WAITING)) {
            page_end(model, page, PAGE_CANCELLED);
        }
    }
}

/* ---------------------------------------------------------------- what became of it */

/* This way is closed. A page that never left must have a word in the log about why. */
static void give_up(struct model *model, struct incident *incident, struct page *page)
{
    bool wanted = model_page_wanted(model, incident, page);
    page_end(model, page, PAGE_FAILED);
    if (page->requests == 0) {
        model->counts.excused++;
        if (model->healed && page->receipts == 0 && page->owed_true_ms >= model->healed_true_ms && wanted) {
            char text[256];
            model_page_describe(incident, page, text, sizeof text);
            model_broken(model, "%s, owed at %s, was given up at %s without a single request", text,
                         model_clock(model, page->owed_ms), model_clock(model, model->now_ms));
        }
    }
    if (wanted) {
        model_incident_way_failed(model, incident, page);
    }
}

void model_page_due(struct model *model, struct incident *incident, struct page *page)
{
    if (!model_page_wanted(model, incident, page)) {
        page_end(model, page, PAGE_CANCELLED);
    } else if (page->state == PAGE_CLAIMED) {
        page->possibly_repeated = true; /* no word came of it */
        page->lapsed_since = true;
        page->failures++;
        if (page->failures < NOTIFICATION_FAILURES_MAX) {
            grant(model, incident, page);
        } else {
            give_up(model, incident, page);
        }
    } else {
        grant(model, incident, page);
        return;
    }
    model_incident_settle(model, incident);
}

static struct page *page_find(struct model *model, uint64_t id, struct incident **incident)
{
    for (size_t i = 0; i < model->incidents.count; i++) {
        *incident = model->incidents.items[i];
        for (size_t p = 0; p < (*incident)->pages.count; p++) {
            if ((*incident)->pages.items[p]->id == id) {
                return (*incident)->pages.items[p];
            }
        }
    }
    return NULL;
}

static void receipt_says_sent(struct model *model, struct incident *incident, struct page *page)
{
    if (page->requests == 0) {
        char text[256];
        model_page_describe(incident, page, text, sizeof text);
        model_broken(model, "%s: a receipt says that it was sent, and no request ever left", text);
    }
    page_end(model, page, PAGE_SENT);
}

static void receipt_says_failed(struct model *model, struct incident *incident, struct page *page,
                                const Tocsin__Receipt *receipt)
{
    bool unknown = receipt->outcome == TOCSIN__OUTCOME__OUTCOME_UNKNOWN;
    bool may_recover = unknown || receipt->outcome == TOCSIN__OUTCOME__OUTCOME_RETRY;
    page->possibly_repeated = page->possibly_repeated || unknown;
    page->failures++;
    if (!may_recover) {
        give_up(model, incident, page);
    } else if (!model_page_wanted(model, incident, page)) {
        page_end(model, page, PAGE_CANCELLED);
    } else if (page->failures < NOTIFICATION_FAILURES_MAX) {
        page->state = PAGE_WAITING;
        page->due_ms = model->now_ms + receipt->retry_after_ms;
    } else {
        give_up(model, incident, page);
    }
}

/* Only of the latest attempt: the outcome of an older one is known to nobody any more. */
void model_pages_receipt(struct model *model, const Tocsin__Receipt *receipt)
{
    struct incident *incident;
    if (model_drills_receipt(model, receipt)) {
        return;
    }
    struct page *page = page_find(model, receipt->notification_id, &incident);
    if (page == NULL || page->state != PAGE_CLAIMED || page->attempt != receipt->attempt ||
        receipt->outcome == TOCSIN__OUTCOME__OUTCOME_NONE) {
        return;
    }
    page->receipts++;
    page->last_outcome = receipt->outcome;
    if (receipt->outcome == TOCSIN__OUTCOME__OUTCOME_SENT) {
        receipt_says_sent(model, incident, page);
    } else {
        receipt_says_failed(model, incident, page, receipt);
    }
    model_incident_settle(model, incident);
}

/* ---------------------------------------------------------------- claims that are asked for */

static bool page_is_free(const struct model *model, const struct page *page)
{
    if (page->state == PAGE_WAITING) {
        return page->due_ms <= model->now_ms;
    }
    if (page->state != PAGE_CLAIMED) {
        return page->state == PAGE_OWED;
    }
    const struct claim *last = &page->claims[page->claims_count - 1];
    bool own = last->term == model->term && last->node == model->node && last->boot == model->boot;
    return last->term < model->term || own;
}

/* True when the page is the proposer's to send. */
static bool claim(struct model *model, uint64_t id)
{
    struct incident *incident;
    struct page *page = page_find(model, id, &incident);
    if (page == NULL || !page_is_free(model, page)) {
        return false;
    }
    if (!model_page_wanted(model, incident, page)) {
        page_end(model, page, PAGE_CANCELLED);
        model_incident_settle(model, incident);
        return false;
    }
    if (page->state == PAGE_CLAIMED && page->claims[page->claims_count - 1].term < model->term) {
        page->possibly_repeated = true; /* what the leader of that term did with it, nobody knows */
    }
    grant(model, incident, page);
    return true;
}

void model_pages_claim(struct model *model, const Tocsin__Claim *asked, const Tocsin__Reply *reply)
{
    bool lawful = model->node != 0 && asked->n_notification_ids <= LIMIT_CLAIM_NOTIFICATIONS;
    if (!model_accepted(model, reply, lawful, "a claim") || !lawful) {
        return;
    }
    for (size_t i = 0; i < asked->n_notification_ids; i++) {
        if (model_news_has(model, asked->notification_ids[i])) {
            continue;
        }
        bool granted;
        if (!model_drills_claim(model, asked->notification_ids[i], &granted)) {
            granted = claim(model, asked->notification_ids[i]);
        }
        const Tocsin__Reply *part = reply != NULL && i < reply->n_parts ? reply->parts[i] : NULL;
        if (part != NULL && (part->status == TOCSIN__STATUS__STATUS_OK) != granted) {
            model_broken(model, "entry %" PRIu64 ": the claim of notification %" PRIu64 " was %s", model->index,
                         asked->notification_ids[i],
                         granted ? "refused, though somebody still has to be told"
                                 : "granted, though nobody is owed it");
        }
    }
}

/* ---------------------------------------------------------------- the machine's own list */

static bool is_grant_of(const struct grant *grant, const Tocsin__Notification *notification)
{
    const struct page *page = grant->page;
    return !grant->told && grant->attempt == notification->attempt &&
           grant->incident->number == notification->incident_number &&
           (page->to.guardian != NULL) == (notification->guardian != 0) &&
           page->to.person_id == notification->user_id &&
           (page->to.guardian != NULL || page->to.id == notification->contact_method_id) &&
           page->to.channel == notification->channel && page->to.country_code == notification->country_code &&
           page->level == notification->level && strcmp(page->to.address, notification->address) == 0 &&
           (page->id == 0 || page->id == notification->id);
}

static struct grant *grant_find(struct model *model, const Tocsin__Notification *notification)
{
    for (size_t i = 0; i < model->grants.count; i++) {
        if (is_grant_of(&model->grants.items[i], notification)) {
            return &model->grants.items[i];
        }
    }
    return NULL;
}

static void handed_over(struct model *model, const struct machine_send *send, const Tocsin__Notification *notification)
{
    struct grant *grant = grant_find(model, notification);
    if (grant == NULL) {
        model_broken(model,
                     "incident %" PRIu64
                     ": %s (%s %s, level %u, attempt %u) is handed over for sending by entry %" PRIu64
                     ", and nobody is owed that",
                     notification->incident_number, notification->user_name, channel_word(notification->channel),
                     notification->address, notification->level, notification->attempt, model->index);
        return;
    }
    grant->told = true;
    grant->page->id = notification->id;
    grant->incident->id = grant->incident->id != 0 ? grant->incident->id : notification->incident_id;
    const struct claim *claim = &grant->page->claims[grant->page->claims_count - 1];
    bool same_claim = send->claim_node == model->node && send->claim_boot == model->boot &&
                      send->claim_term == model->term && send->claim_boottime_ms == model->boottime_ms;
    if (!same_claim || (claim->attempt == grant->attempt && (notification->possibly_repeated != 0) != claim->marked)) {
        char text[256];
        model_page_describe(grant->incident, grant->page, text, sizeof text);
        model_broken(model, "%s: entry %" PRIu64 " hands it over %s", text, model->index,
                     same_claim ? "with the wrong word about being repeated" : "for somebody who did not claim it");
    }
}

void model_pages_handed_over(struct model *model, const struct machine_output *output)
{
    for (size_t i = 0; i < output->sends_count; i++) {
        const struct machine_send *send = &output->sends[i];
        Tocsin__Notification *notification =
            tocsin__notification__unpack(NULL, send->packed.size_bytes, send->packed.data);
        if (notification == NULL) {
            model_broken(model, "entry %" PRIu64 " hands over a notification that does not decode", model->index);
            continue;
        }
        if (notification->notice != NULL && notification->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_DRILL) {
            model_drills_handed_over(model, notification);
        } else if (notification->incident_number == 0) {
            model_news_handed_over(model, notification);
        } else {
            handed_over(model, send, notification);
        }
        tocsin__notification__free_unpacked(notification, NULL);
    }
    model_drills_all_handed_over(model);
    for (size_t i = 0; i < model->grants.count; i++) {
        const struct grant *grant = &model->grants.items[i];
        if (!grant->told) {
            char text[256];
            model_page_describe(grant->incident, grant->page, text, sizeof text);
            model_broken(model, "%s is owed since entry %" PRIu64 " at %s, and was handed to nobody", text,
                         model->index, model_clock(model, model->now_ms));
        }
    }
}
