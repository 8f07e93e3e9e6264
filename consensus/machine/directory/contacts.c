/* What is known of contact methods: verified or not, and when something was last answered from there. */
#include "consensus/machine/directory/contacts.h"

#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/paging/notices.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID
#define HASH_SIZE_BYTES 32u /* SHA-256 */
#define DAY_MS (24ull * 3600 * 1000)

static Tocsin__ContactProof *proof_get(struct apply *apply, uint64_t user_id, uint64_t contact_method_id)
{
    Tocsin__ContactProof *proof = contact_proof_get(apply->store, user_id, contact_method_id, apply->arena);
    if (proof == NULL) {
        proof = apply_alloc(apply, sizeof *proof);
        tocsin__contact_proof__init(proof);
        proof->user_id = user_id;
        proof->contact_method_id = contact_method_id;
    }
    return proof;
}

static void proof_put(struct apply *apply, const Tocsin__ContactProof *proof)
{
    record_put(apply->store, TABLE_CONTACT_PROOF, key_2(proof->user_id, proof->contact_method_id), &proof->base);
}

void contact_forget(struct apply *apply, uint64_t user_id, uint64_t contact_method_id)
{
    row_delete(apply, TABLE_CONTACT_PROOF, key_2(user_id, contact_method_id));
}

/* ---------------------------------------------------------------- answers */

static bool answered_today(const struct apply *apply, const Tocsin__ContactProof *proof)
{
    return proof->answered_at_ms != 0 && apply->time_ms < proof->answered_at_ms + CONTACT_ANSWER_MS;
}

static void person_answered(struct apply *apply, uint64_t user_id)
{
    Tocsin__ContactProof *person = proof_get(apply, user_id, 0);
    if (!answered_today(apply, person)) {
        person->answered_at_ms = apply->time_ms;
        proof_put(apply, person);
    }
}

void contact_answered(struct apply *apply, uint64_t user_id, uint64_t contact_method_id, Tocsin__ProofKind how)
{
    Tocsin__ContactProof *proof = proof_get(apply, user_id, contact_method_id);
    bool verified = proof->verified_at_ms != 0;
    if (contact_method_get(apply->store, user_id, contact_method_id, apply->arena) == NULL ||
        (verified && answered_today(apply, proof))) {
        return;
    }
    if (!verified) {
        proof->verified_at_ms = apply->time_ms;
        proof->verified_by = how;
    }
    proof->answered_at_ms = apply->time_ms;
    proof_put(apply, proof);
    person_answered(apply, user_id);
}

/* Whether a page of the incident went out to the person; the latest are looked at first. */
static bool was_paged(struct apply *apply, uint64_t incident_id, uint64_t user_id)
{
    struct walk walk = walk_under_backward(apply->store, TABLE_NOTIFICATION, incident_id);
    for (unsigned seen = 0; seen < LIMIT_ANSWERED_PAGES_SEEN && walk_next(&walk); seen++) {
        const Tocsin__Notification *page = record_unpack(&tocsin__notification__descriptor, walk.value, apply->arena);
        if (page != NULL && page->user_id == user_id && page->bulletin_id == 0 &&
            page->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT) {
            return true;
        }
    }
    return false;
}

void contact_page_answered(struct apply *apply, uint64_t incident_id, uint64_t user_id)
{
    if (!answered_today(apply, proof_get(apply, user_id, 0)) && was_paged(apply, incident_id, user_id)) {
        person_answered(apply, user_id);
    }
}

/* ---------------------------------------------------------------- codes */

static bool code_is_out(const struct apply *apply, const Tocsin__ContactProof *proof)
{
    return proof->code_hash.len == HASH_SIZE_BYTES && proof->tries_left > 0 &&
           apply->time_ms < proof->code_sent_at_ms + CONTACT_CODE_VALID_MS;
}

/* A day that is over counts no more. */
static bool has_codes_left(const struct apply *apply, Tocsin__ContactProof *proof, uint32_t codes_per_day)
{
    if (apply->time_ms >= proof->codes_since_ms + DAY_MS) {
        proof->codes_since_ms = apply->time_ms;
        proof->codes_sent = 0;
    }
    return proof->codes_sent < codes_per_day;
}

/* Takes the place of the code that is out; it is known when it has been sent. False: too many on one day. */
static bool code_begin(struct apply *apply, uint64_t user_id, uint64_t contact_method_id)
{
    Tocsin__ContactProof *proof = proof_get(apply, user_id, contact_method_id);
    Tocsin__ContactProof *person = proof_get(apply, user_id, 0);
    if (!has_codes_left(apply, proof, LIMIT_CONTACT_CODES_PER_DAY) ||
        !has_codes_left(apply, person, LIMIT_CONTACT_CODES_PER_USER_PER_DAY)) {
        return false;
    }
    proof->codes_sent++;
    proof->code_hash = (ProtobufCBinaryData){.len = 0, .data = NULL};
    proof->code_sent_at_ms = apply->time_ms;
    proof->tries_left = LIMIT_CONTACT_CODE_TRIES;
    proof_put(apply, proof);
    person->codes_sent++;
    proof_put(apply, person);
    return true;
}

/* The message went to where the method still is, and no later one was asked for. */
static bool is_latest(struct apply *apply, const Tocsin__Notification *notification, const Tocsin__ContactProof *proof)
{
    const Tocsin__ContactMethod *method =
        contact_method_get(apply->store, notification->user_id, notification->contact_method_id, apply->arena);
    return method != NULL && strcmp(method->address, notification->address) == 0 &&
           method->country_code == notification->country_code && proof->code_sent_at_ms == notification->created_at_ms;
}

