/*
 * Snapshots on their way: the sending side, one slot per follower, and the receiving side, of one snapshot at a time.
 *
 *     BEGIN   term │ sequence │ index │ size           a transfer is known by its sender, term and sequence (which
 * rises)
 *     CHUNK   term │ sequence │ offset │ data          all of SNAPSHOT_CHUNK_SIZE_BYTES but the last
 *     ACK     term │ sequence │ offset │ status        offset: what is staged so far, from 0 on without a gap
 *
 *     sender                                             receiver
 *       BEGIN ─────────────────────────────────────────>   begin anew (an older transfer is dropped)
 *       <───────────────────────────── ACK 0 receiving
 *       CHUNK 0, CHUNK 1, ... up to the window ─────────>   stage each, one after the other
 *       <───────────────────────────── ACK n receiving      an offset that does not rise: something was lost, send from
 * there
 *       ...                                                 staged to the end: verify
 *       <───────────────────────────── ACK size done        or failed, or (to BEGIN, while it takes time) verifying
 *
 * The transport may drop any frame. What was not acknowledged for SNAPSHOT_RESEND_MS is sent again from the
 * acknowledged offset; at offset 0 and at the end that is the BEGIN, which is answered with where the receiver stands.
 */
#include "consensus/snapshot_transfer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/transport/wire.h"

#define PEERS_MAX 16u
#define SNAPSHOT_RESEND_MS 1000u
/* A larger size is a damaged or hostile BEGIN. */
#define SNAPSHOT_SIZE_BYTES_MAX (1ull << 40)

#define BEGIN_SIZE_BYTES 32u
#define CHUNK_HEAD_SIZE_BYTES 24u
#define ACK_SIZE_BYTES 25u

enum ack_status {
    ACK_RECEIVING = 1,
    ACK_VERIFYING,
    ACK_DONE,
    ACK_FAILED, /* staging or verifying: this file will not do */
    ACK_UNKNOWN /* the receiver has forgotten this transfer (it restarted): begin again */
};

enum slot_state {
    SLOT_FREE,
    SLOT_PREPARING, /* waits for the file */
    SLOT_BEGINNING, /* BEGIN is on its way */
    SLOT_SENDING,
    SLOT_ENDED /* waits for its read to come back */
};

/* One follower. `reading` outlives the transfer: the file is not released before. */
struct slot {
    enum slot_state state;
    uint64_t peer, term, sequence;
    uint64_t at_least_index;
    uint64_t acked, sent; /* bytes; acked <= sent <= size */
    bool reading;
    bool rewound; /* to `acked`: further acknowledgements of the same offset are of what was in flight then */
    uint64_t progress_ms, resend_ms;
};

/* What was delivered last to a peer: while it installs that, the core may ask for it again. */
struct delivered {
    uint64_t peer, term, index, at_ms;
};

enum file_state { FILE_NONE, FILE_PREPARING, FILE_READY };

struct sender {
    enum file_state file;
    uint64_t file_index, file_size_bytes;
    uint64_t sequence;
    struct slot slots[PEERS_MAX];
    struct delivered delivered[PEERS_MAX];
};

struct chunk {
    uint64_t offset;
    uint32_t size_bytes;
    uint8_t *data;
};

enum receiver_state { RECEIVER_IDLE, RECEIVER_STAGING, RECEIVER_VERIFYING };

struct receiver {
    enum receiver_state state;
    uint64_t peer, term, sequence;
    uint64_t size_bytes;
    uint64_t staged, accepted; /* bytes: written, and written or waiting; staged <= accepted <= size */
    struct chunk waiting[SNAPSHOT_WINDOW_CHUNKS];
    unsigned waiting_count;
    bool busy;  /* a stage_chunk or verify has not reported yet */
    bool stale; /* and what it will report is of a transfer before this one */
    uint64_t heard_ms;
    /* How the last transfer ended, for a sender that missed the acknowledgement. */
    uint64_t ended_peer, ended_term, ended_sequence, ended_offset;
    enum ack_status ended_status;
};

struct snapshot_transfer {
    struct snapshot_transfer_ports ports;
    struct sender sender;
    struct receiver receiver;
};

