"""A real cluster on loopback for tests: started and hurt through ops/dev-cluster, spoken to over HTTP."""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TOCSIN_BUILD", os.path.join(ROOT, "build"))
DEV_CLUSTER = os.path.join(ROOT, "ops", "dev-cluster")
sys.path.append(os.path.join(ROOT, "ops"))
from free_port import free_port  # noqa: E402, F401 (for the tests)

PATIENCE_SECONDS = 60


class Unavailable(Exception):
    """Nobody answered, or 503: the outcome is not known, ask again."""


def wait_for(condition, what, seconds=PATIENCE_SECONDS):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Cluster:
    def __init__(self, nodes=3, minute_ms=60000, directory=None, retention_days=0, public_url=None, last_gasp_after_ms=90000):
        self.temporary = tempfile.TemporaryDirectory(prefix="tocsin-test-") if directory is None else None
        self.directory = directory or self.temporary.name
        self.verb("up", "--base-port", "0", "--nodes", str(nodes), "--minute-ms", str(minute_ms), "--retention-days",
                  str(retention_days), "--last-gasp-after-ms", str(last_gasp_after_ms), "--build", BUILD,
                  *(["--public-url", public_url] if public_url else []))
        self.minute_seconds = minute_ms / 1000

    def verb(self, verb, *arguments):
        done = subprocess.run([DEV_CLUSTER, verb, "--dir", self.directory, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"dev-cluster {verb}: {done.stderr}{self.logs()}")
        return done.stdout

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".log"):
                with open(os.path.join(self.directory, name), encoding="utf-8", errors="replace") as file:
                    text += f"\n--- {name}\n{file.read()[-3000:]}"
        return text

    @property
    def description(self):
        with open(os.path.join(self.directory, "cluster.json"), encoding="utf-8") as file:
            return json.load(file)

    def close(self):
        self.verb("down")
        findings = self.findings()
        if self.temporary:
            self.temporary.cleanup()
        if findings:
            raise AssertionError(f"a sanitizer found something in a node:\n{findings}")

    def findings(self):
        """What a sanitizer wrote into a node's log; a killed node cannot say it by its exit status."""
        text = ""
        for name in sorted(os.listdir(self.directory)):
            if name.startswith("node-") and name.endswith(".log"):
                with open(os.path.join(self.directory, name), encoding="utf-8", errors="replace") as file:
                    log = file.read()
                at = re.search(r"Sanitizer|runtime error:", log)
                if at:
                    text += f"--- {name}\n{log[max(0, at.start() - 200):at.start() + 6000]}\n"
        return text

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    # ---- hurting

    def kill(self, node, signal="KILL"):
        self.verb("kill", "--node", str(node), "--signal", signal)

    def start(self, node):
        self.verb("start", "--node", str(node))

    # ---- growing and shrinking

    def add(self):
        """One more node, which takes part from now on; its number."""
        return int(self.verb("add"))

    def remove(self, node):
        self.verb("remove", "--node", str(node))

    # ---- asking

    def numbers(self):
        return [node["id"] for node in self.description["nodes"]]

    def request(self, number, method, path, body=None, headers=None, token=True, timeout=15):
        """(status, parsed body). Raises Unavailable when nobody answers."""
        description = self.description
        node = next(node for node in description["nodes"] if node["id"] == number)
        sent = {"Authorization": f"Token token={description['token']}"} if token else {}
        sent.update(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        address = urllib.parse.urlsplit(node["url"])
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(str(error)) from error
        finally:
            connection.close()
        return response.status, json.loads(data) if data else None

    def call(self, number, method, path, body=None, expect=(200, 201, 202, 204), **options):
        status, answer = self.request(number, method, path, body, **options)
        if status == 503:
            raise Unavailable(str(answer))
        if status not in expect:
            raise AssertionError(f"{method} {path} on node {number}: {status} {answer}")
        return answer

    def insist(self, numbers, method, path, body=None, seconds=PATIENCE_SECONDS, **options):
        """Asks one node after the other until one answers; for requests that may be repeated."""
        deadline = time.monotonic() + seconds
        turn = 0
        while True:
            try:
                return self.call(numbers[turn % len(numbers)], method, path, body, timeout=4, **options)
            except Unavailable as error:
                turn += 1
                if time.monotonic() > deadline:
                    raise AssertionError(f"nobody took {method} {path} within {seconds} s: {error}{self.logs()}") from error
                time.sleep(0.05)

    def view(self, number):
        try:
            return self.request(number, "GET", "/cluster", timeout=2)[1]
        except Unavailable:
            return None

    def leader(self, among=None):
        """The node that leads and is ready, None while there is none."""
        for number in among or self.numbers():
            view = self.view(number)
            if view and view["role"] == "leader" and view["ready"]:
                return number
        return None

    def wait_leader(self, among=None, seconds=PATIENCE_SECONDS):
        return wait_for(lambda: self.leader(among), f"a leader among {among or 'all'}", seconds)

    def deliveries(self):
        with open(self.description["deliveries"], encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def misbehave(self, **control):
        address = urllib.parse.urlsplit(self.description["stand_in"]["url"])
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        connection.request("POST", "/_control", body=json.dumps(control), headers={"Content-Type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        if status >= 300:
            raise AssertionError(f"the stand-in answered {status}")

    # ---- a small company

    def person(self, name, number, kinds=("sms", "phone", "push_notification")):
        node = self.numbers()[0]
        user = self.call(node, "POST", "/users", {"user": {"name": name, "email": f"{name.lower()}@example.com"}})["user"]
        for kind in kinds:
            address = f"{name.lower()}-phone" if kind == "push_notification" else user["email"] if kind == "email" else number
            self.call(node, "POST", f"/users/{user['id']}/contact_methods",
                      {"contact_method": {"type": f"{kind}_contact_method", "label": kind, "address": address}})
        return user

    def policy(self, name, levels, num_loops=0):
        rules = [{"escalation_delay_in_minutes": delay, "targets": [{"id": user["id"], "type": "user_reference"} for user in users]}
                 for delay, users in levels]
        return self.call(self.numbers()[0], "POST", "/escalation_policies", {"escalation_policy": {
            "type": "escalation_policy", "name": name, "num_loops": num_loops, "escalation_rules": rules}})["escalation_policy"]

    def service(self, name, policy, **fields):
        node = self.numbers()[0]
        service = self.call(node, "POST", "/services", {"service": {
            "name": name, "escalation_policy": {"id": policy["id"], "type": "escalation_policy_reference"}, **fields}})["service"]
        integration = self.call(node, "POST", f"/services/{service['id']}/integrations", {"integration": {
            "type": "events_api_v2_inbound_integration", "name": "events"}})["integration"]
        return service, integration["integration_key"]

    def event(self, numbers, key, dedup_key, action="trigger", summary="Disk full"):
        body = {"routing_key": key, "event_action": action, "dedup_key": dedup_key,
                "payload": {"summary": summary, "source": "db1", "severity": "critical"}}
        return self.insist(numbers, "POST", "/v2/enqueue", body, token=False)

    def incident(self, numbers, key):
        """The incident of a dedup key, which its events carry as incident_key."""
        found = self.insist(numbers, "GET", f"/incidents?incident_key={urllib.parse.quote(key)}&date_range=all")["incidents"]
        return found[0] if found else None


def incident_number(text):
    match = re.search(r"#(\d+)", text)
    return int(match.group(1)) if match else None
