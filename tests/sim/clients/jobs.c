/* Jobs that ping their heartbeats. */
#include "tests/sim/clients/jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/plain_cron.h"

#define JOBS_MAX 8u
#define PERIOD_MOST_MINUTES 4u
#define GRACE_LEAST_MINUTES 2u
#define GRACE_MOST_MINUTES 6u
#define DEAD_MOST_MINUTES 30u
#define TRIES_PER_MINUTE 5u /* while nobody says OK */
#define START_WAITS_MS 30000u
#define REAL_MINUTE_MS 60000u
/* At the end a state must have become what it is to be: the longest silence, and then somebody has noticed. */
#define SETTLED_MINUTES (2u * PERIOD_MOST_MINUTES + GRACE_MOST_MINUTES + 2u)

/* Of jobs that have one. Real minutes, whatever a minute is otherwise. */
static const struct schedule {
    const char *expression, *zone;
    unsigned apart_most_minutes; /* 0: now and then long */
} SCHEDULES[] = {
    {"* * * * *", "UTC", 1},           {"*/2 * * * *", "Asia/Kolkata", 2},      {"1-59/3 * * * *", "Asia/Tokyo", 3},
    {"*/4 * * * *", "UTC", 4},         {"*/2 7-9 * * *", "America/Phoenix", 0}, {"3,13,14,50 * * * *", "UTC", 0},
    {"*/3 */2 * * *", "Asia/Kolkata", 0},
};
#define SCHEDULES_COUNT (sizeof SCHEDULES / sizeof SCHEDULES[0])

enum ping_kind { PING_SUCCESS, PING_START, PING_FAIL, PING_LOG };
static const char *const tails[] = {"", "/start", "/fail", "/log"};

struct job {
    struct jobs *jobs;
    unsigned number;
    char key[SILENCE_KEY_SIZE];
    unsigned period_minutes, grace_minutes;
    const struct schedule *schedule; /* in place of the period; NULL: none */
    const struct schedule *wished;   /* likewise, while an edit is under way */
    bool edited;                     /* it is */
    bool alive, gone, rests, failed; /* failed: the last sign of life that was answered said so */
    unsigned loose_starts;           /* that are under way, or may be: they may arrive behind the end of their run */
    uint64_t since_ms;  /* it lives, or is dead */
    uint64_t heard_ms;  /* the last sign of life that was answered */
    struct ping *ping;  /* being sent; NULL: none */
    unsigned life;      /* counts lives: what an earlier one planned is not done */
};

struct jobs {
    struct company *company;
    struct sim *sim;
    struct client *client;
    struct silence *silence;
    client_way way;
    struct job jobs[JOBS_MAX];
    unsigned count;
    bool stopped;
};

struct jobs *jobs_new(struct company *company, struct silence *silence, client_way way)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);

    if (jobs == NULL) {
        abort();
    }
    *jobs = (struct jobs){.company = company, .sim = company->sim, .client = company->client, .silence = silence, .way = way};
    return jobs;
}

void jobs_free(struct jobs *jobs)
{
    free(jobs);
}

static uint64_t minutes_ms(const struct jobs *jobs, unsigned minutes)
{
    return (uint64_t)minutes * jobs->company->minute_ms;
}

/* With a schedule the next moment may be near. */
static void tell_length(struct job *job, bool scheduled, unsigned period_minutes, unsigned grace_minutes)
{
    silence_job(job->jobs->silence, job->key, scheduled ? 0 : minutes_ms(job->jobs, period_minutes), minutes_ms(job->jobs, grace_minutes));
}

static const struct schedule *some_schedule(struct jobs *jobs)
{
    return sim_chance(jobs->sim, 400) ? &SCHEDULES[sim_random(jobs->sim, SCHEDULES_COUNT)] : NULL;
}

