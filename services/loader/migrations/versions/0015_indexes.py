"""Indexes on tables that are large, made while others write to them."""

from alembic import op
from sqlalchemy import text

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
# What may stand in a hole, and nobody knows; what was written since a time.
_INDEXES = {
    "dead_letters_untimed": (
        "dead_letters (regexp_replace(stream, "
        "'/\\d{4}-\\d\\d-\\d\\d\\.\\.\\d{4}-\\d\\d-\\d\\d$', '')) "
        "WHERE event_time IS NULL"
    ),
    "page_receipts_loaded": "page_receipts (loaded_at)",
    "replay_receipts_loaded": "replay_receipts (loaded_at)",
}
_IS_INVALID = text(
    "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, on in _INDEXES.items():
            # One that was broken off lies there, and is of no use.
            if (
                op.get_bind()
                .execute(_IS_INVALID, {"name": name})
                .scalar()
            ):
                op.execute(f"DROP INDEX CONCURRENTLY {name}")
            op.execute(
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {on}"
            )


def downgrade() -> None:
    for name in _INDEXES:
        op.execute(f"DROP INDEX {name}")
