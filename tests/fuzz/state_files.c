/* Files of the replicated state, made, hurt and used. */
#include "tests/fuzz/state_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/keys.h"
#include "tests/support/scratch_dir.h"

#define PAGE_SIZE_BYTES 4096u
#define ROWS_OF_LARGE_TABLE 70u
#define LARGE_VALUE_SIZE_BYTES 9000u
#define GROWN_BYTES_MAX (64u << 10)
/* A table whose keys are out of order could lead a walk in circles. */
#define WALK_STEPS_MAX 2000u

static void put(const struct machine_store *view, enum machine_table table, uint64_t number, size_t value_size_bytes)
{
    uint8_t *value = fuzz_must(calloc(1, value_size_bytes + 1));
    struct key key = key_1(number);

    memset(value, (int)('a' + number % 26), value_size_bytes);
    view->put(view->context, table, key_span(&key), (struct span){value, value_size_bytes});
    free(value);
}

static void commit_at(struct state_store *store, uint64_t index)
{
    uint8_t configuration[] = "three voters";
    struct state_position position = {.index = index,
                                      .term = 3,
                                      .configuration_index = 1,
                                      .configuration = configuration,
                                      .configuration_size_bytes = sizeof configuration};
    struct storage_failure failure;

    fuzz_require(state_write_position(store, &position, &failure) == STORAGE_OK);
    fuzz_require(state_write_commit(store, &failure) == STORAGE_OK);
}

void state_files_make(const char *dir)
{
    struct state_store *store;
    struct storage_failure failure;
    struct machine_store view;

    fuzz_require(state_store_open(dir, STATE_MAP_SIZE_BYTES, &store, &failure) == STORAGE_OK);
    fuzz_require(state_write_begin(store, &view, &failure) == STORAGE_OK);
    for (unsigned table = 0; table < TABLE_COUNT; table += 3) {
        put(&view, (enum machine_table)table, table, 40);
    }
    for (unsigned i = 0; i < ROWS_OF_LARGE_TABLE; i++) {
        put(&view, TABLE_INCIDENT, i, 200);
    }
    put(&view, TABLE_ALERT_PAYLOAD, 1, LARGE_VALUE_SIZE_BYTES);
    commit_at(store, 1);
    fuzz_require(state_write_begin(store, &view, &failure) == STORAGE_OK);
    for (unsigned i = 0; i < ROWS_OF_LARGE_TABLE; i += 3) {
        struct key key = key_1(i);
        view.del(view.context, TABLE_INCIDENT, key_span(&key));
    }
    put(&view, TABLE_ALERT_PAYLOAD, 1, LARGE_VALUE_SIZE_BYTES / 3);
    put(&view, TABLE_ALERT_PAYLOAD, 2, LARGE_VALUE_SIZE_BYTES);
    commit_at(store, 2);
    fuzz_require(state_store_sync(store, &failure) == STORAGE_OK);
    state_store_close(store);
}

/* ---------------------------------------------------------------- bytes */

struct file_bytes file_bytes_read(const char *path)
{
    FILE *file = fopen(path, "re");
    fuzz_require(file != NULL);
    struct file_bytes read = {.size_bytes = (size_t)scratch_file_size_bytes(path)};
    read.bytes = fuzz_must(malloc(read.size_bytes + GROWN_BYTES_MAX));
    fuzz_require(fread(read.bytes, 1, read.size_bytes, file) == read.size_bytes);
    fclose(file);
    return read;
}

void file_bytes_write(const char *path, const struct file_bytes *file)
{
    scratch_file_write(path, file->bytes, file->size_bytes);
}

struct file_bytes file_bytes_copy(const struct file_bytes *file)
{
    struct file_bytes copy = {.size_bytes = file->size_bytes};

    copy.bytes = fuzz_must(malloc(file->size_bytes + GROWN_BYTES_MAX));
    memcpy(copy.bytes, file->bytes, file->size_bytes);
    return copy;
}

static size_t place(const struct file_bytes *file, struct fuzz_input *input)
{
    size_t at = (size_t)fuzz_byte(input) * PAGE_SIZE_BYTES + fuzz_number(input, 2) % PAGE_SIZE_BYTES;

    return file->size_bytes > 0 ? at % file->size_bytes : 0;
}

