"""The gates, in the order in which reasons are told. All run; the strictest wins, whatever its place."""

from datetime import timedelta

from app.decision.decision import Gate
from app.decision.gates.bands import Bands
from app.decision.gates.cap import Cap
from app.decision.gates.cooldown import Cooldown
from app.decision.gates.pause import Pause
from app.decision.gates.policy import Policy
from app.decision.gates.risk import Risk
from app.decision.policy import PolicySource
from app.decision.settings import DecisionSettings


def default_gates(policy: PolicySource, settings: DecisionSettings) -> tuple[Gate, ...]:
    """Every gate there is, as the site set it: what people said first, then the case, then the limits."""
    return (
        Pause(Pause.Params()),
        Policy(Policy.Params(), policy),
        Bands(Bands.Params(act=settings.act_at, ask=settings.ask_at)),
        Risk(Risk.Params(ask_from=settings.ask_from_risk)),
        Cooldown(
            Cooldown.Params(window=timedelta(minutes=settings.cooldown_minutes), most=settings.cooldown_most)
        ),
        Cap(Cap.Params(per_strategy=settings.cap_per_strategy, per_site=settings.cap_per_site)),
    )
