/*
 * Schedules, whose turns end while the story runs: edited, taken over by somebody for a while, and swapped by agreement. Who is on call is the
 * judges' affair.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sim/clients/company.h"

#define LAYERS_MAX 3u
#define PEOPLE_PER_LAYER_MAX 4u
#define HOUR_S 3600u
#define DAY_S (24u * HOUR_S)
/* The judges know these. */
static const char *const zones[] = {"UTC", "Europe/Zurich", "Asia/Kolkata"};

char *company_utc(uint64_t time_s)
{
    time_t seconds = (time_t)time_s;
    struct tm parts;
    char text[32];

    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &parts));
    return text_of("%s", text);
}

/* A moment around now, within so many minutes of the company on either side. */
static uint64_t around_now_s(struct company *company, unsigned minutes)
{
    uint64_t width_s = (uint64_t)minutes * company->minute_ms / 1000;

    return sim_now_ms(company->sim) / 1000 - width_s + sim_random(company->sim, 2 * width_s + 1);
}

static const char *some_person(const struct company *company)
{
    return company->people[sim_random(company->sim, company->people_count)].id;
}

/* ---------------------------------------------------------------- layers */

/* As a whole weekday's or night's span that begins or ends nearby. */
static char *restrictions(struct company *company)
{
    if (sim_chance(company->sim, 600)) {
        return text_of("[]");
    }
    uint64_t start_s = around_now_s(company, 60) % DAY_S; /* of UTC, which is some time of day elsewhere, too */
    bool weekly = sim_chance(company->sim, 300);
    char *day = weekly ? text_of(",\"start_day_of_week\":%u", (unsigned)sim_between(company->sim, 1, 7)) : text_of("%s", "");
    char *text = text_of("[{\"type\":\"%s_restriction\",\"start_time_of_day\":\"%02u:%02u:%02u\",\"duration_seconds\":%u%s}]",
                         weekly ? "weekly" : "daily", (unsigned)(start_s / HOUR_S), (unsigned)(start_s / 60 % 60),
                         (unsigned)(start_s % 60), (unsigned)sim_between(company->sim, 60, weekly ? 3 * DAY_S : DAY_S), day);

    free(day);
    return text;
}

static char *users(struct company *company)
{
    unsigned count = (unsigned)sim_between(company->sim, 1, PEOPLE_PER_LAYER_MAX);
    char *text = text_of("[");

    for (unsigned i = 0; i < count; i++) {
        char *more = text_of("%s%s{\"user\":{\"id\":\"%s\",\"type\":\"user_reference\"}}", text, i > 0 ? "," : "", some_person(company));
        free(text);
        text = more;
    }
    char *whole = text_of("%s]", text);
    free(text);
    return whole;
}

/* The next hand-off is near. */
static char *layer(struct company *company)
{
    static const unsigned turns_s[] = {HOUR_S, 2 * HOUR_S, 12 * HOUR_S, DAY_S, 7 * DAY_S};
    unsigned turn_s = turns_s[sim_random(company->sim, sizeof turns_s / sizeof *turns_s)];
    char *virtual_start = company_utc(around_now_s(company, 60) - turn_s * sim_random(company->sim, 3));
    char *start = company_utc(sim_chance(company->sim, 700) ? sim_now_ms(company->sim) / 1000 - HOUR_S : around_now_s(company, 30));
    char *people = users(company), *limits = restrictions(company);
    char *text = text_of("{\"name\":\"layer\",\"start\":\"%s\",\"rotation_virtual_start\":\"%s\",\"rotation_turn_length_seconds\":%u,"
                         "\"users\":%s,\"restrictions\":%s}",
                         start, virtual_start, turn_s, people, limits);

    free(virtual_start);
    free(start);
    free(people);
    free(limits);
    return text;
}

