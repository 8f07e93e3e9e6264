/*
 * Frames of followers to a leader: commands forwarded, questions about reads, confirmations. The leader is real, its two
 * followers agree to whatever it says.
 *
 *     each entry that it proposes is one that the machine takes, within its bounds; each command and read of its own is
 *     answered once; nobody's frame answers a read that a majority has not confirmed
 *
 *     input: steps of  what │ peer │ a frame's body behind its size
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/machine.h"
#include "consensus/proposer.h"
#include "consensus/read_barrier.h"
#include "consensus/transport/wire.h"
#include "tests/fuzz/input.h"
#include "tests/support/machine_probe.h"

#define SELF 1u
#define MEMBERS 3u
#define BOOT 4u
#define ENTRIES_MAX 4096u
#define MESSAGES_MAX 256u
#define ASKED_MAX 64u
#define STEPS_MAX 64u
#define ELECTION_TIMEOUT_MS 300u

struct asked {
    unsigned answers;
};

struct world {
    struct driver *driver;
    struct proposer *proposer;
    struct read_barrier *reads;
    struct cluster_clock clock;
    struct machine_probe probe; /* the state of this node */
    uint64_t now_ms;
    struct entry *entries[ENTRIES_MAX + 1]; /* the log, from 1 on */
    uint64_t last_index, applied_index, durable_ticket;
    struct raft_message messages[MESSAGES_MAX]; /* to be agreed to */
    uint64_t receivers[MESSAGES_MAX];
    unsigned messages_count;
    struct asked asked[ASKED_MAX];
    unsigned asked_count;
};

/* ---------------------------------------------------------------- the driver's ports */

static uint64_t port_now_ms(void *context)
{
    return ((struct world *)context)->now_ms;
}

static void port_log_set_vote(void *context, uint64_t ticket, uint64_t term, uint64_t voted_for)
{
    (void)term;
    (void)voted_for;
    ((struct world *)context)->durable_ticket = ticket;
}

static void port_log_append(void *context, uint64_t ticket, uint64_t first_index, struct entry *const *entries,
                            size_t count)
{
    struct world *world = context;

    fuzz_require(first_index == world->last_index + 1 && world->last_index + count <= ENTRIES_MAX);
    for (size_t i = 0; i < count; i++) {
        fuzz_require(entries[i]->size_bytes <= LIMIT_ENTRY_SIZE_BYTES);
        world->entries[++world->last_index] = entry_ref(entries[i]);
    }
    world->durable_ticket = ticket;
}

static void port_log_bound(void *context, uint64_t ticket, uint64_t first_index)
{
    (void)first_index;
    ((struct world *)context)->durable_ticket = ticket;
}

static struct entry *port_log_read(void *context, uint64_t index)
{
    struct world *world = context;

    return index >= 1 && index <= world->last_index ? entry_ref(world->entries[index]) : NULL;
}

static void port_send(void *context, uint64_t peer, const struct raft_message *message, struct entry *const *entries)
{
    struct world *world = context;

    (void)entries;
    if (world->messages_count < MESSAGES_MAX) {
        world->receivers[world->messages_count] = peer;
        world->messages[world->messages_count++] = *message;
    }
}

static void port_send_snapshot(void *context, uint64_t peer, uint64_t term, uint64_t at_least_index)
{
    (void)context;
    (void)peer;
    (void)term;
    (void)at_least_index;
}

static void port_apply(void *context, uint64_t index, struct entry *entry)
{
    struct world *world = context;

    (void)entry; /* it is in the log */
    fuzz_require(index == world->applied_index + 1 && index <= world->last_index);
    world->applied_index = index;
}

static void port_install_snapshot(void *context, uint64_t index, uint64_t term)
{
    (void)context;
    (void)index;
    (void)term;
    fuzz_require(!"there is no snapshot");
}

static void port_changed(void *context)
{
    (void)context;
}

static void port_committed(void *context, uint64_t commit_index)
{
    (void)context;
    (void)commit_index;
}

static void port_failed(void *context, const char *reason)
{
    (void)context;
    (void)reason;
    fuzz_require(!"the driver goes on");
}

/* ---------------------------------------------------------------- the other ports */

static uint64_t port_wall_ms(void *context)
{
    return 1790000000000u + ((struct world *)context)->now_ms;
}

static bool port_frame(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail)
{
    (void)context;
    fuzz_require(peer != SELF && type > FRAME_RAFT && type < FRAME_TYPE_COUNT);
    fuzz_require(head.size_bytes + tail.size_bytes <= TRANSPORT_FRAME_SIZE_BYTES_MAX);
    return true;
}

static void port_want_commit(void *context)
{
    (void)context;
}

/* ---------------------------------------------------------------- what the node does between two frames */

