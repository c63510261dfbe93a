"""Destinations that fail in every way there is, under load, while Gantry is killed: nothing accepted is lost, and samples of
a series arrive in their order."""

import collections
import gzip
import http.server
import json
import os
import pathlib
import random
import threading
import time
from concurrent import futures

import grpc
import requests
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse

from broadcast_client import DESTINATIONS, add, admin, health, request_of, spans_of, wait_until
from recording_rpc import STOP_SECONDS, Refusal

SECONDS = float(os.environ.get("GANTRY_BROADCAST_SECONDS", "30"))
WRITERS = 2
PAUSE_SECONDS = 0.01  # of a writer between two requests
RESIDENT_MIB_MAX = 512  # what waits is on disk
BAD_EVERY = 40        # requests: one has a span that the receiver refuses when it refuses anything
FAILURES = ["down", "flap", "too many", "refuse one", "hang", "cut the answer", "cut the request", "unavailable"]


class Traces:
    """Spans, by their names."""

    name = "spans"
    path = "/v1/traces"
    config: dict = {}

    @staticmethod
    def names_in(body: dict) -> list[str]:
        return [span["name"] for span in spans_of(body)]

    @staticmethod
    def request(writer: int, number: int, is_bad: bool, chance: random.Random) -> tuple[list[str], str]:
        names = [f"{'bad' if is_bad else 'good'}-{writer}-{number}-{i}" for i in range(1 if is_bad else chance.randint(1, 4))]
        now = time.time_ns()
        spans = [{"traceId": f"{writer + 1:016x}{number:016x}", "spanId": f"{i + 1:016x}", "name": name, "kind": 3,
                  "startTimeUnixNano": str(now - 1_000_000), "endTimeUnixNano": str(now),
                  "attributes": [{"key": "text", "value": {"stringValue": "x" * chance.randint(0, 2000)}}]}
                 for i, name in enumerate(names)]
        return names, request_of(spans)


class Metrics:
    """Samples of a few series, by series and milliseconds."""

    name = "samples"
    path = "/v1/metrics"
    config = {"signals": ["metrics"]}

    @staticmethod
    def names_in(body: dict) -> list[str]:
        return [f"{metric['name']}@{int(point['timeUnixNano']) // 1_000_000}"
                for resource in body.get("resourceMetrics", []) for scope in resource["scopeMetrics"] for metric in scope["metrics"]
                for kind in metric.values() if isinstance(kind, dict) for point in kind.get("dataPoints", [])]

    @staticmethod
    def request(writer: int, number: int, is_bad: bool, chance: random.Random) -> tuple[list[str], str]:
        ms = time.time_ns() // 1_000_000  # rises: a writer pauses for longer
        series = [f"bad_{writer}"] if is_bad else [f"good_{writer}_{i}" for i in range(chance.randint(1, 4))]
        metrics = [{"name": name, "gauge": {"dataPoints": [{"timeUnixNano": str(ms * 1_000_000), "asDouble": number}]}} for name in series]
        return [f"{name}@{ms}" for name in series], json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})


class Receiver:
    """An OTLP/HTTP receiver of one signal that behaves as `mode` says. What it has answered with a whole 200 counts as taken."""

    def __init__(self, signal):
        self.signal = signal
        self.config = signal.config
        self.order = []  # of what was taken, each once
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.mode = "take"
        self.taken = collections.Counter()    # by name
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
        self.url = f"http://127.0.0.1:{self.port}{self.signal.path}"
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

    def mode_of_a_request(self) -> str:
        return random.choice(["take", "down", "unavailable"]) if self.mode == "flap" else self.mode

    def wait_while_it_hangs(self):
        with self.lock:
            self.changed.wait_for(lambda: self.mode != "hang", timeout=120)

    def serve(self, handler):
        mode = self.mode_of_a_request()
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
        names = self.signal.names_in(json.loads(body))
        if mode == "refuse one" and not any(name.startswith("bad") for name in names):
            mode = "take"
        self.count(mode, names if mode == "take" else [])
        if mode == "hang":
            self.wait_while_it_hangs()
        elif mode == "cut the answer":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        else:
            status, headers = {"take": (200, {}), "too many": (429, {"Retry-After": "1"}), "refuse one": (400, {}),
                               "unavailable": (503, {})}[mode]
            answer(handler, status, headers)

    def count(self, mode: str, taken: list | None = None):
        with self.lock:
            self.requests[mode] += 1
            self.order += [name for name in taken or [] if name not in self.taken]
            self.taken.update(taken or [])

    def has(self, names) -> bool:
        with self.lock:
            return all(name in self.taken for name in names)


