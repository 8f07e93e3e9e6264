"""Nodes watch each other: one that is missing is told on the cluster's own service, and over once it is back."""

import unittest

from cluster import wait_for
from company import Company

MINUTE_MS = 1000


class Watchers(unittest.TestCase):
    def test_a_missing_node(self):
        company = Company(minute_ms=MINUTE_MS)
        self.addCleanup(company.close)
        leader = company.wait_leader()
        lost = company.others(leader)[0]
        title = f"Node {lost} is missing"

        def incidents():
            return [incident for incident in company.listed(leader, "/incidents?date_range=all", "incidents") if title in incident["title"]]

        def conditions():
            return [condition["key"] for condition in company.call(leader, "GET", "/cluster")["conditions"]]

        self.assertEqual([], conditions())
        company.kill_and_wait(lost)
        wait_for(incidents, "the incident")
        self.assertEqual("Tocsin", incidents()[0]["service"]["summary"])
        self.assertEqual([f"node-{lost}/missing"], conditions())
        wait_for(lambda: [delivery for delivery in company.deliveries() if title in delivery["text"]], "the guardians' page")
        company.start(lost)
        wait_for(lambda: not conditions(), "the end of it")
        self.assertEqual(["resolved"], [incident["status"] for incident in incidents()])


if __name__ == "__main__":
    unittest.main()
