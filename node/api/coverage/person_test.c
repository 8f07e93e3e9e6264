/* POST /users/me/test: one is told by every contact method at once, outside any incident, and gives the codes back. */
#include "consensus/machine/limits.h"
#include "node/api/coverage/coverage.h"
#include "node/api/people/people.h"
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

void person_test(struct http_request *request)
{
    uint64_t user_id = api_call_of(request)->principal.user_id;

    if (!role_require(request, PERMISSION_RESPOND)) {
        return;
    }
    if (user_id == 0) {
        api_error(request, 400, 2001, "Invalid Input Provided",
                  json_pack("[s]", "This token belongs to nobody: a test is sent to the person whose token asks for it"));
        return;
    }
    api_command(request, TOCSIN__COMMAND__BODY_PERSON_TEST)->person_test->user_id = user_id;
    api_submit(request, on_person_tested);
}