/* What is asked for, of a body in JSON. */
static char *rhythm_text(const struct schedule *schedule, unsigned period_minutes, unsigned grace_minutes)
{
    return schedule != NULL ? text_of("\"schedule\":\"%s\",\"tz\":\"%s\",\"grace\":%u", schedule->expression, schedule->zone, grace_minutes * 60)
                            : text_of("\"timeout\":%u,\"grace\":%u", period_minutes * 60, grace_minutes * 60);
}

/* What the answer says. */
static void take_rhythm(struct job *job, json_t *check)
{
    const char *expression = json_text_at(check, "schedule"), *zone = json_text_at(check, "tz");
    job->schedule = NULL;
    for (size_t i = 0; expression != NULL && zone != NULL && i < SCHEDULES_COUNT; i++) {
        if (strcmp(SCHEDULES[i].expression, expression) == 0 && strcmp(SCHEDULES[i].zone, zone) == 0) {
            job->schedule = &SCHEDULES[i];
        }
    }
    unsigned period = (unsigned)json_integer_value(json_object_get(check, "timeout")) / 60;
    job->period_minutes = period != 0 ? period : job->period_minutes;
    job->grace_minutes = (unsigned)json_integer_value(json_object_get(check, "grace")) / 60;
    tell_length(job, job->schedule != NULL, job->period_minutes, job->grace_minutes);
}

/* ---------------------------------------------------------------- one ping */

/* Held by its timer and by each try without an answer. */
struct ping {
    struct job *job;
    enum ping_kind kind;
    bool over;      /* heard, or nobody wants it any more */
    bool overtakes; /* perhaps: a start is still under way */
    unsigned tries, holders;
    uint64_t node;
};

struct try {
    struct ping *ping;
    uint64_t sent_ms;
};

static void ping_release(struct ping *ping)
{
    if (--ping->holders > 0) {
        return;
    }
    task_end(ping->job->jobs->client, ping);
}

static void ping_end(struct job *job)
{
    if (job->ping != NULL) {
        job->ping->over = true;
        job->ping = NULL;
    }
}

static bool is_sign_of_life(enum ping_kind kind)
{
    return kind == PING_SUCCESS || kind == PING_FAIL;
}

/* What nobody has heard of for so long waits in no node any more. */
static void start_is_gone(void *context)
{
    struct job *job = context;
    job->loose_starts--;
}

static void on_pinged(void *context, const struct sim_answer *answer)
{
    struct try *try = context;
    struct ping *ping = try->ping;
    struct job *job = ping->job;
    struct jobs *jobs = job->jobs;

    if (answer->status == 200 && is_sign_of_life(ping->kind) && !job->gone) {
        silence_heard(jobs->silence, job->key, try->sent_ms);
        job->heard_ms = sim_now_ms(jobs->sim);
        job->rests = false;
        job->failed = ping->kind == PING_FAIL;
        if (job->loose_starts > 0 || ping->overtakes) {
            silence_excused(jobs->silence, job->key);
        }
        sim_count(jobs->sim, "signs of life", 1);
    }
    if (answer->status == 200 && job->ping == ping) {
        ping_end(job);
    }
    if (ping->kind == PING_START) {
        sim_at(jobs->sim, sim_now_ms(jobs->sim) + (answer->status == 200 ? 0 : START_WAITS_MS), start_is_gone, job);
    }
    if (answer->status != 200 && !ping->over && is_sign_of_life(ping->kind)) {
        silence_tried(jobs->silence, job->key, ping->tries);
    }
    if (answer->status != 0 && answer->status != 200 && answer->status != 503 && answer->status != 429 && !job->gone) {
        history_violation(jobs->company->history, "P5: a ping of heartbeat %s is answered with %u", job->key, answer->status);
    }
    task_end(jobs->client, try);
    ping_release(ping);
}

