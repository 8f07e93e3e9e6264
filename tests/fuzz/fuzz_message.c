/*
 * Whatever people and event sources wrote, in messages to providers: within its bounds, cut at a character, and never
 * more than text: no header, field, element or address that was not meant.
 *
 *     input: flags │ numbers │ texts, a line each: title, service, user, address
 *            │ what it is news of: kind, numbers, texts; without them it is a page
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "notify/channel.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/settings.h"

#define MAIL_LINE_SIZE_BYTES_MAX 78u
#define SMS_CHARACTERS_MAX 1600u
#define TWIML_SIZE_BYTES_MAX 4000u
#define BODY_SIZE_BYTES_MAX (64u << 10)

/* ---------------------------------------------------------------- what a person reads */

static void check_text(const char *text, size_t size, bool lines)
{
    size_t characters;

    fuzz_require(memchr(text, '\0', size) != NULL);
    fuzz_require(fuzz_utf8(text, strlen(text), &characters));
    fuzz_require(lines || fuzz_is_line(text));
}

static void check_messages(const Tocsin__Notification *notification, size_t odd_size)
{
    static const size_t sizes[] = {1, 2, 3, 5, 40, 160, 161, 300, 1025, 1601, 4000, 8000};

    for (size_t i = 0; i <= sizeof sizes / sizeof *sizes; i++) {
        size_t size = i < sizeof sizes / sizeof *sizes ? sizes[i] : odd_size;
        char *out = fuzz_must(malloc(size)); /* exactly: one byte more would be seen */
        message_short(notification, out, size);
        check_text(out, size, false);
        message_subject(notification, out, size);
        check_text(out, size, false);
        if (size >= 1100) {
            message_long(notification, out, size);
            check_text(out, size, true);
            bool page = notification->bulletin == 0 && notification->notice == NULL;
            fuzz_require(!page || strstr(out, "Acknowledge through the API") != NULL);
        }
        free(out);
    }
    char whole[1601];
    message_short(notification, whole, sizeof whole);
    if (notification->notice != NULL) {
        fuzz_require(whole[0] != '\0' && strstr(whole, notification->notice->code) != NULL);
        return;
    }
    /* How to answer survives. */
    fuzz_require(strstr(whole, notification->bulletin != 0 ? "ncident P" : "Acknowledge through the API: incident P") != NULL);
}

/* ---------------------------------------------------------------- what a provider gets */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A form's fields: their names are ours, and what is decoded is UTF-8. Gives the value of `wanted`, freed by the
 * caller. */
static char *form_value(const char *body, const char *wanted)
{
    static const char *const names[] = {"To", "From", "MessagingServiceSid", "Body", "ValidityPeriod", "Twiml", "Timeout"};
    char *value = NULL;

    for (const char *at = body; *at != '\0';) {
        size_t size = strcspn(at, "&"), name_size = strcspn(at, "=");
        bool known = false;
        fuzz_require(name_size < size);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            known = known || (strlen(names[i]) == name_size && memcmp(names[i], at, name_size) == 0);
        }
        fuzz_require(known);
        char *decoded = fuzz_must(malloc(size + 1));
        size_t length = 0, characters;
        for (size_t i = name_size + 1; i < size; i++) {
            if (at[i] == '%') {
                fuzz_require(i + 2 < size && hex_digit(at[i + 1]) >= 0 && hex_digit(at[i + 2]) >= 0);
                decoded[length++] = (char)(hex_digit(at[i + 1]) << 4 | hex_digit(at[i + 2]));
                i += 2;
            } else {
                fuzz_require(at[i] > 0x20 && at[i] < 0x7f && at[i] != '+');
                decoded[length++] = at[i];
            }
        }
        decoded[length] = '\0';
        fuzz_require(strlen(decoded) == length && fuzz_utf8(decoded, length, &characters));
        if (strlen(wanted) == name_size && memcmp(wanted, at, name_size) == 0) {
            fuzz_require(value == NULL); /* once */
            value = decoded;
        } else {
            free(decoded);
        }
        at += size + (at[size] == '&');
    }
    fuzz_require(value != NULL);
    return value;
}

static void check_sms(const struct outgoing *outgoing)
{
    char *text = form_value(outgoing->body, "Body");
    size_t characters;

    fuzz_require(fuzz_utf8(text, strlen(text), &characters) && characters <= SMS_CHARACTERS_MAX);
    free(text);
}

