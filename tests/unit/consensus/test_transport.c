/* Two or three nodes' transports on one loop, real sockets on loopback, ports taken from the kernel; strangers on plain
 * sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/transport/connection.h"
#include "consensus/transport/frame.h"
#include "consensus/transport/transport.h"
#include "tests/support/stranger.h"

/* Far beyond what a loaded machine needs; reached only when something is wrong. */
#define DEADLINE_MS 60000u
#define CLUSTER "tocsin-test"
/* An empty label: refused by the resolver itself, without a question to any server. */
#define NO_SUCH_HOST "no..such..host:1"
#define NOTHING ((struct span){NULL, 0})

struct node {
    uint64_t id;
    struct transport *transport;
    bool closed;
    uint64_t frames;       /* that came */
    uint64_t next_number;  /* each numbered frame must be the one after the last */
    uint64_t skipped;      /* numbers that did not come */
    uint64_t bytes;
    uint64_t last_from;
    bool bytes_right;
    unsigned ups, downs;   /* what peer_changed said */
    bool in_call;          /* a transport function is running: no handler may be called */
};

static uv_loop_t loop;
static uv_timer_t ticker, deadline;
static bool too_late;

static void on_ticker(uv_timer_t *timer)
{
    (void)timer;
}

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    too_late = true;
}

/* Runs the loop until the condition holds. The ticker wakes it for what other sockets saw. */
#define RUN_UNTIL(condition)                                                                                           \
    do {                                                                                                               \
        too_late = false;                                                                                              \
        uv_update_time(&loop);                                                                                         \
        uv_timer_start(&ticker, on_ticker, 2, 2);                                                                      \
        uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0);                                                        \
        while (!(condition) && !too_late)                                                                              \
            uv_run(&loop, UV_RUN_ONCE);                                                                                \
        if (too_late)                                                                                                  \
            fail_msg("did not happen: %s", #condition);                                                                \
        uv_timer_stop(&ticker);                                                                                        \
        uv_timer_stop(&deadline);                                                                                      \
    } while (0)

/* What a large body holds behind its number. Made once: while this thread counts bytes nobody reads, and a connection on which
 * nothing is read for CONNECTION_DEAD_MS ends. */
static const uint8_t *pattern(void)
{
    static uint8_t bytes[TRANSPORT_FRAME_SIZE_BYTES_MAX + 1];
    static bool made;

    for (size_t i = 0; !made && i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 131 + (i >> 8) * 7);
    made = true;
    return bytes;
}

/* A body is a number, then (in large ones) a pattern. */
static void on_frame(void *context, uint64_t peer, enum frame_type type, struct span body)
{
    struct node *node = context;
    assert_false(node->in_call);
    assert_true(type >= FRAME_RAFT && type < FRAME_TYPE_COUNT);
    assert_true(body.size_bytes >= sizeof(uint64_t));
    uint64_t number;
    memcpy(&number, body.data, sizeof number);
    assert_true(number >= node->next_number); /* never an older one after a newer one */
    node->skipped += number - node->next_number;
    node->next_number = number + 1;
    const uint8_t *bytes = body.data;
    assert_true(body.size_bytes <= TRANSPORT_FRAME_SIZE_BYTES_MAX);
    node->bytes_right = node->bytes_right &&
                        memcmp(bytes + sizeof number, pattern() + sizeof number, body.size_bytes - sizeof number) == 0;
    node->frames++;
    node->bytes += body.size_bytes;
    node->last_from = peer;
}

static void on_peer_changed(void *context, uint64_t peer, bool connected)
{
    struct node *node = context;
    (void)peer;
    assert_false(node->in_call);
    node->ups += connected;
    node->downs += !connected;
}

static struct transport *try_open(struct node *node, uint64_t boot, const char *cluster, const char *listen_address,
                                  char *error, size_t error_size)
{
    struct transport_options options = {node->id, boot, cluster, listen_address};
    struct transport_handlers handlers = {node, on_frame, on_peer_changed};
    return transport_open(&loop, &options, &handlers, error, error_size);
}

