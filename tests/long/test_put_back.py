"""A broker, and a broker with its database, that were put back to an earlier moment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.test_backup import (
    backed_up,
    differences,
    later,
    points,
    stack,
    state,
    upstream,
)
from tests.simulator import Simulator
from tests.simulator.server import ticker
from tests.support.stack import Stack

__all__ = ["backed_up", "later", "stack", "upstream"]


def copy(source: Path, target: Path) -> None:
    """With owners: PostgreSQL may run as another user."""
    subprocess.run(["cp", "-a", source, target], check=True)


def test_a_kafka_that_went_back_takes_nothing_that_was_loaded(
    stack: Stack, upstream: Simulator, later: dict[str, list[Any]]
) -> None:
    """The database knows more than the broker, as after a broker's disk was put back."""
    stack.ingest()
    stack.down()
    kafka = stack.settings.state / "kafka"
    before = stack.settings.state / "kafka-before"
    copy(kafka, before)
    stack.up()
    for coin in ("btc-bitcoin", "eth-ethereum"):
        upstream.tickers[coin] = ticker(coin, 2.5, minute=9)
    stack.ingest()
    known = points(stack)
    stack.down()
    shutil.rmtree(kafka)
    before.rename(kafka)
    stack.up()
    run = stack.ingest()
    assert run["ledger"]["balanced"]
    now = {row[0]: row for row in points(stack)}
    assert [row for row in known if now.get(row[0]) != row] == []


def test_both_put_back_to_one_moment_are_what_they_were(
    stack: Stack, later: dict[str, list[Any]]
) -> None:
    """A copy of the whole state folder, made while nothing ran."""
    stack.ingest()
    before = state(stack)
    stack.down()
    root = stack.settings.state
    for name in ("kafka", "postgres"):
        copy(root / name, root / f"{name}-before")
    stack.up()
    stack.ingest()
    stack.down()
    for name in ("kafka", "postgres"):
        shutil.rmtree(root / name)
        (root / f"{name}-before").rename(root / name)
    stack.up()
    stack.wait_ready()
    assert differences(stack, before) == {}
    run = stack.ingest(sources=["csv", "rss"])
    assert (run["status"], run["inserted"]) == ("succeeded", 0)
