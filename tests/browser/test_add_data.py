"""From a file to the line behind a candle, as a first visitor does it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_rooms import click_candle, enter
from tests.browser.world import candles, write
from tests.support.stack import Stack

DAY = timedelta(days=1)


def choose(page: Page, file: Path) -> None:
    enter(page, "Add data")
    page.get_by_label("A CSV file").set_input_files(file)
    page.get_by_role("button", name="Upload").click()


def row_of(page: Page, path: str) -> Locator:
    """In the list of files."""
    files = page.get_by_role("region", name="Files")
    return files.get_by_role("row").filter(has_text=path)


def test_the_two_minutes_of_a_first_visitor(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    file = tmp_path / "sol-usd.csv"
    write(file, candles(start, DAY, 300, 95, 3))
    choose(page, file)
    expect(page.get_by_text("understood ✓")).to_be_visible()
    panel = page.get_by_role("region", name="uploads/sol-usd.csv")
    for role in ("open", "high", "low", "close", "volume", "time"):
        expect(
            panel.get_by_role("columnheader").filter(has_text=role).first
        ).to_be_visible()
    panel.get_by_role("button", name="Ingest it").click()
    expect(page.get_by_text("balanced ✓")).to_be_visible()
    page.get_by_role("link", name="See its chart").click()
    expect(
        page.get_by_role("heading", name="SOL", exact=True)
    ).to_be_visible()
    page.get_by_role("img", name=re.compile("300 candles")).wait_for()
    page.wait_for_timeout(500)
    click_candle(page, 0.5)
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text(re.compile(r"Line \d+ of the file"))
    expect(drawer).to_contain_text("uploads/sol-usd.csv")
    expect(drawer.locator("mark")).to_have_count(5)
    assert (stack.csv_dir / "uploads" / "sol-usd.csv").read_bytes() == (
        file.read_bytes()
    )


def test_what_a_file_does_not_say_is_settled(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    mapping = stack.csv_dir / "mapping.yaml"
    mapping.write_text("# ours\nfiles:\n  - file: none.csv  # never\n")
    file = tmp_path / "export.csv"
    file.write_text(
        "Date;Price\n"
        + "".join(
            f"{day:02}.03.2024;1,{day:02}5\n" for day in range(1, 29)
        )
    )
    choose(page, file)
    panel = page.get_by_role("region", name="uploads/export.csv")
    expect(panel.get_by_text("which coin this is")).to_be_visible()
    expect(row_of(page, "uploads/export.csv")).to_contain_text(
        "It needs an answer"
    )
    page.get_by_role("textbox", name="symbol").fill("ada")
    page.get_by_role("button", name="Settle it").click()
    expect(panel.get_by_text("fractions or thousands")).to_be_visible()
    page.get_by_role("combobox").select_option(",")
    page.get_by_role("button", name="Settle it").click()
    expect(page.get_by_text("understood ✓")).to_be_visible()
    assert mapping.read_text().startswith(
        "# ours\nfiles:\n  - file: none.csv  # never\n"
        "  - file: uploads/export.csv\n    symbol: ada\n"
    )
    page.get_by_role("button", name="Ingest it").click()
    expect(page.get_by_text("balanced ✓")).to_be_visible()


def test_a_reading_that_is_wrong_is_corrected(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    mapping = stack.csv_dir / "mapping.yaml"
    mapping.unlink(missing_ok=True)
    file = tmp_path / "avax-usd.csv"
    file.write_text(
        "Date,Settled,Close,Fair\n"
        + "".join(
            f"2024-03-{day:02},2025-04-{day:02},1.{day:02}5,2.{day:02}5\n"
            for day in range(1, 29)
        )
    )
    choose(page, file)
    path = "uploads/avax-usd.csv"
    expect(page.get_by_text("understood ✓")).to_be_visible()
    page.get_by_text("Something is read wrongly?").click()
    expect(page.get_by_role("combobox", name="Date is")).to_have_value(
        "time"
    )
    page.get_by_role("combobox", name="Date is").select_option("")
    page.get_by_role("combobox", name="Settled is").select_option("time")
    page.get_by_role("button", name="Correct it").click()
    expect(
        page.get_by_role("columnheader", name="Settled")
    ).to_contain_text("time")
    page.get_by_role("button", name="Ingest it").click()
    expect(page.get_by_text("balanced ✓")).to_be_visible()
    expect(row_of(page, path)).to_contain_text("ingested ✓")
    page.get_by_role("combobox", name="Date is").select_option("time")
    page.get_by_role("combobox", name="Settled is").select_option("")
    page.get_by_role("textbox", name="currency").fill("eur")
    page.get_by_role("combobox", name="Fair is").select_option("price")
    page.get_by_role("combobox", name="Close is").select_option("")
    page.get_by_role("button", name="Correct it").click()
    expect(page.get_by_role("columnheader", name="Fair")).to_contain_text(
        "price"
    )
    expect(
        page.get_by_role("columnheader", name="Close")
    ).to_contain_text("not used")
    expect(row_of(page, path)).to_contain_text(
        "corrected, not ingested since"
    )
    given = yaml.safe_load(mapping.read_text())["files"][-1]
    assert given["currency"] == "eur"
    assert given["columns"]["price"] == 4
    page.get_by_role("button", name="Ingest it again").click()
    expect(row_of(page, path)).to_contain_text("ingested ✓")
    (newest,) = stack.api.get(
        "/data", params={"symbol": "avax", "limit": 1}
    ).json()
    assert (newest["currency"], newest["price"]) == ("EUR", 2.285)
    (eur,) = (
        each
        for each in stack.api.get(
            "/coverage", params={"symbol": "avax"}
        ).json()
        if each["points"]
    )
    assert eur["from"].startswith("2024-03-01")
    assert eur["to"].startswith("2024-03-28")


def test_the_cells_that_values_were_read_from_are_marked(
    page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "BTC_USD Bitfinex Historical Data.csv"
    file.write_text(
        '"Date","Price","Open","High","Low","Vol.","Change %"\n'
        + "".join(
            f'"Mar {day:02}, 2021","48,{day}0.5","47,900.0","49,500.0","47,000.0",'
            f'"{day}.05K","1.{day}%"\n'
            for day in range(10, 29)
        )
    )
    choose(page, file)
    page.get_by_role("button", name="Ingest it").click()
    page.get_by_role("link", name="See its chart").click()
    page.get_by_role("img", name=re.compile("19 candles")).wait_for()
    page.wait_for_timeout(500)
    click_candle(page, 0.5)
    drawer = page.get_by_role("dialog")
    marked = drawer.locator("mark").filter(has_text=re.compile(r"\.05K"))
    expect(marked).to_have_count(1)
    expect(drawer.locator("mark")).to_have_count(5)
    body = drawer.locator(".body")
    assert body.evaluate("at => at.scrollWidth <= at.clientWidth")
    page.set_viewport_size({"width": 390, "height": 844})
    assert body.evaluate("at => at.scrollWidth <= at.clientWidth")


def test_a_name_that_is_taken_is_replaced_only_when_asked(
    page: Page,
    stack: Stack,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    request.node.expected_complaints = ("409",)
    file = tmp_path / "dot-usd.csv"
    file.write_text("date,price\n2024-01-01,7\n2024-01-02,8\n")
    choose(page, file)
    expect(page.get_by_text("understood ✓")).to_be_visible()
    file.write_text("date,price\n2024-01-01,7\n2024-01-02,9\n")
    choose(page, file)
    expect(page.get_by_role("alert")).to_contain_text("is there already")
    page.get_by_role("button", name="Replace it").click()
    expect(page.get_by_role("cell", name="9", exact=True)).to_be_visible()
    path = stack.csv_dir / "uploads" / "dot-usd.csv"
    assert path.read_text().endswith("9\n")


def test_a_large_file_comes_in_parts(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "ltc-usd.csv"
    start = datetime(2023, 1, 1, tzinfo=UTC)
    write(file, candles(start, timedelta(minutes=1), 150_000, 70, 4))
    assert file.stat().st_size > 9_000_000
    parts = []
    page.on(
        "request",
        lambda each: each.method == "PUT" and parts.append(each.url),
    )
    choose(page, file)
    expect(page.get_by_text("understood ✓")).to_be_visible(timeout=60_000)
    assert len(parts) == 3
    path = stack.csv_dir / "uploads" / "ltc-usd.csv"
    assert path.read_bytes() == file.read_bytes()


def test_a_file_is_dropped_anywhere(page: Page) -> None:
    enter(page, "Runs")
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["date,price\\n2024-01-01,1\\n"], "xrp-usd.csv"));
            for (const name of ["dragover", "drop"]) {
                dispatchEvent(new DragEvent(name, { dataTransfer: data, cancelable: true }));
            }
        }"""
    )
    expect(
        page.get_by_role("heading", name="xrp-usd.csv")
    ).to_be_visible()
    expect(page.get_by_role("textbox")).to_have_value(
        "uploads/xrp-usd.csv"
    )


def test_of_several_files_one_comes_after_the_other(
    page: Page, tmp_path: Path
) -> None:
    enter(page, "Add data")
    files = []
    for name in ("atom-usd.csv", "near-usd.csv"):
        file = tmp_path / name
        file.write_text("date,price\n2024-01-01,7\n2024-01-02,8\n")
        files.append(file)
    page.get_by_label("A CSV file").set_input_files(files)
    expect(
        page.get_by_role("heading", name="atom-usd.csv")
    ).to_be_visible()
    expect(page.get_by_text("near-usd.csv", exact=True)).to_be_visible()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("understood ✓")).to_be_visible()
    page.get_by_role("button", name="Take near-usd.csv now").click()
    expect(
        page.get_by_role("heading", name="near-usd.csv")
    ).to_be_visible()
    expect(page.get_by_text("more:")).to_have_count(0)
