/*
 * The power is cut at every sync boundary of real work over the real files, and the node starts again.
 *
 * CRASH_STATES: how many cuts at least. CRASH_SEED: the first seed; each telling of the stories takes the next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/files.h"
#include "tests/crash/outage.h"

#define STATES 2000u
#define DIFFERENT_MIN 1000u
#define SABOTAGE_SEEDS 6u

static uint64_t setting(const char *name, uint64_t standard)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : standard;
}

static void a_node_survives_every_power_cut(void **state)
{
    (void)state;
    struct outage_tally tally = {0};
    uint64_t seed = setting("CRASH_SEED", 1), states = setting("CRASH_STATES", STATES);
    struct outage_options options = {.others_one_in = states > STATES ? 2 : 8};
    do {
        for (size_t i = 0; i < stories_count; i++) {
            outage_try(&stories[i], seed, &options, &tally);
        }
        seed++;
    } while (outage_tried(&tally) < states && tally.violations == 0);
    outage_tally_print(&tally);
    assert_int_equal(tally.violations, 0);
    assert_true(tally.digests_count >= DIFFERENT_MIN);
    for (unsigned kind = 0; kind < CUT_KINDS; kind++) {
        assert_true(tally.tried[kind] > 0);
    }
    assert_true(tally.tried_again > 0);
    outage_tally_close(&tally);
}

/* ---- the checks can fail */

static void assert_found(const struct story *story, const char *what, struct outage_options options)
{
    struct outage_tally tally = {0};
    options.others_one_in = 4;
    options.end_at_first = true;
    for (uint64_t seed = 1; seed <= SABOTAGE_SEEDS && tally.violations == 0; seed++) {
        outage_try(story, seed, &options, &tally);
    }
    printf("%s: found after %llu cuts: %s\n", what, (unsigned long long)outage_tried(&tally), tally.first_violation);
    assert_true(tally.violations > 0);
    outage_tally_close(&tally);
}

static void syncs_of_the_log_that_do_nothing_are_found(void **state)
{
    (void)state;
    assert_found(&stories[0], "the log is not synced", (struct outage_options){.lies = {.deaf_file = LOG_FILE}});
}

static void syncs_of_the_state_that_do_nothing_are_found(void **state)
{
    (void)state;
    assert_found(&stories[0], "the state is not synced", (struct outage_options){.lies = {.deaf_file = STATE_FILE}});
}

static void a_snapshot_that_is_named_before_it_is_synced_is_found(void **state)
{
    (void)state;
    assert_found(&stories[0], "a snapshot is not synced",
                 (struct outage_options){.lies = {.deaf_file = "taking.part"}});
}

static void an_install_that_is_not_synced_is_found(void **state)
{
    (void)state;
    assert_found(&stories[1], "the new state is not synced",
                 (struct outage_options){.lies = {.deaf_file = STATE_NEW_FILE}});
}

static void syncs_of_folders_that_do_nothing_are_found(void **state)
{
    (void)state;
    assert_found(&stories[1], "folders are not synced", (struct outage_options){.lies = {.deaf_folders = true}});
}

static void a_commit_taken_for_durable_is_found(void **state)
{
    (void)state;
    assert_found(&stories[0], "a commit counts as durable before its sync",
                 (struct outage_options){.sabotage = {.claims_early = true}});
}

static void a_log_pruned_before_the_state_is_durable_is_found(void **state)
{
    (void)state;
    assert_found(&stories[0], "the log is pruned up to what is applied",
                 (struct outage_options){.sabotage = {.prunes_early = true}});
}

static void a_log_reset_before_the_install_is_found(void **state)
{
    (void)state;
    assert_found(&stories[1], "the log is reset before the snapshot is in place",
                 (struct outage_options){.sabotage = {.resets_early = true}});
}

static void a_node_that_does_not_note_what_it_lost_is_found(void **state)
{
    (void)state;
    assert_found(&stories[3], "entries are lost and it is not noted",
                 (struct outage_options){.sabotage = {.forgets_recovering = true}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_survives_every_power_cut),
        cmocka_unit_test(syncs_of_the_log_that_do_nothing_are_found),
        cmocka_unit_test(syncs_of_the_state_that_do_nothing_are_found),
        cmocka_unit_test(a_snapshot_that_is_named_before_it_is_synced_is_found),
        cmocka_unit_test(an_install_that_is_not_synced_is_found),
        cmocka_unit_test(syncs_of_folders_that_do_nothing_are_found),
        cmocka_unit_test(a_commit_taken_for_durable_is_found),
        cmocka_unit_test(a_log_pruned_before_the_state_is_durable_is_found),
        cmocka_unit_test(a_log_reset_before_the_install_is_found),
        cmocka_unit_test(a_node_that_does_not_note_what_it_lost_is_found),
    };
    /* Files in memory: it is the recording that says what a sync covers, and not the disk below. */
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
