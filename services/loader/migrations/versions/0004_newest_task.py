"""Finding the newest task of a stream. Old code goes on working on the table."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX run_tasks_stream ON run_tasks (stream, finished_at DESC) "
        "WHERE finished_at IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX run_tasks_stream")
