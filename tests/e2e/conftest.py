"""One stack with one instance of each service, pointed at the simulator, for the whole tier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator import Simulator
from tests.support.stack import Stack, running


@pytest.fixture(scope="session")
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(scope="session")
def stack(upstream: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root: Path = tmp_path_factory.mktemp("stack")
    (root / "csv").mkdir()
    settings = {**upstream.settings("news", "late"), "COIN_IDS": '["btc-bitcoin", "eth-ethereum"]', "HTTP_TIMEOUT_S": "10"}
    with running(root / "state", root / "csv", **settings) as stack:
        yield stack
