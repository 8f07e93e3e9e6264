/* Every bound of what is agreed upon, in one place, each with its reason. Lengths are bytes of UTF-8. */
#ifndef CONSENSUS_MACHINE_LIMITS_H
#define CONSENSUS_MACHINE_LIMITS_H

/* One raft entry: many commands, yet small enough that a follower on a slow link acknowledges well within an election timeout. */
#define LIMIT_ENTRY_SIZE_BYTES (4u << 20)
#define LIMIT_ENTRY_COMMANDS 4096u
/* One command: an event body at its limit, packed, with room for the fields around it. */
#define LIMIT_COMMAND_SIZE_BYTES (600u << 10)

/* PagerDuty's published field limits. */
#define LIMIT_EVENT_BODY_SIZE_BYTES (512u << 10)
#define LIMIT_SUMMARY_SIZE_BYTES 4096u /* 1024 characters of up to four bytes */
#define LIMIT_SUMMARY_CHARACTERS 1024u
#define LIMIT_DEDUP_KEY_SIZE_BYTES 1020u /* 255 characters of up to four bytes */
#define LIMIT_DEDUP_KEY_CHARACTERS 255u
#define LIMIT_NAME_CHARACTERS 255u
#define LIMIT_USER_NAME_CHARACTERS 100u
#define LIMIT_DESCRIPTION_CHARACTERS 1024u
#define LIMIT_ADDRESS_CHARACTERS 1024u
#define LIMIT_NOTE_CHARACTERS 25000u
#define LIMIT_INCIDENT_BODY_CHARACTERS 25000u
#define LIMIT_SOURCE_CHARACTERS 1024u
#define ROUTING_KEY_CHARACTERS 32u

/* Objects: a large company's, not a runaway script's. */
#define LIMIT_USERS 20000u
#define LIMIT_SERVICES 20000u
#define LIMIT_ESCALATION_POLICIES 20000u
#define LIMIT_TOKENS 10000u
/* One person's: a script that makes a token at each run must not take the others' room. */
#define LIMIT_TOKENS_PER_USER 100u
/* How exactly it is known when a token was last used: a day, so that reading does not write. */
#define TOKEN_USE_MS (24ull * 3600 * 1000)
/* Each scope that there is, and as many again. */
#define LIMIT_SCOPES_PER_TOKEN 100u
#define LIMIT_SCOPE_CHARACTERS 100u
#define LIMIT_TEAMS 5000u
#define LIMIT_TEAM_NAME_CHARACTERS 100u
#define LIMIT_MEMBERS_PER_TEAM 5000u
/* What a person may do is looked up in each of these at every request. */
#define LIMIT_TEAMS_PER_USER 100u
#define LIMIT_TEAMS_PER_SCHEDULE 20u
#define LIMIT_CONTACT_METHODS_PER_USER 20u
#define LIMIT_NOTIFICATION_RULES_PER_USER 100u
#define LIMIT_INTEGRATIONS_PER_SERVICE 200u
#define LIMIT_LEVELS_PER_POLICY 20u
/* Of those who use an object that was to go away, so many are named: the answer is read by people. */
#define LIMIT_USES_TOLD 20u
#define LIMIT_TARGETS_PER_LEVEL 50u
#define LIMIT_LOOPS_PER_POLICY 9u
#define LIMIT_DELAY_MINUTES (7u * 24 * 60)
#define LIMIT_SCHEDULES 20000u
/* PagerDuty's clients never delete a layer: they end it, and send it along from then on. */
#define LIMIT_LAYERS_PER_SCHEDULE 100u
#define LIMIT_USERS_PER_LAYER 200u
#define LIMIT_RESTRICTIONS_PER_LAYER 50u
/* Of a calendar, for a year: more than five hand-offs a day. */
#define LIMIT_FIXED_SHIFTS_PER_LAYER 2000u
/* Events of a calendar, recurring or not, that have something ahead. */
#define LIMIT_CALENDAR_RULES_PER_LAYER 2000u
/* An hour is the shortest turn that PagerDuty offers; a year is more than anybody stays awake. */
#define LIMIT_TURN_SECONDS_LEAST 3600u
#define LIMIT_TURN_SECONDS (366u * 24 * 3600)
#define LIMIT_RESTRICTION_SECONDS (7u * 24 * 3600)
/* How far ahead shifts are known, and how many of them: with 16 bytes each they fit into a command. A schedule that changes
 * hands more often is known for less long. */
