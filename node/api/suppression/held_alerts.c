/*
 * Alerts that wake nobody: held back by a mute, a maintenance window, a pause or a rule.
 *
 *     GET /alerts             those that fire; ?statuses[]=suppressed (the same), triggered or resolved, service_ids[], alert_key,
 *                             reasons[]=muted ...
 *     GET /alerts/{}/why      why it wakes nobody: by what, whose, until when
 *
 * Events that became no alert at all (dropped, routed nowhere, for a service that is switched off) are listed by
 * GET /event_orchestrations/{}/events_aside, with the id of the orchestration or of the service.
 */
#include <string.h>

#include "node/api/incidents/incidents.h"
#include "node/api/orchestration/paths.h"
#include "node/api/render.h"
#include "node/api/suppression/suppression.h"

/* ---------------------------------------------------------------- who is behind it */

/* Whoever made the mute or the window. */
struct behind {
    uint64_t user_id;
    const char *name; /* as it was then; "" for nobody */
};

static struct behind behind_of(struct http_request *request, const struct machine_store *view, const Tocsin__Hold *hold)
{
    struct behind behind = {0, ""};

    if (hold->why == TOCSIN__WHY__WHY_MUTED) {
        const Tocsin__Mute *mute = mute_get(view, hold->cause_id, request_memory(request));
        behind = mute != NULL ? (struct behind){mute->created_by_id, mute->created_by} : behind;
    } else if (hold->why == TOCSIN__WHY__WHY_MAINTENANCE) {
        const Tocsin__MaintenanceWindow *window = maintenance_window_get(view, hold->cause_id, request_memory(request));
        behind = window != NULL ? (struct behind){window->created_by_id, window->created_by_name} : behind;
    }
    return behind;
}

static json_t *render_behind(struct http_request *request, const struct machine_store *view, const struct behind *behind)
{
    if (behind->user_id == 0) {
        return behind->name[0] != '\0' ? json_pack("{s:n, s:s}", "id", "summary", behind->name) : json_null();
    }
    json_t *user = reference_user(request, view, behind->user_id);
    if (json_is_null(json_object_get(user, "summary"))) {
        json_object_set_new(user, "summary", json_text(behind->name)); /* gone, but this is what the name was */
    }
    return user;
}

/* What rules suppress stays suppressed, however long it fires. */
static bool is_for_good(const Tocsin__Hold *hold)
{
    return hold->why == TOCSIN__WHY__WHY_RULE_SUPPRESSED;
}

json_t *render_suppression(struct http_request *request, const struct machine_store *view, const Tocsin__Alert *alert)
{
    const Tocsin__Hold *hold = alert->hold;

    if (hold == NULL) {
        return json_null();
    }
    struct behind behind = behind_of(request, view, hold);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "reason", json_word(words_why, (int)hold->why), "by",
                     hold->cause_id != 0 ? json_id(hold->cause_id) : json_null(), "text", json_text(hold->text), "who",
                     render_behind(request, view, &behind), "since", json_time(hold->since_ms), "until",
                     is_for_good(hold) ? json_null() : json_time(hold->until_ms));
}

/* ---------------------------------------------------------------- why, in a sentence */

static const char *in_memory(struct http_request *request, json_t *text)
{
    const char *copy = http_strdup(request, json_string_value(text));

    json_decref(text);
    return copy;
}

static const char *time_text(struct http_request *request, uint64_t time_ms)
{
    return in_memory(request, json_time(time_ms));
}

/* What holds it, as the end of a sentence that begins with "It woke nobody: ". */
static const char *cause_words(struct http_request *request, const struct machine_store *view, const Tocsin__Alert *alert)
{
    const Tocsin__Hold *hold = alert->hold;
    const char *who = behind_of(request, view, hold).name;

    who = who[0] != '\0' ? who : "somebody";
    switch (hold->why) {
    case TOCSIN__WHY__WHY_MUTED:
        return in_memory(request, json_format("%s muted it (%s)", who, hold->text));
    case TOCSIN__WHY__WHY_MAINTENANCE:
        return in_memory(request, hold->text[0] != '\0'
                                      ? json_format("its service was in maintenance (%s), as %s said", hold->text, who)
                                      : json_format("its service was in maintenance, as %s said", who));
    case TOCSIN__WHY__WHY_PAUSED:
        return "its service waits whether alerts pass by themselves";
    case TOCSIN__WHY__WHY_RULE_PAUSED:
        return in_memory(request, json_format("the event rule \"%s\" waits whether such alerts pass by themselves", hold->text));
    case TOCSIN__WHY__WHY_RULE_SUPPRESSED:
        return in_memory(request, json_format("the event rule \"%s\" suppresses such alerts", hold->text));
    case TOCSIN__WHY__WHY_NO_ROOM:
        return "as many incidents were open as there may be";
    default:
        return "the cluster looked whether a mute fits it";
    }
}

