/* Zone files of the system. */
#include "node/host/zones.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consensus/machine/base/siphash.h"

#define ZONES_DIR "/usr/share/zoneinfo"
/* What the files were compiled from, and its version: about 110 KB. */
#define ZONES_SOURCE ZONES_DIR "/tzdata.zi"
#define ZONES_SOURCE_SIZE_BYTES_MAX (1u << 20)

/* The whole of a regular file, the caller's; NULL when it is none, or larger. */
static uint8_t *read_whole(int file, size_t size_bytes_max, size_t *size_bytes)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || (uint64_t)status.st_size > size_bytes_max) {
        return NULL;
    }
    uint8_t *bytes = malloc(size_bytes_max);
    if (bytes == NULL) {
        abort();
    }
    *size_bytes = 0;
    ssize_t got;
    while ((got = read(file, bytes + *size_bytes, size_bytes_max - *size_bytes)) > 0) {
        *size_bytes += (size_t)got;
    }
    if (got == 0) {
        return bytes;
    }
    free(bytes);
    return NULL;
}

static struct zone *zone_of_file(int file)
{
    size_t size_bytes;
    uint8_t *bytes = read_whole(file, ZONE_FILE_SIZE_BYTES_MAX, &size_bytes);
    struct zone *zone = bytes != NULL ? zone_new((struct span){.data = bytes, .size_bytes = size_bytes}) : NULL;
    free(bytes);
    return zone;
}

struct zone *zones_load(const char *name)
{
    char path[sizeof ZONES_DIR + ZONE_NAME_CHARACTERS_MAX + 2];
    if (!zone_name_is_sane(name)) {
        return NULL; /* no name leaves the folder: there are no dots in it */
    }
    (void)snprintf(path, sizeof path, ZONES_DIR "/%s", name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return NULL;
    }
    struct zone *zone = zone_of_file(file);
    close(file);
    return zone;
}

uint64_t zones_hash(void)
{
    static const uint8_t key[16];
    int file = open(ZONES_SOURCE, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    size_t size_bytes;
    uint8_t *bytes = read_whole(file, ZONES_SOURCE_SIZE_BYTES_MAX, &size_bytes);
    close(file);
    uint64_t value = 0;
    if (bytes != NULL) {
        uint8_t hash[SIPHASH_SIZE_BYTES];
        siphash(key, bytes, size_bytes, hash);
        memcpy(&value, hash, sizeof value);
        value |= 1;
    }
    free(bytes);
    return value;
}
