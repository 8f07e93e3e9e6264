"""
Heartbeats by the hundred thousand, against three nodes on this machine.

The crowd has a period of 60 s and a grace of ten minutes, so that only what the cluster does wrong can page for it; the doomed have
a grace of 60 s, ping once and die. Who is paged, when, and for whom is read at the stand-in.
"""

import http.client
import os
import time

from cluster import Unavailable, wait_for

DOOMED = 200
DEAD_IN_OUTAGE = 1000
PERIOD_S = GRACE_S = 60
CROWD_GRACE_S = 600
BURST = 100000
CONNECTIONS = 1500  # that wait at a time
STRIDE = 61803  # jobs do not ping in the order in which they were made


class Crowd:
    def __init__(self, bench, cluster):
        self.bench, self.cluster = bench, cluster
        alice = cluster.person("Alice", "5550101", kinds=("sms",))
        self.service, self.key = cluster.service("Jobs", cluster.policy("jobs", [(60, [alice])]))
        self.ports = [node["http_port"] for node in cluster.description["nodes"]]

    def make(self, name, count, grace_s):
        body = '{"name":"%s-{n}","slug":"%s-{n}","timeout":%d,"grace":%d,"service":"%s"}' % (
            name, name, PERIOD_S, grace_s, self.service["id"])
        # Its answer waits for a commit of the state: many wait for the same.
        return self.bench.run_load(self.ports, "/api/v3/checks/", body, 201, 1000, 3600, requests=count, first=0,
                                   header=f"X-Api-Key: {self.cluster.description['token']}")

    def ping(self, name, count, seconds, **more):
        return self.bench.run_load(self.ports, f"/ping/{self.key}/{name}-{{n}}", "", 200, CONNECTIONS, seconds, first=0, modulo=count,
                                   stride=STRIDE, **more)

    def ping_one(self, port, name):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", f"/ping/{self.key}/{name}")
            assert connection.getresponse().status == 200, name
            return time.time()
        finally:
            connection.close()

    def taken(self, name):
        """When one ping is taken, by any node; None while it is not."""
        try:
            return self.ping_one(self.ports[0], name)
        except (OSError, http.client.HTTPException, AssertionError):
            return None

    def pages(self, name):
        """Of each heartbeat, when the first page for it came."""
        found = {}
        for delivery in self.cluster.deliveries():
            for word in delivery["text"].split():
                if word.startswith(name + "-"):
                    found.setdefault(word, delivery["time_ms"] / 1000)
        return found


def database(cluster):
    sizes = [cluster.view(number)["storage"]["state_size_bytes"] for number in cluster.numbers()]
    return max(sizes) / 1e6


