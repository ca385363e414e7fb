"""Rollback model: has the registry's alias name the last good version again.

Acts on: one model in an MLflow registry, registered as `mlflow_model` with its alias and health address.
Risk:    high; what serves predictions changes at once.
Undo:    the alias goes back, unless somebody else has moved it since.
Refuses: a model that is well; one without an older version that is marked as good and was not withdrawn
         by us before; one whose version was made after the incident began, for then it is not known which
         one failed.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import orjson
from pydantic import Field

from app.decision.plan import Plan, Risk, Step
from app.foundation.clock import Clock, SystemClock
from app.foundation.record import Record
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
from app.systems import mlflow
from app.systems.connections import MlflowModel
from app.systems.far_side import FarSideError
from app.systems.http import place
from app.systems.mlflow import Registry, Version
from app.systems.targets import Targets

_SOON = timedelta(seconds=5)
_TAG = "mendline.rollback."


class RollbackParams(Record):
    """Seconds in which the health address must recover, for servers load a model late, and then hold."""

    within: float = Field(300, ge=0, le=86_400)
    settle: float = Field(30, ge=0, le=86_400)


class RollbackModel:
    id: ClassVar[str] = "rollback_model"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.HIGH
    Params: ClassVar[type[Record]] = RollbackParams

    def __init__(self, targets: Targets, clock: Clock | None = None) -> None:
        self._targets = targets
        self._clock = clock or SystemClock()

    def plan(self, subject: Subject, params: RollbackParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, MlflowModel):
            return NotApplicable(because="it moves aliases, and the target is not registered as mlflow_model")
        model = target.connection
        if (now := mlflow.health(model)).ok:
            return NotApplicable(because=f"it is well: {now.says}")
        try:
            registry = Registry(model)
            current = registry.current()
            if subject.since is not None and current.made > subject.since:
                return NotApplicable(
                    because=f"version {current.number} was made after the incident began, so it is not known "
                    "which one failed"
                )
            good = next((v for v in registry.good_before(current.number) if not _withdrawn(v, model)), None)
        except FarSideError as error:
            return NotApplicable(because=error.says)
        if good is None:
            return NotApplicable(because=f"no version before {current.number} is marked {model.good}")
        says = f"have {model.alias} of {model.model} name version {good.number} instead of {current.number}"
        does = {"connection": mark(model), "from": current.number, "to": good.number}
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary=f"{says}, the newest older one that is marked {model.good}",
            steps=(Step(index=0, says=says, does=does),),
            risk=self.risk,
            verify=f"{place(model.health)} says that the model is well, and goes on doing so",
            undo=f"have {model.alias} name version {current.number} again",
            within=params.within,
            settle=params.settle,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        was = plan.steps[0].does["from"]
        try:
            now = Registry(self._model(plan)).current().number
        except FarSideError as error:
            raise NeedsHuman(error.says) from error
        if now != was:
            raise NeedsHuman(_moved(now))
        return Snapshot(data={"version": was}, says=f"the alias names version {was}")

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        """Says in a tag what it is about to do, so that recall knows whose doing it was, then does it."""
        was, to = step.does["from"], step.does["to"]
        model = self._model(plan)
        registry = Registry(model)
        try:
            now = registry.current().number
            if now == to and _TAG + key in registry.version(was).tags:
                return _receipt(step, key)
            if now != was:
                raise NeedsHuman(_moved(now))
            registry.tag(was, _TAG + key, self._history(model, step))
            registry.point(to)
            now = registry.current().number
        except FarSideError as error:
            if error.again:  # saying it twice does no harm: the next try looks first
                raise RetryLater(error.says, _SOON) from error
            raise NeedsHuman(error.says) from error
        if now != to:
            raise NeedsHuman(_moved(now))
        return _receipt(step, key)

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        try:
            registry = Registry(self._model(plan))
            now, was = registry.current().number, registry.version(step.does["from"])
        except (FarSideError, NeedsHuman) as error:
            return Unclear(because=error.says)
        if now == was.number:
            return NotDone()
        if now == step.does["to"] and _TAG + key in was.tags:
            return _receipt(step, key)
        return Unclear(because=_moved(now))

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        try:
            model = self._model(plan)
            now = Registry(model).current().number
        except FarSideError as error:
            return Pending(says=error.says) if error.again else Disproved(says=error.says)
        except NeedsHuman as error:
            return Disproved(says=error.says)
        if now != plan.steps[0].does["to"]:
            return Disproved(says=_moved(now))
        seen = mlflow.health(model)
        return Verified(says=seen.says) if seen.ok else Pending(says=seen.says)

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        if not receipts:
            return Undone(says="the alias was not moved")
        step = plan.steps[0]
        was, to = step.does["from"], step.does["to"]
        try:
            model = self._model(plan)
            registry = Registry(model)
            now = registry.current().number
            if now not in (was, to):
                return CannotUndo(because=_moved(now))
            if now == to:
                registry.tag(was, receipts[0].data["tag"], self._history(model, step, undone=True))
                registry.point(was)
        except (FarSideError, NeedsHuman) as error:
            return CannotUndo(because=error.says)
        return Undone(says=f"{model.alias} names version {was} again")

    def _model(self, plan: Plan) -> MlflowModel:
        return connection_of(self._targets, plan, MlflowModel)

    def _history(self, model: MlflowModel, step: Step, undone: bool = False) -> str:
        """Who moved the alias when, from where and to what; whether that was taken back."""
        told: dict[str, Any] = {
            "alias": model.alias,
            "from": step.does["from"],
            "to": step.does["to"],
            "by": "mendline",
            "at": self._clock.now().isoformat(timespec="seconds"),
            "undone": undone,
        }
        return orjson.dumps(told).decode()


def _withdrawn(version: Version, model: MlflowModel) -> bool:
    """Whether we took the alias from this version before, and it was not given back by us."""
    for key, value in version.tags.items():
        if key.startswith(_TAG):
            try:
                told = orjson.loads(value)
                if told["alias"] == model.alias and not told["undone"]:
                    return True
            except (orjson.JSONDecodeError, KeyError, TypeError):
                return True  # not as we wrote it; another version is the safer choice
    return False


def _moved(now: int) -> str:
    return f"somebody else moved the alias: it names version {now}"


def _receipt(step: Step, key: str) -> Receipt:
    says = f"the alias names version {step.does['to']} instead of {step.does['from']}"
    return Receipt(step=step.index, data={"tag": _TAG + key}, says=says)
