"""Three brokers of Kafka, as `KAFKA_BROKERS=3 make up` starts them: a lost disk loses nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded.servers import kafka
from shared.messages.topics import RAW
from tests.chaos.feed import CsvFile
from tests.chaos.stack import on_cluster
from tests.support.ports import free_row
from tests.support.product import until
from tests.support.stack import Stack, prepare, running

ROWS = 20_000
BROKERS = 3


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root: Path = tmp_path_factory.mktemp("cluster")
    prepare(root)
    with running(
        root / "state",
        root / "csv",
        KAFKA_BROKERS=str(BROKERS),
        KAFKA_PORT=str(free_row(2 * BROKERS)),
    ) as stack:
        yield stack


@pytest.fixture(scope="module")
def file(stack: Stack) -> CsvFile:
    return CsvFile(stack.csv_dir, "cluster", 5, odd=False)


def topics(stack: Stack) -> dict[str, Any]:
    found = on_cluster(stack.settings.kafka_bootstrap_servers)
    return {each["topic"]: each["partitions"] for each in found}


def ingest(stack: Stack, file: CsvFile) -> None:
    file.grow(ROWS)
    run = stack.ingest(streams=[file.stream])
    assert (run["status"], run["ledger"]["balanced"]) == (
        "succeeded",
        True,
    )
    ((count,),) = stack.query("SELECT count(*) FROM unified_data")
    assert count == file.rows


def in_sync(stack: Stack) -> bool:
    return all(
        len(each["isr"]) == len(each["replicas"]) == BROKERS
        for partitions in topics(stack).values()
        for each in partitions
    )


def voters(stack: Stack) -> int:
    """Controllers whose voice counts, as Kafka's own tool says."""
    status = ["describe", "--status"]
    said = subprocess.run(
        kafka.tool_command(
            stack.settings, "MetadataQuorumCommand", status
        ),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (line,) = (
        each
        for each in said.splitlines()
        if each.startswith("CurrentVoters")
    )
    return line.count('"id"')


def test_every_topic_has_three_replicas(
    stack: Stack, file: CsvFile
) -> None:
    ingest(stack, file)
    assert len(topics(stack)[RAW.name]) == RAW.partitions
    assert in_sync(stack)
    assert voters(stack) == BROKERS


@pytest.mark.parametrize("number", [1, 3])
def test_a_broker_whose_disk_is_lost_joins_anew(
    stack: Stack, file: CsvFile, number: int
) -> None:
    """Meanwhile everything goes on with the other two."""
    broker = kafka.brokers(stack.settings)[number - 1]
    stack.stop_part(broker.name)
    shutil.rmtree(broker.data)
    ingest(stack, file)
    stack.start_part(broker.name)
    until("all replicas", lambda: in_sync(stack), 120)
    until("its voice", lambda: voters(stack) == BROKERS, 60, 2)
    ingest(stack, file)


def test_another_number_of_brokers_is_refused(stack: Stack) -> None:
    stack.down()
    done = stack.command("up", KAFKA_BROKERS="1")
    assert done.returncode == 1
    assert "was made with KAFKA_BROKERS=3" in done.stderr + done.stdout
    stack.up()
    stack.wait_ready()
