"""Copies of the state database: a backup beside the running server, and the way to PostgreSQL."""

import os
import shutil
import stat
import subprocess

import pytest
import requests

from gantry_process import BINARY
from postgres_server import PostgresServer, find_programs

PASSWORD = "never-shown-hunter2"


def run(*arguments, environment=None):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False,
                          env=os.environ | (environment or {}))


def add_token(gantry, name):
    admin = {"Authorization": f"Bearer {gantry.first_start['admin_token']}"}
    policies = requests.get(f"{gantry.url}/api/v1/accesspolicies?region=local&name=read", headers=admin, timeout=10).json()
    made = requests.post(f"{gantry.url}/api/v1/tokens?region=local", headers=admin, timeout=10,
                         json={"accessPolicyId": policies["items"][0]["id"], "name": name})
    assert made.status_code == 200, made.text
    return made.json()["token"]


def query_status(gantry, token):
    return requests.get(f"{gantry.url}/api/v1/query?query=1", headers={"Authorization": f"Bearer {token}"},
                        timeout=10).status_code


def test_a_backup_made_beside_the_server_is_good_with_its_key(make_gantry, tmp_path):
    gantry = make_gantry().start()
    before = add_token(gantry, "before")
    copy = tmp_path / "backups" / "control.db"
    copy.parent.mkdir()
    done = run("backup", "--data", gantry.data, "--output", copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{copy}\n"
    for key in ("secret.key", "keyring.json"):
        assert str(gantry.data / key) in done.stderr, "what else there is to keep"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    after = add_token(gantry, "after")

    again = run("backup", "--data", gantry.data, "--output", copy)
    assert again.returncode == 1 and "overwrites nothing" in again.stderr
    named = run("backup", "--data", gantry.data, "--output", copy.parent)
    assert named.returncode == 0 and named.stdout.startswith(str(copy.parent / "gantry-2")), named.stderr
    assert not [path for path in copy.parent.iterdir() if path.suffix == ".tmp"]

    restored = make_gantry("restored")
    restored.data.mkdir()
    shutil.copy(copy, restored.data / "gantry.db")
    with pytest.raises(AssertionError, match="secret.key is missing"):
        restored.start()
    shutil.copy(gantry.data / "secret.key", restored.data)
    restored.start()
    assert query_status(restored, before) == 200
    assert query_status(restored, after) == 401, "it was not there yet"


def test_what_cannot_be_backed_up_is_said(tmp_path):
    missing = run("backup", "--data", tmp_path, "--output", tmp_path / "copy.db")
    assert missing.returncode == 1 and "gantry.db" in missing.stderr
    elsewhere = run("backup", "--data", tmp_path, "--output", tmp_path / "copy.db",
                    environment={"GANTRY_STATE_URL": f"postgres://gantry:{PASSWORD}@db/gantry"})
    assert elsewhere.returncode == 1 and "pg_dump" in elsewhere.stderr and PASSWORD not in elsewhere.stderr
    assert run("backup", "--data", tmp_path).returncode == 2


@pytest.fixture
def postgres():
    programs = find_programs()
    if programs is None:
        assert "GANTRY_REQUIRE_POSTGRES" not in os.environ
        pytest.skip("no PostgreSQL server: neither /usr/lib/postgresql/*/bin nor PATH has initdb")
    server = PostgresServer(programs).start()
    yield server
    server.remove()


def test_the_state_moves_to_postgresql(make_gantry, postgres):
    gantry = make_gantry().start()
    token = add_token(gantry, "moved")
    environment = {"GANTRY_STATE_URL": postgres.url(PASSWORD)}
    copy = lambda: run("state", "copy", "--data", gantry.data, environment=environment)
    running = copy()
    assert running.returncode == 1 and str(gantry.process.pid) in running.stderr, running.stderr
    assert gantry.stop() == 0
    done = copy()
    assert done.returncode == 0, done.stderr
    assert "4 rows of tokens" in done.stdout and PASSWORD not in done.stdout + done.stderr
    twice = copy()
    assert twice.returncode == 1 and "already" in twice.stderr and PASSWORD not in twice.stderr

    (gantry.data / "gantry.db").rename(gantry.data / "gantry.db.old")
    gantry.environment |= environment
    gantry.start()
    assert query_status(gantry, token) == 200
    assert query_status(gantry, gantry.first_start["read_token"]) == 200
    add_token(gantry, "made-there")
    audit = requests.get(f"{gantry.url}/api/audit?event=token.created&pageSize=1000", timeout=10,
                         headers={"Authorization": f"Bearer {gantry.first_start['admin_token']}"}).json()
    assert [item["target"]["name"] for item in audit["items"]][:2] == ["made-there", "moved"]
    assert gantry.stop() == 0


def test_a_copy_needs_somewhere_to_go(tmp_path):
    nowhere = run("state", "copy", "--data", tmp_path)
    assert nowhere.returncode == 1 and "state.url" in nowhere.stderr
    assert run("state").returncode == 2
