"""What is configured, kept as a checkpoint of each source, so that the API can tell it.

The streams of a source but for files, which the API sees itself; of a source with a budget how many
calls a month its schedule makes.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import msgspec

from services.extractor.checkpoints import CheckpointStore
from services.extractor.planning.configuration import Configuration
from services.extractor.sources.base import SourceConnector
from shared.configuration.effective import Effective
from shared.configuration.forecast import calls_a_month
from shared.configuration.schedules import is_whole, longest_wait_s
from shared.configuration.settings import FirstValues
from shared.errors import TransientError
from shared.kafka.checkpoint_log import CONFIGURED, FIRST
from shared.kafka.partitions import partition_of
from shared.messages.base import Json, Source
from shared.messages.serialization import raw_json, to_python
from shared.runtime import logs
from shared.values.urls import without_secrets

ANNOUNCE_EVERY_S = 60.0
log = logs.get(__name__)


async def keep_announced(
    configuration: Configuration,
    sources: dict[str, SourceConnector],
    checkpoints: CheckpointStore,
) -> None:
    """Keep what is configured known, until cancelled."""
    changed = configuration.changed
    while True:
        changed.clear()
        configuration.apply()
        try:
            await configuration.begin()
            await _announce(configuration.effective, sources, checkpoints)
        except TransientError as error:
            log.warning("configured_not_announced", error=str(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCE_EVERY_S):
                await changed.wait()


async def _announce(
    effective: Effective,
    sources: dict[str, SourceConnector],
    checkpoints: CheckpointStore,
) -> None:
    """Where it differs from what is known. Raises TransientError."""
    await _keep(FIRST, _public(effective.first), checkpoints)
    for name, source in sources.items():
        if name != Source.CSV:
            found = await _found(effective, source)
            await _keep(f"{name}/{CONFIGURED}", found, checkpoints)


def _public(first: FirstValues) -> Json:
    """What everybody may read: addresses may hold secrets."""
    feeds = {
        name: without_secrets(url) for name, url in first.feeds.items()
    }
    shown = msgspec.structs.replace(first, feeds=feeds)
    return to_python(raw_json(shown))  # type: ignore[no-any-return]


async def _found(effective: Effective, source: SourceConnector) -> Json:
    now = datetime.now(UTC)
    schedules = effective.active_schedules()
    waits = [
        longest_wait_s(schedule, now)
        for schedule in schedules
        if is_whole(schedule, source.name)
        and effective.why_paused(source.name) is None
    ]
    found: Json = {
        "streams": [info.stream for info in await source.streams()],
        "every_s": min(waits, default=None),
    }
    if source.name == Source.COINPAPRIKA:
        coins = effective.coins(source.name)
        found["calls_a_month"] = calls_a_month(schedules, coins, now)
    return found


async def _keep(
    stream: str, found: Json, checkpoints: CheckpointStore
) -> None:
    known = await checkpoints.latest(stream, partition_of(stream))
    if to_python(known.cursor) != found:
        await checkpoints.publish(
            msgspec.structs.replace(known, cursor=raw_json(found))
        )
