"""Chromium with one stack that holds a small world. Without a Chromium these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from services.gateway.routes.console import BUILT
from tests.browser.world import World
from tests.simulator import Simulator
from tests.support.product import KEY
from tests.support.stack import Stack, running

NAMES = ("chromium", "chromium-browser", "google-chrome")
expect.set_options(timeout=30_000)
PICTURES = Path(os.environ.get("PICTURES", "/nonexistent"))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = [path for name in NAMES if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is there")
    if not (BUILT / "index.html").exists():
        pytest.skip("the console is not built: `make console`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found[0], args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    with Simulator() as upstream:
        yield World(upstream)


@pytest.fixture(scope="package")
def stack(
    browser: Browser,
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    root: Path = tmp_path_factory.mktemp("world")
    (root / "csv").mkdir()
    settings = world.settings()
    with running(root / "state", root / "csv", **settings) as stack:
        world.fill(stack)
        yield stack


@pytest.fixture
def address(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.variables['API_PORT']}/"


@pytest.fixture
def page(
    browser: Browser, address: str, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A visitor with the key. At the end nothing was asked elsewhere, and nothing complained."""
    complaints: list[str] = []
    elsewhere: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def asked(each: Request) -> None:
        if not each.url.startswith((address, "data:", "blob:")):
            elsewhere.append(each.url)

    context = browser.new_context(
        viewport={"width": 1360, "height": 860},
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", asked)
    page.goto(f"{address}#key={KEY}")
    page.get_by_role("heading", name="Markets").wait_for()
    yield page
    if PICTURES.exists():
        page.screenshot(path=PICTURES / f"{request.node.name}.png")
    context.close()
    assert elsewhere == []
    # Chromium tells each answer that is no 2xx; tests of those say which they expect.
    expected = getattr(request.node, "expected_complaints", ())
    assert [
        each
        for each in complaints
        if not any(part in each for part in expected)
    ] == []
