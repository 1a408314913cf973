"""Windows of history become one series, and what was loaded before asking was recorded says so.

A window of days was a stream, and so a series, of its own.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
_WINDOW = r"^(coinpaprika/[^/]+/(ohlcv|historical))/\d{4}-\d\d-\d\d\.\.\d{4}-\d\d-\d\d$"
_PARENT = rf"regexp_replace(stream, '{_WINDOW}', '\1')"
_TEXTS = (
    "source",
    "dataset",
    _PARENT,
    "kind",
    "instrument",
    "symbol",
    '"interval"',
    "currency",
    "timestamp_is",
)
_KEY = " || E'\\x1f' || ".join(
    f"coalesce({text}, E'\\x1e')" for text in _TEXTS
)
_GROUPS = ", ".join(map(str, range(1, len(_TEXTS) + 2)))
# `key`: as services/loader/pages/series.py makes it.
_MOVE_SERIES = (
    f"""
    CREATE TEMP TABLE moved ON COMMIT DROP AS
    SELECT series_id AS old, md5({_KEY})::uuid AS key FROM series WHERE stream ~ '{_WINDOW}'
    """,
    f"""
    INSERT INTO series (key, source, dataset, stream, kind, instrument, symbol, "interval",
                        currency, timestamp_is, first_id, past_id)
    SELECT m.key, {", ".join(_TEXTS)}, min(first_id::text)::uuid, max(past_id::text)::uuid
    FROM moved AS m JOIN series ON series_id = m.old GROUP BY {_GROUPS}
    """,
    """
    ALTER TABLE moved ADD COLUMN new integer
    """,
    """
    UPDATE moved SET new = series_id FROM series WHERE series.key = moved.key
    """,
    """
    UPDATE points AS p SET series_id = moved.new FROM moved WHERE p.series_id = moved.old
    """,
    """
    UPDATE preview_points AS p SET series_id = moved.new FROM moved WHERE p.series_id = moved.old
    """,
    """
    UPDATE retirements AS r SET series_id = moved.new FROM moved WHERE r.series_id = moved.old
    """,
    """
    DELETE FROM series USING moved WHERE series_id = moved.old
    """,
)
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
SELECT {_PARENT}, 'unknown', '', 0, '0001-01-01Z', max(until), (array_agg(run_id))[1]
FROM page_receipts, unrecorded
WHERE loaded_at <= until AND ids <> '{{}}' AND first_id IS NULL
GROUP BY 1
"""
# What may stand in a hole, and nobody knows.
_INDEX_UNTIMED = """
CREATE INDEX dead_letters_untimed ON dead_letters (stream) WHERE event_time IS NULL
"""
# What was written since a time.
_INDEX_LOADED = """
CREATE INDEX page_receipts_loaded ON page_receipts (loaded_at);
CREATE INDEX replay_receipts_loaded ON replay_receipts (loaded_at)
"""


def upgrade() -> None:
    for statement in (
        *_MOVE_SERIES,
        _MERGE_ASKED,
        _MARK_UNRECORDED,
        _INDEX_UNTIMED,
        _INDEX_LOADED,
    ):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError(
        "a database of an older release comes back from its backup"
    )
