/* What a node finds at its start, held against what it had promised. */
#include "tests/crash/crash_node_check.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/files.h"
#include "tests/support/scratch_dir.h"

/* ---- the directory */

void crash_node_check_directory(struct crash_node *node, const struct promise *promise, bool *fresh)
{
    char error[256];
    if (data_dir_open(node->dir, CLUSTER_NAME, NODE_ID, true, fresh, error, sizeof error) != DATA_DIR_OK ||
        data_dir_count_boot(node->dir, &node->boot, error, sizeof error) != DATA_DIR_OK) {
        crash_node_complain(node, "the data directory is not entered: %s", error);
    } else if (*fresh && promise->claimed) {
        crash_node_complain(node, "the data directory has forgotten whose it is");
    } else if (node->boot <= promise->boot) {
        crash_node_complain(node, "start %" PRIu64 " is counted again", node->boot);
    }
}

/* ---- the log */

static bool same_entry(const struct entry *a, const struct entry *b)
{
    return a == b || (a->type == b->type && a->term == b->term && a->size_bytes == b->size_bytes &&
                      memcmp(a->data, b->data, a->size_bytes) == 0);
}

static bool same_bounds(const struct log_bounds *a, const struct log_bounds *b)
{
    return a->first_index == b->first_index && a->last_index == b->last_index && a->term == b->term &&
           a->voted_for == b->voted_for;
}

/* Every entry in the bounds, NULL when one cannot be read. */
static struct entry **read_all(struct crash_node *node, const struct log_bounds *bounds)
{
    size_t count = (size_t)(bounds->last_index + 1 - bounds->first_index);
    struct entry **entries = calloc(count + 1, sizeof *entries);
    if (!entries) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        struct storage_failure failure = {.message = "it is not there"};
        if (log_store_read(node->log, bounds->first_index + i, &entries[i], &failure) != STORAGE_OK) {
            crash_node_complain(node, "entry %" PRIu64 " of the log cannot be read: %s", bounds->first_index + i,
                                failure.message);
        }
    }
    return entries;
}

static void free_all(struct entry **entries, const struct log_bounds *bounds)
{
    for (size_t i = 0; i < (size_t)(bounds->last_index + 1 - bounds->first_index); i++) {
        entry_unref(entries[i]);
    }
    free(entries);
}

static bool is_model(const struct log_model *model, const struct log_bounds *bounds, struct entry *const *entries)
{
    if (!same_bounds(&model->bounds, bounds)) {
        return false;
    }
    for (uint64_t index = bounds->first_index; index <= bounds->last_index; index++) {
        const struct entry *found = entries[index - bounds->first_index];
        if (!found || !same_entry(found, log_model_entry(model, index))) {
            return false;
        }
    }
    return true;
}

void crash_node_check_log(struct crash_node *node, const struct promise *promise)
{
    struct storage_failure failure;
    if (node->complaint[0] != '\0') {
        return;
    }
    if (log_store_open(node->dir, CRASH_MAP_SIZE_BYTES, &node->log, &failure) != STORAGE_OK) {
        crash_node_complain(node, "the log does not open: %s", failure.message);
        return;
    }
    struct log_bounds bounds = log_store_bounds(node->log);
    struct entry **entries = read_all(node, &bounds);
    size_t found = promise->log_begun + 1;
    while (found > promise->log_done && !is_model(&node->history.models[found - 1], &bounds, entries)) {
        found--;
    }
    free_all(entries, &bounds);
    if (found == promise->log_done) {
        const struct log_bounds *done = &node->history.models[promise->log_done].bounds;
        crash_node_complain(node, "the log holds %" PRIu64 "..%" PRIu64 ", term %" PRIu64 ", vote %" PRIu64
                            "; durable was %" PRIu64 "..%" PRIu64 ", term %" PRIu64 ", vote %" PRIu64 ", and %zu groups"
                            " were under way", bounds.first_index, bounds.last_index, bounds.term, bounds.voted_for,
                            done->first_index, done->last_index, done->term, done->voted_for,
                            promise->log_begun - promise->log_done);
        return;
    }
    struct log_model model = node->history.models[found - 1];
    log_history_add(&node->history, &model);
    node->start_model = node->history.count - 1;
}

/* ---- the state */

static void check_tables_at(struct crash_node *node, uint64_t index)
{
    struct state_reader reader;
    struct storage_failure failure;
    if (state_reader_begin(node->state, &reader, &failure) != STORAGE_OK) {
        crash_node_complain(node, "the state cannot be read: %s", failure.message);
        return;
    }
    uint64_t digest = tables_digest(&reader.view);
    if (reader.applied_index != index) {
        crash_node_complain(node, "the state stands at %" PRIu64 " and not at %" PRIu64, reader.applied_index, index);
    } else if (state_reader_fault(&reader, &failure) != STORAGE_OK) {
        crash_node_complain(node, "the state cannot be read: %s", failure.message);
    } else if (digest != node->ledger->lines[index].digest) {
        crash_node_complain(node, "the state at %" PRIu64 " is not what its entries make of it", index);
    }
    state_reader_end(&reader);
}

static void check_position(struct crash_node *node, const struct state_position *position)
{
    const struct ledger_line *line = &node->ledger->lines[position->index];
    uint64_t term = line->entry ? line->entry->term : 0;
    const struct entry *change = node->ledger->lines[line->configuration_index].entry;
    size_t size_bytes = change ? change->size_bytes : 0;
    if (position->term != term || position->configuration_index != line->configuration_index ||
        position->configuration_size_bytes != size_bytes ||
        (size_bytes > 0 && memcmp(position->configuration, change->data, size_bytes) != 0)) {
        crash_node_complain(node, "index %" PRIu64 ", term %" PRIu64 " and configuration %" PRIu64
                            " of the state do not belong together", position->index, position->term,
                            position->configuration_index);
    }
}

