/* Zone files: header, tables of version 2, and the rule in the footer. */
#include "consensus/machine/oncall/zone.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/oncall/calendar.h"
#include "consensus/machine/oncall/zone_rule.h"

#define HEADER_SIZE_BYTES 44u
#define TYPE_SIZE_BYTES 6u
#define TYPES_MAX 256u /* an index has one byte */
/* RFC 9636: offsets lie within a day and some. */
#define OFFSET_S_MAX (26 * 3600)
/* RFC 9636, section 3.2: nothing happened before the Big Bang. Nobody knows of a change as far ahead. */
#define TRANSITION_S_MAX (INT64_C(1) << 59)
#define CYCLE_YEARS 400
#define CYCLE_S (146097 * INT64_C(86400))

/* No name is known: the rule in the footer has one for an offset that the tables never had. */
#define NO_NAME UINT16_MAX
#define NAMES_SIZE_BYTES_MAX 512u

struct transition {
    int64_t at_s;
    int32_t offset_s; /* from then on */
    uint16_t name;    /* where its abbreviation begins */
};

struct zone {
    int32_t first_offset_s; /* before the first transition */
    uint16_t first_name;
    char names[NAMES_SIZE_BYTES_MAX + 1]; /* abbreviations, each with its NUL */
    bool cyclic;            /* the last CYCLE_S before end_s repeat for ever */
    int64_t end_s;
    size_t count;
    struct transition transitions[];
};

/* Where the counts of one header lead. */
struct header {
    uint8_t version;
    uint32_t utc_flags, standard_flags, leap_seconds, times, types, name_characters;
};

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int64_t read_i64(const uint8_t *bytes)
{
    return (int64_t)((uint64_t)read_u32(bytes) << 32 | read_u32(bytes + 4));
}

static bool header_read(struct span file, size_t at, struct header *header)
{
    const uint8_t *bytes = (const uint8_t *)file.data + at;
    if (at > file.size_bytes || file.size_bytes - at < HEADER_SIZE_BYTES || memcmp(bytes, "TZif", 4) != 0) {
        return false;
    }
    *header = (struct header){.version = bytes[4],
                              .utc_flags = read_u32(bytes + 20),
                              .standard_flags = read_u32(bytes + 24),
                              .leap_seconds = read_u32(bytes + 28),
                              .times = read_u32(bytes + 32),
                              .types = read_u32(bytes + 36),
                              .name_characters = read_u32(bytes + 40)};
    return true;
}

/* Of the tables behind a header, whose times have so many bytes. Counts have 32 bits, so 64 do not overflow. */
static uint64_t tables_size_bytes(const struct header *header, unsigned time_size_bytes)
{
    return (uint64_t)header->times * (time_size_bytes + 1) + (uint64_t)header->types * TYPE_SIZE_BYTES +
           header->name_characters + (uint64_t)header->leap_seconds * (time_size_bytes + 4) + header->standard_flags +
           header->utc_flags;
}

/* The footer: a rule between two ends of line. True also for an empty one, which makes no rule. */
static bool footer_read(struct span file, size_t at, struct zone_rule *rule, bool *has_rule)
{
    const char *text = (const char *)file.data + at;
    size_t size_bytes = file.size_bytes - at;
    const char *end = size_bytes >= 2 && text[0] == '\n' ? memchr(text + 1, '\n', size_bytes - 1) : NULL;
    if (end == NULL) {
        return false;
    }
    *has_rule = end > text + 1;
    return !*has_rule || zone_rule_parse(text + 1, (size_t)(end - text - 1), rule);
}

static bool offset_of_type(const uint8_t *types, uint32_t types_count, uint8_t type, int32_t *offset_s)
{
    if (type >= types_count) {
        return false;
    }
    *offset_s = (int32_t)read_u32(types + type * TYPE_SIZE_BYTES);
    return *offset_s >= -OFFSET_S_MAX && *offset_s <= OFFSET_S_MAX;
}

