/* The entries that the cluster of the crash tests has agreed upon. */
#include "tests/crash/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/machine.h"
#include "tests/crash/chance.h"
#include "tests/support/machine_probe.h"
#include "tests/support/memory_store.h"

#define START_MS 1700000000000u
#define NODE 1u
#define BOOT 7u
#define KEY "0123456789abcdef0123456789abcdef"
#define DEDUP_KEYS 12u
#define COMMANDS_MAX 4u
#define DETAILS_SIZE_MAX_BYTES 14000u
#define SENT_MAX 64u

/* The cluster while the ledger is written. */
struct cluster {
    struct chance chance;
    struct memory_store *memory;
    struct machine_store store;
    struct machine *machine;
    struct machine_output output;
    uint64_t time_ms, term, sequence, last_id;
    unsigned founded; /* steps of `foundation` done */
    uint64_t user_id, method_id, policy_id, service_id;
    struct {
        uint64_t id;
        uint32_t attempt;
    } sent[SENT_MAX]; /* handed to the dispatcher and not yet answered */
    unsigned sent_count;
    ProtobufCBinaryData packed[COMMANDS_MAX];
    unsigned packed_count;
};

static void *must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

uint64_t tables_digest(const struct machine_store *store)
{
    uint64_t digest = DIGEST_START;
    uint8_t next[512];
    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        struct span from = {.size_bytes = 0}, key, value;
        while (store->seek(store->context, (enum machine_table)table, from, &key, &value)) {
            uint64_t sizes[] = {table, key.size_bytes, value.size_bytes};
            digest = digest_add(digest, sizes, sizeof sizes);
            digest = digest_add(digest, key.data, key.size_bytes);
            digest = digest_add(digest, value.data, value.size_bytes);
            memcpy(next, key.data, key.size_bytes); /* the least key after this one has a zero more */
            next[key.size_bytes] = 0;
            from = (struct span){.data = next, .size_bytes = key.size_bytes + 1};
        }
    }
    return digest;
}

/* ---- commands */

static void add(struct cluster *cluster, Tocsin__Command *command)
{
    if (cluster->packed_count == COMMANDS_MAX) {
        abort();
    }
    Tocsin__Origin origin;
    tocsin__origin__init(&origin);
    origin.node = NODE;
    origin.boot = BOOT;
    origin.sequence = ++cluster->sequence;
    command->origin = &origin;
    ProtobufCBinaryData *packed = &cluster->packed[cluster->packed_count++];
    packed->len = tocsin__command__get_packed_size(command);
    packed->data = must(malloc(packed->len));
    tocsin__command__pack(command, packed->data);
}

static void add_user(struct cluster *cluster)
{
    Tocsin__User user;
    tocsin__user__init(&user);
    user.name = probe_text("Alice");
    user.email = probe_text("alice@example.org");
    Tocsin__UserPut put;
    tocsin__user_put__init(&put);
    put.user = &user;
    Tocsin__Command command = COMMAND(USER_PUT, user_put, put);
    add(cluster, &command);
}

static void add_method(struct cluster *cluster)
{
    cluster->user_id = cluster->last_id;
    Tocsin__ContactMethod method;
    tocsin__contact_method__init(&method);
    method.user_id = cluster->user_id;
    method.channel = TOCSIN__CHANNEL__CHANNEL_EMAIL;
    method.address = probe_text("pager@example.org");
    Tocsin__ContactMethodPut put;
    tocsin__contact_method_put__init(&put);
    put.contact_method = &method;
    Tocsin__Command command = COMMAND(CONTACT_METHOD_PUT, contact_method_put, put);
    add(cluster, &command);
}

static void add_policy(struct cluster *cluster)
{
    cluster->method_id = cluster->last_id;
    Tocsin__EscalationLevel level;
    tocsin__escalation_level__init(&level);
    level.n_user_ids = 1;
    level.user_ids = &cluster->user_id;
    Tocsin__EscalationLevel *levels[] = {&level};
    Tocsin__EscalationPolicy policy;
    tocsin__escalation_policy__init(&policy);
    policy.name = probe_text("Whoever is awake");
    policy.num_loops = 2;
    policy.n_levels = 1;
    policy.levels = levels;
    Tocsin__EscalationPolicyPut put;
    tocsin__escalation_policy_put__init(&put);
    put.escalation_policy = &policy;
    Tocsin__Command command = COMMAND(ESCALATION_POLICY_PUT, escalation_policy_put, put);
    add(cluster, &command);
}

