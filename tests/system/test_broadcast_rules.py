"""What rules of a destination make of what it gets, set with `gantry destinations rules`."""

import hashlib
import json
import subprocess
import time

import pytest

from broadcast_client import add, request_of, wait_until
from gantry_process import BINARY
from recording_destination import Recorder

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
