"""What the benchmarks share: a server that is started, measured and asked."""

import base64
import contextlib
import json
import math
import os
import pathlib
import platform
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_tree(pid: int) -> list[int]:
    """A process and those that it started, and so on; some may have ended since."""
    found = [pid]
    for parent in found:
        for children in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += [int(child) for child in children.read_text().split()]
    return found


class Peer:
    """One server on an empty directory."""

    name = ""
    write_path = "/api/v1/write"
    query_prefix = ""
    query_extra: dict = {}
    needs_no_cache = False
    has_native_histograms = True

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict:
        return {}

    def version(self) -> str:
        return ""

    def credentials(self, _writes: bool) -> tuple[str, str] | None:
        return None

    def ready_path(self) -> str:
        return "/-/ready"

    def start(self) -> float:
        started = time.monotonic()
        with open(self.directory.parent / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=os.environ | self.environment())
        while time.monotonic() - started < 300:
            try:
                with urllib.request.urlopen(self.url + self.ready_path(), timeout=1):
                    return time.monotonic() - started
            except (urllib.error.URLError, OSError):
                time.sleep(0.005)
        raise RuntimeError(f"{self.name} did not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def cpu_seconds(self) -> float:
        """Of the process and those that it started and that still live."""
        total = 0
        for pid in process_tree(self.process.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory_mib(self, key: str) -> float:
        """The sum over the process and those that it started; what they share counts for each."""
        total = 0.0
        for pid in process_tree(self.process.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith(key):
                        total += int(line.split()[1]) / 1024
        return total

    def get(self, path: str, parameters: dict) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}")
        if credentials := self.credentials(False):
            token = base64.b64encode(":".join(credentials).encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read()

    def settle(self) -> None:
        """Brings everything to disk and waits until background merges are done."""

    def disk_bytes(self) -> int:
        return sum(f.stat().st_size for f in self.directory.rglob("*") if f.is_file())


class Gantry(Peer):
    """Without its own metrics and traces, so that only the load is measured."""

    name = "gantry"
    binary = ""

    def __init__(self, directory: pathlib.Path):
        super().__init__(directory)
        self.otlp_port = free_port()

    def command(self):
        return [self.binary, "serve", "--data", str(self.directory), "--listen", f"127.0.0.1:{self.port}",
                "--otlp-http", f"127.0.0.1:{self.otlp_port}", "--otlp-grpc", "127.0.0.1:0"]

    def environment(self):
        return {"GANTRY_SELF_METRICS": "false", "GANTRY_SELF_TRACES": "false"}

    def version(self):
        return subprocess.run([self.binary, "version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]

    def credentials(self, writes):
        first = json.loads((self.directory / "first-start.json").read_text())
        return str(first["instance_id"]), first["write_token" if writes else "read_token"]

    def settle(self):
        # A clean stop writes what is in memory to files, and merging goes on after the start.
        self.stop()
        self.start()
        wait_until_steady(self)

    def stored_bytes(self, signal: str) -> int:
        """Of "metrics" or "traces", without the log."""
        files = (self.directory / "stacks").rglob("*")
        return sum(f.stat().st_size for f in files if f.is_file() and signal in f.parts and "wal" not in f.parts)


def wait_until_steady(peer: Peer, seconds: float = 60) -> None:
    """Until two seconds pass with almost no CPU used."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = peer.cpu_seconds()
        time.sleep(2)
        if peer.cpu_seconds() - before < 0.1:
            return


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(math.log(max(v, 1e-3)) for v in values) / len(values))


def cpu_model() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu_model()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, Linux {platform.release()}"
