/*
 * The port through which the machine reads and writes its state: ordered tables of keys and values.
 *
 * storage/ implements it over LMDB, tests over memory. A fault of the store itself (disk, map) is sticky there and never seen
 * here: reads then find nothing, writes do nothing, and the caller of machine_apply throws the result away and stops the node.
 */
#ifndef CONSENSUS_MACHINE_STORE_H
#define CONSENSUS_MACHINE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"

/*
 * Keys are made of big-endian 64-bit numbers, so that byte order is number order, and of hashes where the source is text of
 * any length. Every value is a packed record of schema.proto unless another form is named.
 */
enum machine_table {
    TABLE_META,                  /* one byte, enum machine_meta: Counters, Settings, Members, Blindness, Priorities */
    TABLE_ORIGIN,                /* node: OriginWindow */
    TABLE_IDEMPOTENCY,           /* hash of actor and key: IdempotentReply */
    TABLE_IDEMPOTENCY_BY_TIME,   /* time, hash: empty */
    TABLE_TOKEN,                 /* id: Token */
    TABLE_TOKEN_BY_HASH,         /* SHA-256: id */
    TABLE_USER,                  /* id: User */
    TABLE_USER_BY_EMAIL,         /* hash of the address in ASCII lower case: id */
    TABLE_CONTACT_METHOD,        /* user, id: ContactMethod */
    TABLE_NOTIFICATION_RULE,     /* user, id: NotificationRule */
    TABLE_SERVICE,               /* id: Service */
    TABLE_SERVICE_BY_NAME,       /* hash: id */
    TABLE_INTEGRATION,           /* service, id: Integration */
    TABLE_INTEGRATION_BY_KEY,    /* hash of the key: service, id (two numbers) */
    TABLE_ESCALATION_POLICY,     /* id: EscalationPolicy */
    TABLE_ESCALATION_POLICY_BY_NAME, /* hash: id */
    TABLE_INCIDENT,              /* id: Incident */
    TABLE_INCIDENT_BY_NUMBER,    /* number: id */
    TABLE_INCIDENT_OPEN,         /* id: service (one number); triggered and acknowledged ones */
    TABLE_INCIDENT_BY_KEY,       /* service, hash of incident_key: id; open ones with a key */
    TABLE_INCIDENT_CLOSED,       /* resolved at, id: empty; what retention walks along */
    TABLE_ALERT,                 /* incident, id: Alert */
    TABLE_ALERT_OPEN,            /* integration, hash of dedup_key: incident, id (two numbers) */
    TABLE_ALERT_PAYLOAD,         /* alert id: AlertPayload */
    TABLE_LOG_ENTRY,             /* incident, id: LogEntry */
    TABLE_DEADLINE,              /* due, kind (one byte), object, sub-object: Deadline */
    TABLE_OUTBOX,                /* notification id: Notification; owed, claimed and waiting ones */
    TABLE_NOTIFICATION,          /* incident, id: Notification; ended ones */
    TABLE_SCHEDULE,              /* id: Schedule, the revision in force */
    TABLE_SCHEDULE_REVISION,     /* schedule, in force from, revision: Schedule; the one in force too */
    TABLE_SHIFTS,                /* schedule, revision: rows of shift_rows.h */
    TABLE_OVERRIDE,              /* schedule, end, id: Override */
    TABLE_HEARTBEAT,             /* id: Heartbeat */
    TABLE_HEARTBEAT_STATE,       /* id: HeartbeatState */
    TABLE_HEARTBEAT_BY_KEY,      /* hash of the key: id */
    TABLE_HEARTBEAT_BY_SLUG,     /* service, hash of the slug, id: empty; every heartbeat, "" too */
    TABLE_HEARTBEAT_BY_NAME,     /* hash of the name, id: empty */
    TABLE_HEARTBEAT_DUE,         /* due, id: empty; apart from TABLE_DEADLINE, so that a million do not stand before a page */
    TABLE_HEARTBEAT_PING,        /* id, number modulo LIMIT_PINGS_KEPT: HeartbeatPing */
    TABLE_HEARTBEAT_FLIP,        /* id, number modulo LIMIT_FLIPS_KEPT: HeartbeatFlip */
    TABLE_SCHEDULE_LOG,          /* schedule, id: LogEntry without incident */
    TABLE_TURN,                  /* policy, level counted from 1: the target that had the last turn (one number) */
    TABLE_TEAM,                  /* id: Team */
    TABLE_TEAM_BY_NAME,          /* hash: id */
    TABLE_TEAM_MEMBER,           /* team, user: TeamMember */
    TABLE_TEAM_OF_USER,          /* user, team: empty */
    TABLE_ALERT_GROUP,           /* service, hash of what its alerts have in common: id of the open incident that they join */
    TABLE_ALERT_GROUP_OF,        /* incident, that hash: empty */
    TABLE_SUPPORT_HOURS,         /* service: rows of shift_rows.h, 1 within support hours */
    TABLE_NOTICE,                /* user, notification id: Notification; ended ones without incident */
    TABLE_HANDOFF_RULE,          /* user, id: HandoffRule */
    TABLE_HANDOFFS,              /* schedule: Handoffs */
    TABLE_HANDOFF_DUE,           /* due, schedule: empty; apart from TABLE_DEADLINE, so that Monday morning does not stand before a page */
    TABLE_SWAP,                  /* schedule, id: Swap */
    TABLE_CALENDAR_FEED,         /* schedule or user, id 0: CalendarFeed */
    TABLE_CALENDAR_FEED_BY_HASH, /* SHA-256: schedule or user */
    TABLE_ORCHESTRATION,         /* id: Orchestration */
    TABLE_ORCHESTRATION_INTEGRATION, /* orchestration, id: OrchestrationIntegration */
    TABLE_ORCHESTRATION_BY_KEY,  /* hash of the key: orchestration, id (two numbers) */
    TABLE_ORCHESTRATION_PATH,    /* orchestration or service, enum PathKind: OrchestrationPath */
    TABLE_EVENT_ASIDE,           /* orchestration or service, number: EventAside */
    TABLE_HELD,                  /* window, mute, alert or 0, alert: empty; alerts that fire without incident */
    TABLE_MAINTENANCE,           /* id: MaintenanceWindow */
    TABLE_MAINTENANCE_BY_SERVICE,/* service, window: start and end of its next span (two numbers) */
    TABLE_MUTE,                  /* id: Mute */
    TABLE_MUTE_AHEAD,            /* id: start and end (two numbers); those that are not over */
    TABLE_CHANGE_EVENT,          /* id: ChangeEvent */
    TABLE_CHANGE_EVENT_BY_SERVICE, /* service, id: empty */
    TABLE_HEARTBEAT_MOMENTS,     /* heartbeat with a schedule: HeartbeatMoments */
    TABLE_ALERT_EXPIRY,          /* due, alert: its key in TABLE_ALERT_OPEN; open alerts that end when their source falls silent */
    TABLE_CONTACT_PROOF,         /* user, contact method or 0: ContactProof */
    TABLE_DRILL,                 /* id: Drill */
    TABLE_DRILL_STATE,           /* id: DrillState */
    TABLE_DRILL_RUN,             /* drill, number: DrillRun */
    TABLE_HEARTBEAT_QUICK,       /* id / 64: the last pings of those that are up, packed by quick_pings.c */
    TABLE_COUNT
};

