"""The alerts for Grafana are quiet over a gateway that works, and fire over one that does not."""

import json
import pathlib
import re
import time

import pytest
import requests

from chat_answers import completion
from gateway_setup import make_gateway, make_key, model, provider
from recording_upstream import Upstream, Whole

ALERTS = pathlib.Path(__file__).parents[2] / "deploy/grafana/provisioning/alerting/gateway.json"
RULES = {rule["uid"].removeprefix("gantry-gateway-"): rule for rule in json.loads(ALERTS.read_text())["groups"][0]["rules"]}


class World:
    def __init__(self, directory: pathlib.Path):
        self.upstream = Upstream()
        section = {"providers": [provider("openai", self.upstream)], "max_retries": 0,
                   "models": [model("openai/gpt-4o", "openai", pricing={"prompt": "0.01", "completion": "0.02"})]}
        self.gantry = make_gateway(directory, section, GANTRY_SELF_METRICS="true", GANTRY_COLLECT_INTERVAL="1s").start()
        self.key = make_key(self.gantry)

    def call(self, answer: Whole | None = None, key=None) -> int:
        if answer:
            self.upstream.script(answer)
        body = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
        return requests.post(f"{self.gantry.url}/v1/chat/completions", json=body, timeout=30,
                             headers={"Authorization": f"Bearer {(key or self.key).secret}"}).status_code

    def values(self, name: str) -> list:
        query = RULES[name]["data"][0]["model"]["expr"]
        answer = requests.post(f"{self.gantry.url}/api/v1/query", data={"query": query}, timeout=30,
                               auth=("1000000", self.gantry.first_start["read_token"]))
        assert answer.status_code == 200, (query, answer.text)
        return [float(each["value"][1]) for each in answer.json()["data"]["result"]]

    def fires(self, name: str) -> bool:
        [condition] = RULES[name]["data"][2]["model"]["conditions"]
        assert condition["evaluator"]["type"] == "gt"
        return any(value > condition["evaluator"]["params"][0] for value in self.values(name))

    def wait_until_fires(self, name: str) -> None:
        until = time.time() + 30
        while not self.fires(name):
            assert time.time() < until, f"{name} is silent: {self.values(name)}"
            time.sleep(0.2)

    def wait_for_sample(self, metric: str) -> None:
        """Until what was counted up to now is in the store."""
        started, until = time.time(), time.time() + 30
        while True:
            answer = requests.post(f"{self.gantry.url}/api/v1/query", data={"query": f"timestamp({metric})"}, timeout=30,
                                   auth=("1000000", self.gantry.first_start["read_token"]))
            found = answer.json()["data"]["result"]
            if found and all(float(each["value"][1]) > started for each in found):
                return
            assert time.time() < until, f"{metric} has not come"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("alerts"))
    yield world
    assert world.gantry.stop() == 0, world.gantry.log()
    world.upstream.close()


def test_a_gateway_that_works_is_quiet(world):
    for _ in range(2):  # a counter is known to grow from its second sample on
        assert world.call(Whole(completion())) == 200
        world.wait_for_sample("gantry_gateway_requests_total")
    world.wait_for_sample("gantry_gateway_breaker_state")
    assert world.values("errors") == [] and world.values("breaker") == [0.0]
    assert [name for name in RULES if world.fires(name)] == []


def test_each_alert_fires_for_its_reason(world):
    uncounted = completion()
    del uncounted["usage"]
    for _ in range(2):
        assert world.call(Whole(uncounted)) == 200
        world.wait_for_sample("gantry_gateway_requests_total")
    world.wait_until_fires("estimated-usage")
    poor = make_key(world.gantry, "poor", limit=0.001)
    assert world.call(key=poor) == 402
    world.wait_until_fires("budget")
    assert not world.fires("provider-key") and not world.fires("errors")
    assert world.call(Whole({"error": {"message": "Incorrect API key"}}, 401)) == 502
    world.wait_until_fires("provider-key")
    assert not world.fires("breaker")
    for _ in range(5):
        assert world.call(Whole({"error": {"message": "down"}}, 500)) >= 500
    world.wait_until_fires("breaker")
    world.wait_for_sample("gantry_gateway_requests_total")
    world.call(Whole({"error": {"message": "down"}}, 500))
    world.wait_until_fires("errors")


def test_alerts_ask_for_metrics_that_are_there(world):
    """After the calls above every metric of the gateway has been counted."""
    page = requests.get(f"{world.gantry.url}/metrics", timeout=30).text
    there = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    for name, rule in RULES.items():
        asked = set(re.findall(r"\bgantry_\w+", rule["data"][0]["model"]["expr"]))
        assert asked and asked <= there, (name, asked - there)


def test_rules_are_whole():
    assert len({rule["title"] for rule in RULES.values()}) == len(RULES)
    for rule in RULES.values():
        assert rule["condition"] == rule["data"][-1]["refId"]
        assert rule["data"][0]["datasourceUid"] == "gantry"
        assert rule["noDataState"] == "OK", "no series of errors is no error"
        assert rule["annotations"].keys() == {"summary", "description"}
