"""Settings of this room."""

from pathlib import Path

from pydantic import Field, SecretStr

from app.foundation.record import Record


class PeopleSettings(Record):
    """`file`: who people are and how they are reached, None: `people.yaml` in the data folder.

    `webhooks`: addresses that get each message as JSON, wherever else it goes; `url`: where people reach this
    service; `timeout`: seconds for one message; `lanes`: channels that are served at once.

    `slack_bot_token` posts; `slack_signing_secret` opens the door for clicks over HTTP, `slack_app_token` has
    them come over Socket Mode; `slack_api`: where Slack's Web API is.
    """

    file: Path | None = None
    webhooks: tuple[str, ...] = ()
    url: str = ""
    timeout: float = Field(5, gt=0, le=60)
    lanes: int = Field(4, ge=1, le=32)
    slack_bot_token: SecretStr = SecretStr("")
    slack_signing_secret: SecretStr = SecretStr("")
    slack_app_token: SecretStr = SecretStr("")
    slack_api: str = Field("https://slack.com/api/", pattern=r"^https?://[^\s?#]+/$")