/* Abbreviations stand behind the types; what is too long for them, or not within, has none. */
static void names_read(struct zone *zone, const uint8_t *types, const struct header *header)
{
    size_t size_bytes = header->name_characters < NAMES_SIZE_BYTES_MAX ? header->name_characters : NAMES_SIZE_BYTES_MAX;
    memcpy(zone->names, types + (size_t)header->types * TYPE_SIZE_BYTES, size_bytes);
}

static uint16_t name_of_type(const uint8_t *types, uint8_t type, const struct header *header)
{
    uint8_t name = types[type * TYPE_SIZE_BYTES + 5];
    return name < header->name_characters ? name : NO_NAME;
}

static bool transitions_read(struct zone *zone, const uint8_t *tables, const struct header *header)
{
    const uint8_t *indexes = tables + (size_t)header->times * 8, *types = indexes + header->times;
    if (!offset_of_type(types, header->types, 0, &zone->first_offset_s)) {
        return false;
    }
    names_read(zone, types, header);
    zone->first_name = name_of_type(types, 0, header);
    for (uint32_t i = 0; i < header->times; i++) {
        struct transition *transition = &zone->transitions[zone->count++];
        transition->at_s = read_i64(tables + (size_t)i * 8);
        if (!offset_of_type(types, header->types, indexes[i], &transition->offset_s) ||
            transition->at_s < -TRANSITION_S_MAX || transition->at_s > TRANSITION_S_MAX ||
            (i > 0 && transition->at_s <= transition[-1].at_s)) {
            return false;
        }
        transition->name = name_of_type(types, indexes[i], header);
    }
    return true;
}

/* As the offset was called when it was last in force. */
static uint16_t name_of_offset(const struct zone *zone, int32_t offset_s)
{
    for (size_t i = zone->count; i > 0; i--) {
        if (zone->transitions[i - 1].offset_s == offset_s) {
            return zone->transitions[i - 1].name;
        }
    }
    return zone->first_offset_s == offset_s ? zone->first_name : NO_NAME;
}

/* Of two at one moment the later holds: daylight saving that lasts all year ends and begins at new year. */
static void transition_add(struct zone *zone, int64_t at_s, int32_t offset_s)
{
    int64_t last_s = zone->count > 0 ? zone->transitions[zone->count - 1].at_s : INT64_MIN;
    if (at_s < last_s) {
        return;
    }
    uint16_t name = name_of_offset(zone, offset_s);
    zone->count += at_s > last_s;
    zone->transitions[zone->count - 1] = (struct transition){.at_s = at_s, .offset_s = offset_s, .name = name};
}

/* The transitions of the rule, in the year of the file's last one and in a cycle of years behind it. */
static void rule_add(struct zone *zone, const struct zone_rule *rule)
{
    int64_t last_s = zone->count > 0 ? zone->transitions[zone->count - 1].at_s : 0;
    int64_t first_year = calendar_year_of(last_s);
    if (!rule->has_daylight_saving) {
        if (zone->count == 0) {
            zone->first_offset_s = rule->standard_offset_s;
        }
        return; /* otherwise the last transition has led there */
    }
    for (int64_t year = first_year; year <= first_year + CYCLE_YEARS + 1; year++) {
        int64_t begin_s = zone_rule_begin_s(rule, year), end_s = zone_rule_end_s(rule, year);
        if (begin_s < end_s) {
            transition_add(zone, begin_s, rule->daylight_offset_s);
            transition_add(zone, end_s, rule->standard_offset_s);
        } else {
            transition_add(zone, end_s, rule->standard_offset_s);
            transition_add(zone, begin_s, rule->daylight_offset_s);
        }
    }
    zone->cyclic = true;
    zone->end_s = calendar_days(first_year + CYCLE_YEARS + 1, 7, 1) * INT64_C(86400);
}

