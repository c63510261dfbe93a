"""Signing in with an OpenID provider, and what a hostile one, or a hostile page, tries."""

import time
import urllib.parse

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from console_client import INSECURE_DEV, Console, admin
from gantry_process import Gantry
from openid_provider import Provider


@pytest.fixture(scope="module")
def idp():
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def gantry(idp, tmp_path_factory):
    process = Gantry(tmp_path_factory.mktemp("oidc") / "data", environment=settings(idp)).start()
    yield process
    assert process.stop() == 0, process.log()
    assert idp.client_secret not in process.log()


@pytest.fixture(autouse=True)
def honest(idp):
    idp.reset()
    idp.metadata = {}


def settings(idp, **more) -> dict:
    return INSECURE_DEV | {
        "GANTRY_OIDC_ISSUER": idp.issuer, "GANTRY_OIDC_CLIENT_ID": idp.client_id,
        "GANTRY_OIDC_CLIENT_SECRET": idp.client_secret, "GANTRY_OIDC_DISPLAY_NAME": "Example & Co",
        "GANTRY_OIDC_GROUP_RULES": "engineers=main:editor,bosses=main:admin,*=none:viewer",
        "GANTRY_OIDC_SUPER_ADMIN_GROUP": "roots", "GANTRY_EGRESS_ALLOW": "127.0.0.1/32",
    } | more


class Browser(Console):
    def begin(self, query: str = "", provider: str = "sso") -> str:
        started = self.call("GET", f"/login/oidc/{provider}{query}", headers={"Sec-Fetch-Site": "none"})
        assert started.status_code == 302, started.text
        return started.headers["Location"]

    def come_back(self, url: str) -> requests.Response:
        answer = self.http.get(url, timeout=30, allow_redirects=False, headers={"Sec-Fetch-Site": "cross-site"})
        if answer.status_code == 302:
            self.csrf = self.call("GET", "/api/session").json()["csrfToken"]
        return answer

    def sign_in_with(self, idp, query: str = "", **more) -> requests.Response:
        return self.come_back(idp.authorize(self.begin(query), **more))

    def who(self) -> dict:
        return self.call("GET", "/api/session").json()


def test_the_whole_way(gantry, idp):
    browser = Browser(gantry.url)
    page = browser.call("GET", "/login")
    assert "Sign in with Example &amp; Co" in page.text
    assert f"form-action 'self' {idp.issuer}" in page.headers["Content-Security-Policy"]
    arrived = browser.sign_in_with(idp, "?return_to=/explore%3Fq%3D1")
    assert arrived.status_code == 302, arrived.text
    assert arrived.headers["Location"] == "/explore?q=1"
    who = browser.who()
    assert who["user"]["login"] == "olga" and not who["user"]["hasPassword"]
    assert [(o["slug"], o["role"]) for o in who["organisations"]] == [("main", "Editor")]
    assert who["session"]["provider"] == "sso"
    form, _ = idp.token_requests[-1]
    assert 43 <= len(form["code_verifier"]) <= 128


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_algorithms(gantry, idp, algorithm):
    idp.sign_with = algorithm
    assert Browser(gantry.url).sign_in_with(idp).status_code == 302


HOUR = 3600


