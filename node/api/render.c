/* References, words and times: shared by everything that is rendered. */
#include "node/api/render.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node/api/resource.h"

/* ---------------------------------------------------------------- words */

const struct word words_role[] = {
    {TOCSIN__ROLE__ROLE_OWNER, "owner"},
    {TOCSIN__ROLE__ROLE_ADMIN, "admin"},
    {TOCSIN__ROLE__ROLE_USER, "user"},
    {TOCSIN__ROLE__ROLE_LIMITED_USER, "limited_user"},
    {TOCSIN__ROLE__ROLE_OBSERVER, "observer"},
    {TOCSIN__ROLE__ROLE_RESTRICTED_ACCESS, "restricted_access"},
    {TOCSIN__ROLE__ROLE_READ_ONLY_USER, "read_only_user"},
    {TOCSIN__ROLE__ROLE_READ_ONLY_LIMITED_USER, "read_only_limited_user"},
    {0, NULL},
};

const struct word words_team_role[] = {
    {TOCSIN__TEAM_ROLE__TEAM_ROLE_MANAGER, "manager"},
    {TOCSIN__TEAM_ROLE__TEAM_ROLE_RESPONDER, "responder"},
    {TOCSIN__TEAM_ROLE__TEAM_ROLE_OBSERVER, "observer"},
    {0, NULL},
};

const struct word words_contact_method_type[] = {
    {TOCSIN__CHANNEL__CHANNEL_EMAIL, "email_contact_method"},
    {TOCSIN__CHANNEL__CHANNEL_SMS, "sms_contact_method"},
    {TOCSIN__CHANNEL__CHANNEL_VOICE, "phone_contact_method"},
    {TOCSIN__CHANNEL__CHANNEL_PUSH, "push_notification_contact_method"},
    {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "webhook_contact_method"}, /* ours: PagerDuty has none */
    {0, NULL},
};

const struct word words_channel[] = {
    {TOCSIN__CHANNEL__CHANNEL_EMAIL, "email"},     {TOCSIN__CHANNEL__CHANNEL_SMS, "sms"},
    {TOCSIN__CHANNEL__CHANNEL_VOICE, "phone"},     {TOCSIN__CHANNEL__CHANNEL_PUSH, "push"},
    {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "webhook"}, {0, NULL},
};

const struct word words_urgency[] = {
    {TOCSIN__URGENCY__URGENCY_HIGH, "high"},
    {TOCSIN__URGENCY__URGENCY_LOW, "low"},
    {0, NULL},
};

const struct word words_service_urgency[] = {
    {TOCSIN__URGENCY__URGENCY_HIGH, "high"},
    {TOCSIN__URGENCY__URGENCY_LOW, "low"},
    {TOCSIN__URGENCY__URGENCY_SEVERITY_BASED, "severity_based"},
    {0, NULL},
};

const struct word words_incident_status[] = {
    {TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED, "triggered"},
    {TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED, "acknowledged"},
    {TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED, "resolved"},
    {0, NULL},
};

const struct word words_severity[] = {
    {TOCSIN__SEVERITY__SEVERITY_INFO, "info"},
    {TOCSIN__SEVERITY__SEVERITY_WARNING, "warning"},
    {TOCSIN__SEVERITY__SEVERITY_ERROR, "error"},
    {TOCSIN__SEVERITY__SEVERITY_CRITICAL, "critical"},
    {0, NULL},
};

