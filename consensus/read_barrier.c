/* Current reads: see read_barrier.h. */
#include "consensus/read_barrier.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/planted.h"
#include "consensus/transport/wire.h"

/* Questions of one peer that may be under way at a leader: one that is asked again must not end the one before it. */
#define CONFIRMATIONS_PER_PEER_MAX (READ_WAIT_MS / READ_ASK_AGAIN_MS + 1)
/* Questions are numbered from the time of the start: a later start's are not taken for an earlier one's. */
#define QUESTIONS_PER_MS_BITS 20

/* A read goes through: wanting (needs a question), asked (a question is out), indexed (waits for the local state). */
enum read_stage { READ_WANTING, READ_ASKED, READ_INDEXED };

struct read {
    enum read_stage stage;
    uint64_t question; /* that will answer it, or any later one */
    uint64_t index;    /* that the local state must cover */
    uint64_t deadline_ms;
    read_done done;
    void *argument;
};

/* A question that this leader is confirming with the voters, its own or a follower's. */
struct confirmation {
    uint64_t round;     /* of this node */
    uint64_t peer;      /* who asked; the node itself for its own */
    uint64_t question;  /* the asker's number */
    uint64_t index;     /* commit index when it came in */
    uint64_t voters[16]; /* that said yes */
    unsigned voters_count;
};

struct read_barrier {
    uint64_t node;
    struct read_barrier_ports ports;
    struct driver *driver;

    struct read *reads;
    size_t reads_count, reads_capacity;

    uint64_t next_question, asked_question; /* the last that is out, 0: none */
    uint64_t asked_ms;

    struct confirmation *confirmations;
    size_t confirmations_count, confirmations_capacity;
    uint64_t next_round, confirmed_term;

    uint64_t committed_index, answered_index;
};

static void *grown(void *array, size_t *capacity, size_t needed, size_t element_size) {
    if (needed <= *capacity) return array;
    size_t larger = *capacity ? *capacity * 2 : 16;
    while (larger < needed) larger *= 2;
    array = realloc(array, larger * element_size);
    if (array == NULL) abort();
    *capacity = larger;
    return array;
}

struct read_barrier *read_barrier_new(uint64_t node, const struct read_barrier_ports *ports, struct driver *driver) {
    struct read_barrier *barrier = calloc(1, sizeof *barrier);
    if (barrier == NULL) abort();
    barrier->node = node;
    barrier->ports = *ports;
    barrier->driver = driver;
    barrier->next_question = (ports->now_ms(ports->context) << QUESTIONS_PER_MS_BITS) + 1;
    barrier->next_round = 1;
    return barrier;
}

void read_barrier_free(struct read_barrier *barrier) {
    if (barrier == NULL) return;
    free(barrier->reads);
    free(barrier->confirmations);
    free(barrier);
}

void read_barrier_wait(struct read_barrier *barrier, read_done done, void *argument) {
    barrier->reads = grown(barrier->reads, &barrier->reads_capacity, barrier->reads_count + 1, sizeof *barrier->reads);
    barrier->reads[barrier->reads_count++] =
        (struct read){.stage = READ_WANTING,
                      .deadline_ms = barrier->ports.now_ms(barrier->ports.context) + READ_WAIT_MS,
                      .done = done,
                      .argument = argument};
}

static void send_frame(struct read_barrier *barrier, uint64_t peer, enum frame_type type, const uint8_t *data,
                       size_t size_bytes) {
    /* A frame that is lost is asked for again. */
    barrier->ports.send(barrier->ports.context, peer, type, (struct span){data, size_bytes}, (struct span){NULL, 0});
}

/* ---- asking */

static void question_answered(struct read_barrier *barrier, uint64_t question, uint64_t index) {
    if (question >= barrier->next_question) return; /* never asked */
    for (size_t i = 0; i < barrier->reads_count; i++) {
        struct read *read = &barrier->reads[i];
        if (read->stage != READ_ASKED || read->question > question) continue;
        read->stage = READ_INDEXED;
        read->index = index > barrier->answered_index ? index : barrier->answered_index;
    }
    if (barrier->asked_question == question) barrier->asked_question = 0;
}

static void answer(struct read_barrier *barrier, const struct confirmation *confirmation) {
    if (confirmation->peer == barrier->node) {
        question_answered(barrier, confirmation->question, confirmation->index);
        return;
    }
    uint8_t body[16];
    wire_put_u64(body, confirmation->question);
    wire_put_u64(body + 8, confirmation->index);
    send_frame(barrier, confirmation->peer, FRAME_READ_ANSWER, body, sizeof body);
}

/* ---- confirming, on the leader */

