/*
 * One table of keys: it reads, gives defaults, frees, and prints the help.
 *
 * Sections with a name of their own ([member.1], [guardian.alice]) make an object each; their keys stand in the help's
 * table too.
 */
#include "node/config.h"

#include <assert.h>
#include <arpa/inet.h>
#include <errno.h>
#include <ini.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/schema/schema.pb-c.h"
#include "node/http/utf8.h"
#include "node/log.h"
#include "notify/compose.h"

#define SECRET_SIZE_BYTES_MAX 4096
#define NAME_CHARACTERS_MAX 100u

enum type {
    TYPE_TEXT,     /* char * */
    TYPE_NUMBER32, /* uint32_t */
    TYPE_NUMBER64, /* uint64_t */
    TYPE_FLAG,     /* bool: yes or no, true or false, on or off, 1 or 0 */
    TYPE_SECRET    /* char *: what is in the file that is named */
};

struct key {
    const char *section, *name;
    enum type type;
    size_t offset; /* in struct config */
    const char *standard; /* the default; NULL: none */
    uint64_t min, max;    /* of numbers */
    const char *help;
};

#define AT(field) offsetof(struct config, field)

static const struct key keys[] = {
    {"node", "id", TYPE_NUMBER64, AT(id), NULL, 1, INT64_MAX, "number of this node, never used again for another one"},
    {"node", "data_dir", TYPE_TEXT, AT(data_dir), NULL, 0, 0, "folder of the log and the state"},
    {"node", "http_listen", TYPE_TEXT, AT(http_listen), "127.0.0.1:7100", 0, 0, "address and port of the HTTP API"},
    {"node", "peer_listen", TYPE_TEXT, AT(peer_listen), NULL, 0, 0,
     "address and port for the other nodes (this member's own address)"},
    {"node", "public_url", TYPE_TEXT, AT(public_url), NULL, 0, 0,
     "the API as clients reach it, for links (http://<http_listen>)"},
    {"node", "ca_file", TYPE_TEXT, AT(ca_file), NULL, 0, 0,
     "certificates (PEM) of authorities to trust beside the system's, for outgoing https and mail"},
    {"node", "log_level", TYPE_TEXT, AT(log_level), "info", 0, 0, "error, warning, info or debug"},
    {"node", "allow_plain_tcp", TYPE_FLAG, AT(allow_plain_tcp), "no", 0, 0,
     "listen and connect outside loopback without TLS: only where the network is trusted"},
    {"node", "request_wait_ms", TYPE_NUMBER32, AT(request_wait_ms), "5000", 100, 60000,
     "how long a request waits for a leader before it is answered with 503"},
    {"node", "map_size_mib", TYPE_NUMBER64, AT(map_size_mib), "65536", 64, 16u << 20,
     "how far each database may grow (address space, not disk)"},
    {"node", "log_keep_mib", TYPE_NUMBER64, AT(log_keep_mib), "32", 1, 65536, "log kept for nodes that fall behind"},
    {"cluster", "name", TYPE_TEXT, AT(cluster_name), "tocsin", 0, 0, "shown in messages"},
    {"cluster", "election_timeout_ms", TYPE_NUMBER32, AT(election_timeout_ms), "800", 50, 60000,
     "silence of the leader after which another is elected"},
    {"cluster", "heartbeat_ms", TYPE_NUMBER32, AT(heartbeat_ms), "100", 5, 10000, "how often the leader speaks"},
    {"cluster", "last_gasp_after_ms", TYPE_NUMBER32, AT(last_gasp_after_ms), "90000", 0, 3600000,
     "without a leader for so long, a node that was current pages on its own, marked DEGRADED (0: never)"},
    {"cluster", "minute_ms", TYPE_NUMBER32, AT(minute_ms), "60000", 10, ONE_MINUTE_MS,
     "length of a minute of policies and rules; less only in development, on loopback"},
    {"cluster", "retention_days", TYPE_NUMBER32, AT(retention_days), "0", 0, 36500,
     "how long resolved incidents are kept (0: the cluster's setting stays)"},
    {"cluster", "payload_retention_days", TYPE_NUMBER32, AT(payload_retention_days), "0", 0, 36500,
     "how long events are kept as sent (0: the cluster's setting stays)"},
    {"twilio", "base_url", TYPE_TEXT, AT(notify.twilio.base_url), "https://api.twilio.com", 0, 0, "of Twilio's API"},
    {"twilio", "account_sid", TYPE_TEXT, AT(notify.twilio.account_sid), NULL, 0, 0, "AC..."},
    {"twilio", "auth_token_file", TYPE_SECRET, AT(notify.twilio.auth_token), NULL, 0, 0, "file with the auth token"},
    {"twilio", "from", TYPE_TEXT, AT(notify.twilio.from), NULL, 0, 0,
     "number that texts and calls come from (+15550100), or a messaging service (MG...)"},
    {"twilio", "validity_s", TYPE_NUMBER32, AT(notify.twilio.validity_s), "3600", 1, 14400,
     "a text that could not be delivered for so long is dropped"},
    {"ntfy", "base_url", TYPE_TEXT, AT(notify.ntfy.base_url), "https://ntfy.sh", 0, 0, "server of push topics"},
    {"ntfy", "token_file", TYPE_SECRET, AT(notify.ntfy.token), NULL, 0, 0, "file with the access token"},
    {"smtp", "url", TYPE_TEXT, AT(notify.smtp.url), NULL, 0, 0, "smtp://host:587 or smtps://host:465"},
    {"smtp", "username", TYPE_TEXT, AT(notify.smtp.username), NULL, 0, 0, "to log in with"},
    {"smtp", "password_file", TYPE_SECRET, AT(notify.smtp.password), NULL, 0, 0, "file with the password"},
    {"smtp", "from", TYPE_TEXT, AT(notify.smtp.from), NULL, 0, 0, "sender's address"},
    {"smtp", "require_tls", TYPE_FLAG, AT(notify.smtp.require_tls), "yes", 0, 0, "refuse to send without encryption"},
    {"webhook", "secret_file", TYPE_SECRET, AT(notify.webhook.secret), NULL, 0, 0,
     "file with the secret that signs bodies"},
};

