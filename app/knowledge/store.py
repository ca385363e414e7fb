"""Queries on cases and embeddings. Each takes a session and commits nothing."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import update
from sqlmodel import Session, col, func, select

from app.db import read
from app.db.alone import alone
from app.db.bulk import chunks, insert_rows, marks
from app.db.engine import from_micros
from app.foundation.ids import derived_id
from app.knowledge.case import Case, Origin
from app.knowledge.embed import Embedder, Matrix
from app.knowledge.tables import CaseRow, EmbeddingRow

_COLUMNS: Any = [getattr(CaseRow, name) for name in (*Case.model_fields, "number")]


def _case(row: Any) -> Case:
    return Case(**{name: getattr(row, name) for name in Case.model_fields})


def _same(row: Any, case: Case) -> bool:
    return row is not None and all(getattr(row, name) == getattr(case, name) for name in Case.model_fields)


def newer(session: Session, than: int, most: int) -> list[tuple[int, Case]]:
    """The first `most` cases in force whose number is larger than `than`, with their numbers, in order."""
    rows = session.exec(
        select(CaseRow)
        .where(CaseRow.number > than, col(CaseRow.retired).is_(False))
        .order_by(col(CaseRow.number))
        .limit(most)
    ).all()
    return [(row.number, _case(row)) for row in rows]


def newest(
    session: Session, *, below: int = 0, most: int = 25, type_: str = "", origin: str = ""
) -> list[tuple[int, Case]]:
    """The cases in force with the largest numbers, of one type and origin where given; keyset by `below`."""
    query = select(CaseRow).where(col(CaseRow.retired).is_(False))
    if below:
        query = query.where(CaseRow.number < below)
    if type_:
        query = query.where(CaseRow.type == type_)
    if origin:
        query = query.where(CaseRow.origin == origin)
    rows = session.exec(query.order_by(col(CaseRow.number).desc()).limit(most)).all()
    return [(row.number, _case(row)) for row in rows]


def by_number(session: Session, numbers: Sequence[int]) -> dict[int, Case]:
    """Those of the cases that are in force."""
    # In the driver's own words: every search waits for this, and building the statement would take longer.
    if not numbers:
        return {}
    names = (*Case.model_fields, "number")
    connection = session.connection()
    rows = connection.exec_driver_sql(
        f"SELECT {', '.join(names)} FROM knowledge_case "
        f"WHERE NOT retired AND number IN ({marks(connection, len(numbers))})",
        tuple(numbers),
    )
    found: dict[int, Case] = {}
    for *values, number in rows:
        fields = dict(zip(Case.model_fields, values, strict=True))
        at = fields["created_at"]
        found[number] = Case(**fields | {"created_at": None if at is None else from_micros(at)})
    return found


def newest_number(session: Session) -> int:
    """The largest number that was given; 0 before the first."""
    return session.connection().exec_driver_sql("SELECT max(number) FROM knowledge_case").scalar() or 0


def numbers(session: Session) -> list[int]:
    """The numbers of all cases in force."""
    return list(session.exec(select(CaseRow.number).where(col(CaseRow.retired).is_(False))).all())


def of_incident(session: Session, incident_id: str) -> list[str]:
    """The ids of the cases in force that an incident left, newest first."""
    rows = session.exec(
        select(CaseRow.id)
        .where(CaseRow.incident_id == incident_id, col(CaseRow.retired).is_(False))
        .order_by(col(CaseRow.number).desc())
    ).all()
    return list(rows)


def count(session: Session) -> int:
    """How many cases are in force."""
    return session.exec(select(func.count()).where(col(CaseRow.retired).is_(False))).one()


def counts(session: Session) -> dict[tuple[str, str], int]:
    """How many cases there are by (type, origin)."""
    rows = session.exec(
        select(CaseRow.type, CaseRow.origin, func.count())
        .where(col(CaseRow.retired).is_(False))
        .group_by(CaseRow.type, CaseRow.origin)
    ).all()
    return {(type_, origin): count for type_, origin, count in rows}


def add(session: Session, case: Case) -> None:
    """Adds a case; one that has its id is replaced (the same outcome or correction told again)."""
    row = CaseRow(**case.model_dump(), number=_turn(session) + 1)
    if read.row(session, CaseRow, case.id) is None:
        insert_rows(session.connection(), read.table_of(CaseRow), [row.model_dump()])
    else:
        session.merge(row)


def replace_shipped(session: Session, shipped: Iterable[Case]) -> int:
    """Makes the shipped cases those of the files; returns how many rows changed."""
    wanted = {case.id: case for case in shipped}
    rows = session.execute(
        select(*_COLUMNS).where(CaseRow.origin == Origin.SHIPPED.value, col(CaseRow.retired).is_(False))
    ).all()
    current = {row.id: row for row in rows}
    gone = sorted(set(current) - set(wanted))
    changed = [case for case in wanted.values() if not _same(current.get(case.id), case)]
    if not gone and not changed:
        return 0
    number = _turn(session)
    for chunk in chunks(gone):
        session.execute(update(CaseRow).where(col(CaseRow.id).in_(chunk)).values(retired=True))
    for place, case in enumerate(changed, 1):
        session.merge(CaseRow(**case.model_dump(), number=number + place))
    return len(gone) + len(changed)


def _turn(session: Session) -> int:
    """The newest number, once nobody else is giving one: numbers are given in the order of commits."""
    alone(session, "numbers of cases")
    session.flush()
    return newest_number(session)


def embedding_key(embedder: Embedder, text: str) -> str:
    """Where the vector of `text` by this model is kept."""
    return derived_id("emb", embedder.id, text)


def known_vectors(session: Session, keys: Sequence[str]) -> dict[str, Matrix]:
    """The vectors that were computed before, by key."""
    found: dict[str, Matrix] = {}
    for at in range(0, len(keys), 500):
        rows = session.exec(
            select(EmbeddingRow.key, EmbeddingRow.vector).where(
                col(EmbeddingRow.key).in_(keys[at : at + 500])
            )
        ).all()
        found.update({key: np.frombuffer(vector, dtype=np.float32) for key, vector in rows})
    return found


def keep_vectors(session: Session, vectors: dict[str, Matrix]) -> None:
    """Keeps newly computed vectors."""
    rows = [{"key": key, "vector": vector.astype(np.float32).tobytes()} for key, vector in vectors.items()]
    insert_rows(session.connection(), EmbeddingRow.__table__, rows, new_only=True)  # type: ignore[attr-defined]
