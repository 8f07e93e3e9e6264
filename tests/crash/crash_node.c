/* The disk side of a node, driven one step at a time. */
#include "tests/crash/crash_node.h"

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/crash_node_check.h"

/* Far beyond the real clock, so that no wait of the writers ever ends by itself. */
#define STILL_START_MS 4000000000000ull
#define IDLE_MS 10u
#define CHUNK_SIZE_BYTES 30000u
#define CARRY_ON_ENTRIES 4u

/* ---- a clock that stands still */

static atomic_ullong still_ms = STILL_START_MS;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock == CLOCK_MONOTONIC) {
        uint64_t ms = atomic_load(&still_ms);
        *now = (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, clock, now);
}

/* ---- the log */

static void *must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

void crash_node_complain(struct crash_node *node, const char *format, ...)
{
    if (node->complaint[0] == '\0') {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(node->complaint, sizeof node->complaint, format, arguments);
        va_end(arguments);
    }
}

static bool is_well(const struct crash_node *node)
{
    return node->complaint[0] == '\0';
}

void crash_node_log_begin(struct crash_node *node, struct log_operation fields)
{
    if (!is_well(node)) {
        return;
    }
    log_history_write(&node->history, &fields);
    recording_note(NOTE_LOG_BEGUN, node->history.count - 1);
    struct log_operation *operation = must(malloc(sizeof *operation));
    *operation = fields;
    operation->ticket = ++node->ticket;
    if (fields.entries_count > 0) {
        operation->entries = must(calloc(fields.entries_count, sizeof(struct entry *)));
        for (size_t i = 0; i < fields.entries_count; i++) {
            operation->entries[i] = entry_ref(fields.entries[i]);
        }
    }
    log_writer_submit(node->log_writer, operation);
}

void crash_node_log_wait(struct crash_node *node)
{
    while (is_well(node)) {
        struct log_progress progress = log_writer_drain(node->log_writer);
        if (progress.failed) {
            crash_node_complain(node, "the log cannot be written: %s", progress.failure.message);
        } else if (progress.ticket >= node->ticket) {
            recording_note(NOTE_LOG_DONE, node->history.count - 1);
            return;
        } else {
            wake_bell_wait(&node->log_bell);
        }
    }
}

void crash_node_log(struct crash_node *node, struct log_operation operation)
{
    crash_node_log_begin(node, operation);
    crash_node_log_wait(node);
}

uint64_t crash_node_agreed(const struct crash_node *node)
{
    const struct log_model *model = log_history_last(&node->history);
    uint64_t index = model->bounds.first_index - 1;
    while (index < model->bounds.last_index && index < node->ledger->last_index &&
           log_model_entry(model, index + 1) == node->ledger->lines[index + 1].entry) {
        index++;
    }
    return index;
}

/* ---- the state */

static void ignore_output(void *context, uint64_t index, uint64_t term, const struct machine_output *output)
{
    (void)context;
    (void)index;
    (void)term;
    (void)output;
}

static void drain(struct crash_node *node)
{
    node->progress = state_writer_drain(node->state_writer, ignore_output, NULL);
    uint64_t durable = node->claims_early ? node->progress.committed_index : node->progress.durable_index;
    if (durable > node->durable_index) {
        node->durable_index = durable;
        recording_note(NOTE_STATE_DURABLE, durable);
    }
    if (node->progress.failed) {
        crash_node_complain(node, "the state cannot be kept: %s", node->progress.failure.message);
    }
}

void crash_node_apply(struct crash_node *node, uint64_t index)
{
    if (!is_well(node)) {
        return;
    }
    const struct log_model *model = log_history_last(&node->history);
    while (node->submitted < index) {
        struct entry *entry = log_model_entry(model, ++node->submitted);
        assert(entry);
        state_writer_apply(node->state_writer, node->submitted, entry);
    }
    for (drain(node); is_well(node) && node->progress.applied_index < index; drain(node)) {
        wake_bell_wait(&node->state_bell);
    }
}

void crash_node_commit_begin(struct crash_node *node)
{
    if (is_well(node)) {
        recording_note(NOTE_STATE_BEGUN, node->submitted);
        state_writer_want_commit(node->state_writer);
    }
}