#define KEYS_COUNT (sizeof keys / sizeof *keys)

/* Contacts of a guardian; a key may stand several times. */
static const struct {
    const char *name;
    Tocsin__Channel channel;
    const char *help;
} contact_keys[] = {
    {"sms", TOCSIN__CHANNEL__CHANNEL_SMS, "number for text messages (+15550100)"},
    {"voice", TOCSIN__CHANNEL__CHANNEL_VOICE, "number for calls (+15550100)"},
    {"push", TOCSIN__CHANNEL__CHANNEL_PUSH, "ntfy topic or topic URL"},
    {"email", TOCSIN__CHANNEL__CHANNEL_EMAIL, "e-mail address"},
    {"webhook", TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "URL"},
};

#define CONTACT_KEYS_COUNT (sizeof contact_keys / sizeof *contact_keys)

struct reading {
    struct config *config;
    FILE *file;
    const char *path;
    unsigned line;
    bool given[KEYS_COUNT];
    bool failed;
    char *error;
    size_t error_size;
};

/* Notes the first error; returns what an inih handler returns then. */
static __attribute__((format(printf, 2, 3))) int fail(struct reading *reading, const char *format, ...)
{
    char sentence[512], place[16] = "";
    va_list arguments;

    if (!reading->failed) {
        va_start(arguments, format);
        vsnprintf(sentence, sizeof sentence, format, arguments);
        va_end(arguments);
        if (reading->line > 0) {
            snprintf(place, sizeof place, ":%u", reading->line);
        }
        snprintf(reading->error, reading->error_size, "%s%s: %s", reading->path, place, sentence);
        reading->failed = true;
    }
    return 0;
}

static char *copy(const char *text)
{
    char *copied = strdup(text);
    if (copied == NULL) {
        abort();
    }
    return copied;
}

/* ---------------------------------------------------------------- values */

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *out >= min && *out <= max;
}

static bool parse_flag(const char *text, bool *out)
{
    static const char *const words[][2] = {{"yes", "no"}, {"true", "false"}, {"on", "off"}, {"1", "0"}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        for (int j = 0; j < 2; j++) {
            if (strcasecmp(text, words[i][j]) == 0) {
                *out = j == 0;
                return true;
            }
        }
    }
    return false;
}

