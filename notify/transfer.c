/*
 * Outgoing requests: curl's multi interface, its sockets and its one timer driven by a libuv loop.
 *
 *     transfers_start ──> easy handle from the pool ──> multi ── sockets, timer ──> uv_poll, uv_timer
 *                                                         │
 *                         answered(id) <── the handle goes back to the pool <── done
 *
 * Connections belong to the multi handle and are used again; easy handles are only settings.
 *
 * Was the request sent? A page that may have arrived must not be called unsent, so that is decided by bytes, not by curl's error
 * code: HTTP by whether any byte of the request left; SMTP by whether all of the message did, since a server takes it only with the
 * final dot.
 *
 * On close everything under way is dropped without an answer.
 */
#include "notify/transfer.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "notify/compose.h"

/* Kept for the next transfers; more exist only during bursts. */
#define POOL_MAX 64
#define CONNECT_TIMEOUT_MS 6000L
/* Servers close idle connections after about a minute; one that is about to be closed is worse than a new one. */
#define CONNECTION_IDLE_S 30L
#define CONNECTIONS_KEPT 32L

struct transfer {
    struct transfers *owner;
    struct transfer *next; /* in the pool or among those that could not be set up */
    struct transfer *previous_active, *next_active;
    CURL *easy;
    uint64_t id;
    bool mail;
    unsigned requests; /* how often curl began to send the request */
    struct curl_slist *headers, *recipients;
    char *body;
    size_t body_size_bytes, body_read_bytes;
    char answer[ANSWER_BODY_SIZE_BYTES_MAX + 1];
    size_t answer_size_bytes;
    char error[CURL_ERROR_SIZE];
};

struct transfers {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;          /* curl's */
    uv_timer_t refusals_timer; /* answers what could not be set up, outside the call that took it */
    void (*answered)(void *context, uint64_t transfer_id, const struct answer *);
    void *context;
    struct transfer *active, *pool, *refused;
    size_t pool_count;
    unsigned handles; /* of libuv, not closed yet */
    bool closing;
    void (*closed)(void *context);
    void *closed_context;
};

/* What watches one of curl's sockets. */
struct watch {
    uv_poll_t poll;
    struct transfers *owner;
    curl_socket_t socket;
};

static void must(bool went_well)
{
    if (!went_well)
        abort(); /* out of memory, or a rule of curl's or libuv's is broken here */
}

/* ---- easy handles */

static struct transfer *transfer_new(struct transfers *transfers)
{
    struct transfer *transfer = transfers->pool;
    if (transfer) {
        transfers->pool = transfer->next;
        transfers->pool_count--;
    } else {
        transfer = calloc(1, sizeof *transfer);
        must(transfer != NULL);
        transfer->easy = curl_easy_init();
        must(transfer->easy != NULL);
    }
    CURL *easy = transfer->easy;
    *transfer = (struct transfer){.owner = transfers, .easy = easy};
    return transfer;
}

/* Drops all that belongs to one request, and keeps the handle for another. */
static void transfer_release(struct transfer *transfer)
{
    struct transfers *transfers = transfer->owner;
    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->recipients);
    free(transfer->body);
    transfer->headers = transfer->recipients = NULL;
    transfer->body = NULL;
    if (transfers->closing || transfers->pool_count == POOL_MAX) {
        curl_easy_cleanup(transfer->easy);
        free(transfer);
        return;
    }
    curl_easy_reset(transfer->easy); /* a password must not stay in it */
    transfer->next = transfers->pool;
    transfers->pool = transfer;
    transfers->pool_count++;
}

static void active_add(struct transfers *transfers, struct transfer *transfer)
{
    transfer->next_active = transfers->active;
    if (transfers->active)
        transfers->active->previous_active = transfer;
    transfers->active = transfer;
}

static void active_remove(struct transfers *transfers, struct transfer *transfer)
{
    if (transfer->previous_active)
        transfer->previous_active->next_active = transfer->next_active;
    else
        transfers->active = transfer->next_active;
    if (transfer->next_active)
        transfer->next_active->previous_active = transfer->previous_active;
    transfer->previous_active = transfer->next_active = NULL;
}

/* ---- what curl asks of a transfer */

static size_t on_mail_read(char *buffer, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t room = size * count, left = transfer->body_size_bytes - transfer->body_read_bytes;
    size_t taken = left < room ? left : room;
    memcpy(buffer, transfer->body + transfer->body_read_bytes, taken);
    transfer->body_read_bytes += taken;
    return taken;
}

