"""Providers that misbehave: the person is reached another way, or the next person is, and the timeline says why."""

import time
import unittest

from cluster import Cluster, wait_for
from page import Page, Person, REPEATED

SECOND = {"sms": "email", "voice": "email", "push": "email", "email": "sms", "webhook": "email"}
ATTEMPTS = 4  # NOTIFICATION_FAILURES_MAX
ATTEMPT_DEADLINE_SECONDS = 10
# Back-off: 1, 3 and 9 s, each between half of it and one and a half.
BACK_OFF_SECONDS_MIN, BACK_OFF_SECONDS_MAX = 0.5 * (1 + 3 + 9), 1.5 * (1 + 3 + 9)
# "At once", on a machine that does other things as well.
AT_ONCE_SECONDS = 4
# From the event to the acknowledgement of it: far from the hanging attempt's end.
SOON_SECONDS = 1.0

# Name: channel, mode, how many requests it holds for. All run at the same time; each test looks at its own.
STORIES = {f"{mode} {channel}": (channel, mode, None) for mode in ("never", "misconfigured") for channel in SECOND}
STORIES |= {f"fail {channel}": (channel, "fail", None) for channel in ("sms", "voice", "push", "webhook")}
STORIES |= {f"fail once {channel}": (channel, "fail", 1) for channel in ("sms", "voice", "push", "webhook")}
STORIES |= {f"throttle {channel}": (channel, "throttle", 3) for channel in ("sms", "voice", "push", "webhook")}
STORIES |= {f"drop once {channel}": (channel, "drop", 1) for channel in SECOND}
STORIES |= {f"hang once {channel}": (channel, "hang", 1) for channel in SECOND}
STORIES |= {"drop sms": ("sms", "drop", None), "fail once email": ("email", "fail", 1), "throttle once email": ("email", "throttle", 1)}


