/* The command line's conversation with a cluster. */
#include "node/cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TIMEOUT_S 30L
#define ANSWER_SIZE_BYTES_MAX (16u << 20)
#define ID_CHARACTERS_MIN 7u

/* ---------------------------------------------------------------- requests */

static size_t on_data(char *data, size_t one, size_t size_bytes, void *context)
{
    struct answer *answer = context;

    (void)one;
    if (size_bytes > ANSWER_SIZE_BYTES_MAX - answer->size_bytes) {
        return 0; /* curl then ends with an error */
    }
    char *text = realloc(answer->text, answer->size_bytes + size_bytes + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text + answer->size_bytes, data, size_bytes);
    answer->size_bytes += size_bytes;
    text[answer->size_bytes] = '\0';
    answer->text = text;
    return size_bytes;
}

static struct curl_slist *add_header(struct curl_slist *headers, const char *header)
{
    struct curl_slist *longer = curl_slist_append(headers, header);
    if (longer == NULL) {
        abort();
    }
    return longer;
}

static struct curl_slist *make_headers(const struct client *client, bool has_body)
{
    struct curl_slist *headers = add_header(NULL, "Accept: application/json");
    char authorization[512];

    if (has_body) {
        headers = add_header(headers, "Content-Type: application/json");
    }
    if (client->token != NULL) {
        snprintf(authorization, sizeof authorization, "Authorization: Token token=%s", client->token);
        headers = add_header(headers, authorization);
    }
    return headers;
}

/* The reason that the cluster gives, in whichever family's shape. */
static void print_refusal(const struct answer *answer)
{
    json_t *error = json_object_get(answer->json, "error"), *text;
    const char *message = json_string_value(json_object_get(error != NULL ? error : answer->json, "message"));
    size_t i;

    fprintf(stderr, "tocsin: %s (HTTP %ld)\n", message != NULL ? message : "the cluster refused", answer->status);
    json_array_foreach(json_object_get(error != NULL ? error : answer->json, "errors"), i, text)
    {
        if (json_is_string(text) && (message == NULL || strcmp(json_string_value(text), message) != 0)) {
            fprintf(stderr, "  %s\n", json_string_value(text));
        }
    }
}

void release(struct answer *answer)
{
    json_decref(answer->json);
    free(answer->text);
}

int ask(struct client *client, const char *method, const char *path, json_t *body, struct answer *answer)
{
    char url[PATH_SIZE_BYTES_MAX + URL_SIZE_BYTES_MAX], problem[CURL_ERROR_SIZE] = "";
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    struct curl_slist *headers = make_headers(client, text != NULL);
    int result = EXIT_DONE;

    *answer = (struct answer){0};
    snprintf(url, sizeof url, "%s%s", client->url, path);
    curl_easy_reset(client->curl);
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, problem);
    if (text != NULL) {
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text);
    }
    CURLcode code = curl_easy_perform(client->curl);
    if (code != CURLE_OK) {
        fprintf(stderr, "tocsin: no answer from %s: %s\n", client->url,
                problem[0] != '\0' ? problem : curl_easy_strerror(code));
        result = EXIT_NO_ANSWER;
    } else {
        curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answer->status);
        answer->json = answer->text != NULL ? json_loads(answer->text, 0, NULL) : NULL;
        if (answer->status < 200 || answer->status > 299) {
            print_refusal(answer);
            result = EXIT_REFUSED;
        } else if (answer->status != 204 && !json_is_object(answer->json)) {
            fprintf(stderr, "tocsin: %s does not speak Tocsin's API\n", client->url);
            result = EXIT_NO_ANSWER;
        }
    }
    curl_slist_free_all(headers);
    free(text);
    json_decref(body);
    if (result != EXIT_DONE) {
        release(answer);
    }
    return result;
}

/* ---------------------------------------------------------------- what people read */

void print_text(const char *text)
{
    for (; *text != '\0'; text++) {
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
    }
}

const char *text_at(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "-";
}

void print_number_at(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    if (json_is_integer(value)) {
        printf("%lld", (long long)json_integer_value(value));
    } else {
        putchar('-');
    }
}

int print_list_of(struct client *client, const char *path, const char *name, void (*print)(json_t *))
{
    struct answer answer;
    int result = ask(client, "GET", path, NULL, &answer);
    json_t *element;
    size_t i;

    if (result != EXIT_DONE) {
        return result;
    }
    json_array_foreach(json_object_get(answer.json, name), i, element)
    {
        print(element);
    }
    if (json_array_size(json_object_get(answer.json, name)) == 0) {
        printf("no %s\n", name);
    } else if (json_is_true(json_object_get(answer.json, "more"))) {
        puts("... and more");
    }
    release(&answer);
    return EXIT_DONE;
}

bool is_id(const char *text)
{
    return text[0] == 'P' && strlen(text) >= ID_CHARACTERS_MIN && strpbrk(text, "0123456789") != NULL &&
           text[strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static bool is_called(json_t *element, const char *field, const char *name)
{
    return strcasecmp(text_at(element, field), name) == 0;
}

static void print_namesakes(json_t *list, const char *plural, const char *name)
{
    json_t *element;
    size_t i;

    fprintf(stderr, "tocsin: more than one of the %s is called \"%s\"; say which by id:\n", plural, name);
    json_array_foreach(list, i, element)
    {
        if (is_called(element, "name", name)) {
            fprintf(stderr, "  %s  %s  %s\n", text_at(element, "id"), text_at(element, "name"), text_at(element, "email"));
        }
    }
}

json_t *find_named(struct client *client, const char *path, const char *plural, const char *name)
{
    struct answer answer;
    json_t *element, *found = NULL;
    size_t i, namesakes = 0;

    if (ask(client, "GET", path, NULL, &answer) != EXIT_DONE) {
        return NULL;
    }
    json_t *list = json_object_get(answer.json, plural);
    json_array_foreach(list, i, element)
    {
        if (is_called(element, "id", name) || is_called(element, "email", name)) {
            found = element;
            namesakes = 1;
            break;
        }
        if (is_called(element, "name", name)) {
            found = element;
            namesakes++;
        }
    }
    if (namesakes > 1) {
        print_namesakes(list, plural, name);
        found = NULL;
    } else if (found == NULL) {
        fprintf(stderr, "tocsin: none of the %s is called \"%s\"\n", plural, name);
    }
    json_incref(found);
    release(&answer);
    return found;
}

char *find_user(struct client *client, const char *name)
{
    char path[PATH_SIZE_BYTES_MAX];

    if (is_id(name)) {
        return strdup(name);
    }
    char *escaped = curl_easy_escape(client->curl, name, 0);
    bool fits = escaped != NULL && (size_t)snprintf(path, sizeof path, "/users?limit=100&query=%s", escaped) < sizeof path;

    curl_free(escaped);
    json_t *user = fits ? find_named(client, path, "users", name) : NULL;
    char *id = user != NULL ? strdup(text_at(user, "id")) : NULL;
    json_decref(user);
    return id;
}
