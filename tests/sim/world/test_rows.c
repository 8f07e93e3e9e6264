/* The simulator's state with cheap versions: it does what the plain store of the tests does, and a version stays as it
 * was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/crc32c.h"
#include "tests/sim/world/rows.h"
#include "tests/support/memory_store.h"

#define STEPS 60000u
#define VERSIONS 6u
#define KEY_SIZE_BYTES_MAX 511u
#define VALUE_SIZE_BYTES_MAX 80u

static uint64_t chance = 1;

static uint64_t below(uint64_t limit)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (chance >> 11) % limit;
}

static struct span text(const char *text)
{
    return (struct span){.data = text, .size_bytes = strlen(text)};
}

static void assert_same_bytes(struct span a, struct span b)
{
    assert_int_equal(a.size_bytes, b.size_bytes);
    if (a.size_bytes > 0) {
        assert_memory_equal(a.data, b.data, a.size_bytes);
    }
}

/* Keys that are easily confused: prefixes of each other, of zeros, alike in their first eight bytes, of the greatest
 * length. */
static struct span some_key(uint8_t bytes[KEY_SIZE_BYTES_MAX])
{
    static const size_t sizes[] = {1, 2, 7, 8, 9, 16, 17, KEY_SIZE_BYTES_MAX};
    size_t size_bytes = sizes[below(sizeof sizes / sizeof sizes[0])];
    memset(bytes, 0, size_bytes);
    for (unsigned i = 0; i < 3; i++) {
        bytes[below(size_bytes)] = (uint8_t)(below(4) * 85);
    }
    return (struct span){.data = bytes, .size_bytes = size_bytes};
}

static struct span some_value(uint8_t bytes[VALUE_SIZE_BYTES_MAX])
{
    size_t size_bytes = below(VALUE_SIZE_BYTES_MAX + 1);
    for (size_t i = 0; i < size_bytes; i++) {
        bytes[i] = (uint8_t)below(256);
    }
    return (struct span){.data = bytes, .size_bytes = size_bytes};
}

static enum machine_table some_table(void)
{
    static const enum machine_table tables[] = {TABLE_META, TABLE_DEADLINE, TABLE_NOTIFICATION};
    return tables[below(sizeof tables / sizeof tables[0])];
}

typedef bool (*look)(void *context, enum machine_table table, struct span key, struct span *found_key,
                     struct span *value);

/* Both say the same; true when they found something, which is then copied to `next`. */
static bool looks_same(look rows_look, struct rows *rows, look plain_look, struct memory_store *plain,
                       enum machine_table table, struct span key, uint8_t next[KEY_SIZE_BYTES_MAX],
                       size_t *next_size_bytes)
{
    struct span key_a, value_a, key_b, value_b;
    bool found = rows_look(rows, table, key, &key_a, &value_a);
    assert_int_equal(found, plain_look(plain, table, key, &key_b, &value_b));
    if (found) {
        assert_same_bytes(key_a, key_b);
        assert_same_bytes(value_a, value_b);
        memcpy(next, key_a.data, key_a.size_bytes);
        *next_size_bytes = key_a.size_bytes;
    }
    return found;
}

/* Every row, walked along forwards and backwards. */
static void assert_same_rows(struct rows *rows, struct memory_store *plain)
{
    struct machine_store a = rows_view(rows);
    struct machine_store b = memory_store_view(plain);
    uint64_t total = 0;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        enum machine_table table = (enum machine_table)t;
        uint8_t key[KEY_SIZE_BYTES_MAX + 1];
        uint64_t forwards = 0;
        uint64_t backwards = 0;
        size_t size_bytes = 0;
        while (looks_same(a.seek, rows, b.seek, plain, table, (struct span){key, size_bytes}, key, &size_bytes)) {
            forwards++;
            key[size_bytes++] = 0;
        }
        size_bytes = 0;
        while (looks_same(a.seek_before, rows, b.seek_before, plain, table, (struct span){key, size_bytes}, key,
                          &size_bytes)) {
            backwards++;
        }
        assert_int_equal(forwards, b.count(plain, table));
        assert_int_equal(backwards, forwards);
        assert_int_equal(a.count(rows, table), forwards);
        total += forwards;
    }
    assert_int_equal(rows_count(rows), total);
}

