"""Signing in by the identity provider: who comes in, with which role, and what opens nothing."""

import base64
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from playwright.sync_api import expect, sync_playwright
from pydantic import SecretStr

from app.foundation.errors import Invalid
from app.people.person import Role
from app.pipeline.marks import INCIDENTS
from app.settings import read_settings
from app.web.oidc import Oidc
from app.web.settings import WebSettings
from app.wiring import open_provider
from tests.doubles import until
from tests.identity_provider import CLIENT, SECRET, Claims, IdentityProvider, new_key
from tests.web import stage
from tests.web.conftest import Browser, Seen, World

HERE = "http://testserver"
BACK = "/sign-in/oidc/done"
PEOPLE = {
    "people": [
        {"name": "ada", "role": "approver", "email": "Ada@example.com", "also": ["ada-lovelace"]},
        {"name": "grace", "role": "admin"},
    ],
    "groups": [{"group": "sre", "role": "operator"}, {"group": "staff", "role": "viewer"}],
}


@pytest.fixture(scope="session")
def key() -> RSAKey:
    return new_key()


def people(world: World, told: Any = PEOPLE) -> None:
    """Writes people.yaml."""
    world.directory.path.write_text(told if isinstance(told, str) else yaml.safe_dump(told))


def settings(issuer: str, **more: Any) -> WebSettings:
    return WebSettings(
        oidc_issuer=issuer, oidc_client_id=CLIENT, oidc_client_secret=SecretStr(SECRET), **more
    )


def use(world: World, provider: IdentityProvider, url: str = HERE, **more: Any) -> None:
    """Has the world's pages ask this provider."""
    oidc = Oidc(settings(provider.issuer, **more), url, world.clock)
    world.app.state.parts = replace(world.parts, provider=oidc)


@pytest.fixture
def provider(world: World, key: RSAKey) -> Iterator[IdentityProvider]:
    with IdentityProvider(world.clock, f"{HERE}{BACK}", key).running() as running:
        use(world, running)
        people(world)
        yield running


def led(browser: Browser, to: str = "/") -> str:
    """Begins at the door, is signed in at the provider, and is where that leads back to."""
    away = browser.client.get("/sign-in/oidc", params={"next": to}, follow_redirects=False)
    assert away.status_code == 303, away.text
    back = httpx.get(away.headers["location"], trust_env=False)
    assert back.status_code == 302, back.text
    return back.headers["location"]


def sign_in(browser: Browser, to: str = "/") -> Seen:
    """The whole way."""
    return browser.get(led(browser, to))


def inside(browser: Browser) -> bool:
    return not browser.get("/").address.split("?")[0].endswith("/sign-in")


def who(browser: Browser) -> str:
    """Whom the pages name as signed in."""
    return browser.get("/").text


# --- who comes in -----------------------------------------------------------------------------


