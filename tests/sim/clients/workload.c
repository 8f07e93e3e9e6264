/* Events, edits, requests and readers by chance; each kind is a stream that runs from the set-up until it is stopped.
 * */
#include "tests/sim/clients/workload.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/clients/handling.h"
#include "tests/sim/clients/jobs.h"
#include "tests/sim/judge/audit.h"
#include "tests/sim/world/names.h"

#define HOUR_MS 3600000u
#define KEY_SIZE 48
/* Senders give up some time (Alertmanager does so when the next round comes). */
#define EVENT_ATTEMPTS_MAX 8u
#define READ_ATTEMPTS_MAX 3u
#define STORM_MS 2000u
#define FLAP_STEPS_MAX 12u

enum action { ACTION_TRIGGER, ACTION_ACKNOWLEDGE, ACTION_RESOLVE };
static const char *const action_words[] = {"trigger", "acknowledge", "resolve"};

struct key {
    char text[KEY_SIZE];
    unsigned integration;
    unsigned number; /* in the history */
};

struct workload {
    struct sim *sim;
    struct workload_options options;
    struct history *history;
    struct client *client;
    struct company *company;
    struct people *people;
    struct silence *silence;
    struct jobs *jobs;
    struct key *keys;
    size_t keys_count, keys_capacity;
    bool set_up, stopped, quiet, mutes;
    void (*finished)(void *context);
    void *finished_context;
};

struct workload_options workload_dense(unsigned minute_ms)
{
    return (struct workload_options){
        .minute_ms = minute_ms,
        .events_per_hour = 2400,
        .storms_per_hour = 12,
        .storm_events = 120,
        .flaps_per_hour = 180,
        .edits_per_hour = 600,
        .deletions_per_hour = 200,
        .requests_per_hour = 600,
        .reads_per_hour = 4000,
        .quiet_per_hour = 900,
        .quiet_permille = 400,
        .mutes_permille = 250,
        .jobs_permille = 300,
        .jobs_max = 4,
    };
}

struct workload_options workload_calm(void)
{
    return (struct workload_options){
        .minute_ms = 60000,
        .events_per_hour = 6,
        .storms_per_hour = 0,
        .storm_events = 60,
        .flaps_per_hour = 1,
        .edits_per_hour = 4,
        .deletions_per_hour = 1,
        .requests_per_hour = 3,
        .reads_per_hour = 20,
        .quiet_per_hour = 6,
        .quiet_permille = 400,
        .mutes_permille = 250,
        .jobs_permille = 200,
        .jobs_max = 4,
    };
}

static void on_violation(void *context, const char *sentence)
{
    sim_violation(context, "%s", sentence);
}

struct workload *workload_new(struct sim *sim, const struct workload_options *options)
{
    struct workload *workload = calloc(1, sizeof *workload);

    if (workload == NULL) {
        abort();
    }
    workload->sim = sim;
    workload->options = *options;
    workload->history = history_new(on_violation, sim);
    workload->client = client_new(sim, workload->history, options->way != NULL ? options->way : sim_ask_with);
    workload->company = company_new(sim, workload->client, workload->history, options->minute_ms);
    workload->people = people_new(sim, workload->client, workload->history, workload->company);
    workload->silence = silence_new(on_violation, sim);
    workload->jobs = jobs_new(workload->company, workload->silence, options->way != NULL ? options->way : sim_ask_with);
    return workload;
}

void workload_free(struct workload *workload)
{
    jobs_free(workload->jobs);
    silence_free(workload->silence);
    people_free(workload->people);
    company_free(workload->company);
    client_free(workload->client);
    history_free(workload->history);
    free(workload->keys);
    free(workload);
}

struct people *workload_people(struct workload *workload)
{
    return workload->people;
}

struct history *workload_history(struct workload *workload)
{
    return workload->history;
}

void workload_silent(struct workload *workload, const char *key)
{
    silence_said(workload->silence, key, sim_now_ms(workload->sim));
}

const struct company *workload_company(const struct workload *workload)
{
    return workload->company;
}

bool workload_is_set_up(const struct workload *workload)
{
    return workload->set_up;
}

/* ---------------------------------------------------------------- events */

struct event {
    struct workload *workload;
    size_t key;
    enum action action;
    unsigned steps; /* of a flap, still to come */
};

