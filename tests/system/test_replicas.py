"""Two processes with data directories of their own on one PostgreSQL database."""

import os
import shutil
import subprocess

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
