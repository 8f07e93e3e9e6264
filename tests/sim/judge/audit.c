/*
 * The last questions.
 *
 *     every request has its answer ──> all incidents, page by page, from any node
 *                                  ──> from each node the newest, the open ones, all objects
 *                                  ──> of some incidents: how often were they triggered?
 *
 * Each answer is held against the history as it comes; what only the whole can tell is judged at the end.
 */
#include "tests/sim/judge/audit.h"

#include <inttypes.h>
#include <stdlib.h>

#define WAIT_MS 1000u
/* When all is whole, an answer takes no longer: elections and deadlines of requests are over by far. */
#define ANSWER_BOUND_MS 120000u
#define CURRENT_TRIES_MAX 60u
#define PAGE 100u
#define PAGES_MAX 99u /* what the API lets one walk */
#define ALERTS_MAX 40u

struct audit {
    struct company *company;
    struct jobs *jobs;
    uint64_t began_ms;
    uint64_t told; /* moment since which the walk tells of all incidents */
    uint64_t node; /* being asked */
    unsigned page, question, tries, alerts;
    const char *alert_of; /* incident */
    bool all_seen;        /* the walk came to its end */
    void (*done)(void *context);
    void *context;
};

static void ask_page(struct audit *audit);
static void ask_node(struct audit *audit);
static void ask_alerts(struct audit *audit);

static void ask(struct audit *audit, uint64_t node, char *target, client_done done)
{
    const struct client_request request = {.method = "GET", .target = target, .node = node, .refusable = true};

    client_ask(audit->company->client, &request, done, audit);
    free(target);
}

/* Whether a question must be asked again, because there was no leader to vouch for the answer. */
static bool is_stale(struct audit *audit, const struct client_answer *answer)
{
    if (answer_ok(answer) && !answer->stale) {
        audit->tries = 0;
        return false;
    }
    if (++audit->tries > CURRENT_TRIES_MAX) {
        history_violation(audit->company->history,
                          "everything is whole, and node %" PRIu64 " has no current answer (%u)", answer->node,
                          answer->status);
        audit->tries = 0;
        return false;
    }
    return true;
}

static void again(struct audit *audit, void (*question)(void *context))
{
    sim_at(audit->company->sim, sim_now_ms(audit->company->sim) + WAIT_MS, question, audit);
}

/* ---------------------------------------------------------------- waiting */

static void wait_for_answers(void *context)
{
    struct audit *audit = context;
    struct company *company = audit->company;

    if (client_longest_attempt_ms(company->client) > ANSWER_BOUND_MS) {
        history_violation(company->history, "P5: a request is not answered within %u seconds", ANSWER_BOUND_MS / 1000);
    }
    if (client_waiting(company->client) > 0 && sim_now_ms(company->sim) < audit->began_ms + ANSWER_BOUND_MS) {
        again(audit, wait_for_answers);
        return;
    }
    if (client_waiting(company->client) > 0) {
        sim_tell(company->sim, "%u requests are still under way.", client_waiting(company->client));
    }
    audit->told = history_moment(company->history);
    ask_page(audit);
}

void audit_start(struct company *company, struct jobs *jobs, void (*done)(void *context), void *context)
{
    struct audit *audit = task_begin(company->client, sizeof *audit);

    *audit = (struct audit){
        .company = company, .jobs = jobs, .began_ms = sim_now_ms(company->sim), .node = 1, .done = done, .context = context};
    sim_tell(company->sim, "What was promised is asked for.");
    wait_for_answers(audit);
}

/* ---------------------------------------------------------------- all incidents, from one node */

static void page_again(void *context)
{
    ask_page(context);
}

static void on_page(void *context, const struct client_answer *answer)
{
    struct audit *audit = context;

    if (is_stale(audit, answer)) {
        again(audit, page_again);
        return;
    }
    sim_count(audit->company->sim, "incidents at the end", json_array_size(json_object_get(answer->json, "incidents")));
    if (json_is_true(json_object_get(answer->json, "more")) && audit->page < PAGES_MAX) {
        audit->page++;
        ask_page(audit);
        return;
    }
    audit->all_seen = !json_is_true(json_object_get(answer->json, "more"));
    if (audit->all_seen) {
        history_finish_incidents(audit->company->history, audit->told);
    }
    ask_node(audit);
}

static void ask_page(struct audit *audit)
{
    ask(audit, client_some_node(audit->company->client, 0),
        text_of("/incidents?date_range=all&limit=%u&offset=%u", PAGE, audit->page * PAGE), on_page);
}

/* ---------------------------------------------------------------- each node */

static const char *const questions[] = {
    "/incidents?limit=25&sort_by=incident_number:desc",
    "/incidents?limit=25&statuses[]=triggered&statuses[]=acknowledged",
    "/users?limit=100",
    "/escalation_policies?limit=100",
    "/services?limit=100",
    "/api/v3/checks",
};
#define QUESTIONS_COUNT (sizeof questions / sizeof *questions)

static void node_again(void *context)
{
    ask_node(context);
}

static void on_node(void *context, const struct client_answer *answer)
{
    struct audit *audit = context;

    if (is_stale(audit, answer)) {
        again(audit, node_again);
        return;
    }
    jobs_audit(audit->jobs, answer); /* only one of the questions is about them */
    audit->question++;
    if (audit->question == QUESTIONS_COUNT) {
        audit->question = 0;
        audit->node++;
    }
    ask_node(audit);
}

static void ask_node(struct audit *audit)
{
    struct company *company = audit->company;

    while (audit->node <= sim_nodes_count(company->sim) && !sim_node_up(company->sim, audit->node)) {
        audit->node++;
    }
    if (audit->node > sim_nodes_count(company->sim)) {
        ask_alerts(audit);
        return;
    }
    ask(audit, audit->node, text_of("%s", questions[audit->question]), on_node);
}

/* ---------------------------------------------------------------- how often was what triggered */

static void on_alerts(void *context, const struct client_answer *answer)
{
    struct audit *audit = context;
    json_t *alerts = json_object_get(answer->json, "alerts"), *alert;
    size_t i;

    if (answer_ok(answer) && !answer->stale) {
        json_array_foreach(alerts, i, alert)
        {
            history_alert_counted(audit->company->history, json_text_at(alert, "alert_key"),
                                  (uint64_t)json_integer_value(json_object_get(alert, "events")));
        }
        if (!json_is_true(json_object_get(answer->json, "more"))) {
            history_incident_counted(audit->company->history, audit->alert_of);
        }
    }
    ask_alerts(audit);
}

static void end(struct audit *audit)
{
    if (audit->all_seen) {
        history_finish_events(audit->company->history);
    }
    audit->done(audit->context);
    task_end(audit->company->client, audit);
}

/* The last so many incidents, one after the other: of a key that flapped, all or none are likely to be among them. */
static void ask_alerts(struct audit *audit)
{
    struct company *company = audit->company;
    uint64_t incidents = history_counts(company->history).incidents;

    if (audit->alerts >= incidents || audit->alerts >= ALERTS_MAX) {
        end(audit);
        return;
    }
    const char *id = history_some_incident(company->history, audit->alerts, ALERTS_MAX);
    audit->alerts++;
    audit->alert_of = id;
    ask(audit, client_some_node(company->client, 0), text_of("/incidents/%s/alerts?limit=%u", id, PAGE), on_alerts);
}
