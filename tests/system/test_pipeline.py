"""The rules of a stack, through the whole program: what comes in passes them before it is stored and sent on."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import time

import pytest
import requests

from broadcast_client import add, admin, wait_until
from chat_answers import completion
from gantry_process import BINARY
from gateway_setup import make_gateway, make_key, model, provider
from recording_destination import Recorder
from recording_upstream import Upstream, Whole
from test_replicas import postgres, start_two  # noqa: F401 (a fixture)

PIPELINE = "/api/v1/observability/pipeline"
MARK = "PLANTEDq7Zk"
NO_GO = [{"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"}, {"regex": "pod", "action": "labeldrop"}]
ONLY_GPT = {"groups": [{"logic": "and", "rules": [{"field": "model", "operator": "starts_with", "value": "gpt"}]}]}


@pytest.fixture
def recorder():
    one = Recorder()
    yield one
    one.close()


def ask(gantry, method: str, body: dict | None = None, headers: dict | None = None, path: str = "") -> requests.Response:
    return requests.request(method, gantry.url + PIPELINE + path, json=body, headers=headers or admin(gantry), timeout=30)


def set_rules(gantry, **rules) -> dict:
    answer = ask(gantry, "PUT", rules)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def span(trace: int, number: int, name: str = "step", **attributes: str) -> dict:
    now = time.time_ns()
    return {
        "traceId": f"{trace:032x}", "spanId": f"{number:016x}", "name": name, "kind": 2,
        "startTimeUnixNano": str(now - 1_000_000), "endTimeUnixNano": str(now),
        "attributes": [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in attributes.items()],
    }


def send(gantry, *spans: dict) -> None:
    body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                               "scopeSpans": [{"spans": list(spans)}]}]}
    answer = gantry.post("/otlp/v1/traces", json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert "partialSuccess" not in answer.json() or not answer.json()["partialSuccess"], "dropped is accepted"


def stored(gantry, trace: int) -> list:
    """Names of the trace's spans."""
    answer = gantry.get(f"/api/v2/traces/{trace:032x}", headers={"Accept": "application/json"})
    if answer.status_code == 404:
        return []
    assert answer.status_code == 200, answer.text
    found = answer.json().get("trace", {}).get("resourceSpans", [])
    return sorted(each["name"] for resource in found for scope in resource["scopeSpans"] for each in scope["spans"])


def write(gantry, *lines: str) -> None:
    answer = gantry.post("/api/v1/push/influx/write", "\n".join(lines))
    assert answer.status_code == 204, answer.text


