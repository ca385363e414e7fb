"""mendline slack manifest and check."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app.commands.playground_slack import Workspace
from tests.commands.conftest import Mendline

PEOPLE = """
people: [{name: ada, role: approver, slack: U0ADA}]
channels:
  incidents: {type: slack, channel: C0INCIDENTS}
  elsewhere: {type: slack, channel: C0ELSEWHERE}
  nowhere: {type: slack, channel: C0NOWHERE}
"""


class TestManifest:
    def test_over_http_it_names_where_clicks_go(self, mendline: Mendline) -> None:
        done = mendline("slack", "manifest", "--url", "https://mend.example/")
        made = yaml.safe_load(done.out)
        assert made["settings"]["interactivity"] == {
            "is_enabled": True,
            "request_url": "https://mend.example/api/v1/slack/events",
        }
        assert made["settings"]["socket_mode_enabled"] is False
        assert made["oauth_config"]["scopes"]["bot"] == ["chat:write", "channels:history", "groups:history"]

    def test_the_address_is_that_of_the_settings(
        self, mendline: Mendline, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MENDLINE_PEOPLE__URL", "https://site.example")
        assert "https://site.example/api/v1/slack/events" in mendline("slack", "manifest").out

    def test_over_socket_mode_it_needs_no_address(self, mendline: Mendline) -> None:
        made = yaml.safe_load(mendline("slack", "manifest", "--socket").out)
        assert made["settings"]["socket_mode_enabled"] is True
        assert made["settings"]["interactivity"] == {"is_enabled": True}

    def test_an_address_that_slack_cannot_reach_is_said(self, mendline: Mendline) -> None:
        done = mendline("slack", "manifest", "--url", "http://127.0.0.1:8420")
        assert (done.code, done.out) == (1, "")
        assert "use --socket" in done.err


class TestCheck:
    @pytest.fixture
    def slack(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
        data.mkdir()
        (data / "people.yaml").write_text(PEOPLE)
        workspace = Workspace()
        for name, value in workspace.settings.items():
            monkeypatch.setenv(name, value)
        with workspace.running():
            yield workspace
        assert workspace.broken == []

    def test_it_says_what_works_and_what_does_not(self, mendline: Mendline, slack: Workspace) -> None:
        done = mendline("slack", "check", "--json")
        found = {one["part"]: (one["state"], one["says"]) for one in json.loads(done.out)}
        assert done.code == 1
        assert found["token"] == ("ok", "mendline in Playground")
        assert found["scopes"] == ("ok", "channels:history, chat:write")
        assert found["clicks over HTTP"][0] == "ok"
        assert found["channel incidents"] == ("ok", "C0INCIDENTS")
        assert found["channel elsewhere"] == (
            "wrong",
            "the bot is not in the channel; invite it there with /invite",
        )
        assert found["channel nowhere"][0] == "wrong"
        assert found["people"] == ("ok", "1 of 1 are known in Slack")
        assert slack.messages == []

    def test_all_is_well(self, mendline: Mendline, slack: Workspace, data: Path) -> None:
        (data / "people.yaml").write_text(PEOPLE.split("  elsewhere")[0])
        assert mendline("slack", "check").code == 0

    def test_a_wrong_token(
        self, mendline: Mendline, slack: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MENDLINE_PEOPLE__SLACK_BOT_TOKEN", "xoxb-wrong")
        done = mendline("slack", "check")
        assert (done.code, "Slack does not know the bot token" in done.out) == (1, True)
        assert "xoxb-wrong" not in done.out

    def test_a_missing_scope(self, mendline: Mendline, slack: Workspace) -> None:
        slack.scopes.discard("channels:history")
        assert "channels:history missing" in mendline("slack", "check").out

    @pytest.mark.parametrize(("token", "state"), [("xapp-of-the-playground", "ok"), ("xapp-wrong", "wrong")])
    def test_socket_mode(
        self, mendline: Mendline, slack: Workspace, monkeypatch: pytest.MonkeyPatch, token: str, state: str
    ) -> None:
        monkeypatch.setenv("MENDLINE_PEOPLE__SLACK_APP_TOKEN", token)
        found = {one["part"]: one["state"] for one in json.loads(mendline("slack", "check", "--json").out)}
        assert found["clicks over Socket Mode"] == state

    def test_nothing_set(self, mendline: Mendline) -> None:
        done = mendline("slack", "check")
        assert (done.code, "MENDLINE_PEOPLE__SLACK_BOT_TOKEN" in done.out) == (1, True)
