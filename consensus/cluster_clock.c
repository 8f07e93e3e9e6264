/*
 * Cluster time.
 *
 *     stamp = anchor + time since it was seen (CLOCK_BOOTTIME) + slew        the anchor: the last stamp seen live
 *
 * The slew is at most CLUSTER_CLOCK_SLEW_PPM of the time since, in whole milliseconds; stamps that follow each other
 * closely keep the fraction for the next one. Reports of peers are kept as the peer's wall clock at a CLOCK_BOOTTIME,
 * so that a jump of our own wall clock shows at once as ours.
 */
#include "consensus/cluster_clock.h"

#include <assert.h>
#include <string.h>

#include "consensus/machine/planted.h"

#define PARTS_PER_MILLION 1000000

void cluster_clock_init(struct cluster_clock *clock, uint64_t self, unsigned members)
{
    memset(clock, 0, sizeof *clock);
    clock->self = self;
    clock->members = members;
}

void cluster_clock_set_members(struct cluster_clock *clock, unsigned members)
{
    clock->members = members;
}

void cluster_clock_floor(struct cluster_clock *clock, uint64_t stamp_ms)
{
    if (stamp_ms > clock->last_stamp_ms)
        clock->last_stamp_ms = stamp_ms;
}

static void anchor(struct cluster_clock *clock, uint64_t stamp_ms, uint64_t boottime_ms)
{
    clock->seen_live = true;
    clock->seen_stamp_ms = stamp_ms;
    clock->seen_boottime_ms = boottime_ms;
    cluster_clock_floor(clock, stamp_ms);
}

void cluster_clock_saw(struct cluster_clock *clock, uint64_t stamp_ms, uint64_t boottime_ms)
{
    /* A stamp seen before is no news: taking it for the present would stop the clock for as long as it took to come
     * back here. */
    if (clock->seen_live && stamp_ms <= clock->seen_stamp_ms)
        return;
    anchor(clock, stamp_ms, boottime_ms);
    clock->slew_fraction = 0;
}

