/* Who belongs to a team, and what each may do there. */
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/teams/teams.h"

/* Lives in call->data. */
struct members_call {
    uint64_t team_id;
    struct page page;
};

static void append_member(struct http_request *request, const struct machine_store *view, struct span value,
                          json_t *members)
{
    const Tocsin__TeamMember *member =
        record_unpack(&tocsin__team_member__descriptor, value, request_memory(request));
    const Tocsin__User *user =
        query_has(request, "include", "users") ? user_get(view, member->user_id, request_memory(request)) : NULL;

    json_array_append_new(members,
                          json_pack("{s:o, s:o}", "user",
                                    user != NULL ? render_user(request, view, user)
                                                 : reference_user(request, view, member->user_id),
                                    "role", json_word(words_team_role, (int)member->role)));
}

static void on_read_members(struct http_request *request, const struct machine_store *view)
{
    struct members_call *call = api_call_of(request)->data;
    struct walk walk = walk_under(view, TABLE_TEAM_MEMBER, call->team_id);
    json_t *members = json_array();

    if (team_get(view, call->team_id, request_memory(request)) == NULL) {
        json_decref(members);
        api_not_found(request);
        return;
    }
    while (!page_done(&call->page) && walk_next(&walk)) {
        if (page_take(&call->page)) {
            append_member(request, view, walk.value, members);
        }
    }
    json_t *answer = json_pack("{s:o}", "members", members);
    page_finish(&call->page, answer);
    api_json(request, 200, answer);
}

void team_members_list(struct http_request *request)
{
    struct members_call *call = http_alloc(request, sizeof *call);

    if (path_id(request, 0, &call->team_id) && page_parse(request, &call->page)) {
        api_call_of(request)->data = call;
        api_read(request, on_read_members);
    }
}

/* The body may be missing: then the machine chooses the role. */
void team_member_put(struct http_request *request)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    uint64_t team_id, user_id;
    int role = TOCSIN__TEAM_ROLE__TEAM_ROLE_NONE;

    if (!role_require(request, PERMISSION_CONFIGURE) || !path_id(request, 0, &team_id) || !path_id(request, 1, &user_id)) {
        return;
    }
    (void)field_word(&reader, "role", words_team_role, &role, NULL);
    if (!fields_finish(&reader)) {
        return;
    }
    Tocsin__TeamMemberPut *put = api_command(request, TOCSIN__COMMAND__BODY_TEAM_MEMBER_PUT)->team_member_put;
    put->team_id = team_id;
    put->user_id = user_id;
    put->role = (Tocsin__TeamRole)role;
    resource_delete(request); /* 204, as for a deletion */
}

void team_member_remove(struct http_request *request)
{
    uint64_t team_id, user_id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &team_id) && path_id(request, 1, &user_id)) {
        Tocsin__TeamMemberDelete *delete =
            api_command(request, TOCSIN__COMMAND__BODY_TEAM_MEMBER_DELETE)->team_member_delete;
        delete->team_id = team_id;
        delete->user_id = user_id;
        resource_delete(request);
    }
}