/* An answer longer than the bound ends the transfer; its status has been heard by then, which is all that counts. */
static size_t on_answer(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t all = size * count, room = ANSWER_BODY_SIZE_BYTES_MAX - transfer->answer_size_bytes;
    size_t taken = all < room ? all : room;
    memcpy(transfer->answer + transfer->answer_size_bytes, bytes, taken);
    transfer->answer_size_bytes += taken;
    return taken;
}

/* curl gives each line of an SMTP server here: the last one is kept as the answer's body. */
static size_t on_mail_line(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t all = size * count, taken = all < ANSWER_BODY_SIZE_BYTES_MAX ? all : ANSWER_BODY_SIZE_BYTES_MAX;
    memcpy(transfer->answer, bytes, taken);
    while (taken && (transfer->answer[taken - 1] == '\n' || transfer->answer[taken - 1] == '\r'))
        taken--;
    transfer->answer_size_bytes = taken;
    return all;
}

/* curl silently sends a request a second time when a connection that it used again is closed without an answer. That would be a
 * repeat that nobody knows of (promise P2): one request per attempt. */
static int on_request(void *context, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
    (void)peer_ip, (void)local_ip, (void)peer_port, (void)local_port;
    struct transfer *transfer = context;
    return ++transfer->requests == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* ---- setting up */

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* Nothing from outside may begin a line of a protocol. */
static const char *wrong_with(const struct outgoing *outgoing)
{
    const char *lines[] = {outgoing->url, outgoing->mail_from, outgoing->mail_to, outgoing->username};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (lines[i] && !is_one_line(lines[i]))
            return "a control character in an address";
    for (size_t i = 0; i < outgoing->headers_count; i++)
        if (!is_one_line(outgoing->headers[i]))
            return "a control character in a header";
    return outgoing->url ? NULL : "no address";
}

static struct curl_slist *list_append(struct curl_slist *list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(list, text);
    must(longer != NULL);
    return longer;
}

/* The options' types are checked by curl's own header, so one macro serves all. */
#define SET(option, value) \
    do { \
        CURLcode code = curl_easy_setopt(transfer->easy, option, value); \
        if (code != CURLE_OK) \
            return code; \
    } while (0)

static CURLcode set_common(struct transfer *transfer, const struct outgoing *outgoing)
{
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->error);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* or giving up a name that does not resolve blocks the loop until the resolver gives up too */
    SET(CURLOPT_PROTOCOLS_STR, "http,https,smtp,smtps");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_TIMEOUT_MS, (long)outgoing->deadline_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(CURLOPT_MAXAGE_CONN, CONNECTION_IDLE_S);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_PREREQFUNCTION, on_request);
    SET(CURLOPT_PREREQDATA, transfer);
    SET(CURLOPT_URL, outgoing->url);
    if (outgoing->username) {
        SET(CURLOPT_USERNAME, outgoing->username);
        SET(CURLOPT_PASSWORD, outgoing->password ? outgoing->password : "");
    }
    return CURLE_OK;
}

static CURLcode set_http(struct transfer *transfer, const struct outgoing *outgoing)
{
    for (size_t i = 0; i < outgoing->headers_count; i++)
        transfer->headers = list_append(transfer->headers, outgoing->headers[i]);
    transfer->headers = list_append(transfer->headers, "Expect:"); /* one round trip less */
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);        /* one request per connection: one reset is one unknown outcome */
    SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    SET(CURLOPT_USERAGENT, "tocsin");
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body_size_bytes);
    SET(CURLOPT_POSTFIELDS, transfer->body);
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_WRITEDATA, transfer);
    return CURLE_OK;
}

static CURLcode set_mail(struct transfer *transfer, const struct outgoing *outgoing)
{
    transfer->recipients = list_append(transfer->recipients, outgoing->mail_to);
    SET(CURLOPT_USE_SSL, outgoing->require_tls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_TRY);
    SET(CURLOPT_MAIL_FROM, outgoing->mail_from ? outgoing->mail_from : "");
    SET(CURLOPT_MAIL_RCPT, transfer->recipients);
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)transfer->body_size_bytes);
    SET(CURLOPT_READFUNCTION, on_mail_read);
    SET(CURLOPT_READDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, on_mail_line);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, on_mail_line);
    SET(CURLOPT_WRITEDATA, transfer);
    return CURLE_OK;
}

