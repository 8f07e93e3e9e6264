/* The machine's ground: hashes, keys, walks, memory; entries that are repeated, unknown, damaged or late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/base/arena.h"
#include "consensus/machine/base/siphash.h"
#include "consensus/machine/base/text.h"
#include "consensus/machine/entry.h"
#include "consensus/machine/limits.h"
#include "tests/support/machine_probe.h"

/* ---------------------------------------------------------------- hashes, keys, texts */

static void siphash_gives_the_published_results(void **state)
{
    (void)state;
    /* The authors' vectors for 128 bits: key 00 01 .. 0f, message 00 01 .. */
    static const struct {
        size_t size_bytes;
        uint8_t hash[SIPHASH_SIZE_BYTES];
    } vectors[] = {
        {0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
        {1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
        {3, {0x9c, 0x70, 0xb6, 0x0c, 0x52, 0x67, 0xa9, 0x4e, 0x5f, 0x33, 0xb6, 0xb0, 0x29, 0x85, 0xed, 0x51}},
        {15, {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9}},
        {16, {0x6e, 0xe2, 0xa4, 0xca, 0x67, 0xb0, 0x54, 0xbb, 0xfd, 0x33, 0x15, 0xbf, 0x85, 0x23, 0x05, 0x77}},
        {31, {0x29, 0x39, 0xb0, 0x18, 0x32, 0x23, 0xfa, 0xfc, 0x17, 0x23, 0xde, 0x4f, 0x52, 0xc4, 0x3d, 0x35}},
    };
    uint8_t message[64];
    for (unsigned i = 0; i < sizeof message; i++) {
        message[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t hash[SIPHASH_SIZE_BYTES];
        siphash(message, message, vectors[i].size_bytes, hash);
        assert_memory_equal(hash, vectors[i].hash, sizeof hash);
    }
}

static int key_order(struct key a, struct key b)
{
    size_t shorter = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
    int order = memcmp(a.bytes, b.bytes, shorter);
    return order != 0 ? order : (int)a.size_bytes - (int)b.size_bytes;
}

static void keys_are_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    static const uint64_t rising[] = {0, 1, 255, 256, 65535, 65536, UINT32_MAX, (uint64_t)1 << 32, UINT64_MAX};
    for (size_t i = 0; i + 1 < sizeof rising / sizeof rising[0]; i++) {
        assert_true(key_order(key_1(rising[i]), key_1(rising[i + 1])) < 0);
        assert_true(key_order(key_2(7, rising[i]), key_2(7, rising[i + 1])) < 0);
        assert_true(key_order(key_2(rising[i], UINT64_MAX), key_2(rising[i + 1], 0)) < 0);
    }
    struct key key = key_2(17, 4711);
    assert_int_equal(span_number(key_span(&key), 0), 17);
    assert_int_equal(span_number(key_span(&key), 1), 4711);
    assert_true(key_under(key_span(&key), 17));
    assert_false(key_under(key_span(&key), 18));
}

static void deadlines_are_in_the_order_of_time_then_kind(void **state)
{
    (void)state;
    struct key earlier = key_deadline(1000, DEADLINE_RETENTION, 9, 9);
    struct key tell = key_deadline(1001, DEADLINE_NOTIFICATION_RULE, 9, 9);
    struct key escalate = key_deadline(1001, DEADLINE_ESCALATE, 1, 0);
    assert_true(key_order(earlier, tell) < 0);
    assert_true(key_order(tell, escalate) < 0);
    uint64_t due_ms;
    uint64_t object;
    uint64_t sub_object;
    enum deadline_kind kind;
    key_deadline_split(key_span(&tell), &due_ms, &kind, &object, &sub_object);
    assert_int_equal(due_ms, 1001);
    assert_int_equal(kind, DEADLINE_NOTIFICATION_RULE);
    assert_int_equal(object, 9);
    assert_int_equal(sub_object, 9);
}

static void lower_case_is_ascii_only(void **state)
{
    (void)state;
    assert_int_equal(key_order(key_hash_lower("Ada@Example.ORG"), key_hash("ada@example.org")), 0);
    assert_int_not_equal(key_order(key_hash_lower("\xc3\x84"), key_hash("\xc3\xa4")), 0);
    assert_int_not_equal(key_order(key_hash("A"), key_hash("a")), 0);
    assert_int_not_equal(key_order(key_1_hash(1, "a"), key_1_hash(2, "a")), 0);
}

static void texts_are_counted_in_characters_of_valid_utf8(void **state)
{
    (void)state;
    assert_true(text_within("", 0, 0));
    assert_true(text_within("abc", 3, 3));
    assert_true(text_within("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\x9f", 3, 3)); /* two, three and four bytes */
    assert_true(text_within("\xf4\x8f\xbf\xbf", 1, 1));                     /* U+10FFFF */
    assert_false(text_within("abcd", 0, 3));
    assert_false(text_within("ab", 3, 9));
    static const char *const invalid[] = {"\x80",         "\xc3",         "\xc0\xaf", "\xe0\x80\xaf",
                                          "\xed\xa0\x80", "\xe2\x82",     "a\xff",    "\xf0\x80\x80\xaf",
                                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        assert_false(text_within(invalid[i], 0, 100));
    }
}

/* ---------------------------------------------------------------- rows */

static void put_row(struct machine_probe *probe, uint64_t parent, uint64_t id)
{
    struct key key = key_2(parent, id);
    struct key value = key_1(id);
    probe->store.put(probe->store.context, TABLE_ALERT, key_span(&key), key_span(&value));
}

/* Walks and compares with the ids that must be met, which end with 0. */
static void assert_walk(struct walk walk, const uint64_t *ids)
{
    for (; *ids != 0; ids++) {
        assert_true(walk_next(&walk));
        assert_int_equal(span_number(walk.key, 1), *ids);
        assert_int_equal(span_number(walk.value, 0), *ids);
    }
    assert_false(walk_next(&walk));
}

static void a_walk_meets_the_rows_of_its_parent_only(void **state)
{
    struct machine_probe *probe = *state;
    const struct machine_store *store = &probe->store;
    put_row(probe, 1, 10);
    put_row(probe, 2, 21);
    put_row(probe, 2, 20);
    put_row(probe, 2, 22);
    put_row(probe, UINT64_MAX, 30);
    assert_walk(walk_under(store, TABLE_ALERT, 2), (uint64_t[]){20, 21, 22, 0});
    assert_walk(walk_under_backward(store, TABLE_ALERT, 2), (uint64_t[]){22, 21, 20, 0});
    assert_walk(walk_under(store, TABLE_ALERT, 3), (uint64_t[]){0});
    assert_walk(walk_under_backward(store, TABLE_ALERT, 3), (uint64_t[]){0});
    assert_walk(walk_under_backward(store, TABLE_ALERT, UINT64_MAX), (uint64_t[]){30, 0});
    assert_walk(walk_all(store, TABLE_ALERT), (uint64_t[]){10, 20, 21, 22, 30, 0});
    assert_walk(walk_all_backward(store, TABLE_ALERT), (uint64_t[]){30, 22, 21, 20, 10, 0});
    assert_walk(walk_all(store, TABLE_USER), (uint64_t[]){0});
}

static void rows_may_go_while_a_walk_passes(void **state)
{
    struct machine_probe *probe = *state;
    for (uint64_t id = 1; id <= 9; id++) {
        put_row(probe, 5, id);
    }
    unsigned met = 0;
    struct walk walk = walk_under(&probe->store, TABLE_ALERT, 5);
    while (walk_next(&walk)) {
        assert_true(probe->store.del(probe->store.context, TABLE_ALERT, key_span(&walk.position)));
        met++;
    }
    assert_int_equal(met, 9);
    assert_int_equal(probe_rows(probe, TABLE_ALERT), 0);
}

/* ---------------------------------------------------------------- memory */

static void an_arena_gives_aligned_memory_and_takes_it_back_as_a_whole(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    ProtobufCAllocator *allocator = &arena.allocator;
    void *first[2000];
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < 2000; i++) {
            size_t size_bytes = 1 + i % 997;
            uint8_t *memory = allocator->alloc(allocator->allocator_data, size_bytes);
            assert_int_equal((uintptr_t)memory % 16, 0);
            memset(memory, (int)(i & 0xff), size_bytes);
            first[i] = memory;
        }
        for (size_t i = 0; i < 2000; i++) {
            assert_int_equal(((uint8_t *)first[i])[i % 997], i & 0xff); /* nobody wrote over it */
        }
        void *large = allocator->alloc(allocator->allocator_data, 3u << 20);
        memset(large, 0xff, 3u << 20);
        arena_reset(&arena);
    }
    arena_close(&arena);
}

