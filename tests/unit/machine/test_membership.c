/* Who takes part: what operators may ask for, and what is remembered of those who left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_probe.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID
#define NOT_FOUND TOCSIN__STATUS__STATUS_NOT_FOUND
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define LIMIT TOCSIN__STATUS__STATUS_LIMIT
#define BAD_VALUE TOCSIN__REASON__REASON_BAD_VALUE
#define ID_USED TOCSIN__REASON__REASON_MEMBER_ID_USED
#define TOO_FEW TOCSIN__REASON__REASON_TOO_FEW_MEMBERS
#define UNKNOWN TOCSIN__REASON__REASON_UNKNOWN_OBJECT

/* ---- asking */

static void begin_with(struct machine_probe *probe, unsigned count)
{
    Tocsin__Member members[LIMIT_MEMBERS], *list[LIMIT_MEMBERS];
    char addresses[LIMIT_MEMBERS][32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(addresses[i], sizeof addresses[i], "10.0.0.%u:7000", i + 1);
        tocsin__member__init(&members[i]);
        members[i].id = i + 1;
        members[i].address = addresses[i];
        list[i] = &members[i];
    }
    Tocsin__MembersBegin begin = TOCSIN__MEMBERS_BEGIN__INIT;
    begin.n_members = count;
    begin.members = list;
    Tocsin__Command command = COMMAND(MEMBERS_BEGIN, members_begin, begin);
    (void)probe_done(probe, &command);
}

struct add_request {
    Tocsin__Member member;
    Tocsin__MemberAdd add;
    Tocsin__Command command;
};

static Tocsin__Command *adding(struct add_request *request, uint64_t id, const char *address)
{
    tocsin__member__init(&request->member);
    request->member.id = id;
    request->member.address = probe_text(address);
    tocsin__member_add__init(&request->add);
    request->add.member = &request->member;
    request->command = COMMAND(MEMBER_ADD, member_add, request->add);
    return &request->command;
}

static void add_done(struct machine_probe *probe, uint64_t id, const char *address)
{
    struct add_request request;
    assert_int_equal(probe_done(probe, adding(&request, id, address)), id);
}

static void add_refused(struct machine_probe *probe, uint64_t id, const char *address, Tocsin__Status status,
                        Tocsin__Reason reason)
{
    struct add_request request;
    probe_refused(probe, adding(&request, id, address), status, reason);
}

static void remove_done(struct machine_probe *probe, uint64_t id)
{
    Tocsin__MemberRemove body = TOCSIN__MEMBER_REMOVE__INIT;
    body.id = id;
    Tocsin__Command command = COMMAND(MEMBER_REMOVE, member_remove, body);
    assert_int_equal(probe_done(probe, &command), id);
}

static void remove_refused(struct machine_probe *probe, uint64_t id, Tocsin__Status status, Tocsin__Reason reason)
{
    Tocsin__MemberRemove body = TOCSIN__MEMBER_REMOVE__INIT;
    body.id = id;
    Tocsin__Command command = COMMAND(MEMBER_REMOVE, member_remove, body);
    probe_refused(probe, &command, status, reason);
}

static void gone(struct machine_probe *probe, uint64_t id)
{
    Tocsin__MemberGone body = TOCSIN__MEMBER_GONE__INIT;
    body.id = id;
    Tocsin__Command command = COMMAND(MEMBER_GONE, member_gone, body);
    (void)probe_ask(probe, &command);
}

/* ---- what is written down: "1 2 3- | 4" stands for members 1, 2 and 3, which leaves, and 4, which was removed */

static void expect_members(struct machine_probe *probe, const char *expected)
{
    char text[256];
    size_t length = 0;
    Tocsin__Members *members = members_get(&probe->store, NULL);
    assert_non_null(members);
    for (size_t i = 0; i < members->n_members; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%u%s", i > 0 ? " " : "",
                                   (unsigned)members->members[i]->id, members->members[i]->leaving ? "-" : "");
    }
    for (size_t i = 0; i < members->n_removed; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s %u", i == 0 ? " |" : "",
                                   (unsigned)members->removed[i]->id);
    }
    tocsin__members__free_unpacked(members, NULL);
    assert_string_equal(text, expected);
}

/* ---- stories */

static void before_the_leader_wrote_them_down_nothing_changes(void **state)
{
    struct machine_probe *probe = *state;
    add_refused(probe, 4, "10.0.0.4:7000", CONFLICT, UNKNOWN);
    remove_refused(probe, 1, CONFLICT, UNKNOWN);
}

static void the_first_members_are_written_down_once(void **state)
{
    struct machine_probe *probe = *state;
    begin_with(probe, 3);
    begin_with(probe, 5);
    expect_members(probe, "1 2 3");
}

static void a_cluster_grows_and_shrinks_and_remembers(void **state)
{
    struct machine_probe *probe = *state;
    begin_with(probe, 3);
    add_done(probe, 4, "[fd00::4]:7000");
    expect_members(probe, "1 2 3 4");
    remove_done(probe, 2);
    expect_members(probe, "1 2- 3 4");
    gone(probe, 2);
    expect_members(probe, "1 3 4 | 2");
    add_done(probe, 5, "ten.example:7000");
    remove_done(probe, 1);
    gone(probe, 1);
    expect_members(probe, "3 4 5 | 2 1");
}

static void asking_again_changes_nothing(void **state)
{
    struct machine_probe *probe = *state;
    begin_with(probe, 3);
    add_done(probe, 4, "10.0.0.4:7000");
    add_done(probe, 4, "10.0.0.4:7000");
    expect_members(probe, "1 2 3 4");
    remove_done(probe, 4);
    remove_done(probe, 4);
    expect_members(probe, "1 2 3 4-");
}

