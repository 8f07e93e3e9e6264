/* The providers of the simulator: what they do with a request, and when. */
#include "tests/sim/world/providers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANNELS (TOCSIN__CHANNEL__CHANNEL_WEBHOOK + 1)
#define LATENCY_MIN_MS 50u
#define LATENCY_MAX_MS 500u
#define SLOW_MAX_MS 20000u
/* A refused connection, a name that is not resolved: no more than a round trip. */
#define REFUSED_MAX_MS 200u
/* The sender gives up a connection that does not come about before it gives up the request. */
#define CONNECTION_PATIENCE_MS 6000u
#define RETRY_AFTER_MAX_S 30u
#define ANSWER_TEXT_SIZE 256

/* Those who speak one wire format, and the forms of their answers. */
enum wire { WIRE_TWILIO, WIRE_NTFY, WIRE_WEBHOOK, WIRE_SMTP };

static const struct {
    const char *name;
    enum wire wire;
} doors[CHANNELS] = {
    [TOCSIN__CHANNEL__CHANNEL_EMAIL] = {"e-mail", WIRE_SMTP},
    [TOCSIN__CHANNEL__CHANNEL_SMS] = {"text message", WIRE_TWILIO},
    [TOCSIN__CHANNEL__CHANNEL_VOICE] = {"call", WIRE_TWILIO},
    [TOCSIN__CHANNEL__CHANNEL_PUSH] = {"push message", WIRE_NTFY},
    [TOCSIN__CHANNEL__CHANNEL_WEBHOOK] = {"webhook", WIRE_WEBHOOK},
};

/* What becomes of a request. */
struct fate {
    bool taken;
    uint64_t taken_after_ms, answered_after_ms;
    enum answer_kind kind;
    enum provider_mood answer; /* which of the answers, when it is a response */
    const char *error;         /* when it is none */
};

/* A request on its way. */
struct job {
    struct job *next, **link; /* among those of the providers */
    struct providers *providers;
    struct provider_message message;
    unsigned node;
    unsigned events; /* set with sim_at and not yet come */
    struct answer answer;
    char answer_text[ANSWER_TEXT_SIZE];
    providers_answered answered;
    void *context;
    uint64_t token;
};

struct providers {
    struct sim *sim;
    providers_delivered delivered;
    void *context;
    enum provider_mood moods[CHANNELS];
    bool cut_off[SIM_NODES_MAX + 1];
    uint64_t taken_count; /* makes ids */
    struct job *jobs;
};

struct providers *providers_new(struct sim *sim, providers_delivered delivered, void *context)
{
    struct providers *providers = calloc(1, sizeof *providers);
    if (providers == NULL) {
        abort();
    }
    providers->sim = sim;
    providers->delivered = delivered;
    providers->context = context;
    return providers;
}

static void job_free(struct job *job)
{
    *job->link = job->next;
    if (job->next != NULL) {
        job->next->link = job->link;
    }
    free(job);
}

void providers_free(struct providers *providers)
{
    if (providers == NULL) {
        return;
    }
    while (providers->jobs != NULL) {
        job_free(providers->jobs);
    }
    free(providers);
}

/* ---- moods */

static void fate_normal(struct sim *, uint32_t, struct fate *);
static void fate_slow(struct sim *, uint32_t, struct fate *);
static void fate_down(struct sim *, uint32_t, struct fate *);
static void fate_error(struct sim *, uint32_t, struct fate *);
static void fate_dropping(struct sim *, uint32_t, struct fate *);
static void fate_hanging(struct sim *, uint32_t, struct fate *);

/* The flickering provider is met by the moods before it. */
static const struct {
    const char *name;
    const char *counted; /* how often a request met it */
    void (*decide)(struct sim *sim, uint32_t deadline_ms, struct fate *fate);
} moods[PROVIDER_MOODS] = {
    [PROVIDER_NORMAL] = {"normal", "requests to a normal provider", fate_normal},
    [PROVIDER_SLOW] = {"slow", "requests to a slow provider", fate_slow},
    [PROVIDER_DOWN] = {"down", "requests to a provider that is down", fate_down},
    [PROVIDER_THROTTLING] = {"throttling", "requests throttled", fate_error},
    [PROVIDER_FAILING] = {"failing", "requests answered with a server's error", fate_error},
    [PROVIDER_DROPPING] = {"dropping", "requests whose answer was dropped", fate_dropping},
    [PROVIDER_HANGING] = {"hanging", "requests that hung", fate_hanging},
    [PROVIDER_FLICKERING] = {"flickering", NULL, NULL},
    [PROVIDER_REFUSING] = {"refusing", "requests refused for good", fate_error},
    [PROVIDER_UNAUTHORIZED] = {"refusing credentials", "requests with refused credentials", fate_error},
};

