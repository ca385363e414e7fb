"""Targets: what may be acted on, how it is reached, and what is allowed there.

`targets.yaml` is a list; each entry names the target as events do and one connection:

    targets:
      - system: shop
        kind: job
        name: nightly-load
        environment: production
        owner: data
        connection: {type: http_job, run: "http://127.0.0.1:9000/jobs/nightly-load/runs"}
        allow: [retry_with_exponential_backoff]
        defaults: {retry_with_exponential_backoff: {tries: 3}}

The file is read again when it changes. A file that cannot be read keeps the version that
worked and says what is wrong (`mendline doctor`, `/readyz`). It belongs to people and is never written.

Targets that come by API or command are rows of the database (`register` in `remediation` checks them first).
Where both have a key, the file's holds.
"""

import threading
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from app.db.engine import Database
from app.foundation.errors import Invalid
from app.foundation.record import Record
from app.systems import store
from app.systems.connections import Connection


class RegisteredTarget(Record):
    """One entry of `targets.yaml`. `allow` empty means that nothing may act here alone or approved.

    `group` names what stands and falls together, a cluster or a fleet: only a share of it is under repair at
    once. Those without one are grouped by system and owner.
    `partners` gives playbooks names for other registered targets, as `{warehouse: shop/table/orders}`.
    """

    system: str
    kind: str = ""
    name: str
    environment: str = ""
    owner: str = ""
    group: str = ""
    connection: Connection
    allow: tuple[str, ...] = ()
    defaults: dict[str, dict[str, Any]] = {}
    partners: dict[str, str] = {}

    @property
    def key(self) -> str:
        """The identity, written as events' targets write theirs."""
        key = f"{self.system}/{self.kind}/{self.name}"
        return f"{key}@{self.environment}" if self.environment else key


class _File(Record):
    targets: tuple[RegisteredTarget, ...] = ()


_FILE: TypeAdapter[_File] = TypeAdapter(_File)


def places_of(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """Where a target is wrong and how, without what stands there: it may be a secret."""
    return tuple((".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_input=False))


def read_targets(path: Path) -> dict[str, RegisteredTarget]:
    """The entries by key; a missing file is an empty register. Raises Invalid with the places."""
    if not path.exists():
        return {}
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        entries = _FILE.validate_python(data).targets
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "(whole)"
        raise Invalid(
            f"{path.name} is not YAML", places=((place, str(getattr(error, "problem", error))),)
        ) from None
    except ValidationError as error:
        raise Invalid(f"{path.name} is not valid", places=places_of(error)) from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a date that is none, like 2026-13-01
        raise Invalid(f"{path.name} cannot be read", places=(("(whole)", str(error)),)) from None
    found: dict[str, RegisteredTarget] = {}
    for index, entry in enumerate(entries):
        if entry.key in found:
            raise Invalid(f"{path.name} names a target twice", places=((f"targets.{index}", entry.key),))
        found[entry.key] = entry
    return found


class Targets:
    """The register; at each question it looks at the file's change time and at the rows."""

    def __init__(self, path: Path, database: Database | None = None) -> None:
        """Without a database the file is all there is."""
        self.path = path
        self._database = database
        self._lock = threading.Lock()
        self._stamp: tuple[float, int] | None = None
        self._known: dict[str, RegisteredTarget] = {}
        self._file_problem: Invalid | None = None
        self._row_problem: Invalid | None = None

    @property
    def problem(self) -> Invalid | None:
        """What could not be read when the register was last looked at."""
        return self._file_problem or self._row_problem

    def find(self, key: str) -> RegisteredTarget | None:
        """The target with this key, None when nothing is registered under it."""
        return (self.of_file().get(key) or self.of_rows().get(key)) if key else None

    def all(self) -> dict[str, RegisteredTarget]:
        """Every registered target by key."""
        return {**self.of_rows(), **self.of_file()}

    def of_file(self) -> dict[str, RegisteredTarget]:
        """Those of the file, or of the last version of it that could be read."""
        with self._lock:
            stamp = self._stat()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._known = read_targets(self.path)
                    self._file_problem = None
                except Invalid as error:
                    self._file_problem = error
            return self._known

    def of_rows(self) -> dict[str, RegisteredTarget]:
        """Those that came by API or command. One that this version cannot read is left out and told of."""
        if self._database is None:
            return {}
        with self._database.reading() as session:
            bodies = store.bodies(session)
        found: dict[str, RegisteredTarget] = {}
        problem: Invalid | None = None
        for key, body in bodies.items():
            try:
                found[key] = RegisteredTarget.model_validate(body)
            except ValidationError as error:
                problem = Invalid(f"the target {key} is not valid any more", places=places_of(error))
        self._row_problem = problem
        return found

    def group(self, key: str) -> tuple[str, ...]:
        """The keys of all targets in the same group as this one, itself included; none when it is unknown."""
        known = self.all()
        if key not in known:
            return ()
        group = _group(known[key])
        return tuple(other for other, target in known.items() if _group(target) == group)

    def _stat(self) -> tuple[float, int] | None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_mtime, stat.st_size


def _group(target: RegisteredTarget) -> tuple[str, ...]:
    return (target.group,) if target.group else (target.system, target.owner)
