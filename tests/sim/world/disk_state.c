/* The state on the simulated disk: applied at once, committed in bulk, durable one sync later. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/disk_internal.h"

#define NEVER UINT64_MAX

static void step(struct disk *disk, void *argument);

static void set_step(struct disk *disk, uint64_t time_ms) {
    if (disk->step_ms <= time_ms) return;
    disk->step_ms = time_ms;
    uint64_t now_ms = sim_now_ms(disk->sim);
    disk_later(disk, time_ms > now_ms ? time_ms - now_ms : 0, step, NULL);
}

static void fail(struct disk *disk, const char *sentence) {
    disk->state_progress.failed = true;
    disk->state_progress.failure.error = STORAGE_IO;
    snprintf(disk->state_progress.failure.message, sizeof disk->state_progress.failure.message, "%s", sentence);
    disk_wake(disk);
}

/* ---- applying */

static struct machine_output *output_next(struct disk *disk, uint64_t index, uint64_t term) {
    if (disk->outputs_count == disk->outputs_capacity) {
        size_t capacity = disk->outputs_capacity ? disk->outputs_capacity * 2 : 16;
        disk->outputs = realloc(disk->outputs, capacity * sizeof *disk->outputs);
        if (disk->outputs == NULL) abort();
        for (size_t i = disk->outputs_capacity; i < capacity; i++) machine_output_init(&disk->outputs[i].output);
        disk->outputs_capacity = capacity;
    }
    struct disk_output *output = &disk->outputs[disk->outputs_count++];
    output->index = index;
    output->term = term;
    return &output->output;
}

static bool apply(struct disk *disk, uint64_t index, const struct entry *entry) {
    struct machine_output *output = output_next(disk, index, entry->term);
    struct machine_store view = rows_view(disk->applied.rows);
    struct state_position *position = &disk->applied.position;
    if (entry->type == ENTRY_COMMAND) {
        enum machine_error error = machine_apply(disk->machine, &view, entry->term, (struct span){entry->data, entry->size_bytes}, output);
        if (error != MACHINE_OK) {
            fail(disk, machine_error_message(error));
            return false;
        }
    } else {
        if (entry->type == ENTRY_CHANGE) {
            free(position->configuration);
            position->configuration = malloc(entry->size_bytes + 1u);
            if (position->configuration == NULL) abort();
            memcpy(position->configuration, entry->data, entry->size_bytes);
            position->configuration_size_bytes = entry->size_bytes;
            position->configuration_index = index;
        }
        machine_pass(&view, output);
    }
    position->index = index;
    position->term = entry->term;
    if (disk->uncommitted == 0) {
        disk->opened_ms = sim_now_ms(disk->sim);
        disk->uncommitted_commands = 0;
    }
    disk->uncommitted++;
    disk->uncommitted_commands += output->commands_applied;
    disk->quiet_since_ms = sim_now_ms(disk->sim);
    disk->state_progress.applied_index = index;
    disk->listener.applied(disk->listener.context, index, entry, output, rows_digest(disk->applied.rows));
    return true;
}

/* ---- commits */

static bool commit_is_due(const struct disk *disk) {
    if (disk->uncommitted == 0) return false;
    bool wanted = disk->wanted_index > disk->state_progress.committed_index && disk->wanted_index <= disk->applied.position.index;
    return wanted || disk->uncommitted >= STATE_COMMIT_ENTRIES || disk->uncommitted_commands >= STATE_COMMIT_COMMANDS ||
           sim_now_ms(disk->sim) - disk->opened_ms >= STATE_COMMIT_MS;
}

static void sync_done(struct disk *disk, void *argument) {
    (void)argument;
    disk->syncing = false;
    if (disk->broken) {
        fail(disk, "the state could not be written: no space left");
        sim_count(disk->sim, "failed state writes", 1);
        return;
    }
    disk->state_progress.durable_index = disk->committed.position.index;
    if (disk->sync_commits) { /* what was committed is durable */
        disk_version_copy(&disk->durable, &disk->committed);
        disk_version_copy(&disk->committed, &disk->applied);
        disk->state_progress.committed_index = disk->committed.position.index;
        disk->uncommitted = 0;
        sim_count(disk->sim, "state commits", 1);
    } else {
        disk_version_copy(&disk->durable, &disk->committed);
    }
    disk_wake(disk);
    set_step(disk, sim_now_ms(disk->sim));
}

static void begin_sync(struct disk *disk, bool commit) {
    disk->syncing = true;
    disk->sync_commits = commit;
    disk_later(disk, disk_latency_ms(disk), sync_done, NULL);
}

static void install(struct disk *disk) {
    assert(disk->verified.rows != NULL);
    disk_version_copy(&disk->applied, &disk->verified);
    disk_version_copy(&disk->committed, &disk->verified);
    disk_version_copy(&disk->durable, &disk->verified);
    disk_version_close(&disk->verified);
    uint64_t index = disk->applied.position.index;
    disk->uncommitted = 0;
    disk->submitted_index = index;
    disk->state_progress.applied_index = disk->state_progress.committed_index = disk->state_progress.durable_index = index;
    disk->state_progress.installed++;
    sim_count(disk->sim, "snapshots installed", 1);
    disk_wake(disk);
}

