"""Gateway keys as their managers see them: over the command line and over REST, until they open calls or do not."""

import json
import re

import pytest
import requests

from broadcast_client import admin
from chat_answers import completion
from gateway_setup import KEYS, make_gateway, model, provider
from recording_upstream import Upstream, Whole
from test_control_cli import run

PRICES = {"prompt": "0.01", "completion": "0.02"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    upstream = Upstream()
    upstream.script(Whole(completion(usage=(100, 10))))
    section = {"providers": [provider("openai", upstream)],
               "models": [model("openai/gpt-4o", "openai", pricing=PRICES), model("openai/free", "openai")]}
    gantry = make_gateway(tmp_path_factory.mktemp("keys"), section).start()
    yield gantry
    assert gantry.stop() == 0, gantry.log()
    upstream.close()


@pytest.fixture
def cli(world):
    environment = {"GANTRY_URL": world.url, "GANTRY_TOKEN": world.first_start["admin_token"]}

    def call(*arguments):
        done = run("gateway-keys", *arguments, "--json", environment=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    call.environment = environment
    return call


def call(gantry, secret: str, name: str = "openai/gpt-4o") -> requests.Response:
    return requests.post(f"{gantry.url}/v1/chat/completions", headers={"Authorization": f"Bearer {secret}"}, timeout=30,
                         json={"model": name, "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]})


def test_a_key_from_making_to_deleting(world, cli):
    made = cli("create", "shop", "--limit", "20", "--limit-reset", "monthly", "--rpm", "60", "--expires", "90d")
    assert re.fullmatch(r"gk_[0-9a-f]{48}", made["key"])
    assert (made["limit"], made["limit_reset"], made["rpm"]) == (20, "monthly", 60)
    assert call(world, made["key"]).status_code == 200
    shown = cli("get", "shop")
    assert "key" not in shown and shown["usage"] == pytest.approx(1.2) and shown["limit_remaining"] == pytest.approx(18.8)
    table = run("gateway-keys", "list", environment=cli.environment).stdout
    assert table.splitlines()[0].split()[:3] == ["KEY", "NAME", "LIMIT"] and "shop" in table and made["key"] not in table

    assert cli("update", "shop", "--disable")["disabled"] is True
    assert call(world, made["key"]).status_code == 401
    assert made["hash"] not in [each["hash"] for each in cli("list")]
    assert made["hash"] in [each["hash"] for each in cli("list", "--disabled")]
    freed = cli("update", made["hash"], "--enable", "--limit", "none", "--rpm", "none", "--expires", "none", "--name", "bar")
    assert freed["name"] == "bar" and freed["limit"] is freed["rpm"] is freed["expires_at"] is None
    assert call(world, made["key"]).status_code == 200
    assert cli("delete", "bar") == {"hash": made["hash"], "status": "deleted"}
    assert call(world, made["key"]).status_code == 401
    events = json.loads(run("audit", "--event", "gateway_key.", "--json", environment=cli.environment).stdout)
    assert {each["event"] for each in events} == {"gateway_key.created", "gateway_key.updated", "gateway_key.deleted"}
    assert made["key"] not in json.dumps(events)


def test_limits_hold(world, cli):
    poor = cli("create", "poor", "--limit", "1.3")
    assert call(world, poor["key"]).status_code == 200  # 1.20 USD: what is left pays for no answer of 10 tokens
    refused = call(world, poor["key"])
    assert refused.status_code == 402 and refused.json()["error"]["metadata"]["error_type"] == "payment_required"
    assert call(world, poor["key"], "openai/free").status_code == 200
    cli("update", "poor", "--limit", "100")
    assert call(world, poor["key"]).status_code == 200

    narrow = cli("create", "narrow", "--model", "openai/free", "--rpm", "1")
    assert call(world, narrow["key"]).status_code == 404
    assert call(world, narrow["key"], "openai/free").status_code == 200
    slow = call(world, narrow["key"], "openai/free")
    assert slow.status_code == 429 and slow.headers["X-RateLimit-Limit"] == "1"


def test_mistakes_are_explained(world, cli):
    def error(*arguments):
        done = run("gateway-keys", *arguments, environment=cli.environment)
        assert done.returncode in (1, 2) and done.stdout == "", done
        return done.stderr

    assert "--limit" in error("create", "x", "--limit", "much")
    assert "limit_reset" in error("create", "x", "--limit-reset", "yearly")
    assert "rpm: must be 1 to" in error("create", "x", "--rpm", "0")
    assert 'no gateway key "nobody"' in error("delete", "nobody")
    assert "say what is to change" in error("update", "nobody")
    cli("create", "twin"), cli("create", "twin")
    assert "several keys" in error("get", "twin")


def test_who_may_not_manage_keys(world, cli):
    made = cli("create", "own")
    for headers, status in (({}, 401), ({"Authorization": f"Bearer {made['key']}"}, 401),
                            ({"Authorization": f"Bearer {world.first_start['read_token']}"}, 403)):
        assert requests.get(world.url + KEYS, headers=headers, timeout=10).status_code == status
    listed = requests.get(world.url + KEYS, headers=admin(world), timeout=10).json()["data"]
    assert made["hash"] in [each["hash"] for each in listed] and made["key"] not in json.dumps(listed)
