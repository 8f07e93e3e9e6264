/*
 * The company's beginnings: people, then schedules, then policies, then services, then integrations; what does not need each other at
 * once.
 */
#include "tests/sim/clients/company.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELAYS_COUNT 4u

static const char *const names[PEOPLE_MAX] = {"Alice", "Bob", "Carol", "Dave", "Erin", "Frank", "Grace", "Heidi"};
static const char *const method_types[COMPANY_CHANNELS] = {"sms_contact_method", "phone_contact_method",
                                                           "push_notification_contact_method", "email_contact_method",
                                                           "webhook_contact_method"};

/* What one request of the set-up was about. */
struct step {
    struct company *company;
    unsigned at;    /* person, policy, service */
    unsigned stage; /* of a person: 0 is the user, then the contact methods, then the rules */
    unsigned timeout_s;
};

struct company *company_new(struct sim *sim, struct client *client, struct history *history, unsigned minute_ms)
{
    struct company *company = calloc(1, sizeof *company);

    if (company == NULL) {
        abort();
    }
    company->sim = sim;
    company->client = client;
    company->history = history;
    company->minute_ms = minute_ms;
    return company;
}

void company_free(struct company *company)
{
    free(company);
}

/* ---------------------------------------------------------------- for both files */

void company_ask(struct company *company, const char *method, char *target, char *body, bool refusable,
                 client_done done, void *context)
{
    const struct client_request request = {
        .method = method, .target = target, .body = body, .keyed = true, .refusable = refusable};

    client_ask(company->client, &request, done, context);
    free(target);
    free(body);
}

void company_take_id(const struct client_answer *answer, const char *name, char id[HISTORY_ID_SIZE])
{
    (void)snprintf(id, HISTORY_ID_SIZE, "%s", json_text_at(json_object_get(answer->json, name), "id"));
}

const char *company_method_type(enum company_channel channel)
{
    return method_types[channel];
}

/* A new address, unlike all before: "+41793000102" is Dave's third address, a voice number. */
void company_address(struct company *company, unsigned person, enum company_channel channel, struct method *method)
{
    struct person *who = &company->people[person];
    unsigned number = who->addresses_count;
    char *address = who->addresses[number % ADDRESSES_MAX];

    switch (channel) {
    case COMPANY_SMS:
    case COMPANY_VOICE:
        (void)snprintf(address, sizeof who->addresses[0], "+4179%u%03u%03u", channel, person, number);
        break;
    case COMPANY_PUSH:
        (void)snprintf(address, sizeof who->addresses[0], "pager-%u-%u", person, number);
        break;
    case COMPANY_EMAIL:
        (void)snprintf(address, sizeof who->addresses[0], "person%u.%u@people.example", person, number);
        break;
    case COMPANY_WEBHOOK:
        (void)snprintf(address, sizeof who->addresses[0], "https://hooks.people.example/%u/%u", person, number);
        break;
    case COMPANY_CHANNELS:
        abort();
    }
    who->addresses_count++;
    method->channel = channel;
    memcpy(method->address, address, sizeof method->address);
}

unsigned company_person_at(const struct company *company, const char *address)
{
    for (unsigned i = 0; i < company->people_count; i++) {
        const struct person *person = &company->people[i];
        for (unsigned j = 0; j < person->addresses_count && j < ADDRESSES_MAX; j++) {
            if (strcmp(person->addresses[j], address) == 0) {
                return i;
            }
        }
    }
    return PEOPLE_MAX;
}

unsigned company_some_integration(struct company *company)
{
    unsigned first =
        company->integrations_count > 0 ? (unsigned)sim_random(company->sim, company->integrations_count) : 0;

    for (unsigned i = 0; i < company->integrations_count; i++) {
        unsigned at = (first + i) % company->integrations_count;
        if (company->integrations[at].id[0] != '\0' && !company->integrations[at].gone) {
            return at;
        }
    }
    return INTEGRATIONS_MAX;
}

unsigned company_some_timeout_s(struct company *company)
{
    static const unsigned timeouts_s[] = {0, 0, 120, 300, 600, 1800};

    return timeouts_s[sim_random(company->sim, sizeof timeouts_s / sizeof *timeouts_s)];
}

