"""Evaluate: how right a brain is on labelled rows, and how honest about it."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from pydantic import ConfigDict, Field, ValidationError

from app.diagnosis.diagnose import Diagnose
from app.diagnosis.diagnosis import UNKNOWN, Symptom
from app.diagnosis.reliability import calibration_error, coverage
from app.foundation.errors import Invalid, NotFound
from app.foundation.record import Record

_ABSTAIN_BELOW = 0.50


class Row(Record):
    """A labelled row; other columns are passed over. `group` keeps rows of one origin together."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(coerce_numbers_to_str=True)
    text: str
    label: str
    group: str = Field("", coerce_numbers_to_str=True)


class Prediction(Record):
    """`abstained`: unknown, or less sure than the lowest band acts on."""

    id: str
    label: str
    confidence: float
    abstained: bool


class OneClass(Record):
    n: int
    precision: float
    recall: float
    f1: float


class Report(Record):
    """`ece` is the expected calibration error over 15 equal bins (Guo et al., ICML 2017).

    `coverage_at_2` is the largest share of rows, most confident first, of which at most 2 % are
    wrong; `coverage_at_5` likewise. Macro-F1 is over the labels that occur in the rows.
    """

    n: int
    macro_f1: float
    accuracy: float
    per_class: dict[str, OneClass]
    ece: float
    coverage_at_2: float
    coverage_at_5: float
    abstained: int
    ms_per_item: float


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSON Lines file; raises NotFound, or Invalid with the line."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    rows: list[Row] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(Row.model_validate(orjson.loads(line)))
        except orjson.JSONDecodeError as error:
            raise Invalid(f"{path.name} is not JSON Lines", places=((f"line {number}", error.msg),)) from None
        except ValidationError as error:
            places = tuple(
                (f"line {number} {'.'.join(map(str, e['loc']))}", e["msg"]) for e in error.errors()
            )
            raise Invalid(f"{path.name} has no rows {{id, text, label}}", places=places) from None
    if not rows:
        raise Invalid(f"{path.name} is empty")
    return rows


def evaluate(brain: Diagnose, rows: Sequence[Row]) -> tuple[list[Prediction], float]:
    """A prediction for each row, and the seconds that all took."""
    began = time.perf_counter()
    made = []
    for row in rows:
        diagnosis = brain.diagnose(Symptom(message=row.text or " "))
        made.append(
            Prediction(
                id=row.id,
                label=diagnosis.type,
                confidence=diagnosis.confidence,
                abstained=diagnosis.type == UNKNOWN or diagnosis.confidence < _ABSTAIN_BELOW,
            )
        )
    return made, time.perf_counter() - began


def report(rows: Sequence[Row], made: Sequence[Prediction], seconds: float) -> Report:
    """The figures of one run."""
    right = [row.label == prediction.label for row, prediction in zip(rows, made, strict=True)]
    per_class = {name: _one_class(name, rows, made) for name in sorted({row.label for row in rows})}
    return Report(
        n=len(rows),
        macro_f1=round(sum(one.f1 for one in per_class.values()) / len(per_class), 4),
        accuracy=round(sum(right) / len(right), 4),
        per_class=per_class,
        ece=round(calibration_error([p.confidence for p in made], right), 4),
        coverage_at_2=round(coverage([p.confidence for p in made], right, 0.02), 4),
        coverage_at_5=round(coverage([p.confidence for p in made], right, 0.05), 4),
        abstained=sum(prediction.abstained for prediction in made),
        ms_per_item=round(seconds / len(rows) * 1000, 3),
    )


def _one_class(name: str, rows: Sequence[Row], made: Sequence[Prediction]) -> OneClass:
    hits = sum(row.label == name == p.label for row, p in zip(rows, made, strict=True))
    n, given = sum(row.label == name for row in rows), sum(p.label == name for p in made)
    precision, recall = hits / given if given else 0.0, hits / n if n else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return OneClass(n=n, precision=round(precision, 4), recall=round(recall, 4), f1=round(f1, 4))


def write_predictions(path: Path, made: Sequence[Prediction]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(p.model_dump()) + "\n" for p in made), encoding="utf-8")