static void node_open_at(struct node *node, uint64_t id, uint64_t boot, const char *listen_address)
{
    char error[256] = "";
    memset(node, 0, sizeof *node);
    node->id = id;
    node->bytes_right = true;
    node->transport = try_open(node, boot, CLUSTER, listen_address, error, sizeof error);
    if (!node->transport)
        fail_msg("%s", error);
}

static void node_open(struct node *node, uint64_t id)
{
    node_open_at(node, id, 1, "127.0.0.1:0");
}

static void on_transport_closed(void *context)
{
    struct node *node = context;
    assert_false(node->in_call);
    node->closed = true;
}

static void node_close(struct node *node)
{
    node->in_call = true;
    transport_close(node->transport, on_transport_closed, node);
    node->in_call = false;
    RUN_UNTIL(node->closed);
}

static void set_peer(struct node *node, uint64_t peer, const char *address)
{
    node->in_call = true;
    transport_set_peers(node->transport, &peer, &address, 1);
    node->in_call = false;
}

/* `node` dials `other` at `host`. */
static void dial(struct node *node, const struct node *other, const char *host)
{
    char address[80];
    snprintf(address, sizeof address, "%s:%u", host, transport_port(other->transport));
    set_peer(node, other->id, address);
}

static bool send_number(struct node *node, uint64_t peer, uint64_t number)
{
    node->in_call = true;
    bool sent = transport_send(node->transport, peer, FRAME_RAFT, (struct span){&number, sizeof number}, NOTHING);
    node->in_call = false;
    return sent;
}

static bool send_large(struct node *node, uint64_t peer, uint64_t number, size_t body_size_bytes)
{
    uint8_t *body = malloc(body_size_bytes);
    assert_non_null(body);
    memcpy(body, pattern(), body_size_bytes);
    memcpy(body, &number, sizeof number);
    /* Split at an odd place: head and tail make one body. */
    bool sent = transport_send(node->transport, peer, FRAME_SNAPSHOT_CHUNK, (struct span){body, 11},
                               (struct span){body + 11, body_size_bytes - 11});
    free(body);
    return sent;
}

/* ---- strangers: plain sockets ---- */

static struct hello hello_of(uint64_t from, uint64_t to, uint64_t boot, uint64_t epoch)
{
    return (struct hello){from, to, boot, epoch, {CLUSTER, strlen(CLUSTER)}};
}

/* A stranger that says this is turned away, for this reason. */
static void expect_refusal(struct node *node, const void *data, size_t size_bytes, const char *reason)
{
    uint64_t refusals = transport_refusals(node->transport);
    int descriptor = stranger_connect(transport_port(node->transport));
    stranger_says(descriptor, data, size_bytes);
    RUN_UNTIL(stranger_is_turned_away(descriptor));
    assert_int_equal(transport_refusals(node->transport), refusals + 1);
    if (!strstr(transport_last_refusal(node->transport), reason))
        fail_msg("refused, but not for \"%s\": %s", reason, transport_last_refusal(node->transport));
    close(descriptor);
}

static void expect_hello_refused(struct node *node, struct hello hello, const char *reason)
{
    uint8_t bytes[HELLO_SIZE_BYTES_MAX];
    expect_refusal(node, bytes, hello_encode(&hello, bytes), reason);
}

/* ---- stories ---- */

static void frames_arrive_in_order_both_ways(void **state)
{
    (void)state;
    /* given two nodes that dial each other */
    struct node one, two;
    node_open(&one, 1);
    node_open(&two, 2);
    dial(&one, &two, "127.0.0.1");
    dial(&two, &one, "127.0.0.1");
    assert_false(send_number(&one, 2, 0)); /* not connected yet: dropped, and said so */
    RUN_UNTIL(transport_connected(one.transport, 2) && transport_connected(two.transport, 1));
    assert_int_equal(one.ups, 1);

    /* when each sends thousands of frames, over many turns of the loop */
    for (uint64_t number = 0; number < 5000; number++) {
        assert_true(send_number(&one, 2, number));
        assert_true(send_number(&two, 1, number));
        if (number % 97 == 0)
            uv_run(&loop, UV_RUN_NOWAIT);
    }
    RUN_UNTIL(one.frames == 5000 && two.frames == 5000);

    /* then all came, in order, from whom they should */
    assert_int_equal(one.skipped + two.skipped, 0);
    assert_int_equal(one.last_from, 2);
    assert_int_equal(two.last_from, 1);
    assert_int_equal(transport_sessions(one.transport, 2), 1);
    assert_false(send_number(&one, 3, 0)); /* nobody knows node 3 */
    node_close(&one);
    node_close(&two);
}

