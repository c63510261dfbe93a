"""What is wrong gets a precise answer, and costs nothing that is right."""

import gzip
import time

import pytest
import remote_write as rw
import requests

NOW_MS = int(time.time() * 1000)


def push(gantry, body, headers=None):
    return gantry.post("/api/v1/push", body, headers=rw.V1_HEADERS | (headers or {}))


def test_malformed_protobuf(gantry):
    answer = push(gantry, rw.compress(b"\x0a\xff\xff\xff\xff"))
    assert answer.status_code == 400


def test_snappy_that_is_none(gantry):
    assert push(gantry, b"this is not snappy").status_code == 400


def test_snappy_bomb_is_refused_by_its_declared_size(gantry):
    answer = push(gantry, rw.varint(3 << 30) + b"\x00" * 10)
    assert answer.status_code == 413
    assert "http.body_decompressed_bytes_max" in answer.text


def test_gzip_bomb(gantry):
    bomb = gzip.compress(b"m value=1\n" * 20_000_000, 1)
    answer = gantry.post("/write", bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert "http.body_decompressed_bytes_max" in answer.json()["message"]


def test_body_over_the_limit(gantry):
    answer = gantry.post("/write", b"#" * (17 << 20))
    assert answer.status_code == 413
    assert "http.body_bytes_max" in answer.text


def test_unknown_encoding_and_type(gantry):
    assert push(gantry, b"", {"Content-Encoding": "br"}).status_code == 415
    assert push(gantry, b"", {"Content-Type": "text/plain"}).status_code == 415
    assert push(gantry, b"", {"Content-Type": "application/x-protobuf;proto=x.Y"}).status_code == 415


def test_a_label_value_of_a_megabyte_costs_only_its_series(gantry):
    body = rw.v1_request([
        rw.v1_series({"__name__": "huge", "path": "x" * (1 << 20)}, [(NOW_MS, 1)]),
        rw.v1_series({"__name__": "beside_huge"}, [(NOW_MS, 2)]),
    ])
    answer = push(gantry, body)
    assert answer.status_code == 400
    assert "1048576" in answer.text and "4096" in answer.text and "limits.label_value_bytes_max" in answer.text
    assert len(answer.text) < 4096
    assert answer.headers["X-Prometheus-Remote-Write-Samples-Written"] == "1"
    assert gantry.query("beside_huge")[0]["value"][1] == "2"


def test_bad_samples_are_named_and_good_ones_kept(gantry):
    assert push(gantry, rw.v1_request([rw.v1_series({"__name__": "dup"}, [(NOW_MS, 1)])])).status_code == 204
    again = rw.v1_request([
        rw.v1_series({"__name__": "dup"}, [(NOW_MS, 1)]),
        rw.v1_series({"__name__": "fine"}, [(NOW_MS, 3)]),
    ])
    assert push(gantry, again).status_code == 204, "the same value again is no error"
    other = rw.v1_request([
        rw.v1_series({"__name__": "dup"}, [(NOW_MS, 2)]),
        rw.v1_series({"__name__": "fine2"}, [(NOW_MS, 3)]),
        rw.v1_series({"no_name": "x"}, [(NOW_MS, 3)]),
        rw.v1_series({"__name__": "old"}, [(NOW_MS, 1)]),
        rw.v1_series({"__name__": "old"}, [(NOW_MS - 30 * 86400 * 1000, 1)]),
        rw.v1_series({"__name__": "future"}, [(NOW_MS + 3600 * 1000, 1)]),
    ])
    answer = push(gantry, other)
    assert answer.status_code == 400
    assert "duplicate sample for timestamp" in answer.text
    assert "too far in the future" in answer.text
    assert answer.headers["X-Prometheus-Remote-Write-Samples-Written"] == "2"
    assert gantry.query("fine2") and gantry.query("old") and not gantry.query("future")


def test_v2_rules(gantry):
    good = rw.v2_request([({"__name__": "v2_total", "a": "b"}, [(NOW_MS, 5)], NOW_MS - 1000)])
    answer = gantry.post("/api/v1/write", good, headers=rw.V2_HEADERS)
    assert answer.status_code == 204, answer.text
    assert answer.headers["X-Prometheus-Remote-Write-Samples-Written"] == "1"
    assert gantry.query("v2_total")[0]["value"][1] == "5"
    odd = rw.compress(rw.field(4, "") + rw.field(4, "__name__") + rw.field(5, rw.field(1, rw.varint(1))))
    assert gantry.post("/api/v1/write", odd, headers=rw.V2_HEADERS).status_code == 400


@pytest.mark.parametrize("parameters, status, text", [
    ({"query": "sum(", "time": 0}, 400, 'invalid parameter "query": 1:5: parse error: '),
    ({"query": ""}, 400, "no expression found in input"),
    ({"query": "up", "time": "yesterday"}, 400, 'cannot parse "yesterday" to a valid timestamp'),
    ({"query": "up", "limit": "-1"}, 400, "limit must be non-negative"),
    ({"query": "up", "timeout": "x"}, 400, 'cannot parse "x" to a valid duration'),
    ({"query": "{}"}, 400, "vector selector must contain at least one non-empty matcher"),
])
def test_bad_instant_queries(gantry, parameters, status, text):
    answer = gantry.get("/api/v1/query", **parameters)
    assert answer.status_code == status
    assert answer.json()["errorType"] == "bad_data"
    assert text in answer.json()["error"]


@pytest.mark.parametrize("changes, text", [
    ({"step": "0"}, "zero or negative query resolution step widths are not accepted. Try a positive integer"),
    ({"step": "abc"}, 'cannot parse "abc" to a valid duration'),
    ({"end": "-1"}, "end timestamp must not be before start time"),
    ({"start": ""}, 'invalid parameter "start": cannot parse "" to a valid timestamp'),
    ({"step": "0.0036"}, "exceeded maximum resolution of 11,000 points per timeseries"),
    ({"query": "up[5m]"}, 'invalid expression type "range vector" for range query, must be Scalar or instant Vector'),
])
def test_bad_range_queries(gantry, changes, text):
    good = {"query": "up", "start": "0", "end": "3600", "step": "15"}
    assert gantry.get("/api/v1/query_range", **good).status_code == 200
    answer = gantry.get("/api/v1/query_range", **(good | changes))
    assert answer.status_code == 400
    assert text in answer.json()["error"]


def test_exactly_the_permitted_number_of_steps(gantry):
    good = {"query": "vector(1)", "start": "0", "end": "11000", "step": "1"}
    answer = gantry.get("/api/v1/query_range", **good)
    assert answer.status_code == 200
    assert len(answer.json()["data"]["result"][0]["values"]) == 11001
    assert gantry.get("/api/v1/query_range", **(good | {"end": "11001"})).status_code == 400


def test_query_text_over_the_limit(gantry):
    answer = requests.post(f"{gantry.url}/api/v1/query", data={"query": "1+" * (2 << 20) + "1"}, auth=gantry.read_auth,
                           timeout=30)
    assert answer.status_code in (400, 413)


@pytest.mark.parametrize("path", ["/api//v1/query", "/api/v1/../v1/query", "/api/v1/%2e%2e/query", "/api%2fv1/query"])
def test_paths_that_read_two_ways(gantry, path):
    session = requests.Session()
    request = session.prepare_request(requests.Request("GET", gantry.url, auth=gantry.read_auth))
    request.url = gantry.url + path
    assert session.send(request, timeout=5).status_code == 400