#define SCHEDULE_HORIZON_MS (366ull * 24 * 3600 * 1000)
#define LIMIT_SHIFTS_PER_SCHEDULE 24000u
/* ... but for two days at least, so that a day without a leader leaves no hole. */
#define SCHEDULE_HORIZON_LEAST_MS (2ull * 24 * 3600 * 1000)
/* A rendering begins this long before the node's own time, so that it covers the cluster's. */
#define SCHEDULE_RENDER_BEFORE_MS (24ull * 3600 * 1000)
/* Older revisions that are kept, to say who was on call then. */
#define LIMIT_REVISIONS_PER_SCHEDULE 100u
/* What was done to a schedule, remembered of each; the oldest go. */
#define LIMIT_LOG_ENTRIES_PER_SCHEDULE 500u
/* The newest open incidents whose timelines hear that somebody else is on call: bounds how long a change takes. */
#define LIMIT_INCIDENTS_TOLD_OF_ON_CALL 200u
/* News that ended, remembered of each person. */
#define LIMIT_NOTICES_KEPT_PER_USER 50u
#define LIMIT_HANDOFF_RULES_PER_USER 20u
/* A hand-off is announced a month ahead at most. */
#define LIMIT_HANDOFF_ADVANCE_MINUTES (31u * 24 * 60)
/* Schedules whose hand-offs one pulse announces, and announcements remembered of each: a Monday morning is spread. */
#define LIMIT_PULSE_HANDOFFS 64u
#define LIMIT_ANNOUNCED_PER_SCHEDULE 1000u
#define LIMIT_HANDOFF_NEWS_PER_LOOK 16u
/* Policies without a word of their own that one pulse asks for services. */
#define LIMIT_PULSE_HANDOFF_POLICIES 1024u
/* News of a hand-off that took place longer ago are none. */
#define HANDOFF_LATE_MINUTES 60u
/* Offers of one schedule, those that are over included; these make room for new ones. */
#define LIMIT_SWAPS_PER_SCHEDULE 200u
#define LIMIT_SWAP_NOTE_CHARACTERS 500u
/* People who hear of an offer to everybody. */
#define LIMIT_SWAP_ASKED 50u
/* Of one schedule, those that are over included; these make room for new ones. */
#define LIMIT_OVERRIDES_PER_SCHEDULE 1000u
#define LIMIT_OVERRIDES_PER_REQUEST 100u
/* How far ahead support hours are known, in spans of two a day; how often they are rendered anew; and for how long they
 * must be known at least. Services are many: what each has in the state, and in the log each week, is small. */
#define SUPPORT_HORIZON_MS (92ull * 24 * 3600 * 1000)
#define SUPPORT_RENDERED_EVERY_MS (7ull * 24 * 3600 * 1000)
#define SUPPORT_HORIZON_LEAST_MS (2ull * 24 * 3600 * 1000)
#define LIMIT_SUPPORT_ROWS 400u
/* When support hours begin, end or change: open incidents that one step looks at, and that it changes. Further ones have
 * their turn in the next entries. */
#define LIMIT_SUPPORT_STEP_ROWS 4096u
#define LIMIT_SUPPORT_STEP_INCIDENTS 64u
#define LIMIT_URGENCY_CHANGES_PER_SERVICE 2u
/* Alert grouping. Each field may have another value in each alert of an incident, and all go when it is resolved. */
#define LIMIT_GROUPING_FIELDS 10u
/* Values of custom_details that alerts can be grouped by; further ones are in the payload only. */
#define LIMIT_EVENT_DETAILS 64u
#define LIMIT_EVENT_DETAILS_DEPTH 4u
/* PagerDuty's bounds of a window between two alerts of a group, what it recommends while it knows nothing, and how old a
 * group may become. */
