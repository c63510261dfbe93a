"""Messages over their size limit by gRPC, and TLS on every listener with certificates that change."""

import gzip
import signal
import socket
import ssl
import subprocess
import time

import grpc
import pytest
import remote_write as rw
import requests
from gantry_process import free_port

EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
MESSAGE_BYTES_MAX = 1 << 20


def export(channel, gantry, body: bytes, compression=grpc.Compression.NoCompression) -> bytes:
    call = channel.unary_unary(EXPORT, request_serializer=lambda raw: raw, response_deserializer=lambda raw: raw)
    return call(body, metadata=[("authorization", f"Bearer {gantry.first_start['write_token']}")], timeout=20,
                compression=compression)


def gauge(name: str, value: float, padding: int = 0) -> bytes:
    """An ExportMetricsServiceRequest with one point, and a description of `padding` bytes."""
    point = rw.varint(3 << 3 | 1) + time.time_ns().to_bytes(8, "little") + rw.double(4, value)
    metric = rw.field(1, name) + rw.field(2, "x" * padding) + rw.field(5, rw.field(1, point))
    return rw.field(1, rw.field(2, rw.field(2, metric)))


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_grpc_message_over_the_limit(make_gantry, compression):
    gantry = make_gantry(environment={"GANTRY_HTTP_BODY_BYTES_MAX": str(MESSAGE_BYTES_MAX),
                                      "GANTRY_HTTP_BODY_DECOMPRESSED_BYTES_MAX": str(MESSAGE_BYTES_MAX)}).start()
    with grpc.insecure_channel(f"127.0.0.1:{gantry.otlp_grpc_port}") as channel:
        assert export(channel, gantry, gauge("below", 1, MESSAGE_BYTES_MAX - 4096), compression) == b""
        with pytest.raises(grpc.RpcError) as refused:
            export(channel, gantry, gauge("above", 1, MESSAGE_BYTES_MAX), compression)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert str(MESSAGE_BYTES_MAX) in refused.value.details()
        if compression is not grpc.Compression.NoCompression:
            # What is too large as it arrives is refused by the gRPC library, which knows no settings.
            assert "http.body_decompressed_bytes_max" in refused.value.details()
        assert export(channel, gantry, gauge("after", 1), compression) == b"", "the connection goes on"
    assert gantry.query("below") and gantry.query("after") and not gantry.query("above")


def make_certificate(directory, name: str):
    """A self-signed certificate for 127.0.0.1; its common name tells which one a server showed."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=30)
    return certificate, key


@pytest.fixture
def tls_gantry(make_gantry, tmp_path):
    """A process with the certificate `first`; both `first` and `second` are trusted."""
    for name in ("first", "second"):
        make_certificate(tmp_path, name)
    show(tmp_path, "first")
    (tmp_path / "trusted.pem").write_bytes((tmp_path / "first.pem").read_bytes() + (tmp_path / "second.pem").read_bytes())
    return make_gantry(trust=tmp_path / "trusted.pem", environment={
        "GANTRY_TLS_CERT_FILE": str(tmp_path / "shown.pem"), "GANTRY_TLS_KEY_FILE": str(tmp_path / "shown.key")}).start()


def show(directory, name: str) -> None:
    for ending in ("pem", "key"):
        (directory / f"shown.{ending}").write_bytes((directory / f"{name}.{ending}").read_bytes())


def shown_name(port: int) -> str:
    """The common name of the certificate that a listener shows."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    subject = subprocess.run(["openssl", "x509", "-noout", "-subject", "-nameopt", "multiline"], input=pem, text=True,
                             capture_output=True, check=True, timeout=10).stdout
    return subject.rsplit("=", 1)[1].strip()


def all_ports(gantry) -> tuple[int, int, int]:
    return gantry.http_port, gantry.otlp_http_port, gantry.otlp_grpc_port


def wait_for_names(gantry, name: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        names = {port: shown_name(port) for port in all_ports(gantry)}
        if set(names.values()) == {name}:
            return
        time.sleep(0.1)
    raise AssertionError(f"{names} instead of {name}:\n{gantry.log()[-3000:]}")


def test_every_listener_speaks_tls_and_nothing_else(tls_gantry):
    gantry = tls_gantry
    assert gantry.first_start["url"].startswith("https://")
    assert gantry.post("/write", "over_tls value=1").status_code == 204
    assert gantry.query("over_tls")
    otlp = requests.post(f"https://127.0.0.1:{gantry.otlp_http_port}/v1/metrics", data=gzip.compress(gauge("by_http", 1)),
                         headers={"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"},
                         auth=gantry.write_auth, timeout=10, verify=gantry.verify)
    assert otlp.status_code == 200
    credentials = grpc.ssl_channel_credentials(gantry.trust.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{gantry.otlp_grpc_port}", credentials) as channel:
        assert export(channel, gantry, gauge("by_grpc", 1)) == b""
    assert gantry.query("by_http") and gantry.query("by_grpc")
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{gantry.url}/-/ready", timeout=5)  # not trusted
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(f"http://127.0.0.1:{gantry.http_port}/-/ready", timeout=5)


def handshake(port: int, version: ssl.TLSVersion) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # else this side refuses what is old before the other can
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as wrapped:
        return wrapped.version()


OLD_VERSIONS = {ssl.TLSVersion.TLSv1: ("-tls1", "TLSv1"), ssl.TLSVersion.TLSv1_1: ("-tls1_1", "TLSv1.1")}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_tls_below_1_2_is_refused(tls_gantry, tmp_path, version):
    for port in all_ports(tls_gantry):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(port, version)
        assert handshake(port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        assert handshake(port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    option, name = OLD_VERSIONS[version]
    assert handshake_with_openssl(tmp_path, option, version) == name, "it was not this client that refused"


def handshake_with_openssl(directory, option: str, version: ssl.TLSVersion) -> str:
    port = free_port()
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", str(port), option, "-cipher", "ALL:@SECLEVEL=0", "-quiet",
         "-cert", directory / "first.pem", "-key", directory / "first.key"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                return handshake(port, version)
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    finally:
        server.kill()
        server.wait()


def test_a_new_certificate_is_shown_after_sighup(tls_gantry, tmp_path):
    gantry = tls_gantry
    wait_for_names(gantry, "first")
    session = requests.Session()

    def ask() -> int:
        return session.get(f"{gantry.url}/api/v1/query?query=1", auth=gantry.read_auth, verify=gantry.verify,
                           timeout=5).status_code

    assert ask() == 200
    show(tmp_path, "second")
    assert shown_name(gantry.http_port) == "first", "files are read at SIGHUP, not before"
    gantry.process.send_signal(signal.SIGHUP)
    wait_for_names(gantry, "second")
    assert ask() == 200, "the open connection goes on"
    assert gantry.post("/write", "after_reload value=1").status_code == 204


def test_a_broken_certificate_is_not_taken(tls_gantry, tmp_path):
    gantry = tls_gantry
    (tmp_path / "shown.pem").write_text("no certificate")
    gantry.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while "not reloaded" not in gantry.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "shown.pem" in gantry.log()
    wait_for_names(gantry, "first")
