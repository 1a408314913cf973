"""Whether the services behind Kafka get on: lag that stands still, members that come and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

STILL_AFTER_S = 120.0
WINDOW_S = 600.0
MANY_STARTS = (
    5  # of members beyond those that there are, within the window
)


class GroupWatch:
    """One consumer group. Pure; the clock is handed in."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._committed = -1
        self._waiting = 0
        self._moved_at = 0.0
        self._now = 0.0
        self._members: frozenset[str] = frozenset()
        self._came: deque[tuple[float, str]] = deque()

    def saw_lag(self, now: float, waiting: int, committed: int) -> None:
        """`waiting`: messages; `committed`: the sum of the group's offsets."""
        self._now = now
        if not waiting or committed != self._committed:
            self._moved_at = now
        self._waiting = waiting
        self._committed = committed

    def saw_members(self, now: float, members: Collection[str]) -> None:
        """The ids of its members, which are new with every start of a process."""
        self._now = now
        known = self._members | {member for _, member in self._came}
        self._came += [
            (now, each) for each in members if each not in known
        ]
        self._members = frozenset(members)
        while self._came and self._came[0][0] < now - WINDOW_S:
            self._came.popleft()

    def reasons(self) -> Iterator[str]:
        """What is wrong with it, as a code and a sentence."""
        still_s = self._now - self._moved_at
        if self._waiting and still_s > STILL_AFTER_S:
            yield (
                f"stuck: {self._waiting} messages wait for the {self._name} and it has committed "
                f"none for {still_s:.0f} s"
            )
        gone = [
            each for _, each in self._came if each not in self._members
        ]
        if len(gone) >= MANY_STARTS:
            minutes = WINDOW_S / 60
            yield (
                f"restarts: the {self._name} was started {len(self._came)} times in "
                f"{minutes:.0f} minutes"
            )