static void step(struct rows *rows, struct memory_store *plain)
{
    struct machine_store a = rows_view(rows);
    struct machine_store b = memory_store_view(plain);
    uint8_t key_bytes[KEY_SIZE_BYTES_MAX], value_bytes[VALUE_SIZE_BYTES_MAX], next[KEY_SIZE_BYTES_MAX];
    size_t next_size_bytes;
    enum machine_table table = some_table();
    struct span key = some_key(key_bytes);
    struct span value_a, value_b;
    switch (below(6)) {
    case 0:
    case 1:
        value_a = some_value(value_bytes);
        a.put(rows, table, key, value_a);
        b.put(plain, table, key, value_a);
        break;
    case 2:
        assert_int_equal(a.del(rows, table, key), b.del(plain, table, key));
        break;
    case 3: {
        bool found = a.get(rows, table, key, &value_a);
        assert_int_equal(found, b.get(plain, table, key, &value_b));
        if (found) {
            assert_same_bytes(value_a, value_b);
        }
        break;
    }
    case 4:
        looks_same(a.seek, rows, b.seek, plain, table, key, next, &next_size_bytes);
        break;
    default:
        looks_same(a.seek_before, rows, b.seek_before, plain, table, key, next, &next_size_bytes);
    }
}

/* A state, what it must hold, and what its digest was when it was last written. */
struct version {
    struct rows *rows;
    struct memory_store *plain;
    uint64_t digest;
};

static void version_end(struct version *version)
{
    if (version->rows != NULL) {
        assert_int_equal(rows_digest(version->rows), version->digest);
        assert_same_rows(version->rows, version->plain);
    }
    rows_free(version->rows);
    memory_store_free(version->plain);
    *version = (struct version){0};
}

/* A version is made of another one, written to or only kept, gone back to, and freed, in any order. */
static void test_versions_do_what_the_plain_store_does(void **state)
{
    (void)state;
    struct version versions[VERSIONS] = {{.rows = rows_new(), .plain = memory_store_new()}};
    chance = 20261121;
    unsigned made = 0, became = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        struct version *version = &versions[below(VERSIONS)];
        if (version->rows == NULL) {
            continue;
        }
        if (below(150) == 0) {
            struct version *other = &versions[below(VERSIONS)];
            if (other != version && other->rows != NULL && below(2) == 0) {
                rows_become(other->rows, version->rows);
                memory_store_free(other->plain);
                other->plain = memory_store_copy(version->plain);
                other->digest = version->digest;
                became++;
            } else if (other != version) {
                version_end(other);
                *other = (struct version){rows_version(version->rows), memory_store_copy(version->plain),
                                          version->digest};
                made++;
            }
        }
        step(version->rows, version->plain);
        version->digest = rows_digest(version->rows);
    }
    assert_true(made > 100 && became > 100);
    for (unsigned i = 0; i < VERSIONS; i++) {
        version_end(&versions[i]);
    }
}

/* The same rows by another history: other order, with rows between that are gone again. */
static void test_the_digest_follows_from_the_contents_alone(void **state)
{
    (void)state;
    struct rows *a = rows_new();
    struct rows *b = rows_new();
    struct machine_store store_a = rows_view(a);
    struct machine_store store_b = rows_view(b);
    assert_int_equal(rows_digest(a), rows_digest(b));
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t key = i, backwards = 999 - i;
        store_a.put(a, TABLE_INCIDENT, (struct span){&key, sizeof key}, text("open"));
        store_b.put(b, TABLE_INCIDENT, (struct span){&backwards, sizeof backwards}, text("not yet"));
        store_b.put(b, TABLE_ALERT, (struct span){&key, sizeof key}, text("gone soon"));
    }
    assert_true(rows_digest(a) != rows_digest(b));
    for (uint32_t i = 0; i < 1000; i++) {
        store_b.put(b, TABLE_INCIDENT, (struct span){&i, sizeof i}, text("open"));
        assert_true(store_b.del(b, TABLE_ALERT, (struct span){&i, sizeof i}));
    }
    assert_int_equal(rows_digest(a), rows_digest(b));
    assert_true(rows_equal(a, b, NULL));
    rows_free(a);
    rows_free(b);
}

