/* Events on their way through the rules, for whoever takes events in. */
#ifndef NODE_API_ORCHESTRATION_EVENT_SUBMIT_H
#define NODE_API_ORCHESTRATION_EVENT_SUBMIT_H

#include "node/api/api.h"

/*
 * Has the rules look at the event and submits what they made of it; when rules have changed in between, again. `event` is in
 * the request's memory, with whatever the rules may look at; an acknowledgement or a resolve leaves the rest behind. Whoever
 * submits an event takes this way: apply refuses one that was not looked at by the rules in force.
 */
void event_submit(struct http_request *request, const Tocsin__Event *event, api_on_reply on_reply);

/* The event as it is to be submitted, by the rules in this state. REASON_STALE_RULES means: again, by the newest state. */
Tocsin__Event *event_decide(struct http_request *request, const struct machine_store *view, const Tocsin__Event *event);

/* The command with it, for who submits many at once. It has no idempotency key: its dedup key says what it is about, and the same words an hour later, when the trouble is back,
 * are news. */
Tocsin__Command *event_command(struct http_request *request, const struct machine_store *view, const Tocsin__Event *event);

/* incidents/events.c: an event as the Events API takes it, without a key, from `body`. False: already answered. */
bool event_read_payload(struct http_request *request, json_t *body, Tocsin__Event *event);

#endif
