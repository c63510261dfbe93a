"""What the tests of broadcasting ask of a Gantry: destinations, how they fare, and spans to send on."""

import json
import time

import requests

DESTINATIONS = "/api/v1/observability/destinations"


def admin(gantry) -> dict:
    return {"Authorization": f"Bearer {gantry.first_start['admin_token']}"}


def add(gantry, url: str, verify: bool = True, **fields) -> dict:
    """A destination, once it is served."""
    body = {"type": "otel-collector", "name": "recorder", "config": {"endpoint": url}} | fields
    answer = requests.post(gantry.url + DESTINATIONS, json=body, headers=admin(gantry), timeout=30,
                           params={} if verify else {"verify": "false"})
    assert answer.status_code == 201, answer.text
    made = answer.json()["data"]
    if fields.get("enabled", True):
        wait_until(lambda: health(gantry, made)["state"] != "stopped")
    return made


def health(gantry, destination: dict) -> dict:
    answer = requests.get(f"{gantry.url}{DESTINATIONS}/{destination['id']}/health", headers=admin(gantry), timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def wait_until(condition, seconds: float = 20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def events(gantry, destination: dict, result: str) -> float:
    wanted = f'gantry_broadcast_events_total{{destination="{destination["id"]}",result="{result}"}} '
    for line in requests.get(f"{gantry.url}/metrics", timeout=30).text.splitlines():
        if line.startswith(wanted):
            return float(line.removeprefix(wanted))
    return -1


def spans_of(body: dict) -> list:
    return [span for resource in body["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]


def request_of(spans: list) -> str:
    return json.dumps({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"scope": {"name": "test"}, "spans": spans}]}]})
