/* The model's picture of the company: people and how to reach them, services, policies, guardians. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_internal.h"

bool model_given(bool creation, uint64_t fields, unsigned number)
{
    return creation || (fields >> number & 1) != 0;
}

static void text_set(char **text, const char *value)
{
    free(*text);
    *text = model_copy(value);
}

/* ---------------------------------------------------------------- found by linear search */

#define FIND(model, list, test)                                                                                        \
    for (size_t i = 0; i < (model)->list.count; i++) {                                                                 \
        if (test) {                                                                                                    \
            return &(model)->list.items[i];                                                                            \
        }                                                                                                              \
    }                                                                                                                  \
    return NULL

struct person *model_person(const struct model *model, uint64_t id)
{
    FIND(model, people, model->people.items[i].id == id);
}

struct way *model_way(const struct model *model, uint64_t person_id, uint64_t id)
{
    FIND(model, ways, model->ways.items[i].id == id && model->ways.items[i].person_id == person_id);
}

static struct rule *rule_find(const struct model *model, uint64_t person_id, uint64_t id)
{
    FIND(model, rules, model->rules.items[i].id == id && model->rules.items[i].person_id == person_id);
}

struct service *model_service(const struct model *model, uint64_t id)
{
    FIND(model, services, model->services.items[i].id == id);
}

struct source *model_source(const struct model *model, const char *key)
{
    FIND(model, sources, strcmp(model->sources.items[i].key, key) == 0);
}

struct policy *model_policy(const struct model *model, uint64_t id)
{
    for (size_t i = 0; i < model->policies.count; i++) {
        if (model->policies.items[i]->id == id) {
            return model->policies.items[i];
        }
    }
    return NULL;
}

const char *model_person_name(const struct model *model, uint64_t id)
{
    const struct person *person = model_person(model, id);
    return person != NULL ? person->name : "somebody who is gone";
}

/* ---------------------------------------------------------------- people */

static void user_put(struct model *model, const Tocsin__UserPut *put, const Tocsin__Reply *reply)
{
    bool creation = put->id == 0;
    struct person *person = model_person(model, put->id);
    bool lawful = put->user != NULL && (creation || person != NULL);
    for (size_t i = 0; lawful && model_given(creation, put->fields, 3) && i < model->people.count; i++) {
        lawful =
            model->people.items[i].id == put->id || strcasecmp(model->people.items[i].email, put->user->email) != 0;
    }
    if (!model_accepted(model, reply, lawful, "a user") || !lawful) {
        return;
    }
    if (creation) {
        person = list_add(&model->people);
        person->id = model_named(reply);
    }
    if (model_given(creation, put->fields, 2)) {
        text_set(&person->name, put->user->name);
    }
    if (model_given(creation, put->fields, 3)) {
        text_set(&person->email, put->user->email);
    }
}

static bool is_target(const struct policy *policy, uint64_t person_id)
{
    for (unsigned l = 0; l < policy->levels_count; l++) {
        for (unsigned p = 0; p < policy->levels[l].people_count; p++) {
            if (policy->levels[l].people[p] == person_id) {
                return true;
            }
        }
    }
    return false;
}

/* Until its entry ends it is known what the way was: an earlier command of the entry may have used it. */
static void way_forget(struct model *model, const struct way *way)
{
    *list_add(&model->former_ways) = *way;
}

bool model_way_leads_to(const struct model *model, uint64_t person_id, uint64_t id, const char *address)
{
    const struct way *way = model_way(model, person_id, id);
    bool found = way != NULL && strcmp(way->address, address) == 0;
    for (size_t i = 0; !found && i < model->former_ways.count; i++) {
        way = &model->former_ways.items[i];
        found = way->id == id && way->person_id == person_id && strcmp(way->address, address) == 0;
    }
    return found;
}

void model_former_ways_end(struct model *model)
{
    for (size_t i = 0; i < model->former_ways.count; i++) {
        free(model->former_ways.items[i].address);
    }
    model->former_ways.count = 0;
}

