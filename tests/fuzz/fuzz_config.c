/*
 * Any file as a node's configuration: refused with one sentence, or read into something that keeps its promises and
 * that every channel can work with.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "consensus/machine/limits.h"
#include "node/config.h"
#include "node/log.h"
#include "node/outer.h"
#include "notify/channel.h"
#include "tests/fuzz/input.h"
#include "tests/support/machine_probe.h"
#include "tests/support/scratch_dir.h"

#define ERROR_SIZE 1024

static struct scratch_dir home;

static void leave_home(void)
{
    scratch_dir_remove(&home);
}

/* A folder of its own, with a file called "secret" in it, for what the file may name. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    home = scratch_dir_make();
    atexit(leave_home);
    scratch_file_write(scratch_path(&home, "secret"), "hush\n", 5);
    log_level_set(LOG_LEVEL_ERROR);
    return 0;
}

static bool is_text(const char *text)
{
    size_t characters;

    return text != NULL && text[0] != '\0' && fuzz_utf8(text, strlen(text), &characters);
}

static bool is_text_or_absent(const char *text)
{
    return text == NULL || is_text(text);
}

static void check_config(const struct config *config)
{
    const struct notify_settings *notify = &config->notify;
    const char *texts[] = {notify->twilio.account_sid, notify->twilio.from, notify->smtp.url, notify->smtp.username,
                           notify->smtp.from};

    fuzz_require(config->id > 0 && config->id <= INT64_MAX);
    fuzz_require(is_text(config->data_dir) && is_text(config->http_listen) && is_text(config->peer_listen));
    fuzz_require(is_text(config->public_url) && is_text(config->cluster_name) && is_text(config->log_level));
    fuzz_require(is_text(notify->twilio.base_url) && is_text(notify->ntfy.base_url));
    fuzz_require(strncmp(config->public_url, "http", 4) == 0 && strstr(config->public_url, "://") != NULL);
    fuzz_require(notify->public_url == config->public_url && notify->cluster_name == config->cluster_name);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fuzz_require(is_text_or_absent(texts[i]));
    }
    bool begins = false; /* and does not join */
    for (unsigned i = 0; i < config->members_count; i++) {
        begins = begins || config->members[i].id == config->id;
    }
    fuzz_require(config->members_count >= 1 && config->members_count <= CONFIG_MEMBERS_MAX);
    fuzz_require(!begins || config->members_count == 1 || config->members_count == 3 || config->members_count == 5);
    for (unsigned i = 0; i < config->members_count; i++) {
        fuzz_require(config->members[i].id > 0 && is_text(config->members[i].address));
        for (unsigned j = 0; j < i; j++) {
            fuzz_require(config->members[i].id != config->members[j].id);
            fuzz_require(strcmp(config->members[i].address, config->members[j].address) != 0);
        }
    }
    fuzz_require(config->guardians_count <= CONFIG_GUARDIANS_MAX);
    for (unsigned i = 0; i < config->guardians_count; i++) {
        const struct config_guardian *guardian = &config->guardians[i];
        fuzz_require(is_text(guardian->name) && guardian->contacts_count > 0);
        fuzz_require(guardian->contacts_count <= CONFIG_GUARDIAN_CONTACTS_MAX);
        for (unsigned j = 0; j < guardian->contacts_count; j++) {
            fuzz_require(is_text(guardian->contacts[j].address));
            fuzz_require(channel_for((Tocsin__Channel)guardian->contacts[j].channel) != NULL);
        }
    }
    fuzz_require(config->outers_count <= OUTER_MAX);
    for (unsigned i = 0; i < config->outers_count; i++) {
        const struct outer *outer = &config->outers[i];
        fuzz_require(is_text(outer->name) && outer->preset != NULL && is_text(outer->url));
        for (unsigned j = 0; j < i; j++) {
            fuzz_require(strcmp(outer->name, config->outers[j].name) != 0);
        }
        struct outgoing ping = {0};
        outer_compose(outer, config->cluster_name, 1, &ping);
        fuzz_require(is_text(ping.url) && fuzz_is_line(ping.url));
        outgoing_close(&ping);
    }
    fuzz_require(config->minute_ms >= 10 && config->minute_ms <= 60000);
    fuzz_require(config->heartbeat_ms >= 5 && 2 * config->heartbeat_ms <= config->election_timeout_ms);
    fuzz_require(config->map_size_mib >= 64 && config->map_size_mib <= (16u << 20));
    fuzz_require(config->request_wait_ms >= 100 && config->request_wait_ms <= 60000);
}

/* A channel that is not missing anything composes with these settings. */
static void check_channels(const struct config *config)
{
    static const char *const addresses[] = {"alice@example.org", "+15550100", "topic", "https://example.org/hook",
                                            "https://ntfy.example/topic"};

    for (const struct channel *const *channel = channels_all(); *channel != NULL; channel++) {
        const char *missing = (*channel)->missing(&config->notify);
        fuzz_require(missing == NULL || missing[0] != '\0');
        for (size_t i = 0; missing == NULL && i < sizeof addresses / sizeof *addresses; i++) {
            struct outgoing outgoing = {0};
            char error[256] = "";
            Tocsin__Notification notification;
            tocsin__notification__init(&notification);
            notification.title = probe_text("Disk full");
            notification.service_name = probe_text("Database");
            notification.user_name = probe_text("alice");
            notification.address = probe_text(addresses[i]);
            bool composed = (*channel)->compose(&config->notify, &notification, &outgoing, error, sizeof error);
            fuzz_require(composed ? outgoing.url != NULL : error[0] != '\0');
            outgoing_close(&outgoing);
        }
    }
}

static bool mentions(const uint8_t *data, size_t size_bytes, const char *word)
{
    return memmem(data, size_bytes, word, strlen(word)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    char path[64], error[ERROR_SIZE];

    /* A secret's file that never ends, or waits for somebody to type. */
    if (mentions(data, size_bytes, "/dev") || mentions(data, size_bytes, "/proc") || chdir(home.path) != 0) {
        return -1;
    }
    int fd = memfd_create("configuration", MFD_CLOEXEC);
    fuzz_require(fd >= 0 && write(fd, data, size_bytes) == (ssize_t)size_bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(error, 0x5a, sizeof error);
    struct config *config = config_load(path, error, sizeof error);
    if (config == NULL) {
        fuzz_require(memchr(error, '\0', sizeof error) != NULL);
        fuzz_require(strncmp(error, path, strlen(path)) == 0 && strlen(error) > strlen(path) + 2);
    } else {
        check_config(config);
        check_channels(config);
    }
    config_free(config);
    close(fd);
    return 0;
}
