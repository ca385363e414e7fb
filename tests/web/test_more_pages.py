"""Approvals, knowledge and settings as pages; filters of the list."""

import re
from datetime import timedelta

import pytest

from app.knowledge import store
from app.people.person import Role
from app.remediation import approve
from app.remediation.approve import Answer
from tests import situations
from tests.diagnosis import small
from tests.web.conftest import Enter, World


def test_approvals_show_the_plan_and_take_the_answer(world: World, enter: Enter) -> None:
    incident_id, approval_id = world.asked(title="checkout is slow")
    browser = enter(Role.APPROVER)
    page = browser.get("/approvals")
    for says in (
        *("checkout is slow", situations.plan().summary, situations.plan().hash, "nothing to undo", "low"),
        *("expires in 1 h", "It waits for one person", "more clean outcomes"),
    ):
        assert says in page.text
    assert f"/incidents/{incident_id}#approval" in page.links()
    seen = browser.submit(page, f"/approvals/{approval_id}", {"answer": "approved"}, reason="go")
    assert seen.address.endswith("/approvals")
    assert "You approved." in seen.text
    assert "No plan waits for a person." in seen.text
    with world.database.reading() as session:
        given = approve.get(session, approval_id)
    assert (given.answer, given.reason) == (Answer.APPROVED, "go")
    assert world.answered == [approval_id]


def test_who_may_not_approve_only_reads(world: World, enter: Enter) -> None:
    _, approval_id = world.asked()
    browser = enter(Role.OPERATOR)
    page = browser.get("/approvals")
    assert "answering takes the role approver" in page.text
    token = page.form("/sign-out")["csrf"]
    fields = {"csrf": token, "answer": "approved", "plan_hash": situations.plan().hash}
    assert browser.post(f"/approvals/{approval_id}", fields).status == 403
    assert world.answered == []


def _titles(text: str) -> list[str]:
    return re.findall(r"made \d", text)


def test_filters_narrow_the_list_and_stay_in_its_addresses(world: World, enter: Enter) -> None:
    for number, severity in enumerate(("error", "warning", "warning")):
        target = situations.TARGET.model_copy(update={"name": f"n{number}", "owner": f"team-{number}"})
        world.clock.advance(timedelta(seconds=1))
        made = world.incident(f"made {number}", severity=severity, target=target)
        world.diagnose(made, type="quota_exceeded" if number else "network_timeout")
    browser = enter(Role.VIEWER)
    assert _titles(browser.get("/?severity=warning").text) == ["made 2", "made 1"]
    assert _titles(browser.get("/?type=network_timeout&since=1h").text) == ["made 0"]
    page = browser.get("/?severity=warning&owner=team-1&search=made")
    assert _titles(page.text) == ["made 1"]
    assert "Filters 2 set" in page.text
    assert "/?state=firing&severity=warning&owner=team-1&search=made" in page.links()
    assert "/?search=made" in page.links()


@pytest.mark.parametrize("query", ["severity=loud", "since=1y", "search=a&after=nonsense"])
def test_a_filter_that_is_none_is_told(enter: Enter, query: str) -> None:
    assert enter(Role.VIEWER).get(f"/?{query}").status == 422


def _known(world: World) -> None:
    for case in small.cases()[:30]:
        world.retriever.add_case(case, world.retriever.embed(case.text))
        with world.database.writing() as session:
            store.add(session, case)


def test_cases_are_paged_filtered_and_found_by_meaning(world: World, enter: Enter) -> None:
    _known(world)
    browser = enter(Role.VIEWER)
    page = browser.get("/knowledge")
    assert "30 past cases in force" in page.text
    (older,) = [link for link in page.links() if "below=" in link]
    assert browser.get(older).text.count("it was mended") == 5
    rows = browser.get("/knowledge?type=network_timeout").text.partition("Learned")[2]
    assert "quota_exceeded" not in rows
    assert rows.count("network_timeout") == 13
    found = browser.get("/knowledge?search=connection+to+orders+timed+out+after+30+s")
    first = found.text.partition("Nearness")[2]
    assert first.strip().startswith("connection to orders timed out after 30 s")


def test_a_correction_is_given_and_not_asked_for_again(world: World, enter: Enter) -> None:
    _known(world)
    for number in range(3):
        made = world.incident(f"the tape robot lost arm {number}", fingerprint=f"{number}")
        world.diagnose(made, type="unknown_error", confidence=0.3, excerpt="the tape robot lost its arm")
    browser = enter(Role.OPERATOR)
    page = browser.get("/knowledge/corrections")
    assert "3 incidents alike" in page.text
    (to,) = {to for to, _ in page.forms if to.startswith("/knowledge/corrections/")}
    seen = browser.post(to, page.form(to) | {"type": "configuration_error"})
    assert "Learned as configuration_error." in seen.text
    assert "Nothing to ask" in seen.text
    assert "There is no type 'x'" in browser.post(to, page.form(to) | {"type": "x"}).text
    viewer = enter(Role.VIEWER)
    token = viewer.get("/knowledge/corrections").form("/sign-out")["csrf"]
    assert viewer.post(to, {"csrf": token, "type": "configuration_error"}).status == 403


def test_the_settings_tell_no_secret(enter: Enter) -> None:
    page = enter(Role.OPERATOR).get("/settings")
    assert "MENDLINE_DB__URL set changed" in page.text
    assert "MENDLINE_PEOPLE__WEBHOOKS https://hooks.test/" in page.text
    assert "MENDLINE_DECISION__ACT_AT 0.75 default" in page.text
    for secret in ("hunter2", "xoxtoken", "db.internal"):
        assert secret not in page.body
    assert enter(Role.VIEWER).get("/settings").status == 403
