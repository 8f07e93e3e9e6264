/*
 * The command line: what a person on call or an operator asks a cluster for, over its HTTP API.
 *
 *     tocsin [--url URL] [--token TOKEN] VERB ...
 *
 * Exits with 0 when it was done, 1 when the cluster refused it, 2 when it was asked for wrongly, 3 when no answer came.
 */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "node/cli/client.h"
#include "node/cli/coverage.h"
#include "node/cli/tokens.h"
#include "node/cli/drills.h"
#include "node/cli/doctor.h"
#include "node/version.h"

#define URL_STANDARD "http://127.0.0.1:7100"
#define TOKEN_SIZE_BYTES_MAX 257

#define ARGUMENTS_ANY (-1) /* ended by NULL */

struct verb {
    const char *name, *arguments;
    int count; /* of arguments */
    int (*run)(struct client *client, char *const *arguments);
    const char *help;
};

/* "/incidents/<id><rest>" with the id as one part of the path. */
static bool incident_path(struct client *client, const char *id, const char *rest, char *path, size_t size)
{
    char *escaped = curl_easy_escape(client->curl, id, 0);
    bool fits = escaped != NULL && id[0] != '\0' &&
                (size_t)snprintf(path, size, "/incidents/%s%s", escaped, rest) < size;

    curl_free(escaped);
    if (!fits) {
        fprintf(stderr, "tocsin: \"%s\" is not the id of an incident\n", id);
    }
    return fits;
}

/* ---------------------------------------------------------------- what people read */

static void print_people(json_t *list, const char *who)
{
    json_t *element;
    size_t i;

    json_array_foreach(list, i, element)
    {
        fputs(i > 0 ? ", " : "", stdout);
        print_text(text_at(json_object_get(element, who), "summary"));
    }
    if (json_array_size(list) == 0) {
        fputs("nobody", stdout);
    }
}

static void print_incident(json_t *incident)
{
    printf("%s  %-12s %-4s  ", text_at(incident, "id"), text_at(incident, "status"), text_at(incident, "urgency"));
    printf("%s  ", text_at(incident, "created_at"));
    print_text(text_at(incident, "summary"));
    fputs("  -> ", stdout);
    print_people(json_object_get(incident, "assignments"), "assignee");
    putchar('\n');
}

static void print_log_entry(json_t *entry)
{
    printf("  %s  ", text_at(entry, "created_at"));
    print_text(text_at(entry, "summary"));
    putchar('\n');
}

static void print_member(json_t *member)
{
    printf("  node ");
    print_number_at(member, "id");
    printf("  %-21s  %s\n", text_at(member, "address"), text_at(member, "role"));
}

static void print_oncall(json_t *oncall)
{
    printf("level ");
    print_number_at(oncall, "escalation_level");
    fputs("  ", stdout);
    print_text(text_at(json_object_get(oncall, "user"), "summary"));
    fputs("  ", stdout);
    print_text(text_at(json_object_get(oncall, "escalation_policy"), "summary"));
    printf("  until %s\n", text_at(oncall, "end"));
}

static void print_schedule(json_t *schedule)
{
    printf("%s  %-20s  ", text_at(schedule, "id"), text_at(schedule, "time_zone"));
    print_text(text_at(schedule, "name"));
    putchar('\n');
}

static void print_revision(json_t *revision)
{
    printf("  revision ");
    print_number_at(revision, "revision");
    printf("  %s  ", text_at(revision, "created_at"));
    print_text(text_at(json_object_get(revision, "created_by"), "summary"));
    putchar('\n');
}

/* ---------------------------------------------------------------- verbs */

static int run_cluster(struct client *client, char *const *arguments)
{
    struct answer answer;
    int result = ask(client, "GET", "/cluster", NULL, &answer);
    json_t *member;
    size_t i;

    (void)arguments;
    if (result != EXIT_DONE) {
        return result;
    }
    printf("node ");
    print_number_at(answer.json, "id");
    printf(" is %s", text_at(answer.json, "role"));
    if (json_is_integer(json_object_get(answer.json, "leader"))) {
        printf("; the leader is node ");
        print_number_at(answer.json, "leader");
        putchar('\n');
    } else {
        puts("; THERE IS NO LEADER");
    }
    printf("term ");
    print_number_at(answer.json, "term");
    printf(", committed ");
    print_number_at(answer.json, "commit_index");
    printf(", applied ");
    print_number_at(answer.json, "applied_index");
    putchar('\n');
    json_array_foreach(json_object_get(answer.json, "members"), i, member)
    {
        print_member(member);
    }
    release(&answer);
    return EXIT_DONE;
}

