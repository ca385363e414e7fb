"""Settings: one small model per room, read from `MENDLINE_ROOM__FIELD`.

`MENDLINE_ROOM__FIELD_FILE` names a file that holds the value (a mounted secret). A variable
that names no setting is an error, because a misspelt limit is a limit that is not there.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, ValidationError

from app.decision.settings import DecisionSettings
from app.foundation.errors import Invalid
from app.foundation.record import Record
from app.intake.settings import IntakeSettings
from app.knowledge.settings import KnowledgeSettings
from app.llm.settings import LlmSettings
from app.people.settings import PeopleSettings
from app.pipeline.settings import PipelineSettings
from app.remediation.settings import RemediationSettings
from app.systems.settings import SystemsSettings
from app.web.settings import WebSettings

PREFIX = "MENDLINE_"


class DbSettings(Record):
    """`url`: `postgresql+psycopg://…`; empty is SQLite in the data folder."""

    url: SecretStr = SecretStr("")


class LogSettings(Record):
    json_lines: bool = True
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"


class PluginSettings(Record):
    """`allow`: the names under which installed packages may bring strategies, gates and scorers."""

    allow: tuple[str, ...] = ()


class Setting(Record):
    """One variable, as it may be shown; `changed`: it is not the default."""

    name: str
    value: str
    changed: bool


class Settings(Record):
    """All of it. `data_dir` holds everything that this installation writes."""

    data_dir: Path = Path("data")
    db: DbSettings = DbSettings()
    log: LogSettings = LogSettings()
    web: WebSettings = WebSettings()
    intake: IntakeSettings = IntakeSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    systems: SystemsSettings = SystemsSettings()
    decision: DecisionSettings = DecisionSettings()
    remediation: RemediationSettings = RemediationSettings()
    llm: LlmSettings = LlmSettings()
    people: PeopleSettings = PeopleSettings()
    pipeline: PipelineSettings = PipelineSettings()
    plugins: PluginSettings = PluginSettings()


def names() -> dict[str, str]:
    """Every variable with its default, for the README and its test."""
    found: dict[str, str] = {}
    for room, field in Settings.model_fields.items():
        if isinstance(field.default, BaseModel):
            for name, value in field.default:
                shown = value.get_secret_value() if isinstance(value, SecretStr) else value
                found[f"{PREFIX}{room}__{name}".upper()] = "" if shown is None else str(shown)
        else:
            found[f"{PREFIX}{room}".upper()] = str(field.default)
    return found


def in_force(settings: Settings) -> list[Setting]:
    """Every setting as it counts now. Of a secret only that it is set; of an address only its host."""
    defaults = names()
    found: list[Setting] = []
    for room, value in settings:
        fields = value if isinstance(value, BaseModel) else [("", value)]
        for name, given in fields:
            variable = f"{PREFIX}{room}__{name}".upper() if name else f"{PREFIX}{room}".upper()
            default = getattr(Settings.model_fields[room].default, name) if name else Path(defaults[variable])
            found.append(Setting(name=variable, value=_told(given), changed=given != default))
    return found


def _told(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return ", ".join(_told(one) for one in value)
    parts = urlsplit(text := "" if value is None else str(value))
    # The rest of an address may be a token: webhooks have them in their path.
    return f"{parts.scheme}://{parts.hostname or ''}/…" if "://" in text else text


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force; raises Invalid naming each variable that is wrong."""
    known = names()
    values: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for variable, text in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable
        if name not in known and name.endswith("_FILE") and name.removesuffix("_FILE") in known:
            name = name.removesuffix("_FILE")
            if name in environment:
                wrong.append((variable, f"{name} is set as well"))
                continue
            try:
                text = Path(text).read_text(encoding="utf-8").strip()
            except OSError as error:
                wrong.append((variable, f"cannot be read: {error.strerror}"))
                continue
            except UnicodeDecodeError as error:
                wrong.append((variable, f"cannot be read: {error.reason}"))
                continue
        if name not in known:
            wrong.append((variable, "there is no such setting"))
            continue
        room, _, field = name.removeprefix(PREFIX).lower().partition("__")
        if not field:
            values[room] = text
            continue
        # Lists are given with commas: an address holds none.
        default = getattr(Settings.model_fields[room].default, field)
        value: Any = (
            [part.strip() for part in text.split(",") if part.strip()] if isinstance(default, tuple) else text
        )
        values.setdefault(room, {})[field] = value
    if wrong:
        raise Invalid("the settings are not valid", places=wrong)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        places = [
            (PREFIX + "__".join(str(part) for part in e["loc"][:2]).upper(), e["msg"])
            for e in error.errors(include_input=False)
        ]
        raise Invalid("the settings are not valid", places=places) from None
