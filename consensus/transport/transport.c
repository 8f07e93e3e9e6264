/* The transport as a whole: its handles in the loop, its peers, its end. The two directions are outgoing.c and
 * incoming.c. */
#include "consensus/transport/transport.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/transport/transport_internal.h"

void transport_hold(struct transport *transport)
{
    transport->holds++;
}

void transport_release(struct transport *transport)
{
    assert(transport->holds > 0);
    if (--transport->holds > 0)
        return;
    assert(transport->closing && !transport->sessions && !transport->outgoing);
    void (*closed)(void *context) = transport->closed;
    void *context = transport->closed_context;
    free(transport);
    if (closed)
        closed(context);
}

static void on_hurry(uv_idle_t *idle)
{
    (void)idle; /* that it is active is all it does: poll returns at once */
}

/* The handlers may change the peers: one taken out stays in memory, with its `next`, until libuv has let go of it. */
static void on_flush(uv_check_t *check)
{
    struct transport *transport = check->data;
    uv_idle_stop(&transport->hurry);
    for (struct outgoing *outgoing = transport->outgoing; outgoing; outgoing = outgoing_next(outgoing))
        outgoing_flush(outgoing);
}

static void on_sweep(uv_timer_t *timer)
{
    struct transport *transport = timer->data;
    bool more = incoming_sweep(transport);
    for (struct outgoing *outgoing = transport->outgoing; outgoing; outgoing = outgoing_next(outgoing))
        more = outgoing_sweep(outgoing) || more;
    if (!more)
        uv_timer_stop(timer);
}

void transport_hurry(struct transport *transport)
{
    if (transport->closing)
        return;
    int status = uv_idle_start(&transport->hurry, on_hurry);
    assert(status == 0); /* fails without a callback only */
    (void)status;
}

void transport_arm_sweep(struct transport *transport)
{
    if (transport->closing || uv_is_active((uv_handle_t *)&transport->sweep))
        return;
    int status = uv_timer_start(&transport->sweep, on_sweep, TRANSPORT_SWEEP_MS, TRANSPORT_SWEEP_MS);
    assert(status == 0); /* fails for a closing timer only */
    (void)status;
}

static void init_handles(struct transport *transport)
{
    int status = uv_check_init(transport->loop, &transport->flush);
    status |= uv_idle_init(transport->loop, &transport->hurry);
    status |= uv_timer_init(transport->loop, &transport->sweep);
    status |= uv_check_start(&transport->flush, on_flush);
    assert(status == 0); /* none of these can fail */
    (void)status;
    transport->flush.data = transport;
    transport->hurry.data = transport;
    transport->sweep.data = transport;
    transport->holds = 3;
}

struct transport *transport_open(uv_loop_t *loop, const struct transport_options *options,
                                 const struct transport_handlers *handlers, char *error, size_t error_size)
{
    assert(options->id != 0);
    if (strlen(options->cluster_name) > HELLO_NAME_SIZE_BYTES_MAX) {
        snprintf(error, error_size, "the cluster's name is longer than %u bytes", HELLO_NAME_SIZE_BYTES_MAX);
        return NULL;
    }
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        abort();
    transport->loop = loop;
    transport->id = options->id;
    transport->boot = options->boot;
    snprintf(transport->cluster_name, sizeof transport->cluster_name, "%s", options->cluster_name);
    transport->handlers = *handlers;
    transport->random = uv_hrtime() ^ options->id << 32 ^ options->boot;
    transport->random += transport->random == 0; /* xorshift never leaves 0 */
    init_handles(transport);
    if (incoming_listen(transport, options->listen_address, error, error_size))
        return transport;
    transport_close(transport, NULL, NULL);
    return NULL;
}

static void on_handle_closed(uv_handle_t *handle)
{
    transport_release(handle->data);
}

void transport_close(struct transport *transport, void (*closed)(void *context), void *context)
{
    assert(!transport->closing);
    transport->closing = true;
    transport->closed = closed;
    transport->closed_context = context;
    while (transport->outgoing)
        outgoing_remove(transport->outgoing);
    incoming_close(transport);
    uv_close((uv_handle_t *)&transport->flush, on_handle_closed);
    uv_close((uv_handle_t *)&transport->hurry, on_handle_closed);
    uv_close((uv_handle_t *)&transport->sweep, on_handle_closed);
}

unsigned transport_port(const struct transport *transport)
{
    return transport->port;
}

static bool is_named(uint64_t peer, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == peer)
            return true;
    return false;
}

void transport_set_peers(struct transport *transport, const uint64_t *ids, const char *const *addresses, size_t count)
{
    if (transport->closing)
        return;
    for (struct outgoing *outgoing = transport->outgoing, *next; outgoing; outgoing = next) {
        next = outgoing_next(outgoing);
        if (!is_named(outgoing_peer(outgoing), ids, count))
            outgoing_remove(outgoing);
    }
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == transport->id)
            continue; /* the members include this node */
        struct outgoing *known = outgoing_find(transport, ids[i]);
        if (known && strcmp(outgoing_address(known), addresses[i]) == 0)
            continue;
        uint64_t sessions = transport_sessions(transport, ids[i]);
        if (known)
            outgoing_remove(known);
        outgoing_add(transport, ids[i], addresses[i], sessions);
    }
}
