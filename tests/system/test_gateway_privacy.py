"""Privacy mode through the whole program: a marker stands wherever content can be, and where content must not go there is none.

Each place has a marker of its own, so that a leak names where it came from. The same calls with privacy mode off show that the markers do
come through, so that their absence says something.
"""

import json
import pathlib
import re
import typing

import pytest
import requests

from broadcast_client import add, wait_until
from chat_answers import chunk, completion, tool_call
from gateway_setup import make_gateway, make_key, model, provider
from recording_destination import Recorder
from recording_upstream import Cut, Stream, Upstream, Whole
from tempo_trace import get_trace

# Letters that JSON, base64 and URLs leave as they are.
MARK = "PLANTEDq7Zk"
# What may be kept; found where the markers are looked for.
SESSION = "session-that-may-be-kept"
SECONDS = 30


class Call(typing.NamedTuple):
    name: str
    path: str
    body: dict | bytes
    answer: object
    reads: int | None = None  # frames that the client reads before it leaves; None: all


class Plant:
    """Markers for the places of one call."""

    def __init__(self, call: str):
        self.call = re.sub("[^a-z0-9]", "", call)

    def __call__(self, place: str) -> str:
        return f"{MARK}{self.call}{re.sub('[^a-z]', '', place)}"


def messages(p: Plant) -> list:
    return [
        {"role": "system", "content": p("system"), "name": p("system name")},
        {"role": "developer", "content": [{"type": "text", "text": p("developer part")}]},
        {"role": "user", "name": p("user name"), "content": [
            {"type": "text", "text": f"before {p('user part')} after"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{p('image data')}", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": f"https://images.example/{p('image name')}.png?{p('image query')}"}},
            {"type": "input_audio", "input_audio": {"data": p("audio data"), "format": "wav"}},
            {"type": "file", "file": {"filename": f"{p('file name')}.pdf", "file_data": f"data:application/pdf;base64,{p('file data')}"}},
        ]},
        {"role": "assistant", "content": p("assistant"), "refusal": p("refusal"), "reasoning": p("reasoning"),
         "tool_calls": [tool_call(p("called tool"), json.dumps({p("argument name"): p("argument")}), p("call id"))]},
        {"role": "tool", "tool_call_id": p("call id"), "content": p("tool result")},
        {"role": "user", "content": p("user text")},
    ]


def chat(p: Plant, **more) -> dict:
    name = p("tool name")
    return {
        "model": "openai/gpt-4o", "messages": messages(p), "session_id": SESSION,
        "tools": [{"type": "function", "function": {"name": name, "description": p("tool description"), "parameters": {
            "type": "object", "properties": {p("parameter"): {"type": "string", "description": p("parameter text"), "enum": [p("enum")]}}}}}],
        "tool_choice": {"type": "function", "function": {"name": name}},
        "response_format": {"type": "json_schema", "json_schema": {"name": p("schema name"), "schema": {"title": p("schema")}}},
        "prediction": {"type": "content", "content": p("prediction")}, "metadata": {p("metadata key"): p("metadata")},
        "web_search_options": {"user_location": p("location")}, "unknown": {p("unknown key"): [p("unknown")]},
    } | more


def answer_parts(p: Plant) -> dict:
    return {
        "refusal": p("answered refusal"), "reasoning": p("answered reasoning"),
        "reasoning_details": [{"type": "reasoning.text", "text": p("reasoning details")}],
        "annotations": [{"type": "url_citation", "url_citation": {"url": f"https://{p('citation')}", "title": p("citation title")}}],
        "audio": {"id": "audio_1", "data": p("answered audio"), "transcript": p("transcript")},
        "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{p('answered image')}"}}],
    }


def whole_answer(p: Plant) -> dict:
    calls = [tool_call(p("answered tool"), json.dumps({"x": p("answered arguments")}), p("answered id"))]
    body = completion(p("completion"), "tool_calls", tool_calls=calls, **answer_parts(p))
    body["choices"][0]["logprobs"] = {"content": [{"token": p("token"), "logprob": -0.1, "top_logprobs": []}]}
    body["choices"].append({"index": 1, "message": {"role": "assistant", "content": p("second choice")}, "finish_reason": "stop"})
    return body | {"extra": p("extra of the answer")}


