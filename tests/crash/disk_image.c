/* What a power cut may leave. */
#include "tests/crash/disk_image.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consensus/machine/base/crc32c.h"

#define NAMES_MAX 32u
#define FOLDERS_MAX 16u
#define LOCK_SIZE_BYTES 8192u
#define PATH_MAX_BYTES 768u

const char *const cut_kind_names[CUT_KINDS] = {
    [CUT_NOTHING] = "nothing of what was not synced", [CUT_ALL] = "all of it",
    [CUT_PREFIX] = "its beginning",                   [CUT_SUBSET] = "any part, in any order",
    [CUT_TORN] = "one write torn between sectors",    [CUT_GROWN] = "a file grown by zeros",
};

struct name {
    char name[DISK_NAME_SIZE_BYTES];
    unsigned number; /* of the file or folder */
    bool is_folder;
};

struct folder {
    struct name names[NAMES_MAX];
    unsigned count;
};

struct bytes {
    uint8_t *data;
    uint64_t size_bytes, capacity;
};

/* What becomes of one pending event. */
enum fate_kind { FATE_LOST, FATE_KEPT, FATE_FIRST_SECTORS, FATE_SOME_SECTORS, FATE_ZEROS };
struct fate {
    enum fate_kind kind;
    uint64_t sectors;     /* FATE_FIRST_SECTORS: how many */
    struct chance chance; /* FATE_SOME_SECTORS: which */
};

struct disk_image {
    const struct recording *recording;
    struct disk_lies lies;
    size_t next; /* event */
    unsigned *moved; /* by event: the file that a rename moved */
    struct folder durable_names[FOLDERS_MAX], live_names[FOLDERS_MAX];
    struct bytes *durable; /* by file */
    char (*names)[DISK_NAME_SIZE_BYTES]; /* by file: the last that it had */
    size_t *pending;       /* events, in their order */
    size_t pending_count;
    /* What disk_image_cut decided. */
    struct fate *fates; /* by place in `pending` */
    struct folder left_names[FOLDERS_MAX];
    struct bytes *left; /* by file; filled for those that have a name */
    struct chance garbage;
};

static void *must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

/* ---- bytes */

static void bytes_resize(struct bytes *bytes, uint64_t size_bytes)
{
    if (size_bytes > bytes->capacity) {
        bytes->capacity = size_bytes + size_bytes / 2;
        bytes->data = must(realloc(bytes->data, bytes->capacity));
    }
    if (size_bytes > bytes->size_bytes) {
        memset(bytes->data + bytes->size_bytes, 0, size_bytes - bytes->size_bytes);
    }
    bytes->size_bytes = size_bytes;
}

static void bytes_put(struct bytes *bytes, uint64_t offset, const void *data, uint64_t size_bytes)
{
    if (size_bytes == 0) {
        return;
    }
    if (offset + size_bytes > bytes->size_bytes) {
        bytes_resize(bytes, offset + size_bytes);
    }
    memcpy(bytes->data + offset, data, size_bytes);
}

static uint64_t sectors_of(const struct disk_event *write)
{
    return (write->offset + write->size_bytes - 1) / SECTOR_SIZE_BYTES - write->offset / SECTOR_SIZE_BYTES + 1;
}

static void put_sectors(struct bytes *bytes, const struct disk_event *write, struct fate fate)
{
    uint64_t from = write->offset;
    for (uint64_t i = 0; i < sectors_of(write); i++) {
        uint64_t sector_end = (write->offset / SECTOR_SIZE_BYTES + i + 1) * SECTOR_SIZE_BYTES;
        uint64_t write_end = write->offset + write->size_bytes;
        uint64_t to = sector_end < write_end ? sector_end : write_end;
        bool kept = fate.kind == FATE_FIRST_SECTORS ? i < fate.sectors : chance_one_in(&fate.chance, 2);
        if (kept) {
            bytes_put(bytes, from, write->data + (from - write->offset), to - from);
        }
        from = to;
    }
}

