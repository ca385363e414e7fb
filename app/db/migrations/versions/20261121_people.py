"""What people are told and how they answer: deliveries, threads, snoozes, reminders."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_people"
down_revision = "20261121_playbooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("says", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    op.create_index(
        "ix_delivery_under_way",
        "delivery",
        ["channel", "at"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_delivery_incident_id", "delivery", ["incident_id"])
    op.create_index(
        "ix_delivery_failed",
        "delivery",
        ["at"],
        sqlite_where=sa.text("says <> ''"),
        postgresql_where=sa.text("says <> ''"),
    )
    op.create_table(
        "thread",
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("stale", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "channel", name=op.f("pk_thread")),
    )
    op.create_index(
        "ix_thread_stale",
        "thread",
        ["stale"],
        sqlite_where=sa.text("stale > 0"),
        postgresql_where=sa.text("stale > 0"),
    )
    op.create_table(
        "snooze",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("approval_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snooze")),
    )
    op.create_index(op.f("ix_snooze_approval_id"), "snooze", ["approval_id"])
    op.add_column("approval", sa.Column("not_by", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("approval", sa.Column("remind_at", sa.BigInteger(), nullable=True))
    op.add_column("approval", sa.Column("snoozed_until", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_approval_remind_at",
        "approval",
        ["remind_at"],
        sqlite_where=sa.text("waiting"),
        postgresql_where=sa.text("waiting"),
    )
    op.add_column("approval_answer", sa.Column("other", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("approval_answer", "other")
    op.drop_index("ix_approval_remind_at", "approval")
    for name in ("snoozed_until", "remind_at", "not_by"):
        op.drop_column("approval", name)
    for table in ("snooze", "thread", "delivery"):
        op.drop_table(table)
