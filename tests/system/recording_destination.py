"""An OTLP/HTTP receiver that answers as a test says, and what tests ask of a Gantry that sends to it."""

import gzip
import http.server
import json
import threading
import time
import typing

import requests

DESTINATIONS = "/api/v1/observability/destinations"


class Delivery(typing.NamedTuple):
    when: float  # time.monotonic()
    method: str
    path: str
    headers: dict  # names in small letters
    data: bytes  # without its content encoding
    body: dict  # the JSON in it
    status: int


class Recorder:
    """`answer` is asked for each body: (status, headers), or also the answer's body."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests: list[Delivery] = []
        self.answer = lambda body: (200, {})
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    data = gzip.decompress(data)
                body = json.loads(data)
                status, headers, *content = recorder.answer(body)
                with recorder.lock:
                    names = {name.lower(): value for name, value in self.headers.items()}
                    recorder.requests.append(Delivery(time.monotonic(), self.command, self.path, names, data, body, status))
                content = content[0] if content else b"{}"
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | headers).items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if status != 204:
                    self.wfile.write(content)

            do_PUT = do_GET = do_POST

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self.server.server_port}"
        self.url = f"{self.base_url}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def deliveries(self) -> list[Delivery]:
        """Those that got a 2xx, without connection tests."""
        with self.lock:
            return [each for each in self.requests if each.status < 300 and "x-test-connection" not in each.headers]

    def taken(self) -> list:
        """Spans of deliveries."""
        return [span for each in self.deliveries() for span in spans_of(each.body)]

    def wait_for(self, names: set, seconds: float = 20) -> list:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if names <= {span["name"] for span in self.taken()}:
                return self.taken()
            time.sleep(0.05)
        raise AssertionError(f"of {names} came only {[span['name'] for span in self.taken()]}")


def spans_of(body: dict) -> list:
    return [span for resource in body["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]


def attributes_of(holder: dict) -> dict:
    return {each["key"]: each["value"] for each in holder.get("attributes", [])}


def admin(gantry) -> dict:
    return {"Authorization": f"Bearer {gantry.first_start['admin_token']}"}


def add(gantry, url: str, verify: bool = True, **fields) -> dict:
    """A destination, ready to be sent to."""
    body = {"type": "otel-collector", "name": "recorder", "config": {"endpoint": url}} | fields
    answer = requests.post(gantry.url + DESTINATIONS, json=body, headers=admin(gantry), timeout=30,
                           params={} if verify else {"verify": "false"})
    assert answer.status_code == 201, answer.text
    made = answer.json()["data"]
    wanted = "disabled" if not fields.get("enabled", True) else None
    wait_until(lambda: health(gantry, made)["state"] == wanted if wanted else health(gantry, made)["state"] != "stopped")
    return made


def remove(gantry, destination: dict) -> None:
    answer = requests.delete(f"{gantry.url}{DESTINATIONS}/{destination['id']}", headers=admin(gantry), timeout=30)
    assert answer.json() == {"deleted": True}, answer.text


def health(gantry, destination: dict) -> dict:
    answer = requests.get(f"{gantry.url}{DESTINATIONS}/{destination['id']}/health", headers=admin(gantry), timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def events(gantry, destination: dict, result: str) -> float:
    """How many events the destination's counter has with that result; -1: none yet."""
    wanted = f'gantry_broadcast_events_total{{destination="{destination["id"]}",result="{result}"}} '
    for line in requests.get(f"{gantry.url}/metrics", timeout=30).text.splitlines():
        if line.startswith(wanted):
            return float(line.removeprefix(wanted))
    return -1


def wait_until(condition, seconds: float = 20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)
