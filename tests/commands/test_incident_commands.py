import json
import re
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.incidents import store as incidents
from tests.commands.conftest import Filled, Mendline


def json_of(mendline: Mendline, *words: str) -> list[dict[str, object]]:
    done = mendline(*words, "--json")
    assert done.code == 0
    found: list[dict[str, object]] = json.loads(done.out)
    return found


class TestIncidents:
    def test_a_line_tells_what_and_how_sure(self, mendline: Mendline, filled: Filled) -> None:
        done = mendline("incidents")
        (line,) = [line for line in done.out.splitlines() if filled.incident in line]
        assert all(word in line for word in ("firing", "network_timeout", "62%", "connection to the ledger"))

    def test_as_json(self, mendline: Mendline, filled: Filled) -> None:
        (found,) = json_of(mendline, "incidents")
        assert (found["id"], found["state"], found["source"]) == (filled.incident, "firing", "airflow")

    @pytest.mark.parametrize(
        ("words", "count"),
        [
            (("--state", "firing"), 1),
            (("--state", "resolved"), 0),
            (("--search", "LEDGER"), 1),
            (("--search", "shop/job"), 1),
            (("--search", "elsewhere"), 0),
        ],
    )
    def test_only_some(self, mendline: Mendline, filled: Filled, words: tuple[str, ...], count: int) -> None:
        assert len(json_of(mendline, "incidents", *words)) == count

    def test_none_yet(self, mendline: Mendline) -> None:
        assert json_of(mendline, "incidents") == []
        assert mendline("incidents").code == 0


