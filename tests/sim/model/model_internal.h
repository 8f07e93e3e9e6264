/*
 * Inside the model: its picture of the company and of what is owed. Plain lists, searched from end to end.
 *
 *     model.c             entries and commands, repeats, answers     model_company.c  people, services, policies
 *     model_escalation.c  who has an incident, and what comes next   model_pulse.c    what is due, in order
 *     model_changes.c     what the outside asks for                  model_pages.c    pages: owed, claimed, ended
 *     model_requests.c    requests; the end                          model_compare.c  the picture held against a state
 *     model_heartbeats.c  jobs, and times in which nobody heard them         model_schedules.c who is on call (model_swaps.c: by agreement)
 *     model_news.c        what belongs to no incident                model_alerts.c   what senders say, and where it counts
 *     model_handling.c    what people do with an incident           model_grouping.c which alerts are one trouble
 *     model_turns.c       levels whose people take turns
 *     model_suppression.h what keeps alerts from opening incidents for a time
 */
#ifndef TESTS_SIM_MODEL_MODEL_INTERNAL_H
#define TESTS_SIM_MODEL_MODEL_INTERNAL_H

#include "consensus/machine/limits.h"
#include "tests/sim/model/model.h"
#include "tests/support/plain_cron.h"

#define LIST(type)                                                                                                    \
    struct {                                                                                                          \
        type *items;                                                                                                  \
        size_t count, capacity;                                                                                       \
    }
/* Room for one more, zeroed; the new end of the list. */
void *model_list_room(void *items, size_t count, size_t *capacity, size_t item_size);
#define list_add(list)                                                                                                \
    ((list)->items =                                                                                                  \
         model_list_room((list)->items, (list)->count, &(list)->capacity, sizeof *(list)->items),                     \
     &(list)->items[(list)->count++])
void model_list_close_gap(void *items, size_t *count, size_t index, size_t item_size);
#define list_remove(list, index) model_list_close_gap((list)->items, &(list)->count, index, sizeof *(list)->items)

/* ---- the company */

struct person {
    uint64_t id;
    char *name, *email;
};

/* A way to reach somebody. */
struct way {
    uint64_t id, person_id;
    Tocsin__Channel channel;
    char *address;
    uint32_t country_code;
    char *guardian; /* name of the guardian whose it is; NULL for a person's */
};

struct rule {
    uint64_t id, person_id, way_id;
    bool low;
    uint32_t delay_minutes;
};

#define MODEL_PEOPLE_PER_LEVEL 50u
#define MODEL_LEVELS 20u
struct policy {
    uint64_t id;
    char *name;
    unsigned repeats, levels_count;
    bool low_moves; /* at low urgency, too, a level's time ends */
    uint64_t last_turns[MODEL_LEVELS]; /* who, or which schedule, had the last turn of a level */
    struct {
        uint32_t delay_minutes;
        bool by_turns;
        uint32_t schedule_places[MODEL_PEOPLE_PER_LEVEL]; /* among all who are named */
        unsigned people_count, schedules_count;
        uint64_t people[MODEL_PEOPLE_PER_LEVEL], schedules[MODEL_PEOPLE_PER_LEVEL];
    } levels[MODEL_LEVELS];
};

/* By what the alerts of a service are one trouble, and for how long. */
struct grouping {
    enum { GROUPED_NOT, GROUPED_BY_TIME, GROUPED_BY_CONTENT } how;
    bool from_first;  /* counted from the first alert, for so many minutes (0: for ever); else from one to the next */
    uint32_t minutes, gap_s;
    bool any; /* of the fields */
    char *fields[LIMIT_GROUPING_FIELDS];
    size_t fields_count;
};

struct service {
    uint64_t id, policy_id;
    char *name;
    Tocsin__Urgency urgency;
    uint32_t acknowledgement_timeout_s, auto_resolve_timeout_s;
    uint32_t pause_s; /* in which an alert may pass by itself */
    struct grouping grouping;
    bool disabled;
};

struct source { /* an integration */
    uint64_t id, service_id;
    char *key;
};

/* What belongs to no incident. */
struct news {
    uint64_t id;
    unsigned grants, requests;
};

/* Somebody takes a time of a schedule over. */
struct takeover {
    uint64_t id, start_ms, end_ms, person_id;
    uint64_t swap_id; /* that it is of, and then it has no id here; 0: none */
};

enum swap_state { SWAP_STANDS, SWAP_DONE, SWAP_UNDONE };