/* What is in a secret's file, without the newline at its end. NULL: an error was noted. */
static char *read_secret(struct reading *reading, const char *path)
{
    char text[SECRET_SIZE_BYTES_MAX + 1];
    struct stat about;
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        fail(reading, "cannot read the secret in %s: %s", path, strerror(errno));
        return NULL;
    }
    size_t size = fread(text, 1, sizeof text, file);
    bool broken = ferror(file) != 0;
    bool open_to_all = fstat(fileno(file), &about) == 0 && (about.st_mode & S_IRWXO) != 0;
    fclose(file);
    while (size > 0 && size < sizeof text && (text[size - 1] == '\n' || text[size - 1] == '\r')) {
        size--;
    }
    if (broken || size == 0 || size >= sizeof text || memchr(text, '\0', size) != NULL ||
        memchr(text, '\n', size) != NULL) {
        fail(reading, "%s does not hold a secret: one line of at most %d bytes", path, SECRET_SIZE_BYTES_MAX);
        return NULL;
    }
    if (open_to_all) {
        log_warning("everybody on this machine may read the secret in %s", path);
    }
    text[size] = '\0';
    char *secret = copy(text);
    explicit_bzero(text, sizeof text);
    return secret;
}

static void *field_of(struct config *config, const struct key *key)
{
    return (char *)config + key->offset;
}

static bool is_text(enum type type)
{
    return type == TYPE_TEXT || type == TYPE_SECRET;
}

static void set_text(struct config *config, const struct key *key, char *text)
{
    char **field = field_of(config, key);

    free(*field);
    *field = text;
}

static int set_value(struct reading *reading, const struct key *key, const char *text)
{
    void *field = field_of(reading->config, key);
    uint64_t number = 0;
    char *secret;

    switch (key->type) {
    case TYPE_TEXT:
        set_text(reading->config, key, copy(text));
        return 1;
    case TYPE_SECRET:
        secret = read_secret(reading, text);
        if (secret == NULL) {
            return 0;
        }
        set_text(reading->config, key, secret);
        return 1;
    case TYPE_FLAG:
        return parse_flag(text, field) ? 1 : fail(reading, "%s must be yes or no", key->name);
    case TYPE_NUMBER32:
    case TYPE_NUMBER64:
        if (!parse_number(text, key->min, key->max, &number)) {
            return fail(reading, "%s must be a whole number from %llu to %llu", key->name, (unsigned long long)key->min,
                        (unsigned long long)key->max);
        }
        if (key->type == TYPE_NUMBER32) {
            *(uint32_t *)field = (uint32_t)number;
        } else {
            *(uint64_t *)field = number;
        }
        return 1;
    }
    abort(); /* no other type exists */
}

/* ---------------------------------------------------------------- sections with a name of their own */

/* What follows "<kind>." in a section's name; NULL when it is of another kind. */
static const char *section_name(const char *section, const char *kind)
{
    size_t length = strlen(kind);

    return strncmp(section, kind, length) == 0 && section[length] == '.' ? section + length + 1 : NULL;
}

/* That of this id, a new one if there is none; NULL: an error was noted. */
static struct config_member *find_member(struct reading *reading, uint64_t id)
{
    struct config *config = reading->config;

    for (unsigned i = 0; i < config->members_count; i++) {
        if (config->members[i].id == id) {
            return &config->members[i];
        }
    }
    if (config->members_count == CONFIG_MEMBERS_MAX) {
        fail(reading, "there are more than %d members", CONFIG_MEMBERS_MAX);
        return NULL;
    }
    struct config_member *member = &config->members[config->members_count++];
    member->id = id;
    return member;
}