/* The elements are ours: "<" never comes from a text. */
static void check_call(const struct outgoing *outgoing)
{
    static const char *const tags[] = {"<Response>", "</Response>", "<Say>", "</Say>", "<Pause length=\"1\"/>"};
    char *twiml = form_value(outgoing->body, "Twiml");
    unsigned elements = 0;

    fuzz_require(strlen(twiml) <= TWIML_SIZE_BYTES_MAX);
    for (const char *at = strchr(twiml, '<'); at != NULL; at = strchr(at + 1, '<'), elements++) {
        bool known = false;
        for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
            known = known || strncmp(tags[i], at, strlen(tags[i])) == 0;
        }
        fuzz_require(known);
    }
    fuzz_require(elements == 7);
    free(twiml);
}

/* Headers are ours, lines are short, and everything is ASCII. */
static void check_mail(const struct outgoing *outgoing)
{
    static const char *const names[] = {"From: ", "To: ", "Subject: ", "Date: ", "Message-ID: ", "References: ",
                                        "Auto-Submitted: ", "MIME-Version: ", "Content-Type: ",
                                        "Content-Transfer-Encoding: "};
    bool in_head = true;

    fuzz_require(strlen(outgoing->body) == outgoing->body_size_bytes);
    fuzz_require(fuzz_is_line(outgoing->mail_to) && strchr(outgoing->mail_to, '>') == NULL);
    for (const char *at = outgoing->body; *at != '\0';) {
        size_t size = strcspn(at, "\n");
        bool ends = at[size] == '\n';
        fuzz_require(!ends || (size > 0 && at[size - 1] == '\r'));
        size_t length = ends ? size - 1 : size;
        fuzz_require(memchr(at, '\r', length) == NULL);
        for (size_t i = 0; i < length; i++) {
            fuzz_require(at[i] >= 0x20 && at[i] < 0x7f);
        }
        in_head = in_head && length > 0;
        bool known = !in_head || at[0] == ' '; /* folded */
        for (size_t i = 0; !known && i < sizeof names / sizeof *names; i++) {
            known = strncmp(names[i], at, strlen(names[i])) == 0;
        }
        fuzz_require(known);
        /* Addresses and ids cannot be folded. */
        bool bounded = !in_head || strncmp(at, "Subject", 7) == 0 || at[0] == ' ';
        fuzz_require(!bounded || length <= (in_head ? 998 : MAIL_LINE_SIZE_BYTES_MAX));
        at += size + ends;
    }
}

