"""What repair, requeueing and gaps need.

Old code goes on working on these tables: every new column has a default.
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NOW = sa.text("clock_timestamp()")


def _time(
    name: str, *, nullable: bool = True, default: bool = False
) -> sa.Column[datetime]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=nullable,
        server_default=_NOW if default else None,
    )


def upgrade() -> None:
    op.add_column(
        "runs",
        sa.Column(
            "repairs",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
        ),
    )
    op.add_column("runs", _time("repaired_at"))
    op.add_column(
        "runs",
        sa.Column(
            "repair_wanted",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
        ),
    )
    op.add_column(
        "run_tasks", sa.Column("cursor_before", sa.Text(), nullable=True)
    )
    op.add_column(
        "dead_letters", sa.Column("note", sa.Text(), nullable=True)
    )
    op.add_column(
        "dead_letters",
        sa.Column(
            "requeued_run_id", sa.UUID(as_uuid=False), nullable=True
        ),
    )
    op.add_column("dead_letters", _time("closed_at"))
    op.create_index(
        "dead_letters_requeued",
        "dead_letters",
        ["requeued_run_id"],
        unique=False,
        postgresql_where=sa.text("requeued_run_id IS NOT NULL"),
    )
    # Where a page number was taken twice, the later page keeps its receipt under a number that no
    # task uses.
    op.execute("""
        UPDATE page_receipts AS r SET page_no = -1 - r.page_no WHERE EXISTS (
            SELECT 1 FROM page_receipts AS first
            WHERE first.task_id = r.task_id AND first.page_no = r.page_no
            AND (first.raw_offset, first.page_id) < (r.raw_offset, r.page_id))
    """)
    op.create_index(
        "page_receipts_number",
        "page_receipts",
        ["task_id", "page_no"],
        unique=True,
    )
    op.create_table(
        "data_gaps",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("first_missing", sa.BigInteger(), nullable=False),
        sa.Column("first_available", sa.BigInteger(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        _time("noticed_at", nullable=False),
        _time("closed_at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "data_gaps_noticed",
        "data_gaps",
        [
            sa.literal_column("noticed_at DESC"),
            sa.literal_column("id DESC"),
        ],
        unique=False,
    )
    op.create_table(
        "loader_positions",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        _time("updated_at", nullable=False, default=True),
        sa.PrimaryKeyConstraint("topic", "partition"),
    )


def downgrade() -> None:
    op.execute("DROP TABLE data_gaps, loader_positions")
    op.execute("DROP INDEX page_receipts_number")
    op.execute(
        "ALTER TABLE runs DROP COLUMN repairs, DROP COLUMN repaired_at, DROP COLUMN repair_wanted"
    )
    op.execute("ALTER TABLE run_tasks DROP COLUMN cursor_before")
    op.execute(
        "ALTER TABLE dead_letters DROP COLUMN note, DROP COLUMN requeued_run_id, "
        "DROP COLUMN closed_at"
    )
