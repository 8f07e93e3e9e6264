/* Numbers in files: little-endian, at any alignment. */
#ifndef STORAGE_BYTES_H
#define STORAGE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void put_u32(uint8_t *to, uint32_t number)
{
    uint32_t little = htole32(number);
    memcpy(to, &little, sizeof little);
}

static inline void put_u64(uint8_t *to, uint64_t number)
{
    uint64_t little = htole64(number);
    memcpy(to, &little, sizeof little);
}

static inline uint32_t get_u32(const uint8_t *from)
{
    uint32_t little;
    memcpy(&little, from, sizeof little);
    return le32toh(little);
}

static inline uint64_t get_u64(const uint8_t *from)
{
    uint64_t little;
    memcpy(&little, from, sizeof little);
    return le64toh(little);
}

#endif
