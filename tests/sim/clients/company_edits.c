/*
 * The company changes while incidents are open. One edit at a time for each object: the next waits until the last is
 * answered, so that revisions follow each other in true order.
 */
#include "tests/sim/clients/company.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VISIT_LEAST_MINUTES 1u
#define VISIT_MOST_MINUTES 15u

struct edit {
    struct company *company;
    unsigned at, place; /* of the object, and within it */
    uint64_t revision;
    bool bad;             /* it must be refused */
    struct method method; /* as it will be */
};

static struct edit *edit_begin(struct company *company, unsigned at)
{
    struct edit *edit = task_begin(company->client, sizeof *edit);

    edit->company = company;
    edit->at = at;
    return edit;
}

/* An edit that must be refused and is not breaks P5, and the other way round. */
static void end_revision(const struct edit *edit, const char *id, const struct client_answer *answer)
{
    struct history *history = edit->company->history;

    if (answer_ok(answer) == edit->bad) {
        history_violation(history, "P5: node %" PRIu64 " answers %u to an edit of %s that is %s", answer->node,
                          answer->status, id, edit->bad ? "wrong" : "right");
    } else if (edit->bad) {
        history_object_refused(history, id, edit->revision);
        sim_count(edit->company->sim, "edits refused", 1);
    } else {
        history_object_written(history, id, edit->revision);
        sim_count(edit->company->sim, "edits", 1);
    }
}

/* ---------------------------------------------------------------- users */

static void on_user_edited(void *context, const struct client_answer *answer)
{
    struct edit *edit = context;
    struct person *person = &edit->company->people[edit->at];

    end_revision(edit, person->id, answer);
    person->busy = false;
    task_end(edit->company->client, edit);
}

static void edit_user(struct company *company)
{
    unsigned at = (unsigned)sim_random(company->sim, company->people_count);
    struct person *person = &company->people[at];

    if (person->busy) {
        return;
    }
    person->busy = true;
    struct edit *edit = edit_begin(company, at);
    edit->bad = sim_chance(company->sim, 100);
    edit->revision = history_object_writing(company->history, person->id);
    company_ask(company, "PUT", text_of("/users/%s", person->id),
                text_of("{\"user\":{\"job_title\":\"revision %" PRIu64 "\"%s}}", edit->revision,
                        edit->bad ? ",\"email\":\"nowhere\"" : ""),
                edit->bad, on_user_edited, edit);
}

/* ---------------------------------------------------------------- policies */

static void on_policy_edited(void *context, const struct client_answer *answer)
{
    struct edit *edit = context;
    struct policy *policy = &edit->company->policies[edit->at];

    end_revision(edit, policy->id, answer);
    if (answer_ok(answer)) {
        policy->levels = edit->place;
    }
    policy->busy = false;
    task_end(edit->company->client, edit);
}

static void edit_policy(struct company *company)
{
    unsigned at = (unsigned)sim_random(company->sim, company->policies_count);
    struct policy *policy = &company->policies[at];

    if (policy->busy) {
        return;
    }
    policy->busy = true;
    struct edit *edit = edit_begin(company, at);
    edit->place = (unsigned)sim_between(company->sim, 1, LEVELS_MAX);
    edit->bad = sim_chance(company->sim, 150);
    edit->revision = history_object_writing(company->history, policy->id);
    char *levels = edit->bad ? text_of("[]") : company_levels(company, edit->place);
    sim_tell(company->sim, "%s is edited while it runs%s.", policy->name, edit->bad ? ", wrongly" : "");
    company_ask(company, "PUT", text_of("/escalation_policies/%s", policy->id),
                text_of("{\"escalation_policy\":{\"description\":\"revision %" PRIu64 "\",\"num_loops\":%u,"
                        "\"escalation_rules\":%s}}",
                        edit->revision, (unsigned)sim_random(company->sim, 4), levels),
                edit->bad, on_policy_edited, edit);
    free(levels);
}

/* ---------------------------------------------------------------- services */

static void on_service_edited(void *context, const struct client_answer *answer)
{
    struct edit *edit = context;
    struct service *service = &edit->company->services[edit->at];

    end_revision(edit, service->id, answer);
    service->busy = false;
    task_end(edit->company->client, edit);
}

