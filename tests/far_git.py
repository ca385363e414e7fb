"""A bare Git repository, and a double of GitHub over it that is as strict as the real one.

The double checks the App's signed token, the installation's token and its expiry, the headers and each
field of a body; pull requests are of branches that really are in the repository. It counts what it did.
"""

import json
import os
import re
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.doubles import Quiet, Served

Json = dict[str, Any]
_TRAILER = re.compile(r"^Mendline-Key: (\S+)$", re.M)


class Origin:
    """A bare repository with one branch, `main`, reached as a file."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder = folder / "origin.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.folder], check=True)
        self.url = f"file://{self.folder}"
        self.first = self.commit(files, "first")

    def git(self, *args: str, feed: str = "", check: bool = True) -> str:
        who = {"NAME": "Ada", "EMAIL": "ada@example.org"}
        environment = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
        done = subprocess.run(
            ["git", f"--git-dir={self.folder}", *args],
            input=feed.encode(),
            env={**os.environ, **environment, "GIT_INDEX_FILE": str(self.folder / "an-index")},
            capture_output=True,
            check=check,
        )
        return done.stdout.decode()

    def commit(self, files: Mapping[str, str], message: str, branch: str = "main", base: str = "") -> str:
        """Somebody else's commit on the branch; a new branch begins at `base`."""
        parent = self.tip(branch) or base
        self.git("read-tree", parent) if parent else self.git("read-tree", "--empty")
        for path, text in files.items():
            blob = self.git("hash-object", "-w", "--stdin", feed=text).strip()
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        tree = self.git("write-tree").strip()
        parents = ["-p", parent] if parent else []
        commit = self.git("commit-tree", tree, *parents, "-F", "-", feed=message).strip()
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def tag(self, name: str, commit: str) -> None:
        self.git("tag", "-a", name, commit, "-m", name)

    def tip(self, branch: str = "main") -> str:
        return self.git("rev-parse", "-q", "--verify", f"refs/heads/{branch}", check=False).strip()

    def text(self, path: str, revision: str = "main") -> str:
        return self.git("show", f"{revision}:{path}")

    def messages(self, branch: str = "main") -> list[str]:
        """Of each commit, newest first."""
        return [one for one in self.git("log", "--format=%B%x00", branch).split("\0") if one.strip()]

    def keys(self, branch: str = "main") -> list[str]:
        """The keys of our commits on the branch."""
        return _TRAILER.findall("\n".join(self.messages(branch)))

    @property
    def branches(self) -> set[str]:
        return set(self.git("for-each-ref", "--format=%(refname:strip=2)", "refs/heads").split())