class RpcReceiver(Receiver, grpc.GenericRpcHandler):
    """The same for metrics over gRPC. What cuts connections cuts all of them at once: here a server can do no less."""

    def __init__(self):
        self.serving = threading.RLock()  # starts and ends of the server
        super().__init__(Metrics)
        self.config = Metrics.config | {"protocol": "grpc"}

    def listen(self):
        with self.serving:
            if self.server:
                return  # cut() was first
            self.server = grpc.server(futures.ThreadPoolExecutor(16), handlers=[self], options=[("grpc.so_reuseport", 0)])
            self.port = self.server.add_insecure_port(f"127.0.0.1:{self.port}")
            self.server.start()
            self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        with self.serving:
            if self.server:
                self.server.stop(None).wait(STOP_SECONDS)
                self.server = None

    def cut(self):
        with self.serving:
            if self.server:
                self.close()
                self.listen()

    def service(self, handler_call_details):
        if handler_call_details.method != "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export":
            return None
        return grpc.unary_unary_rpc_method_handler(
            self.export, request_deserializer=ExportMetricsServiceRequest.FromString,
            response_serializer=ExportMetricsServiceResponse.SerializeToString)

    def export(self, request: ExportMetricsServiceRequest, context: grpc.ServicerContext):
        mode = self.mode_of_a_request()
        names = self.signal.names_in(MessageToDict(request))
        if mode == "refuse one" and not any(name.startswith("bad") for name in names):
            mode = "take"
        self.count(mode, names if mode == "take" else [])
        if mode == "take":
            return ExportMetricsServiceResponse()
        if mode == "hang":
            self.wait_while_it_hangs()
        elif mode in ("down", "cut the answer", "cut the request"):
            threading.Thread(target=self.cut, daemon=True).start()
            while context.is_active():
                time.sleep(0.01)
        refusal = {"too many": Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", retry_seconds=1),
                   "refuse one": Refusal(grpc.StatusCode.INVALID_ARGUMENT, "a bad one")}.get(
                       mode, Refusal(grpc.StatusCode.UNAVAILABLE, "not now"))
        context.set_trailing_metadata(refusal.details())
        context.abort(refusal.code, refusal.message)


def answer(handler, status: int, headers: dict):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


class Writer(threading.Thread):
    """Writes what has names of its own until told to stop, and remembers what was accepted."""

    def __init__(self, gantry, number: int, signal):
        super().__init__(daemon=True)
        self.gantry, self.number, self.signal = gantry, number, signal
        self.stopping = threading.Event()
        self.accepted = []
        self.unanswered = 0

    def run(self):
        auth = self.gantry.write_auth
        chance = random.Random(self.number)
        number = 0
        while not self.stopping.wait(PAUSE_SECONDS):
            number += 1
            names, body = self.signal.request(self.number, number, number % BAD_EVERY == 0, chance)
            try:
                written = requests.post(f"{self.gantry.url}/otlp{self.signal.path}", data=body, auth=auth, timeout=30,
                                        headers={"Content-Type": "application/json"})
            except requests.RequestException:
                self.unanswered += 1
                self.stopping.wait(0.1)
                continue
            if written.status_code == 200:
                self.accepted += names
            else:
                self.unanswered += 1  # while it starts


class Memory(threading.Thread):
    """What the process has resident, twice a second."""

    def __init__(self, gantry):
        super().__init__(daemon=True)
        self.gantry = gantry
        self.stopping = threading.Event()
        self.most_mib = 0.0

    def run(self):
        while not self.stopping.wait(0.5):
            try:
                pages = int(pathlib.Path(f"/proc/{self.gantry.process.pid}/statm").read_text().split()[1])
            except (OSError, IndexError):
                continue  # killed a moment ago
            self.most_mib = max(self.most_mib, pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20))


