"""GitHub: webhooks of a repository, an organisation or an App.

Gives:  one Report per completed workflow run, workflow job or check run that failed (failure,
        timed_out, startup_failure) or recovered (success). The other conclusions give none: cancelled,
        skipped, neutral and stale are no failures, and action_required waits for a person on purpose.
        ping, push and every other event give none. Of a run, its jobs and their checks subscribe to
        one kind, else one failure opens three incidents.
Trust:  HMAC-SHA256 over the raw body (X-Hub-Signature-256), compared in constant time before anything
        is parsed. The headers X-GitHub-Event and X-GitHub-Delivery are not signed.
Key:    X-GitHub-Delivery. A redelivery has the same and so the same Event id. The fingerprint is the
        repository, workflow (and job) and branch, so that a later success resolves the incident; the
        branch of a fork is written `<owner>/<repo>:<branch>`, for its success says nothing of ours.
        A job does not tell its fork. A success of an older commit that ends later resolves too.
Leaves: logs are not in the payload; log_url says where they are (a run's is a ZIP archive). Commit
        messages are not read: "fix timeout" would mislead the diagnosis.
From:   GitHub's "Webhook events and payloads" and "Validating webhook deliveries"; payloads recorded
        by octokit/webhooks at 3a58428.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, Field, SecretStr

from app.foundation.record import Record
from app.intake.event import LOG_LIMIT, Report, Severity, Status, Target
from app.intake.source import BadPayload, BadSignature, fit, read_payload, same_secret

_FAILED = {"failure": "failed", "timed_out": "timed out", "startup_failure": "could not start"}
_RECOVERED = {"success": "succeeded"}
_SAID = _FAILED | _RECOVERED

Number = Annotated[int, Field(ge=0, lt=2**63)]


class _Repository(BaseModel):
    full_name: str = Field(min_length=1)


class _Workflow(BaseModel):
    name: str | None = None


class _Run(BaseModel):
    id: Number
    name: str | None = None
    path: str | None = None
    head_branch: str | None = None
    head_sha: str | None = None
    head_repository: _Repository | None = None
    conclusion: str | None = None
    event: str | None = None
    run_attempt: Number | None = None
    html_url: str | None = None
    logs_url: str | None = None
    updated_at: AwareDatetime | None = None


class _RunPayload(BaseModel):
    action: str
    repository: _Repository
    workflow: _Workflow | None = None
    workflow_run: _Run


class _Step(BaseModel):
    name: str | None = None
    conclusion: str | None = None


class _Job(BaseModel):
    id: Number
    run_id: Number
    name: str
    workflow_name: str | None = None
    head_branch: str | None = None
    head_sha: str | None = None
    conclusion: str | None = None
    run_attempt: Number | None = None
    url: str | None = None
    html_url: str | None = None
    completed_at: AwareDatetime | None = None
    steps: list[_Step] | None = None


class _JobPayload(BaseModel):
    action: str
    repository: _Repository
    workflow_job: _Job


class _Output(BaseModel):
    title: str | None = None
    summary: str | None = None
    text: str | None = None


class _Suite(BaseModel):
    head_branch: str | None = None


class _App(BaseModel):
    slug: str | None = None


class _Check(BaseModel):
    id: Number
    name: str
    head_sha: str | None = None
    conclusion: str | None = None
    html_url: str | None = None
    completed_at: AwareDatetime | None = None
    output: _Output | None = None
    check_suite: _Suite | None = None
    app: _App | None = None


class _CheckPayload(BaseModel):
    action: str
    repository: _Repository
    check_run: _Check


class Github:
    """Reads GitHub's webhooks."""

    id: ClassVar[str] = "github"

    class Params(Record):
        secret: SecretStr = Field(min_length=1)

    def __init__(self, params: Params) -> None:
        self._secret = params.secret

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises BadSignature unless X-Hub-Signature-256 is that of `body`."""
        signature = hmac.new(self._secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
        if not same_secret(headers.get("x-hub-signature-256", ""), SecretStr(f"sha256={signature}")):
            raise BadSignature("X-Hub-Signature-256 is missing or not that of this body and our secret")

    def parse(self, headers: Mapping[str, str], body: bytes) -> Sequence[Report]:
        """At most one report; raises BadPayload with the place."""
        event = headers.get("x-github-event", "")
        if not event:
            raise BadPayload(
                "this is no GitHub webhook", places=[("X-GitHub-Event", "the header is missing")]
            )
        if body.startswith(b"payload="):
            raise BadPayload(
                "the payload is a form", places=[("content type", "choose application/json for the webhook")]
            )
        read = _READERS.get(event)
        report = read(body) if read else None
        if report is None:
            return ()
        return (report.model_copy(update={"delivery_key": fit(headers.get("x-github-delivery", ""))}),)


def _run(body: bytes) -> Report | None:
    payload = read_payload(_RunPayload, body)
    run, repository = payload.workflow_run, payload.repository.full_name
    if payload.action != "completed" or run.conclusion not in _SAID:
        return None
    named = (payload.workflow.name if payload.workflow else None) or run.name or run.path or "unnamed"
    branch = run.head_branch or ""
    if run.head_repository and run.head_repository.full_name != repository:
        branch = f"{run.head_repository.full_name}:{branch}"
    return _report(
        event="workflow_run",
        kind="workflow",
        conclusion=run.conclusion,
        repository=repository,
        names={"workflow": named},
        branch=branch,
        message=f"Workflow {_quoted(named)} of {fit(repository, 200)} {_SAID[run.conclusion]}{_on(branch)}.",
        html_url=run.html_url,
        log_url=run.logs_url or "",
        run_id=str(run.id),
        occurred_at=run.updated_at,
        facts={"trigger": run.event, "run_attempt": run.run_attempt, "head_sha": run.head_sha},
    )


def _job(body: bytes) -> Report | None:
    payload = read_payload(_JobPayload, body)
    job, repository = payload.workflow_job, payload.repository.full_name
    if payload.action != "completed" or job.conclusion not in _SAID:
        return None
    branch, workflow = job.head_branch or "", job.workflow_name or ""
    failed = [_quoted(step.name or "unnamed") for step in job.steps or () if step.conclusion in _FAILED]
    message = f"Job {_quoted(job.name)}{f' of workflow {_quoted(workflow)}' if workflow else ''} "
    message += f"in {fit(repository, 200)} {_SAID[job.conclusion]}{_on(branch)}"
    if failed and job.conclusion in _FAILED:
        message += f" at step{'s' if failed[1:] else ''} {', '.join(failed[:10])}"
    return _report(
        event="workflow_job",
        kind="job",
        conclusion=job.conclusion,
        repository=repository,
        names={"workflow": workflow, "job": job.name},
        branch=branch,
        message=f"{message}.",
        html_url=job.html_url,
        log_url=f"{job.url}/logs" if job.url else "",
        job_id=str(job.id),
        run_id=str(job.run_id),
        occurred_at=job.completed_at,
        facts={"run_attempt": job.run_attempt, "head_sha": job.head_sha},
    )


def _check(body: bytes) -> Report | None:
    payload = read_payload(_CheckPayload, body)
    check, repository = payload.check_run, payload.repository.full_name
    if payload.action != "completed" or check.conclusion not in _SAID:
        return None
    branch = (check.check_suite.head_branch if check.check_suite else None) or ""
    app = (check.app.slug if check.app else None) or ""
    message = f"Check {_quoted(check.name)} in {fit(repository, 200)} {_SAID[check.conclusion]}{_on(branch)}."
    output = check.output or _Output()
    if check.conclusion in _FAILED:
        message = "\n".join([message, *(text for text in (output.title, output.summary) if text)])
    return _report(
        event="check_run",
        kind="check",
        conclusion=check.conclusion,
        repository=repository,
        names={"app": app, "check": check.name},
        branch=branch,
        message=message,
        html_url=check.html_url,
        log=output.text or "",
        # The check of an Actions job has the job's id.
        job_id=str(check.id) if app == "github-actions" else "",
        occurred_at=check.completed_at,
        facts={"head_sha": check.head_sha},
    )


def _report(
    *,
    event: str,
    kind: str,
    conclusion: str,
    repository: str,
    names: Mapping[str, str],
    branch: str,
    message: str,
    html_url: str | None,
    occurred_at: AwareDatetime | None,
    facts: Mapping[str, str | int | None],
    job_id: str = "",
    run_id: str = "",
    log: str = "",
    log_url: str = "",
) -> Report:
    """`names` from the outer to the inner; the last one names the target."""
    recovered = conclusion in _RECOVERED
    labels = {"repository": repository, "branch": branch, **names}
    return Report(
        message=message[:LOG_LIMIT],
        severity=Severity.INFO if recovered else Severity.ERROR,
        status=Status.RESOLVED if recovered else Status.FIRING,
        target=Target(
            system="github",
            kind=kind,
            name=fit("/".join([repository, list(names.values())[-1]])),
            environment=fit(branch),
            url=(html_url or "")[:2000],
        ),
        fingerprint=fit(":".join([event, repository, *names.values(), branch])),
        job_id=job_id,
        run_id=run_id,
        log=log[:LOG_LIMIT],
        log_url=log_url[:2000],
        occurred_at=occurred_at,
        labels={key: fit(value, 2000) for key, value in labels.items() if value},
        attributes={
            "event": event,
            "conclusion": conclusion,
            **{
                key: fit(value) if isinstance(value, str) else value
                for key, value in facts.items()
                if value is not None
            },
        },
    )


def _quoted(name: str) -> str:
    return f"'{fit(name, 200)}'"


def _on(branch: str) -> str:
    return f" on {_quoted(branch)}" if branch else ""


_READERS: Mapping[str, Callable[[bytes], Report | None]] = {
    "workflow_run": _run,
    "workflow_job": _job,
    "check_run": _check,
}
