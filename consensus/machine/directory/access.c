/* Tokens, by which programs and people are let in, and the settings of the cluster. */
#include <inttypes.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/directory/administrators.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define TOKEN_HASH_SIZE_BYTES 32u /* SHA-256 */
#define RETENTION_DAYS_MAX 36500u

/* ---------------------------------------------------------------- tokens */

static const char *const token_fields[] = {"hash", "name", "user_id", "role", "expires_at_ms", "scopes", NULL};

static bool check_token(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Token *token)
{
    if (!check_line(apply, reply, "The name", token->name, 0, LIMIT_NAME_CHARACTERS)) {
        return false;
    }
    if (token->hash.len != TOKEN_HASH_SIZE_BYTES) {
        reply_refuse(apply, reply, INVALID, "The hash of a token must have %u bytes.", TOKEN_HASH_SIZE_BYTES);
        return false;
    }
    if (token->user_id != 0 && user_get(apply->store, token->user_id, apply->arena) == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER,
                     "The user of the token does not exist.");
        return false;
    }
    if (token->expires_at_ms != 0 && token->expires_at_ms <= apply->time_ms) {
        reply_refuse(apply, reply, INVALID, "The token would have expired already.");
        return false;
    }
    if (token->n_scopes > 0 &&
        !check_room(apply, reply, "scopes of one token", token->n_scopes - 1, LIMIT_SCOPES_PER_TOKEN)) {
        return false;
    }
    for (size_t i = 0; i < token->n_scopes; i++) {
        if (!check_line(apply, reply, "A scope", token->scopes[i], 1, LIMIT_SCOPE_CHARACTERS)) {
            return false;
        }
    }
    if (index_find(apply, TABLE_TOKEN_BY_HASH, key_bytes(token->hash.data, token->hash.len)) != 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_BAD_VALUE,
                     "This token exists already.");
        return false;
    }
    return true;
}

static void token_remove(struct apply *apply, const Tocsin__Token *token)
{
    row_delete(apply, TABLE_TOKEN_BY_HASH, key_bytes(token->hash.data, token->hash.len));
    row_delete(apply, TABLE_TOKEN, key_1(token->id));
}

/* How many tokens a user has (0: the account), without those that are over when these shall make room. The tokens of a
 * whole company are too much for the arena, so each is freed at once. */
static uint64_t tokens_of(struct apply *apply, uint64_t user_id, bool drop_expired)
{
    uint64_t count = 0;
    struct walk walk = walk_all(apply->store, TABLE_TOKEN);
    while (walk_next(&walk)) {
        Tocsin__Token *token = record_unpack(&tocsin__token__descriptor, walk.value, NULL);
        if (token != NULL && drop_expired && token->expires_at_ms != 0 && token->expires_at_ms <= apply->time_ms) {
            token_remove(apply, token);
        } else {
            count += token != NULL && token->user_id == user_id;
        }
        if (token != NULL) {
            tocsin__token__free_unpacked(token, NULL);
        }
    }
    return count;
}

static bool check_token_room(struct apply *apply, Tocsin__Reply *reply, uint64_t user_id)
{
    const struct machine_store *store = apply->store;
    bool full = store->count(store->context, TABLE_TOKEN) >= LIMIT_TOKENS;
    uint64_t count = user_id != 0 || full ? tokens_of(apply, user_id, full) : 0;
    if (user_id != 0 && count >= LIMIT_TOKENS_PER_USER) {
        count = tokens_of(apply, user_id, true);
    }
    return (user_id == 0 || check_room(apply, reply, "tokens of one user", count, LIMIT_TOKENS_PER_USER)) &&
           check_room(apply, reply, "tokens", store->count(store->context, TABLE_TOKEN), LIMIT_TOKENS);
}

void apply_token_put(struct apply *apply, const Tocsin__TokenPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->token)) {
        return;
    }
    Tocsin__Token token;
    tocsin__token__init(&token);
    record_patch(&token.base, &put->token->base, true, 0, token_fields);
    if (!check_token(apply, reply, &token) || !check_token_room(apply, reply, token.user_id)) {
        return;
    }
    token.id = apply_new_id(apply);
    token.created_at_ms = apply->time_ms;
    token.created_by = (Tocsin__Actor *)(uintptr_t)apply->actor; /* packed at once, not changed */
    index_put(apply, TABLE_TOKEN_BY_HASH, key_bytes(token.hash.data, token.hash.len), token.id);
    token_put(apply->store, &token);
    reply_id(apply, reply, token.id);
}

