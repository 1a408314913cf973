"""The pictures of docs/images: `make screenshots`. Coins and prices in them are made up."""

from __future__ import annotations

import shutil

from playwright.sync_api import Page, sync_playwright

from embedded.settings import ROOT
from tests.browser.conftest import NAMES
from tests.browser.test_rooms import click_candle, open_coin
from tests.browser.world import served

IMAGES = ROOT / "docs" / "images"


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise SystemExit(f"no browser: install one of {', '.join(NAMES)}")
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1360, "height": 800})
        page.goto(address)
        page.get_by_role("heading", name="Markets").wait_for()
        _take(page)
        browser.close()


def _take(page: Page) -> None:
    open_coin(page, "btc")
    page.wait_for_timeout(1_000)
    page.screenshot(path=IMAGES / "coin.png")
    click_candle(page, 0.45)
    page.get_by_role("dialog").locator("mark").first.wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / "where-from.png")


if __name__ == "__main__":
    main()