static const char *transfer_set_up(struct transfer *transfer, const struct outgoing *outgoing)
{
    const char *wrong = wrong_with(outgoing);
    if (wrong)
        return wrong;
    transfer->mail = outgoing->mail_to != NULL;
    transfer->body_size_bytes = outgoing->body_size_bytes;
    transfer->body = malloc(outgoing->body_size_bytes + 1);
    must(transfer->body != NULL);
    if (outgoing->body_size_bytes)
        memcpy(transfer->body, outgoing->body, outgoing->body_size_bytes);
    CURLcode code = set_common(transfer, outgoing);
    if (code == CURLE_OK)
        code = transfer->mail ? set_mail(transfer, outgoing) : set_http(transfer, outgoing);
    return code == CURLE_OK ? NULL : curl_easy_strerror(code);
}

/* ---- answers */

static bool was_sent(const struct transfer *transfer)
{
    curl_off_t uploaded = 0, began_us = 0;
    long request_size = 0;
    must(curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded) == CURLE_OK);
    must(curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &began_us) == CURLE_OK);
    must(curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &request_size) == CURLE_OK);
    if (transfer->mail)
        return transfer->body_read_bytes == transfer->body_size_bytes && began_us > 0;
    return request_size > 0 || uploaded > 0 || began_us > 0 || transfer->requests > 1;
}

static void answer_of(const struct transfer *transfer, CURLcode result, struct answer *answer)
{
    long status = 0;
    curl_off_t retry_after_s = 0;
    must(curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK);
    must(curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after_s) == CURLE_OK);
    *answer = (struct answer){.retry_after_s = retry_after_s > 0 ? (int64_t)retry_after_s : -1,
                              .body = transfer->answer,
                              .body_size_bytes = transfer->answer_size_bytes,
                              .error = transfer->error[0] ? transfer->error : curl_easy_strerror(result)};
    /* An SMTP status before the end counts only as a refusal; an HTTP one counts even when the body did not come whole. */
    bool answered = result == CURLE_OK || (transfer->mail ? status >= 400 : status >= 200);
    if (answered && status > 0) {
        answer->kind = ANSWER_RESPONSE;
        answer->status = (unsigned)status;
    } else {
        answer->kind = was_sent(transfer) ? ANSWER_NO_ANSWER : ANSWER_NOT_SENT;
    }
}

/* Hands over what has ended. The callback may start, abort and close. */
static void report_done(struct transfers *transfers)
{
    int left;
    const CURLMsg *message;
    while (!transfers->closing && (message = curl_multi_info_read(transfers->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result;
        char *private = NULL;
        must(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private) == CURLE_OK);
        struct transfer *transfer = (struct transfer *)(void *)private;
        must(curl_multi_remove_handle(transfers->multi, transfer->easy) == CURLM_OK);
        active_remove(transfers, transfer);
        struct answer answer;
        answer_of(transfer, result, &answer);
        transfer->answer[transfer->answer_size_bytes] = '\0';
        transfers->answered(transfers->context, transfer->id, &answer);
        transfer_release(transfer);
    }
}

static void on_refusals(uv_timer_t *timer)
{
    struct transfers *transfers = timer->data;
    while (!transfers->closing && transfers->refused) {
        struct transfer *transfer = transfers->refused;
        transfers->refused = transfer->next;
        struct answer answer = {.kind = ANSWER_NOT_SENT, .retry_after_s = -1, .body = "", .error = transfer->error};
        transfers->answered(transfers->context, transfer->id, &answer);
        transfer_release(transfer);
    }
}

/* ---- curl and libuv */

static void on_timer(uv_timer_t *timer)
{
    struct transfers *transfers = timer->data;
    int running;
    must(curl_multi_socket_action(transfers->multi, CURL_SOCKET_TIMEOUT, 0, &running) == CURLM_OK);
    report_done(transfers);
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct transfers *transfers = context;
    if (transfers->closing)
        return 0;
    if (timeout_ms < 0)
        must(uv_timer_stop(&transfers->timer) == 0);
    else
        must(uv_timer_start(&transfers->timer, on_timer, (uint64_t)timeout_ms, 0) == 0);
    return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct transfers *transfers = watch->owner;
    int action = status < 0 ? CURL_CSELECT_ERR : 0;
    action |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    action |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    int running;
    must(curl_multi_socket_action(transfers->multi, watch->socket, action, &running) == CURLM_OK);
    report_done(transfers);
}

static void handle_closed(struct transfers *transfers)
{
    assert(transfers->handles > 0);
    if (--transfers->handles > 0 || !transfers->closing)
        return;
    void (*closed)(void *context) = transfers->closed;
    void *context = transfers->closed_context;
    free(transfers);
    curl_global_cleanup();
    closed(context);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct transfers *transfers = watch->owner;
    free(watch);
    handle_closed(transfers);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static int set_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context)
{
    (void)easy;
    struct transfers *transfers = context;
    struct watch *watch = socket_context;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            must(uv_poll_stop(&watch->poll) == 0);
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (!watch) {
        watch = calloc(1, sizeof *watch);
        must(watch != NULL);
        watch->owner = transfers;
        watch->socket = socket;
        watch->poll.data = watch;
        must(uv_poll_init_socket(transfers->loop, &watch->poll, socket) == 0);
        transfers->handles++;
        must(curl_multi_assign(transfers->multi, socket, watch) == CURLM_OK);
    }
    int events = (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0);
    must(uv_poll_start(&watch->poll, events, on_socket) == 0);
    return 0;
}

/* ---- the public face */

struct transfers *transfers_open(uv_loop_t *loop, void (*answered)(void *context, uint64_t transfer_id, const struct answer *),
                                 void *context)
{
    must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    struct transfers *transfers = calloc(1, sizeof *transfers);
    must(transfers != NULL);
    transfers->loop = loop;
    transfers->answered = answered;
    transfers->context = context;
    must(uv_timer_init(loop, &transfers->timer) == 0 && uv_timer_init(loop, &transfers->refusals_timer) == 0);
    transfers->timer.data = transfers->refusals_timer.data = transfers;
    transfers->handles = 2;
    transfers->multi = curl_multi_init();
    must(transfers->multi != NULL);
    must(curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, set_socket) == CURLM_OK &&
         curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers) == CURLM_OK &&
         curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK &&
         curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers) == CURLM_OK &&
         curl_multi_setopt(transfers->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT) == CURLM_OK);
    return transfers;
}

