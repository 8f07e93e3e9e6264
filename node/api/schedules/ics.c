/* iCalendar text. */
#include "node/api/schedules/ics.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_OCTETS_MAX 75u

static void add_bytes(struct ics *ics, const char *bytes, size_t size_bytes)
{
    if (ics->size_bytes + size_bytes + 1 > ics->capacity) {
        ics->capacity = (ics->size_bytes + size_bytes + 1) * 2;
        ics->text = realloc(ics->text, ics->capacity);
        if (ics->text == NULL) {
            abort();
        }
    }
    memcpy(ics->text + ics->size_bytes, bytes, size_bytes);
    ics->size_bytes += size_bytes;
    ics->text[ics->size_bytes] = '\0';
}

/* A property on as many lines as it takes; `used` octets stand on the line. */
static void add_folded(struct ics *ics, const char *text, size_t *used)
{
    for (size_t i = 0; text[i] != '\0';) {
        size_t character = 1;
        while (((unsigned char)text[i + character] & 0xc0) == 0x80) {
            character++;
        }
        if (*used + character > LINE_OCTETS_MAX) {
            add_bytes(ics, "\r\n ", 3);
            *used = 1;
        }
        add_bytes(ics, text + i, character);
        *used += character;
        i += character;
    }
}

static void add_line(struct ics *ics, const char *name, const char *value)
{
    size_t used = 0;

    add_folded(ics, name, &used);
    add_folded(ics, ":", &used);
    add_folded(ics, value, &used);
    add_bytes(ics, "\r\n", 2);
}

/* RFC 5545, section 3.3.11; control characters have no place in a calendar. */
static void add_text(struct ics *ics, const char *name, const char *value)
{
    char *escaped = malloc(2 * strlen(value) + 1), *out = escaped;

    if (escaped == NULL) {
        abort();
    }
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            *out++ = '\\';
            *out++ = 'n';
        } else if ((unsigned char)*value >= 0x20 && *value != 0x7f) {
            if (strchr("\\;,", *value) != NULL) {
                *out++ = '\\';
            }
            *out++ = *value;
        }
    }
    *out = '\0';
    add_line(ics, name, escaped);
    free(escaped);
}

static void add_time(struct ics *ics, const char *name, uint64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    char text[32];

    if (gmtime_r(&seconds, &parts) != NULL && strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts) > 0) {
        add_line(ics, name, text);
    }
}

void ics_begin(struct ics *ics, const char *name)
{
    add_line(ics, "BEGIN", "VCALENDAR");
    add_line(ics, "VERSION", "2.0");
    add_line(ics, "PRODID", "-//Tocsin//On call//EN");
    add_line(ics, "CALSCALE", "GREGORIAN");
    add_line(ics, "METHOD", "PUBLISH");
    add_text(ics, "X-WR-CALNAME", name);
    add_line(ics, "REFRESH-INTERVAL;VALUE=DURATION", "PT1H");
    add_line(ics, "X-PUBLISHED-TTL", "PT1H");
}

void ics_add(struct ics *ics, const struct ics_event *event)
{
    add_line(ics, "BEGIN", "VEVENT");
    add_text(ics, "UID", event->uid);
    add_time(ics, "DTSTAMP", event->changed_ms);
    add_time(ics, "DTSTART", event->start_ms);
    add_time(ics, "DTEND", event->end_ms);
    add_text(ics, "SUMMARY", event->summary);
    if (event->description[0] != '\0') {
        add_text(ics, "DESCRIPTION", event->description);
    }
    add_line(ics, "TRANSP", "TRANSPARENT");
    add_line(ics, "END", "VEVENT");
}

void ics_end(struct ics *ics)
{
    add_line(ics, "END", "VCALENDAR");
}
