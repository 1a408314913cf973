"""The one order of versions: where each partition of ingest.raw stands in it.

Old code goes on working on the tables; what it loads takes the broker's time for its place, which
is less than any place that this version gives.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE raw_clocks (
            partition int PRIMARY KEY,
            generation int NOT NULL DEFAULT 0,
            last_ms bigint NOT NULL DEFAULT 0,
            last_offset bigint NOT NULL DEFAULT -1)
        """
    )
    # A page that is published again finds the one before it.
    op.execute(
        "CREATE INDEX page_receipts_place ON page_receipts (raw_partition, raw_offset)"
    )
    op.execute(
        """
        INSERT INTO raw_clocks (partition, last_ms, last_offset)
        SELECT DISTINCT ON (raw_partition) raw_partition, raw_time, raw_offset
        FROM page_receipts ORDER BY raw_partition, raw_time DESC, raw_offset DESC
        """
    )


def downgrade() -> None:
    op.execute("DROP INDEX page_receipts_place")
    op.execute("DROP TABLE raw_clocks")
