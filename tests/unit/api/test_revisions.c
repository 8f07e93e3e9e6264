/* Revisions of schedules over the API, the log of what was done to them, who is next, and how much is covered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_story.h"

/* The clock of the fixture shows 2026-09-21T14:13:20Z, a Monday. */
struct company {
    struct api_fixture *api;
    const char *alice, *bob, *carol, *schedule;
};

#define LAYERS                                                                                                         \
    "\"schedule_layers\":[{\"name\":\"Weekly\",\"start\":\"2026-09-21T09:00:00+02:00\",\"rotation_virtual_start\":"    \
    "\"2026-09-21T09:00:00+02:00\",\"rotation_turn_length_seconds\":604800,\"users\":[{\"user\":{\"id\":\"%s\"}},"     \
    "{\"user\":{\"id\":\"%s\"}}]}]"
#define PRIMARY "{\"schedule\":{\"name\":\"Primary\",\"time_zone\":\"Europe/Paris\"," LAYERS "}}"

static int setup(void **state)
{
    static struct company company;

    company.api = api_fixture_new();
    company.alice = story_user(company.api, "Alice", "alice@example.org");
    company.bob = story_user(company.api, "Bob", "bob@example.org");
    company.carol = story_user(company.api, "Carol", "carol@example.org");
    company.schedule =
        story_create(company.api, "/schedules", "schedule", story_text(PRIMARY, company.alice, company.bob));
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

/* Carol in Alice's place, under another name: the second revision. */
static void change(struct company *company)
{
    company->api->now_ms += 1000;
    const struct api_answer *changed =
        api_put(company->api, story_text("/schedules/%s", company->schedule),
                story_text("{\"schedule\":{\"name\":\"Nights\"," LAYERS "}}", company->carol, company->bob));
    assert_int_equal(changed->status, 200);
    company->api->now_ms += 1000;
}

static void revisions_are_listed_newest_first_with_who_and_when(void **state)
{
    struct company *company = *state;

    change(company);
    const struct api_answer *list =
        api_get(company->api, story_text("/schedules/%s/revisions?total=true", company->schedule));
    assert_int_equal(list->status, 200);
    assert_int_equal(json_array_size(api_answer_at(list, "revisions", NULL)), 2);
    json_t *newest = json_array_get(api_answer_at(list, "revisions", NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(newest, "revision")), 2);
    assert_string_equal(json_string_value(json_object_get(newest, "created_at")), "2026-09-21T14:13:21Z");
    assert_true(json_is_object(json_object_get(newest, "created_by")));

    const struct api_answer *first =
        api_get(company->api, story_text("/schedules/%s/revisions/1", company->schedule));
    assert_string_equal(api_answer_text(first, "revision", "schedule", "name", NULL), "Primary");
    assert_int_equal(api_get(company->api, story_text("/schedules/%s/revisions/9", company->schedule))->status, 404);
    assert_int_equal(api_get(company->api, story_text("/schedules/%s/revisions/two", company->schedule))->status, 400);
    assert_int_equal(api_get(company->api, "/schedules/PZZZZZZ/revisions")->status, 404);
}

static void two_revisions_are_compared_in_what_they_say_and_whom_they_wake(void **state)
{
    struct company *company = *state;

    change(company);
    const struct api_answer *compared =
        api_get(company->api, story_text("/schedules/%s/revisions/compare?from=1&to=2", company->schedule));
    assert_int_equal(compared->status, 200);
    assert_string_equal(api_answer_text(compared, "comparison", "fields", "0", "field", NULL), "name");
    assert_string_equal(api_answer_text(compared, "comparison", "fields", "0", "to", NULL), "Nights");
    /* Clients that send a layer without its id make a new one. */
    assert_string_equal(api_answer_text(compared, "comparison", "schedule_layers", "0", "change", NULL), "removed");
    assert_string_equal(api_answer_text(compared, "comparison", "schedule_layers", "1", "change", NULL), "added");
    json_t *spans = api_answer_at(compared, "comparison", "on_call", NULL);
    assert_int_equal(json_array_size(spans), 3); /* every other week, the last one cut: Bob's weeks are the same */
    assert_string_equal(api_answer_text(compared, "comparison", "on_call", "0", "from", "summary", NULL), "Alice");
    assert_string_equal(api_answer_text(compared, "comparison", "on_call", "0", "to", "summary", NULL), "Carol");
    assert_string_equal(api_answer_text(compared, "comparison", "on_call", "0", "end", NULL),
                        "2026-09-28T09:00:00+02:00");

    /* An override lies over both: there they do not differ. */
    assert_int_equal(api_post(company->api, story_text("/schedules/%s/overrides", company->schedule),
                              story_text("{\"overrides\":[{\"start\":\"2026-09-21T14:13:22Z\",\"end\":"
                                         "\"2026-09-28T07:00:00Z\",\"user\":{\"id\":\"%s\"}}]}",
                                         company->bob))
                         ->status,
                     201);
    compared = api_get(company->api, story_text("/schedules/%s/revisions/compare?from=1&to=2", company->schedule));
    assert_int_equal(json_array_size(api_answer_at(compared, "comparison", "on_call", NULL)), 2);
    assert_int_equal(
        api_get(company->api, story_text("/schedules/%s/revisions/compare?from=1", company->schedule))->status, 400);
}

static void a_revision_is_restored_as_a_new_one(void **state)
{
    struct company *company = *state;

    change(company);
    const char *restore = story_text("/schedules/%s/revisions/1/restore", company->schedule);
    const struct api_answer *stale = api_post(company->api, story_text("%s?base_revision=1", restore), "{}");
    assert_int_equal(stale->status, 409);
    const struct api_answer *restored = api_post(company->api, story_text("%s?base_revision=2", restore), "{}");
    assert_int_equal(restored->status, 200);
    assert_string_equal(api_answer_text(restored, "schedule", "name", NULL), "Primary");
    assert_int_equal(story_number(restored, "schedule", "revision"), 3);
    assert_non_null(api_answer_header(restored, "Warning")); /* Alice again */
    const struct api_answer *list = api_get(company->api, story_text("/schedules/%s/revisions", company->schedule));
    assert_int_equal(json_integer_value(api_answer_at(list, "revisions", "0", "restored_from", NULL)), 1);

    /* A later change is no restoration. */
    company->api->now_ms += 1000;
    (void)api_put(company->api, story_text("/schedules/%s", company->schedule), "{\"schedule\":{\"description\":\"x\"}}");
    list = api_get(company->api, story_text("/schedules/%s/revisions", company->schedule));
    assert_true(json_is_null(api_answer_at(list, "revisions", "0", "restored_from", NULL)));
}

static void a_revision_whose_person_is_gone_cannot_be_restored(void **state)
{
    struct company *company = *state;

    change(company);
    assert_int_equal(api_delete(company->api, story_text("/users/%s", company->alice))->status, 204);
    const struct api_answer *refused =
        api_post(company->api, story_text("/schedules/%s/revisions/1/restore", company->schedule), "{}");
    assert_int_equal(refused->status, 400);
    assert_int_equal(story_number(api_get(company->api, story_text("/schedules/%s", company->schedule)), "schedule",
                                  "revision"),
                     2);
}

static void the_log_says_who_came_on_call_by_whose_hand(void **state)
{
    struct company *company = *state;

    change(company);
    const struct api_answer *log = api_get(company->api, story_text("/schedules/%s/log_entries", company->schedule));
    assert_int_equal(log->status, 200);
    json_t *lines = api_answer_at(log, "log_entries", NULL);
    assert_int_equal(json_array_size(lines), 3);
    assert_string_equal(api_answer_text(log, "log_entries", "0", "type", NULL), "on_call_change_log_entry");
    assert_string_equal(api_answer_text(log, "log_entries", "0", "on_call_before", "summary", NULL), "Alice");
    assert_string_equal(api_answer_text(log, "log_entries", "0", "on_call_after", "summary", NULL), "Carol");
    assert_string_equal(api_answer_text(log, "log_entries", "0", "summary", NULL),
                        "On call in Nights is now Carol, it was Alice: the schedule was changed.");
    assert_string_equal(api_answer_text(log, "log_entries", "1", "summary", NULL),
                        "The schedule was changed: revision 2.");
    assert_string_equal(api_answer_text(log, "log_entries", "2", "summary", NULL), "The schedule was made.");
}

static void an_open_incident_hears_that_somebody_else_is_on_call(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *policy =
        story_create(api, "/escalation_policies", "escalation_policy",
                     story_text("{\"escalation_policy\":{\"name\":\"Nights\",\"escalation_rules\":[{"
                                "\"escalation_delay_in_minutes\":5,\"targets\":[{\"id\":\"%s\",\"type\":"
                                "\"schedule_reference\"}]}]}}",
                                company->schedule));
    const char *service = story_create(
        api, "/services", "service",
        story_text("{\"service\":{\"name\":\"Shop\",\"escalation_policy\":{\"id\":\"%s\",\"type\":"
                   "\"escalation_policy_reference\"}}}",
                   policy));
    const char *incident = story_create(
        api, "/incidents", "incident",
        story_text("{\"incident\":{\"type\":\"incident\",\"title\":\"Disk\",\"service\":{\"id\":\"%s\",\"type\":"
                   "\"service_reference\"}}}",
                   service));

    change(company);
    const struct api_answer *log = api_get(api, story_text("/incidents/%s/log_entries", incident));
    assert_string_equal(api_answer_text(log, "log_entries", "0", "type", NULL), "on_call_change_log_entry");
    assert_string_equal(api_answer_text(log, "log_entries", "0", "agent", "type", NULL), "api_key_reference");
}

static void the_next_person_is_named(void **state)
{
    struct company *company = *state;
    const struct api_answer *now = api_get(company->api, story_text("/schedules/%s/on_call", company->schedule));

    assert_string_equal(api_answer_text(now, "on_call", "user", "summary", NULL), "Alice");
    assert_string_equal(api_answer_text(now, "on_call", "end", NULL), "2026-09-28T07:00:00Z");
    assert_string_equal(api_answer_text(now, "on_call", "next", "user", "summary", NULL), "Bob");
    assert_string_equal(api_answer_text(now, "on_call", "next", "start", NULL), "2026-09-28T07:00:00Z");
    assert_string_equal(api_answer_text(now, "on_call", "next", "end", NULL), "2026-10-05T07:00:00Z");
}

static double coverage(const struct api_answer *answer, const char *schedule)
{
    return json_real_value(api_answer_at(answer, "schedule", schedule, "rendered_coverage_percentage", NULL));
}

/* Weekdays nine to five: 40 of 168 hours; an override of two more at the weekend. */
static void coverage_counts_every_second_once(void **state)
{
    struct company *company = *state;
    const char *schedule = story_create(
        company->api, "/schedules", "schedule",
        story_text(
            "{\"schedule\":{\"name\":\"Office\",\"time_zone\":\"UTC\",\"schedule_layers\":[{\"start\":"
            "\"2026-09-01T00:00:00Z\",\"rotation_virtual_start\":\"2026-09-01T00:00:00Z\","
            "\"rotation_turn_length_seconds\":86400,\"users\":[{\"user\":{\"id\":\"%s\"}}],\"restrictions\":["
            "{\"type\":\"weekly_restriction\",\"start_day_of_week\":1,\"start_time_of_day\":\"09:00:00\","
            "\"duration_seconds\":28800},{\"type\":\"weekly_restriction\",\"start_day_of_week\":2,"
            "\"start_time_of_day\":\"09:00:00\",\"duration_seconds\":28800}]}]}}",
            company->alice));
    const char *week =
        story_text("/schedules/%s?since=2026-09-28T00:00:00Z&until=2026-10-05T00:00:00Z", schedule);
    const struct api_answer *read = api_get(company->api, week);
    assert_true(coverage(read, "final_schedule") == 9.5); /* 16 of 168 hours */
    assert_true(coverage(read, "overrides_subschedule") == 0.0);

    /* Half of it lies over Monday's shift. */
    assert_int_equal(api_post(company->api, story_text("/schedules/%s/overrides", schedule),
                              story_text("{\"overrides\":[{\"start\":\"2026-09-28T13:00:00Z\",\"end\":"
                                         "\"2026-09-28T21:00:00Z\",\"user\":{\"id\":\"%s\"}}]}",
                                         company->bob))
                         ->status,
                     201);
    read = api_get(company->api, week);
    assert_true(coverage(read, "final_schedule") == 11.9); /* 20 of 168 */
    assert_true(coverage(read, "overrides_subschedule") == 4.8); /* 8 of 168 */
    assert_true(json_real_value(api_answer_at(read, "schedule", "schedule_layers", "0", "rendered_coverage_percentage",
                                              NULL)) == 9.5);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(revisions_are_listed_newest_first_with_who_and_when),
        STORY(two_revisions_are_compared_in_what_they_say_and_whom_they_wake),
        STORY(a_revision_is_restored_as_a_new_one),
        STORY(a_revision_whose_person_is_gone_cannot_be_restored),
        STORY(the_log_says_who_came_on_call_by_whose_hand),
        STORY(an_open_incident_hears_that_somebody_else_is_on_call),
        STORY(the_next_person_is_named),
        STORY(coverage_counts_every_second_once),
    };
    return cmocka_run_group_tests_name("revisions", tests, NULL, NULL);
}
