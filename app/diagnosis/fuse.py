"""Fuse: one distribution over the types from all findings that contribute.

A logarithmic opinion pool: the probability of a type is proportional to the product of the
scorers' scores, each to the power of its weight. A scorer's veto counts, unlike in an
average. (Genest and Zidek, Statistical Science 1986.)
"""

import math
from collections.abc import Mapping, Sequence

from app.diagnosis.diagnosis import Finding

FLOOR = 0.01


def fuse(findings: Sequence[Finding], weights: Mapping[str, float], types: Sequence[str]) -> dict[str, float]:
    """Probabilities over `types` (sum 1). `weights` are by scorer name; without a finding, uniform."""
    logs = dict.fromkeys(types, 0.0)
    for finding in findings:
        weight = weights.get(finding.scorer, 0.0)
        if not finding.contributes or weight <= 0:
            continue
        # What a scorer withholds it spreads evenly: it says "some other type".
        rest = max(0.0, 1.0 - sum(finding.scores.get(type_, 0.0) for type_ in types)) / len(types)
        for type_ in types:
            logs[type_] += weight * math.log(max(finding.scores.get(type_, 0.0) + rest, FLOOR))
    top = max(logs.values())
    raised = {type_: math.exp(value - top) for type_, value in logs.items()}
    total = sum(raised.values())
    return {type_: value / total for type_, value in raised.items()}
