#!/usr/bin/env python3
"""Gantry, and Tempo when its binary is given, one after the other on the same spans: what they cost and how fast they answer.

Run by `./dev bench traces`. Prints a Markdown table and the ratios; `--write` puts them into docs/benchmarks.md.
"""

import argparse
import datetime
import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.error

from peers import Gantry, Peer, free_port, geometric_mean, machine, wait_until_steady

SEARCH, RANGE, INSTANT = "/api/search", "/api/metrics/query_range", "/api/metrics/query"

# What people ask, over the whole range of the data.
QUERIES = [
    ("newest traces", SEARCH, "{}"),
    ("one service", SEARCH, '{ resource.service.name = "service-07" }'),
    ("server errors, slow", SEARCH, "{ span.http.response.status_code >= 500 && duration > 10ms }"),
    ("regex on the name", SEARCH, '{ name =~ ".*resource3.*" && kind = server }'),
    ("needle: one user in a million", SEARCH, '{ span.user.id = "user-012345" }'),
    ("an attribute that nobody has", SEARCH, '{ span.absent = "x" }'),
    ("errors below a service", SEARCH, '{ resource.service.name = "service-03" } >> { status = error }'),
    ("child of a server span", SEARCH, '{ kind = server && resource.service.name = "service-01" } > { span.cache.hit = true && duration > 300ms }'),
    ("large traces", SEARCH, "{} | count() > 100"),
    ("slow on average", SEARCH, '{ resource.service.name = "service-05" } | avg(duration) > 150ms'),
    ("rate by service", RANGE, "{} | rate() by (resource.service.name)"),
    ("rate of errors", RANGE, "{ status = error } | rate()"),
    ("p99 by service", RANGE, "{ kind = server } | quantile_over_time(duration, 0.99) by (resource.service.name)"),
    ("durations as a histogram", RANGE, "{ nestedSetParent < 0 } | histogram_over_time(duration)"),
    ("count by status code", INSTANT, "{} | count_over_time() by (span.http.response.status_code)"),
]


class GantryPeer(Gantry):
    query_base = "/tempo"

    def disk_bytes(self):
        return self.stored_bytes("traces")


class TempoPeer(Peer):
    name = "tempo"
    query_base = ""
    binary = ""

    def __init__(self, directory: pathlib.Path):
        super().__init__(directory)
        self.otlp_port = free_port()

    def command(self):
        config = self.directory.parent / "tempo.yaml"
        config.write_text(f"""
server: {{http_listen_address: 127.0.0.1, http_listen_port: {self.port}, grpc_listen_port: {free_port()}}}
distributor: {{receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{self.otlp_port}"}}}}}}}}}}
storage: {{trace: {{backend: local, local: {{path: {self.directory}/blocks}}, wal: {{path: {self.directory}/wal}}}}}}
metrics_generator:
  storage: {{path: {self.directory}/generator}}
  traces_storage: {{path: {self.directory}/generator-traces}}
overrides: {{defaults: {{metrics_generator: {{processors: [local-blocks]}}, ingestion: {{rate_limit_bytes: 1000000000, burst_size_bytes: 1000000000,
  max_traces_per_user: 0}}}}}}
usage_report: {{reporting_enabled: false}}
""")
        return [self.binary, f"-config.file={config}"]

    def ready_path(self):
        return "/ready"

    def version(self):
        return subprocess.run([self.binary, "-version"], capture_output=True, text=True, check=True).stdout.split("(")[0].strip()

    def settle(self):
        wait_until_steady(self, 300)

    def disk_bytes(self):
        return sum(f.stat().st_size for f in (self.directory / "blocks").rglob("*") if f.is_file())


