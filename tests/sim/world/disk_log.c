/* The log on the simulated disk: groups, one sync each, in order. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/planted.h"
#include "tests/sim/world/disk_internal.h"

/* ---- entries, durable */

static size_t count(const struct disk *disk) { return (size_t)(disk->bounds.last_index + 1 - disk->bounds.first_index); }

static struct entry **place(const struct disk *disk, uint64_t index) {
    return &disk->entries[disk->entries_offset + (size_t)(index - disk->bounds.first_index)];
}

static void add(struct disk *disk, struct entry *entry) {
    size_t end = disk->entries_offset + count(disk);
    if (end == disk->entries_capacity && disk->entries_offset > end / 2) {
        memmove(disk->entries, disk->entries + disk->entries_offset, count(disk) * sizeof *disk->entries);
        disk->entries_offset = 0;
        end = count(disk);
    }
    if (end == disk->entries_capacity) {
        disk->entries_capacity = disk->entries_capacity ? disk->entries_capacity * 2 : 256;
        disk->entries = realloc(disk->entries, disk->entries_capacity * sizeof *disk->entries);
        if (disk->entries == NULL) abort();
    }
    disk->entries[end] = entry_ref(entry);
    disk->bounds.last_index++;
}

static void drop_from(struct disk *disk, uint64_t index) {
    while (disk->bounds.last_index >= index && disk->bounds.last_index >= disk->bounds.first_index) {
        entry_unref(*place(disk, disk->bounds.last_index));
        disk->bounds.last_index--;
    }
    if (disk->rotten_index > disk->bounds.last_index) disk->rotten_index = 0;
}

static void drop_below(struct disk *disk, uint64_t index, uint64_t most) {
    for (uint64_t dropped = 0; dropped < most && disk->bounds.first_index < index && count(disk) > 0; dropped++) {
        entry_unref(*place(disk, disk->bounds.first_index));
        disk->bounds.first_index++;
        disk->entries_offset++;
    }
    if (disk->rotten_index < disk->bounds.first_index) disk->rotten_index = 0;
}

static void carry_out(struct disk *disk, const struct log_operation *operation) {
    switch (operation->kind) {
    case LOG_SET_VOTE:
        disk->bounds.term = operation->term;
        disk->bounds.voted_for = operation->voted_for;
        return;
    case LOG_APPEND:
        assert(operation->first_index <= disk->bounds.last_index + 1 && operation->first_index >= disk->bounds.first_index);
        drop_from(disk, operation->first_index);
        for (size_t i = 0; i < operation->entries_count; i++) {
            uint64_t index = operation->first_index + i;
            uint64_t previous_term = index > disk->bounds.first_index ? (*place(disk, index - 1))->term : 0;
            add(disk, operation->entries[i]);
            if (disk->is_open) disk->listener.wrote(disk->listener.context, index, operation->entries[i], previous_term);
        }
        return;
    case LOG_RESET:
        drop_from(disk, disk->bounds.first_index);
        disk->bounds.first_index = operation->first_index;
        disk->bounds.last_index = operation->first_index - 1;
        disk->entries_offset = 0;
        return;
    case LOG_PRUNE:
        if (operation->first_index > disk->durable.position.index + 1)
            sim_violation(disk->sim, "the log is pruned up to entry %" PRIu64 ", and a power cut leaves the state at %" PRIu64,
                          operation->first_index, disk->durable.position.index);
        drop_below(disk, operation->first_index, LOG_PRUNE_STEP);
        return;
    }
    abort();
}

/* ---- groups */

static void free_list(struct log_operation *list) {
    while (list != NULL) {
        struct log_operation *next = list->next;
        log_operation_free(list);
        list = next;
    }
}

static void write_group(struct disk *disk) {
    for (struct log_operation *operation = disk->group; operation != NULL; operation = operation->next) {
        carry_out(disk, operation);
        disk->log_progress.ticket = operation->ticket;
    }
    free_list(disk->group);
    disk->group = NULL;
}

static void begin_group(struct disk *disk);

static void group_done(struct disk *disk, void *argument) {
    (void)argument;
    if (disk->broken) {
        disk->log_progress.failed = true;
        snprintf(disk->log_progress.failure.message, sizeof disk->log_progress.failure.message, "the log could not be written: no space left");
        disk->log_progress.failure.error = STORAGE_FULL;
        free_list(disk->group);
        disk->group = NULL;
        sim_count(disk->sim, "failed log writes", 1);
        disk_wake(disk);
        return;
    }
    write_group(disk);
    disk_wake(disk);
    if (disk->waiting != NULL) begin_group(disk);
}

