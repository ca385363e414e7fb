"""Who may do what, over all there is: every route stands in the table below, and every role is tried on it."""

from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount
from starlette.testclient import TestClient

from app.people.person import Role
from tests.web.conftest import Browser, World

ANYBODY, SECRET = "anybody", "a webhook's secret"
READ, OPERATE, APPROVE, ADMIN, INGEST = "read", "operate", "approve", "admin", "ingest"

# What a route needs. A new one fails the first test below until it stands here.
NEEDS = {
    "POST /api/v1/events": INGEST,
    "GET /api/v1/events/{event_id}": READ,
    "POST /api/v1/webhooks/{source}": SECRET,
    "GET /api/v1/incidents": READ,
    "GET /api/v1/incidents/{incident_id}": READ,
    "POST /api/v1/incidents/{incident_id}/state": OPERATE,
    "POST /api/v1/incidents/{incident_id}/correction": OPERATE,
    "GET /api/v1/approvals": READ,
    "GET /api/v1/approvals/{approval_id}": READ,
    "POST /api/v1/approvals/{approval_id}/approve": APPROVE,
    "POST /api/v1/approvals/{approval_id}/deny": APPROVE,
    "POST /api/v1/approvals/{approval_id}/snooze": APPROVE,
    "POST /api/v1/remediations/{remediation_id}/undo": APPROVE,
    "POST /api/v1/diagnose": READ,
    "GET /api/v1/calibration": READ,
    "GET /api/v1/strategies": READ,
    "GET /api/v1/runbooks": READ,
    "GET /api/v1/runbooks/{runbook_id}": READ,
    "GET /api/v1/knowledge/gaps": READ,
    "GET /api/v1/deliveries": READ,
    "GET /api/v1/savings": READ,
    "PUT /api/v1/savings/minutes": ADMIN,
    "PUT /api/v1/savings/cost": ADMIN,
    "POST /api/v1/slack/events": SECRET,
    "GET /api/v1/targets": READ,
    "GET /api/v1/targets/{key:path}": ADMIN,
    "PUT /api/v1/targets/{key:path}": ADMIN,
    "DELETE /api/v1/targets/{key:path}": ADMIN,
    "GET /api/v1/pause": READ,
    "POST /api/v1/pause": OPERATE,
    "GET /api/v1/modes": READ,
    "PUT /api/v1/modes": ADMIN,
    "GET /api/v1/shadow": READ,
    "GET /api/v1/audit": ADMIN,
    "GET /api/v1/openapi.json": ANYBODY,
    "GET /sign-in": ANYBODY,
    "POST /sign-in": ANYBODY,
    "GET /sign-in/oidc": ANYBODY,
    "GET /sign-in/oidc/done": ANYBODY,
    "POST /sign-out": READ,
    "GET /": READ,
    "GET /incidents/{incident_id}": READ,
    "POST /incidents/{incident_id}/answers/{approval_id}": APPROVE,
    "POST /incidents/{incident_id}/undo/{remediation_id}": APPROVE,
    "POST /incidents/{incident_id}/state": OPERATE,
    "POST /incidents/{incident_id}/correction": OPERATE,
    "POST /incidents/{incident_id}/snooze/{approval_id}": APPROVE,
    "GET /approvals": READ,
    "POST /approvals/{approval_id}": APPROVE,
    "GET /knowledge": READ,
    "GET /knowledge/corrections": READ,
    "POST /knowledge/corrections/{incident_id}": OPERATE,
    "GET /savings": READ,
    "POST /savings/assumptions": ADMIN,
    "GET /settings": OPERATE,
    "GET /live": READ,
    "GET /runbooks": READ,
    "GET /runbooks/{runbook_id}": READ,
    "GET /strategies": READ,
    "GET /calibration": READ,
    "GET /shadow": READ,
    "POST /shadow/modes": ADMIN,
    "POST /pause": OPERATE,
    "GET /docs": ANYBODY,
    "GET /healthz": ANYBODY,
    "GET /readyz": ANYBODY,
    "GET /metrics": ANYBODY,
    "GET /static": ANYBODY,
    "GET /docs/assets": ANYBODY,
}
MAY = {
    Role.INGEST: {INGEST},
    Role.VIEWER: {READ},
    Role.OPERATOR: {READ, OPERATE, INGEST},
    Role.APPROVER: {READ, OPERATE, APPROVE, INGEST},
    Role.ADMIN: {READ, OPERATE, APPROVE, ADMIN, INGEST},
}


