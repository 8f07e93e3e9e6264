/* Licenses: nobody needs one here, and everybody has the same, because Terraform reads one with each user. */
#include "node/api/people/people.h"
#include "node/api/render.h"

#define NAME "Tocsin"

static json_t *render_license(void)
{
    json_t *license = render_head(0, "license", NAME, json_null());
    json_t *roles = json_array();

    for (const struct word *word = words_role; word->word != NULL; word++) {
        json_array_append_new(roles, json_string(word->word));
    }
    json_object_set_new(license, "id", json_string("P000000")); /* no object's */
    json_object_set_new(license, "name", json_string(NAME));
    json_object_set_new(license, "description", json_string("Every user may have every role"));
    json_object_set_new(license, "valid_roles", roles);
    json_object_set_new(license, "role_group", json_string("FullUser"));
    return license;
}

static void on_read_license(struct http_request *request, const struct machine_store *view)
{
    if (user_get(view, api_call_of(request)->id, request_memory(request)) == NULL) {
        api_not_found(request);
        return;
    }
    api_json(request, 200, json_pack("{s:o}", "license", render_license()));
}

void license_read_of_user(struct http_request *request)
{
    if (path_id(request, 0, &api_call_of(request)->id)) {
        api_read(request, on_read_license);
    }
}

static void on_read_licenses(struct http_request *request, const struct machine_store *view)
{
    json_t *license = render_license();
    json_int_t users = 0;

    for (struct walk walk = walk_all(view, TABLE_USER); walk_next(&walk);) {
        users++;
    }
    json_object_set_new(license, "current_value", json_integer(users));
    json_object_set_new(license, "allocations_available", json_null()); /* without bound */
    api_json(request, 200, json_pack("{s:[o]}", "licenses", license));
}

void licenses_list(struct http_request *request)
{
    api_read(request, on_read_licenses);
}

static json_t *render_allocation(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__User *user = record;

    return json_pack("{s:o, s:o, s:o}", "license", render_license(), "user", reference_user(request, view, user->id), "allocated_at",
                     json_time(user->created_at_ms));
}

static const struct resource resource_allocation = {
    .name = "license_allocation",
    .plural = "license_allocations",
    .table = TABLE_USER,
    .descriptor = &tocsin__user__descriptor,
    .render = render_allocation,
};

void license_allocations_list(struct http_request *request)
{
    resource_list(request, &resource_allocation);
}
