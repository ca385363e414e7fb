"""Checkout: a folder that people keep in Git: who changed its files and when, and bringing it up to date.

Nothing here is ever pushed, and no work of a person is overwritten: what stands in the way is told.
"""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from app.foundation.errors import Conflict
from app.foundation.record import Record
from app.systems.far_side import FarSideError
from app.systems.git import environment, run_git
from app.systems.http import place

_READING = 10.0  # seconds for one look at what is here
_MOST_COMMITS = 2000
_COMMIT, _FIELD = "\x1e", "\x1f"


class Change(Record):
    """One commit."""

    revision: str
    at: datetime
    author: str
    subject: str


class History(Record):
    """A file's last commits, newest first; `author` made the first of all that were looked at.

    `uncommitted` files differ from the last commit, or are in none.
    """

    changes: tuple[Change, ...] = ()
    author: str = ""
    uncommitted: bool = False


def histories(folder: Path, most: int = 5) -> dict[str, History]:
    """By name, of the files in this very folder; none where it lies in no repository, or Git cannot read it.

    A file that the repository ignores has none.
    """
    form = f"--format={_COMMIT}%H{_FIELD}%at{_FIELD}%an{_FIELD}%s"
    log = ("log", f"--max-count={_MOST_COMMITS}", "--name-only", "--relative", form, "--", ".")
    try:
        logged = _said(folder, *log) if _said(folder, "rev-parse", "--verify", "--quiet", "HEAD") else ""
        prefix = _said(folder, "rev-parse", "--show-prefix").strip()
        status = _said(folder, "--no-optional-locks", "status", "--porcelain", "-z", "--", ".")
    except FarSideError:
        return {}
    found: dict[str, list[Change]] = {}
    for change, names in _commits(logged):
        for name in names:
            found.setdefault(name, []).append(change)
    open_files = {entry[3:].removeprefix(prefix) for entry in status.split("\0") if len(entry) > 3}
    return {
        name: History(
            changes=tuple(found.get(name, ())[:most]),
            author=found[name][-1].author if name in found else "",
            uncommitted=name in open_files,
        )
        for name in sorted({*found, *open_files})
        if "/" not in name
    }


class Histories:
    """The histories of files, of which a folder's are asked for again once `seconds` have passed."""

    def __init__(self, seconds: float = 15) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[float, dict[str, History]]] = {}

    def of(self, file: Path) -> History:
        """The file's; empty where there is none."""
        with self._lock:
            until, known = self._known.get(file.parent, (0.0, {}))
            if time.monotonic() >= until:
                known = histories(file.parent)
                self._known[file.parent] = (time.monotonic() + self._seconds, known)
        return known.get(file.name, History())


def _commits(logged: str) -> Iterator[tuple[Change, list[str]]]:
    for entry in logged.split(_COMMIT)[1:]:
        head, _, names = entry.partition("\n")
        revision, at, author, subject = head.split(_FIELD, 3)
        change = Change(
            revision=revision[:10],
            at=datetime.fromtimestamp(int(at), UTC),
            author=author[:100],
            subject=subject[:200],
        )
        yield change, [name for name in names.splitlines() if name]


def _said(folder: Path, *args: str) -> str:
    """The standard output; empty when Git says no. Raises FarSideError when it cannot be run."""
    code, out, err = run_git(args, folder, environment(), _READING, f"git {args[0]}")
    if code and b"not a git repository" in err:
        raise FarSideError("the folder lies in no repository", again=False)
    return out.decode(errors="replace") if not code else ""


class Sync:
    """Brings a folder to the head of a branch of a remote."""

    def __init__(
        self, folder: Path, remote: str, branch: str, password: str = "", timeout: float = 60
    ) -> None:
        self._folder = folder
        self._remote = remote
        self._branch = branch
        self._environment = environment(remote, password)
        self._timeout = timeout

    def sync(self) -> tuple[str, str]:
        """The revision before (empty: there was none) and after.

        Raises Conflict where something here would be lost, FarSideError when the remote cannot be read.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if not (self._folder / ".git").exists():
            self._run("init", "--quiet", "--template=", f"--initial-branch={self._branch}")
            self._run("config", "remote.origin.url", self._remote)
        known = self._run("config", "--get", "remote.origin.url")
        if known != self._remote:
            raise Conflict(f"{self._folder} is a clone of {place(known) or known}, not of that repository")
        head = f"refs/remotes/origin/{self._branch}"
        self._run("fetch", "--quiet", "--no-tags", "origin", f"+refs/heads/{self._branch}:{head}")
        before = self._run("rev-parse", "--verify", "--quiet", "HEAD", may_fail=True)
        if before:
            on = self._run("symbolic-ref", "--short", "HEAD", may_fail=True)
            if on != self._branch:
                raise Conflict(f"{self._folder} is on {on or 'no branch'}, not on {self._branch}")
            self._run("merge", "--quiet", "--ff-only", head)
        else:
            self._run("checkout", "--quiet", "--no-track", "-B", self._branch, head)
        return before[:10], self._run("rev-parse", "HEAD")[:10]

    def _run(self, *args: str, may_fail: bool = False) -> str:
        where = f"git {args[0]} ({place(self._remote) or 'a folder'})"
        code, out, err = run_git(args, self._folder, self._environment, self._timeout, where)
        if code and not may_fail:
            raise self._failed(where, err.decode(errors="replace").replace(self._remote, "the remote"))
        return out.decode(errors="replace").strip() if not code else ""

    def _failed(self, where: str, said: str) -> Conflict | FarSideError:
        if "would be overwritten" in said:
            files = tuple(
                (line.strip(), "commit it, or move it away") for line in said.splitlines() if line[:1] == "\t"
            )
            return Conflict(f"files in {self._folder} would be overwritten", places=files)
        if "fast-forward" in said:
            return Conflict(f"{self._folder} has commits that {self._branch} lacks; push them first")
        if "couldn't find remote ref" in said:
            return Conflict(f"the repository has no branch {self._branch}")
        telling = [line for line in said.splitlines() if line.startswith(("fatal:", "error:"))]
        return FarSideError(
            f"{where} failed: {' '.join((telling or [said.strip()])[0].split())[:300]}", again=True
        )