static void edit_service(struct company *company)
{
    unsigned at = (unsigned)sim_random(company->sim, company->services_count);
    struct service *service = &company->services[at];

    if (service->busy) {
        return;
    }
    service->busy = true;
    struct edit *edit = edit_begin(company, at);
    unsigned timeout_s = company_some_timeout_s(company);
    service->policy = (unsigned)sim_random(company->sim, company->policies_count);
    edit->revision = history_object_writing(company->history, service->id);
    history_service_timeout(company->history, service->id, (uint64_t)timeout_s * company->minute_ms / 60);
    company_ask(company, "PUT", text_of("/services/%s", service->id),
                company_service_body(company, at, timeout_s, edit->revision), false, on_service_edited, edit);
}

/* Events of a service that is disabled are answered, and dropped. */
static void switch_service(struct company *company)
{
    unsigned at = company->services_count - 1; /* always the same one: the others' events must not be lost */
    struct service *service = &company->services[at];

    if (service->busy) {
        return;
    }
    service->busy = true;
    service->disabled = !service->disabled;
    service->disabled_ever = true;
    struct edit *edit = edit_begin(company, at);
    edit->revision = history_object_writing(company->history, service->id);
    sim_tell(company->sim, "%s is %s.", service->name, service->disabled ? "disabled" : "enabled again");
    company_ask(company, "PUT", text_of("/services/%s", service->id),
                text_of("{\"service\":{\"description\":\"revision %" PRIu64 "\",\"status\":\"%s\"}}", edit->revision,
                        service->disabled ? "disabled" : "active"),
                false, on_service_edited, edit);
}

/* ---------------------------------------------------------------- contact methods */

static void on_method_edited(void *context, const struct client_answer *answer)
{
    struct edit *edit = context;
    struct person *person = &edit->company->people[edit->at];
    struct method *method = &person->methods[edit->place];

    if (answer->status == 201) {
        *method = edit->method;
        company_take_id(answer, "contact_method", method->id);
    } else if (answer->status == 200) {
        *method = edit->method;
    }
    sim_count(edit->company->sim, "edits", 1);
    person->busy = false;
    task_end(edit->company->client, edit);
}

/* A place without a method; METHODS_MAX when there is none. */
static unsigned free_place(const struct person *person)
{
    for (unsigned i = 0; i < METHODS_MAX; i++) {
        if (person->methods[i].id[0] == '\0') {
            return i;
        }
    }
    return METHODS_MAX;
}

/* Another number, or one more. */
static void edit_method(struct company *company)
{
    unsigned at = (unsigned)sim_random(company->sim, company->people_count);
    struct person *person = &company->people[at];
    unsigned place =
        sim_chance(company->sim, 300) ? free_place(person) : (unsigned)sim_random(company->sim, METHODS_MAX);

    if (person->busy || place == METHODS_MAX || person->addresses_count == ADDRESSES_MAX) {
        return;
    }
    bool there = person->methods[place].id[0] != '\0';
    person->busy = true;
    struct edit *edit = edit_begin(company, at);
    edit->place = place;
    edit->method = person->methods[place];
    company_address(company, at,
                    there ? edit->method.channel : (enum company_channel)sim_random(company->sim, COMPANY_CHANNELS),
                    &edit->method);
    person->methods_count = place >= person->methods_count ? place + 1 : person->methods_count;
    sim_tell(company->sim, "%s can be reached at %s now.", person->name, edit->method.address);
    company_ask(company, there ? "PUT" : "POST",
                there ? text_of("/users/%s/contact_methods/%s", person->id, edit->method.id)
                      : text_of("/users/%s/contact_methods", person->id),
                text_of("{\"contact_method\":{\"type\":\"%s\",\"label\":\"Pager\",\"address\":\"%s\"}}",
                        company_method_type(edit->method.channel), edit->method.address),
                false, on_method_edited, edit);
}

static void on_method_deleted(void *context, const struct client_answer *answer)
{
    struct edit *edit = context;
    struct person *person = &edit->company->people[edit->at];

    if (answer_ok(answer)) {
        person->methods[edit->place].id[0] = '\0';
        for (unsigned i = 0; i < person->rules_count; i++) {
            if (person->rules[i].method == edit->place) {
                person->rules[i].id[0] = '\0'; /* they go with it */
            }
        }
        sim_count(edit->company->sim, "deletions", 1);
    }
    person->busy = false;
    task_end(edit->company->client, edit);
}

