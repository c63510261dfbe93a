"""What the audit log has of the server itself, of its configuration, and of what was refused inside it."""

import os
import signal
import sqlite3
import time

import pytest
import requests

from console_client import INSECURE_DEV
from openid_provider import Provider


@pytest.fixture(scope="module")
def idp():
    provider = Provider()
    yield provider
    provider.stop()


def settings(idp, **more) -> dict:
    return INSECURE_DEV | {
        "GANTRY_OIDC_ISSUER": idp.issuer, "GANTRY_OIDC_CLIENT_ID": idp.client_id,
        "GANTRY_OIDC_CLIENT_SECRET": idp.client_secret, "GANTRY_OIDC_GROUP_RULES": "engineers=main:viewer",
        "GANTRY_EGRESS_ALLOW": "127.0.0.1/32",
    } | more


def events(gantry, event: str) -> list:
    """Newest first."""
    answer = requests.get(f"{gantry.url}/api/audit", params={"event": event}, timeout=30,
                          headers={"Authorization": f"Bearer {gantry.first_start['admin_token']}"})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def instance_events(gantry, event: str) -> list:
    """Those of the installation, which no organisation's token sees."""
    with sqlite3.connect(gantry.data / "gantry.db") as db:
        return db.execute("SELECT outcome, target_name, changes, reason FROM audit_events WHERE event = ? ORDER BY id",
                          [event]).fetchall()


def wait_for(read, count: int = 1) -> list:
    deadline = time.monotonic() + 10
    while len(found := read()) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_start_reload_and_stop(make_gantry, tmp_path):
    config = tmp_path / "gantry.yaml"
    config.write_text("query: {timeout: 1m}\n")
    gantry = make_gantry(arguments=["--config", str(config)]).start()
    wait_for(lambda: instance_events(gantry, "startup"))
    config.write_text("query: {timeout: 2m}\n")
    gantry.process.send_signal(signal.SIGHUP)
    outcome, _, changes, _ = wait_for(lambda: instance_events(gantry, "config.reloaded"))[0]
    assert outcome == "ok" and changes == '[{"field":"query.timeout","old":"1m","new":"2m"}]'
    config.write_text("query: {timeout: soon}\n")
    gantry.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: instance_events(gantry, "config.reloaded"), 2)[1][0] == "error"
    assert instance_events(gantry, "shutdown") == []
    assert gantry.stop() == 0
    assert len(instance_events(gantry, "shutdown")) == 1


def test_a_changed_provider_is_an_event(make_gantry, idp):
    gantry = make_gantry(environment=settings(idp)).start()
    assert len(instance_events(gantry, "oidc.config_changed")) == 1
    gantry.stop()
    gantry.start()
    assert len(instance_events(gantry, "oidc.config_changed")) == 1, "the same settings are no news"
    gantry.stop()
    gantry.environment |= {"GANTRY_OIDC_CLIENT_SECRET": "another-hunter2"}
    gantry.start()
    assert instance_events(gantry, "oidc.config_changed")[1][2] == (
        '[{"field":"client_secret","old":"set","new":"changed"}]')
    assert len(instance_events(gantry, "role_mapping.changed")) == 1
    gantry.stop()
    gantry.environment |= {"GANTRY_OIDC_GROUP_RULES": "engineers=main:admin", "GANTRY_EGRESS_ALLOW": "127.0.0.0/8"}
    gantry.start()
    assert instance_events(gantry, "role_mapping.changed")[1][2] == (
        '[{"field":"group_rules","old":"engineers=main:viewer","new":"engineers=main:admin"}]')
    assert '"new":"127.0.0.0/8"' in instance_events(gantry, "egress.allowlist_changed")[1][2]
    assert "hunter2" not in gantry.log()
    assert b"hunter2" not in (gantry.data / "gantry.db").read_bytes()


