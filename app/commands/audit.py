"""audit: the chain over what was decided and done."""

from pathlib import Path
from typing import Annotated

import orjson
import typer

from app.commands.shown import console
from app.db import audit
from app.foundation.errors import Invalid
from app.settings import read_settings

audit_app = typer.Typer(help="The chain over what was decided, answered and done.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    app.add_typer(audit_app, name="audit")


def _noted(given: str) -> audit.Head | None:
    if not given:
        return None
    seq, _, hash_ = given.partition(":")
    if not seq.isdecimal() or len(hash_) != 64:
        raise Invalid(f"{given!r} is no head: give it as `mendline audit verify` printed it, number:hash")
    return audit.Head(seq=int(seq), hash=hash_)


@audit_app.command("verify")
def verify(
    head: Annotated[
        str, typer.Option(help="A head that was noted before: shows an end that was cut off.")
    ] = "",
) -> None:
    """Look for any edit that did not go through Mendline; ends with 1 when there is one."""
    from app.wiring import open_store

    noted = _noted(head)
    with open_store(read_settings()).database.reading() as session:
        wrong = audit.verify(session, noted)
        newest = audit.head(session)
    for says in wrong:
        console.print(f"[red]{says}[/]")
    if wrong:
        raise typer.Exit(1)
    console.print(f"{newest.seq} entries, nothing was edited. Note the head elsewhere:")
    console.print(str(newest), soft_wrap=True, highlight=False)


@audit_app.command("export")
def export(
    out: Annotated[Path, typer.Argument(help="A file to write, one JSON object a line.")],
    after: Annotated[int, typer.Option(help="Only entries behind this number.")] = 0,
) -> None:
    """Write the chain with the rows that it speaks of, as they are now."""
    from app.wiring import open_store

    try:
        with open_store(read_settings()).database.reading() as session, out.open("wb") as file:
            written = 0
            for line in audit.exported(session, after):
                file.write(orjson.dumps(line) + b"\n")
                written += 1
    except OSError as error:
        raise Invalid(f"{out} cannot be written: {error.strerror}") from None
    console.print(f"{written} entries in {out}")
