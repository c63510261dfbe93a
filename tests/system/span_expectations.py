"""Compares what a destination got with a case of tests/broadcast, whose ids and times a running Gantry chooses itself."""

import hashlib
import json
import math

CONTENT = {"gen_ai.prompt", "gen_ai.completion"}
NAMESPACE = "trace.metadata.gantry."
TIMES = {"gen_ai.response.time_to_first_chunk"} | {
    NAMESPACE + name for name in ("router_latency_ms", "provider_request_ms", "provider_headers_ms", "first_token_ms",
                                  "provider_time_to_first_token_ms", "provider_body_end_ms", "inter_token_latency_ms")}
NS = 1_000_000  # of a millisecond
# Times in attributes are milliseconds as doubles, those of spans whole nanoseconds.
ROUNDING_MS = 0.002


def derived_ids(generation_id: str, attempt_count: int) -> list[str]:
    """Of a call whose client chose none: the trace's, then those of its spans."""
    def digits(suffix, count):
        return hashlib.sha256((generation_id + suffix).encode()).hexdigest()[:count]

    suffixes = ["", ":trace", ":span", ":generation", *(f":attempt-{i}" for i in range(attempt_count))]
    return [digits("", 32), *(digits(suffix, 16) for suffix in suffixes)]


def typed(value: dict) -> dict:
    """An OTLP/JSON value as {"type","value"}."""
    ((kind, content),) = value.items()
    if kind == "intValue":
        assert isinstance(content, str), "whole numbers are written as text: JSON's own are doubles"
        return {"type": "int", "value": int(content)}
    if kind == "doubleValue":
        return {"type": "double", "value": float(content)}
    if kind == "arrayValue":
        return {"type": "string[]", "value": [each["stringValue"] for each in content["values"]]}
    return {"type": {"stringValue": "string", "boolValue": "bool"}[kind], "value": content}


def attributes(holder: dict) -> dict:
    listed = holder.get("attributes", [])
    result = {each["key"]: typed(each["value"]) for each in listed}
    assert len(result) == len(listed), "an attribute is there twice"
    return result


class Expectation:
    """A case's `expect` for the call that became `generation_id`. `addresses` maps a provider's published address to (host, port);
    `texts` what else is another text here."""

    def __init__(self, case: dict, generation_id: str, addresses: dict, texts: dict):
        self.case, self.expect = case, case["expect"]
        count = len(case["attempts"])
        self.ids = dict(zip(derived_ids(case["generation_id"], count), derived_ids(generation_id, count), strict=True))
        self.texts = {case["generation_id"]: generation_id} | texts
        self.addresses = addresses
        self.problems: list[str] = []

    def check(self, delivered: dict) -> list[str]:
        """`delivered`: the resourceSpans element of the call. What is not as expected, one line for each thing."""
        (scope_spans,) = delivered["scopeSpans"]
        self.compare("resource", self.expect["resource"], attributes(delivered["resource"]))
        if scope_spans["scope"] != self.expect["scope"]:
            self.problems.append(f"scope is {scope_spans['scope']}")
        spans = {span["spanId"]: span for span in scope_spans["spans"]}
        for expected in self.expect["spans"]:
            span = spans.pop(self.ids.get(expected["span_id"], expected["span_id"]), None)
            if span is None:
                self.problems.append(f"no span {expected['name']}")
            else:
                self.compare_span(expected, span)
        self.problems += [f"span {span['name']} is too much" for span in spans.values()]
        return self.problems

    def translated(self, text):
        if isinstance(text, str):
            for published, actual in self.texts.items():
                text = text.replace(published, actual)
        return text

    def compare_span(self, expected: dict, span: dict) -> None:
        name = expected["name"]
        parent = expected["parent_span_id"]
        wanted = {
            "name": name,
            "kind": expected["kind"],
            "traceId": self.ids.get(expected["trace_id"], expected["trace_id"]),
            "parentSpanId": self.ids.get(parent, parent),
            "status": {key: self.translated(value) for key, value in expected["status"].items()},
        }
        for key, value in wanted.items():
            if span.get(key) != value:
                self.problems.append(f"{name}: {key} is {span.get(key)}, not {value}")
        self.compare(name, expected["attributes"], attributes(span))
        events, wanted_events = span.get("events", []), expected.get("events", [])
        if [each["name"] for each in events] != [each["name"] for each in wanted_events]:
            self.problems.append(f"{name}: events are {events}")
        for event, wanted_event in zip(events, wanted_events, strict=False):
            self.compare(f"{name}: {event['name']}", wanted_event["attributes"], attributes(event))
            if event["timeUnixNano"] != span["endTimeUnixNano"]:
                self.problems.append(f"{name}: {event['name']} is not at its end")

    def compare(self, where: str, expected: dict, actual: dict) -> None:
        address = self.addresses.get(expected.get("server.address", {}).get("value"))
        for key, wanted in expected.items():
            if address and key in ("server.address", "server.port"):
                wanted = wanted | {"value": address[key == "server.port"]}
            if key not in actual:
                self.problems.append(f"{where}: no {key}")
            elif not self.is_as_expected(key, wanted, actual[key]):
                self.problems.append(f"{where}: {key} is {actual[key]}, not {wanted}")
        self.problems += [f"{where}: {key} {value} is too much" for key, value in actual.items() if key not in expected]

    def is_as_expected(self, key: str, expected: dict, actual: dict) -> bool:
        if expected["type"] != actual["type"]:
            return False
        value = actual["value"]
        if key in TIMES:
            return value >= 0  # check_times says more
        if "match" in expected:
            limit = float(expected["match"].lstrip(">="))
            return value >= limit if expected["match"].startswith(">=") else value > limit
        if expected["type"] == "double":
            return abs(expected["value"] - value) <= 1e-12
        if key in CONTENT:
            return json.loads(expected["value"]) == json.loads(value)
        return self.translated(expected["value"]) == value