@cache
def private_key(number: int = 0) -> str:
    """An App's private key, PEM; another number is another key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


class Hub(Served):
    """GitHub for one repository, `acme/shop`.

    faults   told to the next requests of the repository, by turns: a status and headers to answer instead of
             acting; "drop": act, then break off; None: nothing special.
    wrong    what a request did that GitHub would not have, or would not have liked.
    ran      the conclusion of each check on any commit; "" is still running.
    lasts    how long a token is valid.
    """

    OWNER, NAME, APP, INSTALLATION = "acme", "shop", "Iv23abc", 4711

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.did: Counter[str] = Counter()
        self.pulls: list[Json] = []
        self.tokens: dict[str, datetime] = {}
        self.faults: list[tuple[int, dict[str, str]] | str | None] = []
        self.wrong: list[str] = []
        self.ran: dict[str, str] = {}
        self.lasts = timedelta(hours=1)
        hub = self

        class Handler(Quiet):
            def do_GET(self) -> None:
                hub.serve(self, "GET")

            def do_POST(self) -> None:
                hub.serve(self, "POST")

            def do_PATCH(self) -> None:
                hub.serve(self, "PATCH")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda request, client: None  # type: ignore[method-assign]
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def app(self, folder: Path, **fields: Any) -> Json:
        """How the App is registered; its key is written into `folder`."""
        key_file = folder / "app.pem"
        key_file.write_text(private_key())
        return {
            "api": self.url,
            "repository": f"{self.OWNER}/{self.NAME}",
            "app_id": self.APP,
            "installation_id": self.INSTALLATION,
            "key_file": str(key_file),
            "timeout": 5,
            **fields,
        }

    @property
    def open(self) -> list[Json]:
        """The pull requests that are open."""
        return [pull for pull in map(self._look, self.pulls) if pull["state"] == "open"]

    def merge(self, number: int) -> None:
        """A person merges it."""
        pull = self._look(self.pulls[number - 1])
        self.origin.git("update-ref", f"refs/heads/{pull['base']['ref']}", pull["head"]["sha"])
        pull |= {"state": "closed", "merged_at": "2026-11-21T12:00:00Z"}

    def serve(self, to: Quiet, method: str) -> None:
        raw, url = to.body(), urlsplit(to.path)
        with self._lock:
            self._headers(to, bool(raw))
            body = json.loads(raw) if raw else None
            own = url.path.startswith("/app/")
            fault = None if own or not self.faults else self.faults.pop(0)
            if isinstance(fault, tuple):
                said = (
                    {"message": "You have exceeded a secondary rate limit"} if fault[0] in (403, 429) else {}
                )
                return to.answer(fault[0], said or {"message": "as told"}, fault[1])
            answer = (
                self._token(to, method, url.path, body) if own else self._repository(to, method, url, body)
            )
            if fault == "drop":
                to.close_connection = True
                return None
            return to.answer(*answer)

    def _headers(self, to: Quiet, has_body: bool) -> None:
        wanted = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if has_body:
            wanted["Content-Type"] = "application/json"
        self.wrong += [
            f"{name}: {to.headers[name]}" for name, want in wanted.items() if to.headers[name] != want
        ]
        if not to.headers["User-Agent"] or "python" in to.headers["User-Agent"].lower():
            self.wrong.append("no user agent of its own")

    def _token(self, to: Quiet, method: str, path: str, body: Any) -> tuple[int, Json]:
        if (method, path) != ("POST", f"/app/installations/{self.INSTALLATION}/access_tokens"):
            return 404, {"message": "Not Found"}
        now = datetime.now(UTC).timestamp()
        try:
            claims = jwt.decode(
                (to.headers["Authorization"] or "").removeprefix("Bearer "),
                load_pem_private_key(private_key().encode(), None).public_key(),  # type: ignore[arg-type]
                algorithms=["RS256"],
                options={"require": ["iss", "iat", "exp"]},
                issuer=self.APP,
            )
        except jwt.InvalidTokenError as error:
            return 401, {"message": f"A JSON web token could not be decoded: {error}"}
        if claims["exp"] > now + 600 or claims["exp"] - claims["iat"] > 600:
            return 401, {"message": "'Expiration time' claim ('exp') is too far in the future"}
        if set(body or {}) - {"repositories", "permissions"} or body.get("repositories") != [self.NAME]:
            return 422, {
                "message": "There is at least one repository that does not exist or is not accessible"
            }
        token = f"ghs_{uuid.uuid4().hex}"
        self.did["token"] += 1
        self.tokens[token] = datetime.now(UTC) + self.lasts
        ends = self.tokens[token].strftime("%Y-%m-%dT%H:%M:%SZ")
        return 201, {"token": token, "expires_at": ends, "repository_selection": "selected"}

    def _repository(self, to: Quiet, method: str, url: Any, body: Any) -> tuple[int, Any]:
        ends = self.tokens.get((to.headers["Authorization"] or "").removeprefix("Bearer "))
        if ends is None or ends <= datetime.now(UTC):
            return 401, {"message": "Bad credentials"}
        root, query = f"/repos/{self.OWNER}/{self.NAME}", parse_qs(url.query)
        if method == "GET" and url.path == f"{root}/pulls":
            return 200, self._list(query)
        if method == "POST" and url.path == f"{root}/pulls":
            return self._open(body)
        if found := re.fullmatch(rf"{root}/pulls/(\d+)", url.path):
            if not 1 <= int(found[1]) <= len(self.pulls):
                return 404, {"message": "Not Found"}
            return self._one(method, self._look(self.pulls[int(found[1]) - 1]), body)
        found = re.fullmatch(rf"{root}/commits/([0-9a-f]{{40}})/check-runs", url.path)
        if method == "GET" and found:
            return self._checks(found[1], query)
        return 404, {"message": "Not Found"}

    def _look(self, pull: Json) -> Json:
        """A pull request follows its branch, and is closed when that is deleted."""
        if pull["state"] == "open":
            tip = self.origin.tip(pull["head"]["ref"])
            pull["head"]["sha"] = tip or pull["head"]["sha"]
            pull["state"] = "open" if tip else "closed"
        return pull

    def _list(self, query: dict[str, list[str]]) -> list[Json]:
        owner, _, branch = query["head"][0].partition(":")
        state = query.get("state", ["open"])[0]
        found = [self._look(pull) for pull in reversed(self.pulls)]
        return [
            p
            for p in found
            if owner == self.OWNER and p["head"]["ref"] == branch and state in ("all", p["state"])
        ]

    def _open(self, body: Any) -> tuple[int, Json]:
        kinds = {"title": str, "head": str, "base": str, "body": str, "maintainer_can_modify": bool}
        if set(body) != set(kinds) or any(type(body[name]) is not kind for name, kind in kinds.items()):
            return _invalid("a field is missing, unknown or of another kind")
        head, base = self.origin.tip(body["head"]), self.origin.tip(body["base"])
        if not body["title"] or not head or not base:
            return _invalid(code="invalid", field="head" if not head else "base")
        if not self.origin.git("rev-list", f"{base}..{head}"):
            return _invalid(f"No commits between {body['base']} and {body['head']}")
        if any(pull["head"]["ref"] == body["head"] for pull in self.open):
            return _invalid(f"A pull request already exists for {self.OWNER}:{body['head']}.")
        self.did["open"] += 1
        pull: Json = {
            "number": len(self.pulls) + 1,
            "state": "open",
            "title": body["title"],
            "body": body["body"],
            "merged_at": None,
            "head": {"ref": body["head"], "sha": head},
            "base": {"ref": body["base"], "sha": base},
        }
        self.pulls.append(pull)
        return 201, pull

    def _one(self, method: str, pull: Json, body: Any) -> tuple[int, Json]:
        if method == "PATCH":
            if body != {"state": "closed"}:
                return _invalid("only closing is known here")
            self.did["close"] += pull["state"] == "open"
            pull["state"] = "closed"
        return 200, pull

    def _checks(self, commit: str, query: dict[str, list[str]]) -> tuple[int, Json]:
        if self.origin.git("cat-file", "-t", commit, check=False).strip() != "commit":
            return _invalid(f"No commit found for SHA: {commit}")
        name = query["check_name"][0]
        runs = []
        if name in self.ran:
            ended = self.ran[name]
            status = "completed" if ended else "in_progress"
            runs = [{"name": name, "head_sha": commit, "status": status, "conclusion": ended or None}]
        return 200, {"total_count": len(runs), "check_runs": runs}

    @contextmanager
    def running(self) -> Iterator["Hub"]:
        with super().running():
            yield self
        assert self.wrong == []


def _invalid(message: str = "", **fields: str) -> tuple[int, Json]:
    error = {"resource": "PullRequest", **fields, **({"message": message} if message else {})}
    return 422, {"message": "Validation Failed", "errors": [error]}