def load(peer: GantryPeer | TempoPeer, program: str, options) -> dict:
    command = ["nice", "-n", "5", program, "--url", f"http://127.0.0.1:{peer.otlp_port}/v1/traces", "--traces", str(options.spans // 20),
               "--end-ms", str(options.end_s * 1000), "--seconds", str(options.seconds)]
    if credentials := peer.credentials(True):
        command += ["--user", credentials[0], "--password", credentials[1]]
    before = peer.cpu_seconds()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{peer.name}: {done.stderr}")
    result = json.loads(done.stdout)
    wait_until_steady(peer)
    result["cpu_seconds"] = peer.cpu_seconds() - before
    result["rss_mib"] = peer.memory_mib("VmRSS")
    result["peak_mib"] = peer.memory_mib("VmHWM")
    return result


def answer_size(path: str, body: bytes) -> int:
    """Traces of a search, series of metrics: enough to see that both answered the same question."""
    answer = json.loads(body)
    return len(answer.get("traces" if path == SEARCH else "series", []))


def timed_queries(peer: GantryPeer | TempoPeer, options) -> list[dict]:
    out = []
    for title, path, query in QUERIES:
        parameters = {"q": query, "start": options.end_s - options.seconds - 60, "end": options.end_s + 60}
        if path == SEARCH:
            parameters["limit"] = 20
        if path == RANGE:
            parameters["step"] = "60s"
        times, body, error = [], b"{}", ""
        for _ in range(2 + options.repeats):
            started = time.perf_counter()
            try:
                body = peer.get(peer.query_base + path, parameters)
            except urllib.error.HTTPError as refusal:
                error = refusal.read().decode(errors="replace")[:200]
                break
            times.append((time.perf_counter() - started) * 1000)
        if error:
            print(f"{peer.name}: {query}: {error}", flush=True)
            out.append({"title": title, "ms": None, "size": 0})
        else:
            out.append({"title": title, "ms": statistics.median(times[2:]), "size": answer_size(path, body)})
    return out


def measure(peer: GantryPeer | TempoPeer, options) -> dict:
    peer.start()
    result = load(peer, options.load, options)
    result["version"] = peer.version()
    peer.kill()
    result["restart_seconds"] = peer.start()
    peer.settle()
    result["queries"] = timed_queries(peer, options)
    result["query_rss_mib"] = peer.memory_mib("VmRSS")
    result["disk_bytes"] = peer.disk_bytes()
    peer.stop()
    return result


def report(results: dict, options) -> str:
    names = list(results)
    ratio_head = " gantry ÷ tempo |" if "tempo" in results else ""
    lines = [
        f"Measured on {datetime.date.today().isoformat()}: {machine()}. {options.spans} spans in traces of 20, spread over "
        f"{options.seconds} seconds, 12 span and 8 resource attributes; OTLP/HTTP protobuf, 500 spans a request, 2 connections, sender on the same "
        "machine. Queries over the whole range, after everything is in blocks; median of several.",
        "", "Versions: " + "; ".join(f"{n}: {results[n]['version']}" for n in names) + ".", "",
        "| | " + " | ".join(names) + " |" + ratio_head,
        "| --- |" + " ---: |" * (len(names) + bool(ratio_head)),
    ]

    def row(title, value, digits=2):
        values = {n: value(results[n]) for n in names}
        cells = [f"{values[n]:.{digits}f}" for n in names]
        if ratio_head:
            cells.append(f"{values['gantry'] / values['tempo']:.3f}" if "gantry" in values and values["tempo"] else "-")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    shared = [i for i in range(len(QUERIES)) if all(results[n]["queries"][i]["ms"] for n in names)]
    row("spans per second (wall)", lambda r: r["spans"] / r["seconds"], 0)
    row("CPU seconds per million spans", lambda r: r["cpu_seconds"] / r["spans"] * 1e6)
    row("resident memory after the load, MiB", lambda r: r["rss_mib"], 0)
    row("peak memory, MiB", lambda r: r["peak_mib"], 0)
    row("bytes per span on disk (blocks, no log)", lambda r: r["disk_bytes"] / r["spans"], 1)
    row("bytes per span sent", lambda r: r["bytes"] / r["spans"], 0)
    row("ready after kill -9, seconds", lambda r: r["restart_seconds"])
    row(f"{len(shared)} queries, geometric mean of medians, ms", lambda r: geometric_mean([r["queries"][i]["ms"] for i in shared]))
    lines += ["", "| query | " + " | ".join(f"{n}, ms | found" for n in names) + " |", "| --- |" + " ---: | ---: |" * len(names)]
    for i, (title, _, query) in enumerate(QUERIES):
        cells = []
        for name in names:
            answer = results[name]["queries"][i]
            cells += [f"{answer['ms']:.1f}" if answer["ms"] else "refused", str(answer["size"])]
        text = query.replace("|", "\\|")
        lines.append(f"| {title}: `{text}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gantry", required=True)
    parser.add_argument("--load", required=True, help="the load generator")
    parser.add_argument("--tempo", help="a Tempo binary to run the same work against")
    parser.add_argument("--spans", type=int, default=20_000_000)
    parser.add_argument("--seconds", type=int, default=3600, help="the range over which the spans are spread")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/benchmarks.md")
    options = parser.parse_args()
    options.end_s = int(time.time()) - 60
    GantryPeer.binary = options.gantry
    TempoPeer.binary = options.tempo
    results = {}
    for kind in (GantryPeer, TempoPeer):
        if not kind.binary:
            continue
        with tempfile.TemporaryDirectory(prefix=f"bench-{kind.name}-", dir="build") as directory:
            data = pathlib.Path(directory).resolve() / "data"
            data.mkdir()
            results[kind.name] = measure(kind(data), options)
            print(f"{kind.name}: {json.dumps({k: v for k, v in results[kind.name].items() if k != 'queries'})}", flush=True)
            shutil.copy(data.parent / f"{kind.name}.log", f"build/bench-traces-{kind.name}.log")
    text = report(results, options)
    print(text)
    if options.write:
        path = pathlib.Path("docs/benchmarks.md")
        before, _, rest = path.read_text().partition("<!-- traces -->\n")
        _, _, after = rest.partition("<!-- end of traces -->\n")
        path.write_text(f"{before}<!-- traces -->\n\n{text}\n<!-- end of traces -->\n{after}")


if __name__ == "__main__":
    main()