static int set_member(struct reading *reading, const char *name, const char *key, const char *value)
{
    struct config *config = reading->config;
    uint64_t id;

    if (!parse_number(name, 1, INT64_MAX, &id)) {
        return fail(reading, "[member.%s]: a member's name is its node's id, a number", name);
    }
    bool is_address = strcmp(key, "address") == 0;
    if (!is_address && strcmp(key, "public_url") != 0) {
        return fail(reading, "[member.%s] has no key \"%s\": it has address and public_url", name, key);
    }
    struct config_member *member = find_member(reading, id);
    if (member == NULL) {
        return 0;
    }
    char **text = is_address ? &member->address : &member->public_url;
    if (*text != NULL) {
        return fail(reading, "[member.%s] has %s already", name, is_address ? "an address" : "a public_url");
    }
    for (unsigned i = 0; i < config->members_count && is_address; i++) {
        if (config->members[i].address != NULL && strcmp(config->members[i].address, value) == 0) {
            return fail(reading, "two members have the address %s", value);
        }
    }
    if (!is_address && !http_url_is_valid(value)) {
        return fail(reading, "public_url of [member.%s] must be http:// or https:// and a host", name);
    }
    *text = copy(value);
    return 1;
}

static struct config_guardian *find_guardian(struct reading *reading, const char *name)
{
    struct config *config = reading->config;

    for (unsigned i = 0; i < config->guardians_count; i++) {
        if (strcmp(config->guardians[i].name, name) == 0) {
            return &config->guardians[i];
        }
    }
    if (config->guardians_count == CONFIG_GUARDIANS_MAX) {
        fail(reading, "there are more than %d guardians", CONFIG_GUARDIANS_MAX);
        return NULL;
    }
    struct config_guardian *guardian = &config->guardians[config->guardians_count++];
    guardian->name = copy(name);
    return guardian;
}

static int set_guardian(struct reading *reading, const char *name, const char *key, const char *value)
{
    size_t i = 0, characters = 0;

    while (i < CONTACT_KEYS_COUNT && strcmp(contact_keys[i].name, key) != 0) {
        i++;
    }
    if (i == CONTACT_KEYS_COUNT) {
        return fail(reading, "[guardian.%s] has no key \"%s\": it has sms, voice, push, email and webhook", name, key);
    }
    Tocsin__Channel channel = contact_keys[i].channel;
    if ((channel == TOCSIN__CHANNEL__CHANNEL_SMS || channel == TOCSIN__CHANNEL__CHANNEL_VOICE) && value[0] != '+') {
        return fail(reading, "%s must be a number with its country code: +15550100", key);
    }
    if (!utf8_count(value, strlen(value), &characters) || characters > LIMIT_ADDRESS_CHARACTERS) {
        return fail(reading, "%s is not a text of at most %u characters", key, LIMIT_ADDRESS_CHARACTERS);
    }
    struct config_guardian *guardian = find_guardian(reading, name);
    if (guardian == NULL) {
        return 0;
    }
    if (guardian->contacts_count == CONFIG_GUARDIAN_CONTACTS_MAX) {
        return fail(reading, "[guardian.%s] has more than %d contacts", name, CONFIG_GUARDIAN_CONTACTS_MAX);
    }
    guardian->contacts[guardian->contacts_count++] =
        (struct config_contact){.channel = (int)channel, .address = copy(value)};
    return 1;
}

static struct outer *find_outer(struct reading *reading, const char *name)
{
    struct config *config = reading->config;

    for (unsigned i = 0; i < config->outers_count; i++) {
        if (strcmp(config->outers[i].name, name) == 0) {
            return &config->outers[i];
        }
    }
    if (config->outers_count == OUTER_MAX) {
        fail(reading, "there are more than %u sections [outer.NAME]", OUTER_MAX);
        return NULL;
    }
    struct outer *outer = &config->outers[config->outers_count++];
    outer->name = copy(name);
    return outer;
}

static int set_outer(struct reading *reading, const char *name, const char *key, const char *value)
{
    bool is_preset = strcmp(key, "preset") == 0, is_url = strcmp(key, "url") == 0;

    if (!is_preset && !is_url && strcmp(key, "key_file") != 0) {
        return fail(reading, "[outer.%s] has no key \"%s\": it has preset, url and key_file", name, key);
    }
    struct outer *outer = find_outer(reading, name);
    if (outer == NULL) {
        return 0;
    }
    if (is_preset ? outer->preset != NULL : is_url ? outer->url != NULL : outer->key != NULL) {
        return fail(reading, "[outer.%s] has %s already", name, key);
    }
    if (is_preset) {
        outer->preset = outer_preset_find(value);
        return outer->preset != NULL ? 1 : fail(reading, "preset of [outer.%s] must be " OUTER_PRESETS, name);
    }
    if (is_url && !http_url_is_valid(value)) {
        return fail(reading, "url of [outer.%s] must be http:// or https:// and a host", name);
    }
    char **text = is_url ? &outer->url : &outer->key;
    *text = is_url ? copy(value) : read_secret(reading, value);
    return *text != NULL;
}

