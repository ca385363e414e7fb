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
worked and says what is wrong (`mendline doctor`, `/readyz`).
"""

import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, SecretStr, TypeAdapter, ValidationError, model_validator

from app.foundation.errors import Invalid
from app.foundation.record import Record


class HttpJob(Record):
    """A job that is run again by a request.

    run         POSTed to, with `Idempotency-Key`; 2xx is accepted. `{run_id}` stands for the failed run.
    status      asked afterwards: 2xx with JSON `{"status": "succeeded|failed|running"}`; the
                placeholders `{run}` (the `id` that `run` answered with) and `{run_id}` are filled in.
                Empty: the answer of `run` itself is the result.
    lookup      asked with `?key=`: 200 with the run that this key started, 404 when there is none.
    idempotent  the far side promises to act once per key, so asking twice is safe.
    """

    type: Literal["http_job"]
    run: str
    method: Literal["POST", "PUT", "GET"] = "POST"
    status: str = ""
    lookup: str = ""
    idempotent: bool = True
    token_file: Path | None = None
    timeout: float = Field(10, gt=0, le=300)


class SupervisedProcess(Record):
    """A process that is checked over HTTP and restarted by a command.

    reload   signal name or HTTP address that makes it read its configuration again; optional.
    start    the command (a list, never a shell string) that starts it in the background.
    pid_file where it writes its process id.
    """

    type: Literal["process"]
    health: str
    start: Annotated[tuple[str, ...], Field(min_length=1)]
    pid_file: Path
    working_directory: Path | None = None
    clear_cache: str = ""
    reload: str = ""
    log_file: Path | None = None
    stop_timeout: float = Field(10, gt=0, le=120)
    timeout: float = Field(5, gt=0, le=60)


class Column(Record):
    """What one column of a file must be; `type` in pandas' words."""

    type: Literal["integer", "number", "text", "boolean", "datetime"]
    required: bool = True
    minimum: float | None = None
    maximum: float | None = None
    unique: bool = False


class DataFile(Record):
    """A CSV or Parquet file and the schema that it must meet."""

    type: Literal["file"]
    path: Path
    format: Literal["csv", "parquet"] = "csv"
    columns: dict[str, Column] = {}
    max_bytes: int = Field(1_000_000_000, gt=0)


class SqlTable(Record):
    """A table and the key that its rows must not share. `url` may name a file that holds it (`url_file`)."""

    type: Literal["table"]
    url: SecretStr | None = None
    url_file: Path | None = None
    table: str
    key: Annotated[tuple[str, ...], Field(min_length=1)]
    order_by: str = ""

    @model_validator(mode="after")
    def _one_address(self) -> "SqlTable":
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give url or url_file, one of the two")
        return self

    def address(self) -> str:
        """The database's address; reads `url_file` where that is given."""
        if self.url is not None:
            return self.url.get_secret_value()
        assert self.url_file is not None
        return self.url_file.read_text().strip()


Connection = Annotated[HttpJob | SupervisedProcess | DataFile | SqlTable, Field(discriminator="type")]


class RegisteredTarget(Record):
    """One entry of `targets.yaml`. `allow` empty means that nothing may act here alone or approved."""

    system: str
    kind: str = ""
    name: str
    environment: str = ""
    owner: str = ""
    connection: Connection
    allow: tuple[str, ...] = ()
    defaults: dict[str, dict[str, Any]] = {}

    @property
    def key(self) -> str:
        """The identity, written as events' targets write theirs."""
        key = f"{self.system}/{self.kind}/{self.name}"
        return f"{key}@{self.environment}" if self.environment else key


class _File(Record):
    targets: tuple[RegisteredTarget, ...] = ()


_FILE: TypeAdapter[_File] = TypeAdapter(_File)


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
        places = tuple((".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_input=False))
        raise Invalid(f"{path.name} is not valid", places=places) from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a date that is none, like 2026-13-01
        raise Invalid(f"{path.name} cannot be read", places=(("(whole)", str(error)),)) from None
    found: dict[str, RegisteredTarget] = {}
    for index, entry in enumerate(entries):
        if entry.key in found:
            raise Invalid(f"{path.name} names a target twice", places=((f"targets.{index}", entry.key),))
        found[entry.key] = entry
    return found


class Targets:
    """The register; looks at the file's change time at each question."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._stamp: tuple[float, int] | None = None
        self._known: dict[str, RegisteredTarget] = {}
        self.problem: Invalid | None = None

    def find(self, key: str) -> RegisteredTarget | None:
        """The target with this key, None when nothing is registered under it."""
        return self.all().get(key) if key else None

    def all(self) -> dict[str, RegisteredTarget]:
        """Every registered target by key."""
        with self._lock:
            stamp = self._stat()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._known = read_targets(self.path)
                    self.problem = None
                except Invalid as error:
                    self.problem = error
            return self._known

    def _stat(self) -> tuple[float, int] | None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_mtime, stat.st_size
