/*
 * What may go: closed incidents, what senders wrote, replies kept for repeated requests. In small steps, each a part
 * of a pulse, so that no entry takes long to apply; an incident with a long timeline goes over several.
 */
#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/services/services.h"

#define MINUTES_PER_DAY (24u * 60)

struct step {
    struct apply *apply;
    unsigned rows_left; /* that this step may still delete */
    uint64_t payloads_from; /* the alert behind the last one whose payload this round has looked at */
};

static uint64_t days_ms(const struct apply *apply, uint32_t days)
{
    return (uint64_t)days * apply_minutes_ms(apply, MINUTES_PER_DAY);
}

static void retention_file(struct apply *apply, uint64_t due_ms, uint64_t payloads_from)
{
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    record_put(apply->store, TABLE_DEADLINE, key_deadline(due_ms, DEADLINE_RETENTION, 0, payloads_from), &row.base);
}

void retention_begin(struct apply *apply)
{
    retention_file(apply, apply->time_ms + days_ms(apply, 1), 0);
}

/* True when what was made or closed at `at_ms` has been kept for `days`. */
static bool is_over(const struct apply *apply, uint64_t at_ms, uint32_t days)
{
    return apply->time_ms - at_ms >= days_ms(apply, days);
}

static void step_delete(struct step *step, enum machine_table table, struct key key)
{
    if (step->apply->store->del(step->apply->store->context, table, key_span(&key))) {
        step->rows_left -= step->rows_left > 0;
    }
}

/* Deletes the rows under the incident; true when all are gone. */
static bool rows_under_delete(struct step *step, enum machine_table table, uint64_t incident_id)
{
    struct walk walk = walk_under(step->apply->store, table, incident_id);
    while (walk_next(&walk)) {
        if (step->rows_left == 0) {
            return false;
        }
        if (table == TABLE_ALERT) {
            step_delete(step, TABLE_ALERT_PAYLOAD, key_1(span_number(walk.key, 1)));
        }
        step_delete(step, table, walk.position);
    }
    return true;
}

/* True when nothing of it is left. The record and its row among the closed go last, so that the next step finds the
 * way. */
static bool incident_delete(struct step *step, uint64_t resolved_at_ms, uint64_t incident_id)
{
    static const enum machine_table PARTS[] = {TABLE_LOG_ENTRY, TABLE_NOTIFICATION, TABLE_ALERT};
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        if (!rows_under_delete(step, PARTS[i], incident_id)) {
            return false;
        }
    }
    const Tocsin__Incident *incident = incident_get(step->apply->store, incident_id, step->apply->arena);
    if (incident != NULL) {
        step_delete(step, TABLE_INCIDENT_BY_NUMBER, key_1(incident->number));
        step_delete(step, TABLE_INCIDENT, key_1(incident_id));
    }
    step_delete(step, TABLE_INCIDENT_CLOSED, key_2(resolved_at_ms, incident_id));
    return true;
}

static bool incidents_delete(struct step *step)
{
    struct walk walk = walk_all(step->apply->store, TABLE_INCIDENT_CLOSED);
    while (walk_next(&walk)) {
        uint64_t resolved_at_ms = span_number(walk.key, 0);
        if (!is_over(step->apply, resolved_at_ms, step->apply->settings->retention_days)) {
            return true;
        }
        if (step->rows_left == 0 || !incident_delete(step, resolved_at_ms, span_number(walk.key, 1))) {
            return false;
        }
    }
    return true;
}

/*
 * Alert ids grow with time: the first alert that is young enough ends the walk. Those that are open for long and have said
 * something else since are passed over. They may be many, so each step looks at a bounded number, and the next one goes on behind
 * them.
 */
static bool payloads_delete(struct step *step)
{
    uint32_t days = step->apply->settings->payload_retention_days;
    struct walk walk = walk_all(step->apply->store, TABLE_ALERT_PAYLOAD);
    if (step->payloads_from > 0) {
        walk.position = key_1(step->payloads_from - 1);
        walk.started = true;
    }
    for (unsigned seen = 0; walk_next(&walk); seen++) {
        Tocsin__AlertPayload *payload = record_unpack(&tocsin__alert_payload__descriptor, walk.value, NULL);
        bool young = payload != NULL && !is_over(step->apply, payload->created_at_ms, days);
        bool kept = payload != NULL && !is_over(step->apply, payload->changed_at_ms, days);
        tocsin__alert_payload__free_unpacked(payload, NULL);
        if (young) {
            return true;
        }
        if (step->rows_left == 0 || seen == LIMIT_RETENTION_ROWS) {
            return false;
        }
        step->payloads_from = span_number(walk.key, 0) + 1;
        if (!kept) {
            step_delete(step, TABLE_ALERT_PAYLOAD, walk.position);
        }
    }
    return true;
}

/* The key by time is the time, then the key of the reply itself. */
static bool replies_delete(struct step *step)
{
    struct walk walk = walk_all(step->apply->store, TABLE_IDEMPOTENCY_BY_TIME);
    while (walk_next(&walk)) {
        if (step->apply->time_ms - span_number(walk.key, 0) < IDEMPOTENCY_KEPT_MS) {
            return true;
        }
        if (step->rows_left == 0) {
            return false;
        }
        struct key by_time = walk.position;
        step_delete(step, TABLE_IDEMPOTENCY,
                   key_bytes(by_time.bytes + sizeof(uint64_t), by_time.size_bytes - sizeof(uint64_t)));
        step_delete(step, TABLE_IDEMPOTENCY_BY_TIME, by_time);
    }
    return true;
}

static bool changes_delete(struct step *step)
{
    uint64_t kept_ms = days_ms(step->apply, step->apply->settings->payload_retention_days);
    uint64_t now_ms = step->apply->time_ms;
    return change_events_trim(step->apply, now_ms > kept_ms ? now_ms - kept_ms : 0, &step->rows_left);
}

void retention_due(struct apply *apply, uint64_t payloads_from)
{
    struct step step = {.apply = apply, .rows_left = LIMIT_RETENTION_ROWS, .payloads_from = payloads_from};
    bool done = replies_delete(&step) && payloads_delete(&step) && changes_delete(&step) &&
                incidents_delete(&step);
    if (done) {
        retention_file(apply, apply->time_ms + days_ms(apply, 1), 0);
    } else {
        retention_file(apply, apply->time_ms, step.payloads_from);
    }
}
