"""The case: a past incident, its type and what resolved it."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import StringConstraints, ValidationError

from app.foundation.errors import Invalid
from app.foundation.record import Record


class Origin(StrEnum):
    """SHIPPED with the product, or learned here: a verified OUTCOME, a person's CORRECTION."""

    SHIPPED = "shipped"
    OUTCOME = "outcome"
    CORRECTION = "correction"


class Case(Record):
    """`strategy` and `success` tell what was tried and whether it helped; empty and None for shipped cases."""

    id: str
    text: Annotated[str, StringConstraints(min_length=1)]
    type: str
    system: str = ""
    resolution: str = ""
    strategy: str = ""
    success: bool | None = None
    origin: Origin = Origin.SHIPPED
    incident_id: str = ""
    created_at: datetime | None = None


class _ShippedLine(Record):
    id: str
    text: Annotated[str, StringConstraints(min_length=1)]
    type: str
    system: str
    resolution: str = ""


def read_cases(folder: Path) -> Iterator[Case]:
    """The cases in `*.jsonl`, in the order of file names; raises Invalid naming file and line."""
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if not line.strip():
                continue
            try:
                entry = _ShippedLine.model_validate(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise Invalid("a case is not JSON", places=((f"{path.name}:{number}", error.msg),)) from None
            except ValidationError as error:
                places = tuple(
                    (f"{path.name}:{number} {'.'.join(map(str, e['loc']))}", e["msg"]) for e in error.errors()
                )
                raise Invalid("a case is not valid", places=places) from None
            yield Case(**entry.model_dump())
