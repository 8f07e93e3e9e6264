/* Rules by which a person hears that a shift begins or ends, as PagerDuty words them; and the news that were sent. */
#include "consensus/machine/limits.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"

static const struct word words_handoff_type[] = {
    {TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH, "both"},
    {TOCSIN__HANDOFF_TYPE__HANDOFF_ONCALL, "oncall"},
    {TOCSIN__HANDOFF_TYPE__HANDOFF_OFFCALL, "offcall"},
    {0, NULL},
};

static json_t *render_rule(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__HandoffRule *rule = record;
    const Tocsin__ContactMethod *method =
        contact_method_get(view, rule->user_id, rule->contact_method_id, request_memory(request));

    return json_pack("{s:o, s:o, s:I, s:o}", "id", json_id(rule->id), "handoff_type",
                     json_word(words_handoff_type, (int)rule->type), "notify_advance_in_minutes",
                     (json_int_t)rule->advance_minutes, "contact_method",
                     method != NULL ? render_contact_method(request, view, method) : json_null()); /* as in notification rules */
}

static const struct resource resource_handoff_rule = {
    .name = "oncall_handoff_notification_rule",
    .plural = "oncall_handoff_notification_rules",
    .table = TABLE_HANDOFF_RULE,
    .descriptor = &tocsin__handoff_rule__descriptor,
    .render = render_rule,
};

static bool rule_command(struct http_request *request, uint64_t user_id, uint64_t id)
{
    struct field_reader reader;
    int64_t minutes = 0;
    int type = TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH;
    bool present = false;

    if (!body_open(request, "oncall_handoff_notification_rule", &reader)) {
        return false;
    }
    Tocsin__HandoffRulePut *put = api_command(request, TOCSIN__COMMAND__BODY_HANDOFF_RULE_PUT)->handoff_rule_put;
    Tocsin__HandoffRule *rule = http_alloc(request, sizeof *rule);
    struct field_target target = {&reader, &tocsin__handoff_rule__descriptor, &put->fields};
    tocsin__handoff_rule__init(rule);
    put->id = id;
    put->handoff_rule = rule;
    rule->user_id = user_id;
    if (field_integer(&reader, "notify_advance_in_minutes", 0, LIMIT_HANDOFF_ADVANCE_MINUTES, &minutes, &present) &&
        present) {
        rule->advance_minutes = (uint32_t)minutes;
        target_mark(&target, "advance_minutes");
    }
    if (field_word(&reader, "handoff_type", words_handoff_type, &type, &present) && present) {
        rule->type = (Tocsin__HandoffType)type;
        target_mark(&target, "type");
    }
    if (field_reference(&reader, "contact_method", &rule->contact_method_id, &present) && present) {
        target_mark(&target, "contact_method_id");
    } else if (id == 0) {
        field_error(&reader, "Contact method can't be blank");
    }
    return fields_finish(&reader);
}

void handoff_rules_list(struct http_request *request)
{
    uint64_t user_id;

    if (path_id(request, 0, &user_id)) {
        resource_list_under(request, &resource_handoff_rule, &resource_user, user_id);
    }
}

void handoff_rule_read(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_id(request, 0, &user_id) && path_id(request, 1, &id)) {
        resource_get(request, &resource_handoff_rule, user_id, id);
    }
}

void handoff_rule_create(struct http_request *request)
{
    uint64_t user_id;

    if (path_id(request, 0, &user_id) && role_require_own(request, user_id) && rule_command(request, user_id, 0)) {
        resource_save(request, &resource_handoff_rule, user_id, 201);
    }
}

void handoff_rule_update(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_id(request, 0, &user_id) && path_id(request, 1, &id) && role_require_own(request, user_id) &&
        rule_command(request, user_id, id)) {
        resource_save(request, &resource_handoff_rule, user_id, 200);
    }
}

void handoff_rule_remove(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_id(request, 0, &user_id) && path_id(request, 1, &id) && role_require_own(request, user_id)) {
        Tocsin__HandoffRuleDelete *command =
            api_command(request, TOCSIN__COMMAND__BODY_HANDOFF_RULE_DELETE)->handoff_rule_delete;
        command->user_id = user_id;
        command->id = id;
        resource_delete(request);
    }
}

/* ---------------------------------------------------------------- what was sent */

static const struct word words_notice_kind[] = {
    {TOCSIN__NOTICE_KIND__NOTICE_SHIFT_BEGINS, "shift_begins"},
    {TOCSIN__NOTICE_KIND__NOTICE_SHIFT_ENDS, "shift_ends"},
    {TOCSIN__NOTICE_KIND__NOTICE_SHIFT_CHANGED, "shift_changed"},
    {TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, "swap_offered"},
    {TOCSIN__NOTICE_KIND__NOTICE_SWAP_TAKEN, "swap_taken"},
    {TOCSIN__NOTICE_KIND__NOTICE_SWAP_UNDONE, "swap_undone"},
    {TOCSIN__NOTICE_KIND__NOTICE_MAINTENANCE_ENDS, "maintenance_ends"},
    {TOCSIN__NOTICE_KIND__NOTICE_TEST, "test"},
    {TOCSIN__NOTICE_KIND__NOTICE_CODE, "code"},
    {0, NULL},
};

static const struct word words_ended[] = {
    {TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT, "sent"},
    {TOCSIN__NOTIFICATION_STATE__NOTIFICATION_FAILED, "failed"},
    {TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED, "cancelled"},
    {0, NULL},
};

static json_t *render_notice(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Notification *notification = record;
    const Tocsin__Notice *notice = notification->notice;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "id",
                     json_id(notification->id), "type", json_word(words_notice_kind, (int)notice->kind), "created_at",
                     json_time(notification->created_at_ms), "schedule",
                     reference_schedule(request, view, notice->schedule_id), "start", json_time(notice->start_ms),
                     "end", json_time(notice->end_ms), "swap", json_id(notice->swap_id), "channel",
                     json_word(words_channel, (int)notification->channel), "address", notification->address, "status",
                     json_word(words_ended, (int)notification->state), "why",
                     json_word(words_why, (int)notification->why), "why_not",
                     json_word(words_why, (int)notification->why_ended), "detail",
                     json_text(notification->ended_detail));
}

static const struct resource resource_notice = {
    .name = "shift_notification",
    .plural = "shift_notifications",
    .table = TABLE_NOTICE,
    .descriptor = &tocsin__notification__descriptor,
    .render = render_notice,
};

/* The last ones that ended, oldest first. */
void notices_list(struct http_request *request)
{
    uint64_t user_id;

    if (path_id(request, 0, &user_id)) {
        resource_list_under(request, &resource_notice, &resource_user, user_id);
    }
}
