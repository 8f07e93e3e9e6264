/* Options, seeds, summary: see README.md beside this file. Each seed runs in a process of its own, as many at once as there are processors. */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/log.h"
#include "tests/sim/judge/gasp.h"
#include "tests/sim/judge/watch.h"
#include "tests/sim/judge/way_out.h"
#include "tests/sim/world/planted.h"
#include "tests/sim/world/sim_internal.h"

#define JOBS_MAX 64
#define SETUP_MS 60000u /* within which a company must have been set up, while nothing goes wrong */

static const struct profile profiles[] = {
    {.name = "storm", .election_timeout_ms = 800, .heartbeat_ms = 100, .minute_ms = 2000, .request_wait_ms = 5000,
     .chaos_ms = 120000, .calm_ms = 100000, .pause_least_ms = 100, .pause_most_ms = 4000, .fault_least_ms = 50, .fault_most_ms = 8000,
     .last_gasp_after_ms = 6000},
    {.name = "nights", .election_timeout_ms = 8000, .heartbeat_ms = 1000, .minute_ms = 60000, .request_wait_ms = 20000,
     .chaos_ms = 6 * 3600000, .calm_ms = 1800000, .pause_least_ms = 10000, .pause_most_ms = 900000, .fault_least_ms = 1000,
     .fault_most_ms = 180000, .last_gasp_after_ms = 60000, .calm_work = true},
};

/* ---- one run */

static void on_violation(void *context, const char *sentence) { sim_violation(context, "%s", sentence); }

static void on_delivered(void *context, Tocsin__Channel channel, const char *to, const char *text) {
    struct sim *sim = context;
    sim_count(sim, strstr(text, "DEGRADED") != NULL ? "pages of the last gasp delivered" : "pages delivered", 1);
    people_delivered(workload_people(sim->workload), channel, to, text);
}

static void on_silent(void *context, const char *key) { workload_silent(context, key); }

static void check_end(struct sim *sim) {
    uint64_t leader = nodes_leader(sim);
    if (leader == 0) {
        sim_violation(sim, "everything is whole, and nobody leads");
        return;
    }
    growth_check_end(sim, leader);
    if (sim->violation[0] != '\0') return;
    uint64_t index = 0;
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        struct node *node = &sim->nodes[id];
        if (!node->member) continue;
        struct engine_status status = engine_status(node->engine);
        if (status.failure != NULL) sim_violation(sim, "everything is whole, and node %u does not take part: %s", id, status.failure);
        if (status.recovering_index != 0) sim_violation(sim, "everything is whole, and node %u still recovers", id);
        if (id == leader) index = status.driver.commit_index;
        if (disk_log_waiting(node->disk) > 0) sim_tell(sim, "node %u still writes", id);
    }
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        if (!sim->nodes[id].member) continue;
        struct engine_status status = engine_status(sim->nodes[id].engine);
        if (status.applied_index + 64 < index)
            sim_violation(sim, "everything is whole, and node %u has applied %" PRIu64 " of %" PRIu64 " entries", id, status.applied_index, index);
    }
    nodes_check_queues(sim, true);
    model_finish(sim->model, engine_cluster_ms(sim->nodes[leader].engine) - MODEL_LEAVES_WITHIN_MS);
    watch_finish(sim);
}

