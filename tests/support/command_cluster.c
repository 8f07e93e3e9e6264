/* See command_cluster.h. */
#include "tests/support/command_cluster.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/machine.h"
#include "consensus/transport/wire.h"
#include "tests/support/memory_store.h"

#define WALL_MS 1700000000000
#define TURNS_IN_VAIN_MAX 20u
#define NOTICED_MS 60u /* an overdue command is noticed within this */

static void *grown(void *array, size_t *capacity, size_t needed, size_t element_size_bytes)
{
    if (needed <= *capacity) {
        return array;
    }
    *capacity = needed > 2 * *capacity ? needed : 2 * *capacity;
    array = reallocarray(array, *capacity, element_size_bytes);
    assert(array != NULL);
    return array;
}

static void *zeroed(size_t size_bytes)
{
    void *memory = calloc(1, size_bytes);
    assert(memory != NULL);
    return memory;
}

#define REPORT(cluster, ...) raft_checks_report((cluster)->harness->checks, __VA_ARGS__)

/* ---- what the machine said */

struct said {
    uint64_t term, time_ms, users;
    struct machine_output output;
};

struct command_history {
    struct memory_store *memory;
    struct machine_store store;
    struct machine *machine;
    struct said *said; /* of entry index at index - 1 */
    size_t count, capacity;
    uint64_t applied; /* writes */
};

static void note_applied(struct command_cluster *cluster, uint64_t index, const Tocsin__Command *command,
                         const struct machine_reply *told)
{
    uint64_t number = strtoull(command->user_put->user->name, NULL, 10);
    assert(number >= 1 && number <= cluster->writes_count);
    struct command_write *write = cluster->writes[number - 1];
    if (told->repeated) {
        return;
    }
    Tocsin__Reply *reply = tocsin__reply__unpack(NULL, told->packed.size_bytes, told->packed.data);
    assert(reply != NULL);
    if (reply->status != TOCSIN__STATUS__STATUS_OK || ++write->applied > 1) {
        REPORT(cluster, "write %u was applied more than once", (unsigned)number);
    } else {
        write->applied_index = index;
        write->applied_order = ++cluster->history->applied;
        write->user_id = reply->ids[0];
    }
    tocsin__reply__free_unpacked(reply, NULL);
}

static void learn_commands(struct command_cluster *cluster, uint64_t index, const struct entry *entry,
                           const struct said *said)
{
    Tocsin__Entry *message = tocsin__entry__unpack(NULL, entry->size_bytes, entry->data);
    assert(message != NULL);
    if (index > 1 && said->time_ms < said[-1].time_ms) {
        REPORT(cluster, "cluster time goes backwards at entry %u", (unsigned)index);
    }
    size_t replies = 0;
    for (size_t i = 0; i < message->n_commands; i++) {
        Tocsin__Command *command =
            tocsin__command__unpack(NULL, message->commands[i].len, message->commands[i].data);
        assert(command != NULL);
        if (command->origin != NULL) {
            assert(replies < said->output.replies_count);
            note_applied(cluster, index, command, &said->output.replies[replies++]);
        }
        tocsin__command__free_unpacked(command, NULL);
    }
    assert(replies == said->output.replies_count);
    tocsin__entry__free_unpacked(message, NULL);
}

static void learn(struct command_cluster *cluster, uint64_t index, const struct entry *entry)
{
    struct command_history *history = cluster->history;
    if (index <= history->count) {
        return;
    }
    assert(index == history->count + 1);
    history->said = grown(history->said, &history->capacity, index, sizeof history->said[0]);
    struct said *said = &history->said[history->count++];
    *said = (struct said){.term = entry->term, .time_ms = index > 1 ? said[-1].time_ms : 0};
    machine_output_init(&said->output);
    if (entry->type == ENTRY_COMMAND) {
        enum machine_error error = machine_apply(history->machine, &history->store, entry->term,
                                                 (struct span){entry->data, entry->size_bytes}, &said->output);
        assert(error == MACHINE_OK);
        said->time_ms = said->output.time_ms;
        learn_commands(cluster, index, entry, said);
    }
    said->users = history->store.count(history->store.context, TABLE_USER);
    if (said->users != history->applied) {
        REPORT(cluster, "entry %u leaves %u users of %u writes", (unsigned)index, (unsigned)said->users,
               (unsigned)history->applied);
    }
}

