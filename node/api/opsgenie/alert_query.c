/* See alert_query.h. */
#include "node/api/opsgenie/alert_query.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "consensus/machine/incidents/priorities.h"
#include "node/api/opsgenie/opsgenie.h"
#include "node/api/render.h"
#include "node/api/resource.h"

#define DEPTH_MAX 16u
#define TERMS_MAX 64u
/* Alerts whose sender's words are looked up for one request. */
#define LOOK_UPS_MAX 2000u
/* Characters compared for one request: a tenth of a second, in which the loop does nothing else. */
#define STEPS_MAX 30000000u
#define STEPS_PER_POLICY 100u /* as long takes an escalation policy that is read */

enum field {
    FIELD_ANY,
    FIELD_STATUS,
    FIELD_ACKNOWLEDGED,
    FIELD_SEEN,
    FIELD_SNOOZED,
    FIELD_ALIAS,
    FIELD_MESSAGE,
    FIELD_DESCRIPTION,
    FIELD_ENTITY,
    FIELD_SOURCE,
    FIELD_TAG,
    FIELD_PRIORITY,
    FIELD_OWNER,
    FIELD_TEAM,
    FIELD_NUMBER,
    FIELD_COUNT,
    FIELD_CREATED,
    FIELD_UPDATED,
    FIELD_DETAIL
};

static const struct {
    const char *name;
    enum field field;
} fields[] = {
    {"status", FIELD_STATUS},           {"acknowledged", FIELD_ACKNOWLEDGED},
    {"isSeen", FIELD_SEEN},             {"snoozed", FIELD_SNOOZED},
    {"alias", FIELD_ALIAS},             {"message", FIELD_MESSAGE},
    {"description", FIELD_DESCRIPTION}, {"entity", FIELD_ENTITY},
    {"source", FIELD_SOURCE},           {"tag", FIELD_TAG},
    {"tags", FIELD_TAG},                {"priority", FIELD_PRIORITY},
    {"owner", FIELD_OWNER},             {"team", FIELD_TEAM},
    {"teams", FIELD_TEAM},              {"tinyId", FIELD_NUMBER},
    {"count", FIELD_COUNT},             {"createdAt", FIELD_CREATED},
    {"updatedAt", FIELD_UPDATED},       {"lastOccurredAt", FIELD_UPDATED},
};
static const char detail_prefix[] = "details.";

enum comparison { EQUAL, NOT_EQUAL, LESS, GREATER, AT_MOST, AT_LEAST };

/* The longer ones first. */
static const struct {
    const char *word;
    enum comparison how;
} operators[] = {{"!=", NOT_EQUAL}, {"<=", AT_MOST}, {">=", AT_LEAST}, {":", EQUAL}, {"=", EQUAL}, {"<", LESS}, {">", GREATER}};

/* What a value is compared with; `key` is that of a detail. */
struct subject_of_term {
    enum field field;
    enum comparison how;
    const char *key;
};

enum kind { TERM, ALL, EITHER, NOT };

struct node {
    enum kind kind;
    const struct node *left, *right; /* of NOT the left one */
    struct subject_of_term subject;
    const char *value;
    uint64_t number; /* of numbers, times, priorities and ids that a name stands for */
};

struct alert_query {
    const struct node *root; /* NULL: everything */
    const Tocsin__Priorities *priorities;
    unsigned look_ups;
    uint64_t steps_left;
};

struct parser {
    struct http_request *request;
    const struct machine_store *view;
    const char *at;
    unsigned depth, terms;
    json_t *refusal; /* NULL: none yet */
};

/* ---------------------------------------------------------------- reading */

/* The first sentence counts; it is answered when nobody needs the request's memory any more. `what` ends it; NULL: nothing. */
static bool refuse(struct parser *parser, const char *sentence, const char *what)
{
    if (parser->refusal == NULL) {
        parser->refusal = json_format("%s%s%s", sentence, what != NULL ? ": " : "", what != NULL ? what : "");
    }
    return false;
}

static void skip_spaces(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t\r\n");
}

/* A word of its own, such as AND, comes next. */
static bool is_word(struct parser *parser, const char *word)
{
    size_t size = strlen(word);

    skip_spaces(parser);
    return strncmp(parser->at, word, size) == 0 &&
           (parser->at[size] == '\0' || strchr(" \t\r\n(", parser->at[size]) != NULL);
}

