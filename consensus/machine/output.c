/* What applying brings about, collected. */
#include "consensus/machine/output.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/arena.h"

void machine_output_init(struct machine_output *output)
{
    *output = (struct machine_output){.next_deadline_ms = UINT64_MAX};
}

void machine_output_reset(struct machine_output *output)
{
    blocks_reset(&output->blocks);
    output->replies_count = 0;
    output->sends_count = 0;
    output->commands_applied = 0;
}

void machine_output_close(struct machine_output *output)
{
    blocks_free(&output->blocks);
    free(output->replies);
    free(output->sends);
    machine_output_init(output);
}

struct span output_pack(struct machine_output *output, const ProtobufCMessage *message)
{
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = blocks_take(&output->blocks, size_bytes);
    protobuf_c_message_pack(message, packed);
    return (struct span){.data = packed, .size_bytes = size_bytes};
}

struct span output_copy(struct machine_output *output, struct span bytes)
{
    void *copy = blocks_take(&output->blocks, bytes.size_bytes);
    if (bytes.size_bytes > 0) {
        memcpy(copy, bytes.data, bytes.size_bytes);
    }
    return (struct span){.data = copy, .size_bytes = bytes.size_bytes};
}

/* Room for one more element of an array. */
static void *grow(void *array, size_t count, size_t *capacity, size_t element_size_bytes)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    void *grown = reallocarray(array, *capacity, element_size_bytes);
    if (grown == NULL) {
        abort();
    }
    return grown;
}

void output_reply(struct machine_output *output, const Tocsin__Origin *origin, bool repeated, struct span packed)
{
    output->replies = grow(output->replies, output->replies_count, &output->replies_capacity, sizeof *output->replies);
    output->replies[output->replies_count++] = (struct machine_reply){.node = origin->node,
                                                                      .boot = origin->boot,
                                                                      .sequence = origin->sequence,
                                                                      .repeated = repeated,
                                                                      .packed = packed};
}

void output_send(struct machine_output *output, const Tocsin__Notification *notification)
{
    assert(notification->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED);
    output->sends = grow(output->sends, output->sends_count, &output->sends_capacity, sizeof *output->sends);
    output->sends[output->sends_count++] = (struct machine_send){.claim_node = notification->claim_node,
                                                                 .claim_boot = notification->claim_boot,
                                                                 .claim_term = notification->claim_term,
                                                                 .claim_boottime_ms = notification->claim_boottime_ms,
                                                                 .packed = output_pack(output, &notification->base)};
}
