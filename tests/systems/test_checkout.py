"""Who changed a file and when, and bringing a folder up to date, with a real Git."""

import subprocess
from pathlib import Path

import pytest

from app.foundation.errors import Conflict
from app.systems.checkout import Histories, History, Sync, histories
from app.systems.far_side import FarSideError
from tests.far_git import Origin


def git(folder: Path, *args: str, who: str = "Ada") -> None:
    config = ["-c", f"user.name={who}", "-c", f"user.email={who.lower()}@example.org"]
    subprocess.run(["git", *config, *args], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path, {"a.md": "one\n", "README.md": "ours\n"})


def sync(folder: Path, origin: Origin, branch: str = "main") -> tuple[str, str]:
    return Sync(folder, origin.url, branch).sync()


class TestHistories:
    def test_last_commits_newest_first_and_the_first_author(self, tmp_path: Path) -> None:
        folder = tmp_path / "repo" / "runbooks"
        folder.mkdir(parents=True)
        git(folder.parent, "init", "-q")
        for number, who in enumerate(["Ada", "Bob", "Bob", "Cid", "Cid", "Cid", "Dan"]):
            (folder / "a.md").write_text(str(number))
            (folder.parent / "elsewhere.md").write_text(str(number))
            git(folder.parent, "add", "-A")
            git(folder.parent, "commit", "-q", "-m", f"change {number}: why; $(x)", who=who)
        (folder / "b.md").write_text("never committed")
        found = histories(folder)
        assert set(found) == {"a.md", "b.md"}
        one = found["a.md"]
        assert [(c.author, c.subject) for c in one.changes][:2] == [
            ("Dan", "change 6: why; $(x)"),
            ("Cid", "change 5: why; $(x)"),
        ]
        assert (len(one.changes), one.author, one.uncommitted) == (5, "Ada", False)
        assert one.changes[0].at.tzinfo is not None
        assert found["b.md"] == History(uncommitted=True)
        (folder / "a.md").write_text("changed by hand")
        assert histories(folder)["a.md"].uncommitted

    def test_there_are_none_outside_a_repository_or_before_a_commit(self, tmp_path: Path) -> None:
        assert histories(tmp_path) == {}
        assert histories(tmp_path / "gone") == {}
        git(tmp_path, "init", "-q")
        (tmp_path / "a.md").touch()
        assert histories(tmp_path) == {"a.md": History(uncommitted=True)}
        (tmp_path / ".gitignore").write_text("*\n")
        assert histories(tmp_path) == {}

    def test_they_are_remembered_for_a_while(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "-q")
        (tmp_path / "a.md").touch()
        held, fresh = Histories(), Histories(0)
        assert held.of(tmp_path / "a.md").uncommitted
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", "x")
        assert held.of(tmp_path / "a.md").uncommitted
        assert not fresh.of(tmp_path / "a.md").uncommitted


class TestSync:
    def test_the_first_time_and_later(self, tmp_path: Path, origin: Origin) -> None:
        folder = tmp_path / "ours" / "runbooks"
        assert sync(folder, origin) == ("", origin.first[:10])
        assert (folder / "a.md").read_text() == "one\n"
        assert sync(folder, origin) == (origin.first[:10],) * 2
        second = origin.commit({"a.md": "two\n", "b.md": "new\n"}, "second")
        assert sync(folder, origin) == (origin.first[:10], second[:10])
        assert ((folder / "a.md").read_text(), (folder / "b.md").read_text()) == ("two\n", "new\n")
        assert histories(folder)["a.md"].changes[0].subject == "second"

    def test_files_that_are_there_already_stay(self, tmp_path: Path, origin: Origin) -> None:
        folder = tmp_path / "ours"
        folder.mkdir()
        (folder / "mine.md").write_text("mine")
        sync(folder, origin)
        assert (folder / "mine.md").read_text() == "mine"
        assert (folder / "a.md").exists()

    def test_no_work_of_a_person_is_overwritten(self, tmp_path: Path, origin: Origin) -> None:
        folder = tmp_path / "ours"
        folder.mkdir()
        (folder / "a.md").write_text("mine")
        with pytest.raises(Conflict, match="would be overwritten") as refused:
            sync(folder, origin)
        assert refused.value.places == (("a.md", "commit it, or move it away"),)
        assert (folder / "a.md").read_text() == "mine"

        (folder / "a.md").unlink()
        sync(folder, origin)
        (folder / "a.md").write_text("changed here")
        origin.commit({"a.md": "two\n"}, "second")
        with pytest.raises(Conflict, match="would be overwritten"):
            sync(folder, origin)
        assert (folder / "a.md").read_text() == "changed here"
        git(folder, "commit", "-q", "-am", "here")
        with pytest.raises(Conflict, match="has commits that main lacks"):
            sync(folder, origin)

    def test_another_repository_or_branch_is_not_taken_for_it(self, tmp_path: Path, origin: Origin) -> None:
        folder = tmp_path / "ours"
        sync(folder, origin)
        (tmp_path / "more").mkdir()
        other = Origin(tmp_path / "more", {"x.md": "x"})
        with pytest.raises(Conflict, match="not of that repository"):
            sync(folder, other)
        origin.commit({"a.md": "z"}, "aside", branch="aside", base=origin.first)
        with pytest.raises(Conflict, match="is on main, not on aside"):
            sync(folder, origin, "aside")
        with pytest.raises(Conflict, match="has no branch gone"):
            sync(folder, origin, "gone")

    def test_a_remote_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(FarSideError, match="git fetch"):
            Sync(tmp_path / "ours", f"file://{tmp_path}/nowhere.git", "main").sync()

    def test_neither_hooks_nor_links_come_with_it(self, tmp_path: Path, origin: Origin) -> None:
        target = origin.git("hash-object", "-w", "--stdin", feed="/etc/hostname").strip()
        origin.git("read-tree", origin.first)
        origin.git("update-index", "--add", "--cacheinfo", f"120000,{target},link.md")
        tree = origin.git("write-tree").strip()
        commit = origin.git("commit-tree", tree, "-p", origin.first, "-m", "a link").strip()
        origin.git("update-ref", "refs/heads/main", commit)
        folder = tmp_path / "ours"
        sync(folder, origin)
        assert not (folder / "link.md").is_symlink()
        assert (folder / "link.md").read_text() == "/etc/hostname"
        assert not (folder / ".git" / "hooks").exists()
