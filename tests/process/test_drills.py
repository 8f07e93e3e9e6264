"""Page-delivery drills on real processes: delivered and recorded, refused and told, lost with a leader and sent once."""

import unittest

from cluster import wait_for
from company import Company

MINUTE_SECONDS = 1


class Drills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.company = Company(minute_ms=MINUTE_SECONDS * 1000)
        cls.addClassCleanup(cls.company.close)

    def drill(self, name, address, **fields):
        """Each minute, from now on."""
        company = self.company
        drill = company.insist(company.numbers(), "POST", "/drills", {"drill": {
            "name": name, "interval_s": 60, "contact_method": {"type": "sms_contact_method", "address": address}, **fields}})["drill"]
        self.addCleanup(lambda: company.insist(company.numbers(), "DELETE", f"/drills/{drill['id']}"))
        return drill

    def now(self, drill):
        return self.company.insist(self.company.numbers(), "GET", f"/drills/{drill['id']}")["drill"]

    def runs(self, drill, *results):
        return [run for run in self.now(drill)["runs"] if run["result"] in results]

    def received(self, address):
        return [delivery for delivery in self.company.deliveries() if delivery["to"] == address]

    def incidents(self, name):
        found = self.company.insist(self.company.numbers(), "GET", "/incidents?date_range=all&limit=100")["incidents"]
        return [incident for incident in found if f'Page-delivery drill "{name}"' in incident["title"]]

    def test_drills_are_delivered_and_recorded(self):
        drill = self.drill("good", "+15558801")
        wait_for(lambda: len(self.runs(drill, "delivered")) >= 3, "three runs")
        level = self.now(drill)["service_level"]
        self.assertEqual((0, 0, 0), (level["late"], level["failed"], level["error_budget"]["spent"]))
        self.assertLess(level["delivery_ms"]["p99"], 5000)
        run = self.runs(drill, "delivered")[0]
        self.assertEqual(("twilio", 1), (run["provider"], run["attempts"]))
        received = self.received("+15558801")
        self.assertIn(run["provider_id"], [delivery["id"] for delivery in received])
        self.assertEqual({"[Drill] good: this is a page-delivery drill. It arrived: nobody is to do or answer anything."},
                         {delivery["text"] for delivery in received})
        self.assertEqual([], self.incidents("good"))

    def test_a_provider_that_refuses_is_an_incident_until_it_takes_drills_again(self):
        company = self.company
        company.misbehave(channel="sms", to="+15558802", mode="never")
        drill = self.drill("refused", "+15558802")
        incident = wait_for(lambda: self.incidents("refused"), "the incident")[0]
        self.assertIn("failed: the text message by twilio was not delivered", incident["title"])
        self.assertTrue(self.now(drill)["failing"])
        wait_for(lambda: [delivery for delivery in company.deliveries() if incident["title"][:40] in delivery["text"]], "its page")
        company.misbehave(channel="sms", to="+15558802", mode="ok")
        wait_for(lambda: self.incidents("refused")[0]["status"] == "resolved", "the end of the incident")
        self.assertEqual(1, len(self.incidents("refused")))
        self.assertFalse(self.now(drill)["failing"])

    def test_a_drill_of_a_leader_that_is_gone_is_lost_and_not_sent_again(self):
        company = self.company
        leader = company.wait_leader()
        company.misbehave(channel="sms", to="+15558803", mode="hang", count=1)
        drill = self.drill("lost", "+15558803", enabled=False)
        company.insist(company.numbers(), "POST", f"/drills/{drill['id']}/run")
        wait_for(lambda: self.now(drill)["under_way"], "the run")
        company.kill_and_wait(leader)
        company.wait_leader(company.others(leader))
        wait_for(lambda: self.runs(drill, "lost"), "the run's end")
        company.start(leader)
        self.assertEqual([], self.received("+15558803"))
        self.assertEqual([], self.incidents("lost"))
        wait_for(lambda: company.insist(company.numbers(), "POST", f"/drills/{drill['id']}/run", expect=(202, 400)).get("drill"),
                 "another run")
        wait_for(lambda: self.runs(drill, "delivered"), "its delivery")
        self.assertEqual(1, len(self.received("+15558803")))


if __name__ == "__main__":
    unittest.main()