/* A source that sends large events, each of another size, had all nodes keep a block for nearly every one of them. */
static void an_arena_keeps_no_more_than_its_bound(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    uint32_t random = 1;
    for (unsigned entry = 0; entry < 2000; entry++) {
        for (unsigned i = 0; i < 4; i++) {
            random = random * 1664525u + 1013904223u;
            (void)blocks_take(&arena.blocks, (260u << 10) + (random >> 8) % (260u << 10));
            (void)blocks_take(&arena.blocks, 1000);
        }
        arena_reset(&arena);
        assert_true(blocks_size_bytes(arena.blocks) <= BLOCKS_KEPT_SIZE_BYTES_MAX);
    }
    for (unsigned i = 0; i < 100; i++) { /* once, nearly all at once */
        (void)blocks_take(&arena.blocks, 1u << 20);
    }
    assert_true(blocks_size_bytes(arena.blocks) >= 100u << 20);
    arena_reset(&arena);
    assert_true(blocks_size_bytes(arena.blocks) <= BLOCKS_KEPT_SIZE_BYTES_MAX);
    arena_close(&arena);
    assert_int_equal(blocks_size_bytes(arena.blocks), 0);
}

static void an_entry_lives_until_its_last_holder_lets_go(void **state)
{
    (void)state;
    struct entry *entry = entry_new(3, ENTRY_BARRIER, 5);
    memcpy(entry->data, "hello", 5);
    assert_ptr_equal(entry_ref(entry), entry);
    entry_unref(entry);
    assert_int_equal(entry->term, 3);
    assert_memory_equal(entry->data, "hello", 5);
    entry_unref(entry);
    entry_unref(NULL);
}