static void three_nodes_form_a_mesh(void **state)
{
    (void)state;
    struct node nodes[3];
    char addresses[3][40];
    const char *pointers[3];
    uint64_t ids[3];
    for (unsigned i = 0; i < 3; i++) {
        node_open(&nodes[i], i + 1);
        snprintf(addresses[i], sizeof addresses[i], "127.0.0.1:%u", transport_port(nodes[i].transport));
        pointers[i] = addresses[i];
        ids[i] = i + 1;
    }
    /* given all three in each one's list, itself included */
    for (unsigned i = 0; i < 3; i++)
        transport_set_peers(nodes[i].transport, ids, pointers, 3);
    RUN_UNTIL(nodes[0].ups == 2 && nodes[1].ups == 2 && nodes[2].ups == 2);
    /* when node 1 sends to the others, then only they hear it */
    assert_true(send_number(&nodes[0], 2, 0));
    assert_true(send_number(&nodes[0], 3, 0));
    assert_false(send_number(&nodes[0], 1, 0));
    RUN_UNTIL(nodes[1].frames == 1 && nodes[2].frames == 1);
    assert_int_equal(nodes[0].frames, 0);
    for (unsigned i = 0; i < 3; i++)
        node_close(&nodes[i]);
}

static void on_accepted(uv_stream_t *server, int status)
{
    assert_int_equal(status, 0);
    uv_tcp_t *client = server->data;
    assert_int_equal(uv_tcp_init(&loop, client), 0);
    assert_int_equal(uv_accept(server, (uv_stream_t *)client), 0);
    server->data = NULL;
}

/* tcpi_data_segs_in: the C library's struct tcp_info ends before it, and the kernel's header cannot be included beside
 * uv.h. */
#define DATA_SEGMENTS_IN_OFFSET_BYTES 152u

static unsigned data_segments(uv_tcp_t *client)
{
    uint32_t info[64];
    socklen_t size_bytes = sizeof info;
    uv_os_fd_t descriptor;
    assert_int_equal(uv_fileno((uv_handle_t *)client, &descriptor), 0);
    assert_int_equal(getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info, &size_bytes), 0);
    assert_true(size_bytes > DATA_SEGMENTS_IN_OFFSET_BYTES);
    return info[DATA_SEGMENTS_IN_OFFSET_BYTES / sizeof info[0]];
}

static int bytes_waiting(uv_tcp_t *client)
{
    char buffer[8192];
    uv_os_fd_t descriptor;
    assert_int_equal(uv_fileno((uv_handle_t *)client, &descriptor), 0);
    return (int)recv(descriptor, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
}

static void what_is_queued_in_one_turn_leaves_in_one_write(void **state)
{
    (void)state;
    /* given a peer that is only a socket, so that the segments can be counted */
    uv_tcp_t server, client;
    struct sockaddr_in address;
    struct sockaddr_storage bound;
    int bound_size_bytes = sizeof bound;
    assert_int_equal(uv_tcp_init(&loop, &server), 0);
    server.data = &client;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    assert_int_equal(uv_tcp_bind(&server, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&server, 1, on_accepted), 0);
    assert_int_equal(uv_tcp_getsockname(&server, (struct sockaddr *)&bound, &bound_size_bytes), 0);
    char text[40];
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(((struct sockaddr_in *)&bound)->sin_port));
    struct node one;
    node_open(&one, 1);
    set_peer(&one, 2, text);
    int hello_size_bytes = (int)(HELLO_HEAD_SIZE_BYTES + strlen(CLUSTER));
    RUN_UNTIL(transport_connected(one.transport, 2) && !server.data && bytes_waiting(&client) == hello_size_bytes);
    unsigned before = data_segments(&client);

    /* when a hundred frames are queued in one turn */
    int frame_size_bytes = (int)(FRAME_HEAD_SIZE_BYTES + sizeof(uint64_t));
    for (uint64_t number = 0; number < 100; number++)
        assert_true(send_number(&one, 2, number));
    assert_int_equal(transport_queued_bytes(one.transport, 2), 100 * frame_size_bytes);
    RUN_UNTIL(bytes_waiting(&client) == hello_size_bytes + 100 * frame_size_bytes);

    /* then they came as one segment: the nodelay socket was written to once */
    assert_int_equal(data_segments(&client), before + 1);
    assert_int_equal(transport_queued_bytes(one.transport, 2), 0);
    uv_close((uv_handle_t *)&server, NULL);
    uv_close((uv_handle_t *)&client, NULL);
    RUN_UNTIL(one.downs == 1);
    node_close(&one);
}

