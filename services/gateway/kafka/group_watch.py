"""Whether the services behind Kafka get on: messages that wait while nothing is committed."""

from __future__ import annotations

from collections.abc import Iterator

from aiokafka import TopicPartition

from shared.kafka.lag import GroupPositions


class GroupWatch:
    """One consumer group. Pure; the clock is handed in."""

    def __init__(self, name: str, still_after_s: float) -> None:
        """`still_after_s`: as long as its work on a message may take."""
        self._name = name
        self._still_after_s = still_after_s
        self._committed: dict[TopicPartition, int] = {}
        self._moved_at: dict[TopicPartition, float] = {}
        self._waiting: dict[TopicPartition, int] = {}
        self._now = 0.0

    def saw(self, now: float, positions: GroupPositions) -> None:
        self._now = now
        for at, position in positions.items():
            is_waiting = position.lag > 0 or position.is_beyond
            has_moved = self._committed.get(at) != position.committed
            if not is_waiting or has_moved:
                self._moved_at[at] = now
            self._committed[at] = position.committed
            self._waiting[at] = position.lag

    def reasons(self) -> Iterator[str]:
        """What is wrong with it, as a code and a sentence."""
        still = [at for at in self._moved_at if self._is_still(at)]
        if still:
            longest = max(map(self._still_s, still))
            waiting = sum(self._waiting[at] for at in still)
            topics = ", ".join(sorted({at.topic for at in still}))
            yield (
                f"stuck: {waiting} messages of {topics} wait for the {self._name} and it has "
                f"committed none for {longest:.0f} s"
            )

    def _is_still(self, at: TopicPartition) -> bool:
        return self._still_s(at) > self._still_after_s

    def _still_s(self, at: TopicPartition) -> float:
        return self._now - self._moved_at[at]
