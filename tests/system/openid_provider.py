"""A small OpenID provider that tests can make misbehave: discovery, keys, the code flow, tokens."""

import base64
import hashlib
import hmac
import http.server
import json
import secrets
import threading
import time
import urllib.parse

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64_number(number: int) -> str:
    return b64(number.to_bytes((number.bit_length() + 7) // 8, "big"))


class Provider:
    """`claims` go into the next ID tokens; `header` replaces what its header says; `sign_with` chooses a way to sign."""

    def __init__(self):
        self.rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec_key = ec.generate_private_key(ec.SECP256R1())
        self.client_id, self.client_secret = "gantry", "a client's secret: 100%"
        self.metadata, self.codes, self.token_requests, self.key_requests = {}, {}, [], 0
        self.client_key, self.assertions = None, {}
        self.reset()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status: int, body: dict, headers: dict | None = None) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                if self.path == "/.well-known/openid-configuration":
                    self.answer(200, provider.discovery())
                elif self.path == "/keys":
                    provider.key_requests += 1
                    self.answer(200, {"keys": provider.public_keys()})
                else:
                    self.answer(404, {})

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(body))
                provider.token_requests.append((form, self.headers.get("Authorization", "")))
                if provider.redirect_tokens_to:
                    self.answer(307, {}, {"Location": provider.redirect_tokens_to})
                    return
                self.answer(*provider.redeem(form, self.headers.get("Authorization", "")))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        self.claims = {"sub": "s-1", "preferred_username": "olga", "email": "olga@example.com",
                       "email_verified": True, "groups": ["engineers"]}
        self.remove, self.header, self.sign_with, self.kid = [], {}, "RS256", "rsa-1"
        self.redirect_tokens_to = None

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def discovery(self) -> dict:
        return {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/logout"} | self.metadata

    def public_keys(self) -> list:
        public, point = self.rsa_key.public_key().public_numbers(), self.ec_key.public_key().public_numbers()
        return [{"kty": "RSA", "kid": self.kid, "use": "sig", "n": b64_number(public.n), "e": b64_number(public.e)},
                {"kty": "EC", "kid": "ec-1", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")),
                 "y": b64(point.y.to_bytes(32, "big"))},
                {"kty": "unknown", "kid": "strange"}]

    def authorize(self, location: str, **more) -> str:
        """What the provider's own page does: returns the callback's URL."""
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
        assert query["response_type"] == "code" and query["code_challenge_method"] == "S256"
        assert query["client_id"] == self.client_id and "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = {"code": code, "state": query["state"]} | more
        return query["redirect_uri"] + "?" + urllib.parse.urlencode({k: v for k, v in back.items() if v is not None})

    def knows_secret(self, authorization: str) -> bool:
        credentials = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        return [urllib.parse.unquote_plus(c) for c in credentials] == [self.client_id, self.client_secret]

    def is_asserted(self, form: dict) -> bool:
        """The client's own signed token (RFC 7523): `client_key` is its public key."""
        if form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
            return False
        covered, _, signature = form["client_assertion"].rpartition(".")
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in covered.split("."))
        raw = base64.urlsafe_b64decode(signature + "==")
        try:
            if header["alg"] == "ES256":
                der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
                self.client_key.verify(der, covered.encode(), ec.ECDSA(hashes.SHA256()))
            else:
                assert header["alg"] == "RS256"
                self.client_key.verify(raw, covered.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        fresh = claims["jti"] not in self.assertions and claims["iat"] - 5 <= time.time() < claims["exp"]
        self.assertions[claims["jti"]] = header
        return (fresh and claims["iss"] == claims["sub"] == self.client_id
                and claims["aud"] == f"{self.issuer}/token")

    def redeem(self, form: dict, authorization: str) -> tuple[int, dict]:
        if not (self.is_asserted(form) if self.client_key else self.knows_secret(authorization)):
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form["code"], None)
        if asked is None or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if b64(hashlib.sha256(form["code_verifier"].encode()).digest()) != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        access_token = secrets.token_urlsafe(16)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.client_id, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
                  "at_hash": b64(hashlib.sha256(access_token.encode()).digest()[:16])} | self.claims
        for name in self.remove:
            claims.pop(name, None)
        return 200, {"access_token": access_token, "token_type": "Bearer", "id_token": self.sign(claims)}

    def sign(self, claims: dict, typ: str = "JWT") -> str:
        header = {"alg": self.sign_with, "typ": typ, "kid": "ec-1" if self.sign_with == "ES256" else self.kid}
        signed = b64(json.dumps(header | self.header).encode()) + "." + b64(json.dumps(claims).encode())
        return signed + "." + b64(self.signature(signed.encode()))

    def signature(self, data: bytes) -> bytes:
        match self.sign_with:
            case "RS256":
                return self.rsa_key.sign(data, padding.PKCS1v15(), hashes.SHA256())
            case "PS256":
                return self.rsa_key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
            case "ES256":
                r, s = decode_dss_signature(self.ec_key.sign(data, ec.ECDSA(hashes.SHA256())))
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")
            case "HS256":  # with the public key as the secret: what a careless verifier takes
                pem = self.rsa_key.public_key().public_bytes(serialization.Encoding.PEM,
                                                             serialization.PublicFormat.SubjectPublicKeyInfo)
                return hmac.new(pem, data, hashlib.sha256).digest()
            case "none":
                return b""
        raise AssertionError(self.sign_with)

    def logout_token(self, **more) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.client_id, "iat": now, "exp": now + 120,
                  "jti": secrets.token_urlsafe(8), "sub": "s-1", "events": {LOGOUT_EVENT: {}}} | more
        return self.sign({k: v for k, v in claims.items() if v is not None}, typ="logout+jwt")
