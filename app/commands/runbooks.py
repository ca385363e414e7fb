"""runbook: writing runbooks, trying them out, and bringing them from a repository."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.table import Column, Table

from app.commands.shown import Json, Since, ago, as_json, console, plain, quiet
from app.foundation import logging
from app.foundation.errors import Conflict, Invalid, Unavailable
from app.settings import read_settings

if TYPE_CHECKING:
    from app.knowledge.runbook import Mistake
    from app.wiring import Store

runbook_app = typer.Typer(help="Runbooks: write, check, try, bring from Git.", no_args_is_help=True)
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
File = Annotated[Path, typer.Argument(help="The runbook's file.")]


def install(app: typer.Typer) -> None:
    app.add_typer(runbook_app, name="runbook")


def _opened() -> "Store":
    from app.wiring import open_store

    logging.configure(json=False, level="WARNING")
    return open_store(read_settings())


@runbook_app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Its id, in small letters with dashes: label-printer-out.")],
    types: Annotated[
        list[str] | None, typer.Option("--type", help="The kind of failure; may be given again.")
    ] = None,
    strategy: Annotated[str, typer.Option(help="What repairs it; without one a person is told.")] = "",
    owner: Annotated[str, typer.Option(help="The team that answers for it.")] = "",
) -> None:
    """Begin a runbook in the site's folder. It is in force once `lint` finds nothing left to fill in."""
    from app.knowledge.house_form import begun
    from app.knowledge.playbook import nearest

    store = _opened()
    path = _free(store, name)
    for type_ in types or ():
        if type_ not in store.taxonomy.types:
            raise Invalid(f"there is no type {type_!r}{nearest(type_, store.taxonomy.types)}")
    if strategy and strategy not in store.strategies:
        raise Invalid(f"no strategy {strategy!r} is registered{nearest(strategy, store.strategies)}")
    params = {name: one.Params for name, one in store.strategies.items()}
    today = store.clock.now().date()
    text = begun(name, store.taxonomy, params, today, types=types or (), strategy=strategy, owner=owner)
    _write(path, text)
    if store.shelf.read().find(name):
        console.print(f"once it is whole, it replaces the shipped runbook {name}")
    console.print(
        f"next: fill in what is marked, and look with: mendline runbook lint {path}", soft_wrap=True
    )


@runbook_app.command("lint")
def lint(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files; none means all that ship or are the site's own.")
    ] = None,
) -> None:
    """Check runbooks: file, line, what is wrong, the nearest right word."""
    from app.knowledge import shelf
    from app.knowledge.playbook import unregistered
    from app.knowledge.runbook import Mistake, overdue, read_runbook

    store = _opened()
    params = {name: strategy.Params for name, strategy in store.strategies.items()}
    registered = store.targets.all()
    partners = {name for target in registered.values() for name in target.partners}
    paths = files or [file for folder in store.shelf.folders for file in shelf.files(folder)]
    today, whole, found = store.clock.now().date(), 0, 0
    for path in paths:
        runbook, mistakes = read_runbook(path, store.taxonomy, params)
        if runbook:
            mistakes = [
                Mistake(file=path.name, line=line, says=says)
                for line, says in unregistered(runbook.actions, registered, partners)
            ]
        _show(path, mistakes)
        whole += bool(runbook and not mistakes)
        found += len(mistakes)
        if runbook and overdue(runbook, today):
            _say(f"{path}: nobody has reviewed it since {runbook.reviewed}")
    console.print(f"{whole} whole, {found} {'mistake' if found == 1 else 'mistakes'}")
    if found:
        raise typer.Exit(1)


def _show(path: Path, mistakes: "list[Mistake]") -> None:
    for mistake in mistakes:
        _say(f"{path}:{mistake.line}: {mistake.says}")
        if mistake.pointed:
            _say(mistake.pointed)


def _say(text: str) -> None:
    """A line with a file's own words in it: no markup, no control characters."""
    shown = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
    console.print(shown, markup=False, soft_wrap=True)


