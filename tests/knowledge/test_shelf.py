"""What is in force: a site's runbooks on top of the shipped ones, and the last version that was whole."""

from pathlib import Path

import pytest

from app.knowledge.shelf import Shelf, files
from tests.knowledge.test_runbook import GOOD, PARAMS, TAXONOMY

BROKEN = GOOD.replace("strategy: retry", "strategy: retri")
NAME = "load-times-out"


class Folders:
    """A shipped and an own folder; each `shelf()` is a process that starts anew."""

    def __init__(self, folder: Path) -> None:
        self.shipped, self.own = folder / "shipped", folder / "own"
        self.kept = folder / "kept.json"
        self.shipped.mkdir()

    def shelf(self) -> Shelf:
        return Shelf(self.shipped, self.own, self.kept, TAXONOMY, PARAMS)

    def write(self, folder: Path, text: str, name: str = NAME) -> Path:
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.md"
        path.write_text(text)
        return path


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


class TestOnTop:
    def test_without_a_folder_of_its_own_a_site_has_the_shipped_ones(self, folders: Folders) -> None:
        folders.write(folders.shipped, GOOD)
        (book,) = folders.shelf().read().books
        assert (book.runbook.id, book.own, book.mistakes) == (NAME, False, ())

    def test_its_own_replaces_the_shipped_one_of_the_same_id(self, folders: Folders) -> None:
        folders.write(folders.shipped, GOOD)
        path = folders.write(folders.own, GOOD.replace("owner: data", "owner: ours"))
        folders.write(folders.own, GOOD.replace(f"id: {NAME}", "id: another"), "another")
        books = folders.shelf().read()
        assert [book.runbook.id for book in books.books] == ["another", NAME]
        book = books.find(NAME)
        assert book is not None
        assert (book.runbook.owner, book.own, book.file) == ("ours", True, path)

    def test_a_broken_one_that_never_was_whole_leaves_the_shipped_one(self, folders: Folders) -> None:
        folders.write(folders.shipped, GOOD)
        folders.write(folders.own, BROKEN)
        books = folders.shelf().read()
        assert [book.own for book in books.books] == [False]
        assert [str(one) for one in books.mistakes] == [
            "load-times-out.md:7: no strategy 'retri' is registered; did you mean 'retry'?"
        ]

    def test_now_is_what_was_read_last(self, folders: Folders) -> None:
        shelf = folders.shelf()
        assert shelf.now().books == ()
        folders.write(folders.own, GOOD)
        assert shelf.now().books == ()
        assert shelf.read() == shelf.now()
        assert len(shelf.now().books) == 1


class TestTheLastThatWasWhole:
    def test_it_stays_in_force_also_for_a_process_that_starts_later(self, folders: Folders) -> None:
        folders.write(folders.own, GOOD)
        folders.shelf().read()
        folders.write(folders.own, BROKEN)
        for _ in range(2):
            books = folders.shelf().read()
            (book,) = books.books
            assert book.runbook.strategy == "retry"
            assert book.mistakes == books.mistakes != ()

    def test_a_mended_file_is_in_force_again(self, folders: Folders) -> None:
        shelf = folders.shelf()
        for text in (GOOD, BROKEN, GOOD.replace("owner: data", "owner: ours")):
            folders.write(folders.own, text)
            books = shelf.read()
        assert (books.books[0].runbook.owner, books.mistakes) == ("ours", ())

    def test_a_playbook_is_kept_with_its_actions(self, folders: Folders) -> None:
        text = GOOD.replace("strategy: retry\nparams: {tries: 2}", "strategy: playbook").replace(
            "Run it again.", "```action\nstrategy: retry\nparams: {tries: 2}\n```"
        )
        folders.write(folders.own, text)
        folders.shelf().read()
        before = folders.kept.stat().st_mtime_ns
        folders.shelf().read()
        assert folders.kept.stat().st_mtime_ns == before  # nothing changed, so nothing is written
        folders.write(folders.own, "nonsense")
        (action,) = folders.shelf().read().books[0].runbook.actions
        assert action.params == {"tries": 2}

    def test_one_whose_file_is_gone_is_gone(self, folders: Folders) -> None:
        path = folders.write(folders.own, GOOD)
        folders.shelf().read()
        path.unlink()
        assert folders.shelf().read().books == ()
        folders.write(folders.own, BROKEN)
        assert folders.shelf().read().books == ()

    @pytest.mark.parametrize("kept", ["", "[]", '{"x": 1}', "\xff"])
    def test_what_was_kept_and_cannot_be_read_is_no_obstacle(self, folders: Folders, kept: str) -> None:
        folders.kept.write_text(kept, encoding="latin-1")
        folders.write(folders.own, GOOD)
        assert len(folders.shelf().read().books) == 1

    def test_a_version_of_other_fields_is_not_put_in_force(self, folders: Folders) -> None:
        path = folders.write(folders.own, BROKEN)
        folders.kept.write_text(f'{{"{path.resolve()}": {{"id": "{NAME}", "colour": "red"}}}}')
        assert folders.shelf().read().books == ()


class TestFiles:
    def test_those_about_the_folder_are_none(self, tmp_path: Path) -> None:
        for name in ("a", "README", "readme", "CHANGELOG", "b"):
            (tmp_path / f"{name}.md").touch()
        (tmp_path / "notes.txt").touch()
        assert [path.name for path in files(tmp_path)] == ["a.md", "b.md"]

    def test_a_link_that_leads_out_is_passed_over(self, tmp_path: Path) -> None:
        """Its lines would be shown as mistakes."""
        folder = tmp_path / "folder"
        folder.mkdir()
        (tmp_path / "secret").write_text("the password is hunter2")
        (folder / "a.md").symlink_to(tmp_path / "secret")
        (folder / "held").mkdir()
        (folder / "held" / "b").touch()
        (folder / "b.md").symlink_to(folder / "held" / "b")
        assert [path.name for path in files(folder)] == ["b.md"]
