/* One HTTP request in memory: its target taken apart, its arena, its answer. */
#include "node/http/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/utf8.h"

#define FIRST_BLOCK_SIZE_BYTES 2048u /* what nearly every request needs, in one allocation with the request itself */
#define BLOCK_SIZE_BYTES 8192u

struct block {
    struct block *next;
    _Alignas(max_align_t) unsigned char memory[];
};

struct http_arena {
    struct block *blocks;
    unsigned char *memory; /* of the block being filled */
    size_t used, capacity;
};

struct request_box {
    struct http_request request;
    struct http_arena arena;
    _Alignas(max_align_t) unsigned char first[FIRST_BLOCK_SIZE_BYTES];
};

static void *allocate(size_t size_bytes)
{
    void *memory = malloc(size_bytes);
    if (memory == NULL) {
        abort(); /* a node without memory cannot keep its promises: it ends, the others go on */
    }
    return memory;
}

void *http_alloc(struct http_request *request, size_t size_bytes)
{
    struct http_arena *arena = request->arena;
    size_t size = (size_bytes + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);

    assert(size >= size_bytes);
    if (arena->capacity - arena->used < size) {
        size_t capacity = size > BLOCK_SIZE_BYTES ? size : BLOCK_SIZE_BYTES;
        struct block *block = allocate(sizeof *block + capacity);
        block->next = arena->blocks;
        arena->blocks = block;
        arena->memory = block->memory;
        arena->capacity = capacity;
        arena->used = 0;
    }
    void *memory = arena->memory + arena->used;
    arena->used += size;
    return memset(memory, 0, size_bytes);
}

char *http_strdup(struct http_request *request, const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(http_alloc(request, size), text, size);
}

/* ---------------------------------------------------------------- the target */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes percent signs (and in queries plus signs) into arena memory. NULL when malformed, not UTF-8, or with a
 * NUL. */
static const char *decode(struct http_request *request, const char *text, size_t size_bytes, bool plus_is_space)
{
    char *decoded = http_alloc(request, size_bytes + 1);
    size_t length = 0, characters;

    for (size_t i = 0; i < size_bytes; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < size_bytes ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < size_bytes ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return NULL;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        decoded[length++] = c;
    }
    return utf8_count(decoded, length, &characters) ? decoded : NULL;
}

static bool parse_path(struct http_request *request, const char *path, size_t size_bytes)
{
    const char *end = path + size_bytes;
    size_t joined_size = 1;

    for (const char *at = path; at < end;) {
        if (*at == '/') { /* repeated slashes: clients join base and path by concatenation */
            at++;
            continue;
        }
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t part_size = (size_t)((slash != NULL ? slash : end) - at);
        if (request->parts_count == HTTP_PATH_PARTS_MAX) {
            return false;
        }
        const char *part = decode(request, at, part_size, false);
        if (part == NULL) {
            return false;
        }
        request->parts[request->parts_count++] = part;
        joined_size += strlen(part) + 1;
        at += part_size;
    }

    char *joined = http_alloc(request, joined_size + 1);
    size_t length = 0;
    for (unsigned i = 0; i < request->parts_count; i++) {
        size_t part_size = strlen(request->parts[i]);
        joined[length++] = '/';
        memcpy(joined + length, request->parts[i], part_size);
        length += part_size;
    }
    if (length == 0) {
        joined[0] = '/';
    }
    request->path = joined;
    return true;
}

static bool parse_query(struct http_request *request, const char *query)
{
    for (const char *at = query; *at != '\0';) {
        size_t size = strcspn(at, "&");
        const char *equals = memchr(at, '=', size);
        size_t name_size = equals != NULL ? (size_t)(equals - at) : size;
        if (size > 0) {
            if (request->query_count == HTTP_QUERY_PARAMETERS_MAX) {
                return false;
            }
            struct http_parameter *parameter = &request->query[request->query_count++];
            parameter->name = decode(request, at, name_size, true);
            parameter->value = equals != NULL ? decode(request, equals + 1, size - name_size - 1, true) : "";
            if (parameter->name == NULL || parameter->value == NULL) {
                return false;
            }
        }
        at += size + (at[size] == '&');
    }
    return true;
}

static bool parse_target(struct http_request *request, const char *target)
{
    size_t path_size = strcspn(target, "?");

    return target[0] == '/' && path_size + strlen(target + path_size) <= HTTP_TARGET_SIZE_BYTES_MAX &&
           parse_path(request, target, path_size) &&
           (target[path_size] == '\0' || parse_query(request, target + path_size + 1));
}

/* ---------------------------------------------------------------- the request */

static const char *no_header(const struct http_request *request, const char *name)
{
    (void)request;
    (void)name;
    return NULL;
}

struct http_request *http_request_new(const char *method, const char *target, struct span body, struct http_sink sink)
{
    struct request_box *box = allocate(sizeof *box);
    struct http_request *request = &box->request;

    memset(request, 0, sizeof *request);
    box->arena = (struct http_arena){.memory = box->first, .capacity = sizeof box->first};
    request->arena = &box->arena;
    request->header = no_header;
    request->body = body;
    request->sink = sink;
    request->method = http_strdup(request, method);
    if (!parse_target(request, target)) {
        http_request_free(request);
        return NULL;
    }
    return request;
}

void http_request_free(struct http_request *request)
{
    struct request_box *box = (struct request_box *)request; /* its first member */

    for (struct block *block = box->arena.blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(request->body_owned);
    free(request->response_body);
    free(box);
}

const char *http_query(const struct http_request *request, const char *name)
{
    for (unsigned i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, name) == 0) {
            return request->query[i].value;
        }
    }
    return NULL;
}

void http_response_header(struct http_request *request, const char *name, const char *value)
{
    assert(request->response_headers_count < HTTP_RESPONSE_HEADERS_MAX);
    struct http_parameter *header = &request->response_headers[request->response_headers_count++];
    header->name = http_strdup(request, name);
    header->value = http_strdup(request, value);
}

void http_respond(struct http_request *request, unsigned status, const char *content_type, char *body,
                  size_t size_bytes)
{
    assert(request->status == 0 && status >= 200 && status < 600); /* one request, one answer */
    request->status = status;
    request->content_type = content_type;
    request->response_body = body;
    request->response_body_size_bytes = size_bytes;
    request->sink.respond(request->sink.context, request);
    http_request_free(request);
}