/* SIZE_MAX: nobody takes events. */
static size_t new_key(struct workload *workload, const char *kind)
{
    unsigned integration = company_some_integration(workload->company);

    if (integration == INTEGRATIONS_MAX) {
        return SIZE_MAX;
    }
    workload->keys = array_room(workload->keys, workload->keys_count, &workload->keys_capacity, sizeof *workload->keys);
    struct key *key = &workload->keys[workload->keys_count];
    (void)snprintf(key->text, sizeof key->text, "%s-%u-%zu", kind, integration, workload->keys_count);
    key->integration = integration;
    key->number = history_key(workload->history, key->text);
    return workload->keys_count++;
}

static struct event *event_begin(struct workload *workload, size_t key, enum action action)
{
    struct event *event = task_begin(workload->client, sizeof *event);

    *event = (struct event){.workload = workload, .key = key, .action = action};
    return event;
}

static void send_event(struct event *event);

static void send_later(void *context)
{
    send_event(context);
}

static void send_in(struct event *event, uint64_t delay_ms)
{
    struct sim *sim = event->workload->sim;

    sim_at(sim, sim_now_ms(sim) + delay_ms, send_later, event);
}

/* The next of a flap: what is triggered resolves, what is resolved triggers. */
static void flap_on(struct workload *workload, size_t key, enum action last, unsigned steps)
{
    if (steps > 0) {
        struct event *next = event_begin(workload, key, last == ACTION_TRIGGER ? ACTION_RESOLVE : ACTION_TRIGGER);
        next->steps = steps - 1;
        send_in(next, sim_random(workload->sim, 3000));
    }
}

/* Of some services not every event opens an incident. */
static void excuse(struct workload *workload, const struct key *key)
{
    const struct company *company = workload->company;
    const struct service *service = &company->services[company->integrations[key->integration].service];

    if (service->disabled_ever || service->quiet_ever || service->gathers || company->muted_ever) {
        history_key_exempt(workload->history, key->number);
    }
}

static void tell_history(const struct event *event, const struct client_answer *answer)
{
    struct workload *workload = event->workload;
    const struct key *key = &workload->keys[event->key];
    const struct integration *integration = &workload->company->integrations[key->integration];
    bool accepted = answer->status == 202;

    excuse(workload, key);
    if (event->action == ACTION_TRIGGER) {
        history_triggered(workload->history, key->number, answer->attempts, accepted);
    } else if (accepted && event->action == ACTION_ACKNOWLEDGE) {
        history_event_acknowledged(workload->history, key->number, answer->first_asked);
    } else if (accepted) {
        history_event_resolved(workload->history, key->number, answer->first_asked);
    }
    if (answer->status == 400 && !integration->gone) {
        history_violation(workload->history, "P5: node %" PRIu64 " refuses an event of %s, whose integration is there",
                          answer->node, key->text);
    }
    if (accepted) {
        sim_count(workload->sim, "events accepted", 1);
    } else if (answer->status != 400) {
        sim_count(workload->sim, "events given up", 1);
    }
}

static void on_event(void *context, const struct client_answer *answer)
{
    struct event *event = context;
    struct workload *workload = event->workload;

    tell_history(event, answer);
    if (answer->status == 202 && sim_chance(workload->sim, 30)) { /* the sender did not hear the answer */
        sim_count(workload->sim, "events sent twice", 1);
        send_event(event_begin(workload, event->key, event->action));
    }
    flap_on(workload, event->key, event->action, event->steps);
    task_end(workload->client, event);
}

static void send_event(struct event *event)
{
    struct workload *workload = event->workload;
    const struct key *key = &workload->keys[event->key];
    static const char *const severities[] = {"critical", "error", "warning", "info"};
    static const char *const components[] = {"disk", "net", "fan"}, *const groups[] = {"", "db", "web"};

    const char *severity = severities[sim_random(workload->sim, 4)], *component = components[sim_random(workload->sim, 3)];
    const char *group = groups[sim_random(workload->sim, 3)];
    bool keyed = sim_chance(workload->sim, 300); /* which changes nothing for an event */
    excuse(workload, key);
    char *body = text_of("{\"routing_key\":\"%s\",\"event_action\":\"%s\",\"dedup_key\":\"%s\",\"payload\":{"
                         "\"summary\":\"%s is in trouble\",\"source\":\"monitoring\",\"severity\":\"%s\",\"component\":\"%s\",\"group\":\"%s\"}}",
                         workload->company->integrations[key->integration].key, action_words[event->action], key->text,
                         key->text, severity, component, group);
    const struct client_request request = {.method = "POST",
                                           .target = "/v2/enqueue",
                                           .body = body,
                                           .attempts_max = EVENT_ATTEMPTS_MAX,
                                           .keyed = keyed,
                                           .refusable = true};
    client_ask(workload->client, &request, on_event, event);
    free(body);
}

