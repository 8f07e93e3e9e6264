/*
 * Any bytes as a log entry: decoded or refused as a whole, and never the end of the process. The entry is what a peer
 * sent or a disk kept, its checksum right.
 */
#include "tests/fuzz/input.h"
#include "tests/fuzz/world.h"

/* The cluster clock stamps nothing beyond the year 9999. */
#define STAMP_MS_MAX 253402300799999u

/* Entries one after the other, each behind its size in two bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct machine_fixture *world = world_new();
    struct fuzz_input input = fuzz_input(data, size_bytes);

    world->unchecked = true; /* what is in it came through no door */
    while (input.left > 0) {
        struct span bytes = fuzz_bytes(&input, (size_t)fuzz_number(&input, 2));
        Tocsin__Entry *entry = tocsin__entry__unpack(NULL, bytes.size_bytes, bytes.data);
        bool stamped = entry == NULL || entry->time_ms <= STAMP_MS_MAX;
        if (entry != NULL) {
            tocsin__entry__free_unpacked(entry, NULL);
        }
        if (!stamped || world_apply(world, bytes.data, bytes.size_bytes) != MACHINE_OK) {
            break;
        }
    }
    world_free(world);
    return 0;
}
