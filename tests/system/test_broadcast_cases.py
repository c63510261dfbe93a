"""Each case of tests/broadcast through the whole program: a client, a gateway, providers and a destination.

The cases fix ids and clock, which a running Gantry takes from the system. So names, hierarchy, attributes and derivations of ids are compared,
and times with one another and with the pace at which the providers answer.
"""

import base64
import json
import pathlib
import time

import pytest
import requests

from broadcast_client import DESTINATIONS, add, admin, events, wait_until
from chat_answers import completion
from gateway_setup import PROVIDER_SECRET, make_gateway, make_key, model, provider
from recording_destination import Recorder
from recording_upstream import Silence, Stream, Upstream, Whole
from span_expectations import Expectation, attributes, check_times

DATA = pathlib.Path(__file__).parents[1] / "broadcast"
CASES = [json.loads(path.read_text()) for path in sorted(DATA.glob("[0-9]*.json"))]
EXPORTED = [case for case in CASES if case["expect"]["exported"]]
REFUSED = [case for case in CASES if case["expect"].get("reason") == "no_attempt"]
LEFT_OUT = [case for case in CASES if not case["expect"]["exported"] and case not in REFUSED]
# The label of the counter for each reason of a case.
RESULTS = {"api_key_filter": "key_filtered", "disabled": "disabled", "filter_rules": "filtered"}

OWN_FIELDS = {"models", "provider", "session_id", "trace", "route"}
GRAFANA = {"instanceId": "123456", "apiKey": "glc_of-the-destination"}
# Deadlines of providers that do not answer are ten times shorter than in the cases.
DEADLINE_SCALE = 10


def by_id(cases):
    return pytest.mark.parametrize("case", cases, ids=[case["id"] for case in cases])


def test_the_cases_are_all_here():
    assert (len(EXPORTED), len(REFUSED), len(LEFT_OUT)) == (32, 3, 3)


def deadline_ms(case: dict) -> int | None:
    published = case.get("gateway", {}).get("header_timeout_ms")
    return published // DEADLINE_SCALE if published else None


def section_of(case: dict, upstreams: dict) -> dict:
    """The gateway's configuration: the case's providers, in the order of its attempts."""
    settings = {key: case["config"][key] for key in ("service_name", "trace_id_resource_key", "metadata_namespace", "default_trace_name",
                                                     "default_generation_name")}
    deadline = deadline_ms(case)
    timeouts = {"timeouts": {"headers": f"{deadline}ms"}} if deadline else {}
    names = {each["provider"]["slug"]: each["provider"]["name"] for each in case["attempts"]} or {"openai": "OpenAI"}
    return settings | {
        "max_retries": 0,
        "providers": [provider(slug, upstreams[slug], name=name, **timeouts) for slug, name in names.items()],
        "models": models_of(case),
    }


def models_of(case: dict) -> list:
    body = case["client_request"]["body"]
    served = {}
    for attempt in case["attempts"]:
        asked = [each for each in [body.get("model"), *body.get("models", [])] if each and each.endswith("/" + attempt["upstream_model"])]
        served.setdefault(asked[0], []).append(attempt["provider"]["slug"])
    prices = case["config"]["prices"]
    listed = []
    for name, slugs in (served or {"openai/gpt-4o": ["openai"]}).items():
        entry = model(name, *slugs, input_modalities=["text", "image"], **({"pricing": prices[name]} if name in prices else {}))
        if len(slugs) > 1 and "provider" not in body:
            # Likely the cheaper one is first, by the square of the ratio: here as good as always.
            for endpoint, price in zip(entry["endpoints"], ("0.000000000001", "1"), strict=True):
                endpoint["pricing"] = {"prompt": price, "completion": price}
        listed.append(entry)
    if "key_state" in case:
        # One token of output is the whole limit.
        listed[0]["pricing"] = {"prompt": "0", "completion": str(case["key_state"]["limit"])}
    return listed