static void ping_try(void *context)
{
    struct ping *ping = context;
    struct job *job = ping->job;
    struct jobs *jobs = job->jobs;

    if (ping->over) {
        ping_release(ping);
        return;
    }
    char target[80];
    struct try *try = task_begin(jobs->client, sizeof *try);
    *try = (struct try){ping, sim_now_ms(jobs->sim)};
    (void)snprintf(target, sizeof target, "/ping/%s%s", job->key, tails[ping->kind]);
    ping->node = client_some_node(jobs->client, ping->node);
    sim_tell(jobs->sim, "Job %u pings node %" PRIu64 "%s.", job->number, ping->node, tails[ping->kind]);
    ping->tries++;
    ping->holders++;
    job->loose_starts += ping->kind == PING_START;
    sim_at(jobs->sim, sim_now_ms(jobs->sim) + jobs->company->minute_ms / TRIES_PER_MINUTE, ping_try, ping);
    const char *const headers[] = {NULL};
    jobs->way(jobs->sim, ping->node, "GET", target, headers, NULL, on_pinged, try);
}

static void ping_begin(struct job *job, enum ping_kind kind)
{
    struct jobs *jobs = job->jobs;

    ping_end(job);
    struct ping *ping = task_begin(jobs->client, sizeof *ping);
    *ping = (struct ping){.job = job, .kind = kind, .holders = 1, .overtakes = job->loose_starts > 0};
    job->ping = ping;
    if (is_sign_of_life(kind)) {
        silence_tries(jobs->silence, job->key, sim_now_ms(jobs->sim));
    } else if (kind == PING_START) {
        silence_started(jobs->silence, job->key, sim_now_ms(jobs->sim));
    }
    ping_try(ping);
}

/* ---------------------------------------------------------------- a life */

struct plan {
    struct job *job;
    unsigned life;
    void (*act)(struct job *job);
};

static void run_plan(void *context)
{
    struct plan plan = *(struct plan *)context;

    task_end(plan.job->jobs->client, context);
    if (plan.job->life == plan.life && !plan.job->gone) {
        plan.act(plan.job);
    }
}

static void plan_in(struct job *job, uint64_t delay_ms, void (*act)(struct job *job))
{
    struct plan *plan = task_begin(job->jobs->client, sizeof *plan);

    *plan = (struct plan){job, job->life, act};
    sim_at(job->jobs->sim, sim_now_ms(job->jobs->sim) + delay_ms, run_plan, plan);
}

static void is_due(struct job *job);

static void come_back(struct job *job)
{
    if (job->jobs->stopped) {
        return; /* then it stays dead */
    }
    job->alive = true;
    job->since_ms = sim_now_ms(job->jobs->sim);
    is_due(job);
}

static void ask_about(struct job *job, const char *method, char *tail, char *body, client_done done)
{
    const struct client_request request = {.method = method, .target = tail, .body = body, .keyed = true, .refusable = true};

    client_ask(job->jobs->client, &request, done, job);
    free(tail);
    free(body);
}

static void die(struct job *job)
{
    struct jobs *jobs = job->jobs;

    ping_end(job);
    silence_dies(jobs->silence, job->key);
    job->alive = false;
    job->life++;
    job->since_ms = sim_now_ms(jobs->sim);
    sim_count(jobs->sim, "jobs dead", 1);
    if (sim_chance(jobs->sim, 150)) { /* on purpose */
        silence_excused(jobs->silence, job->key);
        job->rests = true;
        ask_about(job, "POST", text_of("/api/v3/checks/%s/pause", job->key), text_of("{}"), NULL);
    }
    if (sim_chance(jobs->sim, 700)) {
        plan_in(job, sim_between(jobs->sim, 1, minutes_ms(jobs, DEAD_MOST_MINUTES)), come_back);
    }
}

static void on_edited(void *context, const struct client_answer *answer)
{
    struct job *job = context;

    if (answer_ok(answer) && !job->gone) {
        job->edited = false;
        take_rhythm(job, answer->json);
    }
}

