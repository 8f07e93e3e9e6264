/* Priorities: GET as PagerDuty has it; PUT, ours, replaces the list. */
#include "consensus/machine/incidents/priorities.h"

#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"

static json_t *json_minutes(uint32_t minutes)
{
    return minutes > 0 ? json_integer(minutes) : json_null();
}

json_t *render_priority(struct http_request *request, const Tocsin__Priority *priority)
{
    char id[16];

    id_format(priority->id, id);
    json_t *object =
        render_head(priority->id, "priority", priority->name, render_self(request, "/priorities/%s", id));
    json_object_set_new(object, "name", json_string(priority->name));
    json_object_set_new(object, "description", json_text(priority->description));
    json_object_set_new(object, "color", json_text(priority->color));
    /* Ours: minutes from the incident's beginning; null for none. */
    json_object_set_new(object, "acknowledge_target_minutes", json_minutes(priority->acknowledge_target_minutes));
    json_object_set_new(object, "resolve_target_minutes", json_minutes(priority->resolve_target_minutes));
    return object;
}

static void on_read(struct http_request *request, const struct machine_store *view)
{
    struct page *page = api_call_of(request)->data;
    const Tocsin__Priorities *priorities = priorities_read(view, request_memory(request));
    json_t *list = json_array(), *answer = json_pack("{s:o}", "priorities", list);

    for (size_t i = 0; i < priorities->n_priorities; i++) {
        if (!priorities->priorities[i]->retired && page_take(page)) {
            json_array_append_new(list, render_priority(request, priorities->priorities[i]));
        }
    }
    page_finish(page, answer);
    api_json(request, 200, answer);
}

void priorities_list(struct http_request *request)
{
    struct page *page = http_alloc(request, sizeof *page);

    api_call_of(request)->data = page;
    if (page_parse(request, page)) {
        api_read(request, on_read);
    }
}

static void on_replaced(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    priorities_list(request);
}

static void take_minutes(struct field_reader *reader, const char *name, uint32_t *slot)
{
    int64_t minutes = 0;

    if (field_integer(reader, name, 0, LIMIT_TARGET_MINUTES, &minutes, NULL)) {
        *slot = (uint32_t)minutes;
    }
}

static Tocsin__Priority *take_priority(struct field_reader *reader)
{
    Tocsin__Priority *priority = http_alloc(reader->request, sizeof *priority);
    uint64_t fields = 0;
    const struct field_target target = {reader, &tocsin__priority__descriptor, &fields};
    const char *id = NULL;

    tocsin__priority__init(priority);
    if (field_string(reader, "id", LIMIT_NAME_CHARACTERS, &id, NULL) && id != NULL) {
        priority->id = id_parse(id);
        if (priority->id == 0) {
            field_error(reader, "'priorities[].id' must be the id of a priority");
        }
    }
    target_name(&target, "name", LIMIT_NAME_CHARACTERS, "name", true, &priority->name);
    target_text(&target, "description", LIMIT_DESCRIPTION_CHARACTERS, "description", &priority->description);
    target_text(&target, "color", LIMIT_NAME_CHARACTERS, "color", &priority->color);
    take_minutes(reader, "acknowledge_target_minutes", &priority->acknowledge_target_minutes);
    take_minutes(reader, "resolve_target_minutes", &priority->resolve_target_minutes);
    return priority;
}

void priorities_replace(struct http_request *request)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    Tocsin__PrioritiesPut *put = api_command(request, TOCSIN__COMMAND__BODY_PRIORITIES_PUT)->priorities_put;
    json_t *priorities = NULL, *element;
    size_t i;

    if (field_array(&reader, "priorities", LIMIT_PRIORITIES, &priorities) && priorities == NULL) {
        field_error(&reader, "The body must hold an array named 'priorities'");
    }
    put->priorities = http_alloc(request, (json_array_size(priorities) + 1) * sizeof *put->priorities);
    json_array_foreach(priorities, i, element)
    {
        struct field_reader one = {request, element, "priorities[].", reader.errors};
        put->priorities[put->n_priorities++] = take_priority(&one);
        reader.errors = one.errors;
    }
    if (fields_finish(&reader)) {
        api_submit(request, on_replaced);
    }
}
