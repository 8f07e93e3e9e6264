/* From the body of a request to a schedule's definition. */
#include <stdio.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/schedules/schedules.h"
#include "node/api/teams/teams.h"

#define TIME_CHARACTERS_MAX 64
#define DATE_AND_CLOCK_CHARACTERS 19 /* "2015-11-06 20:00:00" */
#define TWO_WEEKS_MS (14ull * 24 * 3600 * 1000)
#define WINDOW_MS_MAX (366ull * 24 * 3600 * 1000)

/* ---------------------------------------------------------------- times */

/* Go puts a blank before the offset and the zone's abbreviation behind it. */
bool schedule_time_parse(const char *text, uint64_t *time_ms)
{
    char plain[TIME_CHARACTERS_MAX + 1];
    const char *blank = strlen(text) > DATE_AND_CLOCK_CHARACTERS ? strchr(text + DATE_AND_CLOCK_CHARACTERS, ' ') : NULL;
    if (blank == NULL || (blank[1] != '+' && blank[1] != '-')) {
        return time_parse(text, time_ms);
    }
    int length =
        snprintf(plain, sizeof plain, "%.*s%.*s", (int)(blank - text), text, (int)strcspn(blank + 1, " "), blank + 1);
    return length > 0 && (size_t)length < sizeof plain && time_parse(plain, time_ms);
}

/* Seconds are the finest that schedules know. */
static void take_time(struct field_reader *reader, const char *name, bool required, uint64_t *slot)
{
    const char *text = NULL;
    bool present = false;

    if (!field_string(reader, name, TIME_CHARACTERS_MAX, &text, &present)) {
        return;
    }
    if (!present) {
        if (required) {
            field_error(reader, "'%s%s' can't be blank", reader->prefix, name);
        }
        return;
    }
    if (!schedule_time_parse(text, slot) || *slot < 1000) {
        field_error(reader, "'%s%s' must be a time in ISO 8601 format", reader->prefix, name);
        return;
    }
    *slot -= *slot % 1000;
}

static bool query_time(struct http_request *request, const char *name, uint64_t *slot, struct field_reader *errors)
{
    const char *text = http_query(request, name);

    if (text == NULL) {
        return false;
    }
    if (!schedule_time_parse(text, slot)) {
        field_error(errors, "'%s' must be a time in ISO 8601 format", name);
    }
    *slot -= *slot % 1000;
    return true;
}

bool window_parse(struct http_request *request, struct window *window)
{
    struct field_reader reader = {.request = request, .prefix = ""};
    bool since = query_time(request, "since", &window->since_ms, &reader);
    bool until = query_time(request, "until", &window->until_ms, &reader);

    window->given = since || until;
    if (since && !until) {
        window->until_ms = window->since_ms + TWO_WEEKS_MS;
    } else if (until && !since) {
        window->since_ms = window->until_ms > TWO_WEEKS_MS ? window->until_ms - TWO_WEEKS_MS : 0;
    }
    if (window->given && reader.errors == NULL && window->since_ms >= window->until_ms) {
        field_error(&reader, "'until' must be after 'since'");
    } else if (window->given && reader.errors == NULL && window->until_ms - window->since_ms > WINDOW_MS_MAX) {
        field_error(&reader, "'since' and 'until' can be a year apart at most");
    }
    return fields_finish(&reader);
}

bool schedule_zone(struct http_request *request, const char *name, struct zone **zone)
{
    *zone = zones_load(name);
    if (*zone == NULL) {
        struct field_reader reader = {.request = request, .prefix = ""};
        field_error(&reader, "Time zone is not the name of a time zone: '%.80s'", name);
        return fields_finish(&reader);
    }
    return true;
}

/* ---------------------------------------------------------------- parts of a layer */

static struct field_reader reader_of(struct field_reader *outer, json_t *element, const char *name, size_t i)
{
    char prefix[128];

