"""A read token that gets label policies sees only what they show, in the whole process."""

import json
import sqlite3
import time

import pytest

NOW = int(time.time())


def restrict_reader(gantry, selectors) -> None:
    """As the stored policy is read at the next start."""
    with sqlite3.connect(gantry.data / "gantry.db") as db:
        changed = db.execute("UPDATE policy_realms SET label_policies = ? "
                             "WHERE policy_id = (SELECT id FROM access_policies WHERE name = 'read')",
                             [json.dumps(selectors)]).rowcount
    assert changed == 1


@pytest.fixture
def restricted(make_gantry):
    def start(selectors):
        gantry = make_gantry().start()
        lines = "\n".join(f"seen,ns={ns},owner={owner} value={i} {NOW}"
                          for i, (ns, owner) in enumerate([("a", "x"), ("a", "y"), ("b", "secret"), ("c", "secret")]))
        assert gantry.post("/write", lines, precision="s").status_code == 204
        assert len(gantry.query("seen")) == 4
        assert gantry.stop() == 0
        restrict_reader(gantry, selectors)
        return gantry.start()

    return start


def test_only_what_the_policies_show(restricted):
    gantry = restricted(['{ns="a",owner="x"}', '{ns="a",owner=~"y|z"}'])
    assert sorted(s["metric"]["owner"] for s in gantry.query("seen")) == ["x", "y"]
    assert gantry.query("count(seen)")[0]["value"][1] == "2"
    assert gantry.query('seen{ns="b"}') == []
    assert gantry.data_of("/api/v1/label/owner/values") == ["x", "y"]
    assert gantry.data_of("/api/v1/label/ns/values", limit=1) == ["a"]
    assert len(gantry.data_of("/api/v1/series", **{"match[]": "seen"})) == 2
    assert "secret" not in gantry.get("/federate", **{"match[]": '{__name__=~".+"}'}).text
    for path in ("status/tsdb", "status/flags", "targets"):
        answer = gantry.get(f"/api/v1/{path}")
        assert answer.status_code == 403
        assert answer.json()["error"] == "endpoint not available on the read-only API"
    assert gantry.get("/api/v1/status/buildinfo").status_code == 200


def test_contradicting_parameters_are_refused(restricted):
    gantry = restricted(['{ns="a"}'])
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = gantry.post("/api/v1/query?query=seen", "query=other", headers=form, auth=gantry.read_auth)
    assert answer.status_code == 400
    assert answer.json()["errorType"] == "bad_data"


def test_a_policy_that_cannot_be_read_opens_nothing(restricted):
    gantry = restricted(["{ns="])
    assert gantry.get("/api/v1/query", query="1").status_code == 403
    assert "lbac.policy_error" in gantry.log()
