"""The compacted checkpoint topic, followed: where every stream stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from shared.configuration.settings import FirstValues
from shared.kafka.partitions import partition_of
from shared.kafka.starts import STARTED, Starts
from shared.kafka.topic_follower import TopicFollower
from shared.messages.base import Message
from shared.messages.checkpoints import (
    Checkpoint,
    ConfiguredStreams,
    KeptCoins,
    SpentBudget,
    Started,
    Trouble,
)
from shared.messages.serialization import (
    UndecodableError,
    checkpoint_decoder,
    decode,
)
from shared.messages.topics import CHECKPOINTS
from shared.runtime import logs
from shared.values.times import from_ms

# Checkpoints that are not a stream's: how often a source was called, its list of coins, and what
# is configured of it.
BUDGET = "@budget"
COIN_LIST = "@coins"
CONFIGURED = "@configured"
# What `.env` says of what can be configured at run time.
FIRST = "extractor/@first"
# And why the loader cannot store anything.
TROUBLE = "loader/@trouble"
_OTHERS: dict[str, type[Message]] = {
    BUDGET: SpentBudget,
    COIN_LIST: KeptCoins,
    CONFIGURED: ConfiguredStreams,
    FIRST.partition("/")[2]: FirstValues,
    STARTED: Started,
    TROUBLE.partition("/")[2]: Trouble,
}
log = logs.get(__name__)


def is_stream(name: str) -> bool:
    """Whether a checkpoint is that of a stream."""
    return not name.partition("/")[2].startswith("@")


def _is_as_expected(checkpoint: Checkpoint) -> bool:
    """Whether one that is not a stream's says what its name promises."""
    name = checkpoint.stream.partition("/")[2]
    kind = _OTHERS.get(name)
    if kind is None:
        return True
    cursor = bytes(checkpoint.cursor)
    if cursor == b"null":
        return True
    try:
        msgspec.json.decode(cursor, type=kind)
    except (ValueError, RecursionError):
        return False
    return True


class CheckpointLog:
    """All checkpoints in memory, kept current by following the topic."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._latest: dict[str, Checkpoint] = {}
        self._moved_at: dict[str, datetime] = {}
        self._own: set[str] = set()  # those read in their own partition
        self.starts = Starts()
        self.follower = TopicFollower(
            bootstrap, CHECKPOINTS, client_id, self._on_record
        )

    def get(self, stream: str) -> Checkpoint | None:
        return self._latest.get(stream)

    def moved_at(self, stream: str) -> datetime | None:
        """When the stream's checkpoint was written, by the broker's clock."""
        return self._moved_at.get(stream)

    def all(self) -> list[Checkpoint]:
        """In the order of their streams."""
        return [self._latest[stream] for stream in sorted(self._latest)]

    def _on_record(self, record: Any) -> None:
        stream = (
            record.key.decode("utf-8", "replace") if record.key else ""
        )
        if record.value is None:
            self._latest.pop(stream, None)
            return
        at = {
            "stream": stream,
            "partition": record.partition,
            "offset": record.offset,
        }
        try:
            checkpoint = decode(checkpoint_decoder, record.value)
        except UndecodableError as error:
            # Without a checkpoint the stream is read from its start, which doubles nothing.
            log.error("checkpoint_unreadable", **at, error=str(error))
            self._latest.pop(stream, None)
            return
        if not _is_as_expected(checkpoint):
            log.error(
                "checkpoint_unreadable", **at, error="foreign cursor"
            )
            return
        if checkpoint.stream.endswith(f"/{STARTED}"):
            cursor = bytes(checkpoint.cursor)
            self.starts.saw(checkpoint.stream, cursor, record.timestamp)
        is_own = record.partition == partition_of(checkpoint.stream)
        if not self._is_newer(checkpoint, is_own=is_own):
            log.info("checkpoint_superseded", **at)
            return
        self._latest[checkpoint.stream] = checkpoint
        self._moved_at[checkpoint.stream] = from_ms(record.timestamp)
        if is_own:
            self._own.add(checkpoint.stream)

    def _is_newer(self, found: Checkpoint, *, is_own: bool) -> bool:
        """Whether it stands in place of the known one.

        One of the stream's own partition before one of where the stream was when there were fewer.
        """
        known = self._latest.get(found.stream)
        is_own_known = found.stream in self._own
        if known is None or is_own != is_own_known:
            return known is None or is_own
        return found.sequence == 0 or found.sequence > known.sequence
