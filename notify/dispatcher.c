/*
 * Telling people: the queue of claimed notifications, the slots of requests under way, and the claims to be made anew.
 *
 *     dispatcher_take ──> queue ── start ──> slot ── dispatcher_answered ──> receipt
 *                           │ claim too old        └ no answer at all by the deadline: given up, receipt "unknown"
 *                           └──> claims (claims.h) ── when a slot is free: ports.claim ──> dispatcher_take
 *
 * Every way into this file ends in pump(), which expires what is too old, starts what it may and claims what it has
 * room for. start() is the only place that calls ports.transfer, and looks at claim, term and clock in the line
 * before.
 */
#include "notify/dispatcher.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/planted.h"
#include "notify/claims.h"
#include "notify/codes.h"
#include "notify/compose.h"

/* A provider that hangs must leave room for the others, even when two channels (texts and calls) share it. */
#define DISPATCHER_TRANSFERS_PER_CHANNEL_MAX 24
/* Claimed notifications kept whole; beyond it only their ids are, to be claimed anew. A claim is good for 3 s, and
 * that many are not sent in 3 s anyway. */
#define DISPATCHER_QUEUE_MAX 1024
/* How many wanted claims one pump looks at for those whose channel has room. */
#define CLAIMS_LOOKED_AT_MAX 1024u
/* The transfer gives up a little before the dispatcher gives up the transfer, so that its reason is heard. */
#define TRANSFER_MARGIN_MS 200u

#define BACK_OFF_FIRST_MS 1000u
#define BACK_OFF_FACTOR 3u
#define BACK_OFF_MAX_MS 60000u
#define RETRY_AFTER_MAX_S 300

/* How many ended attempts are remembered, for claims that cross their receipts on the way. */
#define ENDED_MAX 512u

#define CHANNELS_COUNT (TOCSIN__CHANNEL__CHANNEL_WEBHOOK + 1)

/* A claimed notification: waiting in the queue, or in a slot. */
struct job {
    struct job *next;
    Tocsin__Notification *notification;
    uint64_t term;
    uint64_t transfer_id; /* in a slot */
    uint64_t started_ms;
    bool has_code; /* that its message asks back */
    uint8_t code_hash[CODE_HASH_SIZE_BYTES];
};

/* How an attempt ended. */
struct ended {
    uint64_t notification_id;
    uint64_t ended_ms;
    uint32_t failures; /* that the log knew of when it was claimed */
    uint32_t retry_after_ms;
    char provider[32];
    struct verdict verdict;
    bool has_code;
    uint8_t code_hash[CODE_HASH_SIZE_BYTES];
};

struct dispatcher {
    struct dispatcher_ports ports;
    const struct notify_settings *settings;
    uint64_t term; /* that what waits belongs to */
    struct job *queue_first, **queue_end;
    size_t queue_count;
    struct job *under_way[DISPATCHER_TRANSFERS_MAX]; /* the first under_way_count are taken */
    size_t under_way_count;
    size_t under_way_by_channel[CHANNELS_COUNT];
    struct {
        uint64_t count, last_ms;
    } failures_in_a_row[CHANNELS_COUNT];
    struct claims claims;
    struct ended ended[ENDED_MAX]; /* a ring; ended_count is of all time */
    uint64_t ended_count;
    uint64_t last_transfer_id, last_probe_id;
    uint64_t moved_ms; /* when a page was taken or refused for good, or nothing waited */
    struct dispatcher_statistics totals; /* its last two are computed when asked for */
};

/* ---- jobs */

static struct job *job_new(const Tocsin__Notification *notification, uint64_t term)
{
    size_t size = tocsin__notification__get_packed_size(notification);
    uint8_t *packed = malloc(size ? size : 1);
    struct job *job = calloc(1, sizeof *job);
    if (!packed || !job)
        abort();
    tocsin__notification__pack(notification, packed);
    job->notification = tocsin__notification__unpack(NULL, size, packed);
    if (!job->notification)
        abort();
    free(packed);
    job->term = term;
    return job;
}

static void job_free(struct job *job)
{
    tocsin__notification__free_unpacked(job->notification, NULL);
    free(job);
}

static struct job *queue_find(const struct dispatcher *dispatcher, uint64_t notification_id)
{
    for (struct job *job = dispatcher->queue_first; job; job = job->next)
        if (job->notification->id == notification_id)
            return job;
    return NULL;
}

