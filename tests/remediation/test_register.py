"""Register: what comes by API or command is checked, place by place."""

from pathlib import Path
from typing import Any

import pytest

from app.foundation.errors import Invalid
from app.remediation import register
from app.remediation.strategies import STRATEGIES
from app.systems.targets import RegisteredTarget, Targets

JOB = {"type": "http_job", "run": "https://jobs.internal/runs"}
TABLE = {"type": "table", "url": "sqlite:///shop.db", "table": "orders", "key": ["id"]}
CREDENTIAL = {
    "type": "credential",
    "issue": ["vaultctl", "rotate", "{key}"],
    "current": ["vaultctl", "version"],
    "restore": ["vaultctl", "activate", "{version}"],
    "check": ["login-works"],
}
PROCESS = {"type": "process", "health": "http://127.0.0.1/", "start": ["run-it"], "pid_file": "/tmp/pid"}


def entry(connection: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"system": "shop", "kind": "job", "name": "load", "connection": connection, **fields}


def check(body: Any, programs: Any = None) -> RegisteredTarget:
    targets = Targets(Path("none.yaml"))
    return register.check(body, {one.id: one(targets) for one in STRATEGIES}, programs)


def places(body: Any, programs: Any = None) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        check(body, programs)
    return list(refused.value.places)


@pytest.mark.parametrize(
    "connection",
    [
        JOB,
        TABLE,
        CREDENTIAL,
        {**JOB, "token": {"file": "/etc/jobs.token"}},
        {**JOB, "token": {"env": "JOBS_TOKEN"}},
        {**JOB, "token_file": "/etc/jobs.token"},
        {**TABLE, "url": {"env": "SHOP_URL"}},
        {**TABLE, "url": "postgresql://ada@db.internal/shop"},
    ],
)
def test_what_names_no_secret_is_taken(connection: dict[str, Any]) -> None:
    assert check(entry(connection)).key == "shop/job/load"


@pytest.mark.parametrize(
    ("connection", "place"),
    [
        ({**JOB, "run": "https://jobs.internal/runs?token=3f9a77c1d2"}, "connection.run"),
        ({**JOB, "run": "https://ada:hunter2@jobs.internal/runs"}, "connection.run"),
        ({**TABLE, "url": "postgresql://ada:hunter2@db.internal/shop"}, "connection.url"),
        ({**CREDENTIAL, "check": ["login-works", "--password", "hunter2"]}, "connection.check"),
        ({**CREDENTIAL, "check": {"run": ["login-works", "--token=3f9a77c1d2"]}}, "connection.check.run"),
        (
            {**CREDENTIAL, "rerun": {**JOB, "lookup": "https://x/?api_key=3f9a77c1d2"}},
            "connection.rerun.lookup",
        ),
    ],
)
def test_a_secret_is_refused_by_its_place_and_not_repeated(connection: dict[str, Any], place: str) -> None:
    ((where, mend),) = places(entry(connection))
    assert where == place
    assert mend == "a secret does not stand here: name where it stands, as {file: /path} or {env: NAME}"


def test_a_token_that_is_written_out_is_refused_without_repeating_it() -> None:
    found = places(entry({**JOB, "token": "hunter2-in-clear"}))
    assert [place for place, _ in found] == ["connection.http_job.token"]
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("fields", "place", "says"),
    [
        (
            {"allow": ["recover_servise"]},
            "allow.0",
            "there is no strategy 'recover_servise'; did you mean recover_service?",
        ),
        ({"defaults": {"magic": {}}}, "defaults.magic", "there is no strategy 'magic'"),
        (
            {"defaults": {"retry_with_exponential_backoff": {"tries": 9}}},
            "defaults.retry_with_exponential_backoff.tries",
            "Input should be less than or equal to 5",
        ),
        ({"name": "lo\nad"}, "name", "system, kind, name and environment are plain text"),
        ({"nmae": "x"}, "nmae", "Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_told(fields: dict[str, Any], place: str, says: str) -> None:
    assert places(entry(JOB, **fields)) == [(place, says)]


def test_a_body_that_goes_too_deep() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    body = entry(JOB, defaults={"recover_service": {"tries": deep}})
    assert "this is nested too deeply" in [says for _, says in places(body)]


@pytest.mark.parametrize("connection", [CREDENTIAL, PROCESS])
def test_programs_are_those_that_the_settings_name(connection: dict[str, Any]) -> None:
    found = places(entry(connection), ())
    assert len(found) == (4 if connection is CREDENTIAL else 1)
    assert all("is none of MENDLINE_SYSTEMS__COMMANDS" in says for _, says in found)
    assert check(entry(connection), ("vaultctl", "login-works", "run-it"))
    assert check(entry(JOB), ())


def test_what_is_shown_holds_no_secret() -> None:
    """The file may hold some."""
    connection = {**CREDENTIAL, "check": ["works", "--password", "hunter2"]}
    connection["rerun"] = {**JOB, "run": "https://ada:hunter2@jobs.internal/", "token": {"file": "/etc/t"}}
    for one in (connection, {**TABLE, "url": "sqlite:///hunter2"}):
        shown = register.shown(RegisteredTarget.model_validate(entry(one)))
        assert "hunter2" not in str(shown)
        assert shown["connection"]["type"] == one["type"]
    shown = register.shown(RegisteredTarget.model_validate(entry(connection)))
    assert shown["connection"]["rerun"]["token"] == {"file": "/etc/t"}
    assert shown["connection"]["issue"] == {"run": ["vaultctl", "rotate", "{key}"]}
