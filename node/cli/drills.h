/* Verbs of the command line about page-delivery drills. */
#ifndef NODE_CLI_DRILLS_H
#define NODE_CLI_DRILLS_H

#include "node/cli/client.h"

int run_drills(struct client *client, char *const *arguments);
/* `arguments`: the id. */
int run_drill(struct client *client, char *const *arguments);

#endif
