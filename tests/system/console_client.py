"""Talks to the console's API as a browser does: cookies, Sec-Fetch-Site, the CSRF header."""

import requests

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
INSECURE_DEV = {"GANTRY_SERVER_INSECURE_DEV": "true"}


class Console:
    def __init__(self, url: str):
        self.url = url
        self.http = requests.Session()
        self.csrf = ""

    def call(self, method: str, path: str, json=None, headers: dict | None = None, **options) -> requests.Response:
        sent = SAME_ORIGIN | ({"X-Gantry-CSRF": self.csrf} if self.csrf else {}) | (headers or {})
        return self.http.request(method, self.url + path, json=json, headers={k: v for k, v in sent.items() if v},
                                 timeout=30, allow_redirects=False, **options)

    def sign_in(self, user: str, password: str, **more) -> requests.Response:
        answer = self.call("POST", "/api/session", {"user": user, "password": password} | more)
        if answer.status_code == 200:
            self.csrf = answer.json()["csrfToken"]
        return answer

    @property
    def session(self) -> str:
        return self.http.cookies.get("gantry_dev_session")


def admin(gantry) -> Console:
    console = Console(gantry.url)
    first = gantry.first_start
    answer = console.sign_in(first["admin_user"], first["admin_password"])
    assert answer.status_code == 200, answer.text
    return console
