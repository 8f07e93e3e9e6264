/* What people read when it is no page: shifts that begin and end, swaps. The notification has a notice. */
#ifndef NOTIFY_NEWS_H
#define NOTIFY_NEWS_H

#include <stddef.h>

#include "consensus/machine/schema.pb-c.h"

/* One or a few sentences; cut where the buffer ends. */
void news_short(const Tocsin__Notification *notification, char *out, size_t size);
/* A line. */
void news_subject(const Tocsin__Notification *notification, char *out, size_t size);
/* "shift.begins", ... for webhooks. */
const char *news_event_type(Tocsin__NoticeKind kind);

#endif
