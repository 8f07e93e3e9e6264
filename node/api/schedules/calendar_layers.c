/*
 * A calendar as a layer: the body is iCalendar text, its events become the layer's shifts.
 *
 *     POST /schedules/{id}/calendar_layers?name=...        a new layer, over all others
 *     PUT  /schedules/{id}/calendar_layers/{layer}         the same layer, with other shifts
 *
 * Events are laid out for a year from now, and daily a day further. Whose an event is says its first attendee's address,
 * otherwise its summary: a user's address or name, if only one has it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/schedules/calendar_import.h"
#include "node/api/schedules/schedules.h"

#define PEOPLE_MAX LIMIT_USERS_PER_LAYER

struct calendar_call {
    uint64_t schedule_id, layer_id; /* 0: a new one */
};

struct name {
    const char *text;
    uint64_t user_id;
};

/* Everybody's name, in order: read once, however many events name nobody's address. */
struct people {
    const struct machine_store *view;
    struct name *names;
    size_t count;
    bool read;
};

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;

    return strcasecmp(x->text, y->text);
}

static void read_names(struct http_request *request, struct people *people)
{
    struct walk walk = walk_all(people->view, TABLE_USER);
    size_t count = 0;

    while (walk_next(&walk)) {
        count++;
    }
    people->names = http_alloc(request, (count + 1) * sizeof *people->names);
    walk = walk_all(people->view, TABLE_USER);
    while (people->count < count && walk_next(&walk)) {
        Tocsin__User *user = record_unpack(&tocsin__user__descriptor, walk.value, NULL);
        if (user != NULL) {
            people->names[people->count++] = (struct name){http_strdup(request, user->name), user->id};
        }
        tocsin__user__free_unpacked(user, NULL);
    }
    if (people->count > 0) {
        qsort(people->names, people->count, sizeof *people->names, compare_names);
    }
    people->read = true;
}

/* 0: nobody has this name; false: more than one person has it, which is refused. */
static bool user_by_name(struct field_reader *reader, struct people *people, const char *text, uint64_t *user_id)
{
    const struct name wanted = {.text = text};

    if (!people->read) {
        read_names(reader->request, people);
    }
    const struct name *found =
        people->count > 0 ? bsearch(&wanted, people->names, people->count, sizeof wanted, compare_names) : NULL;
    *user_id = found != NULL ? found->user_id : 0;
    bool before = found != NULL && found > people->names && compare_names(found - 1, found) == 0;
    bool behind = found != NULL && found + 1 < people->names + people->count && compare_names(found + 1, found) == 0;
    if (before || behind) {
        field_error(reader, "More than one person is called '%.100s': let the address of an attendee, or the summary, tell them apart",
                    text);
    }
    return !before && !behind;
}

/* Whose address or name this is, 0 for nobody's; false: refused. */
static bool user_of(struct field_reader *reader, struct people *people, const char *words, uint64_t *user_id)
{
    struct key key = key_hash_lower(words);
    struct span found;

    *user_id = 0;
    if (words[0] == '\0') {
        return true;
    }
    if (people->view->get(people->view->context, TABLE_USER_BY_EMAIL, key_span(&key), &found)) {
        *user_id = span_number(found, 0);
        return true;
    }
    return user_by_name(reader, people, words, user_id);
}

/* False: there are too many of them, which is refused. */
static bool add_user(struct field_reader *reader, Tocsin__ScheduleLayer *layer, uint64_t user_id)
{
    for (size_t i = 0; i < layer->n_user_ids; i++) {
        if (layer->user_ids[i] == user_id) {
            return true;
        }
    }
    if (layer->n_user_ids == PEOPLE_MAX) {
        field_error(reader, "The events belong to more people than a layer may have (maximum is %u)", PEOPLE_MAX);
        return false;
    }
    layer->user_ids[layer->n_user_ids++] = user_id;
    return true;
}

/* A copy of an event's rule in the request's memory: the calendar goes before the command does. */
static Tocsin__CalendarRule *rule_of(struct http_request *request, const Tocsin__CalendarRule *from, uint64_t user_id)
{
    Tocsin__CalendarRule copy = *from;

    copy.user_id = user_id;
    size_t size_bytes = tocsin__calendar_rule__get_packed_size(&copy);
    uint8_t *bytes = http_alloc(request, size_bytes + 1);
    tocsin__calendar_rule__pack(&copy, bytes);
    return tocsin__calendar_rule__unpack(request_memory(request), size_bytes, bytes);
}

/* Whose an event is; false: nobody's, or nobody knows whose, which is refused. */
static bool user_of_event(struct field_reader *reader, struct people *people, const struct calendar_event *event,
                          uint64_t *user_id)
{
    if (!user_of(reader, people, event->address, user_id) ||
        (*user_id == 0 && !user_of(reader, people, event->summary, user_id))) {
        return false;
    }
    if (*user_id == 0) {
        field_error(reader, "An event belongs to nobody who is known here: '%.100s'",
                    event->address[0] != '\0' ? event->address : event->summary);
    }
    return *user_id != 0;
}

/* Whose the events are; false: refused. */
static bool take_rules(struct field_reader *reader, const struct machine_store *view, const struct calendar *calendar,
                       Tocsin__ScheduleLayer *layer)
{
    struct people people = {.view = view};

    layer->calendar = http_alloc(reader->request, calendar->count * sizeof(Tocsin__CalendarRule *));
    for (size_t i = 0; i < calendar->count; i++) {
        const struct calendar_event *event = &calendar->events[i];
        uint64_t user_id;
        if (!user_of_event(reader, &people, event, &user_id) || !add_user(reader, layer, user_id)) {
            return false;
        }
        layer->calendar[layer->n_calendar++] = rule_of(reader->request, &event->rule, user_id);
    }
    return true;
}

