/*
 * Who takes part in the cluster. An answer is what operators want, and how far raft's configuration has come:
 *
 *     joining ──> learner ──> catching_up ──> voter ──> leaving ──> (removed)
 *
 * A request that is answered with 202 is written down; the leader carries it out, whoever leads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/api.h"
#include "node/api/resource.h"
#include "node/config.h"

/* ---------------------------------------------------------------- answers */

static const char *state_of(const Tocsin__Member *member, json_t *in_force)
{
    json_t *found;
    size_t i;

    if (member->leaving) {
        return "leaving";
    }
    json_array_foreach(in_force, i, found)
    {
        if ((uint64_t)json_integer_value(json_object_get(found, "id")) != member->id) {
            continue;
        }
        const char *role = json_string_value(json_object_get(found, "role"));
        bool votes = role != NULL && strcmp(role, "voter") == 0;
        return votes ? "voter" : json_is_true(json_object_get(found, "catching_up")) ? "catching_up" : "learner";
    }
    return "joining";
}

static void answer_members(struct http_request *request, const struct machine_store *view)
{
    struct api_call *call = api_call_of(request);
    struct api_ports *ports = &call->api->ports;
    const Tocsin__Members *wanted = members_get(view, request_memory(request));
    json_t *members = json_array(), *removed = json_array();
    json_t *cluster = ports->cluster(ports->context);

    for (size_t i = 0; wanted != NULL && i < wanted->n_members; i++) {
        const Tocsin__Member *member = wanted->members[i];
        const char *state = state_of(member, json_object_get(cluster, "members"));
        json_array_append_new(members, json_pack("{s:I, s:s, s:s}", "id", (json_int_t)member->id, "address",
                                                 member->address, "state", state));
    }
    for (size_t i = 0; wanted != NULL && i < wanted->n_removed; i++) {
        json_array_append_new(removed, json_integer((json_int_t)wanted->removed[i]->id));
    }
    json_decref(cluster);
    api_json(request, (unsigned)call->id, json_pack("{s:o, s:o}", "members", members, "removed", removed));
}

static void on_changed(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status == TOCSIN__STATUS__STATUS_NOT_FOUND) { /* with the machine's sentence: which member it is that is not there */
        api_error(request, 404, 2100, "Not Found", json_pack("[s]", reply->message));
    } else if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
    } else {
        api_call_of(request)->id = 202;
        api_read(request, answer_members);
    }
}

/* ---------------------------------------------------------------- requests */

static void list_members(struct http_request *request)
{
    api_call_of(request)->id = 200;
    api_read(request, answer_members);
}

static void add_member(struct http_request *request)
{
    struct api_call *call = api_call_of(request);
    struct field_reader reader = {.request = request, .object = call->body, .prefix = ""};
    const char *address = NULL;
    int64_t id = 0;
    bool has_id = false, has_address = false;

    bool id_fits = field_integer(&reader, "id", 1, INT64_MAX, &id, &has_id);
    bool address_fits = field_string(&reader, "address", LIMIT_MEMBER_ADDRESS_CHARACTERS, &address, &has_address);
    if (id_fits && !has_id) {
        field_error(&reader, "'id' is missing: the number of the new node, one that no node had before");
    }
    if (address_fits && address == NULL) {
        field_error(&reader, "'address' is missing: host:port of the new node's peer port");
    } else if (address_fits && !call->api->members_anywhere && !address_is_loopback(address)) {
        field_error(&reader, "'address' is outside loopback and would be reached without TLS: every node needs [node] "
                             "allow_plain_tcp = yes, and the network must be trusted");
    }
    if (!fields_finish(&reader)) {
        return;
    }
    Tocsin__MemberAdd *add = api_command(request, TOCSIN__COMMAND__BODY_MEMBER_ADD)->member_add;
    Tocsin__Member *member = http_alloc(request, sizeof *member);
    tocsin__member__init(member);
    member->id = (uint64_t)id;
    member->address = http_strdup(request, address);
    add->member = member;
    api_submit(request, on_changed);
}

/* Nodes' ids are plain numbers, as in their configuration. */
static bool node_id(struct http_request *request, uint64_t *id)
{
    const char *text = api_call_of(request)->parameters[0];
    char *end = NULL;

    errno = 0;
    *id = strtoull(text, &end, 10);
    if (text[0] >= '1' && text[0] <= '9' && *end == '\0' && errno == 0) {
        return true;
    }
    api_not_found(request);
    return false;
}

static void remove_member(struct http_request *request)
{
    uint64_t id;

    if (node_id(request, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_MEMBER_REMOVE)->member_remove->id = id;
        api_submit(request, on_changed);
    }
}

const struct route routes_members[] = {
    {"GET", "/cluster/members", list_members, FAMILY_OPERATOR, 0},
    {"POST", "/cluster/members", add_member, FAMILY_OPERATOR, ROUTE_JSON_BODY},
    {"DELETE", "/cluster/members/{}", remove_member, FAMILY_OPERATOR, 0},
    {0},
};
