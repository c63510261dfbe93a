"""Native histograms from the wire to the answer: by remote write 1.0 and 2.0 and by OTLP, asked for as they were written, after
a crash and from files on disk, and handed on to a real Prometheus. What is expected is worked out here, by hand."""

import math
import time

import metric_family
import pytest
import remote_write as rw
from gantry_process import Gantry
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from prometheus_process import Prometheus

INTERVAL_MS = 15_000
NOW_MS = (int(time.time()) - 60) * 1000
NOW = NOW_MS // 1000
COUNT = 40
TIMES = [NOW_MS - (COUNT - 1 - k) * INTERVAL_MS for k in range(COUNT)]

# What one interval adds to each: at sample k there is k + 1 times as much.
EXPONENTIAL = {"count": 10, "total": 12.5, "zero_threshold": 0.001, "zero_count": 2, "positive": [(1, 1), (1, 1)],
               "counts": [3, 4], "negative": [(0, 1)], "negative_counts": [1]}
EXPONENTIAL_BUCKETS = [[1, "-1", "-0.5", 1], [3, "-0.001", "0.001", 2], [0, "1", "2", 3], [0, "4", "8", 4]]
FINE = {"count": 6, "total": 7.25, "schema": 1, "positive": [(1, 2), (3, 1)], "counts": [1, 2, 3]}
FINE_BUCKETS = [[0, "1", "1.414213562373095", 1], [0, "1.414213562373095", "2", 2], [0, "5.65685424949238", "8", 3]]
CUSTOM = {"count": 6, "total": 9.5, "schema": -53, "positive": [(0, 3)], "counts": [1, 2, 3], "custom": [0.5, 1.0]}
CUSTOM_BUCKETS = [[3, "-Inf", "0.5", 1], [0, "0.5", "1", 2], [0, "1", "+Inf", 3]]
FLOATS = {"count": 3.5, "total": -1.25, "schema": -1, "positive": [(1, 1)], "counts": [2.25], "negative": [(2, 1)],
          "negative_counts": [1.25], "is_float": True}
FLOATS_BUCKETS = [[1, "-16", "-4", 1.25], [0, "1", "4", 2.25]]

CASES = {"exponential": (EXPONENTIAL, EXPONENTIAL_BUCKETS), "fine": (FINE, FINE_BUCKETS), "custom": (CUSTOM, CUSTOM_BUCKETS),
         "floats": (FLOATS, FLOATS_BUCKETS)}


def times_(one: dict, factor: float, **more) -> dict:
    """A histogram with `factor` times the observations."""
    out = dict(one) | more
    for name in ("count", "total", "zero_count"):
        out[name] = one.get(name, 0) * factor
    for name in ("counts", "negative_counts"):
        out[name] = [count * factor for count in one.get(name, [])]
    return out


def text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def as_json(name: str, factor: float) -> dict:
    """What the API says of `factor` times a case."""
    one, buckets = CASES[name]
    return {"count": text(one["count"] * factor), "sum": text(one["total"] * factor),
            "buckets": [[rule, low, high, text(count * factor)] for rule, low, high, count in buckets]}


def stale(ms: int) -> bytes:
    return rw.histogram_message(ms, count=0, total=rw.stale_nan())


def all_messages() -> dict[str, list[bytes]]:
    """By metric name, in order of time."""
    out = {name: [rw.histogram_message(ms, **times_(one, k + 1)) for k, ms in enumerate(TIMES)]
           for name, (one, _) in CASES.items()}
    # Falls to once the beginning in the middle.
    out["resetting"] = [rw.histogram_message(ms, **times_(EXPONENTIAL, k % 20 + 1)) for k, ms in enumerate(TIMES)]
    out["level"] = [rw.histogram_message(ms, **times_(EXPONENTIAL, 40 - k, hint=3)) for k, ms in enumerate(TIMES)]
    out["gone"] = [rw.histogram_message(ms, **EXPONENTIAL) for ms in TIMES[:-1]] + [stale(TIMES[-1])]
    return out


