"""Pages: incidents are filtered and searched; assumptions of what repairs save.

Revision ID: 20261121_pages
Revises: 20261121_people
Create Date: 2026-11-21 20:40:00
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_pages"
down_revision = "20261121_citations"
branch_labels = None
depends_on = None

_PLACES = ("system", "owner", "environment")
_VECTOR = (
    "to_tsvector('simple', regexp_replace(id || ' ' || title || ' ' || left(message, 4000) || ' ' || target_key "
    "|| ' ' || job_id || ' ' || run_id, '[^[:alnum:]]+', ' ', 'g'))"
)


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "saving_assumption",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("minutes", sa.Float(), nullable=True),
        sa.Column("hourly_cost", sa.Float(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saving_assumption")),
    )
    op.create_index("ix_diagnosis_at", "diagnosis", ["at"])
    for name in ("type", *_PLACES):
        op.add_column("incident", sa.Column(name, sa.String(), server_default="", nullable=False))
    place = "json_extract(target, '$.{0}')" if sqlite else "(target::json)->>'{0}'"
    places = ", ".join(f"{name} = coalesce({place.format(name)}, '')" for name in _PLACES)
    op.execute(
        f"UPDATE incident SET {places}, type = coalesce((SELECT type FROM diagnosis "
        "WHERE incident_id = incident.id ORDER BY at DESC LIMIT 1), '')"
    )
    op.drop_index("ix_incident_last_seen_id", "incident")
    op.create_index(
        "ix_incident_list",
        "incident",
        ["last_seen", "id", "state", "type", "severity", *_PLACES],
    )
    if sqlite:
        op.execute(
            "CREATE VIRTUAL TABLE incident_words USING fts5(incident_id UNINDEXED, text, columnsize=0)"
        )
        op.execute(
            "INSERT INTO incident_words (incident_id, text) SELECT id, id || ' ' || title || ' ' || "
            "substr(message, 1, 4000) || ' ' || target_key || ' ' || job_id || ' ' || run_id "
            "FROM incident ORDER BY id"
        )
    else:
        op.execute(f"CREATE INDEX incident_words ON incident USING gin (({_VECTOR}))")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE incident_words")
    else:
        op.execute("DROP INDEX incident_words")
    op.drop_index("ix_incident_list", "incident")
    op.create_index("ix_incident_last_seen_id", "incident", ["last_seen", "id"])
    for name in ("type", *_PLACES):
        op.drop_column("incident", name)
    op.drop_index("ix_diagnosis_at", "diagnosis")
    op.drop_table("saving_assumption")
