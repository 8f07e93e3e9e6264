/*
 * Reading a request as its provider would: what kind it is, whether it is well-formed, whom it reaches with which
 * words.
 *
 * Written from the providers' pages and the RFCs, and stricter than most of them; it shares nothing with the code that
 * composes.
 */
#include "tests/sim/world/providers.h"

#include <jansson.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#define TWILIO_PATH "/2010-04-01/Accounts/"
#define SMS_CHARACTERS_MAX 1600u
#define TWIML_SIZE_BYTES_MAX 4000u
#define VALIDITY_S_MAX 36000u
#define MAIL_LINE_SIZE_BYTES_MAX 998u /* RFC 5322 2.1.1 */
#define NTFY_MESSAGE_SIZE_BYTES_MAX 4096u
#define TOPIC_SIZE_BYTES_MAX 64u
#define DIGITS "0123456789"
#define HEX_DIGITS "0123456789abcdef"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* ---- texts of bounded size; what does not fit makes them broken */

struct text {
    char *data; /* NUL-terminated */
    size_t capacity_bytes, size_bytes;
    bool broken;
};

static struct text text_into(char *data, size_t capacity_bytes)
{
    data[0] = '\0';
    return (struct text){.data = data, .capacity_bytes = capacity_bytes};
}

/* Nothing that people read has a NUL in it. */
static void text_add(struct text *text, char c)
{
    if (c == '\0' || text->size_bytes + 1 >= text->capacity_bytes) {
        text->broken = true;
        return;
    }
    text->data[text->size_bytes++] = c;
    text->data[text->size_bytes] = '\0';
}

static void text_add_bytes(struct text *text, const char *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        text_add(text, bytes[i]);
    }
}

static bool is_utf8(const char *text)
{
    json_t *string = json_string(text); /* none of anything else */
    json_decref(string);
    return string != NULL;
}