#define GROUPING_WINDOW_SECONDS_LEAST 300u
#define LIMIT_GROUPING_WINDOW_SECONDS 86400u
#define GROUPING_WINDOW_SECONDS_RECOMMENDED 300u
#define LIMIT_GROUPING_TIMEOUT_MINUTES 1440u
#define LIMIT_GROUPING_AGE_SECONDS 86400u
#define LIMIT_ASSIGNEES_PER_INCIDENT 50u
#define LIMIT_INCIDENTS_PER_UPDATE 250u /* PagerDuty's, for one PUT */
#define LIMIT_OPEN_INCIDENTS 1000000u
/* As many as one PUT changes; and PagerDuty's bound of alerts, which also bounds what a merge moves. */
#define LIMIT_INCIDENTS_PER_MERGE 250u
#define LIMIT_ALERTS_PER_INCIDENT 1000u
#define LIMIT_SNOOZE_SECONDS 604800u /* PagerDuty's: a week */
/* More than anybody tells apart; and, since replaced ones are kept for the incidents that have them, with those. */
#define LIMIT_PRIORITIES 50u
#define LIMIT_PRIORITIES_EVER 1000u
#define LIMIT_TARGET_MINUTES (366u * 24 * 60) /* a year */
/* People who can work on one thing and be told apart; people and teams who hear of it, with all members of the teams. */
#define LIMIT_RESPONDERS_PER_INCIDENT 50u
#define LIMIT_SUBSCRIBERS_PER_INCIDENT 100u
#define LIMIT_SUBSCRIBERS_TOLD 500u
/* It goes out as a text message, too; and each that is told has its copy. */
#define LIMIT_STATUS_UPDATE_CHARACTERS 1024u
/* Clocks of those who say when the impact began may be ahead by this. */
#define LIMIT_CLOCK_AHEAD_MS (5ull * 60 * 1000)
#define LIMIT_GUARDIANS 20u
/* Nodes that take part, or shall: each more makes every write slower and survives no more than one of these. */
#define LIMIT_MEMBERS 7u
/* ... with those that leave. */
#define LIMIT_MEMBERS_WITH_LEAVING 9u
/* Less survive no loss; a cluster shrinks no further. */
#define LIMIT_MEMBERS_LEAST 3u
/* Removed nodes are remembered for good; a cluster that has changed this many has an automaton gone wild. */
#define LIMIT_REMOVED_MEMBERS 1000u
#define LIMIT_MEMBER_ADDRESS_CHARACTERS 255u

/* A flapping source must not fill the disk through one incident's timeline: beyond these, only counters move. */
#define LIMIT_TRIGGER_LOG_ENTRIES_PER_INCIDENT 200u
#define LIMIT_NOTES_PER_INCIDENT 2000u

/* Deadlines handled by one pulse: bounds how long an entry takes to apply. */
#define LIMIT_PULSE_DEADLINES 256u
/* Notifications claimed by one command. */
#define LIMIT_CLAIM_NOTIFICATIONS 256u
/* Rows that one retention step deletes. */
#define LIMIT_RETENTION_ROWS 1000u

/* A large company's jobs, and as many again. */
#define LIMIT_HEARTBEATS 2000000u
/* healthchecks' bounds of period and grace: a minute to a year. */
#define LIMIT_HEARTBEAT_SECONDS_MIN 60u
#define LIMIT_HEARTBEAT_SECONDS_MAX 31536000u
#define LIMIT_HEARTBEAT_NAME_CHARACTERS 200u /* Opsgenie's; healthchecks has 100 */
#define LIMIT_HEARTBEAT_ALERT_CHARACTERS 130u /* Opsgenie's, of the title of its alerts */
#define LIMIT_SLUG_CHARACTERS 100u
#define LIMIT_TAGS_CHARACTERS 500u
/* Kept of a ping's body, as by healthchecks' own servers; the rest is dropped. */
#define LIMIT_PING_BODY_SIZE_BYTES 10000u
#define LIMIT_USER_AGENT_CHARACTERS 200u
#define LIMIT_REMOTE_ADDRESS_CHARACTERS 64u
#define RUN_CHARACTERS 36u
/* Pings with something to say, and changes between up and down, remembered of each heartbeat. */
#define LIMIT_PINGS_KEPT 10u
#define LIMIT_FLIPS_KEPT 50u
/* Heartbeats whose rows one pulse looks at: most are only filed again, which is cheap. */
#define LIMIT_PULSE_HEARTBEATS 1024u
/* Beyond these the oldest two become one. */
#define LIMIT_BLIND_INTERVALS 128u
/* That are over; beyond these the first is forgotten. */
#define LIMIT_CUT_OFFS 64u
/* More than a cluster can have members. */
#define LIMIT_NODES_UNHEARD 32u
#define LIMIT_CRON_CHARACTERS 100u /* healthchecks' */
/* The next times of a schedule that are known: four hours of one that fits each minute. The leader adds to them when
 * half are over, and once a day, for rules of time zones change. */
