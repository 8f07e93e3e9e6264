/* A company with an incident under way. */
#include "tests/fuzz/world.h"

#include <stdlib.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/paging/notices.h"
#include "tests/fuzz/company.h"
#include "tests/fuzz/input.h"
#include "tests/sim/judge/invariants.h"
#include "tests/support/api_story.h"
#include "tests/support/decoded_rows.h"

#define CHECKS_BETWEEN_NEW_ROWS 4096u

/* The world as made; lives as long as the program. */
static struct {
    struct machine_fixture *fixture;
} origin;

/* The company's state, twice, and what people do in it after: one incident is resolved, one acknowledged, one rings. */
static void make_world(struct machine_fixture *world)
{
    static const struct {
        const char *action, *key;
    } events[] = {{"trigger", "cpu"},         {"resolve", "cpu"},    {"trigger", "heat"},
                  {"acknowledge", "heat"}, {"trigger", "memory"}};
    struct api_fixture *company = company_new();

    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        const char *body = story_text("{\"routing_key\":\"" COMPANY_KEY "\",\"event_action\":\"%s\",\"dedup_key\":\"%s\","
                                      "\"payload\":{\"summary\":\"%s\",\"source\":\"db1\",\"severity\":\"critical\"}}",
                                      events[i].action, events[i].key, events[i].key);
        fuzz_require(api_post(company, "/v2/enqueue", body)->status == 202);
    }
    memory_store_free(world->memory);
    memory_store_free(world->twin_memory);
    world->memory = memory_store_copy(company->store);
    world->twin_memory = memory_store_copy(company->store);
    world->store = memory_store_view(world->memory);
    world->twin_store = memory_store_view(world->twin_memory);
    world->now_ms = company->now_ms;
    world->sequence = company->sequence;
    api_fixture_free(company);
    fixture_guardian(world, "Grace", TOCSIN__CHANNEL__CHANNEL_PUSH, "guardians");
}

struct machine_fixture *world_new(void)
{
    if (origin.fixture == NULL) {
        origin.fixture = fixture_new();
        make_world(origin.fixture);
    }
    struct machine_fixture *world = fixture_new();
    memory_store_free(world->memory);
    memory_store_free(world->twin_memory);
    world->memory = memory_store_copy(origin.fixture->memory);
    world->twin_memory = memory_store_copy(origin.fixture->twin_memory);
    world->store = memory_store_view(world->memory);
    world->twin_store = memory_store_view(world->twin_memory);
    world->now_ms = origin.fixture->now_ms;
    world->boottime_ms = origin.fixture->boottime_ms;
    world->sequence = origin.fixture->sequence;
    return world;
}

void world_free(struct machine_fixture *world)
{
    fixture_free(world);
}

/* ---------------------------------------------------------------- what must hold */

/* What was decoded at the checks before: most rows are the same in every input. Begun anew now and then, for rows that were
 * met once stay in it. */
static struct decoded_rows *decoded_so_far(void)
{
    static struct decoded_rows *decoded;
    static unsigned checks;

    if (decoded != NULL && ++checks % CHECKS_BETWEEN_NEW_ROWS == 0) {
        decoded_rows_free(decoded);
        decoded = NULL;
    }
    if (decoded == NULL) {
        decoded = decoded_rows_new();
    }
    return decoded;
}

/* Every row decodes as what its table holds, and indexes lead to what they name. */
static void check_rows(struct decoded_rows *decoded, const struct machine_store *store, enum machine_table table,
                       const ProtobufCMessageDescriptor *descriptor)
{
    struct walk walk = walk_all(store, table);

    while (walk_next(&walk)) {
        fuzz_require(decoded_row(decoded, table, walk.key, walk.value, descriptor) != NULL);
    }
}

static void check_index(const struct machine_store *store, enum machine_table index, enum machine_table objects)
{
    struct walk walk = walk_all(store, index);

    while (walk_next(&walk)) {
        struct key id = key_1(span_number(walk.value, 0));
        struct span value;
        fuzz_require(store->get(store->context, objects, key_span(&id), &value));
    }
    fuzz_require(store->count(store->context, index) == store->count(store->context, objects));
}

