/*
 * Who leads has a way out, or lets one lead that has: looked at twice a second, from outside. A leader that reaches no provider for as long as it may
 * take to notice, while a voter that reaches them all is heard and keeps up, should have handed over.
 */
#ifndef TESTS_SIM_JUDGE_WAY_OUT_H
#define TESTS_SIM_JUDGE_WAY_OUT_H

struct sim;

/* From now on, until the run ends. */
void way_out_start(struct sim *sim);

#endif
