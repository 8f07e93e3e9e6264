/*
 * Alerts that wait to hear whether a mute fits them: the leader reads them and the mutes, and has its verdicts committed.
 *
 * One command at a time is under way; when its entry is applied, what waits by then has its turn, or as much of it as the
 * loop can look at without others waiting for it. What the leader's state
 * does not show yet, because it is not committed there, is looked for again shortly. The machine lets an alert go that
 * hears nothing, so that nothing here can cost a page.
 */
#include <stdlib.h>

#include "consensus/machine/limits.h"
#include "node/engine/engine_internal.h"
#include "node/suppression/mute_match.h"

#define VERDICT_PATIENCE_MS 1000
#define LOOK_AGAIN_MS 5

static void submit_verdicts(struct engine *engine, Tocsin__MuteVerdict *verdicts, size_t count, uint64_t now_ms) {
    Tocsin__MuteVerdict *list[LIMIT_VERDICTS_PER_COMMAND];
    for (size_t i = 0; i < count; i++) list[i] = &verdicts[i];
    Tocsin__MuteVerdicts message = TOCSIN__MUTE_VERDICTS__INIT;
    message.revision = mute_set_revision(engine->mutes);
    message.n_verdicts = count;
    message.verdicts = list;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_MUTE_VERDICTS;
    command.mute_verdicts = &message;
    uint64_t last_index = driver_status(engine->driver).last_index;
    if (!proposer_submit_own(engine->proposer, &command)) return;
    engine->verdicts_after_index = last_index;
    engine->verdicts_sent_ms = now_ms;
}

/* Compiled anew only when they have changed. */
static void take_mutes(struct engine *engine, const struct machine_store *view) {
    Tocsin__Counters *counters = counters_get(view, NULL);
    uint64_t revision = counters != NULL ? counters->mutes_revision : 0;
    tocsin__counters__free_unpacked(counters, NULL);
    if (engine->mutes != NULL && mute_set_revision(engine->mutes) == revision) return;
    mute_set_free(engine->mutes);
    engine->mutes = mute_set_new(view);
}

void engine_mutes_turn(struct engine *engine) {
    uint64_t now_ms = engine_now_ms(engine);
    if (now_ms < engine_mutes_next_ms(engine)) return;
    engine->verdicts_looked_ms = now_ms;
    struct state_reader reader;
    struct storage_failure failure;
    if (engine->ports.reader_begin(engine->ports.context, &reader, &failure) != STORAGE_OK) {
        engine_fail(engine, failure.message);
        return;
    }
    Tocsin__MuteVerdict verdicts[LIMIT_VERDICTS_PER_COMMAND];
    take_mutes(engine, &reader.view);
    size_t count = mute_set_judge(engine->mutes, &reader.view, engine_cluster_ms(engine), verdicts);
    enum storage_error fault = engine->ports.reader_fault(engine->ports.context, &reader, &failure);
    engine->ports.reader_end(engine->ports.context, &reader);
    if (fault != STORAGE_OK) {
        engine_fail(engine, failure.message);
    } else if (count > 0) {
        submit_verdicts(engine, verdicts, count, now_ms);
    } else {
        engine->ports.state_want_commit(engine->ports.context);
    }
}

uint64_t engine_mutes_next_ms(const struct engine *engine) {
    if (!engine->mutes_asked) return UINT64_MAX;
    return engine->verdicts_sent_ms != 0 ? engine->verdicts_sent_ms + VERDICT_PATIENCE_MS : engine->verdicts_looked_ms + LOOK_AGAIN_MS;
}
