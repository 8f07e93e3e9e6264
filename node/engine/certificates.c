/* What is told of certificates: certificates.h. */
#include "node/engine/certificates.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "consensus/machine/base/siphash.h"
#include "consensus/machine/limits.h"
#include "notify/compose.h"

#define DAY_S UINT64_C(86400)
#define HOUR_S UINT64_C(3600)
#define SUMMARY_CHARACTERS 700
/* Of a name in a key; a longer one ends with its hash. */
#define KEY_NAME_CHARACTERS 43
#define KEY_NAME_CUT_CHARACTERS 26

enum stage { STAGE_EXPIRED, STAGE_DAY, STAGE_WEEK, STAGE_MONTH, STAGE_REFUSED, STAGES, STAGE_NONE = STAGES };

static const struct {
    const char *name;
    uint64_t days; /* that are left at most */
    Tocsin__Severity severity;
} STAGE[STAGES] = {
    [STAGE_EXPIRED] = {"expired", 0, TOCSIN__SEVERITY__SEVERITY_CRITICAL},
    [STAGE_DAY] = {"1", 1, TOCSIN__SEVERITY__SEVERITY_CRITICAL},
    [STAGE_WEEK] = {"7", 7, TOCSIN__SEVERITY__SEVERITY_ERROR},
    [STAGE_MONTH] = {"30", 30, TOCSIN__SEVERITY__SEVERITY_WARNING}, /* may wait until morning */
    [STAGE_REFUSED] = {"untrusted", 0, TOCSIN__SEVERITY__SEVERITY_ERROR},
};

/* ---- addresses */

bool certificate_of_url(struct certificate *certificate, const char *url, const char *what) {
    static const char *const schemes[] = {"https", "smtps", "smtp"};
    *certificate = (struct certificate){.what = what};
    const char *end_of_scheme = url != NULL ? strstr(url, "://") : NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && end_of_scheme != NULL; i++) {
        size_t size = strlen(schemes[i]);
        if ((size_t)(end_of_scheme - url) == size && strncmp(url, schemes[i], size) == 0) (void)snprintf(certificate->scheme, sizeof certificate->scheme, "%s", schemes[i]);
    }
    if (certificate->scheme[0] == '\0') return false;
    const char *host = end_of_scheme + 3;
    size_t size = strcspn(host, "/?#");
    for (size_t i = size; i-- > 0;) {
        if (host[i] != '@') continue;
        host += i + 1;
        size -= i + 1;
        break;
    }
    if (size == 0 || size >= sizeof certificate->name) return false;
    (void)snprintf(certificate->name, sizeof certificate->name, "%.*s", (int)size, host);
    return true;
}

bool certificate_take(struct certificate *certificate, const struct answer *answer) {
    if (answer->certificate_until_s == 0 && !answer->certificate_refused) return false;
    certificate->known = true;
    certificate->refused = answer->certificate_refused;
    certificate->until_s = answer->certificate_until_s;
    const char *why = answer->certificate_refused && answer->error != NULL ? answer->error : "";
    clean_copy(certificate->why, sizeof certificate->why, why, strlen(why));
    return true;
}

/* ---- what is so, and the sentence that says so */

static enum stage stage_of(const struct certificate *certificate, uint64_t wall_s) {
    if (certificate->until_s != 0)
        for (unsigned stage = STAGE_EXPIRED; stage <= STAGE_MONTH; stage++)
            if (certificate->until_s <= wall_s + STAGE[stage].days * DAY_S) return stage;
    return STAGE_NONE;
}

/* What has expired is not trusted either: that is told once. */
static bool is_so(const struct certificate *certificate, enum stage stage, uint64_t wall_s) {
    enum stage reached = stage_of(certificate, wall_s);
    return stage == STAGE_REFUSED ? certificate->refused && reached != STAGE_EXPIRED : stage == reached;
}

