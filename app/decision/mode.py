"""Mode: whether what was decided is also done. Set by people per strategy, type and environment."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from app.decision.plan import Plan, Risk
from app.decision.policy import counted_risk
from app.foundation.errors import Invalid
from app.foundation.record import Record
from app.knowledge.taxonomy import Taxonomy

_ORDER = tuple(Risk)


class Mode(StrEnum):
    """DEFAULT takes a setting back."""

    LIVE = "live"
    SHADOW = "shadow"
    DEFAULT = "default"


class ModeSetting(Record):
    """What a person set, for whatever fits; an empty strategy, type or environment fits any."""

    strategy: str = ""
    type: str = ""
    environment: str = ""
    mode: Mode
    actor: str
    reason: str
    at: datetime

    @property
    def where(self) -> str:
        """`for network_timeout in production`; empty when it speaks of every type and environment."""
        parts = ("for", self.type), ("in", self.environment)
        return " ".join(f"{word} {name}" for word, name in parts if name)

    @property
    def says(self) -> str:
        """`in shadow by ada: trial week`."""
        why = f": {self.reason}" if self.reason else ""
        return f"{'in shadow' if self.mode is Mode.SHADOW else self.mode} by {self.actor}{why}"

    def fits(self, strategy: str, type_: str, environment: str) -> bool:
        """Whether it speaks of such a decision; case does not matter in environments."""
        return (
            self.strategy in ("", strategy)
            and self.type in ("", type_)
            and self.environment.casefold() in ("", environment.casefold())
        )

    @property
    def _rank(self) -> tuple[int, bool]:
        named = sum(map(bool, (self.strategy, self.type, self.environment)))
        return named, self.mode is Mode.SHADOW


def shadowed(
    settings: Iterable[ModeSetting], plan: Plan, type_: str, environment: str, from_risk: Risk | None
) -> str:
    """Why this plan runs in shadow, in words; empty when it is live.

    Of the settings that fit, the one that names most counts, and shadow among those that name as
    much. Without any, plans of `from_risk` and higher run in shadow.
    """
    fitting = [one for one in settings if one.fits(plan.strategy, type_, environment)]
    if fitting:
        chosen = max(fitting, key=lambda one: one._rank)
        return chosen.says if chosen.mode is Mode.SHADOW else ""
    risk = counted_risk(plan)
    if from_risk is not None and _ORDER.index(risk) >= _ORDER.index(from_risk):
        return f"in shadow because plans of {risk} risk start so here"
    return ""


def told(settings: Iterable[ModeSetting], strategy: str, risk: str, from_risk: Risk | None) -> str:
    """The modes of one strategy of that risk in a few words: `live, shadow in production`."""
    of_it = sorted((s for s in settings if s.strategy in ("", strategy)), key=lambda one: one._rank)
    starts = from_risk is not None and _ORDER.index(Risk(risk)) >= _ORDER.index(from_risk)
    whole = Mode.SHADOW if starts else Mode.LIVE
    parts: dict[str, Mode] = {}
    for one in of_it:
        if one.where:
            parts[one.where] = one.mode
        else:
            whole = one.mode
    return ", ".join([whole.value, *(f"{mode} {where}" for where, mode in parts.items())])


def check_names(taxonomy: Taxonomy, strategy: str, type_: str) -> None:
    """Raises Invalid when a setting names a strategy or a type that does not exist."""
    known = (("strategy", strategy, taxonomy.strategies), ("type", type_, taxonomy.types))
    wrong = [
        (key, f"there is no {key} {name!r}; one of {', '.join(names)}")
        for key, name, names in known
        if name and name not in names
    ]
    if wrong:
        raise Invalid("the mode cannot be set", places=wrong)
