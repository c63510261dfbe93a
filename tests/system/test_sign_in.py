"""People: signing in with a password, sessions, forged requests, managing users."""

import re
import sqlite3

import pytest
import requests

from console_client import INSECURE_DEV, SAME_ORIGIN, Console, admin
from gantry_process import Gantry

ERROR_KEYS = {"code", "message", "requestId", "statusCode"}


@pytest.fixture(scope="module")
def gantry(tmp_path_factory):
    process = Gantry(tmp_path_factory.mktemp("people") / "data", environment=INSECURE_DEV).start()
    yield process
    assert process.stop() == 0, process.log()


def add_user(boss: Console, login: str, password: str, **more) -> str:
    """A user who has set a password by their link; returns the id."""
    made = boss.call("POST", "/api/admin/users", {"login": login} | more)
    assert made.status_code == 200, made.text
    secret = made.json()["passwordLink"]["url"].split("#")[1]
    person = Console(boss.url)
    found = person.call("POST", "/api/session/link", {"secret": secret})
    assert found.json() == {"login": login}
    assert person.call("POST", "/api/session/link/password",
                       {"secret": secret, "newPassword": password}).status_code == 200
    assert person.call("POST", "/api/session/link", {"secret": secret}).status_code == 401, "it works once"
    return made.json()["id"]


def test_first_admin_signs_in_and_out(gantry):
    console = admin(gantry)
    who = console.call("GET", "/api/session").json()
    assert who["user"]["login"] == "admin" and who["user"]["isGrafanaAdmin"]
    assert who["organisations"][0]["role"] == "Admin"
    assert "password" not in str(who).lower().replace("haspassword", "").replace("'provider': 'password'", "")
    out = console.call("DELETE", "/api/session")
    assert out.status_code == 204
    assert out.headers["Clear-Site-Data"] == '"cookies","storage"'
    gone = console.call("GET", "/api/session", headers={"Cookie": f"gantry_dev_session={console.session}"})
    assert gone.status_code == 401


def test_wrong_passwords_and_unknown_users_get_the_same_answer(gantry):
    answers = [Console(gantry.url).sign_in(user, "wrong horse battery") for user in ("admin", "nobody-at-all")]
    for answer in answers:
        assert answer.status_code == 401
        assert set(answer.json()) == ERROR_KEYS
        assert answer.json()["code"] == "InvalidCredentials"
        assert answer.json()["message"] == "Invalid user name or password"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Basic" not in answer.headers.get("WWW-Authenticate", "")


