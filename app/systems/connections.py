"""Connections: how each kind of target is reached; one record a kind, told apart by `type`.

An entry of `targets.yaml` holds one. Secrets stand in files that a record names, or in `SecretStr`.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat, SecretStr, model_validator

from app.foundation.record import Record

_NAME = r"^[^'\"`]+$"  # MLflow's filters have no way to write these


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


class SqlColumn(Record):
    """What one column of a table must be, in types that SQLite and Postgres share.

    default  what rows have that leave it out, also those that are there already; a column that may not
             be empty needs one. Not for dates: what is right for all old rows is no date.
    """

    type: Literal["integer", "number", "decimal", "text", "boolean", "date", "datetime"]
    nullable: bool = True
    default: bool | int | FiniteFloat | str | None = None

    @model_validator(mode="after")
    def _rows_that_are_there_fit(self) -> "SqlColumn":
        if self.default is None:
            if not self.nullable:
                raise ValueError(
                    "a column that may not be empty needs a default, for the rows that are there"
                )
        elif type(self.default) not in _DEFAULTS.get(self.type, ()):
            raise ValueError(f"{self.default!r} is no default of a {self.type} column")
        return self


_DEFAULTS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "decimal": (int, float),
    "text": (str,),
    "boolean": (bool,),
}


class SqlTable(Record):
    """A table and the key that its rows must not share. `url` may name a file that holds it (`url_file`).

    columns  what its readers and writers count on; other columns may be there too.
    rerun    the job that fills it: run again when its columns were mended.
    """

    type: Literal["table"]
    url: SecretStr | None = None
    url_file: Path | None = None
    table: str
    key: Annotated[tuple[str, ...], Field(min_length=1)]
    order_by: str = ""
    columns: dict[Annotated[str, Field(min_length=1, max_length=63)], SqlColumn] = {}
    rerun: HttpJob | None = None

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


class MlflowModel(Record):
    """A model in an MLflow registry, where an alias says which version serves.

    url     of the registry, without its `/api`.
    good    the version tag, `key=value`, that marks a version as good.
    health  the incident's own signal, asked for with GET: 2xx while the model serves well. A JSON answer
            with a `status` must say ok, pass, up, healthy or warn there too.
    """

    type: Literal["mlflow_model"]
    url: str
    model: Annotated[str, Field(pattern=_NAME)]
    alias: Annotated[str, Field(pattern=_NAME)] = "champion"
    good: Annotated[str, Field(pattern=r"^[^'\"`=]+=[^'\"`=]+$")] = "validation_status=passed"
    health: str
    token_file: Path | None = None
    timeout: float = Field(10, gt=0, le=60)


def _settings_form(path: str) -> str:
    if not path.lower().endswith((".yaml", ".yml", ".json", ".toml")):
        raise ValueError("a file of settings ends in .yaml, .yml, .json or .toml")
    return path


def _inside(path: str) -> str:
    parts = path.split("/")
    if not path.isprintable() or set(parts) & {"", ".", ".."} or ".git" in map(str.lower, parts):
        raise ValueError("a path within the repository, with / between its parts and no . or .. in it")
    return path


def _remote(remote: str) -> str:
    if not re.fullmatch(r"https://[^@?#\s]+|ssh://(\w[\w.-]*@)?[A-Za-z0-9][^@?#\s]*|file:///[^?#]+", remote):
        raise ValueError(
            "an address like https://host/path, ssh://git@host/path or file:///path, no password in it"
        )
    return remote


def _reference(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_*](?:[A-Za-z0-9_*+@=/-]|\.(?!\.))*", name) or re.search(
        r"//|/\.|@$|\.$|/$|\.lock(/|$)", name
    ):
        raise ValueError("not a name that Git takes")
    return name


def _encrypted(address: str) -> str:
    if not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])(:|/|$)", address):
        raise ValueError("an https address: it is sent a token")
    return address.rstrip("/")


SettingsPath = Annotated[Path, AfterValidator(lambda path: Path(_settings_form(str(path))))]
RepositoryPath = Annotated[str, AfterValidator(_inside)]
Remote = Annotated[str, AfterValidator(_remote)]
Branch = Annotated[str, AfterValidator(_reference), Field(pattern=r"^[^*]+$")]
TagPattern = Annotated[str, AfterValidator(_reference), Field(pattern=r"^[^*]*\*[^*]*$")]


class GithubApp(Record):
    """A GitHub App that is installed on one repository, for its pull requests.

    app_id         the App's client id or number.
    key_file       its private key, PEM.
    checks         the check runs that must succeed on what is proposed. None: nothing has checked it.
    checks_within  seconds that these may take.
    """

    api: Annotated[str, AfterValidator(_encrypted)] = "https://api.github.com"
    repository: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
    app_id: int | str
    installation_id: int = Field(gt=0)
    key_file: Path
    checks: tuple[str, ...] = ()
    checks_within: float = Field(3600, gt=0, le=86_400)
    timeout: float = Field(20, gt=0, le=300)


class GitBranch(Record):
    """A branch of a remote repository.

    token_file  the password for https; without one, the GitHub App's token, where one is registered.
    timeout     seconds for one exchange with the remote.
    """

    remote: Remote
    branch: Branch
    token_file: Path | None = None
    timeout: float = Field(60, gt=0, le=600)
    github: GithubApp | None = None


class ConfigFile(Record):
    """A file of settings on this machine, of which only `keys` may be changed; `a.b.0` is a path in it.

    rerun  the job that reads it, run again after a change.
    """

    type: Literal["config_file"]
    path: SettingsPath
    keys: Annotated[tuple[str, ...], Field(min_length=1)]
    rerun: HttpJob | None = None


class GitFile(GitBranch):
    """A file of settings in Git, as `ConfigFile`. With `github` a change is proposed, else committed."""

    type: Literal["git_file"]
    path: Annotated[RepositoryPath, AfterValidator(_settings_form)]
    keys: Annotated[tuple[str, ...], Field(min_length=1)]
    rerun: HttpJob | None = None


class GitRepository(GitBranch):
    """A repository to which changes of `files` may be proposed."""

    type: Literal["git_repository"]
    files: Annotated[tuple[RepositoryPath, ...], Field(min_length=1)]
    github: GithubApp


class GitDeployment(GitBranch):
    """A branch whose head is what is deployed.

    good    the tags that mark good revisions, as `good/*`.
    health  answers 2xx when the deployment is well.
    within  seconds that a rollout may take.    settle  seconds for which health must then hold.
    """

    type: Literal["git_deployment"]
    good: TagPattern = "good/*"
    health: str
    within: float = Field(600, gt=0, le=86_400)
    settle: float = Field(60, ge=0, le=86_400)


class Releases(Record):
    """A folder of releases, of which a symbolic link names the current one; the rest as `GitDeployment`.

    current  the link.    good  the file within a release that marks it as good; the newest mark counts.
    """

    type: Literal["releases"]
    folder: Path
    current: Path
    good: str = Field("GOOD", pattern=r"^[\w.-]+$")
    health: str
    within: float = Field(300, gt=0, le=86_400)
    settle: float = Field(30, ge=0, le=86_400)


Connection = Annotated[
    HttpJob
    | SupervisedProcess
    | DataFile
    | SqlTable
    | MlflowModel
    | ConfigFile
    | GitFile
    | GitRepository
    | GitDeployment
    | Releases,
    Field(discriminator="type"),
]
