/* The driver's view of the log: what must be in memory is, and what may leave does when it no longer fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consensus/driver/driver_log.h"

#define ENTRY_SIZE_BYTES 10u
#define CACHED_ENTRIES 5u

struct disk {
    unsigned reads;
    bool broken;
};

static struct entry *new_entry(uint64_t index)
{
    struct entry *entry = entry_new(index, ENTRY_COMMAND, ENTRY_SIZE_BYTES); /* its term tells which one it is */
    for (unsigned i = 0; i < ENTRY_SIZE_BYTES; i++) {
        entry->data[i] = (uint8_t)i;
    }
    return entry;
}

static struct entry *read_disk(void *context, uint64_t index)
{
    struct disk *disk = context;
    disk->reads++;
    return disk->broken ? NULL : new_entry(index);
}

static void append(struct driver_log *log, uint64_t first, uint64_t last)
{
    for (uint64_t index = first; index <= last; index++) {
        struct entry *entry = new_entry(index);
        driver_log_append(log, entry);
        entry_unref(entry);
    }
}

static void assert_has(struct driver_log *log, uint64_t first, uint64_t last)
{
    assert_int_equal(log->last, last);
    for (uint64_t index = first; index <= last; index++) {
        struct entry *entry = driver_log_get(log, index);
        assert_non_null(entry);
        assert_int_equal(entry->term, index);
        entry_unref(entry);
    }
}

static struct driver_log new_log(struct disk *disk)
{
    struct driver_log log;
    *disk = (struct disk){0};
    driver_log_init(&log, CACHED_ENTRIES * ENTRY_SIZE_BYTES, read_disk, disk);
    return log;
}

static void test_what_is_not_settled_stays_in_memory(void **state)
{
    (void)state;
    struct disk disk;
    struct driver_log log = new_log(&disk);
    append(&log, 1, 1000);
    assert_has(&log, 1, 1000);
    assert_int_equal(disk.reads, 0);
    driver_log_close(&log);
}

static void test_what_is_settled_leaves_when_it_does_not_fit(void **state)
{
    (void)state;
    struct disk disk;
    struct driver_log log = new_log(&disk);
    append(&log, 1, 20);
    driver_log_settle(&log, 4);
    assert_has(&log, 1, 20);
    assert_int_equal(disk.reads, 0);
    driver_log_settle(&log, 12);
    assert_int_equal(log.cached_bytes, CACHED_ENTRIES * ENTRY_SIZE_BYTES);
    assert_has(&log, 1, 20);
    assert_int_equal(disk.reads, 12 - CACHED_ENTRIES);
    disk.broken = true;
    assert_null(driver_log_get(&log, 1));
    driver_log_close(&log);
}

static void test_a_truncated_log_goes_on_from_there(void **state)
{
    (void)state;
    struct disk disk;
    struct driver_log log = new_log(&disk);
    append(&log, 1, 300);
    driver_log_settle(&log, 9);
    driver_log_truncate(&log, 10);
    assert_int_equal(log.last, 9);
    append(&log, 10, 600);
    assert_has(&log, 1, 600);
    driver_log_close(&log);
}

static void test_a_pruned_log_begins_later(void **state)
{
    (void)state;
    struct disk disk;
    struct driver_log log = new_log(&disk);
    append(&log, 1, 20);
    driver_log_settle(&log, 20);
    driver_log_prune(&log, 10);
    assert_int_equal(log.first, 10);
    assert_has(&log, 10, 20);
    driver_log_prune(&log, 18);
    assert_int_equal(log.cached_bytes, 3 * ENTRY_SIZE_BYTES);
    driver_log_prune(&log, 21);
    assert_int_equal(log.cached_bytes, 0);
    append(&log, 21, 22);
    assert_has(&log, 21, 22);
    driver_log_reset(&log, 100);
    assert_int_equal(log.last, 99);
    append(&log, 100, 103);
    assert_has(&log, 100, 103);
    driver_log_close(&log);
}

static void test_a_restored_log_holds_its_newest_entries(void **state)
{
    (void)state;
    struct disk disk;
    struct driver_log log = new_log(&disk);
    driver_log_restore(&log, 5, 500, 498);
    for (uint64_t index = 500; index > 496; index--) {
        struct entry *entry = new_entry(index);
        driver_log_hold(&log, entry);
        entry_unref(entry);
    }
    assert_int_equal(log.cached_bytes, 2 * ENTRY_SIZE_BYTES);
    append(&log, 501, 510);
    assert_has(&log, 5, 510);
    assert_int_equal(disk.reads, 497 - 5);
    driver_log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_settled_stays_in_memory),
        cmocka_unit_test(test_what_is_settled_leaves_when_it_does_not_fit),
        cmocka_unit_test(test_a_truncated_log_goes_on_from_there),
        cmocka_unit_test(test_a_pruned_log_begins_later),
        cmocka_unit_test(test_a_restored_log_holds_its_newest_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
