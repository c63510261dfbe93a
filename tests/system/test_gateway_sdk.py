"""The official OpenAI SDKs, unchanged, talk to the gateway as they talk to OpenAI."""

import asyncio
import base64
import json
import os
import pathlib
import struct
import subprocess
import time

import openai
import pytest
import requests

from chat_answers import chunk, chunks, completion, tool_call
from gateway_setup import PROVIDER_SECRET, make_gateway, make_key, model, provider
from recording_upstream import Cut, Silence, Stream, Upstream, Whole

ROOT = pathlib.Path(__file__).parents[2]
JAVASCRIPT = pathlib.Path(os.environ.get("GANTRY_JAVASCRIPT", ROOT / "build/javascript"))
VENV = pathlib.Path(os.environ.get("GANTRY_VENV", ROOT / "build/venv"))

PRICES = {"prompt": "0.0000025", "completion": "0.00001"}
HELLO = [{"role": "user", "content": "Say hello, zażółć 🛒"}]
# What a slow machine may take to notice that a client has left.
NOTICED_S = 2
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


@pytest.fixture(scope="module")
def upstream():
    one = Upstream()
    yield one
    one.close()


@pytest.fixture(scope="module")
def gantry(tmp_path_factory, upstream):
    gateway = make_gateway(tmp_path_factory.mktemp("gateway"), {
        "max_retries": 0,
        "providers": [provider("openai", upstream, name="OpenAI", responses=True)],
        "models": [
            model("openai/gpt-4o", "openai", aliases=["gpt-4o"], pricing=PRICES, input_modalities=["text", "image"], context_length=128000),
            model("openai/text-embedding-3-small", "openai", pricing={"prompt": "0.00000002", "completion": "0"}),
            model("openai/gpt-other", "openai", pricing=PRICES),
        ],
    }).start()
    yield gateway
    assert gateway.stop() == 0, gateway.log()


@pytest.fixture(scope="module")
def key(gantry) -> str:
    return make_key(gantry).secret


@pytest.fixture(params=["/v1", "/api/v1"])
def client(request, gantry, key):
    with openai.OpenAI(base_url=gantry.url + request.param, api_key=key, max_retries=0, timeout=30) as one:
        yield one


@pytest.fixture
def one_client(gantry, key):
    with openai.OpenAI(base_url=f"{gantry.url}/v1", api_key=key, max_retries=0, timeout=30) as one:
        yield one


def test_chat(client, upstream):
    upstream.script(Whole(completion("Hello, zażółć 🛒")))
    raw = client.chat.completions.with_raw_response.create(
        model="openai/gpt-4o", messages=HELLO, temperature=0.2, max_tokens=64, user="u1", seed=7, stop=["\n"],
        extra_body={"session_id": "s1", "trace": {"environment": "test"}, "unknown_to_us": {"x": 1.50}})
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello, zażółć 🛒" and answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id.startswith("gen-") and answer.id == raw.headers["x-generation-id"]
    assert answer.object == "chat.completion" and answer.model == "openai/gpt-4o"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 3, 14)

    sent = upstream.last
    assert sent.path == "/v1/chat/completions"
    assert sent.header("authorization") == f"Bearer {PROVIDER_SECRET}"
    # The gateway's own fields go no further; what it does not know does.
    assert sent.json() == {"model": "gpt-4o", "messages": HELLO, "temperature": 0.2, "max_tokens": 64, "user": "u1", "seed": 7,
                           "stop": ["\n"], "unknown_to_us": {"x": 1.5}}
    assert {"x-stainless-lang", "x-stainless-os", "cookie"}.isdisjoint(name.lower() for name, _ in sent.headers)


def test_an_alias_is_served_under_the_models_own_name(one_client, upstream):
    upstream.script(Whole(completion()))
    assert one_client.chat.completions.create(model="gpt-4o", messages=HELLO).model == "openai/gpt-4o"
    assert upstream.last.json()["model"] == "gpt-4o"


