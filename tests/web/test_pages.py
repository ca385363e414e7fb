"""The pages, through a browser's eyes: who gets in, what a click does, and what hostile text cannot do."""

import re
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from app.decision import store as decisions
from app.decision.decision import Allows, Effect, Verdict
from app.decision.plan import Step
from app.diagnosis.diagnosis import Choice, Evidence, EvidenceKind, Finding
from app.incidents import store as incidents
from app.incidents.incident import State
from app.incidents.lifecycle import advance
from app.intake.event import Target
from app.knowledge import store as knowledge
from app.people.person import Role
from app.remediation import approve, store
from app.remediation.approve import Answer
from app.remediation.outcome import Ended, Outcome
from app.remediation.store import Kind
from app.remediation.strategy import Receipt, Snapshot
from app.web.pages import shown
from app.web.pages.remembered import Remembered
from app.web.security import revoke_key
from app.web.tables import ApiKeyRow
from tests import situations
from tests.web.conftest import Browser, Enter, Seen, World, runbook_text

PAGES = ("/", "/runbooks", "/strategies", "/shadow", "/calibration")


# --- signing in -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/incidents/inc_1", "/runbooks/x", "/?state=firing&search=a+b"])
def test_a_stranger_is_led_to_the_door_and_back(world: World, stranger: Browser, path: str) -> None:
    seen = stranger.get(path)
    assert seen.status == 200
    assert seen.address.split("?")[0].endswith("/sign-in")
    assert unquote(seen.address.split("next=")[1]) == path
    entered = stranger.submit(seen, "/sign-in", key=world.key(Role.VIEWER))
    assert entered.address.endswith(path)


@pytest.mark.parametrize("key", ["", "mend_wrong", "é", "x" * 200])
def test_a_wrong_key_opens_nothing(stranger: Browser, key: str) -> None:
    seen = stranger.sign_in(key)
    assert seen.status == 401
    assert "not known or was revoked" in seen.text
    assert stranger.get("/").address.endswith("/sign-in?next=%2F")


def test_a_key_that_only_sends_events_opens_nothing(world: World, stranger: Browser) -> None:
    seen = stranger.sign_in(world.key(Role.INGEST))
    assert seen.status == 403
    assert "only sends events" in seen.text
    assert "/sign-in" in stranger.get("/").address


def test_the_cookie_is_for_this_site_and_no_script(world: World, stranger: Browser) -> None:
    page = stranger.get("/sign-in")
    fields = page.form("/sign-in") | {"key": world.key(Role.VIEWER)}
    answer = stranger.client.post("/sign-in", data=fields, follow_redirects=False)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("mendline_session="))
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "Max-Age=43200" in cookie
    assert "secure" not in cookie.lower()


def test_the_cookie_stays_on_tls(world: World) -> None:
    client = TestClient(world.app, base_url="https://mendline.test")
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/sign-in").text)
    assert token
    fields = {"csrf": token[1], "key": world.key(Role.VIEWER)}
    answer = client.post("/sign-in", data=fields, follow_redirects=False)
    assert all("; Secure" in cookie for cookie in answer.headers.get_list("set-cookie") if "=ey" in cookie)
    assert client.get("/").status_code == 200


def test_a_session_ends_in_time(world: World, enter: Enter) -> None:
    browser = enter(Role.VIEWER)
    world.clock.advance(timedelta(hours=11, minutes=59))
    assert browser.get("/").address.endswith("/")
    world.clock.advance(timedelta(minutes=2))
    assert "/sign-in" in browser.get("/").address


def test_a_revoked_key_ends_its_sessions_at_once(world: World, stranger: Browser) -> None:
    stranger.sign_in(world.key(Role.ADMIN, "ada"))
    assert stranger.get("/").address.endswith("/")
    with world.database.writing() as session:
        revoke_key(session, "ada", world.clock.now())
    assert "/sign-in" in stranger.get("/").address


def test_a_changed_cookie_is_no_session(world: World, enter: Enter) -> None:
    browser = enter(Role.VIEWER)
    good = browser.client.cookies["mendline_session"]
    body, _, seal = good.rpartition(".")
    other = "A" if seal[0] != "A" else "B"
    for forged in (f"{body}.{other}{seal[1:]}", f"A{good}", good.split(".")[0], body, "", "é"):
        browser.client.cookies.clear()
        answer = browser.client.get("/", headers={"cookie": f"mendline_session={forged}".encode("latin-1")})
        assert "/sign-in" in str(answer.url), forged


def test_the_token_of_the_door_is_no_session(world: World, stranger: Browser) -> None:
    stranger.get("/sign-in")
    door = stranger.client.cookies["mendline_door"]
    stranger.client.cookies.clear()
    answer = stranger.client.get("/", headers={"cookie": f"mendline_session={door}"})
    assert "/sign-in" in str(answer.url)


