"""Replays, previews, retired data points, retention.

Old code goes on working on the tables: what is new may stay empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE replay_receipts (
    run_id UUID NOT NULL,
    page_id UUID NOT NULL,
    task_id UUID NOT NULL,
    source TEXT NOT NULL,
    stream TEXT NOT NULL,
    records INTEGER NOT NULL,
    inserted INTEGER DEFAULT 0 NOT NULL,
    updated INTEGER DEFAULT 0 NOT NULL,
    unchanged INTEGER DEFAULT 0 NOT NULL,
    skipped INTEGER DEFAULT 0 NOT NULL,
    rejected INTEGER DEFAULT 0 NOT NULL,
    skip_reasons JSONB DEFAULT '{}'::jsonb NOT NULL,
    ids UUID[] DEFAULT '{}' NOT NULL,
    outcomes TEXT DEFAULT '' NOT NULL,
    value_hashes BIGINT[] DEFAULT '{}' NOT NULL,
    retired_ids UUID[] DEFAULT '{}' NOT NULL,
    normalizer_version SMALLINT NOT NULL,
    raw_partition INTEGER NOT NULL,
    raw_offset BIGINT NOT NULL,
    raw_time BIGINT NOT NULL,
    symbol TEXT,
    is_applied BOOLEAN NOT NULL,
    loaded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (run_id, page_id)
);
CREATE INDEX replay_receipts_page ON replay_receipts (page_id);
CREATE INDEX replay_receipts_task ON replay_receipts (task_id);
CREATE TABLE preview_points (
    run_id UUID NOT NULL,
    page_id UUID NOT NULL,
    id UUID NOT NULL,
    record_index INTEGER NOT NULL,
    source TEXT NOT NULL,
    dataset TEXT NOT NULL,
    stream TEXT NOT NULL,
    instrument TEXT,
    symbol TEXT,
    symbols TEXT[],
    kind TEXT NOT NULL,
    interval TEXT,
    timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    currency TEXT,
    price NUMERIC,
    open NUMERIC,
    high NUMERIC,
    low NUMERIC,
    close NUMERIC,
    volume NUMERIC,
    market_cap NUMERIC,
    title TEXT,
    url TEXT,
    summary TEXT,
    sentiment DOUBLE PRECISION,
    attributes JSONB,
    value_hash BIGINT NOT NULL,
    raw_time BIGINT NOT NULL,
    raw_offset BIGINT NOT NULL,
    normalizer_version SMALLINT NOT NULL,
    is_contended BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (run_id, page_id, id, record_index)
);
CREATE INDEX preview_points_id ON preview_points (run_id, id);
CREATE TABLE pruned (
    what TEXT NOT NULL,
    before TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (what)
);
"""
_TRIGGER = """
CREATE TRIGGER unified_data_keep_revision BEFORE UPDATE ON unified_data
FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION keep_revision()
"""
# A revision ends when its successor begins, so that at no time there are two or none.
_FUNCTION = """
CREATE OR REPLACE FUNCTION keep_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unified_revisions (id, revision, data, replaced_by{column})
    VALUES (OLD.id, OLD.revision, to_jsonb(OLD), NEW.page_id{value})
    ON CONFLICT (id, revision) DO NOTHING;
    RETURN NEW;
END $$
"""
_DIFFERS = "OLD.value_hash IS DISTINCT FROM NEW.value_hash"


def upgrade() -> None:
    op.execute(_TABLES)
    op.add_column(
        "unified_data",
        sa.Column(
            "retired_at", sa.DateTime(timezone=True), nullable=True
        ),
    )
    op.add_column("runs", sa.Column("preview", sa.Text(), nullable=True))
    op.add_column(
        "page_receipts",
        sa.Column(
            "raw_time",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
        ),
    )
    op.create_index(
        "raw_data_place",
        "raw_data",
        ["partition", "broker_time", "offset", "page_id"],
    )
    op.create_index("raw_data_time", "raw_data", ["broker_time"])
    op.create_index(
        "unified_revisions_time", "unified_revisions", ["replaced_at"]
    )
    op.execute(
        _FUNCTION.format(column=", replaced_at", value=", NEW.updated_at")
    )
    op.execute("DROP TRIGGER unified_data_keep_revision ON unified_data")
    op.execute(
        _TRIGGER.format(
            when=f"{_DIFFERS} OR OLD.retired_at IS DISTINCT FROM NEW.retired_at"
        )
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER unified_data_keep_revision ON unified_data")
    op.execute(_TRIGGER.format(when=_DIFFERS))
    op.execute(_FUNCTION.format(column="", value=""))
    for index, table in (
        ("raw_data_place", "raw_data"),
        ("raw_data_time", "raw_data"),
        ("unified_revisions_time", "unified_revisions"),
    ):
        op.drop_index(index, table)
    op.drop_column("page_receipts", "raw_time")
    op.drop_column("runs", "preview")
    op.drop_column("unified_data", "retired_at")
    op.execute("DROP TABLE replay_receipts, preview_points, pruned")