def deltas(p: Plant) -> list:
    text = p("delta")
    return [
        chunk({"role": "assistant", "content": text}),
        chunk({"content": p("next delta"), **answer_parts(p)}),
        chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": p("delta tool"), "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": json.dumps({"x": p("delta arguments")})}}]}),
    ]


def failure(p: Plant, status: int, **more) -> Whole:
    return Whole({"error": {"message": f"You said: {p('error message')}", "type": p("error type"), "param": p("param"), "code": p("code"),
                            "metadata": {"raw": p("raw error"), "reasons": [p("reason")], "flagged_input": p("flagged")}} | more}, status)


def openai_calls() -> list[Call]:
    path, calls = "/v1/chat/completions", []

    def add_chat(name: str, make_answer, reads=None, **more):
        p = Plant(name)
        calls.append(Call(name, path, chat(p, **more), make_answer(p), reads=reads))

    add_chat("whole", lambda p: Whole(whole_answer(p)))
    add_chat("streamed", lambda p: Stream([*deltas(p), chunk({}, "tool_calls"), "[DONE]"]), stream=True)
    add_chat("failing stream", lambda p: Stream([*deltas(p), {"error": {"message": p("stream error"), "code": p("stream code")}}]), stream=True)
    add_chat("broken stream", lambda p: Stream(deltas(p), then="close"), stream=True)
    add_chat("nonsense in a stream", lambda p: Stream([*deltas(p), "{" + p("nonsense")], then="close"), stream=True)
    add_chat("client leaves", lambda p: Stream(deltas(p), then="hang"), reads=1, stream=True)
    for status in (400, 401, 403, 404, 413, 422, 429, 500, 503):
        add_chat(f"failure {status}", lambda p, status=status: failure(p, status))
    add_chat("moderation", lambda p: failure(p, 403, code="content_policy_violation"))
    add_chat("filtered", lambda p: failure(p, 400, code="content_filter"))
    add_chat("too long", lambda p: failure(p, 400, code="context_length_exceeded"))
    # These reach the client: what moderation flagged, and the body that the provider got.
    add_chat("flagged", lambda p: Whole({"error": {"code": 403, "message": f"You said: {p('error message')}", "metadata": {
        "reasons": [p("reason")], "flagged_input": p("flagged"), "provider_name": p("moderator"), "model_slug": p("moderator model")}}}, 403))
    add_chat("azure filter", lambda p: failure(p, 400, code="content_filter", innererror={
        "code": "ResponsibleAIPolicyViolation", "content_filter_result": {p("category"): {"filtered": True, "severity": "high"}}}))
    add_chat("flagged stream", lambda p: Stream([*deltas(p), {"error": {"code": "content_filter", "message": p("stream error"), "metadata": {
        "reasons": [p("reason")], "flagged_input": p("flagged")}}}]), stream=True)
    add_chat("echo", lambda p: Stream([*deltas(p), chunk({}, "tool_calls"), "[DONE]"]), stream=True, debug={"echo_upstream_body": True})
    add_chat("echo of a failure", lambda p: failure(p, 500), stream=True, debug={"echo_upstream_body": True})
    add_chat("failing stream at once", lambda p: failure(p, 400), stream=True)
    add_chat("error as success", lambda p: Whole({"error": {"message": p("hidden error"), "code": 500}}))
    add_chat("web page", lambda p: Whole(f"<html>{p('page')}</html>".encode(), content_type="text/html"))
    add_chat("odd messages", lambda p: failure(p, 400), messages=Plant("odd messages")("messages"))
    add_chat("no json", lambda p: Whole(f'{{"choices": [{p("no json")}'.encode()))
    add_chat("cut", lambda p: Cut(f'{{"choices":[{{"message":{{"content":"{p("cut")}'.encode()))
    return calls


