"""An index for the dead letters that were closed a moment ago, made while others write."""

from alembic import op
from sqlalchemy import text

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
_IS_INVALID = text(
    "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass('dead_letters_closed')"
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # One that was broken off lies there, and is of no use.
        if op.get_bind().execute(_IS_INVALID).scalar():
            op.execute("DROP INDEX CONCURRENTLY dead_letters_closed")
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS dead_letters_closed"
            " ON dead_letters (closed_at) WHERE closed_at IS NOT NULL"
        )


def downgrade() -> None:
    op.execute("DROP INDEX dead_letters_closed")
