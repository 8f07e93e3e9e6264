/* A peer made of a plain socket: see stranger.h. */
#include "tests/support/stranger.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "consensus/transport/transport.h"

int stranger_connect(unsigned port)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

void stranger_says(int descriptor, const void *data, size_t size_bytes)
{
    assert_int_equal(send(descriptor, data, size_bytes, MSG_NOSIGNAL), size_bytes);
}

void stranger_says_hello(int descriptor, struct hello hello)
{
    uint8_t bytes[HELLO_SIZE_BYTES_MAX];
    stranger_says(descriptor, bytes, hello_encode(&hello, bytes));
}

void stranger_says_number(int descriptor, uint64_t number)
{
    uint8_t bytes[FRAME_HEAD_SIZE_BYTES + sizeof number];
    frame_head_encode(FRAME_RAFT, sizeof number, bytes);
    memcpy(bytes + FRAME_HEAD_SIZE_BYTES, &number, sizeof number);
    stranger_says(descriptor, bytes, sizeof bytes);
}

/* True when the other side has closed. */
bool stranger_is_turned_away(int descriptor)
{
    char byte;
    ssize_t got = recv(descriptor, &byte, 1, MSG_DONTWAIT);
    assert_true(got <= 0); /* a transport never answers on an accepted connection */
    return got == 0 || (errno != EAGAIN && errno != EINTR);
}
