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


def test_a_token_revoked_on_one_is_refused_by_the_other(make_gantry, postgres):
    environment = {"GANTRY_STATE_URL": postgres.url(PASSWORD)}
    first = make_gantry("revoking", environment=environment).start()
    second = make_gantry("refusing", environment=environment)
    second.data.mkdir()
    shutil.copy(first.data / "secret.key", second.data)
    second.start()
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
