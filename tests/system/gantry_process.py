"""Starts the real binary on a directory of its own and talks to it as its users do."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

import requests

BINARY = os.environ.get("GANTRY_BINARY", str(pathlib.Path(__file__).parents[2] / "build/release/gantry"))
START_SECONDS = 20


# Below the ports that the system gives to outgoing connections: one of those could take a listener's port while its
# process is being restarted. Test processes that run beside each other share them out.
_process_number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_process_count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_LISTENER_PORTS = range(15000, 32000)[_process_number::_process_count]
_given_ports = set()


def free_port() -> int:
    """A port to listen on that nobody uses; given once per run."""
    while True:
        port = random.choice(_LISTENER_PORTS)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port


class Gantry:
    """One process. `start` may be called again after `stop` or `kill`: the data stays."""

    def __init__(self, data: pathlib.Path, environment: dict | None = None, arguments: list | None = None,
                 trust: pathlib.Path | None = None):
        """`trust`: the certificates to check a process against that speaks TLS."""
        self.data = data
        self.http_port, self.otlp_http_port, self.otlp_grpc_port = free_port(), free_port(), free_port()
        self.trust = trust
        self.url = f"{'https' if trust else 'http'}://127.0.0.1:{self.http_port}"
        # Tests look at what they wrote, not at Gantry's own series, unless they ask for those.
        self.environment = {"GANTRY_SELF_METRICS": "false", "GANTRY_SELF_TRACES": "false"} | (environment or {})
        self.arguments = arguments or []
        self.process = None
        self.log_path = data.parent / f"{data.name}.log"

    def start(self) -> "Gantry":
        command = [
            BINARY, "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.http_port}",
            "--otlp-http", f"127.0.0.1:{self.otlp_http_port}", "--otlp-grpc", f"127.0.0.1:{self.otlp_grpc_port}",
            *self.arguments,
        ]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | self.environment)
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"gantry ended with {self.process.returncode}:\n{self.log()}")
            try:
                if requests.get(f"{self.url}/-/ready", timeout=1, verify=self.verify).status_code == 200:
                    return
            except (requests.ConnectionError, requests.Timeout):
                pass
            time.sleep(0.01)
        raise AssertionError(f"gantry was not ready after {START_SECONDS} s:\n{self.log()}")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        if self.process is None or self.process.poll() is not None:
            return 0 if self.process is None else self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    @property
    def verify(self):
        return str(self.trust) if self.trust else True

    @property
    def first_start(self) -> dict:
        return json.loads((self.data / "first-start.json").read_text())

    @property
    def read_auth(self) -> tuple[str, str]:
        return str(self.first_start["instance_id"]), self.first_start["read_token"]

    @property
    def write_auth(self) -> tuple[str, str]:
        return str(self.first_start["instance_id"]), self.first_start["write_token"]

    @property
    def admin_auth(self) -> tuple[str, str]:
        return str(self.first_start["instance_id"]), self.first_start["admin_token"]

    def get(self, path: str, headers: dict | None = None, **parameters) -> requests.Response:
        return requests.get(self.url + path, headers=headers, params=parameters, auth=self.read_auth, timeout=30,
                            verify=self.verify)

    def post(self, path: str, body, headers: dict | None = None, auth=None, **parameters) -> requests.Response:
        return requests.post(self.url + path, data=body, headers=headers or {}, params=parameters,
                             auth=auth or self.write_auth, timeout=30, verify=self.verify)

    def data_of(self, path: str, **parameters):
        """The `data` of a successful answer of the Prometheus API."""
        answer = self.get(path, **parameters)
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "success"
        return answer.json()["data"]

    def query(self, expression: str, at: float | None = None) -> list:
        """The result list of an instant query."""
        parameters = {"query": expression} | ({} if at is None else {"time": at})
        answer = self.get("/api/v1/query", **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["result"]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list:
        answer = self.get("/api/v1/query_range", query=expression, start=start, end=end, step=step)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["result"]

    def wait_for(self, expression: str, seconds: float = 20) -> list:
        """Repeats an instant query until it has a result."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if result := self.query(expression):
                return result
            time.sleep(0.1)
        raise AssertionError(f"{expression} had no result after {seconds} s:\n{self.log()[-4000:]}")