void world_check(struct machine_fixture *world)
{
    static const struct {
        enum machine_table table;
        const ProtobufCMessageDescriptor *descriptor;
    } records[] = {
        {TABLE_USER, &tocsin__user__descriptor},
        {TABLE_CONTACT_METHOD, &tocsin__contact_method__descriptor},
        {TABLE_NOTIFICATION_RULE, &tocsin__notification_rule__descriptor},
        {TABLE_SERVICE, &tocsin__service__descriptor},
        {TABLE_INTEGRATION, &tocsin__integration__descriptor},
        {TABLE_ESCALATION_POLICY, &tocsin__escalation_policy__descriptor},
        {TABLE_INCIDENT, &tocsin__incident__descriptor},
        {TABLE_ALERT, &tocsin__alert__descriptor},
        {TABLE_LOG_ENTRY, &tocsin__log_entry__descriptor},
        {TABLE_DEADLINE, &tocsin__deadline__descriptor},
        {TABLE_OUTBOX, &tocsin__notification__descriptor},
        {TABLE_NOTIFICATION, &tocsin__notification__descriptor},
        {TABLE_TOKEN, &tocsin__token__descriptor},
        {TABLE_HEARTBEAT_PING, &tocsin__heartbeat_ping__descriptor},
        {TABLE_HEARTBEAT_FLIP, &tocsin__heartbeat_flip__descriptor},
        {TABLE_ORCHESTRATION, &tocsin__orchestration__descriptor},
        {TABLE_ORCHESTRATION_INTEGRATION, &tocsin__orchestration_integration__descriptor},
        {TABLE_ORCHESTRATION_PATH, &tocsin__orchestration_path__descriptor},
        {TABLE_EVENT_ASIDE, &tocsin__event_aside__descriptor},
    };
    const struct machine_store *store = &world->store;
    struct decoded_rows *decoded = decoded_so_far();

    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        check_rows(decoded, store, records[i].table, records[i].descriptor);
    }
    check_index(store, TABLE_USER_BY_EMAIL, TABLE_USER);
    check_index(store, TABLE_SERVICE_BY_NAME, TABLE_SERVICE);
    check_index(store, TABLE_ESCALATION_POLICY_BY_NAME, TABLE_ESCALATION_POLICY);
    check_index(store, TABLE_INCIDENT_BY_NUMBER, TABLE_INCIDENT);
    check_index(store, TABLE_TOKEN_BY_HASH, TABLE_TOKEN);
    check_index(store, TABLE_HEARTBEAT_BY_KEY, TABLE_HEARTBEAT);
    fuzz_require(store->count(store->context, TABLE_IDEMPOTENCY) ==
                 store->count(store->context, TABLE_IDEMPOTENCY_BY_TIME));
    fuzz_require(store->count(store->context, TABLE_INCIDENT) ==
                 store->count(store->context, TABLE_INCIDENT_OPEN) + store->count(store->context, TABLE_INCIDENT_CLOSED));
    if (!world->unchecked) {
        char sentence[512];
        fixture_check_promises(world);
        if (!invariants_hold(decoded, store, sentence, sizeof sentence)) {
            fuzz_broken(sentence, __FILE__, __LINE__);
        }
    }
}

/* ---------------------------------------------------------------- applying */

static void check_output(const struct machine_fixture *world)
{
    const struct machine_output *output = &world->output, *twin = &world->twin_output;

    fuzz_require(output->replies_count == twin->replies_count && output->sends_count == twin->sends_count);
    fuzz_require(output->next_deadline_ms == machine_next_deadline_ms(&world->store));
    fuzz_require(output->time_ms == machine_last_time_ms(&world->store));
    for (size_t i = 0; i < output->replies_count; i++) {
        const struct machine_reply *answer = &output->replies[i];
        Tocsin__Reply *reply = tocsin__reply__unpack(NULL, answer->packed.size_bytes, answer->packed.data);
        fuzz_require(reply != NULL && answer->node != 0);
        fuzz_require(reply->status == TOCSIN__STATUS__STATUS_OK || reply->message[0] != '\0');
        tocsin__reply__free_unpacked(reply, NULL);
    }
    for (size_t i = 0; i < output->sends_count; i++) {
        struct span packed = output->sends[i].packed;
        Tocsin__Notification *sent = tocsin__notification__unpack(NULL, packed.size_bytes, packed.data);
        fuzz_require(sent != NULL && sent->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED);
        fuzz_require(sent->claim_node != 0);
        fuzz_require((sent->address[0] == '\0') == probe_is(sent)); /* a probe goes where the node's own file says */
        tocsin__notification__free_unpacked(sent, NULL);
    }
}

enum machine_error world_apply(struct machine_fixture *world, const void *data, size_t size_bytes)
{
    struct span entry = {data, size_bytes};
    uint64_t before = memory_store_digest(world->memory);

    machine_output_reset(&world->output);
    machine_output_reset(&world->twin_output);
    enum machine_error error = machine_apply(world->machine, &world->store, world->term, entry, &world->output);
    fuzz_require(machine_apply(world->twin, &world->twin_store, world->term, entry, &world->twin_output) == error);
    if (error != MACHINE_OK) {
        fuzz_require(memory_store_digest(world->memory) == before);
        fuzz_require(world->output.replies_count == 0 && world->output.sends_count == 0);
        return error;
    }
    fuzz_require(memory_store_digest(world->memory) == memory_store_digest(world->twin_memory));
    check_output(world);
    world_check(world);
    return MACHINE_OK;
}

static void nothing_changed(const struct machine_fixture *world, const struct store_digests *before)
{
    struct store_digests now = memory_store_digests(world->memory);

    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        /* Where the time, and which commands were seen, is remembered. */
        bool excepted = table == TABLE_META || table == TABLE_ORIGIN;
        fuzz_require(excepted || now.of[table] == before->of[table]);
    }
}

const Tocsin__Reply *world_ask(struct machine_fixture *world, Tocsin__Command *command)
{
    ProtobufCBinaryData packed = fixture_pack(world, command);
    Tocsin__Entry entry;
    tocsin__entry__init(&entry);
    entry.time_ms = world->now_ms;
    entry.proposer = world->proposer;
    entry.proposer_boot = world->boot;
    entry.proposed_boottime_ms = ++world->boottime_ms;
    entry.n_commands = 1;
    entry.commands = &packed;
    size_t size_bytes = tocsin__entry__get_packed_size(&entry);
    uint8_t *data = fuzz_must(malloc(size_bytes));
    tocsin__entry__pack(&entry, data);
    struct store_digests before = memory_store_digests(world->memory);
    enum machine_error error = world_apply(world, data, size_bytes);
    free(data);
    free(packed.data);
    if (world->reply != NULL) {
        tocsin__reply__free_unpacked(world->reply, NULL);
        world->reply = NULL;
    }
    if (error == MACHINE_OK) {
        fuzz_require(world->output.replies_count == 1 && !world->output.replies[0].repeated);
        struct span answer = world->output.replies[0].packed;
        world->reply = fuzz_must(tocsin__reply__unpack(NULL, answer.size_bytes, answer.data));
        if (world->reply->status != TOCSIN__STATUS__STATUS_OK) {
            nothing_changed(world, &before);
        }
    }
    return world->reply;
}
