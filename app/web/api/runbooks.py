"""Runbooks: what is in force, its record, its history, and what it speaks of today."""

from typing import Any

from fastapi import APIRouter, Request

from app.foundation.errors import NotFound
from app.knowledge.shelf import Book
from app.pipeline.match import Matches, matches
from app.remediation.citations import RunbookRecord, cited_by
from app.web.deps import Parts, PartsDep, Reader

router = APIRouter(tags=["knowledge"])
LOOKED_AT = 50  # incidents; the text of each may have to be embedded


def found(parts: Parts, runbook_id: str) -> Book:
    """The runbook in force; raises NotFound, with what is wrong where its file has mistakes."""
    books = parts.runbooks()
    book = books.find(runbook_id)
    if book is None:
        wrong = [str(mistake) for mistake in books.mistakes if mistake.file == f"{runbook_id}.md"]
        why = f"the runbook {runbook_id} has mistakes: {'; '.join(wrong)}" if wrong else ""
        raise NotFound(why or f"there is no runbook {runbook_id}")
    return book


def speaks_of(parts: Parts, runbook_id: str) -> Matches:
    """Of the newest incidents, those that the runbook would match today; raises Unavailable until it is ready."""
    retriever = parts.retriever()
    with parts.database.reading() as session:
        return matches(session, retriever, runbook_id, most=LOOKED_AT)


def record_of(request: Request, runbook_id: str) -> RunbookRecord:
    """Its record; of one that was never cited, an empty one."""
    records: dict[str, RunbookRecord] = request.app.state.runbook_records.get()
    return records.get(runbook_id, RunbookRecord())


def _shown(parts: Parts, book: Book, record: RunbookRecord) -> dict[str, Any]:
    return {
        **book.runbook.model_dump(mode="json", exclude={"sections"}),
        "own": book.own,
        "record": record.model_dump(),
        "history": parts.history(book.file).model_dump(mode="json"),
        "mistakes": [str(mistake) for mistake in book.mistakes],
    }


@router.get("/runbooks", summary="List runbooks")
def runbooks(request: Request, parts: PartsDep, person: Reader) -> dict[str, Any]:
    """Those in force with their record and history, and what is wrong with files. One with `mistakes` is in force as
    it last was whole.
    """
    books = parts.runbooks()
    return {
        "items": [_shown(parts, book, record_of(request, book.runbook.id)) for book in books.books],
        "mistakes": [str(mistake) for mistake in books.mistakes],
    }


@router.get("/runbooks/{runbook_id}", summary="Show a runbook")
def runbook(request: Request, runbook_id: str, parts: PartsDep, person: Reader) -> dict[str, Any]:
    """Its sections, the incidents that cited it last, and which of the newest incidents it would match today."""
    book = found(parts, runbook_id)
    with parts.database.reading() as session:
        cited = cited_by(session, runbook_id)
    return {
        **_shown(parts, book, record_of(request, runbook_id)),
        "sections": [
            {"heading": one.heading, "anchor": one.anchor, "text": one.text} for one in book.runbook.sections
        ],
        "cited_by": [one.model_dump(mode="json") for one in cited],
        "today": speaks_of(parts, runbook_id).model_dump(mode="json"),
    }
