"""Lines of Influx protocol, as Telegraf and curl send them."""

import gzip
import time

LINE = "test,bar_label=abc,source=grafana_cloud_docs metric=35.2"


def test_the_documented_line(gantry):
    answer = gantry.post("/api/v1/push/influx/write", LINE)
    assert (answer.status_code, answer.text) == (204, "")
    result = gantry.query("test_metric")
    assert result[0]["metric"] == {"__name__": "test_metric", "bar_label": "abc", "source": "grafana_cloud_docs"}
    assert result[0]["value"][1] == "35.2"


def test_all_paths_and_precisions(gantry):
    now = int(time.time())
    for number, (path, precision, unit) in enumerate([
            ("/write", "s", 1), ("/api/v2/write", "ms", 1000), ("/influx/write", "u", 10**6),
            ("/influx/api/v2/write", "ns", 10**9), ("/api/v1/push/influx/write", "ms", 1000)]):
        answer = gantry.post(path, f"paths,n={number} value=1i {now * unit}", precision=precision)
        assert answer.status_code == 204, answer.text
    assert len(gantry.query("paths", at=now)) == 5


def test_gzip_and_token_scheme(gantry):
    user, token = gantry.write_auth
    import requests
    answer = requests.post(f"{gantry.url}/api/v2/write", data=gzip.compress(b"zipped value=1"), timeout=10,
                           headers={"Content-Encoding": "gzip", "Authorization": f"Token {user}:{token}"})
    assert answer.status_code == 204, answer.text
    assert gantry.query("zipped")


def test_one_bad_line_refuses_the_request_and_is_named(gantry):
    answer = gantry.post("/write", "good value=1\nbad line without fields\n")
    assert answer.status_code == 400
    body = answer.json()
    assert body["code"] == "invalid"
    assert "line 2" in body["message"] and body["error"] == body["message"]
    assert not gantry.query("good")


def test_clients_first_calls(gantry):
    created = gantry.get("/ping")
    assert created.status_code == 204
    answer = gantry.post("/query", {"q": 'CREATE DATABASE "telegraf"'})
    assert answer.json() == {"results": [{"statement_id": 0}]}
    assert gantry.get("/health").json()["status"] == "pass"
