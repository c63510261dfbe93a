// Sends one trace with the OpenTelemetry SDK, as an application would, and prints what it holds.
//
//   node send_traces.mjs <clients directory> <http-json|http-protobuf|grpc> <endpoint> <token>

import { createRequire } from "node:module";
import path from "node:path";

const [clients, protocol, endpoint, token] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(clients), "package.json"));
const { SpanKind, SpanStatusCode, ROOT_CONTEXT, trace } = require("@opentelemetry/api");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { NodeTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-node");

const headers = { Authorization: `Bearer ${token}` };

function makeExporter() {
  if (protocol === "grpc") {
    const { Metadata } = require("@grpc/grpc-js");
    const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-grpc");
    const metadata = new Metadata();
    metadata.set("authorization", headers.Authorization);
    return new OTLPTraceExporter({ url: endpoint, metadata });
  }
  const name = protocol === "http-json" ? "http" : "proto";
  const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${name}`);
  return new OTLPTraceExporter({ url: endpoint, headers });
}

let failure = null;
const exporter = makeExporter();
const spans = [];
const recorder = {
  export(batch, done) {
    spans.push(...batch);
    exporter.export(batch, (result) => {
      failure ??= result.error;
      done(result);
    });
  },
  shutdown: () => exporter.shutdown(),
  forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
};

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": `js-${protocol}`, "host.cpus": 8, "host.tags": ["a", "b"] }),
  spanProcessors: [new SimpleSpanProcessor(recorder)],
});
const tracer = provider.getTracer("checkout", "1.4.2");

const root = tracer.startSpan("GET /cart", { kind: SpanKind.SERVER, root: true });
root.setAttributes({
  "http.request.method": "GET", "http.response.status_code": 503, "cart.total": 12.5, "cart.is_empty": false,
  "cart.items": ["book", "pen"], "cart.counts": [1, 2], "text.unicode": "zażółć 🛒",
});
const context = trace.setSpan(ROOT_CONTEXT, root);
const child = tracer.startSpan("SELECT cart", {
  kind: SpanKind.CLIENT, links: [{ context: root.spanContext(), attributes: { reason: "retry" } }],
}, context);
child.addEvent("exception", { "exception.type": "Timeout", "exception.message": "no answer" });
child.setStatus({ code: SpanStatusCode.ERROR, message: "timed out" });
child.end();
root.end();
await provider.forceFlush();
await provider.shutdown();
if (failure) throw failure;

const nanoseconds = ([seconds, rest]) => (BigInt(seconds) * 1_000_000_000n + BigInt(rest)).toString();
console.log(JSON.stringify({
  traceId: root.spanContext().traceId,
  resource: spans[0].resource.attributes,
  spans: spans.map((span) => ({
    spanId: span.spanContext().spanId,
    parentSpanId: span.parentSpanContext?.spanId ?? "",
    name: span.name,
    kind: ["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"][span.kind],
    start: nanoseconds(span.startTime),
    end: nanoseconds(span.endTime),
    attributes: span.attributes,
    status: ["UNSET", "OK", "ERROR"][span.status.code],
    message: span.status.message ?? "",
    events: span.events.map((event) => ({ name: event.name, time: nanoseconds(event.time), attributes: event.attributes })),
    links: span.links.map((link) => ({ traceId: link.context.traceId, spanId: link.context.spanId, attributes: link.attributes })),
    scope: [span.instrumentationScope.name, span.instrumentationScope.version],
  })),
}));