/* ---------------------------------------------------------------- the file */

static int on_key(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    const char *own_name;
    size_t characters;
    bool section_known = false;

    if (reading->failed) {
        return 0;
    }
    if (!utf8_count(value, strlen(value), &characters) || characters == 0) {
        return fail(reading, "%s has no value, or one that is not UTF-8", name);
    }
    if ((own_name = section_name(section, "member")) != NULL) {
        return set_member(reading, own_name, name, value);
    }
    if ((own_name = section_name(section, "guardian")) != NULL) {
        if (!utf8_count(own_name, strlen(own_name), &characters) || characters == 0) {
            return fail(reading, "[guardian.NAME] needs a name");
        }
        return set_guardian(reading, own_name, name, value);
    }
    if ((own_name = section_name(section, "outer")) != NULL) {
        if (!utf8_count(own_name, strlen(own_name), &characters) || characters == 0 || characters > NAME_CHARACTERS_MAX) {
            return fail(reading, "[outer.NAME] needs a name of at most %u characters", NAME_CHARACTERS_MAX);
        }
        return set_outer(reading, own_name, name, value);
    }
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strcmp(keys[i].section, section) != 0) {
            continue;
        }
        section_known = true;
        if (strcmp(keys[i].name, name) == 0) {
            if (reading->given[i]) {
                return fail(reading, "%s is given twice", name);
            }
            reading->given[i] = true;
            return set_value(reading, &keys[i], value);
        }
    }
    if (section[0] == '\0') {
        return fail(reading, "%s stands before the first [section]", name);
    }
    return section_known ? fail(reading, "[%s] has no key \"%s\"", section, name)
                         : fail(reading, "there is no section [%s]", section);
}

/* Counts lines, so that errors can name them. inih would take the rest of a line beyond its buffer for another line. */
static char *read_line(char *buffer, int size, void *context)
{
    struct reading *reading = context;

    if (reading->failed || fgets(buffer, size, reading->file) == NULL) {
        return NULL;
    }
    reading->line++;
    if (strchr(buffer, '\n') == NULL && !feof(reading->file)) {
        fail(reading, "the line is too long, or holds a NUL byte");
        return NULL;
    }
    return buffer;
}

static bool read_file(struct reading *reading)
{
    reading->file = fopen(reading->path, "re");
    if (reading->file == NULL) {
        fail(reading, "cannot be read: %s", strerror(errno));
        return false;
    }
    int code = ini_parse_stream(read_line, reading, on_key, reading);
    bool broken = ferror(reading->file) != 0;
    fclose(reading->file);
    reading->file = NULL;
    /* inih goes on after a line that it does not understand: of two mistakes the first is told. */
    if (code != 0 && (!reading->failed || (unsigned)code < reading->line)) {
        reading->failed = false;
        reading->line = code > 0 ? (unsigned)code : 0;
        fail(reading, "the line is neither [section] nor key = value");
    }
    reading->line = 0; /* what is checked from here on concerns the file as a whole */
    if (broken) {
        fail(reading, "cannot be read: %s", strerror(errno));
    }
    return !reading->failed;
}

/* ---------------------------------------------------------------- the whole */

