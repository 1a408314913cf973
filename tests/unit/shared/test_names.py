"""Names that were meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded.unknown_names import unknown_names
from shared.names import nearest

KNOWN = {
    "COIN_IDS",
    "RSS_FEEDS",
    "INGEST_EVERY_S",
    "LOG_LEVEL",
    "API_KEY",
}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("COIN_ID", "COIN_IDS"),
        ("RSS_FEED", "RSS_FEEDS"),
        ("INGEST_EVERY", "INGEST_EVERY_S"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("API_KEYS", "API_KEY"),
        ("EDITOR", None),
    ],
)
def test_the_nearest_name(name: str, meant: str | None) -> None:
    assert nearest(name, KNOWN) == meant


def test_names_that_nothing_reads_are_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# COMMENT=1\nAPI_KEYS=x\nexport API_KEY=y\nCOMPOSE_PROJECT_NAME=z\nAPI_BIND=0\n"
    )
    (tmp_path / "docker-compose.yml").write_text("x: ${API_BIND:-1}\n")
    assert list(unknown_names(tmp_path, KNOWN)) == [
        ".env: API_KEYS is no setting: did you mean `API_KEY`?"
    ]
