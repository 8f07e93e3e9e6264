/*
 * What a person reads, the same on every channel.
 *
 *     [#12 TRIGGERED high] Disk full on db1 - service Payments, level 2. Acknowledge through the API: incident P00001A.
 *     ^ who is it about    ^ why wake up      ^ whose it is              ^ how to answer
 *     [#12 UPDATE] Disk full on db1 - service Payments. We are adding disks. Incident P00001A.
 *     ^ no page: a bulletin                             ^ what is told
 *
 * The number and the id stand in every message, because a message may arrive twice: people must see that it is the
 * same one.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/limits.h"
#include "notify/channel.h"
#include "notify/compose.h"
#include "notify/news.h"

/* A text message costs by its length, and nobody reads more at night. */
#define SHORT_TITLE_SIZE 401
#define SERVICE_SIZE 121
/* What a long message needs beside the title. */
#define LONG_FACTS_SIZE 1024

/* The whole text of a bulletin; and what of it goes into a short message. */
#define BULLETIN_SIZE (LIMIT_STATUS_UPDATE_CHARACTERS * 4 + 256)
#define SHORT_BULLETIN_SIZE 401

struct parts {
    char head[96]; /* "[#12 TRIGGERED high] " */
    char service[SERVICE_SIZE];
    char why[SHORT_BULLETIN_SIZE + 1];  /* " Escalated to you: ..." */
    char answer[192]; /* how to answer */
    char tail[1024]; /* of a short message, all of it */
};

/* What a bulletin is called, and what stands before the incident's id. */
static const struct bulletin_words {
    const char *head, *answer;
} bulletin_words[] = {
    [TOCSIN__BULLETIN_KIND__BULLETIN_STATUS_UPDATE] = {"UPDATE", "Incident"},
    [TOCSIN__BULLETIN_KIND__BULLETIN_RESPONDER_REQUEST] = {"HELP WANTED", "Join or decline through the API: incident"},
    [TOCSIN__BULLETIN_KIND__BULLETIN_TARGET_MISSED] = {"TARGET MISSED", "Incident"},
};

static bool is_bulletin(const Tocsin__Notification *notification)
{
    return notification->bulletin > TOCSIN__BULLETIN_KIND__BULLETIN_NONE &&
           (size_t)notification->bulletin < sizeof bulletin_words / sizeof *bulletin_words;
}

/* Why this message was made, where that is news to the person. */
static const char *why_sentence(Tocsin__Why why)
{
    static const struct {
        Tocsin__Why why;
        const char *sentence;
    } sentences[] = {
        {TOCSIN__WHY__WHY_RULE_AFTER_DELAY, " Not acknowledged yet."},
        {TOCSIN__WHY__WHY_LEVEL_TIMEOUT, " Escalated to you: nobody acknowledged in time."},
        {TOCSIN__WHY__WHY_POLICY_REPEAT, " The escalation began again: nobody acknowledged."},
        {TOCSIN__WHY__WHY_NOBODY_ON_LEVEL, " Escalated to you: nobody before you could be told."},
        {TOCSIN__WHY__WHY_ACKNOWLEDGEMENT_TIMEOUT, " Its acknowledgement ran out."},
        {TOCSIN__WHY__WHY_REASSIGNED, " Reassigned to you."},
        {TOCSIN__WHY__WHY_CHANNEL_FAILED, " Another of your contact methods failed."},
    };
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++)
        if (sentences[i].why == why)
            return sentences[i].sentence;
    return "";
}

static const char *urgency_word(Tocsin__Urgency urgency)
{
    return urgency == TOCSIN__URGENCY__URGENCY_LOW ? " low" : urgency == TOCSIN__URGENCY__URGENCY_HIGH ? " high" : "";
}

#define GUARDIAN_WHY " The escalation ended without anyone: you are told as a guardian of this cluster."

/* From a node that pages on its own, because the cluster has no majority: it says so, and where an answer is heard. */
static void degraded_parts(const Tocsin__Notification *notification, const char *id, struct parts *parts)
{
    unsigned long long node = (unsigned long long)notification->claim_node;
    bool stored = notification->incident_id != 0, of_service = notification->service_name[0] != '\0';
    char number[32] = "";
    if (stored)
        (void)snprintf(number, sizeof number, " #%llu", (unsigned long long)notification->incident_number);
    (void)snprintf(parts->head, sizeof parts->head, "[DEGRADED%s%s%s] ", number,
                   stored && notification->guardian ? " NOBODY ANSWERED" : "", urgency_word(notification->urgency));
    (void)snprintf(parts->why, sizeof parts->why, "%s Node %llu pages on its own: the cluster has no majority.",
                   notification->guardian ? " You are told as a guardian." : "", node);
    if (stored)
        (void)snprintf(parts->answer, sizeof parts->answer, "Acknowledge through the API of node %llu: incident %s.", node, id);
    else
        (void)snprintf(parts->answer, sizeof parts->answer, "%s",
                       of_service ? "The event was refused and is not stored: it cannot be acknowledged here." : "Look at the nodes.");
}

static void by_hand_parts(const Tocsin__Notification *notification, struct parts *parts)
{
    (void)snprintf(parts->head, sizeof parts->head, "[BY HAND] ");
    (void)snprintf(parts->why, sizeof parts->why, " You are paged as a guardian, by somebody at node %llu.",
                   (unsigned long long)notification->claim_node);
    (void)snprintf(parts->answer, sizeof parts->answer, "There is nothing to acknowledge: call back.");
}

