"""A node that fell behind, or lost its state, becomes whole again: from its own log, or by a snapshot from a peer."""

import os
import re
import unittest

from cluster import Unavailable, wait_for
from company import Company
from test_full_disk import Storm

DETAILS_SIZE_BYTES = 16 << 10  # of an event: entries this large are pruned after some sixty, and soon make several chunks of a snapshot
CHUNK_SIZE_BYTES = 256 << 10


class CatchUp(unittest.TestCase):
    def setUp(self):
        self.company = Company()
        self.addCleanup(self.company.close)
        self.sent = 0

    # ---- given

    def keep_little_log(self):
        """Each node starts again with a log that is pruned early."""
        company = self.company
        for number in company.numbers():
            with open(company.node(number)["config"], encoding="utf-8") as file:
                text = file.read()
            company.kill_and_wait(number, "TERM")
            with open(company.node(number)["config"], "w", encoding="utf-8") as file:
                file.write(text.replace("[node]\n", "[node]\nlog_keep_mib = 1\n"))
            company.start(number)
            company.wait_leader()

    def write_much(self, numbers):
        """One event after the other, each an entry of its own, until the log of each begins later than the leader's last entry now."""
        company = self.company
        leader = company.wait_leader(numbers)
        last_index = company.view(leader)["storage"]["log_last_index"]

        def pruned():
            answer = company.send(leader, "POST", "/v2/enqueue", {
                "routing_key": company.key, "event_action": "trigger", "dedup_key": f"large-{self.sent}",
                "payload": {"summary": "Disk full", "source": "db1", "severity": "critical",
                            "custom_details": {"text": "x" * DETAILS_SIZE_BYTES}}}, token=False)
            self.assertEqual(202, answer.status)
            self.sent += 1
            # Each node prunes by the sizes that it saw itself: one may need a few entries more than another.
            return all(company.view(number)["storage"]["log_first_index"] > last_index + 1 for number in numbers)

        wait_for(pruned, "each log is pruned")

    def stop(self, number):
        self.company.kill_and_wait(number)

    def damage_state(self, number, way):
        path = os.path.join(self.company.node(number)["data_dir"], "state.mdb")
        if way == "deleted":
            os.unlink(path)
        elif way == "cut off":
            os.truncate(path, 4096)
        else:
            with open(path, "r+b") as file:
                size_bytes = os.fstat(file.fileno()).st_size
                file.seek(0 if way == "garbage" else 8192)
                file.write(b"\xa5" * (size_bytes - file.tell()))

    # ---- then

    def snapshots_installed(self, number):
        with open(os.path.join(self.company.directory, f"node-{number}.log"), encoding="utf-8") as file:
            return len(re.findall("installing a snapshot", file.read()))

    def wait_whole(self, number, others):
        company = self.company

        def whole():
            view = company.view(number)
            return view and not view["recovering"] and company.send(number, "GET", "/readyz", token=False).status == 200

        wait_for(whole, f"node {number} is whole")
        self.assertEqual(company.everything(others[0]), company.everything(number))

    def test_a_node_behind_a_pruned_log_gets_a_snapshot(self):
        """... while events come in, and it serves and pages afterwards like any other."""
        company = self.company
        self.keep_little_log()
        behind = company.others(company.wait_leader())[0]
        others = company.others(behind)
        self.stop(behind)
        self.write_much(others)
        with Storm(company, "meanwhile", others) as storm:
            wait_for(lambda: storm.acknowledged or storm.errors, "an acknowledged event")
            company.start(behind)
            wait_for(lambda: self.snapshots_installed(behind) or storm.errors, f"a snapshot for node {behind}")
            seen = len(storm.acknowledged)
            wait_for(lambda: len(storm.acknowledged) > seen + 20 or storm.errors, "events while it catches up")
        self.assertEqual({202}, storm.statuses)
        self.wait_whole(behind, others)
        self.assertGreater(os.path.getsize(os.path.join(company.node(behind)["data_dir"], "state.mdb")), 4 * CHUNK_SIZE_BYTES)
        self.assertEqual(set(), {key for _, key in storm.acknowledged} - company.incident_keys(behind))
        # It counts in a majority again: with it, one other is enough.
        self.stop(others[0])
        left = [behind, others[1]]
        self.assertIn(company.wait_leader(left), left)
        company.event(left, company.key, "with the new one")
        company.wait_paged(left, "with the new one")

    def test_a_lost_state_is_rebuilt_from_the_log(self):
        company = self.company
        company.trigger_many(company.numbers(), "before", 20)
        for way in ("deleted", "garbage", "cut off", "garbage inside"):
            with self.subTest(way=way):
                hurt = company.others(company.wait_leader())[0]
                self.stop(hurt)
                self.damage_state(hurt, way)
                company.trigger_many(company.others(hurt), f"while {way}", 5)
                company.start(hurt)
                self.wait_whole(hurt, company.others(hurt))
                self.assertEqual(0, self.snapshots_installed(hurt))

    def test_a_lost_state_beyond_the_log_comes_from_a_peer(self):
        company = self.company
        self.keep_little_log()
        for way in ("deleted", "garbage"):
            with self.subTest(way=way):
                leader = company.wait_leader()
                hurt = company.others(leader)[0]
                others = company.others(hurt)
                self.write_much(company.numbers())
                before = self.snapshots_installed(hurt)
                self.stop(hurt)
                self.damage_state(hurt, way)
                company.start(hurt)
                self.wait_whole(hurt, others)
                self.assertEqual(before + 1, self.snapshots_installed(hurt))
                self.assertEqual(202, company.trigger(hurt, f"again after {way}").status)

    def test_the_leader_may_be_the_one(self):
        """Everybody is down, the one with the longest log has lost its state: nothing acknowledged is lost."""
        company = self.company
        leader = company.wait_leader()
        keys = company.trigger_many([leader], "acknowledged", 20)
        for number in company.numbers():
            self.stop(number)
        self.damage_state(leader, "deleted")
        for number in company.numbers():
            company.start(number)
        company.wait_leader()
        for number in company.numbers():
            self.wait_whole(number, company.others(number))
            try:
                self.assertEqual(set(), set(keys) - company.incident_keys(number))
            except Unavailable as error:
                self.fail(str(error))


if __name__ == "__main__":
    unittest.main()
