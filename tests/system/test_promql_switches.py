"""What the switches of `promql.*` change from end to end: start timestamps, type and unit labels, extended ranges."""

import json
import time

import pytest

from remote_write import V2_HEADERS, v2_request

START_TIMESTAMPS = {"GANTRY_PROMQL_USE_START_TIMESTAMPS": "true", "GANTRY_PROMQL_EXPERIMENTAL_FUNCTIONS": "true"}
COUNTER, GAUGE = 1, 2


def write(gantry, series, metadata=None):
    answer = gantry.post("/api/v1/write", v2_request(series, metadata), V2_HEADERS)
    assert answer.status_code == 204, answer.text


def write_otlp(gantry, metrics: list[dict]):
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    answer = gantry.post("/otlp/v1/metrics", json.dumps(body), {"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert answer.json() in ({}, {"partialSuccess": {}}), answer.text


def otlp_sum(name: str, at_ms: int, start_ms: int, value: int, unit: str = "") -> dict:
    point = {"timeUnixNano": str(at_ms * 10**6), "startTimeUnixNano": str(start_ms * 10**6), "asInt": str(value)}
    return {"name": name, "unit": unit,
            "sum": {"isMonotonic": True, "aggregationTemporality": 2, "dataPoints": [point]}}


def otlp_histogram(name: str, at_ms: int, start_ms: int, count: int) -> dict:
    point = {"timeUnixNano": str(at_ms * 10**6), "startTimeUnixNano": str(start_ms * 10**6), "count": str(count),
             "sum": count, "scale": 0, "zeroCount": "0", "positive": {"offset": 0, "bucketCounts": [str(count)]}}
    return {"name": name, "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [point]}}


def value_of(gantry, expression: str, at: float) -> float | None:
    result = gantry.query(expression, at)
    assert len(result) <= 1, (expression, result)
    return float(result[0]["value"][1]) if result else None


def write_one_sample_each(gantry, now_ms: int):
    """A counter each by remote write 2.0 and OTLP, one sample of 60 that began a minute before it."""
    write(gantry, [({"__name__": "written_total"}, [(now_ms - 10_000, 60)], now_ms - 70_000),
                   ({"__name__": "unknown_total"}, [(now_ms - 10_000, 60)], 0)])
    write_otlp(gantry, [otlp_sum("pushed", now_ms - 10_000, now_ms - 70_000, 60),
                        otlp_histogram("spread", now_ms - 10_000, now_ms - 70_000, 60)])


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_rate_uses_start_timestamps_and_the_store_keeps_them(make_gantry, end):
    gantry = make_gantry(environment=START_TIMESTAMPS).start()
    now_ms = int(time.time()) * 1000
    write_one_sample_each(gantry, now_ms)

    def check():
        at = now_ms / 1000
        for name in ("written_total", "pushed_total"):
            assert value_of(gantry, f"increase({name}[5m])", at) == 60, name
            assert value_of(gantry, f"rate({name}[5m])", at) == pytest.approx(60 / 300), name
            assert value_of(gantry, f"start_timestamp({name})", at) == at - 70, name
        assert value_of(gantry, "start_timestamp(spread)", at) == at - 70
        assert value_of(gantry, "histogram_count(increase(spread[5m]))", at) == 60
        assert value_of(gantry, "increase(unknown_total[5m])", at) is None
        assert value_of(gantry, "start_timestamp(unknown_total)", at) == 0

    check()
    getattr(gantry, end)()
    gantry.start()
    check()


def test_start_timestamps_tell_a_reset_that_values_hide(make_gantry):
    gantry = make_gantry(environment=START_TIMESTAMPS).start()
    now = int(time.time())
    for age, value, start in ((60, 10, now - 90), (40, 20, now - 90), (20, 30, now - 30)):
        write(gantry, [({"__name__": "hidden_total"}, [((now - age) * 1000, value)], start * 1000)])
    assert value_of(gantry, "resets(hidden_total[2m])", now) == 1
    # 10 up to the first sample, 10 to the second, 30 since the reset; 70 s of which extrapolate to the end.
    assert value_of(gantry, "increase(hidden_total[2m])", now) == pytest.approx(50 * 90 / 70)


def test_without_the_switch_one_sample_gives_no_rate(make_gantry):
    gantry = make_gantry(environment={"GANTRY_PROMQL_EXPERIMENTAL_FUNCTIONS": "true"}).start()
    now_ms = int(time.time()) * 1000
    write_one_sample_each(gantry, now_ms)
    assert value_of(gantry, "increase(written_total[5m])", now_ms / 1000) is None
    assert value_of(gantry, "start_timestamp(written_total)", now_ms / 1000) is None


def test_type_and_unit_become_labels(make_gantry):
    gantry = make_gantry(environment={"GANTRY_PROMQL_TYPE_AND_UNIT_LABELS": "true"}).start()
    now_ms = int(time.time()) * 1000
    samples = [(now_ms - 20_000, 1), (now_ms - 10_000, 2)]
    write(gantry, [({"__name__": "sent", "__type__": "gauge", "__unit__": "s"}, samples, 0)], (COUNTER, "bytes"))
    write(gantry, [({"__name__": "level_total"}, samples, 0)], (GAUGE, ""))
    write(gantry, [({"__name__": "bare", "__type__": "counter"}, samples, 0)])
    write_otlp(gantry, [otlp_sum("pushed", now_ms - 10_000, now_ms - 70_000, 60, "By")])

    def labels_of(name):
        metric = gantry.query(name, now_ms / 1000)[0]["metric"]
        return metric.get("__type__"), metric.get("__unit__")

    assert labels_of("sent") == ("counter", "bytes")
    assert labels_of("level_total") == ("gauge", None)
    assert labels_of("bare") == ("counter", None)
    assert labels_of("pushed_bytes_total") == ("counter", "bytes")
    assert gantry.query('{__type__="counter", __unit__="bytes"}', now_ms / 1000)
    # Both go with the name, and tell whether a series is a counter.
    assert gantry.query("sent + 0", now_ms / 1000)[0]["metric"] == {}
    infos = {name: gantry.get("/api/v1/query", query=f"rate({name}[5m])", time=now_ms / 1000).json().get("infos")
             for name in ("sent", "level_total")}
    assert infos == {"sent": None, "level_total": [
        'PromQL info: metric might not be a counter, __type__ label is not set to "counter" or "histogram", '
        'got "gauge": "level_total" (1:6)']}


def test_without_the_switch_metadata_makes_no_labels(make_gantry):
    gantry = make_gantry().start()
    now_ms = int(time.time()) * 1000
    write(gantry, [({"__name__": "sent"}, [(now_ms, 1)], 0)], (COUNTER, "bytes"))
    assert gantry.query("sent", now_ms / 1000)[0]["metric"] == {"__name__": "sent"}


def test_extended_ranges_need_their_switch(make_gantry):
    now = int(time.time())
    series = [({"__name__": "steps_total"}, [((now - age) * 1000, 100 - age) for age in (100, 60, 40, 20)], 0)]
    gantry = make_gantry("off").start()
    write(gantry, series)
    answer = gantry.get("/api/v1/query", query="increase(steps_total[50s] anchored)")
    assert answer.status_code == 400
    assert "anchored modifier is experimental and not enabled" in answer.json()["error"]

    gantry = make_gantry("on", environment={"GANTRY_PROMQL_EXTENDED_RANGE_SELECTORS": "true"}).start()
    write(gantry, series)
    assert value_of(gantry, "increase(steps_total[50s] anchored)", now - 15) == 80
    assert value_of(gantry, "increase(steps_total[30s] smoothed)", now - 30) == 30
    assert value_of(gantry, "steps_total smoothed", now - 30) == 70
    assert gantry.query("steps_total[50s] anchored", now - 15)[0]["values"] == [
        [now - 65, "0"], [now - 60, "40"], [now - 40, "60"], [now - 20, "80"], [now - 15, "80"]]
