"""Gantry's own requests are traces in its own store."""

import os
import subprocess
import time

from gantry_process import BINARY
from tempo_trace import get_trace, search

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def wait_for_trace(gantry, query: str) -> dict:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := search(gantry, query):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"{query} found nothing")


def test_a_query_is_a_trace(make_gantry):
    gantry = make_gantry(environment={"GANTRY_SELF_TRACES": "true"}).start()
    gantry.query("sum( rate(http_requests_total[5m] ))")
    found = wait_for_trace(gantry, '{ resource.service.name = "gantry" && name = "GET /api/v1/query" }')
    assert found["rootServiceName"] == "gantry"
    spans = {span["name"]: span for span in get_trace(gantry, found["traceID"]).values()}
    root, query = spans["GET /api/v1/query"], spans["promql.instant"]
    assert root["kind"] == "SERVER"
    assert root["attributes"]["http.response.status_code"] == 200
    assert root["attributes"]["http.route"] == "/api/v1/query"
    assert query["parentSpanId"] != ""
    assert query["attributes"]["gantry.query.text"] == "sum(rate(http_requests_total[5m]))"
    assert query["attributes"]["gantry.query.samples_read"] == 0


def test_a_search_is_a_trace(make_gantry):
    gantry = make_gantry(environment={"GANTRY_SELF_TRACES": "true"}).start()
    search(gantry, '{resource.service.name="shop"  &&status=error}')
    text = "{ (resource.service.name = `shop`) && (status = error) }"
    found = wait_for_trace(gantry, f'{{ span.gantry.query.text = "{text}" }}')
    query = next(span for span in get_trace(gantry, found["traceID"]).values() if span["name"] == "traceql.search")
    assert query["attributes"]["gantry.query.spans_read"] >= 0


def test_it_continues_the_callers_trace(make_gantry):
    gantry = make_gantry(environment={"GANTRY_SELF_TRACES": "true"}).start()
    gantry.get("/api/v1/labels", headers={"traceparent": TRACEPARENT})
    wait_for_trace(gantry, '{ name = "GET /api/v1/labels" }')
    (span,) = get_trace(gantry, TRACEPARENT.split("-")[1]).values()
    assert span["parentSpanId"] == "b7ad6b7169203331"


def test_collection_rounds_are_traces(make_gantry):
    gantry = make_gantry(environment={"GANTRY_SELF_TRACES": "true", "GANTRY_SELF_METRICS": "true", "GANTRY_COLLECT_INTERVAL": "1s"}).start()
    found = wait_for_trace(gantry, '{ name = "collect gantry" && span.gantry.samples > 10 }')
    assert found["rootTraceName"] == "collect"


def test_it_can_be_switched_off(make_gantry):
    gantry = make_gantry(environment={"GANTRY_SELF_TRACES": "false"}).start()
    gantry.query("up")
    time.sleep(2)
    assert search(gantry, "{}") == []


def test_it_starts_without_the_stack_main(make_gantry):
    gantry = make_gantry(environment={"GANTRY_SELF_TRACES": "true"}).start()
    done = subprocess.run([BINARY, "stack", "delete", "main"], capture_output=True, text=True, timeout=30,
                          env=os.environ | {"GANTRY_URL": gantry.url, "GANTRY_TOKEN": gantry.first_start["admin_token"]})
    assert done.returncode == 0, done.stderr
    assert gantry.stop() == 0
    gantry.start()
    assert "own traces are not recorded: the stack main is not there" in gantry.log()
    assert gantry.stop() == 0
