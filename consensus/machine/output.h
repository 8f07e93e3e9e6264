/* Inside the machine: how applying fills its machine_output. */
#ifndef CONSENSUS_MACHINE_OUTPUT_H
#define CONSENSUS_MACHINE_OUTPUT_H

#include "consensus/machine/machine.h"

/* Packs `message` into memory of the output. */
struct span output_pack(struct machine_output *output, const ProtobufCMessage *message);

/* The bytes, copied into memory of the output. */
struct span output_copy(struct machine_output *output, struct span bytes);

/* Adds a reply. `packed` belongs to the output already; empty when `repeated`. */
void output_reply(struct machine_output *output, const Tocsin__Origin *origin, bool repeated, struct span packed);

/* Adds a claimed notification as work for its claimant. */
void output_send(struct machine_output *output, const Tocsin__Notification *notification);

#endif