static void hurt_once(struct file_bytes *file, struct fuzz_input *input)
{
    uint8_t how = fuzz_byte(input);
    size_t at = place(file, input), left = file->size_bytes - at;

    if (how < 0xd0) { /* a number: most fields of pages have two bytes */
        static const size_t sizes[] = {2, 1, 2, 4, 8, 2, 1, 8};
        size_t size = sizes[how % 8] < left ? sizes[how % 8] : left;
        uint64_t number = fuzz_odd_number(input);
        memcpy(file->bytes + at, &number, size);
    } else if (how < 0xe0) {
        if (left > 0) {
            file->bytes[at] ^= (uint8_t)(1u << (how % 8));
        }
    } else if (how < 0xf0) {
        size_t from = place(file, input) / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
        at = at / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
        size_t end = from > at ? from : at;
        size_t size = file->size_bytes - end < PAGE_SIZE_BYTES ? file->size_bytes - end : PAGE_SIZE_BYTES;
        memmove(file->bytes + at, file->bytes + from, size);
    } else if (how < 0xf8) {
        file->size_bytes = how & 1 ? at : at / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
    } else {
        size_t more = fuzz_number(input, 2) % 3000;
        memset(file->bytes + file->size_bytes, how, more);
        file->size_bytes += more;
    }
}

void file_bytes_hurt(struct file_bytes *file, struct fuzz_input *input, unsigned edits_max)
{
    for (unsigned i = 0; i < edits_max && input->left > 0; i++) {
        hurt_once(file, input);
    }
}

/* ---------------------------------------------------------------- use */

static void read_everything(struct state_store *store)
{
    struct state_reader reader;
    struct state_position position;
    struct storage_failure failure;
    uint8_t key[600];

    if (state_store_position(store, &position, &failure) == STORAGE_OK) {
        state_position_close(&position);
    }
    if (state_reader_begin(store, &reader, &failure) != STORAGE_OK) {
        return;
    }
    const struct machine_store *view = &reader.view;
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        enum machine_table table = (enum machine_table)i;
        struct span at = {key, 0}, found, value;
        uint8_t sum = 0;
        (void)view->count(view->context, table);
        for (unsigned steps = 0; steps < WALK_STEPS_MAX && view->seek(view->context, table, at, &found, &value); steps++) {
            fuzz_require(found.size_bytes <= 511);
            for (size_t j = 0; j < value.size_bytes; j++) {
                sum ^= ((const uint8_t *)value.data)[j];
            }
            memcpy(key, found.data, found.size_bytes);
            key[found.size_bytes] = 0;
            at.size_bytes = found.size_bytes + 1;
            if (at.size_bytes > 511) {
                break;
            }
        }
        key[0] = sum; /* somewhere */
        at.size_bytes = 1;
        (void)view->seek_before(view->context, table, at, &found, &value);
        (void)view->get(view->context, table, at, &value);
    }
    (void)state_reader_fault(&reader, &failure); /* whether one was met is not asked */
    state_reader_end(&reader);
}

/* Enough to split pages, to give some back, and to take free ones. */
static void write_everywhere(struct state_store *store)
{
    struct storage_failure failure;
    struct machine_store view;
    uint8_t configuration[] = "three voters";
    struct state_position position = {.index = 3, .term = 3, .configuration_index = 1, .configuration = configuration,
                                      .configuration_size_bytes = sizeof configuration};

    for (unsigned round = 0; round < 2; round++) {
        if (state_write_begin(store, &view, &failure) != STORAGE_OK) {
            return;
        }
        for (unsigned i = 0; i < TABLE_COUNT; i++) {
            put(&view, (enum machine_table)i, 1000 + round, 100);
            put(&view, (enum machine_table)i, i, 10);
        }
        for (unsigned i = 0; i < ROWS_OF_LARGE_TABLE; i++) {
            struct key key = key_1(i);
            put(&view, TABLE_USER, i, 300);
            view.del(view.context, TABLE_INCIDENT, key_span(&key));
        }
        put(&view, TABLE_ALERT_PAYLOAD, 2, round == 0 ? 20 : LARGE_VALUE_SIZE_BYTES);
        position.index = 3 + round;
        if (state_write_fault(store, &failure) != STORAGE_OK ||
            state_write_position(store, &position, &failure) != STORAGE_OK) {
            state_write_abort(store);
            return;
        }
        if (state_write_commit(store, &failure) != STORAGE_OK) {
            return;
        }
    }
    (void)state_store_sync(store, &failure); /* may fail: then so it does */
}

bool state_files_use(const char *dir)
{
    struct state_store *store;
    struct storage_failure failure;

    failure.message[0] = '\0';
    enum storage_error error = state_store_open(dir, STATE_MAP_SIZE_BYTES, &store, &failure);
    if (error != STORAGE_OK) {
        fuzz_require(store == NULL && failure.message[0] != '\0');
        return false;
    }
    read_everything(store);
    write_everywhere(store);
    state_store_close(store);
    if (state_store_open(dir, STATE_MAP_SIZE_BYTES, &store, &failure) == STORAGE_OK) {
        read_everything(store);
        state_store_close(store);
    }
    return true;
}
