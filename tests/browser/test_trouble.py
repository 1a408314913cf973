"""The console when something is wrong: no key, a wrong one, a server that goes away."""

from __future__ import annotations

import signal
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from shared.identity import one_time_codes
from tests.support.product import KEY
from tests.support.stack import Stack


def test_without_a_key_it_asks(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    field = page.get_by_label("API key")
    field.fill("not-the-key")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_be_visible()
    field.fill(KEY)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name="Markets")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    page.close()


def test_a_gateway_that_goes_away_is_said_and_comes_back(
    page: Page, stack: Stack, request: pytest.FixtureRequest
) -> None:
    request.node.expected_complaints = ("Failed to load", "net::ERR")
    row = page.get_by_role("row", name="BTC")
    expect(row).to_be_visible()
    stack.stop_part("gateway")
    expect(page.get_by_text("the server is away")).to_be_visible()
    expect(row).to_be_visible()  # what was known stays
    stack.start_part("gateway")
    expect(page.get_by_text("connected", exact=True)).to_be_visible(
        timeout=60_000
    )


def test_a_gateway_that_is_killed_is_not_noticed_for_long(
    page: Page, stack: Stack, request: pytest.FixtureRequest
) -> None:
    request.node.expected_complaints = ("Failed to load", "net::ERR")
    stack.kill("gateway", signal.SIGKILL)
    expect(page.get_by_text("the server is away")).to_be_visible()
    expect(page.get_by_text("connected", exact=True)).to_be_visible(
        timeout=60_000
    )


def test_without_a_database_the_words_of_the_api_are_shown(
    page: Page, stack: Stack, request: pytest.FixtureRequest
) -> None:
    request.node.expected_complaints = (
        "Failed to load",
        "503",
        "net::ERR",
    )
    stack.stop_part("postgres")
    try:
        page.get_by_role("link", name="Runs").click()
        expect(page.get_by_role("alert").first).to_contain_text(
            "database"
        )
    finally:
        stack.start_part("postgres")
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_text("succeeded").first).to_be_visible(
        timeout=60_000
    )


def test_a_one_time_code_opens_it_once(
    browser: Browser, address: str
) -> None:
    code = one_time_codes.made(KEY, time.time())
    for is_first in (True, False):
        context = browser.new_context()
        visitor = context.new_page()
        visitor.goto(f"{address}#code={code}")
        if is_first:
            expect(
                visitor.get_by_role("heading", name="Markets")
            ).to_be_visible()
        else:
            expect(visitor.get_by_role("alert")).to_contain_text(
                "this code was used"
            )
        assert "#" not in visitor.url
        context.close()
