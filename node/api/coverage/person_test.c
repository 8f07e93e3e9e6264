/*
 * Whether messages arrive at oneself:
 *
 *     POST /users/me/test    one is told by every contact method at once, outside any incident, and gives the codes back
 *     GET  /users/me/test    what became of the last one, by contact method
 */
#include "consensus/machine/limits.h"
#include "node/api/coverage/coverage.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"

static void on_person_tested(struct http_request *request, const Tocsin__Reply *reply)
{
    json_t *methods = json_array();

    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        json_decref(methods);
        api_refused(request, reply);
        return;
    }
    for (size_t i = 0; i < reply->n_ids; i++) {
        json_array_append_new(methods, json_id(reply->ids[i]));
    }
    api_json(request, 201, json_pack("{s:{s:o}}", "test", "contact_methods", methods));
}

/* False: already answered. */
static bool is_somebody(struct http_request *request)
{
    if (api_call_of(request)->principal.user_id != 0) {
        return true;
    }
    api_error(request, 400, 2001, "Invalid Input Provided",
              json_pack("[s]", "This token belongs to nobody: a test is sent to the person whose token asks for it"));
    return false;
}

void person_test(struct http_request *request)
{
    uint64_t user_id = api_call_of(request)->principal.user_id;

    if (!role_require(request, PERMISSION_RESPOND) || !is_somebody(request)) {
        return;
    }
    api_command(request, TOCSIN__COMMAND__BODY_PERSON_TEST)->person_test->user_id = user_id;
    api_submit(request, on_person_tested);
}

/* ---------------------------------------------------------------- what became of it */

/* The message of that test to the method, once it has ended; NULL: it is under way, or there was none. */
static const Tocsin__Notification *message_of(struct http_request *request, const struct machine_store *view,
                                              const Tocsin__User *user, uint64_t contact_method_id)
{
    struct walk walk = walk_under_backward(view, TABLE_NOTICE, user->id);

    while (walk_next(&walk)) {
        const Tocsin__Notification *message =
            record_unpack(&tocsin__notification__descriptor, walk.value, request_memory(request));
        if (message != NULL && message->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_TEST &&
            message->contact_method_id == contact_method_id && message->created_at_ms == user->last_tested_at_ms) {
            return message;
        }
    }
    return NULL;
}

static const char *text_of_state(const Tocsin__User *user, const Tocsin__ContactMethod *method,
                                 const Tocsin__Notification *message)
{
    if (message == NULL) {
        bool asked = user->last_tested_at_ms != 0 && method->created_at_ms <= user->last_tested_at_ms;
        return asked ? "under_way" : "not_tested";
    }
    return message->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT     ? "sent"
           : message->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_FAILED ? "failed"
                                                                               : "cancelled";
}

static json_t *render_method(struct http_request *request, const struct machine_store *view, const Tocsin__User *user,
                             const Tocsin__ContactMethod *method)
{
    const Tocsin__Notification *message = message_of(request, view, user, method->id);
    const Tocsin__ContactProof *proof = contact_proof_get(view, user->id, method->id, request_memory(request));

    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "contact_method", reference_contact_method(request, method), "status",
                     text_of_state(user, method, message), "provider", json_text(message != NULL ? message->provider : ""),
                     "detail", json_text(message != NULL ? message->ended_detail : ""), "accepted_at",
                     json_time(message != NULL ? message->accepted_at_ms : 0), "last_answered_at",
                     json_time(proof != NULL ? proof->answered_at_ms : 0)); /* to the day */
}

static void on_read_result(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__User *user = user_get(view, api_call_of(request)->principal.user_id, request_memory(request));
    json_t *methods = json_array();
    struct walk walk = walk_under(view, TABLE_CONTACT_METHOD, user != NULL ? user->id : 0);

    while (user != NULL && walk_next(&walk)) {
        const Tocsin__ContactMethod *method =
            record_unpack(&tocsin__contact_method__descriptor, walk.value, request_memory(request));
        if (method != NULL) {
            json_array_append_new(methods, render_method(request, view, user, method));
        }
    }
    api_json(request, 200, json_pack("{s:{s:o, s:o}}", "test", "at", json_time(user != NULL ? user->last_tested_at_ms : 0),
                                     "contact_methods", methods));
}

void person_test_read(struct http_request *request)
{
    if (is_somebody(request)) {
        api_read(request, on_read_result);
    }
}