def metric(gantry, name: str, **labels: str) -> float:
    """Of the process itself."""
    for line in requests.get(f"{gantry.url}/metrics", timeout=30).text.splitlines():
        if line.startswith(f"{name}{{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(line.rpartition(" ")[2])
    return 0


def files_of(directory: pathlib.Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def delivered(recorder) -> list:
    return [each for delivery in recorder.deliveries() for resource in delivery.body["resourceSpans"]
            for scope in resource["scopeSpans"] for each in scope["spans"] if not each["name"].endswith("-connection-test")]


def test_sampling_keeps_whole_traces_however_their_spans_come(make_gantry):
    gantry = make_gantry().start()
    set_rules(gantry, sampling_rate=0.5)
    traces = range(1, 41)
    for number in (1, 2, 3):
        for trace in traces:  # a request for each span
            send(gantry, span(trace, 100 * trace + number, f"step {number}"))
    kept = [trace for trace in traces if stored(gantry, trace)]
    assert 5 < len(kept) < 35, "about half of them"
    for trace in kept:
        assert stored(gantry, trace) == ["step 1", "step 2", "step 3"]
    dropped = metric(gantry, "gantry_pipeline_dropped_total", stage="sampling", reason="sampling_rate")
    assert dropped == 3 * (40 - len(kept))
    # Rates see what is not stored.
    assert gantry.stop() == 0, gantry.log()
    gantry.start()
    calls = 'sum(max_over_time(traces_spanmetrics_calls_total{service="shop"}[1h]))'
    assert gantry.query(calls)[0]["value"][1] == "120"
    # A session is kept or left out whole, though its traces would not be.
    for session in ("a", "b", "c", "d", "e", "f"):
        own = [1000 * ord(session) + i for i in range(6)]
        for trace in own:
            send(gantry, span(trace, trace, session__id=session))
        assert len({bool(stored(gantry, trace)) for trace in own}) == 1


def test_filters_and_relabelling_and_a_restart(make_gantry):
    gantry = make_gantry().start()
    saved = set_rules(gantry, filter_rules=ONLY_GPT, metric_relabel_configs=NO_GO)
    assert saved["version"] == 1

    def check(trace: int, at: str) -> None:
        send(gantry, span(trace, trace, gen_ai__request__model="gpt-5"), span(trace + 1, trace + 1, gen_ai__request__model="other"))
        assert stored(gantry, trace) == ["step"]
        assert stored(gantry, trace + 1) == []
        write(gantry, f"go_{at},pod=a value=1", f"{at},pod=a,host=h value=2")
        assert gantry.query(f"go_{at}") == []
        assert [each["metric"] for each in gantry.query(at)] == [{"__name__": at, "host": "h"}]

    check(1, "before")
    assert metric(gantry, "gantry_pipeline_dropped_total", stage="filter", reason="filter_rules") == 1
    assert metric(gantry, "gantry_pipeline_dropped_total", stage="relabel", reason="metric_relabel_configs") == 1
    gantry.kill()
    gantry.start()
    assert ask(gantry, "GET").json()["data"] == saved
    check(11, "after")
    assert ask(gantry, "DELETE").status_code == 200
    write(gantry, "go_cleared,pod=a value=1")
    assert [each["metric"] for each in gantry.query("go_cleared")] == [{"__name__": "go_cleared", "pod": "a"}]


def test_what_privacy_mode_takes_out_is_never_on_disk(make_gantry, recorder):
    gantry = make_gantry(environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1"}).start()
    send(gantry, span(1, 1, gen_ai__prompt=f"{MARK}open"))
    assert f"{MARK}open".encode() in files_of(gantry.data), "what is looked for is found where it may be"
    add(gantry, recorder.url)
    set_rules(gantry, privacy_mode=True)
    send(gantry, span(2, 2, gen_ai__prompt=f"{MARK}hidden", gen_ai__request__model="gpt-5", user__id="kept-user"))
    wait_until(lambda: len(delivered(recorder)) == 1)
    assert "kept-user" in json.dumps(delivered(recorder)) and MARK not in json.dumps(delivered(recorder))
    assert stored(gantry, 2) == ["step"]
    assert gantry.stop() == 0, gantry.log()
    everything = files_of(gantry.data) + gantry.log().encode()
    assert f"{MARK}hidden".encode() not in everything
    assert b"kept-user" in everything


def test_attribute_rules_edit_what_is_stored_and_sent(make_gantry, recorder):
    gantry = make_gantry(environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1"}).start()
    add(gantry, recorder.url)
    set_rules(gantry, attribute_rules=[{"action": "delete", "key": "secret"}, {"action": "hash", "key": "user.id"},
                                       {"action": "upsert", "key": "zone", "value": "eu", "scope": "resource"}])
    send(gantry, span(1, 1, secret=f"{MARK}secret", user__id="somebody", kept="yes"))
    wait_until(lambda: len(delivered(recorder)) == 1)
    found = {each["key"]: each["value"]["stringValue"] for each in delivered(recorder)[0]["attributes"]}
    assert found == {"user.id": hashlib.sha256(b"somebody").hexdigest(), "kept": "yes"}
    assert len(gantry.get("/api/search", q='{ resource.zone = "eu" && span.kept = "yes" }').json()["traces"]) == 1
    assert gantry.stop() == 0, gantry.log()
    assert MARK.encode() not in files_of(gantry.data)


def top_hosts(interval: str) -> dict:
    return {"match": "req", "interval": interval, "by": ["host"], "outputs": ["sum_samples"], "top": {"n": 2, "label": "host"},
            "keep_input": False}


def sums(gantry, name: str) -> dict:
    """The greatest value by host."""
    found = gantry.query(f"max by (host) (max_over_time({{__name__=\"{name}\"}}[5m]))")
    return {each["metric"]["host"]: float(each["value"][1]) for each in found}


def test_samples_are_aggregated_by_the_top_hosts_and_the_others(make_gantry):
    gantry = make_gantry().start()
    set_rules(gantry, stream_aggregation=[top_hosts("1s")], metric_relabel_configs=[{"regex": "junk", "action": "labeldrop"}])
    lines = [f"req,host=h{host},pod=p{pod},junk=x value={value}" for host, pod, value in
             [(1, 1, 10), (1, 2, 5), (2, 1, 20), (3, 1, 1), (4, 1, 2)]]
    write(gantry, "plain value=1", *lines)
    wait_until(lambda: sums(gantry, "req:1s_sum_samples") == {"h1": 15, "h2": 20, "other": 3})
    assert gantry.query("req") == [], "only the aggregates are kept"
    assert gantry.query("plain")[0]["value"][1] == "1"
    assert metric(gantry, "gantry_pipeline_dropped_total", stage="aggregation", reason="stream_aggregation") == 5
    # A window that has not ended is written when the rules change, and when the process ends.
    set_rules(gantry, stream_aggregation=[top_hosts("1h")])
    write(gantry, "req,host=h1 value=1")
    set_rules(gantry)
    wait_until(lambda: sums(gantry, "req:1h_sum_samples") == {"h1": 1})
    set_rules(gantry, stream_aggregation=[top_hosts("2h")])
    write(gantry, "req,host=h1 value=2", "req,host=h2 value=3")
    assert gantry.stop() == 0, gantry.log()
    gantry.start()
    assert sums(gantry, "req:2h_sum_samples") == {"h1": 2, "h2": 3}


def test_the_documented_rules_are_taken(make_gantry):
    gantry = make_gantry().start()
    page = (pathlib.Path(__file__).parents[2] / "docs/pipeline.md").read_text()
    examples = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert examples
    for example in examples:
        rules = json.loads(example)
        assert set_rules(gantry, **rules).items() >= rules.items()
    trial, = re.findall(r"echo '(.*?)' \| gantry pipeline test -", page, re.DOTALL)
    answer = ask(gantry, "POST", json.loads(trial), path="/test")
    assert answer.json() == {"data": {"samples": [{"labels": {"__name__": "up"}}]}}


def test_calls_of_the_gateway_pass_the_same_rules(tmp_path, recorder):
    upstream = Upstream()
    gantry = make_gateway(tmp_path / "gateway", {
        "io_logging": True, "providers": [provider("openai", upstream)], "models": [
            model("openai/gpt-5", "openai"), model("openai/other", "openai")]}).start()
    try:
        destination = add(gantry, recorder.url)
        key = make_key(gantry).secret

        def call(name: str, content: str) -> None:
            upstream.script(Whole(completion("done")))
            answer = requests.post(f"{gantry.url}/v1/chat/completions", timeout=30, headers={"Authorization": f"Bearer {key}"},
                                   json={"model": name, "messages": [{"role": "user", "content": content}]})
            assert answer.status_code == 200, answer.text

        names = {"groups": [{"logic": "and", "rules": [{"field": "input", "operator": "contains", "value": "take this"}]}]}
        set_rules(gantry, filter_rules=names, privacy_mode=True)
        call("openai/gpt-5", f"take this {MARK}")
        call("openai/gpt-5", "and not that")
        call("openai/other", f"take this {MARK} too")
        wait_until(lambda: len({each["traceId"] for each in delivered(recorder)}) == 2)
        assert MARK not in json.dumps(delivered(recorder))
        wait_until(lambda: metric(gantry, "gantry_pipeline_dropped_total", stage="filter", reason="filter_rules") == 1)
        found = gantry.get("/api/search", q="{}").json()["traces"]
        assert len(found) == 2, "the stack has what the destination has"
        assert destination["type"] == "otel-collector"
        assert gantry.stop() == 0, gantry.log()
        assert MARK.encode() not in files_of(gantry.data) + gantry.log().encode()
    finally:
        gantry.stop()
        upstream.close()


def test_only_who_may_reads_and_changes_rules(make_gantry):
    gantry = make_gantry().start()

    def token(name: str, *scopes: str) -> dict:
        region = {"region": "local"}
        policy = requests.post(f"{gantry.url}/api/v1/accesspolicies", params=region, headers=admin(gantry), timeout=30, json={
            "name": name, "scopes": list(scopes),
            "realms": [{"type": "stack", "identifier": str(gantry.first_start["instance_id"])}]}).json()
        made = requests.post(f"{gantry.url}/api/v1/tokens", params=region, headers=admin(gantry), timeout=30,
                             json={"accessPolicyId": policy["id"], "name": name}).json()
        return {"Authorization": f"Bearer {made['token']}"}

    reader, writer, other = token("reader", "pipelines:read"), token("writer", "pipelines:write"), token("other", "destinations:write")
    assert [ask(gantry, "GET", headers=who).status_code for who in (reader, writer, other)] == [200, 403, 403]
    assert [ask(gantry, "PUT", {}, who).status_code for who in (reader, writer, other)] == [403, 200, 403]
    assert ask(gantry, "DELETE", headers=reader).status_code == 403
    assert requests.get(gantry.url + PIPELINE, timeout=30).status_code == 401
    wrong = ask(gantry, "PUT", {"sampling_rate": 0, "filter_rules": {"groups": [{"logic": "nor", "rules": []}]}})
    assert wrong.status_code == 400
    assert [field["path"] for field in wrong.json()["error"]["metadata"]["fields"]] == ["sampling_rate", "filter_rules.groups[0].logic"]


def test_the_command_line(make_gantry, tmp_path):
    gantry = make_gantry().start()
    rules = tmp_path / "rules.json"

    def run(*arguments: str, status: int = 0) -> str:
        environment = os.environ | {"GANTRY_URL": gantry.url, "GANTRY_TOKEN": gantry.first_start["admin_token"]}
        done = subprocess.run([BINARY, "pipeline", *arguments], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    shown = json.loads(run("show"))
    assert shown["sampling_rate"] == 1 and shown["version"] == 0
    rules.write_text(json.dumps(shown | {"metric_relabel_configs": NO_GO}))
    assert json.loads(run("set", str(rules), "--stack", "main"))["version"] == 1
    assert "somebody else has just changed" in run("set", str(rules), status=1)
    trial = tmp_path / "trial.json"
    trial.write_text(json.dumps({"samples": [{"labels": {"__name__": "go_gc"}}, {"labels": {"__name__": "up", "pod": "p"}}]}))
    assert json.loads(run("test", str(trial)))["samples"] == [{"labels": None}, {"labels": {"__name__": "up"}}]
    rules.write_text('{"sampling": 1}')
    assert "sampling: is not known here" in run("set", str(rules), status=1)
    assert json.loads(run("clear"))["metric_relabel_configs"] is None


def test_replicas_apply_the_same_rules(make_gantry, postgres):  # noqa: F811
    first, second = start_two(make_gantry, postgres)
    set_rules(first, metric_relabel_configs=NO_GO)
    deadline = time.monotonic() + 5
    number = 0
    while True:
        number += 1
        requests.post(f"{second.url}/api/v1/push/influx/write", data=f"go_{number} value=1", auth=first.write_auth, timeout=30)
        answer = requests.get(f"{second.url}/api/v1/query", params={"query": f"go_{number}"}, auth=first.read_auth, timeout=30)
        if answer.json()["data"]["result"] == []:
            break
        assert time.monotonic() < deadline, second.log()
