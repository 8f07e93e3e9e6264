/*
 * Which mute fits an alert: all matchers of a mute must hold of its labels.
 *
 *     label                                           of the alert
 *     service, service_id, integration                where it came in, by name and id
 *     summary, source, severity, component, group,    as the event said
 *     class, client, dedup_key
 *     custom_details.NAME, or NAME alone              a field of the event's details
 *
 * Of an alert of Prometheus its own labels come before all of these.
 *
 * A label that the alert does not have is "", as with Alertmanager; its expressions are anchored at both ends. Expressions
 * are those of node/orchestration/pattern.h, in bounded time; one that asks for more than its steps fits nothing, so that
 * the alert pages.
 */
#ifndef NODE_SUPPRESSION_MUTE_MATCH_H
#define NODE_SUPPRESSION_MUTE_MATCH_H

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "node/orchestration/facts.h"

/* Mutes that are not over, compiled. */
struct mute_set;

struct mute_set *mute_set_new(const struct machine_store *view);
void mute_set_free(struct mute_set *set); /* NULL: nothing */
/* The revision of the mutes that it was made of. */
uint64_t mute_set_revision(const struct mute_set *set);
/* The id of the mute in force that fits the alert, of several the one that ends last; 0: none. */
uint64_t mute_set_find(const struct mute_set *set, const struct machine_store *view, const Tocsin__Alert *alert,
                       uint64_t now_ms);
/*
 * Of the alerts that wait for a verdict the first: as many as are looked at within MUTE_STEPS_PER_TURN, but one at least;
 * none when none waits. Their number.
 */
size_t mute_set_judge(const struct mute_set *set, const struct machine_store *view, uint64_t now_ms,
                      Tocsin__MuteVerdict verdicts[LIMIT_VERDICTS_PER_COMMAND]);
/* Some 40 ms, in steps of expressions; with the last alert, which may need STEPS_PER_EVENT, 50. Steps and not time, so that
 * the simulator sees the same turns again. */
#define MUTE_STEPS_PER_TURN (4u * STEPS_PER_EVENT)

/* An expression as matchers use it. False: `error` says why in half a sentence. */
bool matcher_is_sound(const Tocsin__Matcher *matcher, char error[PATTERN_ERROR_SIZE_BYTES]);
/* Whether it holds of this label. */
bool matcher_holds(const Tocsin__Matcher *matcher, const char *label);

/* A matcher for many labels, compiled once; the matcher is borrowed. */
struct label_test;
struct label_test *label_test_new(const Tocsin__Matcher *matcher);
void label_test_free(struct label_test *test); /* NULL: nothing */
/* Takes from *steps_left what it needs; when nothing is left, it does not hold. */
bool label_test_holds(const struct label_test *test, const char *label, uint64_t *steps_left);

#endif
