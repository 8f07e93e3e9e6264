/*
 * A node whose peers say anything: messages that fit its log or not, in any term, from members and strangers, at any moment of
 * its life. It goes on, or stops with a sentence; its term and what it has committed stay, nothing is said before it is durable,
 * and nothing is applied that is not on its disk.
 *
 *     input: how many vote, which of them it is │ steps
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/codec.h"
#include "consensus/members.h"
#include "tests/fuzz/input.h"
#include "tests/support/raft_harness.h"

#define STEPS_MAX 400u
#define NODES_COUNT 5u
#define ENTRIES_MAX 6u
#define TRAILING_MAX 8u
#define SNAPSHOT_INDEX_MAX 1000u

struct life {
    struct harness *harness;
    struct harness_node *node;
    struct fuzz_input input;
    struct driver_status before;
};

/* ---------------------------------------------------------------- what peers say */

/* A number near one that means something here, or any. */
static uint64_t near(struct life *life, uint64_t odd_of)
{
    struct driver_status status = driver_status(life->node->driver);
    const uint64_t places[] = {0, 1, status.first_index, status.commit_index, status.last_index, odd_of};
    uint8_t how = fuzz_byte(&life->input);

    if (how >= 0xf8) {
        return fuzz_odd_number(&life->input);
    }
    return places[how % (sizeof places / sizeof *places)] + (how / (sizeof places / sizeof *places)) % 8 - 3;
}

static uint64_t any_term(struct life *life)
{
    uint8_t how = fuzz_byte(&life->input);
    uint64_t term = driver_status(life->node->driver).term;

    return how >= 0xf8 ? fuzz_odd_number(&life->input) : how & 0x80 ? (how & 7) : term + (how & 7) - 2;
}

/* The term that the node has there, so that what comes fits; 0: none. */
static uint64_t term_at(const struct life *life, uint64_t index)
{
    const struct harness_log *log = &life->node->view;

    if (index >= log->first && index <= log->last) {
        return log->entries[index - log->first]->term;
    }
    return index == life->node->state.index ? life->node->state.term : 0;
}

/* Members, of whom this node is one mostly. */
static struct raft_buffer any_configuration(struct life *life)
{
    struct raft_configuration configuration;
    struct raft_buffer buffer;
    uint8_t voters = fuzz_byte(&life->input), others = fuzz_byte(&life->input);

    raft_configuration_init(&configuration);
    for (uint64_t id = 1; id <= NODES_COUNT; id++) {
        unsigned bit = 1u << (id - 1);
        if (((voters | others) & bit) != 0) {
            int role = (voters & bit) != 0 ? RAFT_VOTER : (others & 0x80) != 0 ? RAFT_SPARE : RAFT_STANDBY;
            fuzz_require(raft_configuration_add(&configuration, id, harness_node(life->harness, id)->address, role) == 0);
        }
    }
    if (raft_configuration_encode(&configuration, &buffer) != 0) {
        abort();
    }
    raft_configuration_close(&configuration);
    return buffer;
}

static struct entry *any_entry(struct life *life, uint64_t term)
{
    uint8_t kind = fuzz_byte(&life->input);
    struct raft_buffer change = {.base = NULL};
    struct span bytes = {.data = ""};

    if (kind == 2) {
        change = any_configuration(life);
        bytes = (struct span){change.base, change.len};
    } else if (kind >= 0xf0) {
        bytes = fuzz_bytes(&life->input, kind & 0xf);
    }
    struct entry *entry = entry_new(term, kind == 1 ? ENTRY_BARRIER : kind == 2 || kind == 0xff ? ENTRY_CHANGE : ENTRY_COMMAND,
                                    (uint32_t)bytes.size_bytes);
    if (bytes.size_bytes > 0) {
        memcpy(entry->data, bytes.data, bytes.size_bytes);
    }
    raft_free(change.base);
    return entry;
}

static unsigned say_append(struct life *life, struct raft_message *message, struct entry *entries[ENTRIES_MAX])
{
    struct raft_append_entries *append = &message->append_entries;
    unsigned how = fuzz_byte(&life->input), count = (how >> 1) % (ENTRIES_MAX + 1);

    append->term = any_term(life);
    append->prev_log_index = near(life, 0);
    append->prev_log_term = (how & 1) != 0 ? any_term(life) : term_at(life, append->prev_log_index);
    append->leader_commit = near(life, append->prev_log_index + count);
    append->n_entries = count;
    uint64_t term = append->prev_log_term;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t rises = fuzz_byte(&life->input);
        uint64_t there = term_at(life, append->prev_log_index + 1 + i);
        term = rises == 0 ? append->term : rises < 0x40 ? term : rises < 0x80 && there != 0 ? there : any_term(life);
        entries[i] = any_entry(life, term);
    }
    return count;
}