static void frames_of_the_largest_size_pass_and_larger_ones_do_not(void **state)
{
    (void)state;
    struct node one, two;
    node_open(&one, 1);
    node_open(&two, 2);
    dial(&one, &two, "127.0.0.1");
    RUN_UNTIL(transport_connected(one.transport, 2));
    /* when large frames have small ones before, between and after them */
    assert_true(send_number(&one, 2, 0));
    assert_true(send_large(&one, 2, 1, TRANSPORT_FRAME_SIZE_BYTES_MAX));
    assert_true(send_number(&one, 2, 2));
    assert_true(send_large(&one, 2, 3, TRANSPORT_FRAME_SIZE_BYTES_MAX - 1));
    assert_true(send_large(&one, 2, 4, 70001));
    assert_true(send_number(&one, 2, 5));
    /* and one is a byte too large */
    assert_false(send_large(&one, 2, 6, TRANSPORT_FRAME_SIZE_BYTES_MAX + 1));
    assert_non_null(strstr(transport_last_error(one.transport, 2), "over the limit"));
    RUN_UNTIL(two.frames == 6);
    /* then what was taken came whole */
    assert_true(two.bytes_right);
    assert_int_equal(two.skipped, 0);
    assert_int_equal(two.bytes, 3 * sizeof(uint64_t) + 2 * TRANSPORT_FRAME_SIZE_BYTES_MAX - 1 + 70001);
    node_close(&one);
    node_close(&two);
}

static void a_full_queue_drops_and_recovers(void **state)
{
    (void)state;
    struct node one, two;
    node_open(&one, 1);
    node_open(&two, 2);
    dial(&one, &two, "127.0.0.1");
    RUN_UNTIL(transport_connected(one.transport, 2) && transport_queued_bytes(one.transport, 2) == 0);
    /* when more is sent in one turn than the queue holds */
    uint64_t taken = 0;
    for (uint64_t number = 0; number < 40; number++)
        taken += send_large(&one, 2, number, 1u << 20);
    /* then the queue took what fits, and not more */
    assert_int_equal(taken, TRANSPORT_QUEUE_SIZE_BYTES_MAX / ((1u << 20) + FRAME_HEAD_SIZE_BYTES));
    assert_true(transport_queued_bytes(one.transport, 2) <= TRANSPORT_QUEUE_SIZE_BYTES_MAX);
    /* and goes on when it has emptied: the next frame shows what is missing before it */
    RUN_UNTIL(two.frames == taken);
    assert_int_equal(two.skipped, 0);
    assert_true(send_number(&one, 2, 40));
    RUN_UNTIL(two.frames == taken + 1);
    assert_int_equal(two.skipped, 40 - taken);
    assert_true(two.bytes_right);
    node_close(&one);
    node_close(&two);
}

