/*
 * Maintenance windows: PagerDuty's, and beside them a field of ours, `recurrence`:
 *
 *     {"type": "daily" | "weekly", "days_of_week": [1 (Monday) .. 7], "time_zone": "Europe/Berlin", "until": time or null}
 *
 * start_time and end_time are those of the first span; the later ones have the same times of day by the clock of the zone.
 */
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/window_spans.h"
#include "node/api/render.h"
#include "node/api/schedules/schedules.h"
#include "node/api/suppression/suppression.h"
#include "node/host/zones.h"

#define TIME_CHARACTERS_MAX 64u
#define TRIES_MAX 8u /* of a change that meets others */
#define MS_PER_WEEK (7ull * 24 * 3600 * 1000)
#define MS_PER_DAY (24ull * 3600 * 1000)

/* ---------------------------------------------------------------- rendering */

static json_t *render_recurrence(const Tocsin__Recurrence *recurrence)
{
    if (recurrence == NULL) {
        return json_null();
    }
    json_t *days = json_array();
    for (size_t i = 0; i < recurrence->n_days_of_week; i++) {
        json_array_append_new(days, json_integer(recurrence->days_of_week[i]));
    }
    return json_pack("{s:s, s:o, s:s, s:o}", "type", recurrence->n_days_of_week > 0 ? "weekly" : "daily",
                     "days_of_week", days, "time_zone", recurrence->time_zone, "until",
                     json_time(recurrence->until_ms));
}

static json_t *render_window(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__MaintenanceWindow *window = record;
    json_t *services = json_array(), *next = json_null();
    char id[16];

    id_format(window->id, id);
    for (size_t i = 0; i < window->n_service_ids; i++) {
        json_array_append_new(services, reference_service(request, view, window->service_ids[i]));
    }
    if (window->n_spans > 0) {
        next = json_pack("{s:o, s:o}", "start", json_time(window->spans[0]->start_ms), "end",
                         json_time(window->spans[0]->end_ms));
    }
    json_t *object = render_head(window->id, "maintenance_window",
                                 window->description[0] != '\0' ? window->description : "Maintenance window",
                                 render_self(request, "/maintenance_windows/%s", id));
    json_object_set_new(object, "sequence_number", json_integer((json_int_t)window->sequence_number));
    json_object_set_new(object, "start_time", json_time(window->start_ms));
    json_object_set_new(object, "end_time", json_time(window->end_ms));
    json_object_set_new(object, "description", json_text(window->description));
    json_object_set_new(object, "created_by",
                        window->created_by_id != 0 ? reference_user(request, view, window->created_by_id) : json_null());
    json_object_set_new(object, "services", services);
    json_object_set_new(object, "teams", json_array());
    json_object_set_new(object, "recurrence", render_recurrence(window->recurrence)); /* ours, and the next one, too */
    json_object_set_new(object, "current_or_next", next);
    return object;
}

/* ?filter=past|future|ongoing|open, query, service_ids[]. */
static bool window_matches(struct http_request *request, const void *record)
{
    const Tocsin__MaintenanceWindow *window = record;
    const char *filter = http_query(request, "filter"), *query = http_query(request, "query");
    uint64_t now_ms = api_cluster_ms(request);
    bool over = window->n_spans == 0 || window->spans[window->n_spans - 1]->end_ms <= now_ms;
    bool ongoing = !over && window->spans[0]->start_ms <= now_ms;
    bool admitted = !query_given(request, "service_ids");

    for (size_t i = 0; i < window->n_service_ids && !admitted; i++) {
        admitted = query_admits_id(request, "service_ids", window->service_ids[i]);
    }
    if (!admitted || (query != NULL && strcasestr(window->description, query) == NULL)) {
        return false;
    }
    if (filter == NULL || strcmp(filter, "all") == 0) {
        return true;
    }
    return strcmp(filter, "past") == 0      ? over
           : strcmp(filter, "ongoing") == 0 ? ongoing
           : strcmp(filter, "future") == 0  ? !over && !ongoing
                                            : strcmp(filter, "open") == 0 && !over;
}

static const struct resource resource_window = {
    .name = "maintenance_window",
    .plural = "maintenance_windows",
    .table = TABLE_MAINTENANCE,
    .descriptor = &tocsin__maintenance_window__descriptor,
    .matches = window_matches,
    .render = render_window,
};

/* ---------------------------------------------------------------- reading the body */

struct window_call {
    uint64_t id;
    uint64_t since_ms; /* spans that are over by then are over */
    unsigned tries;
};

