/*
 * Tests of the chain: a page at a service's policy by the normal machinery, and a word on each of one's own methods.
 *
 *     POST /services/{id}/test    an incident whose title says that it is a test; the steps so far, and where to ask for the rest
 *     POST /users/me/test         told by every contact method at once, outside any incident
 */
#include "consensus/machine/limits.h"
#include "consensus/machine/suppression/suppression.h"
#include "node/api/coverage/coverage.h"
#include "node/api/incidents/incidents.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"

/* ---------------------------------------------------------------- a service */

static void step_add(json_t *steps, const char *step, bool passed, json_t *text)
{
    json_array_append_new(steps, json_pack("{s:s, s:b, s:o}", "step", step, "passed", passed, "text", text));
}

/* What would have kept an event of its own from coming this far: the test goes past it. */
static void step_events(json_t *steps, const struct machine_store *view, const Tocsin__Incident *incident)
{
    struct walk walk = walk_under(view, TABLE_INTEGRATION, incident->service_id);
    uint64_t until_ms = 0;

    if (maintenance_of_service(view, incident->service_id, incident->created_at_ms, &until_ms) != 0) {
        step_add(steps, "events", false, json_string("The service is in maintenance: an event would open no incident now."));
    } else if (!walk_next(&walk)) {
        step_add(steps, "events", false, json_string("The service has no integration: no event of its own can reach it."));
    } else {
        step_add(steps, "events", true, json_string("The service has an integration, and is not in maintenance."));
    }
}

static void step_people(json_t *steps, struct http_request *request, const struct machine_store *view,
                        const Tocsin__Incident *incident)
{
    for (size_t i = 0; i < incident->n_assignments; i++) {
        const Tocsin__User *user = user_get(view, incident->assignments[i]->user_id, request_memory(request));
        step_add(steps, "assigned", true,
                 json_format("Level %u asks %s.", incident->level, user != NULL ? user->name : "somebody who is gone"));
    }
    if (incident->n_assignments == 0) {
        step_add(steps, "assigned", false, json_string("No level of the policy has anybody."));
    }
    for (size_t i = 0; i < incident->n_pending_notification_ids; i++) {
        const Tocsin__Notification *page =
            notification_get(view, incident->id, incident->pending_notification_ids[i], request_memory(request));
        step_add(steps, "notification", true,
                 json_format("A page to %s by %s at %s is under way.", page->user_name,
                             word_of(words_channel, (int)page->channel), page->address));
    }
    if (incident->notifications_pending > incident->n_pending_notification_ids) {
        step_add(steps, "rules", true,
                 json_format("%zu further rules wait for their delay.",
                             incident->notifications_pending - incident->n_pending_notification_ids));
    } else if (incident->n_pending_notification_ids == 0) {
        step_add(steps, "notification", false, json_string("No page is under way: nobody can be told."));
    }
}

static void on_read_tested(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = incident_get(view, api_call_of(request)->id, request_memory(request));
    json_t *steps = json_array();
    char id[16];

    if (incident == NULL) {
        json_decref(steps);
        api_not_found(request);
        return;
    }
    id_format(incident->id, id);
    step_events(steps, view, incident);
    step_add(steps, "incident", true, json_format("Incident %llu is open.", (unsigned long long)incident->number));
    step_people(steps, request, view, incident);
    api_json(request, 201,
             json_pack("{s:{s:o, s:o, s:o}}", "test", "incident", reference_incident(request, incident), "why",
                       render_self(request, "/incidents/%s/why", id), "steps", steps));
}

static void on_tested(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK || reply->n_ids == 0) {
        api_refused(request, reply);
        return;
    }
    api_call_of(request)->id = reply->ids[0];
    api_read(request, on_read_tested);
}

static void on_read_service(struct http_request *request, const struct machine_store *view)
{
    struct api_call *call = api_call_of(request);
    const Tocsin__Service *service = service_get(view, call->id, request_memory(request));

    if (service == NULL) {
        api_not_found(request);
        return;
    }
    Tocsin__IncidentCreate *create = api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_CREATE)->incident_create;
    json_t *title = json_format("[Test] A test page of %s: acknowledge and resolve it", service->name);
    create->service_id = service->id;
    create->title = http_strdup(request, json_string_value(title));
    create->test = true;
    json_decref(title);
    api_submit(request, on_tested);
}

void service_test(struct http_request *request)
{
    if (role_require(request, PERMISSION_RESPOND) && path_id(request, 0, &api_call_of(request)->id)) {
        api_read(request, on_read_service);
    }
}

/* ---------------------------------------------------------------- oneself */

static void on_person_tested(struct http_request *request, const Tocsin__Reply *reply)
{
    json_t *methods = json_array();

    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        json_decref(methods);
        api_refused(request, reply);
        return;
    }
    for (size_t i = 0; i < reply->n_ids; i++) {
        json_array_append_new(methods, json_id(reply->ids[i]));
    }
    api_json(request, 201, json_pack("{s:{s:o}}", "test", "contact_methods", methods));
}

/* Each of the person's methods gets a code: to give it back is to answer the test. */
static void on_read_person(struct http_request *request, const struct machine_store *view)
{
    uint64_t user_id = api_call_of(request)->principal.user_id;
    Tocsin__PersonTest *test = api_command(request, TOCSIN__COMMAND__BODY_PERSON_TEST)->person_test;
    struct walk walk = walk_under(view, TABLE_CONTACT_METHOD, user_id);

    test->user_id = user_id;
    test->codes = http_alloc(request, LIMIT_CONTACT_METHODS_PER_USER * sizeof *test->codes);
    while (test->n_codes < LIMIT_CONTACT_METHODS_PER_USER && walk_next(&walk)) {
        test->codes[test->n_codes++] = contact_code_new(request, user_id, span_number(walk.key, 1));
    }
    api_submit(request, on_person_tested);
}

void person_test(struct http_request *request)
{
    uint64_t user_id = api_call_of(request)->principal.user_id;

    if (!role_require(request, PERMISSION_RESPOND)) {
        return;
    }
    if (user_id == 0) {
        api_error(request, 400, 2001, "Invalid Input Provided",
                  json_pack("[s]", "This token belongs to nobody: a test is sent to the person whose token asks for it"));
        return;
    }
    api_read(request, on_read_person);
}
