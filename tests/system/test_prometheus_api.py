"""The Prometheus HTTP API as its clients see it: numbers, envelopes, limits and look-ups."""

import math
import time

import pytest
import remote_write as rw
import requests
from gantry_process import Gantry

NOW = int(time.time())
NOW_MS = NOW * 1000
ODD_VALUES = {"nan": math.nan, "inf": math.inf, "minus_inf": -math.inf, "minus_zero": -0.0, "small": 1e-7, "large": 1e21,
              "below": 1e20}


@pytest.fixture(scope="module")
def gantry(tmp_path_factory):
    """Holds the series of this module; nothing else writes to it."""
    process = Gantry(tmp_path_factory.mktemp("api") / "data").start()
    series = [rw.v1_series({"__name__": "odd", "kind": kind}, [(NOW_MS, value)]) for kind, value in ODD_VALUES.items()]
    series += [rw.v1_series({"__name__": f"level_{n}"}, [(NOW_MS - 30_000, 1), (NOW_MS, 2)]) for n in range(12)]
    series += [rw.v1_series({"__name__": "dotted", "a.b": "x", "größe": "y"}, [(NOW_MS, 1)])]
    series += [rw.v1_series({"__name__": "größe.total", "service.name": "a b", "x{y}": "z"}, [(NOW_MS, 1)])]
    series += [rw.v1_series({"__name__": "traced_total"}, [(NOW_MS, 6)],
                            rw.v1_exemplar(NOW_MS - 1054, 6, {"trace_id": "abc"}))]
    series += [rw.v1_series({"__name__": "size"}, [], rw.v1_histogram(
        NOW_MS, count=10, total=12.5, zero_threshold=0.001, zero_count=2, positive=[(1, 1), (1, 1)], counts=[3, 4],
        negative=[(0, 1)], negative_counts=[1]))]
    series += [rw.v1_series({"__name__": "custom"}, [], rw.v1_histogram(
        NOW_MS, count=6, total=9.5, schema=-53, positive=[(0, 3)], counts=[1, 2, 3], custom=[0.5, 1]))]
    metadata = rw.field(3, rw.integer(1, 2) + rw.field(2, "odd") + rw.field(4, "Odd <things>."))
    answer = process.post("/api/v1/push", rw.v1_request(series, metadata), headers=rw.V1_HEADERS)
    assert answer.status_code == 204, answer.text
    yield process
    assert process.stop() == 0, process.log()


