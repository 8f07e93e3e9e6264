"""Nodes come and go while the cluster runs: learner first, never below three, never one that lost its disk under its old number."""

import os
import shutil
import subprocess
import unittest

from cluster import BUILD, Unavailable, wait_for
from company import Company
from test_full_disk import Storm


class Membership(unittest.TestCase):
    def cluster(self, **options):
        self.company = Company(**options)
        self.addCleanup(self.company.close)
        return self.company

    # ---- asking

    def states(self, number):
        """The state of each member by its number, as one node tells it; None when that cannot know."""
        try:
            answer = self.company.send(number, "GET", "/cluster/members", timeout=5)
        except Unavailable:
            return None
        if answer.status != 200 or answer.headers.get("Tocsin-Stale"):
            return None
        return {member["id"]: member["state"] for member in answer.body["members"]}

    def command_line(self, *words):
        """How the client ended, and the first line that it wrote."""
        environment = dict(os.environ, TOCSIN_URL=self.company.node(1)["url"], TOCSIN_TOKEN=self.company.description["token"])
        done = subprocess.run([os.path.join(BUILD, "tocsin"), *words], env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, (done.stdout + done.stderr).splitlines()[0]

    def wait_states(self, number, expected):
        wait_for(lambda: self.states(number) == expected, f"{expected} on node {number}, not {self.states(number)}")

    def ask_to_remove(self, through, number):
        answer = self.company.send(through, "DELETE", f"/cluster/members/{number}")
        self.assertEqual(202, answer.status, answer)
        self.assertIn({"id": number, "address": self.address(number), "state": "leaving"}, answer.body["members"])

    def address(self, number):
        return f"127.0.0.1:{self.company.node(number)['peer_port']}"

    def wait_gone(self, through, number):
        wait_for(lambda: (states := self.states(through)) is not None and number not in states, f"the removal of node {number}")

    def wait_told_removed(self, number):
        """It stopped, and says why."""
        view = wait_for(lambda: (view := self.company.view(number)) and view["role"] == "removed" and view, f"node {number} knows that it was removed")
        self.assertIn("was removed from the cluster", view["failure"])
        self.assertIsNone(view["leader"])
        self.assertEqual(503, self.company.send(number, "GET", "/healthz", token=False).status)
        with open(os.path.join(self.company.directory, f"node-{number}.log"), encoding="utf-8") as file:
            self.assertIn("was removed from the cluster", file.read())
        # It remembers.
        self.company.kill_and_wait(number)
        again = subprocess.run([os.path.join(BUILD, "tocsind"), "--config", self.company.node(number)["config"]], capture_output=True, text=True,
                               timeout=60, check=False)
        self.assertNotEqual(0, again.returncode)
        self.assertIn(f"node {number} was removed from its cluster", again.stderr)

    # ---- then

    def assert_equal_everywhere(self, numbers):
        """... once what is still being told to people has been written down."""
        for number in numbers:
            wait_for(lambda number=number: self.company.send(number, "GET", "/readyz", token=False).status == 200, f"node {number} is ready")

        def equal():
            first, *others = [self.company.everything(number) for number in numbers]
            return all(other == first for other in others)

        wait_for(equal, "every node tells the same")

    def assert_pages(self, numbers, key):
        self.company.wait_leader(numbers)
        self.company.event(numbers, self.company.key, key)
        self.company.wait_paged(numbers, key)

    # ---- stories

    def test_three_grow_to_five_while_events_come_in(self):
        company = self.cluster()
        first = company.numbers()
        with Storm(company, "meanwhile", first) as storm:
            wait_for(lambda: storm.acknowledged or storm.errors, "an acknowledged event")
            new = [company.add(), company.add()]
            seen = len(storm.acknowledged)
            wait_for(lambda: len(storm.acknowledged) > seen + 20 or storm.errors, "events afterwards")
        self.assertEqual({202}, storm.statuses)
        self.assertEqual([4, 5], new)
        for number in company.numbers():
            self.wait_states(number, {number: "voter" for number in company.numbers()})
        self.assert_equal_everywhere(company.numbers())
        self.assertEqual(set(), {key for _, key in storm.acknowledged} - company.incident_keys(new[1]))
        # The new ones count: with one of the old, they are three of five.
        for number in first[:2]:
            company.kill_and_wait(number)
        self.assert_pages([first[2]] + new, "with the new ones")

    def test_a_node_that_lost_its_disk_is_replaced(self):
        company = self.cluster()
        company.trigger_many(company.numbers(), "before", 10)
        lost = company.others(company.wait_leader())[0]
        left = company.others(lost)
        company.kill_and_wait(lost)
        shutil.rmtree(company.node(lost)["data_dir"])
        new = company.add()
        self.ask_to_remove(left[0], lost)
        self.wait_gone(left[0], lost)
        self.wait_states(new, {number: "voter" for number in left + [new]})
        self.assert_equal_everywhere(left + [new])
        # And now another dies: the new one and the other go on.
        company.kill_and_wait(left[0])
        self.assert_pages([left[1], new], "after two disks")

    def test_a_lost_disk_does_not_come_back_under_its_old_number(self):
        company = self.cluster()
        company.trigger_many(company.numbers(), "before", 10)
        lost = company.others(company.wait_leader())[0]
        company.kill_and_wait(lost)
        shutil.rmtree(company.node(lost)["data_dir"])
        company.verb("start", "--node", str(lost), "--join")
        view = wait_for(lambda: (view := company.view(lost)) and view["role"] == "failed" and view, "the refusal of the old number")
        self.assertIn("must come back under a new id", view["failure"])
        # Nor when only what it wrote is gone, and the directory says whose it is.
        company.kill_and_wait(lost)
        for name in os.listdir(company.node(lost)["data_dir"]):
            if name not in ("node", "boot"):
                path = os.path.join(company.node(lost)["data_dir"], name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        refused = subprocess.run([os.path.join(BUILD, "tocsind"), "--config", company.node(lost)["config"]], capture_output=True, text=True,
                                 timeout=60, check=False)
        self.assertNotEqual(0, refused.returncode)
        self.assertIn("must return under a new id", refused.stderr)

    def test_the_leader_itself_may_go(self):
        company = self.cluster()
        company.add()
        leader = company.wait_leader()
        others = company.others(leader)
        with Storm(company, "meanwhile", others) as storm:
            self.ask_to_remove(leader, leader)
            self.wait_gone(others[0], leader)
        self.assertEqual(set(), storm.statuses - {202, 503})  # 503: while leadership was handed over
        self.wait_told_removed(leader)
        self.assertIn(company.wait_leader(others), others)
        self.wait_states(others[0], {number: "voter" for number in others})
        self.assertEqual(set(), {key for _, key in storm.acknowledged} - company.incident_keys(others[0]))
        self.assert_pages(others, "without the old leader")

    def test_a_removed_node_that_was_away_is_told_when_it_calls(self):
        company = self.cluster()
        away = company.others(company.wait_leader())[0]
        left = company.others(away)
        company.kill_and_wait(away)
        company.add()
        self.ask_to_remove(left[0], away)
        self.wait_gone(left[0], away)
        company.start(away)
        self.wait_told_removed(away)
        self.assert_pages(left, "undisturbed")

    def test_a_node_that_was_away_finds_members_that_it_never_heard_of(self):
        """All others were replaced meanwhile: nobody of those whom it knows is there."""
        company = self.cluster()
        away = company.others(company.wait_leader())[0]
        old = company.others(away)
        company.kill_and_wait(away)
        new = [company.add(), company.add()]
        for number in old:
            company.remove(number)
        company.trigger_many(new, "meanwhile", 10)
        company.start(away)
        self.assert_equal_everywhere(new + [away])
        company.kill_and_wait(new[0])
        self.assert_pages([new[1], away], "among strangers")

    def test_one_grows_to_three(self):
        """Its second node does not vote before there is a third: two voters survive no loss."""
        company = self.cluster(nodes=1)
        company.trigger_many([1], "alone", 5)
        self.assertEqual(2, company.add())
        self.wait_states(1, {1: "voter", 2: "learner"})
        company.remove(2)
        self.wait_states(1, {1: "voter"})
        second = company.add()
        company.kill_and_wait(second)
        self.assertEqual(202, company.trigger(1, "the learner is gone").status)
        company.start(second)
        third = company.add()
        wait_for(lambda: set((self.states(1) or {"": ""}).values()) == {"voter"}, "three votes")
        company.kill_and_wait(1)
        self.assert_pages([second, third], "without the first")

    def test_what_is_refused_and_why(self):
        company = self.cluster()
        company.add()
        company.remove(2)
        for method, path, body, status, sentence in (
                ("DELETE", "/cluster/members/3", None, 409, "Fewer than 3 members"),
                ("DELETE", "/cluster/members/9", None, 404, "There is no member 9"),
                ("DELETE", "/cluster/members/2", None, 404, "There is no member 2"),
                ("DELETE", "/cluster/members/x", None, 404, "Not Found"),
                ("DELETE", "/cluster/members/99999999999999999999", None, 404, "Not Found"),
                ("POST", "/cluster/members", {"id": 2, "address": "127.0.0.1:7999"}, 409, "ids are not given again"),
                ("POST", "/cluster/members", {"id": 3, "address": "127.0.0.1:7999"}, 409, "is a member already, with another address"),
                ("POST", "/cluster/members", {"id": 5, "address": self.address(3)}, 409, "Node 3 has this address"),
                ("POST", "/cluster/members", {"id": 5, "address": "127.0.0.1"}, 400, "The address must be host:port"),
                ("POST", "/cluster/members", {"id": 5, "address": "localhost:0"}, 400, "The address must be host:port"),
                ("POST", "/cluster/members", {"id": 5, "address": "10.0.0.5:7000"}, 400, "outside loopback"),
                ("POST", "/cluster/members", {"id": 5}, 400, "'address' is missing"),
                ("POST", "/cluster/members", {"address": "127.0.0.1:7999"}, 400, "'id' is missing"),
                ("POST", "/cluster/members", {"id": 0, "address": "127.0.0.1:7999"}, 400, "id"),
                ("POST", "/cluster/members", {"id": "5", "address": "127.0.0.1:7999"}, 400, "id")):
            with self.subTest(method=method, path=path, body=body):
                for number in company.numbers():
                    answer = company.send(number, method, path, body)
                    self.assertEqual(status, answer.status, answer)
                    self.assertIn(sentence, " ".join(answer.body["error"]["errors"]))
        self.assertEqual(401, company.send(1, "GET", "/cluster/members", token=False).status)
        self.assertEqual((0, f"node 1  {self.address(1):21s}  voter"), self.command_line("members"))
        self.assertEqual((1, "tocsin: Invalid Input Provided (HTTP 409)"), self.command_line("member-remove", "3"))
        self.assertEqual((1, "tocsin: Invalid Input Provided (HTTP 409)"), self.command_line("member-add", "2", "127.0.0.1:7999"))
        self.assertEqual((2, 'tocsin: "two" is not the number of a node'), self.command_line("member-remove", "two"))
        self.wait_states(1, {1: "voter", 3: "voter", 4: "voter"})


if __name__ == "__main__":
    unittest.main()