static void queue_append(struct dispatcher *dispatcher, struct job *job)
{
    *dispatcher->queue_end = job;
    dispatcher->queue_end = &job->next;
    dispatcher->queue_count++;
}

/* Takes out the job that `link` points to. */
static struct job *queue_remove(struct dispatcher *dispatcher, struct job **link)
{
    struct job *job = *link;
    *link = job->next;
    if (!*link)
        dispatcher->queue_end = link;
    job->next = NULL;
    dispatcher->queue_count--;
    return job;
}

static struct job *under_way_find(const struct dispatcher *dispatcher, uint64_t notification_id)
{
    for (size_t i = 0; i < dispatcher->under_way_count; i++)
        if (dispatcher->under_way[i]->notification->id == notification_id)
            return dispatcher->under_way[i];
    return NULL;
}

static size_t *channel_count(struct dispatcher *dispatcher, Tocsin__Channel channel)
{
    assert((unsigned)channel < CHANNELS_COUNT);
    return &dispatcher->under_way_by_channel[channel];
}

static bool channel_has_room(struct dispatcher *dispatcher, Tocsin__Channel channel)
{
    return (unsigned)channel >= CHANNELS_COUNT ||
           *channel_count(dispatcher, channel) < DISPATCHER_TRANSFERS_PER_CHANNEL_MAX;
}

static void forget_waiting(struct dispatcher *dispatcher)
{
    while (dispatcher->queue_first)
        job_free(queue_remove(dispatcher, &dispatcher->queue_first));
    claims_forget(&dispatcher->claims);
}

static uint64_t leading_term(const struct dispatcher *dispatcher)
{
    uint64_t term = dispatcher->ports.leading_term(dispatcher->ports.context);
    return term == 0 && planted(DEPOSED_LEADER_SENDS) ? dispatcher->term : term;
}

/* What waits belongs to one term; another one's, or none, makes it void. Returns the term, 0 when not leading. */
static uint64_t observe_term(struct dispatcher *dispatcher)
{
    uint64_t term = leading_term(dispatcher);
    if (term != dispatcher->term) {
        forget_waiting(dispatcher);
        dispatcher->term = term;
    }
    return term;
}

static uint64_t now_ms(const struct dispatcher *dispatcher)
{
    return dispatcher->ports.boottime_ms(dispatcher->ports.context);
}

/* ---- receipts */

static uint32_t back_off_ms(struct dispatcher *dispatcher, uint32_t failures)
{
    uint32_t delay_ms = BACK_OFF_FIRST_MS;
    for (uint32_t i = 0; i < failures && delay_ms < BACK_OFF_MAX_MS; i++)
        delay_ms *= BACK_OFF_FACTOR;
    if (delay_ms > BACK_OFF_MAX_MS)
        delay_ms = BACK_OFF_MAX_MS;
    /* Half to one and a half, so that what failed together does not come back together. */
    return delay_ms / 2 + dispatcher->ports.random(dispatcher->ports.context) % (delay_ms + 1);
}

static uint32_t provider_wait_ms(int64_t retry_after_s)
{
    int64_t seconds = retry_after_s < 1 ? 1 : retry_after_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : retry_after_s;
    return (uint32_t)seconds * 1000;
}

static void count_outcome(struct dispatcher *dispatcher, Tocsin__Outcome outcome)
{
    if (outcome != TOCSIN__OUTCOME__OUTCOME_RETRY && outcome != TOCSIN__OUTCOME__OUTCOME_UNKNOWN)
        dispatcher->moved_ms = now_ms(dispatcher);
    switch (outcome) {
    case TOCSIN__OUTCOME__OUTCOME_SENT: dispatcher->totals.sent++; break;
    case TOCSIN__OUTCOME__OUTCOME_RETRY: dispatcher->totals.retried++; break;
    case TOCSIN__OUTCOME__OUTCOME_UNKNOWN: dispatcher->totals.unknown++; break;
    default: dispatcher->totals.failed++;
    }
}

static void count_in_a_row(struct dispatcher *dispatcher, Tocsin__Channel channel, Tocsin__Outcome outcome)
{
    if ((unsigned)channel >= CHANNELS_COUNT || outcome == TOCSIN__OUTCOME__OUTCOME_NEVER)
        return;
    uint64_t *count = &dispatcher->failures_in_a_row[channel].count;
    *count = outcome == TOCSIN__OUTCOME__OUTCOME_SENT ? 0 : *count + 1;
    dispatcher->failures_in_a_row[channel].last_ms = now_ms(dispatcher);
}

