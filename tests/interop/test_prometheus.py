"""Prometheus, Alertmanager and amtool from Debian's packages: every way by which their alerts come here, and their silence."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from cluster import free_port, wait_for
from pager import Pager

PAGE_SECONDS_MAX = 60
RULES = """groups:
  - name: suite
    interval: 1s
    rules:
      - alert: Watchdog
        expr: vector(1)
        labels: {{severity: none}}
      - alert: DiskFull
        expr: vector(1) > {above}
        labels: {{severity: critical, instance: db1}}
        annotations: {{summary: The disk of db1 is full}}
"""
PROMETHEUS = """global: {{evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]
    - path_prefix: /integration/{direct}
      static_configs: [{{targets: ["{pager}"]}}]
"""
ALERTMANAGER = """route:
  receiver: everyone
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - {{receiver: heartbeat, matchers: ["alertname = Watchdog"], repeat_interval: 1s}}
receivers:
  - name: heartbeat
    webhook_configs: [{{url: "{url}/ping/{heartbeat}"}}]
  - name: everyone
    webhook_configs: [{{url: "{url}/integration/{webhook}/alertmanager"}}]
    pagerduty_configs: [{{url: "{url}/v2/enqueue", routing_key: "{pagerduty}"}}]
    opsgenie_configs: [{{api_url: "{url}/", api_key: "{opsgenie}"}}]
"""


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Prometheus(unittest.TestCase):
    WAYS = ("webhook", "pagerduty", "opsgenie", "direct")

    @classmethod
    def setUpClass(cls):
        for name in ("prometheus", "prometheus-alertmanager", "amtool"):
            if shutil.which(name) is None:
                raise unittest.SkipTest(f"{name} is missing: it comes with Debian's packages prometheus and prometheus-alertmanager")
        cls.children = {}
        cls.pager = Pager()
        cls.addClassCleanup(cls.pager.close)
        cls.folder = tempfile.TemporaryDirectory(prefix="tocsin-prometheus-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.stop_all)
        cls.make_services()
        cls.ports = {"prometheus": free_port(), "alertmanager": free_port()}
        places = {**cls.keys, "url": cls.pager.plain_url, "pager": cls.pager.plain_url.split("//")[1],
                  "alertmanager": cls.ports["alertmanager"], "heartbeat": cls.heartbeat}
        cls.write("rules.yml", RULES.format(above=2))
        cls.write("prometheus.yml", PROMETHEUS.format(**places))
        cls.write("alertmanager.yml", ALERTMANAGER.format(**places))
        cls.start("alertmanager", "prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alertmanager",
                  "--cluster.listen-address=")
        cls.start("prometheus", "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus",
                  "--rules.alert.resend-delay=1s")

    @classmethod
    def post(cls, path, body):
        return cls.pager.insist(cls.pager.numbers(), "POST", path, body)

    @classmethod
    def make_services(cls):
        user = cls.post("/users", {"user": {"name": "Alice", "email": "alice@example.com"}})["user"]["id"]
        method = cls.post(f"/users/{user}/contact_methods", {"contact_method": {
            "type": "sms_contact_method", "address": "5550001", "country_code": 1}})["contact_method"]["id"]
        cls.post(f"/users/{user}/notification_rules", {"notification_rule": {
            "type": "assignment_notification_rule", "start_delay_in_minutes": 0, "urgency": "high",
            "contact_method": {"id": method, "type": "sms_contact_method"}}})
        policy = cls.post("/escalation_policies", {"escalation_policy": {"name": "Alice", "escalation_rules": [
            {"escalation_delay_in_minutes": 600, "targets": [{"id": user, "type": "user_reference"}]}]}})["escalation_policy"]["id"]
        cls.keys, cls.services = {}, {}
        for way in (*cls.WAYS, "silence"):
            service = cls.post("/services", {"service": {"name": way, "auto_resolve_timeout": None, "acknowledgement_timeout": None,
                                                         "escalation_policy": {"id": policy, "type": "escalation_policy_reference"}}})
            cls.services[way] = service["service"]["id"]
            cls.keys[way] = cls.post(f"/services/{cls.services[way]}/integrations", {"integration": {
                "type": "events_api_v2_inbound_integration", "name": way}})["integration"]["integration_key"]
        check = cls.post("/api/v3/checks/", {"name": "Prometheus", "timeout": 600, "grace": 600, "service": cls.services["silence"]})
        cls.heartbeat = check["ping_url"].rsplit("/", 1)[1]

    @classmethod
    def write(cls, name, text):
        with open(os.path.join(cls.folder.name, name), "w", encoding="utf-8") as file:
            file.write(text)

    @classmethod
    def start(cls, name, program, *arguments):
        with open(os.path.join(cls.folder.name, f"{name}.log"), "w", encoding="utf-8") as log:
            cls.children[name] = subprocess.Popen([program, *arguments, f"--web.listen-address=127.0.0.1:{cls.ports[name]}"],
                                                  cwd=cls.folder.name, stdout=log, stderr=subprocess.STDOUT)
        wait_for(lambda: is_ready(cls.ports[name]), f"{name} to be ready", PAGE_SECONDS_MAX)

    @classmethod
    def stop(cls, name):
        child = cls.children.pop(name, None)
        if child is not None:
            child.terminate()
            child.wait(timeout=PAGE_SECONDS_MAX)

    @classmethod
    def stop_all(cls):
        for name in list(cls.children):
            cls.stop(name)

    def incident(self, way, status):
        def look():
            found = self.pager.listed(f"/incidents?date_range=all&service_ids[]={self.services[way]}&statuses[]={status}", "incidents")
            return next((one for one in found if "Watchdog" not in one["title"]), None)
        return wait_for(look, f"an incident of {way} that is {status}", PAGE_SECONDS_MAX)

    def amtool(self, *arguments):
        url = f"{self.pager.plain_url}/integration/{self.keys['direct']}"
        done = subprocess.run(["amtool", f"--alertmanager.url={url}", *arguments], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def fire(self, above):
        self.write("rules.yml", RULES.format(above=above))
        self.children["prometheus"].send_signal(signal.SIGHUP)

    def test_1_an_alert_pages_by_every_way_and_its_end_resolves(self):
        self.fire(0)
        for way in self.WAYS:
            with self.subTest(way):
                self.pager.wait_page(self.incident(way, "triggered"), "sms", "+15550001")
        self.fire(2)
        for way in self.WAYS:
            with self.subTest(way):
                self.incident(way, "resolved")

    def test_2_amtool_adds_finds_and_ends_an_alert(self):
        self.amtool("alert", "add", "alertname=ByHand", "severity=critical", "--annotation=summary=Added by hand")
        self.pager.wait_page(self.pager.wait_incident("Added by hand"), "sms", "+15550001")
        found = json.loads(self.amtool("-o", "json", "alert", "query", "alertname=ByHand"))
        self.assertEqual(["Added by hand"], [alert["annotations"]["summary"] for alert in found])
        self.amtool("alert", "add", "alertname=ByHand", "severity=critical", "--end=2026-01-01T00:00:00Z")
        self.assertEqual([], json.loads(self.amtool("-o", "json", "alert", "query", "alertname=ByHand")))

    def test_3_amtool_silences_with_a_token_as_password_or_credentials(self):
        token = self.pager.token
        for name, config in (("password", f"basic_auth: {{username: amtool, password: {token}}}"),
                             ("credentials", f"authorization: {{credentials: {token}}}")):
            with self.subTest(name):
                self.write("http.yml", config + "\n")

                def amtool(*arguments):
                    done = subprocess.run(["amtool", f"--alertmanager.url={self.pager.plain_url}",
                                           f"--http.config.file={os.path.join(self.folder.name, 'http.yml')}", *arguments],
                                          capture_output=True, text=True, timeout=60, check=False)
                    self.assertEqual(0, done.returncode, done.stderr)
                    return done.stdout
                silence = amtool("silence", "add", "--author=Alice", "--comment=ticket 7", "--duration=1h", "alertname=Quiet").strip()
                self.assertEqual([silence], amtool("silence", "query", "-q").split())
                amtool("silence", "expire", silence)
                self.assertEqual([], amtool("silence", "query", "-q").split())

    def test_4_when_prometheus_falls_silent_that_is_paged(self):
        wait_for(lambda: self.pager.get(f"/api/v3/checks/{self.heartbeat}")["status"] == "up", "the Watchdog's ping", PAGE_SECONDS_MAX)
        self.stop("prometheus")
        incident = self.incident("silence", "triggered")
        self.assertIn("Prometheus", incident["title"])
        self.pager.wait_page(incident, "sms", "+15550001")


if __name__ == "__main__":
    unittest.main()
