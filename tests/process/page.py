"""One incident as people and its timeline tell it: what the phones received, and what GET /incidents/{id}/log_entries says."""

import datetime
import itertools
import time

from cluster import incident_number, wait_for

NUMBERS = itertools.count(5552000)
METHODS = {"sms": "sms", "voice": "phone", "push": "push_notification", "email": "email", "webhook": "webhook"}
TIMELINE_WORDS = {"voice": "phone"}  # where the API's word for a channel is not the stand-in's
REPEATED = "possibly repeated"


class Person:
    """Somebody who is told at once by the first of these channels; the others are there for when it fails."""

    def __init__(self, cluster, name, channels):
        node = cluster.numbers()[0]
        number = str(next(NUMBERS))
        hook = f"{cluster.description['stand_in']['url']}/hooks/{number}"
        entered = {"sms": number, "voice": number, "push": f"phone-{number}", "email": f"p{number}@example.com", "webhook": hook}
        self.name = name
        self.address = {**entered, "sms": f"+1{number}", "voice": f"+1{number}"}
        user = cluster.call(node, "POST", "/users", {"user": {"name": name, "email": entered["email"]}})["user"]
        self.id = user["id"]
        self.method_ids = {}
        for channel in channels:
            kind = f"{METHODS[channel]}_contact_method"
            method = cluster.call(node, "POST", f"/users/{self.id}/contact_methods", {"contact_method": {
                "type": kind, "label": channel, "address": entered[channel]}})["contact_method"]
            self.method_ids[channel] = method["id"]
            if channel == channels[0]:
                cluster.call(node, "POST", f"/users/{self.id}/notification_rules", {"notification_rule": {
                    "type": "assignment_notification_rule", "start_delay_in_minutes": 0, "urgency": "high",
                    "contact_method": {"id": method["id"], "type": kind}}})

    def __getitem__(self, key):
        return {"id": self.id}[key]  # as Cluster.policy takes them


class Page:
    """An incident of a service of its own, so that tests can share a cluster."""

    def __init__(self, cluster, name, levels, num_loops=0, **service):
        self.cluster, self.name = cluster, name
        self.policy = cluster.policy(name, levels, num_loops)
        self.service, self.key = cluster.service(name, self.policy, **service)
        self.began = None
        self.incident = None

    def event(self, action="trigger"):
        self.cluster.event(self.cluster.numbers(), self.key, self.name, action)

    def trigger(self):
        self.began = time.time()
        self.event()
        self.incident = wait_for(lambda: self.cluster.incident(self.cluster.numbers(), self.name), f"the incident of {self.name}")
        return self

    def get(self, what=""):
        return self.cluster.insist(self.cluster.numbers(), "GET", f"/incidents/{self.incident['id']}{what}")

    def now(self):
        return self.get()["incident"]

    def change(self, **fields):
        return self.cluster.insist(self.cluster.numbers(), "PUT", f"/incidents/{self.incident['id']}",
                                   {"incident": {"type": "incident_reference", **fields}})["incident"]

    def received(self, *people, channel=None):
        """Deliveries of the incident, oldest first: all, or those of these people."""
        addresses = {address for person in people for address in person.address.values()}
        found = [d for d in self.cluster.deliveries() if incident_number(d["text"]) == self.incident["incident_number"]]
        return sorted((d for d in found if (not people or d["to"] in addresses) and channel in (None, d["channel"])),
                      key=lambda delivery: delivery["time_ms"])

    def wait_received(self, count, *people, channel=None, seconds=30):
        def enough():
            received = self.received(*people, channel=channel)
            return received if len(received) >= count else None
        names = " and ".join(person.name for person in people) or "anybody"
        try:
            return wait_for(enough, f"page {count} of {names} in {self.name}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from error

    def timeline(self, kind=None):
        """Log entries, oldest first: all, or those of "notify", "escalate", ..."""
        entries = self.get("/log_entries?limit=100")["log_entries"][::-1]
        return [entry for entry in entries if kind is None or entry["type"] == f"{kind}_log_entry"]

    def wait_timeline(self, kind, seconds=30, count=1, **wanted):
        def there():
            found = [entry for entry in self.timeline(kind) if all(entry[key] == value for key, value in wanted.items())]
            return found if len(found) >= count else None
        try:
            return wait_for(there, f"{kind} {wanted} in {self.name}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from error

    def attempts(self, channel):
        """(outcome, seconds after the trigger) of each attempt on this channel, as the timeline has them."""
        word = TIMELINE_WORDS.get(channel, channel)
        return [(entry["channel"]["notification"]["status"],
                 datetime.datetime.fromisoformat(entry["created_at"]).timestamp() - int(self.began))
                for entry in self.timeline("notify") if entry["channel"]["notification"]["type"] == word]

    def outcomes(self, channel):
        return [outcome for outcome, _ in self.attempts(channel)]

    def after_seconds(self, delivery):
        return delivery["time_ms"] / 1000 - self.began

    def story(self):
        """All there is to know, for a test that failed."""
        lines = [f"{entry['created_at']} {entry['type']}: {entry['summary']} ({entry['why']})" for entry in self.timeline()]
        return "\n".join(lines + [str(delivery) for delivery in self.received()])
