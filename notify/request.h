/* One request to a provider and its curl handle: what transfers in the loop (HTTP) and in threads (SMTP) share. */
#ifndef NOTIFY_REQUEST_H
#define NOTIFY_REQUEST_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notify/channel.h"

struct request {
    CURL *easy;
    bool mail;
    bool certificate;
    unsigned times_begun; /* how often curl began to send it */
    atomic_bool given_up; /* for mail: from another thread */
    uint64_t deadline_ns;
    struct curl_slist *headers, *recipients;
    char *body;
    size_t body_size_bytes, body_read_bytes;
    char answer[ANSWER_BODY_SIZE_BYTES_MAX + 1];
    size_t answer_size_bytes;
    char error[CURL_ERROR_SIZE];
};

/* Makes a zeroed or cleared request ready; keeps its handle if it has one. */
void request_open(struct request *request);
/* Copies `outgoing` into it. `ca_file`: authorities to trust beside the system's, or NULL. NULL, or a sentence that says why it cannot be set up. */
const char *request_set_up(struct request *request, const struct outgoing *outgoing, const char *ca_file);
/* A whole SMTP conversation, in the calling thread. */
CURLcode request_perform_mail(struct request *request);
/* What came of it. The strings in `answer` live in the request until it is opened again. */
void request_answer(struct request *request, CURLcode result, struct answer *answer);
/* Drops everything but the handle. */
void request_clear(struct request *request);
void request_close(struct request *request);

#endif