class Misbehaving(unittest.TestCase):
    """Levels are minutes long here: whatever happens within seconds is not the policy's time."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(nodes=1)
        cls.addClassCleanup(cls.cluster.close)
        cls.people = {name: Person(cls.cluster, name, (channel, SECOND[channel])) for name, (channel, _, _) in STORIES.items()}
        cls.pages = {name: Page(cls.cluster, name, [(30, [person])]) for name, person in cls.people.items()}
        for name, (channel, mode, count) in STORIES.items():
            control = {"channel": channel, "to": cls.address(channel, name), "mode": mode}
            cls.cluster.misbehave(**control, **({"count": count} if count else {}))
        for page in cls.pages.values():
            page.trigger()

    @classmethod
    def address(cls, channel, name):
        return cls.people[name].address[channel]

    def stories(self, mode):
        for name, (channel, of_mode, count) in STORIES.items():
            if (of_mode + (" once" if count == 1 else "")) == mode:
                with self.subTest(story=name):
                    yield self.pages[name], self.people[name], channel

    def expect_second(self, page, person, channel):
        """The person's other channel brought it, exactly once, and the timeline says that the first one failed."""
        received = page.wait_received(1, person, channel=SECOND[channel])
        self.assertEqual(1, len(received), page.story())
        self.assertNotIn(REPEATED, received[0]["text"])
        told = page.wait_timeline("notify", why="channel_failed")
        self.assertEqual([SECOND[channel]], [entry["channel"]["notification"]["type"] for entry in told])
        self.assertEqual(["sent"], [entry["channel"]["notification"]["status"] for entry in told])
        self.assertEqual([], page.timeline("escalate"), page.story())
        return received[0]

    def test_an_address_that_is_none_is_left_at_once(self):
        for page, person, channel in self.stories("never"):
            second = self.expect_second(page, person, channel)
            self.assertEqual(["never"], page.outcomes(channel), page.story())
            self.assertLess(page.after_seconds(second), AT_ONCE_SECONDS)
            self.assertEqual([], page.received(person, channel=channel))

    def test_refused_credentials_are_left_at_once_and_named(self):
        for page, person, channel in self.stories("misconfigured"):
            second = self.expect_second(page, person, channel)
            self.assertEqual(["misconfigured"], page.outcomes(channel), page.story())
            self.assertLess(page.after_seconds(second), AT_ONCE_SECONDS)
            self.assertIn("the provider's set-up is wrong", page.timeline("notify")[0]["summary"])

    def test_a_provider_that_fails_is_tried_with_back_off_then_left(self):
        for page, person, channel in self.stories("fail"):
            second = self.expect_second(page, person, channel)
            attempts = page.attempts(channel)
            self.assertEqual(["retry"] * ATTEMPTS, [outcome for outcome, _ in attempts], page.story())
            self.assertGreater(page.after_seconds(second), BACK_OFF_SECONDS_MIN)
            self.assertLess(page.after_seconds(second), BACK_OFF_SECONDS_MAX + AT_ONCE_SECONDS)
            last = attempts[-1][1] + page.began % 1  # attempts count whole seconds
            self.assertLess(page.after_seconds(second) - last, AT_ONCE_SECONDS)
            self.assertEqual([], page.received(person, channel=channel))

    def test_a_provider_that_failed_once_is_used_again(self):
        for page, person, channel in self.stories("fail once"):
            if channel == "email":
                continue
            received = page.wait_received(1, person)
            self.assertEqual([channel], [delivery["channel"] for delivery in received], page.story())
            self.assertNotIn(REPEATED, received[0]["text"])
            self.assertGreater(page.after_seconds(received[0]), 0.5)
            page.wait_timeline("notify", count=2)
            self.assertEqual(["retry", "sent"], page.outcomes(channel), page.story())

    def test_a_mail_server_that_asks_for_time_gets_it(self):
        for page, person, _ in [*self.stories("fail once"), *self.stories("throttle once")]:
            if "email" not in page.name:
                continue
            page.wait_timeline("notify")
            self.assertEqual(["retry"], page.outcomes("email"), page.story())
            self.assertEqual([], page.received(person), "a mail is tried again after a minute")

    def test_a_provider_that_throttles_gets_the_time_it_asks_for(self):
        for page, person, channel in self.stories("throttle"):
            received = page.wait_received(1, person)
            page.wait_timeline("notify", count=4)
            self.assertEqual(["retry", "retry", "retry", "sent"], page.outcomes(channel), page.story())
            self.assertEqual([channel], [delivery["channel"] for delivery in received])
            # Retry-After says 1 s each time; our own back-off would be 6.5 s at least.
            self.assertGreater(page.after_seconds(received[0]), 3.0)
            self.assertLess(page.after_seconds(received[0]), BACK_OFF_SECONDS_MIN)

    def test_an_answer_that_is_lost_leads_to_one_marked_repeat(self):
        for page, person, channel in self.stories("drop once"):
            # SMTP that breaks off may have delivered, too: a minute is for servers that say so.
            received = page.wait_received(2, person)
            page.wait_timeline("notify", count=2)
            self.assertEqual(["unknown", "sent"], page.outcomes(channel), page.story())
            self.assertEqual([channel] * 2, [delivery["channel"] for delivery in received], page.story())
            self.assertEqual([False, True], [REPEATED in delivery["text"] for delivery in received], page.story())

    def test_answers_that_are_always_lost_cost_one_page_an_attempt(self):
        page, person = self.pages["drop sms"], self.people["drop sms"]
        self.expect_second(page, person, "sms")
        received = page.received(person, channel="sms")
        self.assertEqual(["unknown"] * ATTEMPTS, page.outcomes("sms"), page.story())
        self.assertEqual([False] + [True] * (ATTEMPTS - 1), [REPEATED in delivery["text"] for delivery in received], page.story())

    def test_a_provider_that_hangs_is_left_at_the_deadline_and_asked_again(self):
        for page, person, channel in self.stories("hang once"):
            received = page.wait_received(1, person)
            page.wait_timeline("notify", count=2)
            self.assertEqual("sent", page.outcomes(channel)[1], page.story())
            self.assertEqual([channel], [delivery["channel"] for delivery in received], page.story())
            self.assertGreater(page.after_seconds(received[0]), ATTEMPT_DEADLINE_SECONDS - 0.5)
            self.assertLess(page.after_seconds(received[0]), ATTEMPT_DEADLINE_SECONDS + 1.5 + AT_ONCE_SECONDS)
            # Mail hangs before the message was sent: it cannot have arrived. Of the others nobody knows.
            unknown = channel != "email"
            self.assertEqual("unknown" if unknown else "retry", page.outcomes(channel)[0], page.story())
            self.assertEqual(unknown, REPEATED in received[0]["text"], page.story())


