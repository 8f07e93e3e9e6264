/* Rules by which a person hears of hand-offs. */
#include "consensus/machine/checks.h"
#include "consensus/machine/schedules/handoffs.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT

static const char *const handoff_rule_fields[] = {"contact_method_id", "type", "advance_minutes", NULL};

static Tocsin__HandoffRule *rule_get(struct apply *apply, uint64_t user_id, uint64_t id)
{
    return record_get(apply->store, TABLE_HANDOFF_RULE, key_2(user_id, id), &tocsin__handoff_rule__descriptor,
                      apply->arena);
}

static bool check_rule(struct apply *apply, Tocsin__Reply *reply, const Tocsin__HandoffRule *rule)
{
    if (contact_method_get(apply->store, rule->user_id, rule->contact_method_id, apply->arena) == NULL) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_UNKNOWN_CONTACT_METHOD,
                     "The contact method is not one of the user's.");
        return false;
    }
    if (rule->advance_minutes > LIMIT_HANDOFF_ADVANCE_MINUTES) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "A hand-off is announced at most %u minutes before.", LIMIT_HANDOFF_ADVANCE_MINUTES);
        return false;
    }
    struct walk walk = walk_under(apply->store, TABLE_HANDOFF_RULE, rule->user_id);
    while (walk_next(&walk)) {
        const Tocsin__HandoffRule *other = record_unpack(&tocsin__handoff_rule__descriptor, walk.value, apply->arena);
        if (other != NULL && other->id != rule->id && other->contact_method_id == rule->contact_method_id &&
            other->type == rule->type && other->advance_minutes == rule->advance_minutes) {
            reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_HANDOFF_RULE_TAKEN,
                         "The user has a rule for this contact method, type and advance already.");
            return false;
        }
    }
    return true;
}

void apply_handoff_rule_put(struct apply *apply, const Tocsin__HandoffRulePut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->handoff_rule)) {
        return;
    }
    uint64_t user_id = put->handoff_rule->user_id;
    bool creation = put->id == 0;
    if (user_get(apply->store, user_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_USER, "user", user_id);
        return;
    }
    Tocsin__HandoffRule *rule = creation ? apply_alloc(apply, sizeof *rule) : rule_get(apply, user_id, put->id);
    if (rule == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "hand-off rule", put->id);
        return;
    }
    if (creation) {
        tocsin__handoff_rule__init(rule);
        rule->user_id = user_id;
    }
    record_patch(&rule->base, &put->handoff_rule->base, creation, put->fields, handoff_rule_fields);
    if (!check_rule(apply, reply, rule) ||
        (creation && !check_room(apply, reply, "hand-off rules of one user",
                                 rows_under(apply, TABLE_HANDOFF_RULE, user_id), LIMIT_HANDOFF_RULES_PER_USER))) {
        return;
    }
    rule->id = creation ? apply_new_id(apply) : rule->id;
    record_put(apply->store, TABLE_HANDOFF_RULE, key_2(user_id, rule->id), &rule->base);
    handoffs_touch_user(apply, user_id);
    reply_id(apply, reply, rule->id);
}

void apply_handoff_rule_delete(struct apply *apply, const Tocsin__HandoffRuleDelete *delete, Tocsin__Reply *reply)
{
    if (rule_get(apply, delete->user_id, delete->id) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "hand-off rule", delete->id);
        return;
    }
    row_delete(apply, TABLE_HANDOFF_RULE, key_2(delete->user_id, delete->id));
    handoffs_touch_user(apply, delete->user_id);
    reply_id(apply, reply, delete->id);
}

void handoff_rules_forget(struct apply *apply, uint64_t user_id, uint64_t contact_method_id)
{
    struct walk walk = walk_under(apply->store, TABLE_HANDOFF_RULE, user_id);
    while (walk_next(&walk)) {
        const Tocsin__HandoffRule *rule = record_unpack(&tocsin__handoff_rule__descriptor, walk.value, apply->arena);
        if (rule != NULL && (contact_method_id == 0 || rule->contact_method_id == contact_method_id)) {
            row_delete(apply, TABLE_HANDOFF_RULE, walk.position);
        }
    }
}