static void receiver_drop_waiting(struct receiver *receiver)
{
    for (unsigned i = 0; i < receiver->waiting_count; i++)
        free(receiver->waiting[i].data);
    receiver->waiting_count = 0;
}

struct snapshot_transfer *snapshot_transfer_new(const struct snapshot_transfer_ports *ports)
{
    struct snapshot_transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        abort();
    transfer->ports = *ports;
    return transfer;
}

void snapshot_transfer_free(struct snapshot_transfer *transfer)
{
    receiver_drop_waiting(&transfer->receiver);
    free(transfer);
}

static uint64_t now_ms(const struct snapshot_transfer *transfer)
{
    return transfer->ports.now_ms(transfer->ports.context);
}

/* ---- the sender ---- */

static bool slot_is_active(const struct slot *slot)
{
    return slot->state == SLOT_PREPARING || slot->state == SLOT_BEGINNING || slot->state == SLOT_SENDING;
}

static struct slot *slot_find(struct snapshot_transfer *transfer, uint64_t peer)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (transfer->sender.slots[i].state != SLOT_FREE && transfer->sender.slots[i].peer == peer)
            return &transfer->sender.slots[i];
    return NULL;
}

static struct slot *slot_free(struct snapshot_transfer *transfer)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (transfer->sender.slots[i].state == SLOT_FREE)
            return &transfer->sender.slots[i];
    return NULL;
}

/* The file goes when no slot needs it any more. */
static void release_file_unless_needed(struct snapshot_transfer *transfer)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (transfer->sender.slots[i].state != SLOT_FREE)
            return;
    if (transfer->sender.file != FILE_READY)
        return;
    transfer->sender.file = FILE_NONE;
    transfer->ports.release(transfer->ports.context);
}

static void slot_end(struct snapshot_transfer *transfer, struct slot *slot)
{
    slot->state = slot->reading ? SLOT_ENDED : SLOT_FREE;
    release_file_unless_needed(transfer);
}

static void slot_send_begin(struct snapshot_transfer *transfer, struct slot *slot)
{
    uint8_t body[BEGIN_SIZE_BYTES];
    wire_put_u64(body, slot->term);
    wire_put_u64(body + 8, slot->sequence);
    wire_put_u64(body + 16, transfer->sender.file_index);
    wire_put_u64(body + 24, transfer->sender.file_size_bytes);
    slot->resend_ms = now_ms(transfer);
    /* Dropped or not, it is sent again if no answer comes. */
    (void)transfer->ports.send(transfer->ports.context, slot->peer, FRAME_SNAPSHOT_BEGIN,
                               (struct span){body, sizeof body}, (struct span){NULL, 0});
}

static void slot_begin(struct snapshot_transfer *transfer, struct slot *slot)
{
    slot->state = SLOT_BEGINNING;
    slot->acked = 0;
    slot->sent = 0;
    slot->rewound = false;
    slot_send_begin(transfer, slot);
}

/* A new transfer of the file that is ready. */
static void slot_open(struct snapshot_transfer *transfer, struct slot *slot)
{
    slot->sequence = ++transfer->sender.sequence;
    slot->progress_ms = now_ms(transfer);
    slot_begin(transfer, slot);
}

static uint32_t chunk_size_bytes_at(uint64_t offset, uint64_t size_bytes)
{
    uint64_t rest = size_bytes - offset;
    return rest < SNAPSHOT_CHUNK_SIZE_BYTES ? (uint32_t)rest : SNAPSHOT_CHUNK_SIZE_BYTES;
}

/* Reads the next chunk when the window has room; one read at a time keeps the chunks in order. */
static void slot_read_next(struct snapshot_transfer *transfer, struct slot *slot)
{
    uint64_t size_bytes = transfer->sender.file_size_bytes;
    uint64_t window_bytes = (uint64_t)SNAPSHOT_WINDOW_CHUNKS * SNAPSHOT_CHUNK_SIZE_BYTES;
    if (slot->state != SLOT_SENDING || slot->reading || slot->sent == size_bytes ||
        slot->sent - slot->acked >= window_bytes)
        return;
    slot->reading = true;
    transfer->ports.read_chunk(transfer->ports.context, slot->peer, slot->sent,
                               chunk_size_bytes_at(slot->sent, size_bytes));
}