static void begin_group(struct disk *disk) {
    disk->group = disk->waiting;
    disk->waiting = NULL;
    disk->waiting_end = &disk->waiting;
    disk->waiting_bytes = 0;
    disk_later(disk, disk_latency_ms(disk), group_done, NULL);
}

/* ---- ports */

static struct log_bounds port_log_bounds(void *context) { return disk_from(context)->bounds; }

static enum storage_error port_log_read(void *context, uint64_t index, struct entry **entry, struct storage_failure *failure) {
    struct disk *disk = disk_from(context);
    struct entry *found = disk_entry(disk, index);
    if (found == NULL) return STORAGE_NOT_FOUND;
    if (index == disk->rotten_index) {
        *failure = (struct storage_failure){.error = STORAGE_CORRUPT, .message = "the checksum is wrong"};
        return STORAGE_CORRUPT;
    }
    *entry = entry_ref(found);
    return STORAGE_OK;
}

static enum storage_error port_log_write(void *context, struct log_operation *const *group, size_t group_count, struct storage_failure *failure) {
    struct disk *disk = disk_from(context);
    (void)failure;
    for (size_t i = 0; i < group_count; i++) carry_out(disk, group[i]);
    return STORAGE_OK;
}

static void port_log_submit(void *context, struct log_operation *operation) {
    struct disk *disk = disk_from(context);
    if (disk->log_progress.failed) {
        log_operation_free(operation);
        return;
    }
    operation->next = NULL;
    *disk->waiting_end = operation;
    disk->waiting_end = &operation->next;
    for (size_t i = 0; i < operation->entries_count; i++) disk->waiting_bytes += operation->entries[i]->size_bytes;
    if (disk->group == NULL) begin_group(disk);
    if (planted(SYNC_SKIPPED)) {
        disk->log_progress.ticket = operation->ticket;
        disk_wake(disk);
    }
}

static struct log_progress port_log_drain(void *context) {
    struct disk *disk = disk_from(context);
    disk->log_progress.queued_bytes = disk->waiting_bytes;
    return disk->log_progress;
}

void disk_log_ports(struct engine_ports *ports) {
    ports->log_bounds = port_log_bounds;
    ports->log_read = port_log_read;
    ports->log_write = port_log_write;
    ports->log_submit = port_log_submit;
    ports->log_drain = port_log_drain;
}

/* ---- processes */

void disk_log_open(struct disk *disk) { disk->log_progress = (struct log_progress){0}; }

void disk_log_close(struct disk *disk, enum disk_end end) {
    /* A transaction is there or is not, whatever was on its way. */
    bool kept = end == DISK_STOPPED || (disk->group != NULL && sim_chance(disk->sim, 500));
    if (kept && !disk->broken && !disk->log_progress.failed) {
        write_group(disk);
        if (end == DISK_STOPPED && disk->waiting != NULL) {
            disk->group = disk->waiting;
            disk->waiting = NULL;
            write_group(disk);
        }
    }
    free_list(disk->group);
    free_list(disk->waiting);
    disk->group = disk->waiting = NULL;
    disk->waiting_end = &disk->waiting;
    disk->waiting_bytes = 0;
}

void disk_log_free(struct disk *disk) {
    drop_from(disk, disk->bounds.first_index);
    free(disk->entries);
}

/* ---- from outside */

struct entry *disk_entry(const struct disk *disk, uint64_t index) {
    if (index < disk->bounds.first_index || index > disk->bounds.last_index) return NULL;
    return *place(disk, index);
}

uint64_t disk_last_index(const struct disk *disk) { return disk->bounds.last_index; }
size_t disk_log_waiting(const struct disk *disk) { return disk->waiting_bytes; }
uint64_t disk_entries_count(const struct disk *disk) { return count(disk); }

bool disk_rot_log(struct disk *disk) {
    uint64_t last = disk->durable.position.index < disk->bounds.last_index ? disk->durable.position.index : disk->bounds.last_index;
    if (last < disk->bounds.first_index) return false;
    disk->rotten_index = sim_between(disk->sim, disk->bounds.first_index, last);
    return true;
}
