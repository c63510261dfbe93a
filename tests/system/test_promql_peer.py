"""The same series in Gantry and in a real Prometheus 2.42, the same random queries to both, the same answers.

The queries come from src/promql/testing/random_query.h, whose seed is printed: GANTRY_PEER_SEED=N repeats a run,
GANTRY_PEER_COUNT=N asks more or fewer, GANTRY_PEER_QUERY=TEXT asks that one query at random times.

Gantry answers as Prometheus 3.14, so both agree only on what did not change between the two. Nothing that differs is
looked over; what is known to have changed does not occur:

- Windows and lookback include their left end in 2.42 and not in 3.x: samples never lie on whole seconds, queries are asked
  at whole seconds only, and sub-queries have ranges that end on half a second, so that no left end falls on their grid.
- Rates of series that begin inside the window, order of summation: see peer_series.py.
- Functions, aggregators, modifiers and number syntax of later versions are not in the generator's `2.42`.
- Rates over sub-queries, ties, filters among several matches, deviations and calendars of infinities, `@` in functions of
  the step's time, aggregation parameters over a fixed time, the name after `atan2`, remainders and sines of what is not exact: see
  random_query.cc, where each is left out of what `2.42` may ask.
- Of native histograms only counts, sums, rates and additions: 2.42 had them as an experiment, interpolates quantiles
  otherwise, and elsewhere takes a histogram for the number 0.
- Warnings and infos, which 2.42 does not have, are not looked at.
"""

import os
import pathlib
import random
import subprocess

import pytest
import remote_write as rw
from gantry_process import BINARY, Gantry
from peer_answers import describe_difference
from peer_series import BASE, SPAN_SECONDS, make_histograms, make_series, requests
from prometheus_process import Prometheus

SEED = int(os.environ.get("GANTRY_PEER_SEED", "20260821"))
# Query k of seed n is that of n * stride + k.
SEED_STRIDE = 1_000_000
COUNT = int(os.environ.get("GANTRY_PEER_COUNT", "2000"))
CHOSEN = os.environ.get("GANTRY_PEER_QUERY")
# Far enough from the beginning that nested ranges stay inside the data.
FIRST, LAST = BASE + 7800, BASE + SPAN_SECONDS - 60
SHOWN_MAX = 40