static bool is_voter(const struct raft_configuration *configuration, uint64_t id) {
    for (unsigned i = 0; i < configuration->n; i++)
        if (configuration->servers[i].id == id) return configuration->servers[i].role == RAFT_VOTER;
    return false;
}

static unsigned voters_count(const struct raft_configuration *configuration) {
    unsigned count = 0;
    for (unsigned i = 0; i < configuration->n; i++) count += configuration->servers[i].role == RAFT_VOTER;
    return count;
}

static bool majority_confirmed(struct read_barrier *barrier, const struct confirmation *confirmation) {
    const struct raft_configuration *configuration = driver_configuration(barrier->driver);
    unsigned yes = is_voter(configuration, barrier->node);
    for (unsigned i = 0; i < confirmation->voters_count; i++) yes += is_voter(configuration, confirmation->voters[i]);
    return yes > voters_count(configuration) / 2 || planted(READ_WITHOUT_MAJORITY);
}

static void confirmation_drop(struct read_barrier *barrier, size_t at) {
    barrier->confirmations[at] = barrier->confirmations[--barrier->confirmations_count];
}

static void confirmation_add(struct read_barrier *barrier, const struct confirmation *confirmation) {
    size_t of_peer = 0, oldest = 0;
    for (size_t i = 0; i < barrier->confirmations_count; i++) {
        if (barrier->confirmations[i].peer != confirmation->peer) continue;
        if (of_peer++ == 0 || barrier->confirmations[i].round < barrier->confirmations[oldest].round) oldest = i;
    }
    if (of_peer == CONFIRMATIONS_PER_PEER_MAX) confirmation_drop(barrier, oldest);
    barrier->confirmations = grown(barrier->confirmations, &barrier->confirmations_capacity,
                                   barrier->confirmations_count + 1, sizeof *barrier->confirmations);
    barrier->confirmations[barrier->confirmations_count++] = *confirmation;
}

/* What is confirmed answers whatever its peer had asked before, too. */
static void confirmation_end(struct read_barrier *barrier, const struct confirmation *confirmed) {
    for (size_t i = barrier->confirmations_count; i-- > 0;)
        if (barrier->confirmations[i].peer == confirmed->peer && barrier->confirmations[i].round <= confirmed->round)
            confirmation_drop(barrier, i);
}

static void confirmation_begin(struct read_barrier *barrier, uint64_t peer, uint64_t question) {
    struct driver_status status = driver_status(barrier->driver);
    if (status.role != DRIVER_LEADER || !status.ready) return; /* asked again */
    if (status.term != barrier->confirmed_term) {
        barrier->confirmed_term = status.term;
        barrier->confirmations_count = 0;
    }
    struct confirmation confirmation = {.round = barrier->next_round++, .peer = peer, .question = question,
                                        .index = status.commit_index};
    if (majority_confirmed(barrier, &confirmation)) { /* a cluster of one */
        answer(barrier, &confirmation);
        return;
    }
    confirmation_add(barrier, &confirmation);
    const struct raft_configuration *configuration = driver_configuration(barrier->driver);
    uint8_t body[16];
    wire_put_u64(body, status.term);
    wire_put_u64(body + 8, confirmation.round);
    for (unsigned i = 0; i < configuration->n; i++)
        if (configuration->servers[i].role == RAFT_VOTER && configuration->servers[i].id != barrier->node)
            send_frame(barrier, configuration->servers[i].id, FRAME_CONFIRM_QUESTION, body, sizeof body);
}

static void confirmed_by(struct read_barrier *barrier, uint64_t peer, uint64_t term, uint64_t round) {
    if (driver_role(barrier->driver) != DRIVER_LEADER || driver_term(barrier->driver) != term || barrier->confirmed_term != term) return;
    for (size_t i = 0; i < barrier->confirmations_count; i++) {
        struct confirmation *confirmation = &barrier->confirmations[i];
        if (confirmation->round != round) continue;
        for (unsigned v = 0; v < confirmation->voters_count; v++)
            if (confirmation->voters[v] == peer) return;
        if (confirmation->voters_count == sizeof confirmation->voters / sizeof confirmation->voters[0]) return;
        confirmation->voters[confirmation->voters_count++] = peer;
        if (!majority_confirmed(barrier, confirmation)) return;
        struct confirmation done = *confirmation;
        confirmation_end(barrier, &done);
        answer(barrier, &done);
        return;
    }
}

/* A voter says yes while it knows of no newer term than the leader's: no other leader can have been elected before. */
static void confirm_for(struct read_barrier *barrier, uint64_t peer, uint64_t term, uint64_t round) {
    if (driver_term(barrier->driver) != term) return;
    uint8_t body[16];
    wire_put_u64(body, term);
    wire_put_u64(body + 8, round);
    send_frame(barrier, peer, FRAME_CONFIRM_ANSWER, body, sizeof body);
}