@runbook_app.command("try")
def try_(
    file: File,
    since: Since = "90d",
    most: Annotated[int, typer.Option(help="How many incidents to look at.", min=1, max=20_000)] = 1000,
    as_json_: Json = False,
) -> None:
    """Look which past incidents a runbook would have matched, what would be planned there, how they ended.

    Diagnoses the newest 50 of them again, as if it were in force. Nothing is stored and nothing is done.
    """
    from app.knowledge.load import load_runbooks
    from app.knowledge.runbook import read_runbook
    from app.pipeline.match import matches, tried
    from app.wiring import build_brain

    back = ago(since)
    store = _opened()
    params = {name: strategy.Params for name, strategy in store.strategies.items()}
    runbook, mistakes = read_runbook(file, store.taxonomy, params)
    if runbook is None:
        _show(file, mistakes)
        raise typer.Exit(1)
    with quiet.status("loading") as status:
        brain, retriever = build_brain(store, lambda says: status.update(says))
        others = [one for one in store.shelf.now().runbooks if one.id != runbook.id]
        load_runbooks(store.database, retriever, [*others, runbook])
        status.update("looking at past incidents")
        with store.database.reading() as session:
            found = matches(session, retriever, runbook.id, most=most, since=store.clock.now() - back)
        status.update(f"diagnosing {min(50, len(found.matches))} of them again")
        trials = tried(store.database, brain, found, runbook.id, store.strategies, store.targets)
    if as_json_:
        left = found.matches[len(trials) :]
        as_json(
            {
                "runbook": runbook.id,
                "looked_at": found.looked_at,
                "tried": [trial.model_dump(mode="json") for trial in trials],
                "not_tried": [match.model_dump(mode="json") for match in left],
            }
        )
        return
    for trial in trials:
        match = trial.match
        by = [f"signal {match.signal!r}"] if match.signal else []
        by += (
            [f"#{match.section.partition('#')[2]} near in meaning, {match.similarity:.2f}"]
            if match.section
            else []
        )
        cites = "cites it" if trial.cited else "does not cite it"
        follows = ", as the runbook says" if trial.follows else ""
        table = Table(
            Column(no_wrap=True), Column(overflow="fold"), show_header=False, box=None, padding=(0, 1)
        )
        table.add_row("matched by", plain("; ".join(by)))
        table.add_row("diagnosed as", f"{match.type}, {match.confidence:.0%}")
        table.add_row("would be", f"{trial.type}, {trial.confidence:.0%}; {cites}")
        table.add_row("plan", f"{trial.strategy}{follows}: {plain(trial.plan)}")
        for passed_over in trial.considered:
            table.add_row("", f"not {plain(passed_over)}")
        table.add_row("ended", plain(match.ended))
        console.print(f"{match.incident_id}  {match.at:%Y-%m-%d %H:%M}  {plain(match.title)}", soft_wrap=True)
        console.print(Padding(table, (0, 0, 1, 2)))
    console.print(f"{len(found.matches)} of {found.looked_at} incidents of the last {since} matched")


@runbook_app.command("draft")
def draft_(
    incident_id: Annotated[str, typer.Argument(metavar="INCIDENT", help="One that was solved.")],
    name: Annotated[
        str, typer.Option(help="The runbook's id; without one it is made from the message.")
    ] = "",
) -> None:
    """Write a runbook from a solved incident: its log lines, redacted, and what worked."""
    from app.knowledge import store as knowledge
    from app.pipeline.draft import draft, draft_name
    from app.pipeline.trail import trail

    store = _opened()
    found = trail(store.database, incident_id)
    with store.database.reading() as session:
        cases = knowledge.of_incident(session, incident_id)
    name = name or draft_name(found)
    path = _free(store, name)
    today = store.clock.now().date()
    _write(path, draft(found, cases, store.strategies, store.taxonomy, name, today))
    console.print(
        f"it is in force as it stands: read it now, and look with: mendline runbook try {path}",
        soft_wrap=True,
    )


