"""How many partitions the topics have had."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE partition_counts (
            count int PRIMARY KEY,
            since timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    # What releases before this one stored was stored with six.
    op.execute(
        "INSERT INTO partition_counts (count) SELECT 6 FROM raw_clocks LIMIT 1"
    )


def downgrade() -> None:
    op.execute("DROP TABLE partition_counts")
