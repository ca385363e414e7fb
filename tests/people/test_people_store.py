"""What is on its way to people, and what stands in channels, on both databases."""

from datetime import timedelta

from app.db.engine import Database
from app.people import store
from tests.contracts.test_channels import message
from tests.situations import NOW

SECOND = timedelta(seconds=1)


def test_a_message_waits_behind_the_older_ones_of_its_incident_in_its_channel(
    each_database: Database,
) -> None:
    with each_database.writing() as session:
        for number, incident_id in enumerate(("inc_1", "inc_1", "inc_2")):
            about = message(about=f"apr_{number}", incident_id=incident_id)
            store.queue(session, about, ["pager", "post"], NOW + number * SECOND)
    now = NOW + timedelta(minutes=1)

    def due(channel: str) -> list[str]:
        with each_database.reading() as session:
            return [one.message.about for one in store.due(session, channel, now)]

    assert due("pager") == ["apr_0", "apr_2"]
    with each_database.writing() as session:
        first = store.due(session, "pager", now)[0].id
        store.tried(session, first, says="answered 503", next_at=now + SECOND, at=now)
    assert (due("pager"), due("post")) == (["apr_2"], ["apr_0", "apr_2"])
    with each_database.writing() as session:
        store.tried(session, first, says="", next_at=None, at=now)
    assert due("pager") == ["apr_1", "apr_2"]
    with each_database.reading() as session:
        assert store.under_way(session) == {"pager", "post"}
        assert store.deliveries(session) == []
        states = [one.state for one in store.deliveries(session, "inc_1") if one.channel == "pager"]
    assert states == ["delivered", "under way"]


def test_a_change_in_the_middle_of_a_refresh_makes_another(each_database: Database) -> None:
    with each_database.writing() as session:
        store.keep_reference(session, "inc_1", "pager", "ref")
    with each_database.reading() as session:
        (seen,) = store.stale(session, "pager")
        assert store.under_way(session) == {"pager"}
    with each_database.writing() as session:
        store.changed(session, "inc_1")
        store.keep_reference(session, "inc_1", "pager", "another")
    with each_database.writing() as session:
        store.refreshed(session, seen)
    with each_database.reading() as session:
        (left,) = store.stale(session, "pager")
        assert (left.stale, left.reference) == (1, "another")
    with each_database.writing() as session:
        store.refreshed(session, left)
    with each_database.reading() as session:
        assert (store.stale(session, "pager"), store.under_way(session)) == ([], set())
