/*
 * Our outage is not theirs (P6), judged from outside through random hours.
 *
 * Jobs ping by their own schedules, a little late; some die. The cluster loses leaders for seconds (a ping waits and
 * gets through), and is gone for minutes now and then (a ping is lost, and the job does not try again before its next
 * time). Single nodes are cut off; some jobs know only one, and try on until it takes their ping.
 * The judge knows when each job tried and what was heard of it, and nothing of the machine's rules:
 *
 *     a job that lives is never paged for, unless the only node that it knows is away for longer than two graces;
 *     one that died is: within its period and grace, or that after an outage, and at most one grace more for what
 *     else went wrong
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define SEEDS 60u
#define JOBS 6u
#define SECONDS (2u * 3600)
#define WAIT_S 5u /* a request waits so long for a leader */
#define NODES 3u
#define NOTICED_S 3u /* so long after it is away the leader says so */
#define OUTAGE_S 6u  /* and more */
#define OUTAGES_MAX 3u /* that may each hide a job's next try: then a job that lives is held to be dead */

struct job {
    uint64_t id;
    uint32_t period_s, grace_s;
    uint64_t first_s;  /* its schedule: this and every period later */
    uint64_t next_s;   /* the next try, with what it is late by */
    unsigned tries;
    uint64_t dies_s;   /* UINT64_MAX: never in this run */
    uint64_t heard_s;  /* of the last ping that was taken */
    uint64_t tried_s;  /* one that waits for a leader, or for the only node; 0: none */
    uint64_t outage_end_s; /* of the last one since it was heard; 0: none */
    uint64_t leaderless_s; /* seconds since it was heard */
    bool node_away;        /* some node was, since it was heard */
    uint64_t only_node;    /* that it knows; 0: it knows them all */
    bool heard, paged, lost; /* lost: its only node is away for too long */
};

struct world {
    struct machine_fixture *f;
    uint64_t random, now_s;
    unsigned seed;
    struct job jobs[JOBS];
    uint64_t away_node, away_s, back_s; /* who is cut off, from when until when */
};

static uint64_t chance(struct world *world, uint64_t below)
{
    world->random ^= world->random << 13; /* xorshift64: G. Marsaglia, "Xorshift RNGs", 2003 */
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (world->random >> 11) % below;
}

static void apply(struct world *world, Tocsin__Command__BodyCase body_case, void *body)
{
    Tocsin__Command command = fixture_command();
    command.body_case = body_case;
    command.event = body; /* the pointers of all bodies are one */
    assert_int_equal(fixture_apply(world->f, &command)->status, TOCSIN__STATUS__STATUS_OK);
}

static void job_begin(struct world *world, struct job *job, uint64_t service_id)
{
    char key[40], name[] = "job";
    snprintf(key, sizeof key, "00000000-0000-4000-8000-%012u", (unsigned)(job - world->jobs));
    job->period_s = 60 * (uint32_t)(1 + chance(world, 20));
    job->grace_s = 60 * (uint32_t)(1 + chance(world, 2 + 3 * job->period_s / 60));
    job->first_s = job->next_s = 1 + chance(world, job->period_s);
    job->dies_s = chance(world, 2) == 0 ? UINT64_MAX : chance(world, SECONDS);
    job->only_node = chance(world, NODES + 1);
    Tocsin__Heartbeat given = TOCSIN__HEARTBEAT__INIT;
    given.key = key;
    given.name = name;
    given.service_id = service_id;
    given.period_s = job->period_s;
    given.grace_s = job->grace_s;
    Tocsin__HeartbeatPut put = TOCSIN__HEARTBEAT_PUT__INIT;
    put.heartbeat = &given;
    apply(world, TOCSIN__COMMAND__BODY_HEARTBEAT_PUT, &put);
    job->id = world->f->reply->ids[0];
}

/* ---------------------------------------------------------------- the judge */

