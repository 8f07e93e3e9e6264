/*
 * Current reads on any node, without a log entry.
 *
 *     read_barrier_wait ─> (end of turn) one question for all that wait ─> leader: "am I still?" to the voters, a majority of yes
 *     done(index) <─ the local state covers the index <─ answer: the commit index when the question came in
 *
 * The leader answers only when its own barrier of the term is committed, and after a majority has confirmed, later than the question, that no
 * newer term has begun; that is Raft's ReadIndex (section 6.4 of Ongaro's dissertation). Without a leader a read ends as stale at its
 * deadline.
 */
#ifndef CONSENSUS_READ_BARRIER_H
#define CONSENSUS_READ_BARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver/driver.h"
#include "consensus/transport/transport.h"

/* How long a read waits for a leader before it is answered from what is here. */
#define READ_WAIT_MS 2000
#define READ_ASK_AGAIN_MS 300

typedef void (*read_done)(void *argument, bool stale);

struct read_barrier_ports {
    void *context;
    uint64_t (*now_ms)(void *context);
    bool (*send)(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail);
    /* Readers wait for an index that is not committed in the local state yet. */
    void (*want_commit)(void *context);
};

struct read_barrier;

struct read_barrier *read_barrier_new(uint64_t node, const struct read_barrier_ports *ports, struct driver *driver);
void read_barrier_free(struct read_barrier *barrier); /* without calling back */

/* `done` is called exactly once, never from inside this call. */
void read_barrier_wait(struct read_barrier *barrier, read_done done, void *argument);

void read_barrier_frame(struct read_barrier *barrier, uint64_t peer, enum frame_type type, struct span body);

/* The local state is committed up to this index; every index that this node has answered is at most `answered_index`. */
void read_barrier_state(struct read_barrier *barrier, uint64_t committed_index, uint64_t answered_index);

/* Leader or term changed: questions are asked again. */
void read_barrier_changed(struct read_barrier *barrier);

void read_barrier_turn(struct read_barrier *barrier);
uint64_t read_barrier_next_tick_ms(const struct read_barrier *barrier);

#endif
