"""Traces from the OpenTelemetry SDKs with their own exporters come back as they were sent."""

import json
import os
import pathlib
import subprocess

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from tempo_trace import get_trace, search

ROOT = pathlib.Path(__file__).parents[2]
JAVASCRIPT = pathlib.Path(os.environ.get("GANTRY_JAVASCRIPT", ROOT / "build/javascript"))
VENV = pathlib.Path(os.environ.get("GANTRY_VENV", ROOT / "build/venv"))


class Recorder(SpanExporter):
    """Keeps what the exporter behind it was given."""

    def __init__(self, exporter):
        self.exporter, self.spans = exporter, []

    def export(self, spans):
        self.spans += spans
        result = self.exporter.export(spans)
        assert result == SpanExportResult.SUCCESS
        return result

    def shutdown(self):
        self.exporter.shutdown()


def exporter_of(gantry, kind: str):
    headers = {"authorization": f"Bearer {gantry.first_start['write_token']}"}
    if kind == "grpc":
        return GrpcExporter(endpoint=f"http://127.0.0.1:{gantry.otlp_grpc_port}", insecure=True, headers=headers)
    if kind == "http":
        return HttpExporter(endpoint=f"http://127.0.0.1:{gantry.otlp_http_port}/v1/traces", headers=headers)
    return HttpExporter(endpoint=f"{gantry.url}/otlp/v1/traces", headers=headers)


def listed(values: dict | None) -> dict:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in (values or {}).items()}


def as_sent(span) -> dict:
    """An SDK span in the terms of tempo_trace.spans_of."""
    return {
        "resource": listed(span.resource.attributes),
        "scope": [span.instrumentation_scope.name, span.instrumentation_scope.version],
        "traceId": f"{span.context.trace_id:032x}",
        "parentSpanId": f"{span.parent.span_id:016x}" if span.parent else "",
        "name": span.name,
        "kind": span.kind.name,
        "start": str(span.start_time),
        "end": str(span.end_time),
        "attributes": listed(span.attributes),
        "status": span.status.status_code.name,
        "message": span.status.description or "",
        "events": [{"name": e.name, "time": str(e.timestamp), "attributes": listed(e.attributes)} for e in span.events],
        "links": [{"traceId": f"{e.context.trace_id:032x}", "spanId": f"{e.context.span_id:016x}", "attributes": listed(e.attributes)}
                  for e in span.links],
    }


@pytest.mark.parametrize("kind", ["http", "http_prefix", "grpc"])
def test_python_sdk(gantry, kind):
    recorder = Recorder(exporter_of(gantry, kind))
    provider = TracerProvider(resource=Resource.create({"service.name": f"python-{kind}", "host.cpus": 8, "host.tags": ["a", "b"]}))
    provider.add_span_processor(SimpleSpanProcessor(recorder))
    tracer = provider.get_tracer("checkout", "1.4.2")
    with tracer.start_as_current_span("GET /cart", kind=trace.SpanKind.SERVER) as root:
        root.set_attributes({"http.response.status_code": 503, "cart.total": 12.5, "cart.is_empty": False, "cart.items": ["book", "pen"],
                             "cart.counts": [1, 2], "cart.prices": [0.5, 2.0], "cart.flags": [True, False], "text.unicode": "zażółć 🛒",
                             "big": 2**53 + 1, "negative": -7})
        link = trace.Link(root.get_span_context(), {"reason": "retry"})
        with tracer.start_as_current_span("SELECT cart", kind=trace.SpanKind.CLIENT, links=[link]) as child:
            child.record_exception(TimeoutError("no answer"))
            child.set_status(trace.Status(trace.StatusCode.ERROR, "timed out"))
    trace_id = f"{root.get_span_context().trace_id:032x}"

    expected = {f"{span.context.span_id:016x}": as_sent(span) for span in recorder.spans}
    assert len(expected) == 2
    assert get_trace(gantry, trace_id) == expected

    found = search(gantry, f'{{ resource.service.name = "python-{kind}" && span.http.response.status_code >= 500 }}')
    assert [t["traceID"].rjust(32, "0") for t in found] == [trace_id]
    assert found[0]["rootTraceName"] == "GET /cart"
    provider.shutdown()


@pytest.mark.parametrize("protocol", ["http-json", "http-protobuf", "grpc"])
def test_javascript_sdk(gantry, protocol):
    endpoint = {
        "http-json": f"http://127.0.0.1:{gantry.otlp_http_port}/v1/traces",
        "http-protobuf": f"{gantry.url}/otlp/v1/traces",
        "grpc": f"http://127.0.0.1:{gantry.otlp_grpc_port}",
    }[protocol]
    script = pathlib.Path(__file__).parent / "javascript/send_traces.mjs"
    done = subprocess.run([VENV / "bin/node", script, JAVASCRIPT, protocol, endpoint, gantry.first_start["write_token"]],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    sent = json.loads(done.stdout)

    expected = {}
    for span in sent["spans"]:
        span_id = span.pop("spanId")
        expected[span_id] = span | {"traceId": sent["traceId"], "resource": sent["resource"]}
    assert len(expected) == 2
    assert get_trace(gantry, sent["traceId"]) == expected