/* A time of the body, in whole seconds; absent, the slot stays as it is. */
static void take_time(struct field_reader *reader, const char *name, uint64_t *slot)
{
    const char *text = NULL;
    bool present = false;
    uint64_t time_ms = 0;

    if (!field_string(reader, name, TIME_CHARACTERS_MAX, &text, &present) || (!present && *slot != 0)) {
        return;
    }
    if (!present || !schedule_time_parse(text, &time_ms) || time_ms < 1000) {
        field_error(reader, "'%s%s' must be a time in ISO 8601 format", reader->prefix, name);
        return;
    }
    *slot = time_ms - time_ms % 1000;
}

static void take_services(struct field_reader *reader, Tocsin__MaintenanceWindow *window)
{
    json_t *given = NULL, *element;
    size_t i;

    if (!field_array(reader, "services", LIMIT_SERVICES_PER_WINDOW, &given) || given == NULL) {
        return;
    }
    window->service_ids = http_alloc(reader->request, (json_array_size(given) + 1) * sizeof *window->service_ids);
    window->n_service_ids = 0;
    json_array_foreach(given, i, element)
    {
        uint64_t id = 0;
        const char *text = json_string_value(json_object_get(element, "id")); /* NULL when it is no object */
        id = text != NULL ? id_parse(text) : 0;
        if (id != 0) {
            window->service_ids[window->n_service_ids++] = id;
        } else {
            field_error(reader, "'services' must be references to services");
            return;
        }
    }
}

static void take_days(struct field_reader *reader, Tocsin__Recurrence *recurrence)
{
    json_t *given = NULL, *element;
    size_t i;

    if (!field_array(reader, "days_of_week", 7, &given) || given == NULL) {
        return;
    }
    recurrence->days_of_week = http_alloc(reader->request, (json_array_size(given) + 1) * sizeof *recurrence->days_of_week);
    json_array_foreach(given, i, element)
    {
        json_int_t day = json_integer_value(element);
        if (!json_is_integer(element) || day < 1 || day > 7) {
            field_error(reader, "'recurrence.days_of_week' must be numbers from 1 (Monday) to 7 (Sunday)");
            return;
        }
        recurrence->days_of_week[recurrence->n_days_of_week++] = (uint32_t)day;
    }
}

/* null takes it away; `weekly` without days stands for the day of the first span. */
static void take_recurrence(struct field_reader *body, Tocsin__MaintenanceWindow *window, bool *weekly)
{
    static const struct word words_type[] = {{0, "daily"}, {1, "weekly"}, {0, NULL}};
    json_t *object = NULL;
    const char *zone = NULL;
    bool present = false;
    int type = 0;

    if (!field_object(body, "recurrence", &object) || object == NULL) {
        if (field_null(body, "recurrence")) {
            window->recurrence = NULL;
        }
        return;
    }
    Tocsin__Recurrence *recurrence = http_alloc(body->request, sizeof *recurrence);
    struct field_reader reader = {body->request, object, "recurrence.", body->errors};
    tocsin__recurrence__init(recurrence);
    if (field_word(&reader, "type", words_type, &type, &present) && !present) {
        field_error(&reader, "'recurrence.type' can't be blank");
    }
    if (field_string(&reader, "time_zone", ZONE_NAME_CHARACTERS_MAX, &zone, &present) && !present) {
        field_error(&reader, "'recurrence.time_zone' can't be blank");
    }
    recurrence->time_zone = http_strdup(body->request, zone != NULL ? zone : "");
    take_days(&reader, recurrence);
    if (json_is_string(json_object_get(object, "until"))) {
        take_time(&reader, "until", &recurrence->until_ms);
    }
    if (type == 0 && recurrence->n_days_of_week > 0) {
        field_error(&reader, "'recurrence.days_of_week' is for weekly windows");
    }
    *weekly = type == 1;
    window->recurrence = recurrence;
    body->errors = reader.errors;
}

/* ---------------------------------------------------------------- the spans of a recurrence */

static void take_spans(struct field_reader *reader, Tocsin__MaintenanceWindow *window, const struct zone *zone)
{
    struct http_request *request = reader->request;
    uint64_t since_ms = ((const struct window_call *)api_call_of(request)->data)->since_ms;
    Tocsin__WindowSpan *spans = http_alloc(request, LIMIT_SPANS_PER_WINDOW * sizeof *spans);

    if (!window_begins_on_its_day(window, zone)) {
        field_error(reader, "'start_time' must be on one of 'recurrence.days_of_week'");
        return;
    }
    window->n_spans = window_spans(window, zone, since_ms, since_ms + MAINTENANCE_HORIZON_MS, spans, LIMIT_SPANS_PER_WINDOW);
    window->spans = http_alloc(request, (window->n_spans + 1) * sizeof(Tocsin__WindowSpan *));
    for (size_t i = 0; i < window->n_spans; i++) {
        window->spans[i] = &spans[i];
    }
}

