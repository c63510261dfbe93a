"""Spans that a stack takes are sent on to its destinations: to a recorder that answers as a test says."""

import gzip
import http.server
import json
import os
import subprocess
import threading
import time

import pytest
import requests

from broadcast_client import DESTINATIONS, add, admin, events, health, request_of, spans_of, wait_until
from gantry_process import BINARY

PROMPT = "tell nobody of the plan"


class Recorder:
    """An OTLP/HTTP receiver. `answers` is asked for each body: (status, headers)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = []  # (when, body, status)
        self.answer = lambda body: (200, {})
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                body = json.loads(body)
                status, headers = recorder.answer(body)
                with recorder.lock:
                    recorder.requests.append((time.monotonic(), body, status))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def taken(self) -> list:
        """Spans of requests that got a 2xx, without those of connection tests."""
        with self.lock:
            bodies = [body for _, body, status in self.requests if status < 300]
        return [span for body in bodies for span in spans_of(body) if not span["name"].endswith("-connection-test")]

    def wait_for(self, names: set, seconds: float = 20) -> list:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if names <= {span["name"] for span in self.taken()}:
                return self.taken()
            time.sleep(0.05)
        raise AssertionError(f"of {names} came only {[span['name'] for span in self.taken()]}")


def attributes_of(span: dict) -> dict:
    return {each["key"]: each["value"] for each in span.get("attributes", [])}


@pytest.fixture
def recorder():
    one = Recorder()
    yield one
    one.close()


@pytest.fixture
def start(make_gantry):
    def make(**environment):
        return make_gantry(environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1"} | environment).start()

    return make


def write(gantry, *names: str, trace: int = 1, padding: int = 0) -> None:
    """A span of each name, with a prompt, and with an attribute of so many characters."""
    now = time.time_ns()
    spans = [{
        "traceId": f"{trace:032x}", "spanId": f"{abs(hash((name, trace))) % (1 << 60) + 1:016x}", "name": name, "kind": 3,
        "startTimeUnixNano": str(now - 1_000_000), "endTimeUnixNano": str(now),
        "attributes": [{"key": "gen_ai.prompt", "value": {"stringValue": PROMPT}},
                       {"key": "gen_ai.request.model", "value": {"stringValue": "acme/one"}},
                       {"key": "padding", "value": {"stringValue": f"{name} ".ljust(padding, "x")}}],
    } for name in names]
    answer = gantry.post("/otlp/v1/traces", request_of(spans), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text


def test_spans_arrive_whole_and_are_counted(start, recorder):
    gantry = start()
    destination = add(gantry, recorder.url)
    assert [span["name"] for _, body, _ in recorder.requests for span in spans_of(body)] == ["openrouter-connection-test"]
    write(gantry, "one", "two")
    for span in recorder.wait_for({"one", "two"}):
        assert attributes_of(span)["gen_ai.prompt"] == {"stringValue": PROMPT}
        assert span["traceId"] == f"{1:032x}"
    wait_until(lambda: events(gantry, destination, "sent") == 1)
    wait_until(lambda: health(gantry, destination)["queue"]["events"] == 0)
    assert health(gantry, destination)["state"] == "active"
    assert gantry.stop() == 0, gantry.log()


def test_privacy_mode_keeps_content_off_the_wire_and_off_the_disk(start, recorder):
    gantry = start()
    recorder.answer = lambda body: (503, {})
    add(gantry, recorder.url, verify=False, privacy_mode=True)
    write(gantry, "one")
    wait_until(lambda: recorder.requests)
    queue = gantry.data / "broadcast"
    kept = b"".join(path.read_bytes() for path in queue.rglob("*") if path.is_file())
    assert b"acme/one" in kept and PROMPT.encode() not in kept
    recorder.answer = lambda body: (200, {})
    (span,) = recorder.wait_for({"one"})
    assert "gen_ai.prompt" not in attributes_of(span)
    assert attributes_of(span)["gen_ai.request.model"] == {"stringValue": "acme/one"}


def test_what_waits_survives_kill_9(start, recorder):
    gantry = start()
    recorder.answer = lambda body: (503, {})
    destination = add(gantry, recorder.url, verify=False)
    names = {f"span-{i}" for i in range(20)}
    for i, name in enumerate(sorted(names)):
        write(gantry, name, trace=i + 1)
    gantry.kill()
    assert recorder.taken() == []
    recorder.answer = lambda body: (200, {})
    gantry.start()
    recorder.wait_for(names)
    wait_until(lambda: health(gantry, destination)["queue"]["events"] == 0)


def test_429_is_repeated_when_the_receiver_says_so(start, recorder):
    gantry = start()
    destination = add(gantry, recorder.url)
    refused = []

    def answer(body):
        if refused:
            return 200, {}
        refused.append(time.monotonic())
        return 429, {"Retry-After": "3"}

    recorder.answer = answer
    write(gantry, "one")
    recorder.wait_for({"one"})
    assert recorder.requests[-1][0] - refused[0] >= 3
    assert events(gantry, destination, "dead") == 0
    metrics = requests.get(f"{gantry.url}/metrics", timeout=30).text
    wait_until(lambda: 'reason="rate_limited"} 1' in requests.get(f"{gantry.url}/metrics", timeout=30).text)
    assert "gantry_broadcast_send_seconds_bucket" in metrics


def test_one_event_that_is_refused_does_not_take_the_others_along(start, recorder):
    gantry = start()
    recorder.answer = lambda body: (503, {})
    destination = add(gantry, recorder.url, verify=False)
    for i, name in enumerate(["good-1", "good-2", "bad", "good-3"]):
        write(gantry, name, trace=i + 1)
    recorder.answer = lambda body: (400 if any(span["name"] == "bad" for span in spans_of(body)) else 200, {})
    recorder.wait_for({"good-1", "good-2", "good-3"})
    wait_until(lambda: health(gantry, destination)["dead_letters"]["events"] == 1)
    letters = f"{gantry.url}{DESTINATIONS}/{destination['id']}/dead-letters"
    (letter,) = requests.get(letters, headers=admin(gantry), timeout=30).json()["data"]
    assert letter["status"] == 400 and letter["spans"] == 1
    recorder.answer = lambda body: (200, {})
    replayed = requests.post(f"{letters}/replay", headers=admin(gantry), timeout=30)
    assert replayed.json() == {"data": {"replayed": 1}}
    recorder.wait_for({"bad"})
    wait_until(lambda: health(gantry, destination)["dead_letters"]["events"] == 0)


def test_destinations_change_while_the_server_runs(start, recorder):
    gantry = start()
    write(gantry, "before", trace=1)
    destination = add(gantry, recorder.url)
    write(gantry, "during", trace=2)
    recorder.wait_for({"during"})
    one = f"{gantry.url}{DESTINATIONS}/{destination['id']}"
    assert requests.patch(one, json={"enabled": False}, headers=admin(gantry), timeout=30).status_code == 200
    wait_until(lambda: health(gantry, destination)["state"] == "disabled")
    wait_until(lambda: write(gantry, "off", trace=int(time.time_ns())) or events(gantry, destination, "disabled") > 0)
    count = len(recorder.requests)
    assert requests.delete(one, headers=admin(gantry), timeout=30).json() == {"deleted": True}
    write(gantry, "after", trace=4)
    time.sleep(1.5)  # longer than a batch waits: what was to come would have come
    assert len(recorder.requests) == count
    assert {span["name"] for span in recorder.taken()} <= {"during", "off"}


def test_an_address_that_is_not_allowed_is_refused_by_the_test(make_gantry, recorder):
    gantry = make_gantry().start()
    answer = requests.post(gantry.url + DESTINATIONS, headers=admin(gantry), timeout=30,
                           json={"type": "otel-collector", "name": "r", "config": {"endpoint": recorder.url}})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["metadata"]["test"]["error"]["code"] == "invalid_config"
    assert recorder.requests == []


def replay(gantry, destination: dict, method: str = "GET", **body) -> dict:
    answer = requests.request(method, f"{gantry.url}{DESTINATIONS}/{destination['id']}/replay", json=body or None,
                              headers=admin(gantry), timeout=30)
    assert answer.status_code == (202 if method == "POST" else 200), answer.text
    return answer.json()["data"]


def test_what_was_there_before_is_replayed_and_survives_kill_9(start, recorder):
    gantry = start(GANTRY_BROADCAST_QUEUE_BYTES_MAX="1MiB")  # a replay pauses when half of that waits
    names = {f"old-{i}" for i in range(300)}
    for i, name in enumerate(sorted(names)):
        write(gantry, name, trace=i + 1, padding=10_000)
    end = time.time()
    recorder.answer = lambda body: (503, {})
    destination = add(gantry, recorder.url, verify=False)
    begun = replay(gantry, destination, "POST", start=end - 3600, end=end)
    assert begun["state"] == "running"
    wait_until(lambda: health(gantry, destination)["queue"]["bytes"] >= 1 << 19)
    write(gantry, "new", trace=1000)
    paused = replay(gantry, destination)
    assert paused["state"] == "running" and 0 < paused["traces_read"] < 300
    gantry.kill()
    assert recorder.taken() == []
    recorder.answer = lambda body: (200, {})
    gantry.start()
    taken = recorder.wait_for(names | {"new"}, seconds=60)
    assert {attributes_of(span)["gen_ai.prompt"]["stringValue"] for span in taken} == {PROMPT}
    wait_until(lambda: replay(gantry, destination)["state"] == "finished")
    finished = replay(gantry, destination)
    assert finished["id"] == begun["id"] and finished["error"] is None
    assert finished["traces_read"] == finished["traces_queued"] == finished["spans_queued"] == 300
    assert finished["position"] == finished["end"]
    wait_until(lambda: health(gantry, destination)["queue"]["events"] == 0)
    assert events(gantry, destination, "dropped") == 0
    count = len(recorder.taken())
    assert count <= 2 * len(names), "at least once is not every time"
    audit = requests.get(f"{gantry.url}/api/audit", params={"event": "destination.replay_started"}, headers=admin(gantry),
                         timeout=30).json()["items"]
    assert [event["target"]["id"] for event in audit] == [destination["id"]]


def test_a_stack_that_goes_takes_its_destinations_along(start, recorder):
    gantry = start()
    stack = requests.post(f"{gantry.url}/api/v1/stacks", json={"slug": "games", "name": "games"}, headers=admin(gantry),
                          timeout=30)
    assert stack.status_code == 200, stack.text
    destination = add(gantry, recorder.url, verify=False, workspace_id="games")
    gone = requests.delete(f"{gantry.url}/api/v1/stacks/games", headers=admin(gantry), timeout=30)
    assert gone.status_code in (200, 204), gone.text
    audit = requests.get(f"{gantry.url}/api/audit", params={"event": "destination.deleted"}, headers=admin(gantry),
                         timeout=30).json()["items"]
    assert [event["target"]["id"] for event in audit] == [destination["id"]]
    wait_until(lambda: any("broadcast destination removed" in line and destination["id"] in line
                           for line in gantry.log().splitlines()))


def test_the_command_line(start, recorder, tmp_path):
    gantry = start()
    environment = os.environ | {"GANTRY_URL": gantry.url, "GANTRY_TOKEN": gantry.first_start["admin_token"]}

    def run(*arguments, status=0):
        done = subprocess.run([BINARY, "destinations", *arguments, "--json"], capture_output=True, text=True, timeout=30,
                              check=False, env=environment)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout) if status == 0 else done.stderr

    made = run("add", "copy", "--type", "otel-collector", "--config", f"endpoint={recorder.url}",
               "--header", "Authorization=Bearer of-the-collector", "--sampling-rate", "0.5", "--privacy")
    assert made["config"]["headers"] == {"Authorization": "Bear...ctor"}
    assert made["sampling_rate"] == 0.5 and made["privacy_mode"] is True
    assert [each["name"] for each in run("list")] == ["copy"]
    assert run("test", "copy")["ok"] is True
    assert run("show", "copy")["health"]["queue"]["events"] == 0
    assert run("disable", "copy")["enabled"] is False
    assert run("enable", made["id"])["enabled"] is True
    before = time.time()
    assert "nothing has been replayed" in run("replay", "copy", status=1)
    assert run("replay", "copy", "--start", str(before - 60), "--wait")["state"] == "finished"
    assert run("replay", "copy")["traces_read"] == 0
    assert run("replay", "copy", "--cancel")["state"] == "finished"
    assert "before the end" in run("replay", "copy", "--start", str(before), "--end", str(before - 60), status=1)
    assert run("dead-letters", "copy") == []
    assert run("dead-letters", "copy", "--replay") == {"replayed": 0}
    assert run("dead-letters", "copy", "--clear") == {"deleted": 0}
    recorder.answer = lambda body: (401, {})
    assert "the receiver refused the credentials (401)" in run("test", "copy", status=1)
    secret = tmp_path / "key.txt"
    secret.write_text("glc_0123456789AbCd\n")
    cloud = run("add", "cloud", "--type", "grafana", "--config", "instanceId=123456", "--secret-file", str(secret),
                "--config", "signals=traces,metrics", "--no-test", "--disabled")
    assert cloud["config"]["apiKey"] == "glc_...AbCd" and cloud["config"]["signals"] == ["traces", "metrics"]
    metrics = run("add", "metrics", "--type", "prometheus-remote-write", "--config", "url=https://prometheus.example.com/push",
                  "--config", "username=1", "--config", "version=2", "--secret-file", str(secret), "--no-test", "--disabled")
    assert metrics["config"]["version"] == 2
    assert run("show", "metrics")["health"]["sent_samples"] == 0
    assert run("delete", "copy") == {"id": made["id"], "status": "deleted"}
    assert {each["name"] for each in run("list")} == {"cloud", "metrics"}
    assert "no destination" in run("show", "copy", status=1)