/* What moves between table, key and value is a difference, also when the bytes together are the same. */
static void test_the_digest_tells_table_key_and_value_apart(void **state)
{
    (void)state;
    static const struct {
        enum machine_table table;
        const char *key, *value;
    } cases[] = {{TABLE_USER, "ab", "c"}, {TABLE_USER, "a", "bc"}, {TABLE_USER, "abc", ""}, {TABLE_SERVICE, "ab", "c"}};
    uint64_t digests[sizeof cases / sizeof cases[0]];
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rows *rows = rows_new();
        rows_view(rows).put(rows, cases[i].table, text(cases[i].key), text(cases[i].value));
        digests[i] = rows_digest(rows);
        for (unsigned j = 0; j < i; j++) {
            assert_true(digests[i] != digests[j]);
        }
        rows_free(rows);
    }
}

static void test_the_first_difference_is_named(void **state)
{
    (void)state;
    struct rows *a = rows_new();
    struct machine_store store = rows_view(a);
    store.put(a, TABLE_USER, text("1"), text("Ada"));
    store.put(a, TABLE_USER, text("2"), text("Grace"));
    store.put(a, TABLE_SERVICE, text("1"), text("web"));
    struct rows *b = rows_version(a);
    struct rows_difference difference;
    assert_true(rows_equal(a, b, &difference));

    store.put(b, TABLE_SERVICE, text("1"), text("mail"));
    assert_false(rows_equal(a, b, &difference));
    assert_int_equal(difference.table, TABLE_SERVICE);
    assert_same_bytes(difference.key, text("1"));
    assert_true(difference.in_a && difference.in_b);
    assert_same_bytes(difference.a, text("web"));
    assert_same_bytes(difference.b, text("mail"));

    store.put(b, TABLE_USER, text("3"), text("Barbara"));
    assert_false(rows_equal(a, b, &difference));
    assert_int_equal(difference.table, TABLE_USER);
    assert_same_bytes(difference.key, text("3"));
    assert_true(!difference.in_a && difference.in_b);
    assert_same_bytes(difference.b, text("Barbara"));

    store.del(b, TABLE_USER, text("1"));
    assert_false(rows_equal(a, b, &difference));
    assert_same_bytes(difference.key, text("1"));
    assert_true(difference.in_a && !difference.in_b);
    assert_same_bytes(difference.a, text("Ada"));
    rows_free(a);
    rows_free(b);
}

/* A reader holds on to what it read from the committed state while the writer goes on, and when the writer is gone. */
static void test_what_was_read_from_a_version_stays_while_others_are_written(void **state)
{
    (void)state;
    struct rows *applied = rows_new();
    struct machine_store store = rows_view(applied);
    store.put(applied, TABLE_USER, text("1"), text("Ada"));
    struct rows *committed = rows_version(applied);
    struct span key, value;
    assert_true(store.seek(committed, TABLE_USER, text("0"), &key, &value));
    store.put(applied, TABLE_USER, text("1"), text("Grace"));
    store.put(applied, TABLE_USER, text("0"), text("Barbara"));
    store.del(applied, TABLE_USER, text("1"));
    rows_free(applied);
    assert_same_bytes(key, text("1"));
    assert_same_bytes(value, text("Ada"));
    rows_free(committed);
}

/* The machine reads a row and writes it under another key, or again under its own, without a copy in between. */
static void test_what_was_read_may_be_written(void **state)
{
    (void)state;
    struct rows *rows = rows_new();
    struct machine_store store = rows_view(rows);
    store.put(rows, TABLE_USER, text("1"), text("Ada"));
    struct span key, value;
    assert_true(store.seek(rows, TABLE_USER, text("0"), &key, &value));
    store.put(rows, TABLE_USER, key, value);
    assert_true(store.seek(rows, TABLE_USER, text("0"), &key, &value));
    store.put(rows, TABLE_SERVICE, key, value);
    assert_true(store.seek(rows, TABLE_USER, text("0"), &key, &value));
    assert_true(store.del(rows, TABLE_USER, key));
    assert_false(store.get(rows, TABLE_USER, text("1"), &value));
    assert_true(store.get(rows, TABLE_SERVICE, text("1"), &value));
    assert_same_bytes(value, text("Ada"));
    rows_free(rows);
}

static struct rows *some_rows(unsigned steps)
{
    struct rows *rows = rows_new();
    struct memory_store *plain = memory_store_new();
    for (unsigned i = 0; i < steps; i++) {
        step(rows, plain);
    }
    memory_store_free(plain);
    return rows;
}