struct swap {
    uint64_t id, schedule_id, giver_id, start_ms, end_ms;
    uint64_t asked_id;                       /* 0: whoever of the schedule takes it */
    uint64_t return_start_ms, return_end_ms; /* 0: for nothing */
    enum swap_state state;
    uint64_t taker_id;
};

struct schedule {
    uint64_t id;
    uint32_t revision, ahead_s; /* the clocks on its walls, of UTC */
    Tocsin__Schedule *definition; /* as it was asked for */
    LIST(struct takeover) takeovers;
    struct {
        uint64_t at_ms, before, after; /* who was on call, and who is */
    } changed;                         /* last */
};

enum life { LIFE_NEW, LIFE_UP, LIFE_DOWN, LIFE_PAUSED };

/* A job that is to say now and then that it lives. */
struct heartbeat {
    uint64_t id, service_id;
    char key[40];
    enum life life;
    uint32_t period_s, grace_s;
    bool manual_resume, post_only;
    bool has_cron; /* then not the period counts, but: */
    struct plain_cron cron;
    uint64_t told_until_ms; /* the last of its moments that the log tells */
    uint64_t expected_ms;   /* while it is up: the moment that it is waited for; 0: not told */
    uint64_t heard_ms;   /* last */
    uint64_t started_ms; /* 0: it does not run */
    char run[40];
    uint64_t look_ms; /* 0: nothing is expected */
};

/* A time without entries, while there were heartbeats. */
struct gap {
    uint64_t from_ms, until_ms;
    uint64_t short_ms, outage_ms; /* what of it was blind: both only in what several have become */
};

/* A node that the leader did not hear. */
struct absence {
    uint64_t node;
    uint64_t from_ms, told_ms, until_ms;
    bool goes_on;
};

/* ---- what is owed */

enum page_state {
    PAGE_OWED,    /* nobody has claimed it */
    PAGE_CLAIMED, /* somebody is sending it */
    PAGE_WAITING, /* for its next attempt */
    PAGE_SENT,
    PAGE_FAILED,
    PAGE_CANCELLED
};

/* Leave to send once. */
struct claim {
    uint64_t index, term, node, boot, boottime_ms;
    uint32_t attempt;
    bool marked; /* its message must say that it is possibly repeated */
    bool used;
};
#define MODEL_CLAIMS_KEPT 8u
#define MODEL_WAYS_PER_PERSON 20u

struct page {
    uint64_t id; /* what the machine calls it; 0 before it said so */
    uint64_t sequence;
    struct way to; /* as it was when the page was owed; its texts are the page's own */
    char *name;    /* of the person */
    unsigned assignment, level, pass;
    const char *reason;
    uint32_t delay_minutes;
    uint64_t owed_ms, owed_true_ms;
    uint64_t call;         /* for help, that it tells of; 0: a page */
    enum page_state state;
    uint64_t due_ms;       /* of the next attempt, or when the claim lapses */
    uint64_t over_true_ms; /* somebody acknowledged or resolved; 0: not yet */
    bool possibly_repeated;
    uint32_t attempt, failures, receipts;
    uint64_t failed_ways[MODEL_WAYS_PER_PERSON + 1]; /* tried in vain before this one */
    size_t failed_ways_count;
    struct claim claims[MODEL_CLAIMS_KEPT]; /* the latest, in order */
    size_t claims_count;
    uint32_t requests;
    struct claim last_request;    /* the claim that it used */
    Tocsin__Outcome last_outcome; /* of the last request, as far as the log says */
    bool lapsed_since;            /* no word came of it in time */
    uint64_t ended_true_ms;
};

/* One synthetic page. */
struct drill_run {
    uint64_t drill_id, id; /* id: of its notification; 0: not known yet */
    Tocsin__Channel channel;
    char *address;
    unsigned grants, told, requests, refusals; /* told: grants that the machine handed over */
};

enum drill_how { DRILL_ENDED_WELL, DRILL_ENDED_LATE, DRILL_ENDED_BADLY, DRILL_ENDED_UNSEEN };

struct drill_end {
    uint64_t at_ms;
    enum drill_how how;
};

struct drill {
    uint64_t id;
    Tocsin__Channel channel;
    char *address;
    uint32_t interval_s, objective_ms, target_permille, window_days;
    bool disabled, told;
    uint64_t next_ms;                /* 0: never */
    LIST(struct drill_end) ends; /* within the window, when the last run ended */
    /* The last run. */
    bool under_way, by_hand;
    size_t run; /* among the model's */
    enum page_state state;
    uint64_t begun_ms, claimed_ms, patience_ends_ms, look_ms; /* look: the next attempt, or when the claim lapses */
    uint64_t term, node, boot;
    unsigned failures;
};

