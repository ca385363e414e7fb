"""Alembic's environment: migrates the connection it is handed, or `MENDLINE_DB__URL` when run by hand."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlmodel.sql.sqltypes import AutoString

from app.db.engine import UtcDateTime
from app.tables import metadata


def _plain(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Writes our own types as the plain ones that they are stored as: a migration outlives our code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


def _ours(name: str | None, kind: str, parents: Any) -> bool:
    """Not what the database keeps for searching: no table declares it."""
    return not (name or "").startswith("incident_words")


def _run(connection: Connection) -> None:
    # Batch mode: SQLite cannot alter a column, so Alembic copies the table.
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        render_item=_plain,
        include_name=_ours,
    )
    with context.begin_transaction():
        context.run_migrations()


handed = context.config.attributes.get("connection")
if handed is not None:
    _run(handed)
else:
    from app.db.engine import Database
    from app.settings import read_settings
    from app.wiring import database_url

    with Database(database_url(read_settings())).engine.begin() as made:
        _run(made)
