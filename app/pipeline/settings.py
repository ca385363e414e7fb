"""Settings of this room."""

from pydantic import Field

from app.foundation.record import Record


class PipelineSettings(Record):
    """`workers`: incidents under diagnosis at once. `approval_minutes`: how long a question waits;
    `remind_minutes`: how often people are reminded of it meanwhile, 0 never.

    `executor` names this process to the durable engine: with several on one Postgres, give
    each a name that it keeps over restarts. `take_over_seconds`: how long a name must have been
    nobody's before others resume what was under way there, and how long a process goes on that cannot
    prove that it still has its name. `crash_at` ("point" or "point:strategy") kills the process there,
    once per data directory: for the fault suite, never in production.
    """

    workers: int = Field(2, ge=1, le=32)
    approval_minutes: float = Field(60, gt=0, le=60 * 24 * 14)
    remind_minutes: float = Field(15, ge=0, le=60 * 24)
    sweep_seconds: float = Field(1, gt=0, le=600)
    executor: str = Field("local", min_length=1, max_length=200)
    take_over_seconds: float = Field(60, gt=0, le=3600)
    crash_at: str = ""
