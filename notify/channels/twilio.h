/* What text messages and calls through Twilio share (https://www.twilio.com/docs/usage/api). */
#ifndef NOTIFY_CHANNELS_TWILIO_H
#define NOTIFY_CHANNELS_TWILIO_H

#include "notify/channel.h"
#include "notify/compose.h"

/* "MG..." names a messaging service instead of a number: texts only. */
bool twilio_from_is_messaging_service(const struct notify_settings *settings);

const char *twilio_missing(const struct notify_settings *settings);

/* Begins the form of a request with To. False with a sentence when the address is no phone number. */
bool twilio_begin(const Tocsin__Notification *notification, struct composer *form, char *error, size_t error_size);
/* Makes `form` a request to this resource of the account, for example "Messages.json". */
void twilio_finish(const struct notify_settings *settings, const char *resource, struct composer *form,
                   struct outgoing *outgoing);

void twilio_judge(const struct answer *answer, struct verdict *verdict);

/* The account is read, which is free (https://www.twilio.com/docs/iam/api/account). */
void twilio_probe(const struct notify_settings *settings, struct outgoing *outgoing);
void twilio_judge_probe(const struct answer *answer, struct verdict *verdict);

#endif