def other_calls() -> list[Call]:
    calls = []

    def add_call(name, path, make_body, make_answer, **more):
        p = Plant(name)
        calls.append(Call(name, path, make_body(p), make_answer(p), **more))

    def text(p, reason="stop"):
        return {"id": "cmpl-1", "object": "text_completion", "model": "gpt-4o", "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3},
                "choices": [{"index": 0, "text": p("text"), "finish_reason": reason}]}

    base = {"model": "openai/gpt-4o", "session_id": SESSION}
    legacy = "/v1/completions"
    add_call("legacy", legacy, lambda p: base | {"prompt": p("prompt"), "suffix": p("suffix")}, lambda p: Whole(text(p)))
    add_call("legacy list", legacy, lambda p: base | {"prompt": [p("prompt one"), p("prompt two")]}, lambda p: Whole(text(p)))
    add_call("legacy stream", legacy, lambda p: base | {"prompt": p("prompt"), "stream": True}, lambda p: Stream([text(p), "[DONE]"]))
    add_call("legacy failure", legacy, lambda p: base | {"prompt": p("prompt")}, lambda p: failure(p, 400))
    embeddings = base | {"model": "openai/text-embedding-3-small"}
    vectors = Whole({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "x",
                     "usage": {"prompt_tokens": 8, "total_tokens": 8}})
    add_call("embedding", "/v1/embeddings", lambda p: embeddings | {"input": p("input")}, lambda p: vectors)
    add_call("embedding list", "/v1/embeddings", lambda p: embeddings | {"input": [p("input one"), p("input two")]}, lambda p: vectors)
    add_call("embedding failure", "/v1/embeddings", lambda p: embeddings | {"input": p("input")}, lambda p: failure(p, 400))

    def response(p, **more):
        return {"id": "resp_1", "object": "response", "created_at": 1705312800, "status": "completed", "model": "gpt-4o",
                "instructions": p("echoed instructions"), "usage": {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14},
                "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                            "content": [{"type": "output_text", "text": p("output"), "annotations": []}]},
                           {"type": "function_call", "id": "fc_1", "call_id": "c", "name": p("function"), "arguments": p("arguments")}]} | more

    def asked(p):
        return base | {"input": [{"role": "user", "content": p("input")}], "instructions": p("instructions"),
                       "tools": [{"type": "function", "name": p("tool"), "description": p("description"), "parameters": {}}]}

    failed = {"status": "failed", "output": []}
    add_call("response", "/v1/responses", asked, lambda p: Whole(response(p)))
    add_call("response stream", "/v1/responses", lambda p: asked(p) | {"stream": True}, lambda p: Stream([
        {"type": "response.created", "response": response(p, status="in_progress", output=[])},
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": p("text delta")},
        {"type": "response.completed", "response": response(p)}]))
    add_call("response failing", "/v1/responses", lambda p: asked(p) | {"stream": True}, lambda p: Stream([
        {"type": "response.created", "response": response(p, status="in_progress", output=[])},
        {"type": "response.failed", "response": response(p, **failed, error={"code": "server_error", "message": p("failed message")})}]))

    def claude(p):
        return {"model": "anthropic/claude", "max_tokens": 64, "session_id": SESSION, "system": p("system"),
                "messages": [{"role": "user", "content": [{"type": "text", "text": p("user")},
                                                          {"type": "tool_result", "tool_use_id": "t", "content": p("tool result")}]}],
                "tools": [{"name": p("tool"), "description": p("description"), "input_schema": {"type": "object"}}]}

    def message(p):
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
                "content": [{"type": "thinking", "thinking": p("thinking")}, {"type": "text", "text": p("text")},
                            {"type": "tool_use", "id": "t", "name": p("used tool"), "input": {"x": p("tool input")}}],
                "usage": {"input_tokens": 11, "output_tokens": 3}}

    add_call("message", "/v1/messages", claude, lambda p: Whole(message(p)))
    add_call("message stream", "/v1/messages", lambda p: claude(p) | {"stream": True}, lambda p: Stream([
        {"type": "message_start", "message": message(p) | {"content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": p("text delta")}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}, {"type": "message_stop"}]))
    add_call("message failure", "/v1/messages", claude, lambda p: Whole(
        {"type": "error", "error": {"type": "invalid_request_error", "message": p("error message")}}, 400))
    return calls


