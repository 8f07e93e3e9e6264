/*
 * The rule in a zone file's footer: a POSIX TZ string as RFC 9636, section 3.3.1, extends it.
 *
 *     CET-1CEST,M3.5.0,M10.5.0/3       <+1030>-10:30<+11>-11,M10.1.0,M4.1.0       IST-1GMT0,M10.5.0,M3.5.0/1
 */
#ifndef CONSENSUS_MACHINE_ONCALL_ZONE_RULE_H
#define CONSENSUS_MACHINE_ONCALL_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum zone_rule_day {
    ZONE_RULE_JULIAN,     /* Jn: day 1 to 365 without the leap day */
    ZONE_RULE_ZERO_BASED, /* n: day 0 to 365 with it */
    ZONE_RULE_WEEKDAY     /* Mm.w.d: the w-th (5: last) d of the month */
};

struct zone_rule_date {
    enum zone_rule_day kind;
    unsigned month, week, day;
    int32_t time_s; /* -167 to 167 hours: of a clock that shows the time before the change */
};

struct zone_rule {
    int32_t standard_offset_s, daylight_offset_s; /* east of Greenwich is positive */
    bool has_daylight_saving;
    struct zone_rule_date begin, end;
};

/* False for what is no rule. */
bool zone_rule_parse(const char *text, size_t size_bytes, struct zone_rule *rule);

/* The moments at which daylight saving begins and ends in the year. */
int64_t zone_rule_begin_s(const struct zone_rule *rule, int64_t year);
int64_t zone_rule_end_s(const struct zone_rule *rule, int64_t year);

#endif
