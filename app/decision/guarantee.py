"""Guarantee: what the outcomes prove about letting a strategy act alone.

An outcome is one draw: it helped, or it was a wrong action. From `wrong` in `outcomes` the one-sided
Clopper-Pearson bound says what share of wrong actions cannot be exceeded, at the given level of
confidence, without any assumption on how confidence was made. (Clopper and Pearson, Biometrika 1934.)

Among thresholds the strictest is tested first and the search stops at the first that fails, so that
looking at many thresholds does not spoil the level. (Fixed-sequence testing: Angelopoulos et al.,
"Learn then Test", 2021.)
"""

from collections.abc import Sequence
from functools import lru_cache

from pydantic import Field

from app.foundation.record import Record

_STEP = 0.05
_ENOUGH = 1_000_000


class Judged(Record):
    """Repairs that were carried through: how sure their diagnosis was, whether they helped, and how many."""

    confidence: float = Field(ge=0, le=1)
    right: bool
    times: int = Field(1, ge=1)


class Guarantee(Record):
    """The bound of one strategy at the threshold from which it may act.

    `bound`         the share of wrong actions that is not exceeded at `level`; 1 without outcomes.
    `clean_needed`  how many more outcomes without a wrong one bring the bound under `promise`.
    `lowest`        the lowest threshold at which the bound would hold; None when it holds at none.
    """

    promise: float
    level: float
    threshold: float
    outcomes: int
    wrong: int
    bound: float
    clean_needed: int
    lowest: float | None

    @property
    def holds(self) -> bool:
        """Whether the promise is proven."""
        return self.bound <= self.promise

    @property
    def says(self) -> str:
        """One sentence for a page or a message."""
        if self.holds:
            return f"at most {self.bound:.1%} of its actions are wrong, at {self.level:.0%} confidence"
        if self.clean_needed > _ENOUGH:
            return f"{self.wrong} of {self.outcomes} were wrong: no number of clean outcomes lets it run alone soon"
        more = "outcome" if self.clean_needed == 1 else "outcomes"
        proven = f"at most {self.promise:.0%} wrong is then proven"
        return f"{self.clean_needed} more clean {more} until it may run alone ({proven})"


@lru_cache(maxsize=10_000)
def upper_bound(wrong: int, outcomes: int, level: float) -> float:
    """The largest share of wrong ones that `wrong` of `outcomes` does not contradict at `level` (0 to 1)."""
    from scipy.special import betaincinv

    if wrong >= outcomes:
        return 1.0
    return float(betaincinv(wrong + 1, outcomes - wrong, level))


def clean_needed(wrong: int, outcomes: int, promise: float, level: float) -> int:
    """How many more outcomes without a wrong one until the bound is at most `promise`."""
    if upper_bound(wrong, outcomes, level) <= promise:
        return 0
    most = 1
    while upper_bound(wrong, outcomes + most, level) > promise:
        most *= 2
        if most > 2 * _ENOUGH:
            return most
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        if upper_bound(wrong, outcomes + middle, level) > promise:
            least = middle
        else:
            most = middle
    return most


def lowest_threshold(judged: Sequence[Judged], promise: float, level: float) -> float | None:
    """The lowest confidence, in steps of 0.05, from which the bound holds; None when it holds nowhere."""
    found = None
    for step in range(round(1 / _STEP) - 1, -1, -1):
        threshold = round(step * _STEP, 2)
        wrong, outcomes = _counted(judged, threshold)
        if upper_bound(0, outcomes, level) > promise:
            continue  # too few to prove anything however they ended, so this one is not tested
        if upper_bound(wrong, outcomes, level) > promise:
            break
        found = threshold
    return found


def _counted(judged: Sequence[Judged], threshold: float) -> tuple[int, int]:
    """Of those from `threshold` up, how many were wrong, and how many there are."""
    chosen = [one for one in judged if one.confidence >= threshold]
    return sum(one.times for one in chosen if not one.right), sum(one.times for one in chosen)


def guarantee(judged: Sequence[Judged], threshold: float, promise: float, level: float) -> Guarantee:
    """What `judged`, the outcomes of one strategy, prove of acting from `threshold` up."""
    wrong, outcomes = _counted(judged, threshold)
    return Guarantee(
        promise=promise,
        level=level,
        threshold=threshold,
        outcomes=outcomes,
        wrong=wrong,
        bound=round(upper_bound(wrong, outcomes, level), 4),
        clean_needed=clean_needed(wrong, outcomes, promise, level),
        lowest=lowest_threshold(judged, promise, level),
    )
