/*
 * The data directory of a node: whose it is, and how often it was started.
 *
 *     <dir>/node        cluster name and node id, written when a cluster begins or a node joins: a configuration of another node is refused
 *     <dir>/boot        number of the last start; rises by one with each
 *     <dir>/joining     there while a node that joins has not been told that it is a member
 *     <dir>/removed     there once a node was told that it was removed from its cluster
 *     <dir>/control     a socket (control.h)
 *     <dir>/last-gasp   what this node did on its own without a majority, as long as the cluster does not know it (last_gasp.h)
 *     <dir>/current     when this node was last known to be current, by the clock of this boot of the machine (last_gasp.h)
 *     <dir>/recovering  last log index that this voter may have acknowledged and no longer has: it does not vote below it
 */
#ifndef NODE_HOST_DATA_DIR_H
#define NODE_HOST_DATA_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"

enum data_dir_error { DATA_DIR_OK, DATA_DIR_REFUSED };

/* Creates the directory (0700) when it is missing and `create` is set; a missing one is refused otherwise. `fresh` is set when it holds no node yet. Refused with a sentence when it cannot be read or written, or
 * belongs to another node or cluster. */
enum data_dir_error data_dir_open(const char *dir, const char *cluster_name, uint64_t id, bool create, bool *fresh,
                                  char *error, size_t error_size);
/* Writes <dir>/node, durably. */
enum data_dir_error data_dir_claim(const char *dir, const char *cluster_name, uint64_t id, char *error, size_t error_size);
/* Counts a start, durably. */
enum data_dir_error data_dir_count_boot(const char *dir, uint64_t *boot, char *error, size_t error_size);

/* Files that say something by being there. Setting one writes or removes it, durably. */
#define DATA_DIR_JOINING "joining"
#define DATA_DIR_REMOVED "removed"
#define DATA_DIR_LAST_GASP "last-gasp"
enum data_dir_error data_dir_flag(const char *dir, const char *flag, bool *set, char *error, size_t error_size);
enum data_dir_error data_dir_set_flag(const char *dir, const char *flag, bool set, char *error, size_t error_size);

/* The index in <dir>/recovering, 0 when there is none. Setting 0 removes the file. Both durable. */
enum data_dir_error data_dir_recovering(const char *dir, uint64_t *index, char *error, size_t error_size);
enum data_dir_error data_dir_set_recovering(const char *dir, uint64_t index, char *error, size_t error_size);

/* Writes a small file durably (mode 0600): to a name beside it, synced, renamed, folder synced. */
enum data_dir_error data_dir_write(const char *dir, const char *name, const char *text, char *error, size_t error_size);

enum data_dir_error data_dir_write_bytes(const char *dir, const char *name, struct span bytes, char *error, size_t error_size);
enum data_dir_error data_dir_remove(const char *dir, const char *name, char *error, size_t error_size);
/* The first bytes of a file, at most `size_bytes_max`, to be freed; NULL and 0 when it is not there. */
enum data_dir_error data_dir_read_bytes(const char *dir, const char *name, size_t size_bytes_max, uint8_t **bytes, size_t *size_bytes, char *error,
                                        size_t error_size);

/* A moment of CLOCK_BOOTTIME that outlives the process and not the machine's boot. Not synced: it must not wait for the disk, and a machine that loses it
 * has booted. 0 when there is none of this boot. */
void data_dir_remember(const char *dir, uint64_t boottime_ms);
uint64_t data_dir_remembered(const char *dir);
/* The state that was current is gone. */
enum data_dir_error data_dir_forget_current(const char *dir, char *error, size_t error_size);

#endif
