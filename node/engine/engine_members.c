/*
 * Who takes part. Operators change a list in the state; the leader brings raft's configuration in line with it, one step at a time:
 *
 *     wanted, not there       ──> learner ──> caught up ──> voter         a cluster of one waits for two learners: two voters survive nothing
 *     leaving, a learner      ──> out
 *     leaving, a voter        ──> out, while three others vote; the leader itself hands over first
 *     leaving, and out        ──> MemberGone: its id is remembered as removed
 *
 * Whoever leads next goes on from where it stands: nothing of it is kept outside the state and the configuration.
 *
 * Each node also knows from here whom to dial. Beside the members of its configuration: who is about to join; the members that somebody who is
 * further tells of, for the own configuration may be of years ago; and removed nodes that call, to tell them so.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "consensus/members.h"
#include "consensus/transport/wire.h"
#include "node/engine/engine_internal.h"
#include "node/log.h"

#define LOOK_INTERVAL_MS 1000
#define STEP_INTERVAL_MS 100       /* while something is to be done */
#define SUBMIT_AGAIN_MS 2000
#define CATCH_UP_AGAIN_MS 1000
#define HAND_OVER_AGAIN_MS 10000   /* leadership does not play ping-pong */
#define HEARD_WITHIN_MS 3000       /* of three reports one came through */
#define FAREWELL_MS 10000          /* how long a removed node that called is dialled */
#define ADDRESS_SIZE_BYTES_MAX 1024u

/* ---- lists of peers */

static void peers_close(struct peer_list *list) {
    for (unsigned i = 0; i < list->count; i++) free(list->addresses[i]);
    list->count = 0;
}

static bool peers_have(const struct peer_list *list, uint64_t id) {
    for (unsigned i = 0; i < list->count; i++)
        if (list->ids[i] == id) return true;
    return false;
}

/* The first address of an id counts. */
static void peers_add(struct peer_list *list, uint64_t id, const char *address, size_t address_size_bytes) {
    if (list->count == ENGINE_PEERS_MAX || peers_have(list, id)) return;
    char *copy = strndup(address, address_size_bytes);
    if (copy == NULL) abort();
    list->ids[list->count] = id;
    list->addresses[list->count++] = copy;
}

static bool peers_equal(const struct peer_list *a, const struct peer_list *b) {
    if (a->count != b->count) return false;
    for (unsigned i = 0; i < a->count; i++)
        if (a->ids[i] != b->ids[i] || strcmp(a->addresses[i], b->addresses[i]) != 0) return false;
    return true;
}

/* ---- what the state says */

static const Tocsin__Member *member_in(Tocsin__Member *const *list, size_t count, uint64_t id) {
    for (size_t i = 0; i < count; i++)
        if (list[i]->id == id) return list[i];
    return NULL;
}

static const Tocsin__Member *member_of(const struct engine *engine, uint64_t id) {
    const Tocsin__Members *wanted = engine->members.wanted;
    return wanted != NULL ? member_in(wanted->members, wanted->n_members, id) : NULL;
}

static const Tocsin__Member *removed_of(const struct engine *engine, uint64_t id) {
    const Tocsin__Members *wanted = engine->members.wanted;
    return wanted != NULL ? member_in(wanted->removed, wanted->n_removed, id) : NULL;
}

static bool is_wanted(const struct engine *engine, uint64_t id) {
    const Tocsin__Member *member = member_of(engine, id);
    return member != NULL && !member->leaving;
}

/* Ticks commit an entry every second, and these records hardly ever change: other bytes than the kept ones are kept instead. */
static bool is_news(struct engine_row *kept, struct span stored) {
    if (span_equal((struct span){kept->data, kept->size_bytes}, stored)) return false;
    free(kept->data);
    *kept = (struct engine_row){.data = stored.size_bytes > 0 ? malloc(stored.size_bytes) : NULL, .size_bytes = stored.size_bytes};
    if (stored.size_bytes == 0) return true;
    if (kept->data == NULL) abort();
    memcpy(kept->data, stored.data, stored.size_bytes);
    return true;
}

