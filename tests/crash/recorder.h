/*
 * Records what this program does to the files below one folder: every write, truncation, sync, creation, rename and
 * removal, in the order in which they were done.
 *
 *     log_store, state_store, snapshot ──> LMDB ──> write, pwrite, fdatasync, rename, ... (taken over here)
 *                                                        ├─ done for real
 *                                                        └─ an event of the recording
 *
 * liblmdb calls these functions through its procedure linkage table, so that the program's own come first. That
 * nothing escapes is checked and not believed: disk_image_equals compares what the recording says with the files.
 * LMDB's lock files are recorded by name only; they are written through a mapping.
 */
#ifndef TESTS_CRASH_RECORDER_H
#define TESTS_CRASH_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_NAME_SIZE_BYTES 64

enum disk_event_kind {
    DISK_WRITE,         /* file, offset, data, size_bytes */
    DISK_TRUNCATE,      /* file, size_bytes */
    DISK_WRITE_DURABLE, /* file, since: the event of a write through O_DSYNC, which is durable once it has returned */
    DISK_SYNC_BEGINS,   /* file */
    DISK_SYNC_ENDED,    /* file, since: the event with which the sync began */
    DISK_CREATE,        /* folder, name, file */
    DISK_FOLDER_MAKE,   /* folder, name, made */
    DISK_RENAME,        /* folder, name, to_name: within the folder */
    DISK_UNLINK,        /* folder, name */
    DISK_FOLDER_SYNC,   /* folder */
    DISK_NOTE           /* note, value: what the test wrote in between */
};

struct disk_event {
    enum disk_event_kind kind;
    unsigned file, folder, made;
    char name[DISK_NAME_SIZE_BYTES], to_name[DISK_NAME_SIZE_BYTES];
    uint64_t offset, size_bytes;
    uint8_t *data;
    size_t since;
    unsigned note;
    uint64_t value;
};

/* What was there when the recording began; all of it counts as durable. */
struct disk_base {
    bool is_folder;
    unsigned folder, number; /* number: of the file or folder */
    char name[DISK_NAME_SIZE_BYTES];
    uint8_t *data;
    uint64_t size_bytes;
};

struct recording {
    char root[256]; /* folder 0 */
    struct disk_event *events;
    size_t events_count, events_capacity;
    struct disk_base *bases;
    size_t bases_count;
    unsigned files_count, folders_count;
};

/* One at a time. */
struct recording *recording_start(const char *root);
void recording_stop(struct recording *recording);
void recording_free(struct recording *recording);

/* Adds a DISK_NOTE to the recording under way; nothing when there is none. */
void recording_note(unsigned note, uint64_t value);

/* The next sync of a file of this name waits where it begins, until it is let go: what other threads do meanwhile
 * is recorded in between. */
void recording_hold_sync(const char *name);
/* Until the sync that was asked for waits. */
void recording_wait_held(void);
void recording_let_go(void);

bool is_lock_file(const char *name);

#endif
