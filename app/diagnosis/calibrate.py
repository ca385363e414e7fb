"""Calibrate: the fused score of the best type becomes the probability that it is right.

Platt scaling with features beside the score (Platt, 1999): how many scorers agree and how
near the nearest case is, because a high score far from everything known is worth less.
Fitted on folds that hold whole systems out, never on rows that were trained on.
"""

import math
from collections.abc import Mapping, Sequence

from pydantic import Field

from app.diagnosis.diagnosis import Finding
from app.foundation.record import Record


class Calibration(Record):
    """Weights of a logistic function over (1, logit of the score, agreement, nearness)."""

    intercept: float = 0.0
    slope: float = 1.0
    agreement: float = 0.0
    nearness: float = 0.0
    rows: int = Field(0, ge=0)


def features(fused: Mapping[str, float], findings: Sequence[Finding]) -> tuple[float, float, float]:
    """(logit of the best score, share of contributing scorers that agree, nearness 0 to 1)."""
    best = max(fused, key=lambda type_: fused[type_])
    p = min(max(fused[best], 1e-4), 1 - 1e-4)
    voices = [finding for finding in findings if finding.contributes and finding.scores]
    agree = sum(max(f.scores, key=lambda type_: f.scores[type_]) == best for f in voices)
    nearness = max(
        (item.weight for f in findings if f.scorer.startswith("nearest_cases") for item in f.evidence),
        default=0.0,
    )
    return math.log(p / (1 - p)), agree / len(voices) if voices else 0.0, max(0.0, nearness)


def calibrate(calibration: Calibration, fused: Mapping[str, float], findings: Sequence[Finding]) -> float:
    """The probability that the best type of `fused` is right."""
    logit, agreement, nearness = features(fused, findings)
    z = (
        calibration.intercept
        + calibration.slope * logit
        + calibration.agreement * agreement
        + calibration.nearness * nearness
    )
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, z))))