def torment(gantry, receivers: list[Receiver], destinations: list[dict], chance: random.Random) -> int:
    """All failures, again and again until the time is up, each until it was met. Returns how often Gantry was killed."""
    kills = 0
    phase_seconds = max(0.5, min(40.0, SECONDS / (3 * len(FAILURES))))

    def dead_letters() -> list[int]:
        return [health(gantry, destination)["dead_letters"]["events"] for destination in destinations]

    def live_through(mode: str):
        dead = dead_letters()
        before = [receiver.requests[mode] for receiver in receivers]
        for receiver in receivers:
            receiver.become(mode)
        time.sleep(phase_seconds)
        if mode not in ("down", "flap"):  # an attempt waits at most a minute for its next one
            wait_until(lambda: all(receiver.requests[mode] > count for receiver, count in zip(receivers, before)), seconds=90)
        if mode == "refuse one":
            wait_until(lambda: all(now > then for now, then in zip(dead_letters(), dead)), seconds=90)

    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline or kills == 0:
        for mode in chance.sample(FAILURES, len(FAILURES)):
            live_through("take")
            live_through(mode)
            if mode == "hang" or chance.random() < 0.3:
                gantry.kill()
                kills += 1
                gantry.start()
    for receiver in receivers:
        receiver.become("take")
    return kills


def in_order(receiver: Receiver) -> bool:
    """Of what was accepted for good: the samples of each series came in the order of their times."""
    last = collections.defaultdict(int)
    for name in receiver.order:
        series, _, ms = name.partition("@")
        if series.startswith("good") and int(ms) < last[series]:
            return False
        last[series] = int(ms)
    return True


def check(gantry, receiver: Receiver, destination: dict, writers: list[Writer]) -> None:
    """After the torment: all that was accepted arrives, and what was refused once arrives when it is sent again."""
    accepted = [name for writer in writers if writer.signal is receiver.signal for name in writer.accepted]
    good = [name for name in accepted if name.startswith("good")]
    # An attempt waits at most a minute for its next one.
    started = time.monotonic()
    wait_until(lambda: health(gantry, destination)["queue"]["events"] == 0, seconds=150)
    caught_up = time.monotonic() - started
    assert receiver.has(good), [name for name in good if name not in receiver.taken][:5]
    assert receiver.signal is Traces or in_order(receiver)
    dead = health(gantry, destination)["dead_letters"]["events"]
    assert 0 < dead <= len(accepted) - len(good), "a refused one took others along"
    letters = f"{gantry.url}{DESTINATIONS}/{destination['id']}/dead-letters"
    replayed = requests.post(f"{letters}/replay", headers=admin(gantry), timeout=30).json()["data"]["replayed"]
    assert replayed == dead
    wait_until(lambda: receiver.has(accepted), seconds=60)
    deliveries = sum(receiver.taken[name] for name in accepted)
    print(f"{len(accepted)} {receiver.signal.name} accepted in {SECONDS:.0f} s, all delivered; {deliveries} deliveries, "
          f"{deliveries - len(accepted)} of them repeated; {dead} dead letters replayed; caught up in {caught_up:.1f} s; "
          f"requests by mode: {dict(receiver.requests)}")


def test_all_that_is_accepted_is_delivered_at_least_once(make_gantry):
    seed = int(os.environ.get("GANTRY_BROADCAST_SEED", str(random.randrange(1 << 32))))
    print(f"GANTRY_BROADCAST_SEED={seed}")
    gantry = make_gantry(environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1", "GANTRY_TRACES_SPAN_METRICS": "false"}).start()
    receivers = [Receiver(Traces), Receiver(Metrics), RpcReceiver()]
    destinations = [add(gantry, "", name=receiver.signal.name, config={"endpoint": receiver.url} | receiver.config)
                    for receiver in receivers]
    writers = [Writer(gantry, number, signal) for number in range(WRITERS) for signal in (Traces, Metrics)]
    memory = Memory(gantry)
    for thread in [*writers, memory]:
        thread.start()
    kills = torment(gantry, receivers, destinations, random.Random(seed))
    for thread in [*writers, memory]:
        thread.stopping.set()
        thread.join()
    for receiver, destination in zip(receivers, destinations):
        check(gantry, receiver, destination, writers)
    print(f"{kills} kills; at most {memory.most_mib:.0f} MiB resident; "
          f"{sum(writer.unanswered for writer in writers)} requests of writers unanswered")
    assert kills > 0
    assert memory.most_mib < RESIDENT_MIB_MAX
    assert gantry.stop() == 0, gantry.log()
    for receiver in receivers:
        receiver.close()
