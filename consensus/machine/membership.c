/*
 * Who takes part: the members as operators want them. What raft's configuration says follows, step by step, by the leader's hand.
 *
 *     MemberAdd ──> member ── MemberRemove ──> leaving ── MemberGone ──> removed
 *
 * An id is given once: a node that lost its disk, and with it its vote, must not come back as the one that it was.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/text.h"
#include "consensus/machine/checks.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define PORT_DIGITS_MAX 5u
#define PORT_MAX 65535

static Tocsin__Members *members_now(struct apply *apply)
{
    Tocsin__Members *members = members_get(apply->store, apply->arena);
    if (members == NULL) {
        members = apply_alloc(apply, sizeof *members);
        tocsin__members__init(members);
    }
    return members;
}

static void members_put(struct apply *apply, const Tocsin__Members *members)
{
    record_put(apply->store, TABLE_META, key_meta(META_MEMBERS), &members->base);
}

static Tocsin__Member *member_in(Tocsin__Member *const *list, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i]->id == id) {
            return list[i];
        }
    }
    return NULL;
}

/* The list with one more at its end, in the arena. */
static Tocsin__Member **list_with(struct apply *apply, Tocsin__Member *const *list, size_t count,
                                  Tocsin__Member *member)
{
    Tocsin__Member **longer = apply_alloc(apply, (count + 1) * sizeof(Tocsin__Member *));
    if (count > 0) {
        memcpy(longer, list, count * sizeof(Tocsin__Member *));
    }
    longer[count] = member;
    return longer;
}

static size_t staying(const Tocsin__Members *members)
{
    size_t count = 0;
    for (size_t i = 0; i < members->n_members; i++) {
        count += !members->members[i]->leaving;
    }
    return count;
}

/* ---------------------------------------------------------------- what a member may be */

/* host:port, 1.2.3.4:port or [v6]:port. Whether somebody listens there only dialling shows. */
static bool address_is_valid(const char *address)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || !text_within(address, 1, LIMIT_MEMBER_ADDRESS_CHARACTERS) ||
        !text_is_word(address)) {
        return false;
    }
    bool bracketed = address[0] == '[' && colon[-1] == ']' && colon - address > 2;
    bool plain = strcspn(address, "[]:") == (size_t)(colon - address);
    size_t digits = strlen(colon + 1);
    if ((!bracketed && !plain) || digits == 0 || digits > PORT_DIGITS_MAX || !text_is_digits(colon + 1)) {
        return false;
    }
    long port = strtol(colon + 1, NULL, 10);
    return port > 0 && port <= PORT_MAX;
}

static bool check_member(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Member *member)
{
    if (member->id == 0 || member->id > INT64_MAX) {
        reply_refuse(apply, reply, INVALID, "The id of a node must be a number from 1 on.");
        return false;
    }
    if (!address_is_valid(member->address)) {
        reply_refuse(apply, reply, INVALID,
                     "The address must be host:port, 1.2.3.4:port or [v6]:port, of the node's peer port.");
        return false;
    }
    return true;
}

static bool check_unused(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Members *members,
                         const Tocsin__Member *wanted)
{
    for (size_t i = 0; i < members->n_members; i++) {
        const Tocsin__Member *member = members->members[i];
        if (member->id == wanted->id) {
            reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_MEMBER_ID_USED,
                         member->leaving ? "Node %" PRIu64 " is leaving: ids are not given again."
                                         : "Node %" PRIu64 " is a member already, with another address.",
                         wanted->id);
            return false;
        }
        if (strcmp(member->address, wanted->address) == 0) {
            reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_MEMBER_ADDRESS_TAKEN,
                         "Node %" PRIu64 " has this address: use another port, or remove that node first.",
                         member->id);
            return false;
        }
    }
    if (member_in(members->removed, members->n_removed, wanted->id) != NULL) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_MEMBER_ID_USED,
                     "Node %" PRIu64 " was a member before and has been removed: ids are not given again.",
                     wanted->id);
        return false;
    }
    return true;
}

