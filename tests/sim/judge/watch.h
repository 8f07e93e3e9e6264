/*
 * What a leader that is well does, looked at twice a second from outside: its clock runs on, what is due is handled, what it
 * has claimed is sent. A leader that others wait for, or that stands still, is not looked at. And voters that lost what they
 * had acknowledged: they must not vote.
 */
#ifndef TESTS_SIM_JUDGE_WATCH_H
#define TESTS_SIM_JUDGE_WATCH_H

struct sim;

/* From now on, until the run ends. */
void watch_start(struct sim *sim);

/* At the end, when everything is whole: the reasons that the timelines give are those that there were. */
void watch_finish(struct sim *sim);

#endif
