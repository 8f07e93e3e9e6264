/*
 * A node without a majority, over the company's state: what peers say of themselves and tell, what providers answer, what people
 * answer, refused events, time, restarts with the record as it was kept or damaged, and a leader at last.
 *
 *     input: steps of  what │ ...
 *
 * Before its bound, and while a leader is known, it sends nothing; it stays within its caps; what it keeps can be read again;
 * and what it reports is a command that leaves the state whole.
 */
#include <stdlib.h>
#include <string.h>

#include "node/last_gasp/last_gasp.h"
#include "node/log.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/maker.h"
#include "tests/fuzz/settings.h"
#include "tests/fuzz/world.h"

#define STEPS_MAX 64u
#define AFTER_MS 90000u
#define NODE_ID 1u
#define PEERS 5u
#define UNDER_WAY_MAX 4096u

struct node {
    struct machine_fixture *world;
    struct maker maker;
    struct last_gasp *gasp;
    struct gasp_sight sight;
    uint64_t now_ms, remembered_ms;
    uint8_t *record;
    size_t record_size_bytes;
    bool disk_full, pages_by_hand;
    uint64_t under_way[UNDER_WAY_MAX];
    size_t under_way_count;
    size_t sent_count; /* in this time without a majority */
    Tocsin__LastGaspReport *report;
    char report_key[128];
    unsigned paged_by_hand;
};

/* One line, whatever peers have written. */
static void on_line(const char *line, size_t length)
{
    fuzz_require(length > 0 && memchr(line, '\n', length) == line + length - 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_level_set(LOG_LEVEL_WARNING);
    log_to(on_line);
    return 0;
}

/* ---------------------------------------------------------------- ports */

static uint64_t port_boottime_ms(void *context)
{
    return ((struct node *)context)->now_ms;
}

static uint64_t port_cluster_ms(void *context)
{
    return ((struct node *)context)->world->now_ms;
}

static void port_look(void *context, void (*with)(void *argument, const struct machine_store *view), void *argument)
{
    with(argument, &((struct node *)context)->world->store);
}

static void port_transfer(void *context, uint64_t transfer_id, const struct outgoing *outgoing)
{
    struct node *node = context;

    fuzz_require((transfer_id & LAST_GASP_TRANSFER) != 0 && outgoing->url != NULL);
    fuzz_require(node->under_way_count < UNDER_WAY_MAX);
    node->under_way[node->under_way_count++] = transfer_id;
    if (!node->pages_by_hand) {
        fuzz_require(last_gasp_status(node->gasp).standing == GASP_SPEAKS && !node->sight.leader);
        /* A page is tried again, as long as a provider has not said too often that it does not take it. */
        fuzz_require(++node->sent_count <= (size_t)LAST_GASP_PAGES_MAX * LAST_GASP_REFUSALS_MAX);
    }
}

static void port_tell(void *context, struct span item)
{
    Tocsin__GaspItem *read = tocsin__gasp_item__unpack(NULL, item.size_bytes, item.data);

    (void)context;
    fuzz_require(read != NULL);
    tocsin__gasp_item__free_unpacked(read, NULL);
}

static bool port_keep(void *context, struct span record)
{
    struct node *node = context;

    fuzz_require(record.size_bytes <= LAST_GASP_RECORD_SIZE_BYTES_MAX);
    if (node->disk_full) {
        return false;
    }
    free(node->record);
    node->record = fuzz_exact_copy(record);
    node->record_size_bytes = record.size_bytes;
    return true;
}

static void port_remember(void *context, uint64_t boottime_ms)
{
    ((struct node *)context)->remembered_ms = boottime_ms;
}

static void forget_report(struct node *node)
{
    if (node->report != NULL) {
        tocsin__last_gasp_report__free_unpacked(node->report, NULL);
        node->report = NULL;
    }
}

static void port_report(void *context, const Tocsin__LastGaspReport *report, const char *idempotency_key)
{
    struct node *node = context;
    size_t size_bytes = tocsin__last_gasp_report__get_packed_size(report);
    uint8_t *packed = fuzz_must(malloc(size_bytes + 1));

    fuzz_require(node->report == NULL && report->n_items <= LAST_GASP_ITEMS_MAX);
    fuzz_require(strlen(idempotency_key) > 0 && strlen(idempotency_key) < sizeof node->report_key);
    tocsin__last_gasp_report__pack(report, packed);
    node->report = fuzz_must(tocsin__last_gasp_report__unpack(NULL, size_bytes, packed));
    free(packed);
    memcpy(node->report_key, idempotency_key, strlen(idempotency_key) + 1);
}

/* ---------------------------------------------------------------- the node */

static void begin(struct node *node)
{
    struct last_gasp_ports ports = {.context = node, .boottime_ms = port_boottime_ms, .cluster_ms = port_cluster_ms,
                                    .look = port_look, .transfer = port_transfer, .tell = port_tell, .keep = port_keep,
                                    .remember = port_remember, .report = port_report};
    struct last_gasp_options options = {.id = NODE_ID, .after_ms = AFTER_MS, .settings = &fuzz_settings,
                                        .record = {node->record, node->record_size_bytes},
                                        .remembered_ms = node->remembered_ms};

    node->gasp = last_gasp_new(&options, &ports);
    node->under_way_count = node->sent_count = 0;
    forget_report(node);
}

static void check(const struct node *node)
{
    struct last_gasp_status status = last_gasp_status(node->gasp);

    fuzz_require(status.items <= LAST_GASP_ITEMS_MAX);
    fuzz_require(status.pages_under_way <= LAST_GASP_TRANSFERS_MAX + node->paged_by_hand);
    fuzz_require(last_gasp_standing_name(status.standing)[0] != '\0');
    fuzz_require(status.standing != GASP_SILENT || (status.why != NULL && status.why[0] != '\0'));
    fuzz_require(status.standing != GASP_DEFERS || (status.speaker > 0 && status.speaker != NODE_ID));
    fuzz_require(status.standing != GASP_SPEAKS || node->sight.barred == NULL);
}

static void turn(struct node *node)
{
    if (node->sight.leader) {
        node->sent_count = 0;
    }
    (void)last_gasp_turn(node->gasp, &node->sight);
    check(node);
}

/* ---------------------------------------------------------------- steps */

static void step_time(struct node *node, uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        node->now_ms += 1000;
        node->world->now_ms += 1000;
        turn(node);
    }
}

