"""From the first event to the last page: what an incident's life makes people hear, with minutes a fifth of a second long."""

import time
import unittest

from cluster import Cluster, wait_for
from page import Page, Person

MINUTE_MS = 200
MINUTE = MINUTE_MS / 1000
GUARDIANS = {"+15550190", "+15550191", "grace@example.com", "gus@example.com"}
GUARDIANS_REPEAT_MINUTES = 15
# Deadlines are looked at when they are due, never before; clocks of the test and the stand-in are one.
EARLY_SECONDS = 0.05
LATE_SECONDS = 2.0
# Longer than any level here: who is silent that long stays silent.
SILENCE_MINUTES = 12
LEVEL_MINUTES = 5


def seconds(minutes):
    return minutes * 60  # as services say it; a minute of theirs is a short one here


class Life(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(nodes=1, minute_ms=MINUTE_MS)
        cls.addClassCleanup(cls.cluster.close)

    def person(self, name, *channels):
        return Person(self.cluster, name, channels or ("sms",))

    def page(self, levels, num_loops=0, **service):
        return Page(self.cluster, self.id().rpartition(".")[2], levels, num_loops, **service)

    def expect_at(self, page, delivery, minutes):
        self.assertGreater(page.after_seconds(delivery), minutes * MINUTE - EARLY_SECONDS, page.story())
        self.assertLess(page.after_seconds(delivery), minutes * MINUTE + LATE_SECONDS, page.story())

    def expect_silence(self, page, since):
        """Nobody hears anything more, for longer than every deadline of the policy."""
        count = len(since)
        time.sleep(SILENCE_MINUTES * MINUTE)
        self.assertEqual(since, page.received()[:count])
        self.assertEqual([], page.received()[count:], page.story())

    # ---- levels

    def test_everybody_on_a_level_is_told_and_the_next_level_in_its_time(self):
        alice, bob, carol = self.person("Alice"), self.person("Bob"), self.person("Carol")
        page = self.page([(LEVEL_MINUTES, [alice, bob]), (60, [carol])]).trigger()
        for person in (alice, bob):
            self.expect_at(page, page.wait_received(1, person)[0], 0)
        self.expect_at(page, page.wait_received(1, carol)[0], LEVEL_MINUTES)
        self.assertEqual(["level_timeout"], [entry["why"] for entry in page.timeline("escalate")])
        self.assertEqual([carol.id], [given["assignee"]["id"] for given in page.now()["assignments"]])
        self.assertEqual(3, len(page.received()), page.story())

    def test_a_level_of_people_without_contact_method_is_passed_at_once(self):
        mute, bob = Person(self.cluster, "Mute", ()), self.person("Bob")
        page = self.page([(60, [mute]), (60, [bob])]).trigger()
        self.expect_at(page, page.wait_received(1, bob)[0], 0)
        self.assertIn("Mute cannot be told: there is no contact method.", [entry["summary"] for entry in page.timeline("notify")])
        self.assertEqual(["nobody_on_level"], [entry["why"] for entry in page.timeline("escalate")], page.story())

    def test_nobody_with_a_contact_method_ends_at_the_guardians_on_the_policys_last_level(self):
        page = self.page([(60, [Person(self.cluster, "Mute", ())])]).trigger()
        self.assertEqual(GUARDIANS, {delivery["to"] for delivery in page.wait_received(4)})
        self.assertEqual(1, page.now()["escalation_level"])
        self.assertEqual(["nobody_on_level"], [entry["why"] for entry in page.timeline("exhaust_escalation_path")])

    def test_all_passes_then_guardians_again_and_again_until_somebody_acknowledges(self):
        alice, bob = self.person("Alice"), self.person("Bob")
        page = self.page([(2, [alice]), (3, [bob])], num_loops=2).trigger()
        for turn in range(3):
            self.expect_at(page, page.wait_received(turn + 1, alice)[turn], turn * 5)
            self.expect_at(page, page.wait_received(turn + 1, bob)[turn], turn * 5 + 2)
        for turn in range(2):
            told = page.wait_received(6 + 4 * (turn + 1))[6 + 4 * turn:]
            self.assertEqual(GUARDIANS, {delivery["to"] for delivery in told}, page.story())
            for delivery in told:
                self.expect_at(page, delivery, 15 + turn * GUARDIANS_REPEAT_MINUTES)
        page.change(status="acknowledged")
        since = page.received()
        time.sleep((GUARDIANS_REPEAT_MINUTES + 3) * MINUTE)
        self.assertEqual(since, page.received(), page.story())
        self.assertEqual(2, len(page.timeline("repeat_escalation_path")))
        self.assertEqual(["policy_exhausted"], [entry["why"] for entry in page.timeline("exhaust_escalation_path")])

    def test_low_urgency_is_told_once_and_never_escalates(self):
        alice, bob = self.person("Alice", "sms", "email"), self.person("Bob")
        page = self.page([(1, [alice]), (1, [bob])], incident_urgency_rule={"type": "constant", "urgency": "low"}).trigger()
        # Her rule is for high urgency: the default for low is mail.
        self.assertEqual(["email"], [delivery["channel"] for delivery in page.wait_received(1)])
        self.expect_silence(page, page.received())
        self.assertEqual("low", page.now()["urgency"])
        self.assertEqual(["low_urgency"], [entry["why"] for entry in page.timeline("assign")], page.story())

    def test_low_urgency_raised_to_high_escalates(self):
        alice, bob = self.person("Alice", "sms", "email"), self.person("Bob")
        page = self.page([(1, [alice]), (60, [bob])], incident_urgency_rule={"type": "constant", "urgency": "low"}).trigger()
        page.wait_received(1, alice, channel="email")
        page.change(urgency="high")
        page.wait_received(1, alice, channel="sms")
        page.wait_received(1, bob)

    # ---- events

    def test_repeated_triggers_page_nobody_again(self):
        alice = self.person("Alice")
        page = self.page([(60, [alice])]).trigger()
        page.wait_received(1)
        for _ in range(5):
            page.event()
        page.change(status="acknowledged")
        page.event()
        self.expect_silence(page, page.received())
        self.assertEqual(1, len(page.received()))
        self.assertEqual(7, len(page.timeline("trigger")))
        self.assertEqual("acknowledged", page.now()["status"])

    def test_a_resolve_event_stops_everything(self):
        alice, bob = self.person("Alice"), self.person("Bob")
        page = self.page([(LEVEL_MINUTES, [alice]), (LEVEL_MINUTES, [bob])], num_loops=3).trigger()
        page.wait_received(1, alice)
        page.event("resolve")
        self.expect_silence(page, page.received())
        self.assertEqual("resolved", page.now()["status"])
        self.assertEqual(["all_alerts_resolved"], [entry["why"] for entry in page.timeline("resolve")])
        self.assertEqual([], page.received(bob))

    def test_an_acknowledge_event_stops_everything(self):
        alice, bob = self.person("Alice"), self.person("Bob")
        page = self.page([(LEVEL_MINUTES, [alice]), (LEVEL_MINUTES, [bob])], acknowledgement_timeout=None).trigger()
        page.wait_received(1, alice)
        page.event("acknowledge")
        self.expect_silence(page, page.received())
        self.assertEqual("acknowledged", page.now()["status"])

    def test_a_trigger_after_the_resolve_opens_another_incident(self):
        alice = self.person("Alice")
        page = self.page([(60, [alice])]).trigger()
        page.wait_received(1)
        page.event("resolve")
        first = page.incident
        page.trigger()
        second = wait_for(lambda: next((i for i in self.of(page) if i["id"] != first["id"]), None), "the second incident")
        self.assertEqual("triggered", second["status"])
        page.incident = second
        page.wait_received(1, alice)

    def of(self, page):
        return self.cluster.call(1, "GET", f"/incidents?service_ids[]={page.service['id']}&date_range=all")["incidents"]

    # ---- times of the service

    def test_an_acknowledgement_that_times_out_tells_the_same_people_again(self):
        alice, bob = self.person("Alice"), self.person("Bob")
        page = self.page([(LEVEL_MINUTES, [alice]), (60, [bob])], acknowledgement_timeout=seconds(10)).trigger()
        page.wait_received(1, alice)
        acknowledged = time.time()
        page.change(status="acknowledged")
        again = page.wait_received(2, alice)[1]
        self.assertGreater(again["time_ms"] / 1000 - acknowledged, 10 * MINUTE - EARLY_SECONDS)
        self.assertEqual(["acknowledgement_timeout"], [entry["why"] for entry in page.timeline("unacknowledge")])
        later = page.wait_received(1, bob)[0]  # it escalates again
        self.assertGreater(later["time_ms"] - again["time_ms"], (LEVEL_MINUTES * MINUTE - EARLY_SECONDS) * 1000)

    def test_auto_resolve_ends_what_nobody_acknowledged(self):
        alice = self.person("Alice")
        page = self.page([(60, [alice])], auto_resolve_timeout=seconds(10)).trigger()
        page.wait_received(1, alice)
        self.assertEqual([], page.timeline("resolve"))
        page.wait_timeline("resolve", why="auto_resolve")
        self.assertGreater(time.time() - page.began, 10 * MINUTE - EARLY_SECONDS)
        self.assertEqual("resolved", page.now()["status"])
        self.expect_silence(page, page.received())

    # ---- people's requests

    def test_reassigned_by_hand_only_the_new_person_is_told(self):
        alice, bob, carol = self.person("Alice"), self.person("Bob"), self.person("Carol")
        page = self.page([(LEVEL_MINUTES, [alice]), (LEVEL_MINUTES, [bob])]).trigger()
        page.wait_received(1, alice)
        changed = page.change(assignments=[{"assignee": {"id": carol.id, "type": "user_reference"}}])
        self.assertEqual([carol.id], [given["assignee"]["id"] for given in changed["assignments"]])
        page.wait_received(1, carol)
        self.expect_silence(page, page.received())
        self.assertEqual([], page.received(bob))
        # People by hand have as long as four levels; then the guardians hear of it.
        self.assertEqual(GUARDIANS, {delivery["to"] for delivery in page.wait_received(6)[2:]})

    def test_escalated_by_hand_the_level_is_told_and_waits_its_time(self):
        alice, bob, carol = self.person("Alice"), self.person("Bob"), self.person("Carol")
        page = self.page([(60, [alice]), (60, [bob]), (60, [carol])]).trigger()
        page.wait_received(1, alice)
        self.assertEqual(3, page.change(escalation_level=3)["escalation_level"])
        page.wait_received(1, carol)
        status, answer = self.cluster.request(1, "PUT", f"/incidents/{page.incident['id']}",
                                              {"incident": {"type": "incident_reference", "escalation_level": 4}})
        self.assertEqual(400, status, answer)
        self.expect_silence(page, page.received())
        self.assertEqual([], page.received(bob))

    def test_an_acknowledged_incident_is_triggered_by_escalating_it(self):
        alice, bob = self.person("Alice"), self.person("Bob")
        page = self.page([(60, [alice]), (60, [bob])]).trigger()
        page.wait_received(1, alice)
        page.change(status="acknowledged")
        self.assertEqual("triggered", page.change(escalation_level=2)["status"])
        page.wait_received(1, bob)

    def test_many_are_changed_by_one_request(self):
        alice = self.person("Alice")
        pages = [Page(self.cluster, f"one of many {number}", [(60, [alice])]).trigger() for number in range(20)]
        for page in pages:
            page.wait_received(1, alice)
        answer = self.cluster.call(1, "PUT", "/incidents", {"incidents": [
            {"id": page.incident["id"], "type": "incident_reference", "status": "resolved"} for page in pages]})
        self.assertEqual({"resolved"}, {incident["status"] for incident in answer["incidents"]})
        self.assertEqual([page.incident["id"] for page in pages], [incident["id"] for incident in answer["incidents"]])
        time.sleep(SILENCE_MINUTES * MINUTE)
        for page in pages:
            self.assertEqual(1, len(page.received()), page.story())

    def test_notes_are_kept_in_order_and_page_nobody(self):
        alice = self.person("Alice")
        page = self.page([(60, [alice])]).trigger()
        page.wait_received(1, alice)
        texts = ["Looking at it.", "Größer als gedacht: 磁盘 🔥", "x" * 25000]
        for text in texts:
            self.cluster.call(1, "POST", f"/incidents/{page.incident['id']}/notes", {"note": {"content": text}})
        self.assertEqual(texts, [note["content"] for note in page.get("/notes")["notes"]][::-1])
        self.assertEqual(texts, [entry["note"] for entry in page.timeline("annotate")])
        self.expect_silence(page, page.received())


if __name__ == "__main__":
    unittest.main()
