/* Inside the disk: what log, state and snapshots share. */
#ifndef TESTS_SIM_WORLD_DISK_INTERNAL_H
#define TESTS_SIM_WORLD_DISK_INTERNAL_H

#include "storage/snapshot.h"
#include "tests/sim/world/disk.h"

/* A version of the state and where it stands. */
struct disk_version {
    struct rows *rows;
    struct state_position position;
};

struct disk_work {
    uint64_t index;
    struct entry *entry; /* NULL: the verified snapshot */
};

struct disk_output {
    uint64_t index, term;
    struct machine_output output;
};

struct disk {
    struct sim *sim;
    uint64_t least_ms, most_ms;
    bool broken;
    struct unreadable {
        bool set, met; /* met: by the reader that is open */
        enum machine_table table;
        struct machine_store view;
    } unreadable;

    bool is_open;
    uint64_t process; /* counts processes: what an older one began is nobody's */
    struct disk_listener listener;

    /* ---- the log: disk_log.c */
    struct log_bounds bounds;
    struct entry **entries; /* from bounds.first_index on, at entries_offset */
    size_t entries_offset, entries_capacity;
    uint64_t rotten_index; /* this entry does not read; 0: none */
    struct log_operation *waiting, **waiting_end, *group;
    size_t waiting_bytes;
    struct log_progress log_progress;

    /* ---- the state: disk_state.c */
    struct disk_version applied, committed, durable;
    bool state_rotten;
    struct machine *machine;
    struct disk_work *queue;
    size_t queue_first, queue_count, queue_capacity;
    struct disk_output *outputs; /* applied since the last drain; beyond outputs_count kept for use again */
    size_t outputs_count, outputs_capacity;
    struct state_progress state_progress;
    uint64_t step_ms;                   /* when the next step is to be taken; UINT64_MAX: none is set */
    bool syncing;                       /* a commit or sync is under way */
    bool sync_commits;                  /* ... it is a commit */
    uint64_t opened_ms, quiet_since_ms; /* of the open transaction */
    unsigned uncommitted;
    uint64_t uncommitted_commands;
    uint64_t submitted_index, wanted_index;

    /* ---- snapshots: disk_snapshot.c */
    uint8_t *outgoing;
    size_t outgoing_size_bytes;
    uint8_t *staged;
    size_t staged_size_bytes, staged_capacity;
    struct disk_version verified;
};

uint64_t disk_latency_ms(struct disk *disk);
/* Calls `run` with the disk after `delay_ms`, unless the process is gone by then. */
void disk_later(struct disk *disk, uint64_t delay_ms, void (*run)(struct disk *disk, void *argument), void *argument);
/* Likewise, and once the process does not stand still: for what calls the engine. */
void disk_later_on_loop(struct disk *disk, uint64_t delay_ms, void (*run)(struct disk *disk, void *argument), void *argument);
void disk_wake(struct disk *disk);

void disk_version_copy(struct disk_version *to, const struct disk_version *from);
void disk_version_close(struct disk_version *version);

void disk_log_open(struct disk *disk);
void disk_log_close(struct disk *disk, enum disk_end end);
void disk_log_free(struct disk *disk);
void disk_log_ports(struct engine_ports *ports);

void disk_state_open(struct disk *disk);
void disk_state_close(struct disk *disk, enum disk_end end);
void disk_state_free(struct disk *disk);
void disk_state_ports(struct engine_ports *ports);

void disk_snapshot_close(struct disk *disk);
void disk_snapshot_ports(struct engine_ports *ports);

struct disk *disk_from(void *context);

#endif
