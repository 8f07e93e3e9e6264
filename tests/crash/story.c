/* What nodes go through while the power is cut. */
#include "tests/crash/story.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/files.h"

#define LEDGER_LENGTH 150u
#define BUSY_STEPS 46u
#define PEER_INDEX 60u
#define GROUP_MAX 6u
#define META_MAGIC_OFFSET 16u

/* ---- steps */

static uint64_t below(struct telling *telling, uint64_t count)
{
    return chance_below(&telling->chance, count);
}

static const struct log_bounds *bounds_of(const struct telling *telling)
{
    return &log_history_last(&telling->node.history)->bounds;
}

/* The next entries that are agreed upon, over whatever a rival left. At least one. */
static struct log_operation next_append(struct telling *telling, struct entry **entries)
{
    uint64_t agreed = crash_node_agreed(&telling->node);
    size_t count = 1 + below(telling, GROUP_MAX);
    assert(agreed + count <= telling->ledger->last_index);
    for (size_t i = 0; i < count; i++) {
        entries[i] = telling->ledger->lines[agreed + 1 + i].entry;
    }
    return (struct log_operation){.kind = LOG_APPEND, .first_index = agreed + 1, .entries = entries,
                                  .entries_count = count};
}

/* A term that the entries need is noted before them, sometimes in a group of its own. */
static void vote_for(struct telling *telling, const struct log_operation *operation)
{
    uint64_t term = operation->entries[operation->entries_count - 1]->term;
    if (term > bounds_of(telling)->term) {
        crash_node_log(&telling->node, (struct log_operation){.kind = LOG_SET_VOTE, .term = term,
                                                              .voted_for = 1 + below(telling, 3)});
    }
}

static void step_append(struct telling *telling)
{
    struct entry *entries[GROUP_MAX];
    struct log_operation operation = next_append(telling, entries);
    vote_for(telling, &operation);
    crash_node_log(&telling->node, operation);
}

/* A leader that nobody follows leaves entries behind. */
static void step_rival(struct telling *telling)
{
    struct entry *entries[3];
    size_t count = 1 + below(telling, 3);
    for (size_t i = 0; i < count; i++) {
        entries[i] = ledger_rival(telling->ledger, bounds_of(telling)->term);
    }
    crash_node_log(&telling->node, (struct log_operation){.kind = LOG_APPEND, .entries = entries,
                                                          .first_index = bounds_of(telling)->last_index + 1,
                                                          .entries_count = count});
}

static void step_vote(struct telling *telling)
{
    crash_node_log(&telling->node, (struct log_operation){.kind = LOG_SET_VOTE, .voted_for = 1 + below(telling, 3),
                                                          .term = bounds_of(telling)->term + below(telling, 2)});
}

static void step_apply(struct telling *telling)
{
    uint64_t agreed = crash_node_agreed(&telling->node), submitted = telling->node.submitted;
    if (agreed > submitted) {
        crash_node_apply(&telling->node, submitted + 1 + below(telling, agreed - submitted));
    }
}

static void step_commit(struct telling *telling)
{
    step_apply(telling);
    crash_node_commit_begin(&telling->node);
    crash_node_commit_wait(&telling->node);
}

static void step_idle(struct telling *telling)
{
    crash_node_idle(&telling->node);
}

static void step_prune(struct telling *telling)
{
    struct crash_node *node = &telling->node;
    uint64_t bound = telling->sabotage.prunes_early ? node->submitted : node->durable_index;
    uint64_t first_index = bounds_of(telling)->first_index;
    if (bound >= first_index) {
        uint64_t to = first_index + 1 + (chance_one_in(&telling->chance, 2) ? bound - first_index
                                                                            : below(telling, bound + 1 - first_index));
        crash_node_log(node, (struct log_operation){.kind = LOG_PRUNE, .first_index = to});
    }
}

/* The state is in the middle of a commit while the log writes a whole group. */
static void step_log_within_commit(struct telling *telling)
{
    struct crash_node *node = &telling->node;
    step_append(telling);
    step_apply(telling);
    if (node->progress.committed_index == node->submitted) {
        return;
    }
    recording_hold_sync(STATE_FILE);
    crash_node_commit_begin(node);
    recording_wait_held();
    step_append(telling);
    recording_let_go();
    crash_node_commit_wait(node);
}

