"""diagnose, eval, knowledge: asking what it knows."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.commands.shown import as_json, console, quiet
from app.diagnosis.diagnosis import Symptom
from app.foundation import logging
from app.foundation.errors import Invalid
from app.settings import read_settings

eval_app = typer.Typer(help="Measure the brain.", no_args_is_help=True)
knowledge_app = typer.Typer(help="What is known.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    app.command()(diagnose)
    app.add_typer(eval_app, name="eval")
    app.add_typer(knowledge_app, name="knowledge")


def diagnose(
    text: Annotated[str, typer.Argument(help="The message; `-` reads standard input.")],
    as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what kind of failure a message tells of, how sure that is, and why. Stores nothing."""
    from app.commands.story import show_diagnosis
    from app.intake.redact import redact
    from app.wiring import build_brain, open_store

    if text == "-":
        text = sys.stdin.read()
    if not text.strip():
        raise Invalid("the message is empty")
    logging.configure(json=False, level="WARNING")
    with quiet.status("loading") as status:
        brain, _ = build_brain(open_store(read_settings()), lambda says: status.update(says))
    diagnosis = brain.diagnose(Symptom(message=redact(text)))
    if as_json_:
        as_json(diagnosis.model_dump(mode="json"))
    else:
        show_diagnosis(console, diagnosis)


@eval_app.command("run")
def eval_run(
    file: Annotated[Path, typer.Argument(help="Rows {id, text, label}, one JSON object a line.")],
    train: Annotated[
        Path | None, typer.Option(help="Use these rows as the only cases, their labels as types.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write {id, label, confidence, abstained} here.")
    ] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Diagnose every row of a labelled file and print how right and how honest that was."""
    from app.commands.brains import brain_from_rows
    from app.learning.evaluate import evaluate, read_rows, report, write_predictions
    from app.wiring import build_brain, open_store

    logging.configure(json=False, level="WARNING")
    rows = read_rows(file)
    store = open_store(read_settings())
    with quiet.status("loading") as status:
        if train:
            brain = brain_from_rows(store, read_rows(train))
        else:
            brain, _ = build_brain(store, lambda says: status.update(says))
        status.update(f"diagnosing {len(rows)} rows")
        made, seconds = evaluate(brain, rows)
    result = report(rows, made, seconds)
    if predictions:
        write_predictions(predictions, made)
    if as_json_:
        as_json(result.model_dump(mode="json"))
        return
    table = Table("type", "n", "precision", "recall", "F1", box=None)
    for name, one in result.per_class.items():
        table.add_row(name, str(one.n), f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}")
    console.print(table)
    console.print(
        f"\nn {result.n}   macro-F1 [bold]{result.macro_f1:.3f}[/]   accuracy {result.accuracy:.3f}   "
        f"calibration error {result.ece:.3f}\n"
        f"coverage at 2 % wrong {result.coverage_at_2:.3f}, at 5 % wrong {result.coverage_at_5:.3f}   "
        f"abstained {result.abstained}   {result.ms_per_item:.1f} ms an item"
    )


@knowledge_app.command("check")
def knowledge_check(as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check cases and runbooks: valid, no near-duplicates, every type covered; print the sizes."""
    from app.knowledge.check import check
    from app.wiring import open_store

    store = open_store(read_settings())
    books = store.shelf.read()
    found = check(store.knowledge, store.taxonomy, books.runbooks, books.mistakes)
    if as_json_:
        as_json(found.model_dump(mode="json"))
    else:
        table = Table("type", "cases", "systems", "runbooks", box=None)
        for name, size in found.sizes.items():
            table.add_row(name, str(size.cases), str(size.systems), str(size.runbooks))
        console.print(table)
        console.print(f"\n{found.cases} cases over {found.systems} systems, {found.runbooks} runbooks")
        for problem in found.problems:
            console.print(problem, markup=False, soft_wrap=True)
    if found.problems:
        raise typer.Exit(1)


@knowledge_app.command("gaps")
def knowledge_gaps(
    least: Annotated[int, typer.Option(help="Incidents that make a gap.", min=2)] = 3,
    as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what nothing here explains: unknown incidents that are alike, with a name for a new type."""
    from app.learning.gaps import gaps, unexplained
    from app.wiring import build_brain, open_store

    logging.configure(json=False, level="WARNING")
    store = open_store(read_settings())
    with store.database.reading() as session:
        unknown = unexplained(session, store.settings.decision.ask_at)
    found = []
    if len(unknown) >= least:
        with quiet.status("loading") as status:
            _, retriever = build_brain(store, lambda says: status.update(says))
            found = gaps(unknown, retriever, least)
    if as_json_:
        as_json([gap.model_dump(mode="json") for gap in found])
        return
    for gap in found:
        console.print(
            f"[bold]{escape(gap.name)}[/]  {len(gap.incidents)} incidents, nearest known type {gap.nearest}"
        )
        for example in gap.examples:
            console.print(f"  {example.splitlines()[0][:160]}", markup=False, soft_wrap=True)
        console.print(f"  label them: mendline correct {gap.incidents[0]} TYPE", markup=False, soft_wrap=True)
    shown = sum(len(gap.incidents) for gap in found)
    console.print(f"{len(unknown)} unexplained incidents, {shown} of them in {len(found)} gaps")