def written(gantry) -> None:
    messages = all_messages()
    first = [rw.v1_series({"__name__": f"{name}_v1"}, [], b"".join(rw.field(4, one) for one in some))
             for name, some in messages.items()]
    answer = gantry.post("/api/v1/push", rw.v1_request(first), headers=rw.V1_HEADERS)
    assert answer.status_code == 204, answer.text
    second = [({"__name__": f"{name}_v2"}, [], 0, some) for name, some in messages.items()]
    answer = gantry.post("/api/v1/push", rw.v2_request(second), headers=rw.V2_HEADERS)
    assert answer.status_code == 204, answer.text
    assert answer.headers["X-Prometheus-Remote-Write-Histograms-Written"] == str(sum(map(len, messages.values())))


@pytest.fixture(scope="module", params=["as written", "after kill -9", "from files", "from files, after kill -9"])
def gantry(request, tmp_path_factory):
    """The same samples in each state a store can have them in. Tests only read."""
    process = Gantry(tmp_path_factory.mktemp("native") / "data").start()
    written(process)
    if request.param == "after kill -9":
        process.kill()
        process.start()
    elif request.param.startswith("from files"):
        # A clean stop moves what is in memory to files.
        assert process.stop() == 0, process.log()
        process.start()
    if request.param == "from files, after kill -9":
        process.kill()
        process.start()
    yield process
    assert process.stop() == 0, process.log()


def histogram(gantry, query: str, at: float = NOW) -> dict:
    result = gantry.query(query, at=at)
    assert len(result) == 1 and "value" not in result[0], (query, result)
    assert result[0]["histogram"][0] == at
    return result[0]["histogram"][1]


def number(gantry, query: str, at: float = NOW) -> float:
    result = gantry.query(query, at=at)
    assert len(result) == 1 and "histogram" not in result[0], (query, result)
    return float(result[0]["value"][1])


def assert_close(actual: dict, expected: dict) -> None:
    for key in ("count", "sum"):
        assert float(actual[key]) == pytest.approx(float(expected[key]), rel=1e-12)
    assert [bucket[:3] for bucket in actual["buckets"]] == [bucket[:3] for bucket in expected["buckets"]]
    for one, other in zip(actual["buckets"], expected["buckets"]):
        assert float(one[3]) == pytest.approx(float(other[3]), rel=1e-12)


