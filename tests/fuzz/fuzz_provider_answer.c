/*
 * What providers answer: judged by each channel, and carried by the dispatcher into a receipt. Providers and whoever
 * stands between send anything.
 *
 *     input: how it ended │ status │ Retry-After │ body, or the reason in words
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "notify/channel.h"
#include "notify/dispatcher.h"
#include "tests/fuzz/input.h"
#include "tests/support/machine_probe.h"

#define TERM 3u
#define RETRY_AFTER_MS_MAX 600000u /* nobody waits longer to be told again */

static const struct notify_settings settings = {
    .twilio = {.base_url = "https://api.example", .account_sid = "AC1", .auth_token = "secret", .from = "+15550199"},
    .ntfy = {.base_url = "https://ntfy.example"},
    .smtp = {.url = "smtp://mail.example", .from = "tocsin@example.org"},
    .cluster_name = "test",
};

struct world {
    uint64_t transfer_id;
    unsigned transfers, receipts;
};

static uint64_t port_boottime_ms(void *context)
{
    (void)context;
    return 1000000;
}

static uint32_t port_random(void *context)
{
    (void)context;
    return 12345;
}

static uint64_t port_leading_term(void *context)
{
    (void)context;
    return TERM;
}

static void port_claim(void *context, const uint64_t *ids, size_t count)
{
    (void)context;
    (void)ids;
    (void)count;
}

static void port_receipt(void *context, const Tocsin__Receipt *receipt)
{
    struct world *world = context;

    world->receipts++;
    fuzz_require(receipt->notification_id == 7 && receipt->attempt == 2);
    fuzz_require(receipt->outcome > TOCSIN__OUTCOME__OUTCOME_NONE && receipt->outcome <= TOCSIN__OUTCOME__OUTCOME_UNKNOWN);
    fuzz_require(fuzz_is_line(receipt->detail) && fuzz_is_line(receipt->provider) && fuzz_is_line(receipt->provider_id));
    fuzz_require(receipt->detail[0] != '\0' && receipt->provider[0] != '\0');
    fuzz_require(receipt->retry_after_ms <= RETRY_AFTER_MS_MAX);
    fuzz_require(tocsin__receipt__get_packed_size(receipt) < LIMIT_COMMAND_SIZE_BYTES);
}

static void port_transfer(void *context, uint64_t transfer_id, const struct outgoing *outgoing)
{
    struct world *world = context;

    fuzz_require(outgoing->url != NULL);
    world->transfers++;
    world->transfer_id = transfer_id;
}

static void port_abort_transfer(void *context, uint64_t transfer_id)
{
    (void)context;
    (void)transfer_id;
}

static void check_verdict(const struct channel *channel, const struct answer *answer)
{
    struct verdict verdict;

    memset(&verdict, 0x5a, sizeof verdict); /* what it does not fill is seen */
    channel->judge(answer, &verdict);
    fuzz_require(memchr(verdict.detail, '\0', sizeof verdict.detail) != NULL);
    fuzz_require(memchr(verdict.provider_id, '\0', sizeof verdict.provider_id) != NULL);
    fuzz_require(fuzz_is_line(verdict.detail) && fuzz_is_line(verdict.provider_id));
    fuzz_require(verdict.detail[0] != '\0');
    fuzz_require(verdict.outcome > TOCSIN__OUTCOME__OUTCOME_NONE && verdict.outcome <= TOCSIN__OUTCOME__OUTCOME_UNKNOWN);
    /* Only a provider's word says that it has been sent, or that there is no use. */
    bool answered = answer->kind == ANSWER_RESPONSE;
    fuzz_require(answered || verdict.outcome == TOCSIN__OUTCOME__OUTCOME_RETRY ||
                 verdict.outcome == TOCSIN__OUTCOME__OUTCOME_UNKNOWN);
    fuzz_require(verdict.outcome != TOCSIN__OUTCOME__OUTCOME_SENT || (answer->status >= 200 && answer->status < 300));
}

/* The same answer to a question whether a page would be taken. */
static void check_probe(const struct channel *channel, const struct answer *answer)
{
    struct verdict verdict;

    if (channel->probe == NULL) {
        return;
    }
    memset(&verdict, 0x5a, sizeof verdict);
    channel->judge_probe(answer, &verdict);
    fuzz_require(fuzz_is_line(verdict.detail) && verdict.detail[0] != '\0');
    fuzz_require(verdict.outcome != TOCSIN__OUTCOME__OUTCOME_SENT || answer->kind == ANSWER_RESPONSE);
}

/* The same answer to a page on its way. */
static void check_receipt(const struct channel *channel, const struct answer *answer)
{
    static const char *const addresses[] = {
        [TOCSIN__CHANNEL__CHANNEL_EMAIL] = "alice@example.org", [TOCSIN__CHANNEL__CHANNEL_SMS] = "+15550100",
        [TOCSIN__CHANNEL__CHANNEL_VOICE] = "+15550100",         [TOCSIN__CHANNEL__CHANNEL_PUSH] = "topic",
        [TOCSIN__CHANNEL__CHANNEL_WEBHOOK] = "https://example.org/hook",
    };
    struct world world = {0};
    struct dispatcher_ports ports = {.context = &world,
                                     .boottime_ms = port_boottime_ms,
                                     .random = port_random,
                                     .leading_term = port_leading_term,
                                     .claim = port_claim,
                                     .receipt = port_receipt,
                                     .transfer = port_transfer,
                                     .abort_transfer = port_abort_transfer};
    Tocsin__Notification notification;

    tocsin__notification__init(&notification);
    notification.id = 7;
    notification.attempt = 2;
    notification.channel = channel->channel;
    notification.address = probe_text(addresses[channel->channel]);
    notification.title = probe_text("Disk full");
    notification.user_name = probe_text("alice");
    notification.service_name = probe_text("Database");
    notification.claim_term = TERM;
    notification.claim_boottime_ms = 1000000;
    struct dispatcher *dispatcher = dispatcher_new(&ports, &settings);
    dispatcher_take(dispatcher, &notification, TERM);
    fuzz_require(world.transfers == 1);
    dispatcher_answered(dispatcher, world.transfer_id, answer);
    fuzz_require(world.receipts == 1);
    dispatcher_free(dispatcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    struct answer answer = {.kind = (enum answer_kind)fuzz_below(&input, ANSWER_NO_ANSWER + 1)};

    answer.status = (unsigned)fuzz_number(&input, 2);
    uint64_t retry_after = fuzz_odd_number(&input); /* plus one */
    answer.retry_after_s = retry_after > INT64_MAX ? INT64_MAX : (int64_t)retry_after - 1;
    if (answer.retry_after_s < -1) {
        answer.retry_after_s = -1;
    }
    struct span rest = fuzz_bytes(&input, ANSWER_BODY_SIZE_BYTES_MAX);
    char *words = fuzz_text(rest);
    answer.body = words;
    answer.body_size_bytes = answer.kind == ANSWER_RESPONSE ? rest.size_bytes : 0;
    answer.error = answer.kind == ANSWER_RESPONSE ? NULL : words;
    for (const struct channel *const *channel = channels_all(); *channel != NULL; channel++) {
        check_verdict(*channel, &answer);
        check_probe(*channel, &answer);
        check_receipt(*channel, &answer);
    }
    free(words);
    return 0;
}
