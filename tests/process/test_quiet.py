"""What keeps alerts quiet, on real nodes: a mute with an expression, judged by whoever leads, and its end after the leader is lost."""

import time
import unittest

from company import Company
from cluster import wait_for


class Quiet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.company = Company()
        cls.key = cls.company.key

    @classmethod
    def tearDownClass(cls):
        cls.company.close()

    def alerts(self, numbers):
        """dedup key -> why it opens no incident, of those that fire without one."""
        return {alert["alert_key"]: alert["suppression"]["reason"]
                for alert in self.company.insist(numbers, "GET", "/alerts")["alerts"]}

    def test_a_mute_holds_what_it_fits_and_its_end_survives_the_leader(self):
        company, numbers = self.company, self.company.numbers()
        answer = company.call(1, "POST", "/api/v2/silences", {
            "matchers": [{"name": "dedup_key", "value": "muted-.*", "isRegex": True}], "createdBy": "test", "comment": "known",
            "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 12))})
        self.assertIn("silenceID", answer)
        company.event(numbers, self.key, "muted-1")
        company.event(numbers, self.key, "loud-1")
        wait_for(lambda: company.incident(numbers, "loud-1"), "the incident of what no mute fits", seconds=4)
        wait_for(lambda: self.alerts(numbers) == {"muted-1": "muted"}, "the verdict on what the mute fits", seconds=4)
        leader = company.wait_leader()
        company.kill_and_wait(leader)
        others = company.others(leader)
        company.event(others, self.key, "muted-2")
        company.event(others, self.key, "muted-3")
        company.event(others, self.key, "muted-3", action="resolve")
        for dedup_key in ("muted-1", "muted-2"):
            wait_for(lambda: company.incident(others, dedup_key), f"the incident of {dedup_key}, when the mute is over", seconds=20)
        self.assertIsNone(company.incident(others, "muted-3"))
        wait_for(lambda: self.alerts(others) == {}, "nothing to be held any more")
        company.start(leader)
        wait_for(lambda: company.answers(leader) == 200, "the return of the node")


if __name__ == "__main__":
    unittest.main()
