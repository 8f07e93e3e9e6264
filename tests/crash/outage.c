/* Cutting the power. */
#include "tests/crash/outage.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGAIN_ONE_IN 24u
#define AGAIN_CUTS 8u

/* One power cut, and all that is needed to make it once more. */
struct cut {
    const struct telling *telling;
    const struct outage_options *options;
    struct outage_tally *tally;
    const char *story;
    size_t event;
    enum cut_kind kind;
    bool again;
};

/* ---- a death of the test itself says where */

static char where[400];

static void on_signal(int number)
{
    ssize_t ignored = write(STDERR_FILENO, where, strlen(where));
    (void)ignored;
    signal(number, SIG_DFL);
    raise(number);
}

static void tell_where(const struct cut *cut)
{
    int size = snprintf(where, sizeof where, "seed %" PRIu64 ", %s%s, cut before event %zu, left: %s\n",
                        cut->telling->seed, cut->story, cut->again ? ", in the start after a cut" : "", cut->event,
                        cut_kind_names[cut->kind]);
    if (size < 0) {
        abort();
    }
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        signal(numbers[i], on_signal);
    }
}

/* ---- counting */

static void digest_count(struct outage_tally *tally, uint64_t digest)
{
    if (tally->digests_count * 2 >= tally->digests_capacity) {
        struct outage_tally grown = {.digests_capacity = tally->digests_capacity ? tally->digests_capacity * 2 : 4096};
        grown.digests = calloc(grown.digests_capacity, sizeof *grown.digests);
        if (!grown.digests) {
            abort();
        }
        for (size_t i = 0; i < tally->digests_capacity; i++) {
            if (tally->digests[i]) {
                digest_count(&grown, tally->digests[i]);
            }
        }
        free(tally->digests);
        tally->digests = grown.digests;
        tally->digests_capacity = grown.digests_capacity;
    }
    digest |= 1; /* 0: an open place */
    size_t place = digest % tally->digests_capacity;
    while (tally->digests[place] && tally->digests[place] != digest) {
        place = (place + 1) % tally->digests_capacity;
    }
    tally->digests_count += tally->digests[place] == 0;
    tally->digests[place] = digest;
}

uint64_t outage_tried(const struct outage_tally *tally)
{
    uint64_t tried = tally->tried_again;
    for (unsigned kind = 0; kind < CUT_KINDS; kind++) {
        tried += tally->tried[kind];
    }
    return tried;
}

void outage_tally_print(const struct outage_tally *tally)
{
    printf("%" PRIu64 " power cuts, %zu different disks, in %" PRIu64 " stories with %" PRIu64 " sync boundaries\n",
           outage_tried(tally), tally->digests_count, tally->tellings, tally->boundaries);
    for (unsigned kind = 0; kind < CUT_KINDS; kind++) {
        printf("  %8" PRIu64 "  left: %s\n", tally->tried[kind], cut_kind_names[kind]);
    }
    printf("  %8" PRIu64 "  cut again while starting after a cut\n", tally->tried_again);
    printf("  %8" PRIu64 "  violations%s%s\n", tally->violations, tally->violations ? ", the first: " : "",
           tally->first_violation);
}

void outage_tally_close(struct outage_tally *tally)
{
    free(tally->digests);
}

static void violation(const struct cut *cut, const char *complaint)
{
    if (cut->tally->violations++ == 0) {
        int size = snprintf(cut->tally->first_violation, sizeof cut->tally->first_violation, "%s  %s", where,
                            complaint);
        if (size < 0) {
            abort();
        }
    }
}

/* ---- one cut */

/* What a node has kept to is judged by the models from the last durable one on. */
static struct promise history_from(const struct log_history *told, const struct promise *promise,
                                   struct log_history *history)
{
    struct promise shifted = *promise;
    *history = (struct log_history){0};
    for (size_t i = promise->log_done; i <= promise->log_begun; i++) {
        log_history_add(history, &told->models[i]);
    }
    shifted.log_begun -= shifted.log_done;
    shifted.log_done = 0;
    return shifted;
}

/* Stops, and finds the same again without any cut. */
static void check_once_more(struct crash_node *node)
{
    crash_node_stop(node);
    size_t last = node->history.count - 1;
    struct promise exactly = {.log_done = last, .log_begun = last, .state_durable = node->submitted,
                              .state_begun = node->submitted, .installed_index = node->submitted};
    if (node->complaint[0] == '\0') {
        crash_node_start(node, &exactly);
        crash_node_stop(node);
    }
}

static void cut_again(const struct cut *cut, const struct recording *recording, const struct crash_node *node,
                      const struct promise *promise, struct chance *chance);

