/* tocsin teams, tocsin token create|list|revoke. */
#include "node/cli/tokens.h"

#include <stdio.h>
#include <string.h>

static void print_team(json_t *team)
{
    printf("%s  ", text_at(team, "id"));
    print_text(text_at(team, "name"));
    putchar('\n');
}

int run_teams(struct client *client, char *const *arguments)
{
    (void)arguments;
    return print_list_of(client, "/teams?limit=100", "teams", print_team);
}

static void print_token(json_t *token)
{
    json_t *user = json_object_get(token, "user"), *scope;
    size_t i;

    printf("%s  %-8s  %-12s  used %-10.10s  until %-10.10s  ", text_at(token, "id"), text_at(token, "status"),
           text_at(token, "role"), text_at(token, "last_used_at"), text_at(token, "expires_at"));
    print_text(text_at(token, "name"));
    if (json_is_object(user)) {
        fputs("  of ", stdout);
        print_text(text_at(user, "summary"));
    }
    json_array_foreach(json_object_get(token, "scopes"), i, scope)
    {
        printf("  %s", json_string_value(scope));
    }
    putchar('\n');
}

/* "a,b" as an array. */
static json_t *split(const char *text)
{
    json_t *array = json_array();

    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        json_array_append_new(array, json_stringn(text, size));
        text += size + (text[size] == ',');
    }
    return array;
}

/* name=value of the command line into the token; user=ID says whose it is. False: there is no such name. */
static bool take_option(const char *option, json_t *token, const char **user)
{
    static const char *const names[] = {"role", "expires_at"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size = strlen(names[i]);
        if (strncmp(option, names[i], size) == 0 && option[size] == '=') {
            return json_object_set_new(token, names[i], json_string(option + size + 1)) == 0;
        }
    }
    if (strncmp(option, "scopes=", 7) == 0) {
        return json_object_set_new(token, "scopes", split(option + 7)) == 0;
    }
    *user = strncmp(option, "user=", 5) == 0 ? option + 5 : NULL;
    return *user != NULL;
}

/* The secret alone goes to standard output, so that it can be piped where it shall be. */
static int token_create(struct client *client, char *const *arguments)
{
    json_t *token = json_pack("{s:s}", "name", arguments[0]);
    char path[PATH_SIZE_BYTES_MAX] = "/tokens";
    const char *user = NULL;
    struct answer answer;
    bool known = token != NULL;

    for (arguments++; known && *arguments != NULL; arguments++) {
        known = take_option(*arguments, token, &user);
    }
    if (!known || (user != NULL && (size_t)snprintf(path, sizeof path, "/users/%s/tokens", user) >= sizeof path)) {
        fputs("Usage: tocsin token create NAME [user=ID | role=ROLE] [scopes=A,B] [expires_at=TIME]\n", stderr);
        json_decref(token);
        return EXIT_USAGE;
    }
    int result = ask(client, "POST", path, json_pack("{s:o}", "token", token), &answer);
    if (result == EXIT_DONE) {
        json_t *made = json_object_get(answer.json, "token");
        fprintf(stderr, "tocsin: token %s, whose secret is shown this once:\n", text_at(made, "id"));
        puts(text_at(made, "secret"));
        release(&answer);
    }
    return result;
}

static int token_revoke(struct client *client, const char *id)
{
    char path[PATH_SIZE_BYTES_MAX];
    struct answer answer;

    if ((size_t)snprintf(path, sizeof path, "/tokens/%s", id) >= sizeof path) {
        return EXIT_USAGE;
    }
    int result = ask(client, "DELETE", path, NULL, &answer);
    if (result == EXIT_DONE) {
        puts("revoked");
        release(&answer);
    }
    return result;
}

int run_token(struct client *client, char *const *arguments)
{
    const char *what = arguments[0] != NULL ? arguments[0] : "";

    if (strcmp(what, "list") == 0 && arguments[1] == NULL) {
        return print_list_of(client, "/tokens?limit=100", "tokens", print_token);
    }
    if (strcmp(what, "create") == 0 && arguments[1] != NULL) {
        return token_create(client, arguments + 1);
    }
    if (strcmp(what, "revoke") == 0 && arguments[1] != NULL && arguments[2] == NULL) {
        return token_revoke(client, arguments[1]);
    }
    fputs("Usage: tocsin token create NAME [NAME=VALUE]... | list | revoke ID\n", stderr);
    return EXIT_USAGE;
}
