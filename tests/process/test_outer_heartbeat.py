"""Outside services hear of the cluster while pages would get out, and of nothing else; two clusters watch each other."""

import http.server
import os
import re
import signal
import threading
import time
import unittest

from cluster import wait_for
from company import Company

MINUTE_SECONDS = 1


class Outside:
    """A service that is pinged; what came, by path."""

    def __init__(self):
        outside = self
        self.pings = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outside.pings.append((self.path, self.headers.get("Authorization")))
                self.send_response(404 if self.path == "/gone" else 202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def count(self, path):
        return sum(1 for ping in self.pings if ping[0] == path)


def configure(company, text, change=lambda before: before):
    """Into every node's configuration; they start again with it."""
    for number in company.numbers():
        with open(company.node(number)["config"], "r+", encoding="utf-8") as file:
            whole = change(file.read()) + text
            file.seek(0)
            file.write(whole)
            file.truncate()
        company.kill(number, "TERM")
    for number in company.numbers():
        company.start(number)
    company.wait_leader()


def standing(company, name):
    """What the leader says of one outside URL."""
    leader = company.leader()
    view = company.view(leader) if leader else None
    return next(outer for outer in view["outer"] if outer["name"] == name) if view else None


class OuterHeartbeat(unittest.TestCase):
    def company(self, **options):
        company = Company(minute_ms=MINUTE_SECONDS * 1000, **options)
        self.addCleanup(company.close)
        return company

    def test_pinged_while_well_and_silent_without_providers_or_majority(self):
        outside, company = Outside(), self.company()
        self.addCleanup(outside.close)
        key = os.path.join(company.directory, "genie")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write("k-1\n")
        configure(company, f"\n[outer.hc]\npreset = healthchecks\nurl = {outside.url}/hc\n[outer.og]\npreset = opsgenie\nurl = {outside.url}/og\n"
                           f"key_file = {key}\n[outer.gone]\npreset = url\nurl = {outside.url}/gone\n")
        wait_for(lambda: outside.count("/hc") > 1 and outside.count("/og") > 1, "pings")
        self.assertIn(("/og", "GenieKey k-1"), outside.pings)
        wait_for(lambda: (standing(company, "gone") or {}).get("why_not") == "it answered with 404", "the refusal, shown")
        well = standing(company, "hc")
        self.assertEqual((None, True), (well["why_not"], well["silence_pages"]))
        self.assertLess(abs(well["last_ping_ms"] / 1000 - time.time()), 5)
        self.assertNotIn("url", well)

        os.kill(company.description["stand_in"]["pid"], signal.SIGSTOP)
        wait_for(lambda: standing(company, "hc")["why_not"] == "no provider answers that anybody could be told by", "the end of pings without providers")
        before = outside.count("/hc")
        time.sleep(2 * MINUTE_SECONDS)
        self.assertEqual(before, outside.count("/hc"))
        os.kill(company.description["stand_in"]["pid"], signal.SIGCONT)
        wait_for(lambda: outside.count("/hc") > before, "pings with providers")

        leader = company.wait_leader()
        for number in company.others(leader):
            company.pause(number)
        time.sleep(2 * MINUTE_SECONDS)  # a round that had passed before
        before = outside.count("/hc")
        time.sleep(2 * MINUTE_SECONDS)
        self.assertEqual(before, outside.count("/hc"))
        for number in company.others(leader):
            company.resume(number)
        wait_for(lambda: outside.count("/hc") > before, "pings with a majority")

        # Pushes would get out, and nobody has a way of being told by push.
        gone = "http://127.0.0.1:1"
        configure(company, "", lambda text: re.sub("(?m)^url = smtp.*", "url = smtp://127.0.0.1:1", re.sub(r"(\[twilio\]\n(?:.+\n)*?base_url = ).*", rf"\1{gone}", text)))
        wait_for(lambda: (standing(company, "hc") or {}).get("why_not") == "no provider answers that anybody could be told by", "what push is worth")

    def test_a_storm_that_moves_and_one_that_stands_still(self):
        outside, company = Outside(), self.company(nodes=1)
        self.addCleanup(outside.close)
        configure(company, f"\n[outer.hc]\npreset = healthchecks\nurl = {outside.url}/hc\n")
        wait_for(lambda: outside.count("/hc") > 0, "pings")
        # More than go out at once, to a provider that knows us and takes nothing.
        company.misbehave(channel="sms", mode="hang")
        keys = company.trigger_many([1], "storm", 60)
        wait_for(lambda: (standing(company, "hc") or {}).get("why_not") == "pages wait, and none is taken", "the end of pings while nothing leaves")
        before = outside.count("/hc")
        time.sleep(2 * MINUTE_SECONDS)
        self.assertEqual(before, outside.count("/hc"))
        company.misbehave(channel="sms", mode="ok")
        wait_for(lambda: outside.count("/hc") > before, "pings while pages leave")
        company.wait_paged([1], keys[-1])

    def test_two_clusters_watch_each_other(self):
        pair = [self.company(nodes=1) for _ in range(2)]
        # The first has its mail server and nothing else to reach people by.
        mail_only = lambda text: re.sub("(?m)^base_url = .*", "base_url = http://127.0.0.1:1", text)  # noqa: E731
        for watched, watching, change in ((*pair, mail_only), (*reversed(pair), str)):
            check = watching.call(1, "POST", "/api/v3/checks/", {
                "name": "neighbour", "slug": "neighbour", "timeout": 60, "grace": 120, "service": watching.payments["id"]})
            configure(watched, f"\n[outer.neighbour]\npreset = tocsin\nurl = {watching.node(1)['url']}/ping/{check['uuid']}\n", change)
        for company in pair:
            wait_for(lambda: company.call(1, "GET", "/api/v3/checks/")["checks"][0]["n_pings"] > 1, "the neighbour's pings")
        pair[0].kill(1)
        wait_for(lambda: any("neighbour is silent" in delivery["text"] for delivery in pair[1].deliveries()), "the page for the neighbour's silence")
        self.assertFalse(any("neighbour is silent" in delivery["text"] for delivery in pair[0].deliveries()))


if __name__ == "__main__":
    unittest.main()