/* Of that claim: the notification's last attempt. */
static void offer_receipt(struct dispatcher *dispatcher, struct ended *ended, const Tocsin__Notification *claimed)
{
    uint64_t claimed_ms = claimed->claim_boottime_ms;
    Tocsin__Receipt receipt;
    tocsin__receipt__init(&receipt);
    receipt.notification_id = ended->notification_id;
    receipt.attempt = claimed->attempt;
    receipt.elapsed_ms = ended->ended_ms > claimed_ms ? (uint32_t)(ended->ended_ms - claimed_ms) : 0;
    receipt.outcome = ended->verdict.outcome;
    receipt.detail = ended->verdict.detail;
    receipt.provider = ended->provider;
    receipt.provider_id = ended->verdict.provider_id;
    receipt.retry_after_ms = ended->retry_after_ms;
    receipt.code_hash = (ProtobufCBinaryData){ended->has_code ? sizeof ended->code_hash : 0, ended->code_hash};
    dispatcher->ports.receipt(dispatcher->ports.context, &receipt);
}

/* A provider may repeat the message when it says what is wrong with it. */
static void withhold_code(const struct job *job, char *text)
{
    const char *code = job->has_code ? job->notification->notice->code : "";
    for (char *found = text; *code && (found = strstr(found, code)) != NULL; found += strlen(code))
        memset(found, '*', strlen(code));
}

static void end_attempt(struct dispatcher *dispatcher, const struct job *job, const char *provider,
                        const struct verdict *verdict)
{
    struct ended *ended = &dispatcher->ended[dispatcher->ended_count++ % ENDED_MAX];
    *ended =
        (struct ended){.notification_id = job->notification->id,
                       .ended_ms = now_ms(dispatcher),
                       .failures = job->notification->failures,
                       .verdict = *verdict,
                       .has_code = job->has_code};
    memcpy(ended->code_hash, job->code_hash, sizeof ended->code_hash);
    withhold_code(job, ended->verdict.detail);
    (void)snprintf(ended->provider, sizeof ended->provider, "%s", provider);
    withhold_secrets(dispatcher->settings, ended->verdict.detail, sizeof ended->verdict.detail);
    withhold_secrets(dispatcher->settings, ended->verdict.provider_id, sizeof ended->verdict.provider_id);
    if (verdict->outcome == TOCSIN__OUTCOME__OUTCOME_RETRY || verdict->outcome == TOCSIN__OUTCOME__OUTCOME_UNKNOWN)
        ended->retry_after_ms = verdict->retry_after_s >= 0 ? provider_wait_ms(verdict->retry_after_s)
                                                            : back_off_ms(dispatcher, job->notification->failures);
    count_outcome(dispatcher, verdict->outcome);
    count_in_a_row(dispatcher, job->notification->channel, verdict->outcome);
    offer_receipt(dispatcher, ended, job->notification);
}

/*
 * An attempt of which this claim knows nothing: it ended after the claim had been proposed, or its receipt had not been
 * applied then, or the log would know of one failure more. Such a claim is not one for another attempt.
 */
static struct ended *ended_since_claim(struct dispatcher *dispatcher, const Tocsin__Notification *notification)
{
    size_t kept = dispatcher->ended_count < ENDED_MAX ? (size_t)dispatcher->ended_count : ENDED_MAX;
    for (size_t i = 0; i < kept; i++) {
        struct ended *ended = &dispatcher->ended[i];
        if (ended->notification_id == notification->id &&
            (ended->ended_ms >= notification->claim_boottime_ms || ended->failures == notification->failures))
            return ended;
    }
    return NULL;
}

/* The end of a notification that cannot become a request here. */
static void refuse(struct dispatcher *dispatcher, const struct job *job, const char *provider, Tocsin__Outcome outcome,
                   const char *sentence)
{
    struct verdict verdict = {.outcome = outcome, .retry_after_s = -1};
    clean_copy(verdict.detail, sizeof verdict.detail, sentence, strlen(sentence));
    end_attempt(dispatcher, job, provider, &verdict);
}

/* ---- starting */

static bool is_probe(const Tocsin__Notification *notification)
{
    return notification->notice && notification->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_PROBE;
}

/* Promise P3. A claim of the future is of another boot. */
static bool claim_is_valid(const struct dispatcher *dispatcher, const struct job *job)
{
    uint64_t now = now_ms(dispatcher), claimed_ms = job->notification->claim_boottime_ms;
    bool in_time = now >= claimed_ms && now - claimed_ms <= CLAIM_VALID_MS;
    return job->term != 0 && leading_term(dispatcher) == job->term && (in_time || planted(CLAIM_VALIDITY_IGNORED));
}

