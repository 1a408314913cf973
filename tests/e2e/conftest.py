"""One stack with one instance of each service, pointed at the simulator, and one to break.

For the whole tier.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.stack import ChaosStack, chaos_stack
from tests.simulator import Simulator
from tests.support.stack import Stack, prepare, running


@pytest.fixture(scope="package")
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(scope="package")
def stack(
    upstream: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    root: Path = tmp_path_factory.mktemp("stack")
    prepare(root)
    settings = {
        **upstream.settings("news", "late"),
        "COIN_IDS": '["btc-bitcoin", "eth-ethereum"]',
        "HTTP_TIMEOUT_S": "10",
        "SPREAD_FROM_PAGE": "4",
    }
    with running(root / "state", root / "csv", **settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def own_upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def own(
    own_upstream: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """One of a module's own, for tests that leave much behind."""
    root: Path = tmp_path_factory.mktemp("own")
    prepare(root)
    settings = {
        **own_upstream.settings("news"),
        "COIN_IDS": '["btc-bitcoin"]',
    }
    with running(root / "state", root / "csv", **settings) as stack:
        yield stack


@pytest.fixture(scope="package")
def broken(
    upstream: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChaosStack]:
    """A stack with fault points, two gateways and wrong clocks."""
    root = tmp_path_factory.mktemp("guarantees")
    prepare(root)
    settings = {
        **upstream.settings("news"),
        "REPAIR_AFTER_S": "4",
        "SWEEP_INTERVAL_S": "1",
        "STUCK_AFTER_S": "5",
        "REJECT_LIMIT_PAGES": "8",
        "MAX_WAITING_PAGES": "20",
        "SPREAD_FROM_PAGE": "4",
        "CLOCK_OFFSETS_S": json.dumps(
            {
                "extractor": 3600,
                "normalizer": -3600,
                "loader": 3600,
                "gateway": -3600,
            }
        ),
    }
    with chaos_stack(root / "state", root / "csv", **settings) as stack:
        yield stack
