"""/federate: what another Prometheus gets to scrape, in both formats, and that a real one stores it."""

import subprocess
import time

import metric_family
import pytest
import remote_write as rw
import requests
from gantry_process import Gantry, free_port
from prometheus_process import find_peer

NOW_MS = int(time.time() * 1000)
EXPONENTIAL = {"count": 12, "total": 18.4, "schema": 1, "zero_threshold": 0.001, "zero_count": 2,
               "positive": [(0, 2), (1, 1)], "counts": [1, 2, 3], "negative": [(0, 1)], "negative_counts": [4]}


@pytest.fixture(scope="module")
def gantry(tmp_path_factory):
    """Holds the series of this module; nothing else writes to it."""
    process = Gantry(tmp_path_factory.mktemp("federate") / "data").start()
    series = [
        rw.v1_series({"__name__": "b_metric", "foo": "bar", "instance": "i"}, [(NOW_MS - 60_000, 1), (NOW_MS, 10_000)]),
        rw.v1_series({"__name__": "b_metric", "foo": "baz"}, [(NOW_MS - 1000, 1.5)]),
        rw.v1_series({"__name__": "a_metric"}, [(NOW_MS, float("inf"))]),
        rw.v1_series({"__name__": "gone"}, [(NOW_MS - 2000, 1), (NOW_MS - 1000, rw.stale_nan())]),
        rw.v1_series({"__name__": "old"}, [(NOW_MS - 400_000, 1)]),
        rw.v1_series({"__name__": "dotted.name", "l.x": "v"}, [(NOW_MS, 7)]),
        rw.v1_series({"__name__": "size"}, [], rw.v1_histogram(NOW_MS, **EXPONENTIAL)),
        rw.v1_series({"__name__": "depth"}, [], rw.v1_histogram(NOW_MS, **EXPONENTIAL, hint=3)),
        rw.v1_series({"__name__": "custom"}, [], rw.v1_histogram(
            NOW_MS, count=6, total=9.5, schema=-53, positive=[(0, 3)], counts=[1, 2, 3], custom=[0.5, 1])),
    ]
    series += [rw.v1_series({"__name__": "many", "n": str(n)}, [(NOW_MS, n)]) for n in range(100)]
    answer = process.post("/api/v1/push", rw.v1_request(series), headers=rw.V1_HEADERS)
    assert answer.status_code == 204, answer.text
    yield process
    assert process.stop() == 0, process.log()


def federate(gantry, *selectors, accept: str | None = None):
    return gantry.get("/federate", headers={"Accept": accept or "*/*"}, **{"match[]": list(selectors)})


def families(gantry, *selectors, accept=metric_family.CONTENT_TYPE):
    answer = federate(gantry, *selectors, accept=accept)
    assert answer.status_code == 200, answer.text
    return metric_family.decode(answer.content)


def test_text(gantry):
    answer = federate(gantry, '{__name__=~"[ab]_metric"}')
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4; charset=utf-8")
    assert answer.text == (
        "# TYPE a_metric untyped\n"
        f'a_metric{{instance=""}} +Inf {NOW_MS}\n'
        "# TYPE b_metric untyped\n"
        f'b_metric{{foo="bar",instance="i"}} 10000 {NOW_MS}\n'
        f'b_metric{{foo="baz",instance=""}} 1.5 {NOW_MS - 1000}\n')


def test_selectors_are_a_union_without_repetition(gantry):
    answer = federate(gantry, "a_metric", '{__name__="b_metric",foo="baz"}', '{__name__=~"a_.*"}')
    assert [line.split("{")[0] for line in answer.text.splitlines() if not line.startswith("#")] == [
        "a_metric", "b_metric"]


def test_stale_old_and_nameless_series_are_left_out(gantry):
    assert federate(gantry, "gone", "old").text == ""
    assert federate(gantry, '{__name__=""}').text == "", "nothing that is stored has no name"


def test_no_selector_is_an_empty_answer(gantry):
    answer = federate(gantry)
    assert (answer.status_code, answer.text) == (200, "")
    assert federate(gantry, accept=metric_family.CONTENT_TYPE).content == b""


