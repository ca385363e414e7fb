"""Settings of this room."""

from pydantic import Field, SecretStr

from app.foundation.record import Record


class IntakeSettings(Record):
    """A webhook is open once its secret is set. `inbox_limit`: events that may wait for their commit."""

    github_secret: SecretStr = SecretStr("")
    alertmanager_secret: SecretStr = SecretStr("")
    inbox_limit: int = Field(20_000, ge=1_000)
