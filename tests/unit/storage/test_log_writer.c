/* The log's thread: what it takes becomes durable in order, and nothing after a failure ever does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/log_writer.h"
#include "tests/support/disk_faults.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/wake_bell.h"

struct story {
    struct scratch_dir dir;
    struct wake_bell bell;
    atomic_bool hold; /* the writer's thread waits in its wake until `release` is rung */
    struct wake_bell release;
    struct log_store *store;
    struct log_writer *writer;
    struct storage_failure failure;
};

static void ring(void *context)
{
    struct story *story = context;
    wake_bell_ring(&story->bell);
    if (atomic_load(&story->hold)) {
        wake_bell_wait(&story->release);
    }
}

static int given_a_writer(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->dir = scratch_dir_make();
    wake_bell_init(&story->bell);
    wake_bell_init(&story->release);
    assert_int_equal(log_store_open(story->dir.path, 1u << 30, &story->store, &story->failure), STORAGE_OK);
    assert_int_equal(log_writer_start(story->store, ring, story, &story->writer, &story->failure), STORAGE_OK);
    *state = story;
    return 0;
}

static int clear(void **state)
{
    struct story *story = *state;
    log_writer_stop(story->writer);
    log_store_close(story->store);
    wake_bell_close(&story->bell);
    wake_bell_close(&story->release);
    scratch_dir_remove(&story->dir);
    free(story);
    return 0;
}

static struct log_operation *operation(enum log_operation_kind kind, uint64_t ticket)
{
    struct log_operation *new = calloc(1, sizeof *new);
    assert_non_null(new);
    new->kind = kind;
    new->ticket = ticket;
    return new;
}

static void submit_entry(struct story *story, uint64_t ticket, uint64_t index, struct entry *entry)
{
    struct log_operation *append = operation(LOG_APPEND, ticket);
    append->first_index = index;
    append->entries = malloc(sizeof *append->entries);
    assert_non_null(append->entries);
    append->entries[0] = entry;
    append->entries_count = 1;
    log_writer_submit(story->writer, append);
}

static struct entry *entry_of_size(uint64_t term, uint32_t size_bytes)
{
    struct entry *entry = entry_new(term, ENTRY_COMMAND, size_bytes);
    memset(entry->data, 'e', size_bytes);
    return entry;
}

static struct log_progress wait_for_ticket(struct story *story, uint64_t ticket)
{
    struct log_progress progress = log_writer_drain(story->writer);
    while (progress.ticket < ticket && !progress.failed) {
        wake_bell_wait(&story->bell);
        struct log_progress next = log_writer_drain(story->writer);
        assert_true(next.ticket >= progress.ticket);
        progress = next;
    }
    return progress;
}

static void a_ticket_is_reported_when_it_is_durable_and_not_before(void **state)
{
    struct story *story = *state;
    for (uint64_t index = 1; index <= 500; index++) {
        submit_entry(story, index, index, entry_of_size(1, 50));
        struct log_progress progress = log_writer_drain(story->writer);
        assert_true(progress.ticket <= log_store_bounds(story->store).last_index);
        assert_false(progress.failed);
    }
    struct log_progress progress = wait_for_ticket(story, 500);
    assert_int_equal(progress.ticket, 500);
    assert_int_equal(progress.queued_bytes, 0);
    assert_int_equal(log_store_bounds(story->store).last_index, 500);
}