/* Somebody may be left without any, now and then: then others must be told. */
static void delete_method(struct company *company)
{
    unsigned at = (unsigned)sim_random(company->sim, company->people_count);
    struct person *person = &company->people[at];
    unsigned place = (unsigned)sim_random(company->sim, METHODS_MAX), there = 0;

    for (unsigned i = 0; i < METHODS_MAX; i++) {
        there += person->methods[i].id[0] != '\0';
    }
    if (person->busy || person->methods[place].id[0] == '\0' || (there == 1 && !sim_chance(company->sim, 100))) {
        return;
    }
    person->busy = true;
    struct edit *edit = edit_begin(company, at);
    edit->place = place;
    sim_tell(company->sim, "%s cannot be reached at %s any more.", person->name, person->methods[place].address);
    company_ask(company, "DELETE", text_of("/users/%s/contact_methods/%s", person->id, person->methods[place].id), NULL,
                false, on_method_deleted, edit);
}

/* ---------------------------------------------------------------- rules */

static void on_rule_edited(void *context, const struct client_answer *answer)
{
    struct edit *edit = context;
    struct person *person = &edit->company->people[edit->at];

    if (answer->status == 201) {
        company_take_id(answer, "notification_rule", person->rules[edit->place].id);
        sim_count(edit->company->sim, "edits", 1);
    } else if (answer->status == 204) {
        person->rules[edit->place].id[0] = '\0';
        sim_count(edit->company->sim, "deletions", 1);
    }
    person->busy = false;
    task_end(edit->company->client, edit);
}

/* Adds a rule where there is none, or takes the one away that is there. That a rule is there already is a right
 * answer. */
static void edit_rule(struct company *company)
{
    unsigned at = (unsigned)sim_random(company->sim, company->people_count);
    struct person *person = &company->people[at];
    unsigned place = (unsigned)sim_random(company->sim, RULES_MAX),
             method = (unsigned)sim_random(company->sim, METHODS_MAX);
    struct rule *rule = &person->rules[place];

    if (person->busy || (rule->id[0] == '\0' && person->methods[method].id[0] == '\0')) {
        return;
    }
    person->busy = true;
    struct edit *edit = edit_begin(company, at);
    edit->place = place;
    if (rule->id[0] != '\0') {
        company_ask(company, "DELETE", text_of("/users/%s/notification_rules/%s", person->id, rule->id), NULL, false,
                    on_rule_edited, edit);
        return;
    }
    person->rules_count = place >= person->rules_count ? place + 1 : person->rules_count;
    *rule = (struct rule){.method = method,
                          .delay_minutes = (unsigned)sim_random(company->sim, 6),
                          .high = sim_chance(company->sim, 700)};
    company_ask(company, "POST", text_of("/users/%s/notification_rules", person->id),
                text_of("{\"notification_rule\":{\"type\":\"assignment_notification_rule\",\"urgency\":\"%s\","
                        "\"start_delay_in_minutes\":%u,\"contact_method\":{\"id\":\"%s\",\"type\":\"%s\"}}}",
                        rule->high ? "high" : "low", rule->delay_minutes, person->methods[method].id,
                        company_method_type(person->methods[method].channel)),
                true, on_rule_edited, edit);
}

/* ---------------------------------------------------------------- integrations */

struct replacement {
    struct company *company;
    unsigned at;
};

static void on_integration_deleted(void *context, const struct client_answer *answer)
{
    struct replacement *replacement = context;
    struct company *company = replacement->company;

    if (answer_ok(answer) && company->integrations_count < INTEGRATIONS_MAX) {
        company_add_integration(company, company->integrations[replacement->at].service, false);
    }
    sim_count(company->sim, "deletions", 1);
    task_end(company->client, replacement);
}

/* Its events are refused from now on; another one takes its place. */
static void replace_integration(struct company *company)
{
    unsigned at = company_some_integration(company);

    if (at == INTEGRATIONS_MAX || company->integrations_count >= INTEGRATIONS_MAX / 2) {
        return;
    }
    struct integration *integration = &company->integrations[at];
    struct replacement *replacement = task_begin(company->client, sizeof *replacement);
    *replacement = (struct replacement){company, at};
    integration->gone = true;
    sim_tell(company->sim, "An integration of %s is replaced by a new one.",
             company->services[integration->service].name);
    company_ask(company, "DELETE",
                text_of("/services/%s/integrations/%s", company->services[integration->service].id, integration->id),
                NULL, false, on_integration_deleted, replacement);
}

