/* What an answer shows: incidents with their state, objects with their revision, or that something is not there. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/clients/client.h"

char *text_of(const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        abort();
    }
    return text;
}

const char *json_text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

bool answer_ok(const struct client_answer *answer)
{
    return answer->status >= 200 && answer->status <= 204;
}

int incident_status_of(const json_t *incident)
{
    static const char *const words[] = {"triggered", "acknowledged", "resolved"};
    const char *word = json_text_at(incident, "status");

    for (int i = 0; i < 3; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

/* "2015-10-06T21:30:42Z" in seconds; 0 when it is none. */
static uint64_t seconds_of(const char *text)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);

    return end != NULL && *end == '\0' ? (uint64_t)timegm(&parts) : 0;
}

static void copy_text(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text);
}

static void sight_of_incident(struct history *history, const struct client_answer *answer, const json_t *incident)
{
    struct incident_sight sight = {.asked = answer->asked, .node = answer->node};
    int status = incident_status_of(incident);

    if (status < 0) {
        history_violation(history, "node %" PRIu64 " shows an incident without a status", answer->node);
        return;
    }
    sight.status = (enum incident_status)status;
    sight.number = (uint64_t)json_integer_value(json_object_get(incident, "incident_number"));
    sight.changed_at_s = seconds_of(json_text_at(incident, "last_status_change_at"));
    copy_text(sight.id, sizeof sight.id, json_text_at(incident, "id"));
    copy_text(sight.service, sizeof sight.service, json_text_at(json_object_get(incident, "service"), "id"));
    copy_text(sight.key, sizeof sight.key, json_text_at(incident, "incident_key"));
    history_incident_seen(history, &sight);
}

/* What only names it shows nothing of it. */
static bool is_reference(const json_t *object)
{
    return strstr(json_text_at(object, "type"), "_reference") != NULL;
}

/* The field that edits write "revision 12" into; what never was edited has revision 0. */
static void sight_of_object(struct history *history, const struct client_answer *answer, const json_t *object,
                            const char *field)
{
    uint64_t revision = 0;

    if (sscanf(json_text_at(object, field), "revision %" SCNu64, &revision) != 1) {
        revision = 0;
    }
    history_object_seen(history, answer->asked, answer->node, json_text_at(object, "id"), revision);
}

/* What may stand in an answer: one under its name, or a list under its plural. */
static const struct shown {
    const char *one, *many;
    const char *revision_field; /* NULL: an incident */
} shown[] = {
    {"incident", "incidents", NULL},
    {"user", "users", "job_title"},
    {"escalation_policy", "escalation_policies", "description"},
    {"service", "services", "description"},
};

static void sight_of(struct history *history, const struct client_answer *answer, const struct shown *kind,
                     const json_t *object)
{
    if (is_reference(object)) {
        return;
    }
    if (kind->revision_field == NULL) {
        sight_of_incident(history, answer, object);
    } else {
        sight_of_object(history, answer, object, kind->revision_field);
    }
}

/* "/incidents/P00001A/notes" is about P00001A. People ask by number only for what they were paged about. */
static void sight_of_nothing(struct history *history, const struct client_answer *answer, const char *target)
{
    char family[32], id[32] = "";

    if (sscanf(target, "/%31[a-z_]/%31[0-9A-Z]", family, id) != 2) {
        return;
    }
    history_missing(history, answer->asked, answer->node, id);
    if (strcmp(family, "incidents") == 0 && id[strspn(id, "0123456789")] == '\0') {
        history_violation(history, "P1: somebody was paged about incident #%s, and node %" PRIu64 " does not know it",
                          id, answer->node);
    }
}

void sight_of_answer(struct history *history, const struct client_answer *answer, const char *method,
                     const char *target)
{
    if (answer->stale) {
        return;
    }
    if (answer->status == 404 && strcmp(method, "GET") == 0) {
        sight_of_nothing(history, answer, target);
    }
    if (!answer_ok(answer)) {
        return;
    }
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        const json_t *one = json_object_get(answer->json, shown[i].one);
        json_t *many = json_object_get(answer->json, shown[i].many), *element;
        size_t at;
        if (json_is_object(one)) {
            sight_of(history, answer, &shown[i], one);
        }
        json_array_foreach(many, at, element)
        {
            sight_of(history, answer, &shown[i], element);
        }
    }
}
