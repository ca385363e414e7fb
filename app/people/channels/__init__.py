"""The channels, by the `type` that `people.yaml` gives them. A new one is a file here and a line below."""

from app.people.channel import Channel
from app.people.channels.webhook import Webhook, WebhookParams

# With a second kind: Annotated[A | B, Field(discriminator="type")].
Connection = WebhookParams


def open_channel(connection: Connection, timeout: float) -> Channel:
    """The channel that an entry of `people.yaml` describes; `timeout` in seconds for one message."""
    return Webhook(connection.url.read, timeout)
