#!/usr/bin/env python3
"""Gantry, Prometheus and VictoriaMetrics one after the other on the same series: what they cost and how fast they answer.

Run by `./dev bench metrics`. Prints a Markdown table and the ratios; `--write` puts them into docs/benchmarks.md.
"""

import argparse
import datetime
import json
import math
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request

from peers import Gantry, Peer, geometric_mean, machine, wait_until_steady

# 20 range queries over an hour: what dashboards ask. {h} is one host.
QUERIES = [
    ("sum of rates, 10k series", "sum(rate(node_cpu_seconds_total[5m]))", 15),
    ("sum of rates, 10k series, 1 min", "sum(rate(node_cpu_seconds_total[5m]))", 60),
    ("rates by mode", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", 60),
    ("rates by instance and mode", "sum by (instance, mode) (rate(node_cpu_seconds_total[5m]))", 60),
    ("busy share", 'sum(rate(node_cpu_seconds_total{mode!="idle"}[5m])) / sum(rate(node_cpu_seconds_total[5m]))', 60),
    ("p99 of 10k buckets", "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))", 60),
    ("p90 by handler", "histogram_quantile(0.9, sum by (le, handler) (rate(http_request_duration_seconds_bucket[5m])))", 60),
    ("increase by device", "sum by (device) (increase(node_network_metric1_total[15m]))", 60),
    ("irate by datacenter", "sum by (datacenter) (irate(node_network_metric2_total[5m]))", 60),
    ("average of a gauge", "avg by (datacenter) (node_memory_gauge1_bytes)", 60),
    ("max over time", "max by (zone) (max_over_time(node_memory_gauge2_bytes[10m]))", 60),
    ("avg over time", "avg(avg_over_time(node_memory_gauge3_bytes[10m]))", 60),
    ("quantile over time", "max(quantile_over_time(0.9, node_memory_gauge4_bytes[10m]))", 60),
    ("top 5", "topk(5, sum by (instance) (rate(node_network_metric3_total[5m])))", 60),
    ("regex on a label", 'sum(rate(node_cpu_seconds_total{instance=~"node-000[0-4].*",mode=~"user|system"}[5m]))', 60),
    ("join", "sum by (instance) (node_memory_gauge1_bytes) / on (instance) sum by (instance) (node_memory_gauge2_bytes)", 60),
    ("count of 100k series", 'count({job="node"})', 300),
    ("count by name of 100k series", 'count by (__name__) ({job="node"})', 300),
    ("one host, one metric, raw", 'node_cpu_seconds_total{instance="node-00007-0.example.internal:9100",cpu="0"}', 15),
    ("one host, rates", 'rate(node_network_metric1_total{instance="node-00007-0.example.internal:9100"}[5m])', 15),
]


class GantryPeer(Gantry):
    write_path = "/api/v1/push"

    def disk_bytes(self):
        return self.stored_bytes("metrics")


class PrometheusPeer(Peer):
    name = "prometheus"
    binary = ""

    def command(self):
        config = self.directory.parent / "prometheus.yml"
        config.write_text("global: {}\n")
        return [self.binary, f"--config.file={config}", f"--storage.tsdb.path={self.directory}",
                "--web.enable-remote-write-receiver", "--web.enable-admin-api", f"--web.listen-address=127.0.0.1:{self.port}"]

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True).stdout.split("(")[0].strip()

    def disk_bytes(self):
        # A snapshot holds the head as a block; the write-ahead log is not part of the data.
        request = urllib.request.Request(self.url + "/api/v1/admin/tsdb/snapshot", method="POST")
        name = json.load(urllib.request.urlopen(request, timeout=120))["data"]["name"]
        return sum(f.stat().st_size for f in (self.directory / "snapshots" / name).rglob("*") if f.is_file())