class TestWhoComesIn:
    def test_a_member_by_verified_email(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        door = stranger.get("/sign-in?next=/runbooks")
        link = next(to for to in door.links() if to.startswith("/sign-in/oidc"))
        assert link == "/sign-in/oidc?next=/runbooks"
        seen = sign_in(stranger, "/runbooks")
        assert seen.links() == ["/runbooks"]
        assert ("meta", {"http-equiv": "refresh", "content": "0; url=/runbooks"}) in seen.tags
        page = stranger.get("/runbooks")
        assert page.status == 200
        assert "ada" in page.text
        assert "approver" in page.text

    @pytest.mark.parametrize("verified", [False, None, "false", 1.5, "yes", [True]])
    def test_an_email_that_is_not_verified_is_nobodys(
        self, stranger: Browser, provider: IdentityProvider, verified: Any
    ) -> None:
        provider.who["email_verified"] = verified
        seen = sign_in(stranger)
        assert seen.status == 403
        assert "Oidc:248289 has no role here" in seen.text
        assert "ask an administrator" in seen.text
        assert not inside(stranger)

    def test_a_group_gives_its_role_and_the_strongest_counts(
        self, stranger: Browser, provider: IdentityProvider
    ) -> None:
        provider.who = {
            "sub": "7",
            "email": "eve@example.com",
            "email_verified": True,
            "groups": ["staff", "sre", "x"],
        }
        sign_in(stranger)
        assert "eve@example.com" in who(stranger)
        assert "operator" in who(stranger)

    def test_groups_of_somebody_without_email_count_too(
        self, stranger: Browser, provider: IdentityProvider
    ) -> None:
        provider.who = {"sub": "7", "groups": "staff"}
        sign_in(stranger)
        assert "oidc:7" in who(stranger)
        assert "viewer" in who(stranger)

    def test_groups_stand_in_the_claim_that_is_set(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        use(world, provider, oidc_groups="roles")
        provider.who = {"sub": "7", "groups": ["sre"], "roles": ["staff"]}
        sign_in(stranger)
        assert "viewer" in who(stranger)

    @pytest.mark.parametrize("name", ["grace", "ada-lovelace", "ada"])
    def test_a_name_that_is_no_email_lets_nobody_in(
        self, stranger: Browser, provider: IdentityProvider, name: str
    ) -> None:
        provider.who = {"sub": name, "email": name, "email_verified": True, "preferred_username": name}
        assert sign_in(stranger).status == 403
        assert not inside(stranger)

    @pytest.mark.parametrize("groups", [None, 7, {"sre": 1}, [{"sre": 1}, ["sre"]], "SRE", ["sre "]])
    def test_what_is_no_such_group_gives_nothing(
        self, stranger: Browser, provider: IdentityProvider, groups: Any
    ) -> None:
        provider.who = {"sub": "7", "groups": groups}
        assert sign_in(stranger).status == 403

    def test_two_thousand_groups_are_no_matter(self, stranger: Browser, provider: IdentityProvider) -> None:
        provider.who = {"sub": "7", "groups": [f"group-{n}" for n in range(2_000)] + ["staff"]}
        sign_in(stranger)
        assert "viewer" in who(stranger)
        assert all(len(cookie.value or "") < 2000 for cookie in stranger.client.cookies.jar)

    def test_a_key_opens_as_before(self, world: World, stranger: Browser, provider: IdentityProvider) -> None:
        stranger.sign_in(world.key(Role.OPERATOR, "robot"))
        assert "robot" in who(stranger)

    def test_a_provider_that_takes_the_secret_in_the_body(
        self, stranger: Browser, provider: IdentityProvider
    ) -> None:
        provider.described = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        sign_in(stranger)
        assert inside(stranger)


class TestTheRoleOfNow:
    def test_who_is_removed_is_out_at_once(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        sign_in(stranger)
        assert inside(stranger)
        people(world, {"people": [], "groups": PEOPLE["groups"]})
        seen = stranger.get("/runbooks")
        assert seen.status == 403
        assert "ada@example.com has no role here" in seen.text
        assert stranger.get("/sign-in").status == 200

    def test_a_lower_role_holds_at_once(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        sign_in(stranger)
        form = stranger.get("/").form("/pause") | {"to": "paused", "reason": "x"}
        people(world, {"people": [{"name": "ada", "role": "viewer", "email": "ada@example.com"}]})
        assert stranger.post("/pause", form).status == 403
        people(world)
        assert stranger.post("/pause", form).status == 200

    def test_an_unreadable_directory_lets_nobody_in_but_by_key(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        sign_in(stranger)
        people(world, "people: [{name: ada, role: boss}]")
        seen = stranger.get("/")
        assert seen.status == 503
        assert "only keys open Mendline now" in seen.text
        other = Browser(world.app)
        assert sign_in(other).status == 503
        assert other.sign_in(world.key(Role.VIEWER)).status == 200
        assert inside(other)

    @pytest.mark.server
    def test_an_unreadable_directory_ends_what_a_member_follows(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        sign_in(stranger)
        keeper = Browser(world.app)
        keeper.sign_in(world.key(Role.VIEWER))
        with (
            stage.serving(world) as address,
            stage.following(address, keeper, INCIDENTS) as still,
            stage.following(address, stranger, INCIDENTS) as ended,
        ):
            until(lambda: len(world.app.state.live._listeners) == 2, 10)
            people(world, "people: [{name: ada, role: boss}]")
            until(lambda: "end" in ended, 10)
            assert "end" not in still
            world.app.state.live.stopping = lambda: True

    def test_a_session_ends_in_time(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        sign_in(stranger)
        world.clock.advance(timedelta(hours=12, seconds=1))
        assert not inside(stranger)

    def test_signing_out(self, stranger: Browser, provider: IdentityProvider) -> None:
        sign_in(stranger)
        stranger.submit(stranger.get("/"), "/sign-out")
        assert not inside(stranger)

    def test_another_provider_ends_the_sessions_of_the_first(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        sign_in(stranger)
        oidc = Oidc(settings("https://other.example.com"), HERE, world.clock)
        world.app.state.parts = replace(world.parts, provider=oidc)
        assert not inside(stranger)
        world.app.state.parts = world.parts
        assert not inside(stranger)


# --- what opens nothing -----------------------------------------------------------------------


def unsigned(claims: Claims) -> str:
    """A token that nobody signed."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + "."
    )


class TestWhatIsNotBelieved:
    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://evil.example.com"},
            {"aud": "another-client"},
            {"aud": ["another-client"]},
            {"aud": [CLIENT, "another-client"]},
            {"aud": [CLIENT, "another-client"], "azp": "another-client"},
            {"azp": "another-client"},
            {"nonce": "the nonce of another sign-in"},
            {"nonce": None},
            {"exp": 1},
            {"exp": None},
            {"exp": "soon"},
            {"iat": None},
            {"iat": 4_000_000_000},
            {"nbf": 4_000_000_000},
            {"sub": None},
            {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        ],
    )
    def test_a_token_that_is_not_for_this_sign_in(
        self, stranger: Browser, provider: IdentityProvider, claims: Claims
    ) -> None:
        def changed(told: Claims) -> Claims:
            return {name: value for name, value in {**told, **claims}.items() if value is not None}

        provider.changed = changed
        seen = sign_in(stranger)
        assert seen.status == 403
        assert "cannot be believed" in seen.text
        assert not inside(stranger)

    def test_a_token_that_somebody_else_signed(
        self, stranger: Browser, provider: IdentityProvider, key: RSAKey
    ) -> None:
        other = new_key()
        public = key.as_pem(private=False)
        forged = [
            unsigned,
            lambda claims: jwt.encode({"alg": "RS256", "kid": key.kid}, claims, other),
            lambda claims: jwt.encode({"alg": "RS256", "kid": other.kid}, claims, other),
            lambda claims: jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET.encode().ljust(32))),
            lambda claims: _hs256(claims, public, str(key.kid)),
            lambda claims: "not.a.token",
            lambda claims: "",
        ]
        for forge in forged:
            provider.signed = forge
            assert sign_in(stranger).status == 403
        assert not inside(stranger)

    def test_keys_that_changed_are_asked_for_again(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        sign_in(stranger)
        provider.key = new_key()
        other = Browser(world.app)
        assert sign_in(other).status == 403
        assert provider.asked.count("/keys") == 1
        world.clock.advance(timedelta(seconds=6))
        assert sign_in(other).status == 200
        assert inside(other)
        assert provider.asked.count("/keys") == 2

    def test_keys_are_remembered(self, stranger: Browser, provider: IdentityProvider) -> None:
        sign_in(stranger)
        sign_in(stranger)
        assert provider.asked.count("/keys") == 1
        assert provider.asked.count("/.well-known/openid-configuration") == 1
        assert inside(stranger)

    def test_the_state_of_another_browser(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        """Login CSRF: somebody has a browser finish a sign-in that they began in theirs."""
        theirs = Browser(world.app)
        seen = stranger.get(led(theirs))
        assert seen.status == 403
        assert "in another browser" in seen.text
        led(stranger)
        seen = stranger.get(led(theirs))
        assert seen.status == 403
        assert "belongs to another sign-in" in seen.text
        assert not inside(stranger)

    def test_an_answer_works_once(self, world: World, stranger: Browser, provider: IdentityProvider) -> None:
        back = led(stranger)
        kept = {cookie.name: cookie.value for cookie in stranger.client.cookies.jar}
        stranger.get(back)
        assert inside(stranger)
        assert stranger.get(back).status == 403
        thief = Browser(world.app)
        thief.client.cookies.set("mendline_oidc", kept["mendline_oidc"], path="/sign-in")
        seen = thief.get(back)
        assert seen.status == 403
        assert "did not accept this sign-in" in seen.text
        assert provider.refused == ["invalid_grant"]
        assert not inside(thief)

    def test_a_stolen_code_is_worth_nothing_without_the_verifier(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        code = dict(httpx.URL(led(stranger)).params)["code"]
        thief = Browser(world.app)
        own = dict(httpx.URL(led(thief)).params) | {"code": code}
        assert thief.get(f"{BACK}?{httpx.QueryParams(own)}").status == 403
        assert provider.refused == ["invalid_grant"]
        assert not inside(thief)

    @pytest.mark.parametrize("issuer", ["https://evil.example.com", ""])
    def test_an_answer_of_another_provider(
        self, stranger: Browser, provider: IdentityProvider, issuer: str
    ) -> None:
        """Mix-up: the code is never sent anywhere when the answer does not come from whom we asked."""
        given = dict(httpx.URL(led(stranger)).params) | {"iss": issuer}
        seen = stranger.get(f"{BACK}?{httpx.QueryParams(given)}")
        assert seen.status == 403
        assert "another identity provider" in seen.text
        assert "/token" not in provider.asked

    def test_a_session_that_was_planted_is_not_taken_over(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        """Fixation: what somebody knew before is worth nothing after."""
        planter = Browser(world.app)
        planter.sign_in(world.key(Role.VIEWER, "planter"))
        planted = planter.client.cookies["mendline_session"]
        token = planter.get("/").form("/sign-out")["csrf"]
        stranger.client.cookies.set("mendline_session", planted, domain="testserver.local", path="/")
        sign_in(stranger)
        assert planted not in [cookie.value for cookie in stranger.client.cookies.jar]
        assert stranger.get("/").form("/sign-out")["csrf"] != token
        assert "planter" in who(planter)

    @pytest.mark.parametrize(
        "to",
        [
            "https://evil.test/",
            "//evil.test",
            "/\\evil.test",
            "javascript:alert(1)",
            "/sign-in/oidc",
            "/\t/e",
        ],
    )
    def test_it_leads_to_no_other_host(self, stranger: Browser, provider: IdentityProvider, to: str) -> None:
        assert sign_in(stranger, to).links() == ["/"]

    def test_the_provider_says_no(self, stranger: Browser, provider: IdentityProvider) -> None:
        provider.says_no = "access_denied"
        seen = sign_in(stranger)
        assert seen.status == 403
        assert "did not let you in" in seen.text

    @pytest.mark.parametrize("query", ["", "?state=x", "?code=x", "?state=%00&code=%ff", "?error=<script>"])
    def test_a_return_that_nobody_began(
        self, stranger: Browser, provider: IdentityProvider, query: str
    ) -> None:
        seen = stranger.get(f"{BACK}{query}")
        assert seen.status == 403
        assert "<script>" not in seen.body.replace("<script src", "")

    def test_it_takes_no_longer_than_ten_minutes(
        self, world: World, stranger: Browser, provider: IdentityProvider
    ) -> None:
        back = led(stranger)
        world.clock.advance(timedelta(minutes=11))
        assert stranger.get(back).status == 403

    def test_no_secret_is_in_what_the_browser_has(
        self, stranger: Browser, provider: IdentityProvider
    ) -> None:
        seen = sign_in(stranger)
        kept = " ".join(cookie.value or "" for cookie in stranger.client.cookies.jar)
        assert SECRET not in seen.body + kept
        assert "no-store" in seen.headers["cache-control"]
        assert "frame-ancestors 'none'" in seen.headers["content-security-policy"]

    def test_cookies_are_for_no_script_and_no_other_site(
        self, stranger: Browser, provider: IdentityProvider
    ) -> None:
        answer = stranger.client.get(led(stranger), follow_redirects=False)
        session = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("mendline_session="))
        assert "HttpOnly" in session
        assert "samesite=strict" in session.lower()


def _hs256(claims: Claims, public: bytes, kid: str) -> str:
    """A token whose shared secret is the provider's public key: the classic confusion."""
    import hashlib
    import hmac

    head = {"alg": "HS256", "kid": kid, "typ": "JWT"}
    text = ".".join(
        base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in (head, claims)
    )
    seal = hmac.new(public, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}"


class TestWithoutTheProvider:
    def test_it_is_down(self, world: World, stranger: Browser, provider: IdentityProvider) -> None:
        provider.down = True
        seen = stranger.get("/sign-in/oidc")
        assert seen.status == 503
        assert "does not answer as it should" in seen.text
        assert stranger.sign_in(world.key(Role.VIEWER)).status == 200
        assert inside(stranger)

    def test_it_goes_down_on_the_way(self, stranger: Browser, provider: IdentityProvider) -> None:
        back = led(stranger)
        provider.down = True
        assert stranger.get(back).status == 503
        assert not inside(stranger)

    def test_nobody_listens(self, world: World, stranger: Browser, provider: IdentityProvider) -> None:
        oidc = Oidc(settings("http://127.0.0.1:9"), HERE, world.clock)
        world.app.state.parts = replace(world.parts, provider=oidc)
        seen = stranger.get("/sign-in/oidc")
        assert seen.status == 503
        assert "127.0.0.1:9" in seen.text

    @pytest.mark.parametrize(
        "described",
        [
            {"issuer": "https://evil.example.com"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"authorization_endpoint": None},
        ],
    )
    def test_it_describes_itself_wrongly(
        self, stranger: Browser, provider: IdentityProvider, described: Claims
    ) -> None:
        provider.described = described
        assert stranger.get("/sign-in/oidc").status == 503

    @pytest.mark.parametrize(
        "described",
        [{"token_endpoint": ""}, {"token_endpoint": "ftp://x"}, {"jwks_uri": "file:///etc/passwd"}],
    )
    def test_it_describes_its_ways_wrongly(
        self, stranger: Browser, provider: IdentityProvider, described: Claims
    ) -> None:
        provider.described = described
        assert sign_in(stranger).status == 503
        assert not inside(stranger)

    def test_none_is_set_up(self, stranger: Browser) -> None:
        assert "oidc" not in stranger.get("/sign-in").body
        for path in ("/sign-in/oidc", BACK):
            assert stranger.get(path).status == 404


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"ISSUER": "http://login.example.com", "CLIENT_ID": "x"}, "must begin with https"),
            ({"ISSUER": "login.example.com", "CLIENT_ID": "x"}, "as the provider does"),
            ({"ISSUER": "https://login.example.com"}, "oidc_client_id"),
        ],
    )
    def test_what_cannot_work_is_said_at_the_start(self, given: dict[str, str], says: str) -> None:
        with pytest.raises(Invalid) as error:
            read_settings({f"MENDLINE_WEB__OIDC_{name}": value for name, value in given.items()})
        assert says in str(error.value.places)

    def test_the_provider_must_know_the_way_back(self, world: World) -> None:
        with pytest.raises(Invalid, match="MENDLINE_PEOPLE__URL"):
            open_provider(settings("https://login.example.com"), "", world.clock)
        assert open_provider(WebSettings(), "", world.clock) is None

    def test_the_secret_is_not_shown(self) -> None:
        found = read_settings(
            {
                "MENDLINE_WEB__OIDC_ISSUER": "https://login.example.com",
                "MENDLINE_WEB__OIDC_CLIENT_ID": "x",
                "MENDLINE_WEB__OIDC_CLIENT_SECRET": SECRET,
            }
        )
        assert SECRET not in repr(found)


# --- in a browser -----------------------------------------------------------------------------


@pytest.mark.server
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
def test_in_chromium(world: World, key: RSAKey, tmp_path: Path) -> None:
    """From a link to an incident, by the provider, to that incident, and out again."""
    incident_id = world.incident("connection to db timed out")
    server = uvicorn.Server(uvicorn.Config(world.app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        url = f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
        people(world)
        with (
            IdentityProvider(world.clock, f"{url}{BACK}", key).running() as provider,
            sync_playwright() as play,
        ):
            # The provider stands on 127.0.0.1, we on localhost: two sites to a browser, as in life.
            use(world, provider, url)
            chromium = play.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"] if os.getuid() == 0 else []
            )
            page = chromium.new_page()
            problems: list[str] = []
            page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
            page.goto(f"{url}/incidents/{incident_id}")
            page.get_by_role("link", name=re.compile("Sign in with 127")).click()
            expect(page).to_have_url(f"{url}/incidents/{incident_id}")
            expect(page.get_by_role("heading", level=1)).to_contain_text("timed out")
            expect(page.get_by_role("banner")).to_contain_text("ada")
            people(world, {"people": []})
            page.reload()
            expect(page.locator("body")).to_contain_text("has no role here")
            chromium.close()
            assert [one for one in problems if "403" not in one] == []
    finally:
        server.should_exit = True
        thread.join()
