"""Settings of this room."""

from pydantic import Field

from app.foundation.record import Record


class PeopleSettings(Record):
    """`webhooks`: addresses that get each message as JSON; `url`: where people reach this service.

    `timeout`: seconds for one message; `drain`: seconds that what is queued gets to leave when the service stops.
    """

    webhooks: tuple[str, ...] = ()
    url: str = ""
    timeout: float = Field(5, gt=0, le=60)
    drain: float = Field(10, ge=0, le=60)