/* The log is in the middle of a group while the state commits; what comes meanwhile makes up the next group. */
static void step_commit_within_log(struct telling *telling)
{
    struct crash_node *node = &telling->node;
    struct entry *entries[GROUP_MAX], *more[GROUP_MAX];
    step_apply(telling);
    struct log_operation operation = next_append(telling, entries);
    vote_for(telling, &operation);
    recording_hold_sync(LOG_FILE);
    crash_node_log_begin(node, operation);
    recording_wait_held();
    crash_node_commit_begin(node);
    crash_node_commit_wait(node);
    if (chance_one_in(&telling->chance, 2)) {
        crash_node_log_begin(node, (struct log_operation){.kind = LOG_SET_VOTE, .term = bounds_of(telling)->term + 1,
                                                          .voted_for = 2});
        crash_node_log_begin(node, next_append(telling, more));
    }
    recording_let_go();
    crash_node_log_wait(node);
}

static void step_snapshot(struct telling *telling)
{
    crash_node_take_snapshot(&telling->node);
}

static void step_restart(struct telling *telling)
{
    struct crash_node *node = &telling->node;
    crash_node_stop(node);
    size_t last = node->history.count - 1;
    struct promise exactly = {.log_done = last, .log_begun = last, .state_durable = node->submitted,
                              .state_begun = node->submitted};
    crash_node_start(node, &exactly);
}

static const struct {
    unsigned weight;
    void (*take)(struct telling *telling);
} steps[] = {{5, step_append}, {1, step_rival},           {2, step_vote},              {4, step_commit},
             {3, step_idle},   {3, step_prune},           {2, step_log_within_commit}, {2, step_commit_within_log},
             {1, step_snapshot}, {1, step_restart}};

static void take_any_step(struct telling *telling)
{
    uint64_t weights = 0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        weights += steps[i].weight;
    }
    uint64_t place = below(telling, weights);
    size_t i = 0;
    while (place >= steps[i].weight) {
        place -= steps[i++].weight;
    }
    steps[i].take(telling);
}

static void take_steps(struct telling *telling, unsigned count)
{
    uint64_t needed = 2 * GROUP_MAX; /* by one step at most */
    for (unsigned i = 0; i < count && telling->node.complaint[0] == '\0' &&
                         crash_node_agreed(&telling->node) + needed <= telling->ledger->last_index;
         i++) {
        take_any_step(telling);
    }
}

/* ---- before the recording */

/* A node of `dir` that has applied and keeps entries up to `index`, and is left running. */
static void run_up_to(struct crash_node *node, const char *dir, struct ledger *ledger, uint64_t index)
{
    static const struct promise nothing;
    crash_node_init(node, dir, ledger);
    log_history_begin(&node->history);
    crash_node_start(node, &nothing);
    for (uint64_t at = 1; at <= index; at++) {
        struct entry *entry = ledger->lines[at].entry;
        if (entry->term > log_history_last(&node->history)->bounds.term) {
            crash_node_log(node, (struct log_operation){.kind = LOG_SET_VOTE, .term = entry->term, .voted_for = 1});
        }
        crash_node_log(node, (struct log_operation){.kind = LOG_APPEND, .first_index = at, .entries = &entry,
                                                    .entries_count = 1});
        if (chance_one_in(&(struct chance){at}, 5)) {
            crash_node_apply(node, at);
            crash_node_idle(node);
        }
    }
    crash_node_apply(node, index);
    crash_node_idle(node);
}

static void peer_takes_snapshot(struct telling *telling)
{
    struct crash_node peer;
    struct snapshot *snapshot = NULL;
    struct storage_failure failure;
    run_up_to(&peer, telling->peer_root.path, telling->ledger, PEER_INDEX);
    if (snapshot_take(peer.state, peer.dir, &snapshot, &failure) != STORAGE_OK) {
        abort();
    }
    int size = snprintf(telling->peer_snapshot, sizeof telling->peer_snapshot, "%s", snapshot->path);
    assert(size > 0 && (size_t)size < sizeof telling->peer_snapshot);
    snapshot_free(snapshot);
    crash_node_stop(&peer);
    crash_node_close(&peer);
}

