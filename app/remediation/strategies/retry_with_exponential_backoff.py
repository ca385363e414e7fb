"""Retry with exponential backoff: has the job's own system run it again, after growing waits.

Acts on: one job, registered as `http_job`; at most `tries` new runs, one at a time.
Risk:    low; what a run of this job does, it does once more.
Undo:    nothing to undo; a run that was started is left to finish.
Refuses: a job that is asked for by its run when the event names none; asking a second time
         where the first may have arrived, unless the far side acts once per key.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from app.decision.plan import Plan, Risk, Step
from app.foundation.record import Record
from app.remediation import rerun
from app.remediation.strategy import (
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
from app.systems.connections import HttpJob
from app.systems.http import JobOverHttp, NotNow, Run, place
from app.systems.targets import Targets


class BackoffParams(Record):
    """The waits are first_delay x multiplier^n seconds, an hour at most."""

    tries: int = Field(3, ge=1, le=5)
    first_delay: float = Field(1.0, ge=0, le=300)
    multiplier: float = Field(2.0, ge=1, le=10)


class RetryWithExponentialBackoff:
    id: ClassVar[str] = "retry_with_exponential_backoff"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.LOW
    Params: ClassVar[type[Record]] = BackoffParams

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    def plan(self, subject: Subject, params: BackoffParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, HttpJob):
            return NotApplicable(
                because="it runs jobs again, and the target is not registered as an http_job"
            )
        if missing := JobOverHttp(target.connection).missing(subject.run_id):
            return NotApplicable(because=missing)
        waits = [min(params.first_delay * params.multiplier**n, rerun.LONGEST) for n in range(params.tries)]
        does = {"connection": mark(target.connection), "run_id": subject.run_id}
        spoken = ", ".join(f"{wait:g} s" for wait in waits)
        times = "once" if params.tries == 1 else f"up to {params.tries} times, until a run succeeds"
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary=f"run {target.name} again {times} (waiting {spoken}), by {place(target.connection.run)}",
            steps=tuple(
                Step(
                    index=n,
                    says=f"try {n + 1} of {params.tries}: after {wait:g} s, run {target.name} again",
                    does={**does, "try": n + 1},
                    after=wait,
                )
                for n, wait in enumerate(waits)
            ),
            order="ladder",
            risk=self.risk,
            verify=f"the new run of {target.name} succeeded",
            undo="nothing to undo",
            # A run takes its time where it is followed; otherwise the answer is the result.
            within=rerun.LONGEST if target.connection.status else 30,
            settle=0,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        return Snapshot()

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        try:
            begun = rerun.start(connection_of(self._targets, plan, HttpJob), key, step.does["run_id"])
        except NotNow as error:
            # That it could not even be asked is a failed try: the next step waits longer.
            return _receipt(step, Run(id="", status="failed"), f"did not begin: {error.says}")
        return _receipt(step, begun.run, begun.says)

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        try:
            found = rerun.recall(connection_of(self._targets, plan, HttpJob), key, step.does["run_id"])
        except NeedsHuman as error:
            return Unclear(because=error.says)
        return _receipt(step, found.run, found.says) if isinstance(found, rerun.Begun) else found

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        try:
            job = connection_of(self._targets, plan, HttpJob)
        except NeedsHuman as error:
            return Disproved(says=error.says)
        pending: Pending | None = None
        for receipt in reversed(receipts):
            run_id = plan.steps[receipt.step].does["run_id"]
            seen = rerun.look(job, Run(**receipt.data), run_id, f"try {receipt.step + 1}")
            if isinstance(seen, Verified):
                return seen
            if isinstance(seen, Pending):
                pending = pending or seen
        return pending or Disproved(says="no run succeeded")

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone:
        return Undone(says="nothing to undo; a run that was started is left to finish")


def _receipt(step: Step, run: Run, what: str) -> Receipt:
    return Receipt(step=step.index, data=run.model_dump(), says=f"try {step.index + 1} {what}")
