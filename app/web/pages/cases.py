"""Cases: what is known of past incidents; gaps in it, and the corrections that would help most."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.foundation.errors import Unavailable
from app.knowledge import store
from app.knowledge.case import Case, Origin
from app.learning.gaps import Gap, gaps, unexplained
from app.learning.wanted import Wanted, wanted
from app.people.person import Scope
from app.web.deps import Parts, PartsDep
from app.web.pages.act import act
from app.web.pages.remembered import Remembered
from app.web.pages.render import page
from app.web.pages.session import Posted, VisitorDep

router = APIRouter(include_in_schema=False)
_PAGE = 25
_LOOKED_AT = 300  # of the newest incidents that nothing explains; each is embedded
_READ_EVERY = 60.0  # seconds


@dataclass(frozen=True)
class Unexplained:
    """What the newest unexplained incidents have in common."""

    incidents: int
    wanted: list[Wanted]
    gaps: list[Gap]


Questions = Remembered[Unexplained]


def asking(parts: Parts) -> Questions:
    """The corrections worth giving and the gaps, a minute old at most; raises Unavailable while models load."""

    def ask() -> Unexplained:
        retriever = parts.retriever()
        with parts.database.reading() as session:
            doubtful = unexplained(session, parts.decision.act_at, most=_LOOKED_AT)
        unknown = [one for one in doubtful if one.confidence < parts.decision.ask_at]
        return Unexplained(len(doubtful), wanted(doubtful, retriever), gaps(unknown, retriever))

    return Remembered(ask, _READ_EVERY)


@dataclass(frozen=True)
class Found:
    """A case of the list; `similarity` to what was searched for, None where nothing was."""

    case: Case
    similarity: float | None = None


@router.get("/knowledge")
def cases(
    request: Request,
    visitor: VisitorDep,
    parts: PartsDep,
    search: str = "",
    type: str = "",
    origin: str = "",
    below: int = 0,
) -> Response:
    """The newest cases, or those that are nearest in meaning to what is searched for."""
    search = search.replace("\0", "").strip()[:500]
    says, older = "", 0
    with parts.database.reading() as session:
        count = store.count(session)
        rows = store.newest(session, below=below, most=_PAGE + 1, type_=type, origin=origin)
    if search:
        try:
            near = parts.retriever().nearest_cases(search, 4 * _PAGE)
        except Unavailable as error:
            near, says = [], error.says
        fit = [n for n in near if type in ("", n.case.type) and origin in ("", n.case.origin)]
        found = [Found(one.case, one.similarity) for one in fit[:_PAGE]]
    else:
        found = [Found(case) for _, case in rows[:_PAGE]]
        older = rows[_PAGE - 1][0] if len(rows) > _PAGE else 0
    return page(
        request,
        visitor,
        "cases.html",
        found=found,
        count=count,
        says=says,
        search=search,
        type=type,
        origin=origin,
        types=sorted(parts.taxonomy.types),
        origins=list(Origin),
        older=older,
        newest=bool(below),
    )


@router.get("/knowledge/corrections")
def corrections(request: Request, visitor: VisitorDep, parts: PartsDep) -> Response:
    """What a person's word would help with most, and the kinds of trouble that have no name yet."""
    questions: Questions = request.app.state.questions
    found, says = _or_says(questions.get)
    return page(
        request,
        visitor,
        "corrections.html",
        found=found or Unexplained(0, [], []),
        says=says,
        types=parts.taxonomy.types,
        sure=parts.decision.act_at,
    )


def _or_says(ask: Callable[[], Unexplained]) -> tuple[Unexplained | None, str]:
    try:
        return ask(), ""
    except Unavailable as error:
        return None, error.says


@router.post("/knowledge/corrections/{incident_id}")
def correct(
    request: Request, incident_id: str, visitor: VisitorDep, parts: PartsDep, posted: Posted
) -> Response:
    """Says what the type is; it is a case from then on."""
    visitor.person.need(Scope.OPERATE)
    questions: Questions = request.app.state.questions

    def does() -> str:
        parts.retriever()  # learning needs the models, and would wait for them as long as they take
        right = posted.text("type", 200)
        parts.desk.correct(visitor.person, incident_id, right, posted.text("reason"))
        questions.forget()
        return f"Learned as {right}. The next event like it is diagnosed with this as evidence."

    return act(request, "/knowledge/corrections", does)
