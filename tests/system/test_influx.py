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


def test_settings_of_the_mapping(make_gantry):
    gantry = make_gantry(environment={
        "GANTRY_INFLUX_MAPPING": "victoriametrics", "GANTRY_INFLUX_SOURCE_LABEL": "__proxy_source__"}).start()
    now = int(time.time())
    line = f'm.x,host=a value=1,quoted="12.5" {now}'
    assert gantry.post("/write", line, db="telegraf").status_code == 204
    assert gantry.post("/api/v2/write", f"n,db=own value=2 {now * 1000}", bucket="ignored").status_code == 204
    labels = {"db": "telegraf", "host": "a", "__proxy_source__": "influx"}
    assert gantry.query('{"m.x_value"}')[0]["metric"] == labels | {"__name__": "m.x_value"}
    assert gantry.query('{"m.x_quoted"}')[0]["value"][1] == "12.5"
    assert gantry.query("n_value")[0]["metric"]["db"] == "own"
    assert gantry.post("/api/v1/push/influx/write", "m.x value=3", db="telegraf").status_code == 204
    assert gantry.query("m_x")[0]["metric"] == {"__name__": "m_x", "__proxy_source__": "influx"}, (
        "the path of Grafana Cloud keeps its mapping")


def test_database_label_alone(make_gantry):
    gantry = make_gantry(environment={"GANTRY_INFLUX_DATABASE_LABEL": "bucket"}).start()
    assert gantry.post("/api/v2/write", "m value=1", bucket="b1").status_code == 204
    assert gantry.post("/write", "n,bucket=mine value=1", db="b2").status_code == 204
    assert gantry.post("/write", "o value=1").status_code == 204
    assert gantry.query("m")[0]["metric"] == {"__name__": "m", "bucket": "b1"}
    assert gantry.query("n")[0]["metric"] == {"__name__": "n", "bucket": "mine"}
    assert gantry.query("o")[0]["metric"] == {"__name__": "o"}


def test_partial_writes(make_gantry):
    gantry = make_gantry(environment={"GANTRY_INFLUX_PARTIAL_WRITES": "true"}).start()
    answer = gantry.post("/write", "good value=1\nbad line without fields\nbetter value=2\n")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("partial write: 1 ") and "line 2" in answer.json()["error"]
    assert gantry.query("good") and gantry.query("better")
