/* Calls through Twilio: POST Calls.json with the words inside (https://www.twilio.com/docs/voice/api/call-resource). */
#include "notify/channels/channels.h"
#include "notify/channels/twilio.h"

#define TWIML_SIZE_BYTES_MAX 4000 /* Twilio's limit of the Twiml parameter */
#define RING_TIMEOUT_S "30"       /* voicemail usually answers after that */

static const char *missing(const struct notify_settings *settings)
{
    const char *sentence = twilio_missing(settings);
    if (!sentence && twilio_from_is_messaging_service(settings))
        return "Calls need a phone number as from; a messaging service can only send texts.";
    return sentence;
}

/* Said twice, because who is woken by a call misses the first words. */
static void compose_twiml(struct composer *twiml, const char *text)
{
    compose_text(twiml, "<Response><Say>");
    compose_xml(twiml, text);
    compose_text(twiml, "</Say><Pause length=\"1\"/><Say>");
    compose_xml(twiml, text);
    compose_text(twiml, "</Say></Response>");
}

static bool compose(const struct notify_settings *settings, const Tocsin__Notification *notification,
                    struct outgoing *outgoing, char *error, size_t error_size)
{
    struct composer form = {0};
    if (!twilio_begin(notification, &form, error, error_size))
        return false;
    /* Escaping makes a text up to six times as long: shorten until it fits. */
    struct composer twiml = {0};
    char text[1200];
    for (size_t size = sizeof text;; size /= 2) {
        message_short(notification, text, size);
        compose_twiml(&twiml, text);
        if (twiml.size_bytes <= TWIML_SIZE_BYTES_MAX)
            break;
        compose_discard(&twiml);
    }
    compose_form_field(&form, "From", settings->twilio.from);
    compose_form_field(&form, "Twiml", twiml.data);
    compose_form_field(&form, "Timeout", RING_TIMEOUT_S);
    compose_discard(&twiml);
    twilio_finish(settings, "Calls.json", &form, outgoing);
    return true;
}

const struct channel channel_voice = {.channel = TOCSIN__CHANNEL__CHANNEL_VOICE,
                                      .provider = "twilio",
                                      .missing = missing,
                                      .compose = compose,
                                      .judge = twilio_judge,
                                      .probe = twilio_probe,
                                      .judge_probe = twilio_judge_probe};