static char *definition(struct company *company, unsigned at)
{
    unsigned count = (unsigned)sim_between(company->sim, 1, LAYERS_MAX);
    char *layers = text_of("%s", "");

    for (unsigned i = 0; i < count; i++) {
        char *one = layer(company), *more = text_of("%s%s%s", layers, i > 0 ? "," : "", one);
        free(one);
        free(layers);
        layers = more;
    }
    char *text = text_of("{\"schedule\":{\"type\":\"schedule\",\"name\":\"Schedule %u\",\"time_zone\":\"%s\",\"schedule_layers\":[%s]}}",
                         at, zones[sim_random(company->sim, sizeof zones / sizeof *zones)], layers);
    free(layers);
    return text;
}

/* ---------------------------------------------------------------- making them */

struct making {
    struct company *company;
    unsigned at;
};

static void on_made(void *context, const struct client_answer *answer)
{
    struct making *making = context;
    struct company *company = making->company;

    company_take_id(answer, "schedule", company->schedules[making->at].id);
    task_end(company->client, making);
    company_step_done(company);
}

void company_make_schedules(struct company *company)
{
    company->schedules_count = (unsigned)sim_between(company->sim, 1, SCHEDULES_MAX);
    for (unsigned i = 0; i < company->schedules_count; i++) {
        struct making *making = task_begin(company->client, sizeof *making);
        *making = (struct making){company, i};
        company->under_way++;
        company_ask(company, "POST", text_of("/schedules"), definition(company, i), false, on_made, making);
    }
}

/* ---------------------------------------------------------------- changing them */

/* The clocks of nodes may be days wrong, and then shifts are refused; what two change at once, too. */
static void on_changed(void *context, const struct client_answer *answer)
{
    struct company *company = context;

    sim_count(company->sim, answer_ok(answer) ? "schedules changed" : "changes of schedules refused", 1);
}

static void redefine(struct company *company, unsigned at)
{
    sim_tell(company->sim, "Schedule %u is changed.", at);
    if (sim_chance(company->sim, 400)) { /* by two at once, of whom one did not know of the other */
        company_ask(company, "PUT", text_of("/schedules/%s", company->schedules[at].id), definition(company, at), true, on_changed, company);
    }
    company_ask(company, "PUT", text_of("/schedules/%s", company->schedules[at].id), definition(company, at), true, on_changed, company);
}

/* The last one made is the one that may be taken back. */
static void on_taken_over(void *context, const struct client_answer *answer)
{
    struct making *making = context;
    struct company *company = making->company;
    const json_t *first = json_array_get(answer->json, 0);

    if (answer_ok(answer) && json_is_object(json_object_get(first, "override"))) {
        (void)snprintf(company->schedules[making->at].override, HISTORY_ID_SIZE, "%s", json_text_at(json_object_get(first, "override"), "id"));
        sim_count(company->sim, "overrides", 1);
    }
    task_end(company->client, making);
}

static void take_over(struct company *company, unsigned at)
{
    struct making *making = task_begin(company->client, sizeof *making);
    uint64_t start_s = around_now_s(company, 20);
    char *start = company_utc(start_s), *end = company_utc(start_s + sim_between(company->sim, 1, 60ull * company->minute_ms / 1000));

    *making = (struct making){company, at};
    sim_tell(company->sim, "Somebody takes a time of schedule %u over.", at);
    company_ask(company, "POST", text_of("/schedules/%s/overrides", company->schedules[at].id),
                text_of("{\"overrides\":[{\"start\":\"%s\",\"end\":\"%s\",\"user\":{\"id\":\"%s\",\"type\":\"user_reference\"}}]}", start,
                        end, some_person(company)),
                true, on_taken_over, making);
    free(start);
    free(end);
}

static void give_back(struct company *company, unsigned at)
{
    struct rota *schedule = &company->schedules[at];

    if (schedule->override[0] == '\0') {
        return;
    }
    sim_tell(company->sim, "It is taken back in schedule %u.", at);
    company_ask(company, "DELETE", text_of("/schedules/%s/overrides/%s", schedule->id, schedule->override), NULL, true, NULL, NULL);
    schedule->override[0] = '\0';
}

/* ---------------------------------------------------------------- swaps of shifts */