def processor_seconds(cluster):
    """Of each node, in user space and in the kernel, so far."""
    ticks = []
    for node in cluster.description["nodes"]:
        with open(f"/proc/{node['pid']}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks.append((int(fields[11]), int(fields[12])))
    return [sum(node[i] for node in ticks) / len(ticks) / os.sysconf("SC_CLK_TCK") for i in range(2)]


def throughput(crowd, row, count, seconds):
    before = processor_seconds(crowd.cluster)
    done = crowd.ping("crowd", count, seconds)
    spent = [(after - was) / done["requests"] * 1e6 for was, after in zip(before, processor_seconds(crowd.cluster))]
    row(f"pings/s, {CONNECTIONS} connections: p50, p99", f"{done['rate']:.0f}: {done['p50_ms']:.1f} ms, {done['p99_ms']:.1f} ms", "17000")
    row("processor time of a node for a ping: user, kernel", f"{spent[0]:.0f} µs, {spent[1]:.0f} µs", "")


def serves(cluster, number):
    try:
        return cluster.request(number, "GET", "/readyz", timeout=5)[0] == 200
    except Unavailable:
        return False


def lateness(crowd, row, percentile, count):
    crowd.make("doomed", DOOMED, GRACE_S)
    pinged = {f"doomed-{n:012d}": crowd.ping_one(crowd.ports[n % 3], f"doomed-{n:012d}") for n in range(DOOMED)}
    done = crowd.ping("crowd", count, PERIOD_S + GRACE_S + 15, rate=count / PERIOD_S)
    pages = wait_for(lambda: (lambda p: p if len(p) == DOOMED else None)(crowd.pages("doomed")), "the doomed ones' pages", 120)
    late = [pages[name] - at - PERIOD_S - GRACE_S for name, at in pinged.items()]
    row(f"expiry to page, {DOOMED} that die while {count} ping each minute ({done['rate']:.0f} pings/s taken): p50, p99 late",
        f"{percentile(late, .5):.2f} s, {percentile(late, .99):.2f} s", "p99 1 s")


def leader_lost(crowd, row):
    cluster = crowd.cluster
    leader = cluster.wait_leader()
    cluster.kill(leader)
    began = time.monotonic()
    wait_for(lambda: cluster.wait_leader() != leader, "another leader")
    cluster.start(leader)
    wait_for(lambda: serves(cluster, leader), "the node's readiness", 60)
    row("leader killed and started again until it serves, all heartbeats in its database", f"{time.monotonic() - began:.1f} s", "10 s")


def outage(crowd, row, count, seconds):
    cluster = crowd.cluster
    crowd.make("dead", DEAD_IN_OUTAGE, GRACE_S)
    crowd.ping("dead", DEAD_IN_OUTAGE, 60, requests=DEAD_IN_OUTAGE)
    for number in cluster.numbers():
        cluster.kill(number)
    time.sleep(seconds)
    for number in cluster.numbers():
        cluster.start(number)
    back = wait_for(lambda: crowd.taken("crowd-000000000000"), "the first ping that is taken")
    crowd.ping("crowd", count, 60 + count / 1000, requests=count)
    pages = wait_for(lambda: (lambda p: p if len(p) == DEAD_IN_OUTAGE else None)(crowd.pages("dead")), "the dead ones' pages",
                     PERIOD_S + 2 * GRACE_S + 120)
    blind = cluster.insist(cluster.numbers(), "GET", "/incidents?incident_key=tocsin%2Fblind&date_range=all")["incidents"]
    row(f"{seconds} s without any node: {DEAD_IN_OUTAGE} that died in it are paged, after it is over",
        f"{min(pages.values()) - back:.1f} to {max(pages.values()) - back:.1f} s", f"{PERIOD_S + GRACE_S} s")
    row("incidents that say how long the cluster was blind", str(len(blind)), "1")


def measure(bench, cluster_type, row, percentile):
    count = bench.arguments.heartbeats
    with cluster_type(nodes=3) as cluster:
        crowd = Crowd(bench, cluster)
        row(f"{count} heartbeats made: a second", f"{crowd.make('crowd', count, CROWD_GRACE_S)['rate']:.0f}", "")
        done = crowd.ping("crowd", count, 3600, requests=count)
        row("their first pings, each of which changes its heartbeat from new to up: a second", f"{done['rate']:.0f}", "")
        throughput(crowd, row, count, max(bench.arguments.seconds, 20))
        anonymous, whole = bench.memory(cluster)
        row("memory per node then: RssAnon (RSS)", f"{anonymous:.0f} MB ({whole:.0f} MB)", "300 MB")
        row("database per node then", f"{database(cluster):.0f} MB", "1000 MB")
        done = crowd.ping("crowd", count, 300, requests=BURST)
        row(f"a burst of {BURST} pings is taken in, none refused", f"{done['seconds']:.1f} s", "no false page")
        lateness(crowd, row, percentile, count)
        leader_lost(crowd, row)
        outage(crowd, row, count, bench.arguments.outage)
        row("pages for heartbeats that live, in all of this", str(len(crowd.pages("crowd"))), "0")
