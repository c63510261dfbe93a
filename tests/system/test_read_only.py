"""The read-only bearer endpoint, asked as Grafana asks and as those who should not."""

import http.client
import time

import pytest
import requests

from gantry_process import Gantry

MOUNTS = ["/metrics-api-bearer", "/api/readonly/prometheus"]
UNAVAILABLE = "endpoint not available on the read-only API"


@pytest.fixture(scope="module")
def gantry(tmp_path_factory):
    # The tests hurry more than the default rate of a token allows.
    process = Gantry(tmp_path_factory.mktemp("read-only") / "data",
                     environment={"GANTRY_READ_ONLY_BURST": "10000"}).start()
    lines = "".join(f"load,host=h{i} one={i},five={i * 2}\n" for i in range(3))
    assert process.post("/api/v1/push/influx/write", lines).status_code == 204
    yield process
    process.stop()


def ask(gantry, path, method="GET", token=None, headers=None, mount=MOUNTS[0], **options):
    token = gantry.first_start["read_token"] if token is None else token
    credentials = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.request(method, gantry.url + mount + path, headers=credentials | (headers or {}), timeout=30,
                            allow_redirects=False, **options)


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_data_source_saves_and_tests(gantry, mount):
    form = {"query": "1+1", "time": "4"}
    answer = ask(gantry, "/api/v1/query", "POST", data=form, mount=mount)
    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "data": {"resultType": "scalar", "result": [4, "2"]}}
    assert ask(gantry, "/api/v1/query", params=form, mount=mount).json() == answer.json()
    # With the method POST the data source posts first and comes back with GET after a 405.
    posted = ask(gantry, "/api/v1/status/buildinfo", "POST", mount=mount)
    assert posted.status_code == 405 and posted.headers["Allow"] == "GET, HEAD"
    assert posted.json()["status"] == "error"
    built = ask(gantry, "/api/v1/status/buildinfo", mount=mount).json()["data"]
    assert int(built["version"].split(".")[0]) >= 2 and "features" not in built


def test_the_metric_browser_and_the_query_builder_find_what_is_there(gantry):
    assert ask(gantry, "/api/v1/labels").json()["data"] == ["__name__", "host"]
    assert ask(gantry, "/api/v1/labels", "POST", data={"match[]": "load_one"}).json()["data"] == ["__name__", "host"]
    assert ask(gantry, "/api/v1/label/__name__/values").json()["data"] == ["load_five", "load_one"]
    assert ask(gantry, "/api/v1/label/host/values", params={"match[]": "load_one"}).json()["data"] == ["h0", "h1", "h2"]
    series = ask(gantry, "/api/v1/series", "POST", data={"match[]": 'load_one{host="h1"}'}).json()["data"]
    assert series == [{"__name__": "load_one", "host": "h1"}]
    now = time.time()
    matrix = ask(gantry, "/api/v1/query_range", "POST",
                 data={"query": "sum(load_one)", "start": now - 60, "end": now + 60, "step": 15})
    assert matrix.json()["data"]["resultType"] == "matrix"
    assert ask(gantry, "/api/v1/metadata").json()["status"] == "success"
    assert ask(gantry, "/api/v1/query_exemplars", params={"query": "load_one"}).status_code == 200
    assert ask(gantry, "/api/v1/rules").json()["data"] == {"groups": []}
    assert ask(gantry, "/api/v1/alerts").json()["data"] == {"alerts": []}
    assert ask(gantry, "/api/v1/format_query", params={"query": "a+b"}).json()["data"] == "a + b"
    assert 'load_one{host="h1",instance=""} 1 ' in ask(gantry, "/federate", params={"match[]": "load_one"}).text
    assert ask(gantry, "/-/healthy").status_code == 200 and ask(gantry, "/-/ready", "HEAD").status_code == 200


