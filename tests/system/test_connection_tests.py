"""Test Connection through the API: the rows of tests/broadcast/table-test-connection.json, against receivers on this machine."""

import base64
import json
import pathlib
import time
import urllib.parse

import pytest
import requests

from broadcast_client import DESTINATIONS, admin, spans_of
from gantry_process import Gantry, free_port
from recording_destination import Recorder

TABLE = json.loads((pathlib.Path(__file__).parents[1] / "broadcast/table-test-connection.json").read_text())
ROWS = TABLE["rows"]
TEST_SECONDS = 10


def row_name(row: dict) -> str:
    answer = row["answer"]
    said = "nothing" if answer is None else str(answer.get("status", next(iter(answer))))
    return f"{row['type']}-{said}-{row.get('error_code', 'ok')}"


@pytest.fixture(scope="module")
def gantry(tmp_path_factory):
    process = Gantry(tmp_path_factory.mktemp("gantry") / "data", environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1"}).start()
    yield process
    assert process.stop() == 0, process.log()


@pytest.fixture
def recorder():
    one = Recorder()
    yield one
    one.close()


@pytest.fixture
def headers(gantry, request) -> dict:
    """A token of the row's own: tests are few a minute for each caller."""
    name = f"row-{len(request.node.name)}-{abs(hash(request.node.name))}"
    policy = requests.post(f"{gantry.url}/api/v1/accesspolicies", params={"region": "local"}, headers=admin(gantry), timeout=30, json={
        "name": name, "scopes": ["destinations:read", "destinations:write"], "realms": [{"type": "stack", "identifier": "main"}]})
    assert policy.status_code == 200, policy.text
    token = requests.post(f"{gantry.url}/api/v1/tokens", params={"region": "local"}, headers=admin(gantry), timeout=30,
                          json={"accessPolicyId": policy.json()["id"], "name": name})
    assert token.status_code == 200, token.text
    return {"Authorization": f"Bearer {token.json()['token']}"}


URL_FIELDS = {"grafana": "baseUrl", "otel-collector": "endpoint", "webhook": "url"}


def placed(row: dict, recorder: Recorder) -> dict:
    """The row's config with the receiver on this machine, the path as it is; what is wrong in itself stays."""
    config = dict(row["config"])
    url = urllib.parse.urlsplit(config[URL_FIELDS[row["type"]]])
    answer = row["answer"] or {}
    base = recorder.base_url
    if "dns_error" in answer:
        base = "https://nowhere.invalid"
    elif "connect_refused" in answer:
        base = f"http://127.0.0.1:{free_port()}"
    elif "tls_error" in answer:
        base = base.replace("http://", "https://")
    if url.scheme == "https":
        config[URL_FIELDS[row["type"]]] = base + url.path
    return config


def answer_as(recorder: Recorder, answer: dict | None) -> None:
    def give(_):
        if "silent_ms" in answer:
            time.sleep(answer["silent_ms"] / 1000)
        body = answer.get("body", "")
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return answer.get("status", 200), answer.get("headers", {}), content

    if answer:
        recorder.answer = give


def check_request(row: dict, recorder: Recorder) -> None:
    expected, got = row["request"], recorder.requests[-1]
    assert got.method == expected["method"] and got.path == urllib.parse.urlsplit(expected["url"]).path
    for name, value in expected.get("headers", {}).items():
        assert got.headers[name] == value
    if "body" in expected:
        assert got.body == expected["body"]
    elif row["type"] != "webhook":
        check_test_span(got.body)


def check_test_span(body: dict) -> None:
    (span,) = spans_of(body)
    (expected,) = spans_of(TABLE["otlp_body_shape"])
    start, end = int(span.pop("startTimeUnixNano")), int(span.pop("endTimeUnixNano"))
    assert end - start == 1_000_000 and abs(time.time_ns() - end) < 60 * 10**9
    assert {"attributes": []} | span == {key: value for key, value in expected.items() if not key.endswith("UnixNano")}
    (resource,) = body["resourceSpans"]
    (shape,) = TABLE["otlp_body_shape"]["resourceSpans"]
    assert resource["resource"] == shape["resource"] and resource["scopeSpans"][0]["scope"] == shape["scopeSpans"][0]["scope"]


@pytest.mark.parametrize("row", ROWS, ids=[f"{i}-{row_name(row)}" for i, row in enumerate(ROWS)])
def test_row(gantry, recorder, headers, row):
    config = placed(row, recorder)
    answer_as(recorder, row["answer"])
    url = f"{gantry.url}{DESTINATIONS}"
    started = time.monotonic()
    tested = requests.post(f"{url}/test", json={"type": row["type"], "config": config}, headers=headers, timeout=30)
    if row["answer"] is None:
        check_refused(tested, row, config)
        check_refused(requests.post(url, json={"type": row["type"], "name": "row", "config": config}, headers=headers, timeout=30), row, config)
        assert recorder.requests == []
        return
    assert tested.status_code == 200, tested.text
    verdict = tested.json()["data"]
    assert verdict["ok"] is row["passes"], verdict
    assert (verdict["error"] or {}).get("code") == row.get("error_code")
    assert verdict["status"] == row["answer"].get("status")
    if "silent_ms" in row["answer"]:
        assert TEST_SECONDS <= time.monotonic() - started < TEST_SECONDS + 4
        return  # to save it would take as long again, to no other end
    if "request" in row:
        check_request(row, recorder)

    saved = requests.post(url, json={"type": row["type"], "name": "row", "config": config}, headers=headers, timeout=30)
    if row["saved"]:
        assert saved.status_code == 201, saved.text
        gone = requests.delete(f"{url}/{saved.json()['data']['id']}", headers=headers, timeout=30)
        assert gone.json() == {"deleted": True}
    else:
        assert saved.status_code == 400, saved.text
        listed = requests.get(url, headers=headers, timeout=30).json()
        assert listed == {"data": [], "total_count": 0}
        metadata = saved.json()["error"]["metadata"]
        assert metadata["error_type"] == "connection_test_failed"
        assert metadata["test"]["error"]["code"] == row["error_code"]
    for text in (tested.text, saved.text, gantry.log()):
        assert row["config"].get("apiKey") in (None, "") or not shows(text, row)


def check_refused(answer: requests.Response, row: dict, config: dict) -> None:
    """What is wrong in itself is an error of the request, which names the field."""
    assert row["error_code"] == "invalid_config" and answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["message"] == "Invalid request parameters"
    wrong = {"my-stack": "instanceId", "": "apiKey", "ftp://x": "baseUrl", "GET": "method"}
    assert [each["path"] for each in error["metadata"]["fields"]] == [f"config.{wrong[value]}" for value in config.values() if value in wrong]


def shows(text: str, row: dict) -> bool:
    login = f"{row['config']['instanceId']}:{row['config']['apiKey']}"
    return f'"{row["config"]["apiKey"]}"' in text or login in text or base64.b64encode(login.encode()).decode() in text


def test_what_is_wrong_says_which_field_to_change(gantry, recorder, headers):
    recorder.answer = lambda _: (404, {})
    config = {"baseUrl": recorder.base_url, "instanceId": "1", "apiKey": "glc_of-the-destination"}
    verdict = requests.post(f"{gantry.url}{DESTINATIONS}/test", json={"type": "grafana", "config": config}, headers=headers, timeout=30)
    message = verdict.json()["data"]["error"]["message"]
    assert "baseUrl" in message and "OTLP gateway URL" in message and "glc_" not in message


def test_a_caller_may_not_test_for_ever(gantry, recorder, headers):
    def test():
        return requests.post(f"{gantry.url}{DESTINATIONS}/test", headers=headers, timeout=30,
                             json={"type": "webhook", "config": {"url": recorder.base_url}})

    answers = [test() for _ in range(12)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused and refused[0].headers["Retry-After"] and len(recorder.requests) == len(answers) - len(refused)