static void step_sight(struct node *node)
{
    uint8_t sight = fuzz_byte(node->maker.input);

    node->sight.leader = sight & 1;
    node->sight.current = sight & 2;
    node->sight.barred = sight & 4 ? "it is no voter" : NULL;
    node->sight.reach = sight >> 2 & 7;
    node->sight.applied_index = fuzz_odd_number(node->maker.input);
    node->disk_full = (sight & 0x18) == 0x18;
    turn(node);
}

static void step_heard(struct node *node)
{
    uint64_t peer = 2 + fuzz_below(node->maker.input, PEERS - 1);
    uint8_t said = fuzz_byte(node->maker.input);

    struct gasp_said what = {.leader = said & 1, .may_speak = said & 2, .reach = said >> 3,
                             .applied_index = fuzz_odd_number(node->maker.input)};
    last_gasp_heard(node->gasp, peer, &what);
    if (said & 4) {
        last_gasp_leader_elsewhere(node->gasp);
    }
    turn(node);
}

/* An item as peers make them, or any bytes. */
static void step_told(struct node *node)
{
    if (fuzz_byte(node->maker.input) < 0x40) {
        struct span any = fuzz_bytes(node->maker.input, fuzz_byte(node->maker.input));
        last_gasp_told(node->gasp, any);
    } else {
        ProtobufCMessage *item = maker_message(&node->maker, &tocsin__gasp_item__descriptor);
        size_t size_bytes = protobuf_c_message_get_packed_size(item);
        uint8_t *packed = fuzz_must(malloc(size_bytes + 1));
        protobuf_c_message_pack(item, packed);
        last_gasp_told(node->gasp, (struct span){packed, size_bytes});
        free(packed);
    }
    turn(node);
}

static void answer_one(struct node *node, size_t at, unsigned how)
{
    static const struct answer answers[] = {
        {.kind = ANSWER_RESPONSE, .status = 201, .retry_after_s = -1, .body = "{\"sid\": \"SM1\"}", .body_size_bytes = 14},
        {.kind = ANSWER_RESPONSE, .status = 250, .retry_after_s = -1, .body = "", .body_size_bytes = 0},
        {.kind = ANSWER_RESPONSE, .status = 503, .retry_after_s = 5, .body = "", .body_size_bytes = 0},
        {.kind = ANSWER_RESPONSE, .status = 400, .retry_after_s = -1, .body = "no", .body_size_bytes = 2},
    };
    uint64_t transfer_id = node->under_way[at];

    node->under_way[at] = node->under_way[--node->under_way_count];
    last_gasp_answered(node->gasp, transfer_id, &answers[how % (sizeof answers / sizeof *answers)]);
}

/* Whoever paged by hand has heard of it then, once. */
static void answer_all(struct node *node)
{
    while (node->under_way_count > 0) {
        answer_one(node, 0, 0);
    }
    fuzz_require(node->paged_by_hand == 0);
}

