/* Why somebody was paged or was not, in a sentence or two. */
#include "node/api/coverage/why.h"

#include <stdio.h>
#include <string.h>

#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/schedules/schedules.h"
#include "node/api/render.h"

const char *why_name(struct why *why, uint64_t user_id)
{
    const Tocsin__User *user = user_get(why->view, user_id, request_memory(why->request));

    return user != NULL ? user->name : "somebody who is gone";
}

static const char *time_text(struct why *why, uint64_t time_ms)
{
    json_t *time = json_time(time_ms);
    char *text = http_strdup(why->request, json_string_value(time));

    json_decref(time);
    return text;
}

/* ---------------------------------------------------------------- urgency */

static bool is_low(const struct why *why)
{
    return why->incident->urgency == TOCSIN__URGENCY__URGENCY_LOW;
}

json_t *why_urgency(struct why *why)
{
    Tocsin__Why reason = why->incident->urgency_why;
    const char *word = is_low(why) ? "low" : "high";
    json_t *text = reason == TOCSIN__WHY__WHY_NONE
                       ? json_format("The incident is of %s urgency.", word)
                       : json_format("The incident is of %s urgency, because %s.", word, timeline_why(reason));

    return json_pack("{s:s, s:o, s:o}", "urgency", word, "why", json_word(words_why, (int)reason), "sentence", text);
}

/* Low urgency is why it was an e-mail and no call: worth a word. */
static const char *urgency_words(struct why *why)
{
    Tocsin__Why reason = why->incident->urgency_why;

    if (!is_low(why)) {
        return "";
    }
    json_t *text = reason == TOCSIN__WHY__WHY_NONE ? json_string(" for low urgency,")
                                                    : json_format(" for low urgency (%s),", timeline_why(reason));
    char *copy = http_strdup(why->request, json_string_value(text));
    json_decref(text);
    return copy;
}

/* ---------------------------------------------------------------- who was not asked: where the person stands */

/* A person's place in the incident's policy, as it is now: policies have no revisions. */
struct standing {
    uint32_t level;                     /* 0: none */
    const Tocsin__Schedule *schedule;   /* by which; NULL: by name */
    Tocsin__OnCall on_call;             /* what it said when the incident began */
};

static bool is_in_rotation(const Tocsin__Schedule *schedule, uint64_t user_id)
{
    for (size_t i = 0; i < schedule->n_layers; i++) {
        const Tocsin__ScheduleLayer *layer = schedule->layers[i];
        for (size_t j = 0; j < layer->n_user_ids; j++) {
            if (layer->user_ids[j] == user_id) {
                return true;
            }
        }
        for (size_t j = 0; j < layer->n_fixed; j++) {
            if (layer->fixed[j]->user_id == user_id) {
                return true;
            }
        }
    }
    return false;
}

/* True when the level names the person, or a schedule that knows the person does. */
static bool stands_on(struct why *why, const Tocsin__EscalationLevel *level, uint64_t user_id, struct standing *standing)
{
    for (size_t i = 0; i < level->n_user_ids; i++) {
        if (level->user_ids[i] == user_id) {
            return true;
        }
    }
    for (size_t i = 0; i < level->n_schedule_ids; i++) {
        const Tocsin__Schedule *schedule = schedule_get(why->view, level->schedule_ids[i], request_memory(why->request));
        Tocsin__OnCall on_call = schedule_on_call(why->view, level->schedule_ids[i], why->incident->created_at_ms);
        if (schedule != NULL && (on_call.user_id == user_id || is_in_rotation(schedule, user_id))) {
            standing->schedule = schedule;
            standing->on_call = on_call;
            return true;
        }
    }
    return false;
}

static struct standing stand(struct why *why, const Tocsin__EscalationPolicy *policy, uint64_t user_id)
{
    struct standing standing = {0};

    for (size_t i = 0; policy != NULL && i < policy->n_levels && standing.level == 0; i++) {
        if (stands_on(why, policy->levels[i], user_id, &standing)) {
            standing.level = (uint32_t)i + 1;
        }
    }
    return standing;
}

/* Why the escalation came no further than it did. */
static json_t *no_further(struct why *why, uint32_t level)
{
    const Tocsin__Incident *incident = why->incident;

    if (why->stopped != NULL) {
        return json_format(" Level %u was not reached. At %s: %s", level, time_text(why, why->stopped->at_ms), why->stopped->text);
    }
    if (incident->escalate_due_ms != 0) {
        return json_format(" Level %u was not reached yet: the next level is asked at %s.", level,
                           time_text(why, incident->escalate_due_ms));
    }
    return json_format(" Level %u was not reached.%s", level, is_low(why) ? " Low urgency does not escalate by time." : "");
}