static bool was_just_delivered(struct snapshot_transfer *transfer, uint64_t peer, uint64_t term,
                               uint64_t at_least_index)
{
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        const struct delivered *delivered = &transfer->sender.delivered[i];
        if (delivered->peer == peer && delivered->term == term && delivered->index >= at_least_index &&
            now_ms(transfer) - delivered->at_ms < SNAPSHOT_STALL_MS)
            return true;
    }
    return false;
}

static void note_delivered(struct snapshot_transfer *transfer, const struct slot *slot)
{
    struct delivered *place = &transfer->sender.delivered[0];
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        struct delivered *delivered = &transfer->sender.delivered[i];
        if (delivered->peer == slot->peer) {
            place = delivered;
            break;
        }
        if (delivered->at_ms < place->at_ms)
            place = delivered;
    }
    *place = (struct delivered){slot->peer, slot->term, transfer->sender.file_index, now_ms(transfer)};
}

void snapshot_transfer_start(struct snapshot_transfer *transfer, uint64_t peer, uint64_t term,
                             uint64_t at_least_index)
{
    struct sender *sender = &transfer->sender;
    struct slot *slot = slot_find(transfer, peer);
    if (slot && slot_is_active(slot) && slot->term != term)
        snapshot_transfer_stop_sending(transfer);
    slot = slot_find(transfer, peer);
    if (slot || was_just_delivered(transfer, peer, term, at_least_index))
        return;
    slot = slot_free(transfer);
    /* A file that is too old for this peer is in use by another: the core asks again, when that is done. */
    if (!slot || (sender->file == FILE_READY && sender->file_index < at_least_index))
        return;
    *slot = (struct slot){
        .state = SLOT_PREPARING, .peer = peer, .term = term, .at_least_index = at_least_index};
    if (sender->file == FILE_READY) {
        slot_open(transfer, slot);
    } else if (sender->file == FILE_NONE) {
        sender->file = FILE_PREPARING;
        transfer->ports.prepare(transfer->ports.context, at_least_index);
    }
}

void snapshot_transfer_prepared(struct snapshot_transfer *transfer, bool ok, uint64_t index, uint64_t size_bytes)
{
    struct sender *sender = &transfer->sender;
    assert(sender->file == FILE_PREPARING);
    assert(!ok || (size_bytes > 0 && size_bytes <= SNAPSHOT_SIZE_BYTES_MAX));
    sender->file = ok ? FILE_READY : FILE_NONE;
    sender->file_index = index;
    sender->file_size_bytes = size_bytes;
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        struct slot *slot = &sender->slots[i];
        if (slot->state != SLOT_PREPARING)
            continue;
        if (ok && index >= slot->at_least_index)
            slot_open(transfer, slot);
        else
            slot->state = SLOT_FREE;
    }
    release_file_unless_needed(transfer);
}

void snapshot_transfer_stop_sending(struct snapshot_transfer *transfer)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (slot_is_active(&transfer->sender.slots[i]))
            slot_end(transfer, &transfer->sender.slots[i]);
}

void snapshot_transfer_chunk_read(struct snapshot_transfer *transfer, uint64_t peer, uint64_t offset,
                                  struct span data, bool ok)
{
    struct slot *slot = slot_find(transfer, peer);
    assert(slot && slot->reading);
    slot->reading = false;
    if (slot->state == SLOT_ENDED) {
        slot_end(transfer, slot);
        return;
    }
    /* It may have been rewound meanwhile. */
    if (slot->state != SLOT_SENDING || offset != slot->sent) {
        slot_read_next(transfer, slot);
        return;
    }
    if (!ok || data.size_bytes != chunk_size_bytes_at(offset, transfer->sender.file_size_bytes)) {
        slot_end(transfer, slot);
        return;
    }
    uint8_t head[CHUNK_HEAD_SIZE_BYTES];
    wire_put_u64(head, slot->term);
    wire_put_u64(head + 8, slot->sequence);
    wire_put_u64(head + 16, offset);
    if (!transfer->ports.send(transfer->ports.context, peer, FRAME_SNAPSHOT_CHUNK, (struct span){head, sizeof head},
                              data))
        return; /* the queue is full: the next acknowledgement or tick goes on from here */
    slot->sent += data.size_bytes;
    slot_read_next(transfer, slot);
}

