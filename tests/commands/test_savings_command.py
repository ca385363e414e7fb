"""savings: what a person types and sees."""

import json
from datetime import timedelta
from pathlib import Path

from app.db.engine import Database, sqlite_url
from app.decision import store as decisions
from app.foundation.clock import SystemClock
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import read_taxonomy
from app.learning.savings import Minutes, assume
from app.remediation import store
from app.remediation.outcome import Ended, Outcome
from tests import situations
from tests.commands.conftest import Filled, Mendline


def repaired(data: Path, filled: Filled) -> None:
    """The incident's plan ran and was verified a day ago; somebody said what such an incident takes."""
    database, at = Database(sqlite_url(data / "mendline.db")), SystemClock().now() - timedelta(days=1)
    with database.writing() as session:
        plan = decisions.get(session, "dec_1").plan
        assert plan is not None
        told = {"incident_id": filled.incident, "strategy": situations.RETRY, "target": plan.target}
        repair = store.Remediation(
            id="rem_1", decision_id="dec_1", approved_by="ada", started_at=at, plan=plan, **told
        )
        store.begin(session, repair)
        store.end(session, Outcome(remediation_id="rem_1", ended=Ended.VERIFIED, at=at, says="so", **told))
        taxonomy = read_taxonomy(knowledge_folder() / "taxonomy.yaml")
        assume(session, taxonomy, Minutes(type="network_timeout", minutes=90), actor="ada", at=at)
    database.close()


def test_the_sums_and_what_they_rest_on(data: Path, filled: Filled, mendline: Mendline) -> None:
    repaired(data, filled)
    out = mendline("savings").out
    (line,) = [line for line in out.splitlines() if situations.RETRY in line]
    assert line.split()[1:] == ["1", "0", "0", "1.5", "90.00"]
    assert "in all 1.5 hours, 90.00 EUR" in out
    assert "assumed: 90 minutes of a person for network_timeout" in out
    found = json.loads(mendline("savings", "--json").out)
    assert (found["minutes"], found["incidents"][0]["incident_id"]) == (90, filled.incident)


def test_what_is_older_is_left_out(data: Path, filled: Filled, mendline: Mendline) -> None:
    repaired(data, filled)
    assert "in all 0.0 hours" in mendline("savings", "--since", "2h").out
    assert "is no time" in mendline("savings", "--since", "soon").err