static void stored_parts(const Tocsin__Notification *notification, const char *id, struct parts *parts)
{
    (void)snprintf(parts->head, sizeof parts->head, "[#%llu %s%s] ", (unsigned long long)notification->incident_number,
                   notification->guardian ? "NOBODY ANSWERED" : "TRIGGERED", urgency_word(notification->urgency));
    (void)snprintf(parts->why, sizeof parts->why, "%s",
                   notification->guardian ? GUARDIAN_WHY : why_sentence(notification->why));
    (void)snprintf(parts->answer, sizeof parts->answer, "Acknowledge through the API: incident %s.", id);
}

static void bulletin_parts(const Tocsin__Notification *notification, const char *id, struct parts *parts)
{
    const struct bulletin_words *words = &bulletin_words[notification->bulletin];
    (void)snprintf(parts->head, sizeof parts->head, "[#%llu %s] ", (unsigned long long)notification->incident_number,
                   words->head);
    parts->why[0] = ' ';
    clean_copy(parts->why + 1, sizeof parts->why - 1, notification->bulletin_text, strlen(notification->bulletin_text));
    (void)snprintf(parts->answer, sizeof parts->answer, "%s %s.", words->answer, id);
}

/* Pages of the cluster itself, or by hand, are of no service. */
static bool names_service(const Tocsin__Notification *notification)
{
    return notification->service_name[0] != '\0' || !(notification->degraded || notification->by_hand);
}

static void parts_of(const Tocsin__Notification *notification, struct parts *parts)
{
    char id[16], level[24] = "", service[SERVICE_SIZE + 16] = "";
    id_format(notification->incident_id, id);
    clean_copy(parts->service, sizeof parts->service, notification->service_name, strlen(notification->service_name));
    if (notification->by_hand)
        by_hand_parts(notification, parts);
    else if (notification->degraded)
        degraded_parts(notification, id, parts);
    else if (is_bulletin(notification))
        bulletin_parts(notification, id, parts);
    else
        stored_parts(notification, id, parts);
    if (notification->level && !notification->guardian && !is_bulletin(notification))
        (void)snprintf(level, sizeof level, ", level %u", notification->level);
    if (names_service(notification))
        (void)snprintf(service, sizeof service, " - service %s", parts->service);
    (void)snprintf(parts->tail, sizeof parts->tail, "%s%s.%s %s%s", service, level, parts->why, parts->answer,
                   notification->possibly_repeated ? " (possibly repeated)" : "");
}

void message_short(const Tocsin__Notification *notification, char *out, size_t size)
{
    if (notification->notice) {
        news_short(notification, out, size);
        return;
    }
    struct parts parts;
    parts_of(notification, &parts);
    /* What is cut is the title: how to answer must survive. */
    size_t around = strlen(parts.head) + strlen(parts.tail) + 1;
    size_t room = size > around ? size - around + 1 : 1;
    char title[SHORT_TITLE_SIZE];
    clean_copy(title, room < sizeof title ? room : sizeof title, notification->title, strlen(notification->title));
    char whole[sizeof parts + sizeof title];
    (void)snprintf(whole, sizeof whole, "%s%s%s", parts.head, title, parts.tail);
    clean_copy(out, size, whole, strlen(whole));
}

void message_subject(const Tocsin__Notification *notification, char *out, size_t size)
{
    if (notification->notice) {
        news_subject(notification, out, size);
        return;
    }
    struct parts parts;
    parts_of(notification, &parts);
    char title[SHORT_TITLE_SIZE];
    clean_copy(title, sizeof title, notification->title, strlen(notification->title));
    char whole[sizeof parts + sizeof title];
    (void)snprintf(whole, sizeof whole, "%s%s%s%s%s", parts.head, title, parts.service[0] != '\0' ? " - " : "", parts.service,
                   notification->possibly_repeated ? " (possibly repeated)" : "");
    clean_copy(out, size, whole, strlen(whole));
}

/* The same facts with the whole title, one line each; the only control characters are these line ends. */
void message_long(const Tocsin__Notification *notification, char *out, size_t size)
{
    assert(size > LONG_FACTS_SIZE);
    if (notification->notice) {
        news_short(notification, out, size);
        return;
    }
    struct parts parts;
    parts_of(notification, &parts);
    char id[16];
    id_format(notification->incident_id, id);
    struct composer text = {0};
    compose_text(&text, parts.head);
    char title[LIMIT_SUMMARY_SIZE_BYTES + 1];
    size_t title_room = size > LONG_FACTS_SIZE ? size - LONG_FACTS_SIZE : 1;
    clean_copy(title, title_room < sizeof title ? title_room : sizeof title, notification->title,
               strlen(notification->title));
    compose_text(&text, title);
    compose_text(&text, "\n\n");
    if (names_service(notification))
        compose_format(&text, "Service: %s\n", parts.service);
    if (notification->level && !notification->guardian && !is_bulletin(notification))
        compose_format(&text, "Escalation level: %u\n", notification->level);
    if (notification->incident_id != 0)
        compose_format(&text, "Incident: %s\n", id);
    if (is_bulletin(notification)) {
        char told[BULLETIN_SIZE];
        size_t told_room = title_room > strlen(title) + 1 ? title_room - strlen(title) : 1;
        clean_copy(told, told_room < sizeof told ? told_room : sizeof told, notification->bulletin_text,
                   strlen(notification->bulletin_text));
        compose_format(&text, "\n%s\n", told);
    } else if (parts.why[0] != '\0') {
        compose_format(&text, "%s\n", parts.why + 1); /* without the space before it */
    }
    if (notification->possibly_repeated)
        compose_text(&text, "This message is (possibly repeated): an earlier attempt may have reached you.\n");
    bool own_answer = notification->degraded || notification->by_hand || is_bulletin(notification);
    compose_format(&text, "\n%s\n", own_answer ? parts.answer : "Acknowledge through the API, on any node of the cluster.");
    assert(text.size_bytes < size);
    memcpy(out, text.data, text.size_bytes + 1);
    compose_discard(&text);
}