static struct disk_work take(struct disk *disk) {
    struct disk_work work = disk->queue[disk->queue_first++];
    if (--disk->queue_count == 0) disk->queue_first = 0;
    return work;
}

/* One turn of the writer's thread. */
static void step(struct disk *disk, void *argument) {
    (void)argument;
    if (sim_now_ms(disk->sim) < disk->step_ms) return; /* an earlier appointment was made since */
    disk->step_ms = NEVER;
    if (disk->syncing || disk->state_progress.failed) return;
    bool told = false;
    while (disk->queue_count > 0 && !commit_is_due(disk)) {
        struct disk_work work = take(disk);
        if (work.entry == NULL) {
            install(disk);
            continue;
        }
        bool ok = apply(disk, work.index, work.entry);
        entry_unref(work.entry);
        if (!ok) return;
        told = true;
    }
    disk->state_progress.queued_entries = disk->queue_count;
    if (told) disk_wake(disk);
    uint64_t now_ms = sim_now_ms(disk->sim), quiet_ms = disk->quiet_since_ms + STATE_IDLE_MS;
    if (commit_is_due(disk) || (disk->uncommitted > 0 && now_ms >= quiet_ms)) {
        begin_sync(disk, true);
    } else if (disk->uncommitted > 0) {
        uint64_t full_ms = disk->opened_ms + STATE_COMMIT_MS;
        set_step(disk, quiet_ms < full_ms ? quiet_ms : full_ms);
    } else if (disk->durable.position.index != disk->committed.position.index) {
        if (now_ms >= quiet_ms)
            begin_sync(disk, false);
        else
            set_step(disk, quiet_ms);
    }
}

/* ---- ports */

static void copy_position(struct state_position *to, const struct state_position *from) {
    *to = *from;
    to->configuration = malloc(from->configuration_size_bytes + 1);
    if (to->configuration == NULL) abort();
    if (from->configuration_size_bytes > 0) memcpy(to->configuration, from->configuration, from->configuration_size_bytes);
}

static enum storage_error port_state_position(void *context, struct state_position *position, struct storage_failure *failure) {
    (void)failure;
    copy_position(position, &disk_from(context)->committed.position);
    return STORAGE_OK;
}

static bool unreadable_get(void *context, enum machine_table table, struct span key, struct span *value) {
    const struct unreadable *unreadable = context;
    return unreadable->view.get(unreadable->view.context, table, key, value);
}

static bool unreadable_seek(void *context, enum machine_table table, struct span key, struct span *found_key, struct span *value) {
    struct unreadable *unreadable = context;
    unreadable->met |= table == unreadable->table;
    return unreadable->view.seek(unreadable->view.context, table, key, found_key, value);
}

static bool unreadable_seek_before(void *context, enum machine_table table, struct span key, struct span *found_key, struct span *value) {
    const struct unreadable *unreadable = context;
    return unreadable->view.seek_before(unreadable->view.context, table, key, found_key, value);
}

static uint64_t unreadable_count(void *context, enum machine_table table) {
    const struct unreadable *unreadable = context;
    return unreadable->view.count(unreadable->view.context, table);
}

void disk_set_unreadable(struct disk *disk, enum machine_table table) { disk->unreadable = (struct unreadable){.set = true, .table = table}; }

/* Readers do not overlap here. */
static struct machine_store unreadable_view(struct unreadable *unreadable, struct machine_store view) {
    unreadable->view = view;
    unreadable->met = false;
    return (struct machine_store){.context = unreadable, .get = unreadable_get, .seek = unreadable_seek, .seek_before = unreadable_seek_before,
                                  .count = unreadable_count};
}

static enum storage_error port_reader_begin(void *context, struct state_reader *reader, struct storage_failure *failure) {
    struct disk *disk = disk_from(context);
    (void)failure;
    struct rows *rows = rows_version(disk->committed.rows);
    reader->view = disk->unreadable.set ? unreadable_view(&disk->unreadable, rows_view(rows)) : rows_view(rows);
    reader->transaction = (struct state_read_transaction *)rows; /* opaque to the reader */
    reader->applied_index = disk->committed.position.index;
    return STORAGE_OK;
}

static enum storage_error port_reader_fault(void *context, const struct state_reader *reader, struct storage_failure *failure) {
    (void)reader;
    if (!disk_from(context)->unreadable.met) return STORAGE_OK;
    failure->error = STORAGE_IO;
    snprintf(failure->message, sizeof failure->message, DISK_UNREADABLE);
    return STORAGE_IO;
}

static void port_reader_end(void *context, struct state_reader *reader) {
    (void)context;
    rows_free((struct rows *)reader->transaction);
}