void apply_token_delete(struct apply *apply, const Tocsin__TokenDelete *delete, Tocsin__Reply *reply)
{
    const Tocsin__Token *token = token_get(apply->store, delete->id, apply->arena);
    if (token == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "token", delete->id);
        return;
    }
    if (check_administrator_stays(apply, reply, &(struct leaving){.token_id = token->id})) {
        token_remove(apply, token);
        reply_id(apply, reply, token->id);
    }
}

/* Which day is all that is kept: several nodes may tell of the same. */
void apply_token_use(struct apply *apply, const Tocsin__TokenUse *use, Tocsin__Reply *reply)
{
    Tocsin__Token *token = token_get(apply->store, use->id, apply->arena);
    if (token == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "token", use->id);
        return;
    }
    uint64_t day_ms = apply->time_ms - apply->time_ms % TOKEN_USE_MS;
    if (token->last_used_at_ms < day_ms) {
        token->last_used_at_ms = day_ms;
        token_put(apply->store, token);
    }
    reply_id(apply, reply, token->id);
}

/* ---------------------------------------------------------------- settings */

static const char *const settings_fields[] = {"minute_ms", "retention_days", "payload_retention_days",
                                              "guardians", "cluster_name",   NULL};

static bool check_number(struct apply *apply, Tocsin__Reply *reply, const char *what, uint32_t number, uint32_t min,
                         uint32_t max)
{
    if (number < min || number > max) {
        reply_refuse(apply, reply, INVALID, "%s must be %" PRIu32 " to %" PRIu32 ".", what, min, max);
        return false;
    }
    return true;
}

static bool check_guardians(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Settings *settings)
{
    if (settings->n_guardians > 0 &&
        !check_room(apply, reply, "guardians", settings->n_guardians - 1, LIMIT_GUARDIANS)) {
        return false;
    }
    for (size_t i = 0; i < settings->n_guardians; i++) {
        Tocsin__Guardian *guardian = settings->guardians[i];
        if (!check_line(apply, reply, "The name of a guardian", guardian->name, 1, LIMIT_USER_NAME_CHARACTERS) ||
            (guardian->n_contact_methods > 0 &&
             !check_room(apply, reply, "contact methods of one guardian", guardian->n_contact_methods - 1,
                         LIMIT_CONTACT_METHODS_PER_USER))) {
            return false;
        }
        for (size_t j = 0; j < guardian->n_contact_methods; j++) {
            if (!check_contact_method(apply, reply, guardian->contact_methods[j])) {
                return false;
            }
        }
    }
    return true;
}

static Tocsin__Settings *settings_copy(struct apply *apply)
{
    Tocsin__Settings *settings = apply_alloc(apply, sizeof *settings);
    *settings = *apply->settings;
    return settings;
}

static void settings_change(struct apply *apply, const Tocsin__Settings *settings)
{
    apply->settings = settings;
    apply->settings_changed = true;
}

void apply_settings_put(struct apply *apply, const Tocsin__SettingsPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->settings)) {
        return;
    }
    Tocsin__Settings *settings = settings_copy(apply);
    record_patch(&settings->base, &put->settings->base, false, put->fields, settings_fields);
    if (field_given(put->fields, &tocsin__settings__descriptor, "machine_version")) {
        reply_refuse(apply, reply, INVALID, "The machine's version is raised by the leader, when every member follows it.");
        return;
    }
    if (!check_number(apply, reply, "The milliseconds of a minute", settings->minute_ms, 1, DEFAULT_MINUTE_MS) ||
        !check_number(apply, reply, "The days of retention", settings->retention_days, 1, RETENTION_DAYS_MAX) ||
        !check_number(apply, reply, "The days of payload retention", settings->payload_retention_days, 1,
                      RETENTION_DAYS_MAX) ||
        !check_line(apply, reply, "The cluster's name", settings->cluster_name, 0, LIMIT_NAME_CHARACTERS) ||
        !check_guardians(apply, reply, settings)) {
        return;
    }
    settings_change(apply, settings);
}

/* The rules of a version are not left again: what was written under them stays. */
void apply_version_raise(struct apply *apply, const Tocsin__VersionRaise *raise, Tocsin__Reply *reply)
{
    if (raise->version != apply->settings->machine_version + 1) {
        reply_refuse(apply, reply, INVALID, "Version %" PRIu32 " is in force: the next one is %" PRIu32 ".",
                     apply->settings->machine_version, apply->settings->machine_version + 1);
        return;
    }
    Tocsin__Settings *settings = settings_copy(apply);
    settings->machine_version = raise->version;
    settings_change(apply, settings);
}