const struct word words_log_type[] = {
    {TOCSIN__LOG_TYPE__LOG_TRIGGER, "trigger_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_ON_CALL_CHANGE, "on_call_change_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_SCHEDULE_CHANGE, "schedule_change_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_ACKNOWLEDGE, "acknowledge_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_RESOLVE, "resolve_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_UNACKNOWLEDGE, "unacknowledge_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_ESCALATE, "escalate_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_ASSIGN, "assign_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_NOTIFY, "notify_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_ANNOTATE, "annotate_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_REPEAT_ESCALATION_PATH, "repeat_escalation_path_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH, "exhaust_escalation_path_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_REACH_TRIGGER_LIMIT, "reach_trigger_limit_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_URGENCY_CHANGE, "urgency_change_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE, "field_value_change_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_SNOOZE, "snooze_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_MERGE, "merge_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_HELD, "held_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_TEST, "test_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_RESPONDER_REQUEST, "responder_request_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_RESPONDER_ANSWER, "responder_reply_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_STATUS_UPDATE, "status_update_log_entry"},
    {TOCSIN__LOG_TYPE__LOG_TARGET_MISSED, "target_missed_log_entry"}, /* ours */
    {0, NULL},
};

const struct word words_outcome[] = {
    {TOCSIN__OUTCOME__OUTCOME_SENT, "sent"},       {TOCSIN__OUTCOME__OUTCOME_RETRY, "retry"},
    {TOCSIN__OUTCOME__OUTCOME_NEVER, "never"},     {TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED, "misconfigured"},
    {TOCSIN__OUTCOME__OUTCOME_UNKNOWN, "unknown"}, {0, NULL},
};

const struct word words_why[] = {
    {TOCSIN__WHY__WHY_EVENT, "event"},
    {TOCSIN__WHY__WHY_REQUEST, "request"},
    {TOCSIN__WHY__WHY_ALERT_EXPIRED, "alert_expired"},
    {TOCSIN__WHY__WHY_LEVEL_TIMEOUT, "level_timeout"},
    {TOCSIN__WHY__WHY_POLICY_START, "policy_start"},
    {TOCSIN__WHY__WHY_POLICY_REPEAT, "policy_repeat"},
    {TOCSIN__WHY__WHY_POLICY_EXHAUSTED, "policy_exhausted"},
    {TOCSIN__WHY__WHY_NOBODY_ON_LEVEL, "nobody_on_level"},
    {TOCSIN__WHY__WHY_ACKNOWLEDGEMENT_TIMEOUT, "acknowledgement_timeout"},
    {TOCSIN__WHY__WHY_AUTO_RESOLVE, "auto_resolve"},
    {TOCSIN__WHY__WHY_ALL_ALERTS_RESOLVED, "all_alerts_resolved"},
    {TOCSIN__WHY__WHY_RULE_AT_ONCE, "rule_at_once"},
    {TOCSIN__WHY__WHY_RULE_AFTER_DELAY, "rule_after_delay"},
    {TOCSIN__WHY__WHY_DEFAULT_RULE, "default_rule"},
    {TOCSIN__WHY__WHY_CHANNEL_FAILED, "channel_failed"},
    {TOCSIN__WHY__WHY_GUARDIANS, "guardians"},
    {TOCSIN__WHY__WHY_NOT_ACKNOWLEDGED, "not_acknowledged"},
    {TOCSIN__WHY__WHY_INCIDENT_ACKNOWLEDGED, "incident_acknowledged"},
    {TOCSIN__WHY__WHY_INCIDENT_RESOLVED, "incident_resolved"},
    {TOCSIN__WHY__WHY_REASSIGNED, "reassigned"},
    {TOCSIN__WHY__WHY_NO_CONTACT_METHOD, "no_contact_method"},
    {TOCSIN__WHY__WHY_ATTEMPTS_EXHAUSTED, "attempts_exhausted"},
    {TOCSIN__WHY__WHY_FAILOVER, "failover"},
    {TOCSIN__WHY__WHY_USER_DELETED, "user_deleted"},
    {TOCSIN__WHY__WHY_LOW_URGENCY, "low_urgency"},
    {TOCSIN__WHY__WHY_HEARTBEAT_SILENT, "heartbeat_silent"},
    {TOCSIN__WHY__WHY_HEARTBEAT_FAILED, "heartbeat_failed"},
    {TOCSIN__WHY__WHY_HEARTBEAT_BACK, "heartbeat_back"},
    {TOCSIN__WHY__WHY_HEARTBEAT_DELETED, "heartbeat_deleted"},
    {TOCSIN__WHY__WHY_RULE, "rule"},
    {TOCSIN__WHY__WHY_BLIND, "blind"},
    {TOCSIN__WHY__WHY_CONDITION, "condition"},
    {TOCSIN__WHY__WHY_CONDITION_OVER, "condition_over"},
    {TOCSIN__WHY__WHY_TURN_PASSED, "turn_passed"},
    {TOCSIN__WHY__WHY_MAINTENANCE, "maintenance"},
    {TOCSIN__WHY__WHY_MUTED, "muted"},
    {TOCSIN__WHY__WHY_PAUSED, "paused"},
    {TOCSIN__WHY__WHY_RULE_PAUSED, "paused_by_rule"},
    {TOCSIN__WHY__WHY_RULE_SUPPRESSED, "suppressed_by_rule"},
    {TOCSIN__WHY__WHY_MUTES_ASKED, "mutes_asked"},
    {TOCSIN__WHY__WHY_HOLD_OVER, "hold_over"},
    {TOCSIN__WHY__WHY_MUTES_UNANSWERED, "mutes_unanswered"},
    {TOCSIN__WHY__WHY_NO_ROOM, "no_room"},
    {TOCSIN__WHY__WHY_SERVICE_URGENCY, "service_urgency"},
    {TOCSIN__WHY__WHY_SEVERITY, "severity"},
    {TOCSIN__WHY__WHY_IN_SUPPORT_HOURS, "in_support_hours"},
    {TOCSIN__WHY__WHY_OUT_OF_SUPPORT_HOURS, "out_of_support_hours"},
    {TOCSIN__WHY__WHY_MAINTENANCE_ENDS, "maintenance_ends"},
    {TOCSIN__WHY__WHY_SNOOZE_ENDED, "snooze_ended"},
    {TOCSIN__WHY__WHY_MERGED, "merged"},
    {TOCSIN__WHY__WHY_SUPPORT_HOURS_BEGIN, "support_hours_begin"},
    {TOCSIN__WHY__WHY_SUPPORT_HOURS_END, "support_hours_end"},
    {TOCSIN__WHY__WHY_HANDOFF_RULE, "handoff_rule"},
    {TOCSIN__WHY__WHY_HANDOFF_DEFAULT, "handoff_default"},
    {TOCSIN__WHY__WHY_SWAP, "swap"},
    {TOCSIN__WHY__WHY_NO_NEWS, "no_news"},
    {TOCSIN__WHY__WHY_TEST, "test"},
    {TOCSIN__WHY__WHY_DRILL, "drill"},
    {TOCSIN__WHY__WHY_DRILL_FAILED, "drill_failed"},
    {TOCSIN__WHY__WHY_DRILL_GOOD, "drill_good"},
    {TOCSIN__WHY__WHY_DRILL_STOPPED, "drill_stopped"},
    {TOCSIN__WHY__WHY_GROUPED_TIME, "grouped_time"},
    {TOCSIN__WHY__WHY_GROUPED_CONTENT, "grouped_content"},
    {TOCSIN__WHY__WHY_GROUPED_URGENT, "grouped_urgent"},
    {TOCSIN__WHY__WHY_TICKET, "ticket"},
    {TOCSIN__WHY__WHY_ACKNOWLEDGE_TARGET, "acknowledge_target"},
    {TOCSIN__WHY__WHY_RESOLVE_TARGET, "resolve_target"},
    {TOCSIN__WHY__WHY_RESPONDER_REQUEST, "responder_request"},
    {TOCSIN__WHY__WHY_RESPONDER_ANSWERED, "responder_answered"},
    {TOCSIN__WHY__WHY_STATUS_UPDATE, "status_update"},
    {TOCSIN__WHY__WHY_ALERTS_MOVED, "alerts_moved"},
    {0, NULL},
};

const char *word_of(const struct word *words, int value)
{
    for (; words->word != NULL; words++) {
        if (words->value == value) {
            return words->word;
        }
    }
    return NULL;
}

json_t *json_word(const struct word *words, int value)
{
    const char *word = word_of(words, value);

    return word != NULL ? json_string(word) : json_null();
}

bool word_find(const struct word *words, const char *text, int *value)
{
    for (; words->word != NULL; words++) {
        if (strcmp(words->word, text) == 0) {
            *value = words->value;
            return true;
        }
    }
    return false;
}

#define WORD_CHARACTERS_MAX 100
#define WORD_LIST_SIZE_BYTES 256

bool query_words(struct http_request *request, const char *name, const struct word *words)
{
    for (size_t i = 0; i < request->query_count; i++) {
        int value = 0;
        if (query_is(&request->query[i], name) && !word_find(words, request->query[i].value, &value)) {
            api_error(request, 400, 2001, "Invalid Input Provided",
                      json_pack("[o]", json_format("'%s[]' has a value that is not known", name)));
            return false;
        }
    }
    return true;
}

bool field_word(struct field_reader *reader, const char *name, const struct word *words, int *value, bool *present)
{
    const char *text = NULL;
    char list[WORD_LIST_SIZE_BYTES];
    size_t length = 0;

    if (!field_string(reader, name, WORD_CHARACTERS_MAX, &text, present)) {
        return false;
    }
    if (text == NULL || word_find(words, text, value)) {
        return true;
    }
    for (; words->word != NULL; words++) {
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", length > 0 ? ", " : "", words->word);
        assert(length < sizeof list);
    }
    field_error(reader, "'%s%s' must be one of: %s", reader->prefix, name, list);
    return false;
}

/* ---------------------------------------------------------------- texts and times */

json_t *json_text(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

json_t *json_format(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    json_t *text = json_vsprintf(format, arguments);
    va_end(arguments);
    assert(text != NULL); /* all texts were checked at the door */
    return text;
}

/* `digits` digits; moves *at behind them. */
static bool take_number(const char **at, unsigned digits, unsigned min, unsigned max, unsigned *out)
{
    unsigned value = 0;

    for (unsigned i = 0; i < digits; i++) {
        if ((*at)[i] < '0' || (*at)[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)((*at)[i] - '0');
    }
    *at += digits;
    *out = value;
    return value >= min && value <= max;
}

static bool take_character(const char **at, char character)
{
    if (**at != character) {
        return false;
    }
    (*at)++;
    return true;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar; years are counted from March, so that the leap day is
 * their last. */
static int64_t days_of(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2 ? 1 : 0);
    int64_t from_march = month > 2 ? month - 3 : month + 9;

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5 + day - 1 - 719468;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* ":MM[:SS[.fraction]]" behind the hour; a fraction is cut to milliseconds. */
static bool take_clock(const char **at, int64_t *clock_ms)
{
    unsigned hour, minute, second = 0, weight = 100;

    if (!take_number(at, 2, 0, 23, &hour) || !take_character(at, ':') || !take_number(at, 2, 0, 59, &minute)) {
        return false;
    }
    if (take_character(at, ':') && !take_number(at, 2, 0, 60, &second)) {
        return false;
    }
    *clock_ms = ((hour * 60 + minute) * 60 + second) * INT64_C(1000);
    if (take_character(at, '.')) {
        for (unsigned digit; take_number(at, 1, 0, 9, &digit); weight /= 10) {
            *clock_ms += digit * weight;
        }
    }
    return true;
}

/* "", "Z", "+01:00", "+0100", "+01". A plus sign that was not escaped in a query arrives as a blank. */
static bool take_offset(const char **at, int64_t *offset_ms)
{
    unsigned hours, minutes = 0;
    char sign = **at;

    *offset_ms = 0;
    if (sign == '\0' || take_character(at, 'Z')) {
        return true;
    }
    if (sign != '+' && sign != '-' && sign != ' ') {
        return false;
    }
    (*at)++;
    if (!take_number(at, 2, 0, 23, &hours)) {
        return false;
    }
    (void)take_character(at, ':');
    if (**at != '\0' && !take_number(at, 2, 0, 59, &minutes)) {
        return false;
    }
    *offset_ms = (hours * 60 + minutes) * (sign == '-' ? INT64_C(-60000) : INT64_C(60000));
    return true;
}

bool time_parse(const char *text, uint64_t *time_ms)
{
    const char *at = text;
    unsigned year, month, day;
    int64_t clock_ms = 0, offset_ms = 0;

    if (!take_number(&at, 4, 1970, 9999, &year) || !take_character(&at, '-') || !take_number(&at, 2, 1, 12, &month) ||
        !take_character(&at, '-') || !take_number(&at, 2, 1, days_in_month(year, month), &day)) {
        return false;
    }
    if (*at != '\0') {
        if (!take_character(&at, 'T') && !take_character(&at, ' ')) {
            return false;
        }
        if (!take_clock(&at, &clock_ms) || !take_offset(&at, &offset_ms)) {
            return false;
        }
    }
    int64_t at_ms = days_of(year, month, day) * INT64_C(86400000) + clock_ms - offset_ms;
    *time_ms = at_ms > 0 ? (uint64_t)at_ms : 0;
    return *at == '\0';
}

/* ---------------------------------------------------------------- references */

json_t *render_self(struct http_request *request, const char *format, ...)
{
    char path[256];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    assert(length > 0 && (size_t)length < sizeof path);
    return json_format("%s%s", api_call_of(request)->api->public_url, path);
}

json_t *render_head(uint64_t id, const char *type, const char *summary, json_t *self)
{
    json_t *object = json_object();

    json_object_set_new(object, "id", json_id(id));
    json_object_set_new(object, "type", json_string(type));
    json_object_set_new(object, "summary", summary != NULL ? json_string(summary) : json_null());
    json_object_set_new(object, "self", self);
    json_object_set_new(object, "html_url", json_null());
    return object;
}

/* `summary` NULL: the object is gone, and its address with it. */
static json_t *reference(struct http_request *request, const char *collection, uint64_t id, const char *type,
                         const char *summary)
{
    char text[16];

    id_format(id, text);
    return render_head(id, type, summary,
                       summary != NULL ? render_self(request, "/%s/%s", collection, text) : json_null());
}

json_t *reference_user(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__User *user = user_get(view, id, request_memory(request));

    return reference(request, "users", id, "user_reference", user != NULL ? user->name : NULL);
}

json_t *reference_service(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__Service *service = service_get(view, id, request_memory(request));

    return reference(request, "services", id, "service_reference", service != NULL ? service->name : NULL);
}

json_t *reference_escalation_policy(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    if (id == 0) { /* of the built-in service, until it is given one */
        return json_null();
    }
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(view, id, request_memory(request));

    return reference(request, "escalation_policies", id, "escalation_policy_reference",
                     policy != NULL ? policy->name : NULL);
}

json_t *reference_schedule(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__Schedule *schedule = schedule_get(view, id, request_memory(request));

    return reference(request, "schedules", id, "schedule_reference", schedule != NULL ? schedule->name : NULL);
}

json_t *reference_team(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__Team *team = team_get(view, id, request_memory(request));

    return reference(request, "teams", id, "team_reference", team != NULL ? team->name : NULL);
}

json_t *reference_integration(struct http_request *request, const Tocsin__Integration *integration)
{
    char service[16], id[16], type[160];

    id_format(integration->service_id, service);
    id_format(integration->id, id);
    int length = snprintf(type, sizeof type, "%s_reference", integration->type);
    assert(length > 0 && (size_t)length < sizeof type);
    return render_head(integration->id, type, integration->name,
                       render_self(request, "/services/%s/integrations/%s", service, id));
}

json_t *reference_contact_method(struct http_request *request, const Tocsin__ContactMethod *method)
{
    char user[16], id[16], type[64];
    const char *word = word_of(words_contact_method_type, (int)method->channel);

    id_format(method->user_id, user);
    id_format(method->id, id);
    (void)snprintf(type, sizeof type, "%s_reference", word != NULL ? word : "contact_method");
    return render_head(method->id, type, method->label, render_self(request, "/users/%s/contact_methods/%s", user, id));
}

json_t *reference_notification_rule(struct http_request *request, const struct machine_store *view,
                                    const Tocsin__NotificationRule *rule)
{
    const Tocsin__ContactMethod *method =
        contact_method_get(view, rule->user_id, rule->contact_method_id, request_memory(request));
    char user[16], id[16], summary[128];
    const char *word = word_of(words_channel, method != NULL ? (int)method->channel : 0);

    id_format(rule->user_id, user);
    id_format(rule->id, id);
    (void)snprintf(summary, sizeof summary, "%u minutes: %s", rule->start_delay_minutes,
                   word != NULL ? word : "nothing");
    return render_head(rule->id, "assignment_notification_rule_reference", summary,
                       render_self(request, "/users/%s/notification_rules/%s", user, id));
}

json_t *reference_incident(struct http_request *request, const Tocsin__Incident *incident)
{
    char id[16];

    id_format(incident->id, id);
    json_t *reference =
        render_head(incident->id, "incident_reference", NULL, render_self(request, "/incidents/%s", id));
    json_object_set_new(reference, "summary",
                        json_format("[#%llu] %s", (unsigned long long)incident->number, incident->title));
    return reference;
}

json_t *reference_actor(struct http_request *request, const struct machine_store *view, const Tocsin__Actor *actor,
                        uint64_t service_id)
{
    if (actor != NULL && actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER) {
        json_t *user = reference_user(request, view, actor->id);
        if (json_is_null(json_object_get(user, "summary"))) {
            json_object_set_new(user, "summary", json_text(actor->name)); /* gone, but this is what the name was */
        }
        return user;
    }
    if (actor != NULL && actor->kind == TOCSIN__ACTOR_KIND__ACTOR_TOKEN) {
        return render_head(actor->id, "api_key_reference", actor->name, json_null());
    }
    return reference_service(request, view, service_id);
}
