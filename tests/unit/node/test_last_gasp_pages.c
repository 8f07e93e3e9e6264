/* The majority is gone: refused triggers, and pages that are taken, refused, or not even sent. */
#include "tests/unit/node/gasp_world.h"

/* ---- refused triggers */

static Tocsin__Event trigger(char *dedup_key, char *summary) {
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.routing_key = (char *)(uintptr_t)KEY;
    event.dedup_key = dedup_key;
    event.summary = summary;
    event.severity = TOCSIN__SEVERITY__SEVERITY_CRITICAL;
    return event;
}

static void refused_triggers_are_told_once_and_capped(void **state) {
    struct world *world = *state;
    char key[24], summary[24];
    hear_all(world, true);
    lead_all(world, false);
    run(world, 100);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "flood-%u", i % 50);
        snprintf(summary, sizeof summary, "Water%uX", i % 50);
        Tocsin__Event event = trigger(key, summary);
        last_gasp_refused(world->nodes[1 + i % 3].gasp, &event); /* whichever node was asked: only one speaks */
        run(world, 1);
    }
    assert_int_equal(LAST_GASP_TRIGGERS_MAX, sent_with(world, 0, "5550101"));
    assert_int_equal(1, sent_with(world, 0, "Water0X"));
    assert_int_equal(world->sent_count, sent_with(world, 1, "DEGRADED"));
}

static void refuse(struct world *world, uint64_t node, Tocsin__Event event) { last_gasp_refused(world->nodes[node].gasp, &event); }

/* Warnings, services that are switched off, keys of nobody: the next critical one is what people must hear of. */
static void what_pages_nobody_takes_no_place(void **state) {
    struct world *world = *state;
    char other[] = "abcdefabcdefabcdefabcdefabcdef00", unknown[] = "00000000000000000000000000000000", key[24], summary[24] = "Water";
    fixture_integration(world->fixture, fixture_service(world->fixture, world->policy, TOCSIN__URGENCY__URGENCY_SEVERITY_BASED, 0, 0), other);
    leave_alone(world);
    run(world, 100);
    for (unsigned i = 0; i < 3 * LAST_GASP_TRIGGERS_MAX; i++) {
        snprintf(key, sizeof key, "flood-%u", i);
        Tocsin__Event event = trigger(key, summary);
        event.routing_key = i % 2 != 0 ? other : unknown;
        event.severity = TOCSIN__SEVERITY__SEVERITY_WARNING;
        refuse(world, 3, event);
    }
    run(world, 1);
    assert_int_equal(0, sent_with(world, 0, "Water"));
    assert_int_equal(1, last_gasp_status(world->nodes[3].gasp).items); /* the guardian's page */
    char last[] = "last";
    Tocsin__Event event = trigger(last, summary);
    event.routing_key = other;
    refuse(world, 3, event);
    run(world, 1);
    assert_int_equal(1, sent_with(world, 3, "Water"));
}

/* A sender without keys, which tries again each half minute: the API makes another key of each try. */
static void a_trigger_without_a_key_of_its_own_is_known_by_its_words(void **state) {
    struct world *world = *state;
    char key[40], water[] = "Water", fire[] = "Fire";
    leave_alone(world);
    run(world, 100);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "%032x", 77 + i);
        refuse(world, 3, trigger(key, water));
        run(world, 30);
    }
    refuse(world, 3, trigger(key, fire));
    run(world, 1);
    assert_int_equal(1, sent_with(world, 0, "Water"));
    assert_int_equal(1, sent_with(world, 0, "Fire"));
}

static void what_rules_decided_of_a_refused_trigger_counts(void **state) {
    struct world *world = *state;
    char keys[][8] = {"a", "b", "c", "d", "e"}, summary[] = "Water", low_key[] = "abcdefabcdefabcdefabcdefabcdef00";
    uint64_t low = fixture_service(world->fixture, world->policy, TOCSIN__URGENCY__URGENCY_LOW, 0, 0);
    fixture_integration(world->fixture, low, low_key);
    leave_alone(world);
    run(world, 100);
    Tocsin__EventDecision suppressed = TOCSIN__EVENT_DECISION__INIT, made_low = TOCSIN__EVENT_DECISION__INIT, dropped = TOCSIN__EVENT_DECISION__INIT,
                          made_high = TOCSIN__EVENT_DECISION__INIT, suspended = TOCSIN__EVENT_DECISION__INIT;
    suppressed.suppress = made_low.urgency_low = made_high.urgency_high = true;
    dropped.disposition = TOCSIN__DISPOSITION__DISPOSITION_DROPPED;
    suspended.suspend_s = 120;
    Tocsin__EventDecision *none[] = {&suppressed, &made_low, &dropped};
    for (unsigned i = 0; i < 3; i++) {
        Tocsin__Event event = trigger(keys[i], summary);
        event.decision = none[i];
        refuse(world, 3, event);
    }
    run(world, 1);
    assert_int_equal(0, sent_with(world, 0, "Water"));
    Tocsin__Event high = trigger(keys[3], summary), later = trigger(keys[4], summary);
    high.routing_key = low_key;
    high.decision = &made_high;
    later.decision = &suspended;
    refuse(world, 3, high);
    refuse(world, 3, later);
    run(world, 100);
    assert_int_equal(1, sent_with(world, 0, "Water"));
    run(world, 30);
    assert_int_equal(2, sent_with(world, 0, "Water"));
}

