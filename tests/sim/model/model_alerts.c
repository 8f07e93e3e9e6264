/*
 * What senders say, and where it counts.
 *
 * A sender speaks of one trouble under one key. As long as that is open, all that it says counts for the incident that
 * has it, wherever people have moved it meanwhile. An incident that had open alerts is over with the last of them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/model/model_internal.h"

static struct alert *find_in(const struct incident *incident, uint64_t source_id, const char *dedup_key)
{
    for (size_t i = 0; i < incident->alerts.count; i++) {
        struct alert *alert = &incident->alerts.items[i];
        if (!alert->over && alert->source_id == source_id && strcmp(alert->dedup_key, dedup_key) == 0) {
            return alert;
        }
    }
    return NULL;
}

struct alert *model_alert_find(const struct model *model, uint64_t source_id, const char *dedup_key, struct incident **incident)
{
    for (size_t i = 0; i < model->incidents.count; i++) {
        struct alert *alert = find_in(model->incidents.items[i], source_id, dedup_key);
        if (alert != NULL) {
            *incident = model->incidents.items[i];
            return alert;
        }
    }
    *incident = NULL;
    return NULL;
}

void model_alert_add(struct incident *incident, uint64_t source_id, const char *dedup_key, uint64_t heard_ms)
{
    struct alert *alert = list_add(&incident->alerts);
    alert->source_id = source_id;
    alert->dedup_key = model_copy(dedup_key);
    alert->heard_ms = heard_ms;
}

size_t model_alerts_open(const struct incident *incident)
{
    size_t open = 0;
    for (size_t i = 0; i < incident->alerts.count; i++) {
        open += incident->alerts.items[i].over ? 0 : 1;
    }
    return open;
}

void model_alert_over(struct model *model, struct incident *incident, struct alert *alert)
{
    assert(!alert->over);
    alert->over = true;
    alert->heard_ms = model->now_ms;
    if (model_alerts_open(incident) == 0) {
        model_incident_resolve(model, incident);
    }
}

void model_alerts_move(struct incident *from, struct incident *to)
{
    for (size_t i = 0; i < from->alerts.count; i++) {
        *list_add(&to->alerts) = from->alerts.items[i];
    }
    from->alerts.count = 0;
}

uint64_t model_alerts_heard_ms(const struct incident *incident)
{
    uint64_t heard_ms = incident->opened_ms;
    for (size_t i = 0; i < incident->alerts.count; i++) {
        uint64_t alert_ms = incident->alerts.items[i].heard_ms;
        heard_ms = alert_ms > heard_ms ? alert_ms : heard_ms;
    }
    return heard_ms;
}

void model_alerts_forget(struct incident *incident)
{
    for (size_t i = 0; i < incident->alerts.count; i++) {
        free(incident->alerts.items[i].dedup_key);
    }
    free(incident->alerts.items);
    incident->alerts.items = NULL;
    incident->alerts.count = incident->alerts.capacity = 0;
}
