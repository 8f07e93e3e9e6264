/*
 * One request with its curl handle; see the header.
 *
 * Was the request sent? A page that may have arrived must not be called unsent, so that is decided by bytes, not by
 * curl's error code: HTTP by whether any byte of the request left; SMTP by whether all of the message did, since a
 * server takes it only with the final dot.
 */
#include "notify/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <uv.h>

#define CONNECT_TIMEOUT_MS 6000L
/* Servers close idle connections after about a minute; one that is about to be closed is worse than a new one. */
#define CONNECTION_IDLE_S 30L

/* Out of memory, or a rule of curl's is broken here. */
static void must(bool went_well)
{
    if (!went_well)
        abort();
}

/* ---- what curl asks of a request */

static size_t on_mail_read(char *buffer, size_t size, size_t count, void *context)
{
    struct request *request = context;
    size_t room = size * count, left = request->body_size_bytes - request->body_read_bytes;
    size_t taken = left < room ? left : room;
    memcpy(buffer, request->body + request->body_read_bytes, taken);
    request->body_read_bytes += taken;
    return taken;
}

/* An answer longer than the bound ends the transfer; its status has been heard by then, which is all that counts. */
static size_t on_answer(char *bytes, size_t size, size_t count, void *context)
{
    struct request *request = context;
    size_t all = size * count, room = ANSWER_BODY_SIZE_BYTES_MAX - request->answer_size_bytes;
    size_t taken = all < room ? all : room;
    memcpy(request->answer + request->answer_size_bytes, bytes, taken);
    request->answer_size_bytes += taken;
    return taken;
}

/* curl gives each line of an SMTP server here: the last one is kept as the answer's body. */
static size_t on_mail_line(char *bytes, size_t size, size_t count, void *context)
{
    struct request *request = context;
    size_t all = size * count, taken = all < ANSWER_BODY_SIZE_BYTES_MAX ? all : ANSWER_BODY_SIZE_BYTES_MAX;
    memcpy(request->answer, bytes, taken);
    while (taken && (request->answer[taken - 1] == '\n' || request->answer[taken - 1] == '\r'))
        taken--;
    request->answer_size_bytes = taken;
    return all;
}

/* curl silently sends a request a second time when a connection that it used again is closed without an answer.
 * That would be a repeat that nobody knows of (promise P2): one request per attempt. */
static int on_request(void *context, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
    (void)peer_ip, (void)local_ip, (void)peer_port, (void)local_port;
    struct request *request = context;
    return ++request->times_begun == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* curl asks about once a second, also where it blocks: for a mail's last answer, and for the one to QUIT. */
static int on_progress(void *context, curl_off_t download_all, curl_off_t download, curl_off_t upload_all,
                       curl_off_t upload)
{
    (void)download_all, (void)download, (void)upload_all, (void)upload;
    struct request *request = context;
    return atomic_load(&request->given_up) || uv_hrtime() > request->deadline_ns;
}

/* Once curl says goodbye the outcome stands: a server that does not say it, too, must not hold it back. */
static int on_conversation(CURL *easy, curl_infotype type, char *data, size_t size, void *context)
{
    (void)easy;
    struct request *request = context;
    if (type == CURLINFO_HEADER_OUT && size >= 4 && memcmp(data, "QUIT", 4) == 0)
        request->deadline_ns = uv_hrtime();
    return 0;
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
        CURLcode code = curl_easy_setopt(request->easy, option, value); \
        if (code != CURLE_OK) \
            return code; \
    } while (0)

static CURLcode set_common(struct request *request, const struct outgoing *outgoing, const char *ca_file)
{
    SET(CURLOPT_ERRORBUFFER, request->error);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT,
        1L); /* or giving up a name that does not resolve blocks the loop until the resolver gives up too */
    SET(CURLOPT_PROTOCOLS_STR, "http,https,smtp,smtps");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (ca_file)
        SET(CURLOPT_CAINFO, ca_file); /* the folder of the system's authorities, CURLOPT_CAPATH, stays */
    SET(CURLOPT_TIMEOUT_MS, (long)outgoing->deadline_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(CURLOPT_MAXAGE_CONN, CONNECTION_IDLE_S);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_PREREQFUNCTION, on_request);
    SET(CURLOPT_PREREQDATA, request);
    SET(CURLOPT_URL, outgoing->url);
    if (outgoing->username) {
        SET(CURLOPT_USERNAME, outgoing->username);
        SET(CURLOPT_PASSWORD, outgoing->password ? outgoing->password : "");
    }
    return CURLE_OK;
}