/* ---------------------------------------------------------------- origins */

/* Applies the creation of a user under this origin; true when it was applied, false when dropped as a repeat. */
static bool send_user(struct machine_probe *probe, uint64_t node, uint64_t boot, uint64_t sequence)
{
    static unsigned count;
    char email[64];
    snprintf(email, sizeof email, "u%u@example.org", ++count);
    Tocsin__User user;
    tocsin__user__init(&user);
    user.name = probe_text("Somebody");
    user.email = email;
    Tocsin__UserPut put;
    tocsin__user_put__init(&put);
    put.user = &user;
    Tocsin__Command command = COMMAND(USER_PUT, user_put, put);
    Tocsin__Origin origin;
    tocsin__origin__init(&origin);
    origin.node = node;
    origin.boot = boot;
    origin.sequence = sequence;
    command.origin = &origin;
    Tocsin__Command *commands[] = {&command};
    uint64_t users = probe_rows(probe, TABLE_USER);
    assert_int_equal(probe_apply(probe, probe->time_ms, commands, 1), MACHINE_OK);
    assert_int_equal(probe->output.replies_count, 1);
    const struct machine_reply *reply = &probe->output.replies[0];
    assert_int_equal(reply->node, node);
    assert_int_equal(reply->boot, boot);
    assert_int_equal(reply->sequence, sequence);
    uint64_t users_after = probe_rows(probe, TABLE_USER);
    assert_int_equal(users_after, users + (reply->repeated ? 0 : 1));
    assert_int_equal(probe->output.commands_applied, reply->repeated ? 0 : 1);
    return !reply->repeated;
}

