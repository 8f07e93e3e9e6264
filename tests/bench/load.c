/*
 * A load generator: so many connections, each one request at a time, for so many seconds or requests; prints rate and latencies as JSON.
 *
 *     load --path /v2/enqueue --ports 7101,7102,7103 --connections 64 --seconds 10 --expect 202 --body '{"dedup_key":"{n}",...}'
 *
 * In path and body {n} becomes a number that grows by one with each request (12 digits), {b} the base64 of "key-" and that number (16 characters of
 * key, which needs no padding at 15 bytes: "k" and 14 digits). --rate R sends R requests a second in all instead of as many as possible.
 * --modulo M begins anew after M numbers; --stride S, which has no divisor in common with M, takes them in another order than 0, 1, 2.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define EVENTS_MAX 256
#define PORTS_MAX 16
#define REQUEST_SIZE_BYTES_MAX 8192
#define RESPONSE_SIZE_BYTES_MAX 8192
#define SAMPLES_MAX 8000000

struct connection {
    int fd;
    uint64_t sent_ns;
    char response[RESPONSE_SIZE_BYTES_MAX];
    size_t response_size_bytes;
};

static struct {
    const char *path, *body, *header;
    int ports[PORTS_MAX], ports_count, connections, expect;
    double seconds, rate;
    uint64_t requests, first, modulo, stride;
} options = {.connections = 1, .seconds = 5, .expect = 200, .requests = UINT64_MAX, .header = "", .modulo = UINT64_MAX, .stride = 1};

static uint32_t *samples_us;
static uint64_t samples_count, sent_count, refused_count;
static struct connection connections[CONNECTIONS_MAX];
/* Connections that wait for no answer. Who has rested longest comes next: a server ends connections that rest for good. */
static struct connection *idle[CONNECTIONS_MAX];
static int idle_first, idle_count;

static void rest(struct connection *connection) {
    idle[(idle_first + idle_count++) % CONNECTIONS_MAX] = connection;
}

static struct connection *wake(void) {
    struct connection *connection = idle[idle_first];
    idle_first = (idle_first + 1) % CONNECTIONS_MAX;
    idle_count--;
    return connection;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void base64(const char *in, size_t size_bytes, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i + 2 < size_bytes; i += 3) {
        unsigned value = (unsigned)(unsigned char)in[i] << 16 | (unsigned)(unsigned char)in[i + 1] << 8 | (unsigned char)in[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) *out++ = digits[value >> shift & 63];
    }
    *out = '\0';
}

/* The text with its placeholders filled in; its length. */
static size_t fill(const char *from, const char *text, const char *encoded, char out[REQUEST_SIZE_BYTES_MAX]) {
    size_t length = 0;
    for (const char *c = from; *c != '\0';) {
        const char *insert = strncmp(c, "{n}", 3) == 0 ? text : strncmp(c, "{b}", 3) == 0 ? encoded : NULL;
        size_t size_bytes = insert != NULL ? strlen(insert) : 1;
        if (length + size_bytes + 1 > REQUEST_SIZE_BYTES_MAX) die("path or body is too long");
        memcpy(out + length, insert != NULL ? insert : c, size_bytes);
        length += size_bytes;
        c += insert != NULL ? 3 : 1;
    }
    out[length] = '\0';
    return length;
}

static size_t compose(char *out, uint64_t number) {
    char text[16], encoded[24], key[16];
    snprintf(text, sizeof text, "%012" PRIu64, number % 1000000000000u);
    snprintf(key, sizeof key, "k%014" PRIu64, number % 100000000000000u);
    base64(key, 15, encoded);
    static char path[REQUEST_SIZE_BYTES_MAX], body[REQUEST_SIZE_BYTES_MAX];
    (void)fill(options.path, text, encoded, path);
    size_t length = fill(options.body, text, encoded, body);
    int head = snprintf(out, REQUEST_SIZE_BYTES_MAX,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%s%sContent-Length: %zu\r\n\r\n",
                        path, options.header, options.header[0] != '\0' ? "\r\n" : "", length);
    if (head < 0 || (size_t)head + length > REQUEST_SIZE_BYTES_MAX) die("the request is too long");
    memcpy(out + head, body, length);
    return (size_t)head + length;
}

static void open_connection(struct connection *connection, int port) {
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int yes = 1;
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0) die("connecting");
    if (setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0) die("TCP_NODELAY");
}

static void send_request(struct connection *connection) {
    char request[REQUEST_SIZE_BYTES_MAX];
    size_t size_bytes = compose(request, options.first + sent_count++ * options.stride % options.modulo);
    connection->sent_ns = now_ns();
    connection->response_size_bytes = 0;
    if (write(connection->fd, request, size_bytes) != (ssize_t)size_bytes) die("sending");
}

