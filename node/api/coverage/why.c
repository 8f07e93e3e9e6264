/*
 * Why somebody was paged for an incident, or was not: GET /incidents/{id}/why, with user_id for one person.
 *
 * Everything comes from what was stored when it was decided: the timeline (levels, what their schedules said, who could not
 * be told), the notifications, those that ended and those that are owed, and the deadlines of rules whose delay is not over.
 *
 *     timeline, notifications, deadlines ──> struct why (why.h) ──> sentences (why_sentences.c)
 */
#include "node/api/coverage/why.h"

#include <stdlib.h>
#include <string.h>

#include "node/api/coverage/coverage.h"
#include "node/api/incidents/incidents.h"
#include "node/api/orchestration/paths.h"
#include "node/api/render.h"

/* Deadlines that are looked at for rules still to come. */
#define DEADLINES_SEEN_MAX 20000u
#define TOLD_LEAST 16u

static struct concerned *person_of(struct why *why, uint64_t user_id)
{
    for (size_t i = 0; i < why->people_count; i++) {
        if (why->people[i].user_id == user_id) {
            return &why->people[i];
        }
    }
    if (why->people_count == PEOPLE_MAX) {
        why->more_people = true;
        return NULL;
    }
    struct concerned *person = &why->people[why->people_count++];
    *person = (struct concerned){.user_id = user_id, .pages = json_array(), .ahead = json_array()};
    return person;
}

/* ---------------------------------------------------------------- the timeline */

static json_t *render_on_call(struct why *why, const Tocsin__LogEntry *entry)
{
    json_t *list = json_array();

    for (size_t i = 0; i < entry->n_on_call; i++) {
        const Tocsin__OnCall *on_call = entry->on_call[i];
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:I, s:o}", "schedule",
                            reference_schedule(why->request, why->view, on_call->schedule_id), "user",
                            on_call->user_id != 0 ? reference_user(why->request, why->view, on_call->user_id) : json_null(),
                            "revision", (json_int_t)on_call->revision, "override", json_id(on_call->override_id)));
    }
    return list;
}

static bool is_about_people(const Tocsin__LogEntry *entry)
{
    return entry->type == TOCSIN__LOG_TYPE__LOG_ASSIGN || entry->type == TOCSIN__LOG_TYPE__LOG_ESCALATE;
}

static void take_assigned(struct why *why, const Tocsin__LogEntry *entry)
{
    if (why->first_level == NULL) {
        why->first_level = entry;
    }
    why->last_level = entry;
    why->stopped = NULL;
    for (size_t i = 0; i < entry->n_assignee_ids; i++) {
        struct concerned *person = person_of(why, entry->assignee_ids[i]);
        if (person != NULL && person->assigned_at_ms == 0) {
            person->assigned_at_ms = entry->at_ms;
            person->assigned_text = entry->text;
        }
    }
}

static void take_decision(struct why *why, const Tocsin__LogEntry *entry)
{
    json_t *assignees = json_array();

    for (size_t i = 0; i < entry->n_assignee_ids; i++) {
        json_array_append_new(assignees, reference_user(why->request, why->view, entry->assignee_ids[i]));
    }
    json_array_append_new(why->decisions,
                          json_pack("{s:o, s:o, s:s, s:o, s:I, s:o, s:o}", "id", json_id(entry->id), "at",
                                    json_time(entry->at_ms), "text", entry->text, "why",
                                    json_word(words_why, (int)entry->why), "escalation_level", (json_int_t)entry->level,
                                    "assignees", assignees, "on_call", render_on_call(why, entry)));
}

static void told_add(struct why *why, const Tocsin__LogEntry *entry)
{
    if (why->told_count == why->told_capacity) {
        size_t capacity = why->told_capacity > 0 ? 2 * why->told_capacity : TOLD_LEAST;
        struct told *larger = http_alloc(why->request, capacity * sizeof *larger);
        if (why->told_count > 0) {
            memcpy(larger, why->told, why->told_count * sizeof *larger);
        }
        why->told = larger;
        why->told_capacity = capacity;
    }
    why->told[why->told_count++] = (struct told){entry->notification_id, entry->at_ms, entry->provider, entry->provider_id};
}

