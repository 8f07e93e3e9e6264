"""Whoever has a shell on one machine is told what is wrong and what to do, whatever else is gone: leader, name server, disk, state, or the node itself."""

import os
import resource
import subprocess
import time
import unittest

from cluster import BUILD, wait_for
from company import Company

AFTER_MS = 2500
PROMPT_S = 5


class Doctor(unittest.TestCase):
    def setUp(self):
        self.company = Company(minute_ms=60000, last_gasp_after_ms=AFTER_MS)
        self.addCleanup(self.company.close)

    def tocsin(self, number, *arguments):
        control = os.path.join(self.company.node(number)["data_dir"], "control")
        began = time.monotonic()
        told = subprocess.run([os.path.join(BUILD, "tocsin"), *arguments], env={"TOCSIN_SOCKET": control}, capture_output=True, text=True, timeout=60,
                              check=False)
        self.seconds = time.monotonic() - began
        return told

    def damage(self, number, name):
        with open(os.path.join(self.company.node(number)["data_dir"], name), "r+b") as file:
            file.write(os.urandom(8 * 4096))

    def configure(self, number, change):
        with open(self.company.node(number)["config"], "r+", encoding="utf-8") as file:
            whole = change(file.read())
            file.seek(0)
            file.write(whole)
            file.truncate()

    def kill_all(self):
        for number in self.company.numbers():
            self.company.kill_and_wait(number)

    def test_a_node_that_stands_still(self):
        self.company.pause(2)
        told = self.tocsin(2, "doctor")
        self.company.resume(2)
        self.assertEqual(3, told.returncode)
        self.assertIn(f"process {self.company.pid(2)}) does not answer", told.stderr)
        self.assertIn("T: stopped", told.stderr)
        self.assertLess(self.seconds, 2 * PROMPT_S)

    def test_a_full_disk(self):
        company = self.company
        number = company.others(company.wait_leader())[0]
        resource.prlimit(company.pid(number), resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        company.trigger_many(company.others(number), "disk", 1)
        wait_for(lambda: company.answers(number) == 503, "the failure")
        told = self.tocsin(number, "doctor")
        self.assertEqual(0, told.returncode, told.stderr)
        for words in ("takes no part any more", "File too large", "df -h", "systemctl restart tocsind"):
            self.assertIn(words, told.stdout)
        paged = self.tocsin(number, "page", "--local", "gus", "The disk is full")
        self.assertEqual((0, 2), (paged.returncode, paged.stdout.count("taken")), paged.stdout + paged.stderr)

    def test_names_that_do_not_resolve_and_no_majority(self):
        company = self.company
        company.trigger_many([1], "known", 1)
        wait_for(lambda: company.incident([1], "known-0"), "the incident")
        self.kill_all()

        def broken(text):
            for number in (2, 3):
                text = text.replace(f"[member.{number}]\naddress = 127.0.0.1", f"[member.{number}]\naddress = node-{number}.example.invalid")
            text = text.replace("[twilio]\nbase_url = http://127.0.0.1", "[twilio]\nbase_url = http://api.example.invalid")
            return text.replace("[node]\n", "[node]\nallow_plain_tcp = yes\n", 1)

        self.configure(1, broken)
        company.start(1)
        told = self.tocsin(1, "doctor")
        self.assertEqual(0, told.returncode, told.stderr)
        self.assertLess(self.seconds, PROMPT_S)
        for words in ("THERE IS NO LEADER", "Start node 2", "known-0 is on fire - Alice"):
            self.assertIn(words, told.stdout)
        # By the way that needs no name server.
        paged = self.tocsin(1, "page", "--local", "gus", "No names here")
        self.assertEqual(0, paged.returncode, paged.stderr)
        self.assertIn("gus by twilio (+15550191): NOT TAKEN: not sent", paged.stdout)
        self.assertIn("gus by smtp (gus@example.com): taken", paged.stdout)

    def test_a_damaged_state_and_no_majority(self):
        company = self.company
        company.trigger_many([1], "known", 1)
        wait_for(lambda: company.incident([1], "known-0"), "the incident")
        self.kill_all()
        self.damage(1, "state.mdb")
        company.start(1)
        told = self.tocsin(1, "doctor")
        self.assertEqual(0, told.returncode, told.stderr)
        self.assertIn("INCOMPLETE", told.stdout)
        self.assertIn("what came between is shown when there is a leader", told.stdout)
        # A state that was lost is not current, whatever was noted before.
        wait_for(lambda: "does not page on its own" in self.tocsin(1, "doctor").stdout, "the silence of who knows nothing")
        self.assertFalse([delivery for delivery in company.deliveries() if "DEGRADED" in delivery["text"]])
        company.start(2)
        company.wait_leader([1, 2])
        wait_for(lambda: "known-0 is on fire - Alice" in self.tocsin(1, "doctor").stdout, "the state, rebuilt")
        self.assertNotIn("INCOMPLETE", self.tocsin(1, "doctor").stdout)

    def test_a_damaged_log(self):
        self.company.kill_and_wait(1)
        self.damage(1, "log.mdb")
        start = subprocess.run([os.path.join(BUILD, "tocsind"), "--config", self.company.node(1)["config"]], capture_output=True, text=True, timeout=60,
                               check=False)
        self.assertEqual(1, start.returncode)
        self.assertIn("must not come back under its old id", start.stderr)
        told = self.tocsin(1, "doctor")
        self.assertEqual(3, told.returncode)
        self.assertIn("journalctl -u tocsind", told.stderr)
        # The others go on, and say whom they miss.
        missed = wait_for(lambda: "NOT CONNECTED" in (told := self.tocsin(2, "doctor")).stdout and told, "who is missed")
        self.assertNotIn("THERE IS NO LEADER", missed.stdout)
        os.remove(os.path.join(self.company.node(1)["data_dir"], "control"))
        self.assertIn("There is no such socket", self.tocsin(1, "doctor").stderr)


if __name__ == "__main__":
    unittest.main()
