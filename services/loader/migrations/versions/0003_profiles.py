"""What a task's stream was taken for.

Old code goes on working on the table: the column may stay empty.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "run_tasks",
        sa.Column("profile", postgresql.JSONB(), nullable=True),
    )


def downgrade() -> None:
    op.execute("ALTER TABLE run_tasks DROP COLUMN profile")
