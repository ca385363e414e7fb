"""Words: which incidents say something, by an index that the database itself keeps.

FTS5 on SQLite, written where incidents are opened; an index over a text-search vector on Postgres. Both know
the id, the title, the beginning of the message, the target, the job and the run; whole words, and beginnings of words.
"""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import DDL, ColumnElement, Connection, Integer, String, Subquery, column, event, text
from sqlmodel import Session

from app.db.bulk import chunks, marks
from app.foundation.errors import Invalid
from app.incidents.tables import IncidentRow

_READ = 4_000  # characters of a message
_MOST_WORDS = 12
_WORD = re.compile(r"[^\W_]+")
_FTS = "CREATE VIRTUAL TABLE incident_words USING fts5(incident_id UNINDEXED, text, columnsize=0)"
# The letters and digits alone: the parser of Postgres would take an address or a path for one word.
_VECTOR = (
    "to_tsvector('simple', regexp_replace(id || ' ' || title || ' ' || left(message, 4000) || ' ' || target_key "
    "|| ' ' || job_id || ' ' || run_id, '[^[:alnum:]]+', ' ', 'g'))"
)
_GIN = f"CREATE INDEX incident_words ON incident USING gin (({_VECTOR}))"

_on: Any = DDL
_SQLITE = (
    "SELECT rowid AS place, incident_id FROM incident_words WHERE text MATCH :wanted AND rowid < :behind "
    "ORDER BY rowid DESC LIMIT :most"
)
_POSTGRES = (
    f"SELECT id AS place, id AS incident_id FROM incident WHERE {_VECTOR} @@ to_tsquery('simple', :wanted) "
    "AND id < :behind ORDER BY id DESC LIMIT :most"
)

_table: Any = IncidentRow.__table__  # type: ignore[attr-defined]
event.listen(_table, "after_create", _on(_FTS).execute_if(dialect="sqlite"))
event.listen(_table, "after_create", _on(_GIN).execute_if(dialect="postgresql"))
event.listen(_table, "after_drop", _on("DROP TABLE incident_words").execute_if(dialect="sqlite"))


def note(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Makes incidents that were just opened findable, in the order in which they were."""
    if connection.dialect.name != "sqlite":
        return
    for chunk in chunks(rows, 2):
        given = [value for row in chunk for value in (row["id"], _text(row))]
        connection.exec_driver_sql(
            f"INSERT INTO incident_words (incident_id, text) VALUES {marks(connection, len(chunk), 2)}",
            tuple(given),
        )


def _text(row: dict[str, Any]) -> str:
    parts = (row["id"], row["title"], row["message"][:_READ], row["target_key"], row["job_id"], row["run_id"])
    return " ".join(parts)


def newest(session: Session, said: str, before: str, most: int) -> Subquery | None:
    """(place, incident_id) of at most so many incidents that say all of `said`, the last opened first, behind a place.

    What stands between blanks is found as it stands, but for its signs; its last word may go on. None when nothing
    is said; raises Invalid for a place that is none.
    """
    phrases = [phrase for part in said.lower().split() if (phrase := _WORD.findall(part))][:_MOST_WORDS]
    if not phrases:
        return None
    sqlite = session.connection().dialect.name == "sqlite"
    if before and not re.fullmatch("[0-9]{1,18}" if sqlite else "inc_[0-9A-Z]{26}", before):
        raise Invalid("this is no cursor of ours", places=(("after", "take it from the last page's `next`"),))
    place: ColumnElement[Any]
    behind: Any
    if sqlite:
        wanted = " ".join(f'"{" ".join(phrase)}"*' for phrase in phrases)
        query, place, behind = _SQLITE, column("place", Integer), int(before or 10**18)
    else:
        wanted = " & ".join(f"({' <-> '.join(phrase)}:*)" for phrase in phrases)
        query, place, behind = _POSTGRES, column("place", String), before or "~"
    found = text(query).bindparams(wanted=wanted, behind=behind, most=most)
    return found.columns(place, column("incident_id", String)).subquery("said")
