/* Commands in, replies out: see proposer.h. */
#include "consensus/proposer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/machine.h"
#include "consensus/machine/planted.h"
#include "consensus/transport/wire.h"

/* A command of this node that has no reply yet. Sequences are consecutive, so a ring finds it. */
struct proposal {
    uint64_t sequence; /* 0: the slot is free */
    uint64_t deadline_ms;
    uint64_t sent_ms; /* when it last left for the leader; 0: it has not since the last change */
    uint8_t *packed;
    size_t size_bytes;
    proposal_done done;
    void *argument;
};

/* What ended and is to be told at the next turn, because callbacks never come from inside the call that took them. */
struct ending {
    proposal_done done;
    void *argument;
    enum proposal_outcome outcome;
};

/* A packed command that waits for the next entry of this leader. */
struct waiting {
    uint8_t *packed;
    size_t size_bytes;
};

struct proposer {
    uint64_t node, boot;
    struct proposer_ports ports;
    struct driver *driver;
    struct cluster_clock *clock;
    struct machine *machine; /* applies nothing: it judges what is forwarded */

    struct proposal ring[LIMIT_ORIGIN_WINDOW];
    uint64_t next_sequence;   /* of the next command */
    uint64_t oldest_sequence; /* nothing below it is pending */
    uint64_t unsent_sequence; /* everything pending from here on has not left since the last change */

    struct waiting *queue;
    size_t queue_count, queue_capacity, queue_bytes;
    uint64_t queue_term; /* the term this queue was gathered in */

    struct ending *endings;
    size_t endings_count, endings_capacity;

    uint8_t *frame; /* under construction */
    size_t frame_capacity;
    uint64_t next_check_ms;
    bool stopped;
    struct proposer_statistics statistics;
};

#define FRAME_COMMANDS_SIZE_BYTES_MAX (1u << 20)
#define CHECK_MS 50
/* What an entry adds to its commands: its own fields, and a tag and a length for each. */
#define ENTRY_OVERHEAD_SIZE_BYTES (64u + 8u * LIMIT_ENTRY_COMMANDS)

static void *grown(void *array, size_t *capacity, size_t needed, size_t element_size) {
    if (needed <= *capacity) return array;
    size_t larger = *capacity ? *capacity * 2 : 64;
    while (larger < needed) larger *= 2;
    array = realloc(array, larger * element_size);
    if (array == NULL) abort();
    *capacity = larger;
    return array;
}

struct proposer *proposer_new(uint64_t node, uint64_t boot, const struct proposer_ports *ports, struct driver *driver,
                              struct cluster_clock *clock) {
    struct proposer *proposer = calloc(1, sizeof *proposer);
    if (proposer == NULL) abort();
    proposer->node = node;
    proposer->boot = boot;
    proposer->ports = *ports;
    proposer->driver = driver;
    proposer->clock = clock;
    proposer->machine = machine_new();
    proposer->next_sequence = proposer->oldest_sequence = proposer->unsent_sequence = 1;
    return proposer;
}

static void queue_clear(struct proposer *proposer) {
    for (size_t i = 0; i < proposer->queue_count; i++) free(proposer->queue[i].packed);
    proposer->queue_count = 0;
    proposer->queue_bytes = 0;
}

void proposer_free(struct proposer *proposer) {
    if (proposer == NULL) return;
    queue_clear(proposer);
    for (size_t i = 0; i < LIMIT_ORIGIN_WINDOW; i++) free(proposer->ring[i].packed);
    free(proposer->queue);
    free(proposer->endings);
    free(proposer->frame);
    machine_free(proposer->machine);
    free(proposer);
}

static struct proposal *slot(struct proposer *proposer, uint64_t sequence) {
    return &proposer->ring[sequence % LIMIT_ORIGIN_WINDOW];
}

static void end_later(struct proposer *proposer, proposal_done done, void *argument, enum proposal_outcome outcome) {
    proposer->endings = grown(proposer->endings, &proposer->endings_capacity, proposer->endings_count + 1,
                              sizeof *proposer->endings);
    proposer->endings[proposer->endings_count++] = (struct ending){done, argument, outcome};
}

static void slot_release(struct proposer *proposer, struct proposal *proposal) {
    free(proposal->packed);
    memset(proposal, 0, sizeof *proposal);
    proposer->statistics.pending--;
    while (proposer->oldest_sequence < proposer->next_sequence &&
           slot(proposer, proposer->oldest_sequence)->sequence == 0)
        proposer->oldest_sequence++;
    if (proposer->unsent_sequence < proposer->oldest_sequence) proposer->unsent_sequence = proposer->oldest_sequence;
}

