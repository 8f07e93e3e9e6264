"""PagerDuty's JavaScript SDK, @pagerduty/pdjs: javascript/suite.mjs, by Node's test runner."""

import os
import subprocess
import sys
import unittest

import tools
from pager import Pager

SUITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "javascript", "suite.mjs")
SUITE_SECONDS_MAX = 120


class Pdjs(unittest.TestCase):
    def test_suite(self):
        node, folder = tools.javascript_packages()
        with Pager() as pager:
            environment = {**os.environ, "NODE_EXTRA_CA_CERTS": pager.front.certificate, "TOCSIN_SDK": folder, "TOCSIN_TOKEN": pager.token,
                           "TOCSIN_PORT": str(pager.front.port), "TOCSIN_PHONES": pager.description["deliveries"]}
            done = subprocess.run([node, "--test", SUITE], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=SUITE_SECONDS_MAX, check=False)
        sys.stdout.write(f"\n{done.stdout}")
        self.assertEqual(0, done.returncode)
        self.assertIn("pass 5", done.stdout)


if __name__ == "__main__":
    unittest.main()
