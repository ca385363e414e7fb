"""GitHub's pull requests, as a GitHub App that is installed on one repository.

The App's key signs a token for itself (RS256, ten minutes at most), which buys one for the installation,
kept until shortly before it expires. From: GitHub's REST API 2022-11-28: "Generating a JSON web token
for a GitHub App", "Rate limits", "Pull requests", "Check runs".
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import orjson
from pydantic import Field, ValidationError

from app.foundation.clock import Clock, SystemClock
from app.foundation.record import Record
from app.systems.connections import GithubApp
from app.systems.far_side import FarSideError
from app.systems.http import Answer, NoAnswer, NotNow, ask

R = TypeVar("R", bound=Record)

_EARLY = timedelta(minutes=5)  # before its expiry a token counts as used up
_PATIENCE = 60.0  # seconds that GitHub asks for where a limit names none
_tokens: dict[GithubApp, tuple[str, datetime]] = {}


class _Reference(Record, extra="ignore"):
    ref: str
    sha: str


class PullRequest(Record, extra="ignore"):
    """What GitHub says of one. `head` and `base` name a branch and its commit."""

    number: int
    state: Literal["open", "closed"]
    merged_at: datetime | None = None
    head: _Reference
    base: _Reference


class CheckRun(Record, extra="ignore"):
    """One run of a check. `conclusion` is empty until it is completed."""

    name: str
    status: str
    conclusion: str | None = None


class _Token(Record, extra="ignore"):
    token: str = Field(min_length=1)
    expires_at: datetime


class Github:
    """The pull requests of `app.repository`. Every method raises FarSideError: NotNow when nothing happened."""

    def __init__(self, app: GithubApp, clock: Clock | None = None) -> None:
        self._app = app
        self._clock = clock or SystemClock()

    def token(self) -> str:
        """One for the installation, for this repository alone; a new one only when it is needed."""
        token, ends = _tokens.get(self._app, ("", datetime.min.replace(tzinfo=UTC)))
        if self._clock.now() + _EARLY < ends:
            return token
        path = f"/app/installations/{self._app.installation_id}/access_tokens"
        body = {"repositories": [self._app.repository.partition("/")[2]]}
        answer = self._send("POST", path, f"Bearer {self._own_token()}", body)
        bought = _read(_Token, self._good(answer, "a token for the installation", 201))
        _tokens[self._app] = bought.token, bought.expires_at
        return bought.token

    def _own_token(self) -> str:
        # Most sites have no App, and a start should not wait for it.
        import jwt

        now = self._clock.now()
        # A minute in the past, because two clocks differ; ten minutes from then at most.
        claims = {
            "iat": now - timedelta(seconds=60),
            "exp": now + timedelta(minutes=9),
            "iss": str(self._app.app_id),
        }
        try:
            return jwt.encode(claims, self._app.key_file.read_bytes(), algorithm="RS256")
        except OSError as error:
            raise FarSideError(f"the App's key file cannot be read: {error.strerror}", again=False) from None
        except (jwt.InvalidKeyError, ValueError, TypeError):
            raise FarSideError("the App's key file holds no RSA key in PEM", again=False) from None

    def find(self, branch: str, commit: str) -> PullRequest | None:
        """The newest pull request from this branch at this commit, whatever became of it."""
        head = quote(f"{self._app.repository.partition('/')[0]}:{branch}", safe="")
        found = self._ask("GET", f"/pulls?head={head}&state=all&sort=created&direction=desc", "pull requests")
        if not isinstance(found, list):
            raise FarSideError("GitHub answered something else than a list", again=False)
        requests = [_read(PullRequest, one) for one in found]
        return next((one for one in requests if (one.head.ref, one.head.sha) == (branch, commit)), None)

    def get(self, number: int) -> PullRequest:
        """One pull request as it is now."""
        return _read(PullRequest, self._ask("GET", f"/pulls/{number}", f"pull request #{number}"))

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Opens one. GitHub refuses a second one from a branch: look with `find` first, and after NoAnswer."""
        wanted = {"title": title, "head": branch, "base": base, "body": body, "maintainer_can_modify": False}
        return _read(PullRequest, self._ask("POST", "/pulls", "opening a pull request", wanted, 201))

    def close(self, number: int) -> None:
        """Closes one without merging it; closed already is fine."""
        self._ask("PATCH", f"/pulls/{number}", f"closing pull request #{number}", {"state": "closed"})

    def checks(self, commit: str, name: str) -> list[CheckRun]:
        """The latest runs of one check on a commit; none when it has not begun."""
        path = f"/commits/{commit}/check-runs?check_name={quote(name, safe='')}&filter=latest&per_page=100"
        found = self._ask("GET", path, "check runs")
        runs = found.get("check_runs") if isinstance(found, dict) else None
        return [_read(CheckRun, one) for one in runs or []]

    def _ask(self, method: str, path: str, what: str, body: Any = None, wanted: int = 200) -> Any:
        path = f"/repos/{self._app.repository}{path}"
        answer = self._send(method, path, f"Bearer {self.token()}", body)
        if answer.status == 401:  # taken back before its time: buy another one, once
            _tokens.pop(self._app, None)
            answer = self._send(method, path, f"Bearer {self.token()}", body)
        return self._good(answer, what, wanted)

    def _send(self, method: str, path: str, authorization: str, body: Any) -> Answer:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": authorization,
            "User-Agent": "mendline",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        return ask(method, self._app.api + path, timeout=self._app.timeout, headers=headers, json=body)

    def _good(self, answer: Answer, what: str, wanted: int) -> Any:
        try:
            said = orjson.loads(answer.body) if answer.body else None
        except orjson.JSONDecodeError:
            said = None
        if answer.status == wanted:
            return said
        message = said.get("message") if isinstance(said, dict) else ""
        says = f"GitHub answered {answer.status} to {what}"
        if answer.status in (403, 429) and (after := self._limit(answer, str(message))) is not None:
            raise NotNow(f"{says}: a rate limit", after)
        if answer.status >= 500:
            raise NoAnswer(says)
        mend = {
            401: "the App's id, key or installation is not accepted",
            403: "the App lacks a permission",
            404: "there is none, or the App is not installed on this repository",
            422: _problems(said),
        }.get(answer.status, "")
        raise FarSideError(f"{says}: {mend}" if mend else says, again=False)

    def _limit(self, answer: Answer, message: str) -> float | None:
        """Seconds to wait where this is a rate limit, at most an hour."""
        if answer.headers.get("retry-after", "").isdecimal():
            return min(float(answer.headers["retry-after"]), 3600.0)
        if answer.headers.get("x-ratelimit-remaining") == "0":
            ends = answer.headers.get("x-ratelimit-reset", "")
            wait = float(ends) - self._clock.now().timestamp() if ends.isdecimal() else _PATIENCE
            return min(max(wait, 1.0), 3600.0)
        return _PATIENCE if answer.status == 429 or "rate limit" in message.lower() else None


def _problems(said: Any) -> str:
    errors = said.get("errors") if isinstance(said, dict) else None
    told = [one.get("message") or one.get("code") for one in errors or [] if isinstance(one, dict)]
    return "; ".join(str(one) for one in told if one)[:200] or "it is not valid there"


def _read(record: type[R], said: Any) -> R:
    try:
        return record.model_validate(said)
    except ValidationError:
        raise FarSideError("GitHub answered in a form that we do not know", again=False) from None