static void a_restarted_peer_is_found_again(void **state)
{
    (void)state;
    struct node one, two;
    node_open(&one, 1);
    node_open(&two, 2);
    dial(&one, &two, "127.0.0.1");
    dial(&two, &one, "127.0.0.1");
    RUN_UNTIL(one.ups == 1 && two.ups == 1);
    assert_true(send_number(&two, 1, 0));
    RUN_UNTIL(one.frames == 1);

    /* when node 2 dies and comes back under the same address with its next boot */
    char address[40];
    snprintf(address, sizeof address, "127.0.0.1:%u", transport_port(two.transport));
    node_close(&two);
    RUN_UNTIL(one.downs == 1);
    assert_false(transport_connected(one.transport, 2));
    assert_false(send_number(&one, 2, 0));
    node_open_at(&two, 2, 2, address);
    dial(&two, &one, "127.0.0.1");

    /* then both find each other, and the session of the new boot is heard although its epochs begin anew */
    RUN_UNTIL(one.ups == 2 && two.ups == 1);
    assert_int_equal(transport_sessions(one.transport, 2), 2);
    assert_true(send_number(&two, 1, 1));
    assert_true(send_number(&one, 2, 0));
    RUN_UNTIL(one.frames == 2 && two.frames == 1);
    node_close(&one);
    node_close(&two);
}

static void the_newest_session_of_a_peer_wins(void **state)
{
    (void)state;
    struct node one;
    node_open(&one, 1);
    /* given a session of node 2 */
    int first = stranger_connect(transport_port(one.transport));
    stranger_says_hello(first, hello_of(2, 1, 5, 1));
    stranger_says_number(first, 0);
    RUN_UNTIL(one.frames == 1);
    /* when a newer one of the same boot comes, then the older one is closed and what it still had under way is not
     * heard */
    int second = stranger_connect(transport_port(one.transport));
    stranger_says_hello(second, hello_of(2, 1, 5, 2));
    stranger_says_number(second, 1);
    RUN_UNTIL(one.frames == 2 && stranger_is_turned_away(first));
    /* when the same or an older one comes, then it is refused and the newest stays */
    expect_hello_refused(&one, hello_of(2, 1, 5, 2), "no newer");
    expect_hello_refused(&one, hello_of(2, 1, 5, 1), "no newer");
    expect_hello_refused(&one, hello_of(2, 1, 4, 9), "no newer");
    stranger_says_number(second, 2);
    RUN_UNTIL(one.frames == 3);
    /* when a later boot comes, then its first epoch is newer */
    int third = stranger_connect(transport_port(one.transport));
    stranger_says_hello(third, hello_of(2, 1, 6, 1));
    RUN_UNTIL(stranger_is_turned_away(second));
    /* and an older session is refused even when the newest has ended */
    close(third);
    expect_hello_refused(&one, hello_of(2, 1, 5, 3), "no newer");
    close(first);
    close(second);
    node_close(&one);
}

static void what_does_not_belong_here_is_refused(void **state)
{
    (void)state;
    struct node one;
    node_open(&one, 1);
    set_peer(&one, 2, "127.0.0.1:1"); /* nobody: but its last error is asked for below */

    /* Garbage is told by its first bytes, a whole hello is not waited for. */
    expect_refusal(&one, "GET / HTTP/1.1\r\n\r\n", 18, "does not speak this protocol");
    expect_refusal(&one, "\x16", 1, "does not speak this protocol");

    uint8_t bytes[HELLO_SIZE_BYTES_MAX + 16];
    struct hello hello = hello_of(2, 1, 1, 1);
    size_t size_bytes = hello_encode(&hello, bytes);
    bytes[4]++;
    expect_refusal(&one, bytes, 8, "another version");
    hello_encode(&hello, bytes);
    memset(bytes + HELLO_HEAD_SIZE_BYTES - 4, 0xff, 4);
    expect_refusal(&one, bytes, HELLO_HEAD_SIZE_BYTES, "too long");

    hello.cluster_name = (struct span){"other", 5};
    expect_hello_refused(&one, hello, "another cluster");
    assert_non_null(strstr(transport_last_error(one.transport, 2), "another cluster"));
    hello.cluster_name = (struct span){CLUSTER "2", strlen(CLUSTER) + 1};
    expect_hello_refused(&one, hello, "another cluster");
    hello.cluster_name = (struct span){"", 0};
    expect_hello_refused(&one, hello, "another cluster");
    expect_hello_refused(&one, hello_of(2, 3, 1, 1), "another node");
    expect_hello_refused(&one, hello_of(1, 1, 1, 1), "own id");
    expect_hello_refused(&one, hello_of(0, 1, 1, 1), "no id");

    /* A fitting hello, then a frame that cannot be. */
    hello = hello_of(2, 1, 1, 1);
    size_bytes = hello_encode(&hello, bytes);
    memcpy(bytes + size_bytes, (const uint8_t[]){0x01, 0x00, 0x80, 0x00, FRAME_RAFT}, 5); /* 8 MiB + 1 */
    expect_refusal(&one, bytes, size_bytes + 5, "no possible size");
    hello.epoch++;
    hello_encode(&hello, bytes);
    memcpy(bytes + size_bytes, (const uint8_t[]){0, 0, 0, 0, 0}, 5);
    expect_refusal(&one, bytes, size_bytes + 5, "no possible size");

    /* None of them reached the handlers. */
    assert_int_equal(one.frames, 0);
    node_close(&one);
}

