"""Who asked for what, and what is configured: before and after."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A topic that is made again counts its offsets from 0: the broker's time tells two apart.
    op.execute(
        """
        CREATE TABLE audit (
            id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
            at timestamptz NOT NULL,
            asked_by text,
            action text NOT NULL,
            subject text NOT NULL,
            before jsonb,
            after jsonb,
            topic text NOT NULL,
            partition integer NOT NULL,
            "offset" bigint NOT NULL,
            UNIQUE (topic, partition, "offset", at)
        )
        """
    )
    op.execute("CREATE INDEX audit_subject ON audit (subject, id)")
    op.execute("CREATE INDEX audit_at ON audit (at)")


def downgrade() -> None:
    op.execute("DROP TABLE audit")