static void say(const struct certificate *certificate, enum stage stage, uint64_t wall_s, char *text, size_t size) {
    char date[32];
    struct tm utc;
    time_t until = (time_t)certificate->until_s;
    if (gmtime_r(&until, &utc) == NULL || strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc) == 0) date[0] = '\0';
    uint64_t left_s = certificate->until_s > wall_s ? certificate->until_s - wall_s : 0;
    if (stage == STAGE_REFUSED)
        (void)snprintf(text, size, "The certificate of %s (%s) is not trusted by the leader: %s", certificate->name, certificate->what, certificate->why);
    else if (stage == STAGE_EXPIRED)
        (void)snprintf(text, size, "The certificate of %s (%s) has expired, %s: renew it now, nobody trusts it", certificate->name, certificate->what, date);
    else if (stage == STAGE_DAY)
        (void)snprintf(text, size, "The certificate of %s (%s) expires in %" PRIu64 " hours, %s: renew it now", certificate->name, certificate->what,
                       left_s / HOUR_S, date);
    else
        (void)snprintf(text, size, "The certificate of %s (%s) expires in %" PRIu64 " days, %s: %s", certificate->name, certificate->what,
                       left_s / DAY_S, date, stage == STAGE_WEEK ? "its renewal is late" : "renew it");
}

static void key_of(const struct certificate *certificate, enum stage stage, char key[LIMIT_NODE_CONDITION_KEY_CHARACTERS]) {
    static const uint8_t secret[16];
    size_t length = strlen(certificate->name);
    if (length <= KEY_NAME_CHARACTERS) {
        (void)snprintf(key, LIMIT_NODE_CONDITION_KEY_CHARACTERS, CERTIFICATE_KEY "%s/%.*s", STAGE[stage].name, KEY_NAME_CHARACTERS, certificate->name);
        return;
    }
    uint8_t hash[SIPHASH_SIZE_BYTES];
    uint64_t number;
    siphash(secret, certificate->name, length, hash);
    memcpy(&number, hash, sizeof number);
    (void)snprintf(key, LIMIT_NODE_CONDITION_KEY_CHARACTERS, CERTIFICATE_KEY "%s/%.*s~%08" PRIx32, STAGE[stage].name, KEY_NAME_CUT_CHARACTERS,
                   certificate->name, (uint32_t)number);
}

/* ---- telling */

static const struct certificate *owner_of(const struct certificate *certificates, size_t count, const char *told, enum stage *stage) {
    char key[LIMIT_NODE_CONDITION_KEY_CHARACTERS];
    for (size_t i = 0; i < count; i++)
        for (unsigned s = 0; s < STAGES; s++) {
            key_of(&certificates[i], s, key);
            *stage = s;
            if (strcmp(key, told) == 0) return &certificates[i];
        }
    return NULL;
}

/* What was told and is so no more, or of an address that is asked no more. */
static void end_what_is_over(const struct certificate *certificates, size_t count, const Tocsin__NodeConditions *known, uint64_t wall_s,
                             void (*notice)(void *context, const struct condition_notice *), void *context) {
    for (size_t i = 0; known != NULL && i < known->n_conditions; i++) {
        const Tocsin__NodeCondition *told = known->conditions[i];
        if (strncmp(told->key, CERTIFICATE_KEY, sizeof CERTIFICATE_KEY - 1) != 0) continue;
        enum stage stage;
        const struct certificate *certificate = owner_of(certificates, count, told->key, &stage);
        if (certificate == NULL || (certificate->known && !is_so(certificate, stage, wall_s)))
            notice(context, &(struct condition_notice){told->key, told->summary, TOCSIN__SEVERITY__SEVERITY_INFO, true});
    }
}

static bool is_told(const Tocsin__NodeConditions *known, const char *key) {
    for (size_t i = 0; known != NULL && i < known->n_conditions; i++)
        if (strcmp(known->conditions[i]->key, key) == 0) return true;
    return false;
}

void certificates_look(const struct certificate *certificates, size_t count, const Tocsin__NodeConditions *known, uint64_t wall_ms,
                       void (*notice)(void *context, const struct condition_notice *), void *context) {
    uint64_t wall_s = wall_ms / 1000;
    char key[LIMIT_NODE_CONDITION_KEY_CHARACTERS], text[SUMMARY_CHARACTERS];
    end_what_is_over(certificates, count, known, wall_s, notice, context);
    for (size_t i = 0; i < count; i++)
        for (unsigned stage = 0; stage < STAGES && certificates[i].known; stage++) {
            key_of(&certificates[i], stage, key);
            if (!is_so(&certificates[i], stage, wall_s) || is_told(known, key)) continue;
            say(&certificates[i], stage, wall_s, text, sizeof text);
            notice(context, &(struct condition_notice){key, text, STAGE[stage].severity, false});
        }
}
