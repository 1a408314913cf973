"""Whether the services behind Kafka get on: lag that stands still."""

from __future__ import annotations

from collections.abc import Iterator

STILL_AFTER_S = 120.0


class GroupWatch:
    """One consumer group. Pure; the clock is handed in."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._committed = -1
        self._waiting = 0
        self._moved_at = 0.0
        self._now = 0.0

    def saw_lag(self, now: float, waiting: int, committed: int) -> None:
        """`waiting`: messages; `committed`: the sum of the group's offsets."""
        self._now = now
        if not waiting or committed != self._committed:
            self._moved_at = now
        self._waiting = waiting
        self._committed = committed

    def reasons(self) -> Iterator[str]:
        """What is wrong with it, as a code and a sentence."""
        if self._waiting and self._still_s() > STILL_AFTER_S:
            waiting = (
                f"{self._waiting} messages wait for the {self._name}"
            )
            still = f"{self._still_s():.0f} s"
            yield f"stuck: {waiting} and it has committed none for {still}"

    def _still_s(self) -> float:
        return self._now - self._moved_at
