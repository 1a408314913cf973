"""Data points in partitions by ranges of their ids, with their series in a table of its own.

The old tables are kept under other names until `services.loader.steps.carry_over` has carried
their rows over; migration 0009 drops them. There is no way back but the backup.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MOVE_OLD_AWAY = """
DROP TRIGGER unified_data_keep_revision ON unified_data;
ALTER TABLE unified_data RENAME TO unified_data_0007;
ALTER INDEX unified_data_pkey RENAME TO unified_data_0007_pkey;
ALTER INDEX unified_data_time RENAME TO unified_data_0007_time;
DROP INDEX unified_data_symbol_time, unified_data_source_time, unified_data_symbols;
ALTER TABLE unified_revisions RENAME TO unified_revisions_0007;
ALTER INDEX unified_revisions_pkey RENAME TO unified_revisions_0007_pkey;
DROP INDEX unified_revisions_time;
ALTER TABLE preview_points RENAME TO preview_points_0007;
ALTER INDEX preview_points_pkey RENAME TO preview_points_0007_pkey;
ALTER INDEX preview_points_id RENAME TO preview_points_0007_id;
CREATE TABLE unified_revisions (
    id uuid NOT NULL,
    revision integer NOT NULL,
    data jsonb NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    replaced_by uuid NOT NULL,
    PRIMARY KEY (id, revision));
