/*
 * Bits that flip while a node is down: one bit of a file of a node that stopped in order, anywhere in the file, and
 * more often in the two pages that LMDB begins with.
 *
 * The log must never hand out a wrong byte: it refuses, or names the entry. The state has no checksum over its rows, so
 * what is not noticed is counted and printed. Each flip is looked at by a process of its own, for LMDB may follow a
 * damaged page into a signal.
 *
 * CRASH_FLIPS: how many of each file. CRASH_SEED: which.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/files.h"
#include "tests/crash/crash_node.h"
#include "tests/support/scratch_dir.h"

#define FLIPS 400u
#define ENTRIES 70u
#define KEPT_FROM 20u
#define META_SIZE_BYTES 160u
#define META_FLAGS_OFFSET 44u /* of the first tree, in LMDB's MDB_meta behind the page's head */
#define META_TRANSACTION_OFFSET 144u
#define PAGE_SIZE_BYTES 4096u
#define PATIENCE_S 10u

/* What a process found, as its exit code. */
enum finding {
    FOUND_AS_BEFORE,
    FOUND_REFUSED,  /* the store does not open */
    FOUND_NAMED,    /* it opens, and reading says what is damaged */
    FOUND_OLDER,    /* it opens as it was before its last transaction */
    FOUND_UNNOTICED, /* it opens and says something else */
    FOUND_SIGNAL,
    FOUND_ENDLESS,
    FINDINGS
};
static const char *const finding_names[FINDINGS] = {"as before",
                                                    "refused at the start",
                                                    "noticed when it was read",
                                                    "older by one transaction, not noticed",
                                                    "different, not noticed",
                                                    "the process ended by a signal",
                                                    "reading has no end"};

struct rot {
    struct scratch_dir dir;
    struct ledger *ledger;
    struct crash_node node;
    uint64_t counts[FINDINGS];
};

static uint64_t setting(const char *name, uint64_t standard)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : standard;
}

/* A node that took in, applied, pruned, and stopped in order. */
static int given_a_node_at_rest(void **state)
{
    static const struct promise nothing;
    struct rot *rot = calloc(1, sizeof *rot);
    assert_non_null(rot);
    rot->dir = scratch_dir_make();
    rot->ledger = ledger_new(setting("CRASH_SEED", 1), ENTRIES);
    struct crash_node *node = &rot->node;
    crash_node_init(node, scratch_path(&rot->dir, "node"), rot->ledger);
    log_history_begin(&node->history);
    crash_node_start(node, &nothing);
    for (uint64_t index = 1; index <= ENTRIES; index++) {
        struct entry *entry = rot->ledger->lines[index].entry;
        crash_node_log(node, (struct log_operation){.kind = LOG_APPEND, .first_index = index, .entries = &entry,
                                                    .entries_count = 1});
        crash_node_apply(node, index);
        if (index % 7 == 0) {
            crash_node_idle(node);
        }
    }
    crash_node_idle(node);
    crash_node_log(node, (struct log_operation){.kind = LOG_PRUNE, .first_index = KEPT_FROM});
    crash_node_log(node, (struct log_operation){.kind = LOG_SET_VOTE, .term = 90, .voted_for = 3});
    crash_node_stop(node);
    assert_string_equal(node->complaint, "");
    *state = rot;
    return 0;
}

static int clear(void **state)
{
    struct rot *rot = *state;
    crash_node_close(&rot->node);
    ledger_free(rot->ledger);
    scratch_dir_remove(&rot->dir);
    free(rot);
    return 0;
}

/* ---- what a process finds */

static bool same_bounds(const struct log_bounds *a, const struct log_bounds *b)
{
    return a->first_index == b->first_index && a->last_index == b->last_index && a->term == b->term &&
           a->voted_for == b->voted_for;
}