/* Somebody is to be told later. */
struct plan {
    uint64_t due_ms, sequence, person_id, way_id;
    unsigned assignment;
    uint32_t delay_minutes;
};

/* Somebody was asked to help. */
struct helper {
    uint64_t person_id;
    enum { HELPER_ASKED, HELPER_JOINED, HELPER_DECLINED } answer;
};

/* What a sender says under one key, until it says that it is over. */
struct alert {
    uint64_t source_id;
    char *dedup_key;
    uint64_t heard_ms; /* last */
    bool over;
};

enum incident_status { TRIGGERED, ACKNOWLEDGED, RESOLVED };

struct incident {
    uint64_t number, id; /* id 0: not known yet */
    uint64_t service_id, policy_id;
    enum incident_status status;
    uint64_t status_since_ms;
    bool low;
    char *key; /* made by request, under this key; NULL: none */
    LIST(struct alert) alerts;
    uint64_t opened_ms, closed_true_ms;
    uint64_t group_first_ms, group_last_ms; /* it took an alert of a kind */
    LIST(uint64_t) people;
    LIST(uint64_t) acknowledged_by;
    LIST(struct helper) helpers;
    unsigned level; /* counted from 1; 0: given to people by hand */
    unsigned pass;
    unsigned assignment; /* counts each time that it was given to somebody */
    bool exhausted;
    uint64_t next_level_ms, acknowledgement_ends_ms, guardians_ms, auto_resolve_ms, snooze_ends_ms; /* 0: not */
    LIST(struct plan) plans; /* those of earlier assignments, too, until they are due */
    LIST(struct page *) pages;
};

/* An alert that a sender, or the cluster itself, says fires. */
struct firing {
    uint64_t source_id, service_id;
    const char *dedup_key;
    Tocsin__Severity severity;
    uint64_t heard_ms; /* its last trigger */
    const char *kinds; /* see model_grouping.c */
};

/* Which incident took the last alert of a kind. */
struct group {
    uint64_t service_id, number;
    char *kind;
};

/* What is due of alerts that are held back; of one instant in this order. */
struct held_due {
    enum { HELD_NOTHING_DUE, HELD_ENDS, HELD_LOOKED_AT, HELD_WINDOW_ENDS, HELD_WINDOW_WARNS, HELD_MUTE_ENDS } kind;
    uint64_t due_ms, object, sub_object;
};
struct held;
struct suppression;

/* ---- the log so far */

/* Which commands of a node were seen, by their numbers. */
struct origin {
    uint64_t node, boot, highest;
    uint64_t *seen; /* [number % window] is the number */
};

/* An answer that holds for a repeated request. */
struct promise {
    Tocsin__ActorKind actor_kind;
    uint64_t actor_id;
    char *key;
    Tocsin__Command__BodyCase body;
    uint64_t at_ms;
};

/* A claim that the entry at hand has granted, until the machine says so, too. */
struct grant {
    struct incident *incident;
    struct page *page;
    uint32_t attempt;
    bool told;
};

struct model {
    void (*violation)(void *context, const char *sentence);
    void *context;
    void (*silent)(void *context, const char *key);
    void *silent_context;
    struct model_counts counts;

    LIST(struct person) people;
    LIST(struct way) ways;
    LIST(struct way) former_ways; /* as they were before this entry changed or deleted them */
    LIST(struct rule) rules;
    LIST(struct policy *) policies;
    LIST(struct service) services;
    LIST(struct source) sources;
    LIST(struct way) guardians;
    LIST(struct schedule) schedules;
    LIST(struct swap) swaps;
    LIST(struct takeover) passing; /* only while a swap is taken */
    LIST(struct news) news;
    LIST(struct heartbeat) heartbeats;
    LIST(struct gap) gaps; /* in their order */
    LIST(struct absence) absences;
    bool blindness_untold;
    LIST(struct drill *) drills;
    LIST(struct drill_run) drill_runs; /* all that ever began */
    LIST(char *) conditions; /* what nodes have told of each other, and is not over */
    struct suppression *suppression;
    LIST(struct group) groups;
    uint64_t own_service_id; /* the cluster's; 0: there is none yet */
    uint32_t minute_ms;

    LIST(struct incident *) incidents; /* open ones, and closed ones for as long as something may still come of them */
    uint64_t last_number, last_named_number, last_sequence, last_call;