#define LIMIT_HEARTBEAT_MOMENTS 256u
#define HEARTBEAT_MOMENTS_HORIZON_MS (366ull * 24 * 3600 * 1000)
#define HEARTBEAT_MOMENTS_EVERY_MS (24ull * 3600 * 1000)
/* What the leader adds begins this long before its time: what is looked for behind an outage may lie before. */
#define HEARTBEAT_MOMENTS_BEFORE_MS (10ull * 60 * 1000)
/* What comes after the year 36812 is no moment. */
#define LIMIT_MOMENT_S (1ull << 40)
/* Schedules that are looked at, and named, when the cluster tells that it was blind. */
#define LIMIT_BLIND_SCHEDULES 4096u
#define LIMIT_BLIND_NAMES 3u
#define DEFAULT_HEARTBEAT_PERIOD_S 86400u
#define DEFAULT_HEARTBEAT_GRACE_PERIODS 2u
#define DEFAULT_HEARTBEAT_GRACE_S_MIN 120u
/*
 * The leader ticks this often. With a minute of 60 s; it shrinks with the minute, but not below a tenth of a second. A gap
 * of one and a half ticks between entries is blind; of six, long: up to that, requests survive by waiting.
 */
#define TICK_MS_MIN 100u
#define BLIND_LONG_TICKS 6u
/* What nodes may have told of each other at a time: each of the most members there can be with everything wrong. */
#define LIMIT_NODE_CONDITIONS 256u
#define LIMIT_NODE_CONDITION_KEY_CHARACTERS 64u
/* The guardians hear of blindness from this length on. */
#define BLIND_PAGE_MINUTES 1u

/* Alerts of Prometheus: one request is taken in waves; labels are a map, and Prometheus itself has some dozens at most. */
#define LIMIT_ALERTS_PER_REQUEST 4096u
#define LIMIT_LABELS_PER_ALERT 256u

/* Opsgenie's, of one alert; and, as with triggers, how many changes of them its timeline lists. */
#define LIMIT_TAGS_PER_INCIDENT 20u
#define LIMIT_TAG_CHARACTERS 50u
#define LIMIT_LABELS_CHARACTERS 8000u
#define LIMIT_LABEL_LOG_ENTRIES_PER_INCIDENT 500u

/* Event orchestration. PagerDuty's customers have some dozens of orchestrations, and up to a thousand rules in one. */
#define LIMIT_ORCHESTRATIONS 1000u
#define LIMIT_INTEGRATIONS_PER_ORCHESTRATION 100u
#define LIMIT_SETS_PER_PATH 100u
#define LIMIT_RULES_PER_PATH 1000u /* of all its sets */
#define LIMIT_CONDITIONS_PER_RULE 25u
#define LIMIT_VARIABLES_PER_RULE 25u
#define LIMIT_EXTRACTIONS_PER_RULE 25u
#define LIMIT_CONDITION_SIZE_BYTES 2048u /* PagerDuty's */
#define LIMIT_PATTERN_SIZE_BYTES 1024u   /* PagerDuty's, of a literal */
#define LIMIT_TEMPLATE_CHARACTERS 1024u
#define LIMIT_FIELD_PATH_CHARACTERS 512u
#define LIMIT_SUSPEND_SECONDS (24u * 3600)
/* Events that rules dropped or did not route, remembered of each orchestration, to be looked at. */
#define LIMIT_EVENTS_ASIDE 100u
/* As many alerts without incident as there may be incidents. */
#define LIMIT_HELD_ALERTS 1000000u
/* No room for the incident of an alert that is held no longer: tried again. */
#define HOLD_RETRY_MINUTES 1u
/* So long a new alert waits for the leader to say whether a mute fits it; then it counts as not muted. The leader answers
 * within milliseconds; a new one takes its duties up within this time. */
#define MUTE_ANSWER_MS 5000u
#define LIMIT_MAINTENANCE_WINDOWS 10000u
#define LIMIT_SERVICES_PER_WINDOW 1000u
#define LIMIT_WINDOWS_PER_SERVICE 100u
/* A year of days and some: the spans of one window. */
#define LIMIT_SPANS_PER_WINDOW 400u
#define MAINTENANCE_WARNING_MINUTES 15u
/* When it is told that a window ends: held alerts that are looked at, and people who hear of it. Many windows end at once. */
#define LIMIT_WARNING_ALERTS 200u
#define LIMIT_WARNING_PEOPLE 50u
#define MAINTENANCE_RENDERED_EVERY_MS (24ull * 3600 * 1000)
/* How far ahead the spans of a recurring window are known. */
#define MAINTENANCE_HORIZON_MS (366ull * 24 * 3600 * 1000)
/* Mutes in force or to come, all of which the leader looks at for each new alert. */
#define LIMIT_MUTES 1000u
#define LIMIT_MATCHERS_PER_MUTE 32u
#define LIMIT_MATCHER_CHARACTERS 1024u
#define DEFAULT_MUTE_SECONDS 3600u
#define LIMIT_MUTE_SECONDS 86400u
#define LIMIT_MUTE_AHEAD_SECONDS (30u * 86400)
#define LIMIT_VERDICTS_PER_COMMAND 256u
#define LIMIT_AUTO_PAUSE_SECONDS 900u /* PagerDuty's longest */
/* Oldest ones make room: PagerDuty keeps them for 90 days. */
#define LIMIT_CHANGE_EVENTS_PER_SERVICE 1000u

