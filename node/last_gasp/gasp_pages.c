/* Sending the pages of the last gasp, through the channels that the dispatcher has; what came of it is recorded. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/keys.h"
#include "consensus/machine/limits.h"
#include "node/last_gasp/last_gasp_internal.h"
#include "node/log.h"
#include "notify/compose.h"

#define TRANSFER_MARGIN_MS 1000u

static Tocsin__Notification *copy_of(const Tocsin__Notification *notification) {
    size_t size_bytes = tocsin__notification__get_packed_size(notification);
    uint8_t *packed = malloc(size_bytes + 1);
    if (packed == NULL) abort();
    tocsin__notification__pack(notification, packed);
    Tocsin__Notification *copy = tocsin__notification__unpack(NULL, size_bytes, packed);
    if (copy == NULL) abort();
    free(packed);
    return copy;
}

static uint64_t now_of(const struct last_gasp *gasp) { return gasp->ports.boottime_ms(gasp->ports.context); }

static void make_room(struct gasp_pages *pages) {
    if (pages->count < pages->capacity) return;
    pages->capacity = pages->capacity != 0 ? pages->capacity * 2 : 64;
    pages->pages = realloc(pages->pages, pages->capacity * sizeof *pages->pages);
    if (pages->pages == NULL) abort();
}

/* The state gives it no number: receivers know a repeat by its own. */
static uint64_t new_id(const struct last_gasp *gasp, uint64_t number, uint64_t cluster_ms) {
    char text[96];
    snprintf(text, sizeof text, "last-gasp/%" PRIu64 "/%" PRIu64 "/%" PRIu64, gasp->id, cluster_ms, number);
    struct key hash = key_hash(text);
    return span_number(key_span(&hash), 0);
}

void gasp_pages_add(const struct last_gasp *gasp, struct gasp_pages *pages, const Tocsin__Notification *notification, uint64_t trigger, uint64_t due_ms) {
    make_room(pages);
    Tocsin__Notification *copy = copy_of(notification);
    copy->created_at_ms = gasp->ports.cluster_ms(gasp->ports.context);
    copy->id = new_id(gasp, ++pages->added, copy->created_at_ms);
    pages->pages[pages->count++] = (struct gasp_page){.notification = copy, .trigger = trigger, .due_ms = due_ms};
}

void gasp_pages_take(struct gasp_pages *pages, struct gasp_pages *others) {
    for (size_t i = 0; i < others->count; i++) {
        make_room(pages);
        pages->pages[pages->count++] = others->pages[i];
    }
    pages->added = others->added;
    pages->planned = others->planned;
    pages->full_told = others->full_told;
    others->count = 0;
}

/* The others stay in their order. */
static void drop(struct gasp_pages *pages, size_t at) {
    tocsin__notification__free_unpacked(pages->pages[at].notification, NULL);
    pages->count--;
    memmove(&pages->pages[at], &pages->pages[at + 1], (pages->count - at) * sizeof *pages->pages);
}

void gasp_pages_close(struct gasp_pages *pages) {
    while (pages->count > 0) drop(pages, pages->count - 1);
    free(pages->pages);
}

void gasp_pages_stop(struct last_gasp *gasp) {
    for (size_t i = gasp->pages.count; i-- > 0;) {
        gasp->pages.pages[i].stopped = true;
        if (gasp->pages.pages[i].transfer_id == 0) drop(&gasp->pages, i);
    }
}

/* By the page's channel this node speaks, and no peer that could send what it cannot. */
static bool is_ours(const struct last_gasp *gasp, const struct gasp_page *page) {
    unsigned channel = page->notification->channel;
    return gasp->speakers[channel < GASP_CHANNELS ? channel : 0] == 0;
}