static void a_repeated_command_is_dropped(void **state)
{
    struct machine_probe *probe = *state;
    assert_true(send_user(probe, 1, 1, 1));
    assert_false(send_user(probe, 1, 1, 1));
    assert_true(send_user(probe, 2, 1, 1)); /* another node's number */
    assert_true(send_user(probe, 1, 1, 5)); /* numbers may come out of order */
    assert_true(send_user(probe, 1, 1, 3));
    assert_false(send_user(probe, 1, 1, 3));
    assert_false(send_user(probe, 1, 1, 5));
    assert_true(send_user(probe, 1, 1, 2));
}

static void the_window_moves_up_and_forgets(void **state)
{
    struct machine_probe *probe = *state;
    const uint64_t window = LIMIT_ORIGIN_WINDOW;
    assert_true(send_user(probe, 1, 1, 2));
    assert_true(send_user(probe, 1, 1, window)); /* 1 is the oldest that is remembered */
    assert_false(send_user(probe, 1, 1, 2));
    assert_true(send_user(probe, 1, 1, 1));
    assert_true(send_user(probe, 1, 1, window + 3));
    assert_false(send_user(probe, 1, 1, 3));          /* fell out: dropped though it was never applied */
    assert_true(send_user(probe, 1, 1, window + 2));  /* shares its bit with 2 */
    assert_true(send_user(probe, 1, 1, 4));
    assert_true(send_user(probe, 1, 1, 10 * window)); /* a jump beyond the whole window */
    assert_true(send_user(probe, 1, 1, 10 * window - 1));
    assert_true(send_user(probe, 1, 1, 9 * window + 1));
    assert_false(send_user(probe, 1, 1, 9 * window));
}

static void a_node_that_started_again_counts_anew(void **state)
{
    struct machine_probe *probe = *state;
    assert_true(send_user(probe, 1, 5, 1));
    assert_true(send_user(probe, 1, 6, 1));
    assert_false(send_user(probe, 1, 6, 1));
    assert_false(send_user(probe, 1, 5, 2)); /* nobody waits any more for what an earlier start sent */
    assert_true(send_user(probe, 1, 6, 2));
}

/* ---- versions of the rules */

static enum machine_error raise_to(struct machine_probe *probe, uint32_t version)
{
    Tocsin__VersionRaise raise = TOCSIN__VERSION_RAISE__INIT;
    raise.version = version;
    Tocsin__Command command = COMMAND(VERSION_RAISE, version_raise, raise), *commands[] = {&command};
    return probe_apply(probe, 1, commands, 1);
}

static void the_version_rises_by_one_and_never_falls(void **state)
{
    struct machine_probe *probe = *state;
    assert_int_equal(machine_version(&probe->store), 1);
    machine_set_version(probe->machine, MACHINE_VERSION + 1);
    assert_int_equal(raise_to(probe, MACHINE_VERSION + 2), MACHINE_OK); /* refused, by everybody */
    assert_int_equal(machine_version(&probe->store), MACHINE_VERSION);
    assert_int_equal(raise_to(probe, MACHINE_VERSION + 1), MACHINE_OK);
    assert_int_equal(machine_version(&probe->store), MACHINE_VERSION + 1);
    assert_int_equal(raise_to(probe, MACHINE_VERSION + 1), MACHINE_OK);
    assert_int_equal(raise_to(probe, MACHINE_VERSION), MACHINE_OK);
    assert_int_equal(machine_version(&probe->store), MACHINE_VERSION + 1);
}

