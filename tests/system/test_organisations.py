"""What people do with organisations: super-admins delete them, editors make tokens for themselves."""

import os
import subprocess
import time

import pytest
import requests

from console_client import INSECURE_DEV, Console, admin
from gantry_process import BINARY, Gantry

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def gantry(tmp_path_factory):
    process = Gantry(tmp_path_factory.mktemp("organisations") / "data", environment=INSECURE_DEV).start()
    yield process
    assert process.stop() == 0, process.log()


@pytest.fixture
def boss(gantry):
    return admin(gantry)


def ok(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json() if answer.text else None


def add_person(boss, login, role, org="main") -> Console:
    body = {"login": login, "role": role, "orgId": org}
    secret = ok(boss.call("POST", "/api/admin/users", body))["passwordLink"]["url"].split("#")[1]
    person = Console(boss.url)
    ok(person.call("POST", "/api/session/link/password", {"secret": secret, "newPassword": PASSWORD}))
    ok(person.sign_in(login, PASSWORD))
    return person


def query_status(gantry, token):
    return requests.get(f"{gantry.url}/api/v1/query?query=1", headers={"Authorization": f"Bearer {token}"},
                        timeout=10).status_code


def events(boss, **query):
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return [item["event"] for item in ok(boss.call("GET", f"/api/audit?pageSize=1000&{text}"))["items"]]


def test_an_organisation_is_deleted_with_all_that_is_its_own(gantry, boss):
    org = ok(boss.call("POST", "/api/orgs", {"slug": "acme"}))
    ours = f"orgId={org['id']}"
    ok(boss.call("POST", f"/api/v1/stacks?{ours}", {"name": "acme-prod"}))
    policy = ok(boss.call("POST", f"/api/v1/accesspolicies?region=local&{ours}", {
        "name": "readers", "scopes": ["metrics:read"], "realms": [{"type": "stack", "identifier": "acme-prod"}]}))
    token = ok(boss.call("POST", f"/api/v1/tokens?region=local&{ours}", {"accessPolicyId": policy["id"], "name": "grafana"}))
    eve = add_person(boss, "eve", "Admin", "acme")
    assert query_status(gantry, token["token"]) == 200

    not_hers = eve.call("DELETE", "/api/orgs/acme")
    assert not_hers.status_code == 403 and "super-admins" in not_hers.json()["message"]
    refused = boss.call("DELETE", "/api/orgs/acme")
    assert refused.status_code == 409 and "acme-prod" in refused.json()["message"], refused.text
    ok(boss.call("DELETE", f"/api/v1/stacks/acme-prod?{ours}"), 204)
    ok(boss.call("DELETE", "/api/orgs/acme", headers={"x-request-id": "delete-acme"}), 204)

    assert query_status(gantry, token["token"]) == 401
    assert boss.call("GET", "/api/orgs/acme").status_code == 404
    assert [each["slug"] for each in ok(boss.call("GET", "/api/orgs"))["items"]] == ["main"]
    assert eve.call("GET", "/api/session").status_code == 401, "her sessions ended with her place"
    assert "eve" in [user["login"] for user in ok(boss.call("GET", "/api/admin/users"))], "people stay"
    seen = events(boss, target="acme") + events(boss, target="grafana") + events(boss, target="readers")
    assert seen[0] == "org.deleted" and {"token.revoked", "accesspolicy.deleted"} <= set(seen)
    assert "member.removed" in events(boss, target="eve")
    again = ok(boss.call("POST", "/api/orgs", {"slug": "acme"}))
    assert again["id"] > org["id"], "ids are never given again"
    ok(boss.call("DELETE", f"/api/orgs/{again['id']}"), 204)


def test_the_command_line_signs_in_for_what_tokens_may_not(gantry, tmp_path):
    first = gantry.first_start
    password = tmp_path / "password"
    password.write_text(first["admin_password"] + "\n")

    def run(*arguments, stdin="", **environment):
        return subprocess.run([BINARY, *arguments, "--url", gantry.url], capture_output=True, text=True, timeout=30,
                              check=False, input=stdin, env=os.environ | environment)

    made = run("org", "create", "by-hand", "--user", first["admin_user"], "--password-file", str(password))
    assert made.returncode == 0 and "slug: by-hand" in made.stdout, made.stderr
    listed = run("org", "list", GANTRY_USER=first["admin_user"], GANTRY_PASSWORD=first["admin_password"])
    assert "by-hand" in listed.stdout, listed.stderr
    gone = run("org", "delete", "by-hand", "--user", first["admin_user"], "--password-file", "-",
               stdin=first["admin_password"] + "\n")
    assert gone.returncode == 0 and "status: deleted" in gone.stdout, gone.stderr
    assert run("org", "list", "--user", "admin").returncode == 2, "no password"
    wrong = run("org", "list", "--user", "admin", GANTRY_PASSWORD="wrong horse battery")
    assert wrong.returncode == 1 and "Invalid user name or password" in wrong.stderr
    assert "wrong horse" not in wrong.stderr
    sessions = ok(admin(gantry).call("GET", "/api/user/auth-tokens"))
    assert len(sessions) <= 3, "each command ends its session"


def test_an_editor_makes_tokens_for_themselves(gantry, boss):
    ada = add_person(boss, "ada", "Editor")
    bob = add_person(boss, "bob", "Editor")
    vera = add_person(boss, "vera", "Viewer")
    body = {"name": "ada-laptop", "scopes": ["metrics:read"], "stack": "main", "expiresAt": "2099-01-01T00:00:00Z"}
    made = ok(ada.call("POST", "/api/user/tokens", body))
    assert made["token"].startswith("glc_") and made["createdBy"] == "ada"
    assert made["hint"][-4:] in made["token"]
    assert query_status(gantry, made["token"]) == 200
    listed = ok(ada.call("GET", "/api/user/tokens"))["items"]
    assert [each["name"] for each in listed] == ["ada-laptop"] and "token" not in listed[0]
    assert ok(bob.call("GET", "/api/user/tokens"))["items"] == []
    assert bob.call("DELETE", f"/api/user/tokens/{made['id']}").status_code == 404

    for scopes in (["metrics:write"], ["accesspolicies:write"], ["audit:read"]):
        beyond = ada.call("POST", "/api/user/tokens", {"name": "x", "scopes": scopes})
        assert beyond.status_code == 403 and scopes[0] in beyond.json()["message"], beyond.text
    assert vera.call("POST", "/api/user/tokens", body | {"name": "x"}).status_code == 403
    assert ada.call("POST", "/api/user/tokens", body).status_code == 409, "the name is taken"
    assert ada.call("GET", "/api/v1/tokens?region=local").status_code == 403, "her own and no others"
    with_token = requests.get(f"{gantry.url}/api/user/tokens",
                              headers={"Authorization": f"Bearer {gantry.first_start['admin_token']}"}, timeout=10)
    assert with_token.status_code == 403

    second = ok(ada.call("POST", "/api/user/tokens", body | {"name": "ada-desktop"}))
    ok(ada.call("DELETE", f"/api/user/tokens/{second['id']}"), 204)
    assert query_status(gantry, second["token"]) == 401
    ada_id = ok(boss.call("GET", "/api/users/lookup?loginOrEmail=ada"))["id"]
    ok(boss.call("PATCH", f"/api/orgs/main/users/{ada_id}", {"role": "Viewer"}))
    deadline = time.monotonic() + 5
    while query_status(gantry, made["token"]) != 401 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert query_status(gantry, made["token"]) == 401, "a viewer has no tokens"
    assert events(boss, event="token.", actor="ada") == ["token.revoked", "token.created", "token.created"]
