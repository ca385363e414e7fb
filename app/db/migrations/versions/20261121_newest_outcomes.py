"""The newest outcomes of a strategy are found without reading all of them."""

from alembic import op

revision = "20261121_newest_outcomes"
down_revision = "20261121_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_outcome_strategy_at", "outcome", ["strategy", "at"])
    op.drop_index("ix_outcome_strategy_ended", "outcome")


def downgrade() -> None:
    op.create_index("ix_outcome_strategy_ended", "outcome", ["strategy", "ended"])
    op.drop_index("ix_outcome_strategy_at", "outcome")
