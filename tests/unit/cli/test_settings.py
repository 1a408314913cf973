"""Where the command line finds the API, and its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from crypto_ingest import settings
from crypto_ingest.errors import WRONG_USE, CommandError
from crypto_ingest.output import ago, moment, said, span


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = settings.config_file()
    found.parent.mkdir()
    return found


def test_options_come_before_the_file_and_the_file_before_the_default(
    file: Path,
) -> None:
    default = settings.load(None, None)
    assert (default.url, default.key) == (
        "http://localhost:8000",
        "test-api-key",
    )
    file.write_text('url = "https://a.example/"\nkey = "kept"\n')
    kept = settings.load(None, None)
    assert (kept.url, kept.key) == ("https://a.example", "kept")
    given = settings.load("http://b.example:9/api/v1/", "given")
    assert (given.url, given.key) == ("http://b.example:9", "given")


@pytest.mark.parametrize(
    "text",
    ["url = ", "url = 5", 'adress = "http://a"', "[a]\nb = 1", "\udcff"],
)
def test_a_file_that_says_something_else_is_told(
    file: Path, text: str
) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CommandError) as told:
        settings.load(None, None)
    assert told.value.code == WRONG_USE
    assert str(file) in str(told.value)


def test_what_is_no_address_is_told(file: Path) -> None:
    with pytest.raises(CommandError, match="is no address"):
        settings.load("localhost:8000", None)


def test_words_for_people() -> None:
    assert moment("2024-01-31T12:00:00.123456Z") == "2024-01-31 12:00:00"
    assert (moment(None), ago(None)) == ("–", "never")
    assert [span(each) for each in (0, 59, 60, 3_600, 90_000, None)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h",
        "1 d",
        "–",
    ]
    assert [said(each) for each in (None, True, 1234, "[red]")] == [
        "–",
        "yes",
        "1,234",
        "\\[red]",
    ]
