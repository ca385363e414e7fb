"""The channels, by the `type` that `people.yaml` gives them. A new one is a file here and two lines below."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from app.people.channel import Channel
from app.people.channels.apprise import AppriseParams, OverApprise
from app.people.channels.jira import Jira, JiraParams
from app.people.channels.pagerduty import PagerDuty, PagerDutyParams
from app.people.channels.servicenow import ServiceNow, ServiceNowParams
from app.people.channels.slack import Slack, SlackParams
from app.people.channels.webhook import Webhook, WebhookParams
from app.people.settings import PeopleSettings

Connection = Annotated[
    WebhookParams | SlackParams | AppriseParams | PagerDutyParams | JiraParams | ServiceNowParams,
    Field(discriminator="type"),
]
_OPEN: dict[type[Any], Callable[[Any, PeopleSettings], Channel]] = {
    WebhookParams: lambda given, settings: Webhook(given.url.read, settings.timeout),
    SlackParams: Slack,
    AppriseParams: lambda given, settings: OverApprise(given, settings.timeout),
    PagerDutyParams: lambda given, settings: PagerDuty(given, settings.timeout),
    JiraParams: lambda given, settings: Jira(given, settings.timeout),
    ServiceNowParams: lambda given, settings: ServiceNow(given, settings.timeout),
}


def open_channel(connection: Connection, settings: PeopleSettings) -> Channel:
    """The channel that an entry of `people.yaml` describes."""
    return _OPEN[type(connection)](connection, settings)
