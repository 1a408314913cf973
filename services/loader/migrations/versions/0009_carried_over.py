"""The tables of older releases go, when all their rows were carried over."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "DROP TABLE unified_data_0007, unified_revisions_0007, preview_points_0007, carry_over"
    )


def downgrade() -> None:
    raise NotImplementedError(
        "a database of an older release comes back from its backup"
    )