static uint64_t since_ms(uint64_t then_ms, uint64_t now_ms)
{
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

void cluster_clock_peer(struct cluster_clock *clock, uint64_t peer, uint64_t peer_wall_ms, uint64_t wall_ms,
                        uint64_t boottime_ms)
{
    if (peer == clock->self || peer_wall_ms > CLUSTER_CLOCK_WALL_MS_MAX || wall_ms > CLUSTER_CLOCK_WALL_MS_MAX)
        return;
    unsigned place = 0, oldest = 0;
    while (place < clock->peers_count && clock->peers[place].id != peer) {
        if (clock->peers[place].at_boottime_ms < clock->peers[oldest].at_boottime_ms)
            oldest = place;
        place++;
    }
    if (place == CLUSTER_CLOCK_PEERS_MAX)
        place = oldest;
    else if (place == clock->peers_count)
        clock->peers_count++;
    clock->peers[place].id = peer;
    clock->peers[place].wall_ms = peer_wall_ms;
    clock->peers[place].offset_ms = (int64_t)peer_wall_ms - (int64_t)wall_ms;
    clock->peers[place].at_boottime_ms = boottime_ms;
}

/* The wall clocks known now, sorted. */
struct walls {
    uint64_t ms[CLUSTER_CLOCK_PEERS_MAX + 1];
    unsigned count;
};

static void walls_add(struct walls *walls, uint64_t ms)
{
    unsigned place = walls->count++;
    for (; place > 0 && walls->ms[place - 1] > ms; place--)
        walls->ms[place] = walls->ms[place - 1];
    walls->ms[place] = ms;
}

static struct walls known_walls(const struct cluster_clock *clock, uint64_t wall_ms, uint64_t boottime_ms)
{
    struct walls walls = {.count = 0};
    walls_add(&walls, wall_ms < CLUSTER_CLOCK_WALL_MS_MAX ? wall_ms : CLUSTER_CLOCK_WALL_MS_MAX);
    for (unsigned i = 0; i < clock->peers_count; i++) {
        uint64_t age_ms = since_ms(clock->peers[i].at_boottime_ms, boottime_ms);
        if (age_ms <= CLUSTER_CLOCK_OPINION_MS)
            walls_add(&walls, clock->peers[i].wall_ms + age_ms);
    }
    return walls;
}

/* Of an even number the earlier one: to be late can be made up for, what fired too early cannot. */
static uint64_t median(const struct walls *walls)
{
    assert(walls->count > 0);
    return walls->ms[(walls->count - 1) / 2];
}

/* A majority within the bound of each other includes the median, so it is enough to look around that. */
static bool majority_agrees(const struct cluster_clock *clock, const struct walls *walls)
{
    uint64_t middle_ms = median(walls);
    unsigned agreeing = 0;
    for (unsigned i = 0; i < walls->count; i++) {
        uint64_t apart_ms = since_ms(middle_ms, walls->ms[i]) + since_ms(walls->ms[i], middle_ms);
        agreeing += apart_ms <= CLUSTER_CLOCK_AGREEMENT_MS;
    }
    return agreeing > clock->members / 2;
}

struct reading {
    uint64_t stamp_ms;
    uint64_t slew_fraction; /* left for the next reading, in millionths of a millisecond */
};

static struct reading run_on(const struct cluster_clock *clock, uint64_t wall_ms, uint64_t boottime_ms)
{
    uint64_t elapsed_ms = since_ms(clock->seen_boottime_ms, boottime_ms);
    uint64_t base_ms = clock->seen_stamp_ms + elapsed_ms;
    uint64_t allowance = elapsed_ms * CLUSTER_CLOCK_SLEW_PPM + clock->slew_fraction;
    uint64_t slew_ms_max = allowance / PARTS_PER_MILLION;
    struct reading reading = {base_ms, allowance % PARTS_PER_MILLION};
    struct walls walls = known_walls(clock, wall_ms, boottime_ms);
    if (!majority_agrees(clock, &walls))
        return reading;
    uint64_t ahead_ms = since_ms(base_ms, median(&walls)), behind_ms = since_ms(median(&walls), base_ms);
    reading.stamp_ms += ahead_ms < slew_ms_max ? ahead_ms : slew_ms_max;
    reading.stamp_ms -= behind_ms < slew_ms_max ? behind_ms : slew_ms_max;
    return reading;
}

static struct reading read_clock(const struct cluster_clock *clock, uint64_t wall_ms, uint64_t boottime_ms)
{
    struct reading reading = {0, 0};
    if (clock->seen_live) {
        reading = run_on(clock, wall_ms, boottime_ms);
    } else {
        struct walls walls = known_walls(clock, wall_ms, boottime_ms);
        reading.stamp_ms = median(&walls);
    }
    if (planted(CLOCK_JUMP_ACCEPTED))
        reading.stamp_ms = wall_ms;
    if (reading.stamp_ms < clock->last_stamp_ms)
        reading.stamp_ms = clock->last_stamp_ms;
    return reading;
}

uint64_t cluster_clock_stamp(struct cluster_clock *clock, uint64_t wall_ms, uint64_t boottime_ms)
{
    struct reading reading = read_clock(clock, wall_ms, boottime_ms);
    anchor(clock, reading.stamp_ms, boottime_ms);
    clock->slew_fraction = reading.slew_fraction;
    return reading.stamp_ms;
}

uint64_t cluster_clock_now(const struct cluster_clock *clock, uint64_t wall_ms, uint64_t boottime_ms)
{
    return read_clock(clock, wall_ms, boottime_ms).stamp_ms;
}

bool cluster_clock_offset(const struct cluster_clock *clock, uint64_t peer, uint64_t boottime_ms, int64_t *offset_ms)
{
    for (unsigned i = 0; i < clock->peers_count; i++) {
        if (clock->peers[i].id != peer ||
            since_ms(clock->peers[i].at_boottime_ms, boottime_ms) > CLUSTER_CLOCK_OPINION_MS)
            continue;
        *offset_ms = clock->peers[i].offset_ms;
        return true;
    }
    return false;
}

bool cluster_clock_agreed(const struct cluster_clock *clock, uint64_t boottime_ms)
{
    /* Our own wall clock is not asked for: the latest report tells it, run on since. */
    uint64_t wall_ms = 0, at_boottime_ms = 0;
    for (unsigned i = 0; i < clock->peers_count; i++) {
        if (clock->peers[i].at_boottime_ms < at_boottime_ms)
            continue;
        at_boottime_ms = clock->peers[i].at_boottime_ms;
        wall_ms = (uint64_t)((int64_t)clock->peers[i].wall_ms - clock->peers[i].offset_ms);
    }
    struct walls walls = known_walls(clock, wall_ms + since_ms(at_boottime_ms, boottime_ms), boottime_ms);
    return majority_agrees(clock, &walls);
}
