"""Recover service: clears its cache, has it reload its configuration, restarts it, in this order.

Acts on: one process on this machine, registered as `process` with a health address.
Risk:    medium; a restart drops the requests that are under way.
Undo:    a restarted process needs none, for the same command runs; one that was stopped and did
         not come back is started once more. A cleared cache fills again, a reload reads what is on disk.
Refuses: a process that is healthy, or whose start command is not on this machine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from app.decision.plan import Plan, Risk, Step
from app.foundation.record import Record
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    NeedsHuman,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    Snapshot,
    Subject,
    Unclear,
    Undone,
    Verified,
    connection_of,
    mark,
)
from app.systems import process
from app.systems.connections import SupervisedProcess
from app.systems.far_side import FarSideError
from app.systems.process import Running
from app.systems.targets import Targets


class RecoverParams(Record):
    """At most `tries` steps; the last one is the restart.

    `within`: seconds that the health check gets to hold after each; `settle`: seconds that it must then hold.
    """

    tries: int = Field(3, ge=1, le=3)
    within: float = Field(30, ge=0, le=3600)
    settle: float = Field(5, ge=0, le=3600)


class RecoverService:
    id: ClassVar[str] = "recover_service"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.MEDIUM
    Params: ClassVar[type[Record]] = RecoverParams

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    def plan(self, subject: Subject, params: RecoverParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, SupervisedProcess):
            return NotApplicable(
                because="it recovers processes, and the target is not registered as a process"
            )
        service, name = target.connection, target.name
        if service.reload and not service.reload.startswith(("http://", "https://", *process.RELOAD_SIGNALS)):
            return NotApplicable(
                because=f"`reload` is neither an address nor {', '.join(process.RELOAD_SIGNALS)}"
            )
        if not process.can_start(service):
            return NotApplicable(because="the start command is not on this machine")
        if (now := process.health(service)).ok:
            return NotApplicable(because=f"it is healthy: {now.says}")
        acts = [("clear_cache", f"have {name} clear its cache")] if service.clear_cache else []
        if service.reload:
            how = service.reload if service.reload in process.RELOAD_SIGNALS else "a request"
            acts.append(("reload", f"have {name} read its configuration again ({how})"))
        restart = (
            f"restart {name}: stop the process in {service.pid_file} (SIGTERM, SIGKILL after "
            f"{service.stop_timeout:g} s), start it with {Path(service.start[0]).name}"
        )
        acts = [*acts[: params.tries - 1], ("restart", restart)]
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary=f"bring {name} back: " + ", else ".join(act.replace("_", " ") for act, _ in acts),
            steps=tuple(
                Step(index=n, says=says, does={"connection": mark(service), "act": act})
                for n, (act, says) in enumerate(acts)
            ),
            order="ladder",
            risk=self.risk,
            verify=f"the health address of {name} answers 2xx",
            undo="a restart needs none; if it does not come back, it is started once more",
            within=params.within,
            settle=params.settle,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        running = process.current(connection_of(self._targets, plan, SupervisedProcess))
        if running is None:
            return Snapshot(data={"running": None}, says="it does not run")
        return Snapshot(data={"running": running.model_dump()}, says=f"it runs as process {running.pid}")

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        service = connection_of(self._targets, plan, SupervisedProcess)
        if step.does["act"] != "restart":
            return self._mildly(service, step, key)
        former, now = _former(snapshot), process.current(service)
        if now is not None and now != former:
            return _restarted(step, now)
        if now is not None:
            try:
                process.stop(now, service.stop_timeout)
            except FarSideError as error:
                raise NeedsHuman(error.says) from error
        try:
            return _restarted(step, process.start(service, former))
        except FarSideError as error:
            # It is stopped now: a receipt, so that rollback starts it once more.
            return Receipt(step=step.index, data={"now": None}, says=f"stopped it; {error.says}")

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        """A restart shows as another process than before. The milder steps do no harm when done again."""
        try:
            now = process.current(connection_of(self._targets, plan, SupervisedProcess))
        except NeedsHuman as error:
            return Unclear(because=error.says)
        if step.does["act"] != "restart" or now is None or now == _former(snapshot):
            return NotDone()
        return _restarted(step, now)

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        try:
            service = connection_of(self._targets, plan, SupervisedProcess)
        except NeedsHuman as error:
            return Disproved(says=error.says)
        now = process.health(service)
        if now.ok:
            return Verified(says=now.says)
        if _has_restarted(receipts) and process.current(service) is None:
            return Disproved(says="it was restarted and does not run")
        return Pending(says=now.says)

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        if not _has_restarted(receipts):
            return Undone(says="nothing to take back: it was not restarted")
        try:
            service = connection_of(self._targets, plan, SupervisedProcess)
            now = process.current(service)
            if now is None and _former(snapshot) is None:
                return Undone(says="it does not run, as before")
            now = now or process.start(service, _former(snapshot))
        except (FarSideError, NeedsHuman) as error:
            return CannotUndo(because=f"it ran before and cannot be started: {error.says}")
        return Undone(
            says=f"the same command runs, as process {now.pid}; the former process itself cannot return"
        )

    def _mildly(self, service: SupervisedProcess, step: Step, key: str) -> Receipt:
        """One that fails is a step that did not help, and the next one is stronger."""
        act = step.does["act"]
        try:
            if act == "clear_cache":
                process.tell(service, service.clear_cache, key)
            else:
                process.reload(service, key)
        except FarSideError as error:
            return Receipt(step=step.index, says=f"could not {act.replace('_', ' ')}: {error.says}")
        return Receipt(step=step.index, says=f"{act.replace('_', ' ')}: done")


def _former(snapshot: Snapshot) -> Running | None:
    running: dict[str, Any] | None = snapshot.data.get("running")
    return None if running is None else Running(**running)


def _restarted(step: Step, now: Running) -> Receipt:
    return Receipt(
        step=step.index, data={"now": now.model_dump()}, says=f"it runs anew, as process {now.pid}"
    )


def _has_restarted(receipts: Sequence[Receipt]) -> bool:
    return any("now" in receipt.data for receipt in receipts)