def refused_calls() -> list[Call]:
    """Those that no provider sees."""
    nothing = Whole({"error": {"message": "nobody asks"}}, 500)

    def refused(name, body):
        p = Plant(name)
        return Call(name, "/v1/chat/completions", body(p), nothing)

    return [
        refused("broken body", lambda p: f'{{"model": "openai/gpt-4o", "messages": [{{"content": "{p("content")}'.encode()),
        refused("odd trace", lambda p: chat(p, trace=p("trace"))),
        refused("plugins", lambda p: chat(p, plugins=[{"id": p("plugin")}])),
        refused("no model", lambda p: chat(p, model=None)),
    ]


CALLS = openai_calls() + other_calls()
REFUSED = refused_calls()


@pytest.fixture
def upstream():
    one = Upstream()
    yield one
    one.close()


@pytest.fixture
def recorder():
    one = Recorder()
    yield one
    one.close()


@pytest.fixture
def start(tmp_path, upstream):
    """A gateway whose log says all it can say, and that traces itself too."""
    made = []

    def make(**settings):
        gantry = make_gateway(tmp_path / "gateway", {
            "max_retries": 0,
            "providers": [provider("openai", upstream, responses=True), provider("anthropic", upstream, type="anthropic")],
            "models": [model("openai/gpt-4o", "openai", input_modalities=["text", "image", "audio", "file"]),
                       model("openai/text-embedding-3-small", "openai"), model("anthropic/claude", "anthropic")],
        } | settings, GANTRY_LOG_LEVEL="debug", GANTRY_SELF_TRACES="true").start()
        made.append(gantry)
        return gantry

    yield make
    for gantry in made:
        gantry.stop()