    LIST(struct origin) origins;
    LIST(struct promise) promises;
    LIST(struct grant) grants;

    /* The entry at hand. */
    uint64_t start_ms, now_ms, true_ms, swept_true_ms;
    uint64_t index, term, node, boot, boottime_ms;
    const Tocsin__Actor *actor;

    bool healed;
    uint64_t healed_true_ms, healed_ms;
};

/* ---- model.c */
void model_broken(struct model *, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *model_copy(const char *text);
uint64_t model_minutes_ms(const struct model *, uint32_t minutes);
/* Cluster time as hours of the story, "00:03:20.000". At most 8 are remembered at once. */
const char *model_clock(const struct model *, uint64_t time_ms);
/*
 * True when the machine did what was asked; a violation when it should not have, or should have. What it refuses for
 * the shape of a value or for a bound is its own affair: whoever asked was told. `reply` NULL: nobody was to be
 * answered, and `lawful` decides.
 */
bool model_accepted(struct model *, const Tocsin__Reply *reply, bool lawful, const char *what);
/* The name that was given to what was made; 0: none. */
uint64_t model_named(const Tocsin__Reply *reply);

/* ---- model_company.c */
/* Everything is given when something is made, and what `fields` names when it is changed. */
bool model_given(bool creation, uint64_t fields, unsigned number);
struct person *model_person(const struct model *, uint64_t id);
struct way *model_way(const struct model *, uint64_t person_id, uint64_t id);
/* Now, or when this entry began. */
bool model_way_leads_to(const struct model *, uint64_t person_id, uint64_t id, const char *address);
void model_former_ways_end(struct model *);
struct policy *model_policy(const struct model *, uint64_t id);
bool model_policies_name_schedule(const struct model *, uint64_t schedule_id);
struct service *model_service(const struct model *, uint64_t id);
struct source *model_source(const struct model *, const char *key);
const char *model_person_name(const struct model *, uint64_t id);
void model_company_forget(struct model *);
void model_company_command(struct model *, const Tocsin__Command *, const Tocsin__Reply *);

/* ---- model_escalation.c */
struct incident *model_incident_find(const struct model *, uint64_t number);
struct incident *model_incident_find_id(const struct model *, uint64_t id);
bool model_incident_has(const struct incident *, uint64_t person_id);
/* From this level of its policy on, in the first pass; from where it stands. */
void model_incident_begin_policy(struct model *, struct incident *, unsigned level);
void model_incident_walk_levels(struct model *, struct incident *);
void model_incident_give_by_hand(struct model *, struct incident *, const uint64_t *people, size_t count);
void model_incident_tell_by_hand(struct model *, struct incident *);
/* The same people hear of it anew. */
void model_incident_tell_again(struct model *, struct incident *);
/* What a node was answered while there was no majority. */
void model_incident_report(struct model *, const Tocsin__LastGaspReport *);
void model_incident_acknowledge(struct model *, struct incident *, uint64_t person_id); /* 0: nobody by name */
void model_incident_resolve(struct model *, struct incident *);
void model_incident_person_deleted(struct model *, uint64_t person_id);
/* A person's time to be told has come. */
void model_incident_plan_due(struct model *, struct incident *, struct plan);
void model_incident_next_level_due(struct model *, struct incident *);
/* There is a way to tell this person of something so urgent. */
bool model_person_can_be_told(struct model *, uint64_t person_id, bool low);
void model_incident_acknowledgement_ends(struct model *, struct incident *);
void model_incident_guardians_due(struct model *, struct incident *);
void model_incident_auto_resolve_due(struct model *, struct incident *);
void model_incident_snooze_ends(struct model *, struct incident *);
/* Nothing is on its way any more, and nobody was told: on to the next level. */
void model_incident_settle(struct model *, struct incident *);
/* A person is told now that help is wanted: by the ways that come first by his or her rules. */
void model_incident_call(struct model *, struct incident *, uint64_t person_id, uint64_t call);
/* The people of a level at this moment; how many. */
#define MODEL_PEOPLE_OF_LEVEL (2u * MODEL_PEOPLE_PER_LEVEL)
size_t model_level_people(const struct model *, const struct policy *, unsigned level, uint64_t *people);
/* A way to a person is closed: the next one. */
void model_incident_way_failed(struct model *, struct incident *, const struct page *);

/* ---- model_changes.c */
void model_incident_event(struct model *, const Tocsin__Event *, const Tocsin__Reply *);
void model_incident_create(struct model *, const Tocsin__IncidentCreate *, const Tocsin__Reply *);
void model_incident_update(struct model *, const Tocsin__IncidentUpdate *, const Tocsin__Reply *);
/* The person who asks; 0: nobody by name. */
uint64_t model_acting_person(const struct model *);
/* The cluster itself says that something of this source is wrong, or right again. */
void model_incident_of_cluster(struct model *, uint64_t source_id, uint64_t service_id, bool wrong);
/* Whether what it noticed of this source is open, or held back. */
bool model_is_told_of(const struct model *, uint64_t source_id);
/* It was blind: it says so on a service of its own, which it makes when it is first needed. */
void model_incident_of_blindness(struct model *);
/* Nodes have noticed something about each other. */
void model_incident_of_condition(struct model *, const Tocsin__ClusterNotice *);
/* A drill was not delivered, or is again. */
void model_incident_of_drill(struct model *, const char *key, bool wrong);
/* Everything has been whole for long: what is still told of a member that is missing or lags is not true. */
void model_conditions_finish(struct model *);
void model_incidents_name(struct model *, const struct machine_store *names);
/* What the state calls the service of the cluster's own. */
void model_own_service_named(struct model *, uint64_t id);

/* ---- model_alerts.c */
/* The open alert of this source under this key, and whose it is; NULL when there is none. */
struct alert *model_alert_find(const struct model *, uint64_t source_id, const char *dedup_key, struct incident **);
void model_alert_add(struct incident *, uint64_t source_id, const char *dedup_key, uint64_t heard_ms);
/* With the last one that is open the incident is over. */
void model_alert_over(struct model *, struct incident *, struct alert *);
void model_alerts_move(struct incident *from, struct incident *to);
/* When the incident was last heard of: at its beginning, or by one of its alerts. */
uint64_t model_alerts_heard_ms(const struct incident *);
size_t model_alerts_open(const struct incident *);
void model_alerts_forget(struct incident *);

/* ---- model_grouping.c */
void model_grouping_set(struct service *, const Tocsin__AlertGrouping *);
/* Of which kinds an event of the service is; "" for none (free). */
char *model_grouping_kinds(const struct service *, const Tocsin__Event *);
/* The open incident of the service that takes alerts of one of these kinds; NULL: none. */
struct incident *model_group_of(const struct model *, const struct service *, const char *kinds);
/* The incident has just taken an alert of these kinds. */
void model_group_take(struct model *, struct incident *, const char *kinds);
void model_groups_forget(struct model *);

/* ---- model_handling.c */
/* False: the command is about something else. */
bool model_handling_command(struct model *, const Tocsin__Command *, const Tocsin__Reply *);
/* Was asked for help, and has not answered. */
bool model_helper_is_awaited(const struct incident *, uint64_t person_id);

/* What fires opens an incident. */
void model_alert_opens(struct model *, const struct firing *, const Tocsin__Reply *);

/* ---- model_held.c */
void model_suppression_begin(struct model *);
void model_suppression_forget(struct model *);
/* False: nothing holds it back. */
bool model_held_begin(struct model *, const struct firing *);
struct held *model_held_find(const struct model *, uint64_t source_id, const char *dedup_key);
/* It fires again, and says this now. */
void model_held_repeat(struct model *, struct held *, const struct firing *);
void model_held_resolve(struct model *, struct held *);
struct held_due model_held_first(const struct model *);
void model_held_sooner(struct held_due *first, struct held_due candidate);
void model_held_do(struct model *, const struct held_due *);
void model_held_describe(const struct model *, const struct held_due *, char *out, size_t size);
void model_held_name(struct model *, const struct machine_store *names);
bool model_held_compare(const struct model *, const struct machine_store *view, char *sentence, size_t size);

/* ---- model_mutes.c */
/* False: the command is about something else. */
bool model_mutes_command(struct model *, const Tocsin__Command *, const Tocsin__Reply *);

/* ---- model_windows.c */
/* False: the command is about something else. */
bool model_windows_command(struct model *, const Tocsin__Command *, const Tocsin__Reply *);
/* It was time to say that a window ends then. */
bool model_window_end_is_told(const struct model *, uint64_t end_ms);

/* ---- model_turns.c */
/* Whoever can be told and comes after the last one; 0: nobody. It is his or her turn then. */
uint64_t model_turn_next(struct model *, const struct incident *, struct policy *, unsigned level);

/* ---- model_pages.c */
bool model_page_under_way(const struct page *);
/* Somebody still has to be told. */
bool model_page_wanted(const struct model *, const struct incident *, const struct page *);
/* Owes a page by this way, and claims it for who proposed the entry. The caller fills the reason. */
struct page *model_page_owe(struct model *, struct incident *, const struct way *, const char *name,
                            const char *reason);
/* Nobody needs what is not being sent already; of one person, or (0) of all. */
void model_pages_withdraw(struct model *, struct incident *, uint64_t person_id);
void model_page_describe(const struct incident *, const struct page *, char *out, size_t size);
void model_page_due(struct model *, struct incident *, struct page *);
void model_pages_claim(struct model *, const Tocsin__Claim *, const Tocsin__Reply *);
void model_pages_receipt(struct model *, const Tocsin__Receipt *);
/* Holds what the machine handed over against what the entry granted. */
void model_pages_handed_over(struct model *, const struct machine_output *);
void model_page_free(struct page *);

/* ---- model_drills.c */
/* False: the command, receipt, claim or request is about something else. */
bool model_drills_command(struct model *, const Tocsin__Command *, const Tocsin__Reply *);
bool model_drills_receipt(struct model *, const Tocsin__Receipt *);
bool model_drills_claim(struct model *, uint64_t notification_id, bool *granted);
bool model_drills_request(struct model *, const struct model_request *);
/* Its next run is due; the run under way is to be tried again, or nothing was heard of it. */
void model_drill_due(struct model *, struct drill *);
void model_drill_looked_at(struct model *, struct drill *);
void model_drills_handed_over(struct model *, const Tocsin__Notification *);
void model_drills_all_handed_over(struct model *);
bool model_drills_compare(const struct model *model, const struct machine_store *view, char *sentence, size_t size);
void model_drills_forget(struct model *);

/* ---- model_heartbeats.c */
/* The entry at hand comes so long after the last one. */
void model_heartbeats_gap(struct model *, uint64_t since_ms);
/* False: the command is about something else. */
bool model_heartbeats_command(struct model *, const Tocsin__Command *, const Tocsin__Reply *);
bool model_service_has_heartbeats(const struct model *, uint64_t service_id);
void model_heartbeats_service_enabled(struct model *, uint64_t service_id);
/* What is silent is down: of at most so many in one pulse. */
void model_heartbeats_due(struct model *, uint32_t limit);
bool model_heartbeats_overdue(const struct model *, uint64_t until_ms, char *sentence, size_t size);
bool model_heartbeats_compare(const struct model *, const struct machine_store *view, char *sentence, size_t size);

/* ---- model_schedules.c */
/* How far the clocks there are ahead of UTC. */
uint32_t model_zone_ahead_s(const struct model *, const char *zone);
bool model_schedule_is_known(const struct model *, uint64_t id);
/* Who is on call now; 0: nobody. */
uint64_t model_schedule_person(const struct model *, uint64_t id);
/* True when this person's shift begins then, or ends; also when that lies before the last change of the schedule. */
bool model_schedule_changes_hands(const struct model *, uint64_t id, uint64_t person_id, uint64_t at_ms, bool begins);
struct schedule *model_schedule_find(const struct model *, uint64_t id);
uint64_t model_schedule_person_at(const struct schedule *, uint64_t at_ms);
/* The answer says who was on call before, and who is now. */
void model_schedule_judge_word(struct model *, struct schedule *, uint64_t before, const Tocsin__Reply *);
/* Now, or later. */
bool model_schedules_need(const struct model *, uint64_t person_id);
/* False: the command is about something else. */
bool model_schedules_command(struct model *, const Tocsin__Command *, const Tocsin__Reply *);
bool model_schedules_compare(const struct model *, const struct machine_store *view, char *sentence, size_t size);
void model_schedules_forget(struct model *);

/* ---- model_swaps.c */
/* False: the command is about something else. */
bool model_swaps_command(struct model *, const Tocsin__Command *, const Tocsin__Reply *);
/* Whether this person is to hear that of it. */
bool model_swap_is_told(const struct model *, const Tocsin__Notice *, uint64_t person_id);

/* ---- model_news.c */
bool model_news_has(const struct model *, uint64_t id);
void model_news_handed_over(struct model *, const Tocsin__Notification *);
/* False: it is a page. */
bool model_news_request(struct model *, const struct model_request *);

/* ---- model_pulse.c */
void model_pulse(struct model *, const Tocsin__Pulse *);
/* The first thing that is due at or before `until_ms`, as a sentence; false when there is none. */
bool model_overdue(const struct model *, uint64_t until_ms, char *sentence, size_t size);

#endif
