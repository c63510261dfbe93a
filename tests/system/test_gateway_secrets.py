"""Keys of providers that the state database keeps: set on the command line, used by the gateway, shown by nobody."""

import json
import os
import signal
import subprocess
import time

import pytest
import requests

from chat_answers import chunks, completion
from gantry_process import BINARY
from gateway_setup import make_gateway, make_key, model, provider
from recording_upstream import Stream, Upstream, Whole

FIRST, SECOND = "sk-first-0123456789abcdefgh", "sk-second-0123456789abcdefg"
PRICES = {"prompt": "0.000001", "completion": "0.000002", "image": "0.003", "audio": "0.00004", "audio_output": "0.00008",
          "internal_reasoning": "0.000004", "input_cache_write_1h": "0.000006",
          "overrides": [{"above_tokens": 1000, "prompt": "0.000003", "audio": "0.00005"}]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    upstream = Upstream()
    directory = tmp_path_factory.mktemp("secrets")
    section = {"providers": [provider("openai", upstream, keys=[{"secret": "sealed:openai"}], headers={"x-team": "blue-team"},
                                      forward_headers=["x-trial"])],
               "models": [model("openai/gpt-4o", "openai", pricing=PRICES)], "prices_as_of": "2026-01-31"}
    first = make_gateway(directory, {"enabled": False}).start()  # the database comes before the first secret
    assert first.stop() == 0
    gantry = make_gateway(directory, section)
    yield gantry, upstream
    assert gantry.stop() == 0, gantry.log()
    upstream.close()


def run(gantry, *arguments, text=None):
    command = [BINARY, *arguments, "--data", str(gantry.data), *gantry.arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False, env=os.environ)


def ask(gantry, key, **body):
    return requests.post(f"{gantry.url}/v1/chat/completions", headers={"Authorization": f"Bearer {key.secret}", "x-trial": "7"},
                         timeout=30, json={"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}]} | body)


def test_a_secret_is_sealed_used_and_replaced_without_a_restart(world):
    gantry, upstream = world
    with pytest.raises(AssertionError, match="sealed:openai: not set: gantry gateway-secrets set openai"):
        gantry.start()
    done = run(gantry, "gateway-secrets", "set", "openai", text=FIRST + "\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sealed:openai\n"
    gantry.start()
    key = make_key(gantry)
    upstream.script(Whole(completion(usage=(100, 10))))
    assert ask(gantry, key).status_code == 200
    assert upstream.requests[-1].header("Authorization") == f"Bearer {FIRST}"
    assert upstream.requests[-1].header("x-trial") == "7"

    assert run(gantry, "gateway-secrets", "set", "openai", text=SECOND).returncode == 0
    gantry.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while upstream.requests[-1].header("Authorization") != f"Bearer {SECOND}":
        assert time.monotonic() < deadline, upstream.requests[-1].headers
        assert ask(gantry, key).status_code == 200

    listed = run(gantry, "gateway-secrets", "list")
    assert listed.stdout.startswith("sealed:openai ") and "sk-…defg" in listed.stdout
    shown = run(gantry, "check-config").stdout
    assert "sealed:openai" in shown and "blue-team" not in shown and 'prices_as_of: "2026-01-31"' in shown
    effective = gantry.data_of("/api/v1/status/config")["yaml"]
    assert "sealed:openai" in effective and "blue-team" not in effective
    for text in (done.stderr, listed.stdout, listed.stderr, gantry.log(), shown, effective):
        assert FIRST not in text and SECOND not in text
    stored = b"".join(path.read_bytes() for path in gantry.data.glob("gantry.db*"))
    assert FIRST.encode() not in stored and SECOND.encode() not in stored


def test_answers_say_what_they_cost(world):
    gantry, upstream = world
    key = make_key(gantry, "costs")
    upstream.script(Whole(completion(usage=(1000, 10))), Whole(completion(usage=(1001, 10))))
    usage = ask(gantry, key).json()["usage"]
    assert usage == {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010, "cost": 0.00102, "is_byok": False,
                     "cost_details": {"upstream_inference_cost": None, "upstream_inference_prompt_cost": 0.001,
                                      "upstream_inference_completions_cost": 0.00002}}
    assert ask(gantry, key).json()["usage"]["cost"] == 0.003023, "above a thousand tokens"

    upstream.script(Stream(chunks("Hel", "lo", usage=(100, 10))))
    streamed = ask(gantry, key, stream=True, stream_options={"include_usage": True}).text.split("\n\n")
    last = json.loads(streamed[-3].removeprefix("data: "))
    assert last["choices"] == [] and last["usage"]["cost"] == 0.00012
    spent = requests.get(gantry.url + "/v1/key", headers={"Authorization": f"Bearer {key.secret}"}, timeout=10).json()["data"]
    assert spent["usage"] == pytest.approx(0.00102 + 0.003023 + 0.00012)


def test_prices_have_an_age(world):
    gantry, _ = world
    old = run(gantry, "prices", "check", "--max-age", "1d")
    assert old.returncode == 1 and old.stdout.startswith("prices of 2026-01-31, "), old
    assert "1 of 1 models have prices" in old.stdout
    assert run(gantry, "prices", "check", "--max-age", "100y").returncode == 0


def test_mistakes_are_explained(world):
    gantry, _ = world

    def error(*arguments, text=None):
        done = run(gantry, "gateway-secrets", *arguments, text=text)
        assert done.returncode == 1 and done.stdout == "", done
        return done.stderr

    assert "a secret's name is" in error("set", "a b", text="sk-1")
    assert "is empty" in error("set", "other", text="\n")
    assert "one line of visible ASCII" in error("set", "other", text="sk-1\nsk-2")
    assert "sealed:other: not set" in error("delete", "other")
