"""A year's operation: small runs, equal dead letters in one row, names of what is skipped.

Old code goes on working on the tables.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_UPGRADE = (
    """
    CREATE TABLE task_cursors (
        digest uuid PRIMARY KEY,
        cursor text NOT NULL,
        used_at timestamptz NOT NULL DEFAULT clock_timestamp())
    """,
    "CREATE INDEX task_cursors_used ON task_cursors (used_at)",
    "ALTER TABLE run_tasks ADD COLUMN cursor_digest uuid",
    "ALTER TABLE page_receipts ADD COLUMN skip_examples jsonb NOT NULL DEFAULT '{}'",
    "ALTER TABLE replay_receipts ADD COLUMN skip_examples jsonb NOT NULL DEFAULT '{}'",
    """
    CREATE TABLE dead_letter_runs (
        letter_id uuid NOT NULL REFERENCES dead_letters ON DELETE CASCADE,
        run_id uuid NOT NULL,
        count int NOT NULL,
        PRIMARY KEY (letter_id, run_id))
    """,
    "CREATE INDEX dead_letter_runs_run ON dead_letter_runs (run_id)",
    "ALTER TABLE dead_letters ADD COLUMN first_run_id uuid",
    "ALTER TABLE dead_letters ADD COLUMN last_seen_at timestamptz",
    "UPDATE dead_letters SET first_run_id = run_id, last_seen_at = created_at",
    """
    INSERT INTO dead_letter_runs (letter_id, run_id, count)
    SELECT id, run_id, count FROM dead_letters WHERE run_id IS NOT NULL
    """,
)
_DOWNGRADE = (
    "ALTER TABLE dead_letters DROP COLUMN last_seen_at",
    "ALTER TABLE dead_letters DROP COLUMN first_run_id",
    "DROP TABLE dead_letter_runs",
    "ALTER TABLE replay_receipts DROP COLUMN skip_examples",
    "ALTER TABLE page_receipts DROP COLUMN skip_examples",
    "ALTER TABLE run_tasks DROP COLUMN cursor_digest",
    "DROP TABLE task_cursors",
)


def upgrade() -> None:
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in _DOWNGRADE:
        op.execute(statement)
