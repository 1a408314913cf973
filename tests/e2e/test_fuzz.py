"""Mutated messages in every topic of a running stack: each is its own dead letter at most.

`FUZZ_MESSAGES=5000` publishes so many to each topic; `FUZZ_SEED` chooses others.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from embedded import supervision
from shared.kafka import clients
from shared.messages.topics import (
    CHECKPOINTS,
    COMMANDS,
    CONFIGURATION,
    DEAD_LETTERS,
    NOTIFICATIONS,
    RAW,
    REPLAY_PAGES,
    REPLAY_TASKS,
    RUN_EVENTS,
    SERVICES,
    TASKS,
    TOPICS,
    UNIFIED,
    UNIFIED_REPLAY,
    Topic,
)
from tests.support.oracle import write_candles
from tests.support.product import until
from tests.support.stack import Stack, running

GOLDEN = Path(__file__).parents[1] / "contract" / "golden"
COUNT = int(os.environ.get("FUZZ_MESSAGES", "250"))
SEED = int(os.environ.get("FUZZ_SEED", "7"))
OF_TOPIC = {
    COMMANDS.name: "CancelRun DiscardDeadLetters DiscardReplay FindFeeds MoveCheckpoint "
    "PublishReplay RepairRun RequeueDeadLetters StartIngestion StartReplay",
    TASKS.name: "FetchStream ForwardMessages LookForFeeds RepairPages RequeueRecords SetCursor",
    REPLAY_TASKS.name: "ReplayPages",
    RAW.name: "RawPage",
    REPLAY_PAGES.name: "ReplayPage",
    UNIFIED.name: "UnifiedPage",
    UNIFIED_REPLAY.name: "UnifiedPage",
    RUN_EVENTS.name: "DataGap DeliveryTried KeysUsed PagesRepaired RunCancelled RunEnded "
    "RunPlanned TaskFailed TaskFinished TaskStarted TaskStopped",
    CHECKPOINTS.name: "Checkpoint",
    DEAD_LETTERS.name: "RawPage",
    SERVICES.name: "ServiceState",
    CONFIGURATION.name: "KeyState Setting",
    NOTIFICATIONS.name: "Notification",
}
ODD = [
    b"null",
    b"5",
    b"-1",
    b"1e400",
    b"99999999999999999999",
    b'""',
    b"[]",
    b"{}",
    b"true",
    b"[" * 900 + b"]" * 900,
    b'"\\u0000"',
    b'"\\ud800"',
    b'"\xff"',
    b'"' + b"x" * 5000 + b'"',
    '"²"'.encode(),
    b'"9999-12-31T23:59:59Z"',
    b"0.1",
]
HEADER_NAMES = (
    "asked_by",
    "first_offset",
    "first_time_ms",
    "republished",
    "run_id",
    "stage",
    "__connect.errors.offset",
    "__connect.errors.partition",
    "__connect.errors.topic",
)
HEADER_VALUES = (
    b"",
    b"7",
    b"1" + b"0" * 30,
    b"9" * 5000,
    "²".encode(),
    b"\x00",
    b"-1",
    b"\xff",
)
VALUE = re.compile(
    rb'(?<=:)\s*(?:"(?:[^"\\]|\\.)*"|-?[\d.]+|true|false|null|\[\]|\{\})'
)


def mutated(rng: random.Random, value: bytes) -> bytes | None:
    """A message with a few faults, at the places of its values or anywhere."""
    for _ in range(rng.randint(1, 3)):
        kind = rng.random()
        if kind < 0.6:
            found = list(VALUE.finditer(value))
            if found:
                at = rng.choice(found)
                value = (
                    value[: at.start()]
                    + rng.choice(ODD)
                    + value[at.end() :]
                )
        elif kind < 0.75:
            cut = rng.randrange(len(value) + 1)
            value = (
                value[:cut]
                + bytes([rng.randrange(256)])
                + value[cut + 1 :]
            )
        elif kind < 0.85:
            start = rng.randrange(len(value) + 1)
            value = value[:start] + value[start + rng.randrange(1, 60) :]
        elif kind < 0.95:
            start = rng.randrange(len(value) + 1)
            piece = value[start : start + rng.randrange(1, 200)]
            value = value[:start] + piece + value[start:]
        else:
            return rng.choice([None, b"", b"\xff" * 1000, b"{" * 5000])
    return value


def messages(
    rng: random.Random, topic: Topic
) -> Iterator[tuple[bytes | None, list[tuple[str, bytes]]]]:
    names = OF_TOPIC[topic.name].split()
    originals = [(GOLDEN / f"{name}.json").read_bytes() for name in names]
    for _ in range(COUNT):
        headers = [
            (rng.choice(HEADER_NAMES), rng.choice(HEADER_VALUES))
            for _ in range(rng.randrange(3))
        ]
        yield mutated(rng, rng.choice(originals)), headers


def publish(stack: Stack) -> None:
    async def run() -> None:
        bootstrap = stack.settings.kafka_bootstrap_servers
        producer: AIOKafkaProducer = clients.producer(bootstrap, "fuzz")
        await producer.start()
        rng = random.Random(SEED)
        try:
            for topic in TOPICS:
                for value, headers in messages(rng, topic):
                    await producer.send(
                        topic.name,
                        value,
                        key=rng.choice([b"csv/x.csv", b"rss/x", b"\xff"]),
                        partition=rng.randrange(topic.partitions),
                        headers=headers,
                    )
                await producer.flush()
        finally:
            await producer.stop()

    asyncio.run(run())


def _is_answered(stack: Stack, path: str) -> bool:
    return stack.api.get(path).status_code == 200


@pytest.mark.timeout(1500)
def test_mutated_messages_stop_nobody(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root: Path = tmp_path_factory.mktemp("fuzz")
    (root / "csv").mkdir()
    name = "csv/own/btc-usd.csv"
    file = write_candles(root / "csv" / "own" / "btc-usd.csv", 3_000)
    with running(root / "state", root / "csv") as stack:
        publish(stack)
        run = stack.ingest(streams=[name])
        assert run["status"] == "succeeded"
        until(
            "everything to be read",
            lambda: (
                not any(
                    (
                        stack.api.get("/health").json()["lag"] or {"?": 1}
                    ).values()
                )
            ),
            600,
        )
        # Only now: a message of the fuzz may have asked for the file before, and what that run
        # published may have waited still when this one found no change and ended.
        assert stack.candles(name) == file.candles
        found = stack.query("SELECT count(*) FROM dead_letters")[0][0]
        assert found > COUNT
        health = stack.api.get("/health").json()
        assert not [
            reason
            for reason in health["reasons"]
            if reason.startswith(("stuck", "restarts"))
        ]
        assert _is_answered(stack, "/stats")
        assert _is_answered(stack, "/sources")
        assert _is_answered(stack, "/checkpoints")
        ends = {
            process["name"]: supervision.unexpected_ends(
                stack.settings, process["name"]
            )
            for process in supervision.processes(stack.settings)
        }
        assert not any(ends.values()), ends
