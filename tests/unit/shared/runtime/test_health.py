"""Health: ready means progress, and a file that is not fresh says nothing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from shared.errors import POISON_EXIT_CODE, StuckError
from shared.kafka.lag import GroupPosition, GroupPositions, total
from shared.kafka.progress import Monitor, Progress
from shared.messages.topics import RAW, Topic
from shared.runtime import health
from shared.runtime.health import Health

AT = TopicPartition(RAW.name, 0)


def stand(committed: int, end: int, begin: int = 0) -> GroupPositions:
    return {AT: GroupPosition(begin, end, committed)}


def test_what_was_removed_does_not_wait() -> None:
    assert total(stand(3, 9)) == 6
    assert total(stand(3, 9, begin=9)) == 0
    assert total(stand(-1, 9, begin=4)) == 5
    # The log has lost its end: nobody knows how much of it was read.
    assert total(stand(20, 9, begin=4)) == 0


def test_a_consumer_stands_still_when_messages_wait_and_none_is_committed() -> (
    None
):
    progress = Progress()
    assert progress.seen(stand(10, 15), {AT}, 0) == 0
    assert (
        progress.seen(stand(10, 17), {AT}, 12) == 12
    )  # more has come, nothing was done
    assert (
        progress.seen(stand(11, 20), {AT}, 13) == 0
    )  # more has come than was done: that is slow, not stuck
    assert progress.seen(stand(20, 20), {AT}, 60) == 0
    assert (
        progress.seen(stand(20, 21), (), 90) == 0
    )  # not this consumer's partition
    assert progress.seen(stand(20, 21), {AT}, 100) == 10


@pytest.mark.parametrize(
    "after", [stand(10, 3), stand(-1, 15), stand(-1, 40)]
)
def test_a_topic_that_was_created_again_is_noticed(
    after: GroupPositions,
) -> None:
    progress = Progress()
    progress.seen(stand(10, 15), {AT}, 0)
    with pytest.raises(StuckError, match="created again"):
        progress.seen(after, {AT}, 2)


class Stuck:
    """A lag reader on a group that never moves."""

    async def positions(
        self, _group: str, *_topics: Topic
    ) -> GroupPositions:
        return stand(7, 10)


async def test_a_consumer_that_stands_still_is_not_ready_and_at_last_ends(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.json"
    health_file = Health(str(path))
    lag: Any = Stuck()
    monitor = Monitor(
        lag, "group", [RAW], health_file, stuck_after_s=0.05
    )
    with pytest.raises(StuckError, match=r"messages wait in ingest\.raw"):
        await monitor.run(held=lambda: {AT}, every_s=0.03)
    assert health.read(path)[1].startswith(
        "3 messages wait and nothing has moved"
    )


async def test_a_consumer_that_waits_for_something_else_is_left_alone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.json"
    health_file = Health(str(path))
    lag: Any = Stuck()
    monitor = Monitor(
        lag, "group", [RAW], health_file, stuck_after_s=0.01
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(
            monitor.run(
                held=lambda: {AT},
                trouble=lambda: "PostgreSQL is away",
                is_working=lambda: True,
                every_s=0.01,
            ),
            0.2,
        )
    assert health.read(path) == (False, "PostgreSQL is away")


def test_a_loop_that_is_blocked_is_ended_from_outside() -> None:
    code = (
        "import asyncio, time\nfrom shared.runtime import lifecycle\nfrom shared.runtime.health"
        " import Health\nlifecycle.BLOCKED_AFTER_S = 0.5\nasync def main():\n"
        " asyncio.ensure_future(lifecycle.keep_beating(Health(None)))\n await"
        " asyncio.sleep(0.1)\n time.sleep(20)\nasyncio.run(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (
        done.returncode,
        "event_loop_blocked" in done.stdout + done.stderr,
    ) == (
        POISON_EXIT_CODE,
        True,
    )


def test_a_file_tells_what_was_set(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    Health(str(path)).set(ready=False, reason="PostgreSQL is away")
    assert health.read(path) == (False, "PostgreSQL is away")
    Health(str(path)).set(ready=True)
    assert health.read(path) == (True, "")
    Health(None).set(ready=True)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"pid": 2**22 + 1, "at": time.time(), "ready": True},
        {"pid": os.getpid(), "at": time.time() - 100, "ready": True},
    ],
)
def test_a_file_of_a_process_that_is_gone_or_frozen_is_not_ready(
    tmp_path: Path, state: dict[str, object]
) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(state))
    assert health.read(path)[0] is False
    assert health.read(tmp_path / "none.json") == (False, "not running")
