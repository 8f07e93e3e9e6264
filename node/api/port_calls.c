/* From handlers to the cluster and back: commands and reads. */
#include <assert.h>
#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>

#include "consensus/machine/planted.h"
#include "node/api/router.h"

Tocsin__Command *api_command(struct http_request *request, Tocsin__Command__BodyCase body_case)
{
    struct router_call *call = router_call_of(request);
    Tocsin__Command *command = http_alloc(request, sizeof *command);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&tocsin__command__descriptor, (unsigned)body_case);

    assert(field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE);
    tocsin__command__init(command);
    command->actor = &call->call.principal.actor;
    if (call->request_key != NULL) {
        command->idempotency_key = http_strdup(request, call->request_key);
    }
    const ProtobufCMessageDescriptor *descriptor = field->descriptor;
    ProtobufCMessage *body = http_alloc(request, descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, body);
    command->body_case = body_case;
    command->event = (Tocsin__Event *)body; /* the pointers of all bodies are one */
    call->call.command = command;
    return command;
}

static void on_submitted(void *argument, enum submit_outcome outcome, const Tocsin__Reply *reply)
{
    struct http_request *request = argument;

    switch (outcome) {
    case SUBMIT_APPLIED:
        assert(reply != NULL);
        router_call_of(request)->wrote = true;
        api_call_of(request)->on_reply(request, reply);
        return;
    case SUBMIT_UNAVAILABLE:
        answer_unavailable(request, "The cluster has no leader at the moment: try again");
        return;
    case SUBMIT_OVERLOADED:
        answer_unavailable(request, "Too much is waiting to be written: try again");
        return;
    case SUBMIT_TOO_LARGE:
        api_error(request, 413, 2001, "Request Body Too Large", json_pack("[s]", "With what it belongs to it is too large to be written"));
        return;
    case SUBMIT_STOPPED:
        answer_stopped(request);
        return;
    }
    abort(); /* no other outcome exists */
}

static void nobody_waits(void *argument, enum submit_outcome outcome, const Tocsin__Reply *reply)
{
    (void)argument;
    (void)outcome;
    (void)reply;
}

void api_submit(struct http_request *request, api_on_reply on_reply)
{
    struct api_call *call = api_call_of(request);

    assert(call->command != NULL);
    call->on_reply = on_reply;
    if (planted(ANSWERED_BEFORE_COMMIT) && call->command->body_case == TOCSIN__COMMAND__BODY_EVENT) {
        Tocsin__Reply accepted = TOCSIN__REPLY__INIT;
        call->api->ports.submit(call->api->ports.context, call->command, nobody_waits, NULL);
        on_reply(request, &accepted);
        return;
    }
    call->api->ports.submit(call->api->ports.context, call->command, on_submitted, request);
}

static void on_view(void *argument, const struct machine_store *view, bool stale)
{
    struct http_request *request = argument;

    if (view == NULL) {
        answer_stopped(request);
        return;
    }
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    if (stale && router_call_of(request)->wrote && !ports->caught_up(ports->context)) {
        /* An older state would deny what was just done. */
        answer_unavailable(request, "What was asked for is done and cannot be shown by this node: try again");
        return;
    }
    if (stale) {
        http_response_header(request, "Tocsin-Stale", "true");
    }
    api_call_of(request)->on_read(request, view);
}

void api_read(struct http_request *request, api_on_read on_read)
{
    struct api_call *call = api_call_of(request);

    call->on_read = on_read;
    call->api->ports.read(call->api->ports.context, true, on_view, request);
}
