"""Reads a trace out of Tempo's JSON into plain values, to compare it with what was sent."""

import base64


def plain(value: dict):
    """An AnyValue."""
    (kind, content), = value.items()
    if kind == "intValue":
        return int(content)
    if kind == "arrayValue":
        return [plain(v) for v in content.get("values", [])]
    if kind == "kvlistValue":
        return attributes(content.get("values", []))
    if kind == "bytesValue":
        return base64.b64decode(content)
    return content


def attributes(pairs: list | None) -> dict:
    out = {}
    for pair in pairs or []:
        assert pair["key"] not in out, f"{pair['key']} is there twice"
        out[pair["key"]] = plain(pair.get("value", {"stringValue": None}))
    return out


def hex_id(text: str) -> str:
    return base64.b64decode(text).hex()


def spans_of(resource_spans: list) -> dict:
    """By span id: what a client can have set."""
    spans = {}
    for resource in resource_spans:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                status = span.get("status", {})
                key = hex_id(span["spanId"])
                assert key not in spans, f"{key} is there twice"
                spans[key] = {
                    "resource": attributes(resource["resource"].get("attributes")),
                    "scope": [scope["scope"].get("name", ""), scope["scope"].get("version", "")],
                    "traceId": hex_id(span["traceId"]),
                    "parentSpanId": hex_id(span["parentSpanId"]) if span.get("parentSpanId") else "",
                    "name": span["name"],
                    "kind": span.get("kind", "SPAN_KIND_UNSPECIFIED").removeprefix("SPAN_KIND_"),
                    "start": span["startTimeUnixNano"],
                    "end": span["endTimeUnixNano"],
                    "attributes": attributes(span.get("attributes")),
                    "status": status.get("code", "STATUS_CODE_UNSET").removeprefix("STATUS_CODE_"),
                    "message": status.get("message", ""),
                    "events": [{"name": e["name"], "time": e["timeUnixNano"], "attributes": attributes(e.get("attributes"))}
                               for e in span.get("events", [])],
                    "links": [{"traceId": hex_id(e["traceId"]), "spanId": hex_id(e["spanId"]),
                               "attributes": attributes(e.get("attributes"))} for e in span.get("links", [])],
                }
    return spans


def get_trace(gantry, trace_id: str) -> dict:
    answer = gantry.get(f"/tempo/api/v2/traces/{trace_id}")
    assert answer.status_code == 200, answer.text
    return spans_of(answer.json()["trace"].get("resourceSpans", []))


def search(gantry, query: str, **parameters) -> list:
    answer = gantry.get("/tempo/api/search", q=query, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json().get("traces", [])