enum machine_meta {
    META_COUNTERS = 1,
    META_SETTINGS = 2,
    META_MEMBERS = 3,
    META_BLINDNESS = 4,
    META_BLIND_NOW = 5,
    META_PRIORITIES = 50,
    META_SECRETS = 51,
    META_CONDITIONS = 131 /* NodeConditions */
};

/* The order of kinds is the order in which deadlines of one instant are handled: telling people comes first. */
enum deadline_kind {
    DEADLINE_NOTIFICATION_RULE = 1, /* object incident, sub-object a number of its own: a rule's delay is over */
    DEADLINE_NOTIFICATION_RETRY,    /* object notification: next attempt, or a claim that lapsed without a receipt */
    DEADLINE_ESCALATE,              /* object incident: the level's delay is over */
    DEADLINE_ACKNOWLEDGEMENT,       /* object incident: the acknowledgement timed out */
    DEADLINE_GUARDIANS,             /* object incident: tell the guardians again */
    DEADLINE_AUTO_RESOLVE,          /* object incident */
    DEADLINE_RETENTION,             /* no object: let old incidents, payloads and idempotent replies go; sub-object 0, or the alert
                                       from which on payloads are still to be looked at */
    DEADLINE_HOLD_END = 30,         /* object alert: what held it alone is over; a resolved one has been kept long enough */
    DEADLINE_HOLD_DRAIN,            /* object what alerts are listed under in TABLE_HELD, sub-object the last one looked at */
    DEADLINE_MAINTENANCE_END,       /* object window: a span of it is over; one that is over has been kept long enough */
    DEADLINE_MAINTENANCE_WARNING,   /* object window: a span is about to end */
    DEADLINE_MUTE_END,              /* object mute, likewise */
    /* Object service, sub-object 0, or the incident from which on its open ones are still to be looked through. */
    DEADLINE_URGENCY_CHANGE = 40,   /* its support hours begin or end, and low urgency becomes high */
    DEADLINE_SUPPORT_HOURS,         /* its support hours have been changed: clocks that count them run on by the new ones */
    DEADLINE_SNOOZE = 50,           /* object incident: it is triggered again */
    DEADLINE_ACKNOWLEDGE_TARGET,    /* object incident: the priority's targets */
    DEADLINE_RESOLVE_TARGET,
    DEADLINE_SWAP = 20,             /* object schedule, sub-object swap: nobody took the offer */
    DEADLINE_HEARTBEATS_UNTOLD = 21, /* object service, which is enabled again, sub-object the heartbeat looked at last: those that went
                                        down meanwhile are to be told */
    DEADLINE_DRILL = 160            /* object drill: its next run */
};

struct machine_store {
    void *context;

    /* True and *value when the key is there. The bytes stay valid until the next put or del. */
    bool (*get)(void *context, enum machine_table table, struct span key, struct span *value);

    /* The first row whose key is at or after `key`. Bytes as for get. */
    bool (*seek)(void *context, enum machine_table table, struct span key, struct span *found_key, struct span *value);

    /* The last row whose key is before `key`; an empty key means from the end. */
    bool (*seek_before)(void *context, enum machine_table table, struct span key, struct span *found_key,
                        struct span *value);

    /* Keys have 1 to 511 bytes. The value is copied. */
    void (*put)(void *context, enum machine_table table, struct span key, struct span value);

    /* True when the row was there. */
    bool (*del)(void *context, enum machine_table table, struct span key);

    /* Number of rows. */
    uint64_t (*count)(void *context, enum machine_table table);
};

#endif
