/* How this node reaches the providers: from its configuration, secrets from files. Strings are owned by the configuration; NULL or
 * "" means not configured. */
#ifndef NOTIFY_SETTINGS_H
#define NOTIFY_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct notify_settings {
    struct {
        const char *base_url; /* https://api.twilio.com by default */
        const char *account_sid;
        const char *auth_token;
        const char *from; /* E.164, or a messaging service id (MG...) for SMS */
        uint32_t validity_s; /* a text older than this is not delivered any more */
    } twilio;
    struct {
        const char *base_url; /* https://ntfy.sh by default; an address that is a whole URL goes there instead */
        const char *token;    /* tk_..., optional */
    } ntfy;
    struct {
        const char *url; /* smtp://host:587 or smtps://host:465 */
        const char *username, *password;
        const char *from;
        bool require_tls; /* true unless configured otherwise */
    } smtp;
    struct {
        const char *secret; /* signs the body: X-Tocsin-Signature: sha256=<hex of HMAC-SHA256> */
    } webhook;
    const char *public_url;   /* of this cluster's API, for links in messages; may be NULL */
    const char *cluster_name;
};

#endif
