"""What people read agrees with what runs, and what is kept names no machine of ours."""

import os
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import typer

from app.cli import command_line
from app.settings import names

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# What tools make, as .gitignore has it, and Git's own.
_MADE = re.compile(
    r"\.(?:git|venv.*|.*_cache|hypothesis|schemathesis)|__pycache__|.*\.egg-info|data|dist|build"
)
# These quote the logs of other people's machines.
_RECORDED = ("tests/data", "knowledge/cases", "knowledge/runbooks")


@cache
def kept() -> dict[str, str]:
    """The text files that are kept, by their place."""
    return dict(_kept())


def _kept() -> Iterator[tuple[str, str]]:
    for folder, inner, files in os.walk(ROOT):
        place = Path(folder).relative_to(ROOT)
        inner[:] = [one for one in inner if not _MADE.fullmatch(one) and f"{place}/{one}" not in _RECORDED]
        for file in files:
            try:
                yield str(place / file), Path(folder, file).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def commands() -> set[str]:
    """The commands at the top of `mendline`."""
    return set(typer.main.get_command(command_line()).commands)  # type: ignore[attr-defined]


class TestReadme:
    def test_it_names_every_setting(self) -> None:
        assert {variable for variable in names() if f"`{variable}`" not in README} == set()

    def test_it_names_no_setting_that_is_not_there(self) -> None:
        told = set(re.findall(r"\bMENDLINE_[A-Z_]*[A-Z]\b", README)) - {"MENDLINE_ROOM__FIELD"}
        known = set(names())
        assert {one for one in told - known if one.removesuffix("_FILE") not in known} == set()

    def test_it_names_every_default_as_it_is(self) -> None:
        told = dict(re.findall(r"^\| `(MENDLINE_\w+)` \| `?([^|`]*?)`? \|", README, re.M))
        assert {name: told.get(name) for name, default in names().items() if told.get(name) != default} == {}

    def test_it_names_every_command(self) -> None:
        assert {one for one in commands() if not re.search(rf"\bmendline {one}\b|`{one}`", README)} == set()

    def test_it_names_no_command_that_is_not_there(self) -> None:
        assert set(re.findall(r"(?:`|bin/)mendline ([a-z][a-z-]*)", README)) - commands() == set()

    def test_links_within_lead_somewhere(self) -> None:
        links = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
        assert [link for link in links if not (ROOT / link).exists()] == []


class TestWhatIsKept:
    def test_no_path_of_one_machine(self) -> None:
        # Where this checkout lies, and anybody's home; examples use /home/ada, /srv, /var and /tmp.
        place = re.compile(
            r"(?<![\w.~$}>-])/(?:work|root|Users)/\w+|(?<![\w.~$}>-])/home/(?!ada\b|runner\b)\w+"
        )
        found = [
            f"{file}: {match.group()}" for file, text in kept().items() for match in place.finditer(text)
        ]
        found += [f"{file}: {ROOT}" for file, text in kept().items() if str(ROOT) in text]
        assert found == []


class TestLockFiles:
    LOCKS = sorted(ROOT.glob("requirements*.lock"))

    def test_they_name_no_index(self) -> None:
        source = re.compile(r"https?://|--(?:extra-)?index-url|--find-links|\s@\s|file:")
        assert self.LOCKS
        assert [lock.name for lock in self.LOCKS if source.search(lock.read_text())] == []

    def test_they_pin_every_package(self) -> None:
        lines = [line.strip() for lock in self.LOCKS for line in lock.read_text().splitlines()]
        wanted = [line for line in lines if line and not line.startswith(("#", "-r ", "--hash"))]
        assert [
            line
            for line in wanted
            if not re.fullmatch(r"[a-z0-9._-]+(?:\[[a-z,]+\])?==[^\s;]+(?: ;.*| \\)?", line)
        ] == []

    def test_what_is_required_is_locked(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        locked = {line.partition("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
        wanted = {re.split(r"[<>=\[ ]", one)[0].lower().replace("_", "-") for one in project["dependencies"]}
        assert wanted - locked == set()
