"""A model provider that a test scripts: it answers as told, keeps what it was asked, and notices a client that leaves."""

import dataclasses
import http.server
import json
import select
import socket
import threading
import time
from collections.abc import Callable


@dataclasses.dataclass
class Whole:
    """An answer in one piece: `body` is JSON to be, or bytes as they are."""

    body: object
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    content_type: str = "application/json"
    headers_after_s: float = 0
    body_after_s: float = 0  # since the headers

    def bytes(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, ensure_ascii=False).encode()


@dataclasses.dataclass
class Stream:
    """Server-sent events: each is JSON to be, or text as it is. `gaps_s` are waited before each event, 0 where it is short."""

    events: list
    gaps_s: list = dataclasses.field(default_factory=list)
    headers_after_s: float = 0
    then: str = "end"  # or "close": without the end of the body; or "hang": silent until the client leaves


@dataclasses.dataclass
class Silence:
    """No answer at all; the connection stays until the client leaves it."""


@dataclasses.dataclass
class Cut:
    """A body that is promised whole and ends in its middle."""

    body: bytes


class Request:
    """What came, to the byte. `left` is set when the client went before it had its answer; times are time.monotonic()."""

    def __init__(self, method: str, path: str, headers: list, body: bytes):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.came_at = time.monotonic()
        self.left = threading.Event()
        self.left_at = None
        self.answered = threading.Event()

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self):
        return json.loads(self.body)


class ClientLeft(Exception):
    pass


class Upstream:
    """`answer` is asked for each request; `script` sets it to answers that are given in turn."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests: list[Request] = []
        self.answer: Callable[[Request], object] = lambda request: Whole({"error": {"message": "nothing is scripted"}}, 500)
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                # Small frames are to arrive when they are sent.
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                request = Request(self.command, self.path, self.headers.items(),
                                  self.rfile.read(int(self.headers["Content-Length"])))
                with upstream.lock:
                    upstream.requests.append(request)
                try:
                    give(self, upstream.answer(request))
                    request.answered.set()
                except (ClientLeft, OSError):
                    request.left_at = time.monotonic()
                    request.left.set()
                    self.close_connection = True

            do_PUT = do_GET = do_DELETE = do_POST

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def script(self, *answers) -> None:
        """The last one is given again and again."""
        left = list(answers)
        self.answer = lambda request: left.pop(0) if len(left) > 1 else left[0]

    def wait_for_request(self, count: int = 1, seconds: float = 20) -> Request:
        """The request of that number, from 1."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self.lock:
                if len(self.requests) >= count:
                    return self.requests[count - 1]
            time.sleep(0.005)
        raise AssertionError(f"{len(self.requests)} requests came, not {count}")

    @property
    def last(self) -> Request:
        with self.lock:
            return self.requests[-1]


def give(handler: http.server.BaseHTTPRequestHandler, answer) -> None:
    if isinstance(answer, Silence):
        wait(handler, None)
    elif isinstance(answer, Cut):
        send_head(handler, 200, {"Content-Type": "application/json", "Content-Length": str(len(answer.body) + 1)})
        handler.wfile.write(answer.body)
        handler.close_connection = True
    elif isinstance(answer, Whole):
        give_whole(handler, answer)
    else:
        give_stream(handler, answer)


def give_whole(handler, answer: Whole) -> None:
    wait(handler, answer.headers_after_s)
    body = answer.bytes()
    send_head(handler, answer.status, {"Content-Type": answer.content_type, "Content-Length": str(len(body))} | answer.headers)
    wait(handler, answer.body_after_s)
    handler.wfile.write(body)


def give_stream(handler, answer: Stream) -> None:
    wait(handler, answer.headers_after_s)
    send_head(handler, 200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
    for i, event in enumerate(answer.events):
        wait(handler, answer.gaps_s[i] if i < len(answer.gaps_s) else 0)
        text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        frame = f"data: {text}\n\n".encode()
        handler.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
    if answer.then == "hang":
        wait(handler, None)
    elif answer.then == "close":
        handler.close_connection = True
    else:
        handler.wfile.write(b"0\r\n\r\n")


def send_head(handler, status: int, headers: dict) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def wait(handler, seconds: float | None) -> None:
    """Until then, or for ever; ClientLeft as soon as the connection ends."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while deadline is None or time.monotonic() < deadline:
        rest = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([handler.connection], [], [], rest)
        if readable and handler.connection.recv(1, socket.MSG_PEEK) == b"":
            raise ClientLeft
        if readable:
            time.sleep(0.005)  # the client's next request waits there: nothing to tell from that
