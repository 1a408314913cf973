"""Settings of all tiers."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Machines are noisy: a slow example is no finding.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

# `make test` runs in two processes. What starts a stack to break it is one of them, the rest the
# other; within each, tests share theirs.
BREAKING = (
    "test_faults",
    "test_guarantees",
    "test_chaos",
    "test_mapping",
    "test_growth",
)
# The first needs an empty stack; each after it finds what those before it have ingested.
E2E_ORDER = (
    "test_sources",
    "test_faults",
    "test_messages",
    "test_scaling",
    "test_commands",
    "test_guarantees",
    "test_chaos",
    "test_lineage",
    "test_mapping",
    "test_replay",
    "test_readme",
)


class _Halves(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """By file: marks of groups do not reach xdist 3.8 from pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        stem = Path(nodeid.partition("::")[0]).stem
        return "breaking" if stem in BREAKING else "other"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Any
) -> _Halves | None:
    is_asked = config.getoption("dist") == "loadgroup"
    return _Halves(config, log) if is_asked else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """Other tiers first, then the files of tests/e2e in their order."""
    name = item.path.stem
    is_e2e = item.path.parent.name == "e2e" and name in E2E_ORDER
    return E2E_ORDER.index(name) + 1 if is_e2e else 0
