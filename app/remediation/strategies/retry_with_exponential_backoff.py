"""Retry with exponential backoff: has the job's own system run it again, after growing waits.

Acts on: one job, registered as `http_job`; at most `tries` new runs, one at a time.
Risk:    low; what a run of this job does, it does once more.
Undo:    nothing to undo; a run that was started is left to finish.
Refuses: a job that is asked for by its run when the event names none; asking a second time
         where the first may have arrived, unless the far side acts once per key.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from app.decision.plan import Plan, Risk, Step
from app.foundation.record import Record
from app.remediation.strategy import (
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
from app.systems.far_side import FarSideError
from app.systems.http import JobOverHttp, NoAnswer, NotNow, Run, place
from app.systems.targets import HttpJob, Targets

_LONGEST = 3600.0  # seconds; a step may not wait longer
_SOON = timedelta(seconds=2)


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
        waits = [min(params.first_delay * params.multiplier**n, _LONGEST) for n in range(params.tries)]
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
            within=_LONGEST if target.connection.status else 30,
            settle=0,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        return Snapshot()

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        job = connection_of(self._targets, plan, HttpJob)
        client = JobOverHttp(job)
        try:
            run = client.start(key, step.does["run_id"])
            if not run.id and client.follows_runs:
                run = (client.lookup(key, step.does["run_id"]) if job.lookup else None) or run
        except NotNow as error:
            if error.after is not None and (job.idempotent or job.lookup):
                raise RetryLater(error.says, timedelta(seconds=error.after)) from error
            # That it could not even be asked is a failed try: the next step waits longer.
            return _receipt(step, Run(id="", status="failed"), f"did not begin: {error.says}")
        except NoAnswer as error:
            return self._after_silence(job, step, key, error)
        except FarSideError as error:
            raise NeedsHuman(error.says) from error
        if not run.id and client.follows_runs:
            raise NeedsHuman("a run was started, but the answer does not name it, so nobody can follow it")
        return _receipt(step, run, f"began run {run.id}" if run.id else f"was answered: {run.status}")

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        try:
            job = connection_of(self._targets, plan, HttpJob)
            client = JobOverHttp(job)
            if job.lookup:
                run = client.lookup(key, step.does["run_id"])
                return NotDone() if run is None else _receipt(step, run, f"began run {run.id}")
            if job.idempotent:
                return NotDone()  # asking again with the same key is the way to find out, and safe
            if job.status and not client.follows_runs:
                run = client.status("", step.does["run_id"])
                if run.status != "failed":
                    return _receipt(step, run, f"the job is {run.status} by now")
        except (FarSideError, NeedsHuman) as error:
            return Unclear(because=error.says)
        return Unclear(
            because="the far side cannot say whether it was asked, and asking twice may run it twice"
        )

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        running = ""
        try:
            job = connection_of(self._targets, plan, HttpJob)
            for receipt in reversed(receipts):
                run = Run(**receipt.data)
                if run.status == "running" and job.status:
                    run = JobOverHttp(job).status(run.id, plan.steps[receipt.step].does["run_id"])
                named = f"run {run.id}" if run.id else f"try {receipt.step + 1}"
                if run.status == "succeeded":
                    return Verified(says=f"{named} succeeded")
                if run.status == "running":
                    running = running or named
        except FarSideError as error:
            return Pending(says=error.says) if error.again else Disproved(says=error.says)
        except NeedsHuman as error:
            return Disproved(says=error.says)
        return Pending(says=f"{running} is under way") if running else Disproved(says="no run succeeded")

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone:
        return Undone(says="nothing to undo; a run that was started is left to finish")

    def _after_silence(self, job: HttpJob, step: Step, key: str, error: NoAnswer) -> Receipt:
        """The request may have arrived. Raises RetryLater only where the same key cannot run it twice."""
        if job.lookup:
            try:
                run = JobOverHttp(job).lookup(key, step.does["run_id"])
            except FarSideError:
                run = None
            if run is not None:
                return _receipt(step, run, f"began run {run.id}, though the answer was lost")
        if job.idempotent:
            raise RetryLater(error.says, _SOON) from error
        raise NeedsHuman(f"{error.says}; it may have begun, and asking again could run it twice") from error


def _receipt(step: Step, run: Run, what: str) -> Receipt:
    return Receipt(step=step.index, data=run.model_dump(), says=f"try {step.index + 1} {what}")
