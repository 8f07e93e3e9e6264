"""A small company on a real cluster, with what tests of single requests need: headers, one try, everything that is listed."""

import collections
import http.client
import json
import os
import signal
import urllib.parse

from cluster import Cluster, Unavailable, incident_number, wait_for

Answer = collections.namedtuple("Answer", "status headers body")

# offset + limit of a list (PagerDuty, classic pagination).
LIST_LENGTH_MAX = 10000


class Company(Cluster):
    """Alice, whom one service pages; nobody else."""

    def __init__(self, **options):
        super().__init__(**options)
        try:
            self.alice = self.person("Alice", "5550101", kinds=("sms",))
            self.on_call = self.policy("Operations", [(30, [self.alice])])
            self.payments, self.key = self.service("Payments", self.on_call)
        except BaseException:
            self.close()
            raise

    # ---- processes

    def pid(self, number):
        return self.node(number)["pid"]

    def node(self, number):
        return next(node for node in self.description["nodes"] if node["id"] == number)

    def others(self, number):
        return [other for other in self.numbers() if other != number]

    def kill_and_wait(self, number, name="KILL"):
        self.kill(number, name)
        wait_for(lambda: not self.answers(number), f"the end of node {number}")

    def answers(self, number):
        try:
            return self.send(number, "GET", "/healthz", timeout=1).status
        except Unavailable:
            return None

    def pause(self, number):
        os.kill(self.pid(number), signal.SIGSTOP)

    def resume(self, number):
        os.kill(self.pid(number), signal.SIGCONT)

    # ---- requests

    def send(self, number, method, path, body=None, headers=None, token=True, timeout=30):
        """One request, one answer with its headers. Raises Unavailable when nobody answers."""
        sent = {"Authorization": f"Token token={self.description['token']}"} if token is True else {}
        sent.update(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        address = urllib.parse.urlsplit(self.node(number)["url"])
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(str(error)) from error
        finally:
            connection.close()
        return Answer(response.status, response.headers, json.loads(data) if data else None)

    def trigger(self, number, dedup_key, **options):
        """One try of one event."""
        body = {"routing_key": self.key, "event_action": "trigger", "dedup_key": dedup_key,
                "payload": {"summary": f"{dedup_key} is on fire", "source": "db1", "severity": "critical"}}
        return self.send(number, "POST", "/v2/enqueue", body, token=False, **options)

    def trigger_many(self, numbers, prefix, count):
        """One after the other, so that each makes an entry of its own; the keys."""
        keys = [f"{prefix}-{i}" for i in range(count)]
        for i, key in enumerate(keys):
            answer = self.trigger(numbers[i % len(numbers)], key)
            if answer.status != 202:
                raise AssertionError(f"{key}: {answer}")
        return keys

    def wait_paged(self, numbers, dedup_key):
        """Until somebody has been told of the event's incident."""
        number = wait_for(lambda: self.incident(numbers, dedup_key), f"the incident of {dedup_key}")["incident_number"]
        wait_for(lambda: any(incident_number(delivery["text"]) == number for delivery in self.deliveries()), f"the page of {dedup_key}")

    def listed(self, number, path, name, at_most=None):
        """Every element of a list, over all its pages, as one node tells it now; or the first of them."""
        elements = []
        separator = "&" if "?" in path else "?"
        while True:
            answer = self.send(number, "GET", f"{path}{separator}limit=100&offset={len(elements)}")
            if answer.status != 200 or answer.headers.get("Tocsin-Stale"):
                raise Unavailable(f"{path} on node {number}: {answer}")
            elements += answer.body[name]
            if not answer.body["more"] or len(elements) == at_most:
                return elements

    def incident_keys(self, number):
        return {incident["incident_key"] for incident in self.listed(number, "/incidents?date_range=all", "incidents")}

    def everything(self, number):
        """What people see of the cluster, without the node's own address; of the log entries those that a list tells."""
        url = self.node(number)["url"]
        lists = {name: self.listed(number, path, name, LIST_LENGTH_MAX) for name, path in (
            ("incidents", "/incidents?date_range=all"), ("users", "/users"), ("services", "/services"),
            ("escalation_policies", "/escalation_policies"), ("log_entries", "/log_entries"))}
        return json.loads(json.dumps(lists).replace(url, "http://tocsin"))