def check_times(case: dict, delivered: dict, before_ns: int, after_ns: int, pace: list[dict]) -> None:
    """The spans lie between `before_ns` and `after_ns`, around one another, last as long as the provider took (`pace`, milliseconds for
    each attempt: headers, token, body), and agree with the times in the attributes."""
    spans = [span | {"from": int(span["startTimeUnixNano"]), "to": int(span["endTimeUnixNano"])}
             for span in delivered["scopeSpans"][0]["spans"]]
    kinds = {id(span): attributes(span).get("gen_ai.response.id", {}).get("value", "") for span in spans}
    (generation,) = [span for span in spans if kinds[id(span)] and ":" not in kinds[id(span)]]
    attempts = sorted((span for span in spans if ":attempt-" in kinds[id(span)]), key=lambda span: kinds[id(span)])
    body = next((span for span in spans if kinds[id(span)].endswith(":generation")), None)
    others = [span for span in spans if not kinds[id(span)]]  # the root and the step between

    assert before_ns <= generation["from"] <= generation["to"] <= after_ns
    assert all((span["from"], span["to"]) == (generation["from"], generation["to"]) for span in others)
    for span in [*attempts, *([body] if body else [])]:
        assert generation["from"] <= span["from"] <= span["to"] <= generation["to"], span["name"]
    for one, next_one in zip(attempts, attempts[1:], strict=False):
        assert one["to"] <= next_one["from"], "attempts overlap"
    assert len(attempts) == len(pace)
    for span, each in zip(attempts, pace, strict=True):
        assert span["to"] - span["from"] >= (each["headers"] - 1) * NS, span["name"]
    if body:
        assert body["from"] == attempts[-1]["to"]
        # Not of the body alone: headers may have lain unread while it came.
        assert body["to"] - attempts[-1]["from"] >= (sum(pace[-1].values()) - 1) * NS

    def since(when_ns):
        return (when_ns - generation["from"]) / NS

    named = {key: each["value"] for key, each in attributes(generation).items()}
    expected = {"router_latency_ms": since(attempts[0]["from"]), "provider_request_ms": since(attempts[-1]["from"]),
                "provider_headers_ms": since(attempts[-1]["to"]), "provider_body_end_ms": since(body["to"]) if body else None}
    token = named.get(NAMESPACE + "first_token_ms")
    if token is not None:
        assert token >= since(attempts[-1]["from"]) + pace[-1]["headers"] + pace[-1]["token"] - 1
        expected["provider_time_to_first_token_ms"] = token - expected["provider_request_ms"]
        assert math.isclose(named["gen_ai.response.time_to_first_chunk"], token / 1000, abs_tol=1e-9)
        if NAMESPACE + "inter_token_latency_ms" in named:
            gaps = named["gen_ai.usage.output_tokens"] - 1
            expected["inter_token_latency_ms"] = (named[NAMESPACE + "provider_body_end_ms"] - token) / gaps
    for name, value in expected.items():
        if NAMESPACE + name in named:
            assert abs(named[NAMESPACE + name] - value) <= ROUNDING_MS, f"{case['id']}: {name} is {named[NAMESPACE + name]}, not {value}"
