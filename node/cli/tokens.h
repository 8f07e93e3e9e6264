/* Verbs of the command line about who is let in. */
#ifndef NODE_CLI_TOKENS_H
#define NODE_CLI_TOKENS_H

#include "node/cli/client.h"

int run_teams(struct client *client, char *const *arguments);
/* `arguments` is ended by NULL. */
int run_token(struct client *client, char *const *arguments);

#endif
