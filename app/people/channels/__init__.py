"""The channels, by the `type` that `people.yaml` gives them. A new one is a file here and two lines below."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from app.people.channel import Channel
from app.people.channels.apprise import AppriseParams, OverApprise
from app.people.channels.jira import Jira, JiraParams
from app.people.channels.pagerduty import PagerDuty, PagerDutyParams
from app.people.channels.servicenow import ServiceNow, ServiceNowParams
from app.people.channels.webhook import Webhook, WebhookParams

Connection = Annotated[
    WebhookParams | AppriseParams | PagerDutyParams | JiraParams | ServiceNowParams,
    Field(discriminator="type"),
]
_OPEN: dict[type[Any], Callable[[Any, float], Channel]] = {
    WebhookParams: lambda given, timeout: Webhook(given.url.read, timeout),
    AppriseParams: OverApprise,
    PagerDutyParams: PagerDuty,
    JiraParams: Jira,
    ServiceNowParams: ServiceNow,
}


def open_channel(connection: Connection, timeout: float) -> Channel:
    """The channel that an entry of `people.yaml` describes; `timeout` in seconds for one message."""
    return _OPEN[type(connection)](connection, timeout)