static int run_incidents(struct client *client, char *const *arguments)
{
    (void)arguments;
    return print_list_of(client, "/incidents?statuses[]=triggered&statuses[]=acknowledged&date_range=all&limit=100",
                         "incidents", print_incident);
}

static int run_oncall(struct client *client, char *const *arguments)
{
    (void)arguments;
    return print_list_of(client, "/oncalls?limit=100", "oncalls", print_oncall);
}

static int run_schedules(struct client *client, char *const *arguments)
{
    (void)arguments;
    return print_list_of(client, "/schedules?limit=100", "schedules", print_schedule);
}

static int run_revisions(struct client *client, char *const *arguments)
{
    char path[PATH_SIZE_BYTES_MAX];
    char *escaped = curl_easy_escape(client->curl, arguments[0], 0);
    bool fits = escaped != NULL && (size_t)snprintf(path, sizeof path, "/schedules/%s/revisions?limit=100", escaped) <
                                       sizeof path;

    curl_free(escaped);
    return fits ? print_list_of(client, path, "revisions", print_revision) : EXIT_USAGE;
}

static int run_show(struct client *client, char *const *arguments)
{
    char path[PATH_SIZE_BYTES_MAX];
    struct answer answer;

    if (!incident_path(client, arguments[0], "", path, sizeof path)) {
        return EXIT_USAGE;
    }
    int result = ask(client, "GET", path, NULL, &answer);
    if (result != EXIT_DONE) {
        return result;
    }
    json_t *incident = json_object_get(answer.json, "incident");
    print_incident(incident);
    fputs("  service: ", stdout);
    print_text(text_at(json_object_get(incident, "service"), "summary"));
    putchar('\n');
    release(&answer);
    return incident_path(client, arguments[0], "/log_entries?limit=100", path, sizeof path)
               ? print_list_of(client, path, "log_entries", print_log_entry)
               : EXIT_USAGE;
}

static int put_status(struct client *client, const char *id, const char *status)
{
    char path[PATH_SIZE_BYTES_MAX];
    struct answer answer;

    if (!incident_path(client, id, "", path, sizeof path)) {
        return EXIT_USAGE;
    }
    json_t *body = json_pack("{s:{s:s, s:s}}", "incident", "type", "incident_reference", "status", status);
    int result = ask(client, "PUT", path, body, &answer);
    if (result == EXIT_DONE) {
        print_incident(json_object_get(answer.json, "incident"));
        release(&answer);
    }
    return result;
}

static int run_ack(struct client *client, char *const *arguments)
{
    return put_status(client, arguments[0], "acknowledged");
}

static int run_resolve(struct client *client, char *const *arguments)
{
    return put_status(client, arguments[0], "resolved");
}

/* Asks about one incident and prints `done`; takes the body, NULL when a text in it was not UTF-8. */
static int about_incident(struct client *client, const char *method, const char *id, const char *rest, json_t *body,
                          const char *done)
{
    char path[PATH_SIZE_BYTES_MAX];
    struct answer answer;

    if (body == NULL) {
        fputs("tocsin: an argument is not UTF-8\n", stderr);
        return EXIT_USAGE;
    }
    if (!incident_path(client, id, rest, path, sizeof path)) {
        json_decref(body);
        return EXIT_USAGE;
    }
    int result = ask(client, method, path, body, &answer);
    if (result == EXIT_DONE) {
        puts(done);
        release(&answer);
    }
    return result;
}

static int run_note(struct client *client, char *const *arguments)
{
    return about_incident(client, "POST", arguments[0], "/notes", json_pack("{s:{s:s}}", "note", "content", arguments[1]),
                          "noted");
}

