/* Numbers from a seed: splitmix64. The same seed gives the same run on every machine. */
#ifndef TESTS_CRASH_CHANCE_H
#define TESTS_CRASH_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

static inline uint64_t chance_next(struct chance *chance)
{
    uint64_t z = chance->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 to count - 1. */
static inline uint64_t chance_below(struct chance *chance, uint64_t count)
{
    return chance_next(chance) % count;
}

static inline bool chance_one_in(struct chance *chance, uint64_t count)
{
    return chance_below(chance, count) == 0;
}

/* A stream of its own for each (seed, a, b). */
static inline struct chance chance_of(uint64_t seed, uint64_t a, uint64_t b)
{
    struct chance chance = {seed};
    chance.state = chance_next(&chance) ^ a;
    chance.state = chance_next(&chance) ^ b;
    return chance;
}

/* FNV-1a, 64 bits: what tells two contents apart. Begins with DIGEST_START. */
#define DIGEST_START 0xcbf29ce484222325u
static inline uint64_t digest_add(uint64_t digest, const void *data, uint64_t size_bytes)
{
    const uint8_t *bytes = data;
    for (uint64_t i = 0; i < size_bytes; i++) {
        digest = (digest ^ bytes[i]) * 0x100000001b3u;
    }
    return digest;
}

#endif
