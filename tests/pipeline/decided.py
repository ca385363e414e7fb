"""Decides all that stands in a database again and prints it, a line each: `python -m tests.pipeline.decided FILE`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from app.db.engine import Database, sqlite_url
from app.decision import store
from app.decision.decide import Decide, default_gates
from app.decision.decision import Effect, Verdict
from app.decision.freeze import NoFreeze
from app.decision.policy import FixedPolicy, PolicyFile
from app.decision.settings import DecisionSettings
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import read_taxonomy
from tests.situations import NOW

POLICY = Path(__file__).parents[1] / "data" / "knowledge" / "policy.yaml"


def decided(effect: Effect, verdicts: Sequence[Verdict], says: str) -> bytes:
    """One decision as bytes."""
    told = {"effect": effect, "verdicts": [one.model_dump(mode="json") for one in verdicts], "says": says}
    return orjson.dumps(told) + b"\n"


if __name__ == "__main__":
    taxonomy = read_taxonomy(knowledge_folder() / "taxonomy.yaml")
    policy = FixedPolicy(PolicyFile(POLICY, taxonomy).read())
    decide = Decide(default_gates(policy, DecisionSettings(), NoFreeze()))
    database = Database(sqlite_url(Path(sys.argv[1])))
    with database.reading() as session:
        for one in store.history(session, NOW):
            assert one.situation is not None
            sys.stdout.buffer.write(decided(*decide.decide(one.situation, one.decision.at)))
    database.close()
