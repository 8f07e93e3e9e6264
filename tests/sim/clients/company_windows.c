/*
 * Maintenance: windows that begin soon or have begun, some of them daily or weekly since long ago; shortened, lengthened
 * and deleted while events come. Some companies have them, and always for the same services, so that of the others every
 * event is accounted for by its sender, too.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/clients/company.h"

#define DAY_S (24u * 3600u)
#define QUIET_SERVICES 2u /* the first ones */
#define LONGEST_MINUTES 25u

struct change {
    struct company *company;
    unsigned at;
};

static uint64_t minutes_s(struct company *company, unsigned least, unsigned most)
{
    return sim_between(company->sim, (uint64_t)least * company->minute_ms, (uint64_t)most * company->minute_ms) / 1000;
}

/* Neither gone nor over by now, as far as one can tell from outside; WINDOWS_MAX when there is none. */
static unsigned some_window(struct company *company)
{
    unsigned at = (unsigned)sim_random(company->sim, WINDOWS_MAX);
    const struct quiet_time *window = &company->windows[at];

    return window->id[0] != '\0' && !window->busy ? at : WINDOWS_MAX;
}

/* ---------------------------------------------------------------- made */

static char *services(struct company *company)
{
    unsigned quiet = company->services_count < QUIET_SERVICES ? company->services_count : QUIET_SERVICES;
    unsigned first = (unsigned)sim_random(company->sim, quiet);
    bool both = quiet > 1 && sim_chance(company->sim, 300);

    company->services[first].quiet_ever = true;
    if (!both) {
        return text_of("{\"id\":\"%s\",\"type\":\"service_reference\"}", company->services[first].id);
    }
    company->services[1 - first].quiet_ever = true;
    return text_of("{\"id\":\"%s\",\"type\":\"service_reference\"},{\"id\":\"%s\",\"type\":\"service_reference\"}",
                   company->services[0].id, company->services[1].id);
}

/* Since some days or weeks ago, so that one of its later times is now. */
static char *recurrence(struct company *company, uint64_t *start_s)
{
    static const char *const zones[] = {"UTC", "Europe/Zurich", "Asia/Kolkata"};
    bool weekly = sim_chance(company->sim, 400);
    const char *days = weekly && sim_chance(company->sim, 500) ? ",\"days_of_week\":[1,2,3,4,5,6,7]" : "";
    char *until = sim_chance(company->sim, 300) ? company_utc(sim_now_ms(company->sim) / 1000 + minutes_s(company, 5, 60)) : NULL;
    char *text = text_of(",\"recurrence\":{\"type\":\"%s\",\"time_zone\":\"%s\"%s%s%s%s}", weekly ? "weekly" : "daily",
                         zones[sim_random(company->sim, sizeof zones / sizeof *zones)], days, until != NULL ? ",\"until\":\"" : "",
                         until != NULL ? until : "", until != NULL ? "\"" : "");

    *start_s -= sim_random(company->sim, 3) * (weekly ? 7u : 1u) * DAY_S;
    free(until);
    return text;
}

static void on_made(void *context, const struct client_answer *answer)
{
    struct change *change = context;
    struct quiet_time *window = &change->company->windows[change->at];

    if (answer->status == 201) {
        company_take_id(answer, "maintenance_window", window->id);
    }
    window->busy = false;
    task_end(change->company->client, change);
}

static void make_window(struct company *company)
{
    unsigned at = 0;

    while (at < WINDOWS_MAX && (company->windows[at].busy || company->windows[at].id[0] != '\0')) {
        at++;
    }
    at = at < WINDOWS_MAX ? at : (unsigned)sim_random(company->sim, WINDOWS_MAX);
    if (company->windows[at].busy) {
        return;
    }
    struct change *change = task_begin(company->client, sizeof *change);
    uint64_t start_s = sim_now_ms(company->sim) / 1000 + minutes_s(company, 0, 8) - minutes_s(company, 0, 5);
    uint64_t length_s = 1 + minutes_s(company, 1, LONGEST_MINUTES);
    char *again = sim_chance(company->sim, 350) ? recurrence(company, &start_s) : text_of("%s", "");
    char *start = company_utc(start_s), *end = company_utc(start_s + length_s), *whose = services(company);

    *change = (struct change){company, at};
    company->windows[at] = (struct quiet_time){.busy = true, .start_s = start_s};
    sim_tell(company->sim, "A maintenance window is made: %s to %s%s.", start, end, again);
    company_ask(company, "POST", text_of("/maintenance_windows"),
                text_of("{\"maintenance_window\":{\"type\":\"maintenance_window\",\"start_time\":\"%s\",\"end_time\":\"%s\","
                        "\"description\":\"Works\",\"services\":[%s]%s}}",
                        start, end, whose, again),
                true, on_made, change);
    free(again);
    free(start);
    free(end);
    free(whose);
}

/* ---------------------------------------------------------------- changed, and taken back */

static void on_changed(void *context, const struct client_answer *answer)
{
    struct change *change = context;

    change->company->windows[change->at].busy = false;
    (void)answer; /* over meanwhile: that is all right */
    task_end(change->company->client, change);
}

/* For less long than it was meant to be, or for longer: from now on. */
static void move_end(struct company *company)
{
    unsigned at = some_window(company);

    if (at == WINDOWS_MAX) {
        return;
    }
    struct change *change = task_begin(company->client, sizeof *change);
    uint64_t now_s = sim_now_ms(company->sim) / 1000, start_s = company->windows[at].start_s;
    uint64_t end_s = now_s + 1 + minutes_s(company, 0, sim_chance(company->sim, 700) ? 2 : LONGEST_MINUTES);
    char *end = company_utc(start_s + (end_s > start_s ? (end_s - start_s) % DAY_S : 1)); /* of a recurring one, the first */

    *change = (struct change){company, at};
    company->windows[at].busy = true;
    sim_tell(company->sim, "Maintenance window %s is to end at %s.", company->windows[at].id, end);
    company_ask(company, "PUT", text_of("/maintenance_windows/%s", company->windows[at].id),
                text_of("{\"maintenance_window\":{\"end_time\":\"%s\"}}", end), true, on_changed, change);
    free(end);
}

static void end_window(struct company *company)
{
    unsigned at = some_window(company);

    if (at == WINDOWS_MAX) {
        return;
    }
    sim_tell(company->sim, "Maintenance window %s is deleted.", company->windows[at].id);
    company_ask(company, "DELETE", text_of("/maintenance_windows/%s", company->windows[at].id), NULL, true, NULL, NULL);
    company->windows[at].id[0] = '\0';
}

void company_edit_windows(struct company *company)
{
    static void (*const edits[])(struct company *company) = {make_window, make_window, make_window, move_end, move_end, end_window};

    edits[sim_random(company->sim, sizeof edits / sizeof *edits)](company);
}
