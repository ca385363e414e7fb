"""What a site may set for decisions: `MENDLINE_DECISION__…`."""

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from app.decision.plan import Risk
from app.foundation.record import Record


class DecisionSettings(Record):
    """Limits of acting alone.

    act_at, ask_at     confidence, 0 to 1: from `act_at` up act, from `ask_at` up ask, below it escalate.
    ask_from_risk      this risk and higher always asks; high asks whatever stands here.
    promise            the share of wrong actions, 0 to 1, that a strategy's outcomes must prove it stays
                       under to run alone; `promise_level` is the confidence, 0 to 1, of that proof.
    shadow_from_risk   plans of this risk and higher run in shadow until they are set live; None: none do.
    cooldown_minutes   how long `cooldown_most` repairs of one target hold the next one back.
    repeat_hours       the window in which a repair of a target may be run `repeat_most` times, and a chain
                       of any repairs of it may be `chain_most` long; then a person is told.
    cap_per_strategy   repairs begun per hour with one strategy, `cap_per_target` of one target,
                       `cap_per_site` in all.
    blast_share        share, 0 to 1, of a group's targets that may be under repair at once; one always may.
    breaker_failed     so many of a strategy's last `breaker_of` outcomes failing stops it; after
                       `breaker_minutes` a person may let one trial run.
    freeze_file        None: `freeze.yaml` in the data folder, if it is there.
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
    repeat_hours: float = Field(6, gt=0, le=24)
    repeat_most: int = Field(1, ge=1, le=1000)
    chain_most: int = Field(2, ge=1, le=1000)
    cap_per_strategy: int = Field(10, ge=1, le=10_000)
    cap_per_target: int = Field(3, ge=1, le=10_000)
    cap_per_site: int = Field(50, ge=1, le=10_000)
    blast_share: float = Field(0.5, gt=0, le=1)
    breaker_failed: int = Field(3, ge=1, le=50)
    breaker_of: int = Field(5, ge=1, le=50)
    breaker_minutes: float = Field(30, gt=0, le=7 * 24 * 60)
    policy_file: Path | None = None
    freeze_file: Path | None = None

    @field_validator("shadow_from_risk", mode="before")
    @classmethod
    def _empty_is_none(cls, given: object) -> object:
        return given or None

    @model_validator(mode="after")
    def _in_order(self) -> "DecisionSettings":
        if self.ask_at > self.act_at:
            raise ValueError("ask_at lies above act_at, so nothing would ever ask")
        if self.breaker_failed > self.breaker_of:
            raise ValueError("breaker_failed is more than breaker_of, so no breaker would ever open")
        return self