def test_signing_out(enter: Enter) -> None:
    browser = enter(Role.VIEWER)
    seen = browser.submit(browser.get("/"), "/sign-out")
    assert seen.address.endswith("/sign-in")
    assert "/sign-in" in browser.get("/").address


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.test",
        "https://evil.test/",
        "/\\evil.test",
        "\\\\evil.test",
        "/\t/evil.test",
        "/ /evil.test",
        "javascript:alert(1)",
        "evil.test",
        "",
        "/%0d%0aset-cookie:x",
        "/sign-in?next=//evil.test",
        "/\u0000",
        "/" + "a" * 600,
    ],
)
def test_signing_in_leads_nowhere_else(world: World, stranger: Browser, wanted: str) -> None:
    page = stranger.get(f"/sign-in?next={quote(wanted, safe='')}")
    fields = page.form("/sign-in") | {"key": world.key(Role.VIEWER), "next": wanted[:500]}
    answer = stranger.client.post("/sign-in", data=fields, follow_redirects=False)
    assert answer.status_code == 303
    to = answer.headers["location"]
    assert to.startswith("/")
    assert not to.startswith(("//", "/\\"))
    assert "evil" not in to
    assert "set-cookie:x" not in answer.headers


# --- forms ------------------------------------------------------------------------------------

FORMS = (
    "/sign-out",
    "/pause",
    "/incidents/inc_1/state",
    "/incidents/inc_1/correction",
    "/incidents/inc_1/answers/apr_1",
)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", [None, "", "wrong", "é", "\u202e"])
def test_a_form_without_its_token_does_nothing(enter: Enter, path: str, token: str | None) -> None:
    browser = enter(Role.ADMIN)
    fields = {"to": "paused", "answer": "approved"} | ({} if token is None else {"csrf": token})
    seen = browser.post(path, fields)
    assert seen.status == 403
    assert "out of date" in seen.text
    assert browser.get("/").address.endswith("/")


def test_the_token_of_another_session_does_not_count(world: World, enter: Enter) -> None:
    ada, eve = enter(Role.ADMIN), enter(Role.ADMIN)
    token = eve.get("/").form("/pause")["csrf"]
    assert ada.post("/pause", {"csrf": token, "to": "paused", "here": "/"}).status == 403
    with world.database.reading() as session:
        assert decisions.current(session) == ""


def test_signing_in_takes_the_token_too(world: World, stranger: Browser) -> None:
    key = world.key(Role.ADMIN)
    assert stranger.post("/sign-in", {"key": key}).status == 403
    stranger.get("/sign-in")
    assert stranger.post("/sign-in", {"key": key, "csrf": "wrong"}).status == 403
    assert "/sign-in" in stranger.get("/").address


@pytest.mark.parametrize("path", FORMS)
def test_a_stranger_posts_nothing(stranger: Browser, path: str) -> None:
    assert "/sign-in" in stranger.post(path, {"csrf": "x"}).address


@pytest.mark.parametrize(
    ("referer", "to"),
    [
        ("http://testserver/incidents/inc_1?a=b", "/incidents/inc_1?a=b"),
        ("https://evil.test//evil.test", "/"),
        ("", "/"),
    ],
)
def test_a_form_of_an_ended_session_leads_back_to_its_page(stranger: Browser, referer: str, to: str) -> None:
    seen = stranger.post("/pause", {"to": "paused"}, referer=referer)
    assert unquote(seen.address.split("next=")[1]) == to


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{}", "application/json", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a%d=1" % n for n in range(100)), "application/x-www-form-urlencoded", 422),
        (b"\xff\xfe=\xff&csrf=%ff%00", "application/x-www-form-urlencoded", 403),
    ],
)
def test_what_is_no_form_of_ours_is_refused(enter: Enter, body: bytes, media: str, status: int) -> None:
    browser = enter(Role.ADMIN)
    answer = browser.client.post("/pause", content=body, headers={"content-type": media})
    assert answer.status_code == status
    assert "<h1>" in answer.text


# --- approvals --------------------------------------------------------------------------------


def _answered(world: World, approval_id: str) -> approve.Approval:
    with world.database.reading() as session:
        return approve.get(session, approval_id)


def test_approving(world: World, enter: Enter) -> None:
    incident_id, approval_id = world.asked()
    browser = enter(Role.APPROVER)
    assert f"/incidents/{incident_id}#approval" in browser.get("/").links()
    to = f"/incidents/{incident_id}/answers/{approval_id}"
    page = browser.get(f"/incidents/{incident_id}")
    assert page.form(to, answer="approved")["plan_hash"] == situations.plan().hash
    seen = browser.submit(page, to, {"answer": "approved"}, reason="the  warehouse is back")
    assert seen.address.endswith(f"/incidents/{incident_id}")
    assert "You approved." in seen.text
    given = _answered(world, approval_id)
    assert (given.answer, given.actor, given.reason) == (
        Answer.APPROVED,
        "approver-1",
        "the  warehouse is back",
    )
    assert world.answered == [approval_id]
    assert "Acting on the answer" in seen.text
    assert "You approved." not in browser.get(f"/incidents/{incident_id}").text
    assert f"/incidents/{incident_id}#approval" not in browser.get("/").links()


def test_denying_with_the_right_type(world: World, enter: Enter) -> None:
    incident_id, approval_id = world.asked()
    browser = enter(Role.APPROVER)
    to = f"/incidents/{incident_id}/answers/{approval_id}"
    page = browser.get(f"/incidents/{incident_id}")
    seen = browser.submit(page, to, {"answer": "denied"}, reason="a quota", right_type="quota_exceeded")
    assert "diagnosed again, knowing that it is quota_exceeded" in seen.text
    given = _answered(world, approval_id)
    assert (given.answer, given.right_type) == (Answer.DENIED, "quota_exceeded")
    assert world.answered == [approval_id]


