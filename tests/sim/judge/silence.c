/* P6 from outside. */
#include "tests/sim/judge/silence.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_MAX 64u
/* Cluster time may run half a percent fast, and nodes drift. */
#define FAST_PARTS 50u
#define SLACK_MS 1000u
/* So much later than its time a ping is still punctual: a part of the grace. */
#define PUNCTUAL_PARTS 8u
/* Tries in vain that say something of the cluster, and not of one node. */
#define NODES_TRIED_MIN 8u

struct job {
    char key[SILENCE_KEY_SIZE];
    uint64_t period_ms, grace_ms;
    uint64_t heard_ms;   /* when the last ping that was answered was sent; 0: none */
    uint64_t started_ms; /* 0: no run is under way, as far as was told */
    uint64_t trying_ms;  /* since when; 0: it does not */
    unsigned nodes_tried;
    bool excused;
};

struct silence {
    void (*violation)(void *context, const char *sentence);
    void *context;
    struct job jobs[JOBS_MAX];
    unsigned jobs_count;
};

struct silence *silence_new(void (*violation)(void *context, const char *sentence), void *context)
{
    struct silence *silence = calloc(1, sizeof *silence);

    if (silence == NULL) {
        abort();
    }
    silence->violation = violation;
    silence->context = context;
    return silence;
}

void silence_free(struct silence *silence)
{
    free(silence);
}

static struct job *job_of(struct silence *silence, const char *key)
{
    for (unsigned i = 0; i < silence->jobs_count; i++) {
        if (strcmp(silence->jobs[i].key, key) == 0) {
            return &silence->jobs[i];
        }
    }
    return NULL;
}

void silence_job(struct silence *silence, const char *key, uint64_t period_ms, uint64_t grace_ms)
{
    struct job *job = job_of(silence, key);

    if (job == NULL) {
        if (silence->jobs_count == JOBS_MAX) {
            abort();
        }
        job = &silence->jobs[silence->jobs_count++];
        (void)snprintf(job->key, sizeof job->key, "%s", key);
    }
    job->period_ms = period_ms;
    job->grace_ms = grace_ms;
}

void silence_excused(struct silence *silence, const char *key)
{
    job_of(silence, key)->excused = true;
}

void silence_started(struct silence *silence, const char *key, uint64_t true_ms)
{
    job_of(silence, key)->started_ms = true_ms;
}

void silence_heard(struct silence *silence, const char *key, uint64_t sent_true_ms)
{
    struct job *job = job_of(silence, key);

    job->heard_ms = sent_true_ms > job->heard_ms ? sent_true_ms : job->heard_ms;
    job->started_ms = job->started_ms > sent_true_ms ? job->started_ms : 0;
    job->trying_ms = 0;
    job->nodes_tried = 0;
    job->excused = false;
}

void silence_tries(struct silence *silence, const char *key, uint64_t true_ms)
{
    struct job *job = job_of(silence, key);

    job->trying_ms = true_ms;
    job->nodes_tried = 0;
}

void silence_tried(struct silence *silence, const char *key, unsigned nodes)
{
    job_of(silence, key)->nodes_tried = nodes;
}

void silence_dies(struct silence *silence, const char *key)
{
    job_of(silence, key)->trying_ms = 0;
}

static void __attribute__((format(printf, 2, 3))) broken(struct silence *silence, const char *format, ...)
{
    char sentence[256];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    silence->violation(silence->context, sentence);
}

/* When it could be said at the earliest, had the cluster heard everything. */
static uint64_t earliest_ms(const struct job *job)
{
    uint64_t by_schedule_ms = job->heard_ms + job->period_ms + job->grace_ms;
    uint64_t by_run_ms = job->started_ms + job->grace_ms;

    return job->started_ms != 0 && by_run_ms < by_schedule_ms ? by_run_ms : by_schedule_ms;
}

void silence_said(struct silence *silence, const char *key, uint64_t true_ms)
{
    const struct job *job = job_of(silence, key);

    if (job == NULL || job->excused || job->heard_ms == 0) {
        return;
    }
    uint64_t slack_ms = SLACK_MS + (job->period_ms + job->grace_ms) / FAST_PARTS;
    if (true_ms + slack_ms < earliest_ms(job)) {
        broken(silence, "P6: heartbeat %s is said to be silent, and it was heard %" PRIu64 " ms ago (period %" PRIu64 ", grace %" PRIu64 ")",
               key, true_ms - job->heard_ms, job->period_ms, job->grace_ms);
    }
    uint64_t punctual_ms = job->heard_ms + job->period_ms + job->grace_ms / PUNCTUAL_PARTS;
    bool tries = job->trying_ms != 0 && job->trying_ms <= punctual_ms && job->nodes_tried >= NODES_TRIED_MIN;
    if (tries && job->started_ms == 0) {
        broken(silence, "P6: heartbeat %s is said to be silent, and its job has tried nodes %u times in vain for %" PRIu64 " ms", key,
               job->nodes_tried, true_ms - job->trying_ms);
    }
}
