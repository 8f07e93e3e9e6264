/* See priorities.h. */
#include "consensus/machine/incidents/priorities.h"

#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/uses.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE

/* ---------------------------------------------------------------- those that there are */

/* Their ids lie beyond what the cluster's counter reaches: P1000000000001 and so on. */
#define FIRST_DEFAULT_ID ((UINT64_C(1) << 60) + 1)
#define DEFAULT_PRIORITY(number, name_text, description_text, color_text)                                             \
    {                                                                                                                 \
        .base = PROTOBUF_C_MESSAGE_INIT(&tocsin__priority__descriptor), .id = FIRST_DEFAULT_ID + (number)-1,          \
        .name = (char *)(name_text), .description = (char *)(description_text), .color = (char *)(color_text)         \
    }

static Tocsin__Priority DEFAULTS[] = {
    DEFAULT_PRIORITY(1, "P1", "Customers cannot use a main service", "a8171c"),
    DEFAULT_PRIORITY(2, "P2", "A main service is much worse than usual", "eb6016"),
    DEFAULT_PRIORITY(3, "P3", "Some customers notice", "f9b406"),
    DEFAULT_PRIORITY(4, "P4", "Nobody outside notices", "555555"),
    DEFAULT_PRIORITY(5, "P5", "For the record", "555555"),
};
static Tocsin__Priority *DEFAULT_LIST[] = {&DEFAULTS[0], &DEFAULTS[1], &DEFAULTS[2], &DEFAULTS[3], &DEFAULTS[4]};
static const Tocsin__Priorities DEFAULT_PRIORITIES = {.base = PROTOBUF_C_MESSAGE_INIT(&tocsin__priorities__descriptor),
                                                      .n_priorities = sizeof DEFAULTS / sizeof DEFAULTS[0],
                                                      .priorities = DEFAULT_LIST};

const Tocsin__Priorities *priorities_read(const struct machine_store *store, ProtobufCAllocator *arena)
{
    const Tocsin__Priorities *stored = record_get(store, TABLE_META, key_meta(META_PRIORITIES),
                                                  &tocsin__priorities__descriptor, arena);
    return stored != NULL ? stored : &DEFAULT_PRIORITIES;
}

const Tocsin__Priority *priority_find(const Tocsin__Priorities *priorities, uint64_t id)
{
    for (size_t i = 0; i < priorities->n_priorities; i++) {
        if (priorities->priorities[i]->id == id) {
            return priorities->priorities[i];
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- replacing them */

/* Kept after it was replaced, so that what has it still says so. */
static void retire(struct apply *apply, Tocsin__Priorities *list, const Tocsin__Priority *priority)
{
    Tocsin__Priority *retired = apply_alloc(apply, sizeof *retired);
    *retired = *priority;
    retired->retired = true;
    list->priorities[list->n_priorities++] = retired;
}

static bool is_color(const char *text)
{
    return text[0] == '\0' || (strlen(text) == 6 && text[strspn(text, "0123456789abcdefABCDEF")] == '\0');
}

static bool priority_check(struct apply *apply, const Tocsin__Priority *priority, Tocsin__Reply *reply)
{
    if (!check_line(apply, reply, "The name of a priority", priority->name, 1, LIMIT_NAME_CHARACTERS) ||
        !check_lines(apply, reply, "The description of a priority", priority->description, 0,
                     LIMIT_DESCRIPTION_CHARACTERS)) {
        return false;
    }
    if (priority->acknowledge_target_minutes > LIMIT_TARGET_MINUTES ||
        priority->resolve_target_minutes > LIMIT_TARGET_MINUTES) {
        reply_refuse(apply, reply, INVALID, "A target of a priority is at most %u minutes.", LIMIT_TARGET_MINUTES);
        return false;
    }
    if (!is_color(priority->color)) {
        reply_refuse(apply, reply, INVALID, "The color of a priority must be six hexadecimal digits.");
        return false;
    }
    return true;
}

static bool is_named(const Tocsin__Priorities *list, const char *name)
{
    for (size_t i = 0; i < list->n_priorities; i++) {
        if (!list->priorities[i]->retired && strcmp(list->priorities[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Adds one as it was given; false, with the reply refused, when it cannot be. */
static bool priority_add(struct apply *apply, const Tocsin__Priorities *before, const Tocsin__Priority *given,
                         Tocsin__Priorities *list, Tocsin__Reply *reply)
{
    if (!priority_check(apply, given, reply)) {
        return false;
    }
    if (is_named(list, given->name)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_NAME_TAKEN,
                     "Two priorities have the same name.");
        return false;
    }
    if (given->id != 0 && (priority_find(before, given->id) == NULL || priority_find(list, given->id) != NULL)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_PRIORITY,
                     "A priority has an id that none has, or that another of the list has.");
        return false;
    }
    Tocsin__Priority *priority = apply_alloc(apply, sizeof *priority);
    *priority = *given;
    priority->retired = false;
    list->priorities[list->n_priorities++] = priority;
    return true;
}

void apply_priorities_put(struct apply *apply, const Tocsin__PrioritiesPut *put, Tocsin__Reply *reply)
{
    const Tocsin__Priorities *before = priorities_read(apply->store, apply->arena);
    Tocsin__Priorities list = TOCSIN__PRIORITIES__INIT;
    list.priorities = apply_alloc(apply, (put->n_priorities + before->n_priorities + 1) * sizeof *list.priorities);
    if (put->n_priorities > 0 && !check_room(apply, reply, "priorities", put->n_priorities - 1, LIMIT_PRIORITIES)) {
        return;
    }
    for (size_t i = 0; i < put->n_priorities; i++) {
        if (!priority_add(apply, before, put->priorities[i], &list, reply)) {
            return;
        }
    }
    for (size_t i = 0; i < before->n_priorities; i++) {
        const Tocsin__Priority *priority = before->priorities[i];
        if (priority_find(&list, priority->id) == NULL) {
            if (!priority->retired &&
                !check_unused(apply, reply, USED_PRIORITY, priority->id, priority->name)) {
                return;
            }
            retire(apply, &list, priority);
        }
    }
    if (list.n_priorities > 0 &&
        !check_room(apply, reply, "priorities, replaced ones included", list.n_priorities - 1, LIMIT_PRIORITIES_EVER)) {
        return;
    }
    for (size_t i = 0; i < list.n_priorities; i++) {
        if (list.priorities[i]->id == 0) {
            list.priorities[i]->id = apply_new_id(apply);
        }
    }
    record_put(apply->store, TABLE_META, key_meta(META_PRIORITIES), &list.base);
}