static void slot_acknowledged(struct snapshot_transfer *transfer, struct slot *slot, uint64_t offset)
{
    bool begun = slot->state == SLOT_BEGINNING;
    if (begun || offset > slot->acked) {
        slot->state = SLOT_SENDING;
        slot->acked = offset;
        if (begun || slot->sent < offset)
            slot->sent = offset; /* the receiver has more than was thought: an answer was lost, not the chunk */
        slot->rewound = false;
        slot->progress_ms = now_ms(transfer);
        slot->resend_ms = slot->progress_ms;
    } else if (offset == slot->acked && slot->sent > offset && !slot->rewound) {
        slot->sent = offset;
        slot->rewound = true;
    }
    slot_read_next(transfer, slot);
}

static void take_ack(struct snapshot_transfer *transfer, uint64_t peer, struct span body)
{
    struct wire_reader reader = wire_reader(body);
    uint64_t term = wire_read_u64(&reader), sequence = wire_read_u64(&reader), offset = wire_read_u64(&reader);
    uint8_t status = wire_read_u8(&reader);
    struct slot *slot = slot_find(transfer, peer);
    if (reader.failed || !slot || (slot->state != SLOT_BEGINNING && slot->state != SLOT_SENDING) ||
        term != slot->term || sequence != slot->sequence || offset > transfer->sender.file_size_bytes)
        return;
    switch (status) {
    case ACK_RECEIVING:
        slot_acknowledged(transfer, slot, offset);
        break;
    case ACK_VERIFYING: /* all is there: what is left is to wait, and to ask now and then */
        slot->state = SLOT_SENDING;
        slot->acked = transfer->sender.file_size_bytes;
        slot->sent = slot->acked;
        slot->progress_ms = now_ms(transfer);
        break;
    case ACK_DONE:
        note_delivered(transfer, slot);
        slot_end(transfer, slot);
        break;
    case ACK_FAILED:
        slot_end(transfer, slot);
        break;
    case ACK_UNKNOWN: /* once: the rest of what was in flight is answered likewise */
        if (slot->state == SLOT_SENDING)
            slot_begin(transfer, slot);
        break;
    default: /* a newer version's */
        break;
    }
}

static void slot_tick(struct snapshot_transfer *transfer, struct slot *slot)
{
    if (slot->state != SLOT_BEGINNING && slot->state != SLOT_SENDING)
        return;
    if (now_ms(transfer) - slot->progress_ms >= SNAPSHOT_STALL_MS) {
        slot_end(transfer, slot);
        return;
    }
    if (now_ms(transfer) - slot->resend_ms < SNAPSHOT_RESEND_MS) {
        slot_read_next(transfer, slot);
        return;
    }
    slot->sent = slot->acked;
    slot->rewound = false;
    if (slot->state == SLOT_BEGINNING || slot->acked == 0 || slot->acked == transfer->sender.file_size_bytes)
        slot_send_begin(transfer, slot);
    slot->resend_ms = now_ms(transfer);
    slot_read_next(transfer, slot);
}

bool snapshot_transfer_sending(const struct snapshot_transfer *transfer, uint64_t peer)
{
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        const struct slot *slot = &transfer->sender.slots[i];
        if (slot_is_active(slot) && (peer == 0 || slot->peer == peer))
            return true;
    }
    return false;
}

/* ---- the receiver ---- */

static void send_ack(struct snapshot_transfer *transfer, uint64_t peer, uint64_t term, uint64_t sequence,
                     uint64_t offset, enum ack_status status)
{
    uint8_t body[ACK_SIZE_BYTES];
    wire_put_u64(body, term);
    wire_put_u64(body + 8, sequence);
    wire_put_u64(body + 16, offset);
    body[24] = (uint8_t)status;
    /* Dropped or not: the sender asks again. */
    (void)transfer->ports.send(transfer->ports.context, peer, FRAME_SNAPSHOT_ACK, (struct span){body, sizeof body},
                               (struct span){NULL, 0});
}

