/* The disk as a whole: processes come and go, it stays. */
#include "tests/sim/world/disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/disk_internal.h"

static struct disk *(*disk_of_context)(void *context);

struct disk *disk_from(void *context) { return disk_of_context(context); }

uint64_t disk_latency_ms(struct disk *disk) { return sim_between(disk->sim, disk->least_ms, disk->most_ms); }

#define STILL_STEP_MS 10u /* how often something looks whether a process moves again */

struct later {
    struct disk *disk;
    uint64_t process;
    bool on_loop;
    void (*run)(struct disk *disk, void *argument);
    void *argument;
};

static void run_later(void *context) {
    struct later later = *(struct later *)context;
    struct disk *disk = later.disk;
    bool there = disk->is_open && disk->process == later.process;
    if (there && later.on_loop && disk->listener.stands_still(disk->listener.context)) {
        sim_at(disk->sim, sim_now_ms(disk->sim) + STILL_STEP_MS, run_later, context);
        return;
    }
    free(context);
    if (there) later.run(disk, later.argument);
    else free(later.argument);
}

static void set_later(struct disk *disk, uint64_t delay_ms, struct later fields) {
    struct later *later = malloc(sizeof *later);
    if (later == NULL) abort();
    *later = fields;
    sim_at(disk->sim, sim_now_ms(disk->sim) + delay_ms, run_later, later);
}

void disk_later(struct disk *disk, uint64_t delay_ms, void (*run)(struct disk *disk, void *argument), void *argument) {
    set_later(disk, delay_ms, (struct later){disk, disk->process, false, run, argument});
}

void disk_later_on_loop(struct disk *disk, uint64_t delay_ms, void (*run)(struct disk *disk, void *argument), void *argument) {
    set_later(disk, delay_ms, (struct later){disk, disk->process, true, run, argument});
}

void disk_wake(struct disk *disk) { disk->listener.wake(disk->listener.context); }

void disk_version_copy(struct disk_version *to, const struct disk_version *from) {
    if (to->rows == NULL) to->rows = rows_new();
    rows_become(to->rows, from->rows);
    uint8_t *configuration = realloc(to->position.configuration, from->position.configuration_size_bytes + 1);
    if (configuration == NULL) abort();
    if (from->position.configuration_size_bytes > 0)
        memcpy(configuration, from->position.configuration, from->position.configuration_size_bytes);
    to->position = from->position;
    to->position.configuration = configuration;
}

void disk_version_close(struct disk_version *version) {
    if (version->rows != NULL) rows_free(version->rows);
    state_position_close(&version->position);
    *version = (struct disk_version){0};
}

struct disk *disk_new(struct sim *sim) {
    struct disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL) abort();
    disk->sim = sim;
    disk->least_ms = disk->most_ms = 1;
    disk->bounds.first_index = 1;
    disk->waiting_end = &disk->waiting;
    disk->applied.rows = rows_new();
    disk->committed.rows = rows_new();
    disk->durable.rows = rows_new();
    disk->machine = machine_new();
    return disk;
}

void disk_free(struct disk *disk) {
    if (disk == NULL) return;
    if (disk->is_open) disk_close(disk, DISK_KILLED);
    disk_log_free(disk);
    disk_state_free(disk);
    free(disk);
}

void disk_set_machine_version(struct disk *disk, uint32_t version) { machine_set_version(disk->machine, version); }

void disk_open(struct disk *disk, const struct disk_listener *listener) {
    assert(!disk->is_open);
    disk->is_open = true;
    disk->process++;
    disk->listener = *listener;
    disk_log_open(disk);
    disk_state_open(disk);
}

void disk_close(struct disk *disk, enum disk_end end) {
    assert(disk->is_open);
    disk_log_close(disk, end);
    disk_state_close(disk, end);
    disk_snapshot_close(disk);
    disk->is_open = false;
}

void disk_ports(struct engine_ports *ports, struct disk *(*disk_of)(void *context)) {
    disk_of_context = disk_of;
    disk_log_ports(ports);
    disk_state_ports(ports);
    disk_snapshot_ports(ports);
}

void disk_set_latency(struct disk *disk, uint64_t least_ms, uint64_t most_ms) {
    disk->least_ms = least_ms;
    disk->most_ms = most_ms;
}

uint64_t disk_latency_least_ms(const struct disk *disk) { return disk->least_ms; }

void disk_set_broken(struct disk *disk, bool broken) { disk->broken = broken; }
