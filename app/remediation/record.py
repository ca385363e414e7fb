"""The track record of each strategy, as people read it: "14 of 17, between 0.57 and 0.96"."""

from collections.abc import Iterable

from sqlmodel import Session

from app.decision import store as decisions
from app.decision.guarantee import Guarantee, guarantee, upper_bound
from app.decision.mode import Mode, told
from app.decision.plan import Risk
from app.decision.settings import DecisionSettings
from app.diagnosis.choose import TrackRecord, posterior
from app.foundation.record import Record
from app.knowledge.playbook import PLAYBOOK
from app.knowledge.taxonomy import StrategyEntry, Taxonomy
from app.remediation.shadow import judged
from app.remediation.store import records

_ORDER = tuple(Risk)


class StrategyRecord(Record):
    """`low` and `high` bound the success rate with 95 % confidence; None without any trial.

    `success` is the posterior mean that strategy choice uses. `registered` says whether it can
    run here. `guarantee` is what the outcomes and the scored shadow decisions prove about its acting
    alone; `mode` says where it is live and where in shadow; `asks` whether its risk always asks.
    """

    strategy: str
    serves: tuple[str, ...]
    risk: str
    undo: str
    registered: bool
    prior: float
    successes: int
    trials: int
    success: float
    low: float | None
    high: float | None
    mode: str
    asks: bool
    guarantee: Guarantee

    @property
    def keeps(self) -> tuple[str, ...]:
        """What keeps it from running alone, a sentence each; empty when nothing does, and for telling a person."""
        if not self.registered:
            return ("it is not registered here",)
        if self.risk == Risk.NONE:
            return ()
        found = [self.mode if Mode.SHADOW in self.mode else ""]
        found.append(f"plans of {self.risk} risk always ask" if self.asks else "")
        found.append("" if self.guarantee.holds else self.guarantee.says)
        return tuple(filter(None, found))


def interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact binomial interval (Clopper and Pearson, 1934), two-sided."""
    level = 1 - (1 - confidence) / 2
    return 1 - upper_bound(trials - successes, trials, level), upper_bound(successes, trials, level)


def standing(session: Session, taxonomy: Taxonomy, strategy: str, settings: DecisionSettings) -> Guarantee:
    """What the outcomes and the scored shadow decisions prove about this strategy's acting alone."""
    seen = judged(session, taxonomy, strategy).get(strategy, [])
    return guarantee(seen, settings.act_at, settings.promise, settings.promise_level)


def strategy_records(
    session: Session, taxonomy: Taxonomy, registered: Iterable[str], settings: DecisionSettings
) -> list[StrategyRecord]:
    """Every strategy of the taxonomy with its record and its guarantee, in the taxonomy's order.

    After them the playbooks that ran; their risk and undo are those of each plan.
    """
    known, seen, here = records(session), judged(session, taxonomy), set(registered)
    modes = decisions.modes(session)
    ran = sorted(name for name in known if name.startswith(f"{PLAYBOOK}:"))
    played = {name: StrategyEntry(serves=(), risk="as planned", undo="as planned") for name in ran}
    found = []
    for name, entry in {**taxonomy.strategies, **played}.items():
        record = known.get(name, TrackRecord())
        low, high = interval(record.successes, record.trials) if record.trials else (None, None)
        found.append(
            StrategyRecord(
                strategy=name,
                serves=entry.serves,
                risk=entry.risk,
                undo=entry.undo,
                registered=name in here or name in played,
                prior=entry.prior,
                successes=record.successes,
                trials=record.trials,
                success=round(posterior(taxonomy, entry.prior, record), 4),
                low=None if low is None else round(low, 4),
                high=None if high is None else round(high, 4),
                asks=entry.risk in _ORDER
                and _ORDER.index(Risk(entry.risk)) >= _ORDER.index(settings.ask_from_risk),
                mode=told(modes, name, entry.risk, settings.shadow_from_risk),
                guarantee=guarantee(
                    seen.get(name, []), settings.act_at, settings.promise, settings.promise_level
                ),
            )
        )
    return found
