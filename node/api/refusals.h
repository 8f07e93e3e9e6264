/* How PagerDuty's REST API words what the machine refused: one table from the reply's reason to the answer. */
#ifndef NODE_API_REFUSALS_H
#define NODE_API_REFUSALS_H

#include "consensus/machine/schema/schema.pb-c.h"

struct refusal {
    unsigned http_status;
    int code;               /* PagerDuty's own error code */
    const char *message;    /* the title of the error: "Invalid Input Provided" */
    const char *error_text; /* the one element of `errors`; NULL: the reply's message */
};

/*
 * Never NULL. The reason decides where clients compare texts or codes; otherwise the status alone does: a path that
 * leads nowhere is 404, everything else 400, conflicts included (PagerDuty has no 409).
 */
const struct refusal *refusal_for(Tocsin__Status status, Tocsin__Reason reason);

#endif
