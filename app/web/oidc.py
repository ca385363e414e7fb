"""OIDC: who somebody is, as the site's identity provider says.

Authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636, RFC 9207). What the provider
says is believed only when its own key signed it, for this site, for this sign-in, just now.
"""

import secrets
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from httpx2 import HTTPError, InvalidURL
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from app.foundation.clock import Clock
from app.foundation.errors import Unavailable
from app.foundation.logging import log
from app.people.directory import Directory
from app.web.identity import RETURN, Begun, Identity, NotProven
from app.web.settings import WebSettings

# Signatures by a key that only the provider has: never `none`, never a secret that we know too.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_KEYS = frozenset({"RSA", "EC", "OKP"})
_TIMEOUT = 5.0  # seconds, for each question to the provider
_KNOWN_FOR = timedelta(hours=1)  # its description and keys are remembered
_ANEW_AFTER = timedelta(seconds=5)  # nobody can have us ask for its keys more often than that
_LEEWAY = 60  # seconds by which its clock may differ from ours
_MOST_GROUPS = 20


class Oidc:
    """`Provider` of one issuer, as the settings name it; asked when somebody signs in, not before."""

    def __init__(self, settings: WebSettings, url: str, clock: Clock) -> None:
        """`url` is where people reach this service: the provider sends them back there and nowhere else."""
        self.issuer = settings.oidc_issuer
        self.host = urlsplit(self.issuer).netloc
        self._settings = settings
        self._back = f"{url.rstrip('/')}{RETURN}"
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[datetime, dict[str, Any]]] = {}

    def begin(self) -> Begun:
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        described = self._described()
        with self._client(described) as client:
            url, _ = client.create_authorization_url(
                _address(described, "authorization_endpoint", self.issuer),
                state=state,
                code_verifier=verifier,
                nonce=nonce,
            )
        return Begun(url=url, state=state, nonce=nonce, verifier=verifier)

    def finish(self, begun: Begun, code: str, issuer: str, directory: Directory) -> Identity:
        described = self._described()
        says_who = described.get("authorization_response_iss_parameter_supported") is True
        if issuer != self.issuer and (issuer or says_who):
            raise NotProven("the answer comes from another identity provider")
        token = self._token(described, begun, code)
        claims = self._claims(described, token, begun.nonce)
        return self._identity(claims, directory)

    def _identity(self, claims: Mapping[str, Any], directory: Directory) -> Identity:
        verified = claims.get("email_verified") in (True, "true")
        email = claims.get("email")
        given = claims.get(self._settings.oidc_groups)
        listed = given if isinstance(given, list) else [given]
        groups = {one for one in listed if isinstance(one, str)}
        return Identity(
            issuer=self.issuer,
            subject=str(claims["sub"])[:255],
            email=email[:320] if verified and isinstance(email, str) else "",
            groups=tuple(one.group for one in directory.groups if one.group in groups)[:_MOST_GROUPS],
        )

    # --- asking the provider --------------------------------------------------------------

    def _token(self, described: Mapping[str, Any], begun: Begun, code: str) -> Mapping[str, Any]:
        try:
            with self._client(described) as client:
                found: Mapping[str, Any] = client.fetch_token(
                    _address(described, "token_endpoint", self.issuer),
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=begun.verifier,
                )
        except OAuthError as error:
            log(__name__).warning("oidc.refused", says=str(error.error)[:100])
            raise NotProven("the identity provider did not accept this sign-in; start again") from None
        except (HTTPError, InvalidURL, ValueError, TypeError) as error:
            raise self._away(error) from None
        return found

    def _claims(self, described: Mapping[str, Any], token: Mapping[str, Any], nonce: str) -> CodeIDToken:
        offered = described.get("id_token_signing_alg_values_supported") or ["RS256"]
        registry = JWSRegistry(
            algorithms=[one for one in _ALGORITHMS if one in offered], strict_check_header=False
        )
        try:
            text = str(token["id_token"])
            try:
                decoded = jwt.decode(text, self._keys(described), registry=registry)
            except (InvalidKeyIdError, ValueError):
                # It may have changed its keys since we looked.
                decoded = jwt.decode(text, self._keys(described, anew=True), registry=registry)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self.issuer},
                    "aud": {"essential": True, "value": self._settings.oidc_client_id},
                    "nonce": {"essential": True, "value": nonce},
                },
                {
                    "nonce": nonce,
                    "client_id": self._settings.oidc_client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=_LEEWAY)
        except (JoseError, KeyError, ValueError, TypeError) as error:
            log(__name__).warning("oidc.not_proven", says=f"{type(error).__name__}: {error}"[:200])
            raise NotProven("what the identity provider said cannot be believed; start again") from None
        return claims

    def _described(self) -> dict[str, Any]:
        """Its discovery document."""
        described = self._ask(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if described.get("issuer") != self.issuer:
            raise self._away(ValueError("it calls itself by another name"))
        return described

    def _keys(self, described: Mapping[str, Any], anew: bool = False) -> KeySet:
        found = self._ask(_address(described, "jwks_uri", self.issuer), anew)
        signing = [
            key
            for key in found.get("keys", ())
            if isinstance(key, dict) and key.get("kty") in _KEYS and key.get("use", "sig") == "sig"
        ]
        return KeySet.import_key_set({"keys": signing})

    def _ask(self, url: str, anew: bool = False) -> dict[str, Any]:
        """A JSON object of the provider's, remembered for an hour; `anew`: unless it was asked just now."""
        now = self._clock.now()
        with self._lock:
            known = self._known.get(url)
        if known is not None and now - known[0] < (_ANEW_AFTER if anew else _KNOWN_FOR):
            return known[1]
        try:
            with OAuth2Client(timeout=_TIMEOUT) as client:
                answer = client.request("GET", url, withhold_token=True)
                answer.raise_for_status()
                found = answer.json()
            if not isinstance(found, dict):
                raise ValueError("that is no JSON object")
        except (HTTPError, InvalidURL, ValueError) as error:
            raise self._away(error) from None
        with self._lock:
            self._known[url] = (now, found)
        return found

    def _client(self, described: Mapping[str, Any]) -> OAuth2Client:
        secret = self._settings.oidc_client_secret.get_secret_value()
        # Without a word about it, the provider takes the first of these (OpenID Connect Discovery, 3).
        ways = described.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic = "client_secret_basic" if "client_secret_basic" in ways else "client_secret_post"
        return OAuth2Client(
            client_id=self._settings.oidc_client_id,
            client_secret=secret or None,
            token_endpoint_auth_method=basic if secret else "none",
            scope=self._settings.oidc_scope,
            redirect_uri=self._back,
            code_challenge_method="S256",
            timeout=_TIMEOUT,
        )

    def _away(self, error: Exception) -> Unavailable:
        log(__name__).error("oidc.away", issuer=self.issuer, says=f"{type(error).__name__}: {error}"[:200])
        return Unavailable(
            f"the identity provider {self.host} does not answer as it should; try again, or sign in with a key",
            retry_after=5,
        )


def _address(described: Mapping[str, Any], name: str, issuer: str) -> str:
    """An address that the provider describes; as safe on its way as the issuer's own."""
    address = str(described.get(name, ""))
    if urlsplit(address).scheme not in ({"https"} if issuer.startswith("https:") else {"https", "http"}):
        raise Unavailable(f"the identity provider names no usable {name}", retry_after=60)
    return address
