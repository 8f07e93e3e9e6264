/*
 * Push messages through ntfy: JSON to the server's root (https://docs.ntfy.sh/publish/#publish-as-json).
 *
 * The address is a topic on the configured server, or a whole URL "https://host/topic" of another one. The configured
 * token goes to the configured server only.
 */
#include <stdio.h>
#include <string.h>

#include "notify/channels/channels.h"
#include "notify/compose.h"

#define TOPIC_SIZE_BYTES_MAX 64 /* ntfy's */
#define MESSAGE_SIZE 4000       /* beyond 4096 bytes ntfy turns the message into an attachment */
#define TITLE_SIZE 250
#define PRIORITY_URGENT 5
#define PRIORITY_DEFAULT 3

static const char *missing(const struct notify_settings *settings)
{
    return setting_present(settings->ntfy.base_url) ? NULL
                                                    : "ntfy is not configured on this node: base_url is missing.";
}

static bool topic_is_valid(const char *topic)
{
    size_t size = strspn(topic, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    return size > 0 && size <= TOPIC_SIZE_BYTES_MAX && topic[size] == '\0';
}

static json_t *message_json(const Tocsin__Notification *notification, const char *topic)
{
    char message[MESSAGE_SIZE], title[TITLE_SIZE];
    message_short(notification, message, sizeof message);
    message_subject(notification, title, sizeof title);
    bool urgent = notification->guardian || notification->urgency == TOCSIN__URGENCY__URGENCY_HIGH;
    return json_pack("{s:s, s:s, s:s, s:i, s:[s]}", "topic", topic, "title", title, "message", message, "priority",
                     urgent ? PRIORITY_URGENT : PRIORITY_DEFAULT, "tags", urgent ? "rotating_light" : "bell");
}

static void add_token(const struct notify_settings *settings, struct outgoing *outgoing)
{
    if (!setting_present(settings->ntfy.token))
        return;
    struct composer bearer = {0};
    compose_format(&bearer, "Bearer %s", settings->ntfy.token);
    outgoing_header(outgoing, "Authorization", bearer.data);
    compose_discard(&bearer);
}

static bool compose(const struct notify_settings *settings, const Tocsin__Notification *notification,
                    struct outgoing *outgoing, char *error, size_t error_size)
{
    const char *base = settings->ntfy.base_url, *topic = notification->address;
    size_t base_size = base_url_size(base);
    bool own_server = true;
    if (http_url_is_valid(notification->address)) {
        const char *slash = strrchr(notification->address, '/');
        topic = slash + 1;
        own_server = (size_t)(slash - notification->address) == base_size &&
                     strncmp(notification->address, base, base_size) == 0;
        base = notification->address;
        base_size = (size_t)(slash - notification->address);
    }
    if (!topic_is_valid(topic) || base_size == 0 || base[base_size - 1] == '/') {
        (void)snprintf(error, error_size, "The address is neither an ntfy topic nor the URL of one.");
        return false;
    }
    json_t *message = message_json(notification, topic);
    char *body = message ? json_dumps(message, JSON_COMPACT) : NULL;
    json_decref(message);
    if (!body) {
        (void)snprintf(error, error_size, "The message could not be put into JSON.");
        return false;
    }
    outgoing->body = body;
    outgoing->body_size_bytes = strlen(body);
    struct composer url = {0};
    compose_bytes(&url, base, base_size);
    compose_text(&url, "/");
    outgoing->url = compose_take(&url, NULL);
    outgoing_header(outgoing, "Content-Type", "application/json");
    if (own_server)
        add_token(settings, outgoing);
    return true;
}

/* Errors are {"code", "http", "error", "link"}; their classes are those of the HTTP status. */
static void judge(const struct answer *answer, struct verdict *verdict)
{
    judge_http(answer, verdict);
    json_t *body = judge_json(answer);
    if (!body)
        return;
    if (verdict->outcome == TOCSIN__OUTCOME__OUTCOME_SENT)
        judge_provider_id(verdict, json_object_get(body, "id"));
    else if (json_is_string(json_object_get(body, "error")))
        judge_add_words(verdict, json_string_value(json_object_get(body, "error")));
    json_decref(body);
}

/* The token's own account, or without one the server's health. */
static void probe(const struct notify_settings *settings, struct outgoing *outgoing)
{
    struct composer url = {0};
    compose_bytes(&url, settings->ntfy.base_url, base_url_size(settings->ntfy.base_url));
    compose_text(&url, setting_present(settings->ntfy.token) ? "/v1/account" : "/v1/health");
    outgoing->url = compose_take(&url, NULL);
    outgoing->get = true;
    add_token(settings, outgoing);
}

/* Servers of before 2023 have no such pages, and answer. */
static void judge_probe(const struct answer *answer, struct verdict *verdict)
{
    judge(answer, verdict);
    if (verdict->outcome == TOCSIN__OUTCOME__OUTCOME_NEVER)
        verdict->outcome = TOCSIN__OUTCOME__OUTCOME_SENT;
}

const struct channel channel_push = {.channel = TOCSIN__CHANNEL__CHANNEL_PUSH,
                                     .provider = "ntfy",
                                     .missing = missing,
                                     .compose = compose,
                                     .judge = judge,
                                     .probe = probe,
                                     .judge_probe = judge_probe};
