"""A better mapping.

Applied by a replay or by resetting the normalizer's group, previewed, published, discarded.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from embedded.settings import ROOT
from shared.messages.base import MAX_PAGE_RECORDS
from shared.messages.topics import NORMALIZER_GROUP, RAW
from tests.chaos.broker import remove_messages
from tests.chaos.feed import CsvFile
from tests.chaos.stack import ChaosStack, empty
from tests.simulator import Simulator
from tests.simulator.server import entry, rss
from tests.support.product import until

ROWS = 5_000
TENTH = ROWS // 10


@pytest.fixture
def file(
    broken: ChaosStack, request: pytest.FixtureRequest
) -> Iterator[CsvFile]:
    """A file of its own on a stack with empty tables; `newer_mapping` is off at the end."""
    empty(broken)
    remove_messages(
        broken, RAW
    )  # else a replay of everything meets the pages of other tests
    name = uuid.uuid5(uuid.NAMESPACE_OID, request.node.name).hex[:8]
    yield CsvFile(broken.csv_dir, name, int(name, 16), odd=False)
    broken.disarm()
    broken.heal()


def ingested(
    stack: ChaosStack, file: CsvFile, rows: int = ROWS
) -> dict[str, Any]:
    file.grow(rows)
    run = stack.ingest(streams=[file.stream])
    assert (run["status"], run["inserted"]) == ("succeeded", rows)
    return run


def start_replay(stack: ChaosStack, **body: Any) -> str:
    answer = stack.api.post("/replay", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["run_id"])


def tell(stack: ChaosStack, run_id: str, what: str) -> None:
    answer = stack.api.post(f"/runs/{run_id}/{what}")
    assert answer.status_code == 202, answer.text


def preview_is(stack: ChaosStack, run_id: str, state: str) -> None:
    until(
        f"the preview to be {state}",
        lambda: stack.run_state(run_id).get("preview") == state,
        30,
    )


def shown(stack: ChaosStack) -> dict[str, int]:
    """What `/data` shows, and what is kept besides."""
    (row,) = stack.query("""
        SELECT count(*) FILTER (WHERE retired_at IS NULL),
               count(*) FILTER (WHERE retired_at IS NULL AND close = 77),
               count(*) FILTER (WHERE retired_at IS NULL AND "timestamp" < '1970-01-01'),
               count(*) FILTER (WHERE retired_at IS NOT NULL),
               (SELECT count(*) FROM unified_revisions), (SELECT count(*) FROM raw_data)
        FROM unified_data
    """)
    return dict(
        zip(
            (
                "shown",
                "changed",
                "moved",
                "retired",
                "revisions",
                "pages",
            ),
            row,
            strict=True,
        )
    )


AFTERWARDS = {
    "shown": ROWS,
    "changed": TENTH,
    "moved": TENTH,
    "retired": TENTH,
    "revisions": 2 * TENTH,
    "pages": ROWS // MAX_PAGE_RECORDS,
}


def test_a_replay_by_a_better_mapping_updates_what_differs_and_retires_what_is_gone(
    broken: ChaosStack, file: CsvFile
) -> None:
    first = ingested(broken, file)
    broken.break_guarantee("newer_mapping")

    run = broken.wait_for(start_replay(broken, run_id=first["run_id"]))

    assert (run["status"], run["ledger"]["balanced"]) == (
        "succeeded",
        True,
    )
    assert (run["inserted"], run["updated"], run["unchanged"]) == (
        TENTH,
        TENTH,
        ROWS - 2 * TENTH,
    )
    assert shown(broken) == AFTERWARDS
    again = broken.wait_for(start_replay(broken, run_id=first["run_id"]))
    assert (again["unchanged"], shown(broken)) == (ROWS, AFTERWARDS)
    assert broken.run_state(first["run_id"])["inserted"] == ROWS, (
        "the first run's ledger is of the first run"
    )
    found = broken.api.get(
        f"/runs/{first['run_id']}/diff/{run['run_id']}"
    ).json()
    assert found["counts"] == {
        "only_in_a": TENTH,
        "only_in_b": TENTH,
        "changed": TENTH,
        "unchanged": ROWS - 2 * TENTH,
    }


def test_an_older_mapping_does_not_undo_it(
    broken: ChaosStack, file: CsvFile
) -> None:
    first = ingested(broken, file)
    broken.break_guarantee("newer_mapping")
    broken.wait_for(start_replay(broken, run_id=first["run_id"]))
    broken.disarm()
    run = broken.wait_for(start_replay(broken, run_id=first["run_id"]))
    assert (run["unchanged"], shown(broken)) == (ROWS, AFTERWARDS)


def test_a_preview_is_seen_by_nobody_until_it_is_published(
    broken: ChaosStack, upstream: Simulator, file: CsvFile
) -> None:
    first, before = (
        ingested(broken, file),
        {
            **AFTERWARDS,
            "changed": 0,
            "moved": 0,
            "retired": 0,
            "revisions": 0,
        },
    )
    broken.break_guarantee("newer_mapping")

    preview = broken.wait_for(start_replay(broken, mode="preview"))

    assert (preview["status"], preview["preview"], shown(broken)) == (
        "succeeded",
        "open",
        before,
    )
    found = broken.api.get(
        f"/runs/{preview['run_id']}/diff",
        params={"kind": "changed", "limit": 3},
    ).json()
    assert found["counts"] == {
        "added": TENTH,
        "changed": TENTH,
        "retired": TENTH,
        "newer_stays": 0,
    }
    assert (found["by_field"], len(found["changes"])) == (
        {"close": TENTH},
        3,
    )
    assert found["changes"][0]["fields"][0]["new"] == 77
    tell(broken, preview["run_id"], "publish")
    preview_is(broken, preview["run_id"], "published")
    assert shown(broken) == AFTERWARDS
    assert (
        f"published: {TENTH} added, {TENTH} changed, {TENTH} retired; 0 newer values stayed"
        in broken.run_state(preview["run_id"])["notes"]
    )
    tell(broken, preview["run_id"], "publish")  # and once more
    run = broken.wait_for(start_replay(broken, run_id=first["run_id"]))
    assert (run["unchanged"], shown(broken)) == (ROWS, AFTERWARDS)
    assert (
        broken.api.post(f"/runs/{preview['run_id']}/discard").status_code
        == 409
    )


def test_what_came_after_a_preview_stays(
    broken: ChaosStack, upstream: Simulator, file: CsvFile
) -> None:
    upstream.feeds["news"] = rss([entry(1, "Bitcoin slips")])
    broken.ingest(streams=["rss/news"])
    broken.break_guarantee("newer_mapping")
    preview = broken.wait_for(start_replay(broken, mode="preview"))
    broken.disarm()
    upstream.feeds["news"] = rss([entry(1, "Bitcoin slips and recovers")])
    assert broken.ingest(streams=["rss/news"])["updated"] == 1

    found = broken.api.get(f"/runs/{preview['run_id']}/diff").json()
    assert found["counts"] == {
        "added": 0,
        "changed": 0,
        "retired": 0,
        "newer_stays": 1,
    }
    tell(broken, preview["run_id"], "publish")
    preview_is(broken, preview["run_id"], "published")
    assert [
        note
        for note in broken.run_state(preview["run_id"])["notes"]
        if "1 newer values stayed" in note
    ]
    assert broken.query("SELECT title FROM unified_data") == [
        ("Bitcoin slips and recovers",)
    ]


def test_a_discarded_preview_leaves_nothing(
    broken: ChaosStack, file: CsvFile
) -> None:
    ingested(broken, file)
    before = shown(broken)
    broken.break_guarantee("newer_mapping")
    preview = broken.wait_for(start_replay(broken, mode="preview"))
    tell(broken, preview["run_id"], "discard")
    preview_is(broken, preview["run_id"], "discarded")
    assert (
        shown(broken),
        broken.query("SELECT count(*) FROM preview_points"),
    ) == (
        before,
        [(0,)],
    )
    assert (
        broken.api.post(f"/runs/{preview['run_id']}/publish").status_code
        == 409
    )


def groups(stack: ChaosStack, *arguments: str) -> str:
    """Kafka's own tool, as `make kafka-groups` calls it."""
    done = subprocess.run(
        [sys.executable, "-m", "embedded", "kafka-groups", *arguments],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_again(stack: ChaosStack) -> None:
    stack.command("stop", "normalizer")
    until(
        "the group to be empty",
        lambda: (
            "Error"
            not in groups(
                stack,
                "--group",
                NORMALIZER_GROUP,
                "--topic",
                RAW.name,
                "--reset-offsets",
                "--to-earliest",
                "--execute",
            )
        ),
        30,
        1,
    )
    stack.command("start", "normalizer")
    stack.wait_quiet()


def test_resetting_the_group_of_the_normalizer_is_a_replay_too(
    broken: ChaosStack, file: CsvFile
) -> None:
    first = ingested(broken, file)
    before = shown(broken)
    read_again(broken)
    assert shown(broken) == before, (
        "pages that are known with the same mapping version are skipped"
    )
    assert any(
        '"pages_known"' in log.read_text()
        for log in broken.settings.logs.glob("loader*.log")
    ), "and said"
    broken.break_guarantee("newer_mapping")
    read_again(broken)
    assert shown(broken) == AFTERWARDS
    run = broken.run_state(first["run_id"])
    assert (
        run["inserted"],
        run["updated"],
        run["ledger"]["balanced"],
    ) == (
        ROWS,
        0,
        True,
    ), "the first run's ledger stays"


@pytest.mark.parametrize("origin", ["topic", "archive"])
def test_a_replay_survives_the_death_of_every_service(
    broken: ChaosStack, file: CsvFile, origin: str
) -> None:
    first = ingested(broken, file, 30_000)
    # A normalizer that is killed maps pages again whose offsets it has not committed: with the
    # newer mapping, outside of the replay.
    broken.wait_quiet()
    broken.break_guarantee("newer_mapping")
    points = (
        "replayer.after_publish",
        "normalizer.before_delivery",
        "loader.after_commit",
    )
    for point in points:
        broken.arm(point)
    run = broken.wait_for(
        start_replay(broken, run_id=first["run_id"], origin=origin)
    )
    assert all(broken.was_reached(point) for point in points)
    assert (run["status"], run["ledger"]["balanced"], run["records"]) == (
        "succeeded",
        True,
        30_000,
    )
    assert (run["inserted"], run["updated"], run["unchanged"]) == (
        3_000,
        3_000,
        24_000,
    )
    assert shown(broken)["shown"] == 30_000


def test_a_live_run_ends_while_a_long_replay_goes_on_and_the_replay_can_be_cancelled(
    broken: ChaosStack, file: CsvFile
) -> None:
    first = ingested(broken, file, 30_000)
    broken.break_guarantee("slow_replay")
    replay = start_replay(
        broken, run_id=first["run_id"], origin="archive"
    )
    broken.wait_for_records(replay, 2_000)
    live = broken.ingest(streams=["rss/news"])
    broken.disarm()
    whole = broken.wait_for(replay)
    assert (live["status"], whole["status"]) == ("succeeded", "succeeded")
    assert live["finished_at"] < whole["finished_at"]

    broken.break_guarantee("slow_replay")
    replay = start_replay(
        broken, run_id=first["run_id"], origin="archive"
    )
    broken.wait_for_records(replay, 2_000)
    tell(broken, replay, "cancel")
    run = broken.wait_for(replay)
    assert (
        run["status"],
        run["ledger"]["balanced"],
        run["records"] < 30_000,
    ) == (
        "cancelled",
        True,
        True,
    )