static void apply_to_file(struct bytes *bytes, const struct disk_event *event, struct fate fate)
{
    if (event->kind == DISK_TRUNCATE) {
        if (fate.kind == FATE_KEPT) {
            bytes_resize(bytes, event->size_bytes);
        }
        return;
    }
    switch (fate.kind) {
    case FATE_LOST:
        break;
    case FATE_KEPT:
        bytes_put(bytes, event->offset, event->data, event->size_bytes);
        break;
    case FATE_FIRST_SECTORS:
    case FATE_SOME_SECTORS:
        put_sectors(bytes, event, fate);
        break;
    case FATE_ZEROS:
        if (event->offset + event->size_bytes > bytes->size_bytes) {
            bytes_resize(bytes, event->offset + event->size_bytes);
        }
        break;
    }
}

/* ---- names */

static struct name *name_find(struct folder *folder, const char *name)
{
    for (unsigned i = 0; i < folder->count; i++) {
        if (strcmp(folder->names[i].name, name) == 0) {
            return &folder->names[i];
        }
    }
    return NULL;
}

static void name_set(struct folder *folder, const char *name, unsigned number, bool is_folder)
{
    struct name *row = name_find(folder, name);
    if (!row) {
        assert(folder->count < NAMES_MAX);
        row = &folder->names[folder->count++];
        memcpy(row->name, name, strlen(name) + 1);
    }
    row->number = number;
    row->is_folder = is_folder;
}

static void name_remove(struct folder *folder, const char *name)
{
    struct name *row = name_find(folder, name);
    if (row) {
        *row = folder->names[--folder->count];
    }
}

static void apply_to_names(const struct disk_image *image, struct folder *folders, size_t number)
{
    const struct disk_event *event = &image->recording->events[number];
    struct folder *folder = &folders[event->folder];
    switch (event->kind) {
    case DISK_CREATE:
        name_set(folder, event->name, event->file, false);
        break;
    case DISK_FOLDER_MAKE:
        name_set(folder, event->name, event->made, true);
        break;
    case DISK_UNLINK:
        name_remove(folder, event->name);
        break;
    default: {
        assert(event->kind == DISK_RENAME);
        const struct name *from = name_find(folder, event->name);
        if (from && from->number == image->moved[number]) {
            name_remove(folder, event->name);
        }
        name_set(folder, event->to_name, image->moved[number], false);
    }
    }
}

/* ---- going on */

static bool is_of_file(const struct disk_event *event)
{
    return event->kind == DISK_WRITE || event->kind == DISK_TRUNCATE;
}

/* Makes those pending events durable that a sync covers: of a file, before event `since`; of a folder; or one alone. */
static void make_durable(struct disk_image *image, bool of_file, unsigned which, size_t first, size_t since)
{
    size_t kept = 0;
    for (size_t i = 0; i < image->pending_count; i++) {
        size_t number = image->pending[i];
        const struct disk_event *event = &image->recording->events[number];
        bool covered = is_of_file(event) == of_file && (of_file ? event->file : event->folder) == which &&
                       number >= first && number < since;
        if (!covered) {
            image->pending[kept++] = number;
        } else if (of_file) {
            apply_to_file(&image->durable[event->file], event, (struct fate){.kind = FATE_KEPT});
        } else {
            apply_to_names(image, image->durable_names, number);
        }
    }
    image->pending_count = kept;
}

static void go_over_name(struct disk_image *image, size_t number)
{
    const struct disk_event *event = &image->recording->events[number];
    if (event->kind == DISK_RENAME) {
        const struct name *from = name_find(&image->live_names[event->folder], event->name);
        assert(from && !from->is_folder);
        image->moved[number] = from->number;
        memcpy(image->names[from->number], event->to_name, DISK_NAME_SIZE_BYTES);
    } else if (event->kind == DISK_CREATE) {
        memcpy(image->names[event->file], event->name, DISK_NAME_SIZE_BYTES);
    }
    apply_to_names(image, image->live_names, number);
    image->pending[image->pending_count++] = number;
}

static bool is_deaf(const struct disk_image *image, unsigned file)
{
    return image->lies.deaf_file && strcmp(image->names[file], image->lies.deaf_file) == 0;
}

