/*
 * Teams: who belongs together.
 *
 *     team ──< member (a user and a role) >── user
 *     team ──< escalation policy ──< service ──< incident        a policy is of one team at most
 *     team ──< schedule
 */
#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/directory/teams.h"
#include "consensus/machine/uses.h"

#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT

static const char *const team_fields[] = {"name", "description", NULL};

static bool check_team(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Team *team)
{
    if (!check_line(apply, reply, "The name", team->name, 1, LIMIT_TEAM_NAME_CHARACTERS) ||
        !check_lines(apply, reply, "The description", team->description, 0, LIMIT_DESCRIPTION_CHARACTERS)) {
        return false;
    }
    uint64_t owner = index_find(apply, TABLE_TEAM_BY_NAME, key_hash(team->name));
    if (owner != 0 && owner != team->id) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_NAME_TAKEN, "Another team has this name.");
        return false;
    }
    return true;
}

static Tocsin__Team *team_new(struct apply *apply)
{
    Tocsin__Team *team = apply_alloc(apply, sizeof *team);
    tocsin__team__init(team);
    return team;
}

void apply_team_put(struct apply *apply, const Tocsin__TeamPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->team)) {
        return;
    }
    bool creation = put->id == 0;
    Tocsin__Team *team = creation ? team_new(apply) : team_get(apply->store, put->id, apply->arena);
    if (team == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_TEAM, "team", put->id);
        return;
    }
    struct key old_name = key_hash(team->name);
    record_patch(&team->base, &put->team->base, creation, put->fields, team_fields);
    if (!check_team(apply, reply, team)) {
        return;
    }
    if (creation) {
        if (!check_room(apply, reply, "teams", apply->store->count(apply->store->context, TABLE_TEAM), LIMIT_TEAMS)) {
            return;
        }
        team->id = apply_new_id(apply);
        team->created_at_ms = apply->time_ms;
    } else {
        row_delete(apply, TABLE_TEAM_BY_NAME, old_name);
    }
    index_put(apply, TABLE_TEAM_BY_NAME, key_hash(team->name), team->id);
    team_put(apply->store, team);
    reply_id(apply, reply, team->id);
}

/* ---------------------------------------------------------------- what belongs to a team */

/* The name of a policy of the team that tells this user, NULL when there is none. There may be too many rows for the
 * arena, so each is freed at once. */
static const char *policy_of_team(struct apply *apply, uint64_t team_id, uint64_t user_id)
{
    const char *name = NULL;
    struct walk walk = walk_all(apply->store, TABLE_ESCALATION_POLICY);
    while (name == NULL && walk_next(&walk)) {
        Tocsin__EscalationPolicy *policy = record_unpack(&tocsin__escalation_policy__descriptor, walk.value, NULL);
        if (policy != NULL && policy->team_id == team_id && policy_has_target(policy, user_id)) {
            name = apply_strdup(apply, policy->name);
        }
        tocsin__escalation_policy__free_unpacked(policy, NULL);
    }
    return name;
}

/* What is the team's would be nobody's then; members may be many and go with it. */
void apply_team_delete(struct apply *apply, const Tocsin__TeamDelete *delete, Tocsin__Reply *reply)
{
    const Tocsin__Team *team = team_get(apply->store, delete->id, apply->arena);
    if (team == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_TEAM, "team", delete->id);
        return;
    }
    if (!check_unused(apply, reply, USED_TEAM, team->id, team->name)) {
        return;
    }
    struct walk walk = walk_under(apply->store, TABLE_TEAM_MEMBER, team->id);
    while (walk_next(&walk)) {
        row_delete(apply, TABLE_TEAM_OF_USER, key_2(span_number(walk.key, 1), team->id));
        row_delete(apply, TABLE_TEAM_MEMBER, walk.position);
    }
    row_delete(apply, TABLE_TEAM_BY_NAME, key_hash(team->name));
    row_delete(apply, TABLE_TEAM, key_1(team->id));
    reply_id(apply, reply, team->id);
}

bool check_teams(struct apply *apply, Tocsin__Reply *reply, const uint64_t *team_ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (team_get(apply->store, team_ids[i], apply->arena) == NULL) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_TEAM,
                         "The team does not exist.");
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- members */

/* What a member may do who was given no role: as much as anywhere. NONE: people of this role are in no team. */
static Tocsin__TeamRole team_role_of(Tocsin__Role role)
{
    switch (role) {
    case TOCSIN__ROLE__ROLE_OWNER:
    case TOCSIN__ROLE__ROLE_ADMIN:
    case TOCSIN__ROLE__ROLE_USER:
        return TOCSIN__TEAM_ROLE__TEAM_ROLE_MANAGER;
    case TOCSIN__ROLE__ROLE_LIMITED_USER:
        return TOCSIN__TEAM_ROLE__TEAM_ROLE_RESPONDER;
    case TOCSIN__ROLE__ROLE_OBSERVER:
    case TOCSIN__ROLE__ROLE_RESTRICTED_ACCESS:
        return TOCSIN__TEAM_ROLE__TEAM_ROLE_OBSERVER;
    default:
        return TOCSIN__TEAM_ROLE__TEAM_ROLE_NONE;
    }
}

