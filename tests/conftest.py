"""Settings of all tiers."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Programs that tests start do not compile anew all that they import.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("PYTHONPYCACHEPREFIX", f"{sys.prefix}/pycache")

# Machines are noisy: a slow example is no finding.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

# `make test` runs in two processes. Each begins with one of the first two parts, which share the
# servers of a process and must not meet; then they take the others as they come.
# The browser's part is the last: its driver leaves a loop running that tests with `async` cannot
# begin beside.
PARTS = ("breaking", "e2e", "integration", "contract", "unit", "browser")
BREAKING = (
    "test_faults",
    "test_guarantees",
    "test_mapping",
)
# The first needs an empty stack; each after it finds what those before it have ingested.
E2E_ORDER = (
    "test_sources",
    "test_faults",
    "test_messages",
    "test_scaling",
    "test_commands",
    "test_guarantees",
    "test_lineage",
    "test_mapping",
    "test_replay",
    "test_readme",
)


def _part(path: Path) -> str:
    is_breaking = path.parent.name == "e2e" and path.stem in BREAKING
    if is_breaking:
        return "breaking"
    return next(
        (name for name in reversed(path.parts) if name in PARTS), "unit"
    )


class _Parts(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """By file: marks of groups do not reach xdist 3.8 from pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.partition("::")[0])
        part = _part(path)
        return path.stem if part == "integration" else part


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Any
) -> _Parts | None:
    is_asked = config.getoption("dist") == "loadgroup"
    return _Parts(config, log) if is_asked else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: PARTS.index(_part(item.path)))


def _place(item: pytest.Item) -> int:
    """Other tiers first, then the files of tests/e2e in their order."""
    name = item.path.stem
    is_e2e = item.path.parent.name == "e2e" and name in E2E_ORDER
    return E2E_ORDER.index(name) + 1 if is_e2e else 0
