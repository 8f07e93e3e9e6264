/*
 * A leader (node 1) and followers (nodes 2 and 3) whose files, helper threads and network are lists in memory, on a
 * virtual clock. What a port is asked for is done later, in order, as the contract says; the network loses, reorders
 * and cuts as each story wants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/snapshot_transfer.h"

#define NODES 3u
#define EVENTS_MAX 4096u
#define FILE_SIZE_BYTES (SNAPSHOT_CHUNK_SIZE_BYTES * 21u + 12345u)
#define TERM 7u
#define FILE_INDEX 500u
#define NEEDED_INDEX 400u

enum event_type { EVENT_FRAME, EVENT_PREPARE, EVENT_READ, EVENT_STAGE, EVENT_VERIFY };

struct event {
    enum event_type type;
    uint64_t node; /* to whom */
    uint64_t from; /* EVENT_FRAME; EVENT_READ: the peer that it is for */
    enum frame_type frame;
    uint64_t offset;
    uint32_t size_bytes;
    uint8_t *data;
    uint64_t generation; /* EVENT_FRAME: a node that restarted since does not get it */
};

struct node {
    uint64_t id;
    struct snapshot_transfer *transfer;
    uint64_t generation;
    /* leader */
    unsigned prepares, releases, reads_under_way;
    bool file_open;
    bool prepare_fails, read_fails;
    uint64_t file_index;
    uint8_t *file;
    /* follower */
    uint8_t *staged;
    uint64_t staged_size_bytes;
    unsigned begun, verifies, stages_under_way, readies;
    bool stage_fails, staging_hangs;
    bool damage_once;
    uint64_t ready_peer, ready_term, ready_index;
};

static struct node nodes[NODES + 1];
static struct event events[EVENTS_MAX];
static unsigned events_count;
static uint64_t clock_ms;
static uint64_t random_state;
static unsigned loss_percent;
static bool reorder;
static bool cut;                  /* send answers false */
static unsigned frames_sent[FRAME_TYPE_COUNT];
static uint64_t lose_chunk_offset; /* once; UINT64_MAX: none */

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static struct event *add_event(enum event_type type, uint64_t node)
{
    assert_true(events_count < EVENTS_MAX);
    struct event *event = &events[events_count++];
    *event = (struct event){.type = type, .node = node, .generation = nodes[node].generation};
    return event;
}

static uint64_t port_now_ms(void *context)
{
    (void)context;
    return clock_ms;
}

static uint64_t chunk_offset_of(const uint8_t *body)
{
    uint64_t offset = 0;
    for (unsigned i = 0; i < 8; i++)
        offset |= (uint64_t)body[16 + i] << (8 * i);
    return offset;
}

static bool is_lost(enum frame_type type, const uint8_t *body)
{
    if (type == FRAME_SNAPSHOT_CHUNK && chunk_offset_of(body) == lose_chunk_offset) {
        lose_chunk_offset = UINT64_MAX;
        return true;
    }
    return next_random() % 100 < loss_percent;
}

static bool port_send(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail)
{
    struct node *node = context;
    assert_true(peer >= 1 && peer <= NODES);
    assert_true(head.size_bytes + tail.size_bytes <= TRANSPORT_FRAME_SIZE_BYTES_MAX);
    if (cut)
        return false;
    frames_sent[type]++;
    if (is_lost(type, head.data))
        return true;
    struct event *event = add_event(EVENT_FRAME, peer);
    event->from = node->id;
    event->frame = type;
    event->size_bytes = (uint32_t)(head.size_bytes + tail.size_bytes);
    event->data = malloc(event->size_bytes);
    assert_non_null(event->data);
    memcpy(event->data, head.data, head.size_bytes);
    if (tail.size_bytes > 0)
        memcpy(event->data + head.size_bytes, tail.data, tail.size_bytes);
    return true;
}

static void port_prepare(void *context, uint64_t at_least_index)
{
    struct node *node = context;
    assert_false(node->file_open);
    assert_true(at_least_index <= node->file_index);
    node->prepares++;
    add_event(EVENT_PREPARE, node->id);
}

