"""What is configured, kept as a checkpoint of each source, so that the API can tell it.

The streams of a source but for files, which the API sees itself; of a source with a budget how many
calls a month its schedule makes.
"""

from __future__ import annotations

import asyncio

import msgspec

from services.extractor.checkpoints import CheckpointStore
from services.extractor.settings import ExtractorSettings
from services.extractor.sources.base import SourceConnector
from shared.errors import TransientError
from shared.kafka.checkpoint_log import CONFIGURED
from shared.kafka.partitions import partition_of
from shared.messages.base import Json, Source
from shared.messages.serialization import raw_json, to_python
from shared.runtime import logs

ANNOUNCE_EVERY_S = 60.0
log = logs.get(__name__)


async def keep_announced(
    settings: ExtractorSettings,
    sources: dict[str, SourceConnector],
    checkpoints: CheckpointStore,
) -> None:
    """Keep what is configured known, until cancelled."""
    forecast = settings.forecast()
    if forecast is not None:
        log.warning("budget_too_small", forecast=forecast)
    while True:
        try:
            await _announce(settings, sources, checkpoints)
        except TransientError as error:
            log.warning("configured_not_announced", error=str(error))
        await asyncio.sleep(ANNOUNCE_EVERY_S)


async def _announce(
    settings: ExtractorSettings,
    sources: dict[str, SourceConnector],
    checkpoints: CheckpointStore,
) -> None:
    """Where it differs from what is known. Raises TransientError."""
    for name, source in sources.items():
        if name != Source.CSV:
            await _keep(
                await _found(settings, source), source, checkpoints
            )


async def _found(
    settings: ExtractorSettings, source: SourceConnector
) -> Json:
    found: Json = {
        "streams": [info.stream for info in await source.streams()],
        "every_s": settings.ingest_every_s or None,
    }
    if source.name == Source.COINPAPRIKA:
        found["calls_a_month"] = settings.calls_a_month()
    return found


async def _keep(
    found: Json, source: SourceConnector, checkpoints: CheckpointStore
) -> None:
    stream = f"{source.name}/{CONFIGURED}"
    known = await checkpoints.latest(stream, partition_of(stream))
    if to_python(known.cursor) != found:
        await checkpoints.publish(
            msgspec.structs.replace(known, cursor=raw_json(found))
        )
