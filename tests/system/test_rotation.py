"""A consumer's token is replaced under load: nothing that used a live token fails, nothing that used a dead one succeeds."""

import threading
import time

import requests

REQUESTS_PER_SECOND = 200
WORKERS = 20


def administer(gantry, method, path, body=None):
    answer = requests.request(method, gantry.url + path, json=body, params={"region": "local"}, timeout=30,
                              headers={"Authorization": f"Bearer {gantry.first_start['admin_token']}"})
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.text else None


def make_token(gantry, name):
    return administer(gantry, "POST", "/api/v1/tokens", {"kind": "cqm", "stack": "main", "name": name})


class Consumer:
    """Asks at a steady rate with the token it holds at that moment, and notes every answer."""

    def __init__(self, url, token):
        self.url, self.token = url, token
        self.answers = []  # (token, asked at, answered at, status)
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(WORKERS)]

    def run(self, index):
        session = requests.Session()
        pause = WORKERS / REQUESTS_PER_SECOND
        due = time.monotonic() + pause * index / WORKERS
        while not self.is_over.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            due += pause
            token, asked = self.token, time.monotonic()
            status = session.get(self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code
            self.answers.append((token, asked, time.monotonic(), status))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def test_rotation_under_load_loses_nothing(make_gantry):
    gantry = make_gantry(environment={"GANTRY_READ_ONLY_REQUESTS_PER_SECOND": "1000",
                                      "GANTRY_READ_ONLY_BURST": "1000"}).start()
    old = make_token(gantry, "grafana-2026-11")
    with Consumer(f"{gantry.url}/metrics-api-bearer/api/v1/query?query=1", old["token"]) as consumer:
        time.sleep(1)
        new = make_token(gantry, "grafana-2026-12")
        consumer.token = new["token"]
        time.sleep(1)
        asked_revoke = time.monotonic()
        administer(gantry, "DELETE", f"/api/v1/tokens/{old['id']}")
        revoked = time.monotonic()
        # Somebody who did not notice the change.
        consumer.token = old["token"]
        time.sleep(0.5)
        consumer.token = new["token"]
        time.sleep(0.5)
    by_token = {name: [a for a in consumer.answers if a[0] == token["token"]] for name, token in
                (("old", old), ("new", new))}
    assert len(by_token["old"]) > 200 and len(by_token["new"]) > 200
    assert {status for _, _, _, status in by_token["new"]} == {200}
    before = [status for _, _, answered, status in by_token["old"] if answered < asked_revoke]
    after = [status for _, asked, _, status in by_token["old"] if asked > revoked]
    assert len(before) > 150 and set(before) == {200}
    assert len(after) > 50 and set(after) == {401}

    # What the operator looks at before revoking: who used which token last, and who still tries.
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        shown = administer(gantry, "GET", f"/api/v1/tokens/{new['id']}")
        if shown.get("lastUsedAt"):
            break
        time.sleep(0.1)
    assert shown["firstUsedAt"] and shown["lastUsedFrom"] == "127.0.0.1"
    counted = requests.get(f"{gantry.url}/metrics", timeout=30).text
    assert f'gantry_token_requests_total{{code="200",token_id="{new["id"]}"}}' in counted or \
        f'token_id="{new["id"]}"' in counted