const char *provider_mood_name(enum provider_mood mood)
{
    return moods[mood].name;
}

static void fate_normal(struct sim *sim, uint32_t deadline_ms, struct fate *fate)
{
    (void)deadline_ms;
    fate->taken = true;
    fate->answered_after_ms = sim_between(sim, LATENCY_MIN_MS, LATENCY_MAX_MS);
    fate->taken_after_ms = sim_between(sim, 1, fate->answered_after_ms);
    fate->kind = ANSWER_RESPONSE;
    fate->answer = PROVIDER_NORMAL;
}

/* The sender's giving up does not stop it. */
static void fate_slow(struct sim *sim, uint32_t deadline_ms, struct fate *fate)
{
    fate_normal(sim, deadline_ms, fate);
    fate->answered_after_ms = sim_between(sim, LATENCY_MAX_MS, SLOW_MAX_MS);
    fate->taken_after_ms = sim_between(sim, 1, fate->answered_after_ms);
    if (fate->answered_after_ms > deadline_ms) {
        fate->answered_after_ms = deadline_ms;
        fate->kind = ANSWER_NO_ANSWER;
        fate->error = "the provider's answer did not come in time";
    }
}

static void fate_unreachable(struct sim *sim, uint32_t deadline_ms, struct fate *fate, const char *error)
{
    fate->kind = ANSWER_NOT_SENT;
    fate->error = error;
    fate->answered_after_ms = sim_between(sim, 1, REFUSED_MAX_MS);
    if (sim_chance(sim, 300)) {
        fate->error = "the connection did not come about in time";
        fate->answered_after_ms = deadline_ms < CONNECTION_PATIENCE_MS ? deadline_ms : CONNECTION_PATIENCE_MS;
    }
}

static void fate_down(struct sim *sim, uint32_t deadline_ms, struct fate *fate)
{
    fate_unreachable(sim, deadline_ms, fate, "connection refused");
}

/* Which of the errors is the mood's, and already in the fate. */
static void fate_error(struct sim *sim, uint32_t deadline_ms, struct fate *fate)
{
    (void)deadline_ms;
    fate->kind = ANSWER_RESPONSE;
    fate->answered_after_ms = sim_between(sim, LATENCY_MIN_MS, LATENCY_MAX_MS);
}

static void fate_hanging(struct sim *sim, uint32_t deadline_ms, struct fate *fate)
{
    (void)sim;
    fate->kind = ANSWER_NO_ANSWER;
    fate->error = "nothing came until the deadline";
    fate->answered_after_ms = deadline_ms;
}

static void fate_dropping(struct sim *sim, uint32_t deadline_ms, struct fate *fate)
{
    fate_hanging(sim, deadline_ms, fate);
    if (sim_chance(sim, 500)) {
        fate->error = "the connection was reset";
        fate->answered_after_ms = sim_between(sim, LATENCY_MIN_MS, LATENCY_MAX_MS);
    }
    fate->taken = sim_chance(sim, 500);
    fate->taken_after_ms = sim_between(sim, 1, LATENCY_MAX_MS);
}

/* ---- answers in words */

/* In the forms of their providers. A message that is taken gets an id, which stands between the two parts of its
 * answer. */
