"""Freezes: windows in which nothing is repaired, read from `freeze.yaml`.

    freezes:
      - name: weekend
        cron: "0 18 * * fri"        # when it begins
        lasts: 62h
        zone: Europe/Berlin
        when: {environment: production}
        because: nobody changes production at weekends
      - name: holidays
        calendar: holidays.ics      # beside this file; every event in it is a freeze
        zone: Europe/Berlin         # of whole days, and of times that name no zone
        because: everybody is away

`when` is as in the policy. Without the file there is no freeze; a file that cannot be read is
never an older one that could be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from pydantic import AfterValidator, Field, model_validator

from app.decision.calendar import Entry, read_calendar
from app.decision.decision import Situation
from app.decision.policy import Because, Name, Spoken, When, named_once
from app.foundation.errors import Invalid
from app.foundation.reading import Loc, Span, Watched, read_record
from app.foundation.record import Record
from app.knowledge.taxonomy import Taxonomy

_MOMENT = timedelta(seconds=1)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}; write it as Europe/Berlin") from None
    return name


def _cron(given: str) -> str:
    if given and (len(given.split()) != 5 or not croniter.is_valid(given)):
        raise ValueError(f"{given!r} is no cron expression; Friday at 18:00 is 0 18 * * fri")
    return given


class Freeze(Record):
    """One reason to stand still: times that come again by `cron` and last, or a calendar's events."""

    name: Name
    when: When = When()
    cron: Annotated[str, AfterValidator(_cron)] = ""
    lasts: Annotated[Span, Field(le=timedelta(days=366))] | None = None
    calendar: str = ""
    zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    because: Because

    @model_validator(mode="after")
    def _one_kind(self) -> "Freeze":
        if bool(self.cron) == bool(self.calendar) or bool(self.cron) != (self.lasts is not None):
            raise ValueError("give either cron and lasts, or calendar")
        return self

    def until(self, now: datetime) -> datetime | None:
        """When the window of `cron` around `now` ends; None outside of one."""
        if not self.cron or self.lasts is None:
            return None
        # The one that begins at this very moment counts.
        here = (now + _MOMENT).astimezone(ZoneInfo(self.zone))
        began: datetime = croniter(self.cron, here).get_prev(datetime)
        ends = began.astimezone(now.tzinfo) + self.lasts
        return ends if began <= now < ends else None


class Holding(Record):
    """A freeze that holds now, and until when."""

    name: str
    because: str
    until: datetime


class _File(Record):
    freezes: tuple[Freeze, ...] = ()


@dataclass(frozen=True)
class Freezes:
    """All freezes, and the events of those that are a calendar, by name."""

    freezes: tuple[Freeze, ...] = ()
    calendars: Mapping[str, Sequence[Entry]] = field(default_factory=dict)

    def holding(self, situation: Situation, now: datetime) -> list[Holding]:
        """Those that speak of this situation and hold now."""
        return [
            Holding(name=freeze.name, because=freeze.because, until=until)
            for freeze in self.freezes
            if (until := self._until(freeze, now)) and freeze.when.matches(situation, now)
        ]

    def speaks(self, situation: Situation, now: datetime) -> list[Spoken]:
        """Every freeze, and why it does not hold."""
        return [
            Spoken(
                name=freeze.name,
                then="freeze",
                because=freeze.because,
                misfits=(
                    *freeze.when.misfits(situation, now),
                    *(() if self._until(freeze, now) else ("it does not hold now",)),
                ),
            )
            for freeze in self.freezes
        ]

    def _until(self, freeze: Freeze, now: datetime) -> datetime | None:
        ends = [freeze.until(now), *(entry.until(now) for entry in self.calendars.get(freeze.name, ()))]
        return max((end for end in ends if end is not None), default=None)


class FreezeSource(Protocol):
    """Where the freeze gate takes its freezes from."""

    def read(self) -> Freezes:
        """The freezes in force. Raises Invalid, saying what is wrong, when they cannot be read."""
        ...


class NoFreeze:
    """Nothing is ever frozen: for replaying, and for tests."""

    def read(self) -> Freezes:
        return Freezes()


class FreezeFile(Watched[Freezes]):
    """The freezes in a file and in the calendars beside it, read again when one of them changes."""

    def __init__(self, path: Path, taxonomy: Taxonomy, *, needed: bool = False) -> None:
        """Opens nothing yet. A missing file is no freeze, unless it is `needed` because somebody named it."""
        super().__init__(
            lambda: [path, *sorted(path.parent.glob("*.ics"))], lambda: read_freezes(path, taxonomy, needed)
        )


def read_freezes(path: Path, taxonomy: Taxonomy, needed: bool = True) -> Freezes:
    """Reads the file and its calendars; raises OSError, or Invalid with all that is wrong, each with its place."""
    if not needed and not path.exists():
        return Freezes()

    def strangers(found: _File) -> list[tuple[Loc, str]]:
        return named_once("freezes", found.freezes, taxonomy)

    freezes = read_record(path, _File, strangers).freezes
    calendars: dict[str, Sequence[Entry]] = {}
    places: list[tuple[str, str]] = []
    for freeze in freezes:
        if freeze.calendar:
            try:
                calendars[freeze.name] = read_calendar(path.parent / freeze.calendar, ZoneInfo(freeze.zone))
            except OSError as error:
                places.append((freeze.calendar, f"cannot be read: {error.strerror or error}"))
            except ValueError as error:
                places.append((freeze.calendar, str(error)[:300]))
    if places:
        raise Invalid(f"{path.name} names calendars that cannot be read", places=places)
    return Freezes(freezes, calendars)