static void person_remove(struct model *model, uint64_t id)
{
    for (size_t i = model->rules.count; i-- > 0;) {
        if (model->rules.items[i].person_id == id) {
            list_remove(&model->rules, i);
        }
    }
    for (size_t i = model->ways.count; i-- > 0;) {
        if (model->ways.items[i].person_id == id) {
            way_forget(model, &model->ways.items[i]);
            list_remove(&model->ways, i);
        }
    }
    struct person *person = model_person(model, id);
    free(person->name);
    free(person->email);
    list_remove(&model->people, (size_t)(person - model->people.items));
}

/* Somebody whom a policy would tell stays. */
static void user_delete(struct model *model, const Tocsin__UserDelete *delete, const Tocsin__Reply *reply)
{
    bool lawful = model_person(model, delete->id) != NULL && !model_schedules_need(model, delete->id);
    for (size_t i = 0; lawful && i < model->policies.count; i++) {
        lawful = !is_target(model->policies.items[i], delete->id);
    }
    if (model_accepted(model, reply, lawful, "the deletion of a user") && lawful) {
        model_incident_person_deleted(model, delete->id);
        person_remove(model, delete->id);
    }
}

/* ---------------------------------------------------------------- ways to reach them */

/* A telephone number has a country: North America's when nothing was said. */
static uint32_t country_of(Tocsin__Channel channel, uint32_t country_code)
{
    bool telephone = channel == TOCSIN__CHANNEL__CHANNEL_SMS || channel == TOCSIN__CHANNEL__CHANNEL_VOICE;
    return !telephone ? 0 : country_code == 0 ? 1 : country_code;
}

static void contact_method_put(struct model *model, const Tocsin__ContactMethodPut *put, const Tocsin__Reply *reply)
{
    const Tocsin__ContactMethod *asked = put->contact_method;
    bool creation = put->id == 0;
    struct way *old = asked != NULL ? model_way(model, asked->user_id, put->id) : NULL;
    bool lawful = asked != NULL && model_person(model, asked->user_id) != NULL && (creation || old != NULL);
    struct way wanted = {0};
    if (lawful) {
        wanted = creation ? (struct way){.person_id = asked->user_id} : *old;
        wanted.channel = model_given(creation, put->fields, 3) ? asked->channel : wanted.channel;
        wanted.address = model_given(creation, put->fields, 5) ? asked->address : wanted.address;
        wanted.country_code = model_given(creation, put->fields, 6) ? asked->country_code : wanted.country_code;
        wanted.country_code = country_of(wanted.channel, wanted.country_code);
        lawful = creation || wanted.channel == old->channel;
    }
    for (size_t i = 0; lawful && i < model->ways.count; i++) {
        const struct way *other = &model->ways.items[i];
        lawful = other == old || other->person_id != wanted.person_id || other->channel != wanted.channel ||
                 other->country_code != wanted.country_code || strcmp(other->address, wanted.address) != 0;
    }
    if (!model_accepted(model, reply, lawful, "a contact method") || !lawful) {
        return;
    }
    wanted.address = model_copy(wanted.address);
    if (creation) {
        old = list_add(&model->ways);
        wanted.id = model_named(reply);
    } else {
        way_forget(model, old);
    }
    *old = wanted;
}

/* The rules that use it go with it. What is owed by it is still tried. */
static void contact_method_delete(struct model *model, const Tocsin__ContactMethodDelete *delete,
                                  const Tocsin__Reply *reply)
{
    struct way *way = model_way(model, delete->user_id, delete->id);
    if (!model_accepted(model, reply, way != NULL, "the deletion of a contact method") || way == NULL) {
        return;
    }
    for (size_t i = model->rules.count; i-- > 0;) {
        if (model->rules.items[i].way_id == delete->id) {
            list_remove(&model->rules, i);
        }
    }
    way_forget(model, way);
    list_remove(&model->ways, (size_t)(way - model->ways.items));
}

