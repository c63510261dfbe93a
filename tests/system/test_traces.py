"""Tempo's API over the real program: the published cases, and what a data source and a browser-less user do."""

import json
import os
import pathlib
import subprocess

import pytest
import requests

from gantry_process import BINARY, Gantry
from tempo_trace import get_trace

DATA = pathlib.Path(os.environ.get("GANTRY_CONFORMANCE_DIR", pathlib.Path(__file__).parents[3] / "shared/conformance")) / "traceql"
CASES = json.loads((DATA / "execute_cases.json").read_text())["cases"] if DATA.exists() else []
SPANS_PER_SPANSET_MAX = 100
NO_ROOT = "<root span not yet received>"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory):
    """One process for each data set."""
    if not DATA.exists():
        pytest.skip(f"no {DATA}: set GANTRY_CONFORMANCE_DIR")
    made = {}
    for name in ("shop", "tree", "metrics", "llm"):
        made[name] = Gantry(tmp_path_factory.mktemp(name) / "data").start()
        body = (DATA / "datasets" / f"{name}.otlp.json").read_bytes()
        written = made[name].post("/otlp/v1/traces", body, {"Content-Type": "application/json"})
        assert (written.status_code, written.text) == (200, "{}")
    yield made
    for server in made.values():
        assert server.stop() == 0, server.log()


def search_parameters(case: dict) -> dict:
    parameters = {"q": case["query"], "limit": case.get("limit", 1000), "spss": min(case.get("spss", SPANS_PER_SPANSET_MAX), SPANS_PER_SPANSET_MAX)}
    return parameters | {name: case[name] for name in ("start", "end") if name in case}


def comparable(values: dict) -> dict:
    """5 and 5.0 are the same double."""
    return {key: {kind: float(v) if kind == "doubleValue" else v for kind, v in value.items()} for key, value in values.items()}


def named_values(pairs: list | None) -> dict:
    return comparable({pair["key"]: pair.get("value", {}) for pair in pairs or []})


def described_set(span_set: dict, counts_spans: bool) -> str:
    """Without an order of its own, for span sets have none."""
    spans = sorted(span["spanID"] for span in span_set.get("spans", []))
    attributes = named_values(span_set.get("attributes"))
    return json.dumps([span_set.get("matched", 0), len(spans) if counts_spans else spans, attributes], sort_keys=True)


def described_trace(trace: dict, counts_spans: bool) -> dict:
    root = trace.get("rootServiceName", "")
    return {
        "rootServiceName": "" if root == NO_ROOT else root,
        "rootTraceName": trace.get("rootTraceName", ""),
        "startTimeUnixNano": trace["startTimeUnixNano"],
        "durationMs": trace.get("durationMs", 0),
        "serviceStats": trace.get("serviceStats", {}),
        "spanSets": sorted(described_set(span_set, counts_spans) for span_set in trace["spanSets"]),
    }


def expected_trace(trace: dict, counts_spans: bool, spans_max: int) -> dict:
    sets = []
    for span_set in trace["spanSets"]:
        spans = sorted(span_set["spans"])
        sets.append(json.dumps([span_set["matched"], min(len(spans), spans_max) if counts_spans else spans, comparable(span_set.get("attributes", {}))], sort_keys=True))
    return {
        "rootServiceName": trace["rootServiceName"],
        "rootTraceName": trace["rootTraceName"],
        "startTimeUnixNano": trace["startTimeUnixNano"],
        "durationMs": trace.get("durationMs", 0),
        "serviceStats": trace["serviceStats"],
        "spanSets": sorted(sets),
    }


@pytest.mark.parametrize("case", [c for c in CASES if c["kind"] == "search"], ids=lambda c: c["id"])
def test_search_case(servers, case: dict):
    answer = servers[case["dataset"]].get("/tempo/api/search", **search_parameters(case))
    if "error" in case["expect"]:
        assert answer.status_code == 400, answer.text
        return
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    spans_max = case.get("spss", SPANS_PER_SPANSET_MAX) or 3
    expected = case["expect"]["traces"]
    counts_spans = any(s["matched"] > len(s["spans"]) or s["matched"] > spans_max for t in expected.values() for s in t["spanSets"])
    actual = {trace["traceID"]: described_trace(trace, counts_spans) for trace in answer.json().get("traces", [])}
    assert actual == {key: expected_trace(trace, counts_spans, spans_max) for key, trace in expected.items()}


def series_of(answer: dict, is_instant: bool) -> dict:
    series = {}
    for each in answer.get("series", []):
        key = json.dumps(named_values(each.get("labels")), sort_keys=True)
        assert key not in series, f"{key} is there twice"
        if is_instant:
            series[key] = {0: each.get("value", 0)}
        else:
            series[key] = {int(sample["timestampMs"]): sample.get("value", 0) for sample in each["samples"]}
    return series