static void step_answers(struct node *node)
{
    unsigned count = 1 + fuzz_below(node->maker.input, LAST_GASP_TRANSFERS_MAX), how = fuzz_byte(node->maker.input);

    while (count-- > 0 && node->under_way_count > 0) {
        answer_one(node, 0, how++);
    }
    turn(node);
}

static void step_person(struct node *node)
{
    Tocsin__Actor actor = TOCSIN__ACTOR__INIT;
    uint8_t how = fuzz_byte(node->maker.input);

    actor.kind = TOCSIN__ACTOR_KIND__ACTOR_USER;
    actor.id = fuzz_below(node->maker.input, 8);
    actor.name = maker_text(&node->maker);
    uint64_t incident_id = fuzz_below(node->maker.input, WORLD_IDS_MAX);
    if (last_gasp_is_on(node->gasp)) {
        bool kept = last_gasp_answer(node->gasp, incident_id, how & 1, &actor);
        fuzz_require(kept || node->disk_full || last_gasp_status(node->gasp).items == LAST_GASP_ITEMS_MAX);
    }
    turn(node);
}

static void step_refused(struct node *node)
{
    Tocsin__Event *event = (Tocsin__Event *)maker_message(&node->maker, &tocsin__event__descriptor);

    last_gasp_refused(node->gasp, event);
    turn(node);
}

static void on_paged(void *context, const Tocsin__Notification *notification, const char *provider, Tocsin__Outcome outcome,
                     const char *detail)
{
    struct node *node = context;

    fuzz_require(notification != NULL && provider != NULL && detail != NULL && outcome != TOCSIN__OUTCOME__OUTCOME_NONE);
    node->paged_by_hand--;
}

static void step_by_hand(struct node *node)
{
    Tocsin__Notification *page = (Tocsin__Notification *)maker_message(&node->maker, &tocsin__notification__descriptor);

    node->pages_by_hand = true;
    node->paged_by_hand++;
    last_gasp_page(node->gasp, page, on_paged, node);
    node->pages_by_hand = false;
    turn(node);
}

static void each_rehearsed(void *context, const Tocsin__Notification *notification, uint64_t after_ms, const char *unusable)
{
    size_t *count = context;

    (void)after_ms;
    fuzz_require(notification != NULL && (unusable == NULL || unusable[0] != '\0'));
    fuzz_require(++*count <= LAST_GASP_PAGES_MAX);
}

static void step_rehearsal(struct node *node)
{
    size_t count = 0;

    last_gasp_rehearse(node->gasp, each_rehearsed, &count);
    turn(node);
}

/* The report becomes a command, as by a leader; or it was lost. */
static void step_report(struct node *node)
{
    bool lost = fuzz_byte(node->maker.input) < 0x40;

    if (node->report == NULL) {
        return;
    }
    if (!lost) {
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_LAST_GASP_REPORT;
        command.last_gasp_report = node->report;
        command.idempotency_key = node->report_key;
        fuzz_require(world_ask(node->world, &command) != NULL);
    }
    forget_report(node);
    last_gasp_reported(node->gasp, !lost);
    turn(node);
}

/* Again from what was kept, of which some bytes may be others. */
static void step_restart(struct node *node)
{
    answer_all(node);
    last_gasp_free(node->gasp);
    for (unsigned damaged = fuzz_below(node->maker.input, 4); damaged > 1 && node->record_size_bytes > 0; damaged--) {
        node->record[fuzz_number(node->maker.input, 2) % node->record_size_bytes] ^= 1 + fuzz_byte(node->maker.input) % 255;
    }
    begin(node);
    turn(node);
}

static void step(struct node *node)
{
    static void (*const steps[])(struct node *node) = {step_sight,   step_heard,   step_told,      step_answers, step_person,
                                                       step_refused, step_by_hand, step_rehearsal, step_report,  step_restart};
    uint8_t what = fuzz_byte(node->maker.input);

    if (what >= 0xa0) {
        step_time(node, 1 + what % 0x60);
    } else {
        steps[what % (sizeof steps / sizeof *steps)](node);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    struct node *node = fuzz_must(calloc(1, sizeof *node));

    node->world = world_new();
    node->maker = (struct maker){.input = &input, .world = node->world};
    node->now_ms = 5000000;
    node->sight = (struct gasp_sight){.leader = true, .current = true, .applied_index = 100};
    arena_init(&node->maker.arena);
    begin(node);
    turn(node);
    node->sight.leader = node->sight.current = false;
    for (unsigned i = 0; i < STEPS_MAX && input.left > 0; i++) {
        step(node);
        arena_reset(&node->maker.arena);
    }
    answer_all(node);
    forget_report(node);
    last_gasp_free(node->gasp);
    arena_close(&node->maker.arena);
    free(node->record);
    world_free(node->world);
    free(node);
    return 0;
}