static size_t characters_of(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return count;
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Two digits; -1 when they are none. */
static int hex_byte(const char *digits)
{
    int byte = 0;
    for (unsigned i = 0; i < 2; i++) {
        char lower = digits[i] >= 'A' && digits[i] <= 'F' ? (char)(digits[i] - 'A' + 'a') : digits[i];
        const char *place = lower == '\0' ? NULL : strchr(HEX_DIGITS, lower);
        if (place == NULL) {
            return -1;
        }
        byte = byte * 16 + (int)(place - HEX_DIGITS);
    }
    return byte;
}

/* The value of the header; NULL when it is not there exactly once. */
static const char *header_of(const struct outgoing *outgoing, const char *name)
{
    const char *value = NULL;
    size_t size = strlen(name);
    for (size_t i = 0; i < outgoing->headers_count; i++) {
        const char *header = outgoing->headers[i];
        if (strncasecmp(header, name, size) == 0 && header[size] == ':' && header[size + 1] == ' ') {
            if (value != NULL) {
                return NULL;
            }
            value = header + size + 2;
        }
    }
    return value;
}

static bool has_content_type(const struct outgoing *outgoing, const char *type)
{
    const char *value = header_of(outgoing, "Content-Type");
    return value != NULL && strcmp(value, type) == 0;
}

/* ---- Twilio: a form with basic authentication (https://www.twilio.com/docs/usage/api) */

struct field {
    const char *name;
    struct text value;
    bool present;
};

static bool read_pair(struct field *fields, size_t count, const char *pair, size_t size_bytes)
{
    const char *equals = memchr(pair, '=', size_bytes);
    if (equals == NULL) {
        return false;
    }
    size_t name_size = (size_t)(equals - pair);
    size_t i = 0;
    while (i < count && (strlen(fields[i].name) != name_size || memcmp(fields[i].name, pair, name_size) != 0)) {
        i++;
    }
    if (i == count || fields[i].present) {
        return false;
    }
    fields[i].present = true;
    for (const char *c = equals + 1, *end = pair + size_bytes; c < end; c++) {
        if (*c == '%') {
            int byte = end - c < 3 ? -1 : hex_byte(c + 1);
            if (byte < 0) {
                return false;
            }
            text_add(&fields[i].value, (char)byte);
            c += 2;
        } else if (*c == '+') {
            text_add(&fields[i].value, ' ');
        } else if (*c != '\0' && strchr(LETTERS DIGITS "-._~*", *c) != NULL) {
            text_add(&fields[i].value, *c);
        } else {
            return false;
        }
    }
    return !fields[i].value.broken && is_utf8(fields[i].value.data);
}

/* False unless every pair is well-formed, known, and there once. */
static bool read_form(const char *body, size_t size_bytes, struct field *fields, size_t count)
{
    const char *end = body + size_bytes;
    while (body < end) {
        const char *amp = memchr(body, '&', (size_t)(end - body));
        const char *pair_end = amp != NULL ? amp : end;
        if (!read_pair(fields, count, body, (size_t)(pair_end - body))) {
            return false;
        }
        body = pair_end + 1;
    }
    return size_bytes > 0;
}

static bool is_phone_number(const char *text)
{
    size_t digits = text[0] == '+' ? strspn(text + 1, DIGITS) : 0;
    return digits >= 7 && digits <= 15 && text[1] != '0' && text[1 + digits] == '\0';
}

static bool is_number_up_to(const char *text, unsigned long limit)
{
    size_t digits = strspn(text, DIGITS);
    return digits > 0 && digits < 9 && text[digits] == '\0' && strtoul(text, NULL, 10) >= 1 &&
           strtoul(text, NULL, 10) <= limit;
}

/* The words inside an element up to the next tag, without their escaping. NULL when it is wrong. */
static const char *read_words(const char *xml, struct text *words)
{
    static const struct {
        const char *name;
        char character;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    while (*xml != '<') {
        if (*xml == '\0') {
            return NULL;
        }
        if (*xml != '&') {
            text_add(words, *xml++);
            continue;
        }
        size_t i = 0;
        while (i < sizeof entities / sizeof entities[0] && !begins_with(xml, entities[i].name)) {
            i++;
        }
        if (i == sizeof entities / sizeof entities[0]) {
            return NULL;
        }
        text_add(words, entities[i].character);
        xml += strlen(entities[i].name);
    }
    return xml;
}

/* What is said in a call (https://www.twilio.com/docs/voice/twiml): Say and Pause, in a Response. */
static bool read_twiml(const char *twiml, struct text *words)
{
    static const char response[] = "<Response>", say[] = "<Say>", said[] = "</Say>", pause[] = "<Pause length=\"";
    if (!begins_with(twiml, response)) {
        return false;
    }
    twiml += strlen(response);
    while (strcmp(twiml, "</Response>") != 0) {
        if (begins_with(twiml, say)) {
            if (words->size_bytes > 0) {
                text_add(words, ' ');
            }
            twiml = read_words(twiml + strlen(say), words);
            if (twiml == NULL || !begins_with(twiml, said)) {
                return false;
            }
            twiml += strlen(said);
        } else if (begins_with(twiml, pause)) {
            twiml += strlen(pause);
            size_t digits = strspn(twiml, DIGITS);
            if (digits == 0 || !begins_with(twiml + digits, "\"/>")) {
                return false;
            }
            twiml += digits + 3;
        } else {
            return false;
        }
    }
    return words->size_bytes > 0 && !words->broken;
}

static const char *read_text_message(const struct outgoing *outgoing, struct provider_message *message)
{
    char from[64], service[64], validity[16];
    struct field fields[] = {{"To", text_into(message->to, sizeof message->to), false},
                             {"Body", text_into(message->text, sizeof message->text), false},
                             {"From", text_into(from, sizeof from), false},
                             {"MessagingServiceSid", text_into(service, sizeof service), false},
                             {"ValidityPeriod", text_into(validity, sizeof validity), false}};
    if (!read_form(outgoing->body, outgoing->body_size_bytes, fields, sizeof fields / sizeof fields[0])) {
        return "The form of the text message cannot be read.";
    }
    if (!is_phone_number(message->to)) {
        return "The text message goes to no phone number.";
    }
    if (message->text[0] == '\0' || characters_of(message->text) > SMS_CHARACTERS_MAX) {
        return "The text message has no words, or too many.";
    }
    if (is_phone_number(from) == begins_with(service, "MG")) {
        return "The text message must come from a number or a messaging service.";
    }
    if (fields[4].present && !is_number_up_to(validity, VALIDITY_S_MAX)) {
        return "The validity period of the text message is no number of seconds that Twilio takes.";
    }
    message->channel = TOCSIN__CHANNEL__CHANNEL_SMS;
    return NULL;
}

static const char *read_call(const struct outgoing *outgoing, struct provider_message *message)
{
    char from[64], timeout[16], twiml[TWIML_SIZE_BYTES_MAX + 1];
    struct field fields[] = {{"To", text_into(message->to, sizeof message->to), false},
                             {"From", text_into(from, sizeof from), false},
                             {"Twiml", text_into(twiml, sizeof twiml), false},
                             {"Timeout", text_into(timeout, sizeof timeout), false}};
    if (!read_form(outgoing->body, outgoing->body_size_bytes, fields, sizeof fields / sizeof fields[0])) {
        return "The form of the call cannot be read, or its TwiML is too long.";
    }
    if (!is_phone_number(message->to) || !is_phone_number(from)) {
        return "The call goes to or comes from no phone number.";
    }
    if (fields[3].present && !is_number_up_to(timeout, 600)) {
        return "The call's timeout is no number of seconds that Twilio takes.";
    }
    struct text words = text_into(message->text, sizeof message->text);
    if (!read_twiml(twiml, &words)) {
        return "The call's TwiML cannot be read, or says nothing.";
    }
    message->channel = TOCSIN__CHANNEL__CHANNEL_VOICE;
    return NULL;
}

/* `account` is what follows TWILIO_PATH in the URL. */
static const char *read_twilio(const struct outgoing *outgoing, const char *account, struct provider_message *message)
{
    const char *username = outgoing->username != NULL ? outgoing->username : "";
    size_t size = strcspn(account, "/");
    bool authenticated = size > 0 && strlen(username) == size && memcmp(username, account, size) == 0 &&
                         outgoing->password != NULL && outgoing->password[0] != '\0';
    if (!authenticated) {
        return "Twilio's account and token are not given.";
    }
    if (!has_content_type(outgoing, "application/x-www-form-urlencoded")) {
        return "Twilio takes forms.";
    }
    const char *resource = account + size;
    return strcmp(resource, "/Messages.json") == 0 ? read_text_message(outgoing, message)
           : strcmp(resource, "/Calls.json") == 0  ? read_call(outgoing, message)
                                                   : "Twilio has no such resource.";
}

/* ---- ntfy: JSON with a topic, to the root of a server (https://docs.ntfy.sh/publish/#publish-as-json) */

static bool copy_string(char *out, size_t size_bytes, const json_t *string)
{
    struct text text = text_into(out, size_bytes);
    if (!json_is_string(string)) {
        return false;
    }
    text_add_bytes(&text, json_string_value(string), json_string_length(string));
    return !text.broken && text.size_bytes > 0;
}

static const char *read_ntfy(const json_t *object, struct provider_message *message)
{
    if (!copy_string(message->to, sizeof message->to, json_object_get(object, "topic")) ||
        strspn(message->to, LETTERS DIGITS "-_") != strlen(message->to) || strlen(message->to) > TOPIC_SIZE_BYTES_MAX) {
        return "The topic of the push message is none.";
    }
    if (!copy_string(message->text, sizeof message->text, json_object_get(object, "message")) ||
        strlen(message->text) > NTFY_MESSAGE_SIZE_BYTES_MAX) {
        return "The push message has no words, or too many.";
    }
    const json_t *priority = json_object_get(object, "priority");
    if (priority != NULL && (json_integer_value(priority) < 1 || json_integer_value(priority) > 5)) {
        return "The priority of the push message is not one of 1 to 5.";
    }
    if (!json_is_string(json_object_get(object, "title")) || !json_is_array(json_object_get(object, "tags"))) {
        return "The push message has no title, or its tags are no list.";
    }
    message->channel = TOCSIN__CHANNEL__CHANNEL_PUSH;
    return NULL;
}

/* ---- webhooks: our own event */

static bool signature_is_well_formed(const struct outgoing *outgoing)
{
    const char *signature = header_of(outgoing, "X-Tocsin-Signature");
    return signature == NULL || (begins_with(signature, "sha256=") && strlen(signature) == 7 + 64 &&
                                 strspn(signature + 7, HEX_DIGITS) == 64);
}

static const char *read_webhook(const struct outgoing *outgoing, const json_t *object, struct provider_message *message)
{
    const json_t *event = json_object_get(object, "event");
    if (!json_is_string(json_object_get(event, "id")) || !json_is_string(json_object_get(event, "event_type")) ||
        !json_is_object(json_object_get(event, "data"))) {
        return "The webhook's body is no event.";
    }
    if (!copy_string(message->text, sizeof message->text, json_object_get(event, "text"))) {
        return "The webhook's event has no words, or too many.";
    }
    if (!signature_is_well_formed(outgoing)) {
        return "The webhook's signature is none.";
    }
    struct text to = text_into(message->to, sizeof message->to);
    text_add_bytes(&to, outgoing->url, strlen(outgoing->url));
    message->channel = TOCSIN__CHANNEL__CHANNEL_WEBHOOK;
    return to.broken ? "The webhook's address is too long." : NULL;
}

/* ---- e-mail */

/* Lines end in CRLF and are not too long; nothing but ASCII, no control characters (RFC 5322 2.1.1, RFC 2045 2.7). */
static bool lines_are_mail(const char *mail)
{
    size_t column = 0;
    for (const char *c = mail; *c != '\0'; c++) {
        if (c[0] == '\r' && c[1] == '\n') {
            column = 0;
            c++;
        } else if (*c < ' ' || *c > '~' || ++column > MAIL_LINE_SIZE_BYTES_MAX) {
            return false;
        }
    }
    return true;
}

/* Up to the empty line each line is a name and a value, or goes on with the value before (RFC 5322 2.2). */
static bool headers_are_mail(const char *mail)
{
    for (const char *line = mail; line[0] != '\r'; line = strstr(line, "\r\n") + 2) {
        size_t name_size = strcspn(line, ": \r");
        bool goes_on = line[0] == ' ' && line != mail;
        if (!goes_on && (name_size == 0 || !begins_with(line + name_size, ": "))) {
            return false;
        }
    }
    return true;
}

/* The header's value, its continuation lines joined (RFC 5322 2.2.3). False when it is not there exactly once. */
static bool read_mail_header(const char *mail, const char *name, char *out, size_t size_bytes)
{
    struct text value = text_into(out, size_bytes);
    unsigned times = 0;
    for (const char *line = mail; line[0] != '\r'; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, name, strlen(name)) != 0 || !begins_with(line + strlen(name), ": ")) {
            continue;
        }
        times++;
        for (const char *c = line + strlen(name) + 2; c[0] != '\r' || c[2] == ' '; c++) {
            c += c[0] == '\r' ? 2 : 0;
            text_add(&value, *c);
        }
    }
    return times == 1 && !value.broken && value.size_bytes > 0;
}