static void read_wanted(struct engine *engine) {
    struct engine_members *members = &engine->members;
    if (members->was_read && members->read_index == engine->progress.committed_index) return;
    struct state_reader reader;
    struct storage_failure failure;
    if (engine->ports.reader_begin(engine->ports.context, &reader, &failure) != STORAGE_OK) {
        engine_fail(engine, failure.message);
        return;
    }
    if (is_news(&members->wanted_row, record_stored(&reader.view, META_MEMBERS))) {
        if (members->wanted != NULL) tocsin__members__free_unpacked(members->wanted, NULL);
        members->wanted = members_get(&reader.view, NULL);
    }
    if (is_news(&members->settings_row, record_stored(&reader.view, META_SETTINGS)) || !members->was_read)
        members->state_version = machine_version(&reader.view);
    members->was_read = true;
    members->read_index = engine->progress.committed_index;
    enum storage_error fault = engine->ports.reader_fault(engine->ports.context, &reader, &failure);
    engine->ports.reader_end(engine->ports.context, &reader);
    if (fault != STORAGE_OK) engine_fail(engine, failure.message);
}

/* ---- whom to dial */

static void add_first_contacts(const struct engine *engine, struct peer_list *peers) {
    for (unsigned i = 0; i < engine->config->members_count; i++)
        peers_add(peers, engine->config->members[i].id, engine->config->members[i].address, ADDRESS_SIZE_BYTES_MAX);
}

static void add_farewells(struct engine *engine, struct peer_list *peers, uint64_t now_ms) {
    struct engine_members *members = &engine->members;
    for (unsigned i = 0; i < members->farewells_count; i++) {
        const Tocsin__Member *removed = removed_of(engine, members->farewells[i].id);
        if (removed == NULL || now_ms - members->farewells[i].heard_ms > FAREWELL_MS) {
            members->farewells[i--] = members->farewells[--members->farewells_count];
            continue;
        }
        peers_add(peers, removed->id, removed->address, ADDRESS_SIZE_BYTES_MAX);
    }
}

static void update_peers(struct engine *engine, uint64_t now_ms) {
    struct engine_members *members = &engine->members;
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    struct peer_list peers = {.count = 0};
    if (members->hints_index > engine->progress.applied_index)
        for (unsigned i = 0; i < members->hints.count; i++)
            peers_add(&peers, members->hints.ids[i], members->hints.addresses[i], ADDRESS_SIZE_BYTES_MAX);
    for (unsigned i = 0; i < configuration->n; i++)
        peers_add(&peers, configuration->servers[i].id, configuration->servers[i].address, ADDRESS_SIZE_BYTES_MAX);
    for (size_t i = 0; members->wanted != NULL && i < members->wanted->n_members; i++)
        peers_add(&peers, members->wanted->members[i]->id, members->wanted->members[i]->address, ADDRESS_SIZE_BYTES_MAX);
    if (!members_find(configuration, engine->config->id)) add_first_contacts(engine, &peers);
    add_farewells(engine, &peers, now_ms);
    if (peers_equal(&peers, &members->peers)) {
        peers_close(&peers);
        return;
    }
    peers_close(&members->peers);
    members->peers = peers;
    engine->ports.set_peers(engine->ports.context, peers.ids, (const char *const *)peers.addresses, peers.count);
    engine->changed = true;
}

/* ---- what nodes tell each other of the members: in FRAME_CLOCK, behind what is of fixed size */

size_t engine_members_encode(const struct engine *engine, uint8_t *out, size_t size_bytes) {
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    size_t at = 4;
    uint32_t count = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        size_t length = strlen(configuration->servers[i].address);
        if (length > ADDRESS_SIZE_BYTES_MAX || at + 12 + length > size_bytes) continue;
        wire_put_u64(out + at, configuration->servers[i].id);
        wire_put_u32(out + at + 8, (uint32_t)length);
        memcpy(out + at + 12, configuration->servers[i].address, length);
        at += 12 + length;
        count++;
    }
    wire_put_u32(out, count);
    return at;
}

void engine_members_hint(struct engine *engine, struct wire_reader *reader, uint64_t applied_index) {
    struct engine_members *members = &engine->members;
    if (applied_index <= engine->progress.applied_index || applied_index < members->hints_index) return;
    struct peer_list hints = {.count = 0};
    uint32_t count = wire_read_u32(reader);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        uint64_t id = wire_read_u64(reader);
        uint32_t length = wire_read_u32(reader);
        const char *address = length <= ADDRESS_SIZE_BYTES_MAX ? wire_read_bytes(reader, length) : NULL;
        if (address == NULL || id == 0 || memchr(address, 0, length) != NULL) break;
        peers_add(&hints, id, address, length);
    }
    peers_close(&members->hints);
    members->hints = hints;
    members->hints_index = applied_index;
}