/* People are drawn without regard to others, so some are on no level; or whoever is on call has it. */
static char *level_targets(struct company *company)
{
    unsigned first = (unsigned)sim_random(company->sim, company->people_count);
    unsigned second = (unsigned)sim_random(company->sim, company->people_count);

    if (sim_chance(company->sim, 300)) {
        return text_of("{\"id\":\"%s\",\"type\":\"schedule_reference\"}",
                       company->schedules[sim_random(company->sim, company->schedules_count)].id);
    }
    if (second == first || !sim_chance(company->sim, 300)) {
        return text_of("{\"id\":\"%s\",\"type\":\"user_reference\"}", company->people[first].id);
    }
    return text_of("{\"id\":\"%s\",\"type\":\"user_reference\"},{\"id\":\"%s\",\"type\":\"user_reference\"}",
                   company->people[first].id, company->people[second].id);
}

char *company_levels(struct company *company, unsigned levels)
{
    char *text = text_of("[");

    for (unsigned i = 0; i < levels; i++) {
        char *targets = level_targets(company);
        const char *turns = sim_chance(company->sim, 250) ? ",\"escalation_rule_assignment_strategy\":{\"type\":\"round_robin\"}" : "";
        char *more = text_of("%s%s{\"escalation_delay_in_minutes\":%u,\"targets\":[%s]%s}", text, i > 0 ? "," : "",
                             (unsigned)sim_between(company->sim, 1, sim_chance(company->sim, 200) ? 30 : 6), targets, turns);
        free(text);
        free(targets);
        text = more;
    }
    char *whole = text_of("%s]", text);
    free(text);
    return whole;
}

char *company_alert_rules(struct company *company, unsigned service)
{
    static const char *const groupings[] = {
        "null",
        "\"time\",\"config\":{\"timeout\":2}",
        "\"time\",\"config\":{\"timeout\":0}",
        "\"intelligent\",\"config\":{\"time_window\":300}",
        "\"content_based\",\"config\":{\"aggregate\":\"all\",\"fields\":[\"component\",\"severity\"],\"time_window\":600}",
        "\"content_based\",\"config\":{\"aggregate\":\"any\",\"fields\":[\"component\",\"group\"],\"time_window\":300}",
    };
    static const unsigned pauses_s[] = {0, 0, 120, 300};

    if (!company->services[service].gathers) {
        return text_of("%s", "");
    }
    unsigned pause_s = pauses_s[sim_random(company->sim, 4)];
    char *pause = pause_s > 0 ? text_of("{\"enabled\":true,\"timeout\":%u}", pause_s) : text_of("{\"enabled\":false}");
    char *rules = text_of(",\"alert_grouping_parameters\":{\"type\":%s},\"auto_pause_notifications_parameters\":%s",
                          groupings[sim_random(company->sim, sizeof groupings / sizeof *groupings)], pause);
    free(pause);
    return rules;
}

char *company_service_body(struct company *company, unsigned service, unsigned timeout_s, uint64_t revision)
{
    static const char *const urgencies[] = {"high", "high", "low", "severity_based"};
    static const unsigned resolve_s[] = {0, 0, 1800, 7200};
    const struct service *about = &company->services[service];

    char *rules = company_alert_rules(company, service);
    char *body = text_of("{\"service\":{\"type\":\"service\",\"name\":\"%s\",\"description\":\"revision %llu\","
                   "\"escalation_policy\":{\"id\":\"%s\",\"type\":\"escalation_policy_reference\"},"
                   "\"acknowledgement_timeout\":%u,\"auto_resolve_timeout\":%u,"
                   "\"incident_urgency_rule\":{\"type\":\"constant\",\"urgency\":\"%s\"}%s}}",
                   about->name, (unsigned long long)revision, company->policies[about->policy].id, timeout_s,
                   resolve_s[sim_random(company->sim, 4)], urgencies[sim_random(company->sim, 4)], rules);

    free(rules);
    return body;
}

/* ---------------------------------------------------------------- phases */

static void make_people(struct company *company);
static void make_policies(struct company *company);
static void make_services(struct company *company);
static void make_integrations(struct company *company);

static void begin_next(struct company *company)
{
    if (company->under_way > 0) {
        return;
    }
    if (company->people_count == 0) {
        make_people(company);
    } else if (company->schedules_count == 0) {
        company_make_schedules(company);
    } else if (company->policies_count == 0) {
        make_policies(company);
    } else if (company->services_count == 0) {
        make_services(company);
    } else if (company->integrations_count == 0) {
        make_integrations(company);
    } else {
        sim_tell(company->sim, "The company has %u people, %u schedules, %u escalation policies, %u services and %u integrations.",
                 company->people_count, company->schedules_count, company->policies_count, company->services_count, company->integrations_count);
        company->done(company->context);
    }
}

