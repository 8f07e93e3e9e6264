"""A pager for a suite: three real nodes with TLS in front, and what people's phones got."""

import os
import re
import tempfile
import urllib.parse

from cluster import Cluster, wait_for
from front import Front

MINUTE_MS = 1000
PAGE_SECONDS_MAX = 30


class Pager(Cluster):
    def __init__(self, nodes=3):
        self.folder = tempfile.TemporaryDirectory(prefix="tocsin-interop-")
        self.front = Front(self.folder.name)
        super().__init__(nodes=nodes, minute_ms=MINUTE_MS, directory=os.path.join(self.folder.name, "cluster"), public_url=self.front.url)
        addresses = [urllib.parse.urlsplit(node["url"]) for node in self.description["nodes"]]
        self.front.serve([(address.hostname, address.port) for address in addresses])
        self.url, self.token = self.front.url, self.description["token"]
        self.plain_url = self.description["nodes"][0]["url"]

    def close(self):
        self.front.close()
        super().close()
        self.folder.cleanup()

    # ---- as an operator who looks, beside the client

    def get(self, path):
        return self.insist(self.numbers(), "GET", path)

    def listed(self, path, name):
        return self.get(f"{path}{'&' if '?' in path else '?'}limit=100")[name]

    def named(self, path, plural, name):
        """The object of that name, or None."""
        return next((one for one in self.listed(f"{path}?query={urllib.parse.quote(name)}", plural) if one["name"] == name), None)

    def send(self, key, summary, **payload):
        """An event as monitoring sends it; its dedup key."""
        body = {"routing_key": key, "event_action": "trigger",
                "payload": {"summary": summary, "source": "db1", "severity": "critical", **payload}}
        return self.insist(self.numbers(), "POST", "/v2/enqueue", body, token=False)["dedup_key"]

    def wait_incident(self, title):
        return wait_for(lambda: next((one for one in self.listed("/incidents?date_range=all", "incidents") if one["title"] == title), None),
                        f"the incident '{title}'", PAGE_SECONDS_MAX)

    def pages(self, incident):
        """What arrived about an incident."""
        number = rf"#{incident['incident_number']}\b"
        return [delivery for delivery in self.deliveries() if re.search(number, delivery["text"])]

    def wait_page(self, incident, channel, to):
        """Until someone got a page about an incident by this channel, at this address."""
        return wait_for(lambda: next((page for page in self.pages(incident) if page["channel"] == channel and page["to"] == to), None),
                        f"a page of #{incident['incident_number']} by {channel} to {to}", PAGE_SECONDS_MAX)
