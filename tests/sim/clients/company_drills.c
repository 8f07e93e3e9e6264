/* Drills of the company: made, changed, run by hand and deleted while providers have their moods. */
#include "tests/sim/clients/company.h"

#include <stdio.h>
#include <stdlib.h>

/* Whether a run by hand is taken depends on when the last one was; everything else is right. */
enum step { STEP_MAKE, STEP_TURN, STEP_CHANGE, STEP_RUN, STEP_RUN_AGAIN, STEP_DELETE, STEPS };

struct drill_step {
    struct company *company;
    struct company_drill *drill;
    enum step step;
};

static void on_stepped(void *context, const struct client_answer *answer)
{
    struct drill_step *step = context;
    struct company_drill *drill = step->drill;
    bool by_hand = step->step == STEP_RUN || step->step == STEP_RUN_AGAIN;

    if (!answer_ok(answer) && !by_hand) {
        history_violation(step->company->history, "P5: node %llu answers %u to a drill that is right",
                          (unsigned long long)answer->node, answer->status);
    } else if (step->step == STEP_MAKE) {
        company_take_id(answer, "drill", drill->id);
        drill->enabled = true;
    } else if (step->step == STEP_TURN) {
        drill->enabled = !drill->enabled;
    } else if (step->step == STEP_DELETE) {
        drill->id[0] = '\0';
    }
    sim_count(step->company->sim, "edits of drills", 1);
    drill->busy = false;
    task_end(step->company->client, step);
}

static char *contact(struct company *company, unsigned number)
{
    switch (sim_random(company->sim, 3)) {
    case 0:
        return text_of("{\"type\":\"sms_contact_method\",\"address\":\"+4178%07u\"}", number);
    case 1:
        return text_of("{\"type\":\"email_contact_method\",\"address\":\"drill%u@company.example\"}", number);
    default:
        return text_of("{\"type\":\"push_notification_contact_method\",\"address\":\"drill-%u\"}", number);
    }
}

/* With objectives that providers miss now and then. */
static char *wish(struct company *company, bool named)
{
    unsigned number = ++company->extras;
    char *to = contact(company, number), *name = named ? text_of("\"name\":\"Drill %u\",", number) : text_of("%s", "");
    char *body = text_of("{\"drill\":{%s\"contact_method\":%s,\"interval_s\":%u,\"delivery_objective_ms\":%u,"
                         "\"target_percent\":%u,\"window_days\":1}}",
                         name, to, (unsigned)sim_between(company->sim, 60, 1200),
                         (unsigned)sim_between(company->sim, 200, 20000), (unsigned)sim_between(company->sim, 90, 100));

    free(name);
    free(to);
    return body;
}

void company_edit_drill(struct company *company)
{
    struct company_drill *drill = &company->drills[sim_random(company->sim, DRILLS_MAX)];

    if (drill->busy) {
        return;
    }
    struct drill_step *step = task_begin(company->client, sizeof *step);
    bool there = drill->id[0] != '\0';
    *step = (struct drill_step){company, drill, there ? (enum step)sim_between(company->sim, STEP_TURN, STEPS - 1) : STEP_MAKE};
    drill->busy = true;
    switch (step->step) {
    case STEP_MAKE:
        company_ask(company, "POST", text_of("/drills"), wish(company, true), false, on_stepped, step);
        break;
    case STEP_TURN:
        company_ask(company, "PUT", text_of("/drills/%s", drill->id),
                    text_of("{\"drill\":{\"enabled\":%s}}", drill->enabled ? "false" : "true"), false, on_stepped, step);
        break;
    case STEP_CHANGE:
        company_ask(company, "PUT", text_of("/drills/%s", drill->id), wish(company, false), false, on_stepped, step);
        break;
    case STEP_DELETE:
        company_ask(company, "DELETE", text_of("/drills/%s", drill->id), NULL, false, on_stepped, step);
        break;
    default:
        company_ask(company, "POST", text_of("/drills/%s/run", drill->id), NULL, true, on_stepped, step);
    }
}