static json_t *sentence_off_call(struct why *why, const struct standing *standing, uint64_t user_id)
{
    const Tocsin__OnCall *on_call = &standing->on_call;

    return json_format("%s was not on call in %s (level %u) when the incident began: %s was, by %s %u.", why_name(why, user_id),
                       schedule_called(standing->schedule), standing->level,
                       on_call->user_id != 0 ? why_name(why, on_call->user_id) : "nobody",
                       on_call->override_id != 0 ? "an override over revision" : "revision", on_call->revision);
}

static json_t *sentence_of_standing(struct why *why, uint64_t user_id)
{
    const Tocsin__EscalationPolicy *policy =
        escalation_policy_get(why->view, why->incident->escalation_policy_id, request_memory(why->request));
    struct standing standing = stand(why, policy, user_id);

    if (policy == NULL) {
        return json_string("");
    }
    if (standing.level == 0) {
        return json_format("%s is neither in escalation policy %s nor in its schedules, as they are now.",
                           why_name(why, user_id), policy->name);
    }
    if (standing.schedule != NULL && standing.on_call.user_id != user_id) {
        return sentence_off_call(why, &standing, user_id);
    }
    json_t *further = why->last_level == NULL || why->last_level->level < standing.level ? no_further(why, standing.level)
                                                                                          : json_string("");
    json_t *text = json_format("%s is on level %u of escalation policy %s%s%s, as it is now.%s", why_name(why, user_id),
                               standing.level, policy->name, standing.schedule != NULL ? " by schedule " : "",
                               standing.schedule != NULL ? schedule_called(standing.schedule) : "", json_string_value(further));
    json_decref(further);
    return text;
}

static json_t *sentence_unconcerned(struct why *why, uint64_t user_id)
{
    const Tocsin__LogEntry *first = why->first_level;
    json_t *standing = sentence_of_standing(why, user_id);
    json_t *text = first == NULL ? json_format("%s was not paged: nobody was ever assigned. %s", why_name(why, user_id),
                                               json_string_value(standing))
                                 : json_format("%s was not paged: was never assigned. %s At %s: %s", why_name(why, user_id),
                                               json_string_value(standing), time_text(why, first->at_ms), first->text);

    json_decref(standing);
    return text;
}

/* ---------------------------------------------------------------- who was asked */

static json_t *sentence_paged(struct why *why, const struct concerned *person)
{
    char rule[48] = "the defaults, for want of a rule", id[16], level[32] = "by hand", answered[64] = "";

    if (person->rule_id != 0) {
        id_format(person->rule_id, id);
        (void)snprintf(rule, sizeof rule, "notification rule %s", id);
    }
    if (person->level > 0) {
        (void)snprintf(level, sizeof level, "at level %u", person->level);
    }
    if (person->acknowledged_at_ms != 0) {
        (void)snprintf(answered, sizeof answered, " and acknowledged at %s", time_text(why, person->acknowledged_at_ms));
    }
    return json_format("%s was paged, %s,%s first by %s at %s, by %s%s.%s%s", why_name(why, person->user_id), level,
                       urgency_words(why), word_of(words_channel, (int)person->channel), time_text(why, person->first_sent_ms),
                       rule, answered, person->assigned_text != NULL ? " " : "",
                       person->assigned_text != NULL ? person->assigned_text : "");
}

static json_t *sentence_untold(struct why *why, const struct concerned *person)
{
    const char *name = why_name(why, person->user_id);

    if (why->stopped != NULL) {
        return json_format("%s was assigned at %s and not paged. At %s: %s", name, time_text(why, person->assigned_at_ms),
                           time_text(why, why->stopped->at_ms), why->stopped->text);
    }
    return json_format("%s was assigned at %s and not paged: the incident was acknowledged or assigned anew before any rule was due,"
                       " or it pages nobody.", name, time_text(why, person->assigned_at_ms));
}

json_t *why_sentence(struct why *why, const struct concerned *person)
{
    const char *name = why_name(why, person->user_id);

    if (person->first_sent_ms != 0) {
        return sentence_paged(why, person);
    }
    if (person->owed) {
        return json_format("%s is being paged: a page is owed and no provider has taken it yet.", name);
    }
    if (person->ahead_ms != 0) {
        return json_format("%s was not paged yet: the first rule is due at %s.", name, time_text(why, person->ahead_ms));
    }
    if (person->failed) {
        return json_format("%s was not reached: every page failed.", name);
    }
    if (person->untold_text != NULL) {
        return json_format("%s was not paged: %s", name, person->untold_text);
    }
    if (person->why_ended != TOCSIN__WHY__WHY_NONE) {
        return json_format("%s was not paged: it was not needed any more, because %s.", name, timeline_why(person->why_ended));
    }
    return person->assigned_at_ms == 0 ? sentence_unconcerned(why, person->user_id) : sentence_untold(why, person);
}
