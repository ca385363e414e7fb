"""No secret is found anywhere after whole repairs that had to do with some."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from tests.scenes import ExpiredCredential, MissingRight, Receiver
from tests.server import Mendline, outcomes
from tests.vault import CANARY

pytestmark = pytest.mark.server
TOKEN = "cAnArY-7c01aa-a-token-that-only-its-file-holds"
SECRETS = (CANARY, TOKEN)
PAGES = ("/", "/incidents/{incident}", "/strategies", "/runbooks", "/calibration")


class _Fields(HTMLParser):
    """The hidden fields of a page's forms."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden":
            self.found[given.get("name") or ""] = given.get("value") or ""


def pages(site: Mendline, incident_id: str) -> Iterator[str]:
    with httpx.Client(base_url=site.url, trust_env=False, follow_redirects=True) as browser:
        fields = _Fields()
        fields.feed(browser.get("/sign-in").text)
        browser.post("/sign-in", data={**fields.found, "key": site.key}).raise_for_status()
        for page in PAGES:
            answer = browser.get(page.format(incident=incident_id))
            assert answer.status_code == 200, page
            yield answer.text


@pytest.mark.parametrize("helps", [True, False], ids=["it helps", "it is undone"])
@pytest.mark.parametrize("kind", [ExpiredCredential, MissingRight], ids=lambda kind: kind.strategy)
def test_a_canary_is_nowhere(
    site: Mendline,
    receiver: Receiver,
    tmp_path: Path,
    name: str,
    kind: type[ExpiredCredential] | type[MissingRight],
    helps: bool,
) -> None:
    scene = kind(tmp_path / "scene")
    try:
        (tmp_path / "token").write_text(TOKEN)
        scene.server.fail = 0 if helps else 100
        scene.connection["rerun"]["token"] = {"file": str(tmp_path / "token")}
        target = scene.register(site, name)
        incident_id = site.api.report(scene.message, target)
        if scene.asks:
            site.api.approve(incident_id)
        trail = site.api.ended(incident_id)
        assert outcomes(trail)[0]["ended"] == ("verified" if helps else "undone")
        # The secrets were really in play.
        assert scene.server.tokens == [f"Bearer {TOKEN}"]
        assert scene.vault.spoke_of(CANARY)
        receiver.about(incident_id, "verified" if helps else "undone")
        key = f"shop/{target['kind']}/{name}"
        seen = {
            "trail": str(trail),
            "pages": "".join(pages(site, incident_id)),
            "told": str(receiver.messages),
            "log": site.log,
            "metrics": httpx.get(f"{site.url}/metrics", trust_env=False).text,
            "target": str(site.api.get(f"/targets/{key}")) + str(site.api.get("/targets")),
            "commands": "".join(
                site.cli(*words).out for words in (("explain", incident_id), ("target", "show", key))
            ),
        }
        for file in site.data.rglob("*"):
            if file.is_file():
                seen[file.name] = file.read_bytes().decode("utf-8", "replace")
        assert "mendline.db" in seen
        assert "engine.db" in seen
        assert {what for what, text in seen.items() if any(secret in text for secret in SECRETS)} == set()
        assert name in seen["commands"]
        assert name in seen["pages"]
    finally:
        scene.close()
