/*
 * Webhooks: a POST of one JSON event to the address, signed when a secret is configured.
 *
 *     X-Tocsin-Signature: sha256=<hex of HMAC-SHA256 of the body with the secret>
 *
 * event.id is the same for each repeat of a notification, so a receiver can drop repeats.
 */
#include <nettle/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "consensus/machine/base/ids.h"
#include "notify/channels/channels.h"
#include "notify/compose.h"
#include "notify/news.h"

#define TEXT_SIZE 2000

static const char *missing(const struct notify_settings *settings)
{
    (void)settings; /* it needs nothing; without a secret it is not signed */
    return NULL;
}

static void time_text(uint64_t time_ms, char out[32])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        out[0] = '\0';
}

static json_t *drill_json(const Tocsin__Notification *notification)
{
    const Tocsin__Notice *notice = notification->notice;
    char id[24], drill_id[16], at[32], text[TEXT_SIZE];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)notification->id);
    id_format(notice->drill_id, drill_id);
    time_text(notification->created_at_ms, at);
    message_short(notification, text, sizeof text);
    return json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:b, s:{s:s, s:s, s:s}}}", "event", "id", id, "event_type",
                     news_event_type(notice->kind), "resource_type", "drill", "occurred_at", at, "text", text,
                     "possibly_repeated", (int)notification->possibly_repeated, "data", "id", drill_id, "type", "drill",
                     "name", notice->schedule_name);
}

/* {"event": ...} of news about a shift or a swap. */
static json_t *news_json(const Tocsin__Notification *notification)
{
    const Tocsin__Notice *notice = notification->notice;
    char id[24], schedule_id[16], swap_id[16], at[32], start[32], end[32], text[TEXT_SIZE];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)notification->id);
    id_format(notice->schedule_id, schedule_id);
    id_format(notice->swap_id, swap_id);
    time_text(notification->created_at_ms, at);
    time_text(notice->start_ms, start);
    time_text(notice->end_ms, end);
    message_short(notification, text, sizeof text);
    return json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:{s:s, s:s, s:s, s:s?, s:s?, s:s?}}}", "event", "id", id,
                     "event_type", news_event_type(notice->kind), "resource_type", "schedule", "occurred_at", at,
                     "text", text, "possibly_repeated", (int)notification->possibly_repeated, "user",
                     notification->user_name, "data", "id", schedule_id, "type", "schedule", "name",
                     notice->schedule_name, "start", notice->start_ms ? start : NULL, "end",
                     notice->end_ms ? end : NULL, "swap_id", notice->swap_id ? swap_id : NULL);
}

static const char *event_type(const Tocsin__Notification *notification)
{
    switch (notification->bulletin) {
    case TOCSIN__BULLETIN_KIND__BULLETIN_STATUS_UPDATE:
        return "incident.status_update_published";
    case TOCSIN__BULLETIN_KIND__BULLETIN_RESPONDER_REQUEST:
        return "incident.responder.added";
    case TOCSIN__BULLETIN_KIND__BULLETIN_TARGET_MISSED:
        return "incident.target_missed";
    default:
        return notification->guardian ? "incident.escalation_exhausted" : "incident.notified";
    }
}

static json_t *event_json(const Tocsin__Notification *notification)
{
    char id[24], incident_id[16], at[32], text[TEXT_SIZE];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)notification->id);
    id_format(notification->incident_id, incident_id);
    time_text(notification->created_at_ms, at);
    message_short(notification, text, sizeof text);
    const char *urgency = notification->urgency == TOCSIN__URGENCY__URGENCY_LOW ? "low" : "high";
    json_t *incident = json_pack("{s:s, s:s, s:I, s:s, s:s, s:{s:s}}", "id", incident_id, "type", "incident", "number",
                                 (json_int_t)notification->incident_number, "title", notification->title, "urgency",
                                 urgency, "service", "summary", notification->service_name);
    json_t *event = json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:i, s:s, s:o}}", "event", "id", id, "event_type",
                              event_type(notification),
                              "resource_type", "incident", "occurred_at", at, "text", text, "possibly_repeated",
                              (int)notification->possibly_repeated, "guardian", (int)notification->guardian, "level",
                              (int)notification->level, "user", notification->user_name, "data", incident);
    return event;
}

static void add_signature(const char *secret, struct outgoing *outgoing)
{
    struct hmac_sha256_ctx hmac;
    uint8_t digest[SHA256_DIGEST_SIZE];
    hmac_sha256_set_key(&hmac, strlen(secret), (const uint8_t *)secret);
    hmac_sha256_update(&hmac, outgoing->body_size_bytes, (const uint8_t *)outgoing->body);
    hmac_sha256_digest(&hmac, sizeof digest, digest);
    struct composer value = {0};
    compose_text(&value, "sha256=");
    for (size_t i = 0; i < sizeof digest; i++)
        compose_format(&value, "%02x", digest[i]);
    outgoing_header(outgoing, "X-Tocsin-Signature", value.data);
    compose_discard(&value);
}

static bool compose(const struct notify_settings *settings, const Tocsin__Notification *notification,
                    struct outgoing *outgoing, char *error, size_t error_size)
{
    if (!http_url_is_valid(notification->address)) {
        (void)snprintf(error, error_size, "The address is no http or https URL.");
        return false;
    }
    bool drill = notification->notice && notification->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_DRILL;
    json_t *event = drill                  ? drill_json(notification)
                    : notification->notice ? news_json(notification)
                                           : event_json(notification);
    if (event && setting_present(settings->cluster_name))
        (void)json_object_set_new(json_object_get(event, "event"), "cluster", json_string(settings->cluster_name));
    char *body = event ? json_dumps(event, JSON_COMPACT) : NULL;
    json_decref(event);
    if (!body) {
        (void)snprintf(error, error_size, "The event could not be put into JSON.");
        return false;
    }
    outgoing->url = compose_copy(notification->address);
    outgoing->body = body;
    outgoing->body_size_bytes = strlen(body);
    outgoing_header(outgoing, "Content-Type", "application/json");
    if (setting_present(settings->webhook.secret))
        add_signature(settings->webhook.secret, outgoing);
    return true;
}

const struct channel channel_webhook = {.channel = TOCSIN__CHANNEL__CHANNEL_WEBHOOK,
                                        .provider = "webhook",
                                        .missing = missing,
                                        .compose = compose,
                                        .judge = judge_http};
