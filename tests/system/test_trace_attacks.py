"""Ways to reach traces that are not one's own: none of them works, and none says whether there is something to reach."""

import json
import secrets
import time

import pytest
import requests

SECRET = "secret-operation"


def span_body(trace_id: str, name: str, team: str) -> str:
    now = time.time_ns()
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": f"service-of-{team}"}},
                               {"key": "team", "value": {"stringValue": team}}]}
    span = {"traceId": trace_id, "spanId": secrets.token_hex(8), "name": name, "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**6)}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})


class World:
    """A trace in the stack main, tokens of another stack, and one of main that sees one team."""

    def __init__(self, gantry):
        self.gantry, self.admin = gantry, {"Authorization": f"Bearer {gantry.first_start['admin_token']}"}
        self.hidden, self.own = secrets.token_hex(16), secrets.token_hex(16)
        self.write(self.hidden, SECRET, "red", gantry.first_start["write_token"])
        self.write(self.own, "own-operation", "blue", gantry.first_start["write_token"])
        self.control("/api/v1/stacks", {"name": "other", "slug": "other", "region": "local"})
        self.foreign = self.token("foreign", "other", ["traces:read", "traces:write", "traces:delete"])
        self.blue = self.token("blue", "main", ["traces:read"], labelPolicies=[{"selector": '{team="blue"}'}])
        self.metrics_only = self.token("metrics-only", "main", ["metrics:read"])

    def control(self, path: str, body: dict, **parameters) -> dict:
        answer = requests.post(self.gantry.url + path, json=body, headers=self.admin, params={"region": "local"} | parameters, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def token(self, name: str, stack: str, scopes: list, **realm) -> dict:
        policy = self.control("/api/v1/accesspolicies", {"name": name, "scopes": scopes,
                                                         "realms": [{"type": "stack", "identifier": stack} | realm]})
        made = self.control("/api/v1/tokens", {"accessPolicyId": policy["id"], "name": name})
        return {"Authorization": f"Bearer {made['token']}"}

    def write(self, trace_id: str, name: str, team: str, token: str) -> None:
        answer = self.gantry.post("/otlp/v1/traces", span_body(trace_id, name, team),
                                  {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}, auth=lambda r: r)
        assert answer.status_code == 200, answer.text

    def ask(self, path: str, headers: dict, method: str = "GET", **options) -> requests.Response:
        return requests.request(method, self.gantry.url + path, headers=headers, timeout=10, allow_redirects=False, **options)


@pytest.fixture(scope="module")
def world(gantry):
    return World(gantry)


def test_ids_guessed_across_stacks(world):
    unknown = secrets.token_hex(16)
    for token in (world.foreign, world.blue):
        for path in ("/api/traces/", "/api/v2/traces/", "/tempo/api/traces/", "/tempo/api/v2/traces/"):
            guessed, missing = world.ask(path + world.hidden, token), world.ask(path + unknown, token)
            assert guessed.status_code == missing.status_code
            assert guessed.text == missing.text, "as if there were no such trace"
    assert SECRET in world.ask(f"/tempo/api/v2/traces/{world.hidden}", {"Authorization": f"Bearer {world.gantry.first_start['read_token']}"}).text


def test_searching_across_stacks(world):
    for query in ("{}", f'{{ name = "{SECRET}" }}', f'{{ trace:id = "{world.hidden}" }}', '{ resource.team != "blue" }', '{ resource.team =~ ".*" }',
                  '{ .team = "red" || true }', '{} >> {}', '{} !>> {}', '{ name != nil } | select(resource.team, name, rootName)'):
        for token in (world.foreign, world.blue):
            answer = world.ask("/tempo/api/search", token, params={"q": query})
            assert answer.status_code == 200, answer.text
            assert SECRET not in answer.text and "service-of-red" not in answer.text and world.hidden.lstrip("0") not in answer.text, query


def test_the_other_tenants_header_is_no_identity(world):
    main = str(world.gantry.first_start["instance_id"])
    for name in ("X-Scope-OrgID", "X-Scope-Orgid", "X-Tenant", "X-Grafana-Org-Id"):
        answer = world.ask("/tempo/api/search", world.foreign | {name: main}, params={"q": "{}"})
        assert SECRET not in answer.text, name
    # The id before the token is checked, not believed.
    token = world.foreign["Authorization"].removeprefix("Bearer ")
    assert requests.get(f"{world.gantry.url}/tempo/api/search", auth=(main, token), timeout=10).status_code == 401
    assert world.ask("/tempo/api/search", {"Authorization": f"Bearer {main}:{token}"}).status_code == 401


def test_parameters_twice_and_in_the_body(world):
    answer = world.ask("/tempo/api/search?q={ resource.team = \"blue\" }&q={ name = \"" + SECRET + "\" }", world.blue)
    assert SECRET not in answer.text
    answer = world.ask("/tempo/api/search", world.blue, "POST", data={"q": f'{{ name = "{SECRET}" }}'})
    assert answer.status_code == 405
    for parameter in ("extra_filters", "extra_label", "skip_ast_transformations", "tenant"):
        answer = world.ask("/tempo/api/search", world.blue, params={"q": "{}", parameter: "x"})
        assert SECRET not in answer.text, parameter
    answer = world.ask("/tempo/api/search", world.blue, params={"q": "{} with (skip_ast_transformations=true, debug=true)"})
    assert SECRET not in answer.text


@pytest.mark.parametrize("path", ["/tempo//api/search", "/tempo/./api/search", "/traces-api-bearer/../tempo/api/search", "/traces-api-bearer/%2e%2e/api/search",
                                  "/tempo/api%2fsearch", "/tempo/api/search;x=1", "/tempo/api/v2/search/tag/..%2f..%2ftraces/values"])
def test_encoded_paths(world, path):
    session = requests.Session()
    request = requests.Request("GET", world.gantry.url, headers=world.foreign).prepare()
    request.url = world.gantry.url + path
    answer = session.send(request, timeout=10, allow_redirects=False)
    assert answer.status_code in (400, 401, 403, 404)
    assert SECRET not in answer.text


def test_tags_and_metrics_across_stacks(world):
    paths = ["/tempo/api/search/tags", "/tempo/api/v2/search/tags", "/tempo/api/search/tag/service.name/values", "/tempo/api/v2/search/tag/name/values",
             "/tempo/api/v2/search/tag/resource.team/values", "/tempo/api/metrics/query?q={}|rate() by (name)",
             "/tempo/api/metrics/query_range?q={}|count_over_time() by (resource.team)", "/tempo/api/metrics/query?q={}|compare({name=\"x\"})"]
    for path in paths:
        for token in (world.foreign, world.blue):
            answer = world.ask(path, token)
            assert answer.status_code == 200, answer.text
            assert SECRET not in answer.text and "service-of-red" not in answer.text and '"red"' not in answer.text, path


def test_deleting_across_stacks(world):
    assert world.ask(f"/tempo/api/traces/{world.hidden}", world.foreign, "DELETE").status_code == 404
    assert world.ask(f"/tempo/api/traces/{world.hidden}", world.blue, "DELETE").status_code == 403
    assert SECRET in world.gantry.get(f"/tempo/api/v2/traces/{world.hidden}").text


def test_the_same_id_in_two_stacks(world):
    """A trace belongs to the stack that it was sent to, whatever its id."""
    answer = world.ask("/otlp/v1/traces", world.foreign | {"Content-Type": "application/json"}, "POST", data=span_body(world.hidden, "mine", "green"))
    assert answer.status_code == 200, answer.text
    assert "mine" in world.ask(f"/tempo/api/v2/traces/{world.hidden}", world.foreign).text
    assert SECRET not in world.ask(f"/tempo/api/v2/traces/{world.hidden}", world.foreign).text
    assert "mine" not in world.gantry.get(f"/tempo/api/v2/traces/{world.hidden}").text


def test_wrong_scope_and_wrong_token(world):
    for path in ("/tempo/api/search", f"/tempo/api/traces/{world.hidden}", "/tempo/api/echo"):
        assert world.ask(path, world.metrics_only).status_code == 403
        assert world.ask(path, {"Authorization": "Bearer glc_wrong"}).status_code == 401
        assert world.ask(path, {}).status_code == 401
