"""The keys that seal secrets: made, checked at the start, rotated beside the server."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess

import pytest

from gantry_process import BINARY
from test_replicas import PASSWORD, postgres  # noqa: F401 (a fixture)


def run(*arguments, environment=None):
    return subprocess.run([BINARY, "keyring", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          check=False, env=os.environ | (environment or {}))


def read_keyring(gantry) -> dict:
    return json.loads((gantry.data / "keyring.json").read_text())


def rows(gantry, sql: str) -> list:
    with sqlite3.connect(gantry.data / "gantry.db") as db:
        return db.execute(sql).fetchall()


def unlock_failures(gantry) -> list:
    return [reason for (reason,) in rows(gantry, "SELECT reason FROM audit_events WHERE event = 'keyring.unlock_failed'")]


def test_the_first_start_makes_one_for_itself(make_gantry):
    gantry = make_gantry().start()
    assert stat.S_IMODE((gantry.data / "keyring.json").stat().st_mode) == 0o600
    keyring = read_keyring(gantry)
    assert keyring["active"] == "k1" and list(keyring["keys"]) == ["k1"]
    assert keyring["keys"]["k1"] not in gantry.log()
    assert gantry.stop() == 0
    gantry.start()
    assert read_keyring(gantry) == keyring


def test_a_start_is_refused_with_what_is_wrong(make_gantry):
    gantry = make_gantry().start()
    gantry.stop()
    file = gantry.data / "keyring.json"
    file.chmod(0o644)
    with pytest.raises(AssertionError, match="keyring.json has mode 0644, others than its owner may use it: chmod 600"):
        gantry.start()
    file.chmod(0o600)
    kept = file.read_text()
    file.write_text("{}")
    with pytest.raises(AssertionError, match='keyring.json: "active" is not the id of a key'):
        gantry.start()
    file.unlink()
    made = run("init", "--data", gantry.data)
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"{file}\n"
    other = file.read_text()
    file.write_text(kept)
    with pytest.raises(AssertionError, match="keyring.json is not the keyring of the secrets in this database"):
        gantry.start()
    assert unlock_failures(gantry) == ["the keyring is missing, unsafe or not that of this database"] * 2
    file.write_text(other)
    gantry.start()


def test_a_key_that_is_in_use_is_missed(make_gantry):
    gantry = make_gantry().start()
    gantry.stop()
    with sqlite3.connect(gantry.data / "gantry.db") as db:
        db.execute("INSERT INTO data_keys SELECT id, 1, 'k0', 'k0', 'gsec1.k0.1.xc20p.A.A', 0, 0 FROM organisations")
    with pytest.raises(AssertionError, match='keyring.json has no key "k0", which 1 data keys of this database'):
        gantry.start()
    (gantry.data / "keyring.json").rename(gantry.data / "away")
    with pytest.raises(AssertionError, match="keyring.json is missing, and without it no secret in"):
        gantry.start()
    refused = run("init", "--data", gantry.data)
    assert refused.returncode == 1 and "restore that one, or copy it from another replica" in refused.stderr


def test_keys_are_rotated_beside_the_server(make_gantry):
    gantry = make_gantry().start()
    before = read_keyring(gantry)
    rotated = run("rotate", "--data", gantry.data)
    assert rotated.returncode == 0, rotated.stderr
    assert rotated.stdout == f"{gantry.data / 'keyring.json'}: the active key is k2 now\n"
    after = read_keyring(gantry)
    assert after["active"] == "k2" and after["keys"]["k1"] == before["keys"]["k1"]
    assert stat.S_IMODE((gantry.data / "keyring.json").stat().st_mode) == 0o600
    rewrapped = run("rewrap", "--data", gantry.data)
    assert rewrapped.returncode == 0, rewrapped.stderr
    assert "needs no more, but for older backups: k1\n" in rewrapped.stdout
    assert [target for (target,) in rows(gantry, "SELECT target_name FROM audit_events WHERE event = 'keyring.rotated'")
            ] == ["keyring.json"]
    del after["keys"]["k1"]
    (gantry.data / "keyring.json").write_text(json.dumps(after))
    gantry.stop()
    gantry.start()
    for text in (rotated.stdout, rotated.stderr, rewrapped.stdout, rewrapped.stderr, gantry.log()):
        assert after["keys"]["k2"] not in text and before["keys"]["k1"] not in text


def test_the_variable_comes_before_the_file(make_gantry):
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    environment = {"GANTRY_MASTER_KEY": key}
    gantry = make_gantry(environment=environment).start()
    assert not (gantry.data / "keyring.json").exists()
    assert "GANTRY_MASTER_KEY is not a setting" not in gantry.log() and key not in gantry.log()
    refused = run("rotate", "--data", gantry.data, environment=environment)
    assert refused.returncode == 1
    assert "the keyring comes from GANTRY_MASTER_KEY, which is changed where it is made" in refused.stderr


def test_a_database_of_another_version_is_left_alone(make_gantry):
    gantry = make_gantry().start()
    gantry.stop()
    with sqlite3.connect(gantry.data / "gantry.db") as db:
        db.execute("DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)")
    refused = run("rotate", "--data", gantry.data)
    assert refused.returncode == 1 and "start the server with this one first" in refused.stderr
    assert read_keyring(gantry)["active"] == "k1"


def test_init_before_the_first_start(make_gantry):
    gantry = make_gantry()
    gantry.data.mkdir(exist_ok=True)
    assert run("rotate", "--data", gantry.data).returncode == 1
    assert run("init", "--data", gantry.data).returncode == 0
    keyring = read_keyring(gantry)
    again = run("init", "--data", gantry.data)
    assert again.returncode == 1 and "File exists" in again.stderr
    gantry.start()
    assert read_keyring(gantry) == keyring


def test_replicas_share_one(make_gantry, postgres):  # noqa: F811
    environment = {"GANTRY_STATE_URL": postgres.url(PASSWORD)}
    first = make_gantry("first", environment=environment).start()
    assert not (first.data / "keyring.json").exists(), "one of its own would be of no use to the others"
    made = run("init", "--data", first.data, environment=environment)
    assert made.returncode == 0, made.stderr
    second = make_gantry("second", environment=environment)
    second.data.mkdir(exist_ok=True)
    shutil.copy(first.data / "secret.key", second.data)
    shutil.copy(first.data / "keyring.json", second.data)
    second.start()
    rotated = run("rotate", "--data", first.data, environment=environment)
    assert rotated.returncode == 0 and "Copy it to the other replicas at once." in rotated.stderr, rotated.stderr
    second.stop()
    second.start()
    assert run("rewrap", "--data", first.data, environment=environment).returncode == 0
    second.stop()
    with pytest.raises(AssertionError, match="keyring.json is not the keyring of the secrets in this database"):
        second.start()
    shutil.copy(first.data / "keyring.json", second.data)
    second.start()
