"""Connections: how each kind of target is reached; one record a kind, told apart by `type`.

An entry of `targets.yaml` holds one. Secrets stand where a `SecretRef` says, or in `SecretStr`.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, SecretStr, model_validator

from app.foundation.record import Record
from app.systems.far_side import FarSideError


def _not_ours(name: str) -> str:
    if name.upper().startswith("MENDLINE_"):
        raise ValueError("Mendline's own settings are not for other systems")
    return name


Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_not_ours)]


class SecretRef(Record):
    """Where a secret stands: a file, or a variable of our environment that is no setting of ours."""

    file: Path | None = None
    env: Variable = ""

    @model_validator(mode="after")
    def _one_place(self) -> "SecretRef":
        if (self.file is None) == (not self.env):
            raise ValueError("give file or env, one of the two")
        return self

    def read(self) -> str:
        """The secret, as it is now. Raises FarSideError (again=False) when it is not there."""
        try:
            secret = os.environ.get(self.env, "") if self.file is None else self.file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            says = getattr(error, "strerror", None) or "it is not text"
            raise FarSideError(f"the secret in {self.file} cannot be read: {says}", again=False) from None
        if not secret:
            raise FarSideError(f"{self.file or self.env} holds no secret", again=False)
        return secret


class _WithToken(Record):
    """What may be shown a token when it is asked."""

    token: SecretRef | None = None
    token_file: Path | None = None

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("give token or token_file, one of the two")
        return self

    def bearer(self) -> str:
        """The token to show, empty where none is registered. Raises FarSideError when it is not there."""
        token = self.token or (SecretRef(file=self.token_file) if self.token_file else None)
        return "" if token is None else token.read()


class HttpJob(_WithToken):
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
    """A table and the key that its rows must not share. `url` may name where it stands; `url_file` is a file.

    columns  what its readers and writers count on; other columns may be there too.
    rerun    the job that fills it: run again when its columns were mended.
    """

    type: Literal["table"]
    url: SecretRef | SecretStr | None = None
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
        """The database's address. Raises FarSideError when what it stands in is not there."""
        if isinstance(self.url, SecretStr):
            return self.url.get_secret_value()
        return (self.url or SecretRef(file=self.url_file)).read()


_NAME = r"^[^'\"`]+$"  # MLflow's filters have no way to write these


class MlflowModel(_WithToken):
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
    timeout: float = Field(10, gt=0, le=60)


class Command(Record):
    """A program of this machine with its arguments, run without a shell.

    run          arguments may hold the placeholders that the field of the connection names.
    done         exit codes for "done", or "it is so" where that is asked; `denied` are those for "it is not so".
    later        exit codes for "nothing happened, and later it may".
    environment  names of variables that are passed on; else it gets PATH, HOME, LANG and TZ alone.
    timeout      seconds, then all of its processes are ended.
    """

    run: Annotated[tuple[str, ...], Field(min_length=1)]
    done: tuple[int, ...] = (0,)
    denied: tuple[int, ...] = (1,)
    later: tuple[int, ...] = (75,)
    environment: tuple[Variable, ...] = ()
    working_directory: Path | None = None
    timeout: float = Field(30, gt=0, le=300)

    @model_validator(mode="after")
    def _fixed_program(self) -> "Command":
        if "{" in self.run[0]:
            raise ValueError("the program itself takes no placeholder")
        return self

    @property
    def name(self) -> str:
        """What is told of it: the program's name, for its arguments may hold too much."""
        return Path(self.run[0]).name


def _list_is_command(value: Any) -> Any:
    return {"run": value} if isinstance(value, list | tuple) else value


def _takes(placeholders: str = "") -> AfterValidator:
    """Checks that a command takes each of these placeholders, and no other."""

    def check(command: Command) -> Command:
        found = set(re.findall(r"\{(\w*)\}", " ".join(command.run)))
        if missing := set(placeholders.split()) - found:
            raise ValueError(f"it must take {{{min(missing)}}}")
        if unknown := found - set(placeholders.split()):
            raise ValueError(f"nothing is known to put in the place of {{{min(unknown)}}}")
        return command

    return AfterValidator(check)


def _is_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    return pattern


_ListOrCommand = Annotated[Command, BeforeValidator(_list_is_command)]


class Credential(Record):
    """A credential in a secret store that commands look after: what it is never passes through here.

    issue    has a new version made under `{key}`, once per key, and put in force.
    current  prints the id of the version in force and nothing else; `versions` is what such ids look like.
    restore  puts `{version}` in force again; once more is no error.
    check    whether the credential in force works: yes or no.
    lookup   prints the id of the version that `{key}` made, or says no. Without it a changed version tells.
    rerun    the job that is run again with the new credential.
    """

    type: Literal["credential"]
    issue: Annotated[_ListOrCommand, _takes("key")]
    current: Annotated[_ListOrCommand, _takes()]
    restore: Annotated[_ListOrCommand, _takes("version")]
    check: Annotated[_ListOrCommand, _takes()]
    lookup: Annotated[_ListOrCommand, _takes("key")] | None = None
    versions: Annotated[str, AfterValidator(_is_pattern)] = r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}"
    rerun: HttpJob | None = None


class Grant(Record):
    """Rights that may be granted for a time, and the job that is run again meanwhile.

    rights  the only ones that may ever be granted here.
    grant   gives `{right}` until `{until}` (UTC, as 2026-11-20T12:00:00Z) and takes it back then by itself.
    revoke  takes `{right}` back. Both may be asked for twice, which is no error and changes nothing.
    check   whether `{right}` is in force: yes or no.
    """

    type: Literal["grant"]
    rights: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$")], ...],
        Field(min_length=1),
    ]
    grant: Annotated[_ListOrCommand, _takes("right until")]
    revoke: Annotated[_ListOrCommand, _takes("right")]
    check: Annotated[_ListOrCommand, _takes("right")]
    most_minutes: int = Field(60, ge=1, le=720)
    rerun: HttpJob


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


HttpsAddress = Annotated[str, AfterValidator(_encrypted)]
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

    api: HttpsAddress = "https://api.github.com"
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
    | Credential
    | Grant
    | ConfigFile
    | GitFile
    | GitRepository
    | GitDeployment
    | Releases,
    Field(discriminator="type"),
]
