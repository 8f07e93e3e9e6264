/*
 * A node's disk: the log and the state as engine_ports want them, with what survives the process and what does not.
 *
 *     submitted ─> group, one sync ─> durable        a kill loses what waits; the group under way is whole on disk, or not at all
 *     applied ─> committed ─> durable                a power cut may also lose the last commit (MDB_NOMETASYNC)
 *     prepared, staged, verified                     snapshots: chunks of rows_pack; nothing of them survives the process
 *
 * The bounds of commits are those of storage/state_writer.h.
 */
#ifndef TESTS_SIM_WORLD_DISK_H
#define TESTS_SIM_WORLD_DISK_H

#include "node/engine/engine.h"
#include "tests/sim/world/rows.h"
#include "tests/sim/world/sim.h"

struct disk;

struct disk_listener {
    void *context;
    void (*wake)(void *context); /* something is to be drained */
    bool (*stands_still)(void *context); /* the process: what is done for its loop waits */
    void (*prepared)(void *context, bool ok, uint64_t index, uint64_t size_bytes);
    void (*read)(void *context, uint64_t peer, uint64_t offset, struct span data, bool ok);
    void (*staged)(void *context, uint64_t offset, bool ok);
    void (*verified)(void *context, bool ok, const struct state_position *position);
    /* An entry became durable in the log; was applied, with the digest of the state that it led to. */
    void (*wrote)(void *context, uint64_t index, const struct entry *entry, uint64_t previous_term);
    void (*applied)(void *context, uint64_t index, const struct entry *entry, const struct machine_output *output, uint64_t digest);
};

struct disk *disk_new(struct sim *sim);
void disk_free(struct disk *disk);

enum disk_end {
    DISK_STOPPED,  /* in order: everything that waits is written */
    DISK_KILLED,   /* the process is gone */
    DISK_POWER_CUT /* ... and what was not synced */
};
/* A process begins: nothing is under way. */
void disk_open(struct disk *disk, const struct disk_listener *listener);
/* Of the program that is started next: machine_set_version. */
void disk_set_machine_version(struct disk *disk, uint32_t version);
void disk_close(struct disk *disk, enum disk_end end);

/* Fills in the ports of log, state and snapshots; their context must be given by `disk_of`. */
void disk_ports(struct engine_ports *ports, struct disk *(*disk_of)(void *context));

/* ---- what goes wrong */

/* Each sync takes this long. */
void disk_set_latency(struct disk *disk, uint64_t least_ms, uint64_t most_ms);
uint64_t disk_latency_least_ms(const struct disk *disk);
/* Of one that all but hangs each sync takes no less, and no more: beyond what a claim is good for. */
#define DISK_HANGS_MS_MIN 3500u
#define DISK_HANGS_MS_MAX 7000u
/* From now on every write fails, or none does: heard of only by those that come later. */
void disk_set_broken(struct disk *disk, bool broken);
/* From now on whoever looks for a row from some key on in this table is told, at the end, that the state could not be read, with this sentence. */
#define DISK_UNREADABLE "the state could not be read"
void disk_set_unreadable(struct disk *disk, enum machine_table table);
/* A flipped bit in an entry that the durable state covers; false when there is none. */
bool disk_rot_log(struct disk *disk);
/* The state is found damaged at the next start. */
void disk_rot_state(struct disk *disk);

bool disk_is_rotten(const struct disk *disk);

/* ---- what is seen from outside */

/* The state as readers see it, and where it stands; the version stays the disk's. */
struct rows *disk_committed(struct disk *disk, uint64_t *index);
/* ... as applied: of the open transaction. */
struct rows *disk_applied(struct disk *disk, uint64_t *index);
/* A durable entry, or NULL; the reference stays the disk's. */
struct entry *disk_entry(const struct disk *disk, uint64_t index);
uint64_t disk_last_index(const struct disk *disk);
size_t disk_log_waiting(const struct disk *disk);
uint64_t disk_entries_count(const struct disk *disk);

#endif