/* True when the response is whole. */
static bool whole(struct connection *connection) {
    connection->response[connection->response_size_bytes] = '\0';
    const char *end = strstr(connection->response, "\r\n\r\n");
    if (end == NULL) return false;
    size_t head = (size_t)(end - connection->response) + 4;
    const char *length = strcasestr(connection->response, "\r\ncontent-length:");
    if (length != NULL && length < end) return connection->response_size_bytes >= head + strtoul(length + 17, NULL, 10);
    const char *chunked = strcasestr(connection->response, "\r\ntransfer-encoding: chunked");
    if (chunked != NULL && chunked < end) return strstr(end + 4, "0\r\n\r\n") != NULL;
    return true;
}

static void receive(struct connection *connection) {
    size_t room = sizeof connection->response - 1 - connection->response_size_bytes;
    ssize_t got = read(connection->fd, connection->response + connection->response_size_bytes, room);
    if (got <= 0) die("the server closed");
    connection->response_size_bytes += (size_t)got;
    if (!whole(connection)) return;
    rest(connection);
    if (atoi(connection->response + 9) != options.expect) {
        if (refused_count++ == 0) fprintf(stderr, "load: unexpected answer: %.300s\n", connection->response);
        return;
    }
    if (samples_count < SAMPLES_MAX) samples_us[samples_count++] = (uint32_t)((now_ns() - connection->sent_ns) / 1000);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile_ms(double part) {
    if (samples_count == 0) return 0;
    return samples_us[(uint64_t)((double)(samples_count - 1) * part)] / 1000.0;
}

static void parse(int argc, char **argv) {
    static const struct option known[] = {{"path", 1, NULL, 'p'}, {"ports", 1, NULL, 'P'}, {"connections", 1, NULL, 'c'},
                                          {"seconds", 1, NULL, 's'}, {"expect", 1, NULL, 'e'}, {"body", 1, NULL, 'b'},
                                          {"requests", 1, NULL, 'r'}, {"first", 1, NULL, 'f'}, {"rate", 1, NULL, 'R'}, {"header", 1, NULL, 'h'},
                                          {"modulo", 1, NULL, 'm'}, {"stride", 1, NULL, 'S'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p': options.path = optarg; break;
        case 'P':
            for (char *port = strtok(optarg, ","); port != NULL && options.ports_count < PORTS_MAX; port = strtok(NULL, ","))
                options.ports[options.ports_count++] = atoi(port);
            break;
        case 'c': options.connections = atoi(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'e': options.expect = atoi(optarg); break;
        case 'b': options.body = optarg; break;
        case 'r': options.requests = strtoull(optarg, NULL, 10); break;
        case 'f': options.first = strtoull(optarg, NULL, 10); break;
        case 'R': options.rate = atof(optarg); break;
        case 'h': options.header = optarg; break;
        case 'm': options.modulo = strtoull(optarg, NULL, 10); break;
        case 'S': options.stride = strtoull(optarg, NULL, 10); break;
        default: exit(EXIT_FAILURE);
        }
    }
    if (options.path == NULL || options.body == NULL || options.ports_count == 0 || options.connections < 1 ||
        options.connections > CONNECTIONS_MAX) {
        fprintf(stderr, "load: --path, --ports and --body are needed, and 1 to %d connections\n", CONNECTIONS_MAX);
        exit(EXIT_FAILURE);
    }
}

static bool may_send(uint64_t began_ns) {
    if (sent_count >= options.requests || (double)(now_ns() - began_ns) / 1e9 >= options.seconds) return false;
    return options.rate <= 0 || (double)sent_count < (double)(now_ns() - began_ns) / 1e9 * options.rate;
}

int main(int argc, char **argv) {
    parse(argc, argv);
    samples_us = malloc(SAMPLES_MAX * sizeof *samples_us);
    int epoll = epoll_create1(0);
    if (samples_us == NULL || epoll < 0) die("starting");
    for (int i = 0; i < options.connections; i++) {
        open_connection(&connections[i], options.ports[i % options.ports_count]);
        rest(&connections[i]);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) != 0) die("epoll");
    }
    uint64_t began_ns = now_ns();
    for (;;) {
        while (idle_count > 0 && may_send(began_ns)) send_request(wake());
        bool over = sent_count >= options.requests || (double)(now_ns() - began_ns) / 1e9 >= options.seconds;
        if (idle_count == options.connections && over) break;
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, options.rate > 0 ? 1 : 100);
        if (count < 0 && errno != EINTR) die("epoll");
        for (int i = 0; i < count; i++) receive(events[i].data.ptr);
    }
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    qsort(samples_us, samples_count, sizeof *samples_us, by_size);
    printf("{\"requests\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"seconds\": %.3f, \"rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"max_ms\": %.3f}\n",
           samples_count, refused_count, seconds, (double)samples_count / seconds, percentile_ms(0.5), percentile_ms(0.99), percentile_ms(1));
    return refused_count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
