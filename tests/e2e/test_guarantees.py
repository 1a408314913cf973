"""Each promise of docs/guarantees.md under the fault that tries it.

On a stack with fault points, two gateways and wrong clocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from embedded.settings import ROOT
from shared.identity.ids import task_id
from shared.kafka import publishing, topic_admin
from shared.kafka.partitions import partition_of
from shared.messages.base import MAX_PAGE_RECORDS
from shared.messages.run_events import PlannedTask, RunPlanned
from shared.messages.topics import (
    DEAD_LETTERS,
    NORMALIZER_GROUP,
    RAW,
    RUN_EVENTS,
    TASKS,
    UNIFIED,
    Topic,
)
from tests.chaos.broker import on_kafka, remove_messages
from tests.chaos.feed import CsvFile, Input
from tests.chaos.oracle import Oracle
from tests.chaos.stack import ChaosStack, empty
from tests.simulator import Simulator
from tests.support.product import ENDED, until

MANY_PARTITIONS = 5
ROWS = 6_000
WAITING_PAGES = 20


@dataclass
class Case:
    """A stack with empty tables, and one file of its own."""

    stack: ChaosStack
    file: CsvFile
    given: Input

    def start(self, rows: int = ROWS) -> str:
        self.file.grow(rows)
        return self.stack.start_run(streams=[self.file.stream])

    def differences(self) -> list[str]:
        """What the oracle says about the file."""
        oracle = Oracle(self.stack.dsn)
        oracle._file(self.file)
        oracle._ledgers()
        oracle.close()
        return oracle.findings

    def assert_whole(
        self, run_id: str, status: str = "succeeded"
    ) -> dict[str, Any]:
        run = self.stack.wait_for(run_id)
        assert (
            run["status"],
            run["ledger"]["balanced"],
            run["ledger"]["pages_missing"],
        ) == (
            status,
            True,
            0,
        )
        assert self.differences() == []
        return run

    def settle(self, run_id: str) -> dict[str, Any]:
        """The run at its end, or when nothing has moved in it for a while."""
        seen: list[Any] = []

        def is_still() -> bool:
            run = self.stack.run_state(run_id)
            seen.append(
                (run["status"], run["records"], run.get("ledger"))
            )
            return run["status"] in ENDED or (
                len(seen) > 10
                and all(each == seen[-1] for each in seen[-10:])
            )

        until("nothing to move", is_still, 60, 0.5)
        return self.stack.run_state(run_id)


@pytest.fixture
def case(
    broken: ChaosStack,
    upstream: Simulator,
    request: pytest.FixtureRequest,
) -> Iterator[Case]:
    empty(broken)
    name = uuid.uuid5(uuid.NAMESPACE_OID, request.node.name).hex[:8]
    given = Input(broken.csv_dir, upstream, 1, 0, 0)
    yield Case(
        broken,
        CsvFile(broken.csv_dir, name, int(name, 16), odd=False),
        given,
    )
    broken.disarm()
    broken.heal()


def create_again(stack: ChaosStack, topic: Topic) -> None:
    async def work(
        _producer: AIOKafkaProducer, admin: AIOKafkaAdminClient
    ) -> None:
        await admin.delete_topics([topic.name])

    on_kafka(stack, work)
    until(
        "the topic to be there again",
        lambda: asyncio.run(_created(stack, topic)),
        20,
        0.5,
    )


async def _created(stack: ChaosStack, topic: Topic) -> bool:
    try:
        return await topic_admin.ensure_topics(
            stack.broker_address, [topic]
        ) == [topic.name]
    except Exception:  # still being deleted
        return False


# -- a long file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["kill", "freeze"])
def test_a_long_file_lies_in_all_partitions_whoever_reads_on(
    case: Case, what: str
) -> None:
    run_id = case.start(30_000)
    until(
        "it to be under way",
        lambda: case.stack.run_state(run_id)["records"] > 5_000,
        30,
        0.05,
    )
    point = "extractor.before_publish"
    case.stack.arm(point, what)
    until("it to be reached", lambda: case.stack.was_reached(point), 30)
    with successor(case, "extractor"):
        case.assert_whole(run_id)
    case.stack.disarm()
    case.stack.wait_whole()
    assert len(partitions_of_file(case)) > MANY_PARTITIONS
    for origin in ("topic", "archive"):
        answer = case.stack.api.post(
            "/replay", json={"stream": case.file.stream, "origin": origin}
        )
        replayed = case.stack.wait_for(answer.json()["run_id"])
        assert (
            replayed["status"],
            replayed["unchanged"],
            replayed["ledger"]["balanced"],
        ) == ("succeeded", 30_000, True)


def test_what_is_read_of_a_long_file_later_stands_behind_all_of_it(
    case: Case,
) -> None:
    case.assert_whole(case.start(10_000))
    path = case.file.folder / case.file.name / "btc-usd.csv"
    cells = path.read_text().splitlines()[-1].split(",")
    with path.open("a") as file:
        file.write(",".join([cells[0], *["7.5"] * 4, cells[5]]) + "\n")
    again = case.stack.wait_for(
        case.stack.start_run(streams=[case.file.stream])
    )
    assert (again["status"], again["updated"]) == ("succeeded", 1)
    # Read from its start it is the same: that row comes last.
    whole = case.stack.wait_for(
        case.stack.start_run(
            streams=[case.file.stream], full_refresh=True
        )
    )
    assert (whole["status"], whole["inserted"]) == ("succeeded", 0)
    (newest,) = case.stack.api.get(
        "/data", params={"symbol": "btc", "source": "csv", "limit": 1}
    ).json()
    assert newest["close"] == 7.5


def partitions_of_file(case: Case) -> set[int]:
    pages = case.stack.api.get(
        "/raw", params={"stream": case.file.stream, "limit": 1000}
    ).json()["pages"]
    return {page["partition"] for page in pages}


# -- a broken guarantee is caught ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("guarantee", "point", "finding"),
    [
        (
            "loader_commits_first",
            "loader.in_transaction",
            "records counted",
        ),
        ("receipt_is_dropped", None, "records counted"),
        ("page_is_applied_twice", "loader.after_commit", "inserted"),
        (
            "normalizer_acknowledges_early",
            "normalizer.before_delivery",
            "records counted",
        ),
    ],
)
def test_the_oracle_notices_a_guarantee_that_is_broken(
    case: Case, guarantee: str, point: str | None, finding: str
) -> None:
    case.stack.break_guarantee("automatic_repair")
    case.stack.break_guarantee(guarantee)
    if point:
        case.stack.arm(point)
    run_id = case.start()
    run = case.settle(run_id)
    assert point is None or case.stack.was_reached(point)
    assert any(finding in each for each in case.differences())
    if (
        finding == "records counted"
    ):  # pages are missing: the run does not pretend otherwise, and repair brings them
        assert run["status"] in {"running", "queued"}
        case.stack.disarm()
        repaired = case.stack.wait_for(run_id)
        assert (repaired["status"], repaired["records"]) == (
            "succeeded",
            ROWS,
        )


def test_a_run_says_which_pages_are_missing_and_has_them_done_again_when_asked(
    case: Case,
) -> None:
    case.stack.break_guarantee("automatic_repair")
    case.stack.break_guarantee("receipt_is_dropped")
    run_id = case.start()
    run = case.settle(run_id)
    (task,) = run["tasks"]
    assert (
        run["status"],
        run["ledger"]["balanced"],
        run["ledger"]["pages_published"],
        run["ledger"]["pages_missing"],
    ) == (
        "running",
        False,
        ROWS // MAX_PAGE_RECORDS,
        1,
    )
    ((first, last),) = task["missing_pages"]
    assert first == last
    assert (task["records_published"], task["records"]) == (
        ROWS,
        ROWS - MAX_PAGE_RECORDS,
    )
    assert (
        case.stack.api.post(f"/runs/{run_id}/repair").status_code == 202
    )
    repaired = case.stack.wait_for(run_id)
    assert (
        repaired["status"],
        repaired["records"],
        repaired["tasks"][0]["missing_pages"],
    ) == (
        "succeeded",
        ROWS,
        [],
    )
    assert (
        repaired["tasks"][0]["notes"][-1]
        == f"pages {first} were published again from the topic"
    )
    assert (
        case.stack.api.post(f"/runs/{run_id}/repair").status_code == 409
    )


@pytest.mark.parametrize(
    "point",
    [
        "loader.in_transaction",
        "loader.after_commit",
        "normalizer.before_delivery",
    ],
)
def test_with_the_guarantees_in_place_the_same_kills_change_nothing(
    case: Case, point: str
) -> None:
    case.stack.arm(point)
    run = case.assert_whole(case.start())
    assert case.stack.was_reached(point)
    assert run["duration_seconds"] >= 0, (
        "the clocks of the services differ by hours; durations are by one clock"
    )


@pytest.mark.parametrize(
    "point",
    [
        "loader.in_copy",
        "loader.in_transaction",
        "normalizer.before_delivery",
        "extractor.before_publish",
    ],
)
def test_a_process_that_froze_changes_nothing_when_it_wakes_up(
    case: Case, point: str
) -> None:
    service = point.partition(".")[0]
    case.stack.arm(point, "freeze")
    run_id = case.start()
    until(
        "the process to freeze", lambda: case.stack.was_reached(point), 30
    )
    with successor(case, service):
        case.assert_whole(run_id)  # by the successor alone
        os.kill(frozen(case, point), signal.SIGCONT)
        case.stack.wait_whole()
        until(
            "the late work to be through",
            lambda: case.stack.waiting(NORMALIZER_GROUP, RAW) == 0,
            30,
            0.5,
        )
        case.assert_whole(run_id)


def frozen(case: Case, point: str) -> int:
    """The process that reached a point."""
    (reached,) = case.stack.faults.glob(f"{point}.reached.*")
    return int(reached.suffix[1:])


@contextlib.contextmanager
def successor(case: Case, service: str) -> Iterator[None]:
    """One more instance of a service; what was frozen goes on at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT,
        env={**case.stack.environment, "HEALTH_FILE": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        for reached in case.stack.faults.glob("*.reached.*"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(reached.suffix[1:]), signal.SIGCONT)
        process.terminate()
        process.wait(15)


def test_a_connection_that_is_cut_inside_copy_costs_nothing(
    case: Case,
) -> None:
    case.stack.arm("loader.in_copy", "sleep 2")
    run_id = case.start()
    until(
        "COPY to be under way",
        lambda: case.stack.was_reached("loader.in_copy"),
        30,
    )
    case.stack.postgres_link.cut()
    case.assert_whole(run_id)


def test_a_normalizer_that_is_stopped_while_a_delivery_is_on_its_way_acknowledges_nothing(
    case: Case,
) -> None:
    run_id = case.start()
    until(
        "the pages to be published",
        lambda: case.stack.run_state(run_id)["status"] == "running",
        30,
        0.05,
    )
    case.stack.kafka.signal(signal.SIGSTOP)
    old = case.stack.pids("normalizer")
    case.stack.kill("normalizer", signal.SIGTERM)
    until(
        "it to end within its grace period",
        lambda: case.stack.pids("normalizer") != old,
        15,
    )
    case.stack.kafka.signal(signal.SIGCONT)
    case.assert_whole(run_id)


def test_services_that_start_without_a_broker_and_a_database_wait_for_them(
    case: Case,
) -> None:
    stack = case.stack
    for part in (stack.kafka, stack.postgres):
        part.stop()
    for service in ("extractor", "normalizer", "loader", "gateway"):
        stack.stop_part(service)
        stack.start_part(service)
    until(
        "the gateway to answer",
        lambda: _status(stack, "/health/live") == 200,
        30,
    )
    assert _status(stack, "/health") == 503
    refused = stack.api.post("/ingest")
    assert (refused.status_code, refused.headers["retry-after"]) == (
        503,
        "5",
    )
    for part in (stack.postgres, stack.kafka):
        part.start()
    stack.wait_whole()
    case.assert_whole(case.start())


def _status(stack: ChaosStack, path: str) -> int:
    with contextlib.suppress(httpx.HTTPError):
        return stack.api.get(path).status_code
    return 0


# -- what is missing is found and repaired -------------------------------------------------------


def gaps(stack: ChaosStack) -> list[dict[str, Any]]:
    return list(stack.api.get("/health").json()["data_gaps"])


@pytest.mark.parametrize("how", [remove_messages, create_again])
def test_what_retention_or_deletion_took_from_the_loader_is_said_and_comes_again(
    case: Case, how: Callable[[ChaosStack, Topic], None]
) -> None:
    case.assert_whole(
        case.start(1000)
    )  # so that the loader has a position to lose
    case.stack.stop_part("loader")
    run_id = case.start()
    until(
        "the pages to wait",
        lambda: (
            case.stack.waiting("loader", UNIFIED)
            >= ROWS // MAX_PAGE_RECORDS
        ),
        30,
        0.5,
    )
    case.stack.stop_part("normalizer")
    how(case.stack, UNIFIED)
    case.stack.start_part("loader")
    case.stack.start_part("normalizer")

    partition = partition_of(case.file.stream)
    noticed = until(
        "the gap to be said",
        lambda: [
            gap
            for gap in gaps(case.stack)
            if gap["partition"] == partition
        ],
        30,
    )
    assert (noticed[0]["topic"], noticed[0]["group"]) == (
        UNIFIED.name,
        "loader",
    )
    assert noticed[0]["reason"] == (
        "retention" if how is remove_messages else "recreated"
    )
    run = case.assert_whole(run_id)
    assert any(
        note.startswith("data_gap: ingest.unified")
        for note in run["notes"]
    )
    assert any(
        "data_gap" in note
        for each in case.stack.api.get("/stats").json()
        for note in each["notes"]
    )
    until(
        "the gap to be closed",
        lambda: all(gap["closed_at"] for gap in gaps(case.stack)),
        20,
    )
    # The tests before this one killed the loader: that it was started often is true.
    health = case.stack.api.get("/health").json()
    others = [
        reason
        for reason in health["reasons"]
        if not reason.startswith("restarts:")
    ]
    assert others == []


@pytest.mark.parametrize("how", [remove_messages, create_again])
def test_raw_pages_that_nobody_normalized_are_read_again_from_the_source(
    case: Case, how: Callable[[ChaosStack, Topic], None]
) -> None:
    case.assert_whole(case.start(1000))
    case.stack.stop_part("normalizer")
    run_id = case.start()
    until(
        "the task to end",
        lambda: case.stack.run_state(run_id)["ledger"]["pages_published"],
        30,
    )
    case.stack.stop_part("extractor")
    how(case.stack, RAW)
    case.stack.start_part("normalizer")
    case.stack.start_part("extractor")
    run = case.assert_whole(run_id)
    assert (
        "were read again from the source" in run["tasks"][0]["notes"][-1]
    )
    case.assert_whole(
        case.start(500)
    )  # and the stream goes on where it stood


def test_a_task_that_nobody_has_is_found_and_done(case: Case) -> None:
    """Its offset committed, no end reported, nothing pending.

    Here, a plan whose task was never published.
    """
    case.file.grow(ROWS)
    run_id, stream = str(uuid.uuid4()), case.file.stream
    planned = RunPlanned(
        run_id=run_id,
        tasks=[
            PlannedTask(
                task_id=task_id(run_id, stream),
                source="csv",
                stream=stream,
            )
        ],
    )
    on_kafka(
        case.stack,
        lambda producer, _admin: publishing.publish(
            producer, RUN_EVENTS, planned, key=run_id, service="test"
        ),
    )
    until(
        "the run",
        lambda: case.stack.run_state(run_id)["status"] == "running",
        10,
    )
    case.assert_whole(run_id)


def test_a_run_whose_command_is_gone_is_planned_again(case: Case) -> None:
    case.file.grow(ROWS)
    run_id = str(uuid.uuid4())
    request = json.dumps(
        {
            "sources": None,
            "streams": [case.file.stream],
            "full_refresh": False,
        }
    )
    case.stack.execute(
        "INSERT INTO runs (run_id, request, requested_at, last_progress_at) VALUES"
        f" ('{run_id}', '{request}', now() - interval '1 minute', now() - interval '1 minute')"
    )
    case.assert_whole(run_id)


def test_pages_that_are_nowhere_any_more_are_named_and_the_run_does_not_succeed(
    case: Case,
) -> None:
    case.stack.stop_part("normalizer")
    run_id = case.start()
    until(
        "the task to end",
        lambda: case.stack.run_state(run_id)["ledger"]["pages_published"],
        30,
    )
    case.stack.stop_part("extractor")
    remove_messages(case.stack, RAW)
    (case.stack.csv_dir / case.file.name / "btc-usd.csv").unlink()
    case.stack.start_part("normalizer")
    case.stack.start_part("extractor")
    run = until(
        "the loss to be said",
        lambda: (run := case.stack.run_state(run_id))["errors"] and run,
        60,
    )
    assert run["errors"][0]["code"] == "pages_lost"
    assert run["errors"][0]["message"].startswith(
        f"pages 0–{ROWS // MAX_PAGE_RECORDS - 1} are neither in the topic nor at the source"
    )
    assert (
        run["status"] == "running"
    )  # and incomplete when nothing has moved for ten minutes


def test_a_consumer_that_makes_no_progress_ends_itself_and_is_started_anew(
    case: Case,
) -> None:
    old = case.stack.pids("loader")
    case.stack.break_guarantee("loader_hangs")
    run_id = case.start()
    until(
        "the loader to give itself up",
        lambda: (
            case.stack.pids("loader") and case.stack.pids("loader") != old
        ),
        60,
        0.5,
    )
    assert (
        "none was committed for"
        in (case.stack.settings.logs / "loader-0.log").read_text()
    )
    case.stack.disarm()
    case.assert_whole(run_id)


# -- dead letters --------------------------------------------------------------------------------


def test_dead_letters_of_a_bug_are_processed_again_after_it_is_mended(
    case: Case,
) -> None:
    stack = case.stack
    stack.break_guarantee("mapping")
    rows = 3 * MAX_PAGE_RECORDS
    run = stack.wait_for(case.start(rows))
    assert (run["status"], run["rejected"]) == ("failed", rows)
    stack.disarm()
    letters = stack.api.get(
        "/dead-letters",
        params={"run_id": run["run_id"], "status": "open"},
    ).json()
    assert [
        (each["reason"], each["count"], each["stage"]) for each in letters
    ] == [("mapping_error", MAX_PAGE_RECORDS, "map")] * 3

    one = stack.api.post(f"/dead-letters/{letters[0]['id']}/requeue")
    again = stack.api.post(f"/dead-letters/{letters[0]['id']}/requeue")
    assert (one.status_code, again.status_code, one.json()["run_id"]) == (
        202,
        202,
        again.json()["run_id"],
    )
    first = stack.wait_for(one.json()["run_id"])
    assert (
        first["kind"],
        first["status"],
        first["inserted"],
        first["ledger"]["balanced"],
    ) == (
        "requeue",
        "succeeded",
        MAX_PAGE_RECORDS,
        True,
    )

    rest = stack.api.post(
        "/dead-letters/requeue", json={"reason": "mapping_error"}
    )
    second = stack.wait_for(rest.json()["run_id"])
    assert (
        second["status"],
        second["inserted"],
        second["request"]["dead_letters"]["reason"],
    ) == ("succeeded", 2 * MAX_PAGE_RECORDS, "mapping_error")
    assert (
        stack.api.get("/dead-letters", params={"status": "open"}).json()
        == []
    )
    assert (
        stack.api.get(f"/dead-letters/{letters[0]['id']}").json()[
            "requeued_run_id"
        ]
        == first["run_id"]
    )
    expected = [
        (row.moment, *row.values()) for row in case.file.content()
    ]
    assert stack.candles(case.file.stream) == expected

    nothing = stack.wait_for(
        stack.api.post(
            "/dead-letters/requeue", json={"all": True}
        ).json()["run_id"]
    )
    assert (nothing["status"], nothing["message"]) == (
        "succeeded",
        "no open dead letter matches that can be processed again",
    )


def test_a_record_that_fails_again_is_a_new_dead_letter_and_discarding_says_why(
    case: Case,
) -> None:
    stack = case.stack
    name = f"csv/{case.file.name}/eth-usd.csv"
    path = stack.csv_dir / case.file.name / "eth-usd.csv"
    path.parent.mkdir()
    path.write_text(
        "date,open,high,low,close,volume\n2024-01-01,1,2,0.5,1,9\n2024-01-02,1,x,0.5,1,9\n"
        '2024-01-03,"unclosed,1\n2024-01-04,1,2,0.5,1,9\n'
    )
    stack.ingest(streams=[name])
    by_stage = {
        each["stage"]: each
        for each in stack.api.get(
            "/dead-letters", params={"stream": name}
        ).json()
    }
    assert (
        by_stage["map"]["field"],
        by_stage["map"]["origin"]["line"],
        by_stage["extract"]["origin"]["line"],
    ) == ("high", 3, 4)
    assert len(by_stage["map"]["payload_sha256"]) == 64

    requeued = stack.wait_for(
        stack.api.post(
            f"/dead-letters/{by_stage['map']['id']}/requeue"
        ).json()["run_id"]
    )
    assert (requeued["status"], requeued["rejected"]) == ("partial", 1)
    (anew,) = stack.api.get(
        "/dead-letters", params={"run_id": requeued["run_id"]}
    ).json()
    assert (anew["status"], anew["origin"]["line"], anew["field"]) == (
        "open",
        3,
        "high",
    )
    # One that is open again can be processed again, by a run of its own.
    asked = {requeued["run_id"]}
    for letter in (anew, by_stage["map"]):
        run_id = stack.api.post(
            f"/dead-letters/{letter['id']}/requeue"
        ).json()["run_id"]
        assert run_id not in asked
        asked.add(run_id)
        assert stack.wait_for(run_id)["rejected"] == 1
        assert (
            stack.api.get(f"/dead-letters/{letter['id']}").json()[
                "status"
            ]
            == "requeued"
        )
    (anew,) = (
        each
        for each in stack.api.get(
            "/dead-letters", params={"stream": name, "status": "open"}
        ).json()
        if each["stage"] == "map"
    )
    assert anew["origin"]["row"] == by_stage["map"]["origin"]["row"]
    refused = stack.api.post(
        f"/dead-letters/{by_stage['extract']['id']}/requeue"
    )
    assert (
        refused.status_code,
        "full_refresh" in refused.json()["detail"],
    ) == (409, True)

    assert (
        stack.api.post(
            f"/dead-letters/{anew['id']}/discard",
            json={"note": "a typo of the exchange"},
        ).status_code
        == 202
    )
    closed = until(
        "it to be closed",
        lambda: (
            (
                found := stack.api.get(
                    f"/dead-letters/{anew['id']}"
                ).json()
            )["status"]
            == "discarded"
            and found
        ),
        20,
    )
    assert (closed["note"], bool(closed["closed_at"])) == (
        "a typo of the exchange",
        True,
    )
    assert (
        stack.api.post(f"/dead-letters/{anew['id']}/requeue").status_code
        == 409
    )
    assert (
        stack.api.post(
            "/dead-letters/discard",
            json={"stream": name, "note": "all seen"},
        ).status_code
        == 202
    )
    until(
        "all to be closed",
        lambda: (
            not stack.api.get(
                "/dead-letters", params={"status": "open", "stream": name}
            ).json()
        ),
        20,
    )


def test_a_message_that_belongs_to_no_page_is_published_again_on_its_topic(
    case: Case,
) -> None:
    stack = case.stack
    partition = partition_of(case.file.stream)
    on_kafka(
        stack,
        lambda producer, _admin: producer.send_and_wait(
            TASKS.name,
            b'{"type":"FromTheFuture"}',
            key=b"x",
            partition=partition,
        ),
    )
    letter = until(
        "the dead letter",
        lambda: stack.api.get(
            "/dead-letters", params={"reason": "undecodable"}
        ).json(),
        20,
    )[0]
    assert (letter["topic"], letter["partition"]) == (
        TASKS.name,
        partition,
    )
    run = stack.wait_for(
        stack.api.post(f"/dead-letters/{letter['id']}/requeue").json()[
            "run_id"
        ]
    )
    assert (run["status"], run["tasks"][0]["notes"]) == (
        "succeeded",
        ["1 message(s) were published again on their topic"],
    )
    until(
        "it to fail again",
        lambda: (
            len(
                stack.api.get(
                    "/dead-letters", params={"reason": "undecodable"}
                ).json()
            )
            == 2
        ),
        20,
    )


def test_a_source_that_goes_bad_as_a_whole_stops_its_task_and_keeps_its_checkpoint(
    case: Case,
) -> None:
    stack = case.stack
    case.assert_whole(case.start(1_000))
    stack.break_guarantee("mapping")
    run = stack.wait_for(case.start(60_000), 180)
    assert run["status"] == "failed"
    (error,) = run["errors"]
    assert (
        error["code"],
        "rejected whole (such as: " in error["message"],
        "a bug in the mapping" in error["message"],
    ) == (
        "too_many_rejections",
        True,
        True,
    )
    assert 8 * MAX_PAGE_RECORDS <= run["records"] < 60_000, (
        "it was stopped on the way"
    )
    stack.disarm()
    good = stack.ingest(streams=[case.file.stream])
    assert (good["status"], good["inserted"]) == ("succeeded", 60_000)


def test_without_the_dead_letter_topic_nothing_is_acknowledged(
    case: Case,
) -> None:
    stack = case.stack
    partition = partition_of(case.file.stream)

    async def work(
        producer: AIOKafkaProducer, admin: AIOKafkaAdminClient
    ) -> int:
        await admin.delete_topics([DEAD_LETTERS.name])
        return int(
            (
                await producer.send_and_wait(
                    RAW.name, b"\xff\xfe", key=b"x", partition=partition
                )
            ).offset
        )

    offset = on_kafka(stack, work)
    run_id = case.start(1_000)
    until(
        "the normalizer to end rather than skip",
        lambda: (
            _position(stack, partition) <= offset and _restarts(stack) > 0
        ),
        90,
        1,
    )
    assert stack.run_state(run_id)["records"] == 0
    until(
        "the topic",
        lambda: asyncio.run(_created(stack, DEAD_LETTERS)),
        20,
    )
    case.assert_whole(run_id)
    until(
        "the dead letter",
        lambda: stack.api.get(
            "/dead-letters", params={"reason": "undecodable"}
        ).json(),
        60,
    )


def _position(stack: ChaosStack, partition: int) -> int:
    return stack.positions(NORMALIZER_GROUP, RAW)[
        TopicPartition(RAW.name, partition)
    ].position


def _restarts(stack: ChaosStack) -> int:
    return (
        (stack.settings.logs / "normalizer-0.log")
        .read_text()
        .count("ending_without_acknowledging")
    )


# -- back-pressure, doubles, and what is refused -------------------------------------------------


def test_with_the_normalizer_away_the_extractor_pauses_and_the_api_answers(
    case: Case,
) -> None:
    stack = case.stack
    stack.stop_part("normalizer")
    run_id = case.start(30_000)
    until(
        "the extractor to pause",
        lambda: stack.waiting(NORMALIZER_GROUP, RAW) >= WAITING_PAGES,
        30,
        0.5,
    )
    for _ in range(6):
        assert stack.waiting(NORMALIZER_GROUP, RAW) <= WAITING_PAGES + 4
        assert (
            stack.api.get("/data", params={"limit": 1}).status_code == 200
        )
        assert stack.run_state(run_id)["status"] == "running"
    stack.start_part("normalizer")
    case.assert_whole(run_id)


def test_one_key_fifty_times_at_two_gateways_is_one_run_that_both_know(
    case: Case,
) -> None:
    case.file.grow(500)
    key, body = str(uuid.uuid4()), {"streams": [case.file.stream]}

    def ask(number: int) -> tuple[int, str]:
        api = (case.stack.api, case.stack.api_2)[number % 2]
        answer = api.post(
            "/ingest", json=body, headers={"idempotency-key": key}
        )
        return answer.status_code, answer.json().get("run_id", "")

    with ThreadPoolExecutor(25) as pool:
        answers = set(pool.map(ask, range(50)))
    ((status, run_id),) = answers
    assert status == 202
    other = case.stack.api_2.post(
        "/ingest",
        json={"sources": ["rss"]},
        headers={"idempotency-key": key},
    )
    assert other.status_code == 409
    fresh = case.stack.start_run(streams=[case.file.stream])
    assert case.stack.api_2.get(f"/runs/{fresh}").status_code == 200
    case.stack.wait_for(fresh)
    case.assert_whole(run_id)


def test_a_topic_with_more_partitions_is_refused_by_every_service_at_its_start(
    case: Case,
) -> None:
    stack = case.stack

    async def work(
        _producer: AIOKafkaProducer, admin: AIOKafkaAdminClient
    ) -> None:
        await admin.create_partitions(
            {TASKS.name: NewPartitions(total_count=TASKS.partitions + 1)}
        )

    on_kafka(stack, work)
    for service in ("extractor", "normalizer", "loader"):
        stack.stop_part(service)
        stack.start_part(service)
        said = (
            f"topic {TASKS.name} has 13 partitions and {RAW.name} has 12"
        )
        log = stack.settings.logs / f"{service}-0.log"
        until(
            f"{service} to refuse",
            lambda said=said, log=log: said in log.read_text(),
            30,
        )
        until(
            f"{service} to stay down",
            lambda service=service: not stack.pids(service),
            15,
        )
    assert case.stack.api.get("/health/live").status_code == 200
    create_again(stack, TASKS)
    for service in ("extractor", "normalizer", "loader"):
        stack.start_part(service)
    stack.wait_whole()
    case.assert_whole(case.start(1_000))