static void count_model(struct sim *sim) {
    struct model_counts counts = model_counts(sim->model);
    sim_count(sim, "incidents", counts.incidents);
    sim_count(sim, "pages owed", counts.pages_owed);
    sim_count(sim, "pages sent", counts.pages_sent);
    sim_count(sim, "pages repeated", counts.repeats);
    sim_count(sim, "pages excused", counts.excused);
    sim_count(sim, "acknowledgements", counts.acknowledgements);
    sim_count(sim, "escalations", counts.escalations);
    sim_count(sim, "guardians paged", counts.guardian_pages);
    sim_count(sim, "pings", counts.pings);
    sim_count(sim, "swaps of shifts", counts.swaps_taken);
    sim_count(sim, "swaps of shifts undone", counts.swaps_undone);
    sim_count(sim, "heartbeats silent", counts.heartbeats_silent);
    sim_count(sim, "heartbeats' moments told", counts.moments_told);
    sim_count(sim, "heartbeats' moments passed over", counts.moments_passed);
    sim_count(sim, "schedules rendered for longer", counts.extensions);
    sim_count(sim, "news of shifts", counts.news);
    sim_count(sim, "conditions of nodes told", counts.conditions);
    sim_count(sim, "alerts that joined an incident", counts.alerts_joined);
    sim_count(sim, "alerts given time to pass", counts.alerts_paused);
    sim_count(sim, "turns of levels taken", counts.turns);
    sim_count(sim, "people called to help", counts.calls_for_help);
    sim_count(sim, "drills", counts.drills);
    sim_count(sim, "drills that were an incident", counts.drills_told);
    sim_count(sim, "snoozes", counts.snoozes);
    sim_count(sim, "snoozes that ended", counts.snoozes_ended);
    sim_count(sim, "incidents merged into others", counts.merges);
    sim_count(sim, "alerts moved by merges", counts.alerts_moved);
    sim_count(sim, "windows", counts.windows);
    sim_count(sim, "windows that recur", counts.windows_recurring);
    sim_count(sim, "windows changed", counts.windows_changed);
    sim_count(sim, "windows deleted", counts.windows_deleted);
    sim_count(sim, "ends of windows", counts.windows_ended);
    sim_count(sim, "mutes", counts.mutes);
    sim_count(sim, "mutes changed", counts.mutes_changed);
    sim_count(sim, "mutes that ended", counts.mutes_ended);
    sim_count(sim, "alerts muted", counts.alerts_muted);
    sim_count(sim, "alerts nobody looked for a mute of", counts.mutes_unanswered);
    sim_count(sim, "alerts held back", counts.alerts_held);
    sim_count(sim, "alerts held back, then let go", counts.held_released);
    sim_count(sim, "alerts held back, then resolved", counts.held_resolved);
}

static bool is_set_up(const struct sim *sim) { return workload_is_set_up(sim->workload); }
static bool is_finished(const struct sim *sim) { return sim->finished; }

static void on_finished(void *context) {
    struct sim *sim = context;
    sim->finished = true;
}

/* While nothing goes wrong. */
static bool wait_for(struct sim *sim, bool (*happened)(const struct sim *sim)) {
    uint64_t patience_ms = sim->now_ms + SETUP_MS + 10 * sim->profile->election_timeout_ms;
    while (!happened(sim) && sim->now_ms < patience_ms && sim->violation[0] == '\0') sim_run_until(sim, sim->now_ms + 500);
    return happened(sim);
}

static void run(struct sim *sim) {
    sim->now_ms = SIM_START_MS;
    sim->nodes_count = sim_chance(sim, 300) ? 5 : 3;
    sim->checks = raft_checks_new();
    sim->model = model_new(on_violation, sim);
    sim->decoded = decoded_rows_new();
    sim->providers = providers_new(sim, on_delivered, sim);
    network_open(sim);
    nodes_open(sim);
    watch_start(sim);
    way_out_start(sim);
    gasp_judge_start(sim);
    sim_run_until(sim, sim->now_ms + 3 * sim->profile->election_timeout_ms + 2000);
    struct workload_options options = sim->profile->calm_work ? workload_calm() : workload_dense(sim->profile->minute_ms);
    sim->workload = workload_new(sim, &options);
    model_tell_silence(sim->model, on_silent, sim->workload);
    workload_start(sim->workload);
    if (!wait_for(sim, is_set_up)) sim_violation(sim, "the company could not be set up");
    if (sim->violation[0] != '\0') return;
    sim_tell(sim, "the company is set up: now things go wrong");
    chaos_start(sim, sim->now_ms + sim->profile->chaos_ms);
    sim_run_until(sim, sim->now_ms + sim->profile->chaos_ms + sim->profile->pause_most_ms);
    workload_stop(sim->workload);
    sim_run_until(sim, sim->now_ms + sim->profile->calm_ms);
    if (sim->violation[0] != '\0') return;
    workload_finish(sim->workload, on_finished, sim);
    if (!wait_for(sim, is_finished)) sim_violation(sim, "everything is whole, and clients do not get their last answers");
    if (sim->violation[0] == '\0') check_end(sim);
}

