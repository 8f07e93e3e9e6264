/* What can go wrong with a disk, each with one sentence. */
#ifndef STORAGE_STORAGE_ERROR_H
#define STORAGE_STORAGE_ERROR_H

enum storage_error {
    STORAGE_OK = 0,
    STORAGE_NOT_FOUND,  /* no such row */
    STORAGE_CORRUPT,    /* a checksum or a structure is wrong */
    STORAGE_FULL,       /* the disk or the map is full */
    STORAGE_IO,         /* reading, writing or syncing failed */
    STORAGE_UNREADABLE, /* the directory or a file cannot be opened: permissions, or not ours */
    STORAGE_IN_USE,     /* another process has it open */
    STORAGE_NO_MEMORY,
    STORAGE_STOPPED     /* an earlier write failed: nothing is accepted any more */
};

/* Filled beside every error other than STORAGE_NOT_FOUND. */
struct storage_failure {
    enum storage_error error;
    char message[256]; /* one sentence with the path and the cause */
};

const char *storage_error_message(enum storage_error error);

#endif
