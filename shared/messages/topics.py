"""Every topic: its name, partitions and retention. The only place where they stand.

All topics take the broker's time (`LogAppendTime`), so that one clock orders what the services did.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_PARTITIONS = 12
MAX_PARTITIONS = (
    512  # that the places of pages tell apart (`shared.versions`)
)
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS


@dataclass
class Layout:
    """How many partitions topics have where they have no number of their own.

    The same along the path of a page, so that a stream keeps its partition from source to table.
    What the broker has counts, from a service's start to its end.
    """

    partitions: int = DEFAULT_PARTITIONS


layout = Layout()


@dataclass(frozen=True)
class Topic:
    """A topic as the migration step creates it.

    `own_partitions`: where it is not as many as the layout has. `config` holds broker settings
    beyond the common ones.
    """

    name: str
    own_partitions: int | None = None
    retention_ms: int = 7 * DAY_MS
    config: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def partitions(self) -> int:
        return self.own_partitions or layout.partitions

    def broker_config(self, replicas: int = 1) -> dict[str, str]:
        """With three replicas one may be lost, and writing goes on."""
        return {
            "min.insync.replicas": str(max(1, replicas - 1)),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            # So that the bound is one of what is in a message, not of what it is packed to.
            "compression.type": "uncompressed",
            "retention.ms": str(self.retention_ms),
            **self.config,
        }


COMMANDS = Topic(
    "ingest.commands",
    own_partitions=1,
    retention_ms=30 * DAY_MS,
    # What was accepted survives a power cut: each command is on the disk before it is answered.
    config={"flush.messages": "1"},
)
TASKS = Topic("ingest.tasks")
RAW = Topic("ingest.raw")
UNIFIED = Topic("ingest.unified", retention_ms=3 * DAY_MS)
# Of their own: a replay takes long, and holds back the offsets of what comes after it.
REPLAY_TASKS = Topic("ingest.replay-tasks")
REPLAY_PAGES = Topic("ingest.replay", retention_ms=3 * DAY_MS)
UNIFIED_REPLAY = Topic("ingest.unified-replay", retention_ms=3 * DAY_MS)
RUN_EVENTS = Topic(
    "ingest.run-events", own_partitions=1, retention_ms=30 * DAY_MS
)
CHECKPOINTS = Topic(
    "ingest.checkpoints",
    config={"cleanup.policy": "compact", "segment.ms": str(DAY_MS)},
)
DEAD_LETTERS = Topic(
    "ingest.dead-letters", own_partitions=1, retention_ms=30 * DAY_MS
)
# What is configured at run time, signed: keys of the API, as hashes, and settings.
CONFIGURATION = Topic(
    "ingest.configuration",
    own_partitions=1,
    config={
        "cleanup.policy": "compact",
        "segment.ms": str(DAY_MS),
        # Until then also what was replaced is there, for the audit.
        "min.compaction.lag.ms": str(30 * DAY_MS),
        # As commands: what was answered survives a power cut.
        "flush.messages": "1",
    },
)
# What webhooks are told.
NOTIFICATIONS = Topic("ingest.notifications", retention_ms=7 * DAY_MS)
# How each instance is, every few seconds.
SERVICES = Topic(
    "ingest.services",
    own_partitions=1,
    retention_ms=2 * HOUR_MS,
    config={"segment.ms": str(HOUR_MS)},
)

TOPICS = (
    COMMANDS,
    TASKS,
    RAW,
    UNIFIED,
    REPLAY_TASKS,
    REPLAY_PAGES,
    UNIFIED_REPLAY,
    RUN_EVENTS,
    CHECKPOINTS,
    DEAD_LETTERS,
    CONFIGURATION,
    NOTIFICATIONS,
    SERVICES,
)

# Consumer groups: their committed offsets are the checkpoints of the pipeline.
PLANNER_GROUP = "extractor-planner"
EXTRACTOR_GROUP = "extractor"
REPLAYER_GROUP = "extractor-replayer"
NORMALIZER_GROUP = "normalizer"
LOADER_GROUP = "loader"
WATCHER_GROUP = "notifier-watcher"
SENDER_GROUP = "notifier-sender"
