"""Weigh: what each voice counts here: its fitted weight, moved by its record at this site.

Our cases are not the site's: a voice that is mostly right elsewhere need not be so here. Of the
diagnoses that were judged here it is known which voices had named the right type. The best weight
of a voice that is right with probability p, of T types, grows with log(p (T - 1) / (1 - p))
(Nitzan and Paroush, 1982), so a fitted weight is multiplied by that term here over that elsewhere.

Then all weights are scaled back to their sum: people correct what is wrong more than they praise
what is right, so their judgement tells the voices apart, not how good they all are.
"""

import math
from collections.abc import Mapping

from pydantic import Field

from app.foundation.record import Record

# Judged diagnoses that the accuracy elsewhere is worth: with fewer, the record here counts less than that.
PRIOR = 20.0
_MOST = 3.0


class Heard(Record):
    """In how many of `judged` diagnoses of this site a voice named the right type."""

    right: int = Field(ge=0)
    judged: int = Field(ge=0)


class Voice(Record):
    """With what `weight` a scorer counted, what it `usually` weighs, and its record here."""

    scorer: str
    weight: float
    usually: float
    right: int = 0
    judged: int = 0

    @property
    def says(self) -> str:
        """One sentence for people; empty while nothing was judged here."""
        if not self.judged:
            return ""
        record = f"right in {self.right} of {self.judged} judged here"
        return f"counts {self.weight:.2f}, usually {self.usually:.2f}: {record}"


def weigh(
    usual: Mapping[str, float], accuracy: Mapping[str, float], heard: Mapping[str, Heard], types: int
) -> tuple[Voice, ...]:
    """The voices with their weights here.

    `usual` are the fitted weights and `accuracy` the shares of right answers elsewhere, by scorer; a scorer
    without an accuracy keeps its weight. `types` is how many types there are.
    """
    moved = {
        scorer: weight * _factor(accuracy.get(scorer), heard.get(scorer), types)
        for scorer, weight in usual.items()
    }
    total = sum(moved.values())
    scale = sum(usual.values()) / total if total else 1.0
    nothing = Heard(right=0, judged=0)
    return tuple(
        Voice(
            scorer=scorer,
            weight=round(moved[scorer] * scale, 4),
            usually=round(weight, 4),
            **(heard.get(scorer) or nothing).model_dump(),
        )
        for scorer, weight in usual.items()
    )


def _factor(elsewhere: float | None, heard: Heard | None, types: int) -> float:
    if elsewhere is None or heard is None or not heard.judged:
        return 1.0
    here = (elsewhere * PRIOR + heard.right) / (PRIOR + heard.judged)
    return min(_MOST, _worth(here, types) / _worth(elsewhere, types))


def _worth(p: float, types: int) -> float:
    """Never quite nothing: a voice that is always wrong is silenced, not believed the other way round."""
    p = min(max(p, 0.02), 0.98)
    return max(0.01, math.log(p * max(types - 1, 1) / (1 - p)))
