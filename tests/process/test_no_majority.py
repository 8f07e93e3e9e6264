"""Without a majority a node refuses writes and marks its reads; during an election requests wait."""

import concurrent.futures
import threading
import unittest

from cluster import Unavailable, wait_for
from company import Company

WAIT_SECONDS_MAX = 5 + 3  # request_wait_ms of the development cluster's nodes, and time to notice on a busy machine


class NoMajority(unittest.TestCase):
    def setUp(self):
        self.company = Company()
        self.addCleanup(self.company.close)

    def ready(self, number):
        return self.company.send(number, "GET", "/readyz", token=False)

    def alone(self, survivor):
        """The story of one node whose two peers stand still."""
        company, peers = self.company, self.company.others(survivor)
        company.trigger_many([survivor], f"before-{survivor}", 1)
        for peer in peers:
            company.pause(peer)
        try:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                event = pool.submit(company.trigger, survivor, f"lost-{survivor}", timeout=WAIT_SECONDS_MAX)
                write = pool.submit(company.send, survivor, "POST", "/users",
                                    {"user": {"name": "Bob", "email": f"bob{survivor}@example.com"}}, timeout=WAIT_SECONDS_MAX)
                read = pool.submit(company.send, survivor, "GET", f"/incidents?incident_key=before-{survivor}-0&date_range=all",
                                   timeout=WAIT_SECONDS_MAX)
            event, write, read = event.result(), write.result(), read.result()
            self.assertEqual((503, "1", "unavailable"), (event.status, event.headers["Retry-After"], event.body["status"]))
            self.assertEqual((503, "1", 2000), (write.status, write.headers["Retry-After"], write.body["error"]["code"]))
            # Reads are answered from what is here, and say so.
            self.assertEqual((200, "true", 1), (read.status, read.headers["Tocsin-Stale"], len(read.body["incidents"])))
            # Alive, and of no use to a load balancer.
            wait_for(lambda: self.ready(survivor).status == 503, f"node {survivor} is not ready")
            self.assertEqual(200, company.send(survivor, "GET", "/healthz", token=False).status)
            self.assertIsNone(company.view(survivor)["leader"])
        finally:
            for peer in peers:
                company.resume(peer)
        wait_for(lambda: all(self.ready(number).status == 200 for number in company.numbers()), "readiness")
        for number in company.numbers():
            self.assertEqual(202, company.trigger(number, f"after-{survivor}-{number}").status)
            read = company.send(number, "GET", "/incidents?date_range=all")
            self.assertEqual((200, None), (read.status, read.headers["Tocsin-Stale"]))

    def test_a_follower_alone(self):
        self.alone(self.company.others(self.company.wait_leader())[0])

    def test_the_leader_alone(self):
        self.alone(self.company.wait_leader())

    def test_a_request_during_an_election_waits(self):
        """Three elections; each finds requests at both survivors."""
        company = self.company
        for turn in range(3):
            leader = company.wait_leader()
            answers = {}

            def post(number, answers=answers, turn=turn):
                try:
                    answers[number] = company.trigger(number, f"election-{turn}-{number}").status
                except Unavailable as error:
                    answers[number] = error

            threads = [threading.Thread(target=post, args=(number,)) for number in company.others(leader)]
            company.kill(leader)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual({number: 202 for number in company.others(leader)}, answers, company.logs())
            for number in answers:
                company.wait_paged(list(answers), f"election-{turn}-{number}")
            company.start(leader)
            self.assertEqual(202, company.trigger(leader, f"back-{turn}").status)
            wait_for(lambda: all(self.ready(number).status == 200 for number in company.numbers()), "readiness")


if __name__ == "__main__":
    unittest.main()
