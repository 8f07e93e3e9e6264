/* Texts made from fields: templates, and what a pattern finds. */
#include <string.h>

#include "node/orchestration/ruleset.h"

/* What a template makes is cut here. */
#define FILLED_SIZE_BYTES_MAX 8192u
#define NAME_SIZE_BYTES_MAX 512u

struct filled {
    char *text;
    size_t size_bytes;
};

static void append(struct filled *filled, const char *text, size_t size_bytes)
{
    size_t room = FILLED_SIZE_BYTES_MAX - filled->size_bytes;
    if (size_bytes > room) {
        size_bytes = room;
        while (size_bytes > 0 && ((unsigned char)text[size_bytes] & 0xC0) == 0x80) {
            size_bytes--; /* not within a character */
        }
    }
    memcpy(filled->text + filled->size_bytes, text, size_bytes);
    filled->size_bytes += size_bytes;
}

static void *facts_alloc(struct facts *facts, size_t size_bytes)
{
    return facts->arena.allocator.alloc(facts->arena.allocator.allocator_data, size_bytes);
}

/* The value between the braces; "" for nothing. */
static const char *named_value(struct facts *facts, const char *name, size_t size_bytes)
{
    char text[NAME_SIZE_BYTES_MAX + 1], sentence[SENTENCE_SIZE_BYTES];
    const char *end, *found = NULL;
    while (size_bytes > 0 && *name == ' ') {
        name++;
        size_bytes--;
    }
    while (size_bytes > 0 && name[size_bytes - 1] == ' ') {
        size_bytes--;
    }
    if (size_bytes > NAME_SIZE_BYTES_MAX) {
        return "";
    }
    memcpy(text, name, size_bytes);
    text[size_bytes] = '\0';
    struct field_path *path = field_path_parse(text, &end, sentence);
    if (path != NULL) {
        found = *end == '\0' ? facts_value_text(facts, field_path_value(path, facts->root)) : NULL;
        field_path_free(path);
    } else {
        found = facts_value_text(facts, json_object_get(json_object_get(facts->root, "variables"), text));
    }
    return found != NULL ? found : "";
}

const char *template_fill(struct facts *facts, const char *template)
{
    const char *open = strstr(template, "{{"), *close;
    if (open == NULL) {
        return template;
    }
    struct filled filled = {facts_alloc(facts, FILLED_SIZE_BYTES_MAX + 1), 0};
    while (open != NULL && (close = strstr(open, "}}")) != NULL) {
        append(&filled, template, (size_t)(open - template));
        const char *value = named_value(facts, open + 2, (size_t)(close - open - 2));
        append(&filled, value, strlen(value));
        template = close + 2;
        open = strstr(template, "{{");
    }
    append(&filled, template, strlen(template));
    filled.text[filled.size_bytes] = '\0';
    return filled.text;
}

const char *extract(struct facts *facts, const struct pattern *pattern, const struct pattern_text *text)
{
    struct pattern_match match;
    if (!facts_find(facts, pattern, text, &match)) {
        return NULL;
    }
    struct filled filled = {facts_alloc(facts, FILLED_SIZE_BYTES_MAX + 1), 0};
    for (unsigned i = match.groups > 1 ? 1 : 0; i < match.groups; i++) {
        if (match.start[i] <= match.end[i]) {
            append(&filled, text->text + match.start[i], match.end[i] - match.start[i]);
        }
    }
    filled.text[filled.size_bytes] = '\0';
    return filled.text;
}
