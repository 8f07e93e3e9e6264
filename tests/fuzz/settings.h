/* Providers as a configuration might name them: every channel composes with these. */
#ifndef TESTS_FUZZ_SETTINGS_H
#define TESTS_FUZZ_SETTINGS_H

#include "notify/channel.h"

static const struct notify_settings fuzz_settings = {
    .twilio = {.base_url = "https://api.example/", .account_sid = "AC1", .auth_token = "secret", .from = "+15550199"},
    .ntfy = {.base_url = "https://ntfy.example", .token = "tk_secret"},
    .smtp = {.url = "smtp://mail.example", .from = "Tocsin <tocsin@example.org>", .require_tls = true},
    .webhook = {.secret = "signs"},
    .public_url = "https://tocsin.example",
    .cluster_name = "test",
};

#endif
