"""Open fix pull request: proposes a change that somebody wrote down beforehand, and merges nothing.

Acts on: the listed files of one repository, registered as `git_repository` with its GitHub App.
Risk:    medium; what a branch triggers there, this one triggers.
Undo:    the pull request is closed and its branch deleted.
Refuses: a file that is not listed; a text to replace that does not stand there exactly once; a change
         that is proposed already.

It ends handed over, with the pull request open: the incident's own signal can recover only after a person
merged it. Checks that are registered must succeed on it first; one that fails withdraws the proposal.
"""

from typing import ClassVar

from pydantic import Field

from app.decision.plan import Plan
from app.foundation.record import Record
from app.remediation.edit import Edit
from app.remediation.file_change import FileChange
from app.remediation.strategy import NotApplicable, Subject
from app.systems import configuration
from app.systems.connections import GitRepository


class FixParams(Record):
    """The proposed change: `edits` in order, and a title of one line."""

    title: str = Field("", max_length=100, pattern=r"^[^\r\n]*$")
    edits: tuple[Edit, ...] = Field((), max_length=20)


class OpenFixPullRequest(FileChange):
    id: ClassVar[str] = "open_fix_pull_request"
    version: ClassVar[str] = "1"
    Params: ClassVar[type[Record]] = FixParams

    def plan(self, subject: Subject, params: FixParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, GitRepository):
            return NotApplicable(because="it opens pull requests, and the target is no git_repository")
        if not params.edits:
            return NotApplicable(because="neither the target nor a runbook proposes a change")
        if other := {edit.file for edit in params.edits} - set(target.connection.files):
            return NotApplicable(because=f"the target's `files` do not name {', '.join(sorted(other))}")
        if secret := [edit.key for edit in params.edits if configuration.sounds_secret(edit.key)]:
            return NotApplicable(because=f"{', '.join(secret)} sounds like a secret, which no plan may show")
        does = "; ".join(edit.says for edit in params.edits)
        return self.planned(subject, params, params.edits, does, params.title)
