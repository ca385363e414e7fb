"""Fingerprint: the sender says itself which events belong together."""

from typing import ClassVar

from app.intake.event import Event


class Fingerprint:
    """Groups by source and the sender's own fingerprint (an alert's, a workflow's on a branch)."""

    id: ClassVar[str] = "fingerprint@1"

    def key(self, event: Event) -> tuple[str, ...] | None:
        given = event.report.fingerprint
        return (event.source, given) if given else None

    def hint(self, event: Event) -> str:
        given = event.report.fingerprint
        return f"the sender's fingerprint is {given!r}" if given else "the sender gave no fingerprint"
