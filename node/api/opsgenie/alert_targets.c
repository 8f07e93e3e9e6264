/*
 * People, teams, escalations and schedules that a body names, as Opsgenie does: {"id"}, {"username"} (an e-mail address) or
 * {"name"}. What is not there is told at once, with 422: Opsgenie takes it and forgets it.
 */
#include <string.h>

#include "consensus/machine/schedules/schedules.h"
#include "node/api/opsgenie/opsgenie.h"
#include "node/api/render.h"
#include "node/api/resource.h"

static uint64_t refuse(struct http_request *request, const char *what, const char *named)
{
    json_t *sentence = named != NULL ? json_format("There is no %s %s", what, named)
                                     : json_format("The body must name a %s by its id or its name", what);

    api_error(request, 422, 2001, "Request body is not processable", json_pack("[o]", sentence));
    return 0;
}

static uint64_t by_index(const struct machine_store *view, enum machine_table table, struct key key)
{
    struct span value;

    return view->get(view->context, table, key_span(&key), &value) ? span_number(value, 0) : 0;
}

uint64_t user_named(struct http_request *request, const struct machine_store *view, json_t *object)
{
    const char *id_text = json_string_value(json_object_get(object, "id"));
    const char *username = json_string_value(json_object_get(object, "username"));
    uint64_t id = id_text != NULL    ? id_parse(id_text)
                  : username != NULL ? by_index(view, TABLE_USER_BY_EMAIL, key_hash_lower(username))
                                     : 0;

    bool found = id != 0 && user_get(view, id, request_memory(request)) != NULL;
    return found ? id : refuse(request, "user", id_text != NULL ? id_text : username);
}

uint64_t policy_named(struct http_request *request, const struct machine_store *view, json_t *object)
{
    const char *id_text = json_string_value(json_object_get(object, "id"));
    const char *name = json_string_value(json_object_get(object, "name"));
    uint64_t id = id_text != NULL ? id_parse(id_text)
                  : name != NULL  ? by_index(view, TABLE_ESCALATION_POLICY_BY_NAME, key_hash(name))
                                  : 0;

    bool found = id != 0 && escalation_policy_get(view, id, request_memory(request)) != NULL;
    return found ? id : refuse(request, "escalation policy", id_text != NULL ? id_text : name);
}

/* The first escalation policy of the team: it is how a team is told. */
static uint64_t policy_of_team(const struct machine_store *view, uint64_t team_id)
{
    struct walk walk = walk_all(view, TABLE_ESCALATION_POLICY);
    uint64_t id = 0;

    while (id == 0 && walk_next(&walk)) {
        Tocsin__EscalationPolicy *policy = record_unpack(&tocsin__escalation_policy__descriptor, walk.value, NULL);
        if (policy != NULL && policy->team_id == team_id) {
            id = policy->id;
        }
        if (policy != NULL) {
            tocsin__escalation_policy__free_unpacked(policy, NULL);
        }
    }
    return id;
}

static uint64_t team_policy_named(struct http_request *request, const struct machine_store *view, json_t *object)
{
    const char *id_text = json_string_value(json_object_get(object, "id"));
    const char *name = json_string_value(json_object_get(object, "name"));
    uint64_t id = id_text != NULL ? id_parse(id_text)
                  : name != NULL  ? by_index(view, TABLE_TEAM_BY_NAME, key_hash(name))
                                  : 0;

    if (id == 0 || team_get(view, id, request_memory(request)) == NULL) {
        return refuse(request, "team", id_text != NULL ? id_text : name);
    }
    uint64_t policy_id = policy_of_team(view, id);
    return policy_id != 0 ? policy_id : refuse(request, "escalation policy of the team", id_text != NULL ? id_text : name);
}

uint64_t schedule_by_name(const struct machine_store *view, const char *name)
{
    struct walk walk = walk_all(view, TABLE_SCHEDULE);
    uint64_t id = 0;

    while (id == 0 && walk_next(&walk)) {
        Tocsin__Schedule *schedule = record_unpack(&tocsin__schedule__descriptor, walk.value, NULL);
        if (schedule != NULL && strcmp(schedule->name, name) == 0) {
            id = schedule->id;
        }
        if (schedule != NULL) {
            tocsin__schedule__free_unpacked(schedule, NULL);
        }
    }
    return id;
}

/* Whoever is on call now. */
static uint64_t on_call_named(struct http_request *request, const struct machine_store *view, json_t *object)
{
    const char *id_text = json_string_value(json_object_get(object, "id"));
    const char *name = json_string_value(json_object_get(object, "name"));
    uint64_t id = id_text != NULL ? id_parse(id_text) : name != NULL ? schedule_by_name(view, name) : 0;

    if (id == 0 || schedule_get(view, id, request_memory(request)) == NULL) {
        return refuse(request, "schedule", id_text != NULL ? id_text : name);
    }
    uint64_t user_id = schedule_on_call(view, id, api_cluster_ms(request)).user_id;
    return user_id != 0 ? user_id : refuse(request, "person on call now in schedule", id_text != NULL ? id_text : name);
}

static bool add(uint64_t **ids, size_t *count, uint64_t id)
{
    if (id != 0) {
        (*ids)[(*count)++] = id;
    }
    return id != 0;
}

bool responder_take(struct http_request *request, const struct machine_store *view, const char *type, json_t *object,
                    Tocsin__RespondersRequest *ask)
{
    if (type != NULL && strcmp(type, "user") == 0) {
        return add(&ask->user_ids, &ask->n_user_ids, user_named(request, view, object));
    }
    if (type != NULL && strcmp(type, "schedule") == 0) {
        return add(&ask->user_ids, &ask->n_user_ids, on_call_named(request, view, object));
    }
    if (type != NULL && strcmp(type, "escalation") == 0) {
        return add(&ask->escalation_policy_ids, &ask->n_escalation_policy_ids, policy_named(request, view, object));
    }
    if (type != NULL && strcmp(type, "team") == 0) {
        return add(&ask->escalation_policy_ids, &ask->n_escalation_policy_ids, team_policy_named(request, view, object));
    }
    api_error(request, 422, 2001, "The type of a responder must be user, team, escalation or schedule", NULL);
    return false;
}
