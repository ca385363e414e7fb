"""Alertmanager: version 4 of its webhook (`webhook_configs`).

Gives:  one Report per alert, firing or resolved. The message is the first of the annotations
        description, summary and message, else the alert's name; the severity is read from the label
        `severity` (page, critical: critical; warning: warning; info, none: info; anything else: error).
        The target is the steadiest thing that the labels name (`_SUBJECTS`): a workload before a service,
        before a pod, which has a new name after each restart, before what was scraped. With a namespace it
        lives in Kubernetes and is called `<namespace>/<name>`, with a cluster `<cluster>/<namespace>/<name>`.
Trust:  the secret as a bearer token or as the password of basic authentication (`http_config`), compared
        in constant time. The body is not signed: use TLS.
Key:    fingerprint, start and status, and the end when resolved: notifications that only repeat are
        duplicates. An alert without a start has no key. `resolved` closes by the alert's own fingerprint,
        which is derived from its labels where it is missing.
Leaves: group, receiver and what all alerts share; alerts that Alertmanager itself cut off (max_alerts).
From:   Prometheus' "Alerting: configuration", webhook_config; payloads recorded by zulip and others.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, Field, SecretStr

from app.foundation.record import Record
from app.intake.event import LOG_LIMIT, Report, Severity, Status, Target
from app.intake.source import BadSignature, fit, read_payload, same_secret

_SEVERITIES = {
    **dict.fromkeys(("page", "critical", "crit", "fatal", "emergency", "disaster", "p1"), Severity.CRITICAL),
    **dict.fromkeys(("error", "err", "high", "major", "p2"), Severity.ERROR),
    **dict.fromkeys(("warning", "warn", "medium", "minor", "average", "p3", "ticket"), Severity.WARNING),
    **dict.fromkeys(
        ("info", "information", "informational", "notice", "low", "debug", "none"), Severity.INFO
    ),
}
_WORKLOADS = ("deployment", "statefulset", "daemonset", "cronjob", "job_name")
_SUBJECTS = (*_WORKLOADS, "service", "pod", "job", "instance", "node", "host")
# It scrapes Kubernetes on behalf of others: the service and job of its alerts are itself, not the subject.
_ON_BEHALF = "kube-state-metrics"


class _Alert(BaseModel):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] | None = None
    startsAt: AwareDatetime | None = None
    endsAt: AwareDatetime | None = None
    generatorURL: str | None = None
    fingerprint: str | None = None


class _Payload(BaseModel):
    version: Literal["4"]
    alerts: list[_Alert]


class Alertmanager:
    """Reads Alertmanager's webhooks."""

    id: ClassVar[str] = "alertmanager"

    class Params(Record):
        secret: SecretStr = Field(min_length=1)

    def __init__(self, params: Params) -> None:
        self._secret = params.secret

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises BadSignature unless the bearer token or basic password is the secret."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        given = given.strip()
        if scheme.lower() == "basic":
            given = _password(given)
        elif scheme.lower() != "bearer":
            given = ""
        if not same_secret(given, self._secret):
            raise BadSignature("Authorization holds neither our bearer token nor our basic password")

    def parse(self, headers: Mapping[str, str], body: bytes) -> Sequence[Report]:
        """One report per alert, in their order; raises BadPayload with the place."""
        return tuple(_report(alert) for alert in read_payload(_Payload, body).alerts)


def _password(credentials: str) -> str:
    try:
        _, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return password


def _report(alert: _Alert) -> Report:
    labels = {key: value for key, value in alert.labels.items() if value.strip()}
    annotations = alert.annotations or {}
    name = labels.get("alertname", "an alert without a name")
    starts, fingerprint = _moment(alert.startsAt), fit(alert.fingerprint or _derived(alert.labels))
    key = [fingerprint, starts.isoformat(), alert.status] if starts else []
    if key and alert.status == "resolved" and (ends := _moment(alert.endsAt)):
        key.append(ends.isoformat())
    message = next(_present(annotations, ("description", "summary", "message")), name)
    return Report(
        message=message[:LOG_LIMIT],
        title=fit(name, 200),
        severity=_SEVERITIES.get(labels.get("severity", "").strip().lower(), Severity.ERROR),
        status=Status(alert.status),
        target=_target(labels, alert.generatorURL or ""),
        fingerprint=fingerprint,
        delivery_key=fit("|".join(key)),
        occurred_at=starts,
        labels=_within(labels),
        attributes={"annotations": _within(annotations)} if annotations else {},
    )


def _target(labels: Mapping[str, str], url: str) -> Target:
    skipped = [key for key in ("service", "job") if _ON_BEHALF in labels.get(key, "")]
    kind = next((key for key in _SUBJECTS if key in labels and key not in skipped), "")
    place = list(_present(labels, ("cluster", "namespace")))
    if not kind and not place:
        return Target(url=_web(url))
    return Target(
        system="kubernetes" if "namespace" in labels else "prometheus",
        kind=kind or ("namespace" if "namespace" in labels else "cluster"),
        name=fit("/".join([*place, labels[kind]] if kind else place)),
        environment=fit(next(_present(labels, ("env", "environment")), "")),
        owner=fit(next(_present(labels, ("team", "owner")), "")),
        url=_web(url),
    )


def _present(values: Mapping[str, str], keys: Iterable[str]) -> Iterator[str]:
    return (values[key] for key in keys if values.get(key, "").strip())


def _within(values: Mapping[str, str]) -> dict[str, str]:
    """The first 100, cut to what a Report may hold."""
    return {fit(key): fit(value, 2000) for key, value in islice(values.items(), 100)}


def _web(url: str) -> str:
    # It becomes a link on a page: javascript: and the like must not.
    return url[:2000] if url.startswith(("http://", "https://")) else ""


def _moment(at: datetime | None) -> datetime | None:
    """Go writes the year 1 where it has no time."""
    return at if at and at.year > 1 else None


def _derived(labels: Mapping[str, str]) -> str:
    joined = "\x00".join(f"{key}\x01{labels[key]}" for key in sorted(labels))
    return "labels-" + hashlib.blake2b(joined.encode(), digest_size=8).hexdigest()
