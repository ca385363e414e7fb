"""Alerts and tickets over an incident's life: kept in step, never doubled, never written to once closed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.people.channel import NotDelivered
from app.people.channels import Connection, open_channel
from app.people.settings import PeopleSettings
from tests.channels import FarJira, FarPagerDuty, FarServiceNow
from tests.contracts.test_channels import INCIDENT, MESSAGE, card, message


@pytest.fixture
def pagerduty() -> Iterator[Any]:
    with FarPagerDuty().running() as far:
        yield far


@pytest.fixture
def jira() -> Iterator[Any]:
    with FarJira().running() as far:
        yield far


@pytest.fixture
def servicenow() -> Iterator[Any]:
    with FarServiceNow().running() as far:
        yield far


def channel(far: Any, folder: Path, **more: Any) -> Any:
    (folder / "secret").write_text(far.secret)
    entry: Any = TypeAdapter(Connection).validate_python({**far.entry(str(folder / "secret")), **more})
    return open_channel(entry, PeopleSettings(timeout=5))


class TestPagerDuty:
    def test_triggered_acknowledged_resolved_and_back(self, pagerduty: FarPagerDuty, tmp_path: Path) -> None:
        made = channel(pagerduty, tmp_path)
        reference = made.deliver(MESSAGE, card(), "")
        alert = pagerduty.alerts[INCIDENT]
        assert (reference, alert["state"]) == (INCIDENT, "triggered")
        made.refresh(card(state="acknowledged"), reference)
        assert alert["state"] == "acknowledged"
        made.deliver(message(kind="reminder", about="apr_1:15"), card(state="acknowledged"), reference)
        assert (alert["pages"], len(alert["log"])) == (1, 2)
        made.refresh(card(state="resolved"), reference)
        assert alert["state"] == "resolved"
        made.refresh(card(), reference)  # it fires again; whether anybody is needed, the next message says
        assert alert["state"] == "resolved"
        made.deliver(message(kind="escalated", about="rem_2"), card(), reference)
        assert pagerduty.alerts[INCIDENT]["state"] == "triggered"
        assert pagerduty.problems == []
        made.close()

    def test_nobody_is_woken_up_for_what_ended_meanwhile(
        self, pagerduty: FarPagerDuty, tmp_path: Path
    ) -> None:
        made = channel(pagerduty, tmp_path)
        assert made.deliver(MESSAGE, card(state="resolved"), "") == ""
        assert pagerduty.asked == []
        made.close()

    @pytest.mark.parametrize("severity", ["critical", "error", "warning", "info"])
    def test_severity_is_ours(self, pagerduty: FarPagerDuty, tmp_path: Path, severity: str) -> None:
        made = channel(pagerduty, tmp_path)
        made.deliver(MESSAGE, card(severity=severity), "")
        (told,) = pagerduty.alerts[INCIDENT]["log"]
        assert told["severity"] == severity
        assert told["source"] == "airflow/task/nightly-load@production"
        assert told["summary"].startswith(
            "[production] nightly-load timed out needs a yes or no: may this run?"
        )
        made.close()


class TestJira:
    def test_over_its_life(self, jira: FarJira, tmp_path: Path) -> None:
        made = channel(jira, tmp_path)
        key = made.deliver(MESSAGE, card(), "")
        issue = jira.issues[key]
        assert issue["summary"] == "[production] nightly-load timed out needs a yes or no"
        assert INCIDENT in issue["labels"]
        made.deliver(message(kind="verified", text="it runs again"), card(state="resolved"), key)
        assert len(issue["comments"]) == 1
        assert "it runs again" in issue["comments"][0]
        made.refresh(card(state="resolved"), key)
        # Two statuses end it there; the one that was named is taken.
        assert FarJira.STATUSES[issue["status"]][0] == "Done"
        made.refresh(card(), key)
        assert FarJira.STATUSES[issue["status"]][0] == "To Do"
        assert (jira.moves, jira.problems) == (2, [])
        made.close()

    def test_a_workflow_without_a_way_is_told_of(self, jira: FarJira, tmp_path: Path) -> None:
        made = channel(jira, tmp_path)
        key = made.deliver(MESSAGE, card(), "")
        jira.ways["10"] = ("20",)
        with pytest.raises(NotDelivered, match="no way to 'Done'") as refused:
            made.refresh(card(state="resolved"), key)
        assert not refused.value.again
        made.close()

    def test_one_that_somebody_deleted_is_made_anew(self, jira: FarJira, tmp_path: Path) -> None:
        made = channel(jira, tmp_path)
        key = made.deliver(MESSAGE, card(), "")
        made.deliver(message(incident_id="inc_2"), card(incident_id="inc_2"), "")
        del jira.issues[key]
        again = made.deliver(message(about="apr_2", text="and now?"), card(), key)
        assert jira.issues[again]["labels"][0] == INCIDENT
        made.close()

    def test_found_under_another_message_it_is_told_there(self, jira: FarJira, tmp_path: Path) -> None:
        made = channel(jira, tmp_path)
        key = made.deliver(MESSAGE, card(), "")
        assert made.deliver(message(about="apr_2", text="and now?"), card(), "") == key
        assert "and now?" in jira.issues[key]["comments"][0]
        made.close()

    def test_it_can_be_checked_without_telling_anybody(self, jira: FarJira, tmp_path: Path) -> None:
        made = channel(jira, tmp_path)
        assert made.check() == "writes to 'Operations'"
        (tmp_path / "secret").write_text("wr0ng")
        with pytest.raises(NotDelivered, match="answered 401"):
            made.check()
        made.close()


class TestServiceNow:
    def test_over_its_life(self, servicenow: FarServiceNow, tmp_path: Path) -> None:
        made = channel(servicenow, tmp_path, group="SRE")
        sys_id = made.deliver(MESSAGE, card(), "")
        record = servicenow.records[sys_id]
        assert (record["correlation_id"], record["urgency"], record["assignment_group"]) == (
            INCIDENT,
            "2",
            "SRE",
        )
        made.refresh(card(state="resolved", ended="retry ended verified: it runs again"), sys_id)
        assert (record["state"], record["close_notes"]) == ("6", "retry ended verified: it runs again")
        made.refresh(card(), sys_id)
        assert record["state"] == "2"
        assert (servicenow.moves, servicenow.problems) == (2, [])
        made.close()

    def test_closed_for_good_it_is_left_and_a_new_one_made(
        self, servicenow: FarServiceNow, tmp_path: Path
    ) -> None:
        made = channel(servicenow, tmp_path)
        first = made.deliver(MESSAGE, card(), "")
        servicenow.records[first]["state"] = "7"
        made.refresh(card(state="resolved"), first)
        second = made.deliver(message(about="apr_2", text="it is back"), card(), first)
        assert second != first
        assert "it is back" in servicenow.records[second]["description"]
        assert servicenow.records[first]["notes"] == []
        assert servicenow.problems == []
        made.close()