static bool take_word(struct parser *parser, const char *word)
{
    bool there = is_word(parser, word);

    parser->at += there ? strlen(word) : 0;
    return there;
}

static bool take_character(struct parser *parser, char character)
{
    skip_spaces(parser);
    bool there = *parser->at == character;
    parser->at += there ? 1 : 0;
    return there;
}

/* Up to what ends a word, or what stands between quotation marks; NULL: refused. */
static const char *take_text(struct parser *parser, const char *ends)
{
    skip_spaces(parser);
    bool quoted = *parser->at == '"';
    parser->at += quoted ? 1 : 0;
    size_t size = strcspn(parser->at, quoted ? "\"" : ends);
    if (quoted && parser->at[size] == '\0') {
        (void)refuse(parser, "The query has a quotation mark without an end", NULL);
        return NULL;
    }
    if (size == 0 && !quoted) {
        (void)refuse(parser, "The query ends where something must follow, or has an how or a parenthesis too many", NULL);
        return NULL;
    }
    char *text = http_alloc(parser->request, size + 1);
    memcpy(text, parser->at, size);
    parser->at += size + (quoted ? 1 : 0);
    return text;
}

/* ---------------------------------------------------------------- values that mean something else than their text */

static bool is_compared(enum field field)
{
    return field == FIELD_PRIORITY || field == FIELD_NUMBER || field == FIELD_COUNT || field == FIELD_CREATED ||
           field == FIELD_UPDATED;
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return isdigit((unsigned char)text[0]) && errno == 0 && *end == '\0';
}

static uint64_t id_by_index(const struct machine_store *view, enum machine_table table, struct key key)
{
    struct span value;

    return view->get(view->context, table, key_span(&key), &value) ? span_number(value, 0) : 0;
}

/* False: refused. */
static bool value_read(struct parser *parser, struct node *term)
{
    enum field field = term->subject.field;
    bool is_time = field == FIELD_CREATED || field == FIELD_UPDATED;
    char priority[3] = "";

    if (field == FIELD_PRIORITY) {
        memcpy(priority, term->value, strnlen(term->value, 2));
        priority[0] = (char)toupper((unsigned char)priority[0]);
        term->number = term->value[0] != '\0' && term->value[1] != '\0' && term->value[2] != '\0' ? 0 : priority_number(priority);
        return term->number != 0 || refuse(parser, "The query asks for a priority that is none of P1 to P5", term->value);
    }
    if (is_compared(field) && !parse_number(term->value, &term->number) &&
        !(is_time && time_parse(term->value, &term->number))) {
        return refuse(parser, "The query asks for a number or a time, which this is not", term->value);
    }
    if (field == FIELD_OWNER) {
        term->number = id_by_index(parser->view, TABLE_USER_BY_EMAIL, key_hash_lower(term->value));
    } else if (field == FIELD_TEAM) {
        term->number = id_by_index(parser->view, TABLE_TEAM_BY_NAME, key_hash(term->value));
        term->number = term->number != 0 ? term->number : id_parse(term->value);
    }
    return true;
}

/* ---------------------------------------------------------------- the tree */

static const struct node *parse_either(struct parser *parser, const struct subject_of_term *subject);

static struct node *node_new(struct parser *parser, enum kind kind, const struct node *left, const struct node *right)
{
    struct node *node = http_alloc(parser->request, sizeof *node);

    *node = (struct node){.kind = kind, .left = left, .right = right};
    return node;
}

/* False: no such field; refused. */
static bool subject_read(struct parser *parser, const char *name, struct subject_of_term *subject)
{
    if (strncasecmp(name, detail_prefix, sizeof detail_prefix - 1) == 0) {
        subject->field = FIELD_DETAIL;
        subject->key = name + sizeof detail_prefix - 1;
        return true;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcasecmp(fields[i].name, name) == 0) {
            subject->field = fields[i].field;
            return true;
        }
    }
    return refuse(parser,
                  "A query has the fields status, acknowledged, isSeen, snoozed, alias, message, description, entity, source, tag, "
                  "priority, owner, team, tinyId, count, createdAt, updatedAt and details.KEY, and not", name);
}

static bool take_operator(struct parser *parser, enum comparison *how)
{
    skip_spaces(parser);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        size_t size = strlen(operators[i].word);
        if (strncmp(parser->at, operators[i].word, size) == 0) {
            parser->at += size;
            *how = operators[i].how;
            return true;
        }
    }
    return false;
}

