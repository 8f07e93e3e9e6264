/*
 * GET /incidents: filters, order, page, without looking at more rows than needed.
 *
 * Ids grow with time, so a window of time is a range of ids, and the order by number or creation is the order of ids.
 * What is asked becomes a few passes, one after the other, each a range of one table in one direction:
 *
 *     open ones only              INCIDENT_OPEN
 *     a window, or everything     INCIDENT in the window's range
 *     neither said                INCIDENT_OPEN before the last month, then INCIDENT since
 *     by resolved_at              INCIDENT_CLOSED, then INCIDENT_OPEN
 *     by urgency, by priority     the same, once for each of them
 *
 * The default order is PagerDuty's, ascending by number: pages stay as they are while new incidents arrive. Newest
 * first is sort_by=incident_number:desc. PagerDuty's default window of a month hides only what is resolved: an open
 * incident is never hidden by a default.
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/incidents/priorities.h"
#include "consensus/machine/incidents/visibility.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"

#define DEFAULT_WINDOW_MS (31ull * 24 * 3600 * 1000)
/* PagerDuty's bound of a range, "6 months", at their longest. */
#define WINDOW_MS_MAX (184ull * 24 * 3600 * 1000)
#define SORT_KEYS_MAX 2
#define URGENCIES_COUNT 2
#define SOURCES_MAX 2
#define PASSES_MAX (SOURCES_MAX * URGENCIES_COUNT * (LIMIT_PRIORITIES + 1))
#define SORT_TEXT_SIZE_BYTES 64

#define BIT(value) (1u << (unsigned)(value))
#define STATUSES_OPEN                                                                                                  \
    (BIT(TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED) | BIT(TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED))
#define STATUSES_ALL (STATUSES_OPEN | BIT(TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED))
#define URGENCIES_ALL (BIT(TOCSIN__URGENCY__URGENCY_HIGH) | BIT(TOCSIN__URGENCY__URGENCY_LOW))

/* Those of a pass have something in common. */
struct group {
    unsigned urgencies;
    bool by_priority;
    uint64_t priority_id; /* 0: none that is in force */
};

struct pass {
    enum machine_table table;
    uint64_t id_from, id_to; /* from this on, up to but without that */
    struct group group;
};

enum sort_field { SORT_NUMBER, SORT_RESOLVED_AT, SORT_URGENCY, SORT_PRIORITY };

struct sort_key {
    enum sort_field field;
    bool descending;
};

struct listing {
    struct page page;
    unsigned statuses, urgencies; /* sets of bits */
    uint64_t since_ms, until_ms;
    bool default_window;
    bool secrets; /* not everybody may see everything */
    bool by_people, by_key, by_service, by_team, by_priority; /* filters that the query has */
    uint64_t *policies;                                       /* of the teams asked for */
    size_t policies_count;
    struct sort_key grouping[SORT_KEYS_MAX];         /* urgency and priority, as far as the order begins with them */
    size_t grouping_count;
    bool by_resolved_at, descending;
    const Tocsin__Priorities *priorities;
    struct pass passes[PASSES_MAX]; /* about 10 KB */
    size_t passes_count;
    uint64_t rows_seen;
};

/* ---------------------------------------------------------------- what is asked */

static bool refuse(struct http_request *request, const char *message)
{
    api_error(request, 400, 2001, "Invalid Input Provided", json_pack("[s]", message));
    return false;
}

/* name[]=word ... as a set of bits; `all` when it is absent. False: answered. */
static bool parse_set(struct http_request *request, const char *name, const struct word *words, unsigned all,
                      unsigned *set)
{
    *set = 0;
    for (unsigned i = 0; i < request->query_count; i++) {
        int value = 0;
        if (!query_is(&request->query[i], name)) {
            continue;
        }
        if (!word_find(words, request->query[i].value, &value)) {
            api_error(request, 400, 2001, "Invalid Input Provided",
                      json_pack("[o]", json_format("'%s[]' has a value that is not known", name)));
            return false;
        }
        *set |= BIT(value);
    }
    if (*set == 0) {
        *set = all;
    }
    return true;
}