uint64_t command_cluster_register(const struct command_cluster *cluster, uint64_t index)
{
    assert(index <= cluster->history->count);
    return index > 0 ? cluster->history->said[index - 1].users : 0;
}

/* ---- frames */

struct command_frame {
    uint64_t at_ms, session, from, to;
    enum frame_type type;
    size_t size_bytes;
    uint8_t *body;
};

/* A connection that is cut takes frames until somebody notices; none to a node that is down. */
static bool port_send(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail)
{
    struct command_node *node = context;
    struct command_cluster *cluster = node->cluster;
    struct harness *harness = cluster->harness;
    assert(peer >= 1 && peer <= harness->nodes_count && peer != node->id);
    if (!harness_node(harness, peer)->up) {
        return false;
    }
    cluster->frames_sent[type]++;
    uint8_t *body = zeroed(head.size_bytes + tail.size_bytes + 1);
    memcpy(body, head.data, head.size_bytes);
    if (tail.size_bytes > 0) {
        memcpy(body + head.size_bytes, tail.data, tail.size_bytes);
    }
    if ((cluster->on_frame != NULL && !cluster->on_frame(cluster, type, body)) || harness->cut[node->id][peer] ||
        harness_chance(harness, cluster->frame_loss_permille)) {
        free(body);
        return true;
    }
    uint64_t *last_ms = &cluster->frame_last_ms[node->id][peer];
    uint64_t at_ms = harness->now_ms + cluster->frame_delay_ms + 1 + harness_random(harness, harness->delay_ms_max);
    *last_ms = at_ms > *last_ms ? at_ms : *last_ms;
    struct command_frame frame = {.at_ms = *last_ms, .session = harness->session[node->id][peer], .from = node->id,
                                  .to = peer, .type = type, .size_bytes = head.size_bytes + tail.size_bytes,
                                  .body = body};
    cluster->frames = grown(cluster->frames, &cluster->frames_capacity, cluster->frames_count + 1, sizeof frame);
    cluster->frames[cluster->frames_count++] = frame;
    return true;
}

static void deliver(struct command_cluster *cluster, const struct command_frame *frame)
{
    struct command_node *node = &cluster->nodes[frame->to];
    if (node->proposer == NULL || frame->session != cluster->harness->session[frame->from][frame->to]) {
        return;
    }
    struct span body = {frame->body, frame->size_bytes};
    node->woken = true;
    cluster->inside_call = true;
    if (frame->type == FRAME_FORWARD) {
        proposer_frame(node->proposer, frame->from, body);
    } else {
        read_barrier_frame(node->reads, frame->from, frame->type, body);
    }
    cluster->inside_call = false;
}

/* What is sent to a process that stands still waits in its sockets. */
static bool frozen(const struct command_node *node)
{
    return harness_node(node->cluster->harness, node->id)->frozen_until_ms > node->cluster->harness->now_ms;
}

static void deliver_due(struct command_cluster *cluster)
{
    size_t kept = 0, count = cluster->frames_count;
    for (size_t i = 0; i < cluster->frames_count; i++) { /* what is sent meanwhile comes behind */
        struct command_frame frame = cluster->frames[i];
        if (i < count && frame.at_ms <= cluster->harness->now_ms && !frozen(&cluster->nodes[frame.to])) {
            deliver(cluster, &frame);
            free(frame.body);
        } else {
            cluster->frames[kept++] = frame;
        }
    }
    cluster->frames_count = kept;
}

/* ---- clients */

