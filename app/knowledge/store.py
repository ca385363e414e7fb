"""Queries on cases and embeddings. Each takes a session and commits nothing."""

from collections.abc import Iterable, Sequence

import numpy as np
from sqlalchemy import delete
from sqlmodel import Session, col, func, select

from app.db.bulk import insert_rows
from app.foundation.ids import derived_id
from app.knowledge.case import Case, Origin
from app.knowledge.embed import Embedder, Matrix
from app.knowledge.tables import CaseRow, EmbeddingRow


def case_of(row: CaseRow) -> Case:
    """The record of a row."""
    return Case(
        id=row.id,
        text=row.text,
        type=row.type,
        system=row.system,
        resolution=row.resolution,
        strategy=row.strategy,
        success=row.success,
        origin=Origin(row.origin),
        incident_id=row.incident_id,
        created_at=row.created_at,
    )


def cases(session: Session) -> list[Case]:
    """Every case in force, by id."""
    rows = session.exec(
        select(CaseRow).where(col(CaseRow.retired).is_(False)).order_by(col(CaseRow.id))
    ).all()
    return [case_of(row) for row in rows]


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
    session.merge(CaseRow(**case.model_dump()))


def replace_shipped(session: Session, shipped: Iterable[Case]) -> int:
    """Makes the shipped cases those of the files; returns how many rows changed."""
    wanted = {case.id: case for case in shipped}
    rows = session.exec(select(CaseRow).where(CaseRow.origin == Origin.SHIPPED.value)).all()
    current = {row.id: case_of(row) for row in rows}
    gone = sorted(set(current) - set(wanted))
    for at in range(0, len(gone), 500):
        session.execute(delete(CaseRow).where(col(CaseRow.id).in_(gone[at : at + 500])))
    changed = [case for case_id, case in wanted.items() if current.get(case_id) != case]
    for case in changed:
        session.merge(CaseRow(**case.model_dump()))
    return len(gone) + len(changed)


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
