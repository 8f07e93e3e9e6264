/* tocsin coverage, why, test: see coverage.h. */
#include "node/cli/coverage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST_SECONDS_STANDARD 300
#define TEST_SECONDS_MAX 3600

static int usage(const char *text)
{
    fprintf(stderr, "Usage: tocsin %s\n", text);
    return EXIT_USAGE;
}

/* ---------------------------------------------------------------- coverage */

static const char *const severities[] = {"critical", "warning", "notice"};
#define SEVERITIES_COUNT (sizeof severities / sizeof *severities)

/* 0 for what is most urgent; SEVERITIES_COUNT for a word that is none. */
static size_t severity_of(const char *word)
{
    size_t place = 0;

    while (place < SEVERITIES_COUNT && strcmp(severities[place], word) != 0) {
        place++;
    }
    return place;
}

struct coverage_words {
    char path[PATH_SIZE_BYTES_MAX];
    size_t least; /* of the severities */
    bool quiet;
};

/* Adds name=value to the path; false when it does not fit. */
static bool path_add(struct client *client, struct coverage_words *words, const char *name, const char *value)
{
    size_t used = strlen(words->path);
    char *escaped = curl_easy_escape(client->curl, value, 0);
    bool fits = escaped != NULL && (size_t)snprintf(words->path + used, sizeof words->path - used, "%c%s=%s",
                                                    strchr(words->path, '?') == NULL ? '?' : '&', name, escaped) <
                                       sizeof words->path - used;

    curl_free(escaped);
    return fits;
}

static bool take_words(struct client *client, char *const *arguments, struct coverage_words *words)
{
    for (; *arguments != NULL; arguments++) {
        const char *word = *arguments;
        bool taken = true;
        if (strcmp(word, "quiet") == 0) {
            words->quiet = true;
        } else if (strncmp(word, "team=", 5) == 0) {
            taken = path_add(client, words, "team_ids[]", word + 5);
        } else if (strncmp(word, "severity=", 9) == 0) {
            words->least = severity_of(word + 9);
            taken = words->least < SEVERITIES_COUNT;
        } else {
            taken = path_add(client, words, "kind[]", word);
        }
        if (!taken) {
            return false;
        }
    }
    return true;
}

/* How many were printed, the most urgent first. */
static size_t print_holes(json_t *findings, size_t least)
{
    size_t printed = 0, i;
    json_t *hole;

    for (size_t severity = 0; severity <= least; severity++) {
        json_array_foreach(findings, i, hole)
        {
            if (severity_of(text_at(hole, "severity")) != severity) {
                continue;
            }
            printed++;
            printf("%-8s  ", severities[severity]);
            print_text(text_at(hole, "sentence"));
            fputs("\n          ", stdout);
            print_text(text_at(hole, "action"));
            putchar('\n');
        }
    }
    return printed;
}

int run_coverage(struct client *client, char *const *arguments)
{
    struct coverage_words words = {.path = "/coverage", .least = SEVERITIES_COUNT - 1};
    struct answer answer;

    if (!take_words(client, arguments, &words)) {
        return usage("coverage [quiet] [team=ID] [severity=critical|warning|notice] [KIND ...]");
    }
    int result = ask(client, "GET", words.path, NULL, &answer);
    if (result != EXIT_DONE) {
        return result;
    }
    json_t *coverage = json_object_get(answer.json, "coverage");
    json_t *counts = json_object_get(json_object_get(coverage, "counts"), "by_severity");
    json_int_t holes = 0;
    for (size_t i = 0; i <= words.least; i++) {
        holes += json_integer_value(json_object_get(counts, severities[i]));
    }
    bool complete = json_is_true(json_object_get(coverage, "complete"));
    size_t printed = print_holes(json_object_get(coverage, "findings"), words.least);
    if (!complete) {
        puts("not everything was looked at: there is too much for one answer");
    }
    if ((size_t)holes > printed) {
        printf("... and %lld more\n", (long long)holes - (long long)printed);
    }
    if (holes == 0 && !words.quiet) {
        puts("no holes");
    }
    release(&answer);
    return holes == 0 && complete ? EXIT_DONE : EXIT_REFUSED;
}

/* ---------------------------------------------------------------- why */

static void print_pages(json_t *person)
{
    json_t *page;
    size_t i;

    json_array_foreach(json_object_get(person, "pages"), i, page)
    {
        printf("    %s  %-5s  ", text_at(page, "created_at"), text_at(page, "channel"));
        print_text(text_at(page, "address"));
        printf("  %s (%s)", text_at(page, "state"), text_at(page, "why"));
        if (json_is_string(json_object_get(page, "sent_at"))) {
            printf(", taken by %s at %s", text_at(page, "provider"), text_at(page, "sent_at"));
        }
        putchar('\n');
    }
}

static void print_why(json_t *why)
{
    json_t *element;
    size_t i;

    print_text(text_at(why, "sentence"));
    putchar('\n');
    json_array_foreach(json_object_get(why, "people"), i, element)
    {
        const char *sentence = text_at(element, "sentence");
        if (strcmp(sentence, text_at(why, "sentence")) != 0) {
            fputs("  ", stdout);
            print_text(sentence);
            putchar('\n');
        }
        print_pages(element);
    }
    json_array_foreach(json_object_get(why, "decisions"), i, element)
    {
        printf("  %s  ", text_at(element, "at"));
        print_text(text_at(element, "text"));
        putchar('\n');
    }
}

