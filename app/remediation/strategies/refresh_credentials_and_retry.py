"""Refresh credentials and retry: has the secret store issue a new version, then the job run again with it.

Acts on: one credential, registered as `credential`: commands of the secret store, and the job to run again.
         The secret never passes through here; of what the commands print, only ids of versions are read.
Risk:    medium; others that use the credential get the new version too.
Undo:    the former version is put in force again, unless somebody issued one more since.
Refuses: a credential that works; a version id that looks like a secret.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from app.decision.plan import Plan, Risk, Step
from app.foundation.record import Record
from app.intake.redact import redact
from app.remediation import commanded, rerun
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
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
from app.systems import commands
from app.systems.connections import Command, Credential
from app.systems.far_side import FarSideError
from app.systems.http import JobOverHttp, NotNow, Run, place
from app.systems.targets import Targets

_TAKES_HOLD = 30.0  # seconds until a new version must work


class RefreshParams(Record):
    """There is nothing to choose: what is done is registered with the target."""


class RefreshCredentialsAndRetry:
    id: ClassVar[str] = "refresh_credentials_and_retry"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.MEDIUM
    Params: ClassVar[type[Record]] = RefreshParams

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    def plan(self, subject: Subject, params: RefreshParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, Credential):
            return NotApplicable(
                because="it renews credentials, and the target is not registered as a credential"
            )
        store, name = target.connection, target.name
        if store.rerun and (missing := JobOverHttp(store.rerun).missing(subject.run_id)):
            return NotApplicable(because=missing)
        try:
            if commands.run(store.check).yes:
                return NotApplicable(because=f"{name} works: {store.check.name} says so")
            former = _in_force(store)
        except FarSideError as error:
            return NotApplicable(because=error.says)
        issue = f"have {store.issue.name} issue a new version of {name} (in force: {former})"
        does = {"connection": mark(store), "former": former}
        steps = [Step(index=0, says=issue, does=does, within=_TAKES_HOLD)]
        summary, verify, within = issue, f"{store.check.name} says that {name} works", _TAKES_HOLD
        if store.rerun:
            again = f"run the job again, by {place(store.rerun.run)}"
            steps.append(Step(index=1, says=again, does={"run_id": subject.run_id}))
            summary, verify = f"{issue}, then {again}", f"{verify}, and the new run succeeded"
            within = rerun.LONGEST if store.rerun.status else within
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary=summary,
            steps=tuple(steps),
            risk=self.risk,
            verify=verify,
            undo=f"put version {former} in force again",
            within=within,
            settle=0,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        former = plan.steps[0].does["former"]
        try:
            found = _in_force(connection_of(self._targets, plan, Credential))
        except FarSideError as error:
            raise NeedsHuman(error.says) from error
        if found != former:
            raise NeedsHuman(f"version {found} is in force now, and was {former} when the plan was made")
        return Snapshot(data={"version": found}, says=f"version {found} is in force")

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        store = connection_of(self._targets, plan, Credential)
        if step.index:
            return self._run_again(store, step, key)
        commanded.act(store.issue, key=key)
        try:
            made = _made(store, key, snapshot)
        except FarSideError as error:
            raise NeedsHuman(f"a new version was issued, but {error.says}") from error
        if made is None:
            raise RetryLater(f"{store.issue.name} ended well, but no new version is in force", commanded.SOON)
        return made

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        """A version shows whose it is by the key, or by being another than before."""
        try:
            store = connection_of(self._targets, plan, Credential)
            if not step.index:
                return _made(store, key, snapshot) or NotDone()
            assert store.rerun is not None
            found = rerun.recall(store.rerun, key, step.does["run_id"])
        except (FarSideError, NeedsHuman) as error:
            return Unclear(because=error.says)
        return _started(step, found) if isinstance(found, rerun.Begun) else found

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        try:
            store = connection_of(self._targets, plan, Credential)
            run = next((Run(**r.data) for r in receipts if r.step == 1), None)
            ran: Verified | Pending | Disproved | None = None
            if run and store.rerun:
                ran = rerun.look(store.rerun, run, plan.steps[1].does["run_id"])
                if not isinstance(ran, Verified):
                    return ran
            works = commands.run(store.check).yes
        except NeedsHuman as error:
            return Disproved(says=error.says)
        except FarSideError as error:
            return Pending(says=error.says) if error.again else Disproved(says=error.says)
        if works:
            return Verified(
                says=f"{store.check.name} says that it works" + (f", and {ran.says}" if ran else "")
            )
        says = f"{store.check.name} says that it does not work"
        return Disproved(says=f"{says}, though {ran.says}") if ran else Pending(says=says)

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        made = next((r.data["version"] for r in receipts if "version" in r.data), None)
        if made is None:
            return Undone(says="no version was issued")
        former = snapshot.data["version"]
        try:
            store = connection_of(self._targets, plan, Credential)
            now = _in_force(store)
            if now not in (made, former):
                return CannotUndo(
                    because=f"somebody has issued version {now} since; {former} was in force before"
                )
            if now == made:
                commanded.act(store.restore, version=former)
                now = _in_force(store)
        except (FarSideError, NeedsHuman, RetryLater) as error:
            return CannotUndo(because=f"version {former} could not be put in force again: {error.says}")
        if now != former:
            return CannotUndo(because=f"{store.restore.name} ended well, but version {now} is in force")
        return Undone(says=f"version {former} is in force again")

    def _run_again(self, store: Credential, step: Step, key: str) -> Receipt:
        assert store.rerun is not None
        try:
            return _started(step, rerun.start(store.rerun, key, step.does["run_id"]))
        except NotNow as error:
            raise RetryLater(error.says, commanded.SOON) from error


def _started(step: Step, begun: rerun.Begun) -> Receipt:
    return Receipt(step=step.index, data=begun.run.model_dump(), says=begun.says)


def _in_force(store: Credential) -> str:
    """The id of the version in force. Raises FarSideError."""
    version = _version(store, store.current)
    if version is None:
        raise FarSideError(f"{store.current.name} knows of no version", again=False)
    return version


def _made(store: Credential, key: str, snapshot: Snapshot) -> Receipt | None:
    """The version that `key` made, as far as anybody can tell. Raises FarSideError."""
    version = _version(store, store.lookup, key=key) if store.lookup else _in_force(store)
    if version is None or version == snapshot.data["version"]:
        return None
    return Receipt(step=0, data={"version": version}, says=f"version {version} was issued")


def _version(store: Credential, command: Command, **values: str) -> str | None:
    told = commands.run(command, **values)
    if not told.yes:
        return None
    plain = commands.VALUE.fullmatch(told.out) and redact(told.out) == told.out
    if not plain or not re.fullmatch(store.versions, told.out):
        # Not repeated: it may be the secret.
        raise FarSideError(f"{command.name} printed something that is no version id", again=False)
    return told.out
