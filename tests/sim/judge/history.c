/*
 * Registers of what is known, and since which moment.
 *
 *     facts of one incident:    #23 triggered 12:00:01 | #31 acknowledged 12:00:09 | #54 resolved 12:07:30
 *     a read asked at #40 must show what #31 told, or something newer.
 *
 * Facts are kept in the order of the states that they tell of; of many only the last few, which may miss a violation
 * and never makes one up.
 */
#include "tests/sim/judge/history.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/names.h"

#define FACTS_MAX 8u
#define REFUSED_MAX 8u
#define SENTENCE_SIZE 512
#define NOBODY SIZE_MAX
/* Status changes are told in whole seconds: what times out sooner than this looks as if it had not lasted at all. */
#define SECOND_MS 1000u

static const char *const status_words[] = {"triggered", "acknowledged", "resolved"};

struct fact {
    uint64_t moment;
    uint64_t value; /* status, or revision */
    uint64_t changed_at_s;
};

struct facts {
    struct fact ring[FACTS_MAX];
    uint64_t count;
};

struct incident {
    struct facts facts;
    uint64_t known_since, seen_last; /* moments */
    uint64_t acknowledged_at;        /* moment from which an acknowledgement is known, 0: none */
    uint64_t number;
    size_t service;     /* in `services`, or NOBODY */
    size_t key;         /* whose alert made it, or NOBODY */
    size_t next_of_key; /* incident, or NOBODY */
    bool released, counted;
    bool gathers; /* alerts of others */
};

struct object {
    struct facts facts;
    uint64_t known_since, asked_revision;
    uint64_t refused[REFUSED_MAX];
    unsigned refused_count;
    uint64_t deleted_at; /* moment, 0: no */
    bool deleting;
};

struct key {
    uint64_t sent, accepted, counted;
    size_t incident; /* the last one of this key, or NOBODY */
    bool exempt;
    bool scattered; /* alerts of this key may be in incidents of others */
};

struct service {
    uint64_t timeout_min_ms; /* of acknowledgements; 0: there never was one */
    bool gathers;
};

struct history {
    void (*violation)(void *context, const char *sentence);
    void *context;
    uint64_t moment;
    struct names incident_names, object_names, key_names, service_names;
    struct incident *incidents;
    struct object *objects;
    struct key *keys;
    struct service *services;
    size_t incidents_capacity, objects_capacity, keys_capacity, services_capacity;
    struct history_counts counts;
};

struct history *history_new(void (*violation)(void *context, const char *sentence), void *context)
{
    struct history *history = calloc(1, sizeof *history);

    if (history == NULL) {
        abort();
    }
    history->violation = violation;
    history->context = context;
    return history;
}

void history_free(struct history *history)
{
    names_free(&history->incident_names);
    names_free(&history->object_names);
    names_free(&history->key_names);
    names_free(&history->service_names);
    free(history->incidents);
    free(history->objects);
    free(history->keys);
    free(history->services);
    free(history);
}

uint64_t history_moment(struct history *history)
{
    return ++history->moment;
}

void history_violation(struct history *history, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    history->violation(history->context, sentence);
}

/* ---------------------------------------------------------------- facts */

static const struct fact *fact_last(const struct facts *facts)
{
    return facts->count > 0 ? &facts->ring[(facts->count - 1) % FACTS_MAX] : NULL;
}

/* The newest that was known before that moment; NULL when none was, or when it is forgotten. */
static const struct fact *fact_before(const struct facts *facts, uint64_t moment)
{
    for (uint64_t back = 1; back <= facts->count && back <= FACTS_MAX; back++) {
        const struct fact *fact = &facts->ring[(facts->count - back) % FACTS_MAX];
        if (fact->moment < moment) {
            return fact;
        }
    }
    return NULL;
}

static void fact_add(struct facts *facts, struct fact fact)
{
    facts->ring[facts->count++ % FACTS_MAX] = fact;
}

/* ---------------------------------------------------------------- incidents */

/* NULL when nobody has seen it. */
static struct incident *incident_find(struct history *history, const char *id)
{
    size_t at = names_find(&history->incident_names, id);

    return at != NAMES_UNKNOWN ? &history->incidents[at] : NULL;
}

static size_t service_take(struct history *history, const char *id)
{
    size_t at = names_take(&history->service_names, id);

    history->services = array_room(history->services, at, &history->services_capacity, sizeof *history->services);
    return at;
}

