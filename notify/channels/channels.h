/* The channels, one file each, and what they share when they judge answers. */
#ifndef NOTIFY_CHANNELS_CHANNELS_H
#define NOTIFY_CHANNELS_CHANNELS_H

#include <jansson.h>
#include <stdbool.h>

#include "notify/channel.h"

extern const struct channel channel_email;
extern const struct channel channel_sms;
extern const struct channel channel_voice;
extern const struct channel channel_push;
extern const struct channel channel_webhook;

/* Judges an answer that is no response, for any protocol, and returns true; for a response it clears the verdict's
 * optional parts and returns false. */
bool judge_unanswered(const struct answer *answer, struct verdict *verdict);
/* Adds the provider's own words to the detail, bounded and cleaned. */
void judge_add_words(struct verdict *verdict, const char *words);
/* The body as a JSON object (a new reference), NULL when it is none. */
json_t *judge_json(const struct answer *answer);
void judge_provider_id(struct verdict *verdict, const json_t *id);

#endif
