/*
 * Mutes: made by whoever wants quiet, as such or as a silence of Alertmanager's; lengthened, cut short and ended while
 * events come. In a company that has them any event may open nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/clients/company.h"

#define LONGEST_MINUTES 20u

struct change {
    struct company *company;
    unsigned at;
};

static struct change *begin(struct company *company, unsigned at)
{
    struct change *change = task_begin(company->client, sizeof *change);

    *change = (struct change){company, at};
    company->mutes[at].busy = true;
    return change;
}

/* MUTES_MAX when there is none. */
static unsigned some_mute(struct company *company)
{
    unsigned at = (unsigned)sim_random(company->sim, MUTES_MAX);

    return company->mutes[at].id[0] != '\0' && !company->mutes[at].busy ? at : MUTES_MAX;
}

/* ---------------------------------------------------------------- bodies */

/* As Alertmanager writes them; its texts are taken elsewhere, too. */
static char *matchers(struct company *company)
{
    static const char *const prefixes[] = {"disk-.*", "storm-.*", "flap-.*", "disk-1.*"};
    static const char *const severities[] = {"critical", "error", "warning", "info"};
    char *service = text_of("{\"name\":\"service\",\"value\":\"%s\",\"isRegex\":false}",
                            company->services[sim_random(company->sim, company->services_count)].name);
    char *severity = text_of("{\"name\":\"severity\",\"value\":\"%s\",\"isRegex\":false%s}", severities[sim_random(company->sim, 4)],
                             sim_chance(company->sim, 200) ? ",\"isEqual\":false" : "");
    char *key = text_of("{\"name\":\"dedup_key\",\"value\":\"%s\",\"isRegex\":true}",
                        prefixes[sim_random(company->sim, sizeof prefixes / sizeof *prefixes)]);
    char *text = NULL;

    switch (sim_random(company->sim, 4)) {
    case 0:
        text = text_of("[%s]", service);
        break;
    case 1:
        text = text_of("[%s,%s]", service, severity);
        break;
    case 2:
        text = text_of("[%s]", key);
        break;
    default:
        text = text_of("[%s,%s]", severity, key);
    }
    free(service);
    free(severity);
    free(key);
    return text;
}

static uint64_t length_s(struct company *company)
{
    return 1 + sim_random(company->sim, (uint64_t)LONGEST_MINUTES * company->minute_ms / 1000);
}

static char *silence(struct company *company, const char *id)
{
    uint64_t now_s = sim_now_ms(company->sim) / 1000;
    uint64_t start_s = now_s + sim_random(company->sim, 3ull * company->minute_ms / 1000 + 1);
    char *what = matchers(company), *start = company_utc(start_s), *end = company_utc(start_s + length_s(company));
    char *text = text_of("{\"id\":\"%s\",\"matchers\":%s,\"startsAt\":\"%s\",\"endsAt\":\"%s\",\"createdBy\":\"somebody\","
                         "\"comment\":\"works\"}",
                         id, what, start, end);

    free(what);
    free(start);
    free(end);
    return text;
}

static char *mute(struct company *company)
{
    char *what = matchers(company);
    char *text = text_of("{\"mute\":{\"matchers\":%s,\"reason\":\"works\",\"duration\":%u}}", what,
                         (unsigned)sim_between(company->sim, 30, 60 * LONGEST_MINUTES));

    free(what);
    return text;
}

/* ---------------------------------------------------------------- made, changed, ended */

static void on_saved(void *context, const struct client_answer *answer)
{
    struct change *change = context;
    struct quiet_wish *wish = &change->company->mutes[change->at];
    const char *silence_id = json_text_at(answer->json, "silenceID");
    const char *mute_id = json_text_at(json_object_get(answer->json, "mute"), "id");

    if (answer_ok(answer)) {
        (void)snprintf(wish->id, sizeof wish->id, "%s", wish->silence ? silence_id : mute_id);
    }
    wish->busy = false;
    task_end(change->company->client, change);
}

static void make_mute(struct company *company)
{
    unsigned at = (unsigned)sim_random(company->sim, MUTES_MAX);

    if (company->mutes[at].busy) {
        return;
    }
    company->mutes[at] = (struct quiet_wish){.silence = sim_chance(company->sim, 400)};
    company->muted_ever = true;
    bool is_silence = company->mutes[at].silence;
    char *body = is_silence ? silence(company, "") : mute(company);
    sim_tell(company->sim, "Somebody wants quiet: %s", body);
    company_ask(company, "POST", text_of("%s", is_silence ? "/api/v2/silences" : "/mutes"), body, true, on_saved, begin(company, at));
}

static void change_mute(struct company *company)
{
    unsigned at = some_mute(company);

    if (at == MUTES_MAX) {
        return;
    }
    const struct quiet_wish *wish = &company->mutes[at];
    char *body = wish->silence ? silence(company, wish->id) : mute(company);
    sim_tell(company->sim, "Somebody wants another quiet: %s", body);
    company_ask(company, wish->silence ? "POST" : "PUT", wish->silence ? text_of("/api/v2/silences") : text_of("/mutes/%s", wish->id),
                body, true, on_saved, begin(company, at));
}

static void end_mute(struct company *company)
{
    unsigned at = some_mute(company);

    if (at == MUTES_MAX) {
        return;
    }
    struct quiet_wish *wish = &company->mutes[at];
    sim_tell(company->sim, "The quiet of %s is over.", wish->id);
    company_ask(company, "DELETE", text_of("%s/%s", wish->silence ? "/api/v2/silence" : "/mutes", wish->id), NULL, true, NULL, NULL);
    wish->id[0] = '\0';
}

void company_edit_mutes(struct company *company)
{
    static void (*const edits[])(struct company *company) = {make_mute, make_mute, change_mute, end_mute};

    edits[sim_random(company->sim, sizeof edits / sizeof *edits)](company);
}