static void claim_anew(struct dispatcher *dispatcher, struct job *job)
{
    (void)claims_want(&dispatcher->claims, job->notification->id, job->notification->channel,
                      0); /* no room: the outbox has it */
    job_free(job);
}

/* A probe has come as far as a page's claim would: nothing is sent, it waits for nobody, and it counts nowhere. */
static void end_probe(struct dispatcher *dispatcher, struct job *job)
{
    struct ended ended = {.notification_id = job->notification->id,
                          .ended_ms = now_ms(dispatcher),
                          .verdict = {.outcome = TOCSIN__OUTCOME__OUTCOME_SENT, .retry_after_s = -1}};
    dispatcher->last_probe_id = ended.notification_id;
    offer_receipt(dispatcher, &ended, job->notification);
    job_free(job);
}

static void take_probe(struct dispatcher *dispatcher, struct job *job)
{
    if (claim_is_valid(dispatcher, job))
        end_probe(dispatcher, job);
    else
        claim_anew(dispatcher, job);
}

/* Sends, refuses, or claims anew. The job is out of the queue. */
static void start(struct dispatcher *dispatcher, struct job *job)
{
    if (planted(REPEATS_NOT_MARKED))
        job->notification->possibly_repeated = false;
    const Tocsin__Notification *notification = job->notification;
    const struct channel *channel = channel_for(notification->channel);
    if (!channel) {
        refuse(dispatcher, job, "", TOCSIN__OUTCOME__OUTCOME_NEVER, "This kind of contact method cannot be told.");
        job_free(job);
        return;
    }
    const char *missing = channel->missing(dispatcher->settings);
    char error[200] = "";
    struct outgoing outgoing = {0};
    job->has_code = code_put(job->notification, dispatcher->ports.random(dispatcher->ports.context), job->code_hash);
    if (missing) {
        refuse(dispatcher, job, channel->provider, TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED, missing);
        job_free(job);
    } else if (!channel->compose(dispatcher->settings, notification, &outgoing, error, sizeof error)) {
        refuse(dispatcher, job, channel->provider, TOCSIN__OUTCOME__OUTCOME_NEVER, error);
        job_free(job);
    } else {
        outgoing.notification_id = notification->id;
        outgoing.deadline_ms = ATTEMPT_DEADLINE_MS - TRANSFER_MARGIN_MS;
        job->transfer_id = ++dispatcher->last_transfer_id;
        job->started_ms = now_ms(dispatcher);
        assert(dispatcher->under_way_count < DISPATCHER_TRANSFERS_MAX);
        if (claim_is_valid(dispatcher, job)) {
            dispatcher->under_way[dispatcher->under_way_count++] = job;
            ++*channel_count(dispatcher, notification->channel);
            dispatcher->ports.transfer(dispatcher->ports.context, job->transfer_id, &outgoing);
            if (planted(DOUBLE_SEND))
                dispatcher->ports.transfer(dispatcher->ports.context, ++dispatcher->last_transfer_id, &outgoing);
        } else {
            claim_anew(dispatcher, job); /* or forgotten with the term, which the next look at it shows */
        }
    }
    outgoing_close(&outgoing);
}

static void start_waiting(struct dispatcher *dispatcher)
{
    struct job **link = &dispatcher->queue_first;
    while (*link && dispatcher->under_way_count < DISPATCHER_TRANSFERS_MAX) {
        if (!claim_is_valid(dispatcher, *link)) {
            claim_anew(dispatcher, queue_remove(dispatcher, link));
        } else if (channel_has_room(dispatcher, (*link)->notification->channel)) {
            start(dispatcher, queue_remove(dispatcher, link));
        } else {
            link = &(*link)->next;
        }
    }
}

/* ---- claiming anew */

/* How many more could start now: free slots that nothing claimed or asked for is going to take. */
static size_t slots_to_claim_for(struct dispatcher *dispatcher)
{
    size_t taken = dispatcher->under_way_count + dispatcher->claims.asked_count;
    for (const struct job *job = dispatcher->queue_first; job && taken < DISPATCHER_TRANSFERS_MAX; job = job->next)
        if (channel_has_room(dispatcher, job->notification->channel))
            taken++;
    return taken < DISPATCHER_TRANSFERS_MAX ? DISPATCHER_TRANSFERS_MAX - taken : 0;
}

