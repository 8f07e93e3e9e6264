/* Inside storage/: the machine's port onto the tables of one LMDB transaction. */
#ifndef STORAGE_STATE_VIEW_H
#define STORAGE_STATE_VIEW_H

#include <lmdb.h>
#include <stdint.h>

#include "consensus/machine/store.h"
#include "storage/storage_error.h"

struct state_view {
    MDB_txn *transaction; /* NULL while there is none */
    const MDB_dbi *tables;
    const char *path;                 /* for failures */
    MDB_cursor *cursors[TABLE_COUNT]; /* opened by the first seek in a table, dropped by the next write to it */
    uint64_t pages_touched[TABLE_COUNT]; /* since the transaction began, if each row had pages of its own */
    int fault;                        /* LMDB's code of the first fault since the transaction began; sticky */
    uint8_t *scratch;                 /* where a value waits for LMDB: it may point into the page that moves */
    size_t scratch_size_bytes;
};

/* The port; valid while the view stands where it is. */
struct machine_store state_view_port(struct state_view *view);

/* STORAGE_OK, or the sticky fault. */
enum storage_error state_view_fault(const struct state_view *view, struct storage_failure *failure);

/* At most so many pages of rows are memory of the open transaction: no more of a table than were touched, nor than it
 * has. */
uint64_t state_view_pages(const struct state_view *view);

/* Before the transaction ends. */
void state_view_close_cursors(struct state_view *view);

/* LMDB takes no const; it changes neither key nor value. */
MDB_val state_value(const void *data, size_t size_bytes);

#endif
