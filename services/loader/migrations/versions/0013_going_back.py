"""What a database needs that was put back to an earlier state, to be completed from the topics."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Loaders of an older release write the offset alone: then the time is of another record.
    op.execute(
        "ALTER TABLE loader_positions ADD COLUMN time_ms bigint, ADD COLUMN timed_offset bigint"
    )
    op.execute(
        "ALTER TABLE runs ADD COLUMN publish_wanted boolean NOT NULL DEFAULT false"
    )


def downgrade() -> None:
    op.execute(
        "ALTER TABLE loader_positions DROP COLUMN time_ms, DROP COLUMN timed_offset"
    )
    op.execute("ALTER TABLE runs DROP COLUMN publish_wanted")
