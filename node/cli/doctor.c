/* tocsin doctor, tocsin page --local, tocsin admin-token: see doctor.h. */
#include "node/cli/doctor.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* A report is from memory and a short read; a page takes what its provider takes, and a token what a commit takes. */
#define DOCTOR_PATIENCE_S 5u
#define REQUEST_PATIENCE_S 35u
#define ANSWER_SIZE_BYTES_MAX (4u << 20)

enum { DONE = 0, REFUSED = 1, NO_ANSWER = 3 };

/* ---------------------------------------------------------------- asking */

/* What the way in which nobody answers says of the node, and what to do about it. */
static const struct {
    int fault; /* 0: any other */
    const char *means;
} silences[] = {
    {ENOENT, "There is no such socket: tocsind has never run here, or its data directory is elsewhere (TOCSIN_SOCKET=PATH, \"control\" in it)."},
    {ECONNREFUSED, "Is tocsind running on this machine? It was, and ended without a word to this socket: killed, or out of memory or disk (df -h)."},
    {EACCES, "Only the user that tocsind runs as, and root, may use the socket: sudo tocsin doctor."},
    {0, "Is tocsind running on this machine?"},
};

static int nobody(const char *path, int fault)
{
    size_t row = 0;

    while (silences[row].fault != fault && silences[row].fault != 0) {
        row++;
    }
    fprintf(stderr,
            "tocsin: nobody answers on %s: %s\n%s\n"
            "Look: systemctl status tocsind, and journalctl -u tocsind -n 50, whose last line says why it does not start, and what to do.\n"
            "Other machines of the cluster may answer: tocsin doctor there. Without any of them, call the guardians yourself: their numbers are in\n"
            "tocsind.conf.\n",
            path, strerror(fault), silences[row].means);
    return NO_ANSWER;
}

/* Somebody holds the socket, and says nothing. */
static int frozen(int fd, const char *path, unsigned patience_s)
{
    struct ucred peer = {0};
    socklen_t size_bytes = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size_bytes) != 0) {
        peer.pid = 0;
    }
    fprintf(stderr,
            "tocsin: tocsind (process %d) does not answer on %s within %u s: it was stopped, or waits for its disk.\n"
            "Look: ps -o pid,stat,wchan:30,etime,cmd -p %d (T: stopped, kill -CONT goes on; D: the disk), then systemctl restart tocsind. The other members\n"
            "go on without it: tocsin doctor there. Without any of them, call the guardians yourself: their numbers are in tocsind.conf.\n",
            (int)peer.pid, path, patience_s, (int)peer.pid);
    return NO_ANSWER;
}

static int dial(const char *path, unsigned patience_s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = patience_s};

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
                    connect(fd, (struct sockaddr *)&address, sizeof address) != 0)) {
        int fault = errno;
        close(fd);
        errno = fault;
        return -1;
    }
    return fd;
}

static bool send_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        text += sent;
        left -= (size_t)sent;
    }
    return true;
}

/* The answer up to its line end, to be freed; NULL when none came. */
static char *receive_line(int fd)
{
    size_t size_bytes = 0, capacity_bytes = 0;
    char *text = NULL;

    while (text == NULL || memchr(text, '\n', size_bytes) == NULL) {
        if (size_bytes + 4096 > capacity_bytes) {
            capacity_bytes = capacity_bytes > 0 ? capacity_bytes * 2 : 65536;
            char *larger = capacity_bytes <= ANSWER_SIZE_BYTES_MAX ? realloc(text, capacity_bytes) : NULL;
            if (larger == NULL) {
                free(text);
                return NULL;
            }
            text = larger;
        }
        ssize_t received = recv(fd, text + size_bytes, capacity_bytes - size_bytes - 1, 0);
        if (received <= 0) {
            free(text);
            return NULL;
        }
        size_bytes += (size_t)received;
    }
    text[size_bytes] = '\0';
    return text;
}

/* DONE with the answer, which is the caller's, or another result with a sentence on standard error. Takes the request over. */
static int ask(const char *path, json_t *request, unsigned patience_s, json_t **answer)
{
    char *line = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    *answer = NULL;
    if (line == NULL) {
        fputs("tocsin: the text is not UTF-8\n", stderr);
        return REFUSED;
    }
    int fd = dial(path, patience_s);
    bool sent = fd >= 0 && send_all(fd, line) && send_all(fd, "\n");
    free(line);
    errno = fd >= 0 ? 0 : errno;
    char *text = sent ? receive_line(fd) : NULL;
    int fault = errno, result = text != NULL ? DONE : fault == EAGAIN ? frozen(fd, path, patience_s) : nobody(path, fault != 0 ? fault : ECONNRESET);
    if (fd >= 0) {
        close(fd);
    }
    *answer = text != NULL ? json_loads(text, 0, NULL) : NULL;
    free(text);
    const char *error = json_string_value(json_object_get(*answer, "error"));
    if (result == DONE && (*answer == NULL || error != NULL)) {
        fprintf(stderr, "tocsin: %s\n", error != NULL ? error : "the node answered with what is not JSON");
        json_decref(*answer);
        *answer = NULL;
        result = REFUSED;
    }
    return result;
}

/* ---------------------------------------------------------------- printing */