@runbook_app.command("list")
def list_(as_json_: Json = False) -> None:
    """List the runbooks in force: incidents that cited each, repairs on its word, and how those went."""
    from app.remediation.citations import RunbookRecord, runbook_records
    from app.systems.checkout import History, histories

    store = _opened()
    books = store.shelf.read()
    with store.database.reading() as session:
        records = runbook_records(session)
    if as_json_:
        of = {folder: histories(folder) for folder in store.shelf.folders}
        as_json(
            [
                {
                    **book.runbook.model_dump(mode="json", exclude={"sections", "actions"}),
                    "file": str(book.file),
                    "own": book.own,
                    "record": records.get(book.runbook.id, RunbookRecord()).model_dump(),
                    "history": of[book.file.parent].get(book.file.name, History()).model_dump(mode="json"),
                    "mistakes": [str(mistake) for mistake in book.mistakes],
                }
                for book in books.books
            ]
        )
        return
    table = Table(Column("runbook", no_wrap=True), Column("from", min_width=7), box=None)
    for heading in ("cited", "used", "verified", "undone"):
        table.add_column(heading, justify="right", min_width=len(heading))
    for book in books.books:
        one, record = book.runbook, records.get(book.runbook.id, RunbookRecord())
        counts = (str(count) for count in record.model_dump().values())
        table.add_row(one.id, "site" if book.own else "shipped", *counts)
    console.print(table)
    for mistake in books.mistakes:
        _say(str(mistake))
    _tell_held(books)


def _tell_held(books: "Books") -> None:  # type: ignore[name-defined] # noqa: F821
    for book in books.books:
        if book.mistakes:
            _say(f"{book.runbook.id}: the last version that was whole is in force")


@runbook_app.command("sync")
def sync(
    repository: Annotated[
        str, typer.Argument(help="Its address or folder; without one MENDLINE_KNOWLEDGE__REPOSITORY.")
    ] = "",
    branch: Annotated[str, typer.Option(help="Without one MENDLINE_KNOWLEDGE__BRANCH.")] = "",
) -> None:
    """Bring the site's runbooks up to date from their Git repository. Nothing is pushed, no work is overwritten."""
    from pydantic import TypeAdapter, ValidationError

    from app.systems.checkout import Sync
    from app.systems.connections import Branch, Remote
    from app.systems.far_side import FarSideError

    store = _opened()
    settings = store.settings.knowledge
    remote = repository or settings.repository
    if not remote:
        raise Invalid("name the repository, or set MENDLINE_KNOWLEDGE__REPOSITORY")
    if "://" not in remote:
        remote = Path(remote).resolve().as_uri()
    try:
        TypeAdapter(Remote).validate_python(remote)
        TypeAdapter(Branch).validate_python(branch or settings.branch)
    except ValidationError as error:
        says = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Invalid(f"the repository cannot be used: {says}") from None
    store.shelf.read()  # what is whole now stays in force, whatever comes
    password = settings.token.get_secret_value()
    try:
        before, after = Sync(store.shelf.own, remote, branch or settings.branch, password).sync()
    except FarSideError as error:
        raise (Unavailable if error.again else Conflict)(error.says) from None
    books = store.shelf.read()
    own = [book for book in books.books if book.own]
    came = f"{before} to {after}" if before and before != after else f"{'still ' if before else ''}at {after}"
    console.print(f"{store.shelf.own}: {came}, {len(own)} runbooks in force", soft_wrap=True)
    wrong = [mistake for mistake in books.mistakes if (store.shelf.own / mistake.file).exists()]
    for mistake in wrong:
        _show(store.shelf.own / mistake.file, [mistake])
    _tell_held(books)
    if wrong:
        raise typer.Exit(1)


def _free(store: "Store", name: str) -> Path:
    """Where the site's runbook of this name will stand; raises Invalid, or Conflict where there is one."""
    if not _NAME.fullmatch(name) or len(name) > 100:
        raise Invalid(f"{name!r} is no id of a runbook: use small letters, digits and dashes")
    path = store.shelf.own / f"{name}.md"
    if path.exists():
        raise Conflict(f"{path} is there already")
    return path


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Moved into place: the service looks meanwhile.
        aside = path.with_suffix(".tmp")
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}") from None
    console.print(str(path), soft_wrap=True)
