"""A destination that fails in every way there is, under load, while Gantry is killed: nothing accepted is lost."""

import collections
import gzip
import http.server
import json
import os
import random
import threading
import time

import requests

from broadcast_client import DESTINATIONS, add, admin, health, request_of, spans_of, wait_until

SECONDS = float(os.environ.get("GANTRY_BROADCAST_SECONDS", "30"))
WRITERS = 2
PAUSE_SECONDS = 0.01  # of a writer between two requests
BAD_EVERY = 40        # requests: one has a span that the receiver refuses when it refuses anything
FAILURES = ["down", "flap", "too many", "refuse one", "hang", "cut the answer", "cut the request", "unavailable"]


class Receiver:
    """An OTLP/HTTP receiver that behaves as `mode` says. What it has answered with a whole 200 counts as taken."""

    def __init__(self):
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.mode = "take"
        self.taken = collections.Counter()    # spans, by name
        self.requests = collections.Counter()  # by what became of them
        self.server = None
        self.port = 0
        self.listen()

    def listen(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 120

            def do_POST(self):
                receiver.serve(self)

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # peers that are gone: Gantry is killed on purpose

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1/traces"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def become(self, mode: str):
        with self.lock:
            self.mode = mode
            self.changed.notify_all()
        if mode == "down":
            self.close()
        elif self.server is None:
            self.listen()

    def serve(self, handler):
        mode = self.mode
        if mode == "flap":
            mode = random.choice(["take", "down", "unavailable"])
        handler.close_connection = mode in ("down", "hang", "cut the answer", "cut the request")
        if mode == "down":
            return self.count(mode)
        length = int(handler.headers["Content-Length"])
        if mode == "cut the request":
            self.count(mode)
            return handler.rfile.read(length // 2)
        body = handler.rfile.read(length)
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        names = [span["name"] for span in spans_of(json.loads(body))]
        if mode == "refuse one" and not any(name.startswith("bad") for name in names):
            mode = "take"
        self.count(mode, names if mode == "take" else [])
        if mode == "hang":
            with self.lock:
                self.changed.wait_for(lambda: self.mode != "hang", timeout=120)
        elif mode == "cut the answer":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        else:
            status, headers = {"take": (200, {}), "too many": (429, {"Retry-After": "1"}), "refuse one": (400, {}),
                               "unavailable": (503, {})}[mode]
            answer(handler, status, headers)

    def count(self, mode: str, taken: list | None = None):
        with self.lock:
            self.requests[mode] += 1
            self.taken.update(taken or [])

    def has(self, names) -> bool:
        with self.lock:
            return all(name in self.taken for name in names)


def answer(handler, status: int, headers: dict):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


class Writer(threading.Thread):
    """Writes spans with names of their own until told to stop, and remembers the accepted ones."""

    def __init__(self, gantry, number: int):
        super().__init__(daemon=True)
        self.gantry, self.number = gantry, number
        self.stopping = threading.Event()
        self.accepted = []
        self.unanswered = 0

    def run(self):
        auth = self.gantry.write_auth
        chance = random.Random(self.number)
        request = 0
        while not self.stopping.wait(PAUSE_SECONDS):
            request += 1
            is_bad = request % BAD_EVERY == 0
            names = [f"{'bad' if is_bad else 'good'}-{self.number}-{request}-{i}" for i in range(1 if is_bad else chance.randint(1, 4))]
            now = time.time_ns()
            spans = [{"traceId": f"{self.number + 1:016x}{request:016x}", "spanId": f"{i + 1:016x}", "name": name, "kind": 3,
                      "startTimeUnixNano": str(now - 1_000_000), "endTimeUnixNano": str(now),
                      "attributes": [{"key": "text", "value": {"stringValue": "x" * chance.randint(0, 2000)}}]}
                     for i, name in enumerate(names)]
            try:
                written = requests.post(f"{self.gantry.url}/otlp/v1/traces", data=request_of(spans), auth=auth, timeout=30,
                                        headers={"Content-Type": "application/json"})
            except requests.RequestException:
                self.unanswered += 1
                self.stopping.wait(0.1)
                continue
            if written.status_code == 200:
                self.accepted += names
            else:
                self.unanswered += 1  # while it starts


def torment(gantry, receiver: Receiver, chance: random.Random) -> int:
    """All failures, again and again until the time is up, each until it was met. Returns how often Gantry was killed."""
    kills = 0
    phase_seconds = max(0.5, min(40.0, SECONDS / (3 * len(FAILURES))))

    def live_through(mode: str):
        before = receiver.requests[mode]
        receiver.become(mode)
        time.sleep(phase_seconds)
        if mode not in ("down", "flap"):  # an attempt waits at most a minute for its next one
            wait_until(lambda: receiver.requests[mode] > before, seconds=90)

    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline or kills == 0:
        for mode in chance.sample(FAILURES, len(FAILURES)):
            live_through("take")
            live_through(mode)
            if mode == "hang" or chance.random() < 0.3:
                gantry.kill()
                kills += 1
                gantry.start()
    receiver.become("take")
    return kills


def test_every_accepted_span_is_delivered_at_least_once(make_gantry):
    seed = int(os.environ.get("GANTRY_BROADCAST_SEED", str(random.randrange(1 << 32))))
    print(f"GANTRY_BROADCAST_SEED={seed}")
    gantry = make_gantry(environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1"}).start()
    receiver = Receiver()
    destination = add(gantry, receiver.url)
    writers = [Writer(gantry, number) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    kills = torment(gantry, receiver, random.Random(seed))
    for writer in writers:
        writer.stopping.set()
        writer.join()
    accepted = [name for writer in writers for name in writer.accepted]
    good = [name for name in accepted if name.startswith("good")]

    # An attempt waits at most a minute for its next one.
    started = time.monotonic()
    wait_until(lambda: health(gantry, destination)["queue"]["events"] == 0, seconds=150)
    caught_up = time.monotonic() - started
    assert receiver.has(good), [name for name in good if name not in receiver.taken][:5]
    dead = health(gantry, destination)["dead_letters"]["events"]
    assert dead <= len(accepted) - len(good), "a refused span took others along"
    letters = f"{gantry.url}{DESTINATIONS}/{destination['id']}/dead-letters"
    replayed = requests.post(f"{letters}/replay", headers=admin(gantry), timeout=30).json()["data"]["replayed"]
    assert replayed == dead
    wait_until(lambda: receiver.has(accepted), seconds=60)

    deliveries = sum(receiver.taken[name] for name in accepted)
    print(f"{len(accepted)} spans accepted in {SECONDS:.0f} s, all delivered; {deliveries} deliveries, "
          f"{deliveries - len(accepted)} of them repeated; {dead} dead letters replayed; {kills} kills; "
          f"caught up in {caught_up:.1f} s; {sum(writer.unanswered for writer in writers)} requests of writers unanswered; "
          f"requests by mode: {dict(receiver.requests)}")
    assert kills > 0 and dead > 0
    assert gantry.stop() == 0, gantry.log()
    receiver.close()