static void operations_of_every_kind_keep_their_order(void **state)
{
    struct story *story = *state;
    struct log_operation *vote = operation(LOG_SET_VOTE, 1), *second_vote = operation(LOG_SET_VOTE, 4);
    struct log_operation *prune = operation(LOG_PRUNE, 6), *reset = operation(LOG_RESET, 7);
    vote->term = 1;
    vote->voted_for = 1;
    second_vote->term = 2;
    second_vote->voted_for = 3;
    prune->first_index = 2;
    reset->first_index = 51;
    log_writer_submit(story->writer, vote);
    submit_entry(story, 2, 1, entry_of_size(1, 10));
    submit_entry(story, 3, 2, entry_of_size(1, 10));
    log_writer_submit(story->writer, second_vote);
    submit_entry(story, 5, 2, entry_of_size(2, 10)); /* in the place of the entry of term 1 */
    log_writer_submit(story->writer, prune);
    assert_int_equal(wait_for_ticket(story, 6).ticket, 6);

    struct log_bounds bounds = log_store_bounds(story->store);
    struct entry *entry;
    assert_int_equal(bounds.first_index, 2);
    assert_int_equal(bounds.last_index, 2);
    assert_int_equal(bounds.term, 2);
    assert_int_equal(bounds.voted_for, 3);
    assert_int_equal(log_store_read(story->store, 2, &entry, &story->failure), STORAGE_OK);
    assert_int_equal(entry->term, 2);
    entry_unref(entry);

    log_writer_submit(story->writer, reset);
    submit_entry(story, 8, 51, entry_of_size(2, 10));
    assert_int_equal(wait_for_ticket(story, 8).ticket, 8);
    bounds = log_store_bounds(story->store);
    assert_int_equal(bounds.first_index, 51);
    assert_int_equal(bounds.last_index, 51);
}

static void all_that_waits_shares_one_sync(void **state)
{
    struct story *story = *state;
    atomic_store(&story->hold, true);
    submit_entry(story, 1, 1, entry_of_size(1, 200));
    wake_bell_wait(&story->bell); /* the first is written, and the thread is held */
    unsigned before = disk_faults_syncs();
    for (uint64_t index = 2; index <= 2000; index++) {
        submit_entry(story, index, index, entry_of_size(1, 200));
    }
    assert_int_equal(log_writer_drain(story->writer).queued_bytes, 1999 * 200);
    atomic_store(&story->hold, false);
    wake_bell_ring(&story->release);
    assert_int_equal(wait_for_ticket(story, 2000).ticket, 2000);
    assert_int_equal(disk_faults_syncs() - before, 1);
}

static void an_entry_is_let_go_once_it_is_written(void **state)
{
    struct story *story = *state;
    struct entry *entry = entry_of_size(1, 1000);
    submit_entry(story, 1, 1, entry_ref(entry));
    assert_int_equal(wait_for_ticket(story, 1).ticket, 1);
    assert_int_equal(atomic_load(&entry->references), 1);
    entry_unref(entry);
}

static void stopping_finishes_what_is_queued(void **state)
{
    struct story *story = *state;
    for (uint64_t index = 1; index <= 300; index++) {
        submit_entry(story, index, index, entry_of_size(1, 100));
    }
    log_writer_stop(story->writer);
    story->writer = NULL;
    assert_int_equal(log_store_bounds(story->store).last_index, 300);
}

static void a_writer_that_failed_stays_failed(void **state)
{
    struct story *story = *state;
    submit_entry(story, 1, 1, entry_of_size(1, 100));
    assert_int_equal(wait_for_ticket(story, 1).ticket, 1);

    disk_faults_fail_syncs(true);
    submit_entry(story, 2, 2, entry_of_size(1, 100));
    struct log_progress progress = wait_for_ticket(story, 2);
    disk_faults_fail_syncs(false);
    assert_true(progress.failed);
    assert_int_equal(progress.ticket, 1);
    assert_int_equal(progress.failure.error, STORAGE_IO);
    assert_non_null(strstr(progress.failure.message, "log.mdb"));

    /* The disk is well again; this writer is not. */
    struct entry *entry = entry_of_size(1, 100);
    submit_entry(story, 3, 2, entry_ref(entry));
    while ((progress = log_writer_drain(story->writer)).queued_bytes > 0) {
        wake_bell_wait(&story->bell);
    }
    assert_true(progress.failed);
    assert_int_equal(progress.ticket, 1);
    assert_int_equal(atomic_load(&entry->references), 1);
    entry_unref(entry);
    assert_int_equal(log_store_bounds(story->store).last_index, 1);
}

int main(void)
{
#define STORY(test) cmocka_unit_test_setup_teardown(test, given_a_writer, clear)
    const struct CMUnitTest tests[] = {
        STORY(a_ticket_is_reported_when_it_is_durable_and_not_before),
        STORY(operations_of_every_kind_keep_their_order),
        STORY(all_that_waits_shares_one_sync),
        STORY(an_entry_is_let_go_once_it_is_written),
        STORY(stopping_finishes_what_is_queued),
        STORY(a_writer_that_failed_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