/* ---- removed nodes */

bool engine_members_hear(struct engine *engine, uint64_t peer) {
    struct engine_members *members = &engine->members;
    if (removed_of(engine, peer) == NULL) return true;
    unsigned at = 0;
    while (at < members->farewells_count && members->farewells[at].id != peer) at++;
    if (at == ENGINE_FAREWELLS_MAX) return false;
    if (at == members->farewells_count) members->farewells_count++;
    members->farewells[at].id = peer;
    members->farewells[at].heard_ms = engine_now_ms(engine);
    return false;
}

static void tell_removed(struct engine *engine) {
    uint8_t body[8];
    for (unsigned i = 0; i < engine->members.farewells_count; i++) {
        wire_put_u64(body, engine->members.farewells[i].id);
        engine_send(engine, engine->members.farewells[i].id, FRAME_REMOVED, (struct span){body, sizeof body}, (struct span){NULL, 0});
    }
}

void engine_members_removed(struct engine *engine, uint64_t peer, struct span body) {
    struct wire_reader reader = wire_reader(body);
    if (wire_read_u64(&reader) != engine->config->id || reader.failed) return;
    char reason[160];
    snprintf(reason, sizeof reason, "node %" PRIu64 " says that this node was removed from the cluster; it may be switched off, and its id is not given again", peer);
    char error[256];
    engine->removed = true;
    engine_fail(engine, reason);
    if (!engine->ports.set_removed(engine->ports.context, error, sizeof error)) log_warning("it is not remembered that this node was removed: %s", error);
}

/* ---- a node that joins */

/*
 * It must be a learner before it is a voter: one that lost its disk and comes back under its old id would have forgotten whom it voted for, and
 * which entries it had acknowledged.
 */
static bool votes_already(struct engine *engine, const struct raft_configuration *configuration) {
    if (!engine->joining || !members_is_voter(configuration, engine->config->id)) return false;
    engine_fail(engine, "this node's id votes in the cluster already: a node that lost its disk must come back under a new id");
    return true;
}

void engine_members_check_join(struct engine *engine) {
    if (!engine->joining || engine->failed) return;
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    if (votes_already(engine, configuration) || members_find(configuration, engine->config->id) == NULL) return;
    if (driver_status(engine->driver).durable_index == 0) return; /* it would come back with nothing */
    char error[256];
    if (!engine->ports.joined(engine->ports.context, error, sizeof error)) {
        engine_fail(engine, error);
        return;
    }
    engine->joining = false;
    log_info("this node is a learner of the cluster");
}

bool engine_members_may_take(struct engine *engine, const struct driver_position *position) {
    struct raft_configuration configuration;
    if (engine->failed) return false;
    if (!engine->joining || !members_decode(position->configuration, position->configuration_size_bytes, &configuration)) return true;
    bool votes = votes_already(engine, &configuration);
    raft_configuration_close(&configuration);
    return !votes;
}

/* ---- the leader's steps */

static const struct peer_report *report_of(const struct engine *engine, uint64_t id) {
    for (unsigned i = 0; i < engine->reports_count; i++)
        if (engine->reports[i].id == id) return &engine->reports[i];
    return NULL;
}

static bool heard_lately(struct engine *engine, uint64_t id) {
    const struct peer_report *report = report_of(engine, id);
    return report != NULL && engine_boottime_ms(engine) - report->at_boottime_ms <= HEARD_WITHIN_MS;
}

static bool may_again(struct engine *engine, uint64_t *last_ms, uint64_t after_ms) {
    uint64_t now_ms = engine_now_ms(engine);
    if (*last_ms != 0 && now_ms - *last_ms < after_ms) return false;
    *last_ms = now_ms;
    return true;
}

static void submit(struct engine *engine, Tocsin__Command *command) {
    if (may_again(engine, &engine->members.submitted_ms, SUBMIT_AGAIN_MS)) proposer_submit_own(engine->proposer, command);
}