/* Where only the end is said, the range is the default one before it; where only the beginning is, it reaches to now. */
static bool window_is_bounded(struct http_request *request, struct listing *listing)
{
    uint64_t now_ms = api_cluster_ms(request);
    uint64_t end_ms = listing->until_ms != UINT64_MAX ? listing->until_ms : now_ms;

    if (http_query(request, "since") == NULL) {
        listing->since_ms = end_ms > DEFAULT_WINDOW_MS ? end_ms - DEFAULT_WINDOW_MS : 0;
    }
    if (!query_window(request, listing->since_ms, listing->until_ms)) {
        return false;
    }
    if (end_ms > listing->since_ms && end_ms - listing->since_ms > WINDOW_MS_MAX) {
        api_error(request, 400, 2001, "Invalid Input Provided",
                  json_pack("[s]", "'since' and 'until' can be 6 months apart at most; for all incidents there is date_range=all"));
        return false;
    }
    return true;
}

static bool parse_window(struct http_request *request, struct listing *listing)
{
    const char *date_range = http_query(request, "date_range");

    listing->until_ms = UINT64_MAX;
    if (date_range != NULL && strcmp(date_range, "all") == 0) {
        return true;
    }
    listing->default_window = http_query(request, "since") == NULL && http_query(request, "until") == NULL;
    if (listing->default_window) {
        uint64_t now_ms = api_cluster_ms(request);
        listing->since_ms = now_ms > DEFAULT_WINDOW_MS ? now_ms - DEFAULT_WINDOW_MS : 0;
    }
    return query_time(request, "since", &listing->since_ms) && query_time(request, "until", &listing->until_ms) &&
           (listing->default_window || window_is_bounded(request, listing));
}

