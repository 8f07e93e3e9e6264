/*
 * People of the company who may change nothing of it, or not see its secret: whatever somebody asks for, these ask for it, too.
 *
 *     Eve       an observer in no team               nothing changes
 *     a token   of an administrator, of no person    sees no secret either, and may change the rest
 *     Mallory   an observer, and manager of a team     changes and makes what is the team's, and no more (reach.h)
 *
 * The secret is an incident of the category security, with an alert, a note, an acknowledgement and pages that were sent.
 */
#ifndef TESTS_FUZZ_ONLOOKERS_H
#define TESTS_FUZZ_ONLOOKERS_H

#include "tests/support/api_fixture.h"

/* Keeps a copy of the company, with these people in it. */
void onlookers_begin(const struct api_fixture *company);
/* Each of them asks the company this, as it was in the beginning, with their own token in place of whichever was there. Ends the
 * program when an answer shows the secret, or the company is not as it was: unless `changes`, for what needs no right. */
void onlookers_try(const struct api_question *question, bool changes);

#endif