static const struct node *parse_value(struct parser *parser, const struct subject_of_term *subject)
{
    const char *text = take_text(parser, " \t\r\n()");
    struct node *term = node_new(parser, TERM, NULL, NULL);

    if (text == NULL) {
        return NULL;
    }
    term->subject = *subject;
    term->value = text;
    return value_read(parser, term) ? term : NULL;
}

static const struct node *parse_group(struct parser *parser, const struct subject_of_term *subject)
{
    const struct node *inner = parse_either(parser, subject);

    if (inner != NULL && !take_character(parser, ')')) {
        (void)refuse(parser, "The query has a parenthesis without an end", NULL);
        return NULL;
    }
    return inner;
}

/* `subject` is that of the group around, or anything. */
static const struct node *parse_one(struct parser *parser, const struct subject_of_term *subject)
{
    struct subject_of_term own = *subject;

    if (++parser->terms > TERMS_MAX || parser->depth > DEPTH_MAX) {
        (void)refuse(parser, "The query is too long: it has at most 64 terms, 16 deep", NULL);
        return NULL;
    }
    if (take_word(parser, "NOT") || take_character(parser, '-')) {
        parser->depth++;
        const struct node *inner = parse_one(parser, subject);
        parser->depth--;
        return inner != NULL ? node_new(parser, NOT, inner, NULL) : NULL;
    }
    if (take_character(parser, '(')) {
        return parse_group(parser, subject);
    }
    if (subject->field != FIELD_ANY || *parser->at == '"') {
        return parse_value(parser, subject);
    }
    const char *start = parser->at;
    const char *name = take_text(parser, " \t\r\n():=<>!");
    if (name == NULL || !take_operator(parser, &own.how)) {
        parser->at = start;
        return parse_value(parser, subject);
    }
    if (!subject_read(parser, name, &own)) {
        return NULL;
    }
    if (own.how != EQUAL && own.how != NOT_EQUAL && !is_compared(own.field)) {
        (void)refuse(parser, "The query compares what has no order", name);
        return NULL;
    }
    return take_character(parser, '(') ? parse_group(parser, &own) : parse_value(parser, &own);
}

static bool is_at_end(struct parser *parser)
{
    skip_spaces(parser);
    return *parser->at == '\0' || *parser->at == ')';
}

static const struct node *parse_each(struct parser *parser, const struct subject_of_term *subject)
{
    const struct node *left = parse_one(parser, subject);

    while (left != NULL && !is_at_end(parser) && !is_word(parser, "OR")) {
        (void)take_word(parser, "AND");
        const struct node *right = parse_one(parser, subject);
        left = right != NULL ? node_new(parser, ALL, left, right) : NULL;
    }
    return left;
}

static const struct node *parse_either(struct parser *parser, const struct subject_of_term *subject)
{
    parser->depth++;
    const struct node *left = parse_each(parser, subject);
    while (left != NULL && take_word(parser, "OR")) {
        const struct node *right = parse_each(parser, subject);
        left = right != NULL ? node_new(parser, EITHER, left, right) : NULL;
    }
    parser->depth--;
    return left;
}

struct alert_query *alert_query_parse(struct http_request *request, const struct machine_store *view, const char *text)
{
    static const struct subject_of_term anything = {.field = FIELD_ANY, .how = EQUAL};
    struct alert_query *query = http_alloc(request, sizeof *query);
    struct parser parser = {.request = request, .view = view, .at = text != NULL ? text : ""};

    query->priorities = priorities_read(view, request_memory(request));
    query->steps_left = STEPS_MAX;
    skip_spaces(&parser);
    if (*parser.at == '\0') {
        return query;
    }
    query->root = parse_either(&parser, &anything);
    if (query->root != NULL && *parser.at != '\0') {
        (void)refuse(&parser, "The query has a parenthesis that nothing opens", NULL);
    }
    if (parser.refusal != NULL) {
        api_error(request, 422, 2001, "The query is not understood", json_pack("[o]", parser.refusal));
        return NULL;
    }
    return query;
}

/* ---------------------------------------------------------------- looking */

/* False: nothing is left. What is found then is not told, for the query gave up. */
static bool spend(struct alert_query *query, uint64_t steps)
{
    query->steps_left -= query->steps_left < steps ? query->steps_left : steps;
    return query->steps_left > 0;
}

