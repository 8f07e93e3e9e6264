/* Inside of why: what was found, for the sentences about it. */
#ifndef NODE_API_COVERAGE_WHY_H
#define NODE_API_COVERAGE_WHY_H

#include "node/api/resource.h"

/* People of one answer: more are not listed, and the answer says so. */
#define PEOPLE_MAX 200u

/* A page that a provider took, by the timeline. */
struct told {
    uint64_t notification_id, at_ms;
    const char *provider, *provider_id;
};

/* What the incident has to do with one person. */
struct concerned {
    uint64_t user_id;
    uint64_t first_sent_ms;   /* the first page that went out; 0: none did */
    Tocsin__Channel channel;  /* of that page, */
    uint32_t level;           /* its level, */
    uint64_t rule_id;         /* and the rule that it came from; 0: the defaults */
    uint64_t assigned_at_ms;  /* by the first level or request that named the person; 0: none did */
    char *assigned_text;      /* in the words of the timeline */
    char *untold_text;        /* the last reason why the person could not be told; NULL: none */
    uint64_t acknowledged_at_ms; /* the first time; 0: never */
    Tocsin__Why why_ended;    /* of a page that was not sent */
    bool owed, failed;
    uint64_t ahead_ms; /* the first rule still to come; 0: none */
    json_t *pages, *ahead;
};

struct why {
    struct http_request *request;
    const struct machine_store *view;
    const Tocsin__Incident *incident;
    struct concerned people[PEOPLE_MAX];
    size_t people_count;
    bool more_people;
    json_t *decisions, *rules, *guardians;
    const Tocsin__LogEntry *first_level, *last_level; /* the first and the last decision about people */
    const Tocsin__LogEntry *stopped; /* the last that ended the escalation: acknowledged, snoozed, resolved; NULL: none since */
    struct told *told;
    size_t told_count, told_capacity;
};

/* ---- why_sentences.c */

/* "somebody who is gone" for who is not there any more. */
const char *why_name(struct why *why, uint64_t user_id);
/* Why this person was paged or was not. */
json_t *why_sentence(struct why *why, const struct concerned *person);
/* Which urgency the incident has, and why. */
json_t *why_urgency(struct why *why);

#endif
