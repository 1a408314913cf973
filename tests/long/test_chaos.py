"""One short round of `make chaos`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.__main__ import SETTINGS
from tests.chaos.feed import Input
from tests.chaos.round import plan, play
from tests.chaos.stack import chaos_stack
from tests.simulator import Simulator
from tests.support.stack import prepare

SEED = 11


@pytest.mark.timeout(420)
def test_a_short_round_ends_as_the_oracle_says(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root: Path = tmp_path_factory.mktemp("chaos")
    prepare(root)
    with Simulator() as upstream:
        given = Input(
            root / "csv", upstream, SEED, coins=1_000, entries=100
        )
        settings = {**given.settings(), **SETTINGS}
        with chaos_stack(
            root / "state", root / "csv", **settings
        ) as stack:
            faults = plan(random.Random(SEED), 3, a_wave=3)
            result = play(
                stack,
                given,
                records=30_000,
                waves=3,
                faults=faults,
                say=lambda _text: None,
            )
    assert result.findings == [], [what for _, what in result.done]
    assert len(result.done) >= 7, "most faults met somebody"
    assert result.checked["raw records"] == result.records == 30_000
