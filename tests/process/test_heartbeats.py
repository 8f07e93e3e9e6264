"""A job pings, falls silent, and the person on call is paged; our own outage is not theirs (P6)."""

import http.client
import itertools
import threading
import time
import unittest
import urllib.parse

from cluster import wait_for
from company import Company

MINUTE_SECONDS = 3
PERIOD = GRACE = 60  # seconds of a check, of which the development cluster makes MINUTE_SECONDS


class Job:
    """Pings often enough, any node that takes it, until it is told to die."""

    def __init__(self, heartbeats, check):
        self.heartbeats, self.check, self.dying = heartbeats, check, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        for number in itertools.cycle(self.heartbeats.company.numbers()):
            if self.dying.wait(MINUTE_SECONDS / 10):
                return
            self.heartbeats.ping(number, self.check)

    def die(self):
        self.dying.set()
        self.thread.join()


class Heartbeats(unittest.TestCase):
    def setUp(self):
        self.company = Company(minute_ms=MINUTE_SECONDS * 1000)
        self.addCleanup(self.company.close)

    def check(self, name, grace=GRACE):
        return self.company.call(1, "POST", "/api/v3/checks/", {
            "name": name, "slug": name, "timeout": PERIOD, "grace": grace, "service": self.company.payments["id"]})

    def ping(self, number, check, tail="", method="GET"):
        """The answer's status and text; None when nobody took it."""
        url = urllib.parse.urlsplit(self.company.node(number)["url"])
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        try:
            connection.request(method, f"/ping/{check['uuid']}{tail}")
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def state(self, check):
        return self.company.insist(self.company.numbers(), "GET", f"/api/v3/checks/{check['uuid']}")

    def pages(self, text):
        return [delivery for delivery in self.company.deliveries() if text in delivery["text"]]

    def test_silence_pages_and_a_ping_ends_it(self):
        company, backup = self.company, self.check("backup")
        self.assertEqual("new", backup["status"])
        for number, method in itertools.product(company.numbers(), ("GET", "POST", "HEAD", "PUT")):
            self.assertEqual((200, "" if method == "HEAD" else "OK"), self.ping(number, backup, method=method))
        silent_since = time.monotonic()
        wait_for(lambda: self.pages("backup is silent"), "the page for its silence")
        self.assertGreater(time.monotonic() - silent_since, 1.9 * MINUTE_SECONDS)
        self.assertEqual("down", self.state(backup)["status"])
        for number in company.numbers():
            self.assertEqual((200, "OK"), self.ping(number, backup))
        incidents = company.listed(1, "/incidents?date_range=all", "incidents")
        self.assertEqual(["resolved"], [incident["status"] for incident in incidents])
        self.assertEqual("up", self.state(backup)["status"])
        flips = company.call(1, "GET", f"/api/v3/checks/{backup['uuid']}/flips/")["flips"]
        self.assertEqual([1, 0, 1], [flip["up"] for flip in flips])

    def test_a_failure_pages_at_once(self):
        backup = self.check("backup")
        self.assertEqual((200, "OK"), self.ping(2, backup, "/3"))
        wait_for(lambda: self.pages("backup reports a failure (exit status 3)"), "the page for its failure")

    def test_the_leader_is_lost_again_and_again(self):
        company, alive, dead = self.company, self.check("alive"), self.check("dead")
        job = Job(self, alive)
        self.ping(1, dead)
        for _ in range(3):
            leader = company.wait_leader()
            company.kill_and_wait(leader)
            company.wait_leader(company.others(leader))
            company.start(leader)
        wait_for(lambda: self.pages("dead is silent"), "the page for the dead one")
        self.assertEqual([], self.pages("alive is silent"))
        job.die()
        wait_for(lambda: self.pages("alive is silent"), "the page once it has died")

    def test_a_job_that_knows_only_a_node_that_is_away(self):
        company, backup = self.company, self.check("backup", 2 * GRACE)
        only = company.others(company.wait_leader())[0]
        self.assertEqual((200, "OK"), self.ping(only, backup))
        silent_since = time.monotonic()
        company.kill_and_wait(only)
        time.sleep(3.5 * MINUTE_SECONDS - (time.monotonic() - silent_since))  # period and grace are 3 minutes, with the credit 5
        self.assertEqual("grace", self.state(backup)["status"])
        company.start(only)
        wait_for(lambda: self.ping(only, backup) == (200, "OK"), "the ping once its node is back")
        self.assertEqual("up", self.state(backup)["status"])
        self.assertEqual([], self.pages("backup is silent"))

    def test_an_outage_of_the_whole_cluster(self):
        company, alive, dead = self.company, self.check("alive"), self.check("dead")
        job = Job(self, alive)
        self.ping(1, dead)
        wait_for(lambda: self.state(alive)["n_pings"] > 3, "pings")
        for number in company.numbers():
            company.kill(number)
        time.sleep(4 * MINUTE_SECONDS)
        for number in company.numbers():
            company.start(number)
        company.wait_leader()
        seeing_since = time.monotonic()
        wait_for(lambda: self.pages("dead is silent"), "the page for the dead one")
        self.assertLess(time.monotonic() - seeing_since, 2 * MINUTE_SECONDS + 5)
        time.sleep(2 * MINUTE_SECONDS)
        self.assertEqual([], self.pages("alive is silent"))
        self.assertEqual("up", self.state(alive)["status"])
        incidents = company.listed(1, "/incidents?date_range=all", "incidents")
        blind = [incident for incident in incidents if "was blind for" in incident["title"]]
        self.assertEqual(1, len(blind), blind)
        wait_for(lambda: self.pages("was blind for"), "the guardians' page")
        job.die()


if __name__ == "__main__":
    unittest.main()