/* Nothing ends while the node stands still, and not in the same moment as it goes on. */
static bool is_late(const struct command_cluster *cluster, uint64_t id, uint64_t end_ms)
{
    uint64_t awake_ms = harness_node(cluster->harness, id)->frozen_until_ms + 1;
    return cluster->harness->now_ms > (end_ms > awake_ms ? end_ms : awake_ms);
}

static void write_done(void *argument, enum proposal_outcome outcome, struct span packed)
{
    struct command_write *write = argument;
    struct command_cluster *cluster = write->cluster;
    if (cluster->inside_call || ++write->answers > 1 || write->lost) {
        REPORT(cluster, "write %u is answered from inside a call or twice", (unsigned)write->number);
        return;
    }
    if (is_late(cluster, write->node, write->deadline_ms + NOTICED_MS)) {
        REPORT(cluster, "write %u is answered late", (unsigned)write->number);
    }
    write->outcome = outcome;
    write->answered_ms = cluster->harness->now_ms;
    if (outcome != PROPOSAL_APPLIED) {
        return;
    }
    Tocsin__Reply *reply = tocsin__reply__unpack(NULL, packed.size_bytes, packed.data);
    assert(reply != NULL);
    if (write->applied != 1 || reply->n_ids != 1 || reply->ids[0] != write->user_id) {
        REPORT(cluster, "write %u is answered with another's reply", (unsigned)write->number);
    } else {
        uint64_t shown = command_cluster_register(cluster, write->applied_index);
        cluster->floor = shown > cluster->floor ? shown : cluster->floor;
    }
    tocsin__reply__free_unpacked(reply, NULL);
}

struct command_write *command_cluster_write(struct command_cluster *cluster, uint64_t id, uint64_t patience_ms,
                                            size_t padding)
{
    struct command_node *node = &cluster->nodes[id];
    struct command_write *write = zeroed(sizeof *write);
    cluster->writes =
        grown(cluster->writes, &cluster->writes_capacity, cluster->writes_count + 1, sizeof cluster->writes[0]);
    cluster->writes[cluster->writes_count++] = write;
    write->cluster = cluster;
    write->number = cluster->writes_count;
    write->node = id;
    write->asked_ms = cluster->harness->now_ms;
    write->deadline_ms = write->asked_ms + patience_ms;
    char name[32], email[48], *description = zeroed(padding + 1);
    (void)snprintf(name, sizeof name, "%u", (unsigned)write->number);
    (void)snprintf(email, sizeof email, "%s@example.com", name);
    memset(description, 'x', padding);
    Tocsin__User user = TOCSIN__USER__INIT;
    user.name = name;
    user.email = email;
    user.description = description;
    Tocsin__UserPut put = TOCSIN__USER_PUT__INIT;
    put.user = &user;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_USER_PUT;
    command.user_put = &put;
    node->woken = true;
    cluster->inside_call = true;
    proposer_submit(node->proposer, &command, write->deadline_ms, write_done, write);
    cluster->inside_call = false;
    free(description);
    return write;
}

static void read_done_now(void *argument, bool stale)
{
    struct command_read *read = argument;
    struct command_cluster *cluster = read->cluster;
    if (cluster->inside_call || ++read->answers > 1 || read->lost) {
        REPORT(cluster, "a read of node %u is answered from inside a call or twice", (unsigned)read->node);
        return;
    }
    read->answered_ms = cluster->harness->now_ms;
    read->stale = stale;
    read->seen = command_cluster_register(cluster, cluster->nodes[read->node].committed_index);
    uint64_t waited_ms = read->answered_ms - read->asked_ms;
    if (is_late(cluster, read->node, read->asked_ms + READ_WAIT_MS) || (stale && waited_ms < READ_WAIT_MS)) {
        REPORT(cluster, "a read of node %u waits for %u ms", (unsigned)read->node, (unsigned)waited_ms);
    }
    if (stale) {
        return;
    }
    if (read->seen < read->required) {
        REPORT(cluster, "a read of node %u shows %u, but %u was told before it began", (unsigned)read->node,
               (unsigned)read->seen, (unsigned)read->required);
    }
    cluster->floor = read->seen > cluster->floor ? read->seen : cluster->floor;
}

