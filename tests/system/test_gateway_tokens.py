"""Tokens that a provider does not report are counted as OpenAI's own vocabularies have them, by another's reading of these."""

import json
import os
import pathlib
import subprocess
import time

import pytest
import requests

from chat_answers import chunks, completion
from gateway_setup import make_gateway, make_key, model, provider
from recording_upstream import Stream, Upstream, Whole

ROOT = pathlib.Path(__file__).parents[2]
JAVASCRIPT = pathlib.Path(os.environ.get("GANTRY_JAVASCRIPT", ROOT / "build/javascript"))
VENV = pathlib.Path(os.environ.get("GANTRY_VENV", ROOT / "build/venv"))

PER_MESSAGE, PER_ANSWER = 4, 3
MODELS = {"o200k_base": "openai/gpt-4o", "cl100k_base": "openai/gpt-4-turbo"}

TEXTS = {
    "words": "The quick brown fox jumps over the lazy dog.",
    "contractions": "I don't think we'll say it's what they've said; I'M sure YOU'RE not, he'd say 'twas 'so'.",
    "code": "def f(x):\n\tif x >= 1_000:\n        return {'a': [x ** 2, \"b\"]}\n\n\n    # TODO(me): HTTPServer.getURL()\n",
    "html": "<p class=\"a-b\">&nbsp;x</p><!-- https://example.com/path/to?q=1&r=%20#top -->",
    "json": json.dumps({"name": "Zoë", "list": [1, 2.5, -3e10, None, True], "deep": {"a": {"b": []}}}, indent=2),
    "numbers": "3.14159265358979 1234567890 0x1F4A9 1,000,000.00 ٣٤٥٦ Ⅷ ½ ²",
    "chinese": "你好，世界！今天天气很好，我们去公园散步吧。2024年12月31日",
    "japanese": "吾輩は猫である。名前はまだ無い。カタカナとひらがなＡＢＣ",
    "korean": "안녕하세요, 오늘은 날씨가 좋네요.",
    "hindi": "नमस्ते दुनिया, यह एक परीक्षण है।",
    "arabic": "مرحبا بالعالم، هذا اختبار.",
    "hebrew": "שָׁלוֹם עוֹלָם",
    "thai": "สวัสดีชาวโลก นี่คือการทดสอบ",
    "russian": "Съешь же ещё этих мягких французских булок, да выпей чаю",
    "polish": "Zażółć gęślą jaźń, ZAŻÓŁĆ GĘŚLĄ JAŹŃ",
    "vietnamese": "Tiếng Việt có nhiều dấu phụ",
    "accents_apart": "cafe\u0301 nai\u0308ve A\u030angstro\u0308m \u0301x",
    "emoji": "😀👩‍💻🏳️‍🌈❤️ 🇵🇱🛒 x😀y",
    "spaces": "a  b   c    d\t\te \u00a0f\u3000g       h" + " " * 90 + "i",
    "line_breaks": "\n\na\n \n  b\r\n\r\nc \n\t\n d\n\n\n\n",
    "trailing_spaces": "a    ",
    "symbols": "!!! ??? ... --- === ->> ::= //* */ \\n $x @y #z ~`^|",
    "cases": "camelCase PascalCase SCREAMING_CASE XMLHttpRequest iPhone ǅabc",
    "long_word": "a" * 3000,
    "long_letters": "Donaudampfschifffahrtsgesellschaftskapitän" * 20,
    "long_digits": "7" * 1000,
    "looks_special": "<|endoftext|> <|im_start|>",
    "control": "a\u0000b\u0007\u001b[31m\u200bzero\ufeffwidth",
    "empty": "",
}