static void in_maintenance_a_refused_trigger_pages_nobody(void **state) {
    struct world *world = *state;
    Tocsin__MaintenanceWindow window = TOCSIN__MAINTENANCE_WINDOW__INIT;
    Tocsin__MaintenanceWindowPut put = TOCSIN__MAINTENANCE_WINDOW_PUT__INIT;
    window.start_ms = world->fixture->now_ms;
    window.end_ms = window.start_ms + 3600000;
    window.service_ids = &world->service;
    window.n_service_ids = 1;
    put.window = &window;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_PUT;
    command.maintenance_window_put = &put;
    assert_int_equal(TOCSIN__STATUS__STATUS_OK, fixture_apply(world->fixture, &command)->status);
    char key[] = "flood", summary[] = "Water";
    leave_alone(world);
    run(world, 100);
    refuse(world, 3, trigger(key, summary));
    run(world, 10);
    assert_int_equal(0, sent_with(world, 0, "Water"));
}

/* Sent again while its alert is open: the incident speaks for itself, and somebody has this one. */
static void a_refused_trigger_of_an_open_alert_is_no_news(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    fixture_set_status(world->fixture, disk, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    char key[] = "disk", summary[] = "Water";
    leave_alone(world);
    run(world, 100);
    refuse(world, 3, trigger(key, summary));
    run(world, 10);
    assert_int_equal(0, sent_with(world, 0, "Water"));
}

static void who_comes_to_speak_tells_of_the_triggers_that_it_heard_of(void **state) {
    struct world *world = *state;
    char flood[] = "flood", water[] = "Water", oven[] = "oven", fire[] = "Fire";
    lead_all(world, false);
    run(world, 100);
    refuse(world, 2, trigger(flood, water));
    run(world, 2);
    assert_int_equal(1, sent_with(world, 1, "Water"));
    refuse(world, 3, trigger(oven, fire));
    run_answered(world, 2, &not_sent);
    world->nodes[1].off = true; /* it dies: of the one somebody knows, of the other nobody */
    run(world, 100);
    assert_int_equal(0, sent_with(world, 2, "Water"));
    assert_int_equal(1, sent_with(world, 2, "Fire"));
}

static void before_the_bound_a_refused_trigger_is_its_senders(void **state) {
    struct world *world = *state;
    leave_alone(world);
    run(world, 10);
    char key[] = "flood", summary[] = "Water";
    Tocsin__Event event = trigger(key, summary);
    last_gasp_refused(world->nodes[3].gasp, &event);
    run(world, 100);
    assert_int_equal(0, sent_with(world, 0, "Water"));
}

/* ---- providers */

static void what_was_not_taken_is_tried_again_what_may_have_been_is_not(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    for (unsigned i = 0; i < 97; i++) second(world);
    assert_int_equal(2, world->sent_count);
    struct answer busy = {.kind = ANSWER_RESPONSE, .status = 503, .retry_after_s = -1, .body = "", .error = ""};
    struct answer lost = {.kind = ANSWER_NO_ANSWER, .retry_after_s = -1, .body = "", .error = "timeout"};
    world->sent[0].answered = world->sent[1].answered = true;
    last_gasp_answered(world->nodes[3].gasp, world->sent[0].transfer_id, &busy);
    last_gasp_answered(world->nodes[3].gasp, world->sent[1].transfer_id, &lost);
    run(world, 60);
    assert_int_equal(3, world->sent_count);
    assert_string_equal(world->sent[0].request, world->sent[2].request);
}


/* The usual reason why a node is alone: its uplink is gone, and comes back an hour later. */
static void what_nobody_took_is_tried_until_the_way_out_is_back(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run_answered(world, 97 + 3600, &not_sent);
    size_t tried = sent_with(world, 3, "5550101");
    assert_in_range(tried, 55, 65); /* a few times soon, then each minute */
    run(world, 90);
    assert_int_equal(tried + 1, sent_with(world, 3, "5550101"));
    assert_true(sent_with(world, 3, "5550190") > 0);
    size_t all = world->sent_count;
    run(world, 3600);
    assert_int_equal(all, world->sent_count);
    heal(world);
    commit_report(world, &world->nodes[3]);
    /* Of each of three: that it was in vain at first, and that it was not. */
    assert_int_equal(6, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_LAST_GASP));
}

