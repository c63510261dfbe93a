"""Past metrics of one Gantry are sent to another one, which then answers the same queries."""

import json
import os
import pathlib
import subprocess
import time

import pytest
import requests

from broadcast_client import DESTINATIONS, add, admin, health, wait_until
from gantry_process import BINARY, free_port
from remote_write import (V1_HEADERS, V2_HEADERS, compress, field, stale_nan, v1_exemplar, v1_histogram, v1_request, v1_series,
                          v2_request)

SERIES = 60
STEP_MS = 5000
STEPS = 720  # an hour


@pytest.fixture
def pair(make_gantry):
    """(who sends, who gets it). A replay pauses when half of the sender's queue is used."""
    receiver = make_gantry("receiver").start()
    sender = make_gantry("sender", environment={
        "GANTRY_EGRESS_ALLOW": "127.0.0.1", "GANTRY_BROADCAST_QUEUE_BYTES_MAX": "1MiB"}).start()
    return sender, receiver


def write_hour(sender, auth=None) -> int:
    """Counters, one that is gone after half of it, and a native histogram; returns the first one's milliseconds."""
    first = time.time_ns() // 1_000_000_000 * 1000 - STEPS * STEP_MS
    times = [first + step * STEP_MS for step in range(STEPS)]
    series = [v1_series({"__name__": "past_total", "job": "copy", "instance": str(i)},
                        [(ms, number * i) for number, ms in enumerate(times)]) for i in range(SERIES)]
    half = STEPS // 2
    series.append(v1_series({"__name__": "past_gone", "job": "copy"},
                            [(ms, 1) for ms in times[:half]] + [(times[half], stale_nan())]))
    series.append(v1_series({"__name__": "past_seconds", "job": "copy"}, [], extra=b"".join(
        v1_histogram(ms, count=3 * number, total=2.5 * number, positive=[(0, 2)], counts=[number, 2 * number])
        for number, ms in enumerate(times))))
    for one in series:
        answer = sender.post("/api/v1/push", compress(field(1, one)), headers=V1_HEADERS, auth=auth)
        assert answer.status_code in (200, 204), answer.text
    body = field(3, b"\x08\x01" + field(2, "past_total") + field(4, "Work done."))
    assert sender.post("/api/v1/push", compress(body), headers=V1_HEADERS, auth=auth).status_code in (200, 204)
    return first


def in_order(series: list) -> list:
    return sorted(series, key=lambda each: sorted(each["metric"].items()))


def answers(gantry, first_ms: int) -> list:
    start, end = first_ms / 1000, (first_ms + (STEPS - 1) * STEP_MS) / 1000
    return [
        in_order(gantry.query_range('past_total{job="copy"}', start, end, 5)),
        in_order(gantry.query_range("rate(past_total[1m])", start, end, 60)),
        gantry.query_range("past_gone", start, end, 5),
        gantry.query_range("histogram_quantile(0.9, rate(past_seconds[1m]))", start, end, 15),
        gantry.query_range("histogram_count(past_seconds)", start, end, 5),
        gantry.data_of("/api/v1/metadata", metric="past_total"),
    ]