static void go_over(struct disk_image *image, size_t number)
{
    const struct disk_event *event = &image->recording->events[number];
    switch (event->kind) {
    case DISK_WRITE:
    case DISK_TRUNCATE:
        image->pending[image->pending_count++] = number;
        break;
    case DISK_WRITE_DURABLE:
        make_durable(image, true, event->file, event->since, event->since + 1);
        break;
    case DISK_SYNC_ENDED:
        if (!is_deaf(image, event->file)) {
            make_durable(image, true, event->file, 0, event->since);
        }
        break;
    case DISK_FOLDER_SYNC:
        if (!image->lies.deaf_folders) {
            make_durable(image, false, event->folder, 0, number);
        }
        break;
    case DISK_CREATE:
    case DISK_FOLDER_MAKE:
    case DISK_RENAME:
    case DISK_UNLINK:
        go_over_name(image, number);
        break;
    case DISK_SYNC_BEGINS:
    case DISK_NOTE:
        break;
    }
}

void disk_image_advance(struct disk_image *image, size_t to)
{
    assert(to >= image->next && to <= image->recording->events_count);
    while (image->next < to) {
        go_over(image, image->next++);
    }
}

size_t disk_image_pending(const struct disk_image *image)
{
    return image->pending_count;
}

struct disk_image *disk_image_new(const struct recording *recording, struct disk_lies lies)
{
    struct disk_image *image = must(calloc(1, sizeof *image));
    size_t events = recording->events_count + 1, files = recording->files_count + 1u;
    assert(recording->folders_count <= FOLDERS_MAX);
    image->recording = recording;
    image->lies = lies;
    image->moved = must(calloc(events, sizeof *image->moved));
    image->pending = must(calloc(events, sizeof *image->pending));
    image->fates = must(calloc(events, sizeof *image->fates));
    image->durable = must(calloc(files, sizeof *image->durable));
    image->left = must(calloc(files, sizeof *image->left));
    image->names = must(calloc(files, sizeof *image->names));
    for (size_t i = 0; i < recording->bases_count; i++) {
        const struct disk_base *base = &recording->bases[i];
        name_set(&image->durable_names[base->folder], base->name, base->number, base->is_folder);
        if (!base->is_folder) {
            bytes_put(&image->durable[base->number], 0, base->data, base->size_bytes);
            memcpy(image->names[base->number], base->name, DISK_NAME_SIZE_BYTES);
        }
    }
    memcpy(image->live_names, image->durable_names, sizeof image->live_names);
    return image;
}

void disk_image_free(struct disk_image *image)
{
    for (unsigned file = 0; file < image->recording->files_count; file++) {
        free(image->durable[file].data);
        free(image->left[file].data);
    }
    free(image->moved);
    free(image->pending);
    free(image->fates);
    free(image->durable);
    free(image->left);
    free(image->names);
    free(image);
}

/* ---- what is left */

/* Each by a coin that is loaded one way or the other; names also as journals keep them, in their order. */
static void decide_any(struct disk_image *image, struct chance *chance)
{
    uint64_t of = 8, kept_below = 1 + chance_below(chance, 7);
    bool in_order = chance_one_in(chance, 2);
    size_t names_until = chance_below(chance, image->pending_count + 1);
    for (size_t i = 0; i < image->pending_count; i++) {
        bool kept = chance_below(chance, of) < kept_below;
        if (in_order && !is_of_file(&image->recording->events[image->pending[i]])) {
            kept = i < names_until;
        }
        image->fates[i].kind = kept ? FATE_KEPT : FATE_LOST;
    }
}

static bool can_be_torn(const struct disk_image *image, size_t place)
{
    const struct disk_event *event = &image->recording->events[image->pending[place]];
    return event->kind == DISK_WRITE && sectors_of(event) > 1;
}

static bool can_grow(const struct disk_image *image, size_t place)
{
    const struct disk_event *event = &image->recording->events[image->pending[place]];
    return event->kind == DISK_WRITE && event->offset + event->size_bytes > image->durable[event->file].size_bytes;
}

/* The place of one pending event of that sort, SIZE_MAX when there is none. */
static size_t pick(const struct disk_image *image, bool (*fits)(const struct disk_image *, size_t),
                   struct chance *chance)
{
    size_t picked = SIZE_MAX, seen = 0;
    for (size_t i = 0; i < image->pending_count; i++) {
        if (fits(image, i) && chance_one_in(chance, ++seen)) {
            picked = i;
        }
    }
    return picked;
}

