"""Ingest: from reports to durable events, in one order for all sources."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from app.foundation.clock import Clock
from app.foundation.errors import Busy, Invalid, TooLarge
from app.foundation.ids import derived_id, new_id
from app.foundation.record import Record
from app.intake.event import LOG_LIMIT, Accepted, Event, Report, Target
from app.intake.inbox import Inbox
from app.intake.normalise import normalise
from app.intake.redact import redact, redact_value

BATCH_LIMIT = 1000
_REPORT: TypeAdapter[Report] = TypeAdapter(Report)
_NAME_LIMIT, _LABEL_LIMIT = 500, 2000
_TEXTS = (("message", LOG_LIMIT), ("title", _LABEL_LIMIT), ("log", LOG_LIMIT), ("log_url", _LABEL_LIMIT))
_NAMES = ("source", "job_id", "run_id", "fingerprint")
# A text with this many characters is worth a thread: redacting it would hold up the event loop.
_LONG = 64_000


class BadElement(Record):
    """An element of a batch that was not taken: its place from 0 and what is wrong with it."""

    index: int
    places: tuple[tuple[str, str], ...]


def explain(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """(place, what is wrong) of the first 20 mistakes; the given values are left out, they may be secret."""
    return tuple(
        (".".join(str(part) for part in problem["loc"])[:200] or "(whole)", str(problem["msg"])[:200])
        for problem in error.errors(include_url=False, include_input=False, include_context=False)[:20]
    )


def read_one(body: bytes) -> Report:
    """One JSON object as a report; raises Invalid with the places that are wrong."""
    try:
        return _REPORT.validate_json(body)
    except ValidationError as error:
        raise Invalid("the event is not valid", places=explain(error)) from None


def read_many(elements: Sequence[Any]) -> tuple[list[tuple[int, Report]], list[BadElement]]:
    """The good elements with their places, and the bad ones with their reasons.

    An element given as bytes is JSON text (a line of NDJSON). Raises TooLarge over 1,000.
    """
    if len(elements) > BATCH_LIMIT:
        raise TooLarge(f"a batch holds at most {BATCH_LIMIT} events, this one has {len(elements)}")
    good: list[tuple[int, Report]] = []
    bad: list[BadElement] = []
    for index, element in enumerate(elements):
        try:
            if isinstance(element, bytes):
                good.append((index, _REPORT.validate_json(element)))
            else:
                # A JSON round trip would cost more; lax mode reads the times and enums from text.
                good.append((index, _REPORT.validate_python(element)))
        except ValidationError as error:
            bad.append(BadElement(index=index, places=explain(error)))
    return good, bad


def read_array(body: bytes) -> list[Any]:
    """A JSON array, not yet looked into; raises Invalid with the place of broken JSON."""
    try:
        elements = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid("the body is not JSON", places=((f"character {error.pos}", error.msg),)) from None
    if not isinstance(elements, list):
        raise Invalid("the body is neither an object nor an array of objects")
    return elements


def prepare(report: Report, source: str, now: datetime, came_with: str = "") -> Event:
    """Redacts and normalises; the id is the same for the same source and delivery key.

    Afterwards every field is again within its limit (a mark may be longer than the secret was),
    and free of NUL, which Postgres does not store.
    """
    given = vars(report)
    changed: dict[str, Any] = {}
    for field, limit in _TEXTS:
        if value := given[field]:
            changed[field] = _clean(value, limit)
    for field in _NAMES:
        if "\x00" in given[field]:
            changed[field] = _no_nul(given[field])
    if report.labels:
        labels = redact_value(report.labels)
        changed["labels"] = {key[:_NAME_LIMIT]: value[:_LABEL_LIMIT] for key, value in labels.items()}
    if report.attributes:
        attributes = redact_value(report.attributes)
        changed["attributes"] = {key[:_NAME_LIMIT]: value for key, value in attributes.items()}
    if (target := _clean_target(report.target)) is not report.target:
        changed["target"] = target
    # Most reports are clean as they come, and copying one costs as much as reading it did.
    changed = {field: value for field, value in changed.items() if value != given[field]}
    source = changed.get("source") or report.source or _no_nul(source)
    key = report.delivery_key
    return Event(
        id=derived_id("evt", source, key) if key else new_id("evt", now),
        received_at=now,
        source=source,
        template=normalise(changed.get("message", report.message)),
        report=report.model_copy(update=changed) if changed else report,
        came_with=came_with,
    )


def _clean_target(target: Target) -> Target:
    clean: dict[str, str] = {}
    for field, value in vars(target).items():
        if value and (said := _clean(value, _LABEL_LIMIT) if field == "url" else _no_nul(value)) != value:
            clean[field] = said
    return target.model_copy(update=clean) if clean else target


def _clean(text: str, limit: int) -> str:
    return redact(_no_nul(text))[:limit]


def _no_nul(text: str) -> str:
    return text.replace("\x00", "\ufffd")


class Ingest:
    """Takes reports, gives the answer once every event is durable."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock

    async def ingest(self, reports: Sequence[Report], source: str, came_with: str = "") -> list[Accepted]:
        """Stores `reports` and returns what became of each, in order. `came_with`: the request's `traceparent`.

        Raises Busy when the inbox is full: the sender keeps the events and tries again.
        """
        if not reports:
            return []
        now = self._clock.now()
        if sum(len(report.message) + len(report.log) for report in reports) > _LONG:
            events = await asyncio.to_thread(
                lambda: [prepare(report, source, now, came_with) for report in reports]
            )
        else:
            events = [prepare(report, source, now, came_with) for report in reports]
        return await self._inbox.put(events)


__all__ = [
    "BATCH_LIMIT",
    "BadElement",
    "Busy",
    "Ingest",
    "explain",
    "prepare",
    "read_array",
    "read_many",
    "read_one",
]