/* The followers say yes. */
static void agree(struct world *world, uint64_t peer, const struct raft_message *message)
{
    struct raft_message answer = {.type = RAFT_REQUEST_VOTE_RESULT};

    if (message->type == RAFT_REQUEST_VOTE) {
        answer.request_vote_result = (struct raft_request_vote_result){.version = 1,
                                                                       .term = message->request_vote.term,
                                                                       .vote_granted = true,
                                                                       .pre_vote = message->request_vote.pre_vote};
    } else if (message->type == RAFT_APPEND_ENTRIES) {
        const struct raft_append_entries *append = &message->append_entries;
        answer.type = RAFT_APPEND_ENTRIES_RESULT;
        answer.append_entries_result = (struct raft_append_entries_result){
            .version = 1, .term = append->term, .last_log_index = append->prev_log_index + append->n_entries};
    } else {
        return;
    }
    driver_receive(world->driver, peer, &answer, NULL);
}

static void settle(struct world *world)
{
    for (unsigned rounds = 0; rounds < 64 && (world->durable_ticket > 0 || world->messages_count > 0); rounds++) {
        uint64_t ticket = world->durable_ticket;
        world->durable_ticket = 0;
        if (ticket > 0) {
            driver_log_durable(world->driver, ticket);
        }
        struct raft_message messages[MESSAGES_MAX];
        uint64_t receivers[MESSAGES_MAX];
        unsigned count = world->messages_count;
        memcpy(messages, world->messages, count * sizeof *messages);
        memcpy(receivers, world->receivers, count * sizeof *receivers);
        world->messages_count = 0;
        for (unsigned i = 0; i < count; i++) {
            agree(world, receivers[i], &messages[i]);
        }
    }
}

/* What the machine says of the entries that were given to apply. */
static void apply(struct world *world, uint64_t *done_index)
{
    while (*done_index < world->applied_index) {
        const struct entry *entry = world->entries[++*done_index];
        if (entry->type != ENTRY_COMMAND) {
            continue;
        }
        machine_output_reset(&world->probe.output);
        struct span data = {entry->data, entry->size_bytes};
        /* Anything else would stop every node. */
        fuzz_require(machine_apply(world->probe.machine, &world->probe.store, entry->term, data,
                                   &world->probe.output) == MACHINE_OK);
        for (size_t i = 0; i < world->probe.output.replies_count; i++) {
            const struct machine_reply *reply = &world->probe.output.replies[i];
            proposer_replied(world->proposer, reply->node, reply->boot, reply->sequence, reply->repeated, reply->packed);
        }
    }
    read_barrier_state(world->reads, world->applied_index, world->applied_index);
}

static void turn(struct world *world, uint64_t *done_index)
{
    if (driver_next_tick_ms(world->driver) <= world->now_ms) {
        driver_tick(world->driver);
    }
    settle(world);
    proposer_turn(world->proposer);
    read_barrier_turn(world->reads);
    settle(world);
    apply(world, done_index);
    fuzz_require(proposer_statistics(world->proposer).queued_bytes <= PROPOSER_QUEUE_SIZE_BYTES_MAX);
}

/* ---------------------------------------------------------------- what this node itself asks */

static void on_answer(struct asked *asked)
{
    asked->answers++;
    fuzz_require(asked->answers == 1);
}

static void on_proposal(void *argument, enum proposal_outcome outcome, struct span reply)
{
    (void)outcome;
    (void)reply;
    on_answer(argument);
}

static void on_read(void *argument, bool stale)
{
    (void)stale;
    on_answer(argument);
}

static void submit(struct world *world)
{
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    Tocsin__Pulse pulse = TOCSIN__PULSE__INIT;

    command.body_case = TOCSIN__COMMAND__BODY_PULSE;
    command.pulse = &pulse;
    proposer_submit(world->proposer, &command, world->now_ms + 5000, on_proposal, &world->asked[world->asked_count++]);
}

/* ---------------------------------------------------------------- the story */