def routes(world: World) -> Iterator[str]:
    """Everything that answers, as `METHOD path`."""
    for one in iter_route_contexts(world.app.routes):
        methods = set(one.methods or ()) - {"HEAD"}
        if isinstance(one.original_route, Mount):
            methods = {"GET"}
        for method in methods:
            yield f"{method} {one.path}"


def filled(route: str) -> tuple[str, str]:
    """Method and an address of the route where nothing is."""
    method, path = route.split(" ")
    for name in (
        "{source}",
        "{event_id}",
        "{incident_id}",
        "{approval_id}",
        "{remediation_id}",
        "{runbook_id}",
    ):
        path = path.replace(name, "nothing-1")
    return method, path.replace("{key:path}", "shop/job/nothing")


API = [route for route, needs in NEEDS.items() if "/api/" in route and needs not in (ANYBODY, SECRET)]
PAGES = [route for route, needs in NEEDS.items() if "/api/" not in route and needs != ANYBODY]


def test_every_route_stands_in_the_table(world: World) -> None:
    assert set(routes(world)) == set(NEEDS)


@pytest.mark.parametrize("role", [None, *Role])
def test_the_api(world: World, role: Role | None) -> None:
    client = TestClient(world.app, raise_server_exceptions=False)
    headers = {"Authorization": f"Bearer {world.key(role)}"} if role else {}
    got: dict[str, int] = {}
    for route in API:
        method, path = filled(route)
        got[route] = client.request(method, path, headers=headers, json={}).status_code
    refused = 403 if role else 401
    expected = {route: NEEDS[route] in MAY.get(role, set()) if role else False for route in API}
    assert {route: status == refused for route, status in got.items()} == {
        route: not may for route, may in expected.items()
    }
    assert [route for route, status in got.items() if status in (401, 403, 500) and status != refused] == []


@pytest.mark.parametrize("role", [None, *Role])
def test_the_pages(world: World, role: Role | None) -> None:
    key = world.key(role) if role else ""
    for route in PAGES:
        method, path = filled(route)
        browser = Browser(world.app)
        if key:
            browser.sign_in(key)
        tokens = [fields["csrf"] for to, fields in browser.get("/runbooks").forms if to == "/sign-out"]
        fields = {"csrf": tokens[0] if tokens else ""}
        answer = browser.client.request(
            method, path, data=fields if method == "POST" else None, follow_redirects=False
        )
        if role in (None, Role.INGEST):
            assert answer.status_code == 303, route
            assert answer.headers["location"].startswith("/sign-in?next="), route
        elif NEEDS[route] in MAY[role]:
            assert answer.status_code in (200, 303, 404, 422), route
            assert "/sign-in?next=" not in answer.headers.get("location", ""), route
        else:
            assert answer.status_code == 403, route


def test_no_form_is_believed_without_its_token(world: World) -> None:
    key = world.key(Role.ADMIN)
    for route in PAGES:
        method, path = filled(route)
        if method != "POST":
            continue
        for token in ({"x": "y"}, {"csrf": ""}, {"csrf": "guessed"}):
            browser = Browser(world.app)
            browser.sign_in(key)
            assert browser.post(path, token).status == 403, route
            assert browser.get("/").status == 200


def test_a_session_is_no_key_and_a_key_no_session(world: World) -> None:
    key = world.key(Role.ADMIN)
    browser = Browser(world.app)
    browser.sign_in(key)
    assert browser.client.get("/api/v1/incidents").status_code == 401
    bare = TestClient(world.app)
    answer = bare.get("/", headers={"Authorization": f"Bearer {key}"}, follow_redirects=False)
    assert answer.status_code == 303


def test_every_answer_says_to_browsers_what_it_must(world: World) -> None:
    browser = Browser(world.app)
    browser.sign_in(world.key(Role.ADMIN))
    for route in NEEDS:
        method, path = filled(route)
        answer = browser.client.request(method, path, follow_redirects=False)
        assert answer.headers["x-content-type-options"] == "nosniff", route
        assert answer.headers["x-frame-options"] == "DENY", route
        assert answer.headers["referrer-policy"] == "same-origin", route
        if "html" in answer.headers.get("content-type", ""):
            policy = answer.headers["content-security-policy"]
            for part in (
                "default-src 'self'",
                "frame-ancestors 'none'",
                "form-action 'self'",
                "base-uri 'none'",
            ):
                assert part in policy, route
            assert answer.headers["cache-control"] == "no-store", route
