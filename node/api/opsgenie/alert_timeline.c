/*
 * The timeline of one alert as Opsgenie tells it: notes, logs, recipients.
 *
 * Pages of notes and logs hang on an entry: `offset` is its id, `direction` next or prev in the order asked for, the newest
 * first unless it is asc.
 */
#include <string.h>
#include <strings.h>

#include "node/api/opsgenie/opsgenie.h"
#include "node/api/render.h"
#include "node/api/resource.h"

#define PAGE_MAX 100u
/* Entries of one alert that are looked at: more than the bounds of a timeline make likely. */
#define ENTRIES_SEEN_MAX 20000u
#define RECIPIENTS_MAX 100u

/* ---------------------------------------------------------------- notes and logs */

/* Lives in call->data. */
struct page_of {
    bool notes;     /* alone */
    bool ascending; /* as asked for */
    bool backward;  /* direction prev: the page before the offset */
    uint64_t offset;
    unsigned limit;
};

static bool refuse(struct http_request *request, const char *sentence)
{
    api_error(request, 422, 2001, sentence, NULL);
    return false;
}

static bool word_is(const char *given, const char *word)
{
    return given != NULL && strcasecmp(given, word) == 0;
}

static bool take_page(struct http_request *request, struct page_of *page)
{
    const char *order = http_query(request, "order"), *direction = http_query(request, "direction");
    const char *offset = http_query(request, "offset");

    page->ascending = word_is(order, "asc");
    page->backward = word_is(direction, "prev");
    page->limit = opsgenie_limit(request);
    page->offset = offset != NULL && offset[0] != '\0' ? id_parse(offset) : 0;
    if (order != NULL && !page->ascending && !word_is(order, "desc")) {
        return refuse(request, "The order must be asc or desc");
    }
    if (direction != NULL && !page->backward && !word_is(direction, "next")) {
        return refuse(request, "The direction must be next or prev");
    }
    return offset == NULL || offset[0] == '\0' || page->offset != 0 ||
           refuse(request, "The offset must be that of an entry of the list");
}

static const char *log_type(const Tocsin__LogEntry *entry)
{
    if (entry->type == TOCSIN__LOG_TYPE__LOG_NOTIFY) {
        return "alertRecipient";
    }
    return entry->agent == NULL || entry->agent->kind == TOCSIN__ACTOR_KIND__ACTOR_SYSTEM ? "system" : "api";
}

static json_t *render_entry(const struct page_of *page, const Tocsin__LogEntry *entry)
{
    const char *owner = entry->agent != NULL ? entry->agent->name : "";
    json_t *object = json_pack("{s:s, s:s, s:o, s:o}", page->notes ? "note" : "log", entry->text, "owner", owner, "createdAt",
                               json_time(entry->at_ms), "offset", json_id(entry->id));

    if (!page->notes) {
        json_object_set_new(object, "type", json_string(log_type(entry)));
    }
    return object;
}

static void add_page(struct http_request *request, const struct page_of *page, json_t *paging, const char *name,
                     const char *direction, uint64_t offset)
{
    char id[16] = "", limit[12];
    struct http_parameter given[] = {{"direction", direction}, {"offset", id}, {"limit", limit}};

    if (offset != 0) {
        id_format(offset, id);
    }
    (void)snprintf(limit, sizeof limit, "%u", page->limit);
    opsgenie_page(request, paging, name, given, sizeof given / sizeof *given);
}

/* The entries of the page in the order in which they are met, their ids beside them; true when there are more. */
static bool collect(const struct machine_store *view, const Tocsin__Incident *incident, const struct page_of *page,
                    json_t *entries, uint64_t ids[PAGE_MAX])
{
    bool rising = page->ascending != page->backward;
    struct walk walk = rising ? walk_under(view, TABLE_LOG_ENTRY, incident->id)
                              : walk_under_backward(view, TABLE_LOG_ENTRY, incident->id);
    bool more = false;

    for (unsigned seen = 0; seen < ENTRIES_SEEN_MAX && !more && walk_next(&walk); seen++) {
        uint64_t id = span_number(walk.key, 1);
        if (page->offset != 0 && (rising ? id <= page->offset : id >= page->offset)) {
            continue;
        }
        Tocsin__LogEntry *entry = record_unpack(&tocsin__log_entry__descriptor, walk.value, NULL);
        if (entry == NULL) {
            continue;
        }
        size_t count = json_array_size(entries);
        bool fits = !page->notes || entry->type == TOCSIN__LOG_TYPE__LOG_ANNOTATE;
        more = fits && count == page->limit;
        if (fits && !more) {
            ids[count] = id;
            json_array_append_new(entries, render_entry(page, entry));
        }
        tocsin__log_entry__free_unpacked(entry, NULL);
    }
    return more;
}

/* In the order asked for, though they were met from the offset backward. */
static void turn(json_t *entries, uint64_t *ids)
{
    size_t count = json_array_size(entries);

    for (size_t i = 0; i < count / 2; i++) {
        size_t other = count - 1 - i;
        json_t *left = json_incref(json_array_get(entries, i)), *right = json_incref(json_array_get(entries, other));
        uint64_t id = ids[i];
        json_array_set_new(entries, i, right);
        json_array_set_new(entries, other, left);
        ids[i] = ids[other];
        ids[other] = id;
    }
}

