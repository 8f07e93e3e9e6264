/* A machine over a memory store, asked one command at a time. */
#include "tests/support/machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START_MS 1700000000000u
#define NODE 1u
#define BOOT 7u

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

void probe_open(struct machine_probe *probe)
{
    *probe = (struct machine_probe){.memory = memory_store_new(), .machine = machine_new(), .time_ms = START_MS};
    probe->store = memory_store_view(probe->memory);
    machine_output_init(&probe->output);
}

static void reply_forget(struct machine_probe *probe)
{
    tocsin__reply__free_unpacked(probe->reply, NULL);
    probe->reply = NULL;
}

void probe_close(struct machine_probe *probe)
{
    reply_forget(probe);
    machine_output_close(&probe->output);
    machine_free(probe->machine);
    memory_store_free(probe->memory);
}

int probe_setup(void **state)
{
    struct machine_probe *probe = must(malloc(sizeof *probe));
    probe_open(probe);
    *state = probe;
    return 0;
}

int probe_teardown(void **state)
{
    probe_close(*state);
    free(*state);
    return 0;
}

enum machine_error probe_apply_packed(struct machine_probe *probe, uint64_t time_ms, const ProtobufCBinaryData *packed,
                                      size_t count)
{
    Tocsin__Entry entry;
    tocsin__entry__init(&entry);
    entry.time_ms = time_ms;
    entry.proposer = NODE;
    entry.proposer_boot = BOOT;
    entry.n_commands = count;
    entry.commands = must(calloc(count + 1, sizeof *entry.commands));
    memcpy(entry.commands, packed, count * sizeof *packed);
    size_t size_bytes = tocsin__entry__get_packed_size(&entry);
    uint8_t *data = must(malloc(size_bytes + 1));
    tocsin__entry__pack(&entry, data);
    machine_output_reset(&probe->output);
    struct span span = {.data = data, .size_bytes = size_bytes};
    enum machine_error error = machine_apply(probe->machine, &probe->store, 1, span, &probe->output);
    free(data);
    free(entry.commands);
    return error;
}

enum machine_error probe_apply(struct machine_probe *probe, uint64_t time_ms, Tocsin__Command **commands, size_t count)
{
    ProtobufCBinaryData *packed = must(calloc(count + 1, sizeof *packed));
    for (size_t i = 0; i < count; i++) {
        packed[i].len = tocsin__command__get_packed_size(commands[i]);
        packed[i].data = must(malloc(packed[i].len + 1));
        tocsin__command__pack(commands[i], packed[i].data);
    }
    enum machine_error error = probe_apply_packed(probe, time_ms, packed, count);
    for (size_t i = 0; i < count; i++) {
        free(packed[i].data);
    }
    free(packed);
    return error;
}

static uint64_t next_id(const struct machine_probe *probe)
{
    Tocsin__Counters *counters = counters_get(&probe->store, NULL);
    uint64_t id = counters != NULL ? counters->next_id : 1;
    tocsin__counters__free_unpacked(counters, NULL);
    return id;
}

static void assert_nothing_changed(const struct machine_probe *probe, const struct store_digests *before)
{
    struct store_digests now = memory_store_digests(probe->memory);
    /* Counters, settings and the first retention step come with the first entry of all, whatever is in it. */
    bool first = probe->sequence == 1;
    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        bool excepted = table == TABLE_META || table == TABLE_ORIGIN || (table == TABLE_DEADLINE && first);
        if (!excepted && now.of[table] != before->of[table]) {
            fail_msg("a refused command changed table %u", table);
        }
    }
}

const Tocsin__Reply *probe_ask(struct machine_probe *probe, Tocsin__Command *command)
{
    Tocsin__Origin origin;
    tocsin__origin__init(&origin);
    origin.node = NODE;
    origin.boot = BOOT;
    origin.sequence = ++probe->sequence;
    command->origin = &origin;
    struct store_digests before = memory_store_digests(probe->memory);
    uint64_t id_before = next_id(probe);
    assert_int_equal(probe_apply(probe, probe->time_ms, &command, 1), MACHINE_OK);
    command->origin = NULL;
    assert_int_equal(probe->output.replies_count, 1);
    const struct machine_reply *answer = &probe->output.replies[0];
    assert_int_equal(answer->sequence, probe->sequence);
    assert_false(answer->repeated);
    reply_forget(probe);
    probe->reply = tocsin__reply__unpack(NULL, answer->packed.size_bytes, answer->packed.data);
    assert_non_null(probe->reply);
    if (probe->reply->status != TOCSIN__STATUS__STATUS_OK) {
        assert_nothing_changed(probe, &before);
        assert_int_equal(next_id(probe), id_before);
    }
    return probe->reply;
}