static void a_machine_that_is_too_old_stops_and_touches_nothing(void **state)
{
    struct machine_probe *probe = *state;
    assert_int_equal(probe_apply(probe, 1, NULL, 0), MACHINE_OK);
    uint64_t rows = probe_rows(probe, TABLE_META);
    assert_int_equal(raise_to(probe, MACHINE_VERSION + 1), MACHINE_TOO_OLD);
    assert_int_equal(machine_version(&probe->store), MACHINE_VERSION);
    assert_int_equal(probe_rows(probe, TABLE_META), rows);
    /* Nor does it go on when the version has risen already: in a snapshot, or before it was started with an older program. */
    machine_set_version(probe->machine, MACHINE_VERSION + 1);
    assert_int_equal(raise_to(probe, MACHINE_VERSION + 1), MACHINE_OK);
    machine_set_version(probe->machine, MACHINE_VERSION);
    assert_int_equal(probe_apply(probe, 2, NULL, 0), MACHINE_TOO_OLD);
    assert_int_equal(machine_last_time_ms(&probe->store), 1);
}

static void a_new_version_is_nobody_elses_to_propose(void **state)
{
    struct machine_probe *probe = *state;
    Tocsin__VersionRaise raise = TOCSIN__VERSION_RAISE__INIT;
    raise.version = MACHINE_VERSION + 1;
    Tocsin__Command command = COMMAND(VERSION_RAISE, version_raise, raise);
    uint8_t packed[256];
    assert_true(tocsin__command__get_packed_size(&command) <= sizeof packed);
    size_t size_bytes = tocsin__command__pack(&command, packed);
    assert_false(machine_knows(probe->machine, (struct span){packed, size_bytes}));
}

static void commands_without_origin_are_applied_and_answer_nobody(void **state)
{
    struct machine_probe *probe = *state;
    Tocsin__SettingsPut put;
    tocsin__settings_put__init(&put);
    Tocsin__Settings settings;
    tocsin__settings__init(&settings);
    settings.cluster_name = probe_text("north");
    put.settings = &settings;
    put.fields = probe_field(&tocsin__settings__descriptor, "cluster_name");
    Tocsin__Command command = COMMAND(SETTINGS_PUT, settings_put, put);
    Tocsin__Command *commands[] = {&command, &command};
    assert_int_equal(probe_apply(probe, 1, commands, 2), MACHINE_OK);
    assert_int_equal(probe->output.replies_count, 0);
    assert_int_equal(probe->output.commands_applied, 2);
}

/* ---------------------------------------------------------------- idempotency keys */

struct keyed {
    Tocsin__User user;
    Tocsin__UserPut put;
    Tocsin__Actor actor;
    Tocsin__Command command;
};

static void keyed_user(struct keyed *keyed, uint64_t actor_id, const char *key, const char *email)
{
    tocsin__user__init(&keyed->user);
    keyed->user.name = probe_text("Somebody");
    keyed->user.email = probe_text(email);
    tocsin__user_put__init(&keyed->put);
    keyed->put.user = &keyed->user;
    tocsin__actor__init(&keyed->actor);
    keyed->actor.kind = TOCSIN__ACTOR_KIND__ACTOR_TOKEN;
    keyed->actor.id = actor_id;
    keyed->command = COMMAND(USER_PUT, user_put, keyed->put);
    keyed->command.actor = &keyed->actor;
    keyed->command.idempotency_key = probe_text(key);
}

static void the_same_request_gets_the_same_answer(void **state)
{
    struct machine_probe *probe = *state;
    struct keyed first;
    keyed_user(&first, 4, "key-1", "one@example.org");
    uint64_t id = probe_done(probe, &first.command);
    assert_true(id > 0);
    assert_int_equal(probe_done(probe, &first.command), id);
    assert_int_equal(probe_rows(probe, TABLE_USER), 1);

    /* Another actor may use the same key for its own. */
    struct keyed other;
    keyed_user(&other, 5, "key-1", "two@example.org");
    assert_int_not_equal(probe_done(probe, &other.command), id);
}

static void a_key_is_not_used_for_two_kinds_of_request(void **state)
{
    struct machine_probe *probe = *state;
    struct keyed first;
    keyed_user(&first, 4, "key-1", "one@example.org");
    uint64_t id = probe_done(probe, &first.command);
    Tocsin__UserDelete deletion;
    tocsin__user_delete__init(&deletion);
    deletion.id = id;
    Tocsin__Command command = COMMAND(USER_DELETE, user_delete, deletion);
    command.actor = &first.actor;
    command.idempotency_key = probe_text("key-1");
    probe_refused(probe, &command, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_BAD_VALUE);
}

