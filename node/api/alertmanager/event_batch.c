/*
 * Many events of one request. They are submitted beside each other, so that they share an entry of the log, and in waves,
 * so that one request does not take the room of all others.
 */
#include <string.h>

#include "node/api/alertmanager/alertmanager.h"
#include "node/api/orchestration/event_submit.h"
#include "node/api/resource.h"

#define WAVE_MAX 256u   /* as many as Prometheus sends in one request */
#define ATTEMPTS_MAX 8u /* as often as rules would have to change meanwhile */

struct item {
    struct batch *batch;
    const Tocsin__Event *event;
    bool sent;
};

/* Lives in call->data. */
struct batch {
    struct http_request *request;
    struct item *items;
    size_t count, first; /* of the wave under way */
    size_t waiting;
    unsigned attempts;
    bool stale; /* the rules were others: those of the wave that are not `sent` go again */
    struct batch_result result;
    void (*done)(struct http_request *request, const struct batch_result *result);
};

static void begin_wave(struct batch *batch);

static void finish_wave(struct batch *batch)
{
    if (batch->stale && ++batch->attempts < ATTEMPTS_MAX) {
        begin_wave(batch);
        return;
    }
    batch->result.unavailable = batch->result.unavailable || batch->stale;
    batch->first += WAVE_MAX;
    batch->attempts = 0;
    batch->stale = false;
    if (batch->first < batch->count && !batch->result.unavailable && !batch->result.unknown_key) {
        begin_wave(batch);
    } else {
        batch->done(batch->request, &batch->result);
    }
}

static void take_reply(struct item *item, const Tocsin__Reply *reply)
{
    struct batch *batch = item->batch;

    if (reply->reason == TOCSIN__REASON__REASON_STALE_RULES) {
        item->sent = false;
        batch->stale = true;
    } else if (reply->reason == TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY) {
        batch->result.unknown_key = true;
    } else if (reply->status == TOCSIN__STATUS__STATUS_LIMIT) {
        batch->result.unavailable = true; /* a refusal would have the sender drop it */
    } else if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        json_array_append_new(batch->result.errors, json_string(reply->message));
    }
}

static void on_applied(void *argument, enum submit_outcome outcome, const Tocsin__Reply *reply)
{
    struct item *item = argument;
    struct batch *batch = item->batch;

    if (outcome == SUBMIT_APPLIED) {
        take_reply(item, reply);
    } else if (outcome == SUBMIT_TOO_LARGE) {
        json_array_append_new(batch->result.errors, json_string("An alert is too large"));
    } else {
        batch->result.unavailable = true;
    }
    if (--batch->waiting == 0) {
        finish_wave(batch);
    }
}

static void submit(struct item *item, const struct machine_store *view)
{
    struct http_request *request = item->batch->request;
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    Tocsin__Command *command = event_command(request, view, item->event);

    item->sent = true;
    item->batch->waiting++;
    ports->submit(ports->context, command, on_applied, item);
}

static void on_view(void *argument, const struct machine_store *view, bool stale)
{
    struct batch *batch = argument;
    size_t end = batch->count - batch->first > WAVE_MAX ? batch->first + WAVE_MAX : batch->count;

    (void)stale; /* what is too old apply finds out */
    if (view == NULL) {
        batch->result.stopped = true;
        batch->done(batch->request, &batch->result);
        return;
    }
    batch->stale = false;
    batch->waiting = 1; /* until all are on their way */
    for (size_t i = batch->first; i < end; i++) {
        if (!batch->items[i].sent) {
            submit(&batch->items[i], view);
        }
    }
    if (--batch->waiting == 0) {
        finish_wave(batch);
    }
}

static void begin_wave(struct batch *batch)
{
    const struct api_ports *ports = &api_call_of(batch->request)->api->ports;

    ports->read(ports->context, batch->attempts > 0, on_view, batch);
}

void event_batch_submit(struct http_request *request, Tocsin__Event **events, size_t count,
                        void (*done)(struct http_request *request, const struct batch_result *result))
{
    struct batch *batch = http_alloc(request, sizeof *batch);

    batch->request = request;
    batch->items = http_alloc(request, (count + 1) * sizeof *batch->items);
    batch->count = count;
    batch->done = done;
    batch->result.errors = json_array();
    for (size_t i = 0; i < count; i++) {
        batch->items[i] = (struct item){.batch = batch, .event = events[i]};
    }
    if (count == 0) {
        done(request, &batch->result);
    } else {
        begin_wave(batch);
    }
}
