/* Cron expressions: refused with a sentence, or moments that ascend, lie behind the beginning and show what is asked for. */
#include <stdlib.h>
#include <string.h>

#include "node/cron/cron.h"
#include "node/host/zones.h"
#include "tests/fuzz/input.h"

#define BEGIN_S INT64_C(1774000000) /* March 2026, when clocks change */
#define HOUR_S 3600
#define YEAR_S (366 * 24 * HOUR_S)
#define MOMENTS_MAX 64u

static const char *const zones[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Africa/Cairo"};
#define ZONES_COUNT (sizeof zones / sizeof *zones)

static void judge(const struct cron *cron, const struct zone *zone, int64_t since_s)
{
    uint64_t moments_s[MOMENTS_MAX], again_s[MOMENTS_MAX];
    size_t count = cron_next(cron, zone, since_s, since_s + YEAR_S, moments_s, MOMENTS_MAX);
    fuzz_require(count <= MOMENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        int64_t at_s = (int64_t)moments_s[i], local_s = zone_to_local(zone, at_s);
        fuzz_require(at_s > (i == 0 ? since_s : (int64_t)moments_s[i - 1]));
        fuzz_require(i < 2 || at_s <= since_s + YEAR_S);
        /* On the wall clock a time that is skipped is another one; whoever looks at minutes finds what he looks for. */
        fuzz_require(cron->by_wall_clock || (cron->minutes >> local_s / 60 % 60 & 1) != 0);
        fuzz_require(cron->by_wall_clock || (cron->hours >> local_s / HOUR_S % 24 & 1) != 0);
    }
    if (count > 1) { /* from the first one on, the rest */
        size_t rest = cron_next(cron, zone, (int64_t)moments_s[0], since_s + YEAR_S, again_s, count - 1);
        fuzz_require(rest == count - 1 && memcmp(again_s, moments_s + 1, rest * sizeof *again_s) == 0);
    }
}

/* A byte for the beginning, a byte for the zone, and the expression. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static struct zone *loaded[ZONES_COUNT];
    char sentence[CRON_SENTENCE_SIZE_BYTES] = "";
    struct cron cron;
    if (size_bytes < 2) {
        return 0;
    }
    unsigned number = data[1] % ZONES_COUNT;
    struct fuzz_input input = fuzz_input(data + 2, size_bytes - 2);
    char *text = fuzz_text(fuzz_rest(&input));
    if (loaded[number] == NULL) {
        loaded[number] = zones_load(zones[number]);
    }
    fuzz_require(loaded[number] != NULL);
    if (cron_parse(text, &cron, sentence)) {
        fuzz_require(strlen(text) <= CRON_CHARACTERS_MAX);
        judge(&cron, loaded[number], BEGIN_S + data[0] * HOUR_S);
    } else {
        fuzz_require(sentence[0] != '\0' && sentence[strlen(sentence) - 1] == '.');
    }
    free(text);
    return 0;
}