@pytest.mark.parametrize("selector, text", [
    ("-not-a-valid-metric-name", "1:1: parse error: unexpected <op:->"),
    ("not-a-valid-metric-name", "1:4: parse error: unexpected <op:->"),
])
def test_bad_selector(gantry, selector, text):
    answer = federate(gantry, "a_metric", selector)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.strip() == text


def test_it_needs_the_scope_to_read(gantry):
    url = f"{gantry.url}/federate?match[]=up"
    assert requests.get(url, timeout=5).status_code == 401
    assert requests.get(url, auth=gantry.write_auth, timeout=5).status_code == 403
    assert requests.post(url, auth=gantry.read_auth, timeout=5).status_code == 405


@pytest.mark.parametrize("prefix", ["/prometheus", "/api/prom"])
def test_below_the_prefixes(gantry, prefix):
    assert "a_metric" in gantry.get(f"{prefix}/federate", **{"match[]": "a_metric"}).text


def test_compressed_when_asked(gantry):
    plain = gantry.get("/federate", headers={"Accept-Encoding": "identity"}, **{"match[]": "many"})
    packed = gantry.get("/federate", headers={"Accept-Encoding": "gzip"}, **{"match[]": "many"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert packed.text == plain.text
    assert packed.text.count("many{") == 100


def test_text_has_classic_histograms_only(gantry):
    assert federate(gantry, "size", "depth").text == ""
    assert federate(gantry, "custom").text == (
        "# TYPE custom histogram\n"
        f'custom_bucket{{instance="",le="0.5"}} 1 {NOW_MS}\n'
        f'custom_bucket{{instance="",le="1"}} 3 {NOW_MS}\n'
        f'custom_bucket{{instance="",le="+Inf"}} 6 {NOW_MS}\n'
        f'custom_sum{{instance=""}} 9.5 {NOW_MS}\n'
        f'custom_count{{instance=""}} 6 {NOW_MS}\n')


def test_protobuf(gantry):
    answer = federate(gantry, '{__name__=~"[ab]_metric"}', accept=metric_family.CONTENT_TYPE + ";q=0.6,*/*;q=0.1")
    assert answer.headers["Content-Type"].replace(" ", "").startswith(metric_family.CONTENT_TYPE)
    a, b = metric_family.decode(answer.content)
    assert (a.name, a.type, b.name, b.type) == ("a_metric", metric_family.UNTYPED, "b_metric", metric_family.UNTYPED)
    assert a.metrics == [metric_family.Metric({"instance": ""}, NOW_MS, float("inf"))]
    assert b.metrics == [metric_family.Metric({"foo": "bar", "instance": "i"}, NOW_MS, 10_000),
                         metric_family.Metric({"foo": "baz", "instance": ""}, NOW_MS - 1000, 1.5)]


def test_protobuf_has_native_histograms(gantry):
    depth, size = families(gantry, "size", "depth")
    assert (depth.name, depth.type) == ("depth", metric_family.GAUGE_HISTOGRAM)
    assert (size.name, size.type) == ("size", metric_family.HISTOGRAM)
    assert size.metrics[0].timestamp_ms == NOW_MS
    assert size.metrics[0].histogram == depth.metrics[0].histogram == {
        "count": 12, "sum": 18.4, "schema": 1, "zero_threshold": 0.001, "zero_count": 2, "buckets": [],
        "positive_spans": [(0, 2), (1, 1)], "positive": [1, 2, 3], "negative_spans": [(0, 1)], "negative": [4]}


def test_protobuf_has_custom_buckets_as_classic_histograms(gantry):
    custom, = families(gantry, "custom")
    assert custom.type == metric_family.HISTOGRAM
    histogram = custom.metrics[0].histogram
    assert histogram["buckets"] == [(0.5, 1), (1, 3), (float("inf"), 6)]
    assert (histogram["count"], histogram["sum"], histogram["positive_spans"]) == (6, 9.5, [])


def test_names_are_quoted_only_when_negotiated(gantry):
    selector = '{"dotted.name"}'
    assert federate(gantry, selector).text == (
        f'# TYPE dotted_name untyped\ndotted_name{{instance="",l_x="v"}} 7 {NOW_MS}\n')
    quoted = federate(gantry, selector, accept="text/plain;version=1.0.0;escaping=allow-utf-8")
    assert quoted.headers["Content-Type"].endswith("escaping=allow-utf-8")
    assert quoted.text == (
        f'# TYPE "dotted.name" untyped\n{{"dotted.name",instance="","l.x"="v"}} 7 {NOW_MS}\n')
    for escaping, name, label in (("dots", "dotted_dot_name", "l_dot_x"), ("values", "U__dotted_2e_name", "U__l_2e_x")):
        escaped = federate(gantry, selector, accept=f"text/plain;version=0.0.4;escaping={escaping}")
        assert escaped.headers["Content-Type"].endswith(f"escaping={escaping}")
        labels = ",".join(sorted(['instance=""', f'{label}="v"']))
        assert escaped.text == f"# TYPE {name} untyped\n{name}{{{labels}}} 7 {NOW_MS}\n"
        assert families(gantry, selector, accept=f"{metric_family.CONTENT_TYPE};escaping={escaping}")[0].name == name
    assert families(gantry, selector)[0].name == "dotted_name"
    assert families(gantry, selector, accept=metric_family.CONTENT_TYPE + ";escaping=allow-utf-8")[0].name == "dotted.name"


def test_an_answer_over_the_limit_is_refused(make_gantry):
    limit = 1 << 20
    gantry = make_gantry(environment={"GANTRY_QUERY_MEMORY_BYTES_MAX": str(limit)}).start()
    lines = "\n".join(f"large,n={n},long={'x' * 2000} value=1" for n in range(600))
    assert gantry.post("/write", lines).status_code == 204
    assert federate(gantry, 'large{n="1"}').status_code == 200
    for accept in ("text/plain", metric_family.CONTENT_TYPE):
        answer = federate(gantry, "large", accept=accept)
        assert answer.status_code == 422
        assert str(limit) in answer.text and "query.memory_bytes_max" in answer.text


def test_a_real_prometheus_federates(gantry, tmp_path):
    """With native histograms on, so that it asks for protobuf."""
    user, token = gantry.read_auth
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(f"""
scrape_configs:
  - job_name: federate
    scrape_interval: 1s
    scrape_timeout: 1s
    honor_labels: true
    metrics_path: /federate
    params: {{'match[]': ['{{__name__=~"b_metric|size|custom"}}']}}
    basic_auth: {{username: "{user}", password: "{token}"}}
    static_configs: [{{targets: ["127.0.0.1:{gantry.http_port}"]}}]
""")
    now = time.time_ns() // 1_000_000
    fresh = [rw.v1_series({"__name__": "b_metric", "foo": "bar", "instance": "i"}, [(now, 10_001)]),
             rw.v1_series({"__name__": "size"}, [], rw.v1_histogram(now, **EXPONENTIAL))]
    assert gantry.post("/api/v1/push", rw.v1_request(fresh), headers=rw.V1_HEADERS).status_code == 204
    with open(tmp_path / "prometheus.log", "wb") as log:
        process = subprocess.Popen(
            [find_peer("prometheus"), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
             "--enable-feature=native-histograms", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=log)

    def ask(query):
        try:
            answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, timeout=5)
        except requests.ConnectionError:
            return []
        return answer.json()["data"]["result"] if answer.status_code == 200 else []

    try:
        deadline = time.monotonic() + 30
        while not ask("histogram_count(size)") and time.monotonic() < deadline:
            time.sleep(0.2)
        log = (tmp_path / "prometheus.log").read_text()
        assert ask('up{job="federate"}')[0]["value"][1] == "1", log
        assert ask('b_metric{foo="bar",instance="i"}')[0]["value"][1] == "10001"
        assert ask("histogram_count(size)")[0]["value"][1] == "12", log
        assert ask("histogram_sum(size)")[0]["value"][1] == "18.4"
        assert ask('custom_bucket{le=~"1([.]0)?"}')[0]["value"][1] == "3", log
    finally:
        process.terminate()
        process.wait()
