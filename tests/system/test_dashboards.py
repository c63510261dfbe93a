"""Grafana's dashboards ask what Gantry answers; the one of LLM calls shows calls."""

import json
import pathlib
import re
import time

import pytest
import requests

from chat_answers import completion
from gateway_setup import make_gateway, make_key, model, provider
from recording_upstream import Upstream, Whole

DASHBOARDS = pathlib.Path(__file__).parents[2] / "deploy/grafana/dashboards"
NAMES = sorted(path.stem for path in DASHBOARDS.glob("*.json"))
PRICES = {"prompt": "0.01", "completion": "0.02"}
# Panels that show what these calls have not: failures beyond those of a provider, waiting, streams.
EMPTY = {"Time to first token, 95th percentile, by model"}


def dashboard(name: str) -> dict:
    return json.loads((DASHBOARDS / f"{name}.json").read_text())


def fill_in(query: str) -> str:
    """As Grafana does with variables that are set to everything."""
    query = re.sub(r"\$__(rate_interval|range|interval)", "1h", query)
    return re.sub(r"\$\{?(\w+)\}?", ".*", query)


@pytest.fixture(scope="module")
def called(tmp_path_factory):
    """A Gantry that collects its own metrics, after some LLM calls."""
    upstream = Upstream()
    section = {"providers": [provider("openai", upstream)], "models": [model("openai/gpt-4o", "openai", pricing=PRICES)]}
    gantry = make_gateway(tmp_path_factory.mktemp("dashboards"), section, GANTRY_SELF_METRICS="true",
                          GANTRY_COLLECT_INTERVAL="1s").start()
    key = make_key(gantry)
    upstream.script(Whole(completion(usage=(100, 10))), Whole({"error": {"message": "no"}}, 400),
                    Whole(completion(usage=(100, 10))))
    # A counter is known to grow from its second sample on.
    for _ in range(2):
        for user in ("alice", "bob"):
            requests.post(f"{gantry.url}/v1/chat/completions", headers={"Authorization": f"Bearer {key.secret}"}, timeout=30,
                          json={"model": "openai/gpt-4o", "user": user, "session_id": f"of-{user}",
                                "messages": [{"role": "user", "content": "Hi"}]})
        wait_for_metrics(gantry)
    yield gantry
    assert gantry.stop() == 0, gantry.log()
    upstream.close()


def reader(gantry) -> tuple:
    return "1000000", gantry.first_start["read_token"]


def wait_for_metrics(gantry) -> None:
    """Until what the calls counted is in the store."""
    started = time.time()
    while True:
        result = promql(gantry, "timestamp(gantry_gateway_requests_total)")
        if result and all(float(each["value"][1]) > started for each in result):
            return
        assert time.time() < started + 20, "Gantry's own metrics have not come"
        time.sleep(0.1)


def promql(gantry, query: str) -> list:
    answer = requests.post(f"{gantry.url}/api/v1/query", data={"query": query}, auth=reader(gantry), timeout=30)
    assert answer.status_code == 200, (query, answer.text)
    return answer.json()["data"]["result"]


def traceql(gantry, target: dict) -> list:
    query = fill_in(target["query"])
    now = int(time.time())
    if "metricsQueryType" in target:
        path, part, more = "metrics/query_range", "series", {"step": "60s"}
    else:
        path, part, more = "search", "traces", {}
    answer = requests.get(f"{gantry.url}/tempo/api/{path}", auth=reader(gantry), timeout=30,
                          params={"q": query, "start": now - 3600, "end": now + 60} | more)
    assert answer.status_code == 200, (query, answer.text)
    return answer.json().get(part, [])


def ask(gantry, target: dict) -> list:
    return promql(gantry, fill_in(target["expr"])) if "expr" in target else traceql(gantry, target)


@pytest.mark.parametrize("name", NAMES)
def test_every_query_is_answered(called, name):
    for panel in dashboard(name)["panels"]:
        for target in panel["targets"]:
            ask(called, target)


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_their_places(name):
    found = dashboard(name)
    assert found["uid"].startswith("gantry-") and "gantry" in found["tags"]
    ids = [panel["id"] for panel in found["panels"]]
    assert len(set(ids)) == len(ids)
    places = set()
    for panel in found["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, panel["title"]
        places |= cells


def test_every_panel_of_llm_calls_shows_them(called):
    for panel in dashboard("llm")["panels"]:
        shown = [ask(called, target) for target in panel["targets"]]
        if panel["title"] in EMPTY:
            assert not any(shown), f"{panel['title']} is not empty any more: take it out of the list"
        else:
            assert all(shown), panel["title"]


def test_the_figures_are_those_of_the_calls(called):
    by_title = {panel["title"]: panel["targets"][0] for panel in dashboard("llm")["panels"]}
    assert float(ask(called, by_title["Share of failed calls"])[0]["value"][1]) >= 0
    users = {value["stringValue"] for series in ask(called, by_title["Cost by user"]) for label in series["labels"]
             for value in [label["value"]]}
    assert users == {"alice", "bob"}
    total = sum(sample["value"] for series in ask(called, by_title["Cost by user"]) for sample in series["samples"])
    assert total == pytest.approx(3 * (100 * 0.01 + 10 * 0.02))
