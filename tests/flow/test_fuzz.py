"""Whatever is sent to the API, it answers as its own description says, and never breaks."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.scenes import SECRET, Job
from tests.server import Body, Mendline, install

pytestmark = pytest.mark.server

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mendline]:
    """A server of its own: it is paused and flooded here."""
    site = install(tmp_path_factory.mktemp("fuzzed"), intake__alertmanager_secret=SECRET)
    try:
        site.start()
        yield site
    finally:
        site.end()


LIMITS = settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


@pytest.fixture(scope="module")
def known(fuzzed: Mendline) -> Body:
    """Ids of things that are there, by the name of their path parameter."""
    # Nobody listens there; it is never asked before somebody approves.
    connection = {"type": "http_job", "run": "http://127.0.0.1:9/runs"}
    target = fuzzed.register("nightly-load", connection, Job.strategy, environment="ask")
    event = fuzzed.api.post("/events", {"message": Job.message, "target": target})
    return {
        "event_id": event["event_id"],
        "incident_id": event["incident_id"],
        "approval_id": fuzzed.api.asked(event["incident_id"])["id"],
        "remediation_id": "rem_1",
        "runbook_id": "upstream-answers-502",
        "source": "alertmanager",
        "key": "shop/http_job/nightly-load@ask",
    }


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda m: m.value)
def test_it_answers_as_described(
    fuzzed: Mendline, known: Body, subtests: pytest.Subtests, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_url(f"{fuzzed.url}/api/v1/openapi.json")
    headers = {"Authorization": f"Bearer {fuzzed.key}"}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @LIMITS
        def answers(case: schemathesis.Case[Any]) -> None:
            if mode is GenerationMode.POSITIVE:
                case.path_parameters = {name: known[name] for name in case.path_parameters or {}}
            case.call_and_validate(headers=headers, checks=CHECKS, timeout=20)

        with subtests.test(operation.label):
            answers()