class DeadPeople(unittest.TestCase):
    """Nobody answers for a person: the next one has it without waiting for the level's time."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(nodes=1)
        cls.addClassCleanup(cls.cluster.close)

    def dead(self, name, channels=("sms", "push", "voice", "email")):
        person = Person(self.cluster, name, channels)
        for channel in channels:
            self.cluster.misbehave(channel=channel, to=person.address[channel], mode="never")
        return person

    def test_all_channels_dead_passes_on_to_the_next_level_at_once(self):
        alice, bob = self.dead("Alice"), Person(self.cluster, "Bob", ("sms",))
        page = Page(self.cluster, "first level dead", [(30, [alice]), (30, [bob])]).trigger()
        received = page.wait_received(1, bob)
        self.assertLess(page.after_seconds(received[0]), AT_ONCE_SECONDS)
        failed = [entry["channel"]["notification"] for entry in page.timeline("notify") if entry["user"]["id"] == alice.id]
        self.assertEqual(["sms", "push", "phone", "email", None], [entry["type"] for entry in failed], page.story())
        self.assertIn("Alice cannot be told: there is no further contact method.", page.story())
        self.assertEqual(["nobody_on_level"], [entry["why"] for entry in page.timeline("escalate")], page.story())
        self.assertEqual(2, page.now()["escalation_level"])
        self.assertEqual([], page.received(alice))

    def test_one_of_two_dead_keeps_the_level(self):
        alice, bob, carol = self.dead("Alice"), Person(self.cluster, "Bob", ("sms",)), Person(self.cluster, "Carol", ("sms",))
        page = Page(self.cluster, "half dead", [(30, [alice, bob]), (30, [carol])]).trigger()
        page.wait_received(1, bob)
        wait_for(lambda: "Alice cannot be told" in page.story(), "Alice given up")
        self.assertEqual([], page.timeline("escalate"), page.story())
        self.assertEqual([], page.received(carol))

    def test_everybody_dead_tells_the_guardians_at_once(self):
        page = Page(self.cluster, "all dead", [(30, [self.dead("Alice")]), (30, [self.dead("Bob")])], num_loops=3).trigger()
        received = page.wait_received(4)
        self.assertLess(page.after_seconds(received[-1]), AT_ONCE_SECONDS)
        self.assertEqual({"+15550190", "+15550191", "grace@example.com", "gus@example.com"}, {d["to"] for d in received})
        ended = page.wait_timeline("exhaust_escalation_path", why="nobody_on_level")
        self.assertEqual(1, len(ended), page.story())
        self.assertTrue(page.now()["escalation_exhausted"])

    def test_guardians_are_told_although_one_of_them_is_dead(self):
        self.cluster.misbehave(channel="sms", to="+15550191", mode="never")
        self.addCleanup(self.cluster.misbehave, channel="sms", to="+15550191", mode="ok")
        page = Page(self.cluster, "a dead guardian", [(30, [self.dead("Alice", ("sms",))])]).trigger()
        received = page.wait_received(3)
        self.assertEqual({"+15550190", "grace@example.com", "gus@example.com"}, {d["to"] for d in received})

    def test_nothing_is_sent_after_the_acknowledgement_of_a_hanging_attempt(self):
        alice = Person(self.cluster, "Alice", ("sms", "email"))
        self.cluster.misbehave(channel="sms", to=alice.address["sms"], mode="hang", count=1)
        page = Page(self.cluster, "acknowledged while hanging", [(30, [alice])]).trigger()
        time.sleep(SOON_SECONDS)  # the attempt is under way
        page.change(status="acknowledged")
        attempt = page.wait_timeline("notify", seconds=ATTEMPT_DEADLINE_SECONDS + AT_ONCE_SECONDS)
        time.sleep(2)  # a retry would come within 1.5 s
        self.assertEqual(["unknown"], [entry["channel"]["notification"]["status"] for entry in attempt])
        self.assertEqual(1, len(page.timeline("notify")), page.story())
        self.assertEqual([], page.received())
        self.assertEqual("acknowledged", page.now()["status"])

    def test_a_retry_is_not_sent_after_the_acknowledgement(self):
        alice = Person(self.cluster, "Alice", ("sms", "email"))
        self.cluster.misbehave(channel="sms", to=alice.address["sms"], mode="fail", count=2)
        page = Page(self.cluster, "acknowledged between attempts", [(30, [alice])]).trigger()
        page.wait_timeline("notify", count=2)
        page.change(status="acknowledged")
        time.sleep(5)  # the third attempt would come after 4.5 s at most
        self.assertEqual(["retry", "retry"], page.outcomes("sms"), page.story())
        self.assertEqual([], page.received())


    def test_an_address_that_no_provider_could_use_is_left_with_its_reason(self):
        alice = Person(self.cluster, "Alice", ("push", "sms"))
        self.cluster.call(1, "PUT", f"/users/{alice.id}/contact_methods/{alice.method_ids['push']}", {"contact_method": {
            "type": "push_notification_contact_method", "label": "too long", "address": "t" * 65}})
        page = Page(self.cluster, "no address", [(30, [alice])]).trigger()
        page.wait_received(1, alice, channel="sms")
        self.assertEqual(["never"], page.outcomes("push"))
        sentence = page.timeline("notify")[0]["summary"]
        self.assertTrue(sentence.endswith("The address is neither an ntfy topic nor the URL of one."), sentence)


class LeaderKilledDuringRetries(unittest.TestCase):
    def test_the_page_arrives(self):
        with Cluster(nodes=3) as cluster:
            alice = Person(cluster, "Alice", ("sms", "email"))
            page = Page(cluster, "fails, then fails over", [(30, [alice])])
            cluster.misbehave(channel="sms", to=alice.address["sms"], mode="fail", count=2)
            page.trigger()
            page.wait_timeline("notify", count=2)
            cluster.kill(cluster.wait_leader())
            received = page.wait_received(1, alice)
            page.wait_timeline("notify", count=3)
            self.assertEqual(["retry", "retry", "sent"], page.outcomes("sms"), page.story())
            self.assertEqual(["sms"], [delivery["channel"] for delivery in received], page.story())


if __name__ == "__main__":
    unittest.main()
