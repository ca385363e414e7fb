"""How an incident may stand, as channels are shown it: one card for each look that people must know."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.people.message import Card, Fix, Question

NOW = datetime(2026, 11, 20, 3, 12, tzinfo=UTC)
FIX = Fix(
    strategy="run_deduplication_script",
    summary="remove 12 rows of payments that repeat the key payment_id, and keep the last of each",
    steps=(
        "copy the 12 rows to the backup",
        "delete them in one transaction",
        "count the rows that repeat: none may be left",
    ),
    risk="medium",
    undo="from the backup, row for row",
)
QUESTION = Question(
    approval_id="apr_01J0000000000000000000000",
    plan_hash="3f9a1c0b7d2e4f68",
    fix=FIX,
    says="asks a person first: the rule payments-are-asked-for asks, because it removes rows of payments.",
    waits_for="one person",
    expires_at=NOW + timedelta(hours=1),
    others=("run_data_validation_and_cleanup", "escalate_to_human"),
)
# What somebody who can make an event fail would like to have happen.
HOSTILE = (
    "<!channel> <@U0ADA> <https://evil.example|Approve here> *Approved* by `ada` :white_check_mark: _safe_ "
    "~risk high~ \u202egnp.exe\u202c \x1b[2J\x00\u200b & </script><b>x</b> http://evil.example"
)
WHY = (
    "the words match those of data_duplication (case case_01J8): “UNIQUE constraint failed: payments.payment_id”",
    "nearest cases agree (like case_01J9)",
    "the runbook rows-were-loaded-twice#symptom names it (runbook rows-were-loaded-twice#symptom)",
)
SAID = "ada approved, 2026-11-20 03:14:05 UTC: seen, go"


def card(**fields: Any) -> Card:
    """An open incident of a table with repeated rows."""
    return Card(
        **{
            "incident_id": "inc_01J0000000000000000000000",
            "title": "loading payments failed: sqlite3.IntegrityError: UNIQUE constraint failed",
            "where": "shop/table/payments@production",
            "environment": "production",
            "severity": "error",
            "state": "firing",
            "since": NOW - timedelta(minutes=4),
            "last": NOW,
            "events": 3,
            "url": "https://mend.example/incidents/inc_01J0000000000000000000000",
            "type": "data_duplication",
            "confidence": 0.93,
            "types": ("schema_mismatch", "data_corruption", "network_timeout", "unknown_error"),
            "evidence": WHY,
            "owners": ("finance",),
        }
        | fields
    )


def asked(**fields: Any) -> Question:
    """A plan that waits for one person."""
    return QUESTION.model_copy(update=fields)


CARDS = {
    "waiting": card(question=QUESTION),
    "high risk, two persons": card(
        severity="critical",
        question=asked(
            fix=FIX.model_copy(update={"risk": "high", "undo": None}),
            waits_for="one more person, because ada has said yes",
        ),
    ),
    "answered": card(said=SAID),
    "verified": card(
        state="resolved",
        said=SAID,
        ended="run_deduplication_script ended verified: no row repeats the key any more",
        undoable="rem_01J0000000000000000000000",
    ),
    "undone": card(
        said=SAID,
        ended="run_deduplication_script ended undone: the load failed again; the 12 rows are back",
    ),
    "escalated": card(
        type="unknown_error",
        confidence=0.31,
        evidence=(),
        ended="",
        title="monthly-invoices crashed: AttributeError: 'NoneType' object has no attribute 'rate'",
        where="shop/program/monthly-invoices@production",
    ),
    "before any diagnosis": card(
        type="", confidence=None, types=(), evidence=(), where="try", environment=""
    ),
    "hostile": card(
        title=HOSTILE,
        where=HOSTILE,
        environment="prod",
        evidence=(HOSTILE, HOSTILE, HOSTILE),
        said=f"{HOSTILE} denied",
        ended=HOSTILE,
        question=asked(
            fix=Fix(strategy="x", summary=HOSTILE, steps=(HOSTILE,) * 3, risk="high", undo=HOSTILE),
            says=HOSTILE,
        ),
    ),
    "very long": card(
        title="A&B <long> " * 500,
        where="w&" * 3000,
        evidence=("<e>" * 3000,) * 3,
        types=tuple(f"type_{n}_{'t' * 140}" for n in range(300)),
        said="&" * 9000,
        ended="😀" * 9000,
        undoable="rem_1",
        question=asked(
            fix=Fix(
                strategy="x", summary="s&" * 3000, steps=("😀<" * 3000,) * 90, risk="high", undo="u>" * 3000
            ),
            says="&" * 9000,
            waits_for="two persons",
            others=tuple(f"strategy_{n}" for n in range(300)),
        ),
    ),
}
