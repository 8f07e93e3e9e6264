/* Users, the ways to reach them, and the rules by which they want to be told. */
#include <string.h>

#include "consensus/machine/base/text.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/directory/administrators.h"
#include "consensus/machine/directory/contacts.h"
#include "consensus/machine/directory/teams.h"
#include "consensus/machine/paging/notices.h"
#include "consensus/machine/schedules/handoffs.h"
#include "consensus/machine/schedules/swaps.h"
#include "consensus/machine/uses.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT

/* ---------------------------------------------------------------- users */

static const char *const user_fields[] = {"name", "email",     "time_zone",   "color",
                                          "role", "job_title", "description", NULL};

static bool check_user(struct apply *apply, Tocsin__Reply *reply, const Tocsin__User *user)
{
    if (!check_line(apply, reply, "The name", user->name, 1, LIMIT_USER_NAME_CHARACTERS) ||
        !check_line(apply, reply, "The e-mail address", user->email, 1, LIMIT_USER_NAME_CHARACTERS) ||
        !check_line(apply, reply, "The time zone", user->time_zone, 0, LIMIT_NAME_CHARACTERS) ||
        !check_line(apply, reply, "The colour", user->color, 0, LIMIT_NAME_CHARACTERS) ||
        !check_line(apply, reply, "The job title", user->job_title, 0, LIMIT_NAME_CHARACTERS) ||
        !check_lines(apply, reply, "The description", user->description, 0, LIMIT_DESCRIPTION_CHARACTERS)) {
        return false;
    }
    if (!text_is_email(user->email)) {
        reply_refuse(apply, reply, INVALID, "The e-mail address must have the form name@domain.");
        return false;
    }
    uint64_t owner = index_find(apply, TABLE_USER_BY_EMAIL, key_hash_lower(user->email));
    if (owner != 0 && owner != user->id) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_EMAIL_TAKEN,
                     "Another user has this e-mail address.");
        return false;
    }
    return true;
}

static Tocsin__User *user_new(struct apply *apply)
{
    Tocsin__User *user = apply_alloc(apply, sizeof *user);
    tocsin__user__init(user);
    return user;
}

void apply_user_put(struct apply *apply, const Tocsin__UserPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->user)) {
        return;
    }
    bool creation = put->id == 0;
    Tocsin__User *user = creation ? user_new(apply) : user_get(apply->store, put->id, apply->arena);
    if (user == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_USER, "user", put->id);
        return;
    }
    struct key old_email = key_hash_lower(user->email);
    bool was_administrator = role_administers(user->role);
    record_patch(&user->base, &put->user->base, creation, put->fields, user_fields);
    if (user->role == TOCSIN__ROLE__ROLE_NONE) {
        user->role = TOCSIN__ROLE__ROLE_USER;
    }
    if (!check_user(apply, reply, user)) {
        return;
    }
    if (was_administrator && !role_administers(user->role) &&
        !check_administrator_stays(apply, reply, &(struct leaving){.user_id = user->id, .demoted = true})) {
        return;
    }
    if (creation) {
        if (!check_room(apply, reply, "users", apply->store->count(apply->store->context, TABLE_USER), LIMIT_USERS)) {
            return;
        }
        user->id = apply_new_id(apply);
        user->created_at_ms = apply->time_ms;
    } else {
        row_delete(apply, TABLE_USER_BY_EMAIL, old_email);
    }
    index_put(apply, TABLE_USER_BY_EMAIL, key_hash_lower(user->email), user->id);
    user_put(apply->store, user);
    reply_id(apply, reply, user->id);
}

static void delete_under(struct apply *apply, enum machine_table table, uint64_t parent)
{
    struct walk walk = walk_under(apply->store, table, parent);
    while (walk_next(&walk)) {
        row_delete(apply, table, walk.position);
    }
}

static void delete_tokens_of(struct apply *apply, uint64_t user_id)
{
    struct walk walk = walk_all(apply->store, TABLE_TOKEN);
    while (walk_next(&walk)) {
        const Tocsin__Token *token = record_unpack(&tocsin__token__descriptor, walk.value, apply->arena);
        if (token != NULL && token->user_id == user_id) {
            row_delete(apply, TABLE_TOKEN_BY_HASH, key_bytes(token->hash.data, token->hash.len));
            row_delete(apply, TABLE_TOKEN, key_1(token->id));
        }
    }
}