static int compare_told(const void *a, const void *b)
{
    uint64_t first = ((const struct told *)a)->notification_id, second = ((const struct told *)b)->notification_id;

    return (first > second) - (first < second);
}

/* NULL: no provider took it. */
static const struct told *told_of(const struct why *why, uint64_t notification_id)
{
    struct told key = {.notification_id = notification_id};

    return why->told_count > 0 ? bsearch(&key, why->told, why->told_count, sizeof *why->told, compare_told) : NULL;
}

static void take_notify(struct why *why, const Tocsin__LogEntry *entry)
{
    struct concerned *person = entry->user_id != 0 && entry->notification_id == 0 ? person_of(why, entry->user_id) : NULL;

    if (person != NULL && entry->outcome == TOCSIN__OUTCOME__OUTCOME_NEVER) {
        person->untold_text = entry->text;
    }
    if (entry->notification_id != 0 && entry->outcome == TOCSIN__OUTCOME__OUTCOME_SENT) {
        told_add(why, entry);
    }
}

/* What ends an escalation, and who did it. */
static void take_end(struct why *why, const Tocsin__LogEntry *entry)
{
    bool acknowledged = entry->type == TOCSIN__LOG_TYPE__LOG_ACKNOWLEDGE;

    if (acknowledged || entry->type == TOCSIN__LOG_TYPE__LOG_SNOOZE || entry->type == TOCSIN__LOG_TYPE__LOG_RESOLVE) {
        why->stopped = why->stopped == NULL || !acknowledged ? entry : why->stopped;
    } else if (entry->type == TOCSIN__LOG_TYPE__LOG_UNACKNOWLEDGE) {
        why->stopped = NULL;
    }
    struct concerned *person = acknowledged && entry->user_id != 0 ? person_of(why, entry->user_id) : NULL;
    if (person != NULL && person->acknowledged_at_ms == 0) {
        person->acknowledged_at_ms = entry->at_ms;
    }
}

static void take_entry(struct why *why, const Tocsin__LogEntry *entry)
{
    if (entry->n_rules > 0) {
        json_array_append_new(why->rules, json_pack("{s:o, s:o}", "at", json_time(entry->at_ms), "rules",
                                                    render_rules_taken(entry->rules, entry->n_rules)));
    }
    if (entry->type == TOCSIN__LOG_TYPE__LOG_NOTIFY) {
        take_notify(why, entry);
        return;
    }
    if (is_about_people(entry)) {
        take_assigned(why, entry);
    }
    take_end(why, entry);
    if (entry->type != TOCSIN__LOG_TYPE__LOG_ANNOTATE && entry->type != TOCSIN__LOG_TYPE__LOG_STATUS_UPDATE &&
        entry->type != TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE) {
        take_decision(why, entry);
    }
}

/* False: too many for one answer. */
static bool take_timeline(struct why *why)
{
    struct walk walk = walk_under(why->view, TABLE_LOG_ENTRY, why->incident->id);
    size_t seen = 0;

    while (walk_next(&walk)) {
        if (++seen > WHY_ROWS_MAX) {
            return false;
        }
        take_entry(why, record_unpack(&tocsin__log_entry__descriptor, walk.value, request_memory(why->request)));
    }
    if (why->told_count > 0) {
        qsort(why->told, why->told_count, sizeof *why->told, compare_told);
    }
    return true;
}

/* ---------------------------------------------------------------- pages */

static const struct word words_state[] = {
    {TOCSIN__NOTIFICATION_STATE__NOTIFICATION_OWED, "owed"},
    {TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED, "being_sent"},
    {TOCSIN__NOTIFICATION_STATE__NOTIFICATION_WAITING, "waiting_for_next_attempt"},
    {TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT, "sent"},
    {TOCSIN__NOTIFICATION_STATE__NOTIFICATION_FAILED, "failed"},
    {TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED, "not_sent"},
    {0, NULL},
};

