"""A database that was put back completes itself from the topics."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator import Simulator
from tests.simulator.server import entry, rss, ticker
from tests.support.oracle import CandleFile, write_candles
from tests.support.product import until
from tests.support.stack import Stack, running

ROWS = 3_000
POINTS = """
SELECT id, stream, revision, retired_at IS NULL, open, close, price, title, run_id, page_id
FROM unified_data ORDER BY id
"""
RUNS = "SELECT run_id, kind, status, totals::text, finished_at IS NULL FROM runs ORDER BY run_id"
LETTERS = "SELECT id, status, reason, count, run_id FROM dead_letters ORDER BY id"
RECEIPTS = "SELECT page_id, run_id, inserted, updated, rejected FROM page_receipts ORDER BY page_id"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def stack(
    upstream: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("backup")
    (root / "csv").mkdir()
    settings = {
        **upstream.settings("news"),
        "COIN_IDS": '["btc-bitcoin", "eth-ethereum"]',
        "REPAIR_AFTER_S": "5",
    }
    with running(root / "state", root / "csv", **settings) as found:
        yield found


def state(stack: Stack) -> dict[str, list[Any]]:
    """What the oracle is: everything that users see, but for times of writing."""
    return {
        name: stack.query(query)
        for name, query in (
            ("points", POINTS),
            ("runs", RUNS),
            ("letters", LETTERS),
            ("receipts", RECEIPTS),
        )
    }


def spoil(path: Path, line: int) -> None:
    """A row whose high lies below its low."""
    lines = path.read_text().splitlines()
    cells = lines[line].split(",")
    cells[2], cells[3] = "1", "2"
    lines[line] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def backed_up(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What was there at the backup: files, prices, news, a dead letter, a run of each kind."""
    path = stack.csv_dir / "venue" / "btc-usd.csv"
    write_candles(path, ROWS)
    spoil(path, 7)
    stack.ingest()
    folder = tmp_path_factory.mktemp("backups") / "first"
    done = stack.command("backup", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rows" in done.stdout
    return folder


@pytest.fixture(scope="module")
def later(
    stack: Stack, upstream: Simulator, backed_up: Path
) -> dict[str, list[Any]]:
    """And what came after it, which the database will not know any more."""
    more: CandleFile = write_candles(
        stack.csv_dir / "venue" / "eth-usd.csv", ROWS
    )
    spoil(more.path, 9)
    for coin in ("btc-bitcoin", "eth-ethereum"):
        upstream.tickers[coin] = ticker(coin, 1.5, minute=5)
    upstream.feeds["news"] = rss([entry(n) for n in range(9)])
    stack.ingest()
    (letter,) = stack.api.get(
        "/dead-letters", params={"stream": "csv/venue/btc-usd.csv"}
    ).json()
    stack.api.post(
        f"/dead-letters/{letter['id']}/discard", json={"note": "known"}
    )
    replayed = stack.api.post("/replay", json={"source": "csv"}).json()
    stack.wait_for(replayed["run_id"])
    return state(stack)


def test_a_backup_says_what_it_holds(backed_up: Path) -> None:
    manifest = json.loads((backed_up / "manifest.json").read_text())
    rows, _ = manifest["tables"]["points"]
    assert rows == ROWS - 1 + 2 + 5
    assert backed_up.stat().st_mode & 0o077 == 0


def test_a_backup_that_is_not_whole_is_refused(
    stack: Stack, backed_up: Path, tmp_path: Path
) -> None:
    again = stack.command("backup", str(backed_up))
    assert (again.returncode, "is there already" in again.stderr) == (
        1,
        True,
    )
    for spoiled in ("database.dump", "manifest.json"):
        folder = tmp_path / spoiled
        folder.mkdir()
        for each in backed_up.iterdir():
            (folder / each.name).write_bytes(each.read_bytes())
        with (folder / spoiled).open("r+b") as file:
            file.write(b"#")
        done = stack.command("restore", str(folder), "--yes")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
    unsure = stack.command("restore", str(backed_up))
    assert "YES=1 make restore" in unsure.stderr


def differences(
    stack: Stack, wanted: dict[str, list[Any]]
) -> dict[str, Any]:
    """By name: some rows that are missing, and some that should not be there."""
    found = {}
    for name, rows in state(stack).items():
        now, then = set(map(str, rows)), set(map(str, wanted[name]))
        if now != then:
            found[name] = (sorted(then - now)[:3], sorted(now - then)[:3])
    return found


def test_a_database_that_went_back_completes_itself(
    stack: Stack, backed_up: Path, later: dict[str, list[Any]]
) -> None:
    place = stack.api.get("/changes").headers.get("x-next")
    done = stack.command("restore", str(backed_up), "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "_before_" in done.stdout

    with contextlib.suppress(AssertionError):
        until(
            "it to be whole again",
            lambda: not differences(stack, later),
            60,
        )
    assert differences(stack, later) == {}
    assert stack.api.get("/health").json()["data_gaps"] == []
    if place:
        refused = stack.api.get("/changes", params={"since": place})
        assert refused.status_code in (410, 422), refused.text
    run = stack.ingest()
    assert run["status"] == "succeeded"
    before, now = (
        {str(row) for row in found["points"]}
        for found in (later, state(stack))
    )
    assert all("'coinpaprika/" in row for row in before - now)
    assert all("'coinpaprika/" in row for row in now - before)


def points(stack: Stack) -> list[tuple[Any, ...]]:
    """What they say, whoever wrote them."""
    return stack.query(
        "SELECT id, stream, open, close, price, title FROM unified_data ORDER BY id"
    )


@pytest.mark.long
def test_a_kafka_that_is_new_doubles_and_loses_nothing(
    stack: Stack, later: dict[str, list[Any]]
) -> None:
    """The database is kept: what is there is read again from the sources, and stays as it is."""
    stack.ingest()
    stack.api.put(
        "/sources/rss/feeds/more", json={"url": "https://x.example/"}
    )
    before = points(stack)
    folder = stack.settings.state / "kept"
    stack.command("backup", str(folder))
    stack.down()
    shutil.rmtree(stack.settings.state / "kafka")
    stack.up()
    stack.wait_ready()
    run = stack.ingest(sources=["csv", "rss"])
    assert run["ledger"]["balanced"]
    assert run["inserted"] == run["updated"] == 0
    assert points(stack) == before
    # Of the topics that were read, what lay unread is named; nothing was.
    assert set(gaps(stack)) <= {"recreated"}
    done = stack.command("restore", str(folder), "--yes")
    assert "settings and keys were put back" in done.stdout
    names = [
        each["name"]
        for each in stack.api.get("/sources/rss/feeds").json()
    ]
    assert "more" in names
    assert points(stack) == before


def gaps(stack: Stack) -> list[str]:
    """Why messages are missing, as /health names it."""
    found = stack.api.get("/health").json()["data_gaps"]
    return [each["reason"] for each in found]