/* "90" and "90s" are seconds, "30m" minutes, "4h" hours, "2d" days. */
static bool duration_s(const char *text, json_int_t *seconds)
{
    static const struct {
        const char *unit;
        long long seconds;
    } UNITS[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    char *end = NULL;

    errno = 0;
    long long count = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        if (text[0] >= '0' && text[0] <= '9' && errno == 0 && strcmp(end, UNITS[i].unit) == 0 &&
            count <= INT32_MAX / UNITS[i].seconds) {
            *seconds = count * UNITS[i].seconds;
            return true;
        }
    }
    fprintf(stderr, "tocsin: \"%s\" is not a duration such as 45s, 30m, 4h or 2d\n", text);
    return false;
}

static int run_snooze(struct client *client, char *const *arguments)
{
    json_int_t seconds;

    if (!duration_s(arguments[1], &seconds)) {
        return EXIT_USAGE;
    }
    return about_incident(client, "POST", arguments[0], "/snooze", json_pack("{s:I}", "duration", seconds),
                          "snoozed: it pages again when the time is over");
}

static int run_merge(struct client *client, char *const *arguments)
{
    return about_incident(
        client, "PUT", arguments[1], "/merge",
        json_pack("{s:[{s:s, s:s}]}", "source_incidents", "id", arguments[0], "type", "incident_reference"), "merged");
}

static int run_reassign(struct client *client, char *const *arguments)
{
    char *user = find_user(client, arguments[1]);

    if (user == NULL) {
        return EXIT_REFUSED;
    }
    int result = about_incident(client, "PUT", arguments[0], "",
                                json_pack("{s:{s:s, s:[{s:{s:s, s:s}}]}}", "incident", "type", "incident_reference",
                                          "assignments", "assignee", "id", user, "type", "user_reference"),
                                "reassigned");
    free(user);
    return result;
}

static int run_add_responder(struct client *client, char *const *arguments)
{
    char *user = find_user(client, arguments[1]);

    if (user == NULL) {
        return EXIT_REFUSED;
    }
    int result = about_incident(client, "POST", arguments[0], "/responder_requests",
                                json_pack("{s:s, s:[{s:{s:s, s:s}}]}", "message", arguments[2],
                                          "responder_request_targets", "responder_request_target", "id", user, "type",
                                          "user_reference"),
                                "asked");
    free(user);
    return result;
}

static int run_status_update(struct client *client, char *const *arguments)
{
    return about_incident(client, "POST", arguments[0], "/status_updates", json_pack("{s:s}", "message", arguments[1]),
                          "told");
}

static int run_priority(struct client *client, char *const *arguments)
{
    json_t *priority = strcmp(arguments[1], "none") == 0
                           ? json_null()
                           : find_named(client, "/priorities?limit=100", "priorities", arguments[1]);

    if (priority == NULL) {
        return EXIT_REFUSED;
    }
    return about_incident(client, "PUT", arguments[0], "", json_pack("{s:{s:s, s:o}}", "incident", "type",
                          "incident_reference", "priority", priority), "set");
}

static int run_trigger(struct client *client, char *const *arguments)
{
    struct answer answer;
    char host[256] = "";

    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') {
        snprintf(host, sizeof host, "tocsin");
    }
    json_t *body = json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "routing_key", arguments[0], "event_action", "trigger",
                             "payload", "summary", arguments[1], "source", host, "severity", "critical");
    if (body == NULL) {
        fputs("tocsin: the key or the summary is not UTF-8\n", stderr);
        return EXIT_USAGE;
    }
    int result = ask(client, "POST", "/v2/enqueue", body, &answer);
    if (result == EXIT_DONE) {
        fputs("triggered; dedup key ", stdout);
        print_text(text_at(answer.json, "dedup_key"));
        putchar('\n');
        release(&answer);
    }
    return result;
}

static void print_wanted(json_t *member)
{
    printf("node ");
    print_number_at(member, "id");
    printf("  %-21s  %s\n", text_at(member, "address"), text_at(member, "state"));
}

/* Asks, and prints the list that comes as an answer. */
static int ask_members(struct client *client, const char *method, const char *path, json_t *body)
{
    struct answer answer;
    int result = ask(client, method, path, body, &answer);
    json_t *member;
    size_t i;

    if (result != EXIT_DONE) {
        return result;
    }
    json_array_foreach(json_object_get(answer.json, "members"), i, member)
    {
        print_wanted(member);
    }
    release(&answer);
    return EXIT_DONE;
}

