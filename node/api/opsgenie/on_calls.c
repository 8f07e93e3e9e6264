/*
 * Who is on call, as Opsgenie tells it: /v2/schedules/{}/on-calls and next-on-calls, for chat tools.
 *
 * `date` is the moment, `flat` asks for addresses alone. One person has a schedule at a time; who is next begins the first
 * shift that begins later.
 */
#include <string.h>
#include <strings.h>

#include "consensus/machine/schedules/schedules.h"
#include "node/api/opsgenie/opsgenie.h"
#include "node/api/render.h"
#include "node/api/resource.h"
#include "node/api/schedules/schedules.h"

/* How far ahead somebody is looked for: hand-offs are closer. */
#define AHEAD_MS (62ull * 24 * 3600 * 1000)

/* Lives in call->data. */
struct asked {
    bool by_name, flat, next;
    uint64_t at_ms;
};

static uint64_t user_next(const struct machine_store *view, const Tocsin__Schedule *schedule, uint64_t at_ms)
{
    struct shifts shifts = {0};
    uint64_t user_id = 0;

    schedule_final(view, schedule, at_ms, at_ms + AHEAD_MS, &shifts);
    for (size_t i = 0; i < shifts.count && user_id == 0; i++) {
        user_id = shifts.list[i].start_ms > at_ms ? shifts.list[i].user_id : 0;
    }
    shifts_free(&shifts);
    return user_id;
}

static json_t *people(struct http_request *request, const struct machine_store *view, uint64_t user_id, bool flat)
{
    const char *name = alert_user_name(request, view, user_id);
    json_t *list = json_array();

    if (user_id != 0) {
        json_array_append_new(list, flat ? json_string(name)
                                         : json_pack("{s:o, s:s, s:s}", "id", json_id(user_id), "name", name, "type", "user"));
    }
    return list;
}

static void on_view(struct http_request *request, const struct machine_store *view)
{
    const struct asked *asked = api_call_of(request)->data;
    const char *identifier = api_call_of(request)->parameters[0];
    uint64_t id = asked->by_name ? schedule_by_name(view, identifier) : id_parse(identifier);
    const Tocsin__Schedule *schedule = id != 0 ? schedule_get(view, id, request_memory(request)) : NULL;

    if (schedule == NULL) {
        api_not_found(request);
        return;
    }
    json_t *data = json_pack("{s:{s:o, s:s, s:b}}", "_parent", "id", json_id(id), "name", schedule->name, "enabled", 1);
    if (asked->next) {
        uint64_t user_id = user_next(view, schedule, asked->at_ms);
        json_object_set_new(data, asked->flat ? "nextOnCallParticipants" : "nextOnCallRecipients",
                            people(request, view, user_id, asked->flat));
        json_object_set_new(data, asked->flat ? "exactNextOnCallParticipants" : "exactNextOnCallRecipients",
                            people(request, view, user_id, asked->flat));
    } else {
        uint64_t user_id = schedule_on_call(view, id, asked->at_ms).user_id;
        json_object_set_new(data, asked->flat ? "onCallRecipients" : "onCallParticipants",
                            people(request, view, user_id, asked->flat));
    }
    opsgenie_data(request, 200, data);
}

/* False: answered with 422. */
static bool take(struct http_request *request, struct asked *asked)
{
    const char *type = http_query(request, "scheduleIdentifierType"), *flat = http_query(request, "flat");
    const char *date = http_query(request, "date");
    asked->by_name = type != NULL && strcmp(type, "name") == 0;
    asked->flat = flat != NULL && strcasecmp(flat, "true") == 0;
    asked->at_ms = api_cluster_ms(request);
    if (type != NULL && type[0] != '\0' && !asked->by_name && strcmp(type, "id") != 0) {
        api_error(request, 422, 2001, "The scheduleIdentifierType must be id or name", NULL);
        return false;
    }
    if (date != NULL && date[0] != '\0' && !time_parse(date, &asked->at_ms)) {
        api_error(request, 422, 2001, "The date must be a time in ISO 8601 format", NULL);
        return false;
    }
    return true;
}

static void show(struct http_request *request, bool next)
{
    struct asked *asked = http_alloc(request, sizeof *asked);

    asked->next = next;
    api_call_of(request)->data = asked;
    if (take(request, asked)) {
        api_read(request, on_view);
    }
}

void on_calls_show(struct http_request *request)
{
    show(request, false);
}

void next_on_calls_show(struct http_request *request)
{
    show(request, true);
}
