"""The governor: approvals by two people.

Revision ID: 20261121_governor
Revises: 20261121_case_numbers
Create Date: 2026-11-21 17:10:00
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_governor"
down_revision = "20261121_case_numbers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "approval_yes",
        sa.Column("approval_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("approval_id", "actor", name=op.f("pk_approval_yes")),
    )
    with op.batch_alter_table("approval", schema=None) as batch_op:
        batch_op.add_column(sa.Column("people", sa.Integer(), server_default="1", nullable=False))
    with op.batch_alter_table("remediation", schema=None) as batch_op:
        batch_op.add_column(sa.Column("approvers", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("remediation", schema=None) as batch_op:
        batch_op.drop_column("approvers")
    with op.batch_alter_table("approval", schema=None) as batch_op:
        batch_op.drop_column("people")
    op.drop_table("approval_yes")
