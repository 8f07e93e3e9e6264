/* What lies below a transport: addresses as text, and queues of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/transport/connection.h"
#include "consensus/transport/frame.h"

static void addresses_are_read_in_three_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *port; /* host NULL: refused */
    } cases[] = {
        {"node-1.example:7000", "node-1.example", "7000"},
        {"10.0.0.1:1", "10.0.0.1", "1"},
        {"[::1]:65535", "::1", "65535"},
        {"[fe80::1%eth0]:0", "fe80::1%eth0", "0"},
        {"", NULL, NULL},
        {"host", NULL, NULL},
        {":7000", NULL, NULL},
        {"host:", NULL, NULL},
        {"host:65536", NULL, NULL},
        {"host:123456", NULL, NULL},
        {"host:+1", NULL, NULL},
        {"host: 1", NULL, NULL},
        {"::1:7000", NULL, NULL},
        {"[]:7000", NULL, NULL},
        {"[::1:7000", NULL, NULL},
    };
    struct connection_address address;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (connection_parse_address(cases[i].text, &address) != (cases[i].host != NULL))
            fail_msg("\"%s\"", cases[i].text);
        if (cases[i].host) {
            assert_string_equal(address.host, cases[i].host);
            assert_string_equal(address.port, cases[i].port);
        }
    }
    char long_host[CONNECTION_HOST_SIZE_BYTES + 8];
    memset(long_host, 'h', sizeof long_host);
    snprintf(long_host + CONNECTION_HOST_SIZE_BYTES, 3, ":1");
    assert_false(connection_parse_address(long_host, &address));
}

static void an_idle_queue_gives_its_memory_back(void **state)
{
    (void)state;
    struct byte_queue queue = {0};
    /* given a queue that once held a lot, of which a little is left */
    memset(byte_queue_reserve(&queue, 1u << 20), 'x', 1u << 20);
    byte_queue_added(&queue, 1u << 20);
    byte_queue_consume(&queue, (1u << 20) - 10);
    assert_int_equal(byte_queue_bytes(&queue).size_bytes, 10);
    /* when it was needed since the last sweep it stays; when not, it shrinks around what is left */
    assert_true(byte_queue_sweep(&queue));
    assert_true(queue.capacity_bytes >= 1u << 20);
    assert_false(byte_queue_sweep(&queue));
    assert_int_equal(queue.capacity_bytes, BYTE_QUEUE_IDLE_SIZE_BYTES);
    assert_memory_equal(byte_queue_bytes(&queue).data, "xxxxxxxxxx", 10);
    /* when it is empty as well, nothing is kept */
    byte_queue_consume(&queue, 10);
    assert_false(byte_queue_sweep(&queue));
    assert_false(byte_queue_sweep(&queue));
    assert_int_equal(queue.capacity_bytes, 0);
    assert_int_equal(byte_queue_bytes(&queue).size_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_in_three_forms),
        cmocka_unit_test(an_idle_queue_gives_its_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
