"""From an empty directory to a login, and what happens at the edges of a process's life."""

import os
import re
import stat
import subprocess
import time

import requests

from gantry_process import BINARY

KEYS = {"url", "instance_id", "admin_user", "admin_password", "write_token", "read_token", "admin_token"}
LINE = "test,bar_label=abc,source=grafana_cloud_docs metric=35.2"


def test_first_start_makes_a_login_once(make_gantry):
    gantry = make_gantry().start()
    path = gantry.data / "first-start.json"
    first = gantry.first_start
    assert set(first) == KEYS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(first["instance_id"]) == "1000000"
    assert first["url"].startswith("http")
    for token in ("write_token", "read_token", "admin_token"):
        assert re.fullmatch(r"glc_[A-Za-z0-9]{32,400}", first[token])
        assert first[token] in gantry.log(), "printed once, so that a newcomer sees it"
    assert gantry.stop() == 0
    printed = len(gantry.log())
    gantry.start()
    assert gantry.first_start == first
    assert first["write_token"] not in gantry.log()[printed:], "never printed again"
    for file in gantry.data.rglob("*"):
        if file.is_file() and file != path:
            assert first["write_token"].encode() not in file.read_bytes(), f"{file} holds a token in clear"


def test_tokens_open_what_their_scopes_say(make_gantry):
    gantry = make_gantry().start()
    write, read = gantry.write_auth, gantry.read_auth
    printed = gantry.log().count(read[1])
    path = "/api/v1/push/influx/write"
    assert gantry.post(path, LINE).status_code == 204
    assert gantry.post(path, LINE, auth=read).status_code == 403
    assert requests.get(f"{gantry.url}/api/v1/query?query=1", auth=write, timeout=5).status_code == 403
    assert requests.get(f"{gantry.url}/api/v1/query?query=1", timeout=5).status_code == 401
    wrong = requests.get(f"{gantry.url}/api/v1/query?query=1", auth=(read[0], "glc_" + "x" * 60), timeout=5)
    assert wrong.status_code == 401
    assert wrong.json()["error"] == "authentication error: invalid token"
    assert "Basic" not in wrong.headers.get("WWW-Authenticate", ""), "Grafana would pop up a login box"
    other_stack = requests.get(f"{gantry.url}/api/v1/query?query=1", auth=("1000001", read[1]), timeout=5)
    assert other_stack.status_code == 401
    for header in (f"Bearer {read[1]}", f"Bearer {read[0]}:{read[1]}"):
        answer = requests.get(f"{gantry.url}/api/v1/query?query=1", headers={"Authorization": header}, timeout=5)
        assert answer.status_code == 200, header
    in_url = requests.get(f"{gantry.url}/api/v1/query?query=1&token={read[1]}", timeout=5)
    assert in_url.status_code == 401
    assert gantry.log().count(read[1]) == printed, "requests do not put tokens into the log"


def test_second_process_is_told_who_holds_the_directory(make_gantry):
    gantry = make_gantry().start()
    second = subprocess.run(
        [BINARY, "serve", "--data", str(gantry.data), "--listen", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0",
         "--otlp-grpc", "127.0.0.1:0"], capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode != 0
    assert str(gantry.process.pid) in second.stdout + second.stderr


def test_sigterm_leaves_a_clean_store(make_gantry):
    gantry = make_gantry().start()
    assert gantry.post("/write", LINE).status_code == 204
    assert gantry.stop() == 0
    gantry.start()
    assert gantry.query("test_metric")[0]["value"][1] == "35.2"


def test_writes_stop_below_the_free_space_floor_and_resume(make_gantry, tmp_path):
    config = tmp_path / "gantry.yaml"
    config.write_text("log:\n  level: info\n")
    gantry = make_gantry(arguments=["--config", str(config)]).start()
    assert gantry.post("/write", LINE).status_code == 204
    config.write_text("storage:\n  disk_free_min: 900TiB\n")
    gantry.process.send_signal(1)
    refused = wait_for_status(gantry, 503)
    assert int(refused.headers["Retry-After"]) > 0
    assert "disk" in refused.json()["message"]
    assert gantry.query("test_metric"), "reads go on"
    config.write_text("log:\n  level: info\n")
    gantry.process.send_signal(1)
    wait_for_status(gantry, 204)


def wait_for_status(gantry, status):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = gantry.post("/write", LINE)
        if answer.status_code == status:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"last answer {answer.status_code}: {answer.text}\n{gantry.log()[-3000:]}")


def test_health_readiness_and_own_metrics(gantry):
    assert requests.get(f"{gantry.url}/-/healthy", timeout=5).status_code == 200
    assert requests.get(f"{gantry.url}/-/ready", timeout=5).status_code == 200
    metrics = requests.get(f"{gantry.url}/metrics", timeout=5)
    assert metrics.headers["Content-Type"].startswith("text/plain")
    assert "# TYPE gantry_http_requests_total counter" in metrics.text
    unknown = requests.get(f"{gantry.url}/no/such/path", timeout=5)
    assert unknown.status_code == 404
    assert unknown.json()["status"] == "error"


def test_command_line_explains_itself(tmp_path):
    for command in ([], ["serve"], ["check-config"], ["version"], ["query"]):
        shown = subprocess.run([BINARY, *command, "--help"], capture_output=True, text=True, timeout=10, check=False)
        assert shown.returncode == 0
        assert "Usage" in shown.stdout
    assert "gantry" in subprocess.run([BINARY, "version"], capture_output=True, text=True, timeout=10, check=False).stdout
    config = tmp_path / "bad.yaml"
    config.write_text("server:\n  lissten: ':1'\n")
    bad = subprocess.run([BINARY, "check-config", "--config", str(config)], capture_output=True, text=True, timeout=10,
                         check=False)
    assert bad.returncode != 0
    assert "bad.yaml:2:3" in bad.stderr
    assert "lissten" in bad.stderr and "listen" in bad.stderr.replace("lissten", "")


def test_query_command(make_gantry):
    gantry = make_gantry().start()
    assert gantry.post("/write", LINE).status_code == 204
    user, token = gantry.read_auth
    command = [BINARY, "query", "--url", gantry.url, "--user", user, "--token", token, "test_metric"]
    table = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert table.returncode == 0, table.stderr
    assert "35.2" in table.stdout and "grafana_cloud_docs" in table.stdout
    as_json = subprocess.run([*command, "--output", "json"], capture_output=True, text=True, timeout=20, check=False)
    assert '"35.2"' in as_json.stdout
    assert os.path.exists(BINARY)