static bool node_number(const char *text, json_int_t *number)
{
    char *end = NULL;

    errno = 0;
    *number = strtoll(text, &end, 10);
    if (text[0] >= '1' && text[0] <= '9' && *end == '\0' && errno == 0) {
        return true;
    }
    fprintf(stderr, "tocsin: \"%s\" is not the number of a node\n", text);
    return false;
}

static int run_members(struct client *client, char *const *arguments)
{
    (void)arguments;
    return ask_members(client, "GET", "/cluster/members", NULL);
}

static int run_member_add(struct client *client, char *const *arguments)
{
    json_int_t number;

    if (!node_number(arguments[0], &number)) {
        return EXIT_USAGE;
    }
    json_t *body = json_pack("{s:I, s:s}", "id", number, "address", arguments[1]);
    if (body == NULL) {
        fputs("tocsin: the address is not UTF-8\n", stderr);
        return EXIT_USAGE;
    }
    return ask_members(client, "POST", "/cluster/members", body);
}

static int run_member_remove(struct client *client, char *const *arguments)
{
    char path[PATH_SIZE_BYTES_MAX];
    json_int_t number;

    if (!node_number(arguments[0], &number)) {
        return EXIT_USAGE;
    }
    snprintf(path, sizeof path, "/cluster/members/%lld", (long long)number);
    return ask_members(client, "DELETE", path, NULL);
}

static int run_version(struct client *client, char *const *arguments)
{
    (void)client;
    (void)arguments;
    puts("tocsin " TOCSIN_VERSION);
    return EXIT_DONE;
}

static const char *control_socket(void)
{
    const char *path = getenv("TOCSIN_SOCKET");
    return path != NULL && path[0] != '\0' ? path : CONTROL_SOCKET_STANDARD;
}

static int run_doctor(struct client *client, char *const *arguments)
{
    (void)client;
    (void)arguments;
    return doctor_run(control_socket());
}

static int run_page(struct client *client, char *const *arguments)
{
    (void)client;
    if (strcmp(arguments[0], "--local") != 0) {
        fputs("tocsin: \"page\" is for guardians, from this machine: tocsin page --local WHO TEXT; other people are paged by \"trigger\"\n",
              stderr);
        return EXIT_USAGE;
    }
    return doctor_page(control_socket(), arguments[1], arguments[2]);
}

static int run_admin_token(struct client *client, char *const *arguments)
{
    (void)client;
    (void)arguments;
    return doctor_token(control_socket());
}

static int run_help(struct client *client, char *const *arguments);

static const struct verb verbs[] = {
    {"cluster", "", 0, run_cluster, "how the cluster stands"},
    {"members", "", 0, run_members, "who takes part, and who shall"},
    {"member-add", "ID ADDR", 2, run_member_add, "take a node in that was started with --join"},
    {"member-remove", "ID", 1, run_member_remove, "let a node go, for good"},
    {"incidents", "", 0, run_incidents, "what is open, and who has it"},
    {"show", "ID", 1, run_show, "one incident and its timeline"},
    {"ack", "ID", 1, run_ack, "acknowledge: the phones fall silent"},
    {"resolve", "ID", 1, run_resolve, "the incident is over"},
    {"snooze", "ID TIME", 2, run_snooze, "quiet for 30m, 4h or 2d; then it pages again"},
    {"merge", "ID INTO", 2, run_merge, "one incident is part of another, which takes its alerts"},
    {"priority", "ID NAME", 2, run_priority, "P1, P2, ... or none"},
    {"reassign", "ID USER", 2, run_reassign, "to somebody, by name or e-mail: the phone rings there"},
    {"add-responder", "ID USER TEXT", 3, run_add_responder, "ask somebody to help; the incident stays where it is"},
    {"status-update", "ID TEXT", 2, run_status_update, "tell those who have subscribed"},
    {"oncall", "", 0, run_oncall, "who is on call now, by policy and level"},
    {"schedules", "", 0, run_schedules, "the schedules"},
    {"revisions", "SCHEDULE", 1, run_revisions, "what was done to a schedule, by whom"},
    {"note", "ID TEXT", 2, run_note, "write a note on the timeline"},
    {"trigger", "KEY SUMMARY", 2, run_trigger, "page, by the key of an integration"},
    {"teams", "", 0, run_teams, "who belongs together"},
    {"drills", "", 0, run_drills, "whether synthetic pages arrive, and what is left of the error budget"},
    {"drill", "ID", 1, run_drill, "runs one now"},
    {"token", "create ...", ARGUMENTS_ANY, run_token, "create NAME [user=ID|role=R] [scopes=A,B] [expires_at=T], list, revoke ID"},
    {"coverage", "[KIND ...]", ARGUMENTS_ANY, run_coverage, "where nobody would hear of it; [quiet] [team=ID] [severity=S]; exits with 1 when there is a hole"},
    {"why", "ID [USER]", ARGUMENTS_ANY, run_why, "why somebody, or everybody, was paged or was not"},
    {"test", "SERVICE [S]", ARGUMENTS_ANY, run_test, "page through the whole chain; waits S seconds for an answer"},
    {"doctor", "", 0, run_doctor, "the node on this machine, without majority, token or DNS"},
    {"page", "--local WHO TEXT", 3, run_page, "page a guardian, or all, from this machine alone"},
    {"admin-token", "", 0, run_admin_token, "an administrator's token for a day, from this machine: the way back when every other one is lost"},
    {"version", "", 0, run_version, "this program's version"},
    {"help", "", 0, run_help, "this"},
};