/* The log, read from one end to the other, and then written to. */
static enum finding look_at_log(struct rot *rot)
{
    struct storage_failure failure;
    struct log_store *log;
    const struct log_history *history = &rot->node.history;
    if (log_store_open(rot->node.dir, CRASH_MAP_SIZE_BYTES, &log, &failure) != STORAGE_OK) {
        return FOUND_REFUSED;
    }
    struct log_bounds bounds = log_store_bounds(log);
    const struct log_model *model = log_history_last(history);
    bool older = !same_bounds(&bounds, &model->bounds);
    if (older) {
        model = &history->models[history->count - 2];
    }
    if (!same_bounds(&bounds, &model->bounds)) {
        return FOUND_UNNOTICED;
    }
    enum finding finding = older ? FOUND_OLDER : FOUND_AS_BEFORE;
    for (uint64_t index = bounds.first_index; index <= bounds.last_index; index++) {
        struct entry *entry;
        const struct entry *right = log_model_entry(model, index);
        if (log_store_read(log, index, &entry, &failure) != STORAGE_OK) {
            finding = FOUND_NAMED;
        } else if (entry->type != right->type || entry->term != right->term ||
                   entry->size_bytes != right->size_bytes ||
                   memcmp(entry->data, right->data, right->size_bytes) != 0) {
            return FOUND_UNNOTICED;
        }
    }
    struct log_operation prune = {.kind = LOG_PRUNE, .first_index = bounds.last_index};
    struct log_operation vote = {.kind = LOG_SET_VOTE, .term = 91};
    struct log_operation *group[] = {&prune, &vote};
    if (log_store_write(log, group, 2, &failure) != STORAGE_OK) {
        finding = FOUND_NAMED;
    }
    log_store_close(log);
    return finding;
}

static enum finding look_at_state(struct rot *rot)
{
    struct storage_failure failure;
    struct state_store *store;
    struct state_reader reader;
    if (state_store_open(rot->node.dir, CRASH_MAP_SIZE_BYTES, &store, &failure) != STORAGE_OK) {
        return FOUND_REFUSED;
    }
    if (state_reader_begin(store, &reader, &failure) != STORAGE_OK) {
        return FOUND_NAMED;
    }
    uint64_t digest = tables_digest(&reader.view), index = reader.applied_index;
    enum finding finding = FOUND_UNNOTICED;
    if (state_reader_fault(&reader, &failure) != STORAGE_OK) {
        finding = FOUND_NAMED;
    } else if (index <= ENTRIES && digest == rot->ledger->lines[index].digest) {
        finding = index == ENTRIES ? FOUND_AS_BEFORE : FOUND_OLDER;
    }
    state_reader_end(&reader);
    state_store_close(store);
    return finding;
}

static enum finding in_a_process(struct rot *rot, enum finding (*look)(struct rot *rot))
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE};
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            (void)signal(numbers[i], SIG_DFL); /* not cmocka's */
        }
        (void)alarm(PATIENCE_S);
        _exit(look(rot));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) || WIFSIGNALED(status));
    if (WIFSIGNALED(status)) {
        return WTERMSIG(status) == SIGALRM ? FOUND_ENDLESS : FOUND_SIGNAL;
    }
    return WEXITSTATUS(status) < FINDINGS ? (enum finding)WEXITSTATUS(status) : FOUND_SIGNAL;
}

/* ---- flipping */

/* Half of the places are anywhere, half are in the pages that LMDB begins with. */
static uint64_t any_place(struct chance *chance, uint64_t size_bytes)
{
    return chance_one_in(chance, 2) ? chance_below(chance, size_bytes)
                                    : chance_below(chance, 2) * PAGE_SIZE_BYTES + chance_below(chance, META_SIZE_BYTES);
}

struct file {
    struct rot *rot;
    const char *name;
    enum finding (*look)(struct rot *rot);
    char path[PATH_SIZE_BYTES];
    uint8_t *contents;
    uint64_t size_bytes, flips;
};

static struct file file_read_all(struct rot *rot, const char *name, enum finding (*look)(struct rot *rot))
{
    struct file file = {.rot = rot, .name = name, .look = look};
    struct storage_failure failure;
    assert_int_equal(path_join(file.path, rot->node.dir, name, &failure), STORAGE_OK);
    file.size_bytes = scratch_file_size_bytes(file.path);
    file.contents = malloc(file.size_bytes);
    FILE *stream = fopen(file.path, "rb");
    assert_true(file.contents && stream && fread(file.contents, file.size_bytes, 1, stream) == 1);
    assert_int_equal(fclose(stream), 0);
    return file;
}