static void add_service(struct cluster *cluster)
{
    cluster->policy_id = cluster->last_id;
    Tocsin__Service service;
    tocsin__service__init(&service);
    service.name = probe_text("Checkout");
    service.escalation_policy_id = cluster->policy_id;
    Tocsin__ServicePut put;
    tocsin__service_put__init(&put);
    put.service = &service;
    Tocsin__Command command = COMMAND(SERVICE_PUT, service_put, put);
    add(cluster, &command);
}

static void add_integration(struct cluster *cluster)
{
    cluster->service_id = cluster->last_id;
    Tocsin__Integration integration;
    tocsin__integration__init(&integration);
    integration.service_id = cluster->service_id;
    integration.key = probe_text(KEY);
    Tocsin__IntegrationPut put;
    tocsin__integration_put__init(&put);
    put.integration = &integration;
    Tocsin__Command command = COMMAND(INTEGRATION_PUT, integration_put, put);
    add(cluster, &command);
}

/* Each needs the id that the one before it made. */
static void (*const foundation[])(struct cluster *cluster) = {add_user, add_method, add_policy, add_service,
                                                               add_integration};
#define FOUNDATION_STEPS (sizeof foundation / sizeof foundation[0])

/* Some events carry details that LMDB must put on pages of their own. */
static void add_event(struct cluster *cluster)
{
    struct chance *chance = &cluster->chance;
    static char details[DETAILS_SIZE_MAX_BYTES + 16];
    char dedup_key[32];
    int size = snprintf(dedup_key, sizeof dedup_key, "disk-%u", (unsigned)chance_below(chance, DEDUP_KEYS));
    if (size < 0) {
        abort();
    }
    Tocsin__Event event;
    tocsin__event__init(&event);
    event.routing_key = probe_text(KEY);
    event.action = (Tocsin__EventAction)(chance_one_in(chance, 3) ? chance_below(chance, 3) : 0);
    event.dedup_key = dedup_key;
    event.summary = probe_text("The disk is full");
    event.source = probe_text("db1");
    if (chance_one_in(chance, 4)) {
        size_t fill = chance_below(chance, chance_one_in(chance, 4) ? DETAILS_SIZE_MAX_BYTES : 1500);
        memcpy(details, "{\"a\":\"", 6);
        memset(details + 6, 'a' + (int)chance_below(chance, 26), fill);
        memcpy(details + 6 + fill, "\"}", 2);
        event.details_json.data = (uint8_t *)details;
        event.details_json.len = fill + 8;
    }
    Tocsin__Command command = COMMAND(EVENT, event, event);
    add(cluster, &command);
}

static void add_pulse(struct cluster *cluster)
{
    Tocsin__Pulse pulse;
    tocsin__pulse__init(&pulse);
    pulse.limit = 20;
    Tocsin__Command command = COMMAND(PULSE, pulse, pulse);
    add(cluster, &command);
}

static void add_receipt(struct cluster *cluster)
{
    Tocsin__Receipt receipt;
    tocsin__receipt__init(&receipt);
    cluster->sent_count--;
    receipt.notification_id = cluster->sent[cluster->sent_count].id;
    receipt.attempt = cluster->sent[cluster->sent_count].attempt;
    receipt.outcome =
        chance_one_in(&cluster->chance, 4) ? TOCSIN__OUTCOME__OUTCOME_RETRY : TOCSIN__OUTCOME__OUTCOME_SENT;
    receipt.retry_after_ms = 20000;
    receipt.detail = probe_text("accepted");
    receipt.provider = probe_text("smtp");
    Tocsin__Command command = COMMAND(RECEIPT, receipt, receipt);
    add(cluster, &command);
}

static void add_any(struct cluster *cluster)
{
    struct chance *chance = &cluster->chance;
    if (cluster->founded < FOUNDATION_STEPS) {
        foundation[cluster->founded++](cluster);
        return;
    }
    size_t count = 1 + chance_below(chance, COMMANDS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (cluster->sent_count > 0 && chance_one_in(chance, 2)) {
            add_receipt(cluster);
        } else if (chance_one_in(chance, 5)) {
            add_pulse(cluster);
        } else {
            add_event(cluster);
        }
    }
}

/* ---- entries */

static void remember_sends(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->output.sends_count && cluster->sent_count < SENT_MAX; i++) {
        struct span packed = cluster->output.sends[i].packed;
        Tocsin__Notification *sent = must(tocsin__notification__unpack(NULL, packed.size_bytes, packed.data));
        cluster->sent[cluster->sent_count].id = sent->id;
        cluster->sent[cluster->sent_count++].attempt = sent->attempt;
        tocsin__notification__free_unpacked(sent, NULL);
    }
}

