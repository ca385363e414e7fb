"""The taxonomy: the types that a diagnosis may name, and the strategies that serve them."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError, model_validator

from app.foundation.errors import Invalid
from app.foundation.record import Record


class TypeEntry(Record):
    """`when` says in a sentence when this type is right; `read_from_text` is False for monitors' types."""

    when: str
    read_from_text: bool = True


class StrategyEntry(Record):
    """What a strategy serves ("*": everything) and the success rate that it starts from."""

    serves: tuple[str, ...]
    prior: Annotated[float, Field(ge=0, le=1)] = 0.5
    risk: str
    undo: str


class Taxonomy(Record):
    version: int
    prior_weight: Annotated[float, Field(gt=0)] = 4
    types: dict[str, TypeEntry]
    strategies: dict[str, StrategyEntry]

    @model_validator(mode="after")
    def _known_types(self) -> "Taxonomy":
        for name, entry in self.strategies.items():
            unknown = set(entry.serves) - set(self.types) - {"*"}
            if unknown:
                raise ValueError(f"strategies.{name}.serves names no type: {', '.join(sorted(unknown))}")
        return self

    @property
    def text_types(self) -> tuple[str, ...]:
        """The types that can be read from a message, in the file's order."""
        return tuple(name for name, entry in self.types.items() if entry.read_from_text)

    def serving(self, type_: str) -> list[str]:
        """The strategies for a type, those that name it before those that serve everything."""
        named = [name for name, entry in self.strategies.items() if type_ in entry.serves]
        return named + [name for name, entry in self.strategies.items() if "*" in entry.serves]


def read_taxonomy(path: Path) -> Taxonomy:
    """Reads `taxonomy.yaml`; raises Invalid with the place."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path.name} cannot be read", places=((str(path), str(error)),)) from None
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, like 2026-13-01
        raise Invalid(
            f"{path.name} is not YAML", places=(("(whole)", str(error).split("\n", 1)[0]),)
        ) from None
    try:
        return Taxonomy.model_validate(data)
    except ValidationError as error:
        places = tuple((".".join(map(str, e["loc"])) or "(whole)", e["msg"]) for e in error.errors())
        raise Invalid(f"{path.name} is not valid", places=places) from None