void apply_user_delete(struct apply *apply, const Tocsin__UserDelete *delete, Tocsin__Reply *reply)
{
    const Tocsin__User *user = user_get(apply->store, delete->id, apply->arena);
    if (user == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_USER, "user", delete->id);
        return;
    }
    if (!check_unused(apply, reply, USED_USER, user->id, user->name) ||
        !check_administrator_stays(apply, reply, &(struct leaving){.user_id = user->id})) {
        return;
    }
    /* While the records are still there, so that the timeline can name the person. */
    incidents_user_deleted(apply, user->id);
    notices_user_deleted(apply, user->id);
    handoff_rules_forget(apply, user->id, 0);
    calendar_feed_forget(apply, user->id);
    delete_tokens_of(apply, user->id);
    teams_user_deleted(apply, user->id);
    delete_under(apply, TABLE_NOTIFICATION_RULE, user->id);
    delete_under(apply, TABLE_CONTACT_METHOD, user->id);
    delete_under(apply, TABLE_CONTACT_PROOF, user->id);
    row_delete(apply, TABLE_USER_BY_EMAIL, key_hash_lower(user->email));
    row_delete(apply, TABLE_USER, key_1(user->id));
    reply_id(apply, reply, user->id);
}

/* The user to whom a contact method or a rule belongs. */
static bool check_owner(struct apply *apply, Tocsin__Reply *reply, uint64_t user_id)
{
    if (user_get(apply->store, user_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_USER, "user", user_id);
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- contact methods */

static const char *const contact_method_fields[] = {"channel",          "label",       "address", "country_code",
                                                    "send_short_email", "device_type", NULL};

static bool check_contact_method_free(struct apply *apply, Tocsin__Reply *reply, const Tocsin__ContactMethod *method)
{
    struct walk walk = walk_under(apply->store, TABLE_CONTACT_METHOD, method->user_id);
    while (walk_next(&walk)) {
        const Tocsin__ContactMethod *other =
            record_unpack(&tocsin__contact_method__descriptor, walk.value, apply->arena);
        if (other != NULL && other->id != method->id && other->channel == method->channel &&
            other->country_code == method->country_code && strcmp(other->address, method->address) == 0) {
            reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_CONTACT_METHOD_TAKEN,
                         "The user has a contact method of this type with this address already.");
            return false;
        }
    }
    return true;
}

static Tocsin__ContactMethod *contact_method_new(struct apply *apply, uint64_t user_id)
{
    Tocsin__ContactMethod *method = apply_alloc(apply, sizeof *method);
    tocsin__contact_method__init(method);
    method->user_id = user_id;
    return method;
}

void apply_contact_method_put(struct apply *apply, const Tocsin__ContactMethodPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->contact_method) ||
        !check_owner(apply, reply, put->contact_method->user_id)) {
        return;
    }
    bool creation = put->id == 0;
    uint64_t user_id = put->contact_method->user_id;
    Tocsin__ContactMethod *method = creation ? contact_method_new(apply, user_id)
                                             : contact_method_get(apply->store, user_id, put->id, apply->arena);
    if (method == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_CONTACT_METHOD, "contact method", put->id);
        return;
    }
    Tocsin__ContactMethod before = *method;
    record_patch(&method->base, &put->contact_method->base, creation, put->fields, contact_method_fields);
    if (!creation && method->channel != before.channel) {
        reply_refuse(apply, reply, INVALID, "The type of a contact method cannot be changed; add another one.");
        return;
    }
    if (!check_contact_method(apply, reply, method) || !check_contact_method_free(apply, reply, method)) {
        return;
    }
    if (creation) {
        if (!check_room(apply, reply, "contact methods of one user", rows_under(apply, TABLE_CONTACT_METHOD, user_id),
                        LIMIT_CONTACT_METHODS_PER_USER)) {
            return;
        }
        method->id = apply_new_id(apply);
        method->created_at_ms = apply->time_ms;
    } else if (strcmp(method->address, before.address) != 0 || method->country_code != before.country_code) {
        contact_forget(apply, user_id, method->id);
    }
    contact_method_put(apply->store, method);
    reply_id(apply, reply, method->id);
}

