"""An OTLP/HTTP receiver that answers as a test says and keeps what it got."""

import gzip
import http.server
import json
import threading
import time
import typing

from broadcast_client import spans_of


class Delivery(typing.NamedTuple):
    when: float  # time.monotonic()
    method: str
    path: str
    headers: dict  # names in small letters
    data: bytes  # without its content encoding
    body: dict  # the JSON in it
    status: int


class Recorder:
    """`answer` is asked for each body: (status, headers in small letters), or also the answer's body."""

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
                for name, value in ({"content-type": "application/json"} | headers).items():
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
