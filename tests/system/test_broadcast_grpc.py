"""Spans that a stack takes are sent on over gRPC: to a recorder that answers as a test says, and to another Gantry."""

import datetime
import ipaddress
import json
import os
import subprocess
import time

import grpc
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from broadcast_client import DESTINATIONS, add, admin, events, health, request_of, wait_until
from gantry_process import BINARY, free_port
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse
from recording_rpc import Refusal, RpcRecorder
from tempo_trace import get_trace, search

TOKEN = "token-of-the-receiver"


@pytest.fixture
def recorder():
    one = RpcRecorder()
    yield one
    one.stop()


@pytest.fixture
def start(make_gantry):
    def make(**environment):
        return make_gantry(environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1,nowhere.invalid"} | environment).start()

    return make


def config_of(url: str, **fields) -> dict:
    return {"endpoint": url, "protocol": "grpc", "headers": {"Authorization": f"Bearer {TOKEN}"}} | fields


def add_rpc(gantry, url: str, verify: bool = True, **fields) -> dict:
    return add(gantry, "", verify=verify, name="rpc", config=config_of(url), **fields)


def write(gantry, *names: str, trace: int = 1, padding: int = 0) -> None:
    """A span of each name, with an attribute of so many characters that do not compress away."""
    now = time.time_ns()
    spans = [{
        "traceId": f"{trace:032x}", "spanId": f"{abs(hash((name, trace))) % (1 << 60) + 1:016x}", "name": name, "kind": 3,
        "startTimeUnixNano": str(now - 1_000_000), "endTimeUnixNano": str(now),
        "attributes": [{"key": "gen_ai.request.model", "value": {"stringValue": "acme/one"}},
                       {"key": "padding", "value": {"stringValue": os.urandom(padding // 2).hex()}}],
    } for name in names]
    answer = gantry.post("/otlp/v1/traces", request_of(spans), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text


def refuse(*arguments):
    def answer(_):
        raise Refusal(*arguments)

    return answer


def take(_) -> ExportTraceServiceResponse:
    return ExportTraceServiceResponse()


def dead_letters(gantry, destination: dict) -> str:
    return f"{gantry.url}{DESTINATIONS}/{destination['id']}/dead-letters"


def test_spans_arrive_whole_and_are_counted(start, recorder):
    gantry = start()
    destination = add_rpc(gantry, recorder.url)
    (tested,) = recorder.calls
    assert [span.name for span in tested.spans] == ["openrouter-connection-test"] and tested.metadata["x-test-connection"] == "true"
    assert destination["config"] == {"endpoint": recorder.url, "protocol": "grpc", "encoding": "protobuf", "compression": "gzip",
                                     "signals": ["traces"], "headers": {"Authorization": "Bear...iver"}}
    write(gantry, "one", "two", padding=10_000)
    wait_until(lambda: recorder.names() == {"one", "two"})
    call = recorder.calls[-1]
    assert call.metadata["authorization"] == f"Bearer {TOKEN}" and call.metadata["user-agent"].startswith("gantry/")
    for span in call.spans:
        values = {each.key: each.value.string_value for each in span.attributes}
        assert values["gen_ai.request.model"] == "acme/one" and len(values["padding"]) == 10_000
        assert span.trace_id == (1).to_bytes(16, "big") and span.kind == 3
    wait_until(lambda: events(gantry, destination, "sent") == 1)
    wait_until(lambda: health(gantry, destination)["queue"]["events"] == 0)
    assert health(gantry, destination)["state"] == "active"
    assert gantry.stop() == 0, gantry.log()


def test_unavailable_is_repeated_when_the_receiver_says_so(start, recorder):
    gantry = start()
    destination = add_rpc(gantry, recorder.url)
    refused = []

    def answer(spans):
        if not refused:
            refused.append(time.monotonic())
            raise Refusal(grpc.StatusCode.UNAVAILABLE, "later", 3)
        return take(spans)

    recorder.answer = answer
    write(gantry, "one")
    wait_until(lambda: recorder.names() == {"one"})
    assert recorder.calls[-1].when - refused[0] >= 3
    assert events(gantry, destination, "dead") == 0
    wait_until(lambda: 'reason="server_error"} 1' in requests.get(f"{gantry.url}/metrics", timeout=30).text)


def test_credentials_that_are_refused_hold_the_data(start, recorder):
    gantry = start()
    recorder.answer = refuse(grpc.StatusCode.UNAUTHENTICATED, f"no such token: {TOKEN}")
    destination = add_rpc(gantry, recorder.url, verify=False)
    write(gantry, "one")
    wait_until(lambda: health(gantry, destination)["state"] == "held")
    seen = health(gantry, destination)
    assert seen["queue"]["events"] == 1 and seen["dead_letters"]["events"] == 0
    assert seen["last_error"]["code"] == "unauthorized" and seen["last_error"]["status"] == 16
    assert "Authorization header" in seen["last_error"]["message"] and TOKEN not in json.dumps(seen) + gantry.log()
    recorder.answer = take
    gantry.stop()
    gantry.start()  # a new delivery asks at once
    wait_until(lambda: recorder.names() == {"one"})


def test_one_event_that_is_refused_does_not_take_the_others_along(start, recorder):
    gantry = start()
    recorder.answer = refuse(grpc.StatusCode.UNAVAILABLE, "not yet")
    destination = add_rpc(gantry, recorder.url, verify=False)
    for i, name in enumerate(["good-1", "good-2", "bad", "good-3"]):
        write(gantry, name, trace=i + 1)

    def answer(spans):
        if any(span.name == "bad" for span in spans):
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "what is this")
        return take(spans)

    recorder.answer = answer
    wait_until(lambda: recorder.names() == {"good-1", "good-2", "good-3"})
    wait_until(lambda: health(gantry, destination)["dead_letters"]["events"] == 1)
    (letter,) = requests.get(dead_letters(gantry, destination), headers=admin(gantry), timeout=30).json()["data"]
    assert letter["status"] == 3 and letter["spans"] == 1
    recorder.answer = take
    replayed = requests.post(f"{dead_letters(gantry, destination)}/replay", headers=admin(gantry), timeout=30)
    assert replayed.json() == {"data": {"replayed": 1}}
    wait_until(lambda: "bad" in recorder.names())


def test_requests_that_are_too_large_are_halved(start):
    recorder = RpcRecorder(message_bytes_max=100_000)
    gantry = start()
    recorder.answer = refuse(grpc.StatusCode.UNAVAILABLE, "not yet")
    destination = add_rpc(gantry, recorder.url, verify=False)
    for i in range(10):
        write(gantry, f"span-{i}", trace=i + 1, padding=40_000)
    write(gantry, "huge", trace=11, padding=400_000)
    recorder.answer = take
    wait_until(lambda: recorder.names() == {f"span-{i}" for i in range(10)}, seconds=40)
    wait_until(lambda: health(gantry, destination)["dead_letters"]["events"] == 1)
    (letter,) = requests.get(dead_letters(gantry, destination), headers=admin(gantry), timeout=30).json()["data"]
    assert letter["status"] == 8 and "too large" in letter["message"]
    recorder.stop()


def test_a_partial_success_is_counted_and_not_sent_again(start, recorder):
    gantry = start()
    destination = add_rpc(gantry, recorder.url)
    partial = ExportTracePartialSuccess(rejected_spans=1, error_message="one is too old")
    recorder.answer = lambda spans: ExportTraceServiceResponse(partial_success=partial)
    write(gantry, "one", "two", "three")
    wait_until(lambda: health(gantry, destination)["last_error"])
    seen = health(gantry, destination)
    assert seen["sent_spans"] == 2 and seen["rejected_spans"] == 1
    assert seen["last_error"]["code"] == "rejected" and "one is too old" in seen["last_error"]["message"]
    assert seen["queue"]["events"] == 0 and len(recorder.taken()) == 3


def test_what_waits_survives_restarts_of_both(start, recorder):
    gantry = start()
    destination = add_rpc(gantry, recorder.url)
    write(gantry, "before", trace=1)
    wait_until(lambda: recorder.names() == {"before"})
    recorder.stop()
    names = {f"span-{i}" for i in range(20)}
    for i, name in enumerate(sorted(names)):
        write(gantry, name, trace=i + 2)
    wait_until(lambda: health(gantry, destination)["last_error"])
    assert health(gantry, destination)["last_error"]["code"] == "connect"
    gantry.kill()
    recorder.start()
    gantry.start()
    wait_until(lambda: recorder.names() == names | {"before"})
    recorder.stop()
    write(gantry, "after", trace=100)
    recorder.start()
    wait_until(lambda: "after" in recorder.names())
    wait_until(lambda: health(gantry, destination)["queue"]["events"] == 0)
    assert health(gantry, destination)["dead_letters"]["events"] == 0


def make_certificate(name: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256()))
    return (key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            certificate.public_bytes(serialization.Encoding.PEM))


def test_connections_are_tested_through_the_api(start, recorder):
    gantry = start()

    def test(config: dict) -> dict:
        answer = requests.post(f"{gantry.url}{DESTINATIONS}/test", json={"type": "otel-collector", "config": config},
                               headers=admin(gantry), timeout=30)
        assert answer.status_code == 200, answer.text
        assert TOKEN not in answer.text
        return answer.json()["data"]

    def outcome(config: dict) -> tuple:
        verdict = test(config)
        return verdict["status"], (verdict["error"] or {}).get("code")

    assert outcome(config_of(recorder.url)) == (0, None)
    for code, expected in [(grpc.StatusCode.UNAUTHENTICATED, (16, "unauthorized")), (grpc.StatusCode.UNIMPLEMENTED, (12, "wrong_endpoint")),
                           (grpc.StatusCode.RESOURCE_EXHAUSTED, (8, "rate_limited"))]:
        recorder.answer = refuse(code, f"of {TOKEN}")
        assert outcome(config_of(recorder.url)) == expected
    assert outcome(config_of(f"http://127.0.0.1:{gantry.otlp_http_port}")) == (None, "invalid_config"), "it is its own"
    assert outcome(config_of(f"http://127.0.0.1:{free_port()}")) == (None, "connect")
    assert outcome(config_of("http://nowhere.invalid:4317")) == (None, "dns")
    untrusted = RpcRecorder(tls=make_certificate("receiver"))
    assert outcome(config_of(untrusted.url)) == (None, "tls")
    untrusted.stop()
    assert outcome(config_of("https://169.254.169.254:4317")) == (None, "invalid_config")


def test_what_speaks_no_grpc_is_named(start):
    from recording_destination import Recorder

    http = Recorder()
    gantry = start()
    answer = requests.post(gantry.url + DESTINATIONS, headers=admin(gantry), timeout=30,
                           json={"type": "otel-collector", "name": "r", "config": config_of(http.base_url)})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]["metadata"]["test"]["error"]
    assert error["code"] == "wrong_endpoint" and "endpoint" in error["message"] and "protocol" in error["message"]
    for config, path in [(config_of(http.url), "config.endpoint"), (config_of(http.base_url, encoding="json"), "config.encoding"),
                         (config_of(http.base_url, headers={"a-bin": "x"}), "config.headers")]:
        answer = requests.post(f"{gantry.url}{DESTINATIONS}/test", headers=admin(gantry), timeout=30,
                               json={"type": "otel-collector", "config": config})
        assert answer.status_code == 400, answer.text
        assert [each["path"] for each in answer.json()["error"]["metadata"]["fields"]] == [path]
    http.close()


def test_the_protocol_is_changed_by_a_patch_and_a_command(start, recorder):
    gantry = start()
    destination = add(gantry, "http://127.0.0.1:4318/v1/traces", verify=False)
    one = f"{gantry.url}{DESTINATIONS}/{destination['id']}"
    wrong = requests.patch(one, json={"config": {"protocol": "grpc"}}, headers=admin(gantry), timeout=30)
    assert wrong.status_code == 400 and wrong.json()["error"]["metadata"]["fields"][0]["path"] == "config.endpoint", wrong.text
    changed = requests.patch(one, json={"config": {"protocol": "grpc", "endpoint": recorder.url}}, headers=admin(gantry), timeout=30)
    assert changed.status_code == 200, changed.text
    assert changed.json()["data"]["config"] == {"endpoint": recorder.url, "protocol": "grpc", "encoding": "protobuf", "compression": "gzip",
                                                 "signals": ["traces"]}
    write(gantry, "patched")
    wait_until(lambda: "patched" in recorder.names())
    environment = os.environ | {"GANTRY_URL": gantry.url, "GANTRY_TOKEN": gantry.first_start["admin_token"]}
    done = subprocess.run([BINARY, "destinations", "add", "copy", "--type", "otel-collector", "--config", f"endpoint={recorder.url}",
                           "--config", "protocol=grpc", "--header", f"Authorization=Bearer {TOKEN}", "--json"],
                          capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads(done.stdout)
    assert made["config"]["protocol"] == "grpc" and made["config"]["headers"] == {"Authorization": "Bear...iver"}


def test_another_gantry_answers_the_same(make_gantry):
    receiver = make_gantry("receiver").start()
    sender = make_gantry("sender", environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1"}).start()
    url = f"http://127.0.0.1:{receiver.otlp_grpc_port}"
    headers = {"Authorization": f"Bearer {receiver.first_start['write_token']}"}
    destination = add(sender, "", name="copy", config=config_of(url, headers=headers))
    for number in range(1, 21):
        write(sender, f"work {number % 3}", f"rest {number}", trace=number, padding=number * 100)
    wait_until(lambda: health(sender, destination)["sent_spans"] == 40)
    for query in ('{ name = "work 1" }', '{ span.gen_ai.request.model = "acme/one" && name =~ "rest 1.*" }', "{ duration >= 1ms } | count() > 1"):
        found = [sorted(each["traceID"] for each in search(gantry, query, limit=100)) for gantry in (sender, receiver)]
        assert found[0] == found[1] != []
    assert get_trace(receiver, f"{7:032x}") == get_trace(sender, f"{7:032x}")
    refused = add(sender, "", verify=False, name="no", config=config_of(url))
    write(sender, "more", trace=30)
    wait_until(lambda: health(sender, refused)["state"] == "held")
    assert health(sender, refused)["last_error"]["status"] == 16
    assert sender.stop() == 0 and receiver.stop() == 0, sender.log() + receiver.log()
