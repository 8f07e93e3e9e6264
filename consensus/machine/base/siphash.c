/* SipHash-2-4-128: two rounds for each eight bytes of the message, four rounds before each half of the result. */
#include "consensus/machine/base/siphash.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t read_little_endian(const uint8_t *bytes, size_t size_bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static void write_little_endian(uint8_t *bytes, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static void sip_rounds(struct sip *sip, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        sip->v0 += sip->v1;
        sip->v1 = rotate_left(sip->v1, 13) ^ sip->v0;
        sip->v0 = rotate_left(sip->v0, 32);
        sip->v2 += sip->v3;
        sip->v3 = rotate_left(sip->v3, 16) ^ sip->v2;
        sip->v0 += sip->v3;
        sip->v3 = rotate_left(sip->v3, 21) ^ sip->v0;
        sip->v2 += sip->v1;
        sip->v1 = rotate_left(sip->v1, 17) ^ sip->v2;
        sip->v2 = rotate_left(sip->v2, 32);
    }
}

static void sip_word(struct sip *sip, uint64_t word)
{
    sip->v3 ^= word;
    sip_rounds(sip, 2);
    sip->v0 ^= word;
}

static uint64_t sip_result(struct sip *sip)
{
    sip_rounds(sip, 4);
    return sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
}

void siphash(const uint8_t key[16], const void *data, size_t size_bytes, uint8_t hash[SIPHASH_SIZE_BYTES])
{
    uint64_t k0 = read_little_endian(key, 8);
    uint64_t k1 = read_little_endian(key + 8, 8);
    /* "somepseudorandomlygeneratedbytes"; the 0xee tells the 128-bit variant from the 64-bit one. */
    struct sip sip = {.v0 = k0 ^ 0x736f6d6570736575u,
                      .v1 = k1 ^ 0x646f72616e646f6du ^ 0xee,
                      .v2 = k0 ^ 0x6c7967656e657261u,
                      .v3 = k1 ^ 0x7465646279746573u};
    const uint8_t *bytes = data;
    size_t whole = size_bytes / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) {
        sip_word(&sip, read_little_endian(bytes + i, 8));
    }
    /* The last word: what is left of the message, and the message's size modulo 256 in the highest byte. */
    uint64_t rest = size_bytes > whole ? read_little_endian(bytes + whole, size_bytes - whole) : 0;
    sip_word(&sip, rest | (uint64_t)size_bytes << 56);
    sip.v2 ^= 0xee;
    write_little_endian(hash, sip_result(&sip));
    sip.v1 ^= 0xdd;
    write_little_endian(hash + 8, sip_result(&sip));
}