def test_denying_without_a_type(world: World, enter: Enter) -> None:
    incident_id, approval_id = world.asked()
    browser = enter(Role.APPROVER)
    to = f"/incidents/{incident_id}/answers/{approval_id}"
    seen = browser.submit(browser.get(f"/incidents/{incident_id}"), to, {"answer": "denied"})
    assert "nothing runs" in seen.text
    assert _answered(world, approval_id).right_type == ""


def test_the_second_answer_is_told_of_the_first(world: World, enter: Enter) -> None:
    incident_id, approval_id = world.asked()
    first, second = enter(Role.APPROVER), enter(Role.APPROVER)
    to = f"/incidents/{incident_id}/answers/{approval_id}"
    theirs, mine = first.get(f"/incidents/{incident_id}"), second.get(f"/incidents/{incident_id}")
    first.submit(theirs, to, {"answer": "denied"})
    for browser, page in ((first, theirs), (second, mine)):
        seen = browser.submit(page, to, {"answer": "approved"})
        assert seen.status == 200
        assert seen.address.endswith(f"/incidents/{incident_id}")
        assert "Approver-1 has answered already: denied at 2026-11-20 12:00:00 UTC." in seen.text
    assert _answered(world, approval_id).answer is Answer.DENIED
    assert world.answered == [approval_id]


@pytest.mark.parametrize("given", ["", "0000000000000000", "x" * 64])
def test_an_answer_is_bound_to_the_plan_that_was_read(world: World, enter: Enter, given: str) -> None:
    incident_id, approval_id = world.asked()
    browser = enter(Role.APPROVER)
    to = f"/incidents/{incident_id}/answers/{approval_id}"
    page = browser.get(f"/incidents/{incident_id}")
    seen = browser.submit(page, to, {"answer": "approved"}, plan_hash=given)
    assert "read it again" in seen.text
    assert _answered(world, approval_id).answer is None
    assert world.answered == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"answer": "expired"}, "Answer with approved or denied."),
        ({"answer": ""}, "Answer with approved or denied."),
        ({"answer": "denied", "right_type": "nonsense"}, "There is no type 'nonsense'"),
        ({"answer": "approved", "right_type": "quota_exceeded"}, "do not go together"),
        ({"answer": "denied", "reason": "x" * 1001}, "Reason has 1001 characters"),
    ],
)
def test_a_wrong_answer_is_told_in_a_line(
    world: World, enter: Enter, fields: dict[str, str], says: str
) -> None:
    incident_id, approval_id = world.asked()
    browser = enter(Role.APPROVER)
    to = f"/incidents/{incident_id}/answers/{approval_id}"
    seen = browser.submit(browser.get(f"/incidents/{incident_id}"), to, **fields)
    assert says in seen.text
    assert _answered(world, approval_id).answer is None


def test_what_was_not_answered_in_time_has_no_form(world: World, enter: Enter) -> None:
    incident_id, approval_id = world.asked()
    browser = enter(Role.APPROVER)
    page = browser.get(f"/incidents/{incident_id}")
    world.clock.advance(timedelta(hours=1))
    late = browser.submit(page, f"/incidents/{incident_id}/answers/{approval_id}", {"answer": "approved"})
    assert "This approval expired at 2026-11-20 13:00:00 UTC." in late.text
    assert "not answered in time" in late.text
    assert not any("/answers/" in to for to, _ in late.forms)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_approve_sees_no_form_and_is_refused(world: World, enter: Enter, role: Role) -> None:
    incident_id, approval_id = world.asked()
    browser = enter(role)
    page = browser.get(f"/incidents/{incident_id}")
    assert "May this run?" in page.text
    assert "answering takes the role approver" in page.text
    assert not any("/answers/" in to for to, _ in page.forms)
    fields = {"csrf": page.form("/sign-out")["csrf"], "answer": "approved"}
    fields["plan_hash"] = situations.plan().hash
    seen = browser.post(f"/incidents/{incident_id}/answers/{approval_id}", fields)
    assert seen.status == 403
    assert "needs the scope approve" in seen.text
    assert _answered(world, approval_id).answer is None


def test_a_viewer_sees_no_forms_of_operators(world: World, enter: Enter) -> None:
    incident_id = world.incident()
    browser = enter(Role.VIEWER)
    page = browser.get(f"/incidents/{incident_id}")
    assert {to for to, _ in page.forms} == {"/sign-out"}
    token = page.form("/sign-out")["csrf"]
    for path in (f"/incidents/{incident_id}/state", f"/incidents/{incident_id}/correction", "/pause"):
        seen = browser.post(path, {"csrf": token, "to": "resolved", "type": "quota_exceeded"})
        assert seen.status == 403
    with world.database.reading() as session:
        assert incidents.get(session, incident_id).state is State.FIRING


# --- incidents --------------------------------------------------------------------------------


def _incidents(page: Seen) -> list[str]:
    return [link.removeprefix("/incidents/") for link in page.links() if re.match("/incidents/[^#]+$", link)]