/* ---- many runs */

/* What nodes say of themselves belongs to the story; the real time before it does not. */
static struct sim *speaking;

static void log_line(const char *line, size_t length) {
    const char *message = memchr(line, ' ', length);
    if (speaking == NULL || message == NULL) return;
    sim_tell(speaking, "a node says: %.*s", (int)(line + length - message - 2), message + 1);
}

struct result {
    uint64_t seed, simulated_ms;
    char violation[1024];
    unsigned counts_count;
    struct {
        char name[48];
        uint64_t times;
    } counts[SIM_COUNTS_MAX];
};

static void run_seed(uint64_t seed, const struct profile *profile, bool traced, struct result *result) {
    struct sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL) abort();
    sim->profile = profile;
    sim->traced = traced;
    sim_seed(sim, seed);
    speaking = sim;
    run(sim);
    count_model(sim);
    memset(result, 0, sizeof *result);
    result->seed = seed;
    result->simulated_ms = sim->now_ms - SIM_START_MS;
    snprintf(result->violation, sizeof result->violation, "%s", sim->violation);
    result->counts_count = sim->counts_count;
    for (unsigned i = 0; i < sim->counts_count; i++) {
        snprintf(result->counts[i].name, sizeof result->counts[i].name, "%s", sim->counts[i].name);
        result->counts[i].times = sim->counts[i].times;
    }
}

struct job {
    pid_t pid;
    int pipe;
    uint64_t seed;
};

static struct job begin_job(uint64_t seed, const struct profile *profile) {
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0) abort();
    pid_t pid = fork();
    if (pid < 0) abort();
    if (pid > 0) {
        close(ends[1]);
        return (struct job){pid, ends[0], seed};
    }
    close(ends[0]);
    /* The seeds under way are seen through when the program is told to end; they end with it when it is killed. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    static struct result result;
    run_seed(seed, profile, false, &result);
    const char *at = (const char *)&result;
    for (size_t left = sizeof result; left > 0;) {
        ssize_t wrote = write(ends[1], at, left);
        if (wrote <= 0) _exit(EXIT_FAILURE);
        at += wrote;
        left -= (size_t)wrote;
    }
    _exit(EXIT_SUCCESS); /* what the run still holds goes with the process */
}