static uint64_t minutes_ms(struct workload *workload, unsigned least, unsigned most)
{
    return sim_between(workload->sim, (uint64_t)least * workload->options.minute_ms,
                       (uint64_t)most * workload->options.minute_ms);
}

/* What becomes of it without people: most troubles pass, some are acknowledged by the monitoring system. */
static void decide_fate(struct workload *workload, size_t key)
{
    if (sim_chance(workload->sim, 150)) {
        send_in(event_begin(workload, key, ACTION_ACKNOWLEDGE), minutes_ms(workload, 0, 10));
    }
    if (sim_chance(workload->sim, 650)) {
        send_in(event_begin(workload, key, ACTION_RESOLVE), minutes_ms(workload, 1, 40));
    }
}

static void event_alone(struct workload *workload)
{
    size_t key = new_key(workload, "disk");

    if (key == SIZE_MAX) {
        return;
    }
    send_event(event_begin(workload, key, ACTION_TRIGGER));
    if (sim_chance(workload->sim, 50)) { /* two senders, or one that does not wait */
        sim_count(workload->sim, "events sent twice", 1);
        send_event(event_begin(workload, key, ACTION_TRIGGER));
    }
    decide_fate(workload, key);
}

static void event_storm(struct workload *workload)
{
    size_t keys[64];
    unsigned events =
        (unsigned)sim_between(workload->sim, workload->options.storm_events / 4, workload->options.storm_events);
    unsigned keys_count = (unsigned)sim_between(workload->sim, 1, sim_chance(workload->sim, 200) ? 64 : 8);

    for (unsigned i = 0; i < keys_count; i++) {
        keys[i] = new_key(workload, "storm");
        if (keys[i] == SIZE_MAX) {
            return;
        }
        decide_fate(workload, keys[i]);
    }
    sim_tell(workload->sim, "A storm begins: %u events with %u keys.", events, keys_count);
    sim_count(workload->sim, "storms", 1);
    for (unsigned i = 0; i < events; i++) {
        struct event *event = event_begin(workload, keys[sim_random(workload->sim, keys_count)], ACTION_TRIGGER);
        send_in(event, sim_random(workload->sim, STORM_MS));
    }
}

static void event_flap(struct workload *workload)
{
    size_t key = new_key(workload, "flap");

    if (key == SIZE_MAX) {
        return;
    }
    sim_tell(workload->sim, "%s begins to flap.", workload->keys[key].text);
    sim_count(workload->sim, "flaps", 1);
    flap_on(workload, key, ACTION_RESOLVE, (unsigned)sim_between(workload->sim, 3, FLAP_STEPS_MAX));
}

/* ---------------------------------------------------------------- readers */

static void on_open_list(void *context, const struct client_answer *answer)
{
    struct workload *workload = context;

    if (answer->status == 200 && !answer->stale && json_is_false(json_object_get(answer->json, "more"))) {
        history_open_incidents_seen(workload->history, answer->asked, answer->told);
    }
}

static void get(struct workload *workload, char *target, client_done done)
{
    const struct client_request request = {
        .method = "GET", .target = target, .attempts_max = READ_ATTEMPTS_MAX, .refusable = true};

    sim_count(workload->sim, "reads", 1);
    client_ask(workload->client, &request, done, workload);
    free(target);
}

static void read_object(struct workload *workload)
{
    struct company *company = workload->company;

    switch (sim_random(workload->sim, 3)) {
    case 0:
        get(workload, text_of("/users/%s", company->people[sim_random(workload->sim, company->people_count)].id), NULL);
        return;
    case 1:
        get(workload,
            text_of("/escalation_policies/%s",
                    company->policies[sim_random(workload->sim, company->policies_count)].id),
            NULL);
        return;
    default:
        get(workload, text_of("/services/%s", company->services[sim_random(workload->sim, company->services_count)].id),
            NULL);
    }
}

