"""An OTLP/gRPC receiver that answers as a test says and keeps what it got."""

import threading
import time
import typing
from concurrent import futures

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
STOP_SECONDS = 5


class Call(typing.NamedTuple):
    when: float  # time.monotonic()
    metadata: dict
    spans: list
    code: grpc.StatusCode


class Refusal(Exception):
    """What `answer` raises to end a call with an error."""

    def __init__(self, code: grpc.StatusCode, message: str, retry_seconds: int | None = None):
        super().__init__(message)
        self.code, self.message, self.retry_seconds = code, message, retry_seconds

    def details(self) -> tuple:
        if self.retry_seconds is None:
            return ()
        delay = Any()
        delay.Pack(RetryInfo(retry_delay=Duration(seconds=self.retry_seconds)))
        status = Status(code=self.code.value[0], message=self.message, details=[delay])
        return (("grpc-status-details-bin", status.SerializeToString()),)


def spans_of(request: ExportTraceServiceRequest) -> list:
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


class RpcRecorder(grpc.GenericRpcHandler):
    """`answer` is asked for each call's spans: an ExportTraceServiceResponse, or it raises a Refusal. `start` may be called
    again after `stop`: the port stays."""

    def __init__(self, message_bytes_max: int = 4 << 20, tls: tuple[bytes, bytes] | None = None):
        """`tls`: private key and certificate."""
        self.lock = threading.Lock()
        self.calls: list[Call] = []
        self.answer = lambda spans: ExportTraceServiceResponse()
        self.options = [("grpc.max_receive_message_length", message_bytes_max), ("grpc.so_reuseport", 0)]
        self.tls = tls
        self.port = 0
        self.server = None
        self.start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[self], options=self.options)
        address = f"127.0.0.1:{self.port}"
        if self.tls:
            self.port = self.server.add_secure_port(address, grpc.ssl_server_credentials([self.tls]))
        else:
            self.port = self.server.add_insecure_port(address)
        self.server.start()

    def stop(self) -> None:
        self.server.stop(None).wait(STOP_SECONDS)

    def service(self, handler_call_details):
        if handler_call_details.method != EXPORT:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self.export, request_deserializer=ExportTraceServiceRequest.FromString,
            response_serializer=ExportTraceServiceResponse.SerializeToString)

    def export(self, request: ExportTraceServiceRequest, context: grpc.ServicerContext):
        spans = spans_of(request)
        refusal = None
        try:
            response = self.answer(spans)
        except Refusal as error:
            refusal = error
        with self.lock:
            self.calls.append(Call(time.monotonic(), dict(context.invocation_metadata()), spans,
                                   refusal.code if refusal else grpc.StatusCode.OK))
        if refusal is None:
            return response
        context.set_trailing_metadata(refusal.details())
        context.abort(refusal.code, refusal.message)

    def taken(self) -> list:
        """Spans of calls that were answered with OK, without those of connection tests."""
        with self.lock:
            return [span for call in self.calls for span in call.spans
                    if call.code is grpc.StatusCode.OK and "x-test-connection" not in call.metadata]

    def names(self) -> set:
        return {span.name for span in self.taken()}