static bool decide_torn(struct disk_image *image, struct chance *chance)
{
    size_t torn = pick(image, can_be_torn, chance);
    if (torn == SIZE_MAX) {
        return false;
    }
    if (chance_one_in(chance, 2)) {
        decide_any(image, chance);
    } else {
        for (size_t i = 0; i < image->pending_count; i++) {
            image->fates[i].kind = i < torn ? FATE_KEPT : FATE_LOST;
        }
    }
    uint64_t sectors = sectors_of(&image->recording->events[image->pending[torn]]);
    image->fates[torn] = (struct fate){.kind = chance_one_in(chance, 2) ? FATE_FIRST_SECTORS : FATE_SOME_SECTORS,
                                       .sectors = 1 + chance_below(chance, sectors - 1),
                                       .chance = {chance_next(chance)}};
    return true;
}

static bool decide_grown(struct disk_image *image, struct chance *chance)
{
    size_t grown = pick(image, can_grow, chance);
    if (grown == SIZE_MAX) {
        return false;
    }
    decide_any(image, chance);
    image->fates[grown].kind = FATE_ZEROS;
    for (size_t i = 0; i < image->pending_count; i++) {
        if (image->fates[i].kind == FATE_LOST && can_grow(image, i) && chance_one_in(chance, 2)) {
            image->fates[i].kind = FATE_ZEROS;
        }
    }
    return true;
}

static bool decide(struct disk_image *image, enum cut_kind kind, struct chance *chance)
{
    size_t kept = 0;
    switch (kind) {
    case CUT_NOTHING:
        break;
    case CUT_ALL:
        kept = image->pending_count;
        break;
    case CUT_PREFIX:
        if (image->pending_count < 2) {
            return false;
        }
        kept = 1 + chance_below(chance, image->pending_count - 1);
        break;
    case CUT_SUBSET:
        if (image->pending_count < 2) {
            return false;
        }
        decide_any(image, chance);
        return true;
    case CUT_TORN:
        return decide_torn(image, chance);
    case CUT_GROWN:
        return decide_grown(image, chance);
    case CUT_KINDS:
        abort();
    }
    for (size_t i = 0; i < image->pending_count; i++) {
        image->fates[i].kind = i < kept ? FATE_KEPT : FATE_LOST;
    }
    return true;
}

static void build(struct disk_image *image)
{
    memcpy(image->left_names, image->durable_names, sizeof image->left_names);
    for (size_t i = 0; i < image->pending_count; i++) {
        if (!is_of_file(&image->recording->events[image->pending[i]]) && image->fates[i].kind == FATE_KEPT) {
            apply_to_names(image, image->left_names, image->pending[i]);
        }
    }
    for (unsigned file = 0; file < image->recording->files_count; file++) {
        const struct bytes *durable = &image->durable[file];
        struct bytes *left = &image->left[file];
        left->size_bytes = 0;
        if (durable->size_bytes > 0) {
            bytes_put(left, 0, durable->data, durable->size_bytes);
        }
    }
    for (size_t i = 0; i < image->pending_count; i++) {
        const struct disk_event *event = &image->recording->events[image->pending[i]];
        if (is_of_file(event)) {
            apply_to_file(&image->left[event->file], event, image->fates[i]);
        }
    }
}

bool disk_image_cut(struct disk_image *image, enum cut_kind kind, struct chance *chance)
{
    memset(image->fates, 0, image->pending_count * sizeof *image->fates);
    if (!decide(image, kind, chance)) {
        return false;
    }
    image->garbage = (struct chance){chance_next(chance)};
    build(image);
    return true;
}

/* Goes through what is left, folders before what is in them. */
static void walk(struct disk_image *image, unsigned folder, const char *path,
                 void (*on_row)(void *context, struct disk_image *image, const struct name *row, const char *path),
                 void *context)
{
    const struct folder *names = &image->left_names[folder];
    for (unsigned i = 0; i < names->count; i++) {
        char row_path[PATH_MAX_BYTES];
        int size = snprintf(row_path, sizeof row_path, "%s/%s", path, names->names[i].name);
        assert(size > 0 && (size_t)size < sizeof row_path);
        on_row(context, image, &names->names[i], row_path);
        if (names->names[i].is_folder) {
            walk(image, names->names[i].number, row_path, on_row, context);
        }
    }
}

