/* Ids as people and clients see them: in API answers, messages and logs, so that all spell them alike. */
#ifndef CONSENSUS_MACHINE_BASE_IDS_H
#define CONSENSUS_MACHINE_BASE_IDS_H

#include <stdint.h>

/* "P" and at least six digits of base 32 (0-9 A-Z without I L O U). `out` has 16 bytes. */
void id_format(uint64_t id, char out[16]);

/* 0 when the text is not an id. Lower case is accepted. */
uint64_t id_parse(const char *text);

#endif