static struct incident *incident_take(struct history *history, const struct incident_sight *sight)
{
    struct incident *incident = incident_find(history, sight->id);

    if (incident != NULL) {
        return incident;
    }
    size_t at = names_take(&history->incident_names, sight->id);
    history->incidents = array_room(history->incidents, at, &history->incidents_capacity, sizeof *history->incidents);
    incident = &history->incidents[at];
    *incident = (struct incident){
        .known_since = history_moment(history), .number = sight->number, .service = NOBODY, .key = NOBODY, .next_of_key = NOBODY};
    size_t service = names_find(&history->service_names, sight->service);
    incident->service = service != NAMES_UNKNOWN ? service : NOBODY;
    size_t key = sight->key[0] != '\0' ? names_find(&history->key_names, sight->key) : NAMES_UNKNOWN;
    if (key != NAMES_UNKNOWN) {
        incident->key = key;
        incident->next_of_key = history->keys[key].incident;
        history->keys[key].incident = at;
    }
    history->counts.incidents++;
    return incident;
}

/* UINT64_MAX: an acknowledgement lasts until somebody says otherwise; 0: no telling. */
static uint64_t acknowledgement_lasts_ms(const struct history *history, const struct incident *incident)
{
    if (incident->released || incident->service == NOBODY || history->services[incident->service].gathers) {
        return 0;
    }
    uint64_t timeout_ms = history->services[incident->service].timeout_min_ms;
    return timeout_ms > 0 ? timeout_ms : UINT64_MAX;
}

/* Whether "triggered since then" can follow "acknowledged since then". */
static bool may_fall(const struct history *history, const struct incident *incident, uint64_t acknowledged_at_s,
                     uint64_t triggered_at_s)
{
    uint64_t lasts_ms = acknowledgement_lasts_ms(history, incident);

    if (lasts_ms < SECOND_MS) {
        return true;
    }
    return lasts_ms != UINT64_MAX &&
           triggered_at_s * SECOND_MS + (SECOND_MS - 1) >= acknowledged_at_s * SECOND_MS + lasts_ms;
}

static void compare_with_fact(struct history *history, const struct incident *incident,
                              const struct incident_sight *sight, const struct fact *fact)
{
    const char *known = status_words[fact->value], *shown = status_words[sight->status];

    if (fact->value == INCIDENT_RESOLVED && sight->status != INCIDENT_RESOLVED) {
        history_violation(history,
                          "P1: incident #%" PRIu64 " was resolved, and node %" PRIu64 " shows it %s afterwards",
                          sight->number, sight->node, shown);
    } else if (sight->changed_at_s < fact->changed_at_s) {
        history_violation(history,
                          "a stale read: node %" PRIu64 " shows incident #%" PRIu64 " %s since %" PRIu64
                          ", when it was known to be %s since %" PRIu64,
                          sight->node, sight->number, shown, sight->changed_at_s, known, fact->changed_at_s);
    } else if (fact->value == INCIDENT_ACKNOWLEDGED && sight->status == INCIDENT_TRIGGERED &&
               !may_fall(history, incident, fact->changed_at_s, sight->changed_at_s)) {
        history_violation(history,
                          "a lost acknowledgement: node %" PRIu64 " shows incident #%" PRIu64
                          " triggered since %" PRIu64 ", when it was acknowledged since %" PRIu64
                          " and nothing took that back",
                          sight->node, sight->number, sight->changed_at_s, fact->changed_at_s);
    }
}

/* Of two states of one second nobody can tell which is newer, but that it goes from triggered to resolved. */
static bool is_news(const struct fact *last, const struct incident_sight *sight)
{
    if (last == NULL) {
        return true;
    }
    return last->value != INCIDENT_RESOLVED &&
           (sight->status == INCIDENT_RESOLVED || sight->changed_at_s > last->changed_at_s ||
            (sight->changed_at_s == last->changed_at_s && sight->status > last->value));
}

