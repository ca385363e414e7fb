"""An OpenID provider on a loopback port, as strict as real ones: what does not fit is refused, codes work once.

It signs with an RSA key of its own. `changed` alters what it says, `signed` how it signs, so that tests can
see what is done about a provider that lies, and `down` has it answer nothing but 503.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from app.foundation.clock import Clock
from tests.doubles import Quiet, Served

CLIENT, SECRET = "mendline-web", "s3cret of the client"
Claims = dict[str, Any]


def new_key() -> RSAKey:
    """An RSA key as providers have them."""
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"})
    key.ensure_kid()
    return key


class IdentityProvider(Served):
    """One realm with one client; whoever is in `who` is signed in there."""

    def __init__(self, clock: Clock, back: str, key: RSAKey) -> None:
        """`back` is the one registered redirect address."""
        self.clock, self.back, self.key = clock, back, key
        self.who: Claims = {"sub": "248289", "email": "ada@example.com", "email_verified": True}
        self.described: Claims = {}
        self.changed: Callable[[Claims], Claims] = lambda claims: claims
        self.signed: Callable[[Claims], str] = self.sign
        self.says_no = ""
        self.down = False
        self.asked: list[str] = []
        self.refused: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(Quiet):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.post(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/realms/work"

    def sign(self, claims: Claims) -> str:
        """An ID token as it should be."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def get(self, to: Quiet) -> None:
        url = urlsplit(to.path)
        path = url.path.removeprefix("/realms/work")
        self.asked.append(path)
        if self.down:
            return to.answer(503, {"error": "away"})
        if path == "/.well-known/openid-configuration":
            return to.answer(200, self._description())
        if path == "/keys":
            # As Keycloak has it: a key to encrypt with stands beside the one that signs.
            other = {**self.key.as_dict(private=False), "use": "enc", "alg": "RSA-OAEP", "kid": "enc"}
            return to.answer(200, {"keys": [other, self.key.as_dict(private=False)]})
        if path == "/authorize":
            return self._authorize(to, {name: values[0] for name, values in parse_qs(url.query).items()})
        return to.answer(404)

    def _description(self) -> Claims:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.described,
        }

    def _authorize(self, to: Quiet, given: dict[str, str]) -> None:
        wrong = [
            name
            for name, right in {
                "client_id": given.get("client_id") == CLIENT,
                "redirect_uri": given.get("redirect_uri") == self.back,
                "response_type": given.get("response_type") == "code",
                "scope": "openid" in given.get("scope", "").split(),
                "state": len(given.get("state", "")) >= 20,
                "nonce": len(given.get("nonce", "")) >= 20,
                "code_challenge_method": given.get("code_challenge_method") == "S256",
                "code_challenge": re.fullmatch(r"[\w-]{43}", given.get("code_challenge", "")),
            }.items()
            if not right
        ]
        if wrong:
            self.refused += wrong
            return to.answer(400, {"error": "invalid_request", "wrong": wrong})
        answer = {"state": given["state"], "iss": self.issuer}
        if self.says_no:
            answer["error"] = self.says_no
        else:
            code = answer["code"] = f"code-{len(self._codes) + 1}"
            self._codes[code] = given
        return to.answer(302, None, {"Location": f"{self.back}?{urlencode(answer)}"})

    def post(self, to: Quiet) -> None:
        given = {name: values[0] for name, values in parse_qs(to.body().decode()).items()}
        self.asked.append("/token")
        if self.down:
            return to.answer(503, {"error": "away"})
        if why := self._wrong(to, given):
            self.refused.append(why)
            return to.answer(401 if why == "invalid_client" else 400, {"error": why})
        now = int(self.clock.now().timestamp())
        access = "an opaque access token"
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": self._codes[given["code"]]["nonce"],
            "at_hash": base64.urlsafe_b64encode(half).decode().rstrip("="),
            **self.who,
        }
        token = self.signed(self.changed(claims))
        return to.answer(200, {"access_token": access, "token_type": "Bearer", "id_token": token})

    def _wrong(self, to: Quiet, given: dict[str, str]) -> str:
        scheme, _, basic = to.headers.get("Authorization", "").partition(" ")
        known = base64.b64decode(basic).decode() if scheme == "Basic" else ""
        client, _, secret = known.partition(":")
        if (
            not known
            and "client_secret_basic" not in self._description()["token_endpoint_auth_methods_supported"]
        ):
            client, secret = given.get("client_id", ""), given.get("client_secret", "")
        if (unquote(client), unquote(secret)) != (CLIENT, SECRET):
            return "invalid_client"
        asked = self._codes.get(given.get("code", ""))
        if given.get("grant_type") != "authorization_code" or asked is None or "used" in asked:
            return "invalid_grant"
        asked["used"] = "yes"
        if given.get("redirect_uri") != asked["redirect_uri"]:
            return "invalid_grant"
        proof = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(proof).decode().rstrip("=") != asked["code_challenge"]:
            return "invalid_grant"
        return ""
