"""What is shown in Slack: within its limits, and nothing foreign is more than text."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.commands.playground_slack_limits import length, wrong_blocks, wrong_view
from app.people.message import Card, Message
from app.people.slack_blocks import (
    About,
    about,
    card_blocks,
    card_text,
    form_about,
    reason_form,
    reply_blocks,
    reply_text,
    words,
)
from tests.cards import CARDS, FIX, HOSTILE, NOW, SAID, asked, card


def texts(block: Any) -> Iterator[str]:
    """Everything that is shown of a block."""
    if isinstance(block, dict):
        if block.get("type") in ("plain_text", "mrkdwn"):
            yield block["text"]
        for value in block.values():
            yield from texts(value)
    elif isinstance(block, list):
        for value in block:
            yield from texts(value)


def shown(card: Card) -> str:
    return "\n".join(texts(card_blocks(card)))


def verbs(card: Card) -> list[str]:
    blocks = [block for block in card_blocks(card) if block["type"] == "actions"]
    return [element["action_id"] for block in blocks for element in block["elements"]]


def element(card: Card, verb: str) -> dict[str, Any]:
    blocks = [block for block in card_blocks(card) if block["type"] == "actions"]
    found: dict[str, Any] = next(e for b in blocks for e in b["elements"] if e["action_id"] == verb)
    return found


class TestLimits:
    @pytest.mark.parametrize("name", CARDS)
    def test_slack_takes_every_look(self, name: str) -> None:
        assert wrong_blocks(card_blocks(CARDS[name])) == []
        assert 0 < length(card_text(CARDS[name])) <= 3000

    @settings(max_examples=25)
    @given(text=st.text(max_size=200), times=st.integers(1, 20))
    def test_slack_takes_whatever_events_say(self, text: str, times: int) -> None:
        said = text * times
        fix = FIX.model_copy(update={"summary": said, "steps": (said,) * 9, "undo": said, "risk": "high"})
        question = asked(fix=fix, says=said, others=(said,))
        made = card(title=said, where=said, evidence=(said,) * 3, ended=said, said=said, question=question)
        assert wrong_blocks(card_blocks(made)) == []
        told = Message(kind="escalated", incident_id="inc_1", title=said, text=said, about="x")
        assert wrong_blocks(reply_blocks(reply_text(told))) == []

    @pytest.mark.parametrize("verb", ["deny", "approve_why"])
    def test_slack_takes_the_form(self, verb: str) -> None:
        assert (
            wrong_view(reason_form(verb, About(incident_id="inc_1", approval_id="apr_1"), "C0INCIDENTS"))
            == []
        )


class TestWords:
    def test_nothing_foreign_is_more_than_text(self) -> None:
        said = words(HOSTILE)
        assert not set("<>*`~") & set(said)
        assert "&lt;!channel&gt; &lt;@U0ADA&gt;" in said
        assert ":white_check_mark:" not in said
        assert not re.search(r"[\x00-\x1f\u202a-\u202e\u200b]", said)

    def test_names_stay_as_they_are(self) -> None:
        for name in ("load_orders_eu", "shop/job/load@prod", "12:30:45", "a*b", "x - y", "«ü» 東京 👍"):
            assert words(name) == name

    def test_an_entity_is_never_cut_in_half(self) -> None:
        assert words("&" * 10, 20) == "&amp;&amp;&amp;…"
        assert length(words("😀" * 10, 8)) <= 8

    @settings(max_examples=50)
    @given(st.text(max_size=200), st.integers(1, 100))
    def test_it_is_never_too_long(self, text: str, most: int) -> None:
        said = words(text, most)
        assert length(said) <= most
        assert "\n" not in said
        assert not set("<>") & set(said)

    def test_no_card_mentions_anybody(self) -> None:
        said = shown(CARDS["hostile"])
        links = re.findall(r"<[^>]*>", said)
        assert links
        assert all(re.match(r"<(!date\^\d+\^|https://mend\.example/)", link) for link in links)

    def test_slack_is_told_to_make_nothing_of_it(self) -> None:
        flat = json.dumps(card_blocks(CARDS["hostile"]))
        assert flat.count('"type": "mrkdwn"') == flat.count('"verbatim": true')
        assert flat.count('"type": "plain_text"') == flat.count('"emoji": false')


class TestCard:
    def test_it_says_what_where_why_and_since(self) -> None:
        said = shown(CARDS["waiting"])
        assert "*data_duplication*, 93 % sure" in said
        assert "shop/table/payments@production" in said
        assert f"<!date^{int(NOW.timestamp()) - 240}^" in said
        assert "UNIQUE constraint failed: payments.payment_id" in said
        assert said.count("• ") == 3

    def test_a_notification_says_what_waits_for_whom(self) -> None:
        assert card_text(CARDS["waiting"]) == (
            "loading payments failed: sqlite3.IntegrityError: UNIQUE constraint failed, "
            "shop/table/payments@production: waits for a person. Waits for one person."
        )

    def test_it_says_the_plan_with_its_risk_and_undo(self) -> None:
        said = shown(CARDS["waiting"])
        assert "*Plan*  remove 12 rows of payments" in said
        assert "3. count the rows" in said
        assert "*Risk*\n🟠 medium" in said
        assert "*Undo*\nfrom the backup, row for row" in said
        assert "nothing can be taken back" in shown(CARDS["high risk, two persons"])

    def test_no_certainty_that_nobody_has(self) -> None:
        assert "more than 99 % sure" in shown(card(confidence=0.9999))

    def test_what_waits_has_all_buttons(self) -> None:
        assert verbs(CARDS["waiting"]) == ["approve", "deny", "snooze", "other", "type", "approve_why"]

    def test_what_was_answered_has_none_of_them(self) -> None:
        assert verbs(CARDS["answered"]) == ["type"]
        assert f"*Last answer*  {SAID}" in shown(CARDS["answered"])

    def test_what_can_be_undone_has_that_button(self) -> None:
        assert verbs(CARDS["verified"]) == ["undo", "type"]
        assert "confirm" in element(CARDS["verified"], "undo")

    def test_without_a_type_there_is_nothing_to_click(self) -> None:
        assert verbs(CARDS["before any diagnosis"]) == []

    def test_approving_is_one_click_unless_the_risk_is_high(self) -> None:
        assert "confirm" not in element(CARDS["waiting"], "approve")
        confirm = element(CARDS["high risk, two persons"], "approve")["confirm"]
        assert "Nothing can be taken back" in confirm["text"]["text"]

    def test_the_menus_offer_what_applies(self) -> None:
        others = [option["value"] for option in element(CARDS["waiting"], "other")["options"]]
        assert others == ["run_data_validation_and_cleanup", "escalate_to_human"]
        assert element(CARDS["waiting"], "type")["options"][0]["value"] == "schema_mismatch"
        assert "other" not in verbs(card(question=asked(others=())))

    def test_a_button_says_which_plan_its_reader_saw(self) -> None:
        (row, *_) = (block for block in card_blocks(CARDS["waiting"]) if block["type"] == "actions")
        assert about(row["block_id"]) == About(
            incident_id="inc_01J0000000000000000000000",
            approval_id="apr_01J0000000000000000000000",
            plan_hash="3f9a1c0b7d2e4f68",
        )
        assert form_about(reason_form("deny", about(row["block_id"]), "C1")["private_metadata"]) == (
            "C1",
            about(row["block_id"]),
        )

    def test_a_foreign_address_is_no_link(self) -> None:
        assert "evil" not in shown(card(url="javascript:evil()"))
        assert "evil" not in shown(card(url="https://evil.example/|x>"))
