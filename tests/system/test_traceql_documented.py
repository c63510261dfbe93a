"""Every TraceQL query that the documentation shows, and what people ask of LLM calls, is answered."""

import json
import pathlib
import re
import time

import pytest

from tempo_trace import search

ROOT = pathlib.Path(__file__).parents[2]

LLM_QUERIES = {
    '{ resource.service.name = "openrouter" }': {"fast", "slow", "failed"},
    '{ resource.service.name = "openrouter" && span.gen_ai.request.model =~ ".*gpt-4.*" }': {"fast", "failed"},
    '{ resource.service.name = "openrouter" && duration > 5s }': {"slow"},
    '{ resource.service.name = "openrouter" && status = error }': {"failed"},
    '{ resource.service.name = "openrouter" && span.trace.metadata.environment = "production" }': {"fast", "slow"},
}


def documented_queries() -> list[str]:
    """In code of the pages: `gantry search '…'`, and q=… of requests."""
    queries = set()
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]:
        for text in re.findall(r"(?:gantry search|'q=)[^'\n{]*'?(\{[^'\n]*)'", page.read_text()):
            queries.add(text)
    return sorted(queries)


def call(name: str, number: int, model: str, seconds: float, environment: str, failed: bool) -> dict:
    start = time.time_ns()
    text = lambda key, value: {"key": key, "value": {"stringValue": value}}  # noqa: E731
    return {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": name, "kind": 3, "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + int(seconds * 1e9)), "status": {"code": 2 if failed else 0},
            "attributes": [text("gen_ai.request.model", model), text("trace.metadata.environment", environment)]}


@pytest.fixture(scope="module")
def calls(gantry):
    spans = [call("fast", 1, "openai/gpt-4o-mini", 0.4, "production", False), call("slow", 2, "meta/llama-3", 7, "production", False),
             call("failed", 3, "openai/gpt-4.1", 1, "staging", True)]
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "openrouter"}}]}
    body = json.dumps({"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": spans}]}]})
    answer = gantry.post("/otlp/v1/traces", body, {"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    return gantry


@pytest.mark.parametrize("query", LLM_QUERIES)
def test_llm_calls_are_found(calls, query):
    assert {trace["rootTraceName"] for trace in search(calls, query)} == LLM_QUERIES[query]


def test_the_documentation_shows_queries():
    assert len(documented_queries()) >= 3


@pytest.mark.parametrize("query", documented_queries())
def test_documented_queries_are_answered(calls, query):
    path = "/tempo/api/metrics/query" if "rate()" in query or "_over_time" in query else "/tempo/api/search"
    answer = calls.get(path, q=query)
    assert answer.status_code == 200, answer.text