static json_t *render_rule(uint64_t rule_id)
{
    char id[16];

    if (rule_id == 0) {
        return json_null();
    }
    id_format(rule_id, id);
    return json_pack("{s:s, s:s}", "id", id, "type", "assignment_notification_rule_reference");
}

static json_t *render_page(const struct why *why, const Tocsin__Notification *page)
{
    const struct told *told = told_of(why, page->id);

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o}", "id", json_id(page->id),
                     "created_at", json_time(page->created_at_ms), "sent_at", json_time(told != NULL ? told->at_ms : 0), "provider",
                     json_text(told != NULL ? told->provider : ""), "provider_id", json_text(told != NULL ? told->provider_id : ""),
                     "channel", json_word(words_channel, (int)page->channel), "address",
                     json_text(page->address), "state", json_word(words_state, (int)page->state), "why",
                     json_word(words_why, (int)page->why), "why_ended", json_word(words_why, (int)page->why_ended),
                     "detail", json_text(page->ended_detail), "escalation_level", (json_int_t)page->level, "attempts",
                     (json_int_t)page->attempt, "notification_rule", render_rule(page->notification_rule_id),
                     "contact_method", json_id(page->contact_method_id));
}

/* Status updates and the like are no pages. */
static void take_page(struct why *why, const Tocsin__Notification *page)
{
    struct concerned *person = NULL;

    if (page == NULL || page->bulletin_id != 0) {
        return;
    }
    if (page->guardian) {
        json_t *object = render_page(why, page);
        json_object_set_new(object, "name", json_text(page->user_name));
        json_array_append_new(why->guardians, object);
        return;
    }
    person = person_of(why, page->user_id);
    if (person == NULL) {
        return;
    }
    json_array_append_new(person->pages, render_page(why, page));
    if (page->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT) {
        if (person->first_sent_ms == 0 || page->created_at_ms < person->first_sent_ms) {
            person->first_sent_ms = page->created_at_ms;
            person->channel = page->channel;
            person->level = page->level;
            person->rule_id = page->notification_rule_id;
        }
    } else if (page->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_FAILED) {
        person->failed = true;
    } else if (page->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED) {
        person->why_ended = page->why_ended;
    } else {
        person->owed = true;
    }
}

static bool take_pages(struct why *why)
{
    struct walk walk = walk_under(why->view, TABLE_NOTIFICATION, why->incident->id);
    size_t seen = 0;

    while (walk_next(&walk)) {
        if (++seen > WHY_ROWS_MAX) {
            return false;
        }
        take_page(why, record_unpack(&tocsin__notification__descriptor, walk.value, request_memory(why->request)));
    }
    for (size_t i = 0; i < why->incident->n_pending_notification_ids; i++) {
        take_page(why, notification_get(why->view, why->incident->id, why->incident->pending_notification_ids[i],
                                        request_memory(why->request)));
    }
    return true;
}

/* Rules whose delay is not over: deadlines of the present assignment. They are found among those of all incidents, the
 * nearest first; the incident knows how many there are. */
static void take_ahead(struct why *why)
{
    const Tocsin__Incident *incident = why->incident;
    size_t left = incident->notifications_pending > incident->n_pending_notification_ids
                      ? incident->notifications_pending - incident->n_pending_notification_ids : 0;
    struct walk walk = walk_all(why->view, TABLE_DEADLINE);

    for (size_t seen = 0; left > 0 && seen < DEADLINES_SEEN_MAX && walk_next(&walk); seen++) {
        uint64_t due_ms, object, sub_object;
        enum deadline_kind kind;
        key_deadline_split(walk.key, &due_ms, &kind, &object, &sub_object);
        if (kind != DEADLINE_NOTIFICATION_RULE || object != incident->id) {
            continue;
        }
        const Tocsin__Deadline *row =
            record_unpack(&tocsin__deadline__descriptor, walk.value, request_memory(why->request));
        struct concerned *person = row->generation == incident->generation ? person_of(why, row->user_id) : NULL;
        if (person == NULL) {
            continue;
        }
        left--;
        person->ahead_ms = person->ahead_ms == 0 ? due_ms : person->ahead_ms;
        json_array_append_new(person->ahead, json_pack("{s:o, s:o, s:o, s:o}", "at", json_time(due_ms), "why",
                                                       json_word(words_why, (int)row->why), "contact_method",
                                                       json_id(row->contact_method_id), "notification_rule",
                                                       render_rule(row->notification_rule_id)));
    }
}

