"""Nodes watch each other: one that is missing is told on the cluster's own service, and over once it is back; certificates that expire are told."""

import http.server
import os
import ssl
import subprocess
import threading
import time
import unittest

from cluster import wait_for
from company import Company

MINUTE_MS = 1000


class Site:
    """An address with a certificate of an authority of its own; counts what is asked of it."""

    def __init__(self, directory):
        site = self
        self.directory, self.requests = directory, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        self.run("req", "-x509", *kind, "-keyout", "ca.key", "-out", "ca.pem", "-days", "900", "-subj", "/CN=An authority")
        self.run("req", *kind, "-keyout", "site.key", "-out", "site.csr", "-subj", "/CN=localhost")
        with open(self.path("names"), "w", encoding="ascii") as file:
            file.write("subjectAltName = DNS:localhost\n")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # who looks at the certificate goes without a word
        self.name = f"localhost:{self.server.server_port}"
        self.certify(400)
        # The handshake is the connection's own thread's: who connects and says nothing keeps nobody else waiting.
        self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def path(self, name):
        return os.path.join(self.directory, name)

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def certify(self, days):
        self.run("x509", "-req", "-in", "site.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", str(days),
                 "-out", "site.pem")
        self.context.load_cert_chain(self.path("site.pem"), self.path("site.key"))

    def close(self):
        self.server.shutdown()
        self.server.server_close()


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

    def test_a_provider_that_refuses_or_fails(self):
        company = Company(minute_ms=MINUTE_MS)
        self.addCleanup(company.close)
        leader = company.wait_leader()

        def conditions():
            return [condition["key"] for condition in company.call(leader, "GET", "/cluster")["conditions"]]

        def probes(number):
            return {provider["provider"]: provider["probe"] for provider in company.call(number, "GET", "/cluster")["providers"]}

        def incident(key):
            told = [one for one in company.listed(leader, "/incidents?date_range=all", "incidents") if one["incident_key"] == key]
            return (told[0]["status"], told[0]["urgency"], told[0]["service"]["summary"]) if told else None

        # Alice has a telephone, the guardians have that and mail; nobody has a topic.
        wait_for(lambda: probes(leader) == {"twilio": "works", "smtp": "works", "ntfy": "unknown", "webhook": "unknown"}, "what the providers say")
        company.misbehave(channel="probe", to="twilio", mode="misconfigured")
        wait_for(lambda: conditions() == ["provider-twilio/refused"], "what is told of credentials that were revoked")
        self.assertEqual(("triggered", "high", "Tocsin"), incident("provider-twilio/refused"))
        wait_for(lambda: [one for one in company.deliveries() if "Provider twilio refuses the credentials" in one["text"]], "the guardians' page")
        company.misbehave(channel="probe", mode="ok")
        wait_for(lambda: not conditions(), "the end of it")
        self.assertEqual("resolved", incident("provider-twilio/refused")[0])

        company.misbehave(channel="probe", to="smtp", mode="fail")
        began = time.monotonic()
        wait_for(lambda: "fails" in probes(leader).values(), "the first that fails")
        wait_for(lambda: "provider-smtp/down" in conditions(), "what is told of a mail server that fails for long")
        self.assertGreater(time.monotonic() - began, 5 * MINUTE_MS / 1000)
        self.assertEqual(("triggered", "high", "Tocsin"), incident("provider-smtp/down"))
        company.misbehave(channel="probe", mode="ok")
        wait_for(lambda: not conditions(), "the end of that")
        self.assertFalse([one for one in company.deliveries() if one["channel"] == "probe"])

    def test_a_leader_that_reaches_no_provider_lets_another_lead(self):
        company = Company(minute_ms=MINUTE_MS)
        self.addCleanup(company.close)
        shut = company.others(company.wait_leader())[0]
        company.kill_and_wait(shut, "TERM")
        with open(company.node(shut)["config"], "r+", encoding="utf-8") as file:
            text = file.read().replace("url = smtp://127.0.0.1", "url = smtp://127.0.0.2").replace("base_url = http://127.0.0.1", "base_url = http://127.0.0.2")
            file.seek(0)
            file.write(text)
            file.truncate()
        company.start(shut)

        def handed_over():
            with open(os.path.join(company.directory, f"node-{shut}.log"), encoding="utf-8") as file:
                return "this node leads and reaches no provider" in file.read()

        # Until it leads, whoever does has to go.
        for _ in range(12):
            leader = company.wait_leader()
            if leader == shut or handed_over():
                break
            company.kill_and_wait(leader)
            company.wait_leader(company.others(leader))
            company.start(leader)
        wait_for(handed_over, "the leader's word")
        wait_for(lambda: company.leader() not in (None, shut), "another leader")

    def test_a_certificate_that_expires(self):
        company = Company(minute_ms=MINUTE_MS)
        self.addCleanup(company.close)
        site = Site(company.directory)
        self.addCleanup(site.close)
        site.certify(20)

        def conditions():
            leader = company.leader()
            return {condition["key"]: condition["summary"] for condition in company.call(leader, "GET", "/cluster")["conditions"]} if leader else None

        def lead_anew(text=None):
            """Who begins to lead looks again."""
            for number in company.numbers():
                if text is not None:
                    with open(company.node(number)["config"], "a", encoding="utf-8") as file:
                        file.write(text)
                company.kill(number, "TERM")
            for number in company.numbers():
                company.start(number)
            company.wait_leader()

        def incident(key):
            told = [one for one in company.listed(company.wait_leader(), "/incidents?date_range=all", "incidents") if one["incident_key"] == key]
            return (told[0]["status"], told[0]["urgency"]) if told else None

        lead_anew(f"\n[outer.site]\npreset = url\nurl = https://{site.name}/secret\n")
        untrusted, month, week = (f"certificate-{stage}/{site.name}" for stage in ("untrusted", "30", "7"))
        wait_for(lambda: {untrusted, month} == set(conditions() or ()), "what is told of an authority that nobody knows")
        self.assertIn("expires in 19 days", conditions()[month])
        self.assertEqual(0, site.requests)
        self.assertEqual((("triggered", "high"), ("triggered", "low")), (incident(untrusted), incident(month)))

        site.certify(5)
        lead_anew(f"\n[node]\nca_file = {site.path('ca.pem')}\n")
        wait_for(lambda: [week] == list(conditions() or ()), "what is told of a certificate that is trusted, and late")
        self.assertIn("expires in 4 days", conditions()[week])
        self.assertEqual((("resolved", "low"), ("triggered", "high")), (incident(month), incident(week)))
        wait_for(lambda: site.requests > 0, "the outer heartbeat's pings, which trust it, too")

        site.certify(400)
        lead_anew()
        wait_for(lambda: conditions() == {}, "the end of it")
        self.assertEqual(("resolved", "high"), incident(week))


if __name__ == "__main__":
    unittest.main()
