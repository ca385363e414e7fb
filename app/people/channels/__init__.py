"""The channels, by the `type` that `people.yaml` gives them. A new one is a file here and two lines below."""

from typing import Annotated, assert_never

from pydantic import Field

from app.people.channel import Channel
from app.people.channels.slack import Slack, SlackParams
from app.people.channels.webhook import Webhook, WebhookParams
from app.people.settings import PeopleSettings

Connection = Annotated[WebhookParams | SlackParams, Field(discriminator="type")]


def open_channel(connection: Connection, settings: PeopleSettings) -> Channel:
    """The channel that an entry of `people.yaml` describes."""
    match connection:
        case WebhookParams():
            return Webhook(connection.url.read, settings.timeout)
        case SlackParams():
            return Slack(connection, settings)
        case _:
            assert_never(connection)
