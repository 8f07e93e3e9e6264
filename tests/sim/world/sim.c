/* Time, chance, the story and the verdict; one run from its seed. */
#include "tests/sim/world/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/world/sim_internal.h"

/* ---- chance: xoshiro256** by Blackman and Vigna, seeded by splitmix64 */

static uint64_t rotated(uint64_t value, unsigned bits) { return value << bits | value >> (64 - bits); }

static uint64_t next_random(uint64_t state[4]) {
    uint64_t result = rotated(state[1] * 5, 7) * 9, shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotated(state[3], 45);
    return result;
}

void sim_seed(struct sim *sim, uint64_t seed) {
    sim->seed = seed;
    for (unsigned i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t mixed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
        sim->random[i] = mixed ^ mixed >> 31;
    }
}

uint64_t sim_random(struct sim *sim, uint64_t below) {
    assert(below > 0);
    return next_random(sim->random) % below;
}

bool sim_chance(struct sim *sim, unsigned permille) { return sim_random(sim, 1000) < permille; }

uint64_t sim_between(struct sim *sim, uint64_t first, uint64_t last) { return first + sim_random(sim, last - first + 1); }

/* ---- time */

uint64_t sim_now_ms(const struct sim *sim) { return sim->now_ms; }

void sim_at(struct sim *sim, uint64_t time_ms, void (*run)(void *context), void *context) {
    events_add(&sim->events, time_ms > sim->now_ms ? time_ms : sim->now_ms, run, context);
}

void sim_run_until(struct sim *sim, uint64_t end_ms) {
    struct event event;
    while (sim->violation[0] == '\0' && events_take(&sim->events, end_ms, &event)) {
        sim->now_ms = event.time_ms;
        event.run(event.context);
    }
    if (sim->violation[0] == '\0') sim->now_ms = end_ms;
}

/* ---- the story and the verdict */

static void print_time(const struct sim *sim) {
    uint64_t ms = sim->now_ms - SIM_START_MS;
    printf("%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "  ", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

void sim_tell(struct sim *sim, const char *format, ...) {
    if (!sim->traced) return;
    va_list arguments;
    va_start(arguments, format);
    print_time(sim);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void sim_violation(struct sim *sim, const char *format, ...) {
    if (sim->violation[0] != '\0') return;
    uint64_t ms = sim->now_ms - SIM_START_MS;
    int length = snprintf(sim->violation, sizeof sim->violation, "at %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 ": ",
                          ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->violation + length, sizeof sim->violation - (size_t)length, format, arguments);
    va_end(arguments);
    sim_tell(sim, "VIOLATION: %s", sim->violation);
}

void sim_count(struct sim *sim, const char *name, uint64_t times) {
    for (unsigned i = 0; i < sim->counts_count; i++) {
        if (sim->counts[i].name == name || strcmp(sim->counts[i].name, name) == 0) {
            sim->counts[i].times += times;
            return;
        }
    }
    assert(sim->counts_count < SIM_COUNTS_MAX);
    sim->counts[sim->counts_count++] = (struct sim_counter){name, times};
}

bool sim_troubled(const struct sim *sim) { return sim->troubled; }
