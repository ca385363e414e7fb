"""The directory: who people are and how they are reached, read from `people.yaml`.

    people:
      - name: ada                     # as the audit trail and pages show her; an API key of this name is hers
        role: approver                # viewer, operator, approver or admin
        email: ada@example.com        # as the identity provider knows her
        slack: U012AB3CD              # as Slack knows her
        also: [ada-lovelace]          # as authors of changes are named: a GitHub login, a Git author
    groups:
      - {group: sre, role: operator}  # of the identity provider, for people who are not named above
    channels:
      data-alerts: {type: slack, channel: C012AB3CD}
      pager: {type: pagerduty, key: {file: /etc/mendline/pagerduty.key}}
    routes:
      - owner: data                   # first that of the target, then that of the cited runbook
        to: [data-alerts]
        then: [{after: 15m, to: [pager]}]   # while a question waits unanswered
      - to: [data-alerts]             # without an owner: for all others

The file is read again when it changes. While it cannot be read, nobody comes in by it and messages go
the way that the last version said.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from app.foundation.errors import Invalid
from app.foundation.reading import Loc, Span, Watched, nearest, read_record
from app.foundation.record import Record
from app.people.channels import Connection
from app.people.person import Person, Role

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


def _listed(given: object) -> object:
    return given if isinstance(given, list | tuple) else (given,)


Names = Annotated[tuple[Name, ...], BeforeValidator(_listed)]


class Member(Record):
    """One person; `email`, `slack` and `also` are their names elsewhere."""

    name: Name
    role: Role
    email: str = ""
    slack: str = ""
    also: Names = ()

    @property
    def person(self) -> Person:
        """Who acts, wherever they came in."""
        return Person(key_id=f"people:{self.name}", name=self.name, role=self.role)

    @property
    def names(self) -> frozenset[str]:
        """Every name, in lower case."""
        return frozenset(n.casefold() for n in (self.name, self.email, self.slack, *self.also) if n)


class Group(Record):
    """Whoever the identity provider puts into `group` has the role."""

    group: Name
    role: Role


class Later(Record):
    """Who is told as well when a question has waited for `after`."""

    after: Span
    to: Annotated[Names, Field(min_length=1)]


class Route(Record):
    """Where messages about an owner's targets go; without `owner`, those of all others."""

    owner: Names = ()
    to: Annotated[Names, Field(min_length=1)]
    then: tuple[Later, ...] = ()


class Directory(Record):
    """The whole file; an empty one lets nobody in and sends nothing."""

    people: tuple[Member, ...] = ()
    groups: tuple[Group, ...] = ()
    channels: dict[Name, Connection] = {}
    routes: tuple[Route, ...] = ()

    def member(self, name: str) -> Member | None:
        """Who goes by this name anywhere, compared without regard to case."""
        wanted = name.casefold()
        return next((member for member in self.people if wanted and wanted in member.names), None)

    def same(self, one: str, other: str) -> bool:
        """Whether two names are one person's."""
        member = self.member(one)
        return one.casefold() == other.casefold() or (member is not None and other.casefold() in member.names)

    def role_of(self, groups: Iterable[str]) -> Role | None:
        """The strongest role that these groups of the identity provider give; None: none."""
        given = [entry.role for entry in self.groups if entry.group in set(groups)]
        return max(given, key=tuple(Role).index, default=None)

    def route(self, owners: Sequence[str]) -> Route | None:
        """The way to the first owner that has one, else the way of all others; None: there is none."""
        for owner in owners:
            for route in self.routes:
                if owner and any(fnmatchcase(owner.casefold(), name.casefold()) for name in route.owner):
                    return route
        return next((route for route in self.routes if not route.owner), None)


class DirectoryFile(Watched[Directory]):
    """The directory in a file; without the file it is empty."""

    def __init__(self, path: Path) -> None:
        super().__init__(lambda: [path], lambda: read_directory(path) if path.exists() else Directory())
        self.path = path
        self._last: Directory | None = None

    def last(self) -> Directory:
        """What it says, or said when it could last be read: a mistake in it must not silence a message."""
        with suppress(Invalid):
            self._last = self.read()
        return self._last or Directory()

    @property
    def is_lost(self) -> bool:
        """Whether it could never be read since the start, so that nobody knows whom to tell."""
        self.last()
        return self._last is None


def read_directory(path: Path) -> Directory:
    """Reads the file; raises OSError, or Invalid with all that is wrong, each with its line."""
    return read_record(path, Directory, _strangers)


def _strangers(directory: Directory) -> list[tuple[Loc, str]]:
    """People who share a name, and ways to channels that are not there."""
    found: list[tuple[Loc, str]] = []
    taken: dict[str, str] = {}
    for index, member in enumerate(directory.people):
        if member.role is Role.INGEST:
            found.append((("people", index, "role"), "ingest is for keys that send events, not for people"))
        for name in sorted(member.names):
            if name in taken:
                found.append((("people", index), f"{name!r} is a name of {taken[name]} too"))
            taken[name] = member.name
    for index, route in enumerate(directory.routes):
        for names, loc in (
            (route.to, ("routes", index, "to")),
            *((later.to, ("routes", index, "then", nth, "to")) for nth, later in enumerate(route.then)),
        ):
            found += [
                (loc, f"there is no channel {name!r}{nearest(name, directory.channels)}")
                for name in names
                if name not in directory.channels
            ]
    return found