@pytest.mark.parametrize("name, attack", [
    ("another issuer", lambda idp: idp.claims.update(iss="https://evil.example")),
    ("an issuer with a slash", lambda idp: idp.claims.update(iss=idp.issuer + "/")),
    ("another audience", lambda idp: idp.claims.update(aud="somebody-else")),
    ("two audiences without azp", lambda idp: idp.claims.update(aud=["gantry", "other"])),
    ("azp of another", lambda idp: idp.claims.update(aud=["gantry", "other"], azp="other")),
    ("another nonce", lambda idp: idp.claims.update(nonce="of-another-flow")),
    ("no nonce", lambda idp: idp.remove.append("nonce")),
    ("expired", lambda idp: idp.claims.update(exp=int(time.time()) - 120)),
    ("no exp", lambda idp: idp.remove.append("exp")),
    ("issued long ago", lambda idp: idp.claims.update(iat=int(time.time()) - HOUR)),
    ("issued in the future", lambda idp: idp.claims.update(iat=int(time.time()) + HOUR)),
    ("not yet valid", lambda idp: idp.claims.update(nbf=int(time.time()) + HOUR)),
    ("no subject", lambda idp: idp.remove.append("sub")),
    ("wrong at_hash", lambda idp: idp.claims.update(at_hash="AAAAAAAAAAAAAAAAAAAAAA")),
    ("alg none", lambda idp: setattr(idp, "sign_with", "none")),
    ("HS256 with the public key", lambda idp: setattr(idp, "sign_with", "HS256")),
    ("a header that lies about the algorithm", lambda idp: idp.header.update(alg="PS256")),
    ("an unknown key", lambda idp: idp.header.update(kid="nobody's")),
    ("critical extensions", lambda idp: idp.header.update(crit=["b64"])),
    ("a logout token", lambda idp: idp.header.update(typ="logout+jwt")),
])
def test_bad_tokens_are_refused(gantry, idp, name, attack):
    attack(idp)
    browser = Browser(gantry.url)
    answer = browser.sign_in_with(idp)
    assert answer.status_code == 403, name
    assert browser.call("GET", "/api/session").status_code == 401


def test_a_key_inside_the_token_is_not_believed(gantry, idp):
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = idp.public_keys()[0]
    real, idp.rsa_key = idp.rsa_key, own
    try:
        forged = idp.public_keys()[0]
        idp.header = {"jwk": forged, "jku": idp.issuer + "/evil"}
        browser = Browser(gantry.url)
        answer = browser.sign_in_with(idp)
    finally:
        idp.rsa_key = real
    assert idp.public_keys()[0] == public
    assert answer.status_code == 403


def test_state_works_once_and_in_its_own_browser(gantry, idp):
    browser = Browser(gantry.url)
    url = idp.authorize(browser.begin())
    cookie = browser.http.cookies.get("gantry_dev_oidc")
    assert browser.come_back(url).status_code == 302
    browser.http.cookies.set("gantry_dev_oidc", cookie, domain="127.0.0.1", path="/")
    assert browser.come_back(url).status_code == 400, "a replayed callback"
    victim, thief = Browser(gantry.url), Browser(gantry.url)
    victim.begin()
    assert victim.come_back(idp.authorize(thief.begin())).status_code == 400, "another browser's state"
    assert Browser(gantry.url).come_back(idp.authorize(thief.begin())).status_code == 400, "no cookie"
    tampered = Browser(gantry.url)
    url = idp.authorize(tampered.begin())
    sealed = tampered.http.cookies.get("gantry_dev_oidc")
    tampered.http.cookies.set("gantry_dev_oidc", sealed[:-2] + "AA", domain="127.0.0.1", path="/")
    assert tampered.come_back(url).status_code == 400


def test_mix_up(gantry, idp):
    assert Browser(gantry.url).sign_in_with(idp, iss=idp.issuer).status_code == 302
    assert Browser(gantry.url).sign_in_with(idp, iss="https://evil.example").status_code == 403


def test_an_issuer_that_announces_itself_must(make_gantry, idp):
    idp.metadata = {"authorization_response_iss_parameter_supported": True}
    gantry = make_gantry(environment=settings(idp)).start()
    assert Browser(gantry.url).sign_in_with(idp).status_code == 403
    assert Browser(gantry.url).sign_in_with(idp, iss=idp.issuer).status_code == 302


@pytest.mark.parametrize("metadata", [{"issuer": "https://evil.example"}, {"jwks_uri": "http://169.254.169.254/keys"},
                                      {"token_endpoint": "file:///etc/passwd"}])
def test_bad_discovery(make_gantry, idp, metadata):
    idp.metadata = metadata
    gantry = make_gantry(environment=settings(idp)).start()
    browser = Browser(gantry.url)
    started = browser.call("GET", "/login/oidc/sso")
    if started.status_code == 302:
        assert browser.come_back(idp.authorize(started.headers["Location"])).status_code == 403
    else:
        assert started.status_code == 403


def test_redirects_of_the_token_endpoint_are_not_followed(gantry, idp):
    idp.redirect_tokens_to = "http://169.254.169.254/latest/meta-data"
    answer = Browser(gantry.url).sign_in_with(idp)
    assert answer.status_code == 503
    assert len(idp.token_requests[-1][0]["code_verifier"]) == 43


