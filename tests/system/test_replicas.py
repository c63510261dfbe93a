"""Two processes with data directories of their own on one PostgreSQL database."""

import os
import shutil
import subprocess
import time

import pytest
import requests

from gantry_process import BINARY
from postgres_server import PostgresServer, find_programs

PASSWORD = "never-shown-hunter2"


@pytest.fixture
def postgres():
    programs = find_programs()
    if programs is None:
        assert "GANTRY_REQUIRE_POSTGRES" not in os.environ
        pytest.skip("no PostgreSQL server: neither /usr/lib/postgresql/*/bin nor PATH has initdb")
    server = PostgresServer(programs).start()
    yield server
    server.remove()


def test_replicas_share_who_may_do_what(make_gantry, postgres):
    environment = {"GANTRY_STATE_URL": postgres.url(PASSWORD)}
    first = make_gantry("first", environment=environment).start()
    second = make_gantry("second", environment=environment)
    with pytest.raises(AssertionError, match="copy secret.key from another replica"):
        second.start()
    assert not (second.data / "secret.key").exists()
    shutil.copy(first.data / "secret.key", second.data)
    second.start()
    assert not (second.data / "first-start.json").exists()
    assert str(first.data / "first-start.json") in second.log(), "where the login was printed"
    for gantry in (first, second):
        answer = requests.get(f"{gantry.url}/api/v1/query?query=1", auth=first.read_auth, timeout=30)
        assert answer.status_code == 200, answer.text
        assert PASSWORD not in gantry.log()
    config = requests.get(f"{first.url}/api/v1/status/config", auth=first.admin_auth, timeout=30).text
    assert "****" in config and PASSWORD not in config


def start_two(make_gantry, postgres):
    environment = {"GANTRY_STATE_URL": postgres.url(PASSWORD)}
    first = make_gantry("one", environment=environment).start()
    second = make_gantry("other", environment=environment)
    second.data.mkdir()
    shutil.copy(first.data / "secret.key", second.data)
    return first, second.start()


def test_a_token_revoked_on_one_is_refused_by_the_other(make_gantry, postgres):
    first, second = start_two(make_gantry, postgres)
    admin = {"Authorization": f"Bearer {first.first_start['admin_token']}"}

    def administer(method, path, **options):
        answer = requests.request(method, first.url + path, params={"region": "local"}, headers=admin, timeout=30,
                                  **options)
        assert answer.status_code < 300, answer.text
        return answer

    token = administer("POST", "/api/v1/tokens", json={"kind": "cqm", "stack": "main", "name": "shared"}).json()
    headers = {"Authorization": f"Bearer {token['token']}"}

    def ask():
        return requests.get(f"{second.url}/metrics-api-bearer/api/v1/query?query=1", headers=headers,
                            timeout=30).status_code

    assert [ask() for _ in range(3)] == [200, 200, 200], "known there, and kept in its cache"
    administer("DELETE", f"/api/v1/tokens/{token['id']}")
    revoked = time.monotonic()
    while ask() == 200:
        assert time.monotonic() - revoked < 1, "a revoked token is refused everywhere within a second"
        time.sleep(0.02)
    assert ask() == 401


def test_stacks_come_and_go_on_both(make_gantry, postgres):
    first, second = start_two(make_gantry, postgres)
    admin = {"Authorization": f"Bearer {first.first_start['admin_token']}"}

    def administer(method, path, **options):
        answer = requests.request(method, first.url + path, headers=admin, timeout=30, **options)
        assert answer.status_code < 300, answer.text
        return answer

    stack = administer("POST", "/api/instances", json={"name": "games"}).json()
    policy = administer("POST", "/api/v1/accesspolicies?region=local", json={
        "name": "games", "scopes": ["metrics:read", "metrics:write"],
        "realms": [{"type": "stack", "identifier": str(stack["id"])}]}).json()
    token = administer("POST", "/api/v1/tokens?region=local",
                       json={"accessPolicyId": policy["id"], "name": "games"}).json()["token"]
    auth = (str(stack["id"]), token)

    def write(line):
        return requests.post(f"{second.url}/api/v1/push/influx/write", data=line, auth=auth, timeout=30).status_code

    def within_a_second(is_done):
        began = time.monotonic()
        while not is_done():
            assert time.monotonic() - began < 1, second.log()
            time.sleep(0.02)

    within_a_second(lambda: write("score value=1") == 204)
    answer = requests.get(f"{second.url}/api/v1/query?query=score", auth=auth, timeout=30).json()
    assert answer["data"]["result"][0]["value"][1] == "1"
    administer("POST", "/api/instances/games", json={"settings": {"limits": {"activeSeriesMax": 1}}})
    counter = iter(range(1000))
    within_a_second(lambda: write(f"series{next(counter)} value=1") == 429)
    administer("DELETE", "/api/instances/games")
    within_a_second(lambda: write("score value=2") == 401)
    within_a_second(lambda: (second.data / "deleted-stacks" / str(stack["id"])).exists())
    assert first.stop() == 0 and second.stop() == 0


def test_an_outage_is_two_lines_in_the_log(make_gantry, postgres):
    gantry = make_gantry(environment={"GANTRY_STATE_URL": postgres.url(PASSWORD)}).start()
    postgres.stop()
    time.sleep(4)  # in which there were two lines a second
    postgres.start()
    deadline = time.monotonic() + 20
    while gantry.log().count("state database reached again") == 0 or "state database written again" not in gantry.log():
        assert time.monotonic() < deadline, gantry.log()
        time.sleep(0.1)
    lines = gantry.log().splitlines()
    for once in ("changes of access are not heard of", "state database not written", "state database reached again",
                 "state database written again"):
        assert sum(once in line for line in lines) == 1, gantry.log()
    assert "after_ms=" in next(line for line in lines if "written again" in line)


def test_the_server_outlives_its_database(make_gantry, postgres):
    gantry = make_gantry(environment={"GANTRY_STATE_URL": postgres.url(PASSWORD)}).start()
    assert gantry.post("/write", "kept value=1").status_code == 204
    postgres.stop()
    assert gantry.post("/write", "kept value=2").status_code == 204, "a token that was used is known"
    postgres.start()
    assert gantry.query("kept")[0]["value"][1] == "2"
    assert gantry.stop() == 0


def test_the_password_is_in_no_output(postgres):
    url = postgres.url(PASSWORD)
    printed = subprocess.run([BINARY, "check-config", "--data", "/tmp/x"], env=os.environ | {"GANTRY_STATE_URL": url},
                             capture_output=True, text=True, timeout=20, check=True)
    assert 'url: "****"' in printed.stdout
    broken = subprocess.run([BINARY, "check-config", "--data", "/tmp/x"],
                            env=os.environ | {"GANTRY_STATE_URL": f"postgres://a:{PASSWORD}%@host/x"},
                            capture_output=True, text=True, timeout=20, check=False)
    assert broken.returncode != 0
    assert PASSWORD not in printed.stdout + printed.stderr + broken.stdout + broken.stderr
