/* See visibility.h. */
#include "consensus/machine/incidents/visibility.h"

#include "consensus/machine/incidents/incidents.h"

static bool is_secret(Tocsin__IncidentCategory category)
{
    return category == TOCSIN__INCIDENT_CATEGORY__CATEGORY_SECURITY ||
           category == TOCSIN__INCIDENT_CATEGORY__CATEGORY_COMPLIANCE;
}

bool incident_is_secret(const Tocsin__Incident *incident)
{
    return is_secret(incident_details(incident)->category);
}

bool secrets_exist(const struct machine_store *store)
{
    struct key key = key_meta(META_SECRETS);
    struct span value;
    return store->get(store->context, TABLE_META, key_span(&key), &value);
}

void secret_note(struct apply *apply, Tocsin__IncidentCategory category)
{
    if (is_secret(category) && !secrets_exist(apply->store)) {
        struct key key = key_meta(META_SECRETS), since = key_1(apply->time_ms);
        apply->store->put(apply->store->context, TABLE_META, key_span(&key), key_span(&since));
    }
}

static uint64_t team_of(const struct machine_store *store, ProtobufCAllocator *arena, uint64_t escalation_policy_id)
{
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(store, escalation_policy_id, arena);
    return policy != NULL ? policy->team_id : 0;
}

bool secret_check(struct apply *apply, Tocsin__IncidentCategory category, uint64_t escalation_policy_id,
                  Tocsin__Reply *reply)
{
    if (!is_secret(category) || team_of(apply->store, apply->arena, escalation_policy_id) != 0) {
        return true;
    }
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_NO_TEAM,
                 "Incidents of this category are seen by the team of their escalation policy alone, and it has none.");
    return false;
}

bool secret_check_move(struct apply *apply, const Tocsin__Incident *from, const Tocsin__Incident *to,
                       Tocsin__Reply *reply)
{
    bool same_team = team_of(apply->store, apply->arena, from->escalation_policy_id) ==
                     team_of(apply->store, apply->arena, to->escalation_policy_id);
    if (!incident_is_secret(from) || (incident_is_secret(to) && same_team)) {
        return true;
    }
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_SECRET_STAYS,
                 "Incident #%llu is seen by its team alone: what it has goes only where nobody else sees it.",
                 (unsigned long long)from->number);
    return false;
}

static bool has_part(const Tocsin__Incident *incident, uint64_t user_id)
{
    for (size_t i = 0; i < incident->n_acknowledgements; i++) {
        if (incident->acknowledgements[i]->user_id == user_id) {
            return true;
        }
    }
    return incident_is_assigned(incident, user_id) || incident_is_responder(incident, user_id);
}

bool incident_seen_by(const struct machine_store *store, ProtobufCAllocator *arena, const Tocsin__Incident *incident,
                      const Tocsin__Actor *actor)
{
    if (!incident_is_secret(incident) || actor->kind == TOCSIN__ACTOR_KIND__ACTOR_SYSTEM ||
        actor->kind == TOCSIN__ACTOR_KIND__ACTOR_INTEGRATION) {
        return true;
    }
    const Tocsin__User *user =
        actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER && !actor->claimed ? user_get(store, actor->id, arena) : NULL;
    if (user == NULL) {
        return false;
    }
    uint64_t team_id = team_of(store, arena, incident->escalation_policy_id);
    return user->role == TOCSIN__ROLE__ROLE_OWNER || has_part(incident, user->id) ||
           (team_id != 0 && team_member_get(store, team_id, user->id, arena) != NULL);
}