CREATE INDEX unified_revisions_time ON unified_revisions (replaced_at);
-- Also what is not the longest in a row is compressed.
ALTER TABLE page_receipts SET (toast_tuple_target = 128);
ALTER TABLE replay_receipts SET (toast_tuple_target = 128);
-- By what takes least time, where the server was built with it.
DO $$ BEGIN
    IF (SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE raw_data ALTER payload SET COMPRESSION lz4, ALTER context SET COMPRESSION lz4,
            ALTER rejections SET COMPRESSION lz4, ALTER cursor_before SET COMPRESSION lz4,
            ALTER cursor_after SET COMPRESSION lz4;
        ALTER TABLE page_receipts ALTER ids SET COMPRESSION lz4,
            ALTER value_hashes SET COMPRESSION lz4, ALTER outcomes SET COMPRESSION lz4;
        ALTER TABLE replay_receipts ALTER ids SET COMPRESSION lz4,
            ALTER value_hashes SET COMPRESSION lz4, ALTER outcomes SET COMPRESSION lz4;
        ALTER TABLE unified_revisions ALTER data SET COMPRESSION lz4;
    END IF;
END $$;
CREATE TABLE carry_over (
    step text PRIMARY KEY,
    position jsonb NOT NULL,  -- of the last row that is done
    is_done boolean NOT NULL DEFAULT false)
"""
# As shared/identity/point_ids.py makes them.
_FUNCTIONS = """
CREATE FUNCTION first_point_id(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (substr(digits, 1, 12) || '8' || substr(digits, 13, 3) || '8000000000000000')::uuid
    FROM lpad(to_hex(least(greatest(extract(epoch FROM moment) * 1000000, 0),
                           7258118399999999)::bigint), 15, '0') AS digits
$$;
CREATE FUNCTION point_id(kind text, moment timestamptz, old uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (CASE WHEN kind = 'news'
                 THEN 'f' || substr(hash, 2, 11) || '8' || substr(hash, 14, 3)
                 ELSE substr(replace(first_point_id(moment)::text, '-', ''), 1, 16) END
            || substr('89ab89ab89ab89ab', strpos('0123456789abcdef', substr(hash, 17, 1)), 1)
            || substr(hash, 18))::uuid
    FROM replace(old::text, '-', '') AS hash
$$
"""
# `key`: over all texts, see services/loader/pages/series.py.
_SERIES = """
CREATE TABLE series (
    series_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key uuid NOT NULL UNIQUE,
    source text NOT NULL,
    dataset text NOT NULL,
    stream text NOT NULL,
    kind text NOT NULL,
    instrument text,
    symbol text,
    "interval" text,
    currency text,
    timestamp_is text,
    first_id uuid,
    past_id uuid,
    points bigint NOT NULL DEFAULT 0,
    first_at timestamptz,
    last_at timestamptz,
    arrived_at timestamptz)
-- Room for a new version of each row on its own page: each batch writes one.
WITH (fillfactor = 50);
CREATE INDEX series_dataset ON series (source, dataset, series_id);
-- Rises with every series that is new, or whose points lie in further months: who remembers which
-- series there are sees by it whether that still holds.
CREATE TABLE series_version (is_only boolean PRIMARY KEY CHECK (is_only), version bigint NOT NULL);
CREATE FUNCTION raise_series_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A table that was emptied does not count from 1 again.
    INSERT INTO series_version AS v (is_only, version)
    VALUES (true, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    ON CONFLICT (is_only) DO UPDATE SET version = v.version + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER series_raise_version AFTER INSERT OR DELETE OR TRUNCATE
OR UPDATE OF first_id, past_id ON series
FOR EACH STATEMENT EXECUTE FUNCTION raise_series_version()
"""
# What sources were asked for, by ranges of event time that do not touch each other.
_ASKED = """
CREATE TABLE asked (
    stream text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    every_s integer NOT NULL,
    last_at timestamptz NOT NULL,
    first_at timestamptz NOT NULL,
    run_id uuid NOT NULL,
    PRIMARY KEY (stream, outcome, reason, every_s, last_at));
CREATE TABLE retirements (
    task_id uuid PRIMARY KEY REFERENCES run_tasks ON DELETE CASCADE,
    series_id integer NOT NULL,
    raw_time bigint NOT NULL,
    raw_offset bigint NOT NULL,
    reached uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    changed bigint NOT NULL DEFAULT 0,
    stayed bigint NOT NULL DEFAULT 0);
ALTER TABLE dead_letters ADD COLUMN event_time timestamptz;
ALTER TABLE page_receipts ADD COLUMN first_id uuid, ADD COLUMN last_id uuid
"""
# What has a fixed length first, so that nothing is padded.
_POINTS = """
CREATE TABLE points (
    id uuid NOT NULL,
    page_id uuid NOT NULL,
    "timestamp" timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    raw_time bigint NOT NULL,
    raw_offset bigint NOT NULL,
    value_hash bigint NOT NULL,
    series_id integer NOT NULL,
    record_index integer NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    normalizer_version smallint NOT NULL,
    price numeric,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    market_cap numeric,
    base_volume numeric,
    quote_volume numeric,
    sentiment double precision,
    run_id uuid,  -- where it is not the one that fetched the page
    updated_at timestamptz,  -- where it was
    retired_at timestamptz,
    symbols text[],
    title text,
    url text,
    summary text,
    attributes jsonb,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX points_series ON points (series_id, id);
CREATE TABLE points_news PARTITION OF points
    FOR VALUES FROM ('f0000000-0000-0000-0000-000000000000') TO (MAXVALUE);
CREATE INDEX points_news_time ON points_news ("timestamp", id);
CREATE INDEX points_news_series_time ON points_news (series_id, "timestamp", id);
CREATE INDEX points_news_symbols ON points_news USING gin (symbols) WHERE symbols IS NOT NULL;
CREATE TABLE preview_points (
    id uuid NOT NULL,
    page_id uuid NOT NULL,
    run_id uuid NOT NULL,
    "timestamp" timestamptz NOT NULL,
    raw_time bigint NOT NULL,
    raw_offset bigint NOT NULL,
    value_hash bigint NOT NULL,
    series_id integer NOT NULL,
    record_index integer NOT NULL,
    normalizer_version smallint NOT NULL,
    is_contended boolean NOT NULL DEFAULT false,
    price numeric,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    market_cap numeric,
    base_volume numeric,
    quote_volume numeric,
    sentiment double precision,
    symbols text[],
    title text,
    url text,
    summary text,
    attributes jsonb,
    PRIMARY KEY (run_id, page_id, id, record_index)
);
CREATE INDEX preview_points_id ON preview_points (run_id, id)
"""
# Whole rows: with the texts that all points of a series share.
_VIEWS = """
CREATE VIEW unified_data AS
SELECT p.id, s.source, s.dataset, s.stream, s.instrument, s.symbol, p.symbols, s.kind,
       s."interval", p."timestamp", s.timestamp_is, s.currency, p.price, p.open, p.high, p.low,
       p.close, p.volume, p.base_volume, p.quote_volume, p.market_cap, p.title, p.url, p.summary,
       p.sentiment, p.attributes, p.value_hash, p.raw_time, p.raw_offset, p.record_index,
       p.normalizer_version, p.page_id, coalesce(p.run_id, r.run_id) AS run_id, p.revision,
       p.created_at, coalesce(p.updated_at, p.created_at) AS updated_at, p.retired_at
FROM points AS p JOIN series AS s USING (series_id) LEFT JOIN page_receipts AS r USING (page_id);
CREATE VIEW previewed_data AS
SELECT run_id, page_id, id, record_index, source, dataset, stream, instrument, symbol, symbols,
       kind, "interval", "timestamp", timestamp_is, currency, price, open, high, low, close, volume,
       base_volume, quote_volume, market_cap, title, url, summary, sentiment, attributes,
       value_hash, raw_time, raw_offset, normalizer_version, is_contended
FROM preview_points JOIN series USING (series_id)
"""
# A revision is whole: what is in no column of a point comes from its series.
_TRIGGER = """
CREATE OR REPLACE FUNCTION keep_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unified_revisions (id, revision, data, replaced_by, replaced_at)
    SELECT OLD.id, OLD.revision, to_jsonb(OLD) - 'series_id' || jsonb_build_object(
               'run_id', coalesce(OLD.run_id, (
                   SELECT r.run_id FROM page_receipts AS r WHERE r.page_id = OLD.page_id)),
               'updated_at', coalesce(OLD.updated_at, OLD.created_at),
               'source', s.source, 'dataset', s.dataset, 'stream', s.stream, 'kind', s.kind,
               'instrument', s.instrument, 'symbol', s.symbol, 'interval', s."interval",
               'currency', s.currency, 'timestamp_is', s.timestamp_is), NEW.page_id,
           coalesce(NEW.updated_at, clock_timestamp())
    FROM series AS s WHERE s.series_id = OLD.series_id
    ON CONFLICT (id, revision) DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER points_keep_revision BEFORE UPDATE ON points
FOR EACH ROW WHEN (OLD.value_hash IS DISTINCT FROM NEW.value_hash
                   OR OLD.retired_at IS DISTINCT FROM NEW.retired_at)
EXECUTE FUNCTION keep_revision()
"""
# The sums of a series move with every change of its points, whoever makes it, in the same
# transaction. Of a first or last point that goes, the next one is found by the indexes.
_COUNTING = """
CREATE TYPE series_change AS (
    series_id integer, points bigint, old_first timestamptz, old_last timestamptz,
    new_first timestamptz, new_last timestamptz, arrived_at timestamptz);
CREATE FUNCTION first_of_series(which integer, is_news boolean, since timestamptz)
RETURNS timestamptz LANGUAGE sql AS $$
    SELECT CASE WHEN is_news THEN (
        SELECT p."timestamp" FROM points_news AS p
        WHERE p.series_id = which AND p.retired_at IS NULL AND p."timestamp" >= since
        ORDER BY p."timestamp", p.id LIMIT 1)
    -- Beyond the times that ids have room for, ids do not tell the order.
    ELSE coalesce((
        SELECT min(p."timestamp") FROM points AS p
        WHERE p.series_id = which AND p.retired_at IS NULL
        AND p.id < first_point_id('1970-01-01 00:00:00.000001Z')), (
        SELECT p."timestamp" FROM points AS p
        WHERE p.series_id = which AND p.retired_at IS NULL
        AND p.id >= first_point_id(since) AND p.id < 'f0000000-0000-0000-0000-000000000000'
        ORDER BY p.id LIMIT 1)) END
$$;
CREATE FUNCTION last_of_series(which integer, is_news boolean, until timestamptz)
RETURNS timestamptz LANGUAGE sql AS $$
    SELECT CASE WHEN is_news THEN (
        SELECT p."timestamp" FROM points_news AS p
        WHERE p.series_id = which AND p.retired_at IS NULL AND p."timestamp" <= until
        ORDER BY p."timestamp" DESC, p.id DESC LIMIT 1)
    ELSE coalesce((
        SELECT max(p."timestamp") FROM points AS p
        WHERE p.series_id = which AND p.retired_at IS NULL
        AND p.id >= first_point_id('2199-12-31 23:59:59.999999Z')
        AND p.id < 'f0000000-0000-0000-0000-000000000000'), (
        SELECT p."timestamp" FROM points AS p
        WHERE p.series_id = which AND p.retired_at IS NULL
        AND p.id < first_point_id(until + interval '1 microsecond')
        ORDER BY p.id DESC LIMIT 1)) END
$$;
CREATE FUNCTION change_series(changes series_change[]) RETURNS void LANGUAGE sql AS $$
    WITH locked AS (  -- in one order
        SELECT s.series_id FROM series AS s
        WHERE s.series_id IN (SELECT c.series_id FROM unnest(changes) AS c)
        ORDER BY s.series_id FOR NO KEY UPDATE
    )
    UPDATE series AS s SET points = s.points + c.points,
        arrived_at = greatest(s.arrived_at, c.arrived_at),
        first_at = CASE
            WHEN s.first_at < c.old_first OR c.old_first IS NULL OR c.new_first <= c.old_first
            THEN least(s.first_at, c.new_first)
            ELSE first_of_series(s.series_id, s.kind = 'news', c.old_first) END,
        last_at = CASE
            WHEN s.last_at > c.old_last OR c.old_last IS NULL OR c.new_last >= c.old_last
            THEN greatest(s.last_at, c.new_last)
            ELSE last_of_series(s.series_id, s.kind = 'news', c.old_last) END
    FROM unnest(changes) AS c JOIN locked USING (series_id) WHERE s.series_id = c.series_id
$$;
CREATE FUNCTION count_points() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changes series_change[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(ROW(n.*)::series_change) INTO changes FROM (
            SELECT series_id, count(*), NULL::timestamptz, NULL::timestamptz,
                   min("timestamp"), max("timestamp"), max(created_at)
            FROM new_points WHERE retired_at IS NULL GROUP BY series_id) AS n;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(ROW(o.*)::series_change) INTO changes FROM (
            SELECT series_id, -count(*), min("timestamp"), max("timestamp"),
                   NULL::timestamptz, NULL::timestamptz, NULL::timestamptz
            FROM old_points WHERE retired_at IS NULL GROUP BY series_id) AS o;
    ELSE
        SELECT array_agg(ROW(series_id, points, old_first, old_last, new_first, new_last,
                             arrived_at)::series_change)
        INTO changes FROM (
            SELECT series_id, sum(points)::bigint AS points, min(old_at) AS old_first,
                   max(old_at) AS old_last, min(new_at) AS new_first, max(new_at) AS new_last,
                   max(arrived_at) FILTER (WHERE points > 0) AS arrived_at
            FROM (SELECT series_id, 1 AS points, NULL::timestamptz AS old_at,
                         "timestamp" AS new_at, created_at AS arrived_at
                  FROM new_points WHERE retired_at IS NULL
                  UNION ALL
                  SELECT series_id, -1, "timestamp", NULL, NULL
                  FROM old_points WHERE retired_at IS NULL) AS each
            GROUP BY series_id) AS n
        WHERE points <> 0 OR (old_first, old_last) IS DISTINCT FROM (new_first, new_last);
    END IF;
    IF changes IS NOT NULL THEN
        PERFORM change_series(changes);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER points_count_inserted AFTER INSERT ON points
REFERENCING NEW TABLE AS new_points FOR EACH STATEMENT EXECUTE FUNCTION count_points();
CREATE TRIGGER points_count_updated AFTER UPDATE ON points
REFERENCING OLD TABLE AS old_points NEW TABLE AS new_points
FOR EACH STATEMENT EXECUTE FUNCTION count_points();
CREATE TRIGGER points_count_deleted AFTER DELETE ON points
REFERENCING OLD TABLE AS old_points FOR EACH STATEMENT EXECUTE FUNCTION count_points()
"""
# ANALYZE and VACUUM were the most of all that a growing table costs: nothing is kept of columns by
# which nothing is looked for, and little of the others.
_STATISTICS = """
CREATE FUNCTION keep_statistics(which regclass, needed text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT attname FROM pg_attribute
                WHERE attrelid = which AND attnum > 0 AND NOT attisdropped LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', which, name,
                       CASE WHEN name = ANY(needed) THEN 20 ELSE 0 END);
    END LOOP;
END $$;
CREATE FUNCTION tune_points(which regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM keep_statistics(which, '{id,series_id,timestamp,symbols,retired_at}');
    -- What is only ever added leaves nothing to be vacuumed.
    EXECUTE format('ALTER TABLE %s SET (autovacuum_analyze_scale_factor = 0.2,
                   autovacuum_vacuum_insert_threshold = -1)', which);
END $$;
SELECT tune_points('points_news'),
       keep_statistics('raw_data', '{page_id,run_id,source,stream,broker_time,partition}'),
       keep_statistics('page_receipts', '{page_id,run_id,task_id,source,stream,raw_time}'),
       keep_statistics('replay_receipts', '{page_id,run_id,task_id,source,stream,raw_time}'),
       keep_statistics('unified_revisions', '{id,replaced_at}'),
       keep_statistics('preview_points', '{run_id,id,series_id}')
"""
# Run with the rights of the role that migrates, for the loader, which may not make tables. A new
# partition is made beside the table and then attached, which stops neither readers nor writers.
_ENSURE_PARTITION = """
CREATE FUNCTION ensure_partition(year integer, month integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    of_year text := format('points_%s', year);
    of_month text := format('points_%s_%s', year, lpad(month::text, 2, '0'));
    this_year int := extract(year FROM clock_timestamp());
    is_by_month boolean;
    first timestamptz;
    past timestamptz;
BEGIN
    IF year NOT BETWEEN 1970 AND 2199 OR month NOT BETWEEN 1 AND 12 THEN
        RAISE EXCEPTION 'no partition for % %', year, month;
    END IF;
    PERFORM pg_advisory_xact_lock(4711021);
    -- By a query: what a session remembers of names, as to_regclass does, a lock does not refresh.
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace
               AND relname IN (of_year, of_month)) THEN
        RETURN false;
    END IF;
    is_by_month := year BETWEEN this_year - 1 AND this_year + 1 OR EXISTS (
        SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relname ~ ('^' || of_year || '_[0-9]{2}$'));
    first := make_timestamptz(year, CASE WHEN is_by_month THEN month ELSE 1 END, 1, 0, 0, 0);
    past := first + CASE WHEN is_by_month THEN interval '1 month' ELSE interval '1 year' END;
    EXECUTE format('CREATE TABLE %I (LIKE points INCLUDING ALL)',
                   CASE WHEN is_by_month THEN of_month ELSE of_year END);
    PERFORM tune_points(
        format('%I', CASE WHEN is_by_month THEN of_month ELSE of_year END)::regclass);
    EXECUTE format('ALTER TABLE points ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   CASE WHEN is_by_month THEN of_month ELSE of_year END,
                   first_point_id(first),
                   CASE WHEN extract(year FROM past) < 2200
                        THEN first_point_id(past)
                        ELSE 'f0000000-0000-0000-0000-000000000000'::uuid END);
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION ensure_partition FROM PUBLIC
"""
# A partition goes in two steps, so that what is loaded waits for neither: taken off, then counted
# and dropped. With the rights of the role that migrates.
_DROP_PARTITION = """
CREATE FUNCTION detach_partition(before timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC'
SET lock_timeout = '200ms' AS $$
DECLARE
    oldest text;
BEGIN
    PERFORM pg_advisory_xact_lock(4711021);
    SELECT c.relname INTO oldest FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'points'::regclass AND c.relname ~ '^points_[0-9]{4}(_[0-9]{2})?$'
    AND before >= CASE WHEN c.relname ~ '_[0-9]{4}_'
                       THEN to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month'
                       ELSE to_date(right(c.relname, 4), 'YYYY') + interval '1 year' END
    ORDER BY c.relname LIMIT 1;
    IF oldest IS NOT NULL THEN
        EXECUTE format('ALTER TABLE points DETACH PARTITION %I', oldest);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', oldest, 'gone_' || oldest || '_'
                       || to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint));
    END IF;
    RETURN oldest;
END $$;
CREATE FUNCTION drop_detached() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    gone text;
    changes series_change[];
    count_here bigint;
    dropped bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(4711021);
    FOR gone IN SELECT relname FROM pg_class
                WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                AND relname ~ '^gone_points_[0-9]{4}(_[0-9]{2})?_[0-9a-f]+$' LOOP
        EXECUTE format('SELECT array_agg(ROW(o.*)::series_change) FROM (
            SELECT series_id, -count(*), min("timestamp"), max("timestamp"), NULL::timestamptz,
                   NULL::timestamptz, NULL::timestamptz
            FROM %I WHERE retired_at IS NULL GROUP BY series_id) AS o', gone) INTO changes;
        IF changes IS NOT NULL THEN
            PERFORM change_series(changes);
        END IF;
        EXECUTE format('DELETE FROM unified_revisions AS r USING %I AS p WHERE p.id = r.id', gone);
        EXECUTE format('SELECT count(*) FROM %I', gone) INTO count_here;
        EXECUTE format('DROP TABLE %I', gone);
        dropped := dropped + count_here;
    END LOOP;
    RETURN dropped;
END $$;
REVOKE EXECUTE ON FUNCTION detach_partition, drop_detached FROM PUBLIC
"""


def upgrade() -> None:
    for statement in (
        _MOVE_OLD_AWAY,
        _FUNCTIONS,
        _SERIES,
        _ASKED,
        _POINTS,
        _VIEWS,
        _TRIGGER,
        _COUNTING,
        _STATISTICS,
        _ENSURE_PARTITION,
        _DROP_PARTITION,
    ):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError(
        "a database of an older release comes back from its backup"
    )
