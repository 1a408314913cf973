"""What each room is for, done as a visitor does it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from embedded.settings import ROOT
from tests.browser.world import World
from tests.support.stack import Stack

ROOMS = (
    "Markets",
    "Add data",
    "Sources",
    "Schedules",
    "Runs",
    "Replay",
    "Inbox",
    "Pipeline",
    "Webhooks",
    "Keys",
)
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"


def enter(page: Page, room: str) -> None:
    page.get_by_role("navigation").get_by_role(
        "link", name=re.compile(f"^{room}")
    ).click()
    expect(
        page.get_by_role("heading", name=room, level=1)
    ).to_be_visible()


def open_coin(page: Page, symbol: str, **more: str) -> None:
    rest = "".join(f"&{name}={value}" for name, value in more.items())
    base = page.url.partition("?")[0]
    page.goto(f"{base}?room=coin&symbol={symbol}{rest}")
    page.get_by_role("img", name=re.compile("candles")).wait_for()
    page.wait_for_timeout(500)  # the chart is drawn in frames


def click_candle(page: Page, share: float) -> None:
    chart = page.get_by_role("img", name=re.compile("candles"))
    box = chart.bounding_box()
    assert box
    page.mouse.click(
        box["x"] + box["width"] * share, box["y"] + box["height"] * 0.4
    )


def test_the_key_leaves_the_address_and_markets_tick(
    page: Page, world: World, stack: Stack
) -> None:
    assert "key" not in page.url
    row = page.get_by_role("row", name=re.compile("BTC"))
    expect(row).to_contain_text("68,000")
    world.tick(71_234.5)
    stack.ingest(sources=["coinpaprika"])
    expect(row).to_contain_text("71,234.5")
    expect(page.get_by_text("connected", exact=True)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("eth")
    expect(page.get_by_role("row", name=re.compile("BTC"))).to_have_count(
        0
    )


def test_a_candle_leads_to_the_line_of_the_file(page: Page) -> None:
    open_coin(page, "btc")
    click_candle(page, 0.6)
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text("Where does this number come from?")
    expect(drawer).to_contain_text(re.compile(r"Line \d+ of the file"))
    expect(drawer.locator("mark")).to_have_count(5)
    expect(drawer).to_contain_text("venue-a/btc-usd.csv")
    drawer.get_by_role("link", name=re.compile("ingest")).click()
    expect(page.get_by_role("dialog")).to_contain_text("balanced")


def test_the_line_is_that_of_the_file(page: Page, stack: Stack) -> None:
    open_coin(page, "btc")
    click_candle(page, 0.4)
    drawer = page.get_by_role("dialog")
    text = drawer.get_by_text(re.compile(r"Line \d+")).inner_text()
    number = int(re.sub(r"\D", "", text))
    path: Path = stack.csv_dir / "venue-a" / "btc-usd.csv"
    line = path.read_text().splitlines()[number - 1]
    for cell in line.split(","):
        expect(drawer).to_contain_text(cell)


def test_the_past_is_shown_and_what_differs_is_outlined(
    page: Page,
) -> None:
    open_coin(page, "btc")
    page.get_by_role("slider").focus()
    page.keyboard.press(
        "Home"
    )  # the first run, before the week was corrected
    expect(page.get_by_text("bars were different then")).to_be_visible()
    expect(page).to_have_url(re.compile("as_of="))


def test_a_hole_tells_its_cause(page: Page) -> None:
    open_coin(page, "btc")
    panel = page.get_by_role("region", name="Coverage")
    expect(panel).to_contain_text("rejected")
    titles = panel.locator("title").all_text_contents()
    assert any("30 missing" in title for title in titles), titles
    assert any("contradiction" in title for title in titles), titles


def test_a_headline_shows_its_words(page: Page) -> None:
    open_coin(page, "btc")
    page.get_by_role("link", name=re.compile("plunges")).click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".lowers", has_text="plunges")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_ingest_now_is_watched_until_its_ledger_is_balanced(
    page: Page,
) -> None:
    page.get_by_role("button", name="Ingest now").click()
    page.get_by_role("link", name="watch it").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("balanced ✓")).to_be_visible()
    expect(drawer).to_contain_text("csv/venue-a/btc-usd.csv")


def test_two_runs_are_compared_field_by_field(page: Page) -> None:
    enter(page, "Runs")
    rows = page.get_by_role("row")
    for text in ("partial", "393"):
        rows.filter(has_text=text).last.get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare two").click()
    panel = page.get_by_role("region", name=re.compile("to run"))
    expect(panel).to_contain_text("changed")
    expect(panel.locator("del").first).to_be_visible()
    expect(panel.locator("ins").first).to_be_visible()


def test_a_replay_is_seen_before_it_is_published(page: Page) -> None:
    enter(page, "Replay")
    page.get_by_role("combobox", name="Source").select_option("rss")
    page.get_by_role("button", name="Preview").click()
    dialog = page.get_by_role("dialog", name="Preview")
    expect(dialog).to_contain_text("Nothing that is served changes")
    dialog.get_by_role("button", name="Preview").click()
    panel = page.get_by_role("region", name=re.compile("Preview"))
    expect(panel).to_contain_text("Nothing would change")
    panel.get_by_role("button", name="Close the preview").click()
    expect(panel).to_have_count(0)


def test_pages_are_chosen_for_a_replay(page: Page, stack: Stack) -> None:
    enter(page, "Replay")
    page.get_by_role("combobox", name="Source").select_option("csv")
    choices = page.get_by_role(
        "checkbox", name=re.compile(r"^Page \d+ of csv")
    )
    choices.first.check()
    page.get_by_role("button", name="Preview 1 page").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 chosen page is mapped again")
    dialog.get_by_role("button", name="Preview 1 page").click()
    panel = page.get_by_role("region", name=re.compile("Preview"))
    expect(panel).to_contain_text("Nothing would change")
    run = stack.api.get("/stats", params={"limit": 1}).json()[0]
    assert run["kind"] == "replay"
    assert len(run["request"]["offsets"]) == 1
    panel.get_by_role("button", name="Close the preview").click()
    expect(panel).to_have_count(0)


def test_a_dead_letter_is_read_and_discarded_with_a_note(
    page: Page,
) -> None:
    enter(page, "Inbox")
    page.get_by_role(
        "button", name="csv/venue-b/btc-usd.csv"
    ).first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text("contradict each other")
    expect(drawer).to_contain_text("line42")
    expect(drawer.locator("mark")).to_have_text("0.5")
    expect(drawer.get_by_role("cell", name="high")).to_be_visible()
    drawer.get_by_role("button", name="Discard").click()
    drawer.get_by_role("textbox").fill("a typing error of the venue")
    drawer.get_by_role("button", name="Discard").click()
    page.get_by_role("dialog", name="Discard").get_by_role(
        "button", name="Discard"
    ).click()
    expect(drawer).to_contain_text("discarded")
    expect(drawer).to_contain_text("a typing error of the venue")
    page.keyboard.press("Escape")
    expect(page.get_by_text("The inbox is empty.")).to_be_visible()


def test_reading_again_says_what_it_costs_first(page: Page) -> None:
    enter(page, "Sources")
    row = page.get_by_role("row").filter(has_text="csv/venue-a/eth")
    row.get_by_role("button", name="Read again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("from its start")
    dialog.get_by_role("button", name="Leave it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(
        page.get_by_role("cell", name=re.compile("of 20,000"))
    ).to_be_visible()


def test_a_feed_is_added_paused_and_taken_out(page: Page) -> None:
    enter(page, "Sources")
    panel = page.get_by_role("region", name="Feeds")
    panel.get_by_label("Name").fill("extra")
    panel.get_by_label("Address of a feed").fill(
        "https://extra.example/feed"
    )
    panel.get_by_role("button", name="Add feed").click()
    row = panel.get_by_role("row").filter(has_text="extra.example")
    expect(row).to_contain_text("by API_KEY")
    row.get_by_role("button", name="Pause").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("is paused")
    row.get_by_role("button", name="Resume").click()
    expect(row).to_contain_text("is read")
    row.get_by_role("button", name="Take out").click()
    page.get_by_role("dialog").get_by_role(
        "button", name="Take out"
    ).click()
    expect(row).to_have_count(0)


def test_a_schedule_says_when_and_is_removed(
    page: Page, request: pytest.FixtureRequest
) -> None:
    request.node.expected_complaints = ("422",)
    enter(page, "Schedules")
    expect(
        page.get_by_text("Nothing is ingested by itself")
    ).to_be_visible()
    form = page.get_by_role("region", name="A schedule")
    form.get_by_label("Name").fill("mornings")
    form.get_by_label("Minute hour").fill("99 7 * * *")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("no cron")
    form.get_by_label("Minute hour").fill("0 7 * * 1-5")
    form.get_by_label("Time zone").fill("Europe/Berlin")
    form.get_by_label("What").select_option("rss")
    form.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="mornings")
    expect(row).to_contain_text("0 7 * * 1-5 Europe/Berlin")
    expect(row).to_contain_text("none yet")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role(
        "button", name="Remove"
    ).click()
    expect(row).to_have_count(0)


def test_an_address_is_told_and_taken_out(
    page: Page, request: pytest.FixtureRequest
) -> None:
    request.node.expected_complaints = ("422",)
    enter(page, "Webhooks")
    form = page.get_by_role("region", name="An address to tell")
    form.get_by_label("Name").fill("on-call")
    form.get_by_label("Address").fill("no address")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("no host")
    form.get_by_label("Address").fill("https://example.org/hook?key=1")
    form.get_by_label("And also").select_option("PriceCrosses")
    form.get_by_role("textbox", name="Price").fill("90000.5")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("status")).to_contain_text("whsec_")
    row = page.get_by_role("row").filter(has_text="on-call")
    expect(row).to_contain_text("stream.failed, btc above 90000.5")
    expect(row).not_to_contain_text("key=1")
    row.get_by_role("button", name="Send a test").click()
    expect(
        page.get_by_role("region", name="What on-call was told")
    ).to_be_visible()
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role(
        "button", name="Remove"
    ).click()
    expect(row).to_have_count(0)


def test_a_key_is_made_shown_once_and_revoked(
    page: Page, browser: Browser, address: str
) -> None:
    enter(page, "Keys")
    panel = page.get_by_role("region", name="Keys beside")
    panel.get_by_label("Who has it").fill("a visitor")
    panel.get_by_role("button", name="Make a key").click()
    key = panel.get_by_role("status").locator("pre").inner_text()
    visitor = browser.new_page()
    visitor.goto(f"{address}?room=keys#key={key}")
    expect(
        visitor.get_by_text("“a visitor”, which may read")
    ).to_be_visible()
    visitor.goto(f"{address}?room=sources")
    visitor.get_by_role("button", name="Ingest now").first.click()
    expect(visitor.get_by_role("alert")).to_contain_text(
        "this key may read"
    )
    visitor.close()
    row = panel.get_by_role("row").filter(has_text="a visitor")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role(
        "button", name="Revoke"
    ).click()
    expect(row).to_contain_text("revoked")
    asked = page.get_by_role("region", name="Who asked for what")
    expect(
        asked.get_by_role("row").filter(has_text="KeyState").first
    ).to_be_visible()


def test_the_pipeline_is_a_picture(page: Page) -> None:
    enter(page, "Pipeline")
    picture = page.get_by_role("img", name="The pipeline")
    for service in ("extractor", "normalizer", "loader", "gateway"):
        expect(picture).to_contain_text(service)
    expect(page.get_by_text("connected").first).to_be_visible()
    expect(picture).to_contain_text("1 instance")
    instances = page.get_by_role("region", name="Instances")
    loader = instances.get_by_role("row").filter(has_text="loader-0")
    expect(loader).to_contain_text("ready")
    expect(loader).to_contain_text("MB")
    hour = page.get_by_role("region", name="The last hour", exact=True)
    expect(hour.get_by_role("img")).to_have_count(3)
    expect(hour).to_contain_text(re.compile(r"Stored, [\d,]+ records/s"))


def test_a_request_is_copied_as_it_runs(page: Page) -> None:
    """With the key of development, which everybody knows; any other is named alone."""
    page.get_by_label("Copy the request").first.click()
    page.get_by_role("button", name="as curl").click()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith('curl -s "http://127.0.0.1:')
    assert "/api/v1/latest" in text
    assert '"x-api-key: test-api-key"' in text


def test_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(
        page.get_by_role("heading", name="Runs", level=1)
    ).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("ingest")).first.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog")
    expect(drawer).to_be_visible()
    expect(drawer.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, theme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `make console`")
    page.evaluate(f"localStorage.setItem('theme', '{theme}')")
    page.reload()
    for room in (*ROOMS, "coin"):
        if room == "coin":
            open_coin(page, "btc")
        else:
            enter(page, room)
        page.wait_for_timeout(700)
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run()")
        assert [
            (room, each["id"], [node["html"] for node in each["nodes"]])
            for each in found["violations"]
        ] == []


@pytest.mark.parametrize("width", [390, 768])
def test_nothing_is_wider_than_a_small_screen(
    page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for room in ROOMS:
        enter(page, room)
        page.wait_for_timeout(300)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, room
    open_coin(page, "btc")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