static void step(struct world *world, struct fuzz_input *input, uint64_t *done_index)
{
    static const enum frame_type questions[] = {FRAME_READ_QUESTION, FRAME_READ_ANSWER, FRAME_CONFIRM_QUESTION,
                                                FRAME_CONFIRM_ANSWER};
    uint8_t what = fuzz_byte(input);
    uint64_t peer = 2 + (what >> 6) % 2;
    bool room = world->asked_count < ASKED_MAX;

    switch (what % 8) {
    case 0:
    case 1:
    case 2: {
        struct span body = fuzz_bytes(input, (size_t)fuzz_number(input, 2));
        uint8_t *exact = fuzz_exact_copy(body);
        proposer_frame(world->proposer, peer, (struct span){exact, body.size_bytes});
        free(exact);
        break;
    }
    case 3:
    case 4: {
        struct span body = fuzz_bytes(input, fuzz_below(input, 18));
        uint8_t *exact = fuzz_exact_copy(body);
        read_barrier_frame(world->reads, peer, questions[fuzz_below(input, 4)], (struct span){exact, body.size_bytes});
        free(exact);
        break;
    }
    case 5: {
        /* A confirmation that may fit. */
        uint8_t body[16];
        wire_put_u64(body, driver_status(world->driver).term);
        wire_put_u64(body + 8, fuzz_byte(input) % 16);
        read_barrier_frame(world->reads, peer, FRAME_CONFIRM_ANSWER, (struct span){body, sizeof body});
        break;
    }
    case 6:
        if (room && (what & 0x40)) {
            submit(world);
        } else if (room) {
            read_barrier_wait(world->reads, on_read, &world->asked[world->asked_count++]);
        }
        break;
    default:
        world->now_ms += fuzz_byte(input);
        proposer_changed(world->proposer);
        read_barrier_changed(world->reads);
    }
    turn(world, done_index);
}

static struct driver *new_driver(struct world *world)
{
    static const uint64_t ids[] = {1, 2, 3};
    static const char *const addresses[] = {"node1", "node2", "node3"};
    struct driver_ports ports = {.context = world,
                                 .now_ms = port_now_ms,
                                 .log_set_vote = port_log_set_vote,
                                 .log_append = port_log_append,
                                 .log_reset = port_log_bound,
                                 .log_prune = port_log_bound,
                                 .log_read = port_log_read,
                                 .send = port_send,
                                 .send_snapshot = port_send_snapshot,
                                 .apply = port_apply,
                                 .install_snapshot = port_install_snapshot,
                                 .changed = port_changed,
                                 .committed = port_committed,
                                 .failed = port_failed};
    struct driver_options options = {.id = SELF,
                                     .address = addresses[0],
                                     .election_timeout_ms = ELECTION_TIMEOUT_MS,
                                     .heartbeat_ms = 50,
                                     .snapshot_timeout_ms = 3000,
                                     .seed = 1,
                                     .inflight_entries_max = 8,
                                     .cache_size_bytes = 1 << 20};
    struct driver_start start = {.term = 1, .first_index = 1, .last_index = 1};
    char error[256];
    void *configuration;
    size_t size_bytes;

    fuzz_require(driver_first_configuration(ids, addresses, MEMBERS, &configuration, &size_bytes) == 0);
    world->entries[1] = entry_new(1, ENTRY_CHANGE, (uint32_t)size_bytes);
    memcpy(world->entries[1]->data, configuration, size_bytes);
    raft_free(configuration);
    world->last_index = 1;
    return fuzz_must(driver_new(&options, &ports, &start, error, sizeof error));
}

static void open_world(struct world *world, uint64_t *done_index)
{
    struct proposer_ports proposer_ports = {
        .context = world, .now_ms = port_now_ms, .boottime_ms = port_now_ms, .wall_ms = port_wall_ms, .send = port_frame};
    struct read_barrier_ports read_ports = {
        .context = world, .now_ms = port_now_ms, .send = port_frame, .want_commit = port_want_commit};

    world->now_ms = 1000;
    probe_open(&world->probe);
    world->driver = new_driver(world);
    cluster_clock_init(&world->clock, SELF, MEMBERS);
    world->proposer = proposer_new(SELF, BOOT, &proposer_ports, world->driver, &world->clock);
    world->reads = read_barrier_new(SELF, &read_ports, world->driver);
    for (unsigned i = 0; i < 20 && !driver_status(world->driver).ready; i++) {
        world->now_ms = driver_next_tick_ms(world->driver) > world->now_ms ? driver_next_tick_ms(world->driver)
                                                                          : world->now_ms + 1;
        turn(world, done_index);
    }
    fuzz_require(driver_status(world->driver).ready);
}

static void close_world(struct world *world)
{
    proposer_free(world->proposer);
    read_barrier_free(world->reads);
    driver_free(world->driver);
    probe_close(&world->probe);
    for (uint64_t i = 1; i <= world->last_index; i++) {
        entry_unref(world->entries[i]);
    }
    free(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    struct world *world = fuzz_must(calloc(1, sizeof *world));
    uint64_t done_index = 0;

    open_world(world, &done_index);
    for (unsigned i = 0; i < STEPS_MAX && input.left > 0; i++) {
        step(world, &input, &done_index);
    }
    /* What was asked ends with its time, at the latest. */
    for (unsigned i = 0; i < 130; i++) {
        world->now_ms += 50;
        turn(world, &done_index);
    }
    for (unsigned i = 0; i < world->asked_count; i++) {
        fuzz_require(world->asked[i].answers == 1);
    }
    close_world(world);
    return 0;
}