    (void)snprintf(prefix, sizeof prefix, "%s%s[%zu].", outer->prefix, name, i);
    struct field_reader reader = {outer->request, element, http_strdup(outer->request, prefix), outer->errors};
    if (!json_is_object(element)) {
        field_error(&reader, "'%s%s[%zu]' must be an object", outer->prefix, name, i);
    }
    return reader;
}

bool time_of_day_parse(const char *text, uint32_t *second)
{
    uint64_t at_ms;
    char whole[32];
    int length = snprintf(whole, sizeof whole, "1970-01-01T%s", text);

    if (length <= 0 || (size_t)length >= sizeof whole || strspn(text, "0123456789:") != strlen(text) ||
        !time_parse(whole, &at_ms)) {
        return false;
    }
    *second = (uint32_t)(at_ms / 1000);
    return *second < 24u * 3600;
}

static Tocsin__Restriction *take_restriction(struct field_reader *reader)
{
    enum { DAILY, WEEKLY };
    static const struct word words_type[] = {{DAILY, "daily_restriction"}, {WEEKLY, "weekly_restriction"}, {0, NULL}};
    Tocsin__Restriction *restriction = http_alloc(reader->request, sizeof *restriction);
    int type = DAILY;
    int64_t duration_s = 0, day = 0;
    const char *text = NULL;
    bool present = false;

    tocsin__restriction__init(restriction);
    (void)field_word(reader, "type", words_type, &type, NULL);
    if (field_string(reader, "start_time_of_day", TIME_CHARACTERS_MAX, &text, &present) &&
        (!present || !time_of_day_parse(text, &restriction->start_second))) {
        field_error(reader, "'%sstart_time_of_day' must be a time of day like 08:00:00", reader->prefix);
    }
    if (field_integer(reader, "duration_seconds", 1, type == WEEKLY ? LIMIT_RESTRICTION_SECONDS : 24 * 3600,
                      &duration_s, &present) &&
        !present) {
        field_error(reader, "'%sduration_seconds' can't be blank", reader->prefix);
    }
    restriction->duration_s = (uint32_t)duration_s;
    if (type == WEEKLY && field_integer(reader, "start_day_of_week", 1, 7, &day, &present) && !present) {
        field_error(reader, "'%sstart_day_of_week' can't be blank", reader->prefix);
    }
    restriction->day_of_week = (uint32_t)day;
    return restriction;
}

static void take_restrictions(struct field_reader *reader, Tocsin__ScheduleLayer *layer)
{
    json_t *array = NULL, *element;
    size_t i;

    if (!field_array(reader, "restrictions", LIMIT_RESTRICTIONS_PER_LAYER, &array) || array == NULL) {
        return;
    }
    layer->restrictions = http_alloc(reader->request, (json_array_size(array) + 1) * sizeof *layer->restrictions);
    json_array_foreach (array, i, element) {
        struct field_reader restriction = reader_of(reader, element, "restrictions", i);
        layer->restrictions[layer->n_restrictions++] = take_restriction(&restriction);
        reader->errors = restriction.errors;
    }
}

/* {"user": {"id": ...}}, as PagerDuty says it. */
static void take_users(struct field_reader *reader, Tocsin__ScheduleLayer *layer)
{
    json_t *array = NULL, *element;
    size_t i;

    if (!field_array(reader, "users", LIMIT_USERS_PER_LAYER, &array)) {
        return;
    }
    if (json_array_size(array) == 0) {
        field_error(reader, "'%susers' must have at least one user", reader->prefix);
        return;
    }
    layer->user_ids = http_alloc(reader->request, json_array_size(array) * sizeof *layer->user_ids);
    json_array_foreach (array, i, element) {
        struct field_reader user = reader_of(reader, element, "users", i);
        bool present = false;
        if (field_reference(&user, "user", &layer->user_ids[layer->n_user_ids], &present) && !present) {
            field_error(&user, "'%suser' can't be blank", user.prefix);
        }
        layer->n_user_ids++;
        reader->errors = user.errors;
    }
}