void proposer_submit(struct proposer *proposer, Tocsin__Command *command, uint64_t deadline_ms, proposal_done done,
                     void *argument) {
    proposer->statistics.submitted++;
    if (proposer->stopped) {
        end_later(proposer, done, argument, PROPOSAL_STOPPED);
        return;
    }
    if (deadline_ms <= proposer->ports.now_ms(proposer->ports.context)) { /* no time: it must not reach any log */
        proposer->statistics.unavailable++;
        end_later(proposer, done, argument, PROPOSAL_UNAVAILABLE);
        return;
    }
    if (proposer->next_sequence - proposer->oldest_sequence >= LIMIT_ORIGIN_WINDOW) {
        proposer->statistics.overloaded++;
        end_later(proposer, done, argument, PROPOSAL_OVERLOADED);
        return;
    }
    Tocsin__Origin origin = TOCSIN__ORIGIN__INIT;
    origin.node = proposer->node;
    origin.boot = proposer->boot;
    origin.sequence = proposer->next_sequence;
    command->origin = &origin;
    size_t size_bytes = tocsin__command__get_packed_size(command);
    if (size_bytes > LIMIT_COMMAND_SIZE_BYTES) { /* no leader would take it from a follower, and an entry might not hold it */
        command->origin = NULL;
        proposer->statistics.refused++;
        end_later(proposer, done, argument, PROPOSAL_TOO_LARGE);
        return;
    }
    proposer->next_sequence++;
    uint8_t *packed = malloc(size_bytes);
    if (packed == NULL) abort();
    tocsin__command__pack(command, packed);
    command->origin = NULL;

    struct proposal *proposal = slot(proposer, origin.sequence);
    assert(proposal->sequence == 0);
    *proposal = (struct proposal){.sequence = origin.sequence, .deadline_ms = deadline_ms, .packed = packed,
                                  .size_bytes = size_bytes, .done = done, .argument = argument};
    proposer->statistics.pending++;
}

/* The queue is of one term: whoever asked in another sends again. False when this node does not lead. */
static bool queue_is_open(struct proposer *proposer) {
    bool leading = driver_role(proposer->driver) == DRIVER_LEADER;
    uint64_t term = driver_term(proposer->driver);
    if (!leading || term != proposer->queue_term) queue_clear(proposer);
    proposer->queue_term = term;
    return leading;
}

static bool queue_add(struct proposer *proposer, const void *data, size_t size_bytes) {
    if (proposer->queue_bytes + size_bytes > PROPOSER_QUEUE_SIZE_BYTES_MAX) return false;
    uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
    if (copy == NULL) abort();
    memcpy(copy, data, size_bytes);
    proposer->queue = grown(proposer->queue, &proposer->queue_capacity, proposer->queue_count + 1,
                            sizeof *proposer->queue);
    proposer->queue[proposer->queue_count++] = (struct waiting){copy, size_bytes};
    proposer->queue_bytes += size_bytes;
    return true;
}

bool proposer_submit_own(struct proposer *proposer, const Tocsin__Command *command) {
    if (proposer->stopped || !queue_is_open(proposer)) return false;
    size_t size_bytes = tocsin__command__get_packed_size(command);
    if (size_bytes > LIMIT_COMMAND_SIZE_BYTES) {
        proposer->statistics.refused++;
        return false;
    }
    uint8_t *packed = malloc(size_bytes ? size_bytes : 1);
    if (packed == NULL) abort();
    tocsin__command__pack(command, packed);
    bool taken = queue_add(proposer, packed, size_bytes);
    free(packed);
    return taken;
}

/* The frame of forwarded commands: each a 32-bit size and the packed command. */
void proposer_frame(struct proposer *proposer, uint64_t peer, struct span body) {
    (void)peer;
    if (proposer->stopped || !queue_is_open(proposer)) return; /* they send again */
    struct wire_reader reader = wire_reader(body);
    while (reader.left > 0) {
        uint32_t size_bytes = wire_read_u32(&reader);
        const void *command = wire_read_bytes(&reader, size_bytes);
        if (reader.failed) return;
        /* Damaged on its way or of another version: never taken; those behind it are. */
        if (size_bytes > LIMIT_COMMAND_SIZE_BYTES ||
            !machine_knows(proposer->machine, (struct span){command, size_bytes})) {
            proposer->statistics.refused++;
            continue;
        }
        if (!queue_add(proposer, command, size_bytes)) return; /* they send again */
    }
}