/* Of those that wait, the one that is due first: what is tried in vain each minute does not keep others from their first attempt. */
static struct gasp_page *first_due(const struct last_gasp *gasp) {
    struct gasp_page *first = NULL;
    for (size_t i = 0; i < gasp->pages.count && gasp->under_way < LAST_GASP_TRANSFERS_MAX; i++) {
        struct gasp_page *page = &gasp->pages.pages[i];
        if (page->transfer_id == 0 && is_ours(gasp, page) && (first == NULL || page->due_ms < first->due_ms)) first = page;
    }
    return first;
}

uint64_t gasp_pages_next_ms(const struct last_gasp *gasp) {
    const struct gasp_page *first = first_due(gasp);
    return first != NULL ? first->due_ms : UINT64_MAX;
}

/* ---- one page */

static void record(struct last_gasp *gasp, const struct gasp_page *of, const struct verdict *verdict, const char *provider) {
    const Tocsin__Notification *notification = of->notification;
    bool told = verdict->outcome == TOCSIN__OUTCOME__OUTCOME_SENT || verdict->outcome == TOCSIN__OUTCOME__OUTCOME_UNKNOWN;
    if (!told && gasp_record_has_failure(gasp, notification, of->trigger, verdict->outcome)) return;
    Tocsin__GaspPage page = TOCSIN__GASP_PAGE__INIT;
    page.incident_id = notification->incident_id;
    page.trigger = of->trigger;
    page.user_id = notification->user_id;
    page.user_name = notification->user_name;
    page.contact_method_id = notification->contact_method_id;
    page.channel = notification->channel;
    page.address = notification->address;
    page.outcome = verdict->outcome;
    page.detail = (char *)(uintptr_t)verdict->detail;
    page.provider = (char *)(uintptr_t)provider;
    page.provider_id = (char *)(uintptr_t)verdict->provider_id;
    Tocsin__GaspItem item = TOCSIN__GASP_ITEM__INIT;
    item.at_ms = gasp->ports.cluster_ms(gasp->ports.context);
    item.body_case = TOCSIN__GASP_ITEM__BODY_PAGE;
    item.page = &page;
    (void)gasp_record_add(gasp, &item); /* said in the log when the record is full */
}

static void end_page(struct last_gasp *gasp, const struct gasp_page *ended, const struct verdict *verdict, const char *provider) {
    if (ended->paged != NULL)
        ended->paged(ended->paged_context, ended->notification, provider, verdict->outcome, verdict->detail);
    else
        record(gasp, ended, verdict, provider);
}

const char *gasp_page_unusable(const struct last_gasp *gasp, const Tocsin__Notification *notification) {
    const struct channel *channel = channel_for(notification->channel);
    return channel == NULL ? "This kind of contact method cannot be told." : channel->missing(gasp->settings);
}

/* True when it left; otherwise it is recorded as one that cannot. */
static bool start(struct last_gasp *gasp, struct gasp_page *page) {
    const struct channel *channel = channel_for(page->notification->channel);
    struct verdict verdict = {.outcome = TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED, .retry_after_s = -1};
    char error[200] = "";
    const char *missing = gasp_page_unusable(gasp, page->notification);
    struct outgoing outgoing = {0};
    bool ready = missing == NULL && channel->compose(gasp->settings, page->notification, &outgoing, error, sizeof error);
    if (ready) {
        outgoing.deadline_ms = ATTEMPT_DEADLINE_MS - TRANSFER_MARGIN_MS;
        page->transfer_id = LAST_GASP_TRANSFER | ++gasp->last_transfer_id;
        page->attempts++;
        gasp->under_way++;
        gasp->ports.transfer(gasp->ports.context, page->transfer_id, &outgoing);
    } else {
        const char *why = missing != NULL ? missing : error;
        clean_copy(verdict.detail, sizeof verdict.detail, why, strlen(why));
        withhold_secrets(gasp->settings, verdict.detail, sizeof verdict.detail);
        end_page(gasp, page, &verdict, channel != NULL ? channel->provider : "");
    }
    outgoing_close(&outgoing);
    return ready;
}