/* Encoded words (RFC 2047) as what they stand for; white space between two of them is nothing. */
static bool decode_words(const char *value, struct text *out)
{
    static const char open[] = "=?UTF-8?B?";
    while (*value != '\0') {
        if (!begins_with(value, open)) {
            text_add(out, *value++);
            continue;
        }
        const char *encoded = value + strlen(open), *end = strstr(encoded, "?=");
        struct base64_decode_ctx base64;
        uint8_t decoded[BASE64_DECODE_LENGTH(80)];
        size_t size = sizeof decoded;
        base64_decode_init(&base64);
        if (end == NULL || end - value > 73 || /* 75 with its end: RFC 2047, section 2 */
            !base64_decode_update(&base64, &size, decoded, (size_t)(end - encoded), encoded) ||
            !base64_decode_final(&base64)) {
            return false;
        }
        text_add_bytes(out, (const char *)decoded, size);
        value = end + 2;
        size_t spaces = strspn(value, " ");
        value += begins_with(value + spaces, open) ? spaces : 0;
    }
    return true;
}

/* RFC 2045 6.7. */
static bool decode_quoted_printable(const char *body, struct text *out)
{
    for (const char *c = body; *c != '\0'; c++) {
        if (begins_with(c, "=\r\n")) {
            c += 2;
        } else if (begins_with(c, "\r\n")) {
            text_add(out, '\n');
            c++;
        } else if (*c == '=') {
            int byte = hex_byte(c + 1);
            if (byte < 0) {
                return false;
            }
            text_add(out, (char)byte);
            c += 2;
        } else {
            text_add(out, *c);
        }
    }
    return true;
}