SMOKE = [
    "up", "-temperature", '{job="api", instance="i0"}', "errors_total[1m]", "temperature[2m500ms:30s]", '"text"', "1 + 2 * 3",
    "rate(errors_total[5m])", "sum by (job) (rate(requests_total[5m]))", "increase(hits[1h])", "irate(errors_total[2m])",
    "delta(temperature[5m])", "deriv(queue_depth[10m])", "resets(hits[1h])", "changes(up[10m])", "avg_over_time(weird[5m])",
    "quantile_over_time(0.9, temperature[10m])", "max_over_time(sum(queue_depth)[10m500ms:1m])", "absent(nothing_here)",
    "histogram_quantile(0.9, sum by (le, job) (rate(latency_seconds_bucket[5m])))", "histogram_quantile(0.5, latency_seconds_bucket)",
    "topk(3, requests_total)", "bottomk by (job) (1, temperature)", "count_values(\"value\", up)", "quantile(0.3, queue_depth)",
    "requests_total / on (job, instance) group_left (version) target_info", "errors_total and on (job) (up == 0)",
    "temperature > bool 3", "temperature % 7", "requests_total % on (job, instance) group_left () hits",
    "temperature unless queue_depth", "sort_desc(temperature)",
    'label_replace(up, "a", "$1", "job", "(.*)")',
    "rate(errors_total[5m] offset 7m)", f"errors_total @ {BASE + 8000}", "rate(hits[5m] @ end())", "timestamp(up)", "time()",
    "stddev by (job) (temperature)", "topk(9, weird)",
    'quantile(scalar(up{job="api", instance="i0"}), queue_depth)', "sum(temperature) atan2 sum(queue_depth)",
    "predict_linear(temperature[10m], 600)", "scalar(sum(up))", "vector(time())", "up or nothing_here",
    "histogram_count(duration_native)", "histogram_sum(rate(duration_native[5m]))", "sum by (job) (duration_native)",
    "rate(duration_native[5m])", "increase(duration_native[1h])", "sum(rate(duration_native[5m]))", "gauge_native",
    "duration_native + gauge_native", "duration_native offset 10m", "duration_native[2m]",
    "sum(duration_native)", "count_over_time(duration_native[5m])", "absent(duration_native)",
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(prometheus, gantry), both with all the series."""
    directory = tmp_path_factory.mktemp("promql-peer")
    gantry = Gantry(directory / "data", environment={"GANTRY_STORAGE_RETENTION": "0s"}).start()
    prometheus = Prometheus(directory / "prometheus", ["--enable-feature=native-histograms"]).start()
    try:
        for body in requests(make_series(SEED)):
            prometheus.write(body)
            answer = gantry.post("/api/v1/push", body, headers=rw.V1_HEADERS)
            assert answer.status_code == 204, answer.text
        yield prometheus, gantry
    finally:
        prometheus.stop()
        gantry.stop()


def random_queries(features: str, count: int) -> list[str]:
    if CHOSEN:
        return [CHOSEN] * 50
    program = os.environ.get("GANTRY_RANDOM_QUERIES", pathlib.Path(BINARY).parent / "tests/promql_random_queries")
    done = subprocess.run([program, "--seed", str(SEED * SEED_STRIDE), "--count", str(count), "--features", features,
                           "--start", str(FIRST), "--end", str(LAST)], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def random_parameters(random_: random.Random) -> list[tuple[str, dict]]:
    """One instant and one range query."""
    step = random_.choice([1, 7, 15, 30, 60, 61, 300])
    start = random_.randrange(FIRST, LAST)
    end = min(start + step * random_.randrange(40) + random_.randrange(step), LAST)
    return [("/api/v1/query", {"time": random_.randrange(FIRST, LAST)}),
            ("/api/v1/query_range", {"start": start, "end": end, "step": step})]


class Comparison:
    """Asks both and collects what differs."""

    def __init__(self, prometheus: Prometheus, gantry: Gantry):
        self.prometheus, self.gantry = prometheus, gantry
        self.differences: list[str] = []
        self.asked = self.empty = self.refused = 0

    def ask(self, path: str, parameters: dict) -> None:
        theirs, ours = self.prometheus.get(path, **parameters), self.gantry.get(path, **parameters)
        self.asked += 1
        self.refused += theirs.status_code != 200
        self.empty += theirs.status_code == 200 and not theirs.json()["data"]["result"]
        if text := describe_difference(theirs, ours):
            self.differences.append(f"{parameters}\n      {text}")

    def check(self) -> None:
        print(f"seed {SEED}: {self.asked} queries, {self.refused} refused by both, {self.empty} with an empty answer, "
              f"{len(self.differences)} differences")
        shown = "\n".join(self.differences[:SHOWN_MAX])
        assert not self.differences, f"seed {SEED}: {len(self.differences)} of {self.asked} differ\n{shown}"


@pytest.mark.parametrize("query", SMOKE)
def test_chosen_queries_agree(pair, query):
    comparison = Comparison(*pair)
    random_ = random.Random(query)
    for _ in range(3):
        for path, parameters in random_parameters(random_):
            comparison.ask(path, {"query": query} | parameters)
    comparison.check()


@pytest.mark.parametrize("features, share", [("2.42", 1), ("2.42+histograms", 0.5)])
def test_random_queries_agree(pair, features, share):
    comparison = Comparison(*pair)
    random_ = random.Random(SEED)
    for query in random_queries(features, round(COUNT * share)):
        for path, parameters in random_parameters(random_):
            comparison.ask(path, {"query": query} | parameters)
    comparison.check()
    assert CHOSEN or (comparison.refused < comparison.asked / 4 and comparison.empty < comparison.asked / 2)


def test_bytes_of_native_histograms_on_disk(tmp_path):
    """Data and index in files, the log apart, for 100 series of 240 samples."""
    series = make_histograms(SEED, 100, 240)
    samples = sum(len(one.histograms) for one in series)
    gantry = Gantry(tmp_path / "data", environment={"GANTRY_STORAGE_RETENTION": "0s"}).start()
    prometheus = Prometheus(tmp_path / "prometheus", ["--enable-feature=native-histograms"]).start()
    try:
        for body in requests(series):
            prometheus.write(body)
            assert gantry.post("/api/v1/push", body, headers=rw.V1_HEADERS).status_code == 204
        theirs = prometheus.block_bytes() / samples
        # A clean stop moves what is in memory to files.
        assert gantry.stop() == 0, gantry.log()
        files = [file for file in (gantry.data / "stacks").rglob("*")
                 if file.is_file() and "metrics" in file.parts and "wal" not in file.parts]
        ours = sum(file.stat().st_size for file in files) / samples
        print(f"bytes per native histogram sample of 20 buckets: {ours:.1f}, Prometheus {theirs:.1f}")
        assert ours < theirs
    finally:
        prometheus.stop()
        gantry.stop()
