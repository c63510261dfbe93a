#!/usr/bin/env python3
"""Gantry, Prometheus and VictoriaMetrics one after the other on the same series: what they cost and how fast they answer.

Run by `./dev bench metrics`. Prints a Markdown table and the ratios; `--write` puts them into docs/benchmarks.md.
"""

import argparse
import dataclasses
import datetime
import json
import math
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from metrics_queries import COSTLY, DASHBOARD, LONG, NATIVE, Query
from peers import Gantry, Peer, geometric_mean, machine, wait_until_steady

DAY = 86_400


@dataclasses.dataclass(frozen=True)
class DataSet:
    """One load and what is asked of it, on a server of its own."""

    queries: list[Query]
    series: int
    steps: int
    interval: int  # Seconds between samples.
    asked_seconds: int  # Queries end with the data and begin so long before.
    churn_every: int = 0
    histograms: bool = False

    def start_ms(self) -> int:
        """A little past whole intervals: no window of a query or of a sub-query's step then begins at a sample, which 2.x
        counts and 3.x does not."""
        return (int(time.time()) - self.steps * self.interval - 30) // self.interval * self.interval * 1000 + 3000


class GantryPeer(Gantry):
    write_path = "/api/v1/push"

    def environment(self):
        return super().environment() | {"GANTRY_STORAGE_RETENTION": "0s"}

    def disk_bytes(self):
        return self.stored_bytes("metrics")


class PrometheusPeer(Peer):
    name = "prometheus"
    binary = ""

    def command(self):
        config = self.directory.parent / "prometheus.yml"
        config.write_text("global: {}\n")
        return [self.binary, f"--config.file={config}", f"--storage.tsdb.path={self.directory}",
                "--web.enable-remote-write-receiver", "--web.enable-admin-api", "--storage.tsdb.retention.time=100d",
                "--enable-feature=native-histograms", f"--web.listen-address=127.0.0.1:{self.port}"]

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True).stdout.split("(")[0].strip()

    def disk_bytes(self):
        # A snapshot holds the head as a block; the write-ahead log is not part of the data.
        request = urllib.request.Request(self.url + "/api/v1/admin/tsdb/snapshot", method="POST")
        name = json.load(urllib.request.urlopen(request, timeout=120))["data"]["name"]
        return sum(f.stat().st_size for f in (self.directory / "snapshots" / name).rglob("*") if f.is_file())


