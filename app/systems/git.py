"""Git: a branch of a remote repository, read and moved by the `git` command line.

Each use fetches into a bare repository of its own, which is gone afterwards. A branch moves only from
where it was seen to be (compare and swap by the remote itself), so of two who push one is told `Moved`.
No hook, no configuration of a user or machine, no prompt; a password goes through the environment,
never into an address or an argument.
"""

import base64
import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import tenacity

from app.systems.connections import GitBranch
from app.systems.far_side import FarSideError
from app.systems.github import Github
from app.systems.http import NotNow, place

MOST_BYTES = 5_000_000  # of one file
RECENT = 100  # commits in which a trailer is looked for
# The trailers that say which step of which repair a commit is, and for which incident.
KEY, INCIDENT = "Mendline-Key", "Mendline-Incident"

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_KEPT = ("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", *_PROXIES)
_MOVED = re.compile(
    r"stale info|\[rejected\]|fetch first|cannot lock ref|failed to update ref|incorrect old value"
)
_REFUSED = re.compile(
    r"remote rejected|hook declined|Authentication failed|could not read (Username|Password)|Permission denied"
    r"|returned error: 40[134]|not found|does not appear to be a git repository|protocol '.*' not supported"
    r"|transport '.*' not allowed|Host key verification failed|dubious ownership|certificate verification failed"
    r"|shallow update not allowed"
)


class Moved(NotNow):
    """The branch is not where it was seen to be; nothing was pushed."""


# For an undoing, which nobody repeats otherwise.
again_if_moved = tenacity.retry(
    retry=tenacity.retry_if_exception_type(Moved), stop=tenacity.stop_after_attempt(3), reraise=True
)


def message(says: str, incident: str, key: str = "") -> str:
    """A commit's message with its trailers."""
    trailers = {INCIDENT: incident, **({KEY: key} if key else {})}
    return f"{says}\n\n" + "".join(f"{name}: {value}\n" for name, value in trailers.items())


