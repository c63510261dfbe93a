"""A real Prometheus that takes remote write, on a directory of its own."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest
import remote_write as rw
import requests
from gantry_process import free_port


def find_peer(name: str) -> str:
    """A program of Prometheus's package."""
    peers = pathlib.Path(os.environ.get("GANTRY_PEERS", "build/peers"))
    unpacked = peers / "prometheus/usr/bin" / name
    found = str(unpacked) if unpacked.exists() else shutil.which(name)
    if not found:
        pytest.fail(f"{name} is not here: ./dev test unpacks it under build/peers")
    return found


class Prometheus:
    """Keeps samples of any age. `arguments` are added to its own."""

    def __init__(self, directory: pathlib.Path, arguments: list[str] | None = None):
        self.directory = directory
        directory.mkdir()
        self.url = f"http://127.0.0.1:{free_port()}"
        self.arguments = arguments or []
        self.process = None
        self.session = requests.Session()

    def start(self, configuration: str = "global: {}\n") -> "Prometheus":
        (self.directory / "prometheus.yml").write_text(configuration)
        command = [find_peer("prometheus"), f"--config.file={self.directory}/prometheus.yml",
                   f"--storage.tsdb.path={self.directory}/tsdb", "--storage.tsdb.retention.time=100y",
                   "--web.enable-remote-write-receiver", "--web.enable-admin-api",
                   f"--web.listen-address={self.url.removeprefix('http://')}", *self.arguments]
        with open(self.directory / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            try:
                if requests.get(f"{self.url}/-/ready", timeout=1).status_code == 200:
                    return self
            except requests.ConnectionError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"Prometheus was not ready:\n{self.log()}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def log(self) -> str:
        return (self.directory / "prometheus.log").read_text(errors="replace")

    def write(self, body: bytes) -> None:
        answer = self.session.post(f"{self.url}/api/v1/write", data=body, headers=rw.V1_HEADERS, timeout=30)
        assert answer.status_code == 204, answer.text

    def get(self, path: str, **parameters) -> requests.Response:
        return self.session.get(self.url + path, params=parameters, timeout=60)

    def block_bytes(self) -> int:
        """Size of all samples and their index as one block, without the log."""
        answer = self.session.post(f"{self.url}/api/v1/admin/tsdb/snapshot", timeout=120)
        assert answer.status_code == 200, answer.text
        snapshot = self.directory / "tsdb/snapshots" / answer.json()["data"]["name"]
        return sum(file.stat().st_size for file in snapshot.rglob("*") if file.is_file())
