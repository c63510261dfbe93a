"""The control API through the binary: what clients of Grafana Cloud's API send, and what they may rely on."""

import base64
import hashlib
import re
import socket
import time
import urllib.parse

import pytest
import requests

LINE = "cpu,host=a value=1"
REGION = {"region": "local"}


class Api:
    """Requests with one token."""

    def __init__(self, gantry, token):
        self.url, self.headers = gantry.url, {"Authorization": f"Bearer {token}"}

    def __call__(self, method, path, body=None, headers=None, **parameters):
        return requests.request(method, self.url + path, json=body, headers=self.headers | (headers or {}),
                                params=parameters, timeout=30, allow_redirects=False)

    def policy(self, name, scopes=("metrics:read",), realms=None, **more):
        body = {"name": name, "scopes": list(scopes), "realms": realms or [{"type": "stack", "identifier": "main"}]} | more
        return self("POST", "/api/v1/accesspolicies", body, **REGION)

    def token(self, policy_id, name, **more):
        return self("POST", "/api/v1/tokens", {"accessPolicyId": policy_id, "name": name} | more, **REGION)


@pytest.fixture(scope="module")
def admin(gantry):
    return Api(gantry, gantry.first_start["admin_token"])


def ok(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json() if answer.text else None


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["code"] == code, body
    assert body["statusCode"] == status and body["requestId"] and body["message"]
    assert answer.headers["Cache-Control"] == "no-store"
    return body


def query_status(gantry, token, path="/api/v1/query?query=1"):
    return requests.get(gantry.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code


def test_what_terraform_sends(gantry, admin):
    """grafana_cloud_access_policy and grafana_cloud_access_policy_token: create, read, plan again, update, destroy."""
    region = ok(admin("GET", "/api/stack-regions"))["items"][0]["slug"]
    assert region == "local"
    org = ok(admin("GET", "/api/orgs/main"))
    assert ok(admin("GET", f"/api/orgs/{org['id']}")) == org and isinstance(org["id"], int)
    request_id = {"x-request-id": "tf-1"}
    body = {"name": "terraform", "displayName": "Terraform", "scopes": ["metrics:read", "logs:read"],
            "realms": [{"type": "org", "identifier": str(org["id"]), "labelPolicies": []}],
            "conditions": {"allowedSubnets": ["127.0.0.0/8"]}}
    policy = ok(admin("POST", "/api/v1/accesspolicies", body, request_id, region=region))
    assert policy["orgId"] == str(org["id"]) and policy["status"] == "active"
    assert policy["realms"] == [{"type": "org", "identifier": str(org["id"]), "labelPolicies": []}]
    assert policy["conditions"] == {"allowedSubnets": ["127.0.0.0/8"]}
    path = f"/api/v1/accesspolicies/{policy['id']}"
    assert ok(admin("GET", path, region=region)) == policy
    found = ok(admin("GET", "/api/v1/accesspolicies", name="terraform", region=region))
    assert found["items"] == [policy], "a lost answer is found again by name"
    assert found["metadata"]["pagination"] == {"pageSize": 100, "pageCursor": None, "nextPage": None}

    token = ok(admin("POST", "/api/v1/tokens", {"accessPolicyId": policy["id"], "name": "tf", "displayName": "tf",
                                                "expiresAt": "2099-01-01T00:00:00Z"}, region=region))
    assert re.fullmatch(r"glc_[A-Za-z0-9+/]{32,400}={0,3}", token["token"])
    assert token["accessPolicyId"] == policy["id"] and token["expiresAt"] == "2099-01-01T00:00:00Z"
    seen = ok(admin("GET", f"/api/v1/tokens/{token['id']}", region=region))
    assert "token" not in seen and seen == {k: v for k, v in token.items() if k != "token"}
    assert query_status(gantry, token["token"]) == 200

    updated = ok(admin("POST", path, {"displayName": "TF", "scopes": ["logs:read"], "realms": body["realms"],
                                      "conditions": {}}, region=region))
    assert updated["displayName"] == "TF" and "conditions" not in updated
    assert query_status(gantry, token["token"]) == 403, "narrowed at once"
    ok(admin("POST", f"/api/v1/tokens/{token['id']}", {"displayName": "new", "expiresAt": None}, region=region))
    assert "expiresAt" not in ok(admin("GET", f"/api/v1/tokens/{token['id']}", region=region))

    ok(admin("DELETE", f"/api/v1/tokens/{token['id']}", region=region), 204)
    refused(admin("GET", f"/api/v1/tokens/{token['id']}", region=region), 404, "NotFound")
    assert query_status(gantry, token["token"]) == 401, "revoked at once"
    ok(admin("DELETE", path, region=region), 204)
    refused(admin("GET", path, region=region), 404, "NotFound")


def test_wrong_requests_name_their_fields(admin):
    body = refused(admin("POST", "/api/v1/accesspolicies", {"name": "Bad Name", "scopes": ["x"], "realms": []}, **REGION),
                   409, "InvalidArgument")
    assert {field["path"] for field in body["fields"]} == {"name", "scopes[0]"}
    wrong_type = refused(admin("POST", "/api/v1/accesspolicies", {"name": 5, "scopes": [1], "realms": [{"type": 1}]}, **REGION),
                         409, "InvalidArgument")
    paths = {field["path"] for field in wrong_type["fields"]}
    assert {"name", "scopes[0]", "realms[0].type", "realms[0].identifier"} <= paths
    assert refused(admin("GET", "/api/v1/accesspolicies"), 409, "InvalidArgument")["fields"][0]["path"] == "region"
    refused(admin("GET", "/api/v1/tokens", region="nowhere"), 409, "InvalidArgument")
    refused(admin("GET", "/api/v1/tokens", region="local", orgId="77"), 403, "Forbidden")
    for text in ('{"name":"a","name":"b"}', "[1]", "{", "[" * 100, '"x"', b"\xff"):
        answer = requests.post(f"{admin.url}/api/v1/accesspolicies?region=local", data=text, headers=admin.headers, timeout=10)
        refused(answer, 409, "InvalidArgument")
    big = requests.post(f"{admin.url}/api/v1/accesspolicies?region=local", data=b" " * ((1 << 20) + 1), headers=admin.headers,
                        timeout=10)
    assert big.status_code == 413 and big.json()["statusCode"] == 413
    unknown = admin.policy("ignores-unknown", somethingElse={"a": 1})
    assert unknown.status_code == 200, "members that nobody knows are ignored, as Cloud does"
    refused(admin.policy("ignores-unknown"), 409, "Conflict")
    refused(admin("PUT", "/api/v1/accesspolicies", {}, **REGION), 405, "MethodNotAllowed")


def test_who_is_let_in(gantry, admin):
    nobody = requests.get(f"{gantry.url}/api/v1/tokens?region=local", timeout=10)
    body = refused(nobody, 401, "InvalidCredentials")
    assert body["message"] == "Login Required or invalid credentials"
    assert "Bearer" in nobody.headers["WWW-Authenticate"]
    refused(Api(gantry, "glc_" + "x" * 60)("GET", "/api/v1/tokens", **REGION), 401, "InvalidCredentials")
    refused(Api(gantry, gantry.first_start["read_token"])("GET", "/api/v1/tokens", **REGION), 403, "Forbidden")
    config = ok(requests.get(f"{gantry.url}/api/v1/accesspolicies/config?region=local", timeout=10))
    assert {"metrics:read", "accesspolicies:write"} <= {scope["name"] for scope in config["scopes"]}
    sets = {each["name"]: each["scopes"] for each in config["sets"]}
    assert sets["set:collector"] == ["metrics:write", "logs:write", "traces:write"]
    assert "metrics:write" not in sets["read"] and "traces:read" in sets["read"]
    ok(admin("GET", "/api/v1/tokens", **REGION))


def test_cursors_walk_all_and_stay_with_their_filters(admin):
    policy = ok(admin.policy("walk"))
    names = [f"walk-{i}" for i in range(7)]
    for name in names:
        ok(admin.token(policy["id"], name))
    query = {"accessPolicyId": policy["id"], "pageSize": "3"} | REGION
    seen, path = [], "/api/v1/tokens?" + urllib.parse.urlencode(query)
    pages = 0
    while path:
        page = ok(admin("GET", path))
        assert all("token" not in item for item in page["items"])
        seen += [item["name"] for item in page["items"]]
        path = page["metadata"]["pagination"]["nextPage"]
        pages += 1
    assert sorted(seen) == names and pages == 3
    first = ok(admin("GET", "/api/v1/tokens", **query))
    cursor = urllib.parse.parse_qs(urllib.parse.urlparse(first["metadata"]["pagination"]["nextPage"]).query)["pageCursor"][0]
    refused(admin("GET", "/api/v1/tokens", pageCursor=cursor, **(query | {"accessPolicyId": "another"})), 409, "InvalidArgument")
    refused(admin("GET", "/api/v1/tokens", pageCursor="nonsense", **query), 409, "InvalidArgument")
    for size in ("0", "501", "x", "-1"):
        refused(admin("GET", "/api/v1/tokens", pageSize=size, **REGION), 409, "InvalidArgument")
    assert len(ok(admin("GET", "/api/v1/tokens", pageCursor="", pageSize=500, accessPolicyIds=policy["id"], **REGION))["items"]) == 7


def test_repeated_requests_get_the_first_answer(gantry, admin):
    body = {"name": "once", "scopes": ["metrics:read"], "realms": [{"type": "stack", "identifier": "main"}]}
    first = ok(admin("POST", "/api/v1/accesspolicies", body, {"x-request-id": "retry-1"}, **REGION))
    assert ok(admin("POST", "/api/v1/accesspolicies", body, {"x-request-id": "retry-1"}, **REGION)) == first
    refused(admin("POST", "/api/v1/accesspolicies", body | {"name": "twice"}, {"x-request-id": "retry-1"}, **REGION), 409, "Conflict")
    token = {"accessPolicyId": first["id"], "name": "once"}
    made = ok(admin("POST", "/api/v1/tokens", token, {"x-request-id": "retry-2"}, **REGION))
    assert ok(admin("POST", "/api/v1/tokens", token, {"x-request-id": "retry-2"}, **REGION))["token"] == made["token"]
    for file in gantry.data.rglob("gantry.db*"):
        assert made["token"].encode() not in file.read_bytes(), "kept answers are sealed"
    assert made["token"] not in gantry.log()


def test_nobody_hands_on_more_than_they_have(gantry, admin):
    org_realm = [{"type": "org", "identifier": "main"}]
    scopes = ["accesspolicies:read", "accesspolicies:write", "accesspolicies:delete", "metrics:read"]
    weak = Api(gantry, ok(admin.token(ok(admin.policy("weak", scopes, org_realm))["id"], "weak"))["token"])
    refused(weak.policy("root", ["metrics:write"]), 403, "Forbidden")
    ok(weak.policy("equal", ["metrics:read"]))
    strong = ok(admin.policy("strong", ["metrics:write"]))
    refused(weak.token(strong["id"], "stolen"), 403, "Forbidden")
    refused(weak("POST", f"/api/v1/accesspolicies/{strong['id']}", {"status": "inactive"}, **REGION), 403, "Forbidden")
    denied = ok(admin("GET", "/api/audit", event="authz.denied"))
    deadline = time.monotonic() + 10
    while not denied["items"] and time.monotonic() < deadline:
        time.sleep(0.1)
        denied = ok(admin("GET", "/api/audit", event="authz.denied"))
    assert denied["items"][0]["outcome"] == "denied"
    bound = ok(admin.policy("bound", scopes, org_realm, conditions={"allowedSubnets": ["127.0.0.0/8"]}))
    bound_api = Api(gantry, ok(admin.token(bound["id"], "bound"))["token"])
    refused(bound_api.policy("unbound"), 403, "Forbidden")
    ok(bound_api.policy("still-bound", conditions={"allowedSubnets": ["127.0.0.1/32"]}))
    stack_only = ok(admin.policy("stack-only", scopes))
    stack_api = Api(gantry, ok(admin.token(stack_only["id"], "stack-only"))["token"])
    refused(stack_api.policy("from-stack"), 403, "Forbidden")
    refused(stack_api("GET", "/api/v1/tokens", **REGION), 403, "Forbidden")


def test_label_policies_come_with_reading_only(admin):
    realm = [{"type": "stack", "identifier": "main", "labelPolicies": [{"selector": '{b="2", a="1"}'}, {"selector": '{secret!="true"}'}]}]
    policy = ok(admin.policy("labels", realms=realm))
    assert {each["selector"] for each in policy["realms"][0]["labelPolicies"]} == {'{a="1",b="2"}', '{secret!="true"}'}
    body = refused(admin.policy("labels-write", ["metrics:read", "metrics:write"], realm), 409, "InvalidArgument")
    assert "label policies can only be combined with read scopes" in body["message"]
    refused(admin("POST", f"/api/v1/accesspolicies/{policy['id']}", {"scopes": ["rules:read"]}, **REGION), 409, "InvalidArgument")


def test_life_of_a_token(gantry, admin):
    policy = ok(admin.policy("life"))
    token = ok(admin.token(policy["id"], "life"))
    self_view = ok(Api(gantry, token["token"])("GET", "/api/v1/tokens/self"))
    assert self_view["accessPolicyName"] == "life" and self_view["scopes"] == ["metrics:read"]
    assert self_view["labelRestricted"] is False
    path = f"/api/v1/tokens/{token['id']}"
    ok(admin("POST", path, {"expiresAt": "2020-01-01T00:00:00Z"}, **REGION))
    assert query_status(gantry, token["token"]) == 401
    ok(admin("POST", path, {"expiresAt": None}, **REGION))
    assert query_status(gantry, token["token"]) == 200
    second = ok(admin.token(policy["id"], "second"))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    off = ok(admin("POST", f"/api/v1/tokens/{second['id']}", {"expiresAt": now}, **REGION))
    assert off["status"] == "expired" and query_status(gantry, second["token"]) == 401
    assert second["id"] not in [t["id"] for t in ok(admin("GET", "/api/v1/tokens", accessPolicyId=policy["id"], **REGION))["items"]]
    listed = ok(admin("GET", "/api/v1/tokens", accessPolicyId=policy["id"], includeExpired="true", **REGION))["items"]
    assert second["id"] in [t["id"] for t in listed]
    ok(admin("POST", f"/api/v1/tokens/{second['id']}", {"expiresAt": None}, **REGION))
    assert query_status(gantry, second["token"]) == 200

    successor = ok(admin("POST", f"/api/v1/tokens/{second['id']}/rotate", {"overlap": "1h"}, **REGION))
    assert successor["name"] == "second-r2"
    assert query_status(gantry, second["token"]) == 200 and query_status(gantry, successor["token"]) == 200
    assert ok(Api(gantry, successor["token"])("POST", "/api/v1/tokens/self/revoke"))["status"] == "revoked"
    assert query_status(gantry, successor["token"]) == 401

    ok(admin("POST", f"/api/v1/accesspolicies/{policy['id']}", {"status": "inactive"}, **REGION))
    assert query_status(gantry, second["token"]) == 401
    ok(admin("POST", f"/api/v1/accesspolicies/{policy['id']}", {"status": "active"}, **REGION))
    assert query_status(gantry, second["token"]) == 200
    events = [item["event"] for item in ok(admin("GET", "/api/audit", target="second"))["items"]]
    assert events[0] == "token.rotated" and events[-1] == "token.created"


def test_bearer_tokens(gantry, admin):
    token = ok(admin("POST", "/api/v1/tokens", {"kind": "cqm", "stack": "main", "name": "grafana-prod"}, **REGION))
    assert re.fullmatch(r"cqm_[0-9a-f]{48}", token["token"]) and token["kind"] == "cqm"
    assert gantry.post("/write", LINE, auth=("", token["token"])).status_code in (401, 403)
    listed = [t for t in ok(admin("GET", "/api/v1/tokens", name="grafana-prod", **REGION))["items"]]
    assert listed[0]["hint"].startswith("cqm_") and listed[0]["hint"].endswith(token["token"][-4:])
    policy = ok(admin("GET", f"/api/v1/accesspolicies/{token['accessPolicyId']}", **REGION))
    assert policy["source"] == "system" and policy["scopes"] == ["metrics:read"]
    refused(admin("POST", f"/api/v1/accesspolicies/{policy['id']}", {"scopes": ["metrics:write"]}, **REGION), 409, "Conflict")
    ok(admin("DELETE", f"/api/v1/tokens/{token['id']}", **REGION), 204)
    refused(admin("POST", "/api/v1/tokens", {"kind": "cqm", "stack": "nope", "name": "x"}, **REGION), 409, "InvalidArgument")


def test_stacks_live_and_die_while_the_server_runs(gantry, admin):
    made = ok(admin("POST", "/api/v1/stacks", {"name": "second", "slug": "second", "region": "prod-eu-1",
                                               "labels": {"team": "a"}, "settings": {"limits": {"activeSeriesMax": 2}}}))
    assert made["region"] == "prod-eu-1" and made["labels"] == {"team": "a"}
    stack = made["id"]
    realm = [{"type": "stack", "identifier": "second"}]
    token = ok(admin.token(ok(admin.policy("second", ["metrics:write", "metrics:read"], realm))["id"], "of-second"))["token"]
    write = lambda lines: gantry.post("/write", lines, auth=(stack, token))
    assert write(LINE).status_code == 204
    assert write("mem,host=a value=1\nmem,host=b value=1").status_code == 429, "the stack's own limit"
    ok(admin("POST", f"/api/v1/stacks/{stack}", {"settings": {"limits": {"activeSeriesMax": 100}}, "deleteProtection": True}))
    assert write("mem,host=a value=1\nmem,host=b value=1").status_code == 204
    answer = requests.get(f"{gantry.url}/api/v1/query", params={"query": "cpu"}, auth=(stack, token), timeout=10)
    assert len(answer.json()["data"]["result"]) == 1
    assert gantry.query("cpu") == [], "stacks do not see each other"

    old_shape = ok(admin("GET", "/api/instances/second"))
    assert old_shape["id"] == int(stack) and old_shape["hmInstancePromId"] == int(stack)
    assert old_shape["regionSlug"] == "prod-eu-1"
    connections = ok(admin("GET", f"/api/v1/stacks/{stack}/connections"))
    assert connections["otlp"]["url"].endswith("/otlp")
    listed = ok(admin("GET", "/api/instances", pageSize=1, page=2))
    assert (listed["total"], listed["pages"], listed["page"]) == (2, 2, 2) and listed["items"][0]["slug"] == "second"
    ok(admin("GET", "/api/v1/tokens", region="prod-eu-1"))

    refused(admin("DELETE", f"/api/v1/stacks/{stack}"), 409, "Conflict")
    ok(admin("POST", "/api/v1/stacks/second", {"deleteProtection": False}))
    ok(admin("DELETE", "/api/v1/stacks/second"), 204)
    assert write(LINE).status_code == 401
    refused(admin("GET", "/api/v1/stacks/second"), 404, "NotFound")
    assert not (gantry.data / "stacks" / stack).exists()
    assert (gantry.data / "deleted-stacks" / stack / "metrics").is_dir()
    again = ok(admin("POST", "/api/v1/stacks", {"name": "second"}))
    assert again["id"] != stack, "instance ids are never given twice"
    body = refused(admin("POST", "/api/v1/stacks", {"name": "x", "settings": {"retension": "1d"}}), 409, "InvalidArgument")
    assert body["fields"][0]["path"] == "settings.retension"


def test_stacks_outlive_a_restart(make_gantry):
    gantry = make_gantry().start()
    admin = Api(gantry, gantry.first_start["admin_token"])
    stack = ok(admin("POST", "/api/v1/stacks", {"name": "kept"}))["id"]
    gone = ok(admin("POST", "/api/v1/stacks", {"name": "gone"}))["id"]
    ok(admin("DELETE", "/api/v1/stacks/gone"), 204)
    token = ok(admin.token(ok(admin.policy("kept", ["metrics:write", "metrics:read"], [{"type": "stack", "identifier": stack}]))["id"], "k"))["token"]
    assert gantry.post("/write", LINE, auth=(stack, token)).status_code == 204
    gantry.kill()
    gantry.start()
    answer = requests.get(f"{gantry.url}/api/v1/query", params={"query": "cpu"}, auth=(stack, token), timeout=10)
    assert len(answer.json()["data"]["result"]) == 1
    assert not (gantry.data / "stacks" / gone).exists()


def test_legacy_keys_are_off_until_asked_for(gantry, admin, make_gantry):
    refused(admin("POST", "/api/orgs/main/api-keys", {"name": "k", "role": "Viewer"}), 409, "Conflict")
    other = make_gantry("legacy", environment={"GANTRY_ACCESS_LEGACY_KEYS": "true"}).start()
    api = Api(other, other.first_start["admin_token"])
    key = ok(api("POST", "/api/orgs/main/api-keys", {"name": "publisher", "role": "MetricsPublisher"}))
    assert key["token"].startswith("eyJrIjoi")
    assert other.post("/write", LINE, auth=("1000000", key["token"])).status_code == 204
    assert requests.get(f"{other.url}/api/v1/query?query=1", auth=("1000000", key["token"]), timeout=10).status_code == 403
    assert [item["role"] for item in ok(api("GET", "/api/orgs/main/api-keys"))["items"]] == ["MetricsPublisher"]
    refused(api("POST", "/api/orgs/main/api-keys", {"name": "x", "role": "Root"}), 409, "InvalidArgument")
    ok(api("DELETE", "/api/orgs/main/api-keys/publisher"), 204)
    assert other.post("/write", LINE, auth=("1000000", key["token"])).status_code == 401


def test_keys_of_another_system_are_let_in_by_their_hash(gantry, admin):
    key = base64.b64encode(b'{"k":"0123456789abcdef0123456789abcdef01234567","n":"old","id":7}').decode()
    digest = hashlib.sha256(key.encode()).hexdigest()
    status = lambda secret: requests.get(f"{gantry.url}/api/v1/query?query=1", auth=("1000000", secret), timeout=10).status_code
    assert status(key) == 401
    made = ok(admin("POST", "/api/orgs/main/api-keys", {"name": "from-cloud", "role": "Viewer", "sha256": digest}))
    assert "token" not in made and made["role"] == "Viewer"
    deadline = time.monotonic() + 10
    while status(key) == 401 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status(key) == 200
    assert status(digest) == 401, "the hash itself opens nothing"
    refused(admin("POST", "/api/orgs/main/api-keys", {"name": "again", "role": "Admin", "sha256": digest}), 409, "Conflict")
    wrong = refused(admin("POST", "/api/orgs/main/api-keys", {"name": "x", "role": "Viewer", "sha256": "12"}), 409,
                    "InvalidArgument")
    assert wrong["fields"][0]["path"] == "sha256"
    ok(admin("DELETE", "/api/orgs/main/api-keys/from-cloud"), 204)
    assert status(key) == 401


def test_aliases_are_user_names_of_one_signal(gantry, admin):
    made = ok(admin("POST", "/api/v1/stacks", {"name": "aliased", "metricsId": 4711, "tracesId": "4712"}))
    assert (made["metricsId"], made["logsId"], made["tracesId"]) == ("4711", made["id"], "4712")
    policy = ok(admin.policy("aliased", ["metrics:write"], [{"type": "stack", "identifier": "aliased"}]))
    token = ok(admin.token(policy["id"], "of-aliased"))["token"]
    status = lambda user: gantry.post("/write", LINE, auth=(user, token)).status_code
    assert status("4711") == 204 and status(made["id"]) == 204
    assert status("4712") == 401, "that of another signal"
    old_shape = ok(admin("GET", "/api/instances/aliased"))
    assert (old_shape["hmInstancePromId"], old_shape["htInstanceId"], old_shape["id"]) == (4711, 4712, int(made["id"]))
    tenants = {each["type"]: each["id"] for each in ok(admin("GET", "/api/v1/stacks/aliased/connections"))["tenants"]}
    assert tenants == {"prometheus": "4711", "influx": "4711", "otlp": made["id"]}

    taken = refused(admin("POST", "/api/v1/stacks/main", {"logsId": 4711}), 409, "Conflict")
    assert "4711" in taken["message"]
    for wrong in (0, -1, 2**32, "x", 1.5, True):
        body = refused(admin("POST", "/api/v1/stacks/aliased", {"metricsId": wrong}), 409, "InvalidArgument")
        assert body["fields"][0]["path"] == "metricsId", wrong
    changed = ok(admin("POST", "/api/v1/stacks/aliased", {"metricsId": None, "logsId": 4713}))
    assert (changed["metricsId"], changed["logsId"], changed["tracesId"]) == (made["id"], "4713", "4712")
    assert status("4711") == 401
    ok(admin("DELETE", "/api/v1/stacks/aliased"), 204)


def test_a_policys_sample_limit_holds_for_its_tokens(gantry, admin):
    for i in range(20):
        assert gantry.post("/write", f"limited,host=h{i} value=1").status_code == 204
    limited = ok(admin.policy("few-samples", attributes={"queryPolicy": {"maxSamples": 10}}))
    token = ok(admin.token(limited["id"], "few-samples"))["token"]

    def query(expression):
        return requests.get(f"{gantry.url}/api/v1/query", params={"query": expression}, timeout=10,
                            headers={"Authorization": f"Bearer {token}"})

    assert len(ok(query('limited{host="h1"}'))["data"]["result"]) == 1
    over = query("limited")
    assert over.status_code == 422 and over.json()["errorType"] == "execution", over.text
    assert "query processing would load too many samples into memory" in over.json()["error"]
    assert len(gantry.query("limited")) == 20, "others are not bound by it"


def test_odd_bytes_in_a_user_agent_are_kept_as_text(gantry, admin):
    policy = ok(admin.policy("odd-agents"))
    token = ok(admin.token(policy["id"], "odd-agents"))["token"]
    agent = b"caf\xe9 \xff\xfe \xf0\x9f\x9a\x80 " + b"x" * 300
    with socket.create_connection(("127.0.0.1", gantry.http_port), timeout=10) as connection:
        connection.sendall(b"GET /api/v1/query?query=1 HTTP/1.1\r\nHost: gantry\r\nConnection: close\r\n"
                           b"Authorization: Bearer " + token.encode() + b"\r\nUser-Agent: " + agent + b"\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    found = []
    deadline = time.monotonic() + 10
    while not found and time.monotonic() < deadline:
        time.sleep(0.1)
        items = ok(admin("GET", "/api/audit", event="auth.first_use", target="odd-agents"))["items"]
        found = [item for item in items if item["target"]["name"] == "odd-agents"]
    kept = found[0]["userAgent"]
    assert "caf" in kept and "\N{ROCKET}" in kept and len(kept.encode()) <= 200
    assert ok(admin("GET", "/api/audit"))["items"], "the log is whole"


def test_requests_are_rationed(make_gantry):
    gantry = make_gantry(environment={"GANTRY_ACCESS_CONTROL_REQUESTS_PER_MINUTE": "3"}).start()
    admin = Api(gantry, gantry.first_start["admin_token"])
    answers = [admin("GET", "/api/orgs") for _ in range(8)]
    limited = next(answer for answer in answers if answer.status_code == 429)
    refused(limited, 429, "TooManyRequests")
    assert 1 <= int(limited.headers["Retry-After"]) <= 60


def test_the_audit_log_can_be_read_and_exported(admin):
    ok(admin.policy("audited"))
    page = ok(admin("GET", "/api/audit", event="accesspolicy.", pageSize=1))
    newest = page["items"][0]
    assert newest["event"] == "accesspolicy.created" and newest["target"]["name"] == "audited"
    assert newest["actor"]["type"] == "token" and newest["ip"] == "127.0.0.1"
    following = ok(admin("GET", "/api/audit", event="accesspolicy.", pageSize=1,
                         pageCursor=page["metadata"]["pagination"]["nextCursor"]))
    assert following["items"][0]["id"] < newest["id"]
    export = admin("GET", "/api/audit", format="ndjson")
    assert export.headers["Content-Type"] == "application/x-ndjson"
    lines = export.text.splitlines()
    assert len(lines) > 5 and all(line.startswith("{") for line in lines)
    refused(admin("GET", "/api/audit", **{"from": "yesterday"}), 409, "InvalidArgument")