uint64_t probe_done(struct machine_probe *probe, Tocsin__Command *command)
{
    const Tocsin__Reply *reply = probe_ask(probe, command);
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        fail_msg("refused: %s", reply->message);
    }
    return reply->n_ids > 0 ? reply->ids[0] : 0;
}

void probe_refused(struct machine_probe *probe, Tocsin__Command *command, Tocsin__Status status, Tocsin__Reason reason)
{
    const Tocsin__Reply *reply = probe_ask(probe, command);
    assert_int_equal(reply->status, status);
    assert_int_equal(reply->reason, reason);
    size_t length = strlen(reply->message);
    assert_true(length > 0 && reply->message[length - 1] == '.');
    assert_int_equal(reply->n_ids, 0);
}

char *probe_text(const char *literal)
{
    union {
        const char *given;
        char *wanted;
    } same = {.given = literal};
    return same.wanted;
}

uint64_t probe_field(const ProtobufCMessageDescriptor *descriptor, const char *name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(descriptor, name);
    assert_non_null(field);
    return UINT64_C(1) << field->id;
}

uint64_t probe_rows(const struct machine_probe *probe, enum machine_table table)
{
    return probe->store.count(probe->store.context, table);
}

uint64_t probe_user(struct machine_probe *probe, const char *name, const char *email)
{
    Tocsin__User user;
    tocsin__user__init(&user);
    user.name = probe_text(name);
    user.email = probe_text(email);
    Tocsin__UserPut put;
    tocsin__user_put__init(&put);
    put.user = &user;
    Tocsin__Command command = COMMAND(USER_PUT, user_put, put);
    return probe_done(probe, &command);
}

uint64_t probe_email(struct machine_probe *probe, uint64_t user_id, const char *address)
{
    Tocsin__ContactMethod method;
    tocsin__contact_method__init(&method);
    method.user_id = user_id;
    method.channel = TOCSIN__CHANNEL__CHANNEL_EMAIL;
    method.address = probe_text(address);
    Tocsin__ContactMethodPut put;
    tocsin__contact_method_put__init(&put);
    put.contact_method = &method;
    Tocsin__Command command = COMMAND(CONTACT_METHOD_PUT, contact_method_put, put);
    return probe_done(probe, &command);
}

uint64_t probe_policy(struct machine_probe *probe, const char *name, uint64_t user_id)
{
    Tocsin__EscalationLevel level;
    tocsin__escalation_level__init(&level);
    level.n_user_ids = 1;
    level.user_ids = &user_id;
    Tocsin__EscalationLevel *levels[] = {&level};
    Tocsin__EscalationPolicy policy;
    tocsin__escalation_policy__init(&policy);
    policy.name = probe_text(name);
    policy.n_levels = 1;
    policy.levels = levels;
    Tocsin__EscalationPolicyPut put;
    tocsin__escalation_policy_put__init(&put);
    put.escalation_policy = &policy;
    Tocsin__Command command = COMMAND(ESCALATION_POLICY_PUT, escalation_policy_put, put);
    return probe_done(probe, &command);
}

uint64_t probe_service(struct machine_probe *probe, const char *name, uint64_t policy_id)
{
    Tocsin__Service service;
    tocsin__service__init(&service);
    service.name = probe_text(name);
    service.escalation_policy_id = policy_id;
    Tocsin__ServicePut put;
    tocsin__service_put__init(&put);
    put.service = &service;
    Tocsin__Command command = COMMAND(SERVICE_PUT, service_put, put);
    return probe_done(probe, &command);
}

uint64_t probe_integration(struct machine_probe *probe, uint64_t service_id, const char *key)
{
    Tocsin__Integration integration;
    tocsin__integration__init(&integration);
    integration.service_id = service_id;
    integration.key = probe_text(key);
    Tocsin__IntegrationPut put;
    tocsin__integration_put__init(&put);
    put.integration = &integration;
    Tocsin__Command command = COMMAND(INTEGRATION_PUT, integration_put, put);
    return probe_done(probe, &command);
}

uint64_t probe_trigger(struct machine_probe *probe, const char *routing_key, const char *dedup_key)
{
    Tocsin__Event event;
    tocsin__event__init(&event);
    event.routing_key = probe_text(routing_key);
    event.dedup_key = probe_text(dedup_key);
    event.summary = probe_text("The disk is full");
    event.source = probe_text("db1");
    Tocsin__Command command = COMMAND(EVENT, event, event);
    return probe_done(probe, &command);
}
