/* Alert grouping: which open incident of its service an alert joins. */
#include "consensus/machine/incidents/grouping.h"

#include <string.h>

#include "consensus/machine/base/siphash.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/incidents.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define HASH_SIZE_BYTES SIPHASH_SIZE_BYTES
#define DETAILS_PREFIX "custom_details."

static const Tocsin__AlertGrouping *rule_of(const Tocsin__Service *service)
{
    const Tocsin__AlertGrouping *rule = service->alert_grouping;
    bool groups = rule != NULL && rule->type != TOCSIN__GROUPING_TYPE__GROUPING_NONE && !service->incidents_only;
    return groups ? rule : NULL;
}

static bool is_by_content(const Tocsin__AlertGrouping *rule)
{
    return rule->type == TOCSIN__GROUPING_TYPE__GROUPING_CONTENT ||
           rule->type == TOCSIN__GROUPING_TYPE__GROUPING_CONTENT_INTELLIGENT;
}

/* ---------------------------------------------------------------- values of an alert */

struct hash {
    uint8_t bytes[HASH_SIZE_BYTES];
};

static struct hash hash_of(const char *text)
{
    struct hash hash;
    struct key key = key_hash(text);
    memcpy(hash.bytes, key.bytes, sizeof hash.bytes);
    return hash;
}

static bool detail_find(const Tocsin__Event *event, const char *path, struct hash *value)
{
    struct hash wanted = hash_of(path);
    const uint8_t *rows = event->detail_hashes.data;
    for (size_t at = 0; at + 2 * HASH_SIZE_BYTES <= event->detail_hashes.len; at += 2 * HASH_SIZE_BYTES) {
        if (memcmp(rows + at, wanted.bytes, HASH_SIZE_BYTES) == 0) {
            memcpy(value->bytes, rows + at + HASH_SIZE_BYTES, HASH_SIZE_BYTES);
            return true;
        }
    }
    return false;
}

static const char *severity_text(Tocsin__Severity severity)
{
    static const char *const TEXTS[] = {"", "info", "warning", "error", "critical"};
    return (size_t)severity < sizeof TEXTS / sizeof TEXTS[0] ? TEXTS[severity] : "";
}

/* The value under a field's name; NULL for a name that is none of the event's own. */
static const char *own_field(const Tocsin__Event *event, const char *name)
{
    const struct {
        const char *name, *value;
    } fields[] = {{"summary", event->summary},     {"source", event->source}, {"severity", severity_text(event->severity)},
                  {"component", event->component}, {"group", event->group},   {"class", event->class_name}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return fields[i].value;
        }
    }
    return NULL;
}

static bool is_detail(const char *name)
{
    return strncmp(name, DETAILS_PREFIX, sizeof DETAILS_PREFIX - 1) == 0 && name[sizeof DETAILS_PREFIX - 1] != '\0';
}

/* False when the event has none. */
static bool field_hash(const Tocsin__Event *event, const char *name, struct hash *value)
{
    if (is_detail(name)) {
        return detail_find(event, name + sizeof DETAILS_PREFIX - 1, value);
    }
    const char *text = own_field(event, name);
    if (text == NULL || text[0] == '\0') {
        return false;
    }
    *value = hash_of(text);
    return true;
}

/* ---------------------------------------------------------------- keys */

static const char *hex(struct apply *apply, const struct hash *hash)
{
    static const char DIGITS[] = "0123456789abcdef";
    char *text = apply_alloc(apply, 2 * HASH_SIZE_BYTES + 1);
    for (size_t i = 0; i < HASH_SIZE_BYTES; i++) {
        text[2 * i] = DIGITS[hash->bytes[i] >> 4];
        text[2 * i + 1] = DIGITS[hash->bytes[i] & 15];
    }
    return text;
}

static void key_add(Tocsin__Alert *alert, struct hash key)
{
    memcpy(alert->group_keys.data + alert->group_keys.len, key.bytes, HASH_SIZE_BYTES);
    alert->group_keys.len += HASH_SIZE_BYTES;
}