/* The configuration with one server put in, changed, or (role < 0) taken out. */
static bool change(struct engine *engine, uint64_t id, const char *address, int role) {
    const struct raft_configuration *current = driver_configuration(engine->driver);
    struct raft_configuration next;
    raft_configuration_init(&next);
    int rv = 0;
    for (unsigned i = 0; i < current->n && rv == 0; i++) {
        const struct raft_server *server = &current->servers[i];
        if (server->id != id) rv = raft_configuration_add(&next, server->id, server->address, server->role);
    }
    if (rv == 0 && role >= 0) rv = raft_configuration_add(&next, id, address, role);
    bool ok = rv == 0 && driver_change(engine->driver, &next) == DRIVER_OK;
    raft_configuration_close(&next);
    return ok;
}

static void write_down(struct engine *engine) {
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    Tocsin__Member members[MEMBERS_MAX], *list[MEMBERS_MAX];
    assert(configuration->n <= MEMBERS_MAX);
    for (unsigned i = 0; i < configuration->n; i++) {
        tocsin__member__init(&members[i]);
        members[i].id = configuration->servers[i].id;
        members[i].address = configuration->servers[i].address;
        list[i] = &members[i];
    }
    Tocsin__MembersBegin begin = TOCSIN__MEMBERS_BEGIN__INIT;
    begin.n_members = configuration->n;
    begin.members = list;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_MEMBERS_BEGIN;
    command.members_begin = &begin;
    submit(engine, &command);
}

static bool write_off(struct engine *engine, const struct raft_configuration *configuration) {
    for (size_t i = 0; i < engine->members.wanted->n_members; i++) {
        const Tocsin__Member *member = engine->members.wanted->members[i];
        if (!member->leaving || members_find(configuration, member->id) != NULL) continue;
        Tocsin__MemberGone gone = TOCSIN__MEMBER_GONE__INIT;
        gone.id = member->id;
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_MEMBER_GONE;
        command.member_gone = &gone;
        submit(engine, &command);
        return true;
    }
    return false;
}

static bool remove_learner(struct engine *engine, const struct raft_configuration *configuration) {
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        if (server->role == RAFT_VOTER || is_wanted(engine, server->id)) continue;
        uint64_t id = server->id; /* a change makes another configuration */
        if (change(engine, id, NULL, -1)) log_info("node %" PRIu64 " leaves: no learner any more", id);
        return true;
    }
    return false;
}

static bool add_learner(struct engine *engine, const struct raft_configuration *configuration) {
    for (size_t i = 0; i < engine->members.wanted->n_members; i++) {
        const Tocsin__Member *member = engine->members.wanted->members[i];
        if (member->leaving || members_find(configuration, member->id) != NULL || configuration->n >= MEMBERS_MAX) continue;
        if (change(engine, member->id, member->address, RAFT_STANDBY))
            log_info("node %" PRIu64 " at %s joins, as a learner first", member->id, member->address);
        return true;
    }
    return false;
}

/* With one voter, the second waits for the third. */
static bool may_promote(struct engine *engine, const struct raft_configuration *configuration) {
    if (members_voters(configuration) != 1) return true;
    unsigned ready = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        ready += server->role != RAFT_VOTER && is_wanted(engine, server->id) && heard_lately(engine, server->id);
    }
    return ready >= 2;
}

/* One learner after the other; one that does not come along is left for a while, so that it does not keep the others waiting. */
static bool promote(struct engine *engine, const struct raft_configuration *configuration) {
    struct engine_members *members = &engine->members;
    if (!may_promote(engine, configuration)) return false;
    uint64_t first = 0, next = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        if (server->role == RAFT_VOTER || !is_wanted(engine, server->id) || !heard_lately(engine, server->id)) continue;
        uint64_t id = server->id;
        enum driver_catching_up progress = driver_catching_up(engine->driver, id);
        if (progress == DRIVER_CATCH_UP_RUNNING) {
            if (may_again(engine, &members->tried_ms, CATCH_UP_AGAIN_MS)) (void)driver_catch_up(engine->driver, id);
            return true;
        }
        if (progress == DRIVER_CATCH_UP_DONE && change(engine, id, server->address, RAFT_VOTER)) {
            log_info("node %" PRIu64 " has caught up: it votes", id);
            return true;
        }
        if (first == 0 || id < first) first = id;
        if (id > members->tried_id && (next == 0 || id < next)) next = id;
    }
    if (next == 0) next = first;
    if (next == 0 || !may_again(engine, &members->tried_ms, CATCH_UP_AGAIN_MS)) return next != 0;
    members->tried_id = next;
    (void)driver_catch_up(engine->driver, next); /* not now: later */
    return true;
}

