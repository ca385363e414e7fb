"""Settings of this room."""

from pydantic import Field, SecretStr

from app.foundation.record import Record


class WebSettings(Record):
    """`events_per_second` is per key, 0 for no limit; `body_limit` in bytes.

    `session_secret` signs the pages' sessions; left empty, one is made and kept in the data folder.
    """

    host: str = "127.0.0.1"
    port: int = Field(8420, ge=0, le=65_535)
    body_limit: int = Field(8 * 1024 * 1024, ge=1024)
    events_per_second: float = Field(0, ge=0)
    session_secret: SecretStr = SecretStr("")
    session_hours: float = Field(12, gt=0, le=24 * 30)