static bool is_at_hand(const struct dispatcher *dispatcher, uint64_t notification_id)
{
    return queue_find(dispatcher, notification_id) || under_way_find(dispatcher, notification_id) ||
           claims_is_asked(&dispatcher->claims, notification_id);
}

static void claim_wanted(struct dispatcher *dispatcher)
{
    if (observe_term(dispatcher) == 0)
        return;
    uint64_t ids[LIMIT_CLAIM_NOTIFICATIONS];
    size_t count = 0, room = slots_to_claim_for(dispatcher);
    if (room > LIMIT_CLAIM_NOTIFICATIONS)
        room = LIMIT_CLAIM_NOTIFICATIONS;
    uint64_t now = now_ms(dispatcher);
    size_t looks =
        dispatcher->claims.wanted_count < CLAIMS_LOOKED_AT_MAX ? dispatcher->claims.wanted_count : CLAIMS_LOOKED_AT_MAX;
    struct claim_wanted wanted;
    for (; looks && count < room && claims_next(&dispatcher->claims, &wanted); looks--) {
        if (is_at_hand(dispatcher, wanted.id))
            continue;
        if (!channel_has_room(dispatcher, wanted.channel)) {
            (void)claims_want(&dispatcher->claims, wanted.id, wanted.channel,
                              wanted.asks); /* its place was just left */
            continue;
        }
        claims_ask(&dispatcher->claims, &wanted, now);
        ids[count++] = wanted.id;
    }
    if (count == 0)
        return;
    dispatcher->totals.reclaimed += count;
    dispatcher->ports.claim(dispatcher->ports.context, ids, count);
}

/* A transfer that does not even report its own end (the machine slept, say) is given up: its outcome is not known. */
static void give_up_overdue(struct dispatcher *dispatcher)
{
    static const struct answer none = {
        .kind = ANSWER_NO_ANSWER, .retry_after_s = -1, .body = "", .error = "the deadline passed"};
    for (size_t i = 0; i < dispatcher->under_way_count;) {
        const struct job *job = dispatcher->under_way[i];
        if (now_ms(dispatcher) < job->started_ms + ATTEMPT_DEADLINE_MS) {
            i++;
            continue;
        }
        uint64_t transfer_id = job->transfer_id;
        dispatcher->ports.abort_transfer(dispatcher->ports.context, transfer_id);
        dispatcher_answered(dispatcher, transfer_id, &none);
        i = 0; /* the slots were moved */
    }
}

static size_t waiting(const struct dispatcher *dispatcher)
{
    return dispatcher->queue_count + dispatcher->claims.wanted_count + dispatcher->claims.asked_count;
}

/* Before anything is added and after everything was tried. */
static void note_idleness(struct dispatcher *dispatcher)
{
    if (waiting(dispatcher) == 0)
        dispatcher->moved_ms = now_ms(dispatcher);
}

static void pump(struct dispatcher *dispatcher)
{
    if (observe_term(dispatcher) == 0)
        return;
    claims_expire(&dispatcher->claims, now_ms(dispatcher));
    start_waiting(dispatcher);
    claim_wanted(dispatcher);
    note_idleness(dispatcher);
}

/* ---- the public face */

struct dispatcher *dispatcher_new(const struct dispatcher_ports *ports, const struct notify_settings *settings)
{
    struct dispatcher *dispatcher = calloc(1, sizeof *dispatcher);
    if (!dispatcher)
        abort();
    dispatcher->ports = *ports;
    dispatcher->settings = settings;
    dispatcher->queue_end = &dispatcher->queue_first;
    return dispatcher;
}

void dispatcher_free(struct dispatcher *dispatcher)
{
    if (!dispatcher)
        return;
    forget_waiting(dispatcher);
    for (size_t i = 0; i < dispatcher->under_way_count; i++) {
        dispatcher->ports.abort_transfer(dispatcher->ports.context, dispatcher->under_way[i]->transfer_id);
        job_free(dispatcher->under_way[i]);
    }
    free(dispatcher);
}

