/* SipHash-2-4 with 128 bits of output: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", 2012. */
#ifndef CONSENSUS_MACHINE_BASE_SIPHASH_H
#define CONSENSUS_MACHINE_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_SIZE_BYTES 16u

/* Writes the hash of `size_bytes` bytes at `data` under `key` to `hash`. */
void siphash(const uint8_t key[16], const void *data, size_t size_bytes, uint8_t hash[SIPHASH_SIZE_BYTES]);

#endif