void history_incident_seen(struct history *history, const struct incident_sight *sight)
{
    struct incident *incident = incident_take(history, sight);
    const struct fact *known = fact_before(&incident->facts, sight->asked);

    assert(sight->asked <= history->moment);
    if (known != NULL) {
        history->counts.incident_sights++;
        compare_with_fact(history, incident, sight, known);
    }
    if (sight->status == INCIDENT_TRIGGERED && incident->acknowledged_at != 0 &&
        incident->acknowledged_at < sight->asked && acknowledgement_lasts_ms(history, incident) == UINT64_MAX) {
        history_violation(history,
                          "a lost acknowledgement: node %" PRIu64 " shows incident #%" PRIu64
                          " triggered after its acknowledgement was answered, and nothing takes that back",
                          sight->node, sight->number);
    }
    incident->seen_last = history_moment(history);
    if (is_news(fact_last(&incident->facts), sight)) {
        fact_add(&incident->facts, (struct fact){incident->seen_last, sight->status, sight->changed_at_s});
    }
}

static void learn_resolved(struct history *history, struct incident *incident)
{
    const struct fact *last = fact_last(&incident->facts);

    if (last == NULL || last->value != INCIDENT_RESOLVED) {
        fact_add(&incident->facts,
                 (struct fact){history_moment(history), INCIDENT_RESOLVED, last != NULL ? last->changed_at_s : 0});
    }
}

void history_open_incidents_seen(struct history *history, uint64_t asked, uint64_t told)
{
    for (size_t i = 0; i < history->incident_names.count; i++) {
        struct incident *incident = &history->incidents[i];
        if (incident->known_since < asked && incident->seen_last < told) {
            learn_resolved(history, incident);
        }
    }
}

void history_incident_acknowledged(struct history *history, const char *id, int shown)
{
    struct incident *incident = incident_find(history, id);

    if (incident == NULL) {
        return;
    }
    if (shown == INCIDENT_TRIGGERED && acknowledgement_lasts_ms(history, incident) == UINT64_MAX) {
        history_violation(history, "the acknowledgement of incident #%" PRIu64 " was answered with 'triggered'",
                          incident->number);
    }
    if (incident->acknowledged_at == 0) {
        incident->acknowledged_at = history_moment(history);
    }
}

void history_incident_resolved(struct history *history, const char *id, int shown)
{
    struct incident *incident = incident_find(history, id);

    if (incident == NULL) {
        return;
    }
    if (shown >= 0 && shown != INCIDENT_RESOLVED) {
        history_violation(history, "the resolution of incident #%" PRIu64 " was answered with '%s'", incident->number,
                          status_words[shown]);
    }
    learn_resolved(history, incident);
}

void history_incident_released(struct history *history, const char *id)
{
    struct incident *incident = incident_find(history, id);

    if (incident != NULL) {
        incident->released = true;
    }
}

void history_incidents_merging(struct history *history, const char *source, const char *target)
{
    struct incident *from = incident_find(history, source), *to = incident_find(history, target);

    if (from != NULL && from->key != NOBODY) {
        history->keys[from->key].scattered = true;
    }
    if (to != NULL) {
        to->gathers = true;
    }
}

void history_service_timeout(struct history *history, const char *id, uint64_t timeout_ms)
{
    size_t at = service_take(history, id);
    struct service *service = &history->services[at];

    if (timeout_ms > 0 && (service->timeout_min_ms == 0 || timeout_ms < service->timeout_min_ms)) {
        service->timeout_min_ms = timeout_ms;
    }
}

void history_service_gathers(struct history *history, const char *id)
{
    size_t at = service_take(history, id);

    history->services[at].gathers = true;
}

/* Whether it may have alerts of other keys than its own. */
static bool gathers(const struct history *history, const struct incident *incident)
{
    return incident->gathers || (incident->service != NOBODY && history->services[incident->service].gathers);
}

const char *history_some_incident(const struct history *history, uint64_t chance, size_t recent)
{
    size_t count = history->incident_names.count, among = recent < count ? recent : count;

    return among > 0 ? history->incident_names.texts[count - 1 - chance % among] : NULL;
}

static bool seems_open(const struct incident *incident)
{
    const struct fact *last = fact_last(&incident->facts);

    return last == NULL || last->value != INCIDENT_RESOLVED;
}

