"""Room for bytes, and memory that is given back."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from shared.runtime.room import Room


async def test_what_does_not_fit_waits_until_there_is_room() -> None:
    room = Room(10)
    first = await room.take(6)
    waiting = asyncio.create_task(room.take(6))
    await asyncio.sleep(0)
    assert not waiting.done()
    room.give_back(first)
    assert await asyncio.wait_for(waiting, 5) == 6


async def test_what_is_larger_than_all_of_it_goes_in_alone() -> None:
    room = Room(10)
    small = await room.take(1)
    large = asyncio.create_task(room.take(99))
    await asyncio.sleep(0)
    assert not large.done()
    room.give_back(small)
    assert await asyncio.wait_for(large, 5) == 10


# In a process of its own: others have freed memory that it would take first.
CIRCLES = """
from shared.runtime import memory
from shared.runtime.memory import GROWTH, Sweeper

class Circle:
    def __init__(self):
        self.own = self
        self.held = bytearray(3 * GROWTH)
        self.held[:: 1 << 12] = b"x" * len(self.held[:: 1 << 12])

sweeper = Sweeper()
before = memory.resident()
Circle()
assert memory.resident() - before > 2 * GROWTH
sweeper.sweep()
assert memory.resident() - before < GROWTH
"""


def test_garbage_in_circles_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CIRCLES], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
