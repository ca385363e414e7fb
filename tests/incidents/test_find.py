"""Finding incidents by words and filters, on both databases."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from app.db.engine import Database, sqlite_url
from app.diagnosis import store as diagnoses
from app.foundation.clock import FrozenClock
from app.foundation.errors import Invalid
from app.incidents import store
from app.incidents.group import Group
from app.incidents.incident import State
from app.intake.event import Report, Severity, Target
from app.intake.ingest import prepare
from app.tables import metadata
from tests.situations import NOW, diagnosis


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Nine incidents: three slow loads of a team, five of another, and one that says nothing of it."""
    folder: Path = tmp_path_factory.mktemp("find")
    url, admin, name = sqlite_url(folder / "test.db"), None, f"find_{uuid.uuid4().hex}"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_url")
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        url = server.replace("/postgres?", f"/{name}?")
    made = Database(url)
    metadata.create_all(made.engine)
    group = Group(made, FrozenClock(NOW), lambda opened: None)
    for number in range(9):
        owner = ("web", "data", "data")[number % 3]
        target = Target(system="shop", name=f"load_{number}", owner=owner, environment="prod")
        message = "no space left" if number == 4 else f"slow answer from db-{number}.internal:5432"
        report = Report(message=message, title=f"load {number}", target=target, severity=Severity.WARNING)
        at = NOW + timedelta(minutes=number)
        (accepted,) = group.commit([prepare(report, "s", at)])
        assert accepted.incident_id
        with made.writing() as session:
            for type_, after in (("unknown_error", 0), ("network_timeout", 1 if number % 2 else -1)):
                id_ = f"dia_{number}_{type_}"
                at_ = at + timedelta(seconds=after)
                found = diagnosis(id=id_, incident_id=accepted.incident_id, type=type_, at=at_)
                diagnoses.add(session, found)
    yield made
    made.close()
    if admin is not None:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        admin.dispose()


def found(database: Database, limit: int = 25, **only: Any) -> list[str]:
    """The numbers of the loads, over all pages."""
    numbers, after = [], ""
    with database.reading() as session:
        while True:
            page, after = store.page(session, store.Only(**only), limit=limit, after=after)
            numbers += [incident.title.removeprefix("load ") for incident in page]
            if not after:
                return numbers


@pytest.mark.parametrize(
    ("only", "numbers"),
    [
        ({}, "876543210"),
        ({"owner": "data"}, "875421"),
        ({"owner": "data", "state": State.FIRING, "severity": Severity.WARNING}, "875421"),
        ({"owner": "data", "state": State.RESOLVED}, ""),
        ({"system": "shop", "environment": "prod", "type": "network_timeout"}, "7531"),
        ({"since": NOW + timedelta(minutes=7)}, "87"),
        ({"search": "SLOW internal"}, "87653210"),
        ({"search": "slow", "owner": "data"}, "87521"),
        ({"search": "slow", "state": State.FIRING, "since": NOW + timedelta(minutes=6)}, "876"),
        ({"search": "db-7.inter"}, "7"),
        ({"search": "load_4"}, "4"),
        ({"search": "spa left"}, "4"),
        ({"search": "pace"}, ""),
        ({"search": "& | ! <-> :*"}, ""),
        ({"search": "inc_"}, "876543210"),
    ],
)
@pytest.mark.parametrize("limit", [2, 25])
def test_every_page_together_is_what_was_asked_for(
    database: Database, only: dict[str, Any], numbers: str, limit: int
) -> None:
    assert "".join(found(database, limit, **only)) == numbers


def test_a_search_that_is_mostly_filtered_out_goes_on_from_where_it_looked(database: Database) -> None:
    titles, after = [], ""
    with database.reading() as session:
        for _ in range(3):
            only = store.Only(search="load", owner="web")
            page, after = store.page(session, only, limit=2, after=after, looks=3)
            titles.append([incident.title for incident in page])
            assert after
        assert titles == [["load 6"], ["load 3"], ["load 0"]]
        assert store.page(session, only, limit=2, after=after, looks=3) == ([], "")


@pytest.mark.parametrize("after", ["x", "9" * 30, "\u00b2", "inc_1", "'"])
def test_a_place_that_is_none_is_refused(database: Database, after: str) -> None:
    with database.reading() as session, pytest.raises(Invalid) as caught:
        store.page(session, store.Only(search="load"), after=after)
    assert caught.value.places[0][0] == "after"


def test_the_places_to_filter_by(database: Database) -> None:
    with database.reading() as session:
        known = store.places(session)
    assert known == store.Places(systems=("shop",), owners=("data", "web"), environments=("prod",))