void gasp_pages_send(struct last_gasp *gasp, uint64_t now_ms) {
    for (size_t i = gasp->pages.count; i-- > 0;) {
        const struct gasp_page *page = &gasp->pages.pages[i];
        if (page->transfer_id != 0) continue;
        if (gasp_record_is_answered(gasp, page->notification->incident_id) || gasp_record_was_told(gasp, page->notification, page->trigger))
            drop(&gasp->pages, i);
    }
    for (struct gasp_page *page; (page = first_due(gasp)) != NULL && page->due_ms <= now_ms;)
        if (!start(gasp, page)) drop(&gasp->pages, (size_t)(page - gasp->pages.pages));
}

void last_gasp_page(struct last_gasp *gasp, const Tocsin__Notification *notification, last_gasp_paged paged, void *context) {
    gasp_pages_add(gasp, &gasp->pages, notification, 0, now_of(gasp));
    size_t at = gasp->pages.count - 1;
    gasp->pages.pages[at].paged = paged;
    gasp->pages.pages[at].paged_context = context;
    if (!start(gasp, &gasp->pages.pages[at])) drop(&gasp->pages, at);
}

/* ---- what came of it */

static struct gasp_page *page_of(struct last_gasp *gasp, uint64_t transfer_id) {
    for (size_t i = 0; i < gasp->pages.count; i++)
        if (gasp->pages.pages[i].transfer_id == transfer_id) return &gasp->pages.pages[i];
    return NULL;
}

static uint64_t wait_ms(const struct gasp_page *page, int64_t retry_after_s) {
    uint64_t least_ms = page->attempts < LAST_GASP_QUICK_ATTEMPTS ? LAST_GASP_QUICK_RETRY_MS : LAST_GASP_RETRY_MS;
    if (retry_after_s < 0 || (uint64_t)retry_after_s * 1000 < least_ms) return least_ms;
    return (uint64_t)retry_after_s > LAST_GASP_RETRY_MS_MAX / 1000 ? LAST_GASP_RETRY_MS_MAX : (uint64_t)retry_after_s * 1000;
}

static bool goes_on(const struct gasp_page *page, const struct verdict *verdict) {
    return verdict->outcome == TOCSIN__OUTCOME__OUTCOME_RETRY && page->paged == NULL && !page->stopped && page->refusals < LAST_GASP_REFUSALS_MAX &&
           page->attempts < LAST_GASP_ATTEMPTS_MAX;
}

void last_gasp_answered(struct last_gasp *gasp, uint64_t transfer_id, const struct answer *answer) {
    struct gasp_page *page = page_of(gasp, transfer_id);
    assert(page != NULL && gasp->under_way > 0);
    gasp->under_way--;
    const struct channel *channel = channel_for(page->notification->channel);
    struct verdict verdict = {.retry_after_s = -1};
    channel->judge(answer, &verdict);
    withhold_secrets(gasp->settings, verdict.detail, sizeof verdict.detail);
    withhold_secrets(gasp->settings, verdict.provider_id, sizeof verdict.provider_id);
    page->refusals += answer->kind == ANSWER_RESPONSE;
    if (goes_on(page, &verdict)) {
        page->transfer_id = 0;
        page->due_ms = now_of(gasp) + wait_ms(page, verdict.retry_after_s);
        if (page->attempts != LAST_GASP_QUICK_ATTEMPTS) return;
        log_warning("last gasp: %s: %s; it is tried again each minute", channel->provider, verdict.detail);
        record(gasp, page, &verdict, channel->provider);
        return;
    }
    log_info("last gasp: %s: %s", channel->provider, verdict.outcome == TOCSIN__OUTCOME__OUTCOME_SENT ? "a page was taken" : verdict.detail);
    end_page(gasp, page, &verdict, channel->provider);
    drop(&gasp->pages, (size_t)(page - gasp->pages.pages));
}