void contact_code_sent(struct apply *apply, const Tocsin__Notification *notification, const Tocsin__Receipt *receipt)
{
    bool may_have_arrived = receipt->outcome == TOCSIN__OUTCOME__OUTCOME_SENT ||
                            receipt->outcome == TOCSIN__OUTCOME__OUTCOME_UNKNOWN;
    if (!notification->notice->code_wanted || !may_have_arrived || receipt->code_hash.len != HASH_SIZE_BYTES) {
        return;
    }
    Tocsin__ContactProof *proof = proof_get(apply, notification->user_id, notification->contact_method_id);
    if (is_latest(apply, notification, proof)) {
        proof->code_hash = receipt->code_hash;
        proof_put(apply, proof);
    }
}

static void tell(struct apply *apply, const Tocsin__User *user, uint64_t contact_method_id, Tocsin__NoticeKind kind,
                 bool code_wanted)
{
    Tocsin__Notice *notice = apply_alloc(apply, sizeof *notice);
    tocsin__notice__init(notice);
    notice->kind = kind;
    notice->schedule_name = user->name;
    notice->valid_until_ms = apply->time_ms + PERSON_TEST_VALID_MS;
    notice->code_wanted = code_wanted;
    notice_tell(apply, user->id, contact_method_id, TOCSIN__WHY__WHY_TEST, notice);
}

static bool check_method(struct apply *apply, Tocsin__Reply *reply, uint64_t user_id, uint64_t contact_method_id)
{
    if (contact_method_get(apply->store, user_id, contact_method_id, apply->arena) != NULL) {
        return true;
    }
    refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_CONTACT_METHOD, "contact method", contact_method_id);
    return false;
}

void apply_contact_code_send(struct apply *apply, const Tocsin__ContactCodeSend *send, Tocsin__Reply *reply)
{
    const Tocsin__User *user = user_get(apply->store, send->user_id, apply->arena);
    if (!check_method(apply, reply, send->user_id, send->contact_method_id)) {
        return;
    }
    if (user == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_USER, "user", send->user_id);
        return;
    }
    const Tocsin__ContactProof *proof = proof_get(apply, user->id, send->contact_method_id);
    if (proof->code_sent_at_ms != 0 && apply->time_ms < proof->code_sent_at_ms + CONTACT_CODE_EVERY_MS) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_CODE_SENT_JUST_NOW,
                     "A code was sent within the last minute: wait for it to arrive.");
        return;
    }
    if (!code_begin(apply, user->id, send->contact_method_id)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "No more than %u codes are sent to a contact method, and %u to a person, on one day.",
                     LIMIT_CONTACT_CODES_PER_DAY, LIMIT_CONTACT_CODES_PER_USER_PER_DAY);
        return;
    }
    tell(apply, user, send->contact_method_id, TOCSIN__NOTICE_KIND__NOTICE_CODE, true);
    reply_id(apply, reply, send->contact_method_id);
}

/* The same time for every wrong one. */
static bool hashes_equal(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    uint8_t difference = 0;
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        difference |= (uint8_t)(a.data[i] ^ b.data[i]);
    }
    return difference == 0;
}

void apply_contact_code_give(struct apply *apply, const Tocsin__ContactCodeGive *give, Tocsin__Reply *reply)
{
    if (!check_method(apply, reply, give->user_id, give->contact_method_id)) {
        return;
    }
    Tocsin__ContactProof *proof = proof_get(apply, give->user_id, give->contact_method_id);
    if (!code_is_out(apply, proof)) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_NO_CODE,
                     "No code is waiting for an answer: it was used, is older than 15 minutes, or was tried %u times. Have"
                     " another one sent.", LIMIT_CONTACT_CODE_TRIES);
        return;
    }
    if (!hashes_equal(proof->code_hash, give->hash)) {
        proof->tries_left--;
        proof_put(apply, proof);
        reply->reason = TOCSIN__REASON__REASON_WRONG_CODE;
        return;
    }
    proof->code_hash = (ProtobufCBinaryData){.len = 0, .data = NULL};
    proof->tries_left = 0;
    proof_put(apply, proof);
    contact_answered(apply, give->user_id, give->contact_method_id, TOCSIN__PROOF_KIND__PROOF_CODE);
    reply_id(apply, reply, give->contact_method_id);
}

/* ---------------------------------------------------------------- tests */

void apply_person_test(struct apply *apply, const Tocsin__PersonTest *test, Tocsin__Reply *reply)
{
    Tocsin__User *user = user_get(apply->store, test->user_id, apply->arena);
    if (user == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_USER, "user", test->user_id);
        return;
    }
    if (user->last_tested_at_ms != 0 && apply->time_ms < user->last_tested_at_ms + PERSON_TEST_EVERY_MS) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TESTED_JUST_NOW,
                     "A test was sent within the last minute: wait for it to arrive.");
        return;
    }
    struct walk walk = walk_under(apply->store, TABLE_CONTACT_METHOD, user->id);
    while (walk_next(&walk)) {
        uint64_t contact_method_id = span_number(walk.key, 1);
        bool code_wanted = code_begin(apply, user->id, contact_method_id);
        tell(apply, user, contact_method_id, TOCSIN__NOTICE_KIND__NOTICE_TEST, code_wanted);
        reply_id(apply, reply, contact_method_id);
    }
    if (reply->n_ids == 0) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_NOTHING_TO_TEST,
                     "There is no contact method to test.");
        return;
    }
    user->last_tested_at_ms = apply->time_ms;
    user_put(apply->store, user);
}