struct zone *zone_new(struct span file)
{
    struct header first, header;
    struct zone_rule rule;
    bool has_rule = false;
    if (file.size_bytes > ZONE_FILE_SIZE_BYTES_MAX || !header_read(file, 0, &first) || first.version < '2') {
        return NULL;
    }
    uint64_t second = HEADER_SIZE_BYTES + tables_size_bytes(&first, 4);
    if (second > file.size_bytes || !header_read(file, (size_t)second, &header) || header.types == 0 ||
        header.types > TYPES_MAX) {
        return NULL;
    }
    uint64_t tables = second + HEADER_SIZE_BYTES, footer = tables + tables_size_bytes(&header, 8);
    if (footer > file.size_bytes || !footer_read(file, (size_t)footer, &rule, &has_rule)) {
        return NULL;
    }
    size_t count_max = (size_t)header.times + 2 * (CYCLE_YEARS + 2);
    struct zone *zone = calloc(1, sizeof *zone + count_max * sizeof zone->transitions[0]);
    if (zone == NULL) {
        abort();
    }
    if (!transitions_read(zone, (const uint8_t *)file.data + tables, &header)) {
        zone_free(zone);
        return NULL;
    }
    if (has_rule) {
        rule_add(zone, &rule);
    }
    assert(zone->count <= count_max);
    return zone;
}

void zone_free(struct zone *zone)
{
    free(zone);
}

/* How many transitions lie at or before the moment. */
static size_t transitions_before(const struct zone *zone, int64_t at_s)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->transitions[middle].at_s <= at_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The moment of the same place in the calendar that the rows cover. */
static int64_t folded(const struct zone *zone, int64_t at_s)
{
    return zone->cyclic && at_s >= zone->end_s ? at_s - ((at_s - zone->end_s) / CYCLE_S + 1) * CYCLE_S : at_s;
}

int32_t zone_offset_s(const struct zone *zone, int64_t at_s)
{
    size_t before = transitions_before(zone, folded(zone, at_s));
    return before == 0 ? zone->first_offset_s : zone->transitions[before - 1].offset_s;
}

static char digit(unsigned number)
{
    return (char)('0' + number % 10);
}

void zone_abbreviation(const struct zone *zone, int64_t at_s, char out[ZONE_ABBREVIATION_SIZE])
{
    size_t before = transitions_before(zone, folded(zone, at_s));
    uint16_t place = before == 0 ? zone->first_name : zone->transitions[before - 1].name;
    const char *name = place != NO_NAME ? zone->names + place : "";
    size_t letters = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    if (letters > 0 && letters < ZONE_ABBREVIATION_SIZE && name[letters] == '\0') {
        memcpy(out, name, letters + 1);
        return;
    }
    int32_t offset_s = zone_offset_s(zone, at_s);
    unsigned minutes = (unsigned)(offset_s < 0 ? -offset_s : offset_s) / 60;
    const char text[] = {'U', 'T', 'C', offset_s < 0 ? '-' : '+', digit(minutes / 600), digit(minutes / 60), ':',
                         digit(minutes % 60 / 10), digit(minutes % 60), '\0'};
    memcpy(out, text, sizeof text);
}

int64_t zone_to_local(const struct zone *zone, int64_t at_s)
{
    return at_s + zone_offset_s(zone, at_s);
}

/*
 * Offsets lie within OFFSET_S_MAX, so the moment does too. Among the offsets in force there, the first whose span holds
 * the moment wins; when a transition is passed without one, it skipped the local time.
 */
int64_t zone_from_local(const struct zone *zone, int64_t local_s)
{
    int64_t whole_s = folded(zone, local_s), moved_s = local_s - whole_s;
    size_t next = transitions_before(zone, whole_s - OFFSET_S_MAX);
    for (;; next++) {
        int32_t offset_s = next == 0 ? zone->first_offset_s : zone->transitions[next - 1].offset_s;
        int64_t at_s = whole_s - offset_s;
        if (next > 0 && at_s < zone->transitions[next - 1].at_s) {
            return zone->transitions[next - 1].at_s + moved_s;
        }
        if (next == zone->count || at_s < zone->transitions[next].at_s) {
            return at_s + moved_s;
        }
    }
}

bool zone_name_is_sane(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > ZONE_NAME_CHARACTERS_MAX || name[0] == '/' || name[length - 1] == '/' ||
        strstr(name, "//") != NULL) {
        return false;
    }
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == length;
}