static bool is_down(struct world *world, const struct job *job)
{
    Tocsin__HeartbeatState *state = heartbeat_state_get(&world->f->store, job->id, NULL);
    assert_non_null(state);
    bool down = state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_DOWN;
    tocsin__heartbeat_state__free_unpacked(state, NULL);
    return down;
}

static void judge(struct world *world, struct job *job)
{
    unsigned seed = world->seed, number = (unsigned)(job - world->jobs);
    bool dead = world->now_s >= job->dies_s;
    if (is_down(world, job) && !job->paged) {
        job->paged = true;
        if ((!dead && !job->lost) || world->now_s < job->heard_s + job->period_s + job->grace_s) {
            fail_msg("seed %u: job %u (%u s, grace %u s) was paged for at %llu s; last heard at %llu s, %s", seed,
                     number, job->period_s, job->grace_s, (unsigned long long)world->now_s,
                     (unsigned long long)job->heard_s, dead ? "too early" : "and it lives");
        }
    }
    uint64_t from_s = job->outage_end_s != 0 ? job->outage_end_s : job->heard_s;
    uint64_t more_s = job->leaderless_s < job->grace_s && !job->node_away ? job->leaderless_s : job->grace_s;
    uint64_t bound_s = from_s + job->period_s + job->grace_s + more_s + 2;
    if (dead && job->heard && !job->paged && world->now_s > bound_s) {
        fail_msg("seed %u: job %u (%u s, grace %u s) died at %llu s, was last heard at %llu s and is not paged for at "
                 "%llu s",
                 seed, number, job->period_s, job->grace_s, (unsigned long long)job->dies_s,
                 (unsigned long long)job->heard_s, (unsigned long long)world->now_s);
    }
}

/* ---------------------------------------------------------------- one node is away */

static bool is_away(const struct world *world, uint64_t node)
{
    return node != 0 && node == world->away_node && world->now_s < world->back_s;
}

static void node_leaves(struct world *world)
{
    world->away_node = 1 + chance(world, NODES);
    world->away_s = world->now_s;
    world->back_s = world->now_s + 1 + chance(world, 600);
    for (struct job *job = world->jobs; job < world->jobs + JOBS; job++) {
        bool endured = 2 * job->grace_s - job->grace_s / 4 > world->back_s - world->away_s + 2 * WAIT_S;
        job->lost |= job->only_node == world->away_node && !endured;
    }
}

/* ---------------------------------------------------------------- time */

static void hear(struct world *world, struct job *job)
{
    Tocsin__Ping ping = TOCSIN__PING__INIT;
    ping.heartbeat_id = job->id;
    apply(world, TOCSIN__COMMAND__BODY_PING, &ping);
    job->heard_s = world->now_s;
    job->heard = true;
    job->paged = job->lost = false;
    job->outage_end_s = 0;
    job->leaderless_s = 0;
    job->node_away = false;
    job->tried_s = 0;
}

/* A second passes for the jobs: who is due tries. */
static void jobs_try(struct world *world)
{
    for (struct job *job = world->jobs; job < world->jobs + JOBS; job++) {
        job->node_away |= is_away(world, world->away_node);
        if (job->tried_s != 0 && is_away(world, job->only_node)) {
            job->tried_s = world->now_s; /* anew */
        }
        if (world->now_s >= job->tried_s + WAIT_S || world->now_s >= job->dies_s) {
            job->tried_s = 0;
        }
        if (world->now_s >= job->dies_s || world->now_s < job->next_s) {
            continue;
        }
        job->tried_s = world->now_s;
        job->tries++;
        /* up to an eighth of the grace late: two such differ by less than a quarter, with the time that a ping waits */
        uint64_t late_s = chance(world, job->grace_s / 8 > 0 ? job->grace_s / 8 : 1);
        job->next_s = job->first_s + (uint64_t)job->tries * job->period_s + late_s;
    }
}

static void blind_second(struct world *world)
{
    world->now_s++;
    fixture_advance(world->f, 1000);
    jobs_try(world);
}

