"""Rows of cases and of vectors, and what loading makes of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlmodel import select

from app.db.engine import Database
from app.knowledge import store
from app.knowledge.case import Case, Origin
from app.knowledge.embed import HashingEmbedder, Matrix
from app.knowledge.load import load_shipped, load_vectors
from app.knowledge.tables import CaseRow, EmbeddingRow

SHIPPED = [
    Case(id=f"s-{n}", text=f"text {n}", type="t", system="x", resolution=f"done {n}") for n in range(3)
]
OWN = Case(
    id="case_1",
    text="ours",
    type="t",
    strategy="retry",
    success=True,
    origin=Origin.OUTCOME,
    incident_id="inc_1",
    created_at=datetime(2026, 11, 20, 12, 0, 0, 7, tzinfo=UTC),
)


def replace(database: Database, cases: Sequence[Case]) -> int:
    with database.writing() as session:
        return store.replace_shipped(session, cases)


def kept(database: Database) -> list[Case]:
    with database.reading() as session:
        return [case for _, case in store.newer(session, 0, 1000)]


class TestAdd:
    def test_a_case_comes_back_whole(self, database: Database) -> None:
        with database.writing() as session:
            store.add(session, OWN)
        assert kept(database) == [OWN]

    def test_told_again_it_is_replaced(self, database: Database) -> None:
        for case in (OWN, OWN.model_copy(update={"type": "other"})):
            with database.writing() as session:
                store.add(session, case)
        assert [case.type for case in kept(database)] == ["other"]

    def test_one_that_was_retired_is_hidden(self, database: Database) -> None:
        with database.writing() as session:
            store.add(session, OWN)
            session.flush()
            row = session.get(CaseRow, OWN.id)
            assert row is not None
            row.retired = True
        assert kept(database) == []
        with database.reading() as session:
            assert store.counts(session) == {}


class TestReplaceShipped:
    def test_it_is_idempotent(self, database: Database) -> None:
        assert replace(database, SHIPPED) == 3
        assert replace(database, SHIPPED) == 0
        assert replace(database, list(reversed(SHIPPED))) == 0
        assert kept(database) == SHIPPED

    def test_rows_follow_the_files(self, database: Database) -> None:
        replace(database, SHIPPED)
        changed = SHIPPED[1].model_copy(update={"type": "other"})
        added = SHIPPED[0].model_copy(update={"id": "s-9"})
        assert replace(database, [SHIPPED[0], changed, added]) == 3
        assert kept(database) == [SHIPPED[0], changed, added]

    def test_what_was_learned_here_stays(self, database: Database) -> None:
        with database.writing() as session:
            store.add(session, OWN)
        replace(database, SHIPPED)
        assert replace(database, []) == 3
        assert kept(database) == [OWN]

    def test_many_at_once(self, database: Database) -> None:
        many = [SHIPPED[0].model_copy(update={"id": f"m-{n:04}"}) for n in range(600)]
        assert replace(database, many) == 600
        assert replace(database, many[:100]) == 500
        assert len(kept(database)) == 100


class TestCounts:
    def test_by_type_and_origin(self, database: Database) -> None:
        replace(database, SHIPPED)
        with database.writing() as session:
            store.add(session, OWN)
        with database.reading() as session:
            assert store.counts(session) == {("t", "shipped"): 3, ("t", "outcome"): 1}


class TestVectors:
    def test_they_come_back_to_the_bit(self, database: Database) -> None:
        vector = HashingEmbedder().embed(["some text"])[0]
        key = store.embedding_key(HashingEmbedder(), "some text")
        with database.writing() as session:
            store.keep_vectors(session, {key: vector})
        with database.reading() as session:
            found = store.known_vectors(session, [key, "emb_unknown"])
        assert list(found) == [key]
        assert found[key].dtype == np.float32
        assert np.array_equal(found[key], vector)

    def test_the_key_is_of_model_and_text(self) -> None:
        class Other(HashingEmbedder):
            id = "other@1"

        keys = {
            store.embedding_key(embedder, text)
            for embedder in (HashingEmbedder(), Other())
            for text in ("a", "b")
        }
        assert len(keys) == 4


class Counting(HashingEmbedder):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.seen += texts
        return super().embed(texts)


class TestLoadVectors:
    def test_only_what_is_new_is_embedded_and_the_order_is_kept(self, database: Database) -> None:
        embedder = Counting()
        load_vectors(database, embedder, ["a", "b"])
        told: list[tuple[int, int]] = []
        found = load_vectors(
            database, embedder, ["c", "b", "a", "c"], lambda done, of: told.append((done, of))
        )
        assert embedder.seen == ["a", "b", "c"]
        assert told == [(1, 1)]
        assert np.array_equal(found, HashingEmbedder().embed(["c", "b", "a", "c"]))

    def test_none_at_all(self, database: Database) -> None:
        assert load_vectors(database, HashingEmbedder(), []).shape == (0, 384)

    def test_what_was_done_before_an_interruption_is_kept(self, database: Database) -> None:
        class Broken(Counting):
            def embed(self, texts: Sequence[str]) -> Matrix:
                if self.seen:
                    raise KeyboardInterrupt
                return super().embed(texts)

        texts = [f"text {n}" for n in range(300)]
        with pytest.raises(KeyboardInterrupt):
            load_vectors(database, Broken(), texts)
        with database.reading() as session:
            assert len(session.exec(select(EmbeddingRow.key)).all()) == 256
        rest = Counting()
        load_vectors(database, rest, texts)
        assert rest.seen == texts[256:]


class TestLoadCases:
    def test_files_and_what_was_learned(self, database: Database, tmp_path: Path) -> None:
        with database.writing() as session:
            store.add(session, OWN)
        (tmp_path / "cases").mkdir()
        file = tmp_path / "cases" / "a.jsonl"
        file.write_text('{"id": "a-1", "text": "x", "type": "t", "system": "s"}\n')
        assert [case.id for case in load_shipped(database, tmp_path)] == ["a-1"]
        assert [case.id for case in kept(database)] == ["case_1", "a-1"]
        file.write_text("")
        assert load_shipped(database, tmp_path) == []
        assert [case.id for case in kept(database)] == ["case_1"]
