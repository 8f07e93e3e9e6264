/*
 * Who leads can do its duty, or lets one lead that can: looked at twice a second, from outside. A leader that reaches no provider, or whose disk is so
 * slow that it applies what the others committed when no claim is good any more, for as long as it may take to notice, while a voter without that
 * trouble is heard and keeps up, should have handed over.
 */
#ifndef TESTS_SIM_JUDGE_WAY_OUT_H
#define TESTS_SIM_JUDGE_WAY_OUT_H

struct sim;

/* From now on, until the run ends. */
void way_out_start(struct sim *sim);

#endif
