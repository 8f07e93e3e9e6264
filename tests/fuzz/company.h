/*
 * The company that fuzz targets try requests, commands and entries on: one of everything that the API has, made through the
 * API, so that its ids and keys are the same each time. company.c says what stands where.
 */
#ifndef TESTS_FUZZ_COMPANY_H
#define TESTS_FUZZ_COMPANY_H

#include "tests/support/api_fixture.h"

/* Made of the fixture's random bytes, which are the same each time. */
#define COMPANY_KEY "3c47d1aa629f57a38194cbbc9de20183"
#define COMPANY_SHOP_KEY "8d739c49fe2e4f6747c18d6b449486d8"
#define COMPANY_ORCHESTRATION_KEY "R788ba1dd68a64afbef352b49ca0f925"
#define COMPANY_CHECK "a3c38d34-5134-4ef2-b17a-895904c887dc"

/* The caller's (api_fixture_free). Ends the program when a step is refused. */
struct api_fixture *company_new(void);
/* The same once more, the caller's too: what is done to one does not show in the other. */
struct api_fixture *company_copy(const struct api_fixture *company);

#endif
