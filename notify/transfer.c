/*
 * Outgoing requests: HTTP on curl's multi interface, its sockets and its one timer driven by a libuv loop; mail in
 * threads.
 *
 *     transfers_start ─┬─ HTTP ─> multi ── sockets, timer ──> uv_poll, uv_timer ──┬─> answered(id)
 *                      └─ SMTP ─> a thread of its own ── uv_async ────────────────┘
 *
 * Mail has threads because curl's SMTP blocks even in the multi interface: for the last answer to a message, and for
 * the one to QUIT. A mail server that takes its time would stop the loop, and with it the consensus that runs there.
 *
 * Connections to HTTP providers belong to the multi handle and are used again; easy handles are only settings, and
 * pooled.
 *
 * On close everything under way is dropped without an answer; `closed` waits for the threads, about a second at most.
 */
#include "notify/transfer.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "notify/compose.h"
#include "notify/request.h"

/* Kept for the next transfers; more exist only during bursts. */
#define POOL_MAX 64
#define CONNECTIONS_KEPT 32L
#define MAIL_STACK_SIZE_BYTES (512u << 10)

struct transfer {
    struct transfers *owner;
    struct transfer *next; /* in the pool, among those that could not be set up, or among mails that have ended */
    struct transfer *previous_active, *next_active;
    uint64_t id;
    /* Mail only. */
    uv_thread_t thread;
    CURLcode result;
    bool dropped; /* its answer is of no interest any more */
    struct request request;
};

struct transfers {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;          /* curl's */
    uv_timer_t refusals_timer; /* answers what could not be set up, outside the call that took it */
    uv_async_t mails_async;
    void (*answered)(void *context, uint64_t transfer_id, const struct answer *);
    void *context;
    char *ca_file;
    struct transfer *active, *pool, *refused;
    size_t pool_count, mails_running;
    uv_mutex_t mails_lock; /* over mails_done, which threads add to */
    struct transfer *mails_done;
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

/* Out of memory, or a rule of curl's or libuv's is broken here. */
static void must(bool went_well)
{
    if (!went_well)
        abort();
}

/* ---- transfers */

static struct transfer *transfer_new(struct transfers *transfers)
{
    struct transfer *transfer = transfers->pool;
    if (transfer) {
        transfers->pool = transfer->next;
        transfers->pool_count--;
    } else {
        transfer = calloc(1, sizeof *transfer);
        must(transfer != NULL);
    }
    transfer->owner = transfers;
    transfer->next = NULL;
    transfer->dropped = false;
    request_open(&transfer->request);
    return transfer;
}

/* Drops all that belongs to one request. A mail's handle has a connection of its own, so only others are kept. */
static void transfer_release(struct transfer *transfer)
{
    struct transfers *transfers = transfer->owner;
    if (transfers->closing || transfers->pool_count == POOL_MAX || transfer->request.mail) {
        if (transfer->request.easy)
            request_close(&transfer->request);
        free(transfer);
        return;
    }
    request_clear(&transfer->request);
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

/* ---- answers */

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
        must(curl_multi_remove_handle(transfers->multi, transfer->request.easy) == CURLM_OK);
        active_remove(transfers, transfer);
        struct answer answer;
        request_answer(&transfer->request, result, &answer);
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
        struct answer answer = {
            .kind = ANSWER_NOT_SENT, .retry_after_s = -1, .body = "", .error = transfer->request.error};
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
    uv_mutex_destroy(&transfers->mails_lock);
    free(transfers->ca_file);
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

static void on_handle_closed(uv_handle_t *handle)
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

/* ---- mail */

static void mail_thread(void *argument)
{
    struct transfer *transfer = argument;
    struct transfers *transfers = transfer->owner;
    transfer->result = request_perform_mail(&transfer->request);
    uv_mutex_lock(&transfers->mails_lock);
    transfer->next = transfers->mails_done;
    transfers->mails_done = transfer;
    must(uv_async_send(&transfers->mails_async) == 0);
    uv_mutex_unlock(
        &transfers->mails_lock); /* held until here, so that the loop does not close the handle in between */
}

static bool mail_start(struct transfers *transfers, struct transfer *transfer)
{
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = MAIL_STACK_SIZE_BYTES};
    if (uv_thread_create_ex(&transfer->thread, &options, mail_thread, transfer) != 0)
        return false;
    transfers->mails_running++;
    return true;
}

static void on_mails_done(uv_async_t *async)
{
    struct transfers *transfers = async->data;
    uv_mutex_lock(&transfers->mails_lock);
    struct transfer *done = transfers->mails_done;
    transfers->mails_done = NULL;
    uv_mutex_unlock(&transfers->mails_lock);
    while (done) {
        struct transfer *transfer = done;
        done = transfer->next;
        must(uv_thread_join(&transfer->thread) == 0);
        transfers->mails_running--;
        if (!transfer->dropped) {
            active_remove(transfers, transfer);
            struct answer answer;
            request_answer(&transfer->request, transfer->result, &answer);
            transfers->answered(transfers->context, transfer->id, &answer);
        }
        transfer_release(transfer);
    }
    if (transfers->closing && transfers->mails_running == 0 && !uv_is_closing((uv_handle_t *)async))
        uv_close((uv_handle_t *)async, on_handle_closed);
}

/* ---- the public face */

struct transfers *transfers_open(uv_loop_t *loop,
                                 void (*answered)(void *context, uint64_t transfer_id, const struct answer *),
                                 void *context)
{
    must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    struct transfers *transfers = calloc(1, sizeof *transfers);
    must(transfers != NULL);
    transfers->loop = loop;
    transfers->answered = answered;
    transfers->context = context;
    must(uv_timer_init(loop, &transfers->timer) == 0 && uv_timer_init(loop, &transfers->refusals_timer) == 0 &&
         uv_async_init(loop, &transfers->mails_async, on_mails_done) == 0 &&
         uv_mutex_init(&transfers->mails_lock) == 0);
    transfers->timer.data = transfers->refusals_timer.data = transfers->mails_async.data = transfers;
    transfers->handles = 3;
    transfers->multi = curl_multi_init();
    must(transfers->multi != NULL);
    must(curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, set_socket) == CURLM_OK &&
         curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers) == CURLM_OK &&
         curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK &&
         curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers) == CURLM_OK &&
         curl_multi_setopt(transfers->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT) == CURLM_OK);
    return transfers;
}

