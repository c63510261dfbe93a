"""The Python OpenTelemetry SDK with its own exporters."""

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource


def exporters(gantry):
    authorization = f"Bearer {gantry.first_start['write_token']}"
    return {
        "http": lambda: HttpExporter(endpoint=f"http://127.0.0.1:{gantry.otlp_http_port}/v1/metrics",
                                     headers={"Authorization": authorization}),
        "http_prefix": lambda: HttpExporter(endpoint=f"{gantry.url}/otlp/v1/metrics",
                                            headers={"Authorization": authorization}),
        "grpc": lambda: GrpcExporter(endpoint=f"http://127.0.0.1:{gantry.otlp_grpc_port}", insecure=True,
                                     headers={"authorization": authorization}),
    }


@pytest.mark.parametrize("kind", ["http", "http_prefix", "grpc"])
def test_counter_gauge_and_histogram_arrive(gantry, kind):
    reader = PeriodicExportingMetricReader(exporters(gantry)[kind](), export_interval_millis=3_600_000)
    resource = Resource.create({"service.name": f"shop-{kind}", "service.instance.id": "one", "host.name": "h1"})
    provider = MeterProvider(resource=resource, metric_readers=[reader])
    meter = provider.get_meter("test")
    meter.create_counter("orders", unit="1").add(7, {"kind": "book"})
    meter.create_gauge("queue.depth").set(3.5)
    histogram = meter.create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1])
    for value in (0.05, 0.5, 5):
        histogram.record(value)
    assert reader.force_flush()
    provider.shutdown()

    def value(expression):
        result = gantry.query(expression)
        assert len(result) == 1, (expression, result)
        return float(result[0]["value"][1])

    job = f'job="shop-{kind}",instance="one"'
    assert value(f'orders_total{{{job},kind="book"}}') == 7
    assert value(f"queue_depth{{{job}}}") == 3.5
    assert value(f"latency_seconds_count{{{job}}}") == 3
    assert value(f"latency_seconds_sum{{{job}}}") == 5.55
    assert value(f'latency_seconds_bucket{{{job},le="0.1"}}') == 1
    assert value(f'latency_seconds_bucket{{{job},le="+Inf"}}') == 3
    assert value(f'target_info{{{job},host_name="h1"}}') == 1


def test_a_wrong_token_is_told(gantry):
    exporter = HttpExporter(endpoint=f"http://127.0.0.1:{gantry.otlp_http_port}/v1/metrics",
                            headers={"Authorization": "Bearer glc_wrong"})
    import requests
    answer = requests.post(exporter._endpoint, data=b"", timeout=5,
                           headers={"Authorization": "Bearer glc_wrong", "Content-Type": "application/x-protobuf"})
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/x-protobuf"
