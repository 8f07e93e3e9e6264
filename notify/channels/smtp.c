/*
 * E-mail: one message to one person (RFC 5321, 5322, 2045, 2047, 3834). libcurl speaks the protocol and stuffs the
 * dots.
 *
 * Message-ID is made of the notification's id, its time and its cluster, so that a repeat is the same message to mail
 * readers, and one of another cluster is not; References of the incident's, so that an incident is one thread. Nothing
 * from outside can add a header: line breaks never reach one.
 */
#include <assert.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "consensus/machine/base/crc32c.h"
#include "notify/channels/channels.h"
#include "notify/compose.h"

#define ADDRESS_SIZE_BYTES_MAX 254 /* RFC 5321 4.5.3.1.3 */
#define SUBJECT_SIZE 300
#define TEXT_SIZE 8000
#define ENCODED_WORD_SOURCE_BYTES 36 /* 48 in base64, 12 around them, "Subject: " before: below RFC 2047's 76 a line \
                                      */
#define QUOTED_PRINTABLE_LINE_MAX 73
#define GREYLISTING_WAIT_S 60 /* refused for now means: not sooner than in a minute */

/* The bare address of `text`, which is "a@b" or "Name <a@b>". False when it is none that is safe in a header and
 * in MAIL or RCPT. */
static bool bare_address(const char *text, char out[ADDRESS_SIZE_BYTES_MAX + 1])
{
    const char *open = strrchr(text, '<'), *start = open ? open + 1 : text;
    size_t size = open ? strcspn(start, ">") : strlen(start);
    if (size == 0 || size > ADDRESS_SIZE_BYTES_MAX || (open && strcmp(start + size, ">") != 0))
        return false;
    for (size_t i = 0; i < size; i++)
        if (start[i] <= 0x20 || start[i] == 0x7f || strchr("<>()[]\\,;:\"", start[i]))
            return false;
    memcpy(out, start, size);
    out[size] = '\0';
    const char *at = strchr(out, '@');
    return at && at != out && at[1] && !strchr(at + 1, '@');
}

static const char *missing(const struct notify_settings *settings)
{
    if (!setting_present(settings->smtp.url))
        return "SMTP is not configured on this node: url is missing.";
    if (!setting_present(settings->smtp.from))
        return "SMTP is not configured on this node: from is missing.";
    char from[ADDRESS_SIZE_BYTES_MAX + 1];
    if (!bare_address(settings->smtp.from, from))
        return "SMTP is not configured on this node: from is no e-mail address.";
    return NULL;
}

static bool needs_encoding(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c >= 0x7f || *c < 0x20)
            return true;
    return strstr(text, "=?") != NULL;
}

/* A header's text as RFC 2047 encoded words, folded, each ending at a character's end. */
static void compose_encoded_words(struct composer *out, const char *text)
{
    for (size_t left = strlen(text); left;) {
        size_t size = left < ENCODED_WORD_SOURCE_BYTES ? left : ENCODED_WORD_SOURCE_BYTES;
        while (size < left && ((unsigned char)text[size] & 0xc0) == 0x80)
            size--;
        char encoded[BASE64_ENCODE_RAW_LENGTH(ENCODED_WORD_SOURCE_BYTES)];
        base64_encode_raw(encoded, size, (const uint8_t *)text);
        compose_text(out, "=?UTF-8?B?");
        compose_bytes(out, encoded, BASE64_ENCODE_RAW_LENGTH(size));
        text += size;
        left -= size;
        compose_text(out, left ? "?=\r\n " : "?=");
    }
}

static void compose_header(struct composer *out, const char *name, const char *value)
{
    compose_format(out, "%s: ", name);
    if (needs_encoding(value))
        compose_encoded_words(out, value);
    else
        compose_text(out, value);
    compose_text(out, "\r\n");
}

/* "From: Name <a@b>", the name encoded when it has to be. */
static void compose_from(struct composer *out, const char *from, const char *address)
{
    const char *open = strrchr(from, '<');
    size_t size = open ? (size_t)(open - from) : 0;
    while (size && from[size - 1] == ' ')
        size--;
    char name[200];
    clean_copy(name, sizeof name, from, size);
    compose_text(out, "From: ");
    if (needs_encoding(name))
        compose_encoded_words(out, name);
    else
        compose_text(out, name);
    compose_format(out, "%s<%s>\r\n", *name ? " " : "", address);
}

/* RFC 5322 wants a date; it is the notification's, because a sender here has no wall clock. */
static void compose_date(struct composer *out, uint64_t time_ms)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc))
        return;
    compose_format(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[utc.tm_wday], utc.tm_mday,
                   months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/* RFC 2045 6.7: lines of at most 76 characters, any byte survives any relay. */
static void compose_quoted_printable(struct composer *out, const char *text)
{
    size_t column = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '\n') {
            compose_text(out, "\r\n");
            column = 0;
            continue;
        }
        if (column >= QUOTED_PRINTABLE_LINE_MAX) {
            compose_text(out, "=\r\n");
            column = 0;
        }
        bool plain = *c > 0x20 && *c < 0x7f && *c != '=';
        if (plain || (*c == ' ' && c[1] && c[1] != '\n')) {
            compose_bytes(out, c, 1);
            column += 1;
        } else {
            compose_format(out, "=%02X", *c);
            column += 3;
        }
    }
}

