/* Text messages through Twilio: POST Messages.json (https://www.twilio.com/docs/messaging/api/message-resource). */
#include <stdio.h>

#include "notify/channels/channels.h"
#include "notify/channels/twilio.h"

#define SMS_SIZE 1601 /* Twilio's limit of 1600 characters, counted in bytes to be on the safe side */
#define VALIDITY_S_MIN 1u
#define VALIDITY_S_MAX 36000u
#define VALIDITY_S_DEFAULT 600u

static bool compose(const struct notify_settings *settings, const Tocsin__Notification *notification,
                    struct outgoing *outgoing, char *error, size_t error_size)
{
    struct composer form = {0};
    if (!twilio_begin(notification, &form, error, error_size))
        return false;
    char text[SMS_SIZE];
    message_short(notification, text, sizeof text);
    compose_form_field(&form, twilio_from_is_messaging_service(settings) ? "MessagingServiceSid" : "From",
                       settings->twilio.from);
    compose_form_field(&form, "Body", text);
    /* A page that lay at the carrier for hours wakes people for nothing. */
    uint32_t validity_s = settings->twilio.validity_s ? settings->twilio.validity_s : VALIDITY_S_DEFAULT;
    validity_s = validity_s > VALIDITY_S_MAX   ? VALIDITY_S_MAX
                 : validity_s < VALIDITY_S_MIN ? VALIDITY_S_MIN
                                               : validity_s;
    char validity[16];
    (void)snprintf(validity, sizeof validity, "%u", validity_s);
    compose_form_field(&form, "ValidityPeriod", validity);
    twilio_finish(settings, "Messages.json", &form, outgoing);
    return true;
}

const struct channel channel_sms = {.channel = TOCSIN__CHANNEL__CHANNEL_SMS,
                                    .provider = "twilio",
                                    .missing = twilio_missing,
                                    .compose = compose,
                                    .judge = twilio_judge,
                                    .probe = twilio_probe,
                                    .judge_probe = twilio_judge_probe};
