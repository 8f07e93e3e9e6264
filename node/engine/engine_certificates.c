/*
 * The leader looks at the certificates of the addresses that paging stands on: a minute after it began to lead, and daily.
 *
 *     configuration ──> addresses, each once ──> one connection at a time, nothing asked ──> certificates.h ──> conditions
 *
 * Nothing waits for it: a look ends after LOOK_DEADLINE_MS, the next one begins at an interval of its own, and an address that could not be looked
 * at is tried again in an hour. Who cannot be reached is the outer heartbeat's affair, and the dispatcher's.
 */
#include <stdio.h>
#include <string.h>

#include "node/engine/engine_internal.h"
#include "node/log.h"
#include "notify/compose.h"

#define LOOK_DEADLINE_MS 10000u
#define EACH_DAY_MINUTES (24u * 60)
#define AGAIN_MINUTES 60u
#define BETWEEN_LOOKS_PER_MINUTE 6u
#define PLACE_SHIFT 8u
#define PLACE_MASK ((1ull << PLACE_SHIFT) - 1)

/* ---- whose certificates */

static void add(struct engine_certificates *certificates, const char *url, const char *what) {
    struct certificate one;
    if (certificates->count == ENGINE_CERTIFICATES_MAX || !certificate_of_url(&one, url, what)) return;
    for (unsigned i = 0; i < certificates->count; i++)
        if (strcmp(certificates->list[i].name, one.name) == 0 && strcmp(certificates->list[i].scheme, one.scheme) == 0) return;
    certificates->list[certificates->count++] = one;
}

static void list_all(struct engine *engine) {
    struct engine_certificates *certificates = &engine->certificates;
    const struct config *config = engine->config;
    certificates->count = 0;
    add(certificates, config->public_url, "the cluster's public address");
    for (unsigned i = 0; i < config->members_count; i++) add(certificates, config->members[i].public_url, "a member's public address");
    for (unsigned i = 0; i < config->outers_count; i++) add(certificates, config->outers[i].url, "the outer heartbeat");
    if (config->notify.twilio.account_sid != NULL) add(certificates, config->notify.twilio.base_url, "the provider Twilio");
    add(certificates, config->notify.ntfy.base_url, "the provider ntfy");
    /* In clear text there is no certificate to be had. */
    if (config->notify.smtp.require_tls || (config->notify.smtp.url != NULL && strncmp(config->notify.smtp.url, "smtps:", 6) == 0))
        add(certificates, config->notify.smtp.url, "the mail server");
}

/* ---- looks */

static uint64_t between_ms(const struct engine *engine) { return engine->config->minute_ms / BETWEEN_LOOKS_PER_MINUTE; }

static void begin(struct engine *engine, unsigned place) {
    struct engine_certificates *certificates = &engine->certificates;
    const struct certificate *certificate = &certificates->list[place];
    bool mail = strcmp(certificate->scheme, "https") != 0;
    struct outgoing outgoing = {.get = true, .certificate = true, .require_tls = mail, .deadline_ms = LOOK_DEADLINE_MS};
    struct composer url = {0};
    compose_format(&url, "%s://%s", certificate->scheme, certificate->name);
    size_t size_bytes;
    outgoing.url = compose_take(&url, &size_bytes);
    certificates->transfer = CERTIFICATE_TRANSFER | ++certificates->looks << PLACE_SHIFT | place;
    engine->ports.transfer(engine->ports.context, certificates->transfer, &outgoing);
    outgoing_close(&outgoing);
}

void engine_certificates_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer) {
    struct engine_certificates *certificates = &engine->certificates;
    if (transfer_id != certificates->transfer) return; /* of a time before this one */
    struct certificate *certificate = &certificates->list[transfer_id & PLACE_MASK];
    certificates->transfer = 0;
    bool seen = certificate_take(certificate, answer);
    if (!seen) log_debug("the certificate of %s was not seen", certificate->name);
    certificate->next_ms = engine_now_ms(engine) + (uint64_t)engine->config->minute_ms * (seen ? EACH_DAY_MINUTES : AGAIN_MINUTES);
}

void engine_certificates_turn(struct engine *engine, uint64_t term) {
    struct engine_certificates *certificates = &engine->certificates;
    if (term == 0) return;
    uint64_t now_ms = engine_now_ms(engine);
    if (term != certificates->term) {
        uint64_t looks = certificates->looks;
        *certificates = (struct engine_certificates){.term = term, .looks = looks};
        list_all(engine);
        for (unsigned i = 0; i < certificates->count; i++) certificates->list[i].next_ms = now_ms + engine->config->minute_ms + i * between_ms(engine);
    }
    for (unsigned i = 0; i < certificates->count && certificates->transfer == 0; i++)
        if (certificates->list[i].next_ms <= now_ms) begin(engine, i);
}

uint64_t engine_certificates_next_ms(const struct engine *engine) {
    const struct engine_certificates *certificates = &engine->certificates;
    uint64_t next_ms = UINT64_MAX;
    for (unsigned i = 0; i < certificates->count && certificates->transfer == 0; i++)
        if (certificates->list[i].next_ms < next_ms) next_ms = certificates->list[i].next_ms;
    return next_ms;
}