void proposer_replied(struct proposer *proposer, uint64_t node, uint64_t boot, uint64_t sequence, bool repeated,
                      struct span reply) {
    if ((node != proposer->node || boot != proposer->boot) && !planted(ANSWERED_BY_SEQUENCE)) return;
    struct proposal *proposal = slot(proposer, sequence);
    if (proposal->sequence != sequence) return; /* its deadline has passed, or it was answered before */
    proposal_done done = proposal->done;
    void *argument = proposal->argument;
    slot_release(proposer, proposal);
    if (repeated) {
        proposer->statistics.unavailable++;
        done(argument, PROPOSAL_UNAVAILABLE, (struct span){NULL, 0}); /* applied, but its reply went by in a snapshot */
        return;
    }
    proposer->statistics.applied++;
    done(argument, PROPOSAL_APPLIED, reply);
}

void proposer_changed(struct proposer *proposer) {
    proposer->unsent_sequence = proposer->oldest_sequence;
    for (uint64_t sequence = proposer->oldest_sequence; sequence < proposer->next_sequence; sequence++)
        slot(proposer, sequence)->sent_ms = 0;
}

/* One entry out of the front of the queue; false when the driver does not take it. */
static bool propose_entry(struct proposer *proposer, uint64_t term, size_t *taken_count) {
    static ProtobufCBinaryData commands[LIMIT_ENTRY_COMMANDS];
    size_t count = 0, bytes = 0;
    while (*taken_count + count < proposer->queue_count && count < LIMIT_ENTRY_COMMANDS) {
        struct waiting *waiting = &proposer->queue[*taken_count + count];
        if (count > 0 && bytes + waiting->size_bytes + ENTRY_OVERHEAD_SIZE_BYTES > LIMIT_ENTRY_SIZE_BYTES) break;
        commands[count++] = (ProtobufCBinaryData){waiting->size_bytes, waiting->packed};
        bytes += waiting->size_bytes;
    }
    uint64_t boottime_ms = proposer->ports.boottime_ms(proposer->ports.context);
    Tocsin__Entry message = TOCSIN__ENTRY__INIT;
    message.time_ms = cluster_clock_stamp(proposer->clock, proposer->ports.wall_ms(proposer->ports.context), boottime_ms);
    message.proposer = proposer->node;
    message.proposer_boot = proposer->boot;
    message.proposed_boottime_ms = boottime_ms;
    message.n_commands = count;
    message.commands = commands;
    struct entry *entry = entry_new(term, ENTRY_COMMAND, (uint32_t)tocsin__entry__get_packed_size(&message));
    tocsin__entry__pack(&message, entry->data);
    uint64_t index, entry_term;
    if (driver_submit(proposer->driver, entry, &index, &entry_term) != DRIVER_OK) return false;
    *taken_count += count;
    proposer->statistics.entries++;
    proposer->statistics.commands += count;
    return true;
}

static void propose_queue(struct proposer *proposer) {
    size_t taken = 0;
    while (taken < proposer->queue_count) {
        struct driver_status status = driver_status(proposer->driver);
        if (status.role != DRIVER_LEADER || status.inflight_entries >= PROPOSER_INFLIGHT_ENTRIES_MAX) break;
        if (!propose_entry(proposer, status.term, &taken)) break;
    }
    if (taken == 0) return;
    for (size_t i = 0; i < taken; i++) {
        proposer->queue_bytes -= proposer->queue[i].size_bytes;
        free(proposer->queue[i].packed);
    }
    proposer->queue_count -= taken;
    memmove(proposer->queue, proposer->queue + taken, proposer->queue_count * sizeof *proposer->queue);
}

/* Own commands that have not left yet go into this leader's queue. */
static void queue_unsent(struct proposer *proposer, uint64_t now_ms) {
    for (; proposer->unsent_sequence < proposer->next_sequence; proposer->unsent_sequence++) {
        struct proposal *proposal = slot(proposer, proposer->unsent_sequence);
        if (proposal->sequence == 0) continue;
        if (!queue_add(proposer, proposal->packed, proposal->size_bytes)) return;
        proposal->sent_ms = now_ms;
    }
}

