"""What rules of a destination make of what it gets, set with `gantry destinations rules`."""

import hashlib
import json
import subprocess
import time

import pytest

from broadcast_client import add, request_of, wait_until
from gantry_process import BINARY
from recording_destination import Recorder
from remote_write import V1_HEADERS, compress, field, v1_series

SECRET = "ann@example.com"


@pytest.fixture
def recorder():
    one = Recorder()
    yield one
    one.close()


@pytest.fixture
def gantry(make_gantry):
    return make_gantry(environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1"}).start()


def cli(gantry, *arguments) -> subprocess.CompletedProcess:
    environment = {"GANTRY_URL": gantry.url, "GANTRY_TOKEN": gantry.first_start["admin_token"]}
    return subprocess.run([BINARY, "destinations", *arguments], capture_output=True, text=True, timeout=30, check=False,
                          env=environment)


def write_span(gantry, name: str) -> None:
    now = time.time_ns()
    span = {"traceId": f"{abs(hash(name)):032x}"[:32], "spanId": f"{1:016x}", "name": name, "kind": 3,
            "startTimeUnixNano": str(now - 1_000_000), "endTimeUnixNano": str(now),
            "attributes": [{"key": "user.email", "value": {"stringValue": SECRET}},
                           {"key": "internal.note", "value": {"stringValue": "not for others"}}]}
    answer = gantry.post("/otlp/v1/traces", request_of([span]), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text


def attributes_of(span: dict) -> dict:
    return {each["key"]: each["value"]["stringValue"] for each in span["attributes"]}


def taken(recorder, name: str) -> dict:
    wait_until(lambda: any(span["name"] == name for span in recorder.taken()))
    return next(attributes_of(span) for span in recorder.taken() if span["name"] == name)


def test_attributes_are_edited_before_they_reach_the_disk(gantry, recorder, tmp_path):
    destination = add(gantry, recorder.url)
    rules = [{"action": "hash", "key": "user.email"}, {"action": "delete", "pattern": r"^internal\."},
             {"action": "insert", "key": "team", "value": "web", "include": {"services": ["shop"]}},
             {"action": "insert", "key": "team", "value": "other"}]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(rules))
    done = cli(gantry, "rules", destination["name"], "--set", f"attribute_rules={file}", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["attribute_rules"] == rules

    recorder.answer = lambda body: (503, {})
    # A destination in use takes over a change within a moment; what comes before has the old rules.
    wait_until(lambda: (write_span(gantry, "probe"), time.sleep(0.1), queued(gantry).count(b"team"))[-1] > 0)
    write_span(gantry, "edited")
    assert b"edited" in queued(gantry)
    recorder.answer = lambda body: (200, {})
    assert taken(recorder, "edited") == {"user.email": hashlib.sha256(SECRET.encode()).hexdigest(), "team": "web"}

    done = cli(gantry, "rules", destination["name"], "--clear", "attribute_rules", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["attribute_rules"] is None, done.stderr


def queued(gantry) -> bytes:
    return b"".join(path.read_bytes() for path in (gantry.data / "broadcast").rglob("*") if path.is_file())


def write_samples(gantry, values: dict) -> None:
    """{(name, path): value}, of now, each with a pod of its own."""
    now = time.time_ns() // 1_000_000
    body = b"".join(field(1, v1_series({"__name__": name, "path": path, "pod": f"pod-{number}"}, [(now, value)]))
                    for number, ((name, path), value) in enumerate(values.items()))
    answer = gantry.post("/api/v1/push", compress(body), headers=V1_HEADERS)
    assert answer.status_code in (200, 204), answer.text


def test_metrics_are_relabelled_and_aggregated_for_one_destination(gantry, make_gantry, tmp_path):
    receiver = make_gantry("receiver").start()
    instance, token = receiver.write_auth
    destination = add(gantry, "", type="prometheus-remote-write", name="copy", config={
        "url": f"{receiver.url}/api/v1/push", "username": instance, "token": token})
    relabel = tmp_path / "relabel.json"
    relabel.write_text(json.dumps([{"source_labels": ["__name__"], "regex": "private_.*", "action": "drop"},
                                   {"regex": "pod", "action": "labeldrop"}]))
    aggregation = tmp_path / "aggregation.json"
    aggregation.write_text(json.dumps([{
        "match": "hits", "interval": "1s", "by": ["path"], "outputs": ["sum_samples"], "keep_input": False,
        "top": {"n": 1, "label": "path"}}]))
    done = cli(gantry, "rules", destination["name"], "--set", f"metric_relabel_configs={relabel}",
               "--set", f"stream_aggregation={aggregation}")
    assert done.returncode == 0, done.stderr

    def sums() -> dict:
        found = receiver.query("max_over_time({__name__='hits:1s_sum_samples'}[1m])")
        return {each["metric"]["path"]: float(each["value"][1]) for each in found}

    # Until the rules have been taken over, what is written goes as it is.
    wait_until(lambda: (write_samples(gantry, {("hits", "/probe"): 0}), time.sleep(0.3), sums())[-1])
    write_samples(gantry, {("hits", "/a"): 10, ("hits", "/b"): 1, ("hits", "/c"): 2, ("plain", "/a"): 7,
                           ("private_plain", "/a"): 8})
    wait_until(lambda: sums().get("/a") == 10 and sums().get("other", 0) == 3)
    plain = receiver.query("last_over_time(plain[1m])")
    assert [each["metric"] for each in plain] == [{"__name__": "plain", "path": "/a"}] and float(plain[0]["value"][1]) == 7
    assert receiver.query("last_over_time(private_plain[1m])") == []
    assert receiver.query('last_over_time(hits{path="/a"}[1m])') == []
    assert float(gantry.query('hits{path="/a"}')[0]["value"][1]) == 10, "the stack's own samples are as they came"


def test_rules_that_mean_nothing_are_refused_by_name(gantry, recorder, tmp_path):
    destination = add(gantry, recorder.url)
    file = tmp_path / "rules.json"
    file.write_text('[{"action": "delete", "key": "a"}, {"action": "drop", "key": "b"}]')
    done = cli(gantry, "rules", destination["name"], "--set", f"attribute_rules={file}")
    assert done.returncode != 0 and "attribute_rules[1].action" in done.stderr
    file.write_text("[")
    done = cli(gantry, "rules", destination["name"], "--set", f"attribute_rules={file}")
    assert done.returncode != 0 and "is not JSON" in done.stderr
    done = cli(gantry, "rules", destination["name"], "--set", f"config={file}")
    assert done.returncode != 0 and '"config" is not one of' in done.stderr
    assert cli(gantry, "rules", destination["name"]).returncode != 0
