/*
 * News in words.
 *
 *     [On call] Primary: your shift begins 2026-11-23 09:00 CET, until 2026-11-30 09:00 CET. You take over from Bob.
 *
 * Times are those of the reader's zone, and say so.
 */
#include "notify/news.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "consensus/machine/base/ids.h"
#include "notify/compose.h"

#define TEXT_SIZE 2048
#define NAME_SIZE 121
#define TIME_SIZE 40

static struct zone *(*zones_of_readers)(const char *name);

void news_use_zones(struct zone *(*load)(const char *name))
{
    zones_of_readers = load;
}

/* The zone of whoever reads it, to be freed; NULL: UTC. */
static struct zone *zone_of(const Tocsin__Notification *notification)
{
    return zones_of_readers && zone_name_is_sane(notification->time_zone) ? zones_of_readers(notification->time_zone) : NULL;
}

static void time_words(const struct zone *zone, uint64_t time_ms, char out[TIME_SIZE])
{
    char words[TIME_SIZE - ZONE_ABBREVIATION_SIZE], name[ZONE_ABBREVIATION_SIZE] = "UTC";
    int64_t at_s = (int64_t)(time_ms / 1000);
    time_t seconds = (time_t)(zone ? zone_to_local(zone, at_s) : at_s);
    struct tm shown;
    out[0] = '\0';
    if (zone)
        zone_abbreviation(zone, at_s, name);
    if (gmtime_r(&seconds, &shown) && strftime(words, sizeof words, "%Y-%m-%d %H:%M", &shown) > 0)
        (void)snprintf(out, TIME_SIZE, "%s %s", words, name);
}

static const struct {
    Tocsin__NoticeKind kind;
    const char *event_type, *subject;
} kinds[] = {
    {TOCSIN__NOTICE_KIND__NOTICE_SHIFT_BEGINS, "shift.begins", "your shift begins"},
    {TOCSIN__NOTICE_KIND__NOTICE_SHIFT_ENDS, "shift.ends", "your shift ends"},
    {TOCSIN__NOTICE_KIND__NOTICE_SHIFT_CHANGED, "shift.changed", "your shift has changed"},
    {TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, "swap.offered", "somebody asks you to take shifts over"},
    {TOCSIN__NOTICE_KIND__NOTICE_SWAP_TAKEN, "swap.taken", "your shifts are taken over"},
    {TOCSIN__NOTICE_KIND__NOTICE_SWAP_UNDONE, "swap.undone", "a swap of shifts was undone"},
    {TOCSIN__NOTICE_KIND__NOTICE_MAINTENANCE_ENDS, "maintenance.ends", "a maintenance window is about to end"},
    {TOCSIN__NOTICE_KIND__NOTICE_TEST, "test", "this is a test page"},
    {TOCSIN__NOTICE_KIND__NOTICE_CODE, "contact_method.code", "a code for this contact method"},
    {TOCSIN__NOTICE_KIND__NOTICE_DRILL, "drill", "this is a drill"},
};

static size_t place(Tocsin__NoticeKind kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == kind)
            return i;
    return 0;
}

const char *news_event_type(Tocsin__NoticeKind kind)
{
    return kinds[place(kind)].event_type;
}

static void shift_words(const Tocsin__Notice *notice, const struct zone *zone, const char *other, char *out, size_t size)
{
    char start[TIME_SIZE], end[TIME_SIZE];
    time_words(zone, notice->start_ms, start);
    time_words(zone, notice->end_ms, end);
    if (notice->kind == TOCSIN__NOTICE_KIND__NOTICE_SHIFT_CHANGED)
        (void)snprintf(out, size, "what you were told of %s does not hold any more: the schedule has changed.",
                       notice->start_ms ? start : end);
    else if (notice->kind == TOCSIN__NOTICE_KIND__NOTICE_SHIFT_BEGINS)
        (void)snprintf(out, size, "your shift begins %s%s%s.%s%s%s", start, notice->end_ms ? ", until " : "",
                       notice->end_ms ? end : "", *other ? " You take over from " : "", other, *other ? "." : "");
    else
        (void)snprintf(out, size, "your shift ends %s.%s%s", end, *other ? other : "",
                       *other ? " takes over." : " Nobody takes over.");
}

static void swap_words(const Tocsin__Notice *notice, const struct zone *zone, const char *other, char *out, size_t size)
{
    char start[TIME_SIZE], end[TIME_SIZE], return_start[TIME_SIZE], return_end[TIME_SIZE], id[16], back[128] = "";
    time_words(zone, notice->start_ms, start);
    time_words(zone, notice->end_ms, end);
    time_words(zone, notice->return_start_ms, return_start);
    time_words(zone, notice->return_end_ms, return_end);
    id_format(notice->swap_id, id);
    if (notice->return_end_ms)
        (void)snprintf(back, sizeof back, ", in return for %s to %s", return_start, return_end);
    const char *who = *other ? other : "An administrator";
    if (notice->kind == TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED)
        (void)snprintf(out, size, "%s asks you to take over from %s to %s%s. Take it through the API: swap %s.", who, start,
                       end, back, id);
    else
        (void)snprintf(out, size, "%s %s, %s to %s%s.", who,
                       notice->kind == TOCSIN__NOTICE_KIND__NOTICE_SWAP_TAKEN ? "takes over your shifts"
                                                                              : "undid the swap of shifts",
                       start, end, back);
}