/* A test of all contact methods: not more often, for calls cost money; and of no use when it arrives later. */
#define PERSON_TEST_EVERY_MS (60ull * 1000)
#define PERSON_TEST_VALID_MS (15ull * 60 * 1000)
/* Codes of six digits, for one contact method: nobody guesses one within these. */
#define CONTACT_CODE_VALID_MS PERSON_TEST_VALID_MS
#define CONTACT_CODE_EVERY_MS PERSON_TEST_EVERY_MS
#define LIMIT_CONTACT_CODE_TRIES 5u
#define LIMIT_CONTACT_CODES_PER_DAY 10u
/* Of one person, whatever becomes of the contact methods meanwhile: four of them at their bound. Else whoever changes the
 * address after each code has any number called, as often as they like. */
#define LIMIT_CONTACT_CODES_PER_USER_PER_DAY 40u
#define CONTACT_CODE_CHARACTERS 6u
/* An event source has habits when it was heard on so many days. Then it has been silent for long after so many times its
 * longest silence, but not within a week. */
#define HEARD_DAYS_LEAST 10u
#define HEARD_GAPS 3u
#define HEARD_SILENT_DAYS_LEAST 7u
/* How exactly an answer is known: a day, so that answering does not write each time. */
#define CONTACT_ANSWER_MS (24ull * 3600 * 1000)
/* Pages of an incident that are looked through for one that reached whoever acknowledges. */
#define LIMIT_ANSWERED_PAGES_SEEN 256u

/* Page-delivery drills: each channel a few times; not more often than a minute, for messages cost money. */
#define LIMIT_DRILLS 100u
#define DRILL_INTERVAL_SECONDS_LEAST 60u
#define LIMIT_DRILL_INTERVAL_SECONDS (31u * 86400)
#define DRILL_OBJECTIVE_MS_LEAST 100u
#define LIMIT_DRILL_OBJECTIVE_MS (15u * 60 * 1000)
/* Less than half in time is no objective. */
#define DRILL_TARGET_PERMILLE_LEAST 500u
#define LIMIT_DRILL_WINDOW_DAYS 90u
/* Of each, within its window: a month of every ten minutes. */
#define LIMIT_DRILL_RUNS_KEPT 4500u
/* A run that is not delivered within so many times the objective has failed. */
#define DRILL_PATIENCE_OBJECTIVES 5u
/* Between two runs by hand. */
#define DRILL_BY_HAND_MINUTES 1u

/* Commands of one node that may be under way; apply remembers this many per node to drop repeats. */
#define LIMIT_ORIGIN_WINDOW 8192u
/* An Idempotency-Key is remembered this long, as Stripe's are. */
#define IDEMPOTENCY_KEPT_MS (24ull * 3600 * 1000)

/* Defaults of the paging rules; README.md of this folder has the table. Minutes are settings.minute_ms long. */
#define DEFAULT_MINUTE_MS 60000u
#define DEFAULT_LEVEL_DELAY_MINUTES 5u
#define DEFAULT_NUM_LOOPS 3u
#define DEFAULT_ACKNOWLEDGEMENT_TIMEOUT_S 1800u
#define DEFAULT_CALL_FIRST_MINUTES 2u
#define DEFAULT_CALL_SECOND_MINUTES 4u
#define DEFAULT_RETENTION_DAYS 400u
#define DEFAULT_PAYLOAD_RETENTION_DAYS 90u
#define GUARDIANS_REPEAT_MINUTES 15u
/* Of what may wait until morning: once each day is a reminder, more often is a reason not to look. */
#define GUARDIANS_REPEAT_LOW_MINUTES 1440u

/* A notification is tried this often on one contact method before the next one is taken. */
#define NOTIFICATION_FAILURES_MAX 4u
/* From its proposal, a claim may start a request for this long (promise P3). */
#define CLAIM_VALID_MS 3000u
/* One attempt at a provider ends after this long. */
#define ATTEMPT_DEADLINE_MS 10000u
/* A claim whose receipt has not come by then is owed again: validity, attempt, and time for the receipt to be committed. */
#define CLAIM_LAPSE_MS (CLAIM_VALID_MS + ATTEMPT_DEADLINE_MS + 7000u)

#endif
