"""Modes; with each decision the situation that it was made in.

Revision ID: 2026_11_21_shadow
Revises: 20261121_governor
Create Date: 2026-11-21 17:10:00
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_21_shadow"
down_revision = "20261121_governor"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mode",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mode")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.add_column(sa.Column("situation", sa.Text(), nullable=True))
        batch_op.create_index("ix_decision_effect_at", ["effect", "at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index("ix_decision_effect_at")
        batch_op.drop_column("situation")
    op.drop_table("mode")
