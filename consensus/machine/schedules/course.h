/* Inside the machine: who is on call in a schedule along a span of time, overrides and revisions minded. */
#ifndef CONSENSUS_MACHINE_SCHEDULES_COURSE_H
#define CONSENSUS_MACHINE_SCHEDULES_COURSE_H

#include "consensus/machine/apply.h"

/* From its moment on, until the next step's; 0 is nobody. */
struct course_step {
    uint64_t at_ms, user_id;
};

struct course {
    struct course_step *steps; /* the first at the beginning of the span; neighbours differ */
    size_t count;
};

/* As schedule_on_call would answer at each millisecond from `from_ms` up to and including `until_ms`. In the arena. */
struct course course_of(struct apply *, const Tocsin__Schedule *, uint64_t from_ms, uint64_t until_ms);

#endif