/* Text from a node must not command the terminal. */
static void print_text(const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
    }
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static long long number_of(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

static void print_cluster(const json_t *report)
{
    const json_t *gasp = json_object_get(report, "last_gasp");

    printf("Node %lld of ", number_of(report, "id"));
    print_text(text_of(report, "cluster"));
    printf(", %s", text_of(report, "role"));
    if (json_is_integer(json_object_get(report, "leader"))) {
        printf("; the leader is node %lld", number_of(report, "leader"));
    } else {
        printf("; THERE IS NO LEADER");
    }
    printf(". Term %lld, committed %lld, applied %lld.\n", number_of(report, "term"), number_of(report, "commit_index"),
           number_of(report, "applied_index"));
    printf("Last gasp: %s", text_of(gasp, "standing"));
    if (number_of(gasp, "waited_ms") > 0) {
        printf(", %lld s without a leader", number_of(gasp, "waited_ms") / 1000);
    }
    printf(".\n");
}

static void print_members(const json_t *report)
{
    size_t i;
    json_t *member;

    puts("\nPeers");
    json_array_foreach(json_object_get(report, "members"), i, member)
    {
        bool connected = json_is_true(json_object_get(member, "connected"));
        printf("  node %lld  ", number_of(member, "id"));
        print_text(text_of(member, "address"));
        printf("  %s  %s", text_of(member, "role"), connected ? "connected" : "NOT CONNECTED");
        if (json_is_integer(json_object_get(member, "applied_index"))) {
            printf("  applied %lld", number_of(member, "applied_index"));
        }
        putchar('\n');
    }
}

static void print_incidents(const json_t *report)
{
    size_t i, j;
    json_t *incident, *name;

    if (json_object_get(report, "open_incidents") == NULL) {
        puts("\nOpen incidents, pages owed and who is on call: NOT KNOWN, the state cannot be read here.");
        return;
    }
    if (json_is_true(json_object_get(report, "incomplete"))) {
        puts("\nINCOMPLETE: the state here is behind its log. What is open and who is on call may be more than this, or otherwise.");
    }
    printf("\nOpen incidents: %lld, not acknowledged: %lld. Pages owed: %lld.\n", number_of(report, "open_incidents"),
           number_of(report, "unacknowledged_incidents"), number_of(report, "owed_pages"));
    json_array_foreach(json_object_get(report, "incidents"), i, incident)
    {
        printf("  %s  #%lld  %s %s  ", text_of(incident, "id"), number_of(incident, "number"), text_of(incident, "status"),
               text_of(incident, "urgency"));
        print_text(text_of(incident, "service"));
        printf(": ");
        print_text(text_of(incident, "title"));
        json_array_foreach(json_object_get(incident, "assigned"), j, name)
        {
            printf(j == 0 ? " - " : ", ");
            print_text(json_string_value(name));
        }
        putchar('\n');
    }
}

static void print_on_call(const json_t *report)
{
    size_t i;
    json_t *one;

    if (json_array_size(json_object_get(report, "on_call")) == 0) {
        return;
    }
    puts("\nOn call");
    json_array_foreach(json_object_get(report, "on_call"), i, one)
    {
        printf("  ");
        print_text(text_of(one, "schedule"));
        printf(": ");
        print_text(json_is_string(json_object_get(one, "user")) ? text_of(one, "user") : "NOBODY");
        putchar('\n');
    }
}

int doctor_run(const char *socket_path)
{
    json_t *report, *step;
    size_t i;
    int result = ask(socket_path, json_pack("{s:s}", "ask", "doctor"), DOCTOR_PATIENCE_S, &report);

    if (result != DONE) {
        return result;
    }
    print_cluster(report);
    print_members(report);
    print_incidents(report);
    print_on_call(report);
    puts("\nNext");
    json_array_foreach(json_object_get(report, "next"), i, step)
    {
        printf("  ");
        print_text(json_string_value(step));
        putchar('\n');
    }
    json_decref(report);
    return DONE;
}

int doctor_page(const char *socket_path, const char *who, const char *text)
{
    json_t *answer, *page;
    size_t i;
    int result = ask(socket_path, json_pack("{s:s, s:s, s:s}", "ask", "page", "who", who, "text", text), REQUEST_PATIENCE_S,
                     &answer);

    if (result != DONE) {
        return result;
    }
    result = REFUSED;
    json_array_foreach(json_object_get(answer, "pages"), i, page)
    {
        bool taken = strcmp(text_of(page, "outcome"), "SENT") == 0;
        result = taken ? DONE : result;
        print_text(text_of(page, "name"));
        printf(" by %s (", text_of(page, "provider"));
        print_text(text_of(page, "address"));
        printf("): %s", taken ? "taken" : "NOT TAKEN: ");
        print_text(taken ? "" : text_of(page, "detail"));
        putchar('\n');
    }
    json_decref(answer);
    return result;
}

/* The secret alone goes to standard output, so that it can be piped where it shall be. */
int doctor_token(const char *socket_path)
{
    json_t *answer;
    int result = ask(socket_path, json_pack("{s:s}", "ask", "token"), REQUEST_PATIENCE_S, &answer);

    if (result == DONE) {
        fputs("tocsin: an administrator's token, for a day; make one that stays with it:\n", stderr);
        puts(text_of(answer, "token"));
        json_decref(answer);
    }
    return result;
}