void company_step_done(struct company *company)
{
    company->under_way--;
    begin_next(company);
}

static struct step *step_begin(struct company *company, unsigned at)
{
    struct step *step = task_begin(company->client, sizeof *step);

    step->company = company;
    step->at = at;
    company->under_way++;
    return step;
}

static void step_end(struct step *step)
{
    struct company *company = step->company;

    task_end(company->client, step);
    company_step_done(company);
}

void company_set_up(struct company *company, void (*done)(void *context), void *context)
{
    company->done = done;
    company->context = context;
    begin_next(company);
}

/* ---------------------------------------------------------------- people */

static void draw_person(struct company *company, unsigned at)
{
    struct person *person = &company->people[at];

    person->name = names[at];
    (void)snprintf(person->email, sizeof person->email, "user%u@company.example", at);
    if (at > 0 && sim_chance(company->sim, 100)) {
        return; /* nobody can tell her anything: a level may be hers alone */
    }
    for (unsigned channel = 0; channel < COMPANY_CHANNELS; channel++) {
        if (sim_chance(company->sim, 550)) {
            company_address(company, at, (enum company_channel)channel, &person->methods[person->methods_count++]);
        }
    }
    if (person->methods_count == 0) {
        company_address(company, at, COMPANY_SMS, &person->methods[person->methods_count++]);
    }
    if (sim_chance(company->sim, 250)) {
        return; /* no rules: told by the defaults */
    }
    for (unsigned urgency = 0; urgency < 2; urgency++) {
        static const unsigned delays[DELAYS_COUNT] = {0, 1, 3, 10};
        unsigned count = (unsigned)sim_random(company->sim, DELAYS_COUNT);
        for (unsigned i = 0; i < count; i++) {
            person->rules[person->rules_count++] =
                (struct rule){.method = (unsigned)sim_random(company->sim, person->methods_count),
                              .delay_minutes = delays[i],
                              .high = urgency == 0};
        }
    }
}

static void next_of_person(struct step *step);

static void on_part_of_person(void *context, const struct client_answer *answer)
{
    struct step *step = context;
    struct person *person = &step->company->people[step->at];

    if (step->stage == 0) {
        company_take_id(answer, "user", person->id);
        history_object_new(step->company->history, person->id);
    } else if (step->stage <= person->methods_count) {
        company_take_id(answer, "contact_method", person->methods[step->stage - 1].id);
    } else {
        company_take_id(answer, "notification_rule", person->rules[step->stage - 1 - person->methods_count].id);
    }
    step->stage++;
    next_of_person(step);
}

static void next_of_person(struct step *step)
{
    struct company *company = step->company;
    struct person *person = &company->people[step->at];

    if (step->stage == 0) {
        company_ask(
            company, "POST", text_of("/users"),
            text_of("{\"user\":{\"type\":\"user\",\"name\":\"%s\",\"email\":\"%s\"}}", person->name, person->email),
            false, on_part_of_person, step);
    } else if (step->stage <= person->methods_count) {
        const struct method *method = &person->methods[step->stage - 1];
        company_ask(company, "POST", text_of("/users/%s/contact_methods", person->id),
                    text_of("{\"contact_method\":{\"type\":\"%s\",\"label\":\"Pager\",\"address\":\"%s\"}}",
                            method_types[method->channel], method->address),
                    false, on_part_of_person, step);
    } else if (step->stage <= person->methods_count + person->rules_count) {
        const struct rule *rule = &person->rules[step->stage - 1 - person->methods_count];
        company_ask(company, "POST", text_of("/users/%s/notification_rules", person->id),
                    text_of("{\"notification_rule\":{\"type\":\"assignment_notification_rule\",\"urgency\":\"%s\","
                            "\"start_delay_in_minutes\":%u,\"contact_method\":{\"id\":\"%s\",\"type\":\"%s\"}}}",
                            rule->high ? "high" : "low", rule->delay_minutes, person->methods[rule->method].id,
                            method_types[person->methods[rule->method].channel]),
                    false, on_part_of_person, step);
    } else {
        step_end(step);
    }
}