def run_git(
    command: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float,
    where: str,
    feed: bytes = b"",
) -> tuple[int, bytes, bytes]:
    """Exit code, standard output and error of `git COMMAND`. Raises FarSideError when it cannot run or end."""
    try:
        process = subprocess.Popen(
            ["git", *command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise FarSideError(f"git cannot be run here: {error.strerror}", again=False) from None
    try:
        out, err = process.communicate(feed, timeout=timeout)
    except subprocess.TimeoutExpired:
        # Its children hold the pipes too: all of the session goes.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise FarSideError(f"{where} did not end in {timeout:g} s", again=True) from None
    return process.returncode, out, err


class Clone:
    """What was fetched. `tip` is the commit at the branch's head, empty when there is no such branch."""

    def __init__(self, at: GitBranch, folder: Path, environment: Mapping[str, str]) -> None:
        self._at = at
        self._folder = folder
        self._environment = environment
        self.tip = ""

    def run(self, *args: str, feed: bytes = b"") -> bytes:
        """The standard output of `git ARGS`. Raises FarSideError."""
        environment = {**self._environment, "GIT_INDEX_FILE": str(self._folder / "index")}
        command = [f"--git-dir={self._folder}", *args]
        where = self._where(args[0])
        code, out, err = run_git(command, self._folder.parent, environment, self._at.timeout, where, feed)
        if code:
            raise self._failed(args[0], (out if args[0] == "push" else b"") + err)
        return out

    def _where(self, verb: str) -> str:
        return f"git {verb} ({place(self._at.remote) or 'a folder'})"

    def _failed(self, verb: str, told: bytes) -> FarSideError:
        text = told.decode(errors="replace")
        telling = [line for line in text.splitlines() if re.match(r"fatal:|error:|!", line)]
        said = (telling or [text.strip()])[0][:300]
        for shown in (self._at.remote, urlsplit(self._at.remote).path):
            said = said.replace(shown, "the remote") if len(shown) > 1 else said
        says = f"{self._where(verb)} failed: {' '.join(said.split())}"
        if verb == "push" and _MOVED.search(text):
            return Moved(f"{self._where(verb)}: the branch moved meanwhile", 1.0)
        return FarSideError(says, again=not _REFUSED.search(text))

    def _text(self, *args: str, feed: bytes = b"") -> str:
        return self.run(*args, feed=feed).decode(errors="replace").strip()

    def fetch(self, branch: str, *, depth: int, tags: str = "") -> None:
        """Fetches the branch (`depth` 0 is its whole history) and the tags of a pattern; sets `tip`."""
        wanted = [f"+refs/heads/{branch}:refs/heads/tip"]
        wanted += [f"+refs/tags/{tags}:refs/tags/{tags}"] if tags else []
        shallow = [f"--depth={depth}"] if depth else []
        try:
            self.run("fetch", "--quiet", "--no-tags", *shallow, self._at.remote, *wanted)
        except FarSideError as error:
            if "couldn't find remote ref" in error.says:
                return
            raise
        self.tip = self._text("rev-parse", "--verify", "refs/heads/tip")

    def read(self, path: str, revision: str) -> bytes:
        """An ordinary file's bytes. Raises FarSideError (again=False) when there is none, or it is huge."""
        self._mode(path, revision)
        name = f"{revision}:{path}"
        if int(self._text("cat-file", "-s", name)) > MOST_BYTES:
            raise FarSideError(f"{path} has more than {MOST_BYTES:,} bytes", again=False)
        return self.run("cat-file", "blob", name)

    def _mode(self, path: str, revision: str) -> str:
        mode = self._text("--literal-pathspecs", "ls-tree", revision, "--", path).partition(" ")[0]
        if mode not in ("100644", "100755"):
            raise FarSideError(f"{path} is no file at {revision[:10]}", again=False)
        return mode

    def commit(self, parent: str, files: Mapping[str, bytes], message: str) -> str:
        """A new commit on `parent` in which these files hold this; it is nowhere else yet."""
        self.run("read-tree", parent)
        for path, data in files.items():
            blob = self._text("hash-object", "-w", "--stdin", feed=data)
            self.run("update-index", "--cacheinfo", f"{self._mode(path, parent)},{blob},{path}")
        return self._commit(self._text("write-tree"), parent, message)

    def commit_as(self, revision: str, parent: str, message: str) -> str:
        """A new commit on `parent` in which everything is as in `revision`; nowhere else yet."""
        return self._commit(self.tree(revision), parent, message)

    def _commit(self, tree: str, parent: str, message: str) -> str:
        return self._text("commit-tree", tree, "-p", parent, "-F", "-", feed=message.encode())

    def tree(self, revision: str) -> str:
        """The id of all that a revision holds: equal means alike in every file."""
        return self._text("rev-parse", "--verify", f"{revision}^{{tree}}")

    def push(self, commit: str, branch: str, expected: str) -> None:
        """Moves the remote's branch from `expected` (empty: there is none) to `commit` (empty: deletes it).

        Raises Moved when it is elsewhere, and FarSideError; with again=True it may have moved all the same.
        """
        reference = f"refs/heads/{branch}"
        lease = f"--force-with-lease={reference}:{expected}"
        self.run("push", "--quiet", "--porcelain", lease, self._at.remote, f"{commit}:{reference}")

    def find(self, value: str, trailer: str = KEY) -> str:
        """The newest of the fetched commits that carries this trailer, empty when none does."""
        form = f"--format=%H %(trailers:key={trailer},valueonly,separator=%x20)"
        lines = self._text("log", f"--max-count={RECENT}", form, self.tip).splitlines() if self.tip else []
        return next((line.split()[0] for line in lines if value in line.split()[1:]), "")

    def marked(self) -> list[tuple[str, str]]:
        """Commits and the tag that marks them, from the head back along its first parents."""
        form = "--format=%(refname:strip=2) %(objectname) %(*objectname)"
        tags = [line.split() for line in self._text("for-each-ref", form, "refs/tags").splitlines()]
        marks = {ids[-1]: name for name, *ids in reversed(tags)}
        line = self._text("rev-list", "--first-parent", self.tip).split()
        return [(commit, marks[commit]) for commit in line if commit in marks]


@contextlib.contextmanager
def opened(at: GitBranch, branch: str = "", *, depth: int = RECENT, tags: str = "") -> Iterator[Clone]:
    """The registered branch, or another one of the same repository, fetched. Raises FarSideError."""
    with tempfile.TemporaryDirectory(prefix="mendline-git-", ignore_cleanup_errors=True) as folder:
        clone = Clone(at, Path(folder) / "clone.git", environment(at.remote, _password(at)))
        clone.run("init", "--quiet", "--bare", "--template=")
        clone.fetch(branch or at.branch, depth=depth, tags=tags)
        yield clone


def environment(remote: str = "", password: str = "") -> dict[str, str]:
    """What `git` runs in: nothing of this user or machine; `password` is shown to the remote alone, over https."""
    settings = {
        "core.hooksPath": os.devnull,
        "core.fsmonitor": "false",
        "core.quotePath": "false",
        "core.symlinks": "false",
        "credential.helper": "",
        "http.followRedirects": "false",
        "log.showSignature": "false",
        "gc.auto": "0",
        "maintenance.auto": "false",
    }
    if remote.startswith("https://") and password:
        basic = base64.b64encode(f"x-access-token:{password}".encode()).decode()
        settings[f"http.{remote}.extraHeader"] = f"Authorization: Basic {basic}"
    found = {name: os.environ[name] for name in _KEPT if name in os.environ}
    for number, (name, setting) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": setting}
    who = {"NAME": "Mendline", "EMAIL": "mendline@localhost"}
    found |= {f"GIT_{role}_{what}": said for role in ("AUTHOR", "COMMITTER") for what, said in who.items()}
    return found | {
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ALLOW_PROTOCOL": "file:https:ssh",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "LC_ALL": "C",
    }


def _password(at: GitBranch) -> str:
    if not at.remote.startswith("https://"):
        return ""
    if at.token_file is not None:
        try:
            return at.token_file.read_text().strip()
        except OSError as error:
            raise FarSideError(f"the token file cannot be read: {error.strerror}", again=False) from None
    return "" if at.github is None else Github(at.github).token()