/* "created_at:desc" */
static bool parse_sort_key(const char *text, size_t length, struct sort_key *key)
{
    static const struct word words_field[] = {
        {SORT_NUMBER, "incident_number"},
        {SORT_NUMBER, "created_at"},
        {SORT_RESOLVED_AT, "resolved_at"},
        {SORT_URGENCY, "urgency"},
        {SORT_PRIORITY, "priority"},
        {0, NULL},
    };
    char copy[SORT_TEXT_SIZE_BYTES];
    int field = 0;

    if (length >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *colon = strchr(copy, ':');
    if (colon != NULL) {
        *colon++ = '\0';
        if (strcmp(colon, "asc") != 0 && strcmp(colon, "desc") != 0) {
            return false;
        }
        key->descending = strcmp(colon, "desc") == 0;
    }
    bool known = word_find(words_field, copy, &field);
    key->field = (enum sort_field)field;
    return known;
}

/* Urgency and priority part the list into groups; ties of the other fields are too rare for one behind them to matter. */
static bool parse_sort(struct http_request *request, struct listing *listing)
{
    const char *text =
        http_query(request, "sort_by") != NULL ? http_query(request, "sort_by") : http_query(request, "sort_by[]");
    bool ordered = false;

    for (unsigned count = 0; text != NULL && *text != '\0'; count++) {
        size_t length = strcspn(text, ",");
        struct sort_key key = {.field = SORT_NUMBER};
        if (count == SORT_KEYS_MAX || !parse_sort_key(text, length, &key)) {
            return refuse(request, "'sort_by' must be at most two of incident_number, created_at, resolved_at, urgency "
                                   "and priority, each with :asc or :desc");
        }
        bool groups = key.field == SORT_URGENCY || key.field == SORT_PRIORITY;
        if (groups && listing->grouping_count == count) {
            listing->grouping[listing->grouping_count++] = key;
        } else if (!groups && !ordered) {
            ordered = true;
            listing->by_resolved_at = key.field == SORT_RESOLVED_AT;
            listing->descending = key.descending;
        }
        text += length + (text[length] == ',');
    }
    return true;
}

static bool parse(struct http_request *request, struct listing *listing)
{
    listing->by_people = query_given(request, "user_ids");
    listing->by_key = http_query(request, "incident_key") != NULL;
    listing->by_service = query_given(request, "service_ids");
    listing->by_team = query_given(request, "team_ids");
    listing->by_priority = query_given(request, "priority_ids"); /* ours */
    if (!page_parse(request, &listing->page) ||
        !parse_set(request, "statuses", words_incident_status, STATUSES_ALL, &listing->statuses) ||
        !parse_set(request, "urgencies", words_urgency, URGENCIES_ALL, &listing->urgencies) ||
        !parse_window(request, listing) || !parse_sort(request, listing)) {
        return false;
    }
    if (listing->by_people) { /* what is resolved is assigned to nobody, PagerDuty says */
        listing->statuses &= STATUSES_OPEN;
    }
    return true;
}

/* ---------------------------------------------------------------- passes */

/* The first id that an incident of this time or later has or will have. */
static uint64_t first_id_since(const struct machine_store *view, uint64_t time_ms)
{
    uint64_t low = 0, high = UINT64_MAX;

    while (time_ms > 0 && low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct key key = key_1(middle);
        struct span found, value;
        if (!view->seek(view->context, TABLE_INCIDENT, key_span(&key), &found, &value)) {
            high = middle;
            continue;
        }
        Tocsin__Incident *incident = record_unpack(&tocsin__incident__descriptor, value, NULL);
        if (incident->created_at_ms >= time_ms) {
            high = middle;
        } else {
            low = incident->id + 1;
        }
        tocsin__incident__free_unpacked(incident, NULL);
    }
    return low;
}

/* The tables and ranges to walk, in ascending order. */
static size_t sources(const struct listing *listing, const struct machine_store *view, struct pass out[SOURCES_MAX])
{
    uint64_t from = first_id_since(view, listing->since_ms);
    uint64_t to = listing->until_ms < UINT64_MAX ? first_id_since(view, listing->until_ms + 1) : UINT64_MAX;
    uint64_t open_from = listing->default_window ? 0 : from;
    bool open = (listing->statuses & STATUSES_OPEN) != 0, resolved = (listing->statuses & ~STATUSES_OPEN) != 0;
    size_t count = 0;

    if (resolved && listing->by_resolved_at) {
        out[count++] = (struct pass){.table = TABLE_INCIDENT_CLOSED, .id_from = from, .id_to = to};
    }
    if (open && (!resolved || listing->by_resolved_at)) {
        out[count++] = (struct pass){.table = TABLE_INCIDENT_OPEN, .id_from = open_from, .id_to = to};
    } else if (open && listing->default_window) {
        out[count++] = (struct pass){.table = TABLE_INCIDENT_OPEN, .id_from = 0, .id_to = from};
    }
    if (resolved && !listing->by_resolved_at) {
        out[count++] = (struct pass){.table = TABLE_INCIDENT, .id_from = from, .id_to = to};
    }
    return count;
}

/* Parts each group by one field of the order; the new groups take their place. */
static size_t groups_part(const struct listing *listing, const struct sort_key *key, struct group *groups, size_t count)
{
    const size_t priorities = listing->priorities->n_priorities;
    const size_t parts = key->field == SORT_URGENCY ? URGENCIES_COUNT : priorities + 1;
    struct group before[URGENCIES_COUNT * (LIMIT_PRIORITIES + 1)];
    size_t made = 0;

    memcpy(before, groups, count * sizeof *groups);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < parts; p++) {
            size_t part = key->descending ? parts - 1 - p : p;
            struct group group = before[i];
            if (key->field == SORT_URGENCY) {
                group.urgencies &= part == 0 ? BIT(TOCSIN__URGENCY__URGENCY_HIGH) : BIT(TOCSIN__URGENCY__URGENCY_LOW);
            } else if (part < priorities && listing->priorities->priorities[part]->retired) {
                continue;
            } else {
                group.by_priority = true;
                group.priority_id = part < priorities ? listing->priorities->priorities[part]->id : 0;
            }
            groups[made++] = group;
        }
    }
    return made;
}