@pytest.mark.parametrize("wants_usage", [True, False], ids=["usage", "no_usage"])
def test_streaming(client, upstream, wants_usage):
    upstream.script(Stream(chunks("Hel", "lo, ", "zażółć 🛒")))
    options = {"stream_options": {"include_usage": True}} if wants_usage else {}
    came = list(client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, stream=True, **options))

    with_choices = [each for each in came if each.choices]
    assert "".join(each.choices[0].delta.content or "" for each in with_choices) == "Hello, zażółć 🛒"
    assert [each.choices[0].finish_reason for each in with_choices] == [None] * 4 + ["stop"]
    assert {each.id for each in came} == {came[0].id} and came[0].id.startswith("gen-")
    assert {each.model for each in came} == {"openai/gpt-4o"}
    # The provider is always asked for usage; clients that did not ask would trip over a chunk without choices.
    assert upstream.last.json()["stream_options"] == {"include_usage": True}
    if wants_usage:
        assert came[-1].choices == [] and came[-1].usage.total_tokens == 14
    else:
        assert len(came) == len(with_choices) and all(each.usage is None for each in came)


def test_events_are_passed_on_as_they_come(one_client, upstream):
    upstream.script(Stream(chunks("one", "two", "three"), gaps_s=[0, 0, 0.5, 0.5]))
    started = time.monotonic()
    times = {}
    for each in one_client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, stream=True):
        times.setdefault(each.choices[0].delta.content, time.monotonic() - started)
    assert times["one"] < 0.45 and times["two"] - times["one"] > 0.3 and times["three"] - times["two"] > 0.3


def test_tools_there_and_back(client, upstream):
    arguments = '{"city": "Paris"}'
    upstream.script(Whole(completion(None, "tool_calls", tool_calls=[tool_call("get_weather", arguments)])),
                    Whole(completion("It rains.")))
    question = {"role": "user", "content": "Weather in Paris?"}
    first = client.chat.completions.create(model="openai/gpt-4o", messages=[question], tools=[WEATHER], tool_choice="auto")
    assert first.choices[0].finish_reason == "tool_calls"
    message = first.choices[0].message
    assert message.content is None
    assert [(call.id, call.type, call.function.name, call.function.arguments) for call in message.tool_calls] == [
        ("call_1", "function", "get_weather", arguments)]
    assert upstream.last.json()["tools"] == [WEATHER]

    result = {"role": "tool", "tool_call_id": "call_1", "content": "rain, 12 °C"}
    second = client.chat.completions.create(
        model="openai/gpt-4o", messages=[question, message.model_dump(exclude_none=True), result], tools=[WEATHER])
    assert second.choices[0].message.content == "It rains."
    sent = upstream.last.json()["messages"]
    assert sent[1]["tool_calls"] == [tool_call("get_weather", arguments)] and sent[2] == result


@pytest.mark.parametrize("indexes", [True, False], ids=["indexes", "no_indexes"])
def test_streamed_tool_calls_are_put_together(one_client, upstream, indexes):
    def piece(index, **fields):
        return chunk({"tool_calls": [fields | ({"index": index} if indexes else {})]})

    upstream.script(Stream([
        chunk({"role": "assistant", "content": None}),
        piece(0, id="call_1", type="function", function={"name": "get_weather", "arguments": ""}),
        *([] if not indexes else [piece(0, function={"arguments": '{"city":'}), piece(0, function={"arguments": '"Paris"}'})]),
        piece(1, id="call_2", type="function", function={"name": "get_weather", "arguments": '{"city":"Łódź"}'}),
        chunk({}, "tool_calls"), "[DONE]"]))
    calls = {}
    for each in one_client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, tools=[WEATHER], stream=True):
        for call in each.choices[0].delta.tool_calls or []:
            one = calls.setdefault(call.index, {"id": call.id, "name": "", "arguments": ""})
            one["name"] += call.function.name or ""
            one["arguments"] += call.function.arguments or ""
    assert calls == {0: {"id": "call_1", "name": "get_weather", "arguments": '{"city":"Paris"}' if indexes else ""},
                     1: {"id": "call_2", "name": "get_weather", "arguments": '{"city":"Łódź"}'}}


