"""Targets that are registered by API or command."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_targets"
down_revision = "2026_11_21_shadow"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "target",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_target")),
    )


def downgrade() -> None:
    op.drop_table("target")