/* As it would come: through the codec, which refuses what no peer can send. */
static void deliver(struct life *life, uint64_t peer, const struct raft_message *message, struct entry *const *entries)
{
    size_t size_bytes = codec_size_bytes(message, entries);
    uint8_t *bytes = fuzz_must(malloc(size_bytes));
    struct codec_message arrived;

    codec_encode(message, entries, bytes);
    if (codec_decode((struct span){bytes, size_bytes}, &arrived)) {
        driver_receive(life->node->driver, peer, &arrived.message, arrived.entries);
        codec_message_close(&arrived);
    }
    free(bytes);
}

static void say(struct life *life, uint64_t peer, enum raft_message_type type)
{
    struct raft_message message = {.type = type};
    struct entry *entries[ENTRIES_MAX];
    unsigned count = 0;

    if (type == RAFT_APPEND_ENTRIES) {
        count = say_append(life, &message, entries);
    } else if (type == RAFT_APPEND_ENTRIES_RESULT) {
        message.append_entries_result.term = any_term(life);
        message.append_entries_result.last_log_index = near(life, 0);
        message.append_entries_result.rejected = (fuzz_byte(&life->input) & 1) != 0 ? near(life, 0) : 0;
    } else if (type == RAFT_REQUEST_VOTE) {
        uint8_t how = fuzz_byte(&life->input);
        message.request_vote.term = any_term(life);
        message.request_vote.candidate_id = (how & 0x30) == 0x30 ? how & 7 : peer;
        message.request_vote.last_log_index = near(life, 0);
        message.request_vote.last_log_term = any_term(life);
        message.request_vote.disrupt_leader = (how & 1) != 0;
        message.request_vote.pre_vote = (how & 2) != 0;
    } else if (type == RAFT_REQUEST_VOTE_RESULT) {
        uint8_t how = fuzz_byte(&life->input);
        message.request_vote_result.term = any_term(life);
        message.request_vote_result.vote_granted = (how & 1) != 0;
        message.request_vote_result.pre_vote = (how & 2) != 0;
    } else {
        message.timeout_now.term = any_term(life);
        message.timeout_now.last_log_index = near(life, 0);
        message.timeout_now.last_log_term = any_term(life);
    }
    deliver(life, peer, &message, entries);
    for (unsigned i = 0; i < count; i++) {
        entry_unref(entries[i]);
    }
}

/* The checks have room for few indexes. */
static uint64_t any_snapshot_index(struct life *life)
{
    uint64_t index = near(life, 0);

    return index < UINT64_MAX / 2 ? index % SNAPSHOT_INDEX_MAX : index;
}

static void say_snapshot(struct life *life, uint64_t peer)
{
    struct harness_node *node = life->node;
    struct raft_buffer configuration = any_configuration(life);
    uint64_t term = any_term(life);

    if (!driver_status(node->driver).installing && configuration.len <= sizeof node->staged.configuration) {
        node->staged = (struct harness_state){.index = any_snapshot_index(life), .term = any_term(life), .hash = node->harness->payload++,
                                              .configuration_index = near(life, 0), .configuration_size_bytes = configuration.len};
        memcpy(node->staged.configuration, configuration.base, configuration.len);
        node->has_staged = true;
        struct driver_position position = harness_position(&node->staged);
        driver_receive_snapshot(node->driver, peer, term, &position);
    }
    raft_free(configuration.base);
}

/* ---------------------------------------------------------------- what happens to it otherwise */

static void check_promises(const struct life *life)
{
    const char *violation = raft_checks_violation(life->harness->checks);

    if (violation != NULL) {
        fuzz_broken(violation, __FILE__, __LINE__);
    }
}

static void change_members(struct life *life)
{
    struct raft_buffer buffer = any_configuration(life);
    struct raft_configuration configuration;

    if (members_decode(buffer.base, buffer.len, &configuration)) {
        (void)driver_change(life->node->driver, &configuration);
        raft_configuration_close(&configuration);
    }
    raft_free(buffer.base);
}

/* A part of what the disk held is gone; what is left may contradict itself. */
static void lose(struct life *life, uint8_t what)
{
    struct harness_log *log = &life->node->disk.log;

    for (unsigned i = what >> 4; (what & 1) != 0 && i > 0 && log->last >= log->first; i--) {
        entry_unref(log->entries[log->last - log->first]);
        log->last--;
    }
    if ((what & 2) != 0) {
        life->node->disk.state = (struct harness_state){.index = 0};
    }
    if ((what & 4) != 0) {
        life->node->disk.term = life->node->disk.voted_for = 0;
    }
}

