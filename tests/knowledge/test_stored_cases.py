"""Cases as rows behind an index on disk: what is found is what the rows say."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from app.db.engine import Database, sqlite_url
from app.knowledge import store
from app.knowledge.case import Case, Origin
from app.knowledge.embed import HashingEmbedder, Matrix
from app.knowledge.load import StoredCases
from app.knowledge.tables import CaseRow
from app.tables import metadata
from tests.doubles import until


class Counting(HashingEmbedder):
    """Keeps what it was asked to embed."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.seen += texts
        return super().embed(texts)


class Site:
    """A database with cases, as often restarted as one likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(sqlite_url(folder / "test.db"))
        metadata.create_all(self.database.engine)
        self.embedder = Counting()

    def start(self) -> StoredCases:
        self.embedder.seen.clear()
        cases = StoredCases(self.database, self.embedder, str.lower, self.folder / "index", fold_at=20)
        cases.open()
        return cases

    def add(self, *numbers: int, text: str = "", case_id: str = "") -> None:
        with self.database.writing() as session:
            for number in numbers:
                says = text or f"Step {number} of {number * 7} failed"
                store.add(
                    session, Case(id=case_id or f"c-{number}", text=says, type="t", origin=Origin.OUTCOME)
                )

    def retire(self, case_id: str) -> None:
        with self.database.writing() as session:
            row = session.get(CaseRow, case_id)
            assert row is not None
            row.retired = True


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.database.close()


def nearest(cases: StoredCases, text: str, k: int = 1) -> list[str]:
    return [case.id for case, _ in cases.nearest(HashingEmbedder().embed([text.lower()])[0], k)]


class TestOpen:
    def test_what_was_written_is_not_embedded_again(self, site: Site) -> None:
        site.add(*range(5))
        assert len(site.start()) == 5
        found = site.start()
        assert site.embedder.seen == []
        assert (found.view.bulk.manifest.count, found.view.more) == (5, 0)
        assert nearest(found, "Step 3 of 21 failed") == ["c-3"]

    def test_rows_that_came_since_are_beside_it(self, site: Site) -> None:
        site.add(*range(5))
        site.start()
        site.add(5, 6)
        found = site.start()
        assert (found.view.bulk.manifest.count, found.view.more) == (5, 2)
        assert nearest(found, "Step 6 of 42 failed") == ["c-6"]

    def test_nothing_at_all(self, site: Site) -> None:
        assert nearest(site.start(), "anything") == []
        assert nearest(site.start(), "anything") == []

    @pytest.mark.parametrize("why", ["torn", "of other rows", "of a database that has less"])
    def test_one_that_does_not_fit_is_built_anew(self, site: Site, why: str) -> None:
        site.add(*range(5))
        (place,) = (site.folder / "index").iterdir() if site.start() else ()
        with site.database.writing() as session:
            row = session.get(CaseRow, "c-4")
            assert row is not None
            if why == "torn":
                (place / "vectors.f32").write_bytes(b"")
            elif why == "of other rows":
                row.text = "A disk is full"
            else:
                session.delete(row)
        found = site.start()
        (again,) = (site.folder / "index").iterdir()
        assert again != place
        wanted = {"torn": "c-4", "of other rows": "c-4", "of a database that has less": "c-3"}[why]
        assert nearest(found, "a disk is full" if "other" in why else f"step {wanted[2]} of 28 failed") == [
            wanted
        ]


class TestNearest:
    def test_a_retired_case_is_passed_over_at_once_and_takes_no_place(self, site: Site) -> None:
        site.add(*range(9), text="the same for all")
        found = site.start()
        for number in range(8):
            site.retire(f"c-{number}")
        assert nearest(found, "the same for all", 5) == ["c-8"]
        assert len(found) == 1

    def test_a_replaced_case_is_found_by_what_it_says_now(self, site: Site) -> None:
        site.add(1, 2)
        found = site.start()
        site.add(1, text="A disk is full")
        found.catch_up()
        assert nearest(found, "a disk is full", 9) == ["c-1", "c-2"]

    def test_what_another_process_learned_is_found_soon(self, site: Site) -> None:
        site.add(1)
        found, other = site.start(), Site(site.folder)
        other.add(2, text="A disk is full")
        other.database.close()
        until(lambda: nearest(found, "a disk is full") == ["c-2"])


class TestFold:
    def test_what_is_retired_is_left_out_and_what_comes_meanwhile_is_not_lost(self, site: Site) -> None:
        site.add(*range(20))
        found = site.start()
        site.retire("c-0")
        site.add(20)
        found.catch_up()
        done = threading.Event()
        lost: list[str] = []

        def read() -> None:
            while not done.is_set():
                lost.extend({"c-20"} - set(nearest(found, "step 20 of 140 failed")))

        reader = threading.Thread(target=read)
        reader.start()
        for number in range(21, 26):
            site.add(number)
            found.catch_up()
            found.fold()
        done.set()
        reader.join(30)
        assert lost == []
        assert (found.view.bulk.manifest.count, found.view.more) == (25, 0)
        assert np.all(np.diff(found.view.bulk.keys) > 0)
        assert site.start().view.bulk.manifest.count == 25

    def test_a_long_tail_is_folded_by_itself(self, site: Site) -> None:
        found = site.start()
        site.add(*range(20))
        found.catch_up()
        until(lambda: found.view.more == 0)
        assert len(site.start()) == 20