static void notification_rule_put(struct model *model, const Tocsin__NotificationRulePut *put,
                                  const Tocsin__Reply *reply)
{
    const Tocsin__NotificationRule *asked = put->notification_rule;
    bool creation = put->id == 0;
    struct rule *old = asked != NULL ? rule_find(model, asked->user_id, put->id) : NULL;
    bool lawful = asked != NULL && model_person(model, asked->user_id) != NULL && (creation || old != NULL);
    struct rule wanted = {0};
    if (lawful) {
        wanted = creation ? (struct rule){.person_id = asked->user_id} : *old;
        wanted.way_id = model_given(creation, put->fields, 3) ? asked->contact_method_id : wanted.way_id;
        wanted.low = model_given(creation, put->fields, 4) ? asked->urgency == TOCSIN__URGENCY__URGENCY_LOW : wanted.low;
        wanted.delay_minutes = model_given(creation, put->fields, 5) ? asked->start_delay_minutes : wanted.delay_minutes;
        lawful = model_way(model, asked->user_id, wanted.way_id) != NULL;
    }
    for (size_t i = 0; lawful && i < model->rules.count; i++) {
        const struct rule *other = &model->rules.items[i];
        lawful = other == old || other->person_id != wanted.person_id || other->way_id != wanted.way_id ||
                 other->low != wanted.low || other->delay_minutes != wanted.delay_minutes;
    }
    if (!model_accepted(model, reply, lawful, "a notification rule") || !lawful) {
        return;
    }
    if (creation) {
        old = list_add(&model->rules);
        wanted.id = model_named(reply);
    }
    *old = wanted;
}

static void notification_rule_delete(struct model *model, const Tocsin__NotificationRuleDelete *delete,
                                     const Tocsin__Reply *reply)
{
    struct rule *rule = rule_find(model, delete->user_id, delete->id);
    if (model_accepted(model, reply, rule != NULL, "the deletion of a notification rule") && rule != NULL) {
        list_remove(&model->rules, (size_t)(rule - model->rules.items));
    }
}

/* ---------------------------------------------------------------- services and their sources */

static void service_put(struct model *model, const Tocsin__ServicePut *put, const Tocsin__Reply *reply)
{
    const Tocsin__Service *asked = put->service;
    bool creation = put->id == 0;
    struct service *service = model_service(model, put->id);
    bool lawful = asked != NULL && (creation || service != NULL);
    for (size_t i = 0; lawful && model_given(creation, put->fields, 2) && i < model->services.count; i++) {
        lawful = model->services.items[i].id == put->id || strcmp(model->services.items[i].name, asked->name) != 0;
    }
    if (lawful && model_given(creation, put->fields, 4)) {
        lawful = model_policy(model, asked->escalation_policy_id) != NULL;
    }
    if (!model_accepted(model, reply, lawful, "a service") || !lawful) {
        return;
    }
    if (creation) {
        service = list_add(&model->services);
        service->id = model_named(reply);
    }
    if (model_given(creation, put->fields, 2)) {
        text_set(&service->name, asked->name);
    }
    service->policy_id = model_given(creation, put->fields, 4) ? asked->escalation_policy_id : service->policy_id;
    service->urgency = model_given(creation, put->fields, 5) ? asked->urgency : service->urgency;
    if (model_given(creation, put->fields, 6)) {
        bool said = asked->acknowledgement_timeout_s != 0 || (put->fields >> 6 & 1) != 0;
        service->acknowledgement_timeout_s =
            said ? asked->acknowledgement_timeout_s : DEFAULT_ACKNOWLEDGEMENT_TIMEOUT_S;
    }
    if (model_given(creation, put->fields, 7)) {
        service->auto_resolve_timeout_s = asked->auto_resolve_timeout_s;
    }
    bool was_disabled = !creation && service->disabled;
    service->disabled = model_given(creation, put->fields, 11) ? asked->disabled : service->disabled;
    service->pause_s = model_given(creation, put->fields, 30) ? asked->auto_pause_s : service->pause_s;
    if (model_given(creation, put->fields, 26)) {
        model_grouping_set(service, asked->alert_grouping);
    }
    if (was_disabled && !service->disabled) {
        model_heartbeats_service_enabled(model, service->id);
    }
}

