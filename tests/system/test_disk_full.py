"""A disk that is really full: a small tmpfs of its own, which only root may mount."""

import os
import pathlib
import subprocess
import time

import pytest

MIB = 1 << 20
LINES = 2000


@pytest.fixture
def small_disk(tmp_path: pathlib.Path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(disk)], capture_output=True,
                             text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


class Batches:
    """Batch n has LINES new samples, each with the value n; remembers which were acknowledged."""

    def __init__(self, gantry):
        self.gantry = gantry
        self.number = 0
        self.base_ms = int(time.time() * 1000) - 3_000_000
        self.acknowledged = []

    def write(self):
        self.number += 1
        # Values that do not compress, so that the disk fills.
        lines = "\n".join(f"full,line={i} value={self.number},noise={hash((self.number, i))} "
                          f"{(self.base_ms + self.number) * 1_000_000}" for i in range(LINES))
        answer = self.gantry.post("/write", lines)
        if answer.status_code == 204:
            self.acknowledged.append(self.number)
        return answer

    def assert_stored(self):
        # One series stands for all: a batch is stored whole.
        for line in (0, LINES - 1):
            found = self.gantry.query(f'full{{line="{line}"}}[2h]')
            values = {float(value) for _, value in found[0]["values"]}
            assert values >= set(self.acknowledged), sorted(set(self.acknowledged) - values)[:10]


def test_writes_are_refused_reads_go_on_and_writes_resume(make_gantry, small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 4 * MIB)
    # The guard would stop writes long before the disk is full.
    gantry = make_gantry(environment={"GANTRY_STORAGE_DISK_FREE_MIN": "0B"})
    gantry.data = small_disk / "data"
    gantry.start()
    try:
        batches = Batches(gantry)
        answer = batches.write()
        while answer.status_code == 204:
            assert batches.number < 3000, "the disk did not fill"
            answer = batches.write()
        assert answer.status_code == 503, answer.text
        assert "disk full" in answer.text or "No space left" in answer.text, answer.text
        assert int(answer.headers["Retry-After"]) > 0
        assert len(batches.acknowledged) > 10
        batches.assert_stored()

        ballast.unlink()
        deadline = time.monotonic() + 20
        while batches.write().status_code != 204:
            assert time.monotonic() < deadline, f"writes did not resume:\n{gantry.log()[-4000:]}"
            time.sleep(0.2)
        batches.assert_stored()

        gantry.kill()
        gantry.start()
        batches.assert_stored()
    finally:
        gantry.kill()
