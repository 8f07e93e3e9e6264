/* What holds of heartbeats in every state. */
#include <stdio.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/heartbeats/quick_pings.h"
#include "tests/sim/judge/invariants_internal.h"

static bool heartbeat_is_listed(const struct check *check, const Tocsin__Heartbeat *heartbeat)
{
    return row_is_there(check, TABLE_HEARTBEAT_BY_NAME, key_and_1(key_hash(heartbeat->name), heartbeat->id)) &&
           row_is_there(check, TABLE_HEARTBEAT_BY_SLUG,
                        key_and_1(key_1_hash(heartbeat->service_id, heartbeat->slug), heartbeat->id));
}

static bool has_alert(const struct check *check, uint64_t id)
{
    char text[16], dedup_key[32];
    id_format(id, text);
    (void)snprintf(dedup_key, sizeof dedup_key, "heartbeat/%s", text);
    return row_is_there(check, TABLE_ALERT_OPEN, key_1_hash(id, dedup_key));
}

/* One that is up is looked at again by time, or its silence is never noticed. */
static bool filing_holds(struct check *check, uint64_t id, const Tocsin__HeartbeatState *state)
{
    if (state->filed_ms != 0 && !row_is_there(check, TABLE_HEARTBEAT_DUE, key_2(state->filed_ms, id))) {
        return broken(check, "heartbeat %" PRIu64 " says that it is filed, and no row says so", id);
    }
    if (state->filed_ms == 0 && state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP) {
        return broken(check, "heartbeat %" PRIu64 " is up and not filed: its silence pages nobody", id);
    }
    /* Down and told to nobody, because its service was disabled, it is filed to be told. */
    if (state->filed_ms != 0 && state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_DOWN && has_alert(check, id)) {
        return broken(check, "heartbeat %" PRIu64 " is down, told, and waits to be told", id);
    }
    check->heartbeats_filed += state->filed_ms != 0 ? 1 : 0;
    return true;
}

/* One whose pings are noted by their time alone needs nothing else of them. */
static bool quickness_holds(struct check *check, const Tocsin__Heartbeat *heartbeat, const Tocsin__HeartbeatState *state)
{
    bool plain = state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP && state->last_start_ms == 0 &&
                 state->filed_ms != 0 && !heartbeat->post_only && heartbeat->schedule[0] == '\0';
    return plain || !quick_is(check->view, heartbeat->id) ||
           broken(check, "the pings of heartbeat %" PRIu64 " must do more than they do", heartbeat->id);
}

static bool judge_quick_row(struct check *check, struct span key)
{
    uint64_t first_id = span_number(key, 0) * QUICK_PLACES;
    for (uint64_t id = first_id; id < first_id + QUICK_PLACES; id++) {
        if (quick_is(check->view, id) && !row_is_there(check, TABLE_HEARTBEAT, key_1(id))) {
            return broken(check, "the pings of heartbeat %" PRIu64 ", which is gone, are noted", id);
        }
    }
    return true;
}

static bool quick_rows_hold(struct check *check)
{
    struct walk walk = walk_all(check->view, TABLE_HEARTBEAT_QUICK);
    while (walk_next(&walk)) {
        if (!judge_quick_row(check, walk.key)) {
            return false;
        }
    }
    return true;
}

static bool judge_heartbeat(struct check *check, struct span key, const void *record)
{
    const Tocsin__Heartbeat *heartbeat = record;
    uint64_t id = heartbeat->id;
    if (!key_holds(check, key, 0, id, "heartbeat")) {
        return false;
    }
    if (!row_is_there(check, TABLE_SERVICE, key_1(heartbeat->service_id))) {
        return broken(check, "heartbeat %" PRIu64 " opens its incidents on a service that is gone", id);
    }
    if (!index_says(check, TABLE_HEARTBEAT_BY_KEY, key_hash(heartbeat->key), id, 0) ||
        !heartbeat_is_listed(check, heartbeat)) {
        return broken(check, "heartbeat %" PRIu64 " is not found by its key, name and slug", id);
    }
    const Tocsin__HeartbeatState *state = record_at(check, TABLE_HEARTBEAT_STATE, key_1(id), &tocsin__heartbeat_state__descriptor);
    if (state == NULL) {
        return broken(check, "heartbeat %" PRIu64 " has no state", id);
    }
    bool holds = filing_holds(check, id, state) && quickness_holds(check, heartbeat, state);
    if (holds && (heartbeat->schedule[0] != '\0') != row_is_there(check, TABLE_HEARTBEAT_MOMENTS, key_1(id))) {
        holds = broken(check, "heartbeat %" PRIu64 " has a schedule without moments, or moments without a schedule", id);
    }
    return holds;
}

bool heartbeats_hold(struct check *check)
{
    static const enum machine_table BESIDE[] = {TABLE_HEARTBEAT_STATE, TABLE_HEARTBEAT_BY_KEY, TABLE_HEARTBEAT_BY_NAME,
                                                TABLE_HEARTBEAT_BY_SLUG};
    if (!walk_table(check, TABLE_HEARTBEAT, &tocsin__heartbeat__descriptor, "a heartbeat", judge_heartbeat)) {
        return false;
    }
    for (size_t i = 0; i < sizeof BESIDE / sizeof BESIDE[0]; i++) {
        if (rows(check, BESIDE[i]) != rows(check, TABLE_HEARTBEAT)) {
            return broken(check, "something is left of a heartbeat that is gone");
        }
    }
    if (!quick_rows_hold(check)) {
        return false;
    }
    return rows(check, TABLE_HEARTBEAT_DUE) == check->heartbeats_filed ||
           broken(check, "a heartbeat is filed that knows nothing of it");
}
