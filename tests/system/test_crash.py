"""kill -9 at random moments: whatever was acknowledged is there after the restart."""

import os
import random
import threading
import time

import pytest
import requests

ROUNDS = int(os.environ.get("GANTRY_CRASH_ROUNDS", "50"))
WRITERS = 4


class Writer(threading.Thread):
    """Writes batches of lines until the server goes away, and remembers the acknowledged ones."""

    def __init__(self, gantry, number: int, first_batch: int):
        super().__init__()
        self.gantry, self.number, self.batch = gantry, number, first_batch
        self.acknowledged = []

    def run(self):
        session = requests.Session()
        session.auth = self.gantry.write_auth
        now_ms = 0
        while True:
            # One timestamp per batch: for the same millisecond the last value of a line wins.
            now_ms = max(now_ms + 1, time.time_ns() // 1_000_000)
            now_ns = now_ms * 1_000_000
            lines = "\n".join(f"crash,writer={self.number},series={i} value={self.batch} {now_ns}" for i in range(20))
            try:
                answer = session.post(f"{self.gantry.url}/write", data=lines, timeout=10)
            except requests.RequestException:
                return
            if answer.status_code != 204:
                return
            self.acknowledged.append((now_ms, self.batch))
            self.batch += 1


def stored_samples(gantry, writer: int, since_ms: int) -> dict[int, set[tuple[int, float]]]:
    seconds = int(time.time() - since_ms / 1000) + 10
    found = {}
    for series in gantry.query(f'crash{{writer="{writer}"}}[{seconds}s]'):
        found[int(series["metric"]["series"])] = {(round(t * 1000), float(v)) for t, v in series["values"]}
    return found


@pytest.mark.parametrize("durability", ["synced", "written"])
def test_nothing_acknowledged_is_lost(make_gantry, durability):
    """A killed process leaves what it has written to the operating system: `written` promises that much."""
    rounds = ROUNDS if durability == "synced" else max(1, ROUNDS // 5)
    seed = int(os.environ.get("GANTRY_CRASH_SEED", str(random.randrange(1 << 32))))
    print(f"GANTRY_CRASH_SEED={seed}")
    chance = random.Random(seed)
    # Short intervals, so that kills also hit flushes and merges.
    gantry = make_gantry(environment={"GANTRY_STORAGE_FLUSH_INTERVAL": "1s", "GANTRY_STORAGE_DURABILITY": durability})
    started_ms = int(time.time() * 1000)
    acknowledged = [[] for _ in range(WRITERS)]
    for round_number in range(rounds):
        gantry.start()
        writers = [Writer(gantry, n, len(acknowledged[n])) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(chance.uniform(0.05, 0.6))
        gantry.kill()
        for writer in writers:
            writer.join()
            acknowledged[writer.number] += writer.acknowledged
        if round_number % 10 == 9 or round_number == rounds - 1:
            gantry.start()
            for number in range(WRITERS):
                found = stored_samples(gantry, number, started_ms)
                for series in range(20):
                    missing = [s for s in acknowledged[number] if s not in found.get(series, set())]
                    assert not missing, f"writer {number} series {series}: {missing[:5]} of {len(missing)} are gone"
            gantry.kill()
    total = sum(len(a) for a in acknowledged)
    assert total > rounds, "the writers got somewhere"
    print(f"{total} batches acknowledged over {rounds} rounds, none lost")
