"""A message that kills the process is accused after three deaths, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.blame import UnprocessableError
from shared.runtime.suspects import CAREFUL_MESSAGES, Suspects


def started(folder: Path) -> Suspects:
    """A process, whose predecessor has ended without a word."""
    return Suspects(str(folder / "loader-0.json"))


def test_the_third_death_with_a_message_alone_accuses_it(
    tmp_path: Path,
) -> None:
    started(tmp_path)  # killed before anybody was careful
    for _ in range(3):
        process = started(tmp_path)
        assert process.is_careful
        process.begin("raw[0]@7")
    with pytest.raises(UnprocessableError, match="killed 3 times"):
        started(tmp_path).begin("raw[0]@7")


def test_deaths_at_other_messages_accuse_none(tmp_path: Path) -> None:
    started(tmp_path)
    for offset in range(10):
        process = started(tmp_path)
        process.begin(f"raw[0]@{offset}")
        process.done()
        process.begin(f"raw[0]@{offset + 1}")


def test_deaths_while_nothing_is_in_work_accuse_none(
    tmp_path: Path,
) -> None:
    started(tmp_path)
    for _ in range(10):
        process = started(tmp_path)
        process.begin("raw[0]@7")
        process.done()


def test_who_ends_by_himself_is_not_careful(tmp_path: Path) -> None:
    process = started(tmp_path)
    assert not process.is_careful
    process.end(True)
    following = started(tmp_path)
    assert not following.is_careful
    assert following.was_asked_to_end


def test_an_end_for_a_reason_of_its_own_is_not_asked_for(
    tmp_path: Path,
) -> None:
    started(tmp_path).end(False)
    following = started(tmp_path)
    assert not following.is_careful
    assert not following.was_asked_to_end


def test_care_ends_after_a_while(tmp_path: Path) -> None:
    started(tmp_path)
    process = started(tmp_path)
    for offset in range(CAREFUL_MESSAGES):
        process.begin(f"raw[0]@{offset}")
        process.done()
    assert not process.is_careful


def test_without_a_place_nothing_is_noted() -> None:
    process = Suspects(None)
    process.begin("raw[0]@7")
    process.done()
    process.end(True)
