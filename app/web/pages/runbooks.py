"""Runbooks: those in force with their record, and one of them, rendered."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from app.db.engine import Database
from app.foundation.errors import Unavailable
from app.knowledge.runbook import Section, overdue
from app.knowledge.shelf import Book
from app.pipeline.match import Matches
from app.remediation.citations import RunbookRecord, cited_by, runbook_records
from app.remediation.plan import ESCALATE
from app.remediation.record import standing
from app.web.api.runbooks import found, record_of, speaks_of
from app.web.deps import Parts, PartsDep
from app.web.pages.remembered import Remembered
from app.web.pages.render import page
from app.web.pages.session import VisitorDep
from app.web.pages.shown import visible

if TYPE_CHECKING:  # a start should not wait for it
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

router = APIRouter(include_in_schema=False)
_RECORDED_EVERY = 10.0  # seconds; counting reads every repair


@cache
def _markdown() -> "MarkdownIt":
    """No HTML, and no images: they would be fetched from elsewhere. Links with a scheme that runs
    code stay text; that is markdown-it's own rule."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    markdown.add_render_rule("link_open", _link)
    return markdown


def _link(
    self: "RendererHTML", tokens: "list[Token]", index: int, options: "OptionsDict", env: "EnvType"
) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, index, options, env)


def rendered(text: str) -> Markup:
    """Markdown as HTML. The one place that makes markup of a file's text: the renderer escapes all of it."""
    return Markup(_markdown().render(str(visible(text))))


def recording(database: Database) -> Remembered[dict[str, RunbookRecord]]:
    """The records of all runbooks, a few seconds old at most."""

    def ask() -> dict[str, RunbookRecord]:
        with database.reading() as session:
            return runbook_records(session)

    return Remembered(ask, _RECORDED_EVERY)


@dataclass(frozen=True)
class Leaf:
    """A section, rendered."""

    section: Section
    body: Markup


@dataclass(frozen=True)
class Entry:
    """A runbook of the list; `late` when nobody has reviewed it for a year."""

    book: Book
    record: RunbookRecord
    late: bool


@router.get("/runbooks")
def runbooks(request: Request, visitor: VisitorDep, parts: PartsDep) -> Response:
    """Those in force with their record, and what is wrong with files."""
    books = parts.runbooks()
    today = parts.clock.now().date()
    entries = [
        Entry(book, record_of(request, book.runbook.id), overdue(book.runbook, today)) for book in books.books
    ]
    held = {book.file.name for book in books.books if book.mistakes}
    return page(request, visitor, "runbooks.html", entries=entries, mistakes=books.mistakes, held=held)


@router.get("/runbooks/{runbook_id}")
def runbook(request: Request, runbook_id: str, visitor: VisitorDep, parts: PartsDep) -> Response:
    """One runbook, its sections with anchors, its record and history, and what it would match today."""
    book = found(parts, runbook_id)
    chosen = book.runbook
    with parts.database.reading() as session:
        cited = cited_by(session, runbook_id)
    return page(
        request,
        visitor,
        "runbook.html",
        book=book,
        runbook=chosen,
        leaves=[Leaf(section, rendered(section.text)) for section in chosen.sections],
        late=overdue(chosen, parts.clock.now().date()),
        registered=bool(chosen.actions) or chosen.strategy in parts.strategies,
        standing=_standing(parts, chosen.strategy),
        record=record_of(request, runbook_id),
        cited=cited,
        history=parts.history(book.file),
        today=_today(parts, runbook_id),
    )


def _today(parts: Parts, runbook_id: str) -> Matches | None:
    """None until it is ready to look."""
    try:
        return speaks_of(parts, runbook_id)
    except Unavailable:
        return None


def _standing(parts: Parts, strategy: str) -> str:
    """How far the strategy is from running alone; empty where it does not run here, or only tells a person."""
    if strategy == ESCALATE or strategy not in parts.strategies:
        return ""
    with parts.database.reading() as session:
        return standing(session, parts.taxonomy, strategy, parts.decision).says