static void a_frame_type_of_a_newer_version_is_passed_over(void **state)
{
    (void)state;
    struct node one;
    node_open(&one, 1);
    int peer = stranger_connect(transport_port(one.transport));
    stranger_says_hello(peer, hello_of(2, 1, 1, 1));
    uint8_t bytes[FRAME_HEAD_SIZE_BYTES + 3] = {0};
    frame_head_encode(FRAME_TYPE_COUNT, 3, bytes);
    stranger_says(peer, bytes, sizeof bytes);
    stranger_says_number(peer, 0);
    RUN_UNTIL(one.frames == 1);
    assert_int_equal(transport_refusals(one.transport), 0);
    close(peer);
    node_close(&one);
}

static void a_hello_and_frames_in_single_bytes_are_understood(void **state)
{
    (void)state;
    struct node one;
    node_open(&one, 1);
    int peer = stranger_connect(transport_port(one.transport));
    uint8_t bytes[HELLO_SIZE_BYTES_MAX + 2 * (FRAME_HEAD_SIZE_BYTES + sizeof(uint64_t))];
    struct hello hello = hello_of(2, 1, 1, 1);
    size_t size_bytes = hello_encode(&hello, bytes);
    for (uint64_t number = 0; number < 2; number++) {
        frame_head_encode(FRAME_RAFT, sizeof number, bytes + size_bytes);
        memcpy(bytes + size_bytes + FRAME_HEAD_SIZE_BYTES, &number, sizeof number);
        size_bytes += FRAME_HEAD_SIZE_BYTES + sizeof number;
    }
    assert_int_equal(setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    for (size_t i = 0; i < size_bytes; i++) {
        stranger_says(peer, bytes + i, 1);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    RUN_UNTIL(one.frames == 2);
    assert_int_equal(one.skipped, 0);
    close(peer);
    node_close(&one);
}

static void strangers_cannot_hold_all_places(void **state)
{
    (void)state;
    /* given a peer's session, and more silent connections than there are places */
    struct node one, two;
    node_open(&one, 1);
    node_open(&two, 2);
    dial(&one, &two, "127.0.0.1");
    dial(&two, &one, "127.0.0.1");
    RUN_UNTIL(one.ups == 1 && two.ups == 1);
    assert_true(send_number(&two, 1, 0));
    RUN_UNTIL(one.frames == 1);
    int strangers[80];
    for (unsigned i = 0; i < 80; i++) {
        strangers[i] = stranger_connect(transport_port(one.transport));
        uv_run(&loop, UV_RUN_NOWAIT); /* the kernel's own queue is short */
    }
    /* then the oldest of the strangers make room */
    RUN_UNTIL(stranger_is_turned_away(strangers[16]));
    assert_true(stranger_is_turned_away(strangers[0]));
    assert_false(stranger_is_turned_away(strangers[17]));
    assert_false(stranger_is_turned_away(strangers[79]));
    assert_non_null(strstr(transport_last_refusal(one.transport), "too many"));
    /* and the peer is heard as before */
    assert_true(send_number(&two, 1, 1));
    RUN_UNTIL(one.frames == 2);
    /* and those that go on saying nothing are turned away in time, a half hello included */
    stranger_says(strangers[79], "TOC\n", 4);
    RUN_UNTIL(stranger_is_turned_away(strangers[79]));
    assert_non_null(strstr(transport_last_refusal(one.transport), "no hello in time"));
    RUN_UNTIL(transport_refusals(one.transport) == 80);
    assert_int_equal(two.downs, 0);
    for (unsigned i = 0; i < 80; i++)
        close(strangers[i]);
    node_close(&one);
    node_close(&two);
}

static void a_peer_that_moved_is_dialled_at_its_new_address(void **state)
{
    (void)state;
    struct node one, two, elsewhere;
    node_open(&one, 1);
    node_open(&two, 2);
    node_open(&elsewhere, 2);
    /* given a peer at an address where nobody listens */
    set_peer(&one, 2, "127.0.0.1:1");
    RUN_UNTIL(transport_last_error(one.transport, 2)[0] != '\0');
    assert_non_null(strstr(transport_last_error(one.transport, 2), "cannot connect to 127.0.0.1:1"));
    /* when its address becomes right, then it is connected */
    dial(&one, &two, "127.0.0.1");
    RUN_UNTIL(one.ups == 1);
    /* when the same is said again, then nothing changes */
    dial(&one, &two, "127.0.0.1");
    assert_true(transport_connected(one.transport, 2));
    /* when it moves while connected, then the old connection goes and the new one comes */
    dial(&one, &elsewhere, "127.0.0.1");
    assert_false(transport_connected(one.transport, 2));
    assert_int_equal(one.downs, 0); /* said later, not from inside the call */
    RUN_UNTIL(one.ups == 2);
    assert_int_equal(one.downs, 1);
    assert_int_equal(transport_sessions(one.transport, 2), 2);
    assert_true(send_number(&one, 2, 0));
    RUN_UNTIL(elsewhere.frames == 1);
    assert_int_equal(two.frames, 0);
    /* when it is no longer a member, then it is disconnected, and heard of no more */
    transport_set_peers(one.transport, NULL, NULL, 0);
    assert_int_equal(one.downs, 1);
    RUN_UNTIL(one.downs == 2);
    assert_false(send_number(&one, 2, 1));
    assert_string_equal(transport_last_error(one.transport, 2), "");
    /* and when it returns, then its new session is accepted as newer */
    dial(&one, &elsewhere, "127.0.0.1");
    RUN_UNTIL(one.ups == 3);
    assert_true(send_number(&one, 2, 1));
    RUN_UNTIL(elsewhere.frames == 2);
    assert_int_equal(transport_refusals(elsewhere.transport), 0);
    node_close(&one);
    node_close(&two);
    node_close(&elsewhere);
}

static void closing_is_possible_at_any_moment(void **state)
{
    (void)state;
    /* In the middle of a lookup, of a dial, of a back-off and of a transfer. */
    for (unsigned turns = 0; turns < 12; turns++) {
        struct node one, two;
        node_open(&one, 1);
        node_open(&two, 2);
        dial(&one, &two, turns % 2 == 0 ? "localhost" : "127.0.0.1");
        set_peer(&two, 1, "127.0.0.1:1");
        for (unsigned turn = 0; turn < turns; turn++) {
            uv_run(&loop, UV_RUN_NOWAIT);
            send_large(&one, 2, turn, 1u << 20);
        }
        unsigned ups = one.ups, downs = one.downs;
        node_close(&one);
        assert_int_equal(one.ups, ups); /* nothing is said after the end */
        assert_int_equal(one.downs, downs);
        node_close(&two);
    }
}

static void names_and_both_families_are_dialled(void **state)
{
    (void)state;
    struct node one, two;
    /* A name, on both sides. */
    node_open_at(&one, 1, 1, "127.0.0.1:0");
    node_open_at(&two, 2, 1, "localhost:0");
    dial(&one, &two, "localhost");
    RUN_UNTIL(one.ups == 1);
    /* "localhost" is tried at each of its addresses: this one listens on 127.0.0.1 only. */
    dial(&two, &one, "localhost");
    RUN_UNTIL(two.ups == 1);
    assert_true(send_number(&one, 2, 0));
    RUN_UNTIL(two.frames == 1);
    node_close(&two);
    node_close(&one);

    int descriptor = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_ipv6 = descriptor >= 0 && bind(descriptor, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (descriptor >= 0)
        close(descriptor);
    if (!has_ipv6) {
        print_message("*** THIS MACHINE HAS NO IPv6 LOOPBACK: the IPv6 half of this test was NOT run ***\n");
        return;
    }
    node_open_at(&one, 1, 1, "[::1]:0");
    node_open_at(&two, 2, 1, "[::]:0");
    dial(&one, &two, "[::1]");
    dial(&two, &one, "[::1]");
    RUN_UNTIL(one.ups == 1 && two.ups == 1);
    assert_true(send_number(&two, 1, 0));
    RUN_UNTIL(one.frames == 1);
    node_close(&one);
    node_close(&two);
}

static void a_name_that_does_not_resolve_is_said_and_tried_again(void **state)
{
    (void)state;
    struct node one;
    node_open(&one, 1);
    set_peer(&one, 2, NO_SUCH_HOST);
    RUN_UNTIL(strstr(transport_last_error(one.transport, 2), "cannot look up " NO_SUCH_HOST));
    set_peer(&one, 2, "no address at all");
    assert_non_null(strstr(transport_last_error(one.transport, 2), "none of host:port"));
    node_close(&one);
}

static void a_place_that_cannot_be_listened_on_is_named(void **state)
{
    (void)state;
    struct node one, two = {.id = 2};
    char error[256], taken[40];
    node_open(&one, 1);
    snprintf(taken, sizeof taken, "127.0.0.1:%u", transport_port(one.transport));
    assert_null(try_open(&two, 1, CLUSTER, taken, error, sizeof error));
    assert_non_null(strstr(error, "address already in use"));
    assert_non_null(strstr(error, taken));
    assert_null(try_open(&two, 1, CLUSTER, "192.0.2.1:0", error, sizeof error));
    assert_non_null(strstr(error, "not available"));
    assert_null(try_open(&two, 1, CLUSTER, NO_SUCH_HOST, error, sizeof error));
    assert_non_null(strstr(error, "cannot look up"));
    assert_null(try_open(&two, 1, CLUSTER, "127.0.0.1", error, sizeof error));
    assert_non_null(strstr(error, "none of host:port"));
    char long_name[HELLO_NAME_SIZE_BYTES_MAX + 2];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_null(try_open(&two, 1, long_name, "127.0.0.1:0", error, sizeof error));
    assert_non_null(strstr(error, "longer than"));
    node_close(&one);
}

static int open_loop(void **state)
{
    (void)state;
    return uv_loop_init(&loop) || uv_timer_init(&loop, &ticker) || uv_timer_init(&loop, &deadline);
}

/* Every handle must be gone: a transport that says it is closed has left nothing in the loop. */
static int close_loop(void **state)
{
    (void)state;
    uv_close((uv_handle_t *)&ticker, NULL);
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    return uv_loop_close(&loop);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(frames_arrive_in_order_both_ways),
        STORY(three_nodes_form_a_mesh),
        STORY(what_is_queued_in_one_turn_leaves_in_one_write),
        STORY(frames_of_the_largest_size_pass_and_larger_ones_do_not),
        STORY(a_full_queue_drops_and_recovers),
        STORY(a_restarted_peer_is_found_again),
        STORY(the_newest_session_of_a_peer_wins),
        STORY(what_does_not_belong_here_is_refused),
        STORY(a_frame_type_of_a_newer_version_is_passed_over),
        STORY(a_hello_and_frames_in_single_bytes_are_understood),
        STORY(strangers_cannot_hold_all_places),
        STORY(a_peer_that_moved_is_dialled_at_its_new_address),
        STORY(closing_is_possible_at_any_moment),
        STORY(names_and_both_families_are_dialled),
        STORY(a_name_that_does_not_resolve_is_said_and_tried_again),
        STORY(a_place_that_cannot_be_listened_on_is_named),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
