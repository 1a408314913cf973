"""What windows of history were asked for is kept as of one stream.

And what was loaded before asking was recorded says so. Series that windows had stay as they are:
questions take them for parts of one.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
_WINDOW = r"^(coinpaprika/[^/]+/(ohlcv|historical))/\d{4}-\d\d-\d\d\.\.\d{4}-\d\d-\d\d$"
_PARENT = rf"regexp_replace(stream, '{_WINDOW}', '\1')"
_LOCK = "LOCK TABLE asked IN SHARE ROW EXCLUSIVE MODE"
_MERGE_ASKED = f"""
WITH of_windows AS (DELETE FROM asked WHERE stream ~ '{_WINDOW}' RETURNING *), marked AS (
    SELECT *, coalesce(first_at > make_interval(secs => every_s + 0.000001) + max(last_at) OVER (
        PARTITION BY parent, outcome, reason, every_s ORDER BY first_at, last_at
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS is_begin
    FROM (SELECT *, {_PARENT} AS parent FROM of_windows) AS named
), islands AS (
    SELECT *, count(*) FILTER (WHERE is_begin) OVER (
        PARTITION BY parent, outcome, reason, every_s ORDER BY first_at, last_at) AS island
    FROM marked
)
INSERT INTO asked (stream, outcome, reason, every_s, first_at, last_at, run_id)
SELECT parent, outcome, reason, every_s, min(first_at), max(last_at),
       (array_agg(run_id ORDER BY last_at DESC))[1]
FROM islands GROUP BY parent, outcome, reason, every_s, island
"""
# Receipts of pages that were loaded by a release which recorded nothing have no `first_id`. Those
# of news never have one.
_MARK_UNRECORDED = f"""
WITH unrecorded AS (
    SELECT max(loaded_at) AS until FROM page_receipts
    WHERE first_id IS NULL AND ids <> '{{}}' AND source <> 'rss'
)
INSERT INTO asked (stream, outcome, reason, every_s, first_at, last_at, run_id)
SELECT {_PARENT}, 'unknown', '', 0, '0001-01-01Z', max(loaded_at), (array_agg(run_id))[1]
FROM page_receipts AS r, unrecorded
WHERE first_id IS NULL AND ids <> '{{}}' AND (
    loaded_at <= until OR NOT EXISTS (SELECT FROM asked AS a WHERE a.stream = r.stream))
GROUP BY 1
"""


def upgrade() -> None:
    for statement in (
        _LOCK,
        _MERGE_ASKED,
        _MARK_UNRECORDED,
    ):
        op.execute(statement)


def downgrade() -> None:
    # What is one record a coin stays so: the release before asks for such windows again.
    op.execute("DELETE FROM asked WHERE outcome = 'unknown'")