/* The events as the layer's shifts; false: answered with 400. */
static bool fill_layer(struct http_request *request, const struct machine_store *view, const struct calendar *calendar,
                       Tocsin__ScheduleLayer *layer)
{
    struct field_reader reader = {.request = request, .prefix = ""};
    const struct occurrences *shifts = &calendar->shifts;

    layer->turn_length_s = 0;
    layer->n_restrictions = layer->n_user_ids = layer->n_fixed = layer->n_calendar = 0;
    layer->end_ms = 0;
    layer->start_ms = layer->rotation_virtual_start_ms = shifts->list[0].start_ms;
    layer->user_ids = http_alloc(request, PEOPLE_MAX * sizeof *layer->user_ids);
    layer->fixed = http_alloc(request, shifts->count * sizeof(Tocsin__FixedShift *));
    bool known = take_rules(&reader, view, calendar, layer);
    for (size_t i = 0; i < shifts->count && known; i++) {
        Tocsin__FixedShift *shift = http_alloc(request, sizeof *shift);
        tocsin__fixed_shift__init(shift);
        shift->start_ms = shifts->list[i].start_ms;
        shift->end_ms = shifts->list[i].end_ms;
        shift->user_id = layer->calendar[shifts->list[i].rule]->user_id;
        layer->fixed[layer->n_fixed++] = shift;
    }
    return fields_finish(&reader);
}

/* The layer that is filled anew, or a new one over all others; NULL when it is not there. */
static Tocsin__ScheduleLayer *layer_of(struct http_request *request, Tocsin__Schedule *schedule, uint64_t layer_id)
{
    for (size_t i = 0; i < schedule->n_layers; i++) {
        if (schedule->layers[i]->id == layer_id) {
            return schedule->layers[i]->n_fixed > 0 ? schedule->layers[i] : NULL;
        }
    }
    if (layer_id != 0) {
        return NULL;
    }
    const char *name = http_query(request, "name");
    Tocsin__ScheduleLayer *layer = http_alloc(request, sizeof *layer);
    Tocsin__ScheduleLayer **layers = http_alloc(request, (schedule->n_layers + 1) * sizeof *layers);
    tocsin__schedule_layer__init(layer);
    layer->name = http_strdup(request, name != NULL ? name : "Calendar");
    if (schedule->n_layers > 0) {
        memcpy(layers, schedule->layers, schedule->n_layers * sizeof *layers);
    }
    layers[schedule->n_layers++] = layer;
    schedule->layers = layers;
    return layer;
}

static void on_put(struct http_request *request, const Tocsin__Reply *reply)
{
    const struct calendar_call *state = api_call_of(request)->data;

    resource_saved(request, &resource_schedule, 0, state->layer_id != 0 ? 200 : 201, reply);
}

/* False: answered. */
static bool parse(struct http_request *request, struct calendar *calendar, const char *zone_name)
{
    struct field_reader reader = {.request = request, .prefix = ""};
    uint64_t now_ms = api_cluster_ms(request);
    struct zone *zone;

    if (!schedule_zone(request, zone_name, &zone)) {
        return false;
    }
    if (!calendar_parse(calendar, request->body, zone, zones_load, now_ms - SCHEDULE_RENDER_BEFORE_MS,
                        now_ms + SCHEDULE_HORIZON_MS)) {
        field_error(&reader, "%s", calendar->error);
    }
    zone_free(zone);
    return fields_finish(&reader);
}

static void on_read_for_import(struct http_request *request, const struct machine_store *view)
{
    const struct calendar_call *state = api_call_of(request)->data;
    Tocsin__Schedule *schedule = schedule_get(view, state->schedule_id, request_memory(request));
    Tocsin__ScheduleLayer *layer = schedule != NULL ? layer_of(request, schedule, state->layer_id) : NULL;
    struct calendar calendar = {0};

    if (layer == NULL) {
        api_not_found(request);
        return;
    }
    uint32_t revision = schedule->revision;
    schedule->restored_from = 0;
    if (parse(request, &calendar, schedule->time_zone) && fill_layer(request, view, &calendar, layer) &&
        schedule_command(request, schedule->id, schedule, revision)) {
        api_submit(request, on_put);
    }
    calendar_free(&calendar);
}

static void import(struct http_request *request, bool replaces)
{
    struct calendar_call *state = http_alloc(request, sizeof *state);
    const char *name = http_query(request, "name");
    struct field_reader reader = {.request = request, .prefix = ""};

    if (!role_require(request, PERMISSION_CONFIGURE) || !path_id(request, 0, &state->schedule_id) ||
        (replaces && !path_id(request, 1, &state->layer_id))) {
        return;
    }
    if (name != NULL && !text_fits(name, LIMIT_NAME_CHARACTERS)) {
        field_error(&reader, "'name' is too long (maximum is %u characters)", LIMIT_NAME_CHARACTERS);
    }
    if (fields_finish(&reader)) {
        api_call_of(request)->data = state;
        api_read(request, on_read_for_import);
    }
}

void calendar_layer_create(struct http_request *request)
{
    import(request, false);
}

void calendar_layer_replace(struct http_request *request)
{
    import(request, true);
}
