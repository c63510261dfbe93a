"""`gantry org|stack|policy|token|user|audit …` against a running server."""

import json
import os
import re
import subprocess

import pytest
import requests

from gantry_process import BINARY

FAMILIES = {
    "org": ["list", "get", "create", "rename", "delete"],
    "stack": ["list", "get", "connections", "create", "update", "delete"],
    "policy": ["list", "get", "create", "update", "delete"],
    "gateway-keys": ["list", "create", "get", "update", "delete"],
    "token": ["list", "get", "create", "import-key", "rotate", "disable", "enable", "revoke", "self"],
    "destinations": ["list", "add", "test", "show", "enable", "disable", "delete", "replay", "rules",
                     "dead-letters"],
    "user": ["list", "get", "create", "disable", "enable", "password-link", "logout", "delete"],
}


def run(*arguments, environment=None):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=30, check=False,
                          env=os.environ | (environment or {}))


@pytest.fixture(scope="module")
def cli(gantry):
    environment = {"GANTRY_URL": gantry.url, "GANTRY_TOKEN": gantry.first_start["admin_token"]}

    def call(*arguments):
        done = run(*arguments, "--json", environment=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    call.environment = environment
    return call


def test_every_command_explains_itself():
    for family, commands in FAMILIES.items():
        shown = run(family, "--help")
        assert shown.returncode == 0 and all(command in shown.stdout for command in commands), shown.stdout
        for command in commands:
            assert run(family, command, "--help").returncode == 0, (family, command)
        assert run(family).returncode == 2
    assert "--event" in run("audit", "--help").stdout


def test_a_bearer_token_from_making_to_revoking(gantry, cli):
    token = cli("token", "create", "--bearer", "--stack", "main", "--name", "grafana-prod")
    assert re.fullmatch(r"cqm_[0-9a-f]{48}", token["token"])
    assert list(token)[0] == "id"
    query = f"{gantry.url}/metrics-api-bearer/api/v1/query?query=1"
    headers = {"Authorization": f"Bearer {token['token']}"}
    served = requests.get(query, headers=headers, timeout=10).status_code
    listed = cli("token", "list")
    assert token["id"] in [each["id"] for each in listed] and not any("token" in each for each in listed)
    table = run("token", "list", environment=cli.environment)
    assert table.stdout.splitlines()[0].split()[:3] == ["ID", "NAME", "KIND"] and "grafana-prod" in table.stdout
    assert cli("token", "revoke", token["id"]) == {"id": token["id"], "status": "revoked"}
    assert token["id"] not in [each["id"] for each in cli("token", "list")]
    assert cli("token", "get", token["id"])["status"] == "revoked"
    if served != 404:
        assert served == 200 and requests.get(query, headers=headers, timeout=10).status_code == 401


def test_policies_and_their_tokens(gantry, cli):
    policy = cli("policy", "create", "writers", "--scope", "metrics:write,metrics:read", "--realm", "stack:main",
                 "--subnet", "127.0.0.0/8", "--display-name", "Writers")
    assert policy["scopes"] == ["metrics:write", "metrics:read"] and policy["conditions"]["allowedSubnets"] == ["127.0.0.0/8"]
    assert cli("policy", "get", "writers") == policy
    token = cli("token", "create", "--policy", "writers", "--name", "ci", "--expires", "90d")
    assert gantry.post("/write", "a value=1", auth=("1000000", token["token"])).status_code == 204
    assert cli("token", "disable", token["id"])["status"] == "expired"
    assert gantry.post("/write", "a value=1", auth=("1000000", token["token"])).status_code == 401
    assert cli("token", "enable", token["id"])["status"] == "active"
    assert cli("token", "rotate", token["id"], "--overlap", "1h")["name"] == "ci-r2"
    assert [each["name"] for each in cli("token", "list", "--policy", "writers")] == ["ci", "ci-r2"]
    assert cli("policy", "update", "writers", "--status", "inactive")["status"] == "inactive"
    assert "conditions" not in cli("policy", "update", "writers", "--from-anywhere")
    restricted = cli("policy", "create", "team-a", "--scope", "metrics:read", "--realm", "stack:main",
                     "--label-policy", '{team="a"}', "--label-policy", '{team="b",env!="prod"}')
    assert len(restricted["realms"][0]["labelPolicies"]) == 2
    for shown in (run("policy", "get", "team-a", environment=cli.environment),
                  run("policy", "list", environment=cli.environment)):
        assert 'stack:1000000 [{env!="prod",team="b"} or {team="a"}]' in shown.stdout, shown.stdout
    key = cli("token", "import-key", "--name", "old-key", "--role", "Viewer", "--sha256", "ab" * 32)
    assert key["role"] == "Viewer" and "token" not in key
    cli("policy", "delete", "writers")
    assert run("policy", "get", "writers", environment=cli.environment).returncode == 1
    events = [each["event"] for each in cli("audit", "--event", "accesspolicy.", "--target", "writers")]
    assert events[0] == "accesspolicy.deleted" and events[-1] == "accesspolicy.created"


def test_stacks_and_organisations(gantry, cli):
    stack = cli("stack", "create", "second", "--retention", "30d", "--label", "team=a")
    assert stack["settings"] == {"retention": "30d"} and stack["labels"] == {"team": "a"}
    assert [each["slug"] for each in cli("stack", "list")] == ["main", "second"]
    assert cli("stack", "update", "second", "--delete-protection", "on")["deleteProtection"] is True
    assert cli("stack", "update", "second", "--metrics-id", "4711")["metricsId"] == "4711"
    assert cli("stack", "update", "second", "--metrics-id", "none")["metricsId"] == stack["id"]
    kept = run("stack", "delete", "second", environment=cli.environment)
    assert kept.returncode == 1 and "protection" in kept.stderr
    cli("stack", "update", "second", "--delete-protection", "off")
    assert cli("stack", "delete", "second")["status"] == "deleted"
    assert cli("stack", "connections", "main")["otlp"]["url"].endswith("/otlp")
    assert [each["slug"] for each in cli("org", "list")] == ["main"]
    assert cli("org", "rename", "main", "The main one")["name"] == "The main one"
    assert cli("org", "get", "main")["name"] == "The main one"
    refused = run("org", "create", "another", environment=cli.environment)
    assert refused.returncode == 1 and "super-admin" in refused.stderr
    refused = run("org", "delete", "main", environment=cli.environment)
    assert refused.returncode == 1 and "super-admin" in refused.stderr


def test_people(cli):
    made = cli("user", "create", "ada", "--name", "Ada", "--role", "Editor")
    assert "#" in made["passwordLink"]["url"]
    assert "ada" in [each["login"] for each in cli("user", "list")]
    assert cli("user", "get", "ada")["name"] == "Ada"
    assert cli("user", "disable", "ada")["isDisabled"] is True
    cli("user", "delete", "ada")
    assert run("user", "get", "ada", environment=cli.environment).returncode == 1


def test_mistakes_are_explained(gantry, cli):
    no_token = run("token", "list", "--url", gantry.url, environment={"GANTRY_TOKEN": ""})
    assert no_token.returncode == 1 and "GANTRY_TOKEN" in no_token.stderr and no_token.stdout == ""
    nobody = run("token", "list", "--url", "http://127.0.0.1:1", "--token", "glc_x")
    assert nobody.returncode == 1 and "127.0.0.1" in nobody.stderr
    for arguments in (["token", "create", "--name", "x"], ["token", "create", "--bearer", "--name", "x"],
                      ["token", "create", "--bearer", "--stack", "main", "--name", "x", "--expires", "soon"],
                      ["policy", "create", "x", "--scope", "metrics:read", "--realm", "main"],
                      ["policy", "create", "x"], ["token", "frobnicate"], ["policy", "update", "x"]):
        done = run(*arguments, environment=cli.environment)
        assert done.returncode == 2 and done.stderr, arguments
    wrong = run("policy", "create", "x", "--scope", "nonsense:read", "--realm", "stack:main", environment=cli.environment)
    assert wrong.returncode == 1 and "scopes[0]" in wrong.stderr
    assert cli.environment["GANTRY_TOKEN"] not in no_token.stderr + wrong.stderr