@pytest.fixture(scope="module")
def upstream():
    one = Upstream()
    yield one
    one.close()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Encoding -> (file of its vocabulary, text -> tokens)."""
    directory = tmp_path_factory.mktemp("vocabularies")
    script = pathlib.Path(__file__).parent / "javascript/count_tokens.mjs"
    result = {}
    for encoding in MODELS:
        file = directory / f"{encoding}.tiktoken"
        done = subprocess.run([VENV / "bin/node", script, JAVASCRIPT, encoding, file], input=json.dumps(list(TEXTS.values())),
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        result[encoding] = (file, dict(zip(TEXTS.values(), json.loads(done.stdout), strict=True)))
    return result


@pytest.fixture(scope="module")
def gantry(tmp_path_factory, upstream, expected):
    gateway = make_gateway(tmp_path_factory.mktemp("gateway"), {
        "providers": [provider("openai", upstream)],
        "models": [model(each, "openai") for each in [*MODELS.values(), "openai/other"]],
        "tokenizers": [{"encoding": encoding, "file": str(expected[encoding][0]), "models": [MODELS[encoding] + "*"]}
                       for encoding in MODELS],
    }).start()
    yield gateway
    assert gateway.stop() == 0, gateway.log()


@pytest.fixture(scope="module")
def key(gantry) -> str:
    return make_key(gantry).secret


def call(gantry, key: str, body: dict) -> dict:
    """The record of the call."""
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.post(f"{gantry.url}/v1/chat/completions", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return record_of(gantry, key, answer.headers["x-generation-id"])


def record_of(gantry, key: str, generation: str) -> dict:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = requests.get(f"{gantry.url}/v1/generation", params={"id": generation}, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        if found.status_code == 200:
            return found.json()["data"]
        time.sleep(0.05)
    raise AssertionError(f"no record of {generation}")


@pytest.mark.parametrize("encoding", MODELS)
@pytest.mark.parametrize("name", TEXTS)
def test_counts_are_js_tiktokens(gantry, key, upstream, expected, encoding, name):
    text = TEXTS[name]
    tokens = expected[encoding][1][text]
    messages = [{"role": "user", "content": text}]
    whole = completion(text)
    del whole["usage"]
    upstream.script(Whole(whole))
    record = call(gantry, key, {"model": MODELS[encoding], "messages": messages})
    assert (record["tokens_prompt"], record["tokens_completion"]) == (PER_MESSAGE + PER_ANSWER + tokens, tokens)
    assert record.get("native_tokens_prompt") is None

    # In pieces that end anywhere within words.
    upstream.script(Stream(chunks(*(text[i:i + 7] for i in range(0, len(text), 7)), usage=None)))
    record = call(gantry, key, {"model": MODELS[encoding], "messages": messages, "stream": True})
    assert (record["tokens_prompt"], record["tokens_completion"]) == (PER_MESSAGE + PER_ANSWER + tokens, tokens)


def test_a_client_that_leaves_pays_for_what_came(gantry, key, upstream, expected):
    question, came = TEXTS["polish"], TEXTS["words"]
    counts = expected["o200k_base"][1]
    upstream.script(Stream(chunks(came, usage=None)[:2], then="hang"))
    body = {"model": MODELS["o200k_base"], "messages": [{"role": "user", "content": question}], "stream": True}
    with requests.post(f"{gantry.url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"},
                       timeout=60, stream=True) as answer:
        lines = answer.iter_lines()
        while came.encode() not in next(lines):
            pass
    record = record_of(gantry, key, answer.headers["x-generation-id"])
    assert record["cancelled"] is True
    assert (record["tokens_prompt"], record["tokens_completion"]) == (PER_MESSAGE + PER_ANSWER + counts[question], counts[came])


def test_other_models_are_counted_by_their_bytes(gantry, key, upstream):
    text = TEXTS["chinese"]
    whole = completion(text)
    del whole["usage"]
    upstream.script(Whole(whole))
    record = call(gantry, key, {"model": "openai/other", "messages": [{"role": "user", "content": text}]})
    assert record["tokens_prompt"] == PER_MESSAGE + PER_ANSWER + -(-len(text.encode()) // 4)


def test_a_broken_vocabulary_is_refused_on_reload(gantry, key, upstream, expected):
    file, counts = expected["cl100k_base"]
    before = file.read_bytes()
    file.write_bytes(before[:1000] + b"\n")
    gantry.process.send_signal(1)
    deadline = time.monotonic() + 20
    while f"{file}:" not in gantry.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    file.write_bytes(before)
    assert "gateway.tokenizers[1]" in gantry.log()
    text = TEXTS["words"]
    whole = completion(text)
    del whole["usage"]
    upstream.script(Whole(whole))
    record = call(gantry, key, {"model": MODELS["cl100k_base"], "messages": [{"role": "user", "content": text}]})
    assert record["tokens_completion"] == counts[text]
