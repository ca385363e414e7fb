"""What became of each action of a playbook; undoing an ended repair; targets that are acted on.

Revision ID: 20261121_playbooks
Revises: 20261121_targets
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_playbooks"
down_revision = "20261121_targets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.add_column(sa.Column("actions", sa.Text(), server_default="[]", nullable=False))
    op.create_table(
        "held_target",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_held_target")),
    )
    with op.batch_alter_table("held_target", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_held_target_by"), ["by"], unique=False)
    op.create_table(
        "undo",
        sa.Column("remediation_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.Boolean(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("says", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("remediation_id", name=op.f("pk_undo")),
    )
    with op.batch_alter_table("undo", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_undo_waiting"), ["waiting"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("undo", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_undo_waiting"))
    op.drop_table("undo")
    with op.batch_alter_table("held_target", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_held_target_by"))
    op.drop_table("held_target")
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.drop_column("actions")