int run_why(struct client *client, char *const *arguments)
{
    char path[PATH_SIZE_BYTES_MAX];
    const char *id = arguments[0], *name = id != NULL ? arguments[1] : NULL;
    struct answer answer;

    if (name != NULL && strcmp(name, "--user") == 0) {
        name = arguments[2];
        if (name == NULL || arguments[3] != NULL) {
            return usage("why INCIDENT [--user USER]");
        }
    } else if (id == NULL || id[0] == '\0' || (name != NULL && arguments[2] != NULL)) {
        return usage("why INCIDENT [--user USER]");
    }
    char *user = name != NULL ? find_user(client, name) : NULL;
    if (name != NULL && user == NULL) {
        return EXIT_REFUSED;
    }
    char *escaped = curl_easy_escape(client->curl, id, 0);
    bool fits = escaped != NULL && (size_t)snprintf(path, sizeof path, "/incidents/%s/why%s%s", escaped,
                                                    user != NULL ? "?user_id=" : "", user != NULL ? user : "") < sizeof path;
    curl_free(escaped);
    free(user);
    if (!fits) {
        return usage("why INCIDENT [--user USER]");
    }
    int result = ask(client, "GET", path, NULL, &answer);
    if (result == EXIT_DONE) {
        print_why(json_object_get(answer.json, "why"));
        release(&answer);
    }
    return result;
}

/* ---------------------------------------------------------------- test */

static void print_step(json_t *step)
{
    json_t *passed = json_object_get(step, "passed");

    printf("%-4s  %-11s  ", json_is_true(passed) ? "ok" : json_is_false(passed) ? "FAIL" : "...", text_at(step, "step"));
    print_text(text_at(step, "text"));
    putchar('\n');
}

/* Those that have come since: of steps the last ones change, the others stay. */
static void print_new_steps(json_t *steps, json_t *before)
{
    json_t *step;
    size_t i;

    json_array_foreach(steps, i, step)
    {
        bool known = false;
        json_t *old;
        size_t j;
        json_array_foreach(before, j, old)
        {
            known = known || json_equal(old, step);
        }
        if (!known) {
            print_step(step);
        }
    }
    (void)fflush(stdout);
}

/* Asks until it is over; EXIT_REFUSED unless it passed. */
static int follow(struct client *client, const char *path, struct answer *answer, long seconds)
{
    json_t *before = NULL;
    int result = EXIT_DONE;

    for (long waited = 0; result == EXIT_DONE; waited++) {
        json_t *test = json_object_get(answer->json, "test");
        print_new_steps(json_object_get(test, "steps"), before);
        bool over = strcmp(text_at(test, "state"), "running") != 0;
        if (over || waited == seconds) {
            print_text(text_at(test, "sentence"));
            putchar('\n');
            result = json_is_true(json_object_get(test, "passed")) ? EXIT_DONE : EXIT_REFUSED;
            break;
        }
        json_decref(before);
        before = json_incref(json_object_get(test, "steps"));
        release(answer);
        *answer = (struct answer){0};
        sleep(1);
        result = ask(client, "GET", path, NULL, answer);
        if (result != EXIT_DONE) {
            json_decref(before);
            return result;
        }
    }
    json_decref(before);
    release(answer);
    return result;
}

static bool seconds_take(const char *text, long *seconds)
{
    char *end = NULL;

    errno = 0;
    *seconds = text != NULL ? strtol(text, &end, 10) : TEST_SECONDS_STANDARD;
    return (text == NULL || (end != text && *end == '\0' && errno == 0)) && *seconds >= 0 && *seconds <= TEST_SECONDS_MAX;
}

/* The id of the service of that name; a new string, NULL when there is none. Prints why. */
static char *find_service(struct client *client, const char *name)
{
    char path[PATH_SIZE_BYTES_MAX];
    char *escaped = curl_easy_escape(client->curl, name, 0);
    bool fits = escaped != NULL && (size_t)snprintf(path, sizeof path, "/services?limit=100&query=%s", escaped) < sizeof path;
    json_t *service = fits ? find_named(client, path, "services", name) : NULL;
    char *id = service != NULL ? strdup(text_at(service, "id")) : NULL;

    curl_free(escaped);
    json_decref(service);
    return id;
}

int run_test(struct client *client, char *const *arguments)
{
    char path[PATH_SIZE_BYTES_MAX];
    struct answer answer;
    long seconds;

    if (arguments[0] == NULL || (arguments[1] != NULL && arguments[2] != NULL) || !seconds_take(arguments[1], &seconds)) {
        return usage("test SERVICE [SECONDS to wait for an answer, up to 3600]");
    }
    char *id = is_id(arguments[0]) ? strdup(arguments[0]) : find_service(client, arguments[0]);
    if (id == NULL) {
        return EXIT_REFUSED;
    }
    (void)snprintf(path, sizeof path, "/services/%.64s/test", id);
    free(id);
    int result = ask(client, "POST", path, NULL, &answer);
    if (result != EXIT_DONE) {
        return result;
    }
    size_t used = strlen(path);
    (void)snprintf(path + used, sizeof path - used, "/%.64s", text_at(json_object_get(answer.json, "test"), "id"));
    return follow(client, path, &answer, seconds);
}