struct command_read *command_cluster_read(struct command_cluster *cluster, uint64_t id)
{
    struct command_node *node = &cluster->nodes[id];
    struct command_read *read = zeroed(sizeof *read);
    cluster->reads =
        grown(cluster->reads, &cluster->reads_capacity, cluster->reads_count + 1, sizeof cluster->reads[0]);
    cluster->reads[cluster->reads_count++] = read;
    read->cluster = cluster;
    read->node = id;
    read->asked_ms = cluster->harness->now_ms;
    read->required = cluster->floor;
    node->woken = true;
    cluster->inside_call = true;
    read_barrier_wait(node->reads, read_done_now, read);
    cluster->inside_call = false;
    return read;
}

/* A note on no incident, of exactly this packed size. */
static void pack_bulk(uint8_t *out, size_t size_bytes)
{
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    Tocsin__NoteCreate note = TOCSIN__NOTE_CREATE__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_NOTE_CREATE;
    command.note_create = &note;
    note.content = zeroed(size_bytes + 1);
    memset(note.content, 'x', size_bytes);
    for (size_t length = size_bytes; tocsin__command__get_packed_size(&command) > size_bytes; length--) {
        note.content[length - 1] = '\0';
    }
    assert(tocsin__command__get_packed_size(&command) == size_bytes);
    tocsin__command__pack(&command, out);
    free(note.content);
}

uint8_t *command_cluster_bulk(size_t count, size_t size_bytes, size_t *frame_size_bytes)
{
    *frame_size_bytes = count * (4 + size_bytes);
    uint8_t *frame = zeroed(*frame_size_bytes);
    for (size_t i = 0; i < count; i++) {
        wire_put_u32(frame + i * (4 + size_bytes), (uint32_t)size_bytes);
        pack_bulk(frame + i * (4 + size_bytes) + 4, size_bytes);
    }
    return frame;
}

/* ---- a node's ports and what its driver tells */

static uint64_t port_now_ms(void *context)
{
    const struct command_node *node = context;
    return node->cluster->harness->now_ms;
}

static uint64_t port_wall_ms(void *context)
{
    const struct command_node *node = context;
    return (uint64_t)(WALL_MS + node->wall_skew_ms) + node->cluster->harness->now_ms;
}

static void port_want_commit(void *context)
{
    struct command_node *node = context;
    node->commit_wanted = true;
}

/* A snapshot took the state's place: the replies of what it covers never come. */
static void jump(struct command_node *node, uint64_t index)
{
    node->handed_index = node->applied_index = node->committed_index = index;
}

static void on_apply(void *context, uint64_t id, uint64_t index, struct entry *entry)
{
    struct command_cluster *cluster = context;
    struct command_node *node = &cluster->nodes[id];
    learn(cluster, index, entry);
    if (index > node->handed_index + 1) {
        jump(node, index - 1);
    }
    node->handed_index = index;
}

static void on_changed(void *context, uint64_t id)
{
    struct command_cluster *cluster = context;
    cluster->nodes[id].changed = true;
}

/* ---- the turn, in the order of node/engine/engine.c */

static void apply_one(struct command_node *node)
{
    uint64_t index = ++node->applied_index;
    const struct said *said = &node->cluster->history->said[index - 1];
    if (said->term == harness_status(node->cluster->harness, node->id).term && said->output.time_ms != 0) {
        cluster_clock_saw(&node->clock, said->time_ms, node->cluster->harness->now_ms);
    } else {
        cluster_clock_floor(&node->clock, said->time_ms);
    }
    for (size_t i = 0; i < said->output.replies_count; i++) {
        const struct machine_reply *reply = &said->output.replies[i];
        proposer_replied(node->proposer, reply->node, reply->boot, reply->sequence, reply->repeated, reply->packed);
    }
}

