/*
 * Sabotage, for `make test-planted` alone: the simulator must find each of these mistakes, or it would not find the
 * same one made in earnest.
 *
 *     if (planted(DOUBLE_SEND)) ...      stands where the mistake would be made
 *
 * Only under TOCSIN_PLANTED, which `make PLANTED=1` sets, is there anything to switch on: then the simulator has the
 * variable, and nothing else links. In every other build planted() is the constant 0, and what stands behind it is
 * gone.
 */
#ifndef CONSENSUS_MACHINE_PLANTED_H
#define CONSENSUS_MACHINE_PLANTED_H

/* The guards of consensus/driver/guards.h come first, in the order of their numbers. */
#define PLANTED_BUGS(each)                                                                                            \
    each(GUARD_STALE_TERM, "guard 1 is off: messages of an older term reach the core")                                \
    each(GUARD_COMPACTED_PREFIX, "guard 2 is off: entries from before the log's start reach the core")                \
    each(GUARD_CHANGE_FIRST, "guard 3 is off: a change may stand behind other entries of its message")                \
    each(GUARD_CONFIRM_CHANGE, "guard 4 is off: the core is not told that a change is committed")                     \
    each(GUARD_BARRIER, "guard 5 is off: a leader acts before an entry of its term is committed")                     \
    each(GUARD_SOLE_VOTER, "guard 6 is off: a sole voter leads again in its old term")                                \
    each(GUARD_PREVOTE_TERM, "guard 7 is off: a denied pre-vote does not tell the term")                              \
    each(GUARD_MEMBERSHIP, "guard 8 is off: members change by no rule")                                               \
    each(GUARD_STALE_RESULT, "guard 9 is off: a late rejection moves a follower's progress back")                     \
    each(GUARD_COMMIT_MONOTONE, "guard 10 is off: a follower's commit index goes back")                               \
    each(GUARD_TIMEOUT, "guard 11 is off: the core's timeout may lie in the past")                                    \
    each(SYNC_SKIPPED, "the log is reported durable before it is")                                                    \
    each(VOTE_NOT_DURABLE, "messages leave before the vote that they speak of is durable")                            \
    each(APPLIED_BEFORE_COMMITTED, "entries are applied as soon as they are in the node's own log")                   \
    each(LOG_PRUNED_TOO_FAR, "the log is pruned up to a state that is not durable")                                   \
    each(SNAPSHOT_WITHOUT_DEADLINES, "a snapshot leaves out the deadlines")                                           \
    each(STATE_DEPENDS_ON_PROCESS, "an address of the process gets into the state")                                   \
    each(READ_WITHOUT_MAJORITY, "a leader answers reads without asking a majority whether it still leads")            \
    each(READ_NOT_WAITED_FOR, "a read does not wait until the state covers what it asked for")                        \
    each(ANSWERED_BEFORE_COMMIT, "an event is answered 202 before it is committed")                                   \
    each(ANSWERED_BY_SEQUENCE, "a client is answered with what another node's command of the same number got")        \
    each(ORIGIN_APPLIED_AGAIN, "a command that was sent again is applied again")                                      \
    each(IDEMPOTENCY_KEY_IGNORED, "the Idempotency-Key of a request is not looked at")                                \
    each(CLOCK_JUMP_ACCEPTED, "a leader stamps its wall clock")                                                       \
    each(DEADLINE_LOST_ON_FAILOVER, "a new leader does not look for the next deadline")                               \
    each(LEVEL_LOST_AFTER_LEADER_CHANGE, "once the leader has changed, a level's end leads nowhere")                  \
    each(CLAIM_NOT_COMMITTED, "a new leader sends what the outbox has without a claim")                               \
    each(CLAIM_VALIDITY_IGNORED, "the age of a claim is not looked at before the request")                            \
    each(DEPOSED_LEADER_SENDS, "a claim's term is not looked at: who led in it goes on sending")                      \
    each(DOUBLE_SEND, "each request is started twice")                                                                \
    each(HELD_SENDS_DROPPED, "what was handed to a leader before it took up its duties is dropped")                   \
    each(REPEATS_NOT_MARKED, "a repeat does not say that it may be one")                                              \
    each(ACKNOWLEDGED_STILL_OWED, "an acknowledgement does not end what is owed")                                     \
    each(ACKNOWLEDGEMENT_TIMEOUT_FORGOTTEN, "an acknowledgement never times out")                                     \
    each(RESOLVED_STILL_ESCALATES, "a resolved incident escalates when its level ends")                               \
    each(NEXT_CHANNEL_NOT_TAKEN, "when a channel has failed the next one is not taken")                               \
    each(GUARDIANS_NOT_TOLD, "an escalation that ended tells no guardian")                                            \
    each(WINDOW_IGNORED, "an alert of a service in maintenance opens an incident")                                    \
    each(WINDOW_END_FORGOTTEN, "what a maintenance window held back is not let go when it ends")                      \
    each(HELD_RESOLVE_LOST, "the resolve of an alert that is held back is answered, and not noted")                   \
    each(MUTE_IGNORED, "an alert that a mute fits is let go")                                                         \
    each(STALE_MUTES_ACCEPTED, "a word on mutes that have changed since is taken")                                    \
    each(QUIET_LEVEL_WITHOUT_REASON, "somebody who cannot be told is passed over, and nothing says why")              \
    each(SNOOZE_NEVER_ENDS, "a snooze has no end")                                                                    \
    each(MERGE_LOSES_DEADLINE, "what others were merged into does not go on to its next level")                       \
    each(MERGE_LEAVES_ALERTS, "the alerts of what was merged are over with it")                                       \
    each(CALL_FOR_HELP_UNHEARD, "whoever is called to help with what somebody has is not told")                       \
    each(FIRST_ALERT_ENDS_ALL, "an incident is over with the first of its alerts that is")                            \
    each(URGENT_ALERT_JOINS_QUIETLY, "nobody hears of an urgent alert that joins an incident of low urgency")         \
    each(PAUSE_NEVER_ENDS, "an alert that was given time to pass is not looked at again")                             \
    each(TURN_NOT_TAKEN, "of people who take turns it is always the same one's")                                      \
    each(LOW_LEVEL_STAYS, "at low urgency no level ends, whatever the policy says")                                   \
    each(OWN_DOWNTIME_COUNTED, "time in which no ping could be taken counts against heartbeats")                      \
    each(PING_NOT_NOTED, "a ping of a heartbeat that is up is answered, and not noted")                               \
    each(SILENCE_NOT_LOOKED_AT, "a heartbeat that was put off once is not looked at again")                           \
    each(STALE_REVISION_ACCEPTED, "a change of a schedule that was made from an older one is taken")                  \
    each(OVERRIDE_IGNORED, "who takes a time of a schedule over is not on call")                                      \
    each(SWAP_IN_RETURN_FORGOTTEN, "shifts are taken, and the time that was wanted in return stays as it was")        \
    each(SWAP_NOT_UNDONE, "a swap is undone, and the shifts stay with who took them")                                 \
    each(HANDOVER_MISSED, "who was on call when a schedule was made stays so")                                        \
    each(ALL_SPEAK, "without a majority each node pages, whomever it hears")                                          \
    each(SHUT_LEADER_STAYS, "a leader that reaches no provider goes on leading, whoever does reach them") \
    each(SLOW_LEADER_STAYS, "a leader whose disk is slower than a claim is good for goes on leading, whoever keeps up")

#ifdef TOCSIN_PLANTED

enum planted {
    PLANTED_NONE,
#define PLANTED_NAME(NAME, sentence) PLANTED_##NAME,
    PLANTED_BUGS(PLANTED_NAME)
#undef PLANTED_NAME
    PLANTED_END
};

extern enum planted planted_bug;

#define planted(NAME) (planted_bug == PLANTED_##NAME)
/* driver_options.guards_off */
#define planted_guards_off() (planted_bug <= PLANTED_GUARD_TIMEOUT ? (1u << planted_bug) & ~1u : 0u)

#else

#define planted(NAME) 0
#define planted_guards_off() 0u

#endif
#endif