/* ---------------------------------------------------------------- the answer */

static json_t *render_person(struct why *why, const struct concerned *person)
{
    return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:O, s:O}", "user", reference_user(why->request, why->view, person->user_id),
                     "paged", person->first_sent_ms != 0, "paged_at", json_time(person->first_sent_ms), "assigned_at",
                     json_time(person->assigned_at_ms), "acknowledged_at", json_time(person->acknowledged_at_ms), "sentence",
                     why_sentence(why, person), "pages", person->pages,
                     "rules_ahead", person->ahead);
}

static json_t *render_people(struct why *why, uint64_t only_id)
{
    json_t *people = json_array();

    for (size_t i = 0; i < why->people_count; i++) {
        if (only_id == 0 || why->people[i].user_id == only_id) {
            json_array_append_new(people, render_person(why, &why->people[i]));
        }
    }
    return people;
}

static json_t *summary(struct why *why)
{
    size_t paged = 0;

    for (size_t i = 0; i < why->people_count; i++) {
        paged += why->people[i].first_sent_ms != 0 ? 1 : 0;
    }
    return json_format("%zu of %zu people concerned were paged, and %zu pages went to guardians.", paged, why->people_count,
                       json_array_size(why->guardians));
}

/* For a person alone, or (0) everybody. */
static json_t *answer(struct why *why, uint64_t user_id)
{
    if (user_id != 0) {
        (void)person_of(why, user_id);
    }
    json_t *people = render_people(why, user_id);
    json_t *said = user_id != 0 && json_array_size(people) == 1
                       ? json_incref(json_object_get(json_array_get(people, 0), "sentence")) : summary(why);
    return json_pack("{s:{s:o, s:o, s:o, s:o, s:b, s:O, s:O, s:O}}", "why", "incident",
                     reference_incident(why->request, why->incident), "sentence", said, "urgency", why_urgency(why), "people", people, "more_people",
                     why->more_people, "decisions", why->decisions, "event_rules", why->rules, "guardians", why->guardians);
}

static void why_close(struct why *why)
{
    for (size_t i = 0; i < why->people_count; i++) {
        json_decref(why->people[i].pages);
        json_decref(why->people[i].ahead);
    }
    json_decref(why->decisions);
    json_decref(why->rules);
    json_decref(why->guardians);
}

static void on_read(struct http_request *request, const struct machine_store *view)
{
    uint64_t user_id = api_call_of(request)->id; /* before what may answer: then the request is gone */
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    if (user_id != 0 && user_get(view, user_id, request_memory(request)) == NULL) {
        api_not_found(request);
        return;
    }
    struct why *why = http_alloc(request, sizeof *why);
    *why = (struct why){.request = request, .view = view, .incident = incident, .decisions = json_array(),
                        .rules = json_array(), .guardians = json_array()};
    bool whole = take_timeline(why) && take_pages(why);
    if (whole) {
        take_ahead(why);
    }
    json_t *body = whole ? answer(why, user_id) : NULL;
    why_close(why); /* in the request's memory, which goes with the answer */
    if (body != NULL) {
        api_json(request, 200, body);
    } else {
        scan_refuse(request);
    }
}

void incident_why(struct http_request *request)
{
    const char *user = http_query(request, "user_id");

    if (user != NULL) {
        api_call_of(request)->id = id_parse(user);
        if (api_call_of(request)->id == 0) {
            api_error(request, 400, 2001, "Invalid Input Provided", json_pack("[s]", "'user_id' must be an id"));
            return;
        }
    }
    api_read(request, on_read);
}