static void port_read_chunk(void *context, uint64_t peer, uint64_t offset, uint32_t size_bytes)
{
    struct node *node = context;
    assert_true(node->file_open);
    assert_true(size_bytes > 0 && offset + size_bytes <= FILE_SIZE_BYTES);
    node->reads_under_way++;
    struct event *event = add_event(EVENT_READ, node->id);
    event->from = peer;
    event->offset = offset;
    event->size_bytes = size_bytes;
}

static void port_release(void *context)
{
    struct node *node = context;
    assert_true(node->file_open);
    assert_int_equal(node->reads_under_way, 0); /* nobody reads from it any more */
    node->file_open = false;
    node->releases++;
}

static void port_stage_chunk(void *context, uint64_t offset, struct span data)
{
    struct node *node = context;
    assert_int_equal(node->stages_under_way, 0); /* one at a time */
    node->stages_under_way++;
    struct event *event = add_event(EVENT_STAGE, node->id);
    event->offset = offset;
    event->size_bytes = (uint32_t)data.size_bytes;
    event->data = malloc(data.size_bytes);
    assert_non_null(event->data);
    memcpy(event->data, data.data, data.size_bytes);
}

static void port_verify(void *context)
{
    struct node *node = context;
    assert_int_equal(node->stages_under_way, 0);
    node->verifies++;
    node->stages_under_way++;
    add_event(EVENT_VERIFY, node->id);
}

static void port_ready(void *context, uint64_t peer, uint64_t term, const struct driver_position *position)
{
    struct node *node = context;
    node->readies++;
    node->ready_peer = peer;
    node->ready_term = term;
    node->ready_index = position->index;
    assert_false(snapshot_transfer_receiving(node->transfer));
}

static void node_start(struct node *node)
{
    struct snapshot_transfer_ports ports = {
        .context = node,
        .now_ms = port_now_ms,
        .send = port_send,
        .prepare = port_prepare,
        .read_chunk = port_read_chunk,
        .release = port_release,
        .stage_chunk = port_stage_chunk,
        .verify = port_verify,
        .ready = port_ready,
    };
    node->transfer = snapshot_transfer_new(&ports);
}

/* What was under way to it and inside it is gone. */
static void node_restart(struct node *node)
{
    snapshot_transfer_free(node->transfer);
    node->generation++;
    node->stages_under_way = 0;
    node->reads_under_way = 0;
    node->file_open = false;
    node_start(node);
}

static void do_stage(struct node *node, struct event *event)
{
    node->stages_under_way--;
    if (event->offset == 0) {
        node->begun++;
        node->staged_size_bytes = 0;
    }
    assert_int_equal(event->offset, node->staged_size_bytes); /* without a gap */
    memcpy(node->staged + event->offset, event->data, event->size_bytes);
    node->staged_size_bytes += event->size_bytes;
    if (node->damage_once) {
        node->damage_once = false;
        node->staged[event->offset] ^= 1;
    }
    snapshot_transfer_chunk_staged(node->transfer, event->offset, !node->stage_fails);
}

static bool is_file(const struct node *follower, const struct node *leader)
{
    return follower->staged_size_bytes == FILE_SIZE_BYTES &&
           memcmp(follower->staged, leader->file, FILE_SIZE_BYTES) == 0;
}

static void do_event(struct event *event)
{
    struct node *node = &nodes[event->node];
    struct driver_position position = {.index = FILE_INDEX, .term = TERM - 1};
    switch (event->type) {
    case EVENT_FRAME:
        snapshot_transfer_frame(node->transfer, event->from, event->frame,
                                (struct span){event->data, event->size_bytes});
        break;
    case EVENT_PREPARE:
        node->file_open = !node->prepare_fails;
        snapshot_transfer_prepared(node->transfer, !node->prepare_fails, node->file_index, FILE_SIZE_BYTES);
        break;
    case EVENT_READ:
        node->reads_under_way--;
        snapshot_transfer_chunk_read(node->transfer, event->from, event->offset,
                                     (struct span){node->file + event->offset, event->size_bytes}, !node->read_fails);
        break;
    case EVENT_STAGE:
        do_stage(node, event);
        break;
    case EVENT_VERIFY:
        node->stages_under_way--;
        /* Its own head says where it stands: only a whole file has one. */
        if (is_file(node, &nodes[1]))
            snapshot_transfer_verified(node->transfer, true, &position);
        else
            snapshot_transfer_verified(node->transfer, false, NULL);
        break;
    }
}