static void print_help(FILE *to)
{
    fputs("Usage: tocsin [--url URL] [--token TOKEN] VERB ...\n\n", to);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        fprintf(to, "  %-15s%-14s%s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
    }
    fputs("\n  --url URL      any node (TOCSIN_URL, or " URL_STANDARD ")\n"
          "  --token TOKEN  of the API (TOCSIN_TOKEN, which others on this machine cannot see)\n"
          "  TOCSIN_SOCKET  for doctor, page --local and admin-token: the socket in the node's data directory (" CONTROL_SOCKET_STANDARD ")\n\n"
          "Exits with 0 when it was done, 1 when the cluster refused it, 2 when it was asked for wrongly, 3 when no "
          "answer came.\n",
          to);
}

static int run_help(struct client *client, char *const *arguments)
{
    (void)client;
    (void)arguments;
    print_help(stdout);
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- start */

static int run(struct client *client, int count, char *const *words)
{
    for (size_t i = 0; count > 0 && i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, words[0]) != 0) {
            continue;
        }
        if (verbs[i].count != ARGUMENTS_ANY && count - 1 != verbs[i].count) {
            fprintf(stderr, "Usage: tocsin %s %s\n", verbs[i].name, verbs[i].arguments);
            return EXIT_USAGE;
        }
        return verbs[i].run(client, words + 1);
    }
    print_help(stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    enum { OPTION_URL = 1, OPTION_TOKEN, OPTION_HELP, OPTION_VERSION };
    static const struct option options[] = {{"url", required_argument, NULL, OPTION_URL},
                                            {"token", required_argument, NULL, OPTION_TOKEN},
                                            {"help", no_argument, NULL, OPTION_HELP},
                                            {"version", no_argument, NULL, OPTION_VERSION},
                                            {0}};
    struct client client = {.url = getenv("TOCSIN_URL"), .token = getenv("TOCSIN_TOKEN")};

    if (client.url == NULL || client.url[0] == '\0') {
        client.url = URL_STANDARD;
    }
    for (int option; (option = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        switch (option) {
        case OPTION_URL: client.url = optarg; break;
        case OPTION_TOKEN: client.token = optarg; break;
        case OPTION_HELP: return run_help(&client, NULL);
        case OPTION_VERSION: return run_version(&client, NULL);
        default: return EXIT_USAGE; /* getopt has said why */
        }
    }
    if (strlen(client.url) >= URL_SIZE_BYTES_MAX ||
        (client.token != NULL && strlen(client.token) >= TOKEN_SIZE_BYTES_MAX)) {
        fputs("tocsin: the URL or the token is too long\n", stderr);
        return EXIT_USAGE;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (client.curl = curl_easy_init()) == NULL) {
        fputs("tocsin: cannot start libcurl\n", stderr);
        return EXIT_NO_ANSWER;
    }
    int result = run(&client, argc - optind, argv + optind);
    curl_easy_cleanup(client.curl);
    curl_global_cleanup();
    if (fflush(stdout) != 0) {
        fputs("tocsin: cannot write what was asked for\n", stderr);
        return EXIT_NO_ANSWER;
    }
    return result;
}