bool address_is_loopback(const char *address)
{
    const char *colon = strrchr(address, ':');
    char host[256];
    struct in_addr v4;

    snprintf(host, sizeof host, "%.*s", (int)(colon != NULL ? colon - address : (ptrdiff_t)strlen(address)), address);
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

static bool has_port(const char *address)
{
    const char *colon = strrchr(address, ':');
    uint64_t port;

    return colon != NULL && colon > address && parse_number(colon + 1, 0, UINT16_MAX, &port);
}

static void check_addresses(struct reading *reading)
{
    struct config *config = reading->config;
    const char *addresses[CONFIG_MEMBERS_MAX + 2] = {config->http_listen, config->peer_listen};
    unsigned count = 2;

    for (unsigned i = 0; i < config->members_count; i++) {
        addresses[count++] = config->members[i].address;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!has_port(addresses[i])) {
            fail(reading, "\"%s\" is not an address: write host:port, 1.2.3.4:port or [v6]:port", addresses[i]);
        } else if (!address_is_loopback(addresses[i]) && config->minute_ms < ONE_MINUTE_MS) {
            fail(reading, "minute_ms below %u is for development on loopback only, and %s is not loopback",
                 ONE_MINUTE_MS, addresses[i]);
        } else if (!address_is_loopback(addresses[i]) && !config->allow_plain_tcp) {
            fail(reading,
                 "%s is outside loopback and would be reached without TLS: set [node] allow_plain_tcp = yes where "
                 "the network is trusted",
                 addresses[i]);
        }
    }
}

/* A first member knows all of them; a node that joins, some. */
static void check_members(struct reading *reading)
{
    struct config *config = reading->config;
    const char *own_address = NULL;

    for (unsigned i = 0; i < config->members_count; i++) {
        if (config->members[i].address == NULL) {
            fail(reading, "[member.%llu] needs an address", (unsigned long long)config->members[i].id);
            return;
        }
        if (config->members[i].id == config->id) {
            own_address = config->members[i].address;
        }
    }
    bool can_begin = config->members_count == 1 || config->members_count == 3 || config->members_count == 5;
    if (config->members_count == 0 || (own_address != NULL && !can_begin)) {
        fail(reading, "there are %u sections [member.ID]: a cluster begins with 1, 3 or 5 members",
             config->members_count);
        return;
    }
    if (config->peer_listen == NULL && own_address != NULL) {
        config->peer_listen = copy(own_address);
    }
    if (config->peer_listen == NULL) {
        fail(reading, "node %llu is not one of the members: it needs [node] peer_listen",
             (unsigned long long)config->id);
    }
}

static void check_providers(struct reading *reading)
{
    const struct notify_settings *notify = &reading->config->notify;
    unsigned twilio_parts = (notify->twilio.account_sid != NULL) + (notify->twilio.auth_token != NULL) +
                            (notify->twilio.from != NULL);

    if (twilio_parts != 0 && twilio_parts != 3) {
        fail(reading, "[twilio] needs account_sid, auth_token_file and from");
    }
    if (!http_url_is_valid(notify->twilio.base_url) || !http_url_is_valid(notify->ntfy.base_url)) {
        fail(reading, "base_url of [twilio] and [ntfy] must be http:// or https:// and a host");
    }
    if (notify->smtp.url != NULL && strncmp(notify->smtp.url, "smtp://", 7) != 0 &&
        strncmp(notify->smtp.url, "smtps://", 8) != 0) {
        fail(reading, "url of [smtp] must begin with smtp:// or smtps://");
    }
    if (notify->smtp.url != NULL && notify->smtp.from == NULL) {
        fail(reading, "[smtp] needs from");
    }
    if ((notify->smtp.username != NULL) != (notify->smtp.password != NULL)) {
        fail(reading, "[smtp] needs both username and password_file, or neither");
    }
}

static void check_outers(struct reading *reading)
{
    struct config *config = reading->config;

    for (unsigned i = 0; i < config->outers_count; i++) {
        const char *wrong = outer_complete(&config->outers[i]);
        if (wrong != NULL) {
            fail(reading, "[outer.%s] %s", config->outers[i].name, wrong);
            return;
        }
        if (outer_is_mute(&config->outers[i])) {
            log_warning("[outer.%s]: nobody is paged there when its pings end: PagerDuty has no heartbeats", config->outers[i].name);
        }
    }
}

/* Better known at the start than at the first page. */
static void check_ca_file(struct reading *reading)
{
    const char *path = reading->config->ca_file;

    if (path != NULL && access(path, R_OK) != 0) {
        fail(reading, "cannot read the ca_file %s: %s", path, strerror(errno));
    }
}

