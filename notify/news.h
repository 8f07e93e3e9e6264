/* What people read when it is no page: shifts that begin and end, swaps. The notification has a notice. */
#ifndef NOTIFY_NEWS_H
#define NOTIFY_NEWS_H

#include <stddef.h>

#include "consensus/machine/oncall/zone.h"
#include "consensus/machine/schema/schema.pb-c.h"

/* Where the zones of readers come from, for good: without it, and for zones that it does not know, times are UTC. Called once,
 * before anything is sent. */
void news_use_zones(struct zone *(*load)(const char *name));

/* One or a few sentences; cut where the buffer ends. */
void news_short(const Tocsin__Notification *notification, char *out, size_t size);
/* A line. */
void news_subject(const Tocsin__Notification *notification, char *out, size_t size);
/* "shift.begins", ... for webhooks. */
const char *news_event_type(Tocsin__NoticeKind kind);

#endif