@pytest.mark.parametrize("path", [
    "/api/v1/admin/tsdb/delete_series", "/api/v1/write", "/api/v1/push", "/api/v1/otlp/v1/metrics", "/api/v1/read",
    "/api/v1/status/config", "/api/v1/status/flags", "/api/v1/status/runtimeinfo", "/api/v1/status/tsdb",
    "/api/v1/targets", "/api/v1/scrape_pools", "/api/v1/alertmanagers", "/api/v1/notifications/live", "/-/reload",
    "/-/quit", "/debug/pprof/heap", "/metrics", "/graph", "/consoles/x.html", "/config", "/user/list",
])
def test_what_is_withheld_is_403_for_every_method(gantry, path):
    for method in ["GET", "POST", "PUT", "DELETE"]:
        answer = ask(gantry, path, method)
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"
        assert answer.json() == {"status": "error", "errorType": "unauthorized", "error": UNAVAILABLE}


def test_unknown_paths_are_404_and_wrong_methods_405(gantry):
    for path in ["", "/", "/api", "/api/v1", "/api/v1/nothing", "/api/v1/query/x", "/apifoo", "/metricsx"]:
        answer = ask(gantry, path)
        assert answer.status_code == 404, path
        assert answer.json()["errorType"] == "not_found"
    assert ask(gantry, "/api/v1/query", "DELETE").headers["Allow"] == "GET, HEAD, POST"
    assert ask(gantry, "/api/v1/metadata", "POST").status_code == 405
    assert ask(gantry, "/federate", "PUT").status_code == 405


def test_without_a_token_every_path_looks_alike(gantry):
    answers = set()
    for path in ["/api/v1/query?query=up", "/api/v1/nothing", "/api/v1/write", "/api/v1/status/config", "/-/healthy"]:
        for token in ["", "cqm_" + "0" * 48]:
            answer = ask(gantry, path, token=token)
            assert answer.status_code == 401
            assert answer.headers["Content-Type"].startswith("application/json")
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="gantry"')
            answers.add((token, answer.text, answer.headers["WWW-Authenticate"]))
    assert len(answers) == 2


def test_only_bearer_counts(gantry):
    first = gantry.first_start
    url = gantry.url + MOUNTS[0] + "/api/v1/labels"
    assert requests.get(url, auth=gantry.read_auth, timeout=30).status_code == 401
    assert requests.get(url, headers={"X-Gantry-Token": first["read_token"]}, timeout=30).status_code == 401
    assert requests.get(url, cookies={"__Host-gantry_session": first["read_token"]}, timeout=30).status_code == 401
    assert requests.get(url, params={"token": first["read_token"]}, timeout=30).status_code == 401
    for token in [first["write_token"], first["admin_token"]]:
        refused = ask(gantry, "/api/v1/labels", token=token)
        assert refused.status_code == 403 and refused.json()["error"] == UNAVAILABLE