def test_the_provider_says_no(gantry, idp):
    browser = Browser(gantry.url)
    answer = browser.come_back(idp.authorize(browser.begin(), error="<script>alert(1)</script>"))
    assert answer.status_code == 403
    assert "<script>alert" not in answer.text and "&lt;script&gt;" in answer.text


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)"])
def test_return_to_stays_here(gantry, idp, target):
    answer = Browser(gantry.url).sign_in_with(idp, "?return_to=" + urllib.parse.quote(target, safe=""))
    assert answer.headers["Location"] == "/account"


def test_roles_follow_groups(gantry, idp):
    idp.claims.update(sub="s-roles", preferred_username="roland", groups=["bosses", "engineers"])
    first = Browser(gantry.url)
    first.sign_in_with(idp)
    assert first.who()["organisations"][0]["role"] == "Admin"
    idp.claims.update(groups=["engineers"])
    second = Browser(gantry.url)
    second.sign_in_with(idp)
    assert second.who()["organisations"][0]["role"] == "Editor"
    assert first.call("GET", "/api/session").status_code == 401, "a reduction ends other sessions"
    idp.claims.update(groups=["strangers"])
    refused = Browser(gantry.url).sign_in_with(idp)
    assert refused.status_code == 403 and "no role mapped" in refused.text
    idp.claims.update(groups=["engineers", "roots"])
    raised = Browser(gantry.url)
    raised.sign_in_with(idp)
    assert raised.who()["user"]["isGrafanaAdmin"]


def test_too_many_groups_are_not_no_groups(gantry, idp):
    idp.claims.update(sub="s-many")
    idp.claims.pop("groups")
    idp.claims["_claim_names"] = {"groups": "src1"}
    answer = Browser(gantry.url).sign_in_with(idp)
    assert answer.status_code == 403 and "too many" in answer.text


def test_names_and_addresses_take_nobody_over(gantry, idp):
    idp.claims.update(sub="s-admin", preferred_username="admin", email="admin@example.com")
    browser = Browser(gantry.url)
    assert browser.sign_in_with(idp).status_code == 302
    who = browser.who()["user"]
    assert who["login"] != "admin" and not who["isGrafanaAdmin"]


def test_an_address_as_a_name_must_be_verified(gantry, idp):
    idp.claims.update(sub="s-borrowed", preferred_username="boss@example.com", email="boss@example.com",
                      email_verified=False)
    browser = Browser(gantry.url)
    browser.sign_in_with(idp)
    assert browser.who()["user"]["login"].startswith("oidc-")
    assert browser.who()["user"]["email"] == ""


def test_linking_wants_a_session(gantry, idp):
    idp.claims.update(sub="s-link", preferred_username="linked", groups=["bosses", "roots"])
    stranger = Browser(gantry.url)
    assert stranger.call("POST", "/login/oidc/sso/link").status_code == 401
    boss = Browser(gantry.url)
    boss.http, boss.csrf = (own := admin(gantry)).http, own.csrf
    forged = boss.call("POST", "/login/oidc/sso/link", headers={"X-Gantry-CSRF": ""})
    assert forged.status_code == 403, "another site could link its own identity"
    location = boss.call("POST", "/login/oidc/sso/link").json()["location"]
    assert boss.come_back(idp.authorize(location)).status_code == 302
    later = Browser(gantry.url)
    later.sign_in_with(idp)
    assert later.who()["user"]["login"] == "admin"


def test_proving_it_again(gantry, idp):
    browser = Browser(gantry.url)
    browser.sign_in_with(idp)
    before = browser.session
    location = browser.begin("?reauth=1")
    assert "max_age=0" in location and "prompt=login" in location
    assert browser.come_back(idp.authorize(location)).status_code == 403, "without auth_time"
    idp.claims["auth_time"] = int(time.time()) - HOUR
    assert browser.sign_in_with(idp, "?reauth=1").status_code == 403, "an hour ago"
    idp.claims["auth_time"] = int(time.time())
    assert browser.sign_in_with(idp, "?reauth=1").status_code == 302
    assert browser.session != before
    idp.claims.update(sub="s-other", preferred_username="other")
    assert browser.sign_in_with(idp, "?reauth=1").status_code == 403, "somebody else"