const char *history_some_open_incident(const struct history *history, uint64_t chance, size_t recent)
{
    size_t count = history->incident_names.count, first = recent < count ? count - recent : 0, open = 0;

    for (size_t i = first; i < count; i++) {
        open += seems_open(&history->incidents[i]);
    }
    size_t left = open > 0 ? chance % open : 0;
    for (size_t i = first; i < count && open > 0; i++) {
        if (seems_open(&history->incidents[i]) && left-- == 0) {
            return history->incident_names.texts[i];
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- objects */

static struct object *object_find(struct history *history, const char *id)
{
    size_t at = names_find(&history->object_names, id);

    return at != NAMES_UNKNOWN ? &history->objects[at] : NULL;
}

void history_object_new(struct history *history, const char *id)
{
    if (object_find(history, id) != NULL) {
        history_violation(history, "P1: %s was given to two objects", id);
        return;
    }
    size_t at = names_take(&history->object_names, id);
    history->objects = array_room(history->objects, at, &history->objects_capacity, sizeof *history->objects);
    history->objects[at] = (struct object){.known_since = history_moment(history)};
    fact_add(&history->objects[at].facts, (struct fact){.moment = history->moment});
    history->counts.objects++;
}

uint64_t history_object_writing(struct history *history, const char *id)
{
    struct object *object = object_find(history, id);

    assert(object != NULL);
    return ++object->asked_revision;
}

static void learn_revision(struct history *history, struct object *object, uint64_t revision)
{
    if (revision > fact_last(&object->facts)->value) {
        fact_add(&object->facts, (struct fact){.moment = history_moment(history), .value = revision});
    }
}

void history_object_written(struct history *history, const char *id, uint64_t revision)
{
    struct object *object = object_find(history, id);

    assert(object != NULL && revision <= object->asked_revision);
    learn_revision(history, object, revision);
}

void history_object_refused(struct history *history, const char *id, uint64_t revision)
{
    struct object *object = object_find(history, id);

    assert(object != NULL);
    object->refused[object->refused_count++ % REFUSED_MAX] = revision;
}

static bool was_refused(const struct object *object, uint64_t revision)
{
    for (unsigned i = 0; i < object->refused_count && i < REFUSED_MAX; i++) {
        if (object->refused[i] == revision) {
            return true;
        }
    }
    return false;
}

void history_object_seen(struct history *history, uint64_t asked, uint64_t node, const char *id, uint64_t revision)
{
    struct object *object = object_find(history, id);

    if (object == NULL) {
        return; /* nobody was told yet that it is there */
    }
    const struct fact *known = fact_before(&object->facts, asked);
    if (object->deleted_at != 0 && object->deleted_at < asked) {
        history_violation(history, "node %" PRIu64 " shows %s after its deletion was answered", node, id);
    } else if (revision > object->asked_revision || was_refused(object, revision)) {
        history_violation(history, "P5: node %" PRIu64 " shows revision %" PRIu64 " of %s, which was %s", node,
                          revision, id, revision > object->asked_revision ? "never written" : "refused");
    } else if (known != NULL && revision < known->value) {
        history_violation(history,
                          "P1: node %" PRIu64 " shows revision %" PRIu64 " of %s, when revision %" PRIu64 " was known",
                          node, revision, id, known->value);
    }
    history->counts.object_sights++;
    learn_revision(history, object, revision);
}

void history_object_deleting(struct history *history, const char *id)
{
    struct object *object = object_find(history, id);

    assert(object != NULL);
    object->deleting = true;
}

void history_object_deleted(struct history *history, const char *id)
{
    struct object *object = object_find(history, id);

    assert(object != NULL && object->deleting);
    object->deleted_at = history_moment(history);
}

void history_missing(struct history *history, uint64_t asked, uint64_t node, const char *id)
{
    const struct incident *incident = incident_find(history, id);
    const struct object *object = object_find(history, id);

    if (incident != NULL && incident->known_since < asked) {
        history_violation(history, "P1: node %" PRIu64 " does not know incident #%" PRIu64 " (%s) any more", node,
                          incident->number, id);
    }
    if (object != NULL && object->known_since < asked && !object->deleting) {
        history_violation(history, "P1: node %" PRIu64 " does not know %s any more", node, id);
    }
}

/* ---------------------------------------------------------------- events */

unsigned history_key(struct history *history, const char *key)
{
    size_t known = history->key_names.count, at = names_take(&history->key_names, key);

    if (at == known) {
        history->keys = array_room(history->keys, at, &history->keys_capacity, sizeof *history->keys);
        history->keys[at] = (struct key){.incident = NOBODY};
        history->counts.keys++;
    }
    return (unsigned)at;
}

void history_triggered(struct history *history, unsigned key, unsigned sent, bool accepted)
{
    assert(key < history->key_names.count && (sent > 0 || !accepted));
    history->keys[key].sent += sent;
    history->keys[key].accepted += accepted;
    history->counts.triggers_accepted += accepted;
}

void history_key_exempt(struct history *history, unsigned key)
{
    assert(key < history->key_names.count);
    history->keys[key].exempt = true;
}

/* An event meets the open alert of its key. Each incident of the key that was known before the event was first sent
 * is either that alert's, or was resolved already, if only by being merged. */
void history_event_acknowledged(struct history *history, unsigned key, uint64_t first_asked)
{
    assert(key < history->key_names.count);
    for (size_t at = history->keys[key].incident; at != NOBODY; at = history->incidents[at].next_of_key) {
        struct incident *incident = &history->incidents[at];
        if (incident->known_since < first_asked && incident->acknowledged_at == 0 && !gathers(history, incident)) {
            incident->acknowledged_at = history_moment(history);
        }
    }
}

void history_event_resolved(struct history *history, unsigned key, uint64_t first_asked)
{
    assert(key < history->key_names.count);
    for (size_t at = history->keys[key].incident; at != NOBODY; at = history->incidents[at].next_of_key) {
        if (history->incidents[at].known_since < first_asked && !gathers(history, &history->incidents[at])) {
            learn_resolved(history, &history->incidents[at]);
        }
    }
}

void history_alert_counted(struct history *history, const char *key, uint64_t events)
{
    size_t at = names_find(&history->key_names, key);

    history->counts.alerts_counted++;
    if (at != NAMES_UNKNOWN) {
        history->keys[at].counted += events;
    }
}

void history_incident_counted(struct history *history, const char *incident_id)
{
    struct incident *incident = incident_find(history, incident_id);

    if (incident != NULL) {
        incident->counted = true;
    }
}

/* ---------------------------------------------------------------- answers */

/* NULL when nothing is. */
static const char *wrong_with(const struct history_answer *answer)
{
    if (answer->status == 0 || (answer->status >= 200 && answer->status <= 204)) {
        return NULL;
    }
    if (answer->status == 503) {
        bool stopped = strstr(answer->body, "This node has stopped") != NULL; /* trying again here does not help */
        return answer->retry_after || stopped ? NULL : "does not say when to try again";
    }
    /* A maintenance window that is over, and, in the words of Alertmanager, a silence. */
    bool too_late = answer->status == 405 || strstr(answer->body, "silence already expired") != NULL;
    if (answer->status == 404 || ((answer->status == 400 || too_late) && strcmp(answer->method, "GET") != 0)) {
        return answer->refusable ? NULL : "refuses what is right";
    }
    return "is none that may come";
}

bool history_answered(struct history *history, const struct history_answer *answer)
{
    const char *wrong = wrong_with(answer);

    if (wrong != NULL) {
        history_violation(history, "P5: node %" PRIu64 " answers %s %s with %u, which %s: %.200s", answer->node,
                          answer->method, answer->target, answer->status, wrong, answer->body);
    }
    return wrong == NULL;
}

/* ---------------------------------------------------------------- the end */

static void finish_key(struct history *history, size_t at)
{
    const struct key *key = &history->keys[at];
    const char *name = history->key_names.texts[at];
    bool all_counted = !key->scattered && key->incident != NOBODY;

    if (key->accepted > 0 && key->incident == NOBODY && !key->exempt) {
        history_violation(history, "P1: a trigger with the key %s was answered 202, and no incident has this key",
                          name);
    }
    for (size_t i = key->incident; i != NOBODY; i = history->incidents[i].next_of_key) {
        all_counted = all_counted && history->incidents[i].counted;
    }
    if (all_counted && key->counted < key->accepted && !key->exempt) {
        history_violation(history,
                          "P1: %" PRIu64 " triggers with the key %s were answered 202, and %" PRIu64 " were counted",
                          key->accepted, name, key->counted);
    } else if (key->counted > key->sent) {
        history_violation(history, "%" PRIu64 " triggers with the key %s were sent, and %" PRIu64 " were counted",
                          key->sent, name, key->counted);
    }
}

void history_finish_incidents(struct history *history, uint64_t told)
{
    for (size_t i = 0; i < history->incident_names.count; i++) {
        if (history->incidents[i].seen_last < told) {
            history_violation(history, "P1: incident #%" PRIu64 " was there, and is in no list at the end",
                              history->incidents[i].number);
        }
    }
}

void history_finish_events(struct history *history)
{
    for (size_t i = 0; i < history->key_names.count; i++) {
        finish_key(history, i);
    }
}

struct history_counts history_counts(const struct history *history)
{
    return history->counts;
}
