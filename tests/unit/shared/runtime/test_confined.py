"""Work in a child process, whatever becomes of it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import TaskError
from shared.runtime.confined import MEGABYTE, Confined, Limits, Meter

LIMITS = Limits(
    cpu_s=0.3, cpu_s_per_mb=0.3, memory=32 * MEGABYTE, answer=10_000
)


def count(meter: Meter, to: int) -> Iterator[int]:
    yield from range(to)


def whose(meter: Meter) -> Iterator[int]:
    yield os.getpid()


def never_end(meter: Meter) -> Iterator[int]:
    yield 1
    re.search(r"(a+)+b", "a" * 60)


def take_memory(meter: Meter) -> Iterator[int]:
    yield len(bytearray(64 * MEGABYTE))


def take_little(meter: Meter) -> Iterator[int]:
    yield len(bytearray(16 * MEGABYTE))


def say_much(meter: Meter) -> Iterator[str]:
    yield "x" * 20_000


def fail(meter: Meter, code: str | None) -> Iterator[int]:
    if code is None:
        raise ValueError("a fault of ours")
    raise TaskError(code, "as it was said")
    yield 1


def die(meter: Meter, number: int) -> Iterator[int]:
    os.kill(os.getpid(), number)
    yield 1


def work(meter: Meter, megabytes: int) -> Iterator[int]:
    """0.1 s of processor time and more for each megabyte that it says it has read."""
    for _ in range(megabytes):
        meter(MEGABYTE)
        begin = os.times().user
        while os.times().user < begin + 0.1:
            pass
    yield megabytes


@pytest.fixture
def confined() -> Iterator[Confined]:
    child = Confined([])
    yield child
    child.close()


def given_up(confined: Confined, task: Any, *arguments: Any) -> str:
    with pytest.raises(TaskError) as caught:
        list(confined.run("the thing", LIMITS, task, *arguments))
    assert caught.value.code == "limit_exceeded"
    assert caught.value.message.startswith("the thing cannot be read: ")
    # The next task gets a new child.
    assert list(confined.run("it", LIMITS, count, 2)) == [0, 1]
    return caught.value.message


def test_pieces_come_back_and_the_child_stays(confined: Confined) -> None:
    first = list(confined.run("it", LIMITS, whose))
    assert list(confined.run("it", LIMITS, count, 3)) == [0, 1, 2]
    assert list(confined.run("it", LIMITS, whose)) == first
    assert first != [os.getpid()]


def test_what_takes_too_long_is_ended(confined: Confined) -> None:
    assert "processor time" in given_up(confined, never_end)


def test_what_takes_too_much_memory_is_ended(confined: Confined) -> None:
    assert "memory" in given_up(confined, take_memory)


def test_memory_is_counted_from_what_the_child_has(
    confined: Confined,
) -> None:
    for _ in range(5):
        assert list(confined.run("it", LIMITS, take_little))


def test_what_says_too_much_is_ended(confined: Confined) -> None:
    given_up(confined, say_much)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_child_that_dies_is_a_clear_error(
    confined: Confined, number: int
) -> None:
    assert "its reader" in given_up(confined, die, number)


def test_more_bytes_may_take_more_time(confined: Confined) -> None:
    assert list(confined.run("it", LIMITS, work, 8)) == [8]


def test_errors_of_the_task_are_its_own(confined: Confined) -> None:
    with pytest.raises(TaskError, match="as it was said") as caught:
        list(confined.run("it", LIMITS, fail, "contract"))
    assert caught.value.code == "contract"
    with pytest.raises(RuntimeError, match="a fault of ours"):
        list(confined.run("it", LIMITS, fail, None))


def test_a_task_that_is_left_early_is_ended(confined: Confined) -> None:
    before = list(confined.run("it", LIMITS, whose))
    pieces = confined.run("it", LIMITS, count, 1_000_000)
    assert next(pieces) == 0
    pieces.close()  # type: ignore[attr-defined]
    assert list(confined.run("it", LIMITS, whose)) != before
