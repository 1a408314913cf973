"""The tables, as SQLAlchemy knows them.

Migrations (services/loader/migrations) make them; a test compares the two. The loader alone writes
them; the gateway reads them through a read-only role.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.types import TypeEngine

from shared.identity.windows import OF_WINDOW

Type = TypeEngine[Any] | type[TypeEngine[Any]]
metadata = MetaData()
_NOW = text("clock_timestamp()")
_EMPTY_LIST = "'[]'::jsonb"
_EMPTY_OBJECT = "'{}'::jsonb"


def _time(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _time_now(name: str) -> Column[Any]:
    """The moment at which the row was written, unless it is given."""
    return Column(
        name, DateTime(timezone=True), nullable=False, server_default=_NOW
    )


def _uuid(
    name: str, *, primary_key: bool = False, nullable: bool = False
) -> Column[Any]:
    return Column(
        name,
        UUID(as_uuid=False),
        primary_key=primary_key,
        nullable=nullable,
    )


def _required(
    name: str, kind: Type, default: str | None = None
) -> Column[Any]:
    server_default = text(default) if default else None
    return Column(
        name, kind, nullable=False, server_default=server_default
    )


def _values() -> list[Column[Any]]:
    """The values of a data point, but those that all of its series share."""
    return [
        _required("series_id", Integer),
        _time("timestamp", nullable=False),
        Column("price", Numeric),
        Column("open", Numeric),
        Column("high", Numeric),
        Column("low", Numeric),
        Column("close", Numeric),
        Column("volume", Numeric),
        Column("market_cap", Numeric),
        Column("base_volume", Numeric),
        Column("quote_volume", Numeric),
        Column("sentiment", Double),
        Column("symbols", ARRAY(Text)),
        Column("title", Text),
        Column("url", Text),
        Column("summary", Text),
        Column("attributes", JSONB),
        _required("value_hash", BigInteger),
        _required("raw_time", BigInteger),
        _required("raw_offset", BigInteger),
        _required("normalizer_version", SmallInteger),
    ]


def _counts() -> list[Column[Any]]:
    """What became of the records of a page; why some were skipped, and the names of a few."""
    names = ("inserted", "updated", "unchanged", "skipped", "rejected")
    counts = [_required(name, Integer, "0") for name in names]
    reasons = _required("skip_reasons", JSONB, _EMPTY_OBJECT)
    examples = _required("skip_examples", JSONB, _EMPTY_OBJECT)
    return [*counts, reasons, examples]


def _yield() -> list[Column[Any]]:
    """What a page yielded, in record order: ids, a letter per point (i, u, n), value hashes."""
    return [
        _required("ids", ARRAY(UUID(as_uuid=False)), "'{}'"),
        _required("outcomes", Text, "''"),
        _required("value_hashes", ARRAY(BigInteger), "'{}'"),
    ]


# One row a page: the audit trail. Everything of a RawPage, so that the page can be published again
# as it was.
raw_data = Table(
    "raw_data",
    metadata,
    _uuid("page_id", primary_key=True),
    _uuid("run_id"),
    _uuid("task_id"),
    _required("source", Text),
    _required("dataset", Text),
    _required("stream", Text),
    _required("page_no", Integer),
    _required("record_count", Integer),
    _time("fetched_at"),
    _time("broker_time", nullable=False),
    Column("origin", JSONB),
    Column("context", JSONB),
    Column("payload", JSONB, nullable=False),
    Column("rejections", JSONB),
    Column("cursor_before", JSONB),
    Column("cursor_after", JSONB),
    _required("topic", Text),
    _required("partition", Integer),
    _required("offset", BigInteger),
    Index("raw_data_run", "run_id"),
    Index("raw_data_stream_time", "stream", "broker_time"),
    Index(
        "raw_data_place", "partition", "broker_time", "offset", "page_id"
    ),
    Index("raw_data_time", "broker_time"),
)

# One row for what data points share, once for all of them. All points but news lie within
# [first_id, past_id). `key`: over all texts. `points`, `first_at`, `last_at`: of those that are not
# retired, `arrived_at`: when one was last added; triggers keep them (migration 0008).
series = Table(
    "series",
    metadata,
    Column("series_id", Integer, Identity(always=True), primary_key=True),
    Column("key", UUID(as_uuid=False), nullable=False, unique=True),
    _required("source", Text),
    _required("dataset", Text),
    _required("stream", Text),
    _required("kind", Text),
    Column("instrument", Text),
    Column("symbol", Text),
    Column("interval", Text),
    Column("currency", Text),
    Column("timestamp_is", Text),
    _uuid("first_id", nullable=True),
    _uuid("past_id", nullable=True),
    _required("points", BigInteger, "0"),
    _time("first_at"),
    _time("last_at"),
    _time("arrived_at"),
    Index("series_dataset", "source", "dataset", "series_id"),
)

# One row, which rises when a series is new, or its points lie in further months.
series_version = Table(
    "series_version",
    metadata,
    Column("is_only", Boolean, primary_key=True),
    _required("version", BigInteger),
)

# What sources were asked for, kept for good: ranges of event time that do not touch each other, by
# stream. `outcome` and `reason` are in shared/messages/asked.py; `every_s`: 0, or of a range that
# was asked moment by moment, the longest time between two of them.
asked = Table(
    "asked",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("every_s", Integer, primary_key=True),
    Column("last_at", DateTime(timezone=True), primary_key=True),
    _time("first_at", nullable=False),
    _uuid("run_id"),
)

# One row a data point; the view `unified_data` shows it whole, with the texts of its series.
# `run_id`: who wrote it, where that is not the run that fetched its page. `updated_at`: since when
# its values stand, where they are not its first.
# shared/versions.py decides which value stands. `retired_at`: since when a better mapping of its
# page yields it no more. In partitions by time, which the beginning of an id is
# (shared/identity/point_ids.py); news have one of their own, with the indexes that their times need
# (migration 0008).
points = Table(
    "points",
    metadata,
    _uuid("id", primary_key=True),
    *_values(),
    _required("record_index", Integer),
    _uuid("page_id"),
    _uuid("run_id", nullable=True),
    _required("revision", Integer, "1"),
    _time_now("created_at"),
    _time("updated_at"),
    _time("retired_at"),
    Index("points_series", "series_id", "id"),
    postgresql_partition_by="RANGE (id)",
)

# Values that were replaced, whole, written by a trigger so that no way of updating can miss one.
unified_revisions = Table(
    "unified_revisions",
    metadata,
    _uuid("id", primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("data", JSONB, nullable=False),
    _time_now("replaced_at"),
    _uuid("replaced_by"),
    Index("unified_revisions_time", "replaced_at"),
)

# How far a task that retires a series came, or brings it back: `reached` is the last data point.
# What is of no later page than (raw_time, raw_offset) is meant.
retirements = Table(
    "retirements",
    metadata,
    Column(
        "task_id",
        UUID(as_uuid=False),
        ForeignKey("run_tasks.task_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _required("series_id", Integer),
    _required("raw_time", BigInteger),
    _required("raw_offset", BigInteger),
    Column(
        "reached",
        UUID(as_uuid=False),
        nullable=False,
        server_default=text("'00000000-0000-0000-0000-000000000000'"),
    ),
    _required("changed", BigInteger, "0"),
    _required("stayed", BigInteger, "0"),
)

# One row a page that was applied. `first_id`, `last_id`: of its data points that are no news.
page_receipts = Table(
    "page_receipts",
    metadata,
    _uuid("page_id", primary_key=True),
    _uuid("run_id"),
    _uuid("task_id"),
    _required("source", Text),
    _required("stream", Text),
    _required("page_no", Integer),
    _required("records", Integer),
    *_counts(),
    *_yield(),
    _required("normalizer_version", SmallInteger),
    _required("raw_partition", Integer),
    _required("raw_offset", BigInteger),
    _required("raw_time", BigInteger, "0"),
    _time_now("loaded_at"),
    _uuid("first_id", nullable=True),
    _uuid("last_id", nullable=True),
    Index("page_receipts_run", "run_id", "source", "stream"),
    # Of two pages with one number in a task the first stands: the other is a stale worker's.
    Index("page_receipts_number", "task_id", "page_no", unique=True),
    Index("page_receipts_place", "raw_partition", "raw_offset"),
    Index("page_receipts_loaded", "loaded_at"),
)

# One row a page and replay. As page_receipts, which stays as it was counted. `is_applied` false: a
# preview that is not published.
replay_receipts = Table(
    "replay_receipts",
    metadata,
    _uuid("run_id", primary_key=True),
    _uuid("page_id", primary_key=True),
    _uuid("task_id"),
    _required("source", Text),
    _required("stream", Text),
    _required("records", Integer),
    *_counts(),
    *_yield(),
    _required("retired_ids", ARRAY(UUID(as_uuid=False)), "'{}'"),
    _required("normalizer_version", SmallInteger),
    _required("raw_partition", Integer),
    _required("raw_offset", BigInteger),
    _required("raw_time", BigInteger),
    Column("symbol", Text),
    _required("is_applied", Boolean),
    _time_now("loaded_at"),
    Index("replay_receipts_task", "task_id"),
    Index("replay_receipts_page", "page_id"),
    Index("replay_receipts_loaded", "loaded_at"),
)

# What a preview would write, with the values: data points that are new or differ. `is_contended`:
# it stands only if the newer page that wrote the data point yields it no more. The view
# `previewed_data` shows them with the texts of their series.
preview_points = Table(
    "preview_points",
    metadata,
    _uuid("run_id", primary_key=True),
    _uuid("page_id", primary_key=True),
    _uuid("id", primary_key=True),
    Column("record_index", Integer, primary_key=True),
    *_values(),
    _required("is_contended", Boolean, "false"),
    Index("preview_points_id", "run_id", "id"),
)

# What changed data points, a row for each kind of change of a statement, numbered in the order in
# which they became visible, without a gap. Triggers write it (migration 0012). `kind`: i(nserted),
# u(pdated), r(etired), b(rought back). `revisions`: of each data point then, null for 1.
changes = Table(
    "changes",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _time("at", nullable=False),
    _required("kind", Text),
    _required("count", Integer),
    Column("ids", ARRAY(UUID(as_uuid=False)), nullable=False),
    Column("revisions", ARRAY(Integer)),
)

# One row: the last number that was given, the first that is kept, and which database this is.
change_position = Table(
    "change_position",
    metadata,
    Column("is_only", Boolean, primary_key=True),
    _required("last", BigInteger),
    _required("oldest", BigInteger),
    _uuid("incarnation"),
)

# What retention has removed: rows older than `before`.
pruned = Table(
    "pruned",
    metadata,
    Column("what", Text, primary_key=True),
    _time("before", nullable=False),
)

# One row a run; kinds and states are in shared/messages/runs.py. `totals` is the sum over the
# receipts, taken again each time. `preview`: of a replay in preview, its state.
runs = Table(
    "runs",
    metadata,
    _uuid("run_id", primary_key=True),
    _required("kind", Text, "'ingest'"),
    _required("status", Text, "'queued'"),
    _required("request", JSONB, _EMPTY_OBJECT),
    _required("planned", Boolean, "false"),
    _required("cancelled", Boolean, "false"),
    _time("requested_at"),
    _time("started_at"),
    _time("finished_at"),
    _time_now("last_progress_at"),
    Column("totals", JSONB),
    _required("errors", JSONB, _EMPTY_LIST),
    _required("notes", JSONB, _EMPTY_LIST),
    Column("message", Text),
    _required("repairs", Integer, "0"),
    _time("repaired_at"),
    _required("repair_wanted", Boolean, "false"),
    Column("preview", Text),
    # Asked for before it had ended, which happens where topics are read again.
    _required("publish_wanted", Boolean, "false"),
    # That it is over, to who waits for it.
    _required("end_untold", Boolean, "false"),
    Index(
        "runs_requested", text("requested_at DESC"), text("run_id DESC")
    ),
    Index(
        "runs_open",
        "run_id",
        postgresql_where=text("finished_at IS NULL"),
    ),
    Index(
        "runs_end_untold",
        "finished_at",
        postgresql_where=text("end_untold"),
    ),
)

# One row a task.
run_tasks = Table(
    "run_tasks",
    metadata,
    _uuid("task_id", primary_key=True),
    _uuid("run_id"),
    _required("source", Text),
    _required("stream", Text),
    _required("status", Text, "'planned'"),
    Column("pages", Integer),
    Column("records", Integer),
    Column("error", JSONB),
    _required("notes", JSONB, _EMPTY_LIST),
    _time("started_at"),
    _time("finished_at"),
    Column("cursor_before", Text),
    Column("profile", JSONB),
    _uuid("cursor_digest", nullable=True),
    Index("run_tasks_run", "run_id"),
    Index(
        "run_tasks_stream",
        "stream",
        text("finished_at DESC"),
        postgresql_where=text("finished_at IS NOT NULL"),
    ),
)

# Where tasks began to read, once for all that began at the same place. Long parts of a cursor have
# rows of their own. `run_tasks.cursor_before` is that of older tasks.
task_cursors = Table(
    "task_cursors",
    metadata,
    _uuid("digest", primary_key=True),
    _required("cursor", Text),
    _time_now("used_at"),
    Index("task_cursors_used", "used_at"),
)

# One row for what could not be processed. What is rejected again (same stream, reason, field and
# payload) counts in the same row; `run_id` and the place are those of the last time. `event_time`:
# of the record, where it could be read.
dead_letters = Table(
    "dead_letters",
    metadata,
    _uuid("id", primary_key=True),
    _uuid("page_id", nullable=True),
    _uuid("run_id", nullable=True),
    Column("source", Text),
    Column("stream", Text),
    _required("stage", Text),
    _required("reason", Text),
    _required("message", Text),
    Column("field", Text),
    Column("record_index", Integer),
    Column("origin", JSONB),
    Column("payload", Text),
    Column("payload_sha256", Text),
    _required("count", Integer, "1"),
    _required("status", Text, "'open'"),
    Column("topic", Text),
    Column("partition", Integer),
    Column("offset", BigInteger),
    _time_now("created_at"),
    Column("note", Text),
    _uuid("requeued_run_id", nullable=True),
    _time("closed_at"),
    _uuid("first_run_id", nullable=True),
    _time("last_seen_at"),
    _time("event_time"),
    Index(
        "dead_letters_requeued",
        "requeued_run_id",
        postgresql_where=text("requeued_run_id IS NOT NULL"),
    ),
    Index("dead_letters_run", "run_id"),
    Index(
        "dead_letters_untimed",
        text(rf"regexp_replace(stream, '{OF_WINDOW}', '')"),
        postgresql_where=text("event_time IS NULL"),
    ),
    Index(
        "dead_letters_created", text("created_at DESC"), text("id DESC")
    ),
    Index(
        "dead_letters_closed",
        "closed_at",
        postgresql_where=text("closed_at IS NOT NULL"),
    ),
)

# How often a run met a dead letter.
dead_letter_runs = Table(
    "dead_letter_runs",
    metadata,
    Column(
        "letter_id",
        UUID(as_uuid=False),
        ForeignKey("dead_letters.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _uuid("run_id", primary_key=True),
    _required("count", Integer),
    Index("dead_letter_runs_run", "run_id"),
)

# Where each stream stands in the tables: its newest loaded page.
stream_state = Table(
    "stream_state",
    metadata,
    Column("stream", Text, primary_key=True),
    _required("source", Text),
    _required("dataset", Text),
    _uuid("run_id"),
    _required("page_no", Integer),
    Column("cursor", JSONB),
    _required("raw_partition", Integer),
    _required("raw_offset", BigInteger),
    _required("raw_time", BigInteger),
    _time_now("loaded_at"),
)

# Messages that were removed before they were read. Closed when every run that was open then has
# ended or is incomplete.
data_gaps = Table(
    "data_gaps",
    metadata,
    _uuid("id", primary_key=True),
    _required("topic", Text),
    _required("partition", Integer),
    _required("first_missing", BigInteger),
    _required("first_available", BigInteger),
    _required("group", Text),
    _required("reason", Text),
    _time("noticed_at", nullable=False),
    _time("closed_at"),
    Index("data_gaps_noticed", text("noticed_at DESC"), text("id DESC")),
)

# Where each partition of ingest.raw stands in the order of versions.
raw_clocks = Table(
    "raw_clocks",
    metadata,
    Column("partition", Integer, primary_key=True),
    _required("generation", Integer, "0"),
    _required("last_ms", BigInteger, "0"),
    _required("last_offset", BigInteger, "-1"),
)

# What webhooks were told: the newest attempt of each.
deliveries = Table(
    "deliveries",
    metadata,
    _uuid("id", primary_key=True),
    _required("webhook", Text),
    _required("type", Text),
    _required("url", Text),
    _required("data", JSONB),
    _time("created_at", nullable=False),
    _required("attempts", Integer),
    Column("status", Integer),
    Column("error", Text),
    _time("tried_at", nullable=False),
    _time("delivered_at"),
    _time("given_up_at"),
    Index("deliveries_webhook", "webhook", text("created_at DESC"), "id"),
    Index("deliveries_created", "created_at"),
)

# Who asked for what, and what is configured. `subject`: a run, `key/<id>` or a setting's name.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _time("at", nullable=False),
    Column("asked_by", Text),
    _required("action", Text),
    _required("subject", Text),
    Column("before", JSONB(none_as_null=True)),
    Column("after", JSONB(none_as_null=True)),
    _required("topic", Text),
    _required("partition", Integer),
    _required("offset", BigInteger),
    UniqueConstraint("topic", "partition", "offset", "at"),
    Index("audit_subject", "subject", "id"),
    Index("audit_at", "at"),
)

# When each key of the API was used last, to within a minute.
key_uses = Table(
    "key_uses",
    metadata,
    _uuid("key_id", primary_key=True),
    _time("used_at", nullable=False),
)

# How many partitions the topics have had: pages lie where their stream was then.
partition_counts = Table(
    "partition_counts",
    metadata,
    Column("count", Integer, primary_key=True, autoincrement=False),
    _time_now("since"),
)

# How far the loader has come in each partition, beside the offsets that Kafka keeps and loses with
# the topic.
loader_positions = Table(
    "loader_positions",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    _required("offset", BigInteger),
    # The broker's time of the record before it: whether the log is the same still. Of this offset,
    # where `timed_offset` is the same: an older release writes the offset alone.
    Column("time_ms", BigInteger),
    Column("timed_offset", BigInteger),
    _time_now("updated_at"),
)
