/* See onlookers.h. */
#include "tests/fuzz/onlookers.h"

#include <string.h>
#include <strings.h>

#include "tests/fuzz/company.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/reach.h"
#include "tests/support/api_story.h"
#include "tests/support/memory_store.h"

#define EVE "evestoken0123456789"
#define MALLORY "mallorystoken0123456"
#define OF_NOBODY "onlookerstoken01234"
#define BOB "bobstoken0123456789" /* who sees what the team of the shop sees */
#define SECRET "xyzzyplugh"

static struct api_fixture *company;
static struct reach of_mallory;

static const char *add_person(const char *name, const char *email, const char *token)
{
    static char id[16];
    uint64_t user_id = api_fixture_add_user(company, name, email, TOCSIN__ROLE__ROLE_OBSERVER);

    api_fixture_add_token(company, token, TOCSIN__ROLE__ROLE_NONE, user_id);
    id_format(user_id, id);
    return id;
}

/* An incident with an alert that becomes one of the category security, and what happens to it then. */
static void add_secret(void)
{
    uint64_t bob = id_parse("P000003");

    api_fixture_add_token(company, BOB, TOCSIN__ROLE__ROLE_NONE, bob);
    const struct api_answer *sent = api_post(
        company, "/v2/enqueue",
        "{\"routing_key\":\"" COMPANY_SHOP_KEY "\",\"event_action\":\"trigger\",\"dedup_key\":\"" SECRET "\",\"payload\":{\"summary\":"
        "\"" SECRET "\",\"source\":\"" SECRET "\",\"severity\":\"critical\",\"class\":\"" SECRET "\",\"custom_details\":{\"a\":\"" SECRET "\"}}}");
    fuzz_require(sent->status == 202);
    const struct api_answer *list = api_get(company, "/incidents?incident_key=" SECRET);
    const char *incident = story_text("/incidents/%s", api_answer_text(list, "incidents", "0", "id", NULL));
    fuzz_require(api_put(company, incident, "{\"incident\":{\"category\":\"security\"}}")->status == 200);
    (void)story_deliver(company);
    company->token = BOB;
    fuzz_require(api_get(company, incident)->status == 200);
    fuzz_require(api_post(company, story_text("%s/notes", incident), "{\"note\":{\"content\":\"" SECRET "\"}}")->status == 200);
    fuzz_require(api_put(company, incident, "{\"incident\":{\"status\":\"acknowledged\"}}")->status == 200);
    company->token = API_FIXTURE_TOKEN;
}

/* The team that Mallory manages: a policy, a service, and an incident with an alert. */
static void add_team(const char *mallory)
{
    const char *team = story_create(company, "/teams", "team", "{\"team\":{\"name\":\"Small\"}}");
    const char *policy = story_policy(company, "Small", mallory), *service = story_service(company, "Small", policy);
    const struct api_answer *source = api_post(company, story_text("/services/%s/integrations", service),
                                               "{\"integration\":{\"type\":\"events_api_v2_inbound_integration\",\"name\":\"Small\"}}");
    const struct api_answer *sent = api_post(
        company, "/v2/enqueue",
        story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"dedup_key\":\"small\",\"payload\":{\"summary\":\"Small\",\"source\":\"s\","
                   "\"severity\":\"error\"}}",
                   api_answer_text(source, "integration", "integration_key", NULL)));
    fuzz_require(sent->status == 202);
    const struct api_answer *list = api_get(company, story_text("/incidents?service_ids[]=%s", service));
    const char *incident = api_answer_text(list, "incidents", "0", "id", NULL);

    fuzz_require(api_put(company, story_text("/teams/%s/users/%s", team, mallory), "{\"role\":\"manager\"}")->status == 204);
    fuzz_require(api_put(company, story_text("/teams/%s/escalation_policies/%s", team, policy), NULL)->status == 204);
    of_mallory = (struct reach){id_parse(team), id_parse(policy), id_parse(service), id_parse(incident)};
}

void onlookers_begin(const struct api_fixture *origin)
{
    company = company_copy(origin);
    api_fixture_add_token(company, OF_NOBODY, TOCSIN__ROLE__ROLE_ADMIN, 0);
    (void)add_person("Eve", "eve@example.org", EVE);
    add_secret();
    add_team(add_person("Mallory", "mallory@example.org", MALLORY));
}

/* Of nothing that anybody may have a right to. */
static void require_unhurt(const struct api_fixture *api, bool manages)
{
    struct store_digests before = memory_store_digests(company->store), after = memory_store_digests(api->store);

    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        if (before.of[table] != after.of[table] && manages) {
            reach_judge(&of_mallory, &company->view, &api->view, table);
        } else if (before.of[table] != after.of[table]) {
            fuzz_require(reach_is_memory(table));
        }
    }
}

static bool is_credential(const char *name)
{
    return strcasecmp(name, "X-Api-Key") == 0 || strcasecmp(name, "Authorization") == 0;
}

/* Whoever says the word may hear it again. */
static bool asks_for_it(const struct api_question *question)
{
    bool said = strcasestr(question->target, SECRET) != NULL;

    for (unsigned i = 0; i < API_QUESTION_HEADERS_MAX && question->headers[i].name != NULL; i++) {
        said = said || strcasestr(question->headers[i].value, SECRET) != NULL;
    }
    return said || (question->body != NULL && memmem(question->body, question->body_size_bytes, SECRET, strlen(SECRET)) != NULL);
}

static void ask_as(const struct api_question *question, const char *token, bool changes)
{
    struct api_fixture *api = company_copy(company);
    struct api_question own = *question;
    unsigned count = 0;

    memset(own.headers, 0, sizeof own.headers);
    own.headers[count++] = (struct http_parameter){"X-Api-Key", token};
    for (unsigned i = 0; i < API_QUESTION_HEADERS_MAX && question->headers[i].name != NULL; i++) {
        if (!is_credential(question->headers[i].name) && count < API_QUESTION_HEADERS_MAX - 1) {
            own.headers[count++] = question->headers[i];
        }
    }
    const struct api_answer *answer = api_fixture_ask(api, &own);
    fuzz_require(strstr(answer->text, SECRET) == NULL || asks_for_it(question));
    if (!changes) {
        require_unhurt(api, strcmp(token, MALLORY) == 0);
    }
    api_fixture_free(api);
}

void onlookers_try(const struct api_question *question, bool changes)
{
    ask_as(question, EVE, changes);
    ask_as(question, OF_NOBODY, true);
    ask_as(question, MALLORY, changes);
}
