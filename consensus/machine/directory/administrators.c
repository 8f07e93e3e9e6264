/* See administrators.h. */
#include "consensus/machine/directory/administrators.h"

#include "consensus/machine/checks.h"

bool role_administers(Tocsin__Role role)
{
    return role == TOCSIN__ROLE__ROLE_OWNER || role == TOCSIN__ROLE__ROLE_ADMIN;
}

/* The token's own role, or that of its person. */
static Tocsin__Role role_of(const struct machine_store *store, const Tocsin__Token *token)
{
    if (token->user_id == 0) {
        return token->role;
    }
    Tocsin__User *user = user_get(store, token->user_id, NULL);
    Tocsin__Role role = TOCSIN__ROLE__ROLE_NONE;
    if (user != NULL) {
        role = token->role != TOCSIN__ROLE__ROLE_NONE ? token->role : user->role;
        tocsin__user__free_unpacked(user, NULL);
    }
    return role;
}

bool token_administers(const struct machine_store *store, const Tocsin__Token *token, uint64_t at_ms)
{
    bool over = token->expires_at_ms != 0 && token->expires_at_ms <= at_ms;
    return !over && token->n_scopes == 0 && role_administers(role_of(store, token));
}

static bool leaves(const Tocsin__Token *token, const struct leaving *leaving)
{
    if (leaving->user_id == 0) {
        return token->id == leaving->token_id;
    }
    return token->user_id == leaving->user_id && (!leaving->demoted || token->role == TOCSIN__ROLE__ROLE_NONE);
}

bool check_administrator_stays(struct apply *apply, Tocsin__Reply *reply, const struct leaving *leaving)
{
    bool one_leaves = false, one_stays = false;
    struct walk walk = walk_all(apply->store, TABLE_TOKEN);
    while (!one_stays && walk_next(&walk)) {
        Tocsin__Token *token = record_unpack(&tocsin__token__descriptor, walk.value, NULL);
        if (token != NULL && token_administers(apply->store, token, apply->time_ms)) {
            bool this_leaves = leaves(token, leaving);
            one_leaves = one_leaves || this_leaves;
            one_stays = !this_leaves;
        }
        if (token != NULL) {
            tocsin__token__free_unpacked(token, NULL);
        }
    }
    if (one_stays || !one_leaves) {
        return true;
    }
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_LAST_ADMINISTRATOR,
                 "Nobody could administer the cluster then: make another administrator's token first.");
    return false;
}