def test_sign_out_names_the_providers_page(gantry, idp):
    browser = Browser(gantry.url)
    browser.sign_in_with(idp)
    out = browser.call("DELETE", "/api/session")
    assert out.status_code == 200
    url = urllib.parse.urlsplit(out.json()["logoutUrl"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == idp.issuer + "/logout"
    query = dict(urllib.parse.parse_qsl(url.query))
    assert query == {"client_id": "gantry", "post_logout_redirect_uri": gantry.url + "/login"}


def back_channel(gantry, token: str) -> int:
    return requests.post(gantry.url + "/login/oidc/sso/backchannel-logout", data={"logout_token": token},
                         timeout=30).status_code


def test_back_channel_logout(gantry, idp):
    idp.claims["sid"] = "session-1"
    one = Browser(gantry.url)
    one.sign_in_with(idp)
    idp.claims["sid"] = "session-2"
    two = Browser(gantry.url)
    two.sign_in_with(idp)
    for name, bad in {"a nonce": idp.logout_token(nonce="x"), "no event": idp.logout_token(events={}),
                      "no jti": idp.logout_token(jti=None), "neither sub nor sid": idp.logout_token(sub=None),
                      "another audience": idp.logout_token(aud="other"), "not a token": "x"}.items():
        assert back_channel(gantry, bad) == 400, name
    assert one.call("GET", "/api/session").status_code == 200
    token = idp.logout_token(sid="session-1")
    assert back_channel(gantry, token) == 200
    assert one.call("GET", "/api/session").status_code == 401
    assert two.call("GET", "/api/session").status_code == 200
    assert back_channel(gantry, token) == 400, "a jti works once"
    assert back_channel(gantry, idp.logout_token()) == 200
    assert two.call("GET", "/api/session").status_code == 401


def test_new_keys_are_fetched_and_old_ones_survive_an_outage(make_gantry, idp):
    gantry = make_gantry(environment=settings(idp)).start()
    assert Browser(gantry.url).sign_in_with(idp).status_code == 302
    asked = idp.key_requests
    assert Browser(gantry.url).sign_in_with(idp).status_code == 302
    assert idp.key_requests == asked, "cached"
    idp.header = {"kid": "not-published"}
    for _ in range(3):
        assert Browser(gantry.url).sign_in_with(idp).status_code == 403
    assert idp.key_requests <= asked + 1, "unknown keys cost one request a minute"


def test_a_private_provider_needs_the_operators_word(make_gantry, idp):
    gantry = make_gantry(environment=settings(idp) | {"GANTRY_EGRESS_ALLOW": "10.0.0.0/8"}).start()
    answer = Browser(gantry.url).call("GET", "/login/oidc/sso")
    assert answer.status_code == 403
    assert "egress.allow" in gantry.log()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_key_instead_of_a_secret(make_gantry, tmp_path, algorithm):
    key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) if algorithm == "RS256"
           else ec.generate_private_key(ec.SECP256R1()))
    path = tmp_path / "client.pem"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()))
    own = Provider()
    try:
        own.client_key = key.public_key()
        gantry = make_gantry(environment=settings(own) | {
            "GANTRY_OIDC_CLIENT_SECRET": "", "GANTRY_OIDC_CLIENT_AUTHENTICATION": "private_key_jwt",
            "GANTRY_OIDC_CLIENT_KEY_FILE": str(path), "GANTRY_OIDC_CLIENT_KEY_ID": "gantry-1"}).start()
        for _ in range(2):
            assert Browser(gantry.url).sign_in_with(own).status_code == 302, gantry.log()
        assert [(h["alg"], h["kid"]) for h in own.assertions.values()] == [(algorithm, "gantry-1")] * 2
        form, authorization = own.token_requests[-1]
        assert authorization == "" and "client_secret" not in form
        own.client_key = ec.generate_private_key(ec.SECP256R1()).public_key() if algorithm == "ES256" else (
            rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key())
        assert Browser(gantry.url).sign_in_with(own).status_code == 403, "another client's key"
    finally:
        own.stop()