static void drain(struct command_node *node)
{
    struct harness *harness = node->cluster->harness;
    uint64_t state_index = harness_node(harness, node->id)->state.index;
    if (state_index > node->handed_index) {
        jump(node, state_index);
        node->woken = true;
    }
    if (!node->state_held && node->applied_index < node->handed_index && harness_chance(harness, 400)) {
        while (node->applied_index < node->handed_index) {
            apply_one(node);
        }
        node->woken = true;
    }
    unsigned permille = node->commit_wanted ? 500 : 20;
    if (!node->commit_held && node->committed_index < node->applied_index && harness_chance(harness, permille)) {
        node->committed_index = node->applied_index;
        node->commit_wanted = false;
        node->woken = true;
    }
}

static bool status_differs(const struct driver_status *a, const struct driver_status *b)
{
    return a->role != b->role || a->ready != b->ready || a->term != b->term || a->leader_id != b->leader_id ||
           a->commit_index != b->commit_index || a->inflight_entries != b->inflight_entries;
}

static uint64_t sum_of_links(const struct command_node *node)
{
    const struct harness *harness = node->cluster->harness;
    uint64_t sum = 0;
    for (uint64_t peer = 1; peer <= harness->nodes_count; peer++) {
        sum += harness->session[node->id][peer] + (harness->cut[node->id][peer] ? 1 : 0);
    }
    return sum;
}

static void turn(struct command_node *node)
{
    struct harness *harness = node->cluster->harness;
    drain(node);
    struct driver_status status = harness_status(harness, node->id);
    uint64_t links = sum_of_links(node);
    bool woken = node->woken || node->changed || status_differs(&status, &node->told) || links != node->links;
    bool due = proposer_next_tick_ms(node->proposer) <= harness->now_ms ||
               read_barrier_next_tick_ms(node->reads) <= harness->now_ms;
    if (!woken && !due) {
        return;
    }
    node->turns_in_vain = woken ? 0 : node->turns_in_vain + 1;
    if (node->turns_in_vain > TURNS_IN_VAIN_MAX && read_barrier_next_tick_ms(node->reads) == 0) {
        REPORT(node->cluster, "node %u turns without end", (unsigned)node->id);
    }
    node->woken = false;
    node->told = status;
    if (node->changed || links != node->links) {
        node->changed = false;
        node->links = links;
        proposer_changed(node->proposer);
        read_barrier_changed(node->reads);
    }
    read_barrier_state(node->reads, node->committed_index, node->applied_index);
    proposer_turn(node->proposer);
    read_barrier_turn(node->reads);
}

/* ---- nodes */

void command_cluster_start(struct command_cluster *cluster, uint64_t id)
{
    struct command_node *node = &cluster->nodes[id];
    struct harness_node *below = harness_node(cluster->harness, id);
    if (below->up) {
        return;
    }
    uint64_t index = below->disk.state.index;
    *node = (struct command_node){.cluster = cluster, .id = id, .boot = node->boot + 1, .changed = true};
    node->wall_skew_ms = (int64_t)harness_random(cluster->harness, 4000) - 2000;
    jump(node, index);
    cluster_clock_init(&node->clock, id, cluster->harness->nodes_count);
    if (index > 0) {
        cluster_clock_floor(&node->clock, cluster->history->said[index - 1].time_ms);
    }
    harness_start(cluster->harness, id);
    if (!below->up) {
        return; /* the harness has noted why */
    }
    const struct proposer_ports proposer_ports = {
        .context = node, .now_ms = port_now_ms, .boottime_ms = port_now_ms, .wall_ms = port_wall_ms, .send = port_send};
    const struct read_barrier_ports read_ports = {
        .context = node, .now_ms = port_now_ms, .send = port_send, .want_commit = port_want_commit};
    node->proposer = proposer_new(id, node->boot, &proposer_ports, below->driver, &node->clock);
    node->reads = read_barrier_new(id, &read_ports, below->driver);
}