static void restart(struct life *life)
{
    uint8_t lost = fuzz_byte(&life->input);

    life->harness->manual = false; /* so that a part of what was being written stays */
    harness_crash(life->harness, life->node->id);
    life->harness->manual = true;
    /* What was committed beyond the durable state may be taken back by peers that lie. */
    raft_checks_free(life->harness->checks);
    life->harness->checks = raft_checks_new();
    lose(life, lost);
    uint64_t term = life->node->disk.term;
    harness_start(life->harness, life->node->id);
    if ((lost & 7) == 0 || life->node->up) { /* otherwise it was refused with a sentence */
        check_promises(life); /* nothing that they say keeps a node from starting again */
        life->before = driver_status(life->node->driver);
        fuzz_require(life->before.term >= term);
    }
}

static void take_step(struct life *life)
{
    struct harness *harness = life->harness;
    uint64_t id = life->node->id;
    uint8_t step = fuzz_byte(&life->input);
    uint64_t peer = step >> 4 == 0 ? NODES_COUNT + 1 : (step >> 4) % (NODES_COUNT + 1); /* 0 and itself are nobody's */

    switch (step & 0xf) {
    case 0:
        if (driver_next_tick_ms(life->node->driver) != UINT64_MAX) { /* not while it waits for its disk to begin */
            harness_tick(harness, id);
        }
        break;
    case 1:
        life->node->disk_held = (step & 0x10) != 0;
        break;
    case 2:
        (void)harness_submit(harness, id);
        break;
    case 3:
    case 4:
        say(life, peer, RAFT_APPEND_ENTRIES);
        break;
    case 5:
        say(life, peer, RAFT_APPEND_ENTRIES_RESULT);
        break;
    case 6:
        say(life, peer, RAFT_REQUEST_VOTE);
        break;
    case 7:
        say(life, peer, RAFT_REQUEST_VOTE_RESULT);
        break;
    case 8:
        say(life, peer, RAFT_TIMEOUT_NOW);
        break;
    case 9:
        say_snapshot(life, peer);
        break;
    case 10:
        harness_state_sync(harness, id);
        break;
    case 11:
        harness_compact(harness, id, fuzz_below(&life->input, TRAILING_MAX));
        break;
    case 12:
        change_members(life);
        break;
    case 13:
        (void)driver_catch_up(life->node->driver, peer);
        break;
    case 14:
        (void)driver_transfer(life->node->driver, peer);
        break;
    default:
        restart(life);
        break;
    }
    harness_disks(harness);
}

/* ---------------------------------------------------------------- what must hold */

static void check(struct life *life)
{
    struct driver_status status = driver_status(life->node->driver);

    check_promises(life);
    fuzz_require(status.failed == (life->node->failure[0] != '\0'));
    fuzz_require(status.term >= life->before.term && status.commit_index >= life->before.commit_index);
    fuzz_require(status.handed_over_index >= life->before.handed_over_index && status.handed_over_index <= status.commit_index);
    fuzz_require(status.failed || status.installing || status.commit_index <= status.last_index);
    fuzz_require(status.role != DRIVER_LEADER || status.leader_id == life->node->id);
    life->before = status;
}

/* Everything after its end is passed over. */
static bool is_going_on(const struct life *life)
{
    return life->node->up && life->node->failure[0] == '\0';
}

static bool sends_nowhere(void *context, uint64_t from, uint64_t to, struct raft_message *message, struct entry *const *entries)
{
    (void)context, (void)from, (void)to, (void)message, (void)entries;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct life life = {.input = fuzz_input(data, size_bytes)};
    unsigned voters = 1 + fuzz_below(&life.input, NODES_COUNT), learners = NODES_COUNT - voters;

    life.harness = harness_new(1, NODES_COUNT);
    life.harness->manual = true;
    life.harness->peers_lie = true;
    life.harness->on_send = sends_nowhere;
    harness_bootstrap(life.harness, voters, learners);
    life.node = harness_node(life.harness, 1 + fuzz_below(&life.input, NODES_COUNT));
    harness_start(life.harness, life.node->id);
    fuzz_require(life.node->up);
    for (unsigned i = 0; i < STEPS_MAX && life.input.left > 0 && is_going_on(&life); i++) {
        take_step(&life);
        if (life.node->up) {
            check(&life);
        }
    }
    harness_free(life.harness);
    return 0;
}
