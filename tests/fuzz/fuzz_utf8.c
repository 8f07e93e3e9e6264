/* What is UTF-8: at the door, in the machine, and in what is sent, each beside another way of saying it. */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/text.h"
#include "node/http/utf8.h"
#include "notify/compose.h"
#include "tests/fuzz/input.h"

static void check_prefixes(const char *text, size_t characters)
{
    for (size_t wanted = 0; wanted <= characters + 1; wanted++) {
        size_t size = utf8_prefix_size_bytes(text, wanted), counted;
        fuzz_require(size <= strlen(text));
        fuzz_require(fuzz_utf8(text, size, &counted) && counted == (wanted < characters ? wanted : characters));
    }
}

/* Never more than there is room for, always valid, and unchanged where there was nothing to change. */
static void check_clean_copy(const uint8_t *data, size_t size_bytes, bool clean)
{
    for (size_t room = 1; room <= size_bytes + 2; room += 1 + room / 8) {
        char *out = fuzz_must(malloc(room));
        size_t written = clean_copy(out, room, (const char *)data, size_bytes);
        fuzz_require(written < room && out[written] == '\0' && strlen(out) == written && fuzz_is_line(out));
        fuzz_require(!clean || memcmp(out, data, written) == 0);
        fuzz_require(!clean || room <= size_bytes || written == size_bytes);
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    size_t expected = 0, counted = 0;
    uint8_t *exact = fuzz_exact_copy((struct span){data, size_bytes});
    char *text = fuzz_text((struct span){data, size_bytes});
    bool whole = strlen(text) == size_bytes; /* no NUL in it */
    bool valid = fuzz_utf8(exact, size_bytes, &expected);

    fuzz_require(utf8_count((const char *)exact, size_bytes, &counted) == (valid && whole));
    fuzz_require(!valid || !whole || counted == expected);
    bool text_valid = fuzz_utf8(text, strlen(text), &expected);
    fuzz_require(text_characters(text, &counted) == text_valid);
    if (text_valid) {
        fuzz_require(counted == expected);
        fuzz_require(text_within(text, expected, expected) && !text_within(text, expected + 1, SIZE_MAX));
        check_prefixes(text, expected);
    }
    check_clean_copy(exact, size_bytes, valid && whole && fuzz_is_line(text));
    free(text);
    free(exact);
    return 0;
}
