/* CRC32C: the processor's instruction, or a table of 256 made before main. */
#include "consensus/machine/base/crc32c.h"

#include <string.h>

#define POLYNOMIAL_REFLECTED 0x82f63b78u

static uint32_t table[256];

__attribute__((constructor)) static void make_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) ? POLYNOMIAL_REFLECTED : 0);
        }
        table[byte] = crc;
    }
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size_bytes)
{
    const uint8_t *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < size_bytes; i++) {
        crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >> 8);
    }
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t size_bytes)
{
    const uint8_t *bytes = data;
    uint64_t wide = ~crc;
    for (; size_bytes >= 8; size_bytes -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    uint32_t narrow = (uint32_t)wide;
    for (; size_bytes > 0; size_bytes--, bytes++) {
        narrow = __builtin_ia32_crc32qi(narrow, *bytes);
    }
    return ~narrow;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size_bytes)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data, size_bytes)
                                            : crc32c_portable(crc, data, size_bytes);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t size_bytes)
{
    return crc32c_portable(crc, data, size_bytes);
}

#endif