static void what_nobody_took_is_no_page_for_a_peer_or_after_a_restart(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    run_answered(world, 200, &not_sent);
    assert_true(sent_with(world, 1, "5550101") > 0);
    world->nodes[1].off = true; /* given its record, the peer goes on */
    run(world, 10);
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(1, sent_with(world, 2, "5550101"));
}

static void after_a_restart_what_nobody_took_is_tried_again(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run_answered(world, 200, &not_sent);
    size_t tried = sent_with(world, 3, "5550101");
    start_again(&world->nodes[3]);
    run(world, 200);
    assert_int_equal(tried + 1, sent_with(world, 3, "5550101"));
}

/* Alice stands on both levels: while nobody has answered the first page there is no second. */
static void a_page_under_way_is_not_sent_again_by_the_next_level(void **state) {
    struct world *world = *state;
    char key[] = "abcdefabcdefabcdefabcdefabcdef00";
    struct fixture_level levels[] = {{5, {world->alice}}, {5, {world->alice}}};
    uint64_t policy = fixture_policy(world->fixture, 0, 2, levels);
    fixture_integration(world->fixture, fixture_service(world->fixture, policy, TOCSIN__URGENCY__URGENCY_HIGH, 0, 0), key);
    fixture_trigger(world->fixture, key, "disk");
    leave_alone(world);
    for (unsigned i = 0; i < 500; i++) second(world);
    assert_int_equal(1, sent_with(world, 3, "5550101"));
    answer_all(world, &not_sent);
}

static void an_answer_ends_the_attempts(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run_answered(world, 200, &not_sent);
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    size_t tried = sent_with(world, 3, "5550101");
    run(world, 200);
    assert_int_equal(tried, sent_with(world, 3, "5550101"));
}

static void a_provider_says_when_and_is_not_asked_for_ever(void **state) {
    struct world *world = *state;
    struct answer later = {.kind = ANSWER_RESPONSE, .status = 429, .retry_after_s = 120, .body = "", .error = ""};
    leave_alone(world);
    run_answered(world, 97 + 110, &later);
    assert_int_equal(1, world->sent_count);
    run_answered(world, 20, &later);
    assert_int_equal(2, world->sent_count);
    run_answered(world, 4 * 3600, &later);
    assert_int_equal(LAST_GASP_REFUSALS_MAX, world->sent_count);
}

static void one_that_reaches_no_provider_lets_another_speak(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    world->nodes[3].off = true;
    world->nodes[1].sight.applied_index = 101;
    world->nodes[1].sight.reach = 0;
    run(world, 100);
    assert_int_equal(GASP_DEFERS, standing(world, 1));
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(1, sent_with(world, 2, "5550101"));
    world->nodes[1].sight.reach = REACH_SMS; /* its way out is back: nobody is told again */
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    assert_int_equal(1, sent_with(world, 0, "5550101"));
    world->nodes[1].sight.reach = world->nodes[2].sight.reach = 0; /* when nobody has one, one of them tries all the same */
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    assert_int_equal(GASP_DEFERS, standing(world, 2));
}

/* Node 1 has no Twilio, node 2 no mail: each says what it can, and nothing twice. */
static void by_each_channel_speaks_one_that_can_send_by_it(void **state) {
    struct world *world = *state;
    fixture_guardian(world->fixture, "Gus", TOCSIN__CHANNEL__CHANNEL_EMAIL, "gus@example.org");
    fixture_trigger(world->fixture, KEY, "disk");
    world->nodes[1].settings = (struct notify_settings){.smtp = {.url = "smtp://mail.example.org", .from = "pager@example.org"}};
    start_again(&world->nodes[1]);
    world->nodes[1].sight.reach = REACH_EMAIL;
    run(world, 3);
    lead_all(world, false);
    run(world, 400);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(GASP_DEFERS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 1, "gus@example.org"));
    assert_int_equal(1, sent_with(world, 2, "5550101"));
    assert_int_equal(1, sent_with(world, 2, "5550102"));
    assert_int_equal(world->sent_count, sent_with(world, 1, "gus@") + sent_with(world, 2, "555010") + sent_with(world, 2, "5550190"));
}

