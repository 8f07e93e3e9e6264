"""Opsgenie's Go SDK, github.com/opsgenie/opsgenie-go-sdk-v2: opsgenie/client_test.go, by `go test`."""

import os
import subprocess
import sys
import unittest

import tools
from pager import Pager

MODULE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "opsgenie")
SUITE_SECONDS_MAX = 300


class GoOpsgenie(unittest.TestCase):
    def describe(self, pager):
        """Ada and her service, Bob behind her, a team with Bob, a schedule of both; the integration's key."""
        ada, bob = pager.person("Ada", "+12025550101"), pager.person("Bob", "+12025550102")
        _, key = pager.service("Database", pager.policy("First line", [(10, [ada])]))
        second = pager.policy("Second line", [(10, [bob])])
        team = pager.call(1, "POST", "/teams", {"team": {"type": "team", "name": "Storage"}})["team"]
        pager.call(1, "PUT", f"/teams/{team['id']}/escalation_policies/{second['id']}")
        pager.call(1, "POST", "/schedules", {"schedule": {"type": "schedule", "name": "Rota", "time_zone": "UTC", "schedule_layers": [{
            "name": "days", "start": "2026-01-01T00:00:00Z", "rotation_virtual_start": "2026-01-01T00:00:00Z",
            "rotation_turn_length_seconds": 86400,
            "users": [{"user": {"id": user["id"], "type": "user_reference"}} for user in (ada, bob)]}]}})
        return key

    def test_suite(self):
        go = tools.go_module("Opsgenie's Go SDK", MODULE)
        with Pager() as pager:
            # The SDK speaks https to a host with the letters "api" in its name, and to any other plain http.
            environment = {**os.environ, "TOCSIN_HOST": pager.plain_url.split("//")[1], "TOCSIN_TOKEN": pager.token,
                           "TOCSIN_KEY": self.describe(pager)}
            done = subprocess.run([go, "test", "-count=1", "-v", "./..."], cwd=MODULE, env=environment, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=SUITE_SECONDS_MAX, check=False)
        sys.stdout.write(f"\n{done.stdout}")
        self.assertEqual(0, done.returncode)
        self.assertIn("--- PASS: TestAnAlertLivesAndEnds", done.stdout)


if __name__ == "__main__":
    unittest.main()
