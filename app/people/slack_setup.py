"""Setting Slack up: the app's manifest, whether what is set works, and the door where it is set."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from app.foundation.clock import Clock
from app.people.channel import NotDelivered
from app.people.channels.slack import SlackParams
from app.people.desk import Desk
from app.people.directory import Directory, DirectoryFile
from app.people.settings import PeopleSettings
from app.people.slack_api import Refused, asked, header, web_client

if TYPE_CHECKING:
    from app.people.slack_door import SlackDoor

# To post and edit; to find again what was posted before a crash.
SCOPES = ("chat:write", "channels:history", "groups:history")
CLICKS = "/api/v1/slack/events"

Finding = tuple[str, str, str]


def open_door(
    settings: PeopleSettings, directory: DirectoryFile, desk: Desk, clock: Clock
) -> "SlackDoor | None":
    """The door for clicks, where the bot token is set; sites without Slack need not import its library."""
    if not settings.slack_bot_token.get_secret_value():
        return None
    from app.people.slack_door import SlackDoor

    return SlackDoor(settings, directory, desk, clock)


def manifest(url: str, *, socket: bool) -> dict[str, Any]:
    """The app's manifest. `url` is where Slack reaches this service; with `socket` it need not."""
    interactivity: dict[str, Any] = {"is_enabled": True}
    if not socket:
        interactivity["request_url"] = f"{url.rstrip('/')}{CLICKS}"
    return {
        "display_information": {
            "name": "Mendline",
            "description": "From an error event to a verified repair",
            "background_color": "#1f3a34",
        },
        "features": {"bot_user": {"display_name": "Mendline", "always_online": True}},
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": False,
        },
    }


def check(settings: PeopleSettings, directory: Directory) -> Iterable[Finding]:
    """Part, ok or wrong, and what it says or how to mend it; asks Slack, and posts nothing."""
    if not settings.slack_bot_token.get_secret_value():
        yield "token", "wrong", "set MENDLINE_PEOPLE__SLACK_BOT_TOKEN (xoxb-…, from OAuth & Permissions)"
        return
    client = web_client(settings)
    try:
        who = asked(client.auth_test)
    except NotDelivered as refused:
        yield "token", "wrong", refused.says
        return
    yield "token", "ok", f"{who['user']} in {who['team']}"
    given = {scope.strip() for scope in header(who, "x-oauth-scopes").split(",")}
    # A workspace without private channels has no use for the last one.
    missing = [scope for scope in SCOPES[:2] if scope not in given]
    yield (
        ("scopes", "wrong", f"{', '.join(missing)} missing; install the app again from the manifest")
        if missing
        else ("scopes", "ok", ", ".join(sorted(given)))
    )
    yield from _clicks(settings)
    yield from _channels(client, directory)
    known = sum(bool(member.slack) for member in directory.people)
    hint = "" if known else "nobody may click: give people `slack: U…` in people.yaml"
    yield (
        "people",
        "ok" if known else "wrong",
        hint or f"{known} of {len(directory.people)} are known in Slack",
    )


def _clicks(settings: PeopleSettings) -> Iterable[Finding]:
    app_token = settings.slack_app_token.get_secret_value()
    if settings.slack_signing_secret.get_secret_value():
        yield "clicks over HTTP", "ok", f"taken at {settings.url.rstrip('/') or 'this service'}{CLICKS}"
    if app_token:
        client = web_client(settings)
        try:
            asked(lambda: client.apps_connections_open(app_token=app_token))
            yield "clicks over Socket Mode", "ok", ""
        except Refused as refused:
            hint = "the app token (xapp-…) needs the scope connections:write"
            yield "clicks over Socket Mode", "wrong", f"Slack says {refused.reason}; {hint}"
        except NotDelivered as refused:
            yield "clicks over Socket Mode", "wrong", refused.says
    elif not settings.slack_signing_secret.get_secret_value():
        yield (
            "clicks",
            "wrong",
            "set MENDLINE_PEOPLE__SLACK_SIGNING_SECRET or MENDLINE_PEOPLE__SLACK_APP_TOKEN",
        )


def _channels(client: Any, directory: Directory) -> Iterable[Finding]:
    found = {name: entry for name, entry in directory.channels.items() if isinstance(entry, SlackParams)}
    if not found:
        yield "channels", "wrong", "none of type slack in people.yaml"
    for name, entry in found.items():
        try:
            asked(partial(client.conversations_history, channel=entry.channel, limit=1))
            yield f"channel {name}", "ok", entry.channel
        except NotDelivered as refused:
            yield f"channel {name}", "wrong", refused.says