/* Whoever answers may send back what it was sent, and the record goes to peers, into the log and the state. */
static void no_secret_is_recorded(void **state) {
    struct world *world = *state;
    const char body[] = "{\"code\": 21211, \"message\": \"AC1:secret is wrong\"}";
    struct answer refused = {.kind = ANSWER_RESPONSE, .status = 400, .retry_after_s = -1, .body = body, .body_size_bytes = sizeof body - 1};
    leave_alone(world);
    run_answered(world, 97, &refused);
    const struct node *node = &world->nodes[3];
    assert_int_equal(1, last_gasp_status(node->gasp).items);
    assert_null(memmem(node->record, node->record_size_bytes, "secret is", 9));
    assert_non_null(memmem(node->record, node->record_size_bytes, "withheld", 8));
}

static void header_of(const struct world *world, size_t at, const char *name, char out[160]) {
    const char *start = strstr(world->sent[at].request, name);
    assert_non_null(start);
    snprintf(out, 160, "%.*s", (int)strcspn(start, "\r"), start);
}

static void when_paged(void *context, const Tocsin__Notification *notification, const char *provider, Tocsin__Outcome outcome, const char *detail) {
    (void)context, (void)notification, (void)provider, (void)outcome, (void)detail;
}

/* Mailboxes drop the second mail with an id that they have seen; a repeat of one page is to have the same. */
static void each_page_has_an_id_and_a_time_of_its_own(void **state) {
    struct world *world = *state;
    char first[160], second_one[160], repeat[160], date[160];
    struct node *node = &world->nodes[3];
    node->settings.smtp.url = "smtp://mail.example.org";
    node->settings.smtp.from = "pager@example.org";
    fixture_guardian(world->fixture, "Gus", TOCSIN__CHANNEL__CHANNEL_EMAIL, "gus@example.org");
    leave_alone(world);
    run_answered(world, 110, &not_sent);
    assert_int_equal(2, world->sent_count);
    header_of(world, 0, "Message-ID: ", first);
    header_of(world, 1, "Message-ID: ", repeat);
    header_of(world, 0, "Date: ", date);
    assert_string_equal(first, repeat);
    assert_null(strstr(date, "1970"));
    /* By hand, too. */
    Tocsin__Notification page = TOCSIN__NOTIFICATION__INIT;
    page.channel = TOCSIN__CHANNEL__CHANNEL_EMAIL;
    page.address = (char *)(uintptr_t)"gus@example.org";
    page.by_hand = true;
    for (unsigned i = 0; i < 2; i++) last_gasp_page(node->gasp, &page, when_paged, NULL);
    header_of(world, 2, "Message-ID: ", second_one);
    header_of(world, 3, "Message-ID: ", repeat);
    header_of(world, 2, "Date: ", date);
    assert_string_not_equal(first, second_one);
    assert_string_not_equal(second_one, repeat);
    assert_null(strstr(date, "1970"));
    answer_all(world, &not_sent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(refused_triggers_are_told_once_and_capped),
        STORY(what_pages_nobody_takes_no_place),
        STORY(a_trigger_without_a_key_of_its_own_is_known_by_its_words),
        STORY(what_rules_decided_of_a_refused_trigger_counts),
        STORY(in_maintenance_a_refused_trigger_pages_nobody),
        STORY(a_refused_trigger_of_an_open_alert_is_no_news),
        STORY(who_comes_to_speak_tells_of_the_triggers_that_it_heard_of),
        STORY(before_the_bound_a_refused_trigger_is_its_senders),
        STORY(what_was_not_taken_is_tried_again_what_may_have_been_is_not),
        STORY(what_nobody_took_is_tried_until_the_way_out_is_back),
        STORY(what_nobody_took_is_no_page_for_a_peer_or_after_a_restart),
        STORY(after_a_restart_what_nobody_took_is_tried_again),
        STORY(a_page_under_way_is_not_sent_again_by_the_next_level),
        STORY(an_answer_ends_the_attempts),
        STORY(a_provider_says_when_and_is_not_asked_for_ever),
        STORY(one_that_reaches_no_provider_lets_another_speak),
        STORY(by_each_channel_speaks_one_that_can_send_by_it),
        STORY(no_secret_is_recorded),
        STORY(each_page_has_an_id_and_a_time_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
