"""Real nodes are killed, paused and restarted at every stage of an escalation; the phones tell whether anyone was forgotten."""

import os
import threading
import time
import unittest

from night import LEVEL_MINUTES, Night, POLICY_MINUTES

PAUSE_SECONDS = 2.5  # longer than an election takes to begin


class EveryStage(unittest.TestCase):
    """One incident per stage and way of being hurt, one after the other on the same cluster."""

    STAGES = {
        "just after the event was taken": 0.0,
        "before the first call": 1.5,
        "when the second call is due": 4.0,
        "when the level ends": float(LEVEL_MINUTES),
        "on the second level": LEVEL_MINUTES + 1.0,
    }

    def test_the_leader_is_hurt_at_every_stage(self):
        night = Night(seed=1)
        try:
            for stage, minutes in self.STAGES.items():
                for way in ("killed", "paused"):
                    with self.subTest(stage=stage, way=way):
                        story = night.trigger()
                        night.sleep_until(story, minutes)
                        leader = night.cluster.wait_leader()
                        if way == "killed":
                            night.kill_and_start(leader, 0.5)
                        else:
                            night.pause(leader, PAUSE_SECONDS)
                        night.sleep_until(story, POLICY_MINUTES - 1)
                        night.acknowledge(story)
            time.sleep(5)  # what would still come after the last acknowledgement must have had its time
            faults, seen = night.judge()
            self.assertFalse(faults, faults and night.explain(faults))
            self.assertGreaterEqual(seen["pages"], 6 * len(night.stories))
            print(f"\n{len(night.stories)} incidents, the leader hurt {len(night.hurt)} times: {dict(seen)}")
        finally:
            night.close()


class ManyKills(unittest.TestCase):
    """Random nodes die while incidents come and are acknowledged; TOCSIN_KILLS sets how many (12)."""

    def test_nobody_is_forgotten(self):
        kills = int(os.environ.get("TOCSIN_KILLS", "12"))
        night = Night(seed=int(os.environ.get("TOCSIN_SEED", "7")))
        stop, errors = threading.Event(), []

        def life():
            try:
                while not stop.is_set():
                    story = night.trigger()
                    answer = night.random.choice((0.2, 1.0, 3.0, LEVEL_MINUTES + 0.5, LEVEL_MINUTES + 3.0))
                    night.sleep_until(story, answer)
                    night.acknowledge(story)
            except Exception as error:  # pylint: disable=broad-except  # told by the main thread
                errors.append(error)

        try:
            threads = [threading.Thread(target=life) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in range(kills):
                if errors:
                    break
                time.sleep(night.random.uniform(0.5, 2.5))
                node = night.cluster.wait_leader() if night.random.random() < 0.6 else night.random.choice(night.cluster.numbers())
                if night.random.random() < 0.8:
                    night.kill_and_start(node, night.random.uniform(0.0, 1.5))
                else:
                    night.pause(node, PAUSE_SECONDS)
                night.cluster.wait_leader()
            stop.set()
            for thread in threads:
                thread.join()
            self.assertEqual([], errors, night.cluster.logs())
            time.sleep(5)
            faults, seen = night.judge()
            self.assertFalse(faults, faults and night.explain(faults))
            self.assertGreater(seen["pages"], 2 * kills // 3)
            print(f"\n{len(night.stories)} incidents, {len(night.hurt)} nodes killed or paused: {dict(seen)}")
        finally:
            stop.set()
            night.close()


if __name__ == "__main__":
    unittest.main()