def test_cookie_attributes(make_gantry):
    gantry = make_gantry(environment={"GANTRY_SERVER_PUBLIC_URL": "https://gantry.example.com"}).start()
    first = gantry.first_start
    body = {"user": first["admin_user"], "password": first["admin_password"]}
    headers = {"Origin": "https://gantry.example.com"}
    answer = requests.post(gantry.url + "/api/session", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    cookies = {c.split("=")[0]: c for c in re.split(r", (?=__Host)", answer.headers["Set-Cookie"])}
    session = cookies["__Host-gantry_session"]
    assert re.match(r"__Host-gantry_session=[A-Za-z0-9_-]{43};", session)
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in session.split("; "), session
    assert "Domain" not in session and "Max-Age" not in session
    remembered = requests.post(gantry.url + "/api/session", json=body | {"remember": True}, headers=headers, timeout=30)
    assert "Max-Age=604800" in remembered.headers["Set-Cookie"]


def test_plain_http_is_refused(make_gantry):
    gantry = make_gantry().start()
    for path in ("/api/session", "/login"):
        answer = requests.get(gantry.url + path, headers=SAME_ORIGIN, timeout=30)
        assert answer.status_code == 403, path
        assert "HTTPS" in answer.text


def test_guessing_is_slowed_down(make_gantry):
    gantry = make_gantry(environment=INSECURE_DEV).start()
    for _ in range(5):
        assert Console(gantry.url).sign_in("admin", "wrong horse battery").status_code == 401
    slowed = Console(gantry.url).sign_in("admin", gantry.first_start["admin_password"])
    assert slowed.status_code == 429
    assert slowed.json()["code"] == "TooManyRequests"
    assert 1 <= int(slowed.headers["Retry-After"]) <= 2
    gantry.kill()
    gantry.start()
    assert Console(gantry.url).sign_in("admin", "wrong horse battery").status_code in (401, 429)


@pytest.mark.parametrize("headers, body, why", [
    ({"X-Gantry-CSRF": ""}, {}, "no CSRF header"),
    ({"X-Gantry-CSRF": "0" * 64}, {}, "a wrong one"),
    ({"Sec-Fetch-Site": "cross-site"}, {}, "another site"),
    ({"Sec-Fetch-Site": "same-site"}, {}, "a sibling"),
    ({"Sec-Fetch-Site": "", "Origin": "https://evil.example"}, {}, "another origin"),
    ({"Sec-Fetch-Site": ""}, {}, "neither Sec-Fetch-Site nor Origin"),
])
def test_forged_requests_are_refused(gantry, headers, body, why):
    console = admin(gantry)
    answer = console.call("POST", "/api/admin/users", {"login": "forged"} | body, headers)
    assert answer.status_code == 403, why
    assert set(answer.json()) == ERROR_KEYS
    listed = [user["login"] for user in console.call("GET", "/api/users").json()]
    assert "forged" not in listed


def test_form_bodies_and_cross_site_sign_ins_are_refused(gantry):
    console = admin(gantry)
    form = console.http.post(gantry.url + "/api/admin/users", data={"login": "forged"}, timeout=30,
                             headers=SAME_ORIGIN | {"X-Gantry-CSRF": console.csrf})
    assert form.status_code == 403
    first = gantry.first_start
    login = requests.post(gantry.url + "/api/session", timeout=30, headers={"Sec-Fetch-Site": "cross-site"},
                          json={"user": first["admin_user"], "password": first["admin_password"]})
    assert login.status_code == 403
    assert "Set-Cookie" not in login.headers


def test_an_authorization_header_is_the_only_credential(gantry):
    console = admin(gantry)
    answer = console.call("GET", "/api/users", headers={"Authorization": "Bearer glc_nonsense"})
    assert answer.status_code == 401, "the cookie is not a fall-back"


def test_changing_the_password(gantry):
    boss = admin(gantry)
    add_user(boss, "changer", "a fine first phrase")
    here, elsewhere = Console(gantry.url), Console(gantry.url)
    assert here.sign_in("changer", "a fine first phrase").status_code == 200
    assert elsewhere.sign_in("changer", "a fine first phrase").status_code == 200
    wrong = here.call("POST", "/api/session/password", {"currentPassword": "nope nope nope", "newPassword": "x" * 20})
    assert wrong.status_code == 401
    weak = here.call("POST", "/api/session/password",
                     {"currentPassword": "a fine first phrase", "newPassword": "Password123"})
    assert weak.status_code == 409 and weak.json()["code"] == "InvalidArgument"
    old = here.session
    good = here.call("POST", "/api/session/password",
                     {"currentPassword": "a fine first phrase", "newPassword": "a fine second phrase"})
    assert good.status_code == 200
    assert here.session != old, "a new id"
    assert here.call("GET", "/api/session").status_code == 200
    assert elsewhere.call("GET", "/api/session").status_code == 401


def test_sessions_are_listed_and_ended(gantry):
    boss = admin(gantry)
    add_user(boss, "lister", "a fine first phrase")
    here, elsewhere = Console(gantry.url), Console(gantry.url)
    here.sign_in("lister", "a fine first phrase")
    elsewhere.sign_in("lister", "a fine first phrase")
    sessions = here.call("GET", "/api/user/auth-tokens").json()
    assert sorted(s["isActive"] for s in sessions) == [False, True]
    other = next(s["id"] for s in sessions if not s["isActive"])
    assert here.call("POST", "/api/user/revoke-auth-token", {"authTokenId": other}).status_code == 200
    assert elsewhere.call("GET", "/api/session").status_code == 401
    assert here.call("GET", "/api/session").status_code == 200


def test_disabled_users_are_out_at_once(gantry):
    boss = admin(gantry)
    user_id = add_user(boss, "leaver", "a fine first phrase", orgId=1, role="Editor")
    person = Console(gantry.url)
    assert person.sign_in("leaver", "a fine first phrase").status_code == 200
    assert person.call("GET", "/api/users").status_code == 200, "editors see their colleagues"
    assert boss.call("POST", f"/api/admin/users/{user_id}/disable").status_code == 200
    assert person.call("GET", "/api/session").status_code == 401
    assert Console(gantry.url).sign_in("leaver", "a fine first phrase").status_code == 401


def test_roles(gantry):
    boss = admin(gantry)
    viewer_id = add_user(boss, "viewer", "a fine first phrase", orgId=1)
    viewer = Console(gantry.url)
    viewer.sign_in("viewer", "a fine first phrase")
    assert viewer.call("GET", "/api/session").json()["organisations"][0]["role"] == "Viewer"
    assert viewer.call("GET", "/api/users").status_code == 403
    assert viewer.call("POST", "/api/admin/users", {"login": "x"}).status_code == 403
    raised = viewer.call("PATCH", f"/api/orgs/1/users/{viewer_id}", {"role": "Admin"})
    assert raised.status_code == 403
    changed = boss.call("PATCH", f"/api/orgs/main/users/{viewer_id}",
                        {"role": "viewer", "labelPolicies": ['{team="a"}']})
    assert changed.status_code == 200, changed.text
    members = {m["login"]: m for m in boss.call("GET", "/api/orgs/1/users").json()}
    assert members["viewer"]["labelPolicies"] == ['{team="a"}']
    bad = boss.call("PATCH", f"/api/orgs/1/users/{viewer_id}", {"role": "Viewer", "labelPolicies": ["{nonsense"]})
    assert bad.status_code == 409
    assert boss.call("GET", "/api/orgs/99/users").status_code == 404
    own = boss.call("GET", "/api/session").json()["user"]["id"]
    last = boss.call("DELETE", f"/api/admin/users/{own}")
    assert last.status_code == 409
    assert "last super-admin" in last.json()["message"]


def test_admins_do_not_choose_passwords(gantry):
    answer = admin(gantry).call("POST", "/api/admin/users", {"login": "chosen", "password": "by the admin"})
    assert answer.status_code == 409


def test_pages_and_their_headers(gantry):
    page = requests.get(gantry.url + "/login?return_to=//evil.example", timeout=30)
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    for part in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'",
                 "form-action 'self'"):
        assert part in policy
    assert "unsafe" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "evil.example" not in page.text
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", page.text), "nothing inline"
    for path, kind in (("/login/style.css", "text/css"), ("/login/script.js", "text/javascript")):
        assert requests.get(gantry.url + path, timeout=30).headers["Content-Type"].startswith(kind)


