"""What a server tells about itself over the Prometheus API, and how series are deleted."""

import datetime
import os
import subprocess
import time

import pytest
import requests
from gantry_process import BINARY

NOW = int(time.time())


def rfc3339(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_buildinfo(gantry):
    data = gantry.data_of("/api/v1/status/buildinfo")
    assert set(data) == {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"}
    major, minor, _ = data["version"].split("+")[0].split(".")
    assert (int(major), int(minor)) >= (2, 37), "Grafana switches on what newer versions of Prometheus can do"
    assert "features" not in data, "Grafana would take it for Mimir"


def test_runtimeinfo(gantry):
    data = gantry.data_of("/api/v1/status/runtimeinfo")
    assert set(data) == {"startTime", "CWD", "hostname", "serverTime", "reloadConfigSuccess", "lastConfigTime",
                         "corruptionCount", "goroutineCount", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG",
                         "storageRetention"}
    assert data["reloadConfigSuccess"] is True
    assert rfc3339(data["startTime"]) <= rfc3339(data["serverTime"]) <= time.time() + 1
    assert data["GOMAXPROCS"] == os.cpu_count()
    assert data["CWD"] == os.getcwd()
    assert data["hostname"] == os.uname().nodename


def test_flags_and_config_agree_and_show_no_secret(gantry, tmp_path):
    flags = gantry.data_of("/api/v1/status/flags")
    assert flags["server.listen"] == f"127.0.0.1:{gantry.http_port}"
    assert flags["self.metrics"] == "false"
    text = gantry.data_of("/api/v1/status/config")["yaml"]
    assert f"listen: 127.0.0.1:{gantry.http_port}" in text.replace('"', "")
    (tmp_path / "shown.yaml").write_text(text)
    checked = subprocess.run([BINARY, "check-config", "--config", str(tmp_path / "shown.yaml")], capture_output=True,
                             text=True, timeout=10, check=False)
    assert checked.returncode == 0, checked.stderr
    for name in ("write_token", "read_token", "admin_token", "admin_password"):
        assert gantry.first_start[name] not in text + str(flags)


def test_tsdb(gantry):
    lines = "\n".join(f"cardinality,n={n},half={n % 2} value={n} {NOW}" for n in range(20))
    assert gantry.post("/write", lines, precision="s").status_code == 204
    data = gantry.data_of("/api/v1/status/tsdb")
    assert set(data) == {"headStats", "seriesCountByMetricName", "labelValueCountByLabelName", "memoryInBytesByLabelName",
                         "seriesCountByLabelValuePair"}
    assert data["headStats"]["numSeries"] >= 20
    assert data["headStats"]["minTime"] <= NOW * 1000 <= data["headStats"]["maxTime"]
    assert {"name": "cardinality", "value": 20} in data["seriesCountByMetricName"]
    assert {"name": "n", "value": 20} in data["labelValueCountByLabelName"]
    assert {"name": "half=1", "value": 10} in data["seriesCountByLabelValuePair"]
    for entries in data.values():
        if isinstance(entries, list):
            assert len(entries) <= 10
            assert [e["value"] for e in entries] == sorted((e["value"] for e in entries), reverse=True)
    assert len(gantry.data_of("/api/v1/status/tsdb", limit=1)["labelValueCountByLabelName"]) == 1


@pytest.mark.parametrize("limit, text", [
    ("0", "limit must be a positive number"), ("x", "limit must be a positive number"),
    ("10001", "limit must not exceed 10000"),
])
def test_limits_of_tsdb(gantry, limit, text):
    answer = gantry.get("/api/v1/status/tsdb", limit=limit)
    assert answer.status_code == 400 and answer.json()["error"] == text


def test_blocks(make_gantry):
    gantry = make_gantry(environment={"GANTRY_STORAGE_FLUSH_INTERVAL": "1s"}).start()
    assert gantry.data_of("/api/v1/status/tsdb/blocks") == {"blocks": []}
    assert gantry.post("/write", f"m value=1 {NOW}\nm value=2 {NOW + 1}\nn value=3 {NOW}", precision="s").status_code == 204
    deadline = time.monotonic() + 20
    while not (blocks := gantry.data_of("/api/v1/status/tsdb/blocks")["blocks"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(blocks) == 1
    block = blocks[0]
    assert (block["minTime"], block["maxTime"]) == (NOW * 1000, (NOW + 1) * 1000)
    assert (block["stats"]["numSamples"], block["stats"]["numSeries"]) == (3, 2)
    assert block["compaction"]["sources"] == [block["ulid"]]


def test_features(gantry):
    data = gantry.data_of("/api/v1/features")
    assert data["promql_functions"]["rate"] is True
    assert data["promql"]["delayed_name_removal"] is False


def test_no_rules_no_alerts_no_targets(gantry):
    assert gantry.data_of("/api/v1/rules") == {"groups": []}
    assert gantry.data_of("/api/v1/rules", type="alert") == {"groups": []}
    bad = gantry.get("/api/v1/rules", type="x")
    assert bad.status_code == 400 and bad.json()["error"] == 'invalid parameter "type": not supported value "x"'
    assert gantry.data_of("/api/v1/alerts") == {"alerts": []}
    assert gantry.data_of("/api/v1/alertmanagers") == {"activeAlertmanagers": [], "droppedAlertmanagers": []}
    assert gantry.data_of("/api/v1/targets") == {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}}
    assert gantry.data_of("/api/v1/targets", state="active") == {
        "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": None}
    assert gantry.data_of("/api/v1/targets/metadata") == []
    assert gantry.data_of("/api/v1/scrape_pools") == {"scrapePools": []}
    assert gantry.data_of("/api/v1/notifications") == []


def test_everything_about_the_server_needs_a_token_that_reads(gantry):
    for path in ("buildinfo", "runtimeinfo", "flags", "config", "tsdb", "tsdb/blocks"):
        url = f"{gantry.url}/api/v1/status/{path}"
        assert requests.get(url, timeout=5).status_code == 401, path
        assert requests.get(url, auth=gantry.write_auth, timeout=5).status_code == 403, path


def delete(gantry, method="POST", auth=None, **parameters):
    return requests.request(method, f"{gantry.url}/api/v1/admin/tsdb/delete_series", params=parameters,
                            auth=auth or gantry.admin_auth, timeout=30)


def clean(gantry):
    return requests.post(f"{gantry.url}/api/v1/admin/tsdb/clean_tombstones", auth=gantry.admin_auth, timeout=60)


def values_of(gantry, selector: str) -> dict[str, list[str]]:
    return {s["metric"]["n"]: [v for _, v in s["values"]] for s in gantry.query(f"{selector}[1h]", at=NOW + 1)}


def test_deleted_series_are_gone_also_after_a_restart(make_gantry):
    gantry = make_gantry().start()
    lines = [f"{name},n={n} value={at} {NOW - 10 + at}" for name in ("doomed", "kept") for n in range(3) for at in range(10)]
    assert gantry.post("/write", "\n".join(lines), precision="s").status_code == 204
    answer = delete(gantry, **{"match[]": ['doomed{n="0"}', 'doomed{n="1"}']})
    assert (answer.status_code, answer.text) == (204, "")
    assert values_of(gantry, "doomed") == {"2": [str(v) for v in range(10)]}
    assert delete(gantry, "PUT", start=NOW - 5, end=NOW - 3, **{"match[]": "doomed"}).status_code == 204
    left = {"2": [str(v) for v in range(10) if v not in (5, 6, 7)]}
    assert values_of(gantry, "doomed") == left
    assert gantry.data_of("/api/v1/series", **{"match[]": "doomed"}) == [{"__name__": "doomed", "n": "2"}]
    answer = clean(gantry)
    assert (answer.status_code, answer.text) == (204, "")
    assert values_of(gantry, "doomed") == left
    gantry.kill()
    gantry.start()
    assert values_of(gantry, "doomed") == left
    assert len(values_of(gantry, "kept")) == 3
    assert gantry.post("/write", f"doomed,n=0 value=77 {NOW}", precision="s").status_code == 204
    assert values_of(gantry, 'doomed{n="0"}') == {"0": ["77"]}, "written after the deletion, so it stays"


def test_deleting_needs_its_scope_and_a_selector(gantry):
    assert gantry.post("/write", f"guarded,n=1 value=1 {NOW}", precision="s").status_code == 204
    for auth in (gantry.read_auth, gantry.write_auth):
        assert delete(gantry, auth=auth, **{"match[]": "guarded"}).status_code == 403
    assert requests.post(f"{gantry.url}/api/v1/admin/tsdb/clean_tombstones", auth=gantry.read_auth, timeout=5).status_code == 403
    for parameters, text in [({}, "no match[] parameter provided"),
                             ({"match[]": "{}"}, "must contain at least one non-empty matcher"),
                             ({"match[]": "guarded", "start": 2, "end": 1}, "end timestamp must not be before start time"),
                             ({"match[]": "guarded{"}, "parse error")]:
        answer = delete(gantry, **parameters)
        assert answer.status_code == 400 and text in answer.json()["error"]
    assert delete(gantry, "GET", **{"match[]": "guarded"}).status_code == 405
    assert gantry.query("guarded", at=NOW)
