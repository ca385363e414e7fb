"""A running service sees runbooks change by itself."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.foundation import metrics
from app.knowledge.shelf import Books, Shelf
from app.knowledge.watch import Watch
from tests.doubles import until
from tests.knowledge.test_runbook import GOOD, PARAMS, TAXONOMY


class Put:
    """Gets what is in force; fails the next times that it is told to."""

    def __init__(self) -> None:
        self.books = Books(books=())
        self.times = 0
        self.fails = 0

    def __call__(self, books: Books) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError("not now")
        self.times += 1
        self.books = books

    @property
    def owners(self) -> list[str]:
        return [book.runbook.owner for book in self.books.books]


@contextmanager
def watching(folder: Path, put: Put, look: float = 60) -> Iterator[Path]:
    """A watch over a shelf of one own folder, which need not be there yet; `look` is longer than any test."""
    own = folder / "own"
    shelf = Shelf(folder / "none", own, folder / "kept.json", TAXONOMY, PARAMS)
    watch = Watch(shelf, put, look)
    watch.start()
    until(own.is_dir)
    try:
        yield own
    finally:
        watch.close()


def test_a_file_that_comes_changes_breaks_and_goes(tmp_path: Path) -> None:
    put = Put()
    with watching(tmp_path, put) as own:
        # Written again until it is seen: the notifications may begin a moment after the folder was made.
        path = own / "load-times-out.md"
        until(lambda: bool(path.write_text(GOOD)) and put.owners == ["data"])
        path.write_text(GOOD.replace("owner: data", "owner: ours"))
        until(lambda: put.owners == ["ours"])
        path.write_text(GOOD.replace("risk: low", "risk: lwo"))
        until(lambda: len(put.books.mistakes) == 1)
        assert put.owners == ["ours"]
        assert metrics.RUNBOOK_MISTAKES._value.get() == 1
        path.unlink()
        until(lambda: put.owners == [])
    assert metrics.RUNBOOK_MISTAKES._value.get() == 0


def test_what_is_there_at_its_start_is_put_in_force(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "load-times-out.md").write_text(GOOD)
    put = Put()
    with watching(tmp_path, put):
        until(lambda: put.owners == ["data"])
    assert put.times == 1


def test_what_failed_is_done_at_the_next_look(tmp_path: Path) -> None:
    put = Put()
    put.fails = 2
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "load-times-out.md").write_text(GOOD)
    with watching(tmp_path, put, look=0.1):
        until(lambda: put.owners == ["data"])


def test_it_looks_by_itself_where_nothing_is_told(tmp_path: Path) -> None:
    """A folder that was removed and made again has no notifications any more, as a network disk has none."""
    put = Put()
    with watching(tmp_path, put, look=0.1) as own:
        shutil.rmtree(own)
        own.mkdir()
        (own / "load-times-out.md").write_text(GOOD)
        until(lambda: put.owners == ["data"])


def test_where_the_system_gives_no_notifications_it_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "true")
    put = Put()
    with watching(tmp_path, put, look=0.1) as own:
        (own / "load-times-out.md").write_text(GOOD)
        until(lambda: put.owners == ["data"])
