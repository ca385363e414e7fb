"""GitHub's webhooks: octokit's recorded payloads, cases derived from them, and hostile ones."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app.intake.event import LOG_LIMIT, Report, Severity, Status, Target
from app.intake.source import BadPayload, BadSignature
from app.intake.sources.github import Github

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "payloads" / "github"
RECORDED = sorted(FOLDER.glob("*.json"))
SOURCE = Github(Github.Params(secret=SecretStr("It's a Secret to Everybody")))
needs_payloads = pytest.mark.skipif(
    not RECORDED, reason="the recorded payloads (../shared/data/payloads/github) are not here"
)


def signed(body: bytes, secret: str = "It's a Secret to Everybody") -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def parse(event: str, payload: dict[str, Any], delivery: str = "72d3162e-cc78-11e3-81ab-4c9367dc0958") -> Any:
    headers = {"x-github-event": event, "x-github-delivery": delivery}
    return SOURCE.parse(headers, json.dumps(payload).encode())


def recorded(name: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads((FOLDER / name).read_bytes())
    return payload


def run(conclusion: str | None = "failure", **fields: Any) -> dict[str, Any]:
    """The least that a workflow_run payload holds."""
    return {
        "action": "completed",
        "repository": {"full_name": "octo/app"},
        "workflow": {"name": "build"},
        "workflow_run": {"id": 7, "head_branch": "main", "conclusion": conclusion, **fields},
    }


def job(conclusion: str | None = "failure", **fields: Any) -> dict[str, Any]:
    return {
        "action": "completed",
        "repository": {"full_name": "octo/app"},
        "workflow_job": {
            "id": 8,
            "run_id": 7,
            "name": "test (3.11)",
            "workflow_name": "build",
            "head_branch": "main",
            "conclusion": conclusion,
            **fields,
        },
    }


class TestVerify:
    def test_takes_the_example_that_github_publishes(self) -> None:
        given = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        SOURCE.verify({"x-hub-signature-256": given}, b"Hello, World!")

    def test_refuses_the_signature_of_another_body(self) -> None:
        with pytest.raises(BadSignature):
            SOURCE.verify(signed(b"Hello, World!"), b"Hello, World?")

    def test_refuses_the_signature_of_another_secret(self) -> None:
        with pytest.raises(BadSignature):
            SOURCE.verify(signed(b"{}", secret="guessed"), b"{}")

    @pytest.mark.parametrize("given", ["", "sha256=", "sha1=757107", "757107", "sha256=\u00e9", "\ud800"])
    def test_refuses_what_is_no_signature(self, given: str) -> None:
        with pytest.raises(BadSignature):
            SOURCE.verify({"x-hub-signature-256": given}, b"{}")

    def test_refuses_the_older_kind_of_signature_alone(self) -> None:
        old = "sha1=" + hmac.new(b"It's a Secret to Everybody", b"{}", hashlib.sha1).hexdigest()
        with pytest.raises(BadSignature):
            SOURCE.verify({"x-hub-signature": old}, b"{}")

    def test_does_not_look_into_the_body(self) -> None:
        SOURCE.verify(signed(b"\xff{not json"), b"\xff{not json")

    def test_needs_a_secret(self) -> None:
        with pytest.raises(ValidationError):
            Github.Params(secret=SecretStr(""))


@needs_payloads
class TestRecorded:
    @pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
    def test_every_payload_is_read(self, path: Path) -> None:
        event = path.name.partition("__")[0]
        body = path.read_bytes()
        reports = SOURCE.parse({"x-github-event": event, "x-github-delivery": "1"}, body)
        payload = json.loads(body)
        told = payload.get(event, {}) if event in ("workflow_run", "workflow_job", "check_run") else {}
        speaks = payload.get("action") == "completed" and told.get("conclusion") in ("success", "failure")
        assert len(reports) == (1 if speaks else 0)

    def test_a_failed_job_names_its_step(self) -> None:
        (report,) = parse(
            "workflow_job", recorded("workflow_job__completed.failure.with-organization.payload.json")
        )
        assert report.message == (
            "Job 'linters' of workflow 'CodeQL' in Codertocat/Hello-World failed on 'main' "
            "at step 'Run yarn run format-check'."
        )
        assert report.target == Target(
            system="github",
            kind="job",
            name="Codertocat/Hello-World/linters",
            environment="main",
            url="https://github.com/octo-org/octo-repo/runs/1291536064",
        )
        assert (report.job_id, report.run_id) == ("289782451", "2202229078")
        assert (
            report.log_url == "https://api.github.com/repos/octo-org/octo-repo/actions/jobs/1291536064/logs"
        )
        assert report.fingerprint == "workflow_job:Codertocat/Hello-World:CodeQL:linters:main"
        assert report.severity is Severity.ERROR
        assert report.occurred_at is not None
        assert report.occurred_at.isoformat() == "2021-08-05T10:38:16+00:00"

    def test_a_job_that_succeeded_has_recovered(self) -> None:
        (report,) = parse(
            "workflow_job", recorded("workflow_job__completed.success.with-organization.payload.json")
        )
        assert report.status is Status.RESOLVED

    def test_a_run_is_named_by_its_workflow_when_it_has_no_name(self) -> None:
        (report,) = parse("workflow_run", recorded("workflow_run__completed.payload.json"))
        assert report.status is Status.RESOLVED
        assert report.target.name == "octo-org/octo-repo/test"
        assert report.fingerprint == "workflow_run:octo-org/octo-repo:test:master"

    def test_a_run_that_failed(self) -> None:
        # Derived: octokit recorded only a success; the conclusion is changed here.
        payload = recorded("workflow_run__completed.payload.json")
        payload["workflow_run"]["conclusion"] = "failure"
        (report,) = parse("workflow_run", payload)
        assert report.status is Status.FIRING
        assert report.message == "Workflow 'test' of octo-org/octo-repo failed on 'master'."
        assert (report.job_id, report.run_id) == ("", "289782451")
        assert report.log_url == "https://api.github.com/repos/octo-org/octo-repo/actions/runs/289782451/logs"
        assert report.attributes == {
            "event": "workflow_run",
            "conclusion": "failure",
            "trigger": "repository_dispatch",
            "run_attempt": 1,
            "head_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625",
        }

    def test_a_failed_check_of_an_actions_job_has_the_jobs_id(self) -> None:
        (report,) = parse("check_run", recorded("check_run__completed.1.payload.json"))
        assert report.message == "Check 'Octocoders-linter' in Codertocat/Hello-World failed on 'changes'."
        assert report.fingerprint == (
            "check_run:Codertocat/Hello-World:github-actions:Octocoders-linter:changes"
        )
        assert (report.target.kind, report.job_id) == ("check", "128620228")


class TestConclusions:
    @pytest.mark.parametrize(
        ("conclusion", "says"),
        [
            ("failure", "Workflow 'build' of octo/app failed on 'main'."),
            ("timed_out", "Workflow 'build' of octo/app timed out on 'main'."),
            ("startup_failure", "Workflow 'build' of octo/app could not start on 'main'."),
        ],
    )
    def test_failures_fire(self, conclusion: str, says: str) -> None:
        (report,) = parse("workflow_run", run(conclusion))
        assert (report.status, report.message) == (Status.FIRING, says)

    def test_success_resolves(self) -> None:
        (report,) = parse("workflow_run", run("success"))
        assert (report.status, report.severity) == (Status.RESOLVED, Severity.INFO)

    @pytest.mark.parametrize(
        "conclusion", ["cancelled", "skipped", "neutral", "stale", "action_required", "new_one", "", None]
    )
    def test_the_others_say_nothing(self, conclusion: str | None) -> None:
        assert parse("workflow_run", run(conclusion)) == ()
        assert parse("workflow_job", job(conclusion)) == ()

    @pytest.mark.parametrize("action", ["requested", "in_progress", "queued", "rerequested"])
    def test_only_what_is_completed_counts(self, action: str) -> None:
        assert parse("workflow_run", run() | {"action": action}) == ()

    @pytest.mark.parametrize("event", ["ping", "push", "deployment_status", "check_suite", "star", "\u00e9"])
    def test_other_events_are_not_even_read(self, event: str) -> None:
        assert SOURCE.parse({"x-github-event": event}, b"\xff{") == ()


class TestFingerprint:
    @pytest.mark.parametrize(("event", "payload"), [("workflow_run", run), ("workflow_job", job)])
    def test_a_success_has_the_fingerprint_of_the_failure(self, event: str, payload: Any) -> None:
        (failed,) = parse(event, payload("failure", id=1))
        (succeeded,) = parse(event, payload("success", id=2))
        assert failed.fingerprint == succeeded.fingerprint

    def test_branches_workflows_and_jobs_differ(self) -> None:
        payloads = [
            ("workflow_run", run()),
            ("workflow_run", run(head_branch="dev")),
            ("workflow_run", run() | {"workflow": {"name": "deploy"}}),
            ("workflow_job", job()),
            ("workflow_job", job(name="lint")),
            ("workflow_job", job(workflow_name="deploy")),
        ]
        assert len({parse(event, payload)[0].fingerprint for event, payload in payloads}) == 6

    def test_a_forks_main_is_not_our_main(self) -> None:
        (report,) = parse("workflow_run", run("success", head_repository={"full_name": "eve/app"}))
        assert report.fingerprint == "workflow_run:octo/app:build:eve/app:main"
        assert report.target.environment == "eve/app:main"

    def test_our_own_head_repository_is_not_a_fork(self) -> None:
        (report,) = parse("workflow_run", run(head_repository={"full_name": "octo/app"}))
        assert report.fingerprint == "workflow_run:octo/app:build:main"

    def test_long_names_that_differ_at_the_end_stay_two(self) -> None:
        (one,) = parse("workflow_run", run(head_branch="x" * 600 + "1"))
        (two,) = parse("workflow_run", run(head_branch="x" * 600 + "2"))
        assert one.fingerprint != two.fingerprint
        assert one.target.key != two.target.key


class TestOdd:
    def test_the_delivery_is_the_key(self) -> None:
        (report,) = parse("workflow_run", run(), delivery="abc")
        assert report.delivery_key == "abc"

    def test_without_a_delivery_there_is_no_key(self) -> None:
        body = json.dumps(run()).encode()
        (report,) = SOURCE.parse({"x-github-event": "workflow_run"}, body)
        assert report.delivery_key == ""

    def test_the_event_header_is_required(self) -> None:
        with pytest.raises(BadPayload) as caught:
            SOURCE.parse({}, json.dumps(run()).encode())
        assert caught.value.places == (("X-GitHub-Event", "the header is missing"),)

    @pytest.mark.parametrize("event", ["ping", "workflow_run"])
    def test_a_form_says_which_setting_is_wrong(self, event: str) -> None:
        with pytest.raises(BadPayload) as caught:
            SOURCE.parse({"x-github-event": event}, b"payload=%7B%7D")
        assert caught.value.places[0][0] == "content type"

    def test_optional_parts_may_be_null(self) -> None:
        payload = run(head_branch=None, name=None, html_url=None, updated_at=None, head_repository=None)
        (report,) = parse("workflow_run", payload | {"workflow": None})
        assert report.message == "Workflow 'unnamed' of octo/app failed."
        assert (report.target.url, report.target.environment, report.occurred_at) == ("", "", None)

    def test_a_job_may_have_no_steps(self) -> None:
        (report,) = parse("workflow_job", job("timed_out", steps=None, workflow_name=None))
        assert report.message == "Job 'test (3.11)' in octo/app timed out on 'main'."

    def test_several_failing_steps_are_named(self) -> None:
        steps = [{"name": str(n), "conclusion": "failure"} for n in range(12)]
        (report,) = parse("workflow_job", job(steps=[{"name": "ok", "conclusion": "success"}, *steps]))
        assert report.message.endswith("at steps '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'.")

    def test_what_a_check_prints_is_message_and_log(self) -> None:
        payload = {
            "action": "completed",
            "repository": {"full_name": "octo/app"},
            "check_run": {
                "id": 1,
                "name": "lint",
                "conclusion": "failure",
                "output": {"title": "2 problems", "summary": "E501 twice", "text": "a.py:1\na.py:2"},
            },
        }
        (report,) = parse("check_run", payload)
        assert report.message == "Check 'lint' in octo/app failed.\n2 problems\nE501 twice"
        assert (report.log, report.job_id) == ("a.py:1\na.py:2", "")

    def test_of_a_key_given_twice_the_last_counts(self) -> None:
        body = b'{"action": "requested", "action": "completed", ' + json.dumps(run()).encode()[24:]
        (report,) = SOURCE.parse({"x-github-event": "workflow_run"}, body)
        assert report.status is Status.FIRING


HOSTILE_BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"workflow_run"',
    "not UTF-8": b'{"action": "\xff\xfe"}',
    "half a surrogate": b'{"action": "\\ud800"}',
    "deep": b"[" * 100_000,
    "deep inside": b'{"workflow_run": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
    "a huge number": b'{"workflow_run": {"id": ' + b"9" * 10_000 + b"}}",
    "not a number": b'{"workflow_run": {"id": NaN}}',
}


class TestHostile:
    @pytest.mark.parametrize("event", ["workflow_run", "workflow_job", "check_run"])
    @pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
    def test_is_refused_with_a_place(self, event: str, body: bytes) -> None:
        with pytest.raises(BadPayload) as caught:
            SOURCE.parse({"x-github-event": event}, body)
        assert caught.value.places

    @pytest.mark.parametrize(
        ("fields", "place"),
        [
            ({"id": "seven"}, "workflow_run.id"),
            ({"id": -1}, "workflow_run.id"),
            ({"id": 2**63}, "workflow_run.id"),
            ({"id": None}, "workflow_run.id"),
            ({"head_branch": ["main"]}, "workflow_run.head_branch"),
            ({"head_repository": {"full_name": ""}}, "workflow_run.head_repository.full_name"),
            ({"updated_at": "2020-10-05T16:33:49"}, "workflow_run.updated_at"),
            ({"updated_at": "yesterday"}, "workflow_run.updated_at"),
            ({"conclusion": {"failure": True}}, "workflow_run.conclusion"),
        ],
    )
    def test_wrong_types_are_named(self, fields: dict[str, Any], place: str) -> None:
        with pytest.raises(BadPayload) as caught:
            parse("workflow_run", run(**fields))
        assert [where for where, _ in caught.value.places] == [place]

    def test_the_places_do_not_repeat_what_was_sent(self) -> None:
        with pytest.raises(BadPayload) as caught:
            parse("workflow_run", run(id="ghp_secret"))
        assert "ghp_secret" not in str(caught.value.places)

    def test_thousands_of_mistakes_give_a_short_answer(self) -> None:
        with pytest.raises(BadPayload) as caught:
            parse("workflow_job", job(steps=[1] * 10_000))
        assert len(caught.value.places) == 20

    def test_huge_strings_are_cut_to_the_limits(self) -> None:
        huge = "x" * (LOG_LIMIT + 10)
        payload = job(name=huge, workflow_name=huge, head_branch=huge, url=huge, html_url=huge, head_sha=huge)
        (report,) = parse("workflow_job", payload, delivery=huge)
        assert Report.model_validate(report.model_dump()) == report
        check = {"id": 1, "name": huge, "conclusion": "failure", "output": {"summary": huge, "text": huge}}
        payload = {"action": "completed", "repository": {"full_name": huge}, "check_run": check}
        (report,) = parse("check_run", payload)
        assert Report.model_validate(report.model_dump()) == report
        assert len(report.log) == LOG_LIMIT
