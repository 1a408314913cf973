"""The tables, as SQLAlchemy knows them. Migrations (services/loader/migrations) make them; a test compares the two.

The loader alone writes them; the gateway reads them through a read-only role.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.types import TypeEngine

metadata = MetaData()
_NOW = text("clock_timestamp()")


def _time(name: str, *, nullable: bool = True, default_now: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable and not default_now, server_default=_NOW if default_now else None)


def _uuid(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[Any]:
    return Column(name, UUID(as_uuid=False), primary_key=primary_key, nullable=nullable)


def _required(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], default: str | None = None) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=text(default) if default else None)


# One row a page: the audit trail. Everything of a RawPage, so that the page can be published again as it was.
raw_data = Table(
    "raw_data", metadata,
    _uuid("page_id", primary_key=True), _uuid("run_id"), _uuid("task_id"),
    _required("source", Text), _required("dataset", Text), _required("stream", Text), _required("page_no", Integer),
    _required("record_count", Integer), _time("fetched_at"), _time("broker_time", nullable=False),
    Column("origin", JSONB), Column("context", JSONB), Column("payload", JSONB, nullable=False), Column("rejections", JSONB),
    Column("cursor_before", JSONB), Column("cursor_after", JSONB),
    _required("topic", Text), _required("partition", Integer), _required("offset", BigInteger),
    Index("raw_data_run", "run_id"), Index("raw_data_stream_time", "stream", "broker_time"),
    Index("raw_data_place", "partition", "broker_time", "offset", "page_id"), Index("raw_data_time", "broker_time"),
)  # fmt: skip

# One row a data point. Which value stands is said by shared/versions.py.
unified_data = Table(
    "unified_data", metadata,
    _uuid("id", primary_key=True), _required("source", Text), _required("dataset", Text), _required("stream", Text),
    Column("instrument", Text), Column("symbol", Text), Column("symbols", ARRAY(Text)), _required("kind", Text), Column("interval", Text),
    _time("timestamp", nullable=False), Column("currency", Text),
    Column("price", Numeric), Column("open", Numeric), Column("high", Numeric), Column("low", Numeric), Column("close", Numeric),
    Column("volume", Numeric), Column("market_cap", Numeric),
    Column("title", Text), Column("url", Text), Column("summary", Text), Column("sentiment", Double), Column("attributes", JSONB),
    _required("value_hash", BigInteger), _required("raw_time", BigInteger), _required("raw_offset", BigInteger),
    _required("record_index", Integer), _required("normalizer_version", SmallInteger),
    _uuid("page_id"), _uuid("run_id"), _required("revision", Integer, "1"),
    _time("created_at", default_now=True), _time("updated_at", default_now=True),
    _time("retired_at"),  # since when a better mapping of its page yields it no more
    Index("unified_data_time", text('"timestamp" DESC'), text("id DESC")),
    Index("unified_data_symbol_time", "symbol", text('"timestamp" DESC'), text("id DESC")),
    Index("unified_data_source_time", "source", text('"timestamp" DESC'), text("id DESC")),
    Index("unified_data_symbols", "symbols", postgresql_using="gin", postgresql_where=text("symbols IS NOT NULL")),
)  # fmt: skip

# Values that were replaced, whole, written by a trigger so that no way of updating can miss one.
unified_revisions = Table(
    "unified_revisions", metadata,
    _uuid("id", primary_key=True), Column("revision", Integer, primary_key=True),
    Column("data", JSONB, nullable=False), _time("replaced_at", default_now=True), _uuid("replaced_by"),
    Index("unified_revisions_time", "replaced_at"),
)  # fmt: skip

# One row an applied page. The arrays stand in record order: ids, a letter per point (i, u, n), value hashes.
page_receipts = Table(
    "page_receipts", metadata,
    _uuid("page_id", primary_key=True), _uuid("run_id"), _uuid("task_id"), _required("source", Text), _required("stream", Text),
    _required("page_no", Integer), _required("records", Integer),
    *(_required(name, Integer, "0") for name in ("inserted", "updated", "unchanged", "skipped", "rejected")),
    _required("skip_reasons", JSONB, "'{}'::jsonb"),
    _required("ids", ARRAY(UUID(as_uuid=False)), "'{}'"), _required("outcomes", Text, "''"), _required("value_hashes", ARRAY(BigInteger), "'{}'"),
    _required("normalizer_version", SmallInteger), _required("raw_partition", Integer), _required("raw_offset", BigInteger), _required("raw_time", BigInteger, "0"),
    _time("loaded_at", default_now=True),
    Index("page_receipts_run", "run_id", "source", "stream"),
    # Of two pages with one number in a task, the first stands: the other is of a process that was frozen and had a successor.
    Index("page_receipts_number", "task_id", "page_no", unique=True),
)  # fmt: skip

# One row a page and replay. As page_receipts, which stays as it was counted; `is_applied` false: a preview that is not published.
replay_receipts = Table(
    "replay_receipts", metadata,
    _uuid("run_id", primary_key=True), _uuid("page_id", primary_key=True), _uuid("task_id"), _required("source", Text), _required("stream", Text),
    _required("records", Integer), *(_required(name, Integer, "0") for name in ("inserted", "updated", "unchanged", "skipped", "rejected")),
    _required("skip_reasons", JSONB, "'{}'::jsonb"),
    _required("ids", ARRAY(UUID(as_uuid=False)), "'{}'"), _required("outcomes", Text, "''"), _required("value_hashes", ARRAY(BigInteger), "'{}'"),
    _required("retired_ids", ARRAY(UUID(as_uuid=False)), "'{}'"), _required("normalizer_version", SmallInteger),
    _required("raw_partition", Integer), _required("raw_offset", BigInteger), _required("raw_time", BigInteger), Column("symbol", Text),
    _required("is_applied", Boolean), _time("loaded_at", default_now=True),
    Index("replay_receipts_task", "task_id"), Index("replay_receipts_page", "page_id"),
)  # fmt: skip

# What a preview would write, with the values: data points that are new or differ.
preview_points = Table(
    "preview_points", metadata,
    _uuid("run_id", primary_key=True), _uuid("page_id", primary_key=True), _uuid("id", primary_key=True), Column("record_index", Integer, primary_key=True),
    _required("source", Text), _required("dataset", Text), _required("stream", Text),
    Column("instrument", Text), Column("symbol", Text), Column("symbols", ARRAY(Text)), _required("kind", Text), Column("interval", Text),
    _time("timestamp", nullable=False), Column("currency", Text),
    Column("price", Numeric), Column("open", Numeric), Column("high", Numeric), Column("low", Numeric), Column("close", Numeric),
    Column("volume", Numeric), Column("market_cap", Numeric),
    Column("title", Text), Column("url", Text), Column("summary", Text), Column("sentiment", Double), Column("attributes", JSONB),
    _required("value_hash", BigInteger), _required("raw_time", BigInteger), _required("raw_offset", BigInteger), _required("normalizer_version", SmallInteger),
    _required("is_contended", Boolean, "false"),  # it is what stands only if the newer page that wrote the data point yields it no more
    Index("preview_points_id", "run_id", "id"),
)  # fmt: skip

# What retention has removed: rows older than `before`.
pruned = Table("pruned", metadata, Column("what", Text, primary_key=True), _time("before", nullable=False))

# queued → running → succeeded | partial | failed | cancelled | incomplete. `totals` is the sum over the receipts, taken anew each time.
runs = Table(
    "runs", metadata,
    _uuid("run_id", primary_key=True), _required("kind", Text, "'ingest'"), _required("status", Text, "'queued'"),
    _required("request", JSONB, "'{}'::jsonb"), _required("planned", Boolean, "false"), _required("cancelled", Boolean, "false"),
    _time("requested_at"), _time("started_at"), _time("finished_at"), _time("last_progress_at", default_now=True),
    Column("totals", JSONB), _required("errors", JSONB, "'[]'::jsonb"), _required("notes", JSONB, "'[]'::jsonb"), Column("message", Text),
    _required("repairs", Integer, "0"), _time("repaired_at"), _required("repair_wanted", Boolean, "false"),
    Column("preview", Text),  # of a replay in preview: open, published, discarded
    Index("runs_requested", text("requested_at DESC"), text("run_id DESC")),
    Index("runs_open", "run_id", postgresql_where=text("finished_at IS NULL")),
)  # fmt: skip

run_tasks = Table(
    "run_tasks", metadata,
    _uuid("task_id", primary_key=True), _uuid("run_id"), _required("source", Text), _required("stream", Text),
    _required("status", Text, "'planned'"), Column("pages", Integer), Column("records", Integer), Column("error", JSONB),
    _required("notes", JSONB, "'[]'::jsonb"), _time("started_at"), _time("finished_at"), Column("cursor_before", Text), Column("profile", JSONB),
    Index("run_tasks_run", "run_id"),
    Index("run_tasks_stream", "stream", text("finished_at DESC"), postgresql_where=text("finished_at IS NOT NULL")),
)  # fmt: skip

dead_letters = Table(
    "dead_letters", metadata,
    _uuid("id", primary_key=True), _uuid("page_id", nullable=True), _uuid("run_id", nullable=True), Column("source", Text), Column("stream", Text),
    _required("stage", Text), _required("reason", Text), _required("message", Text), Column("field", Text),
    Column("record_index", Integer), Column("origin", JSONB), Column("payload", Text), Column("payload_sha256", Text),
    _required("count", Integer, "1"), _required("status", Text, "'open'"),
    Column("topic", Text), Column("partition", Integer), Column("offset", BigInteger), _time("created_at", default_now=True),
    Column("note", Text), _uuid("requeued_run_id", nullable=True), _time("closed_at"),
    Index("dead_letters_requeued", "requeued_run_id", postgresql_where=text("requeued_run_id IS NOT NULL")),
    Index("dead_letters_run", "run_id"), Index("dead_letters_created", text("created_at DESC"), text("id DESC")),
)  # fmt: skip

# Where each stream stands in the tables: its newest loaded page.
stream_state = Table(
    "stream_state", metadata,
    Column("stream", Text, primary_key=True), _required("source", Text), _required("dataset", Text), _uuid("run_id"), _required("page_no", Integer),
    Column("cursor", JSONB), _required("raw_partition", Integer), _required("raw_offset", BigInteger), _required("raw_time", BigInteger),
    _time("loaded_at", default_now=True),
)  # fmt: skip

# Messages that were removed before they were read. Closed when every run that was open then has ended or is incomplete.
data_gaps = Table(
    "data_gaps", metadata,
    _uuid("id", primary_key=True), _required("topic", Text), _required("partition", Integer),
    _required("first_missing", BigInteger), _required("first_available", BigInteger), _required("group", Text), _required("reason", Text),
    _time("noticed_at", nullable=False), _time("closed_at"),
    Index("data_gaps_noticed", text("noticed_at DESC"), text("id DESC")),
)  # fmt: skip

# How far the loader has come in each partition, beside the offsets that Kafka keeps and loses with the topic.
loader_positions = Table(
    "loader_positions", metadata,
    Column("topic", Text, primary_key=True), Column("partition", Integer, primary_key=True), _required("offset", BigInteger),
    _time("updated_at", default_now=True),
)  # fmt: skip
