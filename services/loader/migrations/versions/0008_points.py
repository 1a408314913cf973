"""Data points in partitions by ranges of their ids, with their series in a table of its own.

The old tables are kept under other names until `services.loader.carry_over` has carried their
rows over; migration 0009 drops them. There is no way back but the backup.
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
CREATE TABLE carry_over (
    step text PRIMARY KEY,
    position jsonb NOT NULL,  -- of the last row that is done
    is_done boolean NOT NULL DEFAULT false)
"""
# As shared/messages/point_ids.py makes them.
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
    past_id uuid)
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


def upgrade() -> None:
    for statement in (
        _MOVE_OLD_AWAY,
        _FUNCTIONS,
        _SERIES,
        _POINTS,
        _VIEWS,
        _TRIGGER,
        _ENSURE_PARTITION,
    ):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError(
        "a database of an older release comes back from its backup"
    )
