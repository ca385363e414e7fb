"""Migrate: brings a database to the schema of this version."""

import re
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import inspect

from app.db.alone import alone
from app.db.engine import Database
from app.foundation.errors import Invalid

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Brings the schema to the newest version; quick when it is there already. Raises Invalid for a newer one."""
    with database.engine.connect() as connection:
        versioned = inspect(connection).has_table("alembic_version")
        query = "SELECT version_num FROM alembic_version"
        current = connection.exec_driver_sql(query).scalar() if versioned else None
    if current == newest_revision():
        return
    # Importing it takes as long as everything else that opening does.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        with database.engine.begin() as connection:
            # Several workers may start at once: the others wait, and then find nothing to do.
            alone(connection, "migrations")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise Invalid(f"the database is of another version of Mendline: {error}") from None


def newest_revision() -> str:
    """The migration that no other follows."""
    texts = [path.read_text(encoding="utf-8") for path in (_MIGRATIONS / "versions").glob("*.py")]
    (newest,) = _values("revision", texts) - _values("down_revision", texts)
    return newest


def _values(name: str, texts: Sequence[str]) -> set[str]:
    found = (re.search(rf'^{name}\b[^=\n]*= "(.+)"', text, re.M) for text in texts)
    return {match[1] for match in found if match}