static void end_job(const struct job *job, struct result *result) {
    char *at = (char *)result;
    size_t left = sizeof *result;
    while (left > 0) {
        ssize_t got = read(job->pipe, at, left);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        at += got;
        left -= (size_t)got;
    }
    close(job->pipe);
    int status;
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR) continue;
    if (left == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    memset(result, 0, sizeof *result);
    result->seed = job->seed;
    snprintf(result->violation, sizeof result->violation, "the run itself ended with %s %d", WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void add_up(struct result *sum, const struct result *result) {
    sum->simulated_ms += result->simulated_ms;
    for (unsigned i = 0; i < result->counts_count; i++) {
        unsigned at = 0;
        while (at < sum->counts_count && strcmp(sum->counts[at].name, result->counts[i].name) != 0) at++;
        assert(at < SIM_COUNTS_MAX);
        if (at == sum->counts_count) {
            sum->counts[sum->counts_count++] = result->counts[i];
            continue;
        }
        sum->counts[at].times += result->counts[i].times;
    }
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static void print_summary(struct result *sum, uint64_t seeds, double processor_s) {
    qsort(sum->counts, sum->counts_count, sizeof sum->counts[0], by_name);
    double hours = (double)sum->simulated_ms / 3600000;
    if (processor_s <= 0) processor_s = 0.001; /* told to end before anything was done */
    printf("%" PRIu64 " seeds, %.1f simulated cluster hours in %.1f processor minutes: %.1f hours a minute\n", seeds, hours,
           processor_s / 60, hours / (processor_s / 60));
    for (unsigned i = 0; i < sum->counts_count; i++)
        printf("  %-36s %12" PRIu64 "\n", sum->counts[i].name, sum->counts[i].times);
}

static double processor_s(void) {
    struct timespec own;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    double seconds = (double)own.tv_sec + (double)own.tv_nsec / 1e9;
    struct tms children;
    times(&children);
    return seconds + (double)(children.tms_cutime + children.tms_cstime) / (double)sysconf(_SC_CLK_TCK);
}

/* SIGTERM or SIGINT: no more seeds are begun. */
static volatile sig_atomic_t told_to_end;

static void on_signal(int number) {
    (void)number;
    told_to_end = 1;
}

struct seeds {
    uint64_t first, count, ended;
    unsigned jobs_max, failures_max, failures;
    const struct profile *profile;
    struct result sum;
};

static void run_all(struct seeds *seeds, void (*on_failure)(const struct seeds *seeds, const struct result *result)) {
    static struct result result;
    struct job jobs[JOBS_MAX];
    unsigned running = 0;
    uint64_t begun = 0;
    for (;;) {
        while (running < seeds->jobs_max && begun < seeds->count && seeds->failures < seeds->failures_max && !told_to_end)
            jobs[running++] = begin_job(seeds->first + begun++, seeds->profile);
        if (running == 0) return;
        end_job(&jobs[0], &result); /* in the order of seeds: the first that fails is the one to look at */
        memmove(jobs, jobs + 1, --running * sizeof *jobs);
        seeds->ended++;
        add_up(&seeds->sum, &result);
        if (result.violation[0] == '\0') continue;
        seeds->failures++;
        on_failure(seeds, &result);
        fflush(stdout);
    }
}

static void print_failure(const struct seeds *seeds, const struct result *result) {
    printf("seed %" PRIu64 " of profile %s: %s\n", result->seed, seeds->profile->name, result->violation);
}

static int run_seeds(struct seeds *seeds) {
    run_all(seeds, print_failure);
    if (told_to_end) printf("told to end, from seed %" PRIu64 " on, %u findings so far, after ", seeds->first, seeds->failures);
    print_summary(&seeds->sum, seeds->ended, processor_s());
    if (seeds->failures == 0) return told_to_end ? EXIT_FAILURE : EXIT_SUCCESS;
    printf("%u of %" PRIu64 " seeds broke a promise; `make sim SEED=... PROFILE=%s TRACE=1` tells the story of one\n", seeds->failures,
           seeds->ended, seeds->profile->name);
    return EXIT_FAILURE;
}

static void print_found(const struct seeds *seeds, const struct result *result) {
    if (seeds->failures == 1) printf("%" PRIu64 "\t%s\n", result->seed - seeds->first + 1, result->violation);
}

/* What breaks no promise in any of the seeds was not found: then that is what is wrong. */
static int run_planted(struct seeds *seeds) {
    seeds->failures_max = 1;
    run_all(seeds, print_found);
    return seeds->failures > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_one(uint64_t seed, const struct profile *profile, bool traced) {
    static struct result result;
    run_seed(seed, profile, traced, &result);
    if (traced) {
        static struct result sum;
        add_up(&sum, &result);
        print_summary(&sum, 1, processor_s());
    }
    if (result.violation[0] == '\0') {
        printf("seed %" PRIu64 " of profile %s: no promise was broken\n", seed, profile->name);
        return EXIT_SUCCESS;
    }
    printf("seed %" PRIu64 " of profile %s: %s\n", seed, profile->name, result.violation);
    return EXIT_FAILURE;
}

static const struct profile *profile_named(const char *name) {
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++)
        if (strcmp(profiles[i].name, name) == 0) return &profiles[i];
    return NULL;
}

/* Seeds that showed something once: a line each, "<profile> <seed> <what>". */
static int run_again(const char *path) {
    FILE *file = fopen(path, "r");
    char line[512], name[32];
    uint64_t seed;
    unsigned ran = 0;
    if (file == NULL) {
        fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
        return EXIT_FAILURE;
    }
    while (!told_to_end && fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#' || line[0] == '\n') continue;
        const struct profile *profile = sscanf(line, "%31s %" SCNu64, name, &seed) == 2 ? profile_named(name) : NULL;
        static struct result result;
        if (profile != NULL) {
            struct job job = begin_job(seed, profile);
            end_job(&job, &result);
        }
        if (profile == NULL || result.violation[0] != '\0') {
            printf("%s: %s%s\n", path, line, profile == NULL ? "is no profile and seed" : result.violation);
            fclose(file);
            return EXIT_FAILURE;
        }
        ran++;
    }
    fclose(file);
    printf("%u seeds that once broke a promise break none\n", ran);
    return told_to_end ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    enum { SEEDS, FIRST_SEED, SEED, PROFILE, TRACE, JOBS, FAILURES, AGAIN, PLANTED, PLANTED_LIST };
    static const struct option options[] = {{"seeds", required_argument, NULL, SEEDS}, {"first-seed", required_argument, NULL, FIRST_SEED},
                                            {"seed", required_argument, NULL, SEED},   {"profile", required_argument, NULL, PROFILE},
                                            {"trace", no_argument, NULL, TRACE},       {"jobs", required_argument, NULL, JOBS},
                                            {"failures", required_argument, NULL, FAILURES},
                                            {"again", required_argument, NULL, AGAIN}, {"planted", required_argument, NULL, PLANTED},
                                            {"planted-list", no_argument, NULL, PLANTED_LIST}, {0}};
    uint64_t seeds = 10, first = 1, seed = 0;
    unsigned jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), failures = 1;
    const struct profile *profile = &profiles[0];
    const char *again = NULL;
    bool traced = false, planted = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case SEEDS: seeds = strtoull(optarg, NULL, 10); break;
        case FIRST_SEED: first = strtoull(optarg, NULL, 10); break;
        case SEED: seed = strtoull(optarg, NULL, 10); break;
        case PROFILE: profile = profile_named(optarg); break;
        case TRACE: traced = true; break;
        case JOBS: jobs = (unsigned)strtoul(optarg, NULL, 10); break;
        case AGAIN: again = optarg; break;
        case FAILURES: failures = (unsigned)strtoul(optarg, NULL, 10); break;
        case PLANTED:
            planted = planted_choose(optarg);
            if (!planted) profile = NULL;
            break;
        case PLANTED_LIST: planted_list(stdout); return EXIT_SUCCESS;
        default: profile = NULL;
        }
    }
    if (profile == NULL || jobs == 0 || jobs > JOBS_MAX || failures == 0 || seeds == 0) {
        fputs("usage: sim [--profile storm|nights] [--seeds N] [--first-seed N] [--jobs N] [--failures N]\n"
              "       sim --seed N [--profile storm|nights] [--trace]\n"
              "       sim --again FILE\n"
              "       sim --planted-list\n"
              "       sim --planted NAME ...        made with PLANTED=1: succeeds when a seed finds the bug\n", stderr);
        return EXIT_FAILURE;
    }
    log_level_set(LOG_LEVEL_WARNING);
    log_to(log_line);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (again != NULL) return run_again(again);
    if (seed != 0) return run_one(seed, profile, traced);
    static struct seeds run;
    run = (struct seeds){.first = first, .count = seeds, .jobs_max = jobs, .failures_max = failures, .profile = profile};
    return planted ? run_planted(&run) : run_seeds(&run);
}
