/* Zone files of the system. */
#include "node/host/zones.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONES_DIR "/usr/share/zoneinfo"

static struct zone *zone_of_file(int file)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > ZONE_FILE_SIZE_BYTES_MAX) {
        return NULL;
    }
    uint8_t *bytes = malloc(ZONE_FILE_SIZE_BYTES_MAX);
    if (bytes == NULL) {
        abort();
    }
    size_t size_bytes = 0;
    ssize_t got;
    while ((got = read(file, bytes + size_bytes, ZONE_FILE_SIZE_BYTES_MAX - size_bytes)) > 0) {
        size_bytes += (size_t)got;
    }
    struct zone *zone = got == 0 ? zone_new((struct span){.data = bytes, .size_bytes = size_bytes}) : NULL;
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