static void read_something(struct workload *workload)
{
    static const char *const under[] = {"", "", "", "/log_entries", "/notes", "/alerts"};
    const char *incident = handling_some_incident(workload->company);

    if (incident == NULL || sim_chance(workload->sim, 250)) {
        read_object(workload);
    } else if (sim_chance(workload->sim, 150)) {
        get(workload, text_of("/incidents?statuses[]=triggered&statuses[]=acknowledged&limit=50"), on_open_list);
    } else if (sim_chance(workload->sim, 100)) {
        get(workload, text_of("/incidents?limit=25&sort_by=incident_number:desc"), NULL);
    } else {
        get(workload,
            text_of("/incidents/%s%s", incident, under[sim_random(workload->sim, sizeof under / sizeof *under)]), NULL);
    }
}

/* ---------------------------------------------------------------- streams */

static void handle_something(struct workload *workload)
{
    handling_request(workload->company);
}

static void edit_something(struct workload *workload)
{
    company_edit(workload->company);
}

static void quiet_something(struct workload *workload)
{
    if (workload->quiet) {
        company_edit_windows(workload->company);
    }
    if (workload->mutes) {
        company_edit_mutes(workload->company);
    }
}

static void delete_something(struct workload *workload)
{
    company_delete(workload->company);
}

static const struct stream {
    size_t rate; /* where it stands in the options */
    void (*run)(struct workload *workload);
} streams[] = {
    {offsetof(struct workload_options, events_per_hour), event_alone},
    {offsetof(struct workload_options, storms_per_hour), event_storm},
    {offsetof(struct workload_options, flaps_per_hour), event_flap},
    {offsetof(struct workload_options, edits_per_hour), edit_something},
    {offsetof(struct workload_options, deletions_per_hour), delete_something},
    {offsetof(struct workload_options, requests_per_hour), handle_something},
    {offsetof(struct workload_options, reads_per_hour), read_something},
    {offsetof(struct workload_options, quiet_per_hour), quiet_something},
};

struct running {
    struct workload *workload;
    const struct stream *stream;
    uint64_t mean_ms;
};

static void run_next(void *context);

static void set_next(struct running *running)
{
    struct sim *sim = running->workload->sim;

    sim_at(sim, sim_now_ms(sim) + 1 + sim_random(sim, 2 * running->mean_ms), run_next, running);
}

static void run_next(void *context)
{
    struct running *running = context;

    if (running->workload->stopped) {
        task_end(running->workload->client, running);
        return;
    }
    running->stream->run(running->workload);
    set_next(running);
}

static void on_set_up(void *context)
{
    struct workload *workload = context;

    workload->set_up = true;
    workload->quiet = sim_chance(workload->sim, workload->options.quiet_permille);
    workload->mutes = sim_chance(workload->sim, workload->options.mutes_permille);
    if (sim_chance(workload->sim, workload->options.jobs_permille)) {
        jobs_begin(workload->jobs, (unsigned)sim_between(workload->sim, 1, workload->options.jobs_max));
    }
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        unsigned per_hour = *(const unsigned *)((const char *)&workload->options + streams[i].rate);
        if (per_hour > 0) {
            struct running *running = task_begin(workload->client, sizeof *running);
            *running = (struct running){workload, &streams[i], HOUR_MS / per_hour};
            set_next(running);
        }
    }
}

void workload_start(struct workload *workload)
{
    company_set_up(workload->company, on_set_up, workload);
}

void workload_stop(struct workload *workload)
{
    workload->stopped = true;
    jobs_stop(workload->jobs);
}

/* ---------------------------------------------------------------- the end */

static void on_audited(void *context)
{
    struct workload *workload = context;
    struct history_counts counts = history_counts(workload->history);

    sim_count(workload->sim, "incidents held against what was known", counts.incident_sights);
    sim_count(workload->sim, "objects held against what was known", counts.object_sights);
    sim_count(workload->sim, "alerts counted at the end", counts.alerts_counted);
    workload->finished(workload->finished_context);
}

void workload_finish(struct workload *workload, void (*done)(void *context), void *context)
{
    workload->finished = done;
    workload->finished_context = context;
    audit_start(workload->company, workload->jobs, on_audited, workload);
}
