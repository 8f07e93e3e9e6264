/* The wire form of raft messages: what goes in comes out, and nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "consensus/codec.h"
#include "consensus/machine/base/crc32c.h"
#include "consensus/machine/limits.h"

#define ENTRIES 3u

struct fixture {
    struct raft_message message;
    struct entry *entries[ENTRIES];
    uint8_t *bytes;
    size_t size_bytes;
};

static void encode(struct fixture *fixture)
{
    fixture->size_bytes = codec_size_bytes(&fixture->message, fixture->entries);
    fixture->bytes = malloc(fixture->size_bytes);
    assert_non_null(fixture->bytes);
    codec_encode(&fixture->message, fixture->entries, fixture->bytes);
}

static struct fixture append_entries(void)
{
    struct fixture fixture = {.message = {.type = RAFT_APPEND_ENTRIES}};
    struct raft_append_entries *append = &fixture.message.append_entries;
    *append = (struct raft_append_entries){
        .version = 0,
        .term = 0x1122334455667788,
        .prev_log_index = UINT64_MAX / 2,
        .prev_log_term = 0x0102030405060708,
        .leader_commit = 99,
        .n_entries = ENTRIES,
    };
    const enum entry_type types[ENTRIES] = {ENTRY_COMMAND, ENTRY_BARRIER, ENTRY_CHANGE};
    const uint32_t sizes[ENTRIES] = {13, 0, 40};
    for (unsigned i = 0; i < ENTRIES; i++) {
        fixture.entries[i] = entry_new(1000 + i, types[i], sizes[i]);
        memset(fixture.entries[i]->data, (int)('a' + i), sizes[i]);
    }
    encode(&fixture);
    return fixture;
}

static void discard(struct fixture *fixture)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        entry_unref(fixture->entries[i]);
    }
    free(fixture->bytes);
}

static bool decodes(const struct fixture *fixture, size_t size_bytes, struct codec_message *out)
{
    /* A block of its own, so that reading past its end is seen by the sanitizer. */
    uint8_t *copy = malloc(size_bytes > 0 ? size_bytes : 1);
    assert_non_null(copy);
    memcpy(copy, fixture->bytes, size_bytes);
    bool ok = codec_decode((struct span){copy, size_bytes}, out);
    free(copy);
    return ok;
}

static void test_crc32c_is_the_published_one(void **state)
{
    (void)state;
    /* RFC 3720, B.4, and the usual check value. */
    uint8_t zeros[32] = {0}, ones[32], rising[32];
    memset(ones, 0xff, sizeof ones);
    for (uint8_t i = 0; i < sizeof rising; i++) {
        rising[i] = i;
    }
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, sizeof zeros), 0x8a9136aa);
    assert_int_equal(crc32c(0, ones, sizeof ones), 0x62a8ab43);
    assert_int_equal(crc32c(0, rising, sizeof rising), 0x46dd794e);
    for (size_t cut = 0; cut <= sizeof rising; cut++) {
        uint32_t first = crc32c(0, rising, cut);
        assert_int_equal(crc32c(first, rising + cut, sizeof rising - cut), 0x46dd794e);
    }
}

static void test_an_append_arrives_with_its_entries(void **state)
{
    (void)state;
    struct fixture sent = append_entries();
    struct codec_message got;
    assert_true(decodes(&sent, sent.size_bytes, &got));
    const struct raft_append_entries *append = &got.message.append_entries;
    assert_int_equal(got.message.type, RAFT_APPEND_ENTRIES);
    assert_true(append->term == sent.message.append_entries.term);
    assert_true(append->prev_log_index == UINT64_MAX / 2);
    assert_true(append->prev_log_term == sent.message.append_entries.prev_log_term);
    assert_int_equal(append->leader_commit, 99);
    assert_int_equal(append->n_entries, ENTRIES);
    for (unsigned i = 0; i < ENTRIES; i++) {
        assert_int_equal(got.entries[i]->term, 1000 + i);
        assert_int_equal(got.entries[i]->type, sent.entries[i]->type);
        assert_int_equal(got.entries[i]->size_bytes, sent.entries[i]->size_bytes);
        assert_memory_equal(got.entries[i]->data, sent.entries[i]->data, sent.entries[i]->size_bytes);
    }
    codec_message_close(&got);
    discard(&sent);
}

static void test_a_heartbeat_has_no_entries(void **state)
{
    (void)state;
    struct fixture sent = {.message = {.type = RAFT_APPEND_ENTRIES}};
    sent.message.append_entries.term = 5;
    encode(&sent);
    struct codec_message got;
    assert_true(decodes(&sent, sent.size_bytes, &got));
    assert_null(got.entries);
    assert_int_equal(got.message.append_entries.term, 5);
    codec_message_close(&got);
    discard(&sent);
}

#define ASSERT_FIELD(member, field) assert_true(got.message.member.field == sent.message.member.field)