def test_paging_shows_every_incident_once(world: World, enter: Enter) -> None:
    made = []
    for n in range(61):
        if n % 3:
            world.clock.advance(timedelta(seconds=1))  # some were last seen in the same moment
        made.append(world.incident(fingerprint=str(n)))
    browser = enter(Role.VIEWER)
    page = browser.get("/")
    found = _incidents(page)
    assert len(found) == 25
    pages = 1
    while more := [link for link in page.links() if "after=" in link]:
        page = browser.get(more[0])
        found += _incidents(page)
        pages += 1
        assert "/" in page.links()
    assert pages == 3
    assert len(found) == len(set(found)) == 61
    assert set(found) == set(made)
    with world.database.reading() as session:
        seen = [incidents.get(session, incident_id).last_seen for incident_id in found]
    assert seen == sorted(seen, reverse=True)


def test_filtering_and_searching(world: World, enter: Enter) -> None:
    shop = world.incident(title="checkout is slow", fingerprint="a")
    rows = world.incident(
        title="too many rows", target=Target(system="dbt", name="orders & co"), fingerprint="b"
    )
    with world.database.writing() as session:
        advance(session, rows, State.RESOLVED, actor="ada", reason="done", at=world.clock.now())
    browser = enter(Role.VIEWER)
    assert set(_incidents(browser.get("/"))) == {shop, rows}
    assert _incidents(browser.get("/?state=firing")) == [shop]
    assert _incidents(browser.get("/?state=resolved")) == [rows]
    assert _incidents(browser.get("/?search=CHECKOUT")) == [shop]
    assert _incidents(browser.get("/?search=orders+%26")) == [rows]
    assert _incidents(browser.get("/?search=orders&state=firing")) == []
    page = browser.get("/?state=resolved&search=orders+%26")
    assert _incidents(page) == [rows]
    assert page.form("/") == {"state": "resolved", "search": "orders &", "": ""} or "orders &" in str(
        page.forms
    )
    assert "/?state=firing&search=orders+%26" in page.links()
    assert "firing 1" in page.text
    assert "resolved 1" in page.text


def test_a_row_says_what_is_known(world: World, enter: Enter) -> None:
    incident_id = world.incident(title="checkout is slow", severity="critical")
    world.incident(title="checkout is slow", severity="critical")
    world.diagnose(incident_id, confidence=0.874)
    world.clock.advance(timedelta(minutes=3))
    page = enter(Role.VIEWER).get("/")
    assert "critical checkout is slow shop/job/nightly-load@staging firing network_timeout 87 %" in page.text
    assert "2 events 3 min ago" in page.text
    assert (
        "time",
        {"datetime": "2026-11-20T12:00:00+00:00", "title": "2026-11-20 12:00:00 UTC"},
    ) in page.tags


def test_an_empty_list_says_what_to_do(enter: Enter) -> None:
    browser = enter(Role.VIEWER)
    assert "Send an event to POST /api/v1/events" in browser.get("/").text
    assert "No incident matches." in browser.get("/?search=nothing").text


def test_many_waiting_plans_are_counted(world: World, enter: Enter) -> None:
    for n in range(7):
        world.asked(fingerprint=str(n))
    page = enter(Role.VIEWER).get("/")
    assert "7 plans wait for a person" in page.text
    assert len([link for link in page.links() if link.endswith("#approval")]) == 5
    assert "2 more come after them" in page.text


@pytest.mark.parametrize("query", ["state=nonsense", "after=nonsense", "after=2026-11-20~inc_1"])
def test_a_wrong_query_is_told_on_a_page(enter: Enter, query: str) -> None:
    seen = enter(Role.VIEWER).get(f"/?{query}")
    assert seen.status == 422
    assert "<h1>Invalid</h1>" in seen.body


@pytest.mark.parametrize("query", ["search=%00", "search=%25%27%22", "search=" + "x" * 5000, "search=%ff"])
def test_any_search_is_answered(world: World, enter: Enter, query: str) -> None:
    world.incident()
    assert enter(Role.VIEWER).get(f"/?{query}").status == 200


# --- the trail --------------------------------------------------------------------------------


def _repaired(world: World) -> str:
    incident_id = world.incident()
    world.diagnose(incident_id)
    decision = world.decide(incident_id, Effect.ACT, says="runs it without asking: no gate objects")
    repair = world.begin(decision)
    lines = (
        (Kind.SNAPSHOT, 0, Snapshot().model_dump_json()),
        (Kind.INTENT, 0, decision.plan.steps[0].model_dump_json() if decision.plan else ""),
        (Kind.RECEIPT, 0, Receipt(step=0, says="began run run-7").model_dump_json()),
        (Kind.CHECK, 0, '{"how":"verified","says":"run run-7 succeeded"}'),
    )
    with world.database.writing() as session:
        for kind, step, body in lines:
            world.clock.advance(timedelta(seconds=1))
            store.note(session, repair, kind, step, world.clock.now(), body)
    return incident_id