static void a_refusal_is_not_remembered(void **state)
{
    struct machine_probe *probe = *state;
    struct keyed first;
    keyed_user(&first, 4, "key-1", "not an address");
    probe_refused(probe, &first.command, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE);
    first.user.email = probe_text("one@example.org");
    assert_true(probe_done(probe, &first.command) > 0);
}

static void a_key_is_forgotten_after_a_day(void **state)
{
    struct machine_probe *probe = *state;
    struct keyed first;
    keyed_user(&first, 4, "key-1", "one@example.org");
    uint64_t id = probe_done(probe, &first.command);
    first.user.email = probe_text("two@example.org");
    probe->time_ms += IDEMPOTENCY_KEPT_MS - 1;
    assert_int_equal(probe_done(probe, &first.command), id);
    probe->time_ms += 1;
    assert_int_not_equal(probe_done(probe, &first.command), id);
    /* The row by time moved along, so that the expiry of the first does not take the second away. */
    assert_int_equal(probe_rows(probe, TABLE_IDEMPOTENCY), 1);
    assert_int_equal(probe_rows(probe, TABLE_IDEMPOTENCY_BY_TIME), 1);
    struct walk walk = walk_all(&probe->store, TABLE_IDEMPOTENCY_BY_TIME);
    assert_true(walk_next(&walk));
    assert_int_equal(span_number(walk.key, 0), probe->time_ms);
}

/* ---------------------------------------------------------------- what must stop a node */

/* A packed command that creates a user, with room behind it. */
static size_t pack_user(uint8_t *packed, size_t size_bytes_max)
{
    struct keyed keyed;
    keyed_user(&keyed, 0, "", "good@example.org");
    size_t size_bytes = tocsin__command__get_packed_size(&keyed.command);
    assert_true(size_bytes <= size_bytes_max);
    return tocsin__command__pack(&keyed.command, packed);
}

/* Applies a good command followed by `packed`; nothing of both may be seen. */
static void assert_stops(struct machine_probe *probe, const uint8_t *packed, size_t size_bytes,
                         enum machine_error expected)
{
    uint8_t good[256];
    uint8_t bad[1024];
    assert_true(size_bytes <= sizeof bad);
    memcpy(bad, packed, size_bytes);
    ProtobufCBinaryData commands[] = {{.len = pack_user(good, sizeof good), .data = good},
                                      {.len = size_bytes, .data = bad}};
    struct memory_store *before = memory_store_copy(probe->memory);
    assert_int_equal(probe_apply_packed(probe, probe->time_ms, commands, 2), expected);
    assert_int_equal(probe->output.replies_count, 0);
    assert_true(memory_store_equal(probe->memory, before, NULL));
    memory_store_free(before);
}

static void an_unknown_field_anywhere_stops_the_node(void **state)
{
    struct machine_probe *probe = *state;
    uint8_t packed[512];
    size_t size_bytes = pack_user(packed, sizeof packed);
    /* Field 999 of type varint, value 1: tag 999 * 8 + 0 = 7992. */
    static const uint8_t unknown[] = {0xb8, 0x3e, 0x01};
    memcpy(packed + size_bytes, unknown, sizeof unknown);
    assert_stops(probe, packed, size_bytes + sizeof unknown, MACHINE_UNKNOWN_FIELD);

    /* Inside the origin: Command.origin (1) of three bytes, which are the unknown field. */
    uint8_t nested[512] = {0x0a, sizeof unknown};
    memcpy(nested + 2, unknown, sizeof unknown);
    memcpy(nested + 2 + sizeof unknown, packed, size_bytes);
    assert_stops(probe, nested, 2 + sizeof unknown + size_bytes, MACHINE_UNKNOWN_FIELD);

    /* Two levels down: Command.user_put (11) with a user (3) with an unknown field. */
    static const uint8_t deep[] = {0x5a, 0x05, 0x1a, 0x03, 0xb8, 0x3e, 0x01};
    assert_stops(probe, deep, sizeof deep, MACHINE_UNKNOWN_FIELD);

    /* In an element of a list: Command.escalation_policy_put (21), policy (3), levels (5). */
    static const uint8_t listed[] = {0xaa, 0x01, 0x07, 0x1a, 0x05, 0x2a, 0x03, 0xb8, 0x3e, 0x01};
    assert_stops(probe, listed, sizeof listed, MACHINE_UNKNOWN_FIELD);
}