class VictoriaPeer(Peer):
    name = "victoria-metrics"
    has_native_histograms = False
    query_extra = {"nocache": "1"}
    binary = ""

    def command(self):
        return [self.binary, f"-storageDataPath={self.directory}", f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=4", "-search.latencyOffset=0s"]

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


def load(peer: Peer, data: DataSet, start_ms: int, program: str) -> dict:
    command = ["nice", "-n", "5", program, "--url", peer.url + peer.write_path, "--series", str(data.series),
               "--steps", str(data.steps), "--start-ms", str(start_ms), "--interval-ms", str(data.interval * 1000),
               "--churn-every", str(data.churn_every), "--kind", "histograms" if data.histograms else "numbers"]
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


def timed_queries(peer: Peer, data: DataSet, start_ms: int, repeats: int) -> list[dict]:
    end = start_ms / 1000 + (data.steps - 1) * data.interval + data.interval // 2
    return [timed_query(peer, query, end - data.asked_seconds, end, repeats) for query in data.queries]


def timed_query(peer: Peer, query: Query, start: float, end: float, repeats: int) -> dict:
    parameters = {"query": query.text, "start": start, "end": end, "step": query.step} | peer.query_extra
    times, body = [], b""
    # Two to warm up. Quick queries are asked more often: a median of a few would be that of the scheduler.
    while len(times) < 2 + repeats or (sum(times) < 1000 and len(times) < 100):
        started = time.perf_counter()
        try:
            body = peer.get("/api/v1/query_range", parameters)
        except urllib.error.HTTPError as error:
            print(f"{peer.name} refused {query.text}: {error.read()[:300]!r}", flush=True)
            return {"ms": math.nan, "series": 0, "sum": math.nan}
        times.append((time.perf_counter() - started) * 1000)
    result = json.loads(body)["data"]["result"]
    return {"ms": statistics.median(times[2:]), "series": len(result), "sum": checksum(result)}


def checksum(result: list) -> float:
    values = [v for series in result for _, v in series.get("values", [])]
    values += [part for series in result for _, h in series.get("histograms", []) for part in (h["count"], h["sum"])]
    return sum(float(v) for v in values if v not in ("NaN", "+Inf", "-Inf"))


def measure(kind: type[Peer], data: DataSet, start_ms: int, options) -> dict | None:
    """None for a peer that cannot store such data."""
    if data.histograms and not kind.has_native_histograms:
        return None
    with tempfile.TemporaryDirectory(prefix=f"bench-{kind.name}-", dir="build") as directory:
        home = pathlib.Path(directory).resolve() / "data"
        home.mkdir()
        peer = kind(home)
        peer.start()
        try:
            result = load(peer, data, start_ms, options.load)
            result["version"] = peer.version()
            result["queries"] = timed_queries(peer, data, start_ms, options.repeats)
            peer.kill()
            result["restart_seconds"] = peer.start()
            peer.settle()
            result["disk_bytes"] = peer.disk_bytes()
        finally:
            peer.stop()
            shutil.copy(home.parent / f"{kind.name}.log", f"build/bench-{kind.name}.log")
    print(f"{kind.name}: {json.dumps({k: v for k, v in result.items() if k != 'queries'})}", flush=True)
    return result


def same_answer(results: dict, query: int) -> str:
    if "gantry" not in results or "prometheus" not in results:
        return "-"
    ours, theirs = results["gantry"]["queries"][query], results["prometheus"]["queries"][query]
    is_same = ours["series"] == theirs["series"] and math.isclose(ours["sum"], theirs["sum"], rel_tol=1e-9)
    return "yes" if is_same else "differs"


def resources(results: dict, dashboard_count: int) -> list[str]:
    """The table of what a load costs."""
    names = list(results)
    lines = ["| | " + " | ".join(names) + " | gantry ÷ prometheus | gantry ÷ victoria-metrics |",
             "| --- |" + " ---: |" * (len(names) + 2)]

    def row(title, value, digits=2):
        values = {n: value(results[n]) for n in names}
        cells = [f"{values[n]:.{digits}f}" for n in names]
        ratios = [f"{values['gantry'] / values[p]:.2f}" if {p, "gantry"} <= values.keys() and values[p] else "-"
                  for p in ("prometheus", "victoria-metrics")]
        lines.append(f"| {title} | " + " | ".join(cells + ratios) + " |")

    row("samples per second (wall)", lambda r: r["samples"] / r["seconds"], 0)
    row("CPU seconds per million samples", lambda r: r["cpu_seconds"] / r["samples"] * 1e6)
    row("resident memory after the load, MiB", lambda r: r["rss_mib"], 0)
    row("peak memory, MiB", lambda r: r["peak_mib"], 0)
    row("bytes per sample on disk (data and index, no log)", lambda r: r["disk_bytes"] / r["samples"])
    row("ready after kill -9, seconds", lambda r: r["restart_seconds"])
    if dashboard_count:
        row(f"{dashboard_count} range queries, geometric mean of medians, ms",
            lambda r: geometric_mean([q["ms"] for q in r["queries"][:dashboard_count]]))
    return lines


def latencies(results: dict, queries: list[Query], first: int) -> list[str]:
    """The table of `queries`, which are those from `first` on in the results."""
    names = list(results)
    lines = ["| query | " + " | ".join(names) + " | as Prometheus |", "| --- |" + " ---: |" * len(names) + " --- |"]
    for i, query in enumerate(queries, first):
        cells = [f"{results[n]['queries'][i]['ms']:.1f}" for n in names]
        cells = ["refused" if cell == "nan" else cell for cell in cells]
        lines.append(f"| {query.title}, step {query.step} s | " + " | ".join(cells) + f" | {same_answer(results, i)} |")
    return lines


def report(measured: dict[str, tuple[DataSet, dict]]) -> str:
    wide, wide_results = measured["wide"]
    long, long_results = measured["long"]
    native, native_results = measured["native"]
    names = list(wide_results)
    lines = [
        f"Measured on {datetime.date.today().isoformat()}: {machine()}. {wide.series} series, {wide.interval} s apart, "
        f"{wide.steps} steps"
        + (f", a tenth of the hosts renamed every {wide.churn_every} steps" if wide.churn_every else "")
        + ". Remote write 1.0, 2,000 samples a request, 2 connections, sender on the same machine.",
        "", "Versions: " + "; ".join(f"{n}: {wide_results[n]['version']}" for n in names) + ".", ""]
    lines += resources(wide_results, len(DASHBOARD))
    lines += ["", "Median of each query, ms. The last column compares Gantry's answer with Prometheus's. Rates differ where a "
              "series begins inside the window (2.x extrapolates to a counter's zero in another order than 3.x); VictoriaMetrics "
              "does not extrapolate at all. Where values are equal, `topk` may keep another series than 2.x did:", ""]
    lines += latencies(wide_results, DASHBOARD, 0)
    lines += ["", "Queries that people call slow, on the same series:", ""]
    lines += latencies(wide_results, COSTLY, len(DASHBOARD))
    lines += ["", f"{long.series} series over {long.steps * long.interval // DAY} days, {long.interval} s apart; queries over the "
              "last day:", ""]
    lines += resources(long_results, 0) + [""] + latencies(long_results, long.queries, 0)
    lines += ["", f"{native.series} native histograms of up to 20 buckets, {native.interval} s apart, {native.steps} steps; "
              "VictoriaMetrics 1.79 does not have them:", ""]
    lines += resources(native_results, 0) + [""] + latencies(native_results, native.queries, 0)
    return "\n".join(lines) + "\n"


def data_sets(options) -> dict[str, DataSet]:
    days = options.long_days
    long = [Query(q.title.format(days=days), q.text.replace("{days}", str(days)), q.step) for q in LONG]
    return {
        "wide": DataSet(DASHBOARD + COSTLY, options.series, options.steps, 15, 3600, options.churn_every),
        "long": DataSet(long, options.long_series, days * DAY // 300, 300, DAY),
        "native": DataSet(NATIVE, options.native_series, options.steps, 15, 3600, histograms=True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gantry", required=True)
    parser.add_argument("--load", required=True, help="the load generator")
    parser.add_argument("--peers", required=True, help="directory of unpacked packages")
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--churn-every", type=int, default=24)
    parser.add_argument("--long-series", type=int, default=1_000)
    parser.add_argument("--long-days", type=int, default=30)
    parser.add_argument("--native-series", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", help="comma-separated names")
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/benchmarks.md")
    options = parser.parse_args()
    peers = pathlib.Path(options.peers)
    GantryPeer.binary = options.gantry
    PrometheusPeer.binary = str(peers / "prometheus/usr/bin/prometheus")
    VictoriaPeer.binary = str(peers / "victoria-metrics/usr/bin/victoria-metrics")
    kinds = [kind for kind in (GantryPeer, PrometheusPeer, VictoriaPeer)
             if not options.only or kind.name in options.only.split(",")]
    measured = {}
    for name, data in data_sets(options).items():
        start_ms = data.start_ms()
        results = {kind.name: measure(kind, data, start_ms, options) for kind in kinds}
        measured[name] = data, {peer: result for peer, result in results.items() if result is not None}
    text = report(measured)
    print(text)
    if options.write:
        path = pathlib.Path("docs/benchmarks.md")
        before, _, rest = path.read_text().partition("<!-- metrics -->\n")
        _, _, after = rest.partition("<!-- end of metrics -->\n")
        path.write_text(f"{before}<!-- metrics -->\n\n{text}\n<!-- end of metrics -->\n{after}")


if __name__ == "__main__":
    main()
