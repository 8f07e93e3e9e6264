/*
 * Inside the last gasp: what its parts share.
 *
 *     last_gasp.c     who speaks, and when        gasp_plan.c    from the state to pages
 *     gasp_pages.c    sending them                gasp_record.c  what was sent and heard, kept, told and reported
 */
#ifndef NODE_LAST_GASP_LAST_GASP_INTERNAL_H
#define NODE_LAST_GASP_LAST_GASP_INTERNAL_H

#include "node/last_gasp/last_gasp.h"

#define GASP_PEERS_MAX 16u
#define GASP_CHANNELS (TOCSIN__CHANNEL__CHANNEL_WEBHOOK + 1)

struct gasp_peer {
    uint64_t id, heard_ms;
    struct gasp_said said;
};

struct gasp_page {
    Tocsin__Notification *notification;
    uint64_t due_ms; /* boottime */
    uint64_t transfer_id; /* 0: waits */
    unsigned attempts, refusals; /* refusals: a provider answered, and did not take it then */
    bool stopped; /* under way when its time without a majority ended */
    uint64_t trigger; /* of a refused one: gasp_trigger.id; 0: of none */
    last_gasp_paged paged; /* by hand: who wants to know; NULL: recorded */
    void *paged_context;
};

struct gasp_pages {
    struct gasp_page *pages; /* waiting and under way */
    size_t count, capacity;
    uint64_t added; /* of all time */
    size_t planned; /* in this time without a majority, against LAST_GASP_PAGES_MAX */
    bool full_told;
};

/* A refused trigger that somebody is to be told of. */
struct gasp_trigger {
    uint64_t id;
    Tocsin__GaspTrigger *trigger;
    bool planned; /* its pages are in `pages`, or were */
};

struct last_gasp {
    struct last_gasp_ports ports;
    uint64_t id, after_ms;
    const struct notify_settings *settings;

    struct gasp_sight sight; /* of the last turn */
    uint64_t last_turn_ms;
    uint64_t current_ms;    /* when the state was last known to be current; 0: not since the start */
    uint64_t remembered_ms; /* when that it may speak was remembered last */
    uint64_t waiting_ms;    /* since when no leader is seen; 0: one is */
    uint64_t elsewhere_ms;  /* when a leader was seen by another path; 0: never */
    enum gasp_standing standing;
    const char *why;
    uint64_t speakers[GASP_CHANNELS]; /* by each channel, 0: this node; at [0] by those that nobody can send by */
    struct gasp_peer peers[GASP_PEERS_MAX];
    unsigned peers_count;

    bool planned; /* the pages of the incidents and of the guardians are in `pages` */
    struct gasp_pages pages;
    uint64_t last_transfer_id;
    size_t under_way;
    struct gasp_trigger triggers[LAST_GASP_TRIGGERS_MAX];
    size_t triggers_count;
    bool triggers_full_told;

    /* gasp_record.c */
    Tocsin__GaspItem **items; /* of this node, in order */
    size_t items_count, items_capacity;
    Tocsin__GaspItem **others; /* told by peers, in this time without a majority */
    size_t others_count, others_capacity;
    bool unkept;      /* an item is not on disk yet */
    size_t reporting; /* items that are on their way into the log; 0: none */
    uint64_t report_ms; /* of the last attempt */
};

/* ---- gasp_plan.c: whom to tell, into `pages`; due times count from `now_ms` */
void gasp_plan(const struct last_gasp *gasp, const struct machine_store *view, uint64_t now_ms, struct gasp_pages *pages);
/* Nothing, when the trigger would not page anybody. */
void gasp_plan_trigger(const struct last_gasp *gasp, const struct machine_store *view, const struct gasp_trigger *trigger, uint64_t now_ms,
                       struct gasp_pages *pages);

/* ---- gasp_pages.c */
/* Copies the notification; the copy has an id and a time of its own, for all its attempts. */
void gasp_pages_add(const struct last_gasp *gasp, struct gasp_pages *pages, const Tocsin__Notification *notification, uint64_t trigger, uint64_t due_ms);
/* All that wait in the other ones become its own. */
void gasp_pages_take(struct gasp_pages *pages, struct gasp_pages *others);
/* NULL, or why this node cannot send it. */
const char *gasp_page_unusable(const struct last_gasp *gasp, const Tocsin__Notification *notification);
/* Those of the channels by which this node speaks, whoever waits for longest first. */
void gasp_pages_send(struct last_gasp *gasp, uint64_t now_ms);
/* What waits is forgotten; what is under way ends by itself. */
void gasp_pages_stop(struct last_gasp *gasp);
void gasp_pages_close(struct gasp_pages *pages);
/* When the next page is due, UINT64_MAX for none. */
uint64_t gasp_pages_next_ms(const struct last_gasp *gasp);

/* ---- gasp_record.c */
void gasp_record_open(struct last_gasp *gasp, struct span record);
void gasp_record_close(struct last_gasp *gasp);
/* Takes a copy, and tells the peers. False when the record is full. */
bool gasp_record_add(struct last_gasp *gasp, const Tocsin__GaspItem *item);
/* On disk, if anything new is not. */
bool gasp_record_flush(struct last_gasp *gasp);
void gasp_record_heard(struct last_gasp *gasp, Tocsin__GaspItem *item);
void gasp_record_forget_others(struct last_gasp *gasp);
bool gasp_record_is_answered(const struct last_gasp *gasp, uint64_t incident_id);
/* By this node: no less than that. */
bool gasp_record_has_answer(const struct last_gasp *gasp, uint64_t incident_id, bool resolves);
/* The person was told of the incident, or of the trigger, by this method, or perhaps was, by any of the nodes that hear each other. */
bool gasp_record_was_told(const struct last_gasp *gasp, const Tocsin__Notification *notification, uint64_t trigger);
/* What this node tried in vain stands there once for each way in which it was in vain. */
bool gasp_record_has_failure(const struct last_gasp *gasp, const Tocsin__Notification *notification, uint64_t trigger, Tocsin__Outcome outcome);
void gasp_record_report(struct last_gasp *gasp, uint64_t now_ms);

#endif