static const struct {
    enum wire wire;
    enum provider_mood answer;
    unsigned status;
    const char *before_id, *after_id;
} answers[] = {
    {WIRE_TWILIO, PROVIDER_NORMAL, 201, "{\"sid\": \"SM", "\", \"status\": \"queued\", \"error_code\": null}"},
    {WIRE_TWILIO, PROVIDER_THROTTLING, 429, "{\"code\": 20429, \"message\": \"Too Many Requests\"}", NULL},
    {WIRE_TWILIO, PROVIDER_FAILING, 500, "{\"code\": 20500, \"message\": \"Internal Server Error\"}", NULL},
    {WIRE_TWILIO, PROVIDER_REFUSING, 400, "{\"code\": 21211, \"message\": \"Invalid 'To' Phone Number\"}", NULL},
    {WIRE_TWILIO, PROVIDER_UNAUTHORIZED, 401, "{\"code\": 20003, \"message\": \"Authenticate\"}", NULL},
    {WIRE_NTFY, PROVIDER_NORMAL, 200, "{\"id\": \"", "\", \"event\": \"message\"}"},
    {WIRE_NTFY, PROVIDER_THROTTLING, 429, "{\"code\": 42901, \"http\": 429, \"error\": \"limit reached\"}", NULL},
    {WIRE_NTFY, PROVIDER_FAILING, 500, "{\"code\": 50001, \"http\": 500, \"error\": \"internal server error\"}", NULL},
    {WIRE_NTFY, PROVIDER_REFUSING, 400, "{\"code\": 40010, \"http\": 400, \"error\": \"topic is not allowed\"}", NULL},
    {WIRE_NTFY, PROVIDER_UNAUTHORIZED, 401, "{\"code\": 40101, \"http\": 401, \"error\": \"unauthorized\"}", NULL},
    {WIRE_WEBHOOK, PROVIDER_NORMAL, 200, "{\"status\": \"ok\", \"id\": \"", "\"}"},
    {WIRE_WEBHOOK, PROVIDER_THROTTLING, 429, "{\"error\": \"slower\"}", NULL},
    {WIRE_WEBHOOK, PROVIDER_FAILING, 503, "", NULL},
    {WIRE_WEBHOOK, PROVIDER_REFUSING, 410, "{\"error\": \"gone\"}", NULL},
    {WIRE_WEBHOOK, PROVIDER_UNAUTHORIZED, 401, "{\"error\": \"signature\"}", NULL},
    {WIRE_SMTP, PROVIDER_NORMAL, 250, "250 2.0.0 queued as ", ""},
    {WIRE_SMTP, PROVIDER_THROTTLING, 450, "450 4.7.1 greylisted, try again later", NULL},
    {WIRE_SMTP, PROVIDER_FAILING, 451, "451 4.3.0 local error", NULL},
    {WIRE_SMTP, PROVIDER_REFUSING, 550, "550 5.1.1 no such user", NULL},
    {WIRE_SMTP, PROVIDER_UNAUTHORIZED, 535, "535 5.7.8 credentials refused", NULL},
};

static void write_response(struct providers *providers, struct job *job, enum provider_mood which)
{
    enum wire wire = doors[job->message.channel].wire;
    size_t row = 0;
    while (answers[row].wire != wire || answers[row].answer != which) {
        row++;
        assert(row < sizeof answers / sizeof answers[0]);
    }
    char id[33] = "";
    if (answers[row].after_id != NULL) {
        (void)snprintf(id, sizeof id, "%032llx", (unsigned long long)++providers->taken_count);
    }
    int size = snprintf(job->answer_text, sizeof job->answer_text, "%s%s%s", answers[row].before_id, id,
                        answers[row].after_id != NULL ? answers[row].after_id : "");
    assert(size >= 0 && (size_t)size < sizeof job->answer_text);
    bool says_when = which == PROVIDER_THROTTLING && wire != WIRE_SMTP;
    job->answer = (struct answer){
        .kind = ANSWER_RESPONSE,
        .status = answers[row].status,
        .retry_after_s = says_when ? (int64_t)sim_between(providers->sim, 1, RETRY_AFTER_MAX_S) : -1,
        .body = job->answer_text,
        .body_size_bytes = (size_t)size,
    };
}

/* ---- the life of a request */

static void event_over(struct job *job)
{
    assert(job->events > 0);
    if (--job->events == 0) {
        job_free(job);
    }
}

static void on_taken(void *context)
{
    struct job *job = context;
    struct providers *providers = job->providers;
    const struct provider_message *message = &job->message;
    sim_count(providers->sim, "messages taken by providers", 1);
    sim_tell(providers->sim, "%s of node %u to %s: \"%s\"", doors[message->channel].name, job->node, message->to,
             message->text);
    providers->delivered(providers->context, message->channel, message->to, message->text);
    event_over(job);
}

static void on_answered(void *context)
{
    struct job *job = context;
    job->answered(job->context, job->token, &job->answer);
    event_over(job);
}

static struct job *job_new(struct providers *providers, unsigned node, providers_answered answered, void *context,
                           uint64_t token)
{
    struct job *job = malloc(sizeof *job);
    if (job == NULL) {
        abort();
    }
    job->providers = providers;
    job->node = node;
    job->events = 0;
    job->answered = answered;
    job->context = context;
    job->token = token;
    job->link = &providers->jobs;
    job->next = providers->jobs;
    if (job->next != NULL) {
        job->next->link = &job->next;
    }
    providers->jobs = job;
    return job;
}