static bool check_pair(struct apply *apply, Tocsin__Reply *reply, uint64_t team_id, uint64_t user_id)
{
    if (team_get(apply->store, team_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_TEAM, "team", team_id);
        return false;
    }
    if (user_get(apply->store, user_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_USER, "user", user_id);
        return false;
    }
    return true;
}

void apply_team_member_put(struct apply *apply, const Tocsin__TeamMemberPut *put, Tocsin__Reply *reply)
{
    if (!check_pair(apply, reply, put->team_id, put->user_id)) {
        return;
    }
    Tocsin__TeamRole own = team_role_of(user_get(apply->store, put->user_id, apply->arena)->role);
    const Tocsin__TeamMember *before = team_member_get(apply->store, put->team_id, put->user_id, apply->arena);
    if (own == TOCSIN__TEAM_ROLE__TEAM_ROLE_NONE) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_ROLE_WITHOUT_TEAMS,
                     "A user with this role cannot be in a team.");
        return;
    }
    if (before == NULL &&
        (!check_room(apply, reply, "members of one team", rows_under(apply, TABLE_TEAM_MEMBER, put->team_id),
                     LIMIT_MEMBERS_PER_TEAM) ||
         !check_room(apply, reply, "teams of one user", rows_under(apply, TABLE_TEAM_OF_USER, put->user_id),
                     LIMIT_TEAMS_PER_USER))) {
        return;
    }
    Tocsin__TeamMember member;
    tocsin__team_member__init(&member);
    member.team_id = put->team_id;
    member.user_id = put->user_id;
    member.role = put->role;
    if (member.role == TOCSIN__TEAM_ROLE__TEAM_ROLE_NONE) {
        member.role = before != NULL ? before->role : own;
    }
    record_put(apply->store, TABLE_TEAM_MEMBER, key_2(put->team_id, put->user_id), &member.base);
    struct key of_user = key_2(put->user_id, put->team_id);
    apply->store->put(apply->store->context, TABLE_TEAM_OF_USER, key_span(&of_user), (struct span){.data = ""});
    reply_id(apply, reply, put->user_id);
}

void apply_team_member_delete(struct apply *apply, const Tocsin__TeamMemberDelete *delete, Tocsin__Reply *reply)
{
    if (!check_pair(apply, reply, delete->team_id, delete->user_id)) {
        return;
    }
    if (team_member_get(apply->store, delete->team_id, delete->user_id, apply->arena) == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_OBJECT,
                     "The user is not in the team.");
        return;
    }
    const char *policy_name = policy_of_team(apply, delete->team_id, delete->user_id);
    if (policy_name != NULL) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_USER_IN_TEAM_POLICY,
                     "The user is a target of %s, an escalation policy of the team.", policy_name);
        return;
    }
    row_delete(apply, TABLE_TEAM_MEMBER, key_2(delete->team_id, delete->user_id));
    row_delete(apply, TABLE_TEAM_OF_USER, key_2(delete->user_id, delete->team_id));
    reply_id(apply, reply, delete->user_id);
}

void teams_user_deleted(struct apply *apply, uint64_t user_id)
{
    struct walk walk = walk_under(apply->store, TABLE_TEAM_OF_USER, user_id);
    while (walk_next(&walk)) {
        row_delete(apply, TABLE_TEAM_MEMBER, key_2(span_number(walk.key, 1), user_id));
        row_delete(apply, TABLE_TEAM_OF_USER, walk.position);
    }
}

/* ---------------------------------------------------------------- escalation policies */

/* NULL: refused. */
static Tocsin__EscalationPolicy *policy_for_team(struct apply *apply, Tocsin__Reply *reply, uint64_t team_id, uint64_t id)
{
    if (team_get(apply->store, team_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_TEAM, "team", team_id);
        return NULL;
    }
    Tocsin__EscalationPolicy *policy = escalation_policy_get(apply->store, id, apply->arena);
    if (policy == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_POLICY, "escalation policy", id);
    }
    return policy;
}

/* A policy has one team: another one has lost it then. */
void apply_team_policy_put(struct apply *apply, const Tocsin__TeamPolicyPut *put, Tocsin__Reply *reply)
{
    Tocsin__EscalationPolicy *policy = policy_for_team(apply, reply, put->team_id, put->escalation_policy_id);
    if (policy != NULL) {
        policy->team_id = put->team_id;
        escalation_policy_put(apply->store, policy);
        reply_id(apply, reply, policy->id);
    }
}

void apply_team_policy_delete(struct apply *apply, const Tocsin__TeamPolicyDelete *delete, Tocsin__Reply *reply)
{
    Tocsin__EscalationPolicy *policy = policy_for_team(apply, reply, delete->team_id, delete->escalation_policy_id);
    if (policy == NULL) {
        return;
    }
    if (policy->team_id != delete->team_id) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_OBJECT,
                     "The escalation policy is not the team's.");
        return;
    }
    policy->team_id = 0;
    escalation_policy_put(apply->store, policy);
    reply_id(apply, reply, policy->id);
}
