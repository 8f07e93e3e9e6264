/* The daemon: configuration, loop, engine, HTTP, signals. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#include <curl/curl.h>

#include "node/api/api.h"
#include "node/config.h"
#include "node/host/host.h"
#include "node/http/http_server.h"
#include "node/log.h"
#include "node/version.h"

struct daemon {
    uv_loop_t loop;
    struct config *config;
    struct host *host;
    struct http_server *server;
    struct api api;
    uv_signal_t interrupt, terminate;
    bool stopping;
};

static void usage(FILE *out) {
    fputs("Usage: tocsind --config FILE [--bootstrap | --join]\n"
          "\n"
          "  --config FILE   the node's configuration; see --help-config\n"
          "  --bootstrap     an empty data directory becomes a first member of a new cluster\n"
          "  --join          an empty data directory becomes a new member of a cluster that runs, once that takes it in\n"
          "  --check         read the configuration, say what is wrong with it, and end\n"
          "  --help-config   list the configuration's keys\n"
          "  --version\n",
          out);
}

static void handle(void *context, struct http_request *request) { api_handle(context, request); }

static void on_host_closed(void *context) {
    struct daemon *daemon = context;
    uv_close((uv_handle_t *)&daemon->interrupt, NULL);
    uv_close((uv_handle_t *)&daemon->terminate, NULL);
}

static void on_server_closed(void *context) {
    struct daemon *daemon = context;
    host_close(daemon->host, on_host_closed, daemon);
}

static void on_signal(uv_signal_t *signal, int number) {
    struct daemon *daemon = signal->data;
    if (daemon->stopping) return;
    daemon->stopping = true;
    log_info("stopping on signal %d", number);
    http_server_close(daemon->server, on_server_closed, daemon);
}

static int refuse(const char *sentence) {
    fprintf(stderr, "tocsind: %s\n", sentence);
    return EXIT_FAILURE;
}

/* As many connections as the system allows this process; each takes a descriptor. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) log_warning("the limit of open files could not be raised");
}

static int run(struct daemon *daemon, enum host_start how) {
    char error[512];
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is an error of that write, not the end of the process */
    raise_descriptor_limit();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return refuse("libcurl does not start");
    if (uv_loop_init(&daemon->loop) != 0) return refuse("the event loop does not start");
    daemon->host = host_open(&daemon->loop, daemon->config, how, error, sizeof error);
    if (daemon->host == NULL) return refuse(error);
    daemon->api = (struct api){.ports = engine_api_ports(host_engine(daemon->host)), .public_url = daemon->config->public_url,
                                .members_anywhere = daemon->config->allow_plain_tcp && daemon->config->minute_ms == ONE_MINUTE_MS};
    daemon->server = http_server_open(&daemon->loop, daemon->config->http_listen, handle, &daemon->api, error, sizeof error);
    if (daemon->server == NULL) return refuse(error);
    uv_signal_init(&daemon->loop, &daemon->interrupt);
    uv_signal_init(&daemon->loop, &daemon->terminate);
    daemon->interrupt.data = daemon->terminate.data = daemon;
    uv_signal_start(&daemon->interrupt, on_signal, SIGINT);
    uv_signal_start(&daemon->terminate, on_signal, SIGTERM);
    log_info("node %llu of cluster %s serves http on %s", (unsigned long long)daemon->config->id, daemon->config->cluster_name,
             daemon->config->http_listen);
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    host_free(daemon->host);
    api_close(&daemon->api);
    if (uv_loop_close(&daemon->loop) != 0) return refuse("something was still open at the end");
    curl_global_cleanup();
    config_free(daemon->config);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    enum { OPTION_CONFIG, OPTION_BOOTSTRAP, OPTION_JOIN, OPTION_CHECK, OPTION_HELP, OPTION_HELP_CONFIG, OPTION_VERSION };
    static const struct option options[] = {{"config", required_argument, NULL, OPTION_CONFIG},
                                            {"bootstrap", no_argument, NULL, OPTION_BOOTSTRAP},
                                            {"join", no_argument, NULL, OPTION_JOIN},
                                            {"check", no_argument, NULL, OPTION_CHECK},
                                            {"help", no_argument, NULL, OPTION_HELP},
                                            {"help-config", no_argument, NULL, OPTION_HELP_CONFIG},
                                            {"version", no_argument, NULL, OPTION_VERSION},
                                            {0}};
    const char *path = NULL;
    bool check = false;
    enum host_start how = HOST_START;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case OPTION_CONFIG: path = optarg; break;
        case OPTION_BOOTSTRAP: how = HOST_BOOTSTRAP; break;
        case OPTION_JOIN: how = HOST_JOIN; break;
        case OPTION_CHECK: check = true; break;
        case OPTION_HELP: usage(stdout); return EXIT_SUCCESS;
        case OPTION_HELP_CONFIG: config_print_help(); return EXIT_SUCCESS;
        case OPTION_VERSION: puts("tocsind " TOCSIN_VERSION); return EXIT_SUCCESS;
        default: usage(stderr); return EXIT_FAILURE;
        }
    }
    if (path == NULL || optind != argc) {
        usage(stderr);
        return EXIT_FAILURE;
    }
    static struct daemon daemon;
    char error[512];
    daemon.config = config_load(path, error, sizeof error);
    if (daemon.config == NULL) return refuse(error);
    if (check) {
        config_free(daemon.config);
        puts("The configuration is good.");
        return EXIT_SUCCESS;
    }
    enum log_level level;
    if (!log_level_parse(daemon.config->log_level, &level)) return refuse("log_level is none of error, warning, info, debug");
    log_level_set(level);
    return run(&daemon, how);
}
