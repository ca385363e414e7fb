"""Slack's Web API: one client, and what may go wrong told in words that say how to mend it."""

from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from app.people.channel import NotDelivered
from app.people.settings import PeopleSettings

# Slack's library is imported where it is used: commands and sites without Slack start sooner.
if TYPE_CHECKING:
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

# Of Slack's error codes those that a person can mend; meanwhile the message waits.
MENDS = {
    "invalid_auth": "Slack does not know the bot token; copy it again from OAuth & Permissions",
    "not_authed": "there is no bot token; set MENDLINE_PEOPLE__SLACK_BOT_TOKEN",
    "account_inactive": "the app was removed from the workspace; install it again",
    "token_revoked": "the bot token was revoked; install the app again",
    "token_expired": "the bot token has expired; turn token rotation off and install the app again",
    "missing_scope": "the app lacks a scope; install it again from `mendline slack manifest`",
    "channel_not_found": "there is no such channel, or it is private and the bot is not in it; invite the bot",
    "not_in_channel": "the bot is not in the channel; invite it there with /invite",
    "is_archived": "the channel is archived",
    "restricted_action": "the workspace does not let the bot post there",
}
_MEND_SECONDS = 10.0  # between looks whether somebody has
# Beginnings of codes that say that the message itself is not one: it will not be one later either.
_NEVER = ("invalid_", "metadata_", "msg_", "no_text", "too_many_")


class Unanswered(NotDelivered):
    """Nobody answered, so it may have arrived all the same."""


class Refused(NotDelivered):
    """Slack answered; `reason` is its own word for why not."""

    def __init__(self, says: str, code: str, *, again: bool, after: float) -> None:
        super().__init__(says, again=again, after=after)
        self.reason = code


def web_client(settings: PeopleSettings, token: str = "") -> "WebClient":
    """A client for this site's Slack, with the bot's token if no other is given.

    It never asks twice by itself: a lost answer may be one to a message that arrived.
    """
    from slack_sdk import WebClient

    return WebClient(
        token=token or settings.slack_bot_token.get_secret_value(),
        base_url=settings.slack_api,
        timeout=max(1, round(settings.timeout)),
        retry_handlers=[],
    )


def code_of(error: "SlackApiError") -> str:
    """Slack's own word for what went wrong; empty when the answer held none."""
    with suppress(Exception):
        return str(error.response["error"])
    return ""


def header(answer: Any, name: str) -> str:
    """A header of Slack's answer by its name in lower case, however it was written; empty: there is none."""
    return next((str(value) for key, value in answer.headers.items() if key.lower() == name), "")


def asked(call: Callable[[], Any]) -> Any:
    """Slack's answer. Raises NotDelivered with what Slack says, Unanswered when nobody does."""
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        return call()
    except SlackApiError as error:
        code, status = code_of(error), error.response.status_code
        after = _MEND_SECONDS if code in MENDS else 0.0
        with suppress(ValueError):
            after = float(header(error.response, "retry-after") or after)
        again = code in MENDS or not code.startswith(_NEVER)
        says = MENDS.get(code) or f"Slack says {code or status}"
        raise Refused(says, code, again=again, after=after) from None
    except (SlackClientError, HTTPException, OSError, ValueError) as error:
        raise Unanswered(f"no answer from Slack: {type(error).__name__}", again=True) from None
