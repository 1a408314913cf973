"""Whether the services behind Kafka get on."""

from __future__ import annotations

from services.gateway.group_watch import GroupWatch


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


def test_members_that_come_and_go_are_told() -> None:
    watch = GroupWatch("normalizer")
    for start in range(6):
        watch.saw_members(start * 10, [f"normalizer-{start}"])
    (reason,) = watch.reasons()
    assert reason.startswith(
        "restarts: the normalizer was started 6 times"
    )
    watch.saw_members(1000, ["normalizer-5"])
    assert not list(watch.reasons())


def test_members_that_are_added_are_none_of_it() -> None:
    watch = GroupWatch("normalizer")
    for count in range(1, 9):
        watch.saw_members(
            count, [f"normalizer-{n}" for n in range(count)]
        )
    assert not list(watch.reasons())
