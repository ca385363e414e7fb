"""A calendar in iCalendar form (RFC 5545): when its events are, also those that come again.

icalendar reads the file and dateutil counts the recurrences. Times without a zone, and whole days,
are in the calendar's own zone (`X-WR-TIMEZONE`), else in the one that is given.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rruleset, rrulestr

if TYPE_CHECKING:  # most sites have no calendar, and a start should not wait for it
    from icalendar import Event

_OFTEN = ("SECONDLY", "MINUTELY", "HOURLY")
# A length is by the clock on the wall, which is set forward and back.
_CLOCK_CHANGE = timedelta(hours=2)


@dataclass(frozen=True)
class Entry:
    """One event: from when, how long by the clock on the wall, and how it comes again."""

    start: datetime
    length: timedelta
    repeats: rruleset | None = None

    def until(self, now: datetime) -> datetime | None:
        """When the event around `now` ends; None outside of it."""
        begins = [self.start]
        if self.repeats is not None:
            begins = self.repeats.between(now - self.length - _CLOCK_CHANGE, now, inc=True)
        ends = [(begin + self.length).astimezone(UTC) for begin in begins if begin <= now]
        return max((end for end in ends if now < end), default=None)


def read_calendar(path: Path, zone: tzinfo) -> tuple[Entry, ...]:
    """Every event of the file that was not cancelled; raises OSError, ValueError saying what is wrong."""
    from icalendar import Calendar

    calendar = Calendar.from_ical(path.read_bytes())
    if own := calendar.get("X-WR-TIMEZONE"):
        zone = _zone(str(own))
    events = list(calendar.events)
    for event in events:
        for name, says in event.errors:
            raise ValueError(f"{_called(event)}: {name}: {says}")
    # A single one of a row that was moved or cancelled is an event of its own.
    moved: dict[str, list[datetime]] = defaultdict(list)
    for event in events:
        if "RECURRENCE-ID" in event:
            moved[str(event.get("UID"))].append(_moment(event, "RECURRENCE-ID", zone))
    return tuple(
        _entry(event, zone, [] if "RECURRENCE-ID" in event else moved[str(event.get("UID"))])
        for event in events
        if str(event.get("STATUS", "")).upper() != "CANCELLED"
    )


def _entry(event: "Event", zone: tzinfo, moved: list[datetime]) -> Entry:
    start = _moment(event, "DTSTART", zone)
    length = event.end - event.start
    if length < timedelta(0):
        raise ValueError(f"{_called(event)} ends before it begins")
    if not event.rrules and not event.rdates:
        return Entry(start, length)
    repeats = rruleset(cache=True)
    for rule in event.rrules:
        if rule["FREQ"][0] in _OFTEN:
            raise ValueError(f"{_called(event)} comes again more often than daily")
        rule = dict(rule) | {"UNTIL": [_last(until, zone) for until in rule.get("UNTIL", ())]}
        text = type(event.rrules[0])({key: value for key, value in rule.items() if value}).to_ical().decode()
        repeats.rrule(rrulestr(text, dtstart=start))
    repeats.rdate(start)
    for extra in event.rdates:
        repeats.rdate(_aware(extra[0] if isinstance(extra, tuple) else extra, zone))
    for left_out in [*(_aware(one, zone) for one in event.exdates), *moved]:
        repeats.exdate(left_out)
    return Entry(start, length, repeats)


def _last(until: date, zone: tzinfo) -> datetime:
    """The end of a row in UTC, as recurrences of times in a zone want it; a day counts to its end."""
    if not isinstance(until, datetime):
        until = datetime.combine(until, time.max)
    return _aware(until, zone).astimezone(UTC)


def _moment(event: "Event", name: str, zone: tzinfo) -> datetime:
    found: Any = event.get(name)
    if found is None:
        raise ValueError(f"{_called(event)} has no {name}")
    named = found.params.get("TZID")
    # icalendar drops a zone that it does not know, and then the hour would be a guess.
    if named and getattr(found.dt, "tzinfo", None) is None:
        return _aware(found.dt, _zone(named))
    return _aware(found.dt, zone)


def _aware(given: date, zone: tzinfo) -> datetime:
    if not isinstance(given, datetime):
        given = datetime.combine(given, time())
    return given if given.tzinfo else given.replace(tzinfo=zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}") from None


def _called(event: "Event") -> str:
    return f"the event {str(event.get('SUMMARY') or event.get('UID') or 'without a name')!r}"