static void keys_of_content(struct apply *apply, const Tocsin__AlertGrouping *rule, const Tocsin__Event *event,
                            Tocsin__Alert *alert)
{
    const char *all = "all";
    bool whole = rule->n_fields > 0;
    for (size_t i = 0; i < rule->n_fields; i++) {
        struct hash value;
        if (!field_hash(event, rule->fields[i], &value)) {
            whole = false;
        } else if (rule->any) {
            key_add(alert, hash_of(apply_printf(apply, "any\n%s=%s", rule->fields[i], hex(apply, &value))));
        } else {
            all = apply_printf(apply, "%s\n%s=%s", all, rule->fields[i], hex(apply, &value));
        }
    }
    if (!rule->any && whole) {
        key_add(alert, hash_of(all));
    }
}

void grouping_keys(struct apply *apply, const Tocsin__Service *service, const Tocsin__Event *event,
                   Tocsin__Alert *alert)
{
    const Tocsin__AlertGrouping *rule = rule_of(service);
    alert->group_keys = (ProtobufCBinaryData){0};
    if (rule == NULL) {
        return;
    }
    alert->group_keys.data = apply_alloc(apply, (rule->n_fields + 1) * HASH_SIZE_BYTES);
    if (is_by_content(rule)) {
        keys_of_content(apply, rule, event, alert);
    } else {
        key_add(alert, hash_of("time"));
    }
}

/* ---------------------------------------------------------------- the groups */

static size_t keys_count(const Tocsin__Alert *alert)
{
    return alert->group_keys.len / HASH_SIZE_BYTES;
}

static struct key place(uint64_t id, const Tocsin__Alert *alert, size_t i)
{
    struct key key = key_1(id);
    memcpy(key.bytes + key.size_bytes, alert->group_keys.data + i * HASH_SIZE_BYTES, HASH_SIZE_BYTES);
    key.size_bytes = (uint8_t)(key.size_bytes + HASH_SIZE_BYTES);
    return key;
}

static bool is_in_time(const struct apply *apply, const Tocsin__AlertGrouping *rule, const Tocsin__Incident *incident)
{
    uint64_t age_ms = apply->time_ms - incident->group_since_ms, gap_ms = apply->time_ms - incident->group_last_ms;
    if (rule->type == TOCSIN__GROUPING_TYPE__GROUPING_TIME) {
        return rule->timeout_minutes == 0 || age_ms <= apply_minutes_ms(apply, rule->timeout_minutes);
    }
    uint32_t window_s = rule->time_window_s != 0 ? rule->time_window_s : GROUPING_WINDOW_SECONDS_RECOMMENDED;
    return gap_ms <= apply_seconds_ms(apply, window_s) && age_ms <= apply_seconds_ms(apply, LIMIT_GROUPING_AGE_SECONDS);
}

Tocsin__Incident *grouping_find(struct apply *apply, const Tocsin__Service *service, const Tocsin__Alert *alert)
{
    const Tocsin__AlertGrouping *rule = rule_of(service);
    for (size_t i = 0; rule != NULL && i < keys_count(alert); i++) {
        uint64_t incident_id = index_find(apply, TABLE_ALERT_GROUP, place(service->id, alert, i));
        Tocsin__Incident *incident =
            incident_id != 0 ? incident_get(apply->store, incident_id, apply->arena) : NULL;
        /* A ticket pages nobody: what is new opens an incident of its own, which takes the key over. */
        if (incident != NULL && !incident_is_ticket(incident) && is_in_time(apply, rule, incident) &&
            (uint64_t)incident->alerts_triggered + incident->alerts_resolved < LIMIT_ALERTS_PER_INCIDENT) {
            return incident;
        }
    }
    return NULL;
}

void grouping_file(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Alert *alert)
{
    for (size_t i = 0; i < keys_count(alert); i++) {
        struct key of = place(incident->id, alert, i);
        index_put(apply, TABLE_ALERT_GROUP, place(incident->service_id, alert, i), incident->id);
        apply->store->put(apply->store->context, TABLE_ALERT_GROUP_OF, key_span(&of),
                          (struct span){.data = "", .size_bytes = 0});
        incident->group_since_ms = incident->group_since_ms != 0 ? incident->group_since_ms : apply->time_ms;
        incident->group_last_ms = apply->time_ms;
    }
}

