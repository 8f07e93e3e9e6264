/*
 * Certificates of the addresses that paging stands on, as the leader sees them: what is told of each, and when it is over.
 *
 *     address ──> connected to, its certificate looked at ──> expires within 30, 7, 1 days, has expired, or is not trusted ──> notice
 *
 * Each of these is a condition of its own: who was told of 30 days is told anew at 7. What people were told is in the replicated state, as with
 * conditions.h; an address that this leader could not look at keeps what was told of it.
 *
 * Pure: time comes in as arguments. No threads.
 */
#ifndef NODE_ENGINE_CERTIFICATES_H
#define NODE_ENGINE_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/schema/schema.pb-c.h"
#include "node/engine/conditions.h"
#include "notify/channel.h"

#define CERTIFICATE_KEY "certificate-"
#define CERTIFICATE_NAME_SIZE 264u /* a host name (RFC 1035: 255 bytes) and a port */
#define CERTIFICATE_WHY_SIZE 160u

/* An address that is looked at. */
struct certificate {
    char name[CERTIFICATE_NAME_SIZE]; /* host, or host:port */
    char scheme[8];                   /* https, smtp or smtps */
    const char *what;                 /* whose it is, in words */
    bool known;                       /* by this leader */
    bool refused;
    uint64_t until_s;                 /* since the Unix epoch; 0: not known */
    char why[CERTIFICATE_WHY_SIZE];   /* of `refused` */
    uint64_t next_ms;                 /* monotonic: when it is looked at next */
};

/* False when the URL leads to no certificate, or to a name that is too long. What may be a secret (user, password, path, query) is not taken. */
bool certificate_of_url(struct certificate *certificate, const char *url, const char *what);
/* What came of a look. False, and nothing is changed, when it was not seen: nobody there, or no TLS. */
bool certificate_take(struct certificate *certificate, const struct answer *answer);
/* Calls `notice` for each thing that people are to be told now, again at each call until the state has it. `wall_ms`: since the Unix epoch. */
void certificates_look(const struct certificate *certificates, size_t count, const Tocsin__NodeConditions *known, uint64_t wall_ms,
                       void (*notice)(void *context, const struct condition_notice *), void *context);

#endif
