"""Settings of all tiers."""

import pytest
from hypothesis import settings

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


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)
    for item in items:
        group = "breaking" if item.path.stem in BREAKING else "other"
        item.add_marker(pytest.mark.xdist_group(group))


def _place(item: pytest.Item) -> int:
    """Other tiers first, then the files of tests/e2e in their order."""
    name = item.path.stem
    is_e2e = item.path.parent.name == "e2e" and name in E2E_ORDER
    return E2E_ORDER.index(name) + 1 if is_e2e else 0