static CURLcode set_http(struct request *request, const struct outgoing *outgoing)
{
    for (size_t i = 0; i < outgoing->headers_count; i++)
        request->headers = list_append(request->headers, outgoing->headers[i]);
    request->headers = list_append(request->headers, "Expect:"); /* one round trip less */
    SET(CURLOPT_HTTP_VERSION,
        (long)CURL_HTTP_VERSION_1_1); /* one request per connection: one reset is one unknown outcome */
    SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    SET(CURLOPT_USERAGENT, "tocsin");
    SET(CURLOPT_HTTPHEADER, request->headers);
    if (outgoing->get) {
        SET(CURLOPT_HTTPGET, 1L);
    } else {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size_bytes);
        SET(CURLOPT_POSTFIELDS, request->body);
    }
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_WRITEDATA, request);
    return CURLE_OK;
}

/* The connection is opened, to the end of its TLS handshake (SMTP's STARTTLS too), and closed: nothing is asked, so nothing is pinged. */
static CURLcode set_certificate(struct request *request, const struct outgoing *outgoing)
{
    SET(CURLOPT_CERTINFO, 1L);
    SET(CURLOPT_CONNECT_ONLY, 1L);
    SET(CURLOPT_FRESH_CONNECT, 1L); /* of a connection that is used again curl tells no certificate */
    SET(CURLOPT_USE_SSL, outgoing->require_tls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_TRY);
    return CURLE_OK;
}

static CURLcode set_mail(struct request *request, const struct outgoing *outgoing)
{
    SET(CURLOPT_USE_SSL, outgoing->require_tls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_TRY);
    if (outgoing->mail_to) {
        request->recipients = list_append(request->recipients, outgoing->mail_to);
        SET(CURLOPT_MAIL_FROM, outgoing->mail_from ? outgoing->mail_from : "");
        SET(CURLOPT_MAIL_RCPT, request->recipients);
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size_bytes);
        SET(CURLOPT_READFUNCTION, on_mail_read);
        SET(CURLOPT_READDATA, request);
    } else {
        SET(CURLOPT_CUSTOMREQUEST, "NOOP"); /* RFC 5321 4.5.1: every server has it */
    }
    SET(CURLOPT_HEADERFUNCTION, on_mail_line);
    SET(CURLOPT_HEADERDATA, request);
    SET(CURLOPT_WRITEFUNCTION, on_mail_line);
    SET(CURLOPT_WRITEDATA, request);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, request);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_DEBUGFUNCTION, on_conversation);
    SET(CURLOPT_DEBUGDATA, request);
    SET(CURLOPT_VERBOSE, 1L); /* to the function above, and nowhere else */
    return CURLE_OK;
}

/* ---- answers */

static bool was_sent(const struct request *request)
{
    curl_off_t uploaded = 0, began_us = 0;
    long request_size = 0;
    must(curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded) == CURLE_OK);
    must(curl_easy_getinfo(request->easy, CURLINFO_PRETRANSFER_TIME_T, &began_us) == CURLE_OK);
    must(curl_easy_getinfo(request->easy, CURLINFO_REQUEST_SIZE, &request_size) == CURLE_OK);
    if (request->mail)
        return request->body_read_bytes == request->body_size_bytes && began_us > 0;
    return request_size > 0 || uploaded > 0 || began_us > 0 || request->times_begun > 1;
}

/* When the first certificate of the chain, the server's own, expires; 0: none was shown. From curl's words, which differ between the TLS libraries
 * that it is built with; its copy of the certificate comes last, and not at all with keys that curl does not know (Ed25519 with GnuTLS). */
