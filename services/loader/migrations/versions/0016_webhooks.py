"""What webhooks are told: that runs are over, and what came of each delivery."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE runs ADD COLUMN end_untold boolean NOT NULL DEFAULT false;
        CREATE TABLE deliveries (
            id uuid PRIMARY KEY,
            webhook text NOT NULL,
            type text NOT NULL,
            url text NOT NULL,
            data jsonb NOT NULL,
            created_at timestamptz NOT NULL,
            attempts integer NOT NULL,
            status integer,
            error text,
            tried_at timestamptz NOT NULL,
            delivered_at timestamptz,
            given_up_at timestamptz
        );
        CREATE INDEX deliveries_webhook ON deliveries (webhook, created_at DESC, id);
        CREATE INDEX deliveries_created ON deliveries (created_at)
        """
    )
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS runs_end_untold")
        op.execute(
            "CREATE INDEX CONCURRENTLY runs_end_untold ON runs (finished_at) WHERE end_untold"
        )


def downgrade() -> None:
    op.execute("DROP TABLE deliveries")
    op.execute("ALTER TABLE runs DROP COLUMN end_untold")