void dispatcher_take(struct dispatcher *dispatcher, const Tocsin__Notification *notification, uint64_t term)
{
    if (observe_term(dispatcher) != term || term == 0)
        return;
    note_idleness(dispatcher);
    claims_granted(&dispatcher->claims, notification->id);
    if (is_probe(notification)) {
        take_probe(dispatcher, job_new(notification, term));
        pump(dispatcher);
        return;
    }
    struct job *under_way = under_way_find(dispatcher, notification->id);
    struct job *queued = queue_find(dispatcher, notification->id);
    struct ended *ended = ended_since_claim(dispatcher, notification);
    if (ended) {
        offer_receipt(dispatcher, ended, notification); /* the older one no longer counts */
        return;
    }
    if (under_way) {
        /* Claimed twice, because the first grant was slow: one request is enough, and its receipt answers the
         * later claim. */
        under_way->notification->attempt = notification->attempt;
        under_way->notification->claim_boottime_ms = notification->claim_boottime_ms;
        return;
    }
    if (queued) {
        struct job *newer = job_new(notification, term);
        Tocsin__Notification *older = queued->notification;
        queued->notification = newer->notification;
        newer->notification = older;
        job_free(newer);
    } else if (dispatcher->queue_count == DISPATCHER_QUEUE_MAX) {
        (void)claims_want(&dispatcher->claims, notification->id, notification->channel,
                          0); /* no room: the outbox has it */
    } else {
        queue_append(dispatcher, job_new(notification, term));
    }
    pump(dispatcher);
}

void dispatcher_reclaim(struct dispatcher *dispatcher, const uint64_t *notification_ids, size_t count)
{
    if (observe_term(dispatcher) == 0)
        return;
    note_idleness(dispatcher);
    for (size_t i = 0; i < count; i++)
        if (!claims_want(&dispatcher->claims, notification_ids[i], TOCSIN__CHANNEL__CHANNEL_NONE, 0))
            break; /* the outbox's deadlines bring the others */
    pump(dispatcher);
}

void dispatcher_stop(struct dispatcher *dispatcher)
{
    if (planted(DEPOSED_LEADER_SENDS))
        return;
    forget_waiting(dispatcher);
    dispatcher->term = 0;
}

void dispatcher_answered(struct dispatcher *dispatcher, uint64_t transfer_id, const struct answer *answer)
{
    size_t slot = 0;
    while (slot < dispatcher->under_way_count && dispatcher->under_way[slot]->transfer_id != transfer_id)
        slot++;
    if (slot == dispatcher->under_way_count)
        return; /* given up before */
    struct job *job = dispatcher->under_way[slot];
    dispatcher->under_way[slot] = dispatcher->under_way[--dispatcher->under_way_count];
    --*channel_count(dispatcher, job->notification->channel);
    const struct channel *channel = channel_for(job->notification->channel);
    assert(channel); /* or it had not been started */
    struct verdict verdict = {.retry_after_s = -1};
    channel->judge(answer, &verdict);
    end_attempt(dispatcher, job, channel->provider, &verdict);
    job_free(job);
    pump(dispatcher);
}

uint64_t dispatcher_next_tick_ms(const struct dispatcher *dispatcher)
{
    uint64_t next_ms = claims_next_expiry_ms(&dispatcher->claims);
    for (size_t i = 0; i < dispatcher->under_way_count; i++) {
        uint64_t deadline_ms = dispatcher->under_way[i]->started_ms + ATTEMPT_DEADLINE_MS;
        next_ms = deadline_ms < next_ms ? deadline_ms : next_ms;
    }
    return next_ms;
}

void dispatcher_tick(struct dispatcher *dispatcher)
{
    give_up_overdue(dispatcher);
    pump(dispatcher);
}

struct dispatcher_statistics dispatcher_statistics(const struct dispatcher *dispatcher)
{
    struct dispatcher_statistics statistics = dispatcher->totals;
    statistics.waiting = waiting(dispatcher);
    statistics.under_way = dispatcher->under_way_count;
    return statistics;
}

uint64_t dispatcher_failures_in_a_row(const struct dispatcher *dispatcher, Tocsin__Channel channel, uint64_t within_ms)
{
    assert((unsigned)channel < CHANNELS_COUNT);
    bool recent = now_ms(dispatcher) - dispatcher->failures_in_a_row[channel].last_ms <= within_ms;
    return recent ? dispatcher->failures_in_a_row[channel].count : 0;
}

bool dispatcher_moves(const struct dispatcher *dispatcher, uint64_t within_ms)
{
    return waiting(dispatcher) == 0 || now_ms(dispatcher) - dispatcher->moved_ms <= within_ms;
}

uint64_t dispatcher_last_probe(const struct dispatcher *dispatcher) { return dispatcher->last_probe_id; }
