"""Whether the services behind Kafka get on."""

from __future__ import annotations

from services.gateway.group_watch import GroupWatch
from shared.kafka.starts import Starts
from shared.messages.checkpoints import Started
from shared.messages.serialization import encode


def test_lag_that_stands_still_is_told() -> None:
    watch = GroupWatch("loader")
    watch.saw_lag(0, 0, 10)
    watch.saw_lag(10, 5, 10)
    watch.saw_lag(120, 9, 10)
    assert not list(watch.reasons())
    watch.saw_lag(140, 9, 10)
    (reason,) = watch.reasons()
    assert reason.startswith("stuck: 9 messages wait for the loader")
    watch.saw_lag(141, 8, 11)
    assert not list(watch.reasons())


def test_lag_that_moves_is_none_of_it() -> None:
    watch = GroupWatch("loader")
    for second in range(0, 1000, 10):
        watch.saw_lag(second, 500, second)
    assert not list(watch.reasons())


def test_an_instance_that_starts_again_and_again_is_told() -> None:
    starts = Starts()
    cursor = encode(Started(instance="host/loader-0"))
    for minute in range(4):
        starts.saw("loader/@started", cursor, minute * 60_000)
    other = encode(Started(instance="host/loader-1"))
    starts.saw("loader/@started", other, 200_000)
    assert not list(starts.reasons(250_000))
    starts.saw("loader/@started", cursor, 240_000)
    (reason,) = starts.reasons(250_000)
    assert reason.startswith("restarts: the loader host/loader-0 was")
    assert not list(starts.reasons(700_000))
