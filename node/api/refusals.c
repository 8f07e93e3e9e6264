/*
 * Refusals in PagerDuty's words. Terraform compares the texts given here letter by letter
 * (contracts/pagerduty-rest-v2.md, section 5); everything else is told with the machine's own sentence.
 */
#include "node/api/refusals.h"

#include <assert.h>
#include <stddef.h>

#define INVALID_INPUT "Invalid Input Provided"

struct row {
    Tocsin__Reason reason;
    struct refusal refusal;
};

static const struct row rows_by_reason[] = {
    {TOCSIN__REASON__REASON_EMAIL_TAKEN, {400, 2001, INVALID_INPUT, "Email has already been taken"}},
    {TOCSIN__REASON__REASON_CONTACT_METHOD_TAKEN, {400, 2001, INVALID_INPUT, "User Contact method must be unique"}},
    {TOCSIN__REASON__REASON_NOTIFICATION_RULE_TAKEN,
     {400, 2001, INVALID_INPUT, "Channel Start delay must be unique for a given contact method"}},
    {TOCSIN__REASON__REASON_NAME_TAKEN, {400, 2001, INVALID_INPUT, "Name has already been taken"}},
    {TOCSIN__REASON__REASON_ALREADY_RESOLVED, {400, 1001, "Incident Already Resolved", NULL}},
    {TOCSIN__REASON__REASON_ALREADY_ACKNOWLEDGED, {400, 1002, "Incident Already Acknowledged", NULL}},
    {TOCSIN__REASON__REASON_BAD_SNOOZE, {400, 1013, "Invalid Snooze Duration", NULL}},
    {TOCSIN__REASON__REASON_SCHEDULE_IN_POLICY,
     {400, 2001, INVALID_INPUT, "Schedule can't be deleted if it's being used by escalation policies"}},
    {TOCSIN__REASON__REASON_STALE_REVISION, {409, 2001, INVALID_INPUT, NULL}},
    {TOCSIN__REASON__REASON_USER_IN_TEAM_POLICY,
     {400, 2001, INVALID_INPUT, "User cannot be removed as they belong to an escalation policy on this team"}},
    {TOCSIN__REASON__REASON_WINDOW_OVER, {405, 2001, INVALID_INPUT, NULL}}, /* Terraform: it is gone, then */
    {TOCSIN__REASON__REASON_MEMBER_ID_USED, {409, 2001, INVALID_INPUT, NULL}},
    {TOCSIN__REASON__REASON_MEMBER_ADDRESS_TAKEN, {409, 2001, INVALID_INPUT, NULL}},
    {TOCSIN__REASON__REASON_TOO_FEW_MEMBERS, {409, 2001, INVALID_INPUT, NULL}},
};

static const struct refusal not_found = {404, 2100, "Not Found", "Not Found"};
static const struct refusal invalid = {400, 2001, INVALID_INPUT, NULL};

const struct refusal *refusal_for(Tocsin__Status status, Tocsin__Reason reason)
{
    assert(status != TOCSIN__STATUS__STATUS_OK);
    if (status == TOCSIN__STATUS__STATUS_NOT_FOUND) {
        return &not_found;
    }
    for (size_t i = 0; i < sizeof rows_by_reason / sizeof *rows_by_reason; i++) {
        if (rows_by_reason[i].reason == reason) {
            return &rows_by_reason[i].refusal;
        }
    }
    return &invalid;
}