static void check_texts(struct reading *reading)
{
    struct config *config = reading->config;
    enum log_level level;
    size_t characters = 0;

    if (!log_level_parse(config->log_level, &level)) {
        fail(reading, "log_level must be error, warning, info or debug");
    }
    if (!utf8_count(config->cluster_name, strlen(config->cluster_name), &characters) ||
        characters > NAME_CHARACTERS_MAX) {
        fail(reading, "[cluster] name is too long (maximum is %u characters)", NAME_CHARACTERS_MAX);
    }
    if (config->public_url == NULL) {
        size_t size = strlen(config->http_listen) + sizeof "http://";
        config->public_url = malloc(size);
        if (config->public_url == NULL) {
            abort();
        }
        snprintf(config->public_url, size, "http://%s", config->http_listen);
    }
    if (!http_url_is_valid(config->public_url)) {
        fail(reading, "public_url must be http:// or https:// and a host");
    }
    for (size_t length = strlen(config->public_url); length > 0 && config->public_url[length - 1] == '/';) {
        config->public_url[--length] = '\0'; /* paths are added to it */
    }
    if (config->heartbeat_ms * 2 > config->election_timeout_ms) {
        fail(reading, "heartbeat_ms must be at most half of election_timeout_ms");
    }
}

static void check_whole(struct reading *reading)
{
    struct config *config = reading->config;

    if (config->id == 0 || config->data_dir == NULL) {
        fail(reading, "[node] needs %s", config->id == 0 ? "id" : "data_dir");
        return;
    }
    check_members(reading);
    if (!reading->failed) {
        check_addresses(reading);
        check_providers(reading);
        check_outers(reading);
        check_ca_file(reading);
        check_texts(reading);
    }
    config->notify.public_url = config->public_url;
    config->notify.cluster_name = config->cluster_name;
}

static void set_defaults(struct reading *reading)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (keys[i].standard != NULL && set_value(reading, &keys[i], keys[i].standard) == 0) {
            abort(); /* the table contradicts itself */
        }
    }
}

struct config *config_load(const char *path, char *error, size_t error_size)
{
    struct config *config = calloc(1, sizeof *config);
    struct reading reading = {.config = config, .path = path, .error = error, .error_size = error_size};

    if (config == NULL) {
        abort();
    }
    set_defaults(&reading);
    if (read_file(&reading)) {
        check_whole(&reading);
    }
    if (reading.failed) {
        config_free(config);
        return NULL;
    }
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (is_text(keys[i].type)) {
            set_text(config, &keys[i], NULL);
        }
    }
    for (unsigned i = 0; i < config->members_count; i++) {
        free(config->members[i].address);
        free(config->members[i].public_url);
    }
    for (unsigned i = 0; i < config->guardians_count; i++) {
        for (unsigned j = 0; j < config->guardians[i].contacts_count; j++) {
            free(config->guardians[i].contacts[j].address);
        }
        free(config->guardians[i].name);
    }
    for (unsigned i = 0; i < config->outers_count; i++) {
        free(config->outers[i].name);
        free(config->outers[i].url);
        free(config->outers[i].key);
    }
    free(config);
}

void config_print_help(void)
{
    const char *section = "";

    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strcmp(section, keys[i].section) != 0) {
            section = keys[i].section;
            printf("%s[%s]\n", i > 0 ? "\n" : "", section);
        }
        printf("  %-24s%s", keys[i].name, keys[i].help);
        if (keys[i].standard != NULL) {
            printf(" (%s)", keys[i].standard);
        }
        printf("\n");
    }
    printf("\n[member.ID]               1, 3 or 5 of them: the first members, the same on every node; of a node that\n"
           "                          joins later: any of the members, without itself\n");
    printf("  %-24s%s\n", "address", "host:port of its peer_listen");
    printf("  %-24s%s\n", "public_url", "of its API: asked for a leader before a node pages on its own");
    printf("\n[guardian.NAME]           who hears of it when nobody else does; a key may stand several times\n");
    for (size_t i = 0; i < CONTACT_KEYS_COUNT; i++) {
        printf("  %-24s%s\n", contact_keys[i].name, contact_keys[i].help);
    }
    printf("\n[outer.NAME]              outside services that the leader pings while all is well; at most %u\n", OUTER_MAX);
    printf("  %-24s%s\n", "preset", OUTER_PRESETS);
    printf("  %-24s%s\n", "url", "what is pinged, whole, with its key or name");
    printf("  %-24s%s\n", "key_file", "file with Opsgenie's API key, or PagerDuty's routing key");
}