class Setting:
    """A gateway with the providers of one case or of several."""

    def __init__(self, directory: pathlib.Path, case: dict):
        slugs = [each["provider"]["slug"] for each in case["attempts"]] or ["openai"]
        self.upstreams = {slug: Upstream() for slug in slugs}
        self.gantry = make_gateway(directory, section_of(case, self.upstreams)).start()
        self.key = make_key(self.gantry)
        self.recorder, self.witness = Recorder(), Recorder()

    def close(self) -> None:
        assert self.gantry.stop() == 0, self.gantry.log()
        for each in [*self.upstreams.values(), self.recorder, self.witness]:
            each.close()

    def call(self, request: dict, key) -> requests.Response:
        headers = {"Authorization": f"Bearer {key.secret}", "Content-Type": "application/json"} | request["headers"]
        body = json.dumps(request["body"], ensure_ascii=False).encode()
        return requests.post(self.gantry.url + request["path"], data=body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def setting_of(tmp_path_factory):
    """Cases with the same providers, models and prices share a process."""
    made = {}

    def find(case: dict) -> Setting:
        class Nowhere:
            url = ""

        slugs = [each["provider"]["slug"] for each in case["attempts"]] or ["openai"]
        name = json.dumps(section_of(case, dict.fromkeys(slugs, Nowhere)))
        if name not in made:
            made[name] = Setting(tmp_path_factory.mktemp("case"), case)
        return made[name]

    yield find
    for each in made.values():
        each.close()


@pytest.fixture
def sent_to(request):
    """Adds destinations that go with the test."""
    made = []

    def add_one(setting: Setting, recorder: Recorder, case: dict | None = None) -> dict:
        with recorder.lock:
            recorder.requests.clear()
        fields = {"type": "grafana", "name": f"destination-{len(made)}", "config": {"baseUrl": recorder.base_url} | GRAFANA}
        if case:
            settings = dict(case["destination"])
            del settings["id"]
            for name in ("api_key_hashes", "excluded_api_key_hashes"):
                if settings[name]:
                    assert settings[name] == [case["api_key"]["hash"]]
                    settings[name] = [setting.key.hash]
            fields |= {name: value for name, value in settings.items() if value is not None}
        destination = add(setting.gantry, "", verify=False, **fields)
        made.append((setting.gantry, destination))
        wait_until(lambda: events(setting.gantry, destination, "sent") >= 0)  # calls are decided on from now on
        return destination

    yield add_one
    for gantry, destination in made:
        gone = requests.delete(f"{gantry.url}{DESTINATIONS}/{destination['id']}", headers=admin(gantry), timeout=30)
        assert gone.json() == {"deleted": True}, gone.text


def script(setting: Setting, case: dict) -> list[dict]:
    """Tells the providers what to answer and when; the milliseconds of each attempt."""
    answers, paces = {}, []
    for upstream, attempt in zip(case["upstream"], case["attempts"], strict=True):
        pace = {"headers": (attempt["headers_ms"] or 0) - attempt["sent_ms"], "token": 0, "body": 0}
        if upstream.get("never_answers"):
            pace["headers"] = deadline_ms(case)
            answer = Silence()
        elif "events" in upstream:
            pace |= {"token": attempt["first_token_ms"] - attempt["headers_ms"], "body": attempt["body_end_ms"] - attempt["first_token_ms"]}
            answer = Stream(upstream["events"], gaps_of(upstream["events"], pace), headers_after_s=pace["headers"] / 1000)
        else:
            if attempt["ok"]:
                pace["body"] = attempt["body_end_ms"] - attempt["headers_ms"]
            answer = Whole(upstream["body"], upstream["status"], upstream.get("headers", {}), upstream["content_type"],
                           pace["headers"] / 1000, pace["body"] / 1000)
        answers.setdefault(attempt["provider"]["slug"], []).append(answer)
        paces.append(pace)
    for slug, of_provider in answers.items():
        setting.upstreams[slug].script(*of_provider)
        setting.upstreams[slug].requests.clear()
    return paces


def gaps_of(stream: list, pace: dict) -> list[float]:
    """Before the first token, and before what follows it."""
    first = next(i for i, event in enumerate(stream) if event["choices"][0]["delta"].get("content"))
    gaps = [0.0] * len(stream)
    gaps[first], gaps[first + 1] = pace["token"] / 1000, pace["body"] / 1000
    return gaps


def wait_for_generation(recorder: Recorder, case: dict, generation_id: str):
    """The delivery and its element that has the call."""
    name = case["config"]["trace_id_resource_key"]
    found = []

    def look():
        found[:] = [(delivery, each) for delivery in recorder.deliveries() for each in delivery.body["resourceSpans"]
                    if attributes(each["resource"]).get(name, {}).get("value") == generation_id]
        return found

    wait_until(look)
    assert len(found) == 1, "sent more than once"
    return found[0]


def check_provider_requests(setting: Setting, case: dict) -> None:
    """Each attempt was asked what the client had asked, without the gateway's own fields, in the provider's words."""
    body = {key: value for key, value in case["client_request"]["body"].items() if key not in OWN_FIELDS}
    if body.get("stream"):
        body["stream_options"] = {"include_usage": True}
    expected = {}
    for attempt in case["attempts"]:
        expected.setdefault(attempt["provider"]["slug"], []).append(body | {"model": attempt["upstream_model"]})
    for slug, bodies in expected.items():
        asked = setting.upstreams[slug].requests
        assert [each.json() for each in asked] == bodies
        assert {each.header("authorization") for each in asked} == {f"Bearer {PROVIDER_SECRET}"}
        assert all(each.path == case["client_request"]["path"].removeprefix("/api") for each in asked)


def is_within(expected, actual) -> bool:
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(key in actual and is_within(value, actual[key]) for key, value in expected.items())
    return expected == actual


def check_answer(case: dict, answer: requests.Response) -> None:
    expected = case.get("client_response", {})
    translate = timeout_texts(case)
    failed = case["attempts"] and not case["attempts"][-1]["ok"]
    assert answer.status_code == expected.get("status", case["upstream"][-1].get("status") if failed else 200), answer.text
    if "error" in expected:
        error = expected["error"] | {"message": translate.get(expected["error"]["message"], expected["error"]["message"])}
        assert is_within(error, answer.json()["error"]), answer.text
    if not case["client_request"]["body"].get("stream"):
        return
    frames = [line.removeprefix("data: ") for line in answer.content.decode().split("\n\n") if line.startswith("data: ")]
    assert frames[-1] == "[DONE]"
    chunks = [json.loads(frame) for frame in frames[:-1]]
    if isinstance(expected.get("last_event"), dict):
        assert is_within(expected["last_event"], chunks[-1]), chunks[-1]
    if "usage_chunk_forwarded" in expected:
        assert any(each.get("usage") for each in chunks) is expected["usage_chunk_forwarded"]
        assert any(not each["choices"] for each in chunks) is expected["usage_chunk_forwarded"]


def timeout_texts(case: dict) -> dict:
    """The published words for a deadline, and those for ours."""
    if not deadline_ms(case):
        return {}
    words = "Provider did not answer in {} ms"
    return {words.format(deadline_ms(case) * DEADLINE_SCALE): words.format(deadline_ms(case))}


@by_id(EXPORTED)
def test_what_is_sent(case, setting_of, sent_to):
    setting = setting_of(case)
    sent_to(setting, setting.recorder, case)
    pace = script(setting, case)
    before = time.time_ns()
    answer = setting.call(case["client_request"], setting.key)
    check_answer(case, answer)
    check_provider_requests(setting, case)
    generation_id = answer.headers["X-Generation-Id"]
    if case["attempts"][-1]["ok"] and not case["client_request"]["body"].get("stream") and "id" in case["upstream"][-1]["body"]:
        assert answer.json()["id"] == generation_id

    delivery, delivered = wait_for_generation(setting.recorder, case, generation_id)
    after = time.time_ns()
    assert delivery.path == "/otlp/v1/traces" and delivery.headers["content-type"] == "application/json"
    login = f"{GRAFANA['instanceId']}:{GRAFANA['apiKey']}".encode()
    assert delivery.headers["authorization"] == f"Basic {base64.b64encode(login).decode()}"

    addresses = {each["provider"]["server_address"]: ("127.0.0.1", setting.upstreams[each["provider"]["slug"]].port)
                 for each in case["attempts"]}
    assert Expectation(case, generation_id, addresses, timeout_texts(case)).check(delivered) == []
    check_times(case, delivered, before, after, pace)
    for name in case["expect"].get("forbidden_attribute_keys", []):
        assert f'"{name}"'.encode() not in delivery.data


@by_id(LEFT_OUT)
def test_what_a_destination_does_not_want(case, setting_of, sent_to):
    setting = setting_of(case)
    destination = sent_to(setting, setting.recorder, case)
    sent_to(setting, setting.witness)
    script(setting, case)
    answer = setting.call(case["client_request"], setting.key)
    assert answer.status_code == 200, answer.text
    wait_for_generation(setting.witness, case, answer.headers["X-Generation-Id"])

    result = RESULTS[case["expect"]["reason"]]
    wait_until(lambda: events(setting.gantry, destination, result) == 1)
    others = {"sent", "sampled", "filtered", "key_filtered", "disabled", "dropped", "dead"} - {result}
    assert all(events(setting.gantry, destination, each) <= 0 for each in others)
    assert setting.recorder.requests == []


@by_id(REFUSED)
def test_a_call_that_no_provider_saw_leaves_no_trace(case, setting_of, sent_to):
    setting = setting_of(case)
    sent_to(setting, setting.recorder)
    (upstream,) = setting.upstreams.values()
    plain = {"path": "/api/v1/chat/completions", "headers": {},
             "body": {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 1}}
    upstream.script(Whole(completion(usage=(11, 1))))
    key, served = setting.key, []
    if state := case.get("key_state"):
        key = make_key(setting.gantry, limit=state["limit"])
        served.append(setting.call(plain, key))
        spent = requests.get(f"{setting.gantry.url}/api/v1/key", headers={"Authorization": f"Bearer {key.secret}"}, timeout=30).json()["data"]
        assert (spent["limit"], spent["usage"], spent["limit_remaining"]) == (state["limit"], state["usage"], 0)

    asked = len(upstream.requests)
    refusal = setting.call(case["client_request"], key)
    check_answer(case, refusal)
    assert len(upstream.requests) == asked
    # Those that were served arrive, and the last of them after what was refused: that would have come by then.
    served.append(setting.call(plain, setting.key))
    ids = [each.headers["X-Generation-Id"] for each in served]
    for generation_id in ids:
        wait_for_generation(setting.recorder, case, generation_id)
    assert sum(len(each.body["resourceSpans"]) for each in setting.recorder.deliveries()) == len(ids)
    assert refusal.headers["X-Generation-Id"] not in ids