static void maintenance_words(const Tocsin__Notice *notice, const struct zone *zone, const char *other, char *out, size_t size)
{
    char end[TIME_SIZE];
    time_words(zone, notice->end_ms, end);
    (void)snprintf(out, size, "the maintenance window%s%s ends %s.", *other ? " of " : "", other, end);
}

/* "482913"; a voice reads it digit by digit: "4, 8, 2, 9, 1, 3". */
static void code_words(const Tocsin__Notification *notification, char *out, size_t size)
{
    bool spoken = notification->channel == TOCSIN__CHANNEL__CHANNEL_VOICE;
    size_t length = 0;
    for (const char *digit = notification->notice->code; *digit && length + 4 < size; digit++) {
        if (spoken && length > 0) {
            out[length++] = ',';
            out[length++] = ' ';
        }
        out[length++] = *digit;
    }
    out[length] = '\0';
}

static void test_words(const Tocsin__Notification *notification, char *out, size_t size)
{
    char code[64];
    code_words(notification, code, sizeof code);
    if (notification->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_CODE)
        (void)snprintf(out, size, "the code %s shows that messages arrive here. Give it back within 15 minutes. Somebody asked for it"
                                  " through the API; if it was not you, do nothing.", code);
    else if (*code)
        (void)snprintf(out, size, "this is a test page, asked for through the API. Give the code %s back to show that it arrived.",
                       code);
    else
        (void)snprintf(out, size, "this is a test page, asked for through the API. It arrived: nothing is to be done.");
}

static bool is_test(const Tocsin__Notice *notice)
{
    return notice->kind == TOCSIN__NOTICE_KIND__NOTICE_TEST || notice->kind == TOCSIN__NOTICE_KIND__NOTICE_CODE;
}

static const char *tag(const Tocsin__Notice *notice)
{
    if (notice->kind == TOCSIN__NOTICE_KIND__NOTICE_MAINTENANCE_ENDS)
        return "Maintenance";
    if (notice->kind == TOCSIN__NOTICE_KIND__NOTICE_DRILL)
        return "Drill";
    return is_test(notice) ? "Test" : "On call";
}

/* A schedule's name is optional. */
static void schedule_words(const Tocsin__Notice *notice, char *out, size_t size)
{
    const char *name = notice->schedule_name[0] != '\0' ? notice->schedule_name : "A schedule without a name";
    clean_copy(out, size, name, strlen(name));
}

void news_short(const Tocsin__Notification *notification, char *out, size_t size)
{
    const Tocsin__Notice *notice = notification->notice;
    char schedule[NAME_SIZE], other[NAME_SIZE], words[TEXT_SIZE / 2], note[TEXT_SIZE / 4], text[TEXT_SIZE];
    struct zone *zone = zone_of(notification);
    schedule_words(notice, schedule, sizeof schedule);
    clean_copy(other, sizeof other, notice->other_name, strlen(notice->other_name));
    clean_copy(note, sizeof note, notice->note, strlen(notice->note));
    if (is_test(notice))
        test_words(notification, words, sizeof words);
    else if (notice->kind == TOCSIN__NOTICE_KIND__NOTICE_MAINTENANCE_ENDS)
        maintenance_words(notice, zone, other, words, sizeof words);
    else if (notice->kind == TOCSIN__NOTICE_KIND__NOTICE_DRILL)
        (void)snprintf(words, sizeof words, "this is a page-delivery drill. It arrived: nobody is to do or answer anything.");
    else if (notice->swap_id)
        swap_words(notice, zone, other, words, sizeof words);
    else
        shift_words(notice, zone, other, words, sizeof words);
    (void)snprintf(text, sizeof text, "[%s] %s: %s%s%s%s", tag(notice), schedule, words, *note ? " " : "", note,
                   notification->possibly_repeated ? " (possibly repeated)" : "");
    zone_free(zone);
    clean_copy(out, size, text, strlen(text));
}

void news_subject(const Tocsin__Notification *notification, char *out, size_t size)
{
    const Tocsin__Notice *notice = notification->notice;
    char schedule[NAME_SIZE], text[TEXT_SIZE];
    schedule_words(notice, schedule, sizeof schedule);
    (void)snprintf(text, sizeof text, "[%s] %s: %s%s", tag(notice), schedule, kinds[place(notice->kind)].subject,
                   notification->possibly_repeated ? " (possibly repeated)" : "");
    clean_copy(out, size, text, strlen(text));
}