/* ---------------------------------------------------------------- visitors: a user and a policy for a while */

static void on_visitor_gone(void *context, const struct client_answer *answer)
{
    struct company *company = context;

    if (answer_ok(answer)) {
        history_object_deleted(company->history, company->visitor);
        sim_count(company->sim, "deletions", 1);
    }
    company->visitor[0] = '\0';
    company->visited = false;
}

static void on_visitors_policy_gone(void *context, const struct client_answer *answer)
{
    struct company *company = context;

    if (answer_ok(answer)) {
        history_object_deleted(company->history, company->visitors_policy);
        sim_count(company->sim, "deletions", 1);
    }
    company->visitors_policy[0] = '\0';
    sim_tell(company->sim, "The visitor leaves.");
    history_object_deleting(company->history, company->visitor);
    company_ask(company, "DELETE", text_of("/users/%s", company->visitor), NULL, false, on_visitor_gone, company);
}

static void visitor_leaves(void *context)
{
    struct company *company = context;

    history_object_deleting(company->history, company->visitors_policy);
    company_ask(company, "DELETE", text_of("/escalation_policies/%s", company->visitors_policy), NULL, false,
                on_visitors_policy_gone, company);
}

static void on_visitors_policy(void *context, const struct client_answer *answer)
{
    struct company *company = context;
    uint64_t stay =
        sim_between(company->sim, VISIT_LEAST_MINUTES * company->minute_ms, VISIT_MOST_MINUTES * company->minute_ms);

    company_take_id(answer, "escalation_policy", company->visitors_policy);
    history_object_new(company->history, company->visitors_policy);
    sim_at(company->sim, sim_now_ms(company->sim) + stay, visitor_leaves, company);
}

static void on_visitor_reachable(void *context, const struct client_answer *answer)
{
    struct company *company = context;

    (void)answer;
    company_ask(company, "POST", text_of("/escalation_policies"),
                text_of("{\"escalation_policy\":{\"type\":\"escalation_policy\",\"name\":\"Visit %u\","
                        "\"escalation_rules\":[{\"escalation_delay_in_minutes\":1,\"targets\":[{\"id\":\"%s\","
                        "\"type\":\"user_reference\"}]}]}}",
                        company->extras, company->people[0].id),
                false, on_visitors_policy, company);
}

static void on_visitor(void *context, const struct client_answer *answer)
{
    struct company *company = context;

    company_take_id(answer, "user", company->visitor);
    history_object_new(company->history, company->visitor);
    sim_tell(company->sim, "A visitor comes: %s.", company->visitor);
    company_ask(
        company, "POST", text_of("/users/%s/contact_methods", company->visitor),
        text_of("{\"contact_method\":{\"type\":\"sms_contact_method\",\"address\":\"+41799%06u\"}}", company->extras),
        false, on_visitor_reachable, company);
}

/* A user and a policy that are made only to be deleted some time later: by then incidents may be assigned to her. */
static void invite_visitor(struct company *company)
{
    if (company->visited) {
        return;
    }
    company->visited = true;
    company->extras++;
    company_ask(
        company, "POST", text_of("/users"),
        text_of("{\"user\":{\"type\":\"user\",\"name\":\"Visitor %u\",\"email\":\"visitor%u@company.example\"}}",
                company->extras, company->extras),
        false, on_visitor, company);
}

/* ---------------------------------------------------------------- by chance */

void company_edit(struct company *company)
{
    static void (*const edits[])(struct company *) = {edit_user,    edit_policy, edit_policy,
                                                      edit_service, edit_rule,   edit_method};

    if (sim_chance(company->sim, 30)) {
        switch_service(company);
        return;
    }
    if (sim_chance(company->sim, 80)) {
        company_edit_drill(company);
        return;
    }
    if (sim_chance(company->sim, 250)) {
        company_edit_schedule(company);
        return;
    }
    edits[sim_random(company->sim, sizeof edits / sizeof *edits)](company);
}

void company_delete(struct company *company)
{
    static void (*const deletions[])(struct company *) = {replace_integration, delete_method, edit_rule,
                                                          invite_visitor};

    deletions[sim_random(company->sim, sizeof deletions / sizeof *deletions)](company);
}