/* The node has been up to `index`, with the log from `first_index` on, and is down. */
static void node_has_been(struct telling *telling, uint64_t first_index, uint64_t index)
{
    struct crash_node *node = &telling->node;
    char dir[300];
    memcpy(dir, node->dir, sizeof dir);
    crash_node_close(node);
    run_up_to(node, dir, telling->ledger, index);
    crash_node_log(node, (struct log_operation){.kind = LOG_PRUNE, .first_index = first_index});
    crash_node_stop(node);
    node->peer_snapshot = telling->peer_snapshot;
    telling->promise.log_done = telling->promise.log_begun = node->history.count - 1;
    telling->promise.state_durable = telling->promise.state_begun = index;
    telling->promise.claimed = true;
    telling->promise.boot = node->boot;
}

static void damage_state(struct telling *telling)
{
    char path[PATH_SIZE_BYTES];
    struct storage_failure failure;
    bool joined = path_join(path, telling->node.dir, STATE_FILE, &failure) == STORAGE_OK;
    assert(joined);
    scratch_file_flip(path, META_MAGIC_OFFSET);
    telling->promise.state_damaged = true;
}

/* ---- the stories */

static void nothing_before(struct telling *telling)
{
    log_history_begin(&telling->node.history);
}

static void is_busy(struct telling *telling)
{
    take_steps(telling, BUSY_STEPS);
}

static void was_away(struct telling *telling)
{
    peer_takes_snapshot(telling);
    node_has_been(telling, 3, 12);
}

static void gets_snapshot(struct telling *telling)
{
    struct crash_node *node = &telling->node;
    take_steps(telling, 4);
    if (telling->sabotage.resets_early) {
        crash_node_log(node, (struct log_operation){.kind = LOG_RESET, .first_index = PEER_INDEX + 1});
    }
    crash_node_fetch_snapshot(node);
    take_steps(telling, 10);
}

static void was_damaged(struct telling *telling)
{
    node_has_been(telling, 1, 25);
    damage_state(telling);
}

static void replays_all(struct telling *telling)
{
    crash_node_replay(&telling->node);
    take_steps(telling, 8);
}

static void was_damaged_and_pruned(struct telling *telling)
{
    peer_takes_snapshot(telling);
    node_has_been(telling, 20, 30);
    damage_state(telling);
}

static void goes_on(struct telling *telling)
{
    take_steps(telling, 8);
}

const struct story stories[] = {
    {"a busy node, from its first start on", nothing_before, is_busy},
    {"a node that fell behind gets a snapshot", was_away, gets_snapshot},
    {"a damaged state is rebuilt from the log", was_damaged, replays_all},
    {"a damaged state is rebuilt from a peer", was_damaged_and_pruned, goes_on},
};
const size_t stories_count = sizeof stories / sizeof stories[0];

void story_tell(const struct story *story, uint64_t seed, struct sabotage sabotage, struct telling *telling)
{
    *telling = (struct telling){.seed = seed,
                                .sabotage = sabotage,
                                .chance = chance_of(seed, 2, (uint64_t)(story - stories)),
                                .root = scratch_dir_make(),
                                .peer_root = scratch_dir_make(),
                                .ledger = ledger_new(seed, LEDGER_LENGTH)};
    crash_node_init(&telling->node, scratch_path(&telling->root, "node"), telling->ledger);
    story->before(telling);
    telling->node.claims_early = sabotage.claims_early;
    telling->node.forgets_recovering = sabotage.forgets_recovering;
    telling->recording = recording_start(telling->root.path);
    crash_node_start(&telling->node, &telling->promise);
    story->then(telling);
    crash_node_stop(&telling->node);
    recording_stop(telling->recording);
}

void telling_close(struct telling *telling)
{
    recording_free(telling->recording);
    crash_node_close(&telling->node);
    ledger_free(telling->ledger);
    scratch_dir_remove(&telling->root);
    scratch_dir_remove(&telling->peer_root);
}
