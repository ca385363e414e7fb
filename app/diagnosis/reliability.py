"""Reliability: how far confidence can be believed, in figures and in points to plot."""

from collections.abc import Sequence
from itertools import pairwise

from app.foundation.record import Record

BINS = 15
_POINTS = 100


class Bin(Record):
    """The answers whose confidence lies from `low` up to `high`: their number, mean confidence and accuracy."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Risk(Record):
    """Of the `coverage` surest answers (0 to 1), the share that is wrong; the least sure has `confidence`."""

    coverage: float
    risk: float
    confidence: float


class Reliability(Record):
    """`ece` is the expected calibration error over 15 equal bins (Guo et al., ICML 2017)."""

    n: int
    accuracy: float
    ece: float
    coverage_at_2: float
    coverage_at_5: float
    bins: tuple[Bin, ...]
    curve: tuple[Risk, ...]


def reliability(confidences: Sequence[float], right: Sequence[bool]) -> Reliability | None:
    """The figures and both plots of some answers; None without any."""
    if not right:
        return None
    return Reliability(
        n=len(right),
        accuracy=round(sum(right) / len(right), 4),
        ece=round(calibration_error(confidences, right), 4),
        coverage_at_2=round(coverage(confidences, right, 0.02), 4),
        coverage_at_5=round(coverage(confidences, right, 0.05), 4),
        bins=tuple(
            Bin(
                low=round(place / BINS, 4),
                high=round((place + 1) / BINS, 4),
                n=len(rows),
                confidence=round(sum(c for c, _ in rows) / len(rows), 4),
                accuracy=round(sum(h for _, h in rows) / len(rows), 4),
            )
            for place, rows in sorted(_binned(confidences, right).items())
        ),
        curve=_curve(confidences, right),
    )


def _binned(confidences: Sequence[float], right: Sequence[bool]) -> dict[int, list[tuple[float, bool]]]:
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, hit in zip(confidences, right, strict=True):
        bins.setdefault(min(int(confidence * BINS), BINS - 1), []).append((confidence, hit))
    return bins


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Mean distance between confidence and accuracy over equal-width bins, weighted by their rows."""
    bins = _binned(confidences, right).values()
    return sum(abs(sum(c for c, _ in rows) - sum(h for _, h in rows)) for rows in bins) / len(right)


def _surest_first(confidences: Sequence[float], right: Sequence[bool]) -> list[tuple[int, int, float]]:
    """(count, wrong among them, lowest confidence), the surest first; ties stand or fall together."""
    order = sorted(range(len(right)), key=lambda place: -confidences[place])
    found, wrong = [], 0
    for count, (place, after) in enumerate(pairwise([*order, -1]), 1):
        wrong += not right[place]
        if after < 0 or confidences[after] != confidences[place]:
            found.append((count, wrong, confidences[place]))
    return found


def coverage(confidences: Sequence[float], right: Sequence[bool], risk: float) -> float:
    """The largest share, most confident first, with at most `risk` of it wrong."""
    counts = [count for count, wrong, _ in _surest_first(confidences, right) if wrong <= risk * count]
    return max(counts, default=0) / len(right)


def _curve(confidences: Sequence[float], right: Sequence[bool]) -> tuple[Risk, ...]:
    points = _surest_first(confidences, right)
    every = max(1, len(points) // _POINTS)
    chosen = [*points[every - 1 : -1 : every], points[-1]]
    return tuple(
        Risk(coverage=round(count / len(right), 4), risk=round(wrong / count, 4), confidence=round(low, 4))
        for count, wrong, low in chosen
    )