@pytest.mark.parametrize("version", ["v1", "v2"])
class TestAnswers:
    @pytest.mark.parametrize("name", CASES)
    def test_instant(self, gantry, name, version):
        assert gantry.query(f"{name}_{version}", at=NOW) == [
            {"metric": {"__name__": f"{name}_{version}"}, "histogram": [NOW, as_json(name, COUNT)]}]

    @pytest.mark.parametrize("name", CASES)
    def test_range(self, gantry, name, version):
        start = NOW - 10 * 15
        assert gantry.query_range(f"{name}_{version}", start, NOW, 30) == [
            {"metric": {"__name__": f"{name}_{version}"},
             "histograms": [[start + 30 * k, as_json(name, COUNT - 10 + 2 * k)] for k in range(6)]}]

    @pytest.mark.parametrize("name", CASES)
    def test_range_vector(self, gantry, name, version):
        result = gantry.query(f"{name}_{version}[1m]", at=NOW)
        assert result == [{"metric": {"__name__": f"{name}_{version}"},
                           "histograms": [[NOW - 15 * k, as_json(name, COUNT - k)] for k in (3, 2, 1, 0)]}]

    @pytest.mark.parametrize("name", CASES)
    def test_rate(self, gantry, name, version):
        # Samples lie at both ends of what is extrapolated: an interval's worth, a second's share of it.
        assert_close(histogram(gantry, f"rate({name}_{version}[5m])"), as_json(name, 1 / 15))
        assert_close(histogram(gantry, f"increase({name}_{version}[5m])"), as_json(name, 20))
        assert_close(histogram(gantry, f"irate({name}_{version}[5m])"), as_json(name, 1 / 15))

    def test_rate_over_a_reset(self, gantry, version):
        # 19 intervals to the reset, 19 after it, and at it what was there at once: one interval's worth.
        assert_close(histogram(gantry, f"increase(resetting_{version}[10m])"), as_json("exponential", 40))
        assert number(gantry, f"resets(resetting_{version}[10m])") == 1
        assert number(gantry, f"resets(exponential_{version}[10m])") == 0

    def test_gauges(self, gantry, version):
        assert histogram(gantry, f"level_{version}") == as_json("exponential", 1)
        answer = gantry.get("/api/v1/query", query=f"rate(level_{version}[5m])", time=NOW).json()
        assert answer["warnings"] == [
            f'PromQL warning: this native histogram metric is not a counter: "level_{version}" (1:6)']
        delta = histogram(gantry, f"delta(level_{version}[5m])")
        assert float(delta["count"]) == pytest.approx(-20 * EXPONENTIAL["count"])

    def test_stale(self, gantry, version):
        assert histogram(gantry, f"gone_{version}", at=NOW - 15) == as_json("exponential", 1)
        assert gantry.query(f"gone_{version}", at=NOW) == []
        assert number(gantry, f"count_over_time(gone_{version}[1m])") == 3

    def test_sums(self, gantry, version):
        names = f'{{__name__=~"(exponential|resetting|level)_{version}"}}'
        assert histogram(gantry, f"sum({names})") == as_json("exponential", COUNT + 20 + 1)
        assert histogram(gantry, f"exponential_{version} + ignoring(x) exponential_{version}") == as_json("exponential", 80)
        assert_close(histogram(gantry, f"avg({names})"), as_json("exponential", (COUNT + 20 + 1) / 3))
        # Resolution goes down to the coarser of the two; the finer one's lowest buckets share one then.
        mixed = histogram(gantry, f'sum({{__name__=~"(exponential|fine)_{version}"}})')
        assert mixed["buckets"] == [[1, "-1", "-0.5", "40"], [3, "-0.001", "0.001", "80"], [0, "1", "2", "240"],
                                    [0, "4", "8", "280"]]

    def test_parts(self, gantry, version):
        assert number(gantry, f"histogram_count(exponential_{version})") == 10 * COUNT
        assert number(gantry, f"histogram_sum(exponential_{version})") == 12.5 * COUNT
        assert number(gantry, f"histogram_avg(exponential_{version})") == 1.25
        assert number(gantry, f"histogram_count(rate(exponential_{version}[5m]))") == pytest.approx(10 / 15)
        assert number(gantry, f"histogram_fraction(1, 2, exponential_{version})") == pytest.approx(0.3)

    def test_quantiles(self, gantry, version):
        # The last 4 of 10 lie in (4, 8]: the 0.8 quantile is half-way up in powers of two. Custom buckets are linear.
        assert number(gantry, f"histogram_quantile(0.8, exponential_{version})") == pytest.approx(2 ** 2.5)
        assert number(gantry, f"histogram_quantile(0.8, rate(exponential_{version}[5m]))") == pytest.approx(2 ** 2.5)
        assert number(gantry, f"histogram_quantile(0, exponential_{version})") == -1
        assert number(gantry, f"histogram_quantile(1, exponential_{version})") == 8
        assert number(gantry, f"histogram_quantile(0.25, sum(custom_{version}))") == pytest.approx(0.625)
        assert number(gantry, f"histogram_quantile(0.9, custom_{version})") == 1
        assert math.isnan(number(gantry, f"histogram_quantile(NaN, custom_{version})"))