static void remember_ids(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->output.replies_count; i++) {
        struct span packed = cluster->output.replies[i].packed;
        Tocsin__Reply *reply = must(tocsin__reply__unpack(NULL, packed.size_bytes, packed.data));
        if (reply->n_ids > 0) {
            cluster->last_id = reply->ids[0];
        } else if (cluster->founded < FOUNDATION_STEPS) {
            abort(); /* the ground of all that follows was refused */
        }
        tocsin__reply__free_unpacked(reply, NULL);
    }
}

static struct entry *command_entry(struct cluster *cluster)
{
    add_any(cluster);
    Tocsin__Entry content;
    tocsin__entry__init(&content);
    cluster->time_ms += 1 + chance_below(&cluster->chance, 90000);
    content.time_ms = cluster->time_ms;
    content.proposer = NODE;
    content.proposer_boot = BOOT;
    content.n_commands = cluster->packed_count;
    content.commands = cluster->packed;
    struct entry *entry = entry_new(cluster->term, ENTRY_COMMAND, (uint32_t)tocsin__entry__get_packed_size(&content));
    tocsin__entry__pack(&content, entry->data);
    for (unsigned i = 0; i < cluster->packed_count; i++) {
        free(cluster->packed[i].data);
    }
    cluster->packed_count = 0;
    machine_output_reset(&cluster->output);
    struct span data = {.data = entry->data, .size_bytes = entry->size_bytes};
    if (machine_apply(cluster->machine, &cluster->store, cluster->term, data, &cluster->output) != MACHINE_OK) {
        abort();
    }
    remember_sends(cluster);
    remember_ids(cluster);
    return entry;
}

static struct entry *change_entry(struct cluster *cluster, uint64_t index)
{
    char text[64];
    int size = snprintf(text, sizeof text, "the voters as of entry %llu", (unsigned long long)index);
    if (size < 0) {
        abort();
    }
    struct entry *entry = entry_new(cluster->term, ENTRY_CHANGE, (uint32_t)size);
    memcpy(entry->data, text, (size_t)size);
    return entry;
}

static void write_line(struct cluster *cluster, struct ledger *ledger, uint64_t index)
{
    struct ledger_line *line = &ledger->lines[index];
    line->configuration_index = ledger->lines[index - 1].configuration_index;
    if (index == 1 || chance_one_in(&cluster->chance, 25)) {
        line->entry = change_entry(cluster, index);
        line->configuration_index = index;
    } else if (chance_one_in(&cluster->chance, 12)) {
        cluster->term += 1 + chance_below(&cluster->chance, 3);
        line->entry = entry_new(cluster->term, ENTRY_BARRIER, 0);
    } else {
        line->entry = command_entry(cluster);
    }
    line->digest = tables_digest(&cluster->store);
}

struct ledger *ledger_new(uint64_t seed, uint64_t last_index)
{
    struct ledger *ledger = must(calloc(1, sizeof *ledger));
    ledger->lines = must(calloc(last_index + 1, sizeof *ledger->lines));
    ledger->last_index = last_index;
    struct cluster cluster = {.chance = chance_of(seed, 1, 0), .memory = memory_store_new(), .machine = machine_new(),
                              .time_ms = START_MS, .term = 1};
    cluster.store = memory_store_view(cluster.memory);
    machine_output_init(&cluster.output);
    ledger->lines[0].digest = tables_digest(&cluster.store);
    for (uint64_t index = 1; index <= last_index; index++) {
        write_line(&cluster, ledger, index);
    }
    machine_output_close(&cluster.output);
    machine_free(cluster.machine);
    memory_store_free(cluster.memory);
    return ledger;
}

struct entry *ledger_rival(struct ledger *ledger, uint64_t term)
{
    char text[64];
    int size = snprintf(text, sizeof text, "proposal %zu of term %llu, lost", ledger->rivals_count,
                        (unsigned long long)term);
    if (size < 0) {
        abort();
    }
    struct entry *entry = entry_new(term, ENTRY_COMMAND, (uint32_t)size);
    memcpy(entry->data, text, (size_t)size);
    ledger->rivals = must(realloc(ledger->rivals, (ledger->rivals_count + 1) * sizeof(struct entry *)));
    ledger->rivals[ledger->rivals_count++] = entry;
    return entry;
}

void ledger_free(struct ledger *ledger)
{
    for (uint64_t index = 1; index <= ledger->last_index; index++) {
        entry_unref(ledger->lines[index].entry);
    }
    for (size_t i = 0; i < ledger->rivals_count; i++) {
        entry_unref(ledger->rivals[i]);
    }
    free(ledger->rivals);
    free(ledger->lines);
    free(ledger);
}
