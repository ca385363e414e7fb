"""The gates, in the order in which reasons are told. All run; the strictest wins, whatever its place."""

from datetime import timedelta

from app.decision.decision import Gate
from app.decision.freeze import FreezeSource
from app.decision.gates.bands import Bands
from app.decision.gates.blast_radius import BlastRadius
from app.decision.gates.breaker import Breaker
from app.decision.gates.cap import Cap
from app.decision.gates.cooldown import Cooldown
from app.decision.gates.freeze import Freeze
from app.decision.gates.guarantee import Guarantee
from app.decision.gates.pause import Pause
from app.decision.gates.policy import Policy
from app.decision.gates.repeated import Repeated
from app.decision.gates.risk import Risk
from app.decision.gates.runbook import Runbook
from app.decision.policy import PolicySource
from app.decision.settings import DecisionSettings


def default_gates(
    policy: PolicySource, settings: DecisionSettings, freezes: FreezeSource
) -> tuple[Gate, ...]:
    """Every gate there is, as the site set it: what people said first, then the case, then the limits."""
    return (
        Pause(Pause.Params()),
        Freeze(Freeze.Params(), freezes),
        Policy(Policy.Params(), policy),
        Runbook(Runbook.Params()),
        Bands(Bands.Params(act=settings.act_at, ask=settings.ask_at)),
        Risk(Risk.Params(ask_from=settings.ask_from_risk)),
        Guarantee(
            Guarantee.Params(
                threshold=settings.act_at, promise=settings.promise, level=settings.promise_level
            ),
            policy,
        ),
        Breaker(
            Breaker.Params(
                failed=settings.breaker_failed,
                of=settings.breaker_of,
                rest=timedelta(minutes=settings.breaker_minutes),
            )
        ),
        Repeated(
            Repeated.Params(
                window=timedelta(hours=settings.repeat_hours),
                most=settings.repeat_most,
                chain=settings.chain_most,
            )
        ),
        Cooldown(
            Cooldown.Params(window=timedelta(minutes=settings.cooldown_minutes), most=settings.cooldown_most)
        ),
        BlastRadius(BlastRadius.Params(share=settings.blast_share)),
        Cap(
            Cap.Params(
                per_strategy=settings.cap_per_strategy,
                per_target=settings.cap_per_target,
                per_site=settings.cap_per_site,
            )
        ),
    )