def test_the_trail_follows_a_repair_and_tells_its_end(world: World, enter: Enter) -> None:
    incident_id = _repaired(world)
    browser = enter(Role.VIEWER)
    page = browser.get(f"/incidents/{incident_id}")
    assert "data-doing" in page.body
    assert "Repairing with retry_with_exponential_backoff" in page.text
    assert "12:00:03 step 1 done began run run-7" in page.text
    with world.database.reading() as session:
        (repair,) = store.of_incident(session, incident_id)
    ended = Outcome(
        remediation_id=repair.id,
        incident_id=incident_id,
        strategy=repair.strategy,
        target=repair.target,
        ended=Ended.VERIFIED,
        at=world.clock.now(),
        says="run run-7 succeeded",
    )
    with world.database.writing() as session:
        store.end(session, ended)
        advance(session, incident_id, State.RESOLVED, actor="strategy:retry", reason="fixed", at=ended.at)
    page = browser.get(f"/incidents/{incident_id}")
    assert "data-doing" not in page.body
    assert "verified retry_with_exponential_backoff : run run-7 succeeded" in page.text
    assert "firing → resolved" in page.text
    assert repair.plan.hash in page.text


def test_the_trail_shows_why(world: World, enter: Enter) -> None:
    incident_id = world.incident()
    findings = (
        Finding(scorer="own_cases@1", scores={}, contributes=False, hint="no case is near"),
        Finding(
            scorer="runbook_sections@1",
            scores={"network_timeout": 0.5},
            contributes=True,
            hint="runbooks point to it",
            evidence=(
                Evidence(kind=EvidenceKind.RUNBOOK, ref="slow-db#fix", quote="run it again", weight=0.7),
                Evidence(
                    kind=EvidenceKind.CASE, ref="case-7", quote="timed out", weight=0.9, says="it helped"
                ),
            ),
        ),
    )
    world.diagnose(incident_id, findings=findings, runbook="slow-db#fix", confidence=0.6)
    verdicts = (
        Verdict(gate="pause", allows=Allows.ALLOW, reason="a", says="nobody paused"),
        Verdict(gate="cap", allows=Allows.ASK, reason="b", says="many already"),
        Verdict(gate="freeze", allows=Allows.BLOCK, reason="c", says="a freeze"),
    )
    world.decide(incident_id, Effect.ESCALATE, verdicts=verdicts)
    page = enter(Role.VIEWER).get(f"/incidents/{incident_id}")
    order = [page.text.index(says) for says in ("a freeze", "many already", "nobody paused")]
    assert order == sorted(order)
    assert page.text.index("runbooks point to it") < page.text.index("no case is near")
    assert "/runbooks/slow-db#fix" in page.links()
    assert "recover_service: the target does not allow it" in page.text
    assert "because when nothing better can be done, a person is told" in page.text
    assert "runs it again after 1 s" in page.text
    assert situations.plan().hash in page.text


def test_what_is_not_diagnosed_says_what_it_waits_for(world: World, enter: Enter) -> None:
    incident_id = world.incident()
    world.ready = {"diagnosis": "embedding cases, 3 of 9"}
    page = enter(Role.OPERATOR).get(f"/incidents/{incident_id}")
    assert "Diagnosing (waiting: embedding cases, 3 of 9)" in page.text
    assert "data-doing" in page.body


def test_moving_an_incident(world: World, enter: Enter) -> None:
    incident_id = world.incident()
    browser = enter(Role.OPERATOR)
    to = f"/incidents/{incident_id}/state"
    page = browser.get(f"/incidents/{incident_id}")
    seen = browser.submit(page, to, to="acknowledged", reason="on it")
    assert "The incident is acknowledged." in seen.text
    assert "operator-1 : on it" in seen.text
    assert "The incident is acknowledged." in browser.submit(page, to, to="acknowledged").text
    assert "The incident is resolved." in browser.submit(seen, to, to="resolved").text
    wrong = browser.submit(seen, to, to="suppressed")
    assert "An incident that is resolved cannot become suppressed." in wrong.text
    assert "There is no state 'gone'." in browser.submit(seen, to, to="gone").text
    with world.database.reading() as session:
        assert incidents.get(session, incident_id).state is State.RESOLVED


def test_correcting_the_type(world: World, enter: Enter) -> None:
    incident_id = world.incident()
    browser = enter(Role.OPERATOR)
    to = f"/incidents/{incident_id}/correction"
    page = browser.get(f"/incidents/{incident_id}")
    assert "There is no type 'nonsense'" in browser.submit(page, to, type="nonsense").text
    world.ready = {"diagnosis": "learning from 9 cases"}
    assert "Cannot learn yet: learning from 9 cases." in browser.submit(page, to, type="test_failure").text
    world.ready = {}
    world.diagnose(incident_id)
    seen = browser.submit(page, to, type="test_failure", reason="it is a test")
    assert "Learned as test_failure." in seen.text
    assert "operator-1 says it is test_failure : it is a test" in seen.text
    with world.database.reading() as session:
        ((_, case),) = knowledge.newer(session, 0, 10)
    assert (case.type, case.incident_id, case.resolution) == ("test_failure", incident_id, "it is a test")


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/incidents/inc_nope", "/runbooks/nope", "/nope", "/incidents/", "/a/%2e%2e/b"]
)
def test_what_is_not_there_is_a_small_page(enter: Enter, path: str) -> None:
    seen = enter(Role.VIEWER).get(path)
    assert seen.status == 404
    assert seen.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Not found</h1>" in seen.body
    assert "default-src 'self'" in seen.headers["content-security-policy"]


