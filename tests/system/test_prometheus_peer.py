"""A real Prometheus scrapes itself and remote-writes here; both must answer the same queries in the same way."""

import math
import subprocess
import time

import pytest
import requests

from gantry_process import Gantry, free_port
from prometheus_process import find_peer

COLLECT_SECONDS = 32
LABELS = 'job="self"'

# Over what a Prometheus server says of itself. Range windows and steps do not fall on scrape times, because Prometheus 2.x
# still counts a sample at the left edge of a window and 3.x (and Gantry) does not.
QUERIES = [
    "up", 'up{job="self"}', 'up{job=~"se.*"}', 'up{job!="self"}', 'count({__name__=~"prometheus_.+"})',
    'count by (__name__) ({__name__=~"go_.+"})', "go_goroutines", "-go_goroutines", "go_goroutines * 2 + 1",
    "go_goroutines > 10", "go_goroutines > bool 10", "go_memstats_alloc_bytes / go_memstats_sys_bytes",
    "process_resident_memory_bytes / 1024 / 1024", "rate(prometheus_http_requests_total[15s])",
    "sum(rate(prometheus_http_requests_total[15s]))", "sum by (handler) (rate(prometheus_http_requests_total[15s]))",
    "sum without (handler, code) (prometheus_http_requests_total)", "increase(prometheus_tsdb_head_samples_appended_total[15s])",
    "irate(prometheus_tsdb_head_samples_appended_total[15s])", "idelta(go_memstats_alloc_bytes[15s])",
    "delta(go_memstats_alloc_bytes[15s])", "deriv(process_resident_memory_bytes[15s])",
    "predict_linear(process_cpu_seconds_total[15s], 60)", "resets(process_cpu_seconds_total[15s])",
    "changes(go_memstats_alloc_bytes[15s])", "avg_over_time(go_goroutines[15s])", "min_over_time(go_goroutines[15s])",
    "max_over_time(go_goroutines[15s])", "sum_over_time(up[15s])", "count_over_time(up[15s])",
    "stddev_over_time(go_memstats_alloc_bytes[15s])", "stdvar_over_time(go_goroutines[15s])",
    "quantile_over_time(0.9, go_memstats_alloc_bytes[15s])", "last_over_time(go_goroutines[15s])",
    "present_over_time(up[15s])", "absent(up)", "absent(nonexistent{a=\"b\"})", "absent_over_time(nonexistent[15s])",
    "histogram_quantile(0.9, sum by (le) (prometheus_http_request_duration_seconds_bucket))",
    "histogram_quantile(0.5, rate(prometheus_http_response_size_bytes_bucket[15s]))",
    "topk(3, {__name__=~\"go_memstats_(sys|alloc|heap_idle|stack_inuse)_bytes\"})", "bottomk(2, go_gc_duration_seconds)",
    "quantile(0.5, prometheus_engine_query_duration_seconds)", "count_values(\"v\", up)",
    "stddev(go_gc_duration_seconds)", "max by (quantile) (go_gc_duration_seconds)",
    "prometheus_http_requests_total and on (handler) prometheus_http_request_duration_seconds_count",
    "prometheus_http_requests_total unless on (code) prometheus_http_requests_total{code=\"200\"}",
    "up or nonexistent", "go_gc_duration_seconds_sum / on (job) group_left go_gc_duration_seconds_count",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")", "label_join(up, \"x\", \"-\", \"job\", \"instance\")",
    "sort_desc(go_gc_duration_seconds)", "scalar(up) + vector(2)", "clamp_max(go_goroutines, 5)",
    "round(process_cpu_seconds_total, 0.1)", "ceil(process_cpu_seconds_total) - floor(process_cpu_seconds_total)",
    "max_over_time(sum(go_goroutines)[10s:2s])", "rate(process_cpu_seconds_total[10s] offset 3s)",
    "avg(go_memstats_alloc_bytes offset 2s) > 0", "timestamp(up) < time()", "abs(up - 1)", "exp(up) + ln(up + 1) + sqrt(up)",
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(prometheus url, gantry, an evaluation time that both have samples for)"""
    directory = tmp_path_factory.mktemp("peer")
    gantry = Gantry(directory / "data").start()
    user, token = gantry.write_auth
    port = free_port()
    (directory / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
remote_write:
  - url: {gantry.url}/api/v1/push
    basic_auth: {{username: "{user}", password: "{token}"}}
    queue_config: {{batch_send_deadline: 500ms}}
    send_exemplars: true
""")
    process = subprocess.Popen(
        [find_peer("prometheus"), f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/tsdb",
         f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=open(directory / "prometheus.log", "wb"))
    url = f"http://127.0.0.1:{port}"
    try:
        gantry.wait_for("up", seconds=60)
        time.sleep(COLLECT_SECONDS)
        at = math.floor(time.time()) - 4 + away_from_scrapes(gantry)
        wait_until_sent(gantry, at)
        yield url, gantry, at
    finally:
        process.terminate()
        process.wait()
        gantry.stop()


def away_from_scrapes(gantry) -> float:
    """A fraction of a second half-way between two scrapes."""
    scraped = float(gantry.query("timestamp(up)")[0]["value"][1])
    return round((scraped % 1 + 0.5) % 1, 3)


def wait_until_sent(gantry, at: float) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        newest = gantry.query("max(timestamp(up))")
        if newest and float(newest[0]["value"][1]) > at + 1:
            return
        time.sleep(0.2)
    raise AssertionError("Prometheus did not send its newest samples")


def ask(url: str, path: str, auth=None, **parameters):
    answer = requests.get(url + path, params=parameters, auth=auth, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def close(a: str, b: str) -> bool:
    x, y = float(a), float(b)
    return (math.isnan(x) and math.isnan(y)) or x == y or math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12)


def key(series: dict) -> tuple:
    return tuple(sorted(series["metric"].items()))


def points(series: dict) -> list:
    return series["values"] if "values" in series else [series["value"]]


def assert_same(theirs: dict, ours: dict, is_ordered: bool) -> None:
    assert ours["resultType"] == theirs["resultType"]
    if theirs["resultType"] in ("scalar", "string"):
        assert close(ours["result"][1], theirs["result"][1])
        return
    left, right = theirs["result"], ours["result"]
    if not is_ordered:
        left, right = sorted(left, key=key), sorted(right, key=key)
    assert [key(s) for s in right] == [key(s) for s in left]
    for expected, actual in zip(left, right):
        assert [t for t, _ in points(actual)] == [t for t, _ in points(expected)], key(actual)
        for (t, want), (_, have) in zip(points(expected), points(actual)):
            assert close(want, have), f"{key(actual)} at {t}: {have}, Prometheus has {want}"


def test_enough_queries():
    assert len(QUERIES) >= 50 and len(set(QUERIES)) == len(QUERIES)


@pytest.mark.parametrize("query", QUERIES)
def test_instant_queries_agree(pair, query):
    url, gantry, at = pair
    theirs = ask(url, "/api/v1/query", query=query, time=at)
    ours = ask(gantry.url, "/api/v1/query", auth=gantry.read_auth, query=query, time=at)
    assert_same(theirs, ours, is_ordered=query.startswith(("sort", "topk", "bottomk")))


@pytest.mark.parametrize("query", QUERIES)
def test_range_queries_agree(pair, query):
    url, gantry, at = pair
    parameters = {"query": query, "start": at - 8, "end": at, "step": 1}
    theirs = ask(url, "/api/v1/query_range", **parameters)
    ours = ask(gantry.url, "/api/v1/query_range", auth=gantry.read_auth, **parameters)
    assert_same(theirs, ours, is_ordered=True)


def test_labels_and_series_agree(pair):
    url, gantry, at = pair
    window = {"start": at - 5, "end": at}
    for path, parameters in [("/api/v1/labels", {"match[]": f"{{{LABELS}}}"}),
                             ("/api/v1/label/__name__/values", {"match[]": f"{{{LABELS}}}"}),
                             ("/api/v1/label/handler/values", {})]:
        theirs = set(ask(url, path, **parameters, **window))
        ours = set(ask(gantry.url, path, auth=gantry.read_auth, **parameters, **window))
        # Prometheus looks labels up in its newest block without regard to time: what it names beyond ours must have no
        # sample in the window.
        assert ours <= theirs, path
        for value in theirs - ours:
            assert path.endswith("handler/values"), value
            assert ask(url, "/api/v1/query", query=f'{{handler="{value}"}}[5s]', time=at)["result"] == [], value
    selector = {"match[]": "prometheus_http_requests_total"}
    theirs = ask(url, "/api/v1/series", **selector, **window)
    ours = ask(gantry.url, "/api/v1/series", auth=gantry.read_auth, **selector, **window)
    assert sorted(map(str, (sorted(s.items()) for s in ours))) == sorted(map(str, (sorted(s.items()) for s in theirs)))


def test_metadata_arrives(pair):
    _, gantry, _ = pair
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = gantry.get("/api/v1/metadata", metric="go_goroutines").json()["data"]
        if found:
            break
        time.sleep(1)
    assert found["go_goroutines"][0]["type"] == "gauge"
    assert "goroutines" in found["go_goroutines"][0]["help"]


def test_promtool(pair):
    _, gantry, at = pair
    user, token = gantry.read_auth
    url = gantry.url.replace("://", f"://{user}:{token}@")
    tool = find_peer("promtool")

    def run(*arguments):
        done = subprocess.run([tool, "query", *arguments], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "up{" in run("instant", url, "up", f"--time={at}")
    assert "up{" in run("range", url, "up", f"--start={at - 5}", f"--end={at}", "--step=1s")
    assert 'job="self"' in run("series", url, "--match=up")
    assert "self" in run("labels", url, "job")
