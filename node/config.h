/*
 * The configuration file of a node (inih), one table of keys that is also its documentation.
 *
 *     [node]  id data_dir http_listen public_url ...      [cluster] name
 *     [member.1] address = host:port  [member.2] ...      the first members, the same on every node; for one that joins: whom it asks
 *     [guardian.alice] sms = +15550100  email = ...       who hears of it when nobody else does
 *     [outer.NAME] preset = healthchecks  url = ...       who hears that all is well, and pages when it does not
 *     [twilio] [ntfy] [smtp] [webhook]                    secrets as *_file: files of this node
 */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/outer.h"
#include "notify/settings.h"

#define ONE_MINUTE_MS 60000u
#define CONFIG_MEMBERS_MAX 9
#define CONFIG_GUARDIANS_MAX 20
#define CONFIG_GUARDIAN_CONTACTS_MAX 8

struct config_member {
    uint64_t id;
    char *address;    /* of its peer port */
    char *public_url; /* where its API is found by others; NULL: not known */
};

struct config_contact {
    int channel; /* Tocsin__Channel */
    char *address;
};

struct config_guardian {
    char *name;
    struct config_contact contacts[CONFIG_GUARDIAN_CONTACTS_MAX];
    unsigned contacts_count;
};

struct config {
    uint64_t id;
    char *data_dir;
    char *http_listen; /* 127.0.0.1:7100 by default */
    char *peer_listen; /* the member's own address by default */
    char *public_url;  /* http://<http_listen> by default */
    char *cluster_name;
    char *ca_file;     /* NULL: the authorities of the system alone */
    char *log_level; /* error, warning, info, debug */
    struct config_member members[CONFIG_MEMBERS_MAX];
    unsigned members_count;
    struct config_guardian guardians[CONFIG_GUARDIANS_MAX];
    unsigned guardians_count;
    struct outer outers[OUTER_MAX];
    unsigned outers_count;
    struct notify_settings notify;
    uint32_t election_timeout_ms; /* 800 */
    uint32_t heartbeat_ms;        /* 100 */
    uint32_t last_gasp_after_ms;  /* without a leader for so long, a node pages on its own; 0: never. 90000 */
    uint32_t minute_ms;           /* 60000; less only on loopback */
    uint32_t retention_days, payload_retention_days; /* 0: the cluster's setting stays */
    uint32_t request_wait_ms;     /* how long a request waits for a leader: 5000 */
    uint64_t map_size_mib;        /* of each LMDB environment: 65536 */
    uint64_t log_keep_mib;        /* of log kept for followers that fall behind: 32 */
    bool allow_plain_tcp;         /* peers and HTTP outside loopback without TLS: refused unless set */
};

/* Reads and checks a file. NULL with one sentence naming file and line in `error`: unknown section or key, bad
 * value, missing key, unreadable secret file, addresses outside loopback without allow_plain_tcp, minute_ms below
 * 60000 outside loopback, a first member among other than 1, 3 or 5. */
struct config *config_load(const char *path, char *error, size_t error_size);
void config_free(struct config *config);

/* True when the address ("host:port") is one of this machine's own, reachable from nowhere else. */
bool address_is_loopback(const char *address);

/* The documented list of keys, for --help-config. */
void config_print_help(void);

#endif
