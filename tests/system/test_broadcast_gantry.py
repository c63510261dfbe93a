"""One Gantry sends what it takes to another one: both answer the same queries."""

import base64
import json
import time

import pytest

from broadcast_client import add, health, request_of, wait_until
from remote_write import V1_HEADERS, V2_HEADERS, compress, field, v1_series
from tempo_trace import get_trace, search


@pytest.fixture
def pair(make_gantry):
    """(who sends, who gets it)"""
    receiver = make_gantry("receiver").start()
    sender = make_gantry("sender", environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1"}).start()
    return sender, receiver


@pytest.fixture
def circle(make_gantry):
    """Two that may send to each other, with their own traces, and without metrics that are made of spans as time passes."""
    environment = {"GANTRY_EGRESS_ALLOW": "127.0.0.1", "GANTRY_TRACES_SPAN_METRICS": "false"}
    return [make_gantry(name, environment=environment).start() for name in ("left", "right")]


def add_gantry(sender, receiver, signals: list[str]) -> dict:
    instance, token = receiver.write_auth
    return add(sender, "", type="gantry", name="copy", config={
        "baseUrl": receiver.url, "instanceId": str(instance), "token": token, "signals": signals})


def add_rpc(sender, receiver, signals: list[str]) -> dict:
    instance, token = receiver.write_auth
    credentials = base64.b64encode(f"{instance}:{token}".encode()).decode()
    return add(sender, "", type="otel-collector", name="copy", config={
        "endpoint": f"http://127.0.0.1:{receiver.otlp_grpc_port}", "protocol": "grpc",
        "headers": {"Authorization": f"Basic {credentials}"}, "signals": signals})


def add_remote_write(sender, receiver, version: int) -> dict:
    instance, token = receiver.write_auth
    return add(sender, "", type="prometheus-remote-write", name="copy", config={
        "url": f"{receiver.url}/api/v1/push", "username": instance, "token": token, "version": version})


def write_rounds(sender, rounds: int, series: int) -> int:
    """Samples of one second each, up to now; returns the last one's milliseconds."""
    last = time.time_ns() // 1_000_000_000 * 1000
    for number in range(rounds):
        ms = last - (rounds - 1 - number) * 1000
        body = b"".join(field(1, v1_series({"__name__": "work_total", "job": "copy", "instance": str(i)}, [(ms, number * i)]))
                        for i in range(series))
        body += field(3, b"\x08\x01" + field(2, "work_total") + field(4, "Work done."))
        answer = sender.post("/api/v1/push", compress(body), headers=V1_HEADERS)
        assert answer.status_code in (200, 204), answer.text
    return last


def in_order(series: list) -> list:
    """An instant vector has none of its own."""
    return sorted(series, key=lambda each: sorted(each["metric"].items()))


def answers(gantry, last_ms: int) -> list:
    end = last_ms / 1000
    return [
        gantry.query_range('work_total{job="copy"}', end - 60, end, 1),
        gantry.query("sum by (job) (rate(work_total[30s]))", end),
        in_order(gantry.query("quantile_over_time(0.5, work_total[20s])", end)),
        gantry.data_of("/api/v1/labels"),
        gantry.data_of("/api/v1/metadata", metric="work_total"),
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_metrics_over_remote_write(pair, version):
    sender, receiver = pair
    destination = add_remote_write(sender, receiver, version)
    last = write_rounds(sender, rounds=30, series=50)
    wait_until(lambda: health(sender, destination)["sent_samples"] == 1500)
    wait_until(lambda: health(sender, destination)["queue"]["events"] == 0)
    expected = answers(sender, last)
    assert len(expected[0]) == 50 and all(expected)
    got = answers(receiver, last)
    got[3] = [name for name in got[3] if name != "service"]  # of the connection test
    assert got == expected
    assert receiver.query("gantry_connection_test")[0]["value"][1] == "1"
    assert health(sender, destination)["dead_letters"]["events"] == 0


def test_metrics_over_line_protocol(pair):
    sender, receiver = pair
    instance, token = receiver.write_auth
    destination = add(sender, "", type="influx", name="copy", config={
        "url": f"{receiver.url}/api/v2/write?bucket=b", "token": f"{instance}:{token}"})
    last = write_rounds(sender, rounds=5, series=10)
    wait_until(lambda: health(sender, destination)["sent_samples"] == 50)
    query = 'sum by (instance) (sum_over_time(work_total{job="copy"}[1m]))'
    expected = sender.query(query, last / 1000)
    assert len(expected) == 10
    assert in_order(receiver.query(query, last / 1000)) == in_order(expected)


def test_metrics_wait_while_the_other_is_away(pair):
    sender, receiver = pair
    destination = add_remote_write(sender, receiver, 1)
    receiver.kill()
    last = write_rounds(sender, rounds=20, series=20)
    sender.kill()
    sender.start()
    receiver.start()
    wait_until(lambda: health(sender, destination)["queue"]["events"] == 0, seconds=90)
    assert answers(receiver, last)[0] == answers(sender, last)[0] != []
    assert health(sender, destination)["dead_letters"]["events"] == 0


def write_families(sender) -> float:
    """One of each type, over OTLP; returns their time."""
    now = time.time_ns() // 1_000_000_000 * 1_000_000_000
    point = {"timeUnixNano": str(now), "attributes": [{"key": "zone", "value": {"stringValue": "x"}}]}
    metrics = [
        {"name": "jobs", "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [point | {"asDouble": 7}]}},
        {"name": "load", "description": "Of the machine.", "gauge": {"dataPoints": [point | {"asDouble": 0.5}]}},
        {"name": "took", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [point | {
            "count": 6, "sum": 9.5, "explicitBounds": [0.5, 2], "bucketCounts": [1, 2, 3]}]}},
        {"name": "size", "unit": "By", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [point | {
            "count": 5, "sum": 20, "scale": 2, "zeroCount": 1, "zeroThreshold": 0.001,
            "positive": {"offset": 3, "bucketCounts": [1, 3]}}]}},
        {"name": "rpc", "summary": {"dataPoints": [point | {
            "count": 4, "sum": 12, "quantileValues": [{"quantile": 0.5, "value": 3}, {"quantile": 0.99, "value": 5}]}]}},
    ]
    body = {"resourceMetrics": [{
        "resource": {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in (
            ("service.name", "cart"), ("service.namespace", "shop"), ("service.instance.id", "i-1"), ("k8s.pod.name", "p-1"))]},
        "scopeMetrics": [{"metrics": metrics}]}]}
    answer = sender.post("/otlp/v1/metrics", json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200 and answer.json() in ({}, {"partialSuccess": {}}), answer.text
    return now / 1e9


@pytest.mark.parametrize("add_copy", [add_gantry, add_rpc])
def test_metrics_over_otlp(pair, add_copy):
    sender, receiver = pair
    destination = add_copy(sender, receiver, ["metrics"])
    last = write_rounds(sender, rounds=10, series=20)
    at = write_families(sender)
    wait_until(lambda: health(sender, destination)["sent_samples"] >= 200 + 13)
    wait_until(lambda: health(sender, destination)["queue"]["events"] == 0)
    shown = health(sender, destination)
    assert shown["rejected_samples"] == 0 and "sent_spans" not in shown and shown["last_error"] is None
    assert answers(receiver, last)[:3] == answers(sender, last)[:3] != []
    for query in ('{job="shop/cart"}', "histogram_quantile(0.5, took_seconds_bucket)", "histogram_sum(size_bytes)",
                  "histogram_quantile(0.9, size_bytes)", 'rpc{quantile="0.99"}', "jobs_total * on (job) group_left (k8s_pod_name) target_info"):
        expected = in_order(sender.query(query, at))
        assert expected and in_order(receiver.query(query, at)) == expected, query
    for metric in ("jobs_total", "load", "took_seconds", "size_bytes", "rpc", "work_total"):
        assert receiver.data_of("/api/v1/metadata", metric=metric) == sender.data_of("/api/v1/metadata", metric=metric) != {}, metric


@pytest.mark.parametrize("path", ["otlp", "remote write"])
def test_two_that_send_to_each_other_come_to_rest(circle, path):
    destinations = []
    for sender, receiver in (circle, reversed(circle)):
        if path == "otlp":
            destinations.append(add_gantry(sender, receiver, ["traces", "metrics"]))
        else:
            destinations.append(add_remote_write(sender, receiver, 1))

    def sent() -> list:
        shown = [health(gantry, destination) for gantry, destination in zip(circle, destinations)]
        assert all(each["dead_letters"]["events"] == 0 for each in shown)
        return [(each["sent_samples"], each.get("sent_spans"), each["queue"]["events"]) for each in shown]

    last = write_rounds(circle[0], rounds=5, series=10)
    if path == "otlp":
        write_families(circle[0])
        write_traces(circle[0])
    wait_until(lambda: sent()[1][0] >= 50)
    at_rest = sent()
    deadline = time.monotonic() + 60
    while True:
        time.sleep(4)  # A batch waits a second for more.
        before, at_rest = at_rest, sent()
        if before == at_rest and all(each[2] == 0 for each in at_rest):
            break
        assert time.monotonic() < deadline, at_rest
    # What each has written once, and what it has got once, is all that was sent.
    for samples, spans, _ in at_rest:
        assert samples < 150 and (spans is None or spans < 120), at_rest
    assert answers(circle[1], last)[:3] == answers(circle[0], last)[:3] != []


def write_traces(sender):
    now = time.time_ns()
    for trace in range(1, 21):
        spans = [{"traceId": f"{trace:032x}", "spanId": f"{i:016x}", "name": f"step {i}", "kind": 3,
                  "parentSpanId": "" if i == 1 else f"{1:016x}",
                  "startTimeUnixNano": str(now - i * 1_000_000), "endTimeUnixNano": str(now),
                  "attributes": [{"key": "number", "value": {"intValue": str(trace)}}]} for i in range(1, 4)]
        answer = sender.post("/otlp/v1/traces", request_of(spans), headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text


def test_traces_over_otlp(pair):
    sender, receiver = pair
    destination = add_gantry(sender, receiver, ["traces"])
    write_traces(sender)
    wait_until(lambda: health(sender, destination)["sent_spans"] == 60)
    for query in ("{ span.number > 15 }", '{ name = "step 3" && span.number = 7 }', "{ duration > 2ms }"):
        found = [sorted(each["traceID"] for each in search(gantry, query)) for gantry in pair]
        assert found[0] == found[1] != []
    assert get_trace(receiver, f"{7:032x}") == get_trace(sender, f"{7:032x}")