static void seeing_second(struct world *world)
{
    blind_second(world);
    Tocsin__UnheardMember unheard = TOCSIN__UNHEARD_MEMBER__INIT, *pointer = &unheard;
    Tocsin__Tick tick = TOCSIN__TICK__INIT;
    unheard.id = world->away_node;
    unheard.silent_ms = (world->now_s - world->away_s) * 1000;
    tick.unheard = &pointer;
    tick.n_unheard = is_away(world, world->away_node) && unheard.silent_ms > NOTICED_S * 1000;
    apply(world, TOCSIN__COMMAND__BODY_TICK, &tick);
    if (chance(world, 2) == 0) { /* a pulse may come before the pings of its second, or behind them */
        fixture_pulse(world->f, LIMIT_PULSE_DEADLINES);
    }
    for (struct job *job = world->jobs; job < world->jobs + JOBS; job++) {
        if (job->tried_s != 0 && !is_away(world, job->only_node)) {
            hear(world, job);
        }
    }
    while (machine_next_deadline_ms(&world->f->store) <= world->f->now_ms) {
        fixture_pulse(world->f, LIMIT_PULSE_DEADLINES);
    }
    for (struct job *job = world->jobs; job < world->jobs + JOBS; job++) {
        judge(world, job);
    }
}

static void gap(struct world *world, uint64_t seconds, bool outage)
{
    for (uint64_t i = 1; i < seconds; i++) {
        blind_second(world);
    }
    for (struct job *job = world->jobs; job < world->jobs + JOBS; job++) {
        job->outage_end_s = outage ? world->now_s + 1 : job->outage_end_s;
        job->leaderless_s += outage ? 0 : seconds;
    }
    seeing_second(world);
}

/* Leaders are lost in spells of flapping. */
static void hours(struct world *world)
{
    uint64_t outage_s = chance(world, SECONDS), flapping_s = chance(world, SECONDS), leaves_s = chance(world, SECONDS);
    unsigned outages = 0;
    while (world->now_s < SECONDS) {
        bool flaps = world->now_s >= flapping_s && world->now_s < flapping_s + 120;
        bool whole = world->now_s >= world->back_s;
        if (whole && world->now_s >= leaves_s) {
            leaves_s = world->now_s + chance(world, SECONDS);
            node_leaves(world);
        } else if (whole && world->now_s >= outage_s && outages < OUTAGES_MAX) {
            outages++;
            outage_s = world->now_s + chance(world, SECONDS);
            gap(world, OUTAGE_S + chance(world, 1800), true);
        } else if (chance(world, flaps ? 2 : 300) == 0) {
            gap(world, 2 + chance(world, 4), false);
        } else {
            seeing_second(world);
        }
    }
}

static unsigned run(unsigned seed)
{
    struct world world = {.f = fixture_new(), .random = (seed + 1) * 0x9e3779b97f4a7c15ull, .seed = seed};
    uint64_t alice = fixture_user(world.f, "Alice");
    fixture_method(world.f, alice, TOCSIN__CHANNEL__CHANNEL_SMS, "15550001");
    struct fixture_level levels[] = {{30, {alice}}};
    uint64_t policy_id = fixture_policy(world.f, 0, 1, levels);
    uint64_t service_id = fixture_service(world.f, policy_id, TOCSIN__URGENCY__URGENCY_HIGH, 0, 0);
    unsigned paged = 0;
    world.f->unchecked = true;
    for (unsigned i = 0; i < JOBS; i++) {
        job_begin(&world, &world.jobs[i], service_id);
    }
    hours(&world);
    for (unsigned i = 0; i < JOBS; i++) {
        paged += world.jobs[i].paged;
    }
    fixture_free(world.f);
    return paged;
}

static void our_outage_is_not_theirs(void **state)
{
    (void)state;
    unsigned paged = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        paged += run(seed);
    }
    assert_in_range(paged, SEEDS, JOBS * SEEDS); /* there was something to judge */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(our_outage_is_not_theirs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