static void check_json(const struct outgoing *outgoing, const char *text_name)
{
    json_t *json = json_loadb(outgoing->body, outgoing->body_size_bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *event = json_object_get(json, "event");

    fuzz_require(json_is_object(json));
    fuzz_require(json_is_string(json_object_get(event != NULL ? event : json, text_name)));
    json_decref(json);
}

static void check_outgoing(const struct channel *channel, const struct outgoing *outgoing)
{
    fuzz_require(outgoing->url != NULL && fuzz_is_line(outgoing->url) && strchr(outgoing->url, ' ') == NULL);
    fuzz_require(outgoing->body != NULL && outgoing->body_size_bytes <= BODY_SIZE_BYTES_MAX);
    for (size_t i = 0; i < outgoing->headers_count; i++) {
        fuzz_require(fuzz_is_line(outgoing->headers[i]) && strstr(outgoing->headers[i], ": ") != NULL);
    }
    switch (channel->channel) {
    case TOCSIN__CHANNEL__CHANNEL_EMAIL:
        check_mail(outgoing);
        break;
    case TOCSIN__CHANNEL__CHANNEL_SMS:
        check_sms(outgoing);
        break;
    case TOCSIN__CHANNEL__CHANNEL_VOICE:
        check_call(outgoing);
        break;
    case TOCSIN__CHANNEL__CHANNEL_PUSH:
        check_json(outgoing, "message");
        break;
    default:
        check_json(outgoing, "text");
    }
}

/* ---------------------------------------------------------------- the notification */

/* NULL: it is a page. */
static Tocsin__Notice *read_notice(struct fuzz_input *input)
{
    static const Tocsin__NoticeKind kinds[] = {
        TOCSIN__NOTICE_KIND__NOTICE_NONE,         TOCSIN__NOTICE_KIND__NOTICE_SHIFT_BEGINS,
        TOCSIN__NOTICE_KIND__NOTICE_SHIFT_ENDS,   TOCSIN__NOTICE_KIND__NOTICE_SHIFT_CHANGED,
        TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, TOCSIN__NOTICE_KIND__NOTICE_SWAP_TAKEN,
        TOCSIN__NOTICE_KIND__NOTICE_SWAP_UNDONE,  TOCSIN__NOTICE_KIND__NOTICE_MAINTENANCE_ENDS,
        TOCSIN__NOTICE_KIND__NOTICE_TEST,         TOCSIN__NOTICE_KIND__NOTICE_CODE,
        TOCSIN__NOTICE_KIND__NOTICE_DRILL, /* and a probe carries no text */
    };
    Tocsin__NoticeKind kind = kinds[fuzz_below(input, sizeof kinds / sizeof *kinds)];

    if (kind == TOCSIN__NOTICE_KIND__NOTICE_NONE) {
        return NULL;
    }
    Tocsin__Notice *notice = fuzz_must(malloc(sizeof *notice));
    tocsin__notice__init(notice);
    notice->kind = kind;
    uint64_t *numbers[] = {&notice->schedule_id,     &notice->swap_id,       &notice->drill_id, &notice->start_ms,
                           &notice->end_ms,          &notice->return_end_ms, &notice->return_start_ms};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        *numbers[i] = fuzz_odd_number(input);
    }
    bool tests = kind == TOCSIN__NOTICE_KIND__NOTICE_TEST || kind == TOCSIN__NOTICE_KIND__NOTICE_CODE;
    bool has_code = tests && (fuzz_byte(input) & 1);
    notice->schedule_name = fuzz_line(input);
    notice->other_name = fuzz_line(input);
    notice->note = fuzz_line(input);
    notice->code = fuzz_must(strdup(has_code ? "482913" : ""));
    return notice;
}

static void free_notice(Tocsin__Notice *notice)
{
    if (notice != NULL) {
        free(notice->schedule_name);
        free(notice->other_name);
        free(notice->note);
        free(notice->code);
        free(notice);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    Tocsin__Notification notification;

    tocsin__notification__init(&notification);
    uint8_t flags = fuzz_byte(&input);
    notification.guardian = flags & 1;
    notification.possibly_repeated = flags & 2;
    notification.urgency = (Tocsin__Urgency)((flags >> 2) & 3);
    notification.bulletin = (Tocsin__BulletinKind)((flags >> 4) & 3);
    notification.why = (Tocsin__Why)(fuzz_byte(&input) % (TOCSIN__WHY__WHY_BLIND + 2));
    notification.id = fuzz_odd_number(&input);
    notification.incident_id = fuzz_odd_number(&input);
    notification.incident_number = fuzz_odd_number(&input);
    notification.created_at_ms = fuzz_odd_number(&input);
    notification.level = (uint32_t)fuzz_odd_number(&input);
    notification.country_code = (uint32_t)fuzz_odd_number(&input);
    size_t odd_size = 1 + fuzz_below(&input, 9000);
    notification.title = fuzz_line(&input);
    notification.service_name = fuzz_line(&input);
    notification.user_name = fuzz_line(&input);
    notification.address = fuzz_line(&input);
    notification.bulletin_text = notification.bulletin != 0 ? fuzz_line(&input) : notification.bulletin_text;
    notification.notice = read_notice(&input);
    check_messages(&notification, odd_size);
    for (const struct channel *const *channel = channels_all(); *channel != NULL; channel++) {
        struct outgoing outgoing = {0};
        char error[128] = "";
        notification.channel = (*channel)->channel; /* a voice spells codes */
        if ((*channel)->compose(&fuzz_settings, &notification, &outgoing, error, sizeof error)) {
            check_outgoing(*channel, &outgoing);
        } else {
            fuzz_require(error[0] != '\0' && fuzz_is_line(error));
        }
        outgoing_close(&outgoing);
    }
    free_notice(notification.notice);
    char *texts[] = {notification.title, notification.service_name, notification.user_name, notification.address,
                     notification.bulletin != 0 ? notification.bulletin_text : NULL};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        free(texts[i]);
    }
    return 0;
}