static void restart(const struct cut *cut, const struct log_history *told, const struct promise *promise,
                    const struct scratch_dir *root, struct chance *chance)
{
    struct crash_node node;
    crash_node_init(&node, scratch_path(root, "node"), cut->telling->ledger);
    struct promise shifted = history_from(told, promise, &node.history);
    node.peer_snapshot = cut->telling->peer_snapshot;
    bool recorded = !cut->again && chance_one_in(chance, AGAIN_ONE_IN);
    struct recording *recording = recorded ? recording_start(root->path) : NULL;
    crash_node_start(&node, &shifted);
    struct promise again = shifted;
    again.log_done = again.log_begun = node.start_model;
    again.state_durable = again.state_begun = node.start_index;
    crash_node_replay(&node);
    if (chance_one_in(chance, 2)) {
        crash_node_carry_on(&node);
    }
    crash_node_stop(&node);
    if (recorded) {
        recording_stop(recording);
    }
    if (chance_one_in(chance, 4)) {
        check_once_more(&node);
    }
    if (node.complaint[0] != '\0') {
        violation(cut, node.complaint);
    } else if (recorded) {
        cut_again(cut, recording, &node, &again, chance);
    }
    if (recorded) {
        recording_free(recording);
    }
    crash_node_close(&node);
}

/* False when that kind of cut is none here. */
static bool make_cut(const struct cut *cut, struct disk_image *image, const struct log_history *told,
                     const struct promise *promise, struct chance *chance)
{
    if (!disk_image_cut(image, cut->kind, chance)) {
        return false;
    }
    tell_where(cut);
    digest_count(cut->tally, disk_image_digest(image));
    if (cut->again) {
        cut->tally->tried_again++;
    } else {
        cut->tally->tried[cut->kind]++;
    }
    struct scratch_dir root = scratch_dir_make();
    disk_image_write(image, root.path);
    restart(cut, told, promise, &root, chance);
    scratch_dir_remove(&root);
    return true;
}

/* ---- all cuts of a recording */

static bool is_boundary(const struct recording *recording, size_t event)
{
    static const bool ends_sync[] = {[DISK_SYNC_ENDED] = true, [DISK_FOLDER_SYNC] = true, [DISK_WRITE_DURABLE] = true,
                                     [DISK_NOTE] = false};
    return event == recording->events_count || ends_sync[recording->events[event].kind];
}

/* Cuts are made right before what changes the disk: all that was promised until then counts. */
static bool is_place(const struct recording *recording, size_t event)
{
    return event == recording->events_count || recording->events[event].kind != DISK_NOTE;
}

static void take_notes(const struct recording *recording, size_t from, size_t to, struct promise *promise)
{
    for (size_t i = from; i < to; i++) {
        if (recording->events[i].kind == DISK_NOTE) {
            promise_note(promise, &recording->events[i]);
        }
    }
}

static void cut_again(const struct cut *cut, const struct recording *recording, const struct crash_node *node,
                      const struct promise *promise, struct chance *chance)
{
    struct disk_lies none = {0};
    for (unsigned i = 0; i < AGAIN_CUTS; i++) {
        struct cut other = *cut;
        other.again = true;
        other.event = chance_below(chance, recording->events_count + 1);
        other.kind = (enum cut_kind)chance_below(chance, CUT_KINDS);
        struct promise then = *promise;
        take_notes(recording, 0, other.event, &then);
        struct disk_image *image = disk_image_new(recording, none);
        disk_image_advance(image, other.event);
        (void)make_cut(&other, image, &node->history, &then, chance);
        disk_image_free(image);
    }
}

static bool has_ended(const struct cut *cut)
{
    return cut->options->end_at_first && cut->tally->violations > 0;
}

static void cut_everywhere(struct cut cut)
{
    const struct recording *recording = cut.telling->recording;
    struct disk_image *image = disk_image_new(recording, cut.options->lies);
    struct promise promise = cut.telling->promise;
    size_t noted = 0;
    for (size_t event = 0; event <= recording->events_count && !has_ended(&cut); event++) {
        if (!is_place(recording, event)) {
            continue;
        }
        disk_image_advance(image, event);
        take_notes(recording, noted, event, &promise);
        noted = event;
        cut.event = event;
        bool boundary = is_boundary(recording, event);
        cut.tally->boundaries += boundary;
        struct chance chance = chance_of(cut.telling->seed, 3, event);
        if (!boundary && !chance_one_in(&chance, cut.options->others_one_in)) {
            continue;
        }
        unsigned only = boundary ? CUT_KINDS : (unsigned)chance_below(&chance, CUT_KINDS);
        for (unsigned kind = 0; kind < CUT_KINDS && !has_ended(&cut); kind++) {
            if (kind == only || (boundary && (kind == CUT_NOTHING || disk_image_pending(image) > 0))) {
                cut.kind = (enum cut_kind)kind;
                (void)make_cut(&cut, image, &cut.telling->node.history, &promise, &chance);
            }
        }
    }
    if (!has_ended(&cut)) {
        const char *difference;
        disk_image_advance(image, recording->events_count);
        if (!disk_image_equals_files(image, &difference)) {
            violation(&cut, difference);
        }
    }
    disk_image_free(image);
}

void outage_try(const struct story *story, uint64_t seed, const struct outage_options *options,
                struct outage_tally *tally)
{
    struct telling telling;
    story_tell(story, seed, options->sabotage, &telling);
    tally->tellings++;
    struct cut cut = {.telling = &telling, .options = options, .tally = tally, .story = story->name};
    if (telling.node.complaint[0] != '\0') {
        tell_where(&cut);
        violation(&cut, telling.node.complaint);
    } else {
        cut_everywhere(cut);
    }
    telling_close(&telling);
}
