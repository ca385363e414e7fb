"""File change: what is the same for every strategy that changes files, on disk or in Git.

A file on this machine is replaced; one in Git is committed on its branch, or proposed as a pull request
where GitHub is registered, of which nothing is merged here. Then the job that reads it runs again, if one
is registered and the change is in force. A proposal, and a change that nobody has a job run for, is handed
over: it stands, and that it helped is claimed by nobody.

Every step has its own mark on the far side: the bytes of a file, the trailer of a commit, a pull request's
head. Undoing looks at these, so that it also finds what no receipt tells of, and leaves what is others'.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from app.decision.plan import Plan, Risk, Step
from app.foundation.record import Record
from app.remediation import edit, in_git, rerun
from app.remediation.edit import Changeable, Edit
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    HandedOver,
    NeedsHuman,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    RetryLater,
    Snapshot,
    Subject,
    Unclear,
    Undone,
    Verified,
    connection_of,
    mark,
)
from app.systems import configuration, files, git
from app.systems.connections import ConfigFile, GitBranch, GitFile, GithubApp, GitRepository, HttpJob
from app.systems.far_side import FarSideError
from app.systems.http import JobOverHttp, NotNow, Run
from app.systems.targets import RegisteredTarget, Targets

_SOON = timedelta(seconds=5)


class _Course(Record):
    """The acts of a plan in words and as data, and how it goes on after them."""

    acts: tuple[tuple[str, str, dict[str, Any]], ...]
    verify: str
    undo: str
    within: float


class FileChange:
    """The part of a strategy that follows from its edits; `plan` is the strategy's own."""

    id: ClassVar[str]
    version: ClassVar[str]
    risk: ClassVar[Risk] = Risk.MEDIUM

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    def read(self, target: RegisteredTarget) -> Any:
        """What the registered file of settings holds now. Raises FarSideError."""
        connection = target.connection
        assert isinstance(connection, ConfigFile | GitFile)
        data = edit.contents(connection, [str(connection.path)])[str(connection.path)]
        return configuration.read(data, str(connection.path))

    def planned(
        self, subject: Subject, params: Record, edits: Sequence[Edit], does: str, title: str = ""
    ) -> Plan | NotApplicable:
        """The plan of these edits; `does` says in words what they do, below a title where there is one."""
        target = subject.target
        assert target is not None
        connection = target.connection
        assert isinstance(connection, Changeable)
        try:
            before = edit.contents(connection, sorted({one.file for one in edits}))
            after = edit.edited(before, edits)
            if after == before:
                return NotApplicable(because="everything is so already")
            common = {
                "connection": mark(connection),
                "incident": subject.incident_id,
                "message": f"{title}\n\n{does}" if title else does,
                "edits": [one.model_dump(exclude_defaults=True) for one in edits],
                "files": {path: [edit.digest(before[path]), edit.digest(after[path])] for path in before},
            }
            says = f"in {', '.join(before)}: {does}"
            if isinstance(connection, GitBranch) and connection.github is not None:
                course = self._proposal(connection, connection.github, common, says)
            else:
                course = _change(connection, common, says, subject)
        except FarSideError as error:
            return NotApplicable(because=error.says)
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary="; ".join(says for _, says, _ in course.acts),
            steps=tuple(
                Step(index=n, says=says, does={"act": act, **does})
                for n, (act, says, does) in enumerate(course.acts)
            ),
            risk=self.risk,
            verify=course.verify,
            undo=course.undo,
            within=course.within,
            settle=0,
        )

    def _proposal(
        self, connection: GitBranch, github: GithubApp, common: dict[str, Any], says: str
    ) -> _Course:
        """Raises FarSideError when the same is proposed already."""
        # By the change alone, so that a second incident does not propose the same once more.
        change = edit.digest(json.dumps([common["files"], common["edits"]]).encode())[:12]
        branch = f"mendline/{self.id.replace('_', '-')}-{change}"
        with git.opened(connection, branch, depth=1) as there:
            if there.tip:
                raise FarSideError(f"the same is proposed already, on {branch}", again=False)
        common = {**common, "branch": branch}
        passed = f"{', '.join(github.checks)} succeeded on it" if github.checks else "it is open"
        return _Course(
            acts=(
                ("branch", f"on the new branch {branch}, {says}", common),
                ("propose", f"open a pull request from it to {connection.branch}; merge nothing", common),
            ),
            verify=f"handed over once {passed}; a person merges it, and the incident stays open until then",
            undo="close the pull request and delete its branch",
            within=github.checks_within,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        digests = edit.planned(plan.steps[0], 0)
        copies = {path: keep / f"{n}-{Path(path).name}" for n, path in enumerate(digests)}
        if any(files.sha256(copy) != digests[path] for path, copy in copies.items()):
            try:
                now = edit.contents(self._connection(plan), list(digests))
                if edit.digests(now) != digests:
                    raise NeedsHuman(f"{', '.join(digests)} changed since the plan was made")
                for path, copy in copies.items():
                    files.backup(now[path], copy)
            except FarSideError as error:
                raise NeedsHuman(error.says) from error
            except OSError as error:
                raise NeedsHuman(f"the backup cannot be written: {error.strerror}") from error
        kept = {path: str(copy) for path, copy in copies.items()}
        return Snapshot(data={"copies": kept}, says=f"copies of {', '.join(digests)} are in {keep}")

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        connection = self._connection(plan)
        try:
            if step.does["act"] == "rerun":
                return _began(step, rerun.start(_job(connection), key, step.does["run_id"]))
            if isinstance(connection, ConfigFile):
                return _replace(connection, step, snapshot)
            if step.does["act"] == "commit":
                return in_git.commit_change(connection, step, key)
            if step.does["act"] == "branch":
                return in_git.push_branch(connection, step, key)
            return in_git.open_request(connection, step)
        except FarSideError as error:
            if error.again:  # also when it may have happened: every act looks for its mark first
                after = error.after if isinstance(error, NotNow) else None
                raise RetryLater(error.says, _SOON if after is None else timedelta(seconds=after)) from error
            raise NeedsHuman(error.says) from error

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        """By the mark that the step leaves on the far side."""
        try:
            connection = self._connection(plan)
            if step.does["act"] == "rerun":
                found = rerun.recall(_job(connection), key, step.does["run_id"])
                return _began(step, found) if isinstance(found, rerun.Begun) else found
            if isinstance(connection, ConfigFile):
                now = files.sha256(connection.path)
                before, after = step.does["files"][str(connection.path)]
                if now not in (before, after):
                    return Unclear(because="somebody else changed the file")
                return Receipt(step=step.index, says="it is changed") if now == after else NotDone()
            if step.does["act"] == "propose":
                request = in_git.find_request(connection, step)
                return NotDone() if request is None else in_git.opened(step, request)
            with git.opened(connection, step.does.get("branch", "")) as clone:
                commit = clone.find(key)
                return in_git.committed(step, commit) if commit else NotDone()
        except (FarSideError, NeedsHuman) as error:
            return Unclear(because=error.says)

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved | HandedOver:
        last = plan.steps[-1]
        receipt = next((receipt for receipt in receipts if receipt.step == last.index), None)
        if receipt is None:
            return Disproved(says="not every step was done")
        try:
            connection = self._connection(plan)
            if last.does["act"] == "rerun":
                return rerun.look(_job(connection), Run(**receipt.data["run"]), last.does["run_id"])
            if last.does["act"] == "propose":
                assert isinstance(connection, GitBranch)
                return in_git.review(connection, receipt)
        except NeedsHuman as error:
            return Disproved(says=error.says)
        except FarSideError as error:
            return Pending(says=error.says) if error.again else Disproved(says=error.says)
        return HandedOver(
            says=f"{receipt.says}. No job is registered to be run again, so nobody has seen whether it helped; "
            "the incident stays open"
        )

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        step = plan.steps[0]
        try:
            connection = self._connection(plan)
            if isinstance(connection, ConfigFile):
                return _restore(connection, step, snapshot)
            if step.does["act"] == "commit":
                return in_git.take_back(connection, step, snapshot, receipts)
            return in_git.withdraw(connection, step, receipts)
        except (FarSideError, NeedsHuman) as error:
            return CannotUndo(because=error.says)
        except OSError as error:
            return CannotUndo(because=f"it cannot be put back: {error.strerror}")

    def _connection(self, plan: Plan) -> Changeable:
        target = self._targets.find(plan.target)
        if target is not None and isinstance(target.connection, Changeable):
            return connection_of(self._targets, plan, type(target.connection))
        raise NeedsHuman(f"{plan.target} is no longer registered with files that may be changed")


def _job(connection: Changeable) -> HttpJob:
    assert isinstance(connection, ConfigFile | GitFile)
    assert connection.rerun is not None
    return connection.rerun


def _began(step: Step, begun: rerun.Begun) -> Receipt:
    return Receipt(step=step.index, data={"run": begun.run.model_dump()}, says=begun.says)


def _change(connection: Changeable, common: dict[str, Any], says: str, subject: Subject) -> _Course:
    """Raises FarSideError when the job cannot be asked for."""
    undo = f"restore {', '.join(common['files'])}, byte for byte"
    if isinstance(connection, GitBranch):
        act, undo = ("commit", f"on {connection.branch}, {says}", common), f"{undo}, by another commit"
    else:
        act = ("replace", says, common)
    job = None if isinstance(connection, GitRepository) else connection.rerun
    if job is None:
        verify = "handed over once it is done, for no job is registered to be run again"
        return _Course(acts=(act,), verify=verify, undo=undo, within=30)
    if missing := JobOverHttp(job).missing(subject.run_id):
        raise FarSideError(missing, again=False)
    assert subject.target is not None
    run = {"connection": common["connection"], "run_id": subject.run_id}
    return _Course(
        acts=(act, ("rerun", f"run {subject.target.name} again", run)),
        verify=f"the new run of {subject.target.name} succeeds",
        undo=undo,
        within=rerun.LONGEST if job.status else 30,
    )


def _replace(connection: ConfigFile, step: Step, snapshot: Snapshot) -> Receipt:
    path = str(connection.path)
    says = f"changed {connection.path.name}: {step.does['message']}"
    if files.sha256(connection.path) == step.does["files"][path][1]:
        return Receipt(step=step.index, says=says)
    try:
        edit.kept(step, snapshot)
        after = edit.as_planned(step, edit.contents(connection, [path]))
        files.replace(connection.path, after[path], connection.path.stat())
    except OSError as error:
        raise NeedsHuman(f"{connection.path.name} cannot be replaced: {error.strerror}") from error
    return Receipt(step=step.index, says=says)


def _restore(connection: ConfigFile, step: Step, snapshot: Snapshot) -> Undone | CannotUndo:
    path, now = str(connection.path), files.sha256(connection.path)
    before, after = step.does["files"][path]
    if now == after:
        files.replace(connection.path, edit.kept(step, snapshot)[path], connection.path.stat())
    elif now != before:
        return CannotUndo(
            because=f"somebody else changed it since; the former one is {snapshot.data['copies'][path]}"
        )
    return Undone(says=f"{connection.path.name} is as it was, byte for byte")
