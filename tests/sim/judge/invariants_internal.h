/* Inside the invariants: what is read once, and the steps that the checks of each part have in common. */
#ifndef TESTS_SIM_JUDGE_INVARIANTS_INTERNAL_H
#define TESTS_SIM_JUDGE_INVARIANTS_INTERNAL_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "tests/support/decoded_rows.h"

/* An incident, and what the other tables hold of it. */
struct seen {
    const Tocsin__Incident *incident;
    uint32_t outbox, waiting_rules, logs, notes, alerts_open, alerts_resolved;
    bool says_acknowledged, says_low_urgency, says_ticket;
};

struct check {
    const struct machine_store *view;
    struct decoded_rows *decoded;
    char *sentence;
    size_t size;
    const Tocsin__Counters *counters;
    uint64_t kept_ms;       /* closed incidents, at least */
    struct seen *incidents; /* in the order of their ids */
    size_t incidents_count;
    uint64_t heartbeats_filed; /* that say that they have a row among the due ones */
};

static inline bool __attribute__((format(printf, 2, 3))) broken(struct check *check, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(check->sentence, check->size, format, list);
    va_end(list);
    return false;
}

static inline uint64_t rows(const struct check *check, enum machine_table table)
{
    return check->view->count(check->view->context, table);
}

static inline bool row_get(const struct check *check, enum machine_table table, struct key key, struct span *value)
{
    return check->view->get(check->view->context, table, key_span(&key), value);
}

static inline bool row_is_there(const struct check *check, enum machine_table table, struct key key)
{
    struct span value;
    return row_get(check, table, key, &value);
}

/* The index has this key, and says this number (and this second one, unless it is 0). */
static inline bool index_says(const struct check *check, enum machine_table table, struct key key, uint64_t first,
                              uint64_t second)
{
    struct span value;
    return row_get(check, table, key, &value) && value.size_bytes == (second != 0 ? 16u : 8u) &&
           span_number(value, 0) == first && (second == 0 || span_number(value, 1) == second);
}

/* The record in a row; NULL when it is not there, or does not decode. */
static inline const void *record_at(struct check *check, enum machine_table table, struct key key,
                                    const ProtobufCMessageDescriptor *descriptor)
{
    struct span value;
    return row_get(check, table, key, &value) ? decoded_row(check->decoded, table, key_span(&key), value, descriptor) : NULL;
}

/* ---------------------------------------------------------------- walking a table */

/* One row, with its key. */
typedef bool (*row_check)(struct check *check, struct span key, const void *record);

static inline bool walk_table(struct check *check, enum machine_table table, const ProtobufCMessageDescriptor *descriptor,
                       const char *what, row_check judge)
{
    struct walk walk = walk_all(check->view, table);
    bool holds = true;
    while (holds && walk_next(&walk)) {
        const void *record = decoded_row(check->decoded, table, walk.key, walk.value, descriptor);
        if (record == NULL) {
            return broken(check, "%s does not decode", what);
        }
        holds = judge(check, walk.key, record);
    }
    return holds;
}

/* Keys of one or two numbers, the last of which is the object's own id, and below the counter. */
static inline bool key_holds(struct check *check, struct span key, uint64_t parent, uint64_t id, const char *what)
{
    bool agrees = key.size_bytes == (parent != 0 ? 16u : 8u) && span_number(key, parent != 0 ? 1 : 0) == id &&
                  (parent == 0 || span_number(key, 0) == parent);
    if (!agrees) {
        return broken(check, "%s %" PRIu64 " is filed under another key", what, id);
    }
    return id < check->counters->next_id ||
           broken(check, "%s %" PRIu64 " has an id that was not given yet: the next is %" PRIu64, what, id,
                  check->counters->next_id);
}

/* ---- invariants_heartbeats.c */
bool heartbeats_hold(struct check *check);

/* ---- invariants_drills.c */
bool drills_hold(struct check *check);
/* A deadline of a drill; a notification of one in the outbox. */
bool drill_deadline_holds(struct check *check, uint64_t id, uint64_t due_ms);
bool drill_notification_holds(struct check *check, const Tocsin__Notification *notification);

#endif
