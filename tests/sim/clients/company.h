/*
 * Whom the simulated cluster works for: people, how they are reached, escalation policies, services, integrations. Set
 * up over HTTP as any customer would, and edited while escalations run.
 *
 * Addresses are one person's and one channel's only, so that a delivery says whom it reached.
 */
#ifndef TESTS_SIM_CLIENTS_COMPANY_H
#define TESTS_SIM_CLIENTS_COMPANY_H

#include "tests/sim/clients/client.h"

#define PEOPLE_MAX 8u
#define METHODS_MAX 6u /* of a person, at a time */
#define RULES_MAX 8u
#define ADDRESSES_MAX 64u /* of a person, ever */
#define POLICIES_MAX 6u
#define LEVELS_MAX 3u
#define SCHEDULES_MAX 3u
#define WINDOWS_MAX 4u
#define MUTES_MAX 3u
#define SERVICES_MAX 8u
#define INTEGRATIONS_MAX 32u /* ever */
#define DRILLS_MAX 2u        /* at a time */

enum company_channel { COMPANY_SMS, COMPANY_VOICE, COMPANY_PUSH, COMPANY_EMAIL, COMPANY_WEBHOOK, COMPANY_CHANNELS };

struct method {
    char id[HISTORY_ID_SIZE]; /* "": not there */
    enum company_channel channel;
    char address[64];
};

struct rule {
    char id[HISTORY_ID_SIZE]; /* "": not there */
    unsigned method, delay_minutes;
    bool high;
};

struct person {
    char id[HISTORY_ID_SIZE];
    const char *name;
    char email[64];
    struct method methods[METHODS_MAX];
    struct rule rules[RULES_MAX];
    unsigned methods_count, rules_count; /* places used, some of them empty again */
    char addresses[ADDRESSES_MAX][64];
    unsigned addresses_count;
    bool busy; /* something of this person is being edited */
};

struct rota {
    char id[HISTORY_ID_SIZE];
    char override[HISTORY_ID_SIZE]; /* the last one that was made; "": none */
    char swap[HISTORY_ID_SIZE];     /* the last offer of shifts, taken or not; "": none */
};

struct quiet_time {
    char id[HISTORY_ID_SIZE]; /* "": not there */
    uint64_t start_s;
    bool busy;
};

struct quiet_wish { /* a mute, or a silence */
    char id[48]; /* "": not there */
    bool silence, busy;
};

struct policy {
    char id[HISTORY_ID_SIZE];
    char name[32];
    unsigned levels;
    bool busy;
};

struct service {
    char id[HISTORY_ID_SIZE];
    char name[32];
    unsigned policy;
    bool busy;
    bool disabled;      /* asked for last */
    bool disabled_ever; /* or asked for: its events may be dropped */
    bool gathers;       /* puts alerts together, or gives them time to pass: its events may open nothing of their own */
    bool quiet_ever;    /* in maintenance, or to be: its events may open nothing */
};

struct integration {
    char id[HISTORY_ID_SIZE]; /* "": being made */
    char key[40];
    unsigned service;
    bool gone; /* deleted, or about to be */
};

struct company_drill {
    char id[HISTORY_ID_SIZE]; /* "": not there */
    bool busy, enabled;
};

struct company {
    struct sim *sim;
    struct client *client;
    struct history *history;
    unsigned minute_ms;
    struct person people[PEOPLE_MAX];
    struct rota schedules[SCHEDULES_MAX];
    struct policy policies[POLICIES_MAX];
    struct service services[SERVICES_MAX];
    struct quiet_time windows[WINDOWS_MAX];
    struct quiet_wish mutes[MUTES_MAX];
    bool muted_ever; /* or asked for: any event may open nothing */
    struct integration integrations[INTEGRATIONS_MAX];
    struct company_drill drills[DRILLS_MAX];
    unsigned people_count, schedules_count, policies_count, services_count, integrations_count;
    unsigned extras;               /* policies and users made only to be deleted again, and drills: how many there were */
    char visitor[HISTORY_ID_SIZE]; /* the user who is here only for a while; "": there is none */
    char visitors_policy[HISTORY_ID_SIZE];
    bool visited;       /* somebody comes, is here or leaves */
    unsigned under_way; /* requests of the set-up */
    void (*done)(void *context);
    void *context;
};

struct company *company_new(struct sim *sim, struct client *client, struct history *history, unsigned minute_ms);
void company_free(struct company *company);

/* Makes everything over HTTP; `done` when the last of it is answered. */
void company_set_up(struct company *company, void (*done)(void *context), void *context);

/* Whose address this is, PEOPLE_MAX for nobody's. */
unsigned company_person_at(const struct company *company, const char *address);

/* An integration that takes events, by chance; INTEGRATIONS_MAX when there is none. */
unsigned company_some_integration(struct company *company);

/* ---- edits (company_edits.c) */

/* One edit by chance: of a user, contact method, rule, policy or service. */
void company_edit(struct company *company);
/* One deletion by chance: an integration that is replaced, a rule, a contact method, or a visitor who leaves. */
void company_delete(struct company *company);

/* ---- schedules (company_schedules.c) */

/* Part of the set-up. */
void company_make_schedules(struct company *company);
/* One change by chance: of a definition, or of who takes a time over. */
void company_edit_schedule(struct company *company);

/* ---- what keeps alerts from opening incidents */

/* One change by chance: a maintenance window made, moved or ended (company_windows.c). */
void company_edit_windows(struct company *company);
/* A mute or a silence (company_mutes.c). */
void company_edit_mutes(struct company *company);

/* ---- drills (company_drills.c) */

/* One step by chance: made, changed, turned on or off, run by hand, deleted. */
void company_edit_drill(struct company *company);

/* ---- for these files */

char *company_utc(uint64_t time_s); /* as ISO 8601 (free) */

/* A request of the set-up, counted in under_way, is answered. */
void company_step_done(struct company *company);

void company_ask(struct company *company, const char *method, char *target, char *body, bool refusable,
                 client_done done, void *context);              /* target and body are freed */
char *company_levels(struct company *company, unsigned levels); /* "[{...}]" by chance (free) */
char *company_alert_rules(struct company *company, unsigned service); /* "" for a service without (free) */
char *company_service_body(struct company *company, unsigned service, unsigned timeout_s,
                           uint64_t revision); /* (free) */
unsigned company_some_timeout_s(struct company *company);
void company_address(struct company *company, unsigned person, enum company_channel channel, struct method *method);
const char *company_method_type(enum company_channel channel);
void company_add_integration(struct company *company, unsigned service, bool setting_up);
/* Takes the id out of {"name": {"id": ...}}. */
void company_take_id(const struct client_answer *answer, const char *name, char id[HISTORY_ID_SIZE]);

#endif