def test_posting_to_what_is_not_there(enter: Enter) -> None:
    browser = enter(Role.ADMIN)
    token = browser.get("/").form("/pause")["csrf"]
    for path in (
        "/incidents/inc_no/state",
        "/incidents/inc_no/correction",
        "/incidents/inc_no/answers/apr_no",
    ):
        seen = browser.post(
            path,
            {"csrf": token, "to": "resolved", "type": "test_failure", "answer": "denied", "plan_hash": "x"},
        )
        assert seen.status == 404
        assert "there is no" in seen.text


@pytest.mark.parametrize("path", ["/api/v1/nope", "/api/v1/incidents", "/api/v1/incidents/inc_nope"])
def test_the_api_keeps_its_problems(stranger: Browser, path: str) -> None:
    seen = stranger.get(path)
    assert seen.status in (401, 404)
    assert seen.headers["content-type"] == "application/problem+json"


def test_a_session_is_no_key_of_the_api(enter: Enter) -> None:
    assert enter(Role.ADMIN).get("/api/v1/incidents").status == 401


def test_a_method_that_is_not_there(enter: Enter) -> None:
    assert enter(Role.ADMIN).post("/runbooks", {}).status == 405


def test_a_defect_of_ours_is_a_page_without_a_traceback(world: World, enter: Enter) -> None:
    browser = enter(Role.ADMIN)
    with world.database.writing() as session:
        session.exec(select(ApiKeyRow)).one().role = "nonsense"
    seen = browser.get("/")
    assert seen.status == 500
    assert "something in Mendline is broken" in seen.text
    assert "Traceback" not in seen.body
    assert "nonsense" not in seen.body