static void flip(struct file *file, uint64_t place, unsigned bit)
{
    file->contents[place] ^= (uint8_t)(1u << bit);
    scratch_file_write(file->path, file->contents, file->size_bytes);
    enum finding finding = in_a_process(file->rot, file->look);
    file->rot->counts[finding]++;
    file->flips++;
    if (finding == FOUND_SIGNAL || finding == FOUND_ENDLESS || (finding == FOUND_UNNOTICED && file->look == look_at_log)) {
        printf("%s: %s: bit %u of byte %llu\n", file->name, finding_names[finding], bit, (unsigned long long)place);
    }
    file->contents[place] ^= (uint8_t)(1u << bit);
}

static void tell(struct file *file)
{
    printf("%s: %llu flipped bits in %llu bytes\n", file->name, (unsigned long long)file->flips,
           (unsigned long long)file->size_bytes);
    for (unsigned finding = 0; finding < FINDINGS; finding++) {
        printf("  %8llu  %s\n", (unsigned long long)file->rot->counts[finding], finding_names[finding]);
    }
    free(file->contents);
}

static void flip_many(struct rot *rot, const char *name, enum finding (*look)(struct rot *rot))
{
    struct file file = file_read_all(rot, name, look);
    struct chance chance = chance_of(setting("CRASH_SEED", 1), 4, file.size_bytes);
    for (uint64_t flips = setting("CRASH_FLIPS", FLIPS); file.flips < flips;) {
        uint64_t place = any_place(&chance, file.size_bytes);
        flip(&file, place, (unsigned)chance_below(&chance, 8));
    }
    scratch_file_write(file.path, file.contents, file.size_bytes);
    assert_int_equal(in_a_process(rot, look), FOUND_AS_BEFORE);
    tell(&file);
}

static void the_log_never_hands_out_a_wrong_byte(void **state)
{
    struct rot *rot = *state;
    flip_many(rot, LOG_FILE, look_at_log);
    assert_int_equal(rot->counts[FOUND_UNNOTICED], 0);
    assert_int_equal(rot->counts[FOUND_SIGNAL] + rot->counts[FOUND_ENDLESS], 0);
    assert_true(rot->counts[FOUND_REFUSED] > 0);
    assert_true(rot->counts[FOUND_NAMED] > 0);
}

/* A tree of another kind made LMDB abort at the next write, and another number brought back an older log. */
static void what_a_meta_page_says_of_its_trees_and_its_number_is_checked(void **state)
{
    static const struct {
        uint64_t offset, size_bytes;
    } fields[] = {{META_FLAGS_OFFSET, 2}, {META_TRANSACTION_OFFSET, 8}};
    struct rot *rot = *state;
    struct file file = file_read_all(rot, LOG_FILE, look_at_log);
    for (size_t i = 0; i < 2 * sizeof fields / sizeof fields[0]; i++) {
        uint64_t from = (i % 2) * PAGE_SIZE_BYTES + fields[i / 2].offset;
        for (uint64_t bit = 0; bit < fields[i / 2].size_bytes * 8; bit++) {
            flip(&file, from + bit / 8, (unsigned)(bit % 8));
        }
    }
    tell(&file);
    assert_int_equal(rot->counts[FOUND_SIGNAL] + rot->counts[FOUND_ENDLESS], 0);
    assert_int_equal(rot->counts[FOUND_UNNOTICED], 0);
    assert_in_range(rot->counts[FOUND_OLDER], 0, 1); /* n - 1 taken for n + 1 */
}

static void a_damaged_state_ends_no_process(void **state)
{
    struct rot *rot = *state;
    flip_many(rot, STATE_FILE, look_at_state);
    assert_int_equal(rot->counts[FOUND_SIGNAL] + rot->counts[FOUND_ENDLESS], 0);
    assert_true(rot->counts[FOUND_REFUSED] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_log_never_hands_out_a_wrong_byte, given_a_node_at_rest, clear),
        cmocka_unit_test_setup_teardown(what_a_meta_page_says_of_its_trees_and_its_number_is_checked,
                                        given_a_node_at_rest, clear),
        cmocka_unit_test_setup_teardown(a_damaged_state_ends_no_process, given_a_node_at_rest, clear),
    };
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
