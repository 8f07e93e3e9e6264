"""Nights full of failures: incidents come in, nodes are hurt, somebody acknowledges, and the oracle judges every page."""

import itertools
import random
import time

from cluster import Cluster, Unavailable, incident_number, wait_for
from oracle import Owed, Story, judge

MINUTE_MS = 1000
PEOPLE = {"Alice": ("5550101", "alice-phone"), "Bob": ("5550102", "bob-phone"),
          "Grace": ("5550190", "grace@example.com"), "Gus": ("5550191", "gus@example.com")}
LEVEL_MINUTES = 5
POLICY_MINUTES = 2 * LEVEL_MINUTES
# Alice at once by push and text, by call after two and four minutes; then Bob the same; then the policy ends and the guardians hear of it.
OWED = [Owed(minutes + level * LEVEL_MINUTES, person, channel) for level, person in enumerate(("Alice", "Bob"))
        for minutes, channel in ((0, "push"), (0, "sms"), (2, "voice"), (4, "voice"))]
OWED += [Owed(POLICY_MINUTES, guardian, channel) for guardian in ("Grace", "Gus") for channel in ("sms", "email")]


class Night:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.cluster = Cluster(nodes=3, minute_ms=MINUTE_MS)
        self.stories = []
        self.count = itertools.count()  # stories are begun by several threads, each with a key of its own
        self.hurt = []  # which node, and when
        alice, bob = self.cluster.person("Alice", "5550101"), self.cluster.person("Bob", "5550102")
        policy = self.cluster.policy("night", [(LEVEL_MINUTES, [alice]), (LEVEL_MINUTES, [bob])])
        # An acknowledgement holds for good here: the model knows no timeout of it.
        _, self.key = self.cluster.service("Payments", policy, acknowledgement_timeout=None)

    def close(self):
        self.cluster.close()

    def any_order(self):
        numbers = self.cluster.numbers()
        self.random.shuffle(numbers)
        return numbers

    def trigger(self):
        story = Story(f"disk-{next(self.count)}", OWED)
        story.trigger_began = time.time()
        self.cluster.event(self.any_order(), self.key, story.key)
        story.trigger_ended = time.time()
        incident = wait_for(lambda: self.cluster.incident(self.any_order(), story.key), f"the incident of {story.key}")
        story.id, story.number = incident["id"], incident["incident_number"]
        self.stories.append(story)
        return story

    def acknowledge(self, story):
        story.acknowledge_began = time.time()
        self.cluster.insist(self.any_order(), "PUT", f"/incidents/{story.id}",
                            {"incident": {"type": "incident_reference", "status": "acknowledged"}})
        story.acknowledge_ended = time.time()

    def kill_and_start(self, node, away_seconds, signal="KILL"):
        self.cluster.kill(node, signal)
        self.hurt.append((node, time.time()))
        time.sleep(away_seconds)  # how long the machine is gone: the failure itself, not a hope
        wait_for(lambda: self.gone(node), f"the end of node {node}")
        self.cluster.start(node)

    def pause(self, node, seconds):
        self.cluster.kill(node, "STOP")
        self.hurt.append((node, time.time()))
        time.sleep(seconds)
        self.cluster.kill(node, "CONT")

    def gone(self, node):
        try:
            self.cluster.request(node, "GET", "/healthz", timeout=1)
        except Unavailable:
            return True
        return False

    def sleep_until(self, story, minutes):
        time.sleep(max(0.0, story.trigger_ended + minutes * MINUTE_MS / 1000 - time.time()))

    def judge(self):
        return judge(self.stories, self.cluster.deliveries(), PEOPLE, MINUTE_MS / 1000, time.time(), self.hurt)

    def explain(self, faults):
        """Everything that is known of the incidents with faults: times, phones, timeline."""
        text = "\n".join(faults)
        for story in self.stories:
            if not any(fault.startswith(f"{story.key} ") for fault in faults):
                continue
            text += f"\n--- {vars(story)}"
            for delivery in self.cluster.deliveries():
                if incident_number(delivery["text"]) == story.number:
                    text += f"\n{delivery}"
            for entry in self.cluster.insist(self.any_order(), "GET", f"/incidents/{story.id}/log_entries?limit=100")["log_entries"]:
                text += f"\n{entry['created_at']} {entry['summary']} {entry.get('event_details')}"
        return text + self.cluster.logs()