def send(gantry, key: str, call: Call) -> str:
    """The generation's id."""
    body = call.body if isinstance(call.body, bytes) else json.dumps(call.body).encode()
    with requests.post(gantry.url + call.path, data=body, stream=True, timeout=SECONDS,
                       headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"}) as answer:
        if call.reads is None:
            assert answer.content is not None
        else:
            frames = answer.iter_lines()
            for _ in range(call.reads):
                assert next(frames)
        return answer.headers["X-Generation-Id"]


def leaks(where: str, content: bytes) -> list[str]:
    return sorted({f"{where}: {found.decode()}" for found in re.findall(MARK.encode() + rb"\w*", content)})


def files_of(directory: pathlib.Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def calls_in(recorder: Recorder) -> set:
    """The ids of the calls that were delivered."""
    return {attribute["value"]["stringValue"] for delivery in recorder.deliveries() for each in delivery.body["resourceSpans"]
            for attribute in each["resource"]["attributes"] if attribute["key"] == "openrouter.trace.id"}


def send_all(gantry, upstream, calls) -> list[str]:
    """The ids of the calls."""
    key, ids = make_key(gantry).secret, []
    for call in calls:
        upstream.script(call.answer)
        asked = len(upstream.requests)
        ids.append(send(gantry, key, call))
        assert len(upstream.requests) - asked == (0 if call in REFUSED else 1), call.name
    return ids


def test_no_byte_of_content_goes_where_privacy_is_on(start, upstream, recorder):
    gantry = start()
    recorder.answer = lambda body: (503, {})  # so that all of it waits on disk
    add(gantry, recorder.url, verify=False, privacy_mode=True)
    ids = send_all(gantry, upstream, CALLS)
    send_all(gantry, upstream, REFUSED)
    # What is looked for would be found: ids and sessions of all calls are there.
    wait_until(lambda: all(each.encode() in files_of(gantry.data / "broadcast") for each in ids))
    queue = files_of(gantry.data / "broadcast")
    assert SESSION.encode() in queue
    assert leaks("the queue on disk", queue) == []

    recorder.answer = lambda body: (200, {})
    wait_until(lambda: set(ids) <= calls_in(recorder), seconds=90)
    with recorder.lock:
        delivered = [delivery.data for delivery in recorder.requests]
    assert any(SESSION.encode() in data for data in delivered)
    assert leaks("a delivery", b"\n".join(delivered)) == []

    traces = [json.dumps(get_trace(gantry, span["traceId"])) for span in recorder.taken() if "parentSpanId" not in span]
    assert len(traces) >= len(CALLS) and leaks("the stack's own traces", "\n".join(traces).encode()) == []
    metrics = requests.get(f"{gantry.url}/metrics", timeout=SECONDS).content
    assert leaks("metrics", metrics) == []
    assert gantry.stop() == 0, gantry.log()
    assert leaks("the log", gantry.log().encode()) == []
    assert leaks("the data directory", files_of(gantry.data)) == []


def test_the_client_gets_what_nobody_else_does(start, upstream):
    gantry = start()
    key = make_key(gantry).secret
    got = {}
    for call in (call for call in CALLS if call.name in ("flagged", "echo")):
        upstream.script(call.answer)
        got[call.name] = requests.post(gantry.url + call.path, json=call.body, timeout=SECONDS, headers={"Authorization": f"Bearer {key}"}).text
    p, q = Plant("flagged"), Plant("echo")
    metadata = json.loads(got["flagged"])["error"]["metadata"]
    assert metadata == {"error_type": "content_policy_violation", "reasons": [p("reason")], "flagged_input": p("flagged"),
                        "provider_name": p("moderator"), "model_slug": p("moderator model")}
    first = json.loads(got["echo"].split("\n")[0].removeprefix("data: "))
    assert first["choices"] == [] and first["debug"]["echo_upstream_body"] == upstream.last.json()
    assert q("user text") in json.dumps(first)


def test_the_markers_come_through_where_privacy_is_off(start, upstream, recorder):
    gantry = start()
    add(gantry, recorder.url, verify=False)
    ids = send_all(gantry, upstream, CALLS)
    wait_until(lambda: set(ids) <= calls_in(recorder), seconds=90)
    with recorder.lock:
        found = set(re.findall(MARK.encode() + rb"\w*", b"\n".join(delivery.data for delivery in recorder.requests)))
    for call in CALLS:
        prefix = f"{MARK}{Plant(call.name).call}".encode()
        assert any(each.startswith(prefix) for each in found), call.name
    whole = Plant("whole")
    for place in ("system", "user part", "user text", "tool result", "argument", "completion", "answered reasoning", "answered arguments"):
        assert whole(place).encode() in found, place
    # What moderation flagged is the client's alone, whatever the destination may have.
    flagged = Plant("flagged")
    assert flagged("error message").encode() in found
    for place in ("flagged", "reason", "moderator", "moderator model"):
        assert flagged(place).encode() not in found, place
    # What is not text never comes through.
    for place in ("image data", "image name", "audio data", "file data", "file name"):
        assert whole(place).encode() not in found, place


def test_a_second_destination_takes_nothing_of_anothers_privacy(start, upstream, recorder):
    """Content for the one that wants it, none for the other, of the same calls."""
    gantry = start()
    private = Recorder()
    try:
        add(gantry, recorder.url, verify=False)
        add(gantry, private.url, verify=False, name="private", privacy_mode=True)
        ids = set(send_all(gantry, upstream, CALLS[:4]))
        wait_until(lambda: ids <= calls_in(recorder) and ids <= calls_in(private))
        assert leaks("open", b"\n".join(delivery.data for delivery in recorder.deliveries())) != []
        assert leaks("private", b"\n".join(delivery.data for delivery in private.deliveries())) == []
    finally:
        private.close()