def test_federation_to_a_real_prometheus(gantry, tmp_path):
    """What Prometheus then has is what is here. 2.42 knows no custom buckets, and takes a histogram of floats for a native one
    only if it has a zero bucket."""
    user, token = gantry.read_auth
    port = gantry.http_port
    now_ms = int(time.time() * 1000)
    fresh = [rw.v1_series({"__name__": f"{name}_fed"}, [], rw.v1_histogram(now_ms, **CASES[name][0] | {"zero_threshold": 0.001}))
             for name in ("exponential", "fine", "floats")]
    fresh += [rw.v1_series({"__name__": "level_fed"}, [], rw.v1_histogram(now_ms, **EXPONENTIAL, hint=3))]
    assert gantry.post("/api/v1/push", rw.v1_request(fresh), headers=rw.V1_HEADERS).status_code == 204
    prometheus = Prometheus(tmp_path / "prometheus", ["--enable-feature=native-histograms"]).start(f"""
scrape_configs:
  - job_name: federate
    scrape_interval: 1s
    scrape_timeout: 1s
    honor_labels: true
    metrics_path: /federate
    params: {{'match[]': ['{{__name__=~".+_fed"}}']}}
    basic_auth: {{username: "{user}", password: "{token}"}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
""")
    try:
        names = ["exponential", "fine", "floats", "level"]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = {one["metric"]["__name__"]: one["histogram"][1]
                     for one in prometheus.get("/api/v1/query", query='{__name__=~".+_fed"}').json()["data"]["result"]}
            if len(found) == len(names):
                break
            time.sleep(0.2)
        for name in names:
            case = "exponential" if name == "level" else name
            assert found[f"{name}_fed"] == as_json(case, 1), prometheus.log()
    finally:
        prometheus.stop()


def test_federation_as_protobuf(gantry):
    """The newest sample of each, whatever it lies in."""
    answer = gantry.get("/federate", headers={"Accept": metric_family.CONTENT_TYPE},
                        **{"match[]": '{__name__=~"(exponential|level|floats)_v1"}'})
    assert answer.status_code == 200, answer.text
    exponential, floats, level = metric_family.decode(answer.content)
    assert (exponential.type, floats.type, level.type) == (
        metric_family.HISTOGRAM, metric_family.HISTOGRAM, metric_family.GAUGE_HISTOGRAM)
    assert exponential.metrics[0].timestamp_ms == NOW_MS
    assert exponential.metrics[0].histogram["positive"] == [120, 160]
    assert level.metrics[0].histogram["positive"] == [3, 4]
    assert floats.metrics[0].histogram["positive"] == [90]


