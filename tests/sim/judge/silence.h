/*
 * P6 from outside: what jobs know of their own pings, in true time, held against what the cluster says of them.
 *
 * Two things must not be. A heartbeat that was heard less than its period and its grace ago is said to be silent. And a
 * job that lives, and since its time has tried one node after the other in vain, is paged for: then it was not the job
 * that was silent.
 *
 * It knows nothing of the machine, of ticks and gaps. What the cluster says comes from the model, which the state is
 * held against.
 */
#ifndef TESTS_SIM_JUDGE_SILENCE_H
#define TESTS_SIM_JUDGE_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SILENCE_KEY_SIZE 40u

struct silence;

struct silence *silence_new(void (*violation)(void *context, const char *sentence), void *context);
void silence_free(struct silence *silence);

/* A job with this key has, or may have, this period and grace from now on: while a change is under way the shorter. */
void silence_job(struct silence *silence, const char *key, uint64_t period_ms, uint64_t grace_ms);
/* It is paused, or deleted, or may be: nothing is judged before it is heard again. */
void silence_excused(struct silence *silence, const char *key);

/* A run is being told, sent first now. */
void silence_started(struct silence *silence, const char *key, uint64_t true_ms);
/* A ping that says that it lives, sent at that time, was answered with OK; or one that says that it failed. */
void silence_heard(struct silence *silence, const char *key, uint64_t sent_true_ms);
/* It begins to ping, and will try on until it is heard, or dies; `nodes`: how many were tried in vain so far. */
void silence_tries(struct silence *silence, const char *key, uint64_t true_ms);
void silence_tried(struct silence *silence, const char *key, unsigned nodes);
/* It says no more. */
void silence_dies(struct silence *silence, const char *key);

/* The cluster says that it is silent. */
void silence_said(struct silence *silence, const char *key, uint64_t true_ms);

#endif