static struct fate decide(struct providers *providers, const struct job *job, uint32_t deadline_ms)
{
    struct sim *sim = providers->sim;
    struct fate fate = {0};
    if (providers->cut_off[job->node]) {
        sim_count(sim, "requests of nodes without a way out", 1);
        fate_unreachable(sim, deadline_ms, &fate, "the name could not be resolved");
        return fate;
    }
    enum provider_mood mood = providers->moods[job->message.channel];
    if (mood == PROVIDER_FLICKERING) {
        mood = (enum provider_mood)sim_random(sim, PROVIDER_FLICKERING);
    }
    sim_count(sim, moods[mood].counted, 1);
    fate.answer = mood;
    moods[mood].decide(sim, deadline_ms, &fate);
    return fate;
}

static void job_begin(struct providers *providers, struct job *job, const struct fate *fate)
{
    if (fate->kind == ANSWER_RESPONSE) {
        write_response(providers, job, fate->answer);
    } else {
        job->answer = (struct answer){.kind = fate->kind, .retry_after_s = -1, .body = "", .error = fate->error};
    }
    uint64_t now_ms = sim_now_ms(providers->sim);
    job->events = fate->taken ? 2 : 1;
    if (fate->taken) {
        sim_at(providers->sim, now_ms + fate->taken_after_ms, on_taken, job);
    } else {
        sim_tell(providers->sim, "%s of node %u to %s is not taken: %s", doors[job->message.channel].name, job->node,
                 job->message.to, fate->error != NULL ? fate->error : job->answer_text);
    }
    sim_at(providers->sim, now_ms + fate->answered_after_ms, on_answered, job);
}

/* A client's error: what most providers answer to what they do not understand. */
static void refuse_nonsense(struct providers *providers, struct job *job, const struct outgoing *outgoing,
                            const char *wrong)
{
    sim_violation(providers->sim, "node %u sends %s what no provider understands: %s", job->node,
                  outgoing->url != NULL ? outgoing->url : "(nowhere)", wrong);
    job->answer = (struct answer){.kind = ANSWER_RESPONSE, .status = 400, .retry_after_s = -1, .body = ""};
    job->events = 1;
    sim_at(providers->sim, sim_now_ms(providers->sim) + LATENCY_MIN_MS, on_answered, job);
}

void providers_request(struct providers *providers, unsigned node, const struct outgoing *outgoing,
                       providers_answered answered, void *context, uint64_t token)
{
    assert(node >= 1 && node <= SIM_NODES_MAX && outgoing->deadline_ms > LATENCY_MAX_MS);
    struct job *job = job_new(providers, node, answered, context, token);
    const char *wrong = providers_read(outgoing, &job->message);
    if (wrong != NULL) {
        refuse_nonsense(providers, job, outgoing, wrong);
        return;
    }
    struct fate fate = decide(providers, job, outgoing->deadline_ms);
    job_begin(providers, job, &fate);
}

/* ---- moods from outside */

void providers_set(struct providers *providers, Tocsin__Channel channel, enum provider_mood mood)
{
    assert((unsigned)channel < CHANNELS && doors[channel].name != NULL && mood < PROVIDER_MOODS);
    if (providers->moods[channel] != mood) {
        sim_tell(providers->sim, "the provider of %ss is %s", doors[channel].name, moods[mood].name);
        providers->moods[channel] = mood;
    }
}

void providers_cut_off(struct providers *providers, unsigned node, bool cut_off)
{
    assert(node >= 1 && node <= SIM_NODES_MAX);
    if (providers->cut_off[node] != cut_off) {
        sim_tell(providers->sim, "node %u has %s", node,
                 cut_off ? "no way out to providers" : "a way out to providers again");
        providers->cut_off[node] = cut_off;
    }
}

bool providers_is_cut_off(const struct providers *providers, unsigned node)
{
    assert(node >= 1 && node <= SIM_NODES_MAX);
    return providers->cut_off[node];
}

void providers_calm(struct providers *providers)
{
    for (unsigned channel = 1; channel < CHANNELS; channel++) {
        providers_set(providers, (Tocsin__Channel)channel, PROVIDER_NORMAL);
    }
    for (unsigned node = 1; node <= SIM_NODES_MAX; node++) {
        providers_cut_off(providers, node, false);
    }
}
