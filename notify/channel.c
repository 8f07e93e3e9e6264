/* The table of channels, and the classes of answers that HTTP providers share. */
#include "notify/channel.h"

#include <stdio.h>
#include <string.h>

#include "notify/channels/channels.h"
#include "notify/compose.h"

static const struct channel *const channels[] = {&channel_email, &channel_sms,     &channel_voice,
                                                 &channel_push,  &channel_webhook, NULL};

const struct channel *const *channels_all(void)
{
    return channels;
}

const struct channel *channel_for(Tocsin__Channel kind)
{
    for (const struct channel *const *channel = channels; *channel; channel++)
        if ((*channel)->channel == kind)
            return *channel;
    return NULL;
}

/* First match wins. Sources: RFC 9110 sections 15.5.2 to 15.5.9, RFC 6585 section 4, and the providers' pages. */
static const struct {
    unsigned from, to;
    Tocsin__Outcome outcome;
    const char *sentence;
} http_classes[] = {
    {200, 299, TOCSIN__OUTCOME__OUTCOME_SENT, "taken"},
    {300, 399, TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED, "redirected: configure the final address"},
    {401, 401, TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED, "credentials refused"},
    {403, 403, TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED, "not permitted"},
    {407, 407, TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED, "the proxy wants credentials"},
    {408, 408, TOCSIN__OUTCOME__OUTCOME_RETRY, "the provider waited too long for the request"},
    {425, 425, TOCSIN__OUTCOME__OUTCOME_RETRY, "too early"},
    {429, 429, TOCSIN__OUTCOME__OUTCOME_RETRY, "throttled"},
    {400, 499, TOCSIN__OUTCOME__OUTCOME_NEVER, "refused"},
    {500, 599, TOCSIN__OUTCOME__OUTCOME_RETRY, "the provider failed"},
    {0, 999, TOCSIN__OUTCOME__OUTCOME_UNKNOWN, "not an answer of HTTP"},
};

bool judge_unanswered(const struct answer *answer, struct verdict *verdict)
{
    verdict->retry_after_s = -1;
    verdict->provider_id[0] = '\0';
    if (answer->kind == ANSWER_RESPONSE)
        return false;
    verdict->outcome =
        answer->kind == ANSWER_NOT_SENT ? TOCSIN__OUTCOME__OUTCOME_RETRY : TOCSIN__OUTCOME__OUTCOME_UNKNOWN;
    const char *error = answer->error && *answer->error ? answer->error : "no reason given";
    char clean[200];
    clean_copy(clean, sizeof clean, error, strlen(error));
    (void)snprintf(verdict->detail, sizeof verdict->detail, "%s: %s",
                   answer->kind == ANSWER_NOT_SENT ? "not sent" : "sent, but no answer", clean);
    return true;
}

void judge_http(const struct answer *answer, struct verdict *verdict)
{
    if (judge_unanswered(answer, verdict))
        return;
    size_t row = 0;
    while (answer->status < http_classes[row].from || answer->status > http_classes[row].to)
        if (++row == sizeof http_classes / sizeof *http_classes - 1)
            break;
    verdict->outcome = http_classes[row].outcome;
    if (verdict->outcome == TOCSIN__OUTCOME__OUTCOME_RETRY)
        verdict->retry_after_s = answer->retry_after_s;
    (void)snprintf(verdict->detail, sizeof verdict->detail, "HTTP %u: %s", answer->status, http_classes[row].sentence);
}

void withhold_secrets(const struct notify_settings *settings, char *text, size_t size)
{
    const char *secrets[] = {settings->twilio.auth_token, settings->ntfy.token, settings->smtp.password,
                             settings->webhook.secret};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        if (setting_present(secrets[i]) && strstr(text, secrets[i]))
            (void)snprintf(text, size, "withheld: it contained a secret");
}

void judge_add_words(struct verdict *verdict, const char *words)
{
    char clean[160];
    if (clean_copy(clean, sizeof clean, words, strlen(words)) == 0)
        return;
    size_t used = strlen(verdict->detail);
    char joined[sizeof verdict->detail * 2];
    (void)snprintf(joined, sizeof joined, "%.*s (%s)", (int)used, verdict->detail, clean);
    clean_copy(verdict->detail, sizeof verdict->detail, joined, strlen(joined));
}

json_t *judge_json(const struct answer *answer)
{
    if (answer->kind != ANSWER_RESPONSE || answer->body_size_bytes == 0)
        return NULL;
    json_t *object = json_loadb(answer->body, answer->body_size_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (object && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

void judge_provider_id(struct verdict *verdict, const json_t *id)
{
    const char *text = json_string_value(id);
    if (text)
        clean_copy(verdict->provider_id, sizeof verdict->provider_id, text, strlen(text));
}