@pytest.fixture(scope="module")
def two(idp, tmp_path_factory):
    """A Gantry with the provider of `oidc` and a second one from the list."""
    second = Provider()
    directory = tmp_path_factory.mktemp("two")
    config = directory / "gantry.yaml"
    config.write_text(f"""
oidc:
  providers:
    - name: partners
      display_name: <Partners>
      issuer: {second.issuer}
      client_id: {second.client_id}
      client_secret: "{second.client_secret}"
      group_rules: ["engineers=main:viewer"]
""")
    gantry = Gantry(directory / "data", environment=settings(idp), arguments=["--config", str(config)]).start()
    yield gantry, second
    assert gantry.stop() == 0, gantry.log()
    second.stop()


def test_two_providers_have_a_button_and_routes_each(two, idp):
    gantry, second = two
    page = Browser(gantry.url).call("GET", "/login")
    assert 'href="/login/oidc/sso?' in page.text and "Sign in with Example &amp; Co" in page.text
    assert 'href="/login/oidc/partners?' in page.text and "Sign in with &lt;Partners&gt;" in page.text
    assert f"form-action 'self' {idp.issuer} {second.issuer};" in page.headers["Content-Security-Policy"] + ";"
    first = Browser(gantry.url)
    assert first.sign_in_with(idp).status_code == 302
    other = Browser(gantry.url)
    assert other.come_back(second.authorize(other.begin(provider="partners"))).status_code == 302
    assert other.who()["session"]["provider"] == "partners"
    assert other.who()["organisations"][0]["role"] == "Viewer", "by its own rules"
    assert first.who()["organisations"][0]["role"] == "Editor"
    assert first.who()["user"]["login"] != other.who()["user"]["login"], "the same subject of another issuer"
    assert other.call("DELETE", "/api/session").json()["logoutUrl"].startswith(second.issuer + "/logout")
    assert Browser(gantry.url).call("GET", "/login/oidc/nobody").status_code == 404


def test_a_flow_belongs_to_one_provider(two, idp):
    gantry, second = two
    browser = Browser(gantry.url)
    answer = idp.authorize(browser.begin()).replace("/login/oidc/sso/", "/login/oidc/partners/")
    assert browser.come_back(answer).status_code == 400, "begun with the other one"
    for url, token in (("partners", idp.logout_token()), ("sso", second.logout_token())):
        assert requests.post(f"{gantry.url}/login/oidc/{url}/backchannel-logout", data={"logout_token": token},
                             timeout=30).status_code == 400
    assert requests.post(f"{gantry.url}/login/oidc/partners/backchannel-logout",
                         data={"logout_token": second.logout_token()}, timeout=30).status_code == 200


def test_both_can_be_added_to_an_account(two, idp):
    gantry, second = two
    for provider in (idp, second):
        provider.claims.update(sub="s-both", preferred_username="both", groups=["engineers"])
    person = Browser(gantry.url)
    person.sign_in_with(idp)
    page = person.call("GET", "/account").text
    assert 'data-link="/login/oidc/sso/link"' in page and 'data-link="/login/oidc/partners/link"' in page
    location = person.call("POST", "/login/oidc/partners/link").json()["location"]
    assert location.startswith(second.issuer)
    assert person.come_back(second.authorize(location)).status_code == 302
    later = Browser(gantry.url)
    later.come_back(second.authorize(later.begin(provider="partners")))
    assert later.who()["user"]["login"] == person.who()["user"]["login"]
    second.reset()


def test_secrets_of_the_list_are_masked(two):
    gantry, second = two
    shown = gantry.get("/api/v1/status/config").text + gantry.get("/api/v1/status/flags").text
    assert second.issuer in shown and "partners" in shown
    assert second.client_secret not in shown and second.client_secret not in gantry.log()


def test_gantry_is_not_its_own_provider(make_gantry, idp):
    gantry = make_gantry(environment=settings(idp))
    gantry.environment |= {"GANTRY_OIDC_ISSUER": gantry.url}
    gantry.start()
    assert Browser(gantry.url).call("GET", "/login/oidc/sso").status_code == 403
    assert "destination is not allowed" in gantry.log()


def test_the_secret_is_shown_nowhere(gantry, idp):
    shown = gantry.get("/api/v1/status/config").text + gantry.get("/api/v1/status/flags").text
    assert idp.client_secret not in shown and "****" in shown
