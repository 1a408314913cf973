"""The model: nothing is made faster than its slowest part allows, and no page is left over."""

from __future__ import annotations

import pytest

from bench.simulate.model import (
    RECORDS_OF_PAGE,
    SPREAD,
    Costs,
    Layout,
    Model,
)

COSTS = Costs(
    {
        "extractor": 5e-6,
        "normalizer": 13e-6,
        "loader": 11e-6,
        "kafka": 8e-6,
        "postgres": 19e-6,
    },
    start_s=0.0,
    commit_s=0.002,
)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_one_machine_does_no_more_than_its_cores(count: int) -> None:
    cores = 2
    layout = Layout.of_one(count, 6, cores)
    result = Model(COSTS, layout, [50] * 12).run()
    of_record = COSTS.total()
    assert result.records == 12 * 50 * RECORDS_OF_PAGE
    assert result.records_per_s <= cores / of_record * (1 + SPREAD)
    assert result.records_per_s >= cores / of_record * 0.8


def test_an_instance_uses_one_core_however_many_there_are() -> None:
    layout = Layout.of_many(1, 12, cores=8, of_database=64)
    result = Model(COSTS, layout, [50] * 12).run()
    slowest = max(
        COSTS.cpu_s[name]
        for name in ("extractor", "normalizer", "loader")
    )
    assert result.records_per_s <= 1 / slowest * (1 + SPREAD)


def test_streams_that_share_a_partition_wait_for_each_other() -> None:
    few, many = (
        Model(COSTS, Layout.of_many(12, count, 2, 32), [40] * 12).run()
        for count in (2, 12)
    )
    assert many.records_per_s > 1.5 * few.records_per_s
    assert few.peak_lag > many.peak_lag


def test_the_same_seed_gives_the_same_run() -> None:
    layout = Layout.of_one(2, 6, 2)
    first, again = (
        Model(COSTS, layout, [20] * 6, seed=3).run() for _ in range(2)
    )
    assert first == again


def test_what_nobody_works_on_counts_too() -> None:
    costs = Costs(COSTS.cpu_s, start_s=2.0, commit_s=0.5)
    result = Model(costs, Layout.of_one(1, 6, 2), [1]).run()
    assert 2.5 < result.seconds < 3.2