static bool check_begun(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Members *members)
{
    if (members->n_members == 0) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_UNKNOWN_OBJECT,
                     "The leader has not written the cluster's members down yet: try again.");
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- commands */

void apply_members_begin(struct apply *apply, const Tocsin__MembersBegin *begin, Tocsin__Reply *reply)
{
    Tocsin__Members *members = members_now(apply);
    if (members->n_members > 0) {
        return; /* another leader was quicker */
    }
    if (!check_room(apply, reply, "members", begin->n_members, LIMIT_MEMBERS_WITH_LEAVING + 1)) {
        return;
    }
    for (size_t i = 0; i < begin->n_members; i++) {
        Tocsin__Member *member = begin->members[i];
        if (member->id == 0 || member_in(members->members, members->n_members, member->id) != NULL) {
            reply_refuse(apply, reply, INVALID, "The members need ids, each its own.");
            return;
        }
        members->members = list_with(apply, members->members, members->n_members, member);
        members->n_members++;
    }
    members_put(apply, members);
}

void apply_member_add(struct apply *apply, const Tocsin__MemberAdd *add, Tocsin__Reply *reply)
{
    Tocsin__Members *members = members_now(apply);
    if (!check_given(apply, reply, add->member) || !check_begun(apply, reply, members) ||
        !check_member(apply, reply, add->member)) {
        return;
    }
    const Tocsin__Member *known = member_in(members->members, members->n_members, add->member->id);
    if (known != NULL && !known->leaving && strcmp(known->address, add->member->address) == 0) {
        reply_id(apply, reply, known->id); /* asked again */
        return;
    }
    if (!check_unused(apply, reply, members, add->member) ||
        !check_room(apply, reply, "members", staying(members), LIMIT_MEMBERS) ||
        !check_room(apply, reply, "members, with those that leave", members->n_members, LIMIT_MEMBERS_WITH_LEAVING) ||
        !check_room(apply, reply, "members that came and went", members->n_removed + members->n_members,
                    LIMIT_REMOVED_MEMBERS)) {
        return;
    }
    Tocsin__Member *member = apply_alloc(apply, sizeof *member);
    tocsin__member__init(member);
    member->id = add->member->id;
    member->address = add->member->address;
    members->members = list_with(apply, members->members, members->n_members, member);
    members->n_members++;
    members_put(apply, members);
    reply_id(apply, reply, member->id);
}

/*
 * A cluster of one that begins to grow keeps its second node a learner until there is a third: so that one, and only that one, may be
 * taken back.
 */
static bool may_leave(const Tocsin__Members *members, const Tocsin__Member *member)
{
    size_t left = staying(members) - 1;
    return left >= LIMIT_MEMBERS_LEAST || (left == 1 && member != members->members[0]);
}

void apply_member_remove(struct apply *apply, const Tocsin__MemberRemove *remove, Tocsin__Reply *reply)
{
    Tocsin__Members *members = members_now(apply);
    if (!check_begun(apply, reply, members)) {
        return;
    }
    Tocsin__Member *member = member_in(members->members, members->n_members, remove->id);
    if (member == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "member", remove->id);
        return;
    }
    if (!member->leaving) {
        if (!may_leave(members, member)) {
            reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_TOO_FEW_MEMBERS,
                         "Fewer than %u members would be left: add another node first.", LIMIT_MEMBERS_LEAST);
            return;
        }
        member->leaving = true;
        members_put(apply, members);
    }
    reply_id(apply, reply, member->id);
}

void apply_member_gone(struct apply *apply, const Tocsin__MemberGone *gone, Tocsin__Reply *reply)
{
    Tocsin__Members *members = members_now(apply);
    Tocsin__Member *member = member_in(members->members, members->n_members, gone->id);
    if (member == NULL || !member->leaving) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "member that leaves", gone->id);
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < members->n_members; i++) {
        if (members->members[i] != member) {
            members->members[kept++] = members->members[i];
        }
    }
    members->n_members = kept;
    members->removed = list_with(apply, members->removed, members->n_removed, member);
    members->n_removed++;
    members_put(apply, members);
    reply_id(apply, reply, member->id);
}