static bool remove_voter(struct engine *engine, const struct raft_configuration *configuration) {
    if (members_voters(configuration) <= LIMIT_MEMBERS_LEAST) return false;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        if (server->role != RAFT_VOTER || is_wanted(engine, server->id) || server->id == engine->config->id) continue;
        uint64_t id = server->id;
        if (change(engine, id, NULL, -1)) log_info("node %" PRIu64 " leaves: it votes no more", id);
        return true;
    }
    return false;
}

/* To the furthest of those who stay. */
static bool hand_over(struct engine *engine, const struct raft_configuration *configuration) {
    if (is_wanted(engine, engine->config->id) || members_voters(configuration) <= LIMIT_MEMBERS_LEAST) return false;
    uint64_t best = 0, best_index = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        uint64_t index;
        bool fit = server->role == RAFT_VOTER && is_wanted(engine, server->id) && heard_lately(engine, server->id) &&
                   driver_match_index(engine->driver, server->id, &index);
        if (!fit || (best != 0 && index <= best_index)) continue;
        best = server->id;
        best_index = index;
    }
    if (best == 0 || !may_again(engine, &engine->members.handed_over_ms, HAND_OVER_AGAIN_MS)) return best != 0;
    if (driver_transfer(engine->driver, best) == DRIVER_OK) log_info("this node is to leave and leads: node %" PRIu64 " shall lead", best);
    return true;
}

/* True when something is to be done, or under way. */
static bool reconcile(struct engine *engine) {
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    if (driver_changing(engine->driver)) return true;
    if (engine->members.wanted == NULL) {
        write_down(engine);
        return true;
    }
    return write_off(engine, configuration) || remove_learner(engine, configuration) || add_learner(engine, configuration) ||
           remove_voter(engine, configuration) || hand_over(engine, configuration) || promote(engine, configuration);
}

/* ---- the version of the rules */

static bool follows(struct engine *engine, uint64_t id, uint32_t version) {
    if (id == engine->config->id) return engine->machine_version >= version;
    const struct peer_report *report = report_of(engine, id);
    return report != NULL && report->machine_version >= version && heard_lately(engine, id);
}

/* It rises when everybody who takes part, or is about to, has just said that it follows. Who does not would have to stop. */
static void raise_version(struct engine *engine) {
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    const struct engine_members *members = &engine->members;
    uint32_t version = members->state_version + 1;
    if (version > engine->machine_version || members->wanted == NULL) return;
    for (unsigned i = 0; i < configuration->n; i++)
        if (!follows(engine, configuration->servers[i].id, version)) return;
    for (size_t i = 0; i < members->wanted->n_members; i++)
        if (!follows(engine, members->wanted->members[i]->id, version)) return;
    if (!may_again(engine, &engine->members.raised_ms, SUBMIT_AGAIN_MS)) return;
    log_info("every member follows the rules of version %u: they come into force", (unsigned)version);
    Tocsin__VersionRaise raise = TOCSIN__VERSION_RAISE__INIT;
    raise.version = version;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_VERSION_RAISE;
    command.version_raise = &raise;
    proposer_submit_own(engine->proposer, &command);
}

/* ---- each turn */

void engine_members_turn(struct engine *engine, uint64_t term) {
    struct engine_members *members = &engine->members;
    uint64_t now_ms = engine_now_ms(engine);
    engine_members_check_join(engine);
    if (term != members->led_term) members->next_ms = 0; /* a new leader looks at once */
    members->led_term = term;
    if (engine->failed || now_ms < members->next_ms) return;
    read_wanted(engine);
    if (engine->failed) return;
    update_peers(engine, now_ms);
    tell_removed(engine);
    unsigned voters = members_voters(driver_configuration(engine->driver));
    cluster_clock_set_members(&engine->clock, voters > 0 ? voters : engine->config->members_count);
    bool busy = term != 0 && reconcile(engine);
    if (term != 0 && !busy) raise_version(engine);
    members->next_ms = now_ms + (busy ? STEP_INTERVAL_MS : LOOK_INTERVAL_MS);
}

uint64_t engine_members_next_ms(const struct engine *engine) { return engine->members.next_ms; }

void engine_members_close(struct engine *engine) {
    peers_close(&engine->members.peers);
    peers_close(&engine->members.hints);
    if (engine->members.wanted != NULL) tocsin__members__free_unpacked(engine->members.wanted, NULL);
    free(engine->members.wanted_row.data);
    free(engine->members.settings_row.data);
}