static const char *read_mail(const struct outgoing *outgoing, struct provider_message *message)
{
    static const char *const once[] = {"From", "Date", "Message-ID"};
    char value[2000];
    const char *mail = outgoing->body;
    if (strlen(mail) != outgoing->body_size_bytes || !lines_are_mail(mail) || strstr(mail, "\r\n\r\n") == NULL ||
        !headers_are_mail(mail)) {
        return "The e-mail is none: its lines, or its headers.";
    }
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        if (!read_mail_header(mail, once[i], value, sizeof value)) {
            return "The e-mail lacks a header, or has it twice.";
        }
    }
    struct text to = text_into(message->to, sizeof message->to);
    text_add_bytes(&to, outgoing->mail_to, strlen(outgoing->mail_to));
    size_t size = to.size_bytes;
    if (to.broken || strchr(message->to, '@') == NULL || !read_mail_header(mail, "To", value, sizeof value) ||
        strlen(value) != size + 2 || value[0] != '<' || memcmp(value + 1, message->to, size) != 0 ||
        value[size + 1] != '>') {
        return "The e-mail's addressee is not the one in its header.";
    }
    if (outgoing->mail_from == NULL || strchr(outgoing->mail_from, '@') == NULL) {
        return "The e-mail comes from nobody.";
    }
    struct text text = text_into(message->text, sizeof message->text);
    if (!read_mail_header(mail, "Subject", value, sizeof value) || !decode_words(value, &text)) {
        return "The e-mail's subject cannot be read.";
    }
    text_add(&text, '\n');
    if (!read_mail_header(mail, "Content-Transfer-Encoding", value, sizeof value) ||
        strcmp(value, "quoted-printable") != 0 || !decode_quoted_printable(strstr(mail, "\r\n\r\n") + 4, &text)) {
        return "The e-mail's text cannot be read.";
    }
    message->channel = TOCSIN__CHANNEL__CHANNEL_EMAIL;
    return text.broken || !is_utf8(message->text) ? "The e-mail is too long, or not in UTF-8." : NULL;
}

