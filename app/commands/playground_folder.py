"""The demo's data folder: held by one demo at a time, made anew, with what was prepared before brought along."""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.commands.playground import until
from app.foundation.errors import Conflict, Unavailable
from app.settings import Settings

_KEPT = {
    "knowledge_case": "SELECT * FROM knowledge_case WHERE origin = 'shipped'",
    "knowledge_embedding": "SELECT * FROM knowledge_embedding",
    "alembic_version": "SELECT * FROM alembic_version",
}


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The demo's folder for us alone; whatever the demo starts ends when this does.

    Raises Conflict when the folder holds something else, or another demo uses it.
    """
    lock = folder / "lock"
    if folder.exists() and any(folder.iterdir()) and not lock.exists():
        raise Conflict(f"{folder} is no folder of a demo, and a demo empties its folder: name another one")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock.open("w") as file:

        def taken() -> bool:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            return False

        try:
            # What a demo that was killed left behind needs a moment to end.
            until(taken, "", seconds=10)
        except Unavailable:
            raise Conflict(f"another demo runs in {folder}: end it, or name another folder") from None
        yield


def prepare(folder: Path, main: Settings) -> bool:
    """Empties the folder but for models, and brings what was learned elsewhere or by a demo before.

    True when there is a fitted model, so that the start takes seconds.
    """
    formers = [_former(data / "mendline.db") for data in (main.data_dir, folder)]
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "models":
            shutil.rmtree(entry)
        elif entry.is_file() and entry.name != "lock":
            entry.unlink()
    share(main.data_dir / "models", folder / "models")
    _bring([former for former in formers if former.rows], folder / "mendline.db")
    return any((folder / "models").glob("diagnosis-*"))


def share(from_: Path, to: Path) -> None:
    """Links or copies models; their names say what they were made from, so a known name is the same file."""
    if not from_.is_dir() or not to.parent.is_dir():
        return
    to.mkdir(exist_ok=True)
    for model in from_.glob("*-*.*"):
        there = to / model.name
        if there.exists():
            continue
        try:
            os.link(model, there)
        except OSError:
            shutil.copyfile(model, there)


@dataclass(frozen=True)
class Former:
    """A database's schema, and its rows of cases that ship, of embeddings and of the schema's version."""

    schema: list[str]
    rows: dict[str, list[tuple[Any, ...]]]


def _former(path: Path) -> Former:
    """What another start prepared; empty when there is nothing that can be read."""
    if path.exists():
        address = f"{path.resolve().as_uri()}?mode=ro"
        with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as old:
            made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            schema = [sql for (sql,) in old.execute(made)]
            return Former(schema, {table: old.execute(query).fetchall() for table, query in _KEPT.items()})
    return Former([], {})


def _bring(formers: list[Former], path: Path) -> None:
    """Makes a database of them. The start makes good what is missing or has changed since."""
    if not formers:
        return
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as new:
            new.execute("BEGIN")
            for sql in formers[0].schema:
                new.execute(sql)
            for number, former in enumerate(formers):
                for table, rows in former.rows.items():
                    if rows and (number == 0 or table != "alembic_version"):
                        marks = ", ".join("?" * len(rows[0]))
                        new.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)
            new.execute("COMMIT")
    except sqlite3.Error:
        path.unlink(missing_ok=True)  # two versions' tables; the start makes its own
