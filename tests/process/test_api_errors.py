"""Bad input over the real socket: a clear error in the shape of its API family, and nothing is changed by it."""

import json
import select
import socket
import unittest
import urllib.parse

from cluster import PATIENCE_SECONDS
from company import Company

EVENT_SIZE_BYTES_MAX = 512 << 10
IDLE_CONNECTIONS = 200


class BadInput(unittest.TestCase):
    """Given a small company; whatever is sent, it is the same afterwards."""

    @classmethod
    def setUpClass(cls):
        cls.company = Company(nodes=1)
        cls.addClassCleanup(cls.company.close)
        cls.event = {"routing_key": cls.company.key, "event_action": "trigger", "dedup_key": "bad",
                     "payload": {"summary": "Disk full", "source": "db1", "severity": "critical"}}

    def setUp(self):
        self.before = self.company.everything(1)

    def tearDown(self):
        self.assertEqual(self.before, self.company.everything(1), "bad input changed something")
        self.assertEqual(200, self.company.send(1, "GET", "/healthz", token=False).status)

    # ---- the shapes

    def refused_event(self, body, status=400, error=None, path="/v2/enqueue"):
        answer = self.company.send(1, "POST", path, body, token=False)
        self.assertEqual(status, answer.status, answer)
        self.assertEqual({"status", "message", "errors"}, set(answer.body))
        if error is not None:
            self.assertIn(error, answer.body["errors"])
        return answer

    def refused(self, method, path, body=None, status=400, code=2001, error=None, **options):
        answer = self.company.send(1, method, path, body, **options)
        self.assertEqual(status, answer.status, answer)
        self.assertEqual({"error"}, set(answer.body))
        self.assertEqual(code, answer.body["error"]["code"], answer)
        self.assertTrue(answer.body["error"]["message"])
        if error is not None:
            self.assertTrue(any(error in text for text in answer.body["error"]["errors"]), answer)
        return answer

    def with_event(self, **changes):
        return {**self.event, **changes}

    def with_payload(self, **changes):
        return self.with_event(payload={**self.event["payload"], **changes})

    # ---- what is not JSON

    NOT_JSON = {"nothing": b"", "cut off": b'{"routing_key": "', "no object": b"[1, 2]", "a word": b"trigger", "two objects": b"{} {}",
                "bad UTF-8": b'{"routing_key": "\xff\xfe"}', "overlong UTF-8": b'{"routing_key": "\xc0\xaf"}',
                "NUL as text": b'{"routing_key": "a\\u0000b"}', "NUL as byte": b'{"routing_key": "a\x00b"}',
                "half a surrogate": b'{"routing_key": "\\ud800"}', "twice the same": b'{"user": {}, "user": {}}',
                "not a number": b'{"routing_key": NaN}', "too deep": b'{"a":' * 40 + b"1" + b"}" * 40,
                "far too deep": b"[" * 300000}

    def test_what_is_not_json(self):
        for name, body in self.NOT_JSON.items():
            with self.subTest(name=name):
                answer = self.refused_event(body, error="JSON parse error")
                self.assertEqual("Unrecognized object", answer.body["status"])
                self.refused("POST", "/users", body, error="The body")

    # ---- events

    def test_events_that_are_wrong(self):
        for body, error in (
                ({}, "'routing_key' is missing or blank"),
                (self.with_event(routing_key=" "), "'routing_key' is missing or blank"),
                (self.with_event(routing_key=1), "'routing_key' must be a string"),
                (self.with_event(routing_key="0" * 32), "Invalid routing key"),
                (self.with_event(routing_key="0" * 31), "Length of 'routing_key' is incorrect (should be 32 characters)"),
                (self.with_event(routing_key="'; drop --"), "'routing_key' cannot contain non-alphanumeric characters."),
                (self.with_event(event_action="explode"),
                 "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"),
                (self.with_event(event_action="resolve", dedup_key=None), "'dedup_key' is missing or blank"),
                (self.with_event(dedup_key="k" * 256), "'dedup_key' is too long (maximum is 255 characters)"),
                (self.with_event(payload="Disk full"), "'payload' must be an object"),
                (self.with_event(payload=None), "'payload' is missing or blank"),
                (self.with_payload(summary=None), "'payload.summary' is missing or blank"),
                (self.with_payload(source=["db1"]), "'payload.source' must be a string"),
                (self.with_payload(timestamp="yesterday"), "'payload.timestamp' is invalid (must be an ISO 8601 time)"),
                (self.with_payload(custom_details=[1]), "'payload.custom_details' must be an object"),
                (self.with_event(links=[{"text": "runbook"}]), "'links[0].href' is missing or blank"),
        ):
            with self.subTest(error=error):
                self.assertEqual("invalid event", self.refused_event(body, error=error).body["status"])

    def test_all_errors_of_an_event_at_once(self):
        answer = self.refused_event({"event_action": "trigger", "payload": {"severity": "bad"}})
        self.assertGreaterEqual(len(answer.body["errors"]), 4)

    def test_events_that_are_too_large(self):
        body = json.dumps(self.with_payload(custom_details={"text": "x" * EVENT_SIZE_BYTES_MAX}))
        self.refused_event(body, status=413, error="Event size exceeds the limit of 512 KB")
        self.refused_event(body + " " * EVENT_SIZE_BYTES_MAX, status=413)

    def test_other_ways_to_events(self):
        self.refused_event(self.event, path="/integration/" + "0" * 32 + "/enqueue", error="Invalid routing key")
        answer = self.refused_event(None, status=400, path="/v2/enqueue")
        self.assertEqual("Unrecognized object", answer.body["status"])

    # ---- the rest

    def test_fields_that_are_wrong(self):
        person = {"name": "Bob", "email": "bob@example.com"}
        policy = {"type": "escalation_policy", "name": "P", "escalation_rules": [
            {"escalation_delay_in_minutes": 30, "targets": [{"id": self.company.alice["id"], "type": "user_reference"}]}]}

        def with_delay(minutes):
            return {"escalation_policy": {**policy, "escalation_rules": [
                {**policy["escalation_rules"][0], "escalation_delay_in_minutes": minutes}]}}

        for path, body, error in (
                ("/users", {}, "user"),
                ("/users", {"user": "Bob"}, "user"),
                ("/users", {"user": {**person, "name": None}}, "ame"),
                ("/users", {"user": {**person, "name": 7}}, "ame"),
                ("/users", {"user": {**person, "name": "n" * 10000}}, "too long"),
                ("/users", {"user": {**person, "email": "nobody"}}, "mail"),
                ("/users", {"user": {**person, "email": self.company.alice["email"]}}, "Email has already been taken"),
                ("/users", {"user": {**person, "role": "emperor"}}, "ole"),
                ("/escalation_policies", with_delay(0), "escalation_delay_in_minutes"),
                ("/escalation_policies", with_delay(-1), "escalation_delay_in_minutes"),
                ("/escalation_policies", with_delay(1 << 62), "escalation_delay_in_minutes"),
                ("/escalation_policies", with_delay(1.5), "escalation_delay_in_minutes"),
                ("/escalation_policies", with_delay("30"), "escalation_delay_in_minutes"),
                ("/escalation_policies", {"escalation_policy": {**policy, "num_loops": 1 << 40}}, "num_loops"),
                ("/services", {"service": {"name": "S", "escalation_policy": {"id": "PXXXXXX", "type": "escalation_policy_reference"}}},
                 ""),
        ):
            with self.subTest(path=path, body=str(body)[:200]):
                self.refused("POST", path, body, error=error)
        with self.subTest("an integer beyond 64 bits"):
            self.refused("POST", "/escalation_policies", json.dumps(with_delay(77)).replace("77", "9" * 30), error="The body")

    def test_queries_that_are_wrong(self):
        for query in ("limit=0", "limit=-1", "limit=many", "offset=-1", "offset=9999999", "offset=99999999999999999999",
                      "statuses[]=burning", "since=yesterday"):
            with self.subTest(query=query):
                self.refused("GET", f"/incidents?{query}")

    def test_ids_that_nobody_has(self):
        for method, path, body in (("GET", "/users/PXXXXXX", None), ("GET", "/users/nobody", None), ("GET", "/incidents/0", None),
                                   ("DELETE", "/services/PXXXXXX", None), ("GET", f"/users/{'P' * 500}", None),
                                   ("PUT", "/users/PXXXXXX", {"user": {"name": "Bob", "email": "bob@example.com"}}),
                                   ("GET", "/nothing/here", None), ("GET", "/users/%C3%A9", None)):
            with self.subTest(method=method, path=path[:40]):
                self.refused(method, path, body, status=404, code=2100)

    def test_methods_that_a_path_does_not_have(self):
        for method, path, allowed in (("DELETE", "/users", {"GET", "POST"}), ("PATCH", f"/users/{self.company.alice['id']}", {"GET", "PUT"}),
                                      ("POST", "/healthz", {"GET"}), ("BREW", "/incidents", {"GET"})):
            with self.subTest(method=method, path=path):
                answer = self.refused(method, path, status=405)
                self.assertLessEqual(allowed, {name.strip() for name in answer.headers["Allow"].split(",")})
        answer = self.company.send(1, "GET", "/v2/enqueue", token=False)
        self.assertEqual((405, "POST", "method not allowed"), (answer.status, answer.headers["Allow"], answer.body["status"]))

    def test_tokens(self):
        for headers in ({}, {"Authorization": "Token token=" + "x" * 20}, {"Authorization": "Basic YTpi"},
                        {"Authorization": "Token token="}, {"Authorization": "Bearer " + "x" * 5000}, {"X-Api-Key": "0"}):
            with self.subTest(headers=str(headers)[:60]):
                answer = self.refused("GET", "/users", status=401, code=2006, token=False, headers=headers)
                self.assertTrue(answer.headers["WWW-Authenticate"])
                self.refused("POST", "/users", {"user": {"name": "Bob", "email": "bob@example.com"}}, status=401, code=2006, token=False,
                             headers=headers)

    def test_bodies_that_are_too_large(self):
        self.refused("POST", "/users", json.dumps({"user": {"name": "x" * (1 << 20)}}), status=413)

    def test_targets_that_are_wrong(self):
        for target in ("/users/%00", "/users?query=%00", "/users/%ff", "/users/%zz", "/users/%4", "/" + "/".join("a" * 20),
                       "/users?" + "&".join(f"a{i}=1" for i in range(200))):
            with self.subTest(target=target[:40]):
                self.refused("GET", target)
        self.refused("GET", "/users?query=" + "a" * 10000, status=414)

    # ---- the socket itself

    def connect(self):
        address = urllib.parse.urlsplit(self.company.node(1)["url"])
        return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_SECONDS)

    def raw(self, data):
        """The status line of the answer, "" when the connection is ended without one."""
        with self.connect() as connection:
            try:
                connection.sendall(data)
                return connection.makefile("rb").readline().decode()
            except ConnectionError:
                return ""

    def test_what_is_not_http(self):
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n", b"GET\r\n\r\n", b"\r\n\r\n\r\nhello\r\n\r\n",
                     b"GET /users HTTP/1.1\r\n\r\n", b"POST /v2/enqueue HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
                     b"POST /v2/enqueue HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n"):
            with self.subTest(data=data[:40]):
                status = self.raw(data)
                self.assertTrue(status == "" or status.split()[1].startswith("4"), status)

    def test_headers_without_end(self):
        many = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(100))
        status = self.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + many + b"\r\n")
        self.assertTrue(status == "" or status.split()[1] in ("413", "431"), status)

    def test_half_a_request(self):
        body = json.dumps(self.event).encode()
        for data in (b"POST /v2/enq", b"POST /v2/enqueue HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:-1],
                     b"POST /v2/enqueue HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(body) + body + b"\r\n"):
            with self.subTest(data=data[:40]):
                for _ in range(20):
                    with self.connect() as connection:
                        connection.sendall(data)

    def test_idle_connections_block_nobody(self):
        idle = [self.connect() for _ in range(IDLE_CONNECTIONS)]
        try:
            for connection in idle[::2]:
                connection.sendall(b"POST /v2/enqueue HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
            for _ in range(20):
                self.assertEqual(200, self.company.send(1, "GET", "/users", timeout=5).status)
            self.assertEqual(([], [], []), select.select(idle, [], [], 0), "nobody of them was ended for it")
        finally:
            for connection in idle:
                connection.close()


if __name__ == "__main__":
    unittest.main()
