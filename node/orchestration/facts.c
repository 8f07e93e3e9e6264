/* Paths into an event, and what stands there. */
#include "node/orchestration/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/orchestration/fold.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define LETTERS_AND_DIGITS LETTERS "0123456789"
#define INDEX_DIGITS_MAX 6u

static void *allocate(size_t size_bytes)
{
    void *memory = malloc(size_bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* ---------------------------------------------------------------- paths */

static const char *const roots[] = {"event", "raw_event", "variables"};

struct elements {
    struct field_path *path;
    const char *at;
    const char *wrong; /* NULL: nothing */
};

static void add_element(struct elements *elements, char *name, long index)
{
    if (elements->path->count == FIELD_PATH_ELEMENTS_MAX) {
        free(name);
        elements->wrong = "a path has at most 32 parts";
        return;
    }
    elements->path->elements[elements->path->count].name = name;
    elements->path->elements[elements->path->count++].index = index;
}

/* The quote is taken. */
static void take_quoted(struct elements *elements)
{
    char *name = allocate(strlen(elements->at) + 1);
    size_t size = 0;
    for (; *elements->at != '\0' && *elements->at != '\''; elements->at++) {
        elements->at += elements->at[0] == '\\' && elements->at[1] != '\0';
        name[size++] = *elements->at;
    }
    name[size] = '\0';
    if (strncmp(elements->at, "']", 2) != 0) {
        free(name);
        elements->wrong = "the '] of a path is missing";
        return;
    }
    elements->at += 2;
    add_element(elements, name, 0);
}

/* The bracket is taken. */
static void take_bracket(struct elements *elements)
{
    if (*elements->at == '\'') {
        elements->at++;
        take_quoted(elements);
        return;
    }
    size_t digits = strspn(elements->at, "0123456789");
    if (digits == 0 || digits > INDEX_DIGITS_MAX || elements->at[digits] != ']') {
        elements->wrong = "brackets of a path hold a number or a name in single quotes";
        return;
    }
    long index = strtol(elements->at, NULL, 10);
    elements->at += digits + 1;
    add_element(elements, NULL, index);
}

static void take_name(struct elements *elements)
{
    if (*elements->at == '\0' || strchr(LETTERS, *elements->at) == NULL) {
        elements->wrong = "a path needs a name that begins with a letter";
        return;
    }
    size_t size = strspn(elements->at, LETTERS_AND_DIGITS);
    char *name = allocate(size + 1);
    memcpy(name, elements->at, size);
    name[size] = '\0';
    elements->at += size;
    add_element(elements, name, 0);
}

static void check_root(struct elements *elements)
{
    const char *name = elements->path->count > 0 ? elements->path->elements[0].name : "";
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (strcmp(roots[i], name) == 0) {
            return;
        }
    }
    elements->wrong = strcmp(name, "cache_var") == 0 ? "cache variables are not supported"
                                                     : "a path begins with event, raw_event or variables";
}

struct field_path *field_path_parse(const char *text, const char **end, char sentence[SENTENCE_SIZE_BYTES])
{
    struct field_path *path =
        allocate(sizeof *path + FIELD_PATH_ELEMENTS_MAX * sizeof path->elements[0]);
    path->count = 0;
    struct elements elements = {path, text, NULL};
    take_name(&elements);
    if (elements.wrong == NULL) {
        check_root(&elements);
    }
    while (elements.wrong == NULL && (*elements.at == '.' || *elements.at == '[')) {
        if (*elements.at++ == '.') {
            take_name(&elements);
        } else {
            take_bracket(&elements);
        }
    }
    *end = elements.at;
    if (elements.wrong != NULL) {
        (void)snprintf(sentence, SENTENCE_SIZE_BYTES, "%s", elements.wrong);
        field_path_free(path);
        return NULL;
    }
    return path;
}

void field_path_free(struct field_path *path)
{
    for (unsigned i = 0; path != NULL && i < path->count; i++) {
        free(path->elements[i].name);
    }
    free(path);
}

json_t *field_path_value(const struct field_path *path, json_t *root)
{
    json_t *value = root;
    for (unsigned i = 0; i < path->count && value != NULL; i++) {
        const char *name = path->elements[i].name;
        value = name != NULL ? json_object_get(value, name) : json_array_get(value, (size_t)path->elements[i].index);
    }
    return value;
}

bool field_path_set(const struct field_path *path, json_t *root, const char *text)
{
    json_t *at = root;
    for (unsigned i = 0; i + 1 < path->count; i++) {
        const char *name = path->elements[i].name;
        json_t *next = name != NULL ? json_object_get(at, name) : json_array_get(at, (size_t)path->elements[i].index);
        if (next == NULL && name != NULL && json_is_object(at)) {
            next = json_object();
            json_object_set_new(at, name, next);
        }
        at = next;
    }
    const char *name = path->elements[path->count - 1].name;
    json_t *value = json_string(text);
    return name != NULL ? json_object_set_new(at, name, value) == 0
                        : json_array_set_new(at, (size_t)path->elements[path->count - 1].index, value) == 0;
}

static bool same_path(const struct field_path *a, const struct field_path *b)
{
    for (unsigned i = 0; i < a->count && a->count == b->count; i++) {
        const char *one = a->elements[i].name, *other = b->elements[i].name;
        bool same = one == NULL || other == NULL ? one == other && a->elements[i].index == b->elements[i].index
                                                 : strcmp(one, other) == 0;
        if (!same) {
            return false;
        }
    }
    return a->count == b->count;
}

unsigned path_table_add(struct path_table *table, struct field_path *path)
{
    for (unsigned i = 0; i < table->count; i++) {
        if (same_path(table->paths[i], path)) {
            field_path_free(path);
            return i;
        }
    }
    if ((table->count & (table->count - 1)) == 0) { /* full at every power of two */
        table->paths = realloc(table->paths, (table->count == 0 ? 1 : 2 * table->count) * sizeof *table->paths);
        if (table->paths == NULL) {
            abort();
        }
    }
    table->paths[table->count] = path;
    return table->count++;
}

void path_table_free(struct path_table *table)
{
    for (unsigned i = 0; i < table->count; i++) {
        field_path_free(table->paths[i]);
    }
    free(table->paths);
    *table = (struct path_table){0};
}

/* ---------------------------------------------------------------- facts */

void facts_init(struct facts *facts, json_t *root, uint64_t now_ms)
{
    *facts = (struct facts){.root = root, .now_ms = now_ms, .steps_left = STEPS_PER_EVENT};
    arena_init(&facts->arena);
}

void facts_close(struct facts *facts)
{
    json_decref(facts->root);
    arena_close(&facts->arena);
    pattern_memory_free(&facts->memory);
}

static void *facts_alloc(struct facts *facts, size_t size_bytes)
{
    return facts->arena.allocator.alloc(facts->arena.allocator.allocator_data, size_bytes);
}

void facts_use(struct facts *facts, const struct path_table *table)
{
    facts->table = table;
    facts->facts = facts_alloc(facts, (table->count + 1) * sizeof *facts->facts);
    facts_changed(facts);
}

void facts_changed(struct facts *facts)
{
    memset(facts->facts, 0, (facts->table->count + 1) * sizeof *facts->facts);
}

json_t *facts_value(struct facts *facts, unsigned path)
{
    struct fact *fact = &facts->facts[path];
    if (!fact->looked_up) {
        fact->looked_up = true;
        fact->value = field_path_value(facts->table->paths[path], facts->root);
    }
    return fact->value;
}

const char *facts_value_text(struct facts *facts, const json_t *value)
{
    if (value == NULL || json_is_null(value)) {
        return NULL;
    }
    if (json_is_string(value)) {
        return json_string_value(value);
    }
    size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    char *text = facts_alloc(facts, size + 1);
    (void)json_dumpb(value, text, size, JSON_COMPACT | JSON_ENCODE_ANY);
    text[size] = '\0';
    return text;
}

struct pattern_text facts_text_of(struct facts *facts, const char *text, size_t size_bytes)
{
    if (size_bytes > FIELD_TEXT_SIZE_BYTES_MAX) {
        size_bytes = FIELD_TEXT_SIZE_BYTES_MAX;
        while (size_bytes > 0 && ((unsigned char)text[size_bytes] & 0xC0) == 0x80) {
            size_bytes--; /* not within a character */
        }
    }
    char *folded = facts_alloc(facts, size_bytes + 1);
    fold_text(text, size_bytes, folded);
    return (struct pattern_text){.text = text, .folded = folded, .size_bytes = size_bytes};
}

const struct pattern_text *facts_text(struct facts *facts, unsigned path)
{
    struct fact *fact = &facts->facts[path];
    json_t *value = facts_value(facts, path);
    if (value == NULL || json_is_null(value)) {
        return NULL;
    }
    if (!fact->has_text) {
        fact->has_text = true;
        const char *text = facts_value_text(facts, value);
        fact->text = facts_text_of(facts, text, strlen(text));
    }
    return &fact->text;
}

bool facts_find(struct facts *facts, const struct pattern *pattern, const struct pattern_text *text,
                struct pattern_match *match)
{
    enum pattern_result result = pattern_find(pattern, text, &facts->memory, &facts->steps_left, match);
    facts->given_up += result == PATTERN_GIVEN_UP;
    return result == PATTERN_FOUND;
}
