"""The stand-in for the providers must itself be right: what it writes down is what other tests judge by."""

import base64
import concurrent.futures
import http.client
import json
import os
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

STAND_IN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "ops", "provider-stand-in")
SID, TOKEN = "AC0123", "stand-in token"
FOREVER_S = 20


class StandInTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        command = [sys.executable, STAND_IN, "--dir", self.directory.name, "--http-port", "0", "--smtp-port", "0",
                   "--port-file", os.path.join(self.directory.name, "ports.json"), "--twilio-auth-token", TOKEN]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.ports = json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.terminate()
        self.process.wait(FOREVER_S)
        self.process.stdout.close()

    def deliveries(self):
        with open(os.path.join(self.directory.name, "deliveries.jsonl"), encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def http(self, method, path, body=b"", headers=None, timeout=FOREVER_S):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["http_port"], timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read()), response.headers
        finally:
            connection.close()

    def twilio(self, resource, fields, token=TOKEN, **options):
        credentials = base64.b64encode(f"{SID}:{token}".encode()).decode()
        headers = {"Authorization": "Basic " + credentials, "Content-Type": "application/x-www-form-urlencoded"}
        return self.http("POST", f"/2010-04-01/Accounts/{SID}/{resource}.json", urllib.parse.urlencode(fields), headers, **options)

    def text_message(self, to="+15550100", body="[#1] Disk full", **options):
        return self.twilio("Messages", {"To": to, "From": "+15550199", "Body": body}, **options)

    def control(self, **rule):
        status, answer, _ = self.http("POST", "/_control", json.dumps(rule))
        self.assertEqual(status, 200, answer)

    def smtp(self):
        return smtplib.SMTP("127.0.0.1", self.ports["smtp_port"], timeout=FOREVER_S)

    def test_port_file_names_the_chosen_ports(self):
        with open(os.path.join(self.directory.name, "ports.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), self.ports)

    def test_text_message_reaches_the_phone(self):
        before_ms = time.time_ns() // 1000000
        status, answer, _ = self.text_message(body="Plattenplatz für db1 & mehr")
        self.assertEqual(status, 201)
        self.assertRegex(answer["sid"], r"^SM[0-9a-f]{32}$")
        [delivery] = self.deliveries()
        self.assertGreaterEqual(delivery.pop("time_ms"), before_ms)
        self.assertEqual(delivery, {"channel": "sms", "to": "+15550100", "text": "Plattenplatz für db1 & mehr",
                                    "provider": "twilio", "id": answer["sid"]})

    def test_call_says_its_words(self):
        twiml = "<Response><Say>Disk &amp; all</Say><Pause length=\"1\"/><Say>again</Say></Response>"
        status, answer, _ = self.twilio("Calls", {"To": "+15550100", "From": "+15550199", "Twiml": twiml})
        self.assertEqual((status, answer["sid"][:2]), (201, "CA"))
        self.assertEqual([(d["channel"], d["text"]) for d in self.deliveries()], [("voice", "Disk & all again")])

    def test_wrong_twilio_requests_reach_nobody(self):
        self.assertEqual(self.text_message(token="wrong")[0], 401)
        self.assertEqual(self.http("POST", f"/2010-04-01/Accounts/{SID}/Messages.json", b"To=x")[0], 401)
        self.assertEqual(self.text_message(to="555")[1]["code"], 21211)
        self.assertEqual(self.text_message(body="x" * 1601)[1]["code"], 21617)
        self.assertEqual(self.text_message(body="")[1]["code"], 21602)
        self.assertEqual(self.twilio("Calls", {"To": "+15550100", "From": "+1555", "Twiml": "<Response"})[0], 400)
        self.assertEqual(self.deliveries(), [])

    def test_push_in_both_forms(self):
        self.assertEqual(self.http("POST", "/alice", "plain".encode())[0], 200)
        status, answer, _ = self.http("POST", "/", json.dumps({"topic": "bob", "message": "as JSON", "priority": 5}))
        self.assertEqual((status, answer["topic"]), (200, "bob"))
        self.assertEqual(self.http("POST", "/", "[]")[0], 400)
        self.assertEqual([(d["channel"], d["to"], d["text"]) for d in self.deliveries()],
                         [("push", "alice", "plain"), ("push", "bob", "as JSON")])

    def test_webhook_keeps_its_url_and_text(self):
        self.assertEqual(self.http("POST", "/hooks/team/a?b=c", json.dumps({"event": {"text": "Disk full"}}))[0], 200)
        [delivery] = self.deliveries()
        self.assertEqual((delivery["channel"], delivery["text"]), ("webhook", "Disk full"))
        self.assertEqual(delivery["to"], f"http://127.0.0.1:{self.ports['http_port']}/hooks/team/a?b=c")

    def test_mail_is_decoded_as_a_person_reads_it(self):
        message = ("From: a@example.org\r\nTo: b@example.org\r\nSubject: =?UTF-8?B?w7xiZXI=?=\r\nMessage-ID: <1@x>\r\n"
                   "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   "Content-Transfer-Encoding: quoted-printable\r\n\r\n.dot\r\n=C3=BCber\r\n")
        for mechanism in ("auth_plain", "auth_login"):
            with self.smtp() as smtp:
                smtp.ehlo()
                smtp.user, smtp.password = "user", "password"
                self.assertEqual(smtp.auth(mechanism[5:].upper(), getattr(smtp, mechanism))[0], 235)
                smtp.sendmail("a@example.org", ["b@example.org"], message)
        [first, second] = self.deliveries()
        self.assertEqual((first["channel"], first["to"], first["text"], first["id"]),
                         ("email", "b@example.org", "über\n.dot\nüber\n", "<1@x>"))
        self.assertEqual(second["text"], first["text"])

    def test_refusing_modes_deliver_nothing(self):
        for mode, expected in (("fail", 500), ("throttle", 429), ("never", 400), ("misconfigured", 401)):
            self.control(channel="sms", mode=mode)
            status, _, headers = self.text_message()
            self.assertEqual(status, expected)
            self.assertEqual(headers.get("Retry-After"), "1" if mode == "throttle" else None)
        for mode, expected in (("fail", 451), ("throttle", 450), ("never", 550), ("misconfigured", 535)):
            self.control(channel="email", mode=mode)
            with self.smtp() as smtp, self.assertRaises(smtplib.SMTPRecipientsRefused) as refused:
                smtp.sendmail("a@example.org", ["b@example.org"], "Subject: x\r\n\r\n")
            self.assertEqual(refused.exception.recipients["b@example.org"][0], expected)
        self.assertEqual(self.deliveries(), [])

    def test_hang_never_answers(self):
        self.control(channel="*", mode="hang")
        with self.assertRaises(TimeoutError):
            self.text_message(timeout=0.3)
        self.control(channel="*", mode="ok")
        self.assertEqual(self.text_message()[0], 201)
        self.assertEqual(len(self.deliveries()), 1)

    def test_drop_delivers_but_does_not_answer(self):
        self.control(channel="sms", mode="drop", count=1)
        with self.assertRaises(http.client.RemoteDisconnected):
            self.text_message()
        self.assertEqual(len(self.deliveries()), 1)
        self.control(channel="email", mode="drop")
        with self.assertRaises(smtplib.SMTPServerDisconnected):
            self.smtp().sendmail("a@example.org", ["b@example.org"], "Subject: x\r\n\r\n")
        self.assertEqual([d["channel"] for d in self.deliveries()], ["sms", "email"])

    def test_a_mode_is_for_an_address_and_a_count(self):
        self.control(channel="sms", to="+15550101", mode="fail", count=2)
        self.control(channel="*", mode="never")
        self.control(channel="sms", mode="ok", to="+15550102")
        self.assertEqual([self.text_message(to="+15550101")[0] for _ in range(3)], [500, 500, 400])
        self.assertEqual(self.text_message(to="+15550102")[0], 201)
        self.assertEqual(self.text_message(to="+15550103")[0], 400)
        rules = self.http("GET", "/_control")[1]["rules"]
        self.assertEqual({(rule["channel"], rule["to"], rule["mode"]) for rule in rules},
                         {("*", None, "never"), ("sms", "+15550102", "ok")})

    def test_wrong_control_is_refused_and_changes_nothing(self):
        for rule in ({"channel": "fax", "mode": "ok"}, {"channel": "sms", "mode": "explode"}, {"channel": "sms"}, [],
                     {"channel": "sms", "mode": "fail", "count": 0}, {"channel": "sms", "mode": "fail", "surprise": 1}):
            self.assertEqual(self.http("POST", "/_control", json.dumps(rule))[0], 400, rule)
        self.assertEqual(self.http("POST", "/_control", "{")[0], 400)
        self.assertEqual(self.http("GET", "/_control")[1]["rules"], [])

    def test_many_at_once_while_some_hang(self):
        self.control(channel="sms", to="+15559999", mode="hang")
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            hanging = [pool.submit(self.text_message, to="+15559999", timeout=3) for _ in range(20)]
            sent = [pool.submit(self.text_message, body=f"number {i}") for i in range(400)]
            self.assertEqual({future.result()[0] for future in sent}, {201})
            for future in hanging:
                self.assertIsInstance(future.exception(), TimeoutError)
        self.assertEqual({d["text"] for d in self.deliveries()}, {f"number {i}" for i in range(400)})
        self.assertEqual(len(self.deliveries()), 400)

    def test_ends_cleanly_when_asked_even_with_somebody_hanging(self):
        self.control(channel="sms", mode="hang")
        with self.assertRaises(TimeoutError):
            self.text_message(timeout=0.2)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(FOREVER_S), 0)

    def test_dies_with_its_parent_when_told_to(self):
        port_file = os.path.join(self.directory.name, "child.json")
        script = ("import subprocess, sys; p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE); p.stdout.readline();"
                  "print(p.pid, flush=True); import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        parent = subprocess.run([sys.executable, "-c", script, sys.executable, STAND_IN, "--dir", self.directory.name,
                                 "--port-file", port_file, "--die-with-parent"], stdout=subprocess.PIPE, check=False)
        pid = int(parent.stdout)
        deadline = time.monotonic() + FOREVER_S
        while time.monotonic() < deadline and self.is_alive(pid):
            time.sleep(0.02)
        self.assertFalse(self.is_alive(pid))

    @staticmethod
    def is_alive(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False


if __name__ == "__main__":
    unittest.main()