/* A later incident may have taken a key over. */
void grouping_end(struct apply *apply, const Tocsin__Incident *incident)
{
    struct walk walk = walk_under(apply->store, TABLE_ALERT_GROUP_OF, incident->id);
    while (walk_next(&walk)) {
        struct key key = key_1(incident->service_id);
        memcpy(key.bytes + key.size_bytes, walk.position.bytes + key.size_bytes, HASH_SIZE_BYTES);
        key.size_bytes = (uint8_t)(key.size_bytes + HASH_SIZE_BYTES);
        if (index_find(apply, TABLE_ALERT_GROUP, key) == incident->id) {
            row_delete(apply, TABLE_ALERT_GROUP, key);
        }
        row_delete(apply, TABLE_ALERT_GROUP_OF, walk.position);
    }
}

/* ---------------------------------------------------------------- why */

static const char *fields_text(struct apply *apply, const Tocsin__AlertGrouping *rule)
{
    const char *text = "";
    for (size_t i = 0; i < rule->n_fields; i++) {
        const char *between = i == 0 ? "" : i + 1 < rule->n_fields ? ", " : rule->any ? " or " : " and ";
        text = apply_printf(apply, "%s%s%s", text, between, rule->fields[i]);
    }
    return text;
}

const char *grouping_reason(struct apply *apply, const Tocsin__Service *service, const Tocsin__Incident *incident,
                            Tocsin__Why *why)
{
    const Tocsin__AlertGrouping *rule = service->alert_grouping;
    unsigned minutes = (unsigned)((apply->time_ms - incident->group_since_ms) / apply_minutes_ms(apply, 1));
    if (!is_by_content(rule)) {
        *why = TOCSIN__WHY__WHY_GROUPED_TIME;
        return apply_printf(apply, "%s, and its group began %u min ago", timeline_why(*why), minutes);
    }
    *why = TOCSIN__WHY__WHY_GROUPED_CONTENT;
    return apply_printf(apply, "it has the same %s as an alert of its group, which began %u min ago",
                        fields_text(apply, rule), minutes);
}

/* ---------------------------------------------------------------- the rule */

static bool field_is_known(const char *name)
{
    static const Tocsin__Event NO_EVENT = TOCSIN__EVENT__INIT;
    return is_detail(name) || own_field(&NO_EVENT, name) != NULL;
}

static bool check_texts(struct apply *apply, Tocsin__Reply *reply, char *const *texts, size_t count)
{
    if (count > 0 && !check_room(apply, reply, "fields to group alerts by", count - 1, LIMIT_GROUPING_FIELDS)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!check_line(apply, reply, "A field to group alerts by", texts[i], 1, LIMIT_NAME_CHARACTERS)) {
            return false;
        }
    }
    return true;
}

bool grouping_check(struct apply *apply, Tocsin__Reply *reply, const Tocsin__AlertGrouping *rule)
{
    if (rule == NULL) {
        return true;
    }
    if (!check_texts(apply, reply, rule->fields, rule->n_fields) ||
        !check_texts(apply, reply, rule->iag_fields, rule->n_iag_fields)) {
        return false;
    }
    for (size_t i = 0; i < rule->n_fields; i++) {
        if (!field_is_known(rule->fields[i])) {
            reply_refuse(apply, reply, INVALID,
                         "Alerts are grouped by summary, source, severity, component, group, class or custom_details.*, "
                         "not by %s.",
                         rule->fields[i]);
            return false;
        }
    }
    if (is_by_content(rule) && rule->n_fields == 0) {
        reply_refuse(apply, reply, INVALID, "Alerts that are grouped by content need fields to group them by.");
        return false;
    }
    uint32_t window_s = rule->time_window_s;
    if (rule->timeout_minutes > LIMIT_GROUPING_TIMEOUT_MINUTES || window_s > LIMIT_GROUPING_WINDOW_SECONDS ||
        (window_s != 0 && window_s < GROUPING_WINDOW_SECONDS_LEAST)) {
        reply_refuse(apply, reply, INVALID, "Alerts are grouped over 0 to %u minutes, or windows of 0 or %u to %u seconds.",
                     LIMIT_GROUPING_TIMEOUT_MINUTES, GROUPING_WINDOW_SECONDS_LEAST, LIMIT_GROUPING_WINDOW_SECONDS);
        return false;
    }
    return true;
}
