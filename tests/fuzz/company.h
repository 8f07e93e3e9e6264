/*
 * The company that the requests of the fuzz target http_api are about: one of everything that the API has, made through the
 * API, so that its ids and keys are the same each time. company.c says what stands where.
 */
#ifndef TESTS_FUZZ_COMPANY_H
#define TESTS_FUZZ_COMPANY_H

#include "tests/support/api_fixture.h"

/* The caller's (api_fixture_free). Ends the program when a step is refused. */
struct api_fixture *company_new(void);

#endif
