/* GET /coverage: every hole before an incident finds it. */
#include "node/api/coverage/coverage.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"

#define SENTENCE_SIZE_BYTES 4096

void *coverage_next(struct coverage *coverage, struct walk *walk, const ProtobufCMessageDescriptor *descriptor)
{
    if (!walk_next(walk)) {
        return NULL;
    }
    if (coverage->rows_seen == COVERAGE_ROWS_MAX) {
        coverage->incomplete = true;
        return NULL;
    }
    coverage->rows_seen++;
    return record_unpack(descriptor, walk->value, NULL);
}

void hole_add(struct coverage *coverage, const char *kind, const char *severity, json_t *object, const char *format, ...)
{
    char text[SENTENCE_SIZE_BYTES];
    va_list arguments;

    if (query_given(coverage->request, "kinds") && !query_has(coverage->request, "kinds", kind)) {
        json_decref(object);
        return;
    }
    if (json_array_size(coverage->holes) == HOLES_MAX) {
        coverage->more = true;
        json_decref(object);
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_array_append_new(coverage->holes, json_pack("{s:s, s:s, s:o, s:s}", "kind", kind, "severity", severity, "object",
                                                     object, "sentence", text));
}

void coverage_person(struct coverage *coverage, uint64_t user_id)
{
    char id[16];

    id_format(user_id, id);
    json_object_set_new(coverage->people, id, json_true());
}

static void on_read(struct http_request *request, const struct machine_store *view)
{
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    struct coverage coverage = {.request = request,
                                .view = view,
                                .now_ms = ports->cluster_ms(ports->context),
                                .holes = json_array(),
                                .empty_schedules = json_object(),
                                .people = json_object()};

    holes_of_guardians(&coverage);
    holes_of_schedules(&coverage);
    holes_of_policies(&coverage);
    holes_of_people(&coverage);
    holes_of_services(&coverage);
    json_decref(coverage.empty_schedules);
    json_decref(coverage.people);
    api_json(request, 200,
             json_pack("{s:{s:o, s:o, s:o, s:b, s:b}}", "coverage", "at", json_time(coverage.now_ms), "until",
                       json_time(coverage.now_ms + COVERAGE_AHEAD_MS), "findings", coverage.holes, "more", coverage.more,
                       "complete", !coverage.incomplete));
}

static void coverage_read(struct http_request *request)
{
    api_read(request, on_read);
}

const struct route routes_coverage[] = {
    {"GET", "/coverage", coverage_read, FAMILY_REST, 0},
    {"POST", "/services/{}/test", service_test, FAMILY_REST, ROUTE_JSON_IF_ANY},
    {"GET", "/services/{}/test/{}", service_test_read, FAMILY_REST, 0},
    {"POST", "/users/me/test", person_test, FAMILY_REST, ROUTE_JSON_IF_ANY},
    {"GET", "/incidents/{}/why", incident_why, FAMILY_REST, 0},
    {0},
};
