"""PagerDuty's Go client, github.com/PagerDuty/go-pagerduty: go/client_test.go, by `go test`."""

import os
import subprocess
import sys
import unittest

import tools
from pager import Pager

MODULE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "go")
SUITE_SECONDS_MAX = 300


class GoPagerduty(unittest.TestCase):
    def test_suite(self):
        go = tools.go_module("PagerDuty's Go client", MODULE)
        with Pager() as pager:
            environment = {**os.environ, "TOCSIN_URL": pager.plain_url, "TOCSIN_TOKEN": pager.token,
                           "TOCSIN_PHONES": pager.description["deliveries"]}
            done = subprocess.run([go, "test", "-count=1", "-v", "./..."], cwd=MODULE, env=environment, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=SUITE_SECONDS_MAX, check=False)
        sys.stdout.write(f"\n{done.stdout}")
        self.assertEqual(0, done.returncode)
        self.assertIn("--- PASS: TestATriggerPagesWhoIsOnCall", done.stdout)


if __name__ == "__main__":
    unittest.main()
