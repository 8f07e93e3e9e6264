/*
 * The machine's port onto LMDB.
 *
 * Seeks go through one cursor a table, so that a walk along neighbours stays on its page. A write to the table drops
 * its cursor: what LMDB leaves of a cursor after a put or a deletion beside it is not worth relying on.
 */
#include "storage/state_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "storage/failure.h"

#define KEY_SIZE_BYTES_LMDB 511u
#define PAGE_SIZE_BYTES 4096u

MDB_val state_value(const void *data, size_t size_bytes)
{
    return (MDB_val){.mv_size = size_bytes, .mv_data = (void *)(uintptr_t)data};
}

static struct span span_of(const MDB_val *value)
{
    return (struct span){.data = value->mv_data, .size_bytes = value->mv_size};
}

/* True when the call found or did what it was for; a fault stays. */
static bool judge(struct state_view *view, int code)
{
    if (code && code != MDB_NOTFOUND && !view->fault) {
        view->fault = code;
    }
    return code == 0;
}

static bool view_get(void *context, enum machine_table table, struct span key, struct span *value)
{
    struct state_view *view = context;
    assert(key.size_bytes >= 1 && key.size_bytes <= KEY_SIZE_BYTES_LMDB);
    MDB_val lmdb_key = state_value(key.data, key.size_bytes), found;
    if (view->fault || !judge(view, mdb_get(view->transaction, view->tables[table], &lmdb_key, &found))) {
        return false;
    }
    *value = span_of(&found);
    return true;
}

static MDB_cursor *cursor_of(struct state_view *view, enum machine_table table)
{
    if (!view->fault && !view->cursors[table]) {
        judge(view, mdb_cursor_open(view->transaction, view->tables[table], &view->cursors[table]));
    }
    return view->fault ? NULL : view->cursors[table];
}

static bool view_seek(void *context, enum machine_table table, struct span key, struct span *found_key,
                      struct span *value)
{
    struct state_view *view = context;
    MDB_cursor *cursor = cursor_of(view, table);
    MDB_val at = state_value(key.data, key.size_bytes), found;
    if (!cursor || !judge(view, mdb_cursor_get(cursor, &at, &found, key.size_bytes ? MDB_SET_RANGE : MDB_FIRST))) {
        return false;
    }
    *found_key = span_of(&at);
    *value = span_of(&found);
    return true;
}

static bool view_seek_before(void *context, enum machine_table table, struct span key, struct span *found_key,
                             struct span *value)
{
    struct state_view *view = context;
    MDB_cursor *cursor = cursor_of(view, table);
    MDB_val at = state_value(key.data, key.size_bytes), found;
    if (!cursor) {
        return false;
    }
    /* The row before the first one at or after the key; when there is none at or after it, the last row. */
    bool after = key.size_bytes && judge(view, mdb_cursor_get(cursor, &at, &found, MDB_SET_RANGE));
    if (view->fault || !judge(view, mdb_cursor_get(cursor, &at, &found, after ? MDB_PREV : MDB_LAST))) {
        return false;
    }
    *found_key = span_of(&at);
    *value = span_of(&found);
    return true;
}

static void cursor_drop(struct state_view *view, enum machine_table table)
{
    if (view->cursors[table]) {
        mdb_cursor_close(view->cursors[table]);
        view->cursors[table] = NULL;
    }
}

static void *scratch(struct state_view *view, size_t size_bytes)
{
    if (view->scratch_size_bytes < size_bytes) {
        view->scratch = realloc(view->scratch, size_bytes);
        if (!view->scratch) {
            abort();
        }
        view->scratch_size_bytes = size_bytes;
    }
    return view->scratch;
}

static void view_put(void *context, enum machine_table table, struct span key, struct span value)
{
    struct state_view *view = context;
    assert(key.size_bytes >= 1 && key.size_bytes <= KEY_SIZE_BYTES_LMDB);
    if (view->fault) {
        return;
    }
    cursor_drop(view, table);
    uint8_t key_copy[KEY_SIZE_BYTES_LMDB];
    memcpy(key_copy, key.data, key.size_bytes);
    MDB_val lmdb_key = {.mv_size = key.size_bytes, .mv_data = key_copy};
    MDB_val lmdb_value = {.mv_size = value.size_bytes, .mv_data = scratch(view, value.size_bytes + 1)};
    if (value.size_bytes) {
        memcpy(lmdb_value.mv_data, value.data, value.size_bytes);
    }
    view->pages_touched[table] += 1 + value.size_bytes / PAGE_SIZE_BYTES;
    judge(view, mdb_put(view->transaction, view->tables[table], &lmdb_key, &lmdb_value, 0));
}

static bool view_del(void *context, enum machine_table table, struct span key)
{
    struct state_view *view = context;
    assert(key.size_bytes >= 1 && key.size_bytes <= KEY_SIZE_BYTES_LMDB);
    if (view->fault) {
        return false;
    }
    cursor_drop(view, table);
    uint8_t key_copy[KEY_SIZE_BYTES_LMDB];
    memcpy(key_copy, key.data, key.size_bytes);
    MDB_val lmdb_key = {.mv_size = key.size_bytes, .mv_data = key_copy};
    view->pages_touched[table]++;
    return judge(view, mdb_del(view->transaction, view->tables[table], &lmdb_key, NULL));
}

static uint64_t view_count(void *context, enum machine_table table)
{
    struct state_view *view = context;
    MDB_stat stat;
    if (view->fault || !judge(view, mdb_stat(view->transaction, view->tables[table], &stat))) {
        return 0;
    }
    return stat.ms_entries;
}

struct machine_store state_view_port(struct state_view *view)
{
    return (struct machine_store){.context = view,
                                  .get = view_get,
                                  .seek = view_seek,
                                  .seek_before = view_seek_before,
                                  .put = view_put,
                                  .del = view_del,
                                  .count = view_count};
}

enum storage_error state_view_fault(const struct state_view *view, struct storage_failure *failure)
{
    return view->fault ? storage_fail_code(failure, view->fault, view->path, "read or write the state") : STORAGE_OK;
}

uint64_t state_view_pages(const struct state_view *view)
{
    uint64_t pages = 0;
    for (int table = 0; table < TABLE_COUNT; table++) {
        MDB_stat stat;
        uint64_t touched = view->pages_touched[table];
        if (touched > 0 && mdb_stat(view->transaction, view->tables[table], &stat) == 0) {
            uint64_t there = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
            touched = touched < there ? touched : there;
        }
        pages += touched;
    }
    return pages;
}

void state_view_close_cursors(struct state_view *view)
{
    for (int table = 0; table < TABLE_COUNT; table++) {
        cursor_drop(view, (enum machine_table)table);
    }
}