def error_of(answer, status: int, kind: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert list(body) == ["status", "errorType", "error"]
    assert (body["status"], body["errorType"]) == ("error", kind)
    return body["error"]


def form(gantry, path, **parameters):
    return requests.post(gantry.url + path, data=parameters, auth=gantry.read_auth, timeout=30)


@pytest.mark.parametrize("prefix", ["", "/prometheus", "/api/prom"])
def test_one_plus_one_by_both_methods_below_all_prefixes(gantry, prefix):
    for answer in (gantry.get(f"{prefix}/api/v1/query", query="1+1", time=4),
                   form(gantry, f"{prefix}/api/v1/query", query="1+1", time=4)):
        assert answer.text == '{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}'


def test_parameters_come_from_url_and_form(gantry):
    answer = requests.post(f"{gantry.url}/api/v1/query?time=4&query=2", data={"query": "2"}, auth=gantry.read_auth, timeout=5)
    assert answer.json()["data"]["result"] == [4, "2"]
    torn = requests.post(f"{gantry.url}/api/v1/query?query=1", data={"query": "2"}, auth=gantry.read_auth, timeout=5)
    assert error_of(torn, 400, "bad_data") == 'invalid parameter "query": given several times with different values'
    ignored = requests.post(f"{gantry.url}/api/v1/query?query=1", data='{"query":"2"}', auth=gantry.read_auth, timeout=5,
                            headers={"Content-Type": "application/json"})
    assert ignored.json()["data"]["result"][1] == "1"


@pytest.mark.parametrize("given, expected", [
    ("2015-07-01T20:10:51.781Z", "1435781451.781"), ("1435781451.7", "1435781451.700"), ("1435781451", "1435781451"),
    ("1e9", "1000000000"), ("-1.5", "-1.500"),
])
def test_times_are_echoed_in_seconds(gantry, given, expected):
    answer = gantry.get("/api/v1/query", query="vector(1)", time=given)
    assert f'"value":[{expected},"1"]' in answer.text


def test_values_as_samples(gantry):
    found = {s["metric"]["kind"]: s["value"][1] for s in gantry.query("odd", at=NOW)}
    assert found == {"nan": "NaN", "inf": "+Inf", "minus_inf": "-Inf", "minus_zero": "-0", "small": "1e-07",
                     "large": "1e+21", "below": "100000000000000000000"}


@pytest.mark.parametrize("expression, expected", [
    ("NaN", "NaN"), ("Inf", "+Inf"), ("-Inf", "-Inf"), ("-0", "-0"), ("1e-7", "0.0000001"),
    ("1e21", "1000000000000000000000"), ("1e20", "100000000000000000000"),
])
def test_values_as_scalars_have_no_exponent(gantry, expression, expected):
    assert gantry.query(expression)[1] == expected


def test_strings(gantry):
    data = gantry.data_of("/api/v1/query", query='"a<b"', time=1.7)
    assert data == {"resultType": "string", "result": [1.7, "a<b"]}


def test_nothing_found_is_an_empty_list(gantry):
    assert gantry.get("/api/v1/query", query="absent_metric").text == (
        '{"status":"success","data":{"resultType":"vector","result":[]}}')
    assert gantry.data_of("/api/v1/query_range", query="absent_metric", start=0, end=1, step=1) == {
        "resultType": "matrix", "result": []}
    assert gantry.data_of("/api/v1/label/absent_label/values") == []
    assert gantry.data_of("/api/v1/series", **{"match[]": "absent_metric"}) == []


def test_a_minute_as_a_step(gantry):
    data = gantry.data_of("/api/v1/query_range", query="1", start=0, end=120, step="1m")
    assert data == {"resultType": "matrix", "result": [{"metric": {}, "values": [[0, "1"], [60, "1"], [120, "1"]]}]}
    answer = gantry.get("/api/v1/query_range", query="1", start=0, end=120, step="-1")
    assert error_of(answer, 400, "bad_data") == (
        'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
        "Try a positive integer")


def test_errors_of_the_query_are_escaped_for_html(gantry):
    answer = gantry.get("/api/v1/query", query="a<>b")
    assert 'invalid parameter \\"query\\": 1:' in answer.text
    assert "\\u003e" in answer.text and "<" not in answer.text and ">" not in answer.text


def test_duplicate_matches_are_an_execution_error(gantry):
    answer = gantry.get("/api/v1/query", query="level_0 + on() odd", time=NOW)
    assert error_of(answer, 422, "execution").startswith("found duplicate series for the match group {}")


def test_limits_cut_with_a_warning(gantry):
    warning = ["results truncated due to limit"]
    vector = gantry.get("/api/v1/query", query="odd", time=NOW, limit=1).json()
    assert len(vector["data"]["result"]) == 1 and vector["warnings"] == warning
    matrix = gantry.get("/api/v1/query_range", query="odd", start=NOW, end=NOW, step=1, limit=2).json()
    assert len(matrix["data"]["result"]) == 2 and matrix["warnings"] == warning
    series = gantry.get("/api/v1/series", limit=3, **{"match[]": "odd"}).json()
    assert len(series["data"]) == 3 and series["warnings"] == warning
    assert gantry.get("/api/v1/labels", limit=1).json() == {"status": "success", "data": ["__name__"], "warnings": warning}
    assert gantry.get("/api/v1/label/kind/values", limit=1).json()["data"] == ["below"]
    whole = gantry.get("/api/v1/query", query="odd", time=NOW, limit=len(ODD_VALUES)).json()
    assert len(whole["data"]["result"]) == len(ODD_VALUES) and "warnings" not in whole
    answer = gantry.get("/api/v1/labels", limit="x")
    assert error_of(answer, 400, "bad_data") == 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'


def test_ten_annotations_and_how_many_more(gantry):
    sum_of_rates = " + ".join(f"rate(level_{n}[5m])" for n in range(12))
    infos = gantry.get("/api/v1/query", query=sum_of_rates, time=NOW).json()["infos"]
    assert len(infos) == 11
    assert all("metric might not be a counter" in info for info in infos[:10])
    assert infos[10] == "2 more info annotations omitted"


def test_ten_warnings_and_how_many_more(gantry):
    query = "\n  or ".join(f"quantile({n}, level_0)" for n in range(2, 15))
    for path, times in (("query", {"time": NOW}), ("query_range", {"start": NOW - 60, "end": NOW, "step": 60})):
        warnings = gantry.get(f"/api/v1/{path}", query=query, **times).json()["warnings"]
        assert len(warnings) == 11
        texts = {f"PromQL warning: quantile value should be between 0 and 1, got {n} ({n - 1}:{10 if n == 2 else 15})"
                 for n in range(2, 15)}
        assert set(warnings[:10]) < texts
        assert warnings[10] == "3 more warning annotations omitted"


@pytest.mark.parametrize("query, error", [
    ("info(up)", '1:1: parse error: function "info" is not enabled'),
    ("sort_by_label(up, \"a\")", '1:1: parse error: function "sort_by_label" is not enabled'),
    ("max_of(1, 2)", '1:1: parse error: function "max_of" is not enabled'),
    ("limitk(1, up)", "1:1: parse error: limitk() is experimental and must be enabled with "
     "--enable-feature=promql-experimental-functions"),
    ("limit_ratio(0.1, up)", "1:1: parse error: limit_ratio() is experimental and must be enabled with "
     "--enable-feature=promql-experimental-functions"),
    ("rate(up[5m] anchored)", "1:6: parse error: anchored modifier is experimental and not enabled"),
    ("up smoothed", "1:1: parse error: smoothed modifier is experimental and not enabled"),
    ("up + fill (0) up", "1:6: parse error: binop fill modifiers are experimental and not enabled"),
])
def test_experimental_things_are_off(gantry, query, error):
    for path in ("query", "query_range", "format_query", "parse_query"):
        answer = gantry.get(f"/api/v1/{path}", query=query, start=0, end=1, step=1)
        assert error_of(answer, 400, "bad_data") == f'invalid parameter "query": {error}'


def test_features(gantry):
    features = gantry.data_of("/api/v1/features")
    assert not features["promql"]["anchored"] and not features["promql_functions"]["info"]
    assert features["promql"]["duration_expr"] and features["promql_functions"]["rate"]
    assert features["promql_operators"]["atan2"] and not features["promql_operators"]["limitk"]


def test_experimental_things_can_be_switched_on(make_gantry):
    gantry = make_gantry(environment={f"GANTRY_PROMQL_{name}": "true" for name in (
        "EXPERIMENTAL_FUNCTIONS", "EXTENDED_RANGE_SELECTORS", "BINOP_FILL_MODIFIERS")}).start()
    for query in ("info(up)", "limitk(1, up)", "rate(up[5m] anchored)", "up smoothed", "up + fill (0) up"):
        assert gantry.data_of("/api/v1/parse_query", query=query)["type"]
    assert gantry.query("info(up)") == []
    features = gantry.data_of("/api/v1/features")
    assert all(features["promql"][name] for name in ("anchored", "smoothed", "fill", "fill_left", "fill_right"))
    assert all(features["promql_functions"].values()) and features["promql_operators"]["limitk"]


def test_native_histograms(gantry):
    result = gantry.query("size", at=NOW)
    assert result[0]["histogram"] == [NOW, {"count": "10", "sum": "12.5", "buckets": [
        [1, "-1", "-0.5", "1"], [3, "-0.001", "0.001", "2"], [0, "1", "2", "3"], [0, "4", "8", "4"]]}]
    matrix = gantry.query_range("size", NOW, NOW, 1)
    assert "values" not in matrix[0] and matrix[0]["histograms"] == [result[0]["histogram"]]
    assert gantry.query("custom", at=NOW)[0]["histogram"][1]["buckets"] == [
        [3, "-Inf", "0.5", "1"], [0, "0.5", "1", "2"], [0, "1", "+Inf", "3"]]


def test_exemplars(gantry):
    path = "/api/v1/query_exemplars"
    assert gantry.data_of(path, query="rate(traced_total[5m])") == [
        {"seriesLabels": {"__name__": "traced_total"},
         "exemplars": [{"labels": {"trace_id": "abc"}, "value": "6", "timestamp": NOW - 1.054}]}]
    nothing = gantry.get(path, query="vector(1)")
    assert (nothing.status_code, nothing.text) == (204, "")
    in_milliseconds = gantry.get(path, query="test", start=NOW_MS, end=NOW_MS + 3_600_000)
    assert in_milliseconds.text == '{"status":"success","data":[]}'
    bad = gantry.get(path, query="sum(")
    assert error_of(bad, 400, "bad_data").startswith("1:5: parse error: "), "without a prefix, as Prometheus has it"


def test_escaped_label_names_in_the_path(gantry):
    for name in ("a.b", "U__a_2e_b"):
        assert gantry.data_of(f"/api/v1/label/{name}/values") == ["x"]
    for name in ("gr%C3%B6%C3%9Fe", "U__gr_f6__df_e"):
        assert gantry.data_of(f"/api/v1/label/{name}/values") == ["y"]
    assert gantry.data_of("/api/v1/label/U___d800_/values") == [], "wrongly escaped: a name like others"
    assert "invalid" in error_of(gantry.get("/api/v1/label/%FF/values"), 400, "bad_data")


def test_names_of_any_characters(gantry):
    metric = {"__name__": "größe.total", "service.name": "a b", "x{y}": "z"}
    result = gantry.query('{"größe.total"}', at=NOW)
    assert [series["metric"] for series in result] == [metric]
    assert gantry.query('sum by ("service.name") ({"größe.total","x{y}"="z"})', at=NOW)[0]["metric"] == {"service.name": "a b"}
    assert gantry.query_range('rate({"größe.total"}[5m])', NOW, NOW, 1) == []
    match = {"match[]": '{"größe.total"}'}
    assert gantry.data_of("/api/v1/series", **match) == [metric]
    assert gantry.data_of("/api/v1/labels", **match) == ["__name__", "service.name", "x{y}"]
    assert gantry.data_of("/api/v1/label/U__service_2e_name/values") == ["a b"]
    assert gantry.data_of("/api/v1/label/U__x_7b_y_7d_/values") == ["z"]
    assert gantry.data_of("/api/v1/label/__name__/values", **match) == ["größe.total"]
    assert gantry.data_of("/api/v1/format_query", query='{"größe.total", "a.b"="c"}') == (
        '{"a.b"="c",__name__="größe.total"}')
    tree = gantry.data_of("/api/v1/parse_query", query='{"größe.total"}')
    assert tree["name"] == "" and tree["matchers"] == [{"name": "__name__", "type": "=", "value": "größe.total"}]


@pytest.mark.parametrize("scheme, line", [
    ("", 'gr__e_total{instance="",service_name="a b",x_y_="z"} 1'),
    ("underscores", 'gr__e_total{instance="",service_name="a b",x_y_="z"} 1'),
    ("allow-utf-8", '{"größe.total",instance="","service.name"="a b","x{y}"="z"} 1'),
])
def test_federated_names_are_escaped_as_asked(gantry, scheme, line):
    accept = "text/plain;version=1.0.0" + (f";escaping={scheme}" if scheme else "")
    answer = gantry.get("/federate", headers={"Accept": accept}, **{"match[]": '{"größe.total"}'})
    assert f"{line} {NOW_MS}" in answer.text.splitlines(), answer.text


def test_selectors(gantry):
    assert error_of(gantry.get("/api/v1/series"), 400, "bad_data") == "no match[] parameter provided"
    everything = "match[] must contain at least one non-empty matcher"
    assert error_of(gantry.get("/api/v1/series", **{"match[]": "{}"}), 400, "bad_data") == (
        f'invalid parameter "match[]": {everything}')
    assert error_of(gantry.get("/api/v1/labels", **{"match[]": "{}"}), 400, "bad_data") == everything
    assert error_of(gantry.get("/api/v1/series", **{"match[]": "odd{"}), 400, "bad_data").startswith(
        'invalid parameter "match[]": 1:')
    both = gantry.data_of("/api/v1/series", **{"match[]": ["size", '{__name__=~"s.*|dotted"}']})
    assert both == [{"__name__": "dotted", "a.b": "x", "größe": "y"}, {"__name__": "size"}]
    assert form(gantry, "/api/v1/series", **{"match[]": "size"}).json()["data"] == [{"__name__": "size"}]
    assert gantry.data_of("/api/v1/labels", **{"match[]": ["dotted", "odd"]}) == ["__name__", "a.b", "größe", "kind"]
    early = gantry.data_of("/api/v1/series", end=NOW - 600, **{"match[]": "odd"})
    assert early == [], "only series with samples inside the range"


def test_metadata(gantry):
    assert gantry.data_of("/api/v1/metadata", metric="odd") == {"odd": [{"type": "gauge", "help": "Odd <things>.", "unit": ""}]}
    assert gantry.data_of("/api/v1/metadata", limit=0) == {}
    assert gantry.data_of("/api/v1/metadata", metric="absent_metric") == {}
    assert error_of(gantry.get("/api/v1/metadata", limit="x"), 400, "bad_data") == "limit must be a number"


def test_methods(gantry):
    for path in ("metadata", "status/buildinfo", "rules", "label/kind/values"):
        assert form(gantry, f"/api/v1/{path}").status_code == 405, path
    unknown = gantry.get("/api/v1/nothing")
    assert unknown.status_code == 404
    preflight = requests.options(f"{gantry.url}/api/v1/query", headers={"Origin": "https://example.org"}, timeout=5)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"


def test_compression_and_origin(gantry):
    parameters = {"query": "vector(1)", "start": NOW - 300, "end": NOW, "step": 1}
    plain = gantry.get("/api/v1/query_range", headers={"Accept-Encoding": "identity"}, **parameters)
    assert "Content-Encoding" not in plain.headers
    for encoding in ("gzip", "deflate"):
        packed = gantry.get("/api/v1/query_range", headers={"Accept-Encoding": encoding}, **parameters)
        assert packed.headers["Content-Encoding"] == encoding
        assert "Accept-Encoding" in packed.headers["Vary"] and "Origin" in packed.headers["Vary"]
        assert packed.json() == plain.json()
    with_origin = gantry.get("/api/v1/query", headers={"Origin": "https://example.org"}, query="1")
    assert with_origin.headers["Access-Control-Allow-Origin"] == "*"
    assert with_origin.headers["Access-Control-Expose-Headers"] == "Date"


def test_statistics(gantry):
    assert "stats" not in gantry.data_of("/api/v1/query", query="odd", time=NOW)
    stats = gantry.data_of("/api/v1/query", query="odd", time=NOW, stats="true")["stats"]
    assert set(stats["timings"]) == {"evalTotalTime", "resultSortTime", "queryPreparationTime", "innerEvalTime",
                                     "execQueueTime", "execTotalTime"}
    assert stats["samples"]["totalQueryableSamples"] == stats["samples"]["samplesRead"] == len(ODD_VALUES)
    odd = gantry.get("/api/v1/query", query="1", stats="yes").json()
    assert odd["warnings"] == ['value "yes" for parameter "stats" is deprecated and will be rejected in the next major '
                               'release, use "true" or "all"']


def test_lookback_can_be_set(gantry):
    assert gantry.data_of("/api/v1/query", query="level_0", time=NOW + 60)["result"]
    assert not gantry.data_of("/api/v1/query", query="level_0", time=NOW + 60, lookback_delta="30s")["result"]
    answer = gantry.get("/api/v1/query", query="level_0", lookback_delta="x")
    assert error_of(answer, 400, "bad_data") == (
        'error parsing lookback delta duration: cannot parse "x" to a valid duration')


def test_format_query(gantry):
    for answer in (gantry.get("/api/v1/format_query", query="sum by(job)(rate(x[5m]))  >  1"),
                   form(gantry, "/api/v1/format_query", query="sum by(job)(rate(x[5m]))  >  1")):
        assert answer.json() == {"status": "success", "data": "sum by (job) (rate(x[5m])) > 1"}
    long = 'label_replace(label_replace(some_long_metric_name{job="first"}, "dst", "$1", "src", "(.*)"), "more", "$1", "src", "(.*)")'
    pretty = gantry.data_of("/api/v1/format_query", query=long)
    assert pretty.splitlines()[0] == "label_replace(" and len(pretty.splitlines()) > 4
    assert error_of(gantry.get("/api/v1/format_query", query="sum("), 400, "bad_data").startswith(
        'invalid parameter "query": 1:5: parse error: ')


def test_parse_query(gantry):
    tree = gantry.data_of("/api/v1/parse_query", query='sum without (a) (rate(x{b!="c"}[5m] offset 1m)) / on (d) group_left y')
    assert tree["type"] == "binaryExpr" and tree["op"] == "/" and tree["bool"] is False
    assert tree["matching"] == {"card": "many-to-one", "labels": ["d"], "on": True, "include": [],
                                "fillValues": {"lhs": None, "rhs": None}}
    aggregation, selector = tree["lhs"], tree["rhs"]
    assert (aggregation["type"], aggregation["op"], aggregation["grouping"], aggregation["without"]) == (
        "aggregation", "sum", ["a"], True)
    assert aggregation["param"] is None
    call = aggregation["expr"]
    assert call["func"] == {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"}
    matrix = call["args"][0]
    assert (matrix["type"], matrix["name"], matrix["range"], matrix["offset"]) == ("matrixSelector", "x", 300_000, 60_000)
    assert {"name": "b", "value": "c", "type": "!="} in matrix["matchers"]
    assert (selector["type"], selector["name"], selector["timestamp"], selector["startOrEnd"]) == (
        "vectorSelector", "y", None, None)
    assert selector["matchers"] == [{"name": "__name__", "value": "y", "type": "="}]
    assert gantry.data_of("/api/v1/parse_query", query="1e3") == {"type": "numberLiteral", "val": "1000"}
    assert error_of(form(gantry, "/api/v1/parse_query", query=""), 400, "bad_data") == (
        'invalid parameter "query": unknown position: parse error: no expression found in input')


def test_too_many_samples(make_gantry):
    gantry = make_gantry(environment={"GANTRY_QUERY_SAMPLES_MAX": "1000"}).start()
    answer = gantry.get("/api/v1/query_range", query="vector(1)", start=0, end=2000, step=1)
    assert error_of(answer, 422, "execution") == (
        "query processing would load too many samples into memory in query execution")


def test_timeout(gantry):
    endless = "sum_over_time(" * 3 + "vector(1)" + "[10000s:1s])" * 3
    answer = gantry.get("/api/v1/query", query=endless, timeout="10ms")
    assert "query timed out" in error_of(answer, 503, "timeout")