def test_only_browsers_opening_a_page_are_sent_to_the_login(gantry):
    def ask(**headers):
        return requests.get(gantry.url + "/account?a=1", headers=headers, timeout=30, allow_redirects=False)
    redirect = ask(Accept="text/html")
    assert redirect.status_code == 302
    assert redirect.headers["Location"] == "/login?return_to=/account%3Fa%3D1"
    for headers in ({"Accept": "application/json"}, {"Accept": "text/html", "Sec-Fetch-Mode": "cors"},
                    {"Accept": "text/html", "Authorization": "Bearer x"}):
        answer = ask(**headers)
        assert answer.status_code == 401
        assert set(answer.json()) == ERROR_KEYS
    signed_in = admin(gantry).call("GET", "/account", headers={"Accept": "text/html"})
    assert signed_in.status_code == 200 and "admin" in signed_in.text


def test_nothing_secret_is_logged(gantry):
    boss = admin(gantry)
    secret = boss.call("POST", "/api/admin/users", {"login": "quiet"}).json()["passwordLink"]["url"].split("#")[1]
    Console(gantry.url).call("POST", "/api/session/link", {"secret": secret})
    log = gantry.log()
    assert secret not in log
    assert boss.session not in log
    assert boss.csrf not in log
    for file in gantry.data.rglob("*"):
        if file.is_file() and file.name != "first-start.json":
            assert boss.session.encode() not in file.read_bytes(), file


def test_a_replaced_session_id_ends_the_session(make_gantry):
    gantry = make_gantry(environment=INSECURE_DEV).start()
    console = admin(gantry)
    first, csrf = console.session, console.csrf
    assert gantry.stop() == 0
    change_sessions(gantry, "UPDATE sessions SET issued_at_ms = issued_at_ms - 600000")
    gantry.start()
    assert console.call("GET", "/api/session").status_code == 200
    second = console.session
    assert second != first, "ten minutes old: a new id"
    assert console.call("GET", "/api/session").json()["csrfToken"] == csrf, "the same session"
    old = Console(gantry.url)
    old.http.cookies.set("gantry_dev_session", first)
    assert old.call("GET", "/api/session").status_code == 200, "a request under way"
    assert gantry.stop() == 0
    change_sessions(gantry, "UPDATE sessions SET replaced_at_ms = replaced_at_ms - 30000 WHERE replaced_at_ms > 0")
    gantry.start()
    assert old.call("GET", "/api/session").status_code == 401, "half a minute later it is a stolen one"
    assert console.call("GET", "/api/session").status_code == 401, "which ends the session"


def change_sessions(gantry, statement: str) -> None:
    database = sqlite3.connect(gantry.data / "gantry.db")
    with database:
        assert database.execute(statement).rowcount == 1
    database.close()
