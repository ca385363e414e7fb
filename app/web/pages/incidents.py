"""The list of incidents: what waits for a person, how many are in each state, and a page of them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, field_validator
from starlette.responses import Response

from app.db.engine import Database
from app.diagnosis import store as diagnoses
from app.foundation.clock import Clock
from app.foundation.errors import Invalid
from app.foundation.record import Record
from app.incidents import store
from app.incidents.incident import Incident, State
from app.intake.event import Severity
from app.pipeline.marks import INCIDENTS, marks
from app.web.deps import PartsDep
from app.web.pages.approvals import Question, questions
from app.web.pages.remembered import Remembered
from app.web.pages.render import page
from app.web.pages.session import VisitorDep

router = APIRouter(include_in_schema=False)
PAGE = 25
_WAITING_SHOWN = 5
_COUNTED_EVERY = 5.0  # seconds; counting reads a whole index
_NAMED_EVERY = 60.0
_SINCE = {
    "1h": ("the last hour", timedelta(hours=1)),
    "24h": ("the last 24 hours", timedelta(hours=24)),
    "7d": ("the last 7 days", timedelta(days=7)),
    "30d": ("the last 30 days", timedelta(days=30)),
}

Counts = Remembered[dict[State, int]]
Places = Remembered[store.Places]


def counting(database: Database) -> Counts:
    """How many incidents are in each state, a few seconds old at most."""

    def count() -> dict[State, int]:
        with database.reading() as session:
            return store.counts(session)

    return Remembered(count, _COUNTED_EVERY)


def naming(database: Database) -> Places:
    """The systems, owners and environments to filter by, a minute old at most."""

    def name() -> store.Places:
        with database.reading() as session:
            return store.places(session)

    return Remembered(name, _NAMED_EVERY)


class Asked(Record):
    """The query of the list's address; what it does not know is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: str = ""
    type: str = ""
    severity: str = ""
    system: str = ""
    owner: str = ""
    environment: str = ""
    since: str = ""
    search: str = ""
    after: str = ""

    @field_validator("*")
    @classmethod
    def _short(cls, value: str) -> str:
        return value.replace("\0", "").strip()[:500]

    @property
    def filters(self) -> int:
        """How many filters are set, beside the state's tab and the search."""
        return sum(bool(getattr(self, name)) for name in _FILTERS)

    def address(self, **other: str) -> str:
        """Of the first page with the same query but for `other`."""
        query = {name: value for name, value in (self.model_dump() | {"after": ""} | other).items() if value}
        return f"/?{urlencode(query)}" if query else "/"

    def only(self, clock: Clock) -> store.Only:
        """The same for the store; raises Invalid for a state, severity or time that does not exist."""
        since = _known("time", self.since, _SINCE)
        return store.Only(
            state=State(self.state) if _known("state", self.state, list(State)) else None,
            severity=Severity(self.severity) if _known("severity", self.severity, list(Severity)) else None,
            since=clock.now() - _SINCE[since][1] if since else None,
            type=self.type,
            system=self.system,
            owner=self.owner,
            environment=self.environment,
            search=self.search[:200],
        )


_FILTERS = ("type", "severity", "system", "owner", "environment", "since")


def _known(what: str, name: str, names: object) -> str:
    known = [str(one) for one in names]  # type: ignore[attr-defined]
    if name and name not in known:
        raise Invalid(f"there is no {what} {name[:50]!r}; there are {', '.join(known)}")
    return name


@dataclass(frozen=True)
class Row:
    """One incident of the list; `type` is empty until it was diagnosed."""

    incident: Incident
    type: str
    confidence: float


@dataclass(frozen=True)
class Tab:
    """One state to look at: its address and how many incidents are in it."""

    name: str
    address: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class Choice:
    """One filter: its field, what it is called, and (value, words) of what may be chosen."""

    name: str
    label: str
    chosen: str
    options: tuple[tuple[str, str], ...]


def _tabs(counts: dict[State, int], asked: Asked) -> list[Tab]:
    every = Tab("all", asked.address(state=""), sum(counts.values()), not asked.state)
    return [
        every,
        *(
            Tab(state, asked.address(state=state), counts.get(state, 0), asked.state == state)
            for state in State
        ),
    ]


def _choices(asked: Asked, types: list[str], places: store.Places) -> list[Choice]:
    def plain(names: object) -> tuple[tuple[str, str], ...]:
        return tuple((str(name), str(name)) for name in names)  # type: ignore[attr-defined]

    offered = {
        "type": ("Type", plain(types)),
        "severity": ("Severity", plain(Severity)),
        "system": ("System", plain(places.systems)),
        "owner": ("Owner", plain(places.owners)),
        "environment": ("Environment", plain(places.environments)),
        "since": ("Seen in", tuple((name, words) for name, (words, _) in _SINCE.items())),
    }
    found = []
    for name, (label, options) in offered.items():
        chosen = getattr(asked, name)
        if chosen and chosen not in [value for value, _ in options]:
            options = ((chosen, chosen), *options)
        if options:
            found.append(Choice(name, label, chosen, options))
    return found


@router.get("/")
def show(
    request: Request, visitor: VisitorDep, parts: PartsDep, asked: Annotated[Asked, Query()]
) -> Response:
    """Newest first, by keyset."""
    only = asked.only(parts.clock)
    counts: Counts = request.app.state.counts
    places: Places = request.app.state.places
    with parts.database.reading() as session:
        mark = marks(session, [INCIDENTS])[INCIDENTS]
        found, cursor = store.page(session, only, limit=PAGE, after=asked.after)
        known = diagnoses.latest(session, [incident.id for incident in found])
        waiting: list[Question] = questions(session, parts.clock.now(), limit=_WAITING_SHOWN)
    return page(
        request,
        visitor,
        "incidents.html",
        mark=mark,
        rows=[Row(incident, *known.get(incident.id, ("", 0.0))) for incident in found],
        tabs=_tabs(counts.get(), asked),
        asked=asked,
        choices=_choices(asked, sorted(parts.taxonomy.types), places.get()),
        next=asked.address(after=cursor) if cursor else "",
        newest=asked.address() if asked.after else "",
        questions=waiting,
    )