static void an_unknown_value_or_body_stops_the_node(void **state)
{
    struct machine_probe *probe = *state;
    /* Command.event (10) with action (2) = 9. */
    static const uint8_t action[] = {0x52, 0x02, 0x10, 0x09};
    assert_stops(probe, action, sizeof action, MACHINE_UNKNOWN_FIELD);
    /* A body that a later version may have, field 9999, and none at all. */
    static const uint8_t body[] = {0xfa, 0xf0, 0x04, 0x00};
    assert_stops(probe, body, sizeof body, MACHINE_UNKNOWN_FIELD);
    assert_stops(probe, body, 0, MACHINE_UNKNOWN_FIELD);
    /* The same event with a value that is known passes: the check above can fail. */
    uint8_t known[] = {0x52, 0x02, 0x10, 0x02};
    ProtobufCBinaryData commands[] = {{.len = sizeof known, .data = known}};
    assert_int_equal(probe_apply_packed(probe, 1, commands, 1), MACHINE_OK);
}

static void damage_stops_the_node(void **state)
{
    struct machine_probe *probe = *state;
    static const uint8_t cut[] = {0x5a, 0x50, 0x1a}; /* user_put of 80 bytes, of which one is there */
    assert_stops(probe, cut, sizeof cut, MACHINE_MALFORMED);
    static const uint8_t noise[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    assert_stops(probe, noise, sizeof noise, MACHINE_MALFORMED);
    enum machine_error error =
        machine_apply(probe->machine, &probe->store, 1, (struct span){.data = noise, .size_bytes = sizeof noise},
                      &probe->output);
    assert_int_equal(error, MACHINE_MALFORMED);
    for (int number = MACHINE_OK; number >= MACHINE_NO_MEMORY; number--) {
        assert_true(strlen(machine_error_message((enum machine_error)number)) > 10);
    }
}

/* ---------------------------------------------------------------- time, and the same state everywhere */

static void time_never_goes_backwards(void **state)
{
    struct machine_probe *probe = *state;
    assert_int_equal(machine_last_time_ms(&probe->store), 0);
    assert_int_equal(machine_next_deadline_ms(&probe->store), UINT64_MAX);
    assert_int_equal(probe_apply(probe, 5000, NULL, 0), MACHINE_OK);
    assert_int_equal(probe->output.time_ms, 5000);
    assert_int_equal(probe_apply(probe, 4000, NULL, 0), MACHINE_OK);
    assert_int_equal(probe->output.time_ms, 5000);
    probe->time_ms = 4500;
    uint64_t user_id = probe_user(probe, "Ada", "ada@example.org");
    Tocsin__User *user = user_get(&probe->store, user_id, NULL);
    assert_int_equal(user->created_at_ms, 5000);
    tocsin__user__free_unpacked(user, NULL);
    assert_int_equal(probe_apply(probe, 6000, NULL, 0), MACHINE_OK);
    assert_int_equal(machine_last_time_ms(&probe->store), 6000);
    Tocsin__Counters *counters = counters_get(&probe->store, NULL);
    assert_int_equal(counters->entries_applied, 4);
    tocsin__counters__free_unpacked(counters, NULL);
}

static void the_first_deadline_is_told(void **state)
{
    struct machine_probe *probe = *state;
    static const uint64_t due_ms[] = {900, 300, 600};
    for (size_t i = 0; i < 3; i++) {
        struct key key = key_deadline(due_ms[i], DEADLINE_ESCALATE, i + 1, 0);
        probe->store.put(probe->store.context, TABLE_DEADLINE, key_span(&key), (struct span){.data = ""});
    }
    assert_int_equal(machine_next_deadline_ms(&probe->store), 300);
    assert_int_equal(probe_apply(probe, 1, NULL, 0), MACHINE_OK);
    assert_int_equal(probe->output.next_deadline_ms, 300);
}

static void tell_a_story(struct machine_probe *probe)
{
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    probe_email(probe, ada, "ada@example.org");
    probe->time_ms += 1000;
    uint64_t policy = probe_policy(probe, "Default", ada);
    uint64_t service = probe_service(probe, "Checkout", policy);
    probe_integration(probe, service, "0123456789abcdef0123456789ABCDEF");
    probe->time_ms += 1000;
    probe_trigger(probe, "0123456789abcdef0123456789ABCDEF", "disk");
}

static void the_same_log_gives_the_same_state(void **state)
{
    struct machine_probe *probe = *state;
    struct machine_probe other;
    probe_open(&other);
    assert_int_equal(memory_store_digest(probe->memory), memory_store_digest(other.memory));
    tell_a_story(probe);
    assert_int_not_equal(memory_store_digest(probe->memory), memory_store_digest(other.memory));
    enum machine_table table = TABLE_COUNT;
    assert_false(memory_store_equal(probe->memory, other.memory, &table));
    assert_int_equal(table, TABLE_META);
    tell_a_story(&other);
    assert_true(memory_store_equal(probe->memory, other.memory, NULL));
    assert_int_equal(memory_store_digest(probe->memory), memory_store_digest(other.memory));
    /* One more entry, even an empty one, is another state. */
    assert_int_equal(probe_apply(&other, other.time_ms, NULL, 0), MACHINE_OK);
    assert_int_not_equal(memory_store_digest(probe->memory), memory_store_digest(other.memory));
    probe_close(&other);
}

#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, probe_setup, probe_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_gives_the_published_results),
        cmocka_unit_test(keys_are_in_the_order_of_their_numbers),
        cmocka_unit_test(deadlines_are_in_the_order_of_time_then_kind),
        cmocka_unit_test(lower_case_is_ascii_only),
        cmocka_unit_test(texts_are_counted_in_characters_of_valid_utf8),
        MACHINE_TEST(a_walk_meets_the_rows_of_its_parent_only),
        MACHINE_TEST(rows_may_go_while_a_walk_passes),
        cmocka_unit_test(an_arena_gives_aligned_memory_and_takes_it_back_as_a_whole),
        cmocka_unit_test(an_arena_keeps_no_more_than_its_bound),
        cmocka_unit_test(an_entry_lives_until_its_last_holder_lets_go),
        MACHINE_TEST(a_repeated_command_is_dropped),
        MACHINE_TEST(the_window_moves_up_and_forgets),
        MACHINE_TEST(a_node_that_started_again_counts_anew),
        MACHINE_TEST(commands_without_origin_are_applied_and_answer_nobody),
        MACHINE_TEST(the_version_rises_by_one_and_never_falls),
        MACHINE_TEST(a_machine_that_is_too_old_stops_and_touches_nothing),
        MACHINE_TEST(a_new_version_is_nobody_elses_to_propose),
        MACHINE_TEST(the_same_request_gets_the_same_answer),
        MACHINE_TEST(a_key_is_not_used_for_two_kinds_of_request),
        MACHINE_TEST(a_refusal_is_not_remembered),
        MACHINE_TEST(a_key_is_forgotten_after_a_day),
        MACHINE_TEST(an_unknown_field_anywhere_stops_the_node),
        MACHINE_TEST(an_unknown_value_or_body_stops_the_node),
        MACHINE_TEST(damage_stops_the_node),
        MACHINE_TEST(time_never_goes_backwards),
        MACHINE_TEST(the_first_deadline_is_told),
        MACHINE_TEST(the_same_log_gives_the_same_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