static void queue(struct disk *disk, uint64_t index, struct entry *entry) {
    if (disk->queue_first + disk->queue_count == disk->queue_capacity) {
        if (disk->queue_first > 0) {
            memmove(disk->queue, disk->queue + disk->queue_first, disk->queue_count * sizeof *disk->queue);
            disk->queue_first = 0;
        }
        if (disk->queue_count == disk->queue_capacity) {
            disk->queue_capacity = disk->queue_capacity ? disk->queue_capacity * 2 : 64;
            disk->queue = realloc(disk->queue, disk->queue_capacity * sizeof *disk->queue);
            if (disk->queue == NULL) abort();
        }
    }
    disk->queue[disk->queue_first + disk->queue_count++] = (struct disk_work){index, entry};
    disk->state_progress.queued_entries = disk->queue_count;
    set_step(disk, sim_now_ms(disk->sim));
}

static void port_state_apply(void *context, uint64_t index, struct entry *entry) {
    struct disk *disk = disk_from(context);
    assert(index == disk->submitted_index + 1);
    disk->submitted_index = index;
    queue(disk, index, entry_ref(entry));
}

static void port_state_want_commit(void *context) {
    struct disk *disk = disk_from(context);
    if (disk->wanted_index >= disk->submitted_index) return;
    disk->wanted_index = disk->submitted_index;
    set_step(disk, sim_now_ms(disk->sim));
}

static void port_state_install(void *context) { queue(disk_from(context), 0, NULL); }

static struct state_progress port_state_drain(void *context,
                                              void (*on_output)(void *context, uint64_t index, uint64_t term, const struct machine_output *output),
                                              void *output_context) {
    struct disk *disk = disk_from(context);
    for (size_t i = 0; i < disk->outputs_count; i++) {
        struct disk_output *output = &disk->outputs[i];
        on_output(output_context, output->index, output->term, &output->output);
        machine_output_reset(&output->output);
    }
    disk->outputs_count = 0;
    return disk->state_progress;
}

static void port_sizes(void *context, uint64_t *log_size_bytes, uint64_t *state_size_bytes) {
    struct disk *disk = disk_from(context);
    *log_size_bytes = disk_entries_count(disk);
    *state_size_bytes = rows_count(disk->committed.rows);
}

void disk_state_ports(struct engine_ports *ports) {
    ports->state_position = port_state_position;
    ports->reader_begin = port_reader_begin;
    ports->reader_fault = port_reader_fault;
    ports->reader_end = port_reader_end;
    ports->state_apply = port_state_apply;
    ports->state_want_commit = port_state_want_commit;
    ports->state_install = port_state_install;
    ports->state_drain = port_state_drain;
    ports->sizes = port_sizes;
}

/* ---- processes */

void disk_state_open(struct disk *disk) {
    if (disk->state_rotten) { /* found damaged, and put away */
        disk->state_rotten = false;
        disk_version_close(&disk->committed);
        disk->committed.rows = rows_new();
        sim_count(disk->sim, "states lost", 1);
    }
    disk_version_copy(&disk->applied, &disk->committed);
    disk_version_copy(&disk->durable, &disk->committed);
    uint64_t index = disk->committed.position.index;
    disk->state_progress = (struct state_progress){.applied_index = index, .committed_index = index, .durable_index = index};
    disk->submitted_index = disk->wanted_index = index;
    disk->step_ms = NEVER;
    disk->syncing = false;
    disk->uncommitted = 0;
}

void disk_state_close(struct disk *disk, enum disk_end end) {
    bool writable = !disk->broken && !disk->state_progress.failed;
    if (end == DISK_STOPPED && writable) disk_version_copy(&disk->committed, &disk->applied);
    if (end != DISK_STOPPED && writable && disk->syncing && disk->sync_commits && sim_chance(disk->sim, 300))
        disk_version_copy(&disk->committed, &disk->applied);
    else if (end == DISK_POWER_CUT && sim_chance(disk->sim, 500))
        disk_version_copy(&disk->committed, &disk->durable);
    while (disk->queue_count > 0) entry_unref(take(disk).entry);
    for (size_t i = 0; i < disk->outputs_count; i++) machine_output_reset(&disk->outputs[i].output);
    disk->outputs_count = 0;
}

void disk_state_free(struct disk *disk) {
    disk_version_close(&disk->applied);
    disk_version_close(&disk->committed);
    disk_version_close(&disk->durable);
    for (size_t i = 0; i < disk->outputs_capacity; i++) machine_output_close(&disk->outputs[i].output);
    free(disk->outputs);
    free(disk->queue);
    machine_free(disk->machine);
}

void disk_rot_state(struct disk *disk) { disk->state_rotten = true; }
bool disk_is_rotten(const struct disk *disk) { return disk->state_rotten || disk->rotten_index != 0; }

struct rows *disk_committed(struct disk *disk, uint64_t *index) {
    *index = disk->committed.position.index;
    return disk->committed.rows;
}

struct rows *disk_applied(struct disk *disk, uint64_t *index) {
    *index = disk->applied.position.index;
    return disk->applied.rows;
}