def run(gantry, *arguments: str) -> dict:
    environment = os.environ | {"GANTRY_URL": gantry.url, "GANTRY_TOKEN": gantry.first_start["admin_token"]}
    done = subprocess.run([BINARY, "destinations", "replay", "copy", *arguments, "--json"], capture_output=True, text=True,
                          timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def add_remote_write(sender, receiver, version: int = 1) -> dict:
    instance, token = receiver.write_auth
    return add(sender, "", type="prometheus-remote-write", name="copy", config={
        "url": f"{receiver.url}/api/v1/push", "username": instance, "token": token, "version": version})


def compare(sender, receiver, destination: dict, first_ms: int) -> None:
    wait_until(lambda: health(sender, destination)["queue"]["events"] == 0, seconds=90)
    expected = answers(sender, first_ms)
    assert len(expected[0]) == SERIES and len(expected[0][1]["values"]) == STEPS and all(expected)
    assert len(expected[2][0]["values"]) == STEPS // 2, "it ends with the stale marker"
    assert answers(receiver, first_ms) == expected
    assert health(sender, destination)["dead_letters"]["events"] == 0


def test_an_hour_of_metrics_is_replayed(pair):
    sender, receiver = pair
    first = write_hour(sender)
    destination = add_remote_write(sender, receiver)
    assert receiver.query_range("past_total", first / 1000, first / 1000 + 3600, 60) == []
    finished = run(sender, "--start", str(first / 1000 - 86400), "--wait")
    assert finished["state"] == "finished" and finished["error"] is None
    assert finished["position"] == finished["end"]
    assert finished["samples_read"] == finished["samples_queued"] >= SERIES * STEPS
    assert finished["traces_read"] == 0
    compare(sender, receiver, destination, first)


def test_a_replay_of_metrics_survives_kill_9(pair):
    sender, receiver = pair
    first = write_hour(sender)
    destination = add_remote_write(sender, receiver)
    receiver.kill()
    begun = run(sender, "--start", str(first / 1000))
    assert begun["state"] == "running"
    wait_until(lambda: health(sender, destination)["queue"]["bytes"] >= 1 << 19)
    paused = run(sender)
    assert paused["state"] == "running" and 0 < paused["samples_read"] < SERIES * STEPS
    assert begun["start"] <= paused["position"] < begun["end"]
    sender.kill()
    sender.start()
    receiver.start()
    finished = run(sender, "--wait")
    assert finished["id"] == begun["id"] and finished["state"] == "finished"
    assert finished["samples_read"] >= SERIES * STEPS
    compare(sender, receiver, destination, first)


def test_start_timestamps_and_exemplars_arrive_from_the_past_and_now(make_gantry):
    switches = {"GANTRY_PROMQL_EXPERIMENTAL_FUNCTIONS": "true", "GANTRY_PROMQL_USE_START_TIMESTAMPS": "true"}
    receiver = make_gantry("receiver", environment=switches).start()
    sender = make_gantry("sender", environment=switches | {"GANTRY_EGRESS_ALLOW": "127.0.0.1"}).start()
    now = int(time.time()) * 1000
    start = now - 600_000

    def write(name: str) -> None:
        labels = {"__name__": name, "job": "copy"}
        counter = v2_request([(labels, [(now - 60_000, 1), (now - 30_000, 2)], start)])
        seen = v1_request([v1_series(labels | {"job": "seen"}, [(now - 45_000, 1)],
                                     extra=v1_exemplar(now - 45_000, 7, {"trace_id": "abc"}))])
        for body, headers in ((counter, V2_HEADERS), (seen, V1_HEADERS)):
            answer = sender.post("/api/v1/push", body, headers=headers)
            assert answer.status_code in (200, 204), answer.text

    write("past_total")
    destination = add_remote_write(sender, receiver, version=2)
    assert run(sender, "--start", str(start / 1000), "--wait")["samples_queued"] == 3
    write("present_total")
    wait_until(lambda: health(sender, destination)["queue"]["events"] == 0)
    for name in ("past_total", "present_total"):
        for gantry in (sender, receiver):
            begun = gantry.query(f'start_timestamp({name}{{job="copy"}})', at=now / 1000 - 30)
            assert [float(one["value"][1]) for one in begun] == [start / 1000], (name, gantry.data)
        exemplars = [gantry.data_of("/api/v1/query_exemplars", query=name, start=start / 1000, end=now / 1000)
                     for gantry in (sender, receiver)]
        assert exemplars[0] == exemplars[1] and exemplars[0][0]["exemplars"][0]["labels"] == {"trace_id": "abc"}


def second_stack(gantry) -> tuple[str, str]:
    """A stack, and who may write to it."""
    def post(path: str, body: dict, **parameters) -> dict:
        answer = requests.post(gantry.url + path, json=body, headers=admin(gantry), params=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    made = post("/api/v1/stacks", {"name": "second", "slug": "second"})
    policy = post("/api/v1/accesspolicies", {"name": "second", "scopes": ["metrics:write"],
                                             "realms": [{"type": "stack", "identifier": "second"}]}, region=made["region"])
    token = post("/api/v1/tokens", {"accessPolicyId": policy["id"], "name": "second"}, region=made["region"])["token"]
    return made["id"], token


def open_files(gantry) -> list[str]:
    """What the process has open or mapped."""
    process = pathlib.Path(f"/proc/{gantry.process.pid}")
    paths = [line.split(maxsplit=5)[5] for line in (process / "maps").read_text().splitlines() if line.count("/")]
    for descriptor in (process / "fd").iterdir():
        try:
            paths.append(os.readlink(descriptor))
        except FileNotFoundError:
            pass  # closed meanwhile
    return paths


def test_a_stack_is_deleted_while_its_metrics_are_replayed(make_gantry):
    gantry = make_gantry(environment={"GANTRY_EGRESS_ALLOW": "127.0.0.1", "GANTRY_BROADCAST_QUEUE_BYTES_MAX": "1MiB"}).start()
    stack, token = second_stack(gantry)
    first = write_hour(gantry, (stack, token))
    destination = add(gantry, "", verify=False, type="prometheus-remote-write", name="copy", workspace_id="second",
                      config={"url": f"http://127.0.0.1:{free_port()}/push", "version": 1})
    replay = f"{gantry.url}{DESTINATIONS}/{destination['id']}/replay"
    begun = requests.post(replay, json={"start": first / 1000, "end": time.time()}, headers=admin(gantry), timeout=30)
    assert begun.status_code == 202, begun.text
    wait_until(lambda: requests.get(replay, headers=admin(gantry), timeout=30).json()["data"]["samples_read"] > 0)
    removed = requests.delete(f"{gantry.url}/api/v1/stacks/second", headers=admin(gantry), timeout=60)
    assert removed.status_code == 204, removed.text
    wait_until(lambda: "replay ended" in gantry.log())
    ended = next(line for line in gantry.log().splitlines() if "replay ended" in line)
    assert "cancelled" in ended and "the stack was deleted" in ended
    assert requests.get(replay, headers=admin(gantry), timeout=30).status_code == 404
    wait_until(lambda: not [path for path in open_files(gantry) if f"stacks/{stack}/" in path])
    write_hour(gantry)
    assert gantry.stop() == 0, gantry.log()