void read_barrier_frame(struct read_barrier *barrier, uint64_t peer, enum frame_type type, struct span body) {
    struct wire_reader reader = wire_reader(body);
    uint64_t first = wire_read_u64(&reader);
    if (type == FRAME_READ_QUESTION) {
        if (!reader.failed) confirmation_begin(barrier, peer, first);
        return;
    }
    uint64_t second = wire_read_u64(&reader);
    if (reader.failed) return;
    switch (type) {
    case FRAME_READ_ANSWER:
        if (driver_leader_id(barrier->driver) == peer) question_answered(barrier, first, second);
        break;
    case FRAME_CONFIRM_QUESTION:
        confirm_for(barrier, peer, first, second);
        break;
    case FRAME_CONFIRM_ANSWER:
        confirmed_by(barrier, peer, first, second);
        break;
    default:
        assert(!"a frame of the read barrier");
    }
}

void read_barrier_state(struct read_barrier *barrier, uint64_t committed_index, uint64_t answered_index) {
    barrier->committed_index = committed_index;
    barrier->answered_index = answered_index;
}

void read_barrier_changed(struct read_barrier *barrier) {
    barrier->asked_question = 0;
}

static void ask(struct read_barrier *barrier, uint64_t now_ms) {
    if (barrier->asked_question != 0) {
        if (now_ms - barrier->asked_ms < READ_ASK_AGAIN_MS) return;
        barrier->asked_question = 0; /* the question or its answer is lost, or slow: then it counts when it comes */
    }
    struct driver_status status = driver_status(barrier->driver);
    if (status.leader_id == 0 && status.role != DRIVER_LEADER) return;
    bool any = false;
    uint64_t question = barrier->next_question;
    for (size_t i = 0; i < barrier->reads_count; i++) {
        struct read *read = &barrier->reads[i];
        if (read->stage == READ_INDEXED) continue;
        any = true;
        if (read->stage == READ_ASKED) continue;
        read->stage = READ_ASKED;
        read->question = question;
    }
    if (!any) return;
    barrier->next_question++;
    barrier->asked_question = question;
    barrier->asked_ms = now_ms;
    if (status.role == DRIVER_LEADER) {
        confirmation_begin(barrier, barrier->node, question);
        return;
    }
    uint8_t body[8];
    wire_put_u64(body, question);
    send_frame(barrier, status.leader_id, FRAME_READ_QUESTION, body, sizeof body);
}

void read_barrier_turn(struct read_barrier *barrier) {
    if (barrier->reads_count == 0) return;
    uint64_t now_ms = barrier->ports.now_ms(barrier->ports.context);
    ask(barrier, now_ms);
    bool behind = false;
    /* Callbacks may add reads: the ones that end are taken out first. */
    struct read *ended = NULL;
    size_t ended_count = 0, ended_capacity = 0, kept = 0;
    for (size_t i = 0; i < barrier->reads_count; i++) {
        struct read *read = &barrier->reads[i];
        bool covered = read->index <= barrier->committed_index || planted(READ_NOT_WAITED_FOR);
        bool reached = read->stage == READ_INDEXED && covered;
        if (reached || read->deadline_ms <= now_ms) {
            ended = grown(ended, &ended_capacity, ended_count + 1, sizeof *ended);
            ended[ended_count] = *read;
            ended[ended_count++].stage = reached ? READ_INDEXED : READ_WANTING;
        } else {
            behind |= read->stage == READ_INDEXED;
            barrier->reads[kept++] = *read;
        }
    }
    barrier->reads_count = kept;
    if (behind) barrier->ports.want_commit(barrier->ports.context);
    for (size_t i = 0; i < ended_count; i++) ended[i].done(ended[i].argument, ended[i].stage != READ_INDEXED);
    free(ended);
}

uint64_t read_barrier_next_tick_ms(const struct read_barrier *barrier) {
    if (barrier->reads_count == 0) return UINT64_MAX;
    struct driver_status status = driver_status(barrier->driver);
    bool can_ask = barrier->asked_question == 0 && (status.leader_id != 0 || status.role == DRIVER_LEADER);
    uint64_t next_ms = barrier->asked_question != 0 ? barrier->asked_ms + READ_ASK_AGAIN_MS : UINT64_MAX;
    for (size_t i = 0; i < barrier->reads_count; i++) {
        const struct read *read = &barrier->reads[i];
        if (read->stage != READ_INDEXED && can_ask) return 0;
        if (read->stage == READ_INDEXED && read->index <= barrier->committed_index) return 0;
        if (read->deadline_ms < next_ms) next_ms = read->deadline_ms;
    }
    return next_ms;
}
