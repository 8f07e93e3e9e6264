/*
 * Status updates: news for people who do not work on the incident, and want to hear of it.
 *
 * Subscribers are people and teams; who is in a team is looked up with each update. They are told by their ways of low
 * urgency (by default e-mail), each once, whatever has become of the incident meanwhile.
 */
#include "consensus/machine/incidents/incidents.h"

#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/directory/teams.h"
#include "consensus/machine/incidents/visibility.h"

/* ---------------------------------------------------------------- lists of ids */

static bool is_listed(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* The ids of both lists once, or those of the first without the second's. */
static uint64_t *lists_join(struct apply *apply, const uint64_t *ids, size_t count, const uint64_t *given,
                            size_t given_count, bool remove, size_t *joined_count)
{
    uint64_t *joined = apply_alloc(apply, (count + given_count + 1) * sizeof *joined);
    *joined_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!remove || !is_listed(given, given_count, ids[i])) {
            joined[(*joined_count)++] = ids[i];
        }
    }
    for (size_t i = 0; i < given_count && !remove; i++) {
        if (!is_listed(joined, *joined_count, given[i])) {
            joined[(*joined_count)++] = given[i];
        }
    }
    return joined;
}

/* ---------------------------------------------------------------- who hears of it */

static bool subscribers_check(struct apply *apply, const Tocsin__SubscribersChange *change, Tocsin__Reply *reply)
{
    for (size_t i = 0; i < change->n_user_ids && !change->remove; i++) {
        if (user_get(apply->store, change->user_ids[i], apply->arena) == NULL) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER,
                         "A subscriber does not exist.");
            return false;
        }
    }
    return change->remove || check_teams(apply, reply, change->team_ids, change->n_team_ids);
}

void apply_subscribers_change(struct apply *apply, const Tocsin__SubscribersChange *change, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get_seen(apply, change->incident_id, reply);
    if (incident == NULL || !subscribers_check(apply, change, reply)) {
        return;
    }
    size_t users, teams;
    uint64_t *user_ids = lists_join(apply, incident->subscriber_ids, incident->n_subscriber_ids, change->user_ids,
                                    change->n_user_ids, change->remove, &users);
    uint64_t *team_ids = lists_join(apply, incident->subscriber_team_ids, incident->n_subscriber_team_ids,
                                    change->team_ids, change->n_team_ids, change->remove, &teams);
    if (!change->remove && users + teams > 0 &&
        !check_room(apply, reply, "subscribers of one incident", users + teams - 1, LIMIT_SUBSCRIBERS_PER_INCIDENT)) {
        return;
    }
    incident->subscriber_ids = user_ids;
    incident->n_subscriber_ids = users;
    incident->subscriber_team_ids = team_ids;
    incident->n_subscriber_team_ids = teams;
    incident_put(apply->store, incident);
    reply_id(apply, reply, incident->id);
}

/* ---------------------------------------------------------------- telling them */

struct audience {
    uint64_t user_ids[LIMIT_SUBSCRIBERS_TOLD];
    size_t count;
};

static bool may_hear(struct apply *apply, const Tocsin__Incident *incident, uint64_t user_id)
{
    Tocsin__Actor subscriber = TOCSIN__ACTOR__INIT;
    subscriber.kind = TOCSIN__ACTOR_KIND__ACTOR_USER;
    subscriber.id = user_id;
    return incident_seen_by(apply->store, apply->arena, incident, &subscriber);
}

/* Who subscribed before it became a secret may not hear of it any more. */
static void audience_add(struct apply *apply, const Tocsin__Incident *incident, struct audience *audience, uint64_t user_id)
{
    if (audience->count < LIMIT_SUBSCRIBERS_TOLD && !is_listed(audience->user_ids, audience->count, user_id) &&
        may_hear(apply, incident, user_id)) {
        audience->user_ids[audience->count++] = user_id;
    }
}

static void audience_collect(struct apply *apply, const Tocsin__Incident *incident, struct audience *audience)
{
    for (size_t i = 0; i < incident->n_subscriber_ids; i++) {
        audience_add(apply, incident, audience, incident->subscriber_ids[i]);
    }
    for (size_t i = 0; i < incident->n_subscriber_team_ids; i++) {
        struct walk walk = walk_under(apply->store, TABLE_TEAM_MEMBER, incident->subscriber_team_ids[i]);
        while (audience->count < LIMIT_SUBSCRIBERS_TOLD && walk_next(&walk)) {
            audience_add(apply, incident, audience, span_number(walk.key, 1));
        }
    }
}

void apply_status_update_create(struct apply *apply, const Tocsin__StatusUpdateCreate *create, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get_seen(apply, create->incident_id, reply);
    if (incident == NULL ||
        !check_lines(apply, reply, "The status update", create->message, 1, LIMIT_STATUS_UPDATE_CHARACTERS)) {
        return;
    }
    if (incident->status_updates >= LIMIT_NOTES_PER_INCIDENT) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "An incident has at most %u status updates.", LIMIT_NOTES_PER_INCIDENT);
        return;
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_STATUS_UPDATE,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->text = create->message;
    incident->status_updates++;
    timeline_put(apply, incident, entry);
    struct audience *audience = apply_alloc(apply, sizeof *audience);
    audience_collect(apply, incident, audience);
    struct bulletin bulletin = {.kind = TOCSIN__BULLETIN_KIND__BULLETIN_STATUS_UPDATE,
                            .why = TOCSIN__WHY__WHY_STATUS_UPDATE,
                            .urgency = TOCSIN__URGENCY__URGENCY_LOW,
                            .log_entry_id = entry->id,
                            .text = create->message};
    for (size_t i = 0; i < audience->count; i++) {
        telling_bulletin(apply, incident, audience->user_ids[i], &bulletin);
    }
    incident_put(apply->store, incident);
    reply_id(apply, reply, entry->id);
}
