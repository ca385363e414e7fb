"""The pages in a real browser: the main journeys, live updates, the keyboard, a phone, and what axe says."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.people.person import Role
from app.web.security import revoke_key
from tests.web import stage
from tests.web.conftest import World

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: scripts/browser installs it"),
]
NAMES = (
    *("incidents", "filtered", "waiting", "repaired", "approvals", "runbooks", "runbook", "knowledge"),
    *("corrections", "strategies", "savings", "calibration", "shadow", "settings"),
)


class Site(NamedTuple):
    """A served world, a browser, and what to open."""

    world: World
    address: str
    pages: dict[str, str]
    browser: Browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    world = stage.made(folder)
    pages = stage.stage(world)
    with stage.serving(world) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Site(world, address, pages, browser)
        browser.close()
    world.close()


Open = Callable[..., Page]


@pytest.fixture
def signed_in(site: Site) -> Iterator[Open]:
    """Opens a page for somebody of a role, in a browser of their own."""
    contexts = []

    def open_(path: str = "/", role: Role = Role.ADMIN, name: str = "", **look: object) -> Page:
        key = site.world.key(role, name or f"{role}-{site.world.clock.now().timestamp()}-{len(contexts)}")
        context = site.browser.new_context(base_url=site.address, **look)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.goto(path)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"**{path.split('?')[0]}*")
        site.world.clock.advance(stage.A_MOMENT)
        return page

    yield open_
    for context in contexts:
        context.close()


def test_an_incident_is_found_by_filters_and_words(signed_in: Open) -> None:
    page = signed_in()
    page.get_by_text("Filters").click()
    page.get_by_label("Type").select_option("gpu_out_of_memory")
    page.get_by_label("Severity").select_option("critical")
    page.get_by_role("button", name="Apply").click()
    rows = page.locator("table.incidents tbody tr")
    expect(rows).to_have_count(7)
    page.get_by_label("Search messages").fill("memory run 16")
    page.get_by_role("button", name="Search").click()
    expect(rows).to_have_count(1)
    rows.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("(run 16)")


def test_approving_on_one_page_is_seen_on_another_without_a_reload(site: Site, signed_in: Open) -> None:
    incident_id, _ = site.world.asked(message="the mirror timed out", fingerprint="mirror")
    watching, acting = signed_in(f"/incidents/{incident_id}"), signed_in("/approvals", Role.APPROVER)
    watching.evaluate("window.stays = true")
    card = acting.locator("article.waits", has_text="the mirror timed out")
    card.get_by_label("Reason").first.fill("seen, go")
    card.get_by_role("button", name="Approve").click()
    expect(acting.get_by_role("status")).to_contain_text("You approved.")
    expect(card).to_have_count(0)
    expect(watching.get_by_text("seen, go")).to_be_visible()
    assert watching.evaluate("window.stays")


def test_a_new_incident_appears_and_keeps_focus_and_what_is_typed(site: Site, signed_in: Open) -> None:
    page = signed_in()
    page.evaluate("window.stays = true")
    page.keyboard.press("j")
    focused = page.evaluate("document.activeElement.getAttribute('href')")
    assert focused.startswith("/incidents/")
    site.world.clock.advance(stage.A_MOMENT)
    site.world.incident("the printer is on fire", fingerprint="printer")
    expect(page.get_by_role("link", name="the printer is on fire")).to_be_visible()
    assert page.evaluate("document.activeElement.getAttribute('href')") == focused
    assert page.evaluate("window.stays")


def test_nothing_moves_under_a_form_that_is_being_filled_in(site: Site, signed_in: Open) -> None:
    incident_id, _ = site.world.asked(message="the form timed out", fingerprint="form")
    page = signed_in(f"/incidents/{incident_id}", Role.APPROVER)
    reason = page.get_by_role("form", name="Deny").get_by_label("Reason")
    reason.fill("not at ni")
    site.world.incident("the form timed out", fingerprint="form")
    other = signed_in(f"/incidents/{incident_id}")
    expect(other.get_by_text("2 events")).to_be_visible()
    expect(reason).to_have_value("not at ni")
    reason.fill("")
    page.mouse.move(2, 2)
    page.evaluate("document.activeElement.blur()")
    expect(page.get_by_text("2 events")).to_be_visible()


def test_correcting_with_one_click(site: Site, signed_in: Open) -> None:
    page = signed_in("/knowledge/corrections", Role.OPERATOR)
    card = page.locator("article.ask", has_text="permission denied for bucket")
    card.get_by_role("button", name="permission denied").click()
    expect(page.get_by_role("status")).to_contain_text("Learned as permission_denied.")
    expect(card).to_have_count(0)
    page.goto("/knowledge?origin=correction")
    expect(page.locator("table.cases tbody tr")).to_have_count(1)


def test_pausing_shows_everywhere_and_resuming_takes_it_away(signed_in: Open) -> None:
    watching, page = signed_in("/approvals", Role.VIEWER), signed_in("/savings", Role.OPERATOR, "olga")
    page.get_by_text("Repairs on").click()
    page.get_by_label("Reason").first.fill("migration")
    page.get_by_role("button", name="Pause repairs").click()
    for one in (page, watching):
        expect(one.locator("#paused")).to_contain_text("paused by olga: migration")
    page.get_by_role("button", name="Resume").click()
    expect(watching.locator("#paused")).not_to_contain_text("paused")


def test_savings_follow_their_assumptions(signed_in: Open) -> None:
    page = signed_in("/savings", Role.ADMIN, "irma")
    form = page.get_by_role("form", name="Minutes")
    form.get_by_label("Type").select_option("network_timeout")
    form.get_by_label("Minutes").fill("45")
    form.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_contain_text("For network_timeout: 45 minutes.")
    cost = page.get_by_role("form", name="Cost")
    cost.get_by_label("Cost").fill("80")
    cost.get_by_role("button", name="Set").click()
    expect(page.get_by_role("row", name="network_timeout 45 minutes")).to_contain_text("irma")
    expect(page.get_by_role("row", name="the warehouse timed out")).to_contain_text("60.00")


def test_by_the_keyboard_alone(signed_in: Open) -> None:
    page = signed_in()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.type("exporter run 24")
    page.keyboard.press("Enter")
    expect(page.locator("table.incidents tbody tr")).to_have_count(1)
    for key in ("j", "j", "k", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", level=1)).to_contain_text("(run 24)")


def test_single_keys_can_be_turned_off(signed_in: Open) -> None:
    page = signed_in()
    page.keyboard.press("?")
    page.get_by_label("single keys on").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.getAttribute('href')") is None


@pytest.mark.parametrize("how", ["revoked", "signed out elsewhere"])
def test_an_open_page_leaves_with_its_session(site: Site, signed_in: Open, how: str) -> None:
    page = signed_in("/approvals", Role.VIEWER, f"gone-{how}")
    if how == "revoked":
        with site.world.database.writing() as session:
            revoke_key(session, f"gone-{how}", site.world.clock.now())
    else:
        other = page.context.new_page()
        other.goto("/")
        other.get_by_text(f"gone-{how}").first.click()
        other.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in*", timeout=15_000)


def test_without_scripts_all_is_done_by_forms(site: Site, signed_in: Open) -> None:
    site.world.asked(message="the tape timed out", fingerprint="tape")
    page = signed_in("/approvals", Role.APPROVER, java_script_enabled=False)
    card = page.locator("article.waits", has_text="the tape timed out")
    card.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("status")).to_contain_text("You denied.")
    page.goto("/?severity=warning&search=bucket")
    expect(page.locator("table.incidents tbody tr")).to_have_count(6)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(site: Site, signed_in: Open, scheme: str) -> None:
    page = signed_in(color_scheme=scheme)
    # What the dark changes is colours.
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else None
    found = {}
    for name in NAMES:
        page.goto(site.pages[name])
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        broken = Axe().run(page, options=rules).response["violations"]
        found[name] = [(one["id"], one["nodes"][0]["html"][:120]) for one in broken]
    page.context.clear_cookies()
    page.goto("/sign-in")
    found["sign-in"] = [one["id"] for one in Axe().run(page, options=rules).response["violations"]]
    assert {name: broken for name, broken in found.items() if broken} == {}


def test_no_page_is_wider_than_a_phone(site: Site, signed_in: Open) -> None:
    page = signed_in(viewport={"width": 360, "height": 740})
    wide = {}
    for name in NAMES:
        page.goto(site.pages[name])
        page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        wide[name] = page.evaluate("document.documentElement.scrollWidth")
    assert {name: width for name, width in wide.items() if width > 360} == {}
