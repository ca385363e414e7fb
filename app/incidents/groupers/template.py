"""Template: the same message, but for its volatile parts, about the same target."""

from typing import ClassVar

from app.intake.event import Event


class Template:
    """Groups by message template and what owns it: the target, else the job, else the source."""

    id: ClassVar[str] = "template@1"

    def key(self, event: Event) -> tuple[str, ...]:
        return (event.template, self._owner(event))

    def hint(self, event: Event) -> str:
        template = event.template if len(event.template) <= 80 else event.template[:77] + "..."
        return f"the template {template!r} on {self._owner(event)}"

    def _owner(self, event: Event) -> str:
        report = event.report
        return report.target.key or (f"job {report.job_id}" if report.job_id else f"source {event.source}")
