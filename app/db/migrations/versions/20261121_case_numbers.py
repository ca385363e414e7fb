"""Cases are numbered, in the order in which they came.

Revision ID: 20261121_case_numbers
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_case_numbers"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("knowledge_case", schema=None) as batch_op:
        batch_op.add_column(sa.Column("number", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE knowledge_case SET number = numbered.place FROM "
        "(SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM knowledge_case) AS numbered "
        "WHERE numbered.id = knowledge_case.id"
    )
    with op.batch_alter_table("knowledge_case", schema=None) as batch_op:
        batch_op.alter_column("number", existing_type=sa.BigInteger(), nullable=False)
        batch_op.create_unique_constraint(batch_op.f("uq_knowledge_case_number"), ["number"])


def downgrade() -> None:
    with op.batch_alter_table("knowledge_case", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_knowledge_case_number"), type_="unique")
        batch_op.drop_column("number")
