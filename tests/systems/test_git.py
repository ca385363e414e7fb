"""The Git client against a real bare repository."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.systems import git
from app.systems.connections import GitBranch
from app.systems.far_side import FarSideError
from app.systems.git import Moved, opened
from tests.far_git import Origin

FILES = {"conf/train.yaml": "batch_size: 32\n", "README.md": "read me\n"}


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path, FILES)


@pytest.fixture
def at(origin: Origin) -> Callable[..., GitBranch]:
    return lambda **fields: GitBranch.model_validate({"remote": origin.url, "branch": "main", **fields})


def test_a_file_is_read_at_the_branch(origin: Origin, at: Any) -> None:
    with opened(at(), depth=1) as clone:
        assert clone.tip == origin.first
        assert clone.read("conf/train.yaml", clone.tip) == b"batch_size: 32\n"
        for path in ("conf", "none", "conf/*", ":/README.md"):
            with pytest.raises(FarSideError, match="is no file at") as error:
                clone.read(path, clone.tip)
            assert not error.value.again


def test_a_link_is_no_file(origin: Origin, at: Any) -> None:
    blob = origin.git("hash-object", "-w", "--stdin", feed="/etc/passwd").strip()
    origin.git("read-tree", origin.first)
    origin.git("update-index", "--add", "--cacheinfo", f"120000,{blob},link")
    commit = origin.git(
        "commit-tree", origin.git("write-tree").strip(), "-p", origin.first, "-m", "x"
    ).strip()
    origin.git("update-ref", "refs/heads/main", commit)
    with opened(at(), depth=1) as clone, pytest.raises(FarSideError, match="is no file at"):
        clone.read("link", clone.tip)


def test_a_commit_changes_its_files_alone_and_is_found_by_its_key(origin: Origin, at: Any) -> None:
    with opened(at(), depth=1) as clone:
        commit = clone.commit(
            clone.tip, {"conf/train.yaml": b"batch_size: 16\n"}, git.message("change it", "inc_1", "key_1")
        )
        assert origin.tip() == origin.first, "nothing is pushed yet"
        clone.push(commit, "main", clone.tip)
    assert origin.tip() == commit
    assert origin.git("rev-parse", "main^").strip() == origin.first
    assert origin.git("diff", "--name-only", "main^", "main").split() == ["conf/train.yaml"]
    assert (origin.text("conf/train.yaml"), origin.text("README.md")) == ("batch_size: 16\n", "read me\n")
    origin.commit({"README.md": "key_2"}, "mentions key_2 in its text, Mendline-Key: key_2 there")
    with opened(at()) as clone:
        assert (clone.find("key_1"), clone.find("key_2"), clone.find("key_")) == (commit, "", "")
        assert (clone.find("inc_1", git.INCIDENT), clone.find("key_1", git.INCIDENT)) == (commit, "")


def test_an_executable_stays_one(origin: Origin, at: Any) -> None:
    blob = origin.git("rev-parse", "main:README.md").strip()
    origin.git("update-index", "--add", "--cacheinfo", f"100755,{blob},README.md")
    tree = origin.git("write-tree").strip()
    origin.git("update-ref", "refs/heads/main", origin.git("commit-tree", tree, "-m", "x").strip())
    with opened(at(), depth=1) as clone:
        clone.push(clone.commit(clone.tip, {"README.md": b"new"}, "x"), "main", clone.tip)
    assert origin.git("ls-tree", "main", "README.md").startswith("100755")


def test_a_branch_that_moved_is_left_where_it_is(origin: Origin, at: Any) -> None:
    with opened(at(), depth=1) as clone:
        commit = clone.commit(clone.tip, {"README.md": b"ours"}, "ours")
        theirs = origin.commit({"README.md": "theirs"}, "theirs")
        with pytest.raises(Moved) as error:
            clone.push(commit, "main", clone.tip)
        assert error.value.again
        with pytest.raises(Moved):
            clone.push(commit, "main", "")
    assert origin.tip() == theirs


def test_a_new_branch_is_made_once_and_deleted_once(origin: Origin, at: Any) -> None:
    with opened(at(), depth=1) as clone:
        one = clone.commit(clone.tip, {"README.md": b"one"}, "one")
        two = clone.commit(clone.tip, {"README.md": b"two"}, "two")
        clone.push(one, "mendline/x", "")
        with pytest.raises(Moved):
            clone.push(two, "mendline/x", "")
        with pytest.raises(Moved):
            clone.push("", "mendline/x", two)
        assert origin.tip("mendline/x") == one
    with opened(at(), "mendline/x") as there:
        assert there.tip == one
        there.push("", "mendline/x", one)
    assert origin.branches == {"main"}
    with opened(at(), "mendline/x") as there:
        assert there.tip == ""


def test_everything_goes_back_to_a_revision_as_a_new_commit(origin: Origin, at: Any) -> None:
    origin.tag("good/1", origin.first)
    origin.commit({"README.md": "worse", "new": "file"}, "worse")
    origin.commit({"README.md": "elsewhere"}, "elsewhere", branch="side", base=origin.first)
    origin.tag("good/side", origin.tip("side"))
    origin.tag("other/2", origin.tip())
    with opened(at(), depth=0, tags="good/*") as clone:
        assert clone.marked() == [(origin.first, "good/1")]
        clone.push(clone.commit_as(origin.first, clone.tip, "back"), "main", clone.tip)
    assert origin.git("diff", "--stat", origin.first, "main") == ""
    assert len(origin.messages()) == 3


def test_what_the_remote_refuses_is_not_asked_again(origin: Origin, at: Any) -> None:
    hook = origin.folder / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho protected >&2\nexit 1\n")
    hook.chmod(0o755)
    with opened(at(), depth=1) as clone, pytest.raises(FarSideError, match="hook declined") as error:
        clone.push(clone.commit(clone.tip, {"README.md": b"x"}, "x"), "main", clone.tip)
    assert not error.value.again
    assert origin.tip() == origin.first


def test_a_repository_that_is_not_there(tmp_path: Path, at: Any) -> None:
    with (
        pytest.raises(FarSideError, match="git fetch") as error,
        opened(at(remote=f"file://{tmp_path}/no.git")),
    ):
        pass
    assert not error.value.again
    assert str(tmp_path) not in error.value.says


def test_neither_hooks_nor_configuration_of_a_user_count(
    origin: Origin, at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, ran = tmp_path / "home", tmp_path / "ran"
    hooks = home / "hooks"
    hooks.mkdir(parents=True)
    for name in ("pre-push", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (hooks / name).chmod(0o755)
    (home / ".gitconfig").write_text(
        f'[core]\nhooksPath = {hooks}\n[url "file:///nowhere/"]\ninsteadOf = {origin.url}\n'
    )
    for name, said in {
        "HOME": str(home),
        "GIT_DIR": "/nowhere",
        "GIT_INDEX_FILE": "/nowhere/index",
        "GIT_CONFIG_PARAMETERS": f"'core.hooksPath={hooks}'",
        "GIT_TRACE": str(ran),
    }.items():
        monkeypatch.setenv(name, said)
    with opened(at(), depth=1) as clone:
        clone.push(clone.commit(clone.tip, {"README.md": b"x"}, "x"), "main", clone.tip)
    monkeypatch.undo()
    assert origin.text("README.md") == "x"
    assert not ran.exists()


def test_a_machine_without_git(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FarSideError, match="git cannot be run here") as error, opened(at()):
        pass
    assert not error.value.again


def test_a_remote_that_hangs_is_left_with_all_its_children(
    origin: Origin, at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\necho $$ "$@" >> {tmp_path}/asked\nexec sleep 60\n')
    ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{ssh.parent}:/usr/local/bin:/usr/bin:/bin")
    slow = at(remote="ssh://git@127.0.0.1/x.git", timeout=0.5)
    with pytest.raises(FarSideError, match=r"did not end in 0.5 s") as error, opened(slow):
        pass
    assert error.value.again
    pid, *asked = (tmp_path / "asked").read_text().split()
    assert "-oBatchMode=yes" in asked
    assert not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.parametrize(
    "fields",
    [
        {"remote": "https://user:password@host/x.git"},
        {"remote": "http://host/x.git"},
        {"remote": "ext::sh -c touch% /tmp/x"},
        {"remote": "ssh://-oProxyCommand=x/y"},
        {"remote": "--upload-pack=x"},
        {"remote": "/srv/git/x.git"},
        {"branch": "-x"},
        {"branch": "a..b"},
        {"branch": "a b"},
        {"branch": "a:b"},
        {"branch": "refs/*"},
        {"branch": "x.lock"},
        {"branch": ""},
    ],
)
def test_names_that_git_could_take_for_something_else(at: Any, fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        at(**fields)
