/* See onlookers.h. */
#include "tests/fuzz/onlookers.h"

#include <string.h>
#include <strings.h>

#include "consensus/machine/records.h"
#include "tests/fuzz/company.h"
#include "tests/fuzz/input.h"
#include "tests/support/api_story.h"
#include "tests/support/memory_store.h"

#define EVE "evestoken0123456789"
#define MALLORY "mallorystoken0123456"
#define OF_NOBODY "onlookerstoken01234"
#define BOB "bobstoken0123456789" /* who sees what the team of the shop sees */
#define SECRET "xyzzyplugh"

static struct api_fixture *company;

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

void onlookers_begin(const struct api_fixture *origin)
{
    company = company_copy(origin);
    api_fixture_add_token(company, OF_NOBODY, TOCSIN__ROLE__ROLE_ADMIN, 0);
    (void)add_person("Eve", "eve@example.org", EVE);
    const char *mallory = add_person("Mallory", "mallory@example.org", MALLORY);
    const char *team = story_create(company, "/teams", "team", "{\"team\":{\"name\":\"Nothing\"}}");
    const struct api_answer *joined =
        api_put(company, story_text("/teams/%s/users/%s", team, mallory), "{\"role\":\"manager\"}");
    fuzz_require(joined->status == 204);
    add_secret();
}

/* Where the time, what was answered, and when a token was last used, is remembered. */
static bool is_memory(enum machine_table table)
{
    return table == TABLE_META || table == TABLE_ORIGIN || table == TABLE_TOKEN || table == TABLE_IDEMPOTENCY ||
           table == TABLE_IDEMPOTENCY_BY_TIME;
}

static bool is_of_teams(enum machine_table table)
{
    return table == TABLE_TEAM || table == TABLE_TEAM_BY_NAME || table == TABLE_TEAM_MEMBER || table == TABLE_TEAM_OF_USER;
}

/* What a manager may make under a team. */
static bool is_made_by_managers(enum machine_table table)
{
    static const enum machine_table tables[] = {
        TABLE_ESCALATION_POLICY, TABLE_ESCALATION_POLICY_BY_NAME, TABLE_TURN,          TABLE_SCHEDULE,
        TABLE_SCHEDULE_REVISION, TABLE_SCHEDULE_LOG,              TABLE_SHIFTS,        TABLE_HANDOFFS,
        TABLE_HANDOFF_DUE,       TABLE_DEADLINE,                  TABLE_ORCHESTRATION, TABLE_ORCHESTRATION_INTEGRATION,
        TABLE_ORCHESTRATION_PATH, TABLE_ORCHESTRATION_BY_KEY,
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (table == tables[i]) {
            return true;
        }
    }
    return false;
}

static void require_old_rows(const struct api_fixture *api, enum machine_table table)
{
    struct walk walk = walk_all(&company->view, table);

    while (walk_next(&walk)) {
        struct span now = {NULL, 0};
        fuzz_require(api->view.get(api->view.context, table, walk.key, &now));
        fuzz_require(now.size_bytes == walk.value.size_bytes && memcmp(now.data, walk.value.data, now.size_bytes) == 0);
    }
}

static void require_unhurt(const struct api_fixture *api, bool manages)
{
    struct store_digests before = memory_store_digests(company->store), after = memory_store_digests(api->store);

    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        if (before.of[table] == after.of[table] || is_memory(table) || (manages && is_of_teams(table))) {
            continue;
        }
        fuzz_require(manages && is_made_by_managers(table));
        require_old_rows(api, table);
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
