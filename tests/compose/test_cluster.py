"""Three brokers in containers: one is lost with its disk, and joins as another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose import FILES, ComposeStack, compose_command
from tests.support.oracle import write_candles
from tests.support.product import until

COMMAND = compose_command()
NAME = "crypto-ingest-cluster"
QUORUM = (
    "/opt/kafka/bin/kafka-metadata-quorum.sh",
    "--bootstrap-server",
    "kafka-3:9092",
    "describe",
    "--status",
)

pytestmark = [
    pytest.mark.skipif(
        COMMAND is None,
        reason="no Docker engine with compose answers here",
    ),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ComposeStack]:
    csv_dir: Path = tmp_path_factory.mktemp("csv")
    for folder in (csv_dir, *csv_dir.parents[:2]):
        folder.chmod(0o755)
    base, *more = FILES
    files = (base, "docker-compose.cluster.yml", *more)
    stack = ComposeStack(COMMAND or [], csv_dir, NAME, files)
    stack.down(volumes=True)
    stack.compose("build")
    stack.up()
    yield stack
    stack.down(volumes=True)


def kafka(stack: ComposeStack, *command: str) -> str:
    """What a tool of the third broker says."""
    (container,) = stack.containers("kafka-3")
    return stack.docker("exec", container, *command)


def members(stack: ComposeStack) -> int:
    """Of the quorum."""
    status = kafka(stack, *QUORUM)
    (line,) = (
        each
        for each in status.splitlines()
        if each.startswith("CurrentVoters")
    )
    return line.count('"id"')


def behind(stack: ComposeStack) -> str:
    """Partitions that lack a replica."""
    return kafka(
        stack,
        "/opt/kafka/bin/kafka-topics.sh",
        "--bootstrap-server",
        "kafka-3:9092",
        "--describe",
        "--under-replicated-partitions",
    ).strip()


def insist(
    stack: ComposeStack, stream: str, **more: bool
) -> dict[str, Any]:
    """Ingest it, asked until it is accepted: the others notice after a moment that one is gone."""
    body = {"streams": [stream], **more}
    headers = {"idempotency-key": f"{stream} {more}"}
    accepted = until(
        "the run to be accepted",
        lambda: (
            (
                answer := stack.api.post(
                    "/ingest", json=body, headers=headers
                )
            ).status_code
            == 202
            and answer
        ),
        60,
        1,
    )
    return stack.wait_for(accepted.json()["run_id"])


def test_a_broker_is_lost_with_its_disk(stack: ComposeStack) -> None:
    first = write_candles(stack.csv_dir / "a" / "btc-usd.csv", 5_000)
    run = stack.ingest(streams=["csv/a/btc-usd.csv"])
    assert run["status"] == "succeeded", run
    assert members(stack) == 3
    assert behind(stack) == ""

    (lost,) = stack.containers("kafka-2")
    stack.docker("kill", lost)
    stack.docker("rm", "--force", lost)
    stack.docker("volume", "rm", f"{NAME}_kafka-data-2")
    second = write_candles(
        stack.csv_dir / "b" / "eth-usd.csv", 5_000, seed=2
    )
    run = insist(stack, "csv/b/eth-usd.csv")
    assert run["status"] == "succeeded", run

    stack.compose("up", "-d", "kafka-2")
    (again,) = stack.containers("kafka-2")
    until("all replicas", lambda: behind(stack) == "", 120, 2)
    until("three in the quorum", lambda: members(stack) == 3, 60, 2)
    assert "joins with a new one" in stack.docker("logs", again)

    # Another may go now: all that it had the new one has.
    (other,) = stack.containers("kafka")
    stack.docker("kill", other)
    run = insist(stack, "csv/a/btc-usd.csv", full_refresh=True)
    assert run["status"] == "succeeded", run
    stack.compose("up", "-d", "kafka")
    assert stack.candles("csv/a/btc-usd.csv") == first.candles
    assert stack.candles("csv/b/eth-usd.csv") == second.candles