static void transfer_drop(struct transfers *transfers, struct transfer *transfer)
{
    active_remove(transfers, transfer);
    must(curl_multi_remove_handle(transfers->multi, transfer->easy) == CURLM_OK);
    transfer_release(transfer);
}

void transfers_close(struct transfers *transfers, void (*closed)(void *context), void *context)
{
    assert(!transfers->closing);
    transfers->closing = true;
    transfers->closed = closed;
    transfers->closed_context = context;
    while (transfers->active)
        transfer_drop(transfers, transfers->active);
    struct transfer **lists[] = {&transfers->refused, &transfers->pool};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        while (*lists[i]) {
            struct transfer *transfer = *lists[i];
            *lists[i] = transfer->next;
            transfer_release(transfer);
        }
    }
    must(curl_multi_cleanup(transfers->multi) == CURLM_OK);
    uv_close((uv_handle_t *)&transfers->timer, on_timer_closed);
    uv_close((uv_handle_t *)&transfers->refusals_timer, on_timer_closed);
}

void transfers_start(struct transfers *transfers, uint64_t transfer_id, const struct outgoing *outgoing)
{
    assert(!transfers->closing && outgoing->deadline_ms > 0);
    struct transfer *transfer = transfer_new(transfers);
    transfer->id = transfer_id;
    const char *wrong = transfer_set_up(transfer, outgoing);
    if (wrong) {
        clean_copy(transfer->error, sizeof transfer->error, wrong, strlen(wrong));
        transfer->next = transfers->refused;
        transfers->refused = transfer;
        must(uv_timer_start(&transfers->refusals_timer, on_refusals, 0, 0) == 0);
        return;
    }
    active_add(transfers, transfer);
    must(curl_multi_add_handle(transfers->multi, transfer->easy) == CURLM_OK);
}

void transfers_abort(struct transfers *transfers, uint64_t transfer_id)
{
    for (struct transfer *transfer = transfers->active; transfer; transfer = transfer->next_active) {
        if (transfer->id == transfer_id) {
            transfer_drop(transfers, transfer);
            return;
        }
    }
    for (struct transfer **link = &transfers->refused; *link; link = &(*link)->next) {
        if ((*link)->id == transfer_id) {
            struct transfer *transfer = *link;
            *link = transfer->next;
            transfer_release(transfer);
            return;
        }
    }
}
