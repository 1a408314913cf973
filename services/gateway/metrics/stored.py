"""What is stored and configured, as gauges that are renewed every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import Gauge

from services.gateway.database import DATABASE_UNAVAILABLE, Database
from services.gateway.queries.health import SourceWatch
from services.gateway.schemas.sources import Budget, SourceState
from shared.kafka.checkpoint_log import CheckpointLog
from shared.monitoring.metrics import PREFIX
from shared.runtime import logs

EVERY_S = 15.0
Rows = Sequence[Mapping[str, Any]]
MAX_STREAMS = 2_000
_SELECT_LETTERS = """
SELECT source, reason, sum(count)::bigint AS records FROM dead_letters
WHERE status = 'open' GROUP BY source, reason LIMIT 500
"""
_SELECT_STREAMS = f"""
SELECT source, stream, extract(epoch FROM max(last_at)) AS newest
FROM series WHERE last_at IS NOT NULL GROUP BY source, stream
ORDER BY max(last_at) DESC LIMIT {MAX_STREAMS}
"""
_SELECT_RUNS = """
SELECT kind, status, count(*) AS runs FROM runs
WHERE requested_at > now() - interval '1 hour' GROUP BY kind, status
"""
_letters = Gauge(
    f"{PREFIX}_dead_letters",
    "Records of open dead letters",
    ["source", "reason"],
)
_newest = Gauge(
    f"{PREFIX}_stream_newest_timestamp_seconds",
    f"The time of the newest data point, of the {MAX_STREAMS} newest streams",
    ["source", "stream"],
)
_runs = Gauge(
    f"{PREFIX}_runs_1h",
    "Runs that were asked for in the last hour",
    ["kind", "status"],
)
_success = Gauge(
    f"{PREFIX}_source_last_success_timestamp_seconds",
    "When a stream of the source was last read to its end",
    ["source"],
)
_failing = Gauge(
    f"{PREFIX}_source_failing_streams",
    "Streams whose last task failed, or that wait since then",
    ["source"],
)
_streams = Gauge(
    f"{PREFIX}_source_streams", "Streams that are configured", ["source"]
)
_calls = Gauge(
    f"{PREFIX}_budget_calls", "Calls of this month (UTC)", ["source"]
)
_limit = Gauge(
    f"{PREFIX}_budget_calls_limit", "Calls that a month has", ["source"]
)
_forecast = Gauge(
    f"{PREFIX}_budget_calls_forecast",
    "Calls that the schedule makes in 30 days",
    ["source"],
)
_is_up = Gauge(
    f"{PREFIX}_database_up", "1 when PostgreSQL answers the gateway"
)
log = logs.get(__name__)


async def keep_current(
    database: Database, checkpoints: CheckpointLog, watch: SourceWatch
) -> None:
    """Until cancelled. What cannot be read keeps the value of before."""
    while True:
        try:
            await _renew(database, checkpoints, watch)
            _is_up.set(1)
        except DATABASE_UNAVAILABLE:
            _is_up.set(0)
        except Exception as error:  # noqa: BLE001  no metric is a reason to end the gateway
            log.warning("metrics_not_renewed", error=repr(error))
        await asyncio.sleep(EVERY_S)


async def _renew(
    database: Database, checkpoints: CheckpointLog, watch: SourceWatch
) -> None:
    letters = await database.rows(_SELECT_LETTERS)
    streams = await database.rows(_SELECT_STREAMS)
    runs = await database.rows(_SELECT_RUNS)
    states = await watch.states(checkpoints)
    _set_letters(letters)
    _set_streams(streams)
    _set_runs(runs)
    for state in states:
        _set_source(state)


def _set_letters(rows: Rows) -> None:
    _letters.clear()
    for row in rows:
        source = row["source"] or "none"
        _letters.labels(source, row["reason"]).set(row["records"])


def _set_streams(rows: Rows) -> None:
    _newest.clear()
    for row in rows:
        found = _newest.labels(row["source"], row["stream"])
        found.set(float(row["newest"]))


def _set_runs(rows: Rows) -> None:
    _runs.clear()
    for row in rows:
        _runs.labels(row["kind"], row["status"]).set(row["runs"])


def _set_source(state: SourceState) -> None:
    _streams.labels(state.name).set(state.streams)
    _failing.labels(state.name).set(state.failing_streams)
    if state.last_success_at is not None:
        _success.labels(state.name).set(state.last_success_at.timestamp())
    if state.budget is not None:
        _set_budget(state.name, state.budget)


def _set_budget(source: str, budget: Budget) -> None:
    _calls.labels(source).set(budget.used)
    _set_known(_limit, source, budget.per_month)
    _set_known(_forecast, source, budget.forecast_per_month)


def _set_known(gauge: Gauge, source: str, value: float | None) -> None:
    if value is not None:
        gauge.labels(source).set(value)