static void render_spans(struct field_reader *reader, Tocsin__MaintenanceWindow *window, bool weekly)
{
    Tocsin__Recurrence *recurrence = window->recurrence;
    uint64_t longest_ms = recurrence->n_days_of_week > 0 || weekly ? MS_PER_WEEK : MS_PER_DAY;

    if (window->end_ms <= window->start_ms || window->end_ms - window->start_ms > longest_ms) {
        field_error(reader, "A maintenance window that recurs must last less than until it begins again");
        return;
    }
    struct zone *zone = zone_name_is_sane(recurrence->time_zone) ? zones_load(recurrence->time_zone) : NULL;
    if (zone == NULL) {
        field_error(reader, "'recurrence.time_zone' is not a known time zone");
        return;
    }
    if (weekly && recurrence->n_days_of_week == 0) {
        recurrence->days_of_week = http_alloc(reader->request, sizeof *recurrence->days_of_week);
        recurrence->days_of_week[recurrence->n_days_of_week++] = window_first_day(window, zone);
    }
    take_spans(reader, window, zone);
    zone_free(zone);
}

/* Brings the body's fields into `window`, a new one or one that was read. False: answered. */
static bool take_window(struct http_request *request, Tocsin__MaintenanceWindow *window)
{
    struct field_reader reader;
    const char *description = NULL;
    bool present = false, weekly = false;

    if (!body_open(request, "maintenance_window", &reader)) {
        return false;
    }
    if (field_string(&reader, "description", LIMIT_DESCRIPTION_CHARACTERS, &description, &present) &&
        (present || field_null(&reader, "description"))) {
        window->description = http_strdup(request, present ? description : "");
    }
    take_time(&reader, "start_time", &window->start_ms);
    take_time(&reader, "end_time", &window->end_ms);
    take_services(&reader, window);
    take_recurrence(&reader, window, &weekly);
    if (window->n_service_ids == 0) {
        field_error(&reader, "'services' can't be blank");
    }
    if (window->recurrence != NULL && reader.errors == NULL) {
        render_spans(&reader, window, weekly);
    }
    return fields_finish(&reader);
}

/* By the last stamp, which nothing that is applied later lies before: a node's own reading of the time may be ahead, and
 * would leave out the span that is under way. */
static void note_time(struct http_request *request, const struct machine_store *view)
{
    struct window_call *state = api_call_of(request)->data;
    const Tocsin__Counters *counters = counters_get(view, request_memory(request));

    state->since_ms = counters != NULL ? counters->last_time_ms : 0;
}

static void put_of(struct http_request *request, uint64_t id, uint32_t base_revision, Tocsin__MaintenanceWindow *window)
{
    Tocsin__MaintenanceWindowPut *put =
        api_command(request, TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_PUT)->maintenance_window_put;

    put->id = id;
    put->base_revision = base_revision;
    put->window = window;
}

/* ---------------------------------------------------------------- handlers */

void maintenance_windows_list(struct http_request *request)
{
    resource_list(request, &resource_window);
}

void maintenance_window_read(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_window, 0, id);
    }
}

static void on_read_for_creation(struct http_request *request, const struct machine_store *view)
{
    Tocsin__MaintenanceWindow *window = http_alloc(request, sizeof *window);

    tocsin__maintenance_window__init(window);
    note_time(request, view);
    if (take_window(request, window)) {
        put_of(request, 0, 0, window);
        resource_save(request, &resource_window, 0, 201);
    }
}

void maintenance_window_create(struct http_request *request)
{
    api_call_of(request)->data = http_alloc(request, sizeof(struct window_call));
    api_read(request, on_read_for_creation);
}

static void on_read_for_update(struct http_request *request, const struct machine_store *view);

static void on_updated(struct http_request *request, const Tocsin__Reply *reply)
{
    struct window_call *state = api_call_of(request)->data;

    if (reply->reason == TOCSIN__REASON__REASON_STALE_REVISION && ++state->tries < TRIES_MAX) {
        api_read(request, on_read_for_update);
        return;
    }
    resource_saved(request, &resource_window, 0, 200, reply);
}

/* What the body does not have stays as it is. */
static void on_read_for_update(struct http_request *request, const struct machine_store *view)
{
    const struct window_call *state = api_call_of(request)->data;
    Tocsin__MaintenanceWindow *window = maintenance_window_get(view, state->id, request_memory(request));

    if (window == NULL) {
        api_not_found(request);
        return;
    }
    uint32_t revision = window->revision;
    note_time(request, view);
    if (take_window(request, window)) {
        put_of(request, state->id, revision, window);
        api_submit(request, on_updated);
    }
}

void maintenance_window_update(struct http_request *request)
{
    struct window_call *state = http_alloc(request, sizeof *state);

    api_call_of(request)->data = state;
    if (path_id(request, 0, &state->id)) {
        api_read(request, on_read_for_update);
    }
}

void maintenance_window_remove(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_DELETE)->maintenance_window_delete->id = id;
        resource_delete(request);
    }
}
