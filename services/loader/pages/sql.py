"""The SQL that writes a batch of staged pages. `write` and `write_replayed` have the order."""

from __future__ import annotations

from collections.abc import Iterable

from services.loader.pages.copy_rows import POINT_COLUMNS
from shared import versions
from shared.identity.point_ids import FIRST_OF_NEWS
from shared.messages.pages import DatedBy

# What a data point's row takes from its page, and what is its own.
_OF_PAGE = (
    "raw_time",
    "raw_offset",
    "normalizer_version",
    "page_id",
)
OF_POINT = tuple(
    column
    for column in POINT_COLUMNS
    if column not in ("n", "round", "id", "record_index", "value_hash")
)
_OWN = tuple(
    column
    for column in POINT_COLUMNS
    if column not in ("n", "round", "id")
)
_VALUES = (*_OF_PAGE, *_OWN)


def quoted(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _of(table: str, columns: Iterable[str]) -> str:
    return ", ".join(f'{table}."{column}"' for column in columns)


def _overwrite(columns: Iterable[str]) -> str:
    """What `ON CONFLICT DO UPDATE SET` does to a stored row `u`, where the version rule lets it.

    A newer version always takes the row, so that an older one which comes later is known to be
    older. `revision` and `updated_at` move only when the values differ, and then the trigger has
    kept the old ones.
    """
    values = ", ".join(map(_overwritten, columns))
    is_changed = "(u.value_hash <> excluded.value_hash OR u.retired_at IS NOT NULL)"
    return f"""{values}, revision = u.revision + {is_changed}::int, retired_at = NULL,
        updated_at = CASE WHEN {is_changed} THEN %(now)s ELSE u.updated_at END
    WHERE {versions.gives_way("u", "excluded")}"""


def _overwritten(column: str) -> str:
    """News that does not say its time keeps that of the first sight."""
    if column != "timestamp":
        return f'"{column}" = excluded."{column}"'
    are_undated = f"{_undated('u')} AND {_undated('excluded')}"
    return f"""
        "timestamp" = CASE WHEN excluded.id >= '{FIRST_OF_NEWS}' AND {are_undated}
        THEN least(u."timestamp", excluded."timestamp") ELSE excluded."timestamp" END"""


def _undated(row: str) -> str:
    marks = ", ".join(f"'{mark}'" for mark in DatedBy)
    return f"{row}.attributes ->> 'dated_by' IN ({marks})"


CREATE_STAGING_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS stage_pages (
    n int, page_id uuid, run_id uuid, task_id uuid, source text, dataset text, stream text,
    page_no int, record_count int, fetched_at timestamptz,
    origin jsonb, context jsonb, payload jsonb, rejections jsonb,
    cursor_before jsonb, cursor_after jsonb,
    topic text, "partition" int, raw_offset bigint, skipped int, rejected int, skip_reasons jsonb,
    skip_examples jsonb,
    normalizer_version smallint, broker_ms bigint, raw_time bigint DEFAULT 0,
    ids uuid[], value_hashes bigint[], of_run uuid, of_task uuid, symbol text,
    first_id uuid, last_id uuid,
    is_new boolean DEFAULT false,
    is_remapped boolean DEFAULT false,
    old_ids uuid[]  -- of an older mapping
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS stage_points (
    n int, round int, series_id int, id uuid, symbols text[], "timestamp" timestamptz,
    price numeric, open numeric, high numeric, low numeric, close numeric, volume numeric,
    market_cap numeric, base_volume numeric, quote_volume numeric,
    title text, url text, summary text, sentiment double precision, attributes jsonb,
    value_hash bigint, record_index int,
    -- Which NUMERIC takes, beyond all numbers NaN.
    CONSTRAINT finite CHECK (
        greatest(price, open, high, low, close, volume, market_cap, base_volume, quote_volume)
        < 'Infinity'
        AND least(price, open, high, low, close, volume, market_cap, base_volume, quote_volume)
        >= 0)
) ON COMMIT DELETE ROWS;
"""

INSERT_RECEIPTS = """
WITH taken AS (
    INSERT INTO page_receipts (page_id, run_id, task_id, source, stream, page_no, records, skipped,
                               rejected, skip_reasons, skip_examples, normalizer_version,
                               raw_partition,
                               raw_offset, raw_time, ids, value_hashes, first_id, last_id)
    SELECT page_id, run_id, task_id, source, stream, page_no, record_count, skipped, rejected,
           coalesce(skip_reasons, '{}'), coalesce(skip_examples, '{}'), normalizer_version,
           "partition", raw_offset, raw_time, ids, value_hashes, first_id, last_id
    FROM stage_pages AS s
    -- What comes after the end of its task is a stale worker's. LIMIT: see stamps._SELECT_KNOWN.
    WHERE (
        SELECT true FROM run_tasks AS t
        WHERE t.task_id = s.task_id AND t.finished_at IS NOT NULL AND s.page_no >= t.pages LIMIT 1
    ) IS NULL
    ORDER BY n  -- of two pages with one number the older
    ON CONFLICT DO NOTHING RETURNING page_id
)
UPDATE stage_pages AS s SET is_new = true FROM taken
WHERE s.page_id = taken.page_id RETURNING s.page_id::text
"""

# Pages that were not new: `version` is that of the mapping that made what is stored, NULL when
# another page has taken the number.
SELECT_MAPPING_VERSIONS = """
SELECT s.n, CASE WHEN r.normalizer_version IS NOT NULL THEN greatest(r.normalizer_version, (
    SELECT max(f.normalizer_version) FROM replay_receipts AS f
    WHERE f.page_id = s.page_id AND f.is_applied)) END AS version
FROM stage_pages AS s LEFT JOIN LATERAL (
    SELECT p.normalizer_version FROM page_receipts AS p WHERE p.page_id = s.page_id LIMIT 1
) AS r ON true
WHERE NOT s.is_new
"""

# All that older mappings made of the pages.
COLLECT_PREVIOUS_IDS = """
UPDATE stage_pages AS s SET old_ids = old.ids FROM (
    SELECT n, array_agg(DISTINCT id) AS ids FROM (
        SELECT p.n, unnest(r.ids) AS id
        FROM stage_pages AS p JOIN page_receipts AS r ON r.page_id = p.page_id
        WHERE p.n = ANY(%(numbers)s) AND r.normalizer_version < p.normalizer_version
        UNION ALL
        SELECT p.n, unnest(r.ids)
        FROM stage_pages AS p JOIN replay_receipts AS r ON r.page_id = p.page_id
        WHERE p.n = ANY(%(numbers)s) AND r.is_applied
        AND r.normalizer_version < p.normalizer_version
    ) AS yielded GROUP BY n
) AS old WHERE old.n = s.n
"""

# A better mapping's outcome has a receipt of no run: that of the run that fetched the page stays as
# it was counted.
NO_RUN = "00000000-0000-0000-0000-000000000000"
INSERT_REMAPPED_RECEIPTS = f"""
WITH remapped AS (
    INSERT INTO replay_receipts AS r (
        run_id, page_id, task_id, source, stream, records, skipped, rejected, skip_reasons,
        skip_examples, normalizer_version, raw_partition, raw_offset, raw_time, ids, value_hashes,
        is_applied)
    SELECT '{NO_RUN}', page_id, task_id, source, stream, record_count, skipped, rejected,
           coalesce(skip_reasons, '{{}}'), coalesce(skip_examples, '{{}}'), normalizer_version,
           "partition", raw_offset, raw_time,
           ids, value_hashes, true
    FROM stage_pages WHERE n = ANY(%(numbers)s) ORDER BY page_id
    ON CONFLICT (run_id, page_id) DO UPDATE SET
        normalizer_version = excluded.normalizer_version, ids = excluded.ids,
        value_hashes = excluded.value_hashes, outcomes = '', retired_ids = '{{}}'
    WHERE r.normalizer_version < excluded.normalizer_version RETURNING r.page_id
)
UPDATE stage_pages AS s SET is_remapped = true FROM remapped
WHERE remapped.page_id = s.page_id RETURNING s.page_id::text
"""

# What a page yielded by an older mapping, and by this one no more, where that page wrote it last.
# The row stays, out of sight: its values go to the revisions, and nothing older can bring it back.
SELECT_DROPPED_POINTS = f"""
SELECT s.page_id, u.id, s.normalizer_version, s.run_id
FROM stage_pages AS s CROSS JOIN LATERAL unnest(s.old_ids) AS dropped (id)
CROSS JOIN LATERAL ({versions.stored("dropped.id")}) AS u
WHERE u.page_id = s.page_id
AND (s.is_new OR s.is_remapped) AND NOT dropped.id = ANY(s.ids) AND u.retired_at IS NULL
AND u.normalizer_version < s.normalizer_version
AND (s.symbol IS NULL OR u.symbol = s.symbol OR s.symbol = ANY(u.symbols))
"""
RETIRE_DROPPED_POINTS = f"""
WITH dropped AS ({SELECT_DROPPED_POINTS})
UPDATE points AS u SET retired_at = %(now)s, updated_at = %(now)s, revision = u.revision + 1,
    normalizer_version = dropped.normalizer_version, run_id = dropped.run_id
FROM dropped WHERE u.id = dropped.id RETURNING u.page_id::text, u.id::text
"""

INSERT_RAW_PAGES = """
INSERT INTO raw_data (page_id, run_id, task_id, source, dataset, stream, page_no, record_count,
                      fetched_at, broker_time, origin, context, payload, rejections,
                      cursor_before, cursor_after, topic, "partition", "offset")
SELECT page_id, of_run, of_task, source, dataset, stream, page_no, record_count, fetched_at,
       to_timestamp(broker_ms / 1000.0), origin, context, payload, rejections,
       cursor_before, cursor_after, topic, "partition", raw_offset
FROM stage_pages WHERE is_new ORDER BY page_id ON CONFLICT (page_id) DO NOTHING
"""

# Data points of a round. Alone, where all seem to be new: no index is searched for what might be
# there. One that is there all the same is a unique violation, and then they are upserted.
INSERT_POINTS = f"""
    INSERT INTO points AS u ({quoted(_VALUES)}, run_id, id, created_at)
    SELECT {_of("p", _OF_PAGE)}, {_of("s", _OWN)}, nullif(p.run_id, p.of_run), s.id, %(now)s
    FROM stage_points AS s
    JOIN stage_pages AS p ON p.n = s.n AND (p.is_new OR p.is_remapped)
    WHERE s.round = %(round)s ORDER BY s.id
"""
ARE_KNOWN = (
    "SELECT EXISTS (SELECT FROM points WHERE id = ANY(%s::uuid[]))"
)
# The answer lists the ids that were inserted and those that were updated; the others left the
# values as they were. Nearly always all are inserted: then the list of them is left out (NULL).
_UPSERT = f"""
WITH written AS (
    {{insert}}
    ON CONFLICT (id) DO UPDATE SET
        {_overwrite((*_VALUES, "run_id"))}
    RETURNING id, %(round)s = 0 AND created_at = %(now)s AS is_new,
              coalesce(updated_at = %(now)s, false) AS is_changed
)
SELECT CASE WHEN count(*) FILTER (WHERE is_new) < %(points)s THEN coalesce(
           array_agg(replace(id::text, '-', '')) FILTER (WHERE is_new), '{{{{}}}}') END,
       coalesce(array_agg(replace(id::text, '-', '')) FILTER (WHERE NOT is_new AND is_changed),
                '{{{{}}}}')
FROM written
"""
UPSERT_POINTS = _UPSERT.format(insert=INSERT_POINTS)
# Most data points that are read again stay as they are: of those no row is locked.
UPSERT_REPLAYED = _UPSERT.format(
    insert=INSERT_POINTS.replace(
        "ORDER BY s.id",
        f"""AND coalesce((
        SELECT {versions.version("u")} < {versions.version("p", "s")}
               OR {versions.is_revived("u", "p")}
        FROM points AS u WHERE u.id = s.id OFFSET 0), true) ORDER BY s.id""",
    )
)

UPDATE_OUTCOMES = """
UPDATE page_receipts AS r SET outcomes = o.outcomes, inserted = o.inserted, updated = o.updated,
    unchanged = o.unchanged
FROM (VALUES %s) AS o (page_id, outcomes, inserted, updated, unchanged)
WHERE r.page_id = o.page_id::uuid
"""

UPDATE_REPLAY_OUTCOMES = """
UPDATE replay_receipts AS r SET outcomes = o.outcomes, inserted = o.inserted, updated = o.updated,
    unchanged = o.unchanged
FROM (VALUES %s) AS o (run_id, page_id, outcomes, inserted, updated, unchanged)
WHERE r.run_id = o.run_id::uuid AND r.page_id = o.page_id::uuid
"""

# A data point of a page that is older than the one which wrote it last, by a lesser mapping: should
# that page yield it no more, this is what it is. Kept until that page was mapped again.
_KEPT = (
    "run_id",
    "page_id",
    "id",
    "record_index",
    "value_hash",
    "raw_time",
    "raw_offset",
    "normalizer_version",
    *OF_POINT,
)
KEEP_CONTENDERS = f"""
INSERT INTO preview_points ({quoted(_KEPT)})
SELECT %(run)s, p.page_id, s.id, s.record_index, s.value_hash, p.raw_time, p.raw_offset,
       p.normalizer_version, {_of("s", OF_POINT)}
FROM stage_points AS s JOIN stage_pages AS p ON p.n = s.n AND (p.is_new OR p.is_remapped)
CROSS JOIN LATERAL ({versions.stored("s.id")}) AS u
WHERE u.retired_at IS NULL AND u.normalizer_version < p.normalizer_version
AND (u.raw_time, u.raw_offset) > (p.raw_time, p.raw_offset)
ORDER BY s.id ON CONFLICT DO NOTHING
"""
DROP_SETTLED_CONTENDERS = """
DELETE FROM preview_points AS c
USING (SELECT DISTINCT unnest(old_ids) AS id FROM stage_pages WHERE is_new OR is_remapped) AS done
WHERE c.run_id = %(run)s AND c.id = done.id AND c.normalizer_version <= (
    SELECT u.normalizer_version FROM points AS u WHERE u.id = c.id)
"""

# The newest version of points that are kept for a run, written as a page would be.
APPLY_KEPT_POINTS = f"""
WITH newest AS (
    SELECT DISTINCT ON (id) *, coalesce((
        SELECT r.run_id FROM page_receipts AS r
        WHERE r.page_id = p.page_id AND p.run_id = '{NO_RUN}'), p.run_id) AS writer
    FROM preview_points AS p
    WHERE run_id = %(run)s AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
    ORDER BY id, {versions.order_newest_first()}
), written AS (
    INSERT INTO points AS u ({quoted(_KEPT)}, created_at)
    SELECT writer, {quoted(_KEPT[1:])}, %(now)s FROM newest ORDER BY id
    ON CONFLICT (id) DO UPDATE SET
        {_overwrite(column for column in _KEPT if column != "id")}
    RETURNING id, created_at = %(now)s AS is_new
)
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new), (
    SELECT count(*) FROM newest AS n
    WHERE NOT is_contended AND NOT EXISTS (SELECT FROM written AS w WHERE w.id = n.id))
FROM written
"""

UPSERT_STREAM_STATE = """
INSERT INTO stream_state AS t (stream, source, dataset, run_id, page_no, cursor, raw_partition,
                               raw_offset, raw_time, loaded_at)
SELECT DISTINCT ON (stream) stream, source, dataset, run_id, page_no, cursor_after, "partition",
       raw_offset, raw_time, clock_timestamp()
FROM stage_pages WHERE is_new ORDER BY stream, raw_time DESC, raw_offset DESC
ON CONFLICT (stream) DO UPDATE SET
    run_id = excluded.run_id, page_no = excluded.page_no, cursor = excluded.cursor,
    raw_partition = excluded.raw_partition, raw_offset = excluded.raw_offset,
    raw_time = excluded.raw_time, loaded_at = excluded.loaded_at
WHERE (t.raw_time, t.raw_offset) < (excluded.raw_time, excluded.raw_offset)
"""
