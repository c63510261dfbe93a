"""What senders are told of what was refused: exact counts, limits and when they lift."""

import json
import time

import grpc
import pytest

import remote_write

NOW_NS = time.time_ns()
JSON = {"Content-Type": "application/json"}


def histogram(time_ns: int, count: int) -> dict:
    return {"timeUnixNano": str(time_ns), "count": str(count), "sum": count, "bucketCounts": ["0", str(count), "0"],
            "explicitBounds": [1, 2]}


def export(gantry, *metrics: dict):
    body = {"resourceMetrics": [{"resource": {"attributes": [
        {"key": "service.name", "value": {"stringValue": "shop"}},
        {"key": "host.name", "value": {"stringValue": "h1"}}]}, "scopeMetrics": [{"metrics": list(metrics)}]}]}
    return gantry.post("/otlp/v1/metrics", json.dumps(body), headers=JSON)


def test_a_histogram_point_counts_once(gantry):
    """Its five series all say that there is another value already; a gauge beside it is stored."""
    def metric(count: int) -> dict:
        return {"name": "sizes", "histogram": {"aggregationTemporality": 2, "dataPoints": [histogram(NOW_NS, count)]}}

    assert export(gantry, metric(1)).json() == {}
    gauge = {"name": "fine", "gauge": {"dataPoints": [{"timeUnixNano": str(NOW_NS), "asInt": "1"}]}}
    delta = {"name": "delta", "sum": {"aggregationTemporality": 1, "dataPoints": [{}, {}]}}
    answer = export(gantry, metric(7), gauge, delta)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedDataPoints"] == "3", partial
    assert 'invalid temporality and type combination for metric "delta"' in partial["errorMessage"]
    assert "1 data points were refused: duplicate sample for timestamp" in partial["errorMessage"]
    assert gantry.query("fine")[0]["value"][1] == "1"
    assert gantry.query("sizes_count")[0]["value"][1] == "1"


@pytest.fixture
def limited(make_gantry):
    return make_gantry(environment={"GANTRY_LIMITS_BYTES_PER_DAY_MAX": "400B"}).start()


def seconds_to_midnight() -> float:
    return 86400 - time.time() % 86400


def assert_lifts_at_midnight(seconds: float) -> None:
    # A midnight between the answer and here moves the goal by a day.
    assert min(abs(seconds - seconds_to_midnight()), abs(seconds + 86400 - seconds_to_midnight())) < 30


def test_bytes_per_day(limited):
    line = "m,label=" + "x" * 180 + " value=1"
    assert limited.post("/write", line).status_code == 204

    assert limited.post("/write", line + "\n" + line).status_code == 429
    now_ms = NOW_NS // 1_000_000
    body = remote_write.v1_request([remote_write.v1_series({"__name__": "a", "b": "y" * 300}, [(now_ms, 1)])])
    written = limited.post("/api/v1/write", body, headers=remote_write.V1_HEADERS)
    assert written.status_code == 429
    assert "limits.bytes_per_day_max" in written.text and "err-gantry-max-bytes-per-day" in written.text
    assert written.headers["X-Prometheus-Remote-Write-Samples-Written"] == "0"
    assert_lifts_at_midnight(int(written.headers["Retry-After"]))

    point = {"timeUnixNano": str(NOW_NS), "asInt": "1",
             "attributes": [{"key": "long", "value": {"stringValue": "z" * 300}}]}
    exported = export(limited, {"name": "o", "gauge": {"dataPoints": [point]}})
    assert exported.status_code == 429
    assert "1 data points were refused" in exported.json()["message"]
    assert_lifts_at_midnight(int(exported.headers["Retry-After"]))

    # The count is kept over a restart, and what fits is taken.
    assert limited.stop() == 0
    limited.start()
    assert limited.post("/write", line + "\n" + line).status_code == 429
    assert limited.post("/write", "small value=1").status_code == 204
    assert limited.query("small")[0]["value"][1] == "1"
    metrics = limited.get("/metrics").text
    assert 'gantry_ingest_rejected_total{protocol="influx",reason="bytes_per_day"} 2' in metrics
    assert "gantry_metrics_refused_bytes_total" in metrics


def test_bytes_per_day_by_grpc(limited):
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
    from opentelemetry.proto.metrics.v1 import metrics_pb2

    point = metrics_pb2.NumberDataPoint(time_unix_nano=NOW_NS, as_int=1)
    metric = metrics_pb2.Metric(name="g" * 500, gauge=metrics_pb2.Gauge(data_points=[point]))
    request = service.ExportMetricsServiceRequest(resource_metrics=[
        metrics_pb2.ResourceMetrics(scope_metrics=[metrics_pb2.ScopeMetrics(metrics=[metric])])])
    authorization = ("authorization", f"Bearer {limited.first_start['write_token']}")
    with grpc.insecure_channel(f"127.0.0.1:{limited.otlp_grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as refused:
            MetricsServiceStub(channel).Export(request, metadata=[authorization], timeout=10)
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "limits.bytes_per_day_max" in refused.value.details()
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    # google.rpc.Status 3 details → Any 2 value → RetryInfo 1 retry_delay → Duration 1 seconds.
    retry = details[details.index(b"google.rpc.RetryInfo") + len(b"google.rpc.RetryInfo"):]
    seconds, shift = 0, 0
    for byte in retry[retry.index(b"\x08") + 1:]:
        seconds |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    assert_lifts_at_midnight(seconds)
