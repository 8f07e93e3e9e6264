/* tocsin drills, tocsin drill ID. */
#include "node/cli/drills.h"

#include <stdio.h>

static void print_number_of(json_t *object, const char *name)
{
    print_number_at(object, name);
    printf(" %s", name);
}

/* "P00001A  good  sms_contact_method  30 runs, 1 late, 0 failed; of the error budget 6 left of 7; last 2026-11-21T14:00:00Z  SMS" */
static void print_drill(json_t *drill)
{
    json_t *level = json_object_get(drill, "service_level"), *budget = json_object_get(level, "error_budget");
    bool failing = json_is_true(json_object_get(drill, "failing")), enabled = json_is_true(json_object_get(drill, "enabled"));

    printf("%s  %-8s  %-34s  ", text_at(drill, "id"), failing ? "FAILING" : enabled ? "good" : "disabled",
           text_at(json_object_get(drill, "contact_method"), "type"));
    print_number_of(level, "runs");
    fputs(", ", stdout);
    print_number_of(level, "late");
    fputs(", ", stdout);
    print_number_of(level, "failed");
    fputs("; of the error budget ", stdout);
    print_number_of(budget, "left");
    fputs(" of ", stdout);
    print_number_at(budget, "total");
    printf("; last %s  ", text_at(drill, "last_run_at"));
    print_text(text_at(drill, "name"));
    putchar('\n');
}

static void print_run(json_t *run)
{
    printf("  %s  %-9s  ", text_at(run, "begun_at"), text_at(run, "result"));
    if (json_is_integer(json_object_get(run, "delivery_ms"))) {
        print_number_at(run, "delivery_ms");
        fputs(" ms", stdout);
    }
    fputs("  ", stdout);
    print_text(text_at(run, "provider"));
    fputs("  ", stdout);
    print_text(text_at(run, "detail"));
    putchar('\n');
}

int run_drills(struct client *client, char *const *arguments)
{
    (void)arguments;
    return print_list_of(client, "/drills?limit=100", "drills", print_drill);
}

/* Runs it now, and shows the drill with its runs before. */
int run_drill(struct client *client, char *const *arguments)
{
    char path[PATH_SIZE_BYTES_MAX];
    char *escaped = curl_easy_escape(client->curl, arguments[0], 0);
    bool fits = escaped != NULL && (size_t)snprintf(path, sizeof path, "/drills/%s/run", escaped) < sizeof path;
    struct answer answer;

    curl_free(escaped);
    int result = fits ? ask(client, "POST", path, NULL, &answer) : EXIT_USAGE;
    if (result == EXIT_DONE) {
        json_t *drill = json_object_get(answer.json, "drill"), *run;
        size_t i;
        puts("begun; what came of it is in \"tocsin drills\". So far:");
        print_drill(drill);
        json_array_foreach(json_object_get(drill, "runs"), i, run)
        {
            print_run(run);
        }
        release(&answer);
    }
    return result;
}
