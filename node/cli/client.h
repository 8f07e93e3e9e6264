/* Inside the command line: one request after the other, and what of the answers people read. */
#ifndef NODE_CLI_CLIENT_H
#define NODE_CLI_CLIENT_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define PATH_SIZE_BYTES_MAX 1024
#define URL_SIZE_BYTES_MAX 512

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_ANSWER = 3 };

struct client {
    const char *url, *token;
    CURL *curl;
};

struct answer {
    long status;
    char *text;
    size_t size_bytes;
    json_t *json; /* NULL when the answer is not JSON */
};

/* Asks and waits. EXIT_DONE with the answer, to be released; otherwise the reason has been printed. `body` is taken
 * over; NULL: none. */
int ask(struct client *client, const char *method, const char *path, json_t *body, struct answer *answer);
void release(struct answer *answer);

/* Text from a cluster must not command the terminal. */
void print_text(const char *text);
/* "-" when there is none. */
const char *text_at(json_t *object, const char *name);
void print_number_at(json_t *object, const char *name);
/* Asks for a list and prints each element. */
int print_list_of(struct client *client, const char *path, const char *name, void (*print)(json_t *));

/* Whether it looks like an id: a "P", then digits and capital letters, not letters alone. */
bool is_id(const char *text);
/* The object of a list whose id or e-mail this is, or the only one whose `name` it is; a new reference, NULL when there is
 * none, or when several have the name. Prints why. */
json_t *find_named(struct client *client, const char *path, const char *plural, const char *name);
/* The id of the user who is named so, by id, e-mail or name; a new string, NULL as with find_named. Prints why. */
char *find_user(struct client *client, const char *name);

#endif
