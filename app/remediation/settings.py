"""Settings of repairs."""

from pydantic import Field

from app.foundation.record import Record


class RemediationSettings(Record):
    """`backup_days`: how long a repair's backups are kept after its end, and with them the way to undo it."""

    backup_days: int = Field(30, ge=1, le=3650)