/* ---- which of them */

static const char *read_json(const struct outgoing *outgoing, struct provider_message *message)
{
    if (!has_content_type(outgoing, "application/json")) {
        return "What is neither a form nor an e-mail is JSON.";
    }
    json_t *object = json_loadb(outgoing->body, outgoing->body_size_bytes, JSON_REJECT_DUPLICATES, NULL);
    size_t size = strlen(outgoing->url);
    bool to_the_root = size > 0 && outgoing->url[size - 1] == '/';
    const char *wrong = object == NULL ? "The body is no JSON."
                        : to_the_root && json_object_get(object, "topic") != NULL
                            ? read_ntfy(object, message)
                            : read_webhook(outgoing, object, message);
    json_decref(object);
    return wrong;
}

const char *providers_read(const struct outgoing *outgoing, struct provider_message *message)
{
    if (outgoing->url == NULL || outgoing->body == NULL) {
        return "The request has no address, or no body.";
    }
    bool mail_server = begins_with(outgoing->url, "smtp://") || begins_with(outgoing->url, "smtps://");
    if (mail_server != (outgoing->mail_to != NULL)) {
        return "E-mail goes to a mail server, and nothing else does.";
    }
    if (mail_server) {
        return read_mail(outgoing, message);
    }
    if (!begins_with(outgoing->url, "https://") && !begins_with(outgoing->url, "http://")) {
        return "The request's address is no URL.";
    }
    const char *account = strstr(outgoing->url, TWILIO_PATH);
    return account != NULL ? read_twilio(outgoing, account + strlen(TWILIO_PATH), message)
                           : read_json(outgoing, message);
}