void command_cluster_crash(struct command_cluster *cluster, uint64_t id)
{
    struct command_node *node = &cluster->nodes[id];
    if (node->proposer == NULL) {
        return;
    }
    proposer_free(node->proposer);
    read_barrier_free(node->reads);
    node->proposer = NULL;
    node->reads = NULL;
    harness_crash(cluster->harness, id);
    for (size_t i = 0; i < cluster->writes_count; i++) {
        struct command_write *write = cluster->writes[i];
        write->lost |= write->node == id && write->answers == 0;
    }
    for (size_t i = 0; i < cluster->reads_count; i++) {
        struct command_read *read = cluster->reads[i];
        read->lost |= read->node == id && read->answers == 0;
    }
}

void command_cluster_isolate(struct command_cluster *cluster, uint64_t id)
{
    for (uint64_t peer = 1; peer <= cluster->harness->nodes_count; peer++) {
        if (peer != id) {
            harness_cut(cluster->harness, id, peer, true);
            harness_cut(cluster->harness, peer, id, true);
        }
    }
}

struct command_cluster *command_cluster_new(uint64_t seed, unsigned nodes_count)
{
    struct command_cluster *cluster = zeroed(sizeof *cluster);
    cluster->harness = harness_new(seed, nodes_count);
    cluster->harness->on_apply = on_apply;
    cluster->harness->on_changed = on_changed;
    cluster->harness->on_node_context = cluster;
    cluster->history = zeroed(sizeof *cluster->history);
    cluster->history->memory = memory_store_new();
    cluster->history->store = memory_store_view(cluster->history->memory);
    cluster->history->machine = machine_new();
    harness_bootstrap(cluster->harness, nodes_count, 0);
    for (uint64_t id = 1; id <= nodes_count; id++) {
        command_cluster_start(cluster, id);
    }
    return cluster;
}

void command_cluster_free(struct command_cluster *cluster)
{
    for (uint64_t id = 1; id <= cluster->harness->nodes_count; id++) {
        command_cluster_crash(cluster, id);
    }
    for (size_t i = 0; i < cluster->frames_count; i++) {
        free(cluster->frames[i].body);
    }
    for (size_t i = 0; i < cluster->writes_count; i++) {
        free(cluster->writes[i]);
    }
    for (size_t i = 0; i < cluster->reads_count; i++) {
        free(cluster->reads[i]);
    }
    for (size_t i = 0; i < cluster->history->count; i++) {
        machine_output_close(&cluster->history->said[i].output);
    }
    free(cluster->frames);
    free(cluster->writes);
    free(cluster->reads);
    free(cluster->history->said);
    machine_free(cluster->history->machine);
    memory_store_free(cluster->history->memory);
    free(cluster->history);
    harness_free(cluster->harness);
    free(cluster);
}

/* ---- time */

void command_cluster_run(struct command_cluster *cluster, uint64_t duration_ms,
                         void (*act)(struct command_cluster *cluster))
{
    struct harness *harness = cluster->harness;
    uint64_t end_ms = harness->now_ms + duration_ms;
    while (harness->now_ms < end_ms && raft_checks_violation(harness->checks) == NULL) {
        if (act != NULL) {
            act(cluster);
        }
        harness_run(harness, harness->now_ms + 1, 0, NULL, NULL);
        deliver_due(cluster);
        for (uint64_t id = 1; id <= harness->nodes_count; id++) {
            if (cluster->nodes[id].proposer != NULL && !frozen(&cluster->nodes[id])) {
                turn(&cluster->nodes[id]);
            }
        }
    }
}

uint64_t command_cluster_lead(struct command_cluster *cluster)
{
    for (unsigned waited_ms = 0; waited_ms < 10000; waited_ms += 10) {
        uint64_t leader = harness_leader(cluster->harness);
        if (leader != 0 && harness_status(cluster->harness, leader).ready) {
            command_cluster_run(cluster, 200, NULL); /* everybody knows */
            if (harness_leader(cluster->harness) == leader) {
                return leader;
            }
        }
        command_cluster_run(cluster, 10, NULL);
    }
    return 0;
}

uint64_t command_cluster_follower(struct command_cluster *cluster)
{
    return harness_leader(cluster->harness) == 1 ? 2 : 1;
}
