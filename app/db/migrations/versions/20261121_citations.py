"""Which runbooks each diagnosis cites, also of the diagnoses that were made before.

Revision ID: 20261121_citations
Revises: 20261121_playbooks
"""

import json
import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "20261121_citations"
down_revision = "20261121_newest_outcomes"
branch_labels = None
depends_on = None

_MANY = 500


def upgrade() -> None:
    citation = op.create_table(
        "citation",
        sa.Column("diagnosis_id", sa.String(), nullable=False),
        sa.Column("runbook", sa.String(), nullable=False),
        sa.Column("section", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("diagnosis_id", "runbook", name=op.f("pk_citation")),
    )
    with op.batch_alter_table("citation", schema=None) as batch_op:
        batch_op.create_index("ix_citation_runbook_at", ["runbook", "at"], unique=False)
        batch_op.create_index("ix_citation_runbook_incident_id", ["runbook", "incident_id"], unique=False)
    connection, after = op.get_bind(), ""
    query = sa.text(
        f"SELECT id, incident_id, at, body FROM diagnosis WHERE id > :after ORDER BY id LIMIT {_MANY}"
    )
    while rows := connection.execute(query, {"after": after}).all():
        after = rows[-1].id
        if made := [one for row in rows for one in _citations(row)]:
            connection.execute(citation.insert(), made)


def _citations(row: Any) -> list[dict[str, Any]]:
    body = json.loads(row.body)
    refs = [(body.get("runbook", ""), "")]
    for choice in body["choices"]:
        recommended = re.search(r"recommended by (\S+#\S+)$", choice["because"])
        refs += [(recommended[1], choice["strategy"])] if recommended else []
    found = {ref.partition("#")[0]: (ref.partition("#")[2], strategy) for ref, strategy in refs if ref}
    return [
        {
            "diagnosis_id": row.id,
            "runbook": runbook,
            "section": section,
            "strategy": strategy,
            "incident_id": row.incident_id,
            "at": row.at,
        }
        for runbook, (section, strategy) in found.items()
    ]


def downgrade() -> None:
    with op.batch_alter_table("citation", schema=None) as batch_op:
        batch_op.drop_index("ix_citation_runbook_incident_id")
        batch_op.drop_index("ix_citation_runbook_at")
    op.drop_table("citation")
