/* Steps that stories about the REST API have in common. */
#include "tests/support/api_story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "node/suppression/mute_match.h"
#include "notify/codes.h"
#include "notify/news.h"

#define TEXTS_COUNT 24
#define TEXT_SIZE_BYTES 8192

const char *story_text(const char *format, ...)
{
    static char texts[TEXTS_COUNT][TEXT_SIZE_BYTES];
    static unsigned next;
    char *text = texts[next++ % TEXTS_COUNT];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, TEXT_SIZE_BYTES, format, arguments);
    va_end(arguments);
    assert_in_range(length, 0, TEXT_SIZE_BYTES - 1);
    return text;
}

const char *story_create(struct api_fixture *api, const char *target, const char *wrapper, const char *body)
{
    const struct api_answer *answer = api_post(api, target, body);

    if (answer->status != 201) {
        fail_msg("POST %s answered %u: %s", target, answer->status, answer->text);
    }
    return api_answer_text(answer, wrapper, "id", NULL);
}

static const char *first_error(const struct api_answer *answer, unsigned status, int code)
{
    json_t *errors = api_answer_at(answer, "error", "errors", NULL);

    if (answer->status != status || json_integer_value(api_answer_at(answer, "error", "code", NULL)) != code) {
        fail_msg("expected %u/%d, met %u: %s", status, code, answer->status, answer->text);
    }
    assert_true(json_array_size(errors) > 0);
    return json_string_value(json_array_get(errors, 0));
}

void story_refused(const struct api_answer *answer, unsigned status, int code, const char *text)
{
    const char *error = first_error(answer, status, code);

    if (strstr(error, text) == NULL) {
        fail_msg("expected \"%s\" in: %s", text, answer->text);
    }
}

void story_refused_exactly(const struct api_answer *answer, unsigned status, int code, const char *text)
{
    assert_string_equal(first_error(answer, status, code), text);
    assert_int_equal(json_array_size(api_answer_at(answer, "error", "errors", NULL)), 1);
}

json_int_t story_number(const struct api_answer *answer, const char *a, const char *b)
{
    json_t *value = api_answer_at(answer, a, b, NULL);

    if (!json_is_integer(value)) {
        fail_msg("no number at %s %s in: %s", a, b != NULL ? b : "", answer->text);
    }
    return json_integer_value(value);
}

const char *story_user(struct api_fixture *api, const char *name, const char *email)
{
    return story_create(api, "/users", "user",
                        story_text("{\"user\":{\"type\":\"user\",\"name\":\"%s\",\"email\":\"%s\"}}", name, email));
}

const char *story_become(struct api_fixture *api, const char *name, Tocsin__Role role)
{
    static char ids[8][16];
    static unsigned next;
    char *id = ids[next++ % 8];
    const char *token = story_text("tokenof%s", name);
    uint64_t user_id = api_fixture_add_user(api, name, story_text("%s@example.org", name), role);

    api_fixture_add_token(api, token, TOCSIN__ROLE__ROLE_NONE, user_id);
    id_format(user_id, id);
    api->token = token;
    return id;
}

void story_as_admin(struct api_fixture *api)
{
    api->token = API_FIXTURE_TOKEN;
}

const char *story_contact_method(struct api_fixture *api, const char *user, const char *type, const char *address)
{
    return story_create(
        api, story_text("/users/%s/contact_methods", user), "contact_method",
        story_text("{\"contact_method\":{\"type\":\"%s\",\"label\":\"Work\",\"address\":\"%s\"}}", type, address));
}

const char *story_policy(struct api_fixture *api, const char *name, const char *user)
{
    return story_create(api, "/escalation_policies", "escalation_policy",
                        story_text("{\"escalation_policy\":{\"type\":\"escalation_policy\",\"name\":\"%s\","
                                   "\"escalation_rules\":[{\"escalation_delay_in_minutes\":5,"
                                   "\"targets\":[{\"id\":\"%s\",\"type\":\"user_reference\"}]}]}}",
                                   name, user));
}