void transfers_trust(struct transfers *transfers, const char *ca_file)
{
    free(transfers->ca_file);
    transfers->ca_file = compose_copy(ca_file);
}

/* Nobody hears of it any more. A mail's thread ends by itself within about a second. */
static void transfer_drop(struct transfers *transfers, struct transfer *transfer)
{
    active_remove(transfers, transfer);
    if (transfer->request.mail) {
        transfer->dropped = true;
        atomic_store(&transfer->request.given_up, true);
        return;
    }
    must(curl_multi_remove_handle(transfers->multi, transfer->request.easy) == CURLM_OK);
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
    uv_close((uv_handle_t *)&transfers->timer, on_handle_closed);
    uv_close((uv_handle_t *)&transfers->refusals_timer, on_handle_closed);
    if (transfers->mails_running == 0)
        uv_close((uv_handle_t *)&transfers->mails_async, on_handle_closed);
}

static void refuse(struct transfers *transfers, struct transfer *transfer, const char *wrong)
{
    clean_copy(transfer->request.error, sizeof transfer->request.error, wrong, strlen(wrong));
    transfer->next = transfers->refused;
    transfers->refused = transfer;
    must(uv_timer_start(&transfers->refusals_timer, on_refusals, 0, 0) == 0);
}

void transfers_start(struct transfers *transfers, uint64_t transfer_id, const struct outgoing *outgoing)
{
    assert(!transfers->closing && outgoing->deadline_ms > 0);
    struct transfer *transfer = transfer_new(transfers);
    transfer->id = transfer_id;
    const char *wrong = request_set_up(&transfer->request, outgoing, transfers->ca_file);
    if (!wrong && transfer->request.mail && !mail_start(transfers, transfer))
        wrong = "no thread for a mail";
    if (wrong) {
        refuse(transfers, transfer, wrong);
        return;
    }
    active_add(transfers, transfer);
    if (!transfer->request.mail) {
        must(curl_easy_setopt(transfer->request.easy, CURLOPT_PRIVATE, transfer) == CURLE_OK);
        must(curl_multi_add_handle(transfers->multi, transfer->request.easy) == CURLM_OK);
    }
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