void crash_node_check_tables(struct crash_node *node)
{
    struct state_position position;
    struct storage_failure failure;
    if (node->complaint[0] != '\0') {
        return;
    }
    if (state_store_position(node->state, &position, &failure) != STORAGE_OK) {
        crash_node_complain(node, "the state's position cannot be read: %s", failure.message);
        return;
    }
    if (position.index > node->ledger->last_index) {
        crash_node_complain(node, "the state stands at %" PRIu64 ", where nobody has been", position.index);
    } else {
        check_position(node, &position);
        check_tables_at(node, node->submitted);
    }
    state_position_close(&position);
}

static void open_state(struct crash_node *node, const struct promise *promise)
{
    struct storage_failure failure;
    enum storage_error error = state_store_open(node->dir, CRASH_MAP_SIZE_BYTES, &node->state, &failure);
    if (error == STORAGE_CORRUPT && promise->state_damaged) {
        error = state_store_discard(node->dir, &failure);
        if (!error) {
            error = state_store_open(node->dir, CRASH_MAP_SIZE_BYTES, &node->state, &failure);
        }
    }
    if (error) {
        crash_node_complain(node, "the state does not open: %s", failure.message);
    }
}

void crash_node_check_state(struct crash_node *node, const struct promise *promise)
{
    struct state_position position;
    struct storage_failure failure;
    if (node->complaint[0] == '\0') {
        open_state(node, promise);
    }
    if (node->complaint[0] != '\0') {
        return;
    }
    if (state_store_position(node->state, &position, &failure) != STORAGE_OK) {
        crash_node_complain(node, "the state's position cannot be read: %s", failure.message);
        return;
    }
    node->start_index = node->submitted = position.index;
    state_position_close(&position);
    uint64_t lowest = promise->state_damaged ? 0 : promise->state_durable;
    if (node->start_index < lowest || node->start_index > promise->state_begun) {
        crash_node_complain(node, "the state stands at %" PRIu64 "; durable was %" PRIu64 ", applied %" PRIu64,
                            node->start_index, promise->state_durable, promise->state_begun);
        return;
    }
    crash_node_check_tables(node);
    struct log_bounds bounds = log_history_last(&node->history)->bounds;
    bool installed = promise->installed_index > 0 && node->start_index == promise->installed_index;
    if (bounds.first_index > node->start_index + 1 && !promise->state_damaged) {
        crash_node_complain(node, "the log begins at %" PRIu64 ", the state ends at %" PRIu64, bounds.first_index,
                            node->start_index);
    } else if (bounds.last_index < node->start_index && !installed) {
        crash_node_complain(node, "the log ends at %" PRIu64 ", the state stands at %" PRIu64, bounds.last_index,
                            node->start_index);
    }
}

/* ---- the rest */

static void check_snapshots(struct crash_node *node, const struct promise *promise)
{
    char folder[PATH_SIZE_BYTES], path[PATH_SIZE_BYTES];
    struct storage_failure failure;
    bool joined = path_join(folder, node->dir, SNAPSHOTS_FOLDER, &failure) == STORAGE_OK;
    assert(joined);
    uint64_t newest = 0;
    DIR *listing = opendir(folder);
    const struct dirent *row;
    while (listing && (row = readdir(listing))) {
        struct snapshot *snapshot;
        if (row->d_name[0] == '.') {
            continue;
        }
        joined = path_join(path, folder, row->d_name, &failure) == STORAGE_OK;
        assert(joined);
        if (snapshot_verify(path, &snapshot, &failure) != STORAGE_OK) {
            crash_node_complain(node, "a snapshot is not whole: %s", failure.message);
            continue;
        }
        newest = snapshot->position.index > newest ? snapshot->position.index : newest;
        check_position(node, &snapshot->position);
        snapshot_free(snapshot);
    }
    if (listing) {
        closedir(listing);
    }
    if (newest < promise->snapshot_index) {
        crash_node_complain(node, "the snapshot up to %" PRIu64 " is gone", promise->snapshot_index);
    }
}

void crash_node_check_rest(struct crash_node *node, const struct promise *promise, uint64_t *recovering_index)
{
    static const char *const leftovers[] = {STATE_NEW_FILE, SNAPSHOT_PART_FILE, STAGED_FILE};
    char path[PATH_SIZE_BYTES], error[256];
    struct storage_failure failure;
    *recovering_index = 0;
    if (node->complaint[0] != '\0') {
        return;
    }
    for (size_t i = 0; i < sizeof leftovers / sizeof leftovers[0]; i++) {
        bool joined = path_join(path, node->dir, leftovers[i], &failure) == STORAGE_OK;
        assert(joined);
        if (scratch_file_exists(path)) {
            crash_node_complain(node, "%s was left behind", leftovers[i]);
        }
    }
    check_snapshots(node, promise);
    if (data_dir_recovering(node->dir, recovering_index, error, sizeof error) != DATA_DIR_OK) {
        crash_node_complain(node, "what must be caught up on cannot be read: %s", error);
    } else if (promise->recovering_index > node->start_index && *recovering_index != promise->recovering_index) {
        crash_node_complain(node, "the node votes again although entries up to %" PRIu64 " are not covered",
                            promise->recovering_index);
    }
}