static uint64_t certificate_until_s(struct request *request)
{
    static const char name[] = "Expire Date:";
    static const char *const formats[] = {"%Y-%m-%d %H:%M:%S GMT", "%b %d %H:%M:%S %Y GMT"};
    struct curl_certinfo *chain = NULL;
    if (curl_easy_getinfo(request->easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || !chain || chain->num_of_certs == 0)
        return 0;
    const struct curl_slist *field = chain->certinfo[0];
    while (field && strncasecmp(field->data, name, sizeof name - 1) != 0)
        field = field->next;
    for (size_t i = 0; field && i < sizeof formats / sizeof *formats; i++) {
        struct tm utc = {0};
        time_t until = strptime(field->data + sizeof name - 1, formats[i], &utc) ? timegm(&utc) : 0;
        if (until > 0)
            return (uint64_t)until;
    }
    return 0;
}

void request_answer(struct request *request, CURLcode result, struct answer *answer)
{
    long status = 0;
    curl_off_t retry_after_s = 0;
    must(curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK);
    must(curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after_s) == CURLE_OK);
    request->answer[request->answer_size_bytes] = '\0';
    *answer = (struct answer){.retry_after_s = retry_after_s > 0 ? (int64_t)retry_after_s : -1,
                              .body = request->answer,
                              .body_size_bytes = request->answer_size_bytes,
                              .error = request->error[0] ? request->error : curl_easy_strerror(result)};
    if (request->certificate) {
        answer->certificate_until_s = certificate_until_s(request);
        answer->certificate_refused = result == CURLE_PEER_FAILED_VERIFICATION;
    }
    /* An SMTP status before the end counts only as a refusal; an HTTP one counts even when the body did not come
     * whole. */
    bool answered = result == CURLE_OK || (request->mail ? status >= 400 : status >= 200);
    if (answered && status > 0) {
        answer->kind = ANSWER_RESPONSE;
        answer->status = (unsigned)status;
    } else {
        answer->kind = was_sent(request) ? ANSWER_NO_ANSWER : ANSWER_NOT_SENT;
    }
}

/* ---- the whole */

const char *request_set_up(struct request *request, const struct outgoing *outgoing, const char *ca_file)
{
    const char *wrong = wrong_with(outgoing);
    if (wrong)
        return wrong;
    request->mail = strncasecmp(outgoing->url, "smtp", 4) == 0;
    request->certificate = outgoing->certificate;
    request->deadline_ns = uv_hrtime() + (uint64_t)outgoing->deadline_ms * 1000000;
    request->body_size_bytes = outgoing->body_size_bytes;
    request->body = malloc(outgoing->body_size_bytes + 1);
    must(request->body != NULL);
    if (outgoing->body_size_bytes)
        memcpy(request->body, outgoing->body, outgoing->body_size_bytes);
    CURLcode code = set_common(request, outgoing, ca_file);
    if (code == CURLE_OK)
        code = request->mail ? set_mail(request, outgoing) : set_http(request, outgoing);
    if (code == CURLE_OK && request->certificate)
        code = set_certificate(request, outgoing);
    return code == CURLE_OK ? NULL : curl_easy_strerror(code);
}

CURLcode request_perform_mail(struct request *request)
{
    CURLcode result = curl_easy_perform(request->easy);
    curl_socket_t connection = CURL_SOCKET_BAD;
    must(curl_easy_getinfo(request->easy, CURLINFO_ACTIVESOCKET, &connection) == CURLE_OK);
    if (connection != CURL_SOCKET_BAD)
        (void)shutdown(connection,
                       SHUT_RDWR); /* it may be gone already; either way closing does not wait for an answer to QUIT */
    return result;
}

void request_open(struct request *request)
{
    CURL *easy = request->easy ? request->easy : curl_easy_init();
    must(easy != NULL);
    *request = (struct request){.easy = easy};
}

void request_clear(struct request *request)
{
    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->recipients);
    free(request->body);
    request->headers = request->recipients = NULL;
    request->body = NULL;
    curl_easy_reset(request->easy); /* a password must not stay in it */
}

void request_close(struct request *request)
{
    request_clear(request);
    curl_easy_cleanup(request->easy);
    request->easy = NULL;
}