static void on_page(struct http_request *request, const struct machine_store *view)
{
    const struct page_of *page = api_call_of(request)->data;
    const Tocsin__Incident *incident = alert_find(request, view);
    uint64_t ids[PAGE_MAX] = {0};

    if (incident == NULL) {
        api_not_found(request);
        return;
    }
    json_t *entries = json_array(), *paging = json_object();
    bool more = collect(view, incident, page, entries, ids);
    if (page->backward) {
        turn(entries, ids);
    }
    size_t count = json_array_size(entries);
    add_page(request, page, paging, "first", "next", 0);
    if (count > 0 && (page->backward || more)) {
        add_page(request, page, paging, "next", "next", ids[count - 1]);
    }
    if (count > 0 && (page->backward ? more : page->offset != 0)) {
        add_page(request, page, paging, "prev", "prev", ids[0]);
    }
    opsgenie_json(request, 200, json_pack("{s:o, s:o}", "data", entries, "paging", paging));
}

static void page_of_timeline(struct http_request *request, bool notes)
{
    struct page_of *page = http_alloc(request, sizeof *page);

    page->notes = notes;
    api_call_of(request)->data = page;
    if (identifier_check(request) && take_page(request, page)) {
        api_read(request, on_page);
    }
}

void alert_notes(struct http_request *request)
{
    page_of_timeline(request, true);
}

void alert_logs(struct http_request *request)
{
    page_of_timeline(request, false);
}

/* ---------------------------------------------------------------- recipients */

struct recipient {
    uint64_t user_id, first_ms, last_ms;
    Tocsin__Channel channel;
    bool sent, acknowledged;
};

static struct recipient *recipient_of(struct recipient *recipients, size_t *count, uint64_t user_id, uint64_t at_ms)
{
    size_t i = 0;

    while (i < *count && recipients[i].user_id != user_id) {
        i++;
    }
    if (i == *count && *count < RECIPIENTS_MAX) {
        recipients[(*count)++] = (struct recipient){.user_id = user_id, .first_ms = at_ms, .last_ms = at_ms};
    }
    return i < *count ? &recipients[i] : NULL;
}

static void count_entry(struct recipient *recipients, size_t *count, const Tocsin__LogEntry *entry)
{
    struct recipient *recipient = entry->type == TOCSIN__LOG_TYPE__LOG_NOTIFY && entry->user_id != 0
                                      ? recipient_of(recipients, count, entry->user_id, entry->at_ms)
                                      : NULL;

    if (recipient != NULL) {
        recipient->last_ms = entry->at_ms;
        recipient->channel = entry->channel;
        recipient->sent = recipient->sent || entry->outcome == TOCSIN__OUTCOME__OUTCOME_SENT;
    }
}

/* Who was told, or is to be told. */
static size_t recipients_collect(const struct machine_store *view, const Tocsin__Incident *incident,
                                 struct recipient *recipients)
{
    struct walk walk = walk_under(view, TABLE_LOG_ENTRY, incident->id);
    size_t count = 0;

    for (unsigned seen = 0; seen < ENTRIES_SEEN_MAX && walk_next(&walk); seen++) {
        Tocsin__LogEntry *entry = record_unpack(&tocsin__log_entry__descriptor, walk.value, NULL);
        if (entry != NULL) {
            count_entry(recipients, &count, entry);
            tocsin__log_entry__free_unpacked(entry, NULL);
        }
    }
    for (size_t i = 0; i < incident->n_assignments; i++) {
        (void)recipient_of(recipients, &count, incident->assignments[i]->user_id, incident->assignments[i]->at_ms);
    }
    for (size_t i = 0; i < incident->n_acknowledgements; i++) {
        const Tocsin__Assignment *by = incident->acknowledgements[i];
        struct recipient *recipient = recipient_of(recipients, &count, by->user_id, by->at_ms);
        if (recipient != NULL) {
            recipient->acknowledged = true;
            recipient->last_ms = by->at_ms;
        }
    }
    return count;
}

static json_t *render_recipient(struct http_request *request, const struct machine_store *view,
                                const struct recipient *recipient)
{
    const char *channel = word_of(words_channel, (int)recipient->channel);
    const char *state = recipient->acknowledged ? "action" : recipient->sent ? "active" : "notactive";

    return json_pack("{s:{s:o, s:s}, s:s, s:s, s:o, s:o}", "user", "id", json_id(recipient->user_id), "username",
                     alert_user_name(request, view, recipient->user_id), "state", state, "method",
                     recipient->acknowledged ? "Acknowledge" : channel != NULL ? channel : "", "createdAt",
                     json_time(recipient->first_ms), "updatedAt", json_time(recipient->last_ms));
}

static void on_recipients(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = alert_find(request, view);
    struct recipient recipients[RECIPIENTS_MAX];

    if (incident == NULL) {
        api_not_found(request);
        return;
    }
    size_t count = recipients_collect(view, incident, recipients);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, render_recipient(request, view, &recipients[i]));
    }
    opsgenie_data(request, 200, list);
}

void alert_recipients(struct http_request *request)
{
    if (identifier_check(request)) {
        api_read(request, on_recipients);
    }
}
