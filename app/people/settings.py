"""Settings of this room."""

from pathlib import Path

from pydantic import Field

from app.foundation.record import Record


class PeopleSettings(Record):
    """`file`: who people are and how they are reached, None: `people.yaml` in the data folder.

    `webhooks`: addresses that get each message as JSON, wherever else it goes; `url`: where people reach this
    service; `timeout`: seconds for one message; `lanes`: channels that are served at once.
    """

    file: Path | None = None
    webhooks: tuple[str, ...] = ()
    url: str = ""
    timeout: float = Field(5, gt=0, le=60)
    lanes: int = Field(4, ge=1, le=32)
