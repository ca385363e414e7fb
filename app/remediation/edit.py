"""Edit: named changes of files, on disk or in Git, and proof that they are the planned ones."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import model_validator

from app.decision.plan import Step
from app.foundation.record import Record
from app.remediation.strategy import NeedsHuman, Snapshot
from app.systems import configuration, git
from app.systems.configuration import Value
from app.systems.connections import ConfigFile, GitBranch, GitFile, GitRepository
from app.systems.far_side import FarSideError
from app.systems.git import Clone

Changeable = ConfigFile | GitFile | GitRepository


class Edit(Record):
    """One change in `file`: `value` at `key`, or `replace` in the one place where `find` stands."""

    file: str
    key: str = ""
    value: Value | None = None
    find: str = ""
    replace: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "Edit":
        by_key = bool(self.key) and self.value is not None
        by_text = bool(self.find) and self.replace is not None
        if by_key == by_text or (self.key and self.find):
            raise ValueError("give key and value, or find and replace")
        return self

    @property
    def says(self) -> str:
        """For people."""
        if self.key:
            return f"{self.key} becomes {json.dumps(self.value, ensure_ascii=False)}"
        return f"{self.find[:200]!r} becomes {(self.replace or '')[:200]!r}"


def digest(data: bytes) -> str:
    """Hex sha256."""
    return hashlib.sha256(data).hexdigest()


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """That of each file, by path."""
    return {path: digest(data) for path, data in files.items()}


def planned(step: Step, which: int) -> dict[str, str]:
    """The digests of the files before (0) or after (1) the change."""
    return {path: both[which] for path, both in step.does["files"].items()}


def contents(connection: Changeable, paths: Sequence[str]) -> dict[str, bytes]:
    """What the files hold now. Raises FarSideError."""
    if isinstance(connection, ConfigFile):
        try:
            return {path: Path(path).read_bytes() for path in paths}
        except OSError as error:
            raise FarSideError(
                f"{connection.path.name} cannot be read: {error.strerror}", again=False
            ) from None
    with git.opened(connection, depth=1) as clone:
        return at_tip(connection, clone, paths)


def at_tip(connection: GitBranch, clone: Clone, paths: Sequence[str]) -> dict[str, bytes]:
    """What the files hold at the branch's head. Raises FarSideError."""
    if not clone.tip:
        raise FarSideError(f"there is no branch {connection.branch}", again=False)
    return {path: clone.read(path, clone.tip) for path in paths}


def edited(before: Mapping[str, bytes], edits: Sequence[Edit]) -> dict[str, bytes]:
    """The files after the edits, in order. Raises FarSideError (again=False) where one cannot be made."""
    after = dict(before)
    for edit in edits:
        data = after[edit.file]
        if edit.key:
            assert edit.value is not None
            after[edit.file] = configuration.changed(data, edit.file, edit.key, edit.value)
            continue
        assert edit.replace is not None
        if (times := data.count(edit.find.encode())) != 1:
            says = f"{edit.find[:60]!r} stands {times} times in {edit.file}, and must stand once"
            raise FarSideError(says, again=False)
        after[edit.file] = data.replace(edit.find.encode(), edit.replace.encode())
    return after


def as_planned(step: Step, before: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the files become. Raises NeedsHuman where this is not what was planned."""
    after = edited(before, [Edit(**edit) for edit in step.does["edits"]])
    if (digests(before), digests(after)) != (planned(step, 0), planned(step, 1)):
        raise NeedsHuman(f"{', '.join(before)} changed since the plan was made")
    return after


def kept(step: Step, snapshot: Snapshot) -> dict[str, bytes]:
    """The former files from their copies. Raises NeedsHuman, OSError."""
    former = {path: Path(copy).read_bytes() for path, copy in snapshot.data["copies"].items()}
    if digests(former) != planned(step, 0):
        raise NeedsHuman("a copy of the former files was changed")
    return former
