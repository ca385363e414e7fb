"""What a site may set for decisions: `MENDLINE_DECISION__…`."""

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from app.decision.plan import Risk
from app.foundation.record import Record


class DecisionSettings(Record):
    """Limits of acting alone.

    act_at, ask_at     confidence, 0 to 1: from `act_at` up act, from `ask_at` up ask, below it escalate.
    ask_from_risk      this risk and higher always asks; high asks whatever stands here.
    promise            the share of wrong actions, 0 to 1, that a strategy's outcomes should prove it stays
                       under; `promise_level` is the confidence, 0 to 1, at which that is proven.
    shadow_from_risk   plans of this risk and higher run in shadow until they are set live; None: none do.
    cooldown_minutes   how long `cooldown_most` repairs of one target hold the next one back.
    cap_per_strategy   repairs begun per hour with one strategy, `cap_per_site` with all of them.
    policy_file        None: the `policy.yaml` of the knowledge in force.
    """

    act_at: float = Field(0.75, ge=0, le=1)
    ask_at: float = Field(0.50, ge=0, le=1)
    ask_from_risk: Risk = Risk.HIGH
    promise: float = Field(0.05, gt=0, lt=1)
    promise_level: float = Field(0.95, gt=0, lt=1)
    shadow_from_risk: Risk | None = None
    cooldown_minutes: float = Field(30, gt=0, le=24 * 60)
    cooldown_most: int = Field(2, ge=1, le=100)
    cap_per_strategy: int = Field(10, ge=1, le=10_000)
    cap_per_site: int = Field(50, ge=1, le=10_000)
    policy_file: Path | None = None

    @field_validator("shadow_from_risk", mode="before")
    @classmethod
    def _empty_is_none(cls, given: object) -> object:
        return given or None

    @model_validator(mode="after")
    def _bands_in_order(self) -> "DecisionSettings":
        if self.ask_at > self.act_at:
            raise ValueError("ask_at lies above act_at, so nothing would ever ask")
        return self