@pytest.mark.parametrize("case", [c for c in CASES if c["kind"] == "metrics"], ids=lambda c: c["id"])
def test_metrics_case(servers, case: dict):
    is_instant = case.get("instant", False)
    parameters = {"q": case["query"], "start": case["startNs"], "end": case["endNs"]}
    if not is_instant:
        parameters["step"] = f"{case['stepNs']}ns"
    path = "/tempo/api/metrics/query" if is_instant else "/tempo/api/metrics/query_range"
    answer = servers[case["dataset"]].get(path, **parameters)
    if "error" in case["expect"]:
        assert answer.status_code == 400, answer.text
        return
    assert answer.status_code == 200, answer.text
    actual = series_of(answer.json(), is_instant)
    expected = {}
    for each in case["expect"]["series"]:
        samples = {0: each["value"]} if is_instant else dict(each["samples"])
        expected[json.dumps(comparable(each["labels"]), sort_keys=True)] = samples
    if "compare(" in case["query"]:
        # Among values of equal frequency Tempo lists any: what both list must agree.
        expected = {key: samples for key, samples in expected.items() if key in actual}
        assert len(expected) > len(case["expect"]["series"]) / 2
    else:
        assert actual.keys() == expected.keys()
    for key, samples in expected.items():
        assert actual[key] == pytest.approx(samples, rel=1e-9), key


def test_a_trace_comes_back_whole(servers):
    server = servers["shop"]
    sent = json.loads((DATA / "datasets/shop.otlp.json").read_text())
    names = {}
    for resource in sent["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                names.setdefault(span["traceId"].lower(), {})[span["spanId"].lower()] = span["name"]
    for trace_id, spans in names.items():
        found = get_trace(server, trace_id)
        assert {span_id: span["name"] for span_id, span in found.items()} == spans
        assert get_trace(server, trace_id.lstrip("0")) == found


def test_formats_of_a_trace(servers):
    server = servers["shop"]
    path = "/tempo/api/v2/traces/5f1a0000000000000000000000000001"
    protobuf = server.get(path, headers={"Accept": "application/protobuf"})
    assert protobuf.headers["Content-Type"] == "application/protobuf"
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    # TracesData is field 1 of the answer; its own field 1 has the same tag, so that it parses as one of them.
    first = server.get("/tempo/api/traces/5f1a0000000000000000000000000001", headers={"Accept": "application/protobuf"})
    trace = TracesData.FromString(first.content)
    spans = [span for resource in trace.resource_spans for scope in resource.scope_spans for span in scope.spans]
    assert len(spans) == 5
    assert all(len(span.trace_id) == 16 and span.HasField("status") for span in spans)
    assert all(resource.resource.attributes for resource in trace.resource_spans)
    assert first.content in protobuf.content
    assert server.get("/tempo/api/v2/traces/77").json() == {"trace": {}, "metrics": {}}
    assert server.get("/tempo/api/traces/77").status_code == 404


def test_what_an_editor_asks(servers):
    server = servers["shop"]
    scopes = {scope["name"]: scope["tags"] for scope in server.get("/tempo/api/v2/search/tags").json()["scopes"]}
    assert "service.name" in scopes["resource"] and "http.method" in scopes["span"]
    services = server.get("/tempo/api/v2/search/tag/resource.service.name/values").json()["tagValues"]
    assert {"type": "string", "value": "frontend"} in services
    narrowed = server.get("/tempo/api/v2/search/tag/name/values", q='{ resource.service.name = "mailer" && span.x = }').json()["tagValues"]
    assert 0 < len(narrowed) < len(server.get("/tempo/api/v2/search/tag/name/values").json()["tagValues"])


def test_deleting_a_trace(make_gantry):
    gantry = make_gantry().start()
    span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "n", "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000"}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    assert gantry.post("/v1/traces", body, {"Content-Type": "application/json"}).status_code == 200
    url = f"{gantry.url}/api/traces/{span['traceId']}"
    assert requests.delete(url, auth=gantry.read_auth, timeout=10).status_code == 403
    assert requests.delete(url, auth=gantry.admin_auth, timeout=10).status_code == 204
    assert requests.delete(url, auth=gantry.admin_auth, timeout=10).status_code == 404
    assert get_trace(gantry, span["traceId"]) == {}
    gantry.kill()
    gantry.start()
    assert get_trace(gantry, span["traceId"]) == {}


