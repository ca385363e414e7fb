"""Knowledge: the runbooks and the strategies with their record."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup
from starlette.responses import Response

from app.foundation.errors import NotFound
from app.knowledge.runbook import Mistake, Runbook, Section, overdue
from app.remediation.plan import ESCALATE
from app.remediation.record import standing, strategy_records
from app.web.deps import Parts, PartsDep
from app.web.pages.remembered import Remembered
from app.web.pages.render import page
from app.web.pages.session import VisitorDep
from app.web.pages.shown import visible

router = APIRouter(include_in_schema=False)
Shelf = Remembered[tuple[list[Runbook], list[Mistake]]]
READ_EVERY = 5.0  # seconds; reading means every file of the folder


def _link(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, index, options, env)


# No HTML, and no images: they would be fetched from elsewhere. Links with a scheme that runs
# code stay text; that is markdown-it's own rule.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_MARKDOWN.add_render_rule("link_open", _link)


def rendered(text: str) -> Markup:
    """Markdown as HTML. The one place that makes markup of a file's text: the renderer escapes all of it."""
    return Markup(_MARKDOWN.render(str(visible(text))))


@dataclass(frozen=True)
class Leaf:
    """A section, rendered."""

    section: Section
    body: Markup


@dataclass(frozen=True)
class Entry:
    """A runbook of the list; `late` when nobody has reviewed it for a year."""

    runbook: Runbook
    late: bool


@router.get("/runbooks")
def runbooks(request: Request, visitor: VisitorDep, parts: PartsDep) -> Response:
    """Those in force, and what is wrong with files that are not."""
    shelf: Shelf = request.app.state.shelf
    found, mistakes = shelf.get()
    today = parts.clock.now().date()
    return page(
        request,
        visitor,
        "runbooks.html",
        entries=[Entry(runbook, overdue(runbook, today)) for runbook in found],
        mistakes=mistakes,
    )


@router.get("/runbooks/{runbook_id}")
def runbook(request: Request, runbook_id: str, visitor: VisitorDep, parts: PartsDep) -> Response:
    """One runbook, its sections with anchors."""
    shelf: Shelf = request.app.state.shelf
    found, mistakes = shelf.get()
    chosen = next((one for one in found if one.id == runbook_id), None)
    if chosen is None:
        wrong = [str(mistake) for mistake in mistakes if mistake.file == f"{runbook_id}.md"]
        why = f"the runbook {runbook_id} has mistakes: {'; '.join(wrong)}" if wrong else ""
        raise NotFound(why or f"there is no runbook {runbook_id}")
    return page(
        request,
        visitor,
        "runbook.html",
        runbook=chosen,
        leaves=[Leaf(section, rendered(section.text)) for section in chosen.sections],
        late=overdue(chosen, parts.clock.now().date()),
        registered=bool(chosen.actions) or chosen.strategy in parts.strategies,
        standing=_standing(parts, chosen.strategy),
    )


def _standing(parts: Parts, strategy: str) -> str:
    """How far the strategy is from running alone; empty where it does not run here, or only tells a person."""
    if strategy == ESCALATE or strategy not in parts.strategies:
        return ""
    with parts.database.reading() as session:
        return standing(session, parts.taxonomy, strategy, parts.decision).says


@router.get("/strategies")
def strategies(request: Request, visitor: VisitorDep, parts: PartsDep) -> Response:
    """Each with its record here, the interval of its success, and what it starts from."""
    with parts.database.reading() as session:
        found = strategy_records(session, parts.taxonomy, parts.strategies, parts.decision)
    return page(request, visitor, "strategies.html", records=sorted(found, key=lambda r: not r.registered))
