/* Pagination as PagerDuty's clients walk it: limit, offset, more, and total when asked for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"

#define LIMIT_DEFAULT 25u
#define LIMIT_MAX 100u      /* more is answered with this many: clients go on by the limit of the answer */
#define WINDOW_MAX 10000u   /* offset + limit: PagerDuty's */

/* A query parameter that is a whole number. */
static bool parse_number(const char *text, unsigned *out)
{
    char *end;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || value > UINT32_MAX) {
        return false;
    }
    *out = (unsigned)value;
    return true;
}

static bool refuse(struct http_request *request, const char *message)
{
    api_error(request, 400, 2001, "Invalid Input Provided", json_pack("[s]", message));
    return false;
}

bool page_parse(struct http_request *request, struct page *page)
{
    const char *limit = http_query(request, "limit"), *offset = http_query(request, "offset");
    const char *total = http_query(request, "total");

    *page = (struct page){.limit = LIMIT_DEFAULT};
    if (limit != NULL && (!parse_number(limit, &page->limit) || page->limit == 0)) {
        return refuse(request, "Limit must be a whole number from 1 to 100");
    }
    if (offset != NULL && !parse_number(offset, &page->offset)) {
        return refuse(request, "Offset must be a whole number");
    }
    if (page->limit > LIMIT_MAX) {
        page->limit = LIMIT_MAX;
    }
    if (page->offset > WINDOW_MAX - page->limit) {
        return refuse(request, "Offset and limit together must not exceed 10000");
    }
    page->want_total = total != NULL && (strcmp(total, "true") == 0 || strcmp(total, "1") == 0);
    return true;
}

bool page_take(struct page *page)
{
    if (page->seen++ < page->offset) {
        return false;
    }
    if (page->taken == page->limit) {
        page->more = true;
        return false;
    }
    page->taken++;
    return true;
}

bool page_done(const struct page *page)
{
    return page->more && !page->want_total;
}

void page_finish(const struct page *page, json_t *answer)
{
    json_object_set_new(answer, "limit", json_integer(page->limit));
    json_object_set_new(answer, "offset", json_integer(page->offset));
    json_object_set_new(answer, "more", json_boolean(page->more));
    json_object_set_new(answer, "total", page->want_total ? json_integer(page->seen) : json_null());
}
