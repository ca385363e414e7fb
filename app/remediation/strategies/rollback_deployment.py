"""Rollback deployment: returns to the last good revision, on a Git branch or in a folder of releases.

Acts on: `git_deployment`: a new commit that holds what the newest revision with a good tag holds.
         `releases`: the link to the current release, switched in one move to the newest good one.
Risk:    high; what the newer revision changed elsewhere (a database's schema) stays changed.
Undo:    rolls forward to the revision that was deployed, the same way.
Refuses: a deployment whose health address holds, or whose current revision is itself marked good.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

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
    RetryLater,
    Snapshot,
    Subject,
    Unclear,
    Undone,
    Verified,
    connection_of,
    mark,
)
from app.systems import git, http, releases
from app.systems.connections import GitDeployment, Releases
from app.systems.far_side import FarSideError
from app.systems.targets import Targets

_SOON = timedelta(seconds=2)
_HEALTH_SECONDS = 5.0


class RollbackParams(Record):
    """Nothing to set: the target says which revisions are good."""


class RollbackDeployment:
    id: ClassVar[str] = "rollback_deployment"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.HIGH
    Params: ClassVar[type[Record]] = RollbackParams

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    def plan(self, subject: Subject, params: RollbackParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, GitDeployment | Releases):
            return NotApplicable(because="it rolls back deployments, and the target is registered as none")
        deployed = target.connection
        if (now := http.health(deployed.health, _HEALTH_SECONDS)).ok:
            return NotApplicable(because=f"it is healthy: {now.says}")
        try:
            former, good, named = _revisions(deployed)
        except FarSideError as error:
            return NotApplicable(because=error.says)
        if former == good:
            return NotApplicable(because=f"what is deployed is itself marked good ({named})")
        if isinstance(deployed, GitDeployment):
            how = f"on {deployed.branch}, commit what {named} holds ({good[:10]}), after {former[:10]}"
        else:
            how = f"switch {deployed.current} from {Path(former).name} to {named}"
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary=f"return {target.name} to its last good revision: {how}",
            steps=(
                Step(
                    index=0,
                    says=how,
                    does={
                        "connection": mark(deployed),
                        "incident": subject.incident_id,
                        "former": former,
                        "good": good,
                        "named": named,
                    },
                ),
            ),
            risk=self.risk,
            verify=f"the health address of {target.name} answers 2xx for {deployed.settle:g} s",
            undo=f"roll forward to {Path(former).name[:40]}",
            within=deployed.within,
            settle=deployed.settle,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        return Snapshot(says="what is deployed now stays where it is, and the plan names it")

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        deployed, does = self._connection(plan), step.does
        try:
            if isinstance(deployed, Releases):
                releases.switch(deployed, does["former"], does["good"])
                return _receipt(step)
            with git.opened(deployed, depth=0) as clone:
                if clone.find(key):
                    return _receipt(step)
                if clone.tip != does["former"]:
                    raise NeedsHuman(f"{deployed.branch} moved since the plan was made")
                says = git.message(f"Roll back to {does['named']}", does["incident"], key)
                clone.push(clone.commit_as(does["good"], clone.tip, says), deployed.branch, clone.tip)
            return _receipt(step)
        except FarSideError as error:
            if error.again:  # also when the push may have arrived: the key is looked for first
                raise RetryLater(error.says, _SOON) from error
            raise NeedsHuman(error.says) from error

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        """By the key in the commit, or by where the link leads."""
        try:
            deployed = self._connection(plan)
            if isinstance(deployed, Releases):
                now = releases.current(deployed)
                if now not in (step.does["former"], step.does["good"]):
                    return Unclear(because=f"somebody else switched {deployed.current.name}")
                return NotDone() if now == step.does["former"] else _receipt(step)
            with git.opened(deployed) as clone:
                return _receipt(step) if clone.find(key) else NotDone()
        except (FarSideError, NeedsHuman) as error:
            return Unclear(because=error.says)

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        try:
            now = http.health(self._connection(plan).health, _HEALTH_SECONDS)
        except NeedsHuman as error:
            return Disproved(says=error.says)
        return Verified(says=now.says) if now.ok else Pending(says=now.says)

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        does = plan.steps[0].does
        try:
            deployed = self._connection(plan)
            if isinstance(deployed, GitDeployment):
                return _roll_forward(deployed, does, done=bool(receipts))
            if receipts:
                releases.switch(deployed, does["good"], does["former"])
            return Undone(says=f"{deployed.current.name} leads to {Path(releases.current(deployed)).name}")
        except (FarSideError, NeedsHuman) as error:
            return CannotUndo(because=error.says)

    def _connection(self, plan: Plan) -> GitDeployment | Releases:
        target = self._targets.find(plan.target)
        if target is not None and isinstance(target.connection, Releases):
            return connection_of(self._targets, plan, Releases)
        return connection_of(self._targets, plan, GitDeployment)


def _revisions(deployed: GitDeployment | Releases) -> tuple[str, str, str]:
    """What is deployed, the last good revision, and what that is called. Raises FarSideError."""
    if isinstance(deployed, Releases):
        good = releases.last_good(deployed)
        return releases.current(deployed), good, Path(good).name
    with git.opened(deployed, depth=0, tags=deployed.good) as clone:
        if not clone.tip:
            raise FarSideError(f"there is no branch {deployed.branch}", again=False)
        marked = clone.marked()
        if not marked:
            raise FarSideError(f"no revision of {deployed.branch} has a tag {deployed.good}", again=False)
        good, named = marked[0]
        # A deployment that was rolled back before is another commit with the same content.
        return good if clone.tree(clone.tip) == clone.tree(good) else clone.tip, good, named


@git.again_if_moved
def _roll_forward(deployed: GitDeployment, does: dict[str, Any], *, done: bool) -> Undone | CannotUndo:
    with git.opened(deployed, depth=0) as clone:
        now, former = clone.tree(clone.tip), clone.tree(does["former"])
        if now != former:
            if not done and not clone.find(does["incident"], git.INCIDENT):
                return Undone(says=f"nothing of this repair is on {deployed.branch}")
            if now != clone.tree(does["good"]):
                return CannotUndo(because=f"somebody else committed on {deployed.branch} since")
            says = git.message(f"Roll forward to {does['former'][:10]}", does["incident"])
            clone.push(clone.commit_as(does["former"], clone.tip, says), deployed.branch, clone.tip)
    return Undone(says=f"{deployed.branch} holds what {does['former'][:10]} holds")


def _receipt(step: Step) -> Receipt:
    return Receipt(step=step.index, says=f"{step.says}: done")