def run_cli(server: Gantry, *arguments: str) -> subprocess.CompletedProcess:
    token = server.read_auth[1]
    return subprocess.run([BINARY, *arguments, "--url", server.url, "--token", token], capture_output=True, text=True, timeout=30)


def test_the_command_line(servers):
    found = run_cli(servers["shop"], "search", '{ name = "GET /cart" }')
    assert found.returncode == 0, found.stderr
    header, line = found.stdout.splitlines()
    assert header.split() == ["TRACE", "START", "DURATION", "MATCHED", "SERVICE", "NAME"]
    assert line.split()[0] == "5f1a0000000000000000000000000001"
    shown = run_cli(servers["shop"], "trace", line.split()[0])
    assert shown.returncode == 0, shown.stderr
    assert len(shown.stdout.splitlines()) == 6
    assert shown.stdout.splitlines()[1].startswith("GET /cart ")
    as_json = run_cli(servers["shop"], "trace", line.split()[0], "--json")
    assert "resourceSpans" in json.loads(as_json.stdout)["trace"]
    assert run_cli(servers["shop"], "trace", "77").returncode == 1
    bad = run_cli(servers["shop"], "search", "{ foo }")
    assert bad.returncode == 1
    assert "parse error at line 1, col 3: unknown identifier: foo" in bad.stderr


def bearer_token(server: Gantry, name: str, *more: str) -> dict:
    """Headers of a new token that can only read."""
    made = subprocess.run([BINARY, "token", "create", "--bearer", "--traces", "--stack", "main", "--name", name, *more, "--json"],
                          capture_output=True, text=True, timeout=30,
                          env=os.environ | {"GANTRY_URL": server.url, "GANTRY_TOKEN": server.first_start["admin_token"]})
    assert made.returncode == 0, made.stderr
    return {"Authorization": f"Bearer {json.loads(made.stdout)['token']}"}


def test_the_read_only_endpoint(servers):
    server = servers["shop"]
    mount = f"{server.url}/traces-api-bearer"
    reader = bearer_token(server, "reader")
    assert requests.get(f"{mount}/api/echo", headers=reader, timeout=10).text == "echo"
    whole = requests.get(f"{mount}/api/search", params={"q": "{}"}, headers=reader, timeout=10)
    assert whole.json() == server.get("/tempo/api/search", q="{}").json()
    assert requests.get(f"{mount}/api/search", timeout=10).json()["status"] == "error"
    assert requests.get(f"{mount}/api/search", auth=server.read_auth, timeout=10).status_code == 401
    assert requests.delete(f"{mount}/api/traces/1", headers=reader, timeout=10).status_code == 405
    assert requests.get(f"{mount}/status/config", headers=reader, timeout=10).status_code == 403


def test_label_policies(servers):
    server = servers["shop"]
    mailer = bearer_token(server, "mailer", "--label-policy", '{service_name="mailer"}')

    def ask(path: str, **parameters) -> dict:
        answer = requests.get(f"{server.url}/traces-api-bearer{path}", params=parameters, headers=mailer, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    found = ask("/api/search", q="{}")
    assert found["metrics"] == {}
    (trace,) = found["traces"]
    assert list(trace["serviceStats"]) == ["mailer"]
    values = ask("/api/v2/search/tag/resource.service.name/values")["tagValues"]
    assert values == [{"type": "string", "value": "mailer"}]
    shown = ask(f"/api/v2/traces/{trace['traceID']}")["trace"]["resourceSpans"]
    assert len(shown) == 1
    assert ask("/api/v2/traces/5f1a0000000000000000000000000001") == {"trace": {}, "metrics": {}}
    series = ask("/api/metrics/query", q="{} | count_over_time() by (resource.service.name)", start=1699999000, end=1700001000)["series"]
    assert [each["labels"][0]["value"]["stringValue"] for each in series] == ["mailer"]


def test_what_is_refused_is_said(gantry):
    zero = {"traceId": "0" * 32, "spanId": "eee19b7ec3c1b174", "name": "zero", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    good = zero | {"traceId": "5b8efff798038103d269b633813fc60d", "name": "good"}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [zero, good]}]}]})
    answer = gantry.post("/v1/traces", body, {"Content-Type": "application/json"}).json()
    assert answer["partialSuccess"]["rejectedSpans"] == "1"
    assert 'span "zero": the trace id is zero' in answer["partialSuccess"]["errorMessage"]
    assert len(get_trace(gantry, good["traceId"])) == 1
    metrics = requests.get(f"{gantry.url}/metrics", timeout=10).text
    assert 'gantry_ingest_rejected_spans_total{protocol="otlp",reason="invalid_id"} 1' in metrics