def test_the_sdks_own_stream_helper(one_client, upstream):
    upstream.script(Stream(chunks("Hel", "lo")))
    with one_client.chat.completions.stream(model="openai/gpt-4o", messages=HELLO) as stream:
        texts = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert texts == ["", "Hel", "lo"] and final.choices[0].message.content == "Hello"


def test_embeddings(client, upstream):
    vectors = [[0.5, -0.25, 1.0], [0.0, 2.0, -8.0]]  # exact as 32-bit floats

    def answer(request):
        is_base64 = request.json().get("encoding_format") == "base64"
        data = [{"object": "embedding", "index": i,
                 "embedding": base64.b64encode(struct.pack("<3f", *vector)).decode() if is_base64 else vector}
                for i, vector in enumerate(vectors)]
        return Whole({"object": "list", "data": data, "model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}})

    upstream.answer = answer
    for options in ({}, {"encoding_format": "float"}):
        made = client.embeddings.create(model="openai/text-embedding-3-small", input=["hello", "świat"], dimensions=3, **options)
        assert [each.embedding for each in made.data] == vectors
        assert made.object == "list" and made.model == "openai/text-embedding-3-small"
        assert made.usage.prompt_tokens == 8 and made.usage.total_tokens == 8
        sent = upstream.last.json()
        assert sent["input"] == ["hello", "świat"] and sent["dimensions"] == 3 and sent["model"] == "text-embedding-3-small"
        assert upstream.last.path == "/v1/embeddings"


def test_legacy_completions(one_client, upstream):
    upstream.script(Whole({"id": "cmpl-1", "object": "text_completion", "created": 1705312800, "model": "gpt-4o",
                           "choices": [{"index": 0, "text": " world", "finish_reason": "length"}],
                           "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}}))
    made = one_client.completions.create(model="openai/gpt-4o", prompt="hello", max_tokens=1)
    assert made.choices[0].text == " world" and made.choices[0].finish_reason == "length" and made.object == "text_completion"
    assert upstream.last.path == "/v1/completions" and upstream.last.json()["prompt"] == "hello"

    upstream.script(Stream([{"id": "cmpl-1", "object": "text_completion", "created": 1705312800, "model": "gpt-4o",
                             "choices": [{"index": 0, "text": text, "finish_reason": reason}]}
                            for text, reason in ((" wor", None), ("ld", "stop"))] + ["[DONE]"]))
    came = list(one_client.completions.create(model="openai/gpt-4o", prompt="hello", stream=True))
    assert "".join(each.choices[0].text for each in came) == " world" and came[-1].choices[0].finish_reason == "stop"


def test_responses_are_passed_through(one_client, upstream):
    output = [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
               "content": [{"type": "output_text", "text": "Hello!", "annotations": []}]}]
    response = {"id": "resp_1", "object": "response", "created_at": 1705312800, "status": "completed", "model": "gpt-4o", "output": output,
                "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
                "usage": {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14,
                          "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}}
    upstream.script(Whole(response))
    assert one_client.responses.create(model="openai/gpt-4o", input="hello").output_text == "Hello!"
    assert upstream.last.path == "/v1/responses"

    begun = response | {"status": "in_progress", "output": [], "usage": None}
    texts = [{"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": text,
              "logprobs": [], "sequence_number": i} for i, text in enumerate(("Hel", "lo!"), start=1)]
    upstream.script(Stream([{"type": "response.created", "response": begun, "sequence_number": 0}, *texts,
                            {"type": "response.completed", "response": response, "sequence_number": 3}]))
    came = list(one_client.responses.create(model="openai/gpt-4o", input="hello", stream=True))
    assert [each.type for each in came] == ["response.created", *["response.output_text.delta"] * 2, "response.completed"]
    assert came[-1].response.output_text == "Hello!" and came[-1].response.usage.total_tokens == 14


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_failed_response_is_the_sdks_exception(one_client, upstream, streams):
    upstream.script(Whole({"error": {"message": "input: too odd", "type": "invalid_request_error", "code": "odd"}}, 400))
    with pytest.raises(openai.BadRequestError) as raised:
        one_client.responses.create(model="openai/gpt-4o", input="hello", stream=streams)
    error = raised.value
    # The SDK makes a text of the code.
    assert (error.status_code, error.code, error.type, error.param) == (400, "400", "invalid_request_error", None)
    assert error.body["code"] == 400 and error.body["message"] == "input: too odd"
    assert error.body["metadata"] == {"error_type": "invalid_request", "provider_code": "odd"}
    assert error.response.json()["error_type"] == "invalid_request"


@pytest.mark.parametrize("how", ["event", "close"])
def test_a_response_that_fails_in_its_middle(one_client, upstream, how):
    begun = {"id": "resp_1", "object": "response", "created_at": 1705312800, "status": "in_progress", "model": "gpt-4o", "output": [],
             "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    events = [{"type": "response.created", "response": begun, "sequence_number": 0}]
    if how == "event":
        failed = begun | {"status": "failed", "error": {"code": "server_error", "message": "it broke"}}
        upstream.script(Stream([*events, {"type": "response.failed", "response": failed, "sequence_number": 1}]))
    else:
        upstream.script(Stream(events, then="close"))
    last = list(one_client.responses.create(model="openai/gpt-4o", input="hello", stream=True))[-1]
    assert last.type == "response.failed" and last.sequence_number == 1
    assert last.response.id == "resp_1" and last.response.status == "failed" and last.response.output_text == ""
    assert last.response.error.code == "server_error"
    assert last.response.error.message == ("it broke" if how == "event" else "Provider disconnected")
    assert last.response.error_type == ("server" if how == "event" else "provider_unavailable")


def test_a_stream_that_echoes_what_the_provider_got(one_client, upstream):
    upstream.script(Stream(chunks("Hel", "lo")))
    came = list(one_client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, stream=True,
                                                   extra_body={"debug": {"echo_upstream_body": True}}))
    assert came[0].choices == [] and came[0].debug == {"echo_upstream_body": upstream.last.json()}
    assert "".join(each.choices[0].delta.content or "" for each in came[1:]) == "Hello"


def test_models_are_listed(client):
    listed = client.models.list()
    assert listed.object == "list"
    by_id = {each.id: each for each in listed}
    assert set(by_id) == {"openai/gpt-4o", "openai/text-embedding-3-small", "openai/gpt-other"}
    gpt = by_id["openai/gpt-4o"]
    assert gpt.object == "model" and gpt.owned_by == "openai"
    assert gpt.context_length == 128000 and gpt.pricing["prompt"] == "0.0000025"


def test_a_key_sees_and_calls_what_it_may(gantry, upstream):
    secret = make_key(gantry, "narrow", allowed_models=["openai/gpt-4o"]).secret
    upstream.script(Whole(completion()))
    with openai.OpenAI(base_url=f"{gantry.url}/v1", api_key=secret, max_retries=0) as narrow:
        assert [each.id for each in narrow.models.list()] == ["openai/gpt-4o"]
        narrow.chat.completions.create(model="openai/gpt-4o", messages=HELLO)
        count = len(upstream.requests)
        with pytest.raises(openai.APIStatusError) as refused:
            narrow.chat.completions.create(model="openai/gpt-other", messages=HELLO)
        assert refused.value.status_code in (400, 403, 404) and len(upstream.requests) == count


# Errors: what the provider answers, the exception of the SDK, its message and error_type. The provider's words come through where the
# client can mend the request by them.
FAILURES = {
    "bad_request": (Whole({"error": {"message": "stop: at most 4", "type": "invalid_request_error", "code": None}}, 400),
                    openai.BadRequestError, 400, "stop: at most 4", "invalid_request"),
    "too_long": (Whole({"error": {"message": "maximum context length is 8", "type": "invalid_request_error",
                                  "code": "context_length_exceeded"}}, 400),
                 openai.BadRequestError, 400, "maximum context length is 8", "context_length_exceeded"),
    "unprocessable": (Whole({"error": {"message": "bad schema"}}, 422), openai.UnprocessableEntityError, 422, "bad schema", "unprocessable"),
    "its_key": (Whole({"error": {"message": f"Incorrect API key {PROVIDER_SECRET}"}}, 401),
                openai.InternalServerError, 502, "Provider returned error", "provider_unavailable"),
    "too_fast": (Whole({"error": {"message": "slow down, org-123"}}, 429, headers={"Retry-After": "7"}),
                 openai.RateLimitError, 429, "Provider returned error", "rate_limit_exceeded"),
    "overloaded": (Whole({"error": {"message": "busy"}}, 503), openai.InternalServerError, 503, "Provider returned error",
                   "provider_overloaded"),
    "broken": (Whole({"error": {"message": "stack trace"}}, 500), openai.InternalServerError, 500, "Provider returned error", "server"),
    "cut": (Cut(b'{"id":"chatcmpl-1","choices":[{"index":0,"mess'), openai.InternalServerError, 502, None, "provider_unavailable"),
    "not_json": (Whole(b"<html>hello</html>", content_type="text/html"), openai.InternalServerError, 502, None, "provider_unavailable"),
}


@pytest.fixture
def fresh(tmp_path, upstream):
    """A gateway that has learnt nothing of its provider: failures put keys and endpoints aside."""
    gateway = make_gateway(tmp_path / "fresh", {
        "max_retries": 0,
        "providers": [provider("openai", upstream)],
        "models": [model("openai/gpt-4o", "openai", pricing=PRICES)],
    }).start()
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=make_key(gateway).secret, max_retries=0, timeout=30) as one:
        yield one
    assert gateway.stop() == 0, gateway.log()


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FAILURES)
def test_a_providers_failure_is_the_sdks_exception(fresh, upstream, name, streams):
    given, exception, status, message, error_type = FAILURES[name]
    if streams and name == "cut":
        pytest.skip("a stream that breaks off has a test of its own")
    upstream.script(given)
    with pytest.raises(exception) as raised:
        fresh.chat.completions.create(model="openai/gpt-4o", messages=HELLO, stream=streams)
    error = raised.value
    assert error.status_code == status
    assert error.body["code"] == status and error.body["metadata"]["error_type"] == error_type
    if message:
        assert error.body["message"] == message and message in str(error)
    assert PROVIDER_SECRET not in error.response.text
    assert error.response.headers["x-generation-id"].startswith("gen-")
    assert error.response.headers.get("retry-after") == ("7" if name == "too_fast" else None)


def refused(client, exception, **request):
    with pytest.raises(exception) as raised:
        client.chat.completions.create(**{"model": "openai/gpt-4o", "messages": HELLO} | request)
    body = raised.value.body
    assert body["code"] == raised.value.status_code
    return raised.value.status_code, body["message"], body["metadata"]["error_type"]


def test_what_the_gateway_itself_refuses(gantry, one_client, upstream):
    count = len(upstream.requests)
    assert refused(one_client, openai.BadRequestError, model="acme/fake-1.0") == (
        400, "acme/fake-1.0 is not a valid model ID", "invalid_request")
    assert refused(one_client, openai.BadRequestError, extra_body={"session_id": "s" * 257}) == (
        400, "session_id: at most 256 characters", "invalid_request")
    with openai.OpenAI(base_url=f"{gantry.url}/v1", api_key="gk_" + "0" * 48, max_retries=0) as stranger:
        assert refused(stranger, openai.AuthenticationError)[::2] == (401, "authentication")
        with pytest.raises(openai.AuthenticationError):
            stranger.models.list()
    nobody = requests.post(f"{gantry.url}/v1/chat/completions", json={"model": "openai/gpt-4o", "messages": HELLO}, timeout=30)
    assert nobody.status_code == 401 and nobody.json()["error"]["message"] == "Missing Authentication header"
    poor = make_key(gantry, "poor", limit=0).secret
    with openai.OpenAI(base_url=f"{gantry.url}/v1", api_key=poor, max_retries=0) as client:
        assert refused(client, openai.APIStatusError) == (402, "Key limit exceeded (total limit)", "payment_required")
    assert len(upstream.requests) == count


def test_a_keys_rate_is_the_sdks_rate_limit_error(gantry, upstream):
    upstream.script(Whole(completion()))
    with openai.OpenAI(base_url=f"{gantry.url}/v1", api_key=make_key(gantry, "slow", rpm=2).secret, max_retries=0) as client:
        for _ in range(2):
            client.chat.completions.create(model="openai/gpt-4o", messages=HELLO)
        with pytest.raises(openai.RateLimitError) as raised:
            client.chat.completions.create(model="openai/gpt-4o", messages=HELLO)
    headers = raised.value.response.headers
    assert headers["x-ratelimit-limit"] == "2" and headers["x-ratelimit-remaining"] == "0" and int(headers["x-ratelimit-reset"]) > 0
    assert raised.value.body["message"] == "Rate limit exceeded: 2 requests per minute"


@pytest.mark.parametrize("how", ["event", "close"])
def test_a_stream_that_fails_in_its_middle_raises(one_client, upstream, how):
    begun = [chunk({"role": "assistant", "content": "Hel"})]
    if how == "event":
        upstream.script(Stream([*begun, {"error": {"code": 502, "message": "upstream reset"}}]))
    else:
        upstream.script(Stream(begun, then="close"))
    texts = []
    with pytest.raises(openai.APIError) as raised:
        for each in one_client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, stream=True):
            texts.append(each.choices[0].delta.content)
    assert texts == ["Hel"]
    assert raised.value.message == "Provider disconnected"
    assert raised.value.body["metadata"]["error_type"] == "provider_unavailable"


def test_the_sdks_own_retries_come_to_the_answer(fresh, upstream):
    upstream.script(Whole({"error": {"message": "busy"}}, 503), Whole(completion("at last")))
    before = len(upstream.requests)
    answer = fresh.with_options(max_retries=2).chat.completions.create(model="openai/gpt-4o", messages=HELLO)
    assert answer.choices[0].message.content == "at last" and len(upstream.requests) - before == 2


def test_a_client_that_closes_its_stream_ends_the_providers_call(one_client, upstream):
    upstream.script(Stream([chunk({"role": "assistant", "content": "Hel"})], then="hang"))
    stream = one_client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, stream=True)
    assert next(iter(stream)).choices[0].delta.content == "Hel"
    assert not upstream.last.left.is_set()
    stream.close()
    assert upstream.last.left.wait(NOTICED_S)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_client_that_waits_no_longer_ends_the_providers_call(one_client, upstream, streams):
    upstream.script(Silence())
    with pytest.raises(openai.APITimeoutError):
        one_client.with_options(timeout=0.5).chat.completions.create(model="openai/gpt-4o", messages=HELLO, stream=streams)
    assert upstream.last.left.wait(NOTICED_S)


def test_a_cancelled_task_ends_the_providers_call(gantry, key, upstream):
    upstream.script(Silence())
    count = len(upstream.requests)

    async def run():
        async with openai.AsyncOpenAI(base_url=f"{gantry.url}/v1", api_key=key, max_retries=0) as client:
            call = asyncio.create_task(client.chat.completions.create(model="openai/gpt-4o", messages=HELLO))
            request = await asyncio.to_thread(upstream.wait_for_request, count + 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.to_thread(request.left.wait, NOTICED_S)

    asyncio.run(run())


# The JavaScript SDK: one process for each scenario, which prints what the SDK gave.


def command(gantry, key: str, scenario: str) -> list:
    return [VENV / "bin/node", pathlib.Path(__file__).parent / "javascript/call_gateway.mjs", JAVASCRIPT, f"{gantry.url}/v1", key, scenario]


def javascript(gantry, key: str, scenario: str) -> dict:
    done = subprocess.run(command(gantry, key, scenario), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_javascript_chat(gantry, key, upstream):
    upstream.script(Whole(completion("Hello, zażółć 🛒")))
    got = javascript(gantry, key, "chat")
    assert got["content"] == "Hello, zażółć 🛒" and got["model"] == "openai/gpt-4o" and got["total_tokens"] == 14
    assert got["id"].startswith("gen-") and got["id"] == got["header"]
    assert upstream.last.json() == {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello"}], "temperature": 0.2}
    assert upstream.last.header("authorization") == f"Bearer {PROVIDER_SECRET}"


@pytest.mark.parametrize("wants_usage", [True, False], ids=["usage", "no_usage"])
def test_javascript_streaming(gantry, key, upstream, wants_usage):
    upstream.script(Stream(chunks("Hel", "lo, ", "zażółć 🛒")))
    got = javascript(gantry, key, "stream-usage" if wants_usage else "stream")
    assert got["text"] == "Hello, zażółć 🛒" and got["finish_reason"] == "stop"
    assert got["without_choices"] == (1 if wants_usage else 0)
    assert got["total_tokens"] == (14 if wants_usage else None)


def test_javascript_tools(gantry, key, upstream):
    arguments = '{"city": "Paris"}'
    upstream.script(Whole(completion(None, "tool_calls", tool_calls=[tool_call("get_weather", arguments)])), Whole(completion("It rains.")))
    got = javascript(gantry, key, "tools")
    assert got == {"calls": [tool_call("get_weather", arguments)], "answer": "It rains."}
    assert upstream.last.json()["messages"][2] == {"role": "tool", "tool_call_id": "call_1", "content": "rain"}

    upstream.script(Stream([
        chunk({"role": "assistant", "content": None}),
        chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]}), chunk({}, "tool_calls"), "[DONE]"]))
    assert javascript(gantry, key, "streamed-tools")["calls"] == [tool_call("get_weather", arguments)]


def test_javascript_embeddings(gantry, key, upstream):
    vector = base64.b64encode(struct.pack("<3f", 0.5, -0.25, 1.0)).decode()
    upstream.script(Whole({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": vector}],
                           "model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}}))
    assert javascript(gantry, key, "embeddings") == {"vectors": [[0.5, -0.25, 1.0]], "prompt_tokens": 8}
    assert upstream.last.json()["encoding_format"] == "base64"


def test_javascript_errors(gantry, key, upstream):
    upstream.script(Whole({"error": {"message": "stop: at most 4"}}, 400))
    assert javascript(gantry, key, "error") == {
        "class": "BadRequestError", "status": 400, "message": "stop: at most 4", "error_type": "invalid_request"}
    assert javascript(gantry, key, "unknown-model") == {
        "class": "BadRequestError", "status": 400, "message": "acme/fake-1.0 is not a valid model ID", "error_type": "invalid_request"}
    stranger = javascript(gantry, "gk_" + "0" * 48, "error")
    assert (stranger["class"], stranger["status"], stranger["error_type"]) == ("AuthenticationError", 401, "authentication")
    slow = make_key(gantry, "slow-js", rpm=1).secret
    upstream.script(Whole(completion()))
    javascript(gantry, slow, "chat")
    limited = javascript(gantry, slow, "error")
    assert (limited["class"], limited["status"], limited["error_type"]) == ("RateLimitError", 429, "rate_limit_exceeded")


def test_javascript_stream_that_fails(gantry, key, upstream):
    upstream.script(Stream([chunk({"role": "assistant", "content": "Hel"}), {"error": {"code": 502, "message": "upstream reset"}}]))
    assert javascript(gantry, key, "failing-stream") == {
        "text": "Hel", "class": "APIError", "message": "Provider disconnected", "error_type": "provider_unavailable"}


@pytest.mark.parametrize("scenario", ["abort-stream", "abort-whole"])
def test_javascript_cancellation(gantry, key, upstream, scenario):
    upstream.script(Stream([chunk({"role": "assistant", "content": "Hel"})], then="hang") if scenario == "abort-stream" else Silence())
    with subprocess.Popen(command(gantry, key, scenario), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert json.loads(process.stdout.readline()) == {"aborted": True}
        assert upstream.last.left.wait(NOTICED_S)
        assert process.poll() is None


def test_javascript_models(gantry, key):
    assert sorted(javascript(gantry, key, "models")["ids"]) == ["openai/gpt-4o", "openai/gpt-other", "openai/text-embedding-3-small"]