class VictoriaPeer(Peer):
    name = "victoria-metrics"
    query_extra = {"nocache": "1"}
    binary = ""

    def command(self):
        return [self.binary, f"-storageDataPath={self.directory}", f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=1", "-search.latencyOffset=0s"]

    def ready_path(self):
        return "/health"

    def version(self):
        # Debian's build does not know its own version; its package does.
        packages = pathlib.Path(self.binary).parents[3].glob("download/victoria-metrics_*.deb")
        return ", ".join(package.name.split("_")[1] for package in packages)

    def settle(self):
        self.get("/internal/force_flush", {})
        self.get("/internal/force_merge", {})
        wait_until_steady(self)

    def disk_bytes(self):
        return sum(f.stat().st_size for f in self.directory.rglob("*") if f.is_file() and "cache" not in f.parts)


def load(peer: Peer, program: str, options) -> dict:
    command = ["nice", "-n", "5", program, "--url", peer.url + peer.write_path, "--series", str(options.series),
               "--steps", str(options.steps), "--start-ms", str(options.start_ms), "--churn-every", str(options.churn_every)]
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


def timed_queries(peer: Peer, options) -> list[dict]:
    end = options.start_ms / 1000 + (options.steps - 1) * 15 + 7
    out = []
    for title, query, step in QUERIES:
        parameters = {"query": query, "start": end - 3600, "end": end, "step": step} | peer.query_extra
        times, body = [], b""
        for _ in range(2 + options.repeats):
            started = time.perf_counter()
            body = peer.get("/api/v1/query_range", parameters)
            times.append((time.perf_counter() - started) * 1000)
        result = json.loads(body)["data"]["result"]
        out.append({"title": title, "ms": statistics.median(times[2:]), "series": len(result), "sum": checksum(result)})
    return out


def checksum(result: list) -> float:
    return sum(float(v) for series in result for _, v in series["values"] if v not in ("NaN", "+Inf", "-Inf"))


def measure(peer: Peer, options) -> dict:
    peer.start()
    result = load(peer, options.load, options)
    result["version"] = peer.version()
    result["queries"] = timed_queries(peer, options)
    peer.kill()
    result["restart_seconds"] = peer.start()
    peer.settle()
    result["disk_bytes"] = peer.disk_bytes()
    peer.stop()
    return result


def same_answer(results: dict, query: int) -> str:
    if "gantry" not in results or "prometheus" not in results:
        return "-"
    ours, theirs = results["gantry"]["queries"][query], results["prometheus"]["queries"][query]
    is_same = ours["series"] == theirs["series"] and math.isclose(ours["sum"], theirs["sum"], rel_tol=1e-9)
    return "yes" if is_same else "differs"


def report(results: dict, options) -> str:
    names = list(results)
    lines = [
        f"Measured on {datetime.date.today().isoformat()}: {machine()}. {options.series} series, 15 s apart, {options.steps} steps"
        + (f", a tenth of the hosts renamed every {options.churn_every} steps" if options.churn_every else "")
        + ". Remote write 1.0, 2,000 samples a request, 2 connections, sender on the same machine.",
        "", "Versions: " + "; ".join(f"{n}: {results[n]['version']}" for n in names) + ".", "",
        "| | " + " | ".join(names) + " | gantry ÷ prometheus | gantry ÷ victoria-metrics |",
        "| --- |" + " ---: |" * (len(names) + 2),
    ]

    def row(title, value, digits=2):
        values = {n: value(results[n]) for n in names}
        cells = [f"{values[n]:.{digits}f}" for n in names]
        ratios = [f"{values['gantry'] / values[p]:.2f}" if p in values and values[p] else "-"
                  for p in ("prometheus", "victoria-metrics")]
        lines.append(f"| {title} | " + " | ".join(cells + ratios) + " |")

    row("samples per second (wall)", lambda r: r["samples"] / r["seconds"], 0)
    row("CPU seconds per million samples", lambda r: r["cpu_seconds"] / r["samples"] * 1e6)
    row("resident memory after the load, MiB", lambda r: r["rss_mib"], 0)
    row("peak memory, MiB", lambda r: r["peak_mib"], 0)
    row("bytes per sample on disk (data and index, no log)", lambda r: r["disk_bytes"] / r["samples"])
    row("ready after kill -9, seconds", lambda r: r["restart_seconds"])
    row("20 range queries, geometric mean of medians, ms", lambda r: geometric_mean([q["ms"] for q in r["queries"]]))
    lines += ["", "Median of each query, ms. The last column compares Gantry's answer with Prometheus's. Rates differ where a "
              "series begins inside the window (2.x extrapolates to a counter's zero in another order than 3.x); VictoriaMetrics does "
              "not extrapolate at all:", "",
              "| query | " + " | ".join(names) + " | as Prometheus |",
              "| --- |" + " ---: |" * len(names) + " --- |"]
    for i, (title, _, step) in enumerate(QUERIES):
        answers = [results[n]["queries"][i] for n in names]
        lines.append(f"| {title}, step {step} s | " + " | ".join(f"{a['ms']:.1f}" for a in answers)
                     + f" | {same_answer(results, i)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gantry", required=True)
    parser.add_argument("--load", required=True, help="the load generator")
    parser.add_argument("--peers", required=True, help="directory of unpacked packages")
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--churn-every", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", help="comma-separated names")
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/benchmarks.md")
    options = parser.parse_args()
    options.start_ms = (int(time.time()) - options.steps * 15 - 30) // 15 * 15_000
    peers = pathlib.Path(options.peers)
    GantryPeer.binary = options.gantry
    PrometheusPeer.binary = str(peers / "prometheus/usr/bin/prometheus")
    VictoriaPeer.binary = str(peers / "victoria-metrics/usr/bin/victoria-metrics")
    results = {}
    for kind in (GantryPeer, PrometheusPeer, VictoriaPeer):
        if options.only and kind.name not in options.only.split(","):
            continue
        with tempfile.TemporaryDirectory(prefix=f"bench-{kind.name}-", dir="build") as directory:
            data = pathlib.Path(directory).resolve() / "data"
            data.mkdir()
            results[kind.name] = measure(kind(data), options)
            print(f"{kind.name}: {json.dumps({k: v for k, v in results[kind.name].items() if k != 'queries'})}", flush=True)
            log = data.parent / f"{kind.name}.log"
            shutil.copy(log, f"build/bench-{kind.name}.log")
    text = report(results, options)
    print(text)
    if options.write:
        path = pathlib.Path("docs/benchmarks.md")
        before, _, rest = path.read_text().partition("<!-- metrics -->\n")
        _, _, after = rest.partition("<!-- end of metrics -->\n")
        path.write_text(f"{before}<!-- metrics -->\n\n{text}\n<!-- end of metrics -->\n{after}")


if __name__ == "__main__":
    main()