class TestNarrowTerminals:
    def test_an_id_is_never_cut(
        self, mendline: Mendline, filled: Filled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        assert filled.incident in mendline("incidents").out
        assert filled.approval in mendline("approvals").out


class TestExplain:
    def test_the_whole_trail(self, mendline: Mendline, filled: Filled) -> None:
        done = mendline("explain", filled.incident)
        assert done.code == 0
        for said in (
            "connection to the ledger timed out",
            "shop/job/nightly-load@staging",
            "network_timeout",
            "62% sure",
            "retry_with_exponential_backoff",
            "asks a person first",
            "62 % sure: a person is asked",
            f"mendline approve {filled.approval}",
            "first event",
        ):
            assert said in done.out, said

    def test_as_json(self, mendline: Mendline, filled: Filled) -> None:
        found = json.loads(mendline("explain", filled.incident, "--json").out)
        assert found["approvals"][0]["id"] == filled.approval
        assert found["decisions"][0]["plan"]["strategy"] == "retry_with_exponential_backoff"

    def test_hostile_text_does_not_colour_the_terminal(
        self, mendline: Mendline, filled: Filled, data: Path
    ) -> None:
        database = Database(sqlite_url(data / "mendline.db"))
        with database.writing() as session:
            session.connection().exec_driver_sql(
                "UPDATE incident SET title = '\x1b[31m[red]boo[/red]\x1b]0;x\x07\r\n'"
            )
        database.close()
        out = mendline("explain", filled.incident).out + mendline("incidents").out
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "[red]boo[/red]" in out


class TestApprovals:
    def test_what_waits_is_listed_until_it_is_answered(self, mendline: Mendline, filled: Filled) -> None:
        done = mendline("approvals")
        assert filled.approval in done.out
        assert "runs nightly-load again, at most 3 times" in done.out
        assert [one["id"] for one in json_of(mendline, "approvals")] == [filled.approval]
        answered = mendline("approve", filled.approval, "--reason", "looks fine", "--plan", filled.plan_hash)
        assert answered.code == 0
        assert answered.out.startswith(f"approved {filled.approval}")
        assert json_of(mendline, "approvals") == []
        assert "looks fine" in mendline("explain", filled.incident).out

    def test_an_answer_is_given_once(self, mendline: Mendline, filled: Filled) -> None:
        mendline("deny", filled.approval)
        again = mendline("approve", filled.approval)
        assert again.code == 1
        assert re.match(r"mendline: cli:?\S* has answered already: denied at ", again.err)

    def test_another_plan_than_was_read_is_not_approved(self, mendline: Mendline, filled: Filled) -> None:
        done = mendline("approve", filled.approval, "--plan", "0123456789abcdef")
        assert done.code == 1
        assert "read it again" in done.err
        assert len(json_of(mendline, "approvals")) == 1

    def test_a_denial_may_say_what_it_really_is(self, mendline: Mendline, filled: Filled) -> None:
        wrong = mendline("deny", filled.approval, "--type", "quota")
        assert wrong.code == 1
        assert "there is no type 'quota'" in wrong.err
        assert mendline("deny", filled.approval, "--type", "quota_exceeded").code == 0
        found = json.loads(mendline("explain", filled.incident, "--json").out)
        assert found["approvals"][0]["right_type"] == "quota_exceeded"


class TestMove:
    def test_the_state_and_who_changed_it(self, mendline: Mendline, filled: Filled, data: Path) -> None:
        done = mendline("move", filled.incident, "acknowledged", "--reason", "looking at it")
        assert done.out == f"{filled.incident} is acknowledged\n"
        database = Database(sqlite_url(data / "mendline.db"))
        with database.reading() as session:
            last = incidents.transitions(session, filled.incident)[-1]
        database.close()
        assert (last.after, last.reason) == ("acknowledged", "looking at it")
        assert last.actor.startswith("cli")

    def test_one_that_cannot_be(self, mendline: Mendline, filled: Filled) -> None:
        mendline("move", filled.incident, "resolved")
        done = mendline("move", filled.incident, "suppressed")
        assert done.code == 1
        assert done.err == "mendline: an incident that is resolved cannot become suppressed\n"


class TestCorrect:
    def test_it_is_learned(self, mendline: Mendline, filled: Filled, knowledge: Path, data: Path) -> None:
        done = mendline("correct", filled.incident, "quota_exceeded", "--reason", "the ledger throttles")
        assert (done.code, done.err) == (0, "")
        assert re.fullmatch(r"\S+ says that it is quota_exceeded; learned as case_\w+\n", done.out)
        again = json.loads(mendline("diagnose", "connection to the ledger timed out", "--json").out)
        assert again["type"] == "quota_exceeded"
        assert any(
            item["says"] == "the ledger throttles"
            for finding in again["findings"]
            for item in finding["evidence"]
        )
        assert "says that it really is quota_exceeded" in mendline("explain", filled.incident).out


class TestSteering:
    def test_pause_and_resume(self, mendline: Mendline, filled: Filled) -> None:
        assert mendline("pause", "--reason", "audit").out.startswith("paused: ")
        assert "audit" in mendline("explain", filled.incident).out
        assert "repairs are paused by" in mendline("incidents").err
        assert "repairs are paused by" in mendline("approvals", "--json").err
        assert mendline("resume").out == "resumed\n"
        assert "audit" not in mendline("explain", filled.incident).out

    def test_strategies_with_their_record(self, mendline: Mendline) -> None:
        found = {str(one["strategy"]): one for one in json_of(mendline, "strategy", "list")}
        assert found["retry_with_exponential_backoff"]["registered"] is True
        assert found["retrain_model"]["registered"] is False
        done = mendline("strategy", "list")
        assert "none yet" in done.out
        assert "retrain_model (not installed)" in done.out

    def test_targets_and_what_is_wrong_with_their_file(self, mendline: Mendline, data: Path) -> None:
        data.mkdir()
        (data / "targets.yaml").write_text(
            "targets:\n- {system: shop, kind: job, name: '[b]load', owner: data,"
            " connection: {type: http_job, run: 'http://127.0.0.1:1/S3CRET'}, allow: [recover_service]}\n"
        )
        done = mendline("target", "list")
        assert done.code == 0
        assert all(word in done.out for word in ("shop/job/[b]load", "http_job", "data", "recover_service"))
        assert "S3CRET" not in done.out
        (data / "targets.yaml").write_text("targets: 3")
        done = mendline("target", "list")
        assert done.code == 1
        assert done.err.startswith("mendline: targets.yaml is not valid\n")