/* Of ASCII; quicker than tolower, which is asked here for every character. */
static char lower(char character)
{
    return character >= 'A' && character <= 'Z' ? (char)(character | 0x20) : character;
}

/*
 * A pattern in which "*" stands for any characters; `within` a text it may begin and end anywhere. Where it does not go on,
 * what stands behind the last "*" is tried one character further: what stands before it has found its place.
 */
static bool pattern_fits(struct alert_query *query, const char *pattern, const char *text, bool within)
{
    const char *part = within ? pattern : NULL, *tried = text;
    uint64_t steps = 0;

    for (; *text != '\0' && !(within && *pattern == '\0') && steps < query->steps_left; steps++) {
        if (*pattern == '*') {
            part = ++pattern;
            tried = text;
        } else if (*pattern != '\0' && lower(*pattern) == lower(*text)) {
            pattern++;
            text++;
        } else if (part != NULL) {
            pattern = part;
            text = ++tried;
        } else {
            break;
        }
    }
    bool to_its_end = *text == '\0' || within;
    return spend(query, steps) && to_its_end && pattern[strspn(pattern, "*")] == '\0';
}

static bool text_matches(struct alert_query *query, const char *pattern, const char *text)
{
    return pattern_fits(query, pattern, text, false);
}

static bool text_contains(struct alert_query *query, const char *pattern, const char *text)
{
    return pattern_fits(query, pattern, text, true);
}

static bool has_tag(struct alert_query *query, const Tocsin__Incident *incident, const char *pattern)
{
    bool found = false;

    for (size_t i = 0; incident->labels != NULL && i < incident->labels->n_tags && !found; i++) {
        found = text_matches(query, pattern, incident->labels->tags[i]);
    }
    return found;
}

static bool has_detail(struct alert_query *query, const Tocsin__Incident *incident, const char *key, const char *pattern)
{
    bool found = false;

    for (size_t i = 0; incident->labels != NULL && i < incident->labels->n_details && !found; i++) {
        const Tocsin__Label *label = incident->labels->details[i];
        found = strcasecmp(label->key, key) == 0 && text_matches(query, pattern, label->value);
    }
    return found;
}

static bool is_owner(const Tocsin__Incident *incident, uint64_t user_id)
{
    bool found = false;

    for (size_t i = 0; i < incident->n_acknowledgements && !found; i++) {
        found = incident->acknowledgements[i]->user_id == user_id;
    }
    bool by_hand = incident->n_acknowledgements == 0 && incident->level == 0 && incident->n_assignments > 0;
    return user_id != 0 && (found || (by_hand && incident->assignments[0]->user_id == user_id));
}

static bool is_of_team(struct alert_query *query, const struct machine_store *view, const Tocsin__Incident *incident,
                       uint64_t team_id)
{
    Tocsin__EscalationPolicy *policy =
        team_id != 0 && spend(query, STEPS_PER_POLICY) ? escalation_policy_get(view, incident->escalation_policy_id, NULL) : NULL;
    bool is = policy != NULL && policy->team_id == team_id;

    if (policy != NULL) {
        tocsin__escalation_policy__free_unpacked(policy, NULL);
    }
    return is;
}

static bool has_word(struct alert_query *query, const Tocsin__Incident *incident, const char *word)
{
    uint64_t number;

    return text_contains(query, word, incident->title) || text_matches(query, word, incident->incident_key) ||
           has_tag(query, incident, word) || (parse_number(word, &number) && number == incident->number);
}

static bool is_flag(const char *value, bool set)
{
    return strcasecmp(value, set ? "true" : "false") == 0;
}

static bool number_fits(uint64_t number, enum comparison how, uint64_t value)
{
    switch (how) {
    case LESS:
        return number < value;
    case GREATER:
        return number > value;
    case AT_MOST:
        return number <= value;
    case AT_LEAST:
        return number >= value;
    case EQUAL:
    case NOT_EQUAL:
        break;
    }
    return (number == value) == (how == EQUAL);
}

/* What the sender wrote is apart from the incident, and dear to look up. */
static bool sent_fits(struct alert_query *query, struct http_request *request, const struct machine_store *view,
                      const Tocsin__Incident *incident, const struct node *term)
{
    if (query->look_ups++ >= LOOK_UPS_MAX) {
        return false;
    }
    if (term->subject.field == FIELD_COUNT) {
        return number_fits(alert_summary(request, view, incident).count, term->subject.how, term->number);
    }
    if (term->subject.field == FIELD_DESCRIPTION) {
        return text_contains(query, term->value, alert_summary(request, view, incident).description);
    }
    struct alert_summary summary = alert_summary(request, view, incident);
    return text_matches(query, term->value, term->subject.field == FIELD_ENTITY ? summary.entity : summary.source);
}