def test_every_answer_has_the_headers(world: World, enter: Enter) -> None:
    browser = enter(Role.VIEWER)
    for path in (*PAGES, "/nope", "/api/v1/incidents", "/static/pages.css"):
        headers = browser.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
    policy = browser.get("/").headers["content-security-policy"]
    for part in ("default-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert browser.get("/").headers["cache-control"] == "no-store"


# --- the pause switch -------------------------------------------------------------------------


def test_pausing_and_resuming(world: World, enter: Enter) -> None:
    (world.shelf / "slow.md").write_text(runbook_text("slow"))
    incident_id = world.incident()
    browser, viewer = enter(Role.OPERATOR), enter(Role.VIEWER)
    page = browser.get("/runbooks/slow")
    assert "Repairs on" in page.text
    seen = browser.submit(page, "/pause", reason="an audit")
    assert seen.address.endswith("/runbooks/slow")
    assert "Repairs are paused. What is under way" in seen.text
    for path in (*PAGES, "/runbooks/slow", f"/incidents/{incident_id}"):
        for who in (browser, viewer):
            assert "Repairs are paused by operator-1: an audit" in who.get(path).text
    assert not any(to == "/pause" for to, _ in viewer.get("/").forms)
    seen = browser.submit(browser.get("/?search=a"), "/pause", {"to": "running"})
    assert seen.address.endswith("/?search=a")
    assert "Repairs go on." in seen.text
    assert "Repairs on" in viewer.get("/").text


@pytest.mark.parametrize("here", ["//evil.test", "https://evil.test", "", "/\\evil.test"])
def test_the_switch_leads_nowhere_else(world: World, enter: Enter, here: str) -> None:
    browser = enter(Role.OPERATOR)
    fields = browser.get("/").form("/pause") | {"here": here}
    answer = browser.client.post("/pause", data=fields, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_the_switch_knows_two_places(enter: Enter) -> None:
    browser = enter(Role.OPERATOR)
    assert (
        "Turn the switch to paused or running." in browser.submit(browser.get("/"), "/pause", to="off").text
    )


# --- knowledge --------------------------------------------------------------------------------


def test_runbooks_and_their_mistakes(world: World, enter: Enter) -> None:
    (world.shelf / "slow.md").write_text(runbook_text("slow"))
    (world.shelf / "broken.md").write_text(runbook_text("other"))
    browser = enter(Role.VIEWER)
    page = browser.get("/runbooks")
    assert "1 in force" in page.text
    assert "1 mistake in runbook files" in page.text
    assert "broken.md:2 the id 'other' is not the file's name 'broken' not in force" in page.text
    assert "/runbooks/slow" in page.links()
    assert "has mistakes" in browser.get("/runbooks/broken").text


def test_a_runbook_is_rendered_with_anchors_and_without_html(world: World, enter: Enter) -> None:
    body = (
        "Say **so**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\n<b>x</b>\n```\n\n"
        "<script>alert(1)</script> <img src=x onerror=alert(1)>\n\n"
        "[go](javascript:alert(1)) [ok](https://ok.test/) ![pic](https://pics.test/a.png) "
        "[data](data:text/html,x) <javascript:alert(1)>\n\n\u202ebackwards"
    )
    (world.shelf / "slow.md").write_text(runbook_text("slow", body=body))
    page = enter(Role.VIEWER).get("/runbooks/slow")
    assert "<strong>so</strong>" in page.body
    assert "<td>2</td>" in page.body
    assert {"#roll-back", "#fix", "https://ok.test/"} <= set(page.links())
    assert {given.get("id") for _, given in page.tags} >= {
        "symptoms",
        "confirm",
        "fix",
        "roll-back",
        "seen-in",
    }
    assert {"rel": "noopener noreferrer nofollow", "href": "https://ok.test/"} in [
        g for t, g in page.tags if t == "a"
    ]
    _harmless(page)


def test_strategies_show_their_record(world: World, enter: Enter) -> None:
    with world.database.writing() as session:
        for n in range(17):
            outcome = Outcome(
                remediation_id=f"rem_{n}",
                incident_id="inc_1",
                strategy=situations.RETRY,
                target="t",
                ended=Ended.VERIFIED if n < 14 else Ended.UNDONE,
                at=world.clock.now(),
                says="so",
            )
            store.end(session, outcome)
    page = enter(Role.VIEWER).get("/strategies")
    assert "14 of 17" in page.text
    assert "57 % to 96 %" in page.text
    assert "85 %" in page.text
    assert "not registered here" in page.text


def test_the_reference_of_the_api_needs_no_other_host(stranger: Browser) -> None:
    pytest.importorskip("fastapi_offline")
    page = stranger.get("/docs")
    assert page.status == 200
    loaded = [
        given.get("src") or given.get("href") or "" for tag, given in page.tags if tag in ("script", "link")
    ]
    assert len(loaded) == 4
    for address in loaded:
        assert address.startswith("/")
        assert stranger.get(address).status == 200
    assert all(given.get("src") for tag, given in page.tags if tag == "script")
    assert "script-src" not in page.headers["content-security-policy"]


def test_static_files_are_kept_under_their_content_s_mark(stranger: Browser) -> None:
    page = stranger.get("/sign-in")
    (sheet,) = (g["href"] for t, g in page.tags if t == "link" and g.get("rel") == "stylesheet")
    assert re.fullmatch(r"/static/pages\.css\?v=[0-9a-f]{12}", sheet or "")
    assert "immutable" in stranger.get(sheet or "").headers["cache-control"]
    assert stranger.get("/static/../render.py").status == 404
    assert stranger.get("/static/%2e%2e/render.py").status == 404


# --- hostile text -----------------------------------------------------------------------------

HEBREW = "\u05e9\u05dc\u05d5\u05dd"
EVIL = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    f"{{{{7919*7907}}}}\u202egnp.exe\x1b[31m\x00\x07{HEBREW}"
)


def _harmless(page: Seen) -> None:
    """No tag, attribute or address that text could have brought."""
    own = [given for tag, given in page.tags if tag == "script"]
    assert len(own) == 1
    assert (own[0].get("src") or "").startswith("/static/pages.js")
    for tag, given in page.tags:
        assert tag not in ("img", "iframe", "object", "embed", "base", "style", "b")
        for name, value in given.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style"
            if name in ("href", "src", "action", "formaction"):
                assert re.match(r"/(?!/)|#|https?://", value or "/"), (tag, value)
    assert str(7919 * 7907) not in page.text  # the template language in the text was not run
    for char in "\u202e\x1b\x07\x00":
        assert char not in page.body


def _hostile(world: World, waiting: bool) -> str:
    url = "javascript:alert(document.domain)"
    target = Target(system=EVIL, kind=EVIL, name=EVIL, environment=EVIL, owner=EVIL, url=url)
    incident_id = world.incident(
        EVIL,
        title=EVIL,
        target=target,
        source=EVIL,
        job_id=EVIL,
        run_id=EVIL,
        log_url=url,
        labels={EVIL: EVIL, "a": url},
        fingerprint=EVIL,
    )
    evidence = tuple(
        Evidence(kind=kind, ref=ref, quote=EVIL, weight=1, type=EVIL, says=EVIL)
        for kind in EvidenceKind
        for ref in (EVIL, f"{EVIL}#fix", "../x#y", "javascript:alert(1)#x")
    )
    world.diagnose(
        incident_id,
        type=EVIL,
        confidence=0.6,
        runbook=EVIL,
        scorer_set=EVIL,
        findings=(
            Finding(scorer=EVIL, scores={}, contributes=True, hint=EVIL, evidence=evidence),
            Finding(scorer=EVIL, scores={}, contributes=False, hint=EVIL),
        ),
        choices=(Choice(strategy=EVIL, serves=EVIL, expected=0.5, success=0.5, because=EVIL),),
    )
    plan = situations.plan(
        strategy=EVIL,
        version=EVIL,
        target=EVIL,
        params={EVIL: [EVIL]},
        summary=EVIL,
        verify=EVIL,
        undo=EVIL,
        steps=(Step(index=0, says=EVIL, does={}),),
    )
    verdicts = (
        Verdict(gate=EVIL, allows=Allows.ASK, reason=EVIL, says=EVIL, until=datetime(2027, 1, 1, tzinfo=UTC)),
    )
    told = {"plan": plan, "verdicts": verdicts, "says": EVIL, "considered": (EVIL,)}
    decision = world.decide(incident_id, **told)
    if waiting:
        return incident_id
    with world.database.writing() as session:
        (question,) = approve.waiting(session)
        approve.answer(
            session,
            question.id,
            Answer.APPROVED,
            actor=EVIL,
            at=world.clock.now(),
            reason=EVIL,
            right_type=EVIL,
        )
    repair = world.begin(world.decide(incident_id, Effect.ACT, **told), approved_by=EVIL)
    assert decision.plan
    with world.database.writing() as session:
        for kind in Kind:
            store.note(
                session, repair, kind, 0, world.clock.now(), Receipt(step=0, says=EVIL).model_dump_json()
            )
        outcome = Outcome(
            remediation_id=repair,
            incident_id=incident_id,
            strategy=EVIL,
            target=EVIL,
            ended=Ended.STUCK,
            at=world.clock.now(),
            says=EVIL,
            undone=EVIL,
        )
        store.end(session, outcome)
        advance(session, incident_id, State.RESOLVED, actor=EVIL, reason=EVIL, at=world.clock.now())
        decisions.pause(session, actor=EVIL, reason=EVIL, at=world.clock.now())
    world.parts.learn.correct(incident_id, "test_failure", actor=EVIL, reason=EVIL)
    return incident_id


@pytest.mark.parametrize("waiting", [True, False])
def test_hostile_text_is_only_text(world: World, stranger: Browser, waiting: bool) -> None:
    (world.shelf / "evil.md").write_text(
        runbook_text("evil", title=EVIL.replace("\x00", "").replace("\x1b", "").replace("\x07", ""))
    )
    incident_id = _hostile(world, waiting)
    stranger.sign_in(world.key(Role.ADMIN, EVIL))
    for path in ("/", f"/incidents/{incident_id}", "/runbooks", "/runbooks/evil", "/strategies"):
        page = stranger.get(path)
        assert page.status == 200, path
        _harmless(page)
        assert "<script>alert(1)</script>" in page.text, path
        assert "\\u202egnp.exe" in page.text, path
        assert HEBREW in page.text, path


@pytest.mark.parametrize(
    "path",
    ["/?search={}", "/?state={}", "/?after={}", "/incidents/{}", "/runbooks/{}", "/{}", "/sign-in?next=/{}"],
)
def test_hostile_addresses_are_only_text(world: World, enter: Enter, stranger: Browser, path: str) -> None:
    for browser in (enter(Role.ADMIN), stranger):
        page = browser.get(path.format(quote(EVIL, safe="")))
        assert page.status in (200, 404, 422)
        _harmless(page)


def test_hostile_answers_are_only_text(world: World, enter: Enter) -> None:
    incident_id, approval_id = world.asked()
    browser = enter(Role.ADMIN)
    page = browser.get(f"/incidents/{incident_id}")
    to = f"/incidents/{incident_id}/answers/{approval_id}"
    _harmless(browser.submit(page, to, {"answer": "denied"}, right_type=EVIL))
    _harmless(browser.submit(page, to, answer=EVIL))
    _harmless(browser.submit(page, f"/incidents/{incident_id}/state", to=EVIL))
    _harmless(browser.submit(page, f"/incidents/{incident_id}/state", to="resolved", reason=EVIL))
    _harmless(browser.submit(page, "/pause", reason=EVIL))
    _harmless(browser.get("/"))


# --- small parts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "now"),
        (1, "1 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (86_400 * 3, "3 d ago"),
        (86_400 * 30, "2026-10-21"),
        (-90, "in 1 min"),
    ],
)
def test_times_are_told_from_now(seconds: int, says: str) -> None:
    assert shown.ago(situations.NOW - timedelta(seconds=seconds), situations.NOW) == says


