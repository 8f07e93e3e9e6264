/* Verbs that look for holes before the night, and for reasons after it: coverage, why, test. */
#ifndef NODE_CLI_COVERAGE_H
#define NODE_CLI_COVERAGE_H

#include "node/cli/client.h"

/* [quiet] [team=ID] [severity=critical|warning|notice] [KIND ...]; EXIT_REFUSED when there are holes. */
int run_coverage(struct client *client, char *const *arguments);
/* INCIDENT [[--user] USER] */
int run_why(struct client *client, char *const *arguments);
/* SERVICE [SECONDS]; EXIT_REFUSED unless every step passed and somebody answered in time. */
int run_test(struct client *client, char *const *arguments);

#endif