/* ... or, in frames of many, to the node that leads. */
static void forward_unsent(struct proposer *proposer, uint64_t leader, uint64_t now_ms) {
    while (proposer->unsent_sequence < proposer->next_sequence) {
        size_t size_bytes = 0;
        uint64_t end = proposer->unsent_sequence;
        for (; end < proposer->next_sequence; end++) {
            struct proposal *proposal = slot(proposer, end);
            if (proposal->sequence == 0) continue;
            size_t needed = size_bytes + 4 + proposal->size_bytes;
            if (size_bytes > 0 && needed > FRAME_COMMANDS_SIZE_BYTES_MAX) break;
            proposer->frame = grown(proposer->frame, &proposer->frame_capacity, needed, 1);
            wire_put_u32(proposer->frame + size_bytes, (uint32_t)proposal->size_bytes);
            memcpy(proposer->frame + size_bytes + 4, proposal->packed, proposal->size_bytes);
            size_bytes = needed;
        }
        if (size_bytes > 0 &&
            !proposer->ports.send(proposer->ports.context, leader, FRAME_FORWARD,
                                  (struct span){proposer->frame, size_bytes}, (struct span){NULL, 0}))
            return; /* tried again at the next tick, or when the connection is there */
        for (uint64_t sequence = proposer->unsent_sequence; sequence < end; sequence++) {
            struct proposal *proposal = slot(proposer, sequence);
            if (proposal->sequence == 0) continue;
            proposal->sent_ms = now_ms;
            proposer->statistics.forwarded++;
        }
        proposer->unsent_sequence = end;
    }
}

static void end_overdue(struct proposer *proposer, uint64_t now_ms, bool following) {
    if (now_ms < proposer->next_check_ms) return;
    proposer->next_check_ms = now_ms + CHECK_MS;
    for (uint64_t sequence = proposer->oldest_sequence; sequence < proposer->next_sequence; sequence++) {
        struct proposal *proposal = slot(proposer, sequence);
        if (proposal->sequence == 0) continue;
        if (proposal->deadline_ms <= now_ms) {
            proposer->statistics.unavailable++;
            end_later(proposer, proposal->done, proposal->argument, PROPOSAL_UNAVAILABLE);
            slot_release(proposer, proposal);
        } else if (following && proposal->sent_ms != 0 && now_ms - proposal->sent_ms >= PROPOSER_RESEND_MS &&
                   sequence < proposer->unsent_sequence) {
            proposer->unsent_sequence = sequence; /* a frame may have been lost with its connection */
        }
    }
}

static void tell_endings(struct proposer *proposer) {
    /* A callback may submit again, and that may end again: only what is here now is told. */
    size_t count = proposer->endings_count;
    if (count == 0) return;
    for (size_t i = 0; i < count; i++) {
        struct ending ending = proposer->endings[i];
        ending.done(ending.argument, ending.outcome, (struct span){NULL, 0});
    }
    proposer->endings_count -= count;
    memmove(proposer->endings, proposer->endings + count, proposer->endings_count * sizeof *proposer->endings);
}

void proposer_turn(struct proposer *proposer) {
    uint64_t now_ms = proposer->ports.now_ms(proposer->ports.context), leader_id = driver_leader_id(proposer->driver);
    bool leading = queue_is_open(proposer);
    end_overdue(proposer, now_ms, !leading);
    if (leading) {
        queue_unsent(proposer, now_ms);
        propose_queue(proposer);
    } else if (leader_id != 0) {
        forward_unsent(proposer, leader_id, now_ms);
    }
    tell_endings(proposer);
}

uint64_t proposer_next_tick_ms(const struct proposer *proposer) {
    if (proposer->endings_count > 0) return 0;
    return proposer->oldest_sequence < proposer->next_sequence ? proposer->next_check_ms : UINT64_MAX;
}

void proposer_stop(struct proposer *proposer) {
    proposer->stopped = true;
    queue_clear(proposer);
    for (uint64_t sequence = proposer->oldest_sequence; sequence < proposer->next_sequence; sequence++) {
        struct proposal *proposal = slot(proposer, sequence);
        if (proposal->sequence == 0) continue;
        end_later(proposer, proposal->done, proposal->argument, PROPOSAL_STOPPED);
        slot_release(proposer, proposal);
    }
}

struct proposer_statistics proposer_statistics(const struct proposer *proposer) {
    struct proposer_statistics statistics = proposer->statistics;
    statistics.queued_bytes = proposer->queue_bytes;
    return statistics;
}
