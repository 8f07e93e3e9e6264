/*
 * What a power cut may leave of a recording.
 *
 *     durable    what the last completed sync of each file, and of each folder for its names, has covered
 *     pending    what was done since: any part of it may be there after the cut, in any order
 *
 * A sector of 512 bytes is there or is not there; a rename happens or does not happen.
 */
#ifndef TESTS_CRASH_DISK_IMAGE_H
#define TESTS_CRASH_DISK_IMAGE_H

#include "tests/crash/chance.h"
#include "tests/crash/recorder.h"

#define SECTOR_SIZE_BYTES 512u

enum cut_kind {
    CUT_NOTHING, /* nothing that is pending is there */
    CUT_ALL,     /* all of it */
    CUT_PREFIX,  /* what came first */
    CUT_SUBSET,  /* any of it */
    CUT_TORN,    /* any of it, and of one write only some sectors: the first ones, or any */
    CUT_GROWN,   /* any of it, and where a lost write made a file longer, the file is longer by zeros */
    CUT_KINDS
};
extern const char *const cut_kind_names[CUT_KINDS];

/* A disk that lies, to prove that the checks see it: syncs that do nothing. */
struct disk_lies {
    const char *deaf_file; /* name of the file whose syncs are ignored, NULL for none */
    bool deaf_folders;     /* syncs of folders are ignored */
};

struct disk_image;

/* Before the first event. The recording stays the caller's and must outlive the image. */
struct disk_image *disk_image_new(const struct recording *recording, struct disk_lies lies);
void disk_image_free(struct disk_image *image);

/* Goes on to right before event `to`. */
void disk_image_advance(struct disk_image *image, size_t to);

size_t disk_image_pending(const struct disk_image *image);

/* Decides what is left. False when there is nothing that could be lost in this way. */
bool disk_image_cut(struct disk_image *image, enum cut_kind kind, struct chance *chance);

/* Tells contents apart (names and bytes, without lock files). */
uint64_t disk_image_digest(struct disk_image *image);

/* Writes what is left into an empty folder. */
void disk_image_write(struct disk_image *image, const char *root);

/* True when the files below the recording's root are what the recording says, byte by byte: nothing has escaped it. On
 * false *difference is the name of a file. For an image that has gone to the recording's end. */
bool disk_image_equals_files(struct disk_image *image, const char **difference);

#endif