@pytest.mark.parametrize(
    ("share", "says"), [(0, "0 %"), (0.004, "<1 %"), (0.5, "50 %"), (0.996, ">99 %"), (1, "100 %")]
)
def test_what_is_not_certain_does_not_look_so(share: float, says: str) -> None:
    assert shown.percent(share) == says


@pytest.mark.parametrize(
    ("address", "follows"),
    [
        ("https://ci.test/1?a=b", True),
        ("http://ci.test", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        (" javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("//evil.test", False),
        ("file:///etc/passwd", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_only_web_addresses_become_links(address: str, follows: bool) -> None:
    assert bool(shown.web_address(address)) is follows


def test_durations_are_told_in_whole_units() -> None:
    assert [shown.duration(s) for s in (0.5, 30, 90, 120, 3600, 5400)] == [
        "0.5 s",
        "30 s",
        "90 s",
        "2 min",
        "1 h",
        "90 min",
    ]


def test_remembered_asks_once_for_many_and_again_after_an_error() -> None:
    asked: list[int] = []
    go = threading.Event()

    def ask() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise ValueError
        go.wait(5)
        return len(asked)

    known = Remembered(ask, 3600)
    with pytest.raises(ValueError):
        known.get()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(known.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert found == [2] * 8
    assert len(asked) == 2


def test_remembered_gives_the_old_value_while_another_asks() -> None:
    begun, go = threading.Event(), threading.Event()
    values = iter([1, 2])

    def ask() -> int:
        value = next(values)
        if value == 2:
            begun.set()
            go.wait(5)
        return value

    known = Remembered(ask, 0)
    assert known.get() == 1
    slow = threading.Thread(target=known.get)
    slow.start()
    assert begun.wait(5)
    assert known.get() == 1
    go.set()
    slow.join()