def test_browsers(gantry):
    typed = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Mode": "navigate"}
    redirected = ask(gantry, "/api/v1/labels", token="", headers=typed)
    assert redirected.status_code == 302 and redirected.headers["Location"].startswith("/login")
    # A data source that passes a browser's headers on is no browser.
    assert ask(gantry, "/api/v1/labels", headers=typed).status_code == 200
    assert ask(gantry, "/api/v1/labels", token="cqm_no", headers=typed).status_code == 401
    preflight = ask(gantry, "/api/v1/labels", "OPTIONS", token="",
                    headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 405
    for answer in [preflight, ask(gantry, "/api/v1/labels", headers={"Origin": "https://evil.example"})]:
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"


def test_compression_is_gzip_or_nothing(gantry):
    path = "/api/v1/query?query=" + "label_replace(vector(1),'a','" + "x" * 3000 + "','b','')"
    assert "Content-Encoding" not in ask(gantry, path, headers={"Accept-Encoding": "br, zstd"}).headers
    assert ask(gantry, path, headers={"Accept-Encoding": "br, gzip, zstd"}).headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("path", [
    "/metrics-api-bearer//api/v1/query", "/metrics-api-bearer/../api/v1/query", "/metrics-api-bearer/%2e%2e/x",
    "/metrics-api-bearer/api%2fv1/query", "/metrics-api-bearer/api/v1/query%00", "/metrics-api-bearer/api;/v1/query",
    "/metrics-api-bearer/api/v1\\query", "/metrics-api-bearer/api/%5cv1/query",
])
def test_paths_that_can_be_read_in_two_ways_are_400(gantry, path):
    connection = http.client.HTTPConnection("127.0.0.1", gantry.http_port, timeout=30)
    connection.putrequest("GET", path, skip_host=False)
    connection.putheader("Authorization", f"Bearer {gantry.first_start['read_token']}")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 400, answer.read()
    connection.close()


def test_encoded_letters_of_a_path_are_the_path(gantry):
    answer = requests.get(gantry.url + "/metrics-api-bearer/api/v1/%73tatus/config", timeout=30,
                          headers={"Authorization": f"Bearer {gantry.first_start['read_token']}"})
    assert answer.status_code == 403


def test_two_authorization_headers_must_agree(gantry):
    def status(*tokens):
        connection = http.client.HTTPConnection("127.0.0.1", gantry.http_port, timeout=30)
        connection.putrequest("GET", MOUNTS[0] + "/api/v1/labels")
        for token in tokens:
            connection.putheader("Authorization", f"Bearer {token}")
        connection.endheaders()
        answer = connection.getresponse().status
        connection.close()
        return answer

    read, write = gantry.first_start["read_token"], gantry.first_start["write_token"]
    assert status(read, read) == 200
    assert status(read, write) == 400 and status(write, read) == 400


def test_the_rate_of_a_token_is_limited(tmp_path):
    process = Gantry(tmp_path / "data", environment={"GANTRY_READ_ONLY_REQUESTS_PER_SECOND": "1",
                                                     "GANTRY_READ_ONLY_BURST": "3"}).start()
    try:
        answers = [ask(process, "/api/v1/labels") for _ in range(5)]
        assert [answer.status_code for answer in answers[:3]] == [200, 200, 200]
        limited = answers[-1]
        assert limited.status_code == 429 and limited.headers["Retry-After"] == "1"
        assert limited.json() == {"status": "error", "errorType": "too_many_requests", "error": "rate limit exceeded"}
        assert process.get("/api/v1/labels").status_code == 200, "the main endpoint has no such limit"
        seen = requests.get(process.url + "/metrics", timeout=30).text
        assert 'gantry_read_only_limited_total{limit="rate"}' in seen
        assert "gantry_token_requests_total{" in seen
    finally:
        process.stop()


def test_an_answer_that_is_too_large_is_an_error(tmp_path):
    process = Gantry(tmp_path / "data", environment={"GANTRY_READ_ONLY_RESPONSE_BYTES_MAX": "1KiB"}).start()
    try:
        answer = ask(process, "/api/v1/query?query=label_replace(vector(1),'a','" + "x" * 2000 + "','b','')")
        assert answer.status_code == 422 and answer.json()["errorType"] == "execution"
    finally:
        process.stop()


def test_a_range_before_the_retention_is_said(gantry):
    hint = "the time range is outside the retention: nothing from before "
    for query, parameters in (("query", {"query": "load_one", "time": "4"}),
                              ("query", {"query": "load_one offset 30d"}),
                              ("query_range", {"query": "rate(load_one[5m])", "start": "0", "end": "60", "step": "15"})):
        answer = ask(gantry, f"/api/v1/{query}", params=parameters)
        assert answer.status_code == 200 and answer.json()["data"]["result"] == []
        assert [w[:len(hint)] for w in answer.json()["warnings"]] == [hint], answer.text
        assert "warnings" not in gantry.get(f"/api/v1/{query}", **parameters).json(), "elsewhere as Prometheus answers"
    for parameters in ({"query": "1+1", "time": "4"}, {"query": "nothing"}, {"query": "absent(nothing)", "time": "4"},
                       {"query": "load_one"}, {"query": "count_over_time(load_one[30d])"}):
        assert "warnings" not in ask(gantry, "/api/v1/query", params=parameters).json(), parameters