static unsigned lesser(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The job hurries as soon as it is asked to, and takes its time when that is granted. */
static void edit(struct job *job)
{
    struct jobs *jobs = job->jobs;
    unsigned period = (unsigned)sim_between(jobs->sim, 1, PERIOD_MOST_MINUTES);
    unsigned grace = (unsigned)sim_between(jobs->sim, GRACE_LEAST_MINUTES, GRACE_MOST_MINUTES);
    const struct schedule *schedule = some_schedule(jobs);
    char *rhythm = rhythm_text(schedule, period, grace);

    job->wished = schedule;
    job->edited = true;
    job->period_minutes = lesser(job->period_minutes, period);
    job->grace_minutes = lesser(job->grace_minutes, grace);
    tell_length(job, job->schedule != NULL || schedule != NULL, job->period_minutes, job->grace_minutes);
    sim_count(jobs->sim, "heartbeats edited", 1);
    ask_about(job, "POST", text_of("/api/v3/checks/%s", job->key), text_of("{%s}", rhythm), on_edited);
    free(rhythm);
}

static void leave(struct job *job)
{
    ping_end(job);
    silence_excused(job->jobs->silence, job->key);
    job->gone = true;
    sim_count(job->jobs->sim, "heartbeats deleted", 1);
    ask_about(job, "DELETE", text_of("/api/v3/checks/%s", job->key), NULL, NULL);
}

static void succeed(struct job *job)
{
    ping_begin(job, PING_SUCCESS);
}

static void work(struct job *job)
{
    struct jobs *jobs = job->jobs;
    uint64_t half_grace_ms = minutes_ms(jobs, job->grace_minutes) / 2;

    if (sim_chance(jobs->sim, 150)) {
        ping_begin(job, PING_START);
        plan_in(job, sim_between(jobs->sim, 1, half_grace_ms), succeed);
    } else if (!jobs->stopped && sim_chance(jobs->sim, 30)) {
        ping_begin(job, PING_FAIL);
    } else if (sim_chance(jobs->sim, 30)) {
        ping_begin(job, PING_LOG);
        plan_in(job, sim_between(jobs->sim, 1, half_grace_ms), succeed);
    } else {
        succeed(job);
    }
}

/* A job with a schedule begins when its clock says so, and takes a moment; no two clocks agree. */
static uint64_t until_next_by_ms(struct job *job, const struct schedule *schedule)
{
    struct jobs *jobs = job->jobs;
    struct plain_cron cron;

    if (schedule == NULL || !plain_cron_read(schedule->expression, schedule->zone, &cron)) {
        return minutes_ms(jobs, job->period_minutes);
    }
    uint64_t now_ms = sim_now_ms(jobs->sim);
    return plain_cron_next_ms(&cron, now_ms + 1) - now_ms + sim_random(jobs->sim, minutes_ms(jobs, job->grace_minutes) / 4);
}

/* Asked to keep to another one, by whichever comes sooner. */
static uint64_t until_next_ms(struct job *job)
{
    uint64_t known_ms = until_next_by_ms(job, job->schedule);
    uint64_t wished_ms = job->edited ? until_next_by_ms(job, job->wished) : known_ms;

    return wished_ms < known_ms ? wished_ms : known_ms;
}

static void is_due(struct job *job)
{
    struct jobs *jobs = job->jobs;
    uint64_t next_ms = until_next_ms(job);

    if (!jobs->stopped && sim_chance(jobs->sim, 60)) {
        die(job);
        return;
    }
    if (!jobs->stopped && sim_chance(jobs->sim, 5)) {
        leave(job);
        return;
    }
    if (!jobs->stopped && sim_chance(jobs->sim, 30)) {
        edit(job);
        next_ms = until_next_ms(job);
    }
    if (!jobs->stopped && sim_chance(jobs->sim, 100)) { /* late by its own doing */
        next_ms += sim_random(jobs->sim, minutes_ms(jobs, job->grace_minutes) / 2);
    }
    if (job->ping == NULL) { /* else it still tries to tell of the last time */
        work(job);
    }
    plan_in(job, next_ms, is_due);
}

/* ---------------------------------------------------------------- beginning */

static void on_made(void *context, const struct client_answer *answer)
{
    struct job *job = context;
    struct jobs *jobs = job->jobs;

    if (!answer_ok(answer)) {
        history_violation(jobs->company->history, "P5: node %" PRIu64 " answers %u to a heartbeat that is right", answer->node, answer->status);
        return;
    }
    (void)snprintf(job->key, sizeof job->key, "%s", json_text_at(answer->json, "uuid"));
    take_rhythm(job, answer->json);
    job->alive = true;
    job->since_ms = sim_now_ms(jobs->sim);
    is_due(job);
}

void jobs_begin(struct jobs *jobs, unsigned count)
{
    struct company *company = jobs->company;

    for (unsigned i = 0; i < count && jobs->count < JOBS_MAX; i++) {
        struct job *job = &jobs->jobs[jobs->count];
        *job = (struct job){.jobs = jobs,
                            .number = jobs->count++,
                            .period_minutes = (unsigned)sim_between(jobs->sim, 1, PERIOD_MOST_MINUTES),
                            .grace_minutes = (unsigned)sim_between(jobs->sim, GRACE_LEAST_MINUTES, GRACE_MOST_MINUTES)};
        char *rhythm = rhythm_text(some_schedule(jobs), job->period_minutes, job->grace_minutes);
        ask_about(job, "POST", text_of("/api/v3/checks"),
                  text_of("{\"name\":\"job %u\",%s,\"service\":\"%s\"}", job->number, rhythm,
                          company->services[sim_random(jobs->sim, company->services_count)].id),
                  on_made);
        free(rhythm);
    }
}

void jobs_stop(struct jobs *jobs)
{
    jobs->stopped = true;
}

/* ---------------------------------------------------------------- the end */

/* NULL: either would do. A job that keeps to its schedule by its own clock may come too early by the cluster's. */
static const char *due_status(const struct job *job)
{
    uint64_t settled_ms = minutes_ms(job->jobs, SETTLED_MINUTES), now_ms = sim_now_ms(job->jobs->sim);

    if (job->schedule != NULL && (job->alive || job->schedule->apart_most_minutes == 0)) {
        return NULL;
    }
    settled_ms += job->schedule != NULL ? 2 * REAL_MINUTE_MS * job->schedule->apart_most_minutes : 0;

    if (job->gone || job->rests || job->failed || job->heard_ms == 0 || now_ms < job->since_ms + settled_ms) {
        return NULL;
    }
    if (!job->alive) {
        return now_ms < job->heard_ms + settled_ms ? NULL : "down";
    }
    return "up";
}

void jobs_audit(struct jobs *jobs, const struct client_answer *answer)
{
    json_t *check;
    size_t at;

    json_array_foreach(json_object_get(answer->json, "checks"), at, check)
    {
        const char *status = json_text_at(check, "status");
        for (unsigned i = 0; i < jobs->count; i++) {
            const struct job *job = &jobs->jobs[i];
            const char *due = strcmp(job->key, json_text_at(check, "uuid")) == 0 ? due_status(job) : NULL;
            bool lives = strcmp(status, "up") == 0 || strcmp(status, "grace") == 0;
            if (due == NULL) {
                continue;
            }
            sim_count(jobs->sim, "heartbeats judged at the end", 1);
            if (lives != (strcmp(due, "up") == 0)) {
                history_violation(jobs->company->history,
                                  "P6: everything is whole, job %u is %s for long, and node %" PRIu64 " says \"%s\" of its heartbeat",
                                  job->number, job->alive ? "alive" : "dead", answer->node, status);
            }
        }
    }
}
