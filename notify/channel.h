/*
 * A channel: one way of telling a person through one provider. One small file each: compose a request, judge an answer.
 */
#ifndef NOTIFY_CHANNEL_H
#define NOTIFY_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/schema/schema.pb-c.h"
#include "notify/settings.h"

#define OUTGOING_HEADERS_MAX 8

/* A request to a provider: HTTP, or SMTP by its URL. All strings are owned by it. */
struct outgoing {
    uint64_t notification_id; /* which page it is; for whoever watches requests leave, the provider is not told */
    char *url;
    char *headers[OUTGOING_HEADERS_MAX]; /* "Name: value" */
    size_t headers_count;
    char *body;
    size_t body_size_bytes;
    char *username, *password; /* HTTP basic, or SMTP AUTH; NULL for none */
    char *mail_from, *mail_to; /* SMTP; mail_to NULL: logs in, if there is a username, and goes without a mail */
    bool require_tls; /* SMTP: refuse to go on in clear text */
    uint32_t deadline_ms;
    bool get; /* HTTP GET, without a body */
    bool probe; /* a channel's: tells nobody, whatever the protocol */
    bool certificate; /* connects and looks at the certificate that is shown; asks for nothing */
};
void outgoing_close(struct outgoing *outgoing);

enum answer_kind {
    ANSWER_RESPONSE,     /* the provider answered: status, headers, body */
    ANSWER_NOT_SENT,     /* it failed before the request can have been taken: not resolved, refused, TLS */
    ANSWER_NO_ANSWER     /* sent, wholly or in part, and then nothing until the deadline or a reset */
};

struct answer {
    enum answer_kind kind;
    unsigned status; /* HTTP, or the SMTP code */
    int64_t retry_after_s; /* -1: none given */
    const char *body;  /* at most ANSWER_BODY_SIZE_BYTES_MAX, NUL-terminated */
    size_t body_size_bytes;
    const char *error; /* in words, when it is no response */
    uint64_t certificate_until_s; /* of outgoing.certificate, since the Unix epoch; 0: none was shown */
    bool certificate_refused;     /* what was shown, or who shows it, cannot be trusted; `error` says why */
};
#define ANSWER_BODY_SIZE_BYTES_MAX 16384

struct verdict {
    Tocsin__Outcome outcome;
    int64_t retry_after_s;  /* -1: the dispatcher's back-off */
    char detail[256];       /* for people: the provider's words, bounded, without secrets */
    char provider_id[128];
};

struct channel {
    Tocsin__Channel channel;
    const char *provider;
    /* NULL when this node can use it, else a sentence that says what is missing. */
    const char *(*missing)(const struct notify_settings *settings);
    /* False with a sentence when this notification cannot be put into a request. */
    bool (*compose)(const struct notify_settings *settings, const Tocsin__Notification *notification,
                    struct outgoing *outgoing, char *error, size_t error_size);
    void (*judge)(const struct answer *answer, struct verdict *verdict);
    /* A question to the provider that costs nothing and tells nobody, with the credentials that pages go out with; the same function in each channel of
     * one provider. NULL: there is nobody to ask. The verdict is SENT (pages would be taken), MISCONFIGURED (refused, until somebody repairs it), or
     * another (it fails). */
    void (*probe)(const struct notify_settings *settings, struct outgoing *outgoing);
    void (*judge_probe)(const struct answer *answer, struct verdict *verdict);
};

/* The channel for a kind, NULL for an unknown one. */
const struct channel *channel_for(Tocsin__Channel kind);
/* All of them, ended by NULL: what /cluster lists. At most CHANNELS_MAX: they are told by the bits of a word. */
#define CHANNELS_MAX 32u
const struct channel *const *channels_all(void);

/* What a person reads, the same on every channel: number, title, service, why, "possibly repeated", how to answer.
 * At most `size` bytes with NUL, cut at a character. */
void message_short(const Tocsin__Notification *notification, char *out, size_t size);
void message_subject(const Tocsin__Notification *notification, char *out, size_t size);
void message_long(const Tocsin__Notification *notification, char *out, size_t size);

/* The classes that every HTTP provider shares (connection errors, 5xx, 429, 401/403, other 4xx); a channel refines them. */
void judge_http(const struct answer *answer, struct verdict *verdict);
/* Replaces a text that holds one of the secrets: a provider, or who pretends to be one, may send back what it was sent. */
void withhold_secrets(const struct notify_settings *settings, char *text, size_t size);

#endif
