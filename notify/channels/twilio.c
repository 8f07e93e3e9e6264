/* What text messages and calls through Twilio share: account, address, answers. */
#include "notify/channels/twilio.h"

#include <stdio.h>
#include <string.h>

#include "notify/channels/channels.h"

bool twilio_from_is_messaging_service(const struct notify_settings *settings)
{
    return strncmp(settings->twilio.from, "MG", 2) == 0;
}

const char *twilio_missing(const struct notify_settings *settings)
{
    if (!setting_present(settings->twilio.base_url))
        return "Twilio is not configured on this node: base_url is missing.";
    if (!setting_present(settings->twilio.account_sid))
        return "Twilio is not configured on this node: account_sid is missing.";
    if (!setting_present(settings->twilio.auth_token))
        return "Twilio is not configured on this node: auth_token is missing.";
    if (!setting_present(settings->twilio.from))
        return "Twilio is not configured on this node: from is missing.";
    return NULL;
}

bool twilio_begin(const Tocsin__Notification *notification, struct composer *form, char *error, size_t error_size)
{
    char to[PHONE_NUMBER_SIZE];
    if (!phone_number(to, notification->address, notification->country_code)) {
        (void)snprintf(error, error_size, "The address is no phone number.");
        return false;
    }
    compose_form_field(form, "To", to);
    return true;
}

/* `below`: the account's path goes on with it. */
static void address(const struct notify_settings *settings, const char *below, struct outgoing *outgoing)
{
    struct composer url = {0};
    compose_bytes(&url, settings->twilio.base_url, base_url_size(settings->twilio.base_url));
    compose_format(&url, "/2010-04-01/Accounts/%s%s", settings->twilio.account_sid, below);
    outgoing->url = compose_take(&url, NULL);
    outgoing->username = compose_copy(settings->twilio.account_sid);
    outgoing->password = compose_copy(settings->twilio.auth_token);
    outgoing_header(outgoing, "Accept", "application/json");
}

void twilio_finish(const struct notify_settings *settings, const char *resource, struct composer *form,
                   struct outgoing *outgoing)
{
    char below[32];
    (void)snprintf(below, sizeof below, "/%s", resource);
    address(settings, below, outgoing);
    outgoing->body = compose_take(form, &outgoing->body_size_bytes);
    outgoing_header(outgoing, "Content-Type", "application/x-www-form-urlencoded");
}

void twilio_probe(const struct notify_settings *settings, struct outgoing *outgoing)
{
    address(settings, ".json", outgoing);
    outgoing->get = true;
}

/* Codes under HTTP 400 that are about our side, not the addressee: https://www.twilio.com/docs/api/errors. Twilio
 * advises against keying on exact numbers, so an unknown one keeps the class of its HTTP status. */
static bool code_is_ours(json_int_t code)
{
    static const json_int_t ours[] = {
        20003, /* authentication */
        20404, /* no such account or resource */
        21212, /* From is invalid */
        21603, /* From is missing */
        21606, /* From is not a number of this account */
        21210, /* From is not verified */
    };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (ours[i] == code)
            return true;
    return false;
}

void twilio_judge(const struct answer *answer, struct verdict *verdict)
{
    judge_http(answer, verdict);
    json_t *body = judge_json(answer);
    if (!body)
        return;
    if (verdict->outcome == TOCSIN__OUTCOME__OUTCOME_SENT) {
        judge_provider_id(verdict, json_object_get(body, "sid"));
    } else {
        json_int_t code = json_integer_value(json_object_get(body, "code"));
        const char *message = json_string_value(json_object_get(body, "message"));
        if (verdict->outcome == TOCSIN__OUTCOME__OUTCOME_NEVER && code_is_ours(code))
            verdict->outcome = TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED;
        char words[128];
        (void)snprintf(words, sizeof words, "Twilio %lld: %.90s", (long long)code, message ? message : "no message");
        judge_add_words(verdict, words);
    }
    json_decref(body);
}

/* An account that is suspended (unpaid, or abused) or closed is still shown, and sends nothing. */
void twilio_judge_probe(const struct answer *answer, struct verdict *verdict)
{
    twilio_judge(answer, verdict);
    json_t *body = judge_json(answer);
    const char *status = json_string_value(json_object_get(body, "status"));
    if (verdict->outcome == TOCSIN__OUTCOME__OUTCOME_SENT && status && strcmp(status, "active") != 0) {
        char words[64];
        (void)snprintf(words, sizeof words, "the account is %.40s", status);
        verdict->outcome = TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED;
        judge_add_words(verdict, words);
    }
    json_decref(body);
}