void apply_contact_method_delete(struct apply *apply, const Tocsin__ContactMethodDelete *delete, Tocsin__Reply *reply)
{
    if (contact_method_get(apply->store, delete->user_id, delete->id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_CONTACT_METHOD, "contact method", delete->id);
        return;
    }
    struct walk walk = walk_under(apply->store, TABLE_NOTIFICATION_RULE, delete->user_id);
    while (walk_next(&walk)) {
        const Tocsin__NotificationRule *rule =
            record_unpack(&tocsin__notification_rule__descriptor, walk.value, apply->arena);
        if (rule != NULL && rule->contact_method_id == delete->id) {
            row_delete(apply, TABLE_NOTIFICATION_RULE, walk.position);
        }
    }
    handoff_rules_forget(apply, delete->user_id, delete->id);
    contact_forget(apply, delete->user_id, delete->id);
    row_delete(apply, TABLE_CONTACT_METHOD, key_2(delete->user_id, delete->id));
    reply_id(apply, reply, delete->id);
}

/* ---------------------------------------------------------------- notification rules */

static const char *const notification_rule_fields[] = {"contact_method_id", "urgency", "start_delay_minutes", NULL};

static bool check_rule(struct apply *apply, Tocsin__Reply *reply, const Tocsin__NotificationRule *rule)
{
    if (contact_method_get(apply->store, rule->user_id, rule->contact_method_id, apply->arena) == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_CONTACT_METHOD,
                     "The contact method is not one of the user's.");
        return false;
    }
    if (rule->urgency != TOCSIN__URGENCY__URGENCY_HIGH && rule->urgency != TOCSIN__URGENCY__URGENCY_LOW) {
        reply_refuse(apply, reply, INVALID, "The urgency of a notification rule must be high or low.");
        return false;
    }
    if (rule->start_delay_minutes > LIMIT_DELAY_MINUTES) {
        reply_refuse(apply, reply, INVALID, "The start delay must be at most %u minutes.", LIMIT_DELAY_MINUTES);
        return false;
    }
    return true;
}

static bool check_rule_free(struct apply *apply, Tocsin__Reply *reply, const Tocsin__NotificationRule *rule)
{
    struct walk walk = walk_under(apply->store, TABLE_NOTIFICATION_RULE, rule->user_id);
    while (walk_next(&walk)) {
        const Tocsin__NotificationRule *other =
            record_unpack(&tocsin__notification_rule__descriptor, walk.value, apply->arena);
        if (other != NULL && other->id != rule->id && other->contact_method_id == rule->contact_method_id &&
            other->urgency == rule->urgency && other->start_delay_minutes == rule->start_delay_minutes) {
            reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_NOTIFICATION_RULE_TAKEN,
                         "The user has a rule for this contact method, urgency and delay already.");
            return false;
        }
    }
    return true;
}

static Tocsin__NotificationRule *rule_new(struct apply *apply, uint64_t user_id)
{
    Tocsin__NotificationRule *rule = apply_alloc(apply, sizeof *rule);
    tocsin__notification_rule__init(rule);
    rule->user_id = user_id;
    return rule;
}

void apply_notification_rule_put(struct apply *apply, const Tocsin__NotificationRulePut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->notification_rule) ||
        !check_owner(apply, reply, put->notification_rule->user_id)) {
        return;
    }
    bool creation = put->id == 0;
    uint64_t user_id = put->notification_rule->user_id;
    Tocsin__NotificationRule *rule = creation ? rule_new(apply, user_id)
                                              : notification_rule_get(apply->store, user_id, put->id, apply->arena);
    if (rule == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "notification rule", put->id);
        return;
    }
    record_patch(&rule->base, &put->notification_rule->base, creation, put->fields, notification_rule_fields);
    if (!check_rule(apply, reply, rule) || !check_rule_free(apply, reply, rule)) {
        return;
    }
    if (creation) {
        if (!check_room(apply, reply, "notification rules of one user",
                        rows_under(apply, TABLE_NOTIFICATION_RULE, user_id), LIMIT_NOTIFICATION_RULES_PER_USER)) {
            return;
        }
        rule->id = apply_new_id(apply);
    }
    notification_rule_put(apply->store, rule);
    reply_id(apply, reply, rule->id);
}

void apply_notification_rule_delete(struct apply *apply, const Tocsin__NotificationRuleDelete *delete,
                                    Tocsin__Reply *reply)
{
    if (notification_rule_get(apply->store, delete->user_id, delete->id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "notification rule", delete->id);
        return;
    }
    row_delete(apply, TABLE_NOTIFICATION_RULE, key_2(delete->user_id, delete->id));
    reply_id(apply, reply, delete->id);
}