/* Each row has its own share, so that the order of rows does not matter. */
static void row_digest(void *context, struct disk_image *image, const struct name *row, const char *path)
{
    uint64_t *digest = context;
    if (row->is_folder || is_lock_file(row->name)) {
        return;
    }
    const struct bytes *left = &image->left[row->number];
    uint64_t parts[] = {left->size_bytes, left->size_bytes ? crc32c(0, left->data, left->size_bytes) : 0};
    *digest += digest_add(digest_add(DIGEST_START, path, strlen(path)), parts, sizeof parts);
}

uint64_t disk_image_digest(struct disk_image *image)
{
    uint64_t digest = 0;
    walk(image, 0, "", row_digest, &digest);
    return digest;
}

/* LMDB's lock file: what is in it after a cut is anybody's guess. */
static void write_garbage(int fd, struct chance *chance)
{
    uint8_t page[LOCK_SIZE_BYTES];
    size_t size_bytes = chance_one_in(chance, 3) ? 0 : sizeof page;
    bool zeros = chance_one_in(chance, 2);
    for (size_t i = 0; i < size_bytes; i++) {
        page[i] = zeros ? 0 : (uint8_t)chance_next(chance);
    }
    if (write(fd, page, size_bytes) != (ssize_t)size_bytes) {
        abort();
    }
}

static void row_write(void *context, struct disk_image *image, const struct name *row, const char *path)
{
    (void)context;
    if (row->is_folder) {
        if (mkdir(path, 0700) != 0) {
            abort();
        }
        return;
    }
    const struct bytes *left = &image->left[row->number];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        abort();
    }
    if (is_lock_file(row->name)) {
        write_garbage(fd, &image->garbage);
    } else if (left->size_bytes > 0 && write(fd, left->data, left->size_bytes) != (ssize_t)left->size_bytes) {
        abort();
    }
    if (close(fd) != 0) {
        abort();
    }
}

void disk_image_write(struct disk_image *image, const char *root)
{
    walk(image, 0, root, row_write, NULL);
}

/* ---- nothing escapes */

static void row_compare(void *context, struct disk_image *image, const struct name *row, const char *path)
{
    const char **difference = context;
    if (row->is_folder || is_lock_file(row->name)) {
        return;
    }
    const struct bytes *left = &image->left[row->number];
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || (uint64_t)status.st_size != left->size_bytes) {
        *difference = row->name;
    } else {
        uint8_t *data = must(malloc(left->size_bytes + 1));
        if (pread(fd, data, left->size_bytes, 0) != (ssize_t)left->size_bytes ||
            (left->size_bytes > 0 && memcmp(data, left->data, left->size_bytes) != 0)) {
            *difference = row->name;
        }
        free(data);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void row_count(void *context, struct disk_image *image, const struct name *row, const char *path)
{
    unsigned *rows = context;
    (void)image;
    (void)row;
    (void)path;
    (*rows)++;
}

static unsigned rows_below(const char *path)
{
    unsigned rows = 0;
    DIR *listing = opendir(path);
    const struct dirent *row;
    while (listing && (row = readdir(listing))) {
        if (strcmp(row->d_name, ".") != 0 && strcmp(row->d_name, "..") != 0) {
            char row_path[PATH_MAX_BYTES];
            int size = snprintf(row_path, sizeof row_path, "%s/%s", path, row->d_name);
            assert(size > 0 && (size_t)size < sizeof row_path);
            rows += 1 + rows_below(row_path);
        }
    }
    if (listing) {
        closedir(listing);
    }
    return rows;
}

bool disk_image_equals_files(struct disk_image *image, const char **difference)
{
    struct chance chance = {0};
    unsigned rows = 0;
    *difference = NULL;
    assert(image->next == image->recording->events_count);
    (void)disk_image_cut(image, CUT_ALL, &chance);
    walk(image, 0, image->recording->root, row_compare, (void *)difference);
    walk(image, 0, "", row_count, &rows);
    if (!*difference && rows != rows_below(image->recording->root)) {
        *difference = "a file that the recording does not know";
    }
    return !*difference;
}