static bool value_fits(struct alert_query *query, struct http_request *request, const struct machine_store *view,
                       const Tocsin__Incident *incident, const struct node *term)
{
    bool closed = incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;

    switch (term->subject.field) {
    case FIELD_ANY:
        return has_word(query, incident, term->value);
    case FIELD_STATUS:
        return strcasecmp(term->value, closed ? "closed" : "open") == 0;
    case FIELD_ACKNOWLEDGED:
        return is_flag(term->value, incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    case FIELD_SEEN:
        return is_flag(term->value, incident->first_acknowledged_at_ms != 0);
    case FIELD_SNOOZED:
        return is_flag(term->value, incident->snooze_due_ms != 0);
    case FIELD_ALIAS:
        return text_matches(query, term->value, incident->incident_key);
    case FIELD_MESSAGE:
        return text_contains(query, term->value, incident->title);
    case FIELD_TAG:
        return has_tag(query, incident, term->value);
    case FIELD_DETAIL:
        return has_detail(query, incident, term->subject.key, term->value);
    case FIELD_OWNER:
        return is_owner(incident, term->number);
    case FIELD_TEAM:
        return is_of_team(query, view, incident, term->number);
    case FIELD_DESCRIPTION:
    case FIELD_ENTITY:
    case FIELD_SOURCE:
    case FIELD_COUNT:
    case FIELD_PRIORITY:
    case FIELD_NUMBER:
    case FIELD_CREATED:
    case FIELD_UPDATED:
        break;
    }
    return sent_fits(query, request, view, incident, term);
}

static bool term_fits(struct alert_query *query, struct http_request *request, const struct machine_store *view,
                      const Tocsin__Incident *incident, const struct node *term)
{
    switch (term->subject.field) {
    case FIELD_PRIORITY:
        return number_fits(alert_priority(query->priorities, incident), term->subject.how, term->number);
    case FIELD_NUMBER:
        return number_fits(incident->number, term->subject.how, term->number);
    case FIELD_CREATED:
        return number_fits(incident->created_at_ms, term->subject.how, term->number);
    case FIELD_UPDATED:
        return number_fits(incident->updated_at_ms, term->subject.how, term->number);
    case FIELD_COUNT:
        return sent_fits(query, request, view, incident, term);
    default:
        return value_fits(query, request, view, incident, term) == (term->subject.how != NOT_EQUAL);
    }
}

static bool node_fits(struct alert_query *query, struct http_request *request, const struct machine_store *view,
                      const Tocsin__Incident *incident, const struct node *node)
{
    switch (node->kind) {
    case ALL:
        return node_fits(query, request, view, incident, node->left) && node_fits(query, request, view, incident, node->right);
    case EITHER:
        return node_fits(query, request, view, incident, node->left) || node_fits(query, request, view, incident, node->right);
    case NOT:
        return !node_fits(query, request, view, incident, node->left);
    case TERM:
        break;
    }
    return term_fits(query, request, view, incident, node);
}

bool alert_query_fits(struct alert_query *query, struct http_request *request, const struct machine_store *view,
                      const Tocsin__Incident *incident)
{
    return query->root == NULL ||
           (!alert_query_gave_up(query) && node_fits(query, request, view, incident, query->root));
}

static bool is_open_only(const struct node *node)
{
    switch (node->kind) {
    case ALL:
        return is_open_only(node->left) || is_open_only(node->right);
    case EITHER:
        return is_open_only(node->left) && is_open_only(node->right);
    case NOT:
        return false;
    case TERM:
        break;
    }
    bool open = node->subject.field == FIELD_STATUS && strcasecmp(node->value, "open") == 0;
    bool acknowledged = node->subject.field == FIELD_ACKNOWLEDGED && strcasecmp(node->value, "true") == 0;
    return node->subject.how == EQUAL && (open || acknowledged);
}

bool alert_query_is_open_only(const struct alert_query *query)
{
    return query->root != NULL && is_open_only(query->root);
}

bool alert_query_gave_up(const struct alert_query *query)
{
    return query->look_ups > LOOK_UPS_MAX || query->steps_left == 0;
}