static void service_delete(struct model *model, const Tocsin__ServiceDelete *delete, const Tocsin__Reply *reply)
{
    struct service *service = model_service(model, delete->id);
    bool lawful = service != NULL && !model_service_has_heartbeats(model, delete->id);
    for (size_t i = 0; lawful && i < model->incidents.count; i++) {
        const struct incident *incident = model->incidents.items[i];
        lawful = incident->service_id != delete->id || incident->status == RESOLVED;
    }
    if (!model_accepted(model, reply, lawful, "the deletion of a service") || !lawful) {
        return;
    }
    for (size_t i = model->sources.count; i-- > 0;) {
        if (model->sources.items[i].service_id == delete->id) {
            free(model->sources.items[i].key);
            list_remove(&model->sources, i);
        }
    }
    free(service->name);
    model_grouping_set(service, NULL);
    list_remove(&model->services, (size_t)(service - model->services.items));
}

static void integration_put(struct model *model, const Tocsin__IntegrationPut *put, const Tocsin__Reply *reply)
{
    const Tocsin__Integration *asked = put->integration;
    bool creation = put->id == 0;
    bool lawful = asked != NULL && model_service(model, asked->service_id) != NULL;
    bool found = creation;
    for (size_t i = 0; lawful && i < model->sources.count; i++) {
        const struct source *source = &model->sources.items[i];
        bool same = source->id == put->id && source->service_id == asked->service_id;
        found = found || same;
        bool same_key = strcmp(source->key, asked->key) == 0;
        lawful = same ? same_key || !model_given(creation, put->fields, 5) : !creation || !same_key;
    }
    if (!model_accepted(model, reply, lawful && found, "an integration") || !lawful || !creation) {
        return;
    }
    struct source *source = list_add(&model->sources);
    source->id = model_named(reply);
    source->service_id = asked->service_id;
    source->key = model_copy(asked->key);
}

/* Its alerts stay open. */
static void integration_delete(struct model *model, const Tocsin__IntegrationDelete *delete, const Tocsin__Reply *reply)
{
    size_t i = 0;
    while (i < model->sources.count &&
           (model->sources.items[i].id != delete->id || model->sources.items[i].service_id != delete->service_id)) {
        i++;
    }
    bool lawful = i < model->sources.count;
    if (model_accepted(model, reply, lawful, "the deletion of an integration") && lawful) {
        free(model->sources.items[i].key);
        list_remove(&model->sources, i);
    }
}

/* ---------------------------------------------------------------- policies */

static bool levels_are_lawful(struct model *model, const Tocsin__EscalationPolicy *asked)
{
    bool lawful = asked->n_levels > 0;
    for (size_t l = 0; lawful && l < asked->n_levels; l++) {
        const Tocsin__EscalationLevel *level = asked->levels[l];
        lawful = level->n_user_ids + level->n_schedule_ids > 0;
        for (size_t s = 0; lawful && s < level->n_schedule_ids; s++) {
            lawful = model_schedule_is_known(model, level->schedule_ids[s]);
        }
        for (size_t p = 0; lawful && p < level->n_user_ids; p++) {
            lawful = model_person(model, level->user_ids[p]) != NULL;
        }
    }
    return lawful;
}

