"""The verbs of a night, as they are typed: what each says, and what people then hear, with minutes a fifth of a second long."""

import os
import re
import subprocess
import unittest

from cluster import BUILD, Cluster, wait_for
from page import Page, Person

MINUTE_MS = 200


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(nodes=1, minute_ms=MINUTE_MS)
        cls.addClassCleanup(cls.cluster.close)

    def tocsin(self, *words):
        """How the client ended, and the first line that it wrote."""
        environment = dict(os.environ, TOCSIN_URL=self.cluster.description["nodes"][0]["url"],
                           TOCSIN_TOKEN=self.cluster.description["token"])
        done = subprocess.run([os.path.join(BUILD, "tocsin"), *words], env=environment, capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, (done.stdout + done.stderr).splitlines()[0]

    def page(self, person, name):
        page = Page(self.cluster, name, [(600, [person])]).trigger()
        page.wait_received(1, person)
        return page

    def test_a_snooze_ends_the_pages_until_its_time_is_over(self):
        alice = Person(self.cluster, "Alice", ("sms",))
        page = self.page(alice, "snoozed")
        number = page.incident["id"]
        self.assertEqual((0, "snoozed: it pages again when the time is over"), self.tocsin("snooze", number, "10m"))
        self.assertEqual("acknowledged", page.now()["status"])
        again = page.wait_received(2, alice)[1]
        self.assertGreater(page.after_seconds(again), 10 * MINUTE_MS / 1000)
        self.assertEqual(["snooze_ended"], [entry["why"] for entry in page.timeline("unacknowledge")])
        self.assertEqual((2, 'tocsin: "soon" is not a duration such as 45s, 30m, 4h or 2d'), self.tocsin("snooze", number, "soon"))
        self.assertEqual((1, "tocsin: Invalid Snooze Duration (HTTP 400)"), self.tocsin("snooze", number, "8d"))

    def test_a_drill_is_run_and_listed(self):
        cluster = self.cluster
        drill = cluster.call(cluster.numbers()[0], "POST", "/drills", {"drill": {"name": "Texts", "enabled": False, "contact_method": {
            "type": "sms_contact_method", "address": "5558899"}}})["drill"]
        self.assertEqual((0, 'begun; what came of it is in "tocsin drills". So far:'), self.tocsin("drill", drill["id"]))
        wait_for(lambda: "1 runs, 0 late, 0 failed; of the error budget 0 left of 0" in self.tocsin("drills")[1], "the run's end")
        self.assertEqual(1, self.tocsin("drill", "P00ZZZZ")[0])

    def test_two_become_one(self):
        alice = Person(self.cluster, "Alice", ("sms",))
        first, second = self.page(alice, "first"), self.page(alice, "second")
        self.assertEqual((0, "merged"), self.tocsin("merge", second.incident["id"], first.incident["id"]))
        self.assertEqual(first.incident["id"], second.now()["resolve_reason"]["incident"]["id"])
        self.assertEqual(2, first.now()["alert_counts"]["triggered"])

    def test_others_are_brought_in(self):
        alice, bob, carol = (Person(self.cluster, name, ("sms",)) for name in ("Alice Adams", "Bob Brown", "Carol Clark"))
        page = self.page(alice, "helped")
        number = page.incident["id"]
        self.assertEqual((0, "set"), self.tocsin("priority", number, "P2"))
        self.assertEqual("P2", page.now()["priority"]["summary"])
        self.assertEqual((1, 'tocsin: none of the priorities is called "P9"'), self.tocsin("priority", number, "P9"))
        self.assertEqual((0, "asked"), self.tocsin("add-responder", number, "bob brown", "The database again"))
        self.assertIn("HELP WANTED", page.wait_received(1, bob)[0]["text"])
        self.assertEqual((0, "reassigned"), self.tocsin("reassign", number, "Carol Clark"))
        self.assertIn("TRIGGERED", page.wait_received(1, carol)[0]["text"])
        # Two of one name: the first one was taken, whoever was meant (found by reading).
        namesake = Person(self.cluster, "Carol Clark", ("sms",))
        refused = (1, 'tocsin: more than one of the users is called "carol clark"; say which by id:')
        self.assertEqual(refused, self.tocsin("reassign", number, "carol clark"))
        self.assertEqual(refused, self.tocsin("add-responder", number, "carol clark", "And now?"))
        self.assertEqual((0, "reassigned"), self.tocsin("reassign", number, namesake.id))
        self.assertIn("TRIGGERED", page.wait_received(1, namesake)[0]["text"])
        self.assertEqual((0, "told"), self.tocsin("status-update", number, "We are looking"))
        self.assertEqual(["We are looking"], [update["message"] for update in page.get("/status_updates")["status_updates"]])

    def test_holes_are_found_and_a_service_is_tested(self):
        alice = Person(self.cluster, "Alice Tester", ("sms",))
        page = Page(self.cluster, "tested", [(600, [alice])])
        code, first = self.tocsin("coverage", "service_untested")
        self.assertEqual(1, code)
        self.assertTrue(first.startswith("notice    Service "), first)
        self.assertEqual((2, "Usage: tocsin coverage [quiet] [team=ID] [severity=critical|warning|notice] [KIND ...]"),
                         self.tocsin("coverage", "severity=loud"))
        # nobody answers in no time
        self.assertEqual((1, "ok    event        Integration events took an event of severity critical."),
                         self.tocsin("test", "tested", "0"))
        page.incident = self.cluster.call(1, "GET", f"/incidents?service_ids[]={page.service['id']}")["incidents"][0]
        self.assertIn("[Test] A test page of tested", page.wait_received(1, alice)[0]["text"])
        number = page.incident["id"]
        code, first = self.tocsin("why", number, "--user", "Alice Tester")
        self.assertEqual((0, True), (code, first.startswith("Alice Tester was paged, at level 1, first by sms at ")), first)
        self.assertEqual((2, "Usage: tocsin why INCIDENT [--user USER]"), self.tocsin("why"))
        self.assertEqual((0, "no holes"), self.tocsin("coverage", "policy_nobody"))

    def test_a_code_that_arrives_verifies_the_phone(self):
        alice = Person(self.cluster, "Alice Verified", ("sms",))
        method = f"/users/{alice.id}/contact_methods/{alice.method_ids['sms']}"
        self.cluster.call(1, "POST", method + "/verification")
        sent = wait_for(lambda: [d["text"] for d in self.cluster.deliveries() if d["to"] == alice.address["sms"]], "the code")[0]
        code = re.search(r"the code (\d{6}) shows", sent).group(1)
        self.cluster.call(1, "POST", method + "/verify", {"code": "000000" if code != "000000" else "000001"}, expect=(400,))
        # Known from the receipt on, which follows the message.
        wait_for(lambda: self.cluster.request(1, "POST", method + "/verify", {"code": code})[0] == 200, "the receipt")
        self.assertTrue(self.cluster.call(1, "GET", method)["contact_method"]["verified"])


if __name__ == "__main__":
    unittest.main()