const char *story_service(struct api_fixture *api, const char *name, const char *policy)
{
    return story_create(api, "/services", "service",
                        story_text("{\"service\":{\"type\":\"service\",\"name\":\"%s\",\"escalation_policy\":"
                                   "{\"id\":\"%s\",\"type\":\"escalation_policy_reference\"}}}",
                                   name, policy));
}

/* ---------------------------------------------------------------- time */

size_t story_deliver(struct api_fixture *api)
{
    uint64_t ids[2 * LIMIT_SUPPORT_STEP_INCIDENTS];
    size_t count = api->output.sends_count;
    assert_true(count <= sizeof ids / sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        struct span packed = api->output.sends[i].packed;
        Tocsin__Notification *page = tocsin__notification__unpack(NULL, packed.size_bytes, packed.data);
        ids[i] = page->id;
        tocsin__notification__free_unpacked(page, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        Tocsin__Receipt receipt = TOCSIN__RECEIPT__INIT;
        receipt.notification_id = ids[i];
        receipt.attempt = 1;
        receipt.outcome = TOCSIN__OUTCOME__OUTCOME_SENT;
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_RECEIPT;
        command.receipt = &receipt;
        tocsin__reply__free_unpacked(api_fixture_apply(api, &command), NULL);
    }
    return count;
}

const char *story_code(struct api_fixture *api)
{
    char text[600];
    uint8_t hash[CODE_HASH_SIZE_BYTES];
    assert_int_equal(api->output.sends_count, 1);
    Tocsin__Notification *message = tocsin__notification__unpack(NULL, api->output.sends[0].packed.size_bytes,
                                                                 api->output.sends[0].packed.data);
    assert_string_equal(message->notice->code, "");
    assert_true(code_put(message, 4242424242u, hash));
    news_short(message, text, sizeof text);
    const char *code = story_text("%s", message->notice->code);
    assert_int_equal(strlen(code), CONTACT_CODE_CHARACTERS);
    assert_non_null(strstr(text, code));
    Tocsin__Receipt receipt = TOCSIN__RECEIPT__INIT;
    receipt.notification_id = message->id;
    receipt.attempt = message->attempt;
    receipt.outcome = TOCSIN__OUTCOME__OUTCOME_SENT;
    receipt.code_hash = (ProtobufCBinaryData){sizeof hash, hash};
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_RECEIPT;
    command.receipt = &receipt;
    tocsin__notification__free_unpacked(message, NULL);
    tocsin__reply__free_unpacked(api_fixture_apply(api, &command), NULL);
    return code;
}

size_t story_answer_mutes(struct api_fixture *api)
{
    Tocsin__MuteVerdict verdicts[LIMIT_VERDICTS_PER_COMMAND], *list[LIMIT_VERDICTS_PER_COMMAND];
    struct walk walk = walk_under(&api->view, TABLE_HELD, 0);

    if (!walk_next(&walk)) {
        return 0;
    }
    struct mute_set *mutes = mute_set_new(&api->view);
    size_t count = mute_set_judge(mutes, &api->view, api->now_ms, verdicts);
    for (size_t i = 0; i < count; i++) {
        list[i] = &verdicts[i];
    }
    Tocsin__MuteVerdicts message = TOCSIN__MUTE_VERDICTS__INIT;
    message.revision = mute_set_revision(mutes);
    message.verdicts = list;
    message.n_verdicts = count;
    mute_set_free(mutes);
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_MUTE_VERDICTS;
    command.mute_verdicts = &message;
    Tocsin__Reply *reply = api_fixture_apply(api, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    tocsin__reply__free_unpacked(reply, NULL);
    return count;
}

void story_run_until(struct api_fixture *api, uint64_t at_ms)
{
    for (;;) {
        uint64_t due_ms = machine_next_deadline_ms(&api->view);
        if (due_ms > at_ms) {
            break;
        }
        api->now_ms = due_ms > api->now_ms ? due_ms : api->now_ms;
        Tocsin__Pulse pulse = TOCSIN__PULSE__INIT;
        pulse.limit = LIMIT_PULSE_DEADLINES;
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_PULSE;
        command.pulse = &pulse;
        tocsin__reply__free_unpacked(api_fixture_apply(api, &command), NULL);
        (void)story_deliver(api);
    }
    api->now_ms = at_ms;
}
