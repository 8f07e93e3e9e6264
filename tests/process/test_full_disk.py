"""
A node whose disk is full says so and acknowledges nothing more; the others go on and nothing that was acknowledged is lost.

The disk is filled by a limit on the size of the files of the running process: its writes fail then (EFBIG) as they do on a full disk.
"""

import resource
import threading
import unittest

from cluster import Unavailable, wait_for
from company import Company

WRITERS = 3
# Between two events of a writer. As fast as they can, a quick machine would write more meanwhile than a list of the API tells (10,000).
PAUSE_S = 0.05


class Storm:
    """Triggers events on nodes until it is stopped; notes what was acknowledged by whom."""

    def __init__(self, company, name, numbers):
        self.company, self.name, self.numbers = company, name, numbers
        self.acknowledged, self.statuses, self.errors = [], set(), []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(i,)) for i in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        turn = 0
        try:
            while not self.stopping.wait(PAUSE_S):
                key, number = f"{self.name}-{writer}-{turn}", self.numbers[(writer + turn) % len(self.numbers)]
                turn += 1
                try:
                    answer = self.company.trigger(number, key)
                except Unavailable:
                    continue
                self.statuses.add(answer.status)
                if answer.status == 202:
                    self.acknowledged.append((number, key))
        except Exception as error:  # pylint: disable=broad-except  # told by the main thread
            self.errors.append(error)

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.end()


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.company = Company()
        self.addCleanup(self.company.close)

    def fill(self, number):
        # Below what is there already: what the files hold can be read, nothing can be written.
        resource.prlimit(self.company.pid(number), resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def sick(self, number):
        answer = self.company.send(number, "GET", "/healthz", token=False)
        return answer if answer.status == 503 else None

    def test_a_followers_disk(self):
        leader = self.company.wait_leader()
        self.full_disk(self.company.others(leader)[0])
        self.assertEqual(leader, self.company.leader(), "a follower's disk is no reason for an election")

    def test_the_leaders_disk(self):
        leader = self.company.wait_leader()
        self.full_disk(leader)
        self.assertNotEqual(leader, self.company.wait_leader(self.company.others(leader)))

    def full_disk(self, number):
        """Given events that come in on every node, when one node's disk is full."""
        company, others = self.company, self.company.others(number)
        with Storm(company, "storm", company.numbers()) as storm:
            wait_for(lambda: len(storm.acknowledged) > 50 or storm.errors, "fifty acknowledged events")
            self.fill(number)
            answer = wait_for(lambda: self.sick(number), f"the failure of node {number}")
            # Then it says why, and takes nothing;
            self.assertEqual("failed", answer.body["status"])
            self.assertIn("File too large", answer.body["reason"])
            self.assertEqual(503, company.send(number, "GET", "/readyz", token=False).status)
            self.assertEqual("failed", company.send(number, "GET", "/cluster", token=False).body["role"])
            refused = [company.trigger(number, f"refused-{i}") for i in range(10)]
            self.assertEqual([503] * 10, [answer.status for answer in refused])
            self.assertEqual("unavailable", refused[0].body["status"])
            # the others elect a leader if need be, and go on.
            leader = company.wait_leader(others)
            self.assertIn(leader, others)
            seen = len(storm.acknowledged)
            wait_for(lambda: len(storm.acknowledged) > seen + 50 or storm.errors, "fifty more acknowledged events")
        self.assertLessEqual(storm.statuses, {202, 503})
        after = company.trigger_many(others, "after", 5)
        expected = {key for _, key in storm.acknowledged} | set(after)
        for other in others:
            self.assertEqual(set(), expected - company.incident_keys(other), "acknowledged and lost")
        self.assertEqual(set(), {f"refused-{i}" for i in range(10)} & company.incident_keys(others[0]))
        for key in after:
            company.wait_paged(others, key)
        # When there is space again and it is started anew, it has all that the others have.
        company.kill_and_wait(number, "TERM")
        company.start(number)
        wait_for(lambda: company.answers(number) == 200 and self.caught_up(number, others[0]), f"node {number} has caught up")
        self.assertEqual(set(), expected - company.incident_keys(number))
        self.assertEqual(202, company.trigger(number, "healed").status)

    def caught_up(self, number, other):
        try:
            return self.company.everything(number) == self.company.everything(other)
        except Unavailable:
            return False


if __name__ == "__main__":
    unittest.main()