static void test_votes_results_and_timeouts_keep_every_field(void **state)
{
    (void)state;
    struct codec_message got;
    struct fixture sent = {.message = {.type = RAFT_REQUEST_VOTE}};
    sent.message.request_vote = (struct raft_request_vote){2, 7, 3, 1ull << 40, 6, true, false};
    encode(&sent);
    assert_true(decodes(&sent, sent.size_bytes, &got));
    assert_int_equal(got.message.type, RAFT_REQUEST_VOTE);
    ASSERT_FIELD(request_vote, version);
    ASSERT_FIELD(request_vote, term);
    ASSERT_FIELD(request_vote, candidate_id);
    ASSERT_FIELD(request_vote, last_log_index);
    ASSERT_FIELD(request_vote, last_log_term);
    ASSERT_FIELD(request_vote, disrupt_leader);
    ASSERT_FIELD(request_vote, pre_vote);
    discard(&sent);

    sent = (struct fixture){.message = {.type = RAFT_REQUEST_VOTE_RESULT}};
    sent.message.request_vote_result = (struct raft_request_vote_result){2, 8, true, true, 1, 4096};
    encode(&sent);
    assert_true(decodes(&sent, sent.size_bytes, &got));
    assert_int_equal(got.message.type, RAFT_REQUEST_VOTE_RESULT);
    assert_int_equal(got.message.request_vote_result.version, 2);
    ASSERT_FIELD(request_vote_result, term);
    ASSERT_FIELD(request_vote_result, vote_granted);
    ASSERT_FIELD(request_vote_result, pre_vote);
    ASSERT_FIELD(request_vote_result, features);
    ASSERT_FIELD(request_vote_result, capacity);
    discard(&sent);

    sent = (struct fixture){.message = {.type = RAFT_APPEND_ENTRIES_RESULT}};
    sent.message.append_entries_result = (struct raft_append_entries_result){2, 9, 11, 10, 1, 65535};
    encode(&sent);
    assert_true(decodes(&sent, sent.size_bytes, &got));
    assert_int_equal(got.message.type, RAFT_APPEND_ENTRIES_RESULT);
    assert_int_equal(got.message.append_entries_result.version, 2);
    assert_int_equal(got.message.append_entries_result.features, 1);
    ASSERT_FIELD(append_entries_result, term);
    ASSERT_FIELD(append_entries_result, rejected);
    ASSERT_FIELD(append_entries_result, last_log_index);
    ASSERT_FIELD(append_entries_result, capacity);
    discard(&sent);

    sent = (struct fixture){.message = {.type = RAFT_TIMEOUT_NOW}};
    sent.message.timeout_now = (struct raft_timeout_now){0, 12, 13, 14};
    encode(&sent);
    assert_true(decodes(&sent, sent.size_bytes, &got));
    assert_int_equal(got.message.type, RAFT_TIMEOUT_NOW);
    ASSERT_FIELD(timeout_now, version);
    ASSERT_FIELD(timeout_now, term);
    ASSERT_FIELD(timeout_now, last_log_index);
    ASSERT_FIELD(timeout_now, last_log_term);
    discard(&sent);
}

static void test_a_message_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    struct fixture sent = append_entries();
    struct codec_message got;
    for (size_t size_bytes = 0; size_bytes < sent.size_bytes; size_bytes++) {
        assert_false(decodes(&sent, size_bytes, &got));
    }
    discard(&sent);
}

static void test_a_message_with_bytes_behind_it_is_refused(void **state)
{
    (void)state;
    struct fixture sent = append_entries();
    sent.bytes = realloc(sent.bytes, sent.size_bytes + 1);
    assert_non_null(sent.bytes);
    sent.bytes[sent.size_bytes] = 0;
    struct codec_message got;
    assert_false(decodes(&sent, sent.size_bytes + 1, &got));
    discard(&sent);
}

static void test_a_flipped_bit_anywhere_is_seen(void **state)
{
    (void)state;
    struct fixture sent = append_entries();
    struct codec_message got;
    for (size_t bit = 0; bit < 8 * sent.size_bytes; bit++) {
        sent.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(decodes(&sent, sent.size_bytes, &got));
        sent.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_true(decodes(&sent, sent.size_bytes, &got));
    codec_message_close(&got);
    discard(&sent);
}

static void test_what_is_too_large_is_refused(void **state)
{
    (void)state;
    /* Given whole and rightly summed messages: one with an entry beyond the limit, one that claims more entries than
     * it has. */
    struct fixture sent = {.message = {.type = RAFT_APPEND_ENTRIES}};
    sent.message.append_entries.term = 1;
    sent.message.append_entries.n_entries = 1;
    sent.entries[0] = entry_new(1, ENTRY_COMMAND, LIMIT_ENTRY_SIZE_BYTES + 1);
    memset(sent.entries[0]->data, 0, LIMIT_ENTRY_SIZE_BYTES + 1);
    encode(&sent);
    struct codec_message got;
    assert_false(decodes(&sent, sent.size_bytes, &got));
    discard(&sent);

    struct entry *one = entry_new(1, ENTRY_COMMAND, 0);
    struct entry *many[] = {one, one};
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES};
    message.append_entries.term = 1;
    message.append_entries.n_entries = 2;
    uint8_t bytes[256];
    size_t size_bytes = codec_size_bytes(&message, many);
    assert_true(size_bytes <= sizeof bytes);
    codec_encode(&message, many, bytes);
    assert_false(codec_decode((struct span){bytes, size_bytes - 20}, &got));
    entry_unref(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_is_the_published_one),
        cmocka_unit_test(test_an_append_arrives_with_its_entries),
        cmocka_unit_test(test_a_heartbeat_has_no_entries),
        cmocka_unit_test(test_votes_results_and_timeouts_keep_every_field),
        cmocka_unit_test(test_a_message_cut_short_anywhere_is_refused),
        cmocka_unit_test(test_a_message_with_bytes_behind_it_is_refused),
        cmocka_unit_test(test_a_flipped_bit_anywhere_is_seen),
        cmocka_unit_test(test_what_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
