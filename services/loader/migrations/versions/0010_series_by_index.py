"""Sums of series are changed by the index of their numbers, however many series there are."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
_SETTINGS = ("enable_hashjoin", "enable_mergejoin", "enable_seqscan")


def upgrade() -> None:
    for setting in _SETTINGS:
        op.execute(
            f"ALTER FUNCTION change_series(series_change[]) SET {setting} = off"
        )


def downgrade() -> None:
    for setting in _SETTINGS:
        op.execute(
            f"ALTER FUNCTION change_series(series_change[]) RESET {setting}"
        )
