"""A wrong file is taken out of sight and comes back, by the API, while its loader is killed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.oracle import CandleFile, write_candles
from tests.support.product import until
from tests.support.series import WRONG_SUMS
from tests.support.stack import Stack

ROWS = 15_000
STREAM = "csv/wrong/doge-usd.csv"


@pytest.fixture(scope="module")
def file(stack: Stack) -> CandleFile:
    found = write_candles(stack.csv_dir / "wrong" / "doge-usd.csv", ROWS)
    run = stack.ingest(streams=[STREAM])
    assert run["status"] == "succeeded", run
    return found


def series_of(stack: Stack) -> dict[str, Any]:
    (found,) = stack.api.get("/series", params={"stream": STREAM}).json()
    assert isinstance(found, dict)
    return found


def visible(stack: Stack) -> int:
    ((count,),) = stack.query(
        "SELECT count(*) FROM unified_data WHERE stream = %s AND retired_at IS NULL",
        STREAM,
    )
    return int(count)


def begun(stack: Stack, run_id: str, *, above: int, below: int) -> None:
    until(
        "some of it to be done",
        lambda: (
            above < visible(stack) < below or _has_ended(stack, run_id)
        ),
        60,
        0.02,
    )


def _has_ended(stack: Stack, run_id: str) -> bool:
    return stack.run_state(run_id)["finished_at"] is not None


@pytest.mark.long
def test_a_wrong_dataset_is_retired_and_brought_back_over_killed_loaders(
    stack: Stack, file: CandleFile
) -> None:
    found = series_of(stack)
    assert (found["points"], found["dataset"]) == (ROWS, "wrong")
    answer = stack.api.delete(
        "/series",
        params={"source": "csv", "dataset": "wrong"},
        headers={"idempotency-key": "wrong file"},
    )
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["run_id"]
    begun(stack, run_id, above=0, below=ROWS)
    stack.kill("loader")
    run = stack.wait_for(run_id, 120)
    assert (run["status"], run["kind"]) == ("succeeded", "retire")
    assert visible(stack) == 0
    assert series_of(stack)["points"] == 0
    assert (
        stack.api.get("/data", params={"dataset": "wrong"}).json() == []
    )
    assert stack.query(WRONG_SUMS) == []

    # What was read before does not bring it back.
    replayed = stack.api.post("/replay", json={"stream": STREAM})
    stack.wait_for(replayed.json()["run_id"], 120)
    assert visible(stack) == 0

    assert stack.api.post(f"/runs/{run_id}/undo").status_code == 202
    begun(stack, run_id, above=0, below=ROWS)
    stack.kill("loader")
    until("all to be back", lambda: visible(stack) == ROWS, 120)
    run = stack.wait_for(run_id, 60)
    assert run["preview"] == "undone"
    assert f"{ROWS} data points brought back" in run["message"]
    assert stack.candles(STREAM) == file.candles
    assert stack.query(WRONG_SUMS) == []
    assert stack.api.post(f"/runs/{run_id}/undo").status_code == 202


def test_a_preview_is_published_by_the_api(
    stack: Stack, file: CandleFile
) -> None:
    number = series_of(stack)["id"]
    answer = stack.api.delete(
        f"/series/{number}", params={"mode": "preview"}
    )
    run_id = answer.json()["run_id"]
    run = stack.wait_for(run_id)
    assert (run["status"], run["preview"]) == ("succeeded", "open")
    diff = stack.api.get(
        f"/runs/{run_id}/diff", params={"limit": 1}
    ).json()
    assert diff["counts"]["retired"] == ROWS
    assert visible(stack) == ROWS

    assert stack.api.post(f"/runs/{run_id}/publish").status_code == 202
    until("nothing to be left", lambda: visible(stack) == 0, 120)
    # Rows are gone before the run has ended, and until then it cannot be undone.
    undo = f"/runs/{run_id}/undo"
    until("undo", lambda: stack.api.post(undo).status_code == 202, 60)
    until("all to be back", lambda: visible(stack) == ROWS, 120)