static void ack_progress(struct snapshot_transfer *transfer)
{
    const struct receiver *receiver = &transfer->receiver;
    send_ack(transfer, receiver->peer, receiver->term, receiver->sequence, receiver->staged,
             receiver->state == RECEIVER_VERIFYING ? ACK_VERIFYING : ACK_RECEIVING);
}

/* The transfer is over, with or without an answer to its sender. What is busy reports to nobody. */
static void receiver_forget(struct receiver *receiver)
{
    receiver_drop_waiting(receiver);
    receiver->state = RECEIVER_IDLE;
    receiver->stale = receiver->busy;
}

static void receiver_end(struct snapshot_transfer *transfer, enum ack_status status)
{
    struct receiver *receiver = &transfer->receiver;
    receiver->ended_peer = receiver->peer;
    receiver->ended_term = receiver->term;
    receiver->ended_sequence = receiver->sequence;
    receiver->ended_offset = receiver->staged;
    receiver->ended_status = status;
    receiver_forget(receiver);
    send_ack(transfer, receiver->ended_peer, receiver->ended_term, receiver->ended_sequence, receiver->ended_offset,
             status);
}

static bool is_current(const struct receiver *receiver, uint64_t peer, uint64_t term, uint64_t sequence)
{
    return receiver->state != RECEIVER_IDLE && peer == receiver->peer && term == receiver->term &&
           sequence == receiver->sequence;
}

/* The sender has not heard how its transfer ended: it is told again. */
static bool answered_as_ended(struct snapshot_transfer *transfer, uint64_t peer, uint64_t term, uint64_t sequence)
{
    const struct receiver *receiver = &transfer->receiver;
    if (receiver->ended_status == 0 || peer != receiver->ended_peer || term != receiver->ended_term ||
        sequence != receiver->ended_sequence)
        return false;
    send_ack(transfer, peer, term, sequence, receiver->ended_offset, receiver->ended_status);
    return true;
}

/* Next in line for the helper thread: a waiting chunk, or the check of the whole. */
static void receiver_work(struct snapshot_transfer *transfer)
{
    struct receiver *receiver = &transfer->receiver;
    if (receiver->state != RECEIVER_STAGING || receiver->busy)
        return;
    if (receiver->waiting_count > 0) {
        const struct chunk *chunk = &receiver->waiting[0];
        receiver->busy = true;
        transfer->ports.stage_chunk(transfer->ports.context, chunk->offset,
                                    (struct span){chunk->data, chunk->size_bytes});
    } else if (receiver->staged == receiver->size_bytes) {
        receiver->state = RECEIVER_VERIFYING;
        receiver->busy = true;
        transfer->ports.verify(transfer->ports.context);
    }
}

static void take_begin(struct snapshot_transfer *transfer, uint64_t peer, struct span body)
{
    struct receiver *receiver = &transfer->receiver;
    struct wire_reader reader = wire_reader(body);
    uint64_t term = wire_read_u64(&reader), sequence = wire_read_u64(&reader), index = wire_read_u64(&reader);
    uint64_t size_bytes = wire_read_u64(&reader);
    if (reader.failed || index == 0 || size_bytes == 0 || size_bytes > SNAPSHOT_SIZE_BYTES_MAX)
        return;
    if (is_current(receiver, peer, term, sequence)) {
        receiver->heard_ms = now_ms(transfer);
        ack_progress(transfer);
        return;
    }
    if (answered_as_ended(transfer, peer, term, sequence))
        return;
    /* An older leader's, or one of this leader's that it has given up since. */
    if (receiver->state != RECEIVER_IDLE &&
        (term < receiver->term || (term == receiver->term && peer == receiver->peer && sequence < receiver->sequence)))
        return;
    receiver_forget(receiver);
    receiver->state = RECEIVER_STAGING;
    receiver->peer = peer;
    receiver->term = term;
    receiver->sequence = sequence;
    receiver->size_bytes = size_bytes;
    receiver->staged = 0;
    receiver->accepted = 0;
    receiver->heard_ms = now_ms(transfer);
    ack_progress(transfer);
}

