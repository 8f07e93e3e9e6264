/* See reach.h. */
#include "tests/fuzz/reach.h"

#include <string.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/records.h"
#include "tests/fuzz/input.h"

static bool is_among(enum machine_table table, const enum machine_table *tables, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (table == tables[i]) {
            return true;
        }
    }
    return false;
}

bool reach_is_memory(enum machine_table table)
{
    static const enum machine_table tables[] = {
        TABLE_META, TABLE_ORIGIN, TABLE_TOKEN /* when it was used last */, TABLE_IDEMPOTENCY, TABLE_IDEMPOTENCY_BY_TIME,
    };
    return is_among(table, tables, sizeof tables / sizeof *tables);
}

/* Rows that come and go with others, which are judged. */
static bool is_derived(enum machine_table table)
{
    static const enum machine_table tables[] = {TABLE_DEADLINE, TABLE_OUTBOX, TABLE_TURN, TABLE_HANDOFF_DUE, TABLE_HELD};

    return is_among(table, tables, sizeof tables / sizeof *tables);
}

static bool has_own(const struct reach *reach, struct span numbers)
{
    for (unsigned i = 0; i < numbers.size_bytes / sizeof(uint64_t); i++) {
        uint64_t number = span_number(numbers, i);
        if (number != 0 && (number == reach->team_id || number == reach->policy_id || number == reach->service_id ||
                            number == reach->incident_id)) {
            return true;
        }
    }
    return false;
}

/* By an id in its key, or in what an index leads to. */
static bool is_own(const struct reach *reach, struct span key, struct span value)
{
    return has_own(reach, key) || (value.size_bytes <= 2 * sizeof(uint64_t) && has_own(reach, value));
}

/* ---------------------------------------------------------------- what is new, or other than it was */

static void judge_actions(const struct reach *reach, const Tocsin__RuleActions *actions)
{
    uint64_t service_id = actions != NULL ? id_parse(actions->route_to) : 0;

    fuzz_require(service_id == 0 || service_id == reach->service_id);
    fuzz_require(actions == NULL || (actions->dynamic_route_to == NULL &&
                                     (actions->escalation_policy_id == 0 || actions->escalation_policy_id == reach->policy_id)));
}

static void judge_path(const struct reach *reach, struct span value)
{
    Tocsin__OrchestrationPath *path = fuzz_must(record_unpack(&tocsin__orchestration_path__descriptor, value, NULL));

    fuzz_require(path->owner_id == reach->service_id);
    judge_actions(reach, path->catch_all);
    for (size_t i = 0; i < path->n_sets; i++) {
        for (size_t j = 0; j < path->sets[i]->n_rules; j++) {
            judge_actions(reach, path->sets[i]->rules[j]->actions);
        }
    }
    tocsin__orchestration_path__free_unpacked(path, NULL);
}

static void judge_service(const struct reach *reach, struct span value)
{
    Tocsin__Service *service = fuzz_must(record_unpack(&tocsin__service__descriptor, value, NULL));

    fuzz_require(service->escalation_policy_id == reach->policy_id);
    tocsin__service__free_unpacked(service, NULL);
}

static void judge_incident(const struct reach *reach, struct span value)
{
    Tocsin__Incident *incident = fuzz_must(record_unpack(&tocsin__incident__descriptor, value, NULL));

    fuzz_require(incident->service_id == reach->service_id);
    tocsin__incident__free_unpacked(incident, NULL);
}

static void judge_window(const struct reach *reach, struct span value)
{
    Tocsin__MaintenanceWindow *window = fuzz_must(record_unpack(&tocsin__maintenance_window__descriptor, value, NULL));

    for (size_t i = 0; i < window->n_service_ids; i++) {
        fuzz_require(window->service_ids[i] == reach->service_id);
    }
    tocsin__maintenance_window__free_unpacked(window, NULL);
}

static void judge_orchestration(const struct reach *reach, struct span value)
{
    Tocsin__Orchestration *orchestration = fuzz_must(record_unpack(&tocsin__orchestration__descriptor, value, NULL));

    fuzz_require(orchestration->team_id == reach->team_id);
    tocsin__orchestration__free_unpacked(orchestration, NULL);
}

/* One that was the team's may be given away; a new one is made under the team, and others that the manager is in: there are none. */
static void judge_policy(const struct reach *reach, struct span key, struct span value)
{
    Tocsin__EscalationPolicy *policy = fuzz_must(record_unpack(&tocsin__escalation_policy__descriptor, value, NULL));

    fuzz_require(policy->team_id == reach->team_id || span_number(key, 0) == reach->policy_id);
    tocsin__escalation_policy__free_unpacked(policy, NULL);
}

static void judge_schedule(const struct reach *reach, struct span value)
{
    Tocsin__Schedule *schedule = fuzz_must(record_unpack(&tocsin__schedule__descriptor, value, NULL));

    fuzz_require(schedule->n_team_ids == 1 && schedule->team_ids[0] == reach->team_id);
    tocsin__schedule__free_unpacked(schedule, NULL);
}

static void judge_row(const struct reach *reach, enum machine_table table, struct span key, struct span value)
{
    switch ((unsigned)table) {
    case TABLE_ORCHESTRATION_PATH:
        judge_path(reach, value);
        return;
    case TABLE_SERVICE:
        judge_service(reach, value);
        return;
    case TABLE_INCIDENT:
        judge_incident(reach, value);
        return;
    case TABLE_MAINTENANCE:
        judge_window(reach, value);
        return;
    case TABLE_ORCHESTRATION:
        judge_orchestration(reach, value);
        return;
    case TABLE_ESCALATION_POLICY:
        judge_policy(reach, key, value);
        return;
    case TABLE_SCHEDULE:
        judge_schedule(reach, value);
        return;
    case TABLE_INTEGRATION:
    case TABLE_TEAM_MEMBER:
    case TABLE_TEAM:
        fuzz_require(is_own(reach, key, value));
        return;
    case TABLE_USER:
    case TABLE_CONTACT_METHOD:
    case TABLE_NOTIFICATION_RULE:
    case TABLE_HANDOFF_RULE:
    case TABLE_MUTE:
    case TABLE_HEARTBEAT:
    case TABLE_DRILL:
    case TABLE_CHANGE_EVENT:
    case TABLE_OVERRIDE:
    case TABLE_SWAP:
    case TABLE_CALENDAR_FEED:
        fuzz_broken("a role in a team reaches it", __FILE__, __LINE__);
    default: /* what belongs to one of these */
        return;
    }
}

/* ---------------------------------------------------------------- both */

static bool has_row(const struct machine_store *store, enum machine_table table, struct span key, struct span value)
{
    struct span other = {NULL, 0};

    return store->get(store->context, table, key, &other) && other.size_bytes == value.size_bytes &&
           (value.size_bytes == 0 || memcmp(other.data, value.data, value.size_bytes) == 0);
}

void reach_judge(const struct reach *reach, const struct machine_store *before, const struct machine_store *after, enum machine_table table)
{
    if (reach_is_memory(table) || is_derived(table)) {
        return;
    }
    for (struct walk walk = walk_all(before, table); walk_next(&walk);) {
        fuzz_require(is_own(reach, walk.key, walk.value) || has_row(after, table, walk.key, walk.value));
    }
    for (struct walk walk = walk_all(after, table); walk_next(&walk);) {
        if (!has_row(before, table, walk.key, walk.value)) {
            judge_row(reach, table, walk.key, walk.value);
        }
    }
}
