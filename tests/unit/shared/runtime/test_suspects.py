"""A message that kills the process is accused after three deaths, and no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared.blame import UnprocessableError
from shared.runtime import suspects
from shared.runtime.suspects import CAREFUL_MESSAGES, Suspects, Turns


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


def test_a_message_that_gets_further_each_time_is_not_accused(
    tmp_path: Path,
) -> None:
    started(tmp_path)
    for _ in range(10):
        process = started(tmp_path)
        process.begin("tasks[0]@7")
        process.moved()


async def test_messages_of_several_loops_take_turns_after_a_death(
    tmp_path: Path,
) -> None:
    started(tmp_path)
    turns = Turns(started(tmp_path))
    at_work: list[int] = []

    async def work(number: int) -> None:
        async with turns.alone(f"tasks[0]@{number}"):
            at_work.append(number)
            await asyncio.sleep(0)
            assert at_work == [number]
            at_work.remove(number)

    await asyncio.gather(*map(work, range(10)))


async def test_a_message_that_takes_long_keeps_nobody_waiting_and_is_not_accused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspects, "ALONE_S", 0.01)
    started(tmp_path)
    for _ in range(5):
        turns = Turns(started(tmp_path))
        async with turns.alone("tasks[0]@7"), turns.alone("tasks[1]@3"):
            pass  # and the process is killed
        started(tmp_path)


async def test_the_third_death_accuses_a_message_that_had_its_turn(
    tmp_path: Path,
) -> None:
    started(tmp_path)
    for _ in range(3):
        entered = Turns(started(tmp_path)).alone("tasks[0]@7")
        await entered.__aenter__()
    with pytest.raises(UnprocessableError, match="killed 3 times"):
        async with Turns(started(tmp_path)).alone("tasks[0]@7"):
            pass
