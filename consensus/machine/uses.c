/*
 * What depends on what, as one table: a row for each kind of object that is named and each kind that names it.
 *
 *     user <── escalation policy, schedule          escalation policy <── service, event rules
 *     team <── escalation policy, schedule,         service <── heartbeat, router of an event orchestration
 *              event orchestration                  priority <── event rules
 *     schedule <── escalation policy
 *
 * What is not here goes away with the object that it belongs to (integrations, contact methods, overrides, memberships,
 * a service's place in a maintenance window), or keeps a name of what is gone (timelines, closed incidents).
 */
#include "consensus/machine/uses.h"

#include <string.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/schedules/schedules.h"

/* ---------------------------------------------------------------- whether a record names the object */

static bool has_id(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool policy_names_user(struct apply *apply, const void *record, uint64_t id)
{
    (void)apply;
    return policy_has_target(record, id);
}

static bool policy_names_schedule(struct apply *apply, const void *record, uint64_t id)
{
    const Tocsin__EscalationPolicy *policy = record;
    bool named = false;

    (void)apply;
    for (size_t i = 0; i < policy->n_levels && !named; i++) {
        named = has_id(policy->levels[i]->schedule_ids, policy->levels[i]->n_schedule_ids, id);
    }
    return named;
}

static bool policy_names_team(struct apply *apply, const void *record, uint64_t id)
{
    (void)apply;
    return ((const Tocsin__EscalationPolicy *)record)->team_id == id;
}

static bool schedule_names_user(struct apply *apply, const void *record, uint64_t id)
{
    return schedule_has_user(apply, record, id);
}

static bool schedule_names_team(struct apply *apply, const void *record, uint64_t id)
{
    const Tocsin__Schedule *schedule = record;

    (void)apply;
    return has_id(schedule->team_ids, schedule->n_team_ids, id);
}

static bool orchestration_names_team(struct apply *apply, const void *record, uint64_t id)
{
    (void)apply;
    return ((const Tocsin__Orchestration *)record)->team_id == id;
}

static bool service_names_policy(struct apply *apply, const void *record, uint64_t id)
{
    (void)apply;
    return ((const Tocsin__Service *)record)->escalation_policy_id == id;
}

typedef bool (*actions_test)(const Tocsin__RuleActions *actions, uint64_t id);

/* Rules that are switched off, too: switched on they would name what is gone. */
static bool path_has_actions(const Tocsin__OrchestrationPath *path, actions_test test, uint64_t id)
{
    bool found = path->catch_all != NULL && test(path->catch_all, id);

    for (size_t i = 0; i < path->n_sets; i++) {
        for (size_t j = 0; j < path->sets[i]->n_rules && !found; j++) {
            const Tocsin__RuleActions *actions = path->sets[i]->rules[j]->actions;
            found = actions != NULL && test(actions, id);
        }
    }
    return found;
}

static bool actions_route_to(const Tocsin__RuleActions *actions, uint64_t service_id)
{
    return id_parse(actions->route_to) == service_id;
}

static bool actions_name_policy(const Tocsin__RuleActions *actions, uint64_t policy_id)
{
    return actions->escalation_policy_id == policy_id;
}

static bool actions_name_priority(const Tocsin__RuleActions *actions, uint64_t priority_id)
{
    return actions->priority_id == priority_id;
}

/* Elsewhere a route is the name of a set of rules. */
static bool path_names_service(struct apply *apply, const void *record, uint64_t id)
{
    const Tocsin__OrchestrationPath *path = record;

    (void)apply;
    return path->kind == TOCSIN__PATH_KIND__PATH_ROUTER && path_has_actions(path, actions_route_to, id);
}

static bool path_names_policy(struct apply *apply, const void *record, uint64_t id)
{
    (void)apply;
    return path_has_actions(record, actions_name_policy, id);
}

static bool path_names_priority(struct apply *apply, const void *record, uint64_t id)
{
    (void)apply;
    return path_has_actions(record, actions_name_priority, id);
}

/* ---------------------------------------------------------------- what a record is called */

/* The type, id and name of who uses the object, and the words before the name. */
struct user_of {
    const char *type, *words, *name;
    uint64_t id;
};

#define SHOWN_AS(function, record_type, type_text, words_text)                                                        \
    static struct user_of function(struct apply *apply, const void *record)                                           \
    {                                                                                                                 \
        const record_type *one = record;                                                                              \
        return (struct user_of){type_text, words_text, apply_strdup(apply, one->name), one->id};                      \
    }

SHOWN_AS(show_policy, Tocsin__EscalationPolicy, "escalation_policy", "the escalation policy")
SHOWN_AS(show_schedule, Tocsin__Schedule, "schedule", "the schedule")
SHOWN_AS(show_orchestration, Tocsin__Orchestration, "event_orchestration", "the event orchestration")
SHOWN_AS(show_service, Tocsin__Service, "service", "the service")

/* Rules are those of a service, or of an orchestration. */
static struct user_of show_path(struct apply *apply, const void *record)
{
    const Tocsin__OrchestrationPath *path = record;

    if (path->kind == TOCSIN__PATH_KIND__PATH_SERVICE) {
        const Tocsin__Service *service = service_get(apply->store, path->owner_id, apply->arena);
        return (struct user_of){"service", "the event rules of the service", service != NULL ? service->name : "", path->owner_id};
    }
    const Tocsin__Orchestration *orchestration = orchestration_get(apply->store, path->owner_id, apply->arena);
    return (struct user_of){"event_orchestration", "the event orchestration",
                            orchestration != NULL ? orchestration->name : "", path->owner_id};
}

/* ---------------------------------------------------------------- the table */

static const struct reference {
    enum used_kind used;
    enum machine_table table;
    const ProtobufCMessageDescriptor *descriptor;
    bool (*names)(struct apply *apply, const void *record, uint64_t id);
    struct user_of (*show)(struct apply *apply, const void *record);
    Tocsin__Reason reason;
} references[] = {
    {USED_USER, TABLE_ESCALATION_POLICY, &tocsin__escalation_policy__descriptor, policy_names_user, show_policy,
     TOCSIN__REASON__REASON_USER_IN_POLICY},
    {USED_USER, TABLE_SCHEDULE, &tocsin__schedule__descriptor, schedule_names_user, show_schedule,
     TOCSIN__REASON__REASON_USER_IN_SCHEDULE},
    {USED_TEAM, TABLE_ESCALATION_POLICY, &tocsin__escalation_policy__descriptor, policy_names_team, show_policy,
     TOCSIN__REASON__REASON_TEAM_IN_USE},
    {USED_TEAM, TABLE_SCHEDULE, &tocsin__schedule__descriptor, schedule_names_team, show_schedule,
     TOCSIN__REASON__REASON_TEAM_IN_USE},
    {USED_TEAM, TABLE_ORCHESTRATION, &tocsin__orchestration__descriptor, orchestration_names_team, show_orchestration,
     TOCSIN__REASON__REASON_TEAM_IN_USE},
    {USED_ESCALATION_POLICY, TABLE_SERVICE, &tocsin__service__descriptor, service_names_policy, show_service,
     TOCSIN__REASON__REASON_POLICY_IN_SERVICE},
    {USED_ESCALATION_POLICY, TABLE_ORCHESTRATION_PATH, &tocsin__orchestration_path__descriptor, path_names_policy,
     show_path, TOCSIN__REASON__REASON_IN_RULES},
    {USED_SCHEDULE, TABLE_ESCALATION_POLICY, &tocsin__escalation_policy__descriptor, policy_names_schedule, show_policy,
     TOCSIN__REASON__REASON_SCHEDULE_IN_POLICY},
    {USED_SERVICE, TABLE_ORCHESTRATION_PATH, &tocsin__orchestration_path__descriptor, path_names_service, show_path,
     TOCSIN__REASON__REASON_IN_RULES},
    {USED_PRIORITY, TABLE_ORCHESTRATION_PATH, &tocsin__orchestration_path__descriptor, path_names_priority, show_path,
     TOCSIN__REASON__REASON_IN_RULES},
};

static const char *const words_used[] = {
    [USED_USER] = "The user",         [USED_TEAM] = "The team",       [USED_ESCALATION_POLICY] = "The escalation policy",
    [USED_SCHEDULE] = "The schedule", [USED_SERVICE] = "The service", [USED_PRIORITY] = "The priority",
};

/* ---------------------------------------------------------------- asking */

/* Those who use it, in the order in which they are found, and the reason of the first. */
struct uses {
    struct user_of found[LIMIT_USES_TOLD];
    size_t count; /* of `found` */
    bool more;    /* than that */
    Tocsin__Reason reason;
};

static bool is_found(const struct uses *uses, struct user_of user)
{
    for (size_t i = 0; i < uses->count; i++) {
        if (uses->found[i].id == user.id && strcmp(uses->found[i].type, user.type) == 0) {
            return true; /* by another of its paths */
        }
    }
    return false;
}

static void add(struct uses *uses, struct user_of user, Tocsin__Reason reason)
{
    if (is_found(uses, user)) {
        return;
    }
    uses->reason = uses->count == 0 ? reason : uses->reason;
    if (uses->count == LIMIT_USES_TOLD) {
        uses->more = true;
    } else {
        uses->found[uses->count++] = user;
    }
}

/* The rows of a whole company are too much for the arena: each is freed at once. */
static void look(struct apply *apply, const struct reference *reference, uint64_t id, struct uses *uses)
{
    struct walk walk = walk_all(apply->store, reference->table);

    while (!uses->more && walk_next(&walk)) {
        ProtobufCMessage *record = record_unpack(reference->descriptor, walk.value, NULL);
        if (record != NULL && reference->names(apply, record, id)) {
            add(uses, reference->show(apply, record), reference->reason);
        }
        protobuf_c_message_free_unpacked(record, NULL);
    }
}

/* There may be a million: only the service's are looked at. The id ends the key. */
static void look_for_heartbeats(struct apply *apply, uint64_t service_id, struct uses *uses)
{
    struct walk walk = walk_under(apply->store, TABLE_HEARTBEAT_BY_SLUG, service_id);

    while (!uses->more && walk_next(&walk)) {
        struct span end = {.data = (const uint8_t *)walk.key.data + walk.key.size_bytes - sizeof(uint64_t),
                           .size_bytes = sizeof(uint64_t)};
        const Tocsin__Heartbeat *heartbeat = heartbeat_get(apply->store, span_number(end, 0), apply->arena);
        if (heartbeat != NULL) {
            add(uses, (struct user_of){"heartbeat", "the heartbeat", heartbeat->name, heartbeat->id},
                TOCSIN__REASON__REASON_HEARTBEATS_IN_SERVICE);
        }
    }
}

static char *sentence(struct apply *apply, const char *what, const char *name, const struct uses *uses)
{
    char *list = apply_strdup(apply, "");

    for (size_t i = 0; i < uses->count; i++) {
        const char *before = i == 0 ? "" : i + 1 == uses->count && !uses->more ? " and " : ", ";
        list = apply_printf(apply, "%s%s%s %s", list, before, uses->found[i].words, uses->found[i].name);
    }
    return apply_printf(apply, "%s %s is used by %s%s: take it out of there first.", what, name, list,
                        uses->more ? " and others" : "");
}

static void tell(struct apply *apply, Tocsin__Reply *reply, const struct uses *uses)
{
    reply->used_by = apply_alloc(apply, uses->count * sizeof *reply->used_by);
    for (size_t i = 0; i < uses->count; i++) {
        Tocsin__Use *use = apply_alloc(apply, sizeof *use);
        tocsin__use__init(use);
        use->type = apply_strdup(apply, uses->found[i].type);
        use->id = uses->found[i].id;
        use->name = apply_strdup(apply, uses->found[i].name);
        reply->used_by[reply->n_used_by++] = use;
    }
}

bool check_unused(struct apply *apply, Tocsin__Reply *reply, enum used_kind used, uint64_t id, const char *name)
{
    struct uses *uses = apply_alloc(apply, sizeof *uses);

    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        if (references[i].used == used) {
            look(apply, &references[i], id, uses);
        }
    }
    if (used == USED_SERVICE) {
        look_for_heartbeats(apply, id, uses);
    }
    if (uses->count == 0) {
        return true;
    }
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, uses->reason, "%s",
                 sentence(apply, words_used[used], name, uses));
    tell(apply, reply, uses);
    return false;
}
