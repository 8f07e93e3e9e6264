"""
What a pager owes, as a second and simple model: it knows the policy in words and the times of requests, nothing of the machine.

Owed pages of one incident, in minutes from its trigger until the acknowledgement. A page that is not there is missing; a delivery that no
owed page explains is unexplained; a second delivery of an owed page must say that it is possibly repeated.
"""

import collections
import re

from cluster import incident_number

# A failover: detection, election, the outbox read again. Bounds how late an owed page may leave.
LATE_SECONDS_MAX = 12.0
# P3: a claim is valid for 3 s from its proposal, then one attempt's deadline; the stand-in answers at once, so little is added.
AFTER_ACKNOWLEDGEMENT_SECONDS_MAX = 4.0
# Clocks of the test and of the stand-in are one clock; reading it takes a moment.
EARLY_SECONDS_MAX = 0.2

Owed = collections.namedtuple("Owed", "minutes person channel")


class Story:
    """One incident as the test lived it. Times are time.time(); a request whose outcome was unknown has a beginning and an end."""

    def __init__(self, key, owed):
        self.key, self.owed = key, owed
        self.trigger_began = self.trigger_ended = None
        self.acknowledge_began = self.acknowledge_ended = None
        self.number = None


def person_of(delivery, people):
    for name, addresses in people.items():
        if any(address in delivery["to"] for address in addresses):
            return name
    return None


def is_of_missing_node(delivery, hurt, minute_seconds):
    """The cluster's own incident about a node that was away for a minute: on a busy machine, one that was killed may take so long."""
    node = re.search(r"Node (\d+) is missing", delivery["text"])
    return node is not None and any(number == int(node[1]) and delivery["time_ms"] / 1000 >= at + minute_seconds - EARLY_SECONDS_MAX
                                    for number, at in hurt)


def judge(stories, deliveries, people, minute_seconds, now, hurt=()):
    """The list of faults, as sentences; and counts of what was seen. `hurt`: which nodes were, and when."""
    faults, seen = [], collections.Counter()
    by_number = {story.number: story for story in stories}
    received = collections.defaultdict(list)
    for delivery in deliveries:
        story = by_number.get(incident_number(delivery["text"]))
        if story is None and is_of_missing_node(delivery, hurt, minute_seconds):
            seen["pages of missing nodes"] += 1
            continue
        if story is None:
            faults.append(f"a delivery of no known incident: {delivery}")
            continue
        received[story].append(delivery)
    for story in stories:
        left = sorted(received[story], key=lambda delivery: delivery["time_ms"])
        for owed in sorted(story.owed):
            due_first = story.trigger_began + owed.minutes * minute_seconds
            due_last = story.trigger_ended + owed.minutes * minute_seconds
            # More of them must say that they are possibly repeated.
            mine = [d for d in left if person_of(d, people) == owed.person and d["channel"] == owed.channel and
                    d["time_ms"] / 1000 >= due_first - EARLY_SECONDS_MAX]
            first = next((d for d in mine if "possibly repeated" not in d["text"]), mine[0] if mine else None)
            due_surely = due_last + LATE_SECONDS_MAX < (story.acknowledge_began or now)
            if first is None:
                if due_surely:
                    faults.append(f"{story.key} (#{story.number}): {owed} is missing")
                continue
            left.remove(first)
            seen["pages"] += 1
            late = first["time_ms"] / 1000 - due_last
            seen["late_ms_max"] = max(seen["late_ms_max"], int(late * 1000))
            if late > LATE_SECONDS_MAX:
                faults.append(f"{story.key} (#{story.number}): {owed} came {late:.1f} s late")
        for delivery in left:
            if "possibly repeated" in delivery["text"]:
                seen["repeats"] += 1
            else:
                faults.append(f"{story.key} (#{story.number}): nothing explains {delivery}")
        if story.acknowledge_ended:
            for delivery in received[story]:
                after = delivery["time_ms"] / 1000 - story.acknowledge_ended
                if after > AFTER_ACKNOWLEDGEMENT_SECONDS_MAX:
                    faults.append(f"{story.key} (#{story.number}): told {after:.1f} s after the acknowledgement: {delivery}")
                elif after > 0:
                    seen["in_flight_at_acknowledgement"] += 1
    return faults, seen