/* The next event that can happen; false when there is none. */
static bool step(void)
{
    unsigned candidates[EVENTS_MAX], count = 0;
    for (unsigned i = 0; i < events_count; i++) {
        bool hangs = nodes[events[i].node].staging_hangs &&
                     (events[i].type == EVENT_STAGE || events[i].type == EVENT_VERIFY);
        if (!hangs)
            candidates[count++] = i;
    }
    if (count == 0)
        return false;
    unsigned place = candidates[reorder ? next_random() % count : 0];
    struct event event = events[place];
    events_count--;
    memmove(&events[place], &events[place + 1], (events_count - place) * sizeof events[0]);
    if (event.generation == nodes[event.node].generation)
        do_event(&event);
    free(event.data);
    return true;
}

static void tick_all(uint64_t pass_ms)
{
    clock_ms += pass_ms;
    for (unsigned id = 1; id <= NODES; id++)
        snapshot_transfer_tick(nodes[id].transfer);
}

/* Everything that can happen without time passing. */
static void settle(void)
{
    while (step())
        ;
}

/* Runs until the condition holds; time passes by a second when nothing else happens. */
#define RUN_UNTIL(condition)                                                                                           \
    do {                                                                                                               \
        for (unsigned seconds = 0; !(condition);) {                                                                    \
            if (step())                                                                                                \
                continue;                                                                                              \
            if (++seconds > 10000)                                                                                     \
                fail_msg("did not happen: %s", #condition);                                                            \
            tick_all(1000);                                                                                            \
        }                                                                                                              \
    } while (0)

static void start(uint64_t follower)
{
    snapshot_transfer_start(nodes[1].transfer, follower, TERM, NEEDED_INDEX);
}

static int set_up(void **state)
{
    (void)state;
    memset(nodes, 0, sizeof nodes);
    memset(frames_sent, 0, sizeof frames_sent);
    events_count = 0;
    clock_ms = 1000000;
    random_state = 88172645463325252ull;
    loss_percent = 0;
    reorder = false;
    cut = false;
    lose_chunk_offset = UINT64_MAX;
    for (unsigned id = 1; id <= NODES; id++) {
        nodes[id].id = id;
        nodes[id].staged = malloc(FILE_SIZE_BYTES);
        nodes[id].file = malloc(FILE_SIZE_BYTES);
        if (!nodes[id].staged || !nodes[id].file)
            return 1;
        for (size_t i = 0; i < FILE_SIZE_BYTES; i++)
            nodes[id].file[i] = (uint8_t)next_random();
        nodes[id].file_index = FILE_INDEX;
        node_start(&nodes[id]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < events_count; i++)
        free(events[i].data);
    for (unsigned id = 1; id <= NODES; id++) {
        snapshot_transfer_free(nodes[id].transfer);
        free(nodes[id].staged);
        free(nodes[id].file);
    }
    return 0;
}

static void assert_delivered(uint64_t follower)
{
    assert_int_equal(nodes[follower].readies, 1);
    assert_int_equal(nodes[follower].ready_peer, 1);
    assert_int_equal(nodes[follower].ready_term, TERM);
    assert_int_equal(nodes[follower].ready_index, FILE_INDEX);
    assert_true(is_file(&nodes[follower], &nodes[1]));
    assert_false(snapshot_transfer_receiving(nodes[follower].transfer));
}

/* ---- stories ---- */

static void a_snapshot_arrives_whole_with_the_files_own_position(void **state)
{
    (void)state;
    /* when the core asks for a snapshot for node 2, and asks again at each heartbeat */
    start(2);
    assert_true(snapshot_transfer_sending(nodes[1].transfer, 2));
    assert_false(snapshot_transfer_sending(nodes[1].transfer, 3));
    while (step())
        start(2);
    /* then it is prepared once, sent once, and what node 2 installs is where the file stands, not what was asked for */
    assert_delivered(2);
    assert_int_equal(nodes[1].prepares, 1);
    assert_int_equal(nodes[1].releases, 1);
    assert_int_equal(frames_sent[FRAME_SNAPSHOT_BEGIN], 1);
    assert_int_equal(frames_sent[FRAME_SNAPSHOT_CHUNK], 22);
    assert_false(snapshot_transfer_sending(nodes[1].transfer, 0));
    /* when it is still asked for after a bound, then the follower did not install it, and it is sent again */
    clock_ms += SNAPSHOT_STALL_MS;
    start(2);
    assert_true(snapshot_transfer_sending(nodes[1].transfer, 2));
    RUN_UNTIL(nodes[2].readies == 2);
}

static void a_newer_need_is_served_at_once(void **state)
{
    (void)state;
    start(2);
    RUN_UNTIL(nodes[2].readies == 1);
    settle();
    /* when the log was pruned beyond what was delivered, then a newer file goes out without waiting */
    nodes[1].file_index = FILE_INDEX + 100;
    snapshot_transfer_start(nodes[1].transfer, 2, TERM, FILE_INDEX + 1);
    RUN_UNTIL(nodes[2].readies == 2);
    assert_int_equal(nodes[1].prepares, 2);
}

static void two_followers_share_one_file(void **state)
{
    (void)state;
    start(2);
    settle(); /* node 2's is done before node 3 asks: two files */
    assert_int_equal(nodes[1].releases, 1);
    start(3);
    clock_ms += SNAPSHOT_STALL_MS;
    start(2); /* while node 3's is under way: the same file */
    assert_int_equal(nodes[1].prepares, 2);
    RUN_UNTIL(nodes[3].readies == 1 && nodes[2].readies == 2);
    settle();
    assert_int_equal(nodes[1].prepares, 2);
    assert_int_equal(nodes[1].releases, 2);
    assert_false(nodes[1].file_open);
}

static void a_file_too_old_for_another_follower_is_not_given_to_it(void **state)
{
    (void)state;
    start(2);
    step();
    assert_true(nodes[1].file_open);
    snapshot_transfer_start(nodes[1].transfer, 3, TERM, FILE_INDEX + 1);
    assert_false(snapshot_transfer_sending(nodes[1].transfer, 3));
    settle();
    assert_delivered(2);
    nodes[1].file_index = FILE_INDEX + 1;
    snapshot_transfer_start(nodes[1].transfer, 3, TERM, FILE_INDEX + 1);
    RUN_UNTIL(nodes[3].readies == 1);
}

static void a_lost_chunk_is_sent_again_from_the_gap(void **state)
{
    (void)state;
    lose_chunk_offset = 3 * SNAPSHOT_CHUNK_SIZE_BYTES;
    start(2);
    RUN_UNTIL(nodes[2].readies == 1);
    assert_delivered(2);
    assert_int_equal(nodes[2].begun, 1);
    /* not the whole file again: one window and no more */
    assert_true(frames_sent[FRAME_SNAPSHOT_CHUNK] > 22);
    assert_true(frames_sent[FRAME_SNAPSHOT_CHUNK] <= 22 + SNAPSHOT_WINDOW_CHUNKS);
}

static void a_slow_disk_holds_back_the_sender(void **state)
{
    (void)state;
    nodes[2].staging_hangs = true;
    start(2);
    settle();
    /* One window is on its way or waits in memory, and no more. */
    assert_int_equal(frames_sent[FRAME_SNAPSHOT_CHUNK], SNAPSHOT_WINDOW_CHUNKS);
    nodes[2].staging_hangs = false;
    settle();
    assert_delivered(2);
    assert_int_equal(frames_sent[FRAME_SNAPSHOT_CHUNK], 22);
}

static void a_bad_network_slows_it_down_and_no_more(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        tear_down(NULL);
        assert_int_equal(set_up(NULL), 0);
        random_state = seed * 0x9e3779b97f4a7c15ull;
        loss_percent = seed % 3 * 15;
        reorder = seed % 2;
        /* The core asks again whenever a transfer was given up. */
        for (unsigned seconds = 0; nodes[2].readies == 0 || nodes[3].readies == 0; seconds++) {
            if (seconds > 5000)
                fail_msg("seed %u: not delivered", seed);
            if (nodes[2].readies == 0)
                start(2);
            if (nodes[3].readies == 0)
                start(3);
            settle();
            tick_all(1000);
        }
        assert_delivered(2);
        assert_delivered(3);
        loss_percent = 0;
        RUN_UNTIL(!snapshot_transfer_sending(nodes[1].transfer, 0));
        assert_false(nodes[1].file_open);
        assert_int_equal(nodes[1].prepares, nodes[1].releases);
    }
}

static void a_missed_end_is_told_again(void **state)
{
    (void)state;
    start(2);
    RUN_UNTIL(nodes[2].verifies == 1);
    settle();
    assert_delivered(2);
    /* given a second transfer whose end the leader does not hear */
    clock_ms += SNAPSHOT_STALL_MS;
    start(2);
    RUN_UNTIL(nodes[2].verifies == 2);
    loss_percent = 100;
    settle();
    assert_int_equal(nodes[2].readies, 2);
    assert_true(snapshot_transfer_sending(nodes[1].transfer, 2));
    /* then it asks, and is told; nothing is installed twice */
    loss_percent = 0;
    RUN_UNTIL(!snapshot_transfer_sending(nodes[1].transfer, 2));
    assert_int_equal(nodes[2].readies, 2);
    assert_int_equal(nodes[2].begun, 2);
}

static void a_long_verification_is_waited_for(void **state)
{
    (void)state;
    start(2);
    RUN_UNTIL(nodes[2].verifies == 1);
    nodes[2].staging_hangs = true;
    for (unsigned seconds = 0; seconds < 60; seconds++) {
        settle();
        tick_all(1000);
    }
    assert_true(snapshot_transfer_sending(nodes[1].transfer, 2));
    assert_true(snapshot_transfer_receiving(nodes[2].transfer));
    nodes[2].staging_hangs = false;
    RUN_UNTIL(!snapshot_transfer_sending(nodes[1].transfer, 2));
    assert_delivered(2);
    assert_int_equal(nodes[1].prepares, 1);
}

static void a_follower_that_restarts_gets_it_from_the_beginning(void **state)
{
    (void)state;
    start(2);
    RUN_UNTIL(nodes[2].staged_size_bytes >= 6 * SNAPSHOT_CHUNK_SIZE_BYTES);
    node_restart(&nodes[2]);
    RUN_UNTIL(nodes[2].readies == 1);
    assert_delivered(2);
    assert_int_equal(nodes[2].begun, 2);
    assert_int_equal(nodes[1].prepares, 1); /* from the same file */
}

static void a_leader_that_stops_sends_nothing_more_and_releases_the_file_after_the_last_read(void **state)
{
    (void)state;
    start(2);
    RUN_UNTIL(nodes[1].reads_under_way == 1);
    snapshot_transfer_stop_sending(nodes[1].transfer);
    assert_false(snapshot_transfer_sending(nodes[1].transfer, 0));
    assert_true(nodes[1].file_open);
    /* when it is asked for anew at once, then it waits for the read */
    start(2);
    assert_false(snapshot_transfer_sending(nodes[1].transfer, 2));
    unsigned chunks = frames_sent[FRAME_SNAPSHOT_CHUNK];
    settle();
    assert_int_equal(frames_sent[FRAME_SNAPSHOT_CHUNK], chunks);
    assert_false(nodes[1].file_open);
    assert_int_equal(nodes[2].readies, 0);
    /* and a stop while the file is being prepared releases it when it is there */
    start(2);
    snapshot_transfer_stop_sending(nodes[1].transfer);
    settle();
    assert_int_equal(nodes[1].releases, 2);
    assert_false(nodes[1].file_open);
}

static void a_later_term_of_the_same_leader_begins_anew(void **state)
{
    (void)state;
    start(2);
    RUN_UNTIL(nodes[2].staged_size_bytes >= 4 * SNAPSHOT_CHUNK_SIZE_BYTES && nodes[1].reads_under_way == 0);
    snapshot_transfer_start(nodes[1].transfer, 2, TERM + 1, NEEDED_INDEX);
    RUN_UNTIL(nodes[2].readies == 1);
    assert_int_equal(nodes[2].ready_term, TERM + 1);
    assert_int_equal(nodes[1].prepares, 2);
    assert_int_equal(nodes[2].begun, 2);
}

static void a_new_leader_takes_over_and_the_old_one_is_not_heard(void **state)
{
    (void)state;
    /* given node 2 in the middle of a transfer from node 1 */
    start(2);
    RUN_UNTIL(nodes[2].staged_size_bytes >= 4 * SNAPSHOT_CHUNK_SIZE_BYTES);
    /* when node 3 leads a later term and sends the same contents */
    memcpy(nodes[3].file, nodes[1].file, FILE_SIZE_BYTES);
    snapshot_transfer_start(nodes[3].transfer, 2, TERM + 1, NEEDED_INDEX);
    RUN_UNTIL(nodes[2].begun == 2);
    /* then the old leader, which tries once more, changes nothing */
    snapshot_transfer_stop_sending(nodes[1].transfer);
    RUN_UNTIL(!nodes[1].file_open);
    unsigned begins = frames_sent[FRAME_SNAPSHOT_BEGIN];
    assert_int_equal(nodes[2].readies, 0);
    snapshot_transfer_start(nodes[1].transfer, 2, TERM, NEEDED_INDEX);
    RUN_UNTIL(frames_sent[FRAME_SNAPSHOT_BEGIN] == begins + 1);
    RUN_UNTIL(nodes[2].readies == 1);
    assert_int_equal(nodes[2].ready_peer, 3);
    assert_int_equal(nodes[2].ready_term, TERM + 1);
    assert_int_equal(nodes[2].begun, 2);
    assert_true(is_file(&nodes[2], &nodes[3]));
}

static void a_transfer_that_is_replaced_while_its_chunk_is_staged_leaves_no_trace(void **state)
{
    (void)state;
    start(2);
    RUN_UNTIL(nodes[2].stages_under_way == 1 && nodes[2].staged_size_bytes > 0);
    nodes[2].staging_hangs = true;
    settle();
    memcpy(nodes[3].file, nodes[1].file, FILE_SIZE_BYTES);
    snapshot_transfer_start(nodes[3].transfer, 2, TERM + 1, NEEDED_INDEX);
    settle();
    assert_int_equal(nodes[2].stages_under_way, 1); /* the old one still: nothing new beside it */
    nodes[2].staging_hangs = false;
    RUN_UNTIL(nodes[2].readies == 1);
    assert_int_equal(nodes[2].ready_peer, 3);
    assert_true(is_file(&nodes[2], &nodes[3]));
}

static void a_damaged_file_is_forgotten_and_the_next_start_begins_anew(void **state)
{
    (void)state;
    nodes[2].damage_once = true;
    start(2);
    RUN_UNTIL(!snapshot_transfer_sending(nodes[1].transfer, 2));
    assert_int_equal(nodes[2].verifies, 1);
    assert_int_equal(nodes[2].readies, 0);
    assert_false(snapshot_transfer_receiving(nodes[2].transfer));
    assert_false(nodes[1].file_open);
    start(2);
    RUN_UNTIL(nodes[2].readies == 1);
    assert_delivered(2);
    assert_int_equal(nodes[2].begun, 2);
    assert_int_equal(nodes[1].prepares, 2);
}

static void a_disk_that_fails_on_either_side_ends_the_transfer(void **state)
{
    (void)state;
    nodes[1].prepare_fails = true;
    start(2);
    settle();
    assert_false(snapshot_transfer_sending(nodes[1].transfer, 0));
    assert_int_equal(nodes[1].releases, 0); /* there was nothing to release */
    nodes[1].prepare_fails = false;

    nodes[1].read_fails = true;
    start(2);
    settle();
    assert_false(snapshot_transfer_sending(nodes[1].transfer, 0));
    assert_false(nodes[1].file_open);
    nodes[1].read_fails = false;

    nodes[2].stage_fails = true;
    start(2);
    settle();
    assert_false(snapshot_transfer_sending(nodes[1].transfer, 0));
    assert_false(snapshot_transfer_receiving(nodes[2].transfer));
    nodes[2].stage_fails = false;

    start(2);
    RUN_UNTIL(nodes[2].readies == 1);
    assert_delivered(2);
}

static void a_full_queue_delays_it(void **state)
{
    (void)state;
    start(2);
    RUN_UNTIL(nodes[2].staged_size_bytes >= 4 * SNAPSHOT_CHUNK_SIZE_BYTES);
    cut = true;
    settle();
    tick_all(3000);
    settle();
    assert_true(snapshot_transfer_sending(nodes[1].transfer, 2));
    cut = false;
    RUN_UNTIL(nodes[2].readies == 1);
    assert_delivered(2);
    assert_int_equal(nodes[2].begun, 1);
}

static void what_stalls_is_given_up_on_both_sides(void **state)
{
    (void)state;
    start(2);
    RUN_UNTIL(nodes[2].staged_size_bytes >= 4 * SNAPSHOT_CHUNK_SIZE_BYTES);
    loss_percent = 100;
    settle();
    tick_all(SNAPSHOT_STALL_MS - 1000);
    assert_true(snapshot_transfer_sending(nodes[1].transfer, 2));
    assert_true(snapshot_transfer_receiving(nodes[2].transfer));
    settle();
    tick_all(1000);
    settle();
    assert_false(snapshot_transfer_sending(nodes[1].transfer, 2));
    assert_false(snapshot_transfer_receiving(nodes[2].transfer));
    assert_false(nodes[1].file_open);
    loss_percent = 0;
    start(2);
    RUN_UNTIL(nodes[2].readies == 1);
    assert_delivered(2);
}

static void frames_that_make_no_sense_change_nothing(void **state)
{
    (void)state;
    uint8_t bytes[SNAPSHOT_CHUNK_SIZE_BYTES + 64];
    struct snapshot_transfer *follower = nodes[2].transfer;
    for (unsigned size_bytes = 0; size_bytes < 32; size_bytes++) {
        memset(bytes, 0xff, sizeof bytes);
        snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_BEGIN, (struct span){bytes, size_bytes});
        snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_ACK, (struct span){bytes, size_bytes});
        if (size_bytes < 24)
            snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_CHUNK, (struct span){bytes, size_bytes});
    }
    snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_BEGIN, (struct span){bytes, 32}); /* 2^64 - 1 bytes */
    memset(bytes, 0, sizeof bytes);
    snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_BEGIN, (struct span){bytes, 32}); /* none */
    assert_false(snapshot_transfer_receiving(follower));
    assert_int_equal(events_count, 0);

    /* given a transfer of 100 bytes: term 1, sequence 1, index 1 */
    bytes[0] = bytes[8] = bytes[16] = 1;
    bytes[24] = 100;
    snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_BEGIN, (struct span){bytes, 32});
    assert_true(snapshot_transfer_receiving(follower));
    /* then chunks of another size than it has are not staged */
    memset(bytes, 0, sizeof bytes);
    bytes[0] = bytes[8] = 1;
    snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_CHUNK, (struct span){bytes, 24});
    snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_CHUNK, (struct span){bytes, 24 + 99});
    snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_CHUNK, (struct span){bytes, 24 + 101});
    snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_CHUNK, (struct span){bytes, 24 + SNAPSHOT_CHUNK_SIZE_BYTES});
    assert_int_equal(nodes[2].stages_under_way, 0);
    snapshot_transfer_frame(follower, 1, FRAME_SNAPSHOT_CHUNK, (struct span){bytes, 24 + 100});
    assert_int_equal(nodes[2].stages_under_way, 1);
    settle();
    assert_int_equal(nodes[2].readies, 0); /* it was not the file */
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_snapshot_arrives_whole_with_the_files_own_position),
        STORY(a_newer_need_is_served_at_once),
        STORY(two_followers_share_one_file),
        STORY(a_file_too_old_for_another_follower_is_not_given_to_it),
        STORY(a_lost_chunk_is_sent_again_from_the_gap),
        STORY(a_slow_disk_holds_back_the_sender),
        STORY(a_bad_network_slows_it_down_and_no_more),
        STORY(a_missed_end_is_told_again),
        STORY(a_long_verification_is_waited_for),
        STORY(a_follower_that_restarts_gets_it_from_the_beginning),
        STORY(a_leader_that_stops_sends_nothing_more_and_releases_the_file_after_the_last_read),
        STORY(a_later_term_of_the_same_leader_begins_anew),
        STORY(a_new_leader_takes_over_and_the_old_one_is_not_heard),
        STORY(a_transfer_that_is_replaced_while_its_chunk_is_staged_leaves_no_trace),
        STORY(a_damaged_file_is_forgotten_and_the_next_start_begins_anew),
        STORY(a_disk_that_fails_on_either_side_ends_the_transfer),
        STORY(a_full_queue_delays_it),
        STORY(what_stalls_is_given_up_on_both_sides),
        STORY(frames_that_make_no_sense_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