static void test_a_packed_state_comes_back(void **state)
{
    (void)state;
    chance = 7;
    const unsigned steps[] = {0, 1, 30, 3000};
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct rows *rows = some_rows(steps[i]);
        uint8_t *bytes, *again;
        size_t size_bytes, again_size_bytes;
        rows_pack(rows, &bytes, &size_bytes);
        struct rows *back = rows_unpack(bytes, size_bytes);
        assert_non_null(back);
        assert_true(rows_equal(rows, back, NULL));
        assert_int_equal(rows_digest(back), rows_digest(rows));
        rows_pack(back, &again, &again_size_bytes);
        assert_same_bytes((struct span){again, again_size_bytes}, (struct span){bytes, size_bytes});
        free(again);
        free(bytes);
        rows_free(rows);
        rows_free(back);
    }
}

static void put_checksum(uint8_t *bytes, size_t size_bytes)
{
    uint32_t checksum = crc32c(0, bytes + 4, size_bytes - 4);
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(checksum >> 8 * i);
    }
}

/* Each bit, each length; and with a checksum that is right for the damage nothing is read beyond the end. */
static void test_damaged_bytes_are_refused(void **state)
{
    (void)state;
    chance = 9;
    struct rows *rows = some_rows(40);
    uint8_t *bytes;
    size_t size_bytes;
    rows_pack(rows, &bytes, &size_bytes);
    for (size_t bit = 0; bit < size_bytes * 8; bit += 1 + below(5)) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_null(rows_unpack(bytes, size_bytes));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < size_bytes; cut++) {
        uint8_t *begin = malloc(cut + 1);
        assert_non_null(begin);
        memcpy(begin, bytes, cut);
        assert_null(rows_unpack(begin, cut));
        if (cut >= 4) {
            put_checksum(begin, cut);
            assert_null(rows_unpack(begin, cut));
        }
        free(begin);
    }
    unsigned taken = 0;
    for (size_t bit = 32; bit < size_bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        put_checksum(bytes, size_bytes);
        struct rows *other = rows_unpack(bytes, size_bytes);
        if (other != NULL) {
            assert_true(rows_digest(other) != rows_digest(rows));
            taken++;
        }
        rows_free(other);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(taken > 0 && taken < (size_bytes - 4) * 8);
    free(bytes);
    rows_free(rows);
}

/* Rows out of order, a row twice, or something behind the last one: rows_pack does not make that. */
static void test_bytes_in_another_form_are_refused(void **state)
{
    (void)state;
    struct rows *rows = rows_new();
    struct machine_store store = rows_view(rows);
    store.put(rows, TABLE_COUNT - 1, text("1"), text("a"));
    store.put(rows, TABLE_COUNT - 1, text("5"), text("b"));
    uint8_t *bytes;
    size_t size_bytes;
    rows_pack(rows, &bytes, &size_bytes);
    uint8_t *second_key = &bytes[size_bytes - 2];
    static const struct {
        uint8_t key;
        bool taken;
    } cases[] = {{'5', true}, {'2', true}, {'1', false}, {'0', false}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        *second_key = cases[i].key;
        put_checksum(bytes, size_bytes);
        struct rows *back = rows_unpack(bytes, size_bytes);
        assert_int_equal(back != NULL, cases[i].taken);
        rows_free(back);
    }
    *second_key = '5';
    uint8_t *longer = calloc(1, size_bytes + 1);
    assert_non_null(longer);
    memcpy(longer, bytes, size_bytes);
    put_checksum(longer, size_bytes + 1);
    assert_null(rows_unpack(longer, size_bytes + 1));
    free(longer);
    free(bytes);
    rows_free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_do_what_the_plain_store_does),
        cmocka_unit_test(test_the_digest_follows_from_the_contents_alone),
        cmocka_unit_test(test_the_digest_tells_table_key_and_value_apart),
        cmocka_unit_test(test_the_first_difference_is_named),
        cmocka_unit_test(test_what_was_read_from_a_version_stays_while_others_are_written),
        cmocka_unit_test(test_what_was_read_may_be_written),
        cmocka_unit_test(test_a_packed_state_comes_back),
        cmocka_unit_test(test_damaged_bytes_are_refused),
        cmocka_unit_test(test_bytes_in_another_form_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