void crash_node_commit_wait(struct crash_node *node)
{
    if (!is_well(node)) {
        return;
    }
    for (drain(node); is_well(node) && node->progress.committed_index < node->submitted; drain(node)) {
        wake_bell_wait(&node->state_bell);
    }
}

void crash_node_idle(struct crash_node *node)
{
    crash_node_commit_begin(node);
    crash_node_commit_wait(node);
    if (!is_well(node)) {
        return;
    }
    atomic_fetch_add(&still_ms, IDLE_MS);
    state_writer_want_commit(node->state_writer); /* wakes the thread, which finds that time has passed */
    for (drain(node); is_well(node) && node->progress.durable_index < node->submitted; drain(node)) {
        wake_bell_wait(&node->state_bell);
    }
}

/* ---- snapshots */

void crash_node_take_snapshot(struct crash_node *node)
{
    struct snapshot *snapshot;
    struct storage_failure failure;
    if (!is_well(node)) {
        return;
    }
    if (snapshot_take(node->state, node->dir, &snapshot, &failure) != STORAGE_OK) {
        crash_node_complain(node, "no snapshot can be taken: %s", failure.message);
        return;
    }
    recording_note(NOTE_SNAPSHOT_TAKEN, snapshot->position.index);
    snapshot_free(snapshot);
}

static struct snapshot *receive(struct crash_node *node)
{
    static uint8_t chunk[CHUNK_SIZE_BYTES];
    struct storage_failure failure = {.error = STORAGE_OK};
    struct snapshot *staged = NULL;
    int fd = open(node->peer_snapshot, O_RDONLY | O_CLOEXEC);
    assert(fd >= 0);
    ssize_t got;
    enum storage_error error = STORAGE_OK;
    for (uint64_t offset = 0; !error && (got = pread(fd, chunk, sizeof chunk, (off_t)offset)) > 0;
         offset += (uint64_t)got) {
        error = snapshot_stage_chunk(node->dir, offset, chunk, (size_t)got, &failure);
    }
    close(fd);
    if (error || snapshot_stage_finish(node->dir, &staged, &failure) != STORAGE_OK) {
        crash_node_complain(node, "the peer's snapshot is not taken: %s", failure.message);
    }
    return staged;
}

void crash_node_fetch_snapshot(struct crash_node *node)
{
    struct snapshot *staged = is_well(node) ? receive(node) : NULL;
    if (!staged) {
        return;
    }
    uint64_t index = staged->position.index, installed = node->progress.installed;
    recording_note(NOTE_INSTALL, index);
    state_writer_install(node->state_writer, staged);
    node->submitted = index;
    for (drain(node); is_well(node) && node->progress.installed == installed; drain(node)) {
        wake_bell_wait(&node->state_bell);
    }
    recording_note(NOTE_STATE_WHOLE, 0);
    crash_node_log(node, (struct log_operation){.kind = LOG_RESET, .first_index = index + 1});
}

/* ---- start and end */

void crash_node_init(struct crash_node *node, const char *dir, struct ledger *ledger)
{
    *node = (struct crash_node){.ledger = ledger};
    int size = snprintf(node->dir, sizeof node->dir, "%s", dir);
    assert(size > 0 && (size_t)size < sizeof node->dir);
    wake_bell_init(&node->log_bell);
    wake_bell_init(&node->state_bell);
}

void crash_node_close(struct crash_node *node)
{
    log_history_close(&node->history);
    wake_bell_close(&node->log_bell);
    wake_bell_close(&node->state_bell);
}

static void start_writers(struct crash_node *node)
{
    struct storage_failure failure;
    if (log_writer_start(node->log, wake_bell_ring, &node->log_bell, &node->log_writer, &failure) != STORAGE_OK ||
        state_writer_start(node->state, wake_bell_ring, &node->state_bell, &node->state_writer, &failure) !=
            STORAGE_OK) {
        crash_node_complain(node, "the writers do not start: %s", failure.message);
        return;
    }
    node->submitted = node->start_index;
    node->durable_index = 0;
    drain(node);
}