static char *person_text(const char *name, const char *id)
{
    return text_of("\"%s\":{\"id\":\"%s\",\"type\":\"user_reference\"}", name, id);
}

static void undo_swap(struct company *company, unsigned at)
{
    const struct rota *schedule = &company->schedules[at];

    if (schedule->swap[0] != '\0') {
        sim_tell(company->sim, "The swap in schedule %u is undone.", at);
        company_ask(company, "DELETE", text_of("/schedules/%s/swaps/%s", schedule->id, schedule->swap), NULL, true, NULL, NULL);
    }
}

static void on_taken(void *context, const struct client_answer *answer)
{
    struct making *making = context;
    struct company *company = making->company;

    if (answer_ok(answer) && sim_chance(company->sim, 300)) { /* she thinks better of it */
        undo_swap(company, making->at);
    }
    task_end(company->client, making);
}

/* Several want them: who is of the schedule, and first, gets them. */
static void take_shifts(struct company *company, unsigned at)
{
    const struct rota *schedule = &company->schedules[at];

    for (unsigned i = 0; schedule->swap[0] != '\0' && i < 3; i++) {
        char *person = person_text("user", some_person(company));
        struct making *making = task_begin(company->client, sizeof *making);
        *making = (struct making){company, at};
        sim_tell(company->sim, "Somebody takes the shifts that are offered in schedule %u.", at);
        company_ask(company, "POST", text_of("/schedules/%s/swaps/%s/take", schedule->id, schedule->swap), text_of("{%s}", person), true,
                    on_taken, making);
        free(person);
    }
}

static void on_offered(void *context, const struct client_answer *answer)
{
    struct making *making = context;
    struct company *company = making->company;

    if (answer_ok(answer)) {
        (void)snprintf(company->schedules[making->at].swap, HISTORY_ID_SIZE, "%s", json_text_at(json_object_get(answer->json, "swap"), "id"));
        if (sim_chance(company->sim, 700)) {
            take_shifts(company, making->at);
        }
    }
    task_end(company->client, making);
}

/* Mostly a time to come, so that it may be undone, too. */
static char *near_span(struct company *company)
{
    uint64_t start_s = around_now_s(company, 20) + 10ull * company->minute_ms / 1000;
    char *start = company_utc(start_s), *end = company_utc(start_s + sim_between(company->sim, 1, 60ull * company->minute_ms / 1000));
    char *text = text_of("\"start\":\"%s\",\"end\":\"%s\"", start, end);

    free(start);
    free(end);
    return text;
}

/* By anybody: who is not on call then is refused. */
static void offer_shifts(struct company *company, unsigned at)
{
    for (unsigned i = 0; i < company->people_count; i++) {
        struct making *making = task_begin(company->client, sizeof *making);
        char *span = near_span(company), *other = near_span(company), *giver = person_text("user", company->people[i].id);
        char *to = person_text("asked", some_person(company));
        char *asked = sim_chance(company->sim, 400) ? text_of(",%s", to) : text_of("%s", "");
        char *in_return = sim_chance(company->sim, 300) ? text_of(",\"in_return_for\":{%s}", other) : text_of("%s", "");

        *making = (struct making){company, at};
        sim_tell(company->sim, "Somebody offers shifts of schedule %u.", at);
        company_ask(company, "POST", text_of("/schedules/%s/swaps", company->schedules[at].id),
                    text_of("{\"swap\":{%s,%s%s%s}}", span, giver, asked, in_return), true, on_offered, making);
        free(span);
        free(other);
        free(giver);
        free(to);
        free(asked);
        free(in_return);
    }
}

void company_edit_schedule(struct company *company)
{
    static void (*const edits[])(struct company *, unsigned at) = {redefine,  redefine,     take_over,   take_over, take_over,
                                                                 give_back, offer_shifts, offer_shifts, offer_shifts, take_shifts, undo_swap};

    edits[sim_random(company->sim, sizeof edits / sizeof *edits)](company, (unsigned)sim_random(company->sim, company->schedules_count));
}