static void take_chunk(struct snapshot_transfer *transfer, uint64_t peer, struct span body)
{
    struct receiver *receiver = &transfer->receiver;
    struct wire_reader reader = wire_reader(body);
    uint64_t term = wire_read_u64(&reader), sequence = wire_read_u64(&reader), offset = wire_read_u64(&reader);
    if (reader.failed || answered_as_ended(transfer, peer, term, sequence))
        return;
    if (!is_current(receiver, peer, term, sequence)) {
        if (receiver->state == RECEIVER_IDLE)
            send_ack(transfer, peer, term, sequence, 0, ACK_UNKNOWN);
        return;
    }
    receiver->heard_ms = now_ms(transfer);
    if (offset < receiver->accepted)
        return; /* twice: the acknowledgement of the first is on its way, or will be */
    if (offset > receiver->accepted || receiver->waiting_count == SNAPSHOT_WINDOW_CHUNKS) {
        /* What waits will be acknowledged when it is staged; if nothing does, the sender would not learn of the gap. */
        if (receiver->waiting_count == 0)
            ack_progress(transfer);
        return;
    }
    if (offset == receiver->size_bytes || reader.left != chunk_size_bytes_at(offset, receiver->size_bytes))
        return;
    struct chunk chunk = {offset, (uint32_t)reader.left, malloc(reader.left)};
    if (!chunk.data)
        abort();
    memcpy(chunk.data, reader.at, reader.left);
    receiver->waiting[receiver->waiting_count++] = chunk;
    receiver->accepted += chunk.size_bytes;
    receiver_work(transfer);
}

/* True when the report is of the transfer that is under way. */
static bool report_is_current(struct snapshot_transfer *transfer)
{
    struct receiver *receiver = &transfer->receiver;
    assert(receiver->busy);
    receiver->busy = false;
    if (!receiver->stale)
        return true;
    receiver->stale = false;
    receiver_work(transfer);
    return false;
}

void snapshot_transfer_chunk_staged(struct snapshot_transfer *transfer, uint64_t offset, bool ok)
{
    struct receiver *receiver = &transfer->receiver;
    if (!report_is_current(transfer))
        return;
    assert(receiver->state == RECEIVER_STAGING && receiver->waiting_count > 0 &&
           offset == receiver->waiting[0].offset && offset == receiver->staged);
    if (!ok) {
        receiver_end(transfer, ACK_FAILED);
        return;
    }
    receiver->staged += receiver->waiting[0].size_bytes;
    free(receiver->waiting[0].data);
    receiver->waiting_count--;
    memmove(receiver->waiting, receiver->waiting + 1, receiver->waiting_count * sizeof receiver->waiting[0]);
    receiver_work(transfer);
    ack_progress(transfer);
}

void snapshot_transfer_verified(struct snapshot_transfer *transfer, bool ok, const struct driver_position *position)
{
    struct receiver *receiver = &transfer->receiver;
    if (!report_is_current(transfer))
        return;
    assert(receiver->state == RECEIVER_VERIFYING && (!ok || position));
    uint64_t peer = receiver->peer, term = receiver->term;
    receiver_end(transfer, ok ? ACK_DONE : ACK_FAILED);
    if (ok)
        transfer->ports.ready(transfer->ports.context, peer, term, position);
}

/* A sender that went silent is not waited for; what is busy ends by itself. */
static void receiver_tick(struct snapshot_transfer *transfer)
{
    struct receiver *receiver = &transfer->receiver;
    if (receiver->state == RECEIVER_STAGING && !receiver->busy &&
        now_ms(transfer) - receiver->heard_ms >= SNAPSHOT_STALL_MS)
        receiver_forget(receiver);
}

bool snapshot_transfer_receiving(const struct snapshot_transfer *transfer)
{
    return transfer->receiver.state != RECEIVER_IDLE;
}

/* ---- both ---- */

void snapshot_transfer_frame(struct snapshot_transfer *transfer, uint64_t peer, enum frame_type type, struct span body)
{
    if (type == FRAME_SNAPSHOT_BEGIN)
        take_begin(transfer, peer, body);
    else if (type == FRAME_SNAPSHOT_CHUNK)
        take_chunk(transfer, peer, body);
    else if (type == FRAME_SNAPSHOT_ACK)
        take_ack(transfer, peer, body);
}

void snapshot_transfer_tick(struct snapshot_transfer *transfer)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        slot_tick(transfer, &transfer->sender.slots[i]);
    receiver_tick(transfer);
}
