"""Restart with elevated permissions: grants the one missing right for a time, has the job run again, takes it back.

Acts on: one identity and its job, registered as `grant` with the rights that may be granted at all.
Risk:    high; whatever else runs as this identity has the right meanwhile.
Undo:    the right is taken back. It is also when the run succeeded, when this process died (the repair goes on
         and `overdue` looks), and by the far side itself, which is told the time at which it ends.
Refuses: a right that is not registered there or is in force already, and a time over `most_minutes`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from app.decision.plan import Plan, Risk, Step
from app.foundation.clock import Clock, SystemClock
from app.foundation.record import Record
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
from app.systems.connections import Grant
from app.systems.far_side import FarSideError
from app.systems.http import JobOverHttp, NotNow, Run, place
from app.systems.targets import Targets

GRANT, RUN, REVOKE = 0, 1, 2  # the steps


class ElevatedParams(Record):
    """`right` may be left out where only one is registered; `minutes` is how long it is granted at most."""

    right: str = Field("", max_length=200)
    minutes: int = Field(15, ge=1, le=720)


class RestartWithElevatedPermissions:
    id: ClassVar[str] = "restart_with_elevated_permissions"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.HIGH
    Params: ClassVar[type[Record]] = ElevatedParams

    def __init__(self, targets: Targets, clock: Clock | None = None) -> None:
        self._targets = targets
        self._clock = clock or SystemClock()

    def plan(self, subject: Subject, params: ElevatedParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, Grant):
            return NotApplicable(because="it grants rights, and the target is not registered as a grant")
        grant, name = target.connection, target.name
        right = params.right or grant.rights[0]
        if not params.right and len(grant.rights) > 1:
            return NotApplicable(because=f"which right is not said: one of {', '.join(grant.rights)}")
        if right not in grant.rights:
            return NotApplicable(because=f"{right} is none of the rights that may be granted here")
        if params.minutes > grant.most_minutes:
            return NotApplicable(
                because=f"{params.minutes} minutes are more than the {grant.most_minutes} allowed"
            )
        if missing := JobOverHttp(grant.rerun).missing(subject.run_id):
            return NotApplicable(because=missing)
        try:
            if commands.run(grant.check, right=right).yes:
                return NotApplicable(because=f"{name} has the right {right} already")
        except FarSideError as error:
            return NotApplicable(because=error.says)
        again = f"run the job again, by {place(grant.rerun.run)}"
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary=f"grant {right} to {name} for {params.minutes} minutes at most, {again}, take {right} back",
            steps=(
                Step(
                    index=GRANT,
                    says=f"grant {right} to {name}, for {params.minutes} minutes at most ({grant.grant.name})",
                    does={"connection": mark(grant), "right": right, "minutes": params.minutes},
                ),
                Step(index=RUN, says=again, does={"run_id": subject.run_id}, within=60.0 * params.minutes),
                Step(index=REVOKE, says=f"take {right} back from {name} ({grant.revoke.name})", does={}),
            ),
            risk=self.risk,
            verify=f"the new run succeeded, and {name} does not have {right} any more",
            undo=f"take {right} back",
            settle=0,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        """The end of the grant is set here, once, before anything is done."""
        does = plan.steps[GRANT].does
        right, ends = does["right"], keep / "until"
        grant = connection_of(self._targets, plan, Grant)
        if not ends.exists():
            until = self._clock.now() + timedelta(minutes=does["minutes"])
            ends.write_text(f"{until:%Y-%m-%dT%H:%M:%SZ}")
        try:
            if commands.run(grant.check, right=right).yes:
                raise NeedsHuman(f"somebody has granted {right} since the plan was made")
        except FarSideError as error:
            raise NeedsHuman(error.says) from error
        data = {"right": right, "until": ends.read_text()}
        return Snapshot(data=data, says=f"{right} is not in force; the grant would end at {data['until']}")

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        grant = connection_of(self._targets, plan, Grant)
        if step.index == REVOKE:
            return self._revoke(grant, plan)
        right, until = snapshot.data["right"], snapshot.data["until"]
        if self._clock.now() >= datetime.fromisoformat(until):
            raise NeedsHuman(f"the time for which {right} was to be granted is over")
        if step.index == GRANT:
            commanded.act(grant.grant, right=right, until=until)
            return _granted(snapshot)
        try:
            return _started(rerun.start(grant.rerun, key, step.does["run_id"]))
        except NotNow as error:
            raise RetryLater(error.says, commanded.SOON) from error

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        """Whether the right is in force tells of the grant; taking it back does no harm when done again."""
        if step.index == REVOKE:
            return NotDone()
        try:
            grant = connection_of(self._targets, plan, Grant)
            if step.index == GRANT:
                there = commands.run(grant.check, right=snapshot.data["right"]).yes
                return _granted(snapshot) if there else NotDone()
            found = rerun.recall(grant.rerun, key, step.does["run_id"])
        except (FarSideError, NeedsHuman) as error:
            return Unclear(because=error.says)
        return _started(found) if isinstance(found, rerun.Begun) else found

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        run = next((Run(**receipt.data) for receipt in receipts if receipt.step == RUN), None)
        if run is None:
            return Disproved(says="the job was not run again")
        try:
            grant = connection_of(self._targets, plan, Grant)
            ran = rerun.look(grant.rerun, run, plan.steps[RUN].does["run_id"])
            if not isinstance(ran, Verified) or not any(receipt.step == REVOKE for receipt in receipts):
                return ran
            right = plan.steps[GRANT].does["right"]
            if commands.run(grant.check, right=right).yes:
                return Disproved(says=f"{right} is in force again, though it was taken back")
        except NeedsHuman as error:
            return Disproved(says=error.says)
        except FarSideError as error:
            return Pending(says=error.says) if error.again else Disproved(says=error.says)
        return Verified(says=f"{ran.says}, and {right} was taken back")

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        """Also without a receipt: a grant whose answer was lost may be in force, and taking back harms nothing."""
        try:
            taken = self._revoke(connection_of(self._targets, plan, Grant), plan)
        except (NeedsHuman, RetryLater) as error:
            return CannotUndo(
                because=f"{plan.steps[GRANT].does['right']} could not be taken back: {error.says}"
            )
        return Undone(says=taken.says)

    def _revoke(self, grant: Grant, plan: Plan) -> Receipt:
        right = plan.steps[GRANT].does["right"]
        commanded.act(grant.revoke, right=right)
        try:
            if commands.run(grant.check, right=right).yes:
                raise RetryLater(
                    f"{grant.revoke.name} ended well, but {right} is still in force", commanded.SOON
                )
        except FarSideError as error:
            raise RetryLater(
                f"whether {right} was taken back is not known: {error.says}", commanded.SOON
            ) from error
        return Receipt(step=REVOKE, data={}, says=f"{right} was taken back")


def _granted(snapshot: Snapshot) -> Receipt:
    return Receipt(
        step=GRANT, data=snapshot.data, says="{right} is granted until {until}".format(**snapshot.data)
    )


def _started(begun: rerun.Begun) -> Receipt:
    return Receipt(step=RUN, data=begun.run.model_dump(), says=begun.says)
