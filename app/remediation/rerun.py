"""Rerun: has a job run again, for every strategy that ends with "and retry".

A key starts at most one run: where the far side can neither be asked nor promises to act once per
key, a lost answer goes to a person.
"""

from datetime import timedelta

from app.foundation.record import Record
from app.remediation.strategy import (
    Disproved,
    NeedsHuman,
    NotDone,
    Pending,
    RetryLater,
    Unclear,
    Verified,
)
from app.systems.connections import HttpJob
from app.systems.far_side import FarSideError
from app.systems.http import JobOverHttp, NoAnswer, NotNow, Run

LONGEST = 3600.0  # seconds; a step may not wait longer
_SOON = timedelta(seconds=2)


class Begun(Record):
    """A run that was asked for, and what happened in words."""

    run: Run
    says: str


def _begun(run: Run) -> Begun:
    return Begun(run=run, says=f"began run {run.id}" if run.id else f"was answered: {run.status}")


def start(job: HttpJob, key: str, run_id: str) -> Begun:
    """Begins a run under `key`. When nothing began it raises RetryLater where the far side says when to ask
    again and that is safe, else NotNow; NeedsHuman when a person must look.
    """
    client = JobOverHttp(job)
    try:
        run = client.start(key, run_id)
        if not run.id and client.follows_runs:
            run = (client.lookup(key, run_id) if job.lookup else None) or run
    except NotNow as error:
        if error.after is not None and (job.idempotent or job.lookup):
            raise RetryLater(error.says, timedelta(seconds=error.after)) from error
        raise
    except NoAnswer as error:
        return _after_silence(job, key, run_id, error)
    except FarSideError as error:
        raise NeedsHuman(error.says) from error
    if not run.id and client.follows_runs:
        raise NeedsHuman("a run was started, but the answer does not name it, so nobody can follow it")
    return _begun(run)


def _after_silence(job: HttpJob, key: str, run_id: str, error: NoAnswer) -> Begun:
    """The request may have arrived. Raises RetryLater only where the same key cannot run it twice."""
    if job.lookup:
        try:
            run = JobOverHttp(job).lookup(key, run_id)
        except FarSideError:
            run = None
        if run is not None:
            return Begun(run=run, says=f"began run {run.id}, though the answer was lost")
    if job.idempotent:
        raise RetryLater(error.says, _SOON) from error
    raise NeedsHuman(f"{error.says}; it may have begun, and asking again could run it twice") from error


def recall(job: HttpJob, key: str, run_id: str) -> Begun | NotDone | Unclear:
    """The run that `key` started, as far as the far side can tell."""
    client = JobOverHttp(job)
    try:
        if job.lookup:
            found = client.lookup(key, run_id)
            return NotDone() if found is None else _begun(found)
        if job.idempotent:
            return NotDone()  # asking again with the same key is the way to find out, and safe
        if job.status and not client.follows_runs:
            run = client.status("", run_id)
            if run.status != "failed":
                return Begun(run=run, says=f"the job is {run.status} by now")
    except FarSideError as error:
        return Unclear(because=error.says)
    return Unclear(because="the far side cannot say whether it was asked, and asking twice may run it twice")


def look(job: HttpJob, run: Run, run_id: str, unnamed: str = "the run") -> Verified | Pending | Disproved:
    """How the run fares by now; `unnamed` is what to call it when the far side gave no name."""
    named = f"run {run.id}" if run.id else unnamed
    try:
        if run.status == "running" and job.status:
            run = JobOverHttp(job).status(run.id, run_id)
    except FarSideError as error:
        return Pending(says=error.says) if error.again else Disproved(says=error.says)
    if run.status == "succeeded":
        return Verified(says=f"{named} succeeded")
    return (
        Pending(says=f"{named} is under way")
        if run.status == "running"
        else Disproved(says=f"{named} failed")
    )
