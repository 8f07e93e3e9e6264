/*
 * Alerts whose source says that they last, again and again, and that end when it falls silent (Prometheus).
 *
 *     sent      again     again
 *     ──┴─────────┴─────────┴──────────────────────┬──> cluster time
 *                           └── expires_at_ms ─────┘ over
 *
 * Rows are lazy, as those of heartbeats: what is sent again leaves its row where it is, and when that comes up it is
 * filed anew. Time in which the cluster could take nothing does not count (promise P6).
 */
#include "consensus/machine/incidents/incidents.h"

#include "consensus/machine/checks.h"
#include "consensus/machine/heartbeats/heartbeats.h"
#include "consensus/machine/suppression/suppression.h"

/* When it is over, as far as is known now. */
static uint64_t over_ms(struct apply *apply, const Tocsin__Alert *alert)
{
    uint64_t since_ms = alert->updated_at_ms;
    uint64_t lasts_ms = alert->expires_at_ms > since_ms ? alert->expires_at_ms - since_ms : 0;
    const struct silence silence = {since_ms, since_ms, lasts_ms, 0};
    return lasts_ms > 0 ? blindness_judged_ms(apply, &silence) : since_ms;
}

void alert_expiry_drop(struct apply *apply, Tocsin__Alert *alert)
{
    if (alert->expiry_filed_ms != 0) {
        row_delete(apply, TABLE_ALERT_EXPIRY, key_2(alert->expiry_filed_ms, alert->id));
        alert->expiry_filed_ms = 0;
    }
}

void alert_expiry_set(struct apply *apply, Tocsin__Alert *alert, uint64_t expires_at_ms)
{
    alert->expires_at_ms = expires_at_ms;
    if (expires_at_ms == 0) {
        alert_expiry_drop(apply, alert);
        return;
    }
    uint64_t due_ms = over_ms(apply, alert);
    if (alert->expiry_filed_ms != 0 && alert->expiry_filed_ms <= due_ms) {
        return;
    }
    alert_expiry_drop(apply, alert);
    struct key row = key_2(due_ms, alert->id), open = key_1_hash(alert->integration_id, alert->dedup_key);
    apply->store->put(apply->store->context, TABLE_ALERT_EXPIRY, key_span(&row), key_span(&open));
    alert->expiry_filed_ms = due_ms;
}

/* The open alert that a row is about; NULL when it is another by now, or none. */
static Tocsin__Alert *alert_of_row(struct apply *apply, struct span open, uint64_t alert_id)
{
    struct span place;
    if (!apply->store->get(apply->store->context, TABLE_ALERT_OPEN, open, &place) || span_number(place, 1) != alert_id) {
        return NULL;
    }
    return alert_get(apply->store, span_number(place, 0), alert_id, apply->arena);
}

static void expire(struct apply *apply, Tocsin__Alert *alert)
{
    if (alert->incident_id == 0) {
        hold_resolve(apply, alert);
        return;
    }
    Tocsin__Incident *incident = incident_get(apply->store, alert->incident_id, apply->arena);
    if (incident == NULL) {
        return;
    }
    alert_resolve(apply, incident, alert);
    if (incident->alerts_triggered == 0) {
        incident_resolve(apply, incident, TOCSIN__WHY__WHY_ALERT_EXPIRED, NULL);
    }
    incident_put(apply->store, incident);
}

uint32_t alerts_expire(struct apply *apply, uint32_t left)
{
    for (; left > 0; left--) {
        struct walk walk = walk_all(apply->store, TABLE_ALERT_EXPIRY);
        if (!walk_next(&walk) || span_number(walk.key, 0) > apply->time_ms) {
            break;
        }
        Tocsin__Alert *alert = alert_of_row(apply, walk.value, span_number(walk.key, 1));
        row_delete(apply, TABLE_ALERT_EXPIRY, walk.position);
        if (alert == NULL) {
            continue;
        }
        alert->expiry_filed_ms = 0;
        if (over_ms(apply, alert) <= apply->time_ms) {
            expire(apply, alert);
        } else {
            alert_expiry_set(apply, alert, alert->expires_at_ms);
            alert_put(apply->store, alert);
        }
    }
    return left;
}
