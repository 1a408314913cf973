"""The place of pages in the one order of versions."""

from __future__ import annotations

import random

import pytest

from services.loader.pages.stamps import Clock, Clocks, in_stream
from shared.messages.pages import place_ms

NOW = 1_700_000_000_000
HOUR = 3_600_000


def clocks(**known: Clock) -> Clocks:
    by_partition = {int(name[1:]): clock for name, clock in known.items()}
    latest = max((clock.last_ms for clock in known.values()), default=0)
    generation = max(
        (clock.generation for clock in known.values()), default=0
    )
    return Clocks(by_partition, generation, latest, NOW)


def test_later_pages_have_greater_places() -> None:
    found = clocks(p0=Clock(), p1=Clock())
    places = [
        found.place(0, 0, NOW),
        found.place(0, 1, NOW),
        found.place(1, 0, NOW + 1),
        found.place(0, 2, NOW + 2),
    ]
    assert places == sorted(places)
    assert found.generation == 0


def test_a_clock_that_goes_back_a_little_does_not_go_back() -> None:
    found = clocks(p0=Clock())
    first = found.place(0, 0, NOW)
    assert found.place(0, 1, NOW - 900) == first
    assert found.generation == 0


def test_a_clock_that_is_set_back_begins_a_generation() -> None:
    found = clocks(p0=Clock())
    first = found.place(0, 0, NOW)
    assert found.place(0, 1, NOW - HOUR) > first
    assert found.place(0, 2, NOW - HOUR + 1) > first
    assert found.generation == 1


def test_a_log_that_lost_its_end_begins_a_generation() -> None:
    found = clocks(p0=Clock())
    last = [found.place(0, offset, NOW) for offset in range(100)][-1]
    again = found.place(0, 60, NOW)
    assert again > last
    assert found.place(0, 61, NOW) >= again
    assert found.generation == 1


def test_a_page_that_comes_late_is_no_sign_of_another_log() -> None:
    found = clocks(p0=Clock(3, NOW, 44))
    assert found.is_late(0, 2, NOW - 1_100)
    assert not found.is_late(0, 45, NOW - 1_100)  # the next one
    assert not found.is_late(0, 2, NOW)  # of a log made anew
    assert not found.is_late(0, 2, NOW - HOUR)  # and its clock set back


def test_a_generation_holds_for_every_partition() -> None:
    """Two files of one folder write the same points from different partitions."""
    found = clocks(p0=Clock(), p1=Clock())
    before = [found.place(0, 100, NOW), found.place(1, 100, NOW + 5)]
    cut = found.place(0, 50, NOW + 10)
    later = found.place(1, 101, NOW + 20)
    assert max(before) < cut < later


def test_a_partition_that_slept_notices_a_clock_that_was_ahead() -> None:
    ahead = NOW + 2 * HOUR
    found = clocks(
        p0=Clock(), p1=Clock(last_ms=NOW - 24 * HOUR, last_offset=4)
    )
    of_the_future = found.place(0, 0, ahead)
    assert found.place(1, 5, NOW) > of_the_future


def test_a_partition_that_lags_is_no_clock_that_was_set_back() -> None:
    found = clocks(
        p0=Clock(), p1=Clock(last_ms=NOW - HOUR, last_offset=4)
    )
    newer = found.place(0, 0, NOW)
    assert found.place(1, 5, NOW - HOUR + 1) < newer
    assert found.generation == 0


def test_what_older_releases_loaded_is_older() -> None:
    assert clocks(p0=Clock()).place(0, 0, 1) > 1
    assert clocks(p511=Clock()).place(511, 0, NOW) > NOW + HOUR
    assert clocks(p0=Clock(4095, NOW, 9)).place(0, 10, NOW) < 2**63


@pytest.mark.parametrize("seed", range(20))
def test_pages_in_several_partitions_stand_in_the_order_of_their_stream(
    seed: int,
) -> None:
    """Whatever the clocks of their brokers say, and whoever loads them first."""
    chance = random.Random(seed)
    skews = [chance.randrange(-20_000, 20_000) for _ in range(4)]
    found = clocks(**{f"p{each}": Clock() for each in range(4)})
    offsets = dict.fromkeys(range(4), 0)
    published, after_ms, now = [], 0, NOW
    for number in range(40):
        partition = chance.randrange(4)
        now += chance.randrange(3)
        time_ms = now + skews[partition]
        published.append((number, partition, offsets[partition], time_ms))
        published[-1] += (after_ms,)
        offsets[partition] += 1
        after_ms = place_ms(time_ms, after_ms)
    places = {}
    # Each partition is loaded in its order, the partitions in any.
    waiting = [
        [each for each in published if each[1] == partition]
        for partition in range(4)
    ]
    while any(waiting):
        number, *page = chance.choice(
            [each for each in waiting if each]
        ).pop(0)
        places[number] = in_stream(
            found.place(*page[:3]), page[2], page[3]
        )
    in_order = [places[number] for number in range(40)]
    assert in_order == sorted(set(in_order))
    assert found.generation == 0
