"""Schedules on real nodes: the right person is paged before and after a hand-off, whoever leads."""

import datetime
import time
import unittest

from company import Company
from cluster import incident_number, wait_for

DAY = 86400


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class OnCall(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.company = Company()
        cls.bob = cls.company.person("Bob", "5550102", kinds=("sms",))

    @classmethod
    def tearDownClass(cls):
        cls.company.close()

    def schedule(self, name, hand_off_at):
        """Alice until then, Bob for a day from then on; on a service of its own: (schedule, routing key)."""
        company = self.company
        layer = {"start": iso(hand_off_at - 2 * DAY), "rotation_virtual_start": iso(hand_off_at - DAY),
                 "rotation_turn_length_seconds": DAY,
                 "users": [{"user": {"id": user["id"], "type": "user_reference"}} for user in (company.alice, self.bob)]}
        schedule = company.call(1, "POST", "/schedules", {"schedule": {
            "name": name, "time_zone": "America/St_Johns", "schedule_layers": [layer]}})["schedule"]
        policy = company.call(1, "POST", "/escalation_policies", {"escalation_policy": {"name": name, "escalation_rules": [
            {"escalation_delay_in_minutes": 30, "targets": [{"id": schedule["id"], "type": "schedule_reference"}]}]}})
        return schedule, company.service(name, policy["escalation_policy"])[1]

    def on_call(self, schedule, numbers, at=None):
        path = f"/schedules/{schedule['id']}/on_call" + (f"?at={iso(at)}" if at else "")
        return self.company.insist(numbers, "GET", path)["on_call"]["user"]["summary"]

    def paged(self, numbers, key, dedup_key):
        """Triggers; the number that was told."""
        company = self.company
        company.event(numbers, key, dedup_key)
        number = wait_for(lambda: company.incident(numbers, dedup_key), f"the incident of {dedup_key}")["incident_number"]
        return wait_for(lambda: [delivery["to"] for delivery in company.deliveries() if incident_number(delivery["text"]) == number],
                        f"the page of {dedup_key}")[0]

    def test_a_hand_off_and_the_loss_of_the_leader(self):
        company, numbers = self.company, self.company.numbers()
        hand_off_at = int(time.time()) + 12
        schedule, key = self.schedule("Primary", hand_off_at)
        self.assertIn("5550101", self.paged(numbers, key, "before"))
        self.assertLess(time.time(), hand_off_at, "too slow to see what comes before the hand-off")
        leader = company.wait_leader()
        company.kill_and_wait(leader)
        others = company.others(leader)
        self.assertEqual(["Alice", "Bob", "Alice"],
                         [self.on_call(schedule, others, at) for at in (hand_off_at - 1, hand_off_at, hand_off_at + DAY)])
        wait_for(lambda: time.time() >= hand_off_at + 0.5, "the hand-off")
        wait_for(lambda: self.on_call(schedule, others) == "Bob", "the hand-off on the cluster's clock", seconds=5)
        self.assertIn("5550102", self.paged(others, key, "after"))
        # An override takes over at once, and says so.
        answer = company.send(others[0], "POST", f"/schedules/{schedule['id']}/overrides", {"overrides": [
            {"start": iso(time.time() - 5), "end": iso(time.time() + 600), "user": {"id": company.alice["id"], "type": "user_reference"}}]})
        self.assertEqual(201, answer.status)
        self.assertIn(company.alice["id"], answer.headers["Warning"])
        self.assertIn("5550101", self.paged(others, key, "covered"))
        company.start(leader)
        wait_for(lambda: company.answers(leader) == 200, "the return of the node")
        wait_for(lambda: self.on_call(schedule, [leader]) == "Alice", "the override on the node that returned")


if __name__ == "__main__":
    unittest.main()
