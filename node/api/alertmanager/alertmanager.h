/*
 * Inside the handlers of Prometheus and Alertmanager (contracts/alertmanager.md).
 *
 *     Prometheus, amtool ──> receive.c ──┐
 *     Alertmanager's webhook ─> receive.c ┼─> mapping.c ──> event_batch.c ──> events, one for each alert
 *                                        │
 *     amtool, Karma, Grafana <── list.c ─┘   what fires now, in Alertmanager's shape
 */
#ifndef NODE_API_ALERTMANAGER_ALERTMANAGER_H
#define NODE_API_ALERTMANAGER_ALERTMANAGER_H

#include "node/api/api.h"

/* ---- mapping.c */

/* Alertmanager's hash of a label set, as 16 hexadecimal digits; empty values do not count. */
#define FINGERPRINT_SIZE_BYTES 17u
void labels_fingerprint(json_t *labels, char text[FINGERPRINT_SIZE_BYTES]);

/* One alert, {"labels": {...}, "annotations": {...}, "startsAt": ...}, as an event of the call's source, in the request's
 * memory. The action is the caller's. NULL: `errors` has one more sentence. */
Tocsin__Event *event_of_alert(struct http_request *request, json_t *alert, json_t *errors);
/* An alert's time of this name in milliseconds; 0: none, which the zero time of Go is, too. False: `errors` has one more. */
bool alert_time(json_t *alert, const char *name, uint64_t *time_ms, json_t *errors);

/* ---- event_batch.c */

/* How the events of a request ended. */
struct batch_result {
    bool unknown_key;   /* nobody has the source's key any more */
    bool unavailable;   /* some of them are certainly or possibly not taken: all may be sent again */
    bool stopped;       /* this node takes nothing any more */
    json_t *errors;     /* a sentence for each that was refused; the receiver's */
};

/* Submits events, in their order, many at once, through the rules; then calls `done`, once. */
void event_batch_submit(struct http_request *request, Tocsin__Event **events, size_t count,
                        void (*done)(struct http_request *request, const struct batch_result *result));

/* ---- list.c */
void alertmanager_alerts_list(struct http_request *request);
void alertmanager_groups_list(struct http_request *request);
void alertmanager_status(struct http_request *request);
void alertmanager_receivers(struct http_request *request);

/* ---- receive.c */

/* A webhook's body, version 4. */
bool is_webhook(json_t *body);
/* Takes its alerts in. */
void webhook_receive(struct http_request *request);

#endif
