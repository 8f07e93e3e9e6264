/*
 * What Opsgenie's clients hang on an alert: tags, details, a priority of P1 to P5. Their alert is the incident here.
 *
 *     event ──> alert, while something holds it back ──> incident <── LabelsChange, with its entry in the timeline
 *
 * A priority that the cluster has by the same name becomes the incident's, with its targets. One that is raised raises a low
 * urgency where a new incident of that severity would be of high urgency.
 */
#include "consensus/machine/incidents/incidents.h"

#include <string.h>

#include "consensus/machine/base/text.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/priorities.h"

#define PRIORITY_LOWEST 5u
#define PRIORITY_DEFAULT 3u /* Opsgenie's */
#define PRIORITY_FIELD (1u << 1) /* of IncidentDetails */

static bool is_open(const Tocsin__Incident *incident)
{
    return !incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
}

/* ---------------------------------------------------------------- tags and details */

static bool is_among(char *const *texts, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(texts[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static Tocsin__Label *label_find(const Tocsin__IncidentLabels *labels, const char *key)
{
    for (size_t i = 0; i < labels->n_details; i++) {
        if (strcmp(labels->details[i]->key, key) == 0) {
            return labels->details[i];
        }
    }
    return NULL;
}

static size_t label_characters(const char *key, const char *value)
{
    size_t key_characters = 0, value_characters = 0;

    (void)text_characters(key, &key_characters);
    (void)text_characters(value, &value_characters);
    return key_characters + value_characters;
}

static size_t labels_characters(const Tocsin__IncidentLabels *labels)
{
    size_t sum = 0;

    for (size_t i = 0; i < labels->n_details; i++) {
        sum += label_characters(labels->details[i]->key, labels->details[i]->value);
    }
    return sum;
}

/* Those of the incident, or none, with room for so many more. */
static Tocsin__IncidentLabels *labels_copy(struct apply *apply, const Tocsin__IncidentLabels *from, size_t more_tags,
                                           size_t more_details)
{
    Tocsin__IncidentLabels *labels = apply_alloc(apply, sizeof *labels);
    tocsin__incident_labels__init(labels);
    if (from != NULL) {
        *labels = *from;
    }
    labels->tags = apply_alloc(apply, (labels->n_tags + more_tags + 1) * sizeof *labels->tags);
    labels->details = apply_alloc(apply, (labels->n_details + more_details + 1) * sizeof *labels->details);
    if (labels->n_tags > 0) {
        memcpy(labels->tags, from->tags, labels->n_tags * sizeof *labels->tags);
    }
    if (labels->n_details > 0) {
        memcpy(labels->details, from->details, labels->n_details * sizeof *labels->details);
    }
    return labels;
}

/* False: it was there. */
static bool tag_add(Tocsin__IncidentLabels *labels, char *tag)
{
    bool is_new = !is_among(labels->tags, labels->n_tags, tag);
    if (is_new) {
        labels->tags[labels->n_tags++] = tag;
    }
    return is_new;
}

/* False: it was there, with this value. */
static bool label_set(struct apply *apply, Tocsin__IncidentLabels *labels, const Tocsin__Label *given)
{
    size_t i = 0;
    while (i < labels->n_details && strcmp(labels->details[i]->key, given->key) != 0) {
        i++;
    }
    if (i < labels->n_details && strcmp(labels->details[i]->value, given->value) == 0) {
        return false;
    }
    Tocsin__Label *label = apply_alloc(apply, sizeof *label); /* the one that is there belongs to the record as it was */
    *label = *given;
    labels->details[i] = label;
    labels->n_details += i == labels->n_details ? 1 : 0;
    return true;
}

/* ---------------------------------------------------------------- the priority */

/* The cluster's priority "P1" to "P5"; NULL: it has none of this name. */
static const Tocsin__Priority *priority_named(struct apply *apply, uint32_t number)
{
    const Tocsin__Priorities *list = priorities_read(apply->store, apply->arena);
    const char *name = apply_printf(apply, "P%u", number);
    for (size_t i = 0; i < list->n_priorities; i++) {
        if (!list->priorities[i]->retired && strcmp(list->priorities[i]->name, name) == 0) {
            return list->priorities[i];
        }
    }
    return NULL;
}

static Tocsin__IncidentDetails details_of_priority(const Tocsin__Priority *priority)
{
    Tocsin__IncidentDetails details = TOCSIN__INCIDENT_DETAILS__INIT;
    details.priority_id = priority->id;
    return details;
}

Tocsin__Severity labels_severity(uint32_t number)
{
    static const Tocsin__Severity SEVERITIES[] = {
        TOCSIN__SEVERITY__SEVERITY_ERROR,   TOCSIN__SEVERITY__SEVERITY_CRITICAL, TOCSIN__SEVERITY__SEVERITY_ERROR,
        TOCSIN__SEVERITY__SEVERITY_ERROR,   TOCSIN__SEVERITY__SEVERITY_WARNING,  TOCSIN__SEVERITY__SEVERITY_INFO,
    };
    return SEVERITIES[number <= PRIORITY_LOWEST ? number : 0];
}

static void urgency_follow(struct apply *apply, Tocsin__Incident *incident, uint32_t before, uint32_t number)
{
    const Tocsin__Service *service = service_get(apply->store, incident->service_id, apply->arena);
    bool raised = number < (before != 0 ? before : PRIORITY_DEFAULT);
    if (raised && is_open(incident) && incident->urgency == TOCSIN__URGENCY__URGENCY_LOW && service != NULL &&
        urgency_of_service(apply, service, labels_severity(number)) == TOCSIN__URGENCY__URGENCY_HIGH) {
        urgency_raise(apply, incident, TOCSIN__WHY__WHY_REQUEST);
    }
}

/* ---------------------------------------------------------------- with the alert */

void labels_begin(struct apply *apply, Tocsin__Incident *incident, Tocsin__IncidentLabels *labels,
                  const Tocsin__Actor *source)
{
    if (labels == NULL) {
        return;
    }
    if (labels->note[0] != '\0') {
        Tocsin__LogEntry *entry =
            timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_ANNOTATE, TOCSIN__WHY__WHY_EVENT, source);
        entry->text = labels->note;
        incident->notes++;
        timeline_put(apply, incident, entry);
    }
    incident->labels = labels_copy(apply, labels, 0, 0);
    incident->labels->note = apply_strdup(apply, "");
    const Tocsin__Priority *priority = labels->priority != 0 ? priority_named(apply, labels->priority) : NULL;
    if (priority != NULL && incident_details(incident)->priority_id == 0) { /* what a rule says comes first */
        Tocsin__IncidentDetails given = details_of_priority(priority);
        (void)details_change(apply, incident, &given, PRIORITY_FIELD);
    }
}

void labels_join(struct apply *apply, Tocsin__Incident *incident, const Tocsin__IncidentLabels *given)
{
    if (given == NULL) {
        return;
    }
    Tocsin__IncidentLabels *labels = labels_copy(apply, incident->labels, given->n_tags, given->n_details);
    size_t characters = labels_characters(labels);
    for (size_t i = 0; i < given->n_tags && labels->n_tags < LIMIT_TAGS_PER_INCIDENT; i++) {
        (void)tag_add(labels, given->tags[i]);
    }
    for (size_t i = 0; i < given->n_details && labels->n_details < LIMIT_LABELS_PER_ALERT; i++) {
        const Tocsin__Label *label = given->details[i];
        size_t more = label_characters(label->key, label->value);
        if (label_find(labels, label->key) == NULL && characters + more <= LIMIT_LABELS_CHARACTERS) {
            characters += more;
            (void)label_set(apply, labels, label);
        }
    }
    incident->labels = labels;
}

/* ---------------------------------------------------------------- changes */

/* What a change makes of an incident; `labels` replaces what the incident has. */
struct edit {
    struct apply *apply;
    Tocsin__Incident *incident;
    Tocsin__IncidentLabels *labels;
};

/* A client that changes its mind all the time must not fill the disk: beyond the limit changes are made, but not listed. */
static void log_edit(const struct edit *edit, const char *what, const char *names)
{
    if (edit->labels->changes > LIMIT_LABEL_LOG_ENTRIES_PER_INCIDENT) {
        return;
    }
    bool last = edit->labels->changes++ == LIMIT_LABEL_LOG_ENTRIES_PER_INCIDENT;
    Tocsin__LogEntry *entry = timeline_new(edit->apply, edit->incident, TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE,
                                           TOCSIN__WHY__WHY_REQUEST, edit->apply->actor);
    entry->text = last ? apply_printf(edit->apply, "More than %u changes: further ones are made, but not listed.",
                                      LIMIT_LABEL_LOG_ENTRIES_PER_INCIDENT)
                       : apply_printf(edit->apply, "%s %s%s%s.", entry->agent->name, what, names[0] != '\0' ? " " : "",
                                      names);
    timeline_put(edit->apply, edit->incident, entry);
}

static char *names_add(struct apply *apply, const char *names, const char *name)
{
    return apply_printf(apply, "%s%s%s", names, names[0] != '\0' ? ", " : "", name);
}

static void edit_tags(const struct edit *edit, const Tocsin__LabelsChange *change)
{
    Tocsin__IncidentLabels *labels = edit->labels;
    const char *added = "", *gone = "";
    for (size_t i = 0; i < change->n_tags; i++) {
        added = tag_add(labels, change->tags[i]) ? names_add(edit->apply, added, change->tags[i]) : added;
    }
    size_t kept = 0;
    for (size_t i = 0; i < labels->n_tags; i++) {
        if (is_among(change->tags_gone, change->n_tags_gone, labels->tags[i])) {
            gone = names_add(edit->apply, gone, labels->tags[i]);
        } else {
            labels->tags[kept++] = labels->tags[i];
        }
    }
    labels->n_tags = kept;
    if (added[0] != '\0') {
        log_edit(edit, "added the tags", added);
    }
    if (gone[0] != '\0') {
        log_edit(edit, "took away the tags", gone);
    }
}

static void edit_details(const struct edit *edit, const Tocsin__LabelsChange *change)
{
    Tocsin__IncidentLabels *labels = edit->labels;
    const char *set = "", *gone = "";
    for (size_t i = 0; i < change->n_details; i++) {
        const Tocsin__Label *label = change->details[i];
        set = label_set(edit->apply, labels, label) ? names_add(edit->apply, set, label->key) : set;
    }
    size_t kept = 0;
    for (size_t i = 0; i < labels->n_details; i++) {
        if (is_among(change->keys_gone, change->n_keys_gone, labels->details[i]->key)) {
            gone = names_add(edit->apply, gone, labels->details[i]->key);
        } else {
            labels->details[kept++] = labels->details[i];
        }
    }
    labels->n_details = kept;
    if (set[0] != '\0') {
        log_edit(edit, "set the details", set);
    }
    if (gone[0] != '\0') {
        log_edit(edit, "took away the details", gone);
    }
}

static void edit_priority(const struct edit *edit, uint32_t number)
{
    const Tocsin__Priority *priority = priority_named(edit->apply, number);
    uint32_t before = edit->labels->priority;
    edit->labels->priority = number;
    if (priority != NULL) {
        Tocsin__IncidentDetails given = details_of_priority(priority);
        (void)details_change(edit->apply, edit->incident, &given, PRIORITY_FIELD);
    } else if (before != number) {
        log_edit(edit, "set the priority to", apply_printf(edit->apply, "P%u", number));
    }
    urgency_follow(edit->apply, edit->incident, before, number);
}

static void edit_delete(const struct edit *edit)
{
    if (is_open(edit->incident)) {
        incident_resolve(edit->apply, edit->incident, TOCSIN__WHY__WHY_REQUEST, edit->apply->actor);
    }
    edit->labels->deleted = true;
    log_edit(edit, "deleted it: it is over, and not shown to Opsgenie's clients any more", "");
}

static bool refuse_value(struct apply *apply, Tocsin__Reply *reply, const char *message)
{
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_TOO_MANY, "%s", message);
    return false;
}

static bool after_check(struct apply *apply, const Tocsin__LabelsChange *change, const Tocsin__IncidentLabels *before,
                         Tocsin__Reply *reply)
{
    Tocsin__IncidentLabels *after = labels_copy(apply, before, change->n_tags, change->n_details);
    for (size_t i = 0; i < change->n_tags; i++) {
        if (!check_line(apply, reply, "A tag", change->tags[i], 1, LIMIT_TAG_CHARACTERS)) {
            return false;
        }
        (void)tag_add(after, change->tags[i]);
    }
    for (size_t i = 0; i < change->n_details; i++) {
        if (!check_line(apply, reply, "The key of a detail", change->details[i]->key, 1, LIMIT_LABELS_CHARACTERS) ||
            !check_lines(apply, reply, "A detail", change->details[i]->value, 0, LIMIT_LABELS_CHARACTERS)) {
            return false;
        }
        (void)label_set(apply, after, change->details[i]);
    }
    if (after->n_tags > LIMIT_TAGS_PER_INCIDENT) {
        return refuse_value(apply, reply, "An alert has at most 20 tags.");
    }
    if (after->n_details > LIMIT_LABELS_PER_ALERT || labels_characters(after) > LIMIT_LABELS_CHARACTERS) {
        return refuse_value(apply, reply, "The details of an alert have at most 256 keys and 8000 characters.");
    }
    return true;
}

static bool change_check(struct apply *apply, const Tocsin__LabelsChange *change, const Tocsin__IncidentLabels *before,
                         Tocsin__Reply *reply)
{
    if (change->n_tags > LIMIT_TAGS_PER_INCIDENT || change->n_tags_gone > LIMIT_LABELS_PER_ALERT ||
        change->n_details > LIMIT_LABELS_PER_ALERT || change->n_keys_gone > LIMIT_LABELS_PER_ALERT) {
        return refuse_value(apply, reply, "One request changes at most 20 tags and 256 details.");
    }
    if (change->priority > PRIORITY_LOWEST) {
        return refuse_value(apply, reply, "The priority of an alert is P1 to P5.");
    }
    return check_lines(apply, reply, "The description", change->description, 0, LIMIT_INCIDENT_BODY_CHARACTERS) &&
           after_check(apply, change, before, reply);
}

bool labels_check(struct apply *apply, const Tocsin__IncidentLabels *labels, Tocsin__Reply *reply)
{
    Tocsin__LabelsChange change = TOCSIN__LABELS_CHANGE__INIT;
    if (labels == NULL) {
        return true;
    }
    change.tags = labels->tags;
    change.n_tags = labels->n_tags;
    change.details = labels->details;
    change.n_details = labels->n_details;
    change.priority = labels->priority;
    change.description = labels->note;
    return change_check(apply, &change, NULL, reply);
}

void apply_labels_change(struct apply *apply, const Tocsin__LabelsChange *change, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get_seen(apply, change->incident_id, reply);
    if (incident == NULL || !change_check(apply, change, incident->labels, reply)) {
        return;
    }
    struct edit edit = {.apply = apply,
                        .incident = incident,
                        .labels = labels_copy(apply, incident->labels, change->n_tags, change->n_details)};
    incident->labels = edit.labels;
    edit_tags(&edit, change);
    edit_details(&edit, change);
    if (change->priority != 0) {
        edit_priority(&edit, change->priority);
    }
    if (change->description[0] != '\0' && strcmp(change->description, incident->body) != 0) {
        incident->body = apply_strdup(apply, change->description);
        log_edit(&edit, "changed the description", "");
    }
    if (change->over) {
        edit_delete(&edit);
    }
    incident_put(apply->store, incident);
    reply_id(apply, reply, incident->id);
}

/* ---------------------------------------------------------------- nobody has it any more */

void apply_incident_unacknowledge(struct apply *apply, const Tocsin__IncidentUnacknowledge *command, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get_open(apply, command->incident_id, reply);
    if (incident == NULL) {
        return;
    }
    reply_id(apply, reply, incident->id);
    if (!incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED)) {
        return;
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_UNACKNOWLEDGE,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->text = apply_printf(apply, "%s took the acknowledgement back: the incident is triggered again.",
                               entry->agent->name);
    timeline_put(apply, incident, entry);
    if (incident->level > 0) {
        escalation_begin(apply, incident, 1, TOCSIN__WHY__WHY_REQUEST, apply->actor);
    } else {
        escalation_renew(apply, incident);
    }
    incident_put(apply->store, incident);
}
