/* Rules written and read back. */
#include "node/api/orchestration/paths.h"

#include <string.h>

#include "node/api/roles.h"

struct asked {
    uint64_t owner_id;
    Tocsin__PathKind kind;
    bool active; /* answers whether it is, and not the rules */
};

static struct asked *ask_for(struct http_request *request, uint64_t owner_id, Tocsin__PathKind kind)
{
    struct asked *asked = http_alloc(request, sizeof *asked);
    asked->owner_id = owner_id;
    asked->kind = kind;
    api_call_of(request)->data = asked;
    return asked;
}

static bool owner_exists(const struct machine_store *view, const struct asked *asked)
{
    struct key key = key_1(asked->owner_id);
    struct span value;
    bool service = asked->kind == TOCSIN__PATH_KIND__PATH_SERVICE;
    return view->get(view->context, service ? TABLE_SERVICE : TABLE_ORCHESTRATION, key_span(&key), &value);
}

static void on_view(struct http_request *request, const struct machine_store *view)
{
    const struct asked *asked = api_call_of(request)->data;
    if (!owner_exists(view, asked)) {
        api_not_found(request);
        return;
    }
    const Tocsin__OrchestrationPath *path =
        orchestration_path_get(view, asked->owner_id, asked->kind, request_memory(request));
    if (asked->active) {
        api_json(request, 200, json_pack("{s:b}", "active", path != NULL && !path->inactive));
        return;
    }
    json_t *rendered = path_render(request, path, asked->owner_id, asked->kind);
    api_json(request, 200, json_pack("{s:o, s:[]}", "orchestration_path", rendered, "warnings"));
}

static void on_saved(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    api_read(request, on_view);
}

static void save(struct http_request *request, uint64_t owner_id, Tocsin__PathKind kind)
{
    Tocsin__OrchestrationPathPut *put =
        api_command(request, TOCSIN__COMMAND__BODY_ORCHESTRATION_PATH_PUT)->orchestration_path_put;
    put->path = http_alloc(request, sizeof *put->path);
    tocsin__orchestration_path__init(put->path);
    put->path->owner_id = owner_id;
    put->path->kind = kind;
    ask_for(request, owner_id, kind);
    if (path_read(request, put->path)) {
        api_submit(request, on_saved);
    }
}

/* False: already answered. */
static bool orchestration_path(struct http_request *request, uint64_t *id, Tocsin__PathKind *kind)
{
    int value;
    if (!path_id(request, 0, id)) {
        return false;
    }
    if (!word_find(words_path_kind, api_call_of(request)->parameters[1], &value) ||
        value == TOCSIN__PATH_KIND__PATH_SERVICE) {
        api_not_found(request);
        return false;
    }
    *kind = (Tocsin__PathKind)value;
    return true;
}

void path_read_handler(struct http_request *request)
{
    uint64_t id;
    Tocsin__PathKind kind;
    if (orchestration_path(request, &id, &kind)) {
        ask_for(request, id, kind);
        api_read(request, on_view);
    }
}

void path_update_handler(struct http_request *request)
{
    uint64_t id;
    Tocsin__PathKind kind;
    if (role_require(request, PERMISSION_CONFIGURE) && orchestration_path(request, &id, &kind)) {
        save(request, id, kind);
    }
}

void service_path_read(struct http_request *request)
{
    uint64_t id;
    if (path_id(request, 0, &id)) {
        ask_for(request, id, TOCSIN__PATH_KIND__PATH_SERVICE);
        api_read(request, on_view);
    }
}

void service_path_update(struct http_request *request)
{
    uint64_t id;
    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id)) {
        save(request, id, TOCSIN__PATH_KIND__PATH_SERVICE);
    }
}

void service_active_read(struct http_request *request)
{
    uint64_t id;
    if (path_id(request, 0, &id)) {
        ask_for(request, id, TOCSIN__PATH_KIND__PATH_SERVICE)->active = true;
        api_read(request, on_view);
    }
}

void service_active_update(struct http_request *request)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    uint64_t id;
    bool active = false, present = false;
    if (!role_require(request, PERMISSION_CONFIGURE) || !path_id(request, 0, &id)) {
        return;
    }
    if (field_boolean(&reader, "active", &active, &present) && !present) {
        field_error(&reader, "'active' must be true or false");
    }
    if (fields_finish(&reader)) {
        Tocsin__OrchestrationActivate *command =
            api_command(request, TOCSIN__COMMAND__BODY_ORCHESTRATION_ACTIVATE)->orchestration_activate;
        command->service_id = id;
        command->active = active;
        ask_for(request, id, TOCSIN__PATH_KIND__PATH_SERVICE)->active = true;
        api_submit(request, on_saved);
    }
}