static Tocsin__ScheduleLayer *take_layer(struct field_reader *reader)
{
    Tocsin__ScheduleLayer *layer = http_alloc(reader->request, sizeof *layer);
    int64_t turn_length_s = LIMIT_TURN_SECONDS_LEAST;
    const char *id = NULL, *name = "";
    bool present = false;

    tocsin__schedule_layer__init(layer);
    if (field_string(reader, "id", LIMIT_NAME_CHARACTERS, &id, NULL) && id != NULL) {
        layer->id = id_parse(id); /* an id that is not one of ours makes a new layer */
    }
    if (field_string(reader, "name", LIMIT_NAME_CHARACTERS, &name, NULL)) {
        layer->name = http_strdup(reader->request, name);
    }
    take_time(reader, "start", true, &layer->start_ms);
    take_time(reader, "end", false, &layer->end_ms);
    take_time(reader, "rotation_virtual_start", true, &layer->rotation_virtual_start_ms);
    if (field_integer(reader, "rotation_turn_length_seconds", LIMIT_TURN_SECONDS_LEAST, LIMIT_TURN_SECONDS,
                      &turn_length_s, &present) &&
        !present) {
        field_error(reader, "'%srotation_turn_length_seconds' can't be blank", reader->prefix);
    }
    layer->turn_length_s = (uint32_t)turn_length_s;
    take_users(reader, layer);
    take_restrictions(reader, layer);
    if (layer->id == 0 && layer->end_ms != 0 && layer->end_ms <= layer->start_ms) {
        field_error(reader, "'%send' must be after its start", reader->prefix);
    }
    return layer;
}

/* ---------------------------------------------------------------- the whole */

static void take_layers(struct field_reader *reader, bool required, struct schedule_given *given)
{
    Tocsin__Schedule *schedule = given->schedule;
    json_t *array = NULL, *element;
    size_t i;

    if (!field_array(reader, "schedule_layers", LIMIT_LAYERS_PER_SCHEDULE, &array)) {
        return;
    }
    if (array == NULL) {
        if (required) {
            field_error(reader, "Schedule layers can't be blank");
        }
        return;
    }
    given->layers = true;
    schedule->layers = http_alloc(reader->request, (json_array_size(array) + 1) * sizeof *schedule->layers);
    json_array_foreach (array, i, element) {
        struct field_reader layer = reader_of(reader, element, "schedule_layers", i);
        schedule->layers[schedule->n_layers++] = take_layer(&layer);
        reader->errors = layer.errors;
    }
}

static void take_text(struct field_reader *reader, const char *name, size_t characters_max, bool *given, char **slot)
{
    const char *text = "";
    bool present = false;

    if (field_string(reader, name, characters_max, &text, &present) && (present || field_null(reader, name))) {
        *given = true;
        *slot = http_strdup(reader->request, text);
    }
}

bool schedule_take(struct http_request *request, bool creation, struct schedule_given *given)
{
    struct field_reader reader;

    *given = (struct schedule_given){.schedule = http_alloc(request, sizeof *given->schedule)};
    tocsin__schedule__init(given->schedule);
    if (!body_open(request, "schedule", &reader)) {
        return false;
    }
    take_text(&reader, "name", LIMIT_NAME_CHARACTERS, &given->name, &given->schedule->name);
    take_text(&reader, "description", LIMIT_DESCRIPTION_CHARACTERS, &given->description, &given->schedule->description);
    take_text(&reader, "time_zone", ZONE_NAME_CHARACTERS_MAX, &given->time_zone, &given->schedule->time_zone);
    if ((creation || given->time_zone) && given->schedule->time_zone[0] == '\0') {
        field_error(&reader, "Time zone can't be blank");
    }
    take_layers(&reader, creation, given);
    given->teams =
        take_teams(&reader, LIMIT_TEAMS_PER_SCHEDULE, &given->schedule->team_ids, &given->schedule->n_team_ids);
    return fields_finish(&reader);
}
