/* See codes.h. */
#include "notify/codes.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>

#include "consensus/machine/limits.h"

#define CODES_COUNT 1000000u /* of CONTACT_CODE_CHARACTERS digits; 2^32 is so many times more that each is as likely as another */

void code_hash(uint64_t user_id, uint64_t contact_method_id, const char *code, uint8_t hash[CODE_HASH_SIZE_BYTES])
{
    struct sha256_ctx context;
    char text[96];
    int length = snprintf(text, sizeof text, "%llu/%llu/%s", (unsigned long long)user_id, (unsigned long long)contact_method_id, code);

    sha256_init(&context);
    sha256_update(&context, (size_t)length, (const uint8_t *)text);
    sha256_digest(&context, CODE_HASH_SIZE_BYTES, hash);
}

bool code_put(Tocsin__Notification *notification, uint32_t random, uint8_t hash[CODE_HASH_SIZE_BYTES])
{
    Tocsin__Notice *notice = notification->notice;
    if (!notice || !notice->code_wanted)
        return false;
    char *code = malloc(CONTACT_CODE_CHARACTERS + 1);
    if (!code)
        abort();
    (void)snprintf(code, CONTACT_CODE_CHARACTERS + 1, "%06u", random % CODES_COUNT);
    if (notice->code != protobuf_c_empty_string)
        free(notice->code);
    notice->code = code;
    code_hash(notification->user_id, notification->contact_method_id, code, hash);
    return true;
}
