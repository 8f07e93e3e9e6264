/*
 * Zone files, as they are or assembled from types, transitions and a rule: refused, or every moment has a bounded offset and a name,
 * clocks lead there and back, a later local time is never an earlier moment, and the rule's calendar repeats.
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/oncall/zone.h"
#include "tests/fuzz/input.h"

#define HEADER_SIZE_BYTES 44u
#define FILE_SIZE_BYTES_MAX (16u << 10)
#define TYPES_MAX 8u
#define TRANSITIONS_MAX 24u
#define MOMENTS_MAX 40u
#define OFFSET_S_MAX (26 * 3600)
#define YEAR_S (INT64_C(366) * 86400)
#define CYCLE_S (INT64_C(146097) * 86400)
#define NOW_S INT64_C(1774000000) /* March 2026 */
#define FAR_S (INT64_C(1) << 50)

struct file {
    uint8_t bytes[FILE_SIZE_BYTES_MAX];
    size_t size_bytes;
    int64_t last_s; /* of its transitions */
};

static void put(struct file *file, uint64_t number, unsigned size_bytes)
{
    for (unsigned i = size_bytes; i-- > 0;) {
        file->bytes[file->size_bytes++] = (uint8_t)(number >> 8 * i);
    }
}

static void put_header(struct file *file, uint32_t times, uint32_t types, uint32_t name_characters)
{
    memcpy(file->bytes + file->size_bytes, "TZif2", 5);
    file->size_bytes += 20;
    for (unsigned i = 0; i < 3; i++) {
        put(file, 0, 4);
    }
    put(file, times, 4);
    put(file, types, 4);
    put(file, name_characters, 4);
}

/* Names of four characters each, transitions that mostly ascend, and what is left for the rule. */
static void assemble(struct file *file, struct fuzz_input *input)
{
    unsigned types = 1 + fuzz_below(input, TYPES_MAX), times = fuzz_below(input, TRANSITIONS_MAX);
    int64_t at_s = fuzz_below(input, 2) == 0 ? NOW_S : (int64_t)fuzz_odd_number(input);
    put_header(file, 0, 1, 1);
    file->size_bytes += 7; /* one type and its name, for readers of version 1 */
    put_header(file, times, types, types * 4);
    for (unsigned i = 0; i < times; i++) {
        put(file, (uint64_t)at_s, 8);
        file->last_s = at_s;
        at_s = (int64_t)((uint64_t)at_s + fuzz_number(input, 4));
    }
    for (unsigned i = 0; i < times; i++) {
        put(file, fuzz_below(input, types), 1);
    }
    for (unsigned i = 0; i < types; i++) {
        put(file, (uint64_t)((int64_t)(fuzz_number(input, 2) * 3) - OFFSET_S_MAX), 4);
        put(file, i & 1, 1);
        put(file, i * 4, 1);
    }
    for (unsigned i = 0; i < types; i++) {
        put(file, fuzz_number(input, 3) << 8, 4);
    }
    struct span rule = fuzz_bytes(input, 200);
    put(file, '\n', 1);
    memcpy(file->bytes + file->size_bytes, rule.data, rule.size_bytes);
    file->size_bytes += rule.size_bytes;
    put(file, '\n', 1);
}

/* ---- what must hold */

static void judge_moment(const struct zone *zone, int64_t at_s)
{
    char name[ZONE_ABBREVIATION_SIZE];
    int32_t offset_s = zone_offset_s(zone, at_s);
    int64_t local_s = zone_to_local(zone, at_s), first_s = zone_from_local(zone, local_s);
    fuzz_require(offset_s >= -OFFSET_S_MAX && offset_s <= OFFSET_S_MAX && local_s == at_s + offset_s);
    /* What clocks show they have shown by that moment, or skipped: a file may have them go back right behind a skip. */
    fuzz_require(first_s <= at_s && zone_to_local(zone, first_s) >= local_s);
    memset(name, 'x', sizeof name);
    zone_abbreviation(zone, at_s, name);
    fuzz_require(memchr(name, '\0', sizeof name) != NULL && name[0] != '\0' && fuzz_is_line(name));
}

static void judge_local(const struct zone *zone, int64_t local_s)
{
    int64_t at_s = zone_from_local(zone, local_s), shown_s = zone_to_local(zone, at_s);
    fuzz_require(at_s >= local_s - OFFSET_S_MAX && at_s <= local_s + OFFSET_S_MAX);
    fuzz_require(shown_s == local_s || (shown_s > local_s && zone_to_local(zone, at_s - 1) < local_s));
    fuzz_require(zone_from_local(zone, local_s + 1) >= at_s);
    fuzz_require(zone_from_local(zone, local_s + 3 * 3600) >= at_s);
}

static void judge(const struct zone *zone, struct fuzz_input *moments, int64_t last_s, bool assembled)
{
    for (unsigned i = 0; i < MOMENTS_MAX; i++) {
        uint64_t number = fuzz_odd_number(moments);
        int64_t away_s = (int64_t)(number % (2 * (uint64_t)FAR_S)) - FAR_S;
        int64_t at_s = i % 2 == 0 ? away_s : (last_s > -FAR_S && last_s < FAR_S ? last_s : NOW_S) + away_s % (3 * CYCLE_S);
        judge_moment(zone, at_s);
        judge_local(zone, at_s);
        if (assembled && last_s > -FAR_S && at_s > last_s && at_s - last_s > 2 * YEAR_S) {
            fuzz_require(zone_offset_s(zone, at_s) == zone_offset_s(zone, at_s + CYCLE_S));
        }
    }
}

/* A byte for the form, one for how much of the rest says at which moments to look, and the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    bool assembled = fuzz_below(&input, 2) == 0;
    struct span moments = fuzz_bytes(&input, fuzz_byte(&input));
    struct file *file = fuzz_must(calloc(1, sizeof *file));
    if (assembled) {
        assemble(file, &input);
    } else {
        struct span rest = fuzz_bytes(&input, FILE_SIZE_BYTES_MAX);
        memcpy(file->bytes, rest.data, rest.size_bytes);
        file->size_bytes = rest.size_bytes;
    }
    uint8_t *exact = fuzz_exact_copy((struct span){.data = file->bytes, .size_bytes = file->size_bytes});
    struct zone *zone = zone_new((struct span){.data = exact, .size_bytes = file->size_bytes});
    if (zone != NULL) {
        struct fuzz_input at = fuzz_input(moments.data, moments.size_bytes);
        judge(zone, &at, file->last_s, assembled);
        zone_free(zone);
    }
    free(exact);
    free(file);
    return 0;
}
