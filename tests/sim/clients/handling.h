/*
 * What responders do about incidents beside answering their pages: they make one by hand, give it to others, change its
 * urgency, put it off, merge several, write notes. By chance, and without a memory of their own.
 */
#ifndef TESTS_SIM_CLIENTS_HANDLING_H
#define TESTS_SIM_CLIENTS_HANDLING_H

#include "tests/sim/clients/company.h"

/* One such request. */
void handling_request(struct company *company);

/* Whoever was called to help says whether she does. */
void handling_answer_call(struct company *company, const char *person, uint64_t number);

/* One of the latest incidents that anybody has seen; NULL when there is none. */
const char *handling_some_incident(struct company *company);

#endif
