"""Every number can be explained.

Lineage, raw pages, the data as they were, what a run contributed, and where streams stand.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.simulator.server import Simulator, entry, rss, ticker
from tests.support.oracle import write_candles
from tests.support.stack import Stack

STREAM = "csv/lineage/btc-usd.csv"


def get(stack: Stack, path: str, **parameters: Any) -> Any:
    answer = stack.api.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def history(stack: Stack, upstream: Simulator) -> dict[str, Any]:
    """An article that was edited, with the times between."""
    upstream.feeds["news"] = rss(
        [entry(71, "Bitcoin plunges after exchange hack")]
    )
    first = stack.ingest(streams=["rss/news"])
    between = datetime.now(UTC).isoformat()
    time.sleep(0.05)
    upstream.feeds["news"] = rss(
        [entry(71, "Bitcoin recovers after exchange hack")]
    )
    second = stack.ingest(streams=["rss/news"])
    assert (first["inserted"], second["updated"]) == (1, 1)
    (point,) = [
        each
        for each in get(stack, "/data", source="rss")
        if each["title"] == "Bitcoin recovers after exchange hack"
    ]
    return {
        "first": first["run_id"],
        "second": second["run_id"],
        "between": between,
        "point": point,
    }


def test_lineage_goes_back_to_what_was_fetched(
    stack: Stack, upstream: Simulator, history: dict[str, Any]
) -> None:
    found = get(stack, f"/data/{history['point']['id']}/lineage")

    now, before = found["versions"]
    assert (
        now["revision"],
        before["revision"],
        now["until"],
        before["until"],
    ) == (
        2,
        1,
        None,
        now["since"],
    )
    assert [each["values"]["title"] for each in (now, before)] == [
        "Bitcoin recovers after exchange hack",
        "Bitcoin plunges after exchange hack",
    ]
    assert [each["run"]["run_id"] for each in (now, before)] == [
        history["second"],
        history["first"],
    ]
    assert before["replaced_by"] == now["page_id"]
    assert (
        now["record"]["raw"]["title"]
        == "Bitcoin recovers after exchange hack"
    )
    page = now["page"]
    assert (
        page["topic"],
        page["run"]["run_id"],
        page["run"]["kind"],
    ) == (
        "ingest.raw",
        history["second"],
        "ingest",
    )
    assert (
        page["origin"]["url"],
        page["origin"]["status"],
        len(page["origin"]["sha256"]),
    ) == (
        f"{upstream.url}/feeds/news",
        200,
        64,
    )
    assert {"plunges", "hack"} <= before["sentiment"]["words"].keys(), (
        before["sentiment"]
    )
    assert found["notes"] == []


def test_a_row_of_a_file_leads_to_its_line(stack: Stack) -> None:
    write_candles(stack.csv_dir / "lineage" / "btc-usd.csv", 700)
    run = stack.ingest(streams=[STREAM])
    (point,) = get(stack, "/data", run_id=run["run_id"], limit=1)
    (version,) = get(stack, f"/data/{point['id']}/lineage")["versions"]
    text = (
        (stack.csv_dir / "lineage" / "btc-usd.csv")
        .read_text()
        .splitlines()[version["record"]["line"] - 1]
    )
    assert [str(cell) for cell in version["record"]["raw"]] == text.split(
        ","
    )
    assert version["page"]["origin"]["path"] == "lineage/btc-usd.csv"
    (series,) = get(stack, f"/raw/{point['page_id']}")["read_as"][
        "series"
    ]
    raw = version["record"]["raw"]
    close = series["columns"]["close"]
    assert float(raw[close - 1]) == point["close"]


def test_raw_pages_are_listed_and_read(
    stack: Stack, history: dict[str, Any]
) -> None:
    listed = get(
        stack, "/raw", stream="rss/news", run_id=history["second"]
    )
    assert (
        listed["pruned_before"],
        [page["page_id"] for page in listed["pages"]],
    ) == (
        None,
        [history["point"]["page_id"]],
    )
    page = get(stack, f"/raw/{history['point']['page_id']}")
    assert (
        page["payload"][0]["title"]
        == "Bitcoin recovers after exchange hack"
    )
    assert page["read_as"] is None
    assert (
        get(stack, "/raw", source="rss", to="2020-01-01T00:00:00Z")[
            "pages"
        ]
        == []
    )
    first = stack.api.get("/raw", params={"limit": 1})
    second = stack.api.get(
        first.links["next"]["url"].removeprefix("/api/v1")
    )
    newer, older = (
        datetime.fromisoformat(answer.json()["pages"][0]["broker_time"])
        for answer in (first, second)
    )
    assert newer >= older
    missing = stack.api.get("/raw/00000000-0000-0000-0000-000000000000")
    assert (
        missing.status_code,
        "there is no raw page" in missing.json()["detail"],
    ) == (
        404,
        True,
    )


def test_the_data_as_they_were(
    stack: Stack, history: dict[str, Any]
) -> None:
    def titles(**parameters: Any) -> list[str]:
        return [
            each["title"]
            for each in get(
                stack, "/data", source="rss", dataset="news", **parameters
            )
            if each["id"] == history["point"]["id"]
        ]

    assert titles() == ["Bitcoin recovers after exchange hack"]
    assert titles(as_of=history["between"]) == [
        "Bitcoin plunges after exchange hack"
    ]
    assert titles(as_of=history["between"], symbol="btc") == [
        "Bitcoin plunges after exchange hack"
    ]
    assert titles(as_of="2020-01-01T00:00:00Z") == []
    assert titles(run_id=history["first"]) == [
        "Bitcoin plunges after exchange hack"
    ]
    assert titles(run_id=history["second"]) == [
        "Bitcoin recovers after exchange hack"
    ]
    assert (
        stack.api.get(
            "/data",
            params={
                "run_id": history["first"],
                "as_of": history["between"],
            },
        ).status_code
        == 422
    )


def test_checkpoints_are_shown_forgotten_and_set(
    stack: Stack, upstream: Simulator
) -> None:
    write_candles(stack.csv_dir / "moved" / "btc-usd.csv", 600)
    stream = "csv/moved/btc-usd.csv"
    stack.ingest(streams=[stream])
    (stands,) = get(stack, "/checkpoints", stream=stream)
    assert (stands["published"], stands["run_id"]) == (
        stands["loaded"],
        None,
    )
    assert stands["age_seconds"] < 60
    assert all(
        "@" not in each["stream"].partition("/")[2][:1]
        for each in get(stack, "/checkpoints")
    )

    answer = stack.api.delete(f"/checkpoints/{stream}")
    assert answer.status_code == 202
    moved = stack.wait_for(answer.json()["run_id"])
    assert (moved["kind"], moved["status"], moved["records"]) == (
        "checkpoint",
        "succeeded",
        0,
    )
    assert "to the start of the stream" in moved["tasks"][0]["notes"][0]
    (begins,) = get(stack, "/checkpoints", stream=stream)
    assert begins["cursor"] is None
    again = stack.ingest(streams=[stream])
    assert (again["status"], again["records"], again["unchanged"]) == (
        "succeeded",
        600,
        600,
    )

    stack.wait_for(
        stack.api.delete(f"/checkpoints/{stream}").json()["run_id"]
    )
    stack.wait_for(
        stack.api.put(
            f"/checkpoints/{stream}", json={"cursor": stands["cursor"]}
        ).json()["run_id"]
    )
    assert get(stack, "/checkpoints", stream=stream)[0][
        "cursor"
    ] == stands["cursor"] | {"dialect": None}
    assert stack.ingest(streams=[stream])["records"] == 0
    assert (
        get(stack, "/checkpoints", stream=stream)[0]["cursor"]
        == stands["cursor"]
    )
    wrong = stack.api.put(
        f"/checkpoints/{stream}", json={"cursor": {"ofset": 3}}
    )
    assert (
        wrong.status_code,
        "ofset is unknown" in wrong.json()["detail"],
    ) == (422, True)
    assert (
        stack.api.delete("/checkpoints/csv/nothing.csv").status_code
        == 404
    )
    assert (
        stack.api.delete("/checkpoints/coinpaprika/@budget").status_code
        == 404
    )


def test_what_a_run_contributed_is_kept_when_a_later_run_changes_it(
    stack: Stack, upstream: Simulator
) -> None:
    upstream.tickers["eth-ethereum"] = ticker("eth-ethereum", 1_000)
    first = stack.ingest(streams=["coinpaprika/eth-ethereum"])
    upstream.tickers["eth-ethereum"] = ticker("eth-ethereum", 1_001)
    stack.ingest(streams=["coinpaprika/eth-ethereum"])
    assert [
        each["price"]
        for each in get(stack, "/data", run_id=first["run_id"])
    ] == [1_000]
