/* Tokens that the cluster makes by itself: the first one, and one for whoever has a shell on this machine. */
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine/engine_internal.h"
#include "node/log.h"

#define TOKEN_CHARACTERS 20 /* PagerDuty's command line takes no other length */
#define ADMIN_TOKEN_LASTS_MS (24ull * 3600 * 1000)
/* Less than a control connection's patience: whoever waits there is told. */
#define ADMIN_TOKEN_PATIENCE_MS 20000

static char token_character(uint8_t byte) {
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return byte < 248 ? alphabet[byte % 62] : '\0'; /* 248 = 4 * 62: no character is likelier than another */
}

static void make_token(struct engine *engine, char token[TOKEN_CHARACTERS + 1]) {
    for (unsigned made = 0; made < TOKEN_CHARACTERS;) {
        uint8_t byte;
        engine->ports.random(engine->ports.context, &byte, 1);
        char character = token_character(byte);
        if (character != '\0') token[made++] = character;
    }
    token[TOKEN_CHARACTERS] = '\0';
}

static void hash_token(const char *token, uint8_t hash[SHA256_DIGEST_SIZE]) {
    struct sha256_ctx sha256;
    sha256_init(&sha256);
    sha256_update(&sha256, TOKEN_CHARACTERS, (const uint8_t *)token);
    sha256_digest(&sha256, SHA256_DIGEST_SIZE, hash);
}

void engine_offer_first_token(struct engine *engine, const struct machine_store *view) {
    if (view->count(view->context, TABLE_TOKEN) > 0) return;
    char token[TOKEN_CHARACTERS + 1], error[512];
    make_token(engine, token);
    if (!engine->ports.keep_first_token(engine->ports.context, token, error, sizeof error)) {
        log_error("the first admin token cannot be kept: %s", error);
        return;
    }
    uint8_t hash[SHA256_DIGEST_SIZE];
    hash_token(token, hash);
    Tocsin__Token record = TOCSIN__TOKEN__INIT;
    record.hash = (ProtobufCBinaryData){sizeof hash, hash};
    record.name = (char *)(uintptr_t)"first admin token";
    record.role = TOCSIN__ROLE__ROLE_OWNER;
    Tocsin__TokenPut put = TOCSIN__TOKEN_PUT__INIT;
    put.token = &record;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_TOKEN_PUT;
    command.token_put = &put;
    engine_submit_system(engine, &command, "the first admin token");
}

/* ---- by hand */

struct making {
    engine_token_made made;
    void *context;
    char token[TOKEN_CHARACTERS + 1];
};

static void on_made(void *argument, enum proposal_outcome outcome, struct span reply) {
    struct making *making = argument;
    Tocsin__Reply *answer = outcome == PROPOSAL_APPLIED ? tocsin__reply__unpack(NULL, reply.size_bytes, reply.data) : NULL;
    if (answer == NULL)
        making->made(making->context, NULL, "The cluster has no majority at the moment, and a token must be known to all: try again.");
    else if (answer->status != TOCSIN__STATUS__STATUS_OK)
        making->made(making->context, NULL, answer->message);
    else {
        log_warning("an administrator's token for a day was made by somebody with a shell on this machine");
        making->made(making->context, making->token, NULL);
    }
    if (answer != NULL) tocsin__reply__free_unpacked(answer, NULL);
    free(making);
}

void engine_make_admin_token(struct engine *engine, engine_token_made made, void *context) {
    struct making *making = calloc(1, sizeof *making);
    if (making == NULL) abort();
    making->made = made;
    making->context = context;
    make_token(engine, making->token);
    uint8_t hash[SHA256_DIGEST_SIZE];
    hash_token(making->token, hash);
    char name[64];
    snprintf(name, sizeof name, "by hand, on node %llu", (unsigned long long)engine->config->id);
    Tocsin__Token record = TOCSIN__TOKEN__INIT;
    record.hash = (ProtobufCBinaryData){sizeof hash, hash};
    record.name = name;
    record.role = TOCSIN__ROLE__ROLE_OWNER;
    record.expires_at_ms = engine_cluster_ms(engine) + ADMIN_TOKEN_LASTS_MS;
    Tocsin__TokenPut put = TOCSIN__TOKEN_PUT__INIT;
    put.token = &record;
    Tocsin__Actor actor = TOCSIN__ACTOR__INIT;
    actor.name = name;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_TOKEN_PUT;
    command.token_put = &put;
    command.actor = &actor;
    proposer_submit(engine->proposer, &command, engine_now_ms(engine) + ADMIN_TOKEN_PATIENCE_MS, on_made, making);
}
