/* Change events: what was changed on a service, to be read beside its incidents. They open none. */
#include "consensus/machine/incidents/incidents.h"

#include "consensus/machine/checks.h"
#include "consensus/machine/services/heard.h"
#include "consensus/machine/services/services.h"

static void change_event_delete(struct apply *apply, uint64_t service_id, uint64_t id)
{
    row_delete(apply, TABLE_CHANGE_EVENT_BY_SERVICE, key_2(service_id, id));
    row_delete(apply, TABLE_CHANGE_EVENT, key_1(id));
}

/* The oldest makes room. */
static void make_room(struct apply *apply, uint64_t service_id)
{
    uint64_t count = rows_under(apply, TABLE_CHANGE_EVENT_BY_SERVICE, service_id);
    struct walk walk = walk_under(apply->store, TABLE_CHANGE_EVENT_BY_SERVICE, service_id);
    for (; count >= LIMIT_CHANGE_EVENTS_PER_SERVICE && walk_next(&walk); count--) {
        change_event_delete(apply, service_id, span_number(walk.key, 1));
    }
}

void apply_change_event_put(struct apply *apply, const Tocsin__ChangeEventPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->change_event)) {
        return;
    }
    Tocsin__Integration *integration = integration_get_by_key(apply->store, put->routing_key, apply->arena);
    if (integration == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY,
                     "No integration has this routing key.");
        return;
    }
    integration_heard(apply, integration);
    make_room(apply, integration->service_id);
    Tocsin__ChangeEvent event = *put->change_event;
    event.id = apply_new_id(apply);
    event.service_id = integration->service_id;
    event.integration_id = integration->id;
    event.created_at_ms = apply->time_ms;
    event.at_ms = event.at_ms != 0 ? event.at_ms : apply->time_ms;
    record_put(apply->store, TABLE_CHANGE_EVENT, key_1(event.id), &event.base);
    struct key row = key_2(event.service_id, event.id);
    apply->store->put(apply->store->context, TABLE_CHANGE_EVENT_BY_SERVICE, key_span(&row),
                      (struct span){.data = "", .size_bytes = 0});
    reply_id(apply, reply, event.id);
}

bool change_events_trim(struct apply *apply, uint64_t before_ms, unsigned *rows_left)
{
    struct walk walk = walk_all(apply->store, TABLE_CHANGE_EVENT);
    while (walk_next(&walk)) {
        Tocsin__ChangeEvent *event = record_unpack(&tocsin__change_event__descriptor, walk.value, NULL); /* many and large: not kept for the entry */
        bool young = event != NULL && event->created_at_ms > before_ms;
        uint64_t service_id = event != NULL ? event->service_id : 0;
        tocsin__change_event__free_unpacked(event, NULL);
        if (young) {
            return true;
        }
        if (*rows_left == 0) {
            return false;
        }
        --*rows_left;
        change_event_delete(apply, service_id, span_number(walk.key, 0));
    }
    return true;
}

void change_events_service_deleted(struct apply *apply, uint64_t service_id)
{
    struct walk walk = walk_under(apply->store, TABLE_CHANGE_EVENT_BY_SERVICE, service_id);
    while (walk_next(&walk)) {
        change_event_delete(apply, service_id, span_number(walk.key, 1));
    }
}