def test_a_sample_of_the_other_kind_may_follow(make_gantry):
    """A series may change from floats to histograms and back."""
    gantry = make_gantry().start()
    body = rw.v1_series({"__name__": "mixed"}, [(TIMES[0], 1), (TIMES[2], 3)], rw.v1_histogram(TIMES[1], **EXPONENTIAL))
    assert gantry.post("/api/v1/push", rw.v1_request([body]), headers=rw.V1_HEADERS).status_code == 204
    for _ in range(2):
        assert gantry.query("mixed[1h]", at=NOW) == [
            {"metric": {"__name__": "mixed"}, "values": [[TIMES[0] // 1000, "1"], [TIMES[2] // 1000, "3"]],
             "histograms": [[TIMES[1] // 1000, as_json("exponential", 1)]]}]
        assert gantry.stop() == 0
        gantry.start()


MALFORMED = {
    "schema": ({"schema": 53}, "histogram has an invalid schema, which must be between -4 and 52 for exponential buckets, "
                               "or -53 for custom buckets, got 53"),
    "fewer buckets than spans": ({"counts": [3]}, "positive side: spans need 2 buckets, have 1 buckets"),
    "more buckets than spans": ({"negative_counts": [1, 1]}, "negative side: spans need 1 buckets, have 2 buckets"),
    "overlapping spans": ({"positive": [(1, 1), (-1, 1)]},
                          "positive side: span number 2 with offset -1 would overlap the one before"),
    "negative bucket": ({"counts": [3, -4]}, "histogram has a bucket whose observation count is negative: bucket number 2"),
    "count": ({"count": 11}, "10 observations found in buckets, but the count field is 11"),
    "custom bounds of exponential buckets": ({"custom": [1.0]}, "exponential buckets: there must be no custom bounds"),
    "negative float": (FLOATS | {"counts": [-0.5]}, "positive side: bucket number 1 has observation count of -0.5"),
    "negative float count": (FLOATS | {"count": -1}, "the count field is negative: -1"),
    "custom bounds that fall": (CUSTOM | {"custom": [1.0, 0.5]},
                                "custom buckets: upper bounds must be finite and ascend, got 0.5 after 1"),
    "too few custom bounds": (CUSTOM | {"custom": [1.0]}, "custom buckets: only 1 bounds for the buckets of the spans"),
    "zero bucket among custom ones": (CUSTOM | {"zero_threshold": 0.5},
                                      "custom buckets: there must be no zero bucket and no negative buckets"),
}


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    process = Gantry(tmp_path_factory.mktemp("malformed") / "data").start()
    yield process
    assert process.stop() == 0, process.log()


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_malformed_ones_are_refused_and_the_others_kept(refusing, name, version):
    changes, reason = MALFORMED[name]
    parts = changes if "count" in changes and "counts" in changes else EXPONENTIAL | changes
    bad, good = rw.histogram_message(NOW_MS, **parts), rw.histogram_message(NOW_MS, **EXPONENTIAL)
    kept = {"__name__": "kept", "case": name, "version": version}
    if version == "v1":
        body = rw.v1_request([rw.v1_series({"__name__": "bad", "case": name}, [], rw.field(4, bad)),
                              rw.v1_series(kept, [], rw.field(4, good))])
    else:
        body = rw.v2_request([({"__name__": "bad", "case": name}, [], 0, [bad]), (kept, [], 0, [good])])
    answer = refusing.post("/api/v1/push", body, headers=rw.V1_HEADERS if version == "v1" else rw.V2_HEADERS)
    assert answer.status_code == 400
    assert reason in answer.text
    assert answer.headers["X-Prometheus-Remote-Write-Histograms-Written"] == "1"
    assert refusing.query(f'bad{{case="{name}"}}', at=NOW) == []
    assert histogram(refusing, f'kept{{case="{name}",version="{version}"}}') == as_json("exponential", 1)


def test_exponential_histograms_of_the_sdk(refusing):
    """For values as close as these the SDK takes a resolution that Prometheus does not have: buckets are joined."""
    exporter = OTLPMetricExporter(
        endpoint=f"http://127.0.0.1:{refusing.otlp_http_port}/v1/metrics",
        headers={"Authorization": f"Bearer {refusing.first_start['write_token']}"},
        preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    resource = Resource.create({"service.name": "shop", "service.instance.id": "one"})
    provider = MeterProvider(resource=resource, metric_readers=[reader])
    latency = provider.get_meter("test").create_histogram("latency", unit="s")
    values = [0.013 * (1 + 0.004 * (k % 7)) for k in range(500)] + [0.0]
    for value in values:
        latency.record(value, {"route": "/cart"})
    assert reader.force_flush()
    series = 'latency_seconds{route="/cart",job="shop",instance="one"}'
    first = refusing.query(series)[0]["histogram"][1]
    assert float(first["count"]) == len(values)
    assert float(first["sum"]) == pytest.approx(sum(values))
    assert sum(float(count) for *_, count in first["buckets"]) == len(values)
    # At schema 8 a bucket is 0.27 % wide, and each of the seven values has its own.
    assert sum(1 for rule, *_ in first["buckets"] if rule == 0) == 7
    for rule, low, high, _ in first["buckets"]:
        if rule == 0:
            assert any(float(low) < value <= float(high) for value in values)
            assert float(high) / float(low) == pytest.approx(2 ** (1 / 256))
    median = float(refusing.query(f"histogram_quantile(0.5, {series})")[0]["value"][1])
    assert median == pytest.approx(0.013 * 1.012, rel=0.005)
    for value in values:
        latency.record(value, {"route": "/cart"})
    assert reader.force_flush()
    provider.shutdown()
    assert number(refusing, f"histogram_count({series})", at=time.time()) == 2 * len(values)