static void make_people(struct company *company)
{
    company->people_count = (unsigned)sim_between(company->sim, 3, PEOPLE_MAX);
    for (unsigned i = 0; i < company->people_count; i++) {
        draw_person(company, i);
        next_of_person(step_begin(company, i));
    }
}

/* ---------------------------------------------------------------- policies */

static void on_policy(void *context, const struct client_answer *answer)
{
    struct step *step = context;
    struct policy *policy = &step->company->policies[step->at];

    company_take_id(answer, "escalation_policy", policy->id);
    history_object_new(step->company->history, policy->id);
    step_end(step);
}

static void make_policies(struct company *company)
{
    company->policies_count = (unsigned)sim_between(company->sim, 1, 4);
    for (unsigned i = 0; i < company->policies_count; i++) {
        struct policy *policy = &company->policies[i];
        (void)snprintf(policy->name, sizeof policy->name, "Policy %u", i);
        policy->levels = (unsigned)sim_between(company->sim, 1, LEVELS_MAX);
        char *levels = company_levels(company, policy->levels);
        company_ask(company, "POST", text_of("/escalation_policies"),
                    text_of("{\"escalation_policy\":{\"type\":\"escalation_policy\",\"name\":\"%s\",\"num_loops\":%u,"
                            "\"escalate_low_urgency\":%s,\"escalation_rules\":%s}}",
                            policy->name, (unsigned)sim_random(company->sim, 4), i % 2 == 0 ? "false" : "true", levels),
                    false, on_policy, step_begin(company, i));
        free(levels);
    }
}

/* ---------------------------------------------------------------- services */

static void on_service(void *context, const struct client_answer *answer)
{
    struct step *step = context;
    struct company *company = step->company;
    struct service *service = &company->services[step->at];

    company_take_id(answer, "service", service->id);
    history_object_new(company->history, service->id);
    if (service->gathers) {
        history_service_gathers(company->history, service->id);
    }
    history_service_timeout(company->history, service->id, (uint64_t)step->timeout_s * company->minute_ms / 60);
    step_end(step);
}

static void make_services(struct company *company)
{
    company->services_count = (unsigned)sim_between(company->sim, 2, 6);
    for (unsigned i = 0; i < company->services_count; i++) {
        struct service *service = &company->services[i];
        (void)snprintf(service->name, sizeof service->name, "Service %u", i);
        service->policy = (unsigned)sim_random(company->sim, company->policies_count);
        service->gathers = sim_chance(company->sim, 300);
        struct step *step = step_begin(company, i);
        step->timeout_s = company_some_timeout_s(company);
        company_ask(company, "POST", text_of("/services"), company_service_body(company, i, step->timeout_s, 0), false,
                    on_service, step);
    }
}

/* ---------------------------------------------------------------- integrations */

struct integrating {
    struct company *company;
    unsigned at;
    bool setting_up;
};

static void on_integration(void *context, const struct client_answer *answer)
{
    struct integrating *integrating = context;
    struct company *company = integrating->company;
    struct integration *integration = &company->integrations[integrating->at];
    bool setting_up = integrating->setting_up;

    company_take_id(answer, "integration", integration->id);
    (void)snprintf(integration->key, sizeof integration->key, "%s",
                   json_text_at(json_object_get(answer->json, "integration"), "integration_key"));
    task_end(company->client, integrating);
    if (setting_up) {
        company->under_way--;
        begin_next(company);
    }
}

void company_add_integration(struct company *company, unsigned service, bool setting_up)
{
    assert(company->integrations_count < INTEGRATIONS_MAX);
    unsigned at = company->integrations_count++;
    struct integrating *integrating = task_begin(company->client, sizeof *integrating);

    *integrating = (struct integrating){company, at, setting_up};
    company->integrations[at] = (struct integration){.service = service};
    company->under_way += setting_up;
    company_ask(
        company, "POST", text_of("/services/%s/integrations", company->services[service].id),
        text_of("{\"integration\":{\"type\":\"events_api_v2_inbound_integration\",\"name\":\"Source %u\"}}", at), false,
        on_integration, integrating);
}

static void make_integrations(struct company *company)
{
    for (unsigned i = 0; i < company->services_count; i++) {
        unsigned count = (unsigned)sim_between(company->sim, 1, 2);
        for (unsigned j = 0; j < count; j++) {
            company_add_integration(company, i, true);
        }
    }
}
