"""The majority is gone: who is left pages on its own, once, says so, and tells the cluster of it when it heals."""

import collections
import os
import socket
import stat
import subprocess
import unittest

from cluster import BUILD, wait_for
from company import Company

AFTER_MS = 2500


def degraded(company):
    return [delivery for delivery in company.deliveries() if "DEGRADED" in delivery["text"]]


class LastGasp(unittest.TestCase):
    def cluster(self, minute_ms=1000, **options):
        company = Company(minute_ms=minute_ms, last_gasp_after_ms=AFTER_MS, **options)
        self.addCleanup(company.close)
        self.company = company
        self.bob = company.person("Bob", "5550102", kinds=("sms",))
        night = company.policy("Night", [(10, [company.alice]), (10, [self.bob])])
        self.database, self.key = company.service("Database", night)
        self.night = night
        return company

    def make_secret(self, number, incident):
        """Only the policy's team sees it, which has nobody."""
        team = self.company.call(number, "POST", "/teams", {"team": {"name": "Security"}})["team"]
        self.company.call(number, "PUT", f"/teams/{team['id']}/escalation_policies/{self.night['id']}", {})
        self.company.call(number, "PUT", f"/incidents/{incident['id']}", {"incident": {"category": "security"}})

    def send(self, number, action, dedup_key, summary):
        return self.company.send(number, "POST", "/v2/enqueue", {
            "routing_key": self.key, "event_action": action, "dedup_key": dedup_key,
            "payload": {"summary": summary, "source": "db1", "severity": "critical"}}, token=False)

    def incident_number(self, dedup_key):
        return self.company.incident(self.company.numbers(), dedup_key)

    def texts_to(self, number):
        return [delivery["text"] for delivery in degraded(self.company) if number in delivery["to"]]

    def assert_nobody_twice(self):
        for (to, text), times in collections.Counter((delivery["to"], delivery["text"]) for delivery in degraded(self.company)).items():
            self.assertEqual(1, times, f"{to}: {text}")

    def tocsin(self, number, *arguments):
        """The command line on the machine of this node, with nothing but its socket."""
        control = os.path.join(self.company.node(number)["data_dir"], "control")
        return subprocess.run([os.path.join(BUILD, "tocsin"), *arguments], env={"TOCSIN_SOCKET": control}, capture_output=True, text=True,
                              timeout=60, check=False)

    def test_the_last_of_three(self):
        company = self.cluster()
        left = company.others(company.wait_leader())[0]
        for key in ("disk", "power", "known", "breach"):
            self.assertEqual(202, self.send(left, "trigger", key, f"Trouble with the {key}").status)
        for key in ("known", "breach"):
            self.assertEqual(202, self.send(left, "acknowledge", key, "").status)
        breach = company.incident([left], "breach")
        self.make_secret(left, breach)
        disk = wait_for(lambda: company.incident([left], "disk"), "the incident")
        power = company.incident([left], "power")
        for number in company.others(left):
            company.kill_and_wait(number)
        # It speaks after a while: to the guardians, and to Alice of both that nobody has acknowledged.
        wait_for(lambda: len(self.texts_to("5550101")) == 2, "Alice is told of both")
        wait_for(lambda: len([text for text in self.texts_to("555019") if "no majority" in text]) == 2, "the guardians are told")
        self.assertFalse([text for text in self.texts_to("5550101") if "Trouble with the known" in text])
        self.assertTrue(all(f"node {left}" in text and "(possibly repeated)" in text for text in self.texts_to("5550101")))
        standing = company.send(left, "GET", "/cluster", token=False).body["last_gasp"]
        self.assertEqual("speaks", standing["standing"])
        # An acknowledgement is kept here, and other requests are refused.
        kept = company.send(left, "PUT", f"/incidents/{disk['id']}", {"incident": {"type": "incident_reference", "status": "acknowledged"}},
                            headers={"From": "alice@example.com"})
        self.assertEqual(202, kept.status, kept.body)
        self.assertEqual(503, company.send(left, "POST", "/users", {"user": {"name": "Carol", "email": "carol@example.com"}}).status)
        # So are an answer with more than it can keep, and one to what is secret.
        self.assertEqual(503, company.send(left, "PUT", f"/incidents/{power['id']}", {
            "incident": {"type": "incident_reference", "status": "resolved", "resolution": "Swapped"}}).status)
        self.assertEqual(503, company.send(left, "PUT", f"/incidents/{breach['id']}", {
            "incident": {"type": "incident_reference", "status": "resolved"}}).status)
        # A trigger is refused, and told of once.
        for _ in range(3):
            self.assertEqual(503, self.send(left, "trigger", "flood", "Water in the cellar").status)
        wait_for(lambda: [text for text in self.texts_to("5550101") if "Water in the cellar" in text], "the refused trigger is told of")
        # The next level hears only of what nobody acknowledged.
        wait_for(lambda: self.texts_to("5550102"), "Bob is told")
        self.assertEqual(["Trouble with the power" in text for text in self.texts_to("5550102")], [True])
        self.assert_nobody_twice()
        record = os.path.join(company.node(left)["data_dir"], "last-gasp")
        self.assertTrue(os.path.exists(record))
        # Whoever has a shell there sees what is wrong, and can call for help.
        told = self.tocsin(left, "doctor")
        self.assertEqual(0, told.returncode, told.stderr)
        for words in ("THERE IS NO LEADER", "Last gasp: speaks", "NOT CONNECTED", "Trouble with the power - Alice", "2 are needed"):
            self.assertIn(words, told.stdout)
        paged = self.tocsin(left, "page", "--local", "grace", "Come to the machine room")
        self.assertEqual(0, paged.returncode, paged.stderr + paged.stdout)
        self.assertEqual(2, paged.stdout.count("taken"))
        by_hand = [delivery for delivery in company.deliveries() if "[BY HAND] Come to the machine room" in delivery["text"]]
        self.assertEqual({"+15550190", "grace@example.com"}, {delivery["to"] for delivery in by_hand})
        self.assertEqual(1, self.tocsin(left, "page", "--local", "nobody", "Hello").returncode)
        # It heals: what was said and heard is in the cluster's state, what was sent in the timelines.
        company.start(company.others(left)[0])
        numbers = [left, company.others(left)[0]]
        company.wait_leader(numbers)
        wait_for(lambda: company.insist(numbers, "GET", f"/incidents/{disk['id']}")["incident"]["status"] == "acknowledged", "the acknowledgement")
        entries = company.insist(numbers, "GET", f"/incidents/{power['id']}/log_entries?limit=100")["log_entries"]
        told = [entry for entry in entries if f"Node {left} told" in str(entry)]
        self.assertEqual(2, len([entry for entry in told if "Alice" in str(entry) or "Bob" in str(entry)]), entries)
        wait_for(lambda: not os.path.exists(record), "the record is gone")
        self.assertEqual("led", company.send(left, "GET", "/cluster", token=False).body["last_gasp"]["standing"])

    def test_of_two_that_hear_each_other_one_speaks(self):
        company = self.cluster(nodes=5)
        self.assertEqual(202, self.send(1, "trigger", "disk", "Trouble with the disk").status)
        wait_for(lambda: company.incident(company.numbers(), "disk"), "the incident")
        left = company.numbers()[3:]
        for number in company.numbers()[:3]:
            company.kill_and_wait(number)

        def standings():
            return [company.send(number, "GET", "/cluster", token=False).body["last_gasp"] for number in left]

        wait_for(lambda: {standing["standing"] for standing in standings()} == {"speaks", "defers"}, "one speaks, one defers")
        wait_for(lambda: self.texts_to("5550101") and len(self.texts_to("555019")) >= 2, "pages")
        # Acknowledged on the one that does not speak, it is silent on the other.
        listener = next(number for number, standing in zip(left, standings()) if standing["standing"] == "defers")
        disk = company.send(listener, "GET", "/incidents?date_range=all").body["incidents"][0]
        kept = company.send(listener, "PUT", f"/incidents/{disk['id']}", {"incident": {"type": "incident_reference", "status": "acknowledged"}},
                            headers={"From": "alice@example.com"})
        self.assertEqual(202, kept.status, kept.body)
        # What the silent one is told of, the other pages.
        self.assertEqual(503, self.send(listener, "trigger", "flood", "Water in the cellar").status)
        wait_for(lambda: [text for text in self.texts_to("5550101") if "Water in the cellar" in text], "the refused trigger is told of")
        self.assert_nobody_twice()
        company.start(1)
        wait_for(lambda: company.insist([1] + left, "GET", f"/incidents/{disk['id']}")["incident"]["status"] == "acknowledged", "the acknowledgement")
        self.assertFalse(self.texts_to("5550102"), "Bob's level never came")

    def alone_after_a_power_cut(self, away):
        """All three are killed at once, with an incident open; one comes back. `away` is told how long it was, of this machine's boot."""
        company = self.cluster(minute_ms=60000)
        self.assertEqual(202, self.send(1, "trigger", "disk", "Trouble with the disk").status)
        wait_for(lambda: all(company.insist([number], "GET", "/incidents?incident_key=disk&date_range=all")["incidents"] for number in company.numbers()),
                 "the incident, known to all")
        for number in company.numbers():
            company.kill(number)
        for number in company.numbers():
            wait_for(lambda number=number: not company.answers(number), f"the end of node {number}")
        away(os.path.join(company.node(1)["data_dir"], "current"))
        company.start(1)
        return company

    @staticmethod
    def earlier(path, seconds):
        """As if the node had known so much earlier that it was current."""
        with open(path, encoding="ascii") as file:
            boot, noted_ms = file.read().split()
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{boot} {int(noted_ms) - seconds * 1000:020}\n")

    def test_a_node_that_was_away_for_less_than_a_minute_pages_once(self):
        company = self.alone_after_a_power_cut(lambda path: self.earlier(path, 40))
        wait_for(lambda: self.texts_to("5550101") and len([text for text in self.texts_to("555019") if "no majority" in text]) == 2, "pages")
        self.assertIn("Trouble with the disk", self.texts_to("5550101")[0])
        standing = company.send(1, "GET", "/cluster", token=False).body["last_gasp"]
        self.assertEqual(("speaks", True), (standing["standing"], standing["may_speak"]))
        # Killed and started once more, it repeats nothing: what it has sent is beside its state.
        company.kill_and_wait(1)
        company.start(1)
        wait_for(lambda: company.send(1, "GET", "/cluster", token=False).body["last_gasp"]["standing"] in ("speaks", "silent"), "its decision")
        wait_for(lambda: "THERE IS NO LEADER" in self.tocsin(1, "doctor").stdout, "the doctor's word")
        self.assert_nobody_twice()

    def test_a_node_that_was_away_for_longer_stays_silent_and_says_so(self):
        company = self.alone_after_a_power_cut(lambda path: self.earlier(path, 61))
        wait_for(lambda: company.send(1, "GET", "/cluster", token=False).body["last_gasp"]["standing"] == "silent", "its decision")
        told = self.tocsin(1, "doctor")
        self.assertIn("This node does not page on its own: its state has not been current since it started", told.stdout)
        self.assertIn("tocsin page --local all", told.stdout)
        self.assertIn("Trouble with the disk - Alice", told.stdout)
        self.assertEqual([], degraded(company))
        # With a majority it is as before.
        company.start(2)
        company.wait_leader([1, 2])
        wait_for(lambda: company.send(1, "GET", "/cluster", token=False).body["last_gasp"]["may_speak"], "its voice")
        self.assertEqual([], degraded(company))

    def test_the_doctor_of_a_cluster_that_is_well_and_of_a_node_that_is_not(self):
        company = self.cluster()
        told = self.tocsin(1, "doctor")
        self.assertEqual(0, told.returncode, told.stderr)
        self.assertIn("Nothing: the cluster has a leader", told.stdout)
        control = os.path.join(company.node(1)["data_dir"], "control")
        self.assertEqual(0o600, stat.S_IMODE(os.stat(control).st_mode))
        # What is no request is told so, however it comes.
        for request in (b"hello\n", b"{}\n", b'{"ask": "page"}\n', b'{"ask": "page", "who": "grace", "text": "' + b"x" * 301 + b'"}\n'):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(control)
                connection.sendall(request)
                self.assertIn(b'"error"', connection.recv(4096))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(control)
            connection.sendall(b"x" * 5000)
            try:
                self.assertEqual(b"", connection.recv(4096))
            except ConnectionResetError:
                pass
        # Who has lost every token has a shell: a token for a day, known to all.
        made = self.tocsin(1, "admin-token")
        self.assertEqual(0, made.returncode, made.stderr)
        listed = company.send(2, "GET", "/tokens", token=False, headers={"Authorization": f"Token token={made.stdout.strip()}"})
        self.assertEqual(200, listed.status)
        self.assertIn("by hand, on node 1", [token["name"] for token in listed.body["tokens"]])
        company.kill_and_wait(1)
        gone = self.tocsin(1, "doctor")
        self.assertEqual(3, gone.returncode)
        self.assertIn("Is tocsind running", gone.stderr)

    def test_a_rehearsal_tells_nobody(self):
        company = self.cluster(minute_ms=60000)
        self.assertEqual(202, self.send(1, "trigger", "disk", "Trouble with the disk").status)
        wait_for(lambda: company.incident(company.numbers(), "disk"), "the incident")
        for number in company.numbers():
            # Each from its own state, which may be a moment behind.
            answer = wait_for(lambda number=number: (answer := company.send(number, "GET", "/cluster/last_gasp/rehearsal")).status == 200 and
                              any(page["incident"] for page in answer.body["pages"]) and answer, f"node {number} knows of the incident")
            self.assertTrue(answer.body["may_speak"], answer.body)
            pages = {(page["name"], page["channel"]): page for page in answer.body["pages"] if page["incident"] or page["guardian"]}
            self.assertLessEqual({("Alice", "sms"), ("Bob", "sms"), ("grace", "sms"), ("gus", "email")}, set(pages))
            self.assertEqual(10 * 60000, pages[("Bob", "sms")]["after_ms"])
            self.assertIsNone(pages[("Alice", "sms")]["unusable"])
        self.assertEqual(401, company.send(1, "GET", "/cluster/last_gasp/rehearsal", token=False).status)
        self.assertEqual([], degraded(company))


if __name__ == "__main__":
    unittest.main()
