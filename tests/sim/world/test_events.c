/* What happens when: in the order of times and of setting, near and far, however taking and setting are mixed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world/events.h"

#define STEPS 200000u
#define WAITING_MAX 512u

static uint64_t chance;

static uint64_t below(uint64_t limit) {
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (chance >> 33) % limit;
}

static void nothing(void *context) { (void)context; }

/* A reference that looks at everything each time. */
struct waiting {
    uint64_t time_ms;
    uintptr_t number;
};
static struct waiting waiting[WAITING_MAX];
static unsigned waiting_count;

static unsigned next_waiting(void) {
    unsigned best = 0;
    for (unsigned i = 1; i < waiting_count; i++) {
        bool sooner = waiting[i].time_ms != waiting[best].time_ms ? waiting[i].time_ms < waiting[best].time_ms : waiting[i].number < waiting[best].number;
        if (sooner) best = i;
    }
    return best;
}

static uint64_t some_delay_ms(void) {
    switch (below(6)) {
    case 0: return 0;
    case 1: return below(3);
    case 2: return below(100);
    case 3: return EVENTS_NEAR_MS - 2 + below(4);
    case 4: return below(3 * EVENTS_NEAR_MS);
    default: return below(100) == 0 ? 86400000 : below(EVENTS_NEAR_MS);
    }
}

/* Time stands at the event that was taken last, or where nothing came any more; what is set is set for then or later. */
static void events_come_in_order(void **state) {
    (void)state;
    struct events *events = calloc(1, sizeof *events);
    assert_non_null(events);
    chance = 20261122;
    uint64_t now_ms = 1790000000000;
    uintptr_t numbers = 0;
    unsigned taken = 0, refused = 0;
    waiting_count = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned crowd = i / 1000 % 2 == 0 ? 3 : WAITING_MAX; /* by turns nearly empty and full */
        if (waiting_count < crowd && below(2) == 0) {
            uint64_t time_ms = now_ms + some_delay_ms();
            waiting[waiting_count++] = (struct waiting){time_ms, ++numbers};
            events_add(events, time_ms, nothing, (void *)numbers);
            continue;
        }
        uint64_t until_ms = now_ms + some_delay_ms();
        struct event event;
        unsigned next = next_waiting();
        if (!events_take(events, until_ms, &event)) {
            assert_true(waiting_count == 0 || waiting[next].time_ms > until_ms);
            now_ms = until_ms;
            refused++;
            continue;
        }
        assert_true(waiting_count > 0);
        assert_int_equal(event.time_ms, waiting[next].time_ms);
        assert_int_equal((uintptr_t)event.context, waiting[next].number);
        assert_true(event.time_ms <= until_ms && event.run == nothing);
        now_ms = event.time_ms;
        waiting[next] = waiting[--waiting_count];
        taken++;
    }
    assert_true(taken > STEPS / 4 && refused > STEPS / 100);
    events_close(events);
    free(events);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(events_come_in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