bool model_policies_name_schedule(const struct model *model, uint64_t schedule_id)
{
    for (size_t i = 0; i < model->policies.count; i++) {
        const struct policy *policy = model->policies.items[i];
        for (unsigned l = 0; l < policy->levels_count; l++) {
            for (unsigned s = 0; s < policy->levels[l].schedules_count; s++) {
                if (policy->levels[l].schedules[s] == schedule_id) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* A running escalation looks its policy up at each step, so it goes on by what is written here then. */
static void levels_set(struct policy *policy, const Tocsin__EscalationPolicy *asked)
{
    policy->levels_count = 0;
    for (size_t l = 0; l < asked->n_levels && l < MODEL_LEVELS; l++) {
        const Tocsin__EscalationLevel *level = asked->levels[l];
        unsigned count = 0;
        for (size_t p = 0; p < level->n_user_ids && count < MODEL_PEOPLE_PER_LEVEL; p++) {
            bool known = false;
            for (unsigned before = 0; before < count; before++) {
                known = known || policy->levels[l].people[before] == level->user_ids[p];
            }
            if (!known) {
                policy->levels[l].people[count++] = level->user_ids[p];
            }
        }
        policy->levels[l].people_count = count;
        policy->levels[l].schedules_count = 0;
        for (size_t s = 0; s < level->n_schedule_ids && s < MODEL_PEOPLE_PER_LEVEL; s++) {
            policy->levels[l].schedules[policy->levels[l].schedules_count++] = level->schedule_ids[s];
        }
        policy->levels[l].by_turns = level->round_robin;
        for (size_t s = 0; s < level->n_schedule_ids && s < MODEL_PEOPLE_PER_LEVEL; s++) {
            policy->levels[l].schedule_places[s] = s < level->n_schedule_places ? level->schedule_places[s] : UINT32_MAX;
        }
        policy->levels[l].delay_minutes =
            level->delay_minutes != 0 ? level->delay_minutes : DEFAULT_LEVEL_DELAY_MINUTES;
        policy->levels_count++;
    }
}

static void escalation_policy_put(struct model *model, const Tocsin__EscalationPolicyPut *put,
                                  const Tocsin__Reply *reply)
{
    const Tocsin__EscalationPolicy *asked = put->escalation_policy;
    bool creation = put->id == 0;
    struct policy *policy = model_policy(model, put->id);
    bool lawful = asked != NULL && (creation || policy != NULL);
    for (size_t i = 0; lawful && model_given(creation, put->fields, 2) && i < model->policies.count; i++) {
        lawful = model->policies.items[i]->id == put->id || strcmp(model->policies.items[i]->name, asked->name) != 0;
    }
    if (lawful && model_given(creation, put->fields, 5)) {
        lawful = levels_are_lawful(model, asked);
    }
    if (!model_accepted(model, reply, lawful, "an escalation policy") || !lawful) {
        return;
    }
    if (creation) {
        policy = calloc(1, sizeof *policy);
        if (policy == NULL) {
            abort();
        }
        policy->id = model_named(reply);
        *list_add(&model->policies) = policy;
    }
    if (model_given(creation, put->fields, 2)) {
        text_set(&policy->name, asked->name);
    }
    if (model_given(creation, put->fields, 4)) {
        bool said = asked->num_loops != 0 || (put->fields >> 4 & 1) != 0;
        policy->repeats = said ? asked->num_loops : DEFAULT_NUM_LOOPS;
    }
    policy->low_moves = model_given(creation, put->fields, 20) ? asked->escalate_low_urgency : policy->low_moves;
    if (model_given(creation, put->fields, 5)) {
        levels_set(policy, asked);
    }
}

static void policy_free(struct policy *policy)
{
    free(policy->name);
    free(policy);
}

static void escalation_policy_delete(struct model *model, const Tocsin__EscalationPolicyDelete *delete,
                                     const Tocsin__Reply *reply)
{
    bool lawful = model_policy(model, delete->id) != NULL;
    for (size_t i = 0; lawful && i < model->services.count; i++) {
        lawful = model->services.items[i].policy_id != delete->id;
    }
    for (size_t i = 0; lawful && i < model->incidents.count; i++) {
        const struct incident *incident = model->incidents.items[i];
        lawful = incident->status == RESOLVED || incident->policy_id != delete->id;
    }
    if (!model_accepted(model, reply, lawful, "the deletion of an escalation policy") || !lawful) {
        return;
    }
    for (size_t i = 0; i < model->policies.count; i++) {
        if (model->policies.items[i]->id == delete->id) {
            policy_free(model->policies.items[i]);
            list_remove(&model->policies, i);
            return;
        }
    }
}

/* ---------------------------------------------------------------- settings */

static void guardians_forget(struct model *model)
{
    for (size_t i = 0; i < model->guardians.count; i++) {
        free(model->guardians.items[i].guardian);
        free(model->guardians.items[i].address);
    }
    model->guardians.count = 0;
}

static void guardians_set(struct model *model, const Tocsin__Settings *settings)
{
    guardians_forget(model);
    for (size_t g = 0; g < settings->n_guardians; g++) {
        const Tocsin__Guardian *guardian = settings->guardians[g];
        for (size_t c = 0; c < guardian->n_contact_methods; c++) {
            const Tocsin__ContactMethod *method = guardian->contact_methods[c];
            struct way *way = list_add(&model->guardians);
            way->guardian = model_copy(guardian->name);
            way->channel = method->channel;
            way->address = model_copy(method->address);
            way->country_code = country_of(method->channel, method->country_code);
        }
    }
}

static void settings_put(struct model *model, const Tocsin__SettingsPut *put, const Tocsin__Reply *reply)
{
    if (!model_accepted(model, reply, put->settings != NULL, "settings") || put->settings == NULL) {
        return;
    }
    if (model_given(false, put->fields, 2)) {
        model->minute_ms = put->settings->minute_ms;
    }
    if (model_given(false, put->fields, 5)) {
        guardians_set(model, put->settings);
    }
}

/* ---------------------------------------------------------------- */

#define COMPANY_COMMANDS(each)                                                                                         \
    each(USER_PUT, user_put) each(USER_DELETE, user_delete) each(CONTACT_METHOD_PUT, contact_method_put)               \
        each(CONTACT_METHOD_DELETE, contact_method_delete) each(NOTIFICATION_RULE_PUT, notification_rule_put)          \
            each(NOTIFICATION_RULE_DELETE, notification_rule_delete) each(SERVICE_PUT, service_put)                    \
                each(SERVICE_DELETE, service_delete) each(INTEGRATION_PUT, integration_put)                            \
                    each(INTEGRATION_DELETE, integration_delete) each(ESCALATION_POLICY_PUT, escalation_policy_put)    \
                        each(ESCALATION_POLICY_DELETE, escalation_policy_delete) each(SETTINGS_PUT, settings_put)

void model_company_command(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
#define HEAR(NAME, name)                                                                                               \
    case TOCSIN__COMMAND__BODY_##NAME:                                                                                 \
        name(model, command->name, reply);                                                                             \
        return;
    switch (command->body_case) {
        COMPANY_COMMANDS(HEAR)
    default:
        model_broken(model, "entry %" PRIu64 ": the model does not know command %d", model->index,
                     (int)command->body_case);
    }
#undef HEAR
}

void model_company_forget(struct model *model)
{
    for (size_t i = 0; i < model->people.count; i++) {
        free(model->people.items[i].name);
        free(model->people.items[i].email);
    }
    for (size_t i = 0; i < model->ways.count; i++) {
        free(model->ways.items[i].address);
    }
    for (size_t i = 0; i < model->policies.count; i++) {
        policy_free(model->policies.items[i]);
    }
    for (size_t i = 0; i < model->services.count; i++) {
        free(model->services.items[i].name);
        model_grouping_set(&model->services.items[i], NULL);
    }
    for (size_t i = 0; i < model->sources.count; i++) {
        free(model->sources.items[i].key);
    }
    guardians_forget(model);
    free(model->people.items);
    free(model->ways.items);
    model_former_ways_end(model);
    free(model->former_ways.items);
    free(model->rules.items);
    free(model->policies.items);
    free(model->services.items);
    free(model->sources.items);
    free(model->guardians.items);
    model_schedules_forget(model);
    free(model->heartbeats.items);
    free(model->gaps.items);
}