static json_t *why_sentence_held(struct http_request *request, const struct machine_store *view, const Tocsin__Alert *alert)
{
    const char *cause = cause_words(request, view, alert);

    if (alert->resolved) {
        return json_format("It woke nobody: %s. It was resolved at %s, before an incident opened.", cause,
                           time_text(request, alert->resolved_at_ms));
    }
    if (is_for_good(alert->hold)) {
        return json_format("It wakes nobody: %s, however long they fire.", cause);
    }
    return json_format("It wakes nobody for now: %s. If it still fires at %s and nothing else holds it, an incident opens.", cause,
                       time_text(request, alert->hold->until_ms));
}

static json_t *render_why(struct http_request *request, const struct machine_store *view, const Tocsin__Alert *alert)
{
    const Tocsin__EventDecision *decision = alert->decision;
    json_t *why = render_suppression(request, view, alert);
    char id[16];

    id_format(alert->id, id);
    json_object_set_new(why, "alert", render_head(alert->id, "alert_reference", alert->summary,
                                                  render_self(request, "/alerts/%s", id)));
    json_object_set_new(why, "service", reference_service(request, view, alert->service_id));
    json_object_set_new(why, "status", json_string(alert->resolved ? "resolved" : "suppressed"));
    json_object_set_new(why, "paged", json_false());
    json_object_set_new(why, "sentence", why_sentence_held(request, view, alert));
    json_object_set_new(why, "rules", decision != NULL ? render_rules_taken(decision->taken, decision->n_taken) : json_array());
    return why;
}

/* ---------------------------------------------------------------- handlers */

static bool reason_matches(const struct http_request *request, const Tocsin__Alert *alert)
{
    const char *word = word_of(words_why, (int)alert->hold->why);

    return !query_given(request, "reasons") || (word != NULL && query_has(request, "reasons", word));
}

/* Without statuses[] those that fire. */
static bool held_matches(struct http_request *request, const Tocsin__Alert *alert)
{
    bool asked = query_given(request, "statuses") ? true : !alert->resolved;
    bool named = !alert->resolved && query_has(request, "statuses", "suppressed");

    return alert->hold != NULL && asked && (named || alert_matches(request, alert)) && reason_matches(request, alert) &&
           query_admits_id(request, "service_ids", alert->service_id);
}

/* The newest first. */
static void on_read_held(struct http_request *request, const struct machine_store *view)
{
    struct page *page = api_call_of(request)->data;
    json_t *alerts = json_array(), *answer = json_pack("{s:o}", "alerts", alerts);
    struct walk walk = walk_under_backward(view, TABLE_ALERT, 0);
    unsigned rows = 0;

    while (!page_done(page) && walk_next(&walk)) {
        if (++rows > SCAN_ROWS_MAX) {
            json_decref(answer);
            scan_refuse(request);
            return;
        }
        Tocsin__Alert *alert = record_unpack(&tocsin__alert__descriptor, walk.value, NULL);
        if (alert != NULL && held_matches(request, alert) && page_take(page)) {
            json_array_append_new(alerts, render_alert(request, view, NULL, alert));
        }
        tocsin__alert__free_unpacked(alert, NULL);
    }
    page_finish(page, answer);
    api_json(request, 200, answer);
}

void held_alerts_list(struct http_request *request)
{
    struct page *page = http_alloc(request, sizeof *page);

    static const struct word words_status[] = {{0, "suppressed"}, {1, "triggered"}, {2, "resolved"}, {0, NULL}};

    api_call_of(request)->data = page;
    if (page_parse(request, page) && query_words(request, "statuses", words_status) &&
        query_words(request, "reasons", words_why)) {
        api_read(request, on_read_held);
    }
}

/* NULL: answered. */
static const Tocsin__Alert *held_of_path(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Alert *alert = alert_get(view, 0, api_call_of(request)->id, request_memory(request));

    if (alert != NULL && alert->hold != NULL) {
        return alert;
    }
    api_not_found(request);
    return NULL;
}

static void on_read_one(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Alert *alert = held_of_path(request, view);

    if (alert != NULL) {
        api_json(request, 200, json_pack("{s:o}", "alert", render_alert(request, view, NULL, alert)));
    }
}

static void on_read_why(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Alert *alert = held_of_path(request, view);

    if (alert != NULL) {
        api_json(request, 200, json_pack("{s:o}", "why", render_why(request, view, alert)));
    }
}

void held_alert_read(struct http_request *request)
{
    if (path_id(request, 0, &api_call_of(request)->id)) {
        api_read(request, on_read_one);
    }
}

void held_alert_why(struct http_request *request)
{
    if (path_id(request, 0, &api_call_of(request)->id)) {
        api_read(request, on_read_why);
    }
}
