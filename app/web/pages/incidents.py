"""The list of incidents: what waits for a person, how many are in each state, and a page of them."""

from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from sqlmodel import Session
from starlette.responses import Response

from app.db.engine import Database
from app.decision import store as decisions
from app.diagnosis import store as diagnoses
from app.foundation.errors import Invalid
from app.incidents import store
from app.incidents.incident import Incident, State
from app.remediation import approve
from app.remediation.approve import Approval
from app.web.deps import PartsDep
from app.web.pages.remembered import Remembered
from app.web.pages.render import page
from app.web.pages.session import VisitorDep

router = APIRouter(include_in_schema=False)
PAGE = 25
_WAITING_SHOWN = 5
_COUNTED_EVERY = 5.0  # seconds; counting reads a whole index

Counts = Remembered[dict[State, int]]


def counting(database: Database) -> Counts:
    """How many incidents are in each state, a few seconds old at most."""

    def count() -> dict[State, int]:
        with database.reading() as session:
            return store.counts(session)

    return Remembered(count, _COUNTED_EVERY)


@dataclass(frozen=True)
class Row:
    """One incident of the list; `type` is empty until it was diagnosed."""

    incident: Incident
    type: str
    confidence: float


@dataclass(frozen=True)
class Question:
    """One approval that waits, and what it is about."""

    approval: Approval
    incident: Incident
    summary: str


@dataclass(frozen=True)
class Tab:
    """One state to look at: its address and how many incidents are in it."""

    name: str
    address: str
    count: int
    chosen: bool


def _address(**query: str) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"/?{urlencode(given)}" if given else "/"


def _state(name: str) -> State | None:
    try:
        return State(name) if name else None
    except ValueError:
        known = ", ".join(State)
        raise Invalid(f"there is no state {name[:50]!r}; there are {known}") from None


def _tabs(counts: dict[State, int], chosen: str, search: str) -> list[Tab]:
    every = Tab("all", _address(search=search), sum(counts.values()), not chosen)
    return [
        every,
        *(
            Tab(state, _address(state=state, search=search), counts.get(state, 0), chosen == state)
            for state in State
        ),
    ]


def _questions(session: Session) -> list[Question]:
    found = []
    for approval in approve.waiting(session, limit=_WAITING_SHOWN):
        decision = decisions.find(session, approval.decision_id)
        summary = decision.plan.summary if decision and decision.plan else ""
        found.append(Question(approval, store.get(session, approval.incident_id), summary))
    return found


@router.get("/")
def show(
    request: Request, visitor: VisitorDep, parts: PartsDep, state: str = "", search: str = "", after: str = ""
) -> Response:
    """Newest first, by keyset."""
    search = search.replace("\0", "").strip()[:200]
    counts: Counts = request.app.state.counts
    with parts.database.reading() as session:
        found, cursor = store.page(session, limit=PAGE, after=after, state=_state(state), search=search)
        known = diagnoses.latest(session, [incident.id for incident in found])
        questions = _questions(session)
        waiting = approve.count_waiting(session) if len(questions) == _WAITING_SHOWN else len(questions)
    return page(
        request,
        visitor,
        "incidents.html",
        rows=[Row(incident, *known.get(incident.id, ("", 0.0))) for incident in found],
        tabs=_tabs(counts.get(), state, search),
        state=state,
        search=search,
        next=_address(state=state, search=search, after=cursor) if cursor else "",
        newest=_address(state=state, search=search) if after else "",
        questions=questions,
        waiting=waiting,
    )
