/* CRC32C (Castagnoli), the checksum of iSCSI (RFC 3720, appendix B.4): with the processor's instruction where it has
 * one. */
#ifndef CONSENSUS_MACHINE_BASE_CRC32C_H
#define CONSENSUS_MACHINE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Begins with crc 0; the checksum of a and b together is crc32c(crc32c(0, a), b). */
uint32_t crc32c(uint32_t crc, const void *data, size_t size_bytes);

/* The same without the instruction, for processors that lack it. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size_bytes);

#endif