def test_a_blocked_destination_is_an_event(make_gantry, idp):
    gantry = make_gantry(environment=settings(idp, GANTRY_EGRESS_ALLOW="127.0.0.2/32")).start()
    assert requests.get(f"{gantry.url}/login/oidc/sso", timeout=30, allow_redirects=False).status_code == 403
    assert wait_for(lambda: instance_events(gantry, "egress.blocked"))[0][:2] == ("denied", idp.issuer)


def test_a_key_of_another_database_is_an_event(make_gantry):
    gantry = make_gantry().start()
    gantry.stop()
    kept = (gantry.data / "secret.key").read_bytes()
    other = make_gantry("other").start()
    other.stop()
    (gantry.data / "secret.key").write_bytes((other.data / "secret.key").read_bytes())
    os.chmod(gantry.data / "secret.key", 0o600)
    with pytest.raises(AssertionError, match="not the key"):
        gantry.start()
    assert [row[0] for row in instance_events(gantry, "keyring.unlock_failed")] == ["error"]
    (gantry.data / "secret.key").write_bytes(kept)
    gantry.start()
    assert instance_events(gantry, "keyring.rotated") == []


def test_deleted_series_are_named(make_gantry):
    gantry = make_gantry().start()
    assert gantry.post("/write", "load value=1").status_code == 204
    answer = requests.post(f"{gantry.url}/api/v1/admin/tsdb/delete_series", auth=gantry.admin_auth, timeout=30,
                           params={"match[]": ['load{a="b"}', "up"], "end": "1700000000"})
    assert answer.status_code == 204
    event = wait_for(lambda: events(gantry, "series.deleted"))[0]
    assert [(c["field"], c["old"]) for c in event["changes"]] == [
        ("match[]", 'load{a="b"}'), ("match[]", "up"), ("end", "1700000000")]
    assert event["actor"]["type"] == "token" and event["ip"] == "127.0.0.1"


def test_what_a_role_does_not_cover_is_an_event(make_gantry):
    gantry = make_gantry().start()
    reader = {"Authorization": f"Bearer {gantry.first_start['read_token']}"}
    for _ in range(2):
        assert requests.get(f"{gantry.url}/api/admin/users", headers=reader, timeout=30).status_code == 403
    denied = wait_for(lambda: events(gantry, "authz.denied"))
    assert [(e["target"]["id"], e["outcome"]) for e in denied] == [("/api/admin/users", "denied")]


def test_what_label_policies_forbid_is_an_event(make_gantry):
    gantry = make_gantry().start()
    admin = {"Authorization": f"Bearer {gantry.first_start['admin_token']}"}
    policy = requests.post(f"{gantry.url}/api/v1/accesspolicies?region=local", headers=admin, timeout=30, json={
        "name": "bound", "scopes": ["metrics:read"],
        "realms": [{"type": "stack", "identifier": "main", "labelPolicies": [{"selector": '{ns="a"}'}]}]}).json()
    token = requests.post(f"{gantry.url}/api/v1/tokens?region=local", headers=admin, timeout=30,
                          json={"accessPolicyId": policy["id"], "name": "bound"}).json()["token"]
    bound = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{gantry.url}/api/v1/query?query=up", headers=bound, timeout=30).status_code == 200
    for _ in range(3):
        assert requests.get(f"{gantry.url}/api/v1/status/tsdb", headers=bound, timeout=30).status_code == 403
        assert requests.post(f"{gantry.url}/api/v1/push/influx/write", headers=bound, data="a b=1",
                             timeout=30).status_code == 403
    denied = wait_for(lambda: events(gantry, "lbac.denied"), 2)
    assert {(e["target"]["type"], e["reason"]) for e in denied} == {("endpoint", "endpoint"), ("token", "restricted")}
    assert [e["target"]["id"] for e in denied if e["reason"] == "endpoint"] == ["/api/v1/status/tsdb"]
    assert all(e["outcome"] == "denied" and e["actor"]["id"] for e in denied)