static void address_server(const struct notify_settings *settings, struct outgoing *outgoing)
{
    outgoing->url = compose_copy(settings->smtp.url);
    outgoing->require_tls = settings->smtp.require_tls;
    if (setting_present(settings->smtp.username)) {
        outgoing->username = compose_copy(settings->smtp.username);
        outgoing->password = compose_copy(setting_present(settings->smtp.password) ? settings->smtp.password : "");
    }
}

/* Ids are counted from 1 in each cluster, and several may send from one domain. */
static uint32_t cluster_hash(const struct notify_settings *settings)
{
    const char *name = settings->cluster_name != NULL ? settings->cluster_name : "";
    return crc32c(0, name, strlen(name));
}

static bool compose(const struct notify_settings *settings, const Tocsin__Notification *notification,
                    struct outgoing *outgoing, char *error, size_t error_size)
{
    char from[ADDRESS_SIZE_BYTES_MAX + 1], to[ADDRESS_SIZE_BYTES_MAX + 1];
    bool from_is_address = bare_address(settings->smtp.from, from);
    assert(from_is_address); /* or the channel is missing */
    if (strchr(notification->address, '<') || !bare_address(notification->address, to)) {
        (void)snprintf(error, error_size, "The address is no e-mail address.");
        return false;
    }
    char subject[SUBJECT_SIZE], text[TEXT_SIZE];
    message_subject(notification, subject, sizeof subject);
    message_long(notification, text, sizeof text);
    const char *domain = strchr(from, '@') + 1;
    struct composer mail = {0};
    compose_from(&mail, settings->smtp.from, from);
    compose_format(&mail, "To: <%s>\r\n", to);
    compose_header(&mail, "Subject", subject);
    compose_date(&mail, notification->created_at_ms);
    uint32_t cluster = cluster_hash(settings);
    compose_format(&mail, "Message-ID: <tocsin.notification.%llu.%llu.%08x@%s>\r\n", (unsigned long long)notification->id,
                   (unsigned long long)notification->created_at_ms, cluster, domain);
    if (!notification->notice && notification->incident_id != 0)
        compose_format(&mail, "References: <tocsin.incident.%llu.%08x@%s>\r\n",
                       (unsigned long long)notification->incident_id, cluster, domain);
    compose_text(&mail, "Auto-Submitted: auto-generated\r\n"
                        "MIME-Version: 1.0\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\n"
                        "Content-Transfer-Encoding: quoted-printable\r\n"
                        "\r\n");
    compose_quoted_printable(&mail, text);
    outgoing->body = compose_take(&mail, &outgoing->body_size_bytes);
    outgoing->mail_from = compose_copy(from);
    outgoing->mail_to = compose_copy(to);
    address_server(settings, outgoing);
    return true;
}

/* Logs in, and goes. */
static void probe(const struct notify_settings *settings, struct outgoing *outgoing)
{
    address_server(settings, outgoing);
}

/* RFC 5321 4.2.1 and 4.2.2; RFC 4954 section 6 for the codes about credentials. The body is the server's last line. */
static void judge(const struct answer *answer, struct verdict *verdict)
{
    if (judge_unanswered(answer, verdict))
        return;
    static const unsigned ours[] = {523, 530, 534, 535, 538};
    const char *sentence = "not an answer of SMTP";
    verdict->outcome = TOCSIN__OUTCOME__OUTCOME_UNKNOWN;
    if (answer->status >= 200 && answer->status < 300) {
        verdict->outcome = TOCSIN__OUTCOME__OUTCOME_SENT;
        sentence = "taken";
    } else if (answer->status >= 400 && answer->status < 500) {
        verdict->outcome = TOCSIN__OUTCOME__OUTCOME_RETRY;
        verdict->retry_after_s = GREYLISTING_WAIT_S;
        sentence = "refused for now";
    } else if (answer->status >= 500 && answer->status < 600) {
        verdict->outcome = TOCSIN__OUTCOME__OUTCOME_NEVER;
        sentence = "refused";
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (answer->status == ours[i]) {
            verdict->outcome = TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED;
            sentence = "credentials or encryption refused";
        }
    }
    (void)snprintf(verdict->detail, sizeof verdict->detail, "SMTP %u: %s", answer->status, sentence);
    if (answer->body_size_bytes)
        judge_add_words(verdict, answer->body);
}

const struct channel channel_email = {.channel = TOCSIN__CHANNEL__CHANNEL_EMAIL,
                                      .provider = "smtp",
                                      .missing = missing,
                                      .compose = compose,
                                      .judge = judge,
                                      .probe = probe,
                                      .judge_probe = judge};