static void an_id_is_given_once(void **state)
{
    struct machine_probe *probe = *state;
    begin_with(probe, 3);
    add_refused(probe, 3, "10.0.0.9:7000", CONFLICT, ID_USED);
    add_done(probe, 4, "10.0.0.4:7000");
    remove_done(probe, 3);
    add_refused(probe, 3, "10.0.0.3:7000", CONFLICT, ID_USED);
    gone(probe, 3);
    add_refused(probe, 3, "10.0.0.3:7000", CONFLICT, ID_USED);
    add_done(probe, 5, "10.0.0.3:7000"); /* its address is free again */
}

static void an_address_belongs_to_one_member(void **state)
{
    struct machine_probe *probe = *state;
    begin_with(probe, 3);
    add_refused(probe, 4, "10.0.0.3:7000", CONFLICT, TOCSIN__REASON__REASON_MEMBER_ADDRESS_TAKEN);
    add_done(probe, 4, "10.0.0.3:7001");
}

static void what_is_no_address_is_refused(void **state)
{
    struct machine_probe *probe = *state;
    begin_with(probe, 3);
    static const char *const wrong[] = {"", "host", ":7000", "host:", "host:0", "host:65536", "host:70000000000", "host:7a",
                                        "ho st:7000", "fd00::4:7000", "[fd00::4]7000", "[]:7000", "[x:7000", "host\n:7000",
                                        "host:-1", "host:+1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        add_refused(probe, 4, wrong[i], INVALID, BAD_VALUE);
    }
    char long_one[LIMIT_MEMBER_ADDRESS_CHARACTERS + 2];
    memset(long_one, 'h', sizeof long_one - 1);
    memcpy(long_one + sizeof long_one - 6, ":7000", 6);
    add_refused(probe, 4, long_one, INVALID, BAD_VALUE);
    add_refused(probe, 0, "host:7000", INVALID, BAD_VALUE);
    add_refused(probe, UINT64_MAX, "host:7000", INVALID, BAD_VALUE);
    add_done(probe, 4, long_one + 1);
}

static void three_are_the_fewest(void **state)
{
    struct machine_probe *probe = *state;
    begin_with(probe, 3);
    remove_refused(probe, 3, CONFLICT, TOO_FEW);
    remove_refused(probe, 9, NOT_FOUND, UNKNOWN);
    add_done(probe, 4, "10.0.0.4:7000");
    remove_done(probe, 3);
    remove_refused(probe, 4, CONFLICT, TOO_FEW); /* though four are on the list: one leaves */
}

static void a_single_node_takes_its_second_back_but_not_its_third(void **state)
{
    struct machine_probe *probe = *state;
    begin_with(probe, 1);
    remove_refused(probe, 1, CONFLICT, TOO_FEW);
    add_done(probe, 2, "mistyped:7000");
    remove_refused(probe, 1, CONFLICT, TOO_FEW); /* the only one that votes */
    remove_done(probe, 2);
    gone(probe, 2);
    add_done(probe, 3, "host:7000");
    add_done(probe, 4, "host:7001");
    remove_refused(probe, 4, CONFLICT, TOO_FEW);
    remove_refused(probe, 3, CONFLICT, TOO_FEW);
    expect_members(probe, "1 3 4 | 2");
}

static void members_are_bounded(void **state)
{
    struct machine_probe *probe = *state;
    char address[32];
    begin_with(probe, 5);
    for (uint64_t id = 6; id <= LIMIT_MEMBERS + 1; id++) {
        snprintf(address, sizeof address, "host:%u", (unsigned)id);
        if (id <= LIMIT_MEMBERS) {
            add_done(probe, id, address);
        } else {
            add_refused(probe, id, address, LIMIT, TOCSIN__REASON__REASON_TOO_MANY);
        }
    }
    /* One that leaves makes room for one that comes, but it is not gone yet: the list has an end, too. */
    uint64_t next = LIMIT_MEMBERS + 1;
    for (uint64_t id = 1; id <= LIMIT_MEMBERS_WITH_LEAVING - LIMIT_MEMBERS; id++, next++) {
        remove_done(probe, id);
        snprintf(address, sizeof address, "host:%u", (unsigned)next);
        add_done(probe, next, address);
    }
    remove_done(probe, 3);
    add_refused(probe, next, "host:99", LIMIT, TOCSIN__REASON__REASON_TOO_MANY);
    gone(probe, 1);
    add_done(probe, next, "host:99");
}

static void only_who_leaves_is_gone(void **state)
{
    struct machine_probe *probe = *state;
    begin_with(probe, 3);
    gone(probe, 2);
    gone(probe, 9);
    expect_members(probe, "1 2 3");
}

#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, probe_setup, probe_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(before_the_leader_wrote_them_down_nothing_changes),
        MACHINE_TEST(the_first_members_are_written_down_once),
        MACHINE_TEST(a_cluster_grows_and_shrinks_and_remembers),
        MACHINE_TEST(asking_again_changes_nothing),
        MACHINE_TEST(an_id_is_given_once),
        MACHINE_TEST(an_address_belongs_to_one_member),
        MACHINE_TEST(what_is_no_address_is_refused),
        MACHINE_TEST(three_are_the_fewest),
        MACHINE_TEST(a_single_node_takes_its_second_back_but_not_its_third),
        MACHINE_TEST(members_are_bounded),
        MACHINE_TEST(only_who_leaves_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