/* The most important first, those without a priority last, unless it is turned round. */
static void plan(struct listing *listing, const struct machine_store *view)
{
    struct group groups[URGENCIES_COUNT * (LIMIT_PRIORITIES + 1)] = {{.urgencies = listing->urgencies}};
    size_t groups_count = 1;
    struct pass ascending[SOURCES_MAX];
    size_t count = sources(listing, view, ascending);

    for (size_t i = 0; i < listing->grouping_count; i++) {
        bool again = i > 0 && listing->grouping[i].field == listing->grouping[0].field;
        groups_count = again ? groups_count : groups_part(listing, &listing->grouping[i], groups, groups_count);
    }
    for (size_t g = 0; g < groups_count; g++) {
        for (size_t i = 0; i < count; i++) {
            struct pass *pass = &listing->passes[listing->passes_count++];
            *pass = ascending[listing->descending ? count - 1 - i : i];
            pass->group = groups[g];
        }
    }
}

/* ---------------------------------------------------------------- rows */

static bool has_assignee(const struct http_request *request, const Tocsin__Incident *incident)
{
    for (size_t i = 0; i < incident->n_assignments; i++) {
        if (query_admits_id(request, "user_ids", incident->assignments[i]->user_id)) {
            return true;
        }
    }
    return false;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The team of an incident is that of its policy. */
static bool of_team(const struct listing *listing, const Tocsin__Incident *incident)
{
    return bsearch(&incident->escalation_policy_id, listing->policies, listing->policies_count,
                   sizeof *listing->policies, compare_ids) != NULL;
}

/* In order, as the table is. */
static void find_policies(struct http_request *request, const struct machine_store *view, struct listing *listing)
{
    struct walk walk = walk_all(view, TABLE_ESCALATION_POLICY);

    listing->policies =
        http_alloc(request, (view->count(view->context, TABLE_ESCALATION_POLICY) + 1) * sizeof *listing->policies);
    while (walk_next(&walk)) {
        Tocsin__EscalationPolicy *policy = record_unpack(&tocsin__escalation_policy__descriptor, walk.value, NULL);
        if (policy->team_id != 0 && query_admits_id(request, "team_ids", policy->team_id)) {
            listing->policies[listing->policies_count++] = policy->id;
        }
        tocsin__escalation_policy__free_unpacked(policy, NULL);
    }
}

/* The incident's, when it is in force; 0: none. */
static uint64_t priority_of(const struct listing *listing, const Tocsin__Incident *incident)
{
    uint64_t id = incident->details != NULL ? incident->details->priority_id : 0;
    const Tocsin__Priority *priority = id != 0 ? priority_find(listing->priorities, id) : NULL;

    return priority != NULL && !priority->retired ? id : 0;
}

static bool matches(const struct http_request *request, const struct listing *listing, const struct pass *pass,
                    const Tocsin__Incident *incident)
{
    return (listing->statuses & BIT(incident->status)) && (pass->group.urgencies & BIT(incident->urgency)) &&
           (!pass->group.by_priority || pass->group.priority_id == priority_of(listing, incident)) &&
           (!listing->by_priority ||
            (incident->details != NULL && query_admits_id(request, "priority_ids", incident->details->priority_id))) &&
           (!listing->by_service || query_admits_id(request, "service_ids", incident->service_id)) &&
           (!listing->by_key || strcmp(http_query(request, "incident_key"), incident->incident_key) == 0) &&
           (!listing->by_people || has_assignee(request, incident)) &&
           (!listing->by_team || of_team(listing, incident));
}

/* True when a row of the pass is known to match before its record is read. */
static bool matches_unread(const struct listing *listing, const struct pass *pass)
{
    return pass->table == TABLE_INCIDENT_OPEN && (listing->statuses & STATUSES_OPEN) == STATUSES_OPEN &&
           pass->group.urgencies == URGENCIES_ALL && !pass->group.by_priority && !listing->by_priority &&
           !listing->by_key && !listing->by_people && !listing->by_team;
}

static void take_row(struct http_request *request, const struct machine_store *view, struct listing *listing,
                     const struct pass *pass, uint64_t id, struct span value, json_t *incidents)
{
    if (pass->table == TABLE_INCIDENT_OPEN && listing->by_service &&
        !query_admits_id(request, "service_ids", span_number(value, 0))) {
        return;
    }
    bool unread = !listing->secrets && matches_unread(listing, pass);
    if (unread && !page_take(&listing->page)) {
        return;
    }
    Tocsin__Incident *incident = pass->table == TABLE_INCIDENT
                                     ? record_unpack(&tocsin__incident__descriptor, value, NULL)
                                     : incident_get(view, id, NULL);
    if (incident != NULL && (unread || (matches(request, listing, pass, incident) &&
                                          (!listing->secrets || incident_visible(request, view, incident)) &&
                                          page_take(&listing->page)))) {
        json_array_append_new(incidents, render_incident(request, view, incident));
    }
    if (incident != NULL) {
        tocsin__incident__free_unpacked(incident, NULL);
    }
}

/* Keys end with the incident's id; only those of the closed begin with a time. */
static uint64_t id_of(const struct pass *pass, struct span key)
{
    return span_number(key, pass->table == TABLE_INCIDENT_CLOSED ? 1 : 0);
}

static struct key first_position(const struct pass *pass, bool descending)
{
    if (pass->table == TABLE_INCIDENT_CLOSED) {
        return descending ? key_2(UINT64_MAX, UINT64_MAX) : key_2(0, 0);
    }
    return key_1(descending ? pass->id_to : pass->id_from);
}

/* Where to go on behind a row: seek_before excludes the row itself, seek would find it again. */
static struct key next_position(const struct pass *pass, struct span key, bool descending)
{
    uint64_t id = id_of(pass, key) + (descending ? 0 : 1);

    return pass->table == TABLE_INCIDENT_CLOSED ? key_2(span_number(key, 0), id) : key_1(id);
}

/* False when too many rows were looked at. */
static bool run_pass(struct http_request *request, const struct machine_store *view, struct listing *listing,
                     const struct pass *pass, json_t *incidents)
{
    bool (*step)(void *, enum machine_table, struct span, struct span *, struct span *) =
        listing->descending ? view->seek_before : view->seek;
    struct key position = first_position(pass, listing->descending);
    struct span key, value;

    while (!page_done(&listing->page) && step(view->context, pass->table, key_span(&position), &key, &value)) {
        uint64_t id = id_of(pass, key);
        position = next_position(pass, key, listing->descending);
        if (++listing->rows_seen > SCAN_ROWS_MAX) {
            return false;
        }
        if (id >= pass->id_from && id < pass->id_to) {
            take_row(request, view, listing, pass, id, value, incidents);
        } else if (pass->table != TABLE_INCIDENT_CLOSED) {
            break; /* the range is over */
        }
    }
    return true;
}

static void on_read(struct http_request *request, const struct machine_store *view)
{
    struct listing *listing = api_call_of(request)->data;
    json_t *incidents = json_array(), *answer = json_pack("{s:o}", "incidents", incidents);

    listing->priorities = priorities_read(view, request_memory(request));
    listing->secrets = secrets_exist(view);
    plan(listing, view);
    if (listing->by_team) {
        find_policies(request, view, listing);
    }
    for (size_t i = 0; i < listing->passes_count; i++) {
        if (!run_pass(request, view, listing, &listing->passes[i], incidents)) {
            json_decref(answer);
            scan_refuse(request);
            return;
        }
    }
    page_finish(&listing->page, answer);
    api_json(request, 200, answer);
}

void incidents_list(struct http_request *request)
{
    struct listing *listing = http_alloc(request, sizeof *listing);

    api_call_of(request)->data = listing;
    if (!parse(request, listing)) {
        return;
    }
    api_read(request, on_read);
}