/* The entries that the node's log had beyond a state that was lost: until they are covered again it does not vote. */
static void set_recovering(struct crash_node *node, uint64_t index)
{
    char error[256];
    if (is_well(node) && !node->forgets_recovering &&
        data_dir_set_recovering(node->dir, index, error, sizeof error) != DATA_DIR_OK) {
        crash_node_complain(node, "recovering cannot be noted: %s", error);
    }
    recording_note(NOTE_RECOVERING, index);
}

static void claim(struct crash_node *node)
{
    char error[256];
    if (data_dir_claim(node->dir, CLUSTER_NAME, NODE_ID, error, sizeof error) != DATA_DIR_OK) {
        crash_node_complain(node, "the data directory cannot be claimed: %s", error);
    }
    recording_note(NOTE_CLAIMED, 0);
}

void crash_node_start(struct crash_node *node, const struct promise *promise)
{
    uint64_t recovering_index = 0;
    bool fresh = false;
    crash_node_check_directory(node, promise, &fresh);
    crash_node_check_log(node, promise);
    crash_node_check_state(node, promise);
    crash_node_check_rest(node, promise, &recovering_index);
    if (!is_well(node)) {
        return;
    }
    start_writers(node);
    recording_note(NOTE_BOOT, node->boot); /* from here on others may hear of it */
    if (fresh) {
        claim(node);
    }
    if (!is_well(node)) {
        return;
    }
    struct log_bounds bounds = log_history_last(&node->history)->bounds;
    if (bounds.first_index > node->start_index + 1 || recovering_index > node->start_index) {
        uint64_t lost_index = bounds.last_index > recovering_index ? bounds.last_index : recovering_index;
        set_recovering(node, lost_index);
        crash_node_log(node, (struct log_operation){.kind = LOG_RESET, .first_index = node->start_index + 1});
        crash_node_fetch_snapshot(node);
        if (node->submitted >= lost_index) {
            set_recovering(node, 0);
        }
    } else if (log_history_last(&node->history)->bounds.last_index < node->start_index ||
               (bounds.first_index <= node->start_index && crash_node_agreed(node) < node->start_index)) {
        crash_node_log(node, (struct log_operation){.kind = LOG_RESET, .first_index = node->start_index + 1});
    }
}

void crash_node_stop(struct crash_node *node)
{
    if (node->state_writer) {
        recording_note(NOTE_STATE_BEGUN, node->submitted);
        state_writer_stop(node->state_writer);
        if (is_well(node)) {
            recording_note(NOTE_STATE_DURABLE, node->submitted);
        }
    }
    log_writer_stop(node->log_writer);
    state_store_close(node->state);
    log_store_close(node->log);
    node->state_writer = NULL;
    node->log_writer = NULL;
    node->state = NULL;
    node->log = NULL;
}

/* ---- what follows */

void crash_node_replay(struct crash_node *node)
{
    if (is_well(node)) {
        uint64_t agreed = crash_node_agreed(node);
        crash_node_apply(node, agreed > node->submitted ? agreed : node->submitted);
        crash_node_idle(node);
        recording_note(NOTE_STATE_WHOLE, 0);
        crash_node_check_tables(node);
    }
}

void crash_node_carry_on(struct crash_node *node)
{
    if (!is_well(node)) {
        return;
    }
    uint64_t agreed = crash_node_agreed(node);
    struct log_bounds bounds = log_history_last(&node->history)->bounds;
    struct entry *entries[CARRY_ON_ENTRIES];
    size_t count = 0;
    while (count < CARRY_ON_ENTRIES && agreed + count < node->ledger->last_index) {
        entries[count] = node->ledger->lines[agreed + 1 + count].entry;
        count++;
    }
    crash_node_log(node, (struct log_operation){.kind = LOG_SET_VOTE, .term = bounds.term + 7, .voted_for = 3});
    crash_node_log(node, (struct log_operation){.kind = LOG_APPEND, .first_index = agreed + 1, .entries = entries,
                                                .entries_count = count});
    crash_node_apply(node, agreed + count);
    crash_node_idle(node);
    crash_node_log(node, (struct log_operation){.kind = LOG_PRUNE, .first_index = agreed});
    crash_node_check_tables(node);
}
